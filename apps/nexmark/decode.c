/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/decode.h"

#include <stdio.h>

#include "apps/nexmark/json.h"
#include "apps/nexmark/source.h"

/* The longest line that is taken: a payload is built here before it takes the line's place. */
#define LINE_BYTES_MAX (UINT32_C(1) << 20)

struct self {
    uint8_t payload[LINE_BYTES_MAX + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES];
};

static int
decoder_open(void *self, const void *conf, const struct weir_schema *schema)
{
    (void)self;
    (void)conf;
    if (weir_schema_fingerprint(schema) != weir_schema_fingerprint(nexmark_row_schema())) {
        return weir_err_push(
            WEIR_EGRAPH, "Nexmark lines become rows of nexmark_row, not of %s", schema->name);
    }
    return 0;
}

static bool
refuse(struct weir_decode_fault *fault, const struct nexmark_json_fault *why)
{
    if (why->field != NULL) {
        (void)snprintf(fault->note, sizeof fault->note, "%s: %s", why->field, why->what);
        fault->what = fault->note;
    } else {
        fault->what = why->what;
    }
    fault->column = why->column;
    return false;
}

static bool
decode_line(struct self *self, const struct weir_decode_line *line, char *heap,
    struct nexmark_event *event, struct weir_decode_fault *fault)
{
    struct nexmark_json_fault why = {0};
    const struct nexmark_line text = {line->text, line->bytes, line->slack};
    if (line->bytes > LINE_BYTES_MAX) {
        fault->what = "the line is longer than 1 MiB: no event";
        fault->column = 0;
        return false;
    }
    if (nexmark_json_read(&text, event, self->payload, &why) != 0) {
        weir_err_clear();
        return refuse(fault, &why);
    }
    /* Names and punctuation make every line longer than its payload, by far. */
    if (event->payload_bytes > line->bytes) {
        fault->what = "the line is shorter than its texts";
        fault->column = 0;
        return false;
    }
    memcpy(line->text, self->payload, event->payload_bytes);
    event->payload_off = (uint64_t)(line->text - heap);
    return true;
}

static uint32_t
decoder_decode(void *self, const struct weir_decode_lines *lines, struct weir_out *out,
    struct weir_decode_fault *ret_fault)
{
    uint32_t i = 0;
    for (; i < lines->cnt && weir_out_room(out, 1, 0); i++) {
        struct nexmark_event event;
        if (!decode_line(self, &lines->line[i], lines->heap, &event, ret_fault)) {
            break;
        }
        memcpy(nexmark_row_emit(out), &event, sizeof event);
    }
    return i;
}

const struct weir_decoder_type nexmark_decoder_type = {
    .name = "nexmark",
    .self_bytes = sizeof(struct self),
    .skips_blank = true,
    .open = decoder_open,
    .decode = decoder_decode,
};
