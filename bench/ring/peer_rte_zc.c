/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's ring by its zero-copy calls: messages are written and read in place, as in ours. */
#include "bench/ring/loops.h"
#include "bench/ring/rte_open.h"

RING_INLINE void
produce_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    for (uint64_t seq = 0; seq < cnt;) {
        struct rte_ring_zc_data zcd;
        uint32_t n =
            rte_ring_enqueue_zc_burst_elem_start(q, bytes, ring_min(cnt - seq, batch), &zcd, NULL);
        if (n == 0) {
            ring_wait();
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *at = i < zcd.n1 ? (uint8_t *)zcd.ptr1 + i * bytes
                                     : (uint8_t *)zcd.ptr2 + (i - zcd.n1) * bytes;
            ring_fill(at, seq + i, bytes);
        }
        rte_ring_enqueue_zc_elem_finish(q, n);
        seq += n;
    }
}

RING_INLINE uint64_t
consume_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    uint64_t sum = 0;
    for (uint64_t seq = 0; seq < cnt;) {
        struct rte_ring_zc_data zcd;
        uint32_t n = rte_ring_dequeue_zc_burst_elem_start(q, bytes, batch, &zcd, NULL);
        if (n == 0) {
            ring_wait();
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t *at = i < zcd.n1 ? (uint8_t *)zcd.ptr1 + i * bytes
                                           : (uint8_t *)zcd.ptr2 + (i - zcd.n1) * bytes;
            sum += ring_sum(at, bytes);
        }
        rte_ring_dequeue_zc_elem_finish(q, n);
        seq += n;
    }
    return sum;
}

#define PEER_ENTRIES
#include "bench/ring/loops.h"

const struct ring_peer ring_peer_rte_zc = {
    "rte_ring_zc", peer_open, peer_close, peer_produce, peer_consume};
