/* SPDX-License-Identifier: Apache-2.0 */
/* rte_open.h: DPDK's ring as both of its peers make it, by copies and in place. */
#ifndef WEIR_BENCH_RING_RTE_OPEN_H
#define WEIR_BENCH_RING_RTE_OPEN_H

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>
#include <stdlib.h>

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

#endif
