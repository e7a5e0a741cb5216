/* SPDX-License-Identifier: Apache-2.0 */
/* kindset_spill_priv.h: records of keys. */
#ifndef WEIR_DATAPLANE_KINDSET_SPILL_PRIV_H
#define WEIR_DATAPLANE_KINDSET_SPILL_PRIV_H

#include "dataplane/kindset_spill.h"

/* The record of the current key into spill->buf; 0 bytes: it has nothing in any state. */
WEIR_MUST_USE int weir_spill_record_make(struct weir_spill *spill);
/* Put what a record says into the tables, for the current key, which has nothing there. */
WEIR_MUST_USE int weir_spill_record_take(struct weir_spill *spill, struct weir_kv_bytes record);
/* The current key has nothing in any state any more. */
void weir_spill_record_drop(struct weir_spill *spill);

#endif
