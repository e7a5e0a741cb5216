/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h: addresses and TCP sockets of the host, shared by the posix and the io_uring back
 * ends. */
#ifndef WEIR_IO_SOCKET_H
#define WEIR_IO_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

/* An IPv4 or IPv6 address; bytes 0 means not resolved. Fits into weir_io_op.priv from 1 on. */
struct weir_socket_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    uint32_t bytes;
};

/* weir_socket_resolve - "host:port" or "[v6]:port" to an address; 0 or -errno.
 *
 * With numeric_only it does not block; -EAGAIN then says that the host is a name.
 * Errors:  -EINVAL for a text of another form, -EHOSTUNREACH for a name that nobody knows.
 */
int weir_socket_resolve(const char *text, bool numeric_only, struct weir_socket_address *ret);
/* weir_socket_open - a TCP socket for the address, without Nagle's delay; fd or -errno. */
int weir_socket_open(const struct weir_socket_address *address, int type_flags);
/* weir_socket_listen - bound and listening; fd or -errno, and the port that was bound. */
int
weir_socket_listen(const struct weir_socket_address *address, int type_flags, uint32_t *ret_port);
/* weir_socket_no_delay - for an accepted socket; not a TCP one is no error. */
void weir_socket_no_delay(int fd);

#endif
