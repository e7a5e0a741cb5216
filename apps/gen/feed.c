/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/gen/feed.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/state.h"

#define VERSION 1

static uint64_t
block_cnt(const struct gen_feed *feed)
{
    return feed->event_cnt / GEN_FEED_BLOCK + (feed->event_cnt % GEN_FEED_BLOCK != 0);
}

static uint32_t
subtask_cnt(const struct weir_operator *op)
{
    return op->env->subtask_cnt != 0 ? op->env->subtask_cnt : 1;
}

static bool
is_empty(const struct gen_split *split)
{
    return split->block >= split->end;
}

void
gen_feed_init(
    struct gen_feed *feed, const struct weir_operator *op, uint64_t event_cnt, int64_t rate)
{
    memset(feed, 0, sizeof *feed);
    feed->event_cnt = event_cnt;
    feed->rate = rate;
    feed->now.block = op->env->subtask_idx;
    feed->now.stride = subtask_cnt(op);
    feed->now.end = block_cnt(feed);
}

void
gen_feed_fini(struct gen_feed *feed)
{
    free(feed->more);
    feed->more = NULL;
    feed->more_cnt = 0;
}

/* Read from the split that is least far. */
static void
choose(struct gen_feed *feed)
{
    for (uint32_t i = 0; i < feed->more_cnt;) {
        struct gen_split *other = &feed->more[i];
        if (is_empty(other)) {
            *other = feed->more[--feed->more_cnt];
            continue;
        }
        if (is_empty(&feed->now) || other->block < feed->now.block) {
            struct gen_split least = *other;
            *other = feed->now;
            feed->now = least;
            continue; /* what has come here may be empty */
        }
        i++;
    }
}

void
gen_feed_turn(struct gen_feed *feed)
{
    feed->now.block += feed->now.stride;
    feed->now.at = 0;
    choose(feed);
}

/* ---- checkpoints ---- */

static void
put_split(const struct gen_split *split, struct weir_parts_writer *parts)
{
    if (!is_empty(split)) {
        weir_state_item(parts, sizeof *split);
        weir_parts_put(parts, split, sizeof *split);
    }
}

void
gen_feed_snapshot(const struct gen_feed *feed, struct weir_parts_writer *parts)
{
    uint64_t cnt = !is_empty(&feed->now);
    for (uint32_t i = 0; i < feed->more_cnt; i++) {
        cnt += !is_empty(&feed->more[i]);
    }
    weir_state_put_word(parts, "events", (int64_t)feed->event_cnt);
    weir_state_list_begin(parts, "splits", VERSION, cnt);
    put_split(&feed->now, parts);
    for (uint32_t i = 0; i < feed->more_cnt; i++) {
        put_split(&feed->more[i], parts);
    }
    weir_state_list_end(parts);
}

/* Splits as they are put together. */
struct splits {
    struct gen_split *split;
    uint32_t cnt;
    uint32_t cap;
};

static int
add(struct splits *splits, const struct gen_split *split)
{
    if (splits->cnt == splits->cap) {
        uint32_t cap = splits->cap * 2 + 16;
        struct gen_split *grown = realloc(splits->split, cap * sizeof *grown);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "%u splits of a source", cap);
        }
        splits->split = grown;
        splits->cap = cap;
    }
    splits->split[splits->cnt++] = *split;
    return 0;
}

static int
read_split(const struct gen_feed *feed, struct weir_part *item, struct gen_split *ret_split)
{
    int err = weir_part_get(item, ret_split, sizeof *ret_split);
    err = err < 0 ? err : weir_part_end(item);
    if (err == 0 &&
        (is_empty(ret_split) || ret_split->end > block_cnt(feed) || ret_split->stride == 0 ||
            ret_split->stride > UINT32_MAX || ret_split->at >= GEN_FEED_BLOCK ||
            ret_split->block * GEN_FEED_BLOCK + ret_split->at >= feed->event_cnt)) {
        err = weir_err_push(WEIR_EDATA, "a split of a source lies outside its %llu events",
            (unsigned long long)feed->event_cnt);
    }
    return err;
}

/* What all old subtasks have left; and the least position of it. */
static int
read_all(struct gen_feed *feed, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt, struct splits *splits)
{
    bool is_same = parts_cnt == subtask_cnt(op);
    struct weir_state_list list;
    struct weir_part item;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = "splits";
    list.version_max = VERSION;
    list.is_union = true;
    feed->origin = feed->event_cnt;
    while ((got = weir_state_list_next(&list, &item)) > 0) {
        struct gen_split split;
        int err = read_split(feed, &item, &split);
        if (err == 0) {
            feed->origin = weir_min_u64(feed->origin, split.block * GEN_FEED_BLOCK + split.at);
            err = !is_same || list.at == op->env->subtask_idx ? add(splits, &split) : 0;
        }
        if (err < 0) {
            return err;
        }
    }
    return got;
}

/* The block from which on nobody has read anything: where the splits that go on to the end are all
 * that there are of one stride. Else the end. */
static uint64_t
tail_of(const struct gen_feed *feed, const struct splits *splits)
{
    uint64_t end = block_cnt(feed);
    uint64_t tail = 0;
    uint64_t stride = 0;
    uint64_t cnt = 0;
    for (uint32_t i = 0; i < splits->cnt; i++) {
        const struct gen_split *split = &splits->split[i];
        if (split->end == end) {
            if (stride != 0 && split->stride != stride) {
                return end;
            }
            stride = split->stride;
            cnt++;
            tail = weir_max_u64(tail, split->block + (split->at > 0));
        }
    }
    return cnt == stride && cnt > 0 ? tail : end;
}

/* This subtask's share of what lies below the tail. */
static int
share(const struct splits *all, const struct weir_operator *op, uint64_t tail, struct splits *mine)
{
    uint32_t cnt = subtask_cnt(op);
    uint32_t idx = op->env->subtask_idx;
    bool divides = (uint64_t)all->cnt * cnt <= GEN_FEED_SPLIT_CNT_MAX;
    int err = 0;
    for (uint32_t i = 0; i < all->cnt && err == 0; i++) {
        struct gen_split split = all->split[i];
        split.end = weir_min_u64(split.end, tail);
        if (divides) {
            split.block += idx * split.stride;
            split.at = idx == 0 ? split.at : 0;
            split.stride *= cnt;
        } else if (i % cnt != idx) {
            continue;
        }
        err = is_empty(&split) ? 0 : add(mine, &split);
    }
    return err;
}

static int
deal(struct gen_feed *feed, const struct weir_operator *op, struct splits *all)
{
    uint64_t end = block_cnt(feed);
    uint64_t tail = tail_of(feed, all);
    struct splits mine = {NULL, 0, 0};
    const struct gen_split rest = {tail + op->env->subtask_idx, 0, subtask_cnt(op), end};
    int err = share(all, op, tail, &mine);
    if (err == 0 && !is_empty(&rest)) {
        err = add(&mine, &rest);
    }
    free(all->split);
    *all = mine;
    return err;
}

int
gen_feed_restore(struct gen_feed *feed, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct splits splits = {NULL, 0, 0};
    int64_t event_cnt;
    int err = weir_state_word_least(op, parts, parts_cnt, "events", &event_cnt);
    if (err == 0 && (uint64_t)event_cnt != feed->event_cnt) {
        err = weir_err_push(WEIR_ESTATE,
            "the input has %llu events; when the checkpoint was taken it had %lld",
            (unsigned long long)feed->event_cnt, (long long)event_cnt);
    }
    err = err < 0 ? err : read_all(feed, op, parts, parts_cnt, &splits);
    if (err == 0 && parts_cnt != subtask_cnt(op)) {
        err = deal(feed, op, &splits);
    }
    gen_feed_fini(feed);
    feed->more = splits.split;
    feed->more_cnt = err == 0 ? splits.cnt : 0;
    memset(&feed->now, 0, sizeof feed->now);
    choose(feed);
    return err;
}
