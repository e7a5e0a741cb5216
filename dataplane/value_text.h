/* SPDX-License-Identifier: Apache-2.0 */
/* value_text.h: one value of a field as text, and back: what CSV, JSON lines and messages share.
 *
 *     bool    true, false                    i32, i64  decimal digits
 *     f64     the shortest text that reads back as the same number; nan, inf, -inf
 *     dec     digits with exactly `scale` of them behind the point
 *     ts,time milliseconds since 1970 UTC; read also as time_text.h writes them
 *
 * Strings are not here: how they are quoted is the format's business.
 */
#ifndef WEIR_DATAPLANE_VALUE_TEXT_H
#define WEIR_DATAPLANE_VALUE_TEXT_H

#include "dataplane/json.h"
#include "dataplane/schema.h"

/* The longest text of a value that is no string. */
#define WEIR_VALUE_TEXT_BYTES_MAX 40

/* weir_value_print - the text of a value of any type but str, without a NUL.
 *
 * Shape:   value is field->bytes long, in any alignment; to has room for the maximum above.
 * Returns: the bytes written.
 */
WEIR_API uint32_t weir_value_print(const struct weir_field *field, const char *value, char *to);

/* weir_value_parse - read a value of any type but str from all of a text.
 *
 * Blanks around it are passed over; a leading + and leading zeros are taken.
 * Returns: NULL, or what is wrong with it, as a sentence without an end; then *to is as before.
 */
WEIR_API const char *
weir_value_parse(const struct weir_field *field, const char *text, size_t bytes, char *to);

/* weir_value_read_json - the next value of a JSON text for a field of any type but str.
 *
 * Times may be numbers or texts. Returns: 0, or WEIR_EDATA with json->fault.
 */
WEIR_MUST_USE WEIR_API int
weir_value_read_json(const struct weir_field *field, struct weir_json *json, char *to);

#endif
