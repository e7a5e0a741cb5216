/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/table.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "dataplane/operators/discard.h"
#include "dataplane/operators/file_sink.h"
#include "sched/graph_node.h"

#define TCP_SCHEME "tcp://"
#define PORT_MAX 65535

/* tcp://HOST:PORT, or anything that is no such name. */
static bool
address_is_whole(const char *path)
{
    if (strncmp(path, TCP_SCHEME, strlen(TCP_SCHEME)) != 0) {
        return true;
    }
    const char *host = path + strlen(TCP_SCHEME);
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host) {
        return false;
    }
    uint32_t port = 0;
    const char *at = colon + 1;
    for (; *at >= '0' && *at <= '9' && port <= PORT_MAX; at++) {
        port = port * 10 + (uint32_t)(*at - '0');
    }
    return *at == '\0' && port >= 1 && port <= PORT_MAX;
}

/* Where the first bad lines are kept, for weir_env_bad_line. */
static void
keep_samples(struct weir_env *env, struct weir_lines_conf *lines)
{
    if (lines->samples == NULL && env->bad_lines_cnt < WEIR_GRAPH_BAD_LINES_CNT_MAX) {
        lines->samples = weir_env_alloc(env, sizeof *lines->samples);
        lines->sample_cnt = 1;
        env->bad_lines[env->bad_lines_cnt++] = lines->samples;
    }
}

struct weir_stream *
weir_source_lines(struct weir_env *env, const char *name, const struct weir_schema *schema,
    const struct weir_lines_conf *conf)
{
    struct weir_lines_conf lines = *conf;
    size_t bytes = strlen(conf->path) + 1;
    char *path = weir_env_alloc(env, bytes);
    memcpy(path, conf->path, bytes);
    lines.path = path;
    if (!address_is_whole(path)) {
        weir_env_fail(env, WEIR_ECONFIG,
            "source %s: '%s' is no address: tcp://HOST:PORT, with a port from 1 to %d", name, path,
            PORT_MAX);
    }
    keep_samples(env, &lines);
    const struct weir_operator_type *type =
        conf->on_error == WEIR_ON_ERROR_SIDE ? &weir_lines_side_type : &weir_lines_type;
    struct weir_stream *s = weir_source(env, name, schema, type, &lines, sizeof lines);
    if (conf->on_error == WEIR_ON_ERROR_SIDE && env->error == 0) {
        env->node[s->origin[0].from].out_schema[1] = weir_bad_line_schema();
    }
    return weir_parallelism(s, 1);
}

struct weir_stream *
weir_source_lines_param(struct weir_env *env, const char *name, const struct weir_schema *schema,
    const struct weir_lines_conf *conf)
{
    struct weir_lines_conf lines = *conf;
    const char *bad_lines = weir_param(env, "bad_lines");
    int64_t tries = weir_param_number(env, "reconnect");
    /* The words of on_error stand in the order of enum weir_on_error. */
    lines.on_error = (enum weir_on_error)weir_param_number(env, "on_error");
    lines.reconnect_cnt = tries == WEIR_OPT_WORD ? WEIR_LINES_RECONNECT_ALWAYS : (uint32_t)tries;
    lines.reconnect_delay_ns = weir_param_number(env, "reconnect_delay");
    bool aside = lines.on_error == WEIR_ON_ERROR_SIDE;
    if (aside && bad_lines[0] == '\0') {
        weir_env_fail(env, WEIR_ECONFIG,
            "parameter on_error is side: say where malformed lines go, -p bad_lines=FILE");
    }
    if (!aside && weir_param_given(env, "bad_lines")) {
        weir_env_fail(env, WEIR_ECONFIG,
            "parameter bad_lines is there for on_error=side, and on_error is %s",
            weir_param(env, "on_error"));
    }
    struct weir_stream *s = weir_source_lines(env, name, schema, &lines);
    if (aside) {
        weir_sink_table(weir_side(s, 1), "bad_lines", bad_lines);
    }
    return s;
}

const char *
weir_env_bad_line(const struct weir_env *env, uint32_t idx)
{
    for (uint32_t i = 0; i < env->bad_lines_cnt; i++) {
        if (idx < env->bad_lines[i]->cnt) {
            return env->bad_lines[i]->text[idx];
        }
        idx -= env->bad_lines[i]->cnt;
    }
    return NULL;
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

const char *
weir_output_path(struct weir_env *env, const char *output)
{
    struct stat st;
    bool is_link = lstat(output, &st) == 0 && S_ISLNK(st.st_mode);
    bool is_to_file = is_link && stat(output, &st) == 0 && S_ISREG(st.st_mode);
    char *target = is_to_file ? realpath(output, NULL) : NULL;
    const char *from = target != NULL ? target : output;
    size_t bytes = strlen(from) + 1;
    char *path = weir_env_alloc(env, bytes);
    memcpy(path, from, bytes);
    free(target);
    return path;
}

static uint64_t
run_id(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * (uint64_t)WEIR_SEC_NS + (uint64_t)now.tv_nsec;
}

static struct weir_stream *
sink_files(struct weir_stream *in, const char *name, const struct weir_file_sink_conf *file)
{
    const struct weir_operator_conf sink = {
        .name = name,
        .type = &weir_file_sink_type,
        .conf = file,
        .conf_bytes = sizeof *file,
        .parallelism = ends_with(file->path, "/") ? 0 : 1,
    };
    return weir_operator(&in, 1, &sink);
}

struct weir_stream *
weir_sink_table(struct weir_stream *in, const char *name, const char *output)
{
    if (strcmp(output, "discard") == 0) {
        return sink_discard(in, name);
    }
    bool is_json = ends_with(output, ".json") || ends_with(output, ".jsonl");
    const struct weir_file_sink_conf file = {
        .path = weir_output_path(weir_stream_env(in), output),
        .format = is_json ? WEIR_FORMAT_JSON : WEIR_FORMAT_CSV,
        .run_id = run_id(),
    };
    return sink_files(in, name, &file);
}

/* A part is dealt out in memory. */
#define DEALT_PART_BYTES (16 * WEIR_MIB)

struct weir_stream *
weir_sink_dealt(struct weir_stream *in, const char *name, const char *output,
    const char *const *fields, uint32_t field_cnt)
{
    struct weir_env *env = weir_stream_env(in);
    size_t bytes = strlen(output);
    if (!ends_with(output, "/")) {
        return weir_sink_table(in, name, output);
    }
    if (field_cnt == 0 || field_cnt > WEIR_FILE_SINK_DEAL_CNT_MAX) {
        weir_env_fail(env, WEIR_EGRAPH, "operator %s: directories by %u fields, of 1 to %d", name,
            field_cnt, WEIR_FILE_SINK_DEAL_CNT_MAX);
        return in;
    }
    struct weir_file_sink_deal *deal = weir_env_alloc(env, sizeof *deal);
    char *path = weir_env_alloc(env, bytes + sizeof ".parts/");
    char *dir = weir_env_alloc(env, bytes + 1);
    (void)sprintf(path, "%s.parts/", output);
    memcpy(dir, output, bytes - 1);
    deal->dir = dir;
    deal->field_cnt = field_cnt;
    memcpy(deal->field, fields, field_cnt * sizeof fields[0]);
    const struct weir_file_sink_conf file = {
        .path = path,
        .format = WEIR_FORMAT_CSV,
        .run_id = run_id(),
        .roll_bytes = DEALT_PART_BYTES,
        .deal = deal,
    };
    return sink_files(in, name, &file);
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
