/* SPDX-License-Identifier: Apache-2.0 */
/* ranking.h: the first rows of each key in an order, as a table that changes.
 *
 *     the two highest prices by auction, with their rank:
 *
 *     (a 10)   ->   insert (a 10 1)
 *     (a 30)   ->   before (a 10 1)   after (a 30 1)   insert (a 10 2)
 *     (a 20)   ->   before (a 10 2)   after (a 20 2)
 *     delete (a 30)   ->   before (a 30 1)   after (a 20 1)   before (a 20 2)   after (a 10 2)
 *
 * Of rows that are equal in the order, the one that came first comes first, with latest_first the
 * one that came last. With cnt 1 it is deduplication: the first or the last row of a key, by a
 * time.
 *
 * With a rank in the output, a row is updated for every rank that has another row now. Without one
 * there is a delete and an insert for the row that goes and the one that comes; with cnt 1 a pair
 * of updates.
 *
 * Outputs: one, a stream of changes, keyed as the input: the input's fields that the output has by
 *          name, and the rank, an i64 from 1 on. Event times are those of the rows that caused it.
 * State:   of inserts a list of the first rows, of changes a bag of all (row_bag.h).
 * Limits:  WEIR_RANKING_CNT_MAX rows a key; rows of WEIR_ROW_PACK_BYTES_MAX with their texts. A
 *          change of the first rows looks at all that are kept of its key.
 * Source:  Flink SQL's AppendOnlyTopNFunction and RetractableTopNFunction.
 */
#ifndef WEIR_DATAPLANE_RANKING_H
#define WEIR_DATAPLANE_RANKING_H

#include "dataplane/operators/process.h"
#include "dataplane/row_bag.h"

WEIR_C_BEGIN

#define WEIR_RANKING_CNT_MAX 256

struct weir_ranking_conf {
    struct weir_row_by by[WEIR_ROW_ORDER_CNT_MAX];
    uint32_t cnt; /* rows of a key, from 1 on */
    bool latest_first; /* of equal rows */
    const char *rank_as; /* the field of the output that takes the rank; NULL: none does */
};

/* What the operator runs on. */
struct weir_ranking {
    struct weir_process_function function; /* first */
    bool latest_first;
    uint32_t cnt;
    int32_t rank_off; /* in the output; -1: none */
    uint64_t shape; /* of what state keeps */
    struct weir_kind kind; /* of inserts: their list */
    struct weir_row_order order;
    struct weir_row_map map;
};

/* weir_ranking_init - find the fields. Owner: schemas are kept. Errors: WEIR_EGRAPH. */
WEIR_API WEIR_MUST_USE int
weir_ranking_init(struct weir_ranking *rank, const struct weir_ranking_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out, bool takes_changes);

static inline struct weir_operator_type
weir_ranking_type(void)
{
    struct weir_operator_type type = weir_process_type_as("rank", WEIR_CHANGES_TAKEN_AND_MADE);
    type.self_bytes += (uint32_t)sizeof(uint64_t); /* of inserts: what of a row is told */
    return type;
}

WEIR_C_END

#endif
