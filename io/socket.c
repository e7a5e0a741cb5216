/* SPDX-License-Identifier: Apache-2.0 */
#include "io/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define HOST_BYTES_MAX 256
#define LISTEN_BACKLOG_CNT 128

/* Splits at the last colon; a host in brackets may hold colons. Returns 0 or -EINVAL. */
static int
split(const char *text, char *host, const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0') {
        return -EINVAL;
    }
    size_t bytes = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
        text++;
        bytes -= 2;
    }
    if (bytes == 0 || bytes >= HOST_BYTES_MAX) {
        return -EINVAL;
    }
    /* getaddrinfo would take 65617 for 81. */
    size_t digit_cnt = strspn(colon + 1, "0123456789");
    if (colon[1 + digit_cnt] != '\0' || digit_cnt > 5 ||
        strtoul(colon + 1, NULL, 10) > UINT16_MAX) {
        return -EINVAL;
    }
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    *ret_port = colon + 1;
    return 0;
}

int
weir_socket_resolve(const char *text, bool numeric_only, struct weir_socket_address *ret)
{
    char host[HOST_BYTES_MAX];
    const char *port;
    int err = split(text, host, &port);
    if (err != 0) {
        return err;
    }
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0),
    };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc == EAI_NONAME && numeric_only) {
        return -EAGAIN;
    }
    if (rc != 0) {
        return rc == EAI_MEMORY ? -ENOMEM : rc == EAI_SERVICE ? -EINVAL : -EHOSTUNREACH;
    }
    WEIR_CHECK(found->ai_addrlen <= sizeof ret->to, "address of %u bytes", found->ai_addrlen);
    memcpy(&ret->to, found->ai_addr, found->ai_addrlen);
    ret->bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void
weir_socket_no_delay(int fd)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* speed only */
}

int
weir_socket_open(const struct weir_socket_address *address, int type_flags)
{
    int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0) {
        return -errno;
    }
    weir_socket_no_delay(fd);
    return fd;
}

int
weir_socket_listen(const struct weir_socket_address *address, int type_flags, uint32_t *ret_port)
{
    int fd = weir_socket_open(address, type_flags);
    if (fd < 0) {
        return fd;
    }
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* bind tells what matters */
    struct weir_socket_address bound = {.bytes = sizeof bound.to};
    if (bind(fd, &address->to.any, address->bytes) != 0 || listen(fd, LISTEN_BACKLOG_CNT) != 0 ||
        getsockname(fd, &bound.to.any, &bound.bytes) != 0) {
        int errnum = errno;
        (void)close(fd); /* it carried nothing */
        return -errnum;
    }
    /* The port stands at the same place in both families. */
    *ret_port = ntohs(bound.to.v4.sin_port);
    return fd;
}
