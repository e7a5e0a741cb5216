/* SPDX-License-Identifier: Apache-2.0 */
/* compare.h: what the sinks have committed beside what the reference says, row by row. */
#ifndef WEIR_APPS_SIM_COMPARE_H
#define WEIR_APPS_SIM_COMPARE_H

#include "apps/sim/draw.h"

struct weir_sim;

#define SIM_ANSWER_BYTES 512

struct sim_answer {
    uint64_t cnt; /* rows that were compared */
    uint64_t hash; /* of all of them */
    char text[SIM_ANSWER_BYTES]; /* the first difference */
};

/* sim_compare - all sinks of a job that has ended.
 *
 * Returns: whether each has exactly the rows that it should have, in any order.
 */
bool
sim_compare(const struct sim_draw *draw, struct weir_sim *world, struct sim_answer *ret_answer);

#endif
