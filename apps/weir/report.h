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
    bool stopped; /* by a signal */
};

/* weir_report_write - write the document to path ("-": stdout). Errors: WEIR_EIO and the like. */
WEIR_MUST_USE int weir_report_write(const struct weir_run_result *result, const char *path);
/* weir_report_print - a few lines to stderr. */
void weir_report_print(const struct weir_run_result *result);

#endif
