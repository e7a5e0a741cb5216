/* SPDX-License-Identifier: Apache-2.0 */
/* keyed.h: graph calls for the operators that keep state: windows, tops, reduces,
 * joins, process functions.
 *
 *     s = weir_key_by(bids, WEIR_KEY(bid, auction));
 *     struct weir_window_conf conf = {.span = WEIR_SLIDE(10 * WEIR_S, 2 * WEIR_S),
 *         .aggregate = weir_aggregate_count()};
 *     s = weir_window(s, "count", &conf, auction_count_schema());
 *
 * As in graph.h: streams come back, the first error stays in the environment, confs are copied. The
 * key of a conf is the stream's: what stands there is not looked at.
 */
#ifndef WEIR_SCHED_KEYED_H
#define WEIR_SCHED_KEYED_H

#include "dataplane/operators/general.h"
#include "dataplane/operators/join.h"
#include "dataplane/operators/join_group.h"
#include "dataplane/operators/join_lookup.h"
#include "dataplane/operators/process.h"
#include "dataplane/operators/reduce.h"
#include "dataplane/operators/top.h"
#include "dataplane/operators/window.h"
#include "sched/graph.h"

WEIR_C_BEGIN

/* weir_window - a keyed stream's windows; a stream without a key makes one window over all rows, in
 * one subtask. Late rows are weir_side(stream, 1). */
WEIR_API struct weir_stream *weir_window(struct weir_stream *in, const char *name,
    const struct weir_window_conf *conf, const struct weir_schema *out_schema);

/* weir_window_general - a keyed stream's windows of each key for themselves: sessions, triggers,
 * allowed lateness. Late rows are weir_side(stream, 1). */
WEIR_API struct weir_stream *weir_window_general(struct weir_stream *in, const char *name,
    const struct weir_general_conf *conf, const struct weir_schema *out_schema);

/* weir_top - the best rows of each window over all subtasks; late rows are weir_side(stream, 1). */
WEIR_API struct weir_stream *
weir_top(struct weir_stream *in, const char *name, const struct weir_top_conf *conf);

/* weir_reduce - a keyed stream's rolling aggregate: one row out for each row in. */
WEIR_API struct weir_stream *weir_reduce(struct weir_stream *in, const char *name,
    const struct weir_reduce_conf *conf, const struct weir_schema *out_schema);

/* weir_join - each pair of rows of two keyed streams with equal keys, as the second of them comes.
 * Where a stream is one of changes, so is the result (changes.h: weir_table_join). */
WEIR_API struct weir_stream *weir_join(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_join *join);

/* weir_window_join - pairs within the same window, when it ends; semi: each left row once, if there
 * is any right one; outer: rows without a partner, too. Late rows are weir_side(stream, 1) of the
 * left and 2 of the right input. */
WEIR_API struct weir_stream *weir_window_join(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_join_conf *conf);

/* weir_cogroup - all rows of both streams of one key and window, given to a function when it ends.
 * Late rows as of the window join. */
WEIR_API struct weir_stream *weir_cogroup(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_cogroup_conf *conf);

/* weir_interval_join - pairs whose event times are near each other, as the second of them comes:
 * left + lower_ms <= right <= left + upper_ms. Late rows are weir_side(stream, 1) of the left and 2
 * of the right input. */
WEIR_API struct weir_stream *weir_interval_join(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_join_conf *conf);
/* weir_ttl_join - as weir_join, but rows are met only by what comes within ttl_ms of them. */
WEIR_API struct weir_stream *weir_ttl_join(struct weir_stream *left, struct weir_stream *right,
    const char *name, const struct weir_join_conf *conf);

/* weir_lookup_join - each row with the rows of a table that have its key; the table is read from a
 * source when the job starts. The stream's own key, if it has one, does not matter. */
WEIR_API struct weir_stream *
weir_lookup_join(struct weir_stream *in, const char *name, const struct weir_lookup_conf *conf);

/* weir_process - a function of one's own over a keyed stream, with state and event-time timers.
 * What it puts aside is weir_side(stream, 1), of side_schema; NULL: as the input. */
WEIR_API struct weir_stream *weir_process(struct weir_stream *in, const char *name,
    const struct weir_process_function *function, const struct weir_schema *side_schema);

/* weir_process_changes - the same of a function that knows kinds of rows (process.h): it takes
 * changes, makes them (output 0), or both. */
WEIR_API struct weir_stream *weir_process_changes(struct weir_stream *in, const char *name,
    const struct weir_process_function *function, const struct weir_schema *side_schema,
    enum weir_changes changes);

/* What a process function of two inputs is made of. */
struct weir_connect_conf {
    const struct weir_process_function *function;
    const struct weir_process_second *second;
    const struct weir_schema *side_schema; /* NULL: as the first input */
    enum weir_changes changes; /* as of weir_process_changes, of either input; 0: none */
};

/* weir_connect - a function of one's own over two streams. Both are keyed alike; or the second one
 * is broadcast, as the function says, however it was to be dealt out before. */
WEIR_API struct weir_stream *weir_connect(struct weir_stream *first, struct weir_stream *second,
    const char *name, const struct weir_connect_conf *conf);

WEIR_C_END

#endif
