/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_pack.h"

static bool
is_null(const struct weir_field *field, uint32_t idx, uint64_t mask)
{
    return field->nullable && (mask >> idx & 1) != 0;
}

/* A long string's text goes behind what there is. */
static int
pack_text(const struct weir_view *view, const struct weir_str *str, char *to, uint32_t *bytes,
    struct weir_str *ret_str)
{
    struct weir_slice text = weir_str_slice(str, view->heap);
    if (text.bytes > WEIR_STR_INLINE_BYTES) {
        if (text.bytes > WEIR_ROW_PACK_BYTES_MAX - *bytes) {
            return weir_err_push(WEIR_EDATA,
                "a row of %s with a text of %u bytes: state keeps rows of up to %d in all",
                view->schema->name, text.bytes, WEIR_ROW_PACK_BYTES_MAX);
        }
        memcpy(to + *bytes, text.ptr, text.bytes);
    }
    /* Made anew, so that the bytes behind a short text are zero. */
    *ret_str = text.bytes > WEIR_STR_INLINE_BYTES ? weir_str_ref(to, to + *bytes, text.bytes)
                                                  : weir_str_inline(text.ptr, text.bytes);
    *bytes += text.bytes > WEIR_STR_INLINE_BYTES ? text.bytes : 0;
    return 0;
}

int
weir_row_pack(const struct weir_view *view, uint32_t row, char *to, uint32_t *ret_bytes)
{
    const struct weir_schema *schema = view->schema;
    uint32_t bytes = schema->row_bytes;
    uint64_t nulls = 0;
    if (bytes > WEIR_ROW_PACK_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "a row of %s has %u bytes: state keeps rows of up to %d",
            schema->name, bytes, WEIR_ROW_PACK_BYTES_MAX);
    }
    memset(to, 0, bytes);
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(view, 0, sizeof nulls);
        memcpy(&nulls, lane.ptr + (size_t)lane.stride * row, sizeof nulls);
        memcpy(to, &nulls, sizeof nulls);
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        const char *from = weir_view_at(view, field, row);
        if (is_null(field, f, nulls)) {
            continue;
        }
        if (field->type != WEIR_TYPE_STR) {
            memcpy(to + field->off, from, field->bytes);
            continue;
        }
        struct weir_str str;
        memcpy(&str, from, sizeof str);
        int err = pack_text(view, &str, to, &bytes, &str);
        if (err < 0) {
            return err;
        }
        memcpy(to + field->off, &str, sizeof str);
    }
    *ret_bytes = bytes;
    return 0;
}

int
weir_row_map_init(
    struct weir_row_map *map, const struct weir_schema *from, const struct weir_schema *to)
{
    memset(map, 0, sizeof *map);
    map->from = from;
    map->to = to;
    for (uint32_t t = 0; t < to->field_cnt; t++) {
        const struct weir_field *out = &to->fields[t];
        int f = weir_schema_field(from, out->name);
        if (f < 0) {
            continue;
        }
        const struct weir_field *in = &from->fields[f];
        if (in->bytes != out->bytes || in->scale != out->scale ||
            (in->type == WEIR_TYPE_STR) != (out->type == WEIR_TYPE_STR) ||
            (in->type == WEIR_TYPE_F64) != (out->type == WEIR_TYPE_F64) ||
            (in->nullable && !out->nullable)) {
            return weir_err_push(WEIR_EGRAPH, "the field %s is %s in %s and %s in %s", out->name,
                weir_type_name(in->type), from->name, weir_type_name(out->type), to->name);
        }
        map->field[map->cnt].from = (uint8_t)f;
        map->field[map->cnt].to = (uint8_t)t;
        map->cnt++;
    }
    return 0;
}

uint64_t
weir_row_map_rest(const struct weir_row_map *map)
{
    uint64_t rest = (UINT64_C(1) << map->to->field_cnt) - 1;
    for (uint32_t i = 0; i < map->cnt; i++) {
        rest &= ~(UINT64_C(1) << map->field[i].to);
    }
    return rest;
}

uint32_t
weir_row_map_text_bytes(const struct weir_row_map *map, const char *packed)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < map->cnt; i++) {
        const struct weir_field *field = &map->from->fields[map->field[i].from];
        if (field->type == WEIR_TYPE_STR) {
            uint32_t len;
            memcpy(&len, packed + field->off, sizeof len);
            bytes += len > WEIR_STR_INLINE_BYTES ? len : 0;
        }
    }
    return bytes;
}

char *
weir_row_map_emit(
    const struct weir_row_map *map, const char *packed, uint32_t kind, struct weir_out *out)
{
    uint64_t from_nulls = 0;
    uint64_t nulls = 0;
    out->row_kind = kind;
    char *row = weir_out_row(out);
    memset(row, 0, map->to->row_bytes);
    if (map->from->has_nulls) {
        memcpy(&from_nulls, packed, sizeof from_nulls);
    }
    for (uint32_t i = 0; i < map->cnt; i++) {
        const struct weir_field *from = &map->from->fields[map->field[i].from];
        char *to = row + map->to->fields[map->field[i].to].off;
        nulls |= (uint64_t)is_null(from, map->field[i].from, from_nulls) << map->field[i].to;
        memcpy(to, packed + from->off, from->bytes);
        if (from->type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, to, sizeof str);
            struct weir_slice text = weir_str_slice(&str, packed);
            weir_str_set_bytes(out, (struct weir_str *)(void *)to, text.ptr, text.bytes);
        }
    }
    if (map->to->has_nulls) {
        memcpy(row, &nulls, sizeof nulls);
    }
    return row;
}
