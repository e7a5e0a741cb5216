/* SPDX-License-Identifier: Apache-2.0 */
/* meet.h: nodes of simulated jobs in which two streams meet, or a stream a table. */
#ifndef WEIR_APPS_SIM_MEET_H
#define WEIR_APPS_SIM_MEET_H

#include "apps/sim/draw.h"

struct weir_stream;

/* sim_meet - a node from SIM_JOIN to SIM_RULES. */
struct weir_stream *sim_meet(const struct sim_node *node, struct weir_stream *left,
    struct weir_stream *right, const char *name);
/* sim_tally - a keyed stream's counts and sums of values by key, as rows that change. */
struct weir_stream *sim_tally(struct weir_stream *in, const char *name, const char *map_name);
/* sim_meet_tables - a join of tables, folded. */
struct sim_table_names {
    const char *tally[2];
    const char *cell[2];
    const char *few[2];
    const char *join;
    const char *fold;
};
struct weir_stream *sim_meet_tables(const struct sim_node *node, struct weir_stream *left,
    struct weir_stream *right, const struct sim_table_names *names);
/* sim_lookup - rows with those of a table that have their key, and rows of other keys as they
 * are. */
struct weir_stream *sim_lookup(struct weir_stream *in, const char *name);

#endif
