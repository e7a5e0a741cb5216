/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups of batches. Two passes over a chunk of rows: where each row's home group is (and ask for
 * its line), then one compare per row. What is not a hit in the home group goes through make(),
 * which works everything out again: it must not trust an address from before an insertion. */
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "dataplane/table.h"
#include "dataplane/table_priv.h"

/* Below this many bytes of buckets a table lies in L1 and L2, and asking ahead only costs. */
#define PREFETCH_BYTES_MIN (UINT64_C(256) * WEIR_KIB)

/* What make() answers besides an error. */
enum {
    MAKE_DONE = 0,
    MAKE_MOVES = 1, /* it would move entries and was not allowed to */
};

/* Bit i: word i of the four equals `word`. */
static inline uint32_t
match(const uint64_t *words, uint64_t word)
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

/* The lane of a key in a group among the lanes `used`, or 4. */
static uint32_t
lane_of(
    const struct weir_table *t, const uint64_t *words, uint32_t used, const struct table_key *key)
{
    uint32_t hits = match(words, key->word[0]) & used;
    while (hits != 0) {
        uint32_t lane = (uint32_t)__builtin_ctz(hits);
        uint64_t second = t->spec.key_kind == WEIR_KEY_8 ? 0 : words[WEIR_TABLE_SLOT_CNT + lane];
        if (key->text.ptr == NULL
                ? second == key->word[1]
                : (uint32_t)second == (uint32_t)key->word[1] &&
                      weir_blob_equal(t->arena, (uint32_t)(second >> 32), key->text)) {
            return lane;
        }
        hits &= hits - 1;
    }
    return WEIR_TABLE_SLOT_CNT;
}

/* The slot of a key or SLOT_NONE; *ret_free is then the slot where it would go, SLOT_NONE in a
 * bucket without room. */
static uint32_t
probe(const struct weir_table *t, const struct weir_bucket *bucket, const struct table_key *key,
    uint32_t *ret_free)
{
    uint32_t group_cnt = t->group_cnt[bucket->size_idx];
    uint32_t group = table_home(key->hash, group_cnt);
    *ret_free = SLOT_NONE;
    for (uint32_t i = 0; i < group_cnt; i++) {
        uint32_t used = table_group_used(bucket, group);
        uint32_t lane = lane_of(t, table_group_at(t, bucket, group), used, key);
        if (lane < WEIR_TABLE_SLOT_CNT) {
            return group * WEIR_TABLE_SLOT_CNT + lane;
        }
        if (used != 15) {
            *ret_free = group * WEIR_TABLE_SLOT_CNT + (uint32_t)__builtin_ctz(~used);
            return SLOT_NONE;
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return SLOT_NONE;
}

static void *
find(const struct weir_table *t, const struct table_key *key)
{
    struct table_place place = table_place_of(t, key->hash);
    if (place.ref == 0) {
        return NULL;
    }
    const struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t free_slot;
    uint32_t slot = probe(t, bucket, key, &free_slot);
    return slot == SLOT_NONE ? NULL : table_val_at(t, bucket, slot);
}

/* Fill a free slot with the key; its value is zero. */
static int
entry_put(
    struct weir_table *t, struct weir_bucket *bucket, uint32_t slot, const struct table_key *key)
{
    uint64_t second = key->word[1];
    if (key->text.ptr != NULL) {
        uint32_t ref;
        uint32_t group = bucket->key_group - t->arena->spec.groups.first;
        int err = weir_blob_put(t->arena, group, key->text, &ref);
        if (err < 0) {
            return err;
        }
        second |= (uint64_t)ref << 32;
    }
    uint64_t *words = table_group_at(t, bucket, slot / WEIR_TABLE_SLOT_CNT);
    uint32_t lane = slot % WEIR_TABLE_SLOT_CNT;
    weir_arena_touch_line(t->arena, bucket);
    weir_arena_touch_line(t->arena, &words[lane]);
    bucket->used[slot / 64] |= UINT64_C(1) << (slot & 63);
    bucket->entry_cnt++;
    words[lane] = key->word[0];
    if (t->spec.key_kind != WEIR_KEY_8) {
        weir_arena_touch_line(t->arena, &words[WEIR_TABLE_SLOT_CNT + lane]);
        words[WEIR_TABLE_SLOT_CNT + lane] = second;
    }
    t->entry_cnt++;
    return 0;
}

/* Find or make one entry and touch its value. may_move: nothing was handed out yet. */
static int
make(struct weir_table *t, const struct table_key *key, bool may_move, void **ret_val,
    bool *ret_made)
{
    for (;;) {
        struct table_place place = table_place_of(t, key->hash);
        struct weir_bucket *bucket = table_bucket_at(t, place.ref);
        if (place.ref != 0) {
            uint32_t free_slot;
            uint32_t slot = probe(t, bucket, key, &free_slot);
            *ret_made = slot == SLOT_NONE;
            if (*ret_made && table_has_room(t, bucket)) {
                slot = free_slot;
                int err = entry_put(t, bucket, slot, key);
                if (err < 0) {
                    return err;
                }
            }
            if (slot != SLOT_NONE) {
                *ret_val = table_val_at(t, bucket, slot);
                weir_table_touch(t, *ret_val);
                return MAKE_DONE;
            }
            if (!may_move) {
                return MAKE_MOVES;
            }
        }
        /* A first bucket moves nothing; all other growth was just ruled out or allowed. */
        int err = weir_table_grow(t, key->hash);
        if (err < 0) {
            return err;
        }
    }
}

/* First pass: the home group of each row into ret_val. */
static inline __attribute__((always_inline)) void
homes(const struct weir_table *t, const uint64_t *hash, uint32_t cnt, void **ret_val, bool ahead)
{
    const struct weir_arena *arena = t->arena;
    const uint32_t *dir = arena->index + t->dir;
    uint64_t first = (uint64_t)arena->spec.groups.first << t->depth;
    char *groups = arena->base + WEIR_LINE_BYTES;
    uint64_t max_parallelism = arena->spec.max_parallelism;
    uint32_t shift = 32 - t->depth;
    size_t group_bytes = t->group_bytes;
    uint64_t group_cnt[4] = {t->group_cnt[0], t->group_cnt[1], t->group_cnt[2], 0};
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t word = dir[(((hash[i] >> 32) * max_parallelism) >> shift) - first];
        size_t group = ((hash[i] & UINT32_MAX) * group_cnt[word & TABLE_SIZE_MASK]) >> 32;
        char *home =
            groups + (size_t)(word & ~TABLE_SIZE_MASK) * WEIR_ARENA_REF_BYTES + group * group_bytes;
        if (ahead) {
            __builtin_prefetch(home, 1);
        }
        ret_val[i] = home;
    }
}

/* Whether the row's key lies in its home group; its value into *home then. */
static inline bool
hit(uint32_t kind, uint32_t val_off, uint32_t val_bytes, const char *key, void **home)
{
    uint64_t word[2];
    memcpy(word, key, kind == WEIR_KEY_8 ? 8 : 16);
    const uint64_t *words = (const uint64_t *)*home;
    uint32_t hits = match(words, word[0]);
    if (kind != WEIR_KEY_8) {
        hits &= match(words + WEIR_TABLE_SLOT_CNT, word[1]);
    }
    /* A zero word matches empty slots too, and a long string is not told by its row's words. */
    bool is_sure = word[0] != 0 && (kind != WEIR_KEY_STR || !table_word_is_long(word));
    if (WEIR_LIKELY(hits != 0 && is_sure)) {
        *home = (char *)*home + val_off + (size_t)(uint32_t)__builtin_ctz(hits) * val_bytes;
        return true;
    }
    return false;
}

/* The value of a key of plain words that lies behind its full home group, without a look at the
 * cold header line; NULL: not decided here. */
static __attribute__((noinline)) void *
further(const struct weir_table *t, const struct table_key *key)
{
    struct table_place place = table_place_of(t, key->hash);
    if (place.ref == 0 || key->word[0] == 0 || key->text.ptr != NULL) {
        return NULL;
    }
    const struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t group_cnt =
        t->group_cnt[*table_dir_at(t, place.group, place.fraction) & TABLE_SIZE_MASK];
    uint32_t group = table_home(key->hash, group_cnt);
    for (uint32_t i = 0; i < group_cnt; i++) {
        const uint64_t *words = table_group_at(t, bucket, group);
        uint32_t lane = lane_of(t, words, 15, key);
        if (lane < WEIR_TABLE_SLOT_CNT) {
            return table_val_at(t, bucket, group * WEIR_TABLE_SLOT_CNT + lane);
        }
        if (match(words, 0) != 0) {
            return NULL;
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return NULL;
}

/* Rows [from, from + cnt) of one chunk. kind and val_bytes are constants where this is expanded. */
static inline __attribute__((always_inline)) int
resolve_chunk(struct weir_table *t, struct weir_table_rows *rows, uint32_t from, uint32_t cnt,
    uint32_t kind, uint32_t val_bytes, bool may_move)
{
    struct weir_arena *arena = t->arena;
    uint32_t val_off = kind == WEIR_KEY_8 ? 32 : 64;
    void **val = rows->ret_val + from;
    const char *key = rows->key + (size_t)from * rows->key_stride;
    size_t stride = rows->key_stride;
    /* Kept apart: stores to val[] might alias the arena's own fields. */
    const char *base = arena->base;
    const uint64_t *saved = arena->saved;
    homes(t, rows->hash + from, cnt, val, t->page_bytes >= PREFETCH_BYTES_MIN);
    for (uint32_t i = 0; i < cnt; i++, key += stride) {
        if (WEIR_LIKELY(hit(kind, val_off, val_bytes, key, &val[i]))) {
            size_t off = (size_t)((char *)val[i] - base);
            if (val_bytes != 8) {
                weir_arena_touch(arena, val[i], val_bytes);
            } else if (WEIR_UNLIKELY(
                           ((saved[off / WEIR_PAGE_BYTES] >> (off / WEIR_LINE_BYTES & 63)) & 1) ==
                           0)) {
                weir_arena_touch_line(arena, val[i]);
            }
            continue;
        }
        struct table_key k = table_key_of(kind, rows->hash[from + i], key, rows->heap);
        bool is_made;
        void *found = further(t, &k);
        if (found != NULL) {
            weir_table_touch(t, found);
            val[i] = found;
            continue;
        }
        int err = make(t, &k, may_move && i == 0, &val[i], &is_made);
        if (err != MAKE_DONE) {
            return i > 0 || err == MAKE_MOVES ? (int)i : err;
        }
        if (is_made && rows->ret_made != NULL) {
            rows->ret_made[rows->made_cnt++] = from + i;
        }
        if (i == 0) {
            /* It may have grown the table: the other homes are of before. */
            homes(t, rows->hash + from + 1, cnt - 1, val + 1, false);
        }
    }
    return (int)cnt;
}

static inline __attribute__((always_inline)) int
resolve_rows(struct weir_table *t, struct weir_table_rows *rows, uint32_t from, uint32_t kind,
    uint32_t val_bytes)
{
    uint32_t at = from;
    if (WEIR_UNLIKELY(t->next_dir != 0)) {
        weir_table_dir_step(t);
    }
    while (at < rows->cnt) {
        uint32_t cnt = weir_min_u32(rows->cnt - at, WEIR_TABLE_CHUNK);
        int done = resolve_chunk(t, rows, at, cnt, kind, val_bytes, at == from);
        if (done < 0) {
            return at > from ? (int)(at - from) : done;
        }
        at += (uint32_t)done;
        if ((uint32_t)done < cnt) {
            break;
        }
    }
    return (int)(at - from);
}

int
weir_table_resolve(struct weir_table *t, struct weir_table_rows *rows, uint32_t from)
{
    switch (t->spec.key_kind) {
    case WEIR_KEY_8:
        return t->spec.val_bytes == 8 ? resolve_rows(t, rows, from, WEIR_KEY_8, 8)
                                      : resolve_rows(t, rows, from, WEIR_KEY_8, t->spec.val_bytes);
    case WEIR_KEY_16:
        return resolve_rows(t, rows, from, WEIR_KEY_16, t->spec.val_bytes);
    default:
        return resolve_rows(t, rows, from, WEIR_KEY_STR, t->spec.val_bytes);
    }
}

void
weir_table_find_rows(const struct weir_table *t, struct weir_table_rows *rows)
{
    for (uint32_t at = 0; at < rows->cnt; at += WEIR_TABLE_CHUNK) {
        uint32_t cnt = weir_min_u32(rows->cnt - at, WEIR_TABLE_CHUNK);
        void **val = rows->ret_val + at;
        homes(t, rows->hash + at, cnt, val, t->page_bytes >= PREFETCH_BYTES_MIN);
        for (uint32_t i = 0; i < cnt; i++) {
            const char *key = rows->key + (size_t)(at + i) * rows->key_stride;
            if (!hit(t->spec.key_kind, t->val_off, t->spec.val_bytes, key, &val[i])) {
                struct table_key k =
                    table_key_of(t->spec.key_kind, rows->hash[at + i], key, rows->heap);
                val[i] = find(t, &k);
            }
        }
    }
}

void *
weir_table_find(const struct weir_table *t, uint64_t hash, const void *key, const char *heap)
{
    struct table_key k = table_key_of(t->spec.key_kind, hash, key, heap);
    return find(t, &k);
}

int
weir_table_find_or_make(
    struct weir_table *t, const struct weir_table_rows *row, void **ret_val, bool *ret_made)
{
    struct table_key k = table_key_of(t->spec.key_kind, row->hash[0], row->key, row->heap);
    return make(t, &k, true, ret_val, ret_made);
}

/* ---- deletion ---- */

/* How far group `to` lies behind `from`, going round. */
static uint32_t
distance(uint32_t from, uint32_t to, uint32_t group_cnt)
{
    return to >= from ? to - from : to + group_cnt - from;
}

static void
slot_move(struct weir_table *t, struct weir_bucket *bucket, uint32_t from, uint32_t to)
{
    uint64_t word[2];
    table_slot_words(t, bucket, from, word);
    uint64_t *words = table_group_at(t, bucket, to / WEIR_TABLE_SLOT_CNT);
    words[to % WEIR_TABLE_SLOT_CNT] = word[0];
    if (t->spec.key_kind != WEIR_KEY_8) {
        words[WEIR_TABLE_SLOT_CNT + to % WEIR_TABLE_SLOT_CNT] = word[1];
    }
    memcpy(table_val_at(t, bucket, to), table_val_at(t, bucket, from), t->spec.val_bytes);
}

static void
slot_clear(struct weir_table *t, struct weir_bucket *bucket, uint32_t slot)
{
    uint64_t *words = table_group_at(t, bucket, slot / WEIR_TABLE_SLOT_CNT);
    words[slot % WEIR_TABLE_SLOT_CNT] = 0;
    if (t->spec.key_kind != WEIR_KEY_8) {
        words[WEIR_TABLE_SLOT_CNT + slot % WEIR_TABLE_SLOT_CNT] = 0;
    }
    memset(table_val_at(t, bucket, slot), 0, t->spec.val_bytes);
    bucket->used[slot / 64] &= ~(UINT64_C(1) << (slot & 63));
}

/* An entry that passed through `hole`'s group on its way from its home, in a later group: it must
 * move into the hole, or it would not be found. SLOT_NONE: there is none. */
static uint32_t
displaced(const struct weir_table *t, const struct weir_bucket *bucket, uint32_t hole)
{
    uint32_t group_cnt = t->group_cnt[bucket->size_idx];
    uint32_t hole_group = hole / WEIR_TABLE_SLOT_CNT;
    uint32_t group = hole_group;
    for (uint32_t i = 1; i < group_cnt; i++) {
        group = group + 1 == group_cnt ? 0 : group + 1;
        uint32_t used = table_group_used(bucket, group);
        for (uint32_t lane = 0; lane < WEIR_TABLE_SLOT_CNT; lane++) {
            uint32_t slot = group * WEIR_TABLE_SLOT_CNT + lane;
            if (((used >> lane) & 1) == 0) {
                continue;
            }
            uint64_t word[2];
            table_slot_words(t, bucket, slot, word);
            uint32_t home = table_home(weir_table_stored_hash(t, word), group_cnt);
            if (distance(home, group, group_cnt) >= distance(hole_group, group, group_cnt)) {
                return slot;
            }
        }
        if (used != 15) {
            break;
        }
    }
    return SLOT_NONE;
}

bool
weir_table_delete(struct weir_table *t, uint64_t hash, const void *key, const char *heap)
{
    struct table_key k = table_key_of(t->spec.key_kind, hash, key, heap);
    struct table_place place = table_place_of(t, hash);
    if (place.ref == 0) {
        return false;
    }
    struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t free_slot;
    uint32_t hole = probe(t, bucket, &k, &free_slot);
    if (hole == SLOT_NONE) {
        return false;
    }
    if (k.text.ptr != NULL) {
        uint64_t word[2];
        table_slot_words(t, bucket, hole, word);
        weir_blob_give(t->arena, (uint32_t)(word[1] >> 32));
    }
    weir_arena_touch_line(t->arena, bucket);
    for (;;) {
        uint32_t group = hole / WEIR_TABLE_SLOT_CNT;
        bool was_full = table_group_used(bucket, group) == 15;
        weir_arena_touch(t->arena, table_group_at(t, bucket, group), t->group_bytes);
        uint32_t from = was_full ? displaced(t, bucket, hole) : SLOT_NONE;
        if (from == SLOT_NONE) {
            break;
        }
        slot_move(t, bucket, from, hole);
        hole = from;
    }
    slot_clear(t, bucket, hole);
    bucket->entry_cnt--;
    t->entry_cnt--;
    return true;
}

/* ---- hashes ---- */

void
weir_table_hash(uint32_t key_kind, const struct weir_table_rows *rows, uint64_t *ret_hash)
{
    const char *key = rows->key;
    size_t stride = rows->key_stride;
    uint64_t word[2];
    switch (key_kind) {
    case WEIR_KEY_8:
        for (uint32_t i = 0; i < rows->cnt; i++) {
            memcpy(word, key + i * stride, 8);
            ret_hash[i] = weir_hash_u64(word[0]);
        }
        break;
    case WEIR_KEY_16:
        for (uint32_t i = 0; i < rows->cnt; i++) {
            memcpy(word, key + i * stride, 16);
            ret_hash[i] = weir_hash_join(weir_hash_u64(word[0]), weir_hash_u64(word[1]));
        }
        break;
    default:
        for (uint32_t i = 0; i < rows->cnt; i++) {
            struct weir_str str;
            memcpy(&str, key + i * stride, sizeof str);
            struct weir_slice text = weir_str_slice(&str, rows->heap);
            ret_hash[i] = weir_hash_bytes(text.ptr, text.bytes);
        }
        break;
    }
}
