/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h: random numbers that a seed repeats, for generators, tests and simulated worlds.
 *
 * The stream of a seed is part of our formats (a generated input is named by its seed) and does not
 * change. It is not for secrets. A generator belongs to one core; others get theirs by
 * weir_rng_fork(), or draw by position with weir_rng_at(), which keeps nothing.
 *
 * Source: xoshiro256** seeded by splitmix64, Blackman and Vigna, "Scrambled linear pseudorandom
 * number generators" (2018). Bounded draws: the high half of a 64 x 64 product (Lemire, "Fast
 * random integer generation in an interval", 2019) without its rejection step: the bias is below n
 * / 2^64.
 */
#ifndef WEIR_BASE_RNG_H
#define WEIR_BASE_RNG_H

#include "base/base.h"

struct weir_rng {
    uint64_t s[4];
};

/* weir_rng_mix - splitmix64's finaliser: a bijection in which each input bit flips half the
 * output. */
static inline uint64_t
weir_rng_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* weir_rng_at - number idx of the splitmix64 stream of seed, computed directly. */
static inline uint64_t
weir_rng_at(uint64_t seed, uint64_t idx)
{
    return weir_rng_mix(seed + (idx + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* weir_rng_init - the stream of seed; any seed is as good as another, 0 too. */
static inline void
weir_rng_init(struct weir_rng *rng, uint64_t seed)
{
    for (uint64_t i = 0; i < 4; i++) {
        rng->s[i] = weir_rng_at(seed, i);
    }
}

static inline uint64_t
weir_rng_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* weir_rng_u64 - 64 random bits. Hot: about 1 ns. */
static inline uint64_t
weir_rng_u64(struct weir_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t drawn = weir_rng_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = weir_rng_rotl(s[3], 45);
    return drawn;
}

/* weir_rng_scale - map 64 random bits onto [0, n); n > 0. For bits that come from elsewhere. */
static inline uint64_t
weir_rng_scale(uint64_t bits, uint64_t n)
{
    return (uint64_t)(((weir_u128)bits * n) >> 64);
}

/* weir_rng_below - uniform in [0, n); n > 0. No division. */
static inline uint64_t
weir_rng_below(struct weir_rng *rng, uint64_t n)
{
    return weir_rng_scale(weir_rng_u64(rng), n);
}

/* weir_rng_between - uniform in [lo, hi], both included; lo <= hi, and not the whole of int64_t. */
static inline int64_t
weir_rng_between(struct weir_rng *rng, int64_t lo, int64_t hi)
{
    return (int64_t)((uint64_t)lo + weir_rng_below(rng, (uint64_t)hi - (uint64_t)lo + 1));
}

/* weir_rng_unit - uniform in [0, 1), in steps of 2^-53. */
static inline double
weir_rng_unit(struct weir_rng *rng)
{
    return (double)(weir_rng_u64(rng) >> 11) * 0x1.0p-53;
}

/* weir_rng_chance - true num times in den; den > 0. */
static inline bool
weir_rng_chance(struct weir_rng *rng, uint64_t num, uint64_t den)
{
    return weir_rng_below(rng, den) < num;
}

/* weir_rng_fork - a generator of its own for a part named by id: same parent state and id, same
 * child. The parent is not advanced. */
static inline void
weir_rng_fork(const struct weir_rng *rng, uint64_t id, struct weir_rng *ret_child)
{
    weir_rng_init(
        ret_child, weir_rng_mix(rng->s[0] ^ weir_rng_rotl(rng->s[3], 32)) ^ weir_rng_mix(id));
}

#endif
