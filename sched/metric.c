/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sched/job_part.h"

#define CNT(table) (sizeof(struct table) / sizeof(uint64_t))
#define NUMBER_BYTES 16
#define LABEL_CNT_MAX 4

/* One object with figures that are made here. */
struct figures {
    struct weir_counter_label labels[LABEL_CNT_MAX];
    uint32_t label_cnt;
    char number[NUMBER_BYTES]; /* a label's */
};

struct stage_figures {
    struct figures named;
    struct weir_task_counters now;
    struct weir_task_counters before; /* at the last sample, as what follows */
    struct weir_core_task_counters times_now;
    struct weir_core_task_counters times_before;
    struct weir_task_rates rates;
    WEIR_ATOMIC(uint64_t) rates_shown[CNT(weir_task_rates)];
};

struct operator_figures {
    struct figures named;
    uint32_t stage;
    uint32_t node;
    struct weir_task_counts before;
    struct weir_operator_rates rates;
    WEIR_ATOMIC(uint64_t) rates_shown[CNT(weir_operator_rates)];
};

struct core_figures {
    struct figures named;
    struct weir_core_times before;
    struct weir_core_metrics own;
    WEIR_ATOMIC(uint64_t) shown[CNT(weir_core_metrics)];
};

struct weir_metrics {
    struct weir_metrics_conf conf;
    int64_t begin_ns;
    int64_t begin_utc_ns;
    int64_t at_ns; /* of the last sample */
    struct figures named; /* the job */
    struct weir_job_metrics own;
    WEIR_ATOMIC(uint64_t) shown[CNT(weir_job_metrics)];
    struct stage_figures *stages;
    struct operator_figures *operators; /* of all stages */
    uint32_t operator_cnt;
    struct core_figures *cores;
    uint32_t core_cnt; /* 0 under the seeded poller */
    struct weir_counter_set *sets; /* scratch of a page: as many as there are operators or cores */
};

/* ---- making ---- */

static void
label(struct figures *to, const char *name, const char *value)
{
    to->labels[to->label_cnt++] = (struct weir_counter_label){name, value};
}

static void
label_stage(const struct weir_metrics *metrics, uint32_t stage, struct figures *to)
{
    const struct weir_plan_stage *planned = &metrics->conf.plan->stages[stage];
    (void)snprintf(to->number, sizeof to->number, "%u", planned->subtask);
    label(to, "job_name", metrics->conf.job_name);
    label(to, "task_name", planned->name);
    label(to, "subtask_index", to->number);
}

static int
make(struct weir_metrics *metrics)
{
    const struct weir_plan *plan = metrics->conf.plan;
    struct weir_core_times times;
    uint32_t operator_cnt = 0;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        operator_cnt += plan->stages[s].operator_cnt;
    }
    metrics->core_cnt = weir_job_core_times(metrics->conf.job, 0, &times) ? plan->core_cnt : 0;
    metrics->stages = calloc(plan->stage_cnt + UINT64_C(1), sizeof *metrics->stages);
    metrics->operators = calloc(operator_cnt + UINT64_C(1), sizeof *metrics->operators);
    metrics->cores = calloc(metrics->core_cnt + UINT64_C(1), sizeof *metrics->cores);
    metrics->sets = calloc(operator_cnt + plan->core_cnt + UINT64_C(1), sizeof *metrics->sets);
    if (metrics->stages == NULL || metrics->operators == NULL || metrics->cores == NULL ||
        metrics->sets == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the metrics of job %s", metrics->conf.job_name);
    }
    label(&metrics->named, "job_name", metrics->conf.job_name);
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        label_stage(metrics, s, &metrics->stages[s].named);
        for (uint32_t i = 0; i < plan->stages[s].operator_cnt; i++) {
            struct operator_figures *op = &metrics->operators[metrics->operator_cnt++];
            op->stage = s;
            op->node = i;
            label_stage(metrics, s, &op->named);
            label(&op->named, "operator_name",
                plan->graph->operators[plan->stages[s].operators[i]].name);
        }
    }
    for (uint32_t c = 0; c < metrics->core_cnt; c++) {
        struct figures *named = &metrics->cores[c].named;
        (void)snprintf(named->number, sizeof named->number, "%u", plan->cores[c].cpu);
        label(named, "job_name", metrics->conf.job_name);
        label(named, "cpu", named->number);
    }
    return 0;
}

int
weir_metrics_open(const struct weir_metrics_conf *conf, int64_t now_ns, int64_t utc_ns,
    struct weir_metrics **ret_metrics)
{
    struct weir_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the metrics of job %s", conf->job_name);
    }
    metrics->conf = *conf;
    metrics->begin_ns = now_ns;
    metrics->begin_utc_ns = utc_ns;
    metrics->at_ns = now_ns;
    int err = make(metrics);
    if (err != 0) {
        weir_metrics_close(metrics);
        return err;
    }
    weir_metrics_sample(metrics, now_ns, false);
    *ret_metrics = metrics;
    return 0;
}

void
weir_metrics_close(struct weir_metrics *metrics)
{
    if (metrics != NULL) {
        free(metrics->stages);
        free(metrics->operators);
        free(metrics->cores);
        free(metrics->sets);
        free(metrics);
    }
}

/* ---- sampling ---- */

static struct weir_counter_set
set_of(const struct weir_counter_row *rows, size_t row_cnt, const uint64_t *own,
    WEIR_ATOMIC(uint64_t) * shown)
{
    return (struct weir_counter_set){
        .rows = rows, .row_cnt = (uint32_t)row_cnt, .own = own, .shown = shown};
}

static struct weir_counter_set
named(struct weir_counter_set set, const struct figures *by)
{
    set.labels = by->labels;
    set.label_cnt = by->label_cnt;
    return set;
}

static uint64_t
per_s(uint64_t now, uint64_t before, int64_t since_ns)
{
    return weir_counter_real(since_ns > 0 && now >= before
                                 ? (double)(now - before) * (double)WEIR_SEC_NS / (double)since_ns
                                 : 0);
}

/* For what waits at the gates, as fast as it was taken since the sample before; 0 while nothing is
 * taken. */
static uint64_t
consume_ms(
    const struct weir_task_counters *now, const struct weir_task_counters *before, int64_t since_ns)
{
    double per_ms = (double)(now->buffers_in - before->buffers_in) * (double)WEIR_MS /
                    (double)weir_max_i64(since_ns, 1);
    return weir_counter_real(per_ms > 0 ? (double)now->in_queue / per_ms : 0);
}

/* Parts of a time as ms of each second of it. */
static void
share(const uint64_t *ms, uint32_t cnt, uint64_t **ret_part)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        sum += ms[i];
    }
    for (uint32_t i = 0; i < cnt && sum > 0; i++) {
        *ret_part[i] = weir_counter_real(1000.0 * (double)ms[i] / (double)sum);
    }
}

static void
sample_stage(const struct weir_metrics *metrics, uint32_t s, int64_t since_ns)
{
    struct stage_figures *stage = &metrics->stages[s];
    struct weir_task_rates *rates = &stage->rates;
    struct weir_counter_set set;
    stage->before = stage->now;
    stage->times_before = stage->times_now;
    weir_metrics_task(metrics, s, &stage->now);
    rates->records_in = per_s(stage->now.rows_in, stage->before.rows_in, since_ns);
    rates->records_out = per_s(stage->now.rows_out, stage->before.rows_out, since_ns);
    rates->bytes_in = per_s(stage->now.bytes_in, stage->before.bytes_in, since_ns);
    rates->bytes_out = per_s(stage->now.bytes_out, stage->before.bytes_out, since_ns);
    rates->buffers_out = per_s(stage->now.buffers_out, stage->before.buffers_out, since_ns);
    rates->consume_ms = consume_ms(&stage->now, &stage->before, since_ns);
    rates->mails = per_s(stage->now.mails, stage->before.mails, since_ns);
    if (weir_job_task_times(metrics->conf.job, s, &set)) {
        weir_counter_read(&set, &stage->times_now.busy_ms);
        const struct weir_core_task_counters *now = &stage->times_now;
        const struct weir_core_task_counters *before = &stage->times_before;
        const uint64_t ms[] = {now->busy_ms - before->busy_ms,
            now->backpressured_ms - before->backpressured_ms, now->idle_ms - before->idle_ms,
            now->snapshot_ms - before->snapshot_ms};
        uint64_t *part[] = {&rates->busy, &rates->backpressured, &rates->idle, &rates->snapshot};
        share(ms, WEIR_ARRAY_CNT(ms), part);
        rates->soft = rates->backpressured;
    }
    set =
        set_of(weir_task_rates_rows, CNT(weir_task_rates), &rates->records_in, stage->rates_shown);
    weir_counter_publish(&set);
}

static void
sample_operator(const struct weir_metrics *metrics, struct operator_figures *op, int64_t since_ns)
{
    struct weir_task_counts now =
        weir_task_counts(weir_job_task(metrics->conf.job, op->stage), op->node);
    op->rates.records_in = per_s(now.rows_in, op->before.rows_in, since_ns);
    op->rates.records_out = per_s(now.rows_out, op->before.rows_out, since_ns);
    op->before = now;
    const struct weir_counter_set set = set_of(
        weir_operator_rates_rows, CNT(weir_operator_rates), &op->rates.records_in, op->rates_shown);
    weir_counter_publish(&set);
}

static void
sample_core(const struct weir_metrics *metrics, uint32_t c)
{
    struct core_figures *core = &metrics->cores[c];
    struct weir_core_metrics *own = &core->own;
    struct weir_core_times now;
    uint64_t ms[WEIR_CORE_PART_CNT];
    uint64_t *all[] = {[WEIR_CORE_BUSY] = &own->busy_ms,
        [WEIR_CORE_BACKPRESSURED] = &own->backpressured_ms,
        [WEIR_CORE_IDLE] = &own->idle_ms,
        [WEIR_CORE_SNAPSHOT] = &own->snapshot_ms,
        [WEIR_CORE_STOLEN] = &own->stolen_ms};
    uint64_t *part[] = {[WEIR_CORE_BUSY] = &own->busy,
        [WEIR_CORE_BACKPRESSURED] = &own->backpressured,
        [WEIR_CORE_IDLE] = &own->idle,
        [WEIR_CORE_SNAPSHOT] = &own->snapshot,
        [WEIR_CORE_STOLEN] = &own->stolen};
    (void)weir_job_core_times(metrics->conf.job, c, &now);
    for (uint32_t p = 0; p < WEIR_CORE_PART_CNT; p++) {
        *all[p] = (uint64_t)(now.ns[p] / WEIR_MS);
        ms[p] = (uint64_t)((now.ns[p] - core->before.ns[p]) / WEIR_US);
    }
    share(ms, WEIR_CORE_PART_CNT, part);
    core->before = now;
    own->gap_ns = (uint64_t)weir_job_core_gap_ns(metrics->conf.job, c);
    const struct weir_counter_set set =
        set_of(weir_core_metrics_rows, CNT(weir_core_metrics), &own->busy_ms, core->shown);
    weir_counter_publish(&set);
}

static void
sample_checkpoints(struct weir_metrics *metrics)
{
    struct weir_job_metrics *own = &metrics->own;
    struct weir_job_checkpoint_view view;
    weir_job_checkpoints(metrics->conf.job, &view);
    own->in_progress = view.in_progress_cnt;
    own->completed = view.completed_cnt;
    own->failed = view.failed_cnt;
    own->total = view.completed_cnt + view.failed_cnt + view.in_progress_cnt;
    own->last_id = view.last.id;
    own->last_ms = (uint64_t)(view.last.duration_ns / WEIR_MS);
    own->last_bytes = view.last.bytes;
    own->last_full_bytes = view.last.state_bytes;
    own->last_utc_ms = (uint64_t)((view.last.utc_ns + view.last.duration_ns) / WEIR_MS);
    own->last_stall_ns = (uint64_t)view.last.stall_ns;
    own->restored_utc_ms =
        view.restored.checkpoint != 0 ? (uint64_t)(metrics->begin_utc_ns / WEIR_MS) : 0;
}

/* How long this start took. */
static void
sample_start(struct weir_metrics *metrics)
{
    struct weir_job *job = metrics->conf.job;
    int64_t wired_ns = weir_job_step_ns(job, WEIR_JOB_STEP_CORES);
    int64_t open_ns = weir_job_step_ns(job, WEIR_JOB_STEP_RUN);
    bool is_open = metrics->own.is_starting == 0 && open_ns > wired_ns;
    metrics->own.deploying_ms = weir_counter_real((double)wired_ns / (double)WEIR_MS);
    metrics->own.starting_ms =
        weir_counter_real(is_open ? (double)(open_ns - wired_ns) / (double)WEIR_MS : 0);
}

static void
sample_job(struct weir_metrics *metrics, int64_t now_ns, bool is_ending)
{
    const struct weir_plan *plan = metrics->conf.plan;
    struct weir_job *job = metrics->conf.job;
    struct weir_job_metrics *own = &metrics->own;
    const struct weir_job_metrics before = *own;
    uint32_t starting_cnt = 0;
    uint32_t running_cnt = 0;
    int64_t watermark = WEIR_WATERMARK_MAX;
    own->records_in = 0;
    own->records_out = 0;
    own->records_late = 0;
    own->records_bad = 0;
    for (uint32_t i = 0; i < weir_job_operator_cnt(job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(job, i, &sum);
        const struct weir_plan_operator *op = &plan->graph->operators[i];
        bool is_way_out = weir_plan_is_way_out(op);
        own->records_in += weir_plan_is_way_in(op) ? sum.rows_in : 0;
        own->records_out += is_way_out ? sum.rows_in : 0;
        own->records_late += sum.rows_late;
        own->records_bad += sum.rows_bad;
        watermark = is_way_out ? weir_min_i64(watermark, sum.watermark) : watermark;
    }
    for (uint32_t s = 0; s < weir_job_task_cnt(job); s++) {
        enum weir_task_state state = weir_task_state(weir_job_task(job, s));
        starting_cnt += state < WEIR_TASK_RUNNING;
        running_cnt += state == WEIR_TASK_RUNNING;
    }
    own->is_starting = starting_cnt > 0 && !is_ending;
    own->is_running = starting_cnt == 0 && running_cnt > 0 && !is_ending;
    own->is_ending = !own->is_starting && !own->is_running;
    own->uptime_ms = (uint64_t)((now_ns - metrics->begin_ns) / WEIR_MS);
    own->restarts = metrics->conf.restart_cnt;
    own->rate_in = per_s(own->records_in, before.records_in, now_ns - metrics->at_ns);
    own->rate_out = per_s(own->records_out, before.records_out, now_ns - metrics->at_ns);
    own->watermark = (uint64_t)watermark;
    sample_start(metrics);
    sample_checkpoints(metrics);
    weir_job_segments(job, &own->segments, &own->segments_free);
    own->segments_used = own->segments - own->segments_free;
    const struct weir_counter_set set =
        set_of(weir_job_metrics_rows, CNT(weir_job_metrics), &own->is_starting, metrics->shown);
    weir_counter_publish(&set);
}

void
weir_metrics_sample(struct weir_metrics *metrics, int64_t now_ns, bool is_ending)
{
    int64_t since_ns = now_ns - metrics->at_ns;
    sample_job(metrics, now_ns, is_ending);
    for (uint32_t s = 0; s < metrics->conf.plan->stage_cnt; s++) {
        sample_stage(metrics, s, since_ns);
    }
    for (uint32_t i = 0; i < metrics->operator_cnt; i++) {
        sample_operator(metrics, &metrics->operators[i], since_ns);
    }
    for (uint32_t c = 0; c < metrics->core_cnt; c++) {
        sample_core(metrics, c);
    }
    metrics->at_ns = now_ns;
}

int64_t
weir_metrics_due_ns(const struct weir_metrics *metrics)
{
    return metrics->at_ns + WEIR_METRICS_SAMPLE_NS;
}

/* ---- the page ---- */

static int
print_stages(const struct weir_metrics *metrics, const struct weir_counter_page *page)
{
    uint32_t cnt = metrics->conf.plan->stage_cnt;
    for (uint32_t s = 0; s < cnt; s++) {
        metrics->sets[s] =
            named(weir_task_set(weir_job_task(metrics->conf.job, s)), &metrics->stages[s].named);
    }
    int err = weir_counter_print(page, "weir_task", metrics->sets, cnt);
    bool is_timed = metrics->core_cnt > 0;
    for (uint32_t s = 0; s < cnt && is_timed; s++) {
        (void)weir_job_task_times(metrics->conf.job, s, &metrics->sets[s]);
        metrics->sets[s] = named(metrics->sets[s], &metrics->stages[s].named);
    }
    err = err != 0 || !is_timed ? err : weir_counter_print(page, "weir_task", metrics->sets, cnt);
    for (uint32_t s = 0; s < cnt; s++) {
        struct stage_figures *stage = &metrics->stages[s];
        metrics->sets[s] = named(set_of(weir_task_rates_rows, CNT(weir_task_rates),
                                     &stage->rates.records_in, stage->rates_shown),
            &stage->named);
    }
    return err != 0 ? err : weir_counter_print(page, "weir_task", metrics->sets, cnt);
}

static int
print_operators(const struct weir_metrics *metrics, const struct weir_counter_page *page)
{
    for (uint32_t i = 0; i < metrics->operator_cnt; i++) {
        const struct operator_figures *op = &metrics->operators[i];
        const struct weir_task *task = weir_job_task(metrics->conf.job, op->stage);
        metrics->sets[i] = named(weir_task_operator_set(task, op->node), &op->named);
    }
    int err = weir_counter_print(page, "weir_operator", metrics->sets, metrics->operator_cnt);
    for (uint32_t i = 0; i < metrics->operator_cnt; i++) {
        struct operator_figures *op = &metrics->operators[i];
        metrics->sets[i] = named(set_of(weir_operator_rates_rows, CNT(weir_operator_rates),
                                     &op->rates.records_in, op->rates_shown),
            &op->named);
    }
    return err != 0
               ? err
               : weir_counter_print(page, "weir_operator", metrics->sets, metrics->operator_cnt);
}

int
weir_metrics_print(const struct weir_metrics *metrics, const struct weir_counter_page *page)
{
    struct weir_metrics *mutable = (struct weir_metrics *)(uintptr_t)metrics;
    const struct weir_counter_set job = named(set_of(weir_job_metrics_rows, CNT(weir_job_metrics),
                                                  &metrics->own.is_starting, mutable->shown),
        &metrics->named);
    int err = weir_counter_print(page, "weir_job", &job, 1);
    for (uint32_t c = 0; c < metrics->core_cnt; c++) {
        struct core_figures *core = &metrics->cores[c];
        metrics->sets[c] = named(
            set_of(weir_core_metrics_rows, CNT(weir_core_metrics), &core->own.busy_ms, core->shown),
            &core->named);
    }
    err = err != 0 ? err : weir_counter_print(page, "weir_core", metrics->sets, metrics->core_cnt);
    err = err != 0 ? err : print_stages(metrics, page);
    err = err != 0 ? err : print_operators(metrics, page);
    return err != 0 ? err : weir_counter_print_end(page);
}

bool
weir_metrics_table_at(uint32_t idx, struct weir_metrics_table *ret_table)
{
    static const struct weir_metrics_table tables[] = {
        {"weir_job", weir_job_metrics_rows, CNT(weir_job_metrics)},
        {"weir_core", weir_core_metrics_rows, CNT(weir_core_metrics)},
        {"weir_task", weir_task_counters_rows, CNT(weir_task_counters)},
        {"weir_task", weir_core_task_counters_rows, CNT(weir_core_task_counters)},
        {"weir_task", weir_task_rates_rows, CNT(weir_task_rates)},
        {"weir_operator", weir_operator_counters_rows, CNT(weir_operator_counters)},
        {"weir_operator", weir_operator_rates_rows, CNT(weir_operator_rates)},
    };
    if (idx >= WEIR_ARRAY_CNT(tables)) {
        return false;
    }
    *ret_table = tables[idx];
    return true;
}

/* ---- looking ---- */

const struct weir_job_metrics *
weir_metrics_job(const struct weir_metrics *metrics)
{
    return &metrics->own;
}

const struct weir_core_metrics *
weir_metrics_core(const struct weir_metrics *metrics, uint32_t core)
{
    return core < metrics->core_cnt ? &metrics->cores[core].own : NULL;
}

const struct weir_task_rates *
weir_metrics_task_rates(const struct weir_metrics *metrics, uint32_t stage)
{
    return &metrics->stages[stage].rates;
}

void
weir_metrics_task(
    const struct weir_metrics *metrics, uint32_t stage, struct weir_task_counters *ret_counters)
{
    const struct weir_counter_set set = weir_task_set(weir_job_task(metrics->conf.job, stage));
    weir_counter_read(&set, &ret_counters->rows_in);
}
