/* SPDX-License-Identifier: Apache-2.0 */
/* cow.h: page copy-on-write, a peer of saving lines: the owner copies a whole page aside before its
 * first write to it, as long as a snapshot is live that has not captured it.
 *
 * Thread: cow_update, cow_begin the data core's; page_source_* the storage core's.
 */
#ifndef WEIR_BENCH_SNAPSHOT_COW_H
#define WEIR_BENCH_SNAPSHOT_COW_H

#include "base/clock.h"
#include "base/ring.h"
#include "bench/snapshot/state.h"

struct cow {
    const struct weir_clock *clock;
    struct state *state;
    struct weir_ring_prod prod;
    struct weir_ring_cons cons;
    char *saved; /* [entry of the ring] a page */
    uint32_t saved_cnt;
    uint32_t *copied; /* [page] the owner's: the snapshot that it was last copied for */
    WEIR_ATOMIC(uint32_t) * taken; /* [page] the storage core's */
    WEIR_ATOMIC(uint32_t) done; /* the newest snapshot that is captured */
    uint32_t number; /* the owner's */
    uint64_t begin_seq; /* where its pages begin in the ring; handed over with the barrier */
    uint64_t wait_ns; /* while the ring was full */
};

/* A snapshot's pages one by one: all of them plainly, or with a cow. */
struct page_source {
    const char *base;
    struct cow *cow; /* NULL: plainly */
    uint32_t page;
    uint32_t page_end;
    uint32_t number;
};

/* cow_open - room for saved_cnt pages, a power of two. */
void
cow_open(struct cow *cow, struct state *state, const struct weir_clock *clock, uint32_t saved_cnt);
/* cow_begin - the barrier. */
void cow_begin(struct cow *cow, uint32_t number);
void cow_update(struct cow *cow);

/* page_source_begin - of a snapshot whose barrier has come; the fields above but page are set. */
void page_source_begin(struct page_source *source);
/* page_source_fill - records as those of capture.h, in full; the fill of a snapshot's source. */
int64_t page_source_fill(void *arg, void *buf, uint64_t bytes);

#endif
