/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h: which positions of a numbered input a subtask of a source emits, and when.
 *
 * Blocks of positions are dealt to the subtasks in turn, so that all advance through event time
 * together. A rate gives position n its intended time, start + n / rate: it is emitted no earlier,
 * and its latency counts from there whenever it is emitted.
 */
#ifndef WEIR_APPS_GEN_FEED_H
#define WEIR_APPS_GEN_FEED_H

#include "dataplane/types.h"

/* Events of one block: a few polls of a log lie within one. */
#define GEN_FEED_BLOCK 16384

/* Which positions of the stream a subtask emits, and when. */
struct gen_feed {
    uint64_t event_cnt;
    uint64_t block; /* this subtask's next block */
    uint32_t block_at;
    int64_t start_ns; /* of the schedule; 0: not begun */
    int64_t rate;
};

/* The next run of positions due now: its first, and how many, at most `most`. 0: none now. */
static inline uint32_t
gen_feed_next(struct gen_feed *feed, uint32_t most, int64_t now_ns, uint64_t *ret_first)
{
    uint64_t first = feed->block * GEN_FEED_BLOCK + feed->block_at;
    uint64_t left = first < feed->event_cnt ? feed->event_cnt - first : 0;
    uint64_t cnt = weir_min_u64(weir_min_u64(left, GEN_FEED_BLOCK - feed->block_at), most);
    if (feed->rate > 0 && cnt > 0) {
        feed->start_ns = feed->start_ns == 0 ? now_ns : feed->start_ns;
        weir_u128 due = (weir_u128)(uint64_t)(now_ns - feed->start_ns) * (uint64_t)feed->rate;
        uint64_t due_cnt = (uint64_t)(due / (uint64_t)WEIR_SEC_NS) + 1;
        cnt = due_cnt > first ? weir_min_u64(cnt, due_cnt - first) : 0;
    }
    *ret_first = first;
    return (uint32_t)cnt;
}

static inline int64_t
gen_feed_intended_ns(const struct gen_feed *feed, uint64_t position)
{
    if (feed->rate == 0) {
        return 0;
    }
    return feed->start_ns +
           (int64_t)((weir_u128)position * (uint64_t)WEIR_SEC_NS / (uint64_t)feed->rate);
}

static inline void
gen_feed_advance(struct gen_feed *feed, uint32_t cnt, uint32_t subtask_cnt)
{
    feed->block_at += cnt;
    if (feed->block_at == GEN_FEED_BLOCK) {
        feed->block_at = 0;
        feed->block += subtask_cnt;
    }
}

static inline int
gen_feed_status(const struct gen_feed *feed, uint32_t emitted)
{
    if (feed->block * GEN_FEED_BLOCK + feed->block_at >= feed->event_cnt) {
        return WEIR_DONE;
    }
    return emitted > 0 ? WEIR_AGAIN : WEIR_WAIT;
}

#endif
