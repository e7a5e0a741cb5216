/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to lines of a file.
 *
 *     (1, "a,b")   ->   1,"a,b"                       with the CSV format
 *
 * State: the open part and its length. Watermarks: swallowed. Rows are formatted into one buffer
 *        while
 * the other is being written; when both are full the sink takes no more rows, and when the task has
 * run out of input it writes what it has.
 */
#include "dataplane/operators/file_sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/region.h"
#include "dataplane/operators/file_sink_priv.h"

#define WRITE_BYTES_DEFAULT (256 * WEIR_KIB)
#define ROW_BYTES_MAX_DEFAULT (112 * WEIR_MIB)
#define LIST_BYTES 32768

int
weir_file_sink_launch(struct sink *sink, enum sink_step step)
{
    sink->step = step;
    sink->is_busy = !weir_io_submit(sink->env->io, &sink->op);
    return WEIR_WAIT;
}

void
weir_file_sink_part_path(const struct sink *sink, uint32_t idx, bool is_done, char *to)
{
    const char *mark = sink->target == SINK_DIR && !is_done ? "." : "";
    int bytes = snprintf(to, SINK_PATH_BYTES, "%s/%spart-%lx-%u", sink->dir, mark,
        (unsigned long)sink->conf->run_id, idx);
    WEIR_CHECK(bytes < SINK_PATH_BYTES - 16, "the path was checked at open");
    if (sink->target == SINK_DIR) {
        (void)sprintf(to + bytes, "-%u", sink->part_idx);
    } else if (is_done) {
        memcpy(to + bytes, ".done", 6);
    }
}

/* ---- open ---- */

static void
prepare_open(struct sink *sink)
{
    weir_file_sink_part_path(sink, sink->env->subtask_idx, false, sink->path);
    weir_io_op_open(
        &sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
}

static void
part_opened(struct sink *sink)
{
    sink->file = (int32_t)sink->op.result;
    sink->off = 0;
    sink->opened_ns = INT64_MIN;
    sink->is_rolling = false;
    sink->has_header_due = sink->target == SINK_DIR || sink->env->subtask_idx == 0;
    sink->step = SINK_READY;
}

static int
open_failed(struct sink *sink)
{
    return weir_err_push(weir_io_op_fail_output(&sink->op), "output %s", sink->conf->path);
}

/* Whether an earlier run of a sink left this name in F.parts/: all else there is the user's. */
static bool
is_old_part(const char *name, const char *own_prefix)
{
    return weir_file_sink_is_part(name) && strncmp(name, own_prefix, strlen(own_prefix)) != 0;
}

/* Either looks whether a job with checkpoints has its parts there, or removes those of an earlier
 * run that failed: they are in the way of nobody but the reader. */
static int
go_over_parts(struct sink *sink, bool removes)
{
    struct weir_io *io = sink->env->io;
    char prefix[40];
    (void)snprintf(prefix, sizeof prefix, "part-%lx-", (unsigned long)sink->conf->run_id);
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->dir, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(io, &sink->op) < 0) {
        return open_failed(sink);
    }
    int32_t dir = (int32_t)sink->op.result;
    bool has_pending = false;
    for (;;) {
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        weir_io_op_list(&sink->op, dir, sink->bufs[0], LIST_BYTES);
        int64_t bytes = weir_io_perform(io, &sink->op);
        if (bytes <= 0) {
            break;
        }
        while ((name = weir_io_list_next(sink->bufs[0], (uint64_t)bytes, &pos, &type)) != NULL) {
            has_pending |= strncmp(name, ".pending-", 9) == 0;
            if (removes && is_old_part(name, prefix)) {
                weir_io_op_unlink(&sink->op, dir, name, 0);
                (void)weir_io_perform(io, &sink->op); /* what stays is not counted either */
            }
        }
    }
    weir_io_op_close(&sink->op, dir);
    (void)weir_io_perform(io, &sink->op); /* opened for reading */
    return !has_pending ? 0
                        : weir_err_push(WEIR_ECONFIG,
                              "output %s: %s holds the parts of a job with checkpoints that has "
                              "not finished; restore that job, or remove the directory",
                              sink->conf->path, sink->dir);
}

static int
remove_old_parts(struct sink *sink)
{
    int err = weir_file_sink_lock(sink, sink->dir, &sink->lock_handle);
    err = err != 0 ? err : go_over_parts(sink, false);
    return err != 0 ? err : go_over_parts(sink, true);
}

/* A stream takes rows as they come; nothing is renamed, for what stands there is no regular
 * file. */
static int
open_stream(struct sink *sink)
{
    const struct weir_file_sink_checkpoints *checkpoints = &sink->conf->checkpoints;
    if (checkpoints->is_on && !checkpoints->at_least_once) {
        return weir_err_push(WEIR_ECONFIG,
            "output %s: rows in a stream cannot be taken back, so not with checkpoints; write to a "
            "file, or set checkpoints.sink=at-least-once",
            sink->conf->path);
    }
    sink->target = SINK_STREAM;
    sink->has_header_due = sink->env->subtask_idx == 0;
    if (strcmp(sink->conf->path, "-") == 0) {
        struct weir_io_stat st;
        sink->file = WEIR_IO_STDOUT;
        weir_io_op_stat(&sink->op, sink->file, NULL, &st);
        sink->start = weir_io_perform(sink->env->io, &sink->op) == 0 ? st.bytes : 0;
        return 0;
    }
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->conf->path, WEIR_IO_O_WRITE);
    if (weir_io_perform(sink->env->io, &sink->op) < 0) {
        if (sink->op.errnum == ENXIO) {
            return weir_err_push(WEIR_EIO, "output %s: a pipe that nobody reads", sink->conf->path);
        }
        return open_failed(sink);
    }
    sink->file = (int32_t)sink->op.result;
    return 0;
}

/* What stands at F now: 1 for a stream, 0 for a file or nothing. */
static int
look_at_target(struct sink *sink)
{
    struct weir_io_stat st;
    weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->conf->path, &st);
    if (weir_io_perform(sink->env->io, &sink->op) != 0) {
        return 0; /* not there; what else is wrong shows when the parts are made */
    }
    if (st.type == WEIR_IO_DIR) {
        return weir_err_push(WEIR_ECONFIG,
            "output %s is a directory; write %s/ to keep part files in it", sink->conf->path,
            sink->conf->path);
    }
    return st.type == WEIR_IO_FILE ? 0 : 1;
}

static int
open_target(struct sink *sink)
{
    const char *path = sink->conf->path;
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes > WEIR_FILE_SINK_PATH_BYTES_MAX) {
        return weir_err_push(WEIR_ECONFIG, "output: a path of %zu bytes; at most %d", bytes,
            WEIR_FILE_SINK_PATH_BYTES_MAX);
    }
    if (strcmp(path, "-") == 0) {
        return open_stream(sink);
    }
    if (strspn(path, "/") == bytes) {
        return weir_err_push(WEIR_ECONFIG, "output %s: name a directory below the root", path);
    }
    sink->target = path[bytes - 1] == '/' ? SINK_DIR : SINK_FILE;
    int err = sink->target == SINK_FILE ? look_at_target(sink) : 0;
    if (err != 0) {
        return err > 0 ? open_stream(sink) : err;
    }
    (void)snprintf(sink->dir, sizeof sink->dir, "%.*s%s",
        (int)(sink->target == SINK_DIR ? bytes - 1 : bytes), path,
        sink->target == SINK_DIR ? "" : ".parts");
    if (sink->conf->checkpoints.is_on) {
        return weir_file_sink_txn_open(sink);
    }
    err = weir_file_sink_make_dir(sink, sink->dir);
    if (err == 0 && sink->target == SINK_FILE && sink->env->subtask_idx == 0) {
        err = remove_old_parts(sink);
    }
    if (err == 0) {
        /* Its failure belongs to the start, like that of an input. */
        prepare_open(sink);
        err = weir_io_perform(sink->env->io, &sink->op) < 0 ? open_failed(sink) : 0;
    }
    if (err == 0) {
        part_opened(sink);
    }
    return err;
}

static size_t
buf_bytes(const struct sink *sink)
{
    return weir_max_u64(sink->cap, LIST_BYTES);
}

static int
sink_open(struct weir_operator *op)
{
    struct sink *sink = op->self;
    const struct weir_file_sink_conf *conf = op->conf;
    sink->conf = conf;
    sink->env = op->env;
    sink->file = -1;
    sink->dir_handle = -1;
    sink->part_file = -1;
    sink->lock_handle = -1;
    sink->schema = op->in_schema[0];
    if (op->env->io == NULL) {
        return weir_err_push(WEIR_EBUG, "%s: no io on this core", conf->path);
    }
    sink->write_bytes = conf->write_bytes != 0 ? conf->write_bytes : WRITE_BYTES_DEFAULT;
    sink->cap = sink->write_bytes +
                (conf->row_bytes_max != 0 ? conf->row_bytes_max : ROW_BYTES_MAX_DEFAULT);
    for (int i = 0; i < 2; i++) {
        /* As long as the longest row, and touched as far as rows go. */
        sink->bufs[i] = weir_lazy_map(buf_bytes(sink));
        if (sink->bufs[i] == NULL) {
            return weir_err_push(WEIR_ENOMEM, "buffers of %zu bytes for %s", sink->cap, conf->path);
        }
    }
    int err = conf->deal != NULL ? weir_file_sink_deal_open(sink) : 0;
    return err != 0 ? err : open_target(sink);
}

/* ---- the part ---- */

/* Bytes of whole rows among the first `bytes` of a buffer. */
static size_t
whole_rows(const struct sink *sink, const char *buf, size_t bytes)
{
    size_t whole = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        is_quoted ^= buf[i] == '"' && sink->conf->format == WEIR_FORMAT_CSV;
        if (buf[i] == '\n' && !is_quoted) {
            whole = i + 1;
        }
    }
    return whole;
}

static const char *
stream_name(const struct sink *sink)
{
    return sink->file == WEIR_IO_STDOUT ? "standard output" : sink->conf->path;
}

/* Where a stream's first byte came to lie, if it is a file that ends with what was written now:
 * `weir run ... >F`. False: what is there is not ours to cut. */
static bool
stream_start(struct sink *sink, uint64_t moved, uint64_t *ret_start)
{
    struct weir_io_stat st;
    if (sink->target != SINK_STREAM) {
        *ret_start = 0;
        return true;
    }
    weir_io_op_stat(&sink->op, sink->file, NULL, &st);
    if (weir_io_perform(sink->env->io, &sink->op) < 0 || st.type != WEIR_IO_FILE ||
        st.bytes != sink->start + sink->off + moved) {
        return false;
    }
    *ret_start = sink->start;
    return true;
}

/* A write failed, perhaps in the middle of a row: cut the part behind its last whole one. */
static int
write_failed(struct sink *sink)
{
    int err = (int)sink->op.result;
    uint64_t moved = sink->op.moved;
    uint64_t start = 0;
    (void)weir_io_op_fail(&sink->op);
    err = weir_err_push(
        err, "write %s", sink->target == SINK_STREAM ? stream_name(sink) : sink->path);
    if (stream_start(sink, moved, &start)) {
        uint64_t whole = start + sink->off + whole_rows(sink, sink->bufs[1 - sink->fill], moved);
        weir_io_op_truncate(&sink->op, sink->file, whole);
        (void)weir_io_perform(sink->env->io, &sink->op); /* the first cause is what counts */
    }
    sink->op.state = WEIR_IO_IDLE;
    return err;
}

static int
start_write(struct sink *sink)
{
    const char *buf = sink->bufs[sink->fill];
    uint64_t off = sink->target == SINK_STREAM ? WEIR_IO_STREAM : sink->off;
    weir_io_op_write(&sink->op, sink->file, buf, sink->used[sink->fill], off);
    sink->op.flags = WEIR_IO_WHOLE;
    sink->fill = 1 - sink->fill;
    sink->used[sink->fill] = 0;
    return weir_file_sink_launch(sink, SINK_WRITING);
}

static bool
is_roll_due(const struct sink *sink, int64_t now_ns)
{
    if (sink->target != SINK_DIR || sink->off == 0) {
        return false;
    }
    uint64_t bytes =
        sink->conf->roll_bytes != 0 ? sink->conf->roll_bytes : WEIR_FILE_SINK_ROLL_BYTES_DEFAULT;
    int64_t age_ns =
        sink->conf->roll_ns != 0 ? sink->conf->roll_ns : WEIR_FILE_SINK_ROLL_NS_DEFAULT;
    return sink->off >= bytes ||
           (sink->opened_ns != INT64_MIN && weir_sub_sat(now_ns, sink->opened_ns) >= age_ns);
}

/* What the ready part is to do next, if anything: WEIR_DONE when it may take rows. */
static int
from_ready(struct sink *sink, bool wants_write, int64_t now_ns)
{
    sink->is_rolling = sink->is_rolling || is_roll_due(sink, now_ns);
    bool is_closing = sink->is_finishing || sink->is_rolling;
    if (sink->used[sink->fill] > 0 && (wants_write || is_closing)) {
        return start_write(sink);
    }
    if (sink->is_finishing && sink->target == SINK_STREAM) {
        sink->step = SINK_FINISHED;
        return WEIR_DONE;
    }
    if (is_closing) {
        weir_io_op_sync(&sink->op, sink->file, 0);
        return weir_file_sink_launch(sink, SINK_SYNCING);
    }
    return WEIR_DONE;
}

/* The part is closed under its last name: a part without rows is not kept in F/. */
static int
start_rename(struct sink *sink)
{
    weir_file_sink_part_path(sink, sink->env->subtask_idx, false, sink->path);
    weir_file_sink_part_path(sink, sink->env->subtask_idx, true, sink->path2);
    if (sink->target == SINK_DIR && sink->off == 0) {
        weir_io_op_unlink(&sink->op, WEIR_IO_CWD, sink->path, 0);
    } else {
        weir_io_op_rename(&sink->op, WEIR_IO_CWD, sink->path, sink->path2, 0);
    }
    return weir_file_sink_launch(sink, SINK_RENAMING);
}

static int
after_rename(struct sink *sink)
{
    if (sink->op.result < 0) {
        return weir_io_op_fail_output(&sink->op);
    }
    if (sink->target == SINK_DIR && !sink->is_finishing) {
        sink->part_idx++;
        prepare_open(sink);
        return weir_file_sink_launch(sink, SINK_OPENING);
    }
    return weir_file_sink_publish(sink);
}

/* One step that follows the operation which has ended. */
static int
follow(struct sink *sink, bool wants_write, int64_t now_ns)
{
    switch (sink->step) {
    case SINK_READY:
        return from_ready(sink, wants_write, now_ns);
    case SINK_WRITING:
        if (sink->op.result < 0) {
            return write_failed(sink);
        }
        sink->off += sink->op.moved;
        sink->step = SINK_READY;
        return WEIR_AGAIN;
    case SINK_SYNCING:
        if (sink->op.result < 0) {
            return weir_io_op_fail_output(&sink->op);
        }
        weir_io_op_close(&sink->op, sink->file);
        sink->file = -1;
        return weir_file_sink_launch(sink, SINK_CLOSING);
    case SINK_CLOSING:
        return sink->op.result < 0 ? weir_io_op_fail_output(&sink->op) : start_rename(sink);
    case SINK_RENAMING:
        return after_rename(sink);
    case SINK_OPENING:
        if (sink->op.result < 0) {
            return weir_io_op_fail_output(&sink->op);
        }
        part_opened(sink);
        return WEIR_AGAIN;
    case SINK_FINISHED:
        return WEIR_DONE;
    default:
        return weir_file_sink_publish(sink);
    }
}

/* Goes on until something flies, or nothing is left to do: WEIR_WAIT, WEIR_DONE, or an error. */
static int
pump(struct sink *sink, bool wants_write, int64_t now_ns)
{
    for (;;) {
        if (sink->is_busy) {
            (void)weir_file_sink_launch(sink, sink->step);
        }
        if (sink->is_busy || sink->op.state == WEIR_IO_FLYING) {
            return WEIR_WAIT;
        }
        int rc = follow(sink, wants_write, now_ns);
        if (rc < 0 || rc == WEIR_DONE) {
            return rc;
        }
    }
}

/* ---- rows ---- */

static int
check_kinds(const struct weir_operator *op, const struct weir_view *in)
{
    if (in->kind == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < in->cnt; i++) {
        if (weir_view_kind(in, weir_view_row(in, i)) != WEIR_ROW_INSERT) {
            return weir_err_push(WEIR_EILLEGAL,
                "%s: a row that replaces or deletes another; such streams are folded before a sink",
                op->env->vertex_name);
        }
    }
    return 0;
}

int
weir_file_sink_put_header(struct sink *sink, const struct weir_schema *schema)
{
    size_t used = sink->used[sink->fill];
    char *to = sink->bufs[sink->fill] + used;
    size_t bytes = weir_format_header(sink->conf->format, schema, to, sink->cap - used);
    if (bytes > sink->cap - used) {
        return weir_err_push(
            WEIR_EBUDGET, "%s: the header is longer than %zu bytes", sink->conf->path, sink->cap);
    }
    sink->used[sink->fill] += bytes;
    sink->has_header_due = false;
    return 0;
}

/* Rows until the buffer has enough for a write. Returns how many, or an error. */
int64_t
weir_file_sink_put_rows(struct sink *sink, const struct weir_view *in, uint32_t cursor)
{
    size_t used = sink->used[sink->fill];
    char *to = sink->bufs[sink->fill] + used;
    size_t room = sink->write_bytes > used ? sink->write_bytes - used : 0;
    struct weir_formatted made = weir_format_rows(sink->conf->format, in, cursor, to, room);
    if (made.row_cnt == 0 && used == 0 && made.wanted_bytes > room) {
        /* A long row: alone in its write, in the part of the buffer that is seldom touched. */
        struct weir_view one = *in;
        one.cnt = cursor + 1;
        made = weir_format_rows(sink->conf->format, &one, cursor, to, sink->cap);
        if (made.row_cnt == 0) {
            return weir_err_push(WEIR_EBUDGET, "%s: a row may take %zu bytes as text, over the %zu",
                sink->conf->path, made.wanted_bytes, sink->cap);
        }
    }
    sink->used[sink->fill] += made.bytes;
    return made.row_cnt;
}

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct sink *sink = op->self;
    (void)input;
    (void)out;
    uint32_t at = cursor;
    int64_t err = cursor == 0 ? check_kinds(op, in) : 0;
    bool is_full = false;
    if (err == 0 && sink->txn != NULL) {
        return weir_file_sink_txn_process(op, in, cursor, now_ns);
    }
    while (err == 0 && at < in->cnt) {
        int rc = pump(sink, is_full, now_ns);
        if (rc < 0) {
            return rc;
        }
        if ((is_full && sink->used[sink->fill] > 0) || sink->is_rolling || sink->file < 0) {
            break; /* both buffers are full, or the next part is not open yet: take no more */
        }
        if (sink->opened_ns == INT64_MIN) {
            sink->opened_ns = now_ns;
        }
        err = sink->has_header_due ? weir_file_sink_put_header(sink, in->schema) : 0;
        if (err != 0) {
            break;
        }
        int64_t cnt = weir_file_sink_put_rows(sink, in, at);
        if (cnt < 0) {
            return cnt;
        }
        at += (uint32_t)cnt;
        is_full = at < in->cnt || sink->used[sink->fill] >= sink->write_bytes;
    }
    if (err == 0 && is_full) {
        err = pump(sink, true, now_ns);
    }
    return err < 0 ? err : (int64_t)(at - cursor);
}

static int
sink_flush(struct weir_operator *op)
{
    struct sink *sink = op->self;
    if (sink->txn != NULL) {
        return weir_file_sink_txn_flush(sink);
    }
    int rc = pump(sink, true, sink->opened_ns);
    return rc == WEIR_WAIT && sink->used[sink->fill] == 0 ? WEIR_DONE : rc;
}

static int
sink_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct sink *sink = op->self;
    (void)out;
    if (sink->txn != NULL) {
        return weir_file_sink_txn_finish(sink);
    }
    int rc = sink->file < 0 && !sink->is_finishing ? pump(sink, false, now_ns) : WEIR_DONE;
    if (rc != WEIR_DONE) {
        return rc; /* the first part is not open yet */
    }
    /* An empty result is a file with its header, but no part of a directory. */
    if (!sink->is_finishing && sink->has_header_due && sink->target != SINK_DIR) {
        rc = weir_file_sink_put_header(sink, op->in_schema[0]);
    }
    sink->is_finishing = true;
    return rc < 0 ? rc : pump(sink, true, now_ns);
}

static void
close_handle(struct sink *sink, int32_t handle)
{
    if (handle > WEIR_IO_STDERR) {
        weir_io_op_close(&sink->op, handle);
        (void)weir_io_perform(sink->env->io, &sink->op); /* what counts was synced before */
    }
}

static int
sink_close(struct weir_operator *op, bool clean)
{
    struct sink *sink = op->self;
    int rc = clean && sink->txn != NULL ? weir_file_sink_txn_end(sink) : 0;
    if (sink->env != NULL && sink->env->io != NULL) {
        weir_io_settle(sink->env->io, &sink->op);
        bool makes_handle = sink->op.verb == WEIR_IO_OPEN && sink->op.state == WEIR_IO_DONE &&
                            sink->op.result >= 0 && sink->step != SINK_READY;
        bool is_closing = sink->op.verb == WEIR_IO_CLOSE && sink->is_busy;
        int32_t made = makes_handle ? (int32_t)sink->op.result : is_closing ? sink->op.file : -1;
        close_handle(sink, made);
        close_handle(sink, sink->file);
        close_handle(sink, sink->dir_handle);
        close_handle(sink, sink->part_file);
        close_handle(sink, sink->lock_handle);
        if (rc == 0 && clean && sink->conf->deal != NULL) {
            rc = weir_file_sink_deal_out(sink);
        }
        if (sink->txn != NULL) {
            weir_file_sink_txn_close(sink);
        }
    }
    for (int i = 0; i < 2; i++) {
        weir_lazy_unmap(sink->bufs[i], buf_bytes(sink));
    }
    return rc;
}

const struct weir_operator_type weir_file_sink_type = {
    .name = "file",
    .self_bytes = sizeof(struct sink),
    .input_cnt = 1,
    .open = sink_open,
    .process = sink_process,
    .flush = sink_flush,
    .finish = sink_finish,
    .close = sink_close,
    .snapshot = weir_file_sink_snapshot,
    .restore = weir_file_sink_restore,
    .precommit = weir_file_sink_precommit,
    .committed = weir_file_sink_committed,
    .committed_id = weir_file_sink_committed_id,
    .aborted = weir_file_sink_aborted,
    .reopens = true, /* a power cut may have brought back what it has removed */
};
