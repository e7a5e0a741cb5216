/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/task.h"

#include <stdlib.h>

#include "base/check.h"

struct weir_task {
    const char *name;
    struct weir_chain *chain;
    struct weir_task_gate *gates;
    uint32_t gate_cnt;
    uint32_t gate_next;
    uint32_t source_next;
    uint32_t held_gate; /* the gate whose batch is in the chain, or UINT32_MAX */
    uint32_t source_cnt;
    uint32_t source_open_cnt;
    uint32_t sources[WEIR_CHAIN_NODE_CNT_MAX];
    bool source_ended[WEIR_CHAIN_NODE_CNT_MAX];
    bool begun; /* polled since its operators are open */
    bool producer_failed; /* a channel said so: this task is canceled, the cause is there */
    bool flushed; /* nothing was taken in since the last flush */
    enum weir_task_request seen;
    struct weir_gate_item item;
    int64_t begin_ns;
    int64_t end_ns;
    int error;
    char cause[WEIR_TASK_CAUSE_BYTES];
    /* writer: the polling core; read by others */
    WEIR_ATOMIC(uint32_t) state;
    struct {
        WEIR_ATOMIC(uint64_t) rows_in;
        WEIR_ATOMIC(uint64_t) rows_out;
        WEIR_ATOMIC(uint64_t) rows_late;
        WEIR_ATOMIC(uint64_t) rows_bad;
        WEIR_ATOMIC(uint64_t) work_done;
        WEIR_ATOMIC(uint64_t) work_all;
        WEIR_ATOMIC(int64_t) watermark;
    } shown[WEIR_CHAIN_NODE_CNT_MAX];
    /* writer: any thread */
    WEIR_ATOMIC(uint32_t) request;
};

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

static bool
ended(enum weir_task_state state)
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
    int rc = weir_chain_new(&conf->chain, &task->chain);
    if (rc != 0) {
        free(task);
        return weir_err_push(rc, "task %s", conf->name);
    }
    for (uint32_t i = 0; i < conf->chain.node_cnt; i++) {
        if (conf->chain.nodes[i].type->poll != NULL) {
            task->sources[task->source_cnt++] = i;
        }
    }
    task->source_open_cnt = task->source_cnt;
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
        free(task);
    }
}

static int
close_chain(struct weir_task *task)
{
    weir_task_publish(task);
    return weir_chain_end(task->chain);
}

/* The one place where a task fails: the first cause is kept, operators are closed at once. */
static enum weir_task_poll
fail(struct weir_task *task, int error)
{
    task->error = error;
    weir_err_save(task->cause, sizeof task->cause);
    weir_err_clear();
    if (task->chain != NULL && close_chain(task) != 0) {
        weir_err_clear(); /* a consequence of the first cause, or at least not the first */
    }
    (void)move_to(task, WEIR_TASK_FAILED); /* ignored from canceling, as Flink's */
    if (!ended(weir_task_state(task))) {
        (void)move_to(task, WEIR_TASK_CANCELED);
    }
    return WEIR_POLL_DONE;
}

static enum weir_task_poll
cancel(struct weir_task *task)
{
    (void)move_to(task, WEIR_TASK_CANCELING);
    if (close_chain(task) != 0) {
        weir_err_clear(); /* canceling drops causes, as Flink's */
    }
    (void)move_to(task, WEIR_TASK_CANCELED);
    return WEIR_POLL_DONE;
}

/* Operators are closed before the state says finished: a failure to close is a failure of the task,
 * and who sees `finished` may count on what the sinks wrote. */
static enum weir_task_poll
finish(struct weir_task *task, int64_t now_ns)
{
    int rc = weir_chain_flush(task->chain);
    if (rc < 0) {
        return fail(task, rc);
    }
    if (rc == WEIR_WAIT) {
        return WEIR_POLL_BACKPRESSURED;
    }
    task->end_ns = now_ns;
    rc = close_chain(task);
    if (rc != 0) {
        return fail(task, rc);
    }
    (void)move_to(task, WEIR_TASK_FINISHED);
    return WEIR_POLL_DONE;
}

static enum weir_task_poll
deploy(struct weir_task *task)
{
    (void)move_to(task, WEIR_TASK_DEPLOYING);
    (void)move_to(task, WEIR_TASK_INITIALIZING);
    int rc = weir_chain_open(task->chain);
    if (rc != 0) {
        return fail(task, rc);
    }
    (void)move_to(task, WEIR_TASK_RUNNING);
    return WEIR_POLL_BUSY;
}

static void
stop_sources(struct weir_task *task, bool clean)
{
    for (uint32_t i = 0; i < task->source_cnt; i++) {
        if (!task->source_ended[i]) {
            task->source_ended[i] = true;
            task->source_open_cnt--;
            weir_chain_end_source(task->chain, task->sources[i], clean);
        }
    }
}

/* Take one item off one gate. Returns false when all gates are empty. */
static bool
take_from_gates(struct weir_task *task)
{
    for (uint32_t i = 0; i < task->gate_cnt; i++) {
        uint32_t g = task->gate_next;
        struct weir_task_gate *tg = &task->gates[g];
        task->gate_next = g + 1 == task->gate_cnt ? 0 : g + 1;
        weir_gate_next(&tg->gate, &task->item);
        switch (task->item.kind) {
        case 0:
            continue;
        case WEIR_SLOT_BATCH:
            task->held_gate = g;
            weir_chain_offer(task->chain, tg->node, tg->channel, &task->item.view);
            return true;
        case WEIR_SLOT_FAILED:
            task->producer_failed = true;
            return true;
        case WEIR_SLOT_END:
            if (tg->gate.open_cnt == 0) {
                weir_chain_offer_end(task->chain, tg->node, tg->channel);
            }
            return true;
        default:
            if (task->item.result.watermark_set) {
                weir_chain_offer_watermark(
                    task->chain, tg->node, tg->channel, task->item.result.watermark);
            }
            if (task->item.result.status != WEIR_VALVE_SAME) {
                weir_chain_offer_status(task->chain, tg->node, tg->channel,
                    task->item.result.status == WEIR_VALVE_IDLE);
            }
            return true;
        }
    }
    return false;
}

/* Let the sources emit, in turn. Returns 1: something, 0: nothing, negative: an error. */
static int
take_from_sources(struct weir_task *task, int64_t now_ns)
{
    for (uint32_t i = 0; i < task->source_cnt; i++) {
        uint32_t s = task->source_next;
        task->source_next = s + 1 == task->source_cnt ? 0 : s + 1;
        if (task->source_ended[s]) {
            continue;
        }
        int rc = weir_chain_poll_source(task->chain, task->sources[s], now_ns);
        if (rc < 0) {
            return rc;
        }
        if (rc == WEIR_DONE) {
            task->source_ended[s] = true;
            task->source_open_cnt--;
            return 1;
        }
        if (rc == WEIR_AGAIN) {
            return 1;
        }
    }
    return 0;
}

static enum weir_task_poll
out_of_input(struct weir_task *task, int64_t now_ns)
{
    if (weir_chain_ended(task->chain)) {
        return finish(task, now_ns);
    }
    if (task->flushed) {
        return WEIR_POLL_IDLE;
    }
    int rc = weir_chain_flush(task->chain);
    if (rc < 0) {
        return fail(task, rc);
    }
    task->flushed = rc == WEIR_DONE;
    return rc == WEIR_DONE ? WEIR_POLL_IDLE : WEIR_POLL_BACKPRESSURED;
}

static enum weir_task_poll
run(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    enum weir_task_poll did = WEIR_POLL_IDLE;
    for (uint32_t turn = 0; turn < step_cnt; turn++) {
        int rc = weir_chain_run(task->chain, step_cnt, now_ns);
        if (rc < 0) {
            return fail(task, rc);
        }
        if (rc == WEIR_AGAIN) {
            return WEIR_POLL_BUSY;
        }
        if (rc == WEIR_WAIT) {
            return did == WEIR_POLL_BUSY ? did : WEIR_POLL_BACKPRESSURED;
        }
        if (task->held_gate != UINT32_MAX) {
            weir_gate_release(&task->gates[task->held_gate].gate);
            task->held_gate = UINT32_MAX;
        }
        int took = take_from_gates(task) ? 1 : 0;
        if (took == 0 && task->source_open_cnt > 0) {
            took = take_from_sources(task, now_ns);
        }
        if (task->producer_failed) {
            return cancel(task);
        }
        if (took < 0) {
            return fail(task, took);
        }
        if (took == 0) {
            enum weir_task_poll idle = out_of_input(task, now_ns);
            return did == WEIR_POLL_BUSY && idle == WEIR_POLL_IDLE ? did : idle;
        }
        task->flushed = false;
        did = WEIR_POLL_BUSY;
    }
    return did;
}

enum weir_task_poll
weir_task_poll(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    enum weir_task_state state = weir_task_state(task);
    if (ended(state)) {
        return WEIR_POLL_DONE;
    }
    /* relaxed: a request carries no data with it. */
    enum weir_task_request request = (enum weir_task_request)weir_load_rlx(&task->request);
    if (request == WEIR_TASK_REQUEST_CANCEL) {
        return cancel(task);
    }
    if (state == WEIR_TASK_CREATED) {
        return deploy(task);
    }
    if (request != task->seen) {
        task->seen = request;
        stop_sources(task, request == WEIR_TASK_REQUEST_DRAIN);
    }
    if (!task->begun) {
        task->begun = true;
        task->begin_ns = now_ns;
    }
    return run(task, step_cnt, now_ns);
}

void
weir_task_request(struct weir_task *task, enum weir_task_request request)
{
    /* relaxed, both: a request carries no data with it; the greater one stays. */
    uint32_t now = weir_load_rlx(&task->request);
    while (now < (uint32_t)request && !weir_cas_weak_rel(&task->request, &now, (uint32_t)request)) {
    }
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

void
weir_task_settle(struct weir_task *task, int64_t now_ns)
{
    weir_chain_settle(task->chain, now_ns);
}

const struct weir_hist *
weir_task_latency(const struct weir_task *task)
{
    return weir_chain_latency(task->chain);
}

const char *
weir_task_name(const struct weir_task *task)
{
    return task->name;
}

void
weir_task_publish(struct weir_task *task)
{
    if (task->chain == NULL) {
        return;
    }
    for (uint32_t i = 0; i < weir_chain_node_cnt(task->chain); i++) {
        const struct weir_operator *op = weir_chain_operator(task->chain, i);
        /* relaxed, all: figures for people, each right by itself. */
        weir_store_rlx(&task->shown[i].rows_in, op->rows_in);
        weir_store_rlx(&task->shown[i].rows_out, op->rows_out);
        weir_store_rlx(&task->shown[i].rows_late, op->rows_late);
        weir_store_rlx(&task->shown[i].rows_bad, op->rows_bad);
        weir_store_rlx(&task->shown[i].work_done, op->work_done);
        weir_store_rlx(&task->shown[i].work_all, op->work_all);
        weir_store_rlx(&task->shown[i].watermark, op->watermark);
    }
}

struct weir_task_counts
weir_task_counts(const struct weir_task *task, uint32_t node)
{
    /* relaxed, all: see weir_task_publish. */
    const struct weir_task_counts counts = {
        .rows_in = weir_load_rlx(&task->shown[node].rows_in),
        .rows_out = weir_load_rlx(&task->shown[node].rows_out),
        .rows_late = weir_load_rlx(&task->shown[node].rows_late),
        .rows_bad = weir_load_rlx(&task->shown[node].rows_bad),
        .work_done = weir_load_rlx(&task->shown[node].work_done),
        .work_all = weir_load_rlx(&task->shown[node].work_all),
        .watermark = weir_load_rlx(&task->shown[node].watermark),
    };
    return counts;
}
