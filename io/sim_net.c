/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "io/sim_priv.h"

/* All hosts are this one: an address is its port. */
static int
port_of(const char *address, uint32_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0') {
        return -EINVAL;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > 65535) {
        return -EINVAL;
    }
    *ret_port = (uint32_t)port;
    return 0;
}

static struct sim_handle *
listener_at(struct weir_sim *world, uint32_t port)
{
    for (int32_t i = 0; i < SIM_HANDLE_CNT_MAX; i++) {
        if (world->handles[i].kind == SIM_LISTENER && world->handles[i].port == port) {
            return &world->handles[i];
        }
    }
    return NULL;
}

static int32_t
socket_new(struct weir_sim *world)
{
    int32_t fd = weir_sim_handle_new(world, SIM_SOCKET);
    if (fd < 0) {
        return fd;
    }
    world->handles[fd].inbox = malloc(SIM_INBOX_BYTES);
    if (world->handles[fd].inbox == NULL) {
        world->handles[fd] = (struct sim_handle){0};
        return -ENOMEM;
    }
    return fd;
}

void
weir_sim_net_close(struct weir_sim *world, int32_t fd)
{
    struct sim_handle *handle = weir_sim_handle_of(world, fd);
    for (uint32_t i = 0; i < handle->backlog_cnt; i++) {
        weir_sim_net_close(world, handle->backlog[i]); /* sockets: one level deep */
    }
    if (handle->kind == SIM_SOCKET && handle->peer >= 0) {
        world->handles[handle->peer].peer = -1;
    }
    free(handle->inbox);
    *handle = (struct sim_handle){0};
}

static int64_t
net_listen(struct weir_sim *world, struct weir_io_op *op)
{
    uint32_t port;
    int err = port_of(op->path, &port);
    if (err != 0) {
        return err;
    }
    if (port == 0) {
        port = world->port_next++;
    }
    if (listener_at(world, port) != NULL) {
        return -EADDRINUSE;
    }
    int32_t fd = weir_sim_handle_new(world, SIM_LISTENER);
    if (fd >= 0) {
        world->handles[fd].port = port;
        op->port = port;
    }
    return fd;
}

static int64_t
net_connect(struct weir_sim *world, struct weir_io_op *op)
{
    uint32_t port;
    int err = port_of(op->path, &port);
    if (err != 0) {
        return err;
    }
    struct sim_handle *listener = listener_at(world, port);
    if (listener == NULL || listener->backlog_cnt == SIM_BACKLOG_CNT_MAX) {
        return -ECONNREFUSED;
    }
    int32_t near = socket_new(world);
    if (near < 0) {
        return near;
    }
    int32_t far = socket_new(world);
    if (far < 0) {
        weir_sim_net_close(world, near);
        return far;
    }
    world->handles[near].peer = far;
    world->handles[far].peer = near;
    listener->backlog[listener->backlog_cnt++] = far;
    return near;
}

static int64_t
net_accept(struct sim_handle *listener)
{
    if (listener->backlog_cnt == 0) {
        return -EAGAIN;
    }
    int32_t fd = listener->backlog[0];
    listener->backlog_cnt--;
    memmove(listener->backlog, listener->backlog + 1, listener->backlog_cnt * sizeof fd);
    return fd;
}

static int64_t
net_recv(struct weir_sim *world, struct weir_io_op *op, struct sim_handle *to)
{
    uint64_t waiting = to->inbox_put - to->inbox_got;
    if (waiting == 0) {
        return to->peer < 0 ? 0 : -EAGAIN;
    }
    uint64_t bytes = weir_sim_cut(world, weir_min_u64(waiting, weir_io_rest_bytes(op)));
    char *buf = weir_io_rest_buf(op);
    for (uint64_t i = 0; i < bytes; i++) {
        buf[i] = to->inbox[(to->inbox_got + i) % SIM_INBOX_BYTES];
    }
    to->inbox_got += bytes;
    return (int64_t)bytes;
}

static int64_t
net_send(struct weir_sim *world, struct weir_io_op *op, struct sim_handle *from)
{
    if (from->peer < 0) {
        return -EPIPE;
    }
    struct sim_handle *to = &world->handles[from->peer];
    uint64_t room = SIM_INBOX_BYTES - (to->inbox_put - to->inbox_got);
    if (room == 0) {
        return -EAGAIN;
    }
    uint64_t bytes = weir_sim_cut(world, weir_min_u64(room, weir_io_rest_bytes(op)));
    const char *buf = weir_io_rest_buf(op);
    for (uint64_t i = 0; i < bytes; i++) {
        to->inbox[(to->inbox_put + i) % SIM_INBOX_BYTES] = buf[i];
    }
    to->inbox_put += bytes;
    return (int64_t)bytes;
}

/* The handle that the verb needs, or NULL. */
static struct sim_handle *
handle_for(struct weir_sim *world, const struct weir_io_op *op)
{
    struct sim_handle *handle = weir_sim_handle_of(world, op->file);
    uint32_t kind = op->verb == WEIR_IO_ACCEPT ? SIM_LISTENER : SIM_SOCKET;
    return handle != NULL && handle->kind == kind ? handle : NULL;
}

bool
weir_sim_net_would_wait(struct weir_sim *world, const struct weir_io_op *op)
{
    const struct sim_handle *handle = handle_for(world, op);
    if (op->verb == WEIR_IO_LISTEN || op->verb == WEIR_IO_CONNECT || handle == NULL) {
        return false;
    }
    if (op->verb == WEIR_IO_ACCEPT) {
        return handle->backlog_cnt == 0;
    }
    if (op->verb == WEIR_IO_RECV) {
        return handle->peer >= 0 && handle->inbox_put == handle->inbox_got;
    }
    return handle->peer >= 0 &&
           world->handles[handle->peer].inbox_put - world->handles[handle->peer].inbox_got ==
               SIM_INBOX_BYTES;
}

int64_t
weir_sim_net(struct weir_sim *world, struct weir_io_op *op)
{
    if (op->verb == WEIR_IO_LISTEN) {
        return net_listen(world, op);
    }
    if (op->verb == WEIR_IO_CONNECT) {
        return net_connect(world, op);
    }
    struct sim_handle *handle = handle_for(world, op);
    if (handle == NULL) {
        return weir_sim_handle_of(world, op->file) == NULL ? -EBADF : -ENOTSOCK;
    }
    switch ((enum weir_io_verb)op->verb) {
    case WEIR_IO_ACCEPT:
        return net_accept(handle);
    case WEIR_IO_RECV:
        return net_recv(world, op, handle);
    default:
        return net_send(world, op, handle);
    }
}
