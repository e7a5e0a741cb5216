/* SPDX-License-Identifier: Apache-2.0 */
/* keygroup.h: which key group a key belongs to, and which subtask owns a key group.
 *
 * Keyed state moves in key groups: there are `max_parallelism` of them, for ever, and each subtask
 * owns one contiguous range. The group of a hash is weir_hash_key_group() (base/hash.h); the ranges
 * are Flink's integer formulas, so that a plan reads alike in both:
 *
 *     owner(g)  = g * parallelism / max_parallelism
 *     range(i)  = [ceil(i * max / p), ((i + 1) * max - 1) / p]
 *
 * Source: Flink's KeyGroupRangeAssignment; the hash is ours (base/hash.h).
 */
#ifndef WEIR_DATAPLANE_KEYGROUP_H
#define WEIR_DATAPLANE_KEYGROUP_H

#include "base/err.h"
#include "base/hash.h"

/* Key group numbers are 15 bits wide in pages and frames. */
#define WEIR_KEYGROUP_CNT_MAX 32768
/* The least that a job gets when it does not say: room to grow from one subtask to 128. */
#define WEIR_KEYGROUP_CNT_DEFAULT_MIN 128

struct weir_keygroup_range {
    uint32_t first;
    uint32_t cnt;
};

/* A set of key groups: a bit for each. */
#define WEIR_KEYGROUP_SET_WORD_CNT(max_parallelism) (((max_parallelism) + 63) / 64)

static inline bool
weir_keygroup_has(const uint64_t *set, uint32_t group)
{
    return (set[group / 64] >> (group & 63) & 1) != 0;
}

static inline void
weir_keygroup_put(uint64_t *set, uint32_t group, bool is_in)
{
    uint64_t bit = UINT64_C(1) << (group & 63);
    set[group / 64] = is_in ? set[group / 64] | bit : set[group / 64] & ~bit;
}

/* weir_keygroup_check - 0, or WEIR_EPLAN: parallelism in [1, max], max in [1, 32768]. */
WEIR_MUST_USE static inline int
weir_keygroup_check(uint32_t parallelism, uint32_t max_parallelism)
{
    if (max_parallelism < 1 || max_parallelism > WEIR_KEYGROUP_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "max_parallelism is %u: it must be in [1, %d]",
            max_parallelism, WEIR_KEYGROUP_CNT_MAX);
    }
    if (parallelism < 1 || parallelism > max_parallelism) {
        return weir_err_push(WEIR_EPLAN,
            "parallelism is %u: it must be in [1, max_parallelism = %u]", parallelism,
            max_parallelism);
    }
    return 0;
}

/* weir_keygroup_default - the key groups of a job that names none: 1.5 times its parallelism,
 * rounded up to a power of two, in [128, 32768].
 *
 * Errors:  WEIR_EPLAN when parallelism is 0 or above 32768.
 */
WEIR_MUST_USE static inline int
weir_keygroup_default(uint32_t parallelism, uint32_t *ret_max_parallelism)
{
    int err = weir_keygroup_check(parallelism, WEIR_KEYGROUP_CNT_MAX);
    if (err < 0) {
        return err;
    }
    uint64_t cnt = weir_pow2_up((uint64_t)parallelism + parallelism / 2);
    cnt = weir_max_u64(cnt, WEIR_KEYGROUP_CNT_DEFAULT_MIN);
    *ret_max_parallelism = (uint32_t)(cnt < WEIR_KEYGROUP_CNT_MAX ? cnt : WEIR_KEYGROUP_CNT_MAX);
    return 0;
}

/* weir_keygroup_owner - the subtask that owns a key group. Divides: for plans, not for records. */
static inline uint32_t
weir_keygroup_owner(uint32_t group, uint32_t parallelism, uint32_t max_parallelism)
{
    return (uint32_t)((uint64_t)group * parallelism / max_parallelism);
}

/* weir_keygroup_owners - the owner of every key group as a table, for records.
 *
 * Shape:   ret_owner has room for max_parallelism entries.
 */
static inline void
weir_keygroup_owners(uint32_t parallelism, uint32_t max_parallelism, uint16_t *ret_owner)
{
    for (uint32_t g = 0; g < max_parallelism; g++) {
        ret_owner[g] = (uint16_t)weir_keygroup_owner(g, parallelism, max_parallelism);
    }
}

/* weir_keygroup_range_of - the key groups that subtask `subtask` of `parallelism` owns. */
static inline struct weir_keygroup_range
weir_keygroup_range_of(uint32_t subtask, uint32_t parallelism, uint32_t max_parallelism)
{
    uint64_t first = ((uint64_t)subtask * max_parallelism + parallelism - 1) / parallelism;
    uint64_t last = (((uint64_t)subtask + 1) * max_parallelism - 1) / parallelism;
    struct weir_keygroup_range range;
    range.first = (uint32_t)first;
    range.cnt = (uint32_t)(last - first + 1);
    return range;
}

#endif
