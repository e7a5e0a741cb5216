/* SPDX-License-Identifier: Apache-2.0 */
/* What may block for long (files, names) goes aside. Streams are tried when poll(2) says that they
 * are ready, so the core never blocks and nobody's descriptor has its flags changed.
 */
#include "io/posix.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "io/aside.h"
#include "io/socket.h"

struct posix {
    struct weir_io io;
    struct weir_aside *aside;
    uint32_t awaited_cnt; /* flying operations that wait for poll(2) */
    uint32_t poll_cnt; /* of them, those in the arrays below */
    struct pollfd *fds; /* depth + 2: the helper, the doorbell */
    struct weir_io_op **ops;
};

/* Where an operation stands: op.priv[0]. */
enum step { STEP_START, STEP_ASIDE, STEP_AWAITED };

static struct posix *
posix_of(struct weir_io *io)
{
    return (struct posix *)io;
}

static short
awaited_events(const struct weir_io_op *op)
{
    bool is_out =
        op->verb == WEIR_IO_WRITE || op->verb == WEIR_IO_SEND || op->verb == WEIR_IO_CONNECT;
    return is_out ? POLLOUT : POLLIN;
}

static void
put_aside(struct posix *posix, struct weir_io_op *op)
{
    op->priv[0] = STEP_ASIDE;
    weir_aside_put(posix->aside, op);
}

static void
await(struct posix *posix, struct weir_io_op *op)
{
    op->priv[0] = STEP_AWAITED;
    posix->awaited_cnt++;
}

/* The address is known: make the socket and, for connect, begin. */
static void
begin_socket(struct posix *posix, struct weir_io_op *op)
{
    const struct weir_socket_address *address = (const void *)&op->priv[1];
    if (op->verb == WEIR_IO_LISTEN) {
        weir_io_finish_later(&posix->io, op, weir_socket_listen(address, SOCK_NONBLOCK, &op->port));
        return;
    }
    int fd = weir_socket_open(address, SOCK_NONBLOCK);
    if (fd < 0) {
        weir_io_finish_later(&posix->io, op, fd);
        return;
    }
    op->file = fd;
    if (connect(fd, &address->to.any, address->bytes) == 0) {
        weir_io_finish_later(&posix->io, op, fd);
    } else if (errno == EINPROGRESS) {
        await(posix, op);
    } else {
        int errnum = errno;
        (void)close(fd); /* it carried nothing */
        weir_io_finish_later(&posix->io, op, -errnum);
    }
}

static void
posix_submit(struct weir_io *io, struct weir_io_op *op)
{
    struct posix *posix = posix_of(io);
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_ACCEPT:
    case WEIR_IO_RECV:
    case WEIR_IO_SEND:
        await(posix, op);
        return;
    case WEIR_IO_READ:
    case WEIR_IO_WRITE:
        if (op->off == WEIR_IO_STREAM) {
            await(posix, op);
            return;
        }
        break;
    case WEIR_IO_LISTEN:
    case WEIR_IO_CONNECT: {
        int err = weir_socket_resolve(op->path, true, (struct weir_socket_address *)&op->priv[1]);
        if (err == 0) {
            begin_socket(posix, op);
            return;
        }
        if (err != -EAGAIN) {
            weir_io_finish_later(io, op, err);
            return;
        }
        break;
    }
    default:
        break;
    }
    put_aside(posix, op);
}

/* The call that poll(2) said would not block. A pipe takes PIPE_BUF without blocking, more
 * might. */
static int64_t
try_awaited(struct weir_io_op *op)
{
    int64_t rc;
    int errnum = 0;
    socklen_t errnum_bytes = sizeof errnum;
    void *buf = weir_io_rest_buf(op);
    size_t bytes = weir_io_rest_bytes(op);
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_ACCEPT:
        rc = accept4(op->file, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (rc >= 0) {
            weir_socket_no_delay((int)rc);
        }
        break;
    case WEIR_IO_RECV:
        rc = recv(op->file, buf, bytes, MSG_DONTWAIT);
        break;
    case WEIR_IO_SEND:
        rc = send(op->file, buf, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case WEIR_IO_READ:
        rc = read(op->file, buf, bytes);
        break;
    case WEIR_IO_WRITE:
        rc = write(op->file, buf, weir_min_u64(bytes, PIPE_BUF));
        break;
    case WEIR_IO_OPEN:
        weir_aside_block(op->file);
        return op->file;
    case WEIR_IO_CONNECT:
        rc = getsockopt(op->file, SOL_SOCKET, SO_ERROR, &errnum, &errnum_bytes);
        if (rc == 0 && errnum == 0) {
            return op->file;
        }
        errno = rc == 0 ? errnum : errno;
        rc = -1;
        break;
    default:
        WEIR_CHECK(false, "verb %d is not awaited", op->verb);
    }
    return rc < 0 ? -errno : rc;
}

/* What an awaited operation made and nobody will get. */
static void
drop_made(const struct weir_io_op *op)
{
    if (op->verb == WEIR_IO_CONNECT || op->verb == WEIR_IO_OPEN) {
        (void)close(op->file); /* it carried nothing */
    }
}

static void
end_awaited(struct posix *posix, struct weir_io_op *op, int64_t res)
{
    posix->awaited_cnt--;
    if (res < 0) {
        drop_made(op);
    }
    weir_io_finish(&posix->io, op, res);
}

/* A named pipe is open when somebody writes to it. */
static bool
lacks_writer(const struct weir_io_op *op, int64_t res)
{
    struct stat st;
    return op->verb == WEIR_IO_OPEN && (op->flags & WEIR_IO_O_WRITE) == 0 && res >= 0 &&
           fstat((int)res, &st) == 0 && S_ISFIFO(st.st_mode);
}

static void
poll_aside(struct posix *posix)
{
    int64_t res;
    struct weir_io_op *op;
    for (uint32_t i = 0; i < posix->io.depth; i++) {
        op = weir_aside_take(posix->aside, &res);
        if (op == NULL) {
            return;
        }
        bool is_resolved = op->verb == WEIR_IO_LISTEN || op->verb == WEIR_IO_CONNECT;
        if (is_resolved && res == 0 && !op->canceling) {
            begin_socket(posix, op);
        } else if (lacks_writer(op, res)) {
            op->file = (int32_t)res;
            await(posix, op);
            if (op->canceling) {
                end_awaited(posix, op, -ECANCELED);
            }
        } else {
            weir_io_finish(&posix->io, op, is_resolved && res == 0 ? -ECANCELED : res);
        }
    }
}

static uint32_t
fill_fds(struct posix *posix)
{
    uint32_t cnt = 0;
    for (struct weir_io_op *op = posix->io.flying.head; op != NULL; op = op->next) {
        if (op->priv[0] == STEP_AWAITED) {
            posix->fds[cnt] = (struct pollfd){.fd = op->file, .events = awaited_events(op)};
            posix->ops[cnt++] = op;
        }
    }
    return cnt;
}

static void
posix_poll(struct weir_io *io)
{
    struct posix *posix = posix_of(io);
    if (weir_aside_cnt(posix->aside) > 0) {
        poll_aside(posix);
    }
    if (posix->awaited_cnt == 0) {
        return;
    }
    uint32_t cnt = fill_fds(posix);
    if (poll(posix->fds, cnt, 0) <= 0) {
        return; /* none is ready; a signal looks the same, the next poll sees it */
    }
    /* A done_fn may submit, which changes the flying list but neither of the arrays. */
    for (uint32_t i = 0; i < cnt; i++) {
        if (posix->fds[i].revents == 0) {
            continue;
        }
        int64_t res = (posix->fds[i].revents & POLLNVAL) != 0 ? -EBADF : try_awaited(posix->ops[i]);
        if (res != -EAGAIN) {
            end_awaited(posix, posix->ops[i], res);
        }
    }
}

static void
posix_wait(struct weir_io *io, int64_t timeout_ns, int event_fd)
{
    struct posix *posix = posix_of(io);
    uint32_t cnt = fill_fds(posix);
    if (weir_aside_cnt(posix->aside) > 0) {
        posix->fds[cnt++] = (struct pollfd){.fd = weir_aside_fd(posix->aside), .events = POLLIN};
    }
    if (event_fd >= 0) {
        posix->fds[cnt++] = (struct pollfd){.fd = event_fd, .events = POLLIN};
    }
    struct timespec ts = {.tv_sec = timeout_ns / WEIR_SEC_NS, .tv_nsec = timeout_ns % WEIR_SEC_NS};
    int ready = ppoll(posix->fds, cnt, timeout_ns < 0 ? NULL : &ts, NULL);
    if (ready > 0 && event_fd >= 0 && (posix->fds[cnt - 1].revents & POLLIN) != 0) {
        uint64_t rung;
        (void)!read(event_fd, &rung, sizeof rung); /* drained; how often it rang does not matter */
    }
}

/* What is aside runs to its end; what is awaited ends at the next poll. */
static void
posix_cancel(struct weir_io *io, struct weir_io_op *op)
{
    struct posix *posix = posix_of(io);
    if (op->priv[0] != STEP_AWAITED) {
        return;
    }
    posix->awaited_cnt--;
    drop_made(op);
    op->priv[0] = STEP_START;
    weir_io_finish_later(io, op, -ECANCELED);
}

static void
posix_close(struct weir_io *io)
{
    struct posix *posix = posix_of(io);
    weir_aside_close(posix->aside);
    free(posix->fds);
    free(posix->ops);
    free(posix);
}

static const struct weir_io_back posix_back = {
    .name = "posix",
    .close = posix_close,
    .submit = posix_submit,
    .poll = posix_poll,
    .wait = posix_wait,
    .cancel = posix_cancel,
};

int
weir_posix_open(uint32_t depth, struct weir_io **ret_io)
{
    struct posix *posix = calloc(1, sizeof *posix);
    if (posix == NULL) {
        return weir_err_push(WEIR_ENOMEM, "posix io");
    }
    weir_io_init(&posix->io, &posix_back, depth);
    posix->fds = calloc(depth + 2, sizeof *posix->fds);
    posix->ops = calloc(depth, sizeof *posix->ops);
    int err = posix->fds == NULL || posix->ops == NULL ? weir_err_push(WEIR_ENOMEM, "posix io")
                                                       : weir_aside_open(&posix->aside);
    if (err != 0) {
        posix_close(&posix->io);
        return err;
    }
    *ret_io = &posix->io;
    return 0;
}
