/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in aggregates. Each is one inline step on a value and one on an accumulator; the loops
 * around them are expanded per type and per kind, with the selection tested outside. */
#include "dataplane/aggregate.h"

#include <string.h>

#include "dataplane/keyed.h"
#include "dataplane/rank.h"

/* Accumulators. `cnt` is there for the averages only. */
struct acc_int {
    int64_t value;
    int64_t cnt;
};

struct acc_real {
    double value;
    int64_t cnt;
};

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* ---- one value ---- */

/* Sums wrap: unsigned arithmetic, so that it is defined. */
static ALWAYS_INLINE int64_t
add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static ALWAYS_INLINE void
int_add(uint32_t kind, void *acc_ptr, int64_t value)
{
    struct acc_int *acc = acc_ptr;
    switch (kind) {
    case WEIR_AGGREGATE_COUNT:
        acc->value++;
        break;
    case WEIR_AGGREGATE_SUM:
        acc->value = add_wrap(acc->value, value);
        break;
    case WEIR_AGGREGATE_MIN:
        acc->value = weir_min_i64(acc->value, value);
        break;
    case WEIR_AGGREGATE_MAX:
        acc->value = weir_max_i64(acc->value, value);
        break;
    default:
        acc->value = add_wrap(acc->value, value);
        acc->cnt++;
        break;
    }
}

static ALWAYS_INLINE void
real_add(uint32_t kind, void *acc_ptr, double value)
{
    struct acc_real *acc = acc_ptr;
    switch (kind) {
    case WEIR_AGGREGATE_SUM:
        acc->value += value;
        break;
    case WEIR_AGGREGATE_MIN:
        acc->value = value < acc->value ? value : acc->value;
        break;
    case WEIR_AGGREGATE_MAX:
        acc->value = value > acc->value ? value : acc->value;
        break;
    default:
        acc->value += value;
        acc->cnt++;
        break;
    }
}

/* The factor that turns thousandths and the like into a double. */
static double
unit_of(const struct weir_aggregate *agg)
{
    double unit = 1.0;
    if (agg->field.type == WEIR_TYPE_DEC && agg->out.type == WEIR_TYPE_F64) {
        for (uint32_t i = 0; i < agg->field.scale; i++) {
            unit *= 10.0;
        }
    }
    return unit;
}

static ALWAYS_INLINE void
put_int(const struct weir_aggregate *agg, char *row, int64_t value)
{
    if (agg->out.bytes == 8) {
        memcpy(row + agg->out.off, &value, 8);
    } else {
        int32_t narrow = (int32_t)value;
        memcpy(row + agg->out.off, &narrow, 4);
    }
}

static ALWAYS_INLINE void
int_result(const struct weir_aggregate *agg, const void *acc_ptr, double unit, char *row)
{
    const struct acc_int *acc = acc_ptr;
    bool is_avg = agg->kind == WEIR_AGGREGATE_AVG;
    if (agg->out.type == WEIR_TYPE_F64) {
        double value = (double)acc->value / unit;
        value = is_avg ? value / (double)acc->cnt : value;
        memcpy(row + agg->out.off, &value, 8);
    } else {
        put_int(agg, row, is_avg ? acc->value / acc->cnt : acc->value);
    }
}

static ALWAYS_INLINE void
real_result(const struct weir_aggregate *agg, const void *acc_ptr, char *row)
{
    const struct acc_real *acc = acc_ptr;
    double value = acc->value;
    if (agg->kind == WEIR_AGGREGATE_AVG) {
        value /= (double)acc->cnt;
    }
    memcpy(row + agg->out.off, &value, 8);
}

/* ---- loops over a batch ---- */

static ALWAYS_INLINE int64_t
load_int(const char *at, uint32_t bytes)
{
    int64_t value;
    int32_t narrow;
    if (bytes == 8) {
        memcpy(&value, at, 8);
        return value;
    }
    memcpy(&narrow, at, 4);
    return narrow;
}

static ALWAYS_INLINE double
load_real(const char *at)
{
    double value;
    memcpy(&value, at, 8);
    return value;
}

static ALWAYS_INLINE void
update_ints(const struct weir_aggregate *agg, uint32_t kind, uint32_t bytes, void *const *acc,
    const struct weir_aggregate_rows *rows)
{
    struct weir_lane lane = weir_view_lane(rows->view, agg->field.off, bytes);
    if (rows->view->sel == NULL) {
        const char *at = lane.ptr + (size_t)lane.stride * rows->from;
        for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++, at += lane.stride) {
            int_add(kind, acc[i], load_int(at, bytes));
        }
    } else {
        const uint16_t *sel = rows->view->sel + rows->from;
        for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++) {
            int_add(kind, acc[i], load_int(lane.ptr + (size_t)lane.stride * sel[i], bytes));
        }
    }
}

static ALWAYS_INLINE void
update_reals(const struct weir_aggregate *agg, uint32_t kind, void *const *acc,
    const struct weir_aggregate_rows *rows)
{
    struct weir_lane lane = weir_view_lane(rows->view, agg->field.off, 8);
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++) {
        uint32_t row = weir_view_row(rows->view, rows->from + i);
        real_add(kind, acc[i], load_real(lane.ptr + (size_t)lane.stride * row));
    }
}

static void
update_count(const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc,
    const struct weir_aggregate_rows *rows)
{
    /* The count in a register: a store to an accumulator might alias it. */
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++) {
        ((struct acc_int *)acc[i])->value++;
    }
}

static void
update_int(
    const struct weir_aggregate *agg, void *const *acc, const struct weir_aggregate_rows *rows)
{
    bool is_wide = agg->field.bytes == 8;
    switch (agg->kind) {
    case WEIR_AGGREGATE_SUM:
        is_wide ? update_ints(agg, WEIR_AGGREGATE_SUM, 8, acc, rows)
                : update_ints(agg, WEIR_AGGREGATE_SUM, 4, acc, rows);
        break;
    case WEIR_AGGREGATE_MIN:
        is_wide ? update_ints(agg, WEIR_AGGREGATE_MIN, 8, acc, rows)
                : update_ints(agg, WEIR_AGGREGATE_MIN, 4, acc, rows);
        break;
    case WEIR_AGGREGATE_MAX:
        is_wide ? update_ints(agg, WEIR_AGGREGATE_MAX, 8, acc, rows)
                : update_ints(agg, WEIR_AGGREGATE_MAX, 4, acc, rows);
        break;
    default:
        is_wide ? update_ints(agg, WEIR_AGGREGATE_AVG, 8, acc, rows)
                : update_ints(agg, WEIR_AGGREGATE_AVG, 4, acc, rows);
        break;
    }
}

static void
update_real(
    const struct weir_aggregate *agg, void *const *acc, const struct weir_aggregate_rows *rows)
{
    switch (agg->kind) {
    case WEIR_AGGREGATE_SUM:
        update_reals(agg, WEIR_AGGREGATE_SUM, acc, rows);
        break;
    case WEIR_AGGREGATE_MIN:
        update_reals(agg, WEIR_AGGREGATE_MIN, acc, rows);
        break;
    case WEIR_AGGREGATE_MAX:
        update_reals(agg, WEIR_AGGREGATE_MAX, acc, rows);
        break;
    default:
        update_reals(agg, WEIR_AGGREGATE_AVG, acc, rows);
        break;
    }
}

static void
roll_int(const struct weir_aggregate *agg, void *const *acc, const struct weir_aggregate_rows *rows,
    struct weir_lane to)
{
    struct weir_lane lane = weir_view_lane(rows->view, agg->field.off, agg->field.bytes);
    double unit = unit_of(agg);
    bool is_count = agg->kind == WEIR_AGGREGATE_COUNT;
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++) {
        uint32_t row = weir_view_row(rows->view, rows->from + i);
        int64_t value =
            is_count ? 0 : load_int(lane.ptr + (size_t)lane.stride * row, agg->field.bytes);
        int_add(agg->kind, acc[i], value);
        int_result(agg, acc[i], unit, to.ptr + (size_t)to.stride * i);
    }
}

static void
roll_real(const struct weir_aggregate *agg, void *const *acc,
    const struct weir_aggregate_rows *rows, struct weir_lane to)
{
    struct weir_lane lane = weir_view_lane(rows->view, agg->field.off, 8);
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++) {
        uint32_t row = weir_view_row(rows->view, rows->from + i);
        real_add(agg->kind, acc[i], load_real(lane.ptr + (size_t)lane.stride * row));
        real_result(agg, acc[i], to.ptr + (size_t)to.stride * i);
    }
}

/* ---- loops over accumulators ---- */

static void
init_int(const struct weir_aggregate *agg, void *const *acc, uint32_t cnt)
{
    int64_t value = agg->kind == WEIR_AGGREGATE_MIN ? INT64_MAX : INT64_MIN;
    for (uint32_t i = 0; i < cnt; i++) {
        ((struct acc_int *)acc[i])->value = value;
    }
}

static void
init_real(const struct weir_aggregate *agg, void *const *acc, uint32_t cnt)
{
    double value = agg->kind == WEIR_AGGREGATE_MIN ? __builtin_inf() : -__builtin_inf();
    for (uint32_t i = 0; i < cnt; i++) {
        ((struct acc_real *)acc[i])->value = value;
    }
}

static void
merge_sum(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, void *const *from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct acc_int *to = acc[i];
        to->value = add_wrap(to->value, ((const struct acc_int *)from[i])->value);
    }
}

static void
subtract_sum(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, void *const *from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct acc_int *to = acc[i];
        to->value =
            (int64_t)((uint64_t)to->value - (uint64_t)((const struct acc_int *)from[i])->value);
    }
}

static void
merge_extreme(const struct weir_aggregate *agg, void *const *acc, void *const *from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        int_add(agg->kind, acc[i], ((const struct acc_int *)from[i])->value);
    }
}

static void
merge_avg(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, void *const *from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct acc_int *to = acc[i];
        const struct acc_int *add = from[i];
        to->value = add_wrap(to->value, add->value);
        to->cnt += add->cnt;
    }
}

static void
subtract_avg(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, void *const *from, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct acc_int *to = acc[i];
        const struct acc_int *sub = from[i];
        to->value = (int64_t)((uint64_t)to->value - (uint64_t)sub->value);
        to->cnt -= sub->cnt;
    }
}

static void
merge_real(const struct weir_aggregate *agg, void *const *acc, void *const *from, uint32_t cnt)
{
    if (agg->kind != WEIR_AGGREGATE_AVG) {
        for (uint32_t i = 0; i < cnt; i++) {
            real_add(agg->kind, acc[i], ((const struct acc_real *)from[i])->value);
        }
        return;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        struct acc_real *to = acc[i];
        const struct acc_real *add = from[i];
        to->value += add->value;
        to->cnt += add->cnt;
    }
}

static void
result_int(const struct weir_aggregate *agg, void *const *acc, uint32_t cnt, struct weir_lane to)
{
    double unit = unit_of(agg);
    char *at = to.ptr + agg->out.off;
    bool is_word = agg->out.type != WEIR_TYPE_F64 && agg->out.bytes == 8;
    if (is_word && agg->kind != WEIR_AGGREGATE_AVG) {
        for (uint32_t i = 0; i < cnt; i++, at += to.stride) {
            memcpy(at, &((const struct acc_int *)acc[i])->value, 8);
        }
        return;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        int_result(agg, acc[i], unit, to.ptr + (size_t)to.stride * i);
    }
}

static void
result_real(const struct weir_aggregate *agg, void *const *acc, uint32_t cnt, struct weir_lane to)
{
    for (uint32_t i = 0; i < cnt; i++) {
        real_result(agg, acc[i], to.ptr + (size_t)to.stride * i);
    }
}

static void
rank_int(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, uint32_t cnt, int64_t *ret_rank)
{
    for (uint32_t i = 0; i < cnt; i++) {
        ret_rank[i] = ((const struct acc_int *)acc[i])->value;
    }
}

static void
rank_real(
    const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, uint32_t cnt, int64_t *ret_rank)
{
    for (uint32_t i = 0; i < cnt; i++) {
        ret_rank[i] = weir_rank_real(((const struct acc_real *)acc[i])->value);
    }
}

/* ---- making one ---- */

static struct weir_aggregate
built_in(enum weir_aggregate_kind kind, const char *name, const char *field)
{
    struct weir_aggregate agg;
    memset(&agg, 0, sizeof agg);
    agg.kind = kind;
    agg.name = name;
    agg.field_name = field;
    return agg;
}

struct weir_aggregate
weir_aggregate_count(void)
{
    return built_in(WEIR_AGGREGATE_COUNT, "count", NULL);
}

struct weir_aggregate
weir_aggregate_sum(const char *field)
{
    return built_in(WEIR_AGGREGATE_SUM, "sum", field);
}

struct weir_aggregate
weir_aggregate_min(const char *field)
{
    return built_in(WEIR_AGGREGATE_MIN, "min", field);
}

struct weir_aggregate
weir_aggregate_max(const char *field)
{
    return built_in(WEIR_AGGREGATE_MAX, "max", field);
}

struct weir_aggregate
weir_aggregate_avg(const char *field)
{
    return built_in(WEIR_AGGREGATE_AVG, "avg", field);
}

static bool
takes(uint32_t kind, uint32_t type)
{
    switch (type) {
    case WEIR_TYPE_I32:
    case WEIR_TYPE_I64:
    case WEIR_TYPE_F64:
    case WEIR_TYPE_DEC:
        return true;
    case WEIR_TYPE_TS:
    case WEIR_TYPE_TIME:
        return kind == WEIR_AGGREGATE_MIN || kind == WEIR_AGGREGATE_MAX;
    default:
        return false;
    }
}

static bool
is_instant(uint32_t type)
{
    return type == WEIR_TYPE_TS || type == WEIR_TYPE_TIME;
}

/* Whether a result over `in` fits the field `out` without a loss that nobody asked for. */
static bool
gives(uint32_t kind, const struct weir_field *in, const struct weir_field *out)
{
    if (kind == WEIR_AGGREGATE_COUNT) {
        return out->type == WEIR_TYPE_I64 || out->type == WEIR_TYPE_I32;
    }
    if (out->type == WEIR_TYPE_F64) {
        return !is_instant(in->type);
    }
    if (in->type == WEIR_TYPE_DEC || out->type == WEIR_TYPE_DEC) {
        return in->type == out->type && in->scale == out->scale;
    }
    if (in->type == WEIR_TYPE_I32 && out->type == WEIR_TYPE_I32) {
        return kind != WEIR_AGGREGATE_SUM;
    }
    if (is_instant(in->type)) {
        return is_instant(out->type);
    }
    return in->type != WEIR_TYPE_F64 && out->type == WEIR_TYPE_I64;
}

static void
bind_int(struct weir_aggregate *agg)
{
    bool is_avg = agg->kind == WEIR_AGGREGATE_AVG;
    bool is_extreme = agg->kind == WEIR_AGGREGATE_MIN || agg->kind == WEIR_AGGREGATE_MAX;
    agg->acc_bytes = is_avg ? sizeof(struct acc_int) : sizeof(int64_t);
    agg->init = is_extreme ? init_int : NULL;
    agg->update = agg->kind == WEIR_AGGREGATE_COUNT ? update_count : update_int;
    agg->merge = is_avg ? merge_avg : is_extreme ? merge_extreme : merge_sum;
    agg->subtract = is_avg ? subtract_avg : is_extreme ? NULL : subtract_sum;
    agg->result = result_int;
    agg->roll = roll_int;
    agg->rank = is_avg ? NULL : rank_int;
}

/* Sums of doubles have no exact inverse: what is subtracted is not quite what was added. */
static void
bind_real(struct weir_aggregate *agg)
{
    bool is_extreme = agg->kind == WEIR_AGGREGATE_MIN || agg->kind == WEIR_AGGREGATE_MAX;
    agg->acc_bytes = agg->kind == WEIR_AGGREGATE_AVG ? sizeof(struct acc_real) : sizeof(double);
    agg->init = is_extreme ? init_real : NULL;
    agg->update = update_real;
    agg->merge = merge_real;
    agg->subtract = NULL;
    agg->result = result_real;
    agg->roll = roll_real;
    agg->rank = agg->kind == WEIR_AGGREGATE_AVG ? NULL : rank_real;
}

static int
resolve_own(const struct weir_aggregate *agg, const struct weir_schema *in_schema)
{
    if (agg->in_schema != NULL &&
        weir_schema_fingerprint(agg->in_schema()) != weir_schema_fingerprint(in_schema)) {
        return weir_err_push(WEIR_EGRAPH, "the aggregate %s takes rows of %s, not of %s", agg->name,
            agg->in_schema()->name, in_schema->name);
    }
    return 0;
}

int
weir_aggregate_check_out(const struct weir_aggregate *agg, const struct weir_schema *out_schema)
{
    if (agg->kind == WEIR_AGGREGATE_OWN && agg->out_schema != NULL &&
        weir_schema_fingerprint(agg->out_schema()) != weir_schema_fingerprint(out_schema)) {
        return weir_err_push(WEIR_EGRAPH, "the aggregate %s makes rows of %s, not of %s", agg->name,
            agg->out_schema()->name, out_schema->name);
    }
    return 0;
}

void
weir_aggregate_init_made(
    const struct weir_aggregate *agg, const struct weir_keyed_rows *rows, uint32_t made_at)
{
    void *acc[WEIR_KEYED_ROW_CNT_MAX];
    uint32_t cnt = 0;
    if (agg->init == NULL) {
        return;
    }
    for (uint32_t i = made_at; i < rows->rows.made_cnt; i++) {
        acc[cnt++] = rows->val[rows->made[i]];
    }
    if (cnt > 0) {
        agg->init(agg, acc, cnt);
    }
}

int
weir_aggregate_resolve(struct weir_aggregate *agg, const struct weir_schema *in_schema,
    const struct weir_field *out_field)
{
    if (agg->kind == WEIR_AGGREGATE_OWN) {
        return resolve_own(agg, in_schema);
    }
    memset(&agg->field, 0, sizeof agg->field);
    agg->field.type = WEIR_TYPE_I64;
    agg->field.bytes = 8;
    if (agg->kind != WEIR_AGGREGATE_COUNT) {
        int idx = agg->field_name == NULL ? -1 : weir_schema_field(in_schema, agg->field_name);
        if (idx < 0) {
            return weir_err_push(WEIR_EGRAPH, "%s over the field %s, which is not in %s", agg->name,
                agg->field_name == NULL ? "(none)" : agg->field_name, in_schema->name);
        }
        agg->field = in_schema->fields[idx];
        if (!takes(agg->kind, agg->field.type)) {
            return weir_err_push(WEIR_EGRAPH, "%s over the field %s of %s, which is a %s",
                agg->name, agg->field_name, in_schema->name, weir_type_name(agg->field.type));
        }
        if (agg->field.nullable) {
            return weir_err_push(WEIR_EGRAPH, "%s over the field %s of %s, which may be null",
                agg->name, agg->field_name, in_schema->name);
        }
    }
    agg->out = *out_field;
    if (!gives(agg->kind, &agg->field, out_field)) {
        return weir_err_push(WEIR_EGRAPH, "the field %s is a %s: it cannot hold the %s of a %s",
            out_field->name, weir_type_name(out_field->type), agg->name,
            weir_type_name(agg->field.type));
    }
    agg->field.type == WEIR_TYPE_F64 ? bind_real(agg) : bind_int(agg);
    return 0;
}

/* ---- savepoints ---- */

uint32_t
weir_aggregate_fields(const struct weir_aggregate *agg, struct weir_field *ret_fields)
{
    static const char *const names[WEIR_AGGREGATE_KIND_CNT] = {[WEIR_AGGREGATE_COUNT] = "count",
        [WEIR_AGGREGATE_SUM] = "sum",
        [WEIR_AGGREGATE_MIN] = "min",
        [WEIR_AGGREGATE_MAX] = "max",
        [WEIR_AGGREGATE_AVG] = "sum"};
    const uint32_t word = sizeof(int64_t);
    if (agg->kind == WEIR_AGGREGATE_OWN) {
        const struct weir_schema *schema = agg->acc_schema != NULL ? agg->acc_schema() : NULL;
        if (schema == NULL) {
            return 0;
        }
        memcpy(ret_fields, schema->fields, schema->field_cnt * sizeof *ret_fields);
        return schema->field_cnt;
    }
    /* Integers of all widths are summed and compared as i64, others as what they are. */
    uint16_t type = agg->kind == WEIR_AGGREGATE_COUNT || agg->field.type == WEIR_TYPE_I32
                        ? WEIR_TYPE_I64
                        : agg->field.type;
    ret_fields[0] = (struct weir_field){
        names[agg->kind], type, type == WEIR_TYPE_DEC ? agg->field.scale : 0, 0, word, false};
    ret_fields[1] = (struct weir_field){"count", WEIR_TYPE_I64, 0, word, word, false};
    return agg->kind == WEIR_AGGREGATE_AVG ? 2 : 1;
}
