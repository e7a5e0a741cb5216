/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/operators/lines.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <zstd.h>

#include "tests/unit/line_rig.h"

struct run {
    struct rig_text rows;
    struct rig_text side;
};

static struct run *
new_run(void)
{
    struct run *run = malloc(sizeof *run);
    run->rows.text[0] = '\0';
    run->rows.bytes = 0;
    run->side.text[0] = '\0';
    run->side.bytes = 0;
    return run;
}

static void
fill_conf(struct rig_conf *conf, const struct weir_lines_conf *lines,
    const struct weir_schema *schema, struct rig_text *const *keep)
{
    *conf = (struct rig_conf){
        .source = lines->on_error == WEIR_ON_ERROR_SIDE ? &weir_lines_side_type : &weir_lines_type,
        .source_conf = lines,
        .schema = schema,
        .sink = &rig_keep_type,
        .sink_conf = &keep[0],
        .side_conf = &keep[1],
    };
}

/* Reads all of conf->path; the rows of it are in run. */
static int
read_all(struct place *place, const struct weir_lines_conf *lines, const struct weir_schema *schema,
    struct run *run)
{
    struct rig_text *keep[2] = {&run->rows, &run->side};
    struct rig_conf conf;
    struct rig rig;
    fill_conf(&conf, lines, schema, keep);
    weir_err_clear();
    rig_open(&rig, place, &conf);
    int err = rig_run(&rig);
    rig_close(&rig);
    assert_int_equal(weir_io_flying_cnt(place->io), 0);
    return err;
}

static void
assert_read(struct place *place, const struct weir_lines_conf *lines,
    const struct weir_schema *schema, const char *expected)
{
    struct run *run = new_run();
    int err = read_all(place, lines, schema, run);
    if (err != 0) {
        weir_err_print(stderr, err);
    }
    assert_int_equal(err, 0);
    assert_string_equal(run->rows.text, expected);
    free(run);
}

static void
assert_fails(struct place *place, const struct weir_lines_conf *lines,
    const struct weir_schema *schema, int expected, const char *words)
{
    struct run *run = new_run();
    assert_int_equal(read_all(place, lines, schema, run), expected);
    if (strstr(weir_err_at(0), words) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", words, weir_err_at(0));
        fail();
    }
    weir_err_clear();
    free(run);
}

static void
t_lines_are_cut_the_same_whatever_the_block(void **state)
{
    struct place *place = *state;
    static const uint32_t blocks[] = {1, 2, 7, 64, 1000, 0};
    static const char text[] = "\xef\xbb\xbf"
                               "first\nsecond\r\n\nlonger than twelve\n\r\nlast";
    put_bytes(place, "f", text, sizeof text - 1);
    char *path = strdup(at(place, "f"));
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_text, .block_bytes = blocks[i]};
        assert_read(place, &lines, weir_line_schema(),
            "first,1\nsecond,2\n,3\nlonger than twelve,4\n,5\nlast,6\n");
    }
    put_bytes(place, "f", "", 0);
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_text};
    assert_read(place, &lines, weir_line_schema(), "");
    put_bytes(place, "f", "\n", 1);
    assert_read(place, &lines, weir_line_schema(), ",1\n");
    free(path);
}

static void
t_many_lines_come_in_order(void **state)
{
    struct place *place = *state;
    char *text = new_text(RIG_TEXT_BYTES);
    char *expected = new_text(RIG_TEXT_BYTES);
    size_t bytes = 0;
    size_t expected_bytes = 0;
    for (int i = 1; i <= 20000; i++) {
        int n = snprintf(text + bytes, 64, "line %d %.*s\n", i, i % 23, "abcdefghijklmnopqrstuvw");
        expected_bytes +=
            (size_t)snprintf(expected + expected_bytes, 64, "%.*s,%d\n", n - 1, text + bytes, i);
        bytes += (size_t)n;
    }
    put_bytes(place, "f", text, bytes);
    char *path = strdup(at(place, "f"));
    struct weir_lines_conf lines = {
        .path = path, .decoder = &weir_decode_text, .block_bytes = 4096};
    assert_read(place, &lines, weir_line_schema(), expected);
    free(path);
    free(text);
    free(expected);
}

static void
make_dir(struct place *place, const char *name)
{
    struct weir_io_op op;
    weir_io_op_mkdir(&op, WEIR_IO_CWD, at(place, name));
    assert_int_equal(perform(place, &op), 0);
}

static void
t_a_directory_is_read_in_the_order_of_its_paths(void **state)
{
    struct place *place = *state;
    make_dir(place, "d");
    make_dir(place, "d/m");
    make_dir(place, "d/empty");
    put_bytes(place, "d/z", "z1\nz2", 5);
    put_bytes(place, "d/a", "a1\n", 3);
    put_bytes(place, "d/m/q", "q1\n", 3);
    put_bytes(place, "d/m/.hidden", "no\n", 3);
    char *path = strdup(at(place, "d"));
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_text};
    assert_read(place, &lines, weir_line_schema(), "a1,1\nq1,1\nz1,1\nz2,2\n");
    /* Two subtasks share the files. */
    static const char *const shares[] = {"a1,1\nz1,1\nz2,2\n", "q1,1\n"};
    for (uint32_t i = 0; i < 2; i++) {
        struct run *run = new_run();
        struct rig_text *keep[2] = {&run->rows, &run->side};
        struct rig_conf conf;
        struct rig rig;
        fill_conf(&conf, &lines, weir_line_schema(), keep);
        conf.subtask_idx = i;
        conf.subtask_cnt = 2;
        rig_open(&rig, place, &conf);
        assert_int_equal(rig_run(&rig), 0);
        rig_close(&rig);
        assert_string_equal(run->rows.text, shares[i]);
        free(run);
    }
    lines.refuse_directory = true;
    assert_fails(place, &lines, weir_line_schema(), WEIR_ENOINPUT, "Is a directory");
    free(path);
}

static void
t_an_input_that_is_not_there_is_named(void **state)
{
    struct place *place = *state;
    char *path = strdup(at(place, "none"));
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_text};
    assert_fails(place, &lines, weir_line_schema(), WEIR_ENOINPUT, "none: No such file");
    free(path);
}

static void
t_packed_files_are_known_by_their_bytes(void **state)
{
    struct place *place = *state;
    char *text = new_text(400000);
    char *packed = new_text(500000);
    char *expected = new_text(RIG_TEXT_BYTES);
    size_t bytes = 0;
    size_t expected_bytes = 0;
    for (int i = 1; i <= 30000; i++) {
        int n = snprintf(text + bytes, 32, "%d\n", i * 7);
        bytes += (size_t)n;
        expected_bytes += (size_t)snprintf(expected + expected_bytes, 32, "%d,%d\n", i * 7, i);
    }
    size_t half = bytes / 2;
    size_t first = ZSTD_compress(packed, 250000, text, half, 1);
    size_t second = ZSTD_compress(packed + first, 250000, text + half, bytes - half, 1);
    assert_false(ZSTD_isError(first) || ZSTD_isError(second));
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", packed, first + second);
    static const uint32_t blocks[] = {3, 1000, 0};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_text, .block_bytes = blocks[i]};
        if (blocks[i] != 3 || place->kind == WEIR_IO_SIM) { /* many calls: where they are cheap */
            assert_read(place, &lines, weir_line_schema(), expected);
        }
    }
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_text};
    put_bytes(place, "f", packed, first + second - 5);
    assert_fails(place, &lines, weir_line_schema(), WEIR_EDATA, "zstd file is cut");
    packed[first] ^= 0x55; /* the second frame's magic */
    put_bytes(place, "f", packed, first + second);
    assert_fails(place, &lines, weir_line_schema(), WEIR_EDATA, "zstd");
    free(path);
    free(text);
    free(packed);
    free(expected);
}

static void
t_a_rate_lets_no_line_go_before_its_time(void **state)
{
    struct place *place = *state;
    enum { CNT = 300, RATE = 20000 };
    char *text = new_text(CNT * 4);
    for (int i = 0; i < CNT; i++) {
        memcpy(text + (size_t)i * 4, i % 7 == 3 ? "\"xx\n" : "abc\n", 4);
    }
    put_bytes(place, "f", text, CNT * 4);
    struct weir_lines_conf lines = {
        .path = at(place, "f"), .decoder = &weir_decode_text, .rate = RATE};
    struct run *run = new_run();
    struct rig_text *keep[2] = {&run->rows, &run->side};
    struct rig_conf conf;
    struct rig rig;
    fill_conf(&conf, &lines, weir_line_schema(), keep);
    rig_open(&rig, place, &conf);
    int64_t start_ns = place->now_ns;
    size_t at = 0;
    uint64_t row_cnt = 0;
    while (rig_turn(&rig)) {
        for (; at < run->rows.bytes; at++) {
            row_cnt += run->rows.text[at] == '\n';
        }
        uint64_t since_ns = (uint64_t)(place->now_ns - start_ns);
        assert_in_range(row_cnt, 0, since_ns * RATE / (uint64_t)WEIR_SEC_NS + 1);
    }
    rig_close(&rig);
    assert_int_equal(rig.rc < 0 ? rig.rc : 0, 0);
    assert_int_equal(row_cnt, CNT);
    free(run);
    free(text);
}

static void
t_a_line_beyond_the_limit_is_refused_or_dropped(void **state)
{
    struct place *place = *state;
    enum { LONG = 300000 };
    char *text = new_text(LONG + 100);
    char *path = strdup(at(place, "f"));
    size_t head = strlen("one\n");
    memcpy(text, "one\n", head);
    memset(text + head, 'x', LONG);
    size_t bytes = head + LONG;
    bytes += (size_t)sprintf(text + bytes, "\nthree\n0123456789\n0123456789a\n");
    put_bytes(place, "f", text, bytes);
    struct weir_lines_conf lines = {
        .path = path, .decoder = &weir_decode_text, .line_bytes_max = 10, .block_bytes = 4096};
    assert_fails(
        place, &lines, weir_line_schema(), WEIR_EDATA, "f:2: a line of more than 10 bytes");
    struct weir_lines_samples samples = {0};
    lines.on_error = WEIR_ON_ERROR_SKIP;
    lines.samples = &samples;
    lines.sample_cnt = 1;
    assert_read(place, &lines, weir_line_schema(), "one,1\nthree,3\n0123456789,4\n");
    assert_int_equal(samples.cnt, 2);
    assert_non_null(strstr(samples.text[1], "f:5: a line of more than 10 bytes: 0123456789a"));
    /* At the end of the file, and with a limit that lets it through. */
    put_bytes(place, "f", text, head + LONG);
    assert_read(place, &lines, weir_line_schema(), "one,1\n");
    lines.line_bytes_max = LONG;
    struct run *run = new_run();
    assert_int_equal(read_all(place, &lines, weir_line_schema(), run), 0);
    assert_int_equal(run->rows.bytes, head + 2 + LONG + 3);
    free(run);
    free(path);
    free(text);
}

#define ALL_TYPES(F) \
    F(bool, flag) F(i32, small) F(i64, big) F(f64, real) F(str, name) F(ts, at) F(dec3, price)
WEIR_SCHEMA(all_types, ALL_TYPES)

static void
t_json_lines_become_rows(void **state)
{
    struct place *place = *state;
    static const char text[] =
        "{\"flag\":true,\"small\":-5,\"big\":9007199254740993,\"real\":1.5,\"name\":\"ann\","
        "\"at\":1000,\"price\":3.25}\n"
        "\n"
        " { \"price\" : -0.001, \"unknown\" : [1,{\"x\":null}], \"at\" : \"1970-01-01 00:00:02.5\","
        " \"n\\u0061me\" : \"a \\\"quoted\\\" caf\\u00e9 \\ud83d\\ude00\", \"real\" : -2e3,"
        " \"big\" : 1, \"small\" : 7, \"big\" : -9223372036854775808, \"flag\" : false } \r\n"
        "{\"flag\":false,\"small\":0,\"big\":0,\"real\":0.1,\"name\":\"\",\"at\":0,\"price\":7}";
    static const char expected[] =
        "true,-5,9007199254740993,1.5,ann,1000,3.250\n"
        "false,7,-9223372036854775808,-2000,\"a \"\"quoted\"\" caf\xc3\xa9 \xf0\x9f\x98\x80\",2500,"
        "-0.001\n"
        "false,0,0,0.1,,0,7.000\n";
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", text, sizeof text - 1);
    static const uint32_t blocks[] = {5, 50, 0};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_json, .block_bytes = blocks[i]};
        assert_read(place, &lines, all_types_schema(), expected);
    }
    free(path);
}

#define TWO(F) F(i64, id) F(str, name)
WEIR_SCHEMA(two, TWO)

static void
t_bad_json_names_file_line_column_and_text(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"{\"id\":1,\"name\":\"a\"}\n{\"id\":x}\n", "f:2:7: "},
        {"{\"id\":1.5,\"name\":\"a\"}", "f:1:"},
        {"{\"id\":1}", "member name is missing: {\"id\":1}"},
        {"{\"id\":null,\"name\":\"a\"}", "f:1:7: id is null and may not be"},
        {"{\"id\":1,\"name\":\"a\"} x", "f:1:"},
        {"{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"na", "f:2:"},
        {"[1]", "f:1:1: "},
        {"{\"id\":1,\"name\":5}", "f:1:"},
    };
    char *path = strdup(at(place, "f"));
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_json};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        put_bytes(place, "f", rows[i].text, strlen(rows[i].text));
        assert_fails(place, &lines, two_schema(), WEIR_EDATA, rows[i].words);
    }
    free(path);
}

static void
t_bad_lines_are_skipped_or_go_to_the_side(void **state)
{
    struct place *place = *state;
    static const char text[] = "{\"id\":1,\"name\":\"a\"}\nrubbish\n{\"id\":2}\n"
                               "{\"id\":3,\"name\":\"c\\n\"}\nmore, \"rubbish\"\n";
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", text, sizeof text - 1);
    struct weir_lines_samples samples = {0};
    struct weir_lines_conf lines = {.path = path,
        .decoder = &weir_decode_json,
        .on_error = WEIR_ON_ERROR_SKIP,
        .samples = &samples,
        .sample_cnt = 1};
    assert_read(place, &lines, two_schema(), "1,a\n3,\"c\n\"\n");
    assert_int_equal(samples.cnt, 3);
    assert_non_null(strstr(samples.text[0], "f:2:1: "));
    assert_non_null(strstr(samples.text[0], ": rubbish"));
    lines.on_error = WEIR_ON_ERROR_SIDE;
    struct run *run = new_run();
    assert_int_equal(read_all(place, &lines, two_schema(), run), 0);
    assert_string_equal(run->rows.text, "1,a\n3,\"c\n\"\n");
    assert_non_null(strstr(run->side.text, "f,2,1,"));
    assert_non_null(strstr(run->side.text, ",rubbish,7\n"));
    assert_non_null(strstr(run->side.text, "f,5,1,"));
    assert_non_null(strstr(run->side.text, ",\"more, \"\"rubbish\"\"\",15\n"));
    free(run);
    free(path);
}

/* As a pipeline in YAML declares it: nullable, by an own descriptor. */
static const struct weir_field nullable_fields[] = {
    {"id", WEIR_TYPE_I64, 0, 8, 8, false},
    {"name", WEIR_TYPE_STR, 0, 16, 16, true},
    {"score", WEIR_TYPE_F64, 0, 32, 8, true},
};
static const struct weir_schema nullable_schema = {.name = "nullable",
    .fields = nullable_fields,
    .field_cnt = 3,
    .row_bytes = 40,
    .time_idx = -1,
    .has_nulls = true};

static void
t_csv_follows_rfc_4180(void **state)
{
    struct place *place = *state;
    static const char text[] = "name,skipped,\"id\",score\r\n"
                               "ann,x,1,1.5\r\n"
                               "\"b, \"\"the\"\"\nsecond\",\"y\nz\",+002,\n"
                               "\"\",,3, -2e1 \n"
                               "\n"
                               "it is 5\" long,q,4,0\n"
                               ",r,5,7";
    static const char expected[] = "1,ann,1.5\n2,\"b, \"\"the\"\"\nsecond\",\n3,\"\",-20\n"
                                   "4,\"it is 5\"\" long\",0\n5,,7\n";
    static const struct weir_decode_csv_conf csv = {.has_header = true};
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", text, sizeof text - 1);
    static const uint32_t blocks[] = {1, 6, 17, 0};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(blocks); i++) {
        struct weir_lines_conf lines = {.path = path,
            .decoder = &weir_decode_csv,
            .decoder_conf = &csv,
            .block_bytes = blocks[i]};
        assert_read(place, &lines, &nullable_schema, expected);
    }
    free(path);
}

/* A quoted cell of many blocks: it must be read on although the buffer holds enough already. */
static void
t_a_line_of_many_blocks_is_read_to_its_end(void **state)
{
    struct place *place = *state;
    enum { LONG = 100000 };
    char *text = new_text(LONG + 100);
    char *expected = new_text(LONG + 100);
    memset(text, 'n', LONG + 100);
    memcpy(text, "1,\"", 3);
    for (int i = 100; i < LONG; i += 100) {
        text[i] = '\n';
    }
    memcpy(text + LONG, "\"\n2,b\n", 7);
    size_t bytes = LONG + 6;
    char *path = strdup(at(place, "f"));
    put_bytes(place, "f", text, bytes);
    (void)sprintf(expected, "%.*s", (int)bytes, text);
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_csv, .block_bytes = 1000};
    assert_read(place, &lines, two_schema(), expected);
    free(path);
    free(text);
    free(expected);
}

static void
t_bad_csv_names_file_line_column_and_text(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *text;
        const char *words;
        bool has_header;
    } rows[] = {
        {"1,a\n2\n", "f:2: 1 cells, where 2 are due: 2", false},
        {"1,a\n2,b,c\n", "f:2: 3 cells, where 2 are due", false},
        {"1,a\nx,b\n", "f:2:1: column id: ", false},
        {"1,\"a\nb\"\n\n9223372036854775808,b\n", "f:4:1: column id: ", false},
        {"1,\"a\"b\n", "f:1:6: text behind a closing quote", false},
        {"1,\"a\n", "f:1:3: a quote is not closed", false},
        {"id,other\n1,a\n", "f:1: the header has no column name", true},
    };
    char *path = strdup(at(place, "f"));
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        struct weir_decode_csv_conf csv = {.has_header = rows[i].has_header};
        struct weir_lines_conf lines = {
            .path = path, .decoder = &weir_decode_csv, .decoder_conf = &csv};
        put_bytes(place, "f", rows[i].text, strlen(rows[i].text));
        assert_fails(place, &lines, two_schema(), WEIR_EDATA, rows[i].words);
    }
    free(path);
}

/* ---- sockets ---- */

/* Runs the rig until op is done; the rig may end meanwhile. */
static void
run_until(struct rig *rig, struct weir_io_op *op)
{
    for (int i = 0; i < ROUND_CNT_MAX && op->state != WEIR_IO_DONE; i++) {
        if (!rig_turn(rig)) {
            step(rig->place);
        }
    }
    assert_int_equal(op->state, WEIR_IO_DONE);
    assert_true(op->result >= 0);
}

static void
send_and_close(struct rig *rig, int32_t listener, const char *text)
{
    struct weir_io_op op;
    weir_io_op_accept(&op, listener);
    assert_true(weir_io_submit(rig->place->io, &op));
    run_until(rig, &op);
    int32_t peer = (int32_t)op.result;
    weir_io_op_send(&op, peer, text, strlen(text));
    op.flags = WEIR_IO_WHOLE;
    assert_true(weir_io_submit(rig->place->io, &op));
    run_until(rig, &op);
    weir_io_op_close(&op, peer);
    assert_true(weir_io_submit(rig->place->io, &op));
    run_until(rig, &op);
}

/* A source of lines that come to a listener of the test's own. */
struct socket_input {
    int32_t listener;
    char path[64];
    struct run *run;
    struct rig_text *keep[2];
    struct weir_lines_conf lines;
    struct rig_conf conf;
};

static void
socket_input_open(struct socket_input *in, struct place *place)
{
    struct weir_io_op listen;
    memset(in, 0, sizeof *in);
    weir_io_op_listen(&listen, "127.0.0.1:0");
    in->listener = (int32_t)perform(place, &listen);
    (void)snprintf(in->path, sizeof in->path, "tcp://127.0.0.1:%u", listen.port);
    in->run = new_run();
    in->keep[0] = &in->run->rows;
    in->keep[1] = &in->run->side;
    in->lines.path = in->path;
    in->lines.decoder = &weir_decode_text;
    fill_conf(&in->conf, &in->lines, weir_line_schema(), in->keep);
}

static void
t_a_socket_is_read_until_its_peer_closes(void **state)
{
    struct place *place = *state;
    struct socket_input in;
    struct rig rig;
    socket_input_open(&in, place);
    rig_open(&rig, place, &in.conf);
    send_and_close(&rig, in.listener, "one\ntwo");
    assert_int_equal(rig_run(&rig), 0);
    rig_close(&rig);
    assert_string_equal(in.run->rows.text, "one,1\ntwo,2\n");
    /* Two connections in a row where reconnecting is asked for, then nobody listens any more. */
    in.lines.reconnect_cnt = 2;
    in.lines.reconnect_delay_ns = WEIR_US;
    in.run->rows.bytes = 0;
    rig_open(&rig, place, &in.conf);
    send_and_close(&rig, in.listener, "a\n");
    send_and_close(&rig, in.listener, "b\n");
    close_file(place, in.listener);
    assert_int_equal(rig_run(&rig), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(weir_err_at(0), "connect to 127.0.0.1"));
    weir_err_clear();
    rig_close(&rig);
    assert_string_equal(in.run->rows.text, "a,1\nb,2\n");
    free(in.run);
}

static void
t_a_refused_socket_and_an_early_end_leave_nothing_behind(void **state)
{
    struct place *place = *state;
    struct socket_input in;
    struct rig rig;
    socket_input_open(&in, place);
    for (int turns = 0; turns < 40; turns += 3) {
        rig_open(&rig, place, &in.conf);
        for (int i = 0; i < turns; i++) {
            (void)rig_turn(&rig);
        }
        rig_close(&rig); /* canceled wherever it stands */
        assert_int_equal(weir_io_flying_cnt(place->io), 0);
    }
    close_file(place, in.listener);
    assert_fails(place, &in.lines, weir_line_schema(), WEIR_EUNAVAILABLE, "Connection refused");
    free(in.run);
}

static void
t_standard_input_is_a_stream(void **state)
{
    struct place *place = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(0);
    assert_int_equal(dup2(ends[0], 0), 0);
    assert_int_equal(write(ends[1], "from\nstdin\n", 11), 11);
    assert_int_equal(close(ends[1]), 0);
    struct weir_lines_conf lines = {.path = "-", .decoder = &weir_decode_text};
    assert_read(place, &lines, weir_line_schema(), "from,1\nstdin,2\n");
    assert_int_equal(dup2(saved, 0), 0);
    assert_int_equal(close(saved) | close(ends[0]), 0);
}

static void
t_a_failing_device_is_an_error_of_the_source(void **state)
{
    struct place *place = *state;
    put_bytes(place, "f", "a\nb\n", 4);
    char *path = strdup(at(place, "f"));
    struct weir_lines_conf lines = {.path = path, .decoder = &weir_decode_text, .block_bytes = 2};
    weir_sim_fault(place->world, WEIR_IO_READ, 1, EIO);
    assert_fails(place, &lines, weir_line_schema(), WEIR_EIO, "Input/output error");
    weir_sim_fault(place->world, WEIR_IO_OPEN, 0, EMFILE);
    assert_fails(place, &lines, weir_line_schema(), WEIR_ESYS, "Too many open files");
    weir_sim_deny(place->world, path);
    assert_fails(place, &lines, weir_line_schema(), WEIR_EPERM, "Permission denied");
    free(path);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ON_ALL(t_lines_are_cut_the_same_whatever_the_block),
        ON_ALL(t_many_lines_come_in_order),
        ON_ALL(t_a_directory_is_read_in_the_order_of_its_paths),
        ON_ALL(t_an_input_that_is_not_there_is_named),
        ON_ALL(t_packed_files_are_known_by_their_bytes),
        ON_ALL(t_a_line_beyond_the_limit_is_refused_or_dropped),
        ON_ALL(t_a_rate_lets_no_line_go_before_its_time),
        ON_ALL(t_json_lines_become_rows),
        ON_ALL(t_bad_json_names_file_line_column_and_text),
        ON_ALL(t_bad_lines_are_skipped_or_go_to_the_side),
        ON_ALL(t_csv_follows_rfc_4180),
        ON_ALL(t_a_line_of_many_blocks_is_read_to_its_end),
        ON_ALL(t_bad_csv_names_file_line_column_and_text),
        ON_ALL(t_a_socket_is_read_until_its_peer_closes),
        ON_ALL(t_a_refused_socket_and_an_early_end_leave_nothing_behind),
        ON_HOST(t_standard_input_is_a_stream),
        ON_SIM(t_a_failing_device_is_an_error_of_the_source),
    };
    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
