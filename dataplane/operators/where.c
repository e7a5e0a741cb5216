/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the rows for which all terms hold.
 *
 *     price >= 100:   (1, 99), (2, 100)   ->   (2, 100)
 *
 * State: none. Watermarks: passed on. Term by term over the rows that are left: the branch on the
 * type and the test is the batch's, the loop is the rows'.
 */
#include "dataplane/operators/where.h"

/* Keeps of sel[0, cnt) the rows for which `holds` is true of row. */
#define WHERE_KEEP(sel, cnt, holds)              \
    do {                                         \
        uint32_t kept = 0;                       \
        for (uint32_t i = 0; i < (cnt); i++) {   \
            uint32_t row = (sel)[i];             \
            (sel)[kept] = (uint16_t)row;         \
            kept += (uint32_t)((holds) ? 1 : 0); \
        }                                        \
        return kept;                             \
    } while (0)

#define WHERE_COMPARE(name, type, wanted_type, load)                                           \
    static uint32_t name(struct weir_lane lane, enum weir_where_test test, wanted_type wanted, \
        uint16_t *sel, uint32_t cnt)                                                           \
    {                                                                                          \
        switch (test) {                                                                        \
        case WEIR_WHERE_EQ:                                                                    \
            WHERE_KEEP(sel, cnt, (load) == wanted);                                            \
        case WEIR_WHERE_NE:                                                                    \
            WHERE_KEEP(sel, cnt, (load) != wanted);                                            \
        case WEIR_WHERE_LT:                                                                    \
            WHERE_KEEP(sel, cnt, (load) < wanted);                                             \
        case WEIR_WHERE_LE:                                                                    \
            WHERE_KEEP(sel, cnt, (load) <= wanted);                                            \
        case WEIR_WHERE_GT:                                                                    \
            WHERE_KEEP(sel, cnt, (load) > wanted);                                             \
        default:                                                                               \
            WHERE_KEEP(sel, cnt, (load) >= wanted);                                            \
        }                                                                                      \
    }

#define WHERE_AT(type) (*(const type *)(const void *)(lane.ptr + (size_t)lane.stride * row))

WHERE_COMPARE(keep_u8, uint8_t, int64_t, (int64_t)WHERE_AT(uint8_t))
WHERE_COMPARE(keep_i32, int32_t, int64_t, (int64_t)WHERE_AT(int32_t))
WHERE_COMPARE(keep_i64, int64_t, int64_t, WHERE_AT(int64_t))
WHERE_COMPARE(keep_f64, double, double, WHERE_AT(double))

static bool
same_text(const struct weir_str *str, const char *heap, const struct weir_where_term *term)
{
    struct weir_slice text = weir_str_slice(str, heap);
    return text.bytes == term->text_bytes && memcmp(text.ptr, term->text, text.bytes) == 0;
}

static uint32_t
keep_str(const struct weir_where_term *term, const struct weir_view *view, struct weir_lane lane,
    uint16_t *sel, uint32_t cnt)
{
    bool wanted = term->test == WEIR_WHERE_EQ;
    WHERE_KEEP(sel, cnt, same_text(&WHERE_AT(struct weir_str), view->heap, term) == wanted);
}

/* The bit of a field in the mask that leads each row; 1: null. */
static uint32_t
keep_nulls(
    const struct weir_view *view, uint32_t field_idx, uint64_t wanted, uint16_t *sel, uint32_t cnt)
{
    struct weir_lane lane = weir_view_lane(view, 0, sizeof(uint64_t));
    WHERE_KEEP(sel, cnt, (WHERE_AT(uint64_t) >> field_idx & 1) == wanted);
}

static uint32_t
keep_term(
    const struct weir_where_term *term, const struct weir_view *view, uint16_t *sel, uint32_t cnt)
{
    const struct weir_field *field = &view->schema->fields[term->field_idx];
    struct weir_lane lane = weir_view_lane(view, field->off, field->bytes);
    bool null = term->test == WEIR_WHERE_NULL;
    if (field->nullable) {
        cnt = keep_nulls(view, term->field_idx, null ? 1 : 0, sel, cnt);
    }
    if (null || term->test == WEIR_WHERE_NOT_NULL) {
        return null && !field->nullable ? 0 : cnt;
    }
    switch (field->type) {
    case WEIR_TYPE_BOOL:
        return keep_u8(lane, term->test, term->number, sel, cnt);
    case WEIR_TYPE_I32:
        return keep_i32(lane, term->test, term->number, sel, cnt);
    case WEIR_TYPE_F64:
        return keep_f64(lane, term->test, term->real, sel, cnt);
    case WEIR_TYPE_STR:
        return keep_str(term, view, lane, sel, cnt);
    default:
        return keep_i64(lane, term->test, term->number, sel, cnt);
    }
}

static int64_t
where_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    const struct weir_where_conf *conf = op->conf;
    uint16_t *sel = out->sel_buf;
    uint32_t cnt = in->cnt - cursor;
    (void)input;
    (void)now_ns;
    for (uint32_t i = 0; i < cnt; i++) {
        sel[i] = (uint16_t)weir_view_row(in, cursor + i);
    }
    for (uint32_t t = 0; t < conf->term_cnt && cnt > 0; t++) {
        cnt = keep_term(&conf->term[t], in, sel, cnt);
    }
    if (cnt > 0) {
        weir_out_pass(out, in, cnt);
    }
    return in->cnt - cursor;
}

const struct weir_operator_type weir_where_type = {
    .name = "where",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = where_process,
    .changes = WEIR_CHANGES_PASSED,
};
