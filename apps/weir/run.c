/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: `weir run`: plan a job, run it to its end, and say what it did; with --supervise, below a
 * process that starts it again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/configure.h"
#include "apps/weir/house.h"
#include "apps/weir/job.h"
#include "apps/weir/memory_dir.h"
#include "apps/weir/report.h"
#include "apps/weir/restore.h"
#include "apps/weir/saver.h"
#include "apps/weir/supervise.h"
#include "apps/weir/verbs.h"
#include "apps/weir/watch.h"
#include "base/err.h"
#include "base/log.h"
#include "sched/checkpoint_conf.h"
#include "sched/savepoint_store.h"

#define WHY_BYTES 2048

/* What the host did not give: said once, at the start. */
static void
log_departures(const struct weir_launch *launch, const struct weir_job *job)
{
    const char *text = weir_launch_note(launch);
    if (text != NULL) {
        weir_log(WEIR_LOG_WARNING, 0, "%s", text);
    }
    for (uint32_t i = 0; (text = weir_job_fallback_at(job, i)) != NULL; i++) {
        weir_log(WEIR_LOG_WARNING, 0, "%s", text);
    }
}

/* The first malformed lines that did not fail the job: no core writes to the log, so they come at
 * the end. */
static void
log_bad_lines(const struct weir_launch *launch)
{
    const char *text;
    for (uint32_t i = 0; (text = weir_launch_bad_line(launch, i)) != NULL; i++) {
        weir_log(WEIR_LOG_WARNING, 0, "malformed line: %s", text);
    }
}

static int
start_log(const struct weir_job_arg *arg)
{
    /* The words of log.format and log.level stand in the order of the log's own names. */
    struct weir_log_options options = {
        .fd = STDERR_FILENO,
        .format = (enum weir_log_format)weir_conf_i64(arg->conf, WEIR_CONF_LOG_FORMAT),
        .level = (enum weir_log_level)weir_conf_i64(arg->conf, WEIR_CONF_LOG_LEVEL),
        .job = weir_launch_name(arg->launch),
    };
    return weir_log_start(&options);
}

/* A job in simulated time is polled by this thread, wherever that runs. */
static void
keep_house(const struct weir_job_arg *arg)
{
    if (weir_conf_i64(arg->conf, WEIR_CONF_POLLER) == WEIR_CONF_WORD) {
        weir_house_keep(&weir_launch_plan_of(arg->launch)->housekeeping);
    }
}

/* Runs the wired job; the error's context is kept for the caller to print, and copied for the
 * report. */
static int
run_job(const struct weir_args *args, const struct weir_job_arg *arg, struct weir_job *job,
    const struct weir_supervised *supervised, char ret_savepoint[WEIR_CONTROL_PATH_BYTES])
{
    struct weir_launch *launch = arg->launch;
    int64_t progress = weir_conf_i64(arg->conf, WEIR_CONF_LOG_PROGRESS);
    int64_t port = weir_conf_i64(arg->conf, WEIR_CONF_METRICS_PORT);
    char why[WHY_BYTES] = "";
    struct weir_watch *watch = NULL;
    struct weir_run_result result = {.job = job, .launch = launch, .why = why};
    const struct weir_watch_conf conf = {
        .job = job,
        .launch = launch,
        .progress_ns = progress == WEIR_CONF_WORD ? 0 : progress,
        .supervised = supervised,
        .metrics_port = port == WEIR_CONF_WORD ? 0 : (uint16_t)port,
    };
    int err = weir_watch_start(&conf, &watch);
    if (err != 0) {
        return err;
    }
    result.err = weir_job_run(job);
    result.wall_ns = weir_job_wall_ns(job);
    struct weir_watch_end end = weir_watch_stop(watch);
    result.asked = end.asked;
    (void)snprintf(ret_savepoint, WEIR_CONTROL_PATH_BYTES, "%s", end.savepoint);
    weir_err_save(why, sizeof why);
    log_bad_lines(launch);
    err = result.err;
    if (err == WEIR_ECANCELED && end.interrupt_cnt > 1) {
        weir_err_clear();
        err = WEIR_EXIT_INTERRUPTED;
    }
    if (result.err == 0) {
        weir_report_print(&result);
    }
    const char *report = weir_cli_value(args, "report");
    if (report != NULL) {
        int report_err = weir_report_write(&result, report);
        err = err == 0 ? report_err : err;
    }
    return err;
}

/* What the job would start from, as a savepoint; it does not run. */
static int
save_job(const struct weir_args *args, const char *name, struct weir_job *job,
    struct weir_long_line *line)
{
    const char *root = weir_cli_value(args, "savepoint");
    struct weir_savepoint_made made;
    const struct weir_job_save_options options = {
        .root = root, .progress_fn = weir_long_line_save, .progress_arg = line};
    int err = weir_job_save(job, &options, &made);
    if (err == 0) {
        (void)printf(WEIR_SAVER_LINE_BEGIN "%" PRIu64 " in %s" WEIR_SAVER_LINE_COUNTS "\n",
            made.savepoint, root, made.totals.entries, made.totals.rows, made.totals.key_groups,
            made.file_bytes);
        (void)printf(WEIR_SAVER_LINE_PATH "%s/%s/manifest/M-%" PRIu64 "-%" PRIu64 "\n", root, name,
            made.savepoint, made.epoch);
    }
    return err;
}

/* Under checkpoints.storage=memory: its directory, which all engines of a supervisor share; who was
 * one, and saves now what it has come to, has it still. */
static int
make_memory_dir(const struct weir_args *args, struct weir_job_arg *arg,
    const struct weir_supervised *supervised)
{
    static char path[WEIR_MEMORY_DIR_BYTES]; /* kept for the job */
    if (weir_conf_i64(arg->conf, WEIR_CONF_CHECKPOINTS_STORAGE) == 0) {
        return 0;
    }
    bool was_engine = weir_cli_has(args, "supervise") && weir_cli_has(args, "savepoint");
    pid_t owner = supervised != NULL ? supervised->supervisor_pid
                  : was_engine       ? getppid()
                                     : getpid();
    int err = weir_memory_dir_make(owner, path);
    if (err == 0) {
        weir_launch_memory(arg->launch, path);
    }
    return err;
}

/* The run itself; supervised: by whom, NULL: nobody. The caller closes arg. */
static int
run_engine(const struct weir_args *args, struct weir_job_arg *arg,
    const struct weir_supervised *supervised, char ret_savepoint[WEIR_CONTROL_PATH_BYTES])
{
    struct weir_job *job = NULL;
    struct weir_job_restore_options restore;
    struct weir_long_line line;
    int err = weir_watch_block(supervised != NULL ? supervised->supervisor_pid : 0);
    if (err != 0) {
        return err;
    }
    err = weir_job_arg_open(args, NULL, arg);
    if (err == 0) {
        err = start_log(arg);
    }
    if (err == 0 && !weir_cli_has(args, "savepoint")) {
        err = weir_restore_check_restart(arg->conf, supervised);
    }
    if (err == 0) {
        err = weir_restore_options(args, arg->conf, supervised, &line, &restore);
    }
    if (err == 0) {
        err = make_memory_dir(args, arg, supervised);
    }
    if (err == 0) {
        /* What has a name is left alone: others may use what it lies in. */
        restore.only_reads =
            weir_cli_has(args, "savepoint") && restore.from == WEIR_JOB_RESTORE_PATH;
        weir_launch_restore(arg->launch, &restore);
        err =
            weir_launch_plan(arg->launch, restore.only_reads ? WEIR_LAUNCH_SAVE : WEIR_LAUNCH_RUN);
    }
    if (err == 0) {
        keep_house(arg);
        err = weir_launch_job(arg->launch, &job);
    }
    if (err == 0) {
        log_departures(arg->launch, job);
        err = weir_cli_has(args, "savepoint")
                  ? save_job(args, weir_launch_name(arg->launch), job, &line)
                  : run_job(args, arg, job, supervised, ret_savepoint);
    }
    (void)weir_watch_hand_over();
    weir_job_delete(job);
    weir_log_stop();
    return err;
}

/* What restart.* says to a supervisor: auto restarts, also without checkpoints. */
static int
restart_of(const struct weir_conf *conf, struct weir_restart_conf *ret_restart)
{
    int err = weir_checkpoint_conf_restart(conf, ret_restart);
    if (err == 0 && strcmp(weir_conf_text(conf, WEIR_CONF_RESTART_STRATEGY), "auto") == 0) {
        ret_restart->strategy = WEIR_RESTART_EXPONENTIAL_DELAY;
    }
    return err;
}

/* Goes on in the engines, and comes back in the supervisor when the last of them has ended. */
static int
run_supervised(const struct weir_args *args, struct weir_job_arg *arg,
    char ret_savepoint[WEIR_CONTROL_PATH_BYTES])
{
    struct weir_supervise_conf conf = {.job = args->arg[0]};
    struct weir_supervised self;
    int err = weir_job_arg_configure(args, arg);
    if (err == 0) {
        err = restart_of(arg->conf, &conf.restart);
    }
    if (err != 0) {
        return err;
    }
    err = weir_supervise(&conf, &self);
    return self.supervisor_pid != 0 ? run_engine(args, arg, &self, ret_savepoint) : err;
}

/* A job that has ended with a checkpoint and is to be saved: this process does it, whose number who
 * waits knows. One that only saves needs nobody to start it again. */
static int
run_run(const struct weir_args *args)
{
    struct weir_job_arg arg = {.conf = NULL};
    char savepoint[WEIR_CONTROL_PATH_BYTES] = "";
    bool is_supervised = weir_cli_has(args, "supervise") && !weir_cli_has(args, "savepoint");
    int err = weir_report_check(weir_cli_value(args, "report"));
    if (err != 0) {
        return err;
    }
    err = is_supervised ? run_supervised(args, &arg, savepoint)
                        : run_engine(args, &arg, NULL, savepoint);
    weir_job_arg_close(&arg);
    err = err == 0 && savepoint[0] != '\0' ? weir_saver_become(savepoint) : err;
    /* What could not be saved is kept until the user's next run. */
    const char *which = weir_cli_value(args, "restore");
    bool is_latest = which != NULL && strcmp(which, "latest") == 0;
    if (err == 0 || !weir_cli_has(args, "savepoint") || !is_latest) {
        weir_memory_dir_remove(getpid());
    }
    return err;
}

static const struct weir_flag run_flags[] = {
    WEIR_CONFIGURE_FLAGS,
    {"report", 0, "FILE", "write what the run did as JSON (docs/report.md); - for stdout"},
    {"restore", 0, "WHICH",
        "start from a checkpoint: latest (nothing where there is none), a path to one, or none"},
    {"allow-non-restored-state", 0, NULL,
        "leave state behind whose operator the job does not have any more"},
    {"savepoint", 0, "DIR",
        "do not run: write what --restore names as a savepoint below DIR, and end"},
    {"supervise", 0, NULL, "run in a child process, and start it again after a crash (restart.*)"},
};

const struct weir_verb weir_verb_run = {
    .name = "run",
    .args = "JOB",
    .text = "run a job: a path to a .so, a pipeline in YAML, or a name in the plug-in directory",
    .examples = "weir run nexmark -p query=q1 -p events=gen:100000,seed=1\n"
                "weir run nexmark -h                    # the parameters of this job\n"
                "weir run pipeline.yaml -p output=-\n"
                "weir run ./job.so -f weir.yaml --report report.json\n"
                "weir run nexmark --set parallelism=2 --set placement.cut=all\n"
                "weir run nexmark --supervise --set restart.exponential_delay.max=10s\n",
    .notes = WEIR_CONFIGURE_NOTES "TERM and INT stop the sources and finish what is in flight; a "
                                  "second one cancels. USR1 prints\n"
                                  "a page about cores, tasks and operators. While it runs, `weir "
                                  "status|top|tap|metrics|\n"
                                  "stop|cancel|savepoint|move NAME` reach it.\n",
    .flags = run_flags,
    .flag_cnt = WEIR_ARRAY_CNT(run_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_run,
    .help_more = weir_job_arg_help,
};
