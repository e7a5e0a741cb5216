/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: `weir explain`: the page of an error, or the list of all. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/weir/verbs.h"
#include "base/base.h"
#include "base/err.h"

/* Takes WEIR-1102, weir-1102, 1102 and WEIR_ECONFIG. */
static const struct weir_err_row *
row_of(const char *word)
{
    const char *digits = word;
    if (strncasecmp(word, "WEIR-", 5) == 0) {
        digits = word + 5;
    }
    if (isdigit((unsigned char)digits[0])) {
        char *end;
        long code = strtol(digits, &end, 10);
        return *end == '\0' && code > 0 && code < 10000 ? weir_err_row((int)code) : NULL;
    }
    const struct weir_err_row *row;
    for (size_t i = 0; (row = weir_err_row_at(i)) != NULL; i++) {
        if (strcasecmp(row->name, word) == 0) {
            return row;
        }
    }
    return NULL;
}

static json_t *
row_json(const struct weir_err_row *row)
{
    char code[16];
    (void)snprintf(code, sizeof code, "WEIR-%04d", row->code);
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "code", code, "name", row->name, "exit_code",
        row->exit_code, "what", row->text, "cause", row->cause, "fix", row->fix);
}

static void
row_print(const struct weir_err_row *row)
{
    (void)printf("WEIR-%04d (%s), exit code %d\n\n  what:   %s\n  cause:  %s\n  fix:    %s\n",
        row->code, row->name, row->exit_code, row->text, row->cause, row->fix);
}

static void
print_markdown(void)
{
    const struct weir_err_row *row;
    (void)printf("| code | name | exit code | what | usual cause | fix |\n"
                 "| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; (row = weir_err_row_at(i)) != NULL; i++) {
        (void)printf("| WEIR-%04d | `%s` | %d | %s | %s | %s |\n", row->code, row->name,
            row->exit_code, row->text, row->cause, row->fix);
    }
}

static int
explain_run(const struct weir_args *args)
{
    if (weir_cli_has(args, "markdown")) {
        print_markdown();
        return WEIR_EXIT_OK;
    }
    bool json = weir_cli_has(args, "json");
    json_t *list = json_array();
    int exit_code = WEIR_EXIT_OK;
    const struct weir_err_row *row;
    for (size_t i = 0; args->arg_cnt == 0 && (row = weir_err_row_at(i)) != NULL; i++) {
        json_array_append_new(list, row_json(row));
        if (!json) {
            (void)printf("WEIR-%04d  %s\n", row->code, row->text);
        }
    }
    for (size_t i = 0; i < args->arg_cnt && exit_code == WEIR_EXIT_OK; i++) {
        row = row_of(args->arg[i]);
        if (row == NULL) {
            exit_code = weir_cli_usage(args, "no error is called '%s'", args->arg[i]);
        } else {
            json_array_append_new(list, row_json(row));
            if (!json) {
                (void)printf("%s", i > 0 ? "\n" : "");
                row_print(row);
            }
        }
    }
    if (json && exit_code == WEIR_EXIT_OK) {
        weir_cli_print_json(list);
    } else {
        json_decref(list);
    }
    return exit_code;
}

static const struct weir_flag explain_flags[] = {
    {"json", 0, NULL, "print JSON"},
    {"markdown", 0, NULL, "print the table of docs/errors.md"},
};

const struct weir_verb weir_verb_explain = {
    .name = "explain",
    .args = "[CODE]...",
    .text = "say what an error means, its cause and its fix; without a code, list all",
    .examples = "weir explain WEIR-1102\n"
                "weir explain --json       # the whole list, for scripts\n",
    .flags = explain_flags,
    .flag_cnt = WEIR_ARRAY_CNT(explain_flags),
    .arg_cnt_max = 16,
    .run = explain_run,
};
