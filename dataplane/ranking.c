/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of each key, as a table that changes. It is a process function (process.h) over
 * rows of any schema. What it keeps of inserts is in ranking_inserts.c; here, of changes:
 *
 *     state:   struct kept        rows: a bag
 */
#include "dataplane/ranking.h"

#include <string.h>

#include "base/mutant.h"
#include "dataplane/ranking_priv.h"

static const struct weir_kind kinds[] = {WEIR_KIND_ROW_BAG("rows")};

struct kept {
    uint64_t shape; /* of the rows */
    uint64_t seq; /* of the next row that comes */
    uint64_t told;
};

/* Part of the shape: how rows are kept. */
#define SHAPE_BAG UINT64_C(2)
#define SHAPE_LIST UINT64_C(8)

static void
put_first(const struct weir_ranking *rank, struct ranking_first *first,
    const struct weir_row_entry *entry)
{
    uint32_t max = rank->cnt + 1;
    uint32_t at = first->cnt;
    while (at > 0 && weir_row_entry_compare(&rank->order, entry, &first->row[at - 1]) < 0) {
        at--;
    }
    uint64_t copies = weir_min_u64((uint64_t)entry->cnt, max - at);
    uint32_t stay = weir_min_u32(first->cnt - at, max - at - (uint32_t)copies);
    memmove(&first->row[at + copies], &first->row[at], stay * sizeof first->row[0]);
    for (uint32_t i = 0; i < copies; i++) {
        first->row[at + i] = *entry;
    }
    first->cnt = at + (uint32_t)copies + stay;
}

static void
find_first(const struct ranking_change *change, struct ranking_first *first)
{
    struct weir_kind_cursor cursor;
    struct weir_row_entry entry = {.cnt = 0};
    first->cnt = 0;
    weir_kind_begin(weir_process_state(change->p, 0), &cursor);
    while (weir_row_bag_next(&cursor, &change->rank->order, &entry)) {
        if (entry.cnt > 0) {
            put_first(change->rank, first, &entry);
        }
    }
}

/* ---- rows out ---- */

/* One row of the output; false: there is no room. */
static bool
has_room(const struct ranking_change *change, const struct weir_row_entry *a,
    const struct weir_row_entry *b)
{
    const struct weir_row_map *map = &change->rank->map;
    uint32_t bytes = a != NULL ? weir_row_packed_text_bytes(map, &a->row) : 0;
    bytes += b != NULL ? weir_row_packed_text_bytes(map, &b->row) : 0;
    return weir_out_room(change->p->out, (a != NULL) + (b != NULL), bytes);
}

static void
emit(const struct ranking_change *change, struct weir_row_entry *entry, uint32_t number,
    uint32_t kind)
{
    const struct weir_ranking *rank = change->rank;
    if (entry == NULL) {
        return;
    }
    char *row = weir_row_map_emit(&rank->map, &entry->row, kind, change->p->out);
    if (rank->rank_off >= 0) {
        int64_t value = (int64_t)number;
        memcpy(row + rank->rank_off, &value, sizeof value);
    }
}

/* The row of a rank before and behind the change; NULL: none. */
static struct weir_row_entry *
row_at(const struct ranking_change *change, struct ranking_first *first, uint32_t i)
{
    return i < first->cnt && i < change->rank->cnt ? &first->row[i] : NULL;
}

static struct weir_row_entry *
new_row_at(const struct ranking_change *change, struct ranking_first *first, uint32_t i,
    struct weir_row_entry *entry)
{
    if (i >= change->rank->cnt || i < first->at) {
        return row_at(change, first, i);
    }
    if (change->goes) {
        return i + 1 < first->cnt ? &first->row[i + 1] : NULL;
    }
    return i == first->at ? entry : row_at(change, first, i - 1);
}

/* An update, an insert or a delete of what stands at a rank. */
static int
tell_pair(const struct ranking_change *change, struct weir_row_entry *old,
    struct weir_row_entry *new, uint32_t number)
{
    if (!has_room(change, old, new)) {
        return WEIR_AGAIN;
    }
    emit(change, old, number, new != NULL ? WEIR_ROW_UPDATE_BEFORE : WEIR_ROW_DELETE);
    emit(change, new, number, old != NULL ? WEIR_ROW_UPDATE_AFTER : WEIR_ROW_INSERT);
    return WEIR_DONE;
}

static int
tell_ranks(
    const struct ranking_change *change, struct ranking_first *first, struct weir_row_entry *entry)
{
    for (uint32_t i = first->at + (uint32_t)*change->told; i < change->rank->cnt; i++) {
        struct weir_row_entry *old = row_at(change, first, i);
        struct weir_row_entry *new = new_row_at(change, first, i, entry);
        bool same = old != NULL && new != NULL &&weir_row_entry_same(old, new);
        if (old == NULL && new == NULL) {
            break;
        }
        if (!same && tell_pair(change, old, new, i + 1) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
        ++*change->told;
    }
    *change->told = 0;
    return WEIR_DONE;
}

/* Without ranks one row goes, and one comes. */
static int
tell_rows(
    const struct ranking_change *change, struct ranking_first *first, struct weir_row_entry *entry)
{
    uint32_t last = change->rank->cnt - 1;
    struct weir_row_entry *old =
        change->goes ? row_at(change, first, first->at) : row_at(change, first, last);
    struct weir_row_entry *new = change->goes ? new_row_at(change, first, last, entry) : entry;
    bool same = old != NULL && new != NULL &&weir_row_entry_same(old, new);
    if (same || change->rank->cnt == 1) {
        return same ? (int)WEIR_DONE : tell_pair(change, old, new, 1);
    }
    if (!has_room(change, old, new)) {
        return WEIR_AGAIN;
    }
    if (!WEIR_MUTANT(RANK_DISPLACED_UNTOLD)) {
        emit(change, old, 0, WEIR_ROW_DELETE);
    }
    emit(change, new, 0, WEIR_ROW_INSERT);
    return WEIR_DONE;
}

int
weir_ranking_tell(
    const struct ranking_change *change, struct ranking_first *first, struct weir_row_entry *entry)
{
    if (first->at >= change->rank->cnt) {
        return WEIR_DONE;
    }
    return change->rank->rank_off >= 0 ? tell_ranks(change, first, entry)
                                       : tell_rows(change, first, entry);
}

/* ---- one row ---- */

/* Whether state of a shape (0: none yet) is of these rows. */
static int
shape_check(const struct weir_ranking *rank, uint64_t shape)
{
    return shape == 0 || shape == rank->shape
               ? 0
               : weir_err_push(
                     WEIR_ESTATE, "the state of a rank has rows of another schema or order");
}

/* Where a row comes or goes among the first; rank->cnt where it is none of them. */
static void
find_place(const struct ranking_change *change, const struct weir_row_entry *entry,
    struct ranking_first *first)
{
    const struct weir_ranking *rank = change->rank;
    first->at = rank->cnt;
    bool shows = change->goes ? entry->cnt > 0 : entry->cnt >= 0;
    if (!shows) {
        return;
    }
    find_first(change, first);
    first->at = 0;
    while (
        first->at < first->cnt &&
        (change->goes ? !weir_row_entry_same(&first->row[first->at], entry)
                      : weir_row_entry_compare(&rank->order, &first->row[first->at], entry) <= 0)) {
        first->at++;
    }
}

static int
rank_row(struct ranking_change *change, void *state)
{
    struct kept *kept = state;
    const struct weir_ranking *rank = change->rank;
    struct weir_row_entry entry = {.seq = rank->latest_first ? ~kept->seq : kept->seq};
    struct ranking_first first;
    char packed[WEIR_ROW_PACK_BYTES_MAX] WEIR_ALIGNED(8);
    change->goes = weir_row_kind_retracts(weir_view_kind(change->view, change->row));
    change->told = &kept->told;
    int err = shape_check(rank, kept->shape);
    err = err < 0 ? err : weir_row_pack(change->view, change->row, packed, &entry.row.bytes);
    if (err < 0) {
        return err;
    }
    entry.row.packed = packed;
    weir_row_order_words(&rank->order, change->view, change->row, entry.word);
    weir_row_bag_find(weir_process_state(change->p, 0), &rank->order, &entry);
    find_place(change, &entry, &first);
    if (weir_ranking_tell(change, &first, &entry) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    kept->seq++;
    kept->shape = rank->shape;
    struct weir_keyed_state *rows = weir_process_state(change->p, 0);
    err = weir_row_bag_add(rows, &rank->order, &entry, change->goes ? -1 : 1);
    if (err == 0 && weir_map_is_empty(rows)) {
        weir_process_clear(change->p, kept);
    }
    return err;
}

static int
rank_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    return ranking_rows(p, view, from, cnt, state, rank_row);
}

static int
find_rank(struct weir_ranking *rank, const char *rank_as, const struct weir_schema *out)
{
    uint64_t rest = weir_row_map_rest(&rank->map);
    rank->rank_off = -1;
    if (rank_as != NULL) {
        int idx = weir_schema_field(out, rank_as);
        if (idx < 0 || out->fields[idx].type != WEIR_TYPE_I64 || (rest >> idx & 1) == 0) {
            return weir_err_push(WEIR_EGRAPH, "%s has no field %s of its own, an i64, for the rank",
                out->name, rank_as);
        }
        rank->rank_off = (int32_t)out->fields[idx].off;
        rest &= ~(UINT64_C(1) << idx);
    }
    if (rest != 0) {
        return weir_err_push(WEIR_EGRAPH, "nothing goes into the field %s of %s",
            out->fields[__builtin_ctzll(rest)].name, out->name);
    }
    return 0;
}

int
weir_ranking_init(struct weir_ranking *rank, const struct weir_ranking_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out, bool takes_changes)
{
    memset(rank, 0, sizeof *rank);
    rank->function = (struct weir_process_function){.name = "rank",
        .state_bytes = sizeof(struct kept),
        .rows = rank_rows,
        .kinds = kinds,
        .kind_cnt = WEIR_ARRAY_CNT(kinds)};
    rank->latest_first = conf->latest_first;
    rank->cnt = conf->cnt;
    if (conf->cnt == 0 || conf->cnt > WEIR_RANKING_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "the first %u rows of a key: it must be 1 to %d",
            conf->cnt, WEIR_RANKING_CNT_MAX);
    }
    int err = weir_row_order_init(&rank->order, conf->by, in);
    err = err < 0 ? err : weir_row_map_init(&rank->map, in, out);
    err = err < 0 ? err : find_rank(rank, conf->rank_as, out);
    rank->shape = weir_row_order_shape(&rank->order, in) ^
                  (takes_changes ? SHAPE_BAG : SHAPE_LIST) ^ (uint64_t)conf->latest_first;
    if (!takes_changes) {
        weir_ranking_take_inserts(rank);
    }
    return err;
}
