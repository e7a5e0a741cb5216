/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps and what it lets go: checkpoints by their number, files by who names them. */
#include <errno.h>
#include <inttypes.h>

#include "tests/unit/store_rig.h"

#define FILE_CNT_MAX 4

static void
open_rig(struct place *place, struct rig *rig, uint32_t retained_cnt)
{
    struct weir_store_config config = {.root = at(place, "ckpt"),
        .job = "job",
        .retained_cnt = retained_cnt,
        .lock_wait_ns = WEIR_SEC_NS,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
    rig_open(rig, place->io, place->world, &config);
    rig->now_ns = place->now_ns;
    assert_int_equal(rig_start(rig), 0);
}

static bool
is_there(struct place *place, const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof path, "ckpt/job/%s", name);
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, at(place, path), &stat);
    return perform(place, &op) == 0;
}

static bool
has_manifest(struct place *place, uint64_t checkpoint, uint64_t epoch)
{
    char name[64];
    (void)snprintf(name, sizeof name, "manifest/M-%" PRIu64 "-%" PRIu64, checkpoint, epoch);
    return is_there(place, name);
}

/* The file that the first epoch wrote for this task in this checkpoint. */
static bool
has_file(struct place *place, uint64_t checkpoint, uint32_t task)
{
    char name[64];
    (void)snprintf(name, sizeof name, "data/%" PRIu64 "-1-%" PRIu32 "-0-1.snap", checkpoint, task);
    return is_there(place, name);
}

static void
t_T293_the_oldest_goes_when_more_than_n_are_there(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 2);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(rig_checkpoint(&rig, id), 0);
        assert_int_equal(rig_tidy(&rig), 0);
        for (uint64_t old = 1; old <= id; old++) {
            bool is_kept = old + 2 > id;
            assert_int_equal(has_manifest(place, old, 1), is_kept);
            assert_int_equal(has_file(place, old, 0), is_kept);
            assert_int_equal(has_file(place, old, 1), is_kept);
        }
    }
    rig_close(&rig);
    /* The end of a process lets nothing go; fewer are kept from the next start on. */
    assert_true(has_manifest(place, 3, 1) && has_manifest(place, 4, 1));
    open_rig(place, &rig, 1);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_manifest(place, 3, 1) || has_file(place, 3, 0));
    assert_true(has_manifest(place, 4, 1) && has_file(place, 4, 0));
    rig_close(&rig);
}

static void
t_T293_old_ones_stay_when_a_new_one_cannot_be_added(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    assert_int_equal(rig_checkpoint(&rig, 1), 0);
    struct weir_snapshot_ack files[RIG_TASK_CNT];
    for (uint32_t task = 0; task < RIG_TASK_CNT; task++) {
        assert_int_equal(rig_file(&rig, 2, task, &files[task]), 0);
    }
    weir_sim_fault(place->world, WEIR_IO_WRITE, 0, ENOSPC); /* of the manifest */
    assert_int_equal(rig_commit(&rig, 2, files, RIG_TASK_CNT), WEIR_EIO);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_true(has_manifest(place, 1, 1) && has_file(place, 1, 0) && has_file(place, 1, 1));
    assert_false(has_manifest(place, 2, 1));
    assert_int_equal(rig_checkpoint(&rig, 3), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_manifest(place, 1, 1) || has_file(place, 1, 0));
    rig_close(&rig);
}

static void
t_T294_a_shared_file_goes_with_its_last_user(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    struct weir_snapshot_ack files[FILE_CNT_MAX];
    assert_int_equal(rig_file(&rig, 1, 0, &files[0]), 0);
    assert_int_equal(rig_file(&rig, 1, 1, &files[1]), 0);
    assert_int_equal(rig_commit(&rig, 1, files, 2), 0);
    for (uint64_t id = 2; id <= 3; id++) { /* both build on the first file of 1 */
        assert_int_equal(rig_file(&rig, id, 0, &files[1]), 0);
        assert_int_equal(rig_commit(&rig, id, files, 2), 0);
        assert_int_equal(rig_tidy(&rig), 0);
        assert_true(has_file(place, 1, 0) && has_file(place, id, 0));
        assert_false(has_file(place, 1, 1) || has_manifest(place, id - 1, 1));
    }
    assert_false(has_file(place, 2, 0));
    assert_int_equal(rig_checkpoint(&rig, 4), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_file(place, 1, 0) || has_file(place, 3, 0));
    assert_true(has_file(place, 4, 0) && has_file(place, 4, 1));
    rig_close(&rig);
}

/* A start knows who names a file from the manifests alone. */
static void
t_T294_a_shared_file_outlives_a_restart(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    struct weir_snapshot_ack files[FILE_CNT_MAX];
    assert_int_equal(rig_file(&rig, 1, 0, &files[0]), 0);
    assert_int_equal(rig_file(&rig, 1, 1, &files[1]), 0);
    assert_int_equal(rig_commit(&rig, 1, files, 2), 0);
    assert_int_equal(rig_file(&rig, 2, 0, &files[1]), 0);
    assert_int_equal(rig_commit(&rig, 2, files, 2), 0);
    rig_close(&rig);
    open_rig(place, &rig, 1);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_manifest(place, 1, 1) || has_file(place, 1, 1));
    assert_true(has_file(place, 1, 0) && has_file(place, 2, 0));
    assert_int_equal(rig_checkpoint(&rig, 3), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_file(place, 1, 0) || has_file(place, 2, 0));
    rig_close(&rig);
}

static void
t_T294_a_user_that_failed_does_not_hold_a_shared_file(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    struct weir_snapshot_ack files[FILE_CNT_MAX];
    assert_int_equal(rig_file(&rig, 1, 0, &files[0]), 0);
    assert_int_equal(rig_commit(&rig, 1, files, 1), 0);
    weir_sim_fault(place->world, WEIR_IO_WRITE, 0, ENOSPC);
    assert_int_equal(rig_commit(&rig, 2, files, 1), WEIR_EIO);
    assert_int_equal(rig_checkpoint(&rig, 3), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_file(place, 1, 0));
    rig_close(&rig);
}

/* The name is there, but whether it will be after a power cut cannot be known: the next start says
 * what is true, and until then all files stay. */
static void
t_T295_nothing_goes_when_nobody_knows(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    assert_int_equal(rig_checkpoint(&rig, 1), 0);
    struct weir_snapshot_ack files[RIG_TASK_CNT];
    for (uint32_t task = 0; task < RIG_TASK_CNT; task++) {
        assert_int_equal(rig_file(&rig, 2, task, &files[task]), 0);
    }
    weir_sim_fault(place->world, WEIR_IO_SYNC, 1, EIO); /* the manifest's own goes well */
    assert_int_equal(rig_commit(&rig, 2, files, RIG_TASK_CNT), WEIR_EOUTCOME);
    assert_int_equal(rig_tidy(&rig), WEIR_EILLEGAL);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_true(has_manifest(place, id, 1) && has_file(place, id, 0) && has_file(place, id, 1));
    }
    rig_close(&rig);
    open_rig(place, &rig, 1);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 2);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_manifest(place, 1, 1) || has_file(place, 1, 0));
    rig_close(&rig);
}

/* The files go after their manifest, and that for good: a sync that fails between leaves them. */
static void
t_C7_files_wait_for_their_manifest(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    assert_int_equal(rig_checkpoint(&rig, 1), 0);
    assert_int_equal(rig_checkpoint(&rig, 2), 0);
    assert_int_equal(rig_tidy(&rig), 0); /* the first one of a run reads what there is */
    assert_int_equal(rig_checkpoint(&rig, 3), 0);
    weir_sim_fault(place->world, WEIR_IO_SYNC, 0, EIO);
    assert_int_equal(rig_tidy(&rig), WEIR_EIO);
    assert_true(has_file(place, 2, 0) && has_file(place, 2, 1));
    assert_int_equal(rig_checkpoint(&rig, 4), 0);
    assert_int_equal(rig_tidy(&rig), 0); /* whose they are is not known any more in this run */
    assert_true(has_file(place, 2, 0) && has_file(place, 2, 1));
    rig_close(&rig);
    open_rig(place, &rig, 1);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_file(place, 2, 0) || has_file(place, 2, 1) || has_file(place, 3, 0));
    assert_true(has_file(place, 4, 0) && has_file(place, 4, 1));
    rig_close(&rig);
}

/* The files of a manifest that was read wrong are not known: all stay, until it is read again. */
static void
t_C7_a_manifest_that_could_not_be_read_is_read_again(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 2);
    assert_int_equal(rig_checkpoint(&rig, 1), 0);
    assert_int_equal(rig_checkpoint(&rig, 2), 0);
    rig_close(&rig);
    open_rig(place, &rig, 1);
    const struct weir_sim_trouble flip = {
        .kind = WEIR_SIM_FLIP, .verb = WEIR_IO_READ, .under = at(place, "ckpt/job/manifest/M-")};
    assert_true(weir_sim_trouble(place->world, &flip));
    assert_int_equal(rig_checkpoint(&rig, 3), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_int_equal(weir_sim_trouble_cnt(place->world), 1);
    assert_true(has_file(place, 1, 0) && has_file(place, 2, 0));
    assert_int_equal(rig_checkpoint(&rig, 4), 0);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_manifest(place, 1, 1) || has_file(place, 1, 0) || has_file(place, 1, 1));
    assert_false(has_manifest(place, 2, 1) || has_file(place, 2, 0) || has_file(place, 2, 1));
    rig_close(&rig);
}

static bool
has_kept(struct place *place, uint64_t checkpoint)
{
    char name[64];
    (void)snprintf(name, sizeof name, "manifest/S-%" PRIu64 "-1", checkpoint);
    return is_there(place, name);
}

static void
keep(struct rig *rig, uint64_t checkpoint)
{
    rig->keeps = true;
    assert_int_equal(rig_checkpoint(rig, checkpoint), 0);
    rig->keeps = false;
}

/* A savepoint is made of it: it is not the truth, and stays until it is let go, or until the next
 * start. */
static void
t_one_beside_the_timeline_stays_until_it_is_released(void **state)
{
    struct place *place = *state;
    struct rig rig;
    open_rig(place, &rig, 1);
    assert_int_equal(rig_checkpoint(&rig, 1), 0);
    keep(&rig, 2);
    keep(&rig, 3);
    for (uint64_t id = 4; id <= 5; id++) {
        assert_int_equal(rig_checkpoint(&rig, id), 0);
        assert_int_equal(rig_tidy(&rig), 0);
    }
    assert_false(has_manifest(place, 1, 1) || has_manifest(place, 4, 1));
    assert_true(has_kept(place, 2) && has_file(place, 2, 0) && has_file(place, 2, 1));
    weir_store_release(rig.store, 2);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_kept(place, 2) || has_file(place, 2, 0) || has_file(place, 2, 1));
    assert_true(has_kept(place, 3) && has_file(place, 3, 0));
    assert_true(has_manifest(place, 5, 1) && has_file(place, 5, 0));
    keep(&rig, 6);
    rig_close(&rig);
    open_rig(place, &rig, 1);
    assert_int_equal(weir_store_restored(rig.store)->checkpoint, 5);
    assert_int_equal(weir_store_checkpoint_next(rig.store), 7);
    assert_int_equal(rig_tidy(&rig), 0);
    assert_false(has_kept(place, 3) || has_kept(place, 6) || has_file(place, 6, 0));
    assert_true(has_manifest(place, 5, 1) && has_file(place, 5, 0));
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(t_T293_the_oldest_goes_when_more_than_n_are_there),
        ON_SIM(t_T293_old_ones_stay_when_a_new_one_cannot_be_added),
        ON_ALL(t_T294_a_shared_file_goes_with_its_last_user),
        ON_ALL(t_T294_a_shared_file_outlives_a_restart),
        ON_SIM(t_T294_a_user_that_failed_does_not_hold_a_shared_file),
        ON_SIM(t_T295_nothing_goes_when_nobody_knows),
        ON_SIM(t_C7_files_wait_for_their_manifest),
        ON_SIM(t_C7_a_manifest_that_could_not_be_read_is_read_again),
        ON_HOST(t_one_beside_the_timeline_stays_until_it_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
