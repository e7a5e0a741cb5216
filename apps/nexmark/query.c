/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/query.h"

#include "apps/nexmark/query_row.h"

#define QUERY(name, kinds, payload_kinds, brief) \
    {#name, {kinds, payload_kinds, brief}, nexmark_##name},
static const struct nexmark_query queries[] = {NEXMARK_QUERIES(QUERY)};

const struct nexmark_query *
nexmark_query_find(const char *name)
{
    for (size_t i = 0; i < WEIR_ARRAY_CNT(queries); i++) {
        if (strcmp(queries[i].name, name) == 0) {
            return &queries[i];
        }
    }
    return NULL;
}

const struct nexmark_query *
nexmark_query_at(size_t idx)
{
    return idx < WEIR_ARRAY_CNT(queries) ? &queries[idx] : NULL;
}
