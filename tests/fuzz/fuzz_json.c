/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON scanner over any bytes: skipped as a whole, and read member by member. */
#include <stdlib.h>

#include "dataplane/json.h"
#include "tests/fuzz/fuzz.h"

static void
read_members(const char *text, size_t bytes)
{
    struct weir_json json;
    struct weir_json_text key;
    weir_json_init(&json, text, bytes, 0);
    int err = weir_json_enter(&json);
    while (err == 0 && weir_json_key(&json, &key) > 0) {
        struct weir_json_text value;
        int64_t whole;
        double real;
        if (weir_json_type(&json) == WEIR_JSON_TEXT) {
            err = weir_json_text(&json, &value);
            char *plain = malloc(value.bytes + 1);
            if (err == 0 && plain != NULL && weir_json_unescape(&value, plain) > value.bytes) {
                abort();
            }
            free(plain);
        } else if (key.bytes % 3 == 0) {
            err = weir_json_i64(&json, &whole);
        } else if (key.bytes % 3 == 1) {
            err = weir_json_decimal(&json, key.bytes, &whole);
        } else {
            err = weir_json_f64(&json, &real);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct weir_json json;
    const char *text = (const char *)data;
    weir_json_init(&json, text, bytes, 0);
    int err = weir_json_skip(&json);
    err = err == 0 ? weir_json_end(&json) : err;
    if (json.at > json.end || (err != 0 && json.fault == NULL)) {
        abort();
    }
    read_members(text, bytes);
    return 0;
}
