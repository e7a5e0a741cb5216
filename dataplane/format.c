/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/format.h"

#include <math.h>

#include "dataplane/json.h"
#include "dataplane/value_text.h"

/* Bytes of a name's JSON form, and around a member: quotes, colon, comma. */
#define MEMBER_EXTRA_BYTES 8

static bool
is_null(const struct weir_view *view, uint64_t nulls, uint32_t idx)
{
    return view->schema->has_nulls && (nulls >> idx & 1) != 0;
}

static uint64_t
nulls_of(const struct weir_view *view, uint32_t row)
{
    uint64_t nulls = 0;
    if (view->schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(view, 0, sizeof nulls);
        memcpy(&nulls, lane.ptr + (size_t)lane.stride * row, sizeof nulls);
    }
    return nulls;
}

static struct weir_slice
text_of(const struct weir_view *view, const struct weir_field *field, uint32_t row)
{
    return weir_str_slice(
        (const struct weir_str *)(const void *)weir_view_at(view, field, row), view->heap);
}

/* More than the row can take: every byte of a text doubled (CSV) or as \u00xx (JSON). */
static size_t
row_bytes_max(enum weir_format format, const struct weir_view *view, uint32_t row, size_t fixed)
{
    const struct weir_schema *schema = view->schema;
    size_t bytes = fixed;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        if (schema->fields[i].type == WEIR_TYPE_STR) {
            size_t text = text_of(view, &schema->fields[i], row).bytes;
            bytes += format == WEIR_FORMAT_CSV ? 2 * text : 6 * text;
        }
    }
    return bytes;
}

static size_t
fixed_bytes_max(const struct weir_schema *schema)
{
    size_t bytes = MEMBER_EXTRA_BYTES;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        bytes +=
            MEMBER_EXTRA_BYTES + WEIR_VALUE_TEXT_BYTES_MAX + 6 * strlen(schema->fields[i].name);
    }
    return bytes;
}

static bool
needs_quotes(const char *text, size_t bytes)
{
    bool needs = false;
    for (size_t i = 0; i < bytes; i++) {
        needs |= text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    }
    return needs;
}

static char *
put_csv_text(const char *text, size_t bytes, char *to)
{
    if (!needs_quotes(text, bytes)) {
        memcpy(to, text, bytes);
        return to + bytes;
    }
    *to++ = '"';
    for (size_t i = 0; i < bytes; i++) {
        *to++ = text[i];
        if (text[i] == '"') {
            *to++ = '"';
        }
    }
    *to++ = '"';
    return to;
}

static char *
put_csv_row(const struct weir_view *view, uint32_t row, char *to)
{
    const struct weir_schema *schema = view->schema;
    uint64_t nulls = nulls_of(view, row);
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        if (i > 0) {
            *to++ = ',';
        }
        if (is_null(view, nulls, i)) {
            continue;
        }
        if (field->type != WEIR_TYPE_STR) {
            to += weir_value_print(field, weir_view_at(view, field, row), to);
            continue;
        }
        struct weir_slice text = text_of(view, field, row);
        to = put_csv_text(text.ptr, text.bytes, to);
        /* Nothing at all would be a null, or where it is the only cell no row to many readers. */
        if (text.bytes == 0 && (field->nullable || schema->field_cnt == 1)) {
            memcpy(to, "\"\"", 2);
            to += 2;
        }
    }
    *to++ = '\n';
    return to;
}

static char *
put_json_value(const struct weir_view *view, const struct weir_field *field, uint32_t row, char *to)
{
    const char *value = weir_view_at(view, field, row);
    if (field->type == WEIR_TYPE_STR) {
        struct weir_slice text = text_of(view, field, row);
        *to++ = '"';
        to += weir_json_escape(text.ptr, text.bytes, to);
        *to++ = '"';
        return to;
    }
    if (field->type == WEIR_TYPE_F64) {
        double f64;
        memcpy(&f64, value, sizeof f64);
        if (!isfinite(f64)) {
            memcpy(to, "null", 4); /* JSON has no other word for it */
            return to + 4;
        }
    }
    return to + weir_value_print(field, value, to);
}

static char *
put_json_row(const struct weir_view *view, uint32_t row, char *to)
{
    const struct weir_schema *schema = view->schema;
    uint64_t nulls = nulls_of(view, row);
    *to++ = '{';
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        if (i > 0) {
            *to++ = ',';
        }
        *to++ = '"';
        to += weir_json_escape(field->name, strlen(field->name), to);
        *to++ = '"';
        *to++ = ':';
        if (is_null(view, nulls, i)) {
            memcpy(to, "null", 4);
            to += 4;
        } else {
            to = put_json_value(view, field, row, to);
        }
    }
    *to++ = '}';
    *to++ = '\n';
    return to;
}

size_t
weir_format_header(enum weir_format format, const struct weir_schema *schema, char *to, size_t room)
{
    if (format != WEIR_FORMAT_CSV) {
        return 0;
    }
    size_t bytes = fixed_bytes_max(schema);
    if (bytes > room) {
        return bytes;
    }
    char *at = to;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = put_csv_text(schema->fields[i].name, strlen(schema->fields[i].name), at);
    }
    *at++ = '\n';
    return (size_t)(at - to);
}

struct weir_formatted
weir_format_rows(
    enum weir_format format, const struct weir_view *view, uint32_t cursor, char *to, size_t room)
{
    struct weir_formatted made = {0};
    size_t fixed = fixed_bytes_max(view->schema);
    for (uint32_t i = cursor; i < view->cnt; i++) {
        uint32_t row = weir_view_row(view, i);
        size_t bytes = row_bytes_max(format, view, row, fixed);
        if (bytes > room - made.bytes) {
            made.wanted_bytes = bytes;
            break;
        }
        char *at = to + made.bytes;
        char *end =
            format == WEIR_FORMAT_CSV ? put_csv_row(view, row, at) : put_json_row(view, row, at);
        made.bytes += (size_t)(end - at);
        made.row_cnt++;
    }
    return made;
}
