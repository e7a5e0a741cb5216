/* SPDX-License-Identifier: Apache-2.0 */
/* core.h: one pinned thread that polls its tasks, its io and its mailbox, and sleeps when it may.
 *
 *     loop:  letters (bounded)  ->  each task (a slice)  ->  io  ->  rarely: publish figures
 *            nothing to do:  spin  ->  pause  ->  yield  ->  listen, poll once more, park
 *
 * A core wakes the cores that it has published something for, and those whose output it has made
 * room for, through their doorbells; it never waits for one of them. All of its time is told in
 * parts that add up: what the system stole is taken off the others in proportion.
 *
 * Slices follow the measured cost: steps per poll are halved above WEIR_CORE_SLICE_NS and doubled
 * well below it.
 *
 * Thread:  new, start, join, delete: the job's. What is marked "own": the core's thread, from
 *          within a task's poll. The rest: any.
 */
#ifndef WEIR_SCHED_CORE_H
#define WEIR_SCHED_CORE_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/mbox.h"
#include "dataplane/task.h"
#include "sched/plan.h"

struct weir_io;
struct weir_core;

#define WEIR_CORE_SLICE_NS (50 * WEIR_US)
#define WEIR_CORE_STEP_CNT_MIN 1
#define WEIR_CORE_STEP_CNT_MAX 1024
#define WEIR_CORE_NAME_BYTES 16 /* of a Linux thread */

enum weir_core_part {
    WEIR_CORE_BUSY,
    WEIR_CORE_BACKPRESSURED,
    WEIR_CORE_IDLE,
    WEIR_CORE_SNAPSHOT,
    WEIR_CORE_STOLEN, /* by the kernel's scheduler or the hypervisor */
    WEIR_CORE_PART_CNT,
};

struct weir_core_times {
    int64_t ns[WEIR_CORE_PART_CNT];
};

struct weir_core_conf {
    uint32_t idx; /* among the job's cores */
    uint32_t core_cnt;
    int cpu; /* to be pinned to; negative: not pinned */
    enum weir_plan_idle idle; /* not AUTO */
    struct weir_io *io; /* started by the core's thread; may be NULL; borrowed */
    const struct weir_clock *clock;
    struct weir_task *const *tasks; /* borrowed; polled in this order, opened in the reverse one */
    uint32_t task_cnt;
    const uint32_t *upstream; /* cores that feed tasks of this one; borrowed */
    uint32_t upstream_cnt;
    bool has_source; /* one of its tasks has a source, which may wait for the clock */
    /* A letter has come; own thread. NULL: letters are refused. */
    void (*letter_fn)(void *arg, const struct weir_letter *letter);
    /* The thread is about to end; own thread. */
    void (*left_fn)(void *arg);
    void *arg;
};

WEIR_API WEIR_MUST_USE int
weir_core_new(const struct weir_core_conf *conf, struct weir_core **ret_core);
/* weir_core_meet - give the core its peers, core_cnt of them by idx; borrowed; before any start. */
WEIR_API void weir_core_meet(struct weir_core *core, struct weir_core *const *peers);
/* weir_core_start - start the thread; returns once it runs, pinned, with its io started.
 *
 * Errors:  WEIR_ESYS and the like; a CPU that may not be used is WEIR_EPLAN. No thread is left.
 */
WEIR_API WEIR_MUST_USE int weir_core_start(struct weir_core *core);
/* weir_core_join - wait until the thread has ended: all its tasks have. Takes one never started. */
WEIR_API void weir_core_join(struct weir_core *core);
WEIR_API void weir_core_delete(struct weir_core *core);

/* weir_core_mark - own: something was published for core `to`; it is woken after this poll. */
WEIR_API void weir_core_mark(struct weir_core *core, uint32_t to);
/* weir_core_wake - any thread, and signal handlers: look at requests and letters again. */
WEIR_API void weir_core_wake(struct weir_core *core);
/* weir_core_post - put a letter and wake the core. As weir_mbox_put. */
WEIR_API WEIR_MUST_USE int weir_core_post(struct weir_core *core, const struct weir_letter *letter);
/* weir_core_steal - so much more of the CPU's time went to the hypervisor; one thread only. */
WEIR_API void weir_core_steal(struct weir_core *core, int64_t ns);

/* weir_core_times - as last published, at most some 100 ms ago while it is awake. */
WEIR_API void weir_core_times(const struct weir_core *core, struct weir_core_times *ret_times);
/* How a task of the core has spent its time: parts that add up. While it waits for its turn, or the
 * core sleeps, its time goes on in the part in which its last poll ended. */
#define WEIR_CORE_TASK_COUNTERS(X)                                                             \
    X(busy_ms, "accumulateBusyTimeMs", COUNTER, "ms", "Time in which it worked, or had work")  \
    X(backpressured_ms, "accumulateBackPressuredTimeMs", COUNTER, "ms",                        \
        "Time in which an output was full")                                                    \
    X(idle_ms, "accumulateIdleTimeMs", COUNTER, "ms", "Time in which there was nothing to do") \
    X(snapshot_ms, "accumulateSnapshotTimeMs", COUNTER, "ms",                                  \
        "Time in which the writing of a snapshot held it up")                                  \
    X(is_backpressured, "isBackPressured", GAUGE, "0 or 1", "Whether its last poll ended so")  \
    X(pressed_ms, "maxSoftBackPressuredTimeMs", REAL, "ms",                                    \
        "Longest time without a break in which an output was full, in the last second or two") \
    X(pressed_hard_ms, "maxHardBackPressuredTimeMs", REAL, "ms",                               \
        "None: a task never blocks in the midst of a record")                                  \
    X(mail_ms, "mailboxLatencyMs", REAL, "ms",                                                 \
        "Longest time that a letter to it would have waited, in the last second or two")
WEIR_COUNTER_TABLE(weir_core_task_counters, WEIR_CORE_TASK_COUNTERS)
/* weir_core_task_set - of task `idx` of the core, as last published; any thread. */
WEIR_API struct weir_counter_set weir_core_task_set(const struct weir_core *core, uint32_t idx);
/* weir_core_shown_ns - when figures were published last, by the core's clock: a core whose task
 * does not come back has none of late. weir_core_polled - the task in whose poll it is, or
 * UINT32_MAX. */
WEIR_API int64_t weir_core_shown_ns(const struct weir_core *core);
WEIR_API uint32_t weir_core_polled(const struct weir_core *core);
/* weir_core_poll_gap_ns - the longest time between two polls so far. */
WEIR_API int64_t weir_core_poll_gap_ns(const struct weir_core *core);
/* weir_core_at - any thread: the task that is being polled, and how many polls there were; NULL:
 * none is. */
WEIR_API struct weir_task *weir_core_at(const struct weir_core *core, uint64_t *ret_poll_cnt);
/* weir_core_ask - interrupt the thread of a core that is at a task: a call that waits in the kernel
 * ends, and its stack comes. One thread only; the result is there while the core is. */
struct weir_stack;
WEIR_API const struct weir_stack *weir_core_ask(struct weir_core *core);
/* weir_core_tid, weir_core_cpu - the thread's number (0 once it has left), and the CPU that it
 * should be on. */
WEIR_API pid_t weir_core_tid(const struct weir_core *core);
WEIR_API int weir_core_cpu(const struct weir_core *core);
WEIR_API const char *weir_core_part_name(enum weir_core_part part);

#endif
