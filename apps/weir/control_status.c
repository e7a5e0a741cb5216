/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c: the status of a running job as a document. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "apps/weir/control.h"
#include "apps/weir/control_move.h"
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
    return watermark < WEIR_TIME_FIRST ? json_null() : json_integer((json_int_t)watermark);
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
        json_t *owners = weir_moving_owners(conf->job, i);
        if (owners != NULL) {
            (void)json_object_set_new(json_array_get(list, i), "key_groups", owners);
        }
        if (weir_plan_is_way_out(&plan->graph->operators[i])) {
            *ret_least = weir_min_i64(*ret_least, sum.watermark);
        }
    }
    return list;
}

/* Of 1000 ms as part of 1, with three digits. */
static json_t *
part_json(uint64_t ms_per_s)
{
    return json_real((double)(int64_t)(weir_metrics_real(ms_per_s) + 0.5) / 1000);
}

/* What a stage has done over the last second or two, and what lies in its rings. */
static void
add_figures(json_t *doc, const struct weir_metrics *metrics, uint32_t stage)
{
    const struct weir_task_rates *rates = weir_metrics_task_rates(metrics, stage);
    struct weir_task_counters now;
    weir_metrics_task(metrics, stage, &now);
    (void)json_object_set_new(doc, "busy", part_json(rates->busy));
    (void)json_object_set_new(doc, "backpressured", part_json(rates->backpressured));
    (void)json_object_set_new(doc, "idle", part_json(rates->idle));
    (void)json_object_set_new(doc, "snapshot", part_json(rates->snapshot));
    (void)json_object_set_new(
        doc, "records_in_per_s", json_real(weir_metrics_real(rates->records_in)));
    (void)json_object_set_new(
        doc, "records_out_per_s", json_real(weir_metrics_real(rates->records_out)));
    (void)json_object_set_new(doc, "input_queue", json_integer((json_int_t)now.in_queue));
    (void)json_object_set_new(doc, "input_slots", json_integer((json_int_t)now.in_slots));
    (void)json_object_set_new(doc, "output_queue", json_integer((json_int_t)now.out_queue));
    (void)json_object_set_new(doc, "output_slots", json_integer((json_int_t)now.out_slots));
    (void)json_object_set_new(doc, "watermark_ms", watermark_json((int64_t)now.watermark_out));
}

/* The cut of the plan: which operators share a stage, where it runs, and how it is. */
static json_t *
stages_json(const struct weir_control_conf *conf, const struct weir_metrics *metrics)
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
        json_t *doc = json_pack("{s:s, s:i, s:s, s:o}", "name", stage->name, "cpu",
            (int)plan->cores[stage->core].cpu, "state", weir_task_state_name(state), "operators",
            operators);
        add_figures(doc, metrics, s);
        (void)json_array_append_new(list, doc);
    }
    return list;
}

/* The parts of each core's time since the start, as in the report, and of late. */
static json_t *
cores_json(const struct weir_control_conf *conf, const struct weir_metrics *metrics)
{
    json_t *list = weir_report_cores(conf->job, weir_launch_plan_of(conf->launch));
    for (uint32_t c = 0; c < json_array_size(list); c++) {
        const struct weir_core_metrics *core = weir_metrics_core(metrics, c);
        (void)json_object_set_new(json_array_get(list, c), "now",
            json_pack("{s:o, s:o, s:o, s:o, s:o}", "busy", part_json(core->busy), "backpressured",
                part_json(core->backpressured), "idle", part_json(core->idle), "snapshot",
                part_json(core->snapshot), "stolen", part_json(core->stolen)));
    }
    return list;
}

/* How far event time at the sinks lies behind the clock; null where nothing can be said. */
static json_t *
lag_json(int64_t watermark, int64_t utc_ns)
{
    bool is_known = watermark != WEIR_TIME_MIN && watermark != WEIR_WATERMARK_MAX;
    return is_known ? json_integer((json_int_t)(utc_ns / WEIR_MS - watermark)) : json_null();
}

/* What the newest complete checkpoint is gone on from by: its manifest (sched/store.h); null: there
 * is none. */
static json_t *
last_path_json(const struct weir_control_conf *conf, const struct weir_job_checkpoint_view *view)
{
    return view->last.id == 0 ? json_null()
                              : json_sprintf("%s/%s/manifest/M-%" PRIu64 "-%" PRIu64, view->dir,
                                    weir_launch_name(conf->launch), view->last.id, view->epoch);
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
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "epoch", (json_int_t)view.epoch,
        "in_progress", (json_int_t)view.in_progress_cnt, "completed",
        (json_int_t)view.completed_cnt, "failed", (json_int_t)view.failed_cnt, "last", last,
        "last_path", last_path_json(conf, &view), "last_failed", failed);
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
    (void)json_object_set_new(
        doc, "rate_per_s", json_real(weir_metrics_real(weir_metrics_job(view->metrics)->rate_in)));
    (void)json_object_set_new(doc, "watermark_ms", watermark_json(least));
    (void)json_object_set_new(doc, "lag_ms", lag_json(least, view->now_utc_ns));
    (void)json_object_set_new(doc, "vertices", vertices);
    (void)json_object_set_new(doc, "cores", cores_json(conf, view->metrics));
    (void)json_object_set_new(doc, "stages", stages_json(conf, view->metrics));
    (void)json_object_set_new(doc, "checkpoints", checkpoints_json(conf));
    (void)json_object_set_new(doc, "restored_checkpoint", weir_report_restored(conf->job));
    return doc;
}
