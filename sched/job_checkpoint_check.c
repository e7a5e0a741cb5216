/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a job can take checkpoints as its options say, and what whoever starts it is to know. */
#include <stdio.h>

#include "base/log.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

static int
check_options(const struct weir_job_checkpoint *cp)
{
    bool has_commit = false;
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        has_commit |= cp->stage[s].commits;
    }
    if (has_commit && cp->stage_cnt > 1 && !cp->options.coordinator.is_after_finish &&
        !cp->options.is_sink_early) {
        return weir_err_push(WEIR_ECONFIG,
            "checkpoints.after_finish is false: the last rows of a sink are committed by a "
            "checkpoint that is taken when sources have finished; set it, or checkpoints.sink to "
            "at-least-once");
    }
    return 0;
}

/* A source that cannot be read again from where it was loses what it read since the checkpoint that
 * a restart goes back to. */
static int
check_sources(struct weir_job *job)
{
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[i];
        bool replays = node->type->replays != NULL && node->type->replays(node->conf);
        if (node->type->input_cnt > 0 || replays || job->fallback_cnt == JOB_FALLBACK_CNT_MAX) {
            continue;
        }
        char *text = weir_env_alloc(job->env, JOB_FALLBACK_BYTES);
        (void)snprintf(text, JOB_FALLBACK_BYTES,
            "source %.100s cannot be read again: after a restart from a checkpoint, what it had "
            "read since that is lost",
            node->name);
        if (job->options.strict) {
            return weir_err_push(WEIR_ESTRICT, "%s", text);
        }
        job->fallback[job->fallback_cnt++] = text;
    }
    return 0;
}

/* Who asked for barriers that overtake is told where they do not. */
static void
tell_aligned(const struct weir_job *job)
{
    for (uint32_t e = 0; e < job->env->link_cnt; e++) {
        const struct weir_graph_link *link = &job->env->link[e];
        if (job->plan->edges[e].aligned != NULL) {
            weir_log(WEIR_LOG_INFO, 0,
                "checkpoints.unaligned: the edge from %s to %s (%s) stays aligned, for %s",
                job->env->node[link->from].name, job->env->node[link->to].name,
                weir_partitioner_name(link->partitioner), job->plan->edges[e].aligned);
        }
    }
}

/* A barrier behind rows that an operator does not want to read yet would hold up all other inputs,
 * among them perhaps the one whose end it waits for. */
static int
check_inputs(const struct weir_job *job)
{
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[i];
        if (node->type->selects != NULL) {
            return weir_err_push(WEIR_EGRAPH,
                "operator %s chooses the inputs that it reads: a checkpoint would wait for rows "
                "that it does not read yet; run the job without checkpoints.dir",
                node->name);
        }
    }
    return 0;
}

int
weir_job_checkpoint_check(struct weir_job_checkpoint *cp)
{
    int rc = check_options(cp);
    rc = rc != 0 ? rc : check_sources(cp->job);
    rc = rc != 0 ? rc : check_inputs(cp->job);
    if (rc == 0 && cp->options.is_unaligned && cp->job->options.world == NULL) {
        tell_aligned(cp->job);
    }
    return rc;
}
