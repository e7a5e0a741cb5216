/* SPDX-License-Identifier: Apache-2.0 */
/* Whose key groups are whose: in the checkpoint that is restored, and now. Where the operator has
 * as many subtasks as then, those that have moved stay where they are (handover.h). */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "dataplane/handover.h"
#include "dataplane/state.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"
#include "sched/job_restore_priv.h"

int
weir_job_groups_read(struct weir_job_restore *restore)
{
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        struct job_old_task *old = &restore->old[i];
        uint32_t max_parallelism = old->head.max_parallelism;
        bool has;
        if (old->head.capture_version == 0) {
            continue;
        }
        if (max_parallelism > WEIR_KEYGROUP_CNT_MAX || old->head.group_first > max_parallelism ||
            old->head.group_cnt > max_parallelism - old->head.group_first) {
            return weir_job_restore_blame_file(restore,
                weir_err_push(WEIR_EDATA, "it has key groups that there cannot be"),
                old->files[old->file_cnt - 1]->name);
        }
        old->owned = calloc(WEIR_KEYGROUP_SET_WORD_CNT(max_parallelism) + 1, sizeof *old->owned);
        if (old->owned == NULL) {
            return weir_err_push(WEIR_ENOMEM, "key groups of a checkpoint");
        }
        int err = weir_handover_get_part(&restore->parts[i], max_parallelism, old->owned, &has);
        if (err != 0) {
            return weir_job_restore_blame_file(restore, err, old->files[old->file_cnt - 1]->name);
        }
        uint32_t cnt = has ? 0 : old->head.group_cnt;
        for (uint32_t g = old->head.group_first; g < old->head.group_first + cnt; g++) {
            weir_keygroup_put(old->owned, g, true);
        }
    }
    return 0;
}

bool
weir_job_groups_has(const struct job_old_task *old, uint32_t group)
{
    return old->owned != NULL && group < old->head.max_parallelism &&
           weir_keygroup_has(old->owned, group);
}

bool
weir_job_groups_meet(const struct job_old_task *old, const struct weir_arena *arena)
{
    const struct weir_keygroup_range *own = &arena->spec.groups;
    const struct weir_task_file_head *head = &old->head;
    uint32_t end = weir_min_u32(own->first + own->cnt, head->group_first + head->group_cnt);
    for (uint32_t g = own->first > head->group_first ? own->first : head->group_first; g < end;
         g++) {
        if (weir_arena_owns(arena, g) && weir_job_groups_has(old, g)) {
            return true;
        }
    }
    return false;
}

bool
weir_job_groups_are(const struct job_old_task *old, const struct weir_arena *arena)
{
    for (uint32_t g = 0; g < arena->spec.max_parallelism; g++) {
        if (weir_arena_owns(arena, g) != weir_job_groups_has(old, g)) {
            return false;
        }
    }
    return true;
}

/* The subtasks of an operator as they were. */
static void
deal(struct weir_job_restore *restore, uint32_t node, struct weir_handover *handover)
{
    const char *uid = restore->job->env->node[node].name;
    for (uint32_t i = 0; i < restore->old_cnt; i++) {
        const struct job_old_task *old = &restore->old[i];
        struct weir_parts_reader parts = restore->parts[i];
        weir_parts_reader_of(&parts, uid);
        bool is_its = weir_parts_has(&parts, WEIR_STATE_PART_CHAIN);
        for (uint32_t g = 0; g < handover->max_parallelism && is_its; g++) {
            if (weir_job_groups_has(old, g)) {
                handover->owner[g] = (uint16_t)old->files[0]->id.subtask;
            }
        }
    }
}

void
weir_job_groups_deal(struct weir_job_restore *restore)
{
    struct weir_job *job = restore->job;
    for (uint32_t i = 0; i < restore->manifest->operator_cnt; i++) {
        const struct weir_manifest_operator *was = &restore->manifest->operators[i];
        for (uint32_t n = 0; n < job->env->node_cnt; n++) {
            const struct weir_graph_node *node = &job->env->node[n];
            if (job->handover[n] != NULL && strcmp(node->name, was->uid) == 0 &&
                was->parallelism == node->parallelism) {
                deal(restore, n, job->handover[n]);
            }
        }
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        const struct job_stage *stage = &job->stage[s];
        if (stage->handover != NULL && !WEIR_MUTANT(MOVE_STATE_BACK)) {
            weir_handover_own(stage->handover, job->plan->stages[s].subtask, stage->arena.owned);
        }
    }
}
