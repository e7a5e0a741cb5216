/* SPDX-License-Identifier: Apache-2.0 */
/* out.h: the buffer of an operator's output: how large it is, and how rows lie in it.
 *
 * It is as large as the channels' buffers, but never too small for one row with its texts, or for
 * one block of columns. An operator that asks an empty output for more room than there is would
 * wait for ever: its output then gets a buffer of its own, once, as large as what was asked for.
 *
 * Limits:  WEIR_ROW_BYTES_MAX for one row. Thread: the stage's core.
 */
#ifndef WEIR_DATAPLANE_OUT_H
#define WEIR_DATAPLANE_OUT_H

#include "base/err.h"
#include "dataplane/batch.h"

struct weir_out_shape {
    const struct weir_schema *schema;
    bool has_time; /* rows need a hidden event time */
    bool has_kind;
    bool columns;
    uint32_t buf_bytes; /* of the channels' buffers */
    uint32_t batch_rows;
};

/* weir_out_footprint - bytes of the buffer, a multiple of a line. */
uint32_t weir_out_footprint(const struct weir_out_shape *shape);
/* weir_out_init - lay the rows out in out->base[0, out->buf_bytes). */
void weir_out_init(struct weir_out *out, const struct weir_out_shape *shape);
/* weir_out_grow - a larger buffer for what an empty output had no room for: WEIR_AGAIN, and
 * *ret_mem is what to free at the end in the place of its former value; WEIR_DONE: nothing was
 * wanted. Errors: WEIR_EBUDGET past the limit; WEIR_ENOMEM. Cold. */
WEIR_MUST_USE int
weir_out_grow(struct weir_out *out, const struct weir_out_shape *shape, void **ret_mem);

#endif
