/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h: the key hash, 64 bits, without a seed.
 *
 * [format: State / Hash of keys (WEIR_HASH_VERSION)]
 *
 *     an integer                    XXH3 of its 8 bytes in little-endian order
 *     a text of at most 20 bytes    its three key words (dataplane/table.h), folded into one
 *     a longer text                 XXH3 of its bytes
 *     key group                     hash 63..32 x max_parallelism, of which bits 63..32
 *
 * [end of format]
 *
 * Key groups, state pages and exchanges all stand on this hash, so it is part of the formats:
 * another function means another WEIR_HASH_VERSION, and stored state names the version it was
 * written under. Version 1 had texts of all lengths by XXH3, whose short forms differ by length: a
 * batch of words either guessed the length of each or computed them all.
 *
 * Source: XXH3_64bits of libxxhash 0.8, restated here for 8 bytes so that jobs need no second
 * header; the unit test compares with the library. The product of 128 bits whose halves are folded
 * into one is that of wyhash, and of XXH3's own longer forms.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <string.h>

#include "base/base.h"

WEIR_C_BEGIN

#define WEIR_HASH_VERSION 2
/* Texts up to this length are hashed inline, as three words. */
#define WEIR_HASH_INLINE_BYTES_MAX 20

WEIR_STATIC_ASSERT(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keys are hashed in little-endian order");

/* weir_hash_long - weir_hash_bytes for keys of more than WEIR_HASH_INLINE_BYTES_MAX bytes. */
WEIR_API uint64_t weir_hash_long(const void *key, size_t bytes);

/* weir_hash_key_group - the key group of a hash; max_parallelism > 0.
 *
 * The upper half of a product takes the place of a modulo: no division, and the low bits of the
 * hash stay independent of the key group, free for the table's directory. */
static inline uint32_t
weir_hash_key_group(uint64_t hash, uint32_t max_parallelism)
{
    return (uint32_t)(((hash >> 32) * max_parallelism) >> 32);
}

/* weir_hash_u64 - the hash of an integer key: that of its 8 bytes. 0xc73a... is the exclusive or of
 * two words of XXH3's secret.
 *
 * Hot: 1.0 ns in a batch loop (the library's call: 2.9 ns), bench_base. Thread: any; it is pure.
 */
static inline uint64_t
weir_hash_u64(uint64_t key)
{
    uint64_t h = ((key >> 32) | (key << 32)) ^ UINT64_C(0xc73ab174c5ecd5a2);
    h ^= ((h << 49) | (h >> 15)) ^ ((h << 24) | (h >> 40));
    h *= UINT64_C(0x9fb21c651e98df25);
    h ^= (h >> 35) + 8;
    h *= UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 28);
}

static inline uint64_t
weir_hash_fold(uint64_t a, uint64_t b)
{
    weir_u128 product = (weir_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* weir_hash_words - the hash of a text of at most WEIR_HASH_INLINE_BYTES_MAX bytes.
 *
 * Shape:   first: its length in the lower half, its first 4 bytes in the upper; then bytes 4 to 11,
 *          and 12 to 19. What is behind its end is zero.
 * Hot:     no jump depends on the length. The constants are odd, half of their bits are set, and no
 *          text is likely to hold them: a factor of 0 would lose the other one. Without the first
 *          word in the second product texts that differ in few letters would not spread evenly.
 */
static inline uint64_t
weir_hash_words(uint64_t first, uint64_t second, uint64_t third)
{
    first ^= UINT64_C(0xa0761d6478bd642f);
    uint64_t h = weir_hash_fold(first, second ^ UINT64_C(0xe7037ed1a0b428db));
    return weir_hash_fold(h ^ first, third ^ UINT64_C(0x8ebc6af09c88c6e3));
}

/* weir_hash_join - the hash of a key of two parts, the hash of the second joined to the first. */
static inline uint64_t
weir_hash_join(uint64_t first, uint64_t second)
{
    return weir_hash_u64(first ^ (second * UINT64_C(0x9e3779b97f4a7c15)));
}

/* weir_hash_bytes - the hash of a text of any length, 0 included.
 *
 * Shape:   key may be NULL when bytes is 0; no alignment is asked for.
 */
static inline uint64_t
weir_hash_bytes(const void *key, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)key;
    if (bytes > WEIR_HASH_INLINE_BYTES_MAX) {
        return weir_hash_long(key, bytes);
    }
    uint32_t head = 0;
    uint64_t second = 0;
    uint64_t third = 0;
    if (bytes >= 4) {
        memcpy(&head, p, 4);
        if (bytes > 12) {
            memcpy(&second, p + 4, 8);
            memcpy(&third, p + bytes - 8, 8);
            third >>= 8 * (WEIR_HASH_INLINE_BYTES_MAX - bytes);
        } else if (bytes >= 8) {
            memcpy(&second, p + bytes - 8, 8);
            second >>= 8 * (12 - bytes);
        } else {
            uint32_t last;
            memcpy(&last, p + bytes - 4, 4);
            second = (uint64_t)last >> 8 * (8 - bytes);
        }
    } else if (bytes > 0) {
        head = (uint32_t)p[0] | (uint32_t)p[bytes >> 1] << 8 * (bytes >> 1) |
               (uint32_t)p[bytes - 1] << 8 * (bytes - 1);
    }
    return weir_hash_words((uint64_t)head << 32 | bytes, second, third);
}

WEIR_C_END

#endif
