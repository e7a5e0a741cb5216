/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pace: a job under a fixed rate: its latency beside the host's hiccups, and its CPU use.
 *
 *     bench_pace latency RATE SECONDS IDLE [--cpu N] [--hgrm PREFIX]
 *     bench_pace floor RATE SECONDS IDLE [--cpu N]       the floor alone
 *     bench_pace cpu SECONDS [--cpu N]
 *
 * The job is Nexmark q1, generated: a source, four operators, a sink, on one core. Event n is due
 * at start + n / RATE whether or not the job is ready for it, and its latency counts from there
 * (the loop is open).
 *
 * The floor is what the same core does to a loop without an engine: it waits for the same times and
 * looks how late it is, for SECONDS / 8 before the job and as long after it. One JSON line; with
 * --hgrm the percentiles of both go into PREFIX-job.hgrm and PREFIX-floor.hgrm, in microseconds.
 *
 * CPU use is that of the whole process at 0, 1, 10 and 50 % of the greatest rate, 0 being one event
 * a second, with cores that spin and with adaptive ones; one JSON line each.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/err.h"
#include "bench/graph/trial.h"

#define FLOOR_PARTS 8
#define TOP_EVENT_CNT 20000000 /* of the run that finds the greatest rate */
#define HGRM_TICKS 5

struct pace {
    double number; /* events a second */
    int64_t seconds;
    enum weir_plan_idle idle;
    const char *cpu;
    const char *hgrm;
};

static struct weir_hist job_hist;
static struct weir_hist floor_hist;

/* ---- the floor ---- */

static int
pin(const char *cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(strtoul(cpu, NULL, 10), &set);
    return sched_setaffinity(0, sizeof set, &set) == 0
               ? 0
               : weir_err_push(WEIR_EUSAGE, "no CPU %s for this process", cpu);
}

/* Every due time is looked at once, late or not: as the engine's source does it. */
static int
measure_floor(const struct pace *pace, const struct weir_clock *clock, double seconds)
{
    cpu_set_t before;
    (void)sched_getaffinity(0, sizeof before, &before);
    int err = pin(pace->cpu);
    if (err != 0) {
        return err;
    }
    uint64_t cnt = (uint64_t)(pace->number * seconds);
    double step_ns = (double)WEIR_SEC_NS / pace->number;
    int64_t start_ns = weir_clock_ns(clock);
    for (uint64_t i = 0; i < cnt;) {
        int64_t now_ns = weir_clock_ns(clock);
        int64_t due_ns = start_ns + (int64_t)((double)i * step_ns);
        if (now_ns >= due_ns) {
            weir_hist_record_since(&floor_hist, due_ns, now_ns, 1);
            i++;
        } else {
            weir_spin_hint();
        }
    }
    (void)sched_setaffinity(0, sizeof before, &before);
    return 0;
}

/* ---- the job ---- */

static int
run_job(const struct pace *pace, uint64_t event_cnt, int64_t rate, struct trial_result *ret_result)
{
    char events[64];
    char rate_text[32];
    (void)snprintf(events, sizeof events, "gen:%llu,seed=1", (unsigned long long)event_cnt);
    (void)snprintf(rate_text, sizeof rate_text, "%lld", (long long)rate);
    const char *const params[][2] = {
        {"query", "q1"}, {"events", events}, {rate > 0 ? "rate" : NULL, rate_text}, {NULL, NULL}};
    const struct trial_conf conf = {.cpus = pace->cpu, .idle = pace->idle};
    struct trial_job job;
    int err = trial_job_open(&job, "nexmark", 1, params);
    err = err != 0 ? err : trial_run(job.env, &conf, &job_hist, ret_result);
    trial_job_close(&job);
    return err;
}

static int
write_hgrm(const struct weir_hist *hist, const char *prefix, const char *what)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s-%s.hgrm", prefix, what);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return weir_err_push(WEIR_EIO, "%s cannot be written", path);
    }
    int err = weir_hist_print(hist, file, HGRM_TICKS, 1000);
    return fclose(file) == 0 || err != 0 ? err : weir_err_push(WEIR_EIO, "%s", path);
}

static void
print_hist(const char *name, const struct weir_hist *hist)
{
    printf(",\"%s_ns\":{\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"p9999\":%llu,"
           "\"max\":%llu,\"count\":%llu}",
        name, (unsigned long long)weir_hist_ns_at(hist, 0.5),
        (unsigned long long)weir_hist_ns_at(hist, 0.9),
        (unsigned long long)weir_hist_ns_at(hist, 0.99),
        (unsigned long long)weir_hist_ns_at(hist, 0.999),
        (unsigned long long)weir_hist_ns_at(hist, 0.9999), (unsigned long long)hist->ns_max,
        (unsigned long long)hist->cnt);
}

static int
run_latency(const struct pace *pace)
{
    struct trial_result result;
    struct weir_clock clock;
    weir_clock_init_real(&clock);
    weir_hist_init(&floor_hist);
    double floor_seconds = (double)pace->seconds / FLOOR_PARTS;
    int err = measure_floor(pace, &clock, floor_seconds);
    uint64_t event_cnt = (uint64_t)(pace->number * (double)pace->seconds);
    err = err != 0 ? err : run_job(pace, event_cnt, (int64_t)pace->number, &result);
    err = err != 0 ? err : measure_floor(pace, &clock, floor_seconds);
    if (err != 0) {
        return err;
    }
    printf("{\"name\":\"latency\",\"rate\":%.0f,\"seconds\":%.2f,\"events\":%llu", pace->number,
        (double)result.wall_ns / (double)WEIR_SEC_NS, (unsigned long long)result.events);
    print_hist("job", &job_hist);
    print_hist("floor", &floor_hist);
    printf("}\n");
    if (pace->hgrm != NULL) {
        err = write_hgrm(&job_hist, pace->hgrm, "job");
        err = err != 0 ? err : write_hgrm(&floor_hist, pace->hgrm, "floor");
    }
    return err;
}

static int
run_floor(const struct pace *pace)
{
    struct weir_clock clock;
    weir_clock_init_real(&clock);
    weir_hist_init(&floor_hist);
    int err = measure_floor(pace, &clock, (double)pace->seconds);
    if (err == 0) {
        printf("{\"name\":\"floor\",\"rate\":%.0f", pace->number);
        print_hist("floor", &floor_hist);
        printf("}\n");
    }
    return err;
}

static const struct {
    const char *name;
    enum weir_plan_idle idle;
} idles[] = {{"spin", WEIR_PLAN_IDLE_SPIN}, {"adaptive", WEIR_PLAN_IDLE_ADAPTIVE},
    {"sleep", WEIR_PLAN_IDLE_SLEEP}};

/* CPU time of all threads over the time that the job ran. */
static int
run_share(struct pace *pace, size_t idle, uint32_t percent, double top_rate)
{
    struct trial_result result;
    double rate = percent > 0 ? top_rate * percent / 100 : 1;
    uint64_t event_cnt = (uint64_t)(rate * (double)pace->seconds) + 1;
    pace->idle = idles[idle].idle;
    int err = run_job(pace, event_cnt, (int64_t)rate, &result);
    if (err == 0) {
        printf("{\"name\":\"%s-%u\",\"percent\":%.3f,\"rate\":%.0f,\"top_rate\":%.0f,"
               "\"seconds\":%.2f,\"events\":%llu}\n",
            idles[idle].name, percent, 100 * (double)result.cpu_ns / (double)result.run_ns, rate,
            top_rate, (double)result.run_ns / (double)WEIR_SEC_NS,
            (unsigned long long)result.events);
    }
    return err;
}

static int
run_cpu(struct pace *pace)
{
    static const uint32_t percents[] = {0, 1, 10, 50};
    struct trial_result result;
    pace->idle = WEIR_PLAN_IDLE_SPIN;
    int err = run_job(pace, TOP_EVENT_CNT, 0, &result);
    for (size_t i = 0; i < 2 * WEIR_ARRAY_CNT(percents) && err == 0; i++) {
        err = run_share(
            pace, i % 2, percents[i / 2], (double)result.events * 1e9 / (double)result.wall_ns);
    }
    return err;
}

static int
parse(int argc, char **argv, struct pace *pace)
{
    bool is_cpu = argc > 2 && strcmp(argv[1], "cpu") == 0;
    int flags_at = is_cpu ? 3 : 5;
    *pace = (struct pace){.cpu = "0", .number = 1};
    if (argc < flags_at) {
        return weir_err_push(WEIR_EUSAGE,
            "bench_pace latency|floor RATE SECONDS IDLE | cpu SECONDS [--cpu N] [--hgrm PREFIX]");
    }
    pace->seconds = strtoll(argv[is_cpu ? 2 : 3], NULL, 10);
    pace->number = is_cpu ? 1 : strtod(argv[2], NULL);
    pace->idle = is_cpu ? WEIR_PLAN_IDLE_SPIN : WEIR_PLAN_IDLE_AUTO;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(idles) && !is_cpu; i++) {
        pace->idle = strcmp(argv[4], idles[i].name) == 0 ? idles[i].idle : pace->idle;
    }
    for (int i = flags_at; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--cpu") == 0) {
            pace->cpu = argv[i + 1];
        } else if (strcmp(argv[i], "--hgrm") == 0) {
            pace->hgrm = argv[i + 1];
        }
    }
    if (pace->number < 1 || pace->seconds < 1 || pace->idle == WEIR_PLAN_IDLE_AUTO) {
        return weir_err_push(WEIR_EUSAGE, "a rate, whole seconds, spin|adaptive|sleep");
    }
    return 0;
}

int
main(int argc, char **argv)
{
    struct pace pace;
    int err = parse(argc, argv, &pace);
    if (err == 0) {
        err = strcmp(argv[1], "latency") == 0 ? run_latency(&pace)
              : strcmp(argv[1], "floor") == 0 ? run_floor(&pace)
                                              : run_cpu(&pace);
    }
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    return weir_err_exit_code(err);
}
