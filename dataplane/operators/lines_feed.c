/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/operators/lines_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "dataplane/json.h"

#define TCP_SCHEME "tcp://"
#define LIST_BYTES 32768
/* A name of the host (255 bytes), a slash, and the end. */
#define NAME_BYTES_MAX 258

/* ---- which inputs ---- */

static int
add_path(struct lines_feed *feed, const char *dir, const char *name)
{
    if (feed->path_cnt == LINES_FILE_CNT_MAX) {
        return weir_err_push(WEIR_ENOINPUT, "%s: more than %u files", dir, LINES_FILE_CNT_MAX);
    }
    if ((feed->path_cnt & (feed->path_cnt + 1)) == 0) {
        size_t cap = ((size_t)feed->path_cnt + 1) * 2;
        char **paths = realloc(feed->paths, cap * sizeof *paths);
        if (paths == NULL) {
            return weir_err_push(WEIR_ENOMEM, "names of the files in %s", dir);
        }
        feed->paths = paths;
    }
    size_t bytes = strlen(dir) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path == NULL) {
        return weir_err_push(WEIR_ENOMEM, "names of the files in %s", dir);
    }
    const char *slash = name[0] == '\0' || dir[strlen(dir) - 1] == '/' ? "" : "/";
    (void)snprintf(path, bytes, "%s%s%s", dir, slash, name);
    feed->paths[feed->path_cnt++] = path;
    return 0;
}

static void
drop_path(struct lines_feed *feed, uint32_t idx)
{
    free(feed->paths[idx]);
    feed->paths[idx] = feed->paths[--feed->path_cnt];
}

/* The entries of one directory become paths; those of directories end in a slash. */
static int
list_dir(struct lines_feed *feed, const char *dir)
{
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, dir, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(feed->io, &op) < 0) {
        return weir_io_op_fail(&op);
    }
    int32_t handle = (int32_t)op.result;
    int err = 0;
    char *buf = malloc(LIST_BYTES);
    if (buf == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "list %s", dir);
    }
    weir_io_op_list(&op, handle, buf, LIST_BYTES);
    while (err == 0 && weir_io_perform(feed->io, &op) > 0) {
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        while (
            err == 0 && (name = weir_io_list_next(buf, (uint64_t)op.result, &pos, &type)) != NULL) {
            if (name[0] == '.' || (type != WEIR_IO_FILE && type != WEIR_IO_DIR)) {
                continue;
            }
            char entry[NAME_BYTES_MAX];
            int used = snprintf(entry, sizeof entry, "%s%s", name, type == WEIR_IO_DIR ? "/" : "");
            WEIR_CHECK(used < (int)sizeof entry, "a name of %d bytes", used);
            err = add_path(feed, dir, entry);
        }
    }
    if (err == 0 && op.result < 0) {
        (void)weir_io_op_fail(&op);
        err = weir_err_push((int)op.result, "list %s", dir);
    }
    free(buf);
    weir_io_op_close(&op, handle);
    (void)weir_io_perform(feed->io, &op); /* opened for reading */
    return err;
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Directories are replaced by what is in them until only files are left. */
static int
list_all(struct lines_feed *feed)
{
    int err = add_path(feed, feed->conf->path, "");
    uint32_t listed = 0;
    struct weir_io_stat st;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, feed->conf->path, &st);
    if (err == 0 && weir_io_perform(feed->io, &op) < 0) {
        return weir_io_op_fail(&op);
    }
    if (err != 0 || st.type != WEIR_IO_DIR) {
        return err;
    }
    if (feed->conf->refuse_directory) {
        return weir_err_errno(EISDIR, "open %s", feed->conf->path);
    }
    err = list_dir(feed, feed->paths[0]);
    drop_path(feed, 0);
    while (err == 0 && listed < feed->path_cnt) {
        char *path = feed->paths[listed];
        if (path[strlen(path) - 1] != '/') {
            listed++;
            continue;
        }
        err = list_dir(feed, path);
        drop_path(feed, listed);
    }
    if (err == 0) {
        qsort(feed->paths, feed->path_cnt, sizeof *feed->paths, compare_paths);
    }
    return err;
}

/* Every n-th of the sorted files is this subtask's. */
static void
keep_share(struct lines_feed *feed, uint32_t subtask_idx, uint32_t subtask_cnt)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < feed->path_cnt; i++) {
        if (i % subtask_cnt == subtask_idx) {
            feed->paths[kept++] = feed->paths[i];
        } else {
            free(feed->paths[i]);
        }
    }
    feed->path_cnt = kept;
}

/* What there is to read, where that has an end; what is wrong with a file shows when it is
 * opened. */
static uint64_t
size_all(struct lines_feed *feed)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < feed->path_cnt; i++) {
        struct weir_io_stat st;
        struct weir_io_op op;
        weir_io_op_stat(&op, WEIR_IO_CWD, feed->paths[i], &st);
        if (weir_io_perform(feed->io, &op) < 0 || st.type != WEIR_IO_FILE) {
            return 0;
        }
        bytes += st.bytes;
    }
    return bytes;
}

int
weir_lines_feed_open(struct lines_feed *feed, const struct weir_operator *op)
{
    const struct weir_lines_conf *conf = op->conf;
    feed->conf = conf;
    feed->io = op->env->io;
    feed->handle = -1;
    feed->path = conf->path;
    feed->block_bytes = conf->block_bytes != 0 ? conf->block_bytes : LINES_BLOCK_BYTES;
    uint64_t line = conf->line_bytes_max != 0 ? conf->line_bytes_max : WEIR_LINES_BYTES_MAX_DEFAULT;
    feed->cap = line + (LINES_WINDOW_BLOCK_CNT + 1) * feed->block_bytes;
    /* Large, and touched only as far as lines are long. */
    feed->buf = malloc(feed->cap + WEIR_JSON_SLACK_BYTES);
    if (feed->buf == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a buffer for lines of %lu bytes", (unsigned long)line);
    }
    feed->is_socket = strncmp(conf->path, TCP_SCHEME, strlen(TCP_SCHEME)) == 0;
    bool has_files = !feed->is_socket && strcmp(conf->path, "-") != 0;
    int err = has_files ? list_all(feed) : add_path(feed, conf->path, "");
    if (err == 0) {
        keep_share(feed, op->env->subtask_idx, op->env->subtask_cnt);
        feed->all_bytes = has_files ? size_all(feed) : 0;
    }
    return err;
}

static void
free_paths(struct lines_feed *feed)
{
    for (uint32_t i = 0; i < feed->path_cnt; i++) {
        free(feed->paths[i]);
        if (feed->resume != NULL) {
            free(feed->resume[i].kept);
        }
    }
    free(feed->paths);
    free(feed->resume);
}

void
weir_lines_feed_assign(
    struct lines_feed *feed, char **paths, struct lines_resume *resume, uint32_t cnt)
{
    WEIR_CHECK(feed->step == LINES_FEED_OPEN && feed->path_idx == 0, "inputs are read already");
    free_paths(feed);
    feed->paths = paths;
    feed->resume = resume;
    feed->path_cnt = cnt;
    feed->all_bytes = feed->all_bytes != 0 ? size_all(feed) : 0;
}

void
weir_lines_feed_close(struct lines_feed *feed)
{
    if (feed->io != NULL) {
        weir_io_settle(feed->io, &feed->op);
        bool makes_handle = feed->step == LINES_FEED_OPENING || feed->step == LINES_FEED_CONNECTING;
        if (makes_handle && feed->op.state == WEIR_IO_DONE && feed->op.result >= 0) {
            feed->handle = (int32_t)feed->op.result;
        }
        bool is_closed = feed->step == LINES_FEED_CLOSING && !feed->is_busy;
        if (feed->handle > WEIR_IO_STDERR && !is_closed) {
            weir_io_op_close(&feed->op, feed->handle);
            (void)weir_io_perform(feed->io, &feed->op); /* opened for reading */
        }
    }
    free_paths(feed);
    free(feed->buf);
    free(feed->packed);
    weir_unpack_close(feed->unpack);
}

/* ---- from one input to the next ---- */

/* Submits feed->op now, or, where the io is busy, with the next step. */
static int
launch(struct lines_feed *feed, enum lines_feed_step step)
{
    feed->step = step;
    feed->is_busy = !weir_io_submit(feed->io, &feed->op);
    return WEIR_WAIT;
}

/* The input that begins was read up to here before: from a file, or what was unpacked of it. */
static int
go_on_at(struct lines_feed *feed, const struct lines_resume *resume)
{
    if (feed->is_socket || feed->is_stream) {
        return WEIR_AGAIN; /* what was read is gone, it goes on with what comes */
    }
    if ((resume->flags & LINES_RESUME_PACKED) != 0) {
        feed->skip = resume->off;
        return WEIR_AGAIN;
    }
    if (resume->off > feed->st.bytes) {
        return weir_err_push(WEIR_EDATA,
            "%s has %llu bytes; a checkpoint was taken when %llu had been read", feed->path,
            (unsigned long long)feed->st.bytes, (unsigned long long)resume->off);
    }
    feed->read_off = resume->off;
    feed->end_off = resume->off;
    feed->is_first = false;
    return WEIR_AGAIN;
}

static int
begin_reading(struct lines_feed *feed)
{
    feed->step = LINES_FEED_READING;
    feed->op.state = WEIR_IO_IDLE;
    feed->at = 0;
    feed->end = 0;
    feed->done_bytes += feed->read_off;
    feed->read_off = 0;
    feed->end_off = 0;
    feed->skip = 0;
    feed->is_first = true;
    feed->is_read = false;
    feed->is_ended = false;
    feed->is_packed = false;
    if (feed->resume != NULL && !feed->is_taken_up) {
        const struct lines_resume *resume = &feed->resume[feed->path_idx];
        feed->is_taken_up = true;
        feed->is_resumed = true;
        return resume->off > 0 ? go_on_at(feed, resume) : (int)WEIR_AGAIN;
    }
    return WEIR_AGAIN;
}

static int
open_next(struct lines_feed *feed)
{
    if (feed->path_idx == feed->path_cnt) {
        feed->step = LINES_FEED_END;
        return WEIR_DONE;
    }
    feed->path = feed->paths[feed->path_idx];
    if (feed->is_socket) {
        weir_io_op_connect(&feed->op, feed->path + strlen(TCP_SCHEME));
        return launch(feed, LINES_FEED_CONNECTING);
    }
    if (strcmp(feed->path, "-") == 0) {
        feed->handle = WEIR_IO_STDIN;
        feed->is_stream = true;
        feed->path = "(standard input)";
        return begin_reading(feed);
    }
    weir_io_op_open(&feed->op, WEIR_IO_CWD, feed->path, WEIR_IO_O_READ | WEIR_IO_O_REGULAR);
    return launch(feed, LINES_FEED_OPENING);
}

static bool
may_retry(const struct lines_feed *feed)
{
    uint32_t cnt = feed->conf->reconnect_cnt;
    return feed->is_socket && (cnt == WEIR_LINES_RECONNECT_ALWAYS || feed->try_cnt < cnt);
}

static int
take_pause(struct lines_feed *feed, int64_t now_ns)
{
    feed->try_cnt++;
    weir_io_op_timer(&feed->op, weir_add_sat(now_ns, feed->conf->reconnect_delay_ns));
    return launch(feed, LINES_FEED_PAUSING);
}

static int
opened(struct lines_feed *feed, int64_t now_ns)
{
    if (feed->op.result < 0) {
        return may_retry(feed) ? take_pause(feed, now_ns) : weir_io_op_fail(&feed->op);
    }
    feed->handle = (int32_t)feed->op.result;
    if (feed->is_socket) {
        return begin_reading(feed);
    }
    weir_io_op_stat(&feed->op, feed->handle, NULL, &feed->st);
    return launch(feed, LINES_FEED_LOOKING);
}

static int
looked(struct lines_feed *feed)
{
    if (feed->op.result < 0) {
        return weir_io_op_fail(&feed->op);
    }
    feed->is_stream = feed->st.type != WEIR_IO_FILE;
    return begin_reading(feed);
}

static int
closed(struct lines_feed *feed, int64_t now_ns)
{
    feed->handle = -1;
    if (may_retry(feed)) {
        return take_pause(feed, now_ns);
    }
    feed->path_idx++;
    feed->is_taken_up = false;
    return open_next(feed);
}

/* ---- reading one input ---- */

/* The first bytes say whether the input is packed; its bytes so far then change places. */
static int
look_for_magic(struct lines_feed *feed)
{
    size_t bytes = feed->end - feed->at;
    if (bytes < WEIR_UNPACK_MAGIC_BYTES && !feed->is_read) {
        return 0;
    }
    feed->is_first = false;
    if (feed->is_socket || bytes < WEIR_UNPACK_MAGIC_BYTES ||
        memcmp(feed->buf + feed->at, WEIR_UNPACK_MAGIC, WEIR_UNPACK_MAGIC_BYTES) != 0) {
        return feed->skip == 0
                   ? 0
                   : weir_err_push(WEIR_EDATA,
                         "%s was a zstd file when a checkpoint was taken, and is none", feed->path);
    }
    if (feed->unpack == NULL) {
        int err = weir_unpack_open(&feed->unpack);
        if (err != 0) {
            return err;
        }
    }
    if (feed->packed == NULL && (feed->packed = malloc(2 * feed->block_bytes)) == NULL) {
        return weir_err_push(WEIR_ENOMEM, "unpack %s", feed->path);
    }
    weir_unpack_reset(feed->unpack);
    feed->is_packed = true;
    feed->packed_at = 0;
    feed->packed_end = bytes;
    memcpy(feed->packed, feed->buf + feed->at, bytes);
    feed->end = feed->at;
    feed->end_off = 0;
    return 0;
}

/* Bytes were unpacked behind `end`. While some are passed over the buffer is empty. */
static void
take_unpacked(struct lines_feed *feed, size_t bytes)
{
    uint64_t skipped = weir_min_u64(feed->skip, bytes);
    feed->skip -= skipped;
    feed->end_off += bytes;
    if (skipped == bytes) {
        return;
    }
    feed->at += skipped;
    feed->end += bytes;
}

static int
unpack_more(struct lines_feed *feed)
{
    size_t room = weir_min_u64(feed->cap - feed->end, feed->block_bytes);
    struct weir_unpack_step step = {
        .in = feed->packed + feed->packed_at,
        .in_bytes = feed->packed_end - feed->packed_at,
        .out = feed->buf + feed->end,
        .out_bytes = room,
    };
    int err = weir_unpack_run(feed->unpack, &step);
    if (err != 0) {
        return weir_err_push(err, "%s", feed->path);
    }
    feed->packed_at = feed->packed_end - step.in_bytes;
    take_unpacked(feed, room - step.out_bytes);
    /* Room that was not used: nothing is left in the unpacker either. */
    if (feed->is_read && step.in_bytes == 0 && step.out_bytes > 0) {
        feed->is_ended = true;
        if (feed->skip > 0) {
            return weir_err_push(WEIR_EDATA,
                "%s is shorter by %llu unpacked bytes than what had been read at a checkpoint",
                feed->path, (unsigned long long)feed->skip);
        }
        if (!weir_unpack_is_whole(feed->unpack)) {
            return weir_err_push(WEIR_EDATA, "%s: the zstd file is cut", feed->path);
        }
    }
    return 0;
}

/* Moves what is unread to the front: never more bytes than were consumed since the last time,
 * unless there is no other room. */
static void
make_room(struct lines_feed *feed, bool may_move)
{
    size_t unread = feed->end - feed->at;
    bool is_late = feed->end + feed->block_bytes > LINES_WINDOW_BLOCK_CNT * feed->block_bytes;
    bool is_cheap = unread == 0 || (is_late && unread <= feed->at);
    if (may_move && feed->at > 0 && (is_cheap || feed->cap - feed->end < feed->block_bytes)) {
        memmove(feed->buf, feed->buf + feed->at, unread);
        feed->end = unread;
        feed->at = 0;
    }
}

/* Reading ahead without a bound would only push lines out of the cache before they are worked
 * on. */
static bool
wants_bytes(const struct lines_feed *feed)
{
    return feed->is_starving || feed->end - feed->at < LINES_AHEAD_BLOCK_CNT * feed->block_bytes;
}

/* Starts the next read where there is room for one; a busy io is asked again in the next step. */
static void
read_ahead(struct lines_feed *feed)
{
    char *to = feed->is_packed ? feed->packed : feed->buf + feed->end;
    bool has_room = feed->is_packed ? feed->packed_at == feed->packed_end
                                    : feed->cap - feed->end >= feed->block_bytes;
    if (!has_room) {
        return;
    }
    if (feed->is_socket) {
        weir_io_op_recv(&feed->op, feed->handle, to, feed->block_bytes);
    } else {
        uint64_t off = feed->is_stream ? WEIR_IO_STREAM : feed->read_off;
        weir_io_op_read(&feed->op, feed->handle, to, feed->block_bytes, off);
    }
    (void)!weir_io_submit(feed->io, &feed->op);
}

/* A read has ended: with bytes, with the end of the input, or with a lost connection. */
static int
take_read(struct lines_feed *feed)
{
    int64_t bytes = feed->op.result;
    feed->op.state = WEIR_IO_IDLE;
    if (bytes < 0 && !(bytes == WEIR_EUNAVAILABLE && may_retry(feed))) {
        (void)weir_io_op_fail(&feed->op);
        return weir_err_push((int)bytes, "read %s", feed->path);
    }
    if (bytes <= 0) {
        feed->is_read = true;
        feed->is_ended = !feed->is_packed;
        return 0;
    }
    feed->try_cnt = 0;
    feed->read_off += (uint64_t)bytes;
    if (feed->is_packed) {
        feed->packed_at = 0;
        feed->packed_end = (size_t)bytes;
    } else {
        feed->end += (size_t)bytes;
        feed->end_off += (uint64_t)bytes;
    }
    return 0;
}

static int
step_reading(struct lines_feed *feed, bool may_move)
{
    if (feed->is_ended) {
        return WEIR_AGAIN;
    }
    size_t unread = feed->end - feed->at;
    int err = feed->op.state == WEIR_IO_DONE ? take_read(feed) : 0;
    if (err == 0 && feed->is_first) {
        err = look_for_magic(feed);
    }
    if (err != 0) {
        return err;
    }
    bool is_flying = feed->op.state == WEIR_IO_FLYING;
    if (feed->is_packed || !is_flying) {
        make_room(feed, may_move);
    }
    if (feed->is_packed && !is_flying && wants_bytes(feed)) {
        err = unpack_more(feed);
        feed->is_ended = err == 0 && feed->is_ended;
    }
    if (err == 0 && !is_flying && !feed->is_read && wants_bytes(feed)) {
        read_ahead(feed);
    }
    if (err != 0) {
        return err;
    }
    return feed->is_ended || feed->end - feed->at != unread ? WEIR_AGAIN : WEIR_WAIT;
}

int
weir_lines_feed_step(struct lines_feed *feed, bool may_move, int64_t now_ns)
{
    if (feed->is_busy) {
        (void)launch(feed, feed->step);
    }
    if (feed->step == LINES_FEED_READING) {
        return step_reading(feed, may_move);
    }
    if (feed->is_busy || feed->op.state == WEIR_IO_FLYING) {
        return WEIR_WAIT;
    }
    switch (feed->step) {
    case LINES_FEED_OPEN:
    case LINES_FEED_PAUSING:
        return open_next(feed);
    case LINES_FEED_OPENING:
    case LINES_FEED_CONNECTING:
        return opened(feed, now_ns);
    case LINES_FEED_LOOKING:
        return looked(feed);
    case LINES_FEED_CLOSING:
        return closed(feed, now_ns);
    default:
        return WEIR_DONE;
    }
}

void
weir_lines_feed_next(struct lines_feed *feed)
{
    WEIR_DCHECK(feed->is_ended && feed->at == feed->end, "unread bytes");
    feed->is_ended = false;
    if (feed->handle == WEIR_IO_STDIN) {
        feed->step = LINES_FEED_CLOSING;
        feed->op.state = WEIR_IO_DONE;
        return;
    }
    weir_io_op_close(&feed->op, feed->handle);
    (void)launch(feed, LINES_FEED_CLOSING);
}
