/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h: a single-producer single-consumer ring of equal slots, in memory that the caller gives.
 *
 * One core fills slots and publishes them, one other core looks at them and releases them:
 *
 *      head_seq        look_seq           tail_seq
 *         | seen, not   | published,         | being filled
 *         | released    | not yet seen       | by the producer
 *   ------+-------------+--------------------+----------------------> positions, 64 bit, never wrap
 *         '------------- at most slot_cnt ------------------'
 *
 * The consumer looks ahead as far as tail_seq and releases later: a release says that the slots AND
 * whatever they name (the batch, its buffer) belong to the producer again, which reads the released
 * position with weir_ring_head_seq(). Slots have no stamps of their own, so eight 8-byte handles
 * share a cache line. Each side keeps a private copy of the other side's position and reads the
 * shared one only when the copy does not answer.
 *
 * Data leaves the last event_cnt slots free (weir_ring_room_data()), so that a watermark or a
 * barrier never waits for data to drain (weir_ring_room()). urgent_seq on the producer's line is
 * the position of the newest barrier: a consumer finds it without walking the slots before it.
 *
 * What must not wait for a slot is said beside them: weir_ring_urge() hands the consumer a few
 * words and the position that they belong to, whether the ring is full or not. A consumer that has
 * seen a slot at or behind that position finds the words.
 *
 * The shared part holds no pointers: it may lie in a memfd that two processes map at different
 * addresses. struct weir_ring_prod and struct weir_ring_cons are private to their core; place them
 * on different line pairs.
 *
 * It is not: for many producers (mbox.h), a byte stream, or a thing to wait on (doorbell.h).
 *
 * Limits: slot_cnt a power of two in [2, 2^24]; slot_bytes a multiple of 8 in [8, 4096].
 */
#ifndef WEIR_BASE_RING_H
#define WEIR_BASE_RING_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/check.h"

#define WEIR_RING_SLOT_CNT_MIN 2
#define WEIR_RING_SLOT_CNT_MAX (UINT32_C(1) << 24)
#define WEIR_RING_SLOT_BYTES_MAX 4096
/* Kept free of data: one barrier, one watermark, one status and one end at the same time. */
#define WEIR_RING_EVENT_CNT 4
#define WEIR_RING_SEQ_NONE UINT64_MAX
/* Words beside the slots that the consumer has not taken yet: it looks for them whenever it is
 * polled, so a second one is said before the first is taken only while its core is held up. */
#define WEIR_RING_URGENT_CNT 2

/* A position, and what is said of it. */
struct weir_ring_urgent {
    uint64_t seq; /* slots before it were published before this was said */
    uint64_t words[3];
};

struct weir_ring_shape {
    uint32_t slot_cnt;
    uint32_t slot_bytes;
};

/* The shared part; the slots follow it. */
struct weir_ring {
    /* writer: none after weir_ring_new */
    uint64_t magic;
    struct weir_ring_shape shape;
    uint64_t pad_shape[14];
    /* writer: producer core */
    WEIR_ATOMIC(uint64_t) tail_seq;
    WEIR_ATOMIC(uint64_t) urgent_seq;
    WEIR_ATOMIC(uint64_t) urged_cnt;
    uint64_t pad_prod[5];
    struct weir_ring_urgent urgent[WEIR_RING_URGENT_CNT];
    /* writer: consumer core */
    WEIR_ATOMIC(uint64_t) head_seq;
    WEIR_ATOMIC(uint64_t) urgent_taken_cnt;
    uint64_t pad_cons[14];
};
WEIR_STATIC_ASSERT(
    offsetof(struct weir_ring, tail_seq) == WEIR_LINE_PAIR_BYTES, "producer's lines");
WEIR_STATIC_ASSERT(
    offsetof(struct weir_ring, head_seq) == 2 * WEIR_LINE_PAIR_BYTES, "consumer's lines");
WEIR_STATIC_ASSERT(sizeof(struct weir_ring) == 3 * WEIR_LINE_PAIR_BYTES, "slots start a line pair");

/* One side's private view. writer: the producer core. */
struct weir_ring_prod {
    uint8_t *slots;
    uint64_t tail_seq;
    uint64_t head_seq; /* as last read: never ahead of the true one */
    uint32_t slot_cnt;
    uint32_t event_cnt;
    uint32_t slot_bytes;
    struct weir_ring *ring;
};

/* One side's private view. writer: the consumer core. */
struct weir_ring_cons {
    uint8_t *slots;
    uint64_t look_seq;
    uint64_t tail_seq; /* as last read: never ahead of the true one */
    uint64_t head_seq;
    uint32_t slot_cnt;
    uint32_t slot_bytes;
    struct weir_ring *ring;
};

/* weir_ring_align, weir_ring_footprint - what the memory must be; a footprint of 0: not
 * possible. */
static inline size_t
weir_ring_align(void)
{
    return WEIR_LINE_PAIR_BYTES;
}
WEIR_API size_t weir_ring_footprint(const struct weir_ring_shape *shape);

/* weir_ring_new - make an empty ring in mem, which starts at weir_ring_align() and is footprint
 * long.
 *
 * Errors:  WEIR_EINVAL where the shape is not possible or mem is not aligned.
 * Thread:  before any join. Owner: keeps mem until weir_ring_delete().
 */
WEIR_API WEIR_MUST_USE int weir_ring_new(void *mem, const struct weir_ring_shape *shape);
/* weir_ring_prod_join, weir_ring_cons_join - take one end; slot_bytes must be the ring's.
 *
 * Takes over where the last holder of that end stopped: what it had filled but not published, or
 * seen but not released, is to be done again.
 * Errors:  WEIR_EINVAL where mem holds no ring, or one of other slots.
 */
WEIR_API WEIR_MUST_USE int
weir_ring_prod_join(struct weir_ring_prod *ret_prod, void *mem, uint32_t slot_bytes);
WEIR_API WEIR_MUST_USE int
weir_ring_cons_join(struct weir_ring_cons *ret_cons, void *mem, uint32_t slot_bytes);
/* weir_ring_delete - end of the ring: later joins fail. Both ends have been left. */
WEIR_API void weir_ring_delete(void *mem);

/* weir_ring_event_cnt - slots that data leaves free; half of a ring of fewer than 8 slots. */
static inline uint32_t
weir_ring_event_cnt(uint32_t slot_cnt)
{
    return weir_min_u32(WEIR_RING_EVENT_CNT, slot_cnt / 2);
}

/* ---- producer core ---- */

/* weir_ring_head_seq - the released position, read afresh: every position below it is free again.
 *
 * Order:   [A2] acquire on head_seq, pairs with [R2] in weir_ring_release.
 */
static inline uint64_t
weir_ring_head_seq(struct weir_ring_prod *prod)
{
    /* [A2] pairs with [R2]: the consumer's last access to the slots before head_seq is over. */
    uint64_t head_seq = weir_load_acq(&prod->ring->head_seq);
    WEIR_DCHECK(head_seq >= prod->head_seq && head_seq <= prod->tail_seq, "head out of its range");
    prod->head_seq = head_seq;
    return head_seq;
}

/* weir_ring_head_seq_last - the released position as last read: no shared access, perhaps
 * behind. */
static inline uint64_t
weir_ring_head_seq_last(const struct weir_ring_prod *prod)
{
    return prod->head_seq;
}

/* weir_ring_tail_seq - the position that the next published slot gets. */
static inline uint64_t
weir_ring_tail_seq(const struct weir_ring_prod *prod)
{
    return prod->tail_seq;
}

/* weir_ring_room - free slots, for events and for rings without data.
 *
 * Returns: the slots that may be filled now. It is exact where it is under want, else perhaps less
 *          than there are: the consumer's line is read only when the last answer is under want.
 */
static inline uint32_t
weir_ring_room(struct weir_ring_prod *prod, uint32_t want)
{
    uint32_t room = prod->slot_cnt - (uint32_t)(prod->tail_seq - prod->head_seq);
    if (room < want) {
        room = prod->slot_cnt - (uint32_t)(prod->tail_seq - weir_ring_head_seq(prod));
    }
    return room;
}

/* weir_ring_room_data - free slots for data: weir_ring_room() less the slots kept for events. */
static inline uint32_t
weir_ring_room_data(struct weir_ring_prod *prod, uint32_t want)
{
    uint32_t room = weir_ring_room(prod, want + prod->event_cnt);
    return room > prod->event_cnt ? room - prod->event_cnt : 0;
}

/* weir_ring_filled_cnt - slots that are published and not released: a figure for people, for which
 * the consumer's line is read. */
static inline uint32_t
weir_ring_filled_cnt(const struct weir_ring_prod *prod)
{
    /* relaxed: no slot is touched for it. */
    return (uint32_t)(prod->tail_seq - weir_load_rlx(&prod->ring->head_seq));
}

/* weir_ring_prod_slot_at - the slot at position seq, which was published and not released. */
static inline const void *
weir_ring_prod_slot_at(const struct weir_ring_prod *prod, uint64_t seq, uint32_t slot_bytes)
{
    WEIR_DCHECK(slot_bytes == prod->slot_bytes, "slots of another size");
    return prod->slots + (seq & (prod->slot_cnt - 1)) * slot_bytes;
}

/* weir_ring_prod_slot - the idx-th slot not yet published, to be filled.
 *
 * Shape:   idx under the room last returned; slot_bytes the ring's, a constant at the call.
 */
static inline void *
weir_ring_prod_slot(const struct weir_ring_prod *prod, uint32_t idx, uint32_t slot_bytes)
{
    WEIR_DCHECK(slot_bytes == prod->slot_bytes, "slots of another size");
    WEIR_DCHECK(prod->tail_seq + idx - prod->head_seq < prod->slot_cnt, "slot %u is not free", idx);
    return prod->slots + ((prod->tail_seq + idx) & (prod->slot_cnt - 1)) * slot_bytes;
}

/* weir_ring_publish - make the next n slots, filled, visible to the consumer.
 *
 * Thread:  producer core only. Hot: one store.
 * Owner:   the slots pass to the consumer until it releases them.
 * Order:   [R1] release on tail_seq, pairs with [A1] in weir_ring_peek.
 */
static inline void
weir_ring_publish(struct weir_ring_prod *prod, uint32_t n)
{
    prod->tail_seq += n;
    WEIR_DCHECK(prod->tail_seq - prod->head_seq <= prod->slot_cnt, "published more than was free");
    /* [R1] pairs with [A1] in weir_ring_peek: the slots before tail_seq are filled. */
    weir_store_rel(&prod->ring->tail_seq, prod->tail_seq);
}

/* weir_ring_urgent_set - say that the slot idx places ahead, about to be published, is a barrier.
 *
 * Shape:   before the publish of that slot.
 */
static inline void
weir_ring_urgent_set(struct weir_ring_prod *prod, uint32_t idx)
{
    /* relaxed: [R1] of the publish that follows makes it visible before its slot is. */
    weir_store_rlx(&prod->ring->urgent_seq, prod->tail_seq + idx);
}

/* weir_ring_urge - hand words over to the consumer, for the next slot to be published.
 *
 * Returns: 1; 0 busy: it has not taken WEIR_RING_URGENT_CNT others yet.
 * Order:   [R3] release on urged_cnt, pairs with [A3] in weir_ring_urged. Rare.
 */
static inline int
weir_ring_urge(struct weir_ring_prod *prod, const uint64_t words[3])
{
    struct weir_ring *ring = prod->ring;
    /* relaxed: only this core writes it. */
    uint64_t cnt = weir_load_rlx(&ring->urged_cnt);
    /* [A4] pairs with [R4] in weir_ring_urged: the consumer has read what is overwritten. */
    if (cnt - weir_load_acq(&ring->urgent_taken_cnt) == WEIR_RING_URGENT_CNT) {
        return 0;
    }
    struct weir_ring_urgent *urgent = &ring->urgent[cnt % WEIR_RING_URGENT_CNT];
    WEIR_DATA_WRITE(&urgent->seq);
    urgent->seq = prod->tail_seq;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(urgent->words); i++) {
        urgent->words[i] = words[i];
    }
    /* [R3] pairs with [A3] in weir_ring_urged: the words are there. */
    weir_store_rel(&ring->urged_cnt, cnt + 1);
    return 1;
}

/* ---- consumer core ---- */

/* weir_ring_peek - published slots that were not yet seen.
 *
 * Returns: at least 1 where there is one, else 0; perhaps fewer than there are, as the producer's
 *          line is read only when the last answer is used up.
 * Order:   [A1] acquire on tail_seq, pairs with [R1] in weir_ring_publish.
 */
static inline uint32_t
weir_ring_peek(struct weir_ring_cons *cons)
{
    if (cons->tail_seq == cons->look_seq) {
        /* [A1] pairs with [R1] in weir_ring_publish: slots before tail_seq are filled. */
        cons->tail_seq = weir_load_acq(&cons->ring->tail_seq);
        WEIR_DCHECK(cons->tail_seq - cons->head_seq <= cons->slot_cnt, "tail out of its range");
    }
    return (uint32_t)(cons->tail_seq - cons->look_seq);
}

/* weir_ring_peek_all - as weir_ring_peek, of all that there are now: reads the producer's line. */
static inline uint32_t
weir_ring_peek_all(struct weir_ring_cons *cons)
{
    /* [A1] pairs with [R1] in weir_ring_publish: slots before tail_seq are filled. */
    cons->tail_seq = weir_load_acq(&cons->ring->tail_seq);
    return (uint32_t)(cons->tail_seq - cons->look_seq);
}

/* weir_ring_look_seq - the position of the next slot to be seen. */
static inline uint64_t
weir_ring_look_seq(const struct weir_ring_cons *cons)
{
    return cons->look_seq;
}

/* weir_ring_cons_slot - the idx-th slot not yet seen.
 *
 * Shape:   idx under the count last returned by weir_ring_peek; slot_bytes as the producer's.
 * Owner:   readable (and writable) until it is released.
 */
static inline void *
weir_ring_cons_slot(const struct weir_ring_cons *cons, uint32_t idx, uint32_t slot_bytes)
{
    WEIR_DCHECK(slot_bytes == cons->slot_bytes, "slots of another size");
    WEIR_DCHECK(idx < cons->tail_seq - cons->look_seq, "slot %u is not published", idx);
    return cons->slots + ((cons->look_seq + idx) & (cons->slot_cnt - 1)) * slot_bytes;
}

/* weir_ring_slot_at - the slot at position seq, in [released, known as published). */
static inline void *
weir_ring_slot_at(const struct weir_ring_cons *cons, uint64_t seq, uint32_t slot_bytes)
{
    WEIR_DCHECK(slot_bytes == cons->slot_bytes, "slots of another size");
    WEIR_DCHECK(seq >= cons->head_seq && seq < cons->tail_seq, "slot is not the consumer's");
    return cons->slots + (seq & (cons->slot_cnt - 1)) * slot_bytes;
}

/* weir_ring_advance - count the next n slots as seen; they stay the consumer's until released. */
static inline void
weir_ring_advance(struct weir_ring_cons *cons, uint32_t n)
{
    WEIR_DCHECK(n <= cons->tail_seq - cons->look_seq, "advanced past what is published");
    cons->look_seq += n;
}

/* weir_ring_release - give the n oldest seen slots, and what they name, back to the producer.
 *
 * Thread:  consumer core only. Hot: one store.
 * Order:   [R2] release on head_seq, pairs with [A2] in weir_ring_head_seq.
 */
static inline void
weir_ring_release(struct weir_ring_cons *cons, uint32_t n)
{
    cons->head_seq += n;
    WEIR_DCHECK(cons->head_seq <= cons->look_seq, "released what was not seen");
    /* [R2] pairs with [A2] in weir_ring_head_seq: our accesses to these slots are over. */
    weir_store_rel(&cons->ring->head_seq, cons->head_seq);
}

/* weir_ring_unreleased_cnt - slots that were seen and are still held. */
static inline uint32_t
weir_ring_unreleased_cnt(const struct weir_ring_cons *cons)
{
    return (uint32_t)(cons->look_seq - cons->head_seq);
}

/* weir_ring_urgent_seq - the position of the newest barrier, where it is still ahead of us.
 *
 * Returns: a position in [look_seq, published) whose slot may be read with weir_ring_slot_at(), as
 *          may all before it; WEIR_RING_SEQ_NONE where no barrier is ahead. Reads the producer's
 *          line.
 */
static inline uint64_t
weir_ring_urgent_seq(struct weir_ring_cons *cons)
{
    /* relaxed: a position ahead of what [A1] has shown is looked at only after [A1] below. */
    uint64_t urgent_seq = weir_load_rlx(&cons->ring->urgent_seq);
    if (urgent_seq == WEIR_RING_SEQ_NONE || urgent_seq < cons->look_seq) {
        return WEIR_RING_SEQ_NONE;
    }
    if (urgent_seq >= cons->tail_seq) {
        /* [A1] pairs with [R1] in weir_ring_publish. */
        cons->tail_seq = weir_load_acq(&cons->ring->tail_seq);
    }
    return urgent_seq < cons->tail_seq ? urgent_seq : WEIR_RING_SEQ_NONE;
}

/* weir_ring_urged - take the oldest words that were said beside the slots.
 *
 * Shape:   who peeks, then finds none, has seen no slot at or behind the position of any: they were
 *          said before such a slot was published. ret_urgent->seq is not behind what is published,
 *          and all slots before it may be read from now on.
 * Returns: 1; 0: there are none. Reads the producer's line.
 * Order:   [A3] acquire on urged_cnt, pairs with [R3] in weir_ring_urge.
 */
static inline int
weir_ring_urged(struct weir_ring_cons *cons, struct weir_ring_urgent *ret_urgent)
{
    struct weir_ring *ring = cons->ring;
    /* relaxed: only this core writes it. */
    uint64_t cnt = weir_load_rlx(&ring->urgent_taken_cnt);
    /* [A3] pairs with [R3] in weir_ring_urge: the words are there. */
    if (weir_load_acq(&ring->urged_cnt) == cnt) {
        return 0;
    }
    WEIR_DATA_READ(&ring->urgent[cnt % WEIR_RING_URGENT_CNT].seq);
    *ret_urgent = ring->urgent[cnt % WEIR_RING_URGENT_CNT];
    if (ret_urgent->seq > cons->tail_seq) {
        cons->tail_seq = ret_urgent->seq; /* what stands before the words was published by then */
    }
    /* [R4] pairs with [A4] in weir_ring_urge: they have been read. */
    weir_store_rel(&ring->urgent_taken_cnt, cnt + 1);
    return 1;
}

#endif
