/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a task, and what it does on the way from one to the next. */
#include <stdlib.h>

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
    for (uint32_t i = 0; i < conf->chain.node_cnt; i++) {
        if (conf->chain.nodes[i].type->poll != NULL) {
            task->sources[task->source_cnt++] = i;
        }
        task->is_timed |= conf->chain.nodes[i].type->due_ns != NULL;
    }
    task->source_open_cnt = task->source_cnt;
    task->source_poll_cnt = task->source_cnt;
    int rc = weir_chain_new(&conf->chain, &task->chain);
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
        free(task);
    }
}

static int
close_chain(struct weir_task *task)
{
    weir_task_publish(task);
    return weir_chain_end(task->chain);
}

enum weir_task_poll
weir_task_life_fail(struct weir_task *task, int error)
{
    task->error = error;
    weir_err_save(task->cause, sizeof task->cause);
    weir_err_clear();
    if (task->chain != NULL && close_chain(task) != 0) {
        weir_err_clear(); /* a consequence of the first cause, or at least not the first */
    }
    (void)move_to(task, WEIR_TASK_FAILED); /* ignored from canceling, as Flink's */
    if (!weir_task_has_ended(weir_task_state(task))) {
        (void)move_to(task, WEIR_TASK_CANCELED);
    }
    weir_task_cut_end(task);
    return WEIR_POLL_DONE;
}

enum weir_task_poll
weir_task_life_cancel(struct weir_task *task)
{
    (void)move_to(task, WEIR_TASK_CANCELING);
    if (close_chain(task) != 0) {
        weir_err_clear(); /* canceling drops causes, as Flink's */
    }
    (void)move_to(task, WEIR_TASK_CANCELED);
    weir_task_cut_end(task);
    return WEIR_POLL_DONE;
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
    task->end_ns = now_ns;
    rc = close_chain(task);
    if (rc != 0) {
        return weir_task_life_fail(task, rc);
    }
    (void)move_to(task, WEIR_TASK_FINISHED);
    weir_task_cut_end(task);
    return WEIR_POLL_DONE;
}

enum weir_task_poll
weir_task_life_deploy(struct weir_task *task, int64_t now_ns)
{
    int rc = task->cut.is_on ? weir_task_cut_letters(task, now_ns) : 0;
    (void)move_to(task, WEIR_TASK_DEPLOYING);
    (void)move_to(task, WEIR_TASK_INITIALIZING);
    rc = rc != 0 ? rc : weir_chain_open(task->chain);
    if (rc == 0 && task->cut.is_on) {
        rc = weir_task_cut_restore(task, now_ns);
    }
    if (rc != 0) {
        return weir_task_life_fail(task, rc);
    }
    (void)move_to(task, WEIR_TASK_RUNNING);
    return WEIR_POLL_BUSY;
}

void
weir_task_request(struct weir_task *task, enum weir_task_request request)
{
    /* relaxed, both: a request carries no data with it; the greater one stays. */
    uint32_t now = weir_load_rlx(&task->request);
    while (now < (uint32_t)request && !weir_cas_weak_rel(&task->request, &now, (uint32_t)request)) {
    }
}

struct weir_operator *
weir_task_operator(struct weir_task *task, uint32_t node)
{
    return weir_chain_operator(task->chain, node);
}

int
weir_task_error(const struct weir_task *task)
{
    return task->error;
}

const char *
weir_task_cause(const struct weir_task *task)
{
    return task->cause;
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
weir_task_name(const struct weir_task *task)
{
    return task->name;
}
