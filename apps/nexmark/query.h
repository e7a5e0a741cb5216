/* SPDX-License-Identifier: Apache-2.0 */
/* query.h: the Nexmark queries as jobs over a stream of nexmark_row. */
#ifndef WEIR_APPS_NEXMARK_QUERY_H
#define WEIR_APPS_NEXMARK_QUERY_H

#include "apps/nexmark/source.h"

/* Every query: its name, the kinds of events that it needs, those whose payloads it reads, and
 * whether it takes brief rows. */
#define NEXMARK_QUERIES(Q)                                                          \
    Q(q0, NEXMARK_BIDS, NEXMARK_BIDS, false)                                        \
    Q(q1, NEXMARK_BIDS, NEXMARK_BIDS, false)                                        \
    Q(q2, NEXMARK_ALL, 0, false)                                                    \
    Q(q3, NEXMARK_PERSONS | NEXMARK_AUCTIONS, NEXMARK_PERSONS, false)               \
    Q(q4, NEXMARK_AUCTIONS | NEXMARK_BIDS, 0, false)                                \
    Q(q5, NEXMARK_BIDS, 0, true)                                                    \
    Q(q6, NEXMARK_AUCTIONS | NEXMARK_BIDS, 0, false)                                \
    Q(q7, NEXMARK_BIDS, NEXMARK_BIDS, false)                                        \
    Q(q8, NEXMARK_PERSONS | NEXMARK_AUCTIONS, NEXMARK_PERSONS, false)               \
    Q(q9, NEXMARK_AUCTIONS | NEXMARK_BIDS, NEXMARK_AUCTIONS | NEXMARK_BIDS, false)  \
    Q(q10, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q11, NEXMARK_BIDS, 0, false)                                                  \
    Q(q12, NEXMARK_BIDS, 0, false)                                                  \
    Q(q13, NEXMARK_BIDS, 0, false)                                                  \
    Q(q14, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q15, NEXMARK_BIDS, 0, false)                                                  \
    Q(q16, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q17, NEXMARK_BIDS, 0, false)                                                  \
    Q(q18, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q19, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q20, NEXMARK_AUCTIONS | NEXMARK_BIDS, NEXMARK_AUCTIONS | NEXMARK_BIDS, false) \
    Q(q21, NEXMARK_BIDS, NEXMARK_BIDS, false)                                       \
    Q(q22, NEXMARK_BIDS, NEXMARK_BIDS, false)

/* Their names, as a choice of a parameter has them. */
#define NEXMARK_QUERY_NAME(name, kinds, payload_kinds, brief) " " #name
#define NEXMARK_QUERY_NAMES (NEXMARK_QUERIES(NEXMARK_QUERY_NAME) + 1)

/* A query: the events that it needs, and the stream of its answer to them. */
struct nexmark_query {
    const char *name;
    struct nexmark_want want;
    struct weir_stream *(*build)(struct weir_stream *events);
};

/* nexmark_query_find - by name, or NULL; nexmark_query_at for listings. */
const struct nexmark_query *nexmark_query_find(const char *name);
const struct nexmark_query *nexmark_query_at(size_t idx);

#endif
