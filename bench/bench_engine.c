/* SPDX-License-Identifier: Apache-2.0 */
/* bench_engine: run a job over a mapped file into the checksum sink; one JSON line on stdout, as
 * bench_kernels prints for the hand-written kernel of the same name.
 *
 *     bench_engine q5 events.log [--cut]
 *     bench_engine ysb ads.bin gen:1000000,record=78 [--cut]
 *     bench_engine words words.txt 10000 [--cut]         (window in ms; 0: the whole input)
 *     ... [--rows=N] [--state=MIB]                       (rows of a batch; memory of state)
 *     ... [--parallel=N] [--output=DIR/]                 (subtasks of each operator; of a query)
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
#include "bench/graph/trial.h"

struct bench {
    const char *job; /* the module's name */
    const char *params[6][2];
    uint32_t param_cnt;
    char window[64];
    uint32_t parallelism;
    const char *output; /* NULL: it is discarded */
    const char *cut_after; /* the operator whose output crosses to the other core */
    struct trial_conf conf;
};

static void
param(struct bench *bench, const char *name, const char *text)
{
    bench->params[bench->param_cnt][0] = name;
    bench->params[bench->param_cnt][1] = text;
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
        param(bench, "lag", "4s"); /* as the kernel's */
        return 0;
    }
    if (strcmp(argv[1], "words") == 0) {
        bench->job = "wordcount";
        bench->cut_after = "split";
        param(bench, "input", argv[2]);
        param(bench, "output", "discard");
        if (extra != NULL && strcmp(extra, "0") != 0) {
            (void)snprintf(bench->window, sizeof bench->window, "%sms", extra);
            param(bench, "window", bench->window);
        }
        return 0;
    }
    bench->job = "nexmark";
    bench->cut_after = "events";
    param(bench, "query", argv[1]);
    param(bench, "events", argv[2]);
    if (bench->output != NULL) {
        param(bench, "output", bench->output);
    }
    return argv[1][0] == 'q' ? 0 : weir_err_push(WEIR_EUSAGE, "no such benchmark: %s", argv[1]);
}

/* Events in, as the kernels count them: words for word count, records otherwise. */
static int
run(const struct bench *bench)
{
    struct trial_job job;
    struct trial_result result;
    int err = trial_job_open(&job, bench->job, bench->parallelism, bench->params);
    err = err != 0 ? err : trial_run(job.env, &bench->conf, NULL, &result);
    if (err == 0) {
        uint64_t events = result.split_rows > 0 ? result.split_rows : result.events;
        (void)printf("{\"name\":\"engine-%s\",\"ns_per_event\":%.4f,\"events\":%llu,\"rows\":%llu,"
                     "\"checksum\":\"%016llx\"}\n",
            weir_env_job_name(job.env), (double)result.wall_ns / (double)weir_max_u64(events, 1),
            (unsigned long long)events, (unsigned long long)result.rows,
            (unsigned long long)result.checksum);
    }
    trial_job_close(&job);
    return err;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.conf = {.state_bytes = 256 * WEIR_MIB, .cut_after = &bench.cut_after}};
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--cut") == 0) {
            bench.conf.cut_after_cnt = 1;
        } else if (strncmp(argv[i], "--rows=", 7) == 0) {
            bench.conf.batch_rows = (uint32_t)strtoul(argv[i] + 7, NULL, 10);
        } else if (strncmp(argv[i], "--state=", 8) == 0) {
            bench.conf.state_bytes = strtoul(argv[i] + 8, NULL, 10) * WEIR_MIB;
        } else if (strncmp(argv[i], "--parallel=", 11) == 0) {
            bench.parallelism = (uint32_t)strtoul(argv[i] + 11, NULL, 10);
        } else if (strncmp(argv[i], "--output=", 9) == 0) {
            bench.output = argv[i] + 9;
        }
    }
    int err = argc < 3
                  ? weir_err_push(WEIR_EUSAGE, "bench_engine NAME FILE [SPEC] [--cut] [--rows=N] "
                                               "[--state=MIB] [--parallel=N] [--output=DIR/]")
                  : arrange(&bench, argc, argv);
    err = err != 0 ? err : run(&bench);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
