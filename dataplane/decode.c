/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as they are. */
#include "dataplane/decode.h"

#include "base/err.h"
#include "dataplane/value_text.h"

struct self {
    uint32_t number_off; /* in the row; 0: no such field (the text stands first) */
};

static int
text_open(void *mem, const void *conf, const struct weir_schema *schema)
{
    struct self *self = mem;
    (void)conf;
    int number_idx = weir_schema_field(schema, "number");
    uint32_t wanted = number_idx == 1 ? 2 : 1;
    if (schema->field_cnt != wanted || schema->has_nulls ||
        schema->fields[0].type != WEIR_TYPE_STR ||
        (wanted == 2 && schema->fields[1].type != WEIR_TYPE_I64)) {
        return weir_err_push(WEIR_EGRAPH,
            "schema %s cannot hold lines: a str, and perhaps an i64 `number`, are needed",
            schema->name);
    }
    self->number_off = wanted == 2 ? schema->fields[1].off : 0;
    return 0;
}

static uint32_t
text_decode(void *mem, const struct weir_decode_lines *lines, struct weir_out *out,
    struct weir_decode_fault *ret_fault)
{
    const struct self *self = mem;
    (void)ret_fault;
    uint32_t i = 0;
    for (; i < lines->cnt && weir_out_room(out, 1, 0); i++) {
        const struct weir_decode_line *line = &lines->line[i];
        char *row = weir_out_row(out);
        struct weir_str text = weir_str_ref(lines->heap, line->text, line->bytes);
        memcpy(row, &text, sizeof text);
        if (self->number_off != 0) {
            int64_t number = (int64_t)line->number;
            memcpy(row + self->number_off, &number, sizeof number);
        }
    }
    return i;
}

const struct weir_decoder_type weir_decode_text = {
    .name = "text",
    .self_bytes = sizeof(struct self),
    .open = text_open,
    .decode = text_decode,
};
