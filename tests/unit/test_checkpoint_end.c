/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints on one real task (stage.h): what can go wrong, the end of the data, sources beside
 * gates, and restore. */
#include "tests/unit/stage.h"

/* ---- what can go wrong ---- */

/* Rings of 8 hold 4 batches of rows, and 4 events: a fifth event waits, and with it all else. */
static void
t_a_full_ring_holds_a_barrier_and_nothing_passes_it(void **state)
{
    (void)state;
    const struct stage_conf conf = {.slot_cnt = 8};
    struct stage *s = stage_open(&conf);
    uint64_t id = 1;
    enum weir_task_poll did = WEIR_POLL_BUSY;
    settle(s);
    for (; did != WEIR_POLL_BACKPRESSURED; id++) {
        assert_true(id < 20);
        for (uint32_t c = 0; c < IN_CNT; c++) {
            wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, id);
            wire_put(&s->wire, c, (int64_t)(10 * id));
        }
        for (uint32_t i = 0; i < 20; i++) {
            did = weir_task_poll(s->task, 8, 0);
        }
    }
    /* Letters are taken all the same; a trigger would wait. */
    s->log_bytes = 0;
    s->log[0] = 0;
    post(s, WEIR_TASK_NOTIFY, 1);
    post(s, WEIR_TASK_ABORT, 99);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BACKPRESSURED);
    assert_log(s, "committed b 1\ncommitted a 1\naborted b 99\naborted a 99\nCOMMITTED 1\n");
    /* One output is emptied, then the other: each sees all in order, once. */
    char seen[OUT_CNT][1024] = {{0}};
    for (uint32_t i = 0; i < 60; i++) {
        const char *got = out(s, i / 3 % 2);
        (void)strcat(strcat(seen[i / 3 % 2], got), got[0] != 0 ? " " : "");
        (void)weir_task_poll(s->task, 8, 0);
    }
    char want[1024] = {0};
    for (uint64_t i = 1; i < id; i++) {
        char *at = want + strlen(want);
        sprintf(at, "B%llu %llu %llu %llu %llu ", (unsigned long long)i,
            (unsigned long long)(10 * i), (unsigned long long)(10 * i),
            (unsigned long long)(10 * i), (unsigned long long)(10 * i));
    }
    assert_string_equal(seen[0], want);
    assert_string_equal(seen[1], want);
    assert_counts(s, "a", 4 * (id - 2), 4 * 10 * (id - 2) * (id - 1) / 2);
    stage_close(s);
}

static void
t_A275_a_failing_snapshot_declines(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[0].fails_in = "snapshot";
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED snapshot 1\n"));
    assert_null(strstr(s->log, "precommit"));
    s->script[0].fails_in = "precommit";
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT 2\nprecommit a 2\nDECLINED pre-commit 2\n"));
    s->script[0].fails_in = NULL;
    s->refuses = true;
    post(s, WEIR_TASK_TRIGGER, 3);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED storage 3\n"));
    s->refuses = false;
    s->parts_cap = 100;
    post(s, WEIR_TASK_TRIGGER, 4);
    settle(s);
    assert_non_null(strstr(s->log, "DECLINED snapshot 4\n"));
    s->parts_cap = sizeof s->parts;
    s->log_bytes = 0;
    post(s, WEIR_TASK_TRIGGER, 5);
    settle(s);
    assert_log(s, WHOLE("5"));
    assert_out(s, "B1 B2 B3 B4 B5"); /* the barriers had left; the coordinator aborts */
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    assert_int_equal(weir_err_cnt(), 0);
    stage_close(s);
}

/* Rows go on while a sink writes; what is aborted meanwhile is not acknowledged. */
static void
t_pre_commits_are_waited_for_beside_rows(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->script[1].wait_cnt = 1000000;
    for (uint64_t id = 1; id <= WEIR_TASK_FLYING_CNT_MAX + 1; id++) {
        post(s, WEIR_TASK_TRIGGER, id);
        s->source_next++;
        settle(s);
    }
    assert_null(strstr(s->log, "PRECOMMITTED"));
    assert_non_null(strstr(s->log, "precommit a 1\n"));
    assert_null(strstr(strstr(s->log, "precommit a 1\n") + 1, "precommit a")); /* b is waited for */
    assert_non_null(strstr(s->log, "DECLINED busy 9\nsent cancel 0 9\n"));
    assert_out(s, "B1 0 B2 1 B3 2 B4 3 B5 4 B6 5 B7 6 B8 7 C9 8");
    post(s, WEIR_TASK_ABORT, 1);
    post(s, WEIR_TASK_ABORT, 3);
    s->script[1].wait_cnt = 0;
    s->log_bytes = 0;
    settle(s);
    assert_null(strstr(s->log, "PRECOMMITTED 1\n"));
    assert_null(strstr(s->log, "PRECOMMITTED 3\n"));
    assert_non_null(strstr(s->log, "PRECOMMITTED 2\nprecommit a 4\n"));
    assert_non_null(strstr(s->log, "PRECOMMITTED 8\n"));
    stage_close(s);
}

/* ---- the end ---- */

static void
t_the_end_waits_for_a_checkpoint_behind_all_data(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true, .waits_final = true};
    struct stage *s = stage_open(&conf);
    s->source_next = 2;
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    s->source_ends = true;
    s->log_bytes = 0;
    settle(s);
    assert_log(s, "WAITS 0\n");
    assert_out(s, "0 1 B1 W9223372036854775807 E");
    post(s, WEIR_TASK_NOTIFY, 1); /* it began before the end */
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    s->log_bytes = 0;
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    /* Its outputs have ended: no barrier follows. */
    assert_log(s, "barrier a 2\nbarrier b 2\nbegin 2\nsnapshot b 2\nsnapshot a 2\n"
                  "SNAPSHOT final 2\nprecommit a 2\nprecommit b 2\nPRECOMMITTED 2\n");
    assert_out(s, "");
    post(s, WEIR_TASK_NOTIFY, 2);
    settle(s);
    assert_log(s, "committed b 2\ncommitted a 2\nCOMMITTED 2\nENDED finished 0\n");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

/* Its producers have ended, their last rows are on the way: the checkpoint is behind them. */
static void
t_a_trigger_of_a_task_whose_producers_ended(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    post(s, WEIR_TASK_TRIGGER, 1);
    wire_put(&s->wire, 0, 1);
    settle(s);
    assert_out(s, "1");
    wire_put(&s->wire, 1, 2);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_END, 0);
    }
    settle(s);
    assert_out(s, "2 B1 E");
    assert_counts(s, "a", 2, 3);
    stage_close(s);
}

static void
t_a_stop_waits_behind_a_barrier_that_goes_out(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    s->source_next = 1;
    post(s, WEIR_TASK_TRIGGER, 1);
    weir_task_request(s->task, WEIR_TASK_REQUEST_STOP);
    settle(s);
    assert_out(s, "B1 E");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

/* Nothing comes behind its barrier: what is committed with it is all there is. */
static void
t_T179_a_savepoint_that_stops_holds_the_sources(void **state)
{
    (void)state;
    const struct stage_conf conf = {.has_source = true, .waits_final = true};
    struct stage *s = stage_open(&conf);
    struct weir_mark mark = {.id = 1, .kind = WEIR_MARK_STOP};
    s->source_next = 2;
    settle(s);
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), 1);
    s->source_next = 4;
    settle(s);
    assert_out(s, "0 1 B1");
    post(s, WEIR_TASK_ABORT, 1); /* it goes on */
    settle(s);
    assert_out(s, "2 3");
    mark.id = 2;
    assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), 1);
    s->source_next = 6;
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 3);
    settle(s);
    assert_out(s, "B2 B3");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    post(s, WEIR_TASK_NOTIFY, 2);
    settle(s);
    assert_out(s, "E"); /* no row, no MAX watermark */
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

/* ---- a source and a gate in one task ---- */

static struct stage *
stage_run_mixed(void)
{
    const struct stage_conf conf = {.has_source = true, .is_mixed = true};
    struct stage *s = stage_open(&conf);
    settle(s);
    return s;
}

/* The source is a channel like others: its letter is its barrier, and blocks it. */
static void
t_a_source_waits_for_the_barriers_of_the_gates(void **state)
{
    (void)state;
    struct stage *s = stage_run_mixed();
    s->source_next = 2;
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 1);
    s->source_next = 4;
    wire_put(&s->wire, 2, 50);
    settle(s);
    assert_out(s, "0 1 50");
    weir_task_request(s->task, WEIR_TASK_REQUEST_DRAIN); /* behind the cut, too */
    settle(s);
    assert_out(s, "");
    wire_mark(&s->wire, 2, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 2, 60);
    settle(s);
    assert_out(s, "");
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 1);
    settle(s);
    assert_out(s, "B1 60 2 3"); /* what it had ready when it was free again */
    assert_counts(s, "a", 2, 1);
    assert_counts(s, "b", 3, 51);
    wire_event(&s->wire, 2, WEIR_SLOT_END, 0);
    wire_event(&s->wire, 3, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "E");
    stage_close(s);
}

static void
t_a_gate_waits_for_the_letter_of_the_source(void **state)
{
    (void)state;
    struct stage *s = stage_run_mixed();
    wire_mark(&s->wire, 2, WEIR_SLOT_BARRIER, 1);
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 1);
    wire_put(&s->wire, 3, 60);
    s->source_next = 1;
    settle(s);
    assert_out(s, "0");
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_out(s, "B1 60");
    /* The end of the source stands for its letters. */
    wire_mark(&s->wire, 2, WEIR_SLOT_BARRIER, 2);
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 2);
    settle(s);
    assert_out(s, "");
    s->source_ends = true;
    settle(s);
    assert_out(s, "B2");
    wire_mark(&s->wire, 2, WEIR_SLOT_BARRIER, 3);
    wire_mark(&s->wire, 3, WEIR_SLOT_BARRIER, 3);
    settle(s);
    assert_out(s, "B3");
    stage_close(s);
}

/* The seam for unaligned barriers. */
static void
t_a_barrier_is_seen_ahead_of_the_rows_before_it(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    struct weir_ring_cons *ring = &s->wire.in[1].ring;
    wire_put(&s->wire, 1, 1);
    wire_put(&s->wire, 1, 2);
    assert_int_equal(weir_ring_urgent_seq(ring), WEIR_RING_SEQ_NONE);
    wire_mark(&s->wire, 1, WEIR_SLOT_CANCEL, 1);
    assert_int_equal(weir_ring_urgent_seq(ring), WEIR_RING_SEQ_NONE);
    wire_mark(&s->wire, 1, WEIR_SLOT_BARRIER, 2);
    assert_int_equal(weir_ring_urgent_seq(ring), weir_ring_look_seq(ring) + 3);
    stage_close(s);
}

/* ---- restore ---- */

static void
t_B4_a_restored_task_goes_on_where_it_was(void **state)
{
    (void)state;
    struct stage *s = stage_run(false);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_WATERMARK, 10 + c);
        wire_put(&s->wire, c, 5);
    }
    settle(s);
    wire_event(&s->wire, 3, WEIR_SLOT_IDLE, 0);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
    }
    settle(s);
    struct weir_parts_reader parts;
    struct weir_task_restore restore = {
        .is_on = true, .is_same = true, .parts = &parts, .parts_cnt = 1};
    assert_int_equal(weir_parts_reader_init(&parts, s->parts, s->parts_bytes), 0);
    const struct stage_conf conf = {.restore = &restore};
    struct stage *again = stage_open(&conf);
    settle(again);
    assert_log(again, "restore b 0\nrestore a 0\n"); /* tail first */
    assert_int_equal(again->script[0].row_cnt, 4);
    assert_int_equal(again->script[1].sum, 20);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        assert_int_equal(again->wire.in[c].watermark, 10 + c);
        assert_int_equal(again->gates[c / 2].gate.valve.channels[c % 2].idle, c == 3);
    }
    weir_task_publish(again->task);
    assert_int_equal(weir_task_counts(again->task, 0).watermark, 10);
    /* Nothing below what had come out; what is more does. */
    wire_event(&again->wire, 0, WEIR_SLOT_WATERMARK, 11);
    settle(again);
    assert_out(again, "W11");
    stage_close(again);
    /* A missing part. */
    struct weir_parts_writer writer;
    size_t bytes;
    weir_parts_writer_init(&writer, s->parts, sizeof s->parts);
    weir_parts_writer_of(&writer, "b");
    weir_parts_begin(&writer, "another", 1);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&parts, s->parts, bytes), 0);
    struct stage *failed = stage_open(&conf);
    settle(failed);
    assert_int_equal(weir_task_state(failed->task), WEIR_TASK_FAILED);
    assert_non_null(strstr(weir_task_cause(failed->task), "no part chain of operator b"));
    stage_close(failed);
    stage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_full_ring_holds_a_barrier_and_nothing_passes_it),
        cmocka_unit_test(t_A275_a_failing_snapshot_declines),
        cmocka_unit_test(t_pre_commits_are_waited_for_beside_rows),
        cmocka_unit_test(t_the_end_waits_for_a_checkpoint_behind_all_data),
        cmocka_unit_test(t_a_trigger_of_a_task_whose_producers_ended),
        cmocka_unit_test(t_a_stop_waits_behind_a_barrier_that_goes_out),
        cmocka_unit_test(t_T179_a_savepoint_that_stops_holds_the_sources),
        cmocka_unit_test(t_a_source_waits_for_the_barriers_of_the_gates),
        cmocka_unit_test(t_a_gate_waits_for_the_letter_of_the_source),
        cmocka_unit_test(t_a_barrier_is_seen_ahead_of_the_rows_before_it),
        cmocka_unit_test(t_B4_a_restored_task_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
