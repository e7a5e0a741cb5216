/* SPDX-License-Identifier: Apache-2.0 */
/* move.c: `weir move`: give key groups of a running job to another subtask. */
#include <stdio.h>

#include "apps/weir/answer.h"
#include "apps/weir/ask.h"
#include "apps/weir/verbs.h"
#include "base/err.h"

static void
print_move(const json_t *answer)
{
    const json_t *groups = json_object_get(answer, "key_groups");
    json_int_t first = json_integer_value(json_array_get(groups, 0));
    json_int_t last = json_integer_value(json_array_get(groups, 1));
    if (first == last) {
        (void)printf("key group %lld", (long long)first);
    } else {
        (void)printf("key groups %lld-%lld", (long long)first, (long long)last);
    }
    (void)printf(" of %s %s on subtask %lld\n", weir_answer_text(answer, "vertex"),
        first == last ? "is" : "are", (long long)weir_answer_int(answer, "to"));
    if (!json_is_true(json_object_get(answer, "is_stored"))) {
        (void)printf("its checkpoint failed: a restart goes back to the subtasks before, until the "
                     "next one is complete\n");
    }
}

/* A whole text of digits and separators, such as 0-15. */
static bool
take_groups(const char *text, unsigned *ret_first, unsigned *ret_last)
{
    int end = 0;
    if (sscanf(text, "%9u-%9u%n", ret_first, ret_last, &end) == 2 && text[end] == '\0') {
        return true;
    }
    end = 0;
    *ret_last = 0;
    bool is_one = sscanf(text, "%9u%n", ret_first, &end) == 1 && text[end] == '\0';
    *ret_last = *ret_first;
    return is_one;
}

static int
run_move(const struct weir_args *args)
{
    unsigned first = 0;
    unsigned last = 0;
    unsigned to = 0;
    int end = 0;
    if (!take_groups(args->arg[2], &first, &last)) {
        return weir_cli_usage(args,
            "GROUPS is a key group or the first and the last of several, as 0-15, not '%s'",
            args->arg[2]);
    }
    if (sscanf(args->arg[3], "%9u%n", &to, &end) != 1 || args->arg[3][end] != '\0') {
        return weir_cli_usage(args, "SUBTASK is a number from 0 on, not '%s'", args->arg[3]);
    }
    return weir_ask_long(args,
        json_pack("{s:s, s:s, s:[I,I], s:I}", "verb", "move", "vertex", args->arg[1], "key_groups",
            (json_int_t)first, (json_int_t)last, "to", (json_int_t)to),
        print_move);
}

static const struct weir_flag move_flags[] = {
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_move = {
    .name = "move",
    .args = "JOB VERTEX GROUPS SUBTASK",
    .text = "give key groups of a vertex of a running job to another of its subtasks",
    .examples = "weir move bids count 0-15 1\n"
                "weir status bids            # says which subtask has which\n",
    .notes = WEIR_ASK_NOTES "GROUPS is a key group, or the first and the last of several. It "
                            "returns when all rows of them\n"
                            "go to the other subtask. The job was started with state.moves=true "
                            "and takes checkpoints; its\n"
                            "reduces can give key groups away, other operators cannot.\n",
    .flags = move_flags,
    .flag_cnt = WEIR_ARRAY_CNT(move_flags),
    .arg_cnt_min = 4,
    .arg_cnt_max = 4,
    .run = run_move,
};
