/* SPDX-License-Identifier: Apache-2.0 */
/* A job with state is stopped at moments that are drawn, most of them while a checkpoint is under
 * way: its last checkpoint waits until the storage core has let go of the one that it gives up. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "sched/keyed.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
#define TALLY(F) F(i64, n) F(i64, cnt)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)
WEIR_SCHEMA(tally, TALLY)

#define HOST "core:4 pu:1"
#define STOP_CNT 120
#define SLICE_CNT 32 /* rows of a poll of the source */
#define KEY_CNT 4000
/* The job reads, checkpoints and writes for a while before it is stopped. */
#define POLL_CNT_MIN 600
#define POLL_CNT_MAX 1800
/* Of simulated time, of which a poll takes half a microsecond. */
#define INTERVAL_NS (20 * WEIR_US)
#define LATENCY_NS_MAX (20 * WEIR_US)

/* ---- numbers without end ---- */

struct numbers {
    uint64_t next;
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct numbers *self = op->self;
    (void)now_ns;
    for (uint32_t i = 0; i < SLICE_CNT && weir_out_room(out, 1, 0); i++) {
        number_emit(out)->n = (int64_t)(weir_rng_mix(self->next++) % KEY_CNT);
    }
    return WEIR_AGAIN;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers", .output_cnt = 1, .self_bytes = sizeof(struct numbers), .poll = numbers_poll};

/* ---- a start and its stop ---- */

struct stopper {
    struct weir_job *job;
    uint64_t poll_cnt;
    uint64_t at;
};

static bool
seen(void *arg, const struct weir_poller_seen *poll)
{
    struct stopper *stopper = arg;
    (void)poll;
    if (++stopper->poll_cnt == stopper->at) {
        weir_job_request(stopper->job, WEIR_TASK_REQUEST_STOP);
    }
    return true;
}

static struct weir_env *
build(struct weir_discard_result *results)
{
    const struct weir_discard_conf discard = {.results = results};
    const struct weir_reduce_conf reduce = {.aggregate = weir_aggregate_count()};
    struct weir_env *env;
    assert_int_equal(weir_env_new("job", &env), 0);
    weir_env_set_parallelism(env, 1);
    struct weir_stream *s = weir_source(env, "numbers", number_schema(), &numbers_type, NULL, 0);
    s = weir_reduce(weir_key_by(s, WEIR_KEY(number, n)), "tally", &reduce, tally_schema());
    (void)weir_sink(s, "out", &weir_discard_type, &discard, sizeof discard);
    assert_int_equal(weir_env_check(env), 0);
    return env;
}

/* Returns how many checkpoints were completed. */
static uint64_t
run_to_stop(struct weir_sim *sim, const struct weir_topo *topo, uint64_t seed)
{
    struct weir_discard_result results[4] = {{0}};
    struct weir_env *env = build(results);
    struct weir_plan *plan;
    struct weir_rng rng;
    struct weir_job_checkpoint_view view;
    weir_rng_init(&rng, seed);
    struct stopper stopper = {.at = weir_rng_between(&rng, POLL_CNT_MIN, POLL_CNT_MAX)};
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 128 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_NONE};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &cut, &plan), 0);
    const struct weir_job_world world = {
        .sim = sim, .start_ns = weir_sim_now_ns(sim), .seen_fn = seen, .seen_arg = &stopper};
    const struct weir_job_options options = {.world = &world,
        .checkpoints = {.dir = "/checkpoints",
            .retained = 1,
            .throttle_max_ns = WEIR_SEC_NS,
            .coordinator = {.interval_ns = INTERVAL_NS,
                .timeout_ns = WEIR_SEC_NS,
                .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
                .concurrent_max = 1,
                .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
                .is_after_finish = true}},
        .restore = {.from = WEIR_JOB_RESTORE_LATEST},
        .poller = WEIR_JOB_SEEDED,
        .seed = weir_rng_u64(&rng),
        .batch_rows = 64,
        .state_bytes = 8 * WEIR_MIB,
        .small_pages = true};
    assert_int_equal(weir_job_new(env, plan, &options, &stopper.job), 0);
    int rc = weir_job_run(stopper.job);
    if (rc != 0) {
        char text[1024];
        weir_err_save(text, sizeof text);
        fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    }
    weir_job_checkpoints(stopper.job, &view);
    assert_true(stopper.poll_cnt > stopper.at);
    assert_int_equal(view.failed_cnt, 0);
    weir_job_delete(stopper.job);
    weir_plan_close(plan);
    weir_env_delete(env);
    return view.completed_cnt;
}

static void
t_a_stop_waits_for_what_is_left_of_a_checkpoint(void **state)
{
    struct weir_topo *topo;
    uint64_t seed = seed_of_run();
    uint64_t completed_cnt = 0;
    (void)state;
    assert_int_equal(weir_topo_open_synthetic(HOST, &topo), 0);
    for (uint64_t i = 0; i < STOP_CNT; i++) {
        const struct weir_sim_config config = {
            .seed = seed + i, .utc_ns = WEIR_SEC_NS, .latency_ns_max = LATENCY_NS_MAX};
        struct weir_sim *sim;
        assert_int_equal(weir_sim_open(&config, &sim), 0);
        completed_cnt += run_to_stop(sim, topo, seed + i);
        weir_sim_close(sim);
    }
    assert_true(completed_cnt > 3 * STOP_CNT); /* its last one, and some before it */
    weir_topo_close(topo);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_stop_waits_for_what_is_left_of_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
