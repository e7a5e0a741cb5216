/* SPDX-License-Identifier: Apache-2.0 */
/* q4, q6, q9: each auction's winning bid: the highest while it was open, the earliest of equal
 * ones.
 *
 * A bid that comes before its auction waits for it, in a chain through the records. All answers are
 * right at any time, not only at the end: a better bid changes them at once. Two auctions of one id
 * are no log of this generator, and no result.
 */
#include "bench/nexmark/growing.h"

#define EARLIER_CNT 10

struct lot {
    struct growing_head head; /* a: the auction's id */
    const struct nexmark_event *auction; /* NULL: it has not come */
    const struct nexmark_event *best; /* NULL: there is none */
    uint32_t waiting; /* 1 + the bid that came last before the auction */
    struct growing_row row; /* q9 */
};

/* q4: the sum and number of winning prices of a category. */
struct category {
    struct growing_head head;
    int64_t sum;
    int64_t cnt;
    struct growing_row row;
};

/* q6: the sales of a seller, by time and auction. */
struct sale {
    int64_t at;
    int64_t auction;
    int64_t price;
    struct growing_row row;
};
struct seller {
    struct growing_head head;
    struct sale *sales;
    uint32_t cnt;
    uint32_t room;
};

struct won {
    const struct nexmark_log *log;
    struct kernel_result result;
    struct growing lots;
    struct growing groups; /* categories or sellers */
    uint32_t *next; /* of a waiting bid: 1 + the one that waited before it */
};

/* What an auction's better bid changes; lot->best is still the one before. */
typedef int(better_fn)(struct won *won, struct lot *lot, const struct nexmark_event *bid);

static inline int
offer(struct won *won, struct lot *lot, const struct nexmark_event *bid, better_fn *better)
{
    const struct nexmark_event *best = lot->best;
    if (bid->time_ms < lot->auction->time_ms || bid->time_ms > lot->auction->expires_ms) {
        return 0;
    }
    if (best != NULL && (bid->initial_bid_or_price < best->initial_bid_or_price ||
                            (bid->initial_bid_or_price == best->initial_bid_or_price &&
                                bid->time_ms >= best->time_ms))) {
        return 0;
    }
    int err = better(won, lot, bid);
    lot->best = bid;
    return err;
}

/* The bids that waited, in the order they came: the chain has the last one first. */
static inline int
open_lot(struct won *won, struct lot *lot, const struct nexmark_event *auction, better_fn *better)
{
    uint32_t first = 0;
    int err = lot->auction != NULL ? -1 : 0;
    for (uint32_t at = lot->waiting; at != 0;) {
        uint32_t before = won->next[at - 1];
        won->next[at - 1] = first;
        first = at;
        at = before;
    }
    lot->auction = auction;
    for (uint32_t at = first; at != 0 && err == 0; at = won->next[at - 1]) {
        err = offer(won, lot, &won->log->records[at - 1], better);
    }
    return err;
}

static inline __attribute__((always_inline)) int
run(const struct kernel_input *input, struct kernel_result *ret_result, better_fn *better)
{
    const struct nexmark_log *log = &input->log;
    struct won won = {.log = log, .result = {log->record_cnt, 0, 0}};
    int err = 0;
    won.next = malloc(log->record_cnt * sizeof *won.next);
    if (won.next == NULL) {
        return -1;
    }
    for (uint64_t i = 0; i < log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind == NEXMARK_PERSON) {
            continue;
        }
        struct lot *lot = GROWING_AT(struct lot, &won.lots, (uint64_t)e->id_or_auction, 0);
        if (WEIR_UNLIKELY(lot == NULL)) {
            err = -1;
        } else if (e->kind == NEXMARK_AUCTION) {
            err = open_lot(&won, lot, e, better);
        } else if (WEIR_LIKELY(lot->auction != NULL)) {
            err = offer(&won, lot, e, better);
        } else {
            won.next[i] = lot->waiting;
            lot->waiting = (uint32_t)i + 1;
        }
    }
    *ret_result = won.result;
    return err;
}

/* ---- q4 ---- */

static inline int
better_q4(struct won *won, struct lot *lot, const struct nexmark_event *bid)
{
    uint64_t key = (uint64_t)lot->auction->category;
    struct category *category = GROWING_AT(struct category, &won->groups, key, 0);
    if (category == NULL) {
        return -1;
    }
    category->cnt += lot->best == NULL;
    category->sum +=
        bid->initial_bid_or_price - (lot->best != NULL ? lot->best->initial_bid_or_price : 0);
    uint64_t sum = weir_row_add(0, 0, key);
    sum = weir_row_add(sum, 1, (uint64_t)(category->sum / category->cnt));
    growing_row_set(&won->result, &category->row, sum);
    return 0;
}

int
kernel_q4(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, better_q4);
}

/* ---- q6 ---- */

/* The place of a sale of this time and auction, or where it belongs; mostly at the end. */
static uint32_t
place(const struct seller *seller, int64_t at, int64_t auction)
{
    uint32_t i = seller->cnt;
    while (
        i > 0 && (seller->sales[i - 1].at > at ||
                     (seller->sales[i - 1].at == at && seller->sales[i - 1].auction >= auction))) {
        i--;
    }
    return i;
}

static int
make_room(struct seller *seller)
{
    if (seller->cnt < seller->room) {
        return 0;
    }
    seller->room = seller->room == 0 ? 16 : 2 * seller->room;
    seller->sales = realloc(seller->sales, seller->room * sizeof *seller->sales);
    return seller->sales == NULL ? -1 : 0;
}

/* The rows of the sales [from, end): the average of each price and the ten before it. */
static void
average(struct won *won, struct seller *seller, uint32_t from, uint32_t end)
{
    uint32_t first = from > EARLIER_CNT ? from - EARLIER_CNT : 0;
    int64_t total = 0;
    for (uint32_t i = first; i < from; i++) {
        total += seller->sales[i].price;
    }
    for (uint32_t i = from; i < end; i++) {
        if (i - first > EARLIER_CNT) {
            total -= seller->sales[first++].price;
        }
        total += seller->sales[i].price;
        uint64_t sum = weir_row_add(0, 0, seller->head.a);
        sum = weir_row_add(sum, 1, (uint64_t)(total / (i - first + 1)));
        growing_row_set(&won->result, &seller->sales[i].row, sum);
    }
}

static inline int
better_q6(struct won *won, struct lot *lot, const struct nexmark_event *bid)
{
    int64_t auction = bid->id_or_auction;
    uint64_t key = (uint64_t)lot->auction->seller_or_bidder;
    struct seller *seller = GROWING_AT(struct seller, &won->groups, key, 0);
    uint32_t from = UINT32_MAX;
    uint32_t last = 0;
    if (seller == NULL || make_room(seller) != 0) {
        return -1;
    }
    if (lot->best != NULL) {
        from = last = place(seller, lot->best->time_ms, auction);
        growing_row_take_back(&won->result, &seller->sales[from].row);
        seller->cnt--;
        memmove(&seller->sales[from], &seller->sales[from + 1],
            (seller->cnt - from) * sizeof *seller->sales);
    }
    uint32_t at = place(seller, bid->time_ms, auction);
    memmove(&seller->sales[at + 1], &seller->sales[at], (seller->cnt - at) * sizeof *seller->sales);
    seller->sales[at] =
        (struct sale){.at = bid->time_ms, .auction = auction, .price = bid->initial_bid_or_price};
    seller->cnt++;
    from = weir_min_u32(from, at);
    last = last > at ? last : at;
    average(won, seller, from, weir_min_u32(seller->cnt, last + EARLIER_CNT + 1));
    return 0;
}

int
kernel_q6(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, better_q6);
}

/* ---- q9 ---- */

static inline int
better_q9(struct won *won, struct lot *lot, const struct nexmark_event *bid)
{
    const struct nexmark_event *a = lot->auction;
    const uint8_t *payload = nexmark_log_payload(won->log, a);
    uint64_t sum = weir_row_add(0, 0, (uint64_t)a->id_or_auction);
    sum = weir_row_add(sum, 3, (uint64_t)a->initial_bid_or_price);
    sum = weir_row_add(sum, 4, payload != NULL ? (uint64_t)nexmark_event_reserve(a, payload) : 0);
    sum = weir_row_add(sum, 5, (uint64_t)a->time_ms);
    sum = weir_row_add(sum, 6, (uint64_t)a->expires_ms);
    sum = weir_row_add(sum, 7, (uint64_t)a->seller_or_bidder);
    sum = weir_row_add(sum, 8, (uint64_t)a->category);
    sum = weir_row_add(sum, 10, (uint64_t)bid->id_or_auction);
    sum = weir_row_add(sum, 11, (uint64_t)bid->seller_or_bidder);
    sum = weir_row_add(sum, 12, (uint64_t)bid->initial_bid_or_price);
    sum = weir_row_add(sum, 13, (uint64_t)bid->time_ms);
    if (!growing_text(won->log, a, NEXMARK_AUCTION_ITEM, 1, &sum) ||
        !growing_text(won->log, a, NEXMARK_AUCTION_DESCRIPTION, 2, &sum) ||
        !growing_text(won->log, a, NEXMARK_EXTRA, 9, &sum) ||
        !growing_text(won->log, bid, NEXMARK_EXTRA, 14, &sum)) {
        return -1;
    }
    growing_row_set(&won->result, &lot->row, sum);
    return 0;
}

int
kernel_q9(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, better_q9);
}
