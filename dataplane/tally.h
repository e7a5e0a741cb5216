/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h: rows counted where they are read, by the operator before the one that counts.
 *
 * A window that counts rows by one 8-byte key needs of a row its time and its key, and mostly it
 * has the key's entry at hand. Who reads the rows can add to that entry itself: then no row is
 * written between the two, and the work is done while the reader waits for memory.
 *
 *     log   |t=7 a|t=7 b|t=8 a|t=9 c|...       for each row in [first_ms, last_ms]: add one
 *              |     |     |     |
 *     cache    a: +2  b: +1      c: a spare place, looked up at the end
 *
 * The consumer offers a tally (the operator's hook of that name) and says at the start of each
 * poll whether, and for which times, rows may be counted; what may not goes the usual way, as a
 * batch. A tally is the two operators' and empty between two polls: checkpoints know nothing of it.
 *
 * Thread:  the stage's core.
 * Owner:   the consumer; the producer finds it at its output.
 */
#ifndef WEIR_DATAPLANE_TALLY_H
#define WEIR_DATAPLANE_TALLY_H

#include "dataplane/keyed.h"

WEIR_C_BEGIN

struct weir_operator;

struct weir_tally {
    struct weir_operator *op; /* the consumer */
    uint32_t key_off; /* of the key in the schema between the two */
    /* Whether rows behind a watermark may be counted now; sets the times. */
    bool (*begin)(struct weir_operator *op, int64_t watermark);
    /* Put what lies in spare places where it belongs: when they are full, and after the last row of
     * a poll. 0 or an error. */
    int (*settle)(struct weir_operator *op);
    int64_t first_ms; /* inclusive, both */
    int64_t last_ms;
    struct weir_keyed_cache *cache;
    struct weir_keyed_spare spare;
    /* Set by the producer, taken by the chain: what to write down of the rows counted. */
    uint64_t row_cnt;
    int64_t intended_ns;
};

/* weir_tally_has - whether a row of this time may be counted. */
static inline bool
weir_tally_has(const struct weir_tally *tally, int64_t time_ms)
{
    return time_ms >= tally->first_ms && time_ms <= tally->last_ms;
}

/* weir_tally_add - count a row that may be. False: settle first, then again. */
static inline __attribute__((always_inline)) bool
weir_tally_add(struct weir_tally *tally, uint64_t key)
{
    void *val;
    if (WEIR_UNLIKELY(!weir_keyed_cache_at(tally->cache, key, &tally->spare, true, &val))) {
        return false;
    }
    ++*(uint64_t *)val;
    return true;
}

WEIR_C_END

#endif
