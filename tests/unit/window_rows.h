/* SPDX-License-Identifier: Apache-2.0 */
/* window_rows.h: rows, aggregates and expectations that the tests of windows share. */
#ifndef WEIR_TESTS_UNIT_WINDOW_ROWS_H
#define WEIR_TESTS_UNIT_WINDOW_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/operators/window_priv.h"
#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define EVENT(F) F(time, at) F(i64, key) F(i64, value) F(f64, real) F(i32, small) F(dec3, price)
WEIR_SCHEMA(event, EVENT)
#define FIRED(F) F(ts, window_start) F(ts, window_end) F(i64, key) F(i64, result)
WEIR_SCHEMA(fired, FIRED)
#define FIRED_REAL(F) F(ts, window_start) F(ts, window_end) F(i64, key) F(f64, result)
WEIR_SCHEMA(fired_real, FIRED_REAL)
#define FIRED_DEC(F) F(ts, window_start) F(ts, window_end) F(i64, key) F(dec3, result)
WEIR_SCHEMA(fired_dec, FIRED_DEC)

/* Aggregates of one's own: the sum of squares, with and without its inverse. */
struct square {
    int64_t sum;
    int64_t cnt;
};

static inline void
square_init(struct square *acc)
{
    acc->sum = 0;
    acc->cnt = 0;
}
static inline void
square_add(struct square *acc, const struct event *in, const char *heap)
{
    (void)heap;
    acc->sum += in->value * in->value;
    acc->cnt++;
}
static inline void
square_merge(struct square *acc, const struct square *from)
{
    acc->sum += from->sum;
    acc->cnt += from->cnt;
}
static inline void
square_subtract(struct square *acc, const struct square *from)
{
    acc->sum -= from->sum;
    acc->cnt -= from->cnt;
}
static inline void
square_result(const struct square *acc, struct fired *out)
{
    out->result = acc->sum;
}
WEIR_AGGREGATE_INVERTIBLE(square, event, struct square, fired)

/* The same without the inverse, and beginning with something that is not zero. */
struct heavy {
    int64_t sum;
    int64_t pad[20];
};
static inline void
heavy_init(struct heavy *acc)
{
    memset(acc, 0, sizeof *acc);
    acc->sum = 7;
}
static inline void
heavy_add(struct heavy *acc, const struct event *in, const char *heap)
{
    (void)heap;
    acc->sum += in->value * in->value;
}
static inline void
heavy_merge(struct heavy *acc, const struct heavy *from)
{
    acc->sum += from->sum - 7;
}
static inline void
heavy_result(const struct heavy *acc, struct fired *out)
{
    out->result = acc->sum - 7;
}
WEIR_AGGREGATE(heavy, event, struct heavy, fired)

/* ---- harness of windows ---- */

static inline struct weir_window_conf
conf_of(struct weir_window_span span, struct weir_aggregate aggregate)
{
    struct weir_window_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(event, key);
    conf.span = span;
    conf.aggregate = aggregate;
    return conf;
}

static inline struct harness_conf
harness_of(const struct weir_window_conf *conf, const struct weir_schema *out)
{
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_window_type;
    h.conf = conf;
    h.in_schema[0] = event_schema();
    h.out_schema[0] = out;
    return h;
}

static inline struct event
row_of(int64_t at, int64_t key, int64_t value)
{
    struct event row;
    memset(&row, 0, sizeof row);
    row.at = at;
    row.key = key;
    row.value = value;
    row.real = (double)value * 0.5;
    row.small = (int32_t)value;
    row.price = value * 10;
    return row;
}

static inline void
push_one(struct harness *h, int64_t at, int64_t key, int64_t value)
{
    struct event row = row_of(at, key, value);
    harness_push(h, 0, &row, 1);
}

static inline uint64_t
late_cnt(struct harness *h)
{
    return harness_operator(h)->rows_late;
}

/* The rows fired since the last look, as "key=result@time ...", keys in order. */
static inline int
fired_order(const void *a, const void *b)
{
    const struct fired *x = a;
    const struct fired *y = b;
    if (x->window_end != y->window_end) {
        return x->window_end < y->window_end ? -1 : 1;
    }
    return (x->key > y->key) - (x->key < y->key);
}

static inline void
expect(struct harness *h, const char *text)
{
    char seen[512] = "";
    size_t used = 0;
    struct harness_out *out = &h->out[0];
    if (out->row_cnt > 0) {
        qsort(out->rows, out->row_cnt, sizeof(struct fired), fired_order);
    }
    for (uint32_t i = 0; i < out->row_cnt; i++) {
        const struct fired *row = harness_row(h, 0, i);
        used +=
            (size_t)snprintf(seen + used, sizeof seen - used, "%sk%lld=%lld@%lld", i > 0 ? " " : "",
                (long long)row->key, (long long)row->result, (long long)row->window_end - 1);
    }
    assert_string_equal(seen, text);
    for (uint32_t i = 0; i < out->event_cnt; i++) {
        if (out->event[i].kind == HARNESS_ROW) {
            assert_true(out->event[i].time <= h->watermark[0]);
        }
    }
    out->row_cnt = 0;
    out->event_cnt = 0;
}

#endif
