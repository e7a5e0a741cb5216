/* SPDX-License-Identifier: Apache-2.0 */
/* job_state.c: what tasks have told of their states, what the job makes of it, and what it asks of
 * them. */
#include <stdio.h>

#include "sched/job_checkpoint.h"
#include "sched/job_part.h"

#define BUDGET_TEXT 512
#define WHO_BYTES 256

static const char *const step_names[WEIR_JOB_STEP_CNT] = {
#define X(id, name) name,
    WEIR_JOB_STEP_TABLE(X)
#undef X
};

const char *
weir_job_step_name(enum weir_job_step step)
{
    return step < WEIR_JOB_STEP_CNT ? step_names[step] : "unknown";
}

int64_t
weir_job_step_ns(const struct weir_job *job, enum weir_job_step step)
{
    return weir_load_rlx(&job->step_ns[step]); /* relaxed: a figure for people */
}

int
weir_job_step(struct weir_job *job, enum weir_job_step step, uint32_t stage)
{
    if (job->options.world == NULL) {
        /* relaxed: figures for people; of stages that are at it together, one of the last stays. */
        weir_store_rlx(&job->step_ns[step], weir_clock_ns_cold(&job->start_clock) - job->start_ns);
    }
    return job->options.step_fn != NULL ? job->options.step_fn(job->options.step_arg, step, stage)
                                        : 0;
}

/* A task that has failed, or says that it is not wanted any more, ends the job. */
int
weir_job_told(void *arg, struct weir_task *task, enum weir_task_state state)
{
    struct job_stage *stage = arg;
    struct weir_job *job = stage->job;
    uint32_t none = 0;
    if (!weir_task_has_ended(state)) {
        return weir_job_step(
            job, state == WEIR_TASK_RUNNING ? WEIR_JOB_STEP_RUN : WEIR_JOB_STEP_OPEN, stage->idx);
    }
    if (job->checkpoint != NULL) {
        weir_job_checkpoint_ended(job->checkpoint, stage->idx, state);
    }
    if (state == WEIR_TASK_FINISHED) {
        return 0;
    }
    if (state == WEIR_TASK_FAILED) {
        /* relaxed: read when all tasks have ended. The first one in time is the job's cause. */
        (void)weir_cas_rlx(&job->failed, &none, stage->idx + 1);
    }
    (void)task;
    weir_job_request(job, WEIR_TASK_REQUEST_CANCEL);
    return 0;
}

static int
task_error(struct weir_job *job, struct weir_task *task)
{
    const struct weir_cause *cause = weir_task_failure(task);
    char who[WHO_BYTES];
    if (cause->error == WEIR_EBUDGET) {
        char split[BUDGET_TEXT];
        (void)weir_err_push(WEIR_EBUDGET, "%s", weir_plan_budget(job->plan, split, sizeof split));
    }
    (void)snprintf(who, sizeof who, "task %s", weir_task_name(task));
    return weir_cause_push(cause, who);
}

/* Canceled tasks have no cause of their own. */
int
weir_job_error(struct weir_job *job)
{
    uint32_t failed = weir_load_rlx(&job->failed); /* relaxed: all tasks have ended */
    if (failed != 0) {
        return task_error(job, job->stage[failed - 1].task);
    }
    int rc = job->checkpoint != NULL ? weir_job_checkpoint_error(job->checkpoint) : 0;
    for (uint32_t s = 0; s < job->plan->stage_cnt && rc == 0; s++) {
        if (weir_task_state(job->stage[s].task) == WEIR_TASK_CANCELED) {
            return weir_err_push(WEIR_ECANCELED, "job %s", weir_env_job_name(job->env));
        }
    }
    return rc;
}

void
weir_job_request_tasks(struct weir_job *job, enum weir_task_request request)
{
    if (request == WEIR_TASK_REQUEST_CANCEL) {
        weir_store_rlx(&job->is_canceled, 1); /* relaxed: it carries nothing */
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        weir_task_request(job->stage[s].task, request);
    }
    weir_job_wake_all(job);
}

/* A stop with checkpoints leaves the job as it is at one of them, so that it can go on from
 * there. */
void
weir_job_request(struct weir_job *job, enum weir_task_request request)
{
    if (job->checkpoint != NULL && request == WEIR_TASK_REQUEST_STOP) {
        weir_job_checkpoint_stop(job->checkpoint);
        return;
    }
    weir_job_request_tasks(job, request);
}
