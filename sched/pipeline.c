/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sched/pipeline_priv.h"
#include "sched/table.h"

struct block {
    struct block *next;
    _Alignas(16) char bytes[];
};

void *
weir_pipeline_alloc(struct weir_pipeline *pipeline, size_t bytes)
{
    struct block *block = calloc(1, sizeof *block + bytes);
    if (block == NULL) {
        return NULL;
    }
    block->next = pipeline->blocks;
    pipeline->blocks = block;
    return block->bytes;
}

int
weir_pipeline_keys(const struct pipeline_parse *parse, const struct weir_yaml_node *map,
    const char *const *names, size_t name_cnt)
{
    for (const struct weir_yaml_node *child = map->child; child != NULL; child = child->next) {
        bool known = false;
        for (size_t i = 0; i < name_cnt; i++) {
            known = known || strcmp(names[i], child->key) == 0;
        }
        if (!known) {
            const char *near = weir_opt_nearest(child->key, names, name_cnt);
            return weir_yaml_fail(parse->file, child->key_mark, "unknown key '%.64s'%s%s%s",
                child->key, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                near != NULL ? "'?" : "");
        }
    }
    return 0;
}

int
weir_pipeline_text(const struct pipeline_parse *parse, const struct weir_yaml_node *map,
    const char *key, bool required, const char **ret_text)
{
    const struct weir_yaml_node *node = weir_yaml_get(map, key);
    if (node == NULL) {
        struct weir_yaml_mark mark = map->key != NULL ? map->key_mark : map->mark;
        return required ? weir_yaml_fail(parse->file, mark, "%s is missing here", key) : 0;
    }
    if (node->kind != WEIR_YAML_SCALAR || node->text[0] == '\0') {
        return weir_yaml_fail(parse->file, node->key_mark, "%s must be one value", key);
    }
    *ret_text = node->text;
    return 0;
}

int
weir_pipeline_value(const struct pipeline_parse *parse, const struct weir_yaml_node *map,
    const struct weir_opt *opt, int64_t *ret_number)
{
    const char *text = opt->def;
    char why[WEIR_OPT_WHY_BYTES];
    struct weir_opt_value value;
    int err = weir_pipeline_text(parse, map, opt->name, false, &text);
    if (err == 0 && weir_opt_parse(opt, text, &value, why) != 0) {
        err = weir_yaml_fail(
            parse->file, weir_yaml_get(map, opt->name)->mark, "%s %s", opt->name, why);
    }
    if (err == 0) {
        *ret_number = value.number;
    }
    return err;
}

int
weir_pipeline_field(const struct pipeline_parse *parse, const struct weir_schema *schema,
    const struct weir_yaml_node *node, uint32_t *ret_idx)
{
    const char *names[WEIR_FIELD_CNT_MAX];
    if (node->kind != WEIR_YAML_SCALAR) {
        return weir_yaml_fail(parse->file, node->mark, "a field's name is due here");
    }
    int idx = weir_schema_field(schema, node->text);
    if (idx >= 0) {
        *ret_idx = (uint32_t)idx;
        return 0;
    }
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        names[i] = schema->fields[i].name;
    }
    const char *near = weir_opt_nearest(node->text, names, schema->field_cnt);
    return weir_yaml_fail(parse->file, node->mark, "there is no field '%.64s' here%s%s%s",
        node->text, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
        near != NULL ? "'?" : "");
}

static int
parse_separator(const struct pipeline_parse *parse, const struct weir_yaml_node *source)
{
    const char *text = ",";
    int err = weir_pipeline_text(parse, source, "separator", false, &text);
    if (err == 0 && (strlen(text) != 1 || text[0] == '"')) {
        return weir_yaml_fail(parse->file, weir_yaml_get(source, "separator")->mark,
            "separator is '%.16s', and must be one character, not a quote", text);
    }
    parse->pipeline->csv.separator = text[0];
    return err;
}

static const struct weir_opt lines_params[] = {WEIR_LINES_PARAMS};
_Static_assert(WEIR_ARRAY_CNT(lines_params) + 3 == WEIR_PIPELINE_PARAM_CNT, "with both paths");

/* What the file says of bad lines and connections becomes the default of the parameter of that
 * name. */
static int
parse_lines(const struct pipeline_parse *parse, const struct weir_yaml_node *source)
{
    struct weir_opt *params = parse->pipeline->params + 2;
    memcpy(params, lines_params, sizeof lines_params);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(lines_params); i++) {
        int64_t unused = 0;
        const struct weir_yaml_node *node = weir_yaml_get(source, params[i].name);
        int err = node != NULL ? weir_pipeline_value(parse, source, &params[i], &unused) : 0;
        if (err != 0) {
            return err;
        }
        params[i].def = node != NULL ? node->text : params[i].def;
    }
    const struct weir_yaml_node *bad_lines = weir_yaml_get(source, "bad_lines");
    const struct weir_yaml_node *on_error = weir_yaml_get(source, "on_error");
    bool aside = on_error != NULL && strcmp(on_error->text, "side") == 0;
    if (aside && bad_lines == NULL) {
        return weir_yaml_fail(parse->file, on_error->key_mark,
            "on_error: side wants bad_lines: FILE, the table of malformed lines");
    }
    if (bad_lines != NULL && !aside) {
        return weir_yaml_fail(
            parse->file, bad_lines->key_mark, "bad_lines is there for on_error: side");
    }
    return 0;
}

static int
parse_source(const struct pipeline_parse *parse, const struct weir_yaml_node *source)
{
    static const char *const keys[] = {"path", "format", "header", "separator", "on_error",
        "bad_lines", "reconnect", "reconnect_delay", "time", "lag", "schema"};
    static const struct weir_opt format = {.name = "format",
        .type = WEIR_OPT_CHOICE,
        .unit = "",
        .def = "csv",
        .words = "csv json",
        .text = "form of the lines"};
    static const struct weir_opt header = {.name = "header",
        .type = WEIR_OPT_BOOL,
        .unit = "",
        .most = 1,
        .def = "true",
        .words = "",
        .text = "whether the first line names the columns"};
    static const struct weir_opt lag = {.name = "lag",
        .type = WEIR_OPT_DURATION,
        .unit = "",
        .most = INT64_C(366) * 24 * 3600 * WEIR_SEC_NS,
        .def = "0s",
        .words = "",
        .text = "how far watermarks stay behind the event time"};
    struct weir_pipeline *pipeline = parse->pipeline;
    const char *time = NULL;
    int64_t number[3] = {0};
    int err = weir_pipeline_keys(parse, source, keys, WEIR_ARRAY_CNT(keys));
    err = err != 0 ? err : weir_pipeline_text(parse, source, "path", true, &pipeline->input);
    err = err != 0 ? err : weir_pipeline_text(parse, source, "time", false, &time);
    err = err != 0 ? err : weir_pipeline_value(parse, source, &format, &number[0]);
    err = err != 0 ? err : weir_pipeline_value(parse, source, &header, &number[1]);
    err = err != 0 ? err : weir_pipeline_value(parse, source, &lag, &number[2]);
    err = err != 0 ? err : parse_separator(parse, source);
    err = err != 0 ? err : parse_lines(parse, source);
    if (err != 0) {
        return err;
    }
    pipeline->json = number[0] == 1;
    pipeline->csv.has_header = number[1] == 1;
    pipeline->lag_ms = number[2] / WEIR_MS;
    pipeline->timed = time != NULL;
    if (pipeline->lag_ms * WEIR_MS != number[2]) {
        return weir_yaml_fail(parse->file, weir_yaml_get(source, "lag")->mark,
            "lag must be whole milliseconds, the unit of event time");
    }
    if (weir_yaml_get(source, "lag") != NULL && time == NULL) {
        return weir_yaml_fail(parse->file, weir_yaml_get(source, "lag")->key_mark,
            "lag says how far watermarks stay behind the event time: name its field as time");
    }
    return weir_pipeline_schema(parse, weir_yaml_get(source, "schema"), time, &pipeline->schema);
}

static const struct weir_yaml_node *
section_of(const struct weir_yaml_node *section, const char *key)
{
    const struct weir_yaml_node *node = weir_yaml_get(section, key);
    return node != NULL && node->kind == WEIR_YAML_MAP ? node : NULL;
}

static int
parse_pipeline(const struct pipeline_parse *parse, const struct weir_yaml_node *section)
{
    static const char *const keys[] = {"source", "ops", "sink"};
    static const char *const sink_keys[] = {"path", "changes"};
    struct weir_pipeline *pipeline = parse->pipeline;
    const struct weir_yaml_node *source = section_of(section, "source");
    const struct weir_yaml_node *sink = section_of(section, "sink");
    int err = section->kind == WEIR_YAML_MAP
                  ? weir_pipeline_keys(parse, section, keys, WEIR_ARRAY_CNT(keys))
                  : 0;
    if (err == 0 && (source == NULL || sink == NULL)) {
        return weir_yaml_fail(parse->file, section->key_mark,
            "a pipeline is a map with source: and sink:, maps themselves, and maybe ops:");
    }
    err = err != 0 ? err : parse_source(parse, source);
    err = err != 0 ? err : weir_pipeline_ops(parse, weir_yaml_get(section, "ops"));
    err = err != 0 ? err : weir_pipeline_keys(parse, sink, sink_keys, WEIR_ARRAY_CNT(sink_keys));
    err = err != 0 ? err : weir_pipeline_text(parse, sink, "path", true, &pipeline->output);
    err = err != 0 ? err : weir_pipeline_table(parse, sink);
    return err;
}

int
weir_pipeline_open(const struct weir_yaml *file, const struct weir_yaml_node *section,
    struct weir_pipeline **ret_pipeline)
{
    struct weir_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s", weir_yaml_name(file));
    }
    const struct pipeline_parse parse = {.file = file, .pipeline = pipeline};
    int err = parse_pipeline(&parse, section);
    if (err != 0) {
        weir_pipeline_close(pipeline);
        return err;
    }
    pipeline->params[0] = (struct weir_opt){.name = "input",
        .type = WEIR_OPT_STRING,
        .unit = "",
        .least = 1,
        .most = 4095,
        .def = pipeline->input,
        .words = "",
        .text = "what to read: a file, a directory, -, or tcp://host:port"};
    pipeline->params[1] = (struct weir_opt){.name = "output",
        .type = WEIR_OPT_STRING,
        .unit = "",
        .least = 1,
        .most = 4095,
        .def = pipeline->output,
        .words = "",
        .text = "the table: a file, a directory ending in /, - for stdout, or discard"};
    *ret_pipeline = pipeline;
    return 0;
}

void
weir_pipeline_close(struct weir_pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    struct block *block = pipeline->blocks;
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(pipeline);
}
