/* SPDX-License-Identifier: Apache-2.0 */
/* supervise.h: `weir run --supervise`: a process that keeps the engine as its child.
 *
 *     supervisor --fork--> engine --crash--> (delay) --fork--> engine --0--> both end with 0
 *          |  INT, TERM, USR1, USR2 go on to the engine
 *          '- killed: the kernel kills the engine too
 *
 * The engine has the supervisor's stdin, stdout and stderr. It is started again after a death by a
 * signal and after an error that may pass (exit codes 1, 69, 70, 74, 75), as the restart strategy
 * allows; never once somebody has asked it to end, and never after an error that would come again
 * (usage, configuration, input, permission).
 *
 * A terminal, a shell or a service manager often signals a whole group: then the engine gets the
 * signal twice. It counts only what comes from its supervisor; what others send stops it, and never
 * cancels it.
 *
 * Thread: the process has one until the engine's begin; the supervisor never has another.
 */
#ifndef WEIR_APPS_WEIR_SUPERVISE_H
#define WEIR_APPS_WEIR_SUPERVISE_H

#include <sys/types.h>

#include "base/base.h"
#include "sched/restart.h"

/* The engine's view of its supervisor. */
struct weir_supervised {
    pid_t supervisor_pid;
    uint32_t restart_cnt; /* before this engine */
    void *shared; /* memory of both processes */
};

struct weir_supervise_conf {
    const char *job; /* what it is called in messages */
    struct weir_restart_conf restart;
};

/* weir_supervise - become a supervisor with an engine below it. Returns in both processes.
 *
 * Shape:   before any thread is made and any file is opened that the engine should not share.
 * Returns: in each engine 0 with ret_self->supervisor_pid set; in the supervisor, after the last
 *          engine, its exit code (128 + n for signal n) with supervisor_pid 0.
 * Errors:  those of weir_restart_init; what the system says to fork() and mmap().
 */
WEIR_MUST_USE int
weir_supervise(const struct weir_supervise_conf *conf, struct weir_supervised *ret_self);
/* weir_supervised_ends - the engine: somebody has asked the job to end, it is not to come again. */
void weir_supervised_ends(const struct weir_supervised *self);

#endif
