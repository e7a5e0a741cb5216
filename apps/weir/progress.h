/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h: the line that a running job keeps on a terminal.
 *
 *     12.0 s  in 5120000  out 4710400  0.43 M/s  left 8.2 s  lag 4.0 s  cpu 0 busy 31 % idle 69 %
 *
 * Rate and parts of the time: since the line before. left: where every source knows its end, by
 * how far the slowest one has come. lag: from the least watermark at the sinks to the wall clock,
 * so it says little of old input. The line is cut at the terminal's width.
 */
#ifndef WEIR_APPS_WEIR_PROGRESS_H
#define WEIR_APPS_WEIR_PROGRESS_H

#include "base/clock.h"
#include "sched/job.h"

struct weir_progress {
    struct weir_job *job;
    const struct weir_plan *plan;
    struct weir_clock clock;
    int64_t start_ns;
    int64_t at_ns; /* of the line before */
    uint64_t rows_in;
    struct weir_core_times *times; /* by core of the plan, when their parts were last told */
    char (*parts)[96]; /* of each core's time, as text */
};

/* weir_progress_open - begin now; the job and its plan outlive it. close takes a zeroed one. */
WEIR_MUST_USE int weir_progress_open(
    struct weir_progress *progress, struct weir_job *job, const struct weir_plan *plan);
void weir_progress_close(struct weir_progress *progress);
/* weir_progress_print - the line of now, over the one before, to stderr. */
void weir_progress_print(struct weir_progress *progress);
/* weir_progress_wipe - nothing in its place. */
void weir_progress_wipe(void);

#endif
