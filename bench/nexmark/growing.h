/* SPDX-License-Identifier: Apache-2.0 */
/* growing.h: what the kernels of unbounded queries keep: tables that grow, and rows that change.
 *
 * A table finds entries by two 64-bit words, any at all, in one open-addressed array: an entry
 * begins with a struct growing_head, the rest is the caller's, all zero when it is made. Entries
 * move when the table grows.
 *
 * A row that changes takes its former self back, as the engine's streams of changes do and its
 * discarding sink counts them: the sums are those of the table that is left.
 */
#ifndef WEIR_BENCH_NEXMARK_GROWING_H
#define WEIR_BENCH_NEXMARK_GROWING_H

#include <stdlib.h>

#include "bench/nexmark/kernels.h"

#define GROWING_SLOTS_MIN 1024

struct growing_head {
    uint64_t a;
    uint64_t b;
    uint64_t is_used;
};

struct growing {
    char *entries;
    uint64_t mask;
    uint64_t cnt;
};

static inline uint64_t
growing_slot(uint64_t a, uint64_t b, uint64_t mask)
{
    return ((a ^ b * UINT64_C(0xe7037ed1a0b428db)) * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & mask;
}

static inline struct growing_head *
growing_find(const struct growing *table, size_t entry_bytes, uint64_t a, uint64_t b)
{
    for (uint64_t slot = growing_slot(a, b, table->mask);; slot = (slot + 1) & table->mask) {
        void *at = table->entries + slot * entry_bytes;
        struct growing_head *head = at;
        if (!head->is_used || (head->a == a && head->b == b)) {
            return head;
        }
    }
}

static inline int
growing_grow(struct growing *table, size_t entry_bytes)
{
    uint64_t slot_cnt = table->entries == NULL ? GROWING_SLOTS_MIN : 2 * (table->mask + 1);
    struct growing to = {calloc(slot_cnt, entry_bytes), slot_cnt - 1, table->cnt};
    if (to.entries == NULL) {
        return -1;
    }
    for (uint64_t i = 0; table->entries != NULL && i <= table->mask; i++) {
        void *at = table->entries + i * entry_bytes;
        const struct growing_head *head = at;
        if (head->is_used) {
            memcpy(growing_find(&to, entry_bytes, head->a, head->b), head, entry_bytes);
        }
    }
    free(table->entries);
    *table = to;
    return 0;
}

/* growing_at - the entry of (a, b), made where there is none; NULL: no memory. */
static inline void *
growing_at(struct growing *table, size_t entry_bytes, uint64_t a, uint64_t b)
{
    if (WEIR_UNLIKELY(2 * table->cnt >= table->mask) && growing_grow(table, entry_bytes) != 0) {
        return NULL;
    }
    struct growing_head *head = growing_find(table, entry_bytes, a, b);
    if (WEIR_UNLIKELY(!head->is_used)) {
        *head = (struct growing_head){a, b, 1};
        table->cnt++;
    }
    return head;
}
/* The type of an entry says its size: a constant wherever this is inlined. */
#define GROWING_AT(type, table, a, b) ((type *)growing_at(table, sizeof(type), a, b))

/* growing_fetch - bring the line where (a, b) is looked for first. */
static inline void
growing_fetch(const struct growing *table, size_t entry_bytes, uint64_t a, uint64_t b)
{
    if (table->entries != NULL) {
        __builtin_prefetch(table->entries + growing_slot(a, b, table->mask) * entry_bytes);
    }
}

struct growing_row {
    uint64_t hash;
    bool is_there;
};

static inline void
growing_row_take_back(struct kernel_result *result, struct growing_row *row)
{
    result->rows -= row->is_there;
    result->checksum -= row->is_there ? row->hash : 0;
    row->is_there = false;
}

/* growing_row_set - the row is now one whose fields were added up by weir_row_add(). */
static inline void
growing_row_set(struct kernel_result *result, struct growing_row *row, uint64_t sum)
{
    growing_row_take_back(result, row);
    *row = (struct growing_row){weir_row_finish(sum), true};
    result->rows++;
    result->checksum += row->hash;
}

/* growing_text - sum with the event's text idx as field number `field`; false: the payload lies. */
static inline bool
growing_text(const struct nexmark_log *log, const struct nexmark_event *e, uint32_t idx,
    uint32_t field, uint64_t *sum)
{
    const uint8_t *payload = nexmark_log_payload(log, e);
    struct nexmark_text text;
    if (payload == NULL || !nexmark_event_text(e, payload, idx, &text)) {
        return false;
    }
    *sum = weir_row_add(*sum, field, weir_row_text(text.ptr, text.bytes));
    return true;
}

/* growing_bid - the sum of a whole bid: auction, bidder, price, channel, url, time, extra. */
static inline bool
growing_bid(const struct nexmark_log *log, const struct nexmark_event *e, uint64_t *ret_sum)
{
    uint64_t sum = weir_row_add(0, 0, (uint64_t)e->id_or_auction);
    sum = weir_row_add(sum, 1, (uint64_t)e->seller_or_bidder);
    sum = weir_row_add(sum, 2, (uint64_t)e->initial_bid_or_price);
    sum = weir_row_add(sum, 5, (uint64_t)e->time_ms);
    *ret_sum = sum;
    return growing_text(log, e, NEXMARK_BID_CHANNEL, 3, ret_sum) &&
           growing_text(log, e, NEXMARK_BID_URL, 4, ret_sum) &&
           growing_text(log, e, NEXMARK_EXTRA, 6, ret_sum);
}

#endif
