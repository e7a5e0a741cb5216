/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: a scanner for one JSON text, usually a line, that is pulled by who knows the schema.
 *
 * Nothing is allocated and nothing is copied: a text value is a slice of the line, escapes
 * included, and weir_json_unescape() writes it out. All that is passed over is checked, also what
 * is skipped:
 * grammar of RFC 8259, escapes with paired surrogates, UTF-8, no control bytes in texts. The caller
 * asks for what its schema wants next:
 *
 *     weir_json_init(&json, line, bytes, slack);
 *     err = weir_json_enter(&json);                              // {
 *     while (err == 0 && (err = weir_json_key(&json, &key)) > 0) {
 *         err = is_price(&key) ? weir_json_i64(&json, &price) : weir_json_skip(&json);
 *     }
 *     err = err == 0 ? weir_json_end(&json) : err;
 *
 * A call that fails returns WEIR_EDATA and leaves `fault`, one sentence, and the place for
 * weir_json_column(). After that only init is legal. It is not a document model: members come in
 * the order of the line, and members of one name all come.
 *
 * Limits: 64 levels of arrays and objects; a number of at most WEIR_JSON_NUMBER_BYTES_MAX bytes.
 */
#ifndef WEIR_DATAPLANE_JSON_H
#define WEIR_DATAPLANE_JSON_H

#include <string.h>

#include "base/base.h"
#include "base/err.h"

WEIR_C_BEGIN

#define WEIR_JSON_DEPTH_MAX 64
#define WEIR_JSON_NUMBER_BYTES_MAX 511
/* Slack that lets every step work on whole vectors. */
#define WEIR_JSON_SLACK_BYTES 32

struct weir_json {
    const char *at;
    const char *end;
    const char *safe_end; /* bytes up to here may be read, though they are not of the text */
    const char *begin;
    const char *fault; /* NULL while all is well */
    uint32_t depth; /* objects entered */
    bool is_behind_value; /* a comma or the end of the object is due */
};

/* A text value between its quotes, borrowed from the line. */
struct weir_json_text {
    const char *ptr;
    uint32_t bytes;
    bool has_escapes;
};

enum weir_json_type {
    WEIR_JSON_NONE, /* no value begins here */
    WEIR_JSON_OBJECT,
    WEIR_JSON_ARRAY,
    WEIR_JSON_TEXT,
    WEIR_JSON_NUMBER,
    WEIR_JSON_BOOL,
    WEIR_JSON_NULL,
};

/* weir_json_init - begin at a text of fewer than 2^32 bytes.
 *
 * Shape:   slack bytes behind the text may be read; WEIR_JSON_SLACK_BYTES of it are best, 0 is
 *          legal.
 */
static inline void
weir_json_init(struct weir_json *json, const char *text, size_t bytes, size_t slack)
{
    json->at = text;
    json->end = text + bytes;
    json->safe_end = json->end + slack;
    json->begin = text;
    json->fault = NULL;
    json->depth = 0;
    json->is_behind_value = false;
}

/* weir_json_column - where the scanner stands, in bytes from 1: after a failure, its place. */
static inline uint32_t
weir_json_column(const struct weir_json *json)
{
    return (uint32_t)(json->at - json->begin) + 1;
}

/* weir_json_fail - give up here; for callers that find a value wrong. Always WEIR_EDATA. */
WEIR_API int weir_json_fail(struct weir_json *json, const char *fault);

/* weir_json_type - what the next value is; nothing is consumed. */
WEIR_API enum weir_json_type weir_json_type(struct weir_json *json);

/* weir_json_enter - the `{` of an object. */
WEIR_MUST_USE WEIR_API int weir_json_enter(struct weir_json *json);

/* weir_json_key - the next member's name, as it stands in the line.
 *
 * Returns: 1 and the name, its value comes next; 0 at the object's end, which is left; or < 0.
 */
WEIR_MUST_USE WEIR_API int weir_json_key(struct weir_json *json, struct weir_json_text *ret_key);

/* weir_json_try_key - whether the next member is this one, written without white space.
 *
 * Shape:   literal is `,"name":`; its comma is not asked for before the first member.
 * Hot:     one compare. On false nothing was consumed, and weir_json_key() finds out more.
 */
static inline bool
weir_json_try_key(struct weir_json *json, const char *literal, size_t bytes)
{
    size_t skip = json->is_behind_value ? 0 : 1;
    if ((size_t)(json->end - json->at) < bytes ||
        memcmp(json->at, literal + skip, bytes - skip) != 0) {
        return false;
    }
    json->at += bytes - skip;
    return true;
}

/* weir_json_i64 - a whole number; a fraction, an exponent or more than 64 bits is a failure. */
WEIR_MUST_USE WEIR_API int weir_json_i64(struct weir_json *json, int64_t *ret_value);
/* weir_json_f64 - any number, rounded to nearest; beyond the range of a double is a failure. */
WEIR_MUST_USE WEIR_API int weir_json_f64(struct weir_json *json, double *ret_value);
/* weir_json_decimal - a number times 10^scale, exactly; no exponent; more digits than that fail. */
WEIR_MUST_USE WEIR_API int
weir_json_decimal(struct weir_json *json, uint32_t scale, int64_t *ret_value);
WEIR_MUST_USE WEIR_API int weir_json_bool(struct weir_json *json, bool *ret_value);
/* weir_json_try_null - whether the next value is null; then it was consumed. */
WEIR_API bool weir_json_try_null(struct weir_json *json);
WEIR_MUST_USE WEIR_API int weir_json_text(struct weir_json *json, struct weir_json_text *ret_text);
/* weir_json_skip - any value. */
WEIR_MUST_USE WEIR_API int weir_json_skip(struct weir_json *json);
/* weir_json_end - nothing but white space is left. */
WEIR_MUST_USE WEIR_API int weir_json_end(struct weir_json *json);

/* weir_json_unescape - the bytes that a text value of this scanner stands for.
 *
 * Shape:   to has room for text->bytes; nothing becomes longer. It may be text->ptr itself.
 * Returns: the bytes written.
 */
WEIR_API size_t weir_json_unescape(const struct weir_json_text *text, char *to);

/* weir_json_escape - a text as the inside of a JSON string: `"`, `\` and control bytes escaped, and
 * U+FFFD for each byte that is not UTF-8's.
 *
 * Shape:   to has room for 6 bytes for each of text.
 * Returns: the bytes written.
 */
WEIR_API size_t weir_json_escape(const char *text, size_t bytes, char *to);

WEIR_C_END

#endif
