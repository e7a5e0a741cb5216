/* SPDX-License-Identifier: Apache-2.0 */
/* Key groups that move while the job runs: the checkpoint whose barrier carries the move, and when
 * it is over. */
#include <string.h>

#include "dataplane/handover.h"
#include "io/io.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

/* Before a move is asked for again, whose tasks are not running yet. */
#define RETRY_NS WEIR_MS

/* What became of it; why NULL: they have moved. */
static void
tell(struct weir_job_checkpoint *cp, const char *why)
{
    struct cp_move *move = &cp->move;
    (void)pthread_mutex_lock(&cp->look_mutex);
    cp->view.move = (struct weir_job_move_view){
        .ticket = move->asked.ticket, .id = move->id, .is_stored = move->is_stored, .why = why};
    (void)pthread_mutex_unlock(&cp->look_mutex);
    move->asked.ticket = 0;
}

void
weir_job_checkpoint_move_take(struct weir_job_checkpoint *cp, const struct weir_letter *letter)
{
    cp->move = (struct cp_move){.asked = {.ticket = letter->args[0],
                                    .vertex = (uint32_t)letter->args[1],
                                    .to = (uint32_t)letter->args[2],
                                    .first = (uint32_t)letter->args[3],
                                    .last = (uint32_t)letter->args[4]}};
    cp->move.handover = cp->job->handover[cp->move.asked.vertex];
    if (cp->is_suspended) {
        weir_job_checkpoint_move_refuse(cp);
    }
}

bool
weir_job_checkpoint_wants_move(const struct weir_job_checkpoint *cp)
{
    return cp->move.asked.ticket != 0 && !cp->move.is_asked;
}

void
weir_job_checkpoint_move_ask(
    struct weir_job_checkpoint *cp, struct weir_checkpoint_request *ret_request)
{
    cp->move.is_asked = true;
    *ret_request = (struct weir_checkpoint_request){.ticket = CP_TICKET_MOVE};
}

/* Whether a stage is one of the operator's subtasks. */
static bool
is_subtask(const struct weir_job_checkpoint *cp, uint32_t s)
{
    return cp->job->stage[s].handover == cp->move.handover;
}

void
weir_job_checkpoint_move_begin(
    struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    if (out->request.ticket != CP_TICKET_MOVE || cp->move.asked.ticket == 0 ||
        out->request.kind != WEIR_CHECKPOINT_KIND_CHECKPOINT) {
        return;
    }
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (is_subtask(cp, s) && (out->member[s].part & WEIR_MEMBER_FINISHED) != 0) {
            tell(cp, "a subtask has come to its end"); /* the checkpoint is one like others */
            return;
        }
    }
    const struct weir_job_move *asked = &cp->move.asked;
    const struct weir_handover_move move = {out->id, asked->first, asked->last, asked->to};
    weir_handover_set(cp->move.handover, &move);
    cp->move.id = out->id;
    cp->move.holds = true;
}

bool
weir_job_checkpoint_moves(const struct weir_job_checkpoint *cp, uint64_t id)
{
    return cp->move.id == id && id != 0;
}

void
weir_job_checkpoint_move_answered(
    struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    struct cp_move *move = &cp->move;
    if (move->asked.ticket == 0) {
        return;
    }
    if (out->reason == WEIR_CHECKPOINT_NOT_RUNNING) {
        move->is_asked = false;
        cp->retry_ns = cp->now_ns + RETRY_NS;
    } else if (move->id == 0) {
        tell(cp, weir_checkpoint_reason_text(out->reason));
    } else {
        move->is_stored = out->reason == WEIR_CHECKPOINT_NONE;
        move->is_aborted = !move->is_stored;
    }
}

/* Whether all that take part are done with it; an end is one way to be. */
static bool
is_over(const struct weir_job_checkpoint *cp)
{
    const struct weir_job *job = cp->job;
    const struct weir_handover *handover = cp->move.handover;
    uint64_t id = cp->move.id;
    bool is_over = true;
    for (uint32_t p = 0; p < job->partition_cnt; p++) {
        const struct job_partition *partition = job->partition[p];
        is_over = is_over &&
                  (partition->conf.handover != handover || cp->stage[partition->stage].has_ended ||
                      weir_handover_is_routed(handover, partition->conf.producer, id));
    }
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        uint32_t subtask = job->plan->stages[s].subtask;
        is_over = is_over && (!is_subtask(cp, s) || cp->stage[s].has_ended ||
                                 weir_handover_is_done(handover, subtask, id));
    }
    return is_over;
}

void
weir_job_checkpoint_move_poll(struct weir_job_checkpoint *cp)
{
    struct cp_move *move = &cp->move;
    if (move->asked.ticket == 0 || move->id == 0) {
        return;
    }
    if (move->holds && is_over(cp)) {
        (void)pthread_mutex_lock(&cp->look_mutex);
        move->has_moved = weir_handover_end(move->handover, move->id);
        (void)pthread_mutex_unlock(&cp->look_mutex);
        move->holds = false;
        weir_job_checkpoint_hold(cp);
    }
    if (!move->holds && (move->is_stored || move->is_aborted)) {
        tell(cp, move->has_moved ? NULL : "the job has come to the end of its data");
    }
}

void
weir_job_checkpoint_move_refuse(struct weir_job_checkpoint *cp)
{
    weir_job_checkpoint_move_poll(cp);
    if (cp->move.asked.ticket != 0) {
        tell(cp, cp->move.has_moved ? NULL : "the job comes to its end");
    }
}

int
weir_job_checkpoint_move_fn(void *arg, struct weir_task *task, const struct weir_mark *mark)
{
    const struct cp_stage *stage = arg;
    const struct weir_job *job = stage->checkpoint->job;
    struct weir_handover *handover = job->stage[stage->idx].handover;
    (void)task;
    return handover == NULL
               ? WEIR_DONE
               : weir_handover_step(handover, job->plan->stages[stage->idx].subtask, mark->id);
}

void
weir_job_checkpoint_move_left(const struct cp_stage *stage)
{
    const struct weir_job *job = stage->checkpoint->job;
    struct weir_handover *handover = job->stage[stage->idx].handover;
    if (handover != NULL) {
        weir_handover_leave(handover, job->plan->stages[stage->idx].subtask);
    }
}

/* ---- from outside ---- */

bool
weir_job_move(struct weir_job *job, const struct weir_job_move *move)
{
    struct weir_job_checkpoint *cp = job->checkpoint;
    const struct weir_letter letter = {.kind = CP_LETTER_MOVE,
        .args = {move->ticket, move->vertex, move->to, move->first, move->last}};
    bool is_put = weir_mbox_put(cp->mbox, &letter) == 1;
    weir_doorbell_ring_shared(cp->doorbell, 0);
    return is_put;
}

bool
weir_job_owners(const struct weir_job *job, uint32_t idx, uint16_t *ret_owner)
{
    const struct weir_handover *handover = job->handover[idx];
    struct weir_job_checkpoint *cp = job->checkpoint;
    if (handover == NULL || cp == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&cp->look_mutex);
    bool has_begun = cp->view.epoch != 0; /* before, a restore may be dealing them out */
    if (has_begun) {
        memcpy(ret_owner, handover->owner, job->max_parallelism * sizeof *ret_owner);
    }
    (void)pthread_mutex_unlock(&cp->look_mutex);
    return has_begun;
}
