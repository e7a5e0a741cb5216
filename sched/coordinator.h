/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator.h: when checkpoints of a job start, what each waits for, and what follows from it.
 *
 *     request, tick -> [queue] -> COLLECTING -> READY -> STORING -> STORED -> NOTIFIED -> DONE
 *                                   |             |         |
 *                                   '----------> ABORTED <--'--> UNKNOWN (the process has to end)
 *
 *     COLLECTING  triggered at the tasks without running producers; its set of tasks and their
 *                 attempts is frozen; acks come in
 *     READY       all acks are there and the ledger adds up; it waits until no other is STORING
 *     STORING     its manifest is being made durable; nothing but the answer ends this
 *     STORED      the commit point is behind it
 *     NOTIFIED    tasks were told, sinks commit; savepoints leave this out
 *     DONE        all sinks have committed: older files may go
 *
 * A state is only ever left to the right or to the side: no sink is told before the manifest is
 * durable, nothing is given free before sinks have committed (RELIABILITY 6, C1 and C2).
 *
 * It is a state machine: messages are calls, what follows from them waits in a bounded queue and is
 * taken with weir_coordinator_poll(). Every message has to be drained before the next. No clock is
 * read, nothing is written, no memory is taken after weir_coordinator_new().
 *
 * It is not the commit protocol (files, manifests, fences), nor does it know names of files: those
 * are kept by who answers STORE, by id.
 *
 * Thread:  one, the checkpoint thread or the seeded poller; all calls.
 * Source:  Flink's CheckpointCoordinator. Different: manifests are stored one at a time in the
 *          order of ids; the first periodic one starts an interval after the start, or when it
 *          is told to, not at random, and waits for tasks that are starting; what is overdue is
 *          not caught up.
 */
#ifndef WEIR_SCHED_COORDINATOR_H
#define WEIR_SCHED_COORDINATOR_H

#include "sched/checkpoint.h"
#include "sched/ledger.h"

/* Checkpoints at once: beyond a few they only compete for the same disk. */
#define WEIR_COORDINATOR_CONCURRENT_MAX 32
/* Savepoints that may be pending beyond that. */
#define WEIR_COORDINATOR_SAVEPOINT_CNT_MAX 4
/* Stored ones whose sinks have not committed: with so many none is started, because the sinks'
 * outside is down and their open transactions grow. */
#define WEIR_COORDINATOR_UNCOMMITTED_CNT_MAX 8
/* Overdue checkpoints one after another with which a job was to end, where no number of failures is
 * too many (tolerable): then the time-out is shorter than any of them takes, and the end would
 * never come. More than those behind which the storage core tries storage by itself
 * (job_checkpoint_probe.c): what hangs only does not count for it. */
#define WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX 8
/* Ids whose end is remembered, for acks that come late. */
#define WEIR_COORDINATOR_RECENT_CNT 128
#define WEIR_COORDINATOR_TEXT_BYTES (WEIR_LEDGER_TEXT_BYTES + 128)
#define WEIR_COORDINATOR_NEVER INT64_MAX

struct weir_coordinator;

struct weir_coordinator_conf {
    uint64_t job; /* acks of another job or epoch are left alone */
    uint64_t epoch;
    uint64_t id_last; /* the highest id ever seen of this job: ids start above it */
    int64_t interval_ns; /* 0: only on request */
    int64_t first_ns; /* from the start to the first periodic one; 0: interval_ns */
    int64_t pause_ns; /* between the end of one and the next periodic one */
    int64_t timeout_ns;
    uint64_t tolerable; /* failures in a row; WEIR_CHECKPOINT_TOLERABLE_UNLIMITED */
    uint32_t concurrent_max;
    uint32_t queue_max; /* requests that wait, at most WEIR_CHECKPOINT_QUEUE_CNT_MAX */
    bool is_after_finish; /* checkpoints go on when some tasks have finished */
    bool is_savepoint_queued; /* savepoints wait for concurrent_max too (state that can freeze one
                               * epoch at a time); else they start at once, as Flink's */
    uint32_t task_cnt;
    const bool *task_commits; /* task_cnt: it has a sink that commits after the notification */
    bool has_no_counts; /* barriers hold nothing back: the sides of a channel are not compared */
    uint32_t channel_cnt;
    const struct weir_ledger_channel *channel; /* names are kept until close */
};

enum weir_coordinator_state {
    WEIR_COORDINATOR_FREE, /* no such checkpoint, or its end is past */
    WEIR_COORDINATOR_COLLECTING,
    WEIR_COORDINATOR_READY,
    WEIR_COORDINATOR_STORING,
    WEIR_COORDINATOR_STORED,
    WEIR_COORDINATOR_NOTIFIED,
    WEIR_COORDINATOR_DONE,
    WEIR_COORDINATOR_ABORTED,
    WEIR_COORDINATOR_UNKNOWN,
    WEIR_COORDINATOR_STATE_CNT,
};

/* A task's part in one checkpoint. */
enum {
    WEIR_MEMBER_TRIGGER = 1, /* it is told to begin: no producer of its is running */
    WEIR_MEMBER_ACK = 2, /* its ack is needed */
    WEIR_MEMBER_ACKED = 4,
    WEIR_MEMBER_FINISHED = 8, /* it had finished before: the manifest says so instead */
};

struct weir_coordinator_member {
    uint64_t attempt;
    uint8_t part;
};

enum weir_coordinator_task_state {
    WEIR_COORDINATOR_TASK_STARTING,
    WEIR_COORDINATOR_TASK_RUNNING,
    WEIR_COORDINATOR_TASK_FINISHED,
};

struct weir_coordinator_task {
    uint32_t task;
    uint64_t attempt; /* grows with every start */
    enum weir_coordinator_task_state state;
    /* FINISHED: the last totals of its channels' sides, for the ledgers of later checkpoints; of a
     * task that was restored as finished those with which its neighbours begin. */
    const struct weir_ledger_entry *entry;
    uint32_t entry_cnt;
};

struct weir_coordinator_ack {
    uint64_t job;
    uint64_t epoch;
    uint64_t id;
    uint64_t attempt;
    uint32_t task;
    uint32_t entry_cnt;
    const struct weir_ledger_entry *entry; /* both sides' channels of this task, at its barrier */
};

struct weir_coordinator_decline {
    uint64_t job;
    uint64_t epoch;
    uint64_t id;
    uint64_t attempt;
    uint32_t task;
    enum weir_checkpoint_reason reason; /* DECLINED, ASYNC, IO, TASK_* */
};

/* What becomes of the files that an ack names. */
enum weir_coordinator_verdict {
    WEIR_COORDINATOR_TAKEN, /* they belong to the checkpoint now */
    WEIR_COORDINATOR_REPEATED, /* they belonged to it before: not to be touched */
    WEIR_COORDINATOR_DISCARD, /* no checkpoint will ever use them: delete them */
    WEIR_COORDINATOR_LEAVE, /* not ours to judge; recovery finds what is garbage */
};

enum weir_coordinator_out_kind {
    WEIR_COORDINATOR_TRIGGER, /* to the members with WEIR_MEMBER_TRIGGER: begin id */
    WEIR_COORDINATOR_ABORT, /* to the members with WEIR_MEMBER_ACK: reason */
    WEIR_COORDINATOR_STORE, /* to the commit protocol: all acks are in member; answer
                             * weir_coordinator_stored() or weir_coordinator_store_failed() */
    WEIR_COORDINATOR_NOTIFY, /* to the members with WEIR_MEMBER_ACK: commit what is <= id */
    WEIR_COORDINATOR_DROP, /* to the commit protocol: files that acks of id named may go */
    WEIR_COORDINATOR_COMPLETED, /* to the store: id is stored and on the timeline. A savepoint that
                                 * stops the job is said too, and is the user's: it is not tidied */
    WEIR_COORDINATOR_COMMITTED, /* to the store: all sinks have committed up to id */
    WEIR_COORDINATOR_ANSWER, /* to the asker: the request of ticket ended; NONE: as id */
    WEIR_COORDINATOR_FAIL, /* fail the job: reason and text; nothing starts until the next start */
    WEIR_COORDINATOR_HALT, /* end the process at once: no notification, no commit, no deletion */
};

struct weir_coordinator_out {
    enum weir_coordinator_out_kind kind;
    enum weir_checkpoint_reason reason;
    uint64_t id;
    int64_t triggered_ns; /* when id was triggered; its name in time */
    struct weir_checkpoint_request request; /* of id; of an ANSWER without id: the request */
    const struct weir_coordinator_member *member; /* task_cnt; borrowed until the next message */
    const char *text; /* FAIL and HALT: why; borrowed until the next message */
};

enum weir_coordinator_store_outcome {
    WEIR_COORDINATOR_STORE_FAILED, /* it is certain that no valid manifest of id is there */
    WEIR_COORDINATOR_STORE_UNKNOWN, /* as after a failed fsync of the directory */
    WEIR_COORDINATOR_STORE_FENCED, /* a newer epoch was found */
};

/* weir_coordinator_new - for a job whose tasks are all STARTING, suspended.
 *
 * Errors:  WEIR_EINVAL for a conf that makes no sense (the context says what), WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_coordinator_new(
    const struct weir_coordinator_conf *conf, struct weir_coordinator **ret_coordinator);
/* weir_coordinator_close - takes NULL. */
WEIR_API void weir_coordinator_close(struct weir_coordinator *coordinator);

/* weir_coordinator_poll - the next thing to do; false: all is said. */
WEIR_API bool
weir_coordinator_poll(struct weir_coordinator *coordinator, struct weir_coordinator_out *ret_out);
/* weir_coordinator_due_ns - when weir_coordinator_tick() has to be called next, or
 * WEIR_COORDINATOR_NEVER. */
WEIR_API int64_t weir_coordinator_due_ns(const struct weir_coordinator *coordinator);

/* weir_coordinator_start - all tasks were deployed: requests and the clock start checkpoints. */
WEIR_API void weir_coordinator_start(struct weir_coordinator *coordinator, int64_t now_ns);
/* weir_coordinator_suspend - the job fails or ends: what is not being stored is aborted, what waits
 * is refused.
 *
 * One that is being stored still gets its answer, and its sinks are told when it was stored. So
 * before a restart chooses where to go back to, weir_coordinator_is_settled() has to be true: a
 * checkpoint that is notified after that choice would be committed and then computed again.
 */
WEIR_API void weir_coordinator_suspend(struct weir_coordinator *coordinator, int64_t now_ns);
WEIR_API bool weir_coordinator_is_settled(const struct weir_coordinator *coordinator);

/* weir_coordinator_hold - while it is held none starts: what is due or asked for waits. */
WEIR_API void
weir_coordinator_hold(struct weir_coordinator *coordinator, bool is_held, int64_t now_ns);

/* weir_coordinator_await_last - whether all that is left of the job waits for a checkpoint to end
 * with: too many of those that are overdue fail the job. */
WEIR_API void weir_coordinator_await_last(struct weir_coordinator *coordinator, bool is_awaited);

/* weir_coordinator_tick - time has passed: starts what is due, ends what is overdue. */
WEIR_API void weir_coordinator_tick(struct weir_coordinator *coordinator, int64_t now_ns);
/* weir_coordinator_request - a user's (is_periodic is not looked at). Its end is an ANSWER with its
 * ticket, at once when it is refused. */
WEIR_API void weir_coordinator_request(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, int64_t now_ns);

/* weir_coordinator_leave - sources begin the checkpoints, from here on or no more: as long as they
 * do the clock starts none, and requests are refused.
 * weir_coordinator_begun - a source has begun the one of request->number, which is not 0. It starts
 *         at once or is refused, for sources wait; else as weir_coordinator_request. */
WEIR_API void
weir_coordinator_leave(struct weir_coordinator *coordinator, bool is_left, int64_t now_ns);
WEIR_API void weir_coordinator_begun(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, int64_t now_ns);

/* weir_coordinator_task - a task was started, runs, or has finished.
 *
 * Returns: false for what is older than is known of it (a lower attempt, a step back); no effect.
 *          A new attempt, or a finish before its ack, aborts the checkpoints that wait for it.
 */
WEIR_API bool weir_coordinator_task(
    struct weir_coordinator *coordinator, const struct weir_coordinator_task *task, int64_t now_ns);
/* weir_coordinator_ack - a task's part of a checkpoint is durable. Repeating it is harmless. */
WEIR_API WEIR_MUST_USE enum weir_coordinator_verdict weir_coordinator_ack(
    struct weir_coordinator *coordinator, const struct weir_coordinator_ack *ack, int64_t now_ns);
/* weir_coordinator_decline - a task cannot take part. Returns: false when id did not wait for
 * it. */
WEIR_API bool weir_coordinator_decline(struct weir_coordinator *coordinator,
    const struct weir_coordinator_decline *decline, int64_t now_ns);

/* weir_coordinator_stored - id's manifest is durable, and no newer epoch was found after that.
 * Returns: false, and nothing happens, unless id is STORING. */
WEIR_API bool
weir_coordinator_stored(struct weir_coordinator *coordinator, uint64_t id, int64_t now_ns);
/* weir_coordinator_store_failed - it is not. Where that is certain the checkpoint is aborted
 * (FINALIZE), and may fail the job; else HALT follows and all further messages have no effect. */
WEIR_API bool weir_coordinator_store_failed(struct weir_coordinator *coordinator, uint64_t id,
    enum weir_coordinator_store_outcome outcome, int64_t now_ns);
/* weir_coordinator_committed - a task's sinks have committed up to id; also after a restore, and
 * before the task says FINISHED. */
WEIR_API void weir_coordinator_committed(
    struct weir_coordinator *coordinator, uint32_t task, uint64_t id, int64_t now_ns);

/* Looks. */
WEIR_API enum weir_coordinator_state
weir_coordinator_state(const struct weir_coordinator *coordinator, uint64_t id);
/* weir_coordinator_pending_cnt - COLLECTING, READY and STORING. */
WEIR_API uint32_t weir_coordinator_pending_cnt(const struct weir_coordinator *coordinator);
WEIR_API uint32_t weir_coordinator_queue_cnt(const struct weir_coordinator *coordinator);
/* weir_coordinator_id_last - the last id that was given out. */
WEIR_API uint64_t weir_coordinator_id_last(const struct weir_coordinator *coordinator);

#endif
