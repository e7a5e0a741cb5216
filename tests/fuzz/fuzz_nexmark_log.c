/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped log of any bytes; the header's checksum is mended, so that what it covers is reached. */
#include <stdlib.h>
#include <string.h>

#include "apps/nexmark/log.h"
#include "base/crc.h"
#include "base/err.h"
#include "tests/fuzz/fuzz.h"

static void
read_all(const struct nexmark_log *log)
{
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *event = &log->records[i];
        const uint8_t *payload = nexmark_log_payload(log, event);
        for (uint32_t t = 0; payload != NULL && t < nexmark_text_cnt(event->kind); t++) {
            struct nexmark_text text;
            if (nexmark_event_text(event, payload, t, &text)) {
                (void)weir_crc32c(0, text.ptr, text.bytes); /* in another unit: it reads */
            }
        }
    }
    if (nexmark_log_verify(log) != 0) {
        weir_err_clear();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct nexmark_log log;
    uint8_t *map = aligned_alloc(64, weir_align_up(bytes + 1, 64));
    if (map == NULL) {
        abort();
    }
    memcpy(map, data, bytes);
    if (bytes >= NEXMARK_LOG_HEADER_BYTES) {
        struct nexmark_log_header *header = (struct nexmark_log_header *)(void *)map;
        header->header_crc = 0;
        header->header_crc = weir_crc32c(0, header, sizeof *header);
    }
    if (nexmark_log_open(map, bytes, &log) == 0) {
        read_all(&log);
    }
    weir_err_clear();
    free(map);
    return 0;
}
