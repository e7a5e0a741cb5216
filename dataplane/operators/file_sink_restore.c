/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink with checkpoints, before and after its rows: directories, the fence, restore. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "dataplane/operators/file_sink_priv.h"

#define LIST_BYTES 32768
#define LOCK_TRY_CNT 20
#define LOCK_WAIT_NS (100 * WEIR_MS)

static int
failed(const struct sink *sink, const struct weir_io_op *op)
{
    return weir_err_push(weir_io_op_fail_output(op), "output %s", sink->conf->path);
}

/* ---- directories ---- */

int
weir_file_sink_each_entry(
    struct sink *sink, const char *path, int buf, sink_entry_fn *fn, void *arg)
{
    struct weir_io *io = sink->env->io;
    weir_io_op_open(&sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(io, &sink->op) < 0) {
        return sink->op.errnum == ENOENT ? 0 : failed(sink, &sink->op);
    }
    int32_t dir = (int32_t)sink->op.result;
    int rc = 0;
    while (rc == 0) {
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        weir_io_op_list(&sink->op, dir, sink->bufs[buf], LIST_BYTES);
        int64_t bytes = weir_io_perform(io, &sink->op);
        if (bytes <= 0) {
            rc = bytes < 0 ? failed(sink, &sink->op) : 0;
            break;
        }
        while (rc == 0 &&
               (name = weir_io_list_next(sink->bufs[buf], (uint64_t)bytes, &pos, &type)) != NULL) {
            rc = fn(sink, dir, name, arg);
        }
    }
    weir_io_op_close(&sink->op, dir);
    (void)weir_io_perform(io, &sink->op); /* opened for reading */
    return rc;
}

int
weir_file_sink_sync_dir(struct sink *sink, const char *path)
{
    struct weir_io *io = sink->env->io;
    weir_io_op_open(&sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(io, &sink->op) < 0) {
        return failed(sink, &sink->op);
    }
    int32_t dir = (int32_t)sink->op.result;
    weir_io_op_sync(&sink->op, dir, 0);
    int rc = weir_io_perform(io, &sink->op) < 0 ? failed(sink, &sink->op) : 0;
    weir_io_op_close(&sink->op, dir);
    (void)weir_io_perform(io, &sink->op); /* opened for reading */
    return rc;
}

int
weir_file_sink_make_dir(struct sink *sink, const char *path)
{
    weir_io_op_mkdir(&sink->op, WEIR_IO_CWD, path);
    if (weir_io_perform(sink->env->io, &sink->op) < 0 && sink->op.errnum != EEXIST) {
        return failed(sink, &sink->op);
    }
    return 0;
}

/* The directory's own name is durable: a power cut would else take all that is in it. Done whoever
 * made it, for who did may have died before this. A parent that may not be read is left alone. */
int
weir_file_sink_sync_parent(struct sink *sink, const char *path)
{
    size_t bytes = strlen(path);
    while (bytes > 0 && path[bytes - 1] == '/') {
        bytes--;
    }
    while (bytes > 0 && path[bytes - 1] != '/') {
        bytes--;
    }
    memcpy(sink->path, bytes > 0 ? path : ".", bytes > 0 ? bytes : 1);
    sink->path[bytes > 0 ? bytes : 1] = '\0';
    int rc = weir_file_sink_sync_dir(sink, sink->path);
    if (rc != 0 && sink->op.verb == WEIR_IO_OPEN && sink->op.errnum == EACCES) {
        weir_err_clear();
        return 0;
    }
    return rc;
}

static int64_t
unlink_at(struct sink *sink, int32_t dir, const char *name, uint32_t flags)
{
    weir_io_op_unlink(&sink->op, dir, name, flags);
    return weir_io_perform(sink->env->io, &sink->op);
}

static int
unlink_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    (void)arg;
    (void)unlink_at(sink, dir, name, 0); /* what stays is not counted either */
    return 0;
}

int
weir_file_sink_lock(struct sink *sink, const char *path, int32_t *ret_handle)
{
    struct weir_io *io = sink->env->io;
    for (int i = 0;; i++) {
        weir_io_op_open(
            &sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY | WEIR_IO_O_LOCK);
        if (weir_io_perform(io, &sink->op) >= 0) {
            *ret_handle = (int32_t)sink->op.result;
            return 0;
        }
        if (sink->op.errnum != EWOULDBLOCK) {
            return failed(sink, &sink->op);
        }
        if (i == LOCK_TRY_CNT) {
            return weir_err_push(WEIR_ERUNNING,
                "output %s: another run is writing it (it holds the lock of %s)", sink->conf->path,
                path);
        }
        weir_io_wait(io, LOCK_WAIT_NS, -1);
        (void)weir_io_poll(io, weir_io_clock_ns(io));
    }
}

/* ---- the fence ---- */

struct fence {
    bool has_moved;
};

/* A directory of an older start, owned by an older start: it is ours from now on. */
static int
take_dir(struct sink *sink, uint64_t gen, uint64_t by)
{
    struct weir_io *io = sink->env->io;
    weir_file_sink_dir_name(sink, gen, by, sink->path);
    weir_file_sink_txn_pending_dir(sink, gen, sink->path2);
    for (int i = 0; i < 2; i++) {
        weir_io_op_rename(&sink->op, WEIR_IO_CWD, sink->path, sink->path2, 0);
        int64_t rc = weir_io_perform(io, &sink->op);
        WEIR_KILLPOINT_IF(rc >= 0, R5_TAKEN);
        if (rc >= 0 || sink->op.errnum == ENOENT) {
            return 0; /* another subtask of this start was first; or a newer start, seen next */
        }
        if (sink->op.errnum != EEXIST && sink->op.errnum != ENOTEMPTY) {
            break;
        }
        /* A start that was late and has seen a newer one leaves an empty one, before or after. */
        if (unlink_at(sink, WEIR_IO_CWD, sink->path, WEIR_IO_RMDIR) >= 0) {
            return 0;
        }
        (void)unlink_at(sink, WEIR_IO_CWD, sink->path2, WEIR_IO_RMDIR);
    }
    return failed(sink, &sink->op);
}

static int
fence_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct fence *fence = arg;
    uint64_t gen;
    uint64_t by;
    (void)dir;
    if (strncmp(name, ".pending-", 9) != 0) {
        return 0;
    }
    if (!weir_file_sink_parse_dir(sink, name, &gen, &by)) {
        return weir_err_push(WEIR_ECONFIG,
            "output %s: %s/%s belongs to another job, which has not finished; choose another "
            "output, or finish that job",
            sink->conf->path, sink->txn->out, name);
    }
    if (by > sink->txn->gen) {
        return weir_err_push(WEIR_ERUNNING,
            "output %s: a newer start of this job (epoch %llu, attempt %u) has taken it over",
            sink->conf->path, weir_file_sink_epoch(by), weir_file_sink_attempt(by));
    }
    if (by < sink->txn->gen) {
        fence->has_moved = true;
        return take_dir(sink, gen, by);
    }
    return 0;
}

/* Our own directory is durable before we look for others: of two starts, one sees the other. */
static int
put_up_fence(struct sink *sink, struct fence *fence)
{
    int rc = weir_file_sink_make_dir(sink, sink->dir);
    rc = rc != 0 ? rc : weir_file_sink_sync_dir(sink, sink->txn->out);
    WEIR_KILLPOINT_IF(rc == 0, R5_FENCED);
    do {
        fence->has_moved = false;
        rc = rc != 0 ? rc : weir_file_sink_each_entry(sink, sink->txn->out, 0, fence_entry, fence);
    } while (rc == 0 && fence->has_moved);
    if (rc == WEIR_ERUNNING || rc == WEIR_ECONFIG) {
        (void)unlink_at(sink, WEIR_IO_CWD, sink->dir, WEIR_IO_RMDIR); /* it stays if it is in use */
        return rc;
    }
    return rc != 0 ? rc : weir_file_sink_sync_dir(sink, sink->txn->out);
}

/* ---- what earlier starts have left ---- */

/* Of a hidden directory: all but the parts that the restored checkpoint may list. */
static int
drop_pending_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct sink_part_name part;
    (void)arg;
    if (WEIR_MUTANT(SINK_UNLISTED_COMMITTED) && weir_file_sink_parse_part(sink, name, &part)) {
        weir_file_sink_txn_name(sink, &part, true, sink->path2);
        weir_io_op_rename(&sink->op, dir, name, sink->path2, 0);
        (void)weir_io_perform(sink->env->io, &sink->op);
        return 0;
    }
    struct sink_share share;
    uint64_t rows;
    if (sink->conf->checkpoints.restored_id != 0 &&
        weir_file_sink_parse_mark(name, &share, &rows)) {
        return 0; /* of a subtask that may have ended before the restored checkpoint */
    }
    if (!weir_file_sink_parse_part(sink, name, &part) ||
        part.base >= sink->conf->checkpoints.restored_id) {
        (void)unlink_at(sink, dir, name, 0); /* what stays is not committed either */
        WEIR_KILLPOINT(R5_ABORTED);
    }
    return 0;
}

static int
drop_committed(struct sink *sink, int32_t dir, const char *name, const struct sink_part_name *part)
{
    const struct weir_file_sink_checkpoints *conf = &sink->conf->checkpoints;
    if (conf->restored_id != 0 && !conf->allows_rollback) {
        return weir_err_push(WEIR_ECONFIG,
            "output %s: %s is of a checkpoint after %llu, the restored one, and is committed "
            "already; restore a later checkpoint, or allow that the output goes back",
            sink->conf->path, name, (unsigned long long)conf->restored_id);
    }
    if (sink->target == SINK_FILE && unlink_at(sink, dir, name, 0) < 0) {
        (void)part;
        return failed(sink, &sink->op); /* it would get into F */
    }
    return 0;
}

static int
leftover_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    struct sink_part_name part;
    uint64_t gen;
    uint64_t by;
    (void)arg;
    if (weir_file_sink_parse_dir(sink, name, &gen, &by)) {
        if (gen >= sink->txn->gen) {
            return 0;
        }
        weir_file_sink_txn_pending_dir(sink, gen, sink->path);
        int rc = weir_file_sink_each_entry(sink, sink->path, 1, drop_pending_entry, NULL);
        if (sink->conf->checkpoints.restored_id == 0) {
            (void)unlink_at(sink, dir, name, WEIR_IO_RMDIR); /* empty ones harm nobody */
        }
        return rc;
    }
    if (weir_file_sink_parse_part(sink, name, &part)) {
        bool is_behind =
            part.gen < sink->txn->gen && part.base >= sink->conf->checkpoints.restored_id;
        bool is_kept = sink->target == SINK_DIR && sink->conf->checkpoints.restored_id == 0;
        return is_behind && !is_kept ? drop_committed(sink, dir, name, &part) : 0;
    }
    if (sink->target == SINK_FILE && weir_file_sink_is_part(name) &&
        !weir_file_sink_is_of_job(sink, name)) { /* or else somebody has renamed one */
        (void)unlink_at(sink, dir, name, 0); /* of a run without checkpoints; not merged anyway */
    }
    return 0;
}

static int
open_handle(struct sink *sink, const char *path, int32_t *ret_handle)
{
    weir_io_op_open(&sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(sink->env->io, &sink->op) < 0) {
        return failed(sink, &sink->op);
    }
    *ret_handle = (int32_t)sink->op.result;
    return 0;
}

static int
has_part_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    bool *has_any = arg;
    struct sink_part_name part;
    uint64_t gen;
    uint64_t by;
    (void)dir;
    if (weir_file_sink_parse_part(sink, name, &part)) {
        *has_any |= part.gen < sink->txn->gen;
    } else if (weir_file_sink_parse_dir(sink, name, &gen, &by) && gen < sink->txn->gen) {
        weir_file_sink_dir_name(sink, gen, by, sink->path2);
        return weir_file_sink_each_entry(sink, sink->path2, 1, has_part_entry, arg);
    }
    return 0;
}

/* F stands there, and no part of an older start does. */
static int
look_if_standing(struct sink *sink)
{
    struct weir_io_stat st;
    bool has_any = false;
    if (sink->conf->checkpoints.restored_id == 0) {
        return 0;
    }
    if (sink->target == SINK_FILE) {
        int rc = weir_file_sink_each_entry(sink, sink->txn->out, 0, has_part_entry, &has_any);
        if (rc != 0) {
            return rc;
        }
        weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->conf->path, &st);
        bool is_there = weir_io_perform(sink->env->io, &sink->op) >= 0;
        if (!is_there && sink->op.errnum != ENOENT) {
            return failed(sink, &sink->op);
        }
        has_any |= !is_there || st.type != WEIR_IO_FILE;
    }
    sink->txn->is_standing = !has_any;
    return 0;
}

int
weir_file_sink_txn_open(struct sink *sink)
{
    const struct weir_file_sink_checkpoints *conf = &sink->conf->checkpoints;
    struct fence fence = {0};
    if (conf->epoch > UINT64_MAX >> SINK_ATTEMPT_BITS || conf->attempt >= 1U << SINK_ATTEMPT_BITS) {
        return weir_err_push(WEIR_EINVAL, "epoch %llu, attempt %u of a file sink",
            (unsigned long long)conf->epoch, conf->attempt);
    }
    struct sink_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%zu bytes for %s", sizeof *txn, sink->conf->path);
    }
    sink->txn = txn;
    txn->out_handle = -1;
    txn->pending_handle = -1;
    txn->gen = conf->epoch << SINK_ATTEMPT_BITS | conf->attempt;
    txn->base = conf->restored_id;
    weir_file_sink_job_text(sink->env->job_name, txn->job);
    memcpy(txn->out, sink->dir, sizeof txn->out);
    weir_file_sink_txn_pending_dir(sink, txn->gen, sink->dir);
    if (conf->had_ended && sink->env->subtask_idx > 0) {
        return 0; /* nothing will come; the first one tidies */
    }
    int rc = weir_file_sink_make_dir(sink, txn->out);
    rc = rc != 0 ? rc : weir_file_sink_sync_parent(sink, txn->out);
    if (rc == 0 && sink->env->subtask_idx == 0) {
        rc = weir_file_sink_lock(sink, txn->out, &txn->out_handle);
    } else if (rc == 0) {
        rc = open_handle(sink, txn->out, &txn->out_handle);
    }
    rc = rc != 0 ? rc : put_up_fence(sink, &fence);
    rc = rc != 0 ? rc : open_handle(sink, sink->dir, &txn->pending_handle);
    rc = rc != 0 ? rc : look_if_standing(sink);
    if (rc == 0 && sink->env->subtask_idx == 0) {
        rc = weir_file_sink_each_entry(sink, txn->out, 0, leftover_entry, NULL);
        if (rc == 0 && sink->target == SINK_FILE && conf->restored_id == 0) {
            rc = weir_file_sink_sync_dir(
                sink, txn->out); /* else parts that were removed might come back into F */
        }
    }
    return rc;
}

/* ---- restore ---- */

/* Whether a file has these bytes. 0, 1: there is none, or an error that names it. */
static int
check_file(struct sink *sink, const char *path, const struct sink_part *part)
{
    struct weir_io *io = sink->env->io;
    weir_io_op_open(&sink->op, WEIR_IO_CWD, path, WEIR_IO_O_READ);
    if (weir_io_perform(io, &sink->op) < 0) {
        return sink->op.errnum == ENOENT ? 1 : failed(sink, &sink->op);
    }
    int32_t file = (int32_t)sink->op.result;
    uint64_t off = 0;
    uint32_t crc = 0;
    int64_t bytes;
    do {
        weir_io_op_read(&sink->op, file, sink->bufs[0], sink->write_bytes, off);
        bytes = weir_io_perform(io, &sink->op);
        if (bytes > 0) {
            crc = weir_crc32c(crc, sink->bufs[0], (size_t)bytes);
            off += (uint64_t)bytes;
        }
    } while (bytes > 0 && off <= part->bytes);
    int rc = bytes < 0 ? weir_err_push(weir_io_op_fail_output(&sink->op), "read %s", path) : 0;
    weir_io_op_close(&sink->op, file);
    (void)weir_io_perform(io, &sink->op); /* opened for reading */
    if (rc == 0 && (off != part->bytes || crc != part->crc)) {
        rc = weir_err_push(WEIR_EPARTS,
            "%s: %llu bytes or more with CRC %08x, the checkpoint says %llu and %08x", path,
            (unsigned long long)off, crc, (unsigned long long)part->bytes, part->crc);
    }
    return rc;
}

/* The part is neither hidden nor committed. */
static int
judge_missing(struct sink *sink, const struct sink_part *part)
{
    struct weir_io_stat st;
    bool is_done = sink->txn->is_published;
    weir_file_sink_txn_pending_dir(sink, part->name.gen, sink->path2);
    if (sink->target == SINK_DIR && !is_done) {
        /* Nothing but a commit takes a part out of there; then a reader took it. */
        weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->path2, &st);
        is_done = weir_io_perform(sink->env->io, &sink->op) == 0;
    }
    if (is_done || sink->conf->checkpoints.is_new) {
        return 0;
    }
    weir_file_sink_txn_name(sink, &part->name, false, sink->path2);
    return weir_err_push(WEIR_EPARTS,
        "output %s: the checkpoint lists %s (%llu rows), but it is neither there nor committed",
        sink->conf->path, sink->path2, (unsigned long long)part->rows);
}

static int
commit_restored(struct sink *sink, const struct sink_part *part)
{
    char *from = sink->path;
    char *to = sink->txn->bg_path;
    weir_file_sink_txn_name(sink, &part->name, false, from);
    weir_file_sink_txn_name(sink, &part->name, true, to);
    int rc = check_file(sink, from, part);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0) {
        weir_io_op_rename(&sink->op, WEIR_IO_CWD, from, to, WEIR_IO_NOREPLACE);
        if (weir_io_perform(sink->env->io, &sink->op) >= 0) {
            WEIR_KILLPOINT(R5_COMMITTED);
            return 0;
        }
        if (sink->op.errnum == EEXIST) {
            /* A host that stopped in between may come up with both names. */
            rc = check_file(sink, to, part);
            bool is_left = rc == 0 && unlink_at(sink, WEIR_IO_CWD, from, 0) < 0 &&
                           sink->op.errnum != ENOENT; /* or another subtask did so */
            return is_left ? failed(sink, &sink->op) : rc;
        }
        if (sink->op.errnum != ENOENT) {
            return failed(sink, &sink->op);
        }
    }
    /* It was committed before, or another subtask which was given it too does so now. */
    rc = check_file(sink, to, part);
    return rc == 1 ? judge_missing(sink, part) : rc;
}

static int
read_entry(const struct sink *sink, struct weir_part *from, struct sink_part *ret)
{
    uint64_t words[SINK_PART_ENTRY_CNT];
    for (size_t i = 0; i < WEIR_ARRAY_CNT(words); i++) {
        int rc = weir_part_get_u64(from, &words[i]);
        if (rc != 0) {
            return rc;
        }
    }
    memset(ret, 0, sizeof *ret);
    ret->name.base = words[0];
    ret->name.gen = words[1];
    ret->name.subtask = (uint32_t)(words[2] >> 32);
    ret->name.seq = (uint32_t)words[2];
    ret->bytes = words[3];
    ret->rows = words[4];
    ret->crc = (uint32_t)words[5];
    ret->name.has_sum = sink->target == SINK_FILE && from->version >= 2;
    ret->name.bytes = ret->bytes;
    ret->name.crc = ret->crc;
    return 0;
}

static int
restore_part(struct sink *sink, struct weir_part *from)
{
    uint64_t head[SINK_PART_HEAD_CNT] = {0};
    struct sink_part part;
    int rc = weir_part_get(from, head, sizeof head);
    if (rc == 0 && head[0] != sink->conf->checkpoints.restored_id) {
        return weir_err_push(WEIR_EDATA, "a part of checkpoint %llu, where %llu is restored",
            (unsigned long long)head[0], (unsigned long long)sink->conf->checkpoints.restored_id);
    }
    for (uint64_t i = 0; i < head[SINK_PART_HEAD_CNT - 1] && rc == 0; i++) {
        rc = read_entry(sink, from, &part);
        rc = rc != 0 || WEIR_MUTANT(SINK_NOT_RECOMMITTED) ? rc : commit_restored(sink, &part);
    }
    return rc != 0 || from->version >= 2 ? rc : weir_part_end(from);
}

typedef int(part_fn)(struct sink *sink, struct weir_part *from);

/* Calls fn with the sink's parts of one old subtask. */
static int
each_part(struct sink *sink, const struct weir_parts_reader *reader, part_fn *fn, bool *has_any)
{
    size_t offset = 0;
    struct weir_part part;
    size_t prefix_bytes = strlen(SINK_PART_PREFIX);
    int rc = 0;
    while (rc == 0 && weir_parts_next(reader, &offset, &part) == 1) {
        if (part.uid_bytes == strlen(reader->uid) &&
            memcmp(part.uid, reader->uid, part.uid_bytes) == 0 && part.name_bytes > prefix_bytes &&
            memcmp(part.name, SINK_PART_PREFIX, prefix_bytes) == 0) {
            *has_any = true;
            rc = part.version <= SINK_PART_VERSION
                     ? fn(sink, &part)
                     : weir_err_push(WEIR_EFORMAT, "part %.*s of version %u, this program knows %d",
                           (int)part.name_bytes, part.name, part.version, SINK_PART_VERSION);
        }
    }
    return rc;
}

/* All subtasks commit what each old one had listed: once more is no harm. */
int
weir_file_sink_restore(
    struct weir_operator *op, const struct weir_parts_reader *readers, uint32_t reader_cnt)
{
    struct sink *sink = op->self;
    int rc = 0;
    bool has_any = false;
    if (sink->txn == NULL) {
        return 0;
    }
    sink->txn->restored_end = SINK_END_PUBLISHED;
    for (uint32_t i = 0; rc == 0 && i < reader_cnt; i++) {
        rc = each_part(sink, &readers[i], weir_file_sink_shares_get, &has_any);
    }
    rc = rc != 0 || !has_any ? rc : weir_file_sink_shares_end(sink);
    for (uint32_t i = 0; rc == 0 && i < reader_cnt; i++) {
        bool is_left = WEIR_MUTANT(SINK_OWN_RECOMMITTED) && i != sink->env->subtask_idx;
        rc = is_left ? 0 : each_part(sink, &readers[i], restore_part, &has_any);
    }
    rc = rc != 0 ? rc : weir_file_sink_check_restored(sink);
    return rc != 0 || WEIR_MUTANT(SINK_RESTORED_UNSYNCED)
               ? rc
               : weir_file_sink_sync_dir(sink, sink->txn->out);
}

/* ---- the end ---- */

static int
sweep_entry(struct sink *sink, int32_t dir, const char *name, void *arg)
{
    const char *above = arg;
    uint64_t gen;
    uint64_t by;
    if (weir_file_sink_parse_dir(sink, name, &gen, &by)) {
        int bytes = snprintf(sink->path2, SINK_PATH_BYTES, "%s/%s", above, name);
        WEIR_CHECK(bytes < SINK_PATH_BYTES, "the path was checked at open");
        int rc = weir_file_sink_each_entry(sink, sink->path2, 1, unlink_entry, NULL);
        if (rc != 0) {
            return rc;
        }
        (void)unlink_at(sink, dir, name, WEIR_IO_RMDIR);
    } else if (sink->target == SINK_FILE && weir_file_sink_is_part(name)) {
        (void)unlink_at(sink, dir, name, 0);
    }
    return 0;
}

static void
sweep_dir(struct sink *sink, const char *path)
{
    char above[SINK_PATH_BYTES];
    memcpy(above, path, strlen(path) + 1);
    if (weir_file_sink_each_entry(sink, above, 0, sweep_entry, above) != 0) {
        weir_err_clear(); /* rubbish that cannot be removed is no failure of the job */
    }
}

void
weir_file_sink_txn_sweep(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (sink->target == SINK_DIR) {
        sweep_dir(sink, txn->out);
        return;
    }
    /* In one step, so that whoever comes next finds all of it or nothing. */
    int bytes = snprintf(txn->bg_path, SINK_PATH_BYTES, "%s.old", txn->out);
    WEIR_CHECK(bytes < SINK_PATH_BYTES, "the path was checked at open");
    sweep_dir(sink, txn->bg_path);
    (void)unlink_at(sink, WEIR_IO_CWD, txn->bg_path, WEIR_IO_RMDIR);
    weir_io_op_rename(&sink->op, WEIR_IO_CWD, txn->out, txn->bg_path, 0);
    if (weir_io_perform(sink->env->io, &sink->op) < 0) {
        return; /* F is published; it would be again */
    }
    WEIR_KILLPOINT(PUBLISH_SWEPT);
    if (weir_file_sink_sync_parent(sink, txn->out) != 0) {
        weir_err_clear(); /* some of it removed, and the old name back: it would look damaged */
        return;
    }
    sweep_dir(sink, txn->bg_path);
    (void)unlink_at(sink, WEIR_IO_CWD, txn->bg_path, WEIR_IO_RMDIR);
}
