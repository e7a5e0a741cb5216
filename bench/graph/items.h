/* SPDX-License-Identifier: Apache-2.0 */
/* items.h: records of 16 bytes in touched memory, and the source that lends them to a job. */
#ifndef WEIR_BENCH_GRAPH_ITEMS_H
#define WEIR_BENCH_GRAPH_ITEMS_H

#include "sched/weir.h"

#define ITEM(F) F(time, at) F(i64, key)
WEIR_SCHEMA(item, ITEM)

/* Rows that a subtask takes before it is another's turn. */
#define ITEMS_BLOCK 4096

struct items {
    struct item *rows;
    uint64_t cnt;
};

/* items_make - cnt records from a seed: keys uniform in [0, key_cnt), per_ms records a
 * millisecond of event time, in order.
 *
 * Errors: WEIR_ENOMEM. Owner: the process keeps them until it ends.
 */
WEIR_MUST_USE int items_make(struct items *items, uint64_t cnt, uint64_t key_cnt, uint64_t per_ms);

/* items_source - a stream of them, without watermarks. */
struct weir_stream *items_source(struct weir_env *env, const struct items *items);

#endif
