/* SPDX-License-Identifier: Apache-2.0 */
/* row_sorted.h: rows of a key in the order of some of their fields, as elements of a list of
 * declared state (kind.h), which stands in that order.
 *
 * [format: State / Rows in order]
 *
 *     element:  words u64[word_cnt] | arrival u64 | how often i64 | packed row (row_pack.h)
 *
 * [end of format]
 *
 * Of equal words the lesser arrival comes first. A row is found by a walk from either end: it is
 * for those who know that it is near one.
 *
 * Thread:  any; nothing is kept. Entries borrow from what they are made of.
 */
#ifndef WEIR_DATAPLANE_ROW_SORTED_H
#define WEIR_DATAPLANE_ROW_SORTED_H

#include "dataplane/row_bag.h"

WEIR_C_BEGIN

/* Room for an element; 8-aligned. */
#define WEIR_ROW_SORTED_BYTES_MAX \
    (WEIR_ROW_PACK_BYTES_MAX + (WEIR_ROW_ORDER_CNT_MAX + 2) * sizeof(uint64_t))

/* weir_row_sorted_load - physical row `row` of a view, packed into room, which the entry borrows;
 * words, seq and cnt are the caller's. Errors: as weir_row_pack(). */
WEIR_API WEIR_MUST_USE int weir_row_sorted_load(const struct weir_row_order *order,
    const struct weir_view *view, uint32_t row, char *room, struct weir_row_entry *entry);
/* weir_row_sorted_element - a loaded entry, as it is now, as an element in its room. */
WEIR_API struct weir_slice weir_row_sorted_element(
    const struct weir_row_order *order, const struct weir_row_entry *entry, char *room);
/* weir_row_sorted_take - an element of the list as an entry. */
WEIR_API void weir_row_sorted_take(const struct weir_row_order *order, const char *element,
    uint32_t bytes, struct weir_row_entry *ret_entry);

#define WEIR_KIND_ROWS_SORTED(name) WEIR_KIND_LIST(name, 0, WEIR_NO_TTL)

WEIR_C_END

#endif
