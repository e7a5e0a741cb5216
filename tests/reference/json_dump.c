/* SPDX-License-Identifier: Apache-2.0 */
/* json_dump: what our scanner makes of each line of a file, for a comparison with another reader.
 *
 * A line gives `bad COLUMN`, or `ok` and, where it is an object, its members in order: for each the
 * name and the value, texts as the hex of their bytes (t), whole numbers of 64 bits (i), other
 * numbers as doubles in hex (f), b0, b1, n, and `-` for arrays and objects, which are skipped.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/json.h"

#define LINE_BYTES_MAX 65536

static void
put_text(const struct weir_json_text *text)
{
    static char plain[LINE_BYTES_MAX];
    size_t bytes = weir_json_unescape(text, plain);
    (void)putchar('t');
    for (size_t i = 0; i < bytes; i++) {
        (void)printf("%02x", (unsigned)(uint8_t)plain[i]);
    }
}

static int
put_number(struct weir_json *json)
{
    struct weir_json again = *json;
    int64_t whole;
    double value;
    int err = weir_json_i64(json, &whole);
    if (err == 0) {
        (void)printf("i%lld", (long long)whole);
        return 0;
    }
    *json = again;
    err = weir_json_f64(json, &value);
    if (err == 0) {
        (void)printf("f%a", value);
    }
    return err;
}

static int
put_value(struct weir_json *json)
{
    struct weir_json_text text;
    bool flag;
    int err;
    switch (weir_json_type(json)) {
    case WEIR_JSON_TEXT:
        err = weir_json_text(json, &text);
        if (err == 0) {
            put_text(&text);
        }
        return err;
    case WEIR_JSON_NUMBER:
        return put_number(json);
    case WEIR_JSON_BOOL:
        err = weir_json_bool(json, &flag);
        (void)printf("b%d", err == 0 && flag);
        return err;
    case WEIR_JSON_NULL:
        (void)putchar('n');
        return weir_json_try_null(json) ? 0 : WEIR_EDATA;
    default:
        (void)putchar('-');
        return weir_json_skip(json);
    }
}

/* The members of the object that the line is. */
static int
put_members(struct weir_json *json)
{
    struct weir_json_text key;
    int err = weir_json_enter(json);
    while (err == 0) {
        int more = weir_json_key(json, &key);
        if (more <= 0) {
            return more;
        }
        (void)putchar(' ');
        put_text(&key);
        (void)putchar('=');
        err = put_value(json);
    }
    return err;
}

int
main(int argc, char **argv)
{
    static char line[LINE_BYTES_MAX];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        (void)fputs("usage: json_dump FILE\n", stderr);
        return 2;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        struct weir_json json;
        size_t bytes = strlen(line);
        weir_json_init(&json, line, bytes - (line[bytes - 1] == '\n'), 0);
        bool is_object = weir_json_type(&json) == WEIR_JSON_OBJECT;
        int err = is_object ? put_members(&json) : weir_json_skip(&json);
        err = err == 0 ? weir_json_end(&json) : err;
        if (err == 0) {
            (void)puts(" ok");
        } else {
            (void)printf(" bad %u\n", weir_json_column(&json));
        }
    }
    (void)fclose(file);
    return 0;
}
