/* SPDX-License-Identifier: Apache-2.0 */
/* Loops as graphs: rows that go round in one task, and graphs that are no loops. */
#include <stdio.h>
#include <string.h>

#include "dataplane/operators/discard.h"
#include "dataplane/operators/watermark.h"
#include "sched/weir_test.h"
#include "tests/unit/test.h"

#define TURN(F) F(i64, n) F(i64, left) F(str, text)
WEIR_SCHEMA(turn, TURN)
#define OTHER(F) F(i64, n)
WEIR_SCHEMA(other, OTHER)

#define LONG_TEXT "a text that lies beside its row"

WEIR_MAP(go, turn, turn)
{
    *out = *in;
    out->left = in->left - 1;
}

WEIR_FILTER(is_left, turn)
{
    return in->left > 0;
}

WEIR_FILTER(is_let_go, turn)
{
    return in->left <= 0;
}

static void
build(struct weir_test *test, void *arg)
{
    struct weir_stream *loop = weir_iterate(weir_test_input(test, turn_schema(), 2), "turns", arg);
    struct weir_stream *s = weir_map(loop, "go", &go_op);
    weir_iterate_close(loop, weir_filter(s, "left", &is_left_op));
    weir_test_output(test, weir_filter(s, "gone", &is_let_go_op));
}

static struct weir_test *
open_graph(const struct weir_iterate_conf *conf, uint32_t parallelism, bool slow)
{
    struct weir_test *test = NULL;
    const struct weir_test_conf open = {
        .build = build, .arg = (void *)(uintptr_t)conf, .parallelism = parallelism, .slow = slow};
    assert_int_equal(weir_test_open(&open, &test), 0);
    return test;
}

static void
push(struct weir_test *test, uint32_t feed, int64_t n, int64_t left)
{
    struct turn row;
    memset(&row, 0, sizeof row);
    row.n = n;
    row.left = left;
    row.text = weir_test_str(&row, n % 2 == 0 ? "even" : LONG_TEXT);
    assert_int_equal(weir_test_push(test, feed, &row, 1), 0);
}

static void
t_T196_A126_rows_go_round_in_the_order_of_their_turns(void **state)
{
    const struct weir_iterate_conf conf = {0};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct weir_test *test = open_graph(i < 2 ? NULL : &conf, 1 + i % 2, i >= 2);
        push(test, 0, 2, 3);
        push(test, 1, 1, 1000);
        push(test, 0, 4, 1);
        assert_int_equal(weir_test_watermark(test, 0, 70), 0);
        assert_int_equal(weir_test_watermark(test, 1, 80), 0);
        assert_string_equal(weir_test_rows(test, 0), "1,0," LONG_TEXT "\n2,0,even\n4,0,even\n");
        assert_null(strstr(weir_test_text(test, 0), "watermark 7")); /* time stands still */
        assert_int_equal(weir_test_end(test, 0), 0);
        push(test, 1, 6, 2);
        assert_null(strstr(weir_test_text(test, 0), "end"));
        assert_int_equal(weir_test_end(test, 1), 0);
        struct weir_test_counts counts;
        assert_int_equal(weir_test_run(test, 10), 0);
        assert_non_null(strstr(weir_test_text(test, 0), "6,0,even"));
        assert_non_null(strstr(weir_test_text(test, 0), "end"));
        assert_true(weir_test_counts(test, "turns.tail", &counts));
        assert_int_equal(counts.rows_in, 2 + 999 + 1);
        assert_int_equal(counts.rows_late, 0);
        weir_test_close(test);
    }
}

static void
t_T196_A126_a_loop_that_waits_lets_watermarks_through(void **state)
{
    const struct weir_iterate_conf conf = {.wait_ns = 50 * WEIR_MS};
    (void)state;
    struct weir_test *test = open_graph(&conf, 1, false);
    assert_int_equal(weir_test_watermark(test, 0, 5), 0);
    assert_int_equal(weir_test_watermark(test, 1, 7), 0);
    push(test, 0, 2, 20);
    assert_string_equal(weir_test_text(test, 0), "watermark 5\n2,0,even\n");
    assert_int_equal(weir_test_idle(test, 0, true), 0);
    assert_int_equal(weir_test_idle(test, 1, true), 0);
    weir_test_clear(test);
    assert_int_equal(weir_test_idle(test, 1, false), 0);
    assert_null(strstr(weir_test_text(test, 0), "watermark")); /* no MAX from the loop */
    assert_int_equal(weir_test_idle(test, 0, false), 0);
    weir_test_clear(test);
    for (uint32_t feed = 0; feed < 2; feed++) {
        assert_int_equal(weir_test_watermark(test, feed, WEIR_WATERMARK_MAX), 0);
        assert_int_equal(weir_test_end(test, feed), 0);
    }
    assert_int_equal(weir_test_time(test, 49), 0);
    assert_string_equal(weir_test_text(test, 0), ""); /* nor while rows may come */
    assert_int_equal(weir_test_time(test, 50), 0);
    assert_string_equal(weir_test_text(test, 0), "watermark max\nend\n");
    weir_test_close(test);
}

/* ---- graphs that are no loops ---- */

enum wrong {
    WRONG_OPEN,
    WRONG_TWICE,
    WRONG_STRANGER,
    WRONG_OUTSIDE,
    WRONG_NESTED,
    WRONG_SCHEMA,
    WRONG_WATERMARKS,
    WRONG_WAIT,
    WRONG_NO_LOOP,
    WRONG_NO_ROWS,
    WRONG_MANY,
};

WEIR_MAP(forget, turn, other)
{
    out->n = in->n;
}

static void
wrong_body(struct weir_stream *strange, struct weir_stream *loop, enum wrong wrong)
{
    static const struct weir_watermark_conf marks = {.lag_ms = 1};
    struct weir_stream *s = weir_map(loop, "go", &go_op);
    struct weir_stream *inner;
    (void)weir_sink(s, "end", &weir_discard_type, NULL, 0);
    switch (wrong) {
    case WRONG_OPEN:
        return;
    case WRONG_TWICE:
        weir_iterate_close(loop, s);
        break;
    case WRONG_STRANGER:
        s = strange;
        break;
    case WRONG_OUTSIDE:
        s = weir_filter(weir_union(s, strange), "both", &is_left_op);
        break;
    case WRONG_NESTED:
        inner = weir_iterate(s, "inner", NULL);
        s = weir_filter(inner, "again", &is_left_op);
        weir_iterate_close(inner, s);
        break;
    case WRONG_SCHEMA:
        weir_iterate_close(loop, weir_map(s, "forget", &forget_op));
        return;
    case WRONG_WATERMARKS:
        s = weir_watermarks_by(s, "marks", &marks);
        break;
    default:
        break;
    }
    weir_iterate_close(wrong == WRONG_NO_LOOP ? s : loop, s);
}

static void
build_wrong(struct weir_test *test, void *arg)
{
    const enum wrong *wrong = arg;
    const struct weir_iterate_conf conf = {.wait_ns = *wrong == WRONG_WAIT ? -1 : 0};
    struct weir_stream *in = weir_test_input(test, turn_schema(), 1);
    if (*wrong == WRONG_NO_ROWS) {
        in = weir_sink(in, "first", &weir_discard_type, NULL, 0);
    }
    for (int i = 0; *wrong == WRONG_MANY && i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "loop%d", i);
        in = weir_iterate(in, name, &conf);
    }
    struct weir_stream *loop = weir_iterate(in, "turns", &conf);
    struct weir_stream *strange = weir_filter(in, "strange", &is_left_op);
    weir_test_output(test, strange);
    weir_test_output(test, weir_filter(loop, "out", &is_left_op));
    wrong_body(strange, loop, *wrong);
}

static void
t_A126_what_is_no_loop_is_refused(void **state)
{
    static const char *const says[] = {[WRONG_OPEN] = "loop turns is never closed",
        [WRONG_TWICE] = "its loop is closed a second time",
        [WRONG_STRANGER] = "loop turns gets back rows that do not come of it",
        [WRONG_OUTSIDE] = "operator both of its body also reads strange, which is outside",
        [WRONG_NESTED] = "loop turns has a loop in its body: inner",
        [WRONG_SCHEMA] = "loop turns is of records of turn, and gets back other",
        [WRONG_WATERMARKS] = "operator marks of its body sets watermarks",
        [WRONG_WAIT] = "loop turns: a time to wait below zero",
        [WRONG_NO_LOOP] = "behind operator go: a loop is closed that does not begin there",
        [WRONG_NO_ROWS] = "loop turns: its input has no rows",
        [WRONG_MANY] = "loop loop16: a job has at most 16"};
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(says); i++) {
        enum wrong wrong = (enum wrong)i;
        struct weir_test *test = NULL;
        char text[2048];
        const struct weir_test_conf conf = {.build = build_wrong, .arg = &wrong};
        assert_int_equal(weir_test_open(&conf, &test), WEIR_EGRAPH);
        weir_err_save(text, sizeof text);
        weir_err_clear();
        if (strstr(text, says[i]) == NULL) {
            fail_msg("case %zu: %s", i, text);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T196_A126_rows_go_round_in_the_order_of_their_turns),
        cmocka_unit_test(t_T196_A126_a_loop_that_waits_lets_watermarks_through),
        cmocka_unit_test(t_A126_what_is_no_loop_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
