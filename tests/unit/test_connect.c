/* SPDX-License-Identifier: Apache-2.0 */
/* Process functions of two inputs in a real chain: state and timers that both share, and a map that
 * a broadcast input fills; against plain arrays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/broadcast.h"
#include "dataplane/operators/process.h"
#include "tests/unit/restart_rows.h"

#define TOLD(F) F(i64, key) F(i64, sum) F(i64, cnt) F(i64, rule) F(time, at)
WEIR_SCHEMA(told, TOLD)
#define NAMED(F) F(time, at) F(str, name) F(i64, value)
WEIR_SCHEMA(named, NAMED)

#define PATIENCE_MS 200
#define RULE_CNT 7
enum { KEYS = 30 };

struct tally {
    int64_t sum;
    int64_t cnt;
    int64_t due;
};

static int
tell(struct weir_process *p, const struct tally *state, int64_t key, int64_t rule)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct told *row = told_emit(p->out);
    row->key = key;
    row->sum = state->sum;
    row->cnt = state->cnt;
    row->rule = rule;
    row->at = p->time;
    return WEIR_DONE;
}

/* ---- connected: left rows add and wait, right rows take away, and end the wait with a 0 ---- */

WEIR_PROCESS_TIMED(pair, fact, struct tally, told)
{
    struct tally after = {state->sum + in->value, state->cnt + 1, in->at + PATIENCE_MS};
    int step = tell(p, &after, in->key, 0);
    if (step != WEIR_DONE) {
        return step;
    }
    if (state->due != 0) {
        (void)weir_process_timer_delete(p, state->due, 0);
    }
    *state = after;
    return weir_process_timer_set(p, after.due, 0);
}

WEIR_PROCESS_SECOND(pair, fact, struct tally)
{
    assert_int_equal(weir_process_key(p, 0), in->key);
    if (in->value == 0) {
        if (state->due != 0) {
            assert_true(weir_process_timer_delete(p, state->due, 0));
        }
        weir_process_clear(p, state);
        return WEIR_DONE;
    }
    state->sum -= in->value;
    state->cnt++;
    return WEIR_DONE;
}

WEIR_ON_TIMER(pair, struct tally)
{
    (void)ns;
    int step = tell(p, state, weir_process_key(p, 0), time);
    if (step == WEIR_DONE) {
        weir_process_clear(p, state);
    }
    return step;
}

/* ---- broadcast: rules by a number; a negative one takes it back ---- */

WEIR_PROCESS(judge, fact, struct tally, told)
{
    int64_t number = in->key % RULE_CNT;
    uint32_t bytes = 0;
    uint32_t cnt = 0;
    struct weir_slice key;
    struct weir_slice val;
    const int64_t *rule = weir_process_broadcast_find(p, &number, sizeof number, &bytes);
    assert_true(rule == NULL || bytes == sizeof *rule);
    while (weir_process_broadcast_at(p, cnt, &key, &val)) {
        cnt++;
    }
    struct tally after = {state->sum + in->value, state->cnt + cnt, 0};
    int step = tell(p, &after, in->key, rule != NULL ? *rule : -1);
    if (step == WEIR_DONE) {
        *state = after;
    }
    return step;
}

WEIR_PROCESS_BROADCAST(judge, fact)
{
    int64_t number = in->key % RULE_CNT;
    bool found;
    return in->value < 0 ? weir_process_broadcast_delete(p, &number, sizeof number, &found)
                         : weir_process_broadcast_put(
                               p, &number, sizeof number, &in->value, sizeof in->value);
}

/* Each body does what only the other may. */
WEIR_PROCESS_TIMED(wrong, fact, struct tally, told)
{
    state->cnt++;
    return weir_process_broadcast_put(p, "k", 1, "v", 1);
}

WEIR_PROCESS_BROADCAST(wrong, fact)
{
    assert_int_equal(weir_process_key(p, 0), 0);
    assert_false(weir_process_timer_delete(p, 5, 0));
    return in->value == 0 ? weir_process_timer_set(p, 5, 0) : (int)WEIR_DONE;
}

WEIR_ON_TIMER(wrong, struct tally)
{
    (void)ns;
    (void)time;
    return tell(p, state, 0, 0);
}

/* ---- set up ---- */

static struct weir_connect_process_conf
conf_of(const struct weir_process_function *function, const struct weir_process_second *second)
{
    struct weir_connect_process_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.process.key = WEIR_KEY(fact, key);
    conf.process.function = function;
    conf.second = second;
    if (!second->is_broadcast) {
        conf.second_key = WEIR_KEY(fact, key);
    }
    return conf;
}

static struct harness_conf
harness_conf_of(const struct weir_connect_process_conf *conf)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = &weir_connect_type;
    hc.conf = conf;
    hc.in_schema[0] = fact_schema();
    hc.in_schema[1] = conf->second->in_schema();
    hc.out_schema[0] = told_schema();
    hc.out_schema[1] = fact_schema();
    hc.channel_cnt = 2;
    hc.channel_input[1] = 1;
    hc.arena_bytes = 16 * WEIR_MIB;
    return hc;
}

static const struct facts_opts opts = {.step_cnt = 150,
    .channel_cnt = 2,
    .rows_max = 40,
    .keys = KEYS,
    .spread_ms = 60,
    .lag_ms = 60,
    .watermark_every = 3,
    .name_bytes = 5};

/* What comes out, as a sum that knows no order. */
struct seen {
    uint64_t cnt;
    uint64_t sum;
};

static void
see(struct seen *seen, int64_t key, const struct tally *state, int64_t rule, int64_t at)
{
    uint64_t x = (uint64_t)key;
    const int64_t words[] = {state->sum, state->cnt, rule, at};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(words); i++) {
        x = (x ^ (uint64_t)words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        x ^= x >> 31;
    }
    seen->cnt++;
    seen->sum += x;
}

static struct seen
seen_of(const struct harness *h)
{
    struct seen seen = {0, 0};
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct told *row = harness_row(h, 0, i);
        const struct tally state = {row->sum, row->cnt, 0};
        see(&seen, row->key, &state, row->rule, row->at);
    }
    return seen;
}

/* ---- the same by arrays ---- */

static void
model_timers(struct tally *state, int64_t watermark, struct seen *seen)
{
    for (int64_t key = 0; key < KEYS; key++) {
        if (state[key].due != 0 && state[key].due <= watermark) {
            see(seen, key, &state[key], state[key].due, state[key].due);
            memset(&state[key], 0, sizeof state[key]);
        }
    }
}

static void
model_pair(struct tally *state, uint32_t side, const struct fact *row, struct seen *seen)
{
    struct tally *is = &state[row->key];
    if (side == 1 && row->value == 0) {
        memset(is, 0, sizeof *is);
        return;
    }
    is->sum += side == 0 ? row->value : -row->value;
    is->cnt++;
    if (side == 0) {
        is->due = row->at + PATIENCE_MS;
        see(seen, row->key, is, 0, row->at);
    }
}

static void
model_judge(
    struct tally *state, int64_t *rules, uint32_t side, const struct fact *row, struct seen *seen)
{
    int64_t number = row->key % RULE_CNT;
    if (side == 1) {
        rules[number] = row->value < 0 ? -1 : row->value;
        return;
    }
    state[row->key].sum += row->value;
    for (uint32_t i = 0; i < RULE_CNT; i++) {
        state[row->key].cnt += rules[i] >= 0;
    }
    see(seen, row->key, &state[row->key], rules[number], row->at);
}

static struct seen
model_of(const struct facts *facts, bool is_broadcast)
{
    struct tally state[KEYS];
    int64_t rules[RULE_CNT];
    int64_t watermark[2] = {INT64_MIN, INT64_MIN};
    struct seen seen = {0, 0};
    memset(state, 0, sizeof state);
    memset(rules, 0xff, sizeof rules);
    for (uint32_t s = 0; s < facts->cnt; s++) {
        const struct restart_step *step = &facts->steps[s];
        const struct fact *rows = step->rows;
        uint32_t side = step->channel;
        if (step->cnt == 0) {
            watermark[side] = weir_max_i64(watermark[side], step->watermark);
            if (!is_broadcast) {
                model_timers(state, weir_min_i64(watermark[0], watermark[1]), &seen);
            }
        }
        for (uint32_t r = 0; r < step->cnt; r++) {
            if (is_broadcast) {
                model_judge(state, rules, side, &rows[r], &seen);
            } else {
                model_pair(state, side, &rows[r], &seen);
            }
        }
    }
    return seen;
}

static void
play_all(struct harness *h, const struct facts *facts)
{
    for (uint32_t s = 0; s < facts->cnt; s++) {
        const struct restart_step *step = &facts->steps[s];
        if (step->cnt == 0) {
            harness_watermark(h, step->channel, step->watermark);
            continue;
        }
        struct weir_view view = harness_view_of(fact_schema(), step->rows, step->cnt);
        view.heap = (char *)(uintptr_t)step->rows;
        harness_push_view(h, step->channel, &view);
    }
}

static void
check_model(const struct weir_connect_process_conf *conf)
{
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 10; t++) {
        struct facts facts = facts_make(seed + t, &opts);
        struct harness_conf hc = harness_conf_of(conf);
        hc.batch_rows = 1 + 11 * t;
        hc.columns = t % 2 == 1;
        hc.is_slow = t % 3 == 0;
        hc.seed = seed + t;
        struct harness *h = harness_new(&hc);
        play_all(h, &facts);
        struct seen want = model_of(&facts, conf->second->is_broadcast);
        struct seen is = seen_of(h);
        assert_int_equal(is.cnt, want.cnt);
        assert_true(is.sum == want.sum);
        harness_free(h);
        facts_free(&facts);
    }
}

static void
t_two_inputs_share_state_and_timers(void **unused)
{
    (void)unused;
    const struct weir_connect_process_conf conf = conf_of(&pair_process, &pair_second);
    check_model(&conf);
}

static void
t_what_is_broadcast_is_read_by_all_keys(void **unused)
{
    (void)unused;
    const struct weir_connect_process_conf conf = conf_of(&judge_process, &judge_second);
    check_model(&conf);
}

/* ---- restarts ---- */

static void
restarts(const struct weir_connect_process_conf *conf, bool rescales)
{
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 6; t++) {
        struct facts facts = facts_make(seed + t, &opts);
        struct restart_play play;
        memset(&play, 0, sizeof play);
        play.conf = harness_conf_of(conf);
        play.key[0] = WEIR_KEY(fact, key);
        play.key[1] = WEIR_KEY(fact, key);
        play.broadcasts[1] = conf->second->is_broadcast;
        play.steps = facts.steps;
        play.step_cnt = facts.cnt;
        play.is_sorted = true;
        check_restarts(&play, seed + t, 8, rescales);
        facts_free(&facts);
    }
}

static void
t_connected_state_goes_on(void **unused)
{
    (void)unused;
    const struct weir_connect_process_conf conf = conf_of(&pair_process, &pair_second);
    restarts(&conf, false);
    restarts(&conf, true);
}

/* Each of the new subtasks has one copy of the map, however many there were. */
static void
t_T309_broadcast_state_goes_on_with_another_parallelism(void **unused)
{
    (void)unused;
    const struct weir_connect_process_conf conf = conf_of(&judge_process, &judge_second);
    restarts(&conf, false);
    restarts(&conf, true);
}

/* ---- what is refused ---- */

static void
t_only_broadcast_rows_change_what_all_have_and_they_have_no_key(void **unused)
{
    (void)unused;
    const struct weir_connect_process_conf conf = conf_of(&wrong_process, &wrong_second);
    struct harness_conf hc = harness_conf_of(&conf);
    struct fact row;
    memset(&row, 0, sizeof row);
    row.value = 1;
    for (uint32_t input = 0; input < 2; input++) {
        struct harness *h = harness_new(&hc);
        harness_push(h, 1, &row, 1);
        row.value = 0;
        assert_int_equal(harness_try_push(h, input, &row, 1), WEIR_EILLEGAL);
        row.value = 1;
        weir_err_clear();
        harness_free(h);
    }
}

static void
expect_refused(const struct weir_connect_process_conf *conf, const struct harness_conf *hc)
{
    struct harness_conf refused = *hc;
    struct harness *h = NULL;
    refused.conf = conf;
    assert_int_equal(harness_try(&refused, &h), WEIR_EGRAPH);
    weir_err_clear();
    harness_free(h);
}

static void
t_inputs_that_do_not_go_together_are_refused(void **unused)
{
    (void)unused;
    struct weir_connect_process_conf conf = conf_of(&pair_process, &pair_second);
    struct harness_conf hc = harness_conf_of(&conf);
    conf.second_key = WEIR_KEY(fact, name); /* a text beside a number */
    expect_refused(&conf, &hc);
    conf.second_key = WEIR_KEY2(fact, key, value);
    expect_refused(&conf, &hc);
    conf.second_key = WEIR_KEY(fact, key);
    hc.in_schema[1] = named_schema();
    expect_refused(&conf, &hc);
}

/* ---- the map ---- */

static struct weir_slice
slice_of(const char *text)
{
    return (struct weir_slice){text, (uint32_t)strlen(text)};
}

static void
t_the_map_has_its_keys_in_the_order_of_their_bytes(void **unused)
{
    (void)unused;
    static const char *const keys[] = {"b", "", "ab", "a", "abc", "\xff", "b"};
    static const char *const sorted[] = {"", "a", "ab", "abc", "b", "\xff"};
    struct weir_broadcast map;
    struct weir_slice key;
    struct weir_slice val;
    uint32_t bytes;
    memset(&map, 0, sizeof map);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(keys); i++) {
        assert_int_equal(weir_broadcast_put(&map, slice_of(keys[i]), slice_of(keys[i])), 0);
    }
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(sorted); i++) {
        assert_true(weir_broadcast_at(&map, i, &key, &val));
        assert_int_equal(key.bytes, strlen(sorted[i]));
        assert_memory_equal(key.ptr, sorted[i], key.bytes);
        assert_memory_equal(val.ptr, sorted[i], val.bytes);
        assert_int_equal((uintptr_t)val.ptr % 4, 0);
    }
    assert_false(weir_broadcast_at(&map, WEIR_ARRAY_CNT(sorted), &key, &val));
    assert_true(weir_broadcast_delete(&map, slice_of("ab")));
    assert_false(weir_broadcast_delete(&map, slice_of("ab")));
    assert_null(weir_broadcast_find(&map, slice_of("ab"), &bytes));
    assert_int_equal(weir_broadcast_put(&map, slice_of("a"), slice_of("another value")), 0);
    assert_memory_equal(weir_broadcast_find(&map, slice_of("a"), &bytes), "another value", 13);
    assert_int_equal(bytes, 13);
    assert_int_equal(map.bytes, 0 + 1 + 13 + 6 + 2 + 2);
    weir_broadcast_fini(&map);
}

static void
t_the_map_ends_at_its_budget(void **unused)
{
    (void)unused;
    struct weir_broadcast map;
    char *large = calloc(1, WEIR_BROADCAST_BYTES_MAX);
    assert_non_null(large);
    memset(&map, 0, sizeof map);
    const struct weir_slice most = {large, WEIR_BROADCAST_BYTES_MAX - 1};
    assert_int_equal(weir_broadcast_put(&map, slice_of("k"), most), 0);
    assert_int_equal(weir_broadcast_put(&map, slice_of("l"), slice_of("")), WEIR_EBUDGET);
    weir_err_clear();
    assert_int_equal(map.cnt, 1);
    assert_int_equal(weir_broadcast_put(&map, slice_of("k"), slice_of("small")), 0);
    assert_int_equal(weir_broadcast_put(&map, slice_of("l"), slice_of("")), 0);
    weir_broadcast_fini(&map);
    free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_two_inputs_share_state_and_timers),
        cmocka_unit_test(t_what_is_broadcast_is_read_by_all_keys),
        cmocka_unit_test(t_connected_state_goes_on),
        cmocka_unit_test(t_T309_broadcast_state_goes_on_with_another_parallelism),
        cmocka_unit_test(t_only_broadcast_rows_change_what_all_have_and_they_have_no_key),
        cmocka_unit_test(t_inputs_that_do_not_go_together_are_refused),
        cmocka_unit_test(t_the_map_has_its_keys_in_the_order_of_their_bytes),
        cmocka_unit_test(t_the_map_ends_at_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
