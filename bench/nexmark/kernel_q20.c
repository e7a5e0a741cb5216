/* SPDX-License-Identifier: Apache-2.0 */
/* q20: bids with their auction's columns, of auctions of category 10, whichever came first. */
#include "bench/nexmark/growing.h"

#define CATEGORY 10

struct lot {
    struct growing_head head; /* a: the auction's id */
    const struct nexmark_event *auction; /* NULL: it has not come */
    uint32_t waiting; /* 1 + the bid that came last before it */
};

static inline int
emit(const struct nexmark_log *log, const struct nexmark_event *a, const struct nexmark_event *bid,
    struct kernel_result *result)
{
    const uint8_t *payload = nexmark_log_payload(log, a);
    uint64_t sum;
    if (payload == NULL || !growing_bid(log, bid, &sum)) {
        return -1;
    }
    sum = weir_row_add(sum, 9, (uint64_t)a->initial_bid_or_price);
    sum = weir_row_add(sum, 10, (uint64_t)nexmark_event_reserve(a, payload));
    sum = weir_row_add(sum, 11, (uint64_t)a->time_ms);
    sum = weir_row_add(sum, 12, (uint64_t)a->expires_ms);
    sum = weir_row_add(sum, 13, (uint64_t)a->seller_or_bidder);
    sum = weir_row_add(sum, 14, (uint64_t)a->category);
    if (!growing_text(log, a, NEXMARK_AUCTION_ITEM, 7, &sum) ||
        !growing_text(log, a, NEXMARK_AUCTION_DESCRIPTION, 8, &sum) ||
        !growing_text(log, a, NEXMARK_EXTRA, 15, &sum)) {
        return -1;
    }
    kernel_emit(result, sum);
    return 0;
}

/* Two auctions of one id are no log of this generator, and no result. */
static int
open_lot(const struct nexmark_log *log, struct lot *lot, const struct nexmark_event *auction,
    const uint32_t *next, struct kernel_result *result)
{
    int err = lot->auction != NULL ? -1 : 0;
    lot->auction = auction;
    bool is_wanted = auction->category == CATEGORY;
    for (uint32_t at = is_wanted ? lot->waiting : 0; at != 0 && err == 0; at = next[at - 1]) {
        err = emit(log, auction, &log->records[at - 1], result);
    }
    return err;
}

int
kernel_q20(const struct kernel_input *input, struct kernel_result *ret_result)
{
    const struct nexmark_log *log = &input->log;
    struct kernel_result result = {log->record_cnt, 0, 0};
    struct growing lots = {NULL, 0, 0};
    uint32_t *next = malloc(log->record_cnt * sizeof *next); /* of a waiting bid, the one before */
    int err = next == NULL ? -1 : 0;
    for (uint64_t i = 0; i < log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind == NEXMARK_PERSON) {
            continue;
        }
        struct lot *lot = GROWING_AT(struct lot, &lots, (uint64_t)e->id_or_auction, 0);
        if (WEIR_UNLIKELY(lot == NULL)) {
            err = -1;
        } else if (e->kind == NEXMARK_AUCTION) {
            err = open_lot(log, lot, e, next, &result);
        } else if (WEIR_UNLIKELY(lot->auction == NULL)) {
            next[i] = lot->waiting;
            lot->waiting = (uint32_t)i + 1;
        } else if (lot->auction->category == CATEGORY) {
            err = emit(log, lot->auction, e, &result);
        }
    }
    *ret_result = result;
    return err;
}
