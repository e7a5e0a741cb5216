/* SPDX-License-Identifier: Apache-2.0 */
/* arrival.h: rows that came to a sink in the poll under way, which no clock has looked at yet.
 *
 * Operators are given the time at which a poll began. What the poll brings to a sink arrives no
 * earlier than its end: counted from its beginning, all that the job itself does would take no
 * time.
 */
#ifndef WEIR_DATAPLANE_ARRIVAL_H
#define WEIR_DATAPLANE_ARRIVAL_H

#include "base/hist.h"

#define WEIR_ARRIVAL_CNT_MAX 64

struct weir_arrivals {
    uint32_t cnt;
    struct {
        int64_t intended_ns;
        uint64_t rows;
    } list[WEIR_ARRIVAL_CNT_MAX];
};

/* weir_arrivals_add - past the room of the list rows are due with the earliest of its last entry:
 * their latency comes out too long, never too short. */
static inline void
weir_arrivals_add(struct weir_arrivals *arrivals, int64_t intended_ns, uint64_t rows)
{
    uint32_t at = arrivals->cnt;
    if (at == WEIR_ARRIVAL_CNT_MAX) {
        at--;
        arrivals->list[at].intended_ns = weir_min_i64(arrivals->list[at].intended_ns, intended_ns);
        arrivals->list[at].rows += rows;
        return;
    }
    arrivals->list[at].intended_ns = intended_ns;
    arrivals->list[at].rows = rows;
    arrivals->cnt++;
}

/* weir_arrivals_settle - the poll has ended: all arrived now. */
static inline void
weir_arrivals_settle(struct weir_arrivals *arrivals, struct weir_hist *hist, int64_t now_ns)
{
    for (uint32_t i = 0; i < arrivals->cnt; i++) {
        weir_hist_record_since(hist, arrivals->list[i].intended_ns, now_ns, arrivals->list[i].rows);
    }
    arrivals->cnt = 0;
}

#endif
