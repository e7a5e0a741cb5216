/* SPDX-License-Identifier: Apache-2.0 */
/* query.h: the Nexmark queries as jobs over a stream of nexmark_row. */
#ifndef WEIR_APPS_NEXMARK_QUERY_H
#define WEIR_APPS_NEXMARK_QUERY_H

#include "apps/nexmark/source.h"

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
