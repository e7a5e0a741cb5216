/* SPDX-License-Identifier: Apache-2.0 */
/* row_list.h: rows kept in state, in the order they came, as lists that an entry of a table holds.
 *
 *     store:  per key group chunks of growing size, filled from front to back
 *     entry { last }  last item -> first item -> ... -> last item
 *                                                         (in chunks of the entry's key group)
 * [format: State / Lists of rows (WEIR_CAPTURE_VERSION)]
 *
 *     chunk:  before it u32 | bytes u32 | of them used u32 | number u32 | items at multiples of 16
 *     item:   next u32 | bytes u32 | text_bytes u32 | blob u32 | time i64 | tag u64
 *             the row as its struct | texts               (or in a blob, where they are longer)
 *
 * A value holds the ref of the last item, whose next is the first. Strings of a kept row refer to
 * the texts behind it. The number rises from chunk to chunk of a key group.
 *
 * [end of format]
 *
 * Rows are not freed one by one but with their
 * store: panes end as a whole, and rows that an incremental join has seen are kept for ever.
 *
 * Limits:  a row with its texts: WEIR_ROW_ITEM_BYTES_MAX. Thread: the stage's core only.
 */
#ifndef WEIR_DATAPLANE_ROW_LIST_H
#define WEIR_DATAPLANE_ROW_LIST_H

#include "dataplane/batch.h"
#include "dataplane/blob.h"
#include "dataplane/restore.h"
#include "dataplane/state.h"

WEIR_C_BEGIN

#define WEIR_ROW_ITEM_BYTES_MAX 65536

/* Part of an entry's value; zero is an empty list. One word, so that an entry of two lists is as
 * small as a count: the last item leads to the first. */
struct weir_row_list {
    uint32_t last;
};

struct weir_row_store {
    struct weir_arena *arena;
    uint32_t open; /* index words: the newest chunk of each key group */
    uint32_t give_group; /* how far weir_row_store_give() came */
    uint64_t blob_cnt; /* rows that lie in blobs; many where they were restored, uncounted */
};

/* weir_row_store_init - an empty store. Errors: WEIR_EBUDGET. */
WEIR_API WEIR_MUST_USE int
weir_row_store_init(struct weir_row_store *store, struct weir_arena *arena);
/* weir_row_store_give - free its rows, about chunk_cnt chunks a call.
 *
 * Returns: WEIR_AGAIN until all are free, then WEIR_DONE; the store is gone then.
 */
WEIR_API int weir_row_store_give(struct weir_row_store *store, uint32_t chunk_cnt);

/* ---- checkpoints ----
 *
 * Rows, chunks and lists lie in state pages. What lies beside them is which chunk of a key group is
 * the newest, and it is found again: the row that came last is the last one of its list.
 */

/* weir_row_store_adopt - a list of an entry was restored: its rows are in this store. The store was
 * initialised, and is told of all lists before rows are added. It then knows all its chunks. */
WEIR_API void weir_row_store_adopt(struct weir_row_store *store, const struct weir_row_list *list);
/* weir_row_list_move - a list whose rows lie elsewhere now: write its references anew, those of its
 * rows, and those of the chunks that begin with one of them. Shape: as weir_state_move_fn. */
WEIR_API void weir_row_list_move(
    struct weir_arena *arena, const struct weir_state_mover *mover, struct weir_row_list *list);

/* ---- savepoints ---- */

/* weir_row_list_next - the next row of a list as state.h wants it; walk->room has its copy where it
 * lies in a blob. word[0] is its time, word[1] its tag. Returns 1; 0; WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int
weir_row_list_next(struct weir_state_walk *walk, const struct weir_schema *schema,
    const struct weir_row_list *list, struct weir_state_row *ret_row);
/* weir_row_list_put - such a row at the end of a list, into add->store. Errors: as
 * weir_row_lists_add; WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_row_list_put(const struct weir_state_add *add,
    const struct weir_schema *schema, uint32_t list_off, const struct weir_state_row *row);
/* weir_row_store_forget - the store is empty again; its rows go on being those of their lists. */
WEIR_API void weir_row_store_forget(struct weir_row_store *store);

/* A kept row; borrowed from the arena, or from scratch where it lies in a blob. */
struct weir_row_item {
    const void *row;
    const char *heap; /* of its strings */
    uint32_t heap_bytes;
    int64_t time; /* its event time, WEIR_TIME_MIN where it has none */
    uint64_t tag; /* as given when it was added */
    uint32_t next; /* of the last one: the first */
    bool is_copy; /* lies in scratch */
};

/* Where the fields of a batch's rows lie, looked up once for all of them: strings first, then other
 * fields of 8 bytes, then the smaller ones. */
struct weir_row_reader {
    const struct weir_view *view;
    uint32_t str_cnt;
    uint32_t word_end;
    uint32_t field_cnt;
    bool has_gaps; /* bytes of a row are of no field */
    struct weir_row_lane {
        const char *ptr;
        uint32_t off; /* in the row struct */
        uint32_t bytes;
    } field[WEIR_FIELD_CNT_MAX];
};
/* weir_row_reader_init - get ready to keep rows of view. Owner: borrows view. */
WEIR_API void weir_row_reader_init(struct weir_row_reader *reader, const struct weir_view *view);

/* weir_row_lists_add - keep selected rows [first, first + cnt) of the reader's view, each at the
 * end of its list.
 *
 * Shape:   the caller has touched the lists. scratch has WEIR_ROW_ITEM_BYTES_MAX bytes, 8-aligned;
 *          it is used for rows that go into blobs.
 * Errors:  WEIR_EBUDGET; WEIR_EDATA: a row is too long. Those before it are kept.
 */
struct weir_row_adds {
    struct weir_row_store *store;
    const uint64_t *hash; /* of the entries' keys: [cnt] */
    void *const *val; /* their values: [cnt] */
    uint32_t list_off; /* of the list in a value */
    uint32_t first;
    uint32_t cnt;
    char *scratch;
    uint64_t tag; /* the caller's, kept with each row */
};
WEIR_API WEIR_MUST_USE int
weir_row_lists_add(const struct weir_row_reader *reader, const struct weir_row_adds *adds);

/* weir_row_lists_ahead - ask for what weir_row_lists_add() will write to for keys of these
 * hashes. */
WEIR_API void
weir_row_lists_ahead(const struct weir_row_store *store, const uint64_t *hash, uint32_t cnt);

/* weir_row_item_at - the item of a reference; of a row of this schema. */
WEIR_API void weir_row_item_at(const struct weir_arena *arena, const struct weir_schema *schema,
    uint32_t ref, char *scratch, struct weir_row_item *ret_item);

/* weir_row_list_first - the first item of a list, 0 where it is empty. */
WEIR_API uint32_t weir_row_list_first(
    const struct weir_arena *arena, const struct weir_row_list *list);
/* weir_row_list_after - what follows the item at ref in its list: 0 behind the last. */
static inline uint32_t
weir_row_list_after(
    const struct weir_row_list *list, uint32_t ref, const struct weir_row_item *item)
{
    return ref == list->last ? 0 : item->next;
}

WEIR_C_END

#endif
