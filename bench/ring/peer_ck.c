/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrency Kit's ring, messages by value through its typed calls; it has no batch calls. */
#include <ck_ring.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ring/loops.h"

struct m8 {
    uint64_t words[1];
};
struct m16 {
    uint64_t words[2];
};
struct m64 {
    uint64_t words[8];
};
struct m192 {
    uint64_t words[24];
};
CK_RING_PROTOTYPE(m8, m8)
CK_RING_PROTOTYPE(m16, m16)
CK_RING_PROTOTYPE(m64, m64)
CK_RING_PROTOTYPE(m192, m192)

struct both {
    struct ck_ring ring;
    void *slots;
};

static void *
peer_open(uint32_t slot_cnt, uint32_t bytes)
{
    struct both *both = aligned_alloc(128, (sizeof *both + 127) / 128 * 128);
    void *slots = aligned_alloc(128, (size_t)slot_cnt * bytes);
    if (both == NULL || slots == NULL) {
        abort();
    }
    ck_ring_init(&both->ring, slot_cnt);
    both->slots = slots;
    return both;
}

static void
peer_close(void *q)
{
    struct both *both = q;
    free(both->slots);
    free(both);
}

#define CK_MANY(call)                                                 \
    while (done < n && call(&both->ring, both->slots, msgs + done)) { \
        done++;                                                       \
    }

RING_INLINE uint32_t
peer_put(void *q, uint8_t *bytes_in, uint32_t n, uint32_t bytes)
{
    struct both *both = q;
    uint32_t done = 0;
    if (bytes == 8) {
        struct m8 *msgs = (struct m8 *)(void *)bytes_in;
        CK_MANY(ck_ring_enqueue_spsc_m8)
    } else if (bytes == 16) {
        struct m16 *msgs = (struct m16 *)(void *)bytes_in;
        CK_MANY(ck_ring_enqueue_spsc_m16)
    } else if (bytes == 64) {
        struct m64 *msgs = (struct m64 *)(void *)bytes_in;
        CK_MANY(ck_ring_enqueue_spsc_m64)
    } else {
        struct m192 *msgs = (struct m192 *)(void *)bytes_in;
        CK_MANY(ck_ring_enqueue_spsc_m192)
    }
    return done;
}

RING_INLINE uint32_t
peer_get(void *q, uint8_t *bytes_out, uint32_t n, uint32_t bytes)
{
    struct both *both = q;
    uint32_t done = 0;
    if (bytes == 8) {
        struct m8 *msgs = (struct m8 *)(void *)bytes_out;
        CK_MANY(ck_ring_dequeue_spsc_m8)
    } else if (bytes == 16) {
        struct m16 *msgs = (struct m16 *)(void *)bytes_out;
        CK_MANY(ck_ring_dequeue_spsc_m16)
    } else if (bytes == 64) {
        struct m64 *msgs = (struct m64 *)(void *)bytes_out;
        CK_MANY(ck_ring_dequeue_spsc_m64)
    } else {
        struct m192 *msgs = (struct m192 *)(void *)bytes_out;
        CK_MANY(ck_ring_dequeue_spsc_m192)
    }
    return done;
}

#define PEER_COPIES
#define PEER_ENTRIES
#include "bench/ring/loops.h"

const struct ring_peer ring_peer_ck = {
    "ck_ring", peer_open, peer_close, peer_produce, peer_consume};
