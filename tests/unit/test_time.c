/* SPDX-License-Identifier: Apache-2.0 */
/* Processing time: operators that ask to be called at a time, in a task, under the seeded poller
 * and on a core (SCENARIOS T-100 to T-107, T-139; SEMANTICS to
 * */
#include <stdlib.h>

#include "base/atomic.h"
#include "sched/core.h"
#include "sched/poller.h"
#include "tests/unit/stage.h"

/* ---- operators that keep time ---- */

#define NEVER INT64_MAX
#define ROW_FIRED 2000

static int64_t
do_due_ns(const struct weir_operator *op)
{
    return script_of(op)->due_ns;
}

/* A row a call, until what was due is done. */
static int
do_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct script *script = script_of(op);
    assert_true(script->due_ns <= now_ns);
    if (script->wait_cnt > 0) {
        return WEIR_WAIT;
    }
    int rc = act(op, "timer", (uint64_t)now_ns);
    if (rc != 0) {
        return rc;
    }
    if (out != NULL && op->type->output_cnt > 0) {
        number_emit(out)->n = ROW_FIRED + script->fired_cnt;
    }
    script->fired_cnt++;
    if (script->slice_cnt > 1) {
        script->slice_cnt--;
        return WEIR_AGAIN;
    }
    script->due_ns = script->tick_ns != 0 ? script->due_ns + script->tick_ns : NEVER;
    return script->due_ns <= now_ns ? WEIR_AGAIN : WEIR_DONE;
}

/* Asks for a time that has come already: before others are open, and before it is restored. */
static int
open_due(struct weir_operator *op)
{
    script_of(op)->due_ns = INT64_MIN;
    return act(op, "open", 0);
}

static int
open_late(struct weir_operator *op)
{
    return act(op, "open", 0);
}

/* Asks for a time in its last call, when nobody is to be called any more. */
static int
finish_due(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    script_of(op)->due_ns = now_ns;
    return act(op, "finish", 0);
}

static int
close_quiet(struct weir_operator *op, bool clean)
{
    (void)clean;
    return act(op, "close", 0);
}

#define TIMES .due_ns = do_due_ns, .timer = do_timer

static const struct weir_operator_type source_timed = {.name = "source",
    .output_cnt = 1,
    .poll = do_poll,
    .finish = finish_due,
    .close = close_quiet,
    HOOKS,
    TIMES};
static const struct weir_operator_type one_timed = {.name = "one",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = do_process,
    .finish = finish_due,
    .close = close_quiet,
    HOOKS,
    TIMES};
static const struct weir_operator_type source_open_due = {
    .name = "source", .output_cnt = 1, .open = open_due, .poll = do_poll, HOOKS, TIMES};
static const struct weir_operator_type one_open_due = {.name = "one",
    .input_cnt = 1,
    .output_cnt = 1,
    .open = open_due,
    .process = do_process,
    HOOKS,
    TIMES};
static const struct weir_operator_type source_open_late = {
    .name = "source", .output_cnt = 1, .open = open_late, .poll = do_poll, HOOKS};

/* A stage of a source and b, both of which keep time, with nothing due yet. */
static struct stage *
timed_open(void)
{
    const struct stage_conf conf = {.has_source = true, .types = {&source_timed, &one_timed}};
    struct stage *s = stage_open(&conf);
    s->script[0].due_ns = NEVER;
    s->script[1].due_ns = NEVER;
    s->now_ns = 100;
    assert_int_equal(weir_task_due_ns(s->task), NEVER); /* it does not run yet */
    assert_int_equal(weir_task_poll(s->task, 8, s->now_ns), WEIR_POLL_BUSY);
    assert_log(s, "");
    return s;
}

/* ---- when times come ---- */

static void
t_times_come_by_turns_and_not_before(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->script[0].due_ns = 200;
    s->script[0].tick_ns = 100;
    s->script[1].due_ns = 250;
    assert_int_equal(weir_task_due_ns(s->task), 200);
    s->now_ns = 199;
    settle(s);
    assert_log(s, "");
    s->now_ns = 200;
    settle(s);
    assert_log(s, "timer a 200\n");
    assert_out(s, "2000");
    assert_int_equal(weir_task_due_ns(s->task), 250);
    /* Late: each time that has come in between is made up for, those of both in turn. */
    s->now_ns = 450;
    settle(s);
    assert_log(s, "timer b 450\ntimer a 450\ntimer a 450\n");
    assert_out(s, "2000 2001 2002");
    assert_int_equal(weir_task_due_ns(s->task), 500);
    stage_close(s);
}

/* Flink runs them by mail, after the loop has begun; here no task is polled for input or times
 * before it runs. Restoring is behind opening. */
static void
t_T107_no_time_comes_before_all_operators_are_open(void **state)
{
    (void)state;
    const struct weir_operator_type *const types[2][2] = {
        {&source_open_due, &one_open_due}, {&source_open_late, &one_open_due}};
    for (uint32_t i = 0; i < 2; i++) {
        const struct stage_conf conf = {.has_source = true, .types = {types[i][0], types[i][1]}};
        struct stage *s = stage_open(&conf);
        assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
        assert_log(s, "open b 0\nopen a 0\n");
        settle(s);
        assert_log(s, i == 0 ? "timer a 0\ntimer b 0\n" : "timer b 0\n");
        stage_close(s);
    }
}

static void
t_T107_rows_and_times_take_turns(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->source_next = 3;
    s->script[1].due_ns = 100;
    s->script[1].slice_cnt = 3;
    for (uint32_t i = 0; i < 4; i++) {
        (void)weir_task_poll(s->task, 2, s->now_ns);
    }
    settle(s);
    assert_out(s, "2000 0 2001 1 2002 2");
    stage_close(s);
}

static void
t_what_waits_for_something_else_keeps_nobody_back(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->script[0].due_ns = 50;
    s->script[0].wait_cnt = 1;
    s->script[1].due_ns = 60;
    s->source_next = 1;
    settle(s);
    assert_log(s, "timer b 100\n");
    assert_out(s, "2000 0");
    assert_int_equal(weir_task_due_ns(s->task), 50); /* still */
    assert_int_equal(weir_task_poll(s->task, 8, s->now_ns), WEIR_POLL_IDLE);
    s->script[0].wait_cnt = 0;
    settle(s);
    assert_log(s, "timer a 100\n");
    stage_close(s);
}

/* */
static void
t_an_error_in_a_timer_fails_the_task(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->script[1].due_ns = 100;
    s->script[1].fails_in = "timer";
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(s->task), WEIR_EDATA);
    assert_non_null(strstr(weir_task_cause(s->task), "operator b failed in a timer"));
    assert_non_null(strstr(weir_task_cause(s->task), "b cannot timer"));
    assert_int_equal(weir_task_due_ns(s->task), NEVER);
    stage_close(s);
}

/* ---- the end ---- */

/* Flink closes the timer service behind the operators, and gives whoever registers then a handle
 * that does nothing. Here an operator may ask still, in its last call: nobody calls it. */
static void
t_T100_T105_T106_operators_finish_first_and_what_is_due_then_is_dropped(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->script[0].due_ns = 100;
    s->script[1].due_ns = 101; /* pending at the end */
    s->source_ends = true;
    settle(s);
    assert_log(s, "timer a 100\nfinish a 0\nfinish b 0\nclose a 0\nclose b 0\nENDED finished 0\n");
    assert_out(s, "2000 W9223372036854775807 E");
    assert_int_equal(weir_task_due_ns(s->task), NEVER);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

/* Flink cancels the handle of what repeats at a fixed rate. Here what repeats asks for its next
 * time itself, and is asked no more. */
static void
t_T102_what_repeats_ends_with_its_operator(void **state)
{
    (void)state;
    struct stage *s = timed_open();
    s->script[1].due_ns = 110;
    s->script[1].tick_ns = 10;
    for (s->now_ns = 110; s->now_ns < 150; s->now_ns += 10) {
        settle(s);
    }
    assert_int_equal(s->script[1].fired_cnt, 4);
    s->source_ends = true;
    s->script[1].wait_cnt = 1;
    s->now_ns = 200;
    settle(s);
    assert_int_equal(s->script[1].fired_cnt, 4);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    assert_int_equal(weir_task_due_ns(s->task), NEVER);
    stage_close(s);
}

/* Flink interrupts a callback, or waits for it, within a bound. Here a callback is a slice of a
 * poll, and over before anybody can cancel; one that answers WEIR_WAIT is not waited for. */
static void
t_T101_T103_canceling_waits_for_no_timer(void **state)
{
    (void)state;
    for (uint32_t waits = 0; waits < 2; waits++) {
        struct stage *s = timed_open();
        s->script[1].due_ns = 100;
        s->script[1].slice_cnt = 1000;
        s->script[1].wait_cnt = waits;
        (void)weir_task_poll(s->task, 1, s->now_ns);
        assert_int_equal(s->script[1].fired_cnt, 1 - waits);
        weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
        assert_int_equal(weir_task_poll(s->task, 8, s->now_ns), WEIR_POLL_DONE);
        assert_int_equal(weir_task_state(s->task), WEIR_TASK_CANCELED);
        assert_int_equal(s->script[1].fired_cnt, 1 - waits);
        assert_int_equal(weir_task_due_ns(s->task), NEVER);
        stage_close(s);
    }
}

/* ---- checkpoints ---- */

/* Behind the barrier, while begin_fn says to wait, nothing fires: what was due is in the snapshot
 * as it was at the barrier. */
static void
t_T139_a_barrier_comes_between_two_slices(void **state)
{
    (void)state;
    const uint32_t due_cnt = 100000;
    struct stage *s = timed_open();
    s->script[1].due_ns = 100;
    s->script[1].slice_cnt = due_cnt;
    while (s->script[1].fired_cnt < 1000) {
        assert_int_equal(weir_task_poll(s->task, 8, s->now_ns), WEIR_POLL_BUSY);
        for (uint32_t o = 0; o < OUT_CNT; o++) {
            (void)out(s, o);
        }
        s->log_bytes = 0;
        s->log[0] = 0;
    }
    uint32_t fired_cnt = s->script[1].fired_cnt;
    s->begin_wait_cnt = 3;
    post(s, WEIR_TASK_TRIGGER, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weir_task_poll(s->task, 8, s->now_ns), WEIR_POLL_HELD);
        assert_int_equal(s->script[1].fired_cnt, fired_cnt);
    }
    assert_int_equal(weir_task_poll(s->task, 1, s->now_ns), WEIR_POLL_BUSY);
    const char *snapshot = strstr(s->log, "SNAPSHOT 1");
    assert_non_null(snapshot);
    const char *timer = strstr(s->log, "timer");
    assert_true(timer == NULL || timer > snapshot);
    assert_true(s->script[1].fired_cnt < due_cnt);
    stage_close(s);
}

/* ---- a watermark that makes much due ---- */

/* A row a call; what is left to be done is state, as the rows of timers are. */
static int
do_fire(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct script *script = script_of(op);
    (void)now_ns;
    if (watermark == WEIR_WATERMARK_MAX || script->slice_cnt == 0) {
        return WEIR_DONE;
    }
    script->slice_cnt--;
    number_emit(out)->n = ROW_FIRED + script->fired_cnt++;
    return script->slice_cnt > 0 ? WEIR_AGAIN : WEIR_DONE;
}

static const struct weir_operator_type one_rests = {.name = "one",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = do_process,
    .watermark = do_fire,
    HOOKS,
    .rests = true};
static const struct weir_operator_type one_does_not = {.name = "one",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = do_process,
    .watermark = do_fire,
    HOOKS};

#define DUE_CNT 100000

/* Its slices, with the watermark 500 on the way and a barrier behind it. */
static struct stage *
firing_open(const struct weir_operator_type *type, const struct weir_task_restore *restore)
{
    const struct stage_conf conf = {.types = {NULL, type}, .restore = restore};
    struct stage *s = stage_open(&conf);
    s->script[1].slice_cnt = DUE_CNT;
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
    for (uint32_t c = 0; c < IN_CNT && restore == NULL; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_WATERMARK, 500);
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
        wire_put(&s->wire, c, 7); /* behind the barrier, and so behind what the watermark fires */
    }
    return s;
}

struct seen {
    uint32_t fired_cnt;
    uint32_t before_barrier; /* of them */
    uint32_t behind_watermark; /* rows of any kind */
    bool has_watermark;
};

/* Take what has come out on output 1, and on 0 the same. */
static void
look(struct stage *s, struct seen *seen)
{
    char both[sizeof s->got];
    memcpy(both, out(s, 0), sizeof both);
    assert_string_equal(out(s, 1), both);
    for (char *word = strtok(both, " "); word != NULL; word = strtok(NULL, " ")) {
        if (strcmp(word, "W500") == 0) {
            seen->has_watermark = true;
        } else if (strcmp(word, "B1") == 0) {
            seen->before_barrier = seen->fired_cnt;
        } else if (seen->has_watermark) {
            assert_string_equal(word, "7");
            seen->behind_watermark++;
        } else {
            assert_int_equal(strtol(word, NULL, 10), ROW_FIRED + seen->fired_cnt);
            seen->fired_cnt++;
        }
    }
}

static void
run_until_all_is_out(struct stage *s, struct seen *seen, uint32_t rows_behind)
{
    for (uint32_t i = 0; seen->behind_watermark < rows_behind || !seen->has_watermark; i++) {
        assert_true(i < 4 * DUE_CNT);
        (void)weir_task_poll(s->task, 8, 0);
        look(s, seen);
    }
}

/* Flink lets what a watermark makes due be interrupted by mails. Here a barrier that comes next on
 * its channel is taken there; rows are not, for they come behind the watermark. */
static void
t_T139_a_barrier_comes_between_slices_of_a_watermark(void **state)
{
    (void)state;
    struct stage *s = firing_open(&one_rests, NULL);
    struct seen seen = {0};
    run_until_all_is_out(s, &seen, IN_CNT);
    assert_int_equal(seen.fired_cnt, DUE_CNT);
    assert_in_range(seen.before_barrier, 1, 1000);
    assert_log(s, WHOLE("1"));
    stage_close(s);
    /* Whoever keeps the rest elsewhere than in state is left alone until all is done. */
    s = firing_open(&one_does_not, NULL);
    memset(&seen, 0, sizeof seen);
    run_until_all_is_out(s, &seen, IN_CNT);
    assert_int_equal(seen.fired_cnt, DUE_CNT);
    assert_int_equal(seen.before_barrier, DUE_CNT);
    settle(s);
    stage_close(s);
}

/* Nothing more is fired between barrier and snapshot, however long that waits. */
static void
t_T139_nothing_fires_between_barrier_and_snapshot(void **state)
{
    (void)state;
    struct stage *s = firing_open(&one_rests, NULL);
    struct seen seen = {0};
    s->begin_wait_cnt = 3;
    while (seen.before_barrier == 0) {
        (void)weir_task_poll(s->task, 4, 0);
        look(s, &seen);
    }
    assert_int_equal(seen.before_barrier, seen.fired_cnt);
    while (s->begin_wait_cnt > 0) {
        assert_int_equal(weir_task_poll(s->task, 4, 0), WEIR_POLL_HELD);
        look(s, &seen);
        assert_int_equal(seen.before_barrier, seen.fired_cnt);
    }
    stage_close(s);
}

/* What was left goes on behind a restore without any input, and the watermark follows it. */
static void
t_T139_the_rest_of_a_watermark_goes_on_behind_a_restore(void **state)
{
    (void)state;
    struct stage *old = firing_open(&one_rests, NULL);
    struct weir_parts_reader reader;
    struct seen seen = {0};
    while (seen.before_barrier == 0 || old->parts_bytes == 0) {
        (void)weir_task_poll(old->task, 8, 0);
        look(old, &seen);
    }
    assert_int_equal(weir_parts_reader_init(&reader, old->parts, old->parts_bytes), 0);
    for (uint32_t is_same = 0; is_same < 2; is_same++) {
        const struct weir_task_restore restore = {
            .is_on = true, .is_same = is_same == 1, .parts_cnt = 1, .parts = &reader};
        struct stage *s = firing_open(&one_rests, &restore);
        struct seen rest = {.fired_cnt = seen.before_barrier};
        s->script[1].fired_cnt = seen.before_barrier;
        s->script[1].slice_cnt = DUE_CNT - seen.before_barrier;
        run_until_all_is_out(s, &rest, 0);
        assert_int_equal(rest.fired_cnt, DUE_CNT);
        stage_close(s);
    }
    stage_close(old);
}

/* What is committed with a savepoint that stops the job is all there will be, unless it is given
 * up. */
static void
t_T100_nothing_fires_behind_a_savepoint_that_stops_the_job(void **state)
{
    (void)state;
    const struct weir_mark mark = {.id = 1, .trigger_ns = 3, .kind = WEIR_MARK_STOP};
    for (uint32_t completes = 0; completes < 2; completes++) {
        struct stage *s = timed_open();
        s->script[1].due_ns = 150;
        assert_int_equal(weir_task_post(s->task, WEIR_TASK_TRIGGER, &mark), 1);
        settle(s);
        s->now_ns = 200;
        settle(s);
        assert_int_equal(s->script[1].fired_cnt, 0);
        assert_int_equal(weir_task_due_ns(s->task), NEVER);
        post(s, completes ? WEIR_TASK_NOTIFY : WEIR_TASK_ABORT, 1);
        settle(s);
        assert_int_equal(s->script[1].fired_cnt, completes ? 0 : 1);
        assert_int_equal(
            weir_task_state(s->task), completes ? WEIR_TASK_FINISHED : WEIR_TASK_RUNNING);
        stage_close(s);
    }
}

/* ---- ms of UTC ---- */

static void
t_ms_of_utc_and_back(void **state)
{
    (void)state;
    const int64_t offs_ns[] = {0, 1, 999999, 1790000000123456789, -5, -1500000};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(offs_ns); i++) {
        const struct weir_operator_env env = {.utc_off_ns = offs_ns[i]};
        const struct weir_operator op = {.env = &env};
        for (int64_t ms = -3; ms <= 3; ms++) {
            int64_t at_ms = offs_ns[i] / WEIR_MS + ms;
            int64_t due_ns = weir_operator_due_ns(&op, at_ms);
            assert_int_equal(weir_operator_utc_ms(&op, due_ns), at_ms);
            assert_int_equal(weir_operator_utc_ms(&op, due_ns - 1), at_ms - 1);
        }
        assert_int_equal(weir_operator_due_ns(&op, INT64_MAX), INT64_MAX);
        assert_int_equal(weir_operator_due_ns(&op, INT64_MIN), INT64_MIN);
    }
}

/* ---- who polls ---- */

/* An endless source that ticks: it ends when it has ticked often enough. */
struct ticker {
    int64_t tick_ns;
    int64_t due_ns;
    int64_t late_ns_max;
    uint32_t ticked_cnt;
    uint32_t wanted_cnt;
};

static struct ticker *
ticker_of(const struct weir_operator *op)
{
    return (struct ticker *)(uintptr_t)op->conf;
}

static int
ticker_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct ticker *ticker = ticker_of(op);
    (void)out;
    if (ticker->due_ns == 0) {
        ticker->due_ns = now_ns + ticker->tick_ns;
    }
    return ticker->ticked_cnt == ticker->wanted_cnt ? WEIR_DONE : WEIR_WAIT;
}

static int64_t
ticker_due_ns(const struct weir_operator *op)
{
    const struct ticker *ticker = ticker_of(op);
    return ticker->due_ns != 0 ? ticker->due_ns : NEVER;
}

static int
ticker_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct ticker *ticker = ticker_of(op);
    (void)out;
    ticker->late_ns_max = weir_max_i64(ticker->late_ns_max, now_ns - ticker->due_ns);
    ticker->ticked_cnt++;
    ticker->due_ns = now_ns + ticker->tick_ns;
    return WEIR_DONE;
}

static const struct weir_operator_type ticker_type = {.name = "ticker",
    .output_cnt = 1,
    .poll = ticker_poll,
    .due_ns = ticker_due_ns,
    .timer = ticker_timer};

static struct weir_task *
ticker_task(struct ticker *ticker)
{
    struct weir_chain_node_conf node = {.name = "ticker", .type = &ticker_type, .conf = ticker};
    node.outputs[0].schema = number_schema();
    const struct weir_task_conf conf = {.name = "ticker (1/1)",
        .chain = {.nodes = &node, .node_cnt = 1, .batch_rows = 64, .buf_bytes = 4096}};
    struct weir_task *task = NULL;
    assert_int_equal(weir_task_new(&conf, &task), 0);
    return task;
}

/* Simulated time jumps to the very time, and not past it; far ones are as good as near ones. */
static void
t_simulated_time_jumps_to_what_is_due(void **state)
{
    (void)state;
    const int64_t ticks_ns[] = {WEIR_US * 10, WEIR_SEC_NS, 3600 * WEIR_SEC_NS};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(ticks_ns); i++) {
        struct ticker tickers[2] = {{.tick_ns = ticks_ns[i], .wanted_cnt = 100},
            {.tick_ns = ticks_ns[i] * 3, .wanted_cnt = 33}};
        struct weir_task *tasks[2] = {ticker_task(&tickers[0]), ticker_task(&tickers[1])};
        const struct weir_poller_conf conf = {
            .seed = i, .tasks = tasks, .task_cnt = 2, .step_cnt_max = 4};
        assert_int_equal(weir_poller_run(&conf), 0);
        for (uint32_t t = 0; t < 2; t++) {
            assert_int_equal(weir_task_state(tasks[t]), WEIR_TASK_FINISHED);
            assert_int_equal(tickers[t].ticked_cnt, tickers[t].wanted_cnt);
            assert_in_range(tickers[t].late_ns_max, 0, 200 * WEIR_US); /* some polls' worth */
            weir_task_delete(tasks[t]);
        }
    }
}

/* A core without sources may sleep half a second: so many ticks would take minutes, and the time
 * limit of the test would be over. */
static void
t_a_core_sleeps_no_longer_than_until_what_is_due(void **state)
{
    (void)state;
    struct weir_clock clock;
    weir_clock_init_os(&clock);
    for (enum weir_plan_idle idle = WEIR_PLAN_IDLE_SLEEP; idle <= WEIR_PLAN_IDLE_SPIN; idle++) {
        struct ticker ticker = {.tick_ns = WEIR_MS / 4, .wanted_cnt = 400};
        struct weir_task *task = ticker_task(&ticker);
        struct weir_core *core;
        const struct weir_core_conf conf = {
            .core_cnt = 1, .cpu = -1, .idle = idle, .clock = &clock, .tasks = &task, .task_cnt = 1};
        assert_int_equal(weir_core_new(&conf, &core), 0);
        weir_core_meet(core, &core);
        assert_int_equal(weir_core_start(core), 0);
        weir_core_join(core);
        assert_int_equal(weir_task_state(task), WEIR_TASK_FINISHED);
        assert_int_equal(ticker.ticked_cnt, 400);
        assert_true(ticker.late_ns_max >= 0);
        weir_core_delete(core);
        weir_task_delete(task);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_times_come_by_turns_and_not_before),
        cmocka_unit_test(t_T107_no_time_comes_before_all_operators_are_open),
        cmocka_unit_test(t_T107_rows_and_times_take_turns),
        cmocka_unit_test(t_what_waits_for_something_else_keeps_nobody_back),
        cmocka_unit_test(t_an_error_in_a_timer_fails_the_task),
        cmocka_unit_test(t_T100_T105_T106_operators_finish_first_and_what_is_due_then_is_dropped),
        cmocka_unit_test(t_T102_what_repeats_ends_with_its_operator),
        cmocka_unit_test(t_T101_T103_canceling_waits_for_no_timer),
        cmocka_unit_test(t_T139_a_barrier_comes_between_two_slices),
        cmocka_unit_test(t_T139_a_barrier_comes_between_slices_of_a_watermark),
        cmocka_unit_test(t_T139_nothing_fires_between_barrier_and_snapshot),
        cmocka_unit_test(t_T139_the_rest_of_a_watermark_goes_on_behind_a_restore),
        cmocka_unit_test(t_T100_nothing_fires_behind_a_savepoint_that_stops_the_job),
        cmocka_unit_test(t_ms_of_utc_and_back),
        cmocka_unit_test(t_simulated_time_jumps_to_what_is_due),
        cmocka_unit_test(t_a_core_sleeps_no_longer_than_until_what_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
