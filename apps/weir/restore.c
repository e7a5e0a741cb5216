/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* In steps of log.progress: what takes no longer than the first shows nothing but its end; then a
 * terminal's line is written anew with each, and a log gets one now and then. */
#define QUIET_STEPS 2
#define LOG_STEPS 20

/* ---- a line of what takes long ---- */

static bool
is_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

/* Whether a line is due, which is so no more. */
static bool
is_due(struct weir_long_line *line, int64_t elapsed_ns)
{
    int64_t steps = is_terminal() ? 1 : LOG_STEPS;
    if (line->step_ns == 0 || elapsed_ns < QUIET_STEPS * line->step_ns ||
        (line->said_ns != 0 && elapsed_ns - line->said_ns < steps * line->step_ns)) {
        return false;
    }
    line->said_ns = elapsed_ns;
    return true;
}

static void
say(const char *text)
{
    if (is_terminal()) {
        (void)fprintf(stderr, "\r%s\033[K", text);
    } else {
        weir_log(WEIR_LOG_INFO, 0, "%s", text);
    }
}

static void
wipe(const struct weir_long_line *line)
{
    if (line->said_ns != 0 && is_terminal()) {
        (void)fprintf(stderr, "\r\033[K");
    }
}

static void
on_restore(void *arg, const struct weir_job_restore_progress *progress)
{
    struct weir_long_line *line = arg;
    char text[160];
    double seconds = (double)progress->elapsed_ns / (double)WEIR_SEC_NS;
    if (progress->is_done) {
        wipe(line);
        line->said_ns = 0;
        weir_log(WEIR_LOG_INFO, 0, "restored checkpoint %" PRIu64 ": %" PRIu64 " bytes in %.3f s",
            progress->checkpoint, progress->bytes_all, seconds);
        return;
    }
    if (!is_due(line, progress->elapsed_ns)) {
        return;
    }
    double rate = (double)progress->bytes_done / seconds;
    double left =
        (double)(progress->bytes_all - weir_min_u64(progress->bytes_done, progress->bytes_all));
    double percent = progress->bytes_all > 0 ? 100 - 100 * left / (double)progress->bytes_all : 100;
    (void)snprintf(text, sizeof text,
        "restoring checkpoint %" PRIu64 ": %.0f %% of %.1f MiB, %.1f MiB/s, left %.0f s",
        progress->checkpoint, percent, (double)progress->bytes_all / (double)WEIR_MIB,
        rate / (double)WEIR_MIB, rate > 0 ? left / rate : 0);
    say(text);
}

void
weir_long_line_save(void *arg, const struct weir_job_save_progress *progress)
{
    struct weir_long_line *line = arg;
    char text[160];
    double seconds = (double)progress->elapsed_ns / (double)WEIR_SEC_NS;
    if (progress->is_done) {
        wipe(line);
        weir_log(WEIR_LOG_INFO, 0, "wrote savepoint %" PRIu64 ": %" PRIu64 " bytes in %.3f s",
            progress->savepoint, progress->bytes, seconds);
        return;
    }
    if (is_due(line, progress->elapsed_ns)) {
        (void)snprintf(text, sizeof text,
            "writing savepoint %" PRIu64 ": %" PRIu32 " of %" PRIu32
            " key groups, %.1f MiB, %.1f MiB/s",
            progress->savepoint, progress->group_cnt, progress->group_all,
            (double)progress->bytes / (double)WEIR_MIB,
            (double)progress->bytes / (double)WEIR_MIB / seconds);
        say(text);
    }
}

/* ---- what to start from ---- */

int
weir_restore_options(const struct weir_args *args, const struct weir_conf *conf,
    const struct weir_supervised *supervised, struct weir_long_line *line,
    struct weir_job_restore_options *ret_options)
{
    int64_t step_ns = weir_conf_i64(conf, WEIR_CONF_LOG_PROGRESS);
    const char *which = weir_cli_value(args, "restore");
    bool is_again = supervised != NULL && supervised->restart_cnt > 0;
    which = which != NULL ? which : "none";
    struct weir_job_restore_options options = {
        .from = strcmp(which, "none") == 0     ? WEIR_JOB_RESTORE_NONE
                : strcmp(which, "latest") == 0 ? WEIR_JOB_RESTORE_LATEST
                                               : WEIR_JOB_RESTORE_PATH,
        .path = which,
        .drops_unknown = weir_cli_has(args, "allow-non-restored-state"),
        .progress_fn = on_restore,
        .progress_arg = line,
    };
    *line = (struct weir_long_line){.step_ns = step_ns == WEIR_CONF_WORD ? 0 : step_ns};
    if (options.from != WEIR_JOB_RESTORE_NONE && !weir_conf_has_checkpoints(conf)) {
        return weir_err_push(WEIR_ECONFIG,
            "--restore=%s: say where checkpoints are kept, --set checkpoints.dir=DIR", which);
    }
    /* What the engine before this one has stored is the truth now. */
    if (is_again && options.from == WEIR_JOB_RESTORE_PATH) {
        options.prefers_latest = true;
    } else if (is_again) {
        options.from = WEIR_JOB_RESTORE_LATEST;
    }
    *ret_options = options;
    return 0;
}

int
weir_restore_check_restart(const struct weir_conf *conf, const struct weir_supervised *supervised)
{
    const struct weir_conf_value *value;
    for (size_t i = 0; supervised == NULL && (value = weir_conf_at(conf, i)) != NULL; i++) {
        if (strncmp(value->path, "restart.", 8) != 0 || weir_conf_is_default(value)) {
            continue;
        }
        if (weir_conf_i64(conf, WEIR_CONF_STRICT) == 1) {
            return weir_err_push(WEIR_ESTRICT,
                "%s is set (%s), and only a run with --supervise starts a failed job again",
                value->path, value->origin);
        }
        weir_log(WEIR_LOG_WARNING, 0,
            "%s is set (%s), and says nothing here: only a run with --supervise starts a failed "
            "job again",
            value->path, value->origin);
    }
    return 0;
}
