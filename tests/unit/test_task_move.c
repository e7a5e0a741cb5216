/* SPDX-License-Identifier: Apache-2.0 */
/* Key groups that move at a barrier, on one real task (stage.h): what others do cannot keep it from
 * letting them go their way. */
#include "tests/unit/stage.h"

#define FLYING_CNT WEIR_TASK_FLYING_CNT_MAX
#define MOVED(id)                                                                                \
    "barrier a " id "\nbarrier b " id "\nsent barrier 0 " id "\nsent barrier 1 " id "\nmove " id \
    "\nbegin " id "\nsnapshot b " id "\nsnapshot a " id "\nSNAPSHOT " id "\nprecommit a " id     \
    "\nprecommit b " id "\nPRECOMMITTED " id "\n"

static void
bar(struct stage *s, uint32_t channel, uint64_t id)
{
    wire_mark_kind(&s->wire, channel, WEIR_SLOT_BARRIER, id, WEIR_MARK_MOVE);
}

/* Between the barrier and the snapshot; nothing is taken in meanwhile. */
static void
t_T195_state_moves_behind_the_barrier(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    s->move_wait_cnt = 2;
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_put(&s->wire, c, c);
        bar(s, c, 1);
        wire_put(&s->wire, c, 10 + c);
    }
    while (s->move_wait_cnt > 0) {
        (void)weir_task_poll(s->task, 8, 0);
    }
    assert_int_equal(weir_task_poll(s->task, 0, 0), WEIR_POLL_BUSY);
    settle(s);
    assert_log(s, MOVED("1"));
    assert_counts(s, "a", 4, 0 + 1 + 2 + 3);
    wire_mark(&s->wire, 0, WEIR_SLOT_BARRIER, 2); /* others move nothing */
    for (uint32_t c = 1; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 2);
    }
    settle(s);
    assert_log(s, WHOLE("2"));
    stage_close(s);
}

static void
t_T195_an_abort_does_not_stop_it(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    post_kind(s, WEIR_TASK_ABORT, 1, WEIR_MARK_MOVE); /* before it has heard of it */
    settle(s);
    bar(s, 0, 1);
    wire_put(&s->wire, 0, 5);
    settle(s);
    post_kind(s, WEIR_TASK_ABORT, 1, WEIR_MARK_MOVE); /* while barriers are missing */
    settle(s);
    assert_out(s, "");
    s->move_wait_cnt = 1;
    for (uint32_t c = 1; c < IN_CNT; c++) {
        bar(s, c, 1);
    }
    assert_int_equal(weir_task_poll(s->task, 64, 0), WEIR_POLL_HELD);
    post_kind(s, WEIR_TASK_ABORT, 1, WEIR_MARK_MOVE); /* and while others are waited for */
    settle(s);
    assert_log(s, /* operators are told behind it */
        "barrier a 1\nbarrier b 1\nsent barrier 0 1\nsent barrier 1 1\nmove 1\nbegin 1\n"
        "snapshot b 1\nsnapshot a 1\nSNAPSHOT 1\naborted b 1\naborted a 1\n");
    assert_out(s, "B1 5");
    post_kind(s, WEIR_TASK_ABORT, 1, WEIR_MARK_MOVE);
    settle(s);
    assert_log(s, "aborted b 1\naborted a 1\n");
    stage_close(s);
}

/* All of a job's tasks are told of one that was given up. It may find them with barriers
 * missing. */
static void
t_T195_a_later_trigger_waits_for_it(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    bar(s, 0, 1);
    bar(s, 1, 1);
    settle(s);
    post_kind(s, WEIR_TASK_TRIGGER, 2, WEIR_MARK_PERIODIC);
    post_kind(s, WEIR_TASK_TRIGGER, 1, WEIR_MARK_MOVE);
    settle(s);
    assert_log(s, "");
    wire_event(&s->wire, 2, WEIR_SLOT_END, 0);
    bar(s, 3, 1);
    settle(s);
    assert_log(s, MOVED("1"));
    assert_out(s, "B1");
    for (uint32_t c = 0; c < IN_CNT; c++) {
        if (c != 2) {
            wire_event(&s->wire, c, WEIR_SLOT_END, 0);
        }
    }
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT 2\n"));
    stage_close(s);
}

/* Of a task with sources beside gates that trigger is what its barriers wait for. */
static void
t_T195_the_letter_for_the_sources_comes_behind_barriers(void **state)
{
    const struct stage_conf conf = {.has_source = true, .is_mixed = true};
    (void)state;
    struct stage *s = stage_open(&conf);
    settle(s);
    bar(s, 2, 1);
    bar(s, 3, 1);
    settle(s);
    assert_log(s, "");
    post_kind(s, WEIR_TASK_TRIGGER, 1, WEIR_MARK_MOVE);
    settle(s);
    assert_log(s, MOVED("1"));
    stage_close(s);
}

/* A later barrier that does not wait for rows stands behind it in a channel that has not come so
 * far: what lies behind the first one in others is held back all the same. */
static void
t_T195_nothing_overtakes_it(void **state)
{
    const struct stage_conf conf = {.is_unaligned = true};
    (void)state;
    struct stage *s = stage_open(&conf);
    settle(s);
    bar(s, 0, 1);
    settle(s);
    wire_put(&s->wire, 0, 77);
    wire_put(&s->wire, 1, 5);
    bar(s, 1, 1);
    wire_put(&s->wire, 1, 6);
    wire_mark_kind(&s->wire, 1, WEIR_SLOT_BARRIER, 2, WEIR_MARK_PERIODIC);
    wire_mark_kind(&s->wire, 2, WEIR_SLOT_BARRIER, 1, WEIR_MARK_MOVE);
    settle(s);
    assert_out(s, "5");
    assert_log(s, "");
    bar(s, 3, 1);
    settle(s);
    assert_non_null(strstr(s->log, "move 1\nbegin 1\n"));
    assert_null(strstr(s->log, "subsumed"));
    assert_non_null(strstr(s->log, "begin 2\n")); /* it had its turn */
    stage_close(s);
}

static void
t_T195_a_task_that_begins_does_not_decline_it(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true};
    struct stage *s = stage_open(&conf);
    post_kind(s, WEIR_TASK_TRIGGER, 1, WEIR_MARK_MOVE);
    (void)weir_task_poll(s->task, 8, 0);
    assert_log(s, "");
    settle(s);
    assert_log(s, MOVED("1"));
    stage_close(s);
}

/* As many as there may be wait to be pre-committed: it waits for one of them. */
static void
t_T195_a_busy_task_does_not_decline_it(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[0].wait_cnt = UINT32_MAX;
    for (uint64_t id = 1; id <= FLYING_CNT; id++) {
        post(s, WEIR_TASK_TRIGGER, id);
        settle(s);
    }
    s->log_bytes = 0;
    s->log[0] = '\0';
    post_kind(s, WEIR_TASK_TRIGGER, FLYING_CNT + 1, WEIR_MARK_MOVE);
    for (uint32_t i = 0; i < 10; i++) {
        (void)weir_task_poll(s->task, 8, 0);
    }
    assert_null(strstr(s->log, "DECLINED"));
    assert_null(strstr(s->log, "sent"));
    s->script[0].wait_cnt = 0;
    settle(s);
    assert_non_null(strstr(s->log, "move 9\nbegin 9\n"));
    stage_close(s);
}

static void
t_T195_what_cannot_move_fails_the_task(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->move_error = WEIR_EBUDGET;
    post_kind(s, WEIR_TASK_TRIGGER, 1, WEIR_MARK_MOVE);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(s->task), WEIR_EBUDGET);
    assert_non_null(strstr(weir_task_cause(s->task), "no room for what moves"));
    stage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T195_state_moves_behind_the_barrier),
        cmocka_unit_test(t_T195_an_abort_does_not_stop_it),
        cmocka_unit_test(t_T195_a_later_trigger_waits_for_it),
        cmocka_unit_test(t_T195_the_letter_for_the_sources_comes_behind_barriers),
        cmocka_unit_test(t_T195_nothing_overtakes_it),
        cmocka_unit_test(t_T195_a_task_that_begins_does_not_decline_it),
        cmocka_unit_test(t_T195_a_busy_task_does_not_decline_it),
        cmocka_unit_test(t_T195_what_cannot_move_fails_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
