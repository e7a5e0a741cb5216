/* SPDX-License-Identifier: Apache-2.0 */
/* mbox.h: a bounded mailbox of control letters: many cores put, one core takes.
 *
 * Letters of one sender come out in the order in which it put them. A letter is copied in and out:
 * no sender owns memory that the taker needs. What is in a letter is the business of its two ends.
 *
 *      OPEN      put and take
 *      QUIESCED  take only: a put is refused, what was accepted before is still to be taken
 *      CLOSED    neither: what is left is given back by weir_mbox_give_back()
 *
 * A put is accepted by one compare-and-swap on (position, state), so there is no letter that was
 * accepted and is then neither taken nor given back. A sender that was stopped between accepting
 * and filling holds up the letters behind it; weir_mbox_pending_cnt() still counts them.
 *
 * It is not for records (ring.h), and does not wake anybody (doorbell.h: a shared ready word).
 *
 * Limits: slot_cnt a power of two in [2, 65536].
 */
#ifndef WEIR_BASE_MBOX_H
#define WEIR_BASE_MBOX_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/check.h"

#define WEIR_MBOX_SLOT_CNT_MIN 2
#define WEIR_MBOX_SLOT_CNT_MAX 65536
#define WEIR_MBOX_ARG_CNT 6

enum weir_mbox_state {
    WEIR_MBOX_OPEN,
    WEIR_MBOX_QUIESCED,
    WEIR_MBOX_CLOSED,
    WEIR_MBOX_CNT,
};

struct weir_letter {
    uint32_t kind;
    uint32_t from;
    uint64_t args[WEIR_MBOX_ARG_CNT];
};

/* writer: the sender that owns the position, then the taker */
struct weir_mbox_slot {
    WEIR_ATOMIC(uint64_t) seq; /* position: free for it; position + 1: its letter is there */
    struct weir_letter letter;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_mbox_slot) == WEIR_LINE_BYTES, "a line per letter");

struct weir_mbox {
    /* writer: none after init */
    uint32_t slot_cnt;
    uint32_t pad_init[31];
    /* writer: senders, and the taker when it changes the state; position * 4 + state */
    WEIR_ATOMIC(uint64_t) tail;
    uint64_t pad_tail[15];
    /* writer: the taker */
    uint64_t head_seq;
    uint64_t state; /* enum weir_mbox_state: the taker's copy, which spares it the senders' lines */
    uint64_t pad_head[14];
    struct weir_mbox_slot slots[];
};
WEIR_STATIC_ASSERT(offsetof(struct weir_mbox, tail) == WEIR_LINE_PAIR_BYTES, "senders' lines");
WEIR_STATIC_ASSERT(offsetof(struct weir_mbox, head_seq) == 2 * WEIR_LINE_PAIR_BYTES, "own lines");
WEIR_STATIC_ASSERT(offsetof(struct weir_mbox, slots) == 3 * WEIR_LINE_PAIR_BYTES, "slots follow");

/* weir_mbox_footprint - bytes for slot_cnt letters, aligned to WEIR_LINE_PAIR_BYTES; 0: none. */
WEIR_API size_t weir_mbox_footprint(uint32_t slot_cnt);
/* weir_mbox_init - an open, empty mailbox. Errors: WEIR_EINVAL. Nothing is to be undone. */
WEIR_API WEIR_MUST_USE int weir_mbox_init(struct weir_mbox *mbox, uint32_t slot_cnt);

/* weir_mbox_put - copy a letter in.
 *
 * Thread:  any. No system call, no allocation; bounded.
 * Returns: 1 accepted; 0 busy: full, or other senders were always faster; WEIR_ECLOSED once it is
 *          quiesced or closed.
 * Order:   [R1] release on the slot's seq, pairs with [A1] in weir_mbox_take;
 *          [A2] acquire on the slot's seq, pairs with [R2] in weir_mbox_take.
 */
WEIR_API WEIR_MUST_USE int weir_mbox_put(struct weir_mbox *mbox, const struct weir_letter *letter);

/* weir_mbox_take - copy the oldest letter out.
 *
 * Thread:  the taker's core.
 * Returns: 1; 0 none there (yet), or closed.
 */
WEIR_API WEIR_MUST_USE int weir_mbox_take(struct weir_mbox *mbox, struct weir_letter *ret_letter);
/* weir_mbox_give_back - after close: copy the oldest letter out that was never taken.
 *
 * Thread:  the taker's core. Returns as weir_mbox_take; all are back when pending_cnt is 0.
 */
WEIR_API WEIR_MUST_USE int
weir_mbox_give_back(struct weir_mbox *mbox, struct weir_letter *ret_letter);

/* weir_mbox_quiesce, weir_mbox_close - go on to that state; going to an earlier one does nothing.
 *
 * Thread:  the taker's core.
 */
WEIR_API void weir_mbox_quiesce(struct weir_mbox *mbox);
WEIR_API void weir_mbox_close(struct weir_mbox *mbox);

/* weir_mbox_state - as the taker's core last set it; a sender learns it from weir_mbox_put. */
static inline enum weir_mbox_state
weir_mbox_state(const struct weir_mbox *mbox)
{
    return (enum weir_mbox_state)mbox->state;
}
/* weir_mbox_pending_cnt - letters accepted and not taken, filled or not; exact once quiesced.
 *
 * Thread:  the taker's core.
 */
WEIR_API uint32_t weir_mbox_pending_cnt(const struct weir_mbox *mbox);

#endif
