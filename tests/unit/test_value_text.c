/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/value_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dataplane/decode.h"
#include "dataplane/format.h"
#include "tests/unit/test.h"

#define ROUND_CNT 20000

static const struct weir_field kinds[] = {
    {"flag", WEIR_TYPE_BOOL, 0, 0, 1, false},
    {"small", WEIR_TYPE_I32, 0, 0, 4, false},
    {"big", WEIR_TYPE_I64, 0, 0, 8, false},
    {"real", WEIR_TYPE_F64, 0, 0, 8, false},
    {"at", WEIR_TYPE_TS, 0, 0, 8, false},
    {"time", WEIR_TYPE_TIME, 0, 0, 8, false},
    {"price", WEIR_TYPE_DEC, 3, 0, 8, false},
    {"whole", WEIR_TYPE_DEC, 0, 0, 8, false},
    {"fine", WEIR_TYPE_DEC, 18, 0, 8, false},
};
enum { BOOL, I32, I64, F64, TS, TIME, DEC3, DEC0, DEC18 };

static uint64_t
seed(void)
{
    const char *text = getenv("WEIR_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 1;
}

static void
assert_text(int field, const void *value, const char *expected)
{
    char text[WEIR_VALUE_TEXT_BYTES_MAX + 1];
    uint32_t bytes = weir_value_print(&kinds[field], value, text);
    assert_in_range(bytes, 1, WEIR_VALUE_TEXT_BYTES_MAX);
    text[bytes] = '\0';
    assert_string_equal(text, expected);
}

static void
assert_i64_text(int field, int64_t value, const char *expected)
{
    assert_text(field, &value, expected);
}

static void
t_values_are_printed_as_people_write_them(void **state)
{
    (void)state;
    assert_i64_text(I64, 0, "0");
    assert_i64_text(I64, -7, "-7");
    assert_i64_text(I64, 100, "100");
    assert_i64_text(I64, INT64_MAX, "9223372036854775807");
    assert_i64_text(I64, INT64_MIN, "-9223372036854775808");
    assert_i64_text(TS, -1, "-1");
    assert_i64_text(DEC3, 0, "0.000");
    assert_i64_text(DEC3, -1, "-0.001");
    assert_i64_text(DEC3, 12345, "12.345");
    assert_i64_text(DEC3, INT64_MIN, "-9223372036854775.808");
    assert_i64_text(DEC0, -12, "-12");
    assert_i64_text(DEC18, 1, "0.000000000000000001");
    assert_text(BOOL, &(uint8_t){1}, "true");
    assert_text(BOOL, &(uint8_t){0}, "false");
    assert_text(I32, &(int32_t){INT32_MIN}, "-2147483648");
    assert_text(F64, &(double){0.1}, "0.1");
    assert_text(F64, &(double){1.0 / 3}, "0.3333333333333333");
    assert_text(F64, &(double){5e-324}, "4.94065645841247e-324");
    assert_text(F64, &(double){-HUGE_VAL}, "-inf");
    assert_text(F64, &(double){1e300}, "1e+300");
}

/* What a value reads back as from its own text, for CSV and for JSON. */
static void
assert_back(int field, const void *value)
{
    const struct weir_field *f = &kinds[field];
    char text[WEIR_VALUE_TEXT_BYTES_MAX + WEIR_JSON_SLACK_BYTES] = "";
    char csv[8] = {0};
    char json_value[8] = {0};
    struct weir_json json;
    uint32_t bytes = weir_value_print(f, value, text);
    assert_null(weir_value_parse(f, text, bytes, csv));
    assert_memory_equal(csv, value, f->bytes);
    weir_json_init(&json, text, bytes, 0);
    assert_int_equal(weir_value_read_json(f, &json, json_value), 0);
    assert_int_equal(weir_json_end(&json), 0);
    assert_memory_equal(json_value, value, f->bytes);
}

static void
t_random_values_read_back_as_they_were(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, seed());
    print_message("seed %llu\n", (unsigned long long)seed());
    static const int wide[] = {I64, TS, TIME, DEC3, DEC0, DEC18};
    for (int i = 0; i < ROUND_CNT; i++) {
        int64_t number = (int64_t)(weir_rng_u64(&rng) >> weir_rng_below(&rng, 64));
        number = weir_rng_chance(&rng, 1, 2) ? number : (int64_t)(0 - (uint64_t)number);
        assert_back(wide[weir_rng_below(&rng, WEIR_ARRAY_CNT(wide))], &number);
        assert_back(I32, &(int32_t){(int32_t)number});
        assert_back(BOOL, &(uint8_t){(uint8_t)(number & 1)});
        double real;
        uint64_t bits = weir_rng_u64(&rng);
        memcpy(&real, &bits, sizeof real);
        if (isfinite(real)) {
            assert_back(F64, &real);
        }
        assert_back(F64, &(double){(double)number / 1000});
    }
}

static void
t_texts_that_are_no_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        int field;
        const char *text;
        bool is_good;
    } rows[] = {
        {I64, "", false},
        {I64, "-", false},
        {I64, "+", false},
        {I64, "1x", false},
        {I64, " 12 ", true},
        {I64, "+5", true},
        {I64, "007", true},
        {I64, "1.5", false},
        {I64, "9223372036854775808", false},
        {I64, "-9223372036854775808", true},
        {I64, "0x10", false},
        {I64, "1 2", false},
        {I64, "00000000000000000000012", true},
        {I32, "2147483648", false},
        {I32, "-2147483648", true},
        {I32, "12", true},
        {F64, "1e5", true},
        {F64, "1e400", false},
        {F64, "nanx", false},
        {F64, ".5", false},
        {F64, "-0.25", true},
        {DEC3, "1.2345", false},
        {DEC3, "-1.2", true},
        {DEC3, "5", true},
        {DEC0, "1.5", false},
        {BOOL, "true", true},
        {BOOL, "0", true},
        {BOOL, "yes", false},
        {BOOL, "", false},
        {TS, "2024-01-01 00:00:00", true},
        {TS, "2024-13-01 00:00:00", false},
        {TS, "1704067200000", true},
        {TIME, "now", false},
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        char value[8];
        memset(value, 0x5a, sizeof value);
        const char *what =
            weir_value_parse(&kinds[rows[i].field], rows[i].text, strlen(rows[i].text), value);
        if ((what == NULL) != rows[i].is_good) {
            fail_msg("\"%s\": %s", rows[i].text, what != NULL ? what : "was taken");
        }
        for (size_t k = 0; what != NULL && k < sizeof value; k++) {
            assert_int_equal(value[k], 0x5a); /* outputs are written on success only */
        }
    }
    char number[600];
    int64_t value = 3;
    memset(number, '1', sizeof number);
    assert_non_null(weir_value_parse(&kinds[I64], number, sizeof number, (char *)&value));
    assert_int_equal(value, 3);
    weir_err_clear();
}

/* ---- rows through a format and back ---- */

#define MIXED(F) F(str, a) F(i64, n) F(str, b) F(f64, x) F(bool, yes) F(dec3, d) F(time, at)
WEIR_SCHEMA(mixed, MIXED)
enum { ROW_CNT = 200, TEXT_BYTES = 40 };

/* Texts of bytes that formats have to mind. */
static struct weir_str
random_text(struct weir_rng *rng, char *heap, uint32_t *heap_used)
{
    static const char *const parts[] = {"a", "bc", ",", "\"", "\n", "\r\n", "\\", " ", "\x01",
        "caf\xc3\xa9", "\xf0\x9f\x98\x80", "'"};
    char *text = heap + *heap_used;
    uint32_t bytes = 0;
    for (uint64_t i = weir_rng_below(rng, 9); i > 0; i--) {
        const char *part = parts[weir_rng_below(rng, WEIR_ARRAY_CNT(parts))];
        memcpy(text + bytes, part, strlen(part));
        bytes += (uint32_t)strlen(part);
    }
    *heap_used += bytes;
    return weir_str_ref(heap, text, bytes);
}

static void
assert_same_text(
    const struct weir_str *a, const char *a_heap, const struct weir_str *b, const char *b_heap)
{
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(weir_str_slice(a, a_heap).ptr, weir_str_slice(b, b_heap).ptr, a->bytes);
}

/* Lines of `text` as a source would cut them; quoted line feeds belong to the line. */
static uint32_t
cut(const struct weir_decoder_type *decoder, const void *mem, char *text, size_t bytes,
    struct weir_decode_line *lines)
{
    uint32_t cnt = 0;
    for (char *at = text; at < text + bytes;) {
        char *end = decoder->quoted_end != NULL ? decoder->quoted_end(mem, at, text + bytes)
                                                : memchr(at, '\n', bytes);
        lines[cnt].text = at;
        lines[cnt].bytes = (uint32_t)(end - at);
        lines[cnt].slack = 0;
        lines[cnt].number = cnt + 1;
        cnt++;
        at = end + 1;
    }
    return cnt;
}

static void
round_trip(enum weir_format format, const struct weir_decoder_type *decoder, struct weir_rng *rng)
{
    static struct mixed rows[ROW_CNT];
    static struct mixed back[ROW_CNT];
    static char heap[ROW_CNT * 2 * TEXT_BYTES];
    static char text[ROW_CNT * 700];
    static struct weir_decode_line lines[ROW_CNT];
    uint32_t heap_used = 0;
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        rows[i].a = random_text(rng, heap, &heap_used);
        rows[i].b = random_text(rng, heap, &heap_used);
        rows[i].n = (int64_t)weir_rng_u64(rng);
        rows[i].x = weir_rng_unit(rng);
        rows[i].yes = weir_rng_chance(rng, 1, 2);
        rows[i].d = (int64_t)weir_rng_below(rng, 1000000) - 500000;
        rows[i].at = (int64_t)weir_rng_below(rng, 1 << 30);
    }
    struct weir_view view = {.schema = mixed_schema(),
        .rows = (char *)rows,
        .stride = sizeof rows[0],
        .cnt = ROW_CNT,
        .row_cnt = ROW_CNT,
        .heap = heap};
    struct weir_formatted made = weir_format_rows(format, &view, 0, text, sizeof text);
    assert_int_equal(made.row_cnt, ROW_CNT);
    void *mem = calloc(1, decoder->self_bytes);
    assert_int_equal(decoder->open(mem, NULL, mixed_schema()), 0);
    struct weir_decode_lines in = {.line = lines, .heap = text};
    in.cnt = cut(decoder, mem, text, made.bytes, lines);
    assert_int_equal(in.cnt, ROW_CNT);
    struct weir_out out = {.row_cap = ROW_CNT, .heap_end = sizeof back, .base = (char *)back};
    out.view = (struct weir_view){
        .schema = mixed_schema(), .rows = (char *)back, .stride = sizeof back[0], .heap = text};
    struct weir_decode_fault fault = {.what = NULL};
    assert_int_equal(decoder->decode(mem, &in, &out, &fault), ROW_CNT);
    assert_null(fault.what);
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        assert_same_text(&rows[i].a, heap, &back[i].a, text);
        assert_same_text(&rows[i].b, heap, &back[i].b, text);
        assert_int_equal(rows[i].n, back[i].n);
        assert_memory_equal(&rows[i].x, &back[i].x, sizeof rows[i].x);
        assert_int_equal(rows[i].yes, back[i].yes);
        assert_int_equal(rows[i].d, back[i].d);
        assert_int_equal(rows[i].at, back[i].at);
    }
    free(mem);
}

static void
t_random_rows_read_back_from_csv_and_json(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, seed());
    for (int i = 0; i < 20; i++) {
        round_trip(WEIR_FORMAT_CSV, &weir_decode_csv, &rng);
        round_trip(WEIR_FORMAT_JSON, &weir_decode_json, &rng);
    }
}

static void
t_rows_stop_where_the_room_may_end(void **state)
{
    (void)state;
    struct weir_line rows[3];
    char heap[100];
    char text[1000];
    memset(heap, 'h', sizeof heap);
    for (int i = 0; i < 3; i++) {
        rows[i].text = weir_str_ref(heap, heap, 100);
        rows[i].number = i;
    }
    struct weir_view view = {.schema = weir_line_schema(),
        .rows = (char *)rows,
        .stride = sizeof rows[0],
        .cnt = 3,
        .row_cnt = 3,
        .heap = heap};
    struct weir_formatted made = weir_format_rows(WEIR_FORMAT_CSV, &view, 0, text, sizeof text);
    assert_int_equal(made.row_cnt, 3);
    assert_int_equal(made.bytes, 3 * 103);
    assert_int_equal(made.wanted_bytes, 0);
    made = weir_format_rows(WEIR_FORMAT_CSV, &view, 1, text, 100);
    assert_int_equal(made.row_cnt, 0);
    assert_true(made.wanted_bytes > 200);
    made = weir_format_rows(WEIR_FORMAT_CSV, &view, 1, text, made.wanted_bytes);
    assert_int_equal(made.row_cnt, 1);
    assert_true(weir_format_header(WEIR_FORMAT_CSV, weir_line_schema(), text, 3) > 3);
    assert_int_equal(weir_format_header(WEIR_FORMAT_JSON, weir_line_schema(), text, 3), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_values_are_printed_as_people_write_them),
        cmocka_unit_test(t_random_values_read_back_as_they_were),
        cmocka_unit_test(t_texts_that_are_no_values_are_refused),
        cmocka_unit_test(t_random_rows_read_back_from_csv_and_json),
        cmocka_unit_test(t_rows_stop_where_the_room_may_end),
    };
    return cmocka_run_group_tests_name("value_text", tests, NULL, NULL);
}
