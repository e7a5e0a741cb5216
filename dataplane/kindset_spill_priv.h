/* SPDX-License-Identifier: Apache-2.0 */
/* kindset_spill_priv.h: records of keys. */
#ifndef WEIR_DATAPLANE_KINDSET_SPILL_PRIV_H
#define WEIR_DATAPLANE_KINDSET_SPILL_PRIV_H

#include "dataplane/kindset_spill.h"

/* Behind the root of an operator's names (weir_spill_root): the store that a savepoint is loaded
 * into, and its checkpoint, with which the store of the run begins. */
#define WEIR_SPILL_LOAD ".load" WEIR_SPILL_RUN
#define WEIR_SPILL_LOADED ".loaded" WEIR_SPILL_RUN
/* The owner's word of the table `here` where that is so. */
#define WEIR_SPILL_OWNER_LOADED 1

/* A state's head in a record, and an item's. */
struct weir_spill_state_head {
    uint32_t id;
    uint32_t bytes;
};
struct weir_spill_item_head {
    int64_t time;
    uint32_t key_bytes;
    uint32_t val_bytes;
};

/* The record of the current key into spill->buf; 0 bytes: it has nothing in any state. */
WEIR_MUST_USE int weir_spill_record_make(struct weir_spill *spill);
/* Put what a record says into the tables, for the current key, which has nothing there. */
WEIR_MUST_USE int weir_spill_record_take(struct weir_spill *spill, struct weir_kv_bytes record);
/* What a record has of state `id`; ptr is NULL where it has nothing. WEIR_EFORMAT. */
WEIR_MUST_USE int weir_spill_record_find(
    const char *uid, struct weir_kv_bytes record, uint32_t id, struct weir_kv_bytes *ret_state);
/* The next item of what a record has of a list or map: 1; 0 at the end; WEIR_EFORMAT. */
struct weir_spill_item {
    int64_t time;
    struct weir_slice key;
    struct weir_slice val;
};
WEIR_MUST_USE int
weir_spill_item_next(const char *uid, struct weir_kv_bytes *rest, struct weir_spill_item *ret_item);
/* The current key has nothing in any state any more. */
void weir_spill_record_drop(struct weir_spill *spill);
/* <dir>/<operator>.<subtask>, to be freed: what stands behind it says whether it is the store or a
 * checkpoint. */
WEIR_MUST_USE int weir_spill_root(const struct weir_operator *op, char **ret_root);

#endif
