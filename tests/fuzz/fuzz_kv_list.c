/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a checkpoint's files (io/kv.h) from any bytes: as they are, and with a checksum that
 * fits, so that what is behind it is reached. Whatever is accepted is written again as the same
 * bytes, and names nothing outside its directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "io/kv_priv.h"
#include "tests/fuzz/fuzz.h"

#define END "\nend "
#define END_BYTES (sizeof END - 1)
#define CRC_BYTES 16 /* its digits, and more */

/* text has a zero behind its bytes, and is changed. */
static void
read_all(char *text, size_t bytes)
{
    struct kv_list list = {NULL, 0, 0};
    char *before = malloc(bytes + 1);
    if (before == NULL) {
        abort();
    }
    memcpy(before, text, bytes + 1);
    int err = weir_kv_list_parse("checkpoint", text, bytes, &list);
    if (err == 0) {
        size_t again_bytes = 0;
        char *again = weir_kv_list_text(&list, &again_bytes);
        if (again == NULL || again_bytes != bytes || memcmp(again, before, bytes) != 0) {
            abort();
        }
        free(again);
    } else if (err != WEIR_ECHECKPOINT) {
        abort();
    }
    for (uint32_t i = 0; err == 0 && i < list.cnt; i++) {
        if (strchr(list.file[i].name, '/') != NULL || list.file[i].name[0] == '\0') {
            abort();
        }
    }
    weir_err_clear();
    weir_kv_list_fini(&list);
    free(before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + END_BYTES + CRC_BYTES + 1);
    if (text == NULL) {
        abort();
    }
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    read_all(text, bytes);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    const char *end = strstr(text, END);
    size_t body = end != NULL ? (size_t)(end - text) : bytes;
    memcpy(text + body, END, END_BYTES);
    uint32_t crc = weir_crc32c(0, text, body + 1);
    body += END_BYTES;
    body += (size_t)snprintf(text + body, CRC_BYTES, "%08x\n", crc);
    read_all(text, body);
    free(text);
    return 0;
}
