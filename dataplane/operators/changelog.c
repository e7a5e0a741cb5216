/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of rows as text.
 *
 *     delete (b 7)   ->   (-D b 7)
 *
 * State: none. Watermarks: passed on. A row of the output is that of the input with the new field
 * behind it, though it is the first of the schema: the structs are copied as they are.
 */
#include "dataplane/operators/changelog.h"

#include "dataplane/function.h"

static const char kind_text[][3] = {
    [WEIR_ROW_INSERT] = "+I",
    [WEIR_ROW_UPDATE_BEFORE] = "-U",
    [WEIR_ROW_UPDATE_AFTER] = "+U",
    [WEIR_ROW_DELETE] = "-D",
};

struct weir_field
weir_changelog_field(const struct weir_schema *in, uint32_t idx)
{
    if (idx > 0) {
        return in->fields[idx - 1];
    }
    return (struct weir_field){.name = WEIR_CHANGELOG_FIELD,
        .type = WEIR_TYPE_STR,
        .off = in->row_bytes,
        .bytes = sizeof(struct weir_str)};
}

/* A row in either layout, as its struct. */
static void
copy_row(const struct weir_view *in, uint32_t row, char *to)
{
    const struct weir_schema *schema = in->schema;
    if (in->stride != 0) {
        memcpy(to, in->rows + (size_t)in->stride * row, schema->row_bytes);
        return;
    }
    memset(to, 0, schema->row_bytes);
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(in, 0, sizeof(uint64_t));
        memcpy(to, lane.ptr + (size_t)lane.stride * row, sizeof(uint64_t));
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        memcpy(to + field->off, weir_view_at(in, field, row), field->bytes);
    }
}

static int64_t
changelog_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    const struct weir_changelog_conf *conf = op->conf;
    const struct weir_schema *schema = in->schema;
    uint32_t i = cursor;
    (void)input;
    (void)now_ns;
    weir_out_share_heap(out, in);
    for (; i < in->cnt && weir_out_room(out, 1, 0); i++) {
        uint32_t row = weir_view_row(in, i);
        uint32_t kind = weir_view_kind(in, row) % WEIR_ARRAY_CNT(kind_text);
        if (conf->is_upsert && kind == WEIR_ROW_UPDATE_BEFORE) {
            continue;
        }
        out->row_time = in->time != NULL ? weir_view_time(in, row) : WEIR_TIME_MIN;
        char *to = weir_out_row(out);
        copy_row(in, row, to);
        if (schema->has_nulls) {
            uint64_t nulls; /* by the number of the field: each is one further now */
            memcpy(&nulls, to, sizeof nulls);
            nulls <<= 1;
            memcpy(to, &nulls, sizeof nulls);
        }
        const struct weir_str text = weir_str_inline(kind_text[kind], 2);
        memcpy(to + schema->row_bytes, &text, sizeof text);
    }
    return i - cursor;
}

const struct weir_operator_type weir_changelog_type = {
    .name = "changelog",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = changelog_process,
    .changes = WEIR_CHANGES_TAKEN,
};
