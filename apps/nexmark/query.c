/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/query.h"

#include "apps/nexmark/q7.h"
#include "sched/keyed.h"

/* ---- rows of the answers ---- */

#define BID(F) F(i64, auction) F(i64, bidder) F(i64, price) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(bid, BID)
#define BID_EURO(F) F(i64, auction) F(i64, bidder) F(dec3, price) F(time, dateTime) F(str, extra)
WEIR_SCHEMA(bid_euro, BID_EURO)
#define BID_SHORT(F) F(i64, auction) F(i64, price)
WEIR_SCHEMA(bid_short, BID_SHORT)

/* The text `extra` stands first in every payload. */
static inline struct weir_str
extra_of(const struct nexmark_row *row, const char *heap)
{
    uint32_t bytes;
    struct weir_str none;
    memset(&none, 0, sizeof none);
    if (row->payload.bytes < NEXMARK_BID_HEAD_BYTES) {
        return none;
    }
    memcpy(&bytes, heap + row->payload.u.off + NEXMARK_LENGTHS_OFF, sizeof bytes);
    if (bytes > row->payload.bytes - NEXMARK_BID_HEAD_BYTES) {
        return none;
    }
    return weir_str_part(&row->payload, heap, NEXMARK_BID_HEAD_BYTES, bytes);
}

WEIR_MAP_OF_TEXT(to_bid, nexmark_row, bid, payload)
{
    out->auction = in->id;
    out->bidder = in->other;
    out->price = in->price;
    out->dateTime = in->at;
    out->extra = extra_of(in, heap);
}

/* q0: every bid. */
static struct weir_stream *
build_q0(struct weir_stream *bids)
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

static struct weir_stream *
build_q1(struct weir_stream *bids)
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

static struct weir_stream *
build_q2(struct weir_stream *events)
{
    return weir_map(
        weir_filter(events, "is_chosen_bid", &is_chosen_bid_op), "to_short", &to_short_op);
}

/* ---- persons and their auctions ---- */

#define PERSON(F) F(i64, id) F(time, at) F(str, name) F(str, city) F(str, state)
WEIR_SCHEMA(person, PERSON)
#define NEWCOMER(F) F(i64, id) F(time, at) F(str, name)
WEIR_SCHEMA(newcomer, NEWCOMER)
#define OPENER(F) F(i64, seller) F(time, at)
WEIR_SCHEMA(opener, OPENER)
#define AUCTION(F) F(i64, id) F(i64, seller) F(time, at)
WEIR_SCHEMA(auction, AUCTION)
#define SELLER(F) F(str, name) F(str, city) F(str, state) F(i64, id)
WEIR_SCHEMA(seller, SELLER)
#define NEW_SELLER(F) F(i64, id) F(str, name) F(ts, stime)
WEIR_SCHEMA(new_seller, NEW_SELLER)

/* Text idx of a person's payload; empty where the payload lies about it. */
static inline struct weir_str
person_text(const struct nexmark_row *row, const char *heap, uint32_t idx)
{
    const struct nexmark_event event = {
        .payload_bytes = row->payload.bytes, .kind = NEXMARK_PERSON};
    struct nexmark_text text;
    if (row->payload.bytes <= WEIR_STR_INLINE_BYTES ||
        !nexmark_event_text(&event, (const uint8_t *)heap + row->payload.u.off, idx, &text)) {
        return weir_str_inline("", 0);
    }
    return weir_str_ref(heap, text.ptr, text.bytes);
}

/* Row i of the selection of either layout; `loaded` is its room where it is not one piece. */
static inline __attribute__((always_inline)) const struct nexmark_row *
row_of(const struct weir_view *in, uint32_t i, struct nexmark_row *loaded)
{
    uint32_t idx = weir_view_row(in, i);
    if (WEIR_LIKELY(in->stride != 0)) {
        return (const struct nexmark_row *)(const void *)(in->rows + (size_t)in->stride * idx);
    }
    nexmark_row_load(in->rows, in->cap, idx, loaded);
    return loaded;
}

/* Persons and the auctions of one category apart, each event looked at once: one in fifty is a
 * person, three are auctions. An index is written to both selections and counted where it
 * belongs. */
struct apart_conf {
    int64_t category;
};

static int64_t
apart_process(struct weir_operator *op, uint32_t input, const struct weir_view *view,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct apart_conf *conf = op->conf;
    const struct weir_view in = *view; /* in registers: stores of indices might alias the view */
    int64_t category = conf->category;
    uint16_t *person = out[0].sel_buf;
    uint16_t *auction = out[1].sel_buf;
    uint32_t person_cnt = 0;
    uint32_t auction_cnt = 0;
    (void)input;
    (void)now_ns;
    for (uint32_t i = cursor; i < in.cnt; i++) {
        struct nexmark_row loaded;
        const struct nexmark_row *row = row_of(&in, i, &loaded);
        uint32_t kind = nexmark_row_kind(row);
        uint16_t idx = (uint16_t)weir_view_row(&in, i);
        person[person_cnt] = idx;
        person_cnt += kind == NEXMARK_PERSON;
        auction[auction_cnt] = idx;
        auction_cnt += (kind == NEXMARK_AUCTION) & (row->category == category);
    }
    if (person_cnt > 0) {
        weir_out_pass(&out[0], view, person_cnt);
    }
    if (auction_cnt > 0) {
        weir_out_pass(&out[1], view, auction_cnt);
    }
    return in.cnt - cursor;
}

static const struct weir_operator_type apart_type = {
    .name = "apart",
    .input_cnt = 1,
    .output_cnt = 2,
    .process = apart_process,
};

/* The persons; the auctions are its side output. */
static struct weir_stream *
apart(struct weir_stream *events, int64_t category)
{
    const struct apart_conf conf = {category};
    const struct weir_operator_conf made = {
        .name = "apart", .type = &apart_type, .conf = &conf, .conf_bytes = sizeof conf};
    return weir_operator(&events, 1, &made);
}

WEIR_MAP(to_person, nexmark_row, person)
{
    out->id = in->id;
    out->at = in->at;
    out->name = person_text(in, heap, NEXMARK_PERSON_NAME);
    out->city = person_text(in, heap, NEXMARK_PERSON_CITY);
    out->state = person_text(in, heap, NEXMARK_PERSON_STATE);
}

WEIR_MAP(to_auction, nexmark_row, auction)
{
    out->id = in->id;
    out->seller = in->other;
    out->at = in->at;
}

/* q3: auctions of category 10 with their seller, if that one lives in OR, ID or CA. */
WEIR_FILTER(is_wanted_person, person)
{
    return in->state.bytes == 2 &&
           (memcmp(in->state.head, "OR", 2) == 0 || memcmp(in->state.head, "ID", 2) == 0 ||
               memcmp(in->state.head, "CA", 2) == 0);
}

WEIR_JOIN(sells, person, auction, seller)
{
    weir_join_text(out, &row->name, &left->name, at->left_heap);
    weir_join_text(out, &row->city, &left->city, at->left_heap);
    weir_join_text(out, &row->state, &left->state, at->left_heap);
    row->id = right->id;
    return true;
}

static struct weir_stream *
build_q3(struct weir_stream *events)
{
    struct weir_stream *p = apart(events, 10);
    struct weir_stream *a = weir_side(p, 1);
    p = weir_map(p, "to_person", &to_person_op);
    p = weir_filter(p, "is_wanted_person", &is_wanted_person_op);
    a = weir_map(a, "to_auction", &to_auction_op);
    return weir_join(weir_key_by(p, WEIR_KEY(person, id)),
        weir_key_by(a, WEIR_KEY(auction, seller)), "sells", &sells_join);
}

/* ---- q8: persons who came in a 10 s window and opened an auction in the same window ---- */

/* cnt rows of a column output, whose times are those of rows of in. */
static void
rows_made(struct weir_out *out, const struct weir_view *in, uint32_t cnt)
{
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    if ((in->flags & WEIR_BATCH_TIME_BOUNDED) != 0) {
        weir_view_set_bounds(&out->view, in->time_min, in->time_max);
        out->view.flags &= ~(uint32_t)WEIR_BATCH_TIME_EXACT;
    }
}

/* Newcomers, and in the side output the openers of auctions: each event is looked at once. */
static int64_t
arrivals_process(struct weir_operator *op, uint32_t input, const struct weir_view *view,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct weir_view in = *view; /* nothing stored may change it */
    int64_t *id = WEIR_COLUMN(&out[0].view, struct newcomer, id);
    int64_t *came = WEIR_COLUMN(&out[0].view, struct newcomer, at);
    struct weir_str *name = WEIR_COLUMN(&out[0].view, struct newcomer, name);
    int64_t *seller = WEIR_COLUMN(&out[1].view, struct opener, seller);
    int64_t *opened = WEIR_COLUMN(&out[1].view, struct opener, at);
    uint32_t cnt = weir_min_u32(out[0].row_cap, out[1].row_cap);
    uint32_t person_cnt = 0;
    uint32_t opener_cnt = 0;
    (void)op;
    (void)input;
    (void)now_ns;
    cnt = weir_min_u32(in.cnt - cursor, cnt);
    for (uint32_t i = cursor; i < cursor + cnt; i++) {
        struct nexmark_row loaded;
        const struct nexmark_row *row = row_of(&in, i, &loaded);
        uint32_t kind = nexmark_row_kind(row);
        seller[opener_cnt] = row->other;
        opened[opener_cnt] = row->at;
        opener_cnt += kind == NEXMARK_AUCTION;
        if (kind == NEXMARK_PERSON) {
            id[person_cnt] = row->id;
            came[person_cnt] = row->at;
            name[person_cnt++] = person_text(row, in.heap, NEXMARK_PERSON_NAME);
        }
    }
    rows_made(&out[0], &in, person_cnt);
    rows_made(&out[1], &in, opener_cnt);
    weir_out_share_heap(&out[0], &in);
    return cnt;
}

static const struct weir_operator_type arrivals_type = {
    .name = "arrivals",
    .input_cnt = 1,
    .output_cnt = 2,
    .columns = true,
    .process = arrivals_process,
};

WEIR_JOIN(opens, newcomer, opener, new_seller)
{
    row->id = left->id;
    weir_join_text(out, &row->name, &left->name, at->left_heap);
    row->stime = at->window_start;
    return true;
}

static struct weir_stream *
build_q8(struct weir_stream *events)
{
    const struct weir_join_conf conf = {
        .join = &opens_join, .span = WEIR_TUMBLE(10 * WEIR_S), .semi = true};
    const struct weir_operator_conf arrivals = {.name = "arrivals",
        .type = &arrivals_type,
        .out_schema = {newcomer_schema(), opener_schema()}};
    struct weir_stream *p = weir_operator(&events, 1, &arrivals);
    struct weir_stream *a = weir_key_by(weir_side(p, 1), WEIR_KEY(opener, seller));
    p = weir_key_by(p, WEIR_KEY(newcomer, id));
    return weir_window_join(p, a, "opens", &conf);
}

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

static struct weir_stream *
build_q5(struct weir_stream *bids)
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

/* q7: see q7.h. */
static struct weir_stream *
build_q7(struct weir_stream *bids)
{
    return nexmark_q7(bids);
}

#define BIDS NEXMARK_BIDS
#define PEOPLE (NEXMARK_PERSONS | NEXMARK_AUCTIONS)

static const struct nexmark_query queries[] = {
    {"q0", {BIDS, BIDS, false}, build_q0},
    {"q1", {BIDS, BIDS, false}, build_q1},
    {"q2", {NEXMARK_ALL, 0, false}, build_q2},
    {"q3", {PEOPLE, NEXMARK_PERSONS, false}, build_q3},
    {"q5", {BIDS, 0, true}, build_q5},
    {"q7", {BIDS, BIDS, false}, build_q7},
    {"q8", {PEOPLE, NEXMARK_PERSONS, false}, build_q8},
};

const struct nexmark_query *
nexmark_query_find(const char *name)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(queries); i++) {
        if (strcmp(queries[i].name, name) == 0) {
            return &queries[i];
        }
    }
    return NULL;
}

const struct nexmark_query *
nexmark_query_at(size_t idx)
{
    return idx < WEIR_ARRAY_CNT(queries) ? &queries[idx] : NULL;
}
