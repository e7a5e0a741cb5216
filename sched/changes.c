/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/changes.h"

#include "dataplane/operators/changelog.h"
#include "dataplane/fold.h"
#include "dataplane/joining.h"
#include "sched/graph_node.h"

bool
weir_stream_changes(const struct weir_stream *stream)
{
    bool changes = false;
    for (uint32_t i = 0; i < stream->origin_cnt; i++) {
        const struct weir_graph_link *origin = &stream->origin[i];
        changes |= stream->env->node[origin->from].has_kind[origin->output];
    }
    return changes;
}

/* Whether the operator can be made: there is a stream, and it has a key. */
static bool
has_key(struct weir_stream *in, const char *name)
{
    if (weir_stream_schema(in) == NULL) {
        return false; /* an earlier error's */
    }
    if (weir_stream_key(in) == NULL) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s: the stream has no key", name);
        return false;
    }
    return true;
}

/* An operator that is a process function. */
static struct weir_stream *
add(struct weir_stream *in, const char *name, const struct weir_operator_type *type,
    const struct weir_process_function *function, const struct weir_schema *out_schema)
{
    struct weir_env *env = weir_stream_env(in);
    struct weir_operator_type *kept = weir_env_alloc(env, sizeof *kept);
    const struct weir_process_conf process = {.key = *weir_stream_key(in), .function = function};
    *kept = *type;
    /* Without timers it looks at no watermark: those in front of it need not be exact. */
    kept->watermark = function->timers != NULL ? kept->watermark : NULL;
    const struct weir_operator_conf made = {
        .name = name,
        .type = kept,
        .conf = &process,
        .conf_bytes = sizeof process,
        .out_schema = {out_schema},
        .keeps_state = true,
    };
    return weir_operator(&in, 1, &made);
}

/* What an operator's init said: an error of the graph, with the operator's name. */
static void
note(struct weir_stream *in, const char *name, int err)
{
    if (err != 0) {
        weir_env_fail(weir_stream_env(in), err, "operator %s", name);
    }
}

struct weir_stream *
weir_group(struct weir_stream *in, const char *name, const struct weir_group_conf *conf,
    const struct weir_schema *out_schema)
{
    if (!has_key(in, name)) {
        return in;
    }
    const struct weir_group_schemas schemas = {.key = *weir_stream_key(in),
        .in = weir_stream_schema(in),
        .out = out_schema,
        .takes_changes = weir_stream_changes(in)};
    const struct weir_operator_type type = weir_group_type();
    struct weir_group *group = weir_env_alloc(weir_stream_env(in), sizeof *group);
    note(in, name, weir_group_init(group, conf, &schemas));
    return add(in, name, &type, &group->function, out_schema);
}

struct weir_stream *
weir_rank(struct weir_stream *in, const char *name, const struct weir_ranking_conf *conf,
    const struct weir_schema *out_schema)
{
    if (!has_key(in, name)) {
        return in;
    }
    const struct weir_operator_type type = weir_ranking_type();
    struct weir_ranking *rank = weir_env_alloc(weir_stream_env(in), sizeof *rank);
    note(in, name,
        weir_ranking_init(rank, conf, weir_stream_schema(in), out_schema, weir_stream_changes(in)));
    return add(in, name, &type, &rank->function, out_schema);
}

struct weir_stream *
weir_rolling(struct weir_stream *in, const char *name, const struct weir_rolling_conf *conf,
    const struct weir_schema *out_schema)
{
    if (!has_key(in, name)) {
        return in;
    }
    const struct weir_operator_type type = weir_rolling_type();
    struct weir_rolling *rolling = weir_env_alloc(weir_stream_env(in), sizeof *rolling);
    note(in, name, weir_rolling_init(rolling, conf, weir_stream_schema(in), out_schema));
    return add(in, name, &type, &rolling->function, out_schema);
}

struct weir_stream *
weir_table_join(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join_conf *conf)
{
    struct weir_stream *inputs[2] = {left, right};
    if (!has_key(left, name) || !has_key(right, name)) {
        return left;
    }
    struct weir_env *env = weir_stream_env(left);
    struct weir_operator_type *type = weir_env_alloc(env, sizeof *type);
    struct weir_joining *joining = weir_env_alloc(env, sizeof *joining);
    *type = weir_joining_type();
    note(left, name, weir_joining_init(joining, conf));
    const struct weir_connect_process_conf process = {
        .process = {.key = *weir_stream_key(left), .function = &joining->function},
        .second = &joining->second,
        .second_key = *weir_stream_key(right)};
    note(left, name,
        weir_connect_check(&process, weir_stream_schema(left), weir_stream_schema(right)));
    const struct weir_operator_conf made = {
        .name = name,
        .type = type,
        .conf = &process,
        .conf_bytes = sizeof process,
        .out_schema = {conf->join->out_schema()},
        .keeps_state = true,
    };
    return weir_operator(inputs, 2, &made);
}

struct weir_stream *
weir_fold(struct weir_stream *in, const char *name, enum weir_fold_mode mode)
{
    if (!has_key(in, name)) {
        return in;
    }
    const struct weir_operator_type type = weir_fold_type();
    struct weir_fold *fold = weir_env_alloc(weir_stream_env(in), sizeof *fold);
    note(in, name, weir_fold_init(fold, weir_stream_schema(in), mode == WEIR_FOLD_UPSERT));
    return add(in, name, &type, &fold->function, NULL);
}

struct weir_stream *
weir_changelog(struct weir_stream *in, const char *name, enum weir_changelog_mode mode)
{
    const struct weir_schema *schema = weir_stream_schema(in);
    struct weir_env *env = weir_stream_env(in);
    if (schema == NULL) {
        return in;
    }
    if (schema->field_cnt == WEIR_FIELD_CNT_MAX ||
        weir_schema_field(schema, WEIR_CHANGELOG_FIELD) >= 0) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s: %s has no place for a field %s", name,
            schema->name, WEIR_CHANGELOG_FIELD);
        return in;
    }
    struct weir_schema *made = weir_env_alloc(env, sizeof *made);
    struct weir_field *fields = weir_env_alloc(env, (schema->field_cnt + 1) * sizeof *fields);
    for (uint32_t i = 0; i <= schema->field_cnt; i++) {
        fields[i] = weir_changelog_field(schema, i);
    }
    *made = *schema;
    made->fields = fields;
    made->field_cnt = schema->field_cnt + 1;
    made->row_bytes = schema->row_bytes + (uint32_t)sizeof(struct weir_str);
    made->time_idx = schema->time_idx >= 0 ? schema->time_idx + 1 : -1;
    const struct weir_changelog_conf conf = {.is_upsert = mode == WEIR_CHANGELOG_UPSERT};
    const struct weir_operator_conf operator_conf = {.name = name,
        .type = &weir_changelog_type,
        .conf = &conf,
        .conf_bytes = sizeof conf,
        .out_schema = {made}};
    return weir_operator(&in, 1, &operator_conf);
}
