/* SPDX-License-Identifier: Apache-2.0 */
/* cpuset.h: a set of Linux CPU numbers, and the kernel's list syntax for it ("0-3,8,10-14:1/2").
 *
 * Limits:  1,024 CPUs, as cpu_set_t. Thread: a plain value.
 */
#ifndef WEIR_BASE_CPUSET_H
#define WEIR_BASE_CPUSET_H

#include "base/base.h"

#define WEIR_CPUSET_CPU_CNT_MAX 1024
#define WEIR_CPUSET_NONE UINT32_MAX
/* The longest list: every second CPU, each with its comma. */
#define WEIR_CPUSET_TEXT_BYTES 2560

struct weir_cpuset {
    uint64_t word[WEIR_CPUSET_CPU_CNT_MAX / 64];
};

static inline void
weir_cpuset_add(struct weir_cpuset *set, uint32_t cpu)
{
    set->word[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static inline void
weir_cpuset_drop(struct weir_cpuset *set, uint32_t cpu)
{
    set->word[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
}

static inline bool
weir_cpuset_has(const struct weir_cpuset *set, uint32_t cpu)
{
    return cpu < WEIR_CPUSET_CPU_CNT_MAX && (set->word[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static inline uint32_t
weir_cpuset_cnt(const struct weir_cpuset *set)
{
    uint32_t cnt = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(set->word); i++) {
        cnt += (uint32_t)__builtin_popcountll(set->word[i]);
    }
    return cnt;
}

/* weir_cpuset_next - the first member at or after cpu, or WEIR_CPUSET_NONE; start at 0. */
static inline uint32_t
weir_cpuset_next(const struct weir_cpuset *set, uint32_t cpu)
{
    for (; cpu < WEIR_CPUSET_CPU_CNT_MAX; cpu++) {
        if (weir_cpuset_has(set, cpu)) {
            return cpu;
        }
    }
    return WEIR_CPUSET_NONE;
}

static inline void
weir_cpuset_or(struct weir_cpuset *set, const struct weir_cpuset *other)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(set->word); i++) {
        set->word[i] |= other->word[i];
    }
}

static inline void
weir_cpuset_and(struct weir_cpuset *set, const struct weir_cpuset *other)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(set->word); i++) {
        set->word[i] &= other->word[i];
    }
}

/* weir_cpuset_without - take the members of other out of set. */
static inline void
weir_cpuset_without(struct weir_cpuset *set, const struct weir_cpuset *other)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(set->word); i++) {
        set->word[i] &= ~other->word[i];
    }
}

static inline bool
weir_cpuset_equal(const struct weir_cpuset *a, const struct weir_cpuset *b)
{
    uint64_t diff = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(a->word); i++) {
        diff |= a->word[i] ^ b->word[i];
    }
    return diff == 0;
}

/* weir_cpuset_parse - read a list; blanks around it and an empty list are allowed.
 *
 * Errors:  WEIR_EINVAL with the place; nothing is written then.
 */
WEIR_API WEIR_MUST_USE int weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set);

/* weir_cpuset_print - write the list ("-" when empty) and return buf.
 *
 * Shape:   buf_bytes at most WEIR_CPUSET_TEXT_BYTES is ever needed; a shorter one ends in "...".
 */
WEIR_API const char *weir_cpuset_print(const struct weir_cpuset *set, char *buf, size_t buf_bytes);

#endif
