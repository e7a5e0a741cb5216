/* SPDX-License-Identifier: Apache-2.0 */
/* job_run.c: who polls a job's tasks, until all have ended. */
#include "base/check.h"
#include "base/clock.h"
#include "base/rng.h"
#include "io/io.h"
#include "sched/job_part.h"

/* Operator steps a task may do in one poll. */
#define STEP_CNT 16
/* Polls of each task without work after which all of them are taken to be idle. */
#define IDLE_POLLS 8

static bool
ended(const struct weir_task *task)
{
    enum weir_task_state state = weir_task_state(task);
    return state == WEIR_TASK_FINISHED || state == WEIR_TASK_CANCELED || state == WEIR_TASK_FAILED;
}

void
weir_job_wake(struct weir_job *job, uint32_t from, uint32_t to)
{
    (void)job;
    (void)from;
    (void)to;
}

/* The first failure in the order of stages; canceled tasks have no cause of their own. */
static int
job_error(struct weir_job *job)
{
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        struct weir_task *task = job->stage[s].task;
        if (weir_task_state(task) == WEIR_TASK_FAILED) {
            return weir_err_push(
                weir_task_error(task), "task %s: %s", weir_task_name(task), weir_task_cause(task));
        }
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        if (weir_task_state(job->stage[s].task) == WEIR_TASK_CANCELED) {
            return weir_err_push(WEIR_ECANCELED, "job %s", weir_env_job_name(job->env));
        }
    }
    return 0;
}

/* One thread polls the tasks in an order drawn from the seed. */
static int
run_seeded(struct weir_job *job)
{
    struct weir_rng rng;
    struct weir_io *io = job->core[0].io;
    uint32_t cnt = job->plan->stage_cnt;
    uint32_t open_cnt = cnt;
    int64_t now_ns = 0;
    weir_rng_init(&rng, job->options.seed);
    int rc = weir_io_start(io);
    if (rc != 0) {
        return rc;
    }
    bool *is_ended = weir_env_alloc(job->env, cnt);
    uint32_t idle_cnt = 0;
    while (open_cnt > 0) {
        uint32_t s = (uint32_t)weir_rng_below(&rng, cnt);
        struct weir_task *task = job->stage[s].task;
        now_ns += (int64_t)weir_rng_below(&rng, WEIR_US);
        (void)weir_io_poll(io, now_ns);
        enum weir_task_poll did =
            weir_task_poll(task, 1 + (uint32_t)weir_rng_below(&rng, STEP_CNT), now_ns);
        if (!is_ended[s] && ended(task)) {
            is_ended[s] = true;
            open_cnt--;
            if (weir_task_state(task) == WEIR_TASK_FAILED) {
                weir_job_request(job, WEIR_TASK_REQUEST_CANCEL);
            }
        }
        idle_cnt = did == WEIR_POLL_BUSY ? 0 : idle_cnt + 1;
        /* Nothing runs: either the outside is awaited, or time itself, which is simulated. */
        if (idle_cnt > IDLE_POLLS * cnt) {
            if (weir_io_flying_cnt(io) > 0) {
                weir_io_wait(io, WEIR_MS, -1);
            }
            now_ns += WEIR_MS;
            idle_cnt = 0;
        }
    }
    return job_error(job);
}

int
weir_job_run(struct weir_job *job)
{
    return run_seeded(job);
}
