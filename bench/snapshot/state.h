/* SPDX-License-Identifier: Apache-2.0 */
/* state.h: the state that is written while snapshots of it are taken: pages of an arena, 16-byte
 * entries, and batches of updates drawn beforehand, whose lines are asked for ahead.
 *
 * Thread: the data core's, once it is made.
 */
#ifndef WEIR_BENCH_SNAPSHOT_STATE_H
#define WEIR_BENCH_SNAPSHOT_STATE_H

#include "dataplane/arena.h"

#define STATE_BATCH 256

struct state {
    struct weir_arena arena;
    uint32_t page_end;
    uint32_t *stream; /* references of entries */
    uint64_t at;
    uint64_t update_cnt;
};

struct state_conf {
    uint64_t mib;
    bool is_zipf; /* exponent 0.99, over entries that lie anywhere; else uniform */
    bool small_pages; /* of the host: what a fork has to copy one by one */
};

/* state_open - make it, all of it touched; ends the process where that cannot be. */
void state_open(struct state *state, const struct state_conf *conf);
/* state_update - the next batch. */
void state_update(struct state *state);
/* state_refs - the references of the next batch, for who updates by himself; moves on. */
const uint32_t *state_refs(struct state *state);

/* state_map - touched memory, in huge pages of the host unless they shall be small. */
void *state_map(uint64_t bytes, bool small_pages);

#endif
