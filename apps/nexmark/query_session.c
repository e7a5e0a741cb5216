/* SPDX-License-Identifier: Apache-2.0 */
/* q11, q12: how many bids each bidder makes, in windows of the bidder's own. */
#include "apps/nexmark/query_row.h"

#define BIDDER_WINDOW(F) F(i64, bidder) F(i64, bid_count) F(ts, window_start) F(ts, window_end)
WEIR_SCHEMA(bidder_window, BIDDER_WINDOW)
#define BIDDER_COUNT(F) F(i64, bidder) F(i64, bid_count) F(ts, starttime) F(ts, endtime)
WEIR_SCHEMA(bidder_count, BIDDER_COUNT)

WEIR_MAP(to_bidder_count, bidder_window, bidder_count)
{
    out->bidder = in->bidder;
    out->bid_count = in->bid_count;
    out->starttime = in->window_start;
    out->endtime = in->window_end;
}

static struct weir_stream *
count_bids(struct weir_stream *bids, struct weir_general_span span)
{
    const struct weir_general_conf count = {
        .span = span, .aggregate = weir_aggregate_count(), .key_as = {"bidder"}};
    struct weir_stream *s = weir_key_by(bids, WEIR_KEY(nexmark_row, other));
    s = weir_window_general(s, "count", &count, bidder_window_schema());
    return weir_map(s, "to_bidder_count", &to_bidder_count_op);
}

/* q11: a bidder's bids until there is none for more than 10 s. */
struct weir_stream *
nexmark_q11(struct weir_stream *bids)
{
    return count_bids(bids, WEIR_SESSIONS(10 * WEIR_S));
}

/* q12: a bidder's bids in each 10 s of the host's time. */
struct weir_stream *
nexmark_q12(struct weir_stream *bids)
{
    return count_bids(bids, WEIR_TUMBLES_BY_CLOCK(10 * WEIR_S));
}
