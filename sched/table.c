/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/table.h"

#include <time.h>
#include <unistd.h>

#include "dataplane/operators/discard.h"
#include "dataplane/operators/file_sink.h"
#include "sched/graph_node.h"

struct weir_stream *
weir_source_lines(struct weir_env *env, const char *name, const struct weir_schema *schema,
    const struct weir_lines_conf *conf)
{
    struct weir_lines_conf lines = *conf;
    size_t bytes = strlen(conf->path) + 1;
    char *path = weir_env_alloc(env, bytes);
    memcpy(path, conf->path, bytes);
    lines.path = path;
    const struct weir_operator_type *type =
        conf->on_error == WEIR_ON_ERROR_SIDE ? &weir_lines_side_type : &weir_lines_type;
    struct weir_stream *s = weir_source(env, name, schema, type, &lines, sizeof lines);
    if (conf->on_error == WEIR_ON_ERROR_SIDE && env->error == 0) {
        env->node[s->origin[0].from].out_schema[1] = weir_bad_line_schema();
    }
    return weir_parallelism(s, 1);
}

static bool
ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static struct weir_stream *
sink_discard(struct weir_stream *in, const char *name)
{
    struct weir_env *env = weir_stream_env(in);
    struct weir_discard_result *results =
        weir_env_alloc(env, weir_env_parallelism(env) * sizeof *results);
    const struct weir_discard_conf discard = {results};
    if (env->discard_cnt < WEIR_ARRAY_CNT(env->discard)) {
        env->discard[env->discard_cnt++] = results;
    }
    return weir_sink(in, name, &weir_discard_type, &discard, sizeof discard);
}

struct weir_stream *
weir_sink_table(struct weir_stream *in, const char *name, const char *output)
{
    struct weir_env *env = weir_stream_env(in);
    if (strcmp(output, "discard") == 0) {
        return sink_discard(in, name);
    }
    size_t bytes = strlen(output) + 1;
    char *path = weir_env_alloc(env, bytes);
    memcpy(path, output, bytes);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const struct weir_file_sink_conf file = {
        .path = path,
        .format = ends_with(output, ".json") || ends_with(output, ".jsonl") ? WEIR_FORMAT_JSON
                                                                            : WEIR_FORMAT_CSV,
        .run_id = (uint64_t)now.tv_sec * (uint64_t)WEIR_SEC_NS + (uint64_t)now.tv_nsec,
    };
    const struct weir_operator_conf sink = {
        .name = name,
        .type = &weir_file_sink_type,
        .conf = &file,
        .conf_bytes = sizeof file,
        .parallelism = ends_with(output, "/") ? 0 : 1,
    };
    return weir_operator(&in, 1, &sink);
}

void
weir_env_discarded(const struct weir_env *env, uint64_t *ret_rows, uint64_t *ret_checksum)
{
    *ret_rows = 0;
    *ret_checksum = 0;
    for (uint32_t i = 0; i < env->discard_cnt; i++) {
        for (uint32_t s = 0; s < env->parallelism; s++) {
            *ret_rows += env->discard[i][s].rows;
            *ret_checksum += env->discard[i][s].checksum;
        }
    }
}
