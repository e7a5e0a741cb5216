/* SPDX-License-Identifier: Apache-2.0 */
/* undo.h: the lines of state pages as they were at the barrier, from the core that is about to
 * write them to the one that copies the pages.
 *
 *      data core (owner of the arena)               storage core (capture.h)
 *
 *      page captured?  yes: write                   copy the page, torn where it is being written
 *      append (line, 64 old bytes)    --ring-->     fence; read the ring; lay old lines over the
 *                                     copy
 *      publish; fence                               mark the page captured
 *      write
 *
 * Why every line of the copy is that of the barrier in the end. Take a line that the copy read,
 * even in part, after a write of this epoch. The owner published the old line before a release
 * fence before that write, and the copy comes before an acquire fence before the look at the ring:
 * a read that saw the write makes the fences a pair, so that the look sees the line. [F1] and [F2].
 * The other way round, the owner found the page captured and saved nothing: it then read the mark,
 * released after the copy, before it wrote: [R2] and [A2], the copy cannot have seen that. A line
 * that was saved and not yet written is laid over itself. It is saved once an epoch, before its
 * first write, so what is saved is the barrier's.
 *
 * The ring is base/ring.h with slots of one word, the line and, once the storage core has seen it,
 * the entry of the same page before it; the old bytes lie beside the slots, by position. It has a
 * budget of entries and is never waited for: where it is full, the snapshot is given up, not the
 * job. Who wants to throttle looks at it between batches (weir_arena_snapshot_poll).
 *
 * Limits:  WEIR_UNDO_CNT_MIN to WEIR_UNDO_CNT_MAX entries of 72 bytes, a power of two.
 * Thread:  one owner core, one storage core; each group of fields says whose it is.
 * Source:  undo logging of database pages, by lines; fork and page copy-on-write are in
 *          bench/snapshot.
 */
#ifndef WEIR_DATAPLANE_UNDO_H
#define WEIR_DATAPLANE_UNDO_H

#include <string.h>

#include "base/mutant.h"
#include "base/ring.h"

WEIR_C_BEGIN

/* A page's lines fit twice. */
#define WEIR_UNDO_CNT_MIN 128
#define WEIR_UNDO_CNT_MAX (UINT32_C(1) << 22)
#define WEIR_UNDO_SLOT_BYTES 8
/* Lines a page; asserted in arena.c. */
#define WEIR_UNDO_PAGE_LINES 64

/* Faults of the protocol that its model test (tests/race) plants, to see them caught. */
#ifndef WEIR_UNDO_MUTANT
#define WEIR_UNDO_MUTANT(name) WEIR_MUTANT(UNDO_##name)
#endif

struct weir_undo_slot {
    uint32_t line; /* from the arena's start, in lines */
    uint32_t prev; /* storage core: position, plus 1, of the page's entry before this; 0: none */
};
WEIR_STATIC_ASSERT(sizeof(struct weir_undo_slot) == WEIR_UNDO_SLOT_BYTES, "slots are one word");

struct weir_undo_line {
    _Alignas(WEIR_LINE_BYTES) char byte[WEIR_LINE_BYTES];
};

/* What is live between the two, in memory of the capture. */
struct weir_undo {
    /* writer: none once it is made */
    struct weir_undo_line *line; /* [slot_cnt] old bytes */
    WEIR_ATOMIC(uint32_t) * captured; /* [page]: the snapshot that it was last captured in */
    uint32_t slot_cnt;
    uint32_t reserve_cnt; /* entries left when the owner should stop for a while */
    uint64_t pad_shape[13];
    /* writer: data core. The plain ones are handed over by `begun`. */
    struct weir_ring_prod prod;
    uint32_t page_end; /* pages from here on were not there at the barrier */
    uint32_t number; /* of the newest snapshot, from 1 */
    uint64_t *mask; /* lines written in the epoch that the barrier ended: the storage core's */
    uint64_t begin_seq; /* where its entries begin in the ring */
    uint64_t saved_cnt; /* lines saved, ever */
    WEIR_ATOMIC(uint32_t) begun; /* the newest snapshot */
    WEIR_ATOMIC(uint32_t) declined; /* the newest one that the owner has given up */
    uint64_t pad_prod[5];
    /* writer: storage core */
    WEIR_ATOMIC(uint32_t) ended; /* the newest snapshot that needs no more old lines */
    WEIR_ATOMIC(uint32_t) ready; /* the newest one of which nothing is left: another may begin */
    uint64_t pad_cons[15];
};
WEIR_STATIC_ASSERT(offsetof(struct weir_undo, prod) == WEIR_LINE_PAIR_BYTES, "owner's lines");
WEIR_STATIC_ASSERT(
    offsetof(struct weir_undo, ended) % WEIR_LINE_PAIR_BYTES == 0, "storage core's lines");

/* weir_undo_is_wanted - whether the owner must save a line of this page before it writes it.
 *
 * Thread:  data core.
 * Order:   [A2] acquire on captured, pairs with [R2] in capture.c.
 */
static inline bool
weir_undo_is_wanted(struct weir_undo *undo, size_t page)
{
    if (page >= undo->page_end) {
        return false;
    }
    /* [A2] pairs with [R2] in page_mark: the copy of the page is over. */
    return weir_load_acq(&undo->captured[page]) != undo->number;
}

/* weir_undo_put - hand over the old bytes of lines of a page that are about to be written.
 *
 * Shape:   lines is not 0; page is where the page lies.
 * Thread:  data core. Hot where a snapshot is live: a line copied, one store.
 * Returns: false where the ring is full: nothing was handed over.
 * Order:   [R1] of the ring publishes; [F1] release fence before the writes that follow, pairs with
 *          [F2] in capture.c.
 */
static inline bool
weir_undo_put(struct weir_undo *undo, const char *page, size_t page_idx, uint64_t lines)
{
    uint32_t cnt = (uint32_t)__builtin_popcountll(lines);
    if (WEIR_UNLIKELY(weir_ring_room(&undo->prod, cnt) < cnt)) {
        return false;
    }
    uint64_t seq = weir_ring_tail_seq(&undo->prod);
    for (uint32_t i = 0; i < cnt; i++, lines &= lines - 1) {
        uint32_t line = (uint32_t)__builtin_ctzll(lines);
        struct weir_undo_slot *slot =
            (struct weir_undo_slot *)weir_ring_prod_slot(&undo->prod, i, WEIR_UNDO_SLOT_BYTES);
        struct weir_undo_line *old = &undo->line[(seq + i) & (undo->slot_cnt - 1)];
        WEIR_DATA_WRITE(old);
        slot->line = (uint32_t)page_idx * WEIR_UNDO_PAGE_LINES + line;
        slot->prev = 0;
        memcpy(old->byte, page + (size_t)line * WEIR_LINE_BYTES, WEIR_LINE_BYTES);
    }
    undo->saved_cnt += cnt;
    if (!WEIR_UNDO_MUTANT(PUBLISH_LATE)) {
        weir_ring_publish(&undo->prod, cnt);
    }
    /* [F1] pairs with [F2] in capture.c: who reads what is written from here on sees the
     * entries. */
    weir_fence_rel();
    return true;
}

/* weir_undo_decline - the owner gives the newest snapshot up and writes on without saving.
 *
 * Thread:  data core.
 * Order:   [R3] release on declined, pairs with [A3] in capture.c; [F1] as above, so that whoever
 *          reads what is written now also sees that it was given up.
 */
static inline void
weir_undo_decline(struct weir_undo *undo)
{
    /* [R3] pairs with [A3] in drain. */
    weir_store_rel(&undo->declined, undo->number);
    /* [F1] pairs with [F2] in capture.c. */
    weir_fence_rel();
}

/* weir_undo_is_ended - whether the storage core needs no more old lines of the newest snapshot.
 *
 * Thread:  data core.
 */
static inline bool
weir_undo_is_ended(struct weir_undo *undo)
{
    /* relaxed: saving a line too many does no harm, and nothing is read because of it. */
    return weir_load_rlx(&undo->ended) == undo->number;
}

WEIR_C_END

#endif
