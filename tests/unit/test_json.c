/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dataplane/json.h"
#include "tests/unit/test.h"

/* The text in memory of exactly its size, so that ASan sees a read beyond it. */
static char *
exact(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    char *at = copy + 1;
    memcpy(at, text, bytes);
    return at;
}

static int
skip_all(const char *text, size_t bytes, uint32_t *ret_column)
{
    struct weir_json json;
    char *copy = exact(text, bytes);
    weir_json_init(&json, copy, bytes, 0);
    int err = weir_json_skip(&json);
    err = err == 0 ? weir_json_end(&json) : err;
    assert_true(err == 0 || (err == WEIR_EDATA && json.fault != NULL));
    assert_true(json.at >= copy && json.at <= copy + bytes);
    *ret_column = weir_json_column(&json);
    free(copy - 1);
    return err;
}

static void
t_json_is_accepted(void **state)
{
    (void)state;
    const char *good[] = {"{}", "[]", " { } ", "null", "true", "false", "0", "-0", "1.5e-10",
        "1E+2", "\"\"", "[1,2,[3,{\"a\":[]}]]", "{\"a\":{\"b\":{\"c\":null}},\"d\":[{},{}]}",
        "\"\\u00e9\\ud83d\\ude00\\n\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac\"",
        "\t[ 1 ,\r\n 2 ]\n", "123456789012345678901234567890",
        "\"a text of more than thirty-two bytes without anything special in it at all\"",
        "\"\xf4\x8f\xbf\xbf\"", "\"\xed\x9f\xbf\"", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(good); i++) {
        uint32_t column;
        assert_int_equal(skip_all(good[i], strlen(good[i]), &column), 0);
    }
}

static void
t_malformed_json_is_refused_at_its_column(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint32_t column;
    } bad[] = {{"", 1}, {" ", 2}, {"{", 2}, {"}", 1}, {"[", 2}, {"]", 1}, {"[1,]", 4}, {"[,1]", 2},
        {"[1 2]", 4}, {"{\"a\"}", 5}, {"{\"a\":}", 6}, {"{\"a\":1,}", 8}, {"{a:1}", 2}, {"{,}", 2},
        {"{\"a\":1 \"b\":2}", 8}, {"01", 1}, {"-", 1}, {"+1", 1}, {".5", 1}, {"1.", 1}, {"1e", 1},
        {"1e+", 1}, {"0x10", 2}, {"nul", 1}, {"nulls", 5}, {"True", 1}, {"NaN", 1}, {"\"abc", 5},
        {"\"a\nb\"", 3}, {"\"a\\qb\"", 3}, {"\"\\u12g4\"", 2}, {"\"\\ud800\"", 2},
        {"\"\\udc00\"", 2}, {"\"\\ud800\\u0041\"", 2}, {"\"\\\"", 4}, {"{}{}", 3}, {"[1]]", 4},
        {"\"\x80\"", 2}, {"\"ab\xc0\xaf\"", 4}, {"\"\xed\xa0\x80\"", 2},
        {"\"\xf4\x90\x80\x80\"", 2}, {"\"\xe2\x82\"", 2}, {"'a'", 1}, {"[1}", 3}, {"{\"a\":1]", 7}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        uint32_t column;
        if (skip_all(bad[i].text, strlen(bad[i].text), &column) != WEIR_EDATA ||
            column != bad[i].column) {
            fail_msg("%s: column %u, not %u", bad[i].text, column, bad[i].column);
        }
    }
}

static void
t_nesting_has_a_limit(void **state)
{
    (void)state;
    char text[2 * 65 + 1];
    uint32_t column;
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_int_equal(skip_all(text + 1, 128, &column), 0);
    assert_int_equal(skip_all(text, 130, &column), WEIR_EDATA);
    assert_int_equal(column, 65);
}

static void
begin(struct weir_json *json, const char *text)
{
    weir_json_init(json, text, strlen(text), 0);
}

static void
t_entered_objects_have_the_same_limit(void **state)
{
    (void)state;
    char text[65 * 5 + 1] = "";
    for (int i = 0; i < 65; i++) {
        memcpy(text + (size_t)i * 5, "{\"a\":", 6);
    }
    struct weir_json json;
    struct weir_json_text key;
    begin(&json, text);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(weir_json_enter(&json), 0);
        assert_int_equal(weir_json_key(&json, &key), 1);
    }
    assert_int_equal(weir_json_enter(&json), WEIR_EDATA);
    assert_int_equal(weir_json_column(&json), 64 * 5 + 1);
}

static void
t_whole_numbers_reach_all_of_64_bits(void **state)
{
    (void)state;
    struct weir_json json;
    struct weir_rng rng;
    weir_rng_init(&rng, 5);
    print_message("seed 5\n");
    for (int i = 0; i < 100000; i++) {
        char text[40];
        int64_t value;
        int64_t want = (int64_t)weir_rng_u64(&rng) >> weir_rng_below(&rng, 64);
        int bytes =
            snprintf(text, sizeof text, "%lld%s", (long long)want, i % 2 == 0 ? ",\"a\":1" : "");
        weir_json_init(&json, text, (size_t)bytes, 0);
        assert_int_equal(weir_json_i64(&json, &value), 0);
        assert_true(value == want);
        assert_true(json.at == json.end || *json.at == ',');
    }
    const char *edges[] = {"9223372036854775807", "-9223372036854775808", "-0", "0"};
    const int64_t wants[] = {INT64_MAX, INT64_MIN, 0, 0};
    for (int i = 0; i < 4; i++) {
        int64_t value;
        begin(&json, edges[i]);
        assert_int_equal(weir_json_i64(&json, &value), 0);
        assert_true(value == wants[i]);
    }
    const char *bad[] = {"9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "99999999999999999999999999", "1.0", "1e3", "01", "-", "", "\"1\"", "null"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        int64_t value = 77;
        begin(&json, bad[i]);
        assert_int_equal(weir_json_i64(&json, &value), WEIR_EDATA);
        assert_int_equal(value, 77);
        assert_int_equal(weir_json_column(&json), 1);
    }
}

static void
t_decimals_are_exact(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint32_t scale;
        int64_t want;
    } good[] = {{"1", 3, 1000}, {"1.5", 3, 1500}, {"-0.001", 3, -1}, {"2.500000", 1, 25},
        {"9223372036854775.807", 3, INT64_MAX}, {"-9223372036854775.808", 3, INT64_MIN},
        {"7", 0, 7}, {"0.0", 0, 0}};
    const char *bad[] = {
        "1.0001", "9223372036854775.808", "1e2", "1.", ".5", "99999999999999999999"};
    struct weir_json json;
    int64_t value;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(good); i++) {
        begin(&json, good[i].text);
        assert_int_equal(weir_json_decimal(&json, good[i].scale, &value), 0);
        assert_true(value == good[i].want);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        begin(&json, bad[i]);
        assert_int_equal(weir_json_decimal(&json, 3, &value), WEIR_EDATA);
    }
}

static void
t_doubles_are_those_of_the_library(void **state)
{
    (void)state;
    const char *good[] = {"0", "-0.0", "1e308", "4.9e-324", "0.1", "123456789.123456789e-5", "1E5"};
    struct weir_json json;
    double value;
    bool flag;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(good); i++) {
        begin(&json, good[i]);
        assert_int_equal(weir_json_f64(&json, &value), 0);
        assert_true(value == strtod(good[i], NULL));
    }
    begin(&json, "1e309");
    assert_int_equal(weir_json_f64(&json, &value), WEIR_EDATA);
    begin(&json, "inf");
    assert_int_equal(weir_json_f64(&json, &value), WEIR_EDATA);
    begin(&json, "true");
    assert_int_equal(weir_json_bool(&json, &flag), 0);
    assert_true(flag);
    begin(&json, "tru");
    assert_int_equal(weir_json_bool(&json, &flag), WEIR_EDATA);
}

static void
t_escapes_stand_for_their_bytes(void **state)
{
    (void)state;
    const char *line = "\"a\\\\b\\\"c\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"";
    const char *want = "a\\b\"c/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    struct weir_json json;
    struct weir_json_text text;
    char out[100];
    char again[600];
    begin(&json, line);
    assert_int_equal(weir_json_text(&json, &text), 0);
    assert_true(text.has_escapes);
    size_t bytes = weir_json_unescape(&text, out);
    assert_int_equal(bytes, strlen(want));
    assert_memory_equal(out, want, bytes);
    /* And back: what is escaped reads as it was. */
    again[0] = '"';
    size_t escaped = weir_json_escape(want, strlen(want), again + 1);
    again[escaped + 1] = '"';
    weir_json_init(&json, again, escaped + 2, 0);
    assert_int_equal(weir_json_text(&json, &text), 0);
    assert_int_equal(weir_json_unescape(&text, out), strlen(want));
    assert_memory_equal(out, want, strlen(want));
}

static void
t_members_come_in_order_and_stop_at_the_end(void **state)
{
    (void)state;
    struct weir_json json;
    struct weir_json_text key;
    int64_t value = 0;
    begin(&json, "{\"a\":1, \"b\" : {\"x\":[1,{\"y\":2}] },\"c\":3}");
    assert_int_equal(weir_json_enter(&json), 0);
    assert_true(weir_json_try_key(&json, ",\"a\":", 5));
    assert_int_equal(weir_json_i64(&json, &value), 0);
    assert_false(weir_json_try_key(&json, ",\"b\":", 5));
    assert_int_equal(weir_json_key(&json, &key), 1);
    assert_true(key.bytes == 1 && key.ptr[0] == 'b');
    assert_int_equal(weir_json_skip(&json), 0);
    assert_true(weir_json_try_key(&json, ",\"c\":", 5));
    assert_int_equal(weir_json_i64(&json, &value), 0);
    assert_int_equal(value, 3);
    assert_int_equal(weir_json_key(&json, &key), 0);
    assert_int_equal(weir_json_end(&json), 0);
}

/* Any bytes: no crash, no read beyond the end, and the same verdict with and without slack. */
static void
t_random_bytes_are_survived_and_slack_changes_nothing(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\",:\\u0dD8c eE+-.19truefalsn\x01\x80\xc3\xa9";
    struct weir_rng rng;
    weir_rng_init(&rng, 9);
    print_message("seed 9\n");
    for (int i = 0; i < 200000; i++) {
        char text[96];
        char wide[96 + 32];
        size_t bytes = weir_rng_below(&rng, 90);
        for (size_t k = 0; k < bytes; k++) {
            text[k] = alphabet[weir_rng_below(&rng, sizeof alphabet - 1)];
        }
        memcpy(wide, text, bytes);
        memset(wide + bytes, weir_rng_chance(&rng, 1, 2) ? '"' : 'x', 32);
        uint32_t column;
        int err = skip_all(text, bytes, &column);
        struct weir_json json;
        weir_json_init(&json, wide, bytes, 32);
        int other = weir_json_skip(&json);
        other = other == 0 ? weir_json_end(&json) : other;
        assert_int_equal(err, other);
        assert_int_equal(column, weir_json_column(&json));
    }
}

/* Bytes that no text may have come from jobs, and from records that are no texts at all. */
static void
t_what_is_not_utf8_is_written_as_one_mark_a_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"\xff", "\\ufffd"},
        {"a\x80z", "a\\ufffdz"},
        {"\xc0\xaf", "\\ufffd\\ufffd"}, /* overlong */
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"}, /* a surrogate */
        {"\xe6\x97", "\\ufffd\\ufffd"}, /* the third byte is missing */
        {"\xf4\x90\x80\x80\"", "\\ufffd\\ufffd\\ufffd\\ufffd\\\""},
        {"\xe6\x97\xa5\xf0\x9f\x92\xa7\xc3\xa7\x7f", "\xe6\x97\xa5\xf0\x9f\x92\xa7\xc3\xa7\x7f"},
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(cases); i++) {
        char out[64];
        size_t bytes = weir_json_escape(cases[i].text, strlen(cases[i].text), out);
        assert_int_equal(bytes, strlen(cases[i].want));
        assert_memory_equal(out, cases[i].want, bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_json_is_accepted),
        cmocka_unit_test(t_malformed_json_is_refused_at_its_column),
        cmocka_unit_test(t_nesting_has_a_limit),
        cmocka_unit_test(t_entered_objects_have_the_same_limit),
        cmocka_unit_test(t_whole_numbers_reach_all_of_64_bits),
        cmocka_unit_test(t_decimals_are_exact),
        cmocka_unit_test(t_doubles_are_those_of_the_library),
        cmocka_unit_test(t_escapes_stand_for_their_bytes),
        cmocka_unit_test(t_what_is_not_utf8_is_written_as_one_mark_a_byte),
        cmocka_unit_test(t_members_come_in_order_and_stop_at_the_end),
        cmocka_unit_test(t_random_bytes_are_survived_and_slack_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
