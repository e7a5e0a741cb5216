/* SPDX-License-Identifier: Apache-2.0 */
/* q18, q19: the latest and the highest bids. */
#include "apps/nexmark/query_change.h"

WEIR_MAP_OF_TEXT(to_full_bid, nexmark_row, full_bid, payload)
{
    full_bid_of(in, heap, out);
}

/* q18: the latest bid of each bidder on each auction; of equal times the one that arrived last. */
struct weir_stream *
nexmark_q18(struct weir_stream *bids)
{
    static const struct weir_ranking_conf latest = {
        .by = {{"dateTime", true}}, .cnt = 1, .latest_first = true};
    struct weir_stream *s = weir_map(bids, "to_full_bid", &to_full_bid_op);
    s = weir_rank(
        weir_key_by(s, WEIR_KEY2(full_bid, auction, bidder)), "latest", &latest, full_bid_schema());
    return nexmark_answer(weir_key_by(s, WEIR_KEY2(full_bid, auction, bidder)), WEIR_FOLD_UPSERT);
}

/* q19: the ten highest bids of each auction. Of equal prices the one that arrived first comes
 * first: in a log the one of the earlier time, whichever way the two have come. */
#define RANKED_BID(F) FULL_BID(F) F(i64, rank_number)
WEIR_SCHEMA(ranked_bid, RANKED_BID)

struct weir_stream *
nexmark_q19(struct weir_stream *bids)
{
    static const struct weir_ranking_conf highest = {
        .by = {{"price", true}, {"dateTime", false}}, .cnt = 10, .rank_as = "rank_number"};
    struct weir_stream *s = weir_map(bids, "to_full_bid", &to_full_bid_op);
    s = weir_rank(
        weir_key_by(s, WEIR_KEY(full_bid, auction)), "highest", &highest, ranked_bid_schema());
    return nexmark_answer(
        weir_key_by(s, WEIR_KEY2(ranked_bid, auction, rank_number)), WEIR_FOLD_UPSERT);
}
