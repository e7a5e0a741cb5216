/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of one group in a whole job: none runs further ahead of the others than it may (SCENARIOS
 * T-317). */
#include <string.h>

#include "base/cgroup.h"
#include "dataplane/operators/discard.h"
#include "dataplane/operators/watermark.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "tests/unit/test.h"

#define STAMP(F) F(time, at) F(i64, n)
WEIR_SCHEMA(stamp, STAMP)

#define SOURCE_CNT 3
#define LIMIT_MS 20000
#define DRIFT_MS 100
#define ROWS 8 /* of a poll, and ms between them: a poll's worth is looked at in one piece */

/* How far the sources are; the first is fast, the others make the same way in many polls. */
struct progress {
    int64_t at_ms[SOURCE_CNT];
    int64_t ahead_ms_max;
};

struct source_conf {
    struct progress *progress;
    uint32_t idx;
    uint32_t turns; /* polls for one that emits */
};

struct source_self {
    uint32_t poll_cnt;
};

static int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct source_conf *conf = op->conf;
    struct source_self *self = op->self;
    int64_t *at_ms = &conf->progress->at_ms[conf->idx];
    (void)now_ns;
    if (self->poll_cnt++ % conf->turns != 0) {
        return WEIR_WAIT;
    }
    for (uint32_t i = 0; i < ROWS && *at_ms < LIMIT_MS; i++) {
        stamp_emit(out)->at = ++*at_ms;
    }
    int64_t least_ms = INT64_MAX;
    for (uint32_t s = 0; s < SOURCE_CNT; s++) {
        least_ms = weir_min_i64(least_ms, conf->progress->at_ms[s]);
    }
    if (least_ms > 0 && *at_ms < LIMIT_MS) {
        conf->progress->ahead_ms_max =
            weir_max_i64(conf->progress->ahead_ms_max, *at_ms - least_ms);
    }
    return *at_ms == LIMIT_MS ? WEIR_DONE : WEIR_AGAIN;
}

static const struct weir_operator_type source_type = {.name = "stamps",
    .self_bytes = sizeof(struct source_self),
    .output_cnt = 1,
    .poll = source_poll};

static int
run(struct progress *progress, const char *group, enum weir_plan_cut cut, uint64_t seed)
{
    static const char *const sources[SOURCE_CNT] = {"a", "b", "c"};
    static const char *const marks[SOURCE_CNT] = {"wa", "wb", "wc"};
    static const char *const sinks[SOURCE_CNT] = {"oa", "ob", "oc"};
    struct weir_discard_result results[SOURCE_CNT];
    struct weir_env *env;
    struct weir_topo *topo;
    struct weir_plan *plan;
    struct weir_cgroup cgroup;
    struct weir_job *job = NULL;
    memset(results, 0, sizeof results);
    memset(progress, 0, sizeof *progress);
    assert_int_equal(weir_env_new("stamps", &env), 0);
    for (uint32_t i = 0; i < SOURCE_CNT; i++) {
        const struct source_conf conf = {.progress = progress, .idx = i, .turns = i == 0 ? 1 : 20};
        const struct weir_watermark_conf by = {.group = group, .drift_ms = DRIFT_MS};
        const struct weir_discard_conf discard = {.results = &results[i]};
        struct weir_stream *s =
            weir_source(env, sources[i], stamp_schema(), &source_type, &conf, sizeof conf);
        s = weir_watermarks_by(weir_parallelism(s, 1), marks[i], &by);
        s = weir_parallelism(s, 1);
        s = weir_sink(s, sinks[i], &weir_discard_type, &discard, sizeof discard);
        (void)weir_parallelism(s, 1);
    }
    assert_int_equal(weir_env_check(env), 0);
    assert_int_equal(weir_topo_open_live(&topo), 0);
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    const struct weir_plan_host host = {
        .topo = topo, .effective = cgroup.cpus, .budget_bytes = 64 * WEIR_MIB};
    const struct weir_plan_options options = {.cut = cut};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &options, &plan), 0);
    const struct weir_job_options job_options = {
        .poller = WEIR_JOB_SEEDED, .seed = seed, .batch_rows = 256, .small_pages = true};
    int err = weir_job_new(env, plan, &job_options, &job);
    err = err == 0 ? weir_job_run(job) : err;
    for (uint32_t i = 0; i < SOURCE_CNT && err == 0; i++) {
        assert_int_equal(results[i].rows, LIMIT_MS);
    }
    weir_job_delete(job);
    weir_plan_close(plan);
    weir_topo_close(topo);
    weir_env_delete(env);
    return err;
}

static void
t_T317_no_source_runs_too_far_ahead_of_its_group(void **state)
{
    (void)state;
    struct progress progress;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        assert_int_equal(run(&progress, "g", WEIR_PLAN_CUT_NONE, seed), 0);
        assert_in_range(progress.ahead_ms_max, 1, DRIFT_MS + ROWS);
        assert_int_equal(run(&progress, NULL, WEIR_PLAN_CUT_NONE, seed), 0);
        assert_true(progress.ahead_ms_max > 2 * (DRIFT_MS + ROWS));
    }
}

static void
t_T317_who_holds_a_source_shares_its_stage(void **state)
{
    (void)state;
    struct progress progress;
    char text[512];
    weir_err_clear();
    assert_int_equal(run(&progress, "g", WEIR_PLAN_CUT_ALL, 1), WEIR_EPLAN);
    weir_err_save(text, sizeof text);
    assert_non_null(strstr(text, "operator wa holds a source of its group back"));
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T317_no_source_runs_too_far_ahead_of_its_group),
        cmocka_unit_test(t_T317_who_holds_a_source_shares_its_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
