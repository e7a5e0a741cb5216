/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups of batches. Two passes over a chunk of rows: where each row's home group is (and ask for
 * its line), then one compare per row. What is not a hit in the home group goes through
 * settle_plain() or weir_table_settle(), which work everything out again: they must not trust an
 * address from before an insertion. */
#include <string.h>

#include "dataplane/table.h"
#include "dataplane/table_priv.h"

/* Below this many bytes of buckets a table lies in L1 and L2, and asking ahead only costs. */
#define PREFETCH_BYTES_MIN (UINT64_C(256) * WEIR_KIB)

/* Words of a directory that a batch copies while it is being doubled: some 2 us. A bucket fills far
 * slower than that. */
#define DIR_STEP_BATCH_WORDS 4096

/* Of texts with values of 8 bytes a group of two slots is a line. */
#define TEXT_SLOT_LG2 1

/* A key that is its words, in a table without tails. Where the counts are constants, so is the
 * arithmetic on places. */
struct plain {
    uint64_t hash;
    const uint64_t *word;
    uint32_t word_cnt;
    uint32_t val_bytes;
};

/* Mark the lines of a new entry whose first word is at `word`: header, key and value. One look at
 * the mask where all were written before in this epoch, as in a page just taken. */
static inline __attribute__((always_inline)) void
entry_touch(const struct weir_table *t, const struct weir_bucket *bucket, const uint64_t *word,
    const char *val, const struct plain *key)
{
    struct weir_arena *arena = t->arena;
    size_t head = (size_t)((const char *)bucket - arena->base);
    size_t off = (size_t)((const char *)word - arena->base);
    uint64_t lines = UINT64_C(1) << (head / WEIR_LINE_BYTES & 63);
    uint32_t slot_lg2 = table_slot_lg2(key->word_cnt, key->val_bytes);
    for (uint32_t w = 0; w < key->word_cnt; w++) {
        size_t at = off + (w * sizeof *word << slot_lg2);
        lines |= UINT64_C(1) << (at / WEIR_LINE_BYTES & 63);
    }
    if (WEIR_UNLIKELY((~arena->saved[off / WEIR_PAGE_BYTES] & lines) != 0)) {
        weir_arena_save(arena, off / WEIR_PAGE_BYTES, lines);
    }
    /* A group of whole lines whose last one begins with the key's last words has the values
     * there. */
    if (key->val_bytes != sizeof *word || key->word_cnt % 2 == 0) {
        weir_arena_touch(arena, val, key->val_bytes);
    }
}

/* Bit i, of two: words i and 2 + i are the two of `key`. */
static inline uint32_t
match_pairs(const uint64_t *words, const uint64_t *key)
{
#if defined(__AVX2__)
    __m256i four = _mm256_load_si256((const __m256i *)(const void *)words);
    __m256i both = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)key));
    __m256i hits = _mm256_cmpeq_epi64(four, _mm256_permute4x64_epi64(both, 0x50));
    uint32_t bits = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(hits));
    return bits & bits >> 2;
#else
    return table_match(words, key[0]) & table_match(words + 2, key[1]) & 3;
#endif
}

/* The lane of a text in a group, in bits as table_match(); of a long one all but the reference is
 * compared. Long and short ones come in no order that a jump could learn. */
static inline __attribute__((always_inline)) uint32_t
match_text(const uint64_t *words, const uint64_t *key, bool is_long, uint32_t slot_lg2)
{
    uint32_t same;
    uint32_t last = table_match(words + (TABLE_REF_WORD << slot_lg2), key[TABLE_REF_WORD]);
    if (slot_lg2 == 2) {
        same = table_match(words, key[0]) & table_match(words + WEIR_TABLE_SLOT_CNT, key[1]);
    } else {
        same = match_pairs(words, key);
    }
    return same & (last | (is_long ? 15U : 0));
}

/* The lane of a key of one or two words in a group of four slots, in bits as table_match(). */
static inline __attribute__((always_inline)) uint32_t
match_words(const uint64_t *words, const uint64_t *key, uint32_t word_cnt)
{
    uint32_t same = table_match(words, key[0]);
    return word_cnt == 1 ? same : same & table_match(words + WEIR_TABLE_SLOT_CNT, key[1]);
}

/* weir_table_settle() for the most usual keys, without a tail: one or two words of which the first
 * is not zero, or a text that is neither empty nor long. Returns NULL where it is for
 * weir_table_settle() to do. 12,000 inserts into a new table of 8-byte keys that expects them: 14
 * ns each, by weir_table_settle() 38 (zen4).
 */
static inline __attribute__((always_inline)) void *
settle_plain(struct weir_table *t, const struct plain *key, bool *ret_made)
{
    struct table_place place = table_place_of(t, key->hash);
    struct weir_bucket *bucket = table_bucket_at(t, place.ref);
    uint32_t group_cnt = place.ref == 0 ? 0 : t->group_cnt[place.size_idx];
    uint32_t group = table_home(key->hash, group_cnt);
    uint32_t slot_lg2 = table_slot_lg2(key->word_cnt, key->val_bytes);
    uint32_t all = (1U << (1U << slot_lg2)) - 1;
    size_t val_off = sizeof(uint64_t) * key->word_cnt << slot_lg2;
    size_t group_bytes = val_off + ((size_t)key->val_bytes << slot_lg2);
    char *groups = (char *)bucket + WEIR_LINE_BYTES;
    for (uint32_t i = 0; i < group_cnt; i++) {
        uint64_t *words = (uint64_t *)(void *)(groups + group * group_bytes);
        char *vals = (char *)words + val_off;
        uint32_t lanes = key->word_cnt == WEIR_KEY_TEXT_WORD_CNT
                             ? match_text(words, key->word, false, slot_lg2)
                             : match_words(words, key->word, key->word_cnt);
        if (lanes != 0) {
            char *val = vals + (size_t)(uint32_t)__builtin_ctz(lanes) * key->val_bytes;
            weir_arena_touch(t->arena, val, key->val_bytes);
            return val;
        }
        bool is_full = (table_match(words, 0) & all) == 0;
        uint32_t used = is_full ? all : table_group_used(t, bucket, group);
        if (used != all) {
            uint32_t lane = (uint32_t)__builtin_ctz(~used);
            char *val = vals + (size_t)lane * key->val_bytes;
            if (!table_has_room(t, bucket)) {
                return NULL;
            }
            entry_touch(t, bucket, &words[lane], val, key);
            uint32_t slot = (group << slot_lg2) + lane;
            bucket->used[slot / 64] |= UINT64_C(1) << (slot & 63);
            bucket->entry_cnt++;
            t->entry_cnt++;
            for (uint32_t w = 0; w < key->word_cnt; w++) {
                words[(w << slot_lg2) + lane] = key->word[w];
            }
            *ret_made = true;
            return val;
        }
        group = group + 1 == group_cnt ? 0 : group + 1;
    }
    return NULL;
}

static void *
settle_8(struct weir_table *t, uint64_t hash, const char *row, bool *ret_made)
{
    uint64_t word;
    memcpy(&word, row, sizeof word);
    if (word == 0) {
        return NULL;
    }
    struct plain key = {hash, &word, 1, 8};
    if (WEIR_LIKELY(t->spec.val_bytes == 8)) {
        return settle_plain(t, &key, ret_made);
    }
    key.val_bytes = t->spec.val_bytes;
    return settle_plain(t, &key, ret_made);
}

static void *
settle_16(struct weir_table *t, uint64_t hash, const char *row, bool *ret_made)
{
    uint64_t word[2];
    memcpy(word, row, sizeof word);
    if (word[0] == 0) {
        return NULL;
    }
    const struct plain key = {hash, word, 2, t->spec.val_bytes};
    return settle_plain(t, &key, ret_made);
}

static void *
settle_text(struct weir_table *t, uint64_t hash, const char *row, bool *ret_made)
{
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
    memcpy(word, row, sizeof word);
    if (word[0] == 0 || table_word_is_long(word)) {
        return NULL;
    }
    struct plain key = {hash, word, WEIR_KEY_TEXT_WORD_CNT, 8};
    if (WEIR_LIKELY(t->spec.val_bytes == 8)) {
        return settle_plain(t, &key, ret_made);
    }
    key.val_bytes = t->spec.val_bytes;
    return settle_plain(t, &key, ret_made);
}

/* What leads from a hash to its home group, out of the table and in registers: a store of a result
 * might alias the table's own fields. */
struct lead {
    const uint32_t *dir;
    uint64_t first;
    char *groups;
    uint64_t max_parallelism;
    uint32_t shift;
    uint32_t group_bytes;
    uint32_t group_cnt[WEIR_TABLE_SIZE_CNT + 1];
};

static inline struct lead
lead_of(const struct weir_table *t)
{
    const struct weir_arena *arena = t->arena;
    struct lead lead = {arena->index + t->dir, (uint64_t)arena->spec.groups.first << t->depth,
        arena->base + WEIR_LINE_BYTES, arena->spec.max_parallelism, 32 - t->depth, t->group_bytes,
        {t->group_cnt[0], t->group_cnt[1], t->group_cnt[2], 0}};
    return lead;
}

static inline void *
home_of(const struct lead *lead, uint64_t hash)
{
    uint64_t product = (hash >> 32) * lead->max_parallelism;
    uint32_t word = lead->dir[(product >> lead->shift) - lead->first];
    size_t group = ((hash & UINT32_MAX) * lead->group_cnt[word & TABLE_SIZE_MASK]) >> 32;
    return lead->groups + (size_t)(word & ~TABLE_SIZE_MASK) * WEIR_ARENA_REF_BYTES +
           group * lead->group_bytes;
}

#if defined(__AVX2__)
/* home_of for four rows. */
static inline __m256i
homes_of(const struct lead *lead, const uint64_t *hash)
{
    __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)hash);
    __m256i product = _mm256_mul_epu32(
        _mm256_srli_epi64(h, 32), _mm256_set1_epi64x((int64_t)lead->max_parallelism));
    __m256i idx = _mm256_sub_epi64(_mm256_srl_epi64(product, _mm_cvtsi32_si128((int)lead->shift)),
        _mm256_set1_epi64x((int64_t)lead->first));
    __m128i word = _mm256_i64gather_epi32((const int *)(const void *)lead->dir, idx, 4);
    __m128i mask = _mm_set1_epi32(TABLE_SIZE_MASK);
    __m128i cnt_of = _mm_loadu_si128((const __m128i *)(const void *)lead->group_cnt);
    __m128i cnt =
        _mm_castps_si128(_mm_permutevar_ps(_mm_castsi128_ps(cnt_of), _mm_and_si128(word, mask)));
    __m256i low = _mm256_and_si256(h, _mm256_set1_epi64x(UINT32_MAX));
    __m256i group = _mm256_srli_epi64(_mm256_mul_epu32(low, _mm256_cvtepu32_epi64(cnt)), 32);
    __m256i ref = _mm256_cvtepu32_epi64(_mm_andnot_si128(mask, word));
    __m256i bucket = _mm256_add_epi64(
        _mm256_set1_epi64x((int64_t)(intptr_t)lead->groups), _mm256_slli_epi64(ref, 4));
    return _mm256_add_epi64(
        bucket, _mm256_mul_epu32(group, _mm256_set1_epi64x((int64_t)lead->group_bytes)));
}
WEIR_STATIC_ASSERT(WEIR_ARENA_REF_BYTES == 1 << 4, "the shift above");
#endif

/* First pass: the home group of each row into ret_val, its line asked for where the table is large.
 * 10^4 keys: 1.8 ns a row with scalars, 0.7 with four at a time (zen4, batch 256). */
static void
homes(const struct weir_table *t, const uint64_t *hash, uint32_t cnt, void **ret_val)
{
    struct lead lead = lead_of(t);
    uint32_t i = 0;
#if defined(__AVX2__)
    for (; i + 4 <= cnt; i += 4) {
        _mm256_storeu_si256((__m256i *)(void *)(ret_val + i), homes_of(&lead, hash + i));
    }
#endif
    for (; i < cnt; i++) {
        ret_val[i] = home_of(&lead, hash[i]);
    }
    if (t->page_bytes >= PREFETCH_BYTES_MIN && t->val_off < WEIR_LINE_BYTES) {
        for (i = 0; i < cnt; i++) {
            __builtin_prefetch(ret_val[i], 1, WEIR_FETCH_L2);
        }
    } else if (t->page_bytes >= PREFETCH_BYTES_MIN) {
        size_t val_off = t->val_off;
        for (i = 0; i < cnt; i++) {
            __builtin_prefetch(ret_val[i], 1);
            __builtin_prefetch((char *)ret_val[i] + val_off, 1);
        }
    }
}

/* Whether the row's key lies in its home group; its value into *home then. */
static inline bool
hit(uint32_t kind, uint32_t val_off, uint32_t val_bytes, const char *key, char **home)
{
    uint64_t word[2];
    memcpy(word, key, kind == WEIR_KEY_8 ? 8 : 16);
    const uint64_t *words = (const uint64_t *)(const void *)*home;
    uint32_t lanes = table_match(words, word[0]);
    if (kind != WEIR_KEY_8) {
        lanes &= table_match(words + WEIR_TABLE_SLOT_CNT, word[1]);
    }
    /* A zero word matches empty slots too, and a long string is not told by its row's words. */
    bool is_sure = word[0] != 0 && (kind != WEIR_KEY_STR || !table_word_is_long(word));
    /* Without a match lane 0: an address in the group, for loops that go on regardless. */
    uint32_t lane = (uint32_t)__builtin_ctz(lanes | 1U << WEIR_TABLE_SLOT_CNT) & 3;
    *home += val_off + (size_t)lane * val_bytes;
    return (lanes != 0) & is_sure;
}

/* A stretch of rows for the loops below. */
struct stretch {
    const char *key;
    size_t key_stride;
    void **val;
    uint32_t cnt;
    uint32_t val_bytes;
    const char *heap; /* of texts */
    bool has_usual;
    const uint64_t **long_ref; /* scratch of hits_text: [cnt] */
    uint8_t *long_row;
};

/* Settle the rows whose keys lie in their home groups, in lines that were written before in this
 * epoch. The others go into ret_left, in order, as many as returned; what they need next, the line
 * behind the home group, is on its way meanwhile. No calls in here: they would cost the loop its
 * registers. 10^4 keys: 1.3 ns a row; with the rest of the work in the same loop 2.7; without jumps
 * 1.9. */
static inline __attribute__((always_inline)) uint32_t
hits(const struct weir_arena *arena, const struct stretch *rows, uint32_t kind, uint32_t val_bytes,
    uint8_t *ret_left)
{
    const char *base = arena->base;
    const uint64_t *saved = arena->saved;
    size_t stride = rows->key_stride;
    const char *key = rows->key;
    void **val = rows->val;
    uint32_t val_off = kind == WEIR_KEY_8 ? 32 : 64;
    uint32_t left_cnt = 0;
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++, key += stride) {
        char *found = (char *)val[i];
        if (WEIR_UNLIKELY(!hit(kind, val_off, val_bytes, key, &found))) {
            __builtin_prefetch((char *)val[i] + val_off + 4 * val_bytes, 1);
            ret_left[left_cnt++] = (uint8_t)i;
            continue;
        }
        size_t off = (size_t)(found - base);
        uint64_t written = saved[off / WEIR_PAGE_BYTES] >> (off / WEIR_LINE_BYTES & 63);
        if (val_bytes > 16) { /* at most five lines, all of them; one of 16 bytes lies in one */
            size_t end = off + val_bytes - 1;
            uint64_t span = (UINT64_C(2) << (end / WEIR_LINE_BYTES - off / WEIR_LINE_BYTES)) - 1;
            written = (written & span) == span;
        }
        if (WEIR_UNLIKELY((written & 1) == 0)) {
            ret_left[left_cnt++] = (uint8_t)i;
            continue;
        }
        val[i] = found;
    }
    return left_cnt;
}

static __attribute__((noinline)) uint32_t
hits_8_8(const struct weir_arena *arena, const struct stretch *rows, uint8_t *ret_left)
{
    return hits(arena, rows, WEIR_KEY_8, 8, ret_left);
}

/* Values of a running result: an accumulator of 8 bytes and what an operator puts behind it. */
static __attribute__((noinline)) uint32_t
hits_8_16(const struct weir_arena *arena, const struct stretch *rows, uint8_t *ret_left)
{
    return hits(arena, rows, WEIR_KEY_8, 16, ret_left);
}

static __attribute__((noinline)) uint32_t
hits_8(const struct weir_arena *arena, const struct stretch *rows, uint8_t *ret_left)
{
    return hits(arena, rows, WEIR_KEY_8, rows->val_bytes, ret_left);
}

static __attribute__((noinline)) uint32_t
hits_16(const struct weir_arena *arena, const struct stretch *rows, uint8_t *ret_left)
{
    return hits(arena, rows, WEIR_KEY_16, rows->val_bytes, ret_left);
}

/* Long texts whose hashes and lengths are those of the entries found: those that differ all the
 * same join the rows left, in order. */
static uint32_t
texts_differ(const struct weir_table *t, const struct stretch *rows, uint32_t long_cnt,
    uint8_t *left, uint32_t left_cnt)
{
    for (uint32_t l = 0; l < long_cnt; l++) {
        __builtin_prefetch(weir_arena_ptr(t->arena, (uint32_t)*rows->long_ref[l]));
    }
    for (uint32_t l = 0; l < long_cnt; l++) {
        uint32_t i = rows->long_row[l];
        struct weir_key_text key;
        memcpy(&key, rows->key + rows->key_stride * i, sizeof key);
        struct weir_slice text = weir_key_text_slice(&key, rows->heap);
        if (WEIR_LIKELY(weir_blob_equal(t->arena, (uint32_t)*rows->long_ref[l], text))) {
            continue;
        }
        uint32_t at = left_cnt++;
        for (; at > 0 && left[at - 1] > i; at--) {
            left[at] = left[at - 1];
        }
        left[at] = (uint8_t)i;
    }
    return left_cnt;
}

/* What hits_text() may rely on: constants, each set a loop of its own. */
enum {
    TEXT_VAL_8 = 1, /* values of 8 bytes */
    USUAL_TEXT = 3, /* the same, and no text is empty or long */
    YOUNG_TABLE = 4,
};

/* hits() for texts. A long one is told by its hash and length first, which is nearly sure; its
 * bytes are compared in a loop of their own. */
static inline __attribute__((always_inline)) uint32_t
hits_text(const struct weir_table *t, const struct stretch *rows, uint32_t what, uint8_t *ret_left)
{
    bool has_usual = (what & USUAL_TEXT) == USUAL_TEXT;
    uint32_t val_bytes = (what & TEXT_VAL_8) != 0 ? 8 : rows->val_bytes;
    const char *base = t->arena->base;
    const uint64_t *saved = t->arena->saved;
    const uint64_t **long_ref = rows->long_ref;
    uint32_t slot_lg2 = table_slot_lg2(WEIR_KEY_TEXT_WORD_CNT, val_bytes);
    uint8_t *long_row = rows->long_row;
    size_t stride = rows->key_stride;
    const char *key = rows->key;
    void **val = rows->val;
    uint32_t left_cnt = 0;
    uint32_t long_cnt = 0;
    for (uint32_t i = 0, cnt = rows->cnt; i < cnt; i++, key += stride) {
        uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
        memcpy(&word[0], key, sizeof word[0]);
        memcpy(&word[1], key + sizeof word[0], sizeof word[0]);
        memcpy(&word[2], key + 2 * sizeof word[0], sizeof word[0]);
        const uint64_t *words = val[i];
        bool is_long = !has_usual && table_word_is_long(word);
        uint32_t lanes = match_text(words, word, is_long, slot_lg2);
        uint32_t lane = (uint32_t)__builtin_ctz(lanes | 1U << WEIR_TABLE_SLOT_CNT) & 3;
        char *found = (char *)val[i] + (WEIR_KEY_TEXT_WORD_CNT * sizeof(uint64_t) << slot_lg2);
        found += (size_t)lane * val_bytes;
        /* A group of usual texts is one line: which, is known before it has come. */
        size_t off = (size_t)((val_bytes == 8 ? (char *)val[i] : found) - base);
        uint64_t written = saved[off / WEIR_PAGE_BYTES] >> (off / WEIR_LINE_BYTES & 63);
        if (val_bytes > 8) {
            size_t end = off + val_bytes - 1;
            uint64_t span = (UINT64_C(2) << (end / WEIR_LINE_BYTES - off / WEIR_LINE_BYTES)) - 1;
            written = (written & span) == span;
        }
        written |= (what & YOUNG_TABLE) != 0;
        /* A zero word, of the empty text, matches free slots too. */
        bool is_hit = (lanes != 0) & (has_usual | (word[0] != 0)) & (written & 1);
        val[i] = found;
        ret_left[left_cnt] = (uint8_t)i;
        left_cnt += !is_hit;
        if (!has_usual) {
            long_ref[long_cnt] = words + (TABLE_REF_WORD << slot_lg2) + lane;
            long_row[long_cnt] = (uint8_t)i;
            long_cnt += is_long & is_hit;
        }
    }
    return long_cnt == 0 ? left_cnt : texts_differ(t, rows, long_cnt, ret_left, left_cnt);
}

static __attribute__((noinline)) uint32_t
hits_text_8(const struct weir_table *t, const struct stretch *rows, uint8_t *ret_left)
{
    return hits_text(t, rows, TEXT_VAL_8, ret_left);
}

static __attribute__((noinline)) uint32_t
hits_text_usual_8(const struct weir_table *t, const struct stretch *rows, uint8_t *ret_left)
{
    /* All lines of a table that is younger than the last checkpoint are marked as written. */
    if (WEIR_LIKELY(t->epoch == t->arena->epoch)) {
        return hits_text(t, rows, USUAL_TEXT | YOUNG_TABLE, ret_left);
    }
    return hits_text(t, rows, USUAL_TEXT, ret_left);
}

static __attribute__((noinline)) uint32_t
hits_text_any(const struct weir_table *t, const struct stretch *rows, uint8_t *ret_left)
{
    return hits_text(t, rows, 0, ret_left);
}

static uint32_t
hits_of(const struct weir_table *t, const struct stretch *rows, uint8_t *ret_left)
{
    if (t->spec.tail_cnt > 0) { /* keys with tails come one by one */
        for (uint32_t i = 0; i < rows->cnt; i++) {
            ret_left[i] = (uint8_t)i;
        }
        return rows->cnt;
    }
    switch (t->spec.key_kind) {
    case WEIR_KEY_8:
        return t->spec.val_bytes == 8    ? hits_8_8(t->arena, rows, ret_left)
               : t->spec.val_bytes == 16 ? hits_8_16(t->arena, rows, ret_left)
                                         : hits_8(t->arena, rows, ret_left);
    case WEIR_KEY_16:
        return hits_16(t->arena, rows, ret_left);
    default:
        return t->spec.val_bytes != 8 ? hits_text_any(t, rows, ret_left)
               : rows->has_usual      ? hits_text_usual_8(t, rows, ret_left)
                                      : hits_text_8(t, rows, ret_left);
    }
}

/* Entries have moved since the table's count of moves was `since`: look those rows up again that
 * were found where they lay. Rows that are not settled yet may get NULL: they are looked up in
 * their turn. */
static __attribute__((noinline)) void
follow_moves(const struct weir_table *t, const struct weir_table_rows *rows, uint32_t from,
    uint32_t to, uint32_t since)
{
    uint32_t moves = t->moved_cnt - since;
    for (uint32_t i = from; i < to; i++) {
        bool has_moved = moves > WEIR_TABLE_MOVED_CNT;
        for (uint32_t m = 0; m < moves && !has_moved; m++) {
            uint32_t ref = t->moved_ref[(since + m) % WEIR_TABLE_MOVED_CNT];
            uintptr_t bucket = (uintptr_t)weir_arena_ptr(t->arena, ref);
            has_moved = (uintptr_t)rows->ret_val[i] - bucket < WEIR_PAGE_BYTES;
        }
        if (has_moved) {
            struct table_key k = table_key_of(
                t, rows->hash[i], rows->key + (size_t)rows->key_stride * i, rows->heap);
            rows->ret_val[i] = weir_table_look(t, &k);
        }
    }
}

/* Ask for what inserting takes, most likely, of the rows that were not found: the headers of their
 * pages, which all begin a page, and so share the few sets of the caches that such lines can lie
 * in; where groups are small (two slots) and the home group is full, the next one. */
static inline void
fetch_ends(const struct weir_table *t, void *const *val, const uint8_t *left, uint32_t cnt)
{
    if (t->page_bytes < PREFETCH_BYTES_MIN) {
        return;
    }
    const char *base = t->arena->base;
    for (uint32_t l = 0; l < cnt; l++) {
        size_t off = (size_t)((char *)val[left[l]] - base);
        __builtin_prefetch(base + off / WEIR_PAGE_BYTES * WEIR_PAGE_BYTES, 1);
        if (t->slot_lg2 == TEXT_SLOT_LG2) {
            const char *line = base + off / WEIR_LINE_BYTES * WEIR_LINE_BYTES;
            bool is_full = (table_match((const uint64_t *)(const void *)line, 0) & 3) == 0;
            __builtin_prefetch(line + (is_full ? WEIR_LINE_BYTES : 0), 1);
        }
    }
}

/* What settle_text() does for a usual text of a bucket of a whole page that hits_text() left:
 * mostly a new entry in its home group. val lies in that group, where no entry has moved since.
 * Returns NULL where it is for settle_text() to do. */
static inline void *
settle_text_near(struct weir_table *t, void *val, const char *row, bool *ret_made)
{
    uint64_t key[WEIR_KEY_TEXT_WORD_CNT];
    memcpy(key, row, sizeof key);
    struct weir_arena *arena = t->arena;
    size_t off = (size_t)((char *)val - arena->base);
    size_t page = off / WEIR_PAGE_BYTES;
    struct weir_bucket *bucket = (void *)(arena->base + page * WEIR_PAGE_BYTES);
    if (bucket->kind != WEIR_PAGE_BUCKET || !table_has_room(t, bucket)) {
        return NULL;
    }
    uint32_t line = (uint32_t)(off % WEIR_PAGE_BYTES) / WEIR_LINE_BYTES; /* groups: from 1 on */
    uint32_t line_cnt = t->group_cnt[WEIR_TABLE_SIZE_CNT - 1];
    for (;;) {
        uint64_t *words = (uint64_t *)(void *)((char *)bucket + (size_t)line * WEIR_LINE_BYTES);
        uint32_t slot = (line - 1) << TEXT_SLOT_LG2;
        uint32_t is_free = ~(uint32_t)(bucket->used[slot / 64] >> (slot & 63)) & 3;
        uint32_t lanes = match_text(words, key, false, TEXT_SLOT_LG2);
        if (WEIR_UNLIKELY((lanes | is_free) == 0)) { /* there is a free slot: there is room */
            line = line == line_cnt ? 1 : line + 1;
            continue;
        }
        uint64_t lines = UINT64_C(1) | UINT64_C(1) << line;
        if (WEIR_UNLIKELY((~arena->saved[page] & lines) != 0)) {
            return NULL;
        }
        *ret_made = lanes == 0;
        uint32_t lane = (uint32_t)__builtin_ctz(lanes != 0 ? lanes : is_free);
        if (*ret_made) {
            bucket->used[slot / 64] |= UINT64_C(1) << ((slot & 63) + lane);
            bucket->entry_cnt++;
            t->entry_cnt++;
            for (uint32_t w = 0; w < WEIR_KEY_TEXT_WORD_CNT; w++) {
                words[(w << TEXT_SLOT_LG2) + lane] = key[w];
            }
        }
        return &words[(WEIR_KEY_TEXT_WORD_CNT << TEXT_SLOT_LG2) + lane];
    }
}

/* Rows [at, at + cnt), one chunk of a call that began at `from`. Returns the rows done; an error is
 * that of the first. */
static int
resolve_chunk(
    struct weir_table *t, struct weir_table_rows *rows, uint32_t from, uint32_t at, uint32_t cnt)
{
    const uint64_t *hash = rows->hash + at;
    const uint64_t *long_ref[WEIR_TABLE_CHUNK];
    uint8_t long_row[WEIR_TABLE_CHUNK];
    struct stretch stretch = {rows->key + (size_t)at * rows->key_stride, rows->key_stride,
        rows->ret_val + at, cnt, t->spec.val_bytes, rows->heap, rows->has_usual, long_ref,
        long_row};
    uint8_t left[WEIR_TABLE_CHUNK];
    bool is_8 = t->spec.key_kind == WEIR_KEY_8 && t->spec.tail_cnt == 0;
    bool is_16 = t->spec.key_kind == WEIR_KEY_16 && t->spec.tail_cnt == 0;
    bool is_text = t->spec.key_kind == WEIR_KEY_STR && t->spec.tail_cnt == 0;
    bool is_usual = is_text && rows->has_usual && t->spec.val_bytes == sizeof(uint64_t);
    uint32_t moved_cnt = t->moved_cnt;
    homes(t, hash, cnt, stretch.val);
    uint32_t left_cnt = hits_of(t, &stretch, left);
    fetch_ends(t, stretch.val, left, left_cnt);
    for (uint32_t l = 0; l < left_cnt; l++) {
        uint32_t i = left[l];
        const char *key = stretch.key + stretch.key_stride * i;
        bool is_still = is_usual && t->moved_cnt == moved_cnt;
        bool is_made = false;
        void *val = is_still ? settle_text_near(t, stretch.val[i], key, &is_made) : NULL;
        if (is_8) {
            val = settle_8(t, hash[i], key, &is_made);
        } else if (is_16) {
            val = settle_16(t, hash[i], key, &is_made);
        } else if (is_text && val == NULL) {
            val = settle_text(t, hash[i], key, &is_made);
        }
        if (val == NULL) {
            uint32_t since = t->moved_cnt;
            struct table_key k = table_key_of(t, hash[i], key, rows->heap);
            int err = weir_table_settle(t, &k, &val, &is_made);
            if (t->moved_cnt != since) {
                follow_moves(t, rows, from, at + cnt, since);
            }
            if (err < 0) {
                return i > 0 ? (int)i : err;
            }
        }
        stretch.val[i] = val;
        if (is_made && rows->ret_made != NULL) {
            rows->ret_made[rows->made_cnt++] = at + i;
        }
    }
    return (int)cnt;
}

int
weir_table_resolve(struct weir_table *t, struct weir_table_rows *rows, uint32_t from)
{
    uint32_t at = from;
    if (WEIR_UNLIKELY(t->next_dir != 0)) {
        weir_table_dir_step(t, DIR_STEP_BATCH_WORDS);
    }
    while (at < rows->cnt) {
        uint32_t cnt = weir_min_u32(rows->cnt - at, WEIR_TABLE_CHUNK);
        int done = resolve_chunk(t, rows, from, at, cnt);
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

void
weir_table_touch_buckets(struct weir_table *t, const uint64_t *hash, uint32_t cnt)
{
    uint32_t last = 0;
    WEIR_DCHECK(t->spec.tail_cnt == 0, "hashes of keys, without their tails");
    for (uint32_t i = 0; i < cnt; i++) {
        struct table_place place = table_place_of(t, hash[i]);
        if (place.ref != 0 && place.ref != last) {
            last = place.ref;
            weir_arena_touch(t->arena, table_bucket_at(t, last),
                WEIR_LINE_BYTES + t->group_cnt[place.size_idx] * t->group_bytes);
        }
    }
}

/* Whether a key of 8 bytes that is not in its home group is nowhere: the group has a free slot. Of
 * two zero words one is of no entry, so the bucket's header is not asked; false where it must
 * be. */
static inline bool
is_nowhere(const uint64_t *words, const char *key)
{
    uint64_t word;
    memcpy(&word, key, sizeof word);
    uint32_t zeros = table_match(words, 0);
    return (word != 0) & ((zeros & (zeros - 1)) != 0);
}

void
weir_table_find_rows(const struct weir_table *t, struct weir_table_rows *rows)
{
    bool is_8 = t->spec.key_kind == WEIR_KEY_8 && t->spec.tail_cnt == 0;
    for (uint32_t at = 0; at < rows->cnt; at += WEIR_TABLE_CHUNK) {
        uint32_t cnt = weir_min_u32(rows->cnt - at, WEIR_TABLE_CHUNK);
        void **val = rows->ret_val + at;
        homes(t, rows->hash + at, cnt, val);
        for (uint32_t i = 0; i < cnt; i++) {
            const char *key = rows->key + (size_t)(at + i) * rows->key_stride;
            char *found = (char *)val[i];
            bool is_hit = t->spec.tail_cnt == 0 &&
                          hit(t->spec.key_kind, t->val_off, t->spec.val_bytes, key, &found);
            if (!is_hit && is_8 && is_nowhere(val[i], key)) {
                val[i] = NULL;
                continue;
            }
            val[i] = found;
            if (!is_hit) {
                struct table_key k = table_key_of(t, rows->hash[at + i], key, rows->heap);
                val[i] = weir_table_look(t, &k);
            }
        }
    }
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
            struct weir_key_text text_key;
            memcpy(&text_key, key + i * stride, sizeof text_key);
            struct weir_slice text = weir_key_text_slice(&text_key, rows->heap);
            ret_hash[i] = weir_hash_bytes(text.ptr, text.bytes);
        }
        break;
    }
}
