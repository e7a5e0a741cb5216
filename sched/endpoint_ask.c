/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_ask.c: asking a running job; the end of who types `weir status`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/opt.h"
#include "sched/endpoint.h"
#include "sched/endpoint_priv.h"
#include "sched/lease.h"

#define LIST_BYTES 300
#define READ_BYTES 65536

struct ask {
    const char *job;
    struct weir_clock clock;
    int64_t until_ns;
    int64_t patience_ns;
    int fd;
    int pid;
};

/* ---- who is there ---- */

static int
refuse_unknown(
    const struct ask *ask, const char *path, const struct weir_lease_held *held, uint32_t cnt)
{
    const char *names[WEIR_LEASE_HELD_CNT_MAX];
    char listed[LIST_BYTES] = "";
    size_t used = 0;
    if (strchr(ask->job, '/') != NULL) {
        return weir_err_push(WEIR_ENOJOB, "nobody listens at %s", path);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        names[i] = held[i].job;
        int n = snprintf(
            listed + used, sizeof listed - used, "%s%s", used > 0 ? ", " : "", held[i].job);
        used = weir_min_u64(used + (n > 0 ? (size_t)n : 0), sizeof listed - 1);
    }
    const char *near = weir_opt_nearest(ask->job, names, cnt);
    if (near != NULL) {
        return weir_err_push(
            WEIR_ENOJOB, "no job called %.100s is running; did you mean %s?", ask->job, near);
    }
    return weir_err_push(WEIR_ENOJOB, "no job called %.100s is running; %s%s", ask->job,
        cnt > 0 ? "these are: " : "none is", listed);
}

/* Nobody listens at the last of the places; the leases know whether a job of this name is there. */
static int
nobody_listens(const struct ask *ask, const char *dir, const char *path)
{
    struct weir_lease_held *held = calloc(WEIR_LEASE_HELD_CNT_MAX, sizeof *held);
    if (held == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the names of running jobs");
    }
    uint32_t cnt = weir_lease_list(dir, held);
    int err = 0;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        if (strcmp(held[i].job, ask->job) == 0) {
            err = weir_err_push(WEIR_ESILENT,
                "job %s, process %d, is there and does not listen: it begins, or it ends", ask->job,
                held[i].pid);
        }
    }
    err = err == 0 ? refuse_unknown(ask, path, held, cnt) : err;
    free(held);
    return err;
}

/* ---- the connection ---- */

static int
silent(const struct ask *ask)
{
    return weir_err_push(WEIR_ESILENT, "job %.100s, process %d, has not answered within %lld ms",
        ask->job, ask->pid, (long long)(ask->patience_ns / WEIR_MS));
}

/* No call on the socket may wait beyond the end of the patience. False when that is over. */
static bool
give_time(const struct ask *ask)
{
    int64_t left_ns = ask->until_ns - weir_clock_ns_cold(&ask->clock);
    const struct timeval left = {.tv_sec = left_ns / WEIR_SEC_NS,
        .tv_usec = left_ns % WEIR_SEC_NS / WEIR_US + 1}; /* none at all would be for ever */
    return left_ns > 0 && setsockopt(ask->fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof left) == 0 &&
           setsockopt(ask->fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) == 0;
}

/* Returns 0 or an errno. */
static int
connect_to(struct ask *ask, const char *path)
{
    struct sockaddr_un address;
    int dir_fd = -1;
    int errnum = weir_endpoint_address(path, &address, &dir_fd);
    if (errnum != 0) {
        return errnum;
    }
    ask->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (ask->fd < 0) {
        errnum = errno;
    } else if (!give_time(ask)) {
        errnum = EAGAIN;
    } else if (connect(ask->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        errnum = errno;
    }
    if (dir_fd >= 0) {
        (void)close(dir_fd);
    }
    if (errnum != 0 && ask->fd >= 0) {
        (void)close(ask->fd);
        ask->fd = -1;
    }
    return errnum;
}

/* A socket that somebody else put at our place must not be believed. */
static int
check_peer(struct ask *ask, const char *path)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t peer_bytes = sizeof peer;
    if (getsockopt(ask->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0) {
        return weir_err_errno(errno, "who listens at %s", path);
    }
    if (peer.uid != geteuid() && peer.uid != 0 && geteuid() != 0) {
        return weir_err_push(
            WEIR_EPERM, "the process behind %s belongs to user %u", path, (unsigned int)peer.uid);
    }
    ask->pid = peer.pid;
    return 0;
}

/* Tries the places in turn: a job that is in none of them is not there. */
static int
open_ask(struct ask *ask, const char *dir)
{
    char path[ENDPOINT_PATH_BYTES] = "";
    char own[ENDPOINT_PATH_BYTES / 2];
    const char *dirs[2] = {dir, NULL};
    bool is_path = strchr(ask->job, '/') != NULL;
    if (dir == NULL) {
        dirs[0] = weir_lease_dir(own, sizeof own);
        dirs[1] = strcmp(own, WEIR_LEASE_SYSTEM_DIR) != 0 ? WEIR_LEASE_SYSTEM_DIR : NULL;
    }
    for (uint32_t i = 0; i < 2 && dirs[i] != NULL; i++) {
        int n = is_path ? snprintf(path, sizeof path, "%s", ask->job)
                        : snprintf(path, sizeof path, "%s/%s" ENDPOINT_SUFFIX, dirs[i], ask->job);
        int errnum = n < 0 || (size_t)n >= sizeof path ? ENAMETOOLONG : connect_to(ask, path);
        if (errnum == 0) {
            return check_peer(ask, path);
        }
        if (errnum == EAGAIN) {
            return silent(ask);
        }
        if (errnum != ENOENT && errnum != ECONNREFUSED && errnum != ENOTDIR &&
            errnum != ENAMETOOLONG) {
            return weir_err_errno(errnum, "ask job %.100s at %s", ask->job, path);
        }
    }
    return nobody_listens(ask, dir, path);
}

/* ---- the conversation ---- */

/* An endpoint that refuses may close before it has read all: what it says is read all the same. */
static void
send_request(const struct ask *ask, const char *request)
{
    size_t bytes = strlen(request);
    size_t at = 0;
    while (at < bytes + 1 && give_time(ask)) {
        const char *from = at < bytes ? request + at : "\n";
        ssize_t n = send(ask->fd, from, at < bytes ? bytes - at : 1, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
}

static int
read_answer(const struct ask *ask, struct weir_endpoint_answer *answer)
{
    for (size_t room = 0;;) {
        if (answer->bytes + 1 >= room) {
            room = room + READ_BYTES;
            char *text = realloc(answer->text, room);
            if (text == NULL) {
                return weir_err_push(WEIR_ENOMEM, "the answer of job %s", ask->job);
            }
            answer->text = text;
        }
        ssize_t n = give_time(ask)
                        ? recv(ask->fd, answer->text + answer->bytes, room - answer->bytes - 1, 0)
                        : (errno = EAGAIN, -1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return silent(ask);
        }
        if (n <= 0 && answer->bytes == 0) {
            return weir_err_push(
                WEIR_ESILENT, "job %.100s, process %d, has ended the talk", ask->job, ask->pid);
        }
        if (n <= 0) {
            answer->text[answer->bytes] = '\0';
            return 0;
        }
        answer->bytes += (size_t)n;
        if (answer->bytes > WEIR_ENDPOINT_ANSWER_BYTES_MAX) {
            return weir_err_push(WEIR_EFORMAT, "the answer of job %.100s has no end", ask->job);
        }
    }
}

int
weir_endpoint_ask(const char *dir, const char *job, const char *request, int64_t patience_ns,
    struct weir_endpoint_answer *ret_answer)
{
    struct ask ask = {.job = job, .patience_ns = patience_ns, .fd = -1};
    struct weir_endpoint_answer answer = {.pid_fd = -1};
    weir_clock_init_os(&ask.clock);
    ask.until_ns = weir_clock_ns_cold(&ask.clock) + patience_ns;
    int err = open_ask(&ask, dir);
    if (err == 0) {
        /* Before the answer: while the connection is open, this process number is its own. */
        answer.pid = ask.pid;
        answer.pid_fd = ask.pid > 0 ? (int)syscall(SYS_pidfd_open, ask.pid, 0) : -1;
        send_request(&ask, request);
        err = read_answer(&ask, &answer);
    }
    if (ask.fd >= 0) {
        (void)close(ask.fd);
    }
    if (err != 0) {
        weir_endpoint_answer_fini(&answer);
        return err;
    }
    *ret_answer = answer;
    return 0;
}

void
weir_endpoint_answer_fini(struct weir_endpoint_answer *answer)
{
    if (answer->pid_fd >= 0) {
        (void)close(answer->pid_fd);
    }
    free(answer->text);
    answer->text = NULL;
    answer->pid_fd = -1;
}
