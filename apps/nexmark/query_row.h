/* SPDX-License-Identifier: Apache-2.0 */
/* query_row.h: how queries read events, and the rows that several of them make. */
#ifndef WEIR_APPS_NEXMARK_QUERY_ROW_H
#define WEIR_APPS_NEXMARK_QUERY_ROW_H

#include "apps/nexmark/query.h"
#include "dataplane/time_text.h"
#include "sched/keyed.h"

/* The answers to the queries of NEXMARK_QUERIES, nexmark_q0() and so on. */
#define NEXMARK_QUERY_BUILD(name, kinds, payload_kinds, brief) \
    struct weir_stream *nexmark_##name(struct weir_stream *events);
NEXMARK_QUERIES(NEXMARK_QUERY_BUILD)

#define BID(F) F(i64, auction) F(i64, bidder) F(i64, price) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(bid, BID)
#define FULL_BID(F) \
    F(i64, auction) \
    F(i64, bidder)  \
    F(i64, price) F(str, channel) F(str, url) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(full_bid, FULL_BID)
#define FULL_AUCTION(F) \
    F(i64, id)          \
    F(str, itemName)    \
    F(str, description) \
    F(i64, initialBid)  \
    F(i64, reserve)     \
    F(time, dateTime) F(ts, expires) F(i64, seller) F(i64, category) F(str, extra)
WEIR_SCHEMA(full_auction, FULL_AUCTION)

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

/* Text idx of an event's payload; empty where the payload lies about it. */
static inline struct weir_str
event_text(const struct nexmark_row *row, const char *heap, uint32_t kind, uint32_t idx)
{
    const struct nexmark_event event = {.payload_bytes = row->payload.bytes, .kind = kind};
    struct nexmark_text text;
    if (row->payload.bytes <= WEIR_STR_INLINE_BYTES ||
        !nexmark_event_text(&event, (const uint8_t *)heap + row->payload.u.off, idx, &text)) {
        return weir_str_inline("", 0);
    }
    return weir_str_ref(heap, text.ptr, text.bytes);
}

static inline struct weir_str
bid_text(const struct nexmark_row *row, const char *heap, uint32_t idx)
{
    return event_text(row, heap, NEXMARK_BID, idx);
}

/* The same as pointer and length. */
static inline struct weir_slice
bid_slice(const struct nexmark_row *row, const char *heap, uint32_t idx)
{
    const struct nexmark_event event = {.payload_bytes = row->payload.bytes, .kind = NEXMARK_BID};
    struct nexmark_text text = {"", 0};
    if (row->payload.bytes > WEIR_STR_INLINE_BYTES &&
        !nexmark_event_text(&event, (const uint8_t *)heap + row->payload.u.off, idx, &text)) {
        text.bytes = 0;
    }
    return (struct weir_slice){text.ptr, text.bytes};
}

static inline void
full_bid_of(const struct nexmark_row *in, const char *heap, struct full_bid *out)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->channel = bid_text(in, heap, NEXMARK_BID_CHANNEL);
    out->url = bid_text(in, heap, NEXMARK_BID_URL);
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
}

static inline void
full_auction_of(const struct nexmark_row *in, const char *heap, struct full_auction *out)
{
    const struct nexmark_event event = {
        .payload_bytes = in->payload.bytes, .kind = NEXMARK_AUCTION};
    out->id = in->id;
    out->itemName = event_text(in, heap, NEXMARK_AUCTION, NEXMARK_AUCTION_ITEM);
    out->description = event_text(in, heap, NEXMARK_AUCTION, NEXMARK_AUCTION_DESCRIPTION);
    out->initialBid = in->price;
    out->reserve = nexmark_event_reserve(&event, (const uint8_t *)heap + in->payload.u.off);
    out->dateTime = in->at;
    out->expires = in->expires;
    out->seller = in->other;
    out->category = in->category;
    out->extra = event_text(in, heap, NEXMARK_AUCTION, NEXMARK_EXTRA);
}

/* `YYYY-MM-DD` of a time; empty where the year has not four digits. */
static inline struct weir_str
day_of(int64_t ms)
{
    char text[WEIR_DATE_TEXT_BYTES];
    return weir_str_inline(text, (uint32_t)weir_date_print(ms, text));
}

/* `HH:MM`, likewise. */
static inline struct weir_str
minute_of(int64_t ms)
{
    const int64_t minutes = ms / 60000 - (ms % 60000 < 0);
    uint32_t of_day = (uint32_t)((minutes % 1440 + 1440) % 1440);
    const char text[] = {(char)('0' + of_day / 600), (char)('0' + of_day / 60 % 10), ':',
        (char)('0' + of_day % 60 / 10), (char)('0' + of_day % 10)};
    return weir_str_inline(text, weir_time_has_text(ms) ? sizeof text : 0);
}

#endif
