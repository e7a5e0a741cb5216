/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: loops of simulated jobs. */
#ifndef WEIR_APPS_SIM_LOOP_H
#define WEIR_APPS_SIM_LOOP_H

#include "apps/sim/draw.h"

struct weir_stream;

/* sim_loop - rows of `in`, which has head_cnt subtasks, go round as the node says, and come out of
 * body_cnt: of as many, where no key deals them out. */
struct weir_stream *sim_loop(const struct sim_node *node, struct weir_stream *in, const char *name,
    uint32_t head_cnt, uint32_t body_cnt);

#endif
