/* SPDX-License-Identifier: Apache-2.0 */
/* q5: bids counted in windows; q7 has a file of its own. */
#include "apps/nexmark/query_row.h"

/* q5: in each 10 s window sliding by 2 s, the auctions with the most bids. */
#define BID_COUNT(F) F(i64, auction) F(i64, num) F(time, window_time) F(ts, window_end)
WEIR_SCHEMA(bid_count, BID_COUNT)
#define HOT_AUCTION(F) F(i64, auction) F(i64, num)
WEIR_SCHEMA(hot_auction, HOT_AUCTION)

WEIR_MAP(to_hot, bid_count, hot_auction)
{
    out->auction = in->auction;
    out->num = in->num;
}

struct weir_stream *
nexmark_q5(struct weir_stream *bids)
{
    const struct weir_window_conf count = {
        .span = WEIR_SLIDE(10 * WEIR_S, 2 * WEIR_S),
        .aggregate = weir_aggregate_count(),
        .key_as = {"auction"},
        .top_cnt = 1,
    };
    const struct weir_top_conf most = {.by_field = "num", .cnt = 1, .ties = true};
    struct weir_stream *s = weir_key_by(bids, WEIR_KEY(nexmark_brief, id));
    s = weir_window(s, "count", &count, bid_count_schema());
    return weir_map(weir_top(s, "most", &most), "to_hot", &to_hot_op);
}
