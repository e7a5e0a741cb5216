/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints as files: written, looked at, moved elsewhere, read back, and damaged. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/savepoint_store.h"
#include "tests/unit/savepoint_fake_check.h"

#define ENTRY_CNT 400
#define SEED 11
#define PATH_BYTES 512

struct place {
    char root[PATH_BYTES];
    struct weir_io *io;
};

static void
place_open(struct place *place)
{
    struct weir_io_config config = {.kind = WEIR_IO_AUTO};
    (void)snprintf(place->root, sizeof place->root, "/tmp/weir-savepoint-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    assert_int_equal(weir_io_open(&config, &place->io), 0);
    assert_int_equal(weir_io_start(place->io), 0);
}

static void
place_close(struct place *place)
{
    char command[PATH_BYTES + 16];
    weir_io_close(place->io);
    (void)snprintf(command, sizeof command, "rm -r %s", place->root);
    assert_int_equal(system(command), 0);
}

static void
on_progress(void *arg, const struct weir_savepoint_progress *progress)
{
    struct weir_savepoint_progress *last = arg;
    assert_true(progress->bytes >= last->bytes && progress->group_cnt >= last->group_cnt);
    assert_true(progress->group_cnt <= progress->group_all);
    *last = *progress;
}

static int
store_as(const struct place *place, const struct weir_savepoint_spec *spec, uint64_t parent,
    struct weir_savepoint_made *ret_made)
{
    struct weir_savepoint_progress last = {0};
    const struct weir_savepoint_conf conf = {.io = place->io,
        .root = place->root,
        .parent_checkpoint = parent,
        .parent_epoch = 3,
        .progress_fn = on_progress,
        .arg = &last};
    int err = weir_savepoint_store(&conf, spec, ret_made);
    assert_true(err != 0 || last.bytes == ret_made->totals.bytes);
    assert_true(err != 0 || last.group_cnt == last.group_all);
    return err;
}

static int
store(const struct place *place, const struct fake_job *job, uint64_t parent,
    struct weir_savepoint_made *ret_made)
{
    const struct weir_savepoint_spec spec = fake_spec(job);
    return store_as(place, &spec, parent, ret_made);
}

/* Into a job, from one savepoint. */
static int
load_idx(struct weir_look *look, uint32_t idx, struct fake_job *job)
{
    const uint32_t max[2] = {FAKE_GROUP_CNT, FAKE_GROUP_CNT};
    struct stream_load to = {
        .arena = &job->stage[0].arena, .ops = {job->stage[0].ops, max, 2, false}};
    const struct weir_savepoint_events events = {stream_load_begin, stream_load_row, &to};
    struct weir_savepoint_reader *reader;
    int err = weir_savepoint_look(look, idx, &events, &reader);
    weir_savepoint_load_close(to.load);
    weir_savepoint_reader_close(reader);
    return err;
}

/* From the current one below root. */
static int
load_from(const char *root, struct fake_job *job)
{
    struct weir_look *look;
    assert_int_equal(weir_look_open(NULL, root, &look), 0);
    uint32_t idx = weir_look_cnt(look) - 1;
    assert_true(weir_look_at(look, idx)->is_current);
    int err = load_idx(look, idx, job);
    weir_look_close(look);
    return err;
}

static void
t_comes_back_from_files_that_were_moved(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made;
    char path[PATH_BYTES + 32];
    place_open(&place);
    fake_open(&job, 2, true);
    fake_fill(&job, SEED, ENTRY_CNT);
    assert_int_equal(store(&place, &job, 7, &made), 0);
    assert_int_equal(made.savepoint, 7);
    assert_true(made.epoch > 3);
    assert_true(made.totals.entries > 100 && made.file_bytes > made.totals.bytes);
    fake_close(&job);
    (void)snprintf(path, sizeof path, "%s/elsewhere", place.root);
    assert_int_equal(mkdir(path, 0700), 0);
    char from[PATH_BYTES + 32];
    (void)snprintf(from, sizeof from, "%s/fake", place.root);
    (void)snprintf(path, sizeof path, "%s/elsewhere/fake", place.root);
    assert_int_equal(rename(from, path), 0);
    (void)snprintf(path, sizeof path, "%s/elsewhere", place.root);
    fake_open(&job, 1, false);
    assert_int_equal(load_from(path, &job), 0);
    fake_check(&job, SEED, ENTRY_CNT);
    fake_close(&job);
    place_close(&place);
}

/* A second one stands beside the first; both are whole. */
static void
t_savepoints_stand_side_by_side(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made;
    struct weir_look *look;
    place_open(&place);
    fake_open(&job, 1, false);
    assert_int_equal(store(&place, &job, 7, &made), 0);
    fake_fill(&job, SEED, ENTRY_CNT);
    assert_int_equal(store(&place, &job, 9, &made), 0);
    fake_close(&job);
    assert_int_equal(weir_look_open(NULL, place.root, &look), 0);
    assert_int_equal(weir_look_cnt(look), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_savepoint_events none = {NULL, NULL, NULL};
        struct weir_savepoint_reader *reader;
        const struct weir_manifest *manifest = &weir_look_at(look, i)->manifest;
        assert_int_equal(manifest->kind, WEIR_MANIFEST_KIND_SAVEPOINT);
        assert_int_equal(manifest->parent_checkpoint, i == 0 ? 7 : 9);
        assert_int_equal(manifest->checkpoint, i == 0 ? 7 : 9);
        assert_int_equal(weir_look_verify(look, i), 0);
        assert_int_equal(weir_savepoint_look(look, i, &none, &reader), 0);
        assert_int_equal(
            weir_savepoint_reader_totals(reader)->entries, manifest->counters[0].value);
        assert_int_equal(
            weir_savepoint_reader_catalogue(reader)->operator_cnt, manifest->operator_cnt);
        weir_savepoint_reader_close(reader);
    }
    weir_look_close(look);
    fake_open(&job, 1, false);
    assert_int_equal(load_from(place.root, &job), 0);
    fake_check(&job, SEED, ENTRY_CNT);
    fake_close(&job);
    place_close(&place);
}

/* Of a directory of checkpoints, where a job tidies up, nothing is changed but the epoch. */
static void
t_checkpoints_take_no_savepoint_among_them(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made;
    struct weir_look *look;
    char command[4 * PATH_BYTES];
    place_open(&place);
    (void)snprintf(command, sizeof command, "cp -r %s %s/job && chmod -R u+w %s/job",
        WEIR_TEST_DATA "/store/job", place.root, place.root);
    assert_int_equal(system(command), 0);
    fake_open(&job, 1, false);
    struct weir_savepoint_spec spec = fake_spec(&job);
    spec.job = "job";
    assert_error(store_as(&place, &spec, 90, &made), WEIR_ECONFIG, "holds checkpoints of job job");
    fake_close(&job);
    assert_int_equal(weir_look_open(NULL, place.root, &look), 0);
    for (uint32_t i = 0; i < weir_look_cnt(look); i++) {
        assert_int_equal(weir_look_at(look, i)->manifest.kind, WEIR_MANIFEST_KIND_CHECKPOINT);
    }
    weir_look_close(look);
    place_close(&place);
}

/* Two of one number: starts of a job that have counted anew. Each is found by number and epoch; the
 * number alone, and the directory, mean the newer one, also where a higher number is older. */
static void
t_savepoints_of_one_number_stand_side_by_side(void **unused)
{
    (void)unused;
    static const uint64_t ids[] = {1, 7, 1};
    enum { CNT = WEIR_ARRAY_CNT(ids) };
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made[CNT];
    struct weir_look *look;
    char id[64];
    uint32_t idx;
    place_open(&place);
    for (uint32_t i = 0; i < CNT; i++) {
        fake_open(&job, 1, false);
        fake_fill(&job, SEED + i, ENTRY_CNT);
        assert_int_equal(store(&place, &job, ids[i], &made[i]), 0);
        fake_close(&job);
        assert_int_equal(made[i].savepoint, ids[i]);
        assert_true(i == 0 || made[i].epoch > made[i - 1].epoch);
    }
    assert_int_equal(weir_look_open(NULL, place.root, &look), 0);
    assert_int_equal(weir_look_cnt(look), CNT);
    for (uint32_t i = 0; i < CNT; i++) {
        (void)snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)made[i].savepoint,
            (unsigned long long)made[i].epoch);
        assert_int_equal(weir_look_find(look, id, &idx), 0);
        assert_int_equal(weir_look_at(look, idx)->epoch, made[i].epoch);
        assert_int_equal(weir_look_verify(look, idx), 0);
        struct fake_job back;
        fake_open(&back, 1, false);
        assert_int_equal(load_idx(look, idx, &back), 0);
        fake_check(&back, SEED + i, ENTRY_CNT);
        fake_close(&back);
    }
    assert_int_equal(weir_look_find(look, "1", &idx), 0);
    assert_int_equal(weir_look_at(look, idx)->epoch, made[2].epoch);
    assert_int_equal(weir_look_find(look, NULL, &idx), 0);
    assert_int_equal(weir_look_at(look, idx)->epoch, made[2].epoch);
    assert_int_equal(weir_look_find(look, "1-99", &idx), WEIR_ENOINPUT);
    weir_look_close(look);
    place_close(&place);
}

/* Every block of the file is under a checksum: the place is named. */
static void
t_damage_is_named(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made;
    char command[4 * PATH_BYTES];
    place_open(&place);
    fake_open(&job, 1, false);
    fake_fill(&job, SEED, ENTRY_CNT);
    assert_int_equal(store(&place, &job, 0, &made), 0);
    fake_close(&job);
    (void)snprintf(command, sizeof command,
        "chmod 600 %s/fake/data/*.snap; printf 'x' | dd of=$(echo %s/fake/data/*.snap) bs=1 "
        "seek=5000 conv=notrunc status=none",
        place.root, place.root);
    assert_int_equal(system(command), 0);
    fake_open(&job, 1, false);
    assert_error(load_from(place.root, &job), WEIR_ECHECKPOINT, "block 0");
    fake_close(&job);
    place_close(&place);
}

/* A state that cannot be written leaves nothing that counts; a checkpoint is no savepoint. */
static void
t_what_fails_leaves_nothing(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct fake_entry entry;
    struct fake_stage *stage;
    struct weir_table *table;
    struct weir_savepoint_made made;
    struct weir_look *look;
    place_open(&place);
    fake_open(&job, 1, false);
    fake_put(&job, FAKE_VALUES, 1);
    fake_entry_make(&job, FAKE_VALUES, 1, &entry);
    assert_int_equal(weir_state_find(fake_owner(&job, &entry, &stage), entry.name, &entry.spec,
                         entry.ns, &table),
        0);
    ((struct fake_value *)weir_table_find(table, entry.hash, entry.key, NULL))->word.bytes = 99;
    assert_error(store(&place, &job, 0, &made), WEIR_ESTATE, "field word: a string of 99 bytes");
    fake_close(&job);
    int err = weir_look_open(NULL, place.root, &look);
    assert_true(err == 0 ? weir_look_cnt(look) == 0 : err == WEIR_ENOINPUT);
    weir_err_clear();
    if (err == 0) {
        weir_look_close(look);
    }
    struct weir_savepoint_reader *reader;
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    assert_int_equal(weir_look_open(NULL, WEIR_TEST_DATA "/store", &look), 0);
    assert_error(weir_savepoint_look(look, 0, &none, &reader), WEIR_ENOINPUT,
        "is a checkpoint, no savepoint");
    weir_look_close(look);
    place_close(&place);
}

/* A process that died before its manifest has left a file: the next one writes the same savepoint
 * beside it. */
static void
t_a_file_without_a_manifest_is_in_nobodys_way(void **unused)
{
    (void)unused;
    struct place place;
    struct fake_job job;
    struct weir_savepoint_made made;
    char command[PATH_BYTES + 64];
    place_open(&place);
    fake_open(&job, 1, false);
    fake_fill(&job, SEED, ENTRY_CNT);
    assert_int_equal(store(&place, &job, 7, &made), 0);
    (void)snprintf(command, sizeof command, "rm %s/fake/manifest/M-7-*", place.root);
    assert_int_equal(system(command), 0);
    assert_int_equal(store(&place, &job, 7, &made), 0);
    assert_int_equal(made.savepoint, 7);
    fake_close(&job);
    fake_open(&job, 1, false);
    assert_int_equal(load_from(place.root, &job), 0);
    fake_check(&job, SEED, ENTRY_CNT);
    fake_close(&job);
    place_close(&place);
}

/* Files of version 1, two savepoints; WEIR_GOLDEN=write makes them again, which nobody does but
 * with a new version. */
static void
t_files_of_version_1_are_read_for_ever(void **unused)
{
    (void)unused;
    struct fake_job job;
    struct weir_look *look;
    if (getenv("WEIR_GOLDEN") != NULL) {
        struct place place;
        struct weir_savepoint_made made;
        place_open(&place);
        fake_open(&job, 1, false);
        fake_fill(&job, SEED, 5);
        (void)snprintf(place.root, sizeof place.root, "%s", WEIR_TEST_DATA "/savepoint/store");
        assert_int_equal(store(&place, &job, 1, &made), 0);
        fake_close(&job);
        fake_open(&job, 1, false);
        fake_fill(&job, SEED, 20);
        assert_int_equal(store(&place, &job, 2, &made), 0);
        fake_close(&job);
        weir_io_close(place.io);
    }
    assert_int_equal(weir_look_open(NULL, WEIR_TEST_DATA "/savepoint/store", &look), 0);
    assert_int_equal(weir_look_cnt(look), 2);
    assert_int_equal(weir_look_verify(look, 0), 0);
    weir_look_close(look);
    fake_open(&job, 1, false);
    assert_int_equal(load_from(WEIR_TEST_DATA "/savepoint/store", &job), 0);
    fake_check(&job, SEED, 20);
    fake_close(&job);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_comes_back_from_files_that_were_moved),
        cmocka_unit_test(t_savepoints_stand_side_by_side),
        cmocka_unit_test(t_checkpoints_take_no_savepoint_among_them),
        cmocka_unit_test(t_savepoints_of_one_number_stand_side_by_side),
        cmocka_unit_test(t_damage_is_named),
        cmocka_unit_test(t_what_fails_leaves_nothing),
        cmocka_unit_test(t_a_file_without_a_manifest_is_in_nobodys_way),
        cmocka_unit_test(t_files_of_version_1_are_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
