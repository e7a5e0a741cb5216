/* SPDX-License-Identifier: Apache-2.0 */
/* row_copy.h: rows of any layout copied into the one layout that leaves a stage: packed structs,
 * each with what the schema does not hold behind it, and the long texts in a heap beside them.
 *
 * Thread: the caller's. It is the format of channels (channel.h) and of rows under way in a
 * checkpoint (flight.h).
 */
#ifndef WEIR_DATAPLANE_ROW_COPY_H
#define WEIR_DATAPLANE_ROW_COPY_H

#include "dataplane/batch.h"

/* How rows lie in the channel's buffers: the row layout, with what the schema does not hold behind
 * the struct. Both ends know it. */
struct weir_channel_format {
    const struct weir_schema *schema;
    bool has_time; /* hidden event time */
    bool has_kind;
    uint32_t row_bytes; /* with the hidden parts */
    uint32_t batch_rows;
};

static inline void
weir_channel_format_init(struct weir_channel_format *format, const struct weir_schema *schema,
    bool has_time, bool has_kind)
{
    format->schema = schema;
    format->has_time = has_time && schema->time_idx < 0;
    format->has_kind = has_kind;
    format->row_bytes = schema->row_bytes + (format->has_time ? 8 : 0) + (format->has_kind ? 8 : 0);
}

/* weir_row_copy - the cnt physical rows of `view` whose indices are rows[], into the format's
 * structs at `to`. Texts still lie where they were: weir_row_copy_texts() is next, where the schema
 * has some. */
WEIR_API void weir_row_copy(const struct weir_channel_format *format, const struct weir_view *view,
    const uint16_t *rows, uint32_t cnt, char *to);
/* Where long texts go: from end down. */
struct weir_row_heap {
    char *base; /* rows name the distance from here */
    uint32_t end;
};

/* weir_row_copy_texts - the long texts of cnt rows at `to`, which were copied from `view`, into the
 * heap, where there is room for them. */
WEIR_API void weir_row_copy_texts(const struct weir_channel_format *format,
    const struct weir_view *view, char *to, uint32_t cnt, struct weir_row_heap *heap);
/* weir_row_text_bytes - what row `row` needs of a heap. */
WEIR_API uint64_t weir_row_text_bytes(
    const struct weir_schema *schema, const struct weir_view *view, uint32_t row);

/* weir_row_view - rows that were copied, as a view: cnt of them at `rows`, their heap. The view is
 * the caller's to complete: flags, regions, watermark. */
WEIR_API void weir_row_view(const struct weir_channel_format *format, char *rows, uint32_t cnt,
    char *heap, struct weir_view *ret_view);

#endif
