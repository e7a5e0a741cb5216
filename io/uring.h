/* SPDX-License-Identifier: Apache-2.0 */
/* uring.h: io.h by one io_uring per core: a single issuer with deferred task work, restricted. */
#ifndef WEIR_IO_URING_H
#define WEIR_IO_URING_H

#include "io/back.h"

/* weir_uring_open - WEIR_EUNAVAILABLE where the kernel or a filter forbids it (Linux 6.1 or
 * later). */
int weir_uring_open(uint32_t depth, struct weir_io **ret_io);

#endif
