/* SPDX-License-Identifier: Apache-2.0 */
/* cancel.c: `weir cancel`: end a running job at once. */
#include <stdio.h>

#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/base.h"

static void
print_cancel(const json_t *answer)
{
    (void)printf("job %s, process %lld, is %s\n", json_string_value(json_object_get(answer, "job")),
        (long long)json_integer_value(json_object_get(answer, "pid")),
        json_string_value(json_object_get(answer, "state")));
}

static int
run_cancel(const struct weir_args *args)
{
    return weir_ask(args, json_pack("{s:s}", "verb", "cancel"), print_cancel);
}

static const struct weir_flag cancel_flags[] = {
    WEIR_ASK_WAIT_FLAG,
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_cancel = {
    .name = "cancel",
    .args = "JOB",
    .text = "end a running job at once: what is in flight is dropped, its output is not published",
    .examples = "weir cancel nexmark-q5\n"
                "weir cancel nexmark-q5 --wait    # come back when it has ended\n",
    .notes = WEIR_ASK_NOTES "The run ends with exit code 1 and WEIR-1602; a supervisor does not "
                            "start it again.\n",
    .flags = cancel_flags,
    .flag_cnt = WEIR_ARRAY_CNT(cancel_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = run_cancel,
};
