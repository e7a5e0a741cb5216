/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/job_move.h"

#include <inttypes.h>

#include "dataplane/handover.h"
#include "sched/graph_node.h"

/* ---- which operators can ---- */

static bool
stage_has(const struct weir_plan_stage *stage, uint32_t idx)
{
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        if (stage->operators[i] == idx) {
            return true;
        }
    }
    return false;
}

/* Whether it shares its state memory with another operator. */
static bool
is_alone(const struct weir_job *job, uint32_t idx)
{
    for (uint32_t s = 0; s < job->plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &job->plan->stages[s];
        for (uint32_t i = 0; i < stage->operator_cnt && stage_has(stage, idx); i++) {
            if (stage->operators[i] != idx && job->env->node[stage->operators[i]].keeps_state) {
                return false;
            }
        }
    }
    return true;
}

static bool
is_dealt_by_key(const struct weir_job *job, uint32_t idx)
{
    for (uint32_t e = 0; e < job->env->link_cnt; e++) {
        const struct weir_graph_link *link = &job->env->link[e];
        if (link->to == idx && (link->partitioner != WEIR_PARTITION_KEYED ||
                                   job->plan->edges[e].kind == WEIR_PLAN_FUSED)) {
            return false;
        }
    }
    return true;
}

/* Why key groups of an operator stay where they are; NULL: they can move. */
static const char *
why_not(const struct weir_job *job, uint32_t idx)
{
    const struct weir_graph_node *node = &job->env->node[idx];
    if (!node->keeps_state) {
        return "it keeps no state by key";
    }
    if (!node->type->moves) {
        return "an operator of its kind keeps more than what lies in tables";
    }
    if (node->parallelism < 2) {
        return "it has one subtask";
    }
    if (!is_dealt_by_key(job, idx)) {
        return "its rows are not dealt out to it by key";
    }
    if (!is_alone(job, idx)) {
        return "another operator of its stage keeps state beside it";
    }
    return job->env->loop_cnt > 0 ? "the job has a loop" : NULL;
}

static uint32_t
producer_cnt(const struct weir_job *job, uint32_t idx)
{
    uint32_t cnt = 0;
    for (uint32_t e = 0; e < job->env->link_cnt; e++) {
        const struct weir_graph_link *link = &job->env->link[e];
        cnt += link->to == idx ? job->env->node[link->from].parallelism : 0;
    }
    return cnt;
}

/* ---- making them ---- */

void
weir_job_moves_make(struct weir_job *job)
{
    struct weir_env *env = job->env;
    job->handover = weir_env_alloc(env, env->node_cnt * sizeof(struct weir_handover *));
    for (uint32_t i = 0; i < env->node_cnt && job->options.moves; i++) {
        if (why_not(job, i) != NULL) {
            continue;
        }
        const struct weir_handover_conf conf = {.max_parallelism = job->max_parallelism,
            .subtask_cnt = env->node[i].parallelism,
            .producer_cnt_max = producer_cnt(job, i)};
        uintptr_t mem =
            (uintptr_t)weir_env_alloc(env, weir_handover_footprint(&conf) + WEIR_LINE_PAIR_BYTES);
        job->handover[i] =
            weir_handover_init(&conf, (void *)weir_align_up(mem, WEIR_LINE_PAIR_BYTES));
    }
}

static struct weir_handover *
handover_of(const struct weir_job *job, const struct weir_plan_stage *planned)
{
    struct weir_handover *handover = NULL;
    for (uint32_t i = 0; i < planned->operator_cnt; i++) {
        struct weir_handover *its = job->handover[planned->operators[i]];
        handover = its != NULL ? its : handover;
    }
    return handover;
}

void
weir_job_moves_room(
    const struct weir_job *job, uint32_t stage, struct weir_keygroup_range *ret_groups)
{
    if (handover_of(job, &job->plan->stages[stage]) != NULL) {
        *ret_groups = (struct weir_keygroup_range){0, job->max_parallelism};
    }
}

void
weir_job_moves_join(struct weir_job *job, uint32_t idx)
{
    struct job_stage *stage = &job->stage[idx];
    const struct weir_plan_stage *planned = &job->plan->stages[idx];
    struct weir_handover *handover = handover_of(job, planned);
    if (handover != NULL) {
        size_t words = WEIR_KEYGROUP_SET_WORD_CNT(job->max_parallelism);
        stage->handover = handover;
        stage->arena.owned = weir_env_alloc(job->env, words * sizeof *stage->arena.owned);
        weir_handover_own(handover, planned->subtask, stage->arena.owned);
        handover->arena[planned->subtask] = &stage->arena;
    }
}

const uint16_t *
weir_job_moves_owner(const struct weir_job *job, uint32_t idx)
{
    const struct weir_handover *handover = job->handover[idx];
    return handover != NULL ? handover->owner
                            : job->keygroup_owner[job->env->node[idx].parallelism];
}

void
weir_job_moves_partition(struct weir_job *job, uint32_t edge, struct weir_partition_conf *ret_conf)
{
    uint32_t to = job->env->link[edge].to;
    struct weir_handover *handover = job->handover[to];
    ret_conf->keygroup_owner = weir_job_moves_owner(job, to);
    ret_conf->handover = handover;
    ret_conf->producer = handover != NULL ? handover->producer_cnt++ : 0;
}

/* ---- asking ---- */

static int
refuse(const struct weir_job *job, const struct weir_job_move *move, const char *why)
{
    return weir_err_push(
        WEIR_EREFUSED, "key groups of %s cannot move: %s", job->env->node[move->vertex].name, why);
}

int
weir_job_move_check(const struct weir_job *job, const struct weir_job_move *move)
{
    const struct weir_job_checkpoint_options *checkpoints = &job->options.checkpoints;
    if (move->vertex >= job->env->node_cnt) {
        return weir_err_push(WEIR_EREFUSED, "the job has no such vertex");
    }
    const char *why = why_not(job, move->vertex);
    if (why != NULL) {
        return refuse(job, move, why);
    }
    if (job->handover[move->vertex] == NULL) {
        return refuse(job, move, "start the job with state.moves=true");
    }
    if (job->checkpoint == NULL) {
        return refuse(job, move,
            "the job takes no checkpoints, whose barriers carry them: set checkpoints.dir");
    }
    if (checkpoints->is_tracked || !checkpoints->coordinator.is_after_finish) {
        return refuse(job, move,
            "with checkpoints.mode=at-least-once, or checkpoints.after_finish=false, barriers do "
            "not hold rows back");
    }
    if (move->first > move->last || move->last >= job->max_parallelism) {
        return weir_err_push(WEIR_EREFUSED,
            "key groups %" PRIu32 "-%" PRIu32 " are not among those of the job, 0-%" PRIu32,
            move->first, move->last, job->max_parallelism - 1);
    }
    if (move->to >= job->env->node[move->vertex].parallelism) {
        return weir_err_push(WEIR_EREFUSED, "%s has subtasks 0 to %" PRIu32 ", not %" PRIu32,
            job->env->node[move->vertex].name, job->env->node[move->vertex].parallelism - 1,
            move->to);
    }
    return 0;
}

uint32_t
weir_job_max_parallelism(const struct weir_job *job)
{
    return job->max_parallelism;
}
