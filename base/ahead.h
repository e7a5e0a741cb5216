/* SPDX-License-Identifier: Apache-2.0 */
/* ahead.h: memory that a source of this core will lend next, asked for while the core has other
 * work.
 *
 * A core that reads a mapped file waits for memory in the loop that first touches the records, and
 * leaves memory idle in the loops behind it. A source says where its next records lie; whichever
 * loop computes more than it loads asks for a line or two of them a row, into L2. It changes when
 * memory is read and nothing else: forget it, or ask twice, and every answer stays the same.
 *
 * Thread:  each has its own.
 */
#ifndef WEIR_BASE_AHEAD_H
#define WEIR_BASE_AHEAD_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Not yet taken: [at, end). */
struct weir_ahead {
    const char *at;
    const char *end;
};

extern WEIR_API __thread struct weir_ahead weir_ahead_own
    __attribute__((tls_model("initial-exec")));

/* weir_ahead_set - the memory that follows what is lent now. It need not be mapped. */
static inline void
weir_ahead_set(const char *at, size_t bytes)
{
    weir_ahead_own.at = at;
    weir_ahead_own.end = at + bytes;
}

/* weir_ahead_lines - how many lines nobody has taken yet. */
static inline size_t
weir_ahead_lines(void)
{
    return (size_t)(weir_ahead_own.end - weir_ahead_own.at) / WEIR_LINE_BYTES;
}

/* weir_ahead_take - cnt lines for weir_ahead_ask(), of which the last ones may lie behind the end,
 * where the memory after next is. NULL: none is left. */
static inline const char *
weir_ahead_take(size_t cnt)
{
    const char *at = weir_ahead_own.at;
    size_t left = weir_ahead_lines();
    if (left == 0) {
        return NULL;
    }
    weir_ahead_own.at = at + (cnt < left ? cnt : left) * WEIR_LINE_BYTES;
    return at;
}

/* weir_ahead_ask - ask for cnt of the lines that were taken. Returns the one behind them. */
static inline __attribute__((always_inline)) const char *
weir_ahead_ask(const char *at, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++, at += WEIR_LINE_BYTES) {
        __builtin_prefetch(at, 0, WEIR_FETCH_L2);
    }
    return at;
}

#ifdef __cplusplus
}
#endif

#endif
