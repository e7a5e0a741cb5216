/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: the thread beside a running job: signals, the control socket (control.h), and the
 * progress line on a terminal.
 *
 * From open on, TERM, INT and USR1 are blocked in the caller and in every thread it makes; the
 * watch alone takes them. The first TERM or INT stops the sources, the second cancels; USR1 prints
 * a page about cores, tasks and operators (dump.h).
 */
#ifndef WEIR_APPS_WEIR_WATCH_H
#define WEIR_APPS_WEIR_WATCH_H

#include "apps/weir/supervise.h"
#include "apps/weir/control.h"
#include "sched/job.h"
#include "sched/launch.h"

struct weir_watch;

struct weir_watch_conf {
    struct weir_job *job;
    const struct weir_launch *launch; /* of the job; it holds the job's lease */
    int64_t progress_ns; /* between two progress lines on a terminal; 0: none */
    const struct weir_supervised *supervised; /* NULL: nobody starts the job again */
    uint16_t metrics_port; /* as in struct weir_control_conf */
};

/* How the job was asked to end. */
struct weir_watch_end {
    uint32_t interrupt_cnt; /* TERM and INT */
    enum weir_task_request asked; /* the strongest, by signals and by control; NONE */
    char savepoint[WEIR_CONTROL_PATH_BYTES]; /* where to save the job now; "": nowhere */
};

/* Rows that sources have emitted and sinks have taken. */
struct weir_watch_totals {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
};

/* weir_watch_block - block the signals; to be called before any thread is made.
 *
 * From here on a mapped page that is gone (WEIR_ECUT) ends the process with a message.
 * Until the watch starts, the first TERM or INT is kept for it and the second ends the process, so
 * that nobody waits for a file or a graph that does not come.
 * Under a supervisor (its pid, else 0) only those that it sends count as a first and a second one;
 * others stop the job once (supervise.h).
 */
WEIR_MUST_USE int weir_watch_block(pid_t supervisor_pid);
/* weir_watch_hand_over - end that, where no watch starts; how often TERM or INT came. */
uint32_t weir_watch_hand_over(void);
/* weir_watch_start - begin; conf's parts outlive the watch. From here on the job can be asked.
 * Errors: those of weir_control_open. */
WEIR_MUST_USE int
weir_watch_start(const struct weir_watch_conf *conf, struct weir_watch **ret_watch);
/* weir_watch_stop - end it, and the control socket with it. Takes NULL. */
struct weir_watch_end weir_watch_stop(struct weir_watch *watch);

struct weir_watch_totals
weir_watch_totals(const struct weir_job *job, const struct weir_plan *plan);

#endif
