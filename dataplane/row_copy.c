/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_copy.h"

#include <string.h>

uint64_t
weir_row_text_bytes(const struct weir_schema *schema, const struct weir_view *view, uint32_t row)
{
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if (schema->fields[f].type == WEIR_TYPE_STR) {
            uint32_t len;
            memcpy(&len, weir_view_at(view, &schema->fields[f], row), sizeof len);
            bytes += len > WEIR_STR_INLINE_BYTES ? len : 0;
        }
    }
    return bytes;
}

static void
copy_field(const struct weir_view *view, const struct weir_field *field, const uint16_t *rows,
    uint32_t cnt, struct weir_lane to)
{
    struct weir_lane from = weir_view_lane(view, field->off, field->bytes);
    switch (field->bytes) {
    case 8:
        for (uint32_t i = 0; i < cnt; i++) {
            memcpy(to.ptr + (size_t)to.stride * i, from.ptr + (size_t)from.stride * rows[i], 8);
        }
        break;
    case 16:
        for (uint32_t i = 0; i < cnt; i++) {
            memcpy(to.ptr + (size_t)to.stride * i, from.ptr + (size_t)from.stride * rows[i], 16);
        }
        break;
    default:
        for (uint32_t i = 0; i < cnt; i++) {
            memcpy(to.ptr + (size_t)to.stride * i, from.ptr + (size_t)from.stride * rows[i],
                field->bytes);
        }
        break;
    }
}

static void
copy_structs(
    const struct weir_view *view, const uint16_t *rows, uint32_t cnt, char *to, uint32_t to_stride)
{
    uint32_t bytes = view->schema->row_bytes;
    for (uint32_t i = 0; i < cnt; i++) {
        const char *from = view->rows + (size_t)view->stride * rows[i];
        char *row = to + (size_t)to_stride * i;
        for (uint32_t b = 0; b < bytes; b += 8) {
            memcpy(row + b, from + b, 8);
        }
    }
}

void
weir_row_copy(const struct weir_channel_format *format, const struct weir_view *view,
    const uint16_t *rows, uint32_t cnt, char *to)
{
    const struct weir_schema *schema = format->schema;
    if (view->stride != 0) {
        copy_structs(view, rows, cnt, to, format->row_bytes);
    } else {
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            const struct weir_lane lane = {to + schema->fields[f].off, format->row_bytes};
            copy_field(view, &schema->fields[f], rows, cnt, lane);
        }
        if (schema->has_nulls) {
            const struct weir_field mask = {.off = 0, .bytes = 8};
            const struct weir_lane lane = {to, format->row_bytes};
            copy_field(view, &mask, rows, cnt, lane);
        }
    }
    uint32_t hidden = schema->row_bytes;
    if (format->has_time) {
        for (uint32_t i = 0; i < cnt; i++) {
            int64_t time = view->time != NULL ? weir_view_time(view, rows[i]) : WEIR_TIME_MIN;
            memcpy(to + (size_t)format->row_bytes * i + hidden, &time, sizeof time);
        }
        hidden += 8;
    }
    if (format->has_kind) {
        for (uint32_t i = 0; i < cnt; i++) {
            uint64_t kind = weir_view_kind(view, rows[i]);
            memcpy(to + (size_t)format->row_bytes * i + hidden, &kind, sizeof kind);
        }
    }
}

void
weir_row_copy_texts(const struct weir_channel_format *format, const struct weir_view *view,
    char *to, uint32_t cnt, struct weir_row_heap *heap)
{
    const struct weir_schema *schema = format->schema;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if (schema->fields[f].type != WEIR_TYPE_STR) {
            continue;
        }
        for (uint32_t i = 0; i < cnt; i++) {
            struct weir_str *str = (struct weir_str *)(void *)(to + (size_t)format->row_bytes * i +
                                                               schema->fields[f].off);
            if (str->bytes > WEIR_STR_INLINE_BYTES) {
                heap->end -= str->bytes;
                memcpy(heap->base + heap->end, view->heap + str->u.off, str->bytes);
                str->u.off = heap->end;
            }
        }
    }
}

void
weir_row_view(const struct weir_channel_format *format, char *rows, uint32_t cnt, char *heap,
    struct weir_view *ret_view)
{
    uint32_t hidden = format->schema->row_bytes;
    memset(ret_view, 0, sizeof *ret_view);
    ret_view->schema = format->schema;
    ret_view->rows = rows;
    ret_view->stride = format->row_bytes;
    ret_view->row_cnt = cnt;
    ret_view->cnt = cnt;
    ret_view->heap = heap;
    ret_view->time_stride = format->row_bytes;
    ret_view->kind_stride = format->row_bytes;
    if (format->schema->time_idx >= 0) {
        ret_view->time = rows + format->schema->fields[format->schema->time_idx].off;
    } else if (format->has_time) {
        ret_view->time = rows + hidden;
        hidden += 8;
    }
    if (format->has_kind) {
        ret_view->kind = rows + hidden;
    }
}
