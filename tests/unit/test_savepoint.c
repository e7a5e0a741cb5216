/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints: the same state makes the same bytes, what is read is what was written, fields are
 * matched by name, and nothing that is damaged is taken. */
#include <stdio.h>

#include "tests/unit/savepoint_fake_check.h"
#include "tests/unit/seed.h"

#define ENTRY_CNT 1500
#define SEED_CNT 6

static void
assert_same(const struct stream *is, const struct stream *want)
{
    assert_int_equal(is->bytes, want->bytes);
    assert_memory_equal(is->data, want->data, want->bytes);
}

/* ---- bytes ---- */

static void
t_same_state_makes_same_bytes(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct stream want = {0};
        for (uint32_t subtasks = 1; subtasks <= FAKE_SUBTASK_CNT_MAX; subtasks++) {
            for (uint32_t cut = 0; cut < 2; cut++) {
                struct fake_job job;
                fake_open(&job, subtasks, cut != 0);
                fake_fill(&job, seed + s, ENTRY_CNT);
                for (uint32_t writers = 1; writers <= 3; writers++) {
                    struct stream is;
                    assert_int_equal(fake_write(&job, writers, &is), 0);
                    if (want.data == NULL) {
                        want = is;
                        continue;
                    }
                    assert_same(&is, &want);
                    stream_free(&is);
                }
                fake_close(&job);
            }
        }
        assert_true(want.bytes > 50000);
        stream_free(&want);
    }
}

/* The order in which entries came, and those that have gone, leave no trace. */
static void
t_history_leaves_no_trace(void **unused)
{
    (void)unused;
    struct fake_job forth;
    struct fake_job back;
    struct stream a;
    struct stream b;
    fake_open(&forth, 1, false);
    fake_open(&back, 1, false);
    for (uint32_t i = 0; i < ENTRY_CNT; i++) {
        fake_put(&forth, FAKE_VALUES, i);
        fake_put(&back, FAKE_VALUES, ENTRY_CNT - 1 - i);
    }
    for (uint32_t i = ENTRY_CNT; i < 3 * ENTRY_CNT; i++) {
        struct fake_entry entry;
        struct fake_stage *stage;
        struct weir_table *table;
        fake_put(&back, FAKE_VALUES, i);
        fake_entry_make(&back, FAKE_VALUES, i, &entry);
        assert_int_equal(weir_state_find(fake_owner(&back, &entry, &stage), entry.name, &entry.spec,
                             entry.ns, &table),
            0);
        assert_true(weir_table_delete(table, entry.hash, entry.key, NULL));
    }
    assert_int_equal(fake_write(&forth, 1, &a), 0);
    assert_int_equal(fake_write(&back, 2, &b), 0);
    assert_same(&a, &b);
    stream_free(&a);
    stream_free(&b);
    fake_close(&forth);
    fake_close(&back);
}

/* Texts of one hash are told apart by what they are, however long. */
static void
t_keys_of_one_hash_have_an_order(void **unused)
{
    (void)unused;
    struct stream stream[2];
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct fake_job job;
        struct weir_table *table;
        char text[3][9000];
        fake_open(&job, 1, false);
        const struct weir_table_spec spec = {0, WEIR_KEY_STR, sizeof(int64_t), 1};
        assert_int_equal(weir_state_take(&job.stage[0].op[0], "text", &spec, 0, &table), 0);
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t which = turn == 0 ? i : 2 - i;
            uint64_t hash = 77;
            bool made;
            void *val;
            memset(text[i], 'x', sizeof text[i]);
            text[i][8999] = (char)('a' + which);
            struct weir_slice slice = {text[i], sizeof text[i]};
            const struct weir_key_text key = weir_key_text_of(text[i], slice, hash);
            uint64_t word[4] = {key.word[0], key.word[1], key.word[2], 5};
            const struct weir_table_rows row = {
                .hash = &hash, .key = (const char *)word, .heap = text[i], .cnt = 1};
            assert_int_equal(weir_table_find_or_make(table, &row, &val, &made), 0);
            assert_true(made);
        }
        assert_int_equal(fake_write(&job, 1, &stream[turn]), 0);
        fake_close(&job);
    }
    assert_same(&stream[0], &stream[1]);
    stream_free(&stream[0]);
    stream_free(&stream[1]);
}

/* ---- there and back ---- */

static void
t_comes_back_as_it_was(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    for (uint32_t s = 0; s < 3 * SEED_CNT; s++) {
        struct fake_job from;
        struct fake_job to;
        struct stream stream;
        struct stream again;
        uint32_t cnt = (uint32_t)weir_rng_between(&rng, 0, 2 * ENTRY_CNT);
        fake_open(&from, (uint32_t)weir_rng_between(&rng, 1, 3), weir_rng_chance(&rng, 1, 2));
        fake_open(&to, (uint32_t)weir_rng_between(&rng, 1, 3), weir_rng_chance(&rng, 1, 2));
        fake_fill(&from, seed + s, cnt);
        assert_int_equal(fake_write(&from, (uint32_t)weir_rng_between(&rng, 1, 3), &stream), 0);
        int err = fake_load(&to, &stream, false);
        if (err < 0) {
            weir_err_print(stderr, err);
        }
        assert_int_equal(err, 0);
        fake_check(&to, seed + s, cnt);
        assert_int_equal(fake_write(&to, 1, &again), 0);
        assert_same(&again, &stream);
        stream_free(&stream);
        stream_free(&again);
        fake_close(&from);
        fake_close(&to);
    }
}

/* A list that takes many records, and keys that lie in long texts among them. */
static void
t_long_lists_come_back(void **unused)
{
    (void)unused;
    struct fake_job from;
    struct fake_job to;
    struct stream stream;
    struct stream again;
    struct fake_entry entry;
    struct fake_stage *stage;
    struct weir_table *table;
    fake_open(&from, 1, false);
    fake_open(&to, 2, true);
    for (uint64_t number = 0; number < 8; number++) {
        fake_put(&from, FAKE_LISTS, number);
        fake_entry_make(&from, FAKE_LISTS, number, &entry);
        struct weir_operator *op = fake_owner(&from, &entry, &stage);
        assert_int_equal(weir_state_find(op, entry.name, &entry.spec, entry.ns, &table), 0);
        void *val = weir_table_find(table, entry.hash, entry.key, NULL);
        assert_non_null(val);
        for (uint32_t i = 0; i < 400; i++) {
            fake_lists_fill(stage, &entry, table, val);
        }
    }
    assert_int_equal(fake_write(&from, 1, &stream), 0);
    assert_true(stream.totals.rows > 1200 && stream.bytes > 3 * WEIR_SAVEPOINT_ROWS_BYTES);
    assert_int_equal(fake_load(&to, &stream, false), 0);
    assert_int_equal(fake_write(&to, 3, &again), 0);
    assert_same(&again, &stream);
    stream_free(&stream);
    stream_free(&again);
    fake_close(&from);
    fake_close(&to);
}

/* Nothing at all, and a state whose tables are empty. */
static void
t_nothing_comes_back(void **unused)
{
    (void)unused;
    struct fake_job job;
    struct stream stream;
    struct weir_table *table;
    const struct weir_table_spec spec = {0, WEIR_KEY_16, 40, 0};
    fake_open(&job, 1, false);
    assert_int_equal(fake_write(&job, 3, &stream), 0);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    stream_free(&stream);
    assert_int_equal(weir_state_take(&job.stage[0].op[0], "wide", &spec, 5, &table), 0);
    weir_table_owner_set(table, 99);
    assert_int_equal(fake_write(&job, 2, &stream), 0);
    fake_close(&job);
    fake_open(&job, 1, false);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    assert_int_equal(weir_state_find(&job.stage[0].op[0], "wide", &spec, 5, &table), 0);
    assert_non_null(table);
    assert_int_equal(weir_table_name(table)->owner, 99);
    stream_free(&stream);
    fake_close(&job);
}

/* Many namespaces: tables in several records. */
static void
t_many_tables_come_back(void **unused)
{
    (void)unused;
    struct fake_job job[2];
    struct stream stream;
    struct stream again;
    struct weir_table *table;
    const struct weir_table_spec spec = {0, WEIR_KEY_16, 40, 0};
    fake_open(&job[0], 1, false);
    fake_open(&job[1], 1, false);
    for (int64_t ns = 0; ns < 3000; ns++) {
        assert_int_equal(
            weir_state_take(&job[0].stage[0].op[0], "wide", &spec, ns * 7 - 9000, &table), 0);
    }
    fake_fill(&job[0], 5, 100);
    assert_int_equal(fake_write(&job[0], 1, &stream), 0);
    assert_int_equal(fake_load(&job[1], &stream, false), 0);
    assert_int_equal(fake_write(&job[1], 1, &again), 0);
    assert_same(&again, &stream);
    stream_free(&stream);
    stream_free(&again);
    fake_close(&job[0]);
    fake_close(&job[1]);
}

/* ---- format version 1 ---- */

#define GOLDEN WEIR_TEST_DATA "/savepoint/version_1"
#define GOLDEN_ENTRY_CNT 60
#define GOLDEN_SEED 41

/* The bytes of version 1, as they were when it was made: WEIR_GOLDEN=write makes them again, which
 * nobody does but with a new version. */
static void
t_version_1_is_read_for_ever(void **unused)
{
    (void)unused;
    struct fake_job job;
    struct stream is;
    struct stream golden = {0};
    char buf[4096];
    size_t got;
    fake_open(&job, 2, false);
    fake_fill(&job, GOLDEN_SEED, GOLDEN_ENTRY_CNT);
    assert_int_equal(fake_write(&job, 1, &is), 0);
    fake_close(&job);
    if (getenv("WEIR_GOLDEN") != NULL) {
        FILE *file = fopen(GOLDEN, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(is.data, 1, is.bytes, file), is.bytes);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(GOLDEN, "rb");
    assert_non_null(file);
    while ((got = fread(buf, 1, sizeof buf, file)) > 0) {
        stream_add(&golden, buf, got);
    }
    assert_int_equal(fclose(file), 0);
    assert_same(&is, &golden);
    fake_open(&job, 1, false);
    assert_int_equal(fake_load(&job, &golden, false), 0);
    fake_check(&job, GOLDEN_SEED, GOLDEN_ENTRY_CNT);
    fake_close(&job);
    stream_free(&is);
    stream_free(&golden);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_same_state_makes_same_bytes),
        cmocka_unit_test(t_history_leaves_no_trace),
        cmocka_unit_test(t_keys_of_one_hash_have_an_order),
        cmocka_unit_test(t_comes_back_as_it_was),
        cmocka_unit_test(t_long_lists_come_back),
        cmocka_unit_test(t_nothing_comes_back),
        cmocka_unit_test(t_many_tables_come_back),
        cmocka_unit_test(t_version_1_is_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
