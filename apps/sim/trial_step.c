/* SPDX-License-Identifier: Apache-2.0 */
/* trial_step.c: a start of which a step fails, or which is canceled at one of them or later. What
 * it has made is given back, whatever it was, and the next start goes on from the newest
 * checkpoint. */
#include <inttypes.h>

#include "apps/sim/trial_priv.h"
#include "base/err.h"

/* Where in the stream of a seed this is drawn, by itself. */
#define STEP_DRAW 3000
/* One start of so many fails at a step, is canceled at one, or is canceled while it runs. */
#define FAIL_ONE_IN 5
#define CANCEL_STEP_ONE_IN 16
#define CANCEL_ONE_IN 8

static bool
is_of_stages(uint32_t step)
{
    return (step >= WEIR_JOB_STEP_STATE && step <= WEIR_JOB_STEP_OPERATORS) ||
           step >= WEIR_JOB_STEP_OPEN;
}

void
trial_step_plan(struct trial *trial, uint32_t stage_cnt)
{
    static const uint32_t late[] = {WEIR_JOB_STEP_RESTORE, WEIR_JOB_STEP_OPEN, WEIR_JOB_STEP_RUN};
    struct trial_steps *steps = &trial->steps;
    struct weir_rng rng;
    uint32_t at = WEIR_JOB_STEP_CNT;
    weir_rng_init(&rng, weir_rng_at(trial->conf->seed, STEP_DRAW + trial->result->start_cnt));
    if (trial->is_calm) {
        return;
    }
    if (weir_rng_chance(&rng, 1, FAIL_ONE_IN)) {
        at = (uint32_t)weir_rng_below(&rng, WEIR_JOB_STEP_CNT);
        steps->fails_at = at;
    } else if (weir_rng_chance(&rng, 1, CANCEL_STEP_ONE_IN)) {
        at = late[weir_rng_below(&rng, WEIR_ARRAY_CNT(late))];
        steps->cancels_at = at;
    } else if (weir_rng_chance(&rng, 1, CANCEL_ONE_IN)) {
        steps->cancel_ns = trial->now_ns + weir_rng_between(&rng, 0, trial->draw.run_ns / 2);
    }
    steps->stage = is_of_stages(at) ? (uint32_t)weir_rng_below(&rng, stage_cnt) : 0;
}

static void
cancel(struct trial *trial, uint32_t feature)
{
    trial->steps.is_canceled = true;
    trial_set(trial, feature);
    trial_note(trial, "  at %.3f ms: canceled", (double)trial->now_ns / 1e6);
    weir_job_request(trial->job, WEIR_TASK_REQUEST_CANCEL);
}

int
trial_step(void *arg, enum weir_job_step step, uint32_t stage)
{
    struct trial *trial = (struct trial *)arg;
    struct trial_steps *steps = &trial->steps;
    if (stage != steps->stage || steps->has_failed || steps->is_canceled) {
        return 0;
    }
    if (step == steps->cancels_at) {
        cancel(trial, SIM_FEATURE_CANCELED_STEP);
    }
    if (step != steps->fails_at) {
        return 0;
    }
    steps->has_failed = true;
    trial_set(trial, SIM_FEATURE_STEP + step);
    return weir_err_push(
        WEIR_EUNAVAILABLE, "no %s, of stage %" PRIu32, weir_job_step_name(step), stage);
}

void
trial_step_look(struct trial *trial)
{
    if (trial->now_ns >= trial->steps.cancel_ns && !trial->is_calm && !trial->steps.is_canceled) {
        cancel(trial, SIM_FEATURE_CANCELED);
    }
}

int
trial_step_check(struct trial *trial, int err, int step)
{
    if (trial->gate.open_cnt != 0) {
        trial_fail(trial,
            "invariant L2: start %" PRIu32 " is over, and %" PRIu32 " of its sources are open",
            trial->result->start_cnt, trial->gate.open_cnt);
        return -1;
    }
    if (trial->steps.has_failed && err == 0) {
        trial_fail(trial, "invariant L2: a step of start %" PRIu32 " has failed, and it went on",
            trial->result->start_cnt);
        return -1;
    }
    return step;
}
