/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_changes.c: the steps that make a table which changes, and what becomes of it in the
 * sink. */
#include <string.h>

#include "base/err.h"
#include "sched/pipeline_priv.h"

/* A field of the input that is named by the key of a map. */
static int
field_of_key(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, uint32_t *ret_idx)
{
    struct weir_yaml_node name = *node;
    name.kind = WEIR_YAML_SCALAR;
    name.text = node->key;
    name.mark = node->key_mark;
    return weir_pipeline_field(parse, in, &name, ret_idx);
}

/* The table from here on, by its key. */
static int
begin_table(const struct pipeline_parse *parse, const struct weir_yaml_node *node,
    const struct weir_key *key)
{
    if (key->field_cnt == 0) {
        return weir_yaml_fail(
            parse->file, node->key_mark, "%s is of each key: name it as key:", node->key);
    }
    parse->pipeline->has_changes = true;
    parse->pipeline->table_key = *key;
    return 0;
}

/* ---- group ---- */

static const char *const group_names[WEIR_GROUP_KIND_CNT] = {
    "count", "distinct", "sum", "avg", "min", "max"};

static int
add_column(const struct pipeline_parse *parse, const struct weir_yaml_node *at,
    const struct weir_group_column *column, struct weir_group_conf *conf)
{
    if (conf->column_cnt == WEIR_GROUP_COLUMN_CNT_MAX) {
        return weir_yaml_fail(
            parse->file, at->mark, "more than %d columns", WEIR_GROUP_COLUMN_CNT_MAX);
    }
    for (uint32_t i = 0; i < conf->column_cnt; i++) {
        if (strcmp(conf->column[i].as, column->as) == 0) {
            return weir_yaml_fail(
                parse->file, at->mark, "the column %.64s is there twice", column->as);
        }
    }
    conf->column[conf->column_cnt++] = *column;
    return 0;
}

/* count: NAME, or {NAME: FIELD, ...} of the others. */
static int
parse_columns(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_group_conf *conf)
{
    struct weir_group_column column = {.as = node->text};
    while (strcmp(group_names[column.kind], node->key) != 0) {
        column.kind++;
    }
    if (column.kind == WEIR_GROUP_COUNT) {
        bool good = node->kind == WEIR_YAML_SCALAR && node->text[0] != '\0';
        return good ? add_column(parse, node, &column, conf)
                    : weir_yaml_fail(parse->file, node->key_mark, "count takes a name");
    }
    if (node->kind != WEIR_YAML_MAP || node->child == NULL) {
        return weir_yaml_fail(parse->file, node->key_mark, "%s takes {NAME: FIELD}", node->key);
    }
    int err = 0;
    for (const struct weir_yaml_node *of = node->child; of != NULL && err == 0; of = of->next) {
        uint32_t idx = 0;
        err = weir_pipeline_field(parse, in, of, &idx);
        column.as = of->key;
        column.of = in->fields[idx].name;
        err = err != 0 ? err : add_column(parse, of, &column, conf);
    }
    return err;
}

/* Counts are numbers; the others are as their field, in 8 bytes. */
static struct weir_field
field_of_column(const struct weir_schema *in, const struct weir_group_column *column)
{
    struct weir_field field = {.name = column->as, .type = WEIR_TYPE_I64};
    if (column->kind > WEIR_GROUP_DISTINCT) {
        const struct weir_field *of = &in->fields[weir_schema_field(in, column->of)];
        field.scale = of->scale;
        field.type = of->type == WEIR_TYPE_I32    ? (uint16_t)WEIR_TYPE_I64
                     : of->type == WEIR_TYPE_TIME ? (uint16_t)WEIR_TYPE_TS
                                                  : of->type;
    }
    return field;
}

/* What the operator would say of it, said at its place. */
static int
check_group(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, const struct weir_pipeline_op *op)
{
    struct weir_group group;
    struct weir_group_schemas schemas = {.key = op->conf.group.key,
        .in = in,
        .out = op->out_schema,
        .takes_changes = parse->pipeline->has_changes};
    int err = weir_key_resolve(&schemas.key, in);
    err = err != 0 ? err : weir_group_init(&group, &op->conf.group.conf, &schemas);
    return err != 0 ? weir_yaml_fail(parse->file, node->key_mark, "this group cannot be") : 0;
}

int
weir_pipeline_group(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_pipeline_op *op)
{
    static const char *const keys[] = {"key", "count", "distinct", "sum", "avg", "min", "max"};
    struct weir_group_conf *conf = &op->conf.group.conf;
    struct weir_key *key = &op->conf.group.key;
    struct weir_field fields[WEIR_KEY_FIELD_CNT_MAX + WEIR_GROUP_COLUMN_CNT_MAX];
    if (node->kind != WEIR_YAML_MAP) {
        return weir_yaml_fail(
            parse->file, node->mark, "group takes a map: {key: [a], count: n, sum: {total: b}}");
    }
    int err = weir_pipeline_keys(parse, node, keys, WEIR_ARRAY_CNT(keys));
    err = err != 0 ? err : weir_pipeline_key(parse, in, node, key, fields);
    for (const struct weir_yaml_node *at = node->child; at != NULL && err == 0; at = at->next) {
        err = strcmp(at->key, "key") != 0 ? parse_columns(parse, in, at, conf) : 0;
    }
    if (err != 0) {
        return err;
    }
    for (uint32_t i = 0; i < conf->column_cnt; i++) {
        fields[key->field_cnt + i] = field_of_column(in, &conf->column[i]);
    }
    op->out_schema = weir_pipeline_schema_of(
        parse->pipeline, op->name, fields, key->field_cnt + conf->column_cnt);
    if (op->out_schema == NULL) {
        return pipeline_no_memory(parse);
    }
    err = check_group(parse, in, node, op);
    return err != 0 ? err : begin_table(parse, node, key);
}

/* ---- rank ---- */

/* by: {price: desc, at: asc} */
static int
parse_order(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_ranking_conf *conf)
{
    const struct weir_yaml_node *map = weir_yaml_get(node, "by");
    uint32_t cnt = 0;
    if (map == NULL || map->kind != WEIR_YAML_MAP || map->child == NULL) {
        return weir_yaml_fail(parse->file, node->key_mark,
            "a rank has an order: by: {FIELD: desc}, or asc; perhaps with more fields");
    }
    for (const struct weir_yaml_node *at = map->child; at != NULL; at = at->next) {
        uint32_t idx = 0;
        int err = field_of_key(parse, in, at, &idx);
        if (err != 0) {
            return err;
        }
        bool is_desc = at->kind == WEIR_YAML_SCALAR && strcmp(at->text, "desc") == 0;
        bool is_asc = at->kind == WEIR_YAML_SCALAR && strcmp(at->text, "asc") == 0;
        if (cnt == WEIR_ROW_ORDER_CNT_MAX || (!is_desc && !is_asc)) {
            return weir_yaml_fail(parse->file, at->mark,
                "by takes asc or desc of at most %d fields", WEIR_ROW_ORDER_CNT_MAX);
        }
        conf->by[cnt++] =
            (struct weir_row_by){.field = in->fields[idx].name, .descending = is_desc};
    }
    return 0;
}

/* The fields of the input, and the rank behind them where it has a name. */
static int
rank_schema(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_pipeline_op *op)
{
    struct weir_field fields[WEIR_FIELD_CNT_MAX + 1];
    const char *as = op->conf.rank.conf.rank_as;
    memcpy(fields, in->fields, in->field_cnt * sizeof fields[0]);
    if (as != NULL) {
        fields[in->field_cnt] = (struct weir_field){.name = as, .type = WEIR_TYPE_I64};
        if (in->field_cnt == WEIR_FIELD_CNT_MAX || weir_schema_field(in, as) >= 0) {
            return weir_yaml_fail(
                parse->file, node->key_mark, "there is no place for a field %.64s", as);
        }
    }
    op->out_schema = weir_pipeline_schema_of(
        parse->pipeline, op->name, fields, in->field_cnt + (as != NULL ? 1 : 0));
    return op->out_schema != NULL ? 0 : pipeline_no_memory(parse);
}

int
weir_pipeline_rank(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_pipeline_op *op)
{
    static const char *const keys[] = {"key", "by", "first", "as"};
    static const struct weir_opt first = {.name = "first",
        .type = WEIR_OPT_INT,
        .unit = "",
        .least = 1,
        .most = WEIR_RANKING_CNT_MAX,
        .def = "1",
        .words = "",
        .text = "rows of a key that stay"};
    struct weir_ranking_conf *conf = &op->conf.rank.conf;
    struct weir_key *key = &op->conf.rank.key;
    struct weir_field fields[WEIR_KEY_FIELD_CNT_MAX];
    struct weir_ranking ranking;
    int64_t cnt = 0;
    if (node->kind != WEIR_YAML_MAP) {
        return weir_yaml_fail(
            parse->file, node->mark, "rank takes a map: {key: [a], by: {b: desc}, first: 3}");
    }
    int err = weir_pipeline_keys(parse, node, keys, WEIR_ARRAY_CNT(keys));
    err = err != 0 ? err : weir_pipeline_key(parse, in, node, key, fields);
    err = err != 0 ? err : parse_order(parse, in, node, conf);
    err = err != 0 ? err : weir_pipeline_value(parse, node, &first, &cnt);
    err = err != 0 ? err : weir_pipeline_text(parse, node, "as", false, &conf->rank_as);
    conf->cnt = (uint32_t)cnt;
    err = err != 0 ? err : rank_schema(parse, in, node, op);
    if (err == 0 &&
        weir_ranking_init(&ranking, conf, in, op->out_schema, parse->pipeline->has_changes) != 0) {
        err = weir_yaml_fail(parse->file, node->key_mark, "this rank cannot be");
    }
    return err != 0 ? err : begin_table(parse, node, key);
}

/* ---- the sink ---- */

int
weir_pipeline_table(const struct pipeline_parse *parse, const struct weir_yaml_node *sink)
{
    static const struct weir_opt changes = {.name = "changes",
        .type = WEIR_OPT_CHOICE,
        .unit = "",
        .def = "fold",
        .words = "fold log upsert",
        .text = "what a table that changes is written as"};
    struct weir_pipeline *pipeline = parse->pipeline;
    const struct weir_yaml_node *given = weir_yaml_get(sink, "changes");
    const struct weir_schema *schema =
        pipeline->op_cnt > 0 ? pipeline->op[pipeline->op_cnt - 1].out_schema : pipeline->schema;
    int64_t mode = 0;
    int err = weir_pipeline_value(parse, sink, &changes, &mode);
    if (err == 0 && given != NULL && !pipeline->has_changes) {
        return weir_yaml_fail(
            parse->file, given->key_mark, "changes is there for what group: and rank: make");
    }
    for (uint32_t i = 0; i < pipeline->table_key.field_cnt && err == 0 && mode == 0; i++) {
        if (weir_schema_field(schema, pipeline->table_key.field[i]) < 0) {
            err = weir_yaml_fail(parse->file, sink->key_mark,
                "the table is kept by its key until its end: a select has left out %.64s",
                pipeline->table_key.field[i]);
        }
    }
    pipeline->changes = (enum weir_pipeline_changes)mode;
    return err;
}
