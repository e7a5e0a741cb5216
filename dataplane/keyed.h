/* SPDX-License-Identifier: Apache-2.0 */
/* keyed.h: the keys of a batch as tables of keyed state take them, and back into rows.
 *
 *     one number              WEIR_KEY_8
 *     two numbers             WEIR_KEY_16
 *     one string              WEIR_KEY_STR
 *     anything else           WEIR_KEY_STR of the fields packed one behind the other: 8 zero bytes,
 *                             then 8 bytes a number; 8 bytes of length and the text a string
 *     no field                WEIR_KEY_8, the same key for every row
 *
 * The hash is that of the exchange (weir_key_hash), so a row's entry lies in the key group that the
 * row was sent for.
 *
 * Thread: one core; a struct weir_keyed_rows is scratch memory of one operator.
 */
#ifndef WEIR_DATAPLANE_KEYED_H
#define WEIR_DATAPLANE_KEYED_H

#include "dataplane/key.h"
#include "dataplane/table.h"

WEIR_C_BEGIN

/* Rows worked on together: their keys, hashes and value pointers stay in L1. */
#define WEIR_KEYED_ROW_CNT_MAX 256
/* Fewer are not looked up well: their misses would come one after the other. */
#define WEIR_KEYED_BLOCK_CNT_MIN 8
/* Words of a key of the widest kind. */
#define WEIR_KEYED_WORD_CNT_MAX WEIR_KEY_TEXT_WORD_CNT

struct weir_keyed {
    struct weir_key key; /* resolved */
    uint32_t kind; /* enum weir_key_kind */
    uint32_t stride; /* bytes between keys in struct weir_keyed_rows, and of a stored one */
    bool is_packed;
    uint64_t may_be_null; /* of the rows' masks: the bits of the key's fields */
    uint64_t hash_all; /* the hash of the key without fields: of a key group that is owned */
};

struct weir_keyed_rows {
    struct weir_table_rows rows; /* into what follows; val and made are filled by lookups */
    uint64_t hash[WEIR_KEYED_ROW_CNT_MAX];
    uint64_t word[WEIR_KEYED_WORD_CNT_MAX * WEIR_KEYED_ROW_CNT_MAX];
    void *val[WEIR_KEYED_ROW_CNT_MAX];
    uint32_t made[WEIR_KEYED_ROW_CNT_MAX];
    char *text; /* of packed and stored keys; NULL until one comes; as large as one needed */
    uint64_t text_bytes; /* room in text */
    uint32_t full_cnt; /* rows that the last output took which became full; 0: none did */
};

/* weir_keyed_block - how many rows to load, of those left: where outputs become full, about half of
 * what one takes, since the rest of a block is loaded and looked up again by the next call. */
static inline uint32_t
weir_keyed_block(const struct weir_keyed_rows *rows, uint32_t left)
{
    uint64_t most = rows->full_cnt == 0
                        ? WEIR_KEYED_ROW_CNT_MAX
                        : weir_max_u64(rows->full_cnt / 2, WEIR_KEYED_BLOCK_CNT_MIN);
    return (uint32_t)weir_min_u64(left, weir_min_u64(most, WEIR_KEYED_ROW_CNT_MAX));
}

/* weir_keyed_took - a call has done so many rows; is_full: it ended because its output was. */
static inline void
weir_keyed_took(struct weir_keyed_rows *rows, uint32_t cnt, bool is_full)
{
    bool is_more = rows->full_cnt != 0 && cnt > rows->full_cnt;
    if (is_full || is_more) {
        rows->full_cnt = cnt + (cnt == 0);
    }
}

/* Keys of one 8-byte field as they lie in a view: row sel[i] of ptr, or row i. */
struct weir_keyed_lane {
    const char *ptr;
    size_t stride;
    const uint16_t *sel;
};

static inline struct weir_keyed_lane
weir_keyed_plain(const struct weir_keyed *keyed, const struct weir_view *view, uint32_t from)
{
    struct weir_lane lane = weir_view_lane(view, keyed->key.part[0].off, 8);
    struct weir_keyed_lane plain;
    plain.ptr = view->sel != NULL ? lane.ptr : lane.ptr + (size_t)lane.stride * from;
    plain.stride = lane.stride;
    plain.sel = view->sel != NULL ? view->sel + from : NULL;
    return plain;
}

/* weir_keyed_init - resolve a key against a schema; arena is NULL where no hash_all is asked for.
 * Errors: WEIR_EGRAPH. */
WEIR_API WEIR_MUST_USE int weir_keyed_init(struct weir_keyed *keyed, const struct weir_key *key,
    const struct weir_schema *schema, const struct weir_arena *arena);

/* weir_keyed_load - keys and hashes of selected rows [from, from + cnt) of view into rows.
 *
 * Shape:   cnt in [1, WEIR_KEYED_ROW_CNT_MAX].
 * Returns: rows loaded, at least 1: fewer where packed keys fill the text. Errors: WEIR_EDATA: a
 *          key is null, or longer than WEIR_TABLE_TEXT_BYTES_MAX; WEIR_ENOMEM.
 * Owner:   strings borrow from the view.
 */
WEIR_API WEIR_MUST_USE int weir_keyed_load(const struct weir_keyed *keyed,
    const struct weir_view *view, uint32_t from, uint32_t cnt, struct weir_keyed_rows *rows);

/* weir_keyed_load_stored - the same for keys as weir_table_scan gave them (or one timer), to look
 * up in another table of the same keys. */
WEIR_API WEIR_MUST_USE int
weir_keyed_load_stored(const struct weir_keyed *keyed, const struct weir_table *table,
    const uint64_t *stored, uint32_t cnt, struct weir_keyed_rows *rows);

/* weir_keyed_rows_fini - free what keys took; rows that are all zero are empty ones. */
WEIR_API void weir_keyed_rows_fini(struct weir_keyed_rows *rows);

/* weir_keyed_resolve - weir_table_resolve() of rows [from, rows.cnt), knowing the key of no
 * fields. */
WEIR_API WEIR_MUST_USE int weir_keyed_resolve(const struct weir_keyed *keyed,
    struct weir_table *table, struct weir_keyed_rows *rows, uint32_t from);

/* ---- cache ----
 *
 * Where the entries of the last keys of one table lie, for keys of one 8-byte field. Few keys get
 * most rows nearly always; for them a lookup is one multiplication and one compare in L1. It
 * forgets what the table has moved, and rests where it does not help.
 */
#define WEIR_KEYED_CACHE_LG2 10
#define WEIR_KEYED_CACHE_CNT (1 << WEIR_KEYED_CACHE_LG2)

struct weir_keyed_cache {
    const struct weir_table *table; /* NULL: forget */
    const struct weir_table *asked; /* of the last rows */
    uint32_t moved_cnt; /* of the table, up to which the places are right */
    uint64_t epoch; /* of the arena: another one means that entries must be touched anew */
    uint32_t row_cnt; /* since the last look at whether it helps */
    uint32_t miss_cnt;
    uint32_t rest_cnt; /* calls that it rests for */
    struct weir_keyed_cached {
        uint64_t key;
        void *val;
    } at[WEIR_KEYED_CACHE_CNT];
    uint64_t miss[WEIR_KEYED_ROW_CNT_MAX]; /* keys of the spare places */
};

/* weir_keyed_cache_fits - whether keys are of the one kind that a cache is for. */
WEIR_API bool weir_keyed_cache_fits(const struct weir_keyed *keyed);
/* weir_keyed_cache_serves - whether to ask the cache for rows of this view in this table. */
WEIR_API bool weir_keyed_cache_serves(
    const struct weir_keyed *keyed, struct weir_keyed_cache *cache, const struct weir_table *table);
/* weir_keyed_cache_follow - forget what the table has moved since. */
WEIR_API void weir_keyed_cache_follow(struct weir_keyed_cache *cache);
/* What the cache does with keys that it does not have: their rows go to a place of `spare` for
 * now. */
struct weir_keyed_spare {
    char *mem; /* room for WEIR_KEYED_ROW_CNT_MAX values of `bytes` */
    uint32_t bytes;
    uint32_t cnt; /* taken by the last probe, one a key */
};

static inline uint32_t
weir_keyed_cache_idx(uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - WEIR_KEYED_CACHE_LG2));
}

/* weir_keyed_cache_at - the place of one row: its entry, or a spare one that it shares with the
 * later rows of its key; a new one is 0 if it `counts`. False: no spare place is left. */
static inline __attribute__((always_inline)) bool
weir_keyed_cache_at(struct weir_keyed_cache *cache, uint64_t key, struct weir_keyed_spare *spare,
    bool counts, void **ret_val)
{
    struct weir_keyed_cached *cached = &cache->at[weir_keyed_cache_idx(key)];
    if (WEIR_LIKELY(cached->key == key)) {
        *ret_val = cached->val;
        return true;
    }
    if (spare->cnt == WEIR_KEYED_ROW_CNT_MAX) {
        return false;
    }
    void *val = spare->mem + (size_t)spare->cnt * spare->bytes;
    cached->key = key;
    cached->val = val;
    cache->miss[spare->cnt++] = key;
    if (counts) {
        *(uint64_t *)val = 0;
    }
    *ret_val = val;
    return true;
}

/* weir_keyed_cache_probe - a place for each row: the entry, or a spare one that it shares with the
 * later rows of its key.
 *
 * Shape:   lane of weir_keyed_plain(); cnt <= WEIR_KEYED_ROW_CNT_MAX; ret_val has room for cnt. A
 *          key may have more than one spare place: they are in the order of its rows.
 */
WEIR_API void weir_keyed_cache_probe(struct weir_keyed_cache *cache, struct weir_keyed_lane lane,
    uint32_t cnt, struct weir_keyed_spare *spare, void **ret_val);
/* weir_keyed_cache_count - the same for values that count rows, and counts them in the same loop:
 * add 1 to the 8 bytes of each row's place; spare ones begin at 0. Any number of rows. Returns how
 * many are done: all, or as many as WEIR_KEYED_ROW_CNT_MAX spare places last. */
WEIR_API WEIR_MUST_USE uint32_t weir_keyed_cache_count(struct weir_keyed_cache *cache,
    struct weir_keyed_lane lane, uint32_t cnt, struct weir_keyed_spare *spare);
/* weir_keyed_cache_note - what the two before do at their end, for who asks row by row: how many
 * rows there were, and how many of them took a spare place. */
WEIR_API void
weir_keyed_cache_note(struct weir_keyed_cache *cache, uint32_t row_cnt, uint32_t miss_cnt);
/* weir_keyed_cache_load - keys and hashes of the spare places into rows. */
WEIR_API void
weir_keyed_cache_load(const struct weir_keyed *keyed, const struct weir_keyed_cache *cache,
    const struct weir_keyed_spare *spare, struct weir_keyed_rows *rows);
/* weir_keyed_cache_settle - the entries of the spare places are rows->val now. What was moved while
 * they were resolved is forgotten at the next call. */
WEIR_API void
weir_keyed_cache_settle(struct weir_keyed_cache *cache, const struct weir_keyed_rows *rows);

/* weir_keyed_room - how many of cnt stored keys, from the first one on, have room in an output, a
 * row each with its texts. None: as weir_out_room(), the output is wanted larger if it is empty. */
WEIR_API uint32_t weir_keyed_room(
    const struct weir_keyed *keyed, const uint64_t *stored, uint32_t cnt, struct weir_out *out);

/* weir_keyed_match - the fields of an output that take the key's, NULL where there is none.
 *
 * Shape:   as[i] is the name of key field i in the output, NULL: as in the input; ret_to has room
 *          for WEIR_KEY_FIELD_CNT_MAX.
 * Errors:  WEIR_EGRAPH: another type.
 */
WEIR_API WEIR_MUST_USE int weir_keyed_match(const struct weir_keyed *keyed, const char *const *as,
    const struct weir_schema *out_schema, const struct weir_field **ret_to);

/* Where the fields of keys go. */
struct weir_keyed_put {
    const struct weir_field *const *to; /* by key field; NULL: not wanted; types are the key's */
    struct weir_lane rows; /* of out */
    struct weir_out *out;
    const char *heap; /* where no table is given */
};

/* weir_keyed_put_rows - the fields of stored keys into rows of an output.
 *
 * Shape:   weir_keyed_room() granted cnt; the rows are taken. table is NULL for keys as
 *          weir_keyed_load() made them, with put->heap for their texts.
 */
WEIR_API void weir_keyed_put_rows(const struct weir_keyed *keyed, const struct weir_table *table,
    const uint64_t *stored, uint32_t cnt, const struct weir_keyed_put *put);

WEIR_C_END

#endif
