/* SPDX-License-Identifier: Apache-2.0 */
/* task_world.h: one task without checkpoints, of three operators that fail where they are told to.
 *
 *     [ a: source ] --> [ b ] --> [ c: sink ]            behind gates: b and c
 *
 * What was asked of the operators is in w->log, a line each, in order; what the task has told of
 * its states in w->told.
 */
#ifndef WEIR_TESTS_UNIT_TASK_WORLD_H
#define WEIR_TESTS_UNIT_TASK_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/task.h"
#include "tests/unit/exchange.h"

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
    int fails_with; /* 0: WEIR_EDATA */
    /* Called in that step before it fails, from the same thread, as another would; or NULL. */
    void (*meanwhile)(struct world *w);
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
    enum weir_task_state untold; /* the state whose report fails; CREATED: none */
    char told[256]; /* what the task has said of its states */
    char log[LOG_BYTES];
    size_t log_bytes;
};

static inline struct script *
script_of(const struct weir_operator *op)
{
    return (struct script *)(uintptr_t)op->conf;
}

static inline int
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
    bool is_it = script->fails_in != NULL && strcmp(script->fails_in, step) == 0;
    if (is_it && script->meanwhile != NULL) {
        script->meanwhile(w);
    }
    if (is_it || (is_close && script->fails_in_close_too)) {
        return weir_err_push(is_it && script->fails_with != 0 ? script->fails_with : WEIR_EDATA,
            "%s cannot %s", script->name, step);
    }
    return 0;
}

/* Every report, with what the task has failed of; nothing is done in a state before it is told. */
static inline int
on_state(void *arg, struct weir_task *task, enum weir_task_state state)
{
    struct world *w = arg;
    assert_int_equal(weir_task_state(task), state);
    assert_null(strstr(w->told, weir_task_state_name(state))); /* once */
    if (state == WEIR_TASK_RUNNING) {
        assert_null(strstr(w->log, "poll"));
    } else if (state == WEIR_TASK_INITIALIZING) {
        assert_string_equal(w->log, "");
    }
    (void)strcat(strcat(w->told, w->told[0] != 0 ? " " : ""), weir_task_state_name(state));
    if (state == WEIR_TASK_FAILED) {
        assert_int_not_equal(weir_task_error(task), 0);
    }
    return state == w->untold ? weir_err_push(WEIR_EUNAVAILABLE, "nobody is there") : 0;
}

static inline int
do_open(struct weir_operator *op)
{
    script_of(op)->world->want = WEIR_TASK_INITIALIZING;
    script_of(op)->opened_cnt++;
    int rc = act(op, "open");
    script_of(op)->world->want = WEIR_TASK_RUNNING;
    return rc;
}

static inline int
do_close(struct weir_operator *op, bool clean)
{
    script_of(op)->closed_cnt++;
    script_of(op)->closed_clean = clean;
    return act(op, "close");
}

/* Two rows and a watermark, idle and active again, nothing for a while, and the end. */
static inline int
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

static inline int64_t
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

static inline int
do_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    return act(op, watermark == WEIR_WATERMARK_MAX ? "watermark MAX" : "watermark");
}

static inline int
do_status(struct weir_operator *op, bool idle)
{
    return act(op, idle ? "idle" : "active");
}

static inline int
do_flush(struct weir_operator *op)
{
    return act(op, "flush");
}

static inline int
do_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)input;
    (void)out;
    return act(op, "end_input");
}

static inline int
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
static inline struct world *
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
        .gate_cnt = gates != NULL ? 1 : 0,
        .state_fn = on_state,
        .state_arg = w};
    assert_int_equal(weir_task_new(&conf, &w->task), 0);
    assert_int_equal(weir_task_state(w->task), WEIR_TASK_CREATED);
    return w;
}

static inline void
world_close(struct world *w)
{
    weir_task_delete(w->task);
    free(w);
}

/* Poll until the task has ended. */
static inline void
run(struct world *w)
{
    for (uint32_t i = 0; weir_task_poll(w->task, 8, i) != WEIR_POLL_DONE; i++) {
        assert_true(i < 1000);
    }
}

/* Whether `lines` stand in the log in this order, each once more or less: other lines may be
 * between. */
static inline void
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

static inline uint32_t
times(const struct world *w, const char *line)
{
    uint32_t cnt = 0;
    for (const char *at = w->log; (at = strstr(at, line)) != NULL; at++) {
        cnt++;
    }
    return cnt;
}

/* Opened means closed, once; what was never opened is never closed. */
static inline void
assert_released(const struct world *w)
{
    for (uint32_t i = 0; i < OPERATOR_CNT; i++) {
        assert_true(w->script[i].opened_cnt <= 1);
        assert_int_equal(w->script[i].closed_cnt, w->script[i].opened_cnt);
    }
}

#endif
