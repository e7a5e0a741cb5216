/* SPDX-License-Identifier: Apache-2.0 */
/* q15, q16, q17: bids counted per day, per channel and day, and per auction and day. Each bid
 * changes a row. */
#include "bench/nexmark/growing.h"
#include "dataplane/time_text.h"

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)
#define LOW_PRICE 10000
#define HIGH_PRICE 1000000
#define RANK_CNT 3

/* An id that was seen: under which of the ranks. */
struct seen {
    struct growing_head head; /* a: the id, b: the group's number */
    uint32_t ranks;
};

struct counts {
    struct growing_head head;
    uint64_t number;
    uint64_t bids[1 + RANK_CNT]; /* [0]: all */
    uint64_t bidders[1 + RANK_CNT];
    uint64_t auctions[1 + RANK_CNT];
    int64_t minute; /* q16: the latest */
    uint64_t minute_text; /* their hashes */
    uint64_t day_text;
    uint64_t channel_text;
    const char *channel;
    uint32_t channel_bytes;
    struct growing_row row;
};

struct group {
    const struct nexmark_log *log;
    struct kernel_result result;
    struct growing groups;
    struct growing bidders;
    struct growing auctions;
};

static inline uint32_t
rank_of(int64_t price)
{
    return price < LOW_PRICE ? 0 : price < HIGH_PRICE ? 1 : 2;
}

static inline int64_t
floor_to(int64_t at, int64_t unit)
{
    int64_t rest = at % unit;
    return at - rest - (rest < 0 ? unit : 0);
}

/* The hash of part [at, at + bytes) of a time's text; of nothing where the year is out of range. */
static uint64_t
text_of(int64_t ms, size_t at, size_t bytes)
{
    char text[WEIR_TIME_TEXT_BYTES];
    return weir_row_text(text + at, weir_time_print(ms, text) != 0 ? bytes : 0);
}

static inline int
see(struct growing *table, uint64_t id, const struct counts *counts, uint32_t rank, uint64_t *cnts)
{
    struct seen *seen = GROWING_AT(struct seen, table, id, counts->number);
    if (WEIR_UNLIKELY(seen == NULL)) {
        return -1;
    }
    cnts[0] += seen->ranks == 0;
    cnts[1 + rank] += (seen->ranks >> rank & 1) == 0;
    seen->ranks |= 1u << rank;
    return 0;
}

static inline int
count(struct group *group, struct counts *counts, const struct nexmark_event *e)
{
    uint32_t rank = rank_of(e->initial_bid_or_price);
    counts->bids[0]++;
    counts->bids[1 + rank]++;
    int err = see(&group->bidders, (uint64_t)e->seller_or_bidder, counts, rank, counts->bidders);
    return err != 0
               ? err
               : see(&group->auctions, (uint64_t)e->id_or_auction, counts, rank, counts->auctions);
}

static inline uint64_t
add_counts(uint64_t sum, uint32_t field, const struct counts *counts)
{
    for (uint32_t i = 0; i <= RANK_CNT; i++) {
        sum = weir_row_add(sum, field + i, counts->bids[i]);
        sum = weir_row_add(sum, field + 4 + i, counts->bidders[i]);
        sum = weir_row_add(sum, field + 8 + i, counts->auctions[i]);
    }
    return sum;
}

/* ---- q15 ---- */

static inline int
bid_q15(struct group *group, const struct nexmark_event *e)
{
    uint64_t day = (uint64_t)floor_to(e->time_ms, DAY_MS);
    struct counts *counts = GROWING_AT(struct counts, &group->groups, day, 0);
    if (WEIR_UNLIKELY(counts == NULL)) {
        return -1;
    }
    if (WEIR_UNLIKELY(counts->number == 0)) {
        counts->number = group->groups.cnt;
        counts->day_text = text_of((int64_t)day, 0, 10);
    }
    int err = count(group, counts, e);
    uint64_t sum = weir_row_add(0, 0, counts->day_text);
    growing_row_set(&group->result, &counts->row, add_counts(sum, 1, counts));
    return err;
}

/* ---- q16 ---- */

static int
begin_channel(
    struct group *group, struct counts *counts, const struct nexmark_text *text, uint64_t day)
{
    counts->number = group->groups.cnt;
    counts->day_text = text_of((int64_t)day, 0, 10);
    counts->channel = text->ptr;
    counts->channel_bytes = text->bytes;
    counts->channel_text = counts->head.a;
    counts->minute = INT64_MIN;
    return 0;
}

/* Channels of one hash are told apart, by having no result. */
static inline int
bid_q16(struct group *group, const struct nexmark_event *e)
{
    const uint8_t *payload = nexmark_log_payload(group->log, e);
    struct nexmark_text text;
    if (payload == NULL || !nexmark_event_text(e, payload, NEXMARK_BID_CHANNEL, &text)) {
        return -1;
    }
    uint64_t day = (uint64_t)floor_to(e->time_ms, DAY_MS);
    uint64_t hash = weir_row_text(text.ptr, text.bytes);
    struct counts *counts = GROWING_AT(struct counts, &group->groups, hash, day);
    if (WEIR_UNLIKELY(counts == NULL)) {
        return -1;
    }
    if (WEIR_UNLIKELY(counts->number == 0)) {
        (void)begin_channel(group, counts, &text, day);
    }
    if (counts->channel_bytes != text.bytes || memcmp(counts->channel, text.ptr, text.bytes) != 0) {
        return -1;
    }
    int64_t minute = floor_to(e->time_ms, MINUTE_MS);
    if (WEIR_UNLIKELY(minute > counts->minute)) {
        counts->minute = minute;
        counts->minute_text = text_of(minute, 11, 5);
    }
    int err = count(group, counts, e);
    uint64_t sum = weir_row_add(0, 0, counts->channel_text);
    sum = weir_row_add(sum, 1, counts->day_text);
    sum = weir_row_add(sum, 2, counts->minute_text);
    growing_row_set(&group->result, &counts->row, add_counts(sum, 3, counts));
    return err;
}

/* ---- q17 ---- */

struct prices {
    struct growing_head head; /* a: the auction, b: the day */
    uint64_t bids[1 + RANK_CNT];
    int64_t min;
    int64_t max;
    int64_t sum;
    uint64_t day_text;
    struct growing_row row;
};

static inline int
bid_q17(struct group *group, const struct nexmark_event *e)
{
    uint64_t day = (uint64_t)floor_to(e->time_ms, DAY_MS);
    uint64_t auction = (uint64_t)e->id_or_auction;
    int64_t price = e->initial_bid_or_price;
    struct prices *prices = GROWING_AT(struct prices, &group->groups, auction, day);
    if (WEIR_UNLIKELY(prices == NULL)) {
        return -1;
    }
    if (prices->bids[0] == 0) {
        prices->min = prices->max = price;
        prices->day_text = text_of((int64_t)day, 0, 10);
    }
    prices->bids[0]++;
    prices->bids[1 + rank_of(price)]++;
    prices->min = weir_min_i64(prices->min, price);
    prices->max = weir_max_i64(prices->max, price);
    prices->sum += price;
    uint64_t sum = weir_row_add(weir_row_add(0, 0, auction), 1, prices->day_text);
    for (uint32_t i = 0; i <= RANK_CNT; i++) {
        sum = weir_row_add(sum, 2 + i, prices->bids[i]);
    }
    sum = weir_row_add(sum, 6, (uint64_t)prices->min);
    sum = weir_row_add(sum, 7, (uint64_t)prices->max);
    sum = weir_row_add(sum, 8, (uint64_t)(prices->sum / (int64_t)prices->bids[0]));
    growing_row_set(&group->result, &prices->row, weir_row_add(sum, 9, (uint64_t)prices->sum));
    return 0;
}

/* ---- all ---- */

typedef int(bid_fn)(struct group *group, const struct nexmark_event *e);

static inline __attribute__((always_inline)) int
run(const struct kernel_input *input, struct kernel_result *ret_result, bid_fn *bid, bool fetches)
{
    const struct nexmark_log *log = &input->log;
    struct group group = {.log = log, .result = {log->record_cnt, 0, 0}};
    int err = 0;
    for (uint64_t i = 0; i < log->record_cnt && err == 0; i++) {
        const struct nexmark_event *e = &log->records[i];
        if (e->kind == NEXMARK_BID) {
            if (fetches) {
                kernel_fetch(log, i + KERNEL_AHEAD, 2 * WEIR_LINE_BYTES);
            }
            err = bid(&group, e);
        }
    }
    *ret_result = group.result;
    return err;
}

int
kernel_q15(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, bid_q15, false);
}

int
kernel_q16(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, bid_q16, true);
}

int
kernel_q17(const struct kernel_input *input, struct kernel_result *ret_result)
{
    return run(input, ret_result, bid_q17, false);
}
