/* SPDX-License-Identifier: Apache-2.0 */
/* select.h: some fields of a row, in another order, perhaps under other names; known at run time.
 *
 * The output's schema says the names; types and scales are those of the input's fields. Jobs in C
 * use WEIR_MAP, which is faster.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_SELECT_H
#define WEIR_DATAPLANE_OPERATORS_SELECT_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

struct weir_select_conf {
    /* The input's field of each field of the output. */
    uint8_t from[WEIR_FIELD_CNT_MAX];
};

extern WEIR_API const struct weir_operator_type weir_select_type;

WEIR_C_END

#endif
