/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a task: legal moves (SCENARIOS T-169), the order of open, run, finish and close
 * (SEMANTICS A.7, A.9, A.10), and every way in which it may end. */
#include "dataplane/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/hist.h"
#include "tests/unit/exchange.h"

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

/* ---- operators that do as they are told, and write down what was asked of them ---- */

#define NUMBER(F) F(i64, n)
WEIR_SCHEMA(number, NUMBER)

#define OPERATOR_CNT 3
#define LOG_BYTES 4096
#define INTENDED_NS 100 /* of the rows that the source makes */

struct world;

struct script {
    const char *name;
    struct world *world;
    const char *fails_in; /* a step, or NULL */
    bool fails_in_close_too;
    uint32_t opened_cnt;
    uint32_t closed_cnt;
    bool closed_clean;
};

struct world {
    struct script script[OPERATOR_CNT]; /* a -> b -> c */
    struct weir_task *task;
    uint32_t polled_cnt;
    bool is_endless;
    enum weir_task_state want; /* what the task says while an operator is called */
    char log[LOG_BYTES];
    size_t log_bytes;
};

static struct script *
script_of(const struct weir_operator *op)
{
    return (struct script *)(uintptr_t)op->conf;
}

static int
act(const struct weir_operator *op, const char *step)
{
    struct script *script = script_of(op);
    struct world *w = script->world;
    int n = snprintf(
        w->log + w->log_bytes, sizeof w->log - w->log_bytes, "%s %s\n", step, script->name);
    w->log_bytes += (size_t)n;
    assert_true(w->log_bytes < sizeof w->log);
    bool is_close = strcmp(step, "close") == 0;
    if (!is_close) {
        assert_int_equal(weir_task_state(w->task), w->want);
    }
    if ((script->fails_in != NULL && strcmp(script->fails_in, step) == 0) ||
        (is_close && script->fails_in_close_too)) {
        return weir_err_push(WEIR_EDATA, "%s cannot %s", script->name, step);
    }
    return 0;
}

static int
do_open(struct weir_operator *op)
{
    script_of(op)->world->want = WEIR_TASK_INITIALIZING;
    script_of(op)->opened_cnt++;
    int rc = act(op, "open");
    script_of(op)->world->want = WEIR_TASK_RUNNING;
    return rc;
}

static int
do_close(struct weir_operator *op, bool clean)
{
    script_of(op)->closed_cnt++;
    script_of(op)->closed_clean = clean;
    return act(op, "close");
}

/* Two rows and a watermark, idle and active again, nothing for a while, and the end. */
static int
do_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct world *w = script_of(op)->world;
    (void)now_ns;
    int rc = act(op, "poll");
    if (rc != 0) {
        return rc;
    }
    switch (w->polled_cnt++) {
    case 0:
        number_emit(out)->n = 1;
        number_emit(out)->n = 2;
        out->view.intended_ns = INTENDED_NS;
        weir_out_watermark(out, 10);
        return WEIR_AGAIN;
    case 1:
        out->status = WEIR_SLOT_IDLE;
        return WEIR_AGAIN;
    case 2:
        out->status = WEIR_SLOT_ACTIVE;
        return WEIR_AGAIN;
    case 3:
        return WEIR_WAIT;
    default:
        return w->is_endless ? WEIR_WAIT : WEIR_DONE;
    }
}

static int64_t
do_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)input;
    (void)now_ns;
    int rc = act(op, "process");
    if (rc == 0 && op->type->output_cnt > 0) {
        weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    }
    return rc != 0 ? rc : (int64_t)(in->cnt - cursor);
}

static int
do_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    return act(op, watermark == WEIR_WATERMARK_MAX ? "watermark MAX" : "watermark");
}

static int
do_status(struct weir_operator *op, bool idle)
{
    return act(op, idle ? "idle" : "active");
}

static int
do_flush(struct weir_operator *op)
{
    return act(op, "flush");
}

static int
do_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)input;
    (void)out;
    return act(op, "end_input");
}

static int
do_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)now_ns;
    int rc = act(op, "finish");
    if (rc == 0 && op->type->output_cnt > 0) {
        number_emit(out)->n = 3; /* flows on to those that have not finished yet */
    }
    return rc;
}

/* Which calls each kind of operator gets, in full: they stand below each other to be compared. */
static const struct weir_operator_type source_type = {.name = "source",
    .output_cnt = 1,
    .open = do_open,
    .poll = do_poll,
    .flush = do_flush,
    .finish = do_finish,
    .close = do_close};
static const struct weir_operator_type middle_type = {.name = "middle",
    .input_cnt = 1,
    .output_cnt = 1,
    .open = do_open,
    .process = do_process,
    .watermark = do_watermark,
    .status = do_status,
    .flush = do_flush,
    .end_input = do_end_input,
    .finish = do_finish,
    .close = do_close};
static const struct weir_operator_type sink_type = {.name = "sink",
    .input_cnt = 1,
    .open = do_open,
    .process = do_process,
    .watermark = do_watermark,
    .status = do_status,
    .flush = do_flush,
    .end_input = do_end_input,
    .finish = do_finish,
    .close = do_close};

/* A task of a source, an operator and a sink; or, behind gates, of the latter two. */
static struct world *
world_open(bool has_source, struct weir_task_gate *gates)
{
    static const char *const names[OPERATOR_CNT] = {"a", "b", "c"};
    static const struct weir_operator_type *const types[OPERATOR_CNT] = {
        &source_type, &middle_type, &sink_type};
    struct world *w = calloc(1, sizeof *w);
    struct weir_chain_node_conf node[OPERATOR_CNT];
    uint32_t first = has_source ? 0 : 1;
    uint32_t cnt = OPERATOR_CNT - first;
    assert_non_null(w);
    memset(node, 0, sizeof node);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t s = first + i;
        w->script[s].name = names[s];
        w->script[s].world = w;
        node[i].name = names[s];
        node[i].type = types[s];
        node[i].in_schema[0] = s > 0 ? number_schema() : NULL;
        node[i].channel_cnt = s > 0 ? 1 : 0;
        node[i].outputs[0].schema = number_schema();
        node[i].outputs[0].edge_cnt = s + 1 < OPERATOR_CNT ? 1 : 0;
        node[i].outputs[0].edges[0].node = (uint16_t)(i + 1);
        node[i].conf = &w->script[s];
    }
    const struct weir_task_conf conf = {.name = "task (1/1)",
        .chain = {.nodes = node, .node_cnt = cnt, .batch_rows = 64, .buf_bytes = 4096},
        .gates = gates,
        .gate_cnt = gates != NULL ? 1 : 0};
    assert_int_equal(weir_task_new(&conf, &w->task), 0);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CREATED);
    return w;
}

static void
world_close(struct world *w)
{
    weir_task_delete(w->task);
    free(w);
}

/* Poll until the task has ended. */
static void
run(struct world *w)
{
    for (uint32_t i = 0; weir_task_poll(w->task, 8, i) != WEIR_POLL_DONE; i++) {
        assert_true(i < 1000);
    }
}

/* Whether `lines` stand in the log in this order, each once more or less: other lines may be
 * between. */
static void
assert_order(const struct world *w, const char *const *lines, size_t cnt)
{
    const char *at = w->log;
    for (size_t i = 0; i < cnt; i++) {
        const char *found = strstr(at, lines[i]);
        if (found == NULL) {
            fail_msg("%s is not behind the others in:\n%s", lines[i], w->log);
        }
        at = found + 1;
    }
}

static uint32_t
times(const struct world *w, const char *line)
{
    uint32_t cnt = 0;
    for (const char *at = w->log; (at = strstr(at, line)) != NULL; at++) {
        cnt++;
    }
    return cnt;
}

/* Opened means closed, once; what was never opened is never closed. */
static void
assert_released(const struct world *w)
{
    for (uint32_t i = 0; i < OPERATOR_CNT; i++) {
        assert_true(w->script[i].opened_cnt <= 1);
        assert_int_equal(w->script[i].closed_cnt, w->script[i].opened_cnt);
    }
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

/* ---- failures ---- */

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
    /* Once: the step is not tried again, no other cause joins it. */
    assert_null(strstr(strstr(weir_task_cause(w->task), "cannot") + 1, "cannot"));
    assert_int_equal(weir_err_cnt(), 0);
    (void)snprintf(cause, sizeof cause, "%s %s\n", step, w->script[s].name);
    assert_int_equal(times(w, cause), 1);
    assert_released(w);
    /* T-159, T-161: what comes later does not replace the cause. */
    weir_task_request(w->task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(w->task, 8, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(w->task), WEIR_EDATA);
    world_close(w);
}

static void
t_T155_T159_T166_any_failing_step_fails_the_task_once(void **state)
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
                    fails(s, steps[i], true); /* T-174 */
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
    assert_released(w);
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
        cmocka_unit_test(t_T155_T159_T166_any_failing_step_fails_the_task_once),
        cmocka_unit_test(t_failing_open_leaves_those_before_it_unopened),
        cmocka_unit_test(t_first_of_several_failing_closes_is_the_cause),
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
