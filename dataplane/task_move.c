/* SPDX-License-Identifier: Apache-2.0 */
/* What a task does for key groups that move behind a barrier (handover.h). Either all tasks let
 * them go their way or none: so such a checkpoint is not declined before its barrier has left, and
 * it is carried out though it was given up elsewhere. */
#include "dataplane/handover.h"
#include "dataplane/task_priv.h"

bool
weir_task_move_delays(const struct weir_task *task, const struct weir_mark *mark)
{
    bool is_ready = weir_task_state(task) == WEIR_TASK_RUNNING && !weir_task_regains(task);
    uint64_t moving_id = weir_barrier_moving_id(task->cut.barrier);
    return (mark->kind == WEIR_MARK_MOVE && !is_ready) ||
           (moving_id != 0 && moving_id != mark->id); /* it may be what the move waits for */
}

bool
weir_task_move_goes_on(struct weir_task_cut *cut, const struct weir_mark *mark)
{
    bool goes_on =
        mark->kind == WEIR_MARK_MOVE &&
        (mark->id >= cut->id_min || (cut->step != TASK_CUT_NONE && cut->mark.id == mark->id));
    cut->given_up_id = goes_on ? mark->id : cut->given_up_id;
    return goes_on;
}

bool
weir_task_move_was_given_up(const struct weir_task_cut *cut)
{
    return cut->mark.kind == WEIR_MARK_MOVE && cut->mark.id == cut->given_up_id;
}

int
weir_task_move(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    if (cut->mark.kind != WEIR_MARK_MOVE || cut->conf.move_fn == NULL ||
        cut->moved_id == cut->mark.id) {
        return WEIR_DONE;
    }
    int rc = cut->conf.move_fn(cut->conf.arg, task, &cut->mark);
    cut->moved_id = rc == WEIR_DONE ? cut->mark.id : cut->moved_id;
    return rc == WEIR_WAIT ? TASK_HELD : rc;
}

void
weir_task_move_write(const struct weir_task *task, struct weir_parts_writer *parts)
{
    const struct weir_arena *arena = weir_chain_operator(task->chain, 0)->env->arena;
    if (arena != NULL) {
        weir_handover_put_part(arena, parts);
    }
}
