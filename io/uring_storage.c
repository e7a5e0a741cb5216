/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>

#include "base/check.h"
#include "io/uring_priv.h"

/* The registered range that holds all of [buf, buf + bytes), or -1. */
static int
range_of(const struct uring *uring, const void *buf, size_t bytes)
{
    uintptr_t from = (uintptr_t)buf;
    for (uint32_t i = 0; i < uring->range_cnt; i++) {
        uintptr_t base = (uintptr_t)uring->ranges[i].iov_base;
        if (from >= base && from + bytes <= base + uring->ranges[i].iov_len) {
            return (int)i;
        }
    }
    return -1;
}

static void
prep_move(const struct uring *uring, struct io_uring_sqe *sqe, const struct weir_io_op *op)
{
    void *buf = weir_io_rest_buf(op);
    unsigned bytes = (unsigned)weir_io_rest_bytes(op);
    uint64_t off = weir_io_rest_off(op);
    int range = range_of(uring, buf, bytes);
    if (op->verb == WEIR_IO_READ) {
        if (range >= 0) {
            io_uring_prep_read_fixed(sqe, op->file, buf, bytes, off, range);
        } else {
            io_uring_prep_read(sqe, op->file, buf, bytes, off);
        }
    } else if (range >= 0) {
        io_uring_prep_write_fixed(sqe, op->file, buf, bytes, off, range);
    } else {
        io_uring_prep_write(sqe, op->file, buf, bytes, off);
    }
}

static void
prep_open(struct io_uring_sqe *sqe, struct weir_io_op *op)
{
    /* The kernel reads `how` when the submission is entered, some time before the op is done. */
    struct open_how *how = (struct open_how *)&op->priv[1];
    WEIR_STATIC_ASSERT(sizeof *how <= 4 * sizeof(uint64_t), "open_how fits behind priv[0]");
    how->flags = (uint64_t)weir_io_open_flags(op->flags);
    how->mode = (op->flags & WEIR_IO_O_CREATE) == 0    ? 0
                : (op->flags & WEIR_IO_O_PRIVATE) != 0 ? 0600
                                                       : 0666;
    how->resolve = (op->flags & WEIR_IO_O_BENEATH) != 0 ? RESOLVE_BENEATH : 0;
    io_uring_prep_openat2(sqe, op->dir, op->path, how);
}

void
weir_uring_prep_storage(struct uring *uring, struct io_uring_sqe *sqe, struct weir_io_op *op)
{
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_OPEN:
        prep_open(sqe, op);
        break;
    case WEIR_IO_CLOSE:
        io_uring_prep_close(sqe, op->file);
        break;
    case WEIR_IO_READ:
    case WEIR_IO_WRITE:
        prep_move(uring, sqe, op);
        break;
    case WEIR_IO_SYNC:
        io_uring_prep_fsync(
            sqe, op->file, (op->flags & WEIR_IO_DATA_ONLY) != 0 ? IORING_FSYNC_DATASYNC : 0);
        break;
    case WEIR_IO_ALLOCATE:
        io_uring_prep_fallocate(sqe, op->file, 0, (off_t)op->off, (off_t)op->bytes);
        break;
    case WEIR_IO_RENAME:
        io_uring_prep_renameat(sqe, op->dir, op->path, op->dir, op->path2,
            (op->flags & WEIR_IO_NOREPLACE) != 0 ? RENAME_NOREPLACE : 0);
        break;
    case WEIR_IO_UNLINK:
        io_uring_prep_unlinkat(
            sqe, op->dir, op->path, (op->flags & WEIR_IO_RMDIR) != 0 ? AT_REMOVEDIR : 0);
        break;
    case WEIR_IO_MKDIR:
        io_uring_prep_mkdirat(sqe, op->dir, op->path, 0777);
        break;
    default:
        WEIR_CHECK(false, "verb %d is no storage verb", op->verb);
    }
}
