/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/operators/file_sink.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/line_rig.h"

/* Lines through a source into the sink: what went in is what must come out. */
struct job {
    struct weir_lines_conf lines;
    struct weir_file_sink_conf sink;
    struct rig_conf rig;
    char *in;
    char *out;
};

static void
make_job(struct job *job, struct place *place, const char *text, const char *out)
{
    memset(job, 0, sizeof *job);
    put_bytes(place, "in", text, strlen(text));
    job->in = strdup(at(place, "in"));
    job->out = strcmp(out, "-") == 0 ? strdup(out) : strdup(at(place, out));
    job->lines.path = job->in;
    job->lines.decoder = &weir_decode_text;
    job->sink.path = job->out;
    job->sink.run_id = 0xabc;
    job->rig.source = &weir_lines_type;
    job->rig.source_conf = &job->lines;
    job->rig.schema = weir_line_schema();
    job->rig.sink = &weir_file_sink_type;
    job->rig.sink_conf = &job->sink;
}

static void
free_job(struct job *job)
{
    free(job->in);
    free(job->out);
}

static int
run_job(struct place *place, const struct job *job)
{
    struct rig rig;
    weir_err_clear();
    rig_open(&rig, place, &job->rig);
    int err = rig_run(&rig);
    rig_close(&rig);
    assert_int_equal(weir_io_flying_cnt(place->io), 0);
    return err;
}

static void
assert_file(struct place *place, const char *name, const char *expected)
{
    char *text = get_text(place, name);
    if (expected == NULL) {
        assert_null(text);
    } else {
        assert_non_null(text);
        assert_string_equal(text, expected);
    }
    free(text);
}

/* n lines "line <i>", and the CSV they become. */
static void
many_lines(int cnt, char *text, char *expected)
{
    expected += snprintf(expected, 32, "text,number\n");
    for (int i = 1; i <= cnt; i++) {
        text += snprintf(text, 32, "line %d\n", i);
        expected += snprintf(expected, 32, "line %d,%d\n", i, i);
    }
}

static void
t_a_file_appears_whole_at_the_clean_end(void **state)
{
    struct place *place = *state;
    static const uint64_t writes[] = {100, 4096, 0};
    char *text = new_text(RIG_TEXT_BYTES);
    char *expected = new_text(RIG_TEXT_BYTES);
    many_lines(5000, text, expected);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(writes); i++) {
        struct job job;
        struct rig rig;
        make_job(&job, place, text, "out.csv");
        job.sink.write_bytes = writes[i];
        rig_open(&rig, place, &job.rig);
        for (int turn = 0; turn < 20; turn++) {
            assert_true(rig_turn(&rig));
        }
        /* Still what the last run has left: nothing, then its whole answer. */
        assert_file(place, "out.csv", i == 0 ? NULL : expected);
        assert_int_equal(rig_run(&rig), 0);
        rig_close(&rig);
        assert_file(place, "out.csv", expected);
        struct weir_io_op op;
        weir_io_op_open(&op, WEIR_IO_CWD, at(place, "out.csv.parts"), WEIR_IO_O_READ);
        assert_int_equal(perform(place, &op), WEIR_ENOINPUT);
        free_job(&job);
    }
    free(text);
    free(expected);
}

static void
t_an_empty_result_is_a_header(void **state)
{
    struct place *place = *state;
    struct job job;
    make_job(&job, place, "", "out.csv");
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out.csv", "text,number\n");
    job.sink.format = WEIR_FORMAT_JSON;
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out.csv", "");
    free_job(&job);
}

static void
t_json_lines_hold_what_csv_must_quote(void **state)
{
    struct place *place = *state;
    struct job job;
    make_job(&job, place, "plain\na,b\nhe said \"no\"\n\\ and \x01 caf\xc3\xa9\n", "out");
    job.sink.format = WEIR_FORMAT_JSON;
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out",
        "{\"text\":\"plain\",\"number\":1}\n"
        "{\"text\":\"a,b\",\"number\":2}\n"
        "{\"text\":\"he said \\\"no\\\"\",\"number\":3}\n"
        "{\"text\":\"\\\\ and \\u0001 caf\xc3\xa9\",\"number\":4}\n");
    job.sink.format = WEIR_FORMAT_CSV;
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out",
        "text,number\nplain,1\n\"a,b\",2\n\"he said \"\"no\"\"\",3\n\\ and \x01 caf\xc3\xa9,4\n");
    free_job(&job);
}

static void
t_a_row_longer_than_a_write_is_written_alone(void **state)
{
    struct place *place = *state;
    enum { LONG = 200000 };
    char *text = new_text(LONG + 10);
    char *expected = new_text(LONG + 100);
    memcpy(text, "a\n", 2);
    memset(text + 2, 'x', LONG);
    memcpy(text + 2 + LONG, "\nb", 3);
    (void)sprintf(expected, "text,number\na,1\n%.*s,2\nb,3\n", LONG, text + 2);
    struct job job;
    make_job(&job, place, text, "out");
    job.sink.write_bytes = 1000;
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out", expected);
    job.sink.row_bytes_max = 5000;
    assert_int_equal(run_job(place, &job), WEIR_EBUDGET);
    weir_err_clear();
    free_job(&job);
    free(text);
    free(expected);
}

static void
t_subtasks_parts_become_one_file(void **state)
{
    struct place *place = *state;
    struct job job;
    struct weir_io_op op;
    make_job(&job, place, "", "out.csv");
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "many"));
    assert_int_equal(perform(place, &op), 0);
    put_bytes(place, "many/a", "a1\na2\n", 6);
    put_bytes(place, "many/b", "b1\n", 3);
    put_bytes(place, "many/c", "c1\nc2", 5);
    char *many = strdup(at(place, "many"));
    job.lines.path = many;
    /* The parts of an earlier run, which failed, must not get into the answer. */
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "out.csv.parts"));
    assert_int_equal(perform(place, &op), 0);
    put_bytes(place, "out.csv.parts/part-9-0.done", "old\n", 4);
    put_bytes(place, "out.csv.parts/part-9-1", "old\n", 4);
    enum { CNT = 3 };
    struct rig rigs[CNT];
    for (uint32_t i = 0; i < CNT; i++) {
        job.rig.subtask_idx = i;
        job.rig.subtask_cnt = CNT;
        rig_open(&rigs[i], place, &job.rig);
        assert_int_equal(rigs[i].rc, 0);
    }
    assert_int_equal(rig_run(&rigs[2]), 0);
    assert_int_equal(rig_run(&rigs[0]), 0);
    assert_file(place, "out.csv", NULL);
    assert_int_equal(rig_run(&rigs[1]), 0);
    for (uint32_t i = 0; i < CNT; i++) {
        rig_close(&rigs[i]);
    }
    assert_file(place, "out.csv", "text,number\na1,1\na2,2\nb1,1\nc1,1\nc2,2\n");
    weir_io_op_open(&op, WEIR_IO_CWD, at(place, "out.csv.parts"), WEIR_IO_O_READ);
    assert_int_equal(perform(place, &op), WEIR_ENOINPUT);
    free(many);
    free_job(&job);
}

/* All turns of all subtasks interleaved: both may see that all parts are there; one merges. */
static void
t_subtasks_that_end_together_merge_once(void **state)
{
    struct place *place = *state;
    for (int lead = 0; lead < 12; lead++) {
        struct job job;
        make_job(&job, place, "only\n", "out.csv");
        struct rig rigs[2];
        for (uint32_t i = 0; i < 2; i++) {
            job.rig.subtask_idx = i;
            job.rig.subtask_cnt = 2;
            rig_open(&rigs[i], place, &job.rig);
        }
        for (int i = 0; i < lead; i++) {
            (void)rig_turn(&rigs[lead % 2]);
        }
        bool goes_on = true;
        while (goes_on) {
            goes_on = rig_turn(&rigs[0]);
            goes_on = rig_turn(&rigs[1]) || goes_on;
        }
        assert_true(rigs[0].rc >= 0 && rigs[1].rc >= 0);
        rig_close(&rigs[0]);
        rig_close(&rigs[1]);
        assert_file(place, "out.csv", "text,number\nonly,1\n");
        struct weir_io_op op;
        weir_io_op_unlink(&op, WEIR_IO_CWD, job.out, 0);
        assert_int_equal(perform(place, &op), 0);
        free_job(&job);
    }
}

static void
t_a_run_that_is_cut_short_leaves_the_old_file(void **state)
{
    struct place *place = *state;
    char *text = new_text(RIG_TEXT_BYTES);
    char *expected = new_text(RIG_TEXT_BYTES);
    many_lines(3000, text, expected);
    struct job job;
    make_job(&job, place, text, "out.csv");
    put_bytes(place, "out.csv", "old\n", 4);
    job.sink.write_bytes = 512;
    for (int turns = 0; turns < 60; turns += 4) {
        struct rig rig;
        rig_open(&rig, place, &job.rig);
        for (int i = 0; i < turns; i++) {
            (void)rig_turn(&rig);
        }
        rig_close(&rig);
        assert_int_equal(weir_io_flying_cnt(place->io), 0);
        assert_file(place, "out.csv", "old\n");
    }
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out.csv", expected);
    free_job(&job);
    free(text);
    free(expected);
}

/* The parts of a directory in the order of their numbers, each checked for its header. */
static void
join_parts(struct place *place, char *to, int *ret_cnt)
{
    *ret_cnt = 0;
    to[0] = '\0';
    for (int i = 0; i < 1000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "out/part-abc-0-%d", i);
        char *text = get_text(place, name);
        if (text == NULL) {
            break;
        }
        assert_memory_equal(text, "text,number\n", 12);
        strcat(to, text + 12);
        ++*ret_cnt;
        free(text);
    }
}

static void
t_a_directory_keeps_parts_that_are_rolled(void **state)
{
    struct place *place = *state;
    char *text = new_text(RIG_TEXT_BYTES);
    char *expected = new_text(RIG_TEXT_BYTES);
    char *joined = new_text(RIG_TEXT_BYTES);
    int part_cnt;
    many_lines(2000, text, expected);
    struct job job;
    make_job(&job, place, text, "out/");
    job.sink.write_bytes = 1000;
    job.sink.roll_bytes = 5000;
    assert_int_equal(run_job(place, &job), 0);
    join_parts(place, joined, &part_cnt);
    assert_string_equal(joined, expected + 12);
    assert_in_range(part_cnt, 4, 10);
    /* Another run adds parts of its own; one by time rolls at every chance. */
    job.sink.run_id = 0xdef;
    job.sink.roll_bytes = 0;
    job.sink.roll_ns = 1;
    assert_int_equal(run_job(place, &job), 0);
    join_parts(place, joined, &part_cnt);
    assert_string_equal(joined, expected + 12);
    char *first = get_text(place, "out/part-def-0-0");
    assert_non_null(first);
    free(first);
    /* No rows: no part. */
    job.sink.run_id = 0x123;
    put_bytes(place, "in", "", 0);
    assert_int_equal(run_job(place, &job), 0);
    assert_file(place, "out/part-123-0-0", NULL);
    assert_file(place, "out/.part-123-0-0", NULL);
    free_job(&job);
    free(text);
    free(expected);
    free(joined);
}

static void
t_a_target_that_cannot_be_is_refused_at_the_start(void **state)
{
    struct place *place = *state;
    struct job job;
    struct weir_io_op op;
    make_job(&job, place, "a\n", "dir");
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, "dir"));
    assert_int_equal(perform(place, &op), 0);
    assert_int_equal(run_job(place, &job), WEIR_ECONFIG);
    assert_non_null(strstr(weir_err_at(0), "is a directory; write "));
    free_job(&job);
    make_job(&job, place, "a\n", "none/f");
    assert_int_equal(run_job(place, &job), WEIR_EIO);
    free_job(&job);
    weir_err_clear();
}

static void
t_a_device_takes_rows_as_they_come(void **state)
{
    struct place *place = *state;
    struct job job;
    make_job(&job, place, "a\nb\n", "-");
    free(job.out);
    job.out = strdup("/dev/null");
    job.sink.path = job.out;
    assert_int_equal(run_job(place, &job), 0);
    assert_int_equal(access("/dev/null.parts", F_OK), -1);
    assert_int_equal(access("/dev/null", W_OK), 0);
    free_job(&job);
    /* /dev/full says at the first write that there is no room. */
    make_job(&job, place, "a\nb\n", "-");
    free(job.out);
    job.out = strdup("/dev/full");
    job.sink.path = job.out;
    assert_int_equal(run_job(place, &job), WEIR_EIO);
    assert_non_null(strstr(weir_err_at(0), "No space left on device"));
    weir_err_clear();
    free_job(&job);
}

static void
t_standard_output_gets_the_rows(void **state)
{
    struct place *place = *state;
    struct job job;
    uint64_t bytes;
    make_job(&job, place, "a\nb\n", "-");
    assert_int_equal(run_job(place, &job), 0);
    const char *text = weir_sim_get(place->world, "/dev/stdout", &bytes);
    assert_int_equal(bytes, 20);
    assert_memory_equal(text, "text,number\na,1\nb,2\n", 20);
    free_job(&job);
}

/* ---- full disks ---- */

static void
t_a_full_disk_keeps_whole_rows_only(void **state)
{
    struct place *place = *state;
    char *text = new_text(RIG_TEXT_BYTES);
    char *expected = new_text(RIG_TEXT_BYTES);
    many_lines(2000, text, expected);
    for (uint64_t room = 0; room < 4000; room += 371) {
        struct weir_sim *world;
        struct weir_sim_config config = {
            .seed = seed(), .short_ppm = 200000, .disk_bytes = strlen(text) + room};
        assert_int_equal(weir_sim_open(&config, &world), 0);
        struct place small = {.kind = WEIR_IO_SIM, .world = world, .dir = ""};
        open_io(&small);
        struct job job;
        make_job(&job, &small, text, "out.csv");
        job.sink.write_bytes = 700;
        assert_int_equal(run_job(&small, &job), WEIR_EIO);
        assert_non_null(strstr(weir_err_at(0), "No space left on device"));
        assert_file(&small, "out.csv", NULL);
        char *part = get_text(&small, "out.csv.parts/part-abc-0");
        assert_non_null(part);
        size_t bytes = strlen(part);
        assert_memory_equal(part, expected, bytes);
        assert_true(bytes == 0 || part[bytes - 1] == '\n');
        assert_true(bytes <= room && bytes + 20 > room);
        free(part);
        free_job(&job);
        weir_io_close(small.io);
        weir_sim_close(world);
    }
    weir_err_clear();
    free(text);
    free(expected);
    (void)place;
}

static void
t_every_step_that_fails_ends_the_run_with_its_cause(void **state)
{
    struct place *place = *state;
    static const enum weir_io_verb verbs[] = {
        WEIR_IO_WRITE, WEIR_IO_SYNC, WEIR_IO_RENAME, WEIR_IO_OPEN, WEIR_IO_LIST, WEIR_IO_CLOSE};
    struct job job;
    make_job(&job, place, "a\nb\n", "out.csv");
    for (size_t v = 0; v < WEIR_ARRAY_CNT(verbs); v++) {
        for (uint32_t skip = 0; skip < 6; skip++) {
            weir_sim_fault(place->world, verbs[v], skip, EIO);
            int err = run_job(place, &job);
            assert_true(err == 0 || err == WEIR_EIO);
            /* A fault that did not strike yet strikes what comes next: let it. */
            struct weir_io_op op;
            for (int i = 0; i < 8; i++) {
                weir_io_op_open(&op, WEIR_IO_CWD, "/", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
                int64_t dir = perform(place, &op);
                if (dir >= 0) {
                    char names[1024];
                    weir_io_op_list(&op, (int32_t)dir, names, sizeof names);
                    (void)perform(place, &op);
                    weir_io_op_sync(&op, (int32_t)dir, 0);
                    (void)perform(place, &op);
                    weir_io_op_close(&op, (int32_t)dir);
                    (void)perform(place, &op);
                }
                weir_io_op_rename(&op, WEIR_IO_CWD, "/none", "/none2", 0);
                (void)perform(place, &op);
                weir_io_op_write(&op, WEIR_IO_STDERR, "x", 1, WEIR_IO_STREAM);
                (void)perform(place, &op);
            }
            /* The answer is there, whole, or not at all. */
            char *text = get_text(place, "out.csv");
            if (text != NULL) {
                assert_string_equal(text, "text,number\na,1\nb,2\n");
            }
            assert_true(err != 0 || text != NULL);
            free(text);
            weir_io_op_unlink(&op, WEIR_IO_CWD, job.out, 0);
            (void)perform(place, &op);
        }
    }
    weir_err_clear();
    free_job(&job);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ON_ALL(t_a_file_appears_whole_at_the_clean_end),
        ON_ALL(t_an_empty_result_is_a_header),
        ON_ALL(t_json_lines_hold_what_csv_must_quote),
        ON_ALL(t_a_row_longer_than_a_write_is_written_alone),
        ON_ALL(t_subtasks_parts_become_one_file),
        ON_ALL(t_subtasks_that_end_together_merge_once),
        ON_ALL(t_a_run_that_is_cut_short_leaves_the_old_file),
        ON_ALL(t_a_directory_keeps_parts_that_are_rolled),
        ON_ALL(t_a_target_that_cannot_be_is_refused_at_the_start),
        ON_HOST(t_a_device_takes_rows_as_they_come),
        ON_SIM(t_standard_output_gets_the_rows),
        ON_SIM(t_a_full_disk_keeps_whole_rows_only),
        ON_SIM(t_every_step_that_fails_ends_the_run_with_its_cause),
    };
    return cmocka_run_group_tests_name("file_sink", tests, NULL, NULL);
}
