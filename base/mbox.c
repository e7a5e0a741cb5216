/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mbox.h"

#include <string.h>

#include "base/err.h"

/* Source: the bounded queue of D. Vyukov (a sequence per slot), with one taker, hence no
 * compare-and-swap on that side, and with the life-cycle state in the low bits of the tail. */
#define STATE_MASK UINT64_C(3)
#define SEQ_SHIFT 2
/* A failed swap means that another sender went ahead; so many in a row and we call it busy. */
#define TRY_CNT_MAX 64

size_t
weir_mbox_footprint(uint32_t slot_cnt)
{
    if (slot_cnt < WEIR_MBOX_SLOT_CNT_MIN || slot_cnt > WEIR_MBOX_SLOT_CNT_MAX ||
        !weir_is_pow2(slot_cnt)) {
        return 0;
    }
    return sizeof(struct weir_mbox) + slot_cnt * sizeof(struct weir_mbox_slot);
}

int
weir_mbox_init(struct weir_mbox *mbox, uint32_t slot_cnt)
{
    size_t bytes = weir_mbox_footprint(slot_cnt);
    if (bytes == 0 || (uintptr_t)mbox % WEIR_LINE_PAIR_BYTES != 0) {
        return weir_err_push(WEIR_EINVAL, "mailbox of %u slots at %p", slot_cnt, (void *)mbox);
    }
    memset(mbox, 0, bytes);
    mbox->slot_cnt = slot_cnt;
    for (uint32_t i = 0; i < slot_cnt; i++) {
        /* relaxed: no other thread knows the mailbox yet. */
        weir_store_rlx(&mbox->slots[i].seq, i);
    }
    return 0;
}

static struct weir_mbox_slot *
slot_of(struct weir_mbox *mbox, uint64_t seq)
{
    return &mbox->slots[seq & (mbox->slot_cnt - 1)];
}

int
weir_mbox_put(struct weir_mbox *mbox, const struct weir_letter *letter)
{
    for (int i = 0; i < TRY_CNT_MAX; i++) {
        /* relaxed: an old value is found out by the slot's seq or by the swap. */
        uint64_t tail = weir_load_rlx(&mbox->tail);
        if ((tail & STATE_MASK) != WEIR_MBOX_OPEN) {
            return WEIR_ECLOSED;
        }
        uint64_t seq = tail >> SEQ_SHIFT;
        struct weir_mbox_slot *slot = slot_of(mbox, seq);
        /* [A2] pairs with [R2] in pop: the taker has copied the last lap's letter out. */
        uint64_t slot_seq = weir_load_acq(&slot->seq);
        if (slot_seq < seq) {
            return 0;
        }
        /* relaxed: the swap only gives out the position; the letter goes by [R1], and the state is
         * part of the value, so that no position is given out once the taker has quiesced it. */
        if (slot_seq == seq && weir_cas_rlx(&mbox->tail, &tail, tail + (1 << SEQ_SHIFT))) {
            WEIR_DATA_WRITE(&slot->letter);
            slot->letter = *letter;
            /* [R1] pairs with [A1] in pop: the letter is there. */
            weir_store_rel(&slot->seq, seq + 1);
            return 1;
        }
    }
    return 0;
}

static int
pop(struct weir_mbox *mbox, struct weir_letter *ret_letter)
{
    uint64_t seq = mbox->head_seq;
    struct weir_mbox_slot *slot = slot_of(mbox, seq);
    /* [A1] pairs with [R1] in weir_mbox_put: the letter is there. */
    if (weir_load_acq(&slot->seq) != seq + 1) {
        return 0;
    }
    WEIR_DATA_READ(&slot->letter);
    *ret_letter = slot->letter;
    mbox->head_seq = seq + 1;
    /* [R2] pairs with [A2] in weir_mbox_put: our copy is made, the slot is free for the next
     * lap. */
    weir_store_rel(&slot->seq, seq + mbox->slot_cnt);
    return 1;
}

int
weir_mbox_take(struct weir_mbox *mbox, struct weir_letter *ret_letter)
{
    return weir_mbox_state(mbox) == WEIR_MBOX_CLOSED ? 0 : pop(mbox, ret_letter);
}

int
weir_mbox_give_back(struct weir_mbox *mbox, struct weir_letter *ret_letter)
{
    WEIR_DCHECK(weir_mbox_state(mbox) == WEIR_MBOX_CLOSED, "given back before it was closed");
    return pop(mbox, ret_letter);
}

void
weir_mbox_quiesce(struct weir_mbox *mbox)
{
    if (weir_mbox_state(mbox) == WEIR_MBOX_OPEN) {
        /* relaxed: the state stands in the swapped value itself, see weir_mbox_put. */
        (void)weir_fetch_add_rlx(&mbox->tail, WEIR_MBOX_QUIESCED - WEIR_MBOX_OPEN);
        mbox->state = WEIR_MBOX_QUIESCED;
    }
}

void
weir_mbox_close(struct weir_mbox *mbox)
{
    weir_mbox_quiesce(mbox);
    if (weir_mbox_state(mbox) == WEIR_MBOX_QUIESCED) {
        /* relaxed: as in weir_mbox_quiesce; senders are refused already. */
        (void)weir_fetch_add_rlx(&mbox->tail, WEIR_MBOX_CLOSED - WEIR_MBOX_QUIESCED);
        mbox->state = WEIR_MBOX_CLOSED;
    }
}

uint32_t
weir_mbox_pending_cnt(const struct weir_mbox *mbox)
{
    /* relaxed: once quiesced the value does not change, and the taker itself changed it last. */
    return (uint32_t)((weir_load_rlx(&mbox->tail) >> SEQ_SHIFT) - mbox->head_seq);
}
