/* SPDX-License-Identifier: Apache-2.0 */
/* Joins of rows near each other in time in a real chain, against pairs that are looked for one by
 * one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/operators/join.h"
#include "tests/unit/restart_rows.h"

#define MET(F) F(i64, left) F(i64, right) F(str, name) F(time, at)
WEIR_SCHEMA(met, MET)

/* Pairs of equal names of one letter are refused. */
WEIR_JOIN(meet, fact, fact, met)
{
    struct weir_slice a = weir_str_slice(&left->name, at->left_heap);
    struct weir_slice b = weir_str_slice(&right->name, at->right_heap);
    row->left = left->value;
    row->right = right->value;
    weir_join_text(out, &row->name, &right->name, at->right_heap);
    row->at = at->time;
    return !(a.bytes == 1 && b.bytes == 1 && *a.ptr == *b.ptr);
}

static struct weir_join_conf
conf_of(int64_t lower_ms, int64_t upper_ms)
{
    struct weir_join_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &meet_join;
    conf.left_key = WEIR_KEY(fact, key);
    conf.right_key = WEIR_KEY(fact, key);
    conf.lower_ms = lower_ms;
    conf.upper_ms = upper_ms;
    conf.ttl_ms = upper_ms;
    return conf;
}

static struct harness_conf
harness_conf_of(const struct weir_operator_type *type, const struct weir_join_conf *conf)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = type;
    hc.conf = conf;
    hc.in_schema[0] = fact_schema();
    hc.in_schema[1] = fact_schema();
    hc.out_schema[0] = met_schema();
    if (type == &weir_interval_join_type) {
        hc.out_schema[1] = fact_schema();
        hc.out_schema[2] = fact_schema();
    }
    hc.channel_cnt = 2;
    hc.channel_input[1] = 1;
    hc.arena_bytes = 16 * WEIR_MIB;
    hc.table_cnt_max = 512;
    return hc;
}

static void
push(struct harness *h, uint32_t side, int64_t key, int64_t at)
{
    struct fact row;
    memset(&row, 0, sizeof row);
    row.at = at;
    row.key = key;
    row.value = at;
    harness_push(h, side, &row, 1);
}

static void
expect_met(struct harness *h, uint32_t idx, int64_t left, int64_t right)
{
    const struct met *row = harness_row(h, 0, idx);
    assert_int_equal(row->left, left);
    assert_int_equal(row->right, right);
    assert_int_equal(row->at, weir_max_i64(left, right));
}

/* ---- intervals ---- */

static void
t_both_bounds_are_within(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(-2000, 1000);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    struct harness *h = harness_new(&hc);
    push(h, 0, 1, 10000);
    for (int64_t at = 7999; at <= 8000; at++) {
        push(h, 1, 1, at);
    }
    push(h, 1, 2, 10000); /* another key */
    for (int64_t at = 11000; at <= 11001; at++) {
        push(h, 1, 1, at);
    }
    push(h, 0, 1, 10001); /* meets those that came before it */
    assert_int_equal(h->out[0].row_cnt, 4);
    expect_met(h, 0, 10000, 8000);
    expect_met(h, 1, 10000, 11000);
    expect_met(h, 2, 10001, 11000);
    expect_met(h, 3, 10001, 11001);
    harness_free(h);
}

static void
t_rows_behind_the_watermark_are_put_aside(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(0, 5000);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    struct harness *h = harness_new(&hc);
    push(h, 0, 1, 10000);
    harness_watermark(h, 0, 20000);
    push(h, 1, 1, 10500); /* its channel has no watermark yet */
    assert_int_equal(h->out[0].row_cnt, 1);
    push(h, 0, 1, 19999); /* late by its own channel */
    assert_int_equal(h->out[1].row_cnt, 1);
    push(h, 0, 1, 20000);
    harness_watermark(h, 1, 20000);
    push(h, 1, 1, 19999);
    assert_int_equal(h->out[2].row_cnt, 1);
    push(h, 1, 1, 20000);
    assert_int_equal(h->out[0].row_cnt, 2);
    expect_met(h, 1, 20000, 20000);
    assert_int_equal(harness_operator(h)->rows_late, 2);
    harness_free(h);
}

/* Rows go when nobody can meet them any more, and not before. */
static void
t_the_watermark_frees_what_nobody_can_meet(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(-4000, 8000);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    struct harness *h = harness_new(&hc);
    push(h, 0, 1, 1000);
    push(h, 1, 1, 1500);
    for (int64_t watermark = 0; watermark <= 9000; watermark += 250) {
        harness_watermark(h, 0, watermark);
        harness_watermark(h, 1, watermark);
    }
    push(h, 1, 1, 9000); /* the last one that the left row is for */
    assert_int_equal(h->out[0].row_cnt, 2);
    for (uint32_t side = 0; side < 2; side++) {
        harness_watermark(h, side, 40000);
    }
    assert_int_equal(h->arena.table_cnt, 0);
    assert_true(harness_operator(h)->rows_late == 0);
    harness_free(h);
}

static void
t_a_row_with_many_partners_stops_where_the_output_is_full(void **unused)
{
    (void)unused;
    enum { CNT = 1500 };
    struct weir_join_conf conf = conf_of(-4000, 4000);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    hc.batch_rows = 7;
    struct harness *h = harness_new(&hc);
    for (int64_t i = 0; i < CNT; i++) {
        push(h, 1, 5, 1000 + 4 * i);
    }
    push(h, 0, 5, 4500);
    uint32_t within = 0;
    for (int64_t i = 0; i < CNT; i++) {
        int64_t at = 1000 + 4 * i;
        within += at >= 500 && at <= 8500;
    }
    assert_int_equal(h->out[0].row_cnt, within);
    assert_true(within > 1000);
    harness_free(h);
}

static void
t_refused_confs_say_why(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(1, 0);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    struct harness *h = NULL;
    assert_int_equal(harness_try(&hc, &h), WEIR_EGRAPH);
    harness_free(h);
    h = NULL;
    hc = harness_conf_of(&weir_ttl_join_type, &conf);
    assert_int_equal(harness_try(&hc, &h), WEIR_EGRAPH);
    weir_err_clear();
    harness_free(h);
}

/* ---- random rows ---- */

struct bounds {
    int64_t lower_ms;
    int64_t upper_ms;
};

static const struct bounds bounds[] = {
    {-100, 100}, {0, 0}, {50, 3000}, {-9000, -500}, {-20000, 4000}};

static const struct facts_opts opts = {.step_cnt = 100,
    .channel_cnt = 2,
    .rows_max = 60,
    .keys = 30,
    .spread_ms = 400,
    .lag_ms = 150,
    .watermark_every = 3,
    .name_bytes = 30};

/* The pairs of a play, counted as sums: each row is offered with the watermarks as they are. */
struct model {
    uint64_t pair_cnt;
    uint64_t late_cnt;
    uint64_t sum;
};

struct model_row {
    int64_t at;
    int64_t key;
    int64_t value;
    char letter; /* of a name of one */
};

static uint64_t
mix(int64_t left, int64_t right, int64_t at)
{
    uint64_t x =
        (uint64_t)left * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)right * 31 + (uint64_t)at;
    return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static bool
is_pair(const struct model_row *left, const struct model_row *right, const struct bounds *is)
{
    int64_t apart = right->at - left->at;
    bool refused = left->letter != '\0' && left->letter == right->letter;
    return left->key == right->key && apart >= is->lower_ms && apart <= is->upper_ms && !refused;
}

static struct model
model_of(const struct facts *facts, const struct bounds *is)
{
    struct model model = {0, 0, 0};
    struct model_row *kept[2];
    size_t cnt[2] = {0, 0};
    int64_t watermark[2] = {INT64_MIN, INT64_MIN};
    for (uint32_t side = 0; side < 2; side++) {
        kept[side] = calloc((size_t)facts->cnt * opts.rows_max, sizeof **kept);
        assert_non_null(kept[side]);
    }
    for (uint32_t s = 0; s < facts->cnt; s++) {
        const struct restart_step *step = &facts->steps[s];
        uint32_t side = step->channel;
        const struct fact *rows = step->rows;
        if (step->cnt == 0) {
            watermark[side] = weir_max_i64(watermark[side], step->watermark);
        }
        for (uint32_t r = 0; r < step->cnt; r++) {
            struct model_row row = {rows[r].at, rows[r].key, rows[r].value, '\0'};
            struct weir_slice name = weir_str_slice(&rows[r].name, step->rows);
            row.letter = name.bytes == 1 ? *name.ptr : '\0';
            if (row.at < watermark[side]) {
                model.late_cnt++;
                continue;
            }
            for (size_t i = 0; i < cnt[1 - side]; i++) {
                const struct model_row *left = side == 0 ? &row : &kept[0][i];
                const struct model_row *right = side == 1 ? &row : &kept[1][i];
                if (is_pair(left, right, is)) {
                    model.pair_cnt++;
                    model.sum += mix(left->value, right->value, weir_max_i64(left->at, right->at));
                }
            }
            kept[side][cnt[side]++] = row;
        }
    }
    free(kept[0]);
    free(kept[1]);
    return model;
}

static void
t_pairs_are_those_of_the_model(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 3 * WEIR_ARRAY_CNT(bounds); t++) {
        const struct bounds *is = &bounds[t % WEIR_ARRAY_CNT(bounds)];
        struct facts_opts more = opts;
        more.spread_ms = t % 2 == 0 ? 400 : 6000;
        struct facts facts = facts_make(seed + t, &more);
        struct weir_join_conf conf = conf_of(is->lower_ms, is->upper_ms);
        struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
        hc.batch_rows = 1 + t * 9;
        hc.columns = t % 2 == 1;
        hc.is_slow = t % 3 == 0;
        hc.seed = seed + t;
        struct harness *h = harness_new(&hc);
        for (uint32_t s = 0; s < facts.cnt; s++) {
            const struct restart_step *step = &facts.steps[s];
            if (step->cnt == 0) {
                harness_watermark(h, step->channel, step->watermark);
                continue;
            }
            struct weir_view view = harness_view_of(fact_schema(), step->rows, step->cnt);
            view.heap = (char *)(uintptr_t)step->rows;
            harness_push_view(h, step->channel, &view);
        }
        struct model want = model_of(&facts, is);
        uint64_t sum = 0;
        for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
            const struct met *row = harness_row(h, 0, i);
            sum += mix(row->left, row->right, row->at);
        }
        assert_int_equal(h->out[0].row_cnt, want.pair_cnt);
        assert_true(sum == want.sum);
        assert_int_equal(h->out[1].row_cnt + h->out[2].row_cnt, want.late_cnt);
        assert_int_equal(h->arena.table_cnt, 0);
        harness_free(h);
        facts_free(&facts);
    }
}

static void
restarts(const struct weir_operator_type *type, const struct weir_join_conf *conf, uint64_t seed,
    bool rescales)
{
    struct facts facts = facts_make(seed, &opts);
    struct restart_play play;
    memset(&play, 0, sizeof play);
    play.conf = harness_conf_of(type, conf);
    play.key[0] = WEIR_KEY(fact, key);
    play.key[1] = WEIR_KEY(fact, key);
    play.steps = facts.steps;
    play.step_cnt = facts.cnt;
    play.is_sorted = true;
    play.ends_empty = type == &weir_interval_join_type;
    check_restarts(&play, seed, 6, rescales);
    facts_free(&facts);
}

static void
t_joins_over_intervals_go_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 2 * WEIR_ARRAY_CNT(bounds); t++) {
        const struct bounds *is = &bounds[t / 2];
        struct weir_join_conf conf = conf_of(is->lower_ms, is->upper_ms);
        restarts(&weir_interval_join_type, &conf, seed + t, t % 2 == 1);
    }
}

static void
t_joins_with_a_time_to_live_go_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 4; t++) {
        struct weir_join_conf conf = conf_of(0, 1000000);
        restarts(&weir_ttl_join_type, &conf, seed + t, t % 2 == 1);
    }
}

/* Panes of another length: rows would be looked for where they are not. */
static void
t_other_bounds_are_refused_with_their_rows(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(0, 8000);
    struct harness_conf hc = harness_conf_of(&weir_interval_join_type, &conf);
    struct harness *h = harness_new(&hc);
    struct harness *again = NULL;
    struct restart_left left;
    push(h, 0, 1, 1000);
    restart_leave(h, &left);
    harness_free(h);
    conf.upper_ms = 9000;
    assert_int_equal(restart_come(&hc, &left, 1, false, &again), WEIR_ESTATE);
    weir_err_clear();
    conf.upper_ms = 8001; /* the same quarter */
    assert_int_equal(restart_come(&hc, &left, 1, false, &again), 0);
    push(again, 1, 1, 9001);
    assert_int_equal(again->out[0].row_cnt, 1);
    harness_free(again);
    restart_left_free(&left);
}

/* ---- a time to live ---- */

static void
at_ms(struct harness *h, int64_t ms)
{
    harness_time(h, ms * WEIR_MS);
}

static void
t_rows_are_met_for_as_long_as_they_live(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = conf_of(0, 10000);
    struct harness_conf hc = harness_conf_of(&weir_ttl_join_type, &conf);
    struct harness *h = harness_new(&hc);
    at_ms(h, 1000);
    push(h, 0, 1, 70);
    at_ms(h, 10999);
    push(h, 1, 1, 20);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect_met(h, 0, 70, 20);
    at_ms(h, 11000);
    push(h, 1, 1, 30);
    assert_int_equal(h->out[0].row_cnt, 1);
    push(h, 0, 1, 80); /* both right ones live */
    assert_int_equal(h->out[0].row_cnt, 3);
    assert_true(h->arena.table_cnt > 0);
    at_ms(h, 40000);
    assert_int_equal(h->arena.table_cnt, 0);
    push(h, 0, 1, 90);
    assert_int_equal(h->out[0].row_cnt, 3);
    harness_free(h);
}

/* A pane that is half gone when a checkpoint begins is gone before its barrier. */
static void
t_a_barrier_waits_for_a_pane_that_goes(void **unused)
{
    (void)unused;
    enum { BATCHES = 300, CNT = 1000 };
    static struct fact rows[CNT];
    struct weir_join_conf conf = conf_of(0, 2000);
    struct harness_conf hc = harness_conf_of(&weir_ttl_join_type, &conf);
    hc.arena_bytes = 64 * WEIR_MIB;
    struct harness *h = harness_new(&hc);
    for (int64_t b = 0; b < BATCHES; b++) {
        for (int64_t i = 0; i < CNT; i++) {
            rows[i].key = b * CNT + i;
        }
        harness_push(h, 0, rows, CNT);
    }
    struct weir_operator *op = harness_operator(h);
    const int64_t now_ns = 50000 * WEIR_MS;
    assert_int_equal(op->type->timer(op, NULL, now_ns), WEIR_AGAIN);
    assert_true(op->type->due_ns(op) <= now_ns);
    assert_int_equal(op->type->barrier(op, 1, NULL, now_ns), WEIR_AGAIN);
    while (op->type->barrier(op, 1, NULL, now_ns) == WEIR_AGAIN) {
    }
    assert_int_equal(h->arena.table_cnt, 0);
    assert_true(op->type->due_ns(op) == INT64_MAX);
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_both_bounds_are_within),
        cmocka_unit_test(t_rows_behind_the_watermark_are_put_aside),
        cmocka_unit_test(t_the_watermark_frees_what_nobody_can_meet),
        cmocka_unit_test(t_a_row_with_many_partners_stops_where_the_output_is_full),
        cmocka_unit_test(t_refused_confs_say_why),
        cmocka_unit_test(t_pairs_are_those_of_the_model),
        cmocka_unit_test(t_joins_over_intervals_go_on),
        cmocka_unit_test(t_joins_with_a_time_to_live_go_on),
        cmocka_unit_test(t_other_bounds_are_refused_with_their_rows),
        cmocka_unit_test(t_rows_are_met_for_as_long_as_they_live),
        cmocka_unit_test(t_a_barrier_waits_for_a_pane_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
