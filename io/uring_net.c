/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "base/check.h"
#include "io/socket.h"
#include "io/uring_priv.h"

bool
weir_uring_begin_socket(struct uring *uring, struct weir_io_op *op)
{
    const struct weir_socket_address *address = (const void *)&op->priv[1];
    if (op->verb == WEIR_IO_LISTEN) {
        weir_io_finish_later(&uring->io, op, weir_socket_listen(address, 0, &op->port));
        return false;
    }
    op->file = weir_socket_open(address, 0);
    if (op->file < 0) {
        weir_io_finish_later(&uring->io, op, op->file);
        return false;
    }
    return true;
}

void
weir_uring_prep_net(struct io_uring_sqe *sqe, struct weir_io_op *op)
{
    const struct weir_socket_address *address = (const void *)&op->priv[1];
    void *buf = weir_io_rest_buf(op);
    size_t bytes = weir_io_rest_bytes(op);
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_CONNECT:
        io_uring_prep_connect(sqe, op->file, &address->to.any, address->bytes);
        break;
    case WEIR_IO_ACCEPT:
        io_uring_prep_accept(sqe, op->file, NULL, NULL, SOCK_CLOEXEC);
        break;
    case WEIR_IO_RECV:
        io_uring_prep_recv(sqe, op->file, buf, bytes, 0);
        break;
    case WEIR_IO_SEND:
        io_uring_prep_send(sqe, op->file, buf, bytes, MSG_NOSIGNAL);
        break;
    default:
        WEIR_CHECK(false, "verb %d is no net verb", op->verb);
    }
}
