/* SPDX-License-Identifier: Apache-2.0 */
/* loops.c: functions over columns of int64, as jobs write them, for scripts/check_vectorised.py. */
#include "dataplane/function.h"

#define MEASURE(F) F(time, at) F(i64, value) F(i64, weight)
WEIR_SCHEMA(measure, MEASURE)

WEIR_FILTER(is_large, measure)
{
    return in->value > 1000;
}

WEIR_FILTER(is_between, measure)
{
    return in->value > -5 && in->weight < 70;
}

WEIR_MAP(weigh, measure, measure)
{
    out->at = in->at;
    out->value = in->value + 3 * in->weight;
    out->weight = in->weight;
}

WEIR_API const struct weir_function *loops[3];
const struct weir_function *loops[3] = {&is_large_op, &is_between_op, &weigh_op};
