/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: channels of one number a row, which a test joins to partitions and gates as it likes; and
 * the parts of a snapshot as a test reads them.
 *
 *     wire_open(&w, cnt)                      cnt channels, not joined to anything
 *     wire_join(&w, p, c, slot_cnt)           w.out[p] sends to w.in[c]
 *     wire_gate(&w, &gate, c, cnt)            a gate of w.in[c .. c + cnt)
 *     wire_put(&w, p, n)                      a row, flushed; wire_mark, wire_event likewise
 */
#ifndef WEIR_TESTS_UNIT_WIRE_H
#define WEIR_TESTS_UNIT_WIRE_H

#include <stdlib.h>

#include "dataplane/gate.h"
#include "dataplane/parts.h"
#include "tests/unit/buffers.h"

#define NUMBER(F) F(i64, n)
WEIR_SCHEMA(number, NUMBER)

#define WIRE_CHANNEL_CNT_MAX 64
#define WIRE_BUF_CNT_MAX 512

struct wire {
    struct buffers mem;
    struct weir_channel_format format;
    struct weir_channel_out out[WIRE_CHANNEL_CNT_MAX];
    struct weir_channel_in in[WIRE_CHANNEL_CNT_MAX];
    uint32_t cnt;
    void *valves[WIRE_CHANNEL_CNT_MAX];
    uint32_t valve_cnt;
};

static inline void
wire_open(struct wire *w, uint32_t cnt)
{
    memset(w, 0, sizeof *w);
    w->cnt = cnt;
    weir_channel_format_init(&w->format, number_schema(), false, false);
    w->format.batch_rows = 16;
    buffers_open(&w->mem, WEIR_BUF_BYTES_MIN, weir_min_u32(32 * cnt, WIRE_BUF_CNT_MAX), cnt);
}

static inline void
wire_join(struct wire *w, uint32_t p, uint32_t c, uint32_t slot_cnt)
{
    void *ring = buffers_ring(&w->mem, slot_cnt);
    w->out[p].format = &w->format;
    w->out[p].pool = &w->mem.pool;
    w->out[p].regions = &w->mem.table;
    w->out[p].channel = (uint16_t)p;
    w->out[p].watermark = WEIR_TIME_MIN;
    w->out[p].id = p;
    w->in[c].id = p;
    assert_int_equal(weir_ring_prod_join(&w->out[p].ring, ring, sizeof(struct weir_batch)), 0);
    assert_int_equal(weir_ring_cons_join(&w->in[c].ring, ring, sizeof(struct weir_batch)), 0);
}

static inline void
wire_gate(struct wire *w, struct weir_gate *gate, uint32_t c, uint32_t cnt)
{
    void *mem = malloc(weir_valve_footprint(cnt));
    assert_non_null(mem);
    w->valves[w->valve_cnt++] = mem;
    weir_gate_init(gate, &w->in[c], cnt, mem);
    gate->format = &w->format;
    gate->regions = &w->mem.table;
}

/* wire_close - every buffer must be back. */
static inline void
wire_close(struct wire *w)
{
    for (uint32_t c = 0; c < w->cnt; c++) {
        weir_channel_close(&w->out[c]);
    }
    for (uint32_t i = 0; i < w->valve_cnt; i++) {
        free(w->valves[i]);
    }
    buffers_close(&w->mem);
}

static inline void
wire_put(struct wire *w, uint32_t p, int64_t n)
{
    struct number row = {.n = n};
    struct weir_view view;
    const uint16_t first = 0;
    memset(&view, 0, sizeof view);
    view.schema = number_schema();
    view.rows = (char *)&row;
    view.stride = sizeof row;
    view.cnt = 1;
    view.row_cnt = 1;
    assert_int_equal(weir_channel_append(&w->out[p], &view, &first, 1), 1);
    assert_int_equal(weir_channel_flush(&w->out[p]), 1);
}

static inline void
wire_event(struct wire *w, uint32_t p, uint32_t kind, int64_t value)
{
    assert_int_equal(weir_channel_event(&w->out[p], kind, value), 1);
}

static inline void
wire_mark_kind(struct wire *w, uint32_t p, uint32_t kind, uint64_t id, enum weir_mark_kind of)
{
    const struct weir_mark mark = {.id = id, .trigger_ns = 7, .kind = of};
    assert_int_equal(weir_channel_mark(&w->out[p], kind, &mark), 1);
}

static inline void
wire_mark(struct wire *w, uint32_t p, uint32_t kind, uint64_t id)
{
    wire_mark_kind(w, p, kind, id, WEIR_MARK_SAVEPOINT);
}

static inline int64_t
wire_number(const struct weir_view *view, uint32_t i)
{
    int64_t n;
    memcpy(&n, weir_view_at(view, &view->schema->fields[0], weir_view_row(view, i)), sizeof n);
    return n;
}

/* wire_part - two numbers of part `name` of operator `uid`. */
static inline void
wire_part(const void *buf, size_t bytes, const char *uid, uint64_t *ret_two)
{
    struct weir_parts_reader reader;
    struct weir_part part;
    assert_int_equal(weir_parts_reader_init(&reader, buf, bytes), 0);
    weir_parts_reader_of(&reader, uid);
    assert_int_equal(weir_parts_find(&reader, "count", 1, &part), 0);
    assert_int_equal(weir_part_get(&part, ret_two, 2 * sizeof *ret_two), 0);
    assert_int_equal(weir_part_end(&part), 0);
}

#endif
