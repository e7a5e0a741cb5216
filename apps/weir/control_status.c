/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c: the status of a running job as a document. */
#include <string.h>
#include <unistd.h>

#include "apps/weir/control.h"
#include "apps/weir/report.h"
#include "apps/weir/watch.h"
#include "dataplane/types.h"

const char *
weir_control_state_name(struct weir_job *job, enum weir_task_request asked)
{
    static const char *const ending[] = {
        [WEIR_TASK_REQUEST_STOP] = "stopping",
        [WEIR_TASK_REQUEST_DRAIN] = "draining",
        [WEIR_TASK_REQUEST_CANCEL] = "canceling",
    };
    if (asked != WEIR_TASK_REQUEST_NONE) {
        return ending[asked];
    }
    uint32_t running_cnt = 0;
    for (uint32_t i = 0; i < weir_job_task_cnt(job); i++) {
        enum weir_task_state state = weir_task_state(weir_job_task(job, i));
        if (state < WEIR_TASK_RUNNING) {
            return "starting";
        }
        running_cnt += state == WEIR_TASK_RUNNING;
    }
    return running_cnt > 0 ? "running" : "ending";
}

static json_t *
watermark_json(int64_t watermark)
{
    return watermark == WEIR_TIME_MIN ? json_null() : json_integer((json_int_t)watermark);
}

/* The operators as in the report, each with the watermark at its input; sources have none. */
static json_t *
vertices_json(const struct weir_control_conf *conf, int64_t *ret_least)
{
    const struct weir_plan *plan = weir_launch_plan_of(conf->launch);
    json_t *list = weir_report_vertices(conf->job);
    *ret_least = WEIR_WATERMARK_MAX;
    for (uint32_t i = 0; i < weir_job_operator_cnt(conf->job); i++) {
        struct weir_job_operator_sum sum;
        enum weir_plan_kind kind = plan->graph->operators[i].kind;
        weir_job_operator(conf->job, i, &sum);
        (void)json_object_set_new(json_array_get(list, i), "watermark_ms",
            kind == WEIR_PLAN_SOURCE ? json_null() : watermark_json(sum.watermark));
        if (kind == WEIR_PLAN_SINK) {
            *ret_least = weir_min_i64(*ret_least, sum.watermark);
        }
    }
    return list;
}

/* The cut of the plan: which operators share a stage, where it runs, and how it is. */
static json_t *
stages_json(const struct weir_control_conf *conf)
{
    const struct weir_plan *plan = weir_launch_plan_of(conf->launch);
    json_t *list = json_array();
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &plan->stages[s];
        enum weir_task_state state = weir_task_state(weir_job_task(conf->job, s));
        json_t *operators = json_array();
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            (void)json_array_append_new(
                operators, json_string(plan->graph->operators[stage->operators[i]].name));
        }
        (void)json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:o}", "name", stage->name,
                                              "cpu", (int)plan->cores[stage->core].cpu, "state",
                                              weir_task_state_name(state), "operators", operators));
    }
    return list;
}

/* How checkpoints go; null where none are taken. */
static json_t *
checkpoints_json(const struct weir_control_conf *conf)
{
    struct weir_job_checkpoint_view view;
    weir_job_checkpoints(conf->job, &view);
    if (!view.is_on) {
        return json_null();
    }
    json_t *last = view.last.id != 0 ? weir_report_checkpoint(&view.last) : json_null();
    json_t *failed = view.failed_id != 0 ? json_pack("{s:I, s:s}", "id", (json_int_t)view.failed_id,
                                               "why", view.failed_why)
                                         : json_null();
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "epoch", (json_int_t)view.epoch, "completed",
        (json_int_t)view.completed_cnt, "failed", (json_int_t)view.failed_cnt, "last", last,
        "last_failed", failed);
}

json_t *
weir_control_status(const struct weir_control_view *view)
{
    const struct weir_control_conf *conf = view->conf;
    const struct weir_plan *plan = weir_launch_plan_of(conf->launch);
    struct weir_watch_totals totals = weir_watch_totals(conf->job, plan);
    const struct weir_supervised *supervised = conf->supervised;
    char started[WEIR_CLOCK_TEXT_BYTES];
    int64_t least = 0;
    json_t *vertices = vertices_json(conf, &least);
    json_t *doc = json_pack("{s:s, s:i, s:s, s:s, s:f}", "job", weir_launch_name(conf->launch),
        "pid", (int)getpid(), "state", weir_control_state_name(conf->job, view->asked), "started",
        weir_clock_utc_text(view->started_utc_ns, started), "uptime_s", view->uptime_s);
    if (doc == NULL) {
        json_decref(vertices);
        return NULL;
    }
    (void)json_object_set_new(doc, "supervisor_pid",
        supervised != NULL ? json_integer(supervised->supervisor_pid) : json_null());
    (void)json_object_set_new(
        doc, "restarts", json_integer(supervised != NULL ? supervised->restart_cnt : 0));
    (void)json_object_set_new(doc, "records_in", json_integer((json_int_t)totals.rows_in));
    (void)json_object_set_new(doc, "records_out", json_integer((json_int_t)totals.rows_out));
    (void)json_object_set_new(doc, "records_late", json_integer((json_int_t)totals.rows_late));
    (void)json_object_set_new(doc, "records_bad", json_integer((json_int_t)totals.rows_bad));
    (void)json_object_set_new(doc, "rate_per_s", json_real(view->rate_per_s));
    (void)json_object_set_new(doc, "watermark_ms", watermark_json(least));
    (void)json_object_set_new(doc, "vertices", vertices);
    (void)json_object_set_new(doc, "cores", weir_report_cores(conf->job, plan));
    (void)json_object_set_new(doc, "stages", stages_json(conf));
    (void)json_object_set_new(doc, "checkpoints", checkpoints_json(conf));
    (void)json_object_set_new(doc, "restored_checkpoint", weir_report_restored(conf->job));
    return doc;
}
