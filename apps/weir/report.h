/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: what a run did, as JSON (keys: docs/report.md) and as lines for a person. */
#ifndef WEIR_APPS_WEIR_REPORT_H
#define WEIR_APPS_WEIR_REPORT_H

#include "apps/weir/job.h"

struct weir_run_result {
    const struct weir_job *job;
    const struct weir_launch *launch;
    int64_t wall_ns;
    int err; /* of the job, 0: finished */
    const char *why; /* its cause, "" where it finished */
    enum weir_task_request asked; /* by signals or control; NONE: it came to its own end */
};

/* weir_report_check - whether path ("-": stdout; NULL: none is wanted) could be written now, before
 * the run. Errors: as weir_report_write. */
WEIR_MUST_USE int weir_report_check(const char *path);
/* weir_report_write - write the document to path ("-": stdout). Errors: WEIR_EIO and the like. */
WEIR_MUST_USE int weir_report_write(const struct weir_run_result *result, const char *path);
/* weir_report_restored, weir_report_vertices, weir_report_cores - the parts of the document that
 * are true of a running job too; any thread. Owner: the lists are the caller's. */
json_t *weir_report_restored(const struct weir_job *job);
json_t *weir_report_vertices(const struct weir_job *job);
json_t *weir_report_cores(const struct weir_job *job, const struct weir_plan *plan);
json_t *weir_report_checkpoint(const struct weir_job_checkpoint_record *record);
/* weir_report_print - a few lines to stderr. */
void weir_report_print(const struct weir_run_result *result);

#endif
