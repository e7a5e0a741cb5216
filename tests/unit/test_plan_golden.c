/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of known jobs on the recorded hosts, compared with tests/data/plan/<case>.txt.
 * scripts/golden-plans writes those files again; read the difference before you commit it. */
#include <stdlib.h>

#include "tests/unit/plan_fixture.h"

struct golden {
    const char *name;
    const char *host;
    const char *effective; /* NULL: all */
    const char *held; /* CPUs of a job called "other"; NULL: none */
    uint32_t parallelism;
    void (*job)(struct fixture *fixture, uint32_t parallelism);
    struct weir_plan_options options;
};

/* Two sources joined, with a broadcast side input and a side output. */
static void
join_job(struct fixture *fixture, uint32_t parallelism)
{
    fixture_init(fixture, "join");
    (void)fixture_operator(fixture, "persons", WEIR_PLAN_SOURCE, parallelism);
    (void)fixture_operator(fixture, "auctions", WEIR_PLAN_SOURCE, parallelism);
    (void)fixture_operator(fixture, "rates", WEIR_PLAN_SOURCE, 1);
    struct weir_plan_operator *join =
        fixture_operator(fixture, "join", WEIR_PLAN_OPERATOR, parallelism);
    join->stateful = true;
    join->max_parallelism = 128;
    join->state_bytes = 64 * WEIR_MIB;
    join->weight = 3;
    (void)fixture_operator(fixture, "enrich", WEIR_PLAN_OPERATOR, parallelism);
    (void)fixture_operator(fixture, "write", WEIR_PLAN_SINK, parallelism);
    (void)fixture_operator(fixture, "late", WEIR_PLAN_SINK, 1);
    fixture_link(fixture, 0, 3, WEIR_PLAN_KEYED);
    fixture_link(fixture, 1, 3, WEIR_PLAN_KEYED);
    fixture->links[1].input = 1;
    fixture_link(fixture, 3, 4, WEIR_PLAN_FORWARD);
    fixture_link(fixture, 2, 4, WEIR_PLAN_BROADCAST);
    fixture->links[3].input = 1;
    fixture_link(fixture, 4, 5, WEIR_PLAN_FORWARD);
    fixture_link(fixture, 3, 6, WEIR_PLAN_REBALANCE);
    fixture->links[5].output = 1;
}

static const char *const after_parse[] = {"parse"};
static const struct weir_plan_vertex_options window_alone[] = {
    {.name = "window", .cut_after = after_parse, .cut_after_cnt = 1}};
static const struct weir_plan_vertex_options window_placed[] = {
    {.name = "window", .cores = "12-13", .numa = "0", .idle = WEIR_PLAN_IDLE_SPIN},
    {.name = "read", .cores = "near:nic:ens3f0"}};

static const struct golden goldens[] = {
    {.name = "vm-fused", .host = "vm-2vcpu", .parallelism = 1, .job = fixture_window_job},
    {.name = "vm-cut-after",
        .host = "vm-2vcpu",
        .parallelism = 1,
        .job = fixture_window_job,
        .options = {.vertices = window_alone, .vertex_cnt = 1}},
    {.name = "vm-cut-all",
        .host = "vm-2vcpu",
        .parallelism = 1,
        .job = fixture_window_job,
        .options = {.cut = WEIR_PLAN_CUT_ALL}},
    {.name = "vm-parallel-2", .host = "vm-2vcpu", .parallelism = 2, .job = fixture_window_job},
    {.name = "vm-one-cpu",
        .host = "vm-2vcpu",
        .effective = "0",
        .parallelism = 2,
        .job = fixture_window_job,
        .options = {.cut = WEIR_PLAN_CUT_ALL}},
    {.name = "vm-join", .host = "vm-2vcpu", .parallelism = 1, .job = join_job},
    {.name = "server-auto", .host = "server-2s-smt", .parallelism = 4, .job = fixture_window_job},
    {.name = "server-smt-use",
        .host = "server-2s-smt",
        .effective = "0-3,32-35",
        .parallelism = 4,
        .job = fixture_window_job,
        .options = {.smt = WEIR_PLAN_SMT_USE, .cores = "0-3h"}},
    {.name = "server-smt-only",
        .host = "server-2s-smt",
        .parallelism = 2,
        .job = fixture_window_job,
        .options = {.smt = WEIR_PLAN_SMT_ONLY, .cores = "numa:1"}},
    {.name = "server-held",
        .host = "server-2s-smt",
        .held = "0-11,32-43",
        .parallelism = 4,
        .job = join_job},
    {.name = "epyc-cut-all",
        .host = "epyc-4die",
        .parallelism = 2,
        .job = fixture_window_job,
        .options = {.cut = WEIR_PLAN_CUT_ALL, .housekeeping = "0,32"}},
    {.name = "epyc-l3",
        .host = "epyc-4die",
        .parallelism = 3,
        .job = join_job,
        .options = {.cores = "l3:2,l3:3"}},
    {.name = "isolated-auto", .host = "isolated-nic", .parallelism = 3, .job = fixture_window_job},
    {.name = "isolated-near-nic",
        .host = "isolated-nic",
        .parallelism = 2,
        .job = fixture_window_job,
        .options = {.vertices = window_placed, .vertex_cnt = 2, .idle = WEIR_PLAN_IDLE_ADAPTIVE}},
};

static void
compare(const char *path, const char *text)
{
    static char kept[1 << 18];
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail_msg("%s is missing: scripts/golden-plans writes it", path);
        return;
    }
    size_t n = fread(kept, 1, sizeof kept - 1, f);
    kept[n] = '\0';
    (void)fclose(f);
    if (strcmp(kept, text) != 0) {
        fail_msg("the plan differs from %s; it is now:\n%s", path, text);
    }
}

/* Every stage has its box, every tag is closed, and WEIR_PICTURES=DIR keeps the files for the
 * eye. */
static void
check_picture(const struct weir_plan *plan, const char *name)
{
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_int_equal(weir_plan_svg(plan, to), 0);
    (void)fclose(to);
    uint32_t stage_cnt = 0;
    for (const char *at = text; (at = strstr(at, "class=\"stage\"")) != NULL; at++) {
        stage_cnt++;
    }
    assert_int_equal(stage_cnt, plan->stage_cnt);
    assert_non_null(strstr(text, "</svg>"));
    assert_null(strstr(text, "nan"));
    if (getenv("WEIR_PICTURES") != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s.svg", getenv("WEIR_PICTURES"), name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        (void)fputs(text, f);
        (void)fclose(f);
    }
    free(text);
}

static void
check_golden(const struct golden *golden)
{
    struct weir_plan_host host;
    struct weir_plan_held held = {.job = "other"};
    struct fixture fixture;
    fixture_host(&host, golden->host);
    golden->job(&fixture, golden->parallelism);
    if (golden->effective != NULL) {
        assert_int_equal(weir_cpuset_parse(golden->effective, &host.effective), 0);
        host.effective_limit = "taskset";
    }
    if (golden->held != NULL) {
        assert_int_equal(weir_cpuset_parse(golden->held, &held.cpus), 0);
        host.held = &held;
        host.held_cnt = 1;
    }
    host.budget_limit = "memory.budget";
    struct weir_plan *plan = fixture_plan(&fixture, &host, &golden->options);
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    (void)fprintf(to, "host %s, %s\n", golden->host, golden->name);
    assert_int_equal(weir_plan_print(plan, to), 0);
    (void)fclose(to);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/plan/%s.txt", WEIR_TEST_DATA, golden->name);
    if (getenv("WEIR_GOLDEN_WRITE") != NULL) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        (void)fputs(text, f);
        (void)fclose(f);
    }
    compare(path, text);
    free(text);
    check_picture(plan, golden->name);
    weir_plan_close(plan);
    fixture_host_close(&host);
}

static void
t_known_jobs_on_recorded_hosts_have_the_known_plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(goldens); i++) {
        check_golden(&goldens[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_known_jobs_on_recorded_hosts_have_the_known_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
