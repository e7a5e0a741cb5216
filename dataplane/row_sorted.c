/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_sorted.h"

WEIR_STATIC_ASSERT(WEIR_ROW_SORTED_BYTES_MAX <= WEIR_KIND_BYTES_MAX, "one element");

static uint32_t
word_bytes(const struct weir_row_order *order)
{
    return order->cnt * (uint32_t)sizeof(uint64_t);
}

/* Where the row itself is in an element. */
static uint32_t
packed_off(const struct weir_row_order *order)
{
    return word_bytes(order) + 2 * (uint32_t)sizeof(uint64_t);
}

int
weir_row_sorted_load(const struct weir_row_order *order, const struct weir_view *view, uint32_t row,
    char *room, struct weir_row_entry *entry)
{
    entry->row.packed = room + packed_off(order);
    return weir_row_pack(view, row, room + packed_off(order), &entry->row.bytes);
}

struct weir_slice
weir_row_sorted_element(
    const struct weir_row_order *order, const struct weir_row_entry *entry, char *room)
{
    uint32_t words = word_bytes(order);
    memcpy(room, entry->word, words);
    memcpy(room + words, &entry->seq, sizeof entry->seq);
    memcpy(room + words + sizeof entry->seq, &entry->cnt, sizeof entry->cnt);
    return weir_bytes(room, packed_off(order) + entry->row.bytes);
}

void
weir_row_sorted_take(const struct weir_row_order *order, const char *element, uint32_t bytes,
    struct weir_row_entry *ret_entry)
{
    uint32_t words = word_bytes(order);
    memcpy(&ret_entry->word[0], element, sizeof ret_entry->word[0]); /* no call for one or two */
    if (order->cnt > 1) {
        memcpy(&ret_entry->word[1], element + sizeof ret_entry->word[0], sizeof ret_entry->word[1]);
    }
    if (WEIR_UNLIKELY(order->cnt > 2)) {
        memcpy(ret_entry->word, element, words);
    }
    memcpy(&ret_entry->seq, element + words, sizeof ret_entry->seq);
    memcpy(&ret_entry->cnt, element + words + sizeof ret_entry->seq, sizeof ret_entry->cnt);
    ret_entry->row =
        (struct weir_row_packed){element + packed_off(order), bytes - packed_off(order), 0};
}
