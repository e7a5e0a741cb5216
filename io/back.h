/* SPDX-License-Identifier: Apache-2.0 */
/* back.h: what an implementation of io.h provides, and what io.c does for all of them.
 *
 * io.c owns timers, the count of flying operations, retries, WHOLE, the translation of errno and
 * the call of done_fn. An implementation starts an operation in `submit`, and when it ended calls
 * weir_io_finish from within `poll`. A result known at once is left with weir_io_finish_later.
 * An operation is in exactly one list: timers, flying, or ready.
 */
#ifndef WEIR_IO_BACK_H
#define WEIR_IO_BACK_H

#include "io/io.h"

#define WEIR_IO_DEGRADED_BYTES 256

struct weir_io_back {
    const char *name;
    int (*start)(struct weir_io *io);
    void (*close)(struct weir_io *io);
    void (*submit)(struct weir_io *io, struct weir_io_op *op);
    void (*poll)(struct weir_io *io);
    void (*wait)(struct weir_io *io, int64_t timeout_ns, int event_fd);
    void (*cancel)(struct weir_io *io, struct weir_io_op *op);
    /* The rest may be NULL: nothing to register, files of the host, its clock, nothing due. */
    int (*add_range)(struct weir_io *io, void *base, uint64_t bytes);
    void (*drop_range)(struct weir_io *io, const void *base);
    int (*map)(struct weir_io *io, const char *path, struct weir_io_map *ret_map);
    int64_t (*clock_ns)(const struct weir_io *io, bool wall);
    int64_t (*due_ns)(const struct weir_io *io);
};

struct weir_io_list {
    struct weir_io_op *head;
    struct weir_io_op *tail;
};

/* The first member of each implementation's own struct. */
struct weir_io {
    const struct weir_io_back *back;
    uint32_t depth;
    uint32_t flying_cnt;
    uint32_t done_cnt; /* completed by the poll in progress */
    bool started;
    struct weir_io_maps *maps; /* NULL: what is mapped is this io's own */
    const struct weir_cpuset *worker_cpus; /* NULL: those of the owner */
    int64_t now_ns; /* of the last poll */
    struct weir_io_list timers; /* by time */
    struct weir_io_list flying;
    struct weir_io_list ready; /* ended, told by the next poll; op.result holds bytes or -errno */
    char degraded[WEIR_IO_DEGRADED_BYTES];
};

void weir_io_init(struct weir_io *io, const struct weir_io_back *back, uint32_t depth);
/* weir_io_degrade - keep one more sentence for weir_io_degraded. */
void weir_io_degrade(struct weir_io *io, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* weir_io_finish - op ended with bytes, a handle or 0, or with a negative errno; within poll
 * only. */
void weir_io_finish(struct weir_io *io, struct weir_io_op *op, int64_t res);
void weir_io_finish_later(struct weir_io *io, struct weir_io_op *op, int64_t res);

/* weir_io_opened - what REGULAR and LOCK ask of a fresh descriptor; returns fd, or closes it:
 * -errno. */
int64_t weir_io_opened(const struct weir_io_op *op, int fd);
/* weir_io_open_flags - our flags of open as those of open(2). */
int weir_io_open_flags(uint32_t flags);

/* What WHOLE has left to move: where, how much (to 1 GiB a call), and at which offset. */
static inline void *
weir_io_rest_buf(const struct weir_io_op *op)
{
    return (char *)op->buf + op->moved;
}

static inline size_t
weir_io_rest_bytes(const struct weir_io_op *op)
{
    return weir_min_u64(op->bytes - op->moved, WEIR_GIB);
}

static inline uint64_t
weir_io_rest_off(const struct weir_io_op *op)
{
    return op->off == WEIR_IO_STREAM ? WEIR_IO_STREAM : op->off + op->moved;
}

#endif
