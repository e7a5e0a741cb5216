/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates per key, as a table that changes. It is a process function (process.h) over rows of
 * any schema: keys, state, checkpoints and state on disk are that operator's.
 *
 *     state:   rows i64 | shape u64 | a number for each column: count, sum, least, greatest
 *     values:  set id u64 | value  ->  counts i64[slot_cnt]        a map, kind.h
 *              of inserts                bits u64: counts that are not zero
 *
 * An entry of values goes when all its counts are zero; a key's state when rows and columns are.
 * The shape tells columns of another version of the job.
 */
#include "dataplane/group.h"

#include <string.h>

#include "base/hash.h"
#include "base/mutant.h"

#define SET_NONE UINT32_MAX
#define SEEN_LG2 12
/* The numbers of the state: rows and shape, then those of the columns. */
enum { ROWS, SHAPE, COLUMNS };
#define STATE_CNT (COLUMNS + WEIR_GROUP_COLUMN_CNT_MAX)
WEIR_STATIC_ASSERT(STATE_CNT * sizeof(int64_t) <= WEIR_PROCESS_STATE_BYTES_MAX, "one value");

static const struct weir_kind kinds[] = {WEIR_KIND_MAP("values", 0, 0, WEIR_NO_TTL)};

/* ---- fields ---- */

static bool
is_number(const struct weir_field *field)
{
    return field->type != WEIR_TYPE_STR && field->type != WEIR_TYPE_F64;
}

static int
find_field(const struct weir_schema *schema, const char *name, struct weir_field *ret_field)
{
    int idx = name != NULL ? weir_schema_field(schema, name) : -1;
    if (idx < 0) {
        return weir_err_push(WEIR_EGRAPH, "there is no field %s in %s",
            name != NULL ? name : "(none)", schema->name);
    }
    *ret_field = schema->fields[idx];
    if (ret_field->nullable) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s may be null: aggregates take none",
            name, schema->name);
    }
    return 0;
}

static int
find_number(const struct weir_schema *schema, const char *name, struct weir_field *ret_field)
{
    int err = find_field(schema, name, ret_field);
    if (err == 0 && !is_number(ret_field)) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s is %s: it must be a number, but f64",
            name, schema->name, weir_type_name(ret_field->type));
    }
    return err;
}

/* Columns and conditions about the same field share its number. */
static uint32_t
join_number(struct weir_group *group, const struct weir_field *field)
{
    uint32_t n = 0;
    while (n < group->number_cnt && group->number[n].off != field->off) {
        n++;
    }
    group->number[n] = *field;
    group->number_cnt = n == group->number_cnt ? n + 1 : group->number_cnt;
    return n;
}

static bool
same_where(const struct weir_group_where *a, const struct weir_group_where *b)
{
    return a->is_all ? b->is_all
                     : !b->is_all && strcmp(a->field.name, b->field.name) == 0 &&
                           a->from == b->from && a->to == b->to;
}

static uint32_t
join_where(struct weir_group *group, const struct weir_group_where *where)
{
    uint32_t w = 0;
    while (w < group->where_cnt && !same_where(&group->where[w], where)) {
        w++;
    }
    group->where[w] = *where;
    group->where_cnt = w == group->where_cnt ? w + 1 : group->where_cnt;
    return w;
}

/* Columns about the same values share their set, and those of the same rows their count in it. */
static void
join_set(struct weir_group *group, struct weir_group_slot *column)
{
    uint32_t s = 0;
    while (s < group->set_cnt && strcmp(group->set[s].field.name, column->of.name) != 0) {
        s++;
    }
    struct weir_group_set *set = &group->set[s];
    if (s == group->set_cnt) {
        group->set_cnt++;
        set->field = column->of;
        set->number = column->number;
        set->is_straight = true;
        set->id = weir_hash_bytes(column->of.name, strlen(column->of.name));
    }
    uint32_t slot = 0;
    while (slot < set->slot_cnt && set->where[slot] != column->where) {
        slot++;
    }
    set->where[slot] = column->where;
    set->is_straight &= column->where == set->where[0] + slot;
    set->slot_cnt = slot == set->slot_cnt ? slot + 1 : set->slot_cnt;
    set->column[set->column_cnt++] = group->column_cnt;
    column->set = s;
    column->slot = slot;
}

static int
add_column(struct weir_group *group, const struct weir_group_column *conf,
    const struct weir_group_schemas *schemas)
{
    struct weir_group_slot column = {.kind = conf->kind, .set = SET_NONE};
    struct weir_group_where where = {.is_all = conf->where == NULL};
    struct weir_field out;
    int err = find_number(schemas->out, conf->as, &out);
    if (err == 0 && (out.bytes != 8 || out.type == WEIR_TYPE_TIME)) {
        err = weir_err_push(WEIR_EGRAPH, "the field %s of %s is %s: a column takes 8 bytes",
            out.name, schemas->out->name, weir_type_name(out.type));
    }
    if (err == 0 && conf->kind != WEIR_GROUP_COUNT) {
        err = conf->kind == WEIR_GROUP_DISTINCT ? find_field(schemas->in, conf->of, &column.of)
                                                : find_number(schemas->in, conf->of, &column.of);
    }
    if (err == 0 && conf->where != NULL && conf->kind > WEIR_GROUP_DISTINCT) {
        err = weir_err_push(
            WEIR_EGRAPH, "the column %s: only counts may be of some of the rows", conf->as);
    }
    if (err == 0 && conf->where != NULL) {
        err = find_number(schemas->in, conf->where, &where.field);
        where.from = conf->from;
        where.to = conf->to;
    }
    if (err < 0) {
        return err;
    }
    if (!where.is_all) {
        where.number = join_number(group, &where.field);
    }
    if (conf->kind != WEIR_GROUP_COUNT && column.of.type != WEIR_TYPE_STR) {
        column.number = join_number(group, &column.of);
    }
    if (conf->kind == WEIR_GROUP_AVG) {
        group->avg[group->avg_cnt++] = group->column_cnt;
    }
    column.where = join_where(group, &where);
    column.out_off = out.off;
    bool is_extreme = conf->kind == WEIR_GROUP_MIN || conf->kind == WEIR_GROUP_MAX;
    if (conf->kind == WEIR_GROUP_DISTINCT || (is_extreme && schemas->takes_changes)) {
        join_set(group, &column);
    } else {
        group->sum[group->sum_cnt++] = group->column_cnt;
    }
    group->column[group->column_cnt++] = column;
    return 0;
}

/* Every field of the output is the key's or a column's. */
static int
find_keys(struct weir_group *group, const struct weir_group_conf *conf,
    const struct weir_group_schemas *schemas)
{
    for (uint32_t f = 0; f < schemas->out->field_cnt; f++) {
        const struct weir_field *out = &schemas->out->fields[f];
        const struct weir_field *in = NULL;
        bool is_column = false;
        for (uint32_t c = 0; c < conf->column_cnt; c++) {
            is_column |= strcmp(conf->column[c].as, out->name) == 0;
        }
        for (uint32_t k = 0; k < schemas->key.field_cnt && !is_column; k++) {
            const struct weir_field *part = &schemas->key.part[k];
            in = strcmp(part->name, out->name) == 0 ? part : in;
        }
        if (is_column) {
            continue;
        }
        if (in == NULL || in->bytes != out->bytes ||
            (in->type == WEIR_TYPE_STR) != (out->type == WEIR_TYPE_STR)) {
            return weir_err_push(WEIR_EGRAPH,
                "the field %s of %s is neither a column nor the key's", out->name,
                schemas->out->name);
        }
        group->key_from[group->key_cnt] = *in;
        group->key_to[group->key_cnt++] = *out;
    }
    return 0;
}

/* ---- one row ---- */

/* Of inserts: values of which some counts are known not to be zero. Most rows bring one that came
 * a little before, and change none of its counts: for them this is asked, and no state. A group is
 * told by the place of its state, for as long as places stay. */
struct seen_value {
    const int64_t *state; /* NULL: nothing */
    int64_t value;
    uint32_t set;
    uint32_t slots; /* counts that are not zero, as bits */
};
WEIR_STATIC_ASSERT(WEIR_GROUP_COLUMN_CNT_MAX <= 32, "a bit for each");

struct seen {
    uint32_t move_cnt; /* of the states, when all this was true */
    struct seen_value at[1 << SEEN_LG2];
};

struct change {
    struct weir_process *p;
    const struct weir_group *group;
    struct seen *seen; /* NULL: of changes, without sets, or without memory */
    const struct weir_view *view;
    uint32_t row;
    int64_t number[WEIR_GROUP_NUMBER_CNT_MAX]; /* of the row */
    int64_t sign;
    uint64_t met; /* conditions that the row meets, as bits */
    int64_t *state;
    const int64_t *old; /* as it was */
};

static void
load_numbers(struct change *change)
{
    const struct weir_group *group = change->group;
    for (uint32_t n = 0; n < group->number_cnt; n++) {
        const struct weir_field *field = &group->number[n];
        const char *at = weir_view_at(change->view, field, change->row);
        change->number[n] = (int64_t)weir_key_number(at, field->bytes);
    }
}

static uint64_t
find_met(const struct change *change)
{
    const struct weir_group *group = change->group;
    uint64_t met = 0;
    for (uint32_t w = 0; w < group->where_cnt; w++) {
        const struct weir_group_where *where = &group->where[w];
        int64_t value = change->number[where->number];
        bool is_below = (value < where->to) | (where->to == INT64_MAX);
        uint64_t is_met = where->is_all | ((value >= where->from) & is_below);
        met |= is_met << w;
    }
    return met;
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
    for (uint32_t i = 0; i < group->sum_cnt; i++) {
        uint32_t c = group->sum[i];
        const struct weir_group_slot *column = &group->column[c];
        int64_t *acc = &change->state[COLUMNS + c];
        if (column->kind == WEIR_GROUP_COUNT) {
            *acc += (change->met >> column->where & 1) != 0 ? change->sign : 0;
            continue;
        }
        int64_t value = change->number[column->number];
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

/* The key of a value's entry. */
static int
value_key(const struct change *change, const struct weir_group_set *set, char *room,
    struct weir_slice *ret_key)
{
    memcpy(room, &set->id, sizeof set->id);
    if (set->field.type == WEIR_TYPE_STR) {
        struct weir_str str;
        memcpy(&str, weir_view_at(change->view, &set->field, change->row), sizeof str);
        struct weir_slice text = weir_str_slice(&str, change->view->heap);
        uint32_t left = WEIR_KIND_BYTES_MAX - (uint32_t)sizeof set->id -
                        set->slot_cnt * (uint32_t)sizeof(int64_t);
        if (text.bytes > left) {
            return weir_err_push(WEIR_EDATA, "a text of %u bytes in %s: at most %u are told apart",
                text.bytes, set->field.name, left);
        }
        memcpy(room + sizeof set->id, text.ptr, text.bytes);
        *ret_key = weir_bytes(room, (uint32_t)sizeof set->id + text.bytes);
        return 0;
    }
    int64_t value = change->number[set->number];
    memcpy(room + sizeof set->id, &value, sizeof value);
    *ret_key = weir_bytes(room, sizeof set->id + sizeof value);
    return 0;
}

/* The least or greatest of the values that are there, looked for among all. */
static void
find_extreme(const struct change *change, const struct weir_group_slot *column, int64_t *acc)
{
    const struct weir_group_set *set = &change->group->set[column->set];
    struct weir_kind_cursor cursor;
    struct weir_slice key;
    const void *entry;
    bool is_first = true;
    *acc = 0;
    weir_kind_begin(weir_process_state(change->p, 0), &cursor);
    while ((entry = weir_kind_next(&cursor, &key, NULL)) != NULL) {
        int64_t cnt;
        int64_t value;
        memcpy(&cnt, (const char *)entry + column->slot * sizeof cnt, sizeof cnt);
        if (memcmp(key.ptr, &set->id, sizeof set->id) != 0 || cnt <= 0) {
            continue;
        }
        memcpy(&value, key.ptr + sizeof set->id, sizeof value);
        bool is_better = column->kind == WEIR_GROUP_MIN ? value < *acc : value > *acc;
        *acc = is_first || is_better ? value : *acc;
        is_first = false;
    }
}

/* A value's count was `was` and is `is` now. */
static void
change_column(const struct change *change, const struct weir_group_slot *column, int64_t *acc,
    int64_t was, int64_t is)
{
    if (column->kind == WEIR_GROUP_DISTINCT) {
        *acc += (is > 0) - (was > 0 && !WEIR_MUTANT(GROUP_DISTINCT_KEPT));
        return;
    }
    int64_t value = change->number[column->number];
    bool is_gone = was > 0 && is <= 0 && value == *acc && !WEIR_MUTANT(GROUP_EXTREME_KEPT);
    if (is_gone || change->old[ROWS] <= 0) {
        find_extreme(change, column, acc);
    } else if (is > 0) {
        bool is_better = column->kind == WEIR_GROUP_MIN ? value < *acc : value > *acc;
        *acc = is_better ? value : *acc;
    }
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

static struct seen_value *
seen_at(const struct change *change, const struct weir_group_set *set, int64_t value)
{
    uint64_t hash = ((uint64_t)value ^ (uintptr_t)change->state) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t s = (uint32_t)(set - change->group->set);
    struct seen_value *at = &change->seen->at[((hash >> 32) + s) & ((1 << SEEN_LG2) - 1)];
    if (at->state != change->state || at->value != value || at->set != s) {
        *at = (struct seen_value){change->state, value, s, 0};
    }
    return at;
}

/* Of inserts an entry is one number, a bit for each count that is not zero: nothing is ever taken
 * back, so that a value is there is enough. Returns the entry as it is now. */
static int
insert_slots(const struct change *change, const struct weir_group_set *set, uint64_t slots,
    uint64_t *ret_entry)
{
    char room[WEIR_KIND_BYTES_MAX] WEIR_ALIGNED(8);
    struct weir_slice key;
    int err = value_key(change, set, room, &key);
    if (err < 0) {
        return err;
    }
    struct weir_keyed_state *values = weir_process_state(change->p, 0);
    const uint64_t *entry = weir_map_get(values, key, NULL);
    uint64_t was = entry != NULL ? *entry : 0;
    uint64_t fresh = slots & ~was;
    *ret_entry = was | slots;
    if (fresh == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < set->column_cnt; i++) {
        uint32_t c = set->column[i];
        change->state[COLUMNS + c] += (int64_t)(fresh >> change->group->column[c].slot & 1);
    }
    return entry != NULL ? weir_map_put(values, key, WEIR_BYTES(ret_entry))
                         : weir_map_add(values, key, WEIR_BYTES(ret_entry));
}

static int
insert_value(const struct change *change, const struct weir_group_set *set)
{
    uint64_t slots = find_slots(change, set);
    uint64_t entry;
    if (change->seen == NULL || set->field.type == WEIR_TYPE_STR) {
        return insert_slots(change, set, slots, &entry);
    }
    struct seen_value *seen = seen_at(change, set, change->number[set->number]);
    if ((slots & ~(uint64_t)seen->slots) == 0) {
        return 0;
    }
    int err = insert_slots(change, set, slots, &entry);
    seen->slots = err == 0 ? (uint32_t)entry : 0;
    return err;
}

static int
change_value(const struct change *change, const struct weir_group_set *set)
{
    static const int64_t zero[WEIR_GROUP_COLUMN_CNT_MAX];
    char room[WEIR_KIND_BYTES_MAX] WEIR_ALIGNED(8);
    struct weir_slice key;
    int err = value_key(change, set, room, &key);
    if (err < 0) {
        return err;
    }
    struct weir_keyed_state *values = weir_process_state(change->p, 0);
    int64_t was[WEIR_GROUP_COLUMN_CNT_MAX] = {0};
    int64_t is[WEIR_GROUP_COLUMN_CNT_MAX];
    const void *entry = weir_map_get(values, key, NULL);
    uint32_t bytes = set->slot_cnt * (uint32_t)sizeof(int64_t);
    uint64_t slots = find_slots(change, set);
    if (entry != NULL) {
        memcpy(was, entry, bytes);
    }
    for (uint32_t slot = 0; slot < set->slot_cnt; slot++) {
        is[slot] = was[slot] + ((slots >> slot & 1) != 0 ? change->sign : 0);
    }
    if (memcmp(is, zero, bytes) == 0) {
        (void)weir_map_remove(values, key);
    } else if (memcmp(is, was, bytes) != 0) {
        err = weir_map_put(values, key, weir_bytes(is, bytes));
    }
    for (uint32_t i = 0; i < set->column_cnt && err == 0; i++) {
        uint32_t c = set->column[i];
        const struct weir_group_slot *column = &change->group->column[c];
        if ((slots >> column->slot & 1) != 0) {
            change_column(
                change, column, &change->state[COLUMNS + c], was[column->slot], is[column->slot]);
        }
    }
    return err;
}

/* ---- rows out ---- */

static uint32_t
key_text_bytes(const struct change *change)
{
    uint32_t bytes = 0;
    for (uint32_t k = 0; k < change->group->key_cnt; k++) {
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
    if (group->is_plain) {
        memcpy(
            row + group->column[0].out_off, &state[COLUMNS], group->column_cnt * sizeof state[0]);
    }
    for (uint32_t c = 0; c < group->column_cnt && !group->is_plain; c++) {
        memcpy(row + group->column[c].out_off, &state[COLUMNS + c], sizeof state[0]);
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
    memset(row, 0, out->view.schema->row_bytes);
    for (uint32_t k = 0; k < group->key_cnt; k++) {
        const struct weir_field *from = &group->key_from[k];
        const char *at = weir_view_at(change->view, from, change->row);
        char *to = row + group->key_to[k].off;
        if (from->type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, at, sizeof str);
            struct weir_slice text = weir_str_slice(&str, change->view->heap);
            weir_str_set_bytes(out, (struct weir_str *)(void *)to, text.ptr, text.bytes);
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

static bool
is_zero(const int64_t *state, uint32_t cnt)
{
    int64_t any = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        any |= state[i];
    }
    return any == 0;
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
    load_numbers(change);
    change->met = find_met(change);
    change_sums(change);
    for (uint32_t s = 0; s < group->set_cnt; s++) {
        const struct weir_group_set *set = &group->set[s];
        int err = group->takes_changes ? change_value(change, set) : insert_value(change, set);
        if (err < 0) {
            return err;
        }
    }
    tell(change);
    if (change->state[ROWS] == 0 && is_zero(change->state + COLUMNS, group->column_cnt)) {
        weir_process_clear(change->p, change->state);
    }
    return WEIR_DONE;
}

/* What has been seen, as far as it is still true. */
static struct seen *
seen_of(struct weir_process *p, const struct weir_group *group)
{
    if (group->takes_changes || group->set_cnt == 0) {
        return NULL;
    }
    struct seen *seen = weir_process_scratch(p, sizeof *seen);
    uint32_t move_cnt = weir_process_move_cnt(p);
    if (seen != NULL && seen->move_cnt != move_cnt) {
        memset(seen, 0, sizeof *seen);
        seen->move_cnt = move_cnt;
    }
    return seen;
}

static int
group_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    const struct weir_group *group = (const struct weir_group *)(const void *)p->function;
    struct change change = {.p = p, .group = group, .seen = seen_of(p, group), .view = view};
    for (uint32_t i = 0; i < cnt; i++) {
        change.row = weir_view_row(view, from + i);
        change.sign = weir_row_kind_retracts(weir_view_kind(view, change.row)) ? -1 : 1;
        change.state = state[i];
        p->out->row_time = view->time != NULL ? weir_view_time(view, change.row) : WEIR_TIME_MIN;
        int step = group_row(&change);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
}

/* What the numbers of the state, and of the values' entries, mean. */
static uint64_t
shape_of(const struct weir_group *group)
{
    uint64_t shape = group->takes_changes ? 3 : 5;
    for (uint32_t c = 0; c < group->column_cnt; c++) {
        const struct weir_group_slot *column = &group->column[c];
        const struct weir_group_where *where = &group->where[column->where];
        const char *of = column->kind != WEIR_GROUP_COUNT ? column->of.name : "";
        const char *by = where->is_all ? "" : where->field.name;
        const uint64_t word[] = {shape, column->kind, column->slot, where->is_all,
            weir_hash_bytes(of, strlen(of)), weir_hash_bytes(by, strlen(by)), (uint64_t)where->from,
            (uint64_t)where->to};
        shape = weir_hash_bytes(word, sizeof word);
    }
    return shape | 1; /* never 0 */
}

/* Whether the numbers of the output stand as those of the state do. */
static bool
is_plain(const struct weir_group *group)
{
    bool plain = group->column_cnt > 0;
    for (uint32_t c = 0; c < group->column_cnt; c++) {
        plain &=
            group->column[c].out_off == group->column[0].out_off + c * (uint32_t)sizeof(int64_t);
    }
    return plain;
}

int
weir_group_init(struct weir_group *group, const struct weir_group_conf *conf,
    const struct weir_group_schemas *schemas)
{
    memset(group, 0, sizeof *group);
    if (conf->column_cnt > WEIR_GROUP_COLUMN_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "%u columns: a group has at most %d", conf->column_cnt,
            WEIR_GROUP_COLUMN_CNT_MAX);
    }
    group->takes_changes = schemas->takes_changes;
    int err = 0;
    for (uint32_t c = 0; c < conf->column_cnt && err == 0; c++) {
        err = add_column(group, &conf->column[c], schemas);
    }
    err = err < 0 ? err : find_keys(group, conf, schemas);
    group->shape = shape_of(group);
    group->is_plain = is_plain(group);
    group->function = (struct weir_process_function){.name = "group",
        .state_bytes = (COLUMNS + conf->column_cnt) * (uint32_t)sizeof(int64_t),
        .rows = group_rows,
        .kinds = kinds,
        .kind_cnt = group->set_cnt > 0 ? WEIR_ARRAY_CNT(kinds) : 0};
    return err;
}
