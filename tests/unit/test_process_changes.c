/* SPDX-License-Identifier: Apache-2.0 */
/* Process functions that know the kinds of rows: what they see, and what they tell. */
#include <string.h>

#include "sched/weir.h"
#include "sched/weir_test.h"
#include "tests/unit/test.h"

#define ENTRY(F) F(i64, key) F(i64, value)
WEIR_SCHEMA(entry, ENTRY)
#define SUM(F) F(i64, key) F(i64, sum)
WEIR_SCHEMA(sum, SUM)

struct account {
    int64_t cnt;
    int64_t sum;
};

static void
tell(struct weir_process *p, enum weir_row_kind kind, int64_t value)
{
    weir_process_tell(p, kind);
    struct sum *row = sum_emit(p->out);
    row->key = weir_process_key(p, 0);
    row->sum = value;
}

/* A sum by key, as a table that changes. */
static int
account_add(struct weir_process *p, struct account *state, int64_t value)
{
    int64_t by = weir_row_kind_retracts(weir_process_kind(p)) ? -1 : 1;
    if (!weir_out_room(p->out, 2, 0)) {
        return WEIR_AGAIN;
    }
    if (state->cnt > 0) {
        tell(p, state->cnt + by == 0 ? WEIR_ROW_DELETE : WEIR_ROW_UPDATE_BEFORE, state->sum);
    }
    state->sum += by * value;
    if (state->cnt + by > 0) {
        tell(p, state->cnt > 0 ? WEIR_ROW_UPDATE_AFTER : WEIR_ROW_INSERT, state->sum);
    }
    state->cnt += by;
    if (state->cnt == 0) {
        weir_process_clear(p, state);
    }
    return WEIR_DONE;
}

WEIR_PROCESS(account, entry, struct account, sum)
{
    return account_add(p, state, in->value);
}
WEIR_PROCESS_SECOND(account, entry, struct account)
{
    return account_add(p, state, -in->value);
}

/* What is told in one call says nothing of the next one, or of a timer. */
WEIR_PROCESS_TIMED(once, entry, struct account, sum)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    if (in->value < 0) {
        weir_process_tell(p, WEIR_ROW_DELETE);
    }
    struct sum *row = sum_emit(p->out);
    row->key = in->key;
    row->sum = weir_process_kind(p);
    state->cnt++;
    return weir_process_timer_set(p, 10, 0);
}
WEIR_ON_TIMER(once, struct account)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct sum *row = sum_emit(p->out);
    row->key = weir_process_key(p, 0);
    row->sum = 100 + (int64_t)weir_process_kind(p);
    weir_process_clear(p, state);
    return WEIR_DONE;
}
/* Rows that all subtasks see have kinds, too: what goes is forgotten. */
WEIR_PROCESS_BROADCAST(once, entry)
{
    bool found;
    if (weir_row_kind_retracts(weir_process_kind(p))) {
        int err = weir_process_broadcast_delete(p, &in->key, sizeof in->key, &found);
        return err < 0 ? err : found ? (int)WEIR_DONE : weir_err_push(WEIR_EDATA, "not there");
    }
    return weir_process_broadcast_put(p, &in->key, sizeof in->key, in, sizeof *in);
}

static const struct entry rows[] = {{1, 10}, {1, 5}, {2, 7}, {1, -3}};

static struct weir_stream *
keyed(struct weir_test *test, bool changes)
{
    struct weir_stream *s = changes ? weir_test_changes(test, entry_schema(), 1)
                                    : weir_test_input(test, entry_schema(), 1);
    return weir_key_by(s, WEIR_KEY(entry, key));
}

static void
build_account(struct weir_test *test, void *arg)
{
    (void)arg;
    struct weir_stream *s = weir_process_changes(
        keyed(test, true), "account", &account_process, NULL, WEIR_CHANGES_TAKEN_AND_MADE);
    assert_true(weir_stream_changes(s));
    assert_false(weir_stream_changes(weir_side(s, 1)));
    weir_test_output(test, s);
}

static void
build_two(struct weir_test *test, void *arg)
{
    (void)arg;
    const struct weir_connect_conf conf = {.function = &account_process,
        .second = &account_second,
        .changes = WEIR_CHANGES_TAKEN_AND_MADE};
    struct weir_stream *first = keyed(test, false);
    weir_test_output(test, weir_connect(first, keyed(test, true), "two", &conf));
}

static void
build_once(struct weir_test *test, void *arg)
{
    const enum weir_changes *changes = arg;
    const struct weir_connect_conf conf = {
        .function = &once_process, .second = &once_second, .changes = *changes};
    bool takes = *changes != WEIR_CHANGES_MADE;
    struct weir_stream *first = keyed(test, takes);
    struct weir_stream *s = weir_connect(first, keyed(test, takes), "once", &conf);
    assert_int_equal(weir_stream_changes(s), *changes != WEIR_CHANGES_TAKEN);
    weir_test_output(test, s);
}

static struct weir_test *
open_test(weir_test_build_fn *build, void *arg)
{
    struct weir_test *test = NULL;
    assert_int_equal(
        weir_test_open(&(struct weir_test_conf){.build = build, .arg = arg}, &test), 0);
    return test;
}

static void
t_functions_see_kinds_and_tell_them(void **state)
{
    (void)state;
    struct weir_test *test = open_test(build_account, NULL);
    assert_int_equal(weir_test_push(test, 0, rows, 3), 0);
    assert_int_equal(weir_test_push_kind(test, 0, WEIR_ROW_UPDATE_BEFORE, rows, 1), 0);
    assert_int_equal(weir_test_push_kind(test, 0, WEIR_ROW_UPDATE_AFTER, rows + 3, 1), 0);
    assert_int_equal(weir_test_push_kind(test, 0, WEIR_ROW_DELETE, rows + 2, 1), 0);
    assert_string_equal(weir_test_text(test, 0),
        "1,10\n-U 1,10\n+U 1,15\n2,7\n-U 1,15\n+U 1,5\n-U 1,5\n+U 1,2\n-D 2,7\n");
    weir_test_close(test);
}

static void
t_either_input_may_be_one_of_changes(void **state)
{
    (void)state;
    struct weir_test *test = open_test(build_two, NULL);
    assert_int_equal(weir_test_push(test, 0, rows, 1), 0);
    assert_int_equal(weir_test_push(test, 1, rows + 1, 1), 0);
    assert_int_equal(weir_test_push_kind(test, 1, WEIR_ROW_DELETE, rows + 1, 1), 0);
    assert_string_equal(weir_test_text(test, 0), "1,10\n-U 1,10\n+U 1,5\n-U 1,5\n+U 1,10\n");
    weir_test_close(test);
}

static void
t_a_kind_is_told_of_what_one_call_emits(void **state)
{
    (void)state;
    enum weir_changes both = WEIR_CHANGES_TAKEN_AND_MADE;
    enum weir_changes made = WEIR_CHANGES_MADE;
    enum weir_changes taken = WEIR_CHANGES_TAKEN;
    struct weir_test *test = open_test(build_once, &both);
    assert_int_equal(weir_test_push(test, 0, rows + 3, 1), 0);
    assert_int_equal(weir_test_push_kind(test, 0, WEIR_ROW_DELETE, rows, 1), 0);
    assert_int_equal(weir_test_push(test, 1, rows, 1), 0);
    assert_int_equal(weir_test_push_kind(test, 1, WEIR_ROW_DELETE, rows, 1), 0);
    assert_int_equal(weir_test_push(test, 0, rows + 3, 1), 0);
    assert_int_equal(weir_test_watermark(test, 0, 20), 0);
    assert_int_equal(weir_test_watermark(test, 1, 20), 0);
    assert_string_equal(weir_test_text(test, 0), "-D 1,0\n1,3\n-D 1,0\n1,100\nwatermark 20\n");
    assert_int_equal(weir_test_push_kind(test, 1, WEIR_ROW_DELETE, rows, 1), WEIR_EDATA);
    weir_err_clear();
    weir_test_close(test);
    test = open_test(build_once, &made);
    const struct entry two[] = {{1, -3}, {2, 7}};
    assert_int_equal(weir_test_push(test, 0, two, 2), 0);
    assert_string_equal(weir_test_text(test, 0), "-D 1,0\n2,0\n");
    weir_test_close(test);
    test = open_test(build_once, &taken); /* what comes of it are inserts, whatever it tells */
    assert_int_equal(weir_test_push_kind(test, 0, WEIR_ROW_DELETE, rows + 3, 1), 0);
    assert_string_equal(weir_test_text(test, 0), "1,3\n");
    weir_test_close(test);
}

static void
build_passed(struct weir_test *test, void *arg)
{
    (void)arg;
    weir_test_output(test, weir_process_changes(keyed(test, true), "account", &account_process,
                               NULL, WEIR_CHANGES_PASSED));
}

static void
build_plain(struct weir_test *test, void *arg)
{
    (void)arg;
    weir_test_output(test, weir_process(keyed(test, true), "account", &account_process, NULL));
}

static void
t_functions_that_do_not_say_so_take_inserts(void **state)
{
    (void)state;
    weir_test_build_fn *const builds[] = {build_plain, build_passed};
    static const char *const why[] = {"weir_process_changes", "does not pass them on"};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(builds); i++) {
        struct weir_test *test = NULL;
        char text[1024];
        const struct weir_test_conf conf = {.build = builds[i]};
        assert_int_equal(weir_test_open(&conf, &test), WEIR_EGRAPH);
        weir_err_save(text, sizeof text);
        assert_non_null(strstr(text, "operator account"));
        assert_non_null(strstr(text, why[i]));
        weir_err_clear();
        weir_test_close(test);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_functions_see_kinds_and_tell_them),
        cmocka_unit_test(t_either_input_may_be_one_of_changes),
        cmocka_unit_test(t_a_kind_is_told_of_what_one_call_emits),
        cmocka_unit_test(t_functions_that_do_not_say_so_take_inserts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
