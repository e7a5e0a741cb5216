/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints that sources begin. The first source that says a number begins it for the whole job;
 * tasks with other such sources are told when these have come to the same number, for there their
 * cut lies. */
#include "base/mutant.h"
#include "sched/job_checkpoint_priv.h"

bool
weir_job_checkpoint_begins(const struct cp_stage *stage)
{
    return stage->has_begins && !stage->has_ended && !stage->waits;
}

void
weir_job_checkpoint_begin_look(struct weir_job_checkpoint *cp)
{
    bool is_left = false;
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        is_left |= weir_job_checkpoint_begins(&cp->stage[s]);
    }
    if (is_left != cp->is_left) {
        cp->is_left = is_left;
        weir_coordinator_leave(cp->coordinator, is_left, cp->now_ns);
    }
}

static struct cp_flight *
flight_of(struct weir_job_checkpoint *cp, uint64_t number)
{
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        bool is_it = cp->flight[i].number == number || WEIR_MUTANT(BEGUN_AS_OTHER);
        if (cp->flight[i].id != 0 && is_it) {
            return &cp->flight[i];
        }
    }
    return NULL;
}

/* Numbers rise: those before it, which wait for this source, will not come here any more. */
static void
pass_over(struct cp_stage *stage, uint64_t number)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        const struct cp_flight *flight = &cp->flight[i];
        if (flight->id == 0 || flight->number >= number || !flight->is_untold[stage->idx] ||
            WEIR_MUTANT(BEGUN_AS_OTHER)) {
            continue;
        }
        const struct weir_coordinator_decline what = {.job = weir_store_job(cp->store),
            .epoch = weir_store_epoch(cp->store),
            .id = flight->id,
            .attempt = 1,
            .task = stage->idx,
            .reason = WEIR_CHECKPOINT_SOURCES_APART};
        (void)weir_coordinator_decline(cp->coordinator, &what, cp->now_ns);
        weir_job_checkpoint_drain(cp);
    }
}

/* The first that says this number. A stop waits for it. */
static void
begin(struct weir_job_checkpoint *cp, uint64_t number)
{
    bool is_stop = cp->stop_wanted && !cp->stop_asked;
    const struct weir_checkpoint_request request = {.number = number,
        .ticket = is_stop ? CP_TICKET_STOP : 0,
        .stop = is_stop ? WEIR_CHECKPOINT_SUSPEND : WEIR_CHECKPOINT_GO_ON};
    cp->begun_number = number;
    weir_job_checkpoint_note_running(cp);
    weir_coordinator_begun(cp->coordinator, &request, cp->now_ns);
    weir_job_checkpoint_drain(cp);
    cp->stop_asked |= is_stop && flight_of(cp, number) != NULL;
}

/* Its source has ended: from now on it is told as tasks are whose sources begin none. */
static void
end(struct cp_stage *stage)
{
    stage->has_begins = false;
    weir_job_checkpoint_post_end(stage);
}

void
weir_job_checkpoint_begun(struct cp_stage *stage, uint64_t number)
{
    struct weir_job_checkpoint *cp = stage->checkpoint;
    if (number == 0) {
        end(stage);
        return;
    }
    pass_over(stage, number);
    if (number > cp->begun_number) {
        begin(cp, number);
    }
    weir_job_checkpoint_post_begun(stage, flight_of(cp, number));
}
