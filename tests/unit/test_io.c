/* SPDX-License-Identifier: Apache-2.0 */
/* One program, three implementations: every case runs on io_uring, on posix and on the simulation. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "io/io.h"
#include "io/sim.h"
#include "tests/unit/test.h"

#define SEED_DEFAULT 1
#define ROUND_CNT_MAX 20000

/* A place to work in: a fresh directory of the host, or of a fresh world. */
struct place {
    enum weir_io_kind kind;
    struct weir_sim *world;
    struct weir_io *io;
    int64_t now_ns;
    char dir[64];
};

static uint64_t
seed(void)
{
    const char *text = getenv("WEIR_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : SEED_DEFAULT;
}

static void
open_place(struct place *place, enum weir_io_kind kind, uint32_t depth)
{
    memset(place, 0, sizeof *place);
    place->kind = kind;
    if (kind == WEIR_IO_SIM) {
        struct weir_sim_config config = {.seed = seed(), .short_ppm = 200000};
        print_message("seed %llu\n", (unsigned long long)config.seed);
        assert_int_equal(weir_sim_open(&config, &place->world), 0);
        (void)snprintf(place->dir, sizeof place->dir, "/work");
    } else {
        (void)snprintf(place->dir, sizeof place->dir, "/tmp/weir-io-XXXXXX");
        assert_non_null(mkdtemp(place->dir));
    }
    struct weir_io_config config = {.kind = kind, .depth = depth, .world = place->world};
    assert_int_equal(weir_io_open(&config, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
    place->now_ns = weir_io_clock_ns(place->io);
}

static int
set_up(void **state, enum weir_io_kind kind)
{
    struct place *place = malloc(sizeof *place);
    open_place(place, kind, 0);
    if (kind == WEIR_IO_SIM) {
        assert_int_equal(weir_sim_put(place->world, "/work/.keep", "", 0), 0);
    }
    *state = place;
    return 0;
}

static int
set_up_uring(void **state)
{
    return set_up(state, WEIR_IO_URING);
}

static int
set_up_posix(void **state)
{
    return set_up(state, WEIR_IO_POSIX);
}

static int
set_up_sim(void **state)
{
    return set_up(state, WEIR_IO_SIM);
}

static void
close_place(struct place *place)
{
    weir_io_close(place->io);
    weir_sim_close(place->world);
    if (place->kind != WEIR_IO_SIM) {
        char command[128];
        (void)snprintf(command, sizeof command, "rm -rf '%s'", place->dir);
        assert_int_equal(system(command), 0);
    }
}

static int
tear_down(void **state)
{
    close_place(*state);
    free(*state);
    return 0;
}

/* One step of the owner's loop: what is ready, else wait for it or move the simulated clock. */
static void
step(struct place *place)
{
    if (place->kind == WEIR_IO_SIM) {
        int64_t due_ns = weir_io_due_ns(place->io);
        assert_true(due_ns < INT64_MAX);
        place->now_ns = weir_max_i64(place->now_ns, due_ns);
        (void)weir_io_poll(place->io, place->now_ns);
        return;
    }
    if (weir_io_poll(place->io, weir_io_clock_ns(place->io)) == 0) {
        weir_io_wait(place->io, WEIR_SEC_NS, -1);
    }
}

static int64_t
finish(struct place *place, struct weir_io_op *op)
{
    for (int i = 0; i < ROUND_CNT_MAX && op->state != WEIR_IO_DONE; i++) {
        step(place);
    }
    assert_int_equal(op->state, WEIR_IO_DONE);
    return op->result;
}

static int64_t
perform(struct place *place, struct weir_io_op *op)
{
    assert_true(weir_io_submit(place->io, op));
    assert_int_equal(op->state, WEIR_IO_FLYING);
    return finish(place, op);
}

static const char *
at(struct place *place, const char *name)
{
    static char path[4][128];
    static int next;
    char *to = path[next++ % 4];
    (void)snprintf(to, sizeof path[0], "%s/%s", place->dir, name);
    return to;
}

static int32_t
open_file(struct place *place, const char *name, uint32_t flags)
{
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, name), flags);
    int64_t file = perform(place, &op);
    assert_true(file >= 0);
    return (int32_t)file;
}

static void
close_file(struct place *place, int32_t file)
{
    struct weir_io_op op;
    weir_io_op_close(&op, file);
    assert_int_equal(perform(place, &op), 0);
}

static void
put_file(struct place *place, const char *name, const char *text)
{
    int32_t file = open_file(place, name, WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_TRUNC);
    struct weir_io_op op;
    weir_io_op_write(&op, file, text, strlen(text), 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(place, &op), strlen(text));
    close_file(place, file);
}

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

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
#define ON_ALL(f)                                        \
    {#f " io_uring", f, set_up_uring, tear_down, NULL},  \
        {#f " posix", f, set_up_posix, tear_down, NULL}, \
    {                                                    \
#f " sim", f, set_up_sim, tear_down, NULL        \
    }
    const struct CMUnitTest tests[] = {
        ON_ALL(t_a_file_reads_back_what_was_written),
        ON_ALL(t_open_tells_what_is_wrong_with_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
