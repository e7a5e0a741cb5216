/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/weir/scrape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "sched/endpoint.h"

/* Scrapers of one job: one or two, and somebody who looks. */
#define CONNECTION_CNT_MAX 8
#define CONNECTION_TIMEOUT_S 2
#define CONNECTION_BYTES 16384 /* of headers, with the library's own */
#define DAEMON_CNT 2

#define TEXT_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"

struct weir_scrape {
    struct weir_scrape_conf conf;
    struct MHD_Daemon *daemon[DAEMON_CNT]; /* the socket, the port */
    int epoll_fd; /* of the daemons' own */
    bool has_path;
};

/* ---- answers ---- */

static enum MHD_Result
answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result
answer_page(struct weir_scrape *scrape, struct MHD_Connection *connection)
{
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool is_open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL) {
        return MHD_NO;
    }
    const struct weir_counter_page page = {
        to, is_open ? WEIR_COUNTER_OPENMETRICS : WEIR_COUNTER_PROMETHEUS};
    int err = scrape->conf.page_fn(scrape->conf.arg, &page);
    bool is_whole = fclose(to) == 0 && err == 0;
    weir_err_clear(); /* who asked is told that there is no page */
    struct MHD_Response *response =
        is_whole ? MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (response == NULL) {
        free(text);
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
    }
    (void)MHD_add_response_header(
        response, MHD_HTTP_HEADER_CONTENT_TYPE, is_open ? TEXT_OPENMETRICS : TEXT_PROMETHEUS);
    enum MHD_Result rc = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return rc;
}

/* lint: allow parameters: the library's */
static enum MHD_Result
answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    (void)version;
    (void)upload;
    (void)state;
    if (*upload_bytes != 0) {
        return MHD_NO;
    }
    if (strcmp(url, "/metrics") != 0) {
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD\n");
    }
    return answer_page((struct weir_scrape *)arg, connection);
}

/* ---- listening ---- */

static int
start(struct weir_scrape *scrape, uint32_t idx, int fd, const char *where)
{
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, scrape,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTION_CNT_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)close(fd);
        return weir_err_push(WEIR_ESYS, "serve metrics on %s", where);
    }
    scrape->daemon[idx] = daemon; /* it has the descriptor now */
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event event = {.events = EPOLLIN};
    if (info == NULL || epoll_ctl(scrape->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0) {
        return weir_err_errno(errno, "poll the metrics on %s", where);
    }
    return 0;
}

static int
start_path(struct weir_scrape *scrape)
{
    int fd = -1;
    int errnum = weir_endpoint_listen(scrape->conf.path, &fd);
    if (errnum != 0) {
        return weir_err_errno(errnum, "listen on %s for scrapes", scrape->conf.path);
    }
    scrape->has_path = true;
    return start(scrape, 0, fd, scrape->conf.path);
}

static int
start_port(struct weir_scrape *scrape)
{
    char where[32];
    const struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons(scrape->conf.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    (void)snprintf(where, sizeof where, "127.0.0.1:%u", scrape->conf.port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, CONNECTION_CNT_MAX) != 0) {
        int err = weir_err_errno(errno, "listen on %s for scrapes (metrics.port)", where);
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    return start(scrape, 1, fd, where);
}

int
weir_scrape_open(const struct weir_scrape_conf *conf, struct weir_scrape **ret_scrape)
{
    struct weir_scrape *scrape = calloc(1, sizeof *scrape);
    if (scrape == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the server of metrics");
    }
    scrape->conf = *conf;
    scrape->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int err = scrape->epoll_fd < 0 ? weir_err_errno(errno, "a descriptor for scrapes") : 0;
    err = err != 0 ? err : start_path(scrape);
    if (err == 0 && conf->port != 0) {
        err = start_port(scrape);
    }
    if (err != 0) {
        weir_scrape_close(scrape);
        return err;
    }
    *ret_scrape = scrape;
    return 0;
}

void
weir_scrape_close(struct weir_scrape *scrape)
{
    if (scrape == NULL) {
        return;
    }
    for (uint32_t i = 0; i < DAEMON_CNT; i++) {
        if (scrape->daemon[i] != NULL) {
            MHD_stop_daemon(scrape->daemon[i]);
        }
    }
    if (scrape->has_path) {
        (void)unlink(scrape->conf.path);
    }
    if (scrape->epoll_fd >= 0) {
        (void)close(scrape->epoll_fd);
    }
    free(scrape);
}

int
weir_scrape_fd(const struct weir_scrape *scrape)
{
    return scrape->epoll_fd;
}

void
weir_scrape_serve(struct weir_scrape *scrape)
{
    for (uint32_t i = 0; i < DAEMON_CNT; i++) {
        if (scrape->daemon[i] != NULL) {
            (void)MHD_run(scrape->daemon[i]);
        }
    }
}

int64_t
weir_scrape_wait_ns(const struct weir_scrape *scrape)
{
    int64_t wait_ns = -1;
    for (uint32_t i = 0; i < DAEMON_CNT; i++) {
        MHD_UNSIGNED_LONG_LONG ms = 0;
        if (scrape->daemon[i] != NULL && MHD_get_timeout(scrape->daemon[i], &ms) == MHD_YES &&
            (wait_ns < 0 || (int64_t)ms * WEIR_MS < wait_ns)) {
            wait_ns = (int64_t)ms * WEIR_MS;
        }
    }
    return wait_ns;
}
