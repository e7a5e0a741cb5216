/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a group: which fields they are of, what they share, and what state they need. */
#include <string.h>

#include "base/hash.h"
#include "dataplane/group_priv.h"

#define SET_NONE UINT32_MAX

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
        set->is_text = column->of.type == WEIR_TYPE_STR;
        set->number = column->number;
        set->map = group->map_cnt;
        group->map_cnt += !set->is_text;
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
    } else if (conf->kind == WEIR_GROUP_COUNT) {
        group->count[group->count_cnt++] =
            (struct weir_group_count){group->column_cnt, column.where};
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
        group->has_texts |= in->type == WEIR_TYPE_STR;
        group->key_from[group->key_cnt] = *in;
        group->key_to[group->key_cnt++] = *out;
    }
    return 0;
}

/* What the numbers of the state, and of the values' entries, mean. */
static uint64_t
shape_of(const struct weir_group *group)
{
    static const uint64_t versions[2][2] = {{5, 3}, {7, 6}}; /* with numbers' maps, with changes */
    uint64_t shape = versions[group->map_cnt > 0][group->takes_changes];
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

/* Columns whose numbers stand in the output as they do in the state are one piece. */
static void
find_pieces(struct weir_group *group)
{
    const uint32_t word = sizeof(int64_t);
    struct weir_group_piece *piece = group->piece;
    for (uint32_t c = 0; c < group->column_cnt; c++) {
        uint32_t to = group->column[c].out_off;
        if (c == 0 || piece->to + piece->bytes != to) {
            piece = &group->piece[group->piece_cnt++];
            *piece = (struct weir_group_piece){c, to, 0};
        }
        piece->bytes += word;
    }
}

static bool
has_gaps(const struct weir_schema *schema)
{
    uint32_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        bytes += schema->fields[f].bytes;
    }
    return bytes < schema->row_bytes;
}

/* Maps of numbers, and texts. */
static void
declare_kinds(struct weir_group *group)
{
    uint32_t word_cnt = 1;
    uint32_t cnt = 0;
    for (uint32_t s = 0; s < group->set_cnt && group->takes_changes; s++) {
        uint32_t slot_cnt = group->set[s].is_text ? 0 : group->set[s].slot_cnt;
        word_cnt = slot_cnt > word_cnt ? slot_cnt : word_cnt;
    }
    if (group->map_cnt > 0) {
        group->numbers_idx = cnt;
        group->kinds[cnt++] = (struct weir_kind)WEIR_KIND_NUMBERS(
            "numbers", group->map_cnt, word_cnt * (uint32_t)sizeof(int64_t));
    }
    if (group->set_cnt > group->map_cnt) {
        group->texts_idx = cnt;
        group->kinds[cnt++] = (struct weir_kind)WEIR_KIND_MAP("values", 0, 0, WEIR_NO_TTL);
    }
    group->function.kinds = group->kinds;
    group->function.kind_cnt = cnt;
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
    find_pieces(group);
    group->has_gaps = has_gaps(schemas->out);
    group->function = (struct weir_process_function){.name = "group",
        .state_bytes = (COLUMNS + conf->column_cnt) * (uint32_t)sizeof(int64_t),
        .rows = weir_group_rows};
    declare_kinds(group);
    return err;
}
