/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of each key where none is ever taken back: no others are kept.
 *
 *     state:   struct kept        first: sorted rows (row_sorted.h)
 *
 * Most rows of a long stream are behind the last that is kept: for them two or three words are
 * compared, and nothing else is done.
 */
#include <string.h>

#include "base/mutant.h"
#include "dataplane/ranking.h"
#include "dataplane/ranking_priv.h"
#include "dataplane/row_sorted.h"

static const struct weir_kind kinds[] = {WEIR_KIND_ROWS_SORTED("first")};

struct kept {
    uint64_t shape; /* of the rows */
    uint64_t seq; /* of the next row that comes */
    uint64_t cnt; /* rows in the list */
    uint64_t told;
    /* The last of the rows, where there are as many as may be. */
    uint64_t last_word[WEIR_ROW_ORDER_CNT_MAX];
    uint64_t last_seq;
};
WEIR_STATIC_ASSERT(sizeof(struct kept) <= WEIR_PROCESS_STATE_BYTES_MAX, "one value");

/* Where a walk over the list stood at a row. */
struct place {
    struct weir_kind_cursor new; /* at the first row behind the new one */
    struct weir_kind_cursor last;
};

static bool
is_full(const struct weir_ranking *rank, const struct kept *kept)
{
    return kept->cnt == rank->cnt;
}

static bool
is_behind(
    const struct weir_ranking *rank, const struct kept *kept, const struct weir_row_entry *entry)
{
    struct weir_row_entry last;
    if (!is_full(rank, kept)) {
        return false;
    }
    memcpy(last.word, kept->last_word, sizeof last.word);
    last.seq = kept->last_seq;
    return weir_row_entry_compare(&rank->order, entry, &last) > 0;
}

static bool
next_row(
    const struct weir_ranking *rank, struct weir_kind_cursor *cursor, struct weir_row_entry *entry)
{
    uint32_t bytes;
    const char *element = weir_kind_next(cursor, NULL, &bytes);
    if (element != NULL) {
        weir_row_sorted_take(&rank->order, element, bytes, entry);
    }
    return element != NULL;
}

/* ---- one row ---- */

/* The rows of the list, and where the new one comes among them. */
static void
find_place(const struct ranking_change *change, const struct kept *kept,
    const struct weir_row_entry *entry, struct ranking_first *first, struct place *place)
{
    struct weir_kind_cursor *cursor = &place->last;
    bool found = false;
    first->cnt = 0;
    first->at = 0;
    if (kept->cnt == 0) {
        return; /* a new key: nothing is looked for */
    }
    weir_kind_begin(weir_process_state(change->p, 0), cursor);
    while (next_row(change->rank, cursor, &first->row[first->cnt])) {
        const struct weir_row_entry *row = &first->row[first->cnt];
        if (!found && weir_row_entry_compare(&change->rank->order, row, entry) > 0) {
            found = true;
            first->at = first->cnt;
            place->new = *cursor;
        }
        first->cnt++;
    }
    first->at = found ? first->at : first->cnt;
}

static void
note_last(struct kept *kept, const struct weir_row_entry *last)
{
    memcpy(kept->last_word, last->word, sizeof kept->last_word);
    kept->last_seq = last->seq;
}

static int
keep_row(const struct ranking_change *change, struct kept *kept, const struct ranking_first *first,
    struct place *place, struct weir_slice element)
{
    if (first->at == first->cnt) {
        return weir_list_add(weir_process_state(change->p, 0), element);
    }
    if (!is_full(change->rank, kept)) {
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
rank_row(struct ranking_change *change, void *state)
{
    struct kept *kept = state;
    const struct weir_ranking *rank = change->rank;
    struct weir_row_entry entry = {.seq = rank->latest_first ? ~kept->seq : kept->seq, .cnt = 1};
    char room[WEIR_ROW_SORTED_BYTES_MAX] WEIR_ALIGNED(8);
    struct ranking_first first;
    struct place place;
    int err = weir_ranking_shape_check(rank, kept->shape);
    change->told = &kept->told;
    if (err < 0) {
        return err;
    }
    weir_row_order_words(&rank->order, change->view, change->row, entry.word);
    if (is_behind(rank, kept, &entry)) {
        return WEIR_DONE;
    }
    err = weir_row_sorted_load(&rank->order, change->view, change->row, room, &entry);
    if (err < 0) {
        return err;
    }
    find_place(change, kept, &entry, &first, &place);
    if (weir_ranking_tell(change, &first, &entry) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    struct weir_slice element = weir_row_sorted_element(&rank->order, &entry, room);
    err = keep_row(change, kept, &first, &place, element);
    kept->seq++;
    kept->shape = rank->shape;
    kept->cnt += is_full(rank, kept) ? 0 : 1;
    if (is_full(rank, kept)) {
        uint32_t last = rank->cnt - 1;
        uint32_t at = WEIR_MUTANT(RANK_BAR_AT_FIRST) ? 0 : last - (last > first.at);
        note_last(kept, last == first.at ? &entry : &first.row[at]);
    }
    return err;
}

static int
rank_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    return ranking_rows(p, view, from, cnt, state, rank_row);
}

void
weir_ranking_take_inserts(struct weir_process_function *function)
{
    function->state_bytes = sizeof(struct kept);
    function->rows = rank_rows;
    function->kinds = kinds;
    function->kind_cnt = WEIR_ARRAY_CNT(kinds);
}
