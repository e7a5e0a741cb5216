/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "sched/endpoint_priv.h"
#include "sched/lease.h"

#define LISTENER UINT32_MAX /* what epoll says of it; others are indices of askers */
#define BACKLOG 128
/* The process is out of descriptors: so long until it is tried again to accept. */
#define REST_NS (100 * WEIR_MS)

struct asker {
    int fd; /* -1: free */
    int pid;
    uint64_t ticket;
    bool waits; /* for an answer that comes later */
    int64_t since_ns;
    size_t in_bytes;
    char in[WEIR_ENDPOINT_REQUEST_BYTES_MAX];
    char *out; /* NULL: it is still reading */
    size_t out_bytes;
    size_t out_at;
};

struct weir_endpoint {
    struct weir_endpoint_conf conf;
    char path[ENDPOINT_PATH_BYTES];
    bool bound; /* the path is ours to remove */
    int fd;
    int epoll_fd;
    int64_t rest_until_ns; /* 0: it accepts */
    uint32_t asker_cnt;
    uint64_t ticket; /* the last that was given out */
    int64_t now_ns; /* of the last serve */
    struct asker askers[WEIR_ENDPOINT_ASKER_CNT_MAX];
};

/* ---- the socket ---- */

int
weir_endpoint_address(const char *path, struct sockaddr_un *ret_address, int *ret_dir_fd)
{
    char dir[ENDPOINT_PATH_BYTES];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    *ret_dir_fd = -1;
    if (strlen(path) < sizeof address.sun_path) {
        (void)strcpy(address.sun_path, path);
        *ret_address = address;
        return 0;
    }
    if (slash == NULL || (size_t)(slash - path) >= sizeof dir) {
        return ENAMETOOLONG;
    }
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return errno;
    }
    int n =
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d%s", dir_fd, slash);
    if (n < 0 || (size_t)n >= sizeof address.sun_path) {
        (void)close(dir_fd);
        return ENAMETOOLONG;
    }
    *ret_address = address;
    *ret_dir_fd = dir_fd;
    return 0;
}

static int
watch_fd(struct weir_endpoint *endpoint, int op, int fd, struct epoll_event event)
{
    return epoll_ctl(endpoint->epoll_fd, op, fd, &event) != 0 ? errno : 0;
}

/* The mode is set before the socket has a name: nobody finds it open to others. */
int
weir_endpoint_listen(const char *path, int *ret_fd)
{
    struct sockaddr_un address;
    int dir_fd = -1;
    int errnum = weir_endpoint_address(path, &address, &dir_fd);
    if (errnum != 0) {
        return errnum;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && fchmod(fd, 0600) == 0 && (unlink(path) == 0 || errno == ENOENT);
    bool is_bound = ok && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    ok = is_bound && listen(fd, BACKLOG) == 0;
    errnum = ok ? 0 : errno;
    if (dir_fd >= 0) {
        (void)close(dir_fd);
    }
    if (is_bound && !ok) {
        (void)unlink(path);
    }
    if (!ok && fd >= 0) {
        (void)close(fd);
    }
    if (ok) {
        *ret_fd = fd;
    }
    return errnum;
}

static int
listen_at(struct weir_endpoint *endpoint)
{
    int errnum = weir_endpoint_listen(endpoint->path, &endpoint->fd);
    endpoint->bound = errnum == 0;
    return errnum;
}

int
weir_endpoint_open(const struct weir_endpoint_conf *conf, struct weir_endpoint **ret_endpoint)
{
    char dir[ENDPOINT_PATH_BYTES / 2];
    struct weir_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the control socket of job %s", conf->job);
    }
    endpoint->conf = *conf;
    endpoint->fd = -1;
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        endpoint->askers[i].fd = -1;
    }
    (void)snprintf(endpoint->path, sizeof endpoint->path, "%.500s/%.200s" ENDPOINT_SUFFIX,
        conf->dir != NULL ? conf->dir : weir_lease_dir(dir, sizeof dir), conf->job);
    endpoint->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int errnum = endpoint->epoll_fd < 0 ? errno : listen_at(endpoint);
    if (errnum == 0) {
        errnum = watch_fd(endpoint, EPOLL_CTL_ADD, endpoint->fd,
            (struct epoll_event){.events = EPOLLIN, .data.u32 = LISTENER});
    }
    if (errnum != 0) {
        int err = errnum == ENAMETOOLONG
                      ? weir_err_push(WEIR_EINVAL, "no socket can be called %s", endpoint->path)
                      : weir_err_errno(errnum, "listen on the control socket %s", endpoint->path);
        weir_endpoint_close(endpoint);
        return err;
    }
    *ret_endpoint = endpoint;
    return 0;
}

/* ---- askers ---- */

static void
drop(struct weir_endpoint *endpoint, struct asker *asker)
{
    (void)close(asker->fd); /* epoll forgets it */
    free(asker->out);
    asker->out = NULL;
    asker->fd = -1;
    endpoint->asker_cnt--;
}

void
weir_endpoint_close(struct weir_endpoint *endpoint)
{
    if (endpoint == NULL) {
        return;
    }
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        if (endpoint->askers[i].fd >= 0) {
            drop(endpoint, &endpoint->askers[i]);
        }
    }
    if (endpoint->bound) {
        (void)unlink(endpoint->path);
    }
    if (endpoint->fd >= 0) {
        (void)close(endpoint->fd);
    }
    if (endpoint->epoll_fd >= 0) {
        (void)close(endpoint->epoll_fd);
    }
    free(endpoint);
}

/* One that waits for its answer only where all do. */
static struct asker *
oldest(struct weir_endpoint *endpoint)
{
    struct asker *found = NULL;
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        struct asker *asker = &endpoint->askers[i];
        bool is_better = found == NULL || (found->waits && !asker->waits) ||
                         (found->waits == asker->waits && asker->since_ns < found->since_ns);
        if (asker->fd >= 0 && is_better) {
            found = asker;
        }
    }
    return found;
}

/* Writes what goes; the asker is dropped when all is written, or when it has gone. */
static void
write_some(struct weir_endpoint *endpoint, struct asker *asker)
{
    while (asker->out_at < asker->out_bytes) {
        ssize_t n = send(asker->fd, asker->out + asker->out_at, asker->out_bytes - asker->out_at,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            uint32_t idx = (uint32_t)(asker - endpoint->askers);
            if (watch_fd(endpoint, EPOLL_CTL_MOD, asker->fd,
                    (struct epoll_event){.events = EPOLLOUT, .data.u32 = idx}) == 0) {
                return;
            }
        }
        if (n < 0) {
            break;
        }
        asker->out_at += (size_t)n;
    }
    drop(endpoint, asker);
}

static void
begin_answer(struct weir_endpoint *endpoint, struct asker *asker, char *text)
{
    asker->out = text;
    asker->out_bytes = asker->out != NULL ? strlen(asker->out) : 0;
    asker->out_at = 0;
    if (asker->out_bytes > WEIR_ENDPOINT_ANSWER_BYTES_MAX) {
        asker->out_bytes = 0; /* an end without an answer, never half of one */
    }
    write_some(endpoint, asker);
}

/* err is 0, or why the request is not served. */
static void
answer(struct weir_endpoint *endpoint, struct asker *asker, size_t bytes, int err, const char *why)
{
    const struct weir_endpoint_request request = {.text = asker->in,
        .bytes = bytes,
        .err = err,
        .why = why,
        .pid = asker->pid,
        .ticket = asker->ticket};
    bool is_later = false;
    char *text = endpoint->conf.answer_fn(endpoint->conf.arg, &request, &is_later);
    if (is_later) {
        /* An asker that has said all may have closed its half: only its end is of interest. */
        uint32_t idx = (uint32_t)(asker - endpoint->askers);
        asker->waits = true;
        if (watch_fd(endpoint, EPOLL_CTL_MOD, asker->fd,
                (struct epoll_event){.events = 0, .data.u32 = idx}) != 0) {
            drop(endpoint, asker);
        }
        return;
    }
    begin_answer(endpoint, asker, text);
}

void
weir_endpoint_answer(struct weir_endpoint *endpoint, uint64_t ticket, char *text)
{
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        struct asker *asker = &endpoint->askers[i];
        if (asker->fd >= 0 && asker->waits && asker->ticket == ticket) {
            asker->waits = false;
            asker->since_ns = endpoint->now_ns;
            begin_answer(endpoint, asker, text);
            return;
        }
    }
    free(text);
}

/* Serves the request once its line is whole; an asker that has closed its end has said all. */
static void
read_some(struct weir_endpoint *endpoint, struct asker *asker)
{
    ssize_t n;
    do {
        n = recv(asker->fd, asker->in + asker->in_bytes, sizeof asker->in - asker->in_bytes,
            MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n < 0 || (n == 0 && asker->in_bytes == 0)) {
        drop(endpoint, asker);
        return;
    }
    asker->in_bytes += (size_t)n;
    const char *line_end = memchr(asker->in, '\n', asker->in_bytes);
    size_t bytes = line_end != NULL ? (size_t)(line_end - asker->in) : asker->in_bytes;
    if (line_end != NULL && bytes + 1 < asker->in_bytes) {
        answer(endpoint, asker, 0, WEIR_EUSAGE, "one connection takes one request, of one line");
    } else if (line_end != NULL || n == 0) {
        answer(endpoint, asker, bytes, 0, NULL);
    } else if (asker->in_bytes == sizeof asker->in) {
        answer(endpoint, asker, 0, WEIR_EUSAGE, "the request is longer than 4096 bytes");
    }
}

_Static_assert(WEIR_ENDPOINT_REQUEST_BYTES_MAX == 4096, "a sentence above names it");

static void
admit(struct weir_endpoint *endpoint, int fd, int64_t now_ns)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t peer_bytes = sizeof peer;
    if (endpoint->asker_cnt == WEIR_ENDPOINT_ASKER_CNT_MAX) {
        drop(endpoint, oldest(endpoint));
    }
    uint32_t idx = 0;
    while (endpoint->askers[idx].fd >= 0) {
        idx++;
    }
    struct asker *asker = &endpoint->askers[idx];
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) == 0;
    asker->fd = fd;
    asker->pid = known ? peer.pid : 0;
    asker->since_ns = now_ns;
    asker->in_bytes = 0;
    asker->waits = false;
    asker->ticket = ++endpoint->ticket;
    endpoint->asker_cnt++;
    if (watch_fd(endpoint, EPOLL_CTL_ADD, fd,
            (struct epoll_event){.events = EPOLLIN, .data.u32 = idx}) != 0) {
        drop(endpoint, asker);
    } else if (!known || (peer.uid != geteuid() && peer.uid != 0)) {
        answer(endpoint, asker, 0, WEIR_EPERM, "the job belongs to another user");
    }
}

/* As many as there may be askers: the rest is for the next call. */
static void
accept_some(struct weir_endpoint *endpoint, int64_t now_ns)
{
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        int fd = accept4(endpoint->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(endpoint, fd, now_ns);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* It stays readable: without a rest, this would be asked for ever. */
            endpoint->rest_until_ns = now_ns + REST_NS;
            (void)watch_fd(endpoint, EPOLL_CTL_MOD, endpoint->fd,
                (struct epoll_event){.events = 0, .data.u32 = LISTENER});
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

int
weir_endpoint_fd(const struct weir_endpoint *endpoint)
{
    return endpoint->epoll_fd;
}

uint32_t
weir_endpoint_asker_cnt(const struct weir_endpoint *endpoint)
{
    return endpoint->asker_cnt;
}

int64_t
weir_endpoint_wait_ns(const struct weir_endpoint *endpoint, int64_t now_ns)
{
    int64_t until_ns = endpoint->rest_until_ns != 0 ? endpoint->rest_until_ns : INT64_MAX;
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        if (endpoint->askers[i].fd >= 0 && !endpoint->askers[i].waits) {
            until_ns =
                weir_min_i64(until_ns, endpoint->askers[i].since_ns + WEIR_ENDPOINT_PATIENCE_NS);
        }
    }
    return until_ns == INT64_MAX ? -1 : weir_max_i64(until_ns - now_ns, 0);
}

/* Those for whom the patience is over, and a listener that has rested. */
static void
look_at_time(struct weir_endpoint *endpoint, int64_t now_ns)
{
    for (uint32_t i = 0; i < WEIR_ENDPOINT_ASKER_CNT_MAX; i++) {
        struct asker *asker = &endpoint->askers[i];
        if (asker->fd >= 0 && !asker->waits &&
            now_ns - asker->since_ns >= WEIR_ENDPOINT_PATIENCE_NS) {
            drop(endpoint, asker);
        }
    }
    if (endpoint->rest_until_ns != 0 && now_ns >= endpoint->rest_until_ns) {
        endpoint->rest_until_ns = 0;
        (void)watch_fd(endpoint, EPOLL_CTL_MOD, endpoint->fd,
            (struct epoll_event){.events = EPOLLIN, .data.u32 = LISTENER});
    }
}

void
weir_endpoint_serve(struct weir_endpoint *endpoint, int64_t now_ns)
{
    struct epoll_event events[WEIR_ENDPOINT_ASKER_CNT_MAX + 1];
    int cnt = epoll_wait(endpoint->epoll_fd, events, WEIR_ENDPOINT_ASKER_CNT_MAX + 1, 0);
    bool listener = false;
    endpoint->now_ns = now_ns;
    for (int i = 0; i < cnt; i++) {
        if (events[i].data.u32 == LISTENER) {
            listener = true; /* last, so that an event is still of the asker it came from */
            continue;
        }
        struct asker *asker = &endpoint->askers[events[i].data.u32];
        if (asker->waits) {
            drop(endpoint, asker); /* it has gone */
        } else if (asker->out != NULL) {
            write_some(endpoint, asker);
        } else {
            read_some(endpoint, asker);
        }
    }
    look_at_time(endpoint, now_ns);
    if (listener) {
        accept_some(endpoint, now_ns);
    }
}
