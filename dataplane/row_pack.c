/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_pack.h"

static bool
is_null(const struct weir_field *field, uint32_t idx, uint64_t mask)
{
    return field->nullable && (mask >> idx & 1) != 0;
}

/* A long string's text goes behind what there is. */
static int
pack_text(const struct weir_view *view, struct weir_str *str, char *to, uint32_t *bytes)
{
    struct weir_slice text = weir_str_slice(str, view->heap);
    if (text.bytes <= WEIR_STR_INLINE_BYTES) {
        *str = weir_str_inline(text.ptr, text.bytes); /* zero behind the text */
        return 0;
    }
    if (text.bytes > WEIR_ROW_PACK_BYTES_MAX - *bytes) {
        return weir_err_push(WEIR_EDATA,
            "a row of %s with a text of %u bytes: state keeps rows of up to %d in all",
            view->schema->name, text.bytes, WEIR_ROW_PACK_BYTES_MAX);
    }
    memcpy(to + *bytes, text.ptr, text.bytes);
    *str = weir_str_ref(to, to + *bytes, text.bytes);
    *bytes += text.bytes;
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
        if (nulls != 0 && is_null(field, f, nulls)) {
            continue;
        }
        if (field->bytes == 8) { /* nearly all: no call to copy it */
            memcpy(to + field->off, from, 8);
        } else if (field->type != WEIR_TYPE_STR) {
            memcpy(to + field->off, from, field->bytes);
        } else {
            struct weir_str str;
            memcpy(&str, from, sizeof str);
            int err = pack_text(view, &str, to, &bytes);
            if (err < 0) {
                return err;
            }
            memcpy(to + field->off, &str, sizeof str);
        }
    }
    *ret_bytes = bytes;
    return 0;
}

/* Fields that lie side by side on both sides are one piece. */
static void
add_pieces(struct weir_row_map *map, const struct weir_field *in, const struct weir_field *out)
{
    const struct weir_row_piece made = {in->off, out->off, in->bytes};
    struct weir_row_piece *last = map->piece_cnt > 0 ? &map->piece[map->piece_cnt - 1] : NULL;
    if (last != NULL && last->from + last->bytes == made.from &&
        last->to + last->bytes == made.to) {
        last->bytes += made.bytes;
    } else {
        map->piece[map->piece_cnt++] = made;
    }
    if (in->type == WEIR_TYPE_STR) {
        map->str[map->str_cnt++] = made;
    }
}

static uint32_t
str_cnt_of(const struct weir_schema *schema)
{
    uint32_t cnt = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        cnt += schema->fields[f].type == WEIR_TYPE_STR;
    }
    return cnt;
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
        add_pieces(map, in, out);
    }
    map->takes_texts = map->str_cnt == str_cnt_of(from);
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

static uint32_t
text_bytes_at(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes > WEIR_STR_INLINE_BYTES ? bytes : 0;
}

uint32_t
weir_row_map_text_bytes(const struct weir_row_map *map, const char *packed)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < map->str_cnt; i++) {
        bytes += text_bytes_at(packed + map->str[i].from);
    }
    return bytes;
}

/* The texts of strings that were copied as they are. Where all of them go, they go as one. */
static void
emit_texts(const struct weir_row_map *map, const char *packed, char *row, struct weir_out *out)
{
    uint32_t bytes = weir_row_map_text_bytes(map, packed);
    const char *texts = packed + map->from->row_bytes;
    if (bytes == 0) {
        return;
    }
    if (map->takes_texts) {
        out->heap_end -= bytes;
        memcpy(out->base + out->heap_end, texts, bytes);
    }
    for (uint32_t i = 0; i < map->str_cnt; i++) {
        struct weir_str *str = (struct weir_str *)(void *)(row + map->str[i].to);
        const char *text = packed + str->u.off;
        if (text_bytes_at((const char *)str) == 0) {
            continue;
        }
        if (map->takes_texts) {
            const char *to = out->base + out->heap_end + (text - texts);
            str->u.off = (uint64_t)(to - out->view.heap);
        } else {
            weir_str_set_bytes(out, str, text, str->bytes);
        }
    }
}

static uint64_t
nulls_of(const struct weir_row_map *map, const char *packed)
{
    uint64_t from_nulls;
    uint64_t nulls = 0;
    memcpy(&from_nulls, packed, sizeof from_nulls);
    for (uint32_t i = 0; i < map->cnt; i++) {
        const struct weir_field *from = &map->from->fields[map->field[i].from];
        nulls |= (uint64_t)is_null(from, map->field[i].from, from_nulls) << map->field[i].to;
    }
    return nulls;
}

char *
weir_row_map_emit(
    const struct weir_row_map *map, const char *packed, uint32_t kind, struct weir_out *out)
{
    out->row_kind = kind;
    char *row = weir_out_row(out);
    memset(row, 0, map->to->row_bytes);
    for (uint32_t i = 0; i < map->piece_cnt; i++) {
        memcpy(row + map->piece[i].to, packed + map->piece[i].from, map->piece[i].bytes);
    }
    emit_texts(map, packed, row, out);
    if (map->to->has_nulls) {
        uint64_t nulls = map->from->has_nulls ? nulls_of(map, packed) : 0;
        memcpy(row, &nulls, sizeof nulls);
    }
    return row;
}
