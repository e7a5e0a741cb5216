/* SPDX-License-Identifier: Apache-2.0 */
/* where.h: a filter whose condition is known only at run time: terms over fields of the row, all of
 * which must hold.
 *
 *     price >= 100 and note is not null
 *
 * A comparison with a null is not true, as in SQL. Jobs in C use WEIR_FILTER, which is faster.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_WHERE_H
#define WEIR_DATAPLANE_OPERATORS_WHERE_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_WHERE_TERM_CNT_MAX 8

enum weir_where_test {
    WEIR_WHERE_EQ,
    WEIR_WHERE_NE,
    WEIR_WHERE_LT,
    WEIR_WHERE_LE,
    WEIR_WHERE_GT,
    WEIR_WHERE_GE,
    WEIR_WHERE_NULL,
    WEIR_WHERE_NOT_NULL,
    WEIR_WHERE_TEST_CNT
};

/* One comparison with a constant of the field's own type: whole numbers, bools, decimals and times
 * in `number`, f64 in `real`, strings (EQ and NE only) in `text`, which is borrowed. */
struct weir_where_term {
    uint32_t field_idx;
    enum weir_where_test test;
    int64_t number;
    double real;
    const char *text;
    uint32_t text_bytes;
};

struct weir_where_conf {
    uint32_t term_cnt;
    struct weir_where_term term[WEIR_WHERE_TERM_CNT_MAX];
};

extern WEIR_API const struct weir_operator_type weir_where_type;

WEIR_C_END

#endif
