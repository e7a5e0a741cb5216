/* SPDX-License-Identifier: Apache-2.0 */
/* trial_save.c: savepoints of a trial: of a job that is stopped, and of one that goes on; and
 * starts from them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apps/sim/trial_priv.h"
#include "sched/savepoint_store.h"

#define NEVER_NS INT64_MAX

static void
next_dir(struct trial *trial)
{
    trial->dir_cnt++;
    (void)snprintf(trial->dir, sizeof trial->dir, SIM_CHECKPOINT_DIR "%" PRIu32, trial->dir_cnt);
    (void)snprintf(trial->data_dir, sizeof trial->data_dir,
        SIM_CHECKPOINT_DIR "%" PRIu32 "/sim/data", trial->dir_cnt);
    (void)snprintf(trial->manifest_dir, sizeof trial->manifest_dir,
        SIM_CHECKPOINT_DIR "%" PRIu32 "/sim/manifest", trial->dir_cnt);
}

void
trial_save_draw(struct trial *trial)
{
    trial->saves.wants_stop = weir_rng_chance(&trial->rng, 1, 3);
    trial->saves.wants_going = weir_rng_chance(&trial->rng, 1, 3);
    next_dir(trial);
}

static int64_t
draw_time(struct trial *trial, bool is_wanted)
{
    return is_wanted ? trial->now_ns + weir_rng_between(&trial->rng, 0, trial->draw.run_ns / 2)
                     : NEVER_NS;
}

void
trial_save_plan(struct trial *trial)
{
    struct trial_saves *saves = &trial->saves;
    saves->stop_ns = draw_time(trial, saves->wants_stop);
    saves->going_ns = draw_time(trial, saves->wants_going);
    saves->release_ns = NEVER_NS;
    saves->die_ns = NEVER_NS;
    saves->is_stopping = false;
    saves->is_asked = false;
    saves->kept_id = 0;
}

/* ---- while the job runs ---- */

static void
take_answer(struct trial *trial, const struct weir_job_savepoint_view *view)
{
    struct trial_saves *saves = &trial->saves;
    if (!saves->is_asked || view->ticket != saves->ticket) {
        return;
    }
    saves->is_asked = false;
    trial_note(trial, "  at %.3f ms: savepoint %" PRIu64 "%s%s", (double)trial->now_ns / 1e6,
        view->id, view->id == 0 ? ": " : "", view->id == 0 ? view->why : "");
    if (view->id == 0) {
        saves->going_ns = draw_time(trial, true);
        return;
    }
    saves->kept_id = view->id;
    saves->kept_epoch = view->epoch;
    saves->release_ns = draw_time(trial, weir_rng_chance(&trial->rng, 1, 3));
    if (saves->release_ns == NEVER_NS && weir_rng_chance(&trial->rng, 1, 2)) {
        saves->die_ns = trial->now_ns + weir_rng_between(&trial->rng, 0, 2 * WEIR_MS);
    }
}

void
trial_save_look(struct trial *trial, const struct weir_job_checkpoint_view *view)
{
    struct trial_saves *saves = &trial->saves;
    if (view->epoch == 0) {
        return; /* it has not begun */
    }
    take_answer(trial, &view->savepoint);
    if (saves->kept_id != 0 && trial->now_ns >= saves->release_ns &&
        weir_job_savepoint_release(trial->job, saves->kept_id)) {
        trial_note(trial, "  savepoint %" PRIu64 " is released", saves->kept_id);
        saves->kept_id = 0;
        saves->release_ns = NEVER_NS;
    }
    if (trial->is_calm || saves->is_stopping) {
        return;
    }
    if (trial->now_ns >= saves->going_ns && weir_job_savepoint(trial->job, saves->ticket + 1)) {
        saves->ticket++;
        saves->is_asked = true;
        saves->going_ns = NEVER_NS;
    }
    if (trial->now_ns >= saves->stop_ns && trial->completed_cnt > 0) {
        saves->is_stopping = true;
        trial_note(trial, "  at %.3f ms: stop", (double)trial->now_ns / 1e6);
        weir_job_request(trial->job, WEIR_TASK_REQUEST_STOP);
    }
}

struct weir_job_restore_options
trial_save_restore(struct trial *trial)
{
    struct trial_saves *saves = &trial->saves;
    const struct weir_job_restore_options latest = {.from = WEIR_JOB_RESTORE_LATEST};
    const struct weir_job_restore_options saved = {
        .from = WEIR_JOB_RESTORE_PATH, .path = saves->root, .prefers_latest = saves->is_begun};
    saves->is_begun = saves->is_base;
    return saves->is_base ? saved : latest;
}

/* ---- the process that makes one ---- */

/* Returns: 0: it is there; 1: it is not, as it may; negative: the trial has failed. */
static int
make(struct trial *trial, const struct weir_job_restore_options *from)
{
    struct trial_process process;
    struct weir_savepoint_made made = {0};
    struct trial_saves *saves = &trial->saves;
    char root[SIM_PATH_BYTES_MAX];
    char text[SIM_FAILURE_BYTES];
    (void)snprintf(root, sizeof root, SIM_SAVE_DIR "%" PRIu32, ++saves->root_cnt);
    const struct weir_job_save_options options = {.root = root};
    trial_process_begin(trial);
    trial->is_saving = true;
    if (!trial->is_calm && weir_rng_chance(&trial->rng, 1, 2)) {
        trial_ask(trial, SIM_FAULT_KILL_IN_IO + (enum sim_fault_kind)weir_rng_below(&trial->rng,
                                                    SIM_FAULT_KIND_CNT - SIM_FAULT_KILL_IN_IO));
    }
    int err = trial_process_open(trial, from, &process);
    err = err != 0 ? err : weir_job_save(process.job, &options, &made);
    trial_process_gone(trial);
    trial_process_close(&process);
    weir_err_save(text, sizeof text);
    weir_err_clear();
    int step = trial->is_dead && err == 0 ? 1 : trial_judge(trial, err, text);
    trial->is_saving = false;
    if (step == 0) {
        trial_note(trial, "saved %" PRIu64 " of %s below %s", made.savepoint,
            from->path != NULL ? from->path : trial->dir, root);
        memcpy(saves->root, root, sizeof root);
        trial->result->savepoint_cnt++;
    }
    return step;
}

/* The next start begins with the newest savepoint, in a directory of its own. */
static void
begin_with_it(struct trial *trial, uint32_t feature)
{
    trial_set(trial, feature);
    trial->saves.is_base = true;
    trial->saves.is_begun = false;
    next_dir(trial);
}

/* A checkpoint beside the timeline is there until the next start, whatever the job died of. Where a
 * later one is, its outputs may be further than the savepoint. */
static int
save_kept(struct trial *trial, int step)
{
    struct trial_saves *saves = &trial->saves;
    bool is_newest = trial_look_id_max(trial) < saves->kept_id;
    (void)snprintf(saves->manifest, sizeof saves->manifest, "%s/S-%" PRIu64 "-%" PRIu64,
        trial->manifest_dir, saves->kept_id, saves->kept_epoch);
    const struct weir_job_restore_options from = {
        .from = WEIR_JOB_RESTORE_PATH, .path = saves->manifest, .only_reads = true};
    saves->kept_id = 0;
    int made = make(trial, &from);
    if (made == 0) {
        saves->wants_going = false;
        trial_set(trial, SIM_FEATURE_SAVED_GOING);
        if (step == 1 && is_newest) {
            begin_with_it(trial, SIM_FEATURE_SAVED_START);
        }
    }
    return made < 0 ? made : step;
}

int
trial_save_end(struct trial *trial, int step)
{
    struct trial_saves *saves = &trial->saves;
    const struct weir_job_restore_options latest = {.from = WEIR_JOB_RESTORE_LATEST};
    if (step >= 0 && saves->kept_id != 0) {
        step = save_kept(trial, step);
    }
    if (step != 0 || !saves->is_stopping) {
        return step;
    }
    int made = make(trial, &latest);
    if (made == 0) {
        saves->wants_stop = false;
        begin_with_it(trial, SIM_FEATURE_SAVED_STOP);
    }
    /* Where a source had ended there can be none, however often it is tried. */
    saves->wants_stop = saves->wants_stop && weir_rng_chance(&trial->rng, 1, 2);
    return made < 0 ? made : 1;
}
