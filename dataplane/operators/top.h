/* SPDX-License-Identifier: Apache-2.0 */
/* top.h: the best rows of each window, over all keys.
 *
 * Rows come from windows and carry the end of theirs in a field. The operator keeps the best of
 * each window until the watermark passes the window's end, then emits them, best first, unchanged.
 *
 * Rows whose window has already been emitted are late: they leave by output 1.
 *
 * Outputs: 0 the best rows, 1 late rows; both have the input's schema.
 * Order:   rows of equal rank come out as they came in.
 * Limits:  a row of WEIR_TOP_ROW_BYTES_MAX; WEIR_TOP_WINDOW_CNT_MAX windows at a time.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_TOP_H
#define WEIR_DATAPLANE_OPERATORS_TOP_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_TOP_ROW_BYTES_MAX 3968
#define WEIR_TOP_WINDOW_CNT_MAX 65536

struct weir_top_conf {
    const char *end_field; /* the end of the window, i64, ts or time; NULL: "window_end" */
    const char *by_field; /* the number that ranks: any type but bool and str */
    uint32_t cnt; /* rows a window, at least 1 */
    bool ties; /* also rows that equal the last of them */
    bool lowest; /* the lowest are the best */
};

/* weir_top_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int
weir_top_check(const struct weir_top_conf *conf, const struct weir_schema *schema);

extern WEIR_API const struct weir_operator_type weir_top_type;

WEIR_C_END

#endif
