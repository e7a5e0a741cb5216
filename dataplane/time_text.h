/* SPDX-License-Identifier: Apache-2.0 */
/* time_text.h: event times as people write them, and back.
 *
 *     YYYY-MM-DD HH:MM:SS[.fraction][Z]      UTC, years 0000 to 9999, Gregorian throughout
 *
 * A `T` may stand for the blank. The fraction has 1 to 9 digits and is cut to milliseconds, the
 * unit of event time. Leap seconds do not exist here, as in POSIX time.
 */
#ifndef WEIR_DATAPLANE_TIME_TEXT_H
#define WEIR_DATAPLANE_TIME_TEXT_H

#include "base/base.h"

WEIR_C_BEGIN

/* Lengths of what weir_time_print and weir_date_print write. */
#define WEIR_TIME_TEXT_BYTES 23
#define WEIR_DATE_TEXT_BYTES 10

/* weir_time_has_text - whether the year is in 0000 to 9999. */
static inline bool
weir_time_has_text(int64_t ms)
{
    return ms >= INT64_C(-62167219200000) && ms < INT64_C(253402300800000);
}

/* weir_time_parse - milliseconds since 1970 from a text; false where it is not one, in full. */
WEIR_MUST_USE WEIR_API bool weir_time_parse(const char *text, size_t bytes, int64_t *ret_ms);

/* weir_time_print - `YYYY-MM-DD HH:MM:SS.mmm` without a NUL.
 *
 * Returns: WEIR_TIME_TEXT_BYTES, or 0 where weir_time_has_text() says no.
 */
WEIR_MUST_USE WEIR_API size_t weir_time_print(int64_t ms, char *to);
/* weir_date_print - `YYYY-MM-DD` likewise: WEIR_DATE_TEXT_BYTES, or 0. */
WEIR_MUST_USE WEIR_API size_t weir_date_print(int64_t ms, char *to);

WEIR_C_END

#endif
