/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"

#include <errno.h>
#include <inttypes.h>

#include "base/check.h"
#include "base/err.h"

void
weir_counter_publish(const struct weir_counter_set *set)
{
    for (uint32_t i = 0; i < set->row_cnt; i++) {
        /* relaxed: each value stands for itself; a reader needs no order between rows. */
        weir_store_rlx(&set->shown[i], set->own[i]);
    }
}

void
weir_counter_read(const struct weir_counter_set *set, uint64_t *ret_values)
{
    for (uint32_t i = 0; i < set->row_cnt; i++) {
        /* relaxed: one writer, so the value of one row never goes back; see above. */
        ret_values[i] = weir_load_rlx(&set->shown[i]);
    }
}

static int
stream_error(FILE *to)
{
    errno = 0;
    if (fflush(to) != 0 || ferror(to) != 0) {
        return weir_err_errno(errno != 0 ? errno : EIO, "writing counters");
    }
    return 0;
}

static void
print_value(FILE *to, enum weir_counter_kind kind, uint64_t value)
{
    if (kind == WEIR_COUNTER_GAUGE) {
        fprintf(to, "%" PRId64, (int64_t)value);
    } else {
        fprintf(to, "%" PRIu64, value);
    }
}

/* Both formats escape a quote, a backslash and a line feed alike; JSON also what is below a
 * blank. */
static void
print_escaped(FILE *to, const char *text, bool is_json)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(to, "\\%c", *at);
        } else if (*at == '\n') {
            fputs("\\n", to);
        } else if (is_json && (unsigned char)*at < ' ') {
            fprintf(to, "\\u%04x", (unsigned)(unsigned char)*at);
        } else {
            fputc(*at, to);
        }
    }
}

static void
print_sample(FILE *to, const char *prefix, const struct weir_counter_set *set, uint32_t row)
{
    const struct weir_counter_row *desc = &set->rows[row];
    fprintf(to, "%s_%s%s", prefix, desc->name, desc->kind == WEIR_COUNTER_COUNTER ? "_total" : "");
    for (uint32_t i = 0; i < set->label_cnt; i++) {
        fprintf(to, "%s%s=\"", i == 0 ? "{" : ",", set->labels[i].name);
        print_escaped(to, set->labels[i].value, false);
        fputc('"', to);
    }
    fputs(set->label_cnt > 0 ? "} " : " ", to);
    /* relaxed: as in weir_counter_read. */
    print_value(to, desc->kind, weir_load_rlx(&set->shown[row]));
    fputc('\n', to);
}

int
weir_counter_print(
    FILE *to, const char *prefix, const struct weir_counter_set *sets, size_t set_cnt)
{
    static const char *const types[WEIR_COUNTER_KIND_CNT] = {"counter", "gauge"};
    for (uint32_t row = 0; set_cnt > 0 && row < sets[0].row_cnt; row++) {
        const struct weir_counter_row *desc = &sets[0].rows[row];
        fprintf(to, "# TYPE %s_%s %s\n", prefix, desc->name, types[desc->kind]);
        fprintf(to, "# HELP %s_%s %s (%s).\n", prefix, desc->name, desc->help, desc->unit);
        for (size_t i = 0; i < set_cnt; i++) {
            WEIR_CHECK(sets[i].rows == sets[0].rows, "set %zu is of another table", i);
            print_sample(to, prefix, &sets[i], row);
        }
    }
    return stream_error(to);
}

int
weir_counter_print_end(FILE *to)
{
    fputs("# EOF\n", to);
    return stream_error(to);
}

int
weir_counter_print_json(FILE *to, const struct weir_counter_set *sets, size_t set_cnt)
{
    uint64_t values[WEIR_COUNTER_CNT_MAX];
    for (size_t i = 0; i < set_cnt; i++) {
        const struct weir_counter_set *set = &sets[i];
        WEIR_CHECK(set->row_cnt <= WEIR_COUNTER_CNT_MAX, "%u rows", set->row_cnt);
        weir_counter_read(set, values);
        for (uint32_t j = 0; j < set->label_cnt; j++) {
            fprintf(to, "%s\"%s\":\"", j == 0 ? "{" : ",", set->labels[j].name);
            print_escaped(to, set->labels[j].value, true);
            fputc('"', to);
        }
        for (uint32_t j = 0; j < set->row_cnt; j++) {
            fprintf(to, "%s\"%s\":", j + set->label_cnt == 0 ? "{" : ",", set->rows[j].name);
            print_value(to, set->rows[j].kind, values[j]);
        }
        fputs("}\n", to);
    }
    return stream_error(to);
}
