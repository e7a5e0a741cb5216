/* SPDX-License-Identifier: Apache-2.0 */
/* rank.h: the order of a field's values as the order of 64-bit numbers. */
#ifndef WEIR_DATAPLANE_RANK_H
#define WEIR_DATAPLANE_RANK_H

#include "dataplane/schema.h"

/* weir_rank_real - a number in the order of doubles; both zeros are one. Those that are no number
 * come at either end, by their sign. */
static inline int64_t
weir_rank_real(double value)
{
    int64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

/* weir_rank_takes - whether a field can rank: anything but bool and string. */
static inline bool
weir_rank_takes(const struct weir_field *field)
{
    return field->type != WEIR_TYPE_STR && field->type != WEIR_TYPE_BOOL;
}

/* weir_rank_field - the rank of the value of a field that weir_rank_takes(). */
static inline int64_t
weir_rank_field(const struct weir_field *field, const char *at)
{
    int64_t value;
    int32_t narrow;
    double real;
    if (field->bytes == 4) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    if (field->type == WEIR_TYPE_F64) {
        memcpy(&real, at, sizeof real);
        return weir_rank_real(real);
    }
    memcpy(&value, at, sizeof value);
    return value;
}

#endif
