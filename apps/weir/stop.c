/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c: `weir stop`: end a running job in good order. */
#include <stdio.h>
#include <string.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/base.h"

static void
print_stop(const json_t *answer)
{
    const char *state = json_string_value(json_object_get(answer, "state"));
    (void)printf("job %s, process %lld, is %s\n", json_string_value(json_object_get(answer, "job")),
        (long long)json_integer_value(json_object_get(answer, "pid")), state);
    if (json_is_null(json_object_get(answer, "savepoint"))) {
        bool goes_on = state != NULL && strcmp(state, "stopping") == 0;
        (void)printf("no savepoint is taken%s\n",
            goes_on ? "; with checkpoints it goes on later: weir run --restore=latest" : "");
    }
}

static int
run_stop(const struct weir_args *args)
{
    return weir_ask(args,
        json_pack("{s:s, s:b}", "verb", "stop", "drain", (int)weir_cli_has(args, "drain")),
        print_stop);
}

static const struct weir_flag stop_flags[] = {
    {"drain", 0, NULL, "end event time: all windows fire; not for a job that is to go on later"},
    WEIR_ASK_WAIT_FLAG,
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_stop = {
    .name = "stop",
    .args = "JOB",
    .text = "end the sources of a running job and let it finish what is in flight",
    .examples = "weir stop nexmark-q5                   # windows that are open do not fire\n"
                "weir stop nexmark-q5 --drain --wait    # all fire; come back when it has ended\n",
    .notes = WEIR_ASK_NOTES,
    .flags = stop_flags,
    .flag_cnt = WEIR_ARRAY_CNT(stop_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_stop,
};
