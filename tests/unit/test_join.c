/* SPDX-License-Identifier: Apache-2.0 */
/* The joins in a real chain: both against pairs that are looked for one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/operators/join.h"
#include "tests/unit/harness.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define ORDER(F) F(i64, id) F(i64, customer) F(str, name) F(time, at)
WEIR_SCHEMA(order, ORDER)
#define PAYMENT(F) F(time, paid_at) F(i64, payer) F(i64, amount)
WEIR_SCHEMA(payment, PAYMENT)
#define PAID(F) F(i64, id) F(i64, amount) F(str, name) F(i64, start) F(time, at)
WEIR_SCHEMA(paid, PAID)
#define TAGGED(F) F(str, tag) F(i64, n) F(time, at)
WEIR_SCHEMA(tagged, TAGGED)

#define SETTLED(F) F(i64, id) F(time, at)
WEIR_SCHEMA(settled, SETTLED)

/* Pairs with an amount of 0 are refused. */
WEIR_JOIN(pay, order, payment, paid)
{
    if (right != NULL && right->amount == 0) {
        return false;
    }
    row->id = left->id;
    row->amount = right != NULL ? right->amount : -1;
    weir_join_text(out, &row->name, &left->name, at->left_heap);
    row->start = at->window_start;
    row->at = at->time;
    return true;
}

WEIR_JOIN(same_tag, tagged, tagged, paid)
{
    row->id = left->n;
    row->amount = right->n;
    weir_join_text(out, &row->name, &right->tag, at->right_heap);
    row->start = 0;
    row->at = at->time;
    return true;
}

/* Fields of all sizes, with gaps between them. */
#define MIXED(F) \
    F(bool, flag) F(i64, key) F(i32, small) F(str, one) F(f64, real) F(str, two) F(time, at)
WEIR_SCHEMA(mixed, MIXED)

WEIR_JOIN(mix, mixed, payment, mixed)
{
    *row = *left;
    weir_join_text(out, &row->one, &left->one, at->left_heap);
    weir_join_text(out, &row->two, &left->two, at->left_heap);
    row->at = at->time;
    return true;
}

/* Its rows have no text, the rows that it joins do. */
WEIR_JOIN(settle, order, payment, settled)
{
    row->id = left->id + right->amount;
    row->at = at->time;
    return true;
}

static struct weir_join_conf
conf_of(int64_t size, int64_t slide, bool semi)
{
    struct weir_join_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &pay_join;
    conf.left_key = WEIR_KEY(order, customer);
    conf.right_key = WEIR_KEY(payment, payer);
    conf.span = weir_window_span_of(size, slide);
    conf.semi = semi;
    return conf;
}

static struct harness *
open_join(const struct weir_operator_type *type, const struct weir_join_conf *conf, uint32_t rows)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = type;
    hc.conf = conf;
    hc.in_schema[0] = conf->join->left_schema();
    hc.in_schema[1] = conf->join->right_schema();
    hc.out_schema[0] = conf->join->out_schema();
    if (type->output_cnt == 3) {
        hc.out_schema[1] = hc.in_schema[0];
        hc.out_schema[2] = hc.in_schema[1];
    }
    hc.channel_cnt = 2;
    hc.channel_input[1] = 1;
    hc.batch_rows = rows;
    hc.table_cnt_max = 8192;
    return harness_new(&hc);
}

static void
push_order(struct harness *h, int64_t id, int64_t customer, int64_t at)
{
    struct order o;
    memset(&o, 0, sizeof o);
    o.id = id;
    o.customer = customer;
    o.name = weir_str_inline("short", 5);
    o.at = at;
    harness_push(h, 0, &o, 1);
}

static void
push_payment(struct harness *h, int64_t payer, int64_t amount, int64_t at)
{
    struct payment p;
    memset(&p, 0, sizeof p);
    p.payer = payer;
    p.amount = amount;
    p.paid_at = at;
    harness_push(h, 1, &p, 1);
}

static void
expect_pair(struct harness *h, uint32_t idx, int64_t id, int64_t amount, int64_t at)
{
    const struct paid *row = harness_row(h, 0, idx);
    assert_int_equal(row->id, id);
    assert_int_equal(row->amount, amount);
    assert_int_equal(row->at, at);
    struct weir_slice text = harness_text(h, 0, &row->name);
    assert_true(text.bytes == 5 && memcmp(text.ptr, "short", 5) == 0);
}

static void
t_rows_meet_whichever_side_comes_first(void **state)
{
    (void)state;
    struct weir_join_conf conf = conf_of(0, 0, false);
    struct harness *h = open_join(&weir_join_type, &conf, 0);
    push_order(h, 1, 7, 100);
    push_payment(h, 8, 50, 90);
    assert_int_equal(h->out[0].row_cnt, 0);
    push_payment(h, 7, 20, 110);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect_pair(h, 0, 1, 20, 110);
    push_payment(h, 7, 0, 111); /* refused by the function, kept all the same */
    push_payment(h, 7, 30, 95);
    push_order(h, 2, 8, 200);
    push_order(h, 3, 7, 50);
    assert_int_equal(h->out[0].row_cnt, 5);
    expect_pair(h, 1, 1, 30, 100);
    expect_pair(h, 2, 2, 50, 200);
    expect_pair(h, 3, 3, 20, 110);
    expect_pair(h, 4, 3, 30, 95);
    harness_free(h);
}

static void
t_a_row_with_many_partners_stops_where_the_output_is_full(void **state)
{
    (void)state;
    enum { CNT = 3000 };
    struct weir_join_conf conf = conf_of(0, 0, false);
    struct harness *h = open_join(&weir_join_type, &conf, 7);
    for (int64_t i = 0; i < CNT; i++) {
        push_payment(h, 5, i + 1, 10);
    }
    push_order(h, 1, 5, 20);
    push_order(h, 2, 5, 20);
    assert_int_equal(h->out[0].row_cnt, 2 * CNT);
    for (uint32_t i = 0; i < 2 * CNT; i++) {
        expect_pair(h, i, i < CNT ? 1 : 2, i % CNT + 1, 20);
    }
    harness_free(h);
}

static void
t_long_texts_as_keys_and_fields_come_out_whole(void **state)
{
    (void)state;
    struct weir_join_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &same_tag_join;
    conf.left_key = WEIR_KEY(tagged, tag);
    conf.right_key = WEIR_KEY(tagged, tag);
    struct harness *h = open_join(&weir_join_type, &conf, 0);
    char heap[9000];
    for (size_t i = 0; i < sizeof heap; i++) {
        heap[i] = (char)('a' + i % 23);
    }
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t bytes = 1; bytes < sizeof heap; bytes = bytes * 3 + 1) {
            struct tagged row;
            memset(&row, 0, sizeof row);
            row.n = bytes;
            if (bytes <= WEIR_STR_INLINE_BYTES) {
                row.tag = weir_str_inline(heap, bytes);
            } else {
                row.tag.bytes = bytes;
                memcpy(row.tag.head, heap, sizeof row.tag.head);
            }
            struct weir_view view = harness_view_of(tagged_schema(), &row, 1);
            view.heap = heap;
            harness_push_view(h, side, &view);
        }
    }
    uint32_t idx = 0;
    for (uint32_t bytes = 1; bytes < sizeof heap; bytes = bytes * 3 + 1) {
        const struct paid *row = harness_row(h, 0, idx++);
        struct weir_slice text = harness_text(h, 0, &row->name);
        assert_int_equal(row->id, bytes);
        assert_int_equal(row->amount, bytes);
        assert_int_equal(text.bytes, bytes);
        assert_memory_equal(text.ptr, heap, bytes);
    }
    assert_int_equal(h->out[0].row_cnt, idx);
    harness_free(h);
}

static void
t_a_kept_row_with_a_long_text_meets_many(void **state)
{
    (void)state;
    enum { CNT = 200, BYTES = 900 };
    struct weir_join_conf conf = conf_of(0, 0, false);
    struct harness *h = open_join(&weir_join_type, &conf, 0);
    char heap[BYTES];
    memset(heap, 'x', sizeof heap);
    struct order o;
    memset(&o, 0, sizeof o);
    o.customer = 7;
    o.name = weir_str_ref(heap, heap, sizeof heap);
    struct weir_view view = harness_view_of(order_schema(), &o, 1);
    view.heap = heap;
    harness_push_view(h, 0, &view);
    struct payment payments[CNT];
    memset(payments, 0, sizeof payments);
    for (uint32_t i = 0; i < CNT; i++) {
        payments[i].payer = 7;
        payments[i].amount = i + 1;
    }
    harness_push(h, 1, payments, CNT);
    assert_int_equal(h->out[0].row_cnt, CNT);
    for (uint32_t i = 0; i < CNT; i++) {
        const struct paid *row = harness_row(h, 0, i);
        assert_int_equal(row->amount, i + 1);
        assert_memory_equal(harness_text(h, 0, &row->name).ptr, heap, sizeof heap);
    }
    harness_free(h);
}

static void
t_long_texts_that_no_result_takes_need_no_end(void **state)
{
    (void)state;
    static char heap[60000];
    memset(heap, 'x', sizeof heap);
    struct weir_join_conf conf = conf_of(0, 0, false);
    conf.join = &settle_join;
    struct harness *h = open_join(&weir_join_type, &conf, 0);
    struct order o;
    memset(&o, 0, sizeof o);
    o.customer = 7;
    o.name.bytes = sizeof heap;
    memcpy(o.name.head, heap, sizeof o.name.head);
    struct weir_view view = harness_view_of(order_schema(), &o, 1);
    view.heap = heap;
    for (o.id = 0; o.id < 100; o.id++) {
        harness_push_view(h, 0, &view);
    }
    push_payment(h, 7, 1000, 5);
    assert_int_equal(h->out[0].row_cnt, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(((const struct settled *)harness_row(h, 0, i))->id, 1000 + i);
    }
    harness_free(h);
}

static void
t_a_window_joins_what_lies_in_it_and_sends_late_rows_aside(void **state)
{
    (void)state;
    struct weir_join_conf conf = conf_of(1000, 1000, false);
    struct harness *h = open_join(&weir_window_join_type, &conf, 0);
    push_order(h, 1, 7, 999);
    push_payment(h, 7, 20, 0);
    push_payment(h, 7, 21, 1000); /* the next window */
    push_order(h, 2, 7, 1500);
    harness_watermark(h, 0, 1999);
    assert_int_equal(h->out[0].row_cnt, 0); /* the other input is behind */
    harness_watermark(h, 1, 998);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_watermark(h, 1, 999);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect_pair(h, 0, 1, 20, 999);
    push_payment(h, 7, 22, 999);
    push_payment(h, 7, 23, 1999);
    push_order(h, 3, 7, 1999); /* late by its own channel, though the window has not fired */
    assert_int_equal(h->out[1].row_cnt, 1);
    assert_int_equal(h->out[2].row_cnt, 1);
    assert_int_equal(((const struct order *)harness_row(h, 1, 0))->id, 3);
    assert_int_equal(((const struct payment *)harness_row(h, 2, 0))->amount, 22);
    assert_int_equal(harness_operator(h)->rows_late, 2);
    harness_watermark(h, 1, 5000);
    assert_int_equal(h->out[0].row_cnt, 3);
    assert_int_equal(((const struct paid *)harness_row(h, 0, 1))->start, 1000);
    assert_int_equal(h->arena.table_cnt, 0);
    assert_int_equal(weir_arena_used_bytes(&h->arena), 0);
    harness_free(h);
}

static void
t_semi_emits_each_left_row_once(void **state)
{
    (void)state;
    struct weir_join_conf conf = conf_of(1000, 1000, true);
    struct harness *h = open_join(&weir_window_join_type, &conf, 0);
    push_order(h, 1, 7, 1);
    push_order(h, 2, 7, 2);
    push_order(h, 3, 8, 3);
    for (int64_t i = 0; i < 10; i++) {
        push_payment(h, 7, i, 500);
        push_payment(h, 9, i, 500);
    }
    push_payment(h, 8, 1, 1500);
    harness_watermark(h, 0, INT64_MAX);
    harness_watermark(h, 1, INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, 2);
    expect_pair(h, 0, 1, -1, 999);
    expect_pair(h, 1, 2, -1, 999);
    assert_int_equal(weir_arena_used_bytes(&h->arena), 0);
    harness_free(h);
}

static bool
same_id(const struct weir_join_pair *a, const struct weir_join_pair *b)
{
    return ((const struct order *)a->left)->id == ((const struct order *)b->left)->id;
}

/* Of a key's left rows in a window: whether in a row or not. Those of other keys, and of other
 * windows, are others. */
static void
t_semi_emits_left_rows_that_are_the_same_once(void **state)
{
    (void)state;
    static const int64_t ids[] = {1, 1, 2, 1, 2, 3};
    enum { DIFFERENT = 3 };
    struct weir_join_conf conf = conf_of(1000, 1000, true);
    conf.same = same_id;
    struct harness *h = open_join(&weir_window_join_type, &conf, 0);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(ids); i++) {
        push_order(h, ids[i], 7, 1 + i);
    }
    push_order(h, 1, 8, 5);
    push_order(h, 1, 7, 1001);
    push_payment(h, 7, 1, 500);
    push_payment(h, 8, 1, 500);
    push_payment(h, 7, 1, 1500);
    harness_watermark(h, 0, 999);
    harness_watermark(h, 1, 999);
    assert_int_equal(h->out[0].row_cnt, DIFFERENT + 1);
    int64_t sum = 0;
    for (uint32_t i = 0; i <= DIFFERENT; i++) {
        sum += ((const struct paid *)harness_row(h, 0, i))->id;
    }
    assert_int_equal(sum, 1 + 2 + 3 + 1);
    harness_watermark(h, 0, INT64_MAX);
    harness_watermark(h, 1, INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, DIFFERENT + 2);
    expect_pair(h, DIFFERENT + 1, 1, -1, 1999);
    harness_free(h);
}

/* How often rows were compared in one call of the operator, at most. */
static struct {
    uint32_t cnt;
    uint32_t longest;
} compared;

static bool
same_and_counted(const struct weir_join_pair *a, const struct weir_join_pair *b)
{
    compared.cnt++;
    return same_id(a, b);
}

static int
counted_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    compared.cnt = 0;
    int rc = weir_window_join_type.watermark(op, watermark, out, now_ns);
    compared.longest = (uint32_t)weir_max_u64(compared.longest, compared.cnt);
    return rc;
}

/* A key with many left rows is gone on with in slices, within one row of it, too. */
static void
t_semi_compares_the_rows_of_a_key_in_slices(void **state)
{
    (void)state;
    enum { MANY = 6000, SLICE = 4096 };
    struct weir_operator_type type = weir_window_join_type;
    struct weir_join_conf conf = conf_of(1000, 1000, true);
    conf.same = same_and_counted;
    type.watermark = counted_watermark;
    memset(&compared, 0, sizeof compared);
    struct harness *h = open_join(&type, &conf, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        push_order(h, i % (MANY - 2), 7, 1); /* the last two are the same as the first ones */
    }
    push_payment(h, 7, 1, 500);
    harness_watermark(h, 0, INT64_MAX);
    harness_watermark(h, 1, INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, MANY - 2);
    assert_in_range(compared.longest, 1, SLICE);
    harness_free(h);
}

/* ---- against a model ---- */

enum { ROWS = 500, KEYS = 6 };
struct model_row {
    int64_t key;
    int64_t at;
    int64_t n;
    int64_t watermark; /* of its channel when it came */
};
struct model {
    struct model_row row[2][ROWS];
    uint32_t cnt[2];
    uint64_t pairs;
    uint64_t sum;
    uint64_t late[2];
};

static int64_t
floor_to(int64_t x, int64_t step)
{
    int64_t rest = x % step;
    return x - (rest < 0 ? rest + step : rest);
}

static bool
is_in(const struct model_row *row, int64_t start, int64_t size)
{
    return row->at >= start && row->at < start + size && start + size - 1 > row->watermark;
}

static uint64_t
pair_hash(int64_t start, int64_t left, int64_t right)
{
    return weir_rng_mix((uint64_t)start * 31 + (uint64_t)left) +
           weir_rng_mix((uint64_t)right * 17 + (uint64_t)start) * 3;
}

static void
model_join(struct model *m, const struct weir_join_conf *conf)
{
    int64_t size = conf->span.size_ms;
    int64_t slide = conf->span.slide_ms;
    for (int64_t start = floor_to(-3000, slide); start < 12000; start += slide) {
        for (uint32_t l = 0; l < m->cnt[0]; l++) {
            const struct model_row *left = &m->row[0][l];
            bool met = false;
            for (uint32_t r = 0; r < m->cnt[1] && is_in(left, start, size); r++) {
                const struct model_row *right = &m->row[1][r];
                if (right->key != left->key || !is_in(right, start, size)) {
                    continue;
                }
                if (!conf->semi || !met) {
                    m->pairs++;
                    m->sum += pair_hash(start, left->n, conf->semi ? -1 : right->n);
                }
                met = true;
            }
        }
    }
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < m->cnt[side]; i++) {
            const struct model_row *row = &m->row[side][i];
            int64_t start = floor_to(row->at, slide);
            m->late[side] += row->at < start + size && start + size - 1 <= row->watermark;
        }
    }
}

static void
against_model(struct weir_rng *rng, int64_t size, int64_t slide, bool semi)
{
    struct weir_join_conf conf = conf_of(size, slide, semi);
    struct harness *h = open_join(&weir_window_join_type, &conf, 5);
    struct model *m = calloc(1, sizeof *m);
    int64_t watermark[2] = {WEIR_TIME_MIN, WEIR_TIME_MIN};
    int64_t now = 0;
    while (m->cnt[0] < ROWS && m->cnt[1] < ROWS) {
        uint32_t side = (uint32_t)weir_rng_below(rng, 2);
        now += (int64_t)weir_rng_below(rng, 20);
        if (weir_rng_chance(rng, 1, 10)) {
            watermark[side] = weir_max_i64(watermark[side], now - weir_rng_between(rng, 0, 900));
            harness_watermark(h, side, watermark[side]);
            continue;
        }
        struct model_row *row = &m->row[side][m->cnt[side]++];
        row->key = (int64_t)weir_rng_below(rng, KEYS);
        row->at = now - weir_rng_between(rng, 0, 1500);
        row->n = m->cnt[side];
        row->watermark = watermark[side];
        if (side == 0) {
            push_order(h, row->n, row->key, row->at);
        } else {
            push_payment(h, row->key, row->n, row->at);
        }
    }
    harness_watermark(h, 0, INT64_MAX);
    harness_watermark(h, 1, INT64_MAX);
    model_join(m, &conf);
    assert_int_equal(h->out[0].row_cnt, m->pairs);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct paid *row = harness_row(h, 0, i);
        assert_int_equal(row->at, row->start + size - 1);
        sum += pair_hash(row->start, row->id, row->amount);
    }
    assert_int_equal(sum, m->sum);
    assert_int_equal(h->out[1].row_cnt, m->late[0]);
    assert_int_equal(h->out[2].row_cnt, m->late[1]);
    assert_int_equal(weir_arena_used_bytes(&h->arena), 0);
    free(m);
    harness_free(h);
}

/* ---- kept rows ---- */

#define MIXED_ROWS 700
#define MIXED_TEXT_MAX 40

/* Texts of both sides of the inline length; those of row i begin at heap + 2 i. */
static struct weir_str
mixed_text(const char *heap, int64_t key, uint32_t which)
{
    return weir_str_ref(
        heap, heap + 2 * key + which, (uint32_t)(key * (which + 3) % MIXED_TEXT_MAX));
}

static void
mixed_of(const char *heap, int64_t key, struct mixed *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->flag = key % 3 == 0;
    ret->key = key;
    ret->small = (int32_t)(key * -70001);
    ret->one = mixed_text(heap, key, 0);
    ret->real = (double)key / 7;
    ret->two = mixed_text(heap, key, 1);
    ret->at = 500;
}

static void
expect_text(const struct harness *h, const struct weir_str *got, const char *heap,
    const struct weir_str *wanted)
{
    struct weir_slice is = harness_text(h, 0, got);
    struct weir_slice text = weir_str_slice(wanted, heap);
    assert_int_equal(is.bytes, text.bytes);
    assert_memory_equal(is.ptr, text.ptr, text.bytes);
}

static void
mixed_rows_come_back(const struct weir_operator_type *type, bool columns)
{
    char heap[2 * MIXED_ROWS + MIXED_TEXT_MAX];
    struct mixed rows[MIXED_ROWS];
    struct weir_join_conf conf = conf_of(1000, 1000, false);
    conf.join = &mix_join;
    conf.left_key = WEIR_KEY(mixed, key);
    for (size_t i = 0; i < sizeof heap; i++) {
        heap[i] = (char)('a' + i * i % 26);
    }
    struct harness *h = open_join(type, &conf, 50);
    h->conf.columns = columns;
    for (int64_t i = 0; i < MIXED_ROWS; i++) {
        mixed_of(heap, i, &rows[i]);
    }
    struct weir_view view = harness_view_of(mixed_schema(), rows, MIXED_ROWS);
    view.heap = heap;
    harness_push_view(h, 0, &view);
    for (int64_t i = 0; i < MIXED_ROWS; i++) {
        push_payment(h, i, 1, 600);
    }
    harness_watermark(h, 0, INT64_MAX);
    harness_watermark(h, 1, INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, MIXED_ROWS);
    for (uint32_t i = 0; i < MIXED_ROWS; i++) {
        const struct mixed *row = harness_row(h, 0, i);
        struct mixed wanted;
        mixed_of(heap, row->key, &wanted);
        assert_int_equal(row->flag, wanted.flag);
        assert_int_equal(row->small, wanted.small);
        assert_true(row->real == wanted.real);
        expect_text(h, &row->one, heap, &wanted.one);
        expect_text(h, &row->two, heap, &wanted.two);
        rows[row->key].key = -1;
    }
    for (uint32_t i = 0; i < MIXED_ROWS; i++) {
        assert_int_equal(rows[i].key, -1); /* each came once */
    }
    harness_free(h);
}

static void
t_kept_rows_come_back_as_they_were(void **state)
{
    (void)state;
    mixed_rows_come_back(&weir_join_type, false);
    mixed_rows_come_back(&weir_join_type, true);
    mixed_rows_come_back(&weir_window_join_type, false);
    mixed_rows_come_back(&weir_window_join_type, true);
}

/* A batch whose bounds lie within a window is not looked at row by row; one that reaches over two
 * is. */
static void
t_a_batch_goes_to_the_windows_that_its_rows_lie_in(void **state)
{
    (void)state;
    static const int64_t at[][3] = {{100, 200, 900}, {950, 1100, 1900}, {1000, 2000, 999}};
    struct weir_join_conf conf = conf_of(1000, 1000, false);
    for (int bounded = 0; bounded < 2; bounded++) {
        struct harness *h = open_join(&weir_window_join_type, &conf, 0);
        for (size_t b = 0; b < WEIR_ARRAY_CNT(at); b++) {
            struct order rows[3];
            memset(rows, 0, sizeof rows);
            for (uint32_t i = 0; i < 3; i++) {
                rows[i].id = at[b][i];
                rows[i].at = at[b][i];
            }
            struct weir_view view = harness_view_of(order_schema(), rows, 3);
            if (bounded) {
                int64_t min;
                int64_t max;
                weir_view_span(&view, 0, 3, &min, &max);
                weir_view_set_bounds(&view, min, max);
            }
            harness_push_view(h, 0, &view);
        }
        for (int64_t start = 0; start < 3000; start += 1000) {
            push_payment(h, 0, 1, start);
        }
        harness_watermark(h, 0, INT64_MAX);
        harness_watermark(h, 1, INT64_MAX);
        assert_int_equal(h->out[0].row_cnt, 9);
        for (uint32_t i = 0; i < 9; i++) {
            const struct paid *row = harness_row(h, 0, i);
            assert_int_equal(row->start, row->id / 1000 * 1000);
        }
        harness_free(h);
    }
}

static void
t_random_windows_agree_with_pairs_looked_for_one_by_one(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    static const int64_t spans[][2] = {
        {1000, 1000}, {1000, 250}, {900, 600}, {300, 1000}, {1000, 100}, {7, 3}, {2000, 1999}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(spans); i++) {
        against_model(&rng, spans[i][0], spans[i][1], false);
        against_model(&rng, spans[i][0], spans[i][1], true);
    }
}

static void
t_what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    struct weir_join_conf conf = conf_of(1000, 1000, false);
    assert_int_equal(weir_join_check(&conf, true), 0);
    conf.same = same_id;
    assert_int_equal(weir_join_check(&conf, true), WEIR_EGRAPH);
    conf.semi = true;
    assert_int_equal(weir_join_check(&conf, false), WEIR_EGRAPH);
    conf.span.slide_ms = 1;
    assert_int_equal(weir_join_check(&conf, true), WEIR_EGRAPH);
    conf.same = NULL;
    conf.semi = false;
    conf.span.size_ms = 0;
    assert_int_equal(weir_join_check(&conf, true), WEIR_EGRAPH);
    assert_int_equal(weir_join_check(&conf, false), 0);
    conf.left_key = WEIR_KEY(order, name);
    assert_int_equal(weir_join_check(&conf, false), WEIR_EGRAPH);
    conf.left_key = WEIR_KEY2(order, name, id);
    assert_int_equal(weir_join_check(&conf, false), WEIR_EGRAPH);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_rows_meet_whichever_side_comes_first),
        cmocka_unit_test(t_a_row_with_many_partners_stops_where_the_output_is_full),
        cmocka_unit_test(t_long_texts_as_keys_and_fields_come_out_whole),
        cmocka_unit_test(t_a_kept_row_with_a_long_text_meets_many),
        cmocka_unit_test(t_long_texts_that_no_result_takes_need_no_end),
        cmocka_unit_test(t_a_window_joins_what_lies_in_it_and_sends_late_rows_aside),
        cmocka_unit_test(t_semi_emits_each_left_row_once),
        cmocka_unit_test(t_semi_emits_left_rows_that_are_the_same_once),
        cmocka_unit_test(t_semi_compares_the_rows_of_a_key_in_slices),
        cmocka_unit_test(t_kept_rows_come_back_as_they_were),
        cmocka_unit_test(t_a_batch_goes_to_the_windows_that_its_rows_lie_in),
        cmocka_unit_test(t_random_windows_agree_with_pairs_looked_for_one_by_one),
        cmocka_unit_test(t_what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
