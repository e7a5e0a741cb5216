/* SPDX-License-Identifier: Apache-2.0 */
/* The order that no checkpoint leaves: acks, ledger, store, notification, commits; and what ends
 * it. Invariants C1 and C2 of RELIABILITY 6 are in the names. */
#include "base/err.h"
#include "sched/checkpoint_request.h"
#include "tests/unit/coordinator_rig.h"

static struct rig rig;

static void
t_manifests_are_stored_one_at_a_time_in_the_order_of_ids(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 4;
    rig_start(&rig);
    for (int i = 0; i < 4; i++) {
        rig_checkpoint(&rig);
    }
    rig_ack_all(&rig, 2);
    rig_ack_all(&rig, 4);
    rig_ack_all(&rig, 3);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_STORE), 1);
    assert_int_equal(rig_state(&rig, 4), WEIR_COORDINATOR_READY);
    assert_false(weir_coordinator_stored(rig.coordinator, 4, 0));
    assert_true(rig_failed(&rig, 2, WEIR_COORDINATOR_STORE_FAILED));
    assert_int_equal(rig_state(&rig, 3), WEIR_COORDINATOR_STORING);
    rig_stored(&rig, 3);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_SUBSUMED);
    assert_int_equal(rig_state(&rig, 4), WEIR_COORDINATOR_STORING);
    rig_stored(&rig, 4);
    rig_end(&rig);
}

static void
t_what_is_being_stored_outlives_time_and_suspension(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 2;
    rig.conf.timeout_ns = 100;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    rig_ack_all(&rig, 1);
    rig_tick(&rig, 1000);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_STORING);
    assert_int_equal(rig_state(&rig, 2), WEIR_COORDINATOR_ABORTED);
    rig_clear(&rig);
    weir_coordinator_suspend(rig.coordinator, 1000);
    rig_take(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 3, WEIR_CHECKPOINT_SUSPENDED);
    assert_false(weir_coordinator_is_settled(rig.coordinator));
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_SUSPENDED);
    rig_stored(&rig, 1);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 1));
    assert_true(weir_coordinator_is_settled(rig.coordinator));
    /* The next attempt: ids go on, what was notified is committed by the restored sinks. */
    for (uint32_t i = 0; i < 2; i++) {
        rig.attempt[i] = 2;
        rig_task(&rig, i, WEIR_COORDINATOR_TASK_STARTING);
        rig_task(&rig, i, WEIR_COORDINATOR_TASK_RUNNING);
    }
    weir_coordinator_start(rig.coordinator, 2000);
    rig.now_ns = 2000;
    rig_committed(&rig, 1);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_COMMITTED, 1));
    rig_checkpoint(&rig);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 4)->member[0].attempt, 2);
    rig_end(&rig);
}

static void
t_C1_ids_go_on_above_the_last_and_old_attempts_are_refused(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.id_last = 41;
    rig_start(&rig);
    rig_checkpoint(&rig);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 42));
    assert_int_equal(rig_ack(&rig, 42, 0), WEIR_COORDINATOR_TAKEN);
    struct weir_coordinator_task old = {.task = 1, .attempt = 0};
    old.state = WEIR_COORDINATOR_TASK_RUNNING;
    assert_false(weir_coordinator_task(rig.coordinator, &old, 0));
    old.attempt = 1;
    old.state = WEIR_COORDINATOR_TASK_STARTING;
    assert_false(weir_coordinator_task(rig.coordinator, &old, 0));
    assert_int_equal(rig_state(&rig, 42), WEIR_COORDINATOR_COLLECTING);
    rig.attempt[1] = 2;
    rig_task(&rig, 1, WEIR_COORDINATOR_TASK_RUNNING);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 42, WEIR_CHECKPOINT_RESTARTED);
    rig_checkpoint(&rig);
    rig.attempt[1] = 1;
    old.state = WEIR_COORDINATOR_TASK_FINISHED;
    assert_false(weir_coordinator_task(rig.coordinator, &old, 0));
    assert_int_equal(rig_state(&rig, 43), WEIR_COORDINATOR_COLLECTING);
    assert_int_equal(rig_ack(&rig, 43, 1), WEIR_COORDINATOR_DISCARD);
    assert_false(rig_decline(&rig, 43, 1, WEIR_CHECKPOINT_DECLINED));
    rig_end(&rig);
}

static void
t_C2_a_ledger_that_does_not_add_up_aborts_and_fails(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 2;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    struct weir_ledger_entry entry = {.side = WEIR_LEDGER_IN, .total = {99, 4}};
    struct weir_coordinator_ack ack = {.job = RIG_JOB, .epoch = RIG_EPOCH, .id = 1, .attempt = 1};
    ack.task = 1;
    ack.entry = &entry;
    ack.entry_cnt = 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_TAKEN);
    rig_take(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_LEDGER);
    assert_null(rig_said(&rig, WEIR_COORDINATOR_STORE, 1));
    rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, 1, WEIR_CHECKPOINT_LEDGER);
    assert_string_equal(rig.text,
        "checkpoint 1: 1 of 1 channels do not add up; channel t0 -> t1: 100 rows out (sum "
        "0000000000000005), 99 in (sum 0000000000000004), 0 in flight (sum 0000000000000000): 1 "
        "lost (sums differ by 0000000000000001)");
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 2, WEIR_CHECKPOINT_SUSPENDED);
    rig_end(&rig);
}

/* Where barriers hold nothing back, the sides of a channel differ by what lies between them. */
static void
t_counts_of_tracked_barriers_are_not_compared(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.has_no_counts = true;
    rig_start(&rig);
    rig_checkpoint(&rig);
    struct weir_coordinator_ack ack = {.job = RIG_JOB, .epoch = RIG_EPOCH, .id = 1, .attempt = 1};
    for (ack.task = 0; ack.task < 2; ack.task++) {
        assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_TAKEN);
        rig_take(&rig);
    }
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_STORE, 1));
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    rig_end(&rig);
}

/* What is pending goes on; what is due or asked for waits, and goes when it is let go. */
static void
t_none_starts_while_it_is_held(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    rig_start(&rig);
    rig_tick(&rig, 10);
    weir_coordinator_hold(rig.coordinator, true, 11);
    rig_take(&rig);
    rig_complete(&rig, 1);
    for (int64_t now_ns = 20; now_ns < 100; now_ns += 10) {
        rig_tick(&rig, now_ns);
    }
    rig_request(&rig, WEIR_CHECKPOINT_KIND_CHECKPOINT, WEIR_CHECKPOINT_GO_ON, 7);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_ANSWER), 1);
    assert_int_equal(weir_coordinator_queue_cnt(rig.coordinator), 2);
    weir_coordinator_hold(rig.coordinator, false, 100);
    rig_take(&rig);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 2);
    rig_complete(&rig, 2);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 3);
    rig_end(&rig);
}

/* What tasks said when they finished is compared in every later checkpoint. */
static void
t_C2_rows_that_were_lost_before_a_task_finished(void **state)
{
    (void)state;
    rig_conf(&rig, 3);
    rig_start(&rig);
    struct weir_ledger_entry entry = {.side = WEIR_LEDGER_OUT, .total = {101, 5}};
    struct weir_coordinator_task over = {.attempt = 1, .state = WEIR_COORDINATOR_TASK_FINISHED};
    over.entry = &entry;
    over.entry_cnt = 1;
    assert_true(weir_coordinator_task(rig.coordinator, &over, 0));
    rig_task(&rig, 1, WEIR_COORDINATOR_TASK_FINISHED);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 2), WEIR_COORDINATOR_TAKEN);
    rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, 1, WEIR_CHECKPOINT_LEDGER);
    assert_non_null(strstr(rig.text, "channel t0 -> t1: 101 rows out"));
    rig_end(&rig);
}

static void
t_C2_a_new_attempt_begins_its_own_totals(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_FINISHED);
    rig.attempt[0] = 2;
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_RUNNING);
    rig_checkpoint(&rig);
    struct weir_ledger_entry entry = {.side = WEIR_LEDGER_OUT, .total = {40, 2}};
    struct weir_coordinator_ack ack = {.job = RIG_JOB, .epoch = RIG_EPOCH, .id = 1, .attempt = 2};
    ack.entry = &entry;
    ack.entry_cnt = 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_TAKEN);
    entry.side = WEIR_LEDGER_IN;
    ack.task = 1;
    ack.attempt = 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_TAKEN);
    rig_take(&rig);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_STORING);
    rig_end(&rig);
}

static void
t_commits_are_said_in_order_and_many_open_ones_hold_the_next(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    for (uint64_t id = 1; id <= WEIR_COORDINATOR_UNCOMMITTED_CNT_MAX; id++) {
        rig_checkpoint(&rig);
        rig_complete(&rig, id);
    }
    rig_clear(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    rig_committed(&rig, 2);
    assert_int_equal(rig.out[0].kind, WEIR_COORDINATOR_COMMITTED);
    assert_int_equal(rig.out[0].id, 1);
    assert_int_equal(rig.out[1].kind, WEIR_COORDINATOR_COMMITTED);
    assert_int_equal(rig.out[1].id, 2);
    assert_int_equal(rig.out[2].kind, WEIR_COORDINATOR_TRIGGER);
    rig_end(&rig);
}

/* weir_coordinator_begun: number 5, and what was said of it. */
static void
begun(enum weir_checkpoint_stop stop)
{
    const struct weir_checkpoint_request request = {.ticket = 9, .number = 5, .stop = stop};
    rig_clear(&rig);
    weir_coordinator_begun(rig.coordinator, &request, rig.now_ns);
    rig_take(&rig);
}

static void
t_A245_what_sources_begin_starts_at_once_or_not_at_all(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    assert_int_equal(weir_coordinator_new(&rig.conf, &rig.coordinator), 0);
    begun(WEIR_CHECKPOINT_GO_ON);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_SUSPENDED);
    weir_coordinator_close(rig.coordinator);
    rig_start(&rig);
    weir_coordinator_leave(rig.coordinator, true, 0);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), WEIR_COORDINATOR_NEVER);
    rig_tick(&rig, 100); /* the clock starts none */
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    rig_clear(&rig);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_LEFT_TO_SOURCES);
    begun(WEIR_CHECKPOINT_GO_ON);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 1)->request.number, 5);
    begun(WEIR_CHECKPOINT_SUSPEND); /* another one is under way; neither waits nor stops */
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_TOO_MANY_REQUESTS);
    assert_int_equal(weir_coordinator_queue_cnt(rig.coordinator), 0);
    rig_complete(&rig, 1);
    begun(WEIR_CHECKPOINT_SUSPEND);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 2));
    begun(WEIR_CHECKPOINT_GO_ON);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_STOPPING);
    rig_end(&rig);
    rig_start(&rig);
    weir_coordinator_leave(rig.coordinator, true, 0);
    weir_coordinator_leave(rig.coordinator, false, 200); /* they have ended */
    rig_clear(&rig);
    rig_tick(&rig, 209);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    rig_tick(&rig, 210);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    rig_end(&rig);
}

static void
t_wrong_configurations_are_refused(void **state)
{
    (void)state;
    struct weir_coordinator *none = NULL;
    rig_conf(&rig, 2);
    struct weir_coordinator_conf wrong = rig.conf;
    wrong.concurrent_max = 0;
    assert_int_equal(weir_coordinator_new(&wrong, &none), WEIR_EINVAL);
    wrong = rig.conf;
    wrong.queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX + 1;
    assert_int_equal(weir_coordinator_new(&wrong, &none), WEIR_EINVAL);
    wrong = rig.conf;
    wrong.timeout_ns = 0;
    assert_int_equal(weir_coordinator_new(&wrong, &none), WEIR_EINVAL);
    wrong = rig.conf;
    rig.channel[0].to_task = 2;
    assert_int_equal(weir_coordinator_new(&wrong, &none), WEIR_EINVAL);
    assert_null(none);
    weir_coordinator_close(NULL);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_manifests_are_stored_one_at_a_time_in_the_order_of_ids),
        cmocka_unit_test(t_what_is_being_stored_outlives_time_and_suspension),
        cmocka_unit_test(t_C1_ids_go_on_above_the_last_and_old_attempts_are_refused),
        cmocka_unit_test(t_C2_a_ledger_that_does_not_add_up_aborts_and_fails),
        cmocka_unit_test(t_counts_of_tracked_barriers_are_not_compared),
        cmocka_unit_test(t_none_starts_while_it_is_held),
        cmocka_unit_test(t_C2_rows_that_were_lost_before_a_task_finished),
        cmocka_unit_test(t_C2_a_new_attempt_begins_its_own_totals),
        cmocka_unit_test(t_commits_are_said_in_order_and_many_open_ones_hold_the_next),
        cmocka_unit_test(t_A245_what_sources_begin_starts_at_once_or_not_at_all),
        cmocka_unit_test(t_wrong_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
