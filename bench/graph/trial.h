/* SPDX-License-Identifier: Apache-2.0 */
/* trial.h: plan a graph, run it once, tell what it took: what every benchmark of whole jobs does.
 *
 *     struct weir_env *env = ...;                       the graph, by the public calls
 *     trial_run(env, &(struct trial_conf){.cpus = "1"}, &result)
 *
 * All memory of the job is touched before its clock starts. The time is from when all operators
 * were open until the last one had finished.
 *
 * Thread: the caller's. Errors: those of the plan and the job.
 */
#ifndef WEIR_BENCH_GRAPH_TRIAL_H
#define WEIR_BENCH_GRAPH_TRIAL_H

#include "base/hist.h"
#include "sched/job.h"
#include "sched/jobfile.h"
#include "sched/weir.h"

struct trial_conf {
    const char *cpus; /* a list; NULL: all that the process may use */
    const char *const *cut_after; /* operators of one vertex behind which a ring goes on */
    uint32_t cut_after_cnt;
    enum weir_plan_idle idle; /* AUTO is taken for SPIN */
    uint32_t batch_rows; /* 0: what `weir run` takes, batch.rows */
    uint64_t state_bytes; /* of a stage that keeps state; 0: 64 MiB */
};

struct trial_result {
    int64_t wall_ns;
    int64_t run_ns; /* with starting and joining the cores; what cpu_ns goes over */
    int64_t cpu_ns; /* of the whole process meanwhile */
    uint64_t events; /* rows that the sources gave */
    uint64_t split_rows; /* rows of an operator named split: the words of word count */
    uint64_t rows; /* of the discarding sinks */
    uint64_t checksum;
};

/* trial_run - latency may be NULL, else it is filled with the job's. */
WEIR_MUST_USE int trial_run(struct weir_env *env, const struct trial_conf *conf,
    struct weir_hist *latency, struct trial_result *ret_result);

/* A job of apps/, with parameters. */
struct trial_job {
    struct weir_jobfile *file;
    struct weir_env *env;
};

/* trial_job_open - params are pairs of name and text, the last of NULL; parallelism of operators
 * that say nothing of it, 0: 1. Closed also after an error. */
WEIR_MUST_USE int trial_job_open(
    struct trial_job *job, const char *name, uint32_t parallelism, const char *const (*params)[2]);
void trial_job_close(struct trial_job *job);

#endif
