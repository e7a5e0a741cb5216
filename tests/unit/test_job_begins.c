/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs whose sources begin the checkpoints (SEMANTICS A-245), in a world in memory:
 *
 *     marks (2 subtasks), each of which says numbers at rows of its own --> out
 *
 * Which checkpoint a start goes on from is told by where its sources begin again. */
#include <string.h>

#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "tests/unit/test.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)

#define HOST "core:4 pu:1"
#define SUBTASK_CNT 2
#define NUMBER_CNT_MAX 6
/* Of simulated time, of which a poll takes half a microsecond. */
#define INTERVAL_NS (20 * WEIR_US)
#define LATENCY_NS_MAX (20 * WEIR_US)

/* Row EVERY * (i + 1) of a subtask is behind its numbers[i]; 0: none there. */
#define EVERY 4000
/* Behind them, so many more, one a poll. */
#define LINGER_CNT 4000

static struct script {
    uint64_t numbers[SUBTASK_CNT][NUMBER_CNT_MAX];
    uint64_t row_cnt; /* of a subtask; UINT64_MAX: it does not end */
    uint32_t slice_cnt[SUBTASK_CNT]; /* rows of a poll */
} script;
static uint64_t restored_at[SUBTASK_CNT];
static uint64_t polled_cnt; /* by all subtasks, of rows */

struct marks {
    uint64_t next;
    uint64_t number; /* that the last poll stopped at */
};

static int
marks_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct marks *self = op->self;
    uint32_t own = op->env->subtask_idx;
    (void)now_ns;
    self->number = 0;
    for (uint32_t i = 0; i < script.slice_cnt[own] && weir_out_room(out, 1, 0); i++) {
        number_emit(out)->n = (int64_t)self->next++;
        polled_cnt++;
        if (self->next > script.row_cnt) { /* what was begun is stored meanwhile */
            return self->next - script.row_cnt < LINGER_CNT ? WEIR_AGAIN : WEIR_DONE;
        }
        if (self->next % EVERY == 0 && self->next / EVERY <= NUMBER_CNT_MAX) {
            self->number = script.numbers[own][self->next / EVERY - 1];
            return WEIR_AGAIN;
        }
    }
    return WEIR_AGAIN;
}

static uint64_t
marks_begins(const struct weir_operator *op)
{
    return ((const struct marks *)op->self)->number;
}

static int
marks_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_parts_begin(parts, "next", 1);
    weir_parts_put_u64(parts, ((struct marks *)op->self)->next);
    weir_parts_end(parts);
    return 0;
}

static int
marks_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct marks *self = op->self;
    uint32_t own = op->env->subtask_idx;
    struct weir_part part;
    assert_int_equal(parts_cnt, SUBTASK_CNT);
    int rc = weir_parts_find(&parts[own], "next", 1, &part);
    rc = rc != 0 ? rc : weir_part_get(&part, &self->next, sizeof self->next);
    restored_at[own] = self->next;
    return rc;
}

static const struct weir_operator_type marks_type = {.name = "marks",
    .output_cnt = 1,
    .self_bytes = sizeof(struct marks),
    .poll = marks_poll,
    .snapshot = marks_snapshot,
    .restore = marks_restore,
    .begins = marks_begins};

/* Numbers that nobody begins a checkpoint with. */
static int
plain_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct marks *self = op->self;
    (void)now_ns;
    number_emit(out)->n = 0;
    return self->next++ == 30 * EVERY ? WEIR_DONE : WEIR_AGAIN;
}

static const struct weir_operator_type plain_type = {
    .name = "plain", .output_cnt = 1, .self_bytes = sizeof(struct marks), .poll = plain_poll};

WEIR_FILTER(any, number)
{
    return in->n >= 0;
}

/* ---- a run ---- */

struct world {
    struct weir_sim *sim;
    struct weir_topo *topo;
    struct weir_job *job;
    uint64_t poll_cnt;
    uint64_t stop_at; /* polls; 0: it is not */
    uint64_t save_at;
    bool has_plain; /* beside those that begin checkpoints */
    bool is_fused; /* in one task with them */
    struct weir_job_checkpoint_view view;
};

static bool
seen(void *arg, const struct weir_poller_seen *poll)
{
    struct world *w = arg;
    (void)poll;
    w->poll_cnt++;
    if (w->poll_cnt == w->stop_at) {
        weir_job_request(w->job, WEIR_TASK_REQUEST_STOP);
    }
    if (w->poll_cnt == w->save_at) {
        assert_true(weir_job_savepoint(w->job, 7));
    }
    return true;
}

static struct weir_env *
build(const struct world *w, struct weir_discard_result *results)
{
    const struct weir_discard_conf discard = {.results = results};
    struct weir_env *env;
    assert_int_equal(weir_env_new("job", &env), 0);
    weir_env_set_parallelism(env, SUBTASK_CNT);
    struct weir_stream *s = weir_source(env, "marks", number_schema(), &marks_type, NULL, 0);
    if (w->has_plain) {
        s = weir_union(s, weir_source(env, "plain", number_schema(), &plain_type, NULL, 0));
    }
    if (w->is_fused) {
        s = weir_filter(s, "all", &any_op);
    }
    s = weir_partition(s, WEIR_PARTITION_REBALANCE);
    (void)weir_sink(s, "out", &weir_discard_type, &discard, sizeof discard);
    assert_int_equal(weir_env_check(env), 0);
    return env;
}

static void
run(struct world *w, uint64_t seed, uint32_t concurrent_max)
{
    struct weir_discard_result results[2 * SUBTASK_CNT] = {{0}};
    struct weir_env *env = build(w, results);
    struct weir_plan *plan;
    const struct weir_plan_host host = {
        .topo = w->topo, .effective = w->topo->cpus, .budget_bytes = 128 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_NONE};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &cut, &plan), 0);
    const struct weir_job_world world = {
        .sim = w->sim, .start_ns = weir_sim_now_ns(w->sim), .seen_fn = seen, .seen_arg = w};
    const struct weir_job_options options = {.world = &world,
        .checkpoints = {.dir = "/checkpoints",
            .retained = 1,
            .throttle_max_ns = WEIR_SEC_NS,
            .coordinator = {.interval_ns = INTERVAL_NS,
                .timeout_ns = WEIR_SEC_NS,
                .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
                .concurrent_max = concurrent_max,
                .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
                .is_after_finish = true}},
        .restore = {.from = WEIR_JOB_RESTORE_LATEST},
        .poller = WEIR_JOB_SEEDED,
        .seed = seed,
        .batch_rows = 64,
        .state_bytes = 8 * WEIR_MIB,
        .small_pages = true};
    memset(restored_at, 0, sizeof restored_at);
    w->poll_cnt = 0;
    polled_cnt = 0;
    assert_int_equal(weir_job_new(env, plan, &options, &w->job), 0);
    int rc = weir_job_run(w->job);
    if (rc != 0) {
        char text[1024];
        weir_err_save(text, sizeof text);
        fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    }
    weir_job_checkpoints(w->job, &w->view);
    weir_job_delete(w->job);
    weir_plan_close(plan);
    weir_env_delete(env);
}

static void
world_open(struct world *w, uint64_t seed)
{
    const struct weir_sim_config config = {
        .seed = seed, .utc_ns = WEIR_SEC_NS, .latency_ns_max = LATENCY_NS_MAX};
    memset(w, 0, sizeof *w);
    assert_int_equal(weir_topo_open_synthetic(HOST, &w->topo), 0);
    assert_int_equal(weir_sim_open(&config, &w->sim), 0);
}

static void
world_close(struct world *w)
{
    weir_sim_close(w->sim);
    weir_topo_close(w->topo);
}

/* Which rows a new start begins with, by subtask. */
static void
assert_goes_on_at(struct world *w, uint64_t seed, uint64_t first, uint64_t second)
{
    w->stop_at = 0;
    w->save_at = 0;
    run(w, seed, 1);
    assert_int_equal(restored_at[0], first);
    assert_int_equal(restored_at[1], second);
}

#define SEED_CNT 10

static void
t_A245_the_job_has_the_checkpoints_of_its_sources(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_CNT; seed++) {
        struct world w;
        world_open(&w, seed);
        script = (struct script){{{5, 0, 9, 0, 0, 0}, {0, 5, 9, 0, 0, 0}}, 8 * EVERY, {1, 1}};
        run(&w, seed, 1);
        assert_int_equal(w.view.completed_cnt, 2); /* however often the interval has passed */
        assert_int_equal(w.view.failed_cnt, 0);
        assert_goes_on_at(&w, seed, 3 * EVERY, 3 * EVERY);
        world_close(&w);
    }
}

/* Subtask 0 is far ahead: its numbers come while the first one waits for subtask 1. */
static void
t_A245_a_number_that_comes_too_soon_is_passed_by_all(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_CNT; seed++) {
        struct world w;
        world_open(&w, seed);
        script = (struct script){{{1, 2, 3, 0, 0, 0}, {0, 0, 1, 2, 3, 0}}, 8 * EVERY, {4, 1}};
        run(&w, seed, 1);
        assert_int_equal(w.view.completed_cnt, 1);
        assert_int_equal(w.view.failed_cnt, 0);
        assert_goes_on_at(&w, seed, 1 * EVERY, 3 * EVERY);
        world_close(&w);
        /* Where several may be under way, they are. */
        world_open(&w, seed);
        run(&w, seed, 4);
        assert_int_equal(w.view.completed_cnt, 3);
        assert_goes_on_at(&w, seed, 3 * EVERY, 5 * EVERY);
        world_close(&w);
    }
}

static void
t_A245_sources_that_say_other_numbers_abort_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_CNT; seed++) {
        struct world w;
        world_open(&w, seed);
        script = (struct script){{{1, 2, 0, 0, 5, 0}, {1, 0, 4, 0, 5, 0}}, 8 * EVERY, {1, 1}};
        run(&w, seed, 1);
        assert_int_equal(w.view.completed_cnt, 2);
        assert_int_equal(w.view.failed_cnt, 2);
        assert_string_equal(
            w.view.failed_why, "a source that begins checkpoints has begun a later one");
        assert_goes_on_at(&w, seed, 5 * EVERY, 5 * EVERY);
        world_close(&w);
    }
}

static void
t_A245_a_savepoint_is_refused_and_a_stop_waits_for_the_next_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_CNT; seed++) {
        struct world w;
        world_open(&w, seed);
        script = (struct script){{{0, 0, 0, 0, 1, 2}, {0, 0, 0, 0, 1, 2}}, UINT64_MAX, {32, 32}};
        w.save_at = 40;
        w.stop_at = 60;
        run(&w, seed, 1);
        assert_int_equal(w.view.savepoint.ticket, 7);
        assert_int_equal(w.view.savepoint.id, 0);
        assert_string_equal(
            w.view.savepoint.why, "its sources begin the checkpoints, and no other is taken");
        assert_int_equal(w.view.completed_cnt, 1);
        assert_int_equal(polled_cnt, 2 * 5 * EVERY); /* and no row behind it */
        script.row_cnt = 8 * EVERY;
        assert_goes_on_at(&w, seed, 5 * EVERY, 5 * EVERY);
        world_close(&w);
    }
}

/* Once they have ended, the clock begins checkpoints as for any other job. */
static void
t_A245_behind_their_end_the_interval_counts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, 1);
        w.has_plain = true;
        w.is_fused = i == 1;
        script = (struct script){{{1}, {1}}, 2 * EVERY, {32, 32}};
        run(&w, 1, 1);
        assert_true(w.view.completed_cnt > 4);
        world_close(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A245_the_job_has_the_checkpoints_of_its_sources),
        cmocka_unit_test(t_A245_a_number_that_comes_too_soon_is_passed_by_all),
        cmocka_unit_test(t_A245_sources_that_say_other_numbers_abort_it),
        cmocka_unit_test(t_A245_a_savepoint_is_refused_and_a_stop_waits_for_the_next_one),
        cmocka_unit_test(t_A245_behind_their_end_the_interval_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
