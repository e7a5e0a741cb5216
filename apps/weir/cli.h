/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h: the command line of `weir`: verbs, each with one table of flags.
 *
 * A verb's row and its flags' rows are the only description of it: parsing, -h, the shell
 * completion and docs/cli.md all come from them. Flags and arguments may be mixed; "--" ends the
 * flags. -h and
 * --help are every verb's own and stand in no table.
 *
 * Data goes to stdout, messages to stderr; exit codes are enum weir_exit.
 */
#ifndef WEIR_APPS_WEIR_CLI_H
#define WEIR_APPS_WEIR_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Values of one flag that may be given often, and plain arguments: more than a person types. */
#define WEIR_CLI_VALUE_CNT_MAX 256
#define WEIR_CLI_FLAG_CNT_MAX 24

struct weir_flag {
    const char *name; /* long name, without dashes */
    char letter; /* 0: none */
    const char *arg; /* what the value is called, NULL for a switch */
    const char *text; /* one sentence, with no full stop */
};

struct weir_args;

/* A verb's work. Returns an exit code, having printed its own data; or a negative weir_err, which
 * the caller prints. */
typedef int(weir_verb_fn)(const struct weir_args *args);

struct weir_verb {
    const char *name; /* one word, or two: "config show" */
    const char *args; /* as in the usage line: "JOB", "[CODE]..." */
    const char *text; /* one sentence */
    const char *examples; /* "command  # what it does" lines */
    const char *notes; /* more, below the flags; NULL: none */
    const struct weir_flag *flags;
    size_t flag_cnt;
    size_t arg_cnt_min;
    size_t arg_cnt_max;
    weir_verb_fn *run;
    weir_verb_fn *help_more; /* after -h of a verb with arguments given (run JOB -h); NULL: none */
};

struct weir_args {
    const struct weir_verb *verb;
    size_t arg_cnt;
    const char *arg[WEIR_CLI_VALUE_CNT_MAX];
    size_t value_cnt;
    struct {
        const struct weir_flag *flag;
        const char *value; /* NULL for a switch */
    } value[WEIR_CLI_VALUE_CNT_MAX];
};

/* The verbs, in the order of the help; in verbs.c. */
extern const struct weir_verb *const weir_verbs[];
extern const size_t weir_verbs_cnt;

/* weir_cli_main - find the verb, parse its flags, run it; returns the exit code. */
int weir_cli_main(int argc, char **argv);

/* weir_cli_has, weir_cli_value - was the switch given; the last value of a flag, NULL where absent.
 */
bool weir_cli_has(const struct weir_args *args, const char *flag);
const char *weir_cli_value(const struct weir_args *args, const char *flag);
/* weir_cli_value_at - value idx (in the order given) of a flag that may be repeated, NULL past the
 * end. */
const char *weir_cli_value_at(const struct weir_args *args, const char *flag, size_t idx);

/* weir_cli_examples - the part that every help begins with: lines "command  # what it does". */
void weir_cli_examples(const char *examples);
/* weir_cli_print_json - print a document to stdout, and drop it. */
void weir_cli_print_json(json_t *doc);

/* weir_cli_usage - print WEIR-1101 with "weir VERB: <message>"; returns its exit code. */
int weir_cli_usage(const struct weir_args *args, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
