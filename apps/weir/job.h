/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: the JOB argument of run, plan and validate: a path to a .so, a
 * pipeline in YAML, or a name in the plug-in directory. */
#ifndef WEIR_APPS_WEIR_JOB_H
#define WEIR_APPS_WEIR_JOB_H

#include "apps/weir/cli.h"
#include "sched/launch.h"

#define WEIR_JOB_NAME_BYTES 65

/* A job with its configuration; zeroed at first. */
struct weir_job_arg {
    struct weir_conf *conf;
    struct weir_jobfile *file; /* one of the two */
    struct weir_pipeline *pipeline;
    struct weir_launch *launch;
    char name[WEIR_JOB_NAME_BYTES];
};

/* weir_job_arg_configure - the configuration alone, for who needs it before the rest; the job's
 * open then keeps it. Errors: those of weir_configure. */
WEIR_MUST_USE int weir_job_arg_configure(const struct weir_args *args, struct weir_job_arg *job);

/* weir_job_arg_open - configuration, job file and graph of args->arg[0].
 *
 * Shape:  job is zeroed, or configured. topology_xml NULL: this host. Errors: those of
 *         weir_configure, weir_jobfile_open and weir_launch_open; WEIR_ENOINPUT for a name that no
 *         directory has. Close it also then.
 */
WEIR_MUST_USE int
weir_job_arg_open(const struct weir_args *args, const char *topology_xml, struct weir_job_arg *job);
void weir_job_arg_close(struct weir_job_arg *job);

/* weir_job_arg_help - the parameters of args->arg[0]: what `weir run JOB -h` prints. */
int weir_job_arg_help(const struct weir_args *args);

#endif
