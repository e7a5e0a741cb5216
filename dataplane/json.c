/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/json.h"

#include <stdlib.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

static inline bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline void
skip_space(struct weir_json *json)
{
    /* Lines of machines have none: one look, then the loop. */
    while (WEIR_UNLIKELY(json->at < json->end && is_space(*json->at))) {
        json->at++;
    }
}

int
weir_json_fail(struct weir_json *json, const char *fault)
{
    json->fault = fault;
    return WEIR_EDATA;
}

static int
fail_at(struct weir_json *json, const char *at, const char *fault)
{
    json->at = at;
    return weir_json_fail(json, at >= json->end ? "the text ends too early" : fault);
}

/* --- texts --- */

/* The first byte from p on that a text cannot simply contain: a quote, a backslash, a control byte.
 * *io_high collects whether bytes above 127 were passed: only then UTF-8 needs a look. */
static inline const char *
text_stop(const struct weir_json *json, const char *p, bool *io_high)
{
#if defined(__AVX2__)
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i slash = _mm256_set1_epi8('\\');
    const __m256i last_control = _mm256_set1_epi8(0x1f);
    while (json->safe_end - p >= 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, last_control), bytes);
        __m256i hit = _mm256_or_si256(
            _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_cmpeq_epi8(bytes, slash)),
            control);
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(hit);
        uint32_t highs = (uint32_t)_mm256_movemask_epi8(bytes);
        if (hits != 0) {
            *io_high |= (highs & (hits ^ (hits - 1))) != 0;
            return p + __builtin_ctz(hits);
        }
        *io_high |= highs != 0;
        p += 32;
    }
#endif
    for (; p < json->end; p++) {
        uint8_t c = (uint8_t)*p;
        if (c == '"' || c == '\\' || c < 0x20) {
            return p;
        }
        *io_high |= c >= 0x80;
    }
    return p;
}

/* The bytes of the well-formed UTF-8 character at p (no overlong forms, no surrogates), or 0. The
 * second byte's range depends on the first: Unicode 15, table 3-7. */
static uint32_t
utf8_bytes(const uint8_t *p, const uint8_t *end)
{
    uint8_t c = *p;
    if (c < 0x80) {
        return 1;
    }
    uint32_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) <= more || p[1] < low || p[1] > high) {
        return 0;
    }
    for (uint32_t i = 2; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return more + 1;
}

/* The first byte that is not part of well-formed UTF-8, or end. */
static const char *
utf8_stop(const char *text, const char *end)
{
    const uint8_t *p = (const uint8_t *)text;
    const uint8_t *stop = (const uint8_t *)end;
    uint32_t bytes = 1;
    while (p < stop && (bytes = utf8_bytes(p, stop)) > 0) {
        p += bytes;
    }
    return (const char *)p;
}

/* The four hexadecimal digits at p, or -1. */
static int32_t
hex4(const char *p)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int32_t digit = is_digit(c)              ? c - '0'
                        : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                        : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* The bytes of the escape at p, whose backslash was seen; 0 where it is none. */
static uint32_t
escape_bytes(const char *p, const char *end)
{
    if (end - p < 2) {
        return 0;
    }
    if (p[1] != 'u') {
        return memchr("\"\\/bfnrt", p[1], 8) != NULL ? 2 : 0;
    }
    int32_t code = end - p >= 6 ? hex4(p + 2) : -1;
    if (code < 0 || (code >= 0xdc00 && code < 0xe000)) {
        return 0;
    }
    if (code < 0xd800 || code >= 0xe000) {
        return 6;
    }
    int32_t second = end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : -1;
    return second >= 0xdc00 && second < 0xe000 ? 12 : 0;
}

/* The text whose opening quote is at json->at; the scanner then stands behind the closing one. */
static inline int
scan_text(struct weir_json *json, struct weir_json_text *ret_text)
{
    const char *begin = json->at + 1;
    const char *p = begin;
    bool has_high = false;
    bool has_escapes = false;
    for (;;) {
        p = text_stop(json, p, &has_high);
        if (WEIR_LIKELY(p < json->end && *p == '"')) {
            break;
        }
        if (p >= json->end) {
            return fail_at(json, json->end, "");
        }
        if (*p != '\\') {
            return fail_at(json, p, "a control byte stands in a text");
        }
        uint32_t bytes = escape_bytes(p, json->end);
        if (bytes == 0) {
            return fail_at(json, p, "this escape is not one of JSON's");
        }
        has_escapes = true;
        p += bytes;
    }
    if (WEIR_UNLIKELY(has_high)) {
        const char *stop = utf8_stop(begin, p);
        if (stop != p) {
            return fail_at(json, stop, "the text is not UTF-8");
        }
    }
    ret_text->ptr = begin;
    ret_text->bytes = (uint32_t)(p - begin);
    ret_text->has_escapes = has_escapes;
    json->at = p + 1;
    return 0;
}

int
weir_json_text(struct weir_json *json, struct weir_json_text *ret_text)
{
    skip_space(json);
    if (json->at >= json->end || *json->at != '"') {
        return fail_at(json, json->at, "a text is due");
    }
    json->is_behind_value = true;
    return scan_text(json, ret_text);
}

static char *
put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    uint32_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t mark[4] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(mark[more] | code >> (6 * more));
    while (more > 0) {
        more--;
        *to++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
    }
    return to;
}

size_t
weir_json_unescape(const struct weir_json_text *text, char *to)
{
    static const char from[8] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
    static const char into[8] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};
    const char *p = text->ptr;
    const char *end = p + text->bytes;
    char *start = to;
    while (p < end) {
        const char *slash = (const char *)memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash == NULL ? end : slash) - p);
        memmove(to, p, plain); /* `to` may be the text itself: it never overtakes p */
        to += plain;
        p += plain;
        if (slash == NULL) {
            break;
        }
        if (p[1] != 'u') {
            *to++ = into[(const char *)memchr(from, p[1], 8) - from];
            p += 2;
            continue;
        }
        uint32_t code = (uint32_t)hex4(p + 2);
        p += 6;
        if (code >= 0xd800 && code < 0xdc00) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(p + 2) - 0xdc00);
            p += 6;
        }
        to = put_utf8(to, code);
    }
    return (size_t)(to - start);
}

size_t
weir_json_escape(const char *text, size_t bytes, char *to)
{
    static const char hex[16] = {
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    char *start = to;
    const uint8_t *p = (const uint8_t *)text;
    const uint8_t *end = p + bytes;
    while (p < end) {
        uint8_t c = *p;
        uint32_t cnt = 1;
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c < 0x20) {
            memcpy(to, "\\u00", 4);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += 6;
        } else if (c < 0x80) {
            *to++ = (char)c;
        } else if ((cnt = utf8_bytes(p, end)) > 0) {
            memcpy(to, p, cnt);
            to += cnt;
        } else {
            memcpy(to, "\\ufffd", 6);
            to += 6;
            cnt = 1;
        }
        p += cnt;
    }
    return (size_t)(to - start);
}

/* --- structure --- */

enum weir_json_type
weir_json_type(struct weir_json *json)
{
    skip_space(json);
    if (json->at >= json->end) {
        return WEIR_JSON_NONE;
    }
    switch (*json->at) {
    case '{':
        return WEIR_JSON_OBJECT;
    case '[':
        return WEIR_JSON_ARRAY;
    case '"':
        return WEIR_JSON_TEXT;
    case 't':
    case 'f':
        return WEIR_JSON_BOOL;
    case 'n':
        return WEIR_JSON_NULL;
    default:
        return is_digit(*json->at) || *json->at == '-' ? WEIR_JSON_NUMBER : WEIR_JSON_NONE;
    }
}

int
weir_json_enter(struct weir_json *json)
{
    skip_space(json);
    if (json->at >= json->end || *json->at != '{') {
        return fail_at(json, json->at, "an object is due");
    }
    if (json->depth == WEIR_JSON_DEPTH_MAX) {
        return fail_at(json, json->at, "objects are nested too deeply");
    }
    json->at++;
    json->depth++;
    json->is_behind_value = false;
    return 0;
}

int
weir_json_key(struct weir_json *json, struct weir_json_text *ret_key)
{
    skip_space(json);
    if (json->at < json->end && *json->at == '}') {
        json->at++;
        json->depth--;
        json->is_behind_value = true;
        return 0;
    }
    if (json->is_behind_value) {
        if (json->at >= json->end || *json->at != ',') {
            return fail_at(json, json->at, "a comma or the end of the object is due");
        }
        json->at++;
        skip_space(json);
    }
    if (json->at >= json->end || *json->at != '"') {
        return fail_at(json, json->at, "a name in quotes is due");
    }
    int err = scan_text(json, ret_key);
    if (err != 0) {
        return err;
    }
    skip_space(json);
    if (json->at >= json->end || *json->at != ':') {
        return fail_at(json, json->at, "a colon is due");
    }
    json->at++;
    return 1;
}

int
weir_json_end(struct weir_json *json)
{
    skip_space(json);
    if (json->at < json->end) {
        return weir_json_fail(json, "nothing more is due here");
    }
    return 0;
}

static bool
try_word(struct weir_json *json, const char *word, size_t bytes)
{
    if ((size_t)(json->end - json->at) < bytes || memcmp(json->at, word, bytes) != 0) {
        return false;
    }
    json->at += bytes;
    json->is_behind_value = true;
    return true;
}

bool
weir_json_try_null(struct weir_json *json)
{
    skip_space(json);
    return try_word(json, "null", 4);
}

int
weir_json_bool(struct weir_json *json, bool *ret_value)
{
    skip_space(json);
    if (try_word(json, "true", 4)) {
        *ret_value = true;
        return 0;
    }
    if (try_word(json, "false", 5)) {
        *ret_value = false;
        return 0;
    }
    return fail_at(json, json->at, "true or false is due");
}

/* --- numbers --- */

/* Up to eight digits at p at once: their number, and *ret_value of them. Eight bytes are readable.
 * Source: D. Lemire, "Quickly parsing eight digits"; the digits are shifted up, zeros fill
 *         below. */
static inline uint32_t
eight_digits(const char *p, uint64_t *ret_value)
{
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t digits = word - UINT64_C(0x3030303030303030);
    /* A byte that is no digit has its top bit set here, or in the sum with 0x76. */
    uint64_t others =
        (digits | (digits + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080);
    uint32_t cnt = others == 0 ? 8 : (uint32_t)__builtin_ctzll(others) / 8;
    if (cnt == 0) {
        return 0;
    }
    digits <<= 64 - 8 * cnt;
    digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
    *ret_value = (digits * 10000 + (digits >> 32)) & UINT32_MAX;
    return cnt;
}

/* The end of the digits at p, and their value; beyond 64 bits *ret_over is set and the value
 * void. */
static inline const char *
scan_digits(const char *p, const char *end, uint64_t *ret_value, bool *ret_over)
{
    uint64_t value = 0;
    *ret_over = false;
    if (WEIR_LIKELY(end - p > 8)) {
        uint32_t cnt = eight_digits(p, &value);
        p += cnt;
        if (cnt < 8) {
            *ret_value = value;
            return p;
        }
    }
    while (p < end && is_digit(*p)) {
        *ret_over |= __builtin_mul_overflow(value, UINT64_C(10), &value);
        *ret_over |= __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
        p++;
    }
    *ret_value = value;
    return p;
}

/* The sign and the whole part of a number at json->at; returns the end of the part, NULL for
 * none. */
static inline const char *
scan_whole(struct weir_json *json, bool *ret_negative, uint64_t *ret_value, bool *ret_over)
{
    skip_space(json);
    const char *p = json->at;
    *ret_negative = p < json->end && *p == '-';
    p += *ret_negative;
    const char *stop = scan_digits(p, json->end, ret_value, ret_over);
    /* A zero leads only where it stands alone. */
    return stop == p || (*p == '0' && stop - p > 1) ? NULL : stop;
}

static inline bool
goes_on(const struct weir_json *json, const char *p)
{
    return p < json->end && (*p == '.' || *p == 'e' || *p == 'E');
}

/* A magnitude with its sign as int64_t; false where it does not fit. */
static inline bool
apply_sign(uint64_t magnitude, bool negative, int64_t *ret_value)
{
    if (magnitude > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

int
weir_json_i64(struct weir_json *json, int64_t *ret_value)
{
    bool negative;
    bool over;
    uint64_t value;
    const char *stop = scan_whole(json, &negative, &value, &over);
    if (WEIR_UNLIKELY(stop == NULL || goes_on(json, stop))) {
        return fail_at(json, json->at, "a whole number is due");
    }
    if (WEIR_UNLIKELY(over || !apply_sign(value, negative, ret_value))) {
        return fail_at(json, json->at, "the number is beyond 64 bits");
    }
    json->at = stop;
    json->is_behind_value = true;
    return 0;
}

int
weir_json_decimal(struct weir_json *json, uint32_t scale, int64_t *ret_value)
{
    bool negative;
    bool over;
    uint64_t value;
    const char *p = scan_whole(json, &negative, &value, &over);
    uint32_t places = 0;
    bool inexact = false;
    if (p != NULL && p < json->end && *p == '.') {
        const char *digits = ++p;
        for (; p < json->end && is_digit(*p); p++) {
            if (places < scale) {
                over |= __builtin_mul_overflow(value, UINT64_C(10), &value);
                over |= __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
                places++;
            } else {
                inexact |= *p != '0';
            }
        }
        p = p == digits ? NULL : p;
    }
    if (p == NULL || goes_on(json, p)) {
        return fail_at(json, json->at, "a decimal number without an exponent is due");
    }
    for (; places < scale; places++) {
        over |= __builtin_mul_overflow(value, UINT64_C(10), &value);
    }
    if (inexact) {
        return fail_at(json, json->at, "the decimal has more places than the field");
    }
    if (over || !apply_sign(value, negative, ret_value)) {
        return fail_at(json, json->at, "the decimal is beyond the field's range");
    }
    json->at = p;
    json->is_behind_value = true;
    return 0;
}

/* The end of the number at json->at by JSON's grammar, or NULL. */
static const char *
number_stop(struct weir_json *json)
{
    bool negative;
    bool over;
    uint64_t value;
    const char *p = scan_whole(json, &negative, &value, &over);
    if (p != NULL && p < json->end && *p == '.') {
        const char *digits = ++p;
        p = scan_digits(p, json->end, &value, &over);
        p = p == digits ? NULL : p;
    }
    if (p != NULL && p < json->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < json->end && (*p == '+' || *p == '-');
        const char *digits = p;
        p = scan_digits(p, json->end, &value, &over);
        p = p == digits ? NULL : p;
    }
    return p;
}

int
weir_json_f64(struct weir_json *json, double *ret_value)
{
    char copy[WEIR_JSON_NUMBER_BYTES_MAX + 1];
    const char *stop = number_stop(json);
    if (stop == NULL) {
        return fail_at(json, json->at, "a number is due");
    }
    size_t bytes = (size_t)(stop - json->at);
    if (bytes > WEIR_JSON_NUMBER_BYTES_MAX) {
        return fail_at(json, json->at, "the number is too long");
    }
    memcpy(copy, json->at, bytes);
    copy[bytes] = '\0';
    double value = strtod(copy, NULL);
    if (value > 1.7976931348623157e308 || value < -1.7976931348623157e308) {
        return fail_at(json, json->at, "the number is beyond the range of a double");
    }
    *ret_value = value;
    json->at = stop;
    json->is_behind_value = true;
    return 0;
}

/* --- skipping --- */

/* One value that is no object and no array. */
static int
skip_scalar(struct weir_json *json)
{
    struct weir_json_text text;
    bool value;
    const char *stop;
    switch (weir_json_type(json)) {
    case WEIR_JSON_TEXT:
        return weir_json_text(json, &text);
    case WEIR_JSON_BOOL:
        return weir_json_bool(json, &value);
    case WEIR_JSON_NUMBER:
        stop = number_stop(json);
        if (stop == NULL) {
            return fail_at(json, json->at, "the number is not one of JSON's");
        }
        json->at = stop;
        json->is_behind_value = true;
        return 0;
    default:
        return weir_json_try_null(json) ? 0 : fail_at(json, json->at, "a value is due");
    }
}

/* Behind a value within the outermost one: close what ends here, then take the comma (and the next
 * name in an object). is_object keeps a bit a level. Sets *io_level to 0 when all is closed. */
static int
skip_between(struct weir_json *json, uint64_t is_object, uint32_t *io_level)
{
    struct weir_json_text key;
    while (*io_level > 0) {
        bool in_object = (is_object >> (*io_level - 1) & 1) != 0;
        skip_space(json);
        if (json->at >= json->end) {
            return fail_at(json, json->end, "");
        }
        if (in_object) {
            int more = weir_json_key(json, &key);
            if (more != 0) {
                return more < 0 ? more : 0;
            }
        } else if (*json->at == ']') {
            json->at++;
            json->is_behind_value = true;
        } else if (json->is_behind_value) {
            if (*json->at != ',') {
                return fail_at(json, json->at, "a comma or the end of the array is due");
            }
            json->at++;
            return 0;
        } else {
            return 0;
        }
        (*io_level)--;
    }
    return 0;
}

int
weir_json_skip(struct weir_json *json)
{
    uint64_t is_object = 0;
    uint32_t level = 0;
    int err;
    do {
        enum weir_json_type type = weir_json_type(json);
        if (type == WEIR_JSON_OBJECT || type == WEIR_JSON_ARRAY) {
            if (level == WEIR_JSON_DEPTH_MAX) {
                return fail_at(json, json->at, "values are nested too deeply");
            }
            uint64_t bit = UINT64_C(1) << level;
            is_object = type == WEIR_JSON_OBJECT ? is_object | bit : is_object & ~bit;
            level++;
            json->depth += type == WEIR_JSON_OBJECT;
            json->at++;
            json->is_behind_value = false;
        } else {
            err = skip_scalar(json);
            if (err != 0) {
                return err;
            }
        }
        err = skip_between(json, is_object, &level);
    } while (err == 0 && level > 0);
    return err;
}
