/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c: `weir stop`: end a running job in good order. */
#include <stdio.h>
#include <string.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/err.h"

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
    return weir_ask(args, request, print_stop);
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
