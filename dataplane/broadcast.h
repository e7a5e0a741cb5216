/* SPDX-License-Identifier: Apache-2.0 */
/* broadcast.h: state that every subtask of an operator has alike: a map from byte strings to byte
 * strings, changed only by rows that all of them are sent.
 *
 *     at   [ "apple" | "google" | ... ]        places of the entries, by their keys' bytes
 *
 * It is for rules, settings and small tables: a key is found by halving, one that is new moves the
 * places behind it. In a checkpoint each subtask writes all of it, in order, so that all write the
 * same; a restore gives each one copy, whatever the number of subtasks (state.h).
 *
 * [format: State / Part broadcast (WEIR_BROADCAST_VERSION)]
 *
 *     a list (state.h), an item for each entry, by key:
 *         0 bytes of the key u64   8 the key, then the value
 *
 * [end of format]
 *
 * Limits:  WEIR_BROADCAST_BYTES_MAX for keys and values together. Memory is taken by put() as it
 *          is needed: entries are rare beside rows. Thread: the stage's core only.
 * Source:  Flink's BroadcastState, whose values are objects.
 */
#ifndef WEIR_DATAPLANE_BROADCAST_H
#define WEIR_DATAPLANE_BROADCAST_H

#include "dataplane/state.h"

WEIR_C_BEGIN

#define WEIR_BROADCAST_VERSION 1
#define WEIR_BROADCAST_PART "broadcast"
/* A snapshot writes all of it within the barrier: a few ms; and a task has 16 MiB for its parts. */
#define WEIR_BROADCAST_BYTES_MAX (UINT64_C(4) * WEIR_MIB)

struct weir_broadcast_entry {
    uint32_t key_bytes;
    uint32_t val_bytes;
    char bytes[]; /* the value, 8-aligned, then the key */
};

/* All zero is an empty one. */
struct weir_broadcast {
    struct weir_broadcast_entry **at; /* [cnt], by key */
    uint32_t cnt;
    uint32_t cap;
    uint64_t bytes; /* of keys and values */
};

void weir_broadcast_fini(struct weir_broadcast *map);
/* weir_broadcast_find - the value of a key, 8-aligned; NULL where there is none. Good until the key
 * is put or deleted. */
const void *
weir_broadcast_find(const struct weir_broadcast *map, struct weir_slice key, uint32_t *ret_bytes);
/* weir_broadcast_put - a key's value, in the place of the one it had; both are copied.
 * Errors: WEIR_EBUDGET; WEIR_ENOMEM. */
WEIR_MUST_USE int
weir_broadcast_put(struct weir_broadcast *map, struct weir_slice key, struct weir_slice val);
/* weir_broadcast_delete - forget a key; false where it was not there. */
bool weir_broadcast_delete(struct weir_broadcast *map, struct weir_slice key);
/* weir_broadcast_at - the entry at a place, in the order of keys' bytes; false past the end. */
bool weir_broadcast_at(const struct weir_broadcast *map, uint32_t idx, struct weir_slice *ret_key,
    struct weir_slice *ret_val);

/* weir_broadcast_snapshot, weir_broadcast_restore - as the hooks of operator.h; the part is named
 * WEIR_BROADCAST_PART, and is of WEIR_STATE_PART_BROADCAST. */
void weir_broadcast_snapshot(const struct weir_broadcast *map, struct weir_parts_writer *parts);
WEIR_MUST_USE int weir_broadcast_restore(struct weir_broadcast *map, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt);

WEIR_C_END

#endif
