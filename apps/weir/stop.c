/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c: `weir stop`: end a running job in good order. */
#include <stdio.h>
#include <string.h>

#include "apps/weir/ask.h"
#include "apps/weir/control.h"
#include "apps/weir/verbs.h"
#include "base/err.h"
#include "sched/store_look.h"

static void
print_stop(const json_t *answer)
{
    const char *state = json_string_value(json_object_get(answer, "state"));
    (void)printf("job %s, process %lld, is %s\n", json_string_value(json_object_get(answer, "job")),
        (long long)json_integer_value(json_object_get(answer, "pid")), state);
    const char *savepoint = json_string_value(json_object_get(answer, "savepoint"));
    if (savepoint != NULL) {
        (void)printf("it is saved to %s when it has ended\n", savepoint);
    } else {
        bool goes_on = state != NULL && strcmp(state, "stopping") == 0;
        (void)printf("no savepoint is taken%s\n",
            goes_on ? "; with checkpoints it goes on later: weir run --restore=latest" : "");
    }
}

/* ---- whether it was saved ---- */

/* Of JOB, which is the name, or the path of its socket. */
static void
name_of(const char *arg, char *name, size_t name_bytes)
{
    const char *slash = strrchr(arg, '/');
    const char *end = slash != NULL ? strstr(slash, ".sock") : NULL;
    const char *from = slash != NULL ? slash + 1 : arg;
    int bytes = end != NULL ? (int)(end - from) : (int)strlen(from);
    (void)snprintf(name, name_bytes, "%.*s", bytes, from);
}

/* What lies below a directory of the job's own: beside it there may be anything. NULL: nothing that
 * can be read. */
static struct weir_look *
look_below(const char *dir, const char *job)
{
    char path[WEIR_CONTROL_PATH_BYTES];
    struct weir_look *look = NULL;
    int n = snprintf(path, sizeof path, "%s/%s", dir, job);
    if (n < 0 || (size_t)n >= sizeof path || weir_look_open(NULL, path, &look) != 0) {
        weir_err_clear();
        return NULL;
    }
    return look;
}

static bool
has(const struct weir_look *look, const struct weir_look_checkpoint *wanted)
{
    bool found = false;
    for (uint32_t i = 0; look != NULL && i < weir_look_cnt(look); i++) {
        const struct weir_look_checkpoint *one = weir_look_at(look, i);
        found = found || (one->checkpoint == wanted->checkpoint && one->epoch == wanted->epoch);
    }
    return found;
}

/* The job has ended, and nobody else tells how saving it went: what is there tells it. */
static int
check_saved(const char *dir, const char *job, const struct weir_look *before)
{
    struct weir_look *after = look_below(dir, job);
    bool found = false;
    for (uint32_t i = 0; after != NULL && i < weir_look_cnt(after); i++) {
        const struct weir_look_checkpoint *one = weir_look_at(after, i);
        bool is_good = one->err == 0 && one->manifest.kind == WEIR_MANIFEST_KIND_SAVEPOINT;
        found = found || (is_good && !has(before, one));
    }
    weir_look_close(after);
    return found ? 0
                 : weir_err_push(WEIR_EIO,
                       "job %s has ended, and no savepoint of it has come below %s: its standard "
                       "error says why",
                       job, dir);
}

static int
run_stop(const struct weir_args *args)
{
    const char *savepoint = weir_cli_value(args, "savepoint");
    json_t *request =
        json_pack("{s:s, s:b}", "verb", "stop", "drain", (int)weir_cli_has(args, "drain"));
    int err = savepoint != NULL ? weir_ask_set_path(request, "savepoint", savepoint) : 0;
    if (err != 0) {
        json_decref(request);
        return err;
    }
    bool is_watched = savepoint != NULL && weir_cli_has(args, "wait");
    char job[WEIR_CONTROL_PATH_BYTES];
    name_of(args->arg[0], job, sizeof job);
    struct weir_look *before = is_watched ? look_below(savepoint, job) : NULL;
    err = weir_ask(args, request, print_stop);
    err = err == 0 && is_watched ? check_saved(savepoint, job, before) : err;
    weir_look_close(before);
    return err;
}

static const struct weir_flag stop_flags[] = {
    {"drain", 0, NULL, "end event time: all windows fire; not for a job that is to go on later"},
    {"savepoint", 0, "DIR",
        "save what the job has come to as a savepoint below DIR, behind its end"},
    WEIR_ASK_WAIT_FLAG,
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_stop = {
    .name = "stop",
    .args = "JOB",
    .text = "end the sources of a running job and let it finish what is in flight",
    .examples = "weir stop nexmark-q5                   # windows that are open do not fire\n"
                "weir stop nexmark-q5 --drain --wait    # all fire; come back when it has ended\n"
                "weir stop nexmark-q5 --savepoint ended --wait\n",
    .notes = WEIR_ASK_NOTES,
    .flags = stop_flags,
    .flag_cnt = WEIR_ARRAY_CNT(stop_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_stop,
};
