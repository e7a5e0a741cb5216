/* SPDX-License-Identifier: Apache-2.0 */
/* A whole job whose operator chooses what it reads: one side whole before the other (SEMANTICS
 * Its checkpoints could wait for ever, and are refused. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "sched/graph.h"
#include "sched/job.h"
#include "tests/unit/test.h"

#define NUMBER(F) F(i64, n)
WEIR_SCHEMA(number, NUMBER)

#define HOST "core:2 pu:1"
#define ROW_CNT 5000

struct numbers {
    int64_t next;
};

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct numbers *self = op->self;
    (void)now_ns;
    for (uint32_t i = 0; i < 16 && weir_out_room(out, 1, 0); i++) {
        if (self->next == ROW_CNT) {
            return WEIR_DONE;
        }
        number_emit(out)->n = self->next++;
    }
    return WEIR_AGAIN;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers", .output_cnt = 1, .self_bytes = sizeof(struct numbers), .poll = numbers_poll};

struct side {
    uint32_t cnt[2];
    uint32_t early_cnt; /* rows of input 0 that came before input 1 had ended */
};

static struct side told; /* of the one subtask, at its close */

static uint32_t
second_first(const struct weir_operator *op)
{
    (void)op;
    return 2;
}

static int64_t
count(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct side *self = op->self;
    uint32_t cnt = in->cnt - cursor;
    (void)now_ns;
    self->cnt[input] += cnt;
    self->early_cnt += input == 0 && self->cnt[1] < ROW_CNT ? cnt : 0;
    weir_out_pass_range(out, in, cursor, cnt);
    return cnt;
}

static int
tell(struct weir_operator *op, bool clean)
{
    (void)clean;
    told = *(struct side *)op->self;
    return 0;
}

static const struct weir_operator_type build_type = {.name = "build",
    .input_cnt = 2,
    .output_cnt = 1,
    .self_bytes = sizeof(struct side),
    .process = count,
    .close = tell,
    .selects = second_first};

static int
run(const char *checkpoints)
{
    struct weir_discard_result results[4] = {{0}};
    const struct weir_discard_conf discard = {.results = results};
    const struct weir_operator_conf build = {.name = "build", .type = &build_type};
    struct weir_env *env;
    struct weir_topo *topo;
    struct weir_plan *plan;
    struct weir_job *job;
    memset(&told, 0, sizeof told);
    assert_int_equal(weir_topo_open_synthetic(HOST, &topo), 0);
    assert_int_equal(weir_env_new("job", &env), 0);
    struct weir_stream *const inputs[] = {
        weir_source(env, "probe", number_schema(), &numbers_type, NULL, 0),
        weir_source(env, "table", number_schema(), &numbers_type, NULL, 0)};
    (void)weir_sink(
        weir_operator(inputs, 2, &build), "out", &weir_discard_type, &discard, sizeof discard);
    assert_int_equal(weir_env_check(env), 0);
    const struct weir_plan_host host = {
        .topo = topo, .effective = topo->cpus, .budget_bytes = 64 * WEIR_MIB};
    const struct weir_plan_options cut = {.cut = WEIR_PLAN_CUT_NONE};
    assert_int_equal(weir_plan_make(weir_job_plan_graph(env), &host, &cut, &plan), 0);
    assert_int_equal(plan->stage_cnt, 3); /* what feeds it is never fused with it */
    const struct weir_job_options options = {.checkpoints = {.dir = checkpoints},
        .poller = WEIR_JOB_SEEDED,
        .seed = 1,
        .batch_rows = 64,
        .small_pages = true};
    int rc = weir_job_new(env, plan, &options, &job);
    if (rc == 0) {
        rc = weir_job_run(job);
        weir_job_delete(job);
    }
    weir_plan_close(plan);
    weir_env_delete(env);
    weir_topo_close(topo);
    return rc;
}

static void
t_A125_one_side_is_read_whole_before_the_other(void **state)
{
    (void)state;
    assert_int_equal(run(NULL), 0);
    assert_int_equal(told.cnt[0], ROW_CNT);
    assert_int_equal(told.cnt[1], ROW_CNT);
    assert_int_equal(told.early_cnt, 0);
}

static void
t_checkpoints_of_such_a_job_are_refused(void **state)
{
    (void)state;
    assert_int_equal(run("/nowhere"), WEIR_EGRAPH);
    assert_non_null(strstr(weir_err_at(0), "operator build chooses the inputs that it reads"));
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A125_one_side_is_read_whole_before_the_other),
        cmocka_unit_test(t_checkpoints_of_such_a_job_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
