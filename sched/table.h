/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: graph calls for text: sources of lines, and sinks that write tables.
 *
 * As in graph.h: streams come back, the first error stays in the environment.
 */
#ifndef WEIR_SCHED_TABLE_H
#define WEIR_SCHED_TABLE_H

#include "dataplane/operators/lines.h"
#include "sched/graph.h"

WEIR_C_BEGIN

/* weir_source_lines - rows from a file, a directory, "-" or tcp://host:port (operators/lines.h).
 *
 * Order: one subtask reads, so that rows keep the order of the lines. conf is copied; its path too.
 */
WEIR_API struct weir_stream *weir_source_lines(struct weir_env *env, const char *name,
    const struct weir_schema *schema, const struct weir_lines_conf *conf);

/* weir_sink_table - write the stream as a table to `output`: F, F/, "-" for stdout (see
 * operators/file_sink.h), or "discard", which only counts and sums up. A name that ends in .json or
 * .jsonl gets JSON lines, any other CSV. One subtask writes F and "-". */
WEIR_API struct weir_stream *
weir_sink_table(struct weir_stream *in, const char *name, const char *output);

/* weir_env_discarded - rows and checksum of the sinks to "discard", after the run. */
WEIR_API void
weir_env_discarded(const struct weir_env *env, uint64_t *ret_rows, uint64_t *ret_checksum);

WEIR_C_END

#endif
