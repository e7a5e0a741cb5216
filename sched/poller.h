/* SPDX-License-Identifier: Apache-2.0 */
/* poller.h: one thread that polls all tasks in an order drawn from a seed, under a simulated clock.
 *
 * The same seed and the same input give the same order of polls, slices and times. Where nothing
 * can go on, time jumps to the next thing that happens by itself.
 *
 * Thread:  the caller's, until all tasks have ended.
 */
#ifndef WEIR_SCHED_POLLER_H
#define WEIR_SCHED_POLLER_H

#include "dataplane/task.h"

struct weir_io;

/* Polls in a row without progress after which a job whose world is simulated too cannot go on:
 * enough for the random order to have asked every task many times. */
#define WEIR_POLLER_STUCK_ROUND_CNT 64
/* The same while the side has a time at which it wants to be polled: it may ask for many before
 * something comes of it, as between two attempts at what has failed. */
#define WEIR_POLLER_WAIT_ROUND_CNT 65536

/* Something that is no task, and is polled like one: the storage core. */
struct weir_poller_side {
    bool (*poll_fn)(void *arg, int64_t now_ns); /* whether anything was done */
    int64_t (*due_fn)(void *arg); /* when it wants to be polled, if nothing happens before */
    bool (*is_over_fn)(void *arg); /* asked once all tasks have ended */
    struct weir_io *io; /* its own; it polls that itself */
};

/* A poll that has happened. */
struct weir_poller_seen {
    int64_t now_ns;
    uint32_t at; /* its place among the open tasks; behind the last: the side */
    int did; /* enum weir_task_poll; of the side: whether anything was done */
};
/* weir_poller_seen_fn - false: all ends here, as if the power were cut. */
typedef bool(weir_poller_seen_fn)(void *arg, const struct weir_poller_seen *seen);

struct weir_poller_conf {
    uint64_t seed;
    int64_t start_ns;
    struct weir_task *const *tasks; /* borrowed */
    uint32_t task_cnt;
    struct weir_io *io; /* of all tasks; started; may be NULL */
    uint32_t step_cnt_max; /* operator steps of a poll, drawn from 1 to this */
    const struct weir_poller_side *side; /* or NULL */
    void *arg; /* the side's */
    weir_poller_seen_fn *seen_fn; /* after every poll; or NULL */
    void *seen_arg;
};

/* weir_poller_run - poll until all tasks have ended.
 *
 * Errors:  WEIR_ECANCELED when seen_fn has ended it, and no task was told; WEIR_EILLEGAL when no
 *          task can go on and nothing will happen by itself (a defect of the job or of ours: the
 *          names of the waiting tasks are in the context); WEIR_ENOMEM. What made tasks fail is
 *          theirs to tell.
 */
WEIR_API WEIR_MUST_USE int weir_poller_run(const struct weir_poller_conf *conf);

#endif
