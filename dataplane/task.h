/* SPDX-License-Identifier: Apache-2.0 */
/* task.h: one stage at run time: a chain, its gates, and an execution state. It is polled.
 *
 *   created -> deploying -> initializing -> running -> finished
 *        \          \             \            \-> canceling -> canceled
 *         '----------'-------------'------------------------------> failed
 *
 * A task does not know who polls it: a pinned thread, or a test that polls in a seeded order. It
 * never blocks; when it has run out of input it flushes, when its outputs are full it says so. The
 * first failure's cause wins and is kept.
 *
 * Thread: all calls from the core that polls it, but weir_task_cancel and weir_task_stop, which
 *         only
 * leave a request, and weir_task_state.
 * Source: Flink's Task and StreamTask; the legality of transitions is theirs.
 */
#ifndef WEIR_DATAPLANE_TASK_H
#define WEIR_DATAPLANE_TASK_H

#include "base/atomic.h"
#include "dataplane/chain.h"
#include "dataplane/gate.h"

enum weir_task_state {
    WEIR_TASK_CREATED,
    WEIR_TASK_DEPLOYING,
    WEIR_TASK_INITIALIZING,
    WEIR_TASK_RUNNING,
    WEIR_TASK_FINISHED,
    WEIR_TASK_CANCELING,
    WEIR_TASK_CANCELED,
    WEIR_TASK_FAILED,
    WEIR_TASK_STATE_CNT
};

/* What a poll did: the parts of a core's time. */
enum weir_task_poll {
    WEIR_POLL_BUSY, /* records or events were worked on */
    WEIR_POLL_IDLE, /* nothing to do */
    WEIR_POLL_BACKPRESSURED, /* an output is full */
    WEIR_POLL_DONE, /* the task is in a terminal state */
};

enum weir_task_request {
    WEIR_TASK_REQUEST_NONE,
    WEIR_TASK_REQUEST_STOP, /* sources end without the MAX watermark, what is in flight finishes */
    WEIR_TASK_REQUEST_DRAIN, /* sources end with it */
    WEIR_TASK_REQUEST_CANCEL,
};

#define WEIR_TASK_CAUSE_BYTES 1024

/* A gate and the node input that it feeds. */
struct weir_task_gate {
    struct weir_gate gate;
    uint32_t node;
    uint32_t channel; /* in-edge of the node */
};

struct weir_task_conf {
    const char *name; /* "vertex (i/n)", kept */
    struct weir_chain_conf chain;
    struct weir_task_gate *gates; /* kept; initialised */
    uint32_t gate_cnt;
};

struct weir_task;

WEIR_API WEIR_MUST_USE int
weir_task_new(const struct weir_task_conf *conf, struct weir_task **ret_task);
/* weir_task_delete - closes operators that are open. Accepts NULL. */
WEIR_API void weir_task_delete(struct weir_task *task);

/* weir_task_poll - bounded work: deploys and opens at first, then up to `step_cnt` operator
 * steps. */
WEIR_API enum weir_task_poll
weir_task_poll(struct weir_task *task, uint32_t step_cnt, int64_t now_ns);

/* weir_task_settle - after a poll, with the time at which it ended: rows have arrived at the sinks
 * then, and not when the poll that carried them began. */
WEIR_API void weir_task_settle(struct weir_task *task, int64_t now_ns);

/* weir_task_request - ask the task to end; looked at in the next poll. Any thread. A stronger
 * request replaces a weaker one. */
WEIR_API void weir_task_request(struct weir_task *task, enum weir_task_request request);
/* weir_task_state - any thread. */
WEIR_API enum weir_task_state weir_task_state(const struct weir_task *task);
WEIR_API const char *weir_task_state_name(enum weir_task_state state);
/* weir_task_legal - whether a worker-side transition is legal (SEMANTICS A.6). Pure. */
WEIR_API bool weir_task_legal(enum weir_task_state from, enum weir_task_state to);
/* weir_task_error, weir_task_cause - of a failed task; read after its state says so. */
WEIR_API int weir_task_error(const struct weir_task *task);
WEIR_API const char *weir_task_cause(const struct weir_task *task);
/* weir_task_begin_ns, weir_task_end_ns - when all its operators were open, and when the last of
 * them had finished, before they were closed; by the poller's clock, after the task's end. */
WEIR_API int64_t weir_task_begin_ns(const struct weir_task *task);
WEIR_API int64_t weir_task_end_ns(const struct weir_task *task);
/* weir_task_latency - of the rows at its sinks, or NULL; after the task's end. */
WEIR_API const struct weir_hist *weir_task_latency(const struct weir_task *task);
WEIR_API const char *weir_task_name(const struct weir_task *task);

/* What an operator of the task has counted, as last published. */
struct weir_task_counts {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
    uint64_t work_done; /* as in struct weir_operator */
    uint64_t work_all;
    int64_t watermark; /* of its input */
};
/* weir_task_publish - show the counts of now to other threads; the polling core calls it rarely.
 * The end of the task publishes them for good. */
WEIR_API void weir_task_publish(struct weir_task *task);
/* weir_task_counts - of node `node`; any thread. */
WEIR_API struct weir_task_counts weir_task_counts(const struct weir_task *task, uint32_t node);

#endif
