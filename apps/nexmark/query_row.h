/* SPDX-License-Identifier: Apache-2.0 */
/* query_row.h: how queries read events, and the rows that several of them make. */
#ifndef WEIR_APPS_NEXMARK_QUERY_ROW_H
#define WEIR_APPS_NEXMARK_QUERY_ROW_H

#include "apps/nexmark/query.h"
#include "sched/keyed.h"

/* The answers to the queries of NEXMARK_QUERIES, nexmark_q0() and so on. */
#define NEXMARK_QUERY_BUILD(name, kinds, payload_kinds, brief) \
    struct weir_stream *nexmark_##name(struct weir_stream *events);
NEXMARK_QUERIES(NEXMARK_QUERY_BUILD)

#define BID(F) F(i64, auction) F(i64, bidder) F(i64, price) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(bid, BID)

/* Row i of the selection of either layout; `loaded` is its room where it is not one piece. */
static inline __attribute__((always_inline)) const struct nexmark_row *
row_of(const struct weir_view *in, uint32_t i, struct nexmark_row *loaded)
{
    uint32_t idx = weir_view_row(in, i);
    if (WEIR_LIKELY(in->stride != 0)) {
        return (const struct nexmark_row *)(const void *)(in->rows + (size_t)in->stride * idx);
    }
    nexmark_row_load(in->rows, in->cap, idx, loaded);
    return loaded;
}

/* The text `extra` stands first in every payload. */
static inline struct weir_str
extra_of(const struct nexmark_row *row, const char *heap)
{
    uint32_t bytes;
    struct weir_str none;
    memset(&none, 0, sizeof none);
    if (row->payload.bytes < NEXMARK_BID_HEAD_BYTES) {
        return none;
    }
    memcpy(&bytes, heap + row->payload.u.off + NEXMARK_LENGTHS_OFF, sizeof bytes);
    if (bytes > row->payload.bytes - NEXMARK_BID_HEAD_BYTES) {
        return none;
    }
    return weir_str_part(&row->payload, heap, NEXMARK_BID_HEAD_BYTES, bytes);
}

#endif
