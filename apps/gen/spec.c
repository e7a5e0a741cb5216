/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/gen/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static int
parse_value(const struct gen_spec_row *row, const char *text, size_t bytes)
{
    char copy[24];
    bool shaped = bytes > 0 && bytes < sizeof copy;
    for (size_t i = 0; shaped && i < bytes; i++) {
        shaped = (text[i] >= '0' && text[i] <= '9') || (i == 0 && text[i] == '-' && bytes > 1);
    }
    if (!shaped) {
        return weir_err_push(WEIR_ECONFIG, "generator: %s: a whole number is due, found \"%.*s\"",
            row->name, (int)bytes, text);
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    errno = 0;
    long long value = strtoll(copy, NULL, 10);
    if (errno != 0 || value < row->min || value > row->max) {
        return weir_err_push(WEIR_ECONFIG, "generator: %s: %s is not in [%lld, %lld]", row->name,
            copy, (long long)row->min, (long long)row->max);
    }
    *row->value = value;
    return 0;
}

/* given: a bit for each row that the text has named so far. */
static int
parse_option(const char *text, size_t bytes, const struct gen_spec_row *rows, size_t row_cnt,
    uint64_t *given)
{
    const char *equals = (const char *)memchr(text, '=', bytes);
    size_t name_bytes = equals == NULL ? bytes : (size_t)(equals - text);
    char names[160];
    size_t used = 0;
    for (size_t i = 1; i < row_cnt; i++) {
        if (strlen(rows[i].name) == name_bytes && memcmp(rows[i].name, text, name_bytes) == 0 &&
            equals != NULL) {
            if ((*given >> i & 1) != 0) {
                return weir_err_push(WEIR_ECONFIG, "generator: %s is given twice", rows[i].name);
            }
            *given |= UINT64_C(1) << i;
            return parse_value(&rows[i], equals + 1, bytes - name_bytes - 1);
        }
        int wrote = snprintf(names + used, sizeof names - used, " %s", rows[i].name);
        used += wrote > 0 && (size_t)wrote < sizeof names - used ? (size_t)wrote : 0;
    }
    return weir_err_push(WEIR_ECONFIG, "generator: \"%.*s\" is no name=value of:%.*s", (int)bytes,
        text, (int)used, names);
}

int
gen_spec_parse(const char *text, const struct gen_spec_row *rows, size_t row_cnt)
{
    if (strncmp(text, "gen:", 4) != 0) {
        return weir_err_push(WEIR_ECONFIG, "generator: \"%s\" does not begin with gen:", text);
    }
    text += 4;
    uint64_t given = 0;
    for (bool first = true;; first = false) {
        size_t bytes = strcspn(text, ",");
        int err = first ? parse_value(&rows[0], text, bytes)
                        : parse_option(text, bytes, rows, row_cnt, &given);
        if (err != 0 || text[bytes] == '\0') {
            return err;
        }
        text += bytes + 1;
    }
}
