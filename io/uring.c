/* SPDX-License-Identifier: Apache-2.0 */
/* The ring is made disabled by whoever opens it and restricted to our verbs; the core's own thread
 * enables it and so becomes its single issuer. Completions are posted only when that thread enters
 * the kernel (DEFER_TASKRUN): the flag word of the submission queue says when there is something to
 * enter for, so a poll that finds nothing costs two loads.
 *
 * liburing 2.3 as packaged leaves its wrappers for restrictions and enabling out of the library:
 * the register call is made with the opcodes' numbers.
 */
#include "io/uring.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cpuset.h"
#include "base/err.h"
#include "io/socket.h"
#include "io/uring_priv.h"

/* User data of submissions that are no operation; operations are aligned, so these cannot
 * collide. */
#define TAG_IGNORED UINT64_C(1)
#define TAG_BELL UINT64_C(2)
#define TAG_ASIDE UINT64_C(3)
/* Submissions beside the operations: doorbell and helper; cancels share what is left of the power
 * of 2. */
#define SQE_EXTRA_CNT 8
#define REGISTER_RESTRICTIONS 11
#define REGISTER_ENABLE 12

static const uint8_t allowed_verbs[] = {
    IORING_OP_NOP,
    IORING_OP_OPENAT2,
    IORING_OP_CLOSE,
    IORING_OP_READ,
    IORING_OP_WRITE,
    IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED,
    IORING_OP_FSYNC,
    IORING_OP_FALLOCATE,
    IORING_OP_RENAMEAT,
    IORING_OP_UNLINKAT,
    IORING_OP_MKDIRAT,
    IORING_OP_CONNECT,
    IORING_OP_ACCEPT,
    IORING_OP_RECV,
    IORING_OP_SEND,
    IORING_OP_POLL_ADD,
    IORING_OP_ASYNC_CANCEL,
};

static const uint8_t allowed_registers[] = {
    IORING_REGISTER_RING_FDS,
    IORING_UNREGISTER_RING_FDS,
    IORING_REGISTER_BUFFERS2,
    IORING_REGISTER_BUFFERS_UPDATE,
    IORING_UNREGISTER_BUFFERS,
    IORING_REGISTER_IOWQ_AFF,
};

static struct uring *
uring_of(struct weir_io *io)
{
    return (struct uring *)io;
}

struct io_uring_sqe *
weir_uring_sqe(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL) {
        (void)io_uring_submit(
            &uring->ring); /* what it did not take is tried again by the next poll */
        sqe = io_uring_get_sqe(&uring->ring);
    }
    WEIR_CHECK(sqe != NULL, "the submission queue is sized for all operations and their cancels");
    return sqe;
}

static void
arm(struct uring *uring, int fd, short events, uint64_t tag)
{
    struct io_uring_sqe *sqe = weir_uring_sqe(uring);
    io_uring_prep_poll_add(sqe, fd, (unsigned)events);
    io_uring_sqe_set_data64(sqe, tag);
}

static void
put_aside(struct uring *uring, struct weir_io_op *op)
{
    op->priv[0] = URING_STEP_ASIDE;
    weir_aside_put(uring->aside, op);
    if (!uring->aside_armed) {
        uring->aside_armed = true;
        arm(uring, weir_aside_fd(uring->aside), POLLIN, TAG_ASIDE);
    }
}

static bool
is_net(const struct weir_io_op *op)
{
    return op->verb == WEIR_IO_CONNECT || op->verb == WEIR_IO_ACCEPT || op->verb == WEIR_IO_RECV ||
           op->verb == WEIR_IO_SEND;
}

static void
fly(struct uring *uring, struct weir_io_op *op)
{
    struct io_uring_sqe *sqe = weir_uring_sqe(uring);
    op->priv[0] = URING_STEP_FLYING;
    if (is_net(op)) {
        weir_uring_prep_net(sqe, op);
    } else {
        weir_uring_prep_storage(uring, sqe, op);
    }
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op);
}

static void
uring_submit(struct weir_io *io, struct weir_io_op *op)
{
    struct uring *uring = uring_of(io);
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_STAT: /* the verbs that io_uring lacks, or lacks half of (statfs) */
    case WEIR_IO_LIST:
    case WEIR_IO_TRUNCATE:
        put_aside(uring, op);
        return;
    case WEIR_IO_LISTEN:
    case WEIR_IO_CONNECT: {
        int err = weir_socket_resolve(op->path, true, (struct weir_socket_address *)&op->priv[1]);
        if (err == -EAGAIN) {
            put_aside(uring, op);
        } else if (err != 0) {
            weir_io_finish_later(io, op, err);
        } else if (weir_uring_begin_socket(uring, op)) {
            fly(uring, op);
        }
        return;
    }
    default:
        fly(uring, op);
    }
}

static void
reap_aside(struct uring *uring)
{
    int64_t res;
    struct weir_io_op *op;
    uring->aside_armed = false;
    for (uint32_t i = 0; i < uring->io.depth; i++) {
        op = weir_aside_take(uring->aside, &res);
        if (op == NULL) {
            break;
        }
        bool is_resolved = op->verb == WEIR_IO_LISTEN || op->verb == WEIR_IO_CONNECT;
        if (!is_resolved || res != 0) {
            weir_io_finish(&uring->io, op, res);
        } else if (op->canceling) {
            weir_io_finish(&uring->io, op, -ECANCELED);
        } else if (weir_uring_begin_socket(uring, op)) {
            fly(uring, op);
        }
    }
    if (weir_aside_cnt(uring->aside) > 0 && !uring->aside_armed) {
        uring->aside_armed = true;
        arm(uring, weir_aside_fd(uring->aside), POLLIN, TAG_ASIDE);
    }
}

static void
reap_op(struct uring *uring, struct weir_io_op *op, int64_t res)
{
    if (op->priv[0] == URING_STEP_AWAITED && res >= 0 && !op->canceling) {
        fly(uring, op);
        return;
    }
    if (op->priv[0] == URING_STEP_AWAITED && res >= 0) {
        res = -ECANCELED;
    }
    bool is_stream = op->off == WEIR_IO_STREAM || is_net(op);
    if (res == -EAGAIN && is_stream && !op->canceling) {
        /* Somebody set O_NONBLOCK on the descriptor: the ring then tries once only. */
        bool is_out = op->verb == WEIR_IO_WRITE || op->verb == WEIR_IO_SEND;
        op->priv[0] = URING_STEP_AWAITED;
        arm(uring, op->file, is_out ? POLLOUT : POLLIN, (uint64_t)(uintptr_t)op);
        return;
    }
    if (op->verb == WEIR_IO_OPEN && res >= 0) {
        res = weir_io_opened(op, (int)res);
    } else if (op->verb == WEIR_IO_ACCEPT && res >= 0) {
        weir_socket_no_delay((int)res);
    } else if (op->verb == WEIR_IO_CONNECT) {
        if (res < 0) {
            (void)close(op->file); /* it carried nothing */
        }
        res = res < 0 ? res : op->file;
    }
    weir_io_finish(&uring->io, op, res);
}

/* At most one completion queue full per poll: what a done_fn submits completes in a later one. */
static void
reap(struct uring *uring)
{
    struct io_uring_cqe *cqe;
    uint32_t cnt_max = io_uring_cq_ready(&uring->ring);
    for (uint32_t i = 0; i < cnt_max && io_uring_peek_cqe(&uring->ring, &cqe) == 0; i++) {
        uint64_t tag = cqe->user_data;
        int64_t res = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
        if (tag == TAG_BELL) {
            uint64_t rung;
            uring->bell_armed = false;
            (void)!read(
                uring->bell_fd, &rung, sizeof rung); /* drained; the count does not matter */
        } else if (tag == TAG_ASIDE) {
            reap_aside(uring);
        } else if (tag != TAG_IGNORED) {
            reap_op(uring, (struct weir_io_op *)(uintptr_t)tag, res);
        }
    }
}

static void
uring_poll(struct weir_io *io)
{
    struct uring *uring = uring_of(io);
    if (!io->started) {
        return;
    }
    if (io_uring_sq_ready(&uring->ring) > 0) {
        (void)io_uring_submit_and_get_events(&uring->ring); /* what is left is tried next time */
    } else {
        unsigned flags = IO_URING_READ_ONCE(*uring->ring.sq.kflags);
        if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
            (void)io_uring_get_events(&uring->ring);
        }
    }
    reap(uring);
}

static void
uring_wait(struct weir_io *io, int64_t timeout_ns, int event_fd)
{
    struct uring *uring = uring_of(io);
    if (event_fd >= 0 && !uring->bell_armed) {
        uring->bell_armed = true;
        uring->bell_fd = event_fd;
        arm(uring, event_fd, POLLIN, TAG_BELL);
    }
    WEIR_DCHECK(event_fd < 0 || event_fd == uring->bell_fd, "one doorbell per io");
    if (io_uring_cq_ready(&uring->ring) > 0) {
        return;
    }
    struct __kernel_timespec ts = {
        .tv_sec = timeout_ns / WEIR_SEC_NS, .tv_nsec = timeout_ns % WEIR_SEC_NS};
    struct io_uring_cqe *cqe;
    /* -ETIME and -EINTR are ends of the wait like any other. */
    (void)io_uring_submit_and_wait_timeout(
        &uring->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
}

static void
uring_cancel(struct weir_io *io, struct weir_io_op *op)
{
    struct uring *uring = uring_of(io);
    if (op->priv[0] == URING_STEP_ASIDE) {
        return; /* it runs to its end */
    }
    struct io_uring_sqe *sqe = weir_uring_sqe(uring);
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)op, 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORED);
}

static int
restrict_ring(struct io_uring *ring)
{
    struct io_uring_restriction
        rules[WEIR_ARRAY_CNT(allowed_verbs) + WEIR_ARRAY_CNT(allowed_registers)] = {{0}};
    unsigned cnt = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(allowed_verbs); i++) {
        rules[cnt].opcode = IORING_RESTRICTION_SQE_OP;
        rules[cnt++].sqe_op = allowed_verbs[i];
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(allowed_registers); i++) {
        rules[cnt].opcode = IORING_RESTRICTION_REGISTER_OP;
        rules[cnt++].register_op = allowed_registers[i];
    }
    return io_uring_register((unsigned)ring->ring_fd, REGISTER_RESTRICTIONS, rules, cnt);
}

/* A worker inherits the CPU of the core, and would take it from the rows while it syncs a file.
 * Refused: there it stays. */
static void
place_workers(struct uring *uring, const struct weir_cpuset *cpus)
{
    cpu_set_t set;
    WEIR_STATIC_ASSERT(sizeof set == sizeof *cpus, "the kernel's form of a set");
    memcpy(&set, cpus, sizeof set);
    (void)io_uring_register_iowq_aff(&uring->ring, sizeof set, &set);
}

static int
uring_start(struct weir_io *io)
{
    struct uring *uring = uring_of(io);
    int rc = io_uring_register((unsigned)uring->ring.ring_fd, REGISTER_ENABLE, NULL, 0);
    if (rc < 0) {
        return weir_err_errno(-rc, "enable the io_uring");
    }
    if (io_uring_register_ring_fd(&uring->ring) != 1) {
        weir_io_degrade(io, "the ring's descriptor could not be registered");
    }
    rc = io_uring_register_buffers_sparse(&uring->ring, URING_RANGE_CNT_MAX);
    uring->has_ranges = rc == 0;
    if (rc != 0) {
        weir_io_degrade(io, "no registered buffers (%s)", strerror(-rc));
    }
    if (io->worker_cpus != NULL) {
        place_workers(uring, io->worker_cpus);
    }
    return 0;
}

/* The place of a range that was given back, or a new one. */
static uint32_t
free_range(const struct uring *uring)
{
    uint32_t at = 0;
    while (at < uring->range_cnt && uring->ranges[at].iov_len != 0) {
        at++;
    }
    return at;
}

static int
update_range(struct uring *uring, uint32_t at, const struct iovec *range)
{
    __u64 tag = 0;
    return io_uring_register_buffers_update_tag(&uring->ring, at, range, &tag, 1);
}

static int
uring_add_range(struct weir_io *io, void *base, uint64_t bytes)
{
    struct uring *uring = uring_of(io);
    uint32_t at = free_range(uring);
    if (bytes == 0 || bytes > WEIR_GIB || at == URING_RANGE_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL,
            "register %lu bytes as range %u of %d: a range has 1 GiB at most", (unsigned long)bytes,
            at, URING_RANGE_CNT_MAX);
    }
    if (!uring->has_ranges) {
        return 0;
    }
    struct iovec range = {.iov_base = base, .iov_len = bytes};
    int rc = update_range(uring, at, &range);
    if (rc != 1) {
        uring->has_ranges = false;
        weir_io_degrade(io, "no registered buffers (%s)", strerror(rc < 0 ? -rc : EIO));
        return 0;
    }
    uring->ranges[at] = range;
    uring->range_cnt = (uint32_t)weir_max_u64(uring->range_cnt, at + 1);
    return 0;
}

/* No longer looked up, whether or not the kernel lets the pages go at once. */
static void
uring_drop_range(struct weir_io *io, const void *base)
{
    struct uring *uring = uring_of(io);
    for (uint32_t i = 0; i < uring->range_cnt; i++) {
        if (uring->ranges[i].iov_base == base && uring->ranges[i].iov_len != 0) {
            uring->ranges[i] = (struct iovec){0};
            (void)update_range(uring, i, &uring->ranges[i]);
            return;
        }
    }
}

static void
uring_close(struct weir_io *io)
{
    struct uring *uring = uring_of(io);
    weir_aside_close(uring->aside);
    io_uring_queue_exit(&uring->ring);
    free(uring);
}

static const struct weir_io_back uring_back = {
    .name = "io_uring",
    .start = uring_start,
    .close = uring_close,
    .submit = uring_submit,
    .poll = uring_poll,
    .wait = uring_wait,
    .cancel = uring_cancel,
    .add_range = uring_add_range,
    .drop_range = uring_drop_range,
};

/* Every verb that we would use must be known to the kernel; the first that is not is named. */
static int
probe(struct io_uring *ring)
{
    struct io_uring_probe *known = io_uring_get_probe_ring(ring);
    if (known == NULL) {
        return weir_err_push(WEIR_EUNAVAILABLE, "io_uring: the kernel does not answer the probe");
    }
    int err = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(allowed_verbs) && err == 0; i++) {
        if (!io_uring_opcode_supported(known, allowed_verbs[i])) {
            err = weir_err_push(
                WEIR_EUNAVAILABLE, "io_uring: operation %u is missing", allowed_verbs[i]);
        }
    }
    io_uring_free_probe(known);
    return err;
}

int
weir_uring_open(uint32_t depth, struct weir_io **ret_io)
{
    struct uring *uring = calloc(1, sizeof *uring);
    if (uring == NULL) {
        return weir_err_push(WEIR_ENOMEM, "io_uring");
    }
    weir_io_init(&uring->io, &uring_back, depth);
    uring->bell_fd = -1;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_TASKRUN_FLAG,
    };
    /* Twice the power of two holds each operation and a cancel for it; the completion queue twice
     * that. */
    unsigned sqe_cnt = (unsigned)weir_pow2_up(depth + SQE_EXTRA_CNT) * 2;
    int rc = io_uring_queue_init_params(sqe_cnt, &uring->ring, &params);
    if (rc < 0) {
        free(uring);
        return weir_err_push(WEIR_EUNAVAILABLE, "io_uring: %s", strerror(-rc));
    }
    int err = 0;
    if ((params.features & IORING_FEAT_NODROP) == 0) {
        err = weir_err_push(WEIR_EUNAVAILABLE, "io_uring: completions could be dropped");
        goto out;
    }
    err = probe(&uring->ring);
    if (err != 0) {
        goto out;
    }
    rc = restrict_ring(&uring->ring);
    if (rc < 0) {
        err = weir_err_push(WEIR_EUNAVAILABLE, "io_uring: restrict: %s", strerror(-rc));
        goto out;
    }
    err = weir_aside_open(&uring->aside);
out:
    if (err != 0) {
        uring_close(&uring->io);
        return err;
    }
    *ret_io = &uring->io;
    return 0;
}
