/* SPDX-License-Identifier: Apache-2.0 */
/* meet.h: nodes of simulated jobs in which two streams meet, or a stream a table. */
#ifndef WEIR_APPS_SIM_MEET_H
#define WEIR_APPS_SIM_MEET_H

#include "apps/sim/draw.h"

struct weir_stream;

/* sim_meet - a node from SIM_JOIN to SIM_RULES. */
struct weir_stream *sim_meet(const struct sim_node *node, struct weir_stream *left,
    struct weir_stream *right, const char *name);
/* sim_lookup - rows with those of a table that have their key, and rows of other keys as they
 * are. */
struct weir_stream *sim_lookup(struct weir_stream *in, const char *name);

#endif
