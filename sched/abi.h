/* SPDX-License-Identifier: Apache-2.0 */
/* abi.h: the mark that every job carries: which version of the job interface it was built for.
 *
 * weir.h includes it, so each unit of a job has the mark; being weak, one remains. It is read from
 * the file before any of the job's code runs (sched/jobfile.h).
 */
#ifndef WEIR_SCHED_ABI_H
#define WEIR_SCHED_ABI_H

#include "base/base.h"

/* Raised by every change that a job built before would not survive: headers with inline functions
 * and struct layouts count. */
#define WEIR_JOB_ABI 8

#ifndef WEIR_SCHED_ABI_NO_MARK
WEIR_C_BEGIN
extern const uint32_t weir_job_abi __attribute__((weak, visibility("default")));
const uint32_t weir_job_abi = WEIR_JOB_ABI;
WEIR_C_END
#endif

#endif
