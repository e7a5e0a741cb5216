/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that come to their end under checkpoints, in a simulated world: the last checkpoint reaches
 * all tasks and is waited for in sleep; storage that is full then is tried again soon; a time-out
 * that no checkpoint keeps fails the job; an output whose sink had ended before a restart stays as
 * it is. */
#include <errno.h>
#include <string.h>

#include "base/rng.h"
#include "base/topo.h"
#include "dataplane/operators/file_sink.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph.h"
#include "sched/job_checkpoint.h"
#include "sched/job_part.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)

#define HOST "core:4 pu:1"
#define END_CNT 30
#define SLICE_CNT 16 /* rows of a poll of a source */
#define ROW_CNT_MAX 1000
#define LONG_CNT 400
/* Of simulated time, of which a poll takes half a microsecond. */
#define INTERVAL_NS (20 * WEIR_US)
#define LATENCY_NS_MAX (20 * WEIR_US)
#define HOUR_NS (INT64_C(3600) * WEIR_SEC_NS)
#define FULL_CNT 12 /* writes that fail: enough for some checkpoints, and a trial or two */
#define TIMEOUT_NS WEIR_SEC_NS
#define HANG_CNT 4 /* writes that take longer */
#define STOP_AT 500 /* polls from the start on: all tasks run */

/* ---- numbers from 0 on; the last half of some waits until a gate is open ---- */

struct numbers_conf {
    uint64_t row_cnt;
    const bool *gate; /* NULL: none */
};

struct numbers {
    uint64_t next;
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct numbers_conf *conf = op->conf;
    struct numbers *self = op->self;
    bool is_held = conf->gate != NULL && !*conf->gate;
    uint64_t end = is_held ? conf->row_cnt / 2 : conf->row_cnt;
    (void)now_ns;
    if (self->next >= end) {
        return is_held ? WEIR_WAIT : WEIR_DONE;
    }
    for (uint32_t i = 0; i < SLICE_CNT && self->next < end && weir_out_room(out, 1, 0); i++) {
        number_emit(out)->n = (int64_t)self->next++;
    }
    return WEIR_AGAIN;
}

static int
numbers_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_parts_begin(parts, "next", 1);
    weir_parts_put_u64(parts, ((struct numbers *)op->self)->next);
    weir_parts_end(parts);
    return 0;
}

static int
numbers_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct weir_part part;
    assert_int_equal(parts_cnt, 1);
    int err = weir_parts_find(&parts[0], "next", 1, &part);
    return err < 0 ? err : weir_part_get_u64(&part, &((struct numbers *)op->self)->next);
}

static bool
numbers_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_operator_type numbers_type = {.name = "numbers",
    .output_cnt = 1,
    .self_bytes = sizeof(struct numbers),
    .poll = numbers_poll,
    .snapshot = numbers_snapshot,
    .restore = numbers_restore,
    .replays = numbers_replays};

/* ---- a job ---- */

/* short -> near, in one stage; with far, also -> by key -> far, in two others; with long, beside it
 * long -> other. */
struct shape {
    uint64_t row_cnt;
    bool has_far;
    const bool *gate; /* of long; NULL: there is none */
    int64_t interval_ns;
    int64_t timeout_ns; /* 0: TIMEOUT_NS */
};

/* A start of it; what is seen of it: */
struct start {
    struct weir_job *job;
    struct weir_sim *sim;
    uint64_t end_behind; /* checkpoints complete behind the end of near; 0: never */
    int err; /* that the job ends with, and */
    const char *why; /* what it says */
    uint64_t stop_at; /* the poll in which it is stopped; 0: it is not */
    uint64_t poll_cnt;
    uint64_t completed_cnt; /* when near had ended; 0: it has not */
    uint64_t sleep_cnt;
    int64_t now_ns;
};

static void
add_sink(struct weir_stream *in, const char *name, const char *path, uint32_t parallelism)
{
    const struct weir_file_sink_conf file = {
        .path = path, .format = WEIR_FORMAT_CSV, .run_id = 1, .write_bytes = 64 * WEIR_KIB};
    const struct weir_operator_conf conf = {.name = name,
        .type = &weir_file_sink_type,
        .conf = &file,
        .conf_bytes = sizeof file,
        .parallelism = parallelism};
    (void)weir_operator(&in, 1, &conf);
}

static struct weir_env *
build(const struct shape *shape)
{
    const struct numbers_conf short_conf = {.row_cnt = shape->row_cnt};
    const struct numbers_conf long_conf = {.row_cnt = LONG_CNT, .gate = shape->gate};
    struct weir_env *env;
    assert_int_equal(weir_env_new("job", &env), 0);
    weir_env_set_parallelism(env, 1);
    struct weir_stream *s =
        weir_source(env, "short", number_schema(), &numbers_type, &short_conf, sizeof short_conf);
    add_sink(s, "near", "/out/near.csv", 1);
    if (shape->has_far) {
        add_sink(weir_key_by(s, WEIR_KEY(number, n)), "far", "/out/far.csv", 2);
    }
    if (shape->gate != NULL) {
        s = weir_source(env, "long", number_schema(), &numbers_type, &long_conf, sizeof long_conf);
        add_sink(s, "other", "/out/other.csv", 1);
    }
    assert_int_equal(weir_env_check(env), 0);
    return env;
}

/* The storage core has done nothing: then what it asks for is still to come. */
static void
check_sleep(struct start *start, const struct weir_poller_seen *poll)
{
    uint32_t open_cnt = 0;
    for (uint32_t s = 0; s < start->job->plan->stage_cnt; s++) {
        enum weir_task_state state = weir_task_state(weir_job_task(start->job, s));
        open_cnt +=
            state != WEIR_TASK_FINISHED && state != WEIR_TASK_CANCELED && state != WEIR_TASK_FAILED;
    }
    if (poll->at == open_cnt && !poll->did) {
        assert_true(weir_job_checkpoint_due_ns(start->job->checkpoint) > poll->now_ns);
        start->sleep_cnt++;
    }
}

static bool
seen(void *arg, const struct weir_poller_seen *poll)
{
    struct start *start = arg;
    struct weir_job_checkpoint_view view;
    uint64_t bytes;
    start->now_ns = poll->now_ns;
    check_sleep(start, poll);
    if (++start->poll_cnt == start->stop_at) {
        weir_job_request(start->job, WEIR_TASK_REQUEST_STOP);
    }
    weir_job_checkpoints(start->job, &view);
    if (start->completed_cnt == 0 && weir_sim_get(start->sim, "/out/near.csv", &bytes) != NULL) {
        start->completed_cnt = view.completed_cnt + 1;
    }
    return start->end_behind == 0 || start->completed_cnt == 0 ||
           view.completed_cnt < start->completed_cnt + start->end_behind;
}

/* Runs it to its end, or until it is killed. Returns what became of checkpoints. */
static struct weir_job_checkpoint_view
run(struct start *start, const struct weir_topo *topo, const struct shape *shape, uint64_t seed)
{
    struct weir_env *env = build(shape);
    struct weir_plan *plan;
    struct weir_job_checkpoint_view view;
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 128 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_NONE};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &cut, &plan), 0);
    const struct weir_job_world world = {.sim = start->sim,
        .start_ns = weir_sim_now_ns(start->sim),
        .seen_fn = seen,
        .seen_arg = start};
    const struct weir_job_options options = {.world = &world,
        .checkpoints = {.dir = "/checkpoints",
            .retained = 1,
            .throttle_max_ns = WEIR_SEC_NS,
            .coordinator = {.interval_ns = shape->interval_ns,
                .timeout_ns = shape->timeout_ns != 0 ? shape->timeout_ns : TIMEOUT_NS,
                .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
                .concurrent_max = 1,
                .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
                .is_after_finish = true}},
        .restore = {.from = WEIR_JOB_RESTORE_LATEST},
        .poller = WEIR_JOB_SEEDED,
        .seed = seed,
        .batch_rows = 64,
        .small_pages = true};
    assert_int_equal(weir_job_new(env, plan, &options, &start->job), 0);
    char text[1024];
    int rc = weir_job_run(start->job);
    weir_err_save(text, sizeof text);
    if (rc != (start->end_behind != 0 ? WEIR_ECANCELED : start->err) ||
        (start->why != NULL && strstr(text, start->why) == NULL)) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    }
    weir_err_clear();
    weir_job_checkpoints(start->job, &view);
    if (start->end_behind != 0) {
        weir_sim_kill(start->sim);
    }
    weir_job_delete(start->job);
    weir_plan_close(plan);
    weir_env_delete(env);
    return view;
}

static struct weir_sim *
new_world(uint64_t seed, int64_t latency_ns_max)
{
    const struct weir_sim_config config = {
        .seed = seed, .utc_ns = WEIR_SEC_NS, .latency_ns_max = latency_ns_max};
    struct weir_sim *sim;
    assert_int_equal(weir_sim_open(&config, &sim), 0);
    assert_int_equal(weir_sim_put(sim, "/out/.keep", "", 0), 0);
    return sim;
}

/* All numbers of a table of one column, each once, in any order. */
static void
expect_table(struct weir_sim *sim, const char *path, uint64_t row_cnt)
{
    uint64_t bytes = 0;
    uint64_t sum = 0;
    uint64_t cnt = 0;
    const char *text = weir_sim_get(sim, path, &bytes);
    assert_non_null(text);
    for (uint64_t at = 2; at < bytes; at++) { /* behind the header, "n" */
        uint64_t number = 0;
        for (; at < bytes && text[at] != '\n'; at++) {
            number = 10 * number + (uint64_t)(text[at] - '0');
        }
        sum += weir_rng_mix(number);
        cnt++;
    }
    for (uint64_t i = 0; i < row_cnt; i++) {
        sum -= weir_rng_mix(i);
    }
    assert_int_equal(cnt, row_cnt);
    assert_int_equal(sum, 0);
}

/* A task whose outputs have ended sends no barrier; the moment of that is drawn. */
static void
t_the_last_checkpoint_reaches_all_tasks(void **state)
{
    struct weir_topo *topo = *state;
    uint64_t seed = seed_of_run();
    uint64_t sleep_cnt = 0;
    for (uint64_t i = 0; i < END_CNT; i++) {
        struct weir_rng rng;
        weir_rng_init(&rng, seed + i);
        int64_t latency_ns = (int64_t)weir_rng_between(&rng, 10, (uint64_t)LATENCY_NS_MAX / 10);
        struct start start = {.sim = new_world(seed + i, latency_ns)};
        const struct shape shape = {.row_cnt = weir_rng_between(&rng, 1, ROW_CNT_MAX),
            .has_far = true,
            .interval_ns = latency_ns};
        struct weir_job_checkpoint_view view = run(&start, topo, &shape, weir_rng_u64(&rng));
        if (view.failed_cnt != 0) {
            fail_msg("seed %llu: checkpoint %llu: %s", (unsigned long long)(seed + i),
                (unsigned long long)view.failed_id, view.failed_why);
        }
        assert_true(view.completed_cnt > 0);
        expect_table(start.sim, "/out/near.csv", shape.row_cnt);
        expect_table(start.sim, "/out/far.csv", shape.row_cnt);
        sleep_cnt += start.sleep_cnt;
        weir_sim_close(start.sim);
    }
    assert_true(sleep_cnt > END_CNT); /* see check_sleep */
}

/* Checkpoints are rare, and the last one finds no room for a while: it is tried again in seconds,
 * and not when the next one would be due. */
static void
t_a_full_disk_at_the_end_is_looked_at_again_soon(void **state)
{
    struct weir_topo *topo = *state;
    const struct shape shape = {.row_cnt = 100, .interval_ns = 24 * HOUR_NS};
    struct start start = {.sim = new_world(seed_of_run(), LATENCY_NS_MAX)};
    for (uint32_t i = 0; i < FULL_CNT; i++) {
        const struct weir_sim_trouble full = {.kind = WEIR_SIM_ERROR,
            .verb = WEIR_IO_WRITE,
            .errnum = ENOSPC,
            .under = "/checkpoints/job/data"};
        assert_true(weir_sim_trouble(start.sim, &full));
    }
    struct weir_job_checkpoint_view view = run(&start, topo, &shape, 1);
    assert_true(view.failed_cnt >= 4);
    assert_int_equal(view.completed_cnt, 1);
    assert_true(start.now_ns < 100 * WEIR_SEC_NS);
    expect_table(start.sim, "/out/near.csv", shape.row_cnt);
    weir_sim_close(start.sim);
}

/* It would be tried for ever, whether the clock of the checkpoints asks for it or the end of the
 * job. Nothing is published; a start with more time goes on to the end. */
static void
t_a_time_out_that_no_checkpoint_keeps_fails_the_job(void **state)
{
    static const int64_t intervals_ns[] = {24 * HOUR_NS, 50 * WEIR_MS};
    struct weir_topo *topo = *state;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(intervals_ns); i++) {
        struct shape shape = {
            .row_cnt = 300, .has_far = true, .interval_ns = intervals_ns[i], .timeout_ns = 1};
        struct start start = {.sim = new_world(seed_of_run() + i, LATENCY_NS_MAX),
            .err = WEIR_EFAILED,
            .why = "with which the job was to end, took longer than checkpoints.timeout (1e-09 s)"};
        struct weir_job_checkpoint_view view = run(&start, topo, &shape, 1);
        uint64_t bytes;
        assert_int_equal(view.completed_cnt, 0);
        assert_true(view.failed_cnt >= WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX);
        assert_true(i > 0 || view.failed_cnt < 2 * WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX);
        assert_null(weir_sim_get(start.sim, "/out/near.csv", &bytes));
        shape.timeout_ns = 0;
        struct start again = {.sim = start.sim};
        (void)run(&again, topo, &shape, 1);
        expect_table(start.sim, "/out/near.csv", shape.row_cnt);
        expect_table(start.sim, "/out/far.csv", shape.row_cnt);
        weir_sim_close(start.sim);
    }
}

/* Its sources are held for it: they cannot go on as if it had not been. */
static void
t_a_stop_that_is_overdue_fails_the_job(void **state)
{
    struct weir_topo *topo = *state;
    const bool gate = false;
    const struct shape shape = {
        .row_cnt = 300, .gate = &gate, .interval_ns = 24 * HOUR_NS, .timeout_ns = 1};
    struct start start = {.sim = new_world(seed_of_run(), LATENCY_NS_MAX),
        .err = WEIR_EFAILED,
        .why = "to stop the job, was aborted: it took longer than checkpoints.timeout",
        .stop_at = STOP_AT};
    struct weir_job_checkpoint_view view = run(&start, topo, &shape, 1);
    assert_true(start.poll_cnt > start.stop_at);
    assert_int_equal(view.completed_cnt, 0);
    weir_sim_close(start.sim);
}

/* Longer than the time-out, until it answers again: the job ends then. */
static void
t_a_storage_that_hangs_at_the_end_is_waited_for(void **state)
{
    struct weir_topo *topo = *state;
    const struct shape shape = {.row_cnt = 100, .interval_ns = 24 * HOUR_NS};
    struct start start = {.sim = new_world(seed_of_run(), LATENCY_NS_MAX)};
    for (uint32_t i = 0; i < HANG_CNT; i++) {
        const struct weir_sim_trouble late = {.kind = WEIR_SIM_LATE,
            .verb = WEIR_IO_WRITE,
            .late_ns = 30 * TIMEOUT_NS,
            .under = "/checkpoints/job/data"};
        assert_true(weir_sim_trouble(start.sim, &late));
    }
    struct weir_job_checkpoint_view view = run(&start, topo, &shape, 1);
    assert_true(view.failed_cnt >= 2);
    assert_int_equal(view.completed_cnt, 1);
    expect_table(start.sim, "/out/near.csv", shape.row_cnt);
    weir_sim_close(start.sim);
}

/* A sink that had ended has nothing in the checkpoint, nor in the one behind the next start: what
 * it has published is left alone. */
static void
t_what_a_sink_has_published_outlives_starts_after_its_end(void **state)
{
    struct weir_topo *topo = *state;
    uint64_t seed = seed_of_run();
    bool gate = false;
    const struct shape shape = {.row_cnt = 300, .gate = &gate, .interval_ns = INTERVAL_NS};
    struct weir_sim *sim = new_world(seed, LATENCY_NS_MAX);
    for (uint64_t i = 0; i < 3; i++) {
        struct start start = {.sim = sim, .end_behind = 2};
        struct weir_job_checkpoint_view view = run(&start, topo, &shape, seed + i);
        assert_int_equal(view.restored.checkpoint != 0, i > 0);
        expect_table(sim, "/out/near.csv", shape.row_cnt);
    }
    gate = true;
    struct start start = {.sim = sim};
    (void)run(&start, topo, &shape, seed);
    expect_table(sim, "/out/near.csv", shape.row_cnt);
    expect_table(sim, "/out/other.csv", LONG_CNT);
    for (uint32_t i = 0; i < weir_sim_path_end(sim); i++) {
        const char *path = weir_sim_path_at(sim, i);
        assert_true(path == NULL || strstr(path, ".parts") == NULL);
    }
    weir_sim_close(sim);
}

static int
open_host(void **state)
{
    struct weir_topo *topo;
    assert_int_equal(weir_topo_open_synthetic(HOST, &topo), 0);
    *state = topo;
    return 0;
}

static int
close_host(void **state)
{
    weir_topo_close(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_the_last_checkpoint_reaches_all_tasks),
        cmocka_unit_test(t_a_full_disk_at_the_end_is_looked_at_again_soon),
        cmocka_unit_test(t_a_time_out_that_no_checkpoint_keeps_fails_the_job),
        cmocka_unit_test(t_a_stop_that_is_overdue_fails_the_job),
        cmocka_unit_test(t_a_storage_that_hangs_at_the_end_is_waited_for),
        cmocka_unit_test(t_what_a_sink_has_published_outlives_starts_after_its_end),
    };
    return cmocka_run_group_tests(tests, open_host, close_host);
}
