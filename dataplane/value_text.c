/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/value_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "dataplane/time_text.h"

static const char digit_pairs[] = "00010203040506070809"
                                  "10111213141516171819"
                                  "20212223242526272829"
                                  "30313233343536373839"
                                  "40414243444546474849"
                                  "50515253545556575859"
                                  "60616263646566676869"
                                  "70717273747576777879"
                                  "80818283848586878889"
                                  "90919293949596979899";

/* Two digits per step, from the end of a small buffer. */
static uint32_t
print_u64(uint64_t value, char *to)
{
    char digits[20];
    uint32_t at = sizeof digits;
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, digit_pairs + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(to, digits + at, sizeof digits - at);
    return (uint32_t)sizeof digits - at;
}

/* The size of a negative number; right for INT64_MIN too. */
static uint64_t
size_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static uint32_t
print_i64(int64_t value, char *to)
{
    to[0] = '-';
    uint32_t sign = value < 0;
    return sign + print_u64(size_of(value), to + sign);
}

static uint32_t
print_dec(int64_t value, uint32_t scale, char *to)
{
    char digits[20];
    uint32_t cnt = print_u64(size_of(value), digits);
    uint32_t used = 0;
    if (value < 0) {
        to[used++] = '-';
    }
    if (cnt <= scale) {
        to[used++] = '0';
    } else {
        memcpy(to + used, digits, cnt - scale);
        used += cnt - scale;
    }
    if (scale == 0) {
        return used;
    }
    to[used++] = '.';
    for (uint32_t i = cnt; i < scale; i++) {
        to[used++] = '0';
    }
    uint32_t fraction = weir_min_u32(cnt, scale);
    memcpy(to + used, digits + cnt - fraction, fraction);
    return used + fraction;
}

static uint32_t
print_f64(double value, char *to)
{
    char text[WEIR_VALUE_TEXT_BYTES_MAX];
    int bytes = 0;
    for (int digits = 15; digits <= 17; digits++) {
        bytes = snprintf(text, sizeof text, "%.*g", digits, value);
        if (isnan(value) || strtod(text, NULL) == value) {
            break;
        }
    }
    memcpy(to, text, (size_t)bytes);
    return (uint32_t)bytes;
}

uint32_t
weir_value_print(const struct weir_field *field, const char *value, char *to)
{
    int64_t number = 0;
    switch (field->type) {
    case WEIR_TYPE_BOOL: {
        bool is_true = value[0] != 0;
        memcpy(to, is_true ? "true" : "false", is_true ? 4 : 5);
        return is_true ? 4 : 5;
    }
    case WEIR_TYPE_I32: {
        int32_t small;
        memcpy(&small, value, sizeof small);
        return print_i64(small, to);
    }
    case WEIR_TYPE_F64: {
        double f64;
        memcpy(&f64, value, sizeof f64);
        return print_f64(f64, to);
    }
    case WEIR_TYPE_DEC:
        memcpy(&number, value, sizeof number);
        return print_dec(number, field->scale, to);
    default:
        WEIR_DCHECK(field->type != WEIR_TYPE_STR, "a string is no value here");
        memcpy(&number, value, sizeof number);
        return print_i64(number, to);
    }
}

/* ---- reading ---- */

static int
fit_i32(struct weir_json *json, int64_t value, char *to)
{
    if (value < INT32_MIN || value > INT32_MAX) {
        return weir_json_fail(json, "a number beyond 32 bits");
    }
    int32_t small = (int32_t)value;
    memcpy(to, &small, sizeof small);
    return 0;
}

static int
read_time(struct weir_json *json, int64_t *ret_ms)
{
    if (weir_json_type(json) != WEIR_JSON_TEXT) {
        return weir_json_i64(json, ret_ms);
    }
    struct weir_json at = *json; /* the place of the text, should it be no time */
    struct weir_json_text text;
    int err = weir_json_text(json, &text);
    if (err == 0 && !weir_time_parse(text.ptr, text.bytes, ret_ms)) {
        *json = at;
        err = weir_json_fail(json, "not a time: YYYY-MM-DD HH:MM:SS[.mmm] or milliseconds");
    }
    return err;
}

int
weir_value_read_json(const struct weir_field *field, struct weir_json *json, char *to)
{
    int64_t number = 0;
    double f64 = 0;
    bool is_true = false;
    int err = 0;
    switch (field->type) {
    case WEIR_TYPE_BOOL:
        err = weir_json_bool(json, &is_true);
        if (err == 0) {
            to[0] = (char)is_true;
        }
        return err;
    case WEIR_TYPE_F64:
        err = weir_json_f64(json, &f64);
        if (err == 0) {
            memcpy(to, &f64, sizeof f64);
        }
        return err;
    case WEIR_TYPE_I32:
        err = weir_json_i64(json, &number);
        return err == 0 ? fit_i32(json, number, to) : err;
    case WEIR_TYPE_DEC:
        err = weir_json_decimal(json, field->scale, &number);
        break;
    case WEIR_TYPE_TS:
    case WEIR_TYPE_TIME:
        err = read_time(json, &number);
        break;
    default:
        WEIR_DCHECK(field->type == WEIR_TYPE_I64, "type %u", field->type);
        err = weir_json_i64(json, &number);
        break;
    }
    if (err == 0) {
        memcpy(to, &number, sizeof number);
    }
    return err;
}

static const char *
parse_bool(const char *text, size_t bytes, char *to)
{
    static const struct {
        const char *text;
        char value;
    } words[] = {{"true", 1}, {"false", 0}, {"TRUE", 1}, {"FALSE", 0}, {"1", 1}, {"0", 0}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(words); i++) {
        if (strlen(words[i].text) == bytes && memcmp(words[i].text, text, bytes) == 0) {
            to[0] = words[i].value;
            return NULL;
        }
    }
    return "not true or false";
}

/* A number as JSON has it: without a + and without leading zeros. Returns false where it is too
 * long. */
static bool
plain_number(const char *text, size_t bytes, char *to, size_t *ret_bytes)
{
    size_t used = 0;
    if (bytes > WEIR_JSON_NUMBER_BYTES_MAX) {
        return false;
    }
    if (bytes > 0 && (text[0] == '-' || text[0] == '+')) {
        if (text[0] == '-') {
            to[used++] = '-';
        }
        text++;
        bytes--;
    }
    while (bytes > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        text++;
        bytes--;
    }
    memcpy(to + used, text, bytes);
    *ret_bytes = used + bytes;
    return true;
}

/* What nearly every number is: a sign and up to 18 digits. */
static bool
parse_short(const char *text, size_t bytes, int64_t *ret_value)
{
    size_t sign = bytes > 0 && (text[0] == '-' || text[0] == '+');
    if (bytes == sign || bytes - sign > 18) {
        return false;
    }
    int64_t value = 0;
    for (size_t i = sign; i < bytes; i++) {
        uint32_t digit = (uint32_t)(unsigned char)text[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = text[0] == '-' ? -value : value;
    return true;
}

const char *
weir_value_parse(const struct weir_field *field, const char *text, size_t bytes, char *to)
{
    while (bytes > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        bytes--;
    }
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t')) {
        bytes--;
    }
    if (field->type == WEIR_TYPE_BOOL) {
        return parse_bool(text, bytes, to);
    }
    bool is_time = field->type == WEIR_TYPE_TS || field->type == WEIR_TYPE_TIME;
    int64_t ms;
    if ((is_time || field->type == WEIR_TYPE_I64) && parse_short(text, bytes, &ms)) {
        memcpy(to, &ms, sizeof ms);
        return NULL;
    }
    if (is_time && weir_time_parse(text, bytes, &ms)) {
        memcpy(to, &ms, sizeof ms);
        return NULL;
    }
    char number[WEIR_JSON_NUMBER_BYTES_MAX + WEIR_JSON_SLACK_BYTES];
    size_t number_bytes;
    if (!plain_number(text, bytes, number, &number_bytes)) {
        return "a number of too many digits";
    }
    struct weir_json json;
    char value[sizeof(int64_t)];
    memset(number + number_bytes, 0, WEIR_JSON_SLACK_BYTES);
    weir_json_init(&json, number, number_bytes, WEIR_JSON_SLACK_BYTES);
    int err = weir_value_read_json(field, &json, value);
    err = err == 0 ? weir_json_end(&json) : err;
    if (err != 0) {
        return is_time ? "not a time: YYYY-MM-DD HH:MM:SS[.mmm] or milliseconds" : json.fault;
    }
    memcpy(to, value, field->bytes);
    return NULL;
}
