/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of SCENARIOS T.17 carry their id. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "sched/retention.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

static struct weir_retention *retention;
static struct weir_retention_file files[8];
/* What may go, as text: "M3 x y " is manifest 3, then files x and y. */
static char gone[512];

static void
begin(uint32_t retained, uint32_t file_max)
{
    struct weir_retention_conf conf = {.retained = retained, .file_max = file_max};
    assert_int_equal(weir_retention_new(&conf, &retention), 0);
}

/* A checkpoint of files, as "a b" for new ones and "=a" for one that is used again, "k:n" for name
 * n of key k. */
static struct weir_retention_checkpoint
checkpoint(uint64_t id, const char *text)
{
    static char words[256];
    struct weir_retention_checkpoint made = {.id = id, .epoch = 1, .file = files};
    (void)snprintf(words, sizeof words, "%s", text);
    char *rest = words;
    for (char *word = strtok_r(rest, " ", &rest); word != NULL; word = strtok_r(rest, " ", &rest)) {
        struct weir_retention_file *file = &files[made.file_cnt++];
        char *colon = strchr(word, ':');
        *file = (struct weir_retention_file){.name = word};
        if (word[0] == '=') {
            file->key = word + 1;
            file->name = NULL;
        } else if (colon != NULL) {
            *colon = '\0';
            file->key = word;
            file->name = colon + 1;
        }
    }
    return made;
}

static void
prepare(uint64_t id, const char *text)
{
    struct weir_retention_checkpoint made = checkpoint(id, text);
    assert_int_equal(weir_retention_prepare(retention, &made), 0);
}

/* Takes all there is to delete; manifests go at once. */
static const char *
take(void)
{
    struct weir_retention_out out;
    gone[0] = '\0';
    while (weir_retention_poll(retention, &out)) {
        char *end = gone + strlen(gone);
        size_t room = sizeof gone - strlen(gone);
        if (out.kind == WEIR_RETENTION_MANIFEST) {
            (void)snprintf(end, room, "M%llu ", (unsigned long long)out.id);
            weir_retention_unlinked(retention, out.id, true);
        } else {
            (void)snprintf(end, room, "%s ", out.name);
        }
    }
    return gone;
}

static const char *
complete(uint64_t id, const char *text)
{
    prepare(id, text);
    weir_retention_confirm(retention, id);
    weir_retention_committed(retention, id);
    return take();
}

static void
t_T293_the_oldest_goes_when_more_than_n_are_there(void **state)
{
    (void)state;
    begin(2, 16);
    assert_string_equal(complete(1, "a"), "");
    assert_string_equal(complete(2, "b"), "");
    assert_string_equal(complete(3, "c"), "M1 a ");
    assert_string_equal(complete(5, "d"), "M2 b ");
    assert_int_equal(weir_retention_cnt(retention), 2);
    assert_int_equal(weir_retention_id(retention, 0), 3);
    assert_int_equal(weir_retention_id(retention, 1), 5);
    assert_int_equal(weir_retention_id(retention, 2), 0);
    weir_retention_close(retention);
}

static void
t_T293_old_ones_stay_when_a_new_one_cannot_be_added(void **state)
{
    (void)state;
    begin(1, 2);
    assert_string_equal(complete(1, "a"), "");
    struct weir_retention_checkpoint made = checkpoint(2, "b c");
    assert_int_equal(weir_retention_prepare(retention, &made), WEIR_EBUDGET);
    made = checkpoint(2, "=x");
    assert_int_equal(weir_retention_prepare(retention, &made), WEIR_EFORMAT);
    assert_string_equal(
        weir_err_at(0), "checkpoint 2 has 2 new files, and there is room for 1 of 2");
    weir_err_clear();
    assert_string_equal(take(), "");
    prepare(3, "b");
    weir_retention_discard(retention, 3);
    assert_string_equal(take(), "b ");
    assert_int_equal(weir_retention_cnt(retention), 1);
    assert_int_equal(weir_retention_id(retention, 0), 1);
    weir_retention_close(retention);
}

static void
t_T293_the_end_of_a_job(void **state)
{
    (void)state;
    begin(3, 16);
    (void)complete(1, "a b");
    (void)complete(2, "=b c");
    weir_retention_end(retention, false);
    assert_string_equal(take(), "");
    weir_retention_end(retention, true);
    assert_string_equal(take(), "M1 M2 a b c ");
    assert_int_equal(weir_retention_file_cnt(retention), 0);
    weir_retention_close(retention);
    begin(3, 16);
    (void)complete(1, "a");
    prepare(2, "b");
    weir_retention_confirm(retention, 2);
    weir_retention_end(retention, true);
    assert_string_equal(take(), "M1 a "); /* the sinks of 2 have not committed */
    weir_retention_close(retention);
}

static void
t_T293_a_corrupt_one_is_an_error(void **state)
{
    (void)state;
    begin(2, 16);
    struct weir_retention_checkpoint made = checkpoint(1, "a");
    assert_int_equal(weir_retention_restore(retention, &made), 0);
    made = checkpoint(2, "b");
    made.corrupt = "its checksum is wrong";
    assert_int_equal(weir_retention_restore(retention, &made), WEIR_EFORMAT);
    assert_string_equal(weir_err_at(0), "checkpoint 2: its checksum is wrong");
    weir_err_clear();
    weir_retention_close(retention);
}

static void
t_C7_files_wait_for_their_manifest_and_manifests_for_commits(void **state)
{
    (void)state;
    struct weir_retention_out out;
    begin(1, 16);
    prepare(1, "a");
    weir_retention_confirm(retention, 1);
    prepare(2, "b");
    weir_retention_confirm(retention, 2);
    assert_false(weir_retention_poll(retention, &out));
    weir_retention_committed(retention, 1);
    assert_true(weir_retention_poll(retention, &out));
    assert_int_equal(out.kind, WEIR_RETENTION_MANIFEST);
    assert_int_equal(out.id, 1);
    assert_int_equal(out.epoch, 1);
    assert_false(weir_retention_poll(retention, &out));
    assert_true(weir_retention_has_name(retention, "a"));
    weir_retention_unlinked(retention, 1, false); /* it may still be there */
    assert_false(weir_retention_poll(retention, &out));
    weir_retention_committed(retention, 2);
    assert_string_equal(take(), "M1 a ");
    assert_false(weir_retention_has_name(retention, "a"));
    weir_retention_close(retention);
}

static void
t_T294_a_shared_file_goes_with_its_last_user(void **state)
{
    (void)state;
    begin(1, 16);
    assert_string_equal(complete(1, "a b"), "");
    assert_string_equal(complete(2, "=a c"), "M1 b ");
    assert_string_equal(complete(3, "=a d"), "M2 c ");
    assert_string_equal(complete(4, "e"), "M3 a d ");
    weir_retention_close(retention);
}

static void
t_T294_an_aborted_user_does_not_hold_a_shared_file(void **state)
{
    (void)state;
    begin(1, 16);
    (void)complete(1, "a");
    prepare(2, "=a b");
    assert_string_equal(files[0].resolved, "a");
    assert_string_equal(files[1].resolved, "b");
    weir_retention_discard(retention, 2);
    assert_string_equal(take(), "b ");
    assert_string_equal(complete(3, "c"), "M1 a ");
    weir_retention_close(retention);
}

static void
t_T294_what_a_pending_one_builds_on_stays(void **state)
{
    (void)state;
    begin(1, 16);
    (void)complete(1, "a b");
    weir_retention_pin(retention, 1);
    assert_string_equal(complete(2, "c"), "");
    prepare(3, "=a d");
    weir_retention_pin(retention, 0);
    assert_string_equal(take(), "M1 b "); /* 3 is being stored, and has a */
    weir_retention_confirm(retention, 3);
    weir_retention_committed(retention, 3);
    assert_string_equal(take(), "M2 c ");
    assert_true(weir_retention_has_name(retention, "a"));
    weir_retention_close(retention);
}

static void
t_T294_a_file_written_twice_keeps_its_first_name(void **state)
{
    (void)state;
    begin(2, 16);
    (void)complete(1, "sst7:one");
    prepare(2, "sst7:two");
    assert_string_equal(files[0].resolved, "one");
    assert_string_equal(take(), "two ");
    weir_retention_confirm(retention, 2);
    weir_retention_committed(retention, 2);
    assert_string_equal(complete(3, "=sst7"), "M1 ");
    assert_string_equal(files[0].resolved, "one");
    /* After an abort the key is free again. */
    prepare(4, "sst8:three");
    weir_retention_discard(retention, 4);
    assert_string_equal(take(), "three ");
    prepare(5, "sst8:four");
    assert_string_equal(files[0].resolved, "four");
    weir_retention_close(retention);
}

static void
t_T294_files_of_a_savepoint_that_was_restored(void **state)
{
    (void)state;
    begin(1, 16);
    struct weir_retention_checkpoint made = checkpoint(1, "a b");
    made.owner = WEIR_RETENTION_UNCLAIMED;
    assert_int_equal(weir_retention_restore(retention, &made), 0);
    assert_string_equal(complete(2, "=a c"), "");
    assert_string_equal(complete(3, "d"), "M2 c "); /* a and b are not ours */
    assert_int_equal(weir_retention_file_cnt(retention), 1);
    weir_retention_close(retention);
    begin(1, 16);
    made = checkpoint(1, "a b");
    made.owner = WEIR_RETENTION_CLAIMED;
    assert_int_equal(weir_retention_restore(retention, &made), 0);
    assert_string_equal(complete(2, "=a c"), ""); /* it stays whole while a is used */
    assert_string_equal(complete(3, "=a d"), "M2 c ");
    assert_string_equal(complete(4, "e"), "M3 M1 a b d ");
    weir_retention_close(retention);
}

static void
t_T295_nothing_goes_when_nobody_knows(void **state)
{
    (void)state;
    begin(1, 16);
    (void)complete(1, "a");
    prepare(2, "b");
    weir_retention_confirm(retention, 2);
    weir_retention_committed(retention, 2);
    prepare(3, "c");
    weir_retention_keep(retention, 3);
    assert_string_equal(take(), "");
    weir_retention_close(retention);
}

static void
t_C7_what_a_scan_may_call_garbage(void **state)
{
    (void)state;
    struct weir_retention_found found = {.has_owner = true, .epoch = 4};
    assert_true(weir_retention_is_garbage(&found, 5, 100));
    found.epoch = 5;
    assert_false(weir_retention_is_garbage(&found, 5, 100));
    found.epoch = 6;
    found.age_ns = 1000;
    assert_false(weir_retention_is_garbage(&found, 5, 100));
    found.has_owner = false;
    found.epoch = 0;
    assert_true(weir_retention_is_garbage(&found, 5, 100));
    found.age_ns = 99;
    assert_false(weir_retention_is_garbage(&found, 5, 100));
    found = (struct weir_retention_found){.is_referenced = true, .has_owner = true, .epoch = 1};
    assert_false(weir_retention_is_garbage(&found, 5, 100));
}

/* The model: who uses which file, and what is there. */
enum { MODEL_ID_MAX = 200, MODEL_FILE_MAX = 1024 };

static struct {
    bool uses[MODEL_ID_MAX + 1][MODEL_FILE_MAX];
    bool is_there[MODEL_ID_MAX + 1]; /* its manifest is, or is being written */
    bool is_confirmed[MODEL_ID_MAX + 1];
    bool is_deleted[MODEL_FILE_MAX];
    char name[MODEL_FILE_MAX][16];
    uint32_t file_cnt;
    uint64_t confirmed_id; /* the last */
    uint64_t committed_id;
    uint32_t retained;
} model;

static uint64_t seed_now;

/* Also after a failure: WEIR_SEED=n begins with that one. */
static int
print_seed(void **state)
{
    (void)state;
    printf("last seed %llu\n", (unsigned long long)seed_now);
    return 0;
}

static void
model_take(struct weir_rng *rng)
{
    struct weir_retention_out out;
    while (weir_retention_poll(retention, &out)) {
        if (out.kind == WEIR_RETENTION_MANIFEST) {
            uint32_t newer_cnt = 0;
            for (uint64_t id = out.id + 1; id <= MODEL_ID_MAX; id++) {
                newer_cnt += model.is_confirmed[id] ? 1 : 0;
            }
            assert_true(model.is_there[out.id] && model.is_confirmed[out.id]);
            assert_true(newer_cnt >= model.retained && model.committed_id >= out.id);
            bool is_gone = rng == NULL || !weir_rng_chance(rng, 1, 4);
            model.is_there[out.id] = !is_gone;
            model.is_confirmed[out.id] = !is_gone;
            weir_retention_unlinked(retention, out.id, is_gone);
            continue;
        }
        uint32_t file = (uint32_t)strtoul(out.name + 1, NULL, 10);
        assert_true(file < model.file_cnt && !model.is_deleted[file]);
        model.is_deleted[file] = true;
        for (uint64_t id = 1; id <= MODEL_ID_MAX; id++) {
            assert_false(model.is_there[id] && model.uses[id][file]);
        }
    }
}

static void
model_checkpoint(struct weir_rng *rng, uint64_t id)
{
    static struct weir_retention_file list[MODEL_FILE_MAX];
    struct weir_retention_checkpoint made = {.id = id, .epoch = 1, .file = list};
    for (uint32_t file = 0; file < model.file_cnt; file++) {
        if (model.uses[model.confirmed_id][file] && weir_rng_chance(rng, 2, 3)) {
            list[made.file_cnt++] = (struct weir_retention_file){.key = model.name[file]};
            model.uses[id][file] = true;
        }
    }
    for (uint64_t more = weir_rng_below(rng, 4); more > 0; more--) {
        uint32_t file = model.file_cnt++;
        (void)snprintf(model.name[file], sizeof model.name[file], "f%u", file);
        list[made.file_cnt++] = (struct weir_retention_file){.name = model.name[file]};
        model.uses[id][file] = true;
    }
    model.is_there[id] = true;
    assert_int_equal(weir_retention_prepare(retention, &made), 0);
    model_take(rng);
    if (weir_rng_chance(rng, 1, 4)) {
        model.is_there[id] = false;
        weir_retention_discard(retention, id);
        return;
    }
    model.is_confirmed[id] = true;
    model.confirmed_id = id;
    weir_retention_confirm(retention, id);
}

static void
model_run(uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    memset(&model, 0, sizeof model);
    model.retained = 1 + (uint32_t)weir_rng_below(&rng, 4);
    begin(model.retained, MODEL_FILE_MAX);
    for (uint64_t id = 1; id <= MODEL_ID_MAX; id++) {
        model_checkpoint(&rng, id);
        if (weir_rng_chance(&rng, 1, 2) || id - model.committed_id > 30) {
            model.committed_id = id - weir_rng_below(&rng, id - model.committed_id);
            weir_retention_committed(retention, model.committed_id);
        }
        model_take(&rng);
    }
    model.committed_id = MODEL_ID_MAX;
    weir_retention_committed(retention, MODEL_ID_MAX);
    model_take(NULL);
    assert_int_equal(weir_retention_cnt(retention), model.retained);
    model.retained = 0;
    weir_retention_end(retention, true);
    model_take(NULL);
    assert_int_equal(weir_retention_cnt(retention), 0);
    assert_int_equal(weir_retention_file_cnt(retention), 0);
    for (uint32_t file = 0; file < model.file_cnt; file++) {
        assert_true(model.is_deleted[file]);
    }
    weir_retention_close(retention);
}

static void
t_random_histories_delete_each_file_once_and_none_in_use(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    for (uint64_t i = 0; i < 200; i++) {
        seed_now = seed + i;
        model_run(seed_now);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T293_the_oldest_goes_when_more_than_n_are_there),
        cmocka_unit_test(t_T293_old_ones_stay_when_a_new_one_cannot_be_added),
        cmocka_unit_test(t_T293_the_end_of_a_job),
        cmocka_unit_test(t_T293_a_corrupt_one_is_an_error),
        cmocka_unit_test(t_C7_files_wait_for_their_manifest_and_manifests_for_commits),
        cmocka_unit_test(t_T294_a_shared_file_goes_with_its_last_user),
        cmocka_unit_test(t_T294_an_aborted_user_does_not_hold_a_shared_file),
        cmocka_unit_test(t_T294_what_a_pending_one_builds_on_stays),
        cmocka_unit_test(t_T294_a_file_written_twice_keeps_its_first_name),
        cmocka_unit_test(t_T294_files_of_a_savepoint_that_was_restored),
        cmocka_unit_test(t_T295_nothing_goes_when_nobody_knows),
        cmocka_unit_test(t_C7_what_a_scan_may_call_garbage),
        cmocka_unit_test_teardown(
            t_random_histories_delete_each_file_once_and_none_in_use, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
