/* SPDX-License-Identifier: Apache-2.0 */
/* alignment.h: how far the sources of a group are, so that none runs too far ahead of the others.
 *
 * Each member shows its watermark on a board that all of them read. Whoever is further than the
 * least of all plus the drift that is allowed is held: its source is not polled until the least has
 * come up. The least itself is never held, so the group always goes on. Members that are idle, have
 * ended, or have no watermark yet do not count.
 *
 *     member 0  12:00:07   held, where the drift is 5 s
 *     member 1  12:00:01   the least
 *     member 2  idle       does not count
 *
 * Thread: each member is written by the core that polls it, and read by all: numbers that only rise
 * while the member counts, each right by itself.
 * Source: Flink's watermark alignment (FLIP-182), where a coordinator tells the least once a
 *         second.
 */
#ifndef WEIR_DATAPLANE_ALIGNMENT_H
#define WEIR_DATAPLANE_ALIGNMENT_H

#include "base/atomic.h"
#include "dataplane/types.h"

struct weir_alignment_member {
    WEIR_ALIGNED(WEIR_LINE_BYTES) WEIR_ATOMIC(int64_t) watermark; /* INT64_MAX: does not count */
};

struct weir_alignment {
    struct weir_alignment_member *members;
    uint32_t member_cnt;
};

/* weir_alignment_init - nobody counts yet. Keeps members, line-aligned. */
static inline void
weir_alignment_init(
    struct weir_alignment *alignment, struct weir_alignment_member *members, uint32_t member_cnt)
{
    alignment->members = members;
    alignment->member_cnt = member_cnt;
    for (uint32_t i = 0; i < member_cnt; i++) {
        weir_store_rlx(&members[i].watermark, INT64_MAX); /* relaxed: not shared yet */
    }
}

/* weir_alignment_report - a member's watermark; WEIR_TIME_MIN and INT64_MAX do not count. */
static inline void
weir_alignment_report(struct weir_alignment *alignment, uint32_t member, int64_t watermark)
{
    /* relaxed: a number by itself; one that is seen late holds somebody a little longer. */
    weir_store_rlx(
        &alignment->members[member].watermark, watermark != WEIR_TIME_MIN ? watermark : INT64_MAX);
}

/* weir_alignment_least - of those that count; INT64_MAX where none does. */
static inline int64_t
weir_alignment_least(const struct weir_alignment *alignment)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < alignment->member_cnt; i++) {
        /* relaxed: as in weir_alignment_report. */
        least = weir_min_i64(least, weir_load_rlx(&alignment->members[i].watermark));
    }
    return least;
}

/* weir_alignment_drift - how far a member is ahead of the least; 0 of one that does not count. */
static inline int64_t
weir_alignment_drift(const struct weir_alignment *alignment, uint32_t member)
{
    /* relaxed: as in weir_alignment_report. */
    int64_t own = weir_load_rlx(&alignment->members[member].watermark);
    return own != INT64_MAX ? weir_max_i64(weir_sub_sat(own, weir_alignment_least(alignment)), 0)
                            : 0;
}

#endif
