/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "apps/weir/vcs.h"
#include "apps/weir/watch.h"
#include "base/err.h"
#include "sched/core.h"

static double
wall_s(const struct weir_run_result *result)
{
    return (double)result->wall_ns / (double)WEIR_SEC_NS;
}

static double
rate_per_s(const struct weir_run_result *result, uint64_t rows)
{
    return result->wall_ns > 0 ? (double)rows / wall_s(result) : 0;
}

json_t *
weir_report_vertices(const struct weir_job *job)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(job, i, &sum);
        json_array_append_new(list,
            json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", sum.name, "records_in",
                (json_int_t)sum.rows_in, "records_out", (json_int_t)sum.rows_out, "records_late",
                (json_int_t)sum.rows_late, "records_bad", (json_int_t)sum.rows_bad));
    }
    return list;
}

static json_t *
hist_json(const struct weir_hist *hist)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999},
        {"max", 1.0}};
    json_t *doc = json_object();
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        json_object_set_new(
            doc, rows[i].name, json_integer((json_int_t)weir_hist_ns_at(hist, rows[i].share)));
    }
    return doc;
}

/* From intended time to a sink; null where nothing had an intended time (no rate was asked). */
static json_t *
latency_json(const struct weir_run_result *result)
{
    struct weir_hist *hist = malloc(sizeof *hist);
    json_t *doc = NULL;
    if (hist != NULL) {
        weir_job_latency(result->job, hist);
    }
    if (hist != NULL && hist->cnt > 0) {
        doc = hist_json(hist);
    }
    free(hist);
    return doc != NULL ? doc : json_null();
}

/* How old latency markers were, by source and operator; empty where none were sent. */
static json_t *
markers_json(const struct weir_job *job)
{
    json_t *list = json_array();
    struct weir_hist *hist = malloc(sizeof *hist);
    uint32_t cnt = hist != NULL ? weir_job_operator_cnt(job) : 0;
    for (uint32_t pair = 0; pair < cnt * cnt; pair++) {
        struct weir_job_operator_sum source;
        struct weir_job_operator_sum at;
        weir_job_operator(job, pair / cnt, &source);
        weir_job_operator(job, pair % cnt, &at);
        if (!source.is_source) {
            continue;
        }
        weir_job_marker_latency(job, pair / cnt, pair % cnt, hist);
        if (hist->cnt > 0) {
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:I, s:o}", "source", source.name, "operator", at.name,
                          "markers", (json_int_t)hist->cnt, "latency_ns", hist_json(hist)));
        }
    }
    free(hist);
    return list;
}

/* Parts of each core's time, which add up to 1; empty under the seeded poller. */
json_t *
weir_report_cores(const struct weir_job *job, const struct weir_plan *plan)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->core_cnt; i++) {
        struct weir_core_times times;
        if (weir_job_core_times(job, i, &times)) {
            double all = 0;
            for (uint32_t t = 0; t < WEIR_CORE_PART_CNT; t++) {
                all += (double)times.ns[t];
            }
            json_t *core = json_pack("{s:i}", "cpu", (int)plan->cores[i].cpu);
            for (uint32_t t = 0; t < WEIR_CORE_PART_CNT; t++) {
                double part = all > 0 ? (double)times.ns[t] / all : 0;
                json_object_set_new(
                    core, weir_core_part_name((enum weir_core_part)t), json_real(part));
            }
            json_array_append_new(list, core);
        }
    }
    return list;
}

json_t *
weir_report_checkpoint(const struct weir_job_checkpoint_record *record)
{
    char utc[WEIR_CLOCK_TEXT_BYTES];
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id",
        (json_int_t)record->id, "triggered", weir_clock_utc_text(record->utc_ns, utc),
        "duration_ns", (json_int_t)record->duration_ns, "stall_ns", (json_int_t)record->stall_ns,
        "alignment_ns", (json_int_t)record->align_ns, "start_delay_ns",
        (json_int_t)record->start_delay_ns, "alignment_bytes", (json_int_t)record->align_bytes,
        "written_bytes", (json_int_t)record->bytes, "bytes", (json_int_t)record->state_bytes,
        "rows_in_flight", (json_int_t)record->flight_rows, "bytes_in_flight",
        (json_int_t)record->flight_bytes);
}

static json_t *
departures_json(const struct weir_run_result *result)
{
    json_t *list = json_array();
    const char *text = weir_launch_note(result->launch);
    uint32_t seen_cnt = 0;
    if (text != NULL) {
        json_array_append_new(list, json_string(text));
    }
    for (uint32_t i = 0; (text = weir_job_departure_at(result->job, i, &seen_cnt)) != NULL; i++) {
        json_array_append_new(list, json_sprintf("%s (seen %u times)", text, seen_cnt));
    }
    for (uint32_t i = 0; (text = weir_job_fallback_at(result->job, i)) != NULL; i++) {
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* "model name" of the first CPU. */
static void
cpu_model(char *buf, size_t bytes)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    buf[0] = '\0';
    while (file != NULL && buf[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(buf, bytes, "%s", colon + 2);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static json_t *
host_json(const struct weir_run_result *result)
{
    struct utsname name;
    char model[256];
    char cpus[WEIR_CPUSET_TEXT_BYTES];
    const struct weir_cgroup *cgroup = weir_launch_cgroup(result->launch);
    memset(&name, 0, sizeof name);
    (void)uname(&name);
    cpu_model(model, sizeof model);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f}", "name", name.nodename, "kernel",
        name.release, "cpu", model, "cpus", weir_cpuset_print(&cgroup->cpus, cpus, sizeof cpus),
        "memory_bytes", (json_int_t)cgroup->memory_bytes, "cpu_quota", cgroup->cpu_quota);
}

/* Complete checkpoints of the run, the newest last. */
static json_t *
checkpoints_json(const struct weir_run_result *result)
{
    json_t *list = json_array();
    const struct weir_job_checkpoint_record *record;
    for (uint32_t i = 0; (record = weir_job_checkpoint_at(result->job, i)) != NULL; i++) {
        json_array_append_new(list, weir_report_checkpoint(record));
    }
    return list;
}

static json_t *
plan_json(const struct weir_run_result *result)
{
    char *text = NULL;
    size_t bytes = 0;
    json_t *doc = NULL;
    FILE *file = open_memstream(&text, &bytes);
    if (file != NULL) {
        int err = weir_plan_json(weir_launch_plan_of(result->launch), file);
        if (fclose(file) == 0 && err == 0) {
            doc = json_loadb(text, bytes, 0, NULL);
        }
    }
    free(text);
    return doc != NULL ? doc : json_null();
}

/* How the run ended, in one word. */
static const char *
state_name(const struct weir_run_result *result)
{
    static const char *const ends[] = {
        [WEIR_TASK_REQUEST_NONE] = "finished",
        [WEIR_TASK_REQUEST_STOP] = "stopped",
        [WEIR_TASK_REQUEST_DRAIN] = "drained",
        [WEIR_TASK_REQUEST_CANCEL] = "canceled",
    };
    bool is_cancel = result->asked == WEIR_TASK_REQUEST_CANCEL;
    if (result->err != 0) {
        return is_cancel && result->err == WEIR_ECANCELED ? ends[result->asked] : "failed";
    }
    /* All tasks may have ended before they saw that they were canceled. */
    return is_cancel ? ends[WEIR_TASK_REQUEST_STOP] : ends[result->asked];
}

json_t *
weir_report_restored(const struct weir_job *job)
{
    struct weir_job_checkpoint_view view;
    weir_job_checkpoints(job, &view);
    return view.restored.checkpoint == 0 ? json_null()
                                         : json_integer((json_int_t)view.restored.checkpoint);
}

/* The steps of the start that were done, in their order. */
static json_t *
startup_of(const struct weir_job *job)
{
    json_t *list = json_array();
    for (int step = 0; step < WEIR_JOB_STEP_CNT; step++) {
        int64_t ns = weir_job_step_ns(job, (enum weir_job_step)step);
        if (ns != 0) {
            json_array_append_new(
                list, json_pack("{s:s, s:I}", "step", weir_job_step_name((enum weir_job_step)step),
                          "ns", (json_int_t)ns));
        }
    }
    return list;
}

static json_t *
report_json(const struct weir_run_result *result)
{
    struct weir_watch_totals totals =
        weir_watch_totals(result->job, weir_launch_plan_of(result->launch));
    json_t *doc = json_object();
    json_object_set_new(doc, "job", json_string(weir_launch_name(result->launch)));
    json_object_set_new(doc, "state", json_string(state_name(result)));
    json_object_set_new(doc, "error", result->err == 0 ? json_null() : json_string(result->why));
    json_object_set_new(doc, "wall_s", json_real(wall_s(result)));
    json_object_set_new(doc, "startup", startup_of(result->job));
    json_object_set_new(doc, "records_in", json_integer((json_int_t)totals.rows_in));
    json_object_set_new(doc, "records_out", json_integer((json_int_t)totals.rows_out));
    json_object_set_new(doc, "records_late", json_integer((json_int_t)totals.rows_late));
    json_object_set_new(doc, "records_bad", json_integer((json_int_t)totals.rows_bad));
    json_object_set_new(doc, "rate_per_s", json_real(rate_per_s(result, totals.rows_in)));
    json_object_set_new(doc, "latency_ns", latency_json(result));
    json_object_set_new(doc, "latency_markers", markers_json(result->job));
    json_object_set_new(
        doc, "cores", weir_report_cores(result->job, weir_launch_plan_of(result->launch)));
    json_object_set_new(
        doc, "poll_gap_ns", json_integer((json_int_t)weir_job_poll_gap_ns(result->job)));
    json_object_set_new(doc, "vertices", weir_report_vertices(result->job));
    json_object_set_new(doc, "restored_checkpoint", weir_report_restored(result->job));
    json_object_set_new(doc, "checkpoints", checkpoints_json(result));
    json_object_set_new(doc, "departures", departures_json(result));
    json_object_set_new(doc, "plan", plan_json(result));
    json_object_set_new(doc, "host", host_json(result));
    json_object_set_new(
        doc, "weir", json_pack("{s:s, s:s}", "version", WEIR_VERSION, "commit", WEIR_COMMIT));
    return doc;
}

/* What errno says of the report; a directory that is not there is one of an output. */
static int
report_errno(int errnum, const char *path)
{
    int err = weir_err_errno(errnum, "the report %s", path);
    return err == WEIR_ENOINPUT ? WEIR_EIO : err;
}

/* Both: 0, or an errno. Nothing is made: the file comes when there is something to say. */
static int
writable(const char *path)
{
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static int
directory_writable(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int errnum = dir != NULL ? writable(dir) : ENOMEM;
    free(dir);
    return errnum;
}

int
weir_report_check(const char *path)
{
    struct stat seen;
    if (path == NULL || strcmp(path, "-") == 0) {
        return 0;
    }
    int errnum = stat(path, &seen) == 0 ? 0 : errno;
    if (errnum == 0) {
        errnum = S_ISDIR(seen.st_mode) ? EISDIR : writable(path);
    } else if (errnum == ENOENT) {
        errnum = directory_writable(path);
    }
    return errnum != 0 ? report_errno(errnum, path) : 0;
}

int
weir_report_write(const struct weir_run_result *result, const char *path)
{
    json_t *doc = report_json(result);
    if (strcmp(path, "-") == 0) {
        weir_cli_print_json(doc);
        return 0;
    }
    FILE *file = fopen(path, "we");
    int err = file == NULL ? report_errno(errno, path) : 0;
    if (err == 0 && (json_dumpf(doc, file, JSON_INDENT(2)) != 0 || fputc('\n', file) == EOF)) {
        err = weir_err_errno(errno, "the report %s", path);
    }
    if (file != NULL && fclose(file) != 0 && err == 0) {
        err = weir_err_errno(errno, "the report %s", path);
    }
    json_decref(doc);
    return err;
}

static void
print_cores(const struct weir_run_result *result)
{
    const struct weir_plan *plan = weir_launch_plan_of(result->launch);
    for (uint32_t i = 0; i < plan->core_cnt; i++) {
        struct weir_core_times times;
        double all = 0;
        if (!weir_job_core_times(result->job, i, &times)) {
            return;
        }
        for (uint32_t t = 0; t < WEIR_CORE_PART_CNT; t++) {
            all += (double)times.ns[t];
        }
        (void)fprintf(stderr, "  cpu %u:", plan->cores[i].cpu);
        for (uint32_t t = 0; t < WEIR_CORE_PART_CNT && all > 0; t++) {
            (void)fprintf(stderr, " %s %.0f %%", weir_core_part_name((enum weir_core_part)t),
                100 * (double)times.ns[t] / all);
        }
        (void)fprintf(stderr, "\n");
    }
}

/* Where the host did not keep to the plan. */
static void
print_departures(const struct weir_run_result *result)
{
    const char *text;
    uint32_t seen_cnt = 0;
    for (uint32_t i = 0; (text = weir_job_departure_at(result->job, i, &seen_cnt)) != NULL; i++) {
        (void)fprintf(stderr, "  departure: %s (seen %u times)\n", text, seen_cnt);
    }
}

void
weir_report_print(const struct weir_run_result *result)
{
    struct weir_watch_totals totals =
        weir_watch_totals(result->job, weir_launch_plan_of(result->launch));
    (void)fprintf(stderr,
        "%s %s: %" PRIu64 " records in, %" PRIu64 " out, %.2f s, %.2f M records/s\n",
        weir_launch_name(result->launch), state_name(result), totals.rows_in, totals.rows_out,
        wall_s(result), rate_per_s(result, totals.rows_in) / 1e6);
    print_cores(result);
    if (totals.rows_late > 0 || totals.rows_bad > 0) {
        (void)fprintf(stderr, "  %" PRIu64 " records late, %" PRIu64 " malformed\n",
            totals.rows_late, totals.rows_bad);
    }
    print_departures(result);
}
