/* SPDX-License-Identifier: Apache-2.0 */
/* loops.h: the producer's and the consumer's loop, once for each peer.
 *
 * Included by a peer's file, so that its operations are inlined and the size of a message is a
 * constant. The file defines before: PEER_COPIES with peer_put(q, msgs, n, bytes) and
 * peer_get(q, msgs, n, bytes), which say how many they moved; or, where messages are written and
 * read in place, produce_sized() and consume_sized() themselves, from the three helpers below.
 */
#ifndef WEIR_BENCH_RING_LOOPS_H
#define WEIR_BENCH_RING_LOOPS_H

#include "bench/ring/peer.h"

#define RING_INLINE static inline __attribute__((always_inline))

RING_INLINE void
ring_wait(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

typedef uint64_t ring_words __attribute__((vector_size(32), aligned(8), may_alias));

/* Wide stores, for all rings alike. A line that the other core holds is waited for by each of its
 * stores, and the store buffer ends after some 64 of them: with eight 8-byte stores to a line, 64
 * bytes at batch 32 written in place took 42 ns a message where two 32-byte stores took 26 (this VM
 * while its cores were far apart), and the peers that copy hid it behind their copy. */
RING_INLINE void
ring_fill(void *msg, uint64_t seq, uint32_t bytes)
{
    uint64_t *words = (uint64_t *)msg;
    uint32_t w = 0;
    const ring_words steps = {0, 1, 2, 3};
    for (; w + 4 <= bytes / 8; w += 4) {
        *(ring_words *)(void *)(words + w) = steps + (seq + w);
    }
    for (; w < bytes / 8; w++) {
        words[w] = seq + w;
    }
}

RING_INLINE uint64_t
ring_sum(const void *msg, uint32_t bytes)
{
    const uint64_t *words = (const uint64_t *)msg;
    uint64_t sum = 0;
    for (uint32_t w = 0; w < bytes / 8; w++) {
        sum += words[w];
    }
    return sum;
}

RING_INLINE uint32_t
ring_min(uint64_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

#endif

#ifdef PEER_COPIES
struct peer_msgs {
    uint8_t bytes[RING_BATCH_CNT_MAX * RING_MSG_BYTES_MAX];
} __attribute__((aligned(64)));

RING_INLINE void
produce_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    struct peer_msgs msgs;
    for (uint64_t seq = 0; seq < cnt;) {
        uint32_t n = ring_min(cnt - seq, batch);
        for (uint32_t i = 0; i < n; i++) {
            ring_fill(msgs.bytes + i * bytes, seq + i, bytes);
        }
        seq += n;
        for (uint32_t done = 0; done < n;) {
            uint32_t did = peer_put(q, msgs.bytes + done * bytes, n - done, bytes);
            done += did;
            if (did == 0) {
                ring_wait();
            }
        }
    }
}

RING_INLINE uint64_t
consume_sized(void *q, uint64_t cnt, uint32_t batch, uint32_t bytes)
{
    struct peer_msgs msgs;
    uint64_t sum = 0;
    for (uint64_t seq = 0; seq < cnt;) {
        uint32_t n = peer_get(q, msgs.bytes, batch, bytes);
        for (uint32_t i = 0; i < n; i++) {
            sum += ring_sum(msgs.bytes + i * bytes, bytes);
        }
        seq += n;
        if (n == 0) {
            ring_wait();
        }
    }
    return sum;
}
#endif

#ifdef PEER_ENTRIES
static void
peer_produce(void *q, uint32_t bytes, uint64_t cnt, uint32_t batch)
{
    switch (bytes) {
    case 8:
        produce_sized(q, cnt, batch, 8);
        break;
    case 16:
        produce_sized(q, cnt, batch, 16);
        break;
    case 64:
        produce_sized(q, cnt, batch, 64);
        break;
    default:
        produce_sized(q, cnt, batch, 192);
        break;
    }
}

static uint64_t
peer_consume(void *q, uint32_t bytes, uint64_t cnt, uint32_t batch)
{
    switch (bytes) {
    case 8:
        return consume_sized(q, cnt, batch, 8);
    case 16:
        return consume_sized(q, cnt, batch, 16);
    case 64:
        return consume_sized(q, cnt, batch, 64);
    default:
        return consume_sized(q, cnt, batch, 192);
    }
}
#endif
