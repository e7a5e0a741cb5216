/* SPDX-License-Identifier: Apache-2.0 */
/* group_priv.h: what group_init.c (fields and columns) and group.c (rows) share. */
#ifndef WEIR_DATAPLANE_GROUP_PRIV_H
#define WEIR_DATAPLANE_GROUP_PRIV_H

#include "dataplane/group.h"

/* The numbers of the state: rows and shape, then those of the columns. */
enum { ROWS, SHAPE, COLUMNS };
#define STATE_CNT (COLUMNS + WEIR_GROUP_COLUMN_CNT_MAX)
WEIR_STATIC_ASSERT(STATE_CNT * sizeof(int64_t) <= WEIR_PROCESS_STATE_BYTES_MAX, "one value");

weir_process_rows_fn weir_group_rows;

#endif
