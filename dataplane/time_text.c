/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/time_text.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
#define DAYS_TO_1970 719468 /* from 0000-03-01 */
#define YEAR_DAYS_400 146097

/* Two digits as a number, or a value above 99 where they are none. */
static inline uint32_t
two(const char *text)
{
    uint32_t high = (uint32_t)(uint8_t)text[0] - '0';
    uint32_t low = (uint32_t)(uint8_t)text[1] - '0';
    return (high > 9 || low > 9) ? 1000 : high * 10 + low;
}

/* Years begin in March, so that the leap day is the last of one. Source: Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
static int64_t
days_from_date(int64_t year, uint32_t month, uint32_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    uint32_t year_of_era = (uint32_t)(year - era * 400);
    uint32_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * YEAR_DAYS_400 + day_of_era - DAYS_TO_1970;
}

static uint32_t
days_of_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month] + (month == 2 && leap);
}

/* The milliseconds of a fraction's digits and whether all bytes are digits, 1 to 9 of them. */
static bool
fraction(const char *text, size_t bytes, uint32_t *ret_ms)
{
    uint32_t ms = 0;
    if (bytes < 1 || bytes > 9) {
        return false;
    }
    for (size_t i = 0; i < bytes || i < 3; i++) {
        uint32_t digit = i < bytes ? (uint32_t)(uint8_t)text[i] - '0' : 0;
        if (digit > 9) {
            return false;
        }
        ms = i < 3 ? ms * 10 + digit : ms;
    }
    *ret_ms = ms;
    return true;
}

bool
weir_time_parse(const char *text, size_t bytes, int64_t *ret_ms)
{
    uint32_t ms = 0;
    if (bytes < 19) {
        return false;
    }
    uint32_t year = two(text) * 100 + two(text + 2);
    uint32_t month = two(text + 5);
    uint32_t day = two(text + 8);
    uint32_t hour = two(text + 11);
    uint32_t minute = two(text + 14);
    uint32_t second = two(text + 17);
    bool shaped = text[4] == '-' && text[7] == '-' && (text[10] == ' ' || text[10] == 'T') &&
                  text[13] == ':' && text[16] == ':';
    /* A pair that is no number is 1000: too much for every field, also within the year. */
    bool ranged = two(text) < 100 && two(text + 2) < 100 && month >= 1 && month <= 12 &&
                  hour < 24 && minute < 60 && second < 60;
    if (!shaped || !ranged || day < 1 || day > days_of_month(year, month)) {
        return false;
    }
    if (text[bytes - 1] == 'Z') {
        bytes--;
    }
    if (bytes > 19 && (text[19] != '.' || !fraction(text + 20, bytes - 20, &ms))) {
        return false;
    }
    uint32_t of_day = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    *ret_ms = days_from_date(year, month, day) * DAY_MS + of_day;
    return true;
}

static inline void
put_two(char *to, uint32_t value)
{
    static const char digits[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";
    memcpy(to, digits + (size_t)value * 2, 2);
}

/* Of times that have a text. Divisions by years and months are products of which the upper bits are
 * the quotient. Source: Neri and Schneider, "Euclidean affine functions and their application to
 * calendar algorithms". */
static void
put_date(int64_t ms, int64_t *ret_days, char *to)
{
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
    uint32_t quarters = (uint32_t)(days + DAYS_TO_1970 + YEAR_DAYS_400) * 4 + 3;
    uint32_t century = quarters / YEAR_DAYS_400 - 4; /* year 0 begins before its March */
    uint64_t of_century = (quarters % YEAR_DAYS_400 | 3) * UINT64_C(2939745);
    uint32_t day_of_year = (uint32_t)of_century / 2939745 / 4;
    uint32_t months = 2141 * day_of_year + 197913;
    uint32_t is_next = day_of_year >= 306; /* January and February */
    uint32_t year = 100 * century + (uint32_t)(of_century >> 32) + is_next;
    memcpy(to, "0000-00-00", WEIR_DATE_TEXT_BYTES);
    put_two(to, year / 100);
    put_two(to + 2, year % 100);
    put_two(to + 5, (months >> 16) - 12 * is_next);
    put_two(to + 8, (months & 0xffff) / 2141 + 1);
    *ret_days = days;
}

size_t
weir_date_print(int64_t ms, char *to)
{
    int64_t days;
    if (!weir_time_has_text(ms)) {
        return 0;
    }
    put_date(ms, &days, to);
    return WEIR_DATE_TEXT_BYTES;
}

size_t
weir_time_print(int64_t ms, char *to)
{
    int64_t days;
    if (!weir_time_has_text(ms)) {
        return 0;
    }
    put_date(ms, &days, to);
    uint32_t of_day = (uint32_t)(ms - days * DAY_MS);
    memcpy(to + WEIR_DATE_TEXT_BYTES, " 00:00:00.000", WEIR_TIME_TEXT_BYTES - WEIR_DATE_TEXT_BYTES);
    put_two(to + 11, of_day / 3600000);
    put_two(to + 14, of_day / 60000 % 60);
    put_two(to + 17, of_day / 1000 % 60);
    to[20] = (char)('0' + of_day / 100 % 10);
    put_two(to + 21, of_day % 100);
    return WEIR_TIME_TEXT_BYTES;
}
