/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody touches what the file sink has committed: F is not published until it is put right. */
#include "tests/unit/sink_seen.h"

#define PARTS_DIR "/work/out.csv.parts"

enum harm { REMOVED, CUT, LONGER, FLIPPED, ADDED, DOUBLED, RENAMED, HARM_CNT };

struct kept {
    char path[256];
    char other[256]; /* that was added; "": none */
    char *bytes;
    uint64_t cnt;
};

static void
unlink_it(struct place *place, const char *path)
{
    struct weir_io_op op;
    weir_io_op_unlink(&op, WEIR_IO_CWD, path, 0);
    assert_int_equal(perform(place, &op), 0);
}

/* The path of a committed part, in the order of names. */
static void
part_at(struct place *place, uint32_t idx, char *to)
{
    static char names[256][128];
    uint32_t cnt = list_names(place, "out.csv.parts", names, WEIR_ARRAY_CNT(names));
    const char *last = "";
    for (uint32_t found = 0; found <= idx; found++) {
        const char *least = NULL;
        for (uint32_t i = 0; i < cnt; i++) {
            if (names[i][0] != '.' && strcmp(names[i], last) > 0 &&
                (least == NULL || strcmp(names[i], least) < 0)) {
                least = names[i];
            }
        }
        assert_non_null(least);
        last = least;
    }
    (void)snprintf(to, 256, PARTS_DIR "/%.127s", last);
}

static void
put_back(struct place *place, struct kept *kept)
{
    if (weir_sim_get(place->world, kept->path, &(uint64_t){0}) != NULL) {
        unlink_it(place, kept->path);
    }
    if (kept->other[0] != '\0') {
        unlink_it(place, kept->other);
    }
    assert_int_equal(weir_sim_put(place->world, kept->path, kept->bytes, kept->cnt), 0);
    free(kept->bytes);
}

/* The name with another checksum; or, of a part that is added, with another number. */
static void
name_other(struct kept *kept, enum harm harm)
{
    char copy[sizeof kept->path];
    memcpy(copy, kept->path, sizeof copy);
    char *crc = strrchr(copy, '-');
    *crc = '\0';
    char *bytes = strrchr(copy, '-');
    *bytes = '\0';
    char *number = strrchr(copy, '-');
    *number = '\0';
    if (harm == ADDED) {
        (void)snprintf(
            kept->other, sizeof kept->other, "%.150s-77-%.20s-%.8s", copy, bytes + 1, crc + 1);
    } else {
        (void)snprintf(kept->other, sizeof kept->other, "%.150s-%.20s-%.20s-00000000", copy,
            number + 1, bytes + 1);
    }
}

static void
do_harm(struct place *place, uint32_t idx, enum harm harm, struct kept *ret)
{
    memset(ret, 0, sizeof *ret);
    part_at(place, idx, ret->path);
    const char *text = weir_sim_get(place->world, ret->path, &ret->cnt);
    assert_non_null(text);
    assert_true(ret->cnt > 2);
    ret->bytes = new_text(ret->cnt);
    memcpy(ret->bytes, text, ret->cnt);
    char *copy = calloc(1, ret->cnt + 1);
    memcpy(copy, text, ret->cnt);
    copy[ret->cnt / 2] ^= harm == FLIPPED ? 1 : 0;
    uint64_t cnt = ret->cnt + (harm == LONGER ? 1 : 0) - (harm == CUT ? 1 : 0);
    if (harm >= ADDED) {
        name_other(ret, harm);
        assert_int_equal(weir_sim_put(place->world, ret->other, copy, ret->cnt), 0);
    }
    if (harm != DOUBLED && harm != ADDED) {
        unlink_it(place, ret->path);
    }
    if (harm == CUT || harm == LONGER || harm == FLIPPED) {
        assert_int_equal(weir_sim_put(place->world, ret->path, copy, cnt), 0);
    }
    free(copy);
}

/* What it says of a part that was committed before; and of one that the restored checkpoint
 * lists. */
static const char *const says_of[HARM_CNT][2] = {
    [REMOVED] = {"which was committed, is not there", "it is neither there nor committed"},
    [CUT] = {" bytes, and ", "the checkpoint says"},
    [LONGER] = {" bytes, and ", "the checkpoint says"},
    [FLIPPED] = {"was changed: its CRC32C is", "the checkpoint says"},
    [ADDED] = {"-77-", "-77-"},
    [DOUBLED] = {"are there for one part", "are there for one part"},
    [RENAMED] = {"has not the name under which it was committed",
        "it is neither there nor committed"},
};

static const char *const no_mark[2] = {"/done-1-*, which says", "/done-1-*, which says"};

static void
assert_refused(struct by_hand *t, int rc, const char *const *says)
{
    char text[4096];
    assert_int_equal(rc, WEIR_EPARTS);
    weir_err_save(text, sizeof text);
    if (strstr(text, says[0]) == NULL && strstr(text, says[1]) == NULL) {
        print_message("%s: %s\n", says[0], text);
        fail();
    }
    assert_non_null(strstr(text, "out.csv.parts/"));
    weir_err_clear();
    char *whole = get_text(&t->place, "out.csv");
    assert_null(whole);
}

/* Some checkpoints that are complete and committed, by a start of so many subtasks. */
static void
commit_some(struct by_hand *t, uint32_t cnt, int checkpoint_cnt)
{
    t->script.cnt = cnt;
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    for (int i = 0; i < checkpoint_cnt; i++) {
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        assert_int_equal(say_committed(&t->life, t->store.id), 0);
    }
}

/* ---- between two starts ---- */

/* Three starts, of 2, 1 and 2 subtasks, leave parts; each of them in turn is harmed. */
static void
t_harm_between_starts_is_an_error(void **state)
{
    (void)state;
    for (enum harm harm = REMOVED; harm < HARM_CNT; harm++) {
        uint32_t part_cnt = 1;
        for (uint32_t idx = 0; idx < part_cnt; idx++) {
            struct by_hand *t = begin("out.csv", 0);
            struct kept kept;
            for (uint32_t life = 0; life < 3; life++) {
                commit_some(t, life == 1 ? 1 : 2, 2);
                drop(&t->life);
            }
            part_cnt = visible_cnt(&t->place, "out.csv.parts");
            assert_true(part_cnt > 6);
            do_harm(&t->place, idx, harm, &kept);
            t->script.cnt = 1 + idx % 3;
            for (int again = 0; again < 2; again++) {
                /* All is seen at once, but what takes reading every byte. */
                int rc = harm == FLIPPED ? live(&t->place, &t->store, &t->script, NULL)
                                         : start(&t->life, &t->place, &t->store, &t->script);
                assert_refused(t, rc, says_of[harm]);
                if (harm != FLIPPED) {
                    drop(&t->life);
                }
            }
            put_back(&t->place, &kept);
            assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
            check_output(&t->place, &t->store, "out.csv");
            end(t);
        }
    }
}

/* ---- within the start that publishes ---- */

static void
t_harm_before_the_end_is_an_error(void **state)
{
    (void)state;
    for (enum harm harm = REMOVED; harm < HARM_CNT; harm++) {
        for (uint32_t cnt = 1; cnt <= 2; cnt++) {
            struct by_hand *t = begin("out.csv", 0);
            struct kept kept;
            commit_some(t, cnt, 3);
            do_harm(&t->place, (uint32_t)harm % 3, harm, &kept);
            assert_refused(t, run_on(&t->life), says_of[harm]);
            drop(&t->life);
            put_back(&t->place, &kept);
            assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
            check_output(&t->place, &t->store, "out.csv");
            end(t);
        }
    }
}

static void
t_files_of_others_are_left_out(void **state)
{
    static const char *const names[] = {"notes.txt", "part-other-0-1.0-0-0-2-00000000",
        "part-test-0-1.0-0-0-2-00000000~", "part-test-0-1.0-0-0-2-0000000G", "done-0-1-1-00000000"};
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    commit_some(t, 1, 2);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(names); i++) {
        char path[256];
        (void)snprintf(path, sizeof path, PARTS_DIR "/%s", names[i]);
        assert_int_equal(weir_sim_put(t->place.world, path, "5\n", 2), 0);
    }
    assert_int_equal(run_on(&t->life), 0);
    may_leave = true;
    check_output(&t->place, &t->store, "out.csv");
    may_leave = false;
    end(t);
}

/* It is missed, and nobody removes it. */
static void
t_a_part_under_another_name_is_kept(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    char path[256];
    char aside[272];
    struct weir_io_op op;
    commit_some(t, 2, 2);
    drop(&t->life);
    part_at(&t->place, 1, path);
    (void)snprintf(aside, sizeof aside, "%s.kept", path);
    weir_io_op_rename(&op, WEIR_IO_CWD, path, aside, 0);
    assert_int_equal(perform(&t->place, &op), 0);
    assert_refused(t, start(&t->life, &t->place, &t->store, &t->script), says_of[REMOVED]);
    drop(&t->life);
    weir_io_op_rename(&op, WEIR_IO_CWD, aside, path, 0);
    assert_int_equal(perform(&t->place, &op), 0);
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    check_output(&t->place, &t->store, "out.csv");
    end(t);
}

/* A directory of parts: readers take them, and change what they like. */
static void
t_parts_of_a_directory_are_the_readers(void **state)
{
    (void)state;
    struct by_hand *t = begin("out/", 0);
    static char names[256][128];
    commit_some(t, 2, 3);
    drop(&t->life);
    uint32_t cnt = list_names(&t->place, "out/", names, WEIR_ARRAY_CNT(names));
    for (uint32_t i = 0; i < cnt; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "/work/out/%.127s", names[i]);
        if (names[i][0] != '.') {
            unlink_it(&t->place, path);
        }
    }
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    end(t);
}

/* ---- a subtask that ended before the checkpoint ---- */

/* The second one has ended, and is in no checkpoint any more. */
static void
end_one(struct by_hand *t)
{
    t->script.cnt = 2;
    t->script.seed = 2; /* flushes its sink itself */
    assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
    struct subtask *ended = &t->life.subs[1];
    while (!weir_chain_ended(ended->chain)) {
        turn(&t->life, ended);
    }
    turn(&t->life, &t->life.subs[0]);
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    assert_int_equal(say_committed(&t->life, t->store.id), 0);
    ended->flushed = WEIR_WAIT;
    for (int i = 0; ended->flushed != WEIR_DONE; i++) {
        turn(&t->life, ended);
        assert_true(i < 1000);
    }
    struct subtask *other = &t->life.subs[0];
    t->life.flying_id = ++t->store.last_id;
    other->snapshot_id = t->life.flying_id;
    for (int i = 0; !other->has_precommitted; i++) {
        turn(&t->life, other);
        assert_true(i < 1000);
    }
    complete(&t->life);
    struct weir_parts_writer writer;
    weir_parts_writer_init(&writer, t->store.parts[1], PARTS_BYTES);
    assert_int_equal(weir_parts_finish(&writer, &t->store.bytes[1]), 0);
    drop(&t->life);
}

static void
t_a_subtask_that_had_ended_counts(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct by_hand *t = begin("out.csv", 0);
        static char names[256][128];
        struct kept kept;
        end_one(t);
        if (how == 1) {
            do_harm(&t->place, 1, REMOVED, &kept);
            assert_refused(t, live(&t->place, &t->store, &t->script, NULL), says_of[REMOVED]);
            put_back(&t->place, &kept);
        } else if (how == 2) {
            const char *dir = "out.csv.parts/.pending-test-1.0-by-1.0";
            char path[256];
            uint32_t cnt = list_names(&t->place, dir, names, WEIR_ARRAY_CNT(names));
            for (uint32_t i = 0; i < cnt; i++) {
                (void)snprintf(path, sizeof path, "/work/%s/%.127s", dir, names[i]);
                if (strncmp(names[i], "done-1-", 7) == 0) {
                    unlink_it(&t->place, path);
                }
            }
            assert_refused(t, live(&t->place, &t->store, &t->script, NULL), no_mark);
            end(t);
            continue;
        }
        /* Killed once more, so that what it has is taken over twice. */
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 2);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
        t->script.cnt = 1;
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

/* ---- an F of an earlier run ---- */

/* All parts are gone behind the last checkpoint, and some F is there: it is not this job's. */
static void
t_an_older_output_is_not_taken_for_this_one(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    commit_some(t, 1, 2);
    while (!weir_chain_ended(t->life.subs[0].chain)) {
        turns(&t->life, 1);
    }
    assert_int_equal(precommit(&t->life), 0);
    complete(&t->life);
    drop(&t->life);
    for (uint32_t i = 0; i < weir_sim_path_end(t->place.world); i++) {
        const char *path = weir_sim_path_at(t->place.world, i);
        if (path != NULL && strstr(path, "/part-test-") != NULL) {
            char copy[256];
            (void)snprintf(copy, sizeof copy, "%s", path);
            unlink_it(&t->place, copy);
        }
    }
    assert_int_equal(weir_sim_put(t->place.world, "/work/out.csv", "n\n5\n", 4), 0);
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), WEIR_EPARTS);
    uint64_t bytes;
    assert_memory_equal(weir_sim_get(t->place.world, "/work/out.csv", &bytes), "n\n5\n", 4);
    assert_int_equal(bytes, 4);
    end(t);
}

/* F is there; what restores the last checkpoint, and takes one itself, leaves it alone, also
 * twice. */
static void
t_a_published_output_stays(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    t->script.cnt = 2;
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 2);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
    }
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
    check_output(&t->place, &t->store, "out.csv");
    end(t);
}

/* ---- versions ---- */

/* What version 1 has left: no shares behind the entries. */
static void
make_old(struct store *store, uint32_t version)
{
    for (uint32_t s = 0; s < store->cnt; s++) {
        static uint64_t buf[PARTS_BYTES / 8];
        struct weir_parts_reader reader;
        struct weir_parts_writer writer;
        struct weir_part part;
        size_t offset = 0;
        weir_parts_writer_init(&writer, buf, sizeof buf);
        weir_parts_writer_of(&writer, "sink");
        assert_int_equal(weir_parts_reader_init(&reader, store->parts[s], store->bytes[s]), 0);
        while (weir_parts_next(&reader, &offset, &part) == 1) {
            char name[64];
            uint64_t entry_cnt;
            (void)snprintf(name, sizeof name, "%.*s", (int)part.name_bytes, part.name);
            memcpy(&entry_cnt, part.data + 24, sizeof entry_cnt);
            weir_parts_begin(&writer, name, version);
            weir_parts_put(&writer, part.data, version == 1 ? 32 + 48 * entry_cnt : part.bytes);
            weir_parts_end(&writer);
        }
        assert_int_equal(weir_parts_finish(&writer, &store->bytes[s]), 0);
        memcpy(store->parts[s], buf, store->bytes[s]);
    }
}

static void
t_a_checkpoint_of_version_1_is_gone_on_from(void **state)
{
    (void)state;
    for (int is_harmed = 0; is_harmed < 2; is_harmed++) {
        struct by_hand *t = begin("out.csv", 0);
        char path[256];
        struct kept kept;
        t->script.cnt = 2;
        assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
        turns(&t->life, 3);
        assert_int_equal(precommit(&t->life), 0);
        complete(&t->life);
        drop(&t->life);
        make_old(&t->store, 1);
        commit_some(t, 1, 2);
        part_at(&t->place, 0, path); /* under the name that version 1 gave it */
        assert_string_equal(path, PARTS_DIR "/part-test-0-1.0-0-0");
        drop(&t->life);
        if (is_harmed) {
            /* What came since is known. */
            do_harm(&t->place, 2, REMOVED, &kept);
            assert_refused(t, live(&t->place, &t->store, &t->script, NULL), says_of[REMOVED]);
            put_back(&t->place, &kept);
        }
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        check_output(&t->place, &t->store, "out.csv");
        end(t);
    }
}

/* It does not say who took it: an F that stands there alone is taken for published, if there were
 * rows. */
static void
t_what_version_1_has_published_stays(void **state)
{
    (void)state;
    for (int has_rows = 0; has_rows < 2; has_rows++) {
        struct by_hand *t = begin("out.csv", 0);
        if (has_rows) {
            assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        } else {
            for (uint32_t i = 0; i < STREAM_CNT; i++) {
                t->store.pos[i] = ROW_CNT;
            }
            assert_int_equal(weir_sim_put(t->place.world, "/work/out.csv", "n\n5\n", 4), 0);
            assert_int_equal(start(&t->life, &t->place, &t->store, &t->script), 0);
            turns(&t->life, 3);
            assert_int_equal(precommit(&t->life), 0);
            complete(&t->life);
            drop(&t->life);
        }
        make_old(&t->store, 1);
        assert_int_equal(live(&t->place, &t->store, &t->script, NULL), 0);
        if (has_rows) {
            check_output(&t->place, &t->store, "out.csv");
        } else {
            char *text = get_text(&t->place, "out.csv");
            assert_string_equal(text, "n\n");
            free(text);
        }
        end(t);
    }
}

static void
t_a_later_version_is_refused(void **state)
{
    (void)state;
    struct by_hand *t = begin("out.csv", 0);
    commit_some(t, 1, 1);
    drop(&t->life);
    make_old(&t->store, 3);
    assert_int_equal(live(&t->place, &t->store, &t->script, NULL), WEIR_EFORMAT);
    end(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_harm_between_starts_is_an_error),
        cmocka_unit_test(t_harm_before_the_end_is_an_error),
        cmocka_unit_test(t_files_of_others_are_left_out),
        cmocka_unit_test(t_a_part_under_another_name_is_kept),
        cmocka_unit_test(t_parts_of_a_directory_are_the_readers),
        cmocka_unit_test(t_a_subtask_that_had_ended_counts),
        cmocka_unit_test(t_an_older_output_is_not_taken_for_this_one),
        cmocka_unit_test(t_a_published_output_stays),
        cmocka_unit_test(t_a_checkpoint_of_version_1_is_gone_on_from),
        cmocka_unit_test(t_what_version_1_has_published_stays),
        cmocka_unit_test(t_a_later_version_is_refused),
    };
    return cmocka_run_group_tests_name("sink_parts", tests, NULL, NULL);
}
