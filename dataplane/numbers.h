/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.h: a map from 64-bit numbers to a few words, as part of an entry of a table: the values
 * that a key has come with, and how often.
 *
 *     entry  { link }  a few        link -> leaf of so many places, as hashes lead to them
 *                      many         link -> 32 links, by 5 bits of the hash -> 32 links ... -> leaf
 *
 * [format: State / Maps of numbers (WEIR_CAPTURE_VERSION)]
 *
 *     link:    ref u32 | entries u16 | size u8 | is branch u8        zero: nothing
 *     leaf:    places, from hash 31..0 x their number on: number u64 | its words u64[]
 *              in a block of 64, 144, 288, 576, 1008, 2016 or 4032 bytes (size 0 to 6)
 *     branch:  32 links, by hash 63..59; below it by 58..54, and so on
 *
 * The hash is that of an integer key. A place whose words are all zero is free. Of a leaf at most
 * three quarters are taken: then it becomes a larger one, and the largest becomes a branch. One of
 * which little is left becomes smaller again, a branch a leaf.
 *
 * [end of format]
 *
 * Nothing of the key is repeated, and a number that is looked for takes one line of a small map:
 * which one, weir_numbers_fetch() can say ahead.
 *
 * Limits:  words up to WEIR_NUMBERS_WORD_CNT_MAX. Thread: the stage's core only.
 * Source:  hash tries (Bagwell 2001) over open addressing.
 */
#ifndef WEIR_DATAPLANE_NUMBERS_H
#define WEIR_DATAPLANE_NUMBERS_H

#include "base/hash.h"
#include "dataplane/arena.h"
#include "dataplane/state.h"

WEIR_C_BEGIN

#define WEIR_NUMBERS_WORD_CNT_MAX 30
#define WEIR_NUMBERS_SIZE_CNT 7
#define WEIR_NUMBERS_BITS 5
#define WEIR_NUMBERS_LINK_CNT (1 << WEIR_NUMBERS_BITS)
#define WEIR_NUMBERS_SHIFT (64 - WEIR_NUMBERS_BITS) /* the first bits of 64 */

/* A map, and a part of one. In pages of the key group whose entry it belongs to. */
struct weir_numbers {
    uint32_t ref;
    uint16_t cnt; /* of a leaf */
    uint8_t size; /* of a leaf */
    uint8_t is_branch;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_numbers) == 8, "part of the format");

/* What maps of one kind have in common. */
struct weir_numbers_kind {
    struct weir_arena *arena;
    uint32_t word_cnt; /* of a value */
    uint16_t place_cnt[WEIR_NUMBERS_SIZE_CNT]; /* of a leaf */
};

WEIR_API void
weir_numbers_kind_init(struct weir_numbers_kind *kind, struct weir_arena *arena, uint32_t word_cnt);

/* weir_numbers_find - the words of a number, NULL: there are none. */
WEIR_API const uint64_t *weir_numbers_find(
    const struct weir_numbers_kind *kind, const struct weir_numbers *map, uint64_t number);
/* weir_numbers_open - the words of a number: as they are, or all zero where there were none. The
 * caller leaves one that is not zero, and touches them before that.
 *
 * Shape:   map is touched, and lies in the arena. Good until the next open or remove.
 * Errors:  WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int weir_numbers_open(const struct weir_numbers_kind *kind,
    struct weir_numbers *map, uint64_t number, uint64_t **ret_words);
static inline void
weir_numbers_touch(const struct weir_numbers_kind *kind, const uint64_t *words)
{
    weir_arena_touch(kind->arena, words, kind->word_cnt * (uint32_t)sizeof *words);
}
/* weir_numbers_remove - forget a number that is there, whatever its words are now. */
WEIR_API void weir_numbers_remove(
    const struct weir_numbers_kind *kind, struct weir_numbers *map, uint64_t number);
/* weir_numbers_clear - forget all. */
WEIR_API void weir_numbers_clear(const struct weir_numbers_kind *kind, struct weir_numbers *map);

/* weir_numbers_each - fn for each number, in no order that means anything; an error ends it. */
typedef int(weir_numbers_fn)(void *arg, uint64_t number, const uint64_t *words);
WEIR_API WEIR_MUST_USE int weir_numbers_each(const struct weir_numbers_kind *kind,
    const struct weir_numbers *map, weir_numbers_fn *fn, void *arg);
/* weir_numbers_move - write the references of a map anew, as weir_state_move_fn. Errors:
 * WEIR_EFORMAT: branches lie below more of them than there can be, as in a circle. */
WEIR_API WEIR_MUST_USE int weir_numbers_move(
    struct weir_arena *arena, const struct weir_state_mover *mover, struct weir_numbers *map);

/* ---- looking ahead ---- */

static inline bool
weir_numbers_is_empty(const struct weir_numbers *map)
{
    return map->ref == 0;
}

/* weir_numbers_leaf - the link that leads to the leaf of a hash; *ret_level is how many branches
 * there are above it. */
static inline const struct weir_numbers *
weir_numbers_leaf(const struct weir_numbers_kind *kind, const struct weir_numbers *map,
    uint64_t hash, uint32_t *ret_level)
{
    uint32_t level = 0;
    for (; map->is_branch; level++, hash <<= WEIR_NUMBERS_BITS) {
        const struct weir_numbers *links =
            (const struct weir_numbers *)weir_arena_ptr(kind->arena, map->ref);
        map = &links[hash >> WEIR_NUMBERS_SHIFT];
    }
    *ret_level = level;
    return map;
}

/* weir_numbers_fetch - ask for the line where a number is looked for first. */
static inline void
weir_numbers_fetch(
    const struct weir_numbers_kind *kind, const struct weir_numbers *map, uint64_t number)
{
    uint64_t hash = weir_hash_u64(number);
    uint32_t level;
    const struct weir_numbers *leaf = weir_numbers_leaf(kind, map, hash, &level);
    size_t place = ((hash & UINT32_MAX) * kind->place_cnt[leaf->size]) >> 32;
    __builtin_prefetch((const char *)weir_arena_ptr(kind->arena, leaf->ref) +
                           place * (1 + kind->word_cnt) * sizeof(uint64_t),
        1);
}

WEIR_C_END

#endif
