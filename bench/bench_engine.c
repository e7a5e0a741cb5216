/* SPDX-License-Identifier: Apache-2.0 */
/* bench_engine: run a job over a mapped file into the checksum sink; one JSON line on stdout, as
 * bench_kernels prints for the hand-written kernel of the same name.
 *
 *     bench_engine q5 events.log [--cut]
 *     bench_engine ysb ads.bin gen:1000000,record=78 [--cut]
 *     bench_engine words words.txt 10000 [--cut]         (window in ms; 0: the whole input)
 *     ... [--rows=N] [--state=MIB]                       (rows of a batch; memory of state)
 *
 * `--cut` puts a ring behind the operator of `cut_after`, and the two halves on two cores; without
 * it everything runs fused on one. The time is from when all operators were open until the last one
 * had finished: mapping and unmapping are outside, for both sides, and so is faulting in the memory
 * of state, which is touched first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/topo.h"
#include "sched/job.h"
#include "sched/jobfile.h"
#include "sched/weir.h"

struct bench {
    const char *job; /* the module's name */
    char params[4][2][512];
    uint32_t param_cnt;
    const char *cut_after; /* the operator whose output crosses to the other core */
    bool cut;
    uint32_t batch_rows;
    uint64_t state_bytes; /* of a stage; all of it is touched before the clock starts */
};

static void
param(struct bench *bench, const char *name, const char *text)
{
    (void)snprintf(bench->params[bench->param_cnt][0], 512, "%s", name);
    (void)snprintf(bench->params[bench->param_cnt][1], 512, "%s", text);
    bench->param_cnt++;
}

/* What crosses the cut are projected fields, or references to the mapped records. */
static int
arrange(struct bench *bench, int argc, char **argv)
{
    const char *extra = argc > 3 && argv[3][0] != '-' ? argv[3] : NULL;
    if (strcmp(argv[1], "ysb") == 0 && extra != NULL) {
        bench->job = "ysb";
        bench->cut_after = "look_up";
        param(bench, "records", argv[2]);
        param(bench, "events", extra);
        return 0;
    }
    if (strcmp(argv[1], "words") == 0) {
        char window[64];
        (void)snprintf(window, sizeof window, "%sms", extra != NULL ? extra : "0");
        bench->job = "wordcount";
        bench->cut_after = "split";
        param(bench, "input", argv[2]);
        param(bench, "output", "discard");
        if (extra != NULL && strcmp(extra, "0") != 0) {
            param(bench, "window", window);
        }
        return 0;
    }
    bench->job = "nexmark";
    bench->cut_after = "watermark";
    param(bench, "query", argv[1]);
    param(bench, "events", argv[2]);
    return argv[1][0] == 'q' ? 0 : weir_err_push(WEIR_EUSAGE, "no such benchmark: %s", argv[1]);
}

static int
build(const struct bench *bench, const struct weir_jobfile *file, struct weir_env *env)
{
    weir_env_declare(env, weir_jobfile_params(file));
    for (uint32_t i = 0; i < bench->param_cnt; i++) {
        int rc = weir_env_set_param(env, bench->params[i][0], bench->params[i][1]);
        if (rc != 0) {
            return rc;
        }
    }
    return weir_jobfile_main(file)(env);
}

/* Events in, as the kernels count them: words for word count, records otherwise. */
static uint64_t
events_of(const struct weir_job *job, bool words)
{
    struct weir_job_operator_sum sum;
    uint64_t events = 0;
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        weir_job_operator(job, i, &sum);
        if (words ? strcmp(sum.name, "split") == 0 : i == 0) {
            events = sum.rows_out;
        }
    }
    return events;
}

static int
run(const struct bench *bench, struct weir_env *env)
{
    struct weir_topo *topo = NULL;
    struct weir_plan *plan = NULL;
    struct weir_job *job = NULL;
    int rc = weir_topo_open_live(&topo);
    if (rc != 0) {
        return rc;
    }
    const struct weir_plan_vertex_options vertex = {
        .name = bench->cut_after, .cut_after = &bench->cut_after, .cut_after_cnt = 1};
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 6 * WEIR_GIB};
    const struct weir_plan_options plan_options = {
        .idle = WEIR_PLAN_IDLE_SPIN, .vertices = &vertex, .vertex_cnt = bench->cut ? 1 : 0};
    const struct weir_job_options options = {.poller = WEIR_JOB_THREADS,
        .batch_rows = bench->batch_rows,
        .state_bytes = bench->state_bytes,
        .touch = true};
    rc = weir_plan_make(weir_job_plan_graph(env), &host, &plan_options, &plan);
    rc = rc != 0 ? rc : weir_job_new(env, plan, &options, &job);
    rc = rc != 0 ? rc : weir_job_run(job);
    if (rc == 0) {
        uint64_t rows;
        uint64_t checksum;
        bool words = strcmp(bench->job, "wordcount") == 0;
        uint64_t events = events_of(job, words);
        weir_env_discarded(env, &rows, &checksum);
        (void)printf("{\"name\":\"engine-%s\",\"ns_per_event\":%.4f,\"events\":%llu,\"rows\":%llu,"
                     "\"checksum\":\"%016llx\"}\n",
            weir_env_job_name(env),
            (double)weir_job_wall_ns(job) / (double)(events + (events == 0)),
            (unsigned long long)events, (unsigned long long)rows, (unsigned long long)checksum);
    }
    weir_job_delete(job);
    weir_plan_close(plan);
    weir_topo_close(topo);
    return rc;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.batch_rows = 256, .state_bytes = 256 * WEIR_MIB};
    struct weir_jobfile *file = NULL;
    struct weir_env *env = NULL;
    char path[4096];
    for (int i = 3; i < argc; i++) {
        bench.cut |= strcmp(argv[i], "--cut") == 0;
        if (strncmp(argv[i], "--rows=", 7) == 0) {
            bench.batch_rows = (uint32_t)strtoul(argv[i] + 7, NULL, 10);
        }
        if (strncmp(argv[i], "--state=", 8) == 0) {
            bench.state_bytes = strtoul(argv[i] + 8, NULL, 10) * WEIR_MIB;
        }
    }
    int rc = argc < 3 ? weir_err_push(WEIR_EUSAGE,
                            "bench_engine NAME FILE [SPEC] [--cut] [--rows=N] [--state=MIB]")
                      : arrange(&bench, argc, argv);
    if (rc == 0) {
        (void)snprintf(path, sizeof path, "%s/%s/%s.so", WEIR_BENCH_JOBS,
            strcmp(bench.job, "wordcount") == 0 ? "words" : bench.job, bench.job);
        rc = weir_jobfile_open(path, &file);
    }
    rc = rc != 0 ? rc : weir_env_new(bench.job, &env);
    rc = rc != 0 ? rc : build(&bench, file, env);
    rc = rc != 0 ? rc : run(&bench, env);
    if (rc != 0) {
        weir_err_print(stderr, rc);
    }
    weir_env_delete(env);
    weir_jobfile_close(file);
    return weir_err_exit_code(rc);
}
