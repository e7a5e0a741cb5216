/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink under checkpoints: two at one output, and what it refuses. */
#include "tests/unit/sink_seen.h"

/* ---- two at one output ---- */

/* The older start has lost its first subtask, and with it the lock; the second does not know. */
static void
t_an_older_start_commits_nothing_after_a_newer_one(void **state)
{
    static const char *const paths[] = {"out/", "out.csv"};
    static const char *const dirs[] = {"out/", "out.csv.parts"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct by_hand *t = begin(paths[i], 0);
        struct life *newer = calloc(1, sizeof *newer);
        t->script.cnt = 2;
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        uint64_t zombie_id = t->life.flying_id;
        is_killing = true;
        assert_int_equal(weir_chain_close(t->life.subs[0].chain), 0);
        t->life.subs[0].chain = NULL;
        is_killing = false;
        assert_int_equal(start(newer, &t->place, &t->store, &t->script), 0);
        uint32_t before = visible_cnt(&t->place, dirs[i]);
        assert_int_equal(before, 2); /* of the restored checkpoint */
        char hidden[64];
        (void)snprintf(hidden, sizeof hidden, "%s/.pending-test-1.0-by-2.0", dirs[i]);
        assert_int_equal(visible_cnt(&t->place, hidden), 0); /* those after it were removed */
        struct weir_operator *zombie = t->life.subs[1].sink;
        /* It hears of the restored checkpoint: that is committed already. */
        assert_int_equal(zombie->type->committed(zombie, 1), 0);
        settle_io(&t->place);
        /* And of one that is not on the time line. */
        (void)zombie->type->committed(zombie, zombie_id);
        settle_io(&t->place);
        assert_int_equal(zombie->type->committed(zombie, zombie_id), WEIR_EIO);
        assert_non_null(strstr(weir_err_at(0), "a newer start of this job"));
        weir_err_clear();
        assert_int_equal(visible_cnt(&t->place, dirs[i]), before);
        drop(&t->life);
        assert_int_equal(run_on(newer), 0);
        check_output(&t->place, &t->store, paths[i]);
        free(newer);
        end(t);
    }
}

static void
t_a_start_that_is_late_is_refused(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    t->store.epoch = 5;
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    turns(&t->life, 3);
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    drop(&t->life);
    struct store late = t->store;
    late.epoch = 2;
    assert_int_equal(live(&t->place, &late, &t->script, NULL), WEIR_ERUNNING);
    assert_non_null(strstr(weir_err_at(0), "a newer start of this job (epoch 6, attempt 0)"));
    assert_int_equal(visible_cnt(&t->place, "out.csv.parts"), 0);
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    check_output(&t->place, &t->store, "out.csv");
    end(t);
}

static void
t_a_second_job_is_refused(void **state)
{
    static const char *const paths[] = {"out/", "out.csv"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct by_hand *t = begin(paths[i], 0);
        struct store other_store = {0};
        struct life *other = calloc(1, sizeof *other);
        struct script script = t->script;
        script.job = "other";
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        assert_int_equal(start(other, &t->place, &other_store, &script), WEIR_ERUNNING);
        drop(other);
        assert_int_equal(start(other, &t->place, &other_store, &t->script), WEIR_ERUNNING);
        drop(other);
        drop(&t->life);
        /* It has stopped, but not finished. */
        weir_err_clear();
        assert_int_equal(start(other, &t->place, &other_store, &script), WEIR_ECONFIG);
        assert_non_null(strstr(weir_err_at(0), "belongs to another job"));
        drop(other);
        weir_err_clear();
        script.is_plain = true;
        int rc = start(other, &t->place, &other_store, &script);
        assert_int_equal(rc, i == 0 ? 0 : WEIR_ECONFIG); /* F/: other names, no harm */
        drop(other);
        if (i == 1) {
            assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
            check_output(&t->place, &t->store, paths[i]);
        }
        free(other);
        end(t);
    }
}

static void
t_two_runs_without_checkpoints_do_not_meet(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    struct life *other = calloc(1, sizeof *other);
    t->script.is_plain = true;
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    turns(&t->life, 3);
    assert_int_equal(start(other, &t->place, &t->store, &t->script), WEIR_ERUNNING);
    assert_non_null(strstr(weir_err_at(0), "another run is writing it"));
    drop(other);
    drop(&t->life);
    weir_err_clear();
    assert_int_equal(start(other, &t->place, &t->store, &t->script), 0);
    drop(other);
    free(other);
    end(t);
}

/* ---- what had ended ---- */

/* Parts whose removal a power cut has undone, and its own directories, do not stay: they would keep
 * other jobs away from the output. */
static void
t_a_sink_that_had_ended_leaves_nothing_hidden(void **state)
{
    static const char *const paths[] = {"out/", "out.csv"};
    static const char *const back[][2] = {
        {"/work/out/.pending-test-1.0-by-1.0/part-test-0-1.0-0-0",
            "/work/out/.pending-test-1.0-by-1.0/part-test-0-1.0-1-0"},
        {"/work/out.csv.parts/.pending-test-1.0-by-1.0/part-test-0-1.0-0-0",
            "/work/out.csv.parts.old/.pending-test-1.0-by-1.0/part-test-0-1.0-1-0"},
    };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct by_hand *t = begin(paths[i], 0);
        t->script.cnt = 2;
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(weir_sim_put(t->place.world, back[i][k], "5\n", 2), 0);
        }
        t->script.had_ended = true;
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 20);
        assert_int_equal(close_life(&t->life), 0);
        t->store.has_ended = true;
        check_output(&t->place, &t->store, paths[i]);
        for (uint32_t k = 0; k < weir_sim_path_end(t->place.world); k++) {
            const char *path = weir_sim_path_at(t->place.world, k);
            assert_true(path == NULL || strstr(path, "/.pending-") == NULL);
            assert_true(path == NULL || strstr(path, ".parts") == NULL);
        }
        end(t);
    }
}

/* ---- what is refused ---- */

static void
t_streams_need_leave(void **state)
{
    (void)state;
    struct by_hand *t = begin("-", 0);
    uint64_t bytes = 0;
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), WEIR_ECONFIG);
    assert_non_null(strstr(weir_err_at(0), "checkpoints.sink=at-least-once"));
    drop(&t->life);
    t->script.at_least_once = true;
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    turns(&t->life, 4);
    assert_int_equal(precommit(&t->life), 0);
    const char *text = weir_sim_get(t->place.world, "/dev/stdout", &bytes);
    char *copy = new_text(bytes + 1);
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    uint32_t seen[STREAM_CNT * ROW_CNT] = {0};
    count_rows(copy, seen);
    for (uint64_t i = 0; i < STREAM_CNT * ROW_CNT; i++) {
        /* All before the barrier; some after it. */
        assert_true(i % ROW_CNT >= t->life.subs[0].snap_pos[i / ROW_CNT] || seen[i] == 1);
    }
    free(copy);
    drop(&t->life);
    end(t);
}

static void
t_the_output_does_not_go_back(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    struct store *old = malloc(sizeof *old);
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    for (int i = 0; i < 2; i++) {
        turns(&t->life, 4);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        assert_int_equal(say_committed(&t->life, t->store.id), 0);
        if (i == 0) {
            *old = t->store;
        }
    }
    drop(&t->life);
    uint64_t last_id = t->store.last_id;
    t->store = *old;
    t->store.last_id = last_id;
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), WEIR_ECONFIG);
    assert_non_null(strstr(weir_err_at(0), "is committed already"));
    t->script.allows_rollback = true;
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    check_output(&t->place, &t->store, "out.csv");
    free(old);
    end(t);
}

static void
t_a_part_that_is_damaged_or_gone_is_an_error(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct by_hand *t = begin("out.csv", 0);
        const char *name = "/work/out.csv.parts/.pending-test-1.0-by-1.0/part-test-0-1.0-0-0";
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 4);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
        uint64_t bytes;
        const char *text = weir_sim_get(t->place.world, name, &bytes);
        assert_non_null(text);
        char *copy = new_text(bytes);
        memcpy(copy, text, bytes);
        copy[bytes / 2] ^= how == 0 ? 1 : 0;
        struct weir_io_op op;
        weir_io_op_unlink(&op, WEIR_IO_CWD, name, 0);
        assert_int_equal(perform(&t->place, &op), 0);
        if (how < 2) {
            assert_int_equal(weir_sim_put(t->place.world, name, copy, bytes - (how == 1)), 0);
        }
        free(copy);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), WEIR_EPARTS);
        assert_non_null(strstr(weir_err_at(0), "part-test-0-1.0-0-0"));
        end(t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_an_older_start_commits_nothing_after_a_newer_one),
        cmocka_unit_test(t_a_start_that_is_late_is_refused),
        cmocka_unit_test(t_a_second_job_is_refused),
        cmocka_unit_test(t_two_runs_without_checkpoints_do_not_meet),
        cmocka_unit_test(t_a_sink_that_had_ended_leaves_nothing_hidden),
        cmocka_unit_test(t_streams_need_leave),
        cmocka_unit_test(t_the_output_does_not_go_back),
        cmocka_unit_test(t_a_part_that_is_damaged_or_gone_is_an_error),
    };
    return cmocka_run_group_tests_name("sink_fence", tests, NULL, NULL);
}
