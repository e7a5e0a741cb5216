/* SPDX-License-Identifier: Apache-2.0 */
/* restore.h: what `weir run` starts from (--restore), and the line that a long restore shows.
 *
 * Thread: the program's; progress: the one that restores.
 */
#ifndef WEIR_APPS_WEIR_RESTORE_H
#define WEIR_APPS_WEIR_RESTORE_H

#include "apps/weir/job.h"
#include "apps/weir/supervise.h"

/* weir_restore_options - of the flags and, under a supervisor, of the engines before this one.
 *
 * Shape:   *logged_ns is 0, and kept: when a line about the restore was logged last.
 * Owner:   borrows from args.
 * Errors:  WEIR_ECONFIG: there is something to restore, and checkpoints.dir is not set.
 */
WEIR_MUST_USE int weir_restore_options(const struct weir_args *args, const struct weir_conf *conf,
    const struct weir_supervised *supervised, int64_t *logged_ns,
    struct weir_job_restore_options *ret_options);
/* weir_restore_check_restart - restart.* says nothing to a run without a supervisor: a warning.
 *
 * Errors:  WEIR_ESTRICT, where that was asked.
 */
WEIR_MUST_USE int
weir_restore_check_restart(const struct weir_conf *conf, const struct weir_supervised *supervised);

#endif
