/* SPDX-License-Identifier: Apache-2.0 */
/* outside.h: graph calls for what goes on outside of the engine's cores, in the time that it takes.
 *
 *     s = weir_async(s, "look up", &(struct weir_async_conf){.function = &ask_http,
 *         .function_conf = conf, .capacity = 50, .timeout_ns = 5 * WEIR_SEC_NS, .attempt_cnt = 3,
 *         .backoff_ns = 100 * WEIR_MS, .backoff_factor = 2});
 *
 * As in graph.h: streams come back, the first error stays in the environment. What a conf points to
 * is borrowed and outlives the environment (weir_env_alloc).
 */
#ifndef WEIR_SCHED_OUTSIDE_H
#define WEIR_SCHED_OUTSIDE_H

#include "dataplane/operators/async.h"
#include "sched/blocking.h"
#include "sched/graph.h"
#include "sched/thread.h"

WEIR_C_BEGIN

/* weir_async - for each row something is asked outside, and its answer is what goes on. */
WEIR_API struct weir_stream *
weir_async(struct weir_stream *in, const char *name, const struct weir_async_conf *conf);
/* weir_source_blocking - a stream of what a loop on a thread of its own emits. */
WEIR_API struct weir_stream *
weir_source_blocking(struct weir_env *env, const char *name, const struct weir_blocking_conf *conf);

WEIR_C_END

#endif
