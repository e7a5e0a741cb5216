/* SPDX-License-Identifier: Apache-2.0 */
/* What a task fails of, and what it is canceled by: every step of every operator, requests from
 * outside, reports that nobody takes (SCENARIOS T-151 to T-166, T-174). */
#include "tests/unit/task_world.h"

/* ---- operators that fail ---- */

/* The step `step` of operator s fails, and so do all in close where `closes_fail`. */
static void
fails(uint32_t s, const char *step, bool closes_fail)
{
    struct world *w = world_open(true, NULL);
    char cause[128];
    w->script[s].fails_in = step;
    for (uint32_t i = 0; i < OPERATOR_CNT; i++) {
        w->script[i].fails_in_close_too = closes_fail;
    }
    run(w);
    (void)snprintf(cause, sizeof cause, "%s cannot %s", w->script[s].name, step);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(w->task), WEIR_EDATA);
    assert_non_null(strstr(weir_task_cause(w->task), cause));
    /* Once: the step is not tried again, and what fails behind it stands beside it. */
    assert_null(strstr(strstr(weir_task_cause(w->task), "cannot") + 1, "cannot"));
    uint32_t then_cnt = closes_fail ? times(w, "close ") : 0;
    assert_int_equal(weir_task_failure(w->task)->suppressed_cnt, then_cnt);
    for (uint32_t i = 0; i < then_cnt; i++) {
        assert_non_null(strstr(weir_task_failure(w->task)->suppressed[i], "cannot close"));
    }
    assert_int_equal(weir_err_cnt(), 0);
    (void)snprintf(cause, sizeof cause, "%s %s\n", step, w->script[s].name);
    assert_int_equal(times(w, cause), 1);
    assert_released(w);
    assert_non_null(strstr(w->told, "failed"));
    /* What comes later does not replace the cause. */
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(w->task), WEIR_EDATA);
    world_close(w);
}

static void
t_T155_T161_T166_T174_T183_any_failing_step_fails_the_task_once(void **state)
{
    (void)state;
    static const char *const steps[] = {"open", "poll", "process", "watermark", "idle", "active",
        "flush", "watermark MAX", "end_input", "finish", "close"};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(steps); i++) {
        for (uint32_t s = 0; s < OPERATOR_CNT; s++) {
            bool is_of_all = strcmp(steps[i], "open") == 0 || strcmp(steps[i], "flush") == 0 ||
                             strcmp(steps[i], "finish") == 0 || strcmp(steps[i], "close") == 0;
            bool is_of_source = strcmp(steps[i], "poll") == 0;
            if (is_of_all || is_of_source == (s == 0)) {
                fails(s, steps[i], false);
                if (strcmp(steps[i], "close") != 0) {
                    fails(s, steps[i], true); /* those stand beside it */
                }
            }
        }
    }
}

static void
t_failing_open_leaves_those_before_it_unopened(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    w->script[1].fails_in = "open";
    run(w);
    assert_string_equal(w->log, "open c\nopen b\nclose b\nclose c\n");
    assert_false(w->script[2].closed_clean);
    world_close(w);
}

/* The file of a sink that could not be closed is not whole, however clean the end was until
 * then. */
static void
t_first_of_several_failing_closes_is_the_cause(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    w->script[1].fails_in = "close";
    w->script[2].fails_in = "close";
    run(w);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_non_null(strstr(weir_task_cause(w->task), "operator b failed in close"));
    assert_non_null(strstr(weir_task_cause(w->task), "b cannot close"));
    assert_null(strstr(weir_task_cause(w->task), "c cannot close"));
    assert_int_equal(weir_task_failure(w->task)->suppressed_cnt, 1);
    assert_string_equal(
        weir_task_failure(w->task)->suppressed[0], "operator c failed in close; c cannot close");
    assert_released(w);
    world_close(w);
}

/* A reports what it failed of; four of those that fail to close are kept, the others counted. */
static void
t_T174_what_is_suppressed_has_a_bound(void **state)
{
    (void)state;
    struct weir_cause cause = {0};
    char text[64];
    weir_cause_take(&cause, weir_err_push(WEIR_EDATA, "first"));
    for (int i = 0; i < WEIR_CAUSE_SUPPRESSED_CNT_MAX + 2; i++) {
        weir_cause_take(&cause, weir_err_push(WEIR_EIO, "later %d", i));
    }
    assert_int_equal(cause.error, WEIR_EDATA);
    assert_string_equal(cause.text, "first");
    assert_int_equal(cause.suppressed_cnt, WEIR_CAUSE_SUPPRESSED_CNT_MAX + 2);
    assert_string_equal(cause.suppressed[WEIR_CAUSE_SUPPRESSED_CNT_MAX - 1], "later 3");
    assert_int_equal(weir_err_cnt(), 0);
    assert_int_equal(weir_cause_push(&cause, "task t"), WEIR_EDATA);
    weir_err_save(text, sizeof text);
    assert_string_equal(text, "task t: first; suppressed: later 0; suppressed: later 1; suppre");
    assert_string_equal(weir_err_at(0), "suppressed: 2 more");
    weir_err_clear();
}

/* ---- failures and requests from outside ---- */

#define OUTSIDE WEIR_EUNAVAILABLE

static void
fail_outside(struct world *w)
{
    assert_true(weir_task_fail(w->task, OUTSIDE, "the helper is gone"));
    assert_false(weir_task_fail(w->task, WEIR_EIO, "a second one")); /* dropped */
}

static void
cancel_outside(struct world *w)
{
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
}

static void
assert_failed_outside(const struct world *w)
{
    const struct weir_cause *cause = weir_task_failure(w->task);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_int_equal(cause->error, OUTSIDE);
    assert_string_equal(cause->text, "the helper is gone");
    assert_int_equal(weir_err_cnt(), 0);
    assert_released(w);
}

static void
t_T151_failed_before_the_start_touches_no_operator(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    fail_outside(w);
    run(w);
    assert_failed_outside(w);
    assert_string_equal(w->log, "");
    assert_string_equal(w->told, "failed");
    assert_false(weir_task_fail(w->task, WEIR_EIO, "it has ended"));
    world_close(w);
}

static void
t_T157_T161_failed_from_outside_at_any_time(void **state)
{
    (void)state;
    for (uint32_t polls = 1; polls < 12; polls++) {
        struct world *w = world_open(true, NULL);
        w->is_endless = true;
        for (uint32_t i = 0; i < polls; i++) {
            (void)weir_task_poll(w->task, 1, 0);
        }
        fail_outside(w);
        cancel_outside(w); /* too late */
        assert_int_equal(weir_task_poll(w->task, 1, 0), WEIR_POLL_DONE);
        assert_failed_outside(w);
        assert_int_equal(weir_task_failure(w->task)->suppressed_cnt, 0);
        assert_string_equal(w->told, "initializing running failed");
        assert_int_equal(times(w, "finish"), 0);
        world_close(w);
    }
}

/* In canceling, a failure from outside is ignored. */
static void
t_T157_a_canceled_task_cannot_be_failed(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    (void)weir_task_poll(w->task, 8, 0);
    cancel_outside(w);
    assert_false(weir_task_fail(w->task, OUTSIDE, "the helper is gone"));
    run(w);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
    assert_int_equal(weir_task_error(w->task), 0);
    assert_string_equal(w->told, "initializing running canceled");
    world_close(w);
}

/* An operator of s fails in a step, and something comes from outside while it is there. */
static struct world *
fail_meanwhile(uint32_t s, const char *step, int error, void (*meanwhile)(struct world *w))
{
    struct world *w = world_open(true, NULL);
    w->script[s].fails_in = step;
    w->script[s].fails_with = error;
    w->script[s].meanwhile = meanwhile;
    run(w);
    assert_released(w);
    assert_int_equal(weir_err_cnt(), 0);
    return w;
}

static const char *const steps_of_b[] = {"open", "process", "watermark", "idle", "active", "flush",
    "watermark MAX", "end_input", "finish"};

static void
t_T159_marked_as_failed_it_stays_so(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(steps_of_b); i++) {
        struct world *w = fail_meanwhile(1, steps_of_b[i], WEIR_EDATA, fail_outside);
        assert_failed_outside(w);
        assert_int_equal(weir_task_failure(w->task)->suppressed_cnt, 1);
        assert_non_null(strstr(weir_task_failure(w->task)->suppressed[0], "b cannot"));
        world_close(w);
        w = fail_meanwhile(1, steps_of_b[i], WEIR_ECANCELED, fail_outside);
        assert_failed_outside(w);
        assert_int_equal(weir_task_failure(w->task)->suppressed_cnt, 0);
        world_close(w);
    }
}

static void
t_T160_an_operator_that_says_it_is_canceled(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(steps_of_b); i++) {
        struct world *w = fail_meanwhile(1, steps_of_b[i], WEIR_ECANCELED, NULL);
        assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
        assert_int_equal(weir_task_error(w->task), 0);
        assert_non_null(strstr(w->told, "canceled"));
        world_close(w);
    }
}

/* The cause of what fails while the task is canceled is dropped. */
static void
t_T156_canceled_in_any_step(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(steps_of_b); i++) {
        struct world *w = fail_meanwhile(1, steps_of_b[i], WEIR_EDATA, cancel_outside);
        assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
        assert_int_equal(weir_task_error(w->task), 0);
        assert_non_null(strstr(w->told, "canceled"));
        assert_int_equal(times(w, "close b"), 1);
        world_close(w);
    }
}

/* ---- a task that cannot be made ---- */

/* Its own words, and what they are about. */
static void
t_T154_an_operator_that_cannot_be_made(void **state)
{
    (void)state;
    struct weir_task *task = NULL;
    char text[256];
    const struct weir_chain_node_conf node = {.name = "c", .type = &sink_type, .channel_cnt = 1};
    const struct weir_task_conf none = {
        .name = "task (1/1)", .chain = {.nodes = &node, .batch_rows = 64, .buf_bytes = 4096}};
    assert_int_equal(weir_task_new(&none, &task), WEIR_EPLAN);
    weir_err_save(text, sizeof text);
    assert_string_equal(text, "task task (1/1); a stage has 1 to 64 operators, not 0");
    weir_err_clear();
    assert_null(task);
}

/* ---- reports ---- */

/* In all five ways the operators that were opened are closed, once, and the end is told. */
static void
t_T165_T166_a_report_that_nobody_takes_fails_the_task(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    w->untold = WEIR_TASK_INITIALIZING;
    run(w);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_string_equal(w->told, "initializing failed");
    assert_string_equal(w->log, ""); /* nothing was opened */
    assert_string_equal(weir_task_cause(w->task),
        "nobody could be told that task task (1/1) is initializing; nobody is there");
    world_close(w);
    w = world_open(true, NULL);
    w->untold = WEIR_TASK_RUNNING;
    run(w);
    assert_string_equal(w->told, "initializing running failed");
    assert_int_equal(times(w, "poll"), 0);
    assert_int_equal(times(w, "close"), 3);
    assert_released(w);
    world_close(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T155_T161_T166_T174_T183_any_failing_step_fails_the_task_once),
        cmocka_unit_test(t_failing_open_leaves_those_before_it_unopened),
        cmocka_unit_test(t_first_of_several_failing_closes_is_the_cause),
        cmocka_unit_test(t_T174_what_is_suppressed_has_a_bound),
        cmocka_unit_test(t_T151_failed_before_the_start_touches_no_operator),
        cmocka_unit_test(t_T157_T161_failed_from_outside_at_any_time),
        cmocka_unit_test(t_T157_a_canceled_task_cannot_be_failed),
        cmocka_unit_test(t_T159_marked_as_failed_it_stays_so),
        cmocka_unit_test(t_T160_an_operator_that_says_it_is_canceled),
        cmocka_unit_test(t_T156_canceled_in_any_step),
        cmocka_unit_test(t_T154_an_operator_that_cannot_be_made),
        cmocka_unit_test(t_T165_T166_a_report_that_nobody_takes_fails_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
