/* SPDX-License-Identifier: Apache-2.0 */
/* Key groups that move in a whole job, in a simulated world: asked for before its tasks run, with a
 * checkpoint that is given up, from subtasks that have ended; and operators whose key groups
 * cannot. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/graph.h"
#include "sched/job_part.h"
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
#define START_CNT 30
#define SLICE_CNT 16 /* rows of a poll of the source */
#define ROW_CNT 20000 /* of each subtask of it */
#define KEY_CNT 500
#define SUBTASK_CNT 2
#define COUNT 1 /* the operator that has them */
#define FIRST 20
#define LAST 99
#define DAY_NS (INT64_C(24) * 3600 * WEIR_SEC_NS)

/* ---- numbers; of some the last half when a gate is open ---- */

struct numbers_conf {
    uint64_t row_cnt;
    const bool *gate; /* NULL: none */
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct numbers_conf *conf = op->conf;
    uint64_t *next = op->self;
    bool is_held = conf->gate != NULL && !*conf->gate;
    uint64_t end = is_held ? conf->row_cnt / 2 : conf->row_cnt;
    (void)now_ns;
    if (*next >= end) {
        return is_held ? WEIR_WAIT : WEIR_DONE;
    }
    for (uint32_t i = 0; i < SLICE_CNT && *next < end && weir_out_room(out, 1, 0); i++) {
        number_emit(out)->n = (int64_t)(weir_rng_mix((*next)++) % KEY_CNT);
    }
    return WEIR_AGAIN;
}

static bool
numbers_replays(const void *conf)
{
    (void)conf;
    return true;
}

static const struct weir_operator_type numbers_type = {.name = "numbers",
    .output_cnt = 1,
    .self_bytes = sizeof(uint64_t),
    .poll = numbers_poll,
    .replays = numbers_replays};

/* ---- what stands beside it ---- */

static int64_t
pass(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)now_ns;
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static const struct weir_operator_type pass_type = {
    .name = "pass", .input_cnt = 1, .output_cnt = 1, .process = pass};

WEIR_FILTER(is_negative, number)
{
    return in->n < 0;
}

enum beside { BESIDE_NOTHING, BESIDE_LOOP, BESIDE_STATE };

static void
add_loop(struct weir_stream *in, const struct weir_discard_conf *discard)
{
    struct weir_stream *loop = weir_iterate(in, "steps", NULL);
    weir_iterate_close(loop, weir_filter(loop, "again", &is_negative_op));
    (void)weir_sink(loop, "rest", &weir_discard_type, discard, sizeof *discard);
}

/* ---- a job, and who asks ---- */

struct mover {
    struct weir_discard_result counted[SUBTASK_CNT];
    struct weir_discard_result other[SUBTASK_CNT];
    struct weir_env *env;
    struct weir_plan *plan;
    struct weir_job *job;
    struct weir_sim *sim;
    struct weir_job_world world; /* the job borrows it */
    bool gate; /* of the other source, and perhaps of both */
    bool holds_both;
    bool (*is_time)(const struct mover *mover); /* to ask */
    uint64_t ask_at; /* a poll */
    uint64_t poll_cnt;
    bool is_asked;
    struct weir_job_move_view told;
};

static const struct weir_job_move move = {
    .ticket = 1, .vertex = COUNT, .first = FIRST, .last = LAST, .to = 1};

static bool
seen(void *arg, const struct weir_poller_seen *poll)
{
    struct mover *mover = arg;
    struct weir_job_checkpoint_view view;
    (void)poll;
    mover->poll_cnt++;
    if (!mover->is_asked && mover->is_time(mover)) {
        assert_int_equal(weir_job_move_check(mover->job, &move), 0);
        mover->is_asked = weir_job_move(mover->job, &move);
        assert_true(mover->is_asked);
    }
    weir_job_checkpoints(mover->job, &view);
    mover->told = view.move;
    mover->gate |= view.move.ticket == move.ticket;
    return true;
}

static void
build(struct mover *mover, enum beside beside)
{
    const struct numbers_conf gated = {.row_cnt = 2, .gate = &mover->gate};
    const struct numbers_conf numbers = {
        .row_cnt = ROW_CNT, .gate = mover->holds_both ? &mover->gate : NULL};
    const struct weir_discard_conf counted = {.results = mover->counted};
    const struct weir_discard_conf other = {.results = mover->other};
    const struct weir_reduce_conf count = {.aggregate = weir_aggregate_count()};
    const struct weir_operator_conf more = {
        .name = "more", .type = &pass_type, .keeps_state = true};
    struct weir_env *env;
    assert_int_equal(weir_env_new("job", &env), 0);
    weir_env_set_parallelism(env, SUBTASK_CNT);
    struct weir_stream *s =
        weir_source(env, "numbers", number_schema(), &numbers_type, &numbers, sizeof numbers);
    s = weir_reduce(weir_key_by(s, WEIR_KEY(number, n)), "count", &count, tally_schema());
    s = beside == BESIDE_STATE ? weir_operator(&s, 1, &more) : s;
    (void)weir_sink(s, "out", &weir_discard_type, &counted, sizeof counted);
    s = weir_source(env, "others", number_schema(), &numbers_type, &gated, sizeof gated);
    if (beside == BESIDE_LOOP) {
        add_loop(s, &other);
    } else {
        (void)weir_sink(s, "other", &weir_discard_type, &other, sizeof other);
    }
    assert_int_equal(weir_env_check(env), 0);
    mover->env = env;
}

static void
open_job(struct mover *mover, const struct weir_topo *topo, enum beside beside, int64_t timeout_ns,
    uint64_t seed)
{
    const struct weir_sim_config config = {.seed = seed, .utc_ns = WEIR_SEC_NS};
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 256 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_NONE};
    assert_int_equal(weir_sim_open(&config, &mover->sim), 0);
    build(mover, beside);
    assert_int_equal(weir_plan_make(weir_job_plan_graph(mover->env), &host, &cut, &mover->plan), 0);
    mover->world = (struct weir_job_world){.sim = mover->sim, .seen_fn = seen, .seen_arg = mover};
    const struct weir_job_options options = {.world = &mover->world,
        .checkpoints = {.dir = "/checkpoints",
            .retained = 1,
            .throttle_max_ns = WEIR_SEC_NS,
            .coordinator = {.interval_ns = DAY_NS,
                .timeout_ns = timeout_ns,
                .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
                .concurrent_max = 1,
                .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
                .is_after_finish = true}},
        .moves = true,
        .poller = WEIR_JOB_SEEDED,
        .seed = seed,
        .batch_rows = 64,
        .state_bytes = 8 * WEIR_MIB,
        .small_pages = true};
    assert_int_equal(weir_job_new(mover->env, mover->plan, &options, &mover->job), 0);
}

static void
close_job(struct mover *mover)
{
    weir_job_delete(mover->job);
    weir_plan_close(mover->plan);
    weir_env_delete(mover->env);
    weir_sim_close(mover->sim);
}

/* To its end: each row was counted once, and the request was answered. */
static void
run(struct mover *mover, uint64_t seed)
{
    uint64_t rows = 0;
    int rc = weir_job_run(mover->job);
    if (rc != 0) {
        char text[1024];
        weir_err_save(text, sizeof text);
        fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    }
    for (uint32_t i = 0; i < SUBTASK_CNT; i++) {
        rows += mover->counted[i].rows;
    }
    assert_int_equal(rows, SUBTASK_CNT * ROW_CNT);
    assert_int_equal(mover->told.ticket, move.ticket);
}

/* Where they are, by the job: with the subtask that they went to, or as keygroup.h has it. */
static bool
have_moved(const struct mover *mover)
{
    uint32_t cnt = weir_job_max_parallelism(mover->job);
    uint16_t *owner = calloc(cnt, sizeof *owner);
    assert_non_null(owner);
    assert_true(weir_job_owners(mover->job, COUNT, owner));
    bool is_moved = owner[FIRST] == move.to;
    for (uint32_t g = 0; g < cnt; g++) {
        bool is_meant = is_moved && g >= FIRST && g <= LAST;
        assert_int_equal(owner[g], is_meant ? move.to : weir_keygroup_owner(g, SUBTASK_CNT, cnt));
    }
    free(owner);
    return is_moved;
}

/* ---- when ---- */

static uint32_t
state_cnt(const struct mover *mover, enum weir_task_state state, const char *name)
{
    uint32_t cnt = 0;
    for (uint32_t s = 0; s < mover->plan->stage_cnt; s++) {
        bool is_named = strstr(mover->plan->stages[s].name, name) != NULL;
        cnt += is_named && weir_task_state(weir_job_task(mover->job, s)) == state;
    }
    return cnt;
}

/* One poll was made: the coordinator refuses, and is asked again. */
static bool
at_once(const struct mover *mover)
{
    assert_true(state_cnt(mover, WEIR_TASK_RUNNING, "") < mover->plan->stage_cnt);
    return true;
}

static bool
at_poll(const struct mover *mover)
{
    return mover->poll_cnt >= mover->ask_at;
}

static bool
all_have_ended(const struct mover *mover)
{
    return state_cnt(mover, WEIR_TASK_FINISHED, "count") == SUBTASK_CNT;
}

static void
t_T195_asked_for_before_tasks_run(void **state)
{
    uint64_t seed = seed_of_run();
    for (uint64_t i = 0; i < START_CNT; i++) {
        struct mover mover = {.is_time = at_once, .holds_both = true};
        open_job(&mover, *state, BESIDE_NOTHING, WEIR_SEC_NS, seed + i);
        run(&mover, seed + i);
        assert_null(mover.told.why);
        assert_true(mover.told.is_stored);
        assert_true(have_moved(&mover));
        close_job(&mover);
    }
}

/* Its checkpoint is overdue at once; the barrier goes its way, through tasks whose producers have
 * ended meanwhile, too. Where it comes too late, nothing has moved. */
static void
t_T195_with_a_checkpoint_that_is_given_up(void **state)
{
    uint64_t seed = seed_of_run();
    uint32_t moved_cnt = 0;
    for (uint64_t i = 0; i < START_CNT; i++) {
        struct mover mover = {.is_time = at_poll, .ask_at = 50 + 40 * i};
        open_job(&mover, *state, BESIDE_NOTHING, 1, seed + i);
        run(&mover, seed + i);
        assert_false(mover.told.is_stored);
        assert_int_equal(have_moved(&mover), mover.told.why == NULL);
        moved_cnt += mover.told.why == NULL;
        close_job(&mover);
    }
    assert_true(moved_cnt >= START_CNT / 3);
}

static void
t_T195_from_subtasks_that_have_ended(void **state)
{
    struct mover mover = {.is_time = all_have_ended};
    uint64_t seed = seed_of_run();
    open_job(&mover, *state, BESIDE_NOTHING, WEIR_SEC_NS, seed);
    run(&mover, seed);
    assert_string_equal(mover.told.why, "a subtask has come to its end");
    assert_int_equal(mover.told.id, 0);
    assert_false(have_moved(&mover));
    close_job(&mover);
}

static void
t_T195_operators_whose_key_groups_cannot_move(void **state)
{
    static const struct {
        enum beside beside;
        const char *why;
    } rows[] = {{BESIDE_LOOP, "key groups of count cannot move: the job has a loop"},
        {BESIDE_STATE, "key groups of count cannot move: another operator of its stage keeps state "
                       "beside it"}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        struct mover mover = {.gate = true};
        open_job(&mover, *state, rows[i].beside, WEIR_SEC_NS, 1);
        assert_int_equal(weir_job_move_check(mover.job, &move), WEIR_EREFUSED);
        assert_string_equal(weir_err_at(0), rows[i].why);
        weir_err_clear();
        close_job(&mover);
    }
}

static int
open_host(void **state)
{
    struct weir_topo *topo;
    int rc = weir_topo_open_synthetic(HOST, &topo);
    *state = topo;
    return rc;
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
        cmocka_unit_test(t_T195_asked_for_before_tasks_run),
        cmocka_unit_test(t_T195_with_a_checkpoint_that_is_given_up),
        cmocka_unit_test(t_T195_from_subtasks_that_have_ended),
        cmocka_unit_test(t_T195_operators_whose_key_groups_cannot_move),
    };
    return cmocka_run_group_tests(tests, open_host, close_host);
}
