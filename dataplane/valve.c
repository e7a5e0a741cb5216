/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/valve.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mutant.h"

#define NOT_ALIGNED UINT32_MAX
/* Of a channel in a snapshot. */
#define SAVED_IDLE 1U
#define SAVED_ALIGNED 2U
#define SAVED_CHANNEL_CNT_MAX 65536

static const struct weir_valve_result nothing = {false, 0, WEIR_VALVE_SAME};

size_t
weir_valve_footprint(uint32_t channel_cnt)
{
    return channel_cnt * (sizeof(struct weir_valve_channel) + sizeof(uint32_t));
}

static void
place(struct weir_valve *valve, uint32_t idx, uint32_t channel)
{
    valve->heap[idx] = channel;
    valve->channels[channel].heap_idx = idx;
}

static int64_t
watermark_at(const struct weir_valve *valve, uint32_t idx)
{
    return valve->channels[valve->heap[idx]].watermark;
}

static void
sift_up(struct weir_valve *valve, uint32_t idx)
{
    uint32_t channel = valve->heap[idx];
    int64_t watermark = valve->channels[channel].watermark;
    while (idx > 0 && watermark_at(valve, (idx - 1) / 2) > watermark) {
        place(valve, idx, valve->heap[(idx - 1) / 2]);
        idx = (idx - 1) / 2;
    }
    place(valve, idx, channel);
}

static void
sift_down(struct weir_valve *valve, uint32_t idx)
{
    uint32_t channel = valve->heap[idx];
    int64_t watermark = valve->channels[channel].watermark;
    for (;;) {
        uint32_t child = 2 * idx + 1;
        if (child >= valve->heap_cnt) {
            break;
        }
        if (!WEIR_MUTANT(VALVE_CHILD_UNSEEN) && child + 1 < valve->heap_cnt &&
            watermark_at(valve, child + 1) < watermark_at(valve, child)) {
            child++;
        }
        if (watermark_at(valve, child) >= watermark) {
            break;
        }
        place(valve, idx, valve->heap[child]);
        idx = child;
    }
    place(valve, idx, channel);
}

static void
align(struct weir_valve *valve, uint32_t channel)
{
    valve->heap_cnt++;
    valve->heap[valve->heap_cnt - 1] = channel;
    sift_up(valve, valve->heap_cnt - 1);
}

static void
unalign(struct weir_valve *valve, uint32_t channel)
{
    uint32_t idx = valve->channels[channel].heap_idx;
    if (idx == NOT_ALIGNED) {
        return;
    }
    valve->channels[channel].heap_idx = NOT_ALIGNED;
    valve->heap_cnt--;
    if (idx < valve->heap_cnt) {
        uint32_t moved = valve->heap[valve->heap_cnt];
        place(valve, idx, moved);
        sift_up(valve, idx);
        sift_down(valve, valve->channels[moved].heap_idx);
    }
}

void
weir_valve_init(struct weir_valve *valve, void *mem, uint32_t channel_cnt)
{
    valve->channels = mem;
    valve->heap = (uint32_t *)(valve->channels + channel_cnt);
    valve->channel_cnt = channel_cnt;
    valve->heap_cnt = channel_cnt;
    valve->active_cnt = channel_cnt;
    valve->idle = false;
    valve->output = WEIR_TIME_MIN;
    for (uint32_t i = 0; i < channel_cnt; i++) {
        valve->channels[i].watermark = WEIR_TIME_MIN;
        valve->channels[i].idle = false;
        place(valve, i, i);
    }
}

static struct weir_valve_result
raise_to(struct weir_valve *valve, int64_t watermark)
{
    struct weir_valve_result result = nothing;
    if (watermark > valve->output) {
        valve->output = watermark;
        result.watermark_set = true;
        result.watermark = watermark;
    }
    return result;
}

static struct weir_valve_result
raise_to_minimum(struct weir_valve *valve)
{
    return valve->heap_cnt == 0 ? nothing : raise_to(valve, watermark_at(valve, 0));
}

struct weir_valve_result
weir_valve_watermark(struct weir_valve *valve, uint32_t channel_idx, int64_t watermark)
{
    WEIR_DCHECK(channel_idx < valve->channel_cnt, "channel %u", channel_idx);
    struct weir_valve_channel *channel = &valve->channels[channel_idx];
    if (channel->idle || watermark <= channel->watermark) {
        return nothing;
    }
    channel->watermark = watermark;
    if (channel->heap_idx != NOT_ALIGNED) {
        sift_down(valve, channel->heap_idx);
    } else if (watermark >= valve->output) {
        align(valve, channel_idx);
    }
    return raise_to_minimum(valve);
}

static struct weir_valve_result
go_idle(struct weir_valve *valve, uint32_t channel_idx)
{
    struct weir_valve_channel *channel = &valve->channels[channel_idx];
    struct weir_valve_result result = nothing;
    channel->idle = true;
    if (!WEIR_MUTANT(IDLE_HOLDS)) {
        unalign(valve, channel_idx);
    }
    valve->active_cnt--;
    bool held_output = channel->watermark == valve->output;
    if (valve->active_cnt > 0) {
        return held_output ? raise_to_minimum(valve) : nothing;
    }
    if (held_output) {
        int64_t max = WEIR_TIME_MIN;
        for (uint32_t i = 0; i < valve->channel_cnt; i++) {
            max = weir_max_i64(max, valve->channels[i].watermark);
        }
        result = raise_to(valve, max);
    }
    valve->idle = true;
    result.status = WEIR_VALVE_IDLE;
    return result;
}

struct weir_valve_result
weir_valve_status(struct weir_valve *valve, uint32_t channel_idx, bool idle)
{
    WEIR_DCHECK(channel_idx < valve->channel_cnt, "channel %u", channel_idx);
    struct weir_valve_channel *channel = &valve->channels[channel_idx];
    if (idle == channel->idle) {
        return nothing;
    }
    if (idle) {
        return go_idle(valve, channel_idx);
    }
    struct weir_valve_result result = nothing;
    channel->idle = false;
    valve->active_cnt++;
    if (channel->watermark >= valve->output) {
        align(valve, channel_idx);
    }
    if (valve->idle) {
        valve->idle = false;
        result.status = WEIR_VALVE_ACTIVE;
    }
    return result;
}

/* ---- snapshots ---- */

void
weir_valve_snapshot(const struct weir_valve *valve, struct weir_parts_writer *parts)
{
    weir_parts_put_u64(parts, valve->channel_cnt);
    weir_parts_put_u64(parts, (uint64_t)valve->output);
    weir_parts_put_u64(parts, valve->idle);
    for (uint32_t i = 0; i < valve->channel_cnt; i++) {
        const struct weir_valve_channel *channel = &valve->channels[i];
        bool is_aligned = channel->heap_idx != NOT_ALIGNED;
        weir_parts_put_u64(parts, (uint64_t)channel->watermark);
        weir_parts_put_u64(
            parts, (channel->idle ? SAVED_IDLE : 0) | (is_aligned ? SAVED_ALIGNED : 0));
    }
}

static int
restore_channel(struct weir_valve *valve, uint32_t idx, struct weir_part *part)
{
    struct weir_valve_channel *channel = &valve->channels[idx];
    uint64_t watermark;
    uint64_t flags;
    int rc = weir_part_get_u64(part, &watermark);
    rc = rc != 0 ? rc : weir_part_get_u64(part, &flags);
    if (rc != 0) {
        return rc;
    }
    if (flags > (SAVED_IDLE | SAVED_ALIGNED) || flags == (SAVED_IDLE | SAVED_ALIGNED)) {
        return weir_err_push(
            WEIR_EDATA, "channel %u of a valve has flags %llu", idx, (unsigned long long)flags);
    }
    channel->watermark = (int64_t)watermark;
    channel->heap_idx = NOT_ALIGNED;
    channel->idle = (flags & SAVED_IDLE) != 0;
    if (channel->idle) {
        valve->active_cnt--;
    }
    if ((flags & SAVED_ALIGNED) != 0) {
        align(valve, idx);
    }
    return 0;
}

/* What stands in front of the channels. */
struct saved_head {
    uint64_t channel_cnt;
    uint64_t output;
    uint64_t idle;
};

static int
take_head(struct weir_part *part, struct saved_head *ret_head)
{
    int rc = weir_part_get(part, ret_head, sizeof *ret_head);
    if (rc == 0 && (ret_head->channel_cnt > SAVED_CHANNEL_CNT_MAX || ret_head->idle > 1)) {
        rc = weir_err_push(WEIR_EDATA, "a valve of %llu channels, idle %llu",
            (unsigned long long)ret_head->channel_cnt, (unsigned long long)ret_head->idle);
    }
    return rc;
}

static int
pass_over(struct weir_part *part, uint64_t channel_cnt)
{
    uint64_t passed_over;
    int rc = 0;
    for (uint64_t i = 0; i < 2 * channel_cnt && rc == 0; i++) {
        rc = weir_part_get_u64(part, &passed_over);
    }
    return rc;
}

/* Other channels than there were: none of them brings a row that is at or before the output, and
 * all of them hold it back. One that were left at its first watermark would not: others would go
 * on without it, and its rows be late. */
void
weir_valve_level(struct weir_valve *valve, int64_t watermark)
{
    valve->output = watermark;
    valve->idle = false;
    valve->active_cnt = valve->channel_cnt;
    valve->heap_cnt = 0;
    for (uint32_t i = 0; i < valve->channel_cnt; i++) {
        valve->channels[i].watermark = watermark;
        valve->channels[i].idle = false;
        valve->channels[i].heap_idx = NOT_ALIGNED;
        if (!WEIR_MUTANT(VALVE_RESTORED_UNHELD)) {
            align(valve, i);
        }
    }
}

int
weir_valve_restore(struct weir_valve *valve, struct weir_part *part, uint32_t *ret_channel_cnt)
{
    struct saved_head head;
    int rc = take_head(part, &head);
    if (rc != 0) {
        return rc;
    }
    valve->output = (int64_t)head.output;
    *ret_channel_cnt = (uint32_t)head.channel_cnt;
    if (head.channel_cnt != valve->channel_cnt) {
        weir_valve_level(valve, valve->output);
        return pass_over(part, head.channel_cnt);
    }
    valve->idle = head.idle == 1;
    valve->heap_cnt = 0;
    valve->active_cnt = valve->channel_cnt;
    for (uint32_t i = 0; i < valve->channel_cnt && rc == 0; i++) {
        rc = restore_channel(valve, i, part);
    }
    return rc;
}

int
weir_valve_restore_least(
    struct weir_valve *valve, struct weir_part *part, bool is_first, uint32_t *ret_channel_cnt)
{
    struct saved_head head;
    int rc = take_head(part, &head);
    if (rc != 0) {
        return rc;
    }
    int64_t output = (int64_t)head.output;
    valve->output = is_first ? output : weir_min_i64(valve->output, output);
    *ret_channel_cnt = (uint32_t)head.channel_cnt;
    if (head.channel_cnt != valve->channel_cnt) {
        weir_valve_level(valve, valve->output);
        return pass_over(part, head.channel_cnt);
    }
    valve->heap_cnt = 0;
    for (uint32_t i = 0; i < valve->channel_cnt && rc == 0; i++) {
        struct weir_valve_channel *channel = &valve->channels[i];
        uint64_t words[2]; /* its watermark, its flags */
        rc = weir_part_get(part, words, sizeof words);
        if (rc == 0) {
            int64_t watermark = (int64_t)words[0];
            channel->watermark = is_first ? watermark : weir_min_i64(channel->watermark, watermark);
            channel->heap_idx = NOT_ALIGNED;
            /* Whatever it is: one that was idle in a subtask may be what brings the rows now. */
            align(valve, i);
        }
    }
    return rc;
}
