/* SPDX-License-Identifier: Apache-2.0 */
/* kindset_spill_rows.h: keys on disk (kindset_spill.h) as rows of a savepoint (savepoint.h), in
 * both directions. What a key has is the same in memory and on disk, and so are its rows.
 *
 *     saving     the checkpoints of an operator's stores, read where they lie: the keys of one key
 *                group in the order of their hashes, without those that are in the pages
 *     restoring  rows, state by state, become records in a store of their own, with which the store
 *                of the run begins: no more has to fit into the pages than is wanted at once
 *
 * Thread: the caller's; all calls block.
 */
#ifndef WEIR_DATAPLANE_KINDSET_SPILL_ROWS_H
#define WEIR_DATAPLANE_KINDSET_SPILL_ROWS_H

#include "dataplane/kindset_spill.h"

WEIR_C_BEGIN

/* weir_spill_can - whether the operator can keep state on disk: all but its timers, which stay in
 * the pages. */
WEIR_API bool weir_spill_can(const struct weir_operator *op);

/* ---- saving ---- */

/* All that one operator has on disk. */
struct weir_spill_disk;

/* weir_spill_disk_open - of operator uid; borrowed until close. WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_spill_disk_open(const char *uid, struct weir_spill_disk **ret_disk);
/* weir_spill_disk_add - one more checkpoint. Errors: those of weir_kv_view_open. */
WEIR_API WEIR_MUST_USE int weir_spill_disk_add(struct weir_spill_disk *disk, const char *path);
WEIR_API void weir_spill_disk_close(struct weir_spill_disk *disk);

/* What is looked for: keys of a key group that have something in a state. */
struct weir_spill_ask {
    const struct weir_table *here; /* keys in it are passed over; NULL: there are none */
    uint32_t state_id;
    uint32_t key_group;
    uint32_t max_parallelism;
};
struct weir_spill_entry {
    uint64_t hash;
    struct weir_kv_bytes key; /* its words, or its text */
    struct weir_kv_bytes state; /* as the record has it */
};

/* weir_spill_disk_seek, weir_spill_disk_next - the first such key, and the next one: 1; 0 at the
 * end.
 *
 * Owner:   the entry is good until the next call.
 * Errors:  those of weir_kv_view_next; WEIR_EFORMAT: a record is none; WEIR_ECHECKPOINT: two stores
 *          have the key group.
 */
WEIR_API WEIR_MUST_USE int weir_spill_disk_seek(struct weir_spill_disk *disk,
    const struct weir_spill_ask *ask, struct weir_spill_entry *ret_entry);
WEIR_API WEIR_MUST_USE int
weir_spill_disk_next(struct weir_spill_disk *disk, struct weir_spill_entry *ret_entry);
/* weir_spill_disk_row - the next item of a list or map, out of the rest of entry.state: 1; 0 at the
 * end. Errors: WEIR_EFORMAT, WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_spill_disk_row(const struct weir_spill_disk *disk,
    struct weir_kv_bytes *rest, struct weir_state_room *room, struct weir_state_row *ret_row);

/* ---- restoring ---- */

struct weir_spill_load;

/* A key, as tables take it. */
struct weir_spill_key {
    uint64_t hash;
    const uint64_t *word;
    const char *heap;
    uint32_t key_group;
};

/* weir_spill_load_open - the store, and in the arena of op, which is not open, the word that it is
 * there.
 *
 * Errors:  those of weir_kv_poll; WEIR_EBUDGET, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_spill_load_open(
    const struct weir_operator *op, uint32_t key_kind, struct weir_spill_load **ret_load);
/* weir_spill_load_key - what follows is state desc of this key.
 *
 * Shape:   all keys of a state and key group one after the other, hashes upward.
 * Errors:  WEIR_EDATA: they are not, or a key comes twice; those of weir_kv_poll.
 */
WEIR_API WEIR_MUST_USE int weir_spill_load_key(struct weir_spill_load *load,
    const struct weir_state_desc *desc, const struct weir_spill_key *key);
/* weir_spill_load_value, weir_spill_load_row - the value, or one more item of a list or map.
 * Errors: WEIR_ENOMEM; of a row: WEIR_EINVAL, WEIR_EDATA: not as declared. */
WEIR_API WEIR_MUST_USE int
weir_spill_load_value(struct weir_spill_load *load, const void *val, uint32_t bytes);
WEIR_API WEIR_MUST_USE int weir_spill_load_row(struct weir_spill_load *load,
    const struct weir_state_desc *desc, const struct weir_state_row *row);
/* weir_spill_load_end - all of it is there. */
WEIR_API WEIR_MUST_USE int weir_spill_load_end(struct weir_spill_load *load);
/* weir_spill_load_close - without an end nothing is left of it. Takes NULL. */
WEIR_API void weir_spill_load_close(struct weir_spill_load *load);

WEIR_C_END

#endif
