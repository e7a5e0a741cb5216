/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h: one input of a stage: its channels, served in turn, and their watermarks joined.
 *
 * Channels that have something are served round robin, one descriptor a turn, so that none waits
 * for more than the others' one turn each. The watermark valve stands here: downstream sees one
 * watermark and one status for the whole gate, yet each batch still carries its own channel's
 * watermark, which is what makes a row late. The slot of the batch handed out last is held until
 * weir_gate_release(). Barriers are handed out as they come; who looks at all gates of the task
 * says which channels are blocked, and a blocked one is passed over.
 *
 * Source: Flink's SingleInputGate and StatusWatermarkValve.
 */
#ifndef WEIR_DATAPLANE_GATE_H
#define WEIR_DATAPLANE_GATE_H

#include "dataplane/barrier.h"
#include "dataplane/channel.h"
#include "dataplane/valve.h"

/* The consumer's end of a channel. writer: consumer core. */
struct weir_channel_in {
    struct weir_ring_cons ring;
    int64_t watermark;
    bool ended;
    bool blocked; /* by an aligned barrier: not served until it is released */
    uint32_t id; /* in the job's plan, as the producer's */
    uint64_t rows; /* ledger: rows ever taken */
    uint64_t sum; /* ledger: of their hashes; 0: none are taken */
    uint64_t bufs;
    /* of a gate that looks ahead: the newest barrier that was said to stand at a position */
    bool has_urgent;
    struct weir_mark urgent;
    uint64_t urgent_seq;
    uint64_t said_seq; /* slots before it that are barriers were told of */
    /* rows that an unaligned checkpoint keeps (task_priv.h) */
    bool keeps;
    uint64_t keep_seq; /* the next slot to be copied */
    int64_t keep_watermark; /* before it */
};

struct weir_gate {
    struct weir_channel_in *channels;
    uint32_t channel_cnt;
    uint32_t next; /* whose turn it is */
    uint32_t held; /* the channel of the batch handed out, or UINT32_MAX */
    uint32_t open_cnt; /* channels that have not ended */
    bool looks; /* for barriers that stand behind rows: they are told before they come */
    uint32_t first; /* number of its first channel among those of the task (barrier.h) */
    struct weir_valve valve;
    const struct weir_channel_format *format;
    const struct weir_region_table *regions;
};

/* What weir_gate_next found. */
struct weir_gate_item {
    uint32_t kind; /* enum weir_slot_kind; 0: nothing is there */
    uint32_t channel; /* whose it is, from 0 */
    bool is_ahead; /* a barrier that has not come yet: word of it */
    struct weir_mark mark; /* of a barrier, a cancel or a latency marker */
    struct weir_valve_result result; /* of a watermark or a status */
    struct weir_view view; /* of a batch */
};

/* weir_gate_init - channels[] are joined to their rings; valve_mem holds weir_valve_footprint(). */
WEIR_API void weir_gate_init(struct weir_gate *gate, struct weir_channel_in *channels,
    uint32_t channel_cnt, void *valve_mem);
/* weir_gate_next - take the next descriptor off the channel whose turn it is.
 *
 * Returns: the item; after WEIR_SLOT_END of the last channel the gate has ended (open_cnt == 0).
 *          Events of single channels that change nothing for the gate come with an empty result.
 */
WEIR_API void weir_gate_next(struct weir_gate *gate, struct weir_gate_item *ret_item);
/* weir_gate_has_mark, weir_gate_next_mark - a barrier or a cancel marker that comes next on its
 * channel, for who cannot take rows now: whether there is one, and the item as of next. */
WEIR_API bool weir_gate_has_mark(struct weir_gate *gate);
WEIR_API void weir_gate_next_mark(struct weir_gate *gate, struct weir_gate_item *ret_item);
/* weir_gate_ahead - word of the next barrier of a channel that stands behind rows and was not told
 * of: an item of kind BARRIER, is_ahead. Only of a gate that looks. */
WEIR_API bool
weir_gate_ahead(struct weir_gate *gate, uint32_t channel, struct weir_gate_item *ret_item);
/* weir_gate_regain - what channel had said before the job was restored: a watermark or a status. */
WEIR_API struct weir_valve_result
weir_gate_regain(struct weir_gate *gate, uint32_t channel, uint32_t slot_kind, int64_t value);
/* weir_gate_release - the batch handed out last is done with: its memory is the producer's
 * again. */
WEIR_API void weir_gate_release(struct weir_gate *gate);

/* weir_gate_snapshot, weir_gate_restore - the watermark and status of each channel, and what the
 * valve made of them, into the open part or from one. Restored into another number of channels, it
 * puts out nothing below what it had put out. WEIR_EDATA. */
WEIR_API void weir_gate_snapshot(const struct weir_gate *gate, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int weir_gate_restore(struct weir_gate *gate, struct weir_part *part);
/* weir_gate_restore_least - the same where the tasks are others than before: once per old gate. All
 * channels get the least that any of them had put out.
 * weir_gate_restore_fused - where the edge was fused: what its consumer had seen of it counts. */
WEIR_API WEIR_MUST_USE int
weir_gate_restore_least(struct weir_gate *gate, struct weir_part *part, bool is_first);
WEIR_API void weir_gate_restore_fused(struct weir_gate *gate, int64_t watermark);

#endif
