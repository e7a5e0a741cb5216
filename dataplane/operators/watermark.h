/* SPDX-License-Identifier: Apache-2.0 */
/* watermark.h: watermarks from the event times of the records themselves. */
#ifndef WEIR_DATAPLANE_OPERATORS_WATERMARK_H
#define WEIR_DATAPLANE_OPERATORS_WATERMARK_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

struct weir_watermark_conf {
    int64_t lag_ms; /* the watermark is the greatest time so far less this */
    int64_t interval_ms; /* event time between two watermarks, at least; 0: after every batch */
};

/* The same inside a source, which has read the times anyway. */
struct weir_watermarker {
    int64_t max_ms; /* greatest event time so far, WEIR_TIME_MIN: none */
    int64_t told_ms; /* last watermark put out */
    int64_t batch_min_ms; /* of the rows looked at last */
    int64_t batch_max_ms;
    bool time_unused; /* watermarks are for people alone: the last row's time will do */
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

WEIR_C_END

#endif
