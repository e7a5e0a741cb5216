/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h: the key hash: XXH3, 64 bits, seed 0, over the key's bytes in little-endian order.
 *
 * Key groups, state pages and exchanges all stand on this hash, so it is part of the formats:
 * another function means another WEIR_HASH_VERSION, and stored state names the version it was
 * written under. An integer key is hashed as its 8 bytes; keys of up to 16 bytes are hashed inline,
 * longer ones by a call.
 *
 * Source: XXH3_64bits of libxxhash 0.8, whose short-key paths are restated here so that jobs need
 * no second header; the unit test compares all lengths with the library.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <string.h>

#include "base/base.h"

WEIR_C_BEGIN

#define WEIR_HASH_VERSION 1
/* Keys up to this length are hashed inline. */
#define WEIR_HASH_INLINE_BYTES_MAX 16

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

/* XXH3's last step for 4 to 8 bytes; 0xc73a... is the exclusive or of two words of its secret. */
static inline uint64_t
weir_hash_mix_8(uint64_t word, uint64_t bytes)
{
    uint64_t h = word ^ UINT64_C(0xc73ab174c5ecd5a2);
    h ^= ((h << 49) | (h >> 15)) ^ ((h << 24) | (h >> 40));
    h *= UINT64_C(0x9fb21c651e98df25);
    h ^= (h >> 35) + bytes;
    h *= UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 28);
}

/* weir_hash_u64 - the hash of an integer key: that of its 8 bytes.
 *
 * Hot: 1.0 ns in a batch loop (the library's call: 2.9 ns), bench_base. Thread: any; it is pure.
 */
static inline uint64_t
weir_hash_u64(uint64_t key)
{
    return weir_hash_mix_8((key >> 32) | (key << 32), 8);
}

static inline uint64_t
weir_hash_avalanche(uint64_t h)
{
    h = (h ^ (h >> 33)) * UINT64_C(0xc2b2ae3d27d4eb4f);
    h = (h ^ (h >> 29)) * UINT64_C(0x165667b19e3779f9);
    return h ^ (h >> 32);
}

/* weir_hash_u128 - the hash of 16 bytes, or of 9 to 15: lo is the first 8 of them, hi the last
 * 8. */
static inline uint64_t
weir_hash_u128(uint64_t lo, uint64_t hi, uint64_t bytes)
{
    lo ^= UINT64_C(0x6782737bea4239b9);
    hi ^= UINT64_C(0xaf56bc3b0996523a);
    weir_u128 product = (weir_u128)lo * hi;
    uint64_t h = bytes + __builtin_bswap64(lo) + hi;
    h += (uint64_t)product ^ (uint64_t)(product >> 64);
    h = (h ^ (h >> 37)) * UINT64_C(0x165667919e3779f9);
    return h ^ (h >> 32);
}

/* weir_hash_join - the hash of a key of two parts, the hash of the second joined to the first. */
static inline uint64_t
weir_hash_join(uint64_t first, uint64_t second)
{
    return weir_hash_u64(first ^ (second * UINT64_C(0x9e3779b97f4a7c15)));
}

/* weir_hash_bytes - the hash of a key of any length, 0 included.
 *
 * Shape:   key may be NULL when bytes is 0; no alignment is asked for.
 * Hot:     2 ns up to 16 bytes, 3 to 4 ns for 17 to 64 by a call (bench_base).
 */
static inline uint64_t
weir_hash_bytes(const void *key, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)key;
    if (bytes > WEIR_HASH_INLINE_BYTES_MAX) {
        return weir_hash_long(key, bytes);
    }
    if (bytes > 8) {
        uint64_t lo;
        uint64_t hi;
        memcpy(&lo, p, 8);
        memcpy(&hi, p + bytes - 8, 8);
        return weir_hash_u128(lo, hi, bytes);
    }
    if (bytes >= 4) {
        uint32_t first;
        uint32_t last;
        memcpy(&first, p, 4);
        memcpy(&last, p + bytes - 4, 4);
        return weir_hash_mix_8(last + ((uint64_t)first << 32), bytes);
    }
    if (bytes > 0) {
        uint32_t word = (uint32_t)p[0] << 16 | (uint32_t)p[bytes >> 1] << 24 | p[bytes - 1] |
                        (uint32_t)(bytes << 8);
        return weir_hash_avalanche(word ^ UINT64_C(0x87275a9b));
    }
    return weir_hash_avalanche(UINT64_C(0x8726f9105dc21ddc));
}

/* weir_hash_bytes_4_16 - weir_hash_bytes() of 4 to 16 bytes, both of its ways at once: for loops
 * over keys of many lengths.
 *
 * Shape:   8 bytes from a key's start on, and before its end, may be read: of one of less than 8
 *          the rest of a struct weir_str, and its length.
 */
static inline uint64_t
weir_hash_bytes_4_16(const char *key, size_t bytes)
{
    uint64_t lo;
    uint64_t hi;
    memcpy(&lo, key, 8);
    memcpy(&hi, key + bytes - 8, 8);
    uint64_t narrow = weir_hash_mix_8((hi >> 32) | (lo << 32), bytes);
    uint64_t wide = weir_hash_u128(lo, hi, bytes);
    return weir_select(bytes > 8, wide, narrow);
}

WEIR_C_END

#endif
