/* SPDX-License-Identifier: Apache-2.0 */
/* q15, q16, q17: bids counted per day, and per channel or auction and day. */
#include "apps/nexmark/query_change.h"

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)

/* The bounds of the ranges of prices that are counted apart. */
#define LOW_PRICE 10000
#define HIGH_PRICE 1000000

/* The start of the whole day or minute that a time lies in. */
static inline int64_t
floor_to(int64_t at, int64_t unit)
{
    int64_t rest = at % unit;
    return at - rest - (rest < 0 ? unit : 0);
}

#define DAY_BID(F) F(str, day) F(i64, auction) F(i64, bidder) F(i64, price)
WEIR_SCHEMA(day_bid, DAY_BID)
#define AUCTION_BID(F) F(ts, day_ms) F(i64, auction) F(i64, price)
WEIR_SCHEMA(auction_bid, AUCTION_BID)
#define CHANNEL_BID(F) \
    F(str, channel)    \
    F(ts, day_ms) F(ts, minute_ms) F(i64, auction) F(i64, bidder) F(i64, price)
WEIR_SCHEMA(channel_bid, CHANNEL_BID)

WEIR_MAP(to_day_bid, nexmark_row, day_bid)
{
    out->day = day_of(in->at);
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
}

WEIR_MAP(to_auction_bid, nexmark_row, auction_bid)
{
    out->day_ms = floor_to(in->at, DAY_MS);
    out->auction = in->id;
    out->price = in->price;
}

WEIR_MAP_OF_TEXT(to_channel_bid, nexmark_row, channel_bid, payload)
{
    out->channel = bid_text(in, heap, NEXMARK_BID_CHANNEL);
    out->day_ms = floor_to(in->at, DAY_MS);
    out->minute_ms = floor_to(in->at, MINUTE_MS);
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
}

#define TOTALS(F)         \
    F(i64, total_bids)    \
    F(i64, rank1_bids)    \
    F(i64, rank2_bids)    \
    F(i64, rank3_bids)    \
    F(i64, total_bidders) \
    F(i64, rank1_bidders) \
    F(i64, rank2_bidders) \
    F(i64, rank3_bidders) \
    F(i64, total_auctions) F(i64, rank1_auctions) F(i64, rank2_auctions) F(i64, rank3_auctions)
#define DAY_TOTALS(F) F(str, day) TOTALS(F)
WEIR_SCHEMA(day_totals, DAY_TOTALS)
#define TOTALS_BY_CHANNEL(F) F(str, channel) F(ts, day_ms) F(ts, minute_ms) TOTALS(F)
WEIR_SCHEMA(totals_by_channel, TOTALS_BY_CHANNEL)
#define CHANNEL_TOTALS(F) F(str, channel) F(str, day) F(str, minute) TOTALS(F)
WEIR_SCHEMA(channel_totals, CHANNEL_TOTALS)

/* A count of all, and of three ranges of prices. */
#define RANGES(kind, of, what)                                     \
    {kind, "total_" what, of, NULL, 0, 0},                         \
        {kind, "rank1_" what, of, "price", INT64_MIN, LOW_PRICE},  \
        {kind, "rank2_" what, of, "price", LOW_PRICE, HIGH_PRICE}, \
    {                                                              \
        kind, "rank3_" what, of, "price", HIGH_PRICE, INT64_MAX    \
    }
#define TOTAL_COLUMNS                                                                         \
    RANGES(WEIR_GROUP_COUNT, NULL, "bids"), RANGES(WEIR_GROUP_DISTINCT, "bidder", "bidders"), \
        RANGES(WEIR_GROUP_DISTINCT, "auction", "auctions")
#define TOTAL_COLUMN_CNT 12

#define COPY_TOTAL(type, field) out->field = in->field;

WEIR_MAP(to_channel_totals, totals_by_channel, channel_totals)
{
    out->channel = in->channel;
    out->day = day_of(in->day_ms);
    out->minute = minute_of(in->minute_ms);
    TOTALS(COPY_TOTAL)
}

/* q15: per day. */
struct weir_stream *
nexmark_q15(struct weir_stream *bids)
{
    static const struct weir_group_conf totals = {
        .column = {TOTAL_COLUMNS}, .column_cnt = TOTAL_COLUMN_CNT};
    struct weir_stream *s = weir_map(bids, "to_day_bid", &to_day_bid_op);
    s = weir_group(weir_key_by(s, WEIR_KEY(day_bid, day)), "totals", &totals, day_totals_schema());
    return nexmark_answer(weir_key_by(s, WEIR_KEY(day_totals, day)), WEIR_FOLD_UPSERT);
}

/* q16: per channel and day, with the latest minute of a bid. */
struct weir_stream *
nexmark_q16(struct weir_stream *bids)
{
    static const struct weir_group_conf totals = {
        .column = {TOTAL_COLUMNS, {WEIR_GROUP_MAX, "minute_ms", "minute_ms", NULL, 0, 0}},
        .column_cnt = TOTAL_COLUMN_CNT + 1};
    struct weir_stream *s = weir_map(bids, "to_channel_bid", &to_channel_bid_op);
    s = weir_group(weir_key_by(s, WEIR_KEY2(channel_bid, channel, day_ms)), "totals", &totals,
        totals_by_channel_schema());
    s = weir_map(s, "to_channel_totals", &to_channel_totals_op);
    return nexmark_answer(
        weir_key_by(s, WEIR_KEY2(channel_totals, channel, day)), WEIR_FOLD_UPSERT);
}

/* q17: per auction and day. */
#define PRICES(F)      \
    F(i64, total_bids) \
    F(i64, rank1_bids) \
    F(i64, rank2_bids) \
    F(i64, rank3_bids) F(i64, min_price) F(i64, max_price) F(i64, avg_price) F(i64, sum_price)
#define PRICES_BY_DAY(F) F(i64, auction) F(ts, day_ms) PRICES(F)
WEIR_SCHEMA(prices_by_day, PRICES_BY_DAY)
#define DAY_PRICES(F) F(i64, auction) F(str, day) PRICES(F)
WEIR_SCHEMA(day_prices, DAY_PRICES)

WEIR_MAP(to_day_prices, prices_by_day, day_prices)
{
    out->auction = in->auction;
    out->day = day_of(in->day_ms);
    PRICES(COPY_TOTAL)
}

struct weir_stream *
nexmark_q17(struct weir_stream *bids)
{
    static const struct weir_group_conf prices = {
        .column = {RANGES(WEIR_GROUP_COUNT, NULL, "bids"),
            {WEIR_GROUP_MIN, "min_price", "price", NULL, 0, 0},
            {WEIR_GROUP_MAX, "max_price", "price", NULL, 0, 0},
            {WEIR_GROUP_AVG, "avg_price", "price", NULL, 0, 0},
            {WEIR_GROUP_SUM, "sum_price", "price", NULL, 0, 0}},
        .column_cnt = 8};
    struct weir_stream *s = weir_map(bids, "to_auction_bid", &to_auction_bid_op);
    s = weir_group(weir_key_by(s, WEIR_KEY2(auction_bid, auction, day_ms)), "prices", &prices,
        prices_by_day_schema());
    s = weir_map(s, "to_day_prices", &to_day_prices_op);
    return nexmark_answer(weir_key_by(s, WEIR_KEY2(day_prices, auction, day)), WEIR_FOLD_UPSERT);
}
