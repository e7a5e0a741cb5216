/* SPDX-License-Identifier: Apache-2.0 */
/* flight.h: rows under way between tasks, as an unaligned checkpoint keeps them.
 *
 * What lies in a channel before the barrier of a checkpoint whose consumer did not wait for it
 * belongs to the checkpoint. It is copied, for the consumer goes on with the rows, perhaps in
 * place; and it is put before the operator that the channel leads to, whatever the tasks are then.
 *
 * [format: Checkpoints / Rows under way (WEIR_FLIGHT_VERSION)]
 *
 *     section:  | magic "WEIRFLGT" | version u32 | 0 u32 | bytes in all u64 | entries ... |
 *
 *     entry, at a multiple of 8:
 *
 *      0 bytes of it u32 (with zeros to the next)   4 kind u32: 1 rows, 2 watermark, 3 idle,
 *        4 active                                   8 in-edge of the consuming operator u32
 *     12 its subtask u32                           16 channel of that subtask's gate u32
 *     20 side u32: 0 taken off the channel, 1 kept by its producer, behind all of side 0
 *     24 id of the channel in the job's plan u32   28 bytes of the uid u32
 *     32 rows u32                                  36 bytes of a row u32
 *     40 bytes of the texts u32                    44 flags u32: 1 a hidden time follows each
 *        struct, 2 a kind (u64) follows that
 *     48 fingerprint of the schema u64             56 watermark of the channel before the rows i64,
 *        or the one that the entry is
 *     64 intended time of the oldest row i64       72 uid of the operator, zeros up to a multiple
 *        of 8, rows, texts
 *
 *     A long text's offset counts from the first byte of the texts. Entries of one channel and side
 *     are in order.
 *
 * [end of format]
 *
 * Little-endian; the blocks of the file have the checksums. It is no queue (keep.h has one).
 *
 * Limits: a row as in batch.h; the section as large as its buffer.
 * Thread:  the caller's.
 */
#ifndef WEIR_DATAPLANE_FLIGHT_H
#define WEIR_DATAPLANE_FLIGHT_H

#include "dataplane/row_copy.h"

WEIR_C_BEGIN

#define WEIR_FLIGHT_VERSION 1
#define WEIR_FLIGHT_MAGIC "WEIRFLGT"
#define WEIR_FLIGHT_HEAD_BYTES 24
#define WEIR_FLIGHT_BYTES_OFF 16 /* of its length, in the head */

enum weir_flight_side { WEIR_FLIGHT_TAKEN, WEIR_FLIGHT_KEPT, WEIR_FLIGHT_SIDE_CNT };
enum { WEIR_FLIGHT_HAS_TIME = 1, WEIR_FLIGHT_HAS_KIND = 2 };

struct weir_flight_entry {
    uint32_t bytes;
    uint32_t kind; /* enum weir_slot_kind: BATCH, WATERMARK, IDLE, ACTIVE */
    uint32_t edge;
    uint32_t subtask;
    uint32_t channel;
    uint32_t side;
    uint32_t channel_id;
    uint32_t uid_bytes;
    uint32_t row_cnt;
    uint32_t row_bytes;
    uint32_t heap_bytes;
    uint32_t flags;
    uint64_t fingerprint;
    int64_t watermark;
    int64_t intended_ns;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_flight_entry) == 72, "as pictured");

/* Where rows are under way to. */
struct weir_flight_place {
    const char *uid; /* of the operator that consumes them; kept */
    uint32_t edge;
    uint32_t subtask;
    uint32_t channel;
    uint32_t channel_id;
    enum weir_flight_side side;
};

/* Selected rows [from, from + cnt) of a view, in the format that they are to have. */
struct weir_flight_run {
    const struct weir_channel_format *format;
    const struct weir_view *view;
    uint32_t from;
    uint32_t cnt;
};

/* A section that is written. A first entry that does not fit makes it too small for good. */
struct weir_flight_writer {
    char *buf; /* 8-aligned */
    size_t cap;
    size_t bytes;
    bool is_short;
};

/* weir_flight_begin - an empty section in buf; keeps it until finish. */
WEIR_API void weir_flight_begin(struct weir_flight_writer *writer, void *buf, size_t cap);
/* weir_flight_rows - rows, with the watermark of their view. */
WEIR_API void weir_flight_rows(struct weir_flight_writer *writer,
    const struct weir_flight_place *place, const struct weir_flight_run *run);
/* weir_flight_event - a watermark or a status; of others nothing is kept. */
WEIR_API void weir_flight_event(struct weir_flight_writer *writer,
    const struct weir_flight_place *place, uint32_t slot_kind, int64_t value);
/* weir_flight_finish - the section is whole. 0; WEIR_EBUDGET: the buffer was too small. */
WEIR_API WEIR_MUST_USE int weir_flight_finish(struct weir_flight_writer *writer, size_t *ret_bytes);

/* weir_flight_entry_bytes - what an entry of so many rows with so many bytes of text takes. */
WEIR_API uint64_t weir_flight_entry_bytes(const struct weir_flight_place *place,
    const struct weir_channel_format *format, uint32_t row_cnt, uint64_t text_bytes);

/* weir_flight_check - all of a section. WEIR_EFORMAT: none, or of a later version; WEIR_EDATA:
 * damaged, with the place in the context. Never reads outside [buf, buf + bytes). */
WEIR_API WEIR_MUST_USE int weir_flight_check(const void *buf, size_t bytes);
/* weir_flight_next - walk over the entries of a section that was checked; *offset starts at 0.
 * NULL after the last. */
WEIR_API const struct weir_flight_entry *
weir_flight_next(const void *buf, size_t bytes, size_t *offset);
WEIR_API bool weir_flight_is_of(const struct weir_flight_entry *entry, const char *uid);
/* weir_flight_view - the rows of an entry. Read-only, and good as long as the section is.
 * WEIR_EDATA where they are not of that schema. */
WEIR_API WEIR_MUST_USE int weir_flight_view(const struct weir_flight_entry *entry,
    const struct weir_schema *schema, struct weir_view *ret_view);

WEIR_C_END

#endif
