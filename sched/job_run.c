/* SPDX-License-Identifier: Apache-2.0 */
/* job_run.c: who polls a job's tasks, until all have ended. */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/stack.h"
#include "io/io.h"
#include "sched/job_checkpoint.h"
#include "sched/job_part.h"
#include "sched/poller.h"
#include "sched/departure.h"

/* Operator steps a task may do in one poll of the seeded poller. */
#define STEP_CNT 16
/* How often the host is looked at while the job runs. */
#define WATCH_NS WEIR_SEC_NS

struct job_run {
    struct weir_clock clock;
    struct weir_core **cores; /* by plan core */
    uint32_t core_cnt;
    uint32_t started_cnt;
    sem_t left; /* posted by each core that has ended */
    struct weir_departures departures;
    struct job_watch watch;
};

void
weir_job_wake(struct weir_job *job, uint32_t from, uint32_t to)
{
    if (job->run != NULL) {
        weir_core_mark(job->run->cores[from], to);
    }
}

void
weir_job_wake_all(struct weir_job *job)
{
    for (uint32_t c = 0; job->run != NULL && c < job->run->core_cnt; c++) {
        weir_core_wake(job->run->cores[c]);
    }
}

void
weir_job_wake_stage(struct weir_job *job, uint32_t stage)
{
    if (job->run != NULL) {
        weir_core_wake(job->run->cores[job->plan->stages[stage].core]);
    }
}

const struct weir_clock *
weir_job_clock(const struct weir_job *job)
{
    return job->run != NULL ? &job->run->clock : NULL;
}

void
weir_job_pin_keeper(const struct weir_job *job)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (int cpu = weir_cpuset_next(&job->plan->housekeeping, 0); cpu >= 0;
         cpu = weir_cpuset_next(&job->plan->housekeeping, (uint32_t)cpu + 1)) {
        CPU_SET((size_t)cpu, &cpus);
    }
    if (CPU_COUNT(&cpus) > 0) {
        (void)sched_setaffinity(0, sizeof cpus, &cpus); /* refused: where the process may run */
    }
}

static bool
poll_checkpoints(void *arg, int64_t now_ns)
{
    struct weir_job *job = (struct weir_job *)arg;
    return weir_job_checkpoint_poll(job->checkpoint, now_ns);
}

static int64_t
checkpoints_due_ns(void *arg)
{
    return weir_job_checkpoint_due_ns(((struct weir_job *)arg)->checkpoint);
}

static bool
checkpoints_are_over(void *arg)
{
    return weir_job_checkpoint_is_over(((struct weir_job *)arg)->checkpoint);
}

/* One thread polls the tasks in an order drawn from the seed. */
static int
run_seeded(struct weir_job *job)
{
    struct weir_task **tasks = weir_env_alloc(job->env, job->plan->stage_cnt * sizeof(void *));
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        tasks[s] = job->stage[s].task;
    }
    const struct weir_poller_side side = {
        .poll_fn = poll_checkpoints,
        .due_fn = checkpoints_due_ns,
        .is_over_fn = checkpoints_are_over,
        .io = job->checkpoint != NULL ? weir_job_checkpoint_io(job->checkpoint) : NULL,
    };
    const struct weir_job_world *world = job->options.world;
    struct weir_poller_conf conf = {
        .seed = job->options.seed,
        .tasks = tasks,
        .task_cnt = job->plan->stage_cnt,
        .io = job->core[0].io,
        .step_cnt_max = STEP_CNT,
        .arg = job,
        .side = job->checkpoint != NULL ? &side : NULL,
        .seen_fn = world != NULL ? world->seen_fn : NULL,
        .seen_arg = world != NULL ? world->seen_arg : NULL,
    };
    int rc = weir_io_start(job->core[0].io);
    if (rc == 0 && job->checkpoint != NULL) {
        rc = weir_job_checkpoint_begin(job->checkpoint, world != NULL ? world->start_ns : 0);
    }
    rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_RESTORE, 0);
    if (rc == 0 && world != NULL) {
        conf.start_ns = weir_max_i64(world->start_ns, weir_io_clock_ns(job->core[0].io));
    }
    if (rc == 0) {
        rc = weir_poller_run(&conf);
    }
    return rc != 0 ? rc : weir_job_error(job);
}

static void
core_left(void *arg)
{
    struct weir_job *job = (struct weir_job *)arg;
    (void)sem_post(&job->run->left);
}

/* Cores that feed stages of core c, each once; those whose sleep ends when c has made room. */
static uint32_t
list_upstream(struct weir_job *job, uint32_t c, uint32_t *ret_cores)
{
    const struct weir_plan *plan = job->plan;
    bool *fed = weir_env_alloc(job->env, plan->core_cnt);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < plan->channel_cnt; i++) {
        uint32_t from = plan->stages[plan->channels[i].from_stage].core;
        uint32_t to = plan->stages[plan->channels[i].to_stage].core;
        if (to == c && from != c && !fed[from]) {
            fed[from] = true;
            ret_cores[cnt] = from;
            cnt++;
        }
    }
    return cnt;
}

static bool
has_source(const struct weir_plan *plan, uint32_t c)
{
    for (uint32_t i = 0; i < plan->cores[c].stage_cnt; i++) {
        const struct weir_plan_stage *stage = &plan->stages[plan->cores[c].stages[i]];
        for (uint32_t k = 0; k < stage->operator_cnt; k++) {
            if (plan->graph->operators[stage->operators[k]].kind == WEIR_PLAN_SOURCE) {
                return true;
            }
        }
    }
    return false;
}

static int
open_core(struct weir_job *job, uint32_t c)
{
    const struct weir_plan_core *planned = &job->plan->cores[c];
    uint32_t *upstream = weir_env_alloc(job->env, job->plan->core_cnt * sizeof *upstream);
    struct weir_task **tasks =
        weir_env_alloc(job->env, (planned->stage_cnt + 1) * sizeof(struct weir_task *));
    for (uint32_t i = 0; i < planned->stage_cnt; i++) {
        tasks[i] = job->stage[planned->stages[i]].task;
    }
    const struct weir_core_conf conf = {
        .idx = c,
        .core_cnt = job->plan->core_cnt,
        .cpu = planned->cpu,
        .idle = planned->idle,
        .io = job->core[c].io,
        .clock = &job->run->clock,
        .tasks = tasks,
        .task_cnt = planned->stage_cnt,
        .upstream = upstream,
        .upstream_cnt = list_upstream(job, c, upstream),
        .has_source = has_source(job->plan, c),
        .left_fn = core_left,
        .arg = job,
    };
    return weir_core_new(&conf, &job->run->cores[c]);
}

static void
wake_core(void *arg)
{
    weir_core_wake((struct weir_core *)arg);
}

int
weir_job_open_run(struct weir_job *job)
{
    if (job->options.poller == WEIR_JOB_SEEDED) {
        return 0;
    }
    struct job_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the cores of job %s", weir_env_job_name(job->env));
    }
    (void)sem_init(&run->left, 0, 0);
    weir_clock_init_real(&run->clock);
    run->cores = weir_env_alloc(job->env, job->plan->core_cnt * sizeof(struct weir_core *));
    run->watch.watched = weir_env_alloc(job->env, job->plan->core_cnt * sizeof *run->watch.watched);
    job->run = run;
    int rc = weir_stack_open();
    for (uint32_t c = 0; c < job->plan->core_cnt && rc == 0; c++) {
        rc = open_core(job, c);
        run->core_cnt += rc == 0;
    }
    for (uint32_t c = 0; c < run->core_cnt; c++) {
        weir_core_meet(run->cores[c], run->cores);
    }
    run->watch.cores = run->cores;
    run->watch.core_cnt = run->core_cnt;
    for (uint32_t s = 0; s < job->plan->stage_cnt && rc == 0; s++) {
        weir_task_set_wake(job->stage[s].task, wake_core, run->cores[job->plan->stages[s].core]);
    }
    return rc;
}

void
weir_job_close_run(struct weir_job *job)
{
    if (job->run == NULL) {
        return;
    }
    for (uint32_t c = 0; c < job->run->core_cnt; c++) {
        weir_core_delete(job->run->cores[c]);
    }
    (void)sem_destroy(&job->run->left);
    free(job->run);
    job->run = NULL;
}

static void
look_around(struct weir_job *job)
{
    struct job_run *run = job->run;
    weir_job_buffers_share(job);
    weir_departure_steal(&run->departures, run->cores, run->core_cnt);
    for (uint32_t c = 0; c < run->core_cnt; c++) {
        weir_departure_core(&run->departures, run->cores[c]);
    }
    weir_departure_region(&run->departures, job->region, "of channels");
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        if (job->stage[s].state != NULL) {
            weir_departure_region(&run->departures, job->stage[s].state, job->plan->stages[s].name);
        }
    }
}

/* Until every started core has left; meanwhile see whether the host keeps to the plan, and who does
 * not come back. */
static void
wait_for_cores(struct weir_job *job)
{
    struct job_run *run = job->run;
    int64_t look_ns = weir_clock_ns(&run->clock) + WATCH_NS;
    for (uint32_t left = 0; left < run->started_cnt;) {
        int64_t due_ns = weir_min_i64(weir_job_watch(job, &run->watch, &run->clock), look_ns);
        int64_t now_ns = weir_clock_ns(&run->clock);
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        int64_t until_ns = until.tv_nsec + weir_max_i64(due_ns - now_ns, 0);
        until.tv_sec += until_ns / WEIR_SEC_NS;
        until.tv_nsec = until_ns % WEIR_SEC_NS;
        if (sem_timedwait(&run->left, &until) == 0) {
            left++;
        } else if (errno == ETIMEDOUT && due_ns == look_ns) {
            look_around(job);
            look_ns = due_ns + WATCH_NS;
        }
    }
    for (uint32_t c = 0; c < job->run->started_cnt; c++) {
        weir_core_join(job->run->cores[c]);
    }
}

static int
run_threads(struct weir_job *job)
{
    struct job_run *run = job->run;
    int rc = job->checkpoint != NULL ? weir_job_checkpoint_start(job->checkpoint) : 0;
    rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_RESTORE, 0);
    for (uint32_t c = 0; c < run->core_cnt && rc == 0; c++) {
        rc = weir_core_start(run->cores[c]);
        run->started_cnt += rc == 0;
        rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_THREADS, c);
    }
    if (rc != 0) {
        weir_job_request(job, WEIR_TASK_REQUEST_CANCEL);
    } else {
        look_around(job); /* a job shorter than the interval is looked at once, too */
    }
    wait_for_cores(job);
    if (job->checkpoint != NULL) {
        weir_job_checkpoint_join(job->checkpoint);
    }
    return rc != 0 ? rc : weir_job_error(job);
}

int
weir_job_run(struct weir_job *job)
{
    if (job->checkpoint == NULL) { /* else when it has its directory of checkpoints */
        weir_job_spill_tidy(job, true);
    }
    return job->run == NULL ? run_seeded(job) : run_threads(job);
}

bool
weir_job_core_times(const struct weir_job *job, uint32_t core, struct weir_core_times *ret_times)
{
    if (job->run == NULL || core >= job->run->core_cnt) {
        return false;
    }
    weir_core_times(job->run->cores[core], ret_times);
    return true;
}

bool
weir_job_task_times(const struct weir_job *job, uint32_t stage, struct weir_counter_set *ret_set)
{
    uint32_t c = job->plan->stages[stage].core;
    if (job->run == NULL || c >= job->run->core_cnt) {
        return false;
    }
    const struct weir_plan_core *planned = &job->plan->cores[c];
    uint32_t idx = 0;
    while (planned->stages[idx] != stage) {
        idx++;
    }
    *ret_set = weir_core_task_set(job->run->cores[c], idx);
    return true;
}

bool
weir_job_core_look(const struct weir_job *job, uint32_t core, struct weir_job_core_look *ret_look)
{
    if (job->run == NULL || core >= job->run->core_cnt) {
        return false;
    }
    const struct weir_core *at = job->run->cores[core];
    uint32_t polled = weir_core_polled(at);
    *ret_look = (struct weir_job_core_look){
        .silent_ns = weir_clock_ns(&job->run->clock) - weir_core_shown_ns(at),
        .stage = polled < job->plan->cores[core].stage_cnt ? job->plan->cores[core].stages[polled]
                                                           : UINT32_MAX,
        .tid = weir_core_tid(at),
    };
    return true;
}

int64_t
weir_job_core_gap_ns(const struct weir_job *job, uint32_t core)
{
    return job->run != NULL && core < job->run->core_cnt
               ? weir_core_poll_gap_ns(job->run->cores[core])
               : 0;
}

int64_t
weir_job_poll_gap_ns(const struct weir_job *job)
{
    int64_t gap_ns = 0;
    for (uint32_t c = 0; job->run != NULL && c < job->run->core_cnt; c++) {
        gap_ns = weir_max_i64(gap_ns, weir_core_poll_gap_ns(job->run->cores[c]));
    }
    return gap_ns;
}

const char *
weir_job_departure_at(const struct weir_job *job, uint32_t idx, uint32_t *ret_seen_cnt)
{
    if (job->run == NULL || idx >= job->run->departures.cnt) {
        return NULL;
    }
    *ret_seen_cnt = job->run->departures.list[idx].seen_cnt;
    return job->run->departures.list[idx].text;
}
