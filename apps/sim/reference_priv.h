/* SPDX-License-Identifier: Apache-2.0 */
/* reference_priv.h: the reference's rows and windows, shared by reference.c (one input) and
 * reference_meet.c (two). */
#ifndef WEIR_APPS_SIM_REFERENCE_PRIV_H
#define WEIR_APPS_SIM_REFERENCE_PRIV_H

#include "apps/sim/reference.h"

struct sim_entry {
    int64_t start;
    int64_t key;
    uint64_t side; /* of joins: 0 left, 1 right */
    const struct sim_row *row;
};

struct sim_entries {
    struct sim_entry *entry;
    uint64_t cnt;
    uint64_t cap;
};

/* sim_rows_add - a copy of a row, which may be changed until the next one is added. */
struct sim_row *sim_rows_add(struct sim_rows *rows, const struct sim_row *row);
void sim_entries_put(
    struct sim_entries *entries, int64_t start, uint64_t side, const struct sim_row *row);
/* sim_entries_spread - each row into the windows that hold its time; late: those that come too
 * late, NULL: they are dropped. */
void sim_entries_spread(struct sim_entries *entries, const struct sim_node *node, uint64_t side,
    const struct sim_rows *in, struct sim_rows *late);
void sim_entries_sort(struct sim_entries *entries);
/* sim_entries_end - of the entries of one key and window that begin at `from`. */
uint64_t sim_entries_end(const struct sim_entries *entries, uint64_t from);

/* sim_reference_meet - a node from SIM_JOIN to SIM_RULES. */
void sim_reference_meet(const struct sim_node *node, const struct sim_rows *left,
    const struct sim_rows *right, struct sim_rows *out);

#endif
