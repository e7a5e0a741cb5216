/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers that are too few for all that a job's channels may ask for (buffers.memory): said,
 * shared, and shared out anew when a task has ended (SCENARIOS T-202, T-203, T-208). */
#include <string.h>

#include "base/cgroup.h"
#include "base/topo.h"
#include "dataplane/operators/discard.h"
#include "sched/graph.h"
#include "sched/job_part.h"
#include "tests/unit/test.h"

#define NUMBER(F) F(i64, n)
WEIR_SCHEMA(number, NUMBER)

#define ROW_CNT 3000
#define BUF_BYTES 4096
/* Two channels with two buffers each, and of 8 to share of each half. */
#define BUF_CNT 12
#define SIZE_BEGIN 6
#define SIZE_END 10

struct numbers_conf {
    uint64_t row_cnt;
    struct weir_job *const *job; /* it waits until its own buffers are more; NULL: it does not */
};

/* Buffers that the partition of an operator's stage may hold. */
static uint32_t
size_of(const struct weir_operator *op, const struct weir_job *job)
{
    for (uint32_t p = 0; p < job->partition_cnt; p++) {
        struct job_partition *partition = job->partition[p];
        if (strstr(job->plan->stages[partition->stage].name, op->uid) != NULL) {
            return weir_load_rlx(&partition->pool.size);
        }
    }
    return 0;
}

static int
numbers_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct numbers_conf *conf = op->conf;
    uint64_t *next = op->self;
    bool waits = conf->job != NULL && size_of(op, *conf->job) != SIZE_END;
    uint64_t end = waits ? conf->row_cnt / 2 : conf->row_cnt;
    (void)now_ns;
    if (*next >= end) {
        return waits ? WEIR_WAIT : WEIR_DONE;
    }
    for (uint32_t i = 0; i < 16 && *next < end && weir_out_room(out, 1, 0); i++) {
        number_emit(out)->n = (int64_t)(*next)++;
    }
    return WEIR_AGAIN;
}

static const struct weir_operator_type numbers_type = {
    .name = "numbers", .output_cnt = 1, .self_bytes = sizeof(uint64_t), .poll = numbers_poll};

struct rig {
    struct weir_topo *topo;
    struct weir_env *env;
    struct weir_plan *plan;
    struct weir_job *job;
    struct weir_discard_result result[2];
};

static int
make_plan(struct rig *rig, uint64_t buffer_bytes_max)
{
    struct weir_cgroup cgroup;
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    const struct weir_plan_host host = {
        .topo = rig->topo, .effective = cgroup.cpus, .budget_bytes = 64 * WEIR_MIB};
    const struct weir_plan_options options = {
        .cut = WEIR_PLAN_CUT_ALL, .buffer_bytes = BUF_BYTES, .buffer_bytes_max = buffer_bytes_max};
    return weir_plan_make(weir_job_plan_graph(rig->env), &host, &options, &rig->plan);
}

static void
open_rig(struct rig *rig)
{
    const struct numbers_conf brief = {.row_cnt = ROW_CNT};
    const struct numbers_conf waits = {.row_cnt = ROW_CNT, .job = &rig->job};
    const struct weir_discard_conf discard[2] = {{&rig->result[0]}, {&rig->result[1]}};
    memset(rig, 0, sizeof *rig);
    assert_int_equal(weir_topo_open_live(&rig->topo), 0);
    assert_int_equal(weir_env_new("job", &rig->env), 0);
    weir_env_set_parallelism(rig->env, 1);
    struct weir_stream *s =
        weir_source(rig->env, "brief", number_schema(), &numbers_type, &brief, sizeof brief);
    (void)weir_sink(s, "first", &weir_discard_type, &discard[0], sizeof discard[0]);
    s = weir_source(rig->env, "waits", number_schema(), &numbers_type, &waits, sizeof waits);
    (void)weir_sink(s, "second", &weir_discard_type, &discard[1], sizeof discard[1]);
    assert_int_equal(weir_env_check(rig->env), 0);
}

static void
close_rig(struct rig *rig)
{
    weir_job_delete(rig->job);
    weir_plan_close(rig->plan);
    weir_env_delete(rig->env);
    weir_topo_close(rig->topo);
}

static void
new_job(struct rig *rig)
{
    const struct weir_job_options options = {.batch_rows = 64, .small_pages = true};
    assert_int_equal(weir_job_new(rig->env, rig->plan, &options, &rig->job), 0);
}

/* The one that waits has nothing to send before it has got what the other leaves. */
static void
t_T202_T208_what_a_task_that_has_ended_leaves_goes_to_others(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_int_equal(make_plan(&rig, BUF_CNT * BUF_BYTES + 1), 0);
    new_job(&rig);
    assert_string_equal(weir_job_fallback_at(rig.job, 0),
        "pools may ask for 20 buffers of 4096 bytes and there are 12 (166 %): they will wait for "
        "each other at full load; raise buffers.memory");
    assert_null(weir_job_fallback_at(rig.job, 1));
    for (uint32_t p = 0; p < 2; p++) {
        assert_int_equal(weir_load_rlx(&rig.job->partition[p]->pool.size), SIZE_BEGIN);
    }
    assert_int_equal(weir_job_run(rig.job), 0);
    assert_int_equal(rig.result[0].rows, ROW_CNT);
    assert_int_equal(rig.result[1].rows, ROW_CNT);
    close_rig(&rig);
}

static void
t_T203_too_few_for_what_channels_need_are_refused(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_int_equal(make_plan(&rig, 3 * BUF_BYTES), WEIR_EBUDGET);
    assert_string_equal(weir_err_at(0),
        "insufficient number of buffers: 2 channels need 4 at least (2 each, buffers.per_channel), "
        "buffers.memory holds 3 of 4 KiB: raise it");
    weir_err_clear();
    assert_int_equal(make_plan(&rig, 4 * BUF_BYTES), 0); /* each has its own, and no more */
    assert_int_equal(rig.plan->edges[0].buffer_cnt, 2);
    assert_int_equal(rig.plan->edges[1].buffer_cnt, 2);
    weir_plan_close(rig.plan);
    assert_int_equal(make_plan(&rig, 0), 0); /* as many as may be asked for */
    assert_int_equal(rig.plan->edges[0].buffer_cnt, 2 + 8 + 5);
    new_job(&rig);
    assert_null(weir_job_fallback_at(rig.job, 0));
    close_rig(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T202_T208_what_a_task_that_has_ended_leaves_goes_to_others),
        cmocka_unit_test(t_T203_too_few_for_what_channels_need_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
