/* SPDX-License-Identifier: Apache-2.0 */
/* process_priv.h: what process.c (rows and timers), process_call.c (what bodies call) and
 * process_state.c (names of what is kept) share. */
#ifndef WEIR_DATAPLANE_OPERATORS_PROCESS_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_PROCESS_PRIV_H

#include "dataplane/broadcast.h"
#include "dataplane/keyed.h"
#include "dataplane/kindset.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/operators/process.h"
#include "dataplane/state.h"
#include "dataplane/timer.h"

#define WEIR_PROCESS_STATE_CNT 4
#define WEIR_PROCESS_PART_CNT 2

extern const struct weir_state_desc weir_process_states[WEIR_PROCESS_STATE_CNT];
extern const struct weir_state_part weir_process_parts[WEIR_PROCESS_PART_CNT];
/* The tables of declared states, by number. */
const struct weir_state_desc *weir_process_conf_state(const void *conf, uint32_t idx);

struct process_self {
    struct weir_process process; /* first: bodies get a pointer to it */
    const struct weir_process_function *function;
    const struct weir_process_second *second; /* NULL: one input */
    struct weir_keyed keyed[2]; /* by input */
    bool in_broadcast; /* a row without a key */
    struct weir_broadcast broadcast;
    struct weir_table *table;
    bool is_list; /* of the first declared state */
    struct weir_timers timers;
    struct weir_timers clocks;
    bool has_timers;
    bool has_clocks;
    struct weir_keyed_rows rows;
    uint32_t cleared[WEIR_KEYED_ROW_CNT_MAX]; /* rows of the block whose state was cleared */
    uint32_t cleared_cnt;
    struct weir_kindset kinds;
    struct weir_keyed_state *ahead; /* a list that was looked up for the rows of a block, or NULL */
    struct weir_table_rows ahead_rows;
    void *ahead_entry[WEIR_KEYED_ROW_CNT_MAX];
    struct weir_spill spill;
    bool spills; /* state that does not fit goes to disk */
    bool waits; /* a timer's key is not here yet */
    int64_t now_ms;
    /* while timers fire */
    struct weir_timers *firing; /* these or those */
    int64_t up_to;
    struct weir_timer timer;
    uint32_t fired_cnt; /* in this slice */
};

static inline struct process_self *
process_self_of(struct weir_process *p)
{
    return (struct process_self *)(void *)p;
}

static inline const void *
process_key(const struct process_self *self)
{
    return self->rows.rows.key + (size_t)self->process.row * self->rows.rows.key_stride;
}

#endif
