/* SPDX-License-Identifier: Apache-2.0 */
/* row_out.h: rows that lie by themselves, outside of a batch: the struct, and texts in a heap. */
#ifndef WEIR_DATAPLANE_ROW_OUT_H
#define WEIR_DATAPLANE_ROW_OUT_H

#include "dataplane/batch.h"

/* weir_row_out - append a row of out's schema; its texts are copied. False: there is no
 * room. */
bool weir_row_out(const char *row, const char *heap, struct weir_out *out);

#endif
