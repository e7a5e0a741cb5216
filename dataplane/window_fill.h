/* SPDX-License-Identifier: Apache-2.0 */
/* window_fill.h: rows that windows make: who fills which field, by its name (window.h). */
#ifndef WEIR_DATAPLANE_WINDOW_FILL_H
#define WEIR_DATAPLANE_WINDOW_FILL_H

#include "dataplane/aggregate.h"
#include "dataplane/keyed.h"

/* Where the fields of an output row come from. */
struct weir_window_fill {
    const struct weir_field *start;
    const struct weir_field *end;
    const struct weir_field *time;
    const struct weir_field *key[WEIR_KEY_FIELD_CNT_MAX];
    bool is_whole; /* the aggregate's one field and these leave no byte of a row */
};

/* weir_window_fill_init - the fields of key and window. Errors: WEIR_EGRAPH. */
WEIR_MUST_USE int weir_window_fill_init(struct weir_window_fill *fill,
    const struct weir_keyed *keyed, const char *const *key_as, const struct weir_schema *schema);
/* weir_window_fill_rest - the field that is left to the aggregate: of a built-in one, exactly one.
 * Errors: WEIR_EGRAPH. */
WEIR_MUST_USE int
weir_window_fill_rest(struct weir_window_fill *fill, const struct weir_aggregate *aggregate,
    const struct weir_schema *schema, const struct weir_field **ret_rest);

/* Rows of one window. */
struct weir_window_rows {
    int64_t start;
    int64_t end;
    int64_t time; /* its last millisecond */
    const struct weir_table *table; /* of the keys; NULL: heap has their texts */
    const char *heap;
    const uint64_t *key; /* as weir_keyed_put_rows() takes them */
    uint32_t cnt; /* as weir_keyed_room() has granted */
};
/* weir_window_fill_rows - take the rows and fill what is not the aggregate's. Their event time is
 * that of the window. */
struct weir_lane weir_window_fill_rows(const struct weir_window_fill *fill,
    const struct weir_keyed *keyed, const struct weir_window_rows *rows, struct weir_out *out);

#endif
