/* SPDX-License-Identifier: Apache-2.0 */
/* kindset.h: the declared states (kind.h) of one operator, in the pages of its stage's arena.
 *
 * [format: State / Declared states (WEIR_CAPTURE_VERSION)]
 *
 *     value, sum     table: key [ns] -> [time] value
 *     list           table: key [ns] -> first, last, cnt u32: items, doubly linked, oldest first
 *     map            the same, and an index: key [ns] hash-of-map-key -> item
 *     numbers        table: key -> a link (numbers.h) for each map
 *     item           next u32 | prev u32 | same u32 | key_bytes u32 | val_bytes u32 | 0 u32
 *                    time i64 | key, zeros up to a multiple of 8 | value
 *
 * An item is one block of the key's group.
 *
 * [end of format]
 *
 * Nothing beside the pages needs to be kept: a snapshot of them has it all. Items are in order of
 * their times, so cleaning up takes them from the front. Hashes of map keys that are equal by
 * chance share an index entry: their items are chained by `same`.
 *
 * This is what the operator calls; bodies of functions see kind.h. A key is set before a state is
 * used, time (UTC, ms) comes in with it.
 *
 * Thread: the stage's core only.
 */
#ifndef WEIR_DATAPLANE_KINDSET_H
#define WEIR_DATAPLANE_KINDSET_H

#include "dataplane/keyed.h"
#include "dataplane/kind.h"
#include "dataplane/numbers.h"
#include "dataplane/state.h"

WEIR_C_BEGIN

struct weir_keyed_state {
    struct weir_kindset *set;
    const struct weir_kind *kind;
    struct weir_table *table;
    struct weir_table *index; /* of a map, else NULL */
    struct weir_numbers_kind numbers; /* of a state that is maps of numbers */
    uint64_t ns;
    void *entry; /* at the current key, looked up with others; NULL: it is looked for when used */
    uint32_t val_off; /* of an inline value in its entry */
    bool is_inline;
    struct weir_table_cursor clean; /* how far cleaning up came */
};

struct weir_kindset {
    struct weir_arena *arena;
    const struct weir_keyed *keyed;
    int64_t now_ms;
    int64_t gone_ms; /* what had expired then is gone: the time of the snapshot restored */
    /* The key, as tables take it, with room for a tail. */
    uint64_t hash;
    uint64_t key[WEIR_TABLE_WORD_CNT_MAX];
    const char *heap;
    uint32_t word_cnt; /* without a tail */
    uint32_t cnt;
    struct weir_keyed_state state[WEIR_KIND_CNT_MAX];
    struct weir_keyed_rows rows; /* of keys met on a walk over a table */
    uint64_t scratch[(WEIR_KIND_BYTES_MAX + WEIR_LINE_BYTES) / sizeof(uint64_t)];
};

/* weir_kindset_check - what open would refuse of a declaration. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_kindset_check(const struct weir_kind *kinds, uint32_t cnt);
/* weir_kindset_open - find or take the tables of an operator's declared states.
 *
 * Owner:   keeps keyed and kinds. set is zeroed memory; weir_kindset_close() frees what it takes.
 * Errors:  WEIR_ESTATE: what was restored is of another kind or size; WEIR_EGRAPH; WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int
weir_kindset_open(struct weir_kindset *set, const struct weir_operator *op,
    const struct weir_keyed *keyed, const struct weir_kind *kinds, uint32_t cnt);
WEIR_API void weir_kindset_close(struct weir_kindset *set);

/* weir_kindset_key - row i of rows is the current key; strings are borrowed. */
static inline void
weir_kindset_key(struct weir_kindset *set, const struct weir_table_rows *rows, uint32_t i)
{
    set->hash = rows->hash[i];
    set->heap = rows->heap;
    memcpy(set->key, rows->key + (size_t)i * rows->key_stride, rows->key_stride);
}

/* weir_kindset_maps - the maps of numbers of rows, in ret_maps ([cnt]): struct weir_numbers[],
 * touched; made where there were none. They stay where they are until the next such call, or until
 * weir_kindset_tidy().
 *
 * Returns: > 0 rows, as weir_table_resolve(); or its error.
 */
static inline int
weir_kindset_maps(
    struct weir_kindset *set, uint32_t idx, struct weir_table_rows rows, void **ret_maps)
{
    rows.ret_val = ret_maps;
    rows.ret_made = NULL;
    return weir_table_resolve(set->state[idx].table, &rows, 0);
}
/* weir_kindset_tidy - the maps of the current key are forgotten where nothing is in them. */
WEIR_API void weir_kindset_tidy(struct weir_kindset *set);
/* weir_kindset_ask - the first elements of lists are about to be read: entry[0, cnt) are theirs. */
WEIR_API void
weir_kindset_ask(const struct weir_keyed_state *state, void *const *entry, uint32_t cnt);
/* weir_kindset_ahead - the entries of a list, without namespaces and a time to live, for rows
 * [from, rows->cnt), looked up together, and their first elements asked for; where there are none
 * they are made. Returns: as weir_table_resolve(). */
WEIR_API WEIR_MUST_USE int
weir_kindset_ahead(struct weir_keyed_state *state, struct weir_table_rows *rows, uint32_t from);
/* weir_kindset_behind - those of rows [from, end) of them that have no element now go. */
WEIR_API void weir_kindset_behind(struct weir_keyed_state *state,
    const struct weir_table_rows *rows, uint32_t from, uint32_t end);

/* weir_kindset_clean - look at clean_cnt entries of each state with a time to live, and free what
 * has expired. Between bodies; the current key is lost. Errors: WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_kindset_clean(struct weir_kindset *set);

/* weir_kindset_each - fn for every key that is in memory (all are, without kindset_spill.h) and has
 * something in the state, as it was at the call; fn may change this state, and others, of any key
 * of the set. The current key is lost. Allocates.
 *
 * Errors:  WEIR_ENOMEM; the first error of fn ends it. Source: Flink's applyToAllKeys.
 */
typedef int(weir_kindset_fn)(struct weir_keyed_state *state, void *arg);
WEIR_API WEIR_MUST_USE int
weir_kindset_each(struct weir_kindset *set, uint32_t idx, weir_kindset_fn *fn, void *arg);

/* weir_kindset_snapshot, weir_kindset_restore - the time of the snapshot, as a part; only of
 * operators that have declared states. Errors: as weir_state_word_least(). */
WEIR_API void
weir_kindset_snapshot(const struct weir_kindset *set, struct weir_parts_writer *parts);
WEIR_API WEIR_MUST_USE int weir_kindset_restore(struct weir_kindset *set,
    const struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);

WEIR_C_END

#endif
