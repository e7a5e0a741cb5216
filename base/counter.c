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
    if (kind == WEIR_COUNTER_REAL) {
        double real;
        memcpy(&real, &value, sizeof real);
        fprintf(to, "%.17g", real);
    } else if (kind == WEIR_COUNTER_GAUGE) {
        fprintf(to, "%" PRId64, (int64_t)value);
    } else {
        fprintf(to, "%" PRIu64, value);
    }
}

static void
print_escaped(FILE *to, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(to, "\\%c", *at);
        } else if (*at == '\n') {
            fputs("\\n", to);
        } else {
            fputc(*at, to);
        }
    }
}

static const char *
total_of(const struct weir_counter_row *row)
{
    return row->kind == WEIR_COUNTER_COUNTER ? "_total" : "";
}

static void
print_sample(FILE *to, const char *prefix, const struct weir_counter_set *set, uint32_t row)
{
    const struct weir_counter_row *desc = &set->rows[row];
    fprintf(to, "%s_%s%s", prefix, desc->name, total_of(desc));
    for (uint32_t i = 0; i < set->label_cnt; i++) {
        fprintf(to, "%s%s=\"", i == 0 ? "{" : ",", set->labels[i].name);
        print_escaped(to, set->labels[i].value);
        fputc('"', to);
    }
    fputs(set->label_cnt > 0 ? "} " : " ", to);
    /* relaxed: as in weir_counter_read. */
    print_value(to, desc->kind, weir_load_rlx(&set->shown[row]));
    fputc('\n', to);
}

int
weir_counter_print(const struct weir_counter_page *page, const char *prefix,
    const struct weir_counter_set *sets, size_t set_cnt)
{
    static const char *const types[WEIR_COUNTER_KIND_CNT] = {"counter", "gauge", "gauge"};
    FILE *to = page->to;
    for (uint32_t row = 0; set_cnt > 0 && row < sets[0].row_cnt; row++) {
        const struct weir_counter_row *desc = &sets[0].rows[row];
        const char *total = page->text == WEIR_COUNTER_PROMETHEUS ? total_of(desc) : "";
        fprintf(to, "# TYPE %s_%s%s %s\n", prefix, desc->name, total, types[desc->kind]);
        fprintf(to, "# HELP %s_%s%s %s (%s).\n", prefix, desc->name, total, desc->help, desc->unit);
        for (size_t i = 0; i < set_cnt; i++) {
            WEIR_CHECK(sets[i].rows == sets[0].rows, "set %zu is of another table", i);
            print_sample(to, prefix, &sets[i], row);
        }
    }
    return stream_error(to);
}

int
weir_counter_print_end(const struct weir_counter_page *page)
{
    if (page->text == WEIR_COUNTER_OPENMETRICS) {
        fputs("# EOF\n", page->to);
    }
    return stream_error(page->to);
}
