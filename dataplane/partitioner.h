/* SPDX-License-Identifier: Apache-2.0 */
/* partitioner.h: how the rows of a stream are dealt out to the subtasks that read it.
 *
 * The part of partition.h that jobs name.
 */
#ifndef WEIR_DATAPLANE_PARTITIONER_H
#define WEIR_DATAPLANE_PARTITIONER_H

#include "dataplane/batch.h"

WEIR_C_BEGIN

enum weir_partitioner {
    WEIR_PARTITION_FORWARD,
    WEIR_PARTITION_REBALANCE, /* round robin over all, from a random start */
    WEIR_PARTITION_RESCALE, /* round robin over the subtask's own group of consumers */
    WEIR_PARTITION_SHUFFLE, /* random */
    WEIR_PARTITION_BROADCAST,
    WEIR_PARTITION_GLOBAL, /* all to channel 0 */
    WEIR_PARTITION_KEYED,
    WEIR_PARTITION_CUSTOM,
    WEIR_PARTITION_CNT
};

/* weir_partition_fn - the channel of each selected row [from, from + cnt) of a batch, in
 * [0, channel_cnt): one call a batch. Pure: same rows, same answer. */
typedef void(weir_partition_fn)(const struct weir_view *view, uint32_t from, uint32_t cnt,
    uint32_t channel_cnt, uint16_t *ret_channel);

WEIR_API const char *weir_partitioner_name(enum weir_partitioner partitioner);

WEIR_C_END

#endif
