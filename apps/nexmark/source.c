/* SPDX-License-Identifier: Apache-2.0 */
/* Two sources of Nexmark rows.
 *
 * The generator fills rows into its output; the log hands on rows of the mapped file, uncopied.
 * Both deal blocks of events to their subtasks in turn, so that all advance through event time
 * together. A rate gives event n its intended time, start + n / rate: it is emitted no earlier, and
 * its latency counts from there whenever it is emitted.
 */
#include "apps/nexmark/source.h"

#include <errno.h>
#include <stdio.h>

#include "apps/gen/feed.h"
#include "apps/nexmark/decode.h"
#include "base/region.h"
#include "io/io.h"
#include "sched/table.h"

/* ---- generated ---- */

struct gen_self {
    struct nexmark_gen gen;
    struct gen_feed feed;
};

static int
gen_open(struct weir_operator *op)
{
    struct gen_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    self->feed.event_cnt = conf->gen.event_cnt;
    self->feed.block = op->env->subtask_idx;
    self->feed.rate = conf->rate;
    return nexmark_gen_init(&self->gen, &conf->gen);
}

/* Payloads grow down from the end of the buffer. Returns how many rows got theirs. */
static uint32_t
gen_payloads(const struct gen_self *self, uint32_t kinds, struct nexmark_event *rows, uint32_t cnt,
    uint64_t first, struct weir_out *out)
{
    uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    for (uint32_t i = 0; i < cnt; i++) {
        /* Rows past heap_end have been overwritten by the payloads of those before. */
        if ((i + 1) * NEXMARK_EVENT_BYTES + sizeof payload > out->heap_end) {
            return i;
        }
        if ((kinds >> rows[i].kind & 1) == 0) {
            continue;
        }
        uint64_t number = nexmark_gen_number(&self->gen, first + i);
        uint32_t bytes = nexmark_gen_payload(&self->gen, number, &rows[i], payload);
        out->heap_end -= bytes;
        memcpy(out->base + out->heap_end, payload, bytes);
        rows[i].payload_bytes = bytes;
        rows[i].payload_off = out->heap_end;
    }
    return cnt;
}

static int
gen_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct gen_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    uint64_t first;
    uint32_t cnt = gen_feed_next(&self->feed, out->row_cap, now_ns, &first);
    struct nexmark_event *rows = (struct nexmark_event *)(void *)out->view.rows;
    nexmark_gen_fill(&self->gen, first, cnt, rows);
    if (conf->payload_kinds != 0) {
        cnt = gen_payloads(self, conf->payload_kinds, rows, cnt, first, out);
    }
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    out->view.intended_ns = gen_feed_intended_ns(&self->feed, first);
    gen_feed_advance(&self->feed, cnt, op->env->subtask_cnt);
    op->work_done = first + cnt;
    op->work_all = self->feed.event_cnt;
    return gen_feed_status(&self->feed, cnt);
}

const struct weir_operator_type nexmark_gen_type = {
    .name = "nexmark_gen",
    .self_bytes = sizeof(struct gen_self),
    .output_cnt = 1,
    .open = gen_open,
    .poll = gen_poll,
};

/* ---- from a mapped log ---- */

struct log_self {
    struct nexmark_log log;
    struct weir_io_map map;
    struct gen_feed feed;
    uint16_t record_id; /* region ids of the two sections */
    uint16_t payload_id;
    bool registered;
};

static int
log_open(struct weir_operator *op)
{
    struct log_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    int rc = weir_io_map(
        op->env->io, conf->path, WEIR_IO_MAP_SEQUENTIAL | WEIR_IO_MAP_POPULATE, &self->map);
    if (rc != 0) {
        return rc;
    }
    rc = nexmark_log_open(self->map.base, self->map.bytes, &self->log);
    if (rc != 0) {
        return weir_err_push(rc, "%s", conf->path);
    }
    self->feed.event_cnt = self->log.record_cnt;
    self->feed.block = op->env->subtask_idx;
    self->feed.rate = conf->rate;
    if (self->log.record_cnt == 0) {
        return 0;
    }
    rc = weir_region_table_add(op->env->regions, (void *)(uintptr_t)self->log.records,
        self->log.record_cnt * NEXMARK_EVENT_BYTES, &self->record_id);
    if (rc == 0 && self->log.payload_bytes > 0) {
        rc = weir_region_table_add(op->env->regions, (void *)(uintptr_t)self->log.payloads,
            self->log.payload_bytes, &self->payload_id);
    }
    self->registered = rc == 0;
    return rc;
}

/* The file is trusted in nothing: a payload that is going to be read lies within its section. */
static bool
are_payloads_inside(const struct log_self *self, const struct weir_view *view)
{
    const struct nexmark_event *rows = (const struct nexmark_event *)(const void *)view->rows;
    uint64_t room = self->log.payload_bytes;
    uint64_t off_max = 0;
    uint64_t end_max = 0;
    for (uint32_t i = 0; i < view->cnt; i++) {
        uint64_t off = rows[i].payload_off;
        uint64_t end = off + rows[i].payload_bytes;
        off_max = off > off_max ? off : off_max;
        end_max = end > end_max ? end : end_max;
    }
    return off_max <= room && end_max <= room;
}

static int
log_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct log_self *self = op->self;
    const struct nexmark_source_conf *conf = op->conf;
    struct weir_view *view = &out->view;
    uint64_t first;
    uint32_t cnt = gen_feed_next(&self->feed, out->row_cap, now_ns, &first);
    if (cnt == 0) {
        return gen_feed_status(&self->feed, 0);
    }
    const struct nexmark_event *rows = self->log.records + first;
    uint32_t off;
    weir_region_table_locate(self->record_id, first * NEXMARK_EVENT_BYTES, &view->region, &off);
    view->rows = (char *)(uintptr_t)rows;
    view->time = (const char *)&rows->time_ms;
    view->row_cnt = cnt;
    view->cnt = cnt;
    view->heap = (char *)(uintptr_t)self->log.payloads;
    view->heap_region = self->payload_id;
    view->flags = WEIR_BATCH_FOREIGN_ROWS | WEIR_BATCH_FOREIGN_HEAP;
    view->intended_ns = gen_feed_intended_ns(&self->feed, first);
    int64_t min;
    int64_t max;
    weir_view_span(view, 0, cnt, &min, &max);
    weir_view_set_bounds(view, min, max);
    if (conf->payload_kinds != 0 && !are_payloads_inside(self, view)) {
        return weir_err_push(
            WEIR_EFORMAT, "%s: event log: a record names a payload outside the file", conf->path);
    }
    gen_feed_advance(&self->feed, cnt, op->env->subtask_cnt);
    op->work_done = first + cnt;
    op->work_all = self->feed.event_cnt;
    return gen_feed_status(&self->feed, cnt);
}

static int
log_close(struct weir_operator *op, bool clean)
{
    struct log_self *self = op->self;
    (void)clean;
    if (self->registered) {
        weir_region_table_remove(
            op->env->regions, self->record_id, self->log.record_cnt * NEXMARK_EVENT_BYTES);
        if (self->log.payload_bytes > 0) {
            weir_region_table_remove(op->env->regions, self->payload_id, self->log.payload_bytes);
        }
    }
    weir_io_unmap(&self->map);
    return 0;
}

const struct weir_operator_type nexmark_log_type = {
    .name = "nexmark_log",
    .self_bytes = sizeof(struct log_self),
    .output_cnt = 1,
    .open = log_open,
    .poll = log_poll,
    .close = log_close,
    .lends_memory = true,
};

/* ---- by parameters ---- */

/* Whether a file is a mapped log; anything else that can be read is taken for lines. */
static int
is_log(const char *path, bool *ret_log)
{
    char head[sizeof NEXMARK_LOG_MAGIC] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return weir_err_errno(errno, "open %s", path);
    }
    size_t bytes = fread(head, 1, sizeof head - 1, file);
    int rc = ferror(file) != 0 ? weir_err_errno(errno, "read %s", path) : 0;
    *ret_log = nexmark_log_is(head, bytes);
    (void)fclose(file);
    return rc;
}

static struct weir_stream *
source_from_file(struct weir_env *env, struct nexmark_source_conf *conf, const char *path)
{
    bool log = false;
    bool stream = strcmp(path, "-") == 0 || strncmp(path, "tcp://", 6) == 0;
    int rc = stream ? 0 : is_log(path, &log);
    if (rc != 0) {
        weir_env_fail(env, rc, "parameter events");
    }
    if (log) {
        conf->path = path;
        return weir_source(
            env, "events", nexmark_row_schema(), &nexmark_log_type, conf, sizeof *conf);
    }
    const struct weir_lines_conf lines = {.path = path,
        .refuse_directory = true,
        .decoder = &nexmark_decoder_type,
        .rate = (uint64_t)conf->rate};
    return weir_source_lines_param(env, "events", nexmark_row_schema(), &lines);
}

struct weir_stream *
nexmark_source(struct weir_env *env, uint32_t payload_kinds)
{
    const char *events = weir_param(env, "events");
    struct nexmark_source_conf conf = {
        .payload_kinds = payload_kinds, .rate = weir_param_number(env, "rate")};
    if (strncmp(events, "gen:", 4) != 0) {
        return source_from_file(env, &conf, events);
    }
    nexmark_gen_opts_default(&conf.gen);
    int rc = nexmark_gen_parse(events, &conf.gen);
    if (rc != 0) {
        weir_env_fail(env, rc, "parameter events");
    }
    return weir_source(env, "events", nexmark_row_schema(), &nexmark_gen_type, &conf, sizeof conf);
}
