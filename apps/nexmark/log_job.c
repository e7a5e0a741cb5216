/* SPDX-License-Identifier: Apache-2.0 */
/* Write Nexmark events as a mapped log: `weir run nexmark-log -p events=... -p output=FILE`.
 *
 * The file appears, whole, by a rename at the clean end; until then it is FILE.part. The sink
 * writes megabytes at a time and waits for each write: the job does nothing else meanwhile.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "apps/nexmark/log.h"
#include "apps/nexmark/source.h"
#include "io/io.h"
#include "io/unpack.h"
#include "sched/weir.h"

#define BUFFER_BYTES (UINT32_C(4) << 20)
#define PATH_BYTES 4096
/* Room for records where nobody knows their number; what is left of it is a hole in the file. */
#define RECORD_CNT_UNKNOWN (UINT64_C(1) << 24)
#define RECORD_CNT_LEAST (UINT64_C(1) << 16)

const struct weir_opt weir_job_params[] = {
    NEXMARK_EVENTS_PARAM,
    {"output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4000, "events.log", "", "the log to write"},
    WEIR_RATE_PARAM,
    WEIR_LINES_PARAMS,
    {.name = NULL},
};

const char weir_job_examples[] =
    "weir run nexmark-log -p events=gen:1000000,seed=1 -p output=events.log\n"
    "weir run nexmark -p query=q5 -p events=events.log -p output=q5.csv\n";

struct sink_conf {
    const char *path;
    uint64_t record_cnt_max;
};

struct sink_self {
    struct nexmark_log_writer writer;
    struct weir_io *io;
    struct weir_io_op op;
    int32_t file;
    bool is_open;
    char part[PATH_BYTES];
    uint8_t buffer[BUFFER_BYTES];
};

static int
write_at(void *to, uint64_t off, const void *bytes, size_t byte_cnt)
{
    struct sink_self *self = (struct sink_self *)to;
    weir_io_op_write(&self->op, self->file, bytes, byte_cnt, off);
    self->op.flags |= WEIR_IO_WHOLE;
    return weir_io_perform(self->io, &self->op) < 0
               ? weir_err_push(weir_io_op_fail(&self->op), "write %s", self->part)
               : 0;
}

static int
sink_open(struct weir_operator *op)
{
    struct sink_self *self = (struct sink_self *)op->self;
    const struct sink_conf *conf = (const struct sink_conf *)op->conf;
    (void)snprintf(self->part, sizeof self->part, "%s.part", conf->path);
    self->io = op->env->io;
    weir_io_op_open(
        &self->op, WEIR_IO_CWD, self->part, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    int64_t file = weir_io_perform(self->io, &self->op);
    if (file < 0) {
        return weir_io_op_fail_output(&self->op);
    }
    self->file = (int32_t)file;
    self->is_open = true;
    const struct nexmark_log_writer_opts opts = {
        write_at, self, conf->record_cnt_max, self->buffer, sizeof self->buffer};
    return nexmark_log_writer_init(&self->writer, &opts);
}

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct sink_self *self = (struct sink_self *)op->self;
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        struct nexmark_event event;
        memcpy(&event, in->rows + (size_t)in->stride * weir_view_row(in, i), sizeof event);
        const char *payload = event.payload_bytes > 0 ? in->heap + event.payload_off : NULL;
        int rc = nexmark_log_append(&self->writer, &event, payload);
        if (rc != 0) {
            return rc;
        }
    }
    return in->cnt - cursor;
}

static int
sink_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct sink_self *self = (struct sink_self *)op->self;
    const struct sink_conf *conf = (const struct sink_conf *)op->conf;
    (void)out;
    (void)now_ns;
    int rc = nexmark_log_finish(&self->writer);
    if (rc != 0) {
        return rc;
    }
    weir_io_op_rename(&self->op, WEIR_IO_CWD, self->part, conf->path, 0);
    return weir_io_perform(self->io, &self->op) < 0 ? weir_io_op_fail_output(&self->op) : WEIR_DONE;
}

static int
sink_close(struct weir_operator *op, bool clean)
{
    struct sink_self *self = (struct sink_self *)op->self;
    (void)clean;
    if (!self->is_open) {
        return 0;
    }
    weir_io_op_close(&self->op, self->file);
    return weir_io_perform(self->io, &self->op) < 0 ? weir_io_op_fail(&self->op) : 0;
}

static const struct weir_operator_type sink_type = {
    .name = "nexmark_log_sink",
    .self_bytes = sizeof(struct sink_self),
    .input_cnt = 1,
    .open = sink_open,
    .process = sink_process,
    .finish = sink_finish,
    .close = sink_close,
};

static bool
is_packed(const char *path)
{
    char magic[WEIR_UNPACK_MAGIC_BYTES];
    FILE *file = fopen(path, "re");
    bool packed = file != NULL && fread(magic, sizeof magic, 1, file) == 1 &&
                  memcmp(magic, WEIR_UNPACK_MAGIC, sizeof magic) == 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    return packed;
}

/* The most events that a file can hold: a line takes over 64 bytes. What zstd makes of such lines
 * may be next to nothing, where they repeat each other. */
static uint64_t
record_room(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return RECORD_CNT_UNKNOWN;
    }
    if (is_packed(path)) {
        return weir_max_u64((uint64_t)st.st_size, RECORD_CNT_UNKNOWN);
    }
    return (uint64_t)st.st_size / 64 + RECORD_CNT_LEAST;
}

/* A log is mapped by its readers: nothing but a file can be one. */
static const char *
log_path(struct weir_env *env)
{
    struct stat st;
    const char *path = weir_output_path(env, weir_param(env, "output"));
    if (strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) {
        weir_env_fail(
            env, WEIR_ECONFIG, "parameter output: a log is a regular file, which %s is not", path);
    }
    return path;
}

int
weir_job_main(struct weir_env *env)
{
    const struct nexmark_want all = {NEXMARK_ALL, NEXMARK_ALL, false};
    struct sink_conf conf = {log_path(env), record_room(weir_param(env, "events"))};
    struct nexmark_gen_opts gen;
    const char *events = weir_param(env, "events");
    nexmark_gen_opts_default(&gen);
    if (strncmp(events, "gen:", 4) == 0 && nexmark_gen_parse(events, &gen) == 0) {
        conf.record_cnt_max = gen.event_cnt;
    }
    struct weir_stream *s = weir_parallelism(nexmark_source(env, &all), 1);
    const struct weir_operator_conf sink = {.name = "out",
        .type = &sink_type,
        .conf = &conf,
        .conf_bytes = sizeof conf,
        .parallelism = 1};
    (void)weir_operator(&s, 1, &sink);
    return weir_env_check(env);
}
