/* SPDX-License-Identifier: Apache-2.0 */
/* aside.h: one helper thread that makes the calls which block, so that a core never does.
 *
 *   core: weir_aside_put(op) --- pipe ---> helper: the call ---> pipe --- core: weir_aside_take()
 *
 * Operations go over as pointers through two pipes, in order and one at a time. A pipe is used
 * because its read end can be waited for by poll(2) and io_uring alike; a file call is not hot.
 * While an operation is aside the core does not touch it, apart from its list links and
 * `canceling`.
 */
#ifndef WEIR_IO_ASIDE_H
#define WEIR_IO_ASIDE_H

#include "io/io.h"

struct weir_aside;

int weir_aside_open(struct weir_aside **ret_aside);
/* weir_aside_close - the helper ends when it is idle; nothing may be aside. Takes NULL. */
void weir_aside_close(struct weir_aside *aside);
/* weir_aside_put - never blocks: WEIR_IO_DEPTH_MAX pointers fit. A CONNECT or LISTEN is resolved
 * only. */
void weir_aside_put(struct weir_aside *aside, struct weir_io_op *op);
/* weir_aside_take - one operation that has ended, or NULL; its result or -errno is in *ret_res. */
struct weir_io_op *weir_aside_take(struct weir_aside *aside, int64_t *ret_res);
/* weir_aside_fd - readable while something can be taken. */
int weir_aside_fd(const struct weir_aside *aside);
/* weir_aside_cnt - operations put and not taken. */
uint32_t weir_aside_cnt(const struct weir_aside *aside);
/* weir_aside_block - let a named pipe block that an OPEN for reading gave: until somebody writes to
 * it, it is the only thing that does not. */
void weir_aside_block(int fd);

#endif
