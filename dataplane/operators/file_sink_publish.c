/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/operators/file_sink_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/killpoint.h"

static void
name_in_dir(const struct sink *sink, const char *name, char *to)
{
    int bytes = snprintf(to, SINK_PATH_BYTES, "%s/%s", sink->dir, name);
    WEIR_CHECK(bytes < SINK_PATH_BYTES, "the path was checked at open");
}

static int
start_count(struct sink *sink)
{
    sink->done_cnt = 0;
    if (sink->txn != NULL) {
        sink->txn->done_rows = 0;
        sink->txn->share_cnt = sink->txn->older_cnt;
    }
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->dir, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    return weir_file_sink_launch(sink, SINK_COUNT_OPENING);
}

static int
list_more(struct sink *sink)
{
    weir_io_op_list(&sink->op, sink->dir_handle, sink->bufs[0], sink->write_bytes);
    return weir_file_sink_launch(sink, SINK_COUNT_LISTING);
}

/* Counts the done parts of this run among the names that op has listed. */
static void
count_done(struct sink *sink)
{
    uint64_t pos = 0;
    enum weir_io_type type;
    const char *name;
    char prefix[40];
    int prefix_bytes =
        snprintf(prefix, sizeof prefix, "part-%lx-", (unsigned long)sink->conf->run_id);
    while (
        (name = weir_io_list_next(sink->bufs[0], (uint64_t)sink->op.result, &pos, &type)) != NULL) {
        size_t bytes = strlen(name);
        bool is_done = bytes > 5 && strcmp(name + bytes - 5, ".done") == 0;
        sink->done_cnt += is_done && strncmp(name, prefix, (size_t)prefix_bytes) == 0;
    }
}

/* The same with checkpoints: marks, which say what each subtask has committed. */
static int
count_marks(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    uint64_t pos = 0;
    enum weir_io_type type;
    const char *name;
    int rc = 0;
    while (rc == 0 && (name = weir_io_list_next(
                           sink->bufs[0], (uint64_t)sink->op.result, &pos, &type)) != NULL) {
        struct sink_share share = {.gen = txn->gen};
        uint64_t rows;
        if (weir_file_sink_parse_mark(name, &share, &rows)) {
            sink->done_cnt++;
            txn->done_rows += rows;
            rc = weir_file_sink_share_add(txn, &share);
        }
    }
    return rc;
}

static int
start_publishing(struct sink *sink)
{
    if (sink->env->subtask_cnt == 1 && sink->txn == NULL) {
        weir_file_sink_part_path(sink, 0, true, sink->path);
    } else {
        name_in_dir(sink, "whole", sink->path);
    }
    weir_io_op_rename(&sink->op, WEIR_IO_CWD, sink->path, sink->conf->path, 0);
    return weir_file_sink_launch(sink, SINK_PUBLISHING);
}

static int
start_claim(struct sink *sink)
{
    if (sink->done_cnt < sink->env->subtask_cnt) {
        sink->step = SINK_FINISHED; /* a later one finds all of them */
        return WEIR_DONE;
    }
    if (sink->env->subtask_cnt == 1 && sink->txn == NULL) {
        return start_publishing(sink);
    }
    name_in_dir(sink, "merging", sink->path);
    weir_io_op_open(
        &sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL);
    return weir_file_sink_launch(sink, SINK_MERGE_CLAIMING);
}

static int
open_merged_part(struct sink *sink)
{
    uint32_t cnt = sink->txn != NULL ? sink->txn->merge_cnt : sink->env->subtask_cnt;
    if (sink->merge_idx == cnt) {
        weir_io_op_sync(&sink->op, sink->file, 0);
        return weir_file_sink_launch(sink, SINK_MERGE_SYNCING);
    }
    if (sink->txn != NULL) {
        weir_file_sink_txn_name(sink, &sink->txn->merge[sink->merge_idx], true, sink->path);
    } else {
        weir_file_sink_part_path(sink, sink->merge_idx, true, sink->path);
    }
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_READ);
    return weir_file_sink_launch(sink, SINK_MERGE_OPENING_PART);
}

static int
read_part(struct sink *sink)
{
    weir_io_op_read(&sink->op, sink->part_file, sink->bufs[0], sink->write_bytes, sink->part_off);
    return weir_file_sink_launch(sink, SINK_MERGE_READING);
}

static int
write_merged(struct sink *sink)
{
    uint64_t bytes = (uint64_t)sink->op.result;
    sink->part_off += bytes;
    if (sink->txn != NULL) {
        sink->part_crc = weir_crc32c(sink->part_crc, sink->bufs[0], bytes);
    }
    weir_io_op_write(&sink->op, sink->file, sink->bufs[0], bytes, sink->merged_off);
    sink->op.flags = WEIR_IO_WHOLE;
    sink->merged_off += bytes;
    return weir_file_sink_launch(sink, SINK_MERGE_WRITING);
}

/* The directory whose names have changed: that of F, or F/ itself. */
static int
start_sync_dir(struct sink *sink)
{
    const char *path = sink->conf->path;
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        memcpy(sink->path, ".", 2);
    } else {
        size_t bytes = slash == path ? 1 : (size_t)(slash - path);
        memcpy(sink->path, path, bytes);
        sink->path[bytes] = '\0';
    }
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    return weir_file_sink_launch(sink, SINK_SYNC_DIR_OPENING);
}

/* With checkpoints parts have no header. */
static int
start_merged(struct sink *sink)
{
    if (sink->txn == NULL) {
        return open_merged_part(sink);
    }
    sink->used[0] = 0;
    sink->fill = 0;
    int err = weir_file_sink_put_header(sink, sink->schema);
    if (err != 0) {
        return err;
    }
    if (sink->used[0] == 0) {
        return open_merged_part(sink);
    }
    weir_io_op_write(&sink->op, sink->file, sink->bufs[0], sink->used[0], 0);
    sink->op.flags = WEIR_IO_WHOLE;
    sink->merged_off = sink->used[0];
    sink->used[0] = 0;
    return weir_file_sink_launch(sink, SINK_MERGE_HEADER);
}

/* Removes what F does not need any more, one name at a time; what cannot be removed stays. */
static int
clean_next(struct sink *sink)
{
    uint32_t cnt = sink->env->subtask_cnt == 1 ? 0 : sink->env->subtask_cnt;
    uint32_t idx = sink->merge_idx++;
    if (idx < cnt) {
        weir_file_sink_part_path(sink, idx, true, sink->path);
    } else if (idx == cnt && cnt > 0) {
        name_in_dir(sink, "merging", sink->path);
    } else if (idx == cnt + (cnt > 0 ? 1 : 0)) {
        weir_io_op_unlink(&sink->op, WEIR_IO_CWD, sink->dir, WEIR_IO_RMDIR);
        return weir_file_sink_launch(sink, SINK_CLEANING);
    } else {
        sink->step = SINK_FINISHED;
        return WEIR_DONE;
    }
    weir_io_op_unlink(&sink->op, WEIR_IO_CWD, sink->path, 0);
    return weir_file_sink_launch(sink, SINK_CLEANING);
}

static int
publish_count(struct sink *sink)
{
    switch (sink->step) {
    case SINK_COUNT_OPENING:
        sink->dir_handle = (int32_t)sink->op.result;
        return list_more(sink);
    case SINK_COUNT_LISTING:
        if (sink->op.result > 0) {
            int rc = 0;
            if (sink->txn != NULL) {
                rc = count_marks(sink);
            } else {
                count_done(sink);
            }
            return rc != 0 ? rc : list_more(sink);
        }
        weir_io_op_close(&sink->op, sink->dir_handle);
        sink->dir_handle = -1;
        return weir_file_sink_launch(sink, SINK_COUNT_CLOSING);
    default:
        return start_claim(sink);
    }
}

/* With checkpoints: the hidden directory is not there. Either another subtask has published, and
 * D is gone too, or a newer start has taken it; for F/ either way all of ours is committed. */
static int
look_if_gone(struct sink *sink)
{
    weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->txn->out, &sink->txn->bg_stat);
    return weir_file_sink_launch(sink, SINK_GONE);
}

static int
start_whole(struct sink *sink)
{
    name_in_dir(sink, "whole", sink->path);
    weir_io_op_open(
        &sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    return weir_file_sink_launch(sink, SINK_MERGE_OPENING);
}

/* With checkpoints: no other subtask merges. */
static int
claimed(struct sink *sink)
{
    if (sink->target == SINK_DIR || sink->txn->is_published) {
        weir_file_sink_txn_sweep(sink);
        sink->step = SINK_FINISHED;
        return WEIR_DONE;
    }
    int err = weir_file_sink_txn_merge_list(sink);
    if (err == WEIR_EPARTS) {
        weir_io_op_stat(&sink->op, WEIR_IO_CWD, sink->dir, &sink->txn->bg_stat);
        if (weir_io_perform(sink->env->io, &sink->op) < 0 && sink->op.errnum == ENOENT) {
            weir_err_clear(); /* of what a newer start has left of it */
            return look_if_gone(sink);
        }
    }
    return err != 0 ? err : start_whole(sink);
}

static int
publish_merge(struct sink *sink)
{
    int err;
    switch (sink->step) {
    case SINK_MERGE_CLAIMING:
        weir_io_op_close(&sink->op, (int32_t)sink->op.result);
        return weir_file_sink_launch(sink, SINK_MERGE_CLAIMED);
    case SINK_MERGE_CLAIMED:
        WEIR_KILLPOINT(PUBLISH_CLAIMED);
        return sink->txn != NULL ? claimed(sink) : start_whole(sink);
    case SINK_MERGE_OPENING:
        sink->file = (int32_t)sink->op.result;
        return start_merged(sink);
    case SINK_MERGE_HEADER:
        return open_merged_part(sink);
    case SINK_MERGE_OPENING_PART:
        sink->part_file = (int32_t)sink->op.result;
        sink->part_off = 0;
        sink->part_crc = 0;
        return read_part(sink);
    case SINK_MERGE_READING:
        if (sink->op.result > 0) {
            return write_merged(sink);
        }
        err = sink->txn != NULL ? weir_file_sink_merged(sink) : 0;
        if (err != 0) {
            return err;
        }
        weir_io_op_close(&sink->op, sink->part_file);
        sink->part_file = -1;
        return weir_file_sink_launch(sink, SINK_MERGE_CLOSING_PART);
    case SINK_MERGE_WRITING:
        return read_part(sink);
    case SINK_MERGE_CLOSING_PART:
        sink->merge_idx++;
        return open_merged_part(sink);
    case SINK_MERGE_SYNCING:
        WEIR_KILLPOINT(PUBLISH_MERGED);
        weir_io_op_close(&sink->op, sink->file);
        sink->file = -1;
        return weir_file_sink_launch(sink, SINK_MERGE_CLOSING);
    default:
        return start_publishing(sink);
    }
}

static int
gone(struct sink *sink)
{
    if (sink->op.result >= 0 && sink->target == SINK_FILE) {
        return weir_err_push(WEIR_EIO,
            "output %s: %s is not there any more: a newer start of this job has taken the output "
            "over, or it was removed",
            sink->conf->path, sink->dir);
    }
    sink->step = SINK_FINISHED;
    return WEIR_DONE;
}

int
weir_file_sink_publish(struct sink *sink)
{
    int64_t result = sink->op.result;
    if (sink->step == SINK_GONE) {
        return gone(sink);
    }
    if (sink->txn != NULL && (sink->step < SINK_MERGE_CLAIMED || sink->step > SINK_FINISHED) &&
        sink->op.errnum == ENOENT) {
        return look_if_gone(sink);
    }
    if (sink->step == SINK_MERGE_CLAIMING && sink->op.errnum == EEXIST) {
        sink->step = SINK_FINISHED; /* another subtask merges */
        return WEIR_DONE;
    }
    if (result < 0 && sink->step != SINK_CLEANING) {
        return weir_io_op_fail_output(&sink->op);
    }
    switch (sink->step) {
    case SINK_DONE_MARK_OPENING:
        weir_io_op_close(&sink->op, (int32_t)result);
        return weir_file_sink_launch(sink, SINK_DONE_MARK_CLOSING);
    case SINK_DONE_MARK_CLOSING:
        if (sink->target == SINK_FILE && sink->env->subtask_cnt > 1) {
            /* Checkpoints that the others take go without this subtask, and its mark stands in. */
            weir_io_op_sync(&sink->op, sink->txn->pending_handle, 0);
            return weir_file_sink_launch(sink, SINK_DONE_MARK_SYNCING);
        }
        WEIR_KILLPOINT(PUBLISH_MARKED);
        return start_count(sink);
    case SINK_DONE_MARK_SYNCING:
        WEIR_KILLPOINT(PUBLISH_MARKED);
        return start_count(sink);
    case SINK_RENAMING:
        return sink->target == SINK_FILE ? start_count(sink) : start_sync_dir(sink);
    case SINK_PUBLISHING:
        WEIR_KILLPOINT(PUBLISH_RENAMED);
        return start_sync_dir(sink);
    case SINK_SYNC_DIR_OPENING:
        sink->dir_handle = (int32_t)result;
        weir_io_op_sync(&sink->op, sink->dir_handle, 0);
        return weir_file_sink_launch(sink, SINK_SYNC_DIR);
    case SINK_SYNC_DIR:
        WEIR_KILLPOINT(PUBLISH_DURABLE);
        weir_io_op_close(&sink->op, sink->dir_handle);
        sink->dir_handle = -1;
        return weir_file_sink_launch(sink, SINK_SYNC_DIR_CLOSING);
    case SINK_SYNC_DIR_CLOSING:
        if (sink->target == SINK_DIR) {
            sink->step = SINK_FINISHED;
            return WEIR_DONE;
        }
        if (sink->txn != NULL) {
            weir_file_sink_txn_sweep(sink);
            sink->step = SINK_FINISHED;
            return WEIR_DONE;
        }
        sink->merge_idx = 0;
        return clean_next(sink);
    case SINK_CLEANING:
        return clean_next(sink);
    default:
        return sink->step < SINK_MERGE_CLAIMING ? publish_count(sink) : publish_merge(sink);
    }
}
