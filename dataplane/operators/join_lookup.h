/* SPDX-License-Identifier: Apache-2.0 */
/* join_lookup.h: rows of a stream joined with a table that does not change, such as a file.
 *
 *     WEIR_JOIN(with_name, order, customer, named_order) { ... }       as of join.h
 *     const struct weir_lookup_conf conf = {.join = &with_name_join,
 *         .left_key = WEIR_KEY(order, customer), .right_key = WEIR_KEY(customer, id),
 *         .source = &weir_lines_type, .source_conf = &lines};
 *     s = weir_lookup_join(s, "with_name", &conf);
 *
 * Every subtask reads the whole table when it is opened, from a source that ends, and holds it in
 * memory of its own; so a stream need not be keyed. A row meets all rows of the table that have its
 * key, in the order in which they were read. With `outer` a row without any comes once, and `right`
 * is NULL. The result's event time is the row's.
 *
 * State:   none. A job that starts again reads the table again, as it is then: whoever wants the
 *          same answers keeps the file.
 * Changes: each row by itself, and what comes of it has its kind: the table does not change, so a
 *          row that goes takes back what it brought. A job that starts again with another table may
 *          take back what it never said.
 * Limits:  a row of the table as WEIR_ROW_ITEM_BYTES_MAX; the table with
 *          its index in table_bytes_max. Source: Flink's lookup join, with a cache of all rows.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_JOIN_LOOKUP_H
#define WEIR_DATAPLANE_OPERATORS_JOIN_LOOKUP_H

#include "dataplane/operators/join.h"

WEIR_C_BEGIN

/* As far as it is used, for each subtask. */
#define WEIR_LOOKUP_TABLE_BYTES_DEFAULT (UINT64_C(1) * WEIR_GIB)

struct weir_lookup_conf {
    const struct weir_join *join; /* left: rows of the stream, right: of the table */
    struct weir_key left_key;
    struct weir_key right_key;
    bool outer;
    const struct weir_operator_type *source; /* of the table's rows */
    const void *source_conf; /* borrowed */
    uint64_t table_bytes_max; /* 0 means the default */
};

/* weir_lookup_check - what open would refuse before it reads. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_lookup_check(const struct weir_lookup_conf *conf);

extern WEIR_API const struct weir_operator_type weir_lookup_type;

WEIR_C_END

#endif
