/* SPDX-License-Identifier: Apache-2.0 */
/* Who polls the storage core: its begin, its thread, and what others see of it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "io/io.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

/* A file is being written, whose pages may wait for nothing but a look. */
#define LOOK_NS (200 * WEIR_US)
#define SLEEP_NS_MAX (500 * WEIR_MS)
/* Behind a restore the first checkpoint comes after this part of the interval: what it shows has
 * waited since the end of the last run. */
#define RESTORED_DIV 10

/* ---- the start ---- */

/* Which checkpoint is the truth, and the state that it holds into its place. */
int
weir_job_checkpoint_start_store(struct weir_job_checkpoint *cp)
{
    cp->restore_conf = (struct weir_job_restore_conf){.dir = cp->options.dir,
        .job = cp->job->env->job_name,
        .how = cp->job->options.restore,
        .retained_cnt = cp->options.retained,
        .in_memory = cp->options.task_bytes_max != 0,
        .strict = cp->job->options.strict};
    int rc = weir_job_restore_start(cp->io, &cp->restore_conf, &cp->restore);
    if (rc != 0) {
        return rc;
    }
    cp->store = weir_job_restore_store(cp->restore);
    if (cp->store != NULL && weir_store_warning(cp->store)[0] != '\0') {
        weir_log(WEIR_LOG_WARNING, 0, "%s", weir_store_warning(cp->store));
    }
    if (cp->store != NULL) {
        weir_job_spill_tidy(cp->job, true);
    }
    return weir_job_restore_load(cp->restore, cp->job);
}

static int
make_coordinator(struct weir_job_checkpoint *cp)
{
    struct weir_coordinator_conf conf = cp->options.coordinator;
    bool *task_commits = calloc(cp->stage_cnt + 1, sizeof *task_commits);
    if (task_commits == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the coordinator of checkpoints");
    }
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        task_commits[s] = cp->stage[s].commits;
    }
    conf.job = weir_store_job(cp->store);
    conf.epoch = weir_store_epoch(cp->store);
    conf.id_last = weir_store_checkpoint_next(cp->store) - 1;
    conf.is_savepoint_queued = true;
    if (weir_job_restore_manifest(cp->restore) != NULL) {
        conf.first_ns = weir_max_i64(conf.interval_ns / RESTORED_DIV, conf.pause_ns);
    }
    conf.has_no_counts = cp->options.is_tracked;
    conf.task_cnt = cp->stage_cnt;
    conf.task_commits = task_commits;
    conf.channel_cnt = cp->job->plan->channel_cnt;
    conf.channel = cp->channel;
    int rc = weir_coordinator_new(&conf, &cp->coordinator);
    free(task_commits);
    return rc;
}

/* Whether all subtasks of an operator had ended in the restored checkpoint. */
static bool
had_ended(const struct weir_job *job, const char *uid)
{
    for (uint32_t i = 0; i < job->restore.ended_cnt; i++) {
        if (strcmp(job->restore.ended[i], uid) == 0) {
            return true;
        }
    }
    return false;
}

/* All tasks are there, and will be started now. */
static void
announce(struct weir_job_checkpoint *cp, int64_t now_ns)
{
    const struct weir_manifest *restored = weir_job_restore_manifest(cp->restore);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        const struct weir_coordinator_task task = {
            .task = s, .attempt = 1, .state = WEIR_COORDINATOR_TASK_STARTING};
        (void)weir_coordinator_task(cp->coordinator, &task, now_ns);
        weir_job_checkpoint_drain(cp);
    }
    for (uint32_t i = 0; i < cp->job->env->node_cnt; i++) {
        if (cp->sink[i] != NULL) {
            cp->sink[i]->checkpoints.epoch = weir_store_epoch(cp->store);
            cp->sink[i]->checkpoints.restored_id = restored != NULL ? restored->checkpoint : 0;
            cp->sink[i]->checkpoints.is_new = weir_job_checkpoint_is_new_output(cp, cp->sink[i]);
            cp->sink[i]->checkpoints.had_ended = had_ended(cp->job, cp->job->env->node[i].name);
        }
    }
    cp->now_ns = now_ns;
    (void)pthread_mutex_lock(&cp->look_mutex);
    cp->view.epoch = weir_store_epoch(cp->store);
    cp->view.restored = cp->job->restored;
    (void)pthread_mutex_unlock(&cp->look_mutex);
    weir_coordinator_start(cp->coordinator, now_ns);
    weir_job_checkpoint_drain(cp);
    cp->begun = true;
}

int
weir_job_checkpoint_begin(struct weir_job_checkpoint *cp, int64_t now_ns)
{
    int rc = weir_io_start(cp->io);
    rc = rc != 0 ? rc : weir_job_checkpoint_start_store(cp);
    for (uint32_t s = 0; s < cp->stage_cnt && rc == 0; s++) {
        rc = weir_job_checkpoint_slots_open(&cp->stage[s]);
        weir_job_checkpoint_slots_rest(&cp->stage[s]);
    }
    rc = rc != 0 ? rc : make_coordinator(cp);
    if (rc == 0) {
        const struct weir_clock *clock = weir_job_clock(cp->job);
        announce(cp, clock != NULL ? weir_clock_ns(clock) : now_ns); /* a restore took its time */
    }
    return rc;
}

void
weir_job_checkpoint_end(struct weir_job_checkpoint *cp)
{
    for (uint32_t s = 0; cp->store != NULL && s < cp->stage_cnt; s++) {
        weir_job_checkpoint_slots_close(&cp->stage[s]);
    }
    weir_job_checkpoint_probe_end(cp);
    weir_job_restore_close(cp->restore); /* and the store */
    cp->restore = NULL;
    cp->store = NULL;
}

/* ---- the thread ---- */

static bool
is_writing(const struct weir_job_checkpoint *cp)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        for (uint32_t i = 0; i < cp->slot_cnt; i++) {
            enum cp_slot_state state = cp->stage[s].slot[i].state;
            if (state == SLOT_WRITING || state == SLOT_ABORTING) {
                return true;
            }
        }
    }
    return false;
}

static void
sleep_once(struct weir_job_checkpoint *cp, const struct weir_clock *clock)
{
    weir_doorbell_listen(cp->doorbell);
    if (weir_job_checkpoint_poll(cp, weir_clock_ns(clock)) ||
        !weir_doorbell_park_begin(cp->doorbell)) {
        return;
    }
    int64_t due_ns = weir_job_checkpoint_due_ns(cp);
    int64_t wait_ns = due_ns == WEIR_COORDINATOR_NEVER ? SLEEP_NS_MAX : due_ns - cp->now_ns;
    wait_ns = weir_min_i64(wait_ns, is_writing(cp) ? LOOK_NS : SLEEP_NS_MAX);
    weir_io_wait(cp->io, weir_max_i64(wait_ns, 0), weir_doorbell_fd(cp->doorbell));
    weir_doorbell_park_end(cp->doorbell);
}

static void *
thread_main(void *arg)
{
    struct weir_job_checkpoint *cp = arg;
    const struct weir_clock *clock = weir_job_clock(cp->job);
    (void)pthread_setname_np(pthread_self(), "weir-storage");
    weir_job_pin_keeper(cp->job);
    cp->start_err = weir_job_checkpoint_begin(cp, weir_clock_ns(clock));
    if (cp->start_err != 0) {
        weir_err_save(cp->start_text, sizeof cp->start_text);
        weir_err_clear();
    }
    (void)sem_post(&cp->ready);
    /* relaxed: it carries nothing. */
    while (cp->start_err == 0 && !weir_job_checkpoint_is_over(cp) &&
           weir_load_rlx(&cp->is_quit) == 0) {
        if (!weir_job_checkpoint_poll(cp, weir_clock_ns(clock))) {
            sleep_once(cp, clock);
        }
    }
    weir_job_checkpoint_end(cp);
    return NULL;
}

int
weir_job_checkpoint_start(struct weir_job_checkpoint *cp)
{
    pthread_attr_t attr;
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS); /* as of cores */
    if (pthread_attr_init(&attr) != 0) {
        return weir_err_push(WEIR_ENOMEM, "the thread of checkpoints");
    }
    (void)pthread_attr_setsigmask_np(&attr, &all);
    int errnum = pthread_create(&cp->thread, &attr, thread_main, cp);
    (void)pthread_attr_destroy(&attr);
    if (errnum != 0) {
        return weir_err_errno(errnum, "start the thread of checkpoints");
    }
    while (sem_wait(&cp->ready) != 0) {
    }
    cp->has_thread = true;
    if (cp->start_err != 0) {
        weir_job_checkpoint_join(cp);
        return weir_err_push(cp->start_err, "%s", cp->start_text);
    }
    return 0;
}

void
weir_job_checkpoint_join(struct weir_job_checkpoint *cp)
{
    if (cp->has_thread) {
        for (uint32_t s = 0; s < cp->stage_cnt; s++) {
            if (weir_task_state(weir_job_task(cp->job, s)) == WEIR_TASK_CREATED) {
                weir_store_rlx(&cp->is_quit, 1); /* relaxed: see thread_main */
            }
        }
        weir_doorbell_ring_shared(cp->doorbell, 0);
        (void)pthread_join(cp->thread, NULL);
        cp->has_thread = false;
    }
}

/* ---- from outside ---- */

void
weir_job_checkpoint_stop(struct weir_job_checkpoint *cp)
{
    const struct weir_letter letter = {.kind = CP_LETTER_STOP};
    (void)!weir_mbox_put(cp->mbox, &letter); /* full: who asked sees it, and asks again */
    weir_doorbell_ring_shared(cp->doorbell, 0);
}

int
weir_job_checkpoint_error(struct weir_job_checkpoint *cp)
{
    return cp->error != 0 ? weir_err_push(cp->error, "%s", cp->error_text) : 0;
}

void
weir_job_checkpoints(const struct weir_job *job, struct weir_job_checkpoint_view *ret_view)
{
    struct weir_job_checkpoint *cp = job->checkpoint;
    memset(ret_view, 0, sizeof *ret_view);
    if (cp != NULL) {
        (void)pthread_mutex_lock(&cp->look_mutex);
        *ret_view = cp->view;
        (void)pthread_mutex_unlock(&cp->look_mutex);
    }
}

const struct weir_job_checkpoint_record *
weir_job_checkpoint_at(const struct weir_job *job, uint32_t idx)
{
    const struct weir_job_checkpoint *cp = job->checkpoint;
    uint64_t cnt = cp != NULL ? cp->view.completed_cnt : 0;
    uint64_t kept = weir_min_u64(cnt, WEIR_JOB_CHECKPOINT_RECORD_CNT_MAX);
    return idx < kept ? &cp->records[(cnt - kept + idx) % WEIR_JOB_CHECKPOINT_RECORD_CNT_MAX]
                      : NULL;
}
