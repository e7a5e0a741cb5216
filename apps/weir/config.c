/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: `weir config defaults` and `weir config show`: every key, and what a run would use. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "apps/weir/configure.h"
#include "apps/weir/verbs.h"
#include "base/base.h"
#include "base/cgroup.h"
#include "base/err.h"

#define COLUMN_MAX 100
#define TYPE_BYTES 200

/* "SIZE, 4KiB to 16MiB, a power of two". */
static void
type_text(const struct weir_conf_row *row, char *buf, size_t bytes)
{
    static const char *const syntax_names[] = {
        [WEIR_CONF_NAME] = "name",
        [WEIR_CONF_NAMES] = "list of names",
        [WEIR_CONF_CORE_LIST] = "cores",
        [WEIR_CONF_SEED] = "threads, or seed:N",
    };
    char form[TYPE_BYTES / 2 - 2];
    char range[TYPE_BYTES / 2 - 2];
    if (row->syntax != WEIR_CONF_PLAIN) {
        (void)snprintf(buf, bytes, "%s", syntax_names[row->syntax]);
        return;
    }
    weir_opt_form(&row->opt, form, sizeof form);
    weir_opt_range(&row->opt, range, sizeof range);
    (void)snprintf(buf, bytes, "%s%s%s", form, range[0] != '\0' ? ", " : "", range);
}

/* "# " comments of at most 100 columns. */
static void
print_comment(int indent, const char *text)
{
    while (*text != '\0') {
        size_t room = COLUMN_MAX - (size_t)indent - 2;
        size_t chars = strlen(text);
        if (chars > room) {
            for (chars = room; chars > 0 && text[chars] != ' '; chars--) {
            }
        }
        (void)printf("%*s# %.*s\n", indent, "", (int)chars, text);
        text += chars;
        text += *text == ' ' ? 1 : 0;
    }
}

/* Opens the sections of path that were not open for the row before; returns the depth of its key.
 */
static int
print_sections(const char *path, const char *before, bool comment)
{
    int depth = 0;
    const char *at = path;
    const char *dot;
    for (; (dot = strchr(at, '.')) != NULL; at = dot + 1, depth++) {
        size_t bytes = (size_t)(dot - path) + 1;
        bool star = *at == '*';
        if (strncmp(path, before, bytes) != 0) {
            const char *name = star ? "NAME" : at;
            int chars = star ? 4 : (int)(dot - at);
            (void)printf(
                "%s%*s%.*s:\n", comment && depth > 0 ? "#" : "", depth * 2, "", chars, name);
        }
    }
    return depth;
}

static void
print_yaml(void)
{
    char type[TYPE_BYTES];
    char text[TYPE_BYTES + 512];
    const char *before = "";
    (void)printf(
        "# weir.yaml: every key with its built-in value. What stands after # is not set by "
        "default.\n");
    const struct weir_conf_row *row;
    for (size_t key = 0; (row = weir_conf_row(key)) != NULL; before = row->opt.name, key++) {
        bool comment = row->opt.def[0] == '\0';
        const char *name = strrchr(row->opt.name, '.');
        (void)printf("\n");
        int depth = print_sections(row->opt.name, before, comment);
        type_text(row, type, sizeof type);
        (void)snprintf(text, sizeof text, "%s (%s)", row->opt.text, type);
        print_comment(depth * 2, text);
        (void)printf("%s%*s%s:%s%s\n", comment ? "#" : "", depth * 2, "",
            name != NULL ? name + 1 : row->opt.name, comment ? "" : " ", row->opt.def);
    }
    (void)printf(
        "\n# parameters of the job, as -p name=value: `weir run JOB -h` lists them\n#params:\n"
        "#  NAME: VALUE\n");
}

/* Bars would end the cell of a Markdown table. */
static void
print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        (void)printf(*text == '|' ? "\\%c" : "%c", *text);
    }
}

static void
print_markdown(void)
{
    char type[TYPE_BYTES];
    const struct weir_conf_row *row;
    (void)printf("| key | built-in | type and range | what it says |\n| --- | --- | --- | --- |\n");
    for (size_t key = 0; (row = weir_conf_row(key)) != NULL; key++) {
        char path[128];
        const char *star = strchr(row->opt.name, '*');
        (void)snprintf(path, sizeof path, "%.*s%s%s",
            star != NULL ? (int)(star - row->opt.name) : (int)strlen(row->opt.name), row->opt.name,
            star != NULL ? "NAME" : "", star != NULL ? star + 1 : "");
        type_text(row, type, sizeof type);
        (void)printf("| `%s` | ", path);
        if (row->opt.def[0] != '\0') {
            (void)printf("`%s`", row->opt.def);
        }
        (void)printf(" | ");
        print_cell(type);
        (void)printf(" | %s |\n", row->opt.text);
    }
}

/* What a row's numbers count in JSON. */
static const char *
number_unit(const struct weir_opt *opt)
{
    return opt->type == WEIR_OPT_SIZE ? "bytes" : opt->type == WEIR_OPT_DURATION ? "ns" : opt->unit;
}

static json_t *
row_json(const struct weir_conf_row *row)
{
    char type[TYPE_BYTES];
    type_text(row, type, sizeof type);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "key", row->opt.name, "type", type,
        "unit", number_unit(&row->opt), "default", row->opt.def, "words", row->opt.words, "text",
        row->opt.text);
    if (row->opt.most > row->opt.least && row->syntax == WEIR_CONF_PLAIN) {
        json_object_set_new(doc, "least", json_integer(row->opt.least));
        json_object_set_new(doc, "most", json_integer(row->opt.most));
    }
    return doc;
}

static int
defaults_run(const struct weir_args *args)
{
    if (weir_cli_has(args, "json")) {
        json_t *list = json_array();
        for (size_t key = 0; weir_conf_row(key) != NULL; key++) {
            json_array_append_new(list, row_json(weir_conf_row(key)));
        }
        weir_cli_print_json(list);
    } else if (weir_cli_has(args, "markdown")) {
        print_markdown();
    } else {
        print_yaml();
    }
    return WEIR_EXIT_OK;
}

static json_t *
value_json(const struct weir_conf_value *value)
{
    json_t *doc = json_pack(
        "{s:s, s:s, s:s}", "key", value->path, "value", value->text, "origin", value->origin);
    const struct weir_conf_row *row = weir_conf_row(value->key);
    bool number = row != NULL && (row->opt.type == WEIR_OPT_INT || row->opt.type == WEIR_OPT_SIZE ||
                                     row->opt.type == WEIR_OPT_DURATION);
    if (number && value->number != WEIR_CONF_WORD && value->text[0] != '\0') {
        json_object_set_new(doc, "number", json_integer(value->number));
        json_object_set_new(doc, "unit", json_string(number_unit(&row->opt)));
    }
    return doc;
}

/* What `auto` comes to on this host, and by whose limit. */
static void
print_budget(const struct weir_conf *conf)
{
    struct weir_cgroup cgroup;
    if (weir_cgroup_read("", &cgroup) == 0) {
        int64_t budget = weir_conf_memory_budget(conf, cgroup.memory_bytes);
        (void)printf("# memory.budget is %" PRId64 " MiB here (%s)\n", budget / (int64_t)WEIR_MIB,
            cgroup.memory_limit);
    }
}

static int
show_run(const struct weir_args *args)
{
    struct weir_conf *conf = NULL;
    int err = weir_configure(args, NULL, &conf);
    if (err != 0) {
        return err;
    }
    bool origin = weir_cli_has(args, "origin");
    json_t *list = json_array();
    const struct weir_conf_value *value;
    for (size_t i = 0; (value = weir_conf_at(conf, i)) != NULL; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "%s:", value->path);
        json_array_append_new(list, value_json(value));
        if (weir_cli_has(args, "json") || (value->text[0] == '\0' && !origin)) {
            continue;
        }
        if (origin) {
            (void)printf("%-24s %-12s # %s\n", line, value->text, value->origin);
        } else {
            (void)printf("%s %s\n", line, value->text);
        }
    }
    if (weir_cli_has(args, "json")) {
        weir_cli_print_json(list);
    } else {
        json_decref(list);
        print_budget(conf);
    }
    weir_conf_close(conf);
    return WEIR_EXIT_OK;
}

static const struct weir_flag defaults_flags[] = {
    {"json", 0, NULL, "print JSON"},
    {"markdown", 0, NULL, "print the table of docs/configuration.md"},
};

static const struct weir_flag show_flags[] = {
    WEIR_CONFIGURE_FLAGS,
    {"origin", 0, NULL, "print where each value comes from"},
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_config_defaults = {
    .name = "config defaults",
    .args = "",
    .text = "print every configuration key with its built-in value and meaning",
    .examples = "weir config defaults >weir.yaml\n"
                "weir config defaults --json\n",
    .flags = defaults_flags,
    .flag_cnt = WEIR_ARRAY_CNT(defaults_flags),
    .run = defaults_run,
};

const struct weir_verb weir_verb_config_show = {
    .name = "config show",
    .args = "",
    .text = "print the configuration that a run would use, and where each value comes from",
    .examples = "weir config show --origin\n"
                "weir config show -f weir.yaml --set parallelism=2 --origin\n"
                "WEIR_PLACEMENT__SMT=use weir config show --origin\n",
    .notes = WEIR_CONFIGURE_NOTES,
    .flags = show_flags,
    .flag_cnt = WEIR_ARRAY_CNT(show_flags),
    .run = show_run,
};
