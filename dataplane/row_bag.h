/* SPDX-License-Identifier: Apache-2.0 */
/* row_bag.h: rows of a key in the order of some of their fields, each as often as it is there, in a
 * map of declared state (kind.h).
 *
 * [format: State / Bags of rows]
 *
 *     key:     words u64[word_cnt] | packed row (row_pack.h)         in the order of the words
 *     value:   how often i64 | arrival u64                 of equal words the lesser comes first
 *
 * Rows that are the same count as one that came with the first of them.
 *
 * [end of format]
 *
 * A row that is taken back before it has come counts -1 until it comes. A bag does not know its
 * order: whoever wants the first rows looks at all.
 *
 * Thread:  the stage's core. Entries borrow from state until the next call that writes to the bag.
 */
#ifndef WEIR_DATAPLANE_ROW_BAG_H
#define WEIR_DATAPLANE_ROW_BAG_H

#include "dataplane/kind.h"
#include "dataplane/row_pack.h"

WEIR_C_BEGIN

#define WEIR_ROW_ORDER_CNT_MAX 4

/* By which fields rows are ordered: numbers. */
struct weir_row_by {
    const char *field;
    bool descending;
};
struct weir_row_order {
    uint32_t cnt;
    struct weir_field field[WEIR_ROW_ORDER_CNT_MAX];
    bool descending[WEIR_ROW_ORDER_CNT_MAX];
};

/* weir_row_order_init - up to the first without a name. Errors: WEIR_EGRAPH: no such field, no
 * number, or none at all. */
WEIR_API WEIR_MUST_USE int weir_row_order_init(
    struct weir_row_order *order, const struct weir_row_by *by, const struct weir_schema *schema);

/* weir_row_order_shape - a number that is another one for rows of another schema, or another order;
 * never 0, 1 or 2. */
WEIR_API uint64_t weir_row_order_shape(
    const struct weir_row_order *order, const struct weir_schema *schema);

/* A row of a bag, or one that comes. */
struct weir_row_entry {
    uint64_t word[WEIR_ROW_ORDER_CNT_MAX]; /* the lesser comes first */
    uint64_t seq; /* of its arrival */
    int64_t cnt;
    struct weir_row_packed row;
};

/* weir_row_order_words - the words of physical row `row` of a view. */
WEIR_API void weir_row_order_words(const struct weir_row_order *order, const struct weir_view *view,
    uint32_t row, uint64_t *ret_word);
/* weir_row_entry_compare - below, at or above 0: a comes before, beside or behind b. */
static inline int
weir_row_entry_compare(const struct weir_row_order *order, const struct weir_row_entry *a,
    const struct weir_row_entry *b)
{
    for (uint32_t i = 0; i < order->cnt; i++) {
        if (a->word[i] != b->word[i]) {
            return a->word[i] < b->word[i] ? -1 : 1;
        }
    }
    return a->seq == b->seq ? 0 : a->seq < b->seq ? -1 : 1;
}
static inline bool
weir_row_entry_same(const struct weir_row_entry *a, const struct weir_row_entry *b)
{
    return a->row.bytes == b->row.bytes && memcmp(a->row.packed, b->row.packed, a->row.bytes) == 0;
}

/* weir_row_bag_find - how often the row of entry is there, and since when: into cnt and seq, which
 * stays as it is where the row is not there. */
WEIR_API void weir_row_bag_find(
    struct weir_keyed_state *bag, const struct weir_row_order *order, struct weir_row_entry *entry);
/* weir_row_bag_add - so many more of a row (less, where by is negative) than entry->cnt. Errors: as
 * weir_map_put(). */
WEIR_API WEIR_MUST_USE int weir_row_bag_add(struct weir_keyed_state *bag,
    const struct weir_row_order *order, const struct weir_row_entry *entry, int64_t by);
/* weir_row_bag_next - the next row, in no order, of a walk that weir_kind_begin() began. */
WEIR_API bool weir_row_bag_next(struct weir_kind_cursor *cursor, const struct weir_row_order *order,
    struct weir_row_entry *ret_entry);

#define WEIR_KIND_ROW_BAG(name) WEIR_KIND_MAP(name, 0, 2 * sizeof(int64_t), WEIR_NO_TTL)

WEIR_C_END

#endif
