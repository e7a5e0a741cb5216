/* SPDX-License-Identifier: Apache-2.0 */
/* discard.h: a sink that counts rows and sums their hashes, and keeps nothing.
 *
 * [format: State / Part sums of the discarding sink]
 *
 *     a list (state.h) of one item: rows u64, sum of the rows' hashes u64
 *
 * [end of format]
 */
#ifndef WEIR_DATAPLANE_OPERATORS_DISCARD_H
#define WEIR_DATAPLANE_OPERATORS_DISCARD_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

/* What the sink leaves behind at its close; several subtasks add up. */
struct weir_discard_result {
    uint64_t rows;
    uint64_t checksum; /* row_hash.h */
};

/* Owner: the result is the caller's, one per subtask: results[subtask_idx]; NULL: nobody asks. */
struct weir_discard_conf {
    struct weir_discard_result *results;
};

extern WEIR_API const struct weir_operator_type weir_discard_type;

WEIR_C_END

#endif
