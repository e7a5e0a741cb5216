/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include <stdlib.h>

#include "bench/ring/loops.h"

struct both {
    struct weir_ring_prod prod WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES);
    struct weir_ring_cons cons WEIR_ALIGNED(WEIR_LINE_PAIR_BYTES);
    void *mem;
};

static void *
peer_open(uint32_t slot_cnt, uint32_t bytes)
{
    struct weir_ring_shape shape = {slot_cnt, bytes};
    struct both *both = aligned_alloc(WEIR_LINE_PAIR_BYTES, sizeof *both);
    void *mem = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_ring_footprint(&shape));
    if (both == NULL || mem == NULL || weir_ring_new(mem, &shape) != 0 ||
        weir_ring_prod_join(&both->prod, mem, bytes) != 0 ||
        weir_ring_cons_join(&both->cons, mem, bytes) != 0) {
        abort();
    }
    both->mem = mem;
    return both;
}

static void
peer_close(void *q)
{
    struct both *both = q;
    free(both->mem);
    free(both);
}

RING_INLINE void
produce_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    struct weir_ring_prod *prod = &((struct both *)q)->prod;
    for (uint64_t seq = 0; seq < cnt;) {
        uint32_t want = ring_min(cnt - seq, batch);
        uint32_t n = weir_min_u32(weir_ring_room(prod, want), want);
        if (n == 0) {
            ring_wait();
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            ring_fill(weir_ring_prod_slot(prod, i, bytes), seq + i, bytes);
        }
        weir_ring_publish(prod, n);
        seq += n;
    }
}

RING_INLINE uint64_t
consume_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    struct weir_ring_cons *cons = &((struct both *)q)->cons;
    uint64_t sum = 0;
    for (uint64_t seq = 0; seq < cnt;) {
        uint32_t n = weir_min_u32(weir_ring_peek(cons), batch);
        if (n == 0) {
            ring_wait();
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            sum += ring_sum(weir_ring_cons_slot(cons, i, bytes), bytes);
        }
        weir_ring_advance(cons, n);
        weir_ring_release(cons, n);
        seq += n;
    }
    return sum;
}

#define PEER_ENTRIES
#include "bench/ring/loops.h"

const struct ring_peer ring_peer_weir = {
    "weir_ring", peer_open, peer_close, peer_produce, peer_consume};
