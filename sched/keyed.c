/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/keyed.h"

#include "sched/changes.h"

/* All rows to the one subtask of the next operator, unless the stream has a key. */
static struct weir_stream *
keyed_or_whole(struct weir_stream *in, struct weir_key *ret_key, uint32_t *ret_parallelism)
{
    const struct weir_key *key = weir_stream_key(in);
    if (key != NULL) {
        *ret_key = *key;
        *ret_parallelism = 0;
        return in;
    }
    memset(ret_key, 0, sizeof *ret_key);
    *ret_parallelism = 1;
    return weir_partition(in, WEIR_PARTITION_GLOBAL);
}

struct weir_stream *
weir_window(struct weir_stream *in, const char *name, const struct weir_window_conf *conf,
    const struct weir_schema *out_schema)
{
    struct weir_window_conf window = *conf;
    struct weir_operator_conf made = {
        .name = name,
        .type = &weir_window_type,
        .conf = &window,
        .conf_bytes = sizeof window,
        .out_schema = {out_schema},
        .uses_time = true,
        .only_lateness = true,
        .keeps_state = true,
    };
    in = keyed_or_whole(in, &window.key, &made.parallelism);
    const struct weir_schema *schema = weir_stream_schema(in);
    if (schema != NULL && weir_window_check(&window, schema, out_schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    return weir_operator(&in, 1, &made);
}

struct weir_stream *
weir_window_general(struct weir_stream *in, const char *name, const struct weir_general_conf *conf,
    const struct weir_schema *out_schema)
{
    struct weir_general_conf general = *conf;
    const struct weir_key *key = weir_stream_key(in);
    const struct weir_schema *schema = weir_stream_schema(in);
    if (key != NULL) {
        general.key = *key;
    }
    if (schema != NULL && weir_general_check(&general, schema, out_schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    const struct weir_operator_conf made = {
        .name = name,
        .type = &weir_general_type,
        .conf = &general,
        .conf_bytes = sizeof general,
        .out_schema = {out_schema},
        .uses_time = !conf->span.by_clock,
        .keeps_state = true,
    };
    return weir_operator(&in, 1, &made);
}

struct weir_stream *
weir_top(struct weir_stream *in, const char *name, const struct weir_top_conf *conf)
{
    const struct weir_operator_conf made = {
        .name = name,
        .type = &weir_top_type,
        .conf = conf,
        .conf_bytes = sizeof *conf,
        .keeps_state = true,
        .parallelism = 1,
    };
    const struct weir_schema *schema = weir_stream_schema(in);
    if (schema != NULL && weir_top_check(conf, schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    in = weir_partition(in, WEIR_PARTITION_GLOBAL);
    return weir_operator(&in, 1, &made);
}

struct weir_stream *
weir_reduce(struct weir_stream *in, const char *name, const struct weir_reduce_conf *conf,
    const struct weir_schema *out_schema)
{
    struct weir_reduce_conf reduce = *conf;
    struct weir_operator_conf made = {
        .name = name,
        .type = &weir_reduce_type,
        .conf = &reduce,
        .conf_bytes = sizeof reduce,
        .out_schema = {out_schema},
        .keeps_state = true,
    };
    in = keyed_or_whole(in, &reduce.key, &made.parallelism);
    const struct weir_schema *schema = weir_stream_schema(in);
    if (schema != NULL && weir_reduce_check(&reduce, schema, out_schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    return weir_operator(&in, 1, &made);
}

/* A join of two keyed streams: its type, and what it refuses. */
struct join_kind {
    const struct weir_operator_type *type;
    int (*check)(const struct weir_join_conf *conf);
    bool uses_time;
};

static int
check_window_join(const struct weir_join_conf *conf)
{
    return weir_join_check(conf, true);
}

static int
check_join(const struct weir_join_conf *conf)
{
    return weir_join_check(conf, false);
}

static struct weir_stream *
join_streams(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join_conf *conf, const struct join_kind *kind)
{
    struct weir_env *env = weir_stream_env(left);
    struct weir_join_conf made = *conf;
    const struct weir_key *left_key = weir_stream_key(left);
    const struct weir_key *right_key = weir_stream_key(right);
    struct weir_stream *inputs[2] = {left, right};
    if (weir_stream_schema(left) == NULL || weir_stream_schema(right) == NULL) {
        return weir_stream_schema(left) == NULL ? left : right; /* an earlier error's */
    }
    if (left_key == NULL || right_key == NULL) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s joins streams that have no key", name);
    } else {
        made.left_key = *left_key;
        made.right_key = *right_key;
        if (kind->check(&made) != 0) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s", name);
        }
    }
    const struct weir_operator_conf operator_conf = {
        .name = name,
        .type = kind->type,
        .conf = &made,
        .conf_bytes = sizeof made,
        .out_schema = {conf->join->out_schema(), weir_stream_schema(left),
            weir_stream_schema(right)},
        .uses_time = kind->uses_time,
        .keeps_state = true,
    };
    return weir_operator(inputs, 2, &operator_conf);
}

struct weir_stream *
weir_join(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join *join)
{
    static const struct join_kind kind = {&weir_join_type, check_join, false};
    const struct weir_join_conf conf = {.join = join};
    if (weir_stream_changes(left) || weir_stream_changes(right)) {
        return weir_table_join(left, right, name, &conf);
    }
    return join_streams(left, right, name, &conf, &kind);
}

struct weir_stream *
weir_window_join(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join_conf *conf)
{
    static const struct join_kind inner = {&weir_window_join_type, check_window_join, true};
    static const struct join_kind outer = {&weir_outer_join_type, check_window_join, true};
    return join_streams(left, right, name, conf, conf->outer == WEIR_JOIN_INNER ? &inner : &outer);
}

struct weir_stream *
weir_interval_join(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join_conf *conf)
{
    static const struct join_kind kind = {&weir_interval_join_type, weir_interval_join_check, true};
    return join_streams(left, right, name, conf, &kind);
}

struct weir_stream *
weir_ttl_join(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_join_conf *conf)
{
    static const struct join_kind kind = {&weir_ttl_join_type, weir_ttl_join_check, false};
    if (conf->ttl_ms > 0 && (weir_stream_changes(left) || weir_stream_changes(right))) {
        return weir_table_join(left, right, name, conf);
    }
    return join_streams(left, right, name, conf, &kind);
}

struct weir_stream *
weir_cogroup(struct weir_stream *left, struct weir_stream *right, const char *name,
    const struct weir_cogroup_conf *conf)
{
    struct weir_env *env = weir_stream_env(left);
    struct weir_cogroup_conf made = *conf;
    struct weir_stream *inputs[2] = {left, right};
    if (weir_stream_schema(left) == NULL || weir_stream_schema(right) == NULL) {
        return weir_stream_schema(left) == NULL ? left : right; /* an earlier error's */
    }
    if (weir_stream_key(left) == NULL || weir_stream_key(right) == NULL) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s groups streams that have no key", name);
    } else {
        made.left_key = *weir_stream_key(left);
        made.right_key = *weir_stream_key(right);
        if (weir_cogroup_check(&made) != 0) {
            weir_env_fail(env, WEIR_EGRAPH, "operator %s", name);
        }
    }
    const struct weir_operator_conf operator_conf = {
        .name = name,
        .type = &weir_cogroup_type,
        .conf = &made,
        .conf_bytes = sizeof made,
        .out_schema = {conf->function->out_schema(), weir_stream_schema(left),
            weir_stream_schema(right)},
        .uses_time = true,
        .keeps_state = true,
    };
    return weir_operator(inputs, 2, &operator_conf);
}

struct weir_stream *
weir_lookup_join(struct weir_stream *in, const char *name, const struct weir_lookup_conf *conf)
{
    const struct weir_operator_conf made = {
        .name = name,
        .type = &weir_lookup_type,
        .conf = conf,
        .conf_bytes = sizeof *conf,
        .out_schema = {conf->join->out_schema()},
    };
    if (weir_stream_schema(in) != NULL && weir_lookup_check(conf) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    return weir_operator(&in, 1, &made);
}

/* The type of a function that does so with changes. */
static const struct weir_operator_type *
process_type(struct weir_env *env, const char *name, const struct weir_operator_type *type,
    enum weir_changes changes)
{
    if (changes == WEIR_CHANGES_REFUSED) {
        return type;
    }
    if (changes == WEIR_CHANGES_PASSED) {
        weir_env_fail(env, WEIR_EGRAPH,
            "operator %s: a function takes changes, makes them, or both; it does not pass them on",
            name);
    }
    struct weir_operator_type *made = weir_env_alloc(env, sizeof *made);
    *made = *type;
    made->changes = changes;
    return made;
}

struct weir_stream *
weir_process(struct weir_stream *in, const char *name, const struct weir_process_function *function,
    const struct weir_schema *side_schema)
{
    return weir_process_changes(in, name, function, side_schema, WEIR_CHANGES_REFUSED);
}

struct weir_stream *
weir_process_changes(struct weir_stream *in, const char *name,
    const struct weir_process_function *function, const struct weir_schema *side_schema,
    enum weir_changes changes)
{
    const struct weir_key *key = weir_stream_key(in);
    const struct weir_schema *schema = weir_stream_schema(in);
    struct weir_process_conf process = {.function = function};
    if (key != NULL) {
        process.key = *key;
    }
    if (schema != NULL && weir_process_check(&process, schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    const struct weir_operator_conf made = {
        .name = name,
        .type = process_type(weir_stream_env(in), name, &weir_process_type, changes),
        .conf = &process,
        .conf_bytes = sizeof process,
        .out_schema = {function->out_schema(), side_schema},
        .uses_time = true,
        .keeps_state = true,
    };
    return weir_operator(&in, 1, &made);
}

struct weir_stream *
weir_connect(struct weir_stream *first, struct weir_stream *second, const char *name,
    const struct weir_connect_conf *conf)
{
    struct weir_env *env = weir_stream_env(first);
    const struct weir_schema *schema[2] = {weir_stream_schema(first), weir_stream_schema(second)};
    const struct weir_key *key[2] = {weir_stream_key(first), weir_stream_key(second)};
    struct weir_connect_process_conf process = {
        .process = {.function = conf->function}, .second = conf->second};
    if (schema[0] == NULL || schema[1] == NULL) {
        return schema[0] == NULL ? first : second; /* an earlier error's */
    }
    if (key[0] != NULL) {
        process.process.key = *key[0];
    }
    if (conf->second->is_broadcast) {
        second = weir_partition(second, WEIR_PARTITION_BROADCAST);
    } else if (key[1] != NULL) {
        process.second_key = *key[1];
    } else {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s connects a stream that has no key", name);
    }
    if (weir_connect_check(&process, schema[0], schema[1]) != 0) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s", name);
    }
    struct weir_stream *inputs[2] = {first, second};
    const struct weir_operator_conf made = {
        .name = name,
        .type = process_type(env, name, &weir_connect_type, conf->changes),
        .conf = &process,
        .conf_bytes = sizeof process,
        .out_schema = {conf->function->out_schema(), conf->side_schema},
        .uses_time = true,
        .keeps_state = true,
    };
    return weir_operator(inputs, 2, &made);
}
