/* SPDX-License-Identifier: Apache-2.0 */
/* task.h: one stage at run time: a chain, its gates, and an execution state. It is polled.
 *
 *   created -> deploying -> initializing -> running -> finished
 *        \          \             \            \-> canceling -> canceled
 *         '----------'-------------'------------------------------> failed
 *
 * A task does not know who polls it: a pinned thread, or a test that polls in a seeded order. It
 * never blocks; when it has run out of input it flushes, when its outputs are full it says so. The
 * first failure's cause wins and is kept; what fails behind it is kept beside it. An operator that
 * answers WEIR_ECANCELED has seen that it is not wanted any more: its task is canceled, and has not
 * failed. Letters to its operators (mailbox.h) run at the begin of a poll, a batch in each, whether
 * rows can go on or not.
 *
 * A checkpoint is taken between two batches, on a barrier of every open channel or, in a task with
 * sources, on a letter of the coordinator (which one that begins checkpoints itself asks for); the
 * parts that follow are those of its snapshot:
 *
 *      hooks `barrier`, head first -> barrier on all outputs -> begin_fn -> parts, tail first
 *          -> SNAPSHOT   then, beside the next batches,  precommit -> PRECOMMITTED
 *
 * An unaligned one begins at the first word of its barrier. What is in the chain is finished, edges
 * keeping what has no room (keep.h); a batch is worked on in pieces that take some
 * WEIR_TASK_PIECE_NS each, so that a barrier waits for one of those, and not for a batch of slow
 * rows. The rows before the barriers that are missing are copied beside the next batches: CAPTURED.
 *
 * Thread: all calls from the core that polls it, but weir_task_request, weir_task_fail,
 *         weir_task_post, which only leave a word, and weir_task_state.
 * Source: Flink's Task, StreamTask and SubtaskCheckpointCoordinatorImpl; the legality of
 *         transitions is theirs. A failed snapshot declines the checkpoint, and the coordinator
 *         counts.
 */
#ifndef WEIR_DATAPLANE_TASK_H
#define WEIR_DATAPLANE_TASK_H

#include "base/atomic.h"
#include "dataplane/barrier.h"
#include "dataplane/chain.h"
#include "dataplane/gate.h"
#include "dataplane/key.h"
#include "dataplane/partitioner.h"
#include "dataplane/task_counters.h"

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
    WEIR_POLL_HELD, /* the writing of a snapshot cannot keep up: hold_fn or begin_fn said to wait */
    WEIR_POLL_DONE, /* the task is in a terminal state */
};

enum weir_task_request {
    WEIR_TASK_REQUEST_NONE,
    WEIR_TASK_REQUEST_STOP, /* sources end without the MAX watermark, what is in flight finishes */
    WEIR_TASK_REQUEST_DRAIN, /* sources end with it */
    WEIR_TASK_REQUEST_CANCEL,
};

/* A gate and the node input that it feeds. */
struct weir_task_gate {
    struct weir_gate gate;
    uint32_t node;
    uint32_t channel; /* in-edge of the node */
    bool is_forced; /* its rows cannot be dealt out anew: no barrier overtakes them */
};

/* An in-edge of a node whose rows can be under way in a checkpoint, fused or not: who gets them
 * when it is restored. */
struct weir_task_edge {
    uint32_t node;
    uint32_t channel; /* in-edge of the node */
    enum weir_partitioner partitioner;
    const struct weir_schema *schema;
    struct weir_key key; /* KEYED, resolved */
    const uint16_t *keygroup_owner; /* KEYED: subtask of each key group */
};

struct weir_task;
struct weir_parts_reader;

/* ---- checkpoints ---- */

/* What a poll is to take where unaligned barriers may come: by the time that the rows of the polls
 * before took, as few as one row. */
#define WEIR_TASK_PIECE_NS INT64_C(1000000)
/* Ids of aborted checkpoints that a task remembers until their barriers come; the oldest is
 * forgotten. */
#define WEIR_TASK_ABORTED_CNT_MAX 128
/* Checkpoints of a task that wait for its operators to pre-commit. */
#define WEIR_TASK_FLYING_CNT_MAX 8

/* What the coordinator posts. */
enum weir_task_letter {
    WEIR_TASK_TRIGGER = 1, /* to tasks with sources; and to those whose inputs have all ended */
    WEIR_TASK_NOTIFY, /* the checkpoint is complete and durable */
    WEIR_TASK_ABORT,
    WEIR_TASK_GO_ON, /* of what BEGINS said, nothing comes: its sources go on */
    WEIR_TASK_LETTER_CNT
};

enum weir_decline {
    WEIR_DECLINE_CANCELED = 1, /* a task before this one declined: its marker came */
    WEIR_DECLINE_SUBSUMED, /* a barrier of a newer one came */
    WEIR_DECLINE_END_OF_INPUT,
    WEIR_DECLINE_NOT_READY, /* it does not run yet */
    WEIR_DECLINE_CLOSING, /* it runs no more */
    WEIR_DECLINE_BUSY, /* WEIR_TASK_FLYING_CNT_MAX others wait */
    WEIR_DECLINE_STORAGE, /* begin_fn refused */
    WEIR_DECLINE_SNAPSHOT, /* an operator failed, or the parts did not fit */
    WEIR_DECLINE_PRECOMMIT,
    WEIR_DECLINE_FLIGHT, /* more rows under way than there is room for */
    WEIR_DECLINE_CNT
};

enum weir_task_report_kind {
    WEIR_TASK_SNAPSHOT = 1, /* the parts are in begin_fn's buffer, which is the callee's again */
    WEIR_TASK_PRECOMMITTED, /* of every SNAPSHOT that is not aborted or declined before */
    WEIR_TASK_DECLINED, /* also behind begin_fn: its buffer is the callee's again */
    WEIR_TASK_COMMITTED, /* operators have committed all up to id, durably; of NOTIFY */
    WEIR_TASK_WAITS, /* out of data: it ends when a checkpoint that begins now is complete */
    /* Of every SNAPSHOT that has_flight and is not aborted or declined before: the rows under way
     * are in flight_fn's buffer, which is the callee's again. */
    WEIR_TASK_CAPTURED,
    /* A source begins a checkpoint: mark.id is the source's number of it. The sources of the task
     * stand still until TRIGGER or GO_ON. 0: the one that begins them has ended, the task perhaps
     * not, and nothing stands still. */
    WEIR_TASK_BEGINS,
};

/* What hold_fn says. */
enum weir_task_hold {
    WEIR_TASK_HOLD_NEVER, /* state may be written freely: it is not asked until the next begin_fn */
    WEIR_TASK_HOLD_NOT, /* not now */
    WEIR_TASK_HOLD_WAIT, /* no state is to be written in this poll */
};

/* What a task tells the outside. Borrowed by report_fn until it returns. */
struct weir_task_report {
    enum weir_task_report_kind kind;
    struct weir_mark mark; /* SNAPSHOT: all of it; of others: id */
    struct weir_barrier_gauges gauges; /* SNAPSHOT; CAPTURED: of the whole alignment */
    size_t parts_bytes; /* SNAPSHOT */
    bool has_flight; /* SNAPSHOT: rows under way belong to it */
    bool is_unaligned; /* SNAPSHOT: it did not wait for all barriers */
    size_t flight_bytes; /* CAPTURED */
    uint64_t flight_rows; /* CAPTURED: those that were copied off channels */
    bool is_final; /* SNAPSHOT: the data of the task had ended */
    enum weir_decline decline; /* DECLINED */
    int error; /* DECLINED: an enum weir_err, or 0; its context is on the stack of err.h */
};

/* A section of rows under way (flight.h), checked. */
struct weir_task_flight_bytes {
    const void *buf;
    size_t bytes; /* 0: none */
};

/* What the tasks of a job start from; one for all of them, whole before the first poll. */
struct weir_task_restore {
    bool is_on; /* false: from nothing */
    /* The tasks are those that there were: each operator has as many subtasks, and stands among the
     * same others. Else watermarks are the least there were, and streams count as active. */
    bool is_same;
    uint32_t parts_cnt;
    const struct weir_parts_reader *parts; /* of every task that there was, in order of subtasks */
    /* Operators that were there, and all of whose subtasks had ended: their sources have nothing
     * more to say. An operator of which there is nothing at all is a new one. */
    const char *const *ended;
    uint32_t ended_cnt;
    /* Rows under way, of every task that there was, in that order. */
    const struct weir_task_flight_bytes *flights;
    uint32_t flight_cnt;
};

/* How a task takes part. Copied; what it points to is kept. All calls come on the polling core,
 * must not block, and may not call the task. */
struct weir_task_checkpoints {
    void *arg;
    enum weir_barrier_mode mode;
    int64_t timeout_ns; /* UNALIGNED: as in barrier.h */
    uint32_t piece_rows_max; /* UNALIGNED: of a poll; 0: by the time alone that they take */
    uint32_t flight_slice_bytes; /* UNALIGNED: of rows that are copied at a time; 0: 128 KiB */
    bool after_end; /* checkpoints go on when some tasks have ended */
    /* The end waits for the completion of a checkpoint that began behind all data, where an
     * operator commits data. */
    bool waits_final;
    /* The barrier has left: start the epoch of this checkpoint (state pages are as they are now in
     * it), and lend an 8-aligned buffer for the parts. 0; WEIR_WAIT: not yet, it is asked again in
     * the next poll, and nothing is taken in until then; or an error: it is declined. */
    int (*begin_fn)(void *arg, struct weir_task *task, const struct weir_mark *mark, void **ret_buf,
        size_t *ret_bytes);
    /* A barrier of WEIR_MARK_MOVE has come on all channels and left, begin_fn comes next: key
     * groups change their owners. WEIR_DONE; WEIR_WAIT: as of begin_fn; an error fails the task.
     * NULL: nothing moves. */
    int (*move_fn)(void *arg, struct weir_task *task, const struct weir_mark *mark);
    /* Behind begin_fn, where rows are under way: lend an 8-aligned buffer for them, until CAPTURED,
     * DECLINED or an abort. 0, or an error: it is declined. UNALIGNED only. */
    int (*flight_fn)(void *arg, struct weir_task *task, void **ret_buf, size_t *ret_bytes);
    void (*report_fn)(void *arg, struct weir_task *task, const struct weir_task_report *report);
    /* Whether the snapshot that begin_fn has started can bear more writes; asked in each poll.
     * NULL: it always can. */
    enum weir_task_hold (*hold_fn)(void *arg, struct weir_task *task, int64_t now_ns);
    const struct weir_task_restore *restore; /* kept, and read in the first poll; NULL: nothing */
};

/* weir_task_state_fn - an entry into INITIALIZING, RUNNING or a terminal state: each is told once,
 * before anything is done in it, and behind all reports of checkpoints; what the task failed of can
 * be read. Called on the polling core; it must not block, and may not call the task but for that.
 * An error fails a task that has not ended; one of a terminal state ends the process. */
typedef int(weir_task_state_fn)(void *arg, struct weir_task *task, enum weir_task_state state);

struct weir_task_conf {
    const char *name; /* "vertex (i/n)", kept */
    struct weir_chain_conf chain;
    struct weir_task_gate *gates; /* kept; initialised */
    uint32_t gate_cnt;
    const struct weir_task_edge *edges; /* kept; those whose rows a checkpoint can hold */
    uint32_t edge_cnt;
    int64_t marker_interval_ns; /* of its sources' latency markers; 0: none */
    const struct weir_task_checkpoints *checkpoints; /* NULL: none are taken */
    weir_task_state_fn *state_fn; /* NULL: nobody is told */
    void *state_arg;
};

WEIR_API WEIR_MUST_USE int
weir_task_new(const struct weir_task_conf *conf, struct weir_task **ret_task);
/* weir_task_delete - closes operators that are open. Accepts NULL. */
WEIR_API void weir_task_delete(struct weir_task *task);

/* weir_task_poll - bounded work: deploys and opens at first, then up to `step_cnt` operator
 * steps. */
WEIR_API enum weir_task_poll
weir_task_poll(struct weir_task *task, uint32_t step_cnt, int64_t now_ns);

/* weir_task_due_ns - the time by which the task wants to be polled whatever else happens;
 * INT64_MAX:
 * it has none. In the past where what is due waits for something outside. The polling core only. */
WEIR_API int64_t weir_task_due_ns(const struct weir_task *task);

/* weir_task_settle - after a poll, with the time at which it ended: rows have arrived at the sinks
 * then, and not when the poll that carried them began. */
WEIR_API void weir_task_settle(struct weir_task *task, int64_t now_ns);

/* weir_task_request - ask the task to end; looked at in the next poll. Any thread. A stronger
 * request replaces a weaker one. */
WEIR_API void weir_task_request(struct weir_task *task, enum weir_task_request request);
/* weir_task_fail - something that works for the task elsewhere has failed, and the task with it.
 * The sender then wakes the core.
 *
 * Shape:   error: an enum weir_err; why: its context, copied, cut at WEIR_CAUSE_BYTES.
 * Thread:  any; bounded, no system call.
 * Returns: true: the task fails of it in its next poll, unless it ends in this one. False: it has
 *          ended, or will already for what was said before, a cancel request or another failure.
 * Order:   [R31] release on the request, pairs with [A31] in weir_task_asked.
 * Source:  Flink's Task.failExternally and StreamTask.handleAsyncException.
 */
WEIR_API bool weir_task_fail(struct weir_task *task, int error, const char *why);
/* weir_task_set_wake - what makes the polling core look at letters to operators (mailbox.h); before
 * the first poll. wake_fn: any thread. */
WEIR_API void weir_task_set_wake(struct weir_task *task, void (*wake_fn)(void *arg), void *arg);
/* weir_task_post - leave a letter, looked at in the next poll; the sender then wakes the core.
 * `mark`:
 * of a TRIGGER all, of others the id. A task without checkpoints takes none.
 *
 * Thread:  any; bounded, no system call. Letters of one sender are taken in order.
 * Returns: 1; 0 busy: try again later; WEIR_ECLOSED: the task has ended, or will with this poll.
 */
WEIR_API WEIR_MUST_USE int
weir_task_post(struct weir_task *task, enum weir_task_letter letter, const struct weir_mark *mark);
WEIR_API const char *weir_decline_name(enum weir_decline decline);
/* weir_task_operator - node `node`, for who puts its state back before the first poll. */
WEIR_API struct weir_operator *weir_task_operator(struct weir_task *task, uint32_t node);
/* weir_task_has_ended - whether the state is a terminal one. Pure. */
WEIR_API bool weir_task_has_ended(enum weir_task_state state);
/* weir_task_state - any thread. */
WEIR_API enum weir_task_state weir_task_state(const struct weir_task *task);
WEIR_API const char *weir_task_state_name(enum weir_task_state state);
/* weir_task_legal - whether a worker-side transition is legal (SEMANTICS A.6). Pure. */
WEIR_API bool weir_task_legal(enum weir_task_state from, enum weir_task_state to);
/* weir_task_error, weir_task_cause, weir_task_failure - of a failed task; read after its state says
 * so. The last one is the whole, with what was suppressed. */
WEIR_API int weir_task_error(const struct weir_task *task);
WEIR_API const char *weir_task_cause(const struct weir_task *task);
WEIR_API const struct weir_cause *weir_task_failure(const struct weir_task *task);
/* weir_task_begin_ns, weir_task_end_ns - when all its operators were open, and when the last of
 * them had finished, before they were closed; by the poller's clock, after the task's end. */
WEIR_API int64_t weir_task_begin_ns(const struct weir_task *task);
WEIR_API int64_t weir_task_end_ns(const struct weir_task *task);
/* weir_task_latency - of the rows at its sinks, or NULL; after the task's end. */
WEIR_API const struct weir_hist *weir_task_latency(const struct weir_task *task);
/* weir_task_marker_latency - of the latency markers of source `source` at a node, or NULL;
 * likewise. */
WEIR_API const struct weir_hist *
weir_task_marker_latency(const struct weir_task *task, uint32_t node, uint32_t source);
WEIR_API const char *weir_task_name(const struct weir_task *task);
/* weir_task_at - the operator that was called last; any thread, for who asks why a poll does not
 * return. */
WEIR_API const char *weir_task_at(const struct weir_task *task);

/* What an operator of the task has counted, as last published. */
struct weir_task_counts {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
    uint64_t timers_fired;
    uint64_t work_done; /* as in struct weir_operator */
    uint64_t work_all;
    int64_t watermark; /* of its input */
};
/* weir_task_publish - show the counts of now to other threads; the polling core calls it rarely.
 * The end of the task publishes them for good. */
WEIR_API void weir_task_publish(struct weir_task *task);
/* weir_task_counts - of node `node`; any thread. */
WEIR_API struct weir_task_counts weir_task_counts(const struct weir_task *task, uint32_t node);
/* weir_task_tap - as weir_chain_tap. */
WEIR_API struct weir_tap *weir_task_tap(struct weir_task *task, uint32_t node, bool is_on);
/* weir_task_set, weir_task_operator_set - all that was published, of the task and of one node, by
 * task_counters.h and without labels; any thread, until the task is deleted. */
WEIR_API struct weir_counter_set weir_task_set(const struct weir_task *task);
WEIR_API struct weir_counter_set
weir_task_operator_set(const struct weir_task *task, uint32_t node);

#endif
