/* SPDX-License-Identifier: Apache-2.0 */
/* table_priv.h: what table.c (structure), table_entry.c (lookups of one key), table_resolve.c (of
 * batches) and table_delete.c share. */
#ifndef WEIR_DATAPLANE_TABLE_PRIV_H
#define WEIR_DATAPLANE_TABLE_PRIV_H

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "base/check.h"
#include "dataplane/blob.h"
#include "dataplane/table.h"

#define SLOT_NONE UINT32_MAX
/* The word of a long text that refers to it. */
#define TABLE_REF_WORD 2

/* A key as it is stored and compared. The last word of a long text is the reference of its bytes,
 * in the place of the offset; it is 0 until it is stored. */
struct table_key {
    uint64_t hash;
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    struct weir_slice text; /* of a long string, else ptr is NULL */
};

/* Where a hash leads. */
struct table_place {
    uint32_t group; /* key group, relative */
    uint32_t fraction;
    uint32_t ref; /* of the bucket, 0: there is none */
    uint32_t size_idx;
};

/* The word of the directory for a fraction of a key group. */
static inline uint32_t *
table_dir_at(const struct weir_table *t, uint32_t group, uint64_t fraction)
{
    return t->arena->index + t->dir + ((size_t)group << t->depth) + (fraction >> (32 - t->depth));
}

#define TABLE_SIZE_MASK 3U

static inline struct table_place
table_place_of(const struct weir_table *t, uint64_t hash)
{
    uint64_t product = (hash >> 32) * t->arena->spec.max_parallelism;
    struct table_place place;
    place.group = (uint32_t)(product >> 32) - t->arena->spec.groups.first;
    WEIR_DCHECK(place.group < t->arena->spec.groups.cnt, "key group %u is not owned", place.group);
    place.fraction = (uint32_t)product;
    uint32_t word = *table_dir_at(t, place.group, place.fraction);
    place.ref = word & ~TABLE_SIZE_MASK;
    place.size_idx = word & TABLE_SIZE_MASK;
    return place;
}

static inline struct weir_bucket *
table_bucket_at(const struct weir_table *t, uint32_t ref)
{
    return (struct weir_bucket *)weir_arena_ptr(t->arena, ref);
}

/* The key words of a group of slots. */
static inline uint64_t *
table_group_at(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t group)
{
    return (uint64_t *)((char *)bucket + WEIR_LINE_BYTES + (size_t)group * t->group_bytes);
}

/* Slots of a group: four, but two where they fill a line, so that a lookup takes one. */
static inline uint32_t
table_slot_lg2(uint32_t word_cnt, uint32_t val_bytes)
{
    return word_cnt == 3 && val_bytes == sizeof(uint64_t) ? 1 : 2;
}

/* A bit for each slot of a group. */
static inline uint32_t
table_lanes(const struct weir_table *t)
{
    return (1U << (1U << t->slot_lg2)) - 1;
}

static inline uint32_t
table_lane(const struct weir_table *t, uint32_t slot)
{
    return slot & ((1U << t->slot_lg2) - 1);
}

/* Where word w of the key in a lane stands among the words of a group. */
static inline size_t
table_word_idx(const struct weir_table *t, uint32_t w, uint32_t lane)
{
    return ((size_t)w << t->slot_lg2) + lane;
}

static inline uint32_t
table_slots_of(const struct weir_table *t, const struct weir_bucket *bucket)
{
    return (uint32_t)t->group_cnt[bucket->size_idx] << t->slot_lg2;
}

static inline void *
table_val_at(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t slot)
{
    return (char *)table_group_at(t, bucket, slot >> t->slot_lg2) + t->val_off +
           (size_t)table_lane(t, slot) * t->spec.val_bytes;
}

static inline uint32_t
table_home(uint64_t hash, uint32_t group_cnt)
{
    return (uint32_t)(((hash & UINT32_MAX) * group_cnt) >> 32);
}

static inline bool
table_slot_used(const struct weir_bucket *bucket, uint32_t slot)
{
    return ((bucket->used[slot / 64] >> (slot & 63)) & 1) != 0;
}

/* The used bits of a group of 1 << slot_lg2 slots: neighbours never straddle two words. */
static inline uint32_t
table_used_of(const struct weir_bucket *bucket, uint32_t group, uint32_t slot_lg2)
{
    uint32_t slot = group << slot_lg2;
    return (uint32_t)(bucket->used[slot / 64] >> (slot & 63)) & ((1U << (1U << slot_lg2)) - 1);
}

static inline uint32_t
table_group_used(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t group)
{
    return table_used_of(bucket, group, t->slot_lg2);
}

static inline bool
table_word_is_long(const uint64_t *word)
{
    return (uint32_t)word[0] > WEIR_KEY_TEXT_INLINE_BYTES;
}

/* The words of a key: nearly all have one to three, and no call copies them. */
static inline void
table_words_copy(uint64_t *to, const void *from, uint32_t cnt)
{
    const char *at = from;
    memcpy(&to[0], at, sizeof to[0]);
    if (cnt > 1) {
        memcpy(&to[1], at + sizeof to[0], sizeof to[0]);
    }
    if (cnt > 2) {
        memcpy(&to[2], at + 2 * sizeof to[0], sizeof to[0]);
    }
    if (WEIR_UNLIKELY(cnt > 3)) {
        memcpy(&to[3], at + 3 * sizeof to[0], (cnt - 3) * sizeof to[0]);
    }
}

/* table_key_of - a key from the caller's form. Defined here because lookups inline it. */
static inline struct table_key
table_key_of(const struct weir_table *t, uint64_t hash, const void *key, const char *heap)
{
    uint32_t kind = t->spec.key_kind;
    struct table_key k;
    k.hash = hash;
    k.text.ptr = NULL;
    k.text.bytes = 0;
    table_words_copy(k.word, key, t->word_cnt);
    if (t->spec.tail_cnt > 0) {
        k.hash = weir_table_hash_tail(hash, k.word + t->word_cnt - t->spec.tail_cnt,
            t->spec.tail_cnt, t->arena->spec.max_parallelism);
    }
    if (kind == WEIR_KEY_STR && table_word_is_long(k.word)) {
        k.text.bytes = (uint32_t)k.word[0];
        k.text.ptr = heap + k.word[TABLE_REF_WORD];
        k.word[TABLE_REF_WORD] = 0;
    }
    return k;
}

/* The words of the key in a slot. */
static inline void
table_slot_words(
    const struct weir_table *t, const struct weir_bucket *bucket, uint32_t slot, uint64_t *ret_word)
{
    const uint64_t *words = table_group_at(t, bucket, slot >> t->slot_lg2);
    for (uint32_t w = 0; w < t->word_cnt; w++) {
        ret_word[w] = words[table_word_idx(t, w, table_lane(t, slot))];
    }
}

/* Bit i: word i of the four equals `word`. Of a group of two slots the next words are compared,
 * too: their bits are the caller's to drop. */
static inline uint32_t
table_match(const uint64_t *words, uint64_t word)
{
#if defined(__AVX2__)
    __m256i four = _mm256_load_si256((const __m256i *)words);
    __m256i hits = _mm256_cmpeq_epi64(four, _mm256_set1_epi64x((int64_t)word));
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(hits));
#else
    uint32_t hits = 0;
    for (uint32_t i = 0; i < WEIR_TABLE_SLOT_CNT; i++) {
        hits |= (uint32_t)(words[i] == word) << i;
    }
    return hits;
#endif
}

/* Whether a slot has the key. A text that lies elsewhere is looked at when all else is equal. */
static inline bool
table_lane_has(
    const struct weir_table *t, const uint64_t *words, uint32_t lane, const struct table_key *key)
{
    bool is_equal = true;
    for (uint32_t w = 0; w < t->word_cnt; w++) {
        bool is_text = w == TABLE_REF_WORD && key->text.ptr != NULL;
        is_equal &= is_text || words[table_word_idx(t, w, lane)] == key->word[w];
    }
    if (!is_equal || key->text.ptr == NULL) {
        return is_equal;
    }
    uint64_t ref = words[table_word_idx(t, TABLE_REF_WORD, lane)];
    return weir_blob_equal(t->arena, (uint32_t)ref, key->text);
}

/* The lane of a key in a group among the lanes `used`, or 4. Entries of one key that differ in
 * their tails lie close together: they are told by the last word. */
static inline uint32_t
table_lane_of(
    const struct weir_table *t, const uint64_t *words, uint32_t used, const struct table_key *key)
{
    uint32_t w = t->spec.tail_cnt > 0 ? t->word_cnt - 1 : 0;
    uint32_t hits = table_match(words + table_word_idx(t, w, 0), key->word[w]) & used;
    for (; hits != 0; hits &= hits - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(hits);
        if (table_lane_has(t, words, lane, key)) {
            return lane;
        }
    }
    return WEIR_TABLE_SLOT_CNT;
}

/* Write key words and value of a slot. */
static inline void
table_slot_set(const struct weir_table *t, struct weir_bucket *bucket, uint32_t slot,
    const uint64_t *word, const void *val)
{
    uint64_t *words = table_group_at(t, bucket, slot >> t->slot_lg2);
    for (uint32_t w = 0; w < t->word_cnt; w++) {
        words[table_word_idx(t, w, table_lane(t, slot))] = word[w];
    }
    memcpy(table_val_at(t, bucket, slot), val, t->spec.val_bytes);
}

/* Whether one more entry goes into the bucket. A bucket that waits for a larger directory may fill
 * to its last slot. */
static inline bool
table_has_room(const struct weir_table *t, const struct weir_bucket *bucket)
{
    uint32_t cnt_max = t->entry_cnt_max[bucket->size_idx];
    if (WEIR_UNLIKELY(t->next_dir != 0 && bucket->depth == t->depth)) {
        cnt_max = table_slots_of(t, bucket);
    }
    return bucket->entry_cnt < cnt_max;
}

/* The value of a key or NULL. */
void *weir_table_look(const struct weir_table *t, const struct table_key *key);
/* Find or make one entry and touch its value. It may move others. */
int weir_table_settle(
    struct weir_table *t, const struct table_key *key, void **ret_val, bool *ret_made);

/* Give the hash's bucket room for one more entry: a first bucket, a larger one, or a split.
 * Only the first of these is done where entries were handed out. */
int weir_table_grow(struct weir_table *t, uint64_t hash);
/* Go on with filling the larger directory by up to word_cnt words of the present one. */
void weir_table_dir_step(struct weir_table *t, uint32_t word_cnt);

#endif
