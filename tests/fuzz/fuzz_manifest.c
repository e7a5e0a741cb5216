/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest of any bytes; its checksum and length are mended, so that what they cover is
 * reached. */
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "dataplane/manifest.h"
#include "tests/fuzz/fuzz.h"

#define LENGTH_OFF 16

static void
read_all(const void *buf, uint64_t bytes)
{
    struct weir_manifest manifest;
    const char *wrong = NULL;
    uint64_t off = 0;
    if (weir_manifest_decode(buf, bytes, &manifest, &wrong, &off) != 0) {
        if (wrong == NULL || off > bytes) {
            abort();
        }
        return;
    }
    /* What was read can be written, and is read as the same. */
    uint64_t room = weir_manifest_encode(&manifest, NULL, 0);
    char *again = malloc(room + 1);
    struct weir_manifest back;
    if (again == NULL || room == 0 || weir_manifest_encode(&manifest, again, room) != room ||
        weir_manifest_decode(again, room, &back, &wrong, &off) != 0 ||
        back.file_cnt != manifest.file_cnt || strcmp(back.job_name, manifest.job_name) != 0) {
        abort();
    }
    weir_manifest_fini(&back);
    weir_manifest_fini(&manifest);
    free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    read_all(data, bytes);
    if (bytes < WEIR_MANIFEST_HEAD_BYTES + sizeof(uint32_t)) {
        return 0;
    }
    uint8_t *mended = malloc(bytes);
    if (mended == NULL) {
        abort();
    }
    uint64_t length = bytes;
    memcpy(mended, data, bytes);
    memcpy(mended + LENGTH_OFF, &length, sizeof length);
    uint32_t crc = weir_crc32c(0, mended, bytes - sizeof crc);
    memcpy(mended + bytes - sizeof crc, &crc, sizeof crc);
    read_all(mended, bytes);
    free(mended);
    return 0;
}
