/* SPDX-License-Identifier: Apache-2.0 */
/* evolving.c: a job in two versions, whose accumulators have another field in the second: windows
 * of all modes and a reduce over lines "ms,word,number". */
#include <stdio.h>

#include "sched/weir.h"

#define MEASURE(F) F(time, at) F(str, word) F(i64, n)
WEIR_SCHEMA(measure, MEASURE)
#define WINDOWED(F) F(ts, window_start) F(str, word) F(i64, sum) F(i64, rank)
WEIR_SCHEMA(windowed, WINDOWED)
#define ROLLED(F) F(str, word) F(i64, sum) F(i64, rank)
WEIR_SCHEMA(rolled, ROLLED)

/* ---- the accumulators: the new field is first, and is not zero when it is fresh ---- */

#define FRESH_RANK 100

#define OLD(F) F(i64, sum)
WEIR_SCHEMA(old, OLD)
#define NEW(F) F(i64, rank) F(i64, sum)
WEIR_SCHEMA(new, NEW)

static inline int64_t
old_rank(const struct old *acc WEIR_UNUSED)
{
    return 0;
}

static inline int64_t
new_rank(const struct new *acc)
{
    return acc->rank;
}

/* The sum, and of the version what it has beside it. */
#define SUM(name, acc_name, out_type, INIT, MERGE)                                            \
    static inline void name##_init(struct acc_name *acc)                                      \
    {                                                                                         \
        *acc = (struct acc_name){INIT};                                                       \
    }                                                                                         \
    static inline void name##_add(                                                            \
        struct acc_name *acc, const struct measure *in, const char *heap WEIR_UNUSED)         \
    {                                                                                         \
        acc->sum += in->n;                                                                    \
    }                                                                                         \
    static inline void name##_merge(struct acc_name *acc, const struct acc_name *from)        \
    {                                                                                         \
        acc->sum += from->sum;                                                                \
        MERGE;                                                                                \
    }                                                                                         \
    static inline void name##_result(const struct acc_name *acc, struct out_type *out)        \
    {                                                                                         \
        out->sum = acc->sum;                                                                  \
        out->rank = acc_name##_rank(acc);                                                     \
    }                                                                                         \
    WEIR_AGGREGATE_NAMED(name, measure, acc_name, out_type)                                   \
    static WEIR_UNUSED void name##_subtract_all(const struct weir_aggregate *agg WEIR_UNUSED, \
        void *const *acc, void *const *from, uint32_t cnt)                                    \
    {                                                                                         \
        for (uint32_t i = 0; i < cnt; i++) {                                                  \
            ((struct acc_name *)acc[i])->sum -= ((const struct acc_name *)from[i])->sum;      \
        }                                                                                     \
    }

#define LEAST_RANK acc->rank = weir_min_i64(acc->rank, from->rank)
SUM(old_window, old, windowed, .sum = 0, (void)0)
SUM(new_window, new, windowed, .rank = FRESH_RANK, LEAST_RANK)
SUM(old_roll, old, rolled, .sum = 0, (void)0)
SUM(new_roll, new, rolled, .rank = FRESH_RANK, LEAST_RANK)

/* ---- the job ---- */

const struct weir_opt weir_job_params[] = {
    {"input", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "-", "", "lines \"ms,word,number\""},
    {"first", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "", "", "more of them"},
    {"version", WEIR_OPT_INT, WEIR_OPT_ANY, "", 1, 2, "1", "", "of the job"},
    {.name = NULL},
};

static struct weir_stream *
measures(struct weir_env *env, const char *name, const char *path)
{
    const struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_csv};
    return weir_watermarks(weir_source_lines(env, name, measure_schema(), &lines),
        name[0] == 'l' ? "late" : "early", 0);
}

int
weir_job_main(struct weir_env *env)
{
    bool is_new = weir_param_number(env, "version") == 2;
    const char *first = weir_param(env, "first");
    const struct weir_aggregate windowed = is_new ? new_window_agg : old_window_agg;
    struct weir_window_conf window = {.span = WEIR_TUMBLE(10 * WEIR_S), .aggregate = windowed};
    const struct weir_reduce_conf roll = {.aggregate = is_new ? new_roll_agg : old_roll_agg};
    struct weir_stream *s = measures(env, "lines", weir_param(env, "input"));
    s = first[0] != '\0' ? weir_union(measures(env, "first", first), s) : s;
    s = weir_key_by(s, WEIR_KEY(measure, word));
    weir_sink_table(
        weir_window(s, "tumbling", &window, windowed_schema()), "tumbling_out", "tumbling.csv");
    window.span = WEIR_SLIDE(10 * WEIR_S, 5 * WEIR_S);
    weir_sink_table(
        weir_window(s, "stacked", &window, windowed_schema()), "stacked_out", "stacked.csv");
    window.aggregate.subtract = is_new ? new_window_subtract_all : old_window_subtract_all;
    weir_sink_table(
        weir_window(s, "running", &window, windowed_schema()), "running_out", "running.csv");
    weir_sink_table(weir_reduce(s, "roll", &roll, rolled_schema()), "roll_out", "roll.csv");
    return weir_env_check(env);
}
