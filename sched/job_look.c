/* SPDX-License-Identifier: Apache-2.0 */
/* job_look.c: what a job tells of itself, while it runs and afterwards. */
#include <string.h>

#include "sched/graph_node.h"
#include "sched/job_part.h"

uint32_t
weir_job_task_cnt(const struct weir_job *job)
{
    return job->plan->stage_cnt;
}

struct weir_task *
weir_job_task(struct weir_job *job, uint32_t stage)
{
    return job->stage[stage].task;
}

uint32_t
weir_job_operator_cnt(const struct weir_job *job)
{
    return job->env->node_cnt;
}

void
weir_job_operator(const struct weir_job *job, uint32_t idx, struct weir_job_operator_sum *ret_sum)
{
    memset(ret_sum, 0, sizeof *ret_sum);
    ret_sum->name = job->env->node[idx].name;
    ret_sum->is_source = job->env->node[idx].type->input_cnt == 0;
    ret_sum->watermark = WEIR_WATERMARK_MAX;
    bool is_bounded = true;
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        for (uint32_t i = 0; i < job->stage[s].operator_cnt; i++) {
            if (job->stage[s].operators[i] == idx) {
                struct weir_task_counts counts = weir_task_counts(job->stage[s].task, i);
                ret_sum->rows_in += counts.rows_in;
                ret_sum->rows_out += counts.rows_out;
                ret_sum->rows_late += counts.rows_late;
                ret_sum->rows_bad += counts.rows_bad;
                ret_sum->work_done += counts.work_done;
                ret_sum->work_all += counts.work_all;
                ret_sum->watermark = weir_min_i64(ret_sum->watermark, counts.watermark);
                is_bounded = is_bounded && counts.work_all > 0;
            }
        }
    }
    ret_sum->work_all = is_bounded ? ret_sum->work_all : 0;
}

int64_t
weir_job_wall_ns(const struct weir_job *job)
{
    int64_t begin_ns = INT64_MAX;
    int64_t end_ns = INT64_MIN;
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        const struct job_stage *stage = &job->stage[s];
        bool has_source = false;
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            has_source |= job->env->node[stage->operators[i]].type->input_cnt == 0;
        }
        int64_t ended_ns = weir_task_end_ns(stage->task); /* 0: it did not get so far */
        if (has_source && ended_ns != 0) {
            begin_ns = weir_min_i64(begin_ns, weir_task_begin_ns(stage->task));
        }
        end_ns = weir_max_i64(end_ns, ended_ns);
    }
    return end_ns > begin_ns ? end_ns - begin_ns : 0;
}

void
weir_job_latency(const struct weir_job *job, struct weir_hist *ret_hist)
{
    weir_hist_init(ret_hist);
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        const struct weir_hist *hist = weir_task_latency(job->stage[s].task);
        if (hist != NULL) {
            weir_hist_merge(ret_hist, hist);
        }
    }
}

uint32_t
weir_job_marker_source(const struct weir_job *job, uint32_t idx)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < idx; i++) {
        cnt += job->env->node[i].type->input_cnt == 0;
    }
    return cnt;
}

void
weir_job_marker_latency(
    const struct weir_job *job, uint32_t source, uint32_t idx, struct weir_hist *ret_hist)
{
    weir_hist_init(ret_hist);
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        for (uint32_t i = 0; i < job->stage[s].operator_cnt; i++) {
            const struct weir_hist *hist = job->stage[s].operators[i] == idx
                                               ? weir_task_marker_latency(job->stage[s].task, i,
                                                     weir_job_marker_source(job, source))
                                               : NULL;
            if (hist != NULL) {
                weir_hist_merge(ret_hist, hist);
            }
        }
    }
}

void
weir_job_segments(const struct weir_job *job, uint64_t *ret_cnt, uint64_t *ret_free_cnt)
{
    struct weir_buf_arena *arena = (struct weir_buf_arena *)(uintptr_t)&job->buffers;
    /* relaxed: a figure for people. */
    *ret_free_cnt = job->has_buffers ? weir_load_rlx(&arena->free_cnt) : 0;
    *ret_cnt = job->has_buffers ? arena->buf_cnt : 0;
}

const char *
weir_job_fallback_at(const struct weir_job *job, uint32_t idx)
{
    return idx < job->fallback_cnt ? job->fallback[idx] : NULL;
}
