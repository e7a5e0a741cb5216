/* SPDX-License-Identifier: Apache-2.0 */
/* A Nexmark line of any bytes: read, and what was read written and read again. */
#include <stdlib.h>
#include <string.h>

#include "apps/nexmark/json.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct nexmark_line line = {(const char *)data, bytes, 0};
    struct nexmark_json_fault fault;
    struct nexmark_event event;
    struct nexmark_event again;
    size_t room = bytes + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES;
    uint8_t *payload = malloc(room);
    char *text = malloc(512 + 6 * room);
    uint8_t *second = malloc(512 + 6 * room + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES);
    if (payload == NULL || text == NULL || second == NULL) {
        abort();
    }
    if (nexmark_json_read(&line, &event, payload, &fault) == 0) {
        size_t wrote = nexmark_json_write(&event, payload, text);
        struct nexmark_line back = {text, wrote, 0};
        if (wrote == 0 || nexmark_json_read(&back, &again, second, &fault) != 0 ||
            memcmp(&event, &again, sizeof event) != 0 ||
            memcmp(payload, second, event.payload_bytes) != 0) {
            abort();
        }
    }
    free(payload);
    free(text);
    free(second);
    return 0;
}
