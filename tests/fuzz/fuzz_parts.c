/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of a snapshot from any bytes: as they are, and with a checksum that fits, so that
 * what is behind it is reached. Whatever is accepted can be read to its end. */
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "dataplane/parts.h"
#include "tests/fuzz/fuzz.h"

#define CRC_OFF 24

static void
read_all(const char *buf, size_t bytes)
{
    struct weir_parts_reader reader;
    struct weir_part part;
    size_t offset = 0;
    uint32_t cnt = 0;
    if (weir_parts_reader_init(&reader, buf, bytes) != 0) {
        weir_err_clear();
        return;
    }
    while (weir_parts_next(&reader, &offset, &part) == 1) {
        char *copy = malloc(part.bytes + 1);
        if (copy == NULL || weir_part_get(&part, copy, part.bytes) != 0 ||
            weir_part_end(&part) != 0) {
            abort();
        }
        free(copy);
        cnt++;
    }
    if (cnt != reader.part_cnt || (cnt > 0 && offset != bytes)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    read_all((const char *)data, bytes);
    if (bytes >= WEIR_PARTS_HEAD_BYTES) {
        char *sealed = malloc(bytes);
        if (sealed == NULL) {
            return 0;
        }
        memcpy(sealed, data, bytes);
        uint64_t whole = bytes;
        memcpy(sealed + 16, &whole, sizeof whole);
        memset(sealed + CRC_OFF, 0, sizeof(uint32_t));
        uint32_t crc = weir_crc32c(0, sealed, bytes);
        memcpy(sealed + CRC_OFF, &crc, sizeof crc);
        read_all(sealed, bytes);
        free(sealed);
    }
    return 0;
}
