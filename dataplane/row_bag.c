/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_bag.h"

#include "base/hash.h"
#include "dataplane/rank.h"

#define KEY_BYTES_MAX (WEIR_ROW_ORDER_CNT_MAX * sizeof(uint64_t) + WEIR_ROW_PACK_BYTES_MAX)
WEIR_STATIC_ASSERT(KEY_BYTES_MAX + 2 * sizeof(int64_t) <= WEIR_KIND_BYTES_MAX, "one entry");

int
weir_row_order_init(
    struct weir_row_order *order, const struct weir_row_by *by, const struct weir_schema *schema)
{
    memset(order, 0, sizeof *order);
    for (uint32_t i = 0; i < WEIR_ROW_ORDER_CNT_MAX && by[i].field != NULL; i++) {
        int idx = weir_schema_field(schema, by[i].field);
        if (idx < 0 || !weir_rank_takes(&schema->fields[idx]) || schema->fields[idx].nullable) {
            return weir_err_push(WEIR_EGRAPH,
                "rows of %s cannot be ordered by %s: it must be a number that is not null",
                schema->name, by[i].field);
        }
        order->field[order->cnt] = schema->fields[idx];
        order->descending[order->cnt++] = by[i].descending;
    }
    return order->cnt > 0
               ? 0
               : weir_err_push(WEIR_EGRAPH, "no field orders the rows of %s", schema->name);
}

void
weir_row_order_words(const struct weir_row_order *order, const struct weir_view *view, uint32_t row,
    uint64_t *ret_word)
{
    for (uint32_t i = 0; i < order->cnt; i++) {
        const struct weir_field *field = &order->field[i];
        uint64_t word = (uint64_t)weir_rank_field(field, weir_view_at(view, field, row));
        word ^= UINT64_C(1) << 63; /* signed numbers in the order of unsigned ones */
        ret_word[i] = order->descending[i] ? ~word : word;
    }
}

uint64_t
weir_row_order_shape(const struct weir_row_order *order, const struct weir_schema *schema)
{
    uint64_t shape = weir_schema_fingerprint(schema);
    for (uint32_t i = 0; i < order->cnt; i++) {
        const uint64_t word[3] = {shape,
            weir_hash_bytes(order->field[i].name, strlen(order->field[i].name)),
            order->descending[i]};
        shape = weir_hash_bytes(word, sizeof word);
    }
    return shape | 4;
}

static struct weir_slice
key_of(const struct weir_row_order *order, const struct weir_row_entry *entry, char *room)
{
    uint32_t words = order->cnt * (uint32_t)sizeof(uint64_t);
    memcpy(room, entry->word, words);
    memcpy(room + words, entry->row.packed, entry->row.bytes);
    return weir_bytes(room, words + entry->row.bytes);
}

static void
take_value(struct weir_row_entry *entry, const void *value)
{
    memcpy(&entry->cnt, value, sizeof entry->cnt);
    memcpy(&entry->seq, (const char *)value + sizeof entry->cnt, sizeof entry->seq);
}

void
weir_row_bag_find(
    struct weir_keyed_state *bag, const struct weir_row_order *order, struct weir_row_entry *entry)
{
    char room[KEY_BYTES_MAX];
    const void *value = weir_map_get(bag, key_of(order, entry, room), NULL);
    entry->cnt = 0;
    if (value != NULL) {
        take_value(entry, value);
    }
}

int
weir_row_bag_add(struct weir_keyed_state *bag, const struct weir_row_order *order,
    const struct weir_row_entry *entry, int64_t by)
{
    char room[KEY_BYTES_MAX];
    struct weir_slice key = key_of(order, entry, room);
    const uint64_t value[2] = {(uint64_t)(entry->cnt + by), entry->seq};
    if (value[0] == 0) {
        (void)weir_map_remove(bag, key);
        return 0;
    }
    return weir_map_put(bag, key, weir_bytes(value, sizeof value));
}

bool
weir_row_bag_next(struct weir_kind_cursor *cursor, const struct weir_row_order *order,
    struct weir_row_entry *ret_entry)
{
    uint32_t words = order->cnt * (uint32_t)sizeof(uint64_t);
    struct weir_slice key;
    const void *value = weir_kind_next(cursor, &key, NULL);
    if (value == NULL) {
        return false;
    }
    memcpy(ret_entry->word, key.ptr, words);
    ret_entry->row = (struct weir_row_packed){key.ptr + words, key.bytes - words, 0};
    take_value(ret_entry, value);
    return true;
}
