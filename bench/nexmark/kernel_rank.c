/* SPDX-License-Identifier: Apache-2.0 */
/* q18, q19: the latest bid of a bidder on an auction, and the ten highest of each auction. */
#include "bench/nexmark/growing.h"

#define TOP_CNT 10
/* Bids ahead whose places are fetched. */
#define AHEAD 16

/* ---- q18 ---- */

struct latest {
    struct growing_head head; /* a: the auction, b: the bidder */
    int64_t at;
    struct growing_row row;
};

int
kernel_q18(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    struct growing table = {NULL, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind != NEXMARK_BID) {
            continue;
        }
        if (i + AHEAD < log->record_cnt) {
            const struct nexmark_event *ahead = &log->records[i + AHEAD];
            growing_fetch(&table, sizeof(struct latest), (uint64_t)ahead->id_or_auction,
                (uint64_t)ahead->seller_or_bidder);
        }
        kernel_fetch(log, i + KERNEL_AHEAD, 4 * WEIR_LINE_BYTES);
        struct latest *latest = GROWING_AT(
            struct latest, &table, (uint64_t)e->id_or_auction, (uint64_t)e->seller_or_bidder);
        uint64_t sum;
        if (latest == NULL || !growing_bid(log, e, &sum)) {
            return -1;
        }
        if (!latest->row.is_there || e->time_ms >= latest->at) {
            latest->at = e->time_ms;
            growing_row_set(&result, &latest->row, sum);
        }
    }
    *ret_result = result;
    return 0;
}

/* ---- q19 ---- */

struct ranked {
    int64_t price;
    int64_t at;
    uint64_t sum; /* of the row's fields without the rank */
};

struct top {
    struct growing_head head; /* a: the auction */
    uint32_t cnt;
    struct ranked ranked[TOP_CNT];
    struct growing_row row[TOP_CNT];
};

/* Of equal prices the earlier comes first, of equal times the one that was there. */
static inline uint32_t
rank_of(const struct top *top, const struct nexmark_event *e)
{
    uint32_t rank = top->cnt;
    while (rank > 0 && (top->ranked[rank - 1].price < e->initial_bid_or_price ||
                           (top->ranked[rank - 1].price == e->initial_bid_or_price &&
                               top->ranked[rank - 1].at > e->time_ms))) {
        rank--;
    }
    return rank;
}

int
kernel_q19(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    struct growing table = {NULL, 0, 0};
    for (uint64_t i = 0; i < log->record_cnt; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind != NEXMARK_BID) {
            continue;
        }
        kernel_fetch(log, i + KERNEL_AHEAD, 4 * WEIR_LINE_BYTES);
        struct top *top = GROWING_AT(struct top, &table, (uint64_t)e->id_or_auction, 0);
        if (top == NULL) {
            return -1;
        }
        uint32_t rank = rank_of(top, e);
        if (rank == TOP_CNT) {
            continue;
        }
        uint64_t sum;
        if (!growing_bid(log, e, &sum)) {
            return -1;
        }
        top->cnt += top->cnt < TOP_CNT;
        memmove(&top->ranked[rank + 1], &top->ranked[rank],
            (top->cnt - 1 - rank) * sizeof top->ranked[0]);
        top->ranked[rank] = (struct ranked){e->initial_bid_or_price, e->time_ms, sum};
        for (uint32_t r = rank; r < top->cnt; r++) {
            growing_row_set(
                &result, &top->row[r], weir_row_add(top->ranked[r].sum, 7, UINT64_C(1) + r));
        }
    }
    *ret_result = result;
    return 0;
}
