/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "dataplane/operators/watermark.h"
#include "sched/graph_node.h"

/* What an error about a stream of changes advises. */
#define CHANGES_WHO                                                                                \
    "those go through filters, maps, flat maps, selects, wheres, watermarks and unions, into "     \
    "group, rank, rolling, joins over all time, fold, changelog, discard and functions that know " \
    "them (weir_process_changes); a window of "                                                    \
    "changes is a group whose key has the window's start"

/* Memory of the graph, given back all at once. */
struct weir_graph_block {
    struct weir_graph_block *next;
    uint64_t align;
};

/* ---- environment ---- */

int
weir_env_new(const char *job_name, struct weir_env **ret_env)
{
    struct weir_env *env = calloc(1, sizeof *env);
    if (env == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a job's graph");
    }
    env->parallelism = 1;
    env->dead.env = env;
    weir_env_rename(env, job_name);
    *ret_env = env;
    return 0;
}

void
weir_env_delete(struct weir_env *env)
{
    if (env == NULL) {
        return;
    }
    while (env->blocks != NULL) {
        struct weir_graph_block *block = env->blocks;
        env->blocks = block->next;
        free(block);
    }
    free(env);
}

void *
weir_env_alloc(struct weir_env *env, size_t bytes)
{
    struct weir_graph_block *block = calloc(1, sizeof *block + bytes);
    WEIR_CHECK(block != NULL, "no memory for %zu bytes of a job's graph", bytes);
    block->next = env->blocks;
    env->blocks = block;
    return block + 1;
}

static const char *
copy_text(struct weir_env *env, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = weir_env_alloc(env, bytes);
    memcpy(copy, text, bytes);
    return copy;
}

void
weir_env_rename(struct weir_env *env, const char *job_name)
{
    env->job_name = copy_text(env, job_name);
}

const char *
weir_env_job_name(const struct weir_env *env)
{
    return env->job_name;
}

void
weir_env_set_parallelism(struct weir_env *env, uint32_t parallelism)
{
    env->parallelism = parallelism;
}

int
weir_env_set_operator_parallelism(struct weir_env *env, const char *name, uint32_t parallelism)
{
    const char *names[WEIR_GRAPH_NODE_CNT_MAX];
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        names[i] = env->node[i].name;
        if (strcmp(names[i], name) == 0) {
            env->node[i].parallelism = parallelism;
            return 0;
        }
    }
    const char *near = weir_opt_nearest(name, names, env->node_cnt);
    return weir_err_push(WEIR_EGRAPH, "there is no operator %s%s%s%s", name,
        near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
}

uint32_t
weir_env_parallelism(const struct weir_env *env)
{
    return env->parallelism;
}

/* The first error stays; what the calls below left on the error stack becomes its text. */
void
weir_env_fail(struct weir_env *env, int err, const char *fmt, ...)
{
    char below[512];
    va_list args;
    weir_err_save(below, sizeof below);
    weir_err_clear();
    if (env->error != 0) {
        return;
    }
    env->error = err;
    va_start(args, fmt);
    int n = vsnprintf(env->error_text, sizeof env->error_text, fmt, args);
    va_end(args);
    if (below[0] != '\0' && n >= 0 && (size_t)n < sizeof env->error_text) {
        (void)snprintf(env->error_text + n, sizeof env->error_text - (size_t)n, ": %s", below);
    }
}

/* ---- parameters ---- */

static const struct weir_opt *
find_param(const struct weir_env *env, const char *name)
{
    for (const struct weir_opt *p = env->params; p != NULL && p->name != NULL; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

void
weir_env_declare(struct weir_env *env, const struct weir_opt *params)
{
    env->params = params;
}

static const char *
given_text(const struct weir_env *env, const char *name)
{
    for (uint32_t i = env->given_cnt; i-- > 0;) {
        if (strcmp(env->given[i].name, name) == 0) {
            return env->given[i].text;
        }
    }
    return NULL;
}

bool
weir_param_given(const struct weir_env *env, const char *name)
{
    return given_text(env, name) != NULL;
}

int
weir_env_set_param(struct weir_env *env, const char *name, const char *text)
{
    const struct weir_opt *opt = find_param(env, name);
    struct weir_opt_value value;
    char why[WEIR_OPT_WHY_BYTES];
    if (opt == NULL) {
        const char *names[WEIR_GRAPH_PARAM_CNT_MAX];
        size_t cnt = 0;
        for (const struct weir_opt *p = env->params; p != NULL && p->name != NULL; p++) {
            if (cnt < WEIR_ARRAY_CNT(names)) {
                names[cnt++] = p->name;
            }
        }
        const char *nearest = weir_opt_nearest(name, names, cnt);
        return weir_err_push(WEIR_ECONFIG, "%s has no parameter %s%s%s%s", env->job_name, name,
            nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "?" : "");
    }
    if (weir_opt_parse(opt, text, &value, why) != 0) {
        return weir_err_push(WEIR_ECONFIG, "parameter %s %s", name, why);
    }
    if (env->given_cnt == WEIR_GRAPH_PARAM_CNT_MAX) {
        return weir_err_push(WEIR_ECONFIG, "more than %d parameters", WEIR_GRAPH_PARAM_CNT_MAX);
    }
    env->given[env->given_cnt].name = opt->name;
    env->given[env->given_cnt].text = copy_text(env, text);
    env->given_cnt++;
    return 0;
}

const char *
weir_param(struct weir_env *env, const char *name)
{
    const struct weir_opt *opt = find_param(env, name);
    if (opt == NULL) {
        weir_env_fail(
            env, WEIR_EGRAPH, "the job asks for a parameter %s that it does not declare", name);
        return "";
    }
    const char *text = given_text(env, name);
    return text != NULL ? text : opt->def;
}

int64_t
weir_param_number(struct weir_env *env, const char *name)
{
    const char *text = weir_param(env, name);
    const struct weir_opt *opt = find_param(env, name);
    struct weir_opt_value value;
    char why[WEIR_OPT_WHY_BYTES];
    if (opt == NULL) {
        return 0;
    }
    if (weir_opt_parse(opt, text, &value, why) != 0) {
        weir_env_fail(
            env, WEIR_ECONFIG, "parameter %s %s", name, text[0] == '\0' ? "is missing" : why);
        return 0;
    }
    return value.number;
}

int64_t
weir_param_ms(struct weir_env *env, const char *name)
{
    int64_t ns = weir_param_number(env, name);
    if (ns == WEIR_OPT_WORD) {
        return ns;
    }
    if (ns % WEIR_MS != 0) {
        weir_env_fail(env, WEIR_ECONFIG, "parameter %s is %s: event time goes in milliseconds",
            name, weir_param(env, name));
    }
    return ns / WEIR_MS;
}

/* ---- nodes and streams ---- */

static struct weir_graph_node *
add_node(struct weir_env *env, const char *name, const struct weir_operator_type *type,
    const void *conf, size_t conf_bytes)
{
    if (env->error != 0) {
        return NULL;
    }
    if (env->node_cnt == WEIR_GRAPH_NODE_CNT_MAX) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s: a job has at most %d operators", name,
            WEIR_GRAPH_NODE_CNT_MAX);
        return NULL;
    }
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        if (strcmp(env->node[i].name, name) == 0) {
            weir_env_fail(env, WEIR_EGRAPH, "two operators are called %s", name);
            return NULL;
        }
    }
    struct weir_graph_node *node = &env->node[env->node_cnt++];
    node->name = copy_text(env, name);
    node->type = type;
    node->parallelism = env->parallelism;
    if (conf_bytes > 0) {
        void *copy = weir_env_alloc(env, conf_bytes);
        memcpy(copy, conf, conf_bytes);
        node->conf = copy;
    }
    return node;
}

static struct weir_stream *
stream_of(struct weir_env *env, const struct weir_graph_node *node, uint32_t output)
{
    struct weir_stream *stream = weir_env_alloc(env, sizeof *stream);
    stream->env = env;
    stream->origin_cnt = 1;
    stream->origin[0].from = (uint32_t)(node - env->node);
    stream->origin[0].output = (uint16_t)output;
    stream->origin[0].partitioner = WEIR_PARTITION_FORWARD;
    return stream;
}

static const struct weir_graph_node *
origin_node(const struct weir_stream *stream, uint32_t i)
{
    return &stream->env->node[stream->origin[i].from];
}

const struct weir_schema *
weir_stream_schema(const struct weir_stream *stream)
{
    if (stream->origin_cnt == 0) {
        return NULL;
    }
    return origin_node(stream, 0)->out_schema[stream->origin[0].output];
}

const struct weir_key *
weir_stream_key(const struct weir_stream *stream)
{
    if (stream->origin_cnt == 0 || stream->origin[0].partitioner != WEIR_PARTITION_KEYED) {
        return NULL;
    }
    return &stream->origin[0].key;
}

struct weir_env *
weir_stream_env(struct weir_stream *stream)
{
    return stream->env;
}

static bool
emits_changes(const struct weir_graph_node *node, uint32_t output)
{
    switch (node->type->changes) {
    case WEIR_CHANGES_PASSED:
        return node->takes_changes;
    case WEIR_CHANGES_MADE:
    case WEIR_CHANGES_TAKEN_AND_MADE:
        return output == 0;
    default:
        return false;
    }
}

/* lint: allow parameters: a source has no stream to hang its schema on */
struct weir_stream *
weir_source(struct weir_env *env, const char *name, const struct weir_schema *schema,
    const struct weir_operator_type *type, const void *conf, size_t conf_bytes)
{
    if (type->poll == NULL || type->input_cnt != 0) {
        weir_env_fail(env, WEIR_EGRAPH, "source %s: %s is no source", name, type->name);
    }
    if (env->error == 0 && weir_schema_check(schema) != 0) {
        weir_env_fail(env, WEIR_EGRAPH, "source %s", name);
    }
    struct weir_graph_node *node = add_node(env, name, type, conf, conf_bytes);
    if (node == NULL) {
        return &env->dead;
    }
    node->out_schema[0] = schema;
    node->timed[0] = schema->time_idx >= 0;
    node->has_kind[0] = emits_changes(node, 0);
    for (uint32_t i = 1; i < type->output_cnt && type->side_schema != NULL; i++) {
        node->out_schema[i] = type->side_schema(i);
        node->timed[i] = node->out_schema[i]->time_idx >= 0;
    }
    return stream_of(env, node, 0);
}

/* A stream of changes is only for who knows what to do with it. */
static void
take_changes(struct weir_env *env, struct weir_graph_node *node, const struct weir_graph_node *from)
{
    node->takes_changes = true;
    if (node->type->changes == WEIR_CHANGES_REFUSED || node->type->changes == WEIR_CHANGES_MADE) {
        weir_env_fail(env, WEIR_EGRAPH,
            "operator %s (%s) takes inserted rows only, and %s also emits updates and deletes: %s",
            node->name, node->type->name, from->name, CHANGES_WHO);
    }
}

static void
connect(struct weir_env *env, uint32_t to, uint32_t input, const struct weir_stream *stream)
{
    struct weir_graph_node *node = &env->node[to];
    for (uint32_t i = 0; i < stream->origin_cnt && env->error == 0; i++) {
        const struct weir_graph_node *from = origin_node(stream, i);
        const struct weir_schema *schema = from->out_schema[stream->origin[i].output];
        if (env->link_cnt == WEIR_GRAPH_LINK_CNT_MAX) {
            weir_env_fail(env, WEIR_EGRAPH, "a job has at most %d streams between operators",
                WEIR_GRAPH_LINK_CNT_MAX);
            return;
        }
        if (schema == NULL) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s reads %s, which has no such output",
                node->name, from->name);
            return;
        }
        if (node->in_schema[input] != NULL &&
            weir_schema_fingerprint(node->in_schema[input]) != weir_schema_fingerprint(schema)) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s reads records of %s, but %s emits %s",
                node->name, node->in_schema[input]->name, from->name, schema->name);
            return;
        }
        if (node->in_schema[input] == NULL) {
            node->in_schema[input] = schema;
        }
        struct weir_graph_link *link = &env->link[env->link_cnt++];
        *link = stream->origin[i];
        link->to = to;
        link->input = (uint16_t)input;
        env->node[link->from].read[link->output] = true;
        if (from->has_kind[link->output]) {
            take_changes(env, node, from);
        }
        node->timed[0] |= from->timed[link->output];
    }
}

static struct weir_stream *
add_operator(struct weir_stream *const *inputs, uint32_t input_cnt,
    const struct weir_operator_conf *conf, const struct weir_schema *const *in_schema)
{
    struct weir_env *env = inputs[0]->env;
    if (env->error == 0 && conf->type->input_cnt != input_cnt) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s: %s has %u inputs, not %u", conf->name,
            conf->type->name, conf->type->input_cnt, input_cnt);
    }
    for (uint32_t i = 0; i < input_cnt && env->error == 0; i++) {
        if (inputs[i]->env != env || inputs[i]->origin_cnt == 0) {
            weir_env_fail(
                env, WEIR_EGRAPH, "operator %s: input %u is no stream of this job", conf->name, i);
        }
    }
    struct weir_graph_node *node =
        add_node(env, conf->name, conf->type, conf->conf, conf->conf_bytes);
    if (node == NULL) {
        return &env->dead;
    }
    uint32_t idx = env->node_cnt - 1;
    node->uses_time = conf->uses_time;
    node->only_lateness = conf->only_lateness;
    node->keeps_state = conf->keeps_state;
    if (conf->parallelism != 0) {
        node->parallelism = conf->parallelism;
    }
    for (uint32_t i = 0; i < input_cnt; i++) {
        node->in_schema[i] = in_schema != NULL ? in_schema[i] : NULL;
        connect(env, idx, i, inputs[i]);
    }
    for (uint32_t o = 0; o < conf->type->output_cnt && env->error == 0; o++) {
        node->out_schema[o] =
            conf->out_schema[o] != NULL ? conf->out_schema[o] : node->in_schema[0];
        node->timed[o] = node->timed[0];
        node->has_kind[o] = emits_changes(node, o);
        if (weir_schema_check(node->out_schema[o]) != 0) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s", conf->name);
        }
    }
    return env->error != 0 ? &env->dead : stream_of(env, node, 0);
}

struct weir_stream *
weir_operator(
    struct weir_stream *const *inputs, uint32_t input_cnt, const struct weir_operator_conf *conf)
{
    return add_operator(inputs, input_cnt, conf, NULL);
}

struct weir_stream *
weir_side(struct weir_stream *stream, uint32_t idx)
{
    struct weir_env *env = stream->env;
    if (env->error != 0) {
        return &env->dead;
    }
    const struct weir_graph_node *node = origin_node(stream, 0);
    if (idx == 0 || idx >= node->type->output_cnt) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s has no side output %u", node->name, idx);
        return &env->dead;
    }
    return stream_of(env, node, idx);
}

static struct weir_stream *
apply(struct weir_stream *in, const char *name, const struct weir_function *function,
    enum weir_function_kind kind)
{
    if (function->kind != kind) {
        weir_env_fail(in->env, WEIR_EGRAPH, "operator %s: the function %s is of another kind", name,
            function->type.name);
    }
    const struct weir_schema *in_schema[1] = {function->in_schema()};
    struct weir_operator_conf conf = {
        .name = name, .type = &function->type, .out_schema = {function->out_schema()}};
    return add_operator(&in, 1, &conf, in_schema);
}

struct weir_stream *
weir_filter(struct weir_stream *in, const char *name, const struct weir_function *function)
{
    return apply(in, name, function, WEIR_FUNCTION_FILTER);
}

struct weir_stream *
weir_map(struct weir_stream *in, const char *name, const struct weir_function *function)
{
    return apply(in, name, function, WEIR_FUNCTION_MAP);
}

struct weir_stream *
weir_flatmap(struct weir_stream *in, const char *name, const struct weir_function *function)
{
    return apply(in, name, function, WEIR_FUNCTION_FLATMAP);
}

struct weir_stream *
weir_watermarks_by(
    struct weir_stream *in, const char *name, const struct weir_watermark_conf *watermark)
{
    const struct weir_schema *schema = weir_stream_schema(in);
    const struct weir_operator_conf conf = {.name = name,
        .type = &weir_watermark_type,
        .conf = watermark,
        .conf_bytes = sizeof *watermark,
        .uses_time = true};
    if (schema != NULL && weir_watermark_check(watermark, schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    return weir_operator(&in, 1, &conf);
}

struct weir_stream *
weir_watermarks(struct weir_stream *in, const char *name, int64_t lag_ms)
{
    const struct weir_watermark_conf watermark = {.lag_ms = lag_ms};
    return weir_watermarks_by(in, name, &watermark);
}

struct weir_stream *
weir_sink(struct weir_stream *in, const char *name, const struct weir_operator_type *type,
    const void *conf, size_t conf_bytes)
{
    const struct weir_operator_conf sink = {
        .name = name, .type = type, .conf = conf, .conf_bytes = conf_bytes};
    return weir_operator(&in, 1, &sink);
}

/* ---- how rows are dealt out ---- */

static struct weir_stream *
copy_stream(struct weir_stream *in)
{
    if (in->env->error != 0) {
        return NULL;
    }
    struct weir_stream *out = weir_env_alloc(in->env, sizeof *out);
    *out = *in;
    return out;
}

struct weir_stream *
weir_union(struct weir_stream *a, struct weir_stream *b)
{
    struct weir_stream *out = copy_stream(a);
    if (out == NULL) {
        return &a->env->dead;
    }
    if (b->env != a->env) {
        weir_env_fail(a->env, WEIR_EGRAPH, "a union of %s with a stream of another job",
            origin_node(a, 0)->name);
        return &a->env->dead;
    }
    for (uint32_t i = 0; i < b->origin_cnt; i++) {
        if (out->origin_cnt == WEIR_STREAM_ORIGIN_CNT_MAX) {
            weir_env_fail(
                a->env, WEIR_EGRAPH, "a union of more than %d streams", WEIR_STREAM_ORIGIN_CNT_MAX);
            return &a->env->dead;
        }
        out->origin[out->origin_cnt++] = b->origin[i];
    }
    return out;
}

struct weir_stream *
weir_key_by(struct weir_stream *in, struct weir_key key)
{
    struct weir_stream *out = copy_stream(in);
    if (out == NULL) {
        return &in->env->dead;
    }
    if (weir_key_resolve(&key, weir_stream_schema(in)) != 0) {
        weir_env_fail(in->env, WEIR_EGRAPH, "key_by behind operator %s", origin_node(in, 0)->name);
        return &in->env->dead;
    }
    for (uint32_t i = 0; i < out->origin_cnt; i++) {
        out->origin[i].partitioner = WEIR_PARTITION_KEYED;
        out->origin[i].key = key;
    }
    return out;
}

struct weir_stream *
weir_partition(struct weir_stream *in, enum weir_partitioner partitioner)
{
    struct weir_stream *out = copy_stream(in);
    if (out == NULL) {
        return &in->env->dead;
    }
    if (partitioner >= WEIR_PARTITION_KEYED) {
        weir_env_fail(in->env, WEIR_EGRAPH, "behind operator %s: %s needs a call of its own",
            origin_node(in, 0)->name, weir_partitioner_name(partitioner));
    }
    for (uint32_t i = 0; i < out->origin_cnt; i++) {
        out->origin[i].partitioner = partitioner;
    }
    return out;
}

struct weir_stream *
weir_partition_custom(struct weir_stream *in, weir_partition_fn *fn)
{
    struct weir_stream *out = copy_stream(in);
    if (out == NULL) {
        return &in->env->dead;
    }
    if (fn == NULL) {
        weir_env_fail(in->env, WEIR_EGRAPH, "behind operator %s: a custom partitioner without one",
            origin_node(in, 0)->name);
    }
    for (uint32_t i = 0; i < out->origin_cnt; i++) {
        out->origin[i].partitioner = WEIR_PARTITION_CUSTOM;
        out->origin[i].custom_fn = fn;
    }
    return out;
}

struct weir_stream *
weir_parallelism(struct weir_stream *stream, uint32_t parallelism)
{
    if (stream->env->error == 0) {
        stream->env->node[stream->origin[0].from].parallelism = parallelism;
    }
    return stream;
}

/* ---- the whole ---- */

/* Event time is carried hidden, and watermarks are exact, only where some operator further down
 * looks at them. One that makes watermarks does so for others. */
static void
carry_times(struct weir_env *env)
{
    bool wanted[WEIR_GRAPH_NODE_CNT_MAX] = {false};
    for (uint32_t i = env->node_cnt; i-- > 0;) {
        struct weir_graph_node *node = &env->node[i];
        node->time_unused = node->type->sets_watermarks || node->type->keeps_watermarks ||
                            (!node->uses_time && node->type->watermark == NULL);
        node->only_lateness |= node->time_unused;
        wanted[i] = node->uses_time;
        for (uint32_t l = 0; l < env->link_cnt; l++) {
            const struct weir_graph_link *link = &env->link[l];
            if (link->from != i) {
                continue;
            }
            node->time_unused &= env->node[link->to].time_unused;
            node->only_lateness &= env->node[link->to].only_lateness;
            if (wanted[link->to]) {
                node->has_time[link->output] =
                    node->timed[link->output] && node->out_schema[link->output]->time_idx < 0;
                wanted[i] |= node->has_time[link->output];
            }
        }
    }
}

/* A stream that nobody dealt out goes forward where that is possible, else round robin. */
static void
settle_forward(struct weir_env *env)
{
    for (uint32_t l = 0; l < env->link_cnt; l++) {
        struct weir_graph_link *link = &env->link[l];
        if (link->partitioner == WEIR_PARTITION_FORWARD &&
            env->node[link->from].parallelism != env->node[link->to].parallelism) {
            link->partitioner = WEIR_PARTITION_REBALANCE;
        }
    }
}

static void
check_whole(struct weir_env *env)
{
    if (env->node_cnt == 0) {
        weir_env_fail(env, WEIR_EGRAPH, "the job has no operators");
    }
    for (uint32_t i = 0; i < env->node_cnt && env->error == 0; i++) {
        const struct weir_graph_node *node = &env->node[i];
        if (node->type->output_cnt > 0 && !node->read[0]) {
            weir_env_fail(env, WEIR_EGRAPH, "nothing reads the output of operator %s", node->name);
        }
        if (node->parallelism == 0) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s has parallelism 0", node->name);
        }
    }
    weir_graph_settle_loops(env);
    weir_graph_inherit_groups(env);
    weir_graph_group_loops(env);
    carry_times(env);
    settle_forward(env);
}

int
weir_env_check(struct weir_env *env)
{
    check_whole(env);
    if (env->error != 0) {
        return weir_err_push(env->error, "%s", env->error_text);
    }
    return 0;
}
