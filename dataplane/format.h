/* SPDX-License-Identifier: Apache-2.0 */
/* format.h: rows as lines of text: CSV (RFC 4180) and JSON lines.
 *
 *     csv     header line with the fields' names, LF; cells in quotes only where they must be
 *     json    {"name":value,...}, LF; a null is null, a time its milliseconds
 *
 * In CSV a null is an empty cell, and an empty string of a field that may be null is "". Strings
 * are taken to be UTF-8 and not looked into; numbers and times are printed as value_text.h says.
 */
#ifndef WEIR_DATAPLANE_FORMAT_H
#define WEIR_DATAPLANE_FORMAT_H

#include "dataplane/batch.h"

WEIR_C_BEGIN

enum weir_format { WEIR_FORMAT_CSV, WEIR_FORMAT_JSON, WEIR_FORMAT_CNT };

/* weir_format_header - the line before all rows, or nothing.
 *
 * Returns: its bytes; also where they are more than room, then nothing was written.
 */
WEIR_API size_t weir_format_header(
    enum weir_format format, const struct weir_schema *schema, char *to, size_t room);

/* What a call of weir_format_rows has made. */
struct weir_formatted {
    uint32_t row_cnt;
    size_t bytes;
    size_t wanted_bytes; /* room that the next row may take; 0 when none is left */
};

/* weir_format_rows - selected rows [cursor, view->cnt) as lines, as many as surely fit into room.
 *
 * Hot: no call through a pointer; a row's greatest length is computed before it is written.
 */
WEIR_API struct weir_formatted weir_format_rows(
    enum weir_format format, const struct weir_view *view, uint32_t cursor, char *to, size_t room);

WEIR_C_END

#endif
