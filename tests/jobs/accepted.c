/* SPDX-License-Identifier: Apache-2.0 */
/* accepted.c: the smallest file that passes for a job, with one parameter. */
#include "base/opt.h"
#include "sched/abi.h"

struct weir_env;
WEIR_API int weir_job_main(struct weir_env *env);
WEIR_API extern const struct weir_opt weir_job_params[];

const struct weir_opt weir_job_params[] = {
    {"rows", WEIR_OPT_INT, WEIR_OPT_ANY, "rows", 1, 100, "7", "", "how many rows"},
    {.name = NULL},
};

int
weir_job_main(struct weir_env *env)
{
    return env == NULL ? 42 : 0;
}
