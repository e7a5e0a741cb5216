/* SPDX-License-Identifier: Apache-2.0 */
/* The lookup join in a real chain, against a table that is looked through row by row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/operators/join_lookup.h"
#include "tests/unit/harness.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define ORDER(F) F(i64, id) F(i64, customer) F(str, note) F(time, at)
WEIR_SCHEMA(order, ORDER)
#define CUSTOMER(F) F(str, name) F(i64, id) F(i64, number)
WEIR_SCHEMA(customer, CUSTOMER)
#define NAMED(F) F(i64, id) F(i64, number) F(str, note) F(str, name) F(time, at)
WEIR_SCHEMA(named, NAMED)
#define TAGGED(F) F(str, tag) F(i64, number)
WEIR_SCHEMA(tagged, TAGGED)

/* Orders of id -1 are refused. */
WEIR_JOIN(with_name, order, customer, named)
{
    row->id = left->id;
    row->number = right != NULL ? right->number : -1;
    weir_join_text(out, &row->note, &left->note, at->left_heap);
    row->name = weir_str_inline("", 0);
    if (right != NULL) {
        weir_join_text(out, &row->name, &right->name, at->right_heap);
    }
    row->at = at->time;
    return left->id != -1;
}

WEIR_JOIN(by_note, order, tagged, named)
{
    row->id = left->id;
    row->number = right->number;
    weir_join_text(out, &row->note, &left->note, at->left_heap);
    weir_join_text(out, &row->name, &right->tag, at->right_heap);
    row->at = at->time;
    return true;
}

/* ---- a table as a source ---- */

/* Rows of either schema; poll n gives `step` of them, and waits every other time. */
struct table_conf {
    const void *rows;
    const char *heap; /* of their texts */
    uint32_t cnt;
    uint32_t step;
    uint32_t fail_at; /* 0: it does not */
};

struct table_self {
    uint32_t at;
    bool has_waited;
    bool is_open;
};

static uint32_t open_cnt;

static int
table_open(struct weir_operator *op)
{
    struct table_self *self = op->self;
    assert_int_equal(op->env->subtask_idx, 0);
    assert_int_equal(op->env->subtask_cnt, 1);
    self->is_open = true;
    open_cnt++;
    return 0;
}

static int
table_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct table_conf *conf = op->conf;
    struct table_self *self = op->self;
    const struct weir_schema *schema = op->out_schema[0];
    (void)now_ns;
    self->has_waited = !self->has_waited;
    if (self->has_waited) {
        return WEIR_WAIT;
    }
    for (uint32_t i = 0; i < conf->step && self->at < conf->cnt; i++) {
        const char *from = (const char *)conf->rows + (size_t)schema->row_bytes * self->at;
        struct weir_str text;
        if (conf->fail_at != 0 && self->at == conf->fail_at) {
            return weir_err_push(WEIR_EDATA, "row %u", self->at);
        }
        memcpy(&text, from, sizeof text); /* it stands first */
        if (!weir_out_room(out, 1, text.bytes)) {
            return WEIR_AGAIN;
        }
        char *row = weir_out_row(out);
        memcpy(row, from, schema->row_bytes);
        struct weir_slice slice = weir_str_slice(&text, conf->heap);
        weir_str_set_bytes(out, (struct weir_str *)(void *)row, slice.ptr, slice.bytes);
        self->at++;
    }
    return self->at < conf->cnt ? WEIR_AGAIN : WEIR_DONE;
}

static int
table_close(struct weir_operator *op, bool clean)
{
    const struct table_self *self = op->self;
    (void)clean;
    open_cnt -= self->is_open;
    return 0;
}

static const struct weir_operator_type table_type = {
    .name = "table",
    .self_bytes = sizeof(struct table_self),
    .output_cnt = 1,
    .open = table_open,
    .poll = table_poll,
    .close = table_close,
};

static struct weir_lookup_conf
conf_of(const struct table_conf *table, bool outer)
{
    struct weir_lookup_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &with_name_join;
    conf.left_key = WEIR_KEY(order, customer);
    conf.right_key = WEIR_KEY(customer, id);
    conf.outer = outer;
    conf.source = &table_type;
    conf.source_conf = table;
    return conf;
}

static struct harness_conf
harness_conf_of(const struct weir_lookup_conf *conf)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = &weir_lookup_type;
    hc.conf = conf;
    hc.in_schema[0] = conf->join->left_schema();
    hc.out_schema[0] = conf->join->out_schema();
    return hc;
}

/* ---- random rows against a loop over the table ---- */

enum { CUSTOMERS = 300, ORDERS = 2000, TEXT_MAX = 40 };

static char heap[TEXT_MAX * 64];

static struct weir_str
text_of(struct weir_rng *rng)
{
    uint32_t from = (uint32_t)weir_rng_below(rng, sizeof heap - TEXT_MAX);
    return weir_str_ref(heap, heap + from, (uint32_t)weir_rng_below(rng, TEXT_MAX));
}

static void
expect_row(struct harness *h, uint32_t idx, const struct order *order, const struct customer *with)
{
    const struct named *row = harness_row(h, 0, idx);
    struct weir_slice note = weir_str_slice(&order->note, heap);
    struct weir_slice got = harness_text(h, 0, &row->note);
    assert_int_equal(row->id, order->id);
    assert_int_equal(row->at, order->at);
    assert_int_equal(row->number, with != NULL ? with->number : -1);
    assert_int_equal(got.bytes, note.bytes);
    assert_memory_equal(got.ptr, note.ptr, note.bytes);
    struct weir_slice name = {"", 0};
    name = with != NULL ? weir_str_slice(&with->name, heap) : name;
    got = harness_text(h, 0, &row->name);
    assert_int_equal(got.bytes, name.bytes);
    assert_memory_equal(got.ptr, name.ptr, name.bytes);
}

static void
check_random(uint64_t seed, bool outer, bool columns)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    struct customer *customers = calloc(CUSTOMERS, sizeof *customers);
    struct order *orders = calloc(ORDERS, sizeof *orders);
    assert_true(customers != NULL && orders != NULL);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        customers[i].id = weir_rng_between(&rng, -20, 100);
        customers[i].number = i;
        customers[i].name = text_of(&rng);
    }
    for (uint32_t i = 0; i < ORDERS; i++) {
        orders[i].id = weir_rng_between(&rng, -1, 50);
        orders[i].customer = weir_rng_between(&rng, -40, 120);
        orders[i].note = text_of(&rng);
        orders[i].at = i;
    }
    const struct table_conf table = {customers, heap, CUSTOMERS, 7, 0};
    struct weir_lookup_conf conf = conf_of(&table, outer);
    struct harness_conf hc = harness_conf_of(&conf);
    hc.batch_rows = (uint32_t)weir_rng_between(&rng, 1, 100);
    hc.columns = columns;
    hc.is_slow = true;
    hc.seed = seed;
    struct harness *h = harness_new(&hc);
    for (uint32_t at = 0; at < ORDERS;) {
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 1, 700);
        cnt = weir_min_u32(cnt, ORDERS - at);
        struct weir_view view = harness_view_of(order_schema(), orders + at, cnt);
        view.heap = heap;
        harness_push_view(h, 0, &view);
        at += cnt;
    }
    uint32_t idx = 0;
    for (uint32_t o = 0; o < ORDERS; o++) {
        uint32_t found = 0;
        for (uint32_t c = 0; c < CUSTOMERS && orders[o].id != -1; c++) {
            if (customers[c].id == orders[o].customer) {
                expect_row(h, idx++, &orders[o], &customers[c]);
                found++;
            }
        }
        if (found == 0 && outer && orders[o].id != -1) {
            expect_row(h, idx++, &orders[o], NULL);
        }
    }
    assert_int_equal(h->out[0].row_cnt, idx);
    assert_true(idx > ORDERS);
    harness_free(h);
    assert_int_equal(open_cnt, 0);
    free(customers);
    free(orders);
}

static void
t_rows_meet_all_of_the_table_that_have_their_key(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint32_t i = 0; i < sizeof heap; i++) {
        heap[i] = (char)('a' + i % 23);
    }
    for (uint32_t i = 0; i < 8; i++) {
        check_random(seed + i, i % 2 == 0, i % 4 < 2);
    }
}

static void
t_texts_are_keys_too(void **state)
{
    (void)state;
    struct tagged rows[3];
    memset(rows, 0, sizeof rows);
    rows[0].tag = weir_str_inline("short", 5);
    rows[1].tag = weir_str_ref(heap, heap, TEXT_MAX);
    rows[2].tag = weir_str_ref(heap, heap, TEXT_MAX - 1);
    for (int64_t i = 0; i < 3; i++) {
        rows[i].number = i;
    }
    const struct table_conf table = {rows, heap, 3, 1, 0};
    struct weir_lookup_conf conf = conf_of(&table, false);
    conf.join = &by_note_join;
    conf.left_key = WEIR_KEY(order, note);
    conf.right_key = WEIR_KEY(tagged, tag);
    struct harness_conf hc = harness_conf_of(&conf);
    struct harness *h = harness_new(&hc);
    for (int64_t i = 2; i >= 0; i--) {
        struct order order;
        memset(&order, 0, sizeof order);
        order.id = 10 * i;
        order.note = rows[i].tag;
        struct weir_view view = harness_view_of(order_schema(), &order, 1);
        view.heap = heap;
        harness_push_view(h, 0, &view);
    }
    assert_int_equal(h->out[0].row_cnt, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct named *row = harness_row(h, 0, i);
        assert_int_equal(row->number, 2 - i);
        assert_int_equal(row->id, 10 * (2 - i));
    }
    harness_free(h);
}

static void
t_an_empty_table_has_no_partner(void **state)
{
    (void)state;
    const struct table_conf table = {NULL, heap, 0, 1, 0};
    for (uint32_t outer = 0; outer < 2; outer++) {
        struct weir_lookup_conf conf = conf_of(&table, outer == 1);
        struct harness_conf hc = harness_conf_of(&conf);
        struct harness *h = harness_new(&hc);
        struct order order;
        memset(&order, 0, sizeof order);
        harness_push(h, 0, &order, 1);
        assert_int_equal(h->out[0].row_cnt, outer);
        harness_free(h);
    }
}

/* Each row by itself: what comes of it has its kind, a row without a partner, too. */
static void
t_rows_have_the_kind_of_what_they_come_of(void **state)
{
    (void)state;
    enum { CNT = 40 };
    struct customer rows[5];
    struct order orders[CNT];
    uint8_t kinds[CNT];
    memset(rows, 0, sizeof rows);
    memset(orders, 0, sizeof orders);
    for (int64_t i = 0; i < 5; i++) {
        rows[i].id = i / 2;
        rows[i].number = i;
    }
    for (uint32_t i = 0; i < CNT; i++) {
        orders[i].id = i;
        orders[i].customer = i % 4;
        kinds[i] = (uint8_t)(i / 3 % 4);
    }
    const struct table_conf table = {rows, heap, 5, 2, 0};
    struct weir_lookup_conf conf = conf_of(&table, true);
    struct harness_conf hc = harness_conf_of(&conf);
    hc.has_kind = true;
    hc.takes_changes = true;
    hc.is_slow = true;
    hc.batch_rows = 7;
    struct harness *h = harness_new(&hc);
    struct weir_view view = harness_view_of(order_schema(), orders, CNT);
    view.kind = (const char *)kinds;
    view.kind_stride = 1;
    harness_push_view(h, 0, &view);
    assert_int_equal(h->out[0].row_cnt, CNT / 4 * (2 + 2 + 1 + 1));
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct named *row = harness_row(h, 0, i);
        assert_int_equal(h->out[0].row_kind[i], kinds[row->id]);
    }
    harness_free(h);
}

static void
expect_refused(const struct weir_lookup_conf *conf, int err)
{
    struct harness_conf hc = harness_conf_of(conf);
    struct harness *h = NULL;
    assert_int_equal(harness_try(&hc, &h), err);
    weir_err_clear();
    harness_free(h);
    assert_int_equal(open_cnt, 0);
}

static void
t_a_table_that_cannot_be_had_fails_the_start(void **state)
{
    (void)state;
    enum { CNT = 20000 };
    struct customer *rows = calloc(CNT, sizeof *rows);
    assert_non_null(rows);
    for (uint32_t i = 0; i < CNT; i++) {
        rows[i].id = i;
    }
    struct table_conf table = {rows, heap, CNT, 100, 0};
    struct weir_lookup_conf conf = conf_of(&table, false);
    conf.table_bytes_max = 256 * WEIR_KIB;
    expect_refused(&conf, WEIR_EBUDGET);
    conf.table_bytes_max = 0;
    table.fail_at = 1234;
    expect_refused(&conf, WEIR_EDATA);
    table.fail_at = 0;
    conf.source = &weir_lookup_type; /* no source */
    expect_refused(&conf, WEIR_EGRAPH);
    conf.source = &table_type;
    conf.left_key = WEIR_KEY(order, note); /* a text beside a number */
    expect_refused(&conf, WEIR_EGRAPH);
    free(rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_rows_meet_all_of_the_table_that_have_their_key),
        cmocka_unit_test(t_texts_are_keys_too),
        cmocka_unit_test(t_an_empty_table_has_no_partner),
        cmocka_unit_test(t_rows_have_the_kind_of_what_they_come_of),
        cmocka_unit_test(t_a_table_that_cannot_be_had_fails_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
