/* SPDX-License-Identifier: Apache-2.0 */
/* Copies some fields of each row into rows of another schema.
 *
 *     select b, a:   (1, "x")   ->   ("x", 1)
 *
 * State: none. Watermarks: passed on. Strings are not copied: the output shares the input's heap.
 * Field by field over the batch, so that each loop is over one size.
 */
#include "dataplane/operators/select.h"

#include "dataplane/function.h"

/* A field in the input and where it goes. */
struct lanes {
    struct weir_lane from;
    struct weir_lane to;
};

#define SELECT_COPY(name, type)                                                               \
    static void name(                                                                         \
        const struct lanes *lanes, const struct weir_view *in, uint32_t cursor, uint32_t cnt) \
    {                                                                                         \
        for (uint32_t i = 0; i < cnt; i++) {                                                  \
            memcpy(lanes->to.ptr + (size_t)lanes->to.stride * i,                              \
                lanes->from.ptr + (size_t)lanes->from.stride * weir_view_row(in, cursor + i), \
                sizeof(type));                                                                \
        }                                                                                     \
    }

SELECT_COPY(copy_1, uint8_t)
SELECT_COPY(copy_4, uint32_t)
SELECT_COPY(copy_8, uint64_t)
SELECT_COPY(copy_16, struct weir_str)

static void
copy_field(const struct lanes *lanes, uint32_t bytes, const struct weir_view *in, uint32_t cursor,
    uint32_t cnt)
{
    switch (bytes) {
    case 1:
        copy_1(lanes, in, cursor, cnt);
        break;
    case 4:
        copy_4(lanes, in, cursor, cnt);
        break;
    case 8:
        copy_8(lanes, in, cursor, cnt);
        break;
    default:
        copy_16(lanes, in, cursor, cnt);
        break;
    }
}

/* The null masks of the new rows, bit by bit from those of the old. */
static void
copy_nulls(const struct weir_operator *op, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, uint32_t cnt)
{
    const struct weir_select_conf *conf = op->conf;
    const struct weir_schema *schema = op->out_schema[0];
    struct weir_lane from = weir_view_lane(in, 0, sizeof(uint64_t));
    struct weir_lane to = weir_view_lane(&out->view, 0, sizeof(uint64_t));
    if (!schema->has_nulls) {
        return;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t old;
        uint64_t mask = 0;
        memcpy(&old, from.ptr + (size_t)from.stride * weir_view_row(in, cursor + i), sizeof old);
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            mask |= (old >> conf->from[f] & 1) << f;
        }
        memcpy(to.ptr + (size_t)to.stride * i, &mask, sizeof mask);
    }
}

static int64_t
select_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct weir_select_conf *conf = op->conf;
    const struct weir_schema *schema = op->out_schema[0];
    uint32_t cnt = weir_min_u32(in->cnt - cursor, out->row_cap);
    (void)input;
    (void)now_ns;
    weir_out_copy_times(out, in, cursor, cnt);
    copy_nulls(op, in, cursor, out, cnt);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *to = &schema->fields[f];
        const struct weir_field *from = &in->schema->fields[conf->from[f]];
        const struct lanes lanes = {
            .from = weir_view_lane(in, from->off, from->bytes),
            .to = weir_view_lane(&out->view, to->off, to->bytes),
        };
        copy_field(&lanes, to->bytes, in, cursor, cnt);
    }
    out->view.row_cnt = cnt;
    out->view.cnt = cnt;
    weir_out_share_heap(out, in);
    return cnt;
}

const struct weir_operator_type weir_select_type = {
    .name = "select",
    .input_cnt = 1,
    .output_cnt = 1,
    .columns = true,
    .process = select_process,
    .changes = WEIR_CHANGES_PASSED,
};
