/* SPDX-License-Identifier: Apache-2.0 */
/* restore.h: what `weir run` starts from (--restore), and the line that is shown while a restore or
 * the writing of a savepoint takes long.
 *
 * Thread: the program's; progress: the one that restores.
 */
#ifndef WEIR_APPS_WEIR_RESTORE_H
#define WEIR_APPS_WEIR_RESTORE_H

#include "apps/weir/job.h"
#include "apps/weir/supervise.h"

/* Of what takes long; 0 but for step_ns. */
struct weir_long_line {
    int64_t step_ns; /* log.progress; 0: no line */
    int64_t said_ns; /* since its begin, when the last was; 0: none was */
};

/* weir_long_line_save - the progress_fn of weir_job_save_options; arg: a struct weir_long_line. */
void weir_long_line_save(void *arg, const struct weir_job_save_progress *progress);

/* weir_restore_options - of the flags and, under a supervisor, of the engines before this one.
 *
 * Shape:   *line is set, and kept.
 * Owner:   borrows from args.
 * Errors:  WEIR_ECONFIG: there is something to restore, and checkpoints.dir is not set.
 */
WEIR_MUST_USE int weir_restore_options(const struct weir_args *args, const struct weir_conf *conf,
    const struct weir_supervised *supervised, struct weir_long_line *line,
    struct weir_job_restore_options *ret_options);
/* weir_restore_check_restart - restart.* says nothing to a run without a supervisor: a warning.
 *
 * Errors:  WEIR_ESTRICT, where that was asked.
 */
WEIR_MUST_USE int
weir_restore_check_restart(const struct weir_conf *conf, const struct weir_supervised *supervised);

#endif
