/* SPDX-License-Identifier: Apache-2.0 */
/* Fail every I/O: a whole cycle - start, two checkpoints, tidy, start again, restore, tidy - in
 * which operation k goes wrong, for every k and every way, on io_uring and on posix. Whatever
 * happens, it ends; what was said to be durable is there at the next start, with the right bytes;
 * no handle is left open and no file that nobody names.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "tests/unit/io_fault.h"
#include "tests/unit/store_rig.h"

struct bench {
    struct weir_io *inner;
    char dir[64];
};

struct tally {
    uint64_t runs;
    uint64_t declined;
    uint64_t ended; /* outcome unknown: fail-stop */
    uint64_t refused; /* a start */
    uint64_t detected; /* damage that the device did not tell of */
};

static uint32_t
entry_cnt(const char *path, const char *ends)
{
    uint32_t cnt = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        size_t bytes = strlen(entry->d_name);
        bool is_it = ends[0] == '.' ? bytes > strlen(ends) &&
                                          strcmp(entry->d_name + bytes - strlen(ends), ends) == 0
                                    : strncmp(entry->d_name, ends, strlen(ends)) == 0;
        cnt += is_it && entry->d_name[0] != '.' ? 1 : 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return cnt;
}

static uint32_t
handle_cnt(void)
{
    return entry_cnt("/proc/self/fd", "");
}

static void
remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) {
            remove_dir(name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

static struct weir_store_config
config_of(const struct bench *bench)
{
    static char root[96];
    (void)snprintf(root, sizeof root, "%s/ckpt", bench->dir);
    return (struct weir_store_config){.root = root,
        .job = "job",
        .retained_cnt = 1,
        .manifest_bytes_max = 64 * WEIR_KIB,
        .lock_wait_ns = WEIR_SEC_NS,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
}

/* An operation that failed for good within a checkpoint, and the checkpoint says that it is
 * durable:
 * that must not be. */
static void
check_not_silent(const struct io_fault *fault, uint64_t hit_cnt_before, int status)
{
    bool fails = fault->kind == IO_FAULT_ERRNO || fault->kind == IO_FAULT_ANSWER;
    bool is_retried =
        (fault->errnum == EINTR && fault->verb != WEIR_IO_SYNC) ||
        (fault->errnum == EAGAIN && fault->verb != WEIR_IO_SYNC && fault->verb != WEIR_IO_OPEN);
    if (fails && !is_retried && fault->hit_cnt != hit_cnt_before && status == 0) {
        print_message("errno %d at %" PRIu64 " (verb %d) was passed over\n", fault->errnum,
            fault->at, fault->verb);
        fail();
    }
}

/* One life. Returns false where it hung. *notified is the newest that was said to be durable. */
static bool
run_life(struct bench *bench, struct io_fault *fault, struct tally *tally, uint64_t *notified)
{
    struct weir_io *io;
    struct rig rig;
    struct weir_store_config config = config_of(bench);
    assert_int_equal(io_fault_open(bench->inner, fault, &io), 0);
    rig_open(&rig, io, NULL, &config);
    rig.poll_cnt_max = 20000;
    int status = rig_start(&rig);
    bool hung = status == RIG_CUT;
    if (status != 0) {
        tally->refused++;
        goto out;
    }
    const struct weir_manifest *manifest = weir_store_restored(rig.store);
    bool lies = fault->kind == IO_FAULT_TORN && fault->hit_cnt > 0;
    uint64_t found = manifest != NULL ? manifest->checkpoint : 0;
    assert_true(found >= *notified);
    *notified = found;
    status = rig_restore(&rig);
    hung = status == RIG_CUT;
    if (status != 0) {
        assert_true(lies || fault->hit_cnt > 0);
        tally->detected++;
        goto out;
    }
    int checkpoint_cnt = found == 0 ? 2 : 1;
    for (int i = 0; i < checkpoint_cnt && !weir_store_is_ended(rig.store) && !hung; i++) {
        uint64_t id = weir_store_checkpoint_next(rig.store);
        uint64_t hit_cnt = fault->hit_cnt;
        status = rig_checkpoint(&rig, id);
        check_not_silent(fault, hit_cnt, status);
        hung = status == RIG_CUT;
        if (status == 0) {
            *notified = id;
            status = rig_tidy(&rig); /* an error is no harm */
            hung = status == RIG_CUT;
        } else {
            tally->declined += weir_store_is_ended(rig.store) ? 0 : 1;
            tally->ended += weir_store_is_ended(rig.store) ? 1 : 0;
        }
    }
out:
    rig_close(&rig);
    weir_io_close(io);
    return !hung;
}

/* Without faults: it starts, it is right, it goes on, and it is tidy. */
static void
check_after(
    struct bench *bench, const struct io_fault *fault, struct tally *tally, uint64_t notified)
{
    struct io_fault none = {.kind = IO_FAULT_NONE};
    struct weir_io *io;
    struct rig rig;
    struct weir_store_config config = config_of(bench);
    assert_int_equal(io_fault_open(bench->inner, &none, &io), 0);
    rig_open(&rig, io, NULL, &config);
    int status = rig_start(&rig);
    bool lies = fault->kind == IO_FAULT_TORN;
    if (status != 0) {
        /* Only a device that said it wrote what it did not write; and then it is seen. */
        assert_true(lies);
        assert_int_equal(status, WEIR_ECHECKPOINT);
        tally->detected++;
        goto out;
    }
    const struct weir_manifest *manifest = weir_store_restored(rig.store);
    assert_true((manifest != NULL ? manifest->checkpoint : 0) >= notified);
    status = rig_restore(&rig);
    if (status != 0) {
        assert_true(lies);
        assert_int_equal(status, WEIR_EDATA);
        tally->detected++;
        goto out;
    }
    assert_int_equal(rig_checkpoint(&rig, weir_store_checkpoint_next(rig.store)), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/ckpt/job/data", bench->dir);
    assert_int_equal(entry_cnt(path, ".snap"), RIG_TASK_CNT);
    (void)snprintf(path, sizeof path, "%s/ckpt/job/manifest", bench->dir);
    assert_int_equal(entry_cnt(path, "M-"), 1);
    assert_int_equal(entry_cnt(path, "T-"), 0);
out:
    rig_close(&rig);
    weir_io_close(io);
}

/* One run. Returns false where the fault found nothing to hit. */
static bool
run_cycle(struct bench *bench, struct io_fault fault, struct tally *tally)
{
    uint64_t notified = 0;
    uint32_t handles = handle_cnt();
    bool is_done = run_life(bench, &fault, tally, &notified);
    is_done = is_done && run_life(bench, &fault, tally, &notified);
    if (!is_done || handle_cnt() != handles) {
        print_message("kind %d errno %d at %" PRIu64 " (verb %d): %s\n", fault.kind, fault.errnum,
            fault.at, fault.verb, is_done ? "a handle is left open" : "it hangs");
        fail();
    }
    check_after(bench, &fault, tally, notified);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/ckpt", bench->dir);
    remove_dir(path);
    tally->runs++;
    return fault.hit_cnt > 0;
}

static const struct io_fault ways[] = {
    {.kind = IO_FAULT_ERRNO, .errnum = EIO},
    {.kind = IO_FAULT_ERRNO, .errnum = ENOSPC},
    {.kind = IO_FAULT_ERRNO, .errnum = EDQUOT},
    {.kind = IO_FAULT_ERRNO, .errnum = EROFS},
    {.kind = IO_FAULT_ERRNO, .errnum = EINTR},
    {.kind = IO_FAULT_ERRNO, .errnum = EAGAIN},
    {.kind = IO_FAULT_ERRNO, .errnum = ECANCELED},
    {.kind = IO_FAULT_ERRNO, .errnum = EIO, .sticks = true},
    {.kind = IO_FAULT_ERRNO, .errnum = ENOSPC, .sticks = true},
    {.kind = IO_FAULT_ANSWER, .errnum = EIO},
    {.kind = IO_FAULT_SHORT_ONE},
    {.kind = IO_FAULT_SHORT_HALF},
    {.kind = IO_FAULT_SHORT_512},
    {.kind = IO_FAULT_LATE},
    {.kind = IO_FAULT_TORN},
    {.kind = IO_FAULT_FLIP},
};

/* With a sanitizer, which is slow, every third operation, another third for each way. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 3
#else
#define STRIDE 1
#endif

static void
run_all(enum weir_io_kind kind)
{
    struct bench bench = {.dir = "/dev/shm/weir-faults-XXXXXX"};
    struct tally tally = {0};
    struct weir_io_config config = {.kind = kind};
    assert_non_null(mkdtemp(bench.dir));
    assert_int_equal(weir_io_open(&config, &bench.inner), 0);
    assert_int_equal(weir_io_start(bench.inner), 0);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(ways); i++) {
        struct io_fault fault = ways[i];
        fault.at = i % STRIDE;
        while (run_cycle(&bench, fault, &tally)) {
            fault.at += STRIDE;
        }
        assert_true(fault.at > 5); /* it found something to do */
    }
    print_message("%s: %" PRIu64 " runs, %" PRIu64 " declined, %" PRIu64 " fail-stop, %" PRIu64
                  " starts refused, %" PRIu64 " damage detected\n",
        weir_io_name(bench.inner), tally.runs, tally.declined, tally.ended, tally.refused,
        tally.detected);
    assert_true(tally.declined > 0 && tally.ended > 0 && tally.refused > 0 && tally.detected > 0);
    weir_io_close(bench.inner);
    remove_dir(bench.dir);
}

static enum weir_io_kind kind_asked;

static void
t_every_operation_may_fail(void **state)
{
    (void)state;
    run_all(kind_asked);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_operation_may_fail),
    };
    kind_asked = argc > 1 && strcmp(argv[1], "posix") == 0 ? WEIR_IO_POSIX : WEIR_IO_URING;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
