/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* Shorter restores show nothing but their end; then a terminal's line is written anew with every
 * call, and a log gets one now and then. */
#define QUIET_NS WEIR_SEC_NS
#define LOG_NS (10 * WEIR_SEC_NS)

/* Rate and time left, of what was read so far. */
static void
show(const struct weir_job_restore_progress *progress, int64_t *logged_ns)
{
    double seconds = (double)progress->elapsed_ns / (double)WEIR_SEC_NS;
    double rate = (double)progress->bytes_done / seconds;
    double left =
        (double)(progress->bytes_all - weir_min_u64(progress->bytes_done, progress->bytes_all));
    double percent = progress->bytes_all > 0 ? 100 - 100 * left / (double)progress->bytes_all : 100;
    char text[160];
    (void)snprintf(text, sizeof text,
        "restoring checkpoint %" PRIu64 ": %.0f %% of %.1f MiB, %.1f MiB/s, left %.0f s",
        progress->checkpoint, percent, (double)progress->bytes_all / (double)WEIR_MIB,
        rate / (double)WEIR_MIB, rate > 0 ? left / rate : 0);
    if (isatty(STDERR_FILENO) == 1) {
        (void)fprintf(stderr, "\r%s\033[K", text);
    } else if (progress->elapsed_ns - *logged_ns >= LOG_NS) {
        *logged_ns = progress->elapsed_ns;
        weir_log(WEIR_LOG_INFO, 0, "%s", text);
    }
}

static void
on_progress(void *arg, const struct weir_job_restore_progress *progress)
{
    if (progress->elapsed_ns >= QUIET_NS && !progress->is_done) {
        show(progress, arg);
    } else if (progress->is_done) {
        if (progress->elapsed_ns >= QUIET_NS && isatty(STDERR_FILENO) == 1) {
            (void)fprintf(stderr, "\r\033[K");
        }
        weir_log(WEIR_LOG_INFO, 0, "restored checkpoint %" PRIu64 ": %" PRIu64 " bytes in %.3f s",
            progress->checkpoint, progress->bytes_all,
            (double)progress->elapsed_ns / (double)WEIR_SEC_NS);
    }
}

int
weir_restore_options(const struct weir_args *args, const struct weir_conf *conf,
    const struct weir_supervised *supervised, int64_t *logged_ns,
    struct weir_job_restore_options *ret_options)
{
    const char *which = weir_cli_value(args, "restore");
    bool is_again = supervised != NULL && supervised->restart_cnt > 0;
    which = which != NULL ? which : "none";
    struct weir_job_restore_options options = {
        .from = strcmp(which, "none") == 0     ? WEIR_JOB_RESTORE_NONE
                : strcmp(which, "latest") == 0 ? WEIR_JOB_RESTORE_LATEST
                                               : WEIR_JOB_RESTORE_PATH,
        .path = which,
        .drops_unknown = weir_cli_has(args, "allow-non-restored-state"),
        .progress_fn = on_progress,
        .progress_arg = logged_ns,
    };
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
