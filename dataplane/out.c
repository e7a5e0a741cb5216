/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/out.h"

#include <stdlib.h>

#include "base/check.h"
#include "dataplane/function.h"

/* Bytes of a row with what its schema does not hold. */
static uint32_t
row_bytes_of(const struct weir_out_shape *shape)
{
    bool hidden_time = shape->has_time && shape->schema->time_idx < 0;
    return shape->schema->row_bytes + (hidden_time ? 8 : 0) + (shape->has_kind ? 8 : 0);
}

/* The least for rows, and for texts; each gets half of the buffer in the column layout. */
static uint64_t
least_bytes(const struct weir_out_shape *shape, uint64_t text_bytes)
{
    uint64_t rows = (uint64_t)row_bytes_of(shape) * (shape->columns ? WEIR_BATCH_CAP_ALIGN : 1);
    if (!weir_schema_has_str(shape->schema)) {
        return rows;
    }
    return shape->columns ? 2 * weir_max_u64(rows, text_bytes) : rows + text_bytes;
}

uint32_t
weir_out_footprint(const struct weir_out_shape *shape)
{
    uint64_t bytes = weir_max_u64(shape->buf_bytes, least_bytes(shape, WEIR_STR_BYTES_MAX));
    return (uint32_t)weir_align_up(bytes, WEIR_LINE_BYTES);
}

/* Columns and their hidden time and kind columns must end before half of the buffer where strings
 * need the rest. */
static void
lay_out_columns(struct weir_out *out, const struct weir_out_shape *shape)
{
    uint32_t row = row_bytes_of(shape);
    uint32_t share = weir_schema_has_str(shape->schema) ? out->buf_bytes / 2 : out->buf_bytes;
    uint32_t cap = share / row / WEIR_BATCH_CAP_ALIGN * WEIR_BATCH_CAP_ALIGN;
    cap = weir_min_u32(cap, WEIR_BATCH_ROW_CNT_MAX);
    out->view.stride = 0;
    out->view.cap = cap;
    out->row_cap = weir_min_u32(cap, shape->batch_rows);
    out->heap_floor = cap * row;
}

/* Times and kinds lie where the schema says, else hidden behind the row struct. */
void
weir_out_init(struct weir_out *out, const struct weir_out_shape *shape)
{
    const struct weir_schema *schema = shape->schema;
    struct weir_view *view = &out->view;
    memset(view, 0, sizeof *view);
    view->schema = schema;
    view->rows = out->base;
    view->heap = out->base;
    view->flags = WEIR_BATCH_EXCLUSIVE;
    out->has_time = shape->has_time && schema->time_idx < 0;
    out->has_kind = shape->has_kind;
    if (shape->columns) {
        view->flags |= WEIR_BATCH_COLUMNS;
        lay_out_columns(out, shape);
    } else {
        view->stride = row_bytes_of(shape);
        out->row_cap = weir_min_u32(out->buf_bytes / view->stride, shape->batch_rows);
    }
    WEIR_CHECK(out->row_cap > 0, "an output of %s has no room for a row", schema->name);
    size_t unit = view->stride != 0 ? 1 : view->cap;
    uint32_t hidden = schema->row_bytes;
    if (schema->time_idx >= 0) {
        view->time = out->base + unit * schema->fields[schema->time_idx].off;
    } else if (out->has_time) {
        view->time = out->base + unit * hidden;
        hidden += 8;
    }
    if (out->has_kind) {
        view->kind = out->base + unit * hidden;
    }
    view->time_stride = view->stride != 0 ? view->stride : 8;
    view->kind_stride = view->time_stride;
}

int
weir_out_grow(struct weir_out *out, const struct weir_out_shape *shape, void **ret_mem)
{
    uint64_t wanted = out->wanted_bytes;
    out->wanted_bytes = 0;
    if (wanted == 0) {
        return WEIR_DONE;
    }
    if (wanted > WEIR_ROW_BYTES_MAX) {
        return weir_err_push(WEIR_EBUDGET,
            "a row of %s takes %llu bytes, more than the %llu of one", shape->schema->name,
            (unsigned long long)wanted, (unsigned long long)WEIR_ROW_BYTES_MAX);
    }
    if (shape->columns && !weir_schema_has_str(shape->schema)) {
        return weir_err_push(
            WEIR_EILLEGAL, "room for texts in columns of %s, which has none", shape->schema->name);
    }
    /* Room is asked for what may be put into a row, also where its schema takes no text of it. */
    uint64_t least = weir_max_u64(least_bytes(shape, wanted), wanted);
    uint64_t bytes = weir_align_up(least, WEIR_LINE_BYTES);
    void *mem;
    if (posix_memalign(&mem, WEIR_PAGE_BYTES, bytes) != 0) {
        return weir_err_push(WEIR_ENOMEM, "%llu bytes for a row of %s", (unsigned long long)bytes,
            shape->schema->name);
    }
    free(*ret_mem);
    *ret_mem = mem;
    out->base = (char *)mem;
    out->buf_bytes = (uint32_t)bytes;
    weir_out_init(out, shape);
    return WEIR_AGAIN;
}
