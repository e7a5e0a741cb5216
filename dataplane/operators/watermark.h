/* SPDX-License-Identifier: Apache-2.0 */
/* watermark.h: watermarks from the event times of the records themselves.
 *
 * Three strategies: a lag behind the greatest time so far; rising times, which is a lag of 1 ms,
 * for equal ones are on time; and a function of one's own, which sees each row:
 *
 *     WEIR_WATERMARK(by_mark, event, struct marks)       from rows that say so themselves
 *     {
 *         return in->is_mark ? in->at : WEIR_TIME_MIN;    the least that it may be: no change
 *     }
 *
 * It defines by_mark_watermark. A body sees in, heap and time of a row, and its state, zero at
 * first, a struct of numbers of 64 bits. What it has said once it need not say again.
 *
 * Sources of one group may be kept together (alignment.h): the job reads of none much further than
 * of the others, so that windows and joins behind them hold little.
 *
 * Any of them may go idle: where no row has come for idle_ms of processing time, those behind are
 * told not to wait for this one; the next row takes that back, in front of it.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_WATERMARK_H
#define WEIR_DATAPLANE_OPERATORS_WATERMARK_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

/* The lag of times that never fall. */
#define WEIR_WATERMARK_RISING_LAG_MS 1
#define WEIR_WATERMARK_STATE_BYTES_MAX 64

/* Rows from `from` on, up to the one that may be late by a watermark that was not told, or all.
 * *exact_ms is the watermark so far, and then that behind those rows. Returns how many. */
typedef uint32_t(weir_watermark_rows_fn)(
    void *state, const struct weir_view *in, uint32_t from, int64_t told_ms, int64_t *exact_ms);

/* What the macro defines. */
struct weir_watermark_function {
    const char *name;
    const struct weir_schema *(*in_schema)(void);
    uint32_t state_bytes;
    weir_watermark_rows_fn *rows;
};

struct weir_watermark_conf {
    int64_t lag_ms; /* the watermark is the greatest time so far less this */
    int64_t idle_ms; /* of processing time; 0: never idle by itself */
    const struct weir_watermark_function *function; /* in the place of a lag; NULL: none */
    /* The sources of a group wait for each other: the one before this operator, in its stage, is
     * not polled while its watermark is more than drift_ms ahead of the least of the group. Kept;
     * NULL: none. */
    const char *group;
    int64_t drift_ms;
};

/* The same inside a source, which has read the times anyway. */
struct weir_watermarker {
    int64_t max_ms; /* greatest event time so far, WEIR_TIME_MIN: none */
    int64_t told_ms; /* last watermark put out */
    int64_t batch_min_ms; /* of the rows looked at last */
    int64_t batch_max_ms;
    bool time_unused; /* watermarks are for people alone: the last row's time will do */
    int64_t touch_ms; /* how far behind a watermark that is not told a row may still meet it */
    int64_t interval_ns; /* of processing time between two of them, 0: one after every batch */
    int64_t now_ns; /* set by who has an interval */
    int64_t told_ns; /* when the last one was put out */
};

/* weir_watermarker_init - before the first row. */
WEIR_API void
weir_watermarker_init(struct weir_watermarker *self, const struct weir_operator_env *env);

/* weir_watermarker_take - how many rows of `in` from `from` on may go out, and the watermark
 * behind them.
 *
 * Shape:   all selected rows count. Fewer than all: the row behind them is at or behind a watermark
 *          that has to be told first. The rows go out under the told_ms from before the call.
 * Returns: the number of rows; a watermark, where one is due, is set on out.
 */
WEIR_API uint32_t weir_watermarker_take(struct weir_watermarker *self,
    const struct weir_watermark_conf *conf, const struct weir_view *in, uint32_t from,
    struct weir_out *out);

/* weir_watermarker_tell - the same behind rows that cannot make one another late (tally.h), whose
 * greatest time is max_ms. */
WEIR_API void weir_watermarker_tell(struct weir_watermarker *self,
    const struct weir_watermark_conf *conf, int64_t max_ms, struct weir_out *out);

/* weir_watermarker_snapshot, weir_watermarker_restore - as part of the operator that it is in. With
 * another number of subtasks it goes on from the least of all: no row becomes late by it. */
WEIR_API void
weir_watermarker_snapshot(const struct weir_watermarker *self, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int weir_watermarker_restore(struct weir_watermarker *self,
    const struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);
/* Its parts, for an operator's table of them (state.h). */
#define WEIR_WATERMARKER_PARTS                \
    {"time_max", WEIR_STATE_PART_LEAST, 0},   \
    {                                         \
        "watermark", WEIR_STATE_PART_LEAST, 0 \
    }

extern WEIR_API const struct weir_operator_type weir_watermark_type;

/* weir_watermark_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int
weir_watermark_check(const struct weir_watermark_conf *conf, const struct weir_schema *in_schema);

/* What closes at a watermark may still be touched by a row that is this far behind it: a
 * session. */
#define WEIR_WATERMARK_TOUCH_MS 1

/* weir_watermark_splits - whether a row of time t may be late by a watermark that was not told, or
 * is at most touch_ms behind it; so that it has to be told first. */
static inline bool
weir_watermark_splits(int64_t t, int64_t exact_ms, int64_t told_ms, int64_t touch_ms)
{
    return t <= weir_add_sat(exact_ms, touch_ms) && exact_ms > told_ms;
}

/* WEIR_WATERMARK - see the top of this file. */
#define WEIR_WATERMARK(name, in_type, state_type)                                            \
    WEIR_STATIC_ASSERT(sizeof(state_type) <= WEIR_WATERMARK_STATE_BYTES_MAX &&               \
                           sizeof(state_type) % sizeof(int64_t) == 0,                        \
        "the state is too large, or not of numbers");                                        \
    static inline int64_t name##_row(                                                        \
        const struct in_type *in, const char *heap, int64_t time, state_type *state);        \
    static uint32_t name##_rows(void *state, const struct weir_view *view, uint32_t from,    \
        int64_t told_ms, int64_t *exact_ms)                                                  \
    {                                                                                        \
        int64_t exact = *exact_ms;                                                           \
        uint32_t i = from;                                                                   \
        for (; i < view->cnt; i++) {                                                         \
            struct in_type copy;                                                             \
            const struct in_type *in = &copy;                                                \
            uint32_t row = weir_view_row(view, i);                                           \
            int64_t time = weir_view_time(view, row);                                        \
            if (weir_watermark_splits(time, exact, told_ms, WEIR_WATERMARK_TOUCH_MS)) {      \
                break;                                                                       \
            }                                                                                \
            if (view->stride != 0) {                                                         \
                in = (const struct in_type *)(const void *)(view->rows +                     \
                                                            (size_t)view->stride * row);     \
            } else {                                                                         \
                in_type##_load(view->rows, view->cap, row, &copy);                           \
            }                                                                                \
            int64_t said = name##_row(in, view->heap, time, (state_type *)state);            \
            exact = weir_max_i64(exact, weir_min_i64(said, WEIR_WATERMARK_MAX - 1));         \
        }                                                                                    \
        *exact_ms = exact;                                                                   \
        return i - from;                                                                     \
    }                                                                                        \
    static const struct weir_watermark_function name##_watermark = {                         \
        #name, in_type##_schema, sizeof(state_type), name##_rows};                           \
    static inline int64_t name##_row(const struct in_type *in, const char *heap WEIR_UNUSED, \
        int64_t time WEIR_UNUSED, state_type *state WEIR_UNUSED)

WEIR_C_END

#endif
