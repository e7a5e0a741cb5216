/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a task, and what it does on the way from one to the next. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "dataplane/task_priv.h"

static const char *const state_names[WEIR_TASK_STATE_CNT] = {"created", "deploying", "initializing",
    "running", "finished", "canceling", "canceled", "failed"};

/* Rows: from; bits: legal to. Terminal states are never left. */
#define TO(state) (1u << WEIR_TASK_##state)
static const uint32_t legal_to[WEIR_TASK_STATE_CNT] = {
    [WEIR_TASK_CREATED] = TO(DEPLOYING) | TO(CANCELING) | TO(FAILED),
    [WEIR_TASK_DEPLOYING] =
        TO(INITIALIZING) | TO(RUNNING) | TO(CANCELING) | TO(CANCELED) | TO(FAILED),
    [WEIR_TASK_INITIALIZING] = TO(RUNNING) | TO(CANCELING) | TO(CANCELED) | TO(FAILED),
    [WEIR_TASK_RUNNING] = TO(FINISHED) | TO(CANCELING) | TO(CANCELED) | TO(FAILED),
    [WEIR_TASK_CANCELING] = TO(CANCELED),
};

bool
weir_task_legal(enum weir_task_state from, enum weir_task_state to)
{
    return from < WEIR_TASK_STATE_CNT && to < WEIR_TASK_STATE_CNT &&
           (legal_to[from] >> to & 1) != 0;
}

const char *
weir_task_state_name(enum weir_task_state state)
{
    return state < WEIR_TASK_STATE_CNT ? state_names[state] : "unknown";
}

enum weir_task_state
weir_task_state(const struct weir_task *task)
{
    /* [A30] pairs with [R30]: error and cause are written before the state says failed. */
    return (enum weir_task_state)weir_load_acq(&task->state);
}

bool
weir_task_has_ended(enum weir_task_state state)
{
    return state == WEIR_TASK_FINISHED || state == WEIR_TASK_CANCELED || state == WEIR_TASK_FAILED;
}

int
weir_task_new(const struct weir_task_conf *conf, struct weir_task **ret_task)
{
    struct weir_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        return weir_err_push(WEIR_ENOMEM, "task %s", conf->name);
    }
    task->name = conf->name;
    task->gates = conf->gates;
    task->gate_cnt = conf->gate_cnt;
    task->held_gate = UINT32_MAX;
    task->state_fn = conf->state_fn;
    task->state_arg = conf->state_arg;
    task->edges = conf->edges;
    task->edge_cnt = conf->edge_cnt;
    task->piece_rows = UINT32_MAX;
    for (uint32_t i = 0; i < conf->chain.node_cnt; i++) {
        if (conf->chain.nodes[i].type->poll != NULL) {
            task->sources[task->source_cnt++] = i;
        }
        task->is_selective |= conf->chain.nodes[i].type->selects != NULL;
    }
    task->marker_interval_ns = conf->marker_interval_ns;
    task->source_open_cnt = task->source_cnt;
    task->source_poll_cnt = task->source_cnt;
    int rc = weir_chain_new(&conf->chain, &task->chain);
    rc = rc != 0 ? rc : weir_task_mail_new(task, &conf->chain);
    task->is_timed = rc == 0 && weir_chain_keeps_time(task->chain);
    if (rc == 0 && conf->checkpoints != NULL) {
        rc = weir_task_cut_new(task, conf->checkpoints);
    }
    if (rc != 0) {
        weir_task_delete(task);
        return weir_err_push(rc, "task %s", conf->name);
    }
    weir_store_rlx(&task->state, WEIR_TASK_CREATED); /* relaxed: not shared yet */
    weir_task_publish(task);
    *ret_task = task;
    return 0;
}

void
weir_task_delete(struct weir_task *task)
{
    if (task != NULL) {
        if (weir_chain_close(task->chain) != 0) {
            weir_err_clear(); /* the task ended otherwise, and has no one left to tell */
        }
        weir_task_cut_delete(task);
        weir_mailbox_delete(task->mailbox);
        weir_task_regain_free(task);
        free(task);
    }
}

/* ---- from one state to the next ---- */

/* Returns whether the move was legal. */
static bool
move_to(struct weir_task *task, enum weir_task_state to)
{
    /* relaxed: only this core writes the state. */
    enum weir_task_state from = (enum weir_task_state)weir_load_rlx(&task->state);
    if (!weir_task_legal(from, to)) {
        return false;
    }
    /* [R30] pairs with [A30] in weir_task_state. */
    weir_store_rel(&task->state, (uint32_t)to);
    return true;
}

static int
tell(struct weir_task *task, enum weir_task_state state)
{
    return task->state_fn != NULL ? task->state_fn(task->state_arg, task, state) : 0;
}

/* Into a state in which work is done. */
static int
enter(struct weir_task *task, enum weir_task_state state)
{
    (void)move_to(task, state); /* legal: deploy() goes the straight way */
    int rc = tell(task, state);
    return rc != 0 ? weir_err_push(rc, "nobody could be told that task %s is %s", task->name,
                         state_names[state])
                   : 0;
}

/* Into a terminal state. Who is not told would wait for ever. */
static enum weir_task_poll
end(struct weir_task *task, enum weir_task_state state)
{
    bool is_legal = move_to(task, state);
    WEIR_CHECK(is_legal, "task %s: %s -> %s", task->name, state_names[weir_task_state(task)],
        state_names[state]);
    weir_task_cut_end(task);
    int rc = tell(task, state);
    WEIR_CHECK(rc == 0, "nobody could be told that task %s has %s", task->name, state_names[state]);
    return WEIR_POLL_DONE;
}

static void
close_chain(struct weir_task *task, struct weir_cause *cause)
{
    weir_task_publish(task);
    weir_chain_end(task->chain, cause);
    if (task->mailbox != NULL) {
        (void)weir_mailbox_close(task->mailbox); /* how many were given back matters to nobody */
    }
}

/* ---- the ways in which it ends ---- */

static enum weir_task_poll
end_failed(struct weir_task *task)
{
    close_chain(task, &task->cause);
    return end(task, WEIR_TASK_FAILED);
}

/* Causes are dropped, as Flink's. */
static enum weir_task_poll
end_canceled(struct weir_task *task)
{
    struct weir_cause dropped = {0};
    weir_err_clear();
    close_chain(task, &dropped);
    return end(task, WEIR_TASK_CANCELED);
}

enum weir_task_poll
weir_task_life_cancel(struct weir_task *task)
{
    (void)move_to(task, WEIR_TASK_CANCELING);
    return end_canceled(task);
}

static void
take_outside(struct weir_task *task)
{
    (void)weir_err_push(task->fail_error, "%s", task->fail_why);
    weir_cause_take(&task->cause, task->fail_error);
}

enum weir_task_poll
weir_task_life_stop(struct weir_task *task, uint32_t asked)
{
    if (asked == WEIR_TASK_REQUEST_CANCEL) {
        return weir_task_life_cancel(task);
    }
    take_outside(task);
    return end_failed(task);
}

/* What was asked for while an operator was called came first, whatever that says then. */
enum weir_task_poll
weir_task_life_fail(struct weir_task *task, int error)
{
    uint32_t asked = weir_task_asked(task);
    if (asked == WEIR_TASK_REQUEST_CANCEL) {
        return weir_task_life_cancel(task);
    }
    if (asked == TASK_REQUEST_FAIL) {
        struct weir_cause own = {0};
        weir_cause_take(&own, error);
        take_outside(task);
        if (error != WEIR_ECANCELED) {
            weir_cause_take(&task->cause, weir_err_push(error, "%s", own.text));
        }
        return end_failed(task);
    }
    if (error == WEIR_ECANCELED) {
        return end_canceled(task);
    }
    weir_cause_take(&task->cause, error);
    return end_failed(task);
}

/* Operators are closed before the state says finished: a failure to close is a failure of the task,
 * and who sees `finished` may count on what the sinks wrote. */
enum weir_task_poll
weir_task_life_finish(struct weir_task *task, int64_t now_ns)
{
    int rc = weir_chain_flush(task->chain);
    if (rc < 0) {
        return weir_task_life_fail(task, rc);
    }
    if (rc == WEIR_WAIT) {
        return WEIR_POLL_BACKPRESSURED;
    }
    if (task->cut.is_on && weir_task_cut_waits(task)) {
        return WEIR_POLL_IDLE;
    }
    rc = task->mailbox != NULL ? weir_task_mail_drain(task, now_ns) : 0;
    if (rc != 0) {
        return weir_task_life_fail(task, rc);
    }
    uint32_t asked = weir_task_asked(task);
    if (asked >= WEIR_TASK_REQUEST_CANCEL) {
        return weir_task_life_stop(task, asked);
    }
    task->end_ns = now_ns;
    close_chain(task, &task->cause);
    return end(task, task->cause.error != 0 ? WEIR_TASK_FAILED : WEIR_TASK_FINISHED);
}

enum weir_task_poll
weir_task_life_deploy(struct weir_task *task, int64_t now_ns)
{
    int rc = task->cut.is_on ? weir_task_cut_letters(task, now_ns) : 0;
    (void)move_to(task, WEIR_TASK_DEPLOYING);
    rc = rc != 0 ? rc : enter(task, WEIR_TASK_INITIALIZING);
    rc = rc != 0 ? rc : weir_task_open(task, now_ns);
    rc = rc != 0 ? rc : enter(task, WEIR_TASK_RUNNING);
    return rc != 0 ? weir_task_life_fail(task, rc) : WEIR_POLL_BUSY;
}

/* ---- what others ask for ---- */

uint32_t
weir_task_asked(const struct weir_task *task)
{
    /* [A31] pairs with [R31] in weir_task_fail: error and text are written before. */
    return weir_load_acq(&task->request);
}

void
weir_task_request(struct weir_task *task, enum weir_task_request request)
{
    /* relaxed, both: these requests carry no data with them; the greater one stays. */
    uint32_t now = weir_load_rlx(&task->request);
    while (now < (uint32_t)request && !weir_cas_weak_rel(&task->request, &now, (uint32_t)request)) {
    }
}

bool
weir_task_fail(struct weir_task *task, int error, const char *why)
{
    /* relaxed: who finds 0 is the only one to write what follows. */
    if (weir_task_has_ended(weir_task_state(task)) || weir_fetch_add_rlx(&task->fail_cnt, 1) != 0) {
        return false;
    }
    task->fail_error = error;
    (void)snprintf(task->fail_why, sizeof task->fail_why, "%s", why);
    uint32_t now = weir_load_rlx(&task->request); /* relaxed: nothing is read behind it */
    /* [R31] pairs with [A31] in weir_task_asked. */
    while (now < WEIR_TASK_REQUEST_CANCEL &&
           !weir_cas_weak_rel(&task->request, &now, TASK_REQUEST_FAIL)) {
    }
    return now < WEIR_TASK_REQUEST_CANCEL;
}

struct weir_operator *
weir_task_operator(struct weir_task *task, uint32_t node)
{
    return weir_chain_operator(task->chain, node);
}

int
weir_task_error(const struct weir_task *task)
{
    return task->cause.error;
}

const char *
weir_task_cause(const struct weir_task *task)
{
    return task->cause.text;
}

const struct weir_cause *
weir_task_failure(const struct weir_task *task)
{
    return &task->cause;
}

int64_t
weir_task_begin_ns(const struct weir_task *task)
{
    return task->begin_ns;
}

int64_t
weir_task_end_ns(const struct weir_task *task)
{
    return task->end_ns;
}

const char *
weir_task_at(const struct weir_task *task)
{
    return weir_chain_at(task->chain);
}

const char *
weir_task_name(const struct weir_task *task)
{
    return task->name;
}
