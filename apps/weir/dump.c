/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/dump.h"

#include <inttypes.h>

/* A core that sleeps still publishes twice a second. */
#define SILENT_NS (2 * WEIR_SEC_NS)
/* ms of a second from which on a task did nothing else. */
#define ALL_MS 999

static bool
is_silent(const struct weir_job *job, uint32_t core, struct weir_job_core_look *ret_look)
{
    return weir_job_core_look(job, core, ret_look) && ret_look->tid != 0 &&
           ret_look->silent_ns >= SILENT_NS;
}

static void
print_cores(FILE *to, const struct weir_job *job, const struct weir_plan *plan,
    const struct weir_metrics *metrics)
{
    for (uint32_t c = 0; c < plan->core_cnt; c++) {
        const struct weir_core_metrics *core = weir_metrics_core(metrics, c);
        struct weir_job_core_look look;
        if (core == NULL) {
            (void)fprintf(to, "one thread polls all tasks\n");
            return;
        }
        (void)fprintf(to,
            "cpu %-4u busy %3.0f %% backpressured %3.0f %% idle %3.0f %% snapshot %3.0f %% stolen "
            "%3.0f %%, longest poll %.1f ms\n",
            plan->cores[c].cpu, weir_metrics_real(core->busy) / 10,
            weir_metrics_real(core->backpressured) / 10, weir_metrics_real(core->idle) / 10,
            weir_metrics_real(core->snapshot) / 10, weir_metrics_real(core->stolen) / 10,
            (double)core->gap_ns / 1e6);
        if (is_silent(job, c, &look)) {
            (void)fprintf(to, "  STUCK: silent for %.1f s, thread %d, in %s%s\n",
                (double)look.silent_ns / 1e9, (int)look.tid,
                look.stage != UINT32_MAX ? "the task " : "none of its tasks",
                look.stage != UINT32_MAX ? plan->stages[look.stage].name : "");
        }
    }
}

static void
print_task(FILE *to, struct weir_job *job, const struct weir_plan *plan,
    const struct weir_metrics *metrics, uint32_t stage)
{
    const struct weir_task *task = weir_job_task(job, stage);
    const struct weir_task_rates *rates = weir_metrics_task_rates(metrics, stage);
    struct weir_task_counters now;
    struct weir_job_core_look look;
    weir_metrics_task(metrics, stage, &now);
    (void)fprintf(to,
        "%-28s %-12s busy %4.0f backpressured %4.0f idle %4.0f snapshot %4.0f ms/s, in %" PRIu64
        " (ring %" PRIu64 "/%" PRIu64 ") out %" PRIu64 " (ring %" PRIu64 "/%" PRIu64 ")\n",
        weir_task_name(task), weir_task_state_name(weir_task_state(task)),
        weir_metrics_real(rates->busy), weir_metrics_real(rates->backpressured),
        weir_metrics_real(rates->idle), weir_metrics_real(rates->snapshot), now.rows_in,
        now.in_queue, now.in_slots, now.rows_out, now.out_queue, now.out_slots);
    if (is_silent(job, plan->stages[stage].core, &look) && look.stage == stage) {
        (void)fprintf(to, "  STUCK: it has not come back from a poll for %.1f s\n",
            (double)look.silent_ns / 1e9);
    } else if (weir_metrics_real(rates->backpressured) >= ALL_MS) {
        (void)fprintf(to, "  waits: its outputs are full\n");
    } else if (weir_metrics_real(rates->snapshot) >= ALL_MS) {
        (void)fprintf(to, "  waits: the writing of a snapshot cannot keep up\n");
    }
}

void
weir_dump_print(FILE *to, struct weir_job *job, const struct weir_plan *plan,
    const struct weir_metrics *metrics)
{
    const struct weir_job_metrics *all = weir_metrics_job(metrics);
    (void)fprintf(to,
        "-- job, up %.1f s, records in %" PRIu64 " out %" PRIu64 ", checkpoints %" PRIu64
        " complete %" PRIu64 " failed %" PRIu64 " under way\n",
        (double)all->uptime_ms / 1e3, all->records_in, all->records_out, all->completed,
        all->failed, all->in_progress);
    print_cores(to, job, plan, metrics);
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        print_task(to, job, plan, metrics, s);
    }
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(job, i, &sum);
        (void)fprintf(to, "%-20s in %" PRIu64 " out %" PRIu64 " late %" PRIu64 " bad %" PRIu64 "\n",
            sum.name, sum.rows_in, sum.rows_out, sum.rows_late, sum.rows_bad);
    }
}
