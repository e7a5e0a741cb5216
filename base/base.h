/* SPDX-License-Identifier: Apache-2.0 */
/* base.h: attributes, sizes and arithmetic that every other unit stands on. */
#ifndef WEIR_BASE_BASE_H
#define WEIR_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEIR_STATIC_ASSERT(cond, text) static_assert(cond, text)
#define WEIR_RESTRICT __restrict__
#define WEIR_C_BEGIN extern "C" {
#define WEIR_C_END }
#else
#define WEIR_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define WEIR_RESTRICT restrict
#define WEIR_C_BEGIN
#define WEIR_C_END
#endif

__extension__ typedef unsigned __int128 weir_u128;

#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_USE __attribute__((warn_unused_result))
#define WEIR_UNUSED __attribute__((unused))
#define WEIR_PRINTF(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))
#define WEIR_LIKELY(x) __builtin_expect(!!(x), 1)
#define WEIR_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* One cache line of the hosts we build for, and the pair that the adjacent-line prefetcher
 * moves. */
#define WEIR_LINE_BYTES 64
/* Locality of a prefetch into the second-level cache: for many at a time, since the first level has
 * few places for lines on their way. */
#define WEIR_FETCH_L2 2
#define WEIR_LINE_PAIR_BYTES 128
#define WEIR_ALIGNED(bytes) __attribute__((aligned(bytes)))

#define WEIR_PAGE_BYTES 4096
#define WEIR_KIB (UINT64_C(1) << 10)
#define WEIR_MIB (UINT64_C(1) << 20)
#define WEIR_GIB (UINT64_C(1) << 30)

#define WEIR_NS INT64_C(1)
#define WEIR_US INT64_C(1000)
#define WEIR_MS INT64_C(1000000)
#define WEIR_SEC_NS INT64_C(1000000000)

#define WEIR_ARRAY_CNT(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t
weir_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
weir_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline int64_t
weir_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t
weir_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline uint32_t
weir_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* weir_select - one of two values without a jump: where the choice comes in no order that a jump
 * could learn. In assembly since compilers make a jump of whatever says the same in C. */
static inline uint64_t
weir_select(bool is_first, uint64_t first, uint64_t second)
{
#if defined(__x86_64__)
    __asm__("testb %b1, %b1\n\tcmovneq %2, %0" : "+r"(second) : "q"(is_first), "rm"(first) : "cc");
    return second;
#else
    uint64_t mask = -(uint64_t)is_first;
    __asm__("" : "+r"(mask));
    return second ^ ((first ^ second) & mask);
#endif
}

static inline bool
weir_is_pow2(uint64_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* weir_align_up - x rounded up to a multiple of align (a power of two). */
static inline uint64_t
weir_align_up(uint64_t x, uint64_t align)
{
    return (x + align - 1) & ~(align - 1);
}

/* weir_pow2_up - the smallest power of two that is at least x; x in [1, 2^63]. */
static inline uint64_t
weir_pow2_up(uint64_t x)
{
    return x <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(x - 1));
}

/* weir_add_sat - a + b, saturating at the ends of int64_t: event time never wraps. */
static inline int64_t
weir_add_sat(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return b > 0 ? INT64_MAX : INT64_MIN;
    }
    return sum;
}

/* weir_sub_sat - a - b, saturating at the ends of int64_t. */
static inline int64_t
weir_sub_sat(int64_t a, int64_t b)
{
    int64_t diff;
    if (__builtin_sub_overflow(a, b, &diff)) {
        return b < 0 ? INT64_MAX : INT64_MIN;
    }
    return diff;
}

#endif
