/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of SCENARIOS T.17 carry their id; Flink's test is CheckpointCoordinatorTest unless
 * named. */
#include "base/err.h"
#include "tests/unit/coordinator_rig.h"

static struct rig rig;

#define CHECKPOINT WEIR_CHECKPOINT_KIND_CHECKPOINT
#define SAVEPOINT WEIR_CHECKPOINT_KIND_SAVEPOINT

static void
t_T270_one_checkpoint_from_trigger_to_commit(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig.now_ns = 500;
    rig_checkpoint(&rig);
    const struct weir_coordinator_out *trigger = rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 1);
    assert_non_null(trigger);
    assert_int_equal(trigger->triggered_ns, 500);
    assert_int_equal(trigger->member[0].part, WEIR_MEMBER_TRIGGER | WEIR_MEMBER_ACK);
    assert_int_equal(trigger->member[1].part, WEIR_MEMBER_ACK);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_REPEATED);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    assert_null(rig_said(&rig, WEIR_COORDINATOR_STORE, 1));
    assert_int_equal(rig_ack(&rig, 1, 1), WEIR_COORDINATOR_TAKEN);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_STORING);
    const struct weir_coordinator_out *store = rig_said(&rig, WEIR_COORDINATOR_STORE, 1);
    assert_non_null(store);
    assert_int_equal(store->member[1].part, WEIR_MEMBER_ACK | WEIR_MEMBER_ACKED);
    assert_int_equal(store->member[1].attempt, 1);
    assert_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 1));
    assert_false(weir_coordinator_is_settled(rig.coordinator));
    rig.now_ns = 900;
    rig_stored(&rig, 1);
    const struct weir_coordinator_out *notify = rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 1);
    assert_non_null(notify);
    assert_int_equal(notify->triggered_ns, 500);
    assert_true((notify->member[0].part & WEIR_MEMBER_ACK) != 0);
    assert_true((notify->member[1].part & WEIR_MEMBER_ACK) != 0);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_COMPLETED, 1));
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 1, WEIR_CHECKPOINT_NONE);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_ANSWER, 1)->request.ticket, 1);
    assert_null(rig_said(&rig, WEIR_COORDINATOR_COMMITTED, 1));
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_NOTIFIED);
    rig_committed(&rig, 1);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_COMMITTED, 1));
    assert_null(rig_said(&rig, WEIR_COORDINATOR_DROP, 1));
    rig_end(&rig);
}

static void
t_T271_a_complete_checkpoint_subsumes_an_older_one(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 2;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    rig_ack_all(&rig, 2);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    rig_stored(&rig, 2);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_SUBSUMED);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_DROP, 1));
    assert_int_equal(rig_ack(&rig, 1, 1), WEIR_COORDINATOR_DISCARD);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_COMPLETED), 1);
    assert_int_equal(weir_coordinator_pending_cnt(rig.coordinator), 0);
    rig_end(&rig);
}

static void
t_T273_files_of_late_and_unknown_acks(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_checkpoint(&rig);
    struct weir_coordinator_ack ack = {.job = RIG_JOB, .epoch = RIG_EPOCH, .id = 1, .task = 9};
    ack.attempt = 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_DISCARD);
    ack.task = 0;
    ack.attempt = 2; /* not the attempt that was frozen */
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_DISCARD);
    ack.attempt = 1;
    ack.job = RIG_JOB + 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_LEAVE);
    ack.job = RIG_JOB;
    ack.epoch = RIG_EPOCH - 1;
    assert_int_equal(weir_coordinator_ack(rig.coordinator, &ack, 0), WEIR_COORDINATOR_LEAVE);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_REPEATED);
    assert_true(rig_decline(&rig, 1, 1, WEIR_CHECKPOINT_DECLINED));
    assert_int_equal(rig_ack(&rig, 1, 1), WEIR_COORDINATOR_DISCARD);
    assert_int_equal(rig_ack(&rig, 2, 1), WEIR_COORDINATOR_LEAVE); /* nobody asked for it */
    /* An ack that is sent again names the files of a checkpoint that is complete. */
    rig_checkpoint(&rig);
    rig_complete(&rig, 2);
    rig_committed(&rig, 2);
    rig_tick(&rig, 1);
    assert_int_equal(rig_state(&rig, 2), WEIR_COORDINATOR_FREE);
    assert_int_equal(rig_ack(&rig, 2, 1), WEIR_COORDINATOR_REPEATED);
    rig_end(&rig);
}

static void
t_T274_a_decline_aborts_one_and_not_the_other(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 2;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    assert_false(rig_decline(&rig, 3, 0, WEIR_CHECKPOINT_DECLINED));
    rig_clear(&rig);
    assert_true(rig_decline(&rig, 1, 0, WEIR_CHECKPOINT_DECLINED));
    const struct weir_coordinator_out *out = rig_said(&rig, WEIR_COORDINATOR_ABORT, 1);
    assert_non_null(out);
    assert_int_equal(out->reason, WEIR_CHECKPOINT_DECLINED);
    assert_true((out->member[0].part & WEIR_MEMBER_ACK) != 0);
    assert_true((out->member[1].part & WEIR_MEMBER_ACK) != 0);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 1, WEIR_CHECKPOINT_DECLINED);
    assert_false(rig_decline(&rig, 1, 1, WEIR_CHECKPOINT_DECLINED));
    rig_complete(&rig, 2);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 2));
    rig_end(&rig);
}

static void
t_T275_no_more_at_once_than_allowed(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 5};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(limits); i++) {
        rig_conf(&rig, 2);
        rig.conf.concurrent_max = limits[i];
        rig.conf.interval_ns = 10;
        rig_start(&rig);
        for (int64_t now_ns = 10; now_ns <= 200; now_ns += 10) {
            rig_tick(&rig, now_ns);
        }
        assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), limits[i]);
        assert_int_equal(weir_coordinator_pending_cnt(rig.coordinator), limits[i]);
        /* What the clock asks twice is one request. */
        assert_int_equal(weir_coordinator_queue_cnt(rig.coordinator), 1);
        rig_ack_all(&rig, 1);
        assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), limits[i]);
        rig_stored(&rig, 1);
        assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), limits[i] + 1);
        rig_tick(&rig, 210);
        assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), limits[i] + 1);
        rig_end(&rig);
    }
}

static void
t_T276_subsumed_ones_make_room(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 2;
    rig.conf.interval_ns = 10;
    rig_start(&rig);
    rig_tick(&rig, 10);
    rig_tick(&rig, 20);
    rig_tick(&rig, 30);
    rig_complete(&rig, 2);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_ABORTED);
    rig_tick(&rig, 40);
    assert_int_equal(rig_state(&rig, 3), WEIR_COORDINATOR_COLLECTING);
    assert_int_equal(rig_state(&rig, 4), WEIR_COORDINATOR_COLLECTING);
    rig_tick(&rig, 50);
    assert_int_equal(weir_coordinator_pending_cnt(rig.coordinator), 2);
    rig_end(&rig);
}

static void
t_T277_the_pause_is_kept_and_savepoints_ignore_it(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    rig.conf.pause_ns = 50;
    rig_start(&rig);
    rig_tick(&rig, 10);
    rig.now_ns = 15;
    rig_complete(&rig, 1);
    for (int64_t now_ns = 20; now_ns < 65; now_ns += 1) {
        rig_tick(&rig, now_ns);
    }
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), 65);
    rig_savepoint(&rig);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 2);
    rig_savepoint(&rig);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 3);
    assert_true(rig_decline(&rig, 2, 0, WEIR_CHECKPOINT_DECLINED));
    assert_true(rig_decline(&rig, 3, 0, WEIR_CHECKPOINT_DECLINED));
    rig_tick(&rig, 65);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 4);
    rig_end(&rig);
}

static void
t_the_first_periodic_one_may_come_sooner(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 100;
    rig.conf.first_ns = 30;
    rig_start(&rig);
    int64_t began_ns = rig.now_ns;
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), began_ns + 30);
    rig_tick(&rig, began_ns + 29);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    rig_tick(&rig, began_ns + 30);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    rig_complete(&rig, 1);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), began_ns + 130);
    rig_end(&rig);
    rig_conf(&rig, 2);
    rig.conf.first_ns = -1;
    assert_int_equal(weir_coordinator_new(&rig.conf, &rig.coordinator), WEIR_EINVAL);
    weir_err_clear();
}

static void
t_a_periodic_one_waits_for_tasks_that_start(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 1000;
    rig.conf.first_ns = 100;
    assert_int_equal(weir_coordinator_new(&rig.conf, &rig.coordinator), 0);
    for (uint32_t i = 0; i < rig.conf.task_cnt; i++) {
        rig.attempt[i] = 1;
        rig_task(&rig, i, WEIR_COORDINATOR_TASK_STARTING);
    }
    weir_coordinator_start(rig.coordinator, 0);
    rig_tick(&rig, 350);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_RUNNING);
    rig_tick(&rig, 400);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_ANSWER), 0);
    int64_t due_ns = weir_coordinator_due_ns(rig.coordinator);
    assert_in_range(due_ns, 401, 450); /* not the next interval's */
    rig_task(&rig, 1, WEIR_COORDINATOR_TASK_RUNNING);
    rig_tick(&rig, due_ns);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), due_ns + 1000);
    rig_complete(&rig, 1);
    rig_end(&rig);
}

static void
t_T279_savepoints_are_not_subsumed(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_savepoint(&rig);
    rig_savepoint(&rig);
    assert_int_equal(weir_coordinator_pending_cnt(rig.coordinator), 2);
    rig_savepoint(&rig);
    assert_true(rig_decline(&rig, 3, 0, WEIR_CHECKPOINT_DECLINED));
    assert_true(rig_decline(&rig, 2, 0, WEIR_CHECKPOINT_DECLINED));
    rig_end(&rig);
    rig_conf(&rig, 2);
    rig.conf.concurrent_max = 3;
    rig_start(&rig);
    rig_savepoint(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    rig_complete(&rig, 3);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    assert_int_equal(rig_state(&rig, 2), WEIR_COORDINATOR_ABORTED);
    rig_clear(&rig);
    assert_int_equal(rig_ack(&rig, 1, 1), WEIR_COORDINATOR_TAKEN);
    rig_stored(&rig, 1);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 1, WEIR_CHECKPOINT_NONE);
    /* A restart would not go back to it: sinks are not told, and it is no business of retention. */
    assert_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 1));
    assert_null(rig_said(&rig, WEIR_COORDINATOR_COMPLETED, 1));
    assert_null(rig_said(&rig, WEIR_COORDINATOR_DROP, 1));
    rig_end(&rig);
}

static void
t_T279_a_savepoint_does_not_subsume(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_savepoint(&rig);
    rig_complete(&rig, 2);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    rig_complete(&rig, 1);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 1));
    rig_end(&rig);
}

static void
t_T280_tasks_that_do_not_run(void **state)
{
    (void)state;
    rig_conf(&rig, 3);
    rig_start(&rig);
    rig.attempt[0] = 2;
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_STARTING);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_NOT_RUNNING);
    assert_int_equal(weir_coordinator_id_last(rig.coordinator), 0);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_RUNNING);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_FINISHED);
    rig_clear(&rig);
    rig_checkpoint(&rig);
    const struct weir_coordinator_out *out = rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 1);
    assert_non_null(out);
    assert_int_equal(out->member[0].part, WEIR_MEMBER_FINISHED);
    assert_int_equal(out->member[0].attempt, 2);
    assert_int_equal(out->member[1].part, WEIR_MEMBER_TRIGGER | WEIR_MEMBER_ACK);
    assert_int_equal(out->member[2].part, WEIR_MEMBER_ACK);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_DISCARD);
    assert_int_equal(rig_ack(&rig, 1, 1), WEIR_COORDINATOR_TAKEN);
    assert_int_equal(rig_ack(&rig, 1, 2), WEIR_COORDINATOR_TAKEN);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_STORE, 1));
    rig_stored(&rig, 1);
    rig_clear(&rig);
    rig_task(&rig, 1, WEIR_COORDINATOR_TASK_FINISHED);
    rig_task(&rig, 2, WEIR_COORDINATOR_TASK_FINISHED);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_TASKS_FINISHED);
    rig_end(&rig);
    rig_conf(&rig, 3);
    rig.conf.is_after_finish = false;
    rig_start(&rig);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_FINISHED);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_TASKS_FINISHED);
    rig_end(&rig);
}

static void
t_T280_a_task_that_finishes_before_its_ack_ends_the_checkpoint(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_FINISHED);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    rig_task(&rig, 1, WEIR_COORDINATOR_TASK_FINISHED);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_TASK_CLOSING);
    rig_end(&rig);
}

static void
t_T281_the_job_fails_with_the_savepoint_that_was_to_stop_it(void **state)
{
    (void)state;
    static const enum weir_checkpoint_stop stops[] = {
        WEIR_CHECKPOINT_SUSPEND, WEIR_CHECKPOINT_DRAIN};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(stops); i++) {
        rig_conf(&rig, 2);
        rig_start(&rig);
        rig_request(&rig, SAVEPOINT, stops[i], 5);
        assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 1)->request.stop, stops[i]);
        assert_true(rig_decline(&rig, 1, 0, WEIR_CHECKPOINT_TASK_NOT_READY));
        rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, 1, WEIR_CHECKPOINT_TASK_NOT_READY);
        assert_string_equal(
            rig.text, "savepoint 1, which was to stop the job, was aborted: a task was not ready");
        assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_ANSWER, 1)->request.ticket, 5);
        rig_end(&rig);
    }
    /* Refused before it touched a task: the job goes on. */
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig.attempt[0] = 2;
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_STARTING);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_DRAIN, 5);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_NOT_RUNNING);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_RUNNING);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    rig_checkpoint(&rig);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 1));
    rig_end(&rig);
    /* And it ends nothing of what was pending. */
    rig_conf(&rig, 2);
    rig.conf.is_after_finish = false;
    rig_start(&rig);
    rig_checkpoint(&rig);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_TAKEN);
    rig_task(&rig, 0, WEIR_COORDINATOR_TASK_FINISHED);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_DRAIN, 5);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_TASKS_FINISHED);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    rig_end(&rig);
}

static void
t_a_stop_ends_what_is_not_a_savepoint_and_nothing_starts_after_it(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_checkpoint(&rig);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_DRAIN, 9);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_STOPPING);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_STOPPING);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 2));
    rig_clear(&rig);
    rig_tick(&rig, 100);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_SUSPEND, 10);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_STOPPING);
    rig_clear(&rig);
    rig_complete(&rig, 2);
    assert_int_equal(
        rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 2)->request.stop, WEIR_CHECKPOINT_DRAIN);
    rig_clear(&rig);
    rig_tick(&rig, 200);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_SHUTDOWN);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), WEIR_COORDINATOR_NEVER);
    rig_committed(&rig, 2);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_COMMITTED, 2));
    rig_end(&rig);
}

static void
t_T282_users_before_the_clock_and_savepoints_before_checkpoints(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    rig.conf.is_savepoint_queued = true;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_tick(&rig, 10);
    rig_request(&rig, CHECKPOINT, WEIR_CHECKPOINT_GO_ON, 21);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_GO_ON, 22);
    assert_int_equal(weir_coordinator_queue_cnt(rig.coordinator), 3);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 1);
    rig_complete(&rig, 1);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 2)->request.ticket, 22);
    rig_complete(&rig, 2);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 3)->request.ticket, 21);
    rig_complete(&rig, 3);
    assert_true(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 4)->request.is_periodic);
    rig_end(&rig);
}

static void
t_T283_a_full_queue_drops_its_last(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_checkpoint(&rig);
    for (uint64_t ticket = 100; ticket <= 110; ticket++) {
        assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_ANSWER), 0);
        rig_request(&rig, CHECKPOINT, WEIR_CHECKPOINT_GO_ON, ticket);
    }
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_TOO_MANY_REQUESTS);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_ANSWER, 0)->request.ticket, 110);
    assert_int_equal(weir_coordinator_queue_cnt(rig.coordinator), 10);
    rig_end(&rig);
    rig_conf(&rig, 2);
    rig.conf.queue_max = 1;
    rig.conf.is_savepoint_queued = true;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_request(&rig, CHECKPOINT, WEIR_CHECKPOINT_GO_ON, 31);
    rig_request(&rig, SAVEPOINT, WEIR_CHECKPOINT_GO_ON, 32);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_ANSWER, 0)->request.ticket, 31);
    rig_complete(&rig, 1);
    assert_int_equal(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 2)->request.ticket, 32);
    rig_end(&rig);
}

static void
t_T285_only_the_clocks_checkpoints_wait_for_the_pause(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.interval_ns = 10;
    rig.conf.pause_ns = 1000;
    rig_start(&rig);
    rig_tick(&rig, 10);
    rig_complete(&rig, 1);
    rig_clear(&rig);
    rig_tick(&rig, 20);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_MIN_PAUSE);
    assert_true(rig_said(&rig, WEIR_COORDINATOR_ANSWER, 0)->request.is_periodic);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_TRIGGER), 0);
    rig_checkpoint(&rig);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 2));
    rig_savepoint(&rig);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_TRIGGER, 3));
    rig_end(&rig);
}

static void
fail_one(uint64_t id)
{
    rig_checkpoint(&rig);
    assert_true(rig_decline(&rig, id, 0, WEIR_CHECKPOINT_DECLINED));
}

static void
t_T286_failures_in_a_row_fail_the_job(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.tolerable = 2;
    rig_start(&rig);
    fail_one(1);
    fail_one(2);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    fail_one(3);
    rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, 3, WEIR_CHECKPOINT_DECLINED);
    assert_string_equal(
        rig.text, "checkpoint 3 failed: a task declined it; more than 2 in a row are not borne");
    rig_end(&rig);
    rig_conf(&rig, 2);
    rig.conf.tolerable = 2;
    rig_start(&rig);
    fail_one(1);
    fail_one(2);
    rig_checkpoint(&rig);
    rig_complete(&rig, 3);
    fail_one(4);
    fail_one(5);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    rig_end(&rig);
}

/* cnt checkpoints in turn, each overdue; the last of them. */
static uint64_t
overdue(uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        rig_checkpoint(&rig);
        rig_tick(&rig, rig.now_ns + rig.conf.timeout_ns);
        rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, weir_coordinator_id_last(rig.coordinator),
            WEIR_CHECKPOINT_EXPIRED);
    }
    return weir_coordinator_id_last(rig.coordinator);
}

/* Where no number of failures is too many: the time-out is shorter than any checkpoint takes. */
static void
t_a_job_whose_end_is_always_overdue_fails(void **state)
{
    (void)state;
    enum { MOST = WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX };
    rig_conf(&rig, 2);
    rig.conf.timeout_ns = 2 * WEIR_SEC_NS;
    rig_start(&rig);
    (void)overdue(MOST + 2); /* the job goes on meanwhile */
    rig_checkpoint(&rig);
    weir_coordinator_await_last(rig.coordinator, true);
    rig_tick(&rig, rig.now_ns + rig.conf.timeout_ns); /* it began before */
    (void)overdue(MOST - 1);
    rig_savepoint(&rig); /* no end of the job's */
    rig_tick(&rig, rig.now_ns + rig.conf.timeout_ns);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    uint64_t id = overdue(1);
    rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, id, WEIR_CHECKPOINT_EXPIRED);
    assert_non_null(strstr(rig.text, "longer than checkpoints.timeout (2 s), as did the 7 before"));
    rig_clear(&rig);
    rig_checkpoint(&rig);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ANSWER, 0, WEIR_CHECKPOINT_SUSPENDED);
    weir_coordinator_start(rig.coordinator, rig.now_ns); /* it counts anew */
    rig_take(&rig);
    (void)overdue(MOST - 1);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    rig_end(&rig);
}

static void
t_an_end_that_is_overdue_at_times_is_waited_for(void **state)
{
    (void)state;
    enum { MOST = WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX };
    rig_conf(&rig, 2);
    rig_start(&rig);
    weir_coordinator_await_last(rig.coordinator, true);
    uint64_t id = overdue(MOST - 1);
    rig_checkpoint(&rig); /* storage is at fault, which may pass */
    assert_true(rig_decline(&rig, ++id, 0, WEIR_CHECKPOINT_IO));
    id = overdue(MOST - 1);
    rig_checkpoint(&rig);
    rig_complete(&rig, ++id); /* of another task's end */
    rig_committed(&rig, id);
    (void)overdue(MOST - 1);
    weir_coordinator_await_last(rig.coordinator, false); /* and of another one's again */
    (void)overdue(MOST);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    rig_end(&rig);
    /* A number of failures that is set is the one that counts. */
    rig_conf(&rig, 2);
    rig.conf.tolerable = MOST + 5;
    rig_start(&rig);
    weir_coordinator_await_last(rig.coordinator, true);
    (void)overdue(MOST + 5);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    id = overdue(1);
    rig_assert_reason(&rig, WEIR_COORDINATOR_FAIL, id, WEIR_CHECKPOINT_EXPIRED);
    assert_non_null(strstr(rig.text, "in a row are not borne"));
    rig_end(&rig);
}

static void
t_failed_savepoints_do_not_count(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.tolerable = 0;
    rig_start(&rig);
    rig_savepoint(&rig);
    assert_true(rig_decline(&rig, 1, 0, WEIR_CHECKPOINT_DECLINED));
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 0);
    fail_one(2);
    assert_int_equal(rig_said_cnt(&rig, WEIR_COORDINATOR_FAIL), 1);
    rig_end(&rig);
}

static void
t_T288_one_older_than_the_last_success_does_not_count(void **state)
{
    (void)state;
    struct weir_checkpoint_failures failures;
    weir_checkpoint_failures_init(&failures, 0);
    weir_checkpoint_failures_success(&failures, 5);
    assert_false(weir_checkpoint_failures_add(&failures, 4, WEIR_CHECKPOINT_EXPIRED));
    assert_false(weir_checkpoint_failures_add(&failures, 5, WEIR_CHECKPOINT_EXPIRED));
    assert_true(weir_checkpoint_failures_add(&failures, 6, WEIR_CHECKPOINT_EXPIRED));
}

/* SubtaskCheckpointCoordinatorTest.testAbortOldAndStartNewCheckpoint; here the master's side. */
static void
t_T291_an_old_one_is_aborted_and_a_new_one_runs(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig.conf.timeout_ns = 1000;
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig.now_ns = 600;
    rig_checkpoint(&rig);
    assert_int_equal(weir_coordinator_due_ns(rig.coordinator), 1000);
    rig_tick(&rig, 999);
    assert_int_equal(rig_state(&rig, 1), WEIR_COORDINATOR_COLLECTING);
    assert_int_equal(rig_state(&rig, 2), WEIR_COORDINATOR_FREE);
    rig_tick(&rig, 1000);
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_EXPIRED);
    assert_int_equal(rig_state(&rig, 2), WEIR_COORDINATOR_COLLECTING);
    assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_DISCARD);
    rig_complete(&rig, 2);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_NOTIFY, 2));
    rig_end(&rig);
}

static void
t_T295_files_go_when_the_store_fails_and_stay_when_nobody_knows(void **state)
{
    (void)state;
    rig_conf(&rig, 2);
    rig_start(&rig);
    rig_checkpoint(&rig);
    rig_ack_all(&rig, 1);
    assert_true(rig_failed(&rig, 1, WEIR_COORDINATOR_STORE_FAILED));
    rig_assert_reason(&rig, WEIR_COORDINATOR_ABORT, 1, WEIR_CHECKPOINT_FINALIZE);
    assert_non_null(rig_said(&rig, WEIR_COORDINATOR_DROP, 1));
    static const enum weir_coordinator_store_outcome outcomes[] = {
        WEIR_COORDINATOR_STORE_UNKNOWN, WEIR_COORDINATOR_STORE_FENCED};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(outcomes); i++) {
        rig_end(&rig);
        rig_conf(&rig, 2);
        rig.conf.interval_ns = 10;
        rig_start(&rig);
        rig_checkpoint(&rig);
        rig_ack_all(&rig, 1);
        rig_clear(&rig);
        assert_true(rig_failed(&rig, 1, outcomes[i]));
        assert_int_equal(rig.out_cnt, 1);
        assert_int_equal(rig.out[0].kind, WEIR_COORDINATOR_HALT);
        /* Not a word more. */
        rig_tick(&rig, 1000);
        rig_checkpoint(&rig);
        assert_int_equal(rig_ack(&rig, 1, 0), WEIR_COORDINATOR_LEAVE);
        assert_false(weir_coordinator_stored(rig.coordinator, 1, 1000));
        weir_coordinator_suspend(rig.coordinator, 1000);
        rig_take(&rig);
        assert_int_equal(rig.out_cnt, 1);
    }
    rig_end(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T270_one_checkpoint_from_trigger_to_commit),
        cmocka_unit_test(t_T271_a_complete_checkpoint_subsumes_an_older_one),
        cmocka_unit_test(t_T273_files_of_late_and_unknown_acks),
        cmocka_unit_test(t_T274_a_decline_aborts_one_and_not_the_other),
        cmocka_unit_test(t_T275_no_more_at_once_than_allowed),
        cmocka_unit_test(t_T276_subsumed_ones_make_room),
        cmocka_unit_test(t_T277_the_pause_is_kept_and_savepoints_ignore_it),
        cmocka_unit_test(t_the_first_periodic_one_may_come_sooner),
        cmocka_unit_test(t_a_periodic_one_waits_for_tasks_that_start),
        cmocka_unit_test(t_T279_savepoints_are_not_subsumed),
        cmocka_unit_test(t_T279_a_savepoint_does_not_subsume),
        cmocka_unit_test(t_T280_tasks_that_do_not_run),
        cmocka_unit_test(t_T280_a_task_that_finishes_before_its_ack_ends_the_checkpoint),
        cmocka_unit_test(t_T281_the_job_fails_with_the_savepoint_that_was_to_stop_it),
        cmocka_unit_test(t_a_stop_ends_what_is_not_a_savepoint_and_nothing_starts_after_it),
        cmocka_unit_test(t_T282_users_before_the_clock_and_savepoints_before_checkpoints),
        cmocka_unit_test(t_T283_a_full_queue_drops_its_last),
        cmocka_unit_test(t_T285_only_the_clocks_checkpoints_wait_for_the_pause),
        cmocka_unit_test(t_T286_failures_in_a_row_fail_the_job),
        cmocka_unit_test(t_a_job_whose_end_is_always_overdue_fails),
        cmocka_unit_test(t_an_end_that_is_overdue_at_times_is_waited_for),
        cmocka_unit_test(t_failed_savepoints_do_not_count),
        cmocka_unit_test(t_T288_one_older_than_the_last_success_does_not_count),
        cmocka_unit_test(t_T291_an_old_one_is_aborted_and_a_new_one_runs),
        cmocka_unit_test(t_T295_files_go_when_the_store_fails_and_stay_when_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
