/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of a job's graph: each is found, names the operators that it is about, and the first one
 * stays. A cycle cannot be written with these calls: see test_plan.c. */
#include <string.h>

#include "dataplane/operators/discard.h"
#include "sched/graph_node.h"
#include "sched/job.h"
#include "sched/weir.h"
#include "tests/unit/test.h"

#define BID(F) F(i64, auction) F(i64, price) F(f64, weight) F(str, extra) F(time, at)
WEIR_SCHEMA(bid, BID)
#define PERSON(F) F(i64, id) F(str, name)
WEIR_SCHEMA(person, PERSON)
#define TWO_TIMES(F) F(time, at) F(time, then)
WEIR_SCHEMA(two_times, TWO_TIMES)

WEIR_FILTER(dear, bid)
{
    return in->price > 100;
}

WEIR_MAP(to_person, bid, person)
{
    out->id = in->auction;
    out->name = in->extra;
}

static int
no_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)out;
    (void)now_ns;
    return WEIR_DONE;
}

static int64_t
no_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)out;
    (void)now_ns;
    return in->cnt - cursor;
}

static const struct weir_operator_type source_type = {
    .name = "numbers", .output_cnt = 1, .poll = no_poll};
static const struct weir_operator_type join_type = {
    .name = "join", .input_cnt = 2, .output_cnt = 2, .process = no_process};

static struct weir_env *
env_open(void)
{
    struct weir_env *env;
    weir_err_clear();
    assert_int_equal(weir_env_new("job", &env), 0);
    return env;
}

static struct weir_stream *
bids(struct weir_env *env, const char *name)
{
    return weir_source(env, name, bid_schema(), &source_type, NULL, 0);
}

static void
sink(struct weir_stream *in, const char *name)
{
    weir_sink(in, name, &weir_discard_type, NULL, 0);
}

/* The job is refused with this error, and its text has all these words. */
static void
expect(struct weir_env *env, int err, const char *const *words)
{
    char text[2048];
    assert_int_equal(weir_env_check(env), err);
    weir_err_save(text, sizeof text);
    for (; *words != NULL; words++) {
        if (strstr(text, *words) == NULL) {
            fail_msg("'%s' is not in: %s", *words, text);
        }
    }
    weir_err_clear();
    weir_env_delete(env);
}
#define EXPECT(env, err, ...) expect(env, err, (const char *const[]){__VA_ARGS__, NULL})

static struct weir_stream *
join(struct weir_stream *a, struct weir_stream *b, uint32_t cnt, const char *name)
{
    struct weir_stream *const inputs[] = {a, b, b};
    const struct weir_operator_conf conf = {.name = name, .type = &join_type};
    return weir_operator(inputs, cnt, &conf);
}

/* ---- what is right ---- */

static void
t_right_job_passes_and_may_be_checked_twice(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = weir_filter(bids(env, "bids"), "dear", &dear_op);
    sink(weir_map(weir_key_by(s, WEIR_KEY(bid, auction)), "to_person", &to_person_op), "out");
    assert_int_equal(weir_env_check(env), 0);
    assert_int_equal(weir_env_check(env), 0);
    assert_int_equal(env->node_cnt, 4);
    weir_env_delete(env);
}

/* T-147: a forward edge between unequal parallelisms is dealt out round robin instead. */
static void
t_T147_forward_between_unequal_parallelisms_becomes_rebalance(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = weir_filter(bids(env, "bids"), "dear", &dear_op);
    s = weir_parallelism(s, 3);
    s = weir_parallelism(weir_map(s, "to_person", &to_person_op), 3);
    sink(weir_partition(s, WEIR_PARTITION_FORWARD), "out");
    assert_int_equal(weir_env_check(env), 0);
    const struct weir_plan_graph *graph = weir_job_plan_graph(env);
    assert_int_equal(graph->links[0].partitioner, WEIR_PLAN_REBALANCE);
    assert_int_equal(graph->links[1].partitioner, WEIR_PLAN_FORWARD);
    assert_int_equal(graph->links[2].partitioner, WEIR_PLAN_REBALANCE);
    weir_env_delete(env);
}

static void
t_side_output_may_go_unread(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(join(bids(env, "a"), bids(env, "b"), 2, "join"), "out");
    assert_int_equal(weir_env_check(env), 0);
    weir_env_delete(env);
}

/* ---- what is not connected ---- */

static void
t_job_without_operators_is_refused(void **state)
{
    (void)state;
    EXPECT(env_open(), WEIR_EGRAPH, "no operators");
}

static void
t_output_that_nobody_reads_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = bids(env, "bids");
    sink(s, "out");
    (void)weir_filter(s, "lonely", &dear_op);
    EXPECT(env, WEIR_EGRAPH, "nothing reads", "lonely");
}

static void
t_sink_has_no_output_to_read(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = weir_sink(bids(env, "bids"), "out", &weir_discard_type, NULL, 0);
    (void)weir_filter(s, "after", &dear_op);
    EXPECT(env, WEIR_EGRAPH, "after", "out", "no such output");
}

static void
t_side_output_that_is_not_there_is_refused(void **state)
{
    (void)state;
    for (uint32_t idx = 0; idx < 4; idx++) {
        struct weir_env *env = env_open();
        struct weir_stream *s = join(bids(env, "a"), bids(env, "b"), 2, "join");
        sink(s, "out");
        sink(weir_side(s, idx), "late");
        if (idx == 1) {
            assert_int_equal(weir_env_check(env), 0);
            weir_env_delete(env);
        } else {
            EXPECT(env, WEIR_EGRAPH, "join", "no side output");
        }
    }
}

static void
t_wrong_count_of_inputs_is_refused(void **state)
{
    (void)state;
    for (uint32_t cnt = 1; cnt <= 3; cnt += 2) {
        struct weir_env *env = env_open();
        struct weir_stream *a = bids(env, "a");
        sink(join(a, bids(env, "b"), cnt, "match"), "out");
        char want[64];
        (void)snprintf(want, sizeof want, "has 2 inputs, not %u", cnt);
        EXPECT(env, WEIR_EGRAPH, "match", want);
    }
}

static void
t_streams_of_two_jobs_do_not_meet(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_env *other = env_open();
    sink(join(bids(env, "a"), bids(other, "b"), 2, "join"), "out");
    EXPECT(env, WEIR_EGRAPH, "join", "input 1", "no stream of this job");
    env = env_open();
    sink(weir_union(bids(env, "a"), bids(other, "c")), "out");
    EXPECT(env, WEIR_EGRAPH, "union of a", "another job");
    weir_env_delete(other);
}

/* ---- what does not fit ---- */

static void
t_schemas_that_differ_name_both_ends(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *persons = weir_map(bids(env, "bids"), "to_person", &to_person_op);
    sink(weir_filter(persons, "dear", &dear_op), "out");
    EXPECT(env, WEIR_EGRAPH, "dear", "bid", "to_person", "person");
}

static void
t_union_of_different_schemas_names_both_ends(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *a = bids(env, "bids");
    struct weir_stream *persons = weir_map(bids(env, "others"), "to_person", &to_person_op);
    sink(weir_union(a, persons), "out");
    EXPECT(env, WEIR_EGRAPH, "out", "bid", "to_person", "person");
}

static void
t_schema_that_is_wrong_itself_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_source(env, "odd", two_times_schema(), &source_type, NULL, 0), "out");
    EXPECT(env, WEIR_EGRAPH, "odd", "two_times");
}

static void
t_function_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_map(bids(env, "bids"), "change", &dear_op), "out");
    EXPECT(env, WEIR_EGRAPH, "change", "dear", "another kind");
    env = env_open();
    sink(weir_filter(bids(env, "bids"), "choose", &to_person_op), "out");
    EXPECT(env, WEIR_EGRAPH, "choose", "to_person", "another kind");
    env = env_open();
    sink(weir_flatmap(bids(env, "bids"), "split", &dear_op), "out");
    EXPECT(env, WEIR_EGRAPH, "split", "dear", "another kind");
}

static void
t_type_that_is_no_source_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_source(env, "bids", bid_schema(), &weir_discard_type, NULL, 0), "out");
    EXPECT(env, WEIR_EGRAPH, "bids", "discard", "no source");
}

/* ---- keys and partitioners ---- */

static struct weir_key
key_named(const char *name)
{
    return weir_key_of(1, name, NULL);
}

static void
t_key_field_that_is_missing_or_no_key_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_key_by(bids(env, "bids"), key_named("acution")), "out");
    EXPECT(env, WEIR_EGRAPH, "bids", "acution", "not in bid");
    env = env_open();
    sink(weir_key_by(bids(env, "bids"), key_named("weight")), "out");
    EXPECT(env, WEIR_EGRAPH, "bids", "weight", "f64");
}

static void
t_partitioners_with_a_call_of_their_own_are_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_partition(bids(env, "bids"), WEIR_PARTITION_KEYED), "out");
    EXPECT(env, WEIR_EGRAPH, "bids", "keyed", "call of its own");
    env = env_open();
    sink(weir_partition_custom(bids(env, "bids"), NULL), "out");
    EXPECT(env, WEIR_EGRAPH, "bids", "custom");
}

/* ---- names and limits ---- */

static void
t_two_operators_of_one_name_are_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_filter(weir_filter(bids(env, "bids"), "dear", &dear_op), "dear", &dear_op), "out");
    EXPECT(env, WEIR_EGRAPH, "two operators are called dear");
}

static void
t_more_operators_than_there_may_be_are_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = bids(env, "bids");
    for (int i = 0; i < WEIR_GRAPH_NODE_CNT_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "filter-%d", i);
        s = weir_filter(s, name, &dear_op);
    }
    sink(s, "out");
    EXPECT(env, WEIR_EGRAPH, "filter-255", "at most 256 operators");
}

static void
t_union_of_too_many_streams_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = bids(env, "bids");
    for (int i = 0; i < WEIR_STREAM_ORIGIN_CNT_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "more-%d", i);
        s = weir_union(s, bids(env, name));
    }
    sink(s, "out");
    EXPECT(env, WEIR_EGRAPH, "union of more than 8");
}

static void
t_parallelism_of_nothing_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_parallelism(weir_filter(bids(env, "bids"), "dear", &dear_op), 0), "out");
    EXPECT(env, WEIR_EGRAPH, "dear", "parallelism 0");
    env = env_open();
    sink(bids(env, "bids"), "out");
    assert_int_equal(weir_env_set_operator_parallelism(env, "bdis", 2), WEIR_EGRAPH);
    assert_non_null(strstr(weir_err_at(0), "did you mean bids?"));
    weir_err_clear();
    assert_int_equal(weir_env_set_operator_parallelism(env, "bids", 2), 0);
    assert_int_equal(weir_env_check(env), 0);
    weir_env_delete(env);
}

/* ---- parameters ---- */

static const struct weir_opt params[] = {
    {"query", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "q0", "q0 q1", "the query"},
    {"limit", WEIR_OPT_INT, WEIR_OPT_ANY, "rows", 1, 100, "7", "", "how many"},
    {"window", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, INT64_MAX, "10s", "", "how long"},
    {"path", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 100, "", "", "where"},
    {.name = NULL},
};

static void
t_parameters_are_given_or_default(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    weir_env_declare(env, params);
    assert_int_equal(weir_env_set_param(env, "limit", "8"), 0);
    assert_int_equal(weir_env_set_param(env, "limit", "9"), 0); /* the last one counts */
    assert_true(weir_param_given(env, "limit"));
    assert_false(weir_param_given(env, "query"));
    assert_int_equal(weir_param_number(env, "limit"), 9);
    assert_int_equal(weir_param_ms(env, "window"), 10000);
    assert_string_equal(weir_param(env, "query"), "q0");
    weir_env_delete(env);
}

static void
t_unknown_or_wrong_parameter_is_refused_with_a_suggestion(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    weir_env_declare(env, params);
    assert_int_equal(weir_env_set_param(env, "qeury", "q1"), WEIR_ECONFIG);
    assert_non_null(strstr(weir_err_at(0), "job has no parameter qeury; did you mean query?"));
    weir_err_clear();
    assert_int_equal(weir_env_set_param(env, "zzzzzzz", "q1"), WEIR_ECONFIG);
    assert_null(strstr(weir_err_at(0), "did you mean"));
    weir_err_clear();
    assert_int_equal(weir_env_set_param(env, "limit", "101"), WEIR_ECONFIG);
    weir_err_clear();
    assert_int_equal(weir_env_set_param(env, "query", "q9"), WEIR_ECONFIG);
    weir_err_clear();
    weir_env_delete(env);
}

static void
t_parameter_that_the_job_did_not_declare_or_lacks_fails_it(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    weir_env_declare(env, params);
    assert_string_equal(weir_param(env, "nothing"), "");
    sink(bids(env, "bids"), "out");
    EXPECT(env, WEIR_EGRAPH, "nothing", "does not declare");
    env = env_open();
    weir_env_declare(env, params);
    assert_int_equal(weir_env_set_param(env, "window", "1500us"), 0);
    (void)weir_param_ms(env, "window");
    sink(bids(env, "bids"), "out");
    EXPECT(env, WEIR_ECONFIG, "window", "1500us", "milliseconds");
}

/* ---- event time ---- */

static int
no_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)watermark;
    (void)out;
    (void)now_ns;
    return WEIR_DONE;
}

static const struct weir_operator_type timer_type = {.name = "timer",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = no_process,
    .watermark = no_watermark};

/* bids -> watermark -> dear -> (timer ->) out */
static void
expect_time_unused(bool with_timer, const bool *unused)
{
    struct weir_env *env = env_open();
    struct weir_stream *s = weir_watermarks(bids(env, "bids"), "watermark", 5);
    s = weir_filter(s, "dear", &dear_op);
    if (with_timer) {
        const struct weir_operator_conf timer = {.name = "timer", .type = &timer_type};
        s = weir_operator(&s, 1, &timer);
    }
    sink(s, "out");
    assert_int_equal(weir_env_check(env), 0);
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        assert_int_equal(env->node[i].time_unused, unused[i]);
    }
    weir_env_delete(env);
}

static void
t_time_is_unused_where_nobody_below_asks(void **state)
{
    (void)state;
    expect_time_unused(false, (const bool[]){true, true, true, true});
    expect_time_unused(true, (const bool[]){false, false, false, false, true});
}

/* Panes (true) look at watermarks for lateness alone, timers (false) for more; bids -> watermark ->
 * panes (-> timer). */
static void
t_only_lateness_matters_where_nobody_below_asks_for_more(void **state)
{
    (void)state;
    for (uint32_t timers = 0; timers < 2; timers++) {
        struct weir_env *env = env_open();
        struct weir_stream *s = weir_watermarks(bids(env, "bids"), "watermark", 5);
        const struct weir_operator_conf panes = {
            .name = "panes", .type = &timer_type, .uses_time = true, .only_lateness = true};
        s = weir_operator(&s, 1, &panes);
        if (timers > 0) {
            const struct weir_operator_conf timer = {.name = "timer", .type = &timer_type};
            s = weir_operator(&s, 1, &timer);
        }
        sink(s, "out");
        assert_int_equal(weir_env_check(env), 0);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(env->node[i].only_lateness, timers == 0);
            assert_false(env->node[i].time_unused);
        }
        weir_env_delete(env);
    }
}

/* ---- the first error ---- */

static void
t_first_error_is_kept_and_later_calls_do_nothing(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *s = weir_key_by(bids(env, "bids"), key_named("nowhere"));
    uint32_t node_cnt = env->node_cnt;
    s = weir_map(s, "map", &dear_op); /* of another kind */
    s = weir_union(s, weir_side(s, 9));
    s = weir_partition(weir_parallelism(s, 0), WEIR_PARTITION_CUSTOM);
    s = weir_watermarks(weir_partition_custom(s, NULL), "watermark", 5);
    s = join(s, s, 3, "join");
    sink(s, "bids");
    weir_env_fail(env, WEIR_EDATA, "the job's own error");
    assert_int_equal(env->node_cnt, node_cnt);
    EXPECT(env, WEIR_EGRAPH, "bids", "nowhere");
}

static void
t_error_of_the_job_itself_keeps_what_lies_below_it(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(bids(env, "bids"), "out");
    (void)weir_err_push(WEIR_ENOINPUT, "side.csv: No such file");
    weir_env_fail(env, WEIR_ENOINPUT, "parameter %s", "side");
    assert_int_equal(weir_err_cnt(), 0);
    EXPECT(env, WEIR_ENOINPUT, "parameter side", "side.csv: No such file");
}

/* What a job says about chains and slot-sharing groups reaches the planner. */
static void
t_chains_and_groups_are_as_the_job_says(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    struct weir_stream *a = weir_slot_sharing_group(bids(env, "a"), "in");
    struct weir_stream *b = weir_slot_sharing_group(bids(env, "b"), "in");
    struct weir_stream *c = bids(env, "c");
    struct weir_stream *x = weir_filter(weir_union(a, b), "x", &dear_op);
    struct weir_stream *y = weir_start_new_chain(weir_filter(x, "y", &dear_op));
    struct weir_stream *z = weir_disable_chaining(weir_filter(weir_union(y, c), "z", &dear_op));
    sink(weir_slot_sharing_group(weir_map(z, "w", &to_person_op), "out"), "s");
    assert_int_equal(weir_env_check(env), 0);
    const struct weir_plan_graph *graph = weir_job_plan_graph(env);
    static const struct {
        const char *name;
        const char *group;
        bool chain_input;
        bool chain_output;
    } want[] = {{"a", "in", true, true}, {"b", "in", true, true}, {"c", "default", true, true},
        {"x", "in", true, true}, {"y", "in", false, true}, {"z", "default", false, false},
        {"w", "out", true, true}, {"s", "out", true, true}};
    assert_int_equal(graph->operator_cnt, WEIR_ARRAY_CNT(want));
    for (uint32_t i = 0; i < graph->operator_cnt; i++) {
        assert_string_equal(graph->operators[i].name, want[i].name);
        assert_string_equal(graph->operators[i].slot_group, want[i].group);
        assert_int_equal(graph->operators[i].chain_input, want[i].chain_input);
        assert_int_equal(graph->operators[i].chain_output, want[i].chain_output);
    }
    weir_env_delete(env);
}

static void
t_group_without_a_name_is_refused(void **state)
{
    (void)state;
    struct weir_env *env = env_open();
    sink(weir_slot_sharing_group(bids(env, "a"), ""), "s");
    EXPECT(env, WEIR_EGRAPH, "operator a", "without a name");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_right_job_passes_and_may_be_checked_twice),
        cmocka_unit_test(t_T147_forward_between_unequal_parallelisms_becomes_rebalance),
        cmocka_unit_test(t_side_output_may_go_unread),
        cmocka_unit_test(t_job_without_operators_is_refused),
        cmocka_unit_test(t_output_that_nobody_reads_is_refused),
        cmocka_unit_test(t_sink_has_no_output_to_read),
        cmocka_unit_test(t_side_output_that_is_not_there_is_refused),
        cmocka_unit_test(t_wrong_count_of_inputs_is_refused),
        cmocka_unit_test(t_streams_of_two_jobs_do_not_meet),
        cmocka_unit_test(t_schemas_that_differ_name_both_ends),
        cmocka_unit_test(t_union_of_different_schemas_names_both_ends),
        cmocka_unit_test(t_schema_that_is_wrong_itself_is_refused),
        cmocka_unit_test(t_function_of_another_kind_is_refused),
        cmocka_unit_test(t_type_that_is_no_source_is_refused),
        cmocka_unit_test(t_key_field_that_is_missing_or_no_key_is_refused),
        cmocka_unit_test(t_partitioners_with_a_call_of_their_own_are_refused),
        cmocka_unit_test(t_two_operators_of_one_name_are_refused),
        cmocka_unit_test(t_more_operators_than_there_may_be_are_refused),
        cmocka_unit_test(t_union_of_too_many_streams_is_refused),
        cmocka_unit_test(t_parallelism_of_nothing_is_refused),
        cmocka_unit_test(t_parameters_are_given_or_default),
        cmocka_unit_test(t_unknown_or_wrong_parameter_is_refused_with_a_suggestion),
        cmocka_unit_test(t_parameter_that_the_job_did_not_declare_or_lacks_fails_it),
        cmocka_unit_test(t_time_is_unused_where_nobody_below_asks),
        cmocka_unit_test(t_only_lateness_matters_where_nobody_below_asks_for_more),
        cmocka_unit_test(t_first_error_is_kept_and_later_calls_do_nothing),
        cmocka_unit_test(t_error_of_the_job_itself_keeps_what_lies_below_it),
        cmocka_unit_test(t_chains_and_groups_are_as_the_job_says),
        cmocka_unit_test(t_group_without_a_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
