/* SPDX-License-Identifier: Apache-2.0 */
/* crew.h: many seeds, each a trial of its own, in processes beside each other.
 *
 *     crew   --fork-->  hand 0: seeds s, s + n, s + 2n ...   --pipe-->  outcomes in seed order
 *                       hand 1: seeds s + 1, s + n + 1 ...
 *
 * A seed goes the same way whoever runs it. A hand that dies of a signal is told as a seed that has
 * failed, and another one goes on behind it.
 */
#ifndef WEIR_APPS_SIM_CREW_H
#define WEIR_APPS_SIM_CREW_H

#include <time.h>

#include "apps/sim/trial.h"

#define SIM_HAND_CNT_MAX 64
/* One of so many seeds is run twice, and must go the same way. */
#define SIM_TWICE_ONE_IN 100

struct sim_outcome {
    uint64_t seed;
    bool is_well;
    bool was_twice;
    struct sim_result result;
};
typedef void(sim_outcome_fn)(void *arg, const struct sim_outcome *outcome);

struct sim_crew_conf {
    struct sim_trial_conf trial; /* is_loud: each seed is run twice */
    uint64_t seed; /* the first */
    uint64_t run_cnt;
    time_t end; /* no seed begins from then on; 0: none */
    uint32_t hand_cnt; /* 1: in this process */
    bool ends_early; /* in this process: with the first seed that fails */
    sim_outcome_fn *fn; /* of each seed, in their order */
    void *arg;
};

/* sim_crew_run - all seeds. Errors: 0 or an errno, where there are no processes or pipes. */
int sim_crew_run(const struct sim_crew_conf *conf);

#endif
