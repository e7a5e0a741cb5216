/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h: a look at some of the rows that pass an operator, without slowing it.
 *
 *     task's core                                    whoever looks
 *     one row of a batch, as a line of JSON,         weir_tap_grant(): so many more rows
 *     while rows are granted  --- slots --->         weir_tap_read(): the lines
 *
 * The looker says how many rows may be taken, and never grants more than slots are free: so there
 * is no clock on the task's side, no slot is waited for, and a looker that goes away costs nothing.
 * A tap that is off is one branch a batch; one that is on and has no row granted is two.
 *
 * A row longer than a slot is counted, not shown.
 *
 * Thread: take: the task's core; all else: one thread that looks.
 */
#ifndef WEIR_DATAPLANE_TAP_H
#define WEIR_DATAPLANE_TAP_H

#include "base/atomic.h"
#include "dataplane/batch.h"

#define WEIR_TAP_SLOT_CNT 128
#define WEIR_TAP_TEXT_BYTES 2040

struct weir_tap_slot {
    uint32_t bytes; /* of the text, without its line feed; 0: the row was too long */
    uint32_t kind; /* enum weir_row_kind */
    int64_t time; /* its event time, WEIR_TIME_MIN: it has none */
    char text[WEIR_TAP_TEXT_BYTES];
};

struct weir_tap {
    /* writer: who looks */
    WEIR_ATOMIC(uint64_t) granted; /* rows that may ever have been taken */
    uint64_t read;
    uint64_t pad_look[14];
    /* writer: the task's core */
    WEIR_ATOMIC(uint64_t) taken;
    uint64_t pad_take[15];
    struct weir_tap_slot slots[WEIR_TAP_SLOT_CNT];
};

/* weir_tap_take - take one of rows [from, from + cnt) of a batch, if one is granted. cnt > 0. */
WEIR_API void
weir_tap_take(struct weir_tap *tap, const struct weir_view *view, uint32_t from, uint32_t cnt);

/* weir_tap_grant - so many more rows, as far as slots are free. */
WEIR_API void weir_tap_grant(struct weir_tap *tap, uint64_t cnt);
/* weir_tap_read - the oldest row that was not read yet, good until the next call; NULL: none. */
WEIR_API const struct weir_tap_slot *weir_tap_read(struct weir_tap *tap);

#endif
