/* SPDX-License-Identifier: Apache-2.0 */
/* scrape.h: the metrics of a running job over HTTP: on a unix socket of its own, and on a port of
 * 127.0.0.1 where one was asked for.
 *
 *     GET /metrics     the page, as OpenMetrics where the Accept header says so, else as Prometheus
 *                      text 0.0.4
 *
 * All else is 404, or 405. It is the library's server (libmicrohttpd) without threads of its own:
 * whoever has it polls one descriptor. Connections are few, short and bounded in what they may say.
 *
 * Thread: one.
 */
#ifndef WEIR_APPS_WEIR_SCRAPE_H
#define WEIR_APPS_WEIR_SCRAPE_H

#include <stdint.h>

#include "base/counter.h"

struct weir_scrape;

struct weir_scrape_conf {
    const char *path; /* of the unix socket; kept until close */
    uint16_t port; /* 0: none */
    /* Prints the page; 0 or an error. */
    int (*page_fn)(void *arg, const struct weir_counter_page *page);
    void *arg;
};

/* weir_scrape_open - listen; what a dead job left at the path is replaced.
 * Errors: what the system says, with the path or the port. */
WEIR_MUST_USE int
weir_scrape_open(const struct weir_scrape_conf *conf, struct weir_scrape **ret_scrape);
/* weir_scrape_close - takes NULL. The socket goes. */
void weir_scrape_close(struct weir_scrape *scrape);
/* weir_scrape_fd - readable when there is something to serve; weir_scrape_serve - never waits;
 * weir_scrape_wait_ns - until it wants to be served anyway, negative: no such time. */
int weir_scrape_fd(const struct weir_scrape *scrape);
void weir_scrape_serve(struct weir_scrape *scrape);
int64_t weir_scrape_wait_ns(const struct weir_scrape *scrape);

#endif
