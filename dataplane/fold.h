/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h: a stream of changes, as the table that is left when it has ended.
 *
 *     insert (a 1)   before (a 1)   after (a 2)   insert (b 7)   delete (b 7)   end   ->   (a 2)
 *
 * In front of a sink of tables it makes a folding sink: rows come when the input has ended for good
 * (its last watermark), not when the job is stopped, so that what is committed is the whole table,
 * once, whatever was killed on the way.
 *
 * By default rows are taken back as a whole: of each row that is left there are as many as were
 * inserted more often than taken back, and a row that was taken back but never came is an error at
 * the end. With is_upsert the input's key is the table's: the latest row of a key is the one that
 * is left, a delete takes it away, and an update-before is passed over.
 *
 * Outputs: one, of the input's schema: inserts. The order of keys is none.
 * State:   the table, and a timer for each key.
 * Limits:  rows of WEIR_ROW_PACK_BYTES_MAX with their texts.
 */
#ifndef WEIR_DATAPLANE_FOLD_H
#define WEIR_DATAPLANE_FOLD_H

#include "dataplane/operators/process.h"
#include "dataplane/row_pack.h"

WEIR_C_BEGIN

/* What the operator runs on. */
struct weir_fold {
    struct weir_process_function function; /* first */
    bool is_upsert;
    uint64_t shape; /* of the rows that state keeps */
    struct weir_row_map map;
};

/* weir_fold_init - of rows of a schema, which is kept. Errors: WEIR_EGRAPH. */
WEIR_API WEIR_MUST_USE int
weir_fold_init(struct weir_fold *fold, const struct weir_schema *schema, bool is_upsert);

static inline struct weir_operator_type
weir_fold_type(void)
{
    return weir_process_type_as("fold", WEIR_CHANGES_TAKEN);
}

WEIR_C_END

#endif
