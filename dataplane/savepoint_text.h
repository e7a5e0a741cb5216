/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_text.h: what a savepoint holds, as lines of text: for tests, and for people.
 *
 *     key=7 namespace=0 time=2000             a timer: the key, the words behind it
 *     key="a b" cnt=3 last=null               a value with its fields
 *       rows: @at=5 name="x"                  a row of its list `rows`, under its entry
 *
 * Numbers and times are written as value_text.h says, strings in quotes as JSON's are, bytes that
 * only their owner understands as 0x and hexadecimal digits.
 *
 * Thread: any. Not on the path of a row.
 */
#ifndef WEIR_DATAPLANE_SAVEPOINT_TEXT_H
#define WEIR_DATAPLANE_SAVEPOINT_TEXT_H

#include <stdio.h>

#include "dataplane/savepoint.h"

/* weir_savepoint_row_print - a line of a row. WEIR_EDATA: the row is malformed; what was printed of
 * it stays. */
WEIR_API WEIR_MUST_USE int weir_savepoint_row_print(FILE *to, const struct weir_savepoint_row *row);
/* weir_savepoint_part_print - a line of a part: of one word its number, of others their bytes. */
WEIR_API void weir_savepoint_part_print(FILE *to, const struct weir_savepoint_part *part);

#endif
