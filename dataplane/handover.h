/* SPDX-License-Identifier: Apache-2.0 */
/* handover.h: key groups of an operator that move from one of its subtasks to another while rows
 * flow.
 *
 *     producer   rows as before | barrier | rows to the new owners
 *     giver      ... all barriers: stands still ........... gives entries up, goes on
 *     taker      ... all barriers, and all givers stand still: copies their entries, goes on
 *
 * The barrier is that of an aligned checkpoint (WEIR_MARK_MOVE). A row of a key that moves lies
 * before its producer's barrier, and the giver has counted it when it stands still; or behind, and
 * comes to the taker, which takes nothing in before it has the state. What the taker puts out then
 * follows its own barrier, and whoever reads it holds that back until the giver's has come: rows of
 * a key stay in order. The snapshot that follows holds what each has now.
 *
 * A move does not depend on its checkpoint: that may fail, and the barrier goes its way. Until a
 * later one is complete a restart goes back to the owners that there were before, with their state.
 *
 * What moves is what lies in tables (table.h), and no more: an operator says whether that is all
 * (`moves` of its type).
 *
 * [format: Checkpoints / Key groups of a task (WEIR_HANDOVER_PART_VERSION)]
 *
 * A task whose key groups may move has a part "groups" of uid "": its key groups as a set, a bit
 * for each, in words (u64) from the first on.
 *
 * [end of format]
 *
 * Thread:  as said with each call. Memory: all at init.
 * Source:  Megaphone (Hoffmann et al., VLDB 2019) and Flink's key groups; ours moves at a barrier.
 */
#ifndef WEIR_DATAPLANE_HANDOVER_H
#define WEIR_DATAPLANE_HANDOVER_H

#include "base/atomic.h"
#include "dataplane/parts.h"
#include "dataplane/table.h"

WEIR_C_BEGIN

#define WEIR_HANDOVER_PART "groups"
#define WEIR_HANDOVER_PART_VERSION 1

/* Whoever takes part in moves, on a line of its own. Writer: its core. */
struct weir_handover_party {
    WEIR_ATOMIC(uint64_t) seen_id; /* a giver: it stands still for this move */
    WEIR_ATOMIC(uint64_t) done_id; /* the last move that it is done with */
    WEIR_ATOMIC(uint64_t) is_gone; /* a subtask: it has ended, and keeps what it has */
    char apart[WEIR_LINE_PAIR_BYTES - 3 * sizeof(uint64_t)];
};

/* One operator's. */
struct weir_handover {
    uint32_t max_parallelism;
    uint32_t subtask_cnt;
    uint32_t producer_cnt; /* partitions that deal rows out to it */
    uint32_t producer_cnt_max;
    /* Each key group's subtask. Writer: whoever restores, then whoever asks for moves. */
    uint16_t *owner;
    uint16_t **route; /* [producer]: the same, as far as it has got. Writer: its core */
    struct weir_arena **arena; /* [subtask] */
    struct weir_handover_party *subtask;
    struct weir_handover_party *producer;
    /* The move: written before its checkpoint is triggered, whose barrier carries it. Barriers with
     * which another operator's move may come at any time: `id` tells them apart. */
    WEIR_ATOMIC(uint64_t) id;
    uint64_t *groups;
    uint32_t to;
    WEIR_ATOMIC(uint64_t) taken_id; /* the taker has all entries of this move. Writer: its core */
};

struct weir_handover_conf {
    uint32_t max_parallelism;
    uint32_t subtask_cnt;
    uint32_t producer_cnt_max;
};

/* weir_handover_footprint, weir_handover_init - all memory, zeroed and aligned to
 * WEIR_LINE_PAIR_BYTES; key groups are dealt out as keygroup.h has it. */
WEIR_API size_t weir_handover_footprint(const struct weir_handover_conf *conf);
WEIR_API struct weir_handover *weir_handover_init(const struct weir_handover_conf *conf, void *mem);

/* weir_handover_own - the key groups of a subtask, as the owners are now, for its arena. Before
 * tasks run. */
WEIR_API void
weir_handover_own(const struct weir_handover *handover, uint32_t subtask, uint64_t *ret_owned);

/* ---- whoever asks for moves; one at a time ---- */

/* What moves: key groups first to last go to subtask `to`. */
struct weir_handover_move {
    uint64_t id; /* of its checkpoint */
    uint32_t first;
    uint32_t last;
    uint32_t to;
};
/* weir_handover_set - the next move, before its checkpoint is triggered; none is under way. */
WEIR_API void
weir_handover_set(struct weir_handover *handover, const struct weir_handover_move *move);
/* weir_handover_is_done, weir_handover_is_routed - whether a subtask, or a producer, is done with
 * move `id`. */
WEIR_API bool
weir_handover_is_done(const struct weir_handover *handover, uint32_t subtask, uint64_t id);
WEIR_API bool
weir_handover_is_routed(const struct weir_handover *handover, uint32_t producer, uint64_t id);
/* weir_handover_end - the move `id` is over, for all are done with it, or have ended: who has what
 * now. Returns: false: not all have moved, for a subtask that had some has ended, or the taker. */
WEIR_API bool weir_handover_end(struct weir_handover *handover, uint64_t id);

/* ---- those that take part ---- */

/* weir_handover_begin - the producer opens: its table of channels. Its core. */
WEIR_API const uint16_t *weir_handover_begin(struct weir_handover *handover, uint32_t producer);
/* weir_handover_route - the barrier of move `id` is in all its channels; of another operator's: no
 * effect. Its core. */
WEIR_API void weir_handover_route(struct weir_handover *handover, uint32_t producer, uint64_t id);
/* weir_handover_step - all barriers of move `id` have come to the subtask; of another operator's:
 * it may go on. Its core.
 *
 * Returns: WEIR_DONE: it may go on; WEIR_WAIT: others have to come first: call again.
 * Errors:  WEIR_EBUDGET: its memory does not hold what comes; WEIR_ENOMEM. Others wait for ever
 *          then: its job fails.
 */
WEIR_API WEIR_MUST_USE int
weir_handover_step(struct weir_handover *handover, uint32_t subtask, uint64_t id);

/* weir_handover_leave - the subtask has ended: nobody waits for it. Its core. */
WEIR_API void weir_handover_leave(struct weir_handover *handover, uint32_t subtask);

/* weir_handover_put_part - what a snapshot says of the arena's key groups; nothing where they stay.
 * weir_handover_get_part - as a set, which is zeroed; false: there is no such part. WEIR_EDATA: of
 * another length. */
WEIR_API void
weir_handover_put_part(const struct weir_arena *arena, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int weir_handover_get_part(const struct weir_parts_reader *parts,
    uint32_t max_parallelism, uint64_t *ret_set, bool *ret_has);

WEIR_C_END

#endif
