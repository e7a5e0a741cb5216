/* SPDX-License-Identifier: Apache-2.0 */
/* joining.h: rows of two keyed streams of changes, joined as tables.
 *
 *     left (1 "ann")           ->   insert ("ann" NULL)                    with outer left
 *     right (1 7)              ->   delete ("ann" NULL)   insert ("ann" 7)
 *     left delete (1 "ann")    ->   delete ("ann" 7)
 *
 * Each row of either input is followed by the pairs that come or go with it: those with all rows of
 * the other side that have its key now. Of outer joins a row without a partner comes alone, and
 * what was told of it is taken back when its first partner comes; semi: left rows while they have a
 * partner; anti: while they have none. A partner is a row of the same key, also where the function
 * refuses the pair. Equal rows count each for itself. Where a row and its retraction come in the
 * other order (they went different ways), the retraction counts against the row until it is there.
 *
 * Outputs: one, a stream of changes. Pairs of inner joins have the kind of the row that they come
 *          of; those of others are inserts and deletes.
 *          at->time is the later one of both rows' time fields: of what rows carry, so that a pair
 *          is taken back as it came. Where neither schema has one, it is the time of the row that
 *          the change comes of, and the function must not put it into its row.
 * State:   per key two bags of rows, and how many there are. Semi and anti joins keep no right
 *          rows. With ttl_ms rows are forgotten so long after they were last counted, and a
 *          retraction of one that is not there is not kept.
 * Limits:  a row as WEIR_ROW_PACK_BYTES_MAX.
 * Source:  Flink SQL's StreamingJoinOperator and StreamingSemiAntiJoinOperator, where the right
 *          side has no unique key; there a partner must also meet the condition of the join.
 */
#ifndef WEIR_DATAPLANE_JOINING_H
#define WEIR_DATAPLANE_JOINING_H

#include "dataplane/operators/join.h"
#include "dataplane/operators/process.h"

WEIR_C_BEGIN

/* When rows of a side come alone. */
enum weir_joining_lone { WEIR_JOINING_NEVER, WEIR_JOINING_UNMET, WEIR_JOINING_MET };

struct weir_joining {
    struct weir_process_function function; /* first */
    struct weir_process_second second;
    struct weir_kind kinds[2]; /* rows of either side */
    const struct weir_join *join;
    uint64_t shape; /* of the state */
    bool has_pairs;
    bool has_ttl;
    struct weir_joining_side {
        uint32_t row_bytes;
        uint32_t time_off; /* UINT32_MAX: no time field */
        enum weir_joining_lone lone;
        bool is_kept;
    } side[2];
};

/* weir_joining_init - of a conf whose span and bounds do not matter. Errors: WEIR_EGRAPH, with the
 * reason. */
WEIR_API WEIR_MUST_USE int
weir_joining_init(struct weir_joining *joining, const struct weir_join_conf *conf);

/* weir_joining_type - of an operator whose conf is a struct weir_connect_process_conf of
 * joining->function and joining->second. */
WEIR_API struct weir_operator_type weir_joining_type(void);

WEIR_C_END

#endif
