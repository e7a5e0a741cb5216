/* SPDX-License-Identifier: Apache-2.0 */
/* valve.h: the watermark of an input, from those of its channels.
 *
 * Each channel has a watermark, is active or idle, and aligned or not. The output is the minimum
 * over the channels that are active and aligned, and only ever rises. An idle channel does not
 * count; when the last active one goes idle and it held the output, the maximum over all channels
 * is flushed, and then IDLE. A channel that becomes active again is aligned once its watermark has
 * reached the last output. Watermarks of idle channels are dropped.
 *
 * [format: State / Parts chain and gate.N]
 *
 *     valve      0 channels u64    8 watermark put out i64    16 is idle u64
 *                of each channel:  watermark i64, flags u64: 1 idle, 2 aligned
 *     "chain"    of an operator: watermark i64, flags u64: 1 idle, 2 not all that the watermark
 *                makes due was done; the valve of its fused inputs
 *     "gate.N"   of an operator's input from other stages, N its first channel in the task: its
 *                valve, then of each channel: watermark of the last batch i64
 *
 * [end of format]
 *
 * Thread: one core. Cost: O(log channels) an update (a heap over the aligned channels).
 * Source: Flink's StatusWatermarkValve; the same rules, results returned instead of called back.
 */
#ifndef WEIR_DATAPLANE_VALVE_H
#define WEIR_DATAPLANE_VALVE_H

#include "dataplane/parts.h"
#include "dataplane/types.h"

struct weir_valve_channel {
    int64_t watermark;
    uint32_t heap_idx; /* place in the heap, UINT32_MAX: not aligned */
    bool idle;
};

struct weir_valve {
    struct weir_valve_channel *channels;
    uint32_t *heap; /* aligned channels, least watermark first */
    uint32_t channel_cnt;
    uint32_t heap_cnt;
    uint32_t active_cnt;
    bool idle; /* last status put out */
    int64_t output; /* last watermark put out, WEIR_TIME_MIN: none yet */
};

enum weir_valve_status { WEIR_VALVE_SAME, WEIR_VALVE_IDLE, WEIR_VALVE_ACTIVE };

/* What one input makes due downstream: the watermark first, then the status. */
struct weir_valve_result {
    bool watermark_set;
    int64_t watermark;
    enum weir_valve_status status;
};

/* weir_valve_footprint - bytes of memory that weir_valve_init wants for its channels. */
WEIR_API size_t weir_valve_footprint(uint32_t channel_cnt);
/* weir_valve_init - all channels active, aligned, without a watermark. Keeps mem until unused. */
WEIR_API void weir_valve_init(struct weir_valve *valve, void *mem, uint32_t channel_cnt);
WEIR_API struct weir_valve_result
weir_valve_watermark(struct weir_valve *valve, uint32_t channel, int64_t watermark);
WEIR_API struct weir_valve_result
weir_valve_status(struct weir_valve *valve, uint32_t channel, bool idle);

/* weir_valve_snapshot, weir_valve_restore - the state of the valve, into the open part or from one.
 *
 * Shape:   restore comes before any input. *ret_channel_cnt is what the snapshot had; where this is
 *          another number, all channels start without a watermark, and the output stays.
 * Errors:  WEIR_EDATA, of restore.
 */
WEIR_API void weir_valve_snapshot(const struct weir_valve *valve, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int
weir_valve_restore(struct weir_valve *valve, struct weir_part *part, uint32_t *ret_channel_cnt);
/* weir_valve_restore_least - the same where the tasks are others than before: once per old valve.
 *
 * Shape:   is_first: of the first of them. Watermarks are the least of all; every channel counts as
 *          active and aligned, for whoever feeds it says so anew.
 */
WEIR_API WEIR_MUST_USE int weir_valve_restore_least(
    struct weir_valve *valve, struct weir_part *part, bool is_first, uint32_t *ret_channel_cnt);
/* weir_valve_level - channels that are others than before: none brings a row that is at or before
 * the watermark that had been put out, and each holds back whoever goes on. */
WEIR_API void weir_valve_level(struct weir_valve *valve, int64_t watermark);

#endif
