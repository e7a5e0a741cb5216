/* SPDX-License-Identifier: Apache-2.0 */
/* q4, q6, q9: the winning bids of auctions: the highest of those that came while an auction was
 * open, both ends included; of equal ones the earliest. */
#include "apps/nexmark/query_change.h"

WEIR_FILTER(is_bid, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_BID;
}

WEIR_FILTER(is_auction, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_AUCTION;
}

/* ---- q4: for each category the average, over its auctions, of the highest bid ---- */

#define LOT(F) F(i64, id) F(i64, category) F(ts, opens) F(ts, expires)
WEIR_SCHEMA(lot, LOT)
#define OFFER(F) F(i64, auction) F(i64, price) F(ts, at)
WEIR_SCHEMA(offer, OFFER)
#define LOT_OFFER(F) F(i64, auction) F(i64, category) F(i64, price)
WEIR_SCHEMA(lot_offer, LOT_OFFER)
#define CATEGORY_PRICE(F) F(i64, category) F(i64, final)
WEIR_SCHEMA(category_price, CATEGORY_PRICE)
#define CATEGORY_AVERAGE(F) F(i64, id) F(i64, final)
WEIR_SCHEMA(category_average, CATEGORY_AVERAGE)

WEIR_MAP(to_lot, nexmark_row, lot)
{
    out->id = in->id;
    out->category = in->category;
    out->opens = in->at;
    out->expires = in->expires;
}

WEIR_MAP(to_offer, nexmark_row, offer)
{
    out->auction = in->id;
    out->price = in->price;
    out->at = in->at;
}

WEIR_JOIN(offered, offer, lot, lot_offer)
{
    row->auction = left->auction;
    row->category = right->category;
    row->price = left->price;
    return left->at >= right->opens && left->at <= right->expires;
}

WEIR_MAP(to_category_average, category_price, category_average)
{
    out->id = in->category;
    out->final = in->final;
}

struct weir_stream *
nexmark_q4(struct weir_stream *events)
{
    static const struct weir_group_conf highest = {
        .column = {{WEIR_GROUP_MAX, "price", "price", NULL, 0, 0}}, .column_cnt = 1};
    static const struct weir_group_conf average = {
        .column = {{WEIR_GROUP_AVG, "final", "price", NULL, 0, 0}}, .column_cnt = 1};
    struct weir_stream *lots = weir_filter(events, "is_auction", &is_auction_op);
    struct weir_stream *offers = weir_filter(events, "is_bid", &is_bid_op);
    lots = weir_key_by(weir_map(lots, "to_lot", &to_lot_op), WEIR_KEY(lot, id));
    offers = weir_key_by(weir_map(offers, "to_offer", &to_offer_op), WEIR_KEY(offer, auction));
    struct weir_stream *s = weir_join(offers, lots, "offered", &offered_join);
    s = weir_key_by(s, WEIR_KEY2(lot_offer, auction, category));
    s = weir_group(s, "highest", &highest, lot_offer_schema());
    s = weir_key_by(s, WEIR_KEY(lot_offer, category));
    s = weir_group(s, "average", &average, category_price_schema());
    s = weir_map(s, "to_category_average", &to_category_average_op);
    return nexmark_answer(weir_key_by(s, WEIR_KEY(category_average, id)), WEIR_FOLD_UPSERT);
}

/* ---- q6: the averages of the prices of a seller's last auctions ---- */

/* Winning prices before each that its average is of. */
#define EARLIER_CNT 10

#define SALE_LOT(F) F(i64, id) F(i64, seller) F(ts, opens) F(ts, expires)
WEIR_SCHEMA(sale_lot, SALE_LOT)
#define SALE(F) F(i64, auction) F(i64, seller) F(i64, price) F(ts, at)
WEIR_SCHEMA(sale, SALE)
#define SALE_AVERAGE(F) F(i64, seller) F(i64, avg_price)
WEIR_SCHEMA(sale_average, SALE_AVERAGE)

WEIR_MAP(to_sale_lot, nexmark_row, sale_lot)
{
    out->id = in->id;
    out->seller = in->other;
    out->opens = in->at;
    out->expires = in->expires;
}

WEIR_JOIN(sold, offer, sale_lot, sale)
{
    row->auction = left->auction;
    row->seller = right->seller;
    row->price = left->price;
    row->at = left->at;
    return left->at >= right->opens && left->at <= right->expires;
}

struct weir_stream *
nexmark_q6(struct weir_stream *events)
{
    static const struct weir_ranking_conf winning = {
        .by = {{"price", true}, {"at", false}}, .cnt = 1};
    static const struct weir_rolling_conf average = {.by = {{"at", false}, {"auction", false}},
        .preceding = EARLIER_CNT,
        .kind = WEIR_GROUP_AVG,
        .of = "price",
        .as = "avg_price"};
    struct weir_stream *lots = weir_filter(events, "is_auction", &is_auction_op);
    struct weir_stream *offers = weir_filter(events, "is_bid", &is_bid_op);
    lots = weir_key_by(weir_map(lots, "to_lot", &to_sale_lot_op), WEIR_KEY(sale_lot, id));
    offers = weir_key_by(weir_map(offers, "to_offer", &to_offer_op), WEIR_KEY(offer, auction));
    struct weir_stream *s = weir_join(offers, lots, "sold", &sold_join);
    s = weir_rank(weir_key_by(s, WEIR_KEY(sale, auction)), "winning", &winning, sale_schema());
    s = weir_rolling(
        weir_key_by(s, WEIR_KEY(sale, seller)), "average", &average, sale_average_schema());
    return nexmark_answer(weir_key_by(s, WEIR_KEY(sale_average, seller)), WEIR_FOLD_ROWS);
}

/* ---- q9: each auction with its winning bid ---- */

#define WINNER(F)       \
    F(i64, id)          \
    F(str, itemName)    \
    F(str, description) \
    F(i64, initialBid)  \
    F(i64, reserve)     \
    F(ts, dateTime)     \
    F(ts, expires)      \
    F(i64, seller)      \
    F(i64, category)    \
    F(str, extra)       \
    F(i64, auction) F(i64, bidder) F(i64, price) F(ts, bid_dateTime) F(str, bid_extra)
WEIR_SCHEMA(winner, WINNER)

WEIR_MAP_OF_TEXT(to_bid, nexmark_row, bid, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
}

WEIR_MAP_OF_TEXT(to_full_auction, nexmark_row, full_auction, payload)
{
    full_auction_of(in, heap, out);
}

WEIR_JOIN(wins, bid, full_auction, winner)
{
    row->id = right->id;
    weir_join_text(out, &row->itemName, &right->itemName, at->right_heap);
    weir_join_text(out, &row->description, &right->description, at->right_heap);
    row->initialBid = right->initialBid;
    row->reserve = right->reserve;
    row->dateTime = right->dateTime;
    row->expires = right->expires;
    row->seller = right->seller;
    row->category = right->category;
    weir_join_text(out, &row->extra, &right->extra, at->right_heap);
    row->auction = left->auction;
    row->bidder = left->bidder;
    row->price = left->price;
    row->bid_dateTime = left->dateTime;
    weir_join_text(out, &row->bid_extra, &left->extra, at->left_heap);
    return left->dateTime >= right->dateTime && left->dateTime <= right->expires;
}

struct weir_stream *
nexmark_q9(struct weir_stream *events)
{
    static const struct weir_ranking_conf winning = {
        .by = {{"price", true}, {"bid_dateTime", false}}, .cnt = 1};
    struct weir_stream *a = weir_filter(events, "is_auction", &is_auction_op);
    struct weir_stream *b = weir_filter(events, "is_bid", &is_bid_op);
    a = weir_key_by(weir_map(a, "to_auction", &to_full_auction_op), WEIR_KEY(full_auction, id));
    b = weir_key_by(weir_map(b, "to_bid", &to_bid_op), WEIR_KEY(bid, auction));
    struct weir_stream *s = weir_join(b, a, "wins", &wins_join);
    s = weir_rank(weir_key_by(s, WEIR_KEY(winner, id)), "winning", &winning, winner_schema());
    return nexmark_answer(weir_key_by(s, WEIR_KEY(winner, id)), WEIR_FOLD_UPSERT);
}
