/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h: one shape for the rings that are compared: ours, and the named peers.
 *
 * All do the same work: the producer writes every word of each message, the consumer adds every
 * word up, so that the sum proves that each message arrived whole.
 */
#ifndef WEIR_BENCH_RING_PEER_H
#define WEIR_BENCH_RING_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RING_BATCH_CNT_MAX 128
#define RING_MSG_BYTES_MAX 192

struct ring_peer {
    const char *name;
    void *(*open)(uint32_t slot_cnt, uint32_t bytes);
    void (*close)(void *q);
    void (*produce)(void *q, uint32_t bytes, uint64_t cnt, uint32_t batch);
    uint64_t (*consume)(void *q, uint32_t bytes, uint64_t cnt, uint32_t batch);
};

extern const struct ring_peer ring_peer_weir;
extern const struct ring_peer ring_peer_rte;
extern const struct ring_peer ring_peer_rte_zc;
extern const struct ring_peer ring_peer_ck;
extern const struct ring_peer ring_peer_boost;

#ifdef __cplusplus
}
#endif

#endif
