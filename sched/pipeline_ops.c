/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_ops.c: the steps of a pipeline, each checked against the schema that the one before
 * left. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sched/pipeline_priv.h"

/* [a, b] takes fields as they are, {x: a, y: b} gives them other names. */
static int
parse_select(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_pipeline_op *op)
{
    struct weir_field fields[WEIR_FIELD_CNT_MAX];
    uint32_t cnt = 0;
    if (node->kind == WEIR_YAML_SCALAR || node->child == NULL) {
        return weir_yaml_fail(parse->file, node->mark,
            "select takes a list of fields, or a map of new names to fields");
    }
    for (const struct weir_yaml_node *item = node->child; item != NULL; item = item->next) {
        uint32_t idx = 0;
        if (cnt == WEIR_FIELD_CNT_MAX) {
            return weir_yaml_fail(
                parse->file, item->mark, "more than %d fields", WEIR_FIELD_CNT_MAX);
        }
        int err = weir_pipeline_field(parse, in, item, &idx);
        if (err != 0) {
            return err;
        }
        fields[cnt] = in->fields[idx];
        fields[cnt].name = item->key != NULL ? item->key : in->fields[idx].name;
        for (uint32_t i = 0; i < cnt; i++) {
            if (strcmp(fields[i].name, fields[cnt].name) == 0) {
                return weir_yaml_fail(
                    parse->file, item->mark, "the field %.64s is there twice", fields[i].name);
            }
        }
        op->conf.select.from[cnt++] = (uint8_t)idx;
    }
    op->out_schema = weir_pipeline_schema_of(parse->pipeline, op->name, fields, cnt);
    return op->out_schema != NULL ? 0 : pipeline_no_memory(parse);
}

/* The longest time of a window. */
#define WINDOW_MOST (INT64_C(366) * 24 * 3600 * WEIR_SEC_NS)

static int
parse_span(const struct pipeline_parse *parse, const struct weir_yaml_node *node,
    struct weir_window_span *ret_span)
{
    static const struct weir_opt size = {.name = "size",
        .type = WEIR_OPT_DURATION,
        .unit = "",
        .least = WEIR_MS,
        .most = WINDOW_MOST,
        .def = "",
        .words = "",
        .text = "length of a window"};
    static const struct weir_opt slide = {.name = "slide",
        .type = WEIR_OPT_DURATION,
        .unit = "",
        .least = WEIR_MS,
        .most = WINDOW_MOST,
        .def = "1ms",
        .words = "",
        .text = "from one window's begin to the next one's"};
    int64_t size_ns = 0;
    int64_t slide_ns = 0;
    const char *unused = NULL;
    int err = weir_pipeline_text(parse, node, "size", true, &unused);
    err = err != 0 ? err : weir_pipeline_value(parse, node, &size, &size_ns);
    err = err != 0 ? err : weir_pipeline_value(parse, node, &slide, &slide_ns);
    if (weir_yaml_get(node, "slide") == NULL) {
        slide_ns = size_ns;
    }
    if (err == 0 && (size_ns % WEIR_MS != 0 || slide_ns % WEIR_MS != 0)) {
        return weir_yaml_fail(parse->file, node->key_mark,
            "size and slide must be whole milliseconds, the unit of event time");
    }
    *ret_span = weir_window_span_of(size_ns / WEIR_MS, slide_ns / WEIR_MS);
    return err;
}

static int
parse_key(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_key *ret_key)
{
    for (const struct weir_yaml_node *item = node != NULL ? node->child : NULL; item != NULL;
         item = item->next) {
        uint32_t idx = 0;
        if (ret_key->field_cnt == WEIR_KEY_FIELD_CNT_MAX) {
            return weir_yaml_fail(
                parse->file, item->mark, "a key has at most %d fields", WEIR_KEY_FIELD_CNT_MAX);
        }
        int err = weir_pipeline_field(parse, in, item, &idx);
        if (err != 0) {
            return err;
        }
        ret_key->field[ret_key->field_cnt++] = in->fields[idx].name;
    }
    if (node != NULL && node->kind != WEIR_YAML_LIST) {
        return weir_yaml_fail(parse->file, node->mark, "key takes a list of fields");
    }
    return 0;
}

static struct weir_aggregate
aggregate_of(enum weir_aggregate_kind kind, const char *field)
{
    switch (kind) {
    case WEIR_AGGREGATE_SUM:
        return weir_aggregate_sum(field);
    case WEIR_AGGREGATE_MIN:
        return weir_aggregate_min(field);
    case WEIR_AGGREGATE_MAX:
        return weir_aggregate_max(field);
    case WEIR_AGGREGATE_AVG:
        return weir_aggregate_avg(field);
    default:
        return weir_aggregate_count();
    }
}

/* count: NAME, or sum|min|max|avg: {NAME: FIELD}; exactly one of them. */
static int
parse_aggregate(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_aggregate *ret_aggregate,
    struct weir_field *ret_field)
{
    static const struct {
        const char *name;
        enum weir_aggregate_kind kind;
    } kinds[] = {
        {"count", WEIR_AGGREGATE_COUNT},
        {"sum", WEIR_AGGREGATE_SUM},
        {"min", WEIR_AGGREGATE_MIN},
        {"max", WEIR_AGGREGATE_MAX},
        {"avg", WEIR_AGGREGATE_AVG},
    };
    const struct weir_yaml_node *found = NULL;
    uint32_t found_cnt = 0;
    enum weir_aggregate_kind kind = WEIR_AGGREGATE_COUNT;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(kinds); i++) {
        const struct weir_yaml_node *here = weir_yaml_get(node, kinds[i].name);
        if (here != NULL) {
            found = here;
            kind = kinds[i].kind;
            found_cnt++;
        }
    }
    if (found_cnt != 1) {
        return weir_yaml_fail(
            parse->file, node->key_mark, "a window takes one of count, sum, min, max, avg");
    }
    *ret_field = (struct weir_field){.name = found->text, .type = WEIR_TYPE_I64};
    *ret_aggregate = aggregate_of(kind, NULL);
    if (kind == WEIR_AGGREGATE_COUNT) {
        bool good = found->kind == WEIR_YAML_SCALAR && found->text[0] != '\0';
        return good ? 0 : weir_yaml_fail(parse->file, found->key_mark, "count takes a name");
    }
    const struct weir_yaml_node *of = found->kind == WEIR_YAML_MAP ? found->child : NULL;
    if (of == NULL || of->next != NULL) {
        return weir_yaml_fail(parse->file, found->key_mark, "%s takes {NAME: FIELD}", found->key);
    }
    uint32_t idx = 0;
    int err = weir_pipeline_field(parse, in, of, &idx);
    if (err != 0) {
        return err;
    }
    const struct weir_field *field = &in->fields[idx];
    *ret_aggregate = aggregate_of(kind, field->name);
    ret_field->name = of->key;
    ret_field->scale = field->scale;
    ret_field->type = kind == WEIR_AGGREGATE_AVG ? (uint16_t)WEIR_TYPE_F64
                      : kind == WEIR_AGGREGATE_SUM && field->type == WEIR_TYPE_I32
                          ? (uint16_t)WEIR_TYPE_I64
                      : field->type == WEIR_TYPE_TIME ? (uint16_t)WEIR_TYPE_TS
                                                      : field->type;
    return 0;
}

/* What makes a window one of each key for itself: session: GAP, size: and step:, lateness:. */
static int
parse_general(const struct pipeline_parse *parse, const struct weir_yaml_node *node,
    struct weir_general_conf *ret_general)
{
    static const struct weir_opt times[] = {
        {"session", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, WINDOW_MOST, "", "",
            "the longest pause between two records of a session"},
        {"step", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, WINDOW_MOST, "", "",
            "by which a window of size grows"},
        {"lateness", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, WINDOW_MOST, "", "",
            "how long a window that has fired takes late records, and fires again"},
    };
    int64_t ns[WEIR_ARRAY_CNT(times)] = {0};
    const bool is_session = weir_yaml_get(node, "session") != NULL;
    const bool is_step = weir_yaml_get(node, "step") != NULL;
    struct weir_window_span span = {0, 0, 0};
    int err = 0;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(times) && err == 0; i++) {
        const struct weir_yaml_node *time = weir_yaml_get(node, times[i].name);
        err = time != NULL ? weir_pipeline_value(parse, node, &times[i], &ns[i]) : 0;
        if (err == 0 && ns[i] % WEIR_MS != 0) {
            return weir_yaml_fail(parse->file, time->mark,
                "%s must be whole milliseconds, the unit of event time", times[i].name);
        }
    }
    bool has_span = weir_yaml_get(node, "size") != NULL || weir_yaml_get(node, "slide") != NULL;
    if (err == 0 && ((is_session && (has_span || is_step)) ||
                        (is_step && weir_yaml_get(node, "slide") != NULL))) {
        return weir_yaml_fail(
            parse->file, node->key_mark, "a window has session:, or size: with slide: or step:");
    }
    if (err == 0 && weir_yaml_get(node, "key") == NULL) {
        return weir_yaml_fail(parse->file, node->key_mark,
            "windows with session:, step: or lateness: are of each key: name it as key:");
    }
    err = err != 0 || is_session ? err : parse_span(parse, node, &span);
    ret_general->span = is_session ? WEIR_SESSIONS(ns[0] / WEIR_MS)
                        : is_step  ? WEIR_CUMULATES(span.size_ms, ns[1] / WEIR_MS)
                                   : WEIR_SLIDES(span.size_ms, span.slide_ms);
    ret_general->lateness_ms = ns[2] / WEIR_MS;
    return err;
}

int
weir_pipeline_key(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_key *ret_key, struct weir_field *ret_fields)
{
    int err = parse_key(parse, in, weir_yaml_get(node, "key"), ret_key);
    for (uint32_t i = 0; err == 0 && i < ret_key->field_cnt; i++) {
        ret_fields[i] = in->fields[weir_schema_field(in, ret_key->field[i])];
        bool time = ret_fields[i].type == WEIR_TYPE_TIME;
        ret_fields[i].type = time ? (uint16_t)WEIR_TYPE_TS : ret_fields[i].type;
    }
    return err;
}

static int
parse_window(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *node, struct weir_pipeline_op *op)
{
    static const char *const keys[] = {
        "key", "size", "slide", "session", "step", "lateness", "count", "sum", "min", "max", "avg"};
    struct weir_key key;
    struct weir_aggregate aggregate;
    struct weir_field fields[2 + WEIR_KEY_FIELD_CNT_MAX + 1];
    uint32_t cnt = 0;
    memset(&key, 0, sizeof key);
    if (node->kind != WEIR_YAML_MAP) {
        return weir_yaml_fail(parse->file, node->mark,
            "window takes a map: {key: [a], size: 10s, "
            "count: n}");
    }
    if (parse->pipeline->has_changes) {
        return weir_yaml_fail(parse->file, node->key_mark,
            "windows take no table that changes: put them before group: and rank:");
    }
    if (!parse->pipeline->timed) {
        return weir_yaml_fail(
            parse->file, node->key_mark, "windows need event time: name its field as source.time");
    }
    bool is_general = weir_yaml_get(node, "session") != NULL ||
                      weir_yaml_get(node, "step") != NULL ||
                      weir_yaml_get(node, "lateness") != NULL;
    op->kind = is_general ? WEIR_PIPELINE_GENERAL : WEIR_PIPELINE_WINDOW;
    fields[cnt++] = (struct weir_field){.name = "window_start", .type = WEIR_TYPE_TS};
    fields[cnt++] = (struct weir_field){.name = "window_end", .type = WEIR_TYPE_TS};
    int err = weir_pipeline_keys(parse, node, keys, WEIR_ARRAY_CNT(keys));
    if (err == 0) {
        err = is_general ? parse_general(parse, node, &op->conf.general)
                         : parse_span(parse, node, &op->conf.window.span);
    }
    err = err != 0 ? err : weir_pipeline_key(parse, in, node, &key, &fields[cnt]);
    cnt += key.field_cnt;
    err = err != 0 ? err : parse_aggregate(parse, in, node, &aggregate, &fields[cnt]);
    if (err != 0) {
        return err;
    }
    op->out_schema = weir_pipeline_schema_of(parse->pipeline, op->name, fields, cnt + 1);
    if (op->out_schema == NULL) {
        return pipeline_no_memory(parse);
    }
    if (is_general) {
        op->conf.general.key = key;
        op->conf.general.aggregate = aggregate;
        err = weir_general_check(&op->conf.general, in, op->out_schema);
    } else {
        op->conf.window.key = key;
        op->conf.window.aggregate = aggregate;
        err = weir_window_check(&op->conf.window, in, op->out_schema);
    }
    return err != 0 ? weir_yaml_fail(parse->file, node->key_mark, "this window cannot be") : 0;
}

static int
parse_op(const struct pipeline_parse *parse, const struct weir_schema *in,
    const struct weir_yaml_node *item)
{
    static const char *const names[] = {"where", "select", "window", "group", "rank"};
    struct weir_pipeline *pipeline = parse->pipeline;
    if (item->kind != WEIR_YAML_MAP || item->child == NULL || item->child->next != NULL) {
        return weir_yaml_fail(
            parse->file, item->mark, "a step is one of where:, select:, window:, group:, rank:");
    }
    if (pipeline->op_cnt == WEIR_PIPELINE_OP_CNT_MAX) {
        return weir_yaml_fail(
            parse->file, item->mark, "more than %d steps", WEIR_PIPELINE_OP_CNT_MAX);
    }
    const struct weir_yaml_node *node = item->child;
    int err = weir_pipeline_keys(parse, item, names, WEIR_ARRAY_CNT(names));
    if (err != 0) {
        return err;
    }
    struct weir_pipeline_op *op = &pipeline->op[pipeline->op_cnt++];
    (void)snprintf(op->name, sizeof op->name, "%.8s_%u", node->key, pipeline->op_cnt);
    op->out_schema = in;
    if (strcmp(node->key, "where") == 0) {
        op->kind = WEIR_PIPELINE_WHERE;
        return weir_pipeline_where(parse, in, node, &op->conf.where);
    }
    if (strcmp(node->key, "select") == 0) {
        op->kind = WEIR_PIPELINE_SELECT;
        return parse_select(parse, in, node, op);
    }
    if (strcmp(node->key, "group") == 0) {
        op->kind = WEIR_PIPELINE_GROUP;
        return weir_pipeline_group(parse, in, node, op);
    }
    if (strcmp(node->key, "rank") == 0) {
        op->kind = WEIR_PIPELINE_RANK;
        return weir_pipeline_rank(parse, in, node, op);
    }
    return parse_window(parse, in, node, op);
}

int
weir_pipeline_ops(const struct pipeline_parse *parse, const struct weir_yaml_node *list)
{
    const struct weir_schema *schema = parse->pipeline->schema;
    int err = 0;
    if (list == NULL) {
        return 0;
    }
    if (list->kind != WEIR_YAML_LIST) {
        return weir_yaml_fail(parse->file, list->mark, "ops is a list of steps");
    }
    for (const struct weir_yaml_node *item = list->child; err == 0 && item != NULL;
         item = item->next) {
        err = parse_op(parse, schema, item);
        schema = err == 0 ? parse->pipeline->op[parse->pipeline->op_cnt - 1].out_schema : schema;
    }
    return err;
}
