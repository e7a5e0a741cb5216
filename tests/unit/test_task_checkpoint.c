/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints on one real task (stage.h): SCENARIOS T-045 to T-047, T-289 and T-292, and letters.
 * More of it is in test_checkpoint_end.c; test_checkpoint_model.c has several tasks. */
#include "tests/unit/stage.h"

/* ---- barriers through a task ---- */

static void
t_T035_T045_rows_behind_a_barrier_wait_for_the_others(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    wire_put(&s->wire, 0, 1);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 0, 10);
    wire_put(&s->wire, 1, 2);
    wire_put(&s->wire, 2, 3);
    settle(s);
    assert_out(s, "1 3 2"); /* by turns; 10 is held back */
    assert_align(s, 0);
    wire_mark(&s->wire, 1, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 1, 20);
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 2, 4);
    settle(s);
    assert_out(s, "4");
    assert_log(s, "");
    s->now_ns = 60;
    settle(s);
    assert_align(s, 60); /* so far */
    s->now_ns = 100;
    wire_mark(&s->wire, 2, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 2, 30);
    settle(s);
    s->now_ns = 500;
    settle(s);
    assert_align(s, 100); /* of the last one */
    assert_out(s, "B1 10 30 20");
    assert_log(s, WHOLE("1"));
    assert_counts(s, "a", 4, 1 + 2 + 3 + 4);
    assert_counts(s, "b", 4, 1 + 2 + 3 + 4);
    assert_int_equal(s->last.mark.trigger_ns, 7);
    assert_int_equal(s->last.mark.kind, WEIR_MARK_SAVEPOINT);
    assert_int_equal(s->last.gauges.align_ns, 100);
    assert_int_equal(s->last.gauges.align_bytes % sizeof(struct number), 0);
    assert_in_range(s->last.gauges.align_bytes, 1, 4 * sizeof(struct number));
    stage_close(s);
}

static void
t_T046_a_newer_barrier_overtakes(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 0);
    settle(s);
    for (uint32_t c = 1; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
    }
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 1);
    settle(s);
    assert_out(s, "C0 B1");
    assert_log(s, "DECLINED subsumed 0\nsent cancel 0 0\nsent cancel 1 0\n" WHOLE("1"));
    /* Late: it neither blocks nor aborts again. */
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 0);
    wire_put(&s->wire, 3, 5);
    settle(s);
    assert_out(s, "5");
    assert_log(s, "");
    stage_close(s);
}

static void
t_T047_a_marker_declines_and_goes_on(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 0, 5);
    settle(s);
    assert_out(s, "");
    wire_mark(&s->wire, 2, WEIR_SLOT_CANCEL, 1);
    settle(s);
    assert_out(s, "C1 5");
    assert_log(s, "DECLINED canceled 1\nsent cancel 0 1\nsent cancel 1 1\n");
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 2);
    }
    settle(s);
    assert_out(s, "B2");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    stage_close(s);
}

/* The last channel of a gate ends, and that completes the checkpoint: what end_input does is behind
 * the cut, since it is done again after a restore. */
static void
t_T043_an_end_that_completes_is_told_behind_the_cut(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    wire_event(&s->wire, 2, WEIR_SLOT_END, 0);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 1);
    wire_mark(&s->wire, 1, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 3, 8);
    wire_event(&s->wire, 3, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "8 B1");
    assert_log(s, "barrier a 1\nbarrier b 1\nsent barrier 0 1\nsent barrier 1 1\nbegin 1\n"
                  "snapshot b 1\nsnapshot a 1\nSNAPSHOT 1\nend_input a 1\nprecommit a 1\n"
                  "precommit b 1\nPRECOMMITTED 1\n");
    assert_counts(s, "a", 1, 8);
    stage_close(s);
}

/* ---- letters ---- */

static void
t_T292_order_of_a_checkpoint(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->source_next = 3;
    settle(s);
    assert_out(s, "0 1 2");
    post(s, WEIR_TASK_TRIGGER, 1);
    s->source_next = 5;
    settle(s);
    assert_log(s, WHOLE("1"));
    assert_out(s, "B1 3 4");
    assert_counts(s, "a", 3, 3);
    assert_counts(s, "b", 3, 3);
    assert_int_equal(s->last.mark.trigger_ns, 3);
    post(s, WEIR_TASK_NOTIFY, 1);
    settle(s);
    assert_log(s, "committed b 1\ncommitted a 1\nCOMMITTED 1\n"); /* tail first */
    stage_close(s);
}

/* Rows that a hook emits are before the barrier, and in what operators behind it snapshot. */
static void
t_T181_T292_rows_of_the_hooks_are_before_the_barrier(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[0].emit_cnt = 3;
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_out(s, "1000 1000 1000 B1");
    /* head first: they were there before its hook */
    assert_int_equal(s->script[1].hook_row_cnt, 3);
    assert_counts(s, "b", 3, 3000);
    stage_close(s);
}

static void
t_A270_late_and_doubled_triggers_are_ignored(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    post(s, WEIR_TASK_TRIGGER, 5);
    post(s, WEIR_TASK_TRIGGER, 5);
    post(s, WEIR_TASK_TRIGGER, 4);
    post(s, WEIR_TASK_TRIGGER, 6);
    settle(s);
    assert_out(s, "B5 B6");
    stage_close(s);
}

static void
t_A271_a_task_that_does_not_run_yet_declines(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true};
    struct stage *s = stage_open(&conf);
    post(s, WEIR_TASK_TRIGGER, 1);
    s->source_next = 2;
    settle(s);
    assert_out(s, "C1 0 1");
    assert_log(s, "DECLINED not ready 1\nsent cancel 0 1\nsent cancel 1 1\n");
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_out(s, "B2");
    stage_close(s);
}

static void
t_A270_a_task_that_has_ended_takes_no_letters(void **state)
{
    (void)state;
    const struct weir_mark mark = {.id = 9};
    struct stage *s = stage_run(true);
    post(s, WEIR_TASK_TRIGGER, 1);
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_DONE);
    assert_log(s, "DECLINED closing 1\nENDED canceled 0\n");
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), WEIR_ECLOSED);
    stage_close(s);
}

static void
t_A274_notifications_are_taken_once_and_in_order(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    post(s, WEIR_TASK_NOTIFY, 2);
    post(s, WEIR_TASK_NOTIFY, 2);
    post(s, WEIR_TASK_NOTIFY, 1);
    post(s, WEIR_TASK_NOTIFY, 4);
    settle(s);
    assert_log(s, "committed b 2\ncommitted a 2\ncommitted b 4\ncommitted a 4\nCOMMITTED 4\n");
    stage_close(s);
}

static void
t_A274_a_failing_commit_fails_the_task(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[1].fails_in = "committed";
    post(s, WEIR_TASK_NOTIFY, 1);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_non_null(strstr(weir_task_cause(s->task), "b cannot committed"));
    assert_log(s, "committed b 1\nENDED failed 0\n");
    stage_close(s);
}

static void
t_T289_aborted_before_its_barrier_it_is_skipped(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    post(s, WEIR_TASK_ABORT, 1);
    settle(s);
    assert_log(s, "aborted b 1\naborted a 1\n");
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
    }
    settle(s);
    assert_out(s, "C1");
    assert_log(s, "sent cancel 0 1\nsent cancel 1 1\n");
    stage_close(s);
    struct stage *source = stage_run(true);
    post(source, WEIR_TASK_ABORT, 1);
    post(source, WEIR_TASK_TRIGGER, 1);
    post(source, WEIR_TASK_TRIGGER, 2);
    settle(source);
    assert_out(source, "C1 B2");
    stage_close(source);
}

static void
t_T289_the_oldest_aborted_are_forgotten(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    uint64_t cnt = WEIR_TASK_ABORTED_CNT_MAX + 2;
    for (uint64_t id = 1; id <= cnt; id++) {
        post(s, WEIR_TASK_ABORT, id);
        settle(s);
        s->log_bytes = 0;
    }
    post(s, WEIR_TASK_TRIGGER, 2); /* forgotten */
    post(s, WEIR_TASK_TRIGGER, 3); /* the oldest that is not */
    post(s, WEIR_TASK_TRIGGER, cnt);
    settle(s);
    assert_out(s, "B2 C3 C130");
    stage_close(s);
}

/* The alignment is given up at once: nobody waits for barriers that will not come. */
static void
t_an_abort_ends_the_alignment(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 0, 5);
    settle(s);
    assert_out(s, "");
    post(s, WEIR_TASK_ABORT, 1);
    settle(s);
    assert_out(s, "C1 5");
    assert_log(s, "aborted b 1\naborted a 1\nsent cancel 0 1\nsent cancel 1 1\n");
    wire_mark(&s->wire, 1, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 1, 6);
    settle(s);
    assert_out(s, "6");
    stage_close(s);
}

/* ---- a snapshot that cannot keep up with the writes ---- */

static void
t_a_held_task_takes_letters_and_no_rows(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->hold = WEIR_TASK_HOLD_WAIT;
    s->source_next = 2;
    settle(s);
    assert_int_equal(s->hold_cnt, 0); /* none has begun */
    assert_out(s, "0 1");
    post(s, WEIR_TASK_TRIGGER, 1);
    (void)weir_task_poll(s->task, 8, 0);
    s->source_next = 4;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    }
    assert_int_equal(s->hold_cnt, 3);
    assert_out(s, "B1");
    post(s, WEIR_TASK_NOTIFY, 1);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    assert_log(s, WHOLE("1") "committed b 1\ncommitted a 1\nCOMMITTED 1\n");
    /* It is asked as long as the snapshot lives, and never afterwards. */
    s->hold = WEIR_TASK_HOLD_NOT;
    settle(s);
    assert_out(s, "2 3");
    s->hold = WEIR_TASK_HOLD_NEVER;
    settle(s);
    uint32_t asked_cnt = s->hold_cnt;
    s->hold = WEIR_TASK_HOLD_WAIT;
    s->source_next = 5;
    settle(s);
    assert_int_equal(s->hold_cnt, asked_cnt);
    assert_out(s, "4");
    stage_close(s);
}

/* The barrier of a next checkpoint waits with the rows: what it would freeze is not to be touched
 * yet. */
static void
t_a_held_task_begins_no_other_snapshot(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->hold = WEIR_TASK_HOLD_NOT;
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_log(s, WHOLE("1"));
    s->hold = WEIR_TASK_HOLD_WAIT;
    post(s, WEIR_TASK_TRIGGER, 2);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    assert_log(s, "");
    s->hold = WEIR_TASK_HOLD_NEVER;
    settle(s);
    assert_log(s, WHOLE("2"));
    stage_close(s);
}

/* ---- a snapshot that cannot begin yet ---- */

static void
t_a_snapshot_that_must_wait_holds_rows_and_not_letters(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->begin_wait_cnt = 4;
    post(s, WEIR_TASK_TRIGGER, 1);
    s->source_next = 2;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    }
    assert_out(s, "B1"); /* those behind it do not wait */
    assert_log(s, "barrier a 1\nbarrier b 1\nsent barrier 0 1\nsent barrier 1 1\n");
    post(s, WEIR_TASK_NOTIFY, 0);
    post(s, WEIR_TASK_TRIGGER, 2);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    assert_log(s, "committed b 0\ncommitted a 0\n");
    settle(s);
    assert_counts(s, "a", 0, 0); /* what the last one holds */
    assert_out(s, "B2 0 1");
    assert_non_null(strstr(s->log, "begin 1\nsnapshot b 1\nsnapshot a 1\nSNAPSHOT 1\n"));
    assert_non_null(strstr(s->log, "PRECOMMITTED 2\n"));
    stage_close(s);
}

/* Nobody asks for it any more. */
static void
t_an_abort_ends_the_wait_for_a_snapshot(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    struct weir_mark mark = {.id = 1, .kind = WEIR_MARK_STOP};
    s->begin_wait_cnt = UINT32_MAX;
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), 1);
    s->source_next = 2;
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    post(s, WEIR_TASK_ABORT, 1);
    settle(s);
    assert_out(s, "B1 0 1"); /* its sources go on */
    assert_null(strstr(s->log, "begin"));
    assert_null(strstr(s->log, "DECLINED"));
    s->begin_wait_cnt = 0;
    s->log_bytes = 0;
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_log(s, WHOLE("2"));
    stage_close(s);
}

static void
t_a_task_is_canceled_while_its_snapshot_waits(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->begin_wait_cnt = UINT32_MAX;
    post(s, WEIR_TASK_TRIGGER, 1);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_HELD);
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_CANCELED);
    stage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T035_T045_rows_behind_a_barrier_wait_for_the_others),
        cmocka_unit_test(t_T046_a_newer_barrier_overtakes),
        cmocka_unit_test(t_T047_a_marker_declines_and_goes_on),
        cmocka_unit_test(t_T043_an_end_that_completes_is_told_behind_the_cut),
        cmocka_unit_test(t_T292_order_of_a_checkpoint),
        cmocka_unit_test(t_T181_T292_rows_of_the_hooks_are_before_the_barrier),
        cmocka_unit_test(t_A270_late_and_doubled_triggers_are_ignored),
        cmocka_unit_test(t_A271_a_task_that_does_not_run_yet_declines),
        cmocka_unit_test(t_A270_a_task_that_has_ended_takes_no_letters),
        cmocka_unit_test(t_A274_notifications_are_taken_once_and_in_order),
        cmocka_unit_test(t_A274_a_failing_commit_fails_the_task),
        cmocka_unit_test(t_T289_aborted_before_its_barrier_it_is_skipped),
        cmocka_unit_test(t_T289_the_oldest_aborted_are_forgotten),
        cmocka_unit_test(t_an_abort_ends_the_alignment),
        cmocka_unit_test(t_a_held_task_takes_letters_and_no_rows),
        cmocka_unit_test(t_a_held_task_begins_no_other_snapshot),
        cmocka_unit_test(t_a_snapshot_that_must_wait_holds_rows_and_not_letters),
        cmocka_unit_test(t_an_abort_ends_the_wait_for_a_snapshot),
        cmocka_unit_test(t_a_task_is_canceled_while_its_snapshot_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
