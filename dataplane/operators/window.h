/* SPDX-License-Identifier: Apache-2.0 */
/* window.h: tumbling and sliding windows of event time, an aggregate per key and window.
 *
 *     WEIR_TUMBLE(10 * WEIR_S)                 [0 10) [10 20) ...
 *     WEIR_SLIDE(10 * WEIR_S, 2 * WEIR_S)      [-8 2) [-6 4) ... : each row is in five of them
 *
 * A window fires when the watermark passes its last millisecond: one row for each key that has rows
 * in it, or only the best ones (top). Output rows are filled by field name:
 *
 *     window_start, window_end   bounds, the end excluded
 *     window_time, or a field of type `time` with another name: end - 1, also the row's event time
 *     fields of the key          under their own names, or under key_as
 *     the rest                   the aggregate's result
 *
 * A row is late when the watermark of its channel, or the watermark up to which this operator has
 * fired, has passed the last window that the row belongs to; it then leaves by output 1 as it came.
 * A row that some of its windows have passed still counts in the others.
 *
 * Outputs: 0 fired rows, 1 late rows (the input's schema). Watermarks: passed on after the firing.
 * State:   a table per pane, a pane being what lies between two bounds of windows; see window.c.
 * Limits:  an accumulator of WEIR_AGGREGATE_ACC_BYTES_MAX; as many panes at a time as the arena has
 *          table records; keys with strings up to WEIR_TABLE_TEXT_BYTES_MAX.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_WINDOW_H
#define WEIR_DATAPLANE_OPERATORS_WINDOW_H

#include "dataplane/aggregate.h"
#include "dataplane/key.h"
#include "dataplane/operator.h"
#include "dataplane/window_span.h"

WEIR_C_BEGIN

/* The most that top_cnt may be: the ranks are kept in order while a window is looked through. */
#define WEIR_WINDOW_TOP_CNT_MAX 256

struct weir_window_conf {
    struct weir_key key; /* field_cnt 0: all rows are one key (parallelism 1) */
    struct weir_window_span span;
    struct weir_aggregate aggregate;
    const char *key_as[WEIR_KEY_FIELD_CNT_MAX]; /* names in the output, NULL: as in the input */
    /* 0: every key. Else a window emits only its top_cnt highest results, and all that equal the
     * last of them: of this subtask, so that a top behind it (top.h) has little left to do. */
    uint32_t top_cnt;
    const char *top_by; /* the output field that ranks; NULL: a built-in aggregate's result */
};

/* weir_window_check - what open would refuse, before the job runs. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_window_check(const struct weir_window_conf *conf,
    const struct weir_schema *in_schema, const struct weir_schema *out_schema);

extern WEIR_API const struct weir_operator_type weir_window_type;

WEIR_C_END

#endif
