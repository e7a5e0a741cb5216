/* SPDX-License-Identifier: Apache-2.0 */
/* rolling.h: each row with an aggregate of it and of some rows before it in its key's order, as a
 * table that changes.
 *
 *     average of a price and the one before it, by time:
 *
 *     (a 10:00 6)   ->   insert (a 10:00 6)
 *     (a 10:02 2)   ->   insert (a 10:02 4)
 *     (a 10:01 4)   ->   insert (a 10:01 5)   before (a 10:02 4)   after (a 10:02 3)
 *
 * Rows may come in any order, and may be taken back: those behind one are told anew. Of rows that
 * are equal in the order, the one that came first is the earlier.
 *
 * Outputs: one, a stream of changes, keyed as the input: the input's fields that the output has by
 *          name, and the aggregate. Event times are those of the rows that caused it.
 * State:   all rows, in their order (row_sorted.h).
 * Limits:  WEIR_ROLLING_ROW_CNT_MAX rows before; numbers but f64. A change looks at all rows of its
 *          key that are behind it.
 * Source:  SQL's OVER (PARTITION BY .. ORDER BY .. ROWS BETWEEN n PRECEDING AND CURRENT ROW), which
 *          Flink has for rows in the order of time only.
 */
#ifndef WEIR_DATAPLANE_ROLLING_H
#define WEIR_DATAPLANE_ROLLING_H

#include "dataplane/group.h"
#include "dataplane/row_bag.h"

WEIR_C_BEGIN

#define WEIR_ROLLING_ROW_CNT_MAX 64

struct weir_rolling_conf {
    struct weir_row_by by[WEIR_ROW_ORDER_CNT_MAX];
    uint32_t preceding; /* rows before each */
    enum weir_group_kind kind; /* COUNT, SUM, AVG, MIN or MAX */
    const char *of; /* COUNT: NULL */
    const char *as; /* a field of the output, an i64 */
};

/* What the operator runs on. */
struct weir_rolling {
    struct weir_process_function function; /* first */
    uint32_t preceding;
    enum weir_group_kind kind;
    struct weir_field of;
    uint32_t as_off;
    uint64_t shape; /* of what state keeps */
    struct weir_row_order order;
    struct weir_row_map map;
};

/* weir_rolling_init - find the fields. Owner: schemas are kept. Errors: WEIR_EGRAPH. */
WEIR_API WEIR_MUST_USE int
weir_rolling_init(struct weir_rolling *rolling, const struct weir_rolling_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out);

static inline struct weir_operator_type
weir_rolling_type(void)
{
    return weir_process_type_as("rolling", WEIR_CHANGES_TAKEN_AND_MADE);
}

WEIR_C_END

#endif
