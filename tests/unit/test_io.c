/* SPDX-License-Identifier: Apache-2.0 */
/* One program, three implementations: every case runs on io_uring, on posix and on the
 * simulation. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/io_place.h"

static void
t_a_file_reads_back_what_was_written(void **state)
{
    struct place *place = *state;
    enum { BYTES = 300000 };
    static char out[BYTES];
    static char in[BYTES + 10];
    for (int i = 0; i < BYTES; i++) {
        out[i] = (char)(i * 7 + i / 251);
    }
    int32_t file = open_file(place, "f", WEIR_IO_O_READ | WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    struct weir_io_op op;
    weir_io_op_write(&op, file, out, BYTES, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), BYTES);
    weir_io_op_sync(&op, file, WEIR_IO_DATA_ONLY);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_sync(&op, file, 0);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_read(&op, file, in, sizeof in, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), BYTES);
    assert_memory_equal(in, out, BYTES);
    /* Without WHOLE: some of it, at most up to the end, then 0. */
    uint64_t got = 0;
    while (got < BYTES) {
        weir_io_op_read(&op, file, in, 100000, got);
        int64_t bytes = perform(place, &op);
        assert_in_range(bytes, 1, 100000);
        assert_memory_equal(in, out + got, bytes);
        got += (uint64_t)bytes;
    }
    weir_io_op_read(&op, file, in, 10, BYTES);
    assert_int_equal(perform(place, &op), 0);
    /* In turn, as a stream. */
    int32_t stream = open_file(place, "f", WEIR_IO_O_READ);
    for (got = 0; got < BYTES;) {
        weir_io_op_read(&op, stream, in, 65536, WEIR_IO_STREAM);
        int64_t bytes = perform(place, &op);
        assert_true(bytes > 0);
        assert_memory_equal(in, out + got, bytes);
        got += (uint64_t)bytes;
    }
    close_file(place, stream);
    close_file(place, file);
}

/* More ranges in turn than there may be at a time; each is written from while it is one, and
 * after. */
static void
t_memory_is_registered_and_given_back(void **state)
{
    struct place *place = *state;
    int32_t file = open_file(place, "f", WEIR_IO_O_READ | WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    for (int i = 0; i < 40; i++) {
        char in[100];
        char *out = aligned_alloc(4096, 8192);
        assert_non_null(out);
        memset(out, i, 8192);
        assert_int_equal(weir_io_register(place->io, out, 8192), 0);
        for (int round = 0; round < 2; round++) {
            memset(out + 4000, i + round, sizeof in);
            struct weir_io_op op;
            weir_io_op_write(&op, file, out + 4000, sizeof in, 0);
            op.flags = WEIR_IO_WHOLE;
            assert_int_equal(perform(place, &op), sizeof in);
            weir_io_op_read(&op, file, in, sizeof in, 0);
            op.flags = WEIR_IO_WHOLE;
            assert_int_equal(perform(place, &op), sizeof in);
            assert_memory_equal(in, out + 4000, sizeof in);
            weir_io_unregister(place->io, out); /* the second time it is none */
        }
        free(out);
    }
    close_file(place, file);
}

static void
t_open_tells_what_is_wrong_with_a_path(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *name;
        uint32_t flags;
        int errnum;
        int err;
    } rows[] = {
        {"none", WEIR_IO_O_READ, ENOENT, WEIR_ENOINPUT},
        {"none/f", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE, ENOENT, WEIR_ENOINPUT},
        {"f", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY, ENOTDIR, WEIR_ENOINPUT},
        {"dir", WEIR_IO_O_READ | WEIR_IO_O_REGULAR, EISDIR, WEIR_ENOINPUT},
        {"dir", WEIR_IO_O_WRITE, EISDIR, WEIR_ENOINPUT},
        {"f", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL, EEXIST, WEIR_ESYS},
    };
    put_file(place, "f", "text");
    struct weir_io_op op;
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "dir"));
    assert_int_equal(perform(place, &op), 0);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        weir_io_op_open(&op, WEIR_IO_CWD, at(place, rows[i].name), rows[i].flags);
        assert_int_equal(perform(place, &op), rows[i].err);
        assert_int_equal(op.errnum, rows[i].errnum);
    }
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, "none"), WEIR_IO_O_READ);
    (void)perform(place, &op);
    assert_int_equal(weir_io_op_fail(&op), WEIR_ENOINPUT);
    assert_non_null(strstr(weir_err_at(0), "none: No such file or directory"));
    weir_err_clear();
    weir_io_op_read(&op, 200, place->dir, 1, 0);
    assert_int_equal(perform(place, &op), WEIR_ESYS);
    assert_int_equal(op.errnum, EBADF);
}

static void
t_flags_of_open_hold(void **state)
{
    struct place *place = *state;
    struct weir_io_op op;
    put_file(place, "f", "0123456789");
    int32_t dir = open_file(place, "", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    /* Append goes to the end, whatever the offset says. */
    weir_io_op_open(&op, dir, "f", WEIR_IO_O_WRITE | WEIR_IO_O_APPEND | WEIR_IO_O_BENEATH);
    int32_t file = (int32_t)perform(place, &op);
    assert_true(file >= 0);
    weir_io_op_write(&op, file, "ab", 2, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), 2);
    close_file(place, file);
    char in[32] = "";
    file = open_file(place, "f", WEIR_IO_O_READ);
    weir_io_op_read(&op, file, in, sizeof in, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), 12);
    assert_string_equal(in, "0123456789ab");
    close_file(place, file);
    weir_io_op_open(&op, dir, "../f", WEIR_IO_O_READ | WEIR_IO_O_BENEATH);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, EXDEV);
    /* One holder of the lock at a time. */
    file = open_file(place, "f", WEIR_IO_O_WRITE | WEIR_IO_O_LOCK);
    weir_io_op_open(&op, dir, "f", WEIR_IO_O_WRITE | WEIR_IO_O_LOCK);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, EWOULDBLOCK);
    close_file(place, file);
    file = open_file(place, "f", WEIR_IO_O_WRITE | WEIR_IO_O_LOCK | WEIR_IO_O_TRUNC);
    struct weir_io_stat st;
    weir_io_op_stat(&op, file, NULL, &st);
    assert_int_equal(perform(place, &op), 0);
    assert_int_equal(st.bytes, 0);
    weir_io_op_allocate(&op, file, 0, 5000);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_stat(&op, dir, "f", &st);
    assert_int_equal(perform(place, &op), 0);
    assert_int_equal(st.bytes, 5000);
    weir_io_op_truncate(&op, file, 7);
    assert_int_equal(weir_io_perform(place->io, &op), 0);
    weir_io_op_stat(&op, dir, "f", &st);
    assert_int_equal(weir_io_perform(place->io, &op), 0);
    assert_int_equal(st.bytes, 7);
    weir_io_op_read(&op, file, in, 1, 0);
    weir_io_settle(place->io, &op); /* never submitted: nothing to do */
    assert_int_equal(op.state, WEIR_IO_IDLE);
    weir_io_op_timer(&op, INT64_MAX);
    assert_true(weir_io_submit(place->io, &op));
    weir_io_settle(place->io, &op);
    assert_int_equal(op.result, WEIR_ECANCELED);
    assert_int_equal(st.type, WEIR_IO_FILE);
    assert_true(st.free_bytes > 0);
    close_file(place, file);
    close_file(place, dir);
}

/* All names of a directory, sorted into one text. */
static void
list_text(struct place *place, const char *name, uint32_t buf_bytes, char *text)
{
    char buf[4096];
    char names[64][64];
    size_t cnt = 0;
    struct weir_io_op op;
    int32_t dir = open_file(place, name, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    weir_io_op_list(&op, dir, buf, buf_bytes);
    for (;;) {
        int64_t bytes = perform(place, &op);
        assert_true(bytes >= 0);
        if (bytes == 0) {
            break;
        }
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *entry;
        while ((entry = weir_io_list_next(buf, (uint64_t)bytes, &pos, &type)) != NULL) {
            int used = snprintf(names[cnt++], 64, "%s%s", entry, type == WEIR_IO_DIR ? "/" : "");
            assert_in_range(used, 1, 63);
        }
    }
    close_file(place, dir);
    qsort(names, cnt, 64, (int (*)(const void *, const void *))strcmp);
    text[0] = '\0';
    for (size_t i = 0; i < cnt; i++) {
        strcat(text, names[i]);
        strcat(text, " ");
    }
}

static void
t_rename_list_and_unlink_agree(void **state)
{
    struct place *place = *state;
    char text[4096];
    struct weir_io_op op;
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "d"));
    assert_int_equal(perform(place, &op), 0);
    list_text(place, "d", 1024, text);
    assert_string_equal(text, "");
    put_file(place, "d/b", "1");
    put_file(place, "d/a", "2");
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "d/sub"));
    assert_int_equal(perform(place, &op), 0);
    list_text(place, "d", 1024, text);
    assert_string_equal(text, "a b sub/ ");
    weir_io_op_rename(&op, WEIR_IO_CWD, at(place, "d/b"), at(place, "d/a"), WEIR_IO_NOREPLACE);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, EEXIST);
    weir_io_op_rename(&op, WEIR_IO_CWD, at(place, "d/b"), at(place, "d/a"), 0);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_rename(&op, WEIR_IO_CWD, at(place, "d/none"), at(place, "d/x"), 0);
    assert_int_equal(perform(place, &op), WEIR_ENOINPUT);
    weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, "d"), WEIR_IO_RMDIR);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, ENOTEMPTY);
    weir_io_op_rename(&op, WEIR_IO_CWD, at(place, "d"), at(place, "e"), 0);
    assert_int_equal(perform(place, &op), 0);
    list_text(place, "e", 1024, text);
    assert_string_equal(text, "a sub/ ");
    weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, "e/sub"), WEIR_IO_RMDIR);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, "e/a"), 0);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, "e/a"), 0);
    assert_int_equal(perform(place, &op), WEIR_ENOINPUT);
    /* More names than the buffer holds come in several turns. */
    for (int i = 0; i < 40; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "e/a-name-of-more-than-thirty-bytes-%02d", i);
        put_file(place, name, "");
    }
    list_text(place, "e", 1024, text);
    assert_int_equal(strlen(text), 40 * (strlen("a-name-of-more-than-thirty-bytes-00") + 1));
}

static void
t_a_directory_can_be_made_durable(void **state)
{
    struct place *place = *state;
    struct weir_io_op op;
    int32_t dir = open_file(place, "", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    weir_io_op_sync(&op, dir, 0);
    assert_int_equal(perform(place, &op), 0);
    struct weir_io_stat st;
    weir_io_op_stat(&op, dir, NULL, &st);
    assert_int_equal(perform(place, &op), 0);
    assert_int_equal(st.type, WEIR_IO_DIR);
    close_file(place, dir);
}

struct pair {
    int32_t listener;
    int32_t near;
    int32_t far;
};

static struct pair
connect_pair(struct place *place)
{
    struct pair pair;
    char address[32];
    struct weir_io_op listen;
    weir_io_op_listen(&listen, "127.0.0.1:0");
    pair.listener = (int32_t)perform(place, &listen);
    assert_true(pair.listener >= 0);
    assert_true(listen.port > 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", listen.port);
    struct weir_io_op connect;
    struct weir_io_op accept;
    weir_io_op_accept(&accept, pair.listener);
    assert_true(weir_io_submit(place->io, &accept));
    weir_io_op_connect(&connect, address);
    pair.near = (int32_t)perform(place, &connect);
    pair.far = (int32_t)finish(place, &accept);
    assert_true(pair.near >= 0 && pair.far >= 0);
    return pair;
}

static void
t_sockets_carry_more_than_their_buffers_hold(void **state)
{
    struct place *place = *state;
    enum { BYTES = 4 << 20 };
    static char out[BYTES];
    static char in[BYTES];
    for (int i = 0; i < BYTES; i++) {
        out[i] = (char)(i * 13 + i / 509);
    }
    struct pair pair = connect_pair(place);
    struct weir_io_op send;
    struct weir_io_op recv;
    weir_io_op_send(&send, pair.near, out, BYTES);
    send.flags = WEIR_IO_WHOLE;
    assert_true(weir_io_submit(place->io, &send));
    for (uint64_t got = 0; got < BYTES;) {
        weir_io_op_recv(&recv, pair.far, in + got, BYTES - got);
        int64_t bytes = perform(place, &recv);
        assert_true(bytes > 0);
        got += (uint64_t)bytes;
    }
    assert_int_equal(finish(place, &send), BYTES);
    assert_memory_equal(in, out, BYTES);
    /* The peer closes: what it sent arrives, then the end. */
    weir_io_op_send(&send, pair.near, "bye", 3);
    send.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &send), 3);
    close_file(place, pair.near);
    weir_io_op_recv(&recv, pair.far, in, 10);
    recv.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &recv), 3);
    assert_memory_equal(in, "bye", 3);
    weir_io_op_recv(&recv, pair.far, in, 10);
    assert_int_equal(perform(place, &recv), 0);
    /* Sending to it fails, at the latest once the host has learned of it; no signal. */
    int64_t sent = 0;
    for (int i = 0; i < 100 && sent >= 0; i++) {
        weir_io_op_send(&send, pair.far, out, 1000);
        sent = perform(place, &send);
    }
    assert_true(sent < 0);
    assert_true(send.errnum == EPIPE || send.errnum == ECONNRESET);
    close_file(place, pair.far);
    close_file(place, pair.listener);
}

static void
t_a_refused_port_and_a_wrong_address_are_told_apart(void **state)
{
    struct place *place = *state;
    struct weir_io_op op;
    char address[32];
    weir_io_op_listen(&op, "127.0.0.1:0");
    int32_t listener = (int32_t)perform(place, &op);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", op.port);
    weir_io_op_listen(&op, address);
    assert_true(perform(place, &op) < 0);
    assert_int_equal(op.errnum, EADDRINUSE);
    close_file(place, listener);
    weir_io_op_connect(&op, address);
    assert_int_equal(perform(place, &op), WEIR_EUNAVAILABLE);
    assert_int_equal(op.errnum, ECONNREFUSED);
    static const char *const wrong[] = {"", ":1", "host", "host:", "host:port", "127.0.0.1:99999"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        weir_io_op_connect(&op, wrong[i]);
        assert_true(perform(place, &op) < 0);
        assert_int_equal(op.errnum, EINVAL);
    }
}

static void
t_a_name_is_resolved_without_blocking(void **state)
{
    struct place *place = *state;
    struct weir_io_op op;
    weir_io_op_listen(&op, "localhost:0");
    int32_t listener = (int32_t)perform(place, &op);
    assert_true(listener >= 0);
    char address[32];
    (void)snprintf(address, sizeof address, "localhost:%u", op.port);
    weir_io_op_connect(&op, address);
    int32_t near = (int32_t)perform(place, &op);
    assert_true(near >= 0);
    close_file(place, near);
    close_file(place, listener);
}

static void
t_timers_fire_in_order_and_not_early(void **state)
{
    struct place *place = *state;
    int64_t now_ns = weir_io_clock_ns(place->io);
    struct weir_io_op ops[3];
    weir_io_op_timer(&ops[0], now_ns + 300);
    weir_io_op_timer(&ops[1], now_ns + 100);
    weir_io_op_timer(&ops[2], now_ns + 200);
    for (int i = 0; i < 3; i++) {
        assert_true(weir_io_submit(place->io, &ops[i]));
    }
    assert_int_equal(weir_io_due_ns(place->io), now_ns + 100);
    assert_int_equal(weir_io_poll(place->io, now_ns + 99), 0);
    assert_int_equal(weir_io_poll(place->io, now_ns + 200), 2);
    assert_int_equal(ops[0].state, WEIR_IO_FLYING);
    assert_int_equal(ops[1].state, WEIR_IO_DONE);
    assert_int_equal(ops[2].state, WEIR_IO_DONE);
    weir_io_cancel(place->io, &ops[0]);
    assert_int_equal(ops[0].state, WEIR_IO_FLYING);
    assert_int_equal(finish(place, &ops[0]), WEIR_ECANCELED);
    assert_int_equal(weir_io_flying_cnt(place->io), 0);
}

static void
t_cancel_ends_what_would_wait_for_ever(void **state)
{
    struct place *place = *state;
    struct pair pair = connect_pair(place);
    struct weir_io_op recv;
    struct weir_io_op accept;
    char in[8];
    weir_io_op_recv(&recv, pair.far, in, sizeof in);
    weir_io_op_accept(&accept, pair.listener);
    assert_true(weir_io_submit(place->io, &recv));
    assert_true(weir_io_submit(place->io, &accept));
    (void)weir_io_poll(place->io, place->now_ns);
    weir_io_cancel(place->io, &recv);
    weir_io_cancel(place->io, &recv);
    assert_int_equal(recv.state, WEIR_IO_FLYING);
    assert_int_equal(finish(place, &recv), WEIR_ECANCELED);
    weir_io_cancel(place->io, &recv); /* done: nothing happens */
    assert_int_equal(accept.state, WEIR_IO_FLYING);
    weir_io_cancel(place->io, &accept);
    assert_int_equal(finish(place, &accept), WEIR_ECANCELED);
    /* What can end may end in either way, but it ends. */
    put_file(place, "f", "text");
    int32_t file = open_file(place, "f", WEIR_IO_O_READ);
    for (int i = 0; i < 20; i++) {
        weir_io_op_read(&recv, file, in, 4, 0);
        assert_true(weir_io_submit(place->io, &recv));
        weir_io_cancel(place->io, &recv);
        int64_t res = finish(place, &recv);
        assert_true(res == WEIR_ECANCELED || (res >= 1 && res <= 4));
    }
    close_file(place, file);
    close_file(place, pair.near);
    close_file(place, pair.far);
    close_file(place, pair.listener);
}

static void
count_done(struct weir_io *io, struct weir_io_op *op)
{
    (void)io;
    ++*(int *)op->owner;
}

static void
t_close_ends_everything_that_flies(void **state)
{
    struct place *place = *state;
    struct place other;
    open_place(&other, place->kind, 8);
    struct pair pair = connect_pair(&other);
    int done_cnt = 0;
    char in[8];
    struct weir_io_op ops[3];
    weir_io_op_recv(&ops[0], pair.far, in, sizeof in);
    weir_io_op_accept(&ops[1], pair.listener);
    weir_io_op_timer(&ops[2], INT64_MAX);
    for (int i = 0; i < 3; i++) {
        ops[i].done_fn = count_done;
        ops[i].owner = &done_cnt;
        assert_true(weir_io_submit(other.io, &ops[i]));
    }
    close_place(&other);
    assert_int_equal(done_cnt, 3);
    assert_int_equal(ops[0].result, WEIR_ECANCELED);
    if (place->kind != WEIR_IO_SIM) {
        assert_int_equal(close(pair.near) | close(pair.far) | close(pair.listener), 0);
    }
}

static void
t_a_full_depth_is_busy_and_nothing_is_lost(void **state)
{
    struct place *place = *state;
    enum { DEPTH = 5 };
    struct place other;
    open_place(&other, place->kind, DEPTH);
    struct weir_io_op ops[DEPTH + 1];
    int done_cnt = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i <= DEPTH; i++) {
            weir_io_op_open(&ops[i], WEIR_IO_CWD, "/", WEIR_IO_O_READ);
            ops[i].done_fn = count_done;
            ops[i].owner = &done_cnt;
            assert_int_equal(weir_io_submit(other.io, &ops[i]), i < DEPTH);
        }
        assert_int_equal(ops[DEPTH].state, WEIR_IO_IDLE);
        for (int i = 0; i < DEPTH; i++) {
            int32_t file = (int32_t)finish(&other, &ops[i]);
            assert_true(file >= 0);
        }
        for (int i = 0; i < DEPTH; i++) {
            close_file(&other, (int32_t)ops[i].result);
        }
    }
    assert_int_equal(done_cnt, 50 * DEPTH);
    close_place(&other);
}

/* A chain of steps that submits the next one from the completion of the last. */
static void
write_next(struct weir_io *io, struct weir_io_op *op)
{
    int *left = op->owner;
    assert_true(op->result > 0);
    if (--*left > 0) {
        op->off += 1;
        assert_true(weir_io_submit(io, op));
    }
}

static void
t_a_completion_may_submit_the_next_step(void **state)
{
    struct place *place = *state;
    int32_t file = open_file(place, "f", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    int left = 100;
    struct weir_io_op op;
    weir_io_op_write(&op, file, "x", 1, 0);
    op.done_fn = write_next;
    op.owner = &left;
    assert_true(weir_io_submit(place->io, &op));
    for (int i = 0; i < ROUND_CNT_MAX && left > 0; i++) {
        step(place);
    }
    assert_int_equal(left, 0);
    struct weir_io_stat st;
    struct weir_io_op stat;
    weir_io_op_stat(&stat, file, NULL, &st);
    assert_int_equal(perform(place, &stat), 0);
    assert_int_equal(st.bytes, 100);
    close_file(place, file);
}

static void
t_registered_memory_is_used_like_any_other(void **state)
{
    struct place *place = *state;
    static char memory[1 << 16] WEIR_ALIGNED(4096);
    assert_int_equal(weir_io_register(place->io, memory, sizeof memory), 0);
    memset(memory, 'r', sizeof memory);
    int32_t file = open_file(place, "f", WEIR_IO_O_READ | WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    struct weir_io_op op;
    weir_io_op_write(&op, file, memory, sizeof memory, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), sizeof memory);
    memset(memory, 0, sizeof memory);
    weir_io_op_read(&op, file, memory + 100, 1000, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), 1000);
    assert_int_equal(memory[99], 0);
    assert_int_equal(memory[100], 'r');
    assert_int_equal(memory[1099], 'r');
    assert_int_equal(memory[1100], 0);
    close_file(place, file);
}

static void
t_the_doorbell_ends_a_wait(void **state)
{
    struct place *place = *state;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t one = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(bell, &one, sizeof one), sizeof one);
        weir_io_wait(place->io, -1, bell); /* would hang if it did not see the bell */
        (void)weir_io_poll(place->io, weir_io_clock_ns(place->io));
        if (place->kind != WEIR_IO_SIM) {
            uint64_t rung;
            assert_int_equal(read(bell, &rung, sizeof rung), -1);
        }
    }
    weir_io_wait(place->io, 1000, bell); /* and a time limit ends it too */
    /* Never closed before the io: a poll on it may still fly. */
    weir_io_close(place->io);
    assert_int_equal(close(bell), 0);
    open_io(place);
}

static void
t_a_pipe_is_a_stream(void **state)
{
    struct place *place = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct weir_io_op in;
    struct weir_io_op out;
    static char big[200000];
    static char got[200000];
    memset(big, 'p', sizeof big);
    weir_io_op_read(&in, ends[0], got, sizeof got, WEIR_IO_STREAM);
    in.flags = WEIR_IO_WHOLE;
    weir_io_op_write(&out, ends[1], big, sizeof big, WEIR_IO_STREAM);
    out.flags = WEIR_IO_WHOLE;
    assert_true(weir_io_submit(place->io, &in));
    assert_true(weir_io_submit(place->io, &out));
    assert_int_equal(finish(place, &out), sizeof big);
    assert_int_equal(finish(place, &in), sizeof big);
    assert_memory_equal(got, big, sizeof big);
    close_file(place, ends[1]);
    weir_io_op_read(&in, ends[0], got, 10, WEIR_IO_STREAM);
    assert_int_equal(perform(place, &in), 0);
    close_file(place, ends[0]);
    /* A pipe that nobody reads any more. */
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    weir_io_op_write(&out, ends[1], "x", 1, WEIR_IO_STREAM);
    assert_int_equal(perform(place, &out), WEIR_EIO);
    assert_int_equal(out.errnum, EPIPE);
    /* A descriptor that somebody has made non-blocking. */
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    weir_io_op_read(&in, ends[0], got, 5, WEIR_IO_STREAM);
    assert_true(weir_io_submit(place->io, &in));
    for (int i = 0; i < 10; i++) {
        (void)weir_io_poll(place->io, weir_io_clock_ns(place->io));
    }
    assert_int_equal(in.state, WEIR_IO_FLYING);
    assert_int_equal(write(ends[1], "later", 5), 5);
    assert_int_equal(finish(place, &in), 5);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void
t_open_of_a_named_pipe_waits_for_its_writer_and_can_be_canceled(void **state)
{
    struct place *place = *state;
    const char *path = at(place, "pipe");
    struct weir_io_op op;
    char got[4];
    assert_int_equal(mkfifo(path, 0600), 0);
    weir_io_op_open(&op, WEIR_IO_CWD, path, WEIR_IO_O_READ);
    /* An io_uring may open it at once, and its first read waits. */
    for (int poll_cnt = 0; place->kind == WEIR_IO_POSIX && poll_cnt <= 20; poll_cnt += 20) {
        assert_true(weir_io_submit(place->io, &op));
        for (int i = 0; i < poll_cnt; i++) {
            assert_int_equal(weir_io_poll(place->io, weir_io_clock_ns(place->io)), 0);
            weir_io_wait(place->io, WEIR_MS, -1);
        }
        assert_int_equal(op.state, WEIR_IO_FLYING);
        weir_io_cancel(place->io, &op);
        assert_int_equal(finish(place, &op), WEIR_ECANCELED);
    }
    assert_true(weir_io_submit(place->io, &op));
    int writer = open(path, O_RDWR);
    assert_true(writer >= 0);
    assert_int_equal(write(writer, "text", 4), 4);
    int32_t file = (int32_t)finish(place, &op);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFL) & O_NONBLOCK, 0);
    weir_io_op_read(&op, file, got, sizeof got, WEIR_IO_STREAM);
    assert_int_equal(perform(place, &op), 4);
    assert_memory_equal(got, "text", 4);
    assert_int_equal(close(writer), 0);
    close_file(place, file);
}

/* ---- the simulated world alone ---- */

static void
t_faults_of_the_world_hit_the_operation_they_name(void **state)
{
    struct place *place = *state;
    put_file(place, "f", "0123456789");
    int32_t file = open_file(place, "f", WEIR_IO_O_READ | WEIR_IO_O_WRITE);
    weir_sim_fault(place->world, WEIR_IO_SYNC, 1, EIO);
    weir_sim_fault(place->world, WEIR_IO_OPEN, 0, EMFILE);
    weir_sim_fault(place->world, WEIR_IO_WRITE, 0, EINTR); /* transient: tried again unseen */
    struct weir_io_op op;
    weir_io_op_sync(&op, file, 0);
    assert_int_equal(perform(place, &op), 0);
    assert_int_equal(perform(place, &op), WEIR_EIO);
    assert_int_equal(perform(place, &op), 0);
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, "f"), WEIR_IO_O_READ);
    assert_int_equal(perform(place, &op), WEIR_ESYS);
    assert_int_equal(op.errnum, EMFILE);
    weir_io_op_write(&op, file, "xy", 2, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), 2);
    assert_true(op.retry_cnt <= 1);
    uint64_t bytes;
    assert_memory_equal(weir_sim_get(place->world, at(place, "f"), &bytes), "xy23456789", 10);
    assert_int_equal(bytes, 10);
    close_file(place, file);
}

/* 20 writes at once: the order in which they complete, as text. */
static void
completion_order(uint64_t world_seed, char *text)
{
    struct weir_sim *world;
    struct weir_sim_config config = {.seed = world_seed};
    assert_int_equal(weir_sim_open(&config, &world), 0);
    struct weir_io *io;
    struct weir_io_config io_config = {.kind = WEIR_IO_SIM, .world = world};
    assert_int_equal(weir_io_open(&io_config, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    struct weir_io_op ops[20];
    for (int i = 0; i < 20; i++) {
        weir_io_op_write(&ops[i], WEIR_IO_STDOUT, "abcdefghijklmnopqrst" + i, 1, WEIR_IO_STREAM);
        assert_true(weir_io_submit(io, &ops[i]));
    }
    while (weir_io_flying_cnt(io) > 0) {
        (void)weir_io_poll(io, weir_io_due_ns(io));
    }
    uint64_t bytes;
    const char *out = weir_sim_get(world, "/dev/stdout", &bytes);
    assert_int_equal(bytes, 20);
    memcpy(text, out, 20);
    weir_io_close(io);
    weir_sim_close(world);
}

static void
t_one_seed_is_one_order(void **state)
{
    (void)state;
    char a[20];
    char b[20];
    char other[20];
    completion_order(7, a);
    completion_order(7, b);
    completion_order(8, other);
    assert_memory_equal(a, b, 20);
    assert_memory_not_equal(a, other, 20);
    assert_memory_not_equal(a, "abcdefghijklmnopqrst", 20);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ON_ALL(t_a_file_reads_back_what_was_written),
        ON_ALL(t_memory_is_registered_and_given_back),
        ON_ALL(t_open_tells_what_is_wrong_with_a_path),
        ON_ALL(t_flags_of_open_hold),
        ON_ALL(t_rename_list_and_unlink_agree),
        ON_ALL(t_a_directory_can_be_made_durable),
        ON_ALL(t_sockets_carry_more_than_their_buffers_hold),
        ON_ALL(t_a_refused_port_and_a_wrong_address_are_told_apart),
        ON_ALL(t_a_name_is_resolved_without_blocking),
        ON_ALL(t_timers_fire_in_order_and_not_early),
        ON_ALL(t_cancel_ends_what_would_wait_for_ever),
        ON_ALL(t_close_ends_everything_that_flies),
        ON_ALL(t_a_full_depth_is_busy_and_nothing_is_lost),
        ON_ALL(t_a_completion_may_submit_the_next_step),
        ON_ALL(t_registered_memory_is_used_like_any_other),
        ON_ALL(t_the_doorbell_ends_a_wait),
        ON_HOST(t_a_pipe_is_a_stream),
        ON_HOST(t_open_of_a_named_pipe_waits_for_its_writer_and_can_be_canceled),
        ON_SIM(t_faults_of_the_world_hit_the_operation_they_name),
        cmocka_unit_test(t_one_seed_is_one_order),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
