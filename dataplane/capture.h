/* SPDX-License-Identifier: Apache-2.0 */
/* capture.h: the storage core's side of a snapshot: the pages of an arena as they were at its
 * barrier, while the owner goes on writing them.
 *
 *     data core                                     storage core
 *                                                   weir_capture_init (before both)
 *     weir_arena_snapshot_begin    --begun-->       weir_capture_begin
 *     ... saves lines before writing them           weir_capture_fill, again and again
 *                                  <--ended--         0: all is captured, tidied away
 *     weir_arena_snapshot_begin (the next one)      weir_capture_commit, when it has become durable
 *
 *     given up by the owner, or by weir_capture_cancel: weir_capture_tidy until WEIR_DONE
 *
 * It is pulled: whoever writes the file asks for the next bytes. They are records, each of a page,
 * in no order of pages: those that the owner is writing come first, because from then on they cost
 * it nothing.
 *
 * [format: State / Records of pages (WEIR_CAPTURE_VERSION)]
 *
 *     record:  | page u32 | key_group u16 | kind u8 | 0 u8 | lines u64 | crc u32 | bytes u32 |
 *              | the lines of the mask, lowest first, 64 bytes each |
 *
 *     lines  of 64, those that follow; a snapshot in full has all of them, and pages in use only;
 *            an increment has those that were written since its base, and of a page that is no
 *            longer in use the first, whose kind says so
 *     crc    CRC32C of the record with this field zero
 *
 * [end of format]
 *
 * An increment rests on the last snapshot that was committed before it began, its base. What was
 * written is never forgotten before a snapshot that has it is committed: one that is given up, or
 * of which nothing is heard, leaves its lines to the next. A page that is taken has all of its
 * lines written, so the first increment of an arena is a snapshot in full, but for pages without
 * meaning.
 *
 * Memory beside the arena: 16 bytes a page, and 72 an entry of the undo budget.
 *
 * Thread:  the storage core, unless said otherwise.
 * Formats: little-endian as the machine; the file says WEIR_CAPTURE_VERSION.
 */
#ifndef WEIR_DATAPLANE_CAPTURE_H
#define WEIR_DATAPLANE_CAPTURE_H

#include "dataplane/arena.h"
#include "dataplane/types.h"
#include "dataplane/undo.h"

WEIR_C_BEGIN

/* Of records and of what pages hold: the layouts of arena.h, table.h, blob.h and row_list.h, and
 * the hash. For the file's header; it rises with any of them. */
#define WEIR_CAPTURE_VERSION 1

struct weir_capture_record {
    uint32_t page;
    uint16_t key_group; /* absolute */
    uint8_t kind; /* enum weir_page_kind */
    uint8_t zero;
    uint64_t lines;
    uint32_t crc;
    uint32_t bytes; /* of the record, this head too */
};
WEIR_STATIC_ASSERT(sizeof(struct weir_capture_record) == 24, "part of the format");
#define WEIR_CAPTURE_RECORD_BYTES_MAX (sizeof(struct weir_capture_record) + WEIR_PAGE_BYTES)
/* Pages that one fill looks at: those without anything to write cost some 5 ns. */
#define WEIR_CAPTURE_LOOK_CNT 16384

enum weir_capture_state {
    WEIR_CAPTURE_IDLE, /* the owner may begin the next */
    WEIR_CAPTURE_LIVE,
    WEIR_CAPTURE_FAILED, /* to be tidied */
};

struct weir_capture {
    const char *base; /* of the arena's pages */
    struct weir_undo *undo;
    struct weir_ring_cons cons;
    uint64_t *carry; /* [page] lines written since the base, without the newest epoch's */
    uint32_t *last; /* [page] position, plus 1, of its newest entry in the ring */
    uint64_t *mask; /* lines of the epoch that the barrier ended; to be cleared */
    uint32_t page_end;
    uint32_t sweep; /* pages below are captured, or will be on account of the ring */
    uint32_t tidy;
    uint32_t number;
    enum weir_capture_state state;
    int why; /* state FAILED: what fill said */
    bool is_full;
    bool is_carry_stale; /* the newest snapshot was committed: nothing is carried */
    uint64_t id; /* of the newest one, as the caller calls it */
    uint64_t base_id; /* the last committed one, 0: none; its state when the newest one began */
    uint64_t committed_id;
    /* Figures, over all snapshots. */
    uint64_t page_cnt; /* records put out */
    uint64_t byte_cnt;
    uint64_t hot_cnt; /* pages captured out of turn */
    uint64_t laid_cnt; /* lines laid over */
};

/* weir_capture_footprint - memory for an arena and a budget of undo entries (rounded up to a power
 * of two by the caller); 0 where that is not possible. Start: WEIR_LINE_PAIR_BYTES. */
WEIR_API uint64_t weir_capture_footprint(const struct weir_arena *arena, uint32_t undo_cnt);
/* weir_capture_undo_cnt - a budget of undo entries for so many bytes of pages.
 *
 * An eighth of the lines, up to 2^16 of them, and of large arenas a 16th: 72 bytes for 1 KiB.
 * Where writes are spread over all pages, a snapshot of 1 GiB that the disk takes at 1.2 GB/s has
 * 170,000 lines waiting at 1 M writes a second, and 660,000 at 0.5 GB/s; a quarter stays in
 * reserve.
 */
WEIR_API uint32_t weir_capture_undo_cnt(uint64_t page_bytes);
/* weir_capture_init - make the arena one of which snapshots can be taken.
 *
 * Shape:   mem is zero. What there is for each page of the arena is left untouched, as the page is.
 * Thread:  before the arena's core and the storage core run.
 * Owner:   keeps mem as long as the arena is used; there is nothing to undo.
 * Errors:  WEIR_EINVAL.
 */
WEIR_API WEIR_MUST_USE int weir_capture_init(
    struct weir_capture *capture, struct weir_arena *arena, uint32_t undo_cnt, void *mem);

/* weir_capture_begin - go for the snapshot whose barrier the owner has set.
 *
 * Shape:   id is the caller's, not 0. is_full: all pages in use, else what was written since the
 *          base; a caller wants it when it has no base (weir_capture_base is 0), though then the
 *          two differ in pages without meaning only.
 * Returns: WEIR_DONE; WEIR_WAIT where the owner has not begun one.
 * Errors:  WEIR_EILLEGAL: the last one is not at its end.
 * Order:   [A5] acquire on begun, pairs with [R5] in weir_arena_snapshot_begin.
 */
WEIR_API WEIR_MUST_USE int
weir_capture_begin(struct weir_capture *capture, uint64_t id, bool is_full);

/* weir_capture_fill - the next records.
 *
 * Shape:   capture is a struct weir_capture, so that it can be a source of a file's writer; bytes
 *          at least WEIR_CAPTURE_RECORD_BYTES_MAX; buf at a multiple of 8.
 * Returns: > WEIR_AGAIN: bytes of whole records; WEIR_AGAIN: nothing yet, call again; WEIR_DONE:
 *          the snapshot is whole and tidied away, the next may begin.
 * Errors:  WEIR_EBUDGET: the owner gave it up, because the undo budget was used up or for reasons
 *          of its own; WEIR_ECANCELED: by weir_capture_cancel; tidy it then. WEIR_EINVAL;
 *          WEIR_EILLEGAL: none has begun. What earlier calls gave is worth nothing then.
 * Cost:    bounded by bytes and WEIR_CAPTURE_LOOK_CNT.
 */
WEIR_API WEIR_MUST_USE int64_t weir_capture_fill(void *capture, void *buf, uint64_t bytes);

/* weir_capture_cancel - give the snapshot up, at any time; nothing happens where none is live.
 * The owner notices when it next saves a line, or polls. */
WEIR_API void weir_capture_cancel(struct weir_capture *capture);
/* weir_capture_tidy - after a failure: keep what was written for the next snapshot.
 *
 * Returns: WEIR_AGAIN; WEIR_DONE: the owner may begin the next (also where nothing is to be done).
 * Cost:    a step of WEIR_CAPTURE_LOOK_CNT pages.
 */
WEIR_API WEIR_MUST_USE int weir_capture_tidy(struct weir_capture *capture);

/* weir_capture_commit - the snapshot of this id is durable: increments may rest on it.
 *
 * Returns: false where it came too late, because another one has begun since, or where it never
 *          came to its end: increments go on resting on the base before.
 */
WEIR_API bool weir_capture_commit(struct weir_capture *capture, uint64_t id);
/* weir_capture_rest - the arena holds what snapshot id does (but for lines that count as written):
 * the first snapshot rests on that. Before the owner's first barrier. */
WEIR_API void weir_capture_rest(struct weir_capture *capture, uint64_t id);
/* weir_capture_base - the id of the snapshot on which the newest increment rests; 0: on none. */
static inline uint64_t
weir_capture_base(const struct weir_capture *capture)
{
    return capture->base_id;
}

WEIR_C_END

#endif
