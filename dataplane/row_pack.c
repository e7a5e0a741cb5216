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

/* A row that lies as its struct, as it is but for the texts. 1; 0: it has gaps, and is to be put
 * together from its fields; or an error. Strings are read where the row came from: of a copy just
 * made they would be waited for. */
static int
pack_whole(const struct weir_view *view, const char *row, char *to, uint32_t *ret_bytes)
{
    const struct weir_schema *schema = view->schema;
    uint32_t bytes = schema->row_bytes;
    uint32_t covered = 0;
    memcpy(to, row, bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        covered += field->bytes;
        if (field->type == WEIR_TYPE_STR) {
            struct weir_str str;
            memcpy(&str, row + field->off, sizeof str);
            int err = pack_text(view, &str, to, &bytes);
            if (err < 0) {
                return err;
            }
            memcpy(to + field->off, &str, sizeof str);
        }
    }
    *ret_bytes = bytes;
    return covered == schema->row_bytes;
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
    if (view->stride != 0 && !schema->has_nulls) {
        int done = pack_whole(view, view->rows + (size_t)view->stride * row, to, ret_bytes);
        if (done != 0) {
            return done < 0 ? done : 0;
        }
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
    uint32_t bytes = 0;
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
        bytes += out->bytes;
    }
    map->has_gaps = bytes < to->row_bytes;
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

/* The texts of strings that were copied as they are. */
static void
emit_some_texts(const struct weir_row_map *map, const char *packed, char *row, struct weir_out *out)
{
    for (uint32_t i = 0; i < map->str_cnt; i++) {
        struct weir_str *str = (struct weir_str *)(void *)(row + map->str[i].to);
        if (str->bytes > WEIR_STR_INLINE_BYTES) {
            weir_str_set_bytes(out, str, packed + str->u.off, str->bytes);
        }
    }
}

/* The same where all of them go: they go as one. */
static void
emit_texts(
    const struct weir_row_map *map, struct weir_row_packed *from, char *row, struct weir_out *out)
{
    uint32_t row_bytes = map->from->row_bytes;
    uint32_t bytes = from->bytes - row_bytes;
    if (bytes == 0) {
        return;
    }
    if (from->text_at == 0) {
        out->heap_end -= bytes;
        memcpy(out->base + out->heap_end, from->packed + row_bytes, bytes);
        from->text_at = out->heap_end;
    }
    uint64_t move = (uint64_t)(out->base + from->text_at - out->view.heap) - row_bytes;
    for (uint32_t i = 0; i < map->str_cnt; i++) {
        struct weir_str str; /* read where it came from, see above */
        memcpy(&str, from->packed + map->str[i].from, sizeof str);
        str.u.off += str.bytes > WEIR_STR_INLINE_BYTES ? move : 0;
        memcpy(row + map->str[i].to + offsetof(struct weir_str, u), &str.u, sizeof str.u);
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
weir_row_map_emit(const struct weir_row_map *map, struct weir_row_packed *from, uint32_t kind,
    struct weir_out *out)
{
    const char *packed = from->packed;
    out->row_kind = kind;
    char *row = weir_out_row(out);
    if (map->has_gaps) {
        memset(row, 0, map->to->row_bytes);
    }
    for (uint32_t i = 0; i < map->piece_cnt; i++) {
        memcpy(row + map->piece[i].to, packed + map->piece[i].from, map->piece[i].bytes);
    }
    if (map->takes_texts) {
        emit_texts(map, from, row, out);
    } else {
        emit_some_texts(map, packed, row, out);
    }
    if (map->to->has_nulls) {
        uint64_t nulls = map->from->has_nulls ? nulls_of(map, packed) : 0;
        memcpy(row, &nulls, sizeof nulls);
    }
    return row;
}
