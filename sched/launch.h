/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h: from a configuration and a job's code to a plan on this host, and to a job that runs.
 *
 *     configuration + job file  ->  weir_launch_open   the graph, parameters given, checked
 *                               ->  weir_launch_plan   the plan, on the cores and memory there are
 *                               ->  weir_launch_job    the job, its cores held against others
 *
 * weir validate stops after the first step, weir plan after the second, weir run goes on.
 *
 * Thread: one. Owner: the configuration and the job file outlive the launch; graph, plan and
 *         topology are the launch's, the job is the caller's and goes first.
 */
#ifndef WEIR_SCHED_LAUNCH_H
#define WEIR_SCHED_LAUNCH_H

#include "base/cgroup.h"
#include "sched/conf.h"
#include "sched/job.h"
#include "sched/jobfile.h"
#include "sched/pipeline.h"

struct weir_launch;

struct weir_launch_options {
    const struct weir_conf *conf;
    const struct weir_jobfile *file; /* the job's code, or */
    const struct weir_pipeline *pipeline; /* the job in YAML */
    const char *name; /* the job's name until the job or job.name gives a better one */
    const char *topology_xml; /* a recorded host to plan for, NULL: this one */
};

/* weir_launch_open - build and check the job's graph.
 *
 * Errors: WEIR_ECONFIG for a parameter that the job does not take, with its place and the nearest;
 *         WEIR_EGRAPH; what the job's own code gives.
 */
WEIR_API WEIR_MUST_USE int
weir_launch_open(const struct weir_launch_options *options, struct weir_launch **ret_launch);
WEIR_API void weir_launch_close(struct weir_launch *launch);

enum weir_launch_use {
    WEIR_LAUNCH_SHOW, /* cores of others are only looked at */
    WEIR_LAUNCH_RUN, /* the name and the cores are taken: WEIR_ERUNNING where a job of it runs */
    /* The job is made and does not run, beside others that do, of its name too: it takes neither
     * name nor cores, and of memory what it writes to. */
    WEIR_LAUNCH_SAVE,
};

/* weir_launch_plan - plan it. Errors: those of weir_plan_make. */
WEIR_API WEIR_MUST_USE int weir_launch_plan(struct weir_launch *launch, enum weir_launch_use use);
/* weir_launch_job - carve and wire the planned job. Errors: those of weir_job_new. */
WEIR_API WEIR_MUST_USE int weir_launch_job(struct weir_launch *launch, struct weir_job **ret_job);
/* weir_launch_restore - what the job is to start from, before weir_launch_job; else from
 * nothing. */
WEIR_API void
weir_launch_restore(struct weir_launch *launch, const struct weir_job_restore_options *options);

/* weir_launch_memory - where checkpoints are under checkpoints.storage=memory, before
 * weir_launch_job; borrowed until the job is deleted. */
WEIR_API void weir_launch_memory(struct weir_launch *launch, const char *dir);

/* weir_launch_name - the job's name: of job.name, else of the job. */
WEIR_API const char *weir_launch_name(const struct weir_launch *launch);
/* weir_launch_savepoint_dir - checkpoints.savepoint_dir; "": it is not set. */
WEIR_API const char *weir_launch_savepoint_dir(const struct weir_launch *launch);
/* weir_launch_bad_line - as weir_env_bad_line. */
WEIR_API const char *weir_launch_bad_line(const struct weir_launch *launch, uint32_t idx);
/* weir_launch_note - what the plan could not have, in words; NULL: nothing. */
WEIR_API const char *weir_launch_note(const struct weir_launch *launch);
/* weir_launch_plan_of - the plan, NULL before weir_launch_plan. */
WEIR_API const struct weir_plan *weir_launch_plan_of(const struct weir_launch *launch);
WEIR_API const struct weir_cgroup *weir_launch_cgroup(const struct weir_launch *launch);

#endif
