/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/control_save.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* Between two looks at whether the checkpoint is there. */
#define LOOK_NS (5 * WEIR_MS)

json_t *
weir_saving_job_check(const struct weir_job *job)
{
    struct weir_job_checkpoint_view view;
    weir_job_checkpoints(job, &view);
    if (!view.is_on) {
        return weir_control_refuse(WEIR_EREFUSED,
            "the job takes no checkpoints, so it cannot be saved: set checkpoints.dir");
    }
    return NULL;
}

json_t *
weir_saving_path_check(const json_t *path)
{
    const char *text = json_string_value(path);
    if (text == NULL || text[0] != '/' || strlen(text) >= WEIR_CONTROL_PATH_BYTES) {
        return weir_control_refuse(WEIR_EUSAGE,
            "savepoint is an absolute path of less than %d bytes", WEIR_CONTROL_PATH_BYTES);
    }
    return NULL;
}

/* Where to: what was asked, or what the configuration says. NULL, or why it is nowhere. */
static json_t *
take_dir(struct weir_saving *saving, const json_t *path)
{
    const char *dir = weir_launch_savepoint_dir(saving->conf->launch);
    char cwd[WEIR_CONTROL_PATH_BYTES] = "";
    if (path != NULL) {
        json_t *refusal = weir_saving_path_check(path);
        if (refusal == NULL) {
            (void)snprintf(saving->dir, sizeof saving->dir, "%s", json_string_value(path));
        }
        return refusal;
    }
    if (dir[0] == '\0') {
        return weir_control_refuse(WEIR_EUSAGE,
            "say where to: weir savepoint JOB DIR; checkpoints.savepoint_dir is not set");
    }
    bool is_absolute = dir[0] == '/';
    if (!is_absolute && getcwd(cwd, sizeof cwd) == NULL) {
        return weir_control_refuse(WEIR_EUSAGE, "the job's own directory has too long a name");
    }
    int n = snprintf(saving->dir, sizeof saving->dir, "%s%s%s", cwd, is_absolute ? "" : "/", dir);
    if (n < 0 || (size_t)n >= sizeof saving->dir) {
        return weir_control_refuse(WEIR_EUSAGE, "checkpoints.savepoint_dir has too long a name");
    }
    return NULL;
}

json_t *
weir_saving_begin(struct weir_saving *saving, const json_t *path, uint64_t asker)
{
    json_t *refusal = weir_saving_job_check(saving->conf->job);
    if (refusal != NULL) {
        return refusal;
    }
    if (saving->state != WEIR_SAVING_NONE || saving->release_id != 0) {
        return weir_control_refuse(
            WEIR_EREFUSED, "a savepoint below %.200s is being taken", saving->dir);
    }
    refusal = take_dir(saving, path);
    if (refusal != NULL) {
        return refusal;
    }
    saving->state = WEIR_SAVING_ASKS;
    saving->asker = asker;
    saving->is_put = weir_job_savepoint(saving->conf->job, ++saving->ticket);
    return NULL;
}

static json_t *
over(struct weir_saving *saving, json_t *answer)
{
    weir_saver_close(saving->saver);
    saving->saver = NULL;
    saving->state = WEIR_SAVING_NONE;
    return answer;
}

/* The checkpoint is there: who makes a savepoint of it. */
static json_t *
begin_writing(struct weir_saving *saving, const struct weir_job_savepoint_view *view)
{
    char manifest[WEIR_SAVER_PATH_BYTES];
    char why[WEIR_SAVER_TEXT_BYTES];
    int n = snprintf(manifest, sizeof manifest, "%s/%s/manifest/S-%" PRIu64 "-%" PRIu64, view->dir,
        weir_launch_name(saving->conf->launch), view->id, view->epoch);
    saving->id = view->id;
    int err = n < 0 || (size_t)n >= sizeof manifest
                  ? weir_err_push(WEIR_EINVAL, "checkpoints.dir has too long a name")
                  : weir_saver_start(manifest, saving->dir, &saving->saver);
    if (err != 0) {
        weir_err_save(why, sizeof why);
        weir_err_clear();
        saving->release_id = saving->id;
        return over(saving, weir_control_refuse(err, "%s", why));
    }
    (void)fprintf(stderr, "weir: savepoint %" PRIu64 " is written below %s by process %d\n",
        saving->id, saving->dir, weir_saver_pid(saving->saver));
    saving->state = WEIR_SAVING_WRITES;
    return NULL;
}

static json_t *
serve_asking(struct weir_saving *saving)
{
    struct weir_job_checkpoint_view view;
    if (!saving->is_put) {
        saving->is_put = weir_job_savepoint(saving->conf->job, saving->ticket);
    }
    weir_job_checkpoints(saving->conf->job, &view);
    bool is_answered = view.savepoint.ticket == saving->ticket;
    if (saving->gives_up) {
        return over(
            saving, weir_control_refuse(WEIR_EREFUSED, "the job has ended before it was saved"));
    }
    if (!is_answered) {
        return NULL;
    }
    if (view.savepoint.id == 0) {
        return over(saving, weir_control_refuse(WEIR_EREFUSED, "no checkpoint could be taken: %s",
                                view.savepoint.why));
    }
    return begin_writing(saving, &view.savepoint);
}

static json_t *
serve_writing(struct weir_saving *saving)
{
    struct weir_saver_end end;
    if (!weir_saver_serve(saving->saver, &end)) {
        return NULL;
    }
    saving->release_id = saving->id;
    if (end.err != 0) {
        return over(saving, weir_control_refuse(end.err, "%s", end.why));
    }
    return over(
        saving, json_pack("{s:b, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "ok", 1, "job",
                    weir_launch_name(saving->conf->launch), "pid", (int)getpid(), "savepoint",
                    saving->dir, "path", end.path, "id", (json_int_t)saving->id, "entries",
                    (json_int_t)end.entries, "rows", (json_int_t)end.rows, "key_groups",
                    (json_int_t)end.key_groups, "bytes", (json_int_t)end.bytes));
}

json_t *
weir_saving_serve(struct weir_saving *saving)
{
    json_t *answer = saving->state == WEIR_SAVING_ASKS     ? serve_asking(saving)
                     : saving->state == WEIR_SAVING_WRITES ? serve_writing(saving)
                                                           : NULL;
    if (saving->release_id != 0 &&
        weir_job_savepoint_release(saving->conf->job, saving->release_id)) {
        saving->release_id = 0;
    }
    return answer;
}

void
weir_saving_give_up(struct weir_saving *saving)
{
    saving->gives_up = true;
    if (saving->state == WEIR_SAVING_WRITES) {
        weir_saver_kill(saving->saver);
    }
}

int64_t
weir_saving_wait_ns(const struct weir_saving *saving)
{
    return saving->state == WEIR_SAVING_ASKS || saving->release_id != 0 ? LOOK_NS : -1;
}

int
weir_saving_fd(const struct weir_saving *saving)
{
    return saving->state == WEIR_SAVING_WRITES ? weir_saver_fd(saving->saver) : -1;
}

void
weir_saving_fini(struct weir_saving *saving)
{
    (void)over(saving, NULL);
}
