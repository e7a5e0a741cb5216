/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates per key, as a table that changes. It is a process function (process.h) over rows of
 * any schema: keys, state, checkpoints and state on disk are that operator's.
 *
 *     state:   rows i64 | shape u64 | a number for each column: count, sum, least, greatest
 *     numbers: value  ->  counts i64[slot_cnt]                     a map for each set, numbers.h
 *     values:  set id u64 | text  ->  counts i64[slot_cnt]         a map, kind.h
 *              of inserts, both:      bits u64: counts that are not zero
 *
 * An entry of numbers or values goes when all its counts are zero; a key's state when rows and
 * columns are. The shape tells columns of another version of the job.
 */
#include "dataplane/group.h"

#include <string.h>

#include "base/mutant.h"
#include "dataplane/group_priv.h"
#include "dataplane/keyed.h"
#include "dataplane/numbers.h"

/* ---- one row ---- */

/* Rows whose numbers are loaded together, field by field. */
#define BLOCK_CNT 64

struct block {
    uint32_t row[BLOCK_CNT]; /* physical */
    uint64_t met[BLOCK_CNT]; /* conditions that each row meets, as bits */
    int64_t number[WEIR_GROUP_NUMBER_CNT_MAX][BLOCK_CNT];
};

struct change {
    struct weir_process *p;
    const struct weir_group *group;
    const struct weir_numbers_kind *numbers;
    const struct weir_view *view;
    const struct block *block;
    uint32_t at; /* in the block */
    uint32_t row;
    int64_t sign;
    uint64_t met;
    int64_t *state;
    struct weir_numbers *maps; /* of the key */
    const int64_t *old; /* as it was */
};

static inline int64_t
number_of(const struct change *change, uint32_t n)
{
    return change->block->number[n][change->at];
}

static void
load_number(const struct weir_view *view, const struct weir_field *field, const uint32_t *row,
    uint32_t cnt, int64_t *ret_number)
{
    struct weir_lane lane = weir_view_lane(view, field->off, field->bytes);
    for (uint32_t i = 0; i < cnt && field->bytes == 8; i++) {
        memcpy(&ret_number[i], lane.ptr + (size_t)lane.stride * row[i], 8);
    }
    for (uint32_t i = 0; i < cnt && field->bytes != 8; i++) {
        const char *at = lane.ptr + (size_t)lane.stride * row[i];
        ret_number[i] = (int64_t)weir_key_number(at, field->bytes);
    }
}

static void
find_met(const struct weir_group *group, uint32_t cnt, struct block *block)
{
    uint64_t all = 0; /* conditions that every row meets */
    for (uint32_t w = 0; w < group->where_cnt && w < WEIR_GROUP_COLUMN_CNT_MAX; w++) {
        all |= (uint64_t)group->where[w].is_all << w; /* that much is clear to gcc, too */
    }
    for (uint32_t i = 0; i < cnt; i++) {
        block->met[i] = all;
    }
    for (uint32_t w = 0; w < group->where_cnt; w++) {
        const struct weir_group_where *where = &group->where[w];
        const int64_t *number = block->number[where->number];
        int64_t from = where->from;
        int64_t to = where->to;
        bool is_open = to == INT64_MAX;
        for (uint32_t i = 0; i < cnt && !where->is_all; i++) {
            uint64_t is_met = (number[i] >= from) & ((number[i] < to) | is_open);
            block->met[i] |= is_met << w;
        }
    }
}

static void
load_block(const struct weir_group *group, const struct weir_view *view, uint32_t from,
    uint32_t cnt, struct block *ret_block)
{
    for (uint32_t i = 0; i < cnt; i++) {
        ret_block->row[i] = weir_view_row(view, from + i);
    }
    for (uint32_t n = 0; n < group->number_cnt; n++) {
        load_number(view, &group->number[n], ret_block->row, cnt, ret_block->number[n]);
    }
    find_met(group, cnt, ret_block);
}

static int64_t
add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* What needs no values but the sums themselves. */
static void
change_sums(const struct change *change)
{
    const struct weir_group *group = change->group;
    bool is_first = change->state[ROWS] == 1;
    for (uint32_t i = 0; i < group->count_cnt; i++) {
        int64_t is_met = (int64_t)(change->met >> group->count[i].where & 1);
        change->state[COLUMNS + group->count[i].column] += change->sign & -is_met;
    }
    for (uint32_t i = 0; i < group->sum_cnt; i++) {
        uint32_t c = group->sum[i];
        const struct weir_group_slot *column = &group->column[c];
        int64_t *acc = &change->state[COLUMNS + c];
        int64_t value = number_of(change, column->number);
        switch (column->kind) {
        case WEIR_GROUP_MIN:
            *acc = is_first ? value : weir_min_i64(*acc, value);
            break;
        case WEIR_GROUP_MAX:
            *acc = is_first ? value : weir_max_i64(*acc, value);
            break;
        default: /* the sum, also of an average */
            *acc = add_wrap(*acc, change->sign < 0 ? add_wrap(0, -(uint64_t)value) : value);
            break;
        }
    }
}

/* The key of a text's entry. */
static int
text_key(const struct change *change, const struct weir_group_set *set, char *room,
    struct weir_slice *ret_key)
{
    struct weir_str str;
    memcpy(room, &set->id, sizeof set->id);
    memcpy(&str, weir_view_at(change->view, &set->field, change->row), sizeof str);
    struct weir_slice text = weir_str_slice(&str, change->view->heap);
    uint32_t left =
        WEIR_KIND_BYTES_MAX - (uint32_t)sizeof set->id - set->slot_cnt * (uint32_t)sizeof(int64_t);
    if (text.bytes > left) {
        return weir_err_push(WEIR_EDATA, "a text of %u bytes in %s: at most %u are told apart",
            text.bytes, set->field.name, left);
    }
    memcpy(room + sizeof set->id, text.ptr, text.bytes);
    *ret_key = weir_bytes(room, (uint32_t)sizeof set->id + text.bytes);
    return 0;
}

/* The least or greatest of values, so far. */
struct extreme {
    const struct weir_group_slot *column;
    int64_t value;
    bool is_there;
};

static int
meet_value(void *arg, uint64_t number, const uint64_t *cnts)
{
    struct extreme *extreme = arg;
    int64_t value = (int64_t)number;
    if ((int64_t)cnts[extreme->column->slot] > 0) {
        bool is_better = extreme->column->kind == WEIR_GROUP_MIN ? value < extreme->value
                                                                 : value > extreme->value;
        extreme->value = !extreme->is_there || is_better ? value : extreme->value;
        extreme->is_there = true;
    }
    return 0;
}

/* The least or greatest of the values that are there, looked for among all. */
static int
find_extreme(const struct change *change, const struct weir_group_slot *column, int64_t *acc)
{
    struct extreme extreme = {.column = column};
    const struct weir_numbers *map = &change->maps[change->group->set[column->set].map];
    int err = weir_numbers_each(change->numbers, map, meet_value, &extreme);
    *acc = extreme.value;
    return err;
}

/* A value's count was `was` and is `is` now. */
static int
change_column(const struct change *change, const struct weir_group_slot *column, int64_t *acc,
    int64_t was, int64_t is)
{
    if (column->kind == WEIR_GROUP_DISTINCT) {
        *acc += (is > 0) - (was > 0 && !WEIR_MUTANT(GROUP_DISTINCT_KEPT));
        return 0;
    }
    int64_t value = number_of(change, column->number);
    bool is_gone = was > 0 && is <= 0 && value == *acc && !WEIR_MUTANT(GROUP_EXTREME_KEPT);
    if (is_gone || change->old[ROWS] <= 0) {
        return find_extreme(change, column, acc);
    }
    if (is > 0) {
        bool is_better = column->kind == WEIR_GROUP_MIN ? value < *acc : value > *acc;
        *acc = is_better ? value : *acc;
    }
    return 0;
}

/* The counts of an entry that the row is about, as bits. */
static uint64_t
find_slots(const struct change *change, const struct weir_group_set *set)
{
    uint64_t slots = 0;
    if (WEIR_LIKELY(set->is_straight)) {
        return change->met >> set->where[0] & ((UINT64_C(1) << set->slot_cnt) - 1);
    }
    for (uint32_t slot = 0; slot < set->slot_cnt; slot++) {
        slots |= (change->met >> set->where[slot] & 1) << slot;
    }
    return slots;
}

/* Of inserts an entry is one number, a bit for each count that is not zero: nothing is ever taken
 * back, so that a value is there is enough. */
static void
count_fresh(const struct change *change, const struct weir_group_set *set, uint64_t fresh)
{
    for (uint32_t i = 0; i < set->column_cnt; i++) {
        uint32_t c = set->column[i];
        change->state[COLUMNS + c] += (int64_t)(fresh >> change->group->column[c].slot & 1);
    }
}

static int
insert_number(const struct change *change, const struct weir_group_set *set, uint64_t slots)
{
    uint64_t number = (uint64_t)number_of(change, set->number);
    uint64_t *entry;
    int err = weir_numbers_open(change->numbers, &change->maps[set->map], number, &entry);
    if (err < 0) {
        return err;
    }
    uint64_t fresh = slots & ~*entry;
    if (fresh != 0) {
        weir_numbers_touch(change->numbers, entry);
        *entry |= slots;
        count_fresh(change, set, fresh);
    }
    return 0;
}

static int
insert_text(const struct change *change, const struct weir_group_set *set, uint64_t slots)
{
    char room[WEIR_KIND_BYTES_MAX] WEIR_ALIGNED(8);
    struct weir_slice key;
    int err = text_key(change, set, room, &key);
    if (err < 0) {
        return err;
    }
    struct weir_keyed_state *values = weir_process_state(change->p, change->group->texts_idx);
    const uint64_t *entry = weir_map_get(values, key, NULL);
    uint64_t was = entry != NULL ? *entry : 0;
    uint64_t is = was | slots;
    if (is == was) {
        return 0;
    }
    count_fresh(change, set, is & ~was);
    return entry != NULL ? weir_map_put(values, key, WEIR_BYTES(&is))
                         : weir_map_add(values, key, WEIR_BYTES(&is));
}

static bool
is_zero(const int64_t *state, uint32_t cnt)
{
    int64_t any = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        any |= state[i];
    }
    return any == 0;
}

/* The counts of the row's value: as they were, and as they are from now on. */
struct counts {
    int64_t was[WEIR_GROUP_COLUMN_CNT_MAX];
    int64_t is[WEIR_GROUP_COLUMN_CNT_MAX];
};

static void
count_value(const struct change *change, const struct weir_group_set *set, uint64_t slots,
    const void *entry, struct counts *ret_counts)
{
    memset(ret_counts, 0, sizeof *ret_counts);
    if (entry != NULL) {
        memcpy(ret_counts->was, entry, set->slot_cnt * sizeof ret_counts->was[0]);
    }
    for (uint32_t slot = 0; slot < set->slot_cnt; slot++) {
        ret_counts->is[slot] =
            ret_counts->was[slot] + ((slots >> slot & 1) != 0 ? change->sign : 0);
    }
}

static int
change_number(const struct change *change, const struct weir_group_set *set, uint64_t slots,
    struct counts *ret_counts)
{
    struct weir_numbers *map = &change->maps[set->map];
    uint64_t number = (uint64_t)number_of(change, set->number);
    const uint64_t *entry = weir_numbers_find(change->numbers, map, number);
    count_value(change, set, slots, entry, ret_counts);
    if (is_zero(ret_counts->is, set->slot_cnt)) {
        weir_numbers_remove(change->numbers, map, number);
        return 0;
    }
    uint64_t *cnts;
    int err = weir_numbers_open(change->numbers, map, number, &cnts);
    if (err == 0) {
        weir_numbers_touch(change->numbers, cnts);
        memcpy(cnts, ret_counts->is, set->slot_cnt * sizeof *cnts);
    }
    return err;
}

static int
change_text(const struct change *change, const struct weir_group_set *set, uint64_t slots,
    struct counts *ret_counts)
{
    char room[WEIR_KIND_BYTES_MAX] WEIR_ALIGNED(8);
    struct weir_slice key;
    int err = text_key(change, set, room, &key);
    if (err < 0) {
        return err;
    }
    struct weir_keyed_state *values = weir_process_state(change->p, change->group->texts_idx);
    count_value(change, set, slots, weir_map_get(values, key, NULL), ret_counts);
    if (is_zero(ret_counts->is, set->slot_cnt)) {
        (void)weir_map_remove(values, key);
        return 0;
    }
    return weir_map_put(values, key,
        weir_bytes(ret_counts->is, set->slot_cnt * (uint32_t)sizeof ret_counts->is[0]));
}

static int
change_set(const struct change *change, const struct weir_group_set *set, uint64_t slots)
{
    struct counts counts;
    int err = set->is_text ? change_text(change, set, slots, &counts)
                           : change_number(change, set, slots, &counts);
    for (uint32_t i = 0; i < set->column_cnt && err == 0; i++) {
        uint32_t c = set->column[i];
        const struct weir_group_slot *column = &change->group->column[c];
        if ((slots >> column->slot & 1) != 0) {
            err = change_column(change, column, &change->state[COLUMNS + c],
                counts.was[column->slot], counts.is[column->slot]);
        }
    }
    return err;
}

/* The row's value in each set; one that no count is about is in none. */
static int
change_sets(const struct change *change)
{
    const struct weir_group *group = change->group;
    int err = 0;
    for (uint32_t s = 0; s < group->set_cnt && err == 0; s++) {
        const struct weir_group_set *set = &group->set[s];
        uint64_t slots = find_slots(change, set);
        if (slots == 0) {
            continue;
        }
        err = group->takes_changes ? change_set(change, set, slots)
              : set->is_text       ? insert_text(change, set, slots)
                                   : insert_number(change, set, slots);
    }
    return err;
}

/* ---- rows out ---- */

static uint32_t
key_text_bytes(const struct change *change)
{
    uint32_t bytes = 0;
    for (uint32_t k = 0; change->group->has_texts && k < change->group->key_cnt; k++) {
        const struct weir_field *from = &change->group->key_from[k];
        if (from->type == WEIR_TYPE_STR) {
            uint32_t len;
            memcpy(&len, weir_view_at(change->view, from, change->row), sizeof len);
            bytes += len > WEIR_STR_INLINE_BYTES ? len : 0;
        }
    }
    return bytes;
}

static int64_t
result(const struct weir_group *group, const int64_t *state, uint32_t c)
{
    int64_t acc = state[COLUMNS + c];
    return group->column[c].kind == WEIR_GROUP_AVG ? acc / state[ROWS] : acc;
}

static void
put_columns(const struct weir_group *group, const int64_t *state, char *row)
{
    for (uint32_t i = 0; i < group->piece_cnt; i++) {
        const struct weir_group_piece *piece = &group->piece[i];
        memcpy(row + piece->to, &state[COLUMNS + piece->column], piece->bytes);
    }
    for (uint32_t i = 0; i < group->avg_cnt; i++) {
        uint32_t c = group->avg[i];
        int64_t value = result(group, state, c);
        memcpy(row + group->column[c].out_off, &value, sizeof value);
    }
}

static char *
emit(const struct change *change, const int64_t *state, uint32_t kind)
{
    const struct weir_group *group = change->group;
    struct weir_out *out = change->p->out;
    out->row_kind = kind;
    char *row = weir_out_row(out);
    if (group->has_gaps) {
        memset(row, 0, out->view.schema->row_bytes);
    }
    for (uint32_t k = 0; k < group->key_cnt; k++) {
        const struct weir_field *from = &group->key_from[k];
        const char *at = weir_view_at(change->view, from, change->row);
        char *to = row + group->key_to[k].off;
        if (from->type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, at, sizeof str);
            struct weir_slice text = weir_str_slice(&str, change->view->heap);
            weir_str_set_bytes(out, (struct weir_str *)(void *)to, text.ptr, text.bytes);
        } else if (from->bytes == 8) { /* nearly all: no call to copy it */
            memcpy(to, at, 8);
        } else {
            memcpy(to, at, from->bytes);
        }
    }
    put_columns(group, state, row);
    return row;
}

/* The new row behind the old one: it has the same key. */
static void
emit_after(const struct change *change, const char *old)
{
    struct weir_out *out = change->p->out;
    out->row_kind = WEIR_ROW_UPDATE_AFTER;
    char *row = weir_out_row(out);
    memcpy(row, old, out->view.schema->row_bytes);
    put_columns(change->group, change->state, row);
}

static bool
is_same(const struct change *change)
{
    const struct weir_group *group = change->group;
    bool same = true;
    if (group->avg_cnt == 0) {
        return memcmp(&change->old[COLUMNS], &change->state[COLUMNS],
                   group->column_cnt * sizeof change->old[0]) == 0;
    }
    for (uint32_t c = 0; c < group->column_cnt && same; c++) {
        same = result(group, change->old, c) == result(group, change->state, c);
    }
    return same;
}

static void
tell(const struct change *change)
{
    bool was = change->old[ROWS] > 0;
    bool is = change->state[ROWS] > 0;
    if (was && is) {
        if (WEIR_MUTANT(GROUP_BEFORE_UNTOLD)) {
            (void)emit(change, change->state, WEIR_ROW_UPDATE_AFTER);
        } else if (!is_same(change)) {
            emit_after(change, emit(change, change->old, WEIR_ROW_UPDATE_BEFORE));
        }
    } else if (was) {
        (void)emit(change, change->old, WEIR_ROW_DELETE);
    } else if (is) {
        (void)emit(change, change->state, WEIR_ROW_INSERT);
    }
}

static int
group_row(struct change *change)
{
    const struct weir_group *group = change->group;
    int64_t old[STATE_CNT];
    if (!weir_out_room(change->p->out, 2, 2 * key_text_bytes(change))) {
        return WEIR_AGAIN;
    }
    if (change->state[SHAPE] != 0 && change->state[SHAPE] != (int64_t)group->shape) {
        return weir_err_push(
            WEIR_ESTATE, "the state of a group has other columns than the job has now");
    }
    memcpy(old, change->state, (COLUMNS + group->column_cnt) * sizeof old[0]);
    change->old = old;
    change->state[SHAPE] = (int64_t)group->shape;
    change->state[ROWS] += change->sign;
    change_sums(change);
    int err = change_sets(change);
    if (err < 0) {
        return err;
    }
    tell(change);
    if (change->state[ROWS] == 0 && is_zero(change->state + COLUMNS, group->column_cnt)) {
        weir_process_clear(change->p, change->state);
    }
    return WEIR_DONE;
}

/* Ask for the lines where values are looked for: of many keys, or many values, few are near. */
static void
fetch_numbers(const struct change *change, uint32_t cnt, void *const *maps)
{
    const struct weir_group *group = change->group;
    for (uint32_t s = 0; s < group->set_cnt; s++) {
        const struct weir_group_set *set = &group->set[s];
        const int64_t *number = change->block->number[set->number];
        for (uint32_t i = 0; i < cnt && !set->is_text; i++) {
            const struct weir_numbers *map = (const struct weir_numbers *)maps[i] + set->map;
            weir_numbers_fetch(change->numbers, map, (uint64_t)number[i]);
        }
    }
}

/* The rows of a block. Returns those done, or an error. */
static int
group_block(struct change *change, uint32_t cnt, void *const *state, void *const *maps)
{
    const struct weir_view *view = change->view;
    struct weir_process *p = change->p;
    for (uint32_t i = 0; i < cnt; i++) {
        change->at = i;
        change->row = change->block->row[i];
        change->met = change->block->met[i];
        change->sign = weir_row_kind_retracts(weir_view_kind(view, change->row)) ? -1 : 1;
        change->state = state[i];
        change->maps = change->group->map_cnt > 0 ? maps[i] : NULL;
        p->out->row_time = view->time != NULL ? weir_view_time(view, change->row) : WEIR_TIME_MIN;
        int step = group_row(change);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
}

/* The maps of the rows' keys, for as many rows as returned. All of a batch is often of one key, the
 * day: that is looked up once. */
static int
find_maps(struct weir_process *p, uint32_t idx, uint32_t cnt, void *const *state, void **ret_maps)
{
    bool is_one = true;
    for (uint32_t i = 1; i < cnt; i++) {
        is_one &= state[i] == state[0];
    }
    int got = weir_process_maps(p, idx, is_one ? 1 : cnt, ret_maps);
    for (uint32_t i = 1; is_one && got > 0 && i < cnt; i++) {
        ret_maps[i] = ret_maps[0];
    }
    return is_one && got > 0 ? (int)cnt : got;
}

int
weir_group_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    const struct weir_group *group = (const struct weir_group *)(const void *)p->function;
    struct block block;
    struct change change = {.p = p, .group = group, .view = view, .block = &block};
    void *maps[WEIR_KEYED_ROW_CNT_MAX];
    if (group->map_cnt > 0) {
        int got = find_maps(p, group->numbers_idx, cnt, state, maps);
        if (got < 0) {
            return got;
        }
        cnt = (uint32_t)got;
        change.numbers = weir_process_numbers(p, group->numbers_idx);
    }
    for (uint32_t at = 0; at < cnt;) {
        uint32_t want = weir_min_u32(BLOCK_CNT, cnt - at);
        load_block(group, view, from + at, want, &block);
        if (group->map_cnt > 0) {
            fetch_numbers(&change, want, maps + at);
        }
        int done = group_block(&change, want, state + at, maps + at);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        if ((uint32_t)done < want) {
            return (int)at;
        }
    }
    return (int)cnt;
}
