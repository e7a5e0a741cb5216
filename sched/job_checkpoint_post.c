/* SPDX-License-Identifier: Apache-2.0 */
/* What the storage core says to tasks: letters, which wait where a mailbox is full. */
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"
#include "sched/job_part.h"

static void
post(struct weir_job_checkpoint *cp, uint32_t s, enum weir_task_letter kind,
    const struct weir_mark *mark)
{
    struct cp_stage *stage = &cp->stage[s];
    if (stage->has_ended) {
        return;
    }
    if (stage->out_cnt == CP_OUT_CNT) {
        weir_job_checkpoint_fail(
            cp, WEIR_EFAILED, "a task has not looked at the letters of many checkpoints");
        return;
    }
    stage->out[(stage->out_at + stage->out_cnt) % CP_OUT_CNT] =
        (struct cp_out){.kind = kind, .mark = *mark};
    stage->out_cnt++;
}

/* What a task's mailbox does not take waits for the next poll. */
void
weir_job_checkpoint_post_out(struct cp_stage *stage)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    struct weir_task *task = weir_job_task(cp->job, stage->idx);
    bool is_put = false;
    while (stage->out_cnt > 0) {
        const struct cp_out *out = &stage->out[stage->out_at];
        int rc = weir_task_post(task, (enum weir_task_letter)out->kind, &out->mark);
        if (rc == 0) {
            break;
        }
        is_put = is_put || rc > 0;
        stage->out_at = (stage->out_at + 1) % CP_OUT_CNT;
        stage->out_cnt--;
    }
    if (is_put) {
        cp->worked = true;
        weir_job_wake_stage(cp->job, stage->idx);
    }
}

static struct weir_mark
mark_of(const struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    return (struct weir_mark){.id = out->id,
        .trigger_ns = out->triggered_ns,
        .kind = out->request.stop == WEIR_CHECKPOINT_SUSPEND          ? WEIR_MARK_STOP
                : out->request.kind == WEIR_CHECKPOINT_KIND_SAVEPOINT ? WEIR_MARK_SAVEPOINT
                : weir_job_checkpoint_moves(cp, out->id)              ? WEIR_MARK_MOVE
                                                                      : WEIR_MARK_PERIODIC};
}

void
weir_job_checkpoint_post_members(struct weir_job_checkpoint *cp,
    const struct weir_coordinator_out *out, enum weir_task_letter kind)
{
    const struct weir_mark mark = mark_of(cp, out);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if ((out->member[s].part & WEIR_MEMBER_ACK) != 0) {
            post(cp, s, kind, &mark);
        }
    }
}

static bool
has_source(const struct weir_job_checkpoint *cp, uint32_t s)
{
    const struct weir_plan_stage *stage = &cp->job->plan->stages[s];
    for (uint32_t k = 0; k < stage->operator_cnt; k++) {
        if (cp->job->plan->graph->operators[stage->operators[k]].kind == WEIR_PLAN_SOURCE) {
            return true;
        }
    }
    return false;
}

static void
tell(struct weir_job_checkpoint *cp, uint32_t s, struct cp_flight *flight)
{
    if (flight->is_untold[s]) {
        flight->is_untold[s] = false;
        post(cp, s, WEIR_TASK_TRIGGER, &flight->mark);
    }
}

/* The others are told as well, for outputs have ended and bring no barrier. One that gets it all
 * the same has begun then, and waits for what has not ended. */
void
weir_job_checkpoint_post_rest(struct weir_job_checkpoint *cp, struct cp_flight *flight)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (!weir_job_checkpoint_begins(&cp->stage[s])) {
            tell(cp, s, flight);
        }
    }
}

void
weir_job_checkpoint_post_waits(struct weir_job_checkpoint *cp)
{
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        if (cp->flight[i].id != 0) {
            weir_job_checkpoint_post_rest(cp, &cp->flight[i]);
        }
    }
}

void
weir_job_checkpoint_post_end(struct cp_stage *stage)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        if (cp->flight[i].id != 0) {
            tell(cp, stage->idx, &cp->flight[i]);
        }
    }
}

void
weir_job_checkpoint_post_begun(struct cp_stage *stage, struct cp_flight *flight)
{
    const struct weir_mark none = {0};
    if (flight == NULL) {
        post(stage->checkpoint, stage->idx, WEIR_TASK_GO_ON, &none);
    } else {
        flight->is_untold[stage->idx] = false;
        post(stage->checkpoint, stage->idx, WEIR_TASK_TRIGGER, &flight->mark);
    }
}

/* Tasks without running producers; those that have sources beside their inputs, for these get no
 * barrier else; and, once some task waits for its last checkpoint, all. Those whose sources begin
 * checkpoints are told by weir_job_checkpoint_post_begun. */
void
weir_job_checkpoint_post_trigger(struct weir_job_checkpoint *cp, struct cp_flight *flight,
    const struct weir_coordinator_out *out)
{
    bool some_wait = false;
    flight->mark = mark_of(cp, out);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        uint8_t part = out->member[s].part;
        bool needs_ack = (part & WEIR_MEMBER_ACK) != 0;
        bool is_told = needs_ack && !weir_job_checkpoint_begins(&cp->stage[s]) &&
                       ((part & WEIR_MEMBER_TRIGGER) != 0 || has_source(cp, s));
        flight->is_untold[s] = needs_ack && !is_told;
        some_wait |= cp->stage[s].waits && !cp->stage[s].has_ended;
        if (is_told) {
            post(cp, s, WEIR_TASK_TRIGGER, &flight->mark);
        }
    }
    if (some_wait) {
        weir_job_checkpoint_post_rest(cp, flight);
    }
}
