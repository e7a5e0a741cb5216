/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h: an aggregate per key that never ends: each row emits the value it leads to.
 *
 *     count by word:   a b a c a   ->   (a,1) (b,1) (a,2) (c,1) (a,3)
 *
 * Output rows hold the fields of the key, by their own names or under key_as, and the aggregate's
 * result. Their event time is that of the input row.
 *
 * State: a table. Watermarks: passed on.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_REDUCE_H
#define WEIR_DATAPLANE_OPERATORS_REDUCE_H

#include "dataplane/aggregate.h"
#include "dataplane/key.h"
#include "dataplane/operator.h"

WEIR_C_BEGIN

struct weir_reduce_conf {
    struct weir_key key; /* field_cnt 0: all rows are one key */
    struct weir_aggregate aggregate;
    const char *key_as[WEIR_KEY_FIELD_CNT_MAX]; /* names in the output, NULL: as in the input */
};

/* weir_reduce_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_reduce_check(const struct weir_reduce_conf *conf,
    const struct weir_schema *in_schema, const struct weir_schema *out_schema);

extern WEIR_API const struct weir_operator_type weir_reduce_type;

WEIR_C_END

#endif
