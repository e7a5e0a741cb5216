/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: a JSON line of the Nexmark suite to a record with its payload, and back.
 *
 *     {"event_type":2,"person":null,"auction":null,"bid":{"auction":1000,...,"extra":"ZPqv"}}
 *
 * Members may come in any order, with white space and escapes; unknown ones are skipped (and
 * checked); of two of one name the last counts. The object that event_type names must be there with
 * all its fields; the other two may be null, absent, or anything that is JSON.
 */
#ifndef WEIR_APPS_NEXMARK_JSON_H
#define WEIR_APPS_NEXMARK_JSON_H

#include "apps/nexmark/event.h"

/* A payload is never longer than its line and this. */
#define NEXMARK_JSON_PAYLOAD_EXTRA_BYTES 64

/* Why a line was refused: `what`, `field` where one is concerned (else NULL), and the byte
 * column. */
struct nexmark_json_fault {
    const char *what;
    const char *field;
    uint32_t column; /* from 1 */
};

struct nexmark_line {
    const char *text;
    size_t bytes; /* without the line's end */
    size_t slack; /* bytes behind it that may be read; 32 make it faster */
};

/* nexmark_json_read - one line.
 *
 * Shape:   payload has room for line->bytes + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES bytes.
 * Returns: 0 and the record, whose payload_bytes is set and whose payload_off is the caller's to
 *          set; or WEIR_EDATA and the fault, whose texts live for ever.
 */
WEIR_MUST_USE int nexmark_json_read(const struct nexmark_line *line,
    struct nexmark_event *ret_event, uint8_t *payload, struct nexmark_json_fault *ret_fault);

/* nexmark_json_write - the line of an event, as the suite writes it, ending in a line feed.
 *
 * Shape:   to has room for 512 bytes and 6 for each byte of the payload.
 * Returns: the bytes written, or 0 where a time is beyond year 9999 or the payload lies.
 */
WEIR_MUST_USE size_t nexmark_json_write(
    const struct nexmark_event *event, const uint8_t *payload, char *to);

#endif
