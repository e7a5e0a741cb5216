/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/valve.h"

#include "base/check.h"

#define NOT_ALIGNED UINT32_MAX

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
        if (child + 1 < valve->heap_cnt &&
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
    unalign(valve, channel_idx);
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
