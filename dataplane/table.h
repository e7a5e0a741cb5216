/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: keyed state: fixed-size values by key, in the pages of a state arena.
 *
 * For each key group of the subtask a table is an extendible hash over bucket pages; the key
 * groups' directories stand side by side with one common depth:
 *
 *     hash 63..32  x max_parallelism  =  key group . fraction        (one multiplication)
 *     directory[its leading bits] -> bucket                          (one shift, one load)
 *     hash 31..0   x groups of the bucket -> home group of slots
 *
 * [format: State / Tables (WEIR_CAPTURE_VERSION)]
 *
 *     bucket:  | header line | group 0 | group 1 | ...               (a group begins at 32 n bytes)
 *     group:   | s x first key word | s x second word ... | s x value |       (s slots: 4, or 2)
 *
 *     header:   0 kind u8 = 1      1 depth u8        2 key group u16    4 table u32
 *               8 prefix u32      12 entries u16    14 size u8: 0 of 7 lines, 1 of 21, 2 a page
 *              15 has blobs u8    16 a bit for each slot u64 x 4         48 zeros
 *     name:     0 state u32        4 key kind u32    8 value bytes u32  12 tail words u32
 *              16 namespace i64   24 owner u64      32 table u32        36 is going u8   37 zeros
 *     key:     kind 0: a word; 1: two words; 2: three words, a text (texts as keys);
 *              then its tail
 *
 * Depth is how many leading bits of the fraction all keys of a bucket share, prefix those bits. A
 * name says what a table is; a bucket names its table by number.
 *
 * With 8-byte keys and 8-byte values a group of four is one cache line: key words, which one
 * compare instruction looks at together, and values. Texts of up to 20 bytes lie in three words,
 * longer ones in a blob (blob.h). A group has four slots, but two where keys of three words and
 * values of 8 bytes let those fill a line. A key lies in its home group or, where that is full, in
 * the next group that is not (within the bucket). An empty slot has zero words; the header's bitmap
 * decides where a key may itself be zero.
 *
 * [end of format]
 *
 * A bucket of a full page that has no room is split in two by one more bit; nothing is ever
 * rehashed whole. A key group begins with a bucket of 7 lines and grows through 21 lines to a page,
 * so that a pane with a hundred keys does not take a page for each.
 *
 * Work goes in batches and in two phases: resolve() makes pointers to the values of a whole batch,
 * the caller then updates them. Pointers are good until the next resolve, find_or_make or delete on
 * the same table.
 *
 * Limits:  values 0 to 256 bytes; longer ones by reference (blob.h); texts of keys to
 *          WEIR_TABLE_TEXT_BYTES_MAX. Thread: the stage's core only.
 * Source:  extendible hashing (Fagin et al. 1979); groups of slots as in F14, with the keys
 *          themselves in the place of tags: one cold line an update instead of two.
 */
#ifndef WEIR_DATAPLANE_TABLE_H
#define WEIR_DATAPLANE_TABLE_H

#include "dataplane/arena.h"
#include "dataplane/types.h"

WEIR_C_BEGIN

#define WEIR_TABLE_VAL_BYTES_MAX 256
#define WEIR_TABLE_TEXT_BYTES_MAX (16 * WEIR_MIB) /* the longest line there may be */
#define WEIR_TABLE_SLOT_CNT 4 /* of a group, at most */
#define WEIR_TABLE_WORD_CNT_MAX 5 /* of a key with its tail */
/* Rows whose lines are asked for together: enough misses in flight, few enough to stay in L1. */
#define WEIR_TABLE_CHUNK 128

enum weir_key_kind {
    WEIR_KEY_8, /* 8 bytes, any value */
    WEIR_KEY_16, /* two words of any value, hashed as two integer fields (key.h) */
    WEIR_KEY_STR, /* struct weir_key_text with the heap of what is longer */
    WEIR_KEY_KIND_CNT
};

/* A text as a key: struct weir_str with room for more. In a table a longer text lies in a blob.
 *
 * [format: State / Texts as keys (WEIR_HASH_VERSION)]
 *
 *   bytes 0..3  length
 *   bytes 4..23 the text, zero-padded                                (length <= 20)
 *   bytes 4..7  its first 4 bytes, 8..15 its hash, 16..23 the ref of its blob    (longer)
 *
 * [end of format]
 *
 * In rows the last word of a longer one is an offset from the batch's heap.
 */
#define WEIR_KEY_TEXT_INLINE_BYTES 20
#define WEIR_KEY_TEXT_WORD_CNT 3
struct weir_key_text {
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
};

static inline uint32_t
weir_key_text_bytes(const struct weir_key_text *key)
{
    return (uint32_t)key->word[0];
}

/* weir_key_text_of - the key of a text; a long one lies in heap and goes on lying there. */
static inline struct weir_key_text
weir_key_text_of(const char *heap, struct weir_slice text, uint64_t hash)
{
    bool is_long = text.bytes > WEIR_KEY_TEXT_INLINE_BYTES;
    struct weir_key_text key = {{text.bytes, 0, 0}};
    if (is_long) {
        key.word[1] = hash;
        key.word[2] = (uint64_t)(text.ptr - heap);
    }
    memcpy((char *)key.word + sizeof text.bytes, text.ptr, is_long ? 4 : text.bytes);
    return key;
}

/* weir_key_text_slice - the text; borrows from the key or from the heap. */
static inline struct weir_slice
weir_key_text_slice(const struct weir_key_text *key, const char *heap)
{
    bool is_long = weir_key_text_bytes(key) > WEIR_KEY_TEXT_INLINE_BYTES;
    struct weir_slice slice;
    slice.bytes = weir_key_text_bytes(key);
    slice.ptr = is_long ? heap + key->word[2] : (const char *)key->word + sizeof slice.bytes;
    return slice;
}

struct weir_table_spec {
    uint32_t state_id; /* whose state this is: for the snapshot, not looked at here */
    uint32_t key_kind; /* enum weir_key_kind */
    uint32_t val_bytes; /* rounded up to a multiple of 8, at least 8 */
    /* Words that follow the key of this kind and are part of it, such as a namespace and a time: at
     * most 2. The hashes that are passed in are those of the key alone. */
    uint32_t tail_cnt;
};

/* The header line of a bucket; kind and key_group as in struct weir_slab. */
struct weir_bucket {
    uint8_t kind; /* WEIR_PAGE_BUCKET */
    uint8_t depth; /* leading bits of the fraction that all its keys share */
    uint16_t key_group;
    uint32_t table_idx;
    uint32_t prefix; /* those bits */
    uint16_t entry_cnt;
    uint8_t size_idx; /* 0: 7 lines, 1: 21 lines, 2: a page */
    uint8_t has_blobs; /* an entry may refer to a text of its own */
    uint64_t used[4]; /* a bit per slot */
    uint8_t zero[16];
};
WEIR_STATIC_ASSERT(sizeof(struct weir_bucket) == WEIR_LINE_BYTES, "a bucket header is one line");
#define WEIR_TABLE_SIZE_CNT 3
/* Buckets whose entries have moved that a table remembers. */
#define WEIR_TABLE_MOVED_CNT 4

struct weir_table {
    struct weir_arena *arena;
    /* The directory: 2^depth words a key group, each a bucket's reference with its size_idx in the
     * two low bits, which references of whole lines have free; 0 is no bucket. */
    uint32_t dir;
    uint32_t depth;
    uint32_t next_dir; /* the directory of twice the size while it is being filled, else 0 */
    uint32_t next_done; /* words of `dir` that are in it */
    struct weir_table_spec spec;
    uint32_t group_bytes; /* of a group of slots */
    uint32_t val_off; /* of the values in it */
    uint32_t slot_lg2; /* slots of a group: 1 << slot_lg2 */
    uint32_t word_cnt; /* of a key with its tail */
    uint16_t group_cnt[WEIR_TABLE_SIZE_CNT + 1]; /* by bucket size, 0: size not used */
    uint16_t entry_cnt_max[WEIR_TABLE_SIZE_CNT];
    uint32_t table_idx;
    int64_t ns; /* the namespace: a pane, 0 where there is none */
    uint64_t entry_cnt;
    uint64_t bucket_cnt;
    uint64_t page_bytes; /* of its buckets */
    uint64_t give_fraction; /* how far weir_table_give came */
    uint32_t give_group;
    bool is_taken;
    uint32_t name; /* struct weir_table_name */
    uint64_t epoch; /* of the arena when it was taken: no line was cleared of its mark since */
    /* Entries to expect, 0: unknown. Key groups begin with buckets that hold their share. The taker
     * may set it before the first entry. */
    uint64_t entry_cnt_hint;
    /* Where entries have moved away from: the last buckets, for those who remember where they
     * lay. */
    uint32_t moved_cnt;
    uint32_t moved_ref[WEIR_TABLE_MOVED_CNT];
};
WEIR_STATIC_ASSERT(sizeof(struct weir_table) <= WEIR_ARENA_TABLE_BYTES, "raise the room");

/* What a snapshot knows of a table: a block of the arena (WEIR_PAGE_NAMES). */
struct weir_table_name {
    uint32_t state_id;
    uint32_t key_kind;
    uint32_t val_bytes;
    uint32_t tail_cnt;
    int64_t ns;
    uint64_t owner; /* the operator's, see weir_table_owner_set */
    uint32_t table_idx; /* as buckets name it */
    uint8_t is_going; /* weir_table_give() has begun: given up for good by a restore */
    uint8_t zero[27];
};
WEIR_STATIC_ASSERT(sizeof(struct weir_table_name) == WEIR_LINE_BYTES, "a name is one line");

/* Rows to look up, and where their values are put. */
struct weir_table_rows {
    const uint64_t *hash; /* weir_table_hash() of the keys */
    /* First key: 8 or 16 bytes or a struct weir_key_text, then its tail. Keys are key_stride bytes
     * apart, 8-byte aligned or not. */
    const char *key;
    const char *heap; /* of WEIR_KEY_STR */
    uint32_t key_stride;
    uint32_t cnt;
    void **ret_val; /* [cnt] */
    uint32_t *ret_made; /* [cnt] or NULL: rows whose entry was made, in order, their values zero */
    uint32_t made_cnt; /* entries in ret_made; the caller sets it to 0 */
    bool has_usual; /* WEIR_KEY_STR: no text is empty or long, for sure */
};

/* weir_table_take - an empty table for a state and a namespace.
 *
 * Owner:   the record lies in the arena until weir_table_give() is done with it.
 * Errors:  WEIR_EINVAL; WEIR_EBUDGET when records or directory words are used up.
 */
WEIR_API WEIR_MUST_USE int weir_table_take(struct weir_arena *arena,
    const struct weir_table_spec *spec, int64_t ns, struct weir_table **ret_table);
/* weir_table_owner_set - a word of the operator's that is restored with the table; 0 at first. */
WEIR_API void weir_table_owner_set(struct weir_table *table, uint64_t owner);
/* weir_table_name - what a snapshot says of it. */
static inline const struct weir_table_name *
weir_table_name(const struct weir_table *table)
{
    return (const struct weir_table_name *)weir_arena_ptr(table->arena, table->name);
}
/* weir_table_give - free buckets and long keys, at most about `bucket_cnt` buckets a call.
 *
 * Returns: WEIR_AGAIN until all is free, then WEIR_DONE; the table is gone then. In between it must
 * not be used. Blobs that values refer to are the caller's to free before.
 */
WEIR_API int weir_table_give(struct weir_table *table, uint32_t bucket_cnt);

/* weir_table_drop_group - free the buckets and long keys of one key group, counted from 0: it has
 * no entries then. Values that refer to blobs: as above. Cold: all of the key group at once. */
WEIR_API void weir_table_drop_group(struct weir_table *table, uint32_t key_group);

/* weir_table_hash - the hashes of keys as they stand in rows; the same for equal keys of any batch.
 *
 * Shape:   rows->key, heap, key_stride and cnt are set; ret_hash has room for cnt.
 */
WEIR_API void
weir_table_hash(uint32_t key_kind, const struct weir_table_rows *rows, uint64_t *ret_hash);

/* weir_table_resolve - find or make the entries of rows [from, cnt), for writing.
 *
 * The values' lines are marked as touched: the caller may write the values (not beyond). Entries
 * that move while later rows are made are followed: all pointers returned are good.
 * Returns: > 0 rows resolved; fewer than asked where the next one fails: update those, then call
 *          again for the rest. < 0 the error of row `from`.
 * Errors:  WEIR_EBUDGET; WEIR_EDATA: the text of a new key is longer than the limit.
 * Hot:     per 256 rows one call; see bench_state.
 */
WEIR_API WEIR_MUST_USE int
weir_table_resolve(struct weir_table *table, struct weir_table_rows *rows, uint32_t from);
/* weir_table_touch_buckets - mark all lines of the buckets that these hashes lead to as touched.
 *
 * For who is about to resolve most keys of a table while a snapshot is live: lines that are handed
 * over one by one, at the first write of each, cost several times as much. Tables without tails.
 */
WEIR_API void
weir_table_touch_buckets(struct weir_table *table, const uint64_t *hash, uint32_t cnt);
/* weir_table_find_rows - look rows [0, cnt) up without making any: NULL where the key is absent.
 * The values may be read; to write one call weir_table_touch first. */
WEIR_API void weir_table_find_rows(const struct weir_table *table, struct weir_table_rows *rows);

/* One key, for timers and joins: NULL when absent. key is as in struct weir_table_rows. */
WEIR_API void *
weir_table_find(const struct weir_table *table, uint64_t hash, const void *key, const char *heap);
/* weir_table_find_or_make - the value of one key, touched; *ret_made when it is new and zero.
 * Errors: WEIR_EBUDGET. Moves other entries. */
WEIR_API WEIR_MUST_USE int weir_table_find_or_make(
    struct weir_table *table, const struct weir_table_rows *row, void **ret_val, bool *ret_made);
/* weir_table_delete - remove a key; other entries of its bucket may move. False when it was
 * absent. */
WEIR_API bool
weir_table_delete(struct weir_table *table, uint64_t hash, const void *key, const char *heap);

/* weir_table_delete_stored - remove the entry of a key as scan gave it. */
WEIR_API bool weir_table_delete_stored(struct weir_table *table, const uint64_t *stored);
/* weir_table_find_hashed - the stored words of an entry of this hash whose last word is `last`: for
 * an index that keeps hashes in the place of keys. False when there is none. */
WEIR_API bool weir_table_find_hashed(
    const struct weir_table *table, uint64_t hash, uint64_t last, uint64_t *ret_stored);
/* weir_table_stored_hash - the hash of a key as scan gave it. */
WEIR_API uint64_t weir_table_stored_hash(const struct weir_table *table, const uint64_t *stored);
/* weir_table_stored_key_hash - that of the key without its tail. */
WEIR_API uint64_t weir_table_stored_key_hash(
    const struct weir_table *table, const uint64_t *stored);

/* weir_table_hash_tail - the hash of a key with its tail of cnt words: it stays in the key group of
 * the key's own hash, and is spread over all of that group. Divides where max_parallelism is no
 * power of two. */
static inline uint64_t
weir_table_hash_tail(uint64_t hash, const uint64_t *tail, uint32_t cnt, uint32_t max_parallelism)
{
    uint64_t mixed = hash;
    for (uint32_t i = 0; i < cnt; i++) {
        mixed = weir_hash_join(mixed, weir_hash_u64(tail[i]));
    }
    uint64_t group = weir_hash_key_group(hash, max_parallelism);
    /* The upper halves [first, first + width) belong to the group. */
    uint64_t first;
    uint64_t width;
    if (WEIR_LIKELY((max_parallelism & (max_parallelism - 1)) == 0)) {
        width = (UINT64_C(1) << 32) >> __builtin_ctz(max_parallelism);
        first = group * width;
    } else {
        first = ((group << 32) + max_parallelism - 1) / max_parallelism;
        width = (UINT64_C(1) << 32) / max_parallelism;
    }
    uint64_t upper = first + (((mixed >> 32) * width) >> 32);
    return upper << 32 | (mixed & UINT32_MAX);
}

/* Where a scan stands; zeroed by the caller at its start. */
struct weir_table_cursor {
    uint64_t fraction;
    uint32_t group; /* relative to the arena's range */
    uint32_t slot;
};

/* weir_table_scan - the next entries, in an order that depends only on what was inserted and how.
 *
 * Shape:   at most cnt; ret_key gets word_cnt words a key as stored (see weir_table_key_text for
 *          strings), or is NULL.
 * Returns: entries; 0 at the end. The table's keys must stay as they are until the scan ends;
 *          values may be touched and written.
 */
WEIR_API uint32_t weir_table_scan(const struct weir_table *table, struct weir_table_cursor *cursor,
    uint32_t cnt, void *ret_key, void **ret_val);

/* weir_table_stored_hash - the hash under which a stored key was put in. */
WEIR_API uint64_t weir_table_stored_hash(const struct weir_table *table, const uint64_t *stored);
/* Entries of one bucket, at most. */
#define WEIR_TABLE_BUCKET_ENTRY_CNT_MAX 256
/* weir_table_scan_ordered - the entries of the next bucket of key group cursor->group, by their
 * hashes, those of one hash by their keys: an order that the entries alone decide.
 *
 * Shape:   room for WEIR_TABLE_BUCKET_ENTRY_CNT_MAX keys as weir_table_scan gives them, and values.
 *          The cursor is zero at first but for its group; the table stays as it is meanwhile.
 * Returns: entries; 0 at the end of the key group.
 */
WEIR_API uint32_t weir_table_scan_ordered(const struct weir_table *table,
    struct weir_table_cursor *cursor, uint64_t *ret_key, void **ret_val);
/* weir_table_key_bytes - the length of a stored string key as scan gave it. */
static inline uint32_t
weir_table_key_bytes(const void *stored)
{
    uint32_t bytes;
    memcpy(&bytes, stored, sizeof bytes);
    return bytes;
}
/* weir_table_key_text - copy a stored string key into dst, which has room for its length. */
WEIR_API void weir_table_key_text(const struct weir_table *table, const void *stored, char *dst);

/* weir_table_touch - call before writing a value that find or scan returned. */
static inline void
weir_table_touch(const struct weir_table *table, void *val)
{
    weir_arena_touch(table->arena, val, table->spec.val_bytes);
}

/* weir_table_group_of - the key group of a value's entry, relative to the arena's range: for blobs
 * that the value will refer to. */
static inline uint32_t
weir_table_group_of(const struct weir_table *table, uint64_t hash)
{
    return weir_hash_key_group(hash, table->arena->spec.max_parallelism) -
           table->arena->spec.groups.first;
}

/* weir_table_at - the table record of that index, or NULL where none is taken; for snapshots. */
WEIR_API struct weir_table *weir_table_at(const struct weir_arena *arena, uint32_t table_idx);
/* How references are written anew where pages have moved. */
struct weir_table_refs {
    void *arg;
    uint32_t (*text_fn)(void *arg, uint32_t ref); /* of a key's blob; 0: there is none */
    int (*value_fn)(void *arg, const struct weir_table *table, void *val);
};
/* weir_table_adopt - a bucket from a snapshot is one of this table now; before the rebuild.
 *
 * Shape:   refs is NULL where all references hold. Errors: WEIR_EFORMAT; those of value_fn.
 */
WEIR_API WEIR_MUST_USE int weir_table_adopt(
    struct weir_table *table, struct weir_bucket *bucket, const struct weir_table_refs *refs);
/* weir_table_give_rest - go on giving a table back which a snapshot met on its way: the buckets of
 * the key groups before, and the first ones of one group, are gone. Not bounded. */
WEIR_API void weir_table_give_rest(struct weir_table *table);
/* weir_table_rebuild - make every index beside the pages again, from page headers and the table
 * records: free pages, slab lists, roots, directories, counts.
 *
 * Errors:  WEIR_EBUDGET; WEIR_EFORMAT when a header contradicts the table it names.
 */
WEIR_API WEIR_MUST_USE int weir_table_rebuild(struct weir_arena *arena);

WEIR_C_END

#endif
