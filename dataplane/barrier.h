/* SPDX-License-Identifier: Apache-2.0 */
/* barrier.h: where the cut of a checkpoint lies in the inputs of a task.
 *
 * One of these looks at the channels of all gates of a task, numbered through, and at the sources
 * in the task as one more channel. It is told what came on which channel and says what is to be
 * done:
 *
 *      barrier, cancel marker,          +---------+     serve again all channels, block this one,
 *      end of a channel, start, abort ->| barrier |---> these checkpoints are aborted (why),
 *                                       +---------+     this one is triggered (how long it took)
 *
 * ALIGNED (exactly-once): a channel that delivered the barrier is blocked until all open ones have;
 * then the checkpoint is triggered, and what was held follows the barrier. One alignment at a time:
 * a newer barrier aborts the older one. TRACKED (at-least-once): barriers are counted, nothing is
 * ever blocked, and several checkpoints may be pending. UNALIGNED (exactly-once): as ALIGNED until
 * a barrier is known that does not wait for rows, or its time is over; then the checkpoint is
 * triggered at once, nothing is blocked any more, and whoever asked keeps the rows that lie before
 * the barriers that are still missing. It is whole when the last of those has come, or is known to
 * stand behind rows that are all kept:
 *
 *      announce, come, time: triggered, is_unaligned ---- come, pass, end: is_whole
 *
 * Channels that are forced stay aligned: the checkpoint does not begin before they have delivered
 * its barrier. Savepoints are always aligned.
 *
 * Ids strictly increase: what is not newer than the last checkpoint that was triggered, aborted or
 * passed over is late and changes nothing. A channel that has ended counts as one that has
 * delivered every barrier (after_end), or else aborts what is pending.
 *
 * It is pure: no clock, no I/O, no knowledge of gates; all memory at init.
 *
 * Thread: the task's core. Source: Flink's SingleCheckpointBarrierHandler with its alternating
 * states, and CheckpointBarrierTracker. Differences: a cancel marker for a newer id during an
 * alignment aborts both, so that nobody waits for the older one until it times out; sources inside
 * the task take part as a channel; start() replaces barriers put into unfinished channels by hand:
 * rows still in them are before the cut.
 */
#ifndef WEIR_DATAPLANE_BARRIER_H
#define WEIR_DATAPLANE_BARRIER_H

#include "base/base.h"

/* Checkpoints that a tracker follows at a time, as Flink's; the oldest is forgotten. */
#define WEIR_BARRIER_PENDING_CNT_MAX 50
#define WEIR_BARRIER_CHANNEL_NONE UINT32_MAX

#define WEIR_BARRIER_NEVER_NS INT64_MAX

enum weir_barrier_mode { WEIR_BARRIER_ALIGNED, WEIR_BARRIER_TRACKED, WEIR_BARRIER_UNALIGNED };

enum weir_mark_kind {
    WEIR_MARK_PERIODIC,
    WEIR_MARK_FULL, /* not on the base of others */
    WEIR_MARK_SAVEPOINT,
    /* a savepoint after which the job stops: sources emit nothing behind it */
    WEIR_MARK_STOP,
    WEIR_MARK_MOVE, /* key groups change their owners behind it (handover.h) */
    WEIR_MARK_KIND_CNT
};

/* What a barrier carries. A cancel marker carries the id alone. */
struct weir_mark {
    uint64_t id;
    int64_t trigger_ns; /* when the coordinator triggered it, by the clock of now_ns */
    uint32_t kind; /* enum weir_mark_kind */
    bool is_urgent; /* its sender has not waited for rows before it, nor should who gets it */
};

/* weir_mark_may_overtake - a savepoint is the job's, and does not hold rows between its tasks. */
static inline bool
weir_mark_may_overtake(const struct weir_mark *mark)
{
    return mark->kind == WEIR_MARK_PERIODIC || mark->kind == WEIR_MARK_FULL;
}

enum weir_barrier_reason {
    WEIR_BARRIER_CANCELED = 1, /* by a cancel marker */
    WEIR_BARRIER_SUBSUMED, /* by a barrier of a newer checkpoint */
    WEIR_BARRIER_END_OF_INPUT, /* a channel ended, and checkpoints do not go on after that */
    WEIR_BARRIER_ABORTED, /* the coordinator said so: it needs no telling */
};

struct weir_barrier_abort {
    uint64_t id;
    enum weir_barrier_reason reason;
};

/* How the alignment of a checkpoint went: one that is triggered, or whole after it was triggered
 * unaligned. */
struct weir_barrier_gauges {
    int64_t align_ns; /* first barrier, or word of it, to last */
    int64_t start_delay_ns; /* trigger time to first barrier */
    uint64_t align_bytes; /* taken in between the two */
};

/* What one input makes due, in this order. */
struct weir_barrier_result {
    bool unblock; /* serve all channels again */
    uint32_t block; /* then block this channel; WEIR_BARRIER_CHANNEL_NONE: none */
    uint32_t abort_cnt;
    struct weir_barrier_abort aborts[WEIR_BARRIER_PENDING_CNT_MAX + 1]; /* in the order of ids */
    bool triggered;
    bool is_unaligned; /* of the triggered one: barriers are missing, and rows before them count */
    bool is_whole; /* the one that was triggered unaligned has all its barriers; it says no more */
    struct weir_mark mark; /* of the triggered one, or of the whole one; is_urgent as it is now */
    struct weir_barrier_gauges gauges;
};

/* When an input came. */
struct weir_barrier_when {
    int64_t now_ns;
    uint64_t bytes; /* that the task has taken in so far */
};

struct weir_barrier_conf {
    enum weir_barrier_mode mode;
    uint32_t channel_cnt; /* at least 1 */
    /* UNALIGNED: how long after its trigger_ns a checkpoint may align; 0: not at all;
     * WEIR_BARRIER_NEVER_NS: as long as it takes, unless a barrier is urgent */
    int64_t timeout_ns;
    bool after_end; /* checkpoints go on when some channels have ended */
};

struct weir_barrier;

/* weir_barrier_footprint, weir_barrier_init - all memory, 8-aligned; keeps mem until unused. */
WEIR_API size_t weir_barrier_footprint(const struct weir_barrier_conf *conf);
WEIR_API struct weir_barrier *weir_barrier_init(const struct weir_barrier_conf *conf, void *mem);

/* weir_barrier_force - this channel stays aligned; before any input. */
WEIR_API void weir_barrier_force(struct weir_barrier *barrier, uint32_t channel);

/* weir_barrier_come - a barrier came on `channel`, which has not ended.
 * weir_barrier_announce - one is there, with rows before it. UNALIGNED only, as the next two.
 * weir_barrier_pass - all rows before the barrier of `id`, or before the end of the channel, are
 *         kept: it need not have come for the checkpoint that was triggered.
 * weir_barrier_time - time has passed.
 * weir_barrier_cancel - a cancel marker of checkpoint `id` came on it.
 * weir_barrier_end - the channel has ended, once.
 * weir_barrier_start - the coordinator wants a checkpoint of a task whose inputs all end: those
 * that
 *         have not ended yet are waited for.
 * weir_barrier_abort - the coordinator has given up `id`: if it is pending, so does this.
 *
 * Returns: what is due; good until the next of these calls.
 */
WEIR_API const struct weir_barrier_result *weir_barrier_come(struct weir_barrier *barrier,
    uint32_t channel, const struct weir_mark *mark, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *weir_barrier_announce(struct weir_barrier *barrier,
    uint32_t channel, const struct weir_mark *mark, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *weir_barrier_pass(struct weir_barrier *barrier,
    uint32_t channel, uint64_t id, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *
weir_barrier_time(struct weir_barrier *barrier, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *
weir_barrier_cancel(struct weir_barrier *barrier, uint32_t channel, uint64_t id);
WEIR_API const struct weir_barrier_result *weir_barrier_end(
    struct weir_barrier *barrier, uint32_t channel, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *weir_barrier_start(struct weir_barrier *barrier,
    const struct weir_mark *mark, const struct weir_barrier_when *when);
WEIR_API const struct weir_barrier_result *
weir_barrier_abort(struct weir_barrier *barrier, uint64_t id);

/* weir_barrier_pending_cnt - checkpoints that wait for channels. */
WEIR_API uint32_t weir_barrier_pending_cnt(const struct weir_barrier *barrier);
/* weir_barrier_moving_id - the oldest of them, where it is one of those behind which key groups
 * move: it is not to be given up. 0: it is none. */
WEIR_API uint64_t weir_barrier_moving_id(const struct weir_barrier *barrier);
/* weir_barrier_align_ns - how long the oldest of them has waited by now_ns, from its first barrier,
 * or word of it; -1: there is none. */
WEIR_API int64_t weir_barrier_align_ns(const struct weir_barrier *barrier, int64_t now_ns);
/* weir_barrier_is_blocked - whether what came so far blocks the channel. */
WEIR_API bool weir_barrier_is_blocked(const struct weir_barrier *barrier, uint32_t channel);
WEIR_API uint32_t weir_barrier_open_cnt(const struct weir_barrier *barrier);
/* weir_barrier_due_ns - when weir_barrier_time() would trigger a checkpoint;
 * WEIR_BARRIER_NEVER_NS. */
WEIR_API int64_t weir_barrier_due_ns(const struct weir_barrier *barrier);
/* weir_barrier_begun_id - of the checkpoint that was triggered unaligned and is not whole; 0. */
WEIR_API uint64_t weir_barrier_begun_id(const struct weir_barrier *barrier);
/* weir_barrier_is_missing - whether the checkpoint that was triggered unaligned waits for this
 * channel. */
WEIR_API bool weir_barrier_is_missing(const struct weir_barrier *barrier, uint32_t channel);

#endif
