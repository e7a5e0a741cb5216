/* SPDX-License-Identifier: Apache-2.0 */
/* q13, q20: bids with what else there is about them. */
#include <stdlib.h>

#include "apps/nexmark/query_row.h"
#include "sched/table.h"

/* q13: every bid with the value that the side table has under its auction modulo 10,000. */
#define SIDE_KEY_CNT 10000
#define SIDE_ROW(F) F(i64, key) F(str, value)
WEIR_SCHEMA(side_row, SIDE_ROW)
#define KEYED_BID(F) F(i64, auction) F(i64, bidder) F(i64, price) F(time, dateTime) F(i64, key)
WEIR_SCHEMA(keyed_bid, KEYED_BID)
#define VALUED_BID(F) F(i64, auction) F(i64, bidder) F(i64, price) F(time, dateTime) F(str, value)
WEIR_SCHEMA(valued_bid, VALUED_BID)

WEIR_MAP(to_keyed, nexmark_row, keyed_bid)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->dateTime = in->at;
    out->key = in->id % SIDE_KEY_CNT; /* with the sign of the id, as SQL's modulus */
}

WEIR_JOIN(with_value, keyed_bid, side_row, valued_bid)
{
    row->auction = left->auction;
    row->bidder = left->bidder;
    row->price = left->price;
    row->dateTime = left->dateTime;
    weir_join_text(out, &row->value, &right->value, at->right_heap);
    return true;
}

/* Keys 0 to cnt - 1, with their own text as their value. */
struct side_conf {
    int64_t cnt;
};

struct side_self {
    int64_t next;
};

static int
side_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct side_conf *conf = op->conf;
    struct side_self *self = op->self;
    (void)now_ns;
    for (; self->next < conf->cnt; self->next++) {
        char text[24];
        int bytes = snprintf(text, sizeof text, "%lld", (long long)self->next);
        if (!weir_out_room(out, 1, sizeof text)) {
            return WEIR_AGAIN;
        }
        struct side_row *row = side_row_emit(out);
        row->key = self->next;
        weir_str_set_bytes(out, &row->value, text, (uint32_t)bytes);
    }
    return WEIR_DONE;
}

static const struct weir_operator_type side_type = {
    .name = "side",
    .self_bytes = sizeof(struct side_self),
    .output_cnt = 1,
    .poll = side_poll,
};

static void
side_table(struct weir_env *env, struct weir_lookup_conf *conf)
{
    const char *name = weir_param(env, "side_input")[0] != '\0' ? "side_input" : "side";
    const char *path = weir_param(env, name);
    char *end;
    if (strncmp(path, "gen:", 4) == 0) {
        struct side_conf *side = weir_env_alloc(env, sizeof *side);
        side->cnt = strtoll(path + 4, &end, 10);
        if (end == path + 4 || *end != '\0' || side->cnt < 0) {
            weir_env_fail(env, WEIR_ECONFIG, "parameter %s: gen:N, not %s", name, path);
        }
        conf->source = &side_type;
        conf->source_conf = side;
    } else {
        struct weir_lines_conf *lines = weir_env_alloc(env, sizeof *lines);
        lines->path = path;
        lines->refuse_directory = true;
        lines->decoder = &weir_decode_csv;
        conf->source = &weir_lines_type;
        conf->source_conf = lines;
    }
}

struct weir_stream *
nexmark_q13(struct weir_stream *bids)
{
    struct weir_lookup_conf conf = {.join = &with_value_join,
        .left_key = WEIR_KEY(keyed_bid, key),
        .right_key = WEIR_KEY(side_row, key)};
    side_table(weir_stream_env(bids), &conf);
    return weir_lookup_join(weir_map(bids, "to_keyed", &to_keyed_op), "with_value", &conf);
}

/* q20: bids with their auction's columns, of auctions of category 10; whichever came first. */
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
    full_bid_of(in, heap, out);
}

WEIR_MAP_OF_TEXT(to_full_auction, nexmark_row, full_auction, payload)
{
    full_auction_of(in, heap, out);
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
