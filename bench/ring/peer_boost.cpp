/* SPDX-License-Identifier: Apache-2.0 */
/* Boost's spsc_queue, by its calls for ranges. */
#include <boost/lockfree/spsc_queue.hpp>

#include "bench/ring/loops.h"

template <uint32_t bytes> struct msg {
    uint64_t words[bytes / 8];
};
template <uint32_t bytes> using queue = boost::lockfree::spsc_queue<msg<bytes>>;

namespace {

struct any_queue {
    uint32_t bytes;
    void *q;
};

void *
peer_open(uint32_t slot_cnt, uint32_t bytes)
{
    void *q = bytes == 8    ? static_cast<void *>(new queue<8>(slot_cnt))
              : bytes == 16 ? static_cast<void *>(new queue<16>(slot_cnt))
              : bytes == 64 ? static_cast<void *>(new queue<64>(slot_cnt))
                            : static_cast<void *>(new queue<192>(slot_cnt));
    return new any_queue{bytes, q};
}

void
peer_close(void *any)
{
    any_queue *a = static_cast<any_queue *>(any);
    switch (a->bytes) {
    case 8:
        delete static_cast<queue<8> *>(a->q);
        break;
    case 16:
        delete static_cast<queue<16> *>(a->q);
        break;
    case 64:
        delete static_cast<queue<64> *>(a->q);
        break;
    default:
        delete static_cast<queue<192> *>(a->q);
        break;
    }
    delete a;
}

} // namespace

template <uint32_t bytes>
RING_INLINE uint32_t
put(void *q, void *msgs, uint32_t n)
{
    auto *queue_of = static_cast<queue<bytes> *>(static_cast<any_queue *>(q)->q);
    return static_cast<uint32_t>(queue_of->push(static_cast<msg<bytes> *>(msgs), n));
}

template <uint32_t bytes>
RING_INLINE uint32_t
get(void *q, void *msgs, uint32_t n)
{
    auto *queue_of = static_cast<queue<bytes> *>(static_cast<any_queue *>(q)->q);
    return static_cast<uint32_t>(queue_of->pop(static_cast<msg<bytes> *>(msgs), n));
}

RING_INLINE uint32_t
peer_put(void *q, void *msgs, uint32_t n, uint32_t bytes)
{
    return bytes == 8    ? put<8>(q, msgs, n)
           : bytes == 16 ? put<16>(q, msgs, n)
           : bytes == 64 ? put<64>(q, msgs, n)
                         : put<192>(q, msgs, n);
}

RING_INLINE uint32_t
peer_get(void *q, void *msgs, uint32_t n, uint32_t bytes)
{
    return bytes == 8    ? get<8>(q, msgs, n)
           : bytes == 16 ? get<16>(q, msgs, n)
           : bytes == 64 ? get<64>(q, msgs, n)
                         : get<192>(q, msgs, n);
}

#define PEER_COPIES
#define PEER_ENTRIES
#include "bench/ring/loops.h"

extern "C" const struct ring_peer ring_peer_boost = {
    "boost_spsc_queue", peer_open, peer_close, peer_produce, peer_consume};
