/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_build.c: a checked pipeline as a graph. */
#include "base/err.h"
#include "sched/changes.h"
#include "sched/keyed.h"
#include "sched/pipeline.h"
#include "sched/table.h"

static struct weir_stream *
add_op(struct weir_stream *in, const struct weir_pipeline_op *op)
{
    if (op->kind == WEIR_PIPELINE_WINDOW) {
        const struct weir_window_conf *window = &op->conf.window;
        if (window->key.field_cnt > 0) {
            in = weir_key_by(in, window->key);
        }
        return weir_window(in, op->name, window, op->out_schema);
    }
    if (op->kind == WEIR_PIPELINE_GENERAL) {
        in = weir_key_by(in, op->conf.general.key);
        return weir_window_general(in, op->name, &op->conf.general, op->out_schema);
    }
    if (op->kind == WEIR_PIPELINE_GROUP) {
        in = weir_key_by(in, op->conf.group.key);
        return weir_group(in, op->name, &op->conf.group.conf, op->out_schema);
    }
    if (op->kind == WEIR_PIPELINE_RANK) {
        in = weir_key_by(in, op->conf.rank.key);
        return weir_rank(in, op->name, &op->conf.rank.conf, op->out_schema);
    }
    bool where = op->kind == WEIR_PIPELINE_WHERE;
    const struct weir_operator_conf conf = {
        .name = op->name,
        .type = where ? &weir_where_type : &weir_select_type,
        .conf = where ? (const void *)&op->conf.where : (const void *)&op->conf.select,
        .conf_bytes = where ? sizeof op->conf.where : sizeof op->conf.select,
        .out_schema = {op->out_schema},
    };
    return weir_operator(&in, 1, &conf);
}

/* A table in a file has no place for changes that come later. */
static struct weir_stream *
add_table(struct weir_stream *in, const struct weir_pipeline *pipeline)
{
    if (pipeline->changes == WEIR_PIPELINE_FOLD) {
        return weir_fold(weir_key_by(in, pipeline->table_key), "table", WEIR_FOLD_ROWS);
    }
    return weir_changelog(in, "changes",
        pipeline->changes == WEIR_PIPELINE_LOG ? WEIR_CHANGELOG_ALL : WEIR_CHANGELOG_UPSERT);
}

int
weir_pipeline_build(const struct weir_pipeline *pipeline, struct weir_env *env)
{
    const struct weir_lines_conf lines = {
        .path = weir_param(env, "input"),
        .decoder = pipeline->json ? &weir_decode_json : &weir_decode_csv,
        .decoder_conf = pipeline->json ? NULL : &pipeline->csv,
    };
    struct weir_stream *s = weir_source_lines_param(env, "source", pipeline->schema, &lines);
    if (pipeline->timed) {
        s = weir_watermarks(s, "watermark", pipeline->lag_ms);
    }
    for (uint32_t i = 0; i < pipeline->op_cnt; i++) {
        s = add_op(s, &pipeline->op[i]);
    }
    s = pipeline->has_changes ? add_table(s, pipeline) : s;
    weir_sink_table(s, "sink", weir_param(env, "output"));
    return weir_env_check(env);
}
