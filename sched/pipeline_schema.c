/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_schema.c: a schema that the user declares, laid out as the compiler lays out one of
 * C. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sched/pipeline_priv.h"

#define SCALE_MAX 18

static const struct {
    const char *name;
    enum weir_type type;
} type_names[] = {
    {"bool", WEIR_TYPE_BOOL},
    {"i32", WEIR_TYPE_I32},
    {"i64", WEIR_TYPE_I64},
    {"f64", WEIR_TYPE_F64},
    {"decimal", WEIR_TYPE_DEC},
    {"timestamp", WEIR_TYPE_TS},
    {"string", WEIR_TYPE_STR},
};

static uint32_t
type_bytes(uint32_t type)
{
    return type == WEIR_TYPE_BOOL  ? 1
           : type == WEIR_TYPE_I32 ? 4
           : type == WEIR_TYPE_STR ? (uint32_t)sizeof(struct weir_str)
                                   : 8;
}

const struct weir_schema *
weir_pipeline_schema_of(struct weir_pipeline *pipeline, const char *name,
    const struct weir_field *fields, uint32_t field_cnt)
{
    struct weir_schema *schema = weir_pipeline_alloc(pipeline, sizeof *schema);
    struct weir_field *copy = weir_pipeline_alloc(pipeline, field_cnt * sizeof *copy);
    if (schema == NULL || copy == NULL) {
        return NULL;
    }
    *schema =
        (struct weir_schema){.name = name, .fields = copy, .field_cnt = field_cnt, .time_idx = -1};
    for (uint32_t i = 0; i < field_cnt; i++) {
        schema->has_nulls = schema->has_nulls || fields[i].nullable;
        schema->time_idx = fields[i].type == WEIR_TYPE_TIME ? (int32_t)i : schema->time_idx;
    }
    uint32_t off = schema->has_nulls ? (uint32_t)sizeof(uint64_t) : 0;
    for (uint32_t i = 0; i < field_cnt; i++) {
        copy[i] = fields[i];
        copy[i].bytes = type_bytes(fields[i].type);
        off = (uint32_t)weir_align_up(off, weir_min_u32(copy[i].bytes, 8));
        copy[i].off = off;
        off += copy[i].bytes;
    }
    schema->row_bytes = (uint32_t)weir_align_up(off, 8);
    return schema;
}

/* "decimal(3)?" into type, scale and nullable; false: it is none. */
static bool
type_of(const char *text, struct weir_field *field)
{
    size_t chars = strcspn(text, "(?");
    const char *at = text + chars;
    bool found = false;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(type_names); i++) {
        if (strlen(type_names[i].name) == chars && strncmp(text, type_names[i].name, chars) == 0) {
            field->type = type_names[i].type;
            found = true;
        }
    }
    if (found && field->type == WEIR_TYPE_DEC) {
        unsigned scale = SCALE_MAX + 1;
        int used = 0;
        found = isdigit((unsigned char)at[*at == '(' ? 1 : 0]) &&
                sscanf(at, "(%2u)%n", &scale, &used) == 1 && used > 0 && scale <= SCALE_MAX;
        field->scale = (uint16_t)scale;
        at += used;
    }
    if (found && *at == '?') {
        field->nullable = true;
        at++;
    }
    return found && *at == '\0';
}

/* The type whose name is nearest to the text's, or NULL. */
static const char *
type_near(const char *text)
{
    const char *names[WEIR_ARRAY_CNT(type_names)];
    char name[32];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "(?"), text);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(type_names); i++) {
        names[i] = type_names[i].name;
    }
    return weir_opt_nearest(name, names, WEIR_ARRAY_CNT(names));
}

static int
parse_type(const struct pipeline_parse *parse, const struct weir_yaml_node *node,
    struct weir_field *ret_field)
{
    bool good_name = node->key[0] != '\0';
    for (const char *at = node->key; *at != '\0'; at++) {
        good_name = good_name && (isalnum((unsigned char)*at) || *at == '_');
    }
    if (!good_name || isdigit((unsigned char)node->key[0])) {
        return weir_yaml_fail(parse->file, node->key_mark,
            "a field's name is letters, digits and _, and begins with no digit");
    }
    memset(ret_field, 0, sizeof *ret_field);
    ret_field->name = node->key;
    if (node->kind != WEIR_YAML_SCALAR || !type_of(node->text, ret_field)) {
        const char *near = node->kind == WEIR_YAML_SCALAR ? type_near(node->text) : NULL;
        return weir_yaml_fail(parse->file, node->mark,
            "the type of %.64s must be bool, i32, i64, f64, decimal(0 to %d), timestamp or string, "
            "with a ? behind it where it may be null%s%s%s",
            node->key, SCALE_MAX, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
            near != NULL ? "?" : "");
    }
    return 0;
}

int
weir_pipeline_schema(const struct pipeline_parse *parse, const struct weir_yaml_node *map,
    const char *time, const struct weir_schema **ret_schema)
{
    struct weir_field fields[WEIR_FIELD_CNT_MAX];
    uint32_t cnt = 0;
    bool time_found = false;
    if (map == NULL || map->kind != WEIR_YAML_MAP) {
        return weir_err_push(WEIR_ECONFIG,
            "%s: pipeline.source.schema is missing: a map of fields and types",
            weir_yaml_name(parse->file));
    }
    for (const struct weir_yaml_node *node = map->child; node != NULL; node = node->next) {
        if (cnt == WEIR_FIELD_CNT_MAX) {
            return weir_yaml_fail(
                parse->file, node->key_mark, "more than %d fields", WEIR_FIELD_CNT_MAX);
        }
        struct weir_field *field = &fields[cnt++];
        int err = parse_type(parse, node, field);
        if (err != 0) {
            return err;
        }
        if (time != NULL && strcmp(time, field->name) == 0) {
            time_found = true;
            if (field->type != WEIR_TYPE_TS || field->nullable) {
                return weir_yaml_fail(parse->file, node->mark,
                    "%s holds the event time, and must be a timestamp that is never null", time);
            }
            field->type = WEIR_TYPE_TIME;
        }
    }
    if (time != NULL && !time_found) {
        return weir_yaml_fail(
            parse->file, map->key_mark, "the schema has no field %.64s to be the time", time);
    }
    *ret_schema = weir_pipeline_schema_of(parse->pipeline, "input", fields, cnt);
    return *ret_schema != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "the schema");
}
