/* SPDX-License-Identifier: Apache-2.0 */
/* Windows cut at random places and started again from what they kept, in each of the ways in which
 * their results come about. */
#include "dataplane/operators/window_priv.h"
#include "tests/unit/restart_rows.h"

#define SEED_CNT 8
#define TRIAL_CNT 8

#define FIRED(F) F(ts, window_start) F(ts, window_end) F(i64, key) F(i64, result)
WEIR_SCHEMA(fired, FIRED)

static const struct facts_opts opts = {.step_cnt = 90,
    .channel_cnt = 2,
    .rows_max = 60,
    .keys = 60,
    .spread_ms = 150,
    .lag_ms = 60,
    .watermark_every = 3};

struct trial {
    struct weir_window_span span;
    struct weir_aggregate aggregate;
    uint32_t top_cnt;
    enum window_mode mode;
};

static void
run_trial(const struct trial *trial, bool rescales)
{
    uint64_t seed = seed_of_run();
    struct weir_window_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(fact, key);
    conf.span = trial->span;
    conf.aggregate = trial->aggregate;
    conf.top_cnt = trial->top_cnt;
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play;
        memset(&play, 0, sizeof play);
        play.conf.type = &weir_window_type;
        play.conf.conf = &conf;
        play.conf.arena_bytes = 16 * WEIR_MIB;
        play.conf.table_cnt_max = 512;
        play.conf.channel_cnt = 2;
        play.conf.in_schema[0] = fact_schema();
        play.conf.out_schema[0] = fired_schema();
        play.conf.out_schema[1] = fact_schema();
        play.key[0] = WEIR_KEY(fact, key);
        play.steps = facts.steps;
        play.step_cnt = facts.cnt;
        /* Which key of a window comes first is not promised, and depends on how tables grew. */
        play.is_sorted = true;
        play.ends_empty = true;
        struct harness *h = harness_new(&play.conf);
        assert_int_equal(
            ((const struct window_self *)harness_operator(h)->self)->plan.mode, trial->mode);
        harness_free(h);
        check_restarts(&play, seed + s, TRIAL_CNT, rescales);
        facts_free(&facts);
    }
}

static void
run_both(const struct trial *trial)
{
    run_trial(trial, false);
    run_trial(trial, true);
}

static void
t_single_goes_on(void **unused)
{
    (void)unused;
    const struct trial trials[] = {
        {WEIR_TUMBLE(100), weir_aggregate_sum("value"), 0, WINDOW_SINGLE},
        {WEIR_TUMBLE(70), weir_aggregate_max("value"), 3, WINDOW_SINGLE},
        {WEIR_SLIDE(50, 80), weir_aggregate_count(), 0, WINDOW_SINGLE},
    };
    run_both(&trials[0]);
    run_trial(&trials[1], false); /* a top is of a subtask's own keys */
    run_both(&trials[2]);
}

static void
t_subtract_goes_on(void **unused)
{
    (void)unused;
    const struct trial trials[] = {
        {WEIR_SLIDE(100, 20), weir_aggregate_sum("value"), 0, WINDOW_SUBTRACT},
        {WEIR_SLIDE(100, 30), weir_aggregate_count(), 0, WINDOW_SUBTRACT},
        {WEIR_SLIDE(100, 30), weir_aggregate_sum("value"), 2, WINDOW_SUBTRACT},
    };
    run_both(&trials[0]);
    run_both(&trials[1]);
    run_trial(&trials[2], false);
}

static void
t_stacks_go_on(void **unused)
{
    (void)unused;
    const struct trial trials[] = {
        {WEIR_SLIDE(100, 20), weir_aggregate_max("value"), 0, WINDOW_STACKS},
        {WEIR_SLIDE(100, 30), weir_aggregate_min("value"), 0, WINDOW_STACKS},
    };
    run_trial(&trials[0], false);
    run_trial(&trials[1], false);
    /* Subtasks cut their queues in different places, and what comes too late for one is no stray of
     * another. */
    run_trial(&trials[0], true);
    run_trial(&trials[1], true);
}

static void
t_peaks_go_on(void **unused)
{
    (void)unused;
    const struct trial trial = {WEIR_SLIDE(100, 50), weir_aggregate_count(), 1, WINDOW_PEAKS};
    run_trial(&trial, false);
}

/* What a subtask would have left that had the pane of windows 1 and 2 in a place. */
static void
leave_pane(const char *uid, uint32_t version, uint64_t role, struct weir_parts_reader *ret_parts)
{
    static _Alignas(8) char buf[2][1024];
    static uint32_t next;
    char *mem = buf[next++ % 2];
    const uint64_t item[] = {1, 2, role};
    struct weir_parts_writer parts;
    size_t bytes;
    weir_parts_writer_init(&parts, mem, sizeof buf[0]);
    weir_parts_writer_of(&parts, uid);
    weir_state_put_word(&parts, "frontier", 105);
    weir_state_put_word(&parts, "pane_entries", 1);
    weir_state_list_begin(&parts, "panes", version, 1);
    weir_state_item(&parts, sizeof item);
    weir_parts_put(&parts, item, sizeof item);
    weir_state_list_end(&parts);
    assert_int_equal(weir_parts_finish(&parts, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(ret_parts, mem, bytes), 0);
    weir_parts_reader_of(ret_parts, uid);
}

static int
come_from(const struct trial *trial, uint32_t version, const uint64_t role[2])
{
    struct weir_window_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(fact, key);
    conf.span = trial->span;
    conf.aggregate = trial->aggregate;
    const struct harness_conf with = {.type = &weir_window_type,
        .conf = &conf,
        .arena_bytes = WEIR_MIB,
        .channel_cnt = 1,
        .in_schema[0] = fact_schema(),
        .out_schema = {fired_schema(), fact_schema()}};
    struct harness *h = harness_new(&with);
    struct weir_operator *op = harness_operator(h);
    struct weir_parts_reader parts[2];
    for (uint32_t i = 0; i < 2; i++) {
        leave_pane(op->uid, version, role[i], &parts[i]);
    }
    int err = op->type->restore(op, parts, 2);
    weir_err_clear();
    harness_free(h);
    return err;
}

/* Subtasks that have seen the same watermarks cannot differ in what has begun; queues whose entries
 * have no marks cannot be read. */
static void
t_what_cannot_be_is_refused(void **unused)
{
    (void)unused;
    const struct trial stacks = {
        WEIR_SLIDE(100, 20), weir_aggregate_max("value"), 0, WINDOW_STACKS};
    const struct trial subtract = {
        WEIR_SLIDE(100, 20), weir_aggregate_sum("value"), 0, WINDOW_SUBTRACT};
    assert_int_equal(come_from(&stacks, 2, (uint64_t[]){2, 3}), 0);
    assert_int_equal(come_from(&stacks, 2, (uint64_t[]){1, 2}), 0);
    assert_int_equal(come_from(&stacks, 2, (uint64_t[]){0, 3}), WEIR_EDATA);
    assert_int_equal(come_from(&subtract, 2, (uint64_t[]){1, 0}), WEIR_EDATA);
    assert_int_equal(come_from(&stacks, 2, (uint64_t[]){4, 4}), WEIR_EDATA);
    assert_int_equal(come_from(&stacks, 1, (uint64_t[]){3, 3}), WEIR_EFORMAT);
    assert_int_equal(come_from(&subtract, 1, (uint64_t[]){1, 1}), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_single_goes_on),
        cmocka_unit_test(t_subtract_goes_on),
        cmocka_unit_test(t_stacks_go_on),
        cmocka_unit_test(t_peaks_go_on),
        cmocka_unit_test(t_what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
