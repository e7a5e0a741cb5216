/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink under checkpoints that are given up, on full disks, and with operations that
 * fail. */
#include "tests/unit/sink_seen.h"

static void
t_what_was_aborted_is_committed_with_the_next(void **state)
{
    (void)state;
    struct by_hand *t = begin("out/", 0);
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    turns(&t->life, 5);
    assert_int_equal(precommit(&t->life), 0);
    assert_true(t->life.subs[0].snap_pos[0] > 0);
    abort_flying(&t->life);
    assert_int_equal(say_committed(&t->life, 0), 0);
    assert_int_equal(visible_cnt(&t->place, "out/"), 0);
    turns(&t->life, 5);
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    assert_int_equal(visible_cnt(&t->place, "out/"), 0);
    assert_int_equal(say_committed(&t->life, 1), 0); /* late, of the aborted one: its part alone */
    assert_int_equal(visible_cnt(&t->place, "out/"), 1);
    assert_int_equal(say_committed(&t->life, 2), 0);
    assert_int_equal(visible_cnt(&t->place, "out/"), 2);
    assert_int_equal(say_committed(&t->life, 2), 0); /* twice: the same */
    assert_int_equal(visible_cnt(&t->place, "out/"), 2);
    check_output(&t->place, &t->store, "out/");
    drop(&t->life);
    end(t);
}

static void
t_a_full_disk_declines_and_the_job_goes_on(void **state)
{
    (void)state;
    uint32_t declined_cnt = 0;
    for (uint64_t room = 20; room < 400; room += 7) {
        struct by_hand *t = begin("out.csv", 4000 + room);
        char *ballast = calloc(1, 4000);
        put_bytes(&t->place, "ballast", ballast, 4000);
        free(ballast);
        t->script.never_aborts = true;
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        int rc;
        while ((rc = precommit(&t->life)) == 0) {
            complete(&t->life);
            assert_int_equal(say_committed(&t->life, t->store.id), 0);
            turns(&t->life, 3);
            assert_true(t->store.id < 1000);
        }
        if (rc == WEIR_EIO) {
            assert_non_null(strstr(weir_err_at(0), "No space left on device"));
            assert_non_null(strstr(weir_err_at(0), "out.csv.parts/.pending-test-1.0-by-1.0/part-"));
            declined_cnt++;
        }
        weir_err_clear();
        abort_flying(&t->life);
        turns(&t->life, 20);
        assert_int_equal(t->life.error, 0); /* rows wait; nothing fails */
        struct weir_io_op op;
        weir_io_op_unlink(&op, WEIR_IO_CWD, "/work/ballast", 0);
        assert_int_equal(perform(&t->place, &op), 0);
        assert_int_equal(run_on(&t->life), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
    assert_true(declined_cnt > 0);
}

/* A fault that did not strike would strike the test's own look at the output. */
static void
use_up_faults(struct place *place, enum weir_io_verb verb)
{
    struct weir_io_stat st;
    char buf[1024];
    for (int i = 0; i < 70; i++) {
        struct weir_io_op op;
        weir_io_op_open(&op, WEIR_IO_CWD, "/none", WEIR_IO_O_READ);
        switch (verb) {
        case WEIR_IO_WRITE:
            weir_io_op_write(&op, WEIR_IO_STDERR, "x", 1, WEIR_IO_STREAM);
            break;
        case WEIR_IO_READ:
            weir_io_op_read(&op, WEIR_IO_STDIN, buf, 1, 0);
            break;
        case WEIR_IO_SYNC:
            weir_io_op_sync(&op, WEIR_IO_STDERR, 0);
            break;
        case WEIR_IO_RENAME:
            weir_io_op_rename(&op, WEIR_IO_CWD, "/none", "/none2", 0);
            break;
        case WEIR_IO_LIST:
            weir_io_op_list(&op, WEIR_IO_STDERR, buf, sizeof buf);
            break;
        case WEIR_IO_MKDIR:
            weir_io_op_mkdir(&op, WEIR_IO_CWD, "/work");
            break;
        case WEIR_IO_UNLINK:
            weir_io_op_unlink(&op, WEIR_IO_CWD, "/none", 0);
            break;
        case WEIR_IO_STAT:
            weir_io_op_stat(&op, WEIR_IO_CWD, "/none", &st);
            break;
        default:
            break;
        }
        (void)perform(place, &op);
    }
}

/* In the first life, or in the second, which restores: one operation fails, whichever it is. That
 * life goes on or ends with an error, and the lives after it have all. */
static void
fail_one(const char *path, enum weir_io_verb verb, uint32_t skip, int errnum)
{
    struct by_hand *t = begin(path, 0);
    may_leave = true;
    int sick = (int)(skip % 2);
    t->script.cnt = 1 + skip / 2 % 2;
    t->script.roll_bytes = 40;
    for (int life = 0; life < 4; life++) {
        t->script.seed = seed() + skip + (uint64_t)life;
        t->script.kill_step = life == 0 && sick == 1 ? 80 + 7 * skip : KILL_NEVER;
        if (life == sick) {
            weir_sim_fault(t->place.world, verb, skip / 2, errnum);
        }
        weir_err_clear();
        int rc = live(&t->place, &t->store, &t->script, NULL);
        /* All renames of a fresh F/ are commits: they are tried again. */
        bool is_commit = verb == WEIR_IO_RENAME && sick == 0 && strcmp(path, "out/") == 0;
        assert_true(life != sick || !is_commit || rc == 0);
        assert_int_not_equal(rc, WEIR_EPARTS); /* what cannot be looked at is not damaged */
        assert_true(life <= sick || rc == 0);
        use_up_faults(&t->place, verb);
        check_output(&t->place, &t->store, path);
    }
    may_leave = false;
    end(t);
}

static void
t_any_operation_may_fail(void **state)
{
    static const enum weir_io_verb verbs[] = {WEIR_IO_OPEN, WEIR_IO_WRITE, WEIR_IO_SYNC,
        WEIR_IO_RENAME, WEIR_IO_LIST, WEIR_IO_READ, WEIR_IO_MKDIR, WEIR_IO_UNLINK, WEIR_IO_STAT};
    (void)state;
    for (size_t v = 0; v < WEIR_ARRAY_CNT(verbs); v++) {
        for (uint32_t skip = 0; skip < 120; skip++) {
            fail_one("out/", verbs[v], skip, EIO);
            fail_one("out.csv", verbs[v], skip, skip % 3 == 0 ? ENOSPC : EIO);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_was_aborted_is_committed_with_the_next),
        cmocka_unit_test(t_a_full_disk_declines_and_the_job_goes_on),
        cmocka_unit_test(t_any_operation_may_fail),
    };
    return cmocka_run_group_tests_name("sink_faults", tests, NULL, NULL);
}
