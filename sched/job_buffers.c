/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers of a job's channels: one arena, which all partitions share (io/buf.h). The plan says
 * how many there are: as many as all partitions may ask for, or what buffers.memory holds. */
#include <stdio.h>

#include "sched/graph_node.h"
#include "sched/job_part.h"

int
weir_job_buffers_open(struct weir_job *job)
{
    const struct weir_plan *plan = job->plan;
    uint64_t cnt = 0;
    for (uint32_t e = 0; e < job->env->link_cnt; e++) {
        cnt += plan->edges[e].kind == WEIR_PLAN_FUSED ? 0 : plan->edges[e].buffer_cnt;
    }
    if (cnt == 0) {
        return 0;
    }
    const struct weir_buf_arena_config config = {
        .region = job->region,
        .owner = {.job = 1, .purpose = "buffers"},
        .region_id = job->region_id,
        .buf_bytes = plan->buffer_bytes,
        .buf_cnt = (uint32_t)cnt,
    };
    job->partition =
        weir_env_alloc(job->env, (plan->channel_cnt + 1) * sizeof(struct job_partition *));
    int rc = weir_buf_arena_init(&job->buffers, &config);
    job->has_buffers = rc == 0;
    return rc;
}

/* Each channel's own buffers, some to share, some to finish a slice. */
int
weir_job_buffers_pool(struct weir_job *job, struct job_partition *partition, uint32_t channel_cnt)
{
    const struct weir_plan *plan = job->plan;
    const struct weir_buf_pool_config config = {
        .required_cnt = channel_cnt * plan->exclusive_cnt,
        .max_cnt = channel_cnt * plan->exclusive_cnt + plan->floating_cnt,
        .channel_cnt = channel_cnt,
        .exclusive_cnt = plan->exclusive_cnt,
        .overdraft_cnt_max = plan->overdraft_cnt,
    };
    int rc = weir_buf_pool_init(&partition->pool, &job->buffers, &config);
    if (rc == 0) {
        job->partition[job->partition_cnt++] = partition;
        rc = weir_buf_pool_reserve(&partition->pool, config.required_cnt);
    }
    return rc;
}

void
weir_job_buffers_tell(struct weir_job *job)
{
    char *text = weir_env_alloc(job->env, JOB_FALLBACK_BYTES);
    if (job->has_buffers && job->fallback_cnt < JOB_FALLBACK_CNT_MAX &&
        weir_buf_arena_warning(&job->buffers, text, JOB_FALLBACK_BYTES)) {
        job->fallback[job->fallback_cnt++] = text;
    }
}

/* A task that has ended touches its channels no more: they are whoever looks at them next's. What
 * consumers have released since the last look goes back, and its share to the others. */
void
weir_job_buffers_share(struct weir_job *job)
{
    for (uint32_t p = 0; p < job->partition_cnt; p++) {
        struct job_partition *partition = job->partition[p];
        if (!weir_task_has_ended(weir_task_state(job->stage[partition->stage].task))) {
            continue;
        }
        weir_buf_pool_close(&partition->pool);
        for (uint32_t c = 0; c < partition->conf.channel_cnt; c++) {
            weir_channel_reclaim(&partition->conf.channels[c]);
        }
    }
}
