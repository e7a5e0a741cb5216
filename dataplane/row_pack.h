/* SPDX-License-Identifier: Apache-2.0 */
/* row_pack.h: a row as one piece of bytes: what state keeps of it, and what tells equal rows.
 *
 * [format: State / Packed rows]
 *
 *     the row as its struct | texts of its long strings, one behind the other
 *
 * Offsets of strings are from the first byte. Gaps of the struct, and fields that are null, are
 * zero: of equal rows all bytes are.
 *
 * [end of format]
 *
 * Limits:  WEIR_ROW_PACK_BYTES_MAX, so that it fits into a state beside a key of its own (kind.h).
 * Thread:  any; nothing is kept.
 */
#ifndef WEIR_DATAPLANE_ROW_PACK_H
#define WEIR_DATAPLANE_ROW_PACK_H

#include "base/err.h"
#include "dataplane/batch.h"

WEIR_C_BEGIN

#define WEIR_ROW_PACK_BYTES_MAX 3840

/* weir_row_pack - physical row `row` of a view.
 *
 * Shape:   to has WEIR_ROW_PACK_BYTES_MAX bytes, 8-aligned.
 * Errors:  WEIR_EDATA: it does not fit.
 */
WEIR_API WEIR_MUST_USE int
weir_row_pack(const struct weir_view *view, uint32_t row, char *to, uint32_t *ret_bytes);

/* Which fields of a row go where in rows of another schema: those of the same name and type. */
struct weir_row_map {
    const struct weir_schema *from;
    const struct weir_schema *to;
    uint32_t cnt;
    struct {
        uint8_t from;
        uint8_t to;
    } field[WEIR_FIELD_CNT_MAX];
    /* The same as what there is to do: pieces to copy, and where strings are in the output. */
    uint32_t piece_cnt;
    uint32_t str_cnt;
    bool takes_texts; /* of every string */
    bool has_gaps; /* bytes of a row that no piece goes to */
    struct weir_row_piece {
        uint32_t from;
        uint32_t to;
        uint32_t bytes;
    } piece[WEIR_FIELD_CNT_MAX], str[WEIR_FIELD_CNT_MAX];
};

/* weir_row_map_init - the fields that both have. Errors: WEIR_EGRAPH: one is of another type. */
WEIR_API WEIR_MUST_USE int weir_row_map_init(
    struct weir_row_map *map, const struct weir_schema *from, const struct weir_schema *to);
/* weir_row_map_rest - the fields of `to` that nothing goes to, as bits. */
WEIR_API uint64_t weir_row_map_rest(const struct weir_row_map *map);

/* A packed row on its way out. */
struct weir_row_packed {
    const char *packed;
    uint32_t bytes;
    uint32_t text_at; /* where the output has its texts already, as heap_end was then; 0: nowhere */
};
/* weir_row_packed_text_bytes - what its long strings need in an output, at most. */
static inline uint32_t
weir_row_packed_text_bytes(const struct weir_row_map *map, const struct weir_row_packed *row)
{
    return row->text_at != 0 ? 0 : row->bytes - map->from->row_bytes;
}
/* weir_row_map_emit - append a row to out, with the fields of a packed one; others are zero.
 *
 * Shape:   row layout; weir_out_room() granted it with its texts. Owner: the texts are copied, once
 *          for all rows that are made of it while text_at is kept.
 */
WEIR_API char *weir_row_map_emit(const struct weir_row_map *map, struct weir_row_packed *from,
    uint32_t kind, struct weir_out *out);

WEIR_C_END

#endif
