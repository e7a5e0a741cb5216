/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.h: the way back of a loop: rows from its tail to its head, one queue a subtask.
 *
 *     input ----> head ----> body ... ----> tail          head i and tail i stand on one core
 *                  ^                          |
 *                  '----- queue of slot i <---'           its memory is all there is: the budget
 *
 * It is no channel: nobody ever waits for room in it. A tail always gets rid of its rows, so the
 * body always drains, and the head takes what comes back before anything new. A body that gives
 * back at most one row for each that it is given so holds no more rows than its edges had room
 * for. One that makes more of them uses up the budget: an error, and never a standstill.
 *
 * Checkpoints: a row that the tail had put in before its barrier, and the head had not taken before
 * its own, is in neither's past. So the head marks where it stands, and what lies between that mark
 * and the tail's barrier stays here until the tail has written it down.
 *
 *     taken | taken behind the head's barrier | not taken yet | put in behind the tail's barrier
 *           '------ what the tail writes at its barrier ------'
 *
 * Rounds, in the mode that ends with the last row: see operators/loop.h. A slot says to the heads
 * of all subtasks which round has come round, and in which rows came last.
 *
 * Limits:  WEIR_FEEDBACK_CUT_CNT_MAX checkpoints between head and tail; the oldest is given up.
 * Thread:  a slot belongs to the core of its head and tail, but for the two words of its rounds.
 * Memory:  the budget of each slot, mapped at the first join, backed as far as it is used; beside
 *          it as much as a checkpoint brought.
 */
#ifndef WEIR_DATAPLANE_FEEDBACK_H
#define WEIR_DATAPLANE_FEEDBACK_H

#include "base/atomic.h"
#include "dataplane/flight.h"

WEIR_C_BEGIN

#define WEIR_FEEDBACK_CUT_CNT_MAX 8

enum weir_feedback_end { WEIR_FEEDBACK_HEAD = 1, WEIR_FEEDBACK_TAIL = 2 };

/* Where the head stood at the barrier of a checkpoint. */
struct weir_feedback_cut {
    uint64_t id;
    uint64_t seq;
};

struct weir_feedback_slot {
    /* writer: the core of head and tail */
    char *mem; /* a ring of sections (flight.h), each of one batch */
    uint64_t bytes; /* of it */
    uint64_t put_seq; /* bytes, all three free-running */
    uint64_t take_seq; /* behind what was taken last */
    uint64_t held_seq; /* of what was taken last, which may still be read */
    struct weir_channel_format format;
    struct weir_flight_place place;
    struct weir_feedback_cut cut[WEIR_FEEDBACK_CUT_CNT_MAX];
    uint32_t cut_cnt;
    uint32_t joined; /* enum weir_feedback_end, as bits */
    uint64_t row_cnt; /* not taken yet */
    bool input_ended; /* of the head */
    bool is_empty; /* no row is in the loop, nor will be: the head has found out */
    bool is_over; /* the head takes nothing any more */
    /* writer: the same; read by the heads of other subtasks */
    char pad[WEIR_LINE_PAIR_BYTES];
    WEIR_ATOMIC(uint64_t) round; /* the last one that has come to the tail */
    WEIR_ATOMIC(uint64_t) busy_round; /* the last one before which rows came */
    char pad_end[WEIR_LINE_PAIR_BYTES];
};

/* One of a loop. */
struct weir_feedback {
    const char *name; /* the loop's */
    const struct weir_schema *schema;
    int64_t wait_ns; /* it ends when nothing has come back for so long; 0: with the last row */
    uint64_t budget_bytes; /* of each slot */
    uint32_t slot_cnt;
    struct weir_feedback_slot *slots; /* [slot_cnt], zeroed before the first join */
};

/* weir_feedback_join - an end of the slot opens: the first of the two finds it as good as new.
 * weir_feedback_leave - it closes; legal without a join. Errors: WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int
weir_feedback_join(const struct weir_feedback *feedback, uint32_t idx, enum weir_feedback_end end);
WEIR_API void
weir_feedback_leave(const struct weir_feedback *feedback, uint32_t idx, enum weir_feedback_end end);

/* weir_feedback_widen - room for rows of a checkpoint beside the budget, in a queue that has had
 * none
 * yet: one task may get what several had. Errors: WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int
weir_feedback_widen(const struct weir_feedback *feedback, uint32_t idx, uint64_t more_bytes);

/* weir_feedback_put - selected rows [from, cnt) of a view, copied.
 *
 * Returns: 0. WEIR_EBUDGET: there is no room, also without what waits for checkpoints: those are
 *          given up first.
 */
WEIR_API WEIR_MUST_USE int weir_feedback_put(const struct weir_feedback *feedback, uint32_t idx,
    const struct weir_view *view, uint32_t from);
/* weir_feedback_has - whether there are rows to take. */
static inline bool
weir_feedback_has(const struct weir_feedback_slot *slot)
{
    return slot->row_cnt != 0;
}
/* weir_feedback_take - the oldest rows; there are some. The view is good until the next call. */
WEIR_API WEIR_MUST_USE int
weir_feedback_take(const struct weir_feedback *feedback, uint32_t idx, struct weir_view *ret_view);

/* weir_feedback_cut - the head is at the barrier of a checkpoint.
 * weir_feedback_find - its cut, for the tail at that barrier; NULL: it was given up.
 * weir_feedback_forget - that checkpoint needs nothing any more, if it ever began. */
WEIR_API void weir_feedback_cut(struct weir_feedback_slot *slot, uint64_t id);
WEIR_API const struct weir_feedback_cut *
weir_feedback_find(const struct weir_feedback_slot *slot, uint64_t id);
WEIR_API void weir_feedback_forget(struct weir_feedback_slot *slot, uint64_t id);

/* weir_feedback_next - the sections from *seq on, which was a cut's: each with its bytes; NULL at
 * the end. */
WEIR_API const void *
weir_feedback_next(const struct weir_feedback_slot *slot, uint64_t *seq, uint64_t *ret_bytes);

WEIR_C_END

#endif
