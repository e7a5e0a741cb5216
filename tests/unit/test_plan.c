/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/rng.h"
#include "tests/unit/plan_fixture.h"

static void
expect_error(const struct fixture *fixture, const struct weir_plan_host *host,
    const struct weir_plan_options *options, int wanted, const char *words)
{
    struct weir_plan *plan = NULL;
    weir_err_clear();
    assert_int_equal(weir_plan_make(&fixture->graph, host, options, &plan), wanted);
    assert_null(plan);
    char text[4096];
    weir_err_save(text, sizeof text);
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in the message: %s", words, text);
    }
    weir_err_clear();
}

static void
t_one_subtask_is_one_stage_though_keyed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->vertex_cnt, 1);
    assert_int_equal(plan->stage_cnt, 1);
    assert_int_equal(plan->stages[0].operator_cnt, 4);
    assert_int_equal(plan->channel_cnt, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(plan->edges[i].kind, WEIR_PLAN_FUSED);
    }
    weir_plan_close(plan);
    fixture_host_close(&host);
}

static void
t_cut_all_joins_stages_by_rings(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    struct weir_plan *plan =
        fixture_plan(&fixture, &host, &(struct weir_plan_options){.cut = WEIR_PLAN_CUT_ALL});
    assert_int_equal(plan->vertex_cnt, 1);
    assert_int_equal(plan->stage_cnt, 4);
    assert_int_equal(plan->core_cnt, 2);
    assert_int_equal(plan->channel_cnt, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(plan->edges[i].kind, WEIR_PLAN_RING);
        assert_int_equal(plan->channels[i].from_stage, i);
        assert_int_equal(plan->channels[i].to_stage, i + 1);
    }
    weir_plan_close(plan);
    fixture_host_close(&host);
}

static void
t_keyed_between_two_subtasks_is_an_exchange(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 2);
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->vertex_cnt, 2);
    assert_int_equal(plan->stage_cnt, 4);
    assert_int_equal(plan->edges[1].kind, WEIR_PLAN_EXCHANGE);
    assert_int_equal(plan->edges[1].channel_cnt, 4);
    for (uint32_t c = 0; c < 4; c++) {
        const struct weir_plan_channel *channel = &plan->channels[c];
        assert_int_equal(channel->prod_idx, plan->stages[channel->to_stage].subtask);
        assert_int_equal(channel->cons_idx, plan->stages[channel->from_stage].subtask);
    }
    weir_plan_close(plan);
    fixture_host_close(&host);
}

/* Two groups on two cores: never fused, never on one core. Three on two: they share. */
static void
t_slot_sharing_groups_have_cores_of_their_own(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    fixture.operators[1].slot_group = "heavy";
    fixture.operators[2].slot_group = "heavy";
    fixture.operators[3].slot_group = "heavy";
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->stage_cnt, 2);
    assert_int_equal(plan->vertex_cnt, 2);
    assert_string_equal(plan->edges[0].reason, "slot-sharing groups default and heavy");
    assert_int_not_equal(plan->stages[0].core, plan->stages[1].core);
    for (uint32_t i = 0; i < 2; i++) {
        const char *said = "slot-sharing group ";
        assert_memory_equal(plan->stages[i].reason, said, strlen(said));
    }
    weir_plan_close(plan);
    fixture.operators[3].slot_group = "third";
    plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->stage_cnt, 3);
    assert_int_equal(plan->core_cnt, 2);
    weir_plan_close(plan);
    fixture_host_close(&host);
}

/* CPUs by weight, one at least, neighbours together. */
static void
t_slot_sharing_groups_get_cores_by_their_weight(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "epyc-4die");
    fixture_window_job(&fixture, 6);
    fixture.operators[0].slot_group = "in";
    fixture.operators[1].slot_group = "in";
    fixture.operators[2].slot_group = "state";
    fixture.operators[3].slot_group = "state";
    fixture.operators[2].weight = 20;
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    uint32_t last_in = 0;
    uint32_t first_state = UINT32_MAX;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        uint32_t cpu = plan->cores[plan->stages[s].core].cpu;
        if (plan->stages[s].vertex == 0) {
            last_in = cpu > last_in ? cpu : last_in;
        } else {
            first_state = cpu < first_state ? cpu : first_state;
        }
    }
    assert_true(last_in < first_state);
    assert_true(last_in < 16);
    weir_plan_close(plan);
    fixture_host_close(&host);
}

static void
t_rescale_gives_each_consumer_a_share_of_the_producers(void **state)
{
    (void)state;
    const uint32_t shapes[][2] = {{4, 2}, {2, 4}, {3, 2}, {2, 3}, {1, 4}, {4, 1}, {5, 3}};
    struct weir_plan_host host;
    fixture_host(&host, "server-2s-smt");
    for (size_t i = 0; i < WEIR_ARRAY_CNT(shapes); i++) {
        uint32_t from = shapes[i][0];
        uint32_t to = shapes[i][1];
        struct fixture fixture;
        fixture_init(&fixture, "rescale");
        (void)fixture_operator(&fixture, "read", WEIR_PLAN_SOURCE, from);
        (void)fixture_operator(&fixture, "write", WEIR_PLAN_SINK, to);
        fixture_link(&fixture, 0, 1, WEIR_PLAN_RESCALE);
        struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
        assert_int_equal(plan->channel_cnt, from > to ? from : to);
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            const struct weir_plan_stage *stage = &plan->stages[s];
            assert_true(stage->channel_in_cnt + stage->channel_out_cnt >= 1);
        }
        weir_plan_close(plan);
    }
    fixture_host_close(&host);
}

static void
t_T147_forward_between_unequal_parallelisms_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    fixture.operators[3].parallelism = 2;
    expect_error(&fixture, &host, &(struct weir_plan_options){0}, WEIR_EGRAPH,
        "forward from window (parallelism 1) to write (parallelism 2)");
    fixture_host_close(&host);
}

/* a feeds b and c, c feeds b too, and c is never fused: b cannot join a, or the stage of a and b
 * would wait for c, which waits for it. */
static void
t_fusing_never_closes_a_cycle_of_stages(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_init(&fixture, "diamond");
    (void)fixture_operator(&fixture, "a", WEIR_PLAN_SOURCE, 1);
    (void)fixture_operator(&fixture, "b", WEIR_PLAN_SINK, 1);
    (void)fixture_operator(&fixture, "c", WEIR_PLAN_OPERATOR, 1);
    fixture.operators[2].chain_input = false;
    fixture.operators[2].chain_output = false;
    fixture_link(&fixture, 0, 1, WEIR_PLAN_FORWARD);
    fixture_link(&fixture, 0, 2, WEIR_PLAN_FORWARD);
    fixture_link(&fixture, 2, 1, WEIR_PLAN_FORWARD);
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->stage_cnt, 3);
    assert_int_equal(plan->edges[0].kind, WEIR_PLAN_RING);
    assert_non_null(strstr(plan->edges[0].reason, "cycle"));
    weir_plan_close(plan);
    fixture_host_close(&host);
}

static void
t_a_wrong_graph_is_refused_by_name(void **state)
{
    (void)state;
    const struct weir_plan_options none = {0};
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    fixture_link(&fixture, 2, 1, WEIR_PLAN_FORWARD);
    expect_error(&fixture, &host, &none, WEIR_EGRAPH, "operator parse feeds itself");
    fixture_window_job(&fixture, 1);
    fixture.graph.link_cnt = 2;
    expect_error(&fixture, &host, &none, WEIR_EGRAPH, "operator window feeds nothing");
    fixture_window_job(&fixture, 1);
    fixture.operators[1].name = "read";
    expect_error(&fixture, &host, &none, WEIR_EGRAPH, "two operators are called read");
    fixture_window_job(&fixture, 200);
    expect_error(&fixture, &host, &none, WEIR_EPLAN, "above its max_parallelism 128");
    fixture_init(&fixture, "empty");
    expect_error(&fixture, &host, &none, WEIR_EGRAPH, "has 0 operators");
    fixture_host_close(&host);
}

static void
expect_list(const struct weir_plan_host *host, const char *text, const char *wanted)
{
    struct weir_cpuset cpus;
    struct weir_cpuset named;
    char printed[WEIR_CPUSET_TEXT_BYTES];
    assert_int_equal(weir_plan_core_list(text, host, &cpus, &named), 0);
    assert_string_equal(weir_cpuset_print(&cpus, printed, sizeof printed), wanted);
}

static void
t_core_lists_name_numbers_groups_and_cards(void **state)
{
    (void)state;
    struct weir_plan_host host;
    fixture_host(&host, "server-2s-smt");
    expect_list(&host, "2-9", "2-9");
    expect_list(&host, "2-3h", "2-3,34-35");
    expect_list(&host, "0-15:1/4", "0,4,8,12");
    expect_list(&host, "numa:1", "16-31,48-63");
    expect_list(&host, "1, 5,socket:1", "1,5,16-31,48-63");
    expect_list(&host, "auto", "0-63");
    fixture_host_close(&host);
    fixture_host(&host, "epyc-4die");
    expect_list(&host, "l3:1", "4-7,36-39");
    expect_list(&host, "die:3", "24-31,56-63");
    fixture_host_close(&host);
    fixture_host(&host, "isolated-nic");
    expect_list(&host, "near:nic:ens3f1", "8-15");
    fixture_host_close(&host);
}

static void
t_core_lists_that_cannot_be_had_are_refused(void **state)
{
    (void)state;
    struct weir_plan_host host;
    struct weir_plan_held held = {.job = "clicks"};
    struct fixture fixture;
    fixture_host(&host, "isolated-nic");
    fixture_window_job(&fixture, 1);
    assert_int_equal(weir_cpuset_parse("0-11", &host.effective), 0);
    assert_int_equal(weir_cpuset_parse("4-5", &held.cpus), 0);
    host.effective_limit = "taskset";
    host.held = &held;
    host.held_cnt = 1;
    const char *const wrong[][2] = {
        {"14", "CPU 14 is not in the effective cpuset 0-11; limited by taskset"},
        {"77", "the host has no CPU 77"}, {"3-4", "CPU 4 is held by the running job clicks"},
        {"numa:2", "there is no numa:2; the host has numa:0 to numa:1"},
        {"l3:x", "there is no l3:x"}, {"near:nic:eth0", "the host has ens3f0, ens3f1"},
        {"all", "names no cores"}, {"1,,2", "empty or overlong term"}, {"5-", "is not a list"}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        const struct weir_plan_options options = {.cores = wrong[i][0]};
        expect_error(&fixture, &host, &options, WEIR_EPLAN, wrong[i][1]);
    }
    expect_list(&host, "numa:0", "0-3,6-7");
    fixture_host_close(&host);
}

static void
t_vertex_options_that_fit_nothing_are_refused(void **state)
{
    (void)state;
    static const char *const after_window[] = {"window"};
    static const char *const after_nobody[] = {"pares"};
    static const char *const after_write[] = {"write"};
    const struct weir_plan_vertex_options wrong[] = {
        {.name = "windw"},
        {.name = "sort"},
        {.name = "window", .cut_after = after_nobody, .cut_after_cnt = 1},
        {.name = "window", .numa = "7"},
        {.name = "window", .cut_after = after_write, .cut_after_cnt = 1},
    };
    const char *const words[] = {"no operator is called windw; did you mean window?",
        "no operator is called sort; there are read, parse, window, write",
        "no operator is called pares; did you mean parse?",
        "numa: \"7\" is neither local nor a node", "write is the last of its vertex"};
    enum { UNKNOWN_CNT = 3 };
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 1);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        const struct weir_plan_options options = {.vertices = &wrong[i], .vertex_cnt = 1};
        expect_error(
            &fixture, &host, &options, i < UNKNOWN_CNT ? WEIR_ECONFIG : WEIR_EPLAN, words[i]);
    }
    const struct weir_plan_vertex_options both[] = {
        {.name = "read", .cores = "0"}, {.name = "window", .cores = "1"}};
    const struct weir_plan_options options = {.vertices = both, .vertex_cnt = 2};
    expect_error(&fixture, &host, &options, WEIR_EPLAN, "read and window are in one stage");
    fixture.operators[2].can_split = false;
    const struct weir_plan_vertex_options fixed[] = {
        {.name = "read", .cut_after = after_window, .cut_after_cnt = 1}};
    const struct weir_plan_options cut = {.vertices = fixed, .vertex_cnt = 1};
    expect_error(&fixture, &host, &cut, WEIR_EPLAN, "cannot be cut off");
    fixture_host_close(&host);
}

static void
t_the_budget_is_kept_or_the_split_is_said(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "server-2s-smt");
    fixture_window_job(&fixture, 8);
    host.budget_bytes = 4 * WEIR_MIB;
    host.budget_limit = "the cgroup";
    expect_error(&fixture, &host, &(struct weir_plan_options){0}, WEIR_EBUDGET,
        "memory.budget is 4 MiB, from the cgroup: rings");
    /* More than the node's own memory, though within the budget. */
    fixture.operators[2].state_bytes = 200 * WEIR_GIB;
    host.budget_bytes = 256 * WEIR_GIB;
    expect_error(&fixture, &host, &(struct weir_plan_options){.cores = "numa:0"}, WEIR_EBUDGET,
        "NUMA node 0:");
    fixture_host_close(&host);
}

static void
t_a_document_of_the_plan_can_be_written(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "epyc-4die");
    fixture_window_job(&fixture, 2);
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_int_equal(weir_plan_json(plan, to), 0);
    (void)fclose(to);
    assert_non_null(strstr(text, "\"kind\": \"exchange\""));
    assert_non_null(strstr(text, "\"budget_bytes\": 1073741824"));
    free(text);
    weir_plan_close(plan);
    fixture_host_close(&host);
}

/* Each subtask has a queue of its own, in whole pages. */
static void
t_loops_count_as_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_window_job(&fixture, 2);
    fixture.operators[3].loop_bytes = 3 * WEIR_PAGE_BYTES - 1;
    struct weir_plan *plan = fixture_plan(&fixture, &host, &(struct weir_plan_options){0});
    assert_int_equal(plan->nodes[0].bytes[WEIR_PLAN_MEM_LOOP], 6 * WEIR_PAGE_BYTES);
    weir_plan_close(plan);
    fixture.operators[3].loop_bytes = WEIR_GIB;
    expect_error(&fixture, &host, &(struct weir_plan_options){0}, WEIR_EBUDGET, "loops 2 GiB");
    fixture_host_close(&host);
}

static char *
text_of(const struct weir_plan *plan, int (*write_fn)(const struct weir_plan *plan, FILE *to))
{
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_int_equal(write_fn(plan, to), 0);
    (void)fclose(to);
    return text;
}

/* Of fused edges nothing is said, and nothing where barriers overtake no rows anyway. */
static void
t_T079d_edges_that_stay_aligned_are_said(void **state)
{
    (void)state;
    static int (*const write_fns[])(const struct weir_plan *, FILE *) = {
        weir_plan_print, weir_plan_json, weir_plan_svg};
    static const char fixed[] = "barriers stay aligned: its rows could not go to other subtasks";
    static const char timed[] = "barriers stay aligned: watermarks act on the state behind it";
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "vm-2vcpu");
    fixture_init(&fixture, "edges");
    (void)fixture_operator(&fixture, "read", WEIR_PLAN_SOURCE, 2);
    (void)fixture_operator(&fixture, "free", WEIR_PLAN_SINK, 2);
    (void)fixture_operator(&fixture, "all", WEIR_PLAN_SINK, 2);
    (void)fixture_operator(&fixture, "map", WEIR_PLAN_OPERATOR, 2);
    fixture_operator(&fixture, "window", WEIR_PLAN_SINK, 2)->acts_on_time = true;
    fixture_link(&fixture, 0, 1, WEIR_PLAN_KEYED);
    fixture_link(&fixture, 0, 2, WEIR_PLAN_BROADCAST);
    fixture_link(&fixture, 0, 3, WEIR_PLAN_KEYED);
    fixture_link(&fixture, 3, 4, WEIR_PLAN_FORWARD);
    fixture.links[1].is_fixed = true;
    fixture.links[3].is_fixed = true;
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct weir_plan *plan =
            fixture_plan(&fixture, &host, &(struct weir_plan_options){.is_unaligned = turn == 1});
        assert_null(plan->edges[0].aligned);
        assert_non_null(strstr(fixed, plan->edges[1].aligned));
        assert_non_null(strstr(timed, plan->edges[2].aligned)); /* fused with the window */
        assert_null(plan->edges[3].aligned);
        for (uint32_t i = 0; i < WEIR_ARRAY_CNT(write_fns); i++) {
            char *text = text_of(plan, write_fns[i]);
            assert_int_equal(strstr(text, fixed) != NULL, turn == 1);
            assert_int_equal(strstr(text, timed) != NULL, turn == 1);
            free(text);
        }
        weir_plan_close(plan);
    }
    fixture_host_close(&host);
}

/* --- random graphs ------------------------------------------------------------------------ */

#define RANDOM_ROUND_CNT 10000

static const char *const names[] = {"o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8", "o9",
    "o10", "o11", "o12", "o13", "o14", "o15"};

/* A graph without cycles: links go from lower to higher numbers only. */
static void
random_graph(struct weir_rng *rng, struct fixture *fixture)
{
    fixture_init(fixture, "random");
    uint32_t cnt = 2 + (uint32_t)weir_rng_below(rng, WEIR_ARRAY_CNT(names) - 1);
    uint32_t most = 1 + (uint32_t)weir_rng_below(rng, 4);
    bool fed[16] = {false};
    bool feeds[16] = {false};
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t parallelism = 1 + (uint32_t)weir_rng_below(rng, most);
        struct weir_plan_operator *op =
            fixture_operator(fixture, names[i], WEIR_PLAN_OPERATOR, parallelism);
        op->weight = (uint32_t)weir_rng_below(rng, 5);
        op->chain_input = weir_rng_chance(rng, 5, 6);
        op->chain_output = weir_rng_chance(rng, 5, 6);
        op->can_split = weir_rng_chance(rng, 5, 6);
        op->stateful = weir_rng_chance(rng, 1, 3);
    }
    for (uint32_t to = 1; to < cnt; to++) {
        uint32_t in_cnt = (uint32_t)weir_rng_below(rng, 4);
        for (uint32_t i = 0; i < in_cnt; i++) {
            uint32_t from = (uint32_t)weir_rng_below(rng, to);
            bool equal = fixture->operators[from].parallelism == fixture->operators[to].parallelism;
            uint32_t partitioner = (uint32_t)weir_rng_below(rng, WEIR_PLAN_PARTITIONER_CNT);
            if (equal && weir_rng_chance(rng, 1, 2)) {
                partitioner = WEIR_PLAN_FORWARD;
            } else if (!equal && partitioner == WEIR_PLAN_FORWARD) {
                partitioner = WEIR_PLAN_REBALANCE;
            }
            fixture_link(fixture, from, to, (enum weir_plan_partitioner)partitioner);
            fed[to] = true;
            feeds[from] = true;
        }
    }
    for (uint32_t i = 0; i < cnt; i++) {
        if (!fed[i] && !feeds[i]) {
            uint32_t other = i == 0 ? 1 : 0;
            fixture_link(fixture, i < other ? i : other, i < other ? other : i, WEIR_PLAN_SHUFFLE);
            fed[i < other ? other : i] = true;
            feeds[i < other ? i : other] = true;
        }
    }
    for (uint32_t i = 0; i < cnt; i++) {
        fixture->operators[i].kind = !fed[i]     ? WEIR_PLAN_SOURCE
                                     : !feeds[i] ? WEIR_PLAN_SINK
                                                 : WEIR_PLAN_OPERATOR;
    }
}

static void
random_host(struct weir_rng *rng, const struct weir_plan_host *base, struct weir_plan_held *held,
    struct weir_plan_host *host)
{
    *host = *base;
    memset(&host->effective, 0, sizeof host->effective);
    memset(&held->cpus, 0, sizeof held->cpus);
    uint32_t one_in = 1 + (uint32_t)weir_rng_below(rng, 8);
    for (uint32_t i = 0; i < host->topo->cpu_cnt; i++) {
        if (weir_rng_below(rng, one_in) == 0) {
            weir_cpuset_add(&host->effective, host->topo->cpu[i].cpu);
        } else if (weir_rng_chance(rng, 1, 4)) {
            weir_cpuset_add(&held->cpus, host->topo->cpu[i].cpu);
        }
    }
    if (weir_cpuset_cnt(&host->effective) == 0) {
        weir_cpuset_add(&host->effective, host->topo->cpu[0].cpu);
        weir_cpuset_drop(&held->cpus, host->topo->cpu[0].cpu);
    }
    held->job = "other";
    host->held = held;
    host->held_cnt = 1;
    host->budget_bytes = (4 + weir_rng_below(rng, 2000)) * WEIR_MIB;
}

/* Every subtask of every operator is in one stage; every stage on one core, once, that is ours. */
static void
check_stages(const struct weir_plan *plan, const struct weir_plan_host *host)
{
    uint32_t seen[16][8] = {{0}};
    uint32_t on_cores = 0;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &plan->stages[s];
        uint32_t cpu = plan->cores[stage->core].cpu;
        assert_true(weir_cpuset_has(&host->effective, cpu));
        assert_false(weir_cpuset_has(&host->held[0].cpus, cpu));
        assert_true(stage->operator_cnt > 0);
        assert_non_null(stage->reason);
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            seen[stage->operators[i]][stage->subtask]++;
        }
        uint32_t listed = 0;
        for (uint32_t c = 0; c < plan->core_cnt; c++) {
            for (uint32_t i = 0; i < plan->cores[c].stage_cnt; i++) {
                listed += plan->cores[c].stages[i] == s;
            }
        }
        assert_int_equal(listed, 1);
    }
    for (uint32_t c = 0; c < plan->core_cnt; c++) {
        on_cores += plan->cores[c].stage_cnt;
        assert_true(plan->cores[c].stage_cnt > 0);
        assert_true(plan->cores[c].idle != WEIR_PLAN_IDLE_AUTO);
    }
    assert_int_equal(on_cores, plan->stage_cnt);
    for (uint32_t i = 0; i < plan->graph->operator_cnt; i++) {
        for (uint32_t p = 0; p < 8; p++) {
            assert_int_equal(seen[i][p], p < plan->graph->operators[i].parallelism);
        }
    }
}

/* No stage waits for itself: peel off stages without an unpeeled producer until none is left. */
static void
check_no_cycle(const struct weir_plan *plan)
{
    uint32_t waiting[128] = {0};
    assert_true(plan->stage_cnt <= WEIR_ARRAY_CNT(waiting));
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        assert_int_not_equal(plan->channels[c].from_stage, plan->channels[c].to_stage);
        waiting[plan->channels[c].to_stage]++;
    }
    uint32_t peeled = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            if (waiting[s] != 0) {
                continue;
            }
            more = true;
            peeled++;
            waiting[s] = UINT32_MAX;
            for (uint32_t c = 0; c < plan->channel_cnt; c++) {
                waiting[plan->channels[c].to_stage] -= plan->channels[c].from_stage == s;
            }
        }
    }
    assert_int_equal(peeled, plan->stage_cnt);
}

static void
check_edges(const struct weir_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph->link_cnt; i++) {
        const struct weir_plan_link *link = &plan->graph->links[i];
        const struct weir_plan_edge *edge = &plan->edges[i];
        assert_non_null(edge->reason);
        assert_int_equal(edge->kind == WEIR_PLAN_FUSED, edge->channel_cnt == 0);
        if (edge->kind == WEIR_PLAN_FUSED) {
            assert_true(plan->graph->operators[link->from].chain_output);
            assert_true(plan->graph->operators[link->to].chain_input);
        }
        if (link->partitioner == WEIR_PLAN_FORWARD) {
            assert_true(edge->kind != WEIR_PLAN_EXCHANGE);
        }
    }
}

static void
check_memory(const struct weir_plan *plan, const struct weir_plan_host *host)
{
    uint64_t sum = 0;
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        uint64_t on_node = 0;
        for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
            on_node += plan->nodes[n].bytes[p];
        }
        assert_true(on_node <= plan->nodes[n].limit_bytes);
        sum += on_node;
    }
    assert_int_equal(sum, plan->bytes);
    assert_true(plan->bytes <= host->budget_bytes);
    uint64_t of_edges = 0;
    uint64_t of_stages = 0;
    for (uint32_t i = 0; i < plan->graph->link_cnt; i++) {
        of_edges += plan->edges[i].bytes;
    }
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        of_stages +=
            plan->stages[s].bytes[WEIR_PLAN_MEM_RING] + plan->stages[s].bytes[WEIR_PLAN_MEM_BUFFER];
    }
    assert_int_equal(of_edges, of_stages);
}

static void
check_same(const struct weir_plan *plan, const struct fixture *fixture,
    const struct weir_plan_host *host, const struct weir_plan_options *options)
{
    struct weir_plan *again = fixture_plan(fixture, host, options);
    char *text[2] = {NULL, NULL};
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        FILE *to = open_memstream(&text[i], &bytes[i]);
        assert_int_equal(weir_plan_print(i == 0 ? plan : again, to), 0);
        (void)fclose(to);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
    weir_plan_close(again);
}

static void
t_random_graphs_keep_every_rule(void **state)
{
    (void)state;
    const char *const seed_text = getenv("WEIR_SEED");
    const uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 20261121;
    print_message("seed %llu (WEIR_SEED)\n", (unsigned long long)seed);
    const char *const host_names[] = {"server-2s-smt", "epyc-4die", "isolated-nic", "vm-2vcpu"};
    struct weir_plan_host bases[4];
    for (int i = 0; i < 4; i++) {
        fixture_host(&bases[i], host_names[i]);
    }
    uint32_t planned = 0;
    for (uint64_t round = 0; round < RANDOM_ROUND_CNT; round++) {
        struct weir_rng rng;
        struct fixture fixture;
        struct weir_plan_host host;
        struct weir_plan_held held;
        weir_rng_init(&rng, seed + round);
        random_graph(&rng, &fixture);
        random_host(&rng, &bases[weir_rng_below(&rng, 4)], &held, &host);
        const struct weir_plan_options options = {
            .cut = (enum weir_plan_cut)weir_rng_below(&rng, 2),
            .smt = (enum weir_plan_smt)weir_rng_below(&rng, 3),
            .idle = (enum weir_plan_idle)weir_rng_below(&rng, 4)};
        struct weir_plan *plan = NULL;
        int err = weir_plan_make(&fixture.graph, &host, &options, &plan);
        if (err != 0) {
            assert_int_equal(err, WEIR_EBUDGET);
            weir_err_clear();
            continue;
        }
        planned++;
        check_stages(plan, &host);
        check_no_cycle(plan);
        check_edges(plan);
        check_memory(plan, &host);
        if (round % 16 == 0) {
            check_same(plan, &fixture, &host, &options);
        }
        weir_plan_close(plan);
    }
    assert_true(planned > RANDOM_ROUND_CNT / 2);
    for (int i = 0; i < 4; i++) {
        fixture_host_close(&bases[i]);
    }
}

/* The stages of both ends of a loop, and no others. */
static void
t_A126_the_ends_of_a_loop_share_a_core(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_plan_host host;
    fixture_host(&host, "epyc-4die");
    fixture_window_job(&fixture, 6);
    fixture.operators[0].beside = 1 + 3;
    fixture.operators[3].weight = 30; /* it is placed first */
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_ALL};
    struct weir_plan *plan = fixture_plan(&fixture, &host, &cut);
    uint32_t pair_cnt = 0;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        for (uint32_t k = 0; k < s; k++) {
            const struct weir_plan_stage *a = &plan->stages[s];
            const struct weir_plan_stage *b = &plan->stages[k];
            bool is_pair = a->operators[0] == 3 && b->operators[0] == 0 && a->subtask == b->subtask;
            assert_int_equal(a->core == b->core, is_pair);
            pair_cnt += is_pair;
        }
    }
    assert_int_equal(pair_cnt, 6);
    weir_plan_close(plan);
    const struct weir_plan_vertex_options away = {.name = "read", .cores = "0"};
    const struct weir_plan_vertex_options there = {.name = "write", .cores = "1"};
    const struct weir_plan_vertex_options both[] = {away, there};
    fixture_window_job(&fixture, 1);
    fixture.operators[0].beside = 1 + 3;
    const struct weir_plan_options options = {
        .cut = WEIR_PLAN_CUT_ALL, .vertices = both, .vertex_cnt = 2};
    expect_error(&fixture, &host, &options, WEIR_EPLAN, "has to share its core with the other end");
    fixture_host_close(&host);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_one_subtask_is_one_stage_though_keyed),
        cmocka_unit_test(t_cut_all_joins_stages_by_rings),
        cmocka_unit_test(t_keyed_between_two_subtasks_is_an_exchange),
        cmocka_unit_test(t_slot_sharing_groups_have_cores_of_their_own),
        cmocka_unit_test(t_slot_sharing_groups_get_cores_by_their_weight),
        cmocka_unit_test(t_A126_the_ends_of_a_loop_share_a_core),
        cmocka_unit_test(t_rescale_gives_each_consumer_a_share_of_the_producers),
        cmocka_unit_test(t_T147_forward_between_unequal_parallelisms_is_refused),
        cmocka_unit_test(t_fusing_never_closes_a_cycle_of_stages),
        cmocka_unit_test(t_a_wrong_graph_is_refused_by_name),
        cmocka_unit_test(t_core_lists_name_numbers_groups_and_cards),
        cmocka_unit_test(t_core_lists_that_cannot_be_had_are_refused),
        cmocka_unit_test(t_vertex_options_that_fit_nothing_are_refused),
        cmocka_unit_test(t_the_budget_is_kept_or_the_split_is_said),
        cmocka_unit_test(t_a_document_of_the_plan_can_be_written),
        cmocka_unit_test(t_loops_count_as_memory),
        cmocka_unit_test(t_T079d_edges_that_stay_aligned_are_said),
        cmocka_unit_test(t_random_graphs_keep_every_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
