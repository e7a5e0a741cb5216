/* SPDX-License-Identifier: Apache-2.0 */
/* weir.h: the one header that a job or an embedding program includes.
 *
 * A job is a shared object with one function, and a table where it takes parameters:
 *
 *     const struct weir_opt weir_job_params[] = {
 *         {"limit", WEIR_OPT_INT, WEIR_OPT_ANY, "", 0, 1000, "10", "", "greatest that passes"},
 *         {.name = NULL},
 *     };
 *     int weir_job_main(struct weir_env *env) { ... return weir_env_check(env); }
 *
 * docs/jobs.md leads through one; the headers below say what each call does.
 */
#ifndef WEIR_SCHED_WEIR_H
#define WEIR_SCHED_WEIR_H

#include "base/err.h"
#include "base/opt.h"
#include "dataplane/function.h"
#include "sched/abi.h"
#include "sched/changes.h"
#include "sched/graph.h"
#include "sched/keyed.h"
#include "sched/outside.h"
#include "sched/table.h"

WEIR_C_BEGIN
/* weir_job_main - build the graph. 0, or what weir_env_check() said. */
WEIR_API int weir_job_main(struct weir_env *env);
/* The job's parameters; the table ends with a row without a name. */
WEIR_API extern const struct weir_opt weir_job_params[];
/* Lines "command  # what it does" that the help of the job begins with; may be left out. */
WEIR_API extern const char weir_job_examples[];
WEIR_C_END

#endif
