/* SPDX-License-Identifier: Apache-2.0 */
/* uring_priv.h: the ring of one core, and how each verb becomes a submission. */
#ifndef WEIR_IO_URING_PRIV_H
#define WEIR_IO_URING_PRIV_H

#include <liburing.h>

#include "io/aside.h"
#include "io/back.h"

#define URING_RANGE_CNT_MAX 16

/* Where an operation stands: op.priv[0]. */
enum uring_step {
    URING_STEP_START,
    URING_STEP_ASIDE, /* the helper has it */
    URING_STEP_AWAITED, /* a poll for readiness flies in its place */
    URING_STEP_FLYING,
};

struct uring {
    struct weir_io io;
    struct io_uring ring;
    struct weir_aside *aside;
    bool aside_armed; /* a poll on the helper's pipe flies */
    bool bell_armed; /* a poll on the doorbell flies */
    int bell_fd;
    bool has_ranges;
    uint32_t range_cnt;
    struct iovec ranges[URING_RANGE_CNT_MAX];
};

/* weir_uring_sqe - room for one submission; enters the kernel when the queue is full. */
struct io_uring_sqe *weir_uring_sqe(struct uring *uring);

/* Fill sqe for op; user data is set by the caller. */
void weir_uring_prep_storage(struct uring *uring, struct io_uring_sqe *sqe, struct weir_io_op *op);
void weir_uring_prep_net(struct io_uring_sqe *sqe, struct weir_io_op *op);
/* weir_uring_begin_socket - the address is known: listen at once, or make the socket to connect.
 *
 * Returns: whether a submission is due; else the operation ended (weir_io_finish_later).
 */
bool weir_uring_begin_socket(struct uring *uring, struct weir_io_op *op);

#endif
