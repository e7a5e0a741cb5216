/* SPDX-License-Identifier: Apache-2.0 */
/* restore.h: an arena from the records of a capture: of one old arena, or the key groups that a
 * subtask owns now out of several.
 *
 *     weir_restore_init
 *       for each old arena:  weir_restore_source
 *                            weir_restore_apply, record by record: the snapshot in full,
 *                                                then its increments, oldest first
 *                            weir_restore_source_end
 *     weir_restore_finish    (directories, free pages ...: weir_table_rebuild)
 *
 * In place: where one old arena is restored whole, pages keep their numbers, and every reference in
 * them holds. Moved: from several, or into fewer pages, a page goes where there is room, and
 * references are written anew: those of long keys here, those in values (and what they lead to) by
 * the state's own function, which knows them. Tables get new places in either case; operators find
 * theirs by weir_restore_table(), or by state and namespace. Tables that were being given back are
 * given back; blobs that their values refer to only the operator knows.
 *
 * Thread:  one, before the arena's core runs. Errors leave an arena that is of no use.
 */
#ifndef WEIR_DATAPLANE_RESTORE_H
#define WEIR_DATAPLANE_RESTORE_H

#include "dataplane/capture.h"
#include "dataplane/table.h"

WEIR_C_BEGIN

struct weir_restore;

/* Write the references in a value anew, by weir_restore_ref() and weir_restore_blob(). Called once
 * for each entry of a table that was moved. */
typedef int(weir_restore_value_fn)(
    void *arg, struct weir_restore *restore, const struct weir_table *table, void *val);

struct weir_restore_spec {
    uint32_t page_cnt_max; /* of the largest old arena */
    uint32_t table_cnt_max;
    bool is_in_place;
    /* In place only: the next snapshot rests on the one that is restored (weir_capture_rest), so
     * that only what the restore itself changes counts as written. */
    bool is_continued;
    weir_restore_value_fn *value_fn; /* NULL: values hold no references */
    /* Whether a state is one of the arena's operators: tables of others are given up, and so is
     * whatever nothing refers to any more. NULL: all are. */
    bool (*is_known_fn)(void *arg, uint32_t state_id);
    void *arg;
};

struct weir_restore {
    struct weir_arena *arena;
    struct weir_restore_spec spec;
    void *mem;
    uint64_t (*reached)[2]; /* [old] blocks of a slab that something refers to; NULL: not asked */
    uint32_t *page; /* [old] where it lies now, 0: nowhere */
    uint32_t *table; /* [old] its place now, plus 1 */
    uint32_t old_end; /* old pages from here on are in no record of the present source */
    uint32_t source_cnt;
    uint32_t source_table_cnt; /* tables from here on are of this source */
    uint64_t record_cnt;
    uint64_t ref_room; /* references that may still be written anew before they go in a circle */
};

/* weir_restore_footprint - bytes of memory for a restore, zero, aligned to 8. */
static inline uint64_t
weir_restore_footprint(const struct weir_restore_spec *spec)
{
    uint64_t reached = spec->is_known_fn != NULL ? spec->page_cnt_max * UINT64_C(16) : 0;
    return reached + ((uint64_t)spec->page_cnt_max + spec->table_cnt_max) * sizeof(uint32_t);
}

/* weir_restore_init - into a fresh arena.
 *
 * Owner:   mem is kept until weir_restore_finish(). Errors: WEIR_EINVAL: the arena is in use, or
 *          has too few pages for an old one in place.
 */
WEIR_API WEIR_MUST_USE int weir_restore_init(struct weir_restore *restore, struct weir_arena *arena,
    const struct weir_restore_spec *spec, void *mem);
/* weir_restore_source - begin with an old arena. Errors: WEIR_EILLEGAL: a second one in place. */
WEIR_API WEIR_MUST_USE int weir_restore_source(struct weir_restore *restore);
/* weir_restore_apply - the record at the start of `bytes` bytes.
 *
 * Shape:   buf at a multiple of 8. Records of key groups that the arena does not own are passed
 *          over.
 * Returns: > 0 the record's bytes.
 * Errors:  WEIR_EFORMAT: it is damaged, or an increment without what it rests on; WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int64_t weir_restore_apply(
    struct weir_restore *restore, const void *buf, uint64_t bytes);
/* weir_restore_source_end - all records of the old arena were applied: its tables.
 *
 * Errors:  WEIR_EFORMAT, WEIR_EBUDGET; WEIR_ESTATE: tables of one state, kind and namespace are in
 *          two sources and cannot be told apart; what value_fn says.
 */
WEIR_API WEIR_MUST_USE int weir_restore_source_end(struct weir_restore *restore);
/* weir_restore_finish - make the indexes again. All lines count as written, unless it is
 * continued. */
WEIR_API WEIR_MUST_USE int weir_restore_finish(struct weir_restore *restore);

/* weir_restore_table - what became of a table of the present source, by its old place; NULL: it is
 * not restored. Between weir_restore_source_end() and the next source. */
WEIR_API struct weir_table *
weir_restore_table(const struct weir_restore *restore, uint32_t old_idx);
/* weir_restore_ref - a reference of the present source as it is now; 0 of 0. It must not lead to
 * another key group's page. In value_fn, and until the next source. 0, too, of all references once
 * there were more than the source has room for: a walk stops there, and who began it asks
 * weir_restore_check_refs(). */
WEIR_API uint32_t weir_restore_ref(struct weir_restore *restore, uint32_t ref);
/* weir_restore_blob - the same for a blob (blob.h), with the links of its pieces; once a blob. */
WEIR_API uint32_t weir_restore_blob(struct weir_restore *restore, uint32_t ref);
/* weir_restore_check_refs - behind such a walk. Errors: WEIR_EFORMAT: it went in a circle. */
WEIR_API WEIR_MUST_USE int weir_restore_check_refs(const struct weir_restore *restore);

WEIR_C_END

#endif
