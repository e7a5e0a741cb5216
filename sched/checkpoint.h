/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.h: the words of checkpoints: what may be asked for, and why one ends without success.
 *
 * A checkpoint is on the timeline of its job: a restart goes back to the latest, and what sinks
 * have pre-committed is committed with it. A savepoint belongs to the user: it is stored elsewhere,
 * is not subsumed, and commits nothing, because a restart would not go back to it. One that stops
 * the job is both. Ids are given out once, over all epochs of a job; 0 is no id.
 */
#ifndef WEIR_SCHED_CHECKPOINT_H
#define WEIR_SCHED_CHECKPOINT_H

#include "base/base.h"

/* X(symbol, counts as a failure, sentence). What counts is Flink's choice (T-287): five reasons
 * that say something about the checkpoint itself. */
#define WEIR_CHECKPOINT_REASON_TABLE(X)                                                      \
    X(NONE, 0, "it is complete")                                                             \
    X(EXPIRED, 1, "it took longer than checkpoints.timeout")                                 \
    X(DECLINED, 1, "a task declined it")                                                     \
    X(ASYNC, 1, "its asynchronous part failed")                                              \
    X(IO, 1, "its files could not be written")                                               \
    X(FINALIZE, 1, "its manifest could not be stored")                                       \
    X(SUBSUMED, 0, "a newer checkpoint is complete")                                         \
    X(TOO_MANY_REQUESTS, 0, "too many checkpoint requests")                                  \
    X(MIN_PAUSE, 0, "the minimum time between checkpoints has not passed")                   \
    X(NOT_RUNNING, 0, "not all required tasks are running")                                  \
    X(TASKS_FINISHED, 0, "some tasks have finished")                                         \
    X(TASK_FAILURE, 0, "a task failed while it took part")                                   \
    X(TASK_NOT_READY, 0, "a task was not ready")                                             \
    X(TASK_CLOSING, 0, "a task ended before it took part")                                   \
    X(TASK_SUBSUMED, 0, "a task has seen a newer one")                                       \
    X(TASK_CANCEL_MARK, 0, "a task received its cancel marker")                              \
    X(TASK_INPUT_END, 0, "an input of a task ended")                                         \
    X(RESTARTED, 0, "a task was started again")                                              \
    X(SOURCES_APART, 0, "a source that begins checkpoints has begun a later one")            \
    X(LEFT_TO_SOURCES, 0, "its sources begin the checkpoints, and no other is taken")        \
    X(STOPPING, 0, "the job is being stopped")                                               \
    X(SUSPENDED, 0, "the coordinator was suspended")                                         \
    X(SHUTDOWN, 0, "the coordinator has ended")                                              \
    X(LEDGER, 0, "the two sides of a channel disagree about its rows")                       \
    X(UNKNOWN, 0, "it is not known whether its manifest is stored; recovery reads the disk") \
    X(FENCED, 0, "a newer run of this job has taken over")

enum weir_checkpoint_reason {
#define WEIR_CHECKPOINT_REASON_ENUM(sym, counts, text) WEIR_CHECKPOINT_##sym,
    WEIR_CHECKPOINT_REASON_TABLE(WEIR_CHECKPOINT_REASON_ENUM)
#undef WEIR_CHECKPOINT_REASON_ENUM
        WEIR_CHECKPOINT_REASON_CNT
};

/* weir_checkpoint_reason_text - a sentence without its full stop. */
static inline const char *
weir_checkpoint_reason_text(enum weir_checkpoint_reason reason)
{
    static const char *const text[] = {
#define WEIR_CHECKPOINT_REASON_TEXT(sym, counts, text) text,
        WEIR_CHECKPOINT_REASON_TABLE(WEIR_CHECKPOINT_REASON_TEXT)
#undef WEIR_CHECKPOINT_REASON_TEXT
    };
    return reason < WEIR_CHECKPOINT_REASON_CNT ? text[reason] : "for no known reason";
}

enum weir_checkpoint_kind {
    WEIR_CHECKPOINT_KIND_CHECKPOINT,
    WEIR_CHECKPOINT_KIND_SAVEPOINT,
};

/* What the job does once it is stored. */
enum weir_checkpoint_stop {
    WEIR_CHECKPOINT_GO_ON,
    WEIR_CHECKPOINT_SUSPEND, /* ends; windows that are open stay open in the state */
    WEIR_CHECKPOINT_DRAIN, /* sources send the last watermark first: windows fire */
};

struct weir_checkpoint_request {
    uint64_t ticket; /* the asker's; comes back in the answer; 0 for nobody waits */
    enum weir_checkpoint_kind kind;
    enum weir_checkpoint_stop stop;
    bool is_periodic; /* of the coordinator's own clock; nobody else sets it */
    uint64_t number; /* the one that sources give it which have begun it; 0: they have not */
    int64_t asked_ns; /* set by the coordinator */
};

/* weir_checkpoint_on_timeline - a restart may go back to it. */
static inline bool
weir_checkpoint_on_timeline(const struct weir_checkpoint_request *request)
{
    return request->kind == WEIR_CHECKPOINT_KIND_CHECKPOINT ||
           request->stop != WEIR_CHECKPOINT_GO_ON;
}

#endif
