/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/graph/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/topo.h"
#include "sched/conf.h"

static int64_t
clock_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

static int
make_plan(struct weir_env *env, const struct trial_conf *conf, const struct weir_topo *topo,
    struct weir_plan **ret_plan)
{
    const struct weir_plan_vertex_options vertex = {
        .name = conf->cut_after_cnt > 0 ? conf->cut_after[0] : NULL,
        .cut_after = conf->cut_after,
        .cut_after_cnt = conf->cut_after_cnt,
        .idle = conf->idle};
    struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 6 * WEIR_GIB};
    const struct weir_plan_options options = {
        .idle = conf->idle != WEIR_PLAN_IDLE_AUTO ? conf->idle : WEIR_PLAN_IDLE_SPIN,
        .vertices = &vertex,
        .vertex_cnt = conf->cut_after_cnt > 0 ? 1 : 0};
    int err = conf->cpus != NULL ? weir_cpuset_parse(conf->cpus, &host.effective) : 0;
    return err != 0 ? err : weir_plan_make(weir_job_plan_graph(env), &host, &options, ret_plan);
}

static void
look(const struct weir_job *job, struct weir_env *env, struct trial_result *result)
{
    struct weir_job_operator_sum sum;
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        weir_job_operator(job, i, &sum);
        result->events += i == 0 ? sum.rows_in : 0;
        result->split_rows += strcmp(sum.name, "split") == 0 ? sum.rows_out : 0;
    }
    result->wall_ns = weir_job_wall_ns(job);
    weir_env_discarded(env, &result->rows, &result->checksum);
}

/* What users get unless they say otherwise. */
static uint32_t
default_batch_rows(void)
{
    return (uint32_t)strtoul(weir_conf_row(WEIR_CONF_BATCH_ROWS)->opt.def, NULL, 10);
}

int
trial_run(struct weir_env *env, const struct trial_conf *conf, struct weir_hist *latency,
    struct trial_result *ret_result)
{
    struct weir_topo *topo = NULL;
    struct weir_plan *plan = NULL;
    struct weir_job *job = NULL;
    const struct weir_job_options options = {.poller = WEIR_JOB_THREADS,
        .batch_rows = conf->batch_rows != 0 ? conf->batch_rows : default_batch_rows(),
        .state_bytes = conf->state_bytes != 0 ? conf->state_bytes : 64 * WEIR_MIB,
        .touch = true};
    memset(ret_result, 0, sizeof *ret_result);
    int err = weir_topo_open_live(&topo);
    err = err != 0 ? err : make_plan(env, conf, topo, &plan);
    err = err != 0 ? err : weir_job_new(env, plan, &options, &job);
    int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    err = err != 0 ? err : weir_job_run(job);
    if (err == 0) {
        ret_result->run_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;
        ret_result->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
        look(job, env, ret_result);
        if (latency != NULL) {
            weir_job_latency(job, latency);
        }
    }
    weir_job_delete(job);
    weir_plan_close(plan);
    weir_topo_close(topo);
    return err;
}

int
trial_job_open(
    struct trial_job *job, const char *name, uint32_t parallelism, const char *const (*params)[2])
{
    char path[4096];
    memset(job, 0, sizeof *job);
    (void)snprintf(path, sizeof path, "%s/%s/%s.so", WEIR_BENCH_JOBS,
        strcmp(name, "wordcount") == 0 ? "words" : name, name);
    int err = weir_jobfile_open(path, &job->file);
    err = err != 0 ? err : weir_env_new(name, &job->env);
    if (err != 0) {
        return err;
    }
    weir_env_set_parallelism(job->env, parallelism != 0 ? parallelism : 1);
    weir_env_declare(job->env, weir_jobfile_params(job->file));
    for (uint32_t i = 0; params[i][0] != NULL && err == 0; i++) {
        err = weir_env_set_param(job->env, params[i][0], params[i][1]);
    }
    return err != 0 ? err : weir_jobfile_main(job->file)(job->env);
}

void
trial_job_close(struct trial_job *job)
{
    weir_env_delete(job->env);
    weir_jobfile_close(job->file);
}
