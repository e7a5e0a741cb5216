/* SPDX-License-Identifier: Apache-2.0 */
/* Lines read with restarts in between, by as many subtasks as before or others: each line once. */
#include <zstd.h>

#include "base/rng.h"
#include "dataplane/parts.h"
#include "tests/unit/line_rig.h"
#include "tests/unit/seed.h"

enum { SUBTASKS = 4, PARTS_BYTES = 1 << 18 };

struct cast {
    struct place *place;
    struct rig rig[SUBTASKS];
    uint32_t cnt;
    struct weir_lines_conf lines;
    const struct weir_schema *schema;
    struct rig_text rows;
    struct rig_text side;
    struct rig_text *keep[2];
    char *parts[SUBTASKS];
    struct weir_parts_reader reader[SUBTASKS];
    uint32_t batch_rows;
};

static struct cast *
cast_new(struct place *place, const struct weir_lines_conf *lines, const struct weir_schema *schema)
{
    struct cast *cast = calloc(1, sizeof *cast);
    assert_non_null(cast);
    cast->place = place;
    cast->lines = *lines;
    cast->schema = schema;
    cast->keep[0] = &cast->rows;
    cast->keep[1] = &cast->side;
    for (uint32_t i = 0; i < SUBTASKS; i++) {
        cast->parts[i] = calloc(1, PARTS_BYTES);
    }
    return cast;
}

static void
cast_free(struct cast *cast)
{
    for (uint32_t i = 0; i < SUBTASKS; i++) {
        free(cast->parts[i]);
    }
    free(cast);
}

/* Returns the first error of restore. */
static int
come(struct cast *cast, uint32_t cnt)
{
    uint32_t old_cnt = cast->cnt;
    int rc = 0;
    cast->cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        const struct rig_conf conf = {
            .source = cast->lines.on_error == WEIR_ON_ERROR_SIDE ? &weir_lines_side_type
                                                                 : &weir_lines_type,
            .source_conf = &cast->lines,
            .schema = cast->schema,
            .sink = &rig_keep_type,
            .sink_conf = &cast->keep[0],
            .side_conf = &cast->keep[1],
            .subtask_idx = i,
            .subtask_cnt = cnt,
            .batch_rows = cast->batch_rows,
        };
        rig_open(&cast->rig[i], cast->place, &conf);
        assert_int_equal(cast->rig[i].rc, 0);
        if (old_cnt > 0 && rc == 0) {
            struct weir_operator *op = weir_chain_operator(cast->rig[i].chain, 0);
            rc = op->type->restore(op, cast->reader, old_cnt);
        }
    }
    return rc;
}

static void
close_all(struct cast *cast)
{
    for (uint32_t i = 0; i < cast->cnt; i++) {
        rig_close(&cast->rig[i]);
    }
}

/* At a barrier: nothing is unfinished. */
static void
leave(struct cast *cast)
{
    for (uint32_t i = 0; i < cast->cnt; i++) {
        struct weir_operator *op = weir_chain_operator(cast->rig[i].chain, 0);
        struct weir_parts_writer writer;
        size_t bytes;
        while (weir_chain_run(cast->rig[i].chain, 16, cast->place->now_ns) != WEIR_DONE) {
        }
        weir_parts_writer_init(&writer, cast->parts[i], PARTS_BYTES);
        weir_parts_writer_of(&writer, op->uid);
        assert_int_equal(op->type->snapshot(op, 1, &writer), 0);
        assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
        assert_int_equal(weir_parts_reader_init(&cast->reader[i], cast->parts[i], bytes), 0);
        weir_parts_reader_of(&cast->reader[i], op->uid);
    }
    close_all(cast);
}

/* All to their ends; 0 or the first error. */
static int
run_out(struct cast *cast)
{
    int rc = 0;
    for (uint32_t i = 0; i < cast->cnt && rc == 0; i++) {
        rc = rig_run(&cast->rig[i]);
    }
    close_all(cast);
    return rc;
}

static int
line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
sort_lines(struct rig_text *text)
{
    size_t cnt = 0;
    for (size_t i = 0; i < text->bytes; i++) {
        cnt += text->text[i] == '\n';
    }
    char **lines = calloc(cnt + 1, sizeof *lines);
    char *copy = strdup(text->text);
    size_t n = 0;
    for (char *save = NULL, *line = strtok_r(copy, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        lines[n++] = line;
    }
    qsort(lines, n, sizeof *lines, line_order);
    text->bytes = 0;
    text->text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        text->bytes += (size_t)sprintf(text->text + text->bytes, "%s\n", lines[i]);
    }
    free(lines);
    free(copy);
}

/* How much of a line that is too long is told depends on how much of it had come. */
static void
drop_excerpts(struct rig_text *side)
{
    static const char reason[] = "a line of more than 300 bytes";
    char *to = side->text;
    for (const char *from = side->text; *from != '\0';) {
        *to++ = *from;
        if (strncmp(from, reason, sizeof reason - 1) == 0) {
            from = strchr(from, '\n');
        } else {
            from++;
        }
    }
    *to = '\0';
}

/* The rows of a run without restarts are those of runs with some. */
static void
check(struct place *place, const struct weir_lines_conf *lines, const struct weir_schema *schema,
    bool rescales)
{
    uint64_t seed_is = seed_of_run();
    struct cast *want = cast_new(place, lines, schema);
    assert_int_equal(come(want, 1), 0);
    assert_int_equal(run_out(want), 0);
    assert_true(want->rows.bytes > 0);
    drop_excerpts(&want->side);
    for (uint32_t trial = 0; trial < 25; trial++) {
        struct weir_rng rng;
        struct cast *is = cast_new(place, lines, schema);
        weir_rng_init(&rng, seed_is + trial);
        is->batch_rows = (uint32_t)weir_rng_between(&rng, 1, 60);
        uint32_t stage_cnt = (uint32_t)weir_rng_between(&rng, 1, 5);
        for (uint32_t stage = 0; stage <= stage_cnt; stage++) {
            uint32_t cnt = rescales ? (uint32_t)weir_rng_between(&rng, 1, SUBTASKS) : 1;
            assert_int_equal(come(is, cnt), 0);
            for (uint64_t n = weir_rng_below(&rng, 60); n > 0 && stage < stage_cnt; n--) {
                (void)rig_turn(&is->rig[weir_rng_below(&rng, cnt)]);
            }
            if (stage < stage_cnt) {
                leave(is);
            }
        }
        assert_int_equal(run_out(is), 0);
        if (rescales) {
            sort_lines(&is->rows);
            sort_lines(&want->rows);
        }
        assert_true(strcmp(is->rows.text, want->rows.text) == 0);
        drop_excerpts(&is->side);
        assert_string_equal(is->side.text, want->side.text);
        cast_free(is);
    }
    cast_free(want);
}

static void
make_dir(struct place *place, const char *name)
{
    struct weir_io_op op;
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, name));
    assert_int_equal(perform(place, &op), 0);
}

/* Files of many short lines, some blank, some ending without a line feed. */
static size_t
make_lines(struct weir_rng *rng, char *text, uint32_t cnt)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        bytes += (size_t)sprintf(text + bytes, "%llu",
            (unsigned long long)weir_rng_below(rng, UINT64_C(1) << weir_rng_below(rng, 60)));
        bytes += (size_t)sprintf(text + bytes, "%s", weir_rng_chance(rng, 1, 9) ? "\r\n\n" : "\n");
    }
    return bytes - weir_rng_below(rng, 2);
}

static void
t_a_file_is_gone_on_with(void **state)
{
    struct place *place = *state;
    char *text = new_text(200000);
    struct weir_rng rng;
    weir_rng_init(&rng, 7);
    size_t bytes = make_lines(&rng, text, 3000);
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", text, bytes);
    static const uint32_t blocks[] = {100, 4096, 0};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        const struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_text, .block_bytes = blocks[i]};
        check(place, &lines, weir_line_schema(), false);
    }
    free(path);
    free(text);
}

static void
t_a_packed_file_is_gone_on_with(void **state)
{
    struct place *place = *state;
    char *text = new_text(200000);
    char *packed = new_text(200000);
    struct weir_rng rng;
    weir_rng_init(&rng, 8);
    size_t bytes = make_lines(&rng, text, 4000);
    size_t first = ZSTD_compress(packed, 100000, text, bytes / 3, 1);
    size_t second = ZSTD_compress(packed + first, 100000, text + bytes / 3, bytes - bytes / 3, 1);
    char *path = strdup(at(place, "f.zst"));
    put_bytes(place, "f.zst", packed, first + second);
    static const uint32_t blocks[] = {200, 1000, 0};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        const struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_text, .block_bytes = blocks[i]};
        check(place, &lines, weir_line_schema(), false);
    }
    free(path);
    free(text);
    free(packed);
}

/* Plain and packed files in folders; shared anew when the number of subtasks changes. */
static void
t_a_directory_is_gone_on_with(void **state)
{
    struct place *place = *state;
    char *text = new_text(200000);
    char *packed = new_text(200000);
    struct weir_rng rng;
    weir_rng_init(&rng, 9);
    make_dir(place, "d");
    make_dir(place, "d/m");
    for (uint32_t i = 0; i < 9; i++) {
        char name[32];
        size_t bytes = i == 4 ? 0 : make_lines(&rng, text, 50 + 100 * i);
        (void)snprintf(name, sizeof name, i % 2 == 0 ? "d/f%u" : "d/m/f%u", i);
        if (i % 3 == 1 && bytes > 0) {
            bytes = ZSTD_compress(packed, 200000, text, bytes, 1);
        }
        put_bytes(place, name, i % 3 == 1 && bytes > 0 ? packed : text, bytes);
    }
    char *path = strdup(at(place, "d"));
    const struct weir_lines_conf lines = {
        .path = path, .decoder = &weir_decode_text, .block_bytes = 500};
    check(place, &lines, weir_line_schema(), false);
    check(place, &lines, weir_line_schema(), true);
    free(path);
    free(text);
    free(packed);
}

#define CELLS(F) F(i64, a) F(str, b)
WEIR_SCHEMA(cells, CELLS)

/* What a header said is known, cells of many lines count theirs, refused lines and those that are
 * too long go aside once. */
static void
t_csv_is_gone_on_with(void **state)
{
    struct place *place = *state;
    char *text = new_text(300000);
    struct weir_rng rng;
    size_t bytes = 0;
    weir_rng_init(&rng, 10);
    bytes += (size_t)sprintf(text, "\xef\xbb\xbf"
                                   "b,x,a\n");
    for (uint32_t i = 0; i < 1500; i++) {
        switch (weir_rng_below(&rng, 20)) {
        case 0:
            bytes += (size_t)sprintf(text + bytes, "oops,%u,no number\n", i);
            break;
        case 1:
            bytes += (size_t)sprintf(text + bytes, "\"of\nmany %u\n\nlines\",y,%u\n", i, i);
            break;
        case 2:
            memset(text + bytes, 'l', 700);
            bytes += 700;
            text[bytes++] = '\n';
            break;
        default:
            bytes += (size_t)sprintf(text + bytes, "cell %u,,%u\n", i, i);
        }
    }
    put_bytes(place, "f.csv", text, bytes);
    char *path = strdup(at(place, "f.csv"));
    const struct weir_decode_csv_conf csv = {.has_header = true};
    const struct weir_lines_conf lines = {.path = path,
        .decoder = &weir_decode_csv,
        .decoder_conf = &csv,
        .on_error = WEIR_ON_ERROR_SIDE,
        .line_bytes_max = 300,
        .block_bytes = 250};
    check(place, &lines, cells_schema(), false);
    free(path);
    free(text);
}

/* A file that was cut off, or is no longer there, or no longer packed, is named. */
static void
t_a_changed_input_is_refused(void **state)
{
    struct place *place = *state;
    char *text = new_text(200000);
    char *packed = new_text(200000);
    struct weir_rng rng;
    weir_rng_init(&rng, 11);
    size_t bytes = make_lines(&rng, text, 3000);
    char *path = strdup(at(place, "f"));
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const words[] = {"f has 10 bytes", "and is none", "is shorter by"};
        const struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_text, .block_bytes = 1000};
        struct cast *cast = cast_new(place, &lines, weir_line_schema());
        size_t packed_bytes = ZSTD_compress(packed, 200000, text, bytes, 1);
        put_bytes(place, "f", i == 0 ? text : packed, i == 0 ? bytes : packed_bytes);
        assert_int_equal(come(cast, 1), 0);
        while (cast->rows.bytes < 20000) {
            assert_true(rig_turn(&cast->rig[0]));
        }
        leave(cast);
        packed_bytes = ZSTD_compress(packed, 200000, text, 1000, 1);
        put_bytes(place, "f", i == 2 ? packed : text, i == 0 ? 10 : i == 1 ? 5000 : packed_bytes);
        assert_int_equal(come(cast, 1), 0);
        assert_int_equal(run_out(cast), WEIR_EDATA);
        bool found = false;
        for (uint32_t at_depth = 0; weir_err_at(at_depth) != NULL && at_depth < 4; at_depth++) {
            found |= strstr(weir_err_at(at_depth), words[i]) != NULL;
        }
        assert_true(found);
        weir_err_clear();
        cast_free(cast);
    }
    free(path);
    free(text);
    free(packed);
}

static void
t_streams_say_that_they_are_read_once(void **state)
{
    (void)state;
    const struct weir_lines_conf file = {.path = "/some/file"};
    const struct weir_lines_conf in = {.path = "-"};
    const struct weir_lines_conf tcp = {.path = "tcp://localhost:9"};
    assert_true(weir_lines_type.replays(&file));
    assert_false(weir_lines_type.replays(&in));
    assert_false(weir_lines_side_type.replays(&tcp));
}

#define ON_BOTH(test)                                               \
    cmocka_unit_test_setup_teardown(test, set_up_posix, tear_down), \
        cmocka_unit_test_setup_teardown(test, set_up_sim, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(t_a_file_is_gone_on_with),
        ON_BOTH(t_a_packed_file_is_gone_on_with),
        ON_BOTH(t_a_directory_is_gone_on_with),
        ON_BOTH(t_csv_is_gone_on_with),
        ON_BOTH(t_a_changed_input_is_refused),
        cmocka_unit_test(t_streams_say_that_they_are_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
