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
 * ever blocked, and several checkpoints may be pending.
 *
 * Ids strictly increase: what is not newer than the last checkpoint that was triggered, aborted or
 * passed over is late and changes nothing. A channel that has ended counts as one that has
 * delivered every barrier (after_end), or else aborts what is pending.
 *
 * It is pure: no clock, no I/O, no knowledge of gates; all memory at init. Unaligned barriers will
 * be a third mode: the position of a barrier that is still ahead is weir_ring_urgent_seq().
 *
 * Thread: the task's core. Source: Flink's SingleCheckpointBarrierHandler and
 * CheckpointBarrierTracker. Differences: a cancel marker for a newer id during an alignment aborts
 * both, so that nobody waits for the older one until it times out; sources inside the task take
 * part as a channel; start() replaces barriers put into unfinished channels by hand: rows still in
 * them are before the cut.
 */
#ifndef WEIR_DATAPLANE_BARRIER_H
#define WEIR_DATAPLANE_BARRIER_H

#include "base/base.h"

/* Checkpoints that a tracker follows at a time, as Flink's; the oldest is forgotten. */
#define WEIR_BARRIER_PENDING_CNT_MAX 50
#define WEIR_BARRIER_CHANNEL_NONE UINT32_MAX

enum weir_barrier_mode { WEIR_BARRIER_ALIGNED, WEIR_BARRIER_TRACKED };

enum weir_mark_kind {
    WEIR_MARK_PERIODIC,
    WEIR_MARK_FULL, /* not on the base of others */
    WEIR_MARK_SAVEPOINT,
    /* a savepoint after which the job stops: sources emit nothing behind it */
    WEIR_MARK_STOP,
    WEIR_MARK_KIND_CNT
};

/* What a barrier carries. A cancel marker carries the id alone. */
struct weir_mark {
    uint64_t id;
    int64_t trigger_ns; /* when the coordinator triggered it, by the clock of now_ns */
    uint32_t kind; /* enum weir_mark_kind */
};

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

/* How the alignment of a triggered checkpoint went. */
struct weir_barrier_gauges {
    int64_t align_ns; /* first barrier to last */
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
    struct weir_mark mark; /* of the triggered one */
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
    bool after_end; /* checkpoints go on when some channels have ended */
};

struct weir_barrier;

/* weir_barrier_footprint, weir_barrier_init - all memory, 8-aligned; keeps mem until unused. */
WEIR_API size_t weir_barrier_footprint(const struct weir_barrier_conf *conf);
WEIR_API struct weir_barrier *weir_barrier_init(const struct weir_barrier_conf *conf, void *mem);

/* weir_barrier_come - a barrier came on `channel`, which has not ended.
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
/* weir_barrier_is_blocked - whether what came so far blocks the channel. */
WEIR_API bool weir_barrier_is_blocked(const struct weir_barrier *barrier, uint32_t channel);
WEIR_API uint32_t weir_barrier_open_cnt(const struct weir_barrier *barrier);

#endif
