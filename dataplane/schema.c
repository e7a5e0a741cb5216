/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/schema.h"

#include <string.h>

#include "base/err.h"

static const struct {
    const char *name;
    uint32_t bytes;
} type_rows[WEIR_TYPE_CNT] = {
    [WEIR_TYPE_BOOL] = {"bool", 1},
    [WEIR_TYPE_I32] = {"i32", 4},
    [WEIR_TYPE_I64] = {"i64", 8},
    [WEIR_TYPE_F64] = {"f64", 8},
    [WEIR_TYPE_STR] = {"string", 16},
    [WEIR_TYPE_TS] = {"timestamp", 8},
    [WEIR_TYPE_TIME] = {"time", 8},
    [WEIR_TYPE_DEC] = {"decimal", 8},
};

const char *
weir_type_name(uint32_t type)
{
    return type < WEIR_TYPE_CNT ? type_rows[type].name : "unknown";
}

/* FNV-1a: the fingerprint is part of formats, so it must not follow the key hash's version. */
static uint64_t
mix(uint64_t sum, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return sum;
}

uint64_t
weir_schema_fingerprint(const struct weir_schema *schema)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        const uint8_t tail[4] = {
            (uint8_t)field->type, (uint8_t)field->scale, (uint8_t)field->nullable, 0xff};
        sum = mix(sum, field->name, strlen(field->name));
        sum = mix(sum, tail, sizeof tail);
    }
    return sum;
}

int
weir_schema_field(const struct weir_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int
check_field(const struct weir_schema *schema, uint32_t idx)
{
    const struct weir_field *field = &schema->fields[idx];
    if (field->type >= WEIR_TYPE_CNT || field->bytes != type_rows[field->type].bytes) {
        return weir_err_push(
            WEIR_EGRAPH, "schema %s: field %s has no valid type", schema->name, field->name);
    }
    if (field->off + field->bytes > schema->row_bytes) {
        return weir_err_push(
            WEIR_EGRAPH, "schema %s: field %s lies outside the row", schema->name, field->name);
    }
    if (weir_schema_field(schema, field->name) != (int)idx) {
        return weir_err_push(
            WEIR_EGRAPH, "schema %s: two fields are called %s", schema->name, field->name);
    }
    if (field->type == WEIR_TYPE_TIME && schema->time_idx != (int)idx) {
        return weir_err_push(WEIR_EGRAPH, "schema %s: field %s: only one field is the event time",
            schema->name, field->name);
    }
    return 0;
}

int
weir_schema_check(const struct weir_schema *schema)
{
    if (schema == NULL || schema->field_cnt == 0 || schema->field_cnt > WEIR_FIELD_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "schema %s: has 1 to %d fields",
            schema != NULL ? schema->name : "(none)", WEIR_FIELD_CNT_MAX);
    }
    if (schema->row_bytes % 8 != 0 || schema->row_bytes > UINT16_MAX - 64) {
        return weir_err_push(WEIR_EGRAPH, "schema %s: a row of %u bytes is not a multiple of 8",
            schema->name, schema->row_bytes);
    }
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        int rc = check_field(schema, i);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
