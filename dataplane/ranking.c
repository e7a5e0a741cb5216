/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of each key, as a table that changes. It is a process function (process.h) over
 * rows of any schema.
 *
 *     state:   struct kept        rows: a bag
 *
 * Most rows of a long stream of inserts are behind the last that is kept: for them two or three
 * words are compared, and nothing else is done.
 */
#include "dataplane/ranking.h"

#include <string.h>

static const struct weir_kind kinds[] = {WEIR_KIND_ROW_BAG("rows")};

struct kept {
    uint64_t shape; /* of the rows */
    uint64_t seq; /* of the next row that comes */
    uint64_t cnt; /* of a stream of inserts: rows kept, each as often as it is there */
    uint64_t told; /* of the row at hand: ranks that have been told, where the output was full */
    /* The last of the first cnt rows, where so many are kept of a stream of inserts. */
    uint64_t last_word[WEIR_ROW_ORDER_CNT_MAX];
    uint64_t last_seq;
};
WEIR_STATIC_ASSERT(sizeof(struct kept) <= WEIR_PROCESS_STATE_BYTES_MAX, "one value");

/* The first rows before a change, one more than are told where there is one, and what the change
 * does with them. */
struct first {
    struct weir_row_entry row[WEIR_RANKING_CNT_MAX + 1];
    uint32_t cnt;
    uint32_t at; /* where the row comes, or goes */
};

struct change {
    struct weir_process *p;
    const struct weir_ranking *rank;
    const struct weir_view *view;
    uint32_t row;
    bool goes;
    struct kept *kept;
};

static void
put_first(const struct weir_ranking *rank, struct first *first, const struct weir_row_entry *entry)
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
find_first(const struct change *change, struct first *first)
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
has_room(
    const struct change *change, const struct weir_row_entry *a, const struct weir_row_entry *b)
{
    const struct weir_row_map *map = &change->rank->map;
    uint32_t bytes = a != NULL ? weir_row_map_text_bytes(map, a->packed) : 0;
    bytes += b != NULL ? weir_row_map_text_bytes(map, b->packed) : 0;
    return weir_out_room(change->p->out, (a != NULL) + (b != NULL), bytes);
}

static void
emit(
    const struct change *change, const struct weir_row_entry *entry, uint32_t number, uint32_t kind)
{
    const struct weir_ranking *rank = change->rank;
    if (entry == NULL) {
        return;
    }
    char *row = weir_row_map_emit(&rank->map, entry->packed, kind, change->p->out);
    if (rank->rank_off >= 0) {
        int64_t value = (int64_t)number;
        memcpy(row + rank->rank_off, &value, sizeof value);
    }
}

/* The row of a rank before and behind the change; NULL: none. */
static const struct weir_row_entry *
row_at(const struct change *change, const struct first *first, uint32_t i)
{
    return i < first->cnt && i < change->rank->cnt ? &first->row[i] : NULL;
}

static const struct weir_row_entry *
new_row_at(const struct change *change, const struct first *first, uint32_t i,
    const struct weir_row_entry *entry)
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
tell_pair(const struct change *change, const struct weir_row_entry *old,
    const struct weir_row_entry *new, uint32_t number)
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
    const struct change *change, const struct first *first, const struct weir_row_entry *entry)
{
    for (uint32_t i = first->at + (uint32_t)change->kept->told; i < change->rank->cnt; i++) {
        const struct weir_row_entry *old = row_at(change, first, i);
        const struct weir_row_entry *new = new_row_at(change, first, i, entry);
        bool same = old != NULL && new != NULL &&weir_row_entry_same(old, new);
        if (old == NULL && new == NULL) {
            break;
        }
        if (!same && tell_pair(change, old, new, i + 1) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
        change->kept->told++;
    }
    change->kept->told = 0;
    return WEIR_DONE;
}

/* Without ranks one row goes, and one comes. */
static int
tell_rows(
    const struct change *change, const struct first *first, const struct weir_row_entry *entry)
{
    uint32_t last = change->rank->cnt - 1;
    const struct weir_row_entry *old =
        change->goes ? row_at(change, first, first->at) : row_at(change, first, last);
    const struct weir_row_entry *new =
        change->goes ? new_row_at(change, first, last, entry) : entry;
    bool same = old != NULL && new != NULL &&weir_row_entry_same(old, new);
    if (same || change->rank->cnt == 1) {
        return same ? (int)WEIR_DONE : tell_pair(change, old, new, 1);
    }
    if (!has_room(change, old, new)) {
        return WEIR_AGAIN;
    }
    emit(change, old, 0, WEIR_ROW_DELETE);
    emit(change, new, 0, WEIR_ROW_INSERT);
    return WEIR_DONE;
}

/* ---- one row ---- */

/* A row behind the last of as many as there may be changes nothing. */
static bool
is_behind(const struct change *change, const struct weir_row_entry *entry)
{
    const struct weir_ranking *rank = change->rank;
    struct weir_row_entry last;
    if (rank->takes_changes || change->kept->cnt < rank->cnt) {
        return false;
    }
    memcpy(last.word, change->kept->last_word, sizeof last.word);
    last.seq = change->kept->last_seq;
    return weir_row_entry_compare(&rank->order, entry, &last) > 0;
}

/* Of a stream of inserts, what is no longer among the first is not needed any more. It is never the
 * row that came: that one would have been behind it. */
static int
drop_last(
    const struct change *change, const struct first *first, const struct weir_row_entry *entry)
{
    const struct weir_ranking *rank = change->rank;
    struct kept *kept = change->kept;
    int err = 0;
    if (kept->cnt > rank->cnt) {
        const struct weir_row_entry *last = &first->row[rank->cnt - 1];
        kept->cnt--;
        err = weir_row_bag_add(weir_process_state(change->p, 0), &rank->order, last, -1);
    }
    if (kept->cnt == rank->cnt) {
        const struct weir_row_entry *last = new_row_at(change, first, rank->cnt - 1, entry);
        memcpy(kept->last_word, last->word, sizeof kept->last_word);
        kept->last_seq = last->seq;
    }
    return err;
}

static int
change_rows(struct change *change, struct weir_row_entry *entry)
{
    const struct weir_ranking *rank = change->rank;
    struct first first;
    first.at = rank->cnt;
    bool shows = change->goes ? entry->cnt > 0 : entry->cnt >= 0;
    if (shows) {
        find_first(change, &first);
        first.at = 0;
        while (first.at < first.cnt &&
               (change->goes
                       ? !weir_row_entry_same(&first.row[first.at], entry)
                       : weir_row_entry_compare(&rank->order, &first.row[first.at], entry) <= 0)) {
            first.at++;
        }
    }
    if (first.at < rank->cnt) {
        int step = rank->rank_off >= 0 ? tell_ranks(change, &first, entry)
                                       : tell_rows(change, &first, entry);
        if (step != WEIR_DONE) {
            return step;
        }
    }
    change->kept->seq++;
    int err = 0;
    if (!rank->takes_changes) {
        change->kept->cnt++;
        err = drop_last(change, &first, entry);
    }
    return err < 0 ? err
                   : weir_row_bag_add(weir_process_state(change->p, 0), &rank->order, entry,
                         change->goes ? -1 : 1);
}

static int
rank_row(struct change *change)
{
    const struct weir_ranking *rank = change->rank;
    struct kept *kept = change->kept;
    struct weir_row_entry entry = {.seq = rank->latest_first ? ~kept->seq : kept->seq};
    char packed[WEIR_ROW_PACK_BYTES_MAX] WEIR_ALIGNED(8);
    if (kept->shape != 0 && kept->shape != rank->shape) {
        return weir_err_push(
            WEIR_ESTATE, "the state of a rank has rows of another schema or order");
    }
    weir_row_order_words(&rank->order, change->view, change->row, entry.word);
    if (is_behind(change, &entry)) {
        return WEIR_DONE;
    }
    int err = weir_row_pack(change->view, change->row, packed, &entry.bytes);
    if (err < 0) {
        return err;
    }
    entry.packed = packed;
    weir_row_bag_find(weir_process_state(change->p, 0), &rank->order, &entry);
    int step = change_rows(change, &entry);
    if (step != WEIR_DONE) {
        return step;
    }
    kept->shape = rank->shape;
    if (rank->takes_changes && weir_map_is_empty(weir_process_state(change->p, 0))) {
        weir_process_clear(change->p, kept);
    }
    return WEIR_DONE;
}

static int
rank_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    struct change change = {
        .p = p, .rank = (const struct weir_ranking *)(const void *)p->function, .view = view};
    for (uint32_t i = 0; i < cnt; i++) {
        change.row = weir_view_row(view, from + i);
        change.goes = weir_row_kind_retracts(weir_view_kind(view, change.row));
        change.kept = state[i];
        p->out->row_time = view->time != NULL ? weir_view_time(view, change.row) : WEIR_TIME_MIN;
        int step = rank_row(&change);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
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
    rank->takes_changes = takes_changes;
    rank->latest_first = conf->latest_first;
    rank->cnt = conf->cnt;
    if (conf->cnt == 0 || conf->cnt > WEIR_RANKING_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "the first %u rows of a key: it must be 1 to %d",
            conf->cnt, WEIR_RANKING_CNT_MAX);
    }
    int err = weir_row_order_init(&rank->order, conf->by, in);
    err = err < 0 ? err : weir_row_map_init(&rank->map, in, out);
    rank->order.by_arrival = !takes_changes;
    err = err < 0 ? err : find_rank(rank, conf->rank_as, out);
    rank->shape = weir_row_order_shape(&rank->order, in) ^ (uint64_t)(2 * takes_changes) ^
                  (uint64_t)conf->latest_first;
    return err;
}
