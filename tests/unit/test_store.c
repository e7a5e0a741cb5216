/* SPDX-License-Identifier: Apache-2.0 */
/* The store on io_uring, posix and the simulation: which checkpoint is the truth, after what. */
#include <errno.h>
#include <inttypes.h>

#include "base/crc.h"
#include "dataplane/manifest.h"
#include "tests/unit/store_rig.h"

static struct weir_store_config
config_of(struct place *place)
{
    return (struct weir_store_config){.root = at(place, "ckpt"),
        .job = "job",
        .retained_cnt = 2,
        .lock_wait_ns = WEIR_SEC_NS,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
}

static void
open_rig(struct place *place, struct rig *rig)
{
    struct weir_store_config config = config_of(place);
    rig_open(rig, place->io, place->world, &config);
    rig->now_ns = place->now_ns;
}

static void
expect(struct rig *rig, int got, int err)
{
    if (got != err) {
        print_message("fault: %s\n", weir_store_fault(rig->store));
    }
    assert_int_equal(got, err);
}

/* Bytes of a file of the job, as they lie there; poke writes one of them. */
static uint64_t
file_bytes(struct place *place, const char *name)
{
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, at(place, name), &stat);
    return perform(place, &op) == 0 ? stat.bytes : UINT64_MAX;
}

static void
poke(struct place *place, const char *name, uint64_t off, int bit)
{
    int32_t file = open_file(place, name, WEIR_IO_O_READ | WEIR_IO_O_WRITE);
    char byte;
    struct weir_io_op op;
    weir_io_op_read(&op, file, &byte, 1, off);
    assert_int_equal(perform(place, &op), 1);
    byte = (char)(byte ^ (1 << bit));
    weir_io_op_write(&op, file, &byte, 1, off);
    assert_int_equal(perform(place, &op), 1);
    close_file(place, file);
}

static void
t_a_start_finds_the_last_checkpoint(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_null(weir_store_restored(rig.store));
    assert_int_equal(weir_store_epoch(rig.store), 1);
    assert_int_equal(weir_store_checkpoint_next(rig.store), 1);
    for (uint64_t id = 1; id <= 5; id++) {
        expect(&rig, rig_checkpoint(&rig, id), 0);
        expect(&rig, rig_tidy(&rig), 0);
    }
    /* Two are kept, with their files; the others are gone. */
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/M-3-1"), UINT64_MAX);
    assert_true(file_bytes(place, "ckpt/job/manifest/M-4-1") < WEIR_MIB);
    assert_int_equal(file_bytes(place, "ckpt/job/data/3-1-0-0-1.snap"), UINT64_MAX);
    assert_true(file_bytes(place, "ckpt/job/data/4-1-1-0-1.snap") < WEIR_MIB);
    rig_close(&rig);
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_epoch(rig.store), 2);
    const struct weir_manifest *manifest = weir_store_restored(rig.store);
    assert_int_equal(manifest->checkpoint, 5);
    assert_int_equal(manifest->operators[0].state_ids[1], 7);
    assert_string_equal(manifest->operators[1].name, "file");
    assert_int_equal(weir_store_checkpoint_next(rig.store), 6);
    expect(&rig, rig_restore(&rig), 0);
    expect(&rig, rig_checkpoint(&rig, 6), 0);
    expect(&rig, rig_tidy(&rig), 0);
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/M-4-1"), UINT64_MAX);
    assert_true(file_bytes(place, "ckpt/job/manifest/M-5-1") < WEIR_MIB);
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/E-1"), UINT64_MAX);
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/B-1"), 64);
    rig_close(&rig);
}

static void
t_an_orphan_is_removed_and_a_stranger_stays(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    expect(&rig, rig_checkpoint(&rig, 1), 0);
    rig_close(&rig);
    put_file(place, "ckpt/job/data/9-1-0-0-1.snap", "left");
    put_file(place, "ckpt/job/data/9-2-0-0-1.snap", "of this epoch");
    put_file(place, "ckpt/job/data/notes", "mine");
    put_file(place, "ckpt/job/manifest/T-1-M-9-1", "left");
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_checkpoint_next(rig.store), 10);
    expect(&rig, rig_tidy(&rig), 0);
    assert_int_equal(file_bytes(place, "ckpt/job/data/9-1-0-0-1.snap"), UINT64_MAX);
    assert_int_equal(file_bytes(place, "ckpt/job/data/9-2-0-0-1.snap"), 13);
    assert_int_equal(file_bytes(place, "ckpt/job/data/notes"), 4);
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/T-1-M-9-1"), UINT64_MAX);
    assert_true(file_bytes(place, "ckpt/job/data/1-1-0-0-1.snap") < WEIR_MIB);
    rig_close(&rig);
}

/* Numbers that cannot be counted on from are named, not wrapped around. */
static void
t_numbers_that_none_may_follow_are_refused(void **state)
{
    static const char *const names[] = {"manifest/E-281474976710655",
        "manifest/B-18446744073709551615", "manifest/M-3-281474976710655",
        "data/18446744073709551615-1-0-0-1.snap", "manifest/M-4611686018427387904-1"};
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    rig_close(&rig);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        char name[96];
        struct weir_io_op op;
        (void)snprintf(name, sizeof name, "ckpt/job/%s", names[i]);
        put_file(place, name, "");
        open_rig(place, &rig);
        expect(&rig, rig_start(&rig), WEIR_ECHECKPOINT);
        assert_non_null(strstr(weir_store_fault(rig.store), "may follow"));
        rig_close(&rig);
        weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, name), 0);
        assert_int_equal(perform(place, &op), 0);
    }
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    rig_close(&rig);
    struct weir_store_config config = config_of(place);
    struct weir_store *store;
    char root[WEIR_STORE_ROOT_BYTES + 1];
    memset(root, 'r', sizeof root - 1);
    root[sizeof root - 1] = '\0';
    config.root = root;
    assert_int_equal(weir_store_open(&config, &store), WEIR_ECONFIG);
    weir_err_clear();
}

/* Each checkpoint would fail, and the end of the job wait for one. */
static void
t_a_directory_that_takes_no_files_is_refused_at_the_start(void **state)
{
    struct place *place = *state;
    struct rig rig;
    const struct weir_sim_trouble denied = {.kind = WEIR_SIM_ERROR,
        .verb = WEIR_IO_OPEN,
        .errnum = EACCES,
        .under = at(place, "ckpt/job/data/probe-1")};
    assert_true(weir_sim_trouble(place->world, &denied));
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), WEIR_EPERM);
    assert_non_null(strstr(weir_store_fault(rig.store), "make a file in"));
    assert_non_null(strstr(weir_store_fault(rig.store), "ckpt/job/data: Permission denied"));
    rig_close(&rig);
}

/* A file system that knows no direct I/O may make the file, and refuse to open it so. */
static void
t_a_trial_of_direct_io_leaves_nothing(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    rig_close(&rig);
    put_file(place, "ckpt/job/data/probe-2", "");
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_false(weir_store_is_direct(rig.store));
    rig_close(&rig);
    assert_int_equal(file_bytes(place, "ckpt/job/data/probe-2"), UINT64_MAX);
}

static void
t_two_on_one_directory_the_second_refuses(void **state)
{
    struct place *place = *state;
    struct rig first;
    struct rig second;
    open_rig(place, &first);
    expect(&first, rig_start(&first), 0);
    open_rig(place, &second);
    expect(&second, rig_start(&second), WEIR_ERUNNING);
    assert_non_null(strstr(weir_store_fault(second.store), "in use by another process"));
    /* It is free as soon as the first is gone. */
    rig_close(&first);
    expect(&second, rig_start(&second), 0);
    rig_close(&second);
}

static void
t_a_fenced_one_tells_nobody(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    expect(&rig, rig_checkpoint(&rig, 1), 0);
    put_file(place, "ckpt/job/manifest/E-7", "");
    expect(&rig, rig_checkpoint(&rig, 2), WEIR_EFENCED);
    assert_true(weir_store_is_ended(rig.store));
    expect(&rig, rig_checkpoint(&rig, 3), WEIR_EILLEGAL);
    rig_close(&rig);
    /* The next is above the fence. */
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_epoch(rig.store), 8);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 1);
    rig_close(&rig);
}

static void
t_what_is_off_the_timeline_counts_for_nothing(void **state)
{
    struct place *place = *state;
    struct rig old;
    struct rig rig;
    open_rig(place, &old);
    expect(&old, rig_start(&old), 0);
    expect(&old, rig_checkpoint(&old, 1), 0);
    /* Its manifest of checkpoint 2 comes to the disk after epoch 2 has its base: a zombie's. */
    expect(&old, rig_checkpoint(&old, 2), 0);
    struct weir_io_op op;
    weir_io_op_rename(
        &op, WEIR_IO_CWD, at(place, "ckpt/job/manifest/M-2-1"), at(place, "ckpt/aside"), 0);
    assert_int_equal(perform(place, &op), 0);
    rig_close(&old);
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 1);
    assert_int_equal(weir_store_checkpoint_next(rig.store), 3);
    rig_close(&rig);
    weir_io_op_rename(
        &op, WEIR_IO_CWD, at(place, "ckpt/aside"), at(place, "ckpt/job/manifest/M-2-1"), 0);
    assert_int_equal(perform(place, &op), 0);
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_epoch(rig.store), 3);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 1);
    expect(&rig, rig_tidy(&rig), 0);
    assert_int_equal(file_bytes(place, "ckpt/job/manifest/M-2-1"), UINT64_MAX);
    assert_int_equal(file_bytes(place, "ckpt/job/data/2-1-0-0-1.snap"), UINT64_MAX);
    assert_true(file_bytes(place, "ckpt/job/manifest/M-1-1") < WEIR_MIB);
    rig_close(&rig);
}

/* What is damaged in turn, and what a start then says of it. */
static void
damage(struct place *place, const char *name, uint64_t off, const char *says)
{
    struct rig rig;
    poke(place, name, off, 3);
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), WEIR_ECHECKPOINT);
    if (strstr(weir_store_fault(rig.store), says) == NULL) {
        print_message("%s\n", weir_store_fault(rig.store));
    }
    assert_non_null(strstr(weir_store_fault(rig.store), says));
    rig_close(&rig);
    /* Sinks that have committed no more than the older one: it may be taken. */
    struct weir_store_config config = config_of(place);
    config.sinks_committed_max = 1;
    rig_open(&rig, place->io, place->world, &config);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 1);
    assert_non_null(strstr(weir_store_warning(rig.store), says));
    rig_close(&rig);
    poke(place, name, off, 3);
}

static void
t_T293_damage_stops_a_start_and_is_named(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    expect(&rig, rig_checkpoint(&rig, 1), 0);
    expect(&rig, rig_checkpoint(&rig, 2), 0);
    rig_close(&rig);
    /* Each start that takes the older one moves the base there: what follows starts from a copy. */
    uint64_t footer = file_bytes(place, "ckpt/job/data/2-1-1-0-1.snap") - RIG_BLOCK_BYTES;
    damage(place, "ckpt/job/manifest/M-2-1", 150, "manifest/M-2-1, byte 0: the checksum");
    struct weir_io_op op;
    for (uint64_t k = 2; k <= 3; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "ckpt/job/manifest/B-%" PRIu64, k);
        weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, name), 0);
        (void)perform(place, &op);
    }
    char says[96];
    (void)snprintf(says, sizeof says, "data/2-1-1-0-1.snap, block %" PRIu64 ", byte %" PRIu64,
        (footer + RIG_BLOCK_BYTES - 1) / RIG_BLOCK_BYTES, footer);
    damage(place, "ckpt/job/data/2-1-1-0-1.snap", footer + 200, says);
    /* A sink that has committed the damaged one: never below it, but by the user's word. */
    for (uint64_t k = 2; k <= 9; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "ckpt/job/manifest/B-%" PRIu64, k);
        weir_io_op_unlink(&op, WEIR_IO_CWD, at(place, name), 0);
        (void)perform(place, &op);
    }
    poke(place, "ckpt/job/manifest/M-2-1", 20, 0);
    struct weir_store_config config = config_of(place);
    config.sinks_committed_max = 2;
    rig_open(&rig, place->io, place->world, &config);
    expect(&rig, rig_start(&rig), WEIR_ECHECKPOINT);
    rig_close(&rig);
    config.accept_duplicates = true;
    rig_open(&rig, place->io, place->world, &config);
    expect(&rig, rig_start(&rig), 0);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 1);
    assert_int_equal(weir_store_checkpoint_next(rig.store), 3);
    rig_close(&rig);
}

static void
t_manifests_that_are_all_bad_are_no_empty_start(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    expect(&rig, rig_checkpoint(&rig, 1), 0);
    rig_close(&rig);
    poke(place, "ckpt/job/manifest/M-1-1", 99, 1);
    struct weir_store_config config = config_of(place);
    config.accept_duplicates = true;
    rig_open(&rig, place->io, place->world, &config);
    expect(&rig, rig_start(&rig), WEIR_ECHECKPOINT);
    assert_non_null(strstr(weir_store_fault(rig.store), "no checkpoint can be used"));
    rig_close(&rig);
    config.start_empty = true;
    rig_open(&rig, place->io, place->world, &config);
    expect(&rig, rig_start(&rig), 0);
    assert_null(weir_store_restored(rig.store));
    assert_int_equal(weir_store_checkpoint_next(rig.store), 2);
    rig_close(&rig);
    /* From then on that is the truth. */
    open_rig(place, &rig);
    expect(&rig, rig_start(&rig), 0);
    assert_null(weir_store_restored(rig.store));
    rig_close(&rig);
}

static void
t_strict_wants_a_disk(void **state)
{
    (void)state;
    struct weir_io *io;
    struct weir_io_config io_config = {.kind = WEIR_IO_POSIX};
    char dir[] = "/dev/shm/weir-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(weir_io_open(&io_config, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    struct weir_store_config config = {.root = dir, .job = "job", .strict = true};
    struct rig rig;
    rig_open(&rig, io, NULL, &config);
    expect(&rig, rig_start(&rig), WEIR_ESTRICT);
    rig_close(&rig);
    config.strict = false;
    rig_open(&rig, io, NULL, &config);
    expect(&rig, rig_start(&rig), 0);
    assert_non_null(strstr(weir_store_warning(rig.store), "lies in memory"));
    rig_close(&rig);
    config.job = "../job";
    config.io = io;
    assert_int_equal(weir_store_open(&config, &rig.store), WEIR_EINVAL);
    weir_err_clear();
    weir_io_close(io);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

#define ON_EACH(test)                                                   \
    cmocka_unit_test_setup_teardown(test, set_up_uring, tear_down),     \
        cmocka_unit_test_setup_teardown(test, set_up_posix, tear_down), \
        cmocka_unit_test_setup_teardown(test, set_up_sim, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(t_a_start_finds_the_last_checkpoint),
        ON_EACH(t_an_orphan_is_removed_and_a_stranger_stays),
        ON_EACH(t_numbers_that_none_may_follow_are_refused),
        cmocka_unit_test_setup_teardown(
            t_a_directory_that_takes_no_files_is_refused_at_the_start, set_up_sim, tear_down),
        ON_EACH(t_a_trial_of_direct_io_leaves_nothing),
        ON_EACH(t_two_on_one_directory_the_second_refuses),
        ON_EACH(t_a_fenced_one_tells_nobody),
        ON_EACH(t_what_is_off_the_timeline_counts_for_nothing),
        ON_EACH(t_T293_damage_stops_a_start_and_is_named),
        ON_EACH(t_manifests_that_are_all_bad_are_no_empty_start),
        cmocka_unit_test(t_strict_wants_a_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
