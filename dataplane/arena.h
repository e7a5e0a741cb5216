/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h: the state memory of one stage: 4 KiB pages that hold no pointers.
 *
 *     +--------+------+------+-----+     saved[]  one 64-bit mask a page: lines written in this
 *     | page 0 |  1   |  2   | ... |              epoch, which may be written without more ado
 *     | (none) |      |      |     |     idle[]   that of the epoch before; clean between snapshots
 *     +--------+------+------+-----+     links[], free[], index words, table records
 *
 * A page belongs to one key group, so that a key group moves as whole pages. It is either one
 * bucket of a table (table.h), or a slab: equal blocks behind a header line, for the small buckets
 * of small tables and for values that are too long to lie inline. Places are named by 32-bit
 * references in units of 16 bytes from the start of the arena; page 0 is all zero and stands for
 * nothing.
 *
 * Which tables there are is told by blocks of a slab of their own (struct weir_table_name), so that
 * the pages are all of the state. All else (free pages, slab lists, directories in the index words)
 * is an index beside the pages: it can be made again from the page headers, see
 * weir_table_rebuild(). The masks lie beside the pages too: in the page's own header they would be
 * one more cold line for every update.
 *
 * A snapshot (capture.h) is taken while the owner goes on writing. It begins with a barrier, which
 * costs the owner the exchange of the two masks: lines written from then on are marked in the clean
 * one, the other one tells the storage core what was written since the barrier before. As long as
 * the snapshot is live, weir_arena_save() also hands the old bytes of a line to the storage core
 * (undo.h).
 *
 * [format: State / Pages (WEIR_CAPTURE_VERSION)]
 *
 *   page:   4096 bytes; a bucket of a table (table.h), or a slab: equal blocks of one class
 *   slab:    0 kind u8: 2 small buckets, 3 blobs, 5 names of tables    1 class u8
 *            2 key group u16     4 blocks in use u32     8 a bit for each block u64 x 2
 *           24 zeros             64 blocks, one behind the other
 *   class:   0 to 12   blobs of 32 48 64 96 144 192 288 448 576 1008 1344 2016 4032 bytes
 *           13, 14     buckets of 7 and of 21 lines of 64 bytes
 *           15         names of tables, a line each
 *   ref:     u32, a place in units of 16 bytes from the start of the arena; 0: nothing
 *
 * [end of format]
 *
 * It is not a general allocator: nothing in it has two owners, and nothing outlives its key group.
 *
 * Limits:  64 GiB of pages (32-bit references). Thread: the stage's core only.
 */
#ifndef WEIR_DATAPLANE_ARENA_H
#define WEIR_DATAPLANE_ARENA_H

#include "base/err.h"
#include "dataplane/keygroup.h"

WEIR_C_BEGIN

#define WEIR_ARENA_REF_BYTES 16
#define WEIR_ARENA_PAGE_REFS (WEIR_PAGE_BYTES / WEIR_ARENA_REF_BYTES)
#define WEIR_ARENA_BYTES_MAX (UINT64_C(64) * WEIR_GIB)
/* What a page has left behind its header line; every block size divides it. */
#define WEIR_ARENA_BODY_BYTES (WEIR_PAGE_BYTES - WEIR_LINE_BYTES)
/* Room for one table record; asserted in table.h. */
#define WEIR_ARENA_TABLE_BYTES 192
#define WEIR_ARENA_TABLE_CNT_DEFAULT 4096
/* A walk over all pages asks for their headers so many pages ahead. */
#define WEIR_ARENA_AHEAD_CNT 16

enum weir_page_kind {
    WEIR_PAGE_FREE = 0,
    WEIR_PAGE_BUCKET, /* one bucket of 64 lines */
    WEIR_PAGE_SMALL, /* a slab of smaller buckets */
    WEIR_PAGE_BLOB, /* a slab of long values */
    WEIR_PAGE_INDEX, /* part of an index that is made again: in no checkpoint, of no key group */
    WEIR_PAGE_NAMES, /* a slab of table names; of no key group, whatever its header says */
    WEIR_PAGE_KIND_CNT
};

/* Block sizes of slabs: X(bytes). They divide the body, so nothing is lost at its end. */
#define WEIR_ARENA_BLOB_CLASSES(X) \
    X(32) X(48) X(64) X(96) X(144) X(192) X(288) X(448) X(576) X(1008) X(1344) X(2016) X(4032)
#define WEIR_ARENA_BLOB_CLASS_CNT 13
/* Small buckets are whole lines: 7 and 21 of the 63. Their classes follow those of blobs. */
#define WEIR_ARENA_CLASS_SMALL_7 13
#define WEIR_ARENA_CLASS_SMALL_21 14
/* Names of tables, a line each. */
#define WEIR_ARENA_CLASS_NAME 15
#define WEIR_ARENA_CLASS_CNT 16

/* The header line of a slab page. A bucket page has struct weir_bucket in its place; kind and
 * key_group stand at the same offsets in both. */
struct weir_slab {
    uint8_t kind;
    uint8_t class_idx;
    uint16_t key_group;
    uint32_t used_cnt;
    uint64_t used[2]; /* a bit per block */
    uint8_t zero[40];
};
WEIR_STATIC_ASSERT(sizeof(struct weir_slab) == WEIR_LINE_BYTES, "a slab header is one line");

/* Slabs with a free block are chained per (key group, class), by page number, 0 ends. */
struct weir_arena_link {
    uint32_t next;
    uint32_t prev;
};

struct weir_arena_spec {
    const char *name; /* for messages; borrowed */
    uint32_t max_parallelism;
    struct weir_keygroup_range groups; /* the key groups that there is room for */
    uint32_t table_cnt_max; /* 0: WEIR_ARENA_TABLE_CNT_DEFAULT */
};

struct weir_undo;

struct weir_arena {
    char *base; /* page 0 */
    uint64_t *saved;
    struct weir_undo *undo; /* where old lines go while a snapshot is live, else NULL */
    uint64_t *idle;
    struct weir_undo *capture; /* of weir_capture_init(), else NULL */
    uint32_t *index; /* words for directories */
    struct weir_arena_spec spec;
    /* Those of spec.groups that are this subtask's, where they may move while it runs (handover.h);
     * NULL: all. Borrowed, set behind init; the stage's core alone changes it. */
    uint64_t *owned;
    uint32_t page_cnt;
    uint32_t page_used_cnt; /* page 0 counts */
    uint32_t page_fresh; /* pages from here on were never used and are zero */
    uint32_t free_cnt;
    uint32_t *free_page;
    struct weir_arena_link *links;
    uint32_t *slab_head; /* [group in range][class] */
    uint64_t index_word_cnt;
    uint64_t index_fresh;
    uint32_t index_free[32]; /* heads by lg2 of words; 0: none */
    char *table_mem;
    uint32_t table_free; /* head of the free table records, plus 1 */
    uint32_t table_fresh;
    uint32_t table_cnt;
    char *scratch; /* one page */
    uint64_t epoch; /* rises when lines must be touched anew */
};

/* weir_arena_init - lay an arena out in memory that the caller gives.
 *
 * Shape:   mem is aligned to 4096 and zero; bytes is all there is, for pages and what stands beside
 *          them (about 2 % and the table records).
 * Owner:   keeps mem until the caller stops using the arena; there is nothing to undo.
 * Errors:  WEIR_EBUDGET when bytes hold no useful number of pages; WEIR_EINVAL.
 */
WEIR_API WEIR_MUST_USE int weir_arena_init(
    struct weir_arena *arena, const struct weir_arena_spec *spec, void *mem, uint64_t bytes);

/* weir_arena_page_take - a page, its lines all marked as written; not zeroed.
 *
 * Errors:  WEIR_EBUDGET, with the arena's name and size in the context.
 */
WEIR_API WEIR_MUST_USE int weir_arena_page_take(struct weir_arena *arena, uint32_t *ret_page);
WEIR_API void weir_arena_page_give(struct weir_arena *arena, uint32_t page);

/* weir_arena_block_take - a block of a class, zeroed, in a slab of that key group.
 *
 * Shape:   group is relative to the arena's range. Errors: WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int weir_arena_block_take(
    struct weir_arena *arena, uint32_t group, uint32_t class_idx, uint32_t *ret_ref);
WEIR_API void weir_arena_block_give(struct weir_arena *arena, uint32_t ref);
WEIR_API uint32_t weir_arena_class_bytes(uint32_t class_idx);
/* weir_arena_class_of - the smallest blob class of at least bytes; bytes <= 4032. */
WEIR_API uint32_t weir_arena_class_of(uint32_t bytes);

/* weir_arena_index_take - 2^lg2 zeroed words for a directory; the offset is never 0.
 *
 * Errors:  WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int
weir_arena_index_take(struct weir_arena *arena, uint32_t lg2, uint32_t *ret_word);
WEIR_API void weir_arena_index_give(struct weir_arena *arena, uint32_t word, uint32_t lg2);

/* weir_arena_rebuild - make free pages and slab lists again from the page headers; directories and
 * roots are given up: the tables' owner makes them again (weir_table_rebuild). */
WEIR_API void weir_arena_rebuild(struct weir_arena *arena);

/* weir_arena_masks_clear - start an epoch without a snapshot, forgetting what was written in the
 * one before. Cold: O(pages). */
WEIR_API void weir_arena_masks_clear(struct weir_arena *arena);
/* weir_arena_masks_fill - mark all lines of the pages in use as written, as after a restore. Cold.
 */
WEIR_API void weir_arena_masks_fill(struct weir_arena *arena);

/* ---- snapshots; the storage core's side is capture.h ---- */

/* weir_arena_snapshot_begin - the barrier: what the pages hold now is what will be captured.
 *
 * Shape:   the arena has a capture. Pointers to values that were resolved before must be resolved
 *          (or touched) anew before they are written: the epoch rises.
 * Thread:  the stage's core. Cost: some stores, whatever the arena's size.
 * Returns: WEIR_DONE; WEIR_AGAIN where the snapshot before is not tidied away yet
 *          (weir_capture_tidy): nothing has happened.
 */
WEIR_API WEIR_MUST_USE int weir_arena_snapshot_begin(struct weir_arena *arena);

enum weir_arena_snapshot {
    WEIR_ARENA_SNAPSHOT_NONE, /* none is live: nothing is saved */
    WEIR_ARENA_SNAPSHOT_LIVE,
    WEIR_ARENA_SNAPSHOT_FULL, /* the undo budget is nearly used up: do not write for a while */
};
/* weir_arena_snapshot_poll - to be asked between batches.
 *
 * FULL asks the caller to leave the arena alone for now, and for how long it does is the caller's
 * to bound; then it declines. A caller that does not ask, or writes more in one go than the reserve
 * of the budget has room for, is not held up: the snapshot is declined on its behalf.
 */
WEIR_API enum weir_arena_snapshot weir_arena_snapshot_poll(struct weir_arena *arena);
/* weir_arena_snapshot_decline - give the live snapshot up, if there is one; go on at once. */
WEIR_API void weir_arena_snapshot_decline(struct weir_arena *arena);

/* weir_arena_used_bytes - bytes of pages in use. */
static inline uint64_t
weir_arena_used_bytes(const struct weir_arena *arena)
{
    return (uint64_t)(arena->page_used_cnt - 1) * WEIR_PAGE_BYTES;
}

/* weir_arena_owns - whether the key group, counted from 0, is the subtask's. */
static inline bool
weir_arena_owns(const struct weir_arena *arena, uint32_t group)
{
    const struct weir_keygroup_range *groups = &arena->spec.groups;
    return group - groups->first < groups->cnt &&
           (arena->owned == NULL || weir_keygroup_has(arena->owned, group));
}

static inline void *
weir_arena_ptr(const struct weir_arena *arena, uint32_t ref)
{
    return arena->base + (size_t)ref * WEIR_ARENA_REF_BYTES;
}

/* weir_arena_block_bytes - of a block that is taken: those of its class. */
static inline uint32_t
weir_arena_block_bytes(const struct weir_arena *arena, uint32_t ref)
{
    const struct weir_slab *slab = (const struct weir_slab *)weir_arena_ptr(
        arena, ref / WEIR_ARENA_PAGE_REFS * WEIR_ARENA_PAGE_REFS);
    return weir_arena_class_bytes(slab->class_idx);
}

/* weir_arena_save - before the first write of this epoch to these lines of a page: mark them, and
 * save them where a snapshot is live. Cold part of touch. */
WEIR_API void weir_arena_save(struct weir_arena *arena, size_t page, uint64_t lines);

/* weir_arena_touch_line - call before writing within one line. Hot: a load and a test, once the
 * line was written in this epoch. */
static inline void
weir_arena_touch_line(struct weir_arena *arena, const void *ptr)
{
    size_t off = (size_t)((const char *)ptr - arena->base);
    uint64_t line = UINT64_C(1) << ((off / WEIR_LINE_BYTES) & 63);
    if (WEIR_UNLIKELY((arena->saved[off / WEIR_PAGE_BYTES] & line) == 0)) {
        weir_arena_save(arena, off / WEIR_PAGE_BYTES, line);
    }
}

/* weir_arena_touch - call before writing [ptr, ptr + bytes), which lie in one page; bytes > 0. */
static inline void
weir_arena_touch(struct weir_arena *arena, const void *ptr, uint32_t bytes)
{
    size_t off = (size_t)((const char *)ptr - arena->base);
    uint32_t first = (uint32_t)(off / WEIR_LINE_BYTES) & 63;
    uint32_t cnt = (uint32_t)((off + bytes - 1) / WEIR_LINE_BYTES - off / WEIR_LINE_BYTES) + 1;
    uint64_t lines = (cnt >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << cnt) - 1) << first;
    if ((~arena->saved[off / WEIR_PAGE_BYTES] & lines) != 0) {
        weir_arena_save(arena, off / WEIR_PAGE_BYTES, lines);
    }
}

WEIR_C_END

#endif
