/* SPDX-License-Identifier: Apache-2.0 */
/* q0, q1, q2: bids one by one. */
#include "apps/nexmark/query_row.h"

#define BID_EURO(F) F(i64, auction) F(i64, bidder) F(dec3, price) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(bid_euro, BID_EURO)
#define BID_SHORT(F) F(i64, auction) F(i64, price)
WEIR_SCHEMA(bid_short, BID_SHORT)

WEIR_MAP_OF_TEXT(to_bid, nexmark_row, bid, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
}

/* q0: every bid. */
struct weir_stream *
nexmark_q0(struct weir_stream *bids)
{
    return weir_map(bids, "to_bid", &to_bid_op);
}

/* q1: every bid, its price times 0.908, exactly: a price of n is n * 908 thousandths. Flink's
 * answer is a decimal(23,3), which holds any bigint; ours are 64 bits of thousandths, and a price
 * that they do not hold fails the job. */
#define EURO_PRICE_MAX (INT64_MAX / 908)

WEIR_MAP(in_euro, bid, bid_euro)
{
    out->auction = in->auction;
    out->bidder = in->bidder;
    out->price = (int64_t)((uint64_t)in->price * 908);
    out->dateTime = in->dateTime;
    out->extra = in->extra;
}

static bool
is_over(int64_t price)
{
    return (uint64_t)price + EURO_PRICE_MAX > 2 * (uint64_t)EURO_PRICE_MAX;
}

/* Whether any of cnt prices is over: without a jump, so that the loop is vectors. */
static __attribute__((noinline)) bool
prices_over(const int64_t *price, size_t cnt)
{
    uint64_t over = 0;
    for (size_t i = 0; i < cnt; i++) {
        over |= is_over(price[i]);
    }
    return over != 0;
}

static int
price_fail(const struct weir_view *view, uint32_t cursor, uint32_t cnt)
{
    struct weir_lane lane = weir_view_lane(view, offsetof(struct bid, price), 8);
    for (uint32_t i = cursor; i < cursor + cnt; i++) {
        int64_t price;
        memcpy(&price, lane.ptr + (size_t)lane.stride * weir_view_row(view, i), sizeof price);
        if (is_over(price)) {
            return weir_err_push(WEIR_EDATA,
                "a price of %lld: q1 answers in thousandths, up to prices of %lld",
                (long long)price, (long long)EURO_PRICE_MAX);
        }
    }
    return 0;
}

static int64_t
in_euro_checked(struct weir_operator *op, uint32_t input, const struct weir_view *view,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    int64_t cnt = in_euro_op.type.process(op, input, view, cursor, out, now_ns);
    bool is_plain = view->stride == 0 && view->sel == NULL;
    if (cnt > 0 &&
        (!is_plain || prices_over(WEIR_COLUMN(view, struct bid, price) + cursor, (size_t)cnt))) {
        int err = price_fail(view, cursor, (uint32_t)cnt);
        return err != 0 ? err : cnt;
    }
    return cnt;
}

static const struct weir_function in_euro_checked_op = {WEIR_FUNCTION_MAP, bid_schema,
    bid_euro_schema,
    {.name = "in_euro",
        .input_cnt = 1,
        .output_cnt = 1,
        .columns = true,
        .process = in_euro_checked}};

struct weir_stream *
nexmark_q1(struct weir_stream *bids)
{
    return weir_map(weir_map(bids, "to_bid", &to_bid_op), "in_euro", &in_euro_checked_op);
}

/* q2: bids on auctions whose id is a multiple of 123. */
WEIR_FILTER(is_chosen_bid, nexmark_row)
{
    return nexmark_row_kind(in) == NEXMARK_BID && in->id % 123 == 0;
}

WEIR_MAP(to_short, nexmark_row, bid_short)
{
    out->auction = in->id;
    out->price = in->price;
}

struct weir_stream *
nexmark_q2(struct weir_stream *events)
{
    return weir_map(
        weir_filter(events, "is_chosen_bid", &is_chosen_bid_op), "to_short", &to_short_op);
}
