/* SPDX-License-Identifier: Apache-2.0 */
/* check.h: assertions on ourselves, never on outside input.
 *
 * WEIR_CHECK is always on: it guards what would corrupt memory, a checkpoint or the wire.
 * WEIR_DCHECK is on in debug, race, fuzz and simulation builds (-Dchecks=true).
 */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

#include "base/base.h"

WEIR_C_BEGIN

/* weir_check_fail - print the place, the condition and a formatted text, then abort. */
WEIR_API void weir_check_fail(const char *place, const char *cond, const char *fmt, ...)
    WEIR_PRINTF(3, 4) __attribute__((noreturn, cold));

WEIR_C_END

#define WEIR_CHECK_STR2(x) #x
#define WEIR_CHECK_STR(x) WEIR_CHECK_STR2(x)
#define WEIR_CHECK(cond, ...)                                                           \
    do {                                                                                \
        if (WEIR_UNLIKELY(!(cond))) {                                                   \
            weir_check_fail(__FILE__ ":" WEIR_CHECK_STR(__LINE__), #cond, __VA_ARGS__); \
        }                                                                               \
    } while (0)

#ifdef WEIR_DCHECKS
#define WEIR_DCHECK(cond, ...) WEIR_CHECK(cond, __VA_ARGS__)
#else
#define WEIR_DCHECK(cond, ...) \
    do {                       \
        (void)sizeof(cond);    \
    } while (0)
#endif

#endif
