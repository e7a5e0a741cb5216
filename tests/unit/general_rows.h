/* SPDX-License-Identifier: Apache-2.0 */
/* general_rows.h: what tests of windows of keys share: their confs, and what came out as text. */
#ifndef WEIR_TESTS_UNIT_GENERAL_ROWS_H
#define WEIR_TESTS_UNIT_GENERAL_ROWS_H

#include "dataplane/operators/general_priv.h"
#include "tests/unit/restart.h"
#include "tests/unit/window_rows.h"

static WEIR_UNUSED struct weir_general_conf
general_conf(struct weir_general_span span, struct weir_aggregate aggregate)
{
    struct weir_general_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(event, key);
    conf.span = span;
    conf.aggregate = aggregate;
    return conf;
}

static WEIR_UNUSED struct harness_conf
general_harness(const struct weir_general_conf *conf)
{
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_general_type;
    h.conf = conf;
    h.in_schema[0] = event_schema();
    h.out_schema[0] = fired_schema();
    return h;
}

/* What fired since the last look, as "k2-6 0-5500@5499 ...", key, result, window, time; by time and
 * key. */
struct seen_row {
    struct fired row;
    int64_t time;
};

static WEIR_UNUSED int
seen_order(const void *a, const void *b)
{
    const struct seen_row *x = a;
    const struct seen_row *y = b;
    if (x->time != y->time) {
        return x->time < y->time ? -1 : 1;
    }
    if (x->row.key != y->row.key) {
        return x->row.key < y->row.key ? -1 : 1;
    }
    if (x->row.window_start != y->row.window_start) {
        return x->row.window_start < y->row.window_start ? -1 : 1;
    }
    return (x->row.result > y->row.result) - (x->row.result < y->row.result);
}

static WEIR_UNUSED void
expect_seen(struct harness *h, const char *text)
{
    static char seen[1 << 14];
    struct harness_out *out = &h->out[0];
    struct seen_row *rows = calloc(out->row_cnt + 1, sizeof *rows);
    uint32_t cnt = 0;
    size_t used = 0;
    assert_non_null(rows);
    for (uint32_t i = 0; i < out->event_cnt; i++) {
        if (out->event[i].kind == HARNESS_ROW) {
            rows[cnt].row = *(const struct fired *)harness_row(h, 0, out->event[i].row);
            rows[cnt++].time = out->event[i].time;
        }
    }
    qsort(rows, cnt, sizeof *rows, seen_order);
    seen[0] = '\0';
    for (uint32_t i = 0; i < cnt && used < sizeof seen; i++) {
        const struct fired *row = &rows[i].row;
        used += (size_t)snprintf(seen + used, sizeof seen - used, "%sk%lld-%lld %lld-%lld@%lld",
            i > 0 ? " " : "", (long long)row->key, (long long)row->result,
            (long long)row->window_start, (long long)row->window_end, (long long)rows[i].time);
    }
    free(rows);
    assert_string_equal(seen, text);
    out->row_cnt = 0;
    out->event_cnt = 0;
}

/* The operator stops and goes on from what it has left. */
static WEIR_UNUSED void
go_on(struct harness **h, const struct harness_conf *conf, bool moves)
{
    struct restart_left left;
    restart_leave(*h, &left);
    harness_free(*h);
    assert_int_equal(restart_come(conf, &left, 1, moves, h), 0);
    restart_left_free(&left);
}

#endif
