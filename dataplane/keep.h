/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h: what a producer has made and its channels have no room for, while a barrier must not
 * wait.
 *
 * An unaligned barrier goes in front of what waits for room: the batch that is in the chain is
 * finished at once, and what of it does not fit into the channels is kept beside them, in order,
 * with the open slices. The checkpoint has a copy of it, as rows under way (flight.h), and it goes
 * into the channels as there is room, before anything newer.
 *
 * One memory for all channels of a partition, used from front to back and begun again when nothing
 * is kept. When it is full, rows wait in the chain after all.
 *
 * Thread: the producer's core. Source: Flink's overdraft buffers, and the in-flight buffers of a
 * ResultSubpartition that a priority event overtakes.
 */
#ifndef WEIR_DATAPLANE_KEEP_H
#define WEIR_DATAPLANE_KEEP_H

#include "dataplane/channel.h"
#include "dataplane/flight.h"

struct weir_keep {
    struct weir_flight_writer mem;
    uint32_t item_cnt; /* kept now, of all channels */
};

/* weir_keep_init - mem: 8-aligned, kept until the channels are closed. */
WEIR_API void weir_keep_init(struct weir_keep *keep, void *mem, size_t bytes);

static inline bool
weir_keep_has(const struct weir_channel_out *out)
{
    return out->kept_first != 0;
}

/* weir_keep_rows, weir_keep_event - behind what is kept of the channel. 1; 0: no memory. */
WEIR_API int weir_keep_rows(
    struct weir_channel_out *out, const struct weir_view *view, const uint16_t *rows, uint32_t cnt);
WEIR_API int weir_keep_event(struct weir_channel_out *out, uint32_t kind, int64_t value);
/* weir_keep_open_rows - take the open slice back out of the channel, before what is kept. 1; 0: no
 * memory. */
WEIR_API int weir_keep_open_rows(struct weir_channel_out *out);
/* weir_keep_send - put what is kept into the channel. 1: all of it; 0: busy; or an error of
 * weir_channel_append(). */
WEIR_API int weir_keep_send(struct weir_channel_out *out);
/* weir_keep_write - a copy of what is kept. */
WEIR_API void
weir_keep_write(const struct weir_channel_out *out, struct weir_flight_writer *writer);

#endif
