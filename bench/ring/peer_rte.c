/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's ring, in plain memory: no EAL is started. */
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdlib.h>

#include "bench/ring/loops.h"

static void *
peer_open(uint32_t slot_cnt, uint32_t bytes)
{
    ssize_t mem_bytes = rte_ring_get_memsize_elem(bytes, slot_cnt);
    struct rte_ring *ring = mem_bytes > 0 ? aligned_alloc(128, (size_t)mem_bytes) : NULL;
    if (ring == NULL ||
        rte_ring_init(ring, "bench", slot_cnt, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
        abort();
    }
    return ring;
}

static void
peer_close(void *q)
{
    free(q);
}

RING_INLINE uint32_t
peer_put(void *q, const void *msgs, uint32_t n, uint32_t bytes)
{
    return rte_ring_sp_enqueue_burst_elem(q, msgs, bytes, n, NULL);
}

RING_INLINE uint32_t
peer_get(void *q, void *msgs, uint32_t n, uint32_t bytes)
{
    return rte_ring_sc_dequeue_burst_elem(q, msgs, bytes, n, NULL);
}

#define PEER_COPIES
#define PEER_ENTRIES
#include "bench/ring/loops.h"

const struct ring_peer ring_peer_rte = {
    "rte_ring", peer_open, peer_close, peer_produce, peer_consume};
