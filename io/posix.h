/* SPDX-License-Identifier: Apache-2.0 */
/* posix.h: io.h by poll(2) on the core and one helper thread (io/aside.h), where io_uring is
 * forbidden. */
#ifndef WEIR_IO_POSIX_H
#define WEIR_IO_POSIX_H

#include "io/back.h"

int weir_posix_open(uint32_t depth, struct weir_io **ret_io);

#endif
