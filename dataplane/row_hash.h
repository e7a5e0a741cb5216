/* SPDX-License-Identifier: Apache-2.0 */
/* row_hash.h: the checksum of a table that does not depend on the order of its rows.
 *
 *     row      = finish( sum over fields i of value_i * M_i )        M_i odd, mixed from i
 *     checksum = sum over rows of row, wrapping at 2^64, beside the number of rows
 *
 * Values, in the order of the schema: integers, times and booleans as 64-bit two's complement; a
 * decimal as the low 64 bits of its scaled integer; a double as its bits; text as weir_row_text();
 * a null as WEIR_ROW_NULL. The discard sink of the engine, the hand-written kernels and the plain
 * reference (tests/reference/row_hash.py) compute the same. It finds mistakes, not attackers. Text
 * is not hashed by base/hash.h because the reference must be able to say it again in a few lines.
 */
#ifndef WEIR_DATAPLANE_ROW_HASH_H
#define WEIR_DATAPLANE_ROW_HASH_H

#include <string.h>

#include "base/rng.h"

#define WEIR_ROW_NULL UINT64_C(0x6e756c6c6e756c6c)

/* weir_row_mul - the multiplier of field idx; a constant wherever idx is one. */
static inline uint64_t
weir_row_mul(uint32_t idx)
{
    return weir_rng_mix(UINT64_C(0x9e3779b97f4a7c15) * (idx + UINT64_C(1))) | 1;
}

static inline uint64_t
weir_row_load8(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

static inline uint64_t
weir_row_load4(const char *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

static inline uint64_t
weir_row_fold(uint64_t a, uint64_t b)
{
    weir_u128 product = (weir_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* weir_row_text - a text as one 64-bit value.
 *
 * Shape:   any bytes; nothing outside them is read.
 * Source:  wyhash's shape: overlapping loads for short texts, 16 bytes a step for long ones.
 */
static inline uint64_t
weir_row_text(const char *text, size_t bytes)
{
    const uint64_t k1 = UINT64_C(0xa0761d6478bd642f);
    const uint64_t k2 = UINT64_C(0xe7037ed1a0b428db);
    uint64_t seed = bytes * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t a = 0;
    uint64_t b = 0;
    size_t left = bytes;
    while (left > 16) {
        seed = weir_row_fold(weir_row_load8(text) ^ k1, weir_row_load8(text + 8) ^ k2 ^ seed);
        text += 16;
        left -= 16;
    }
    if (left >= 8) {
        a = weir_row_load8(text);
        b = weir_row_load8(text + left - 8);
    } else if (left >= 4) {
        a = weir_row_load4(text);
        b = weir_row_load4(text + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(uint8_t)text[0] | (uint64_t)(uint8_t)text[left / 2] << 8 |
            (uint64_t)(uint8_t)text[left - 1] << 16;
    }
    return weir_row_fold(a ^ k1 ^ seed, b ^ k2);
}

/* weir_row_text_4_16 - weir_row_text() of 4 to 16 bytes without a jump by length.
 *
 * Shape:   8 bytes from the text's start on, and before its end, may be read: of one of less than 8
 *          the rest of a struct weir_str, and its length.
 */
static inline uint64_t
weir_row_text_4_16(const char *text, size_t bytes)
{
    uint64_t seed = bytes * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t lo = weir_row_load8(text);
    uint64_t hi = weir_row_load8(text + bytes - 8);
    uint64_t a = weir_select(bytes >= 8, lo, lo & UINT32_MAX);
    uint64_t b = weir_select(bytes >= 8, hi, hi >> 32);
    return weir_row_fold(a ^ UINT64_C(0xa0761d6478bd642f) ^ seed, b ^ UINT64_C(0xe7037ed1a0b428db));
}

/* weir_row_add - the sum with field idx's value added; start from 0. */
static inline uint64_t
weir_row_add(uint64_t sum, uint32_t idx, uint64_t value)
{
    return sum + value * weir_row_mul(idx);
}

/* weir_row_finish - the hash of a row from the sum over its fields. */
static inline uint64_t
weir_row_finish(uint64_t sum)
{
    sum = (sum ^ (sum >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return sum ^ (sum >> 32);
}

#endif
