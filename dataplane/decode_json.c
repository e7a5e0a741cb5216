/* SPDX-License-Identifier: Apache-2.0 */
/* One object per line, by the fields of a schema.
 *
 * Members usually come in the same order in every line, so the member behind the last one is
 * compared as a whole (`,"name":`) before anything is looked up. Texts are only noted at first: a
 * line that turns out to be bad must still show what stood in it, so escapes are taken out once all
 * of it is read.
 */
#include "dataplane/decode.h"

#include <stdio.h>

#include "base/err.h"
#include "dataplane/json.h"
#include "dataplane/value_text.h"

#define NAME_BYTES_MAX 120

struct member {
    char literal[NAME_BYTES_MAX + 4]; /* ,"name": */
    uint32_t literal_bytes;
};

struct self {
    const struct weir_schema *schema;
    struct member members[WEIR_FIELD_CNT_MAX];
};

static int
json_open(void *mem, const void *conf, const struct weir_schema *schema)
{
    struct self *self = mem;
    (void)conf;
    self->schema = schema;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        struct member *member = &self->members[i];
        char name[NAME_BYTES_MAX * 6];
        size_t name_bytes = strlen(schema->fields[i].name);
        if (name_bytes <= NAME_BYTES_MAX) {
            name_bytes = weir_json_escape(schema->fields[i].name, name_bytes, name);
        }
        if (name_bytes > NAME_BYTES_MAX) {
            return weir_err_push(WEIR_EGRAPH, "schema %s: the name of field %u is longer than %d",
                schema->name, i + 1, NAME_BYTES_MAX);
        }
        int bytes =
            snprintf(member->literal, sizeof member->literal, ",\"%.*s\":", (int)name_bytes, name);
        member->literal_bytes = (uint32_t)bytes;
    }
    return 0;
}

/* The field of a member's name, or -1. */
static int
find_field(const struct weir_schema *schema, const struct weir_json_text *key)
{
    char plain[NAME_BYTES_MAX];
    const char *name = key->ptr;
    size_t bytes = key->bytes;
    if (key->has_escapes) {
        if (bytes > 6 * NAME_BYTES_MAX) {
            return -1;
        }
        char all[6 * NAME_BYTES_MAX];
        bytes = weir_json_unescape(key, all);
        if (bytes > sizeof plain) {
            return -1;
        }
        memcpy(plain, all, bytes);
        name = plain;
    }
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const char *field = schema->fields[i].name;
        if (strlen(field) == bytes && memcmp(field, name, bytes) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The next member: its field, -1 for one that nobody wants, -2 at the end; `next` is the likely
 * one. */
static int
next_member(const struct self *self, struct weir_json *json, uint32_t next, int *ret_err)
{
    const struct weir_schema *schema = self->schema;
    if (next < schema->field_cnt &&
        weir_json_try_key(json, self->members[next].literal, self->members[next].literal_bytes)) {
        return (int)next;
    }
    struct weir_json_text key;
    int got = weir_json_key(json, &key);
    if (got <= 0) {
        *ret_err = got;
        return -2;
    }
    return find_field(schema, &key);
}

static int
fault_of_field(struct weir_json *json, struct weir_decode_fault *fault, const char *what,
    const struct weir_field *field)
{
    (void)snprintf(fault->note, sizeof fault->note, what, field->name);
    return weir_json_fail(json, fault->note);
}

/* One line's values: those that are no strings go to the row at once. */
struct line_values {
    char *row;
    uint64_t seen; /* fields, as bits */
    uint64_t nulls;
    struct weir_json_text texts[WEIR_FIELD_CNT_MAX];
};

static int
read_value(const struct weir_schema *schema, uint32_t idx, struct weir_json *json,
    struct line_values *values, struct weir_decode_fault *fault)
{
    const struct weir_field *field = &schema->fields[idx];
    uint64_t bit = UINT64_C(1) << idx;
    values->seen |= bit;
    values->nulls &= ~bit;
    if (weir_json_type(json) == WEIR_JSON_NULL) {
        if (!field->nullable) {
            return fault_of_field(json, fault, "%.64s is null and may not be", field);
        }
        values->nulls |= bit;
        return weir_json_try_null(json) ? 0 : weir_json_fail(json, "not a JSON value");
    }
    if (field->type == WEIR_TYPE_STR) {
        return weir_json_text(json, &values->texts[idx]);
    }
    return weir_value_read_json(field, json, values->row + field->off);
}

static int
read_line(const struct self *self, struct weir_json *json, struct line_values *values,
    struct weir_decode_fault *fault)
{
    const struct weir_schema *schema = self->schema;
    int err = weir_json_enter(json);
    uint32_t next = 0;
    while (err == 0) {
        int idx = next_member(self, json, next, &err);
        if (idx == -2) {
            break;
        }
        if (idx < 0) {
            err = weir_json_skip(json);
            continue;
        }
        err = read_value(schema, (uint32_t)idx, json, values, fault);
        next = (uint32_t)idx + 1;
    }
    err = err == 0 ? weir_json_end(json) : err;
    for (uint32_t i = 0; i < schema->field_cnt && err == 0; i++) {
        if ((values->seen >> i & 1) != 0) {
            continue;
        }
        if (!schema->fields[i].nullable) {
            err = fault_of_field(json, fault, "member %.64s is missing", &schema->fields[i]);
        }
        values->nulls |= UINT64_C(1) << i;
    }
    return err;
}

/* The line is good: take escapes out where they stand, and put strings and nulls into the row. */
static void
finish_row(const struct weir_schema *schema, const struct line_values *values, const char *heap)
{
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        bool is_null = (values->nulls >> i & 1) != 0;
        if (is_null) {
            memset(values->row + field->off, 0, field->bytes);
        } else if (field->type == WEIR_TYPE_STR) {
            const struct weir_json_text *text = &values->texts[i];
            uint32_t bytes = text->bytes;
            if (text->has_escapes) {
                bytes = (uint32_t)weir_json_unescape(text, (char *)(uintptr_t)text->ptr);
            }
            struct weir_str str = weir_str_ref(heap, text->ptr, bytes);
            memcpy(values->row + field->off, &str, sizeof str);
        }
    }
    if (schema->has_nulls) {
        memcpy(values->row, &values->nulls, sizeof values->nulls);
    }
}

static uint32_t
json_decode(void *mem, const struct weir_decode_lines *lines, struct weir_out *out,
    struct weir_decode_fault *ret_fault)
{
    const struct self *self = mem;
    uint32_t i = 0;
    for (; i < lines->cnt && weir_out_room(out, 1, 0); i++) {
        const struct weir_decode_line *line = &lines->line[i];
        struct line_values values;
        struct weir_json json;
        /* The row is appended once it is good: until then its bytes are nobody's. */
        values.row = out->view.rows + (size_t)out->view.stride * out->view.row_cnt;
        values.seen = 0;
        values.nulls = 0;
        weir_json_init(&json, line->text, line->bytes, line->slack);
        if (read_line(self, &json, &values, ret_fault) != 0) {
            ret_fault->what = json.fault;
            ret_fault->column = weir_json_column(&json);
            return i;
        }
        finish_row(self->schema, &values, lines->heap);
        (void)weir_out_row(out); /* the place that was just filled */
    }
    return i;
}

const struct weir_decoder_type weir_decode_json = {
    .name = "json",
    .self_bytes = sizeof(struct self),
    .skips_blank = true,
    .open = json_open,
    .decode = json_decode,
};
