/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/key.h"

#include <string.h>

#include "base/err.h"
#include "base/hash.h"

int
weir_key_resolve(struct weir_key *key, const struct weir_schema *schema)
{
    key->bytes = 0;
    key->has_str = false;
    for (uint32_t i = 0; i < key->field_cnt; i++) {
        int idx = weir_schema_field(schema, key->field[i]);
        if (idx < 0) {
            return weir_err_push(
                WEIR_EGRAPH, "the key field %s is not in %s", key->field[i], schema->name);
        }
        key->part[i] = schema->fields[idx];
        if (key->part[i].type == WEIR_TYPE_F64) {
            return weir_err_push(WEIR_EGRAPH, "the key field %s of %s is an f64: not a key",
                key->field[i], schema->name);
        }
        key->bytes += (uint32_t)weir_align_up(key->part[i].bytes, 8);
        key->has_str |= key->part[i].type == WEIR_TYPE_STR;
    }
    return 0;
}

static void
hash_i64(const struct weir_lane *lane, const uint16_t *sel, uint32_t from, uint32_t cnt,
    uint64_t *ret_hash)
{
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t row = sel != NULL ? sel[from + i] : from + i;
        uint64_t value;
        memcpy(&value, lane->ptr + (size_t)lane->stride * row, sizeof value);
        ret_hash[i] = weir_hash_u64(value);
    }
}

static void
hash_column(const int64_t *column, uint32_t cnt, uint64_t *ret_hash)
{
    for (uint32_t i = 0; i < cnt; i++) {
        ret_hash[i] = weir_hash_u64((uint64_t)column[i]);
    }
}

static uint64_t
hash_part(const struct weir_field *part, const struct weir_view *view, uint32_t row)
{
    const char *at = weir_view_at(view, part, row);
    if (part->type == WEIR_TYPE_STR) {
        struct weir_str str;
        memcpy(&str, at, sizeof str);
        struct weir_slice text = weir_str_slice(&str, view->heap);
        return weir_hash_bytes(text.ptr, text.bytes);
    }
    return weir_hash_u64(weir_key_number(at, part->bytes));
}

void
weir_key_hash(const struct weir_key *key, const struct weir_view *view, uint32_t from, uint32_t cnt,
    uint64_t *ret_hash)
{
    if (key->field_cnt == 1 && key->part[0].bytes == 8) {
        struct weir_lane lane = weir_view_lane(view, key->part[0].off, 8);
        if (view->sel == NULL && lane.stride == 8) {
            hash_column((const int64_t *)(const void *)lane.ptr + from, cnt, ret_hash);
        } else {
            hash_i64(&lane, view->sel, from, cnt, ret_hash);
        }
        return;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t row = weir_view_row(view, from + i);
        uint64_t hash = hash_part(&key->part[0], view, row);
        for (uint32_t p = 1; p < key->field_cnt; p++) {
            hash = weir_hash_join(hash, hash_part(&key->part[p], view, row));
        }
        ret_hash[i] = hash;
    }
}

void
weir_key_load(const struct weir_key *key, const struct weir_view *view, uint32_t row, void *ret_key)
{
    char *to = ret_key;
    for (uint32_t i = 0; i < key->field_cnt; i++) {
        const struct weir_field *part = &key->part[i];
        const char *at = weir_view_at(view, part, row);
        if (part->type == WEIR_TYPE_STR) {
            memcpy(to, at, sizeof(struct weir_str));
            to += sizeof(struct weir_str);
        } else {
            uint64_t value = weir_key_number(at, part->bytes);
            memcpy(to, &value, sizeof value);
            to += sizeof value;
        }
    }
}
