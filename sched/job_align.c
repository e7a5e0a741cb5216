/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of sources that wait for each other (alignment.h): by the names that watermark operators
 * give them, a board for each. */
#include <string.h>

#include "dataplane/alignment.h"
#include "dataplane/operators/watermark.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"

static const char *
group_of(const struct weir_graph_node *node)
{
    return node->type == &weir_watermark_type
               ? ((const struct weir_watermark_conf *)node->conf)->group
               : NULL;
}

static bool
is_in(const struct weir_graph_node *node, const char *group)
{
    const char *own = group_of(node);
    return own != NULL && strcmp(own, group) == 0;
}

/* The board of the group that node idx is the first of. */
static struct weir_alignment *
new_board(struct weir_job *job, uint32_t idx)
{
    const struct weir_env *env = job->env;
    const char *group = group_of(&env->node[idx]);
    uint32_t cnt = 0;
    for (uint32_t i = idx; i < env->node_cnt; i++) {
        cnt += is_in(&env->node[i], group) ? env->node[i].parallelism : 0;
    }
    struct weir_alignment *board = weir_env_alloc(job->env, sizeof *board);
    char *mem =
        weir_env_alloc(job->env, cnt * sizeof(struct weir_alignment_member) + WEIR_LINE_BYTES);
    weir_alignment_init(
        board, (struct weir_alignment_member *)weir_align_up((uintptr_t)mem, WEIR_LINE_BYTES), cnt);
    return board;
}

void
weir_job_align(struct weir_job *job)
{
    const struct weir_env *env = job->env;
    job->alignment = weir_env_alloc(job->env, (env->node_cnt + 1) * sizeof(struct job_alignment));
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        const char *group = group_of(&env->node[i]);
        struct job_alignment *at = &job->alignment[i];
        for (uint32_t k = 0; group != NULL && k < i; k++) {
            if (is_in(&env->node[k], group)) {
                at->board = job->alignment[k].board;
                at->first = job->alignment[k].first + env->node[k].parallelism;
            }
        }
        if (group != NULL && at->board == NULL) {
            at->board = new_board(job, i);
        }
    }
}

int
weir_job_align_env(const struct weir_job *job, const struct weir_plan_stage *stage, uint32_t idx,
    struct weir_operator_env *env)
{
    const struct job_alignment *at = &job->alignment[idx];
    bool has_source = false;
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        has_source |= job->env->node[stage->operators[i]].type->input_cnt == 0;
    }
    if (at->board != NULL && !has_source) {
        return weir_err_push(WEIR_EPLAN,
            "operator %s holds a source of its group back: they must share a stage, so do not cut "
            "between them",
            job->env->node[idx].name);
    }
    env->alignment = at->board;
    env->alignment_member = at->first + stage->subtask;
    return 0;
}
