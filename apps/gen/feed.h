/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h: which positions of a numbered input a subtask of a source emits, and when.
 *
 * Blocks of positions are dealt to the subtasks in turn, so that all advance through event time
 * together. What a subtask has not read yet is a few splits:
 *
 *     split    blocks block, block + stride, ... below end; of the first one from position `at` on
 *
 * It reads them in order of positions: one block of the split that is least far, and so on. At
 * first it has one split, (subtask_idx, stride subtask_cnt). With another number of subtasks than
 * before, the old splits are dealt out anew: from the block on that nobody has touched, all
 * together as at first; what lies below is divided, or given away whole where it is in many pieces.
 *
 * A rate gives position n its intended time, start + n / rate: it is emitted no earlier, and its
 * latency counts from there whenever it is emitted. After a restore the least position that is left
 * is due at once: a standstill is not made up for.
 *
 * [format: State / Parts of sources with numbered events]
 *
 *     "splits"   a list (state.h), of each split: block u64, at u64, stride u64, end u64
 *     "events"   a word: what the input holds, which must be the same
 *
 * [end of format]
 */
#ifndef WEIR_APPS_GEN_FEED_H
#define WEIR_APPS_GEN_FEED_H

#include "dataplane/operator.h"

/* Events of one block: a few polls of a log lie within one. */
#define GEN_FEED_BLOCK 16384
/* Pieces that splits are divided into at most: each may cost a comparison a block. */
#define GEN_FEED_SPLIT_CNT_MAX 4096

/* Also an item of the part. */
struct gen_split {
    uint64_t block; /* the first */
    uint64_t at; /* of the first block: positions that are read */
    uint64_t stride;
    uint64_t end; /* the first block beyond */
};

struct gen_feed {
    struct gen_split now; /* that is being read */
    uint64_t event_cnt;
    struct gen_split *more; /* others, in no order */
    uint32_t more_cnt;
    bool has_begun; /* the schedule has */
    int64_t start_ns; /* of the schedule */
    int64_t rate;
    uint64_t origin; /* the position that was due when the schedule began */
};

/* Its parts, for an operator's table of them (dataplane/state.h). */
#define GEN_FEED_PARTS                    \
    {"events", WEIR_STATE_PART_LEAST, 0}, \
    {                                     \
        "splits", WEIR_STATE_PART_BAG, 0  \
    }

/* gen_feed_init - all of this subtask's share. */
void gen_feed_init(
    struct gen_feed *feed, const struct weir_operator *op, uint64_t event_cnt, int64_t rate);
/* gen_feed_fini - takes what is all zero. */
void gen_feed_fini(struct gen_feed *feed);
/* gen_feed_turn - the block is at its end: go on to the next one of all splits. */
void gen_feed_turn(struct gen_feed *feed);

/* gen_feed_snapshot, gen_feed_restore - what is left to read; the feed was initialised. */
void gen_feed_snapshot(const struct gen_feed *feed, struct weir_parts_writer *parts);
WEIR_MUST_USE int gen_feed_restore(struct gen_feed *feed, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt);

/* The next run of positions due now: its first, and how many, at most `most`. 0: none now. */
static inline uint32_t
gen_feed_next(struct gen_feed *feed, uint32_t most, int64_t now_ns, uint64_t *ret_first)
{
    uint64_t first = feed->now.block * GEN_FEED_BLOCK + feed->now.at;
    uint64_t left = feed->now.block < feed->now.end ? feed->event_cnt - first : 0;
    uint64_t cnt = weir_min_u64(weir_min_u64(left, GEN_FEED_BLOCK - feed->now.at), most);
    if (feed->rate > 0 && cnt > 0) {
        feed->start_ns = feed->has_begun ? feed->start_ns : now_ns;
        feed->has_begun = true;
        weir_u128 due = (weir_u128)(uint64_t)(now_ns - feed->start_ns) * (uint64_t)feed->rate;
        uint64_t due_cnt = (uint64_t)(due / (uint64_t)WEIR_SEC_NS) + 1 + feed->origin;
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
    return feed->start_ns + (int64_t)((weir_u128)(position - feed->origin) * (uint64_t)WEIR_SEC_NS /
                                      (uint64_t)feed->rate);
}

static inline void
gen_feed_advance(struct gen_feed *feed, uint32_t cnt)
{
    feed->now.at += cnt;
    if (feed->now.at == GEN_FEED_BLOCK ||
        feed->now.block * GEN_FEED_BLOCK + feed->now.at == feed->event_cnt) {
        gen_feed_turn(feed);
    }
}

static inline int
gen_feed_status(const struct gen_feed *feed, uint32_t emitted)
{
    if (feed->now.block >= feed->now.end) {
        return WEIR_DONE;
    }
    return emitted > 0 ? WEIR_AGAIN : WEIR_WAIT;
}

#endif
