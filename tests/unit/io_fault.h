/* SPDX-License-Identifier: Apache-2.0 */
/* io_fault.h: an io over another one, in which one operation goes wrong.
 *
 * The outer io is a whole implementation of io.h (retries, WHOLE and errno are done by io.c for it
 * as for any other); its operations are copies that run on the inner one.
 */
#ifndef WEIR_TESTS_UNIT_IO_FAULT_H
#define WEIR_TESTS_UNIT_IO_FAULT_H

#include "io/io.h"

enum io_fault_kind {
    IO_FAULT_NONE,
    IO_FAULT_ERRNO, /* not done, fails with errnum */
    IO_FAULT_ANSWER, /* done, but fails with errnum: not of open, whose handle would be lost */
    IO_FAULT_SHORT_ONE, /* read, write: one byte moves */
    IO_FAULT_SHORT_HALF, /* read, write: half of it */
    IO_FAULT_SHORT_512, /* read, write: 512 bytes fewer */
    IO_FAULT_LATE, /* done and told some polls later */
    IO_FAULT_TORN, /* write: half of it is written, all of it is told */
    IO_FAULT_FLIP, /* read: one bit is another */
};

struct io_fault {
    enum io_fault_kind kind;
    int errnum;
    uint64_t at; /* the operation that is hit: 0 is the first that the kind is about */
    bool sticks; /* with ERRNO: and all after it that write, until it is lifted */
    /* out */
    uint64_t seen; /* operations that the kind is about */
    uint64_t hit_cnt;
    enum weir_io_verb verb; /* of the first that was hit */
};

/* io_fault_open - fault and inner are kept; close the outer one first. */
int io_fault_open(struct weir_io *inner, struct io_fault *fault, struct weir_io **ret_io);

#endif
