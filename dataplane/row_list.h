/* SPDX-License-Identifier: Apache-2.0 */
/* row_list.h: rows kept in state, in the order they came, as lists that an entry of a table holds.
 *
 *     entry { head, tail } -> item -> item -> item        (blobs of the entry's key group)
 *     item:  next u32 | text_bytes u32 | time i64 | tag u64 | the row as its struct | texts
 *
 * Strings of a kept row refer to the texts behind it.
 *
 * Limits:  a row with its texts: WEIR_ROW_ITEM_BYTES_MAX. Thread: the stage's core only.
 */
#ifndef WEIR_DATAPLANE_ROW_LIST_H
#define WEIR_DATAPLANE_ROW_LIST_H

#include "dataplane/batch.h"
#include "dataplane/blob.h"

WEIR_C_BEGIN

#define WEIR_ROW_ITEM_BYTES_MAX 65536

/* Part of an entry's value; zero is an empty list. */
struct weir_row_list {
    uint32_t head;
    uint32_t tail;
};

/* A kept row; borrowed from the arena, or from scratch where it lies in several pieces. */
struct weir_row_item {
    const void *row;
    const char *heap; /* of its strings */
    uint32_t heap_bytes;
    int64_t time; /* its event time, WEIR_TIME_MIN where it has none */
    uint64_t tag; /* as given when it was added */
    uint32_t next;
    bool is_copy; /* lies in scratch */
};

/* weir_row_list_add - keep physical row `row` of view at the end of list.
 *
 * Shape:   the caller has touched list. scratch has WEIR_ROW_ITEM_BYTES_MAX bytes, 8-aligned.
 *          group is that of the entry's key, relative to the arena's range.
 * Errors:  WEIR_EBUDGET; WEIR_EDATA: the row is too long.
 */
struct weir_row_place {
    struct weir_arena *arena;
    uint32_t group;
    char *scratch;
    uint64_t tag; /* the caller's, kept with the row */
};
WEIR_API WEIR_MUST_USE int weir_row_list_add(struct weir_row_list *list,
    const struct weir_row_place *place, const struct weir_view *view, uint32_t row);

/* weir_row_item_at - the item of a reference; of a row of this schema. */
WEIR_API void weir_row_item_at(const struct weir_arena *arena, const struct weir_schema *schema,
    uint32_t ref, char *scratch, struct weir_row_item *ret_item);
/* weir_row_item_give - free one item; returns the next one's reference. */
WEIR_API uint32_t weir_row_item_give(struct weir_arena *arena, uint32_t ref);

WEIR_C_END

#endif
