/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are counted by the operator before the window: as if the window had been given them. */
#include "dataplane/tally.h"

#include "dataplane/chain.h"
#include "tests/unit/seed.h"
#include "tests/unit/window_rows.h"

#define SEED_CNT 15
#define STEP_CNT 120
#define STEP_ROWS_MAX 700 /* more than there are spare places */
#define LAG_MS 400

static struct harness *
counts(struct weir_window_span span, uint64_t seed)
{
    struct weir_window_conf conf = conf_of(span, weir_aggregate_count());
    static struct weir_window_conf confs[2]; /* outlives the harness */
    static uint32_t next;
    next = 1 - next;
    confs[next] = conf;
    struct harness_conf harness = {.type = &weir_window_type,
        .conf = &confs[next],
        .in_schema = {event_schema()},
        .out_schema = {fired_schema(), event_schema()},
        .arena_bytes = 16 * WEIR_MIB,
        .seed = seed};
    return harness_new(&harness);
}

/* What a producer does: count what the tally takes, put the rest into a batch. Returns how many it
 * counted. */
static uint32_t
give(struct harness *h, struct weir_tally *tally, const struct event *rows, uint32_t cnt)
{
    uint32_t i = 0;
    if (tally->begin(tally->op, h->watermark[0])) {
        for (; i < cnt && weir_tally_has(tally, rows[i].at); i++) {
            while (!weir_tally_add(tally, (uint64_t)rows[i].key)) {
                assert_int_equal(tally->spare.cnt, WEIR_KEYED_ROW_CNT_MAX);
                assert_int_equal(tally->settle(tally->op), 0);
            }
        }
        assert_int_equal(tally->settle(tally->op), 0);
        assert_int_equal(tally->spare.cnt, 0);
    }
    if (i < cnt) {
        harness_push(h, 0, rows + i, cnt - i);
    }
    return i;
}

static int
event_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct event));
}

static void
assert_same_answer(struct harness *a, struct harness *b)
{
    harness_watermark(a, 0, WEIR_WATERMARK_MAX);
    harness_watermark(b, 0, WEIR_WATERMARK_MAX);
    assert_true(a->out[0].row_cnt > 0);
    static int (*const order[2])(const void *, const void *) = {fired_order, event_order};
    for (uint32_t o = 0; o < 2; o++) {
        size_t bytes = a->out[o].schema->row_bytes;
        assert_int_equal(a->out[o].row_cnt, b->out[o].row_cnt);
        if (a->out[o].row_cnt == 0) {
            continue; /* no row is late: nothing to sort */
        }
        qsort(a->out[o].rows, a->out[o].row_cnt, bytes, order[o]);
        qsort(b->out[o].rows, b->out[o].row_cnt, bytes, order[o]);
        assert_memory_equal(a->out[o].rows, b->out[o].rows, a->out[o].row_cnt * bytes);
    }
}

/* Times nearly in order, keys few or many, some rows late for all or some of their windows. */
static uint64_t
play(uint64_t seed, struct weir_window_span span)
{
    static struct event rows[STEP_ROWS_MAX];
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    struct harness *direct = counts(span, seed);
    struct harness *pushed = counts(span, seed);
    struct weir_tally *tally = weir_window_type.tally(harness_operator(direct));
    assert_non_null(tally);
    assert_int_equal(tally->key_off, offsetof(struct event, key));
    int64_t now = -5000;
    int64_t key_cnt = weir_rng_between(&rng, 1, 3000);
    uint64_t counted = 0;
    for (uint32_t s = 0; s < STEP_CNT; s++) {
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 1, STEP_ROWS_MAX);
        int64_t step_ms = weir_rng_between(&rng, 0, 2);
        memset(rows, 0, sizeof rows);
        for (uint32_t i = 0; i < cnt; i++) {
            now += weir_rng_between(&rng, 0, step_ms);
            rows[i].at =
                now - (weir_rng_chance(&rng, 1, 300) ? weir_rng_between(&rng, 0, 3000) : 0);
            rows[i].key = weir_rng_between(&rng, 0, key_cnt);
        }
        counted += give(direct, tally, rows, cnt);
        harness_push(pushed, 0, rows, cnt);
        harness_watermark(direct, 0, now - LAG_MS);
        harness_watermark(pushed, 0, now - LAG_MS);
    }
    assert_same_answer(direct, pushed);
    harness_free(direct);
    harness_free(pushed);
    return counted;
}

static void
t_counted_rows_are_as_pushed_ones(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    uint64_t counted = 0;
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        counted += play(seed + s, WEIR_SLIDE(1000, 200));
        counted += play(seed + s, WEIR_TUMBLE(500));
        counted += play(seed + s, WEIR_SLIDE(1000, 300)); /* two panes a slide */
        counted += play(seed + s, WEIR_SLIDE(200, 500)); /* gaps */
    }
    assert_true(counted > SEED_CNT * STEP_ROWS_MAX); /* not all took the usual way */
}

/* New keys have buckets split while old ones are counted on, all in one poll. */
static void
t_entries_that_move_are_followed(void **state)
{
    enum { OLD = 200, NEW = 4000 };
    static struct event rows[OLD + 2 * NEW];
    (void)state;
    struct harness *direct = counts(WEIR_TUMBLE(1000000), 1);
    struct harness *pushed = counts(WEIR_TUMBLE(1000000), 1);
    struct weir_tally *tally = weir_window_type.tally(harness_operator(direct));
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        bool is_old = i < OLD || i % 2 == 0;
        rows[i].key = is_old ? i % OLD : OLD + i;
    }
    for (uint32_t turn = 0; turn < 4; turn++) {
        uint32_t cnt = turn < 3 ? OLD : (uint32_t)WEIR_ARRAY_CNT(rows);
        uint32_t counted = give(direct, tally, rows, cnt);
        assert_int_equal(counted, turn < 3 ? 0 : cnt);
        harness_push(pushed, 0, rows, cnt);
        harness_watermark(direct, 0, turn);
        harness_watermark(pushed, 0, turn);
    }
    assert_same_answer(direct, pushed);
    harness_free(direct);
    harness_free(pushed);
}

static void
t_a_tally_begins_where_the_pane_is_known(void **state)
{
    (void)state;
    struct harness *h = counts(WEIR_TUMBLE(1000), 1);
    struct weir_operator *op = harness_operator(h);
    struct weir_tally *tally = weir_window_type.tally(op);
    struct event rows[2] = {{.at = 1500, .key = 7}, {.at = 1600, .key = 8}};
    harness_watermark(h, 0, 0);
    assert_false(tally->begin(op, 0)); /* no row has come */
    harness_push(h, 0, rows, 2);
    harness_push(h, 0, rows, 2);
    assert_true(tally->begin(op, 0));
    assert_int_equal(tally->first_ms, 1000);
    assert_int_equal(tally->last_ms, 1999);
    assert_true(weir_tally_has(tally, 1000) && weir_tally_has(tally, 1999));
    assert_false(weir_tally_has(tally, 999) || weir_tally_has(tally, 2000));
    assert_false(tally->begin(op, 1999)); /* a row would be late */
    harness_push(h, 0, rows, 2);
    harness_push(h, 0, rows, 2);
    assert_true(tally->begin(op, 0));
    assert_false(tally->begin(op, WEIR_WATERMARK_MAX));
    harness_free(h);
}

static void
t_only_counts_by_one_key_have_a_tally(void **state)
{
    static struct weir_window_conf conf;
    (void)state;
    conf = conf_of(WEIR_TUMBLE(1000), weir_aggregate_sum("value"));
    struct harness_conf harness = {.type = &weir_window_type,
        .conf = &conf,
        .in_schema = {event_schema()},
        .out_schema = {fired_schema(), event_schema()}};
    struct harness *h = harness_new(&harness);
    assert_null(weir_window_type.tally(harness_operator(h)));
    harness_free(h);
    conf = conf_of(WEIR_TUMBLE(1000), weir_aggregate_count());
    conf.key = WEIR_KEY2(event, key, value);
    conf.key_as[1] = "nobody";
    h = harness_new(&harness);
    assert_null(weir_window_type.tally(harness_operator(h)));
    harness_free(h);
}

/* ---- in a chain ---- */

/* A source that counts three rows for its consumer, if it may, and says so. */
static int
teller_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    bool *ret_has = (bool *)(uintptr_t)op->conf;
    (void)now_ns;
    *ret_has = out->tally != NULL;
    if (out->tally != NULL) {
        out->tally->row_cnt = 3;
        out->tally->intended_ns = 9;
        op->rows_in += 2; /* unwanted */
    }
    return WEIR_DONE;
}

static struct weir_tally counter_tally;

static struct weir_tally *
counter_offers(struct weir_operator *op)
{
    counter_tally.op = op;
    return &counter_tally;
}

static int64_t
counter_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)out;
    (void)now_ns;
    return in->cnt - cursor;
}

static const struct weir_operator_type teller_type = {
    .name = "teller", .output_cnt = 1, .poll = teller_poll};
static const struct weir_operator_type counter_type = {
    .name = "counter", .input_cnt = 1, .process = counter_process, .tally = counter_offers};

/* Tellers 0 .. n - 1, then counters; each teller to each counter. Whether the first one may. */
static bool
may_tell(uint32_t teller_cnt, uint32_t counter_cnt)
{
    struct weir_chain_node_conf nodes[4];
    struct weir_chain_conf conf = {
        .nodes = nodes, .node_cnt = teller_cnt + counter_cnt, .batch_rows = 16, .buf_bytes = 4096};
    struct weir_chain *chain;
    bool has = false;
    memset(nodes, 0, sizeof nodes);
    for (uint32_t i = 0; i < conf.node_cnt; i++) {
        bool is_teller = i < teller_cnt;
        nodes[i].name = is_teller ? "teller" : "counter";
        nodes[i].uid = (const char *[]){"a", "b", "c", "d"}[i];
        nodes[i].type = is_teller ? &teller_type : &counter_type;
        nodes[i].conf = &has;
        nodes[i].in_schema[0] = event_schema();
        nodes[i].channel_cnt = is_teller ? 0 : teller_cnt;
        nodes[i].outputs[0].schema = event_schema();
        nodes[i].outputs[0].edge_cnt = is_teller ? counter_cnt : 0;
        for (uint32_t e = 0; is_teller && e < counter_cnt; e++) {
            nodes[i].outputs[0].edges[e].node = (uint16_t)(teller_cnt + e);
            nodes[i].outputs[0].edges[e].channel = (uint16_t)i;
        }
    }
    assert_int_equal(weir_chain_new(&conf, &chain), 0);
    assert_int_equal(weir_chain_open(chain), 0);
    assert_int_equal(weir_chain_poll_source(chain, 0, 1), WEIR_DONE);
    uint64_t told = has ? 3 : 0;
    assert_int_equal(weir_chain_operator(chain, 0)->rows_in, has ? told + 2 : 0);
    assert_int_equal(weir_chain_operator(chain, 0)->rows_out, told);
    assert_int_equal(weir_chain_operator(chain, teller_cnt)->rows_in, told);
    assert_int_equal(counter_tally.row_cnt, 0);
    assert_int_equal(weir_chain_close(chain), 0);
    return has;
}

static void
t_a_tally_is_for_the_only_source_of_an_only_consumer(void **state)
{
    (void)state;
    assert_true(may_tell(1, 1));
    assert_false(may_tell(1, 2));
    assert_false(may_tell(2, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_counted_rows_are_as_pushed_ones),
        cmocka_unit_test(t_entries_that_move_are_followed),
        cmocka_unit_test(t_a_tally_begins_where_the_pane_is_known),
        cmocka_unit_test(t_only_counts_by_one_key_have_a_tally),
        cmocka_unit_test(t_a_tally_is_for_the_only_source_of_an_only_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
