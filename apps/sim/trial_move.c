/* SPDX-License-Identifier: Apache-2.0 */
/* trial_move.c: key groups that move between subtasks while the job runs. */
#include <inttypes.h>

#include "apps/sim/trial_priv.h"
#include "base/err.h"

#define MOVE_DRAW 6000
/* Moves of a start, about. */
#define MOVE_CNT 4
#define NEVER_NS INT64_MAX

static int64_t
draw_time(struct trial *trial)
{
    int64_t most_ns = trial->draw.run_ns / MOVE_CNT;
    return trial->now_ns + weir_rng_between(&trial->moves.rng, 0, most_ns);
}

/* Drawn by themselves, as barriers are. */
bool
trial_move_plan(struct trial *trial)
{
    struct trial_moves *moves = &trial->moves;
    weir_rng_init(
        &moves->rng, weir_rng_at(trial->conf->seed, MOVE_DRAW + trial->result->start_cnt));
    bool is_wanted = weir_rng_chance(&moves->rng, 2, 3);
    moves->is_asked = false;
    moves->next_ns = is_wanted ? draw_time(trial) : NEVER_NS;
    return is_wanted;
}

/* The next operator that can, from a drawn one on. False: there is none. */
static bool
draw_move(struct trial *trial, struct weir_job_move *ret_move)
{
    struct weir_rng *rng = &trial->moves.rng;
    uint32_t group_cnt = weir_job_max_parallelism(trial->job);
    uint32_t cnt = weir_job_operator_cnt(trial->job);
    uint32_t first = (uint32_t)weir_rng_below(rng, cnt);
    ret_move->first = (uint32_t)weir_rng_below(rng, group_cnt);
    ret_move->last = ret_move->first + (uint32_t)weir_rng_below(rng, group_cnt - ret_move->first);
    uint32_t to = (uint32_t)weir_rng_below(rng, SIM_PARALLELISM_MAX);
    for (uint32_t i = 0; i < cnt; i++) {
        ret_move->vertex = (first + i) % cnt;
        for (ret_move->to = to; ret_move->to != UINT32_MAX; ret_move->to--) {
            if (weir_job_move_check(trial->job, ret_move) == 0) {
                return true;
            }
            weir_err_clear();
        }
    }
    return false;
}

static void
take_answer(struct trial *trial, const struct weir_job_move_view *view)
{
    struct trial_moves *moves = &trial->moves;
    if (!moves->is_asked || view->ticket != moves->ticket) {
        return;
    }
    moves->is_asked = false;
    moves->next_ns = draw_time(trial);
    trial_note(trial, "  at %.3f ms: key groups %s, checkpoint %" PRIu64 "%s%s",
        (double)trial->now_ns / 1e6, view->why == NULL ? "have moved" : "stay", view->id,
        view->is_stored ? "" : ", which is not stored", view->why != NULL ? view->why : "");
    if (view->why == NULL) {
        trial_set(trial, SIM_FEATURE_MOVED);
    }
}

void
trial_move_look(struct trial *trial, const struct weir_job_checkpoint_view *view)
{
    struct trial_moves *moves = &trial->moves;
    struct weir_job_move move = {.ticket = moves->ticket + 1};
    if (view->epoch == 0) {
        return; /* it has not begun */
    }
    take_answer(trial, &view->move);
    if (trial->is_saving || moves->is_asked || trial->now_ns < moves->next_ns) {
        return;
    }
    if (!draw_move(trial, &move)) {
        moves->next_ns = NEVER_NS;
    } else if (weir_job_move(trial->job, &move)) {
        moves->ticket++;
        moves->is_asked = true;
        trial_note(trial,
            "  at %.3f ms: key groups %" PRIu32 " to %" PRIu32 " of operator %" PRIu32
            " to subtask %" PRIu32,
            (double)trial->now_ns / 1e6, move.first, move.last, move.vertex, move.to);
    }
}
