/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/check.h"
#include "base/err.h"
#include "base/opt.h"
#include "sched/conf.h"

/* getopt_long returns FLAG_BASE + index for a flag of the table: clear of every letter. */
#define FLAG_BASE 1000
#define HELP_COLUMN 26

static bool
bold_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

static void
print_heading(const char *text)
{
    bool bold = bold_wanted();
    (void)printf("%s%s%s\n", bold ? "\033[1m" : "", text, bold ? "\033[0m" : "");
}

static void
print_indented(const char *text)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        int chars = end != NULL ? (int)(end - line) : (int)strlen(line);
        (void)printf("%s%.*s\n", chars > 0 ? "  " : "", chars, line);
        line = end != NULL ? end + 1 : NULL;
    }
}

void
weir_cli_examples(const char *examples)
{
    print_heading("Examples:");
    print_indented(examples);
    (void)printf("\n");
}

static void
print_flag(const struct weir_flag *flag)
{
    char left[64];
    char letter[8] = "    ";
    if (flag->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    }
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, flag->name,
        flag->arg != NULL ? " " : "", flag->arg != NULL ? flag->arg : "");
    (void)printf("  %-*s  %s\n", HELP_COLUMN, left, flag->text);
}

static void
print_verb_help(const struct weir_verb *verb)
{
    weir_cli_examples(verb->examples);
    print_heading("Usage:");
    (void)printf("  weir %s%s%s%s\n\n%s.\n\n", verb->name, verb->flag_cnt > 0 ? " [flags]" : "",
        verb->args[0] != '\0' ? " " : "", verb->args, verb->text);
    print_heading("Flags:");
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        print_flag(&verb->flags[i]);
    }
    print_flag(&(struct weir_flag){"help", 'h', NULL, "print this"});
    if (verb->notes != NULL) {
        (void)printf("\n%s", verb->notes);
    }
}

static void
print_help(void)
{
    weir_cli_examples("weir run nexmark -p query=q5 -p events=gen:1000000,seed=1 -p output=q5.csv\n"
                      "weir plan nexmark -p query=q5     # what runs where, and why\n"
                      "weir config defaults >weir.yaml   # every key, with its meaning\n");
    print_heading("Usage:");
    (void)printf("  weir VERB [flags] [arguments]\n  weir VERB -h\n\n");
    print_heading("Verbs:");
    for (size_t i = 0; i < weir_verbs_cnt; i++) {
        (void)printf("  %-18s %s\n", weir_verbs[i]->name, weir_verbs[i]->text);
    }
    (void)printf(
        "\nExit codes: 0 done, 1 the job failed, 2 usage, 65 bad input or a damaged file, 66 no "
        "input,\n69 a service or a job is away, 70 internal error, 71 a host resource is missing, "
        "74 reading or\nwriting failed, 75 another run has taken over, 77 no permission, 78 "
        "configuration,\n130 interrupted twice. `weir explain WEIR-nnnn` says more about an "
        "error.\n");
}

/* In the form of any error, but that the fix names the help to look at. */
static int
usage(const char *command, const char *fmt, va_list list)
{
    const struct weir_err_row *row = weir_err_row(WEIR_EUSAGE);
    (void)fprintf(stderr, "error WEIR-%04d: %s\n  %s: ", row->code, row->text, command);
    (void)vfprintf(stderr, fmt, list);
    (void)fprintf(stderr, "\n  fix: see %s -h (weir explain WEIR-%04d)\n", command, row->code);
    return row->exit_code;
}

int
weir_cli_usage(const struct weir_args *args, const char *fmt, ...)
{
    char command[64];
    va_list list;
    (void)snprintf(command, sizeof command, "weir %s", args->verb->name);
    va_start(list, fmt);
    int exit_code = usage(command, fmt, list);
    va_end(list);
    return exit_code;
}

static int refuse_word(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
refuse_word(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    int exit_code = usage("weir", fmt, list);
    va_end(list);
    return exit_code;
}

void
weir_cli_print_json(json_t *doc)
{
    (void)json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)printf("\n");
    json_decref(doc);
}

static const struct weir_flag *
flag_find(const struct weir_verb *verb, const char *name)
{
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        if (strcmp(verb->flags[i].name, name) == 0) {
            return &verb->flags[i];
        }
    }
    WEIR_CHECK(false, "a verb asks for a flag that is not in its table");
    return NULL;
}

const char *
weir_cli_value_at(const struct weir_args *args, const char *flag, size_t idx)
{
    const struct weir_flag *row = flag_find(args->verb, flag);
    for (size_t i = 0; i < args->value_cnt; i++) {
        if (args->value[i].flag == row && idx-- == 0) {
            return args->value[i].value;
        }
    }
    return NULL;
}

const char *
weir_cli_value(const struct weir_args *args, const char *flag)
{
    const char *last = NULL;
    const char *value;
    for (size_t idx = 0; (value = weir_cli_value_at(args, flag, idx)) != NULL; idx++) {
        last = value;
    }
    return last;
}

bool
weir_cli_has(const struct weir_args *args, const char *flag)
{
    return weir_cli_value_at(args, flag, 0) != NULL;
}

/* Fills getopt's two descriptions of the verb's flags; `-h` is added to every verb. */
static void
getopt_tables(const struct weir_verb *verb, char *letters, struct option *longs)
{
    size_t used = 0;
    letters[used++] = '-'; /* arguments come in their place, as option 1 */
    letters[used++] = ':'; /* a missing value is told from an unknown flag */
    letters[used++] = 'h';
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        const struct weir_flag *flag = &verb->flags[i];
        if (flag->letter != 0) {
            letters[used++] = flag->letter;
            letters[used] = ':';
            used += flag->arg != NULL ? 1 : 0;
        }
        longs[i] = (struct option){flag->name, flag->arg != NULL ? required_argument : no_argument,
            NULL, FLAG_BASE + (int)i};
    }
    letters[used] = '\0';
    longs[verb->flag_cnt] = (struct option){"help", no_argument, NULL, 'h'};
    longs[verb->flag_cnt + 1] = (struct option){0};
}

static const struct weir_flag *
flag_of_option(const struct weir_verb *verb, int option)
{
    if (option >= FLAG_BASE) {
        return &verb->flags[option - FLAG_BASE];
    }
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        if (verb->flags[i].letter == option) {
            return &verb->flags[i];
        }
    }
    return NULL;
}

/* The key of the configuration that was meant where a verb takes keys; NULL: none. */
static const char *
key_near(const struct weir_verb *verb, const char *name)
{
    const char *names[WEIR_CONF_CNT];
    bool takes_keys = false;
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        takes_keys = takes_keys || strcmp(verb->flags[i].name, "set") == 0;
    }
    for (size_t i = 0; i < WEIR_CONF_CNT; i++) {
        names[i] = weir_conf_row(i)->opt.name;
    }
    return takes_keys ? weir_opt_nearest(name, names, WEIR_CONF_CNT) : NULL;
}

static int
refuse_flag(const struct weir_args *args, const char *word)
{
    if (strncmp(word, "--", 2) != 0) {
        return weir_cli_usage(args, "unknown flag -%c", optopt);
    }
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *names[WEIR_CLI_FLAG_CNT_MAX + 1];
    for (size_t i = 0; i < args->verb->flag_cnt; i++) {
        names[i] = args->verb->flags[i].name;
    }
    const char *near = weir_opt_nearest(name, names, args->verb->flag_cnt);
    if (near != NULL) {
        return weir_cli_usage(args, "unknown flag --%s; did you mean --%s?", name, near);
    }
    near = key_near(args->verb, name);
    if (near != NULL) {
        return weir_cli_usage(args, "unknown flag --%s; did you mean --set %s=...?", name, near);
    }
    return weir_cli_usage(args, "unknown flag --%s", name);
}

static int
add_argument(struct weir_args *args, const char *text)
{
    if (args->arg_cnt == args->verb->arg_cnt_max) {
        return weir_cli_usage(args, "'%s' is one argument too many", text);
    }
    args->arg[args->arg_cnt++] = text;
    return 0;
}

/* Parses what follows the verb; argv[0] is the verb's last word. Returns 0 or an exit code. */
static int
parse(struct weir_args *args, int argc, char **argv, bool *ret_help)
{
    char letters[2 * WEIR_CLI_FLAG_CNT_MAX + 4];
    struct option longs[WEIR_CLI_FLAG_CNT_MAX + 2];
    getopt_tables(args->verb, letters, longs);
    opterr = 0;
    optind = 0;
    int option;
    int err = 0;
    while (err == 0 && (option = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        const struct weir_flag *flag = flag_of_option(args->verb, option);
        if (option == 'h') {
            *ret_help = true;
        } else if (option == 1) {
            err = add_argument(args, optarg);
        } else if (option == '?') {
            err = refuse_flag(args, argv[optind - 1]);
        } else if (option == ':') {
            err = weir_cli_usage(args, "%s wants a value", argv[optind - 1]);
        } else if (args->value_cnt == WEIR_CLI_VALUE_CNT_MAX) {
            err = weir_cli_usage(args, "more than %d flags", WEIR_CLI_VALUE_CNT_MAX);
        } else {
            args->value[args->value_cnt].flag = flag;
            args->value[args->value_cnt++].value = flag->arg != NULL ? optarg : "";
        }
    }
    for (; err == 0 && optind < argc; optind++) {
        err = add_argument(args, argv[optind]);
    }
    if (err == 0 && !*ret_help && args->arg_cnt < args->verb->arg_cnt_min) {
        err = weir_cli_usage(args, "it wants %s", args->verb->args);
    }
    return err;
}

/* Of a verb of one word and one of two that begins with it, the longer one. */
static const struct weir_verb *
verb_find(int argc, char **argv, int *ret_word_cnt)
{
    const struct weir_verb *found = NULL;
    for (size_t i = 0; i < weir_verbs_cnt; i++) {
        const char *name = weir_verbs[i]->name;
        size_t first = strcspn(name, " ");
        bool two = name[first] == ' ';
        if (strlen(argv[1]) != first || strncmp(argv[1], name, first) != 0) {
            continue;
        }
        if (two ? argc > 2 && strcmp(argv[2], name + first + 1) == 0 : found == NULL) {
            *ret_word_cnt = two ? 2 : 1;
            found = weir_verbs[i];
        }
    }
    return found;
}

static int
refuse_verb(int argc, char **argv)
{
    char first[64];
    char both[130];
    (void)snprintf(first, sizeof first, "%s", argv[1]);
    (void)snprintf(both, sizeof both, "%s %.60s", first, argc > 2 ? argv[2] : "");
    const char *names[64];
    for (size_t i = 0; i < weir_verbs_cnt && i < WEIR_ARRAY_CNT(names); i++) {
        names[i] = weir_verbs[i]->name;
    }
    const char *near = weir_opt_nearest(both, names, weir_verbs_cnt);
    near = near != NULL ? near : weir_opt_nearest(first, names, weir_verbs_cnt);
    return refuse_word("unknown verb '%s'%s%s%s", first, near != NULL ? "; did you mean '" : "",
        near != NULL ? near : "", near != NULL ? "'?" : "");
}

/* The help of a first word that only begins verbs: `weir config -h`. */
static bool
print_group_help(const char *word)
{
    bool found = false;
    size_t chars = strlen(word);
    for (size_t i = 0; i < weir_verbs_cnt; i++) {
        if (strncmp(weir_verbs[i]->name, word, chars) == 0 && weir_verbs[i]->name[chars] == ' ') {
            (void)printf("weir %-18s %s\n", weir_verbs[i]->name, weir_verbs[i]->text);
            found = true;
        }
    }
    return found;
}

static bool
is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* A descriptor of the standard three that is closed would be given to the next file that is opened,
 * which "-" then means. What stands there instead moves no byte: an error says so. */
static void
hold_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest: fd */
        }
    }
}

int
weir_cli_main(int argc, char **argv)
{
    hold_standard_fds();
    char *version[] = {argv[0], (char[]){"version"}, NULL};
    if (argc < 2) {
        return refuse_word("a verb is missing");
    }
    if (is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        print_help();
        return WEIR_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        argc = 2;
        argv = version;
    }
    int word_cnt = 0;
    const struct weir_verb *verb = verb_find(argc, argv, &word_cnt);
    if (verb == NULL) {
        bool group = argc == 3 && is_help(argv[2]) && print_group_help(argv[1]);
        return group ? WEIR_EXIT_OK : refuse_verb(argc, argv);
    }
    struct weir_args args = {.verb = verb};
    bool help = false;
    int err = parse(&args, argc - word_cnt, argv + word_cnt, &help);
    if (err == 0 && help && !(args.arg_cnt > 0 && verb->help_more != NULL)) {
        print_verb_help(verb);
    } else if (err == 0) {
        err = help ? verb->help_more(&args) : verb->run(&args);
    }
    if (err < 0) {
        int exit_code = weir_err_exit_code(err);
        weir_err_print(stderr, err);
        err = exit_code;
    }
    /* What was printed may still be lost, or has been: a full disk behind stdout must not end in
     * 0. */
    bool is_lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (is_lost && err == 0) {
        err = weir_err_push(WEIR_EIO, "what was printed to stdout is not all written");
        weir_err_print(stderr, err);
        err = WEIR_EXIT_IO;
    }
    return err;
}
