/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c: `weir validate`: is the configuration good, and the job's graph; nothing is
 * started. */
#include <stdio.h>

#include "apps/weir/configure.h"
#include "apps/weir/job.h"
#include "apps/weir/verbs.h"
#include "base/err.h"

static void
print_valid(const struct weir_args *args, const char *what)
{
    if (weir_cli_has(args, "json")) {
        weir_cli_print_json(json_pack("{s:s, s:b}", "what", what, "valid", 1));
    } else {
        (void)printf("%s is valid\n", what);
    }
}

static int
validate_run(const struct weir_args *args)
{
    if (args->arg_cnt == 0) {
        struct weir_conf *conf = NULL;
        int err = weir_configure(args, NULL, &conf);
        if (err == 0) {
            print_valid(args, "the configuration");
        }
        weir_conf_close(conf);
        return err;
    }
    struct weir_job_arg job = {.conf = NULL};
    int err = weir_job_arg_open(args, NULL, &job);
    if (err == 0) {
        print_valid(args, weir_launch_name(job.launch));
    }
    weir_job_arg_close(&job);
    return err;
}

static const struct weir_flag validate_flags[] = {
    WEIR_CONFIGURE_FLAGS,
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_validate = {
    .name = "validate",
    .args = "[JOB]",
    .text =
        "check the configuration, and the job's parameters and graph, without starting anything",
    .examples = "weir validate                          # the configuration alone\n"
                "weir validate nexmark -p query=q1\n"
                "weir validate ./job.so -f weir.yaml\n",
    .notes = WEIR_CONFIGURE_NOTES,
    .flags = validate_flags,
    .flag_cnt = WEIR_ARRAY_CNT(validate_flags),
    .arg_cnt_max = 1,
    .run = validate_run,
    .help_more = weir_job_arg_help,
};
