/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's ring, in plain memory: no EAL is started. */
#include "bench/ring/loops.h"
#include "bench/ring/rte_open.h"

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
