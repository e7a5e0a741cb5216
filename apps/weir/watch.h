/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: the thread beside a running job: signals, and the progress line on a terminal.
 *
 * From open on, TERM, INT and USR1 are blocked in the caller and in every thread it makes; the
 * watch alone takes them. The first TERM or INT stops the sources, the second cancels; USR1 prints
 * the counters of every operator.
 */
#ifndef WEIR_APPS_WEIR_WATCH_H
#define WEIR_APPS_WEIR_WATCH_H

#include "sched/job.h"

struct weir_watch;

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
 */
WEIR_MUST_USE int weir_watch_block(void);
/* weir_watch_hand_over - end that, where no watch starts; how often TERM or INT came. */
uint32_t weir_watch_hand_over(void);
/* weir_watch_start - begin; the job, its plan and the graph of the plan outlive the watch. On a
 * terminal there is a progress line every progress_ns; 0: none. */
WEIR_MUST_USE int weir_watch_start(struct weir_job *job, const struct weir_plan *plan,
    int64_t progress_ns, struct weir_watch **ret_watch);
/* weir_watch_stop - end it; returns how often TERM or INT came. Takes NULL. */
uint32_t weir_watch_stop(struct weir_watch *watch);

struct weir_watch_totals
weir_watch_totals(const struct weir_job *job, const struct weir_plan *plan);

#endif
