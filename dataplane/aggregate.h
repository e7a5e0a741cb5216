/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate.h: what a window or a reduce keeps for each key instead of its rows.
 *
 * Built-in ones take a field of the input:
 *
 *     weir_aggregate_count()  weir_aggregate_sum("price")  ..._min  ..._max  ..._avg
 *
 * One of your own is an accumulator struct, a few inline functions named after it, and one line:
 *
 *     struct spread { int64_t least, most; };
 *     static inline void spread_init(struct spread *acc) {}
 *     static inline void spread_add(struct spread *acc, const struct bid *in, const char *heap) {}
 *     static inline void spread_merge(struct spread *acc, const struct spread *from) {}
 *     static inline void spread_result(const struct spread *acc, struct spread_row *out) {}
 *     WEIR_AGGREGATE(spread, bid, struct spread, spread_row)          -> spread_agg
 *
 * Where there is an inverse, WEIR_AGGREGATE_INVERTIBLE also takes spread_subtract(acc, from), which
 * undoes a merge exactly; sliding windows are cheaper then. The functions are inlined into loops
 * over a batch: nothing is called per record.
 *
 * result() sets the fields of the output row that nobody else does: those of the key and of the
 * window are there already (window.h). It may set inline strings only.
 *
 * Thread: an aggregate is constant; accumulators belong to the operator that keeps them.
 * Source: Flink's AggregateFunction; there a call per record.
 */
#ifndef WEIR_DATAPLANE_AGGREGATE_H
#define WEIR_DATAPLANE_AGGREGATE_H

#include "base/err.h"
#include "dataplane/batch.h"

WEIR_C_BEGIN

/* Accumulators lie in table entries (table.h), of which the operators keep 8 bytes for
 * themselves. */
#define WEIR_AGGREGATE_ACC_BYTES_MAX 248

struct weir_aggregate;

/* Selected rows [from, from + cnt) of a batch. */
struct weir_aggregate_rows {
    const struct weir_view *view;
    uint32_t from;
    uint32_t cnt;
};

/* acc: one accumulator a row; the same may stand there several times. */
typedef void(weir_aggregate_update_fn)(
    const struct weir_aggregate *agg, void *const *acc, const struct weir_aggregate_rows *rows);
/* As update, and after each row its accumulator's result into `to`. */
typedef void(weir_aggregate_roll_fn)(const struct weir_aggregate *agg, void *const *acc,
    const struct weir_aggregate_rows *rows, struct weir_lane to);
typedef void(weir_aggregate_init_fn)(
    const struct weir_aggregate *agg, void *const *acc, uint32_t cnt);
typedef void(weir_aggregate_merge_fn)(
    const struct weir_aggregate *agg, void *const *acc, void *const *from, uint32_t cnt);
typedef void(weir_aggregate_result_fn)(
    const struct weir_aggregate *agg, void *const *acc, uint32_t cnt, struct weir_lane to);
/* Numbers in the order of the results. */
typedef void(weir_aggregate_rank_fn)(
    const struct weir_aggregate *agg, void *const *acc, uint32_t cnt, int64_t *ret_rank);

enum weir_aggregate_kind {
    WEIR_AGGREGATE_OWN, /* made by a macro below */
    WEIR_AGGREGATE_COUNT,
    WEIR_AGGREGATE_SUM,
    WEIR_AGGREGATE_MIN,
    WEIR_AGGREGATE_MAX,
    WEIR_AGGREGATE_AVG,
    WEIR_AGGREGATE_KIND_CNT
};

/* Copied freely. Of a built-in one only kind, name and field_name are set until it is resolved. */
struct weir_aggregate {
    const char *name;
    uint32_t kind; /* enum weir_aggregate_kind */
    uint32_t acc_bytes;
    const struct weir_schema *(*in_schema)(void); /* NULL: built-in, any */
    const struct weir_schema *(*out_schema)(void);
    weir_aggregate_init_fn *init; /* NULL: all bytes zero are a fresh accumulator */
    weir_aggregate_update_fn *update;
    weir_aggregate_merge_fn *merge;
    weir_aggregate_merge_fn *subtract; /* NULL: there is no exact inverse */
    weir_aggregate_result_fn *result;
    weir_aggregate_roll_fn *roll;
    weir_aggregate_rank_fn *rank; /* NULL: not known, built-in ones only */
    const char *field_name; /* built-in: the input field, NULL for a count */
    struct weir_field field; /* built-in, resolved: the input field */
    struct weir_field out; /* built-in, resolved: the output field of the result */
    /* One's own: the accumulator's fields, for savepoints. NULL: they hold its bytes. */
    const struct weir_schema *(*acc_schema)(void);
};

WEIR_API struct weir_aggregate weir_aggregate_count(void);
/* weir_aggregate_sum, _min, _max, _avg - over a field of type i32, i64, f64, decimal, and for min
 * and max also ts and time. Sums of integers wrap. An average is an f64, or a number of the input's
 * type rounded towards zero, as the output field says. */
WEIR_API struct weir_aggregate weir_aggregate_sum(const char *field);
WEIR_API struct weir_aggregate weir_aggregate_min(const char *field);
WEIR_API struct weir_aggregate weir_aggregate_max(const char *field);
WEIR_API struct weir_aggregate weir_aggregate_avg(const char *field);

/* weir_aggregate_resolve - fit an aggregate to its input and the output field of its result.
 *
 * Shape:   out_field is NULL for one of the user's own.
 * Errors:  WEIR_EGRAPH: no such field, or types that do not go together; nullable fields are
 *          refused.
 */
WEIR_API WEIR_MUST_USE int weir_aggregate_resolve(struct weir_aggregate *agg,
    const struct weir_schema *in_schema, const struct weir_field *out_field);

/* weir_aggregate_check_out - whether one of the user's own makes rows of this schema.
 * WEIR_EGRAPH. */
WEIR_API WEIR_MUST_USE int
weir_aggregate_check_out(const struct weir_aggregate *agg, const struct weir_schema *out_schema);

/* weir_aggregate_fields - the fields of an accumulator.
 *
 * Shape:   agg is resolved; ret_fields has room for WEIR_FIELD_CNT_MAX.
 * Returns: their number; 0: it is bytes.
 */
WEIR_API uint32_t weir_aggregate_fields(
    const struct weir_aggregate *agg, struct weir_field *ret_fields);

struct weir_keyed_rows;
/* weir_aggregate_init_made - init the entries that a lookup has made, from the made_at-th on. */
WEIR_API void weir_aggregate_init_made(
    const struct weir_aggregate *agg, const struct weir_keyed_rows *rows, uint32_t made_at);

WEIR_C_END

/* WEIR_AGGREGATE_ROW - the input row `idx` of view as `in`, copied where the layout is columns. */
#define WEIR_AGGREGATE_ROW(in_type, view, idx)                                                    \
    struct in_type row;                                                                           \
    const struct in_type *in = &row;                                                              \
    if ((view)->stride != 0) {                                                                    \
        in = (const struct in_type *)(const void *)((view)->rows + (size_t)(view)->stride *       \
                                                                       weir_view_row(view, idx)); \
    } else {                                                                                      \
        in_type##_load((view)->rows, (view)->cap, weir_view_row(view, idx), &row);                \
    }

#define WEIR_AGGREGATE_LOOPS(name, in_type, acc_type, out_type)                                   \
    WEIR_STATIC_ASSERT(                                                                           \
        sizeof(acc_type) <= WEIR_AGGREGATE_ACC_BYTES_MAX, "the accumulator is too large");        \
    static void name##_init_all(                                                                  \
        const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, uint32_t cnt)             \
    {                                                                                             \
        for (uint32_t i = 0; i < cnt; i++) {                                                      \
            name##_init((acc_type *)acc[i]);                                                      \
        }                                                                                         \
    }                                                                                             \
    static void name##_update_all(const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, \
        const struct weir_aggregate_rows *rows)                                                   \
    {                                                                                             \
        for (uint32_t i = 0; i < rows->cnt; i++) {                                                \
            WEIR_AGGREGATE_ROW(in_type, rows->view, rows->from + i)                               \
            name##_add((acc_type *)acc[i], in, rows->view->heap);                                 \
        }                                                                                         \
    }                                                                                             \
    static void name##_roll_all(const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc,   \
        const struct weir_aggregate_rows *rows, struct weir_lane to)                              \
    {                                                                                             \
        for (uint32_t i = 0; i < rows->cnt; i++) {                                                \
            WEIR_AGGREGATE_ROW(in_type, rows->view, rows->from + i)                               \
            name##_add((acc_type *)acc[i], in, rows->view->heap);                                 \
            name##_result((const acc_type *)acc[i],                                               \
                (struct out_type *)(void *)(to.ptr + (size_t)to.stride * i));                     \
        }                                                                                         \
    }                                                                                             \
    static void name##_merge_all(const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc,  \
        void *const *from, uint32_t cnt)                                                          \
    {                                                                                             \
        for (uint32_t i = 0; i < cnt; i++) {                                                      \
            name##_merge((acc_type *)acc[i], (const acc_type *)from[i]);                          \
        }                                                                                         \
    }                                                                                             \
    static void name##_result_all(const struct weir_aggregate *agg WEIR_UNUSED, void *const *acc, \
        uint32_t cnt, struct weir_lane to)                                                        \
    {                                                                                             \
        for (uint32_t i = 0; i < cnt; i++) {                                                      \
            name##_result((const acc_type *)acc[i],                                               \
                (struct out_type *)(void *)(to.ptr + (size_t)to.stride * i));                     \
        }                                                                                         \
    }

#define WEIR_AGGREGATE_TABLE(name, in_type, acc_type, out_type, subtract_fn, acc_schema_fn)        \
    static const struct weir_aggregate name##_agg = {#name, WEIR_AGGREGATE_OWN, sizeof(acc_type),  \
        in_type##_schema, out_type##_schema, name##_init_all, name##_update_all, name##_merge_all, \
        subtract_fn, name##_result_all, name##_roll_all, NULL, NULL, {NULL, 0, 0, 0, 0, false},    \
        {NULL, 0, 0, 0, 0, false}, acc_schema_fn};

/* WEIR_AGGREGATE, WEIR_AGGREGATE_INVERTIBLE - see the top of this file. The same with an
 * accumulator that WEIR_SCHEMA has declared: a savepoint then knows its fields by their names, and
 * the next version of a job may have others. */
#define WEIR_AGGREGATE(name, in_type, acc_type, out_type)   \
    WEIR_AGGREGATE_LOOPS(name, in_type, acc_type, out_type) \
    WEIR_AGGREGATE_TABLE(name, in_type, acc_type, out_type, NULL, NULL)

#define WEIR_AGGREGATE_INVERTIBLE(name, in_type, acc_type, out_type)              \
    WEIR_AGGREGATE_LOOPS(name, in_type, acc_type, out_type)                       \
    static void name##_subtract_all(const struct weir_aggregate *agg WEIR_UNUSED, \
        void *const *acc, void *const *from, uint32_t cnt)                        \
    {                                                                             \
        for (uint32_t i = 0; i < cnt; i++) {                                      \
            name##_subtract((acc_type *)acc[i], (const acc_type *)from[i]);       \
        }                                                                         \
    }                                                                             \
    WEIR_AGGREGATE_TABLE(name, in_type, acc_type, out_type, name##_subtract_all, NULL)

#define WEIR_AGGREGATE_NAMED(name, in_type, acc_name, out_type)    \
    WEIR_AGGREGATE_LOOPS(name, in_type, struct acc_name, out_type) \
    WEIR_AGGREGATE_TABLE(name, in_type, struct acc_name, out_type, NULL, acc_name##_schema)

#endif
