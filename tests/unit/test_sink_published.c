/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink behind its last checkpoint: who publishes F, once, and what restarts make of it. */
#include "tests/unit/sink_seen.h"

/* Operations of a subtask from its last checkpoint to its end, or more. */
#define END_STEP_CNT 30

/* The last checkpoint, complete and told, with none of its parts put together yet. */
static void
come_to_the_end(struct by_hand *t, uint32_t cnt)
{
    t->script.cnt = cnt;
    t->script.seed = 2; /* flushes its sink itself */
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    turns(&t->life, 3);
    if (!weir_chain_ended(t->life.subs[0].chain)) {
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        assert_int_equal(say_committed(&t->life, t->store.id), 0);
    }
    for (uint32_t s = 0; s < cnt; s++) {
        while (!weir_chain_ended(t->life.subs[s].chain)) {
            turn(&t->life, &t->life.subs[s]);
        }
    }
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    assert_int_equal(say_committed(&t->life, t->store.id), 0);
    for (uint32_t s = 0; s < cnt; s++) {
        t->life.subs[s].flushed = WEIR_WAIT;
    }
}

static void
flush_to_the_end(struct by_hand *t, uint32_t subtask)
{
    struct subtask *sub = &t->life.subs[subtask];
    for (int i = 0; sub->flushed == WEIR_WAIT; i++) {
        turn(&t->life, sub);
        assert_true(i < 1000);
    }
    assert_int_equal(sub->flushed, WEIR_DONE);
}

/* A checkpoint of one subtask: all others have ended. */
static void
take_alone(struct by_hand *t, uint32_t subtask)
{
    struct subtask *sub = &t->life.subs[subtask];
    t->life.flying_id = ++t->store.last_id;
    sub->snapshot_id = t->life.flying_id;
    for (int i = 0; !sub->has_precommitted; i++) {
        turn(&t->life, sub);
        assert_true(i < 1000);
    }
    complete(&t->life);
    for (uint32_t s = 0; s < t->script.cnt; s++) {
        struct weir_parts_writer writer;
        if (s != subtask) {
            weir_parts_writer_init(&writer, t->store.parts[s], PARTS_BYTES);
            assert_int_equal(weir_parts_finish(&writer, &t->store.bytes[s]), 0);
        }
    }
}

static void
assert_text(struct by_hand *t, const char *path, const char *expected)
{
    char *text = get_text(&t->place, path);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

/* ---- two that end together ---- */

/* Who comes late may find that the other has published, and taken all away. */
static void
t_of_two_that_end_together_one_publishes(void **state)
{
    (void)state;
    for (int first = 0; first < 14; first += 2) {
        for (int second = 0; second < END_STEP_CNT; second++) {
            struct by_hand *t = begin("out.csv", 0);
            come_to_the_end(t, 2);
            for (int i = 0; i < first && t->life.subs[0].flushed == WEIR_WAIT; i++) {
                turn(&t->life, &t->life.subs[0]);
            }
            for (int i = 0; i < second && t->life.subs[1].flushed == WEIR_WAIT; i++) {
                turn(&t->life, &t->life.subs[1]);
            }
            flush_to_the_end(t, 0);
            flush_to_the_end(t, 1);
            assert_int_equal(close_life(&t->life), 0);
            t->store.has_ended = true;
            check_output(&t->place, &t->store, "out.csv");
            end(t);
        }
    }
}

/* ---- restarts behind the publication ---- */

/* The mark of who ended first went with all the rest. */
static void
t_a_subtask_that_ended_before_the_publication_is_not_missed(void **state)
{
    (void)state;
    for (uint32_t cnt = 1; cnt <= 3; cnt++) {
        struct by_hand *t = begin("out.csv", 0);
        come_to_the_end(t, 2);
        flush_to_the_end(t, 1);
        take_alone(t, 0);
        flush_to_the_end(t, 0);
        drop(&t->life);
        for (int again = 0; again < 2; again++) {
            t->script.cnt = cnt;
            assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
            assert_int_equal(precommit(&t->life), 0);
            complete(&t->life);
            drop(&t->life);
        }
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

/* So does one that ended in a start behind the publication. */
static void
t_a_subtask_that_ended_behind_the_publication_is_not_missed(void **state)
{
    (void)state;
    for (int is_swept = 0; is_swept < 2; is_swept++) {
        struct by_hand *t = begin("out.csv", 0);
        t->script.cnt = 2;
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        come_to_the_end(t, 2);
        flush_to_the_end(t, 1);
        take_alone(t, 0);
        if (is_swept) {
            flush_to_the_end(t, 0);
        }
        drop(&t->life);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

/* A reader has taken F: nothing is made in its place, once a checkpoint says that it was there. */
static void
t_an_output_that_was_taken_is_not_made_again(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    struct weir_io_op op;
    t->script.cnt = 2;
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    drop(&t->life);
    weir_io_op_unlink(&op, WEIR_IO_CWD, "/work/out.csv", 0);
    assert_int_equal(perform(&t->place, &op), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        char *text = get_text(&t->place, "out.csv");
        assert_null(text);
    }
    end(t);
}

/* F was put together, and the process has died before it took the parts away: once more, the
 * same. */
static void
t_an_output_that_is_there_with_its_parts_is_made_again(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    come_to_the_end(t, 2);
    assert_int_equal(weir_sim_put(t->place.world, "/work/out.csv", "n\n5\n", 4), 0);
    drop(&t->life);
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    check_output(&t->place, &t->store, "out.csv");
    end(t);
}

/* Of no rows at all there are no parts either; an F of an earlier run is not theirs. */
static void
t_no_rows_are_an_output_too(void **state)
{
    (void)state;
    for (uint32_t cnt = 1; cnt <= 2; cnt++) {
        struct by_hand *t = begin("out.csv", 0);
        for (uint32_t i = 0; i < STREAM_CNT; i++) {
            t->store.pos[i] = ROW_CNT;
        }
        assert_int_equal(weir_sim_put(t->place.world, "/work/out.csv", "n\n5\n", 4), 0);
        come_to_the_end(t, cnt);
        drop(&t->life);
        assert_text(t, "out.csv", "n\n5\n");
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        assert_text(t, "out.csv", "n\n");
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        assert_text(t, "out.csv", "n\n");
        end(t);
    }
}

/* ---- outputs that the checkpoint does not know ---- */

/* A savepoint is restored into another output: its rows are in the old one. */
static void
t_a_new_output_of_a_job_that_was_at_its_end_is_empty(void **state)
{
    (void)state;
    for (int is_told = 0; is_told < 2; is_told++) {
        struct by_hand *t = begin("out.csv", 0);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        if (is_told) {
            assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
            assert_int_equal(precommit(&t->life), 0);
            complete(&t->life);
            drop(&t->life);
        }
        t->script.path = "new.csv";
        t->script.is_new = true;
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        assert_text(t, "new.csv", "n\n");
        t->script.is_new = false;
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        assert_text(t, "new.csv", "n\n");
        end(t);
    }
}

/* A job got one more sink: the checkpoint says nothing of it, whatever stands where it writes. */
static void
t_a_sink_that_is_new_to_the_job_begins(void **state)
{
    static const char *const paths[] = {"out/", "out.csv"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct by_hand *t = begin(paths[i], 0);
        t->store.id = 7;
        t->store.last_id = 7;
        t->script.is_added = true;
        if (i == 1) {
            assert_int_equal(weir_sim_put(t->place.world, "/work/out.csv", "n\n5\n", 4), 0);
        }
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, paths[i]);
        end(t);
    }
}

/* ---- looks that fail, names that come back ---- */

/* What cannot be looked at is an error of its own, and no verdict on what was committed. */
static void
t_a_look_that_fails_is_no_verdict(void **state)
{
    static const enum weir_io_verb verbs[] = {
        WEIR_IO_STAT, WEIR_IO_OPEN, WEIR_IO_LIST, WEIR_IO_READ};
    (void)state;
    for (uint32_t at = 0; at < WEIR_ARRAY_CNT(verbs) * 2; at++) {
        bool is_published = at % 2 == 1;
        uint32_t failed_cnt = 0;
        for (uint32_t skip = 0; skip < 24; skip++) {
            struct by_hand *t = begin("out.csv", 0);
            come_to_the_end(t, 2);
            if (is_published) {
                flush_to_the_end(t, 1);
                flush_to_the_end(t, 0);
            }
            drop(&t->life);
            weir_sim_fault(t->place.world, verbs[at / 2], skip, EIO);
            int rc = start(&t->life, &t->place, &t->store, &t->script);
            assert_true(rc == 0 || rc == WEIR_EIO);
            failed_cnt += rc != 0;
            weir_sim_trouble_clear(t->place.world);
            drop(&t->life);
            weir_err_clear();
            assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
            check_output(&t->place, &t->store, "out.csv");
            end(t);
        }
        assert_true(failed_cnt > 0 || (is_published && verbs[at / 2] == WEIR_IO_READ));
    }
}

static struct by_hand *
begin_with_power(const char *path)
{
    struct by_hand *t = begin(path, 0);
    weir_io_close(t->place.io);
    weir_sim_close(t->place.world);
    struct weir_sim_config config = {.seed = seed(), .cuts_power = true};
    assert_int_equal(weir_sim_open(&config, &t->place.world), 0);
    struct weir_io_config io = {.kind = WEIR_IO_SIM, .world = t->place.world};
    assert_int_equal(weir_io_open(&io, &t->place.io), 0);
    assert_int_equal(weir_io_start(t->place.io), 0);
    assert_int_equal(weir_sim_put(t->place.world, "/work/.keep", "", 0), 0);
    return t;
}

static void
cut_power(struct by_hand *t, uint64_t cut)
{
    struct weir_io_config io = {.kind = WEIR_IO_SIM, .world = t->place.world};
    weir_sim_cut_power(t->place.world, cut);
    weir_io_close(t->place.io);
    assert_int_equal(weir_io_open(&io, &t->place.io), 0);
    assert_int_equal(weir_io_start(t->place.io), 0);
}

/* A job was started from nothing, and its first checkpoint is complete when the power fails. */
static void
t_what_a_fresh_start_has_removed_does_not_come_back(void **state)
{
    (void)state;
    for (uint64_t cut = 0; cut < 20; cut++) {
        struct by_hand *t = begin_with_power("out.csv");
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        for (int i = 0; i < 3; i++) {
            turns(&t->life, 3);
            assert_int_equal(precommit(&t->life), 0);
            complete(&t->life);
            assert_int_equal(say_committed(&t->life, t->store.id), 0);
        }
        drop(&t->life);
        t->store = (struct store){.epoch = t->store.epoch, .last_id = t->store.last_id};
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
        cut_power(t, cut);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

/* All is as it was, or F is there and nothing else is needed, wherever the power fails while it is
 * published. */
static void
t_a_power_cut_in_a_publication_leaves_what_is_needed(void **state)
{
    (void)state;
    for (uint64_t cut = 0; cut < 200; cut++) {
        struct by_hand *t = begin_with_power("out.csv");
        come_to_the_end(t, 2);
        for (uint64_t i = 0; i < cut % 50 && t->life.subs[0].flushed == WEIR_WAIT; i++) {
            turns(&t->life, 1);
        }
        drop(&t->life);
        cut_power(t, cut);
        t->script.cnt = 1 + (uint32_t)(cut % 3);
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
        cut_power(t, cut + 1);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_of_two_that_end_together_one_publishes),
        cmocka_unit_test(t_a_subtask_that_ended_before_the_publication_is_not_missed),
        cmocka_unit_test(t_a_subtask_that_ended_behind_the_publication_is_not_missed),
        cmocka_unit_test(t_an_output_that_was_taken_is_not_made_again),
        cmocka_unit_test(t_an_output_that_is_there_with_its_parts_is_made_again),
        cmocka_unit_test(t_no_rows_are_an_output_too),
        cmocka_unit_test(t_a_new_output_of_a_job_that_was_at_its_end_is_empty),
        cmocka_unit_test(t_a_sink_that_is_new_to_the_job_begins),
        cmocka_unit_test(t_a_look_that_fails_is_no_verdict),
        cmocka_unit_test(t_what_a_fresh_start_has_removed_does_not_come_back),
        cmocka_unit_test(t_a_power_cut_in_a_publication_leaves_what_is_needed),
    };
    return cmocka_run_group_tests_name("sink_published", tests, NULL, NULL);
}
