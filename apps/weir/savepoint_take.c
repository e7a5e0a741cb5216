/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_take.c: `weir savepoint`: save a running job, which goes on. */
#include <stdio.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/base.h"

static void
print_savepoint(const json_t *answer)
{
    (void)printf("savepoint %lld of job %s in %s: %lld entries and %lld rows in %lld key groups, "
                 "%lld bytes\n",
        (long long)json_integer_value(json_object_get(answer, "id")),
        json_string_value(json_object_get(answer, "job")),
        json_string_value(json_object_get(answer, "savepoint")),
        (long long)json_integer_value(json_object_get(answer, "entries")),
        (long long)json_integer_value(json_object_get(answer, "rows")),
        (long long)json_integer_value(json_object_get(answer, "key_groups")),
        (long long)json_integer_value(json_object_get(answer, "bytes")));
    (void)printf(
        "go on from it by --restore=%s\n", json_string_value(json_object_get(answer, "path")));
}

static int
run_savepoint(const struct weir_args *args)
{
    json_t *request = json_pack("{s:s}", "verb", "savepoint");
    if (args->arg_cnt > 1) {
        int err = weir_ask_set_path(request, "savepoint", args->arg[1]);
        if (err != 0) {
            json_decref(request);
            return err;
        }
    }
    return weir_ask_long(args, request, print_savepoint);
}

static const struct weir_flag savepoint_flags[] = {
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_savepoint = {
    .name = "savepoint",
    .args = "JOB [DIR]",
    .text = "save a running job as a savepoint below DIR, while it goes on",
    .examples = "weir savepoint nexmark-q5 kept           # in kept/nexmark-q5, beside others\n"
                "weir savepoint nexmark-q5 kept --json\n",
    .notes = "It returns when the savepoint is there. Without DIR it lies below the job's\n"
             "checkpoints.savepoint_dir. The job takes a checkpoint for it, of which a process of\n"
             "lower priority makes the savepoint: it takes as much memory as the state has "
             "in memory.\n" WEIR_ASK_NOTES,
    .flags = savepoint_flags,
    .flag_cnt = WEIR_ARRAY_CNT(savepoint_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 2,
    .run = run_savepoint,
};
