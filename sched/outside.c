/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/outside.h"

#include "base/err.h"

struct weir_stream *
weir_async(struct weir_stream *in, const char *name, const struct weir_async_conf *conf)
{
    const struct weir_schema *schema = weir_stream_schema(in);
    if (schema != NULL && weir_async_check(conf, schema) != 0) {
        weir_env_fail(weir_stream_env(in), WEIR_EGRAPH, "operator %s", name);
    }
    const struct weir_operator_conf made = {
        .name = name,
        .type = conf->is_unordered ? &weir_async_unordered_type : &weir_async_type,
        .conf = conf,
        .conf_bytes = sizeof *conf,
        .out_schema = {conf->function->out_schema()},
    };
    return weir_operator(&in, 1, &made);
}

struct weir_stream *
weir_source_blocking(struct weir_env *env, const char *name, const struct weir_blocking_conf *conf)
{
    return weir_source(
        env, name, conf->function->out_schema(), &weir_blocking_type, conf, sizeof *conf);
}
