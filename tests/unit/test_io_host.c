/* SPDX-License-Identifier: Apache-2.0 */
/* What needs a process of its own: full disks, refused permissions, filters on system calls. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/io_place.h"

/* Runs body in a child; its exit code must be 0. The place's io is closed meanwhile: a process with
 * two threads should not fork one that starts more. */
static void
in_child(struct place *place, void (*body)(enum weir_io_kind kind))
{
    if (place != NULL) {
        weir_io_close(place->io);
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body(place != NULL ? place->kind : WEIR_IO_AUTO);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (place != NULL) {
        open_io(place);
    }
    assert_int_equal(status, 0);
}

#define CHILD_CHECK(cond)                                       \
    do {                                                        \
        if (!(cond)) {                                          \
            (void)fprintf(stderr, "%d: %s\n", __LINE__, #cond); \
            _exit(1);                                           \
        }                                                       \
    } while (0)

static int64_t
child_perform(struct weir_io *io, struct weir_io_op *op)
{
    CHILD_CHECK(weir_io_submit(io, op));
    for (int i = 0; i < ROUND_CNT_MAX && op->state != WEIR_IO_DONE; i++) {
        if (weir_io_poll(io, weir_io_clock_ns(io)) == 0) {
            weir_io_wait(io, WEIR_SEC_NS, -1);
        }
    }
    CHILD_CHECK(op->state == WEIR_IO_DONE);
    return op->result;
}

static struct weir_io *
child_open(enum weir_io_kind kind)
{
    struct weir_io_config config = {.kind = kind};
    struct weir_io *io;
    CHILD_CHECK(weir_io_open(&config, &io) == 0);
    CHILD_CHECK(weir_io_start(io) == 0);
    return io;
}

/* A disk of 256 KiB that only this child sees. */
static void
fill_a_small_disk(enum weir_io_kind kind)
{
    static char block[64 << 10];
    CHILD_CHECK(unshare(CLONE_NEWNS) == 0);
    CHILD_CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHILD_CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, "size=256k") == 0);
    struct weir_io *io = child_open(kind);
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, "/mnt/f", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    int32_t file = (int32_t)child_perform(io, &op);
    CHILD_CHECK(file >= 0);
    uint64_t off = 0;
    for (int i = 0; i < 10; i++) {
        weir_io_op_write(&op, file, block, sizeof block, off);
        op.flags = WEIR_IO_WHOLE;
        if (child_perform(io, &op) < 0) {
            break;
        }
        off += sizeof block;
    }
    CHILD_CHECK(op.result == WEIR_EIO);
    CHILD_CHECK(op.errnum == ENOSPC);
    CHILD_CHECK(off + op.moved <= 256 << 10);
    weir_io_op_allocate(&op, file, 0, 1 << 20);
    CHILD_CHECK(child_perform(io, &op) == WEIR_EIO && op.errnum == ENOSPC);
    struct weir_io_stat st;
    weir_io_op_stat(&op, file, NULL, &st);
    CHILD_CHECK(child_perform(io, &op) == 0);
    CHILD_CHECK(st.is_volatile);
    weir_io_op_close(&op, file);
    CHILD_CHECK(child_perform(io, &op) == 0);
    weir_io_close(io);
}

/* For users who may not mount: a limit on the size of files says no in the same place. */
static void
exceed_the_file_size_limit(enum weir_io_kind kind)
{
    static char block[64 << 10];
    (void)signal(SIGXFSZ, SIG_IGN);
    char path[] = "/tmp/weir-io-limit-XXXXXX";
    int fd = mkstemp(path);
    CHILD_CHECK(fd >= 0);
    CHILD_CHECK(unlink(path) == 0);
    struct rlimit limit = {.rlim_cur = 100 << 10, .rlim_max = 100 << 10};
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    struct weir_io *io = child_open(kind);
    struct weir_io_op op;
    uint64_t moved = 0;
    for (int i = 0; i < 2; i++) {
        weir_io_op_write(&op, fd, block, sizeof block, (uint64_t)i * sizeof block);
        op.flags = WEIR_IO_WHOLE;
        (void)child_perform(io, &op);
        moved += op.moved;
    }
    CHILD_CHECK(op.result == WEIR_EIO && op.errnum == EFBIG);
    CHILD_CHECK(moved == 100 << 10);
    weir_io_close(io);
}

/* Neither root's privileges nor a mode of 0 may hide a refusal: the child gives its rights up. */
static void
open_without_permission(enum weir_io_kind kind)
{
    char path[] = "/tmp/weir-io-perm-XXXXXX";
    int fd = mkstemp(path);
    CHILD_CHECK(fd >= 0 && fchmod(fd, 0) == 0);
    if (geteuid() == 0) {
        CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    struct weir_io *io = child_open(kind);
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, path, WEIR_IO_O_READ);
    CHILD_CHECK(child_perform(io, &op) == WEIR_EPERM);
    CHILD_CHECK(op.errnum == EACCES);
    weir_io_close(io);
}

/* With an operation in flight, the filter kills the process for any call a poll has no business
 * with. */
static void
poll_idle_under_a_filter(enum weir_io_kind kind)
{
    int ends[2];
    char in[8];
    CHILD_CHECK(pipe(ends) == 0);
    struct weir_io *io = child_open(kind);
    struct weir_io_op op;
    struct weir_io_op timer;
    weir_io_op_timer(&timer, INT64_MAX);
    CHILD_CHECK(weir_io_submit(io, &timer));
    if (kind == WEIR_IO_URING) {
        weir_io_op_read(&op, ends[0], in, sizeof in, WEIR_IO_STREAM);
        CHILD_CHECK(weir_io_submit(io, &op));
    }
    (void)weir_io_poll(io, 1);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    CHILD_CHECK(filter != NULL);
    CHILD_CHECK(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0) == 0);
    CHILD_CHECK(seccomp_load(filter) == 0);
    for (int i = 0; i < 1000; i++) {
        CHILD_CHECK(weir_io_poll(io, i) == 0);
    }
    (void)syscall(SYS_exit_group, 0); /* _exit() is more than that under a sanitizer */
}

static void
forbid_uring(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    CHILD_CHECK(filter != NULL);
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0);
    CHILD_CHECK(rc == 0);
    CHILD_CHECK(seccomp_load(filter) == 0);
    seccomp_release(filter);
}

static void
open_where_uring_is_forbidden(enum weir_io_kind kind)
{
    (void)kind;
    forbid_uring();
    struct weir_io *io;
    struct weir_io_config config = {.kind = WEIR_IO_URING};
    CHILD_CHECK(weir_io_open(&config, &io) == WEIR_EUNAVAILABLE);
    weir_err_clear();
    io = child_open(WEIR_IO_AUTO);
    CHILD_CHECK(strcmp(weir_io_name(io), "posix") == 0);
    CHILD_CHECK(weir_io_degraded(io) != NULL);
    CHILD_CHECK(strstr(weir_io_degraded(io), "io_uring: Operation not permitted") != NULL);
    CHILD_CHECK(weir_err_cnt() == 0);
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, "/proc/self/status", WEIR_IO_O_READ);
    CHILD_CHECK(child_perform(io, &op) >= 0);
    weir_io_close(io);
}

static void
t_a_full_disk_is_an_io_error(void **state)
{
    struct place *place = *state;
    if (place->kind != WEIR_IO_SIM) {
        if (geteuid() == 0) {
            in_child(place, fill_a_small_disk);
        }
        in_child(place, exceed_the_file_size_limit);
        return;
    }
    struct weir_sim *world;
    struct weir_sim_config config = {.seed = seed(), .disk_bytes = 1000};
    assert_int_equal(weir_sim_open(&config, &world), 0);
    struct place small = {.kind = WEIR_IO_SIM, .world = world, .dir = "/"};
    struct weir_io_config io_config = {.kind = WEIR_IO_SIM, .world = world};
    assert_int_equal(weir_io_open(&io_config, &small.io), 0);
    assert_int_equal(weir_io_start(small.io), 0);
    int32_t file = open_file(&small, "f", WEIR_IO_O_WRITE | WEIR_IO_O_CREATE);
    static char block[600];
    struct weir_io_op op;
    weir_io_op_write(&op, file, block, sizeof block, 0);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(&small, &op), 600);
    weir_io_op_write(&op, file, block, sizeof block, 600);
    op.flags = WEIR_IO_WHOLE;
    assert_int_equal(perform(&small, &op), WEIR_EIO);
    assert_int_equal(op.errnum, ENOSPC);
    assert_int_equal(op.moved, 400);
    weir_io_op_allocate(&op, file, 0, 2000);
    assert_int_equal(perform(&small, &op), WEIR_EIO);
    weir_io_close(small.io);
    weir_sim_close(world);
}

static void
t_a_missing_permission_is_named(void **state)
{
    struct place *place = *state;
    if (place->kind != WEIR_IO_SIM) {
        in_child(place, open_without_permission);
        return;
    }
    assert_int_equal(weir_sim_put(place->world, "/work/secret", "x", 1), 0);
    weir_sim_deny(place->world, "/work/secret");
    struct weir_io_op op;
    weir_io_op_open(&op, WEIR_IO_CWD, "/work/secret", WEIR_IO_O_READ);
    assert_int_equal(perform(place, &op), WEIR_EPERM);
    assert_int_equal(op.errnum, EACCES);
}

static void
t_an_idle_poll_makes_no_system_call(void **state)
{
    struct place *place = *state;
    if (place->kind != WEIR_IO_SIM) {
        in_child(place, poll_idle_under_a_filter);
    }
}

static void
t_auto_takes_uring_and_falls_back_where_it_is_forbidden(void **state)
{
    (void)state;
    struct weir_io *io;
    struct weir_io_config config = {.kind = WEIR_IO_AUTO};
    assert_int_equal(weir_io_open(&config, &io), 0);
    assert_string_equal(weir_io_name(io), "io_uring");
    assert_null(weir_io_degraded(io));
    weir_io_close(io); /* never started */
    in_child(NULL, open_where_uring_is_forbidden);
    config.depth = WEIR_IO_DEPTH_MAX + 1;
    assert_int_equal(weir_io_open(&config, &io), WEIR_EINVAL);
    config = (struct weir_io_config){.kind = WEIR_IO_SIM};
    assert_int_equal(weir_io_open(&config, &io), WEIR_EINVAL);
    weir_err_clear();
    weir_io_close(NULL);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ON_ALL(t_a_full_disk_is_an_io_error),
        ON_ALL(t_a_missing_permission_is_named),
        ON_HOST(t_an_idle_poll_makes_no_system_call),
        cmocka_unit_test(t_auto_takes_uring_and_falls_back_where_it_is_forbidden),
    };
    return cmocka_run_group_tests_name("io_host", tests, NULL, NULL);
}
