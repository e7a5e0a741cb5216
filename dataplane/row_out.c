/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_out.h"

static const struct weir_str *
long_text(const struct weir_field *field, const char *row)
{
    const struct weir_str *str = (const void *)(row + field->off);
    return field->type == WEIR_TYPE_STR && str->bytes > WEIR_STR_INLINE_BYTES ? str : NULL;
}

bool
weir_row_out(const char *row, const char *heap, struct weir_out *out)
{
    const struct weir_schema *schema = out->view.schema;
    uint32_t text_bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_str *str = long_text(&schema->fields[f], row);
        text_bytes += str != NULL ? str->bytes : 0;
    }
    if (!weir_out_room(out, 1, text_bytes)) {
        return false;
    }
    char *to = weir_out_row(out);
    memcpy(to, row, schema->row_bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_str *str = long_text(&schema->fields[f], row);
        if (str != NULL) {
            struct weir_slice text = weir_str_slice(str, heap);
            struct weir_str *made = (struct weir_str *)(void *)(to + schema->fields[f].off);
            weir_str_set_bytes(out, made, text.ptr, text.bytes);
        }
    }
    return true;
}
