/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/numbers.h"

#include <string.h>

#include "base/check.h"
#include "base/err.h"

/* Of branches: 64 bits, 5 a level. No two numbers have one hash, so that leaves below have one
 * each. */
#define LEVEL_CNT_MAX 13
#define BRANCH_BYTES (WEIR_NUMBERS_LINK_CNT * sizeof(struct weir_numbers))

static const uint16_t leaf_bytes[WEIR_NUMBERS_SIZE_CNT] = {64, 144, 288, 576, 1008, 2016, 4032};

void
weir_numbers_kind_init(struct weir_numbers_kind *kind, struct weir_arena *arena, uint32_t word_cnt)
{
    WEIR_CHECK(word_cnt > 0 && word_cnt <= WEIR_NUMBERS_WORD_CNT_MAX, "%u words", word_cnt);
    kind->arena = arena;
    kind->word_cnt = word_cnt;
    for (uint32_t s = 0; s < WEIR_NUMBERS_SIZE_CNT; s++) {
        kind->place_cnt[s] = (uint16_t)(leaf_bytes[s] / ((1 + word_cnt) * sizeof(uint64_t)));
    }
}

static uint32_t
entry_cnt_max(const struct weir_numbers_kind *kind, uint32_t size)
{
    uint32_t cnt = kind->place_cnt[size];
    return cnt - cnt / 4;
}

static uint64_t *
words_at(const struct weir_numbers_kind *kind, uint32_t ref)
{
    return (uint64_t *)weir_arena_ptr(kind->arena, ref);
}

static struct weir_numbers *
links_at(const struct weir_numbers_kind *kind, const struct weir_numbers *branch)
{
    return (struct weir_numbers *)weir_arena_ptr(kind->arena, branch->ref);
}

static inline bool
is_free(const uint64_t *words, uint32_t word_cnt)
{
    uint64_t any = words[0];
    for (uint32_t w = 1; w < word_cnt; w++) {
        any |= words[w];
    }
    return any == 0;
}

/* The bits of a hash that are left below so many branches, in front. */
static uint64_t
bits_below(uint64_t hash, uint32_t level)
{
    return level < LEVEL_CNT_MAX ? hash << WEIR_NUMBERS_BITS * level : 0;
}

static inline uint32_t
home_of(uint64_t hash, uint32_t place_cnt)
{
    return (uint32_t)(((hash & UINT32_MAX) * place_cnt) >> 32);
}

/* The place of a number in a leaf, or the free one where it would be; NULL: it has neither. */
static inline __attribute__((always_inline)) uint64_t *
look_in(uint64_t *leaf, uint32_t place_cnt, uint32_t word_cnt, uint64_t number, uint64_t hash)
{
    size_t stride = 1 + word_cnt;
    uint64_t *at = leaf + home_of(hash, place_cnt) * stride;
    const uint64_t *end = leaf + place_cnt * stride;
    for (uint32_t i = 0; i < place_cnt; i++) {
        if (at[0] == number || is_free(at + 1, word_cnt)) {
            return at;
        }
        at = at + stride == end ? leaf : at + stride;
    }
    return NULL;
}

static inline uint64_t *
look(const struct weir_numbers_kind *kind, const struct weir_numbers *leaf, uint64_t number,
    uint64_t hash)
{
    uint64_t *words = words_at(kind, leaf->ref);
    uint32_t place_cnt = kind->place_cnt[leaf->size];
    return WEIR_LIKELY(kind->word_cnt == 1)
               ? look_in(words, place_cnt, 1, number, hash)
               : look_in(words, place_cnt, kind->word_cnt, number, hash);
}

const uint64_t *
weir_numbers_find(
    const struct weir_numbers_kind *kind, const struct weir_numbers *map, uint64_t number)
{
    uint64_t hash = weir_hash_u64(number);
    uint32_t level;
    const struct weir_numbers *leaf = weir_numbers_leaf(kind, map, hash, &level);
    uint64_t *at = leaf->ref != 0 ? look(kind, leaf, number, hash) : NULL;
    return at != NULL && !is_free(at + 1, kind->word_cnt) ? at + 1 : NULL;
}

/* ---- growing ---- */

/* The key group, relative, of anything in its pages. */
static uint32_t
group_of(const struct weir_arena *arena, const void *ptr)
{
    size_t page = (size_t)((const char *)ptr - arena->base) / WEIR_PAGE_BYTES;
    const struct weir_slab *slab =
        (const struct weir_slab *)weir_arena_ptr(arena, (uint32_t)page * WEIR_ARENA_PAGE_REFS);
    return slab->key_group - arena->spec.groups.first;
}

static int
leaf_make(
    const struct weir_numbers_kind *kind, uint32_t group, uint32_t size, struct weir_numbers *ret)
{
    uint32_t ref;
    int err =
        weir_arena_block_take(kind->arena, group, weir_arena_class_of(leaf_bytes[size]), &ref);
    if (err == 0) {
        *ret = (struct weir_numbers){.ref = ref, .size = (uint8_t)size};
    }
    return err;
}

/* All of a leaf into another one, which has room for it. */
static void
leaf_pour(
    const struct weir_numbers_kind *kind, const struct weir_numbers *from, struct weir_numbers *to)
{
    const uint64_t *at = words_at(kind, from->ref);
    size_t stride = 1 + (size_t)kind->word_cnt;
    for (uint32_t i = 0; i < kind->place_cnt[from->size]; i++, at += stride) {
        if (!is_free(at + 1, kind->word_cnt)) {
            memcpy(look(kind, to, at[0], weir_hash_u64(at[0])), at, stride * sizeof *at);
        }
    }
    to->cnt += from->cnt;
}

static int open_below(const struct weir_numbers_kind *kind, struct weir_numbers *map,
    uint32_t level, uint64_t number, uint64_t **ret_words);

/* The largest leaf becomes a branch over small ones. */
static int
leaf_split(
    const struct weir_numbers_kind *kind, uint32_t group, struct weir_numbers *leaf, uint32_t level)
{
    struct weir_numbers branch = {.is_branch = 1};
    const uint64_t *at = words_at(kind, leaf->ref);
    int err =
        weir_arena_block_take(kind->arena, group, weir_arena_class_of(BRANCH_BYTES), &branch.ref);
    if (err < 0) {
        return err;
    }
    for (uint32_t i = 0; i < kind->place_cnt[leaf->size] && err == 0; i++) {
        uint64_t *words;
        if (!is_free(at + 1, kind->word_cnt)) {
            uint64_t bits = bits_below(weir_hash_u64(at[0]), level);
            struct weir_numbers *below = &links_at(kind, &branch)[bits >> WEIR_NUMBERS_SHIFT];
            err = open_below(kind, below, level + 1, at[0], &words);
            if (err == 0) {
                memcpy(words, at + 1, kind->word_cnt * sizeof *words);
            }
        }
        at += 1 + (size_t)kind->word_cnt;
    }
    if (err < 0) {
        weir_numbers_clear(kind, &branch);
        return err;
    }
    weir_arena_block_give(kind->arena, leaf->ref);
    *leaf = branch;
    return 0;
}

/* Room for one more where there is none; leaf is touched. */
static int
leaf_grow(const struct weir_numbers_kind *kind, struct weir_numbers *leaf, uint32_t level)
{
    uint32_t group = group_of(kind->arena, leaf);
    uint32_t size = leaf->ref != 0 ? leaf->size + 1U : 0;
    while (size < WEIR_NUMBERS_SIZE_CNT && entry_cnt_max(kind, size) <= leaf->cnt) {
        size++;
    }
    if (size == WEIR_NUMBERS_SIZE_CNT) {
        WEIR_CHECK(level < LEVEL_CNT_MAX, "numbers of one hash");
        return leaf_split(kind, group, leaf, level);
    }
    struct weir_numbers made;
    int err = leaf_make(kind, group, size, &made);
    if (err < 0) {
        return err;
    }
    if (leaf->ref != 0) {
        leaf_pour(kind, leaf, &made);
        weir_arena_block_give(kind->arena, leaf->ref);
    }
    *leaf = made;
    return 0;
}

static int
open_below(const struct weir_numbers_kind *kind, struct weir_numbers *map, uint32_t above,
    uint64_t number, uint64_t **ret_words)
{
    uint64_t hash = weir_hash_u64(number);
    for (;;) {
        uint32_t level;
        struct weir_numbers *leaf = (struct weir_numbers *)(uintptr_t)weir_numbers_leaf(
            kind, map, bits_below(hash, above), &level);
        uint64_t *at = leaf->ref != 0 ? look(kind, leaf, number, hash) : NULL;
        bool is_new = at == NULL || is_free(at + 1, kind->word_cnt);
        if (!is_new) {
            *ret_words = at + 1;
            return 0;
        }
        weir_arena_touch_line(kind->arena, leaf);
        if (at != NULL && leaf->cnt < entry_cnt_max(kind, leaf->size)) {
            weir_arena_touch_line(kind->arena, at);
            at[0] = number;
            leaf->cnt++;
            *ret_words = at + 1;
            return 0;
        }
        int err = leaf_grow(kind, leaf, above + level);
        if (err < 0) {
            return err;
        }
    }
}

int
weir_numbers_open(const struct weir_numbers_kind *kind, struct weir_numbers *map, uint64_t number,
    uint64_t **ret_words)
{
    return open_below(kind, map, 0, number, ret_words);
}

/* ---- forgetting ---- */

/* Those behind a place that has become free move up, as far as they are not at home: else they
 * would not be found. */
static void
close_gap(const struct weir_numbers_kind *kind, const struct weir_numbers *leaf, uint64_t *gap)
{
    uint64_t *words = words_at(kind, leaf->ref);
    size_t stride = 1 + (size_t)kind->word_cnt;
    uint32_t place_bytes = (uint32_t)(stride * sizeof *words);
    uint32_t place_cnt = kind->place_cnt[leaf->size];
    uint32_t free_at = (uint32_t)((size_t)(gap - words) / stride);
    uint32_t place = free_at;
    for (uint32_t i = 1; i < place_cnt; i++) {
        place = place + 1 == place_cnt ? 0 : place + 1;
        uint64_t *at = words + place * stride;
        if (is_free(at + 1, kind->word_cnt)) {
            break;
        }
        uint32_t home = home_of(weir_hash_u64(at[0]), place_cnt);
        uint32_t from_home = (place + place_cnt - home) % place_cnt;
        uint32_t from_gap = (place + place_cnt - free_at) % place_cnt;
        if (from_home >= from_gap) {
            weir_arena_touch(kind->arena, words + free_at * stride, place_bytes);
            memcpy(words + free_at * stride, at, place_bytes);
            free_at = place;
        }
    }
    weir_arena_touch(kind->arena, words + free_at * stride, place_bytes);
    memset(words + free_at * stride, 0, place_bytes);
}

/* A leaf of which little is left goes into a smaller one, but not so that it would soon grow again.
 * Where there is no page for that, it is as good as before. */
static bool
leaf_shrink(const struct weir_numbers_kind *kind, struct weir_numbers *leaf)
{
    struct weir_numbers made;
    if (leaf->size == 0 || leaf->cnt > entry_cnt_max(kind, leaf->size - 1U) / 2) {
        return false;
    }
    if (leaf_make(kind, group_of(kind->arena, leaf), leaf->size - 1U, &made) < 0) {
        weir_err_clear();
        return false;
    }
    leaf_pour(kind, leaf, &made);
    weir_arena_block_give(kind->arena, leaf->ref);
    *leaf = made;
    return true;
}

/* Likewise all that is left below a branch into one leaf, or nothing. */
static bool
branch_shrink(const struct weir_numbers_kind *kind, struct weir_numbers *branch)
{
    const struct weir_numbers *links = links_at(kind, branch);
    struct weir_numbers made = {0};
    uint32_t cnt = 0;
    uint32_t size = 0;
    for (uint32_t i = 0; i < WEIR_NUMBERS_LINK_CNT; i++) {
        if (links[i].is_branch) {
            return false;
        }
        cnt += links[i].cnt;
    }
    if (cnt > entry_cnt_max(kind, WEIR_NUMBERS_SIZE_CNT - 1) / 4) {
        return false;
    }
    while (entry_cnt_max(kind, size) / 2 < cnt) {
        size++;
    }
    if (cnt > 0 && leaf_make(kind, group_of(kind->arena, branch), size, &made) < 0) {
        weir_err_clear();
        return false;
    }
    for (uint32_t i = 0; i < WEIR_NUMBERS_LINK_CNT; i++) {
        if (links[i].ref != 0) {
            leaf_pour(kind, &links[i], &made);
            weir_arena_block_give(kind->arena, links[i].ref);
        }
    }
    weir_arena_touch_line(kind->arena, branch);
    weir_arena_block_give(kind->arena, branch->ref);
    *branch = made;
    return true;
}

void
weir_numbers_remove(const struct weir_numbers_kind *kind, struct weir_numbers *map, uint64_t number)
{
    struct weir_numbers *path[LEVEL_CNT_MAX];
    uint64_t hash = weir_hash_u64(number);
    uint32_t level = 0;
    for (; map->is_branch; level++) {
        path[level] = map;
        map = &links_at(kind, map)[bits_below(hash, level) >> WEIR_NUMBERS_SHIFT];
    }
    uint64_t *at = look(kind, map, number, hash);
    weir_arena_touch_line(kind->arena, map);
    if (--map->cnt > 0) {
        close_gap(kind, map, at);
        if (!leaf_shrink(kind, map)) {
            return;
        }
    } else {
        weir_arena_block_give(kind->arena, map->ref);
        memset(map, 0, sizeof *map);
    }
    while (level > 0 && branch_shrink(kind, path[level - 1])) {
        level--;
    }
}

void
weir_numbers_clear(const struct weir_numbers_kind *kind, struct weir_numbers *map)
{
    if (weir_numbers_is_empty(map)) {
        return;
    }
    for (uint32_t i = 0; map->is_branch && i < WEIR_NUMBERS_LINK_CNT; i++) {
        struct weir_numbers below = links_at(kind, map)[i]; /* the block goes as a whole */
        weir_numbers_clear(kind, &below);
    }
    weir_arena_block_give(kind->arena, map->ref);
    memset(map, 0, sizeof *map);
}

/* ---- walks ---- */

int
weir_numbers_each(const struct weir_numbers_kind *kind, const struct weir_numbers *map,
    weir_numbers_fn *fn, void *arg)
{
    int err = 0;
    if (weir_numbers_is_empty(map)) {
        return 0;
    }
    for (uint32_t i = 0; map->is_branch && i < WEIR_NUMBERS_LINK_CNT && err == 0; i++) {
        err = weir_numbers_each(kind, &links_at(kind, map)[i], fn, arg);
    }
    uint32_t place_cnt = map->is_branch ? 0 : kind->place_cnt[map->size];
    const uint64_t *at = words_at(kind, map->ref);
    for (uint32_t i = 0; i < place_cnt && err == 0; i++, at += 1 + (size_t)kind->word_cnt) {
        if (!is_free(at + 1, kind->word_cnt)) {
            err = fn(arg, at[0], at + 1);
        }
    }
    return err;
}

static int
move_below(struct weir_arena *arena, const struct weir_state_mover *mover, struct weir_numbers *map,
    uint32_t level)
{
    int err = 0;
    if (map->is_branch && level == LEVEL_CNT_MAX) {
        return weir_err_push(WEIR_EFORMAT, "numbers below over %d branches", LEVEL_CNT_MAX);
    }
    map->ref = mover->ref(mover->arg, map->ref);
    for (uint32_t i = 0; map->is_branch && i < WEIR_NUMBERS_LINK_CNT && err == 0; i++) {
        struct weir_numbers *links = (struct weir_numbers *)weir_arena_ptr(arena, map->ref);
        err = move_below(arena, mover, &links[i], level + 1);
    }
    return err;
}

int
weir_numbers_move(
    struct weir_arena *arena, const struct weir_state_mover *mover, struct weir_numbers *map)
{
    return move_below(arena, mover, map, 0);
}
