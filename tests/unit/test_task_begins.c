/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that begin checkpoints themselves (SEMANTICS A-245), on one real task (stage.h). */
#include "sched/weir_test.h"
#include "tests/unit/stage.h"

/* ---- the source of stage.h, which begins checkpoint `number` behind row `at` ---- */

struct mark_at {
    int64_t at;
    uint64_t number;
};
static const struct mark_at *marks; /* ends with number 0 */
static uint32_t asked_cnt;

static int
poll_and_wait(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    int rc = do_poll(op, out, now_ns);
    return rc == WEIR_AGAIN ? WEIR_WAIT : rc; /* where a checkpoint begins it need not say more */
}

static uint64_t
begins(const struct weir_operator *op)
{
    const struct stage *s = script_of(op)->stage;
    asked_cnt++;
    for (const struct mark_at *mark = marks; mark->number != 0; mark++) {
        if (mark->at + 1 == s->source_at) {
            return mark->number;
        }
    }
    return 0;
}

static const struct weir_operator_type begins_type = {
    .name = "begins", .output_cnt = 1, .poll = do_poll, .begins = begins, HOOKS};
static const struct weir_operator_type begins_waiting_type = {
    .name = "begins", .output_cnt = 1, .poll = poll_and_wait, .begins = begins, HOOKS};

static struct stage *
run_with(const struct weir_operator_type *type, bool is_unchecked, const struct mark_at *at)
{
    const struct stage_conf conf = {
        .has_source = true, .types = {type, NULL}, .is_unchecked = is_unchecked};
    struct stage *s = stage_open(&conf);
    marks = at;
    asked_cnt = 0;
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
    return s;
}

static void
t_A245_the_cut_lies_where_the_source_says(void **state)
{
    static const struct mark_at at[] = {{2, 5}, {0, 0}};
    const struct weir_operator_type *types[] = {&begins_type, &begins_waiting_type};
    (void)state;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(types); i++) {
        struct stage *s = run_with(types[i], false, at);
        s->source_next = 6;
        settle(s);
        assert_out(s, "0 1 2");
        assert_log(s, "BEGINS 5\n");
        post(s, WEIR_TASK_NOTIFY, 9); /* of another one: it stands still */
        settle(s);
        assert_out(s, "");
        assert_log(s, "committed b 9\ncommitted a 9\nCOMMITTED 9\n");
        post(s, WEIR_TASK_TRIGGER, 11);
        settle(s);
        assert_out(s, "B11 3 4 5");
        assert_log(s, WHOLE("11"));
        assert_counts(s, "a", 3, 0 + 1 + 2);
        stage_close(s);
    }
}

static void
t_A245_what_does_not_take_place_holds_nobody(void **state)
{
    static const struct mark_at at[] = {{0, 1}, {1, 2}, {0, 0}};
    (void)state;
    struct stage *s = run_with(&begins_type, false, at);
    s->source_next = 3;
    settle(s);
    assert_out(s, "0");
    post(s, WEIR_TASK_GO_ON, 0);
    settle(s);
    assert_out(s, "1");
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_out(s, "B1 2");
    assert_log(s, "BEGINS 1\nBEGINS 2\n" WHOLE("1"));
    stage_close(s);
}

/* Its end waits with it: behind the cut, and not before. */
static void
t_A245_a_stop_comes_behind_the_answer(void **state)
{
    static const struct mark_at at[] = {{0, 1}, {0, 0}};
    (void)state;
    struct stage *s = run_with(&begins_type, false, at);
    s->source_next = 3;
    settle(s);
    weir_task_request(s->task, WEIR_TASK_REQUEST_STOP);
    settle(s);
    assert_out(s, "0");
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_out(s, "B1 E");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    stage_close(s);
}

static void
t_A245_numbers_rise(void **state)
{
    static const struct mark_at at[] = {{0, 7}, {1, 7}, {0, 0}};
    (void)state;
    struct stage *s = run_with(&begins_type, false, at);
    s->source_next = 3;
    settle(s);
    post(s, WEIR_TASK_GO_ON, 0);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(s->task), WEIR_EDATA);
    assert_non_null(strstr(weir_task_cause(s->task), "source a begins checkpoint 7 behind 7"));
    stage_close(s);
}

static void
t_A245_without_checkpoints_it_is_not_asked(void **state)
{
    static const struct mark_at at[] = {{0, 1}, {0, 0}};
    (void)state;
    struct stage *s = run_with(&begins_type, true, at);
    s->source_next = 3;
    settle(s);
    assert_out(s, "0 1 2");
    assert_int_equal(asked_cnt, 0);
    stage_close(s);
}

/* ---- a graph of such sources ---- */

static int
three_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    int64_t *next = op->self;
    (void)now_ns;
    if (*next >= 3) {
        *next = 4;
        return WEIR_WAIT;
    }
    number_emit(out)->n = (*next)++;
    return WEIR_AGAIN;
}

static uint64_t
three_begins(const struct weir_operator *op)
{
    const int64_t *next = op->self;
    return *next <= 3 ? (uint64_t)*next : 0; /* behind each of three rows */
}

static const struct weir_operator_type three_type = {.name = "three",
    .self_bytes = sizeof(int64_t),
    .output_cnt = 1,
    .poll = three_poll,
    .begins = three_begins};

static void
build(struct weir_test *test, void *arg)
{
    const uint32_t *cnt = arg;
    struct weir_env *env = weir_test_env(test);
    struct weir_stream *s = weir_source(env, "one", number_schema(), &three_type, NULL, 0);
    if (*cnt == 2) {
        struct weir_stream *two = weir_source(env, "two", number_schema(), &three_type, NULL, 0);
        s = weir_union(s, two);
    }
    weir_test_output(test, s);
}

static void
t_A245_two_of_one_task_are_refused(void **state)
{
    uint32_t cnt = 2;
    const struct weir_test_conf conf = {.build = build, .arg = &cnt};
    struct weir_test *test = NULL;
    char text[512];
    (void)state;
    assert_int_equal(weir_test_open(&conf, &test), WEIR_EPLAN);
    weir_err_save(text, sizeof text);
    assert_non_null(strstr(text, "two sources of one task begin checkpoints"));
}

/* In a test of operators the test alone takes checkpoints. */
static void
t_A245_a_test_lets_it_go_on(void **state)
{
    uint32_t cnt = 1;
    const struct weir_test_conf conf = {.build = build, .arg = &cnt};
    struct weir_test *test = NULL;
    (void)state;
    assert_int_equal(weir_test_open(&conf, &test), 0);
    assert_int_equal(weir_test_run(test, 20), 0);
    assert_string_equal(weir_test_text(test, 0), "0\n1\n2\n");
    weir_test_close(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A245_the_cut_lies_where_the_source_says),
        cmocka_unit_test(t_A245_what_does_not_take_place_holds_nobody),
        cmocka_unit_test(t_A245_a_stop_comes_behind_the_answer),
        cmocka_unit_test(t_A245_numbers_rise),
        cmocka_unit_test(t_A245_without_checkpoints_it_is_not_asked),
        cmocka_unit_test(t_A245_two_of_one_task_are_refused),
        cmocka_unit_test(t_A245_a_test_lets_it_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
