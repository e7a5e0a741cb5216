/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/window_fill.h"

#include <string.h>

static int
fill_instant(
    const struct weir_schema *schema, const struct weir_field *field, const struct weir_field **ret)
{
    if (field->type != WEIR_TYPE_I64 && field->type != WEIR_TYPE_TS &&
        field->type != WEIR_TYPE_TIME) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s holds a time: it must be ts or i64",
            field->name, schema->name);
    }
    *ret = field;
    return 0;
}

static bool
is_key(const struct weir_window_fill *fill, const struct weir_field *field)
{
    bool is = false;
    for (uint32_t p = 0; p < WEIR_KEY_FIELD_CNT_MAX; p++) {
        is |= fill->key[p] == field;
    }
    return is;
}

int
weir_window_fill_init(struct weir_window_fill *fill, const struct weir_keyed *keyed,
    const char *const *key_as, const struct weir_schema *schema)
{
    memset(fill, 0, sizeof *fill);
    int err = weir_keyed_match(keyed, key_as, schema, fill->key);
    for (uint32_t i = 0; i < schema->field_cnt && err == 0; i++) {
        const struct weir_field *field = &schema->fields[i];
        if (is_key(fill, field)) {
            continue; /* filled from the entry */
        }
        if (strcmp(field->name, "window_start") == 0) {
            err = fill_instant(schema, field, &fill->start);
        } else if (strcmp(field->name, "window_end") == 0) {
            err = fill_instant(schema, field, &fill->end);
        } else if (strcmp(field->name, "window_time") == 0 || field->type == WEIR_TYPE_TIME) {
            err = fill_instant(schema, field, &fill->time);
        }
    }
    return err;
}

int
weir_window_fill_rest(struct weir_window_fill *fill, const struct weir_aggregate *aggregate,
    const struct weir_schema *schema, const struct weir_field **ret_rest)
{
    uint32_t rest_cnt = 0;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        bytes += field->bytes;
        if (!is_key(fill, field) && field != fill->start && field != fill->end &&
            strcmp(field->name, "window_time") != 0 && field->type != WEIR_TYPE_TIME) {
            rest_cnt++;
            *ret_rest = field;
        }
    }
    bool is_own = aggregate->kind == WEIR_AGGREGATE_OWN;
    fill->is_whole = !is_own && rest_cnt == 1 && bytes == schema->row_bytes;
    if (!is_own && rest_cnt != 1) {
        return weir_err_push(WEIR_EGRAPH,
            "%s has %u fields beside key and window: the result of %s takes one", schema->name,
            rest_cnt, aggregate->name);
    }
    return 0;
}

static void
put_instant(const struct weir_field *field, struct weir_lane rows, uint32_t cnt, int64_t time)
{
    for (uint32_t i = 0; i < cnt && field != NULL; i++) {
        memcpy(rows.ptr + (size_t)rows.stride * i + field->off, &time, sizeof time);
    }
}

struct weir_lane
weir_window_fill_rows(const struct weir_window_fill *fill, const struct weir_keyed *keyed,
    const struct weir_window_rows *rows, struct weir_out *out)
{
    uint32_t cnt = rows->cnt;
    out->row_time = rows->time;
    struct weir_lane lane = {weir_out_rows(out, cnt), out->view.stride};
    struct weir_keyed_put put = {fill->key, lane, out, rows->heap};
    for (uint32_t i = 0; i < cnt && !fill->is_whole; i++) {
        memset(lane.ptr + (size_t)lane.stride * i, 0, out->view.schema->row_bytes);
    }
    put_instant(fill->start, lane, cnt, rows->start);
    put_instant(fill->end, lane, cnt, rows->end);
    put_instant(fill->time, lane, cnt, rows->time);
    weir_keyed_put_rows(keyed, rows->table, rows->key, cnt, &put);
    return lane;
}
