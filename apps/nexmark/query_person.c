/* SPDX-License-Identifier: Apache-2.0 */
/* q3, q8: persons and their auctions. */
#include "apps/nexmark/query_row.h"

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

static inline struct weir_str
person_text(const struct nexmark_row *row, const char *heap, uint32_t idx)
{
    return event_text(row, heap, NEXMARK_PERSON, idx);
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

struct weir_stream *
nexmark_q3(struct weir_stream *events)
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

/* A person who comes twice in a window under one name is one row. */
static bool
same_newcomer(const struct weir_join_pair *a, const struct weir_join_pair *b)
{
    const struct newcomer *row[2] = {a->left, b->left};
    struct weir_slice name[2] = {
        weir_str_slice(&row[0]->name, a->left_heap), weir_str_slice(&row[1]->name, b->left_heap)};
    return name[0].bytes == name[1].bytes && memcmp(name[0].ptr, name[1].ptr, name[0].bytes) == 0;
}

struct weir_stream *
nexmark_q8(struct weir_stream *events)
{
    const struct weir_join_conf conf = {
        .join = &opens_join, .span = WEIR_TUMBLE(10 * WEIR_S), .semi = true, .same = same_newcomer};
    const struct weir_operator_conf arrivals = {.name = "arrivals",
        .type = &arrivals_type,
        .out_schema = {newcomer_schema(), opener_schema()}};
    struct weir_stream *p = weir_operator(&events, 1, &arrivals);
    struct weir_stream *a = weir_key_by(weir_side(p, 1), WEIR_KEY(opener, seller));
    p = weir_key_by(p, WEIR_KEY(newcomer, id));
    return weir_window_join(p, a, "opens", &conf);
}
