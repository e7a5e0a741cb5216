/* SPDX-License-Identifier: Apache-2.0 */
/* q20: bids with what else there is about them. */
#include "apps/nexmark/query_row.h"

/* q20: bids with their auction's columns, of auctions of category 10; whichever came first. */
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
#define AUCTION_BID(F)  \
    F(i64, auction)     \
    F(i64, bidder)      \
    F(i64, price)       \
    F(str, channel)     \
    F(str, url)         \
    F(ts, bid_dateTime) \
    F(str, bid_extra)   \
    F(str, itemName)    \
    F(str, description) \
    F(i64, initialBid)  \
    F(i64, reserve)     \
    F(ts, auction_dateTime) F(ts, expires) F(i64, seller) F(i64, category) F(str, auction_extra)
WEIR_SCHEMA(auction_bid, AUCTION_BID)

WEIR_FILTER(is_bid, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_BID;
}

WEIR_FILTER(is_auction_of_10, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_AUCTION && in->category == 10;
}

WEIR_MAP_OF_TEXT(to_full_bid, nexmark_row, full_bid, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->channel = bid_text(in, heap, NEXMARK_BID_CHANNEL);
    out->url = bid_text(in, heap, NEXMARK_BID_URL);
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
}

WEIR_MAP_OF_TEXT(to_full_auction, nexmark_row, full_auction, payload)
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

WEIR_JOIN(on_auction, full_bid, full_auction, auction_bid)
{
    row->auction = left->auction;
    row->bidder = left->bidder;
    row->price = left->price;
    weir_join_text(out, &row->channel, &left->channel, at->left_heap);
    weir_join_text(out, &row->url, &left->url, at->left_heap);
    row->bid_dateTime = left->dateTime;
    weir_join_text(out, &row->bid_extra, &left->extra, at->left_heap);
    weir_join_text(out, &row->itemName, &right->itemName, at->right_heap);
    weir_join_text(out, &row->description, &right->description, at->right_heap);
    row->initialBid = right->initialBid;
    row->reserve = right->reserve;
    row->auction_dateTime = right->dateTime;
    row->expires = right->expires;
    row->seller = right->seller;
    row->category = right->category;
    weir_join_text(out, &row->auction_extra, &right->extra, at->right_heap);
    return true;
}

struct weir_stream *
nexmark_q20(struct weir_stream *events)
{
    struct weir_stream *b = weir_filter(events, "is_bid", &is_bid_op);
    struct weir_stream *a = weir_filter(events, "is_auction_of_10", &is_auction_of_10_op);
    b = weir_map(b, "to_full_bid", &to_full_bid_op);
    a = weir_map(a, "to_full_auction", &to_full_auction_op);
    return weir_join(weir_key_by(b, WEIR_KEY(full_bid, auction)),
        weir_key_by(a, WEIR_KEY(full_auction, id)), "on_auction", &on_auction_join);
}
