/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink with checkpoints, while rows come.
 *
 *     rows -> buffer -> op: open, write -> bg: sync, close -> precommitted -> bg: rename ->
 *     committed
 *
 * A buffer holds rows of one part. What cannot be opened or written is tried again, and rows wait
 * meanwhile; what cannot be renamed is tried again beside the rows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "dataplane/operators/file_sink_priv.h"

#define RETRY_NS (100 * WEIR_MS)
/* So often a commit is tried again when the sink is closed; then the job's restart does it. */
#define END_REST_MAX 30
/* A commit that fails so often in turn is told by declining checkpoints. */
#define UNMOVED_MAX 10

static void bg_go(struct sink *sink);

static struct sink_part *
part_of(struct sink_txn *txn, uint64_t number)
{
    return &txn->parts[number % WEIR_FILE_SINK_PENDING_CNT_MAX];
}

/* The part that takes rows, or NULL. */
static struct sink_part *
open_part(struct sink_txn *txn)
{
    if (txn->next == txn->first) {
        return NULL;
    }
    struct sink_part *last = part_of(txn, txn->next - 1);
    return last->state == PART_OPEN ? last : NULL;
}

/* ---- failures ---- */

static void
keep_reason(struct sink *sink, const struct weir_io_op *op, const char *path)
{
    struct sink_txn *txn = sink->txn;
    (void)snprintf(txn->why, sizeof txn->why, "output %.340s: %s", path,
        op->errnum != 0 ? strerror(op->errnum) : "failed");
}

/* It does not pass: no checkpoint of this start can be complete any more. */
static void
die(struct sink *sink, const struct weir_io_op *op, const char *path)
{
    struct sink_txn *txn = sink->txn;
    if (txn->dead != 0) {
        return;
    }
    txn->dead = op->errnum == ENOENT ? WEIR_EIO : (int)op->result;
    keep_reason(sink, op, path);
    if (op->errnum == ENOENT) {
        size_t used = strlen(txn->why);
        (void)snprintf(txn->why + used, sizeof txn->why - used,
            " (a newer start of this job has taken the output over, or it was removed)");
    }
}

/* Whether rows are to be refused: a checkpoint under way is declined first. */
static bool
is_over(const struct sink *sink)
{
    const struct sink_txn *txn = sink->txn;
    return txn->dead != 0 && (txn->is_told || txn->asked_id == 0 || sink->is_finishing);
}

static int
say(const struct sink *sink)
{
    const struct sink_txn *txn = sink->txn;
    return weir_err_push(txn->dead != 0 ? txn->dead : txn->stalled, "%s", txn->why);
}

/* ---- op: opens and writes ---- */

static int
write_stalled(struct sink *sink, const char *path)
{
    struct sink_txn *txn = sink->txn;
    sink->step = SINK_READY;
    if (sink->op.errnum == ENOENT) {
        die(sink, &sink->op, path);
        return WEIR_WAIT;
    }
    keep_reason(sink, &sink->op, path);
    txn->stalled = (int)sink->op.result;
    txn->retry_ns = weir_io_clock_ns(sink->env->io) + RETRY_NS;
    return WEIR_WAIT;
}

static void
part_written(struct sink *sink, struct sink_part *part)
{
    if (part->state == PART_SEALED && part->written == part->bytes) {
        part->state = PART_WRITTEN;
        WEIR_KILLPOINT(SINK_WRITTEN);
        bg_go(sink);
    }
}

static int
start_writing(struct sink *sink, uint32_t buf)
{
    struct sink_txn *txn = sink->txn;
    struct sink_part *part = part_of(txn, txn->buf_part[buf]);
    if (part->file < 0) {
        weir_file_sink_txn_name(sink, &part->name, false, sink->path);
        weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->path,
            WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL);
        return weir_file_sink_launch(sink, SINK_TXN_OPENING);
    }
    size_t off = txn->buf_off[buf];
    weir_io_op_write(
        &sink->op, part->file, sink->bufs[buf] + off, sink->used[buf] - off, part->written);
    sink->op.flags = WEIR_IO_WHOLE;
    return weir_file_sink_launch(sink, SINK_TXN_WRITING);
}

/* The operation has ended. */
static int
follow_writing(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    uint32_t buf = 1 - sink->fill;
    struct sink_part *part = part_of(txn, txn->buf_part[buf]);
    if (sink->step == SINK_TXN_OPENING) {
        if (sink->op.result < 0) {
            return write_stalled(sink, sink->path);
        }
        part->file = (int32_t)sink->op.result;
        txn->opened_end = txn->buf_part[buf] + 1;
    } else {
        if (WEIR_MUTANT(SINK_FULL_DISK) && sink->op.errnum == ENOSPC) {
            sink->op.result = 0;
            sink->op.moved = sink->op.bytes;
        }
        part->written += sink->op.moved;
        txn->buf_off[buf] += sink->op.moved;
        if (sink->op.result < 0) {
            weir_file_sink_txn_name(sink, &part->name, false, sink->path);
            return write_stalled(sink, sink->path);
        }
        sink->used[buf] = 0;
        txn->buf_off[buf] = 0;
        part_written(sink, part);
    }
    txn->stalled = 0;
    sink->step = SINK_READY;
    return WEIR_AGAIN;
}

/* Goes on until something flies or nothing is left: WEIR_WAIT, or WEIR_DONE. A buffer with rows of
 * a part that is sealed is written in any case, others if it is wanted. */
static int
pump(struct sink *sink, bool wants_write)
{
    struct sink_txn *txn = sink->txn;
    if (txn->is_complete) {
        return WEIR_DONE; /* op is for what comes after the rows */
    }
    for (;;) {
        if (sink->is_busy) {
            (void)weir_file_sink_launch(sink, sink->step);
        }
        if (sink->is_busy || sink->op.state == WEIR_IO_FLYING) {
            return WEIR_WAIT;
        }
        if (sink->step != SINK_READY) {
            if (follow_writing(sink) == WEIR_WAIT) {
                return WEIR_WAIT;
            }
            continue;
        }
        if (txn->dead != 0) {
            return WEIR_WAIT;
        }
        if (sink->used[1 - sink->fill] > 0) {
            if (txn->stalled != 0 && weir_io_clock_ns(sink->env->io) < txn->retry_ns) {
                return WEIR_WAIT;
            }
            (void)start_writing(sink, 1 - sink->fill);
            continue;
        }
        bool is_sealed = sink->used[sink->fill] > 0 &&
                         part_of(txn, txn->buf_part[sink->fill])->state != PART_OPEN;
        if (sink->used[sink->fill] == 0 || (!wants_write && !is_sealed)) {
            return WEIR_DONE;
        }
        sink->fill = 1 - sink->fill;
    }
}

/* ---- bg: syncs and renames, which go on by themselves ---- */

static void
bg_done(struct weir_io *io, struct weir_io_op *op)
{
    (void)io;
    bg_go(op->owner);
}

static void
bg_launch(struct sink *sink, enum sink_bg bg)
{
    struct sink_txn *txn = sink->txn;
    txn->bg = bg;
    txn->bg_op.done_fn = bg_done;
    txn->bg_op.owner = sink;
    txn->bg_is_busy = !weir_io_submit(sink->env->io, &txn->bg_op);
}

static void
bg_rest(struct sink *sink, const char *what)
{
    struct sink_txn *txn = sink->txn;
    (void)snprintf(txn->unmoved, sizeof txn->unmoved, "commit of checkpoint %llu: %.340s: %s",
        (unsigned long long)txn->commit_id, what, strerror(txn->bg_op.errnum));
    txn->unmoved_cnt++;
    txn->rest_cnt++;
    weir_io_op_timer(&txn->bg_op, weir_io_clock_ns(sink->env->io) + RETRY_NS);
    bg_launch(sink, BG_RESTING);
}

static void
forget_moved(struct sink_txn *txn)
{
    while (txn->first < txn->next && part_of(txn, txn->first)->state == PART_MOVED) {
        txn->first++;
    }
}

/* The next thing that is due. Commits first: somebody waits for them. */
static void
bg_start(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    for (uint64_t i = txn->first; i < txn->next; i++) {
        struct sink_part *part = part_of(txn, i);
        txn->bg_part = i;
        if (part->state == PART_SYNCED && part->checkpoint_id != 0 &&
            part->checkpoint_id <= txn->commit_id) {
            weir_file_sink_txn_name(sink, &part->name, false, txn->bg_path);
            weir_file_sink_txn_name(sink, &part->name, true, txn->bg_path2);
            weir_io_op_rename(
                &txn->bg_op, WEIR_IO_CWD, txn->bg_path, txn->bg_path2, WEIR_IO_NOREPLACE);
            bg_launch(sink, BG_MOVING);
            return;
        }
    }
    if (WEIR_MUTANT(SINK_COMMIT_UNSYNCED) && txn->is_moved_unsynced) {
        txn->is_moved_unsynced = false;
        forget_moved(txn);
    }
    if (txn->is_moved_unsynced) {
        weir_io_op_sync(&txn->bg_op, txn->out_handle, 0);
        bg_launch(sink, BG_SYNCING_OUT);
        return;
    }
    for (uint64_t i = txn->first; i < txn->next; i++) {
        txn->bg_part = i;
        if (part_of(txn, i)->state == PART_WRITTEN) {
            weir_io_op_sync(&txn->bg_op, part_of(txn, i)->file, 0);
            bg_launch(sink, BG_SYNCING);
            return;
        }
        if (part_of(txn, i)->state == PART_SYNCED && i >= txn->named_end) {
            txn->naming_end = txn->opened_end;
            if (WEIR_MUTANT(SINK_NAMES_UNSYNCED)) {
                txn->named_end = txn->naming_end;
                continue;
            }
            weir_io_op_sync(&txn->bg_op, txn->pending_handle, 0);
            bg_launch(sink, BG_SYNCING_PENDING);
            return;
        }
    }
    txn->bg = BG_IDLE;
}

/* A rename failed, or what follows such a failure. True: bg goes on with what is due. */
static bool
bg_follow_move(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (txn->bg == BG_LOOKING) {
        if (txn->bg_op.result < 0) {
            weir_file_sink_txn_name(sink, &part_of(txn, txn->bg_part)->name, false, txn->bg_path);
            txn->bg_op.errnum = ENOENT;
            die(sink, &txn->bg_op, txn->bg_path);
            return true;
        }
    } else if (txn->bg_op.result < 0 && !WEIR_MUTANT(SINK_MOVE_UNHEEDED)) {
        if (txn->bg_op.errnum == ENOENT) {
            /* Both directories were there: the name is gone only if D has it, by whomever. */
            weir_io_op_stat(&txn->bg_op, WEIR_IO_CWD, txn->bg_path2, &txn->bg_stat);
            bg_launch(sink, BG_LOOKING);
        } else {
            bg_rest(sink, txn->bg_path);
        }
        return false;
    }
    WEIR_KILLPOINT(SINK_MOVED);
    txn->unmoved_cnt = 0;
    part_of(txn, txn->bg_part)->state = PART_MOVED;
    txn->is_moved_unsynced = true;
    return true;
}

/* What the operation that has ended leads to. True: it is done with. */
static bool
bg_follow(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    struct sink_part *part = part_of(txn, txn->bg_part);
    switch (txn->bg) {
    case BG_SYNCING:
        if (txn->bg_op.result < 0 && !WEIR_MUTANT(SINK_SYNC_UNHEEDED)) {
            weir_file_sink_txn_name(sink, &part->name, false, txn->bg_path);
            die(sink, &txn->bg_op, txn->bg_path);
            return true;
        }
        WEIR_KILLPOINT(SINK_SYNCED);
        weir_io_op_close(&txn->bg_op, part->file);
        part->file = -1;
        bg_launch(sink, BG_CLOSING);
        return false;
    case BG_CLOSING:
        if (txn->bg_op.result < 0) {
            weir_file_sink_txn_name(sink, &part->name, false, txn->bg_path);
            die(sink, &txn->bg_op, txn->bg_path);
            return true;
        }
        part->state = PART_SYNCED;
        return true;
    case BG_SYNCING_PENDING:
        if (txn->bg_op.result < 0 && !WEIR_MUTANT(SINK_NAMES_UNHEEDED)) {
            die(sink, &txn->bg_op, sink->dir);
        } else {
            txn->named_end = txn->naming_end;
        }
        return true;
    case BG_SYNCING_OUT:
        if (txn->bg_op.result < 0 && !WEIR_MUTANT(SINK_COMMIT_UNHEEDED)) {
            /* It may be on the device or not; a restart commits again what its checkpoint lists. */
            die(sink, &txn->bg_op, txn->out);
            return true;
        }
        WEIR_KILLPOINT(SINK_COMMITTED);
        txn->is_moved_unsynced = false;
        forget_moved(txn);
        return true;
    case BG_MOVING:
    case BG_LOOKING:
        return bg_follow_move(sink);
    default:
        return true;
    }
}

static void
bg_go(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (txn->is_closing) {
        return;
    }
    if (txn->bg_is_busy) {
        bg_launch(sink, txn->bg);
        return;
    }
    if (txn->bg_op.state == WEIR_IO_FLYING) {
        return;
    }
    if (txn->bg != BG_IDLE && !bg_follow(sink)) {
        return;
    }
    txn->bg = BG_IDLE;
    if (txn->dead == 0) {
        bg_start(sink);
    }
}

/* ---- rows ---- */

/* WEIR_WAIT: as many parts wait as may, and a commit is under way. Without one it is an error: rows
 * that wait would hold back the barrier that could help them. */
static int
begin_part(struct sink *sink, int64_t now_ns)
{
    struct sink_txn *txn = sink->txn;
    if (txn->is_published || sink->conf->checkpoints.had_ended) {
        return weir_err_push(WEIR_EILLEGAL,
            "output %s is finished, by the restored checkpoint; now there are more rows",
            sink->conf->path);
    }
    if (txn->next - txn->first == WEIR_FILE_SINK_PENDING_CNT_MAX) {
        uint64_t oldest = part_of(txn, txn->first)->checkpoint_id;
        return oldest != 0 && oldest <= txn->commit_id
                   ? WEIR_WAIT
                   : weir_err_push(WEIR_EFAILED,
                         "output %s: %d parts wait for a checkpoint that is complete",
                         sink->conf->path, WEIR_FILE_SINK_PENDING_CNT_MAX);
    }
    *part_of(txn, txn->next++) = (struct sink_part){.name = {.base = txn->base,
                                                        .gen = txn->gen,
                                                        .subtask = sink->env->subtask_idx,
                                                        .seq = txn->seq++},
        .file = -1,
        .opened_ns = now_ns};
    sink->has_header_due = sink->target == SINK_DIR;
    return 0;
}

static void
seal(struct sink *sink, struct sink_part *part)
{
    struct sink_txn *txn = sink->txn;
    part->state = PART_SEALED;
    part->name.has_sum = sink->target == SINK_FILE;
    part->name.bytes = part->bytes;
    part->name.crc = part->crc;
    txn->sum = weir_file_sink_sum(txn->sum, &part->name);
    part_written(sink, part);
}

static void
roll(struct sink *sink, struct sink_part *part, int64_t now_ns)
{
    const struct weir_file_sink_conf *conf = sink->conf;
    const struct sink_txn *txn = sink->txn;
    uint64_t bytes = conf->roll_bytes != 0 ? conf->roll_bytes : WEIR_FILE_SINK_ROLL_BYTES_DEFAULT;
    int64_t age_ns = conf->roll_ns != 0 ? conf->roll_ns : WEIR_FILE_SINK_ROLL_NS_DEFAULT;
    bool has_room = txn->next - txn->first < WEIR_FILE_SINK_PENDING_CNT_MAX / 2;
    if (sink->target == SINK_DIR && has_room &&
        (part->bytes >= bytes || weir_sub_sat(now_ns, part->opened_ns) >= age_ns)) {
        seal(sink, part);
    }
}

/* Rows into the buffer at hand. Returns how many. */
static int64_t
put(struct sink *sink, struct sink_part *part, const struct weir_view *in, uint32_t at)
{
    struct sink_txn *txn = sink->txn;
    size_t before = sink->used[sink->fill];
    int err = sink->has_header_due ? weir_file_sink_put_header(sink, in->schema) : 0;
    int64_t cnt = err != 0 ? err : weir_file_sink_put_rows(sink, in, at);
    if (cnt < 0) {
        return cnt;
    }
    size_t bytes = sink->used[sink->fill] - before;
    txn->buf_part[sink->fill] = txn->next - 1;
    part->crc = weir_crc32c(part->crc, sink->bufs[sink->fill] + before, bytes);
    part->bytes += bytes;
    part->rows += (uint64_t)cnt;
    txn->rows += (uint64_t)cnt;
    return cnt;
}

int64_t
weir_file_sink_txn_process(
    struct weir_operator *op, const struct weir_view *in, uint32_t cursor, int64_t now_ns)
{
    struct sink *sink = op->self;
    struct sink_txn *txn = sink->txn;
    uint32_t at = cursor;
    bool is_full = false;
    bg_go(sink);
    while (at < in->cnt) {
        (void)pump(sink, is_full);
        if (is_over(sink)) {
            return say(sink);
        }
        struct sink_part *part = open_part(txn);
        bool is_other = sink->used[sink->fill] > 0 &&
                        (part == NULL || txn->buf_part[sink->fill] != txn->next - 1);
        if (txn->dead != 0 || is_other || (is_full && sink->used[sink->fill] > 0)) {
            break; /* the buffers wait to be written: take no more */
        }
        int rc = part == NULL ? begin_part(sink, now_ns) : 0;
        if (rc != 0) {
            return rc < 0 ? rc : (int64_t)(at - cursor);
        }
        part = open_part(txn);
        int64_t cnt = put(sink, part, in, at);
        if (cnt < 0) {
            return cnt;
        }
        at += (uint32_t)cnt;
        is_full = at < in->cnt || sink->used[sink->fill] >= sink->write_bytes;
        roll(sink, part, now_ns);
    }
    (void)pump(sink, is_full);
    return (int64_t)(at - cursor);
}

/* ---- the hooks of checkpoints ---- */

int
weir_file_sink_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct sink *sink = op->self;
    struct sink_txn *txn = sink->txn;
    char name[sizeof SINK_PART_PREFIX + 12];
    if (txn == NULL) {
        sink->stream_target = sink->off + sink->used[0] + sink->used[1];
        return 0;
    }
    struct sink_part *open = open_part(txn);
    if (open != NULL) {
        seal(sink, open);
        WEIR_KILLPOINT(SINK_SEALED);
    }
    WEIR_DCHECK(id > txn->base, "checkpoint %llu after %llu", (unsigned long long)id,
        (unsigned long long)txn->base);
    txn->base = id;
    txn->asked_id = id;
    if (sink->is_finishing && txn->final_id == 0) {
        txn->final_id = id;
    }
    (void)snprintf(name, sizeof name, SINK_PART_PREFIX "%u", sink->env->subtask_idx);
    weir_parts_begin(parts, name, SINK_PART_VERSION);
    weir_parts_put_u64(parts, id);
    weir_parts_put_u64(parts, txn->is_published    ? SINK_END_PUBLISHED
                              : sink->is_finishing ? SINK_END_DATA
                                                   : SINK_END_NONE);
    weir_parts_put_u64(parts, txn->rows);
    uint64_t first = txn->first;
    while (WEIR_MUTANT(SINK_ABORTED_DROPPED) && first < txn->next &&
           part_of(txn, first)->checkpoint_id != 0) {
        first++;
    }
    weir_parts_put_u64(parts, txn->next - first);
    for (uint64_t i = first; i < txn->next; i++) {
        struct sink_part *part = part_of(txn, i);
        part->checkpoint_id = part->checkpoint_id != 0 ? part->checkpoint_id : id;
        weir_parts_put_u64(parts, part->name.base);
        weir_parts_put_u64(parts, part->name.gen);
        weir_parts_put_u64(parts, (uint64_t)part->name.subtask << 32 | part->name.seq);
        weir_parts_put_u64(parts, part->bytes);
        weir_parts_put_u64(parts, part->rows);
        weir_parts_put_u64(parts, part->crc);
    }
    weir_file_sink_shares_put(sink, parts);
    weir_parts_end(parts);
    return 0;
}

/* Whether all that checkpoint id lists is durable, under durable names. */
static bool
is_durable(struct sink_txn *txn, uint64_t id)
{
    for (uint64_t i = txn->first; i < txn->next && !WEIR_MUTANT(SINK_UNSYNCED); i++) {
        const struct sink_part *part = part_of(txn, i);
        if (part->checkpoint_id != 0 && part->checkpoint_id <= id &&
            (part->state < PART_SYNCED || i >= txn->named_end + WEIR_MUTANT(SINK_NAMES_ONE_MORE))) {
            return false;
        }
    }
    return true;
}

int
weir_file_sink_precommit(struct weir_operator *op, uint64_t id)
{
    struct sink *sink = op->self;
    struct sink_txn *txn = sink->txn;
    if (txn == NULL) {
        bool is_written = sink->step == SINK_FINISHED || sink->off >= sink->stream_target;
        int rc = is_written ? WEIR_DONE : op->type->flush(op);
        return rc < 0 || is_written ? rc : WEIR_WAIT;
    }
    (void)pump(sink, false);
    bg_go(sink);
    if (txn->dead != 0) {
        txn->is_told = true;
        return say(sink);
    }
    if (txn->unmoved_cnt > UNMOVED_MAX) {
        txn->asked_id = txn->asked_id == id ? 0 : txn->asked_id;
        return weir_err_push(WEIR_EIO, "%s; it is tried again", txn->unmoved);
    }
    bool is_done = is_durable(txn, id);
    WEIR_KILLPOINT_IF(is_done, SINK_PRECOMMITTED);
    if (WEIR_MUTANT(SINK_COMMITS_EARLY) && is_done) {
        txn->commit_id = weir_max_u64(txn->commit_id, id);
        bg_go(sink);
    }
    if ((is_done || txn->stalled != 0) && txn->asked_id == id) {
        txn->asked_id = 0;
    }
    return is_done ? WEIR_DONE : txn->stalled != 0 ? say(sink) : WEIR_WAIT;
}

int
weir_file_sink_committed(struct weir_operator *op, uint64_t id)
{
    struct sink *sink = op->self;
    struct sink_txn *txn = sink->txn;
    if (txn == NULL) {
        return 0;
    }
    txn->commit_id = weir_max_u64(txn->commit_id, id);
    txn->is_complete |= txn->final_id != 0 && id >= txn->final_id;
    bg_go(sink);
    return txn->dead != 0 ? say(sink) : 0;
}

uint64_t
weir_file_sink_committed_id(struct weir_operator *op)
{
    struct sink *sink = op->self;
    struct sink_txn *txn = sink->txn;
    if (txn == NULL) {
        return UINT64_MAX;
    }
    uint64_t id = txn->commit_id;
    for (uint64_t i = txn->first; i < txn->next; i++) {
        uint64_t lists = part_of(txn, i)->checkpoint_id;
        id = lists != 0 && lists <= id ? lists - 1 : id; /* it is forgotten once D is synced */
    }
    return id;
}

int
weir_file_sink_aborted(struct weir_operator *op, uint64_t id)
{
    struct sink *sink = op->self;
    /* Its parts are in the list of the next one, which has all that is not committed. */
    if (sink->txn != NULL && sink->txn->asked_id == id) {
        sink->txn->asked_id = 0;
    }
    return 0;
}

/* ---- the end ---- */

int
weir_file_sink_txn_finish(struct sink *sink)
{
    sink->is_finishing = true;
    (void)pump(sink, true);
    return WEIR_DONE; /* the final checkpoint takes what is left */
}

static int
mark_done(struct sink *sink)
{
    const struct sink_txn *txn = sink->txn;
    int bytes = snprintf(sink->path, SINK_PATH_BYTES, "%s/done-%u-%llu-%u-%08x", sink->dir,
        sink->env->subtask_idx, (unsigned long long)txn->rows, txn->seq, txn->sum);
    WEIR_CHECK(bytes < SINK_PATH_BYTES, "the path was checked at open");
    weir_io_op_open(&sink->op, WEIR_IO_CWD, sink->path, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    return weir_file_sink_launch(sink, SINK_DONE_MARK_OPENING);
}

/* The final checkpoint is committed: all parts into D, then F. */
static int
complete(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    bg_go(sink);
    if (txn->dead != 0) {
        return say(sink);
    }
    if (txn->first < txn->next || txn->bg != BG_IDLE) {
        return WEIR_WAIT;
    }
    for (;;) {
        if (sink->is_busy) {
            (void)weir_file_sink_launch(sink, sink->step);
        }
        if (sink->is_busy || sink->op.state == WEIR_IO_FLYING) {
            return WEIR_WAIT;
        }
        int rc = sink->step == SINK_FINISHED ? WEIR_DONE
                 : sink->step == SINK_READY  ? mark_done(sink)
                                             : weir_file_sink_publish(sink);
        if (rc < 0 || rc == WEIR_DONE) {
            return rc;
        }
    }
}

int
weir_file_sink_txn_flush(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (txn->is_complete) {
        return complete(sink);
    }
    int rc = pump(sink, true);
    bg_go(sink);
    if (is_over(sink)) {
        return say(sink);
    }
    return rc == WEIR_WAIT && sink->used[sink->fill] == 0 && txn->stalled == 0 ? WEIR_DONE : rc;
}

int
weir_file_sink_txn_end(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    struct weir_io *io = sink->env->io;
    struct weir_io_stat st;
    struct weir_io_op look;
    uint32_t rest_max = txn->rest_cnt + END_REST_MAX;
    if (sink->conf->checkpoints.had_ended && sink->env->subtask_idx == 0) {
        /* A power cut may have brought back what was removed when it was published. */
        weir_file_sink_txn_sweep(sink);
        return 0;
    }
    if (!txn->is_complete) {
        return 0; /* what is left belongs to a checkpoint that is not complete yet, if any */
    }
    for (;;) {
        int rc = complete(sink);
        if (rc != WEIR_WAIT) {
            return rc < 0 ? rc : 0;
        }
        if (txn->rest_cnt > rest_max) {
            return weir_err_push(WEIR_EIO,
                "output %s: the last checkpoint is complete, but its commit is not, after %d "
                "tries; "
                "start the job again to repeat it",
                sink->conf->path, END_REST_MAX);
        }
        weir_io_op_stat(&look, WEIR_IO_CWD, txn->out, &st);
        (void)weir_io_perform(io, &look); /* moves a simulated clock */
        weir_io_wait(io, WEIR_MS, -1);
        (void)weir_io_poll(io, weir_io_clock_ns(io));
    }
}

static void
close_file(struct sink *sink, int32_t file)
{
    if (file >= 0) {
        weir_io_op_close(&sink->op, file);
        (void)weir_io_perform(sink->env->io, &sink->op); /* what counts was synced before */
    }
}

/* sink->op is settled. */
void
weir_file_sink_txn_close(struct sink *sink)
{
    struct sink_txn *txn = sink->txn;
    txn->is_closing = true;
    weir_io_settle(sink->env->io, &txn->bg_op);
    if (txn->bg == BG_CLOSING && txn->bg_is_busy) {
        close_file(sink, txn->bg_op.file);
    }
    for (uint64_t i = txn->first; i < txn->next; i++) {
        close_file(sink, part_of(txn, i)->file);
    }
    close_file(sink, txn->out_handle);
    close_file(sink, txn->pending_handle);
    free(txn->merge);
    free(txn->shares);
    free(txn);
    sink->txn = NULL;
}
