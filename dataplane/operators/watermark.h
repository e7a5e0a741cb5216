/* SPDX-License-Identifier: Apache-2.0 */
/* watermark.h: watermarks from the event times of the records themselves. */
#ifndef WEIR_DATAPLANE_OPERATORS_WATERMARK_H
#define WEIR_DATAPLANE_OPERATORS_WATERMARK_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

struct weir_watermark_conf {
    int64_t lag_ms; /* the watermark is the greatest time so far less this */
    int64_t interval_ms; /* event time between two watermarks, at least; 0: after every batch */
};

extern WEIR_API const struct weir_operator_type weir_watermark_type;

WEIR_C_END

#endif
