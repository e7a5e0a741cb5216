/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint as a savepoint: its pages go into the arenas of a job that does not run, and out of
 * them as rows; its parts are those of the tasks that there were. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sched/graph_node.h"
#include "sched/job_part.h"
#include "sched/job_restore_priv.h"
#include "sched/savepoint_store.h"

struct saving {
    struct weir_savepoint_task *tasks; /* stages with pages, then tasks of before with parts */
    uint32_t task_cnt;
    struct weir_operator **ops; /* of each stage in turn: all of the job */
    uint32_t op_cnt;
};

/* Who is told of the progress. */
struct telling {
    const struct weir_job_save_options *options;
    const struct weir_job_restore *restore;
    int64_t begin_ns;
    struct weir_savepoint_progress last;
};

static void
tell_of(struct telling *telling, const struct weir_savepoint_progress *progress, bool is_done)
{
    const struct weir_job_save_progress what = {.savepoint = telling->restore->manifest->checkpoint,
        .group_cnt = progress->group_cnt,
        .group_all = progress->group_all,
        .bytes = progress->bytes,
        .elapsed_ns = weir_io_clock_ns(telling->restore->io) - telling->begin_ns,
        .is_done = is_done};
    telling->options->progress_fn(telling->options->progress_arg, &what);
}

static void
tell(void *arg, const struct weir_savepoint_progress *progress)
{
    struct telling *telling = arg;
    telling->last = *progress;
    tell_of(telling, progress, false);
}

/* Whether both name one directory; one that is not there yet is no other's. */
static bool
is_same_dir(const char *left, const char *right)
{
    char a[PATH_MAX];
    char b[PATH_MAX];
    return realpath(left, a) != NULL && realpath(right, b) != NULL && strcmp(a, b) == 0;
}

static int
check(const struct weir_job_restore *restore, const char *root)
{
    const char *job = restore->conf->job;
    /* Its lock is held, by us or by who runs the job. */
    if (is_same_dir(root, restore->conf->dir)) {
        return weir_err_push(WEIR_ECONFIG,
            "%s is where job %s keeps its checkpoints: give a savepoint another directory", root,
            job);
    }
    if (restore->manifest == NULL) {
        return weir_err_push(WEIR_ECONFIG,
            "job %s would start from nothing: say what to save by "
            "--restore",
            job);
    }
    if (restore->manifest->kind == WEIR_MANIFEST_KIND_SAVEPOINT) {
        return weir_err_push(WEIR_ECONFIG,
            "job %s would start from savepoint %" PRIu64 ": copy its directory", job,
            restore->manifest->checkpoint);
    }
    if (restore->ended_cnt > 0) {
        return weir_err_push(WEIR_ECONFIG,
            "operator %s of job %s had ended before checkpoint %" PRIu64
            ": a savepoint cannot say so",
            restore->ended[0], job, restore->manifest->checkpoint);
    }
    if (restore->flight_rows > 0) {
        return weir_err_push(WEIR_ECONFIG,
            "checkpoint %" PRIu64 " of job %s holds %" PRIu64
            " rows that were between its tasks, which a savepoint cannot: let the job go on from "
            "it, and ask it for a savepoint then (weir savepoint)",
            restore->manifest->checkpoint, job, restore->flight_rows);
    }
    return 0;
}

static int
gather(const struct weir_job_restore *restore, struct saving *saving)
{
    struct weir_job *job = restore->job;
    uint64_t task_cnt = (uint64_t)job->plan->stage_cnt + restore->old_cnt;
    uint64_t op_cnt = 0;
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        op_cnt += job->stage[s].operator_cnt;
    }
    saving->tasks = calloc(task_cnt + 1, sizeof *saving->tasks);
    saving->ops = calloc(op_cnt + 1, sizeof *saving->ops);
    if (saving->tasks == NULL || saving->ops == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a savepoint");
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        struct job_stage *stage = &job->stage[s];
        struct weir_operator **ops = saving->ops + saving->op_cnt;
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            saving->ops[saving->op_cnt++] = weir_task_operator(stage->task, i);
        }
        saving->tasks[saving->task_cnt++] =
            (struct weir_savepoint_task){.arena = stage->has_arena ? &stage->arena : NULL,
                .ops = ops,
                .op_cnt = stage->operator_cnt,
                .subtask = job->plan->stages[s].subtask};
    }
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        saving->tasks[saving->task_cnt++] =
            (struct weir_savepoint_task){.parts = &restore->parts[i],
                .ops = saving->ops,
                .op_cnt = saving->op_cnt,
                .subtask = restore->old[i].files[0]->id.subtask};
    }
    return 0;
}

int
weir_job_restore_save(struct weir_job_restore *restore, const struct weir_job_save_options *options,
    struct weir_savepoint_made *ret_made)
{
    struct telling telling = {
        .options = options, .restore = restore, .begin_ns = weir_io_clock_ns(restore->io)};
    struct saving saving = {NULL, 0, NULL, 0};
    int err = check(restore, options->root);
    err = err != 0 ? err : gather(restore, &saving);
    if (err == 0) {
        const struct weir_savepoint_spec spec = {
            .job = restore->conf->job, .tasks = saving.tasks, .task_cnt = saving.task_cnt};
        const struct weir_savepoint_conf conf = {.io = restore->io,
            .root = options->root,
            .parent_checkpoint = restore->manifest->checkpoint,
            .parent_epoch = restore->manifest->epoch,
            .strict = restore->conf->strict,
            .progress_fn = options->progress_fn != NULL ? tell : NULL,
            .arg = &telling};
        err = weir_savepoint_store(&conf, &spec, ret_made);
        if (err == 0 && options->progress_fn != NULL) {
            tell_of(&telling, &telling.last, true);
        }
    }
    free(saving.tasks);
    free(saving.ops);
    return err;
}
