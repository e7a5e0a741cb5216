/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h: one producer, one consumer: a ring of descriptors, and the buffers that they name.
 *
 *   producer (partition.h)                       consumer (gate.h)
 *   rows -> open buffer -> slice ---descriptor---> view -> chain
 *                ^                                   |
 *                '------ released position <---------'
 *
 * Small batches are slices of the channel's open buffer. A buffer is free again once the consumer
 * has released the last descriptor that names it, which the producer reads off the ring: no message
 * goes back. A row that is larger than a buffer travels alone, in memory of its own that is taken
 * for it; each channel has one such row on its way at most, so that none waits for another
 * channel's. Events travel in the same ring, in order; data leaves room for them.
 *
 * It is not a transport: both ends map the same regions.
 */
#ifndef WEIR_DATAPLANE_CHANNEL_H
#define WEIR_DATAPLANE_CHANNEL_H

#include "base/region.h"
#include "base/ring.h"
#include "dataplane/flight.h"
#include "io/buf.h"

/* Buffers that one channel may have in flight; a power of two. */
#define WEIR_CHANNEL_BUF_CNT_MAX 64

/* What one end of a channel has seen.
 *
 * [format: State / Parts ledger.out and ledger.in (WEIR_LEDGER_PART_VERSION)]
 *
 *     of each channel:   0 number in the job's plan u64   8 rows u64   16 sum of their hashes u64
 *
 * The producer's counts are in "ledger.out" of each edge, those of the consumer in "ledger.in" of
 * the task, whose uid is "".
 *
 * [end of format]
 *
 * In an aligned checkpoint the two ends of every channel agree: otherwise rows were lost or
 * doubled. */
#define WEIR_LEDGER_PART_OUT "ledger.out"
#define WEIR_LEDGER_PART_IN "ledger.in"
#define WEIR_LEDGER_PART_VERSION 1

struct weir_ledger_count {
    uint64_t channel; /* id in the job's plan */
    uint64_t rows;
    uint64_t sum;
};

struct weir_mark;
struct weir_keep;

/* The producer's end. writer: producer core. */
struct weir_channel_out {
    struct weir_ring_prod ring;
    const struct weir_channel_format *format;
    struct weir_buf_pool *pool;
    struct weir_region_table *regions; /* to name the memory of oversize rows */
    uint16_t channel; /* its number in the pool */
    uint32_t id; /* in the job's plan: the ledger compares the two ends of it */
    /* the open slice */
    char *buf; /* NULL: none */
    uint32_t buf_idx; /* WEIR_BUF_NONE: buf is `large` */
    uint16_t region;
    uint32_t region_off;
    uint32_t rows_off; /* of the slice's first row, in the buffer */
    uint32_t row_cnt;
    uint32_t heap_end;
    int64_t intended_ns;
    int64_t watermark; /* last one sent */
    /* buffers in flight, oldest first, each with the position behind its last descriptor */
    struct {
        uint64_t seq;
        uint32_t buf_idx;
    } flying[WEIR_CHANNEL_BUF_CNT_MAX];
    uint32_t flying_head;
    uint32_t flying_tail;
    /* the oversize row that is open, or on its way */
    char *large; /* NULL: none */
    uint64_t large_bytes;
    uint64_t large_seq; /* the position behind its descriptor */
    uint16_t large_region;
    bool dirty; /* something was published since the consumer was last told */
    bool ended;
    uint64_t rows; /* ledger: rows ever sent */
    uint64_t sum; /* ledger: of their hashes, in any order; 0: none are taken */
    uint64_t bufs; /* buffers ever filled */
    uint32_t limit; /* bytes of each new buffer that are used; 0: all */
    uint32_t buf_cap; /* of the open one */
    uint64_t buf_bytes; /* used of buffers that were shut, ever */
    /* what it has no room for, while a barrier does not wait (keep.h) */
    struct weir_keep *keep; /* NULL: rows wait */
    struct weir_flight_place place; /* of its rows in a checkpoint */
    uint64_t kept_first; /* in the memory of keep; 0: nothing is kept */
    uint64_t kept_last;
    int64_t kept_watermark; /* the last one before what would be kept next */
};

/* weir_channel_append - copy rows of `view` into the channel, those whose physical indices are
 * rows[0..cnt).
 *
 * Returns: rows taken, in order; fewer than cnt when there is no buffer or no slot: busy.
 * Errors:  WEIR_EBUDGET where one row is larger than WEIR_ROW_BYTES_MAX; WEIR_ENOMEM.
 */
WEIR_API int64_t weir_channel_append(
    struct weir_channel_out *out, const struct weir_view *view, const uint16_t *rows, uint32_t cnt);
/* weir_channel_pass - send rows of foreign memory without copying them; a selection of them is
 * copied, and goes in as many descriptors as it takes buffers. Returns: as weir_channel_append. */
WEIR_API int64_t weir_channel_pass(struct weir_channel_out *out,
    const struct weir_region_table *regions, const struct weir_view *view, const uint16_t *rows,
    uint32_t cnt);
/* weir_channel_flush - publish the open slice, if any. 1 done, 0 busy. */
WEIR_API int weir_channel_flush(struct weir_channel_out *out);
/* weir_channel_event - send an event behind all rows so far. 1 sent, 0 busy. */
WEIR_API int weir_channel_event(struct weir_channel_out *out, uint32_t kind, int64_t value);
/* weir_channel_mark - send a barrier or a cancel marker behind all rows so far; a consumer finds a
 * barrier ahead of what it has seen by weir_ring_urgent_seq(). 1 sent, 0 busy. */
WEIR_API int
weir_channel_mark(struct weir_channel_out *out, uint32_t slot_kind, const struct weir_mark *mark);
/* weir_channel_urge - say that a barrier stands before all rows that are not published yet. It
 * takes no slot. 1 said, 0 busy: others were not looked at yet. */
WEIR_API int weir_channel_urge(struct weir_channel_out *out, const struct weir_mark *mark);
/* weir_channel_open_rows - the rows of the open slice; false: it has none. Good until the next call
 * for the channel. weir_channel_drop_open - they were never sent. */
WEIR_API bool
weir_channel_open_rows(const struct weir_channel_out *out, struct weir_view *ret_view);
WEIR_API void weir_channel_drop_open(struct weir_channel_out *out);
/* weir_channel_reclaim - give the buffers that the consumer is done with back to the stock. */
WEIR_API void weir_channel_reclaim(struct weir_channel_out *out);

/* weir_channel_set_limit - use so many bytes of each buffer from the next one on; of one for a row
 * that needs more, all. WEIR_EINVAL: bytes is not positive. */
WEIR_API WEIR_MUST_USE int weir_channel_set_limit(struct weir_channel_out *out, int64_t bytes);
/* weir_channel_in_use - buffers that are open, or that the consumer is not done with. */
WEIR_API uint32_t weir_channel_in_use(struct weir_channel_out *out);

/* weir_channel_close - give all buffers back; the consumer is done with them, or will never be. */
WEIR_API void weir_channel_close(struct weir_channel_out *out);

/* weir_channel_view - resolve a descriptor of rows at the consumer.
 *
 * Thread: consumer core. Owner: the view borrows the slot's buffer until the slot is released.
 */
static inline void
weir_channel_view(const struct weir_batch *batch, const struct weir_channel_format *format,
    const struct weir_region_table *regions, struct weir_view *ret_view)
{
    char *region = (char *)weir_region_table_ptr(regions, batch->region, 0);
    memset(ret_view, 0, sizeof *ret_view);
    ret_view->schema = format->schema;
    ret_view->rows = region + batch->rows_off;
    ret_view->stride = batch->stride;
    ret_view->row_cnt = batch->row_cnt;
    ret_view->cnt = batch->row_cnt;
    ret_view->flags = batch->flags;
    ret_view->region = batch->region;
    ret_view->heap_region = batch->heap_region;
    ret_view->watermark = batch->watermark;
    ret_view->intended_ns = batch->intended_ns;
    ret_view->time_stride = batch->stride;
    ret_view->kind_stride = batch->stride;
    ret_view->heap = (char *)weir_region_table_ptr(regions, batch->heap_region, batch->heap_off);
    if (batch->time_off != WEIR_OFF_NONE) {
        ret_view->time = region + batch->time_off;
    }
    if (batch->kind_off != WEIR_OFF_NONE) {
        ret_view->kind = region + batch->kind_off;
    }
    if (batch->sel_off != WEIR_OFF_NONE) {
        ret_view->sel =
            (const uint16_t *)weir_region_table_ptr(regions, batch->aux_region, batch->sel_off);
        ret_view->cnt = batch->sel_cnt;
    }
}

#endif
