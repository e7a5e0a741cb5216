/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: `weir plan`: what would run where, why, and with how much memory. */
#include <errno.h>
#include <stdio.h>

#include "apps/weir/configure.h"
#include "apps/weir/job.h"
#include "apps/weir/verbs.h"
#include "base/err.h"

static int
write_svg(const struct weir_plan *plan, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        int err = weir_err_errno(errno, "the picture %s", path);
        return err == WEIR_ENOINPUT ? WEIR_EIO : err; /* a directory that is not there */
    }
    int err = weir_plan_svg(plan, file);
    if (fclose(file) != 0 && err == 0) {
        err = weir_err_errno(errno, "the picture %s", path);
    }
    return err;
}

static int
plan_run(const struct weir_args *args)
{
    struct weir_job_arg job = {.conf = NULL};
    const char *svg = weir_cli_value(args, "svg");
    int err = weir_job_arg_open(args, weir_cli_value(args, "topology"), &job);
    if (err == 0) {
        err = weir_launch_plan(job.launch, WEIR_LAUNCH_SHOW);
    }
    if (err == 0) {
        const struct weir_plan *plan = weir_launch_plan_of(job.launch);
        err = weir_cli_has(args, "json") ? weir_plan_json(plan, stdout)
                                         : weir_plan_print(plan, stdout);
        if (err == 0 && svg != NULL) {
            err = write_svg(plan, svg);
        }
    }
    weir_job_arg_close(&job);
    return err;
}

static const struct weir_flag plan_flags[] = {
    WEIR_CONFIGURE_FLAGS,
    {"topology", 0, "FILE", "plan for a host that hwloc recorded (lstopo FILE.xml)"},
    {"svg", 0, "FILE", "draw cores, caches, nodes, stages and edges into a picture"},
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_plan = {
    .name = "plan",
    .args = "JOB",
    .text = "say what a run would place where, why, and with how much memory",
    .examples = "weir plan nexmark -p query=q1\n"
                "weir plan nexmark -p query=q1 --set placement.cut=all --svg plan.svg\n"
                "weir plan ./job.so -f weir.yaml --json\n",
    .notes = WEIR_CONFIGURE_NOTES,
    .flags = plan_flags,
    .flag_cnt = WEIR_ARRAY_CNT(plan_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = plan_run,
    .help_more = weir_job_arg_help,
};
