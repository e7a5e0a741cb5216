/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h: a running job's unix socket: one line asks, one text answers, then it is closed.
 *
 *     asker:     connect  ->  "request\n"  ->  read to the end of the stream
 *     endpoint:  accepted -> reading -> answering -> closed
 *                    |          |           '-- patience over, or the asker has gone
 *                    |          '-- too long, or more than a line: refused, with an answer
 *                    '-- of another user: refused, with an answer
 *
 * The socket is "<job>.sock" in the run-time directory (sched/lease.h), of mode 0600. Whoever holds
 * the lease of a name owns its socket: one that is there already is left over from a crash.
 *
 * Whoever opens an endpoint polls it, and never waits for an asker: at most
 * WEIR_ENDPOINT_ASKER_CNT_MAX of them are held, the oldest makes room for the next, and none stays
 * longer than WEIR_ENDPOINT_PATIENCE_NS, but for one whose answer comes later: it waits until it
 * has it, goes away, or all others wait too. It is not a server of data: answers are made whole.
 *
 * Thread:  one per endpoint, never a data core; asking: any, it waits.
 */
#ifndef WEIR_SCHED_ENDPOINT_H
#define WEIR_SCHED_ENDPOINT_H

#include "base/base.h"

#define WEIR_ENDPOINT_ASKER_CNT_MAX 32 /* people and scripts beside one job, with room to spare */
#define WEIR_ENDPOINT_REQUEST_BYTES_MAX 4096 /* a verb and its few options, the line feed too */
#define WEIR_ENDPOINT_ANSWER_BYTES_MAX (4u << 20) /* a status of thousands of stages */
#define WEIR_ENDPOINT_PATIENCE_NS (5 * WEIR_SEC_NS) /* a local asker that is alive needs no more */

/* What came in; borrowed until the answer is made. */
struct weir_endpoint_request {
    const char *text; /* without its line feed; not ended by a zero */
    size_t bytes;
    int err; /* 0, or why it must not be served: WEIR_EPERM, WEIR_EUSAGE */
    const char *why; /* then: in words */
    int pid; /* of the asker, 0 where it is not of this pid namespace */
    uint64_t ticket; /* of the asker, for weir_endpoint_answer; never 0 */
};

struct weir_endpoint_conf {
    const char *dir; /* NULL: the run-time directory; it is there */
    const char *job;
    /* Makes the answer to a request, also to one that is refused.
     *
     * Owner:   the text is malloc'd, ended by a zero, and the endpoint's to free.
     * Returns: NULL where memory could not be had: the asker gets the end of the stream.
     *          With *ret_later set to true, nothing: the asker waits, however long, for
     *          weir_endpoint_answer().
     */
    char *(*answer_fn)(void *arg, const struct weir_endpoint_request *request, bool *ret_later);
    void *arg;
};

struct weir_endpoint;

/* weir_endpoint_listen - a socket at `path` for processes of this user, and root, alone; what is
 * there is replaced. 0, or an errno. */
WEIR_API WEIR_MUST_USE int weir_endpoint_listen(const char *path, int *ret_fd);
/* weir_endpoint_open - listen; what a dead job left at this place is replaced.
 *
 * Shape:   the caller holds the lease of conf->job. conf is copied, its texts and arg are kept.
 * Errors:  WEIR_EINVAL for a name that is too long for a socket; what the system says.
 */
WEIR_API WEIR_MUST_USE int
weir_endpoint_open(const struct weir_endpoint_conf *conf, struct weir_endpoint **ret_endpoint);
/* weir_endpoint_close - askers get the end of the stream, the socket goes. Takes NULL. */
WEIR_API void weir_endpoint_close(struct weir_endpoint *endpoint);

/* weir_endpoint_fd - readable (POLLIN) when there is something to serve. */
WEIR_API int weir_endpoint_fd(const struct weir_endpoint *endpoint);
/* weir_endpoint_serve - accept, read, answer and write what can be now; never waits.
 *
 * Units:   now_ns of any one clock that does not go back.
 */
WEIR_API void weir_endpoint_serve(struct weir_endpoint *endpoint, int64_t now_ns);
/* weir_endpoint_wait_ns - how long until it wants to be served, whatever the fd says; negative:
 * no such time. */
WEIR_API int64_t weir_endpoint_wait_ns(const struct weir_endpoint *endpoint, int64_t now_ns);
/* weir_endpoint_answer - the answer of which answer_fn has said that it comes later; text as there,
 * also where the asker has gone. */
WEIR_API void weir_endpoint_answer(struct weir_endpoint *endpoint, uint64_t ticket, char *text);
/* weir_endpoint_asker_cnt - how many askers it holds. */
WEIR_API uint32_t weir_endpoint_asker_cnt(const struct weir_endpoint *endpoint);

/* ---- the other end ---- */

struct weir_endpoint_answer {
    char *text; /* malloc'd, ended by a zero */
    size_t bytes;
    int pid; /* of the job's process; 0 where it is not of this pid namespace */
    int pid_fd; /* becomes readable when that process ends; -1: there is none */
};

/* weir_endpoint_ask - send one request to a running job and wait for the answer.
 *
 * Shape:   job is a name, looked for in dir (NULL: the run-time directory, then that of the
 *          system), or with a '/' the path of a socket. request has no line feed.
 * Units:   the whole takes at most patience_ns.
 * Owner:   the answer is the caller's: weir_endpoint_answer_fini().
 * Errors:  WEIR_ENOJOB, with the names of jobs that run; WEIR_ESILENT when a job is there and does
 *          not answer; WEIR_EPERM when the socket or the process behind it is another user's.
 */
WEIR_API WEIR_MUST_USE int weir_endpoint_ask(const char *dir, const char *job, const char *request,
    int64_t patience_ns, struct weir_endpoint_answer *ret_answer);
WEIR_API void weir_endpoint_answer_fini(struct weir_endpoint_answer *answer);

#endif
