/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h: a job as it is written: operators, the streams between them, and the job's parameters.
 *
 *     int weir_job_main(struct weir_env *env)
 *     {
 *         struct weir_stream *s = weir_source(env, "bids", bid_schema(), &my_source, NULL, 0);
 *         s = weir_filter(weir_watermarks(s, "time", 4 * WEIR_S), "dear", &dear_op);
 *         weir_sink(s, "out", &weir_discard_type, NULL, 0);
 *         return weir_env_check(env);
 *     }
 *
 * Calls return streams, never errors: the first error stays in the environment, with the operator
 * it belongs to, and every later call does nothing. A stream is one output of one operator (or a
 * union of several) and how its rows are to be dealt out to the next one.
 *
 * Owner:   streams, copies of confs and all else live as long as the environment; types, schemas
 *          and names are borrowed and outlive it.
 * Thread:  the one that builds the job; the graph is read-only once it is planned.
 * Source:  Flink's DataStream API, flattened to C.
 */
#ifndef WEIR_SCHED_GRAPH_H
#define WEIR_SCHED_GRAPH_H

#include "base/opt.h"
#include "dataplane/function.h"
#include "dataplane/key.h"
#include "dataplane/partitioner.h"

WEIR_C_BEGIN

struct weir_env;
struct weir_stream;

#define WEIR_GRAPH_NODE_CNT_MAX 256
#define WEIR_STREAM_ORIGIN_CNT_MAX 8

/* ---- parameters ---- */

/* Parameters are rows of base/opt.h; the table ends with a NULL name. A job's own table is the
 * symbol `weir_job_params`, so that `weir run JOB -h` prints it without running the job. */

/* weir_param - the text of a parameter: as given, else its default. Unknown names are an error of
 * the environment, and "" comes back. */
WEIR_API const char *weir_param(struct weir_env *env, const char *name);
/* weir_param_number - the parsed value: a count, bytes, nanoseconds, or a choice's index. */
WEIR_API int64_t weir_param_number(struct weir_env *env, const char *name);
/* weir_param_ms - a duration in the unit of event time; an error where it is no whole number. A
 * word in its place (none, auto) is WEIR_OPT_WORD. */
WEIR_API int64_t weir_param_ms(struct weir_env *env, const char *name);
/* weir_param_given - whether the user gave it. */
WEIR_API bool weir_param_given(const struct weir_env *env, const char *name);

/* ---- environment ---- */

WEIR_API WEIR_MUST_USE int weir_env_new(const char *job_name, struct weir_env **ret_env);
WEIR_API void weir_env_delete(struct weir_env *env);
/* weir_env_declare - the parameters that the job takes; borrowed. */
WEIR_API void weir_env_declare(struct weir_env *env, const struct weir_opt *params);
/* weir_env_set_param - give a parameter; the texts are copied. WEIR_ECONFIG: no such parameter,
 * with the nearest name. */
WEIR_API WEIR_MUST_USE int
weir_env_set_param(struct weir_env *env, const char *name, const char *text);
WEIR_API void weir_env_set_parallelism(struct weir_env *env, uint32_t parallelism);
/* weir_env_set_operator_parallelism - that of one operator, over what the job said; once the graph
 * is built. WEIR_EGRAPH: no such operator, with the nearest name. */
WEIR_API WEIR_MUST_USE int
weir_env_set_operator_parallelism(struct weir_env *env, const char *name, uint32_t parallelism);
WEIR_API uint32_t weir_env_parallelism(const struct weir_env *env);
WEIR_API const char *weir_env_job_name(const struct weir_env *env);
/* weir_env_rename - the job's name where the job or the user gives a better one; copied. */
WEIR_API void weir_env_rename(struct weir_env *env, const char *job_name);
/* weir_env_fail - put an error of the job's own into the environment. */
WEIR_API void weir_env_fail(struct weir_env *env, int err, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* weir_env_check - 0, or the first error, its context on the stack. Looks for operators that nobody
 * reads and that read nothing, and for schemas that differ. */
WEIR_API WEIR_MUST_USE int weir_env_check(struct weir_env *env);
/* weir_env_alloc - zeroed memory that lives as long as the environment; NULL never: it aborts. */
WEIR_API void *weir_env_alloc(struct weir_env *env, size_t bytes);

/* ---- streams ---- */

/* weir_source - a new stream. type->input_cnt is 0. conf is copied. */
WEIR_API struct weir_stream *
weir_source(struct weir_env *env, const char *name, const struct weir_schema *schema,
    const struct weir_operator_type *type, const void *conf, size_t conf_bytes);

/* What a general operator is made of. */
struct weir_operator_conf {
    const char *name;
    const struct weir_operator_type *type;
    const void *conf; /* copied */
    size_t conf_bytes;
    const struct weir_schema *out_schema[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* NULL: as input 0 */
    bool uses_time; /* it reads the event time of rows */
    bool only_lateness; /* of watermarks it matters to it only whether they make a row late */
    bool keeps_state; /* it wants state pages */
    uint32_t parallelism; /* 0: the job's */
};

/* weir_operator - an operator over one or more streams, the stream of its main output. A sink gives
 * a stream too, which nothing may read. */
WEIR_API struct weir_stream *weir_operator(
    struct weir_stream *const *inputs, uint32_t input_cnt, const struct weir_operator_conf *conf);
/* weir_side - side output `idx` (from 1) of the operator that made the stream. */
WEIR_API struct weir_stream *weir_side(struct weir_stream *stream, uint32_t idx);

WEIR_API struct weir_stream *
weir_filter(struct weir_stream *in, const char *name, const struct weir_function *function);
WEIR_API struct weir_stream *
weir_map(struct weir_stream *in, const char *name, const struct weir_function *function);
WEIR_API struct weir_stream *
weir_flatmap(struct weir_stream *in, const char *name, const struct weir_function *function);
/* weir_watermarks - from here on, watermarks that stay lag_ms behind the greatest event time; where
 * times only rise, WEIR_WATERMARK_RISING_LAG_MS.
 * weir_watermarks_by - the same by any strategy (operators/watermark.h): a function of one's own,
 * or going idle where nothing comes. *conf is copied. */
struct weir_watermark_conf;
WEIR_API struct weir_stream *weir_watermarks_by(
    struct weir_stream *in, const char *name, const struct weir_watermark_conf *conf);
WEIR_API struct weir_stream *
weir_watermarks(struct weir_stream *in, const char *name, int64_t lag_ms);
WEIR_API struct weir_stream *weir_union(struct weir_stream *a, struct weir_stream *b);
WEIR_API struct weir_stream *weir_sink(struct weir_stream *in, const char *name,
    const struct weir_operator_type *type, const void *conf, size_t conf_bytes);

/* A loop: rows that go through its body again and again, until the body lets them go.
 *
 *     struct weir_stream *loop = weir_iterate(s, "steps", &(struct weir_iterate_conf){0});
 *     struct weir_stream *step = weir_map(loop, "step", &step_op);
 *     weir_iterate_close(loop, weir_filter(step, "not_yet", &not_yet_op));
 *     s = weir_filter(step, "done", &done_op);
 */
struct weir_iterate_conf {
    /* 0: the loop ends with the last row in it, exactly. Else when its input has ended and nothing
     * came back for so long: of a body that is slower than that, rows are dropped. */
    int64_t wait_ns;
    /* For rows that wait to go round again, of each subtask; 0: WEIR_ITERATE_BUDGET_BYTES. A body
     * that gives back more rows than it is given may use it up: the job fails then (WEIR-1204). */
    uint64_t budget_bytes;
};
#define WEIR_ITERATE_BUDGET_BYTES (UINT64_C(8) << 20)
/* weir_iterate - the head of a loop: the rows of `in`, and those that come back, these first. NULL
 * is a conf of zeros.
 * weir_iterate_close - the rows of `back` go to the loop's head again; once a loop.
 *
 * Shape:   back has the schema of loop, and comes of it. What is between them is the body. It has
 *          no other input, no loop of its own, takes inserts only and, where wait_ns is 0, sets no
 *          watermarks. All subtasks of the head are on the cores of the tail's: key what needs it
 *          within the body.
 * Times:   with wait_ns, watermarks pass as `in` has them, and rows that come back may be late.
 *          Without, event time stands still in the body and behind it until the loop is at its
 *          end.
 * Source:  Flink's IterativeStream.
 */
WEIR_API struct weir_stream *
weir_iterate(struct weir_stream *in, const char *name, const struct weir_iterate_conf *conf);
WEIR_API void weir_iterate_close(struct weir_stream *loop, struct weir_stream *back);

/* How the rows of the stream are dealt out to the subtasks of the next operator. */
WEIR_API struct weir_stream *weir_key_by(struct weir_stream *in, struct weir_key key);
WEIR_API struct weir_stream *
weir_partition(struct weir_stream *in, enum weir_partitioner partitioner);
WEIR_API struct weir_stream *weir_partition_custom(struct weir_stream *in, weir_partition_fn *fn);

/* weir_parallelism - subtasks of the operator that made the stream. */
WEIR_API struct weir_stream *weir_parallelism(struct weir_stream *stream, uint32_t parallelism);
/* weir_start_new_chain - the operator that made the stream is fused with what it feeds alone;
 * weir_disable_chaining - with nothing at all. Either has a task, and so a mailbox, of its own. */
WEIR_API struct weir_stream *weir_start_new_chain(struct weir_stream *stream);
WEIR_API struct weir_stream *weir_disable_chaining(struct weir_stream *stream);
/* weir_slot_sharing_group - operators of different groups are not fused, and stand on cores of
 * their own where there is one for each group at least (docs/configuration.md). The name is
 * copied.
 *
 * Shape:   an operator without a group has that of its inputs where all have the same one, and
 *          WEIR_SLOT_GROUP_DEFAULT otherwise.
 * Source:  Flink's slotSharingGroup(); a slot there is a share of a worker, here a share of cores.
 */
#define WEIR_SLOT_GROUP_DEFAULT "default"
WEIR_API struct weir_stream *weir_slot_sharing_group(struct weir_stream *stream, const char *name);
/* weir_stream_schema, weir_stream_key, weir_stream_env - for operators built on top of these
 * calls. */
WEIR_API const struct weir_schema *weir_stream_schema(const struct weir_stream *stream);
/* weir_stream_key - the resolved key of a keyed stream, or NULL. */
WEIR_API const struct weir_key *weir_stream_key(const struct weir_stream *stream);
WEIR_API struct weir_env *weir_stream_env(struct weir_stream *stream);

WEIR_C_END

#endif
