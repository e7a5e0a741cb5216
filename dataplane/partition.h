/* SPDX-License-Identifier: Apache-2.0 */
/* partition.h: the end of a stage: rows go to one channel per consumer, by a partitioner.
 *
 * A partition is the last operator of a branch. Rows wait in the channels' open buffers until those
 * are full or the task has run out of input (natural batching), or for flush_after_ns at most.
 * Watermarks and the end go to every channel, behind the rows before them. A full channel makes it
 * busy: it consumes what it can and is called again; nothing blocks. While it keeps (operator.h),
 * what has no room is kept beside the channels that have a place for it (keep.h), and an urgent
 * barrier goes in front of that.
 *
 * Source: Flink's ResultPartition, RecordWriter and StreamPartitioner. Differences: rebalance and
 * shuffle deal out runs of rows in one batch each where a batch holds more rows than channels, and
 * forward between unequal parallelisms is refused by the planner.
 */
#ifndef WEIR_DATAPLANE_PARTITION_H
#define WEIR_DATAPLANE_PARTITION_H

#include "dataplane/channel.h"
#include "dataplane/debloat.h"
#include "dataplane/key.h"
#include "dataplane/operator.h"
#include "dataplane/partitioner.h"

struct weir_handover;

struct weir_partition_conf {
    enum weir_partitioner partitioner;
    struct weir_key key; /* KEYED, resolved */
    weir_partition_fn *custom_fn; /* CUSTOM */
    const uint16_t *keygroup_owner; /* KEYED: channel of each key group; NULL: handover's */
    struct weir_handover *handover; /* KEYED: that table moves with it; NULL: it stays */
    uint32_t producer; /* the partition's number among those of the handover */
    uint32_t max_parallelism;
    struct weir_channel_out *channels;
    uint32_t channel_cnt;
    uint32_t first; /* RESCALE: the group is [first, first + cnt) of the consumers, all connected */
    void (*ring_fn)(
        void *ring_arg, uint32_t channel); /* tell the consumer's core; cold when awake */
    void *ring_arg;
    int64_t flush_after_ns; /* the longest that a row waits in an open buffer; 0: any time */
    /* That what is in flight is to take (debloat.h); 0: buffers are filled. */
    int64_t debloat_target_ns;
};

/* weir_partition_reroutes - whether rows on their way through such an edge can go to other
 * subtasks, when there are others: a barrier may overtake them. Broadcast rows are in each channel,
 * at another place; a custom partitioner is asked once; and forward keeps an order that rows of
 * another subtask would break. */
static inline bool
weir_partition_reroutes(enum weir_partitioner partitioner)
{
    return partitioner != WEIR_PARTITION_FORWARD && partitioner != WEIR_PARTITION_BROADCAST &&
           partitioner != WEIR_PARTITION_CUSTOM;
}

extern WEIR_API const struct weir_operator_type weir_partition_type;

#endif
