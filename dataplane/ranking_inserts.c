/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of each key where none is ever taken back: no others are kept.
 *
 *     state:   first: sorted rows (row_sorted.h), of which there is one at least
 *
 * Most rows of a long stream are behind the last that is kept: for them a word or two are compared,
 * and nothing else is done. A row that comes is later than all that are there, so of equal ones its
 * place is known; its number is that of the latest and one.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/ranking.h"
#include "dataplane/ranking_priv.h"
#include "dataplane/row_sorted.h"

/* Where a walk over the list stood at a row. */
struct place {
    struct weir_kind_cursor new; /* at the first row behind the new one */
    struct weir_kind_cursor last;
};

static bool
comes_before(const struct weir_ranking *rank, const struct weir_row_entry *entry,
    const struct weir_row_entry *row)
{
    for (uint32_t i = 0; i < rank->order.cnt; i++) {
        if (entry->word[i] != row->word[i]) {
            return entry->word[i] < row->word[i];
        }
    }
    return rank->latest_first;
}

/* Of a list that is full. */
static bool
is_behind(const struct weir_ranking *rank, struct weir_keyed_state *rows,
    const struct weir_row_entry *entry)
{
    struct weir_kind_cursor cursor;
    struct weir_row_entry last;
    uint32_t bytes;
    weir_list_begin_back(rows, &cursor);
    const char *element = weir_list_back(&cursor, &bytes);
    for (uint32_t i = 1; i < rank->cnt && WEIR_MUTANT(RANK_BAR_AT_FIRST); i++) {
        element = weir_list_back(&cursor, &bytes);
    }
    weir_row_sorted_take(&rank->order, element, bytes, &last);
    return !comes_before(rank, entry, &last);
}

/* ---- one row ---- */

/* The rows of the list, where the new one comes among them, and its number. */
static void
find_place(const struct weir_ranking *rank, struct weir_keyed_state *rows,
    struct weir_row_entry *entry, struct ranking_first *first, struct place *place)
{
    struct weir_kind_cursor *cursor = &place->last;
    const uint32_t cnt = weir_list_cnt(rows);
    uint64_t seq = 0;
    first->cnt = 0;
    first->at = cnt;
    weir_kind_begin(rows, cursor);
    for (uint32_t i = 0; i < cnt; i++) {
        struct weir_row_entry *row = &first->row[first->cnt];
        uint32_t bytes;
        const char *element = weir_kind_next(cursor, NULL, &bytes);
        weir_row_sorted_take(&rank->order, element, bytes, row);
        seq = weir_max_u64(seq, (rank->latest_first ? ~row->seq : row->seq) + 1);
        if (first->at == cnt && comes_before(rank, entry, row)) {
            first->at = i;
            place->new = *cursor;
        }
        first->cnt++;
    }
    entry->seq = rank->latest_first ? ~seq : seq;
}

static int
keep_row(const struct weir_ranking *rank, struct weir_keyed_state *rows,
    const struct ranking_first *first, struct place *place, struct weir_slice element)
{
    if (first->at == first->cnt) {
        return weir_list_add(rows, element);
    }
    if (first->cnt < rank->cnt) {
        return weir_list_insert(&place->new, element);
    }
    if (first->at == first->cnt - 1) {
        return weir_list_replace(&place->last, element);
    }
    int err = weir_list_insert(&place->new, element);
    if (err == 0) {
        weir_list_remove(&place->last);
    }
    return err;
}

static int
rank_row(struct ranking_change *change, void *state WEIR_UNUSED)
{
    const struct weir_ranking *rank = change->rank;
    struct weir_keyed_state *rows = weir_process_state(change->p, 0);
    struct weir_row_entry entry = {.cnt = 1};
    char room[WEIR_ROW_SORTED_BYTES_MAX] WEIR_ALIGNED(8);
    struct ranking_first first;
    struct place place;
    change->told = weir_process_room(change->p);
    weir_row_order_words(&rank->order, change->view, change->row, entry.word);
    if (weir_list_cnt(rows) == rank->cnt && is_behind(rank, rows, &entry)) {
        return WEIR_DONE;
    }
    int err = weir_row_sorted_load(&rank->order, change->view, change->row, room, &entry);
    if (err < 0) {
        return err;
    }
    find_place(rank, rows, &entry, &first, &place);
    if (weir_ranking_tell(change, &first, &entry) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    struct weir_slice element = weir_row_sorted_element(&rank->order, &entry, room);
    return keep_row(rank, rows, &first, &place, element);
}

static int
rank_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    return ranking_rows(p, view, from, cnt, state, rank_row);
}

void
weir_ranking_take_inserts(struct weir_ranking *rank)
{
    rank->kind = (struct weir_kind)WEIR_KIND_ROWS_SORTED("first");
    /* How many, too: a longer list would not be full, and of a shorter one rows are gone. */
    rank->kind.content = rank->shape ^ weir_hash_u64(rank->cnt);
    rank->function.state_bytes = 0;
    rank->function.rows = rank_rows;
    rank->function.kinds = &rank->kind;
    rank->function.kind_cnt = 1;
}
