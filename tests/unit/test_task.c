/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a task: legal moves (SCENARIOS T-169), the order of open, run, finish and close
 * (SEMANTICS A.7, A.9, A.10), cancel, stop and drain. What fails is in test_task_fail.c. */
#include "dataplane/task.h"

#include "base/hist.h"
#include "tests/unit/task_world.h"

/* ---- the matrix ---- */

/* Rows: from, in the order of the states; columns likewise. x: legal. */
static const char *const matrix[WEIR_TASK_STATE_CNT] = {
    /* created, deploying, initializing, running, finished, canceling, canceled, failed */
    /* created      */ ".x...x.x",
    /* deploying    */ "..xx.xxx",
    /* initializing */ "...x.xxx",
    /* running      */ "....xxxx",
    /* finished     */ "........",
    /* canceling    */ "......x.",
    /* canceled     */ "........",
    /* failed       */ "........",
};

static void
t_T169_the_matrix_of_legal_moves(void **state)
{
    (void)state;
    for (int from = 0; from < WEIR_TASK_STATE_CNT; from++) {
        for (int to = 0; to < WEIR_TASK_STATE_CNT; to++) {
            if (weir_task_legal((enum weir_task_state)from, (enum weir_task_state)to) !=
                (matrix[from][to] == 'x')) {
                fail_msg("%s -> %s", weir_task_state_name((enum weir_task_state)from),
                    weir_task_state_name((enum weir_task_state)to));
            }
        }
    }
    assert_false(weir_task_legal(WEIR_TASK_STATE_CNT, WEIR_TASK_FAILED));
    assert_false(weir_task_legal(WEIR_TASK_CREATED, WEIR_TASK_STATE_CNT));
}

/* ---- a whole life ---- */

static void
t_T150_T184_it_opens_tail_first_and_finishes_head_first(void **state)
{
    (void)state;
    static const char *const order[] = {
        "open c\nopen b\nopen a\npoll a\n",
        "process b\nprocess c\n",
        "watermark b\nwatermark c\n",
        "idle b\nidle c\n",
        "active b\nactive c\n",
        "flush a\nflush b\nflush c\n",
        "watermark MAX b\nwatermark MAX c\n",
        /* What finish emits flows on to those behind. */
        "finish a\nprocess b\nprocess c\nend_input b\nfinish b\nprocess c\nend_input c\nfinish c\n",
        "close a\nclose b\nclose c\n",
    };
    struct world *w = world_open(true, NULL);
    run(w);
    assert_order(w, order, WEIR_ARRAY_CNT(order));
    assert_int_equal(times(w, "watermark MAX c"), 1);
    assert_int_equal(times(w, "finish"), 3);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FINISHED);
    assert_string_equal(w->told, "initializing running finished");
    assert_int_equal(weir_task_error(w->task), 0);
    assert_released(w);
    for (uint32_t i = 0; i < OPERATOR_CNT; i++) {
        assert_true(w->script[i].closed_clean);
    }
    world_close(w);
}

/* A poll begins at whole thousands and takes 600. */
static void
t_rows_arrive_when_the_poll_that_carries_them_ends(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    enum weir_task_poll did = WEIR_POLL_BUSY;
    for (int64_t i = 1; did != WEIR_POLL_DONE; i++) {
        assert_true(i < 1000);
        did = weir_task_poll(w->task, 8, 1000 * i);
        weir_task_settle(w->task, 1000 * i + 600);
    }
    const struct weir_hist *hist = weir_task_latency(w->task);
    assert_non_null(hist);
    assert_int_equal(hist->cnt, 2);
    assert_int_equal((hist->ns_min + INTENDED_NS) % 1000, 600);
    assert_int_equal(hist->ns_max, hist->ns_min);
    world_close(w);
}

static void
t_T161_a_terminal_state_is_never_left(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    run(w);
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FINISHED);
    assert_released(w);
    world_close(w);
}

static void
t_deleting_a_task_that_runs_closes_its_operators(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_RUNNING);
    weir_task_delete(w->task);
    w->task = NULL;
    assert_released(w);
    assert_int_equal(times(w, "close"), 3);
    world_close(w);
}

/* ---- cancel, stop, drain ---- */

static void
t_T151_cancel_before_the_start_touches_no_operator(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
    assert_string_equal(w->log, "");
    assert_string_equal(w->told, "canceled");
    assert_string_equal(weir_task_cause(w->task), "");
    world_close(w);
}

static void
t_T156_T193_cancel_closes_at_once_and_sends_nothing(void **state)
{
    (void)state;
    for (uint32_t polls = 1; polls < 8; polls++) {
        struct world *w = world_open(true, NULL);
        w->is_endless = true;
        for (uint32_t i = 0; i < polls; i++) {
            (void)weir_task_poll(w->task, 1, 0);
        }
        weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
        weir_task_request(w->task, WEIR_TASK_REQUEST_STOP); /* weaker: changes nothing */
        assert_int_equal(weir_task_poll(w->task, 1, 0), WEIR_POLL_DONE);
        assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
        assert_int_equal(weir_task_error(w->task), 0);
        assert_string_equal(w->told, "initializing running canceled");
        assert_int_equal(times(w, "watermark MAX"), 0);
        assert_int_equal(times(w, "end_input"), 0);
        assert_int_equal(times(w, "finish"), 0);
        assert_int_equal(times(w, "close"), 3);
        assert_false(w->script[2].closed_clean);
        assert_released(w);
        world_close(w);
    }
}

/* A failure while canceling is dropped: the task is canceled, not failed. */
static void
t_failing_close_of_a_canceled_task_is_dropped(void **state)
{
    (void)state;
    struct world *w = world_open(true, NULL);
    w->script[1].fails_in = "close";
    (void)weir_task_poll(w->task, 8, 0);
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
    run(w);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
    assert_int_equal(weir_err_cnt(), 0);
    assert_released(w);
    world_close(w);
}

static void
ends(enum weir_task_request request, uint32_t max_cnt)
{
    for (uint32_t polls = 0; polls < 8; polls++) {
        struct world *w = world_open(true, NULL);
        w->is_endless = true;
        for (uint32_t i = 0; i < polls; i++) {
            (void)weir_task_poll(w->task, 1, 0);
        }
        weir_task_request(w->task, request);
        run(w);
        assert_int_equal(weir_task_state(w->task), WEIR_TASK_FINISHED);
        assert_int_equal(times(w, "watermark MAX b"), max_cnt);
        assert_int_equal(times(w, "watermark MAX c"), max_cnt);
        assert_int_equal(times(w, "end_input"), 2);
        assert_int_equal(times(w, "finish"), 3);
        assert_true(w->script[2].closed_clean);
        assert_released(w);
        world_close(w);
    }
}

static void
t_T193_stop_finishes_without_the_max_watermark(void **state)
{
    (void)state;
    ends(WEIR_TASK_REQUEST_STOP, 0);
}

static void
t_drain_finishes_with_it(void **state)
{
    (void)state;
    ends(WEIR_TASK_REQUEST_DRAIN, 1);
}

/* The last windows must fire, also where the source had nothing for a while and said so. */
static void
t_T193_the_end_of_an_idle_source_is_seen_by_all(void **state)
{
    (void)state;
    static const char *const order[] = {"idle c\n", "active b\nactive c\n",
        "watermark MAX b\nwatermark MAX c\n", "finish a\n", "finish c\n"};
    struct world *w = world_open(true, NULL);
    w->is_endless = true;
    while (times(w, "idle c") == 0) {
        (void)weir_task_poll(w->task, 1, 0);
    }
    weir_task_request(w->task, WEIR_TASK_REQUEST_DRAIN);
    run(w);
    assert_order(w, order, WEIR_ARRAY_CNT(order));
    assert_int_equal(times(w, "watermark MAX"), 2);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FINISHED);
    world_close(w);
}

/* ---- behind a producer ---- */

static void
t_T231_a_failed_producer_cancels_its_consumer(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_FORWARD, .channel_cnt = 1};
    struct exchange *x = exchange_open(&conf);
    struct weir_task_gate gate;
    memset(&gate, 0, sizeof gate);
    gate.gate = x->gate[0];
    struct world *w = world_open(false, &gate);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(exchange_watermark(x, 5), WEIR_DONE);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_IDLE);
    assert_int_equal(weir_chain_close(x->chain), 0); /* unfinished: it was canceled, or failed */
    x->chain = NULL;
    run(w);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CANCELED);
    assert_string_equal(weir_task_cause(w->task), "");
    assert_int_equal(times(w, "watermark c"), 1);
    assert_int_equal(times(w, "finish"), 0);
    assert_released(w);
    world_close(w);
    exchange_close(x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T169_the_matrix_of_legal_moves),
        cmocka_unit_test(t_T150_T184_it_opens_tail_first_and_finishes_head_first),
        cmocka_unit_test(t_rows_arrive_when_the_poll_that_carries_them_ends),
        cmocka_unit_test(t_T161_a_terminal_state_is_never_left),
        cmocka_unit_test(t_deleting_a_task_that_runs_closes_its_operators),
        cmocka_unit_test(t_T151_cancel_before_the_start_touches_no_operator),
        cmocka_unit_test(t_T156_T193_cancel_closes_at_once_and_sends_nothing),
        cmocka_unit_test(t_failing_close_of_a_canceled_task_is_dropped),
        cmocka_unit_test(t_T193_stop_finishes_without_the_max_watermark),
        cmocka_unit_test(t_drain_finishes_with_it),
        cmocka_unit_test(t_T193_the_end_of_an_idle_source_is_seen_by_all),
        cmocka_unit_test(t_T231_a_failed_producer_cancels_its_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
