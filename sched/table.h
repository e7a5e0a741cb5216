/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: graph calls for text: sources of lines, and sinks that write tables.
 *
 * As in graph.h: streams come back, the first error stays in the environment.
 */
#ifndef WEIR_SCHED_TABLE_H
#define WEIR_SCHED_TABLE_H

#include "base/opt.h"
#include "dataplane/operators/lines.h"
#include "sched/graph.h"

WEIR_C_BEGIN

/* weir_source_lines - rows from a file, a directory, "-" or tcp://host:port (operators/lines.h).
 *
 * Order: one subtask reads, so that rows keep the order of the lines. conf is copied; its path too.
 */
WEIR_API struct weir_stream *weir_source_lines(struct weir_env *env, const char *name,
    const struct weir_schema *schema, const struct weir_lines_conf *conf);

/* Rows of a job's table of parameters: what becomes of bad lines and lost connections. They come
 * last but for the NULL name. */
#define WEIR_LINES_PARAMS                                                                          \
    {"on_error", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "fail", "fail skip side",                \
        "what a malformed line of the input does: fail the job, be counted, or be counted and "    \
        "written to bad_lines"},                                                                   \
        {"bad_lines", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4095, "", "",                          \
            "with on_error=side: the table of malformed lines, a name as that of an output"},      \
        {"reconnect", WEIR_OPT_INT, WEIR_OPT_ANY, "tries", 0, 1000000, "0", "always",              \
            "tcp://: tries in a row after a connection was refused, lost or closed"},              \
    {                                                                                              \
        "reconnect_delay", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", WEIR_MS, 3600 * WEIR_SEC_NS, "1s", \
            "", "tcp://: time before each of these tries"                                          \
    }

/* Rows that jobs have alike: where the table goes, and how fast a source that makes or maps its
 * records lets them go. */
#define WEIR_OUTPUT_PARAM(preset)                                                                 \
    {                                                                                             \
        "output", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 4096, preset, "",                         \
            "the table: a file, a directory ending in /, - for stdout, or discard for a checksum" \
    }
#define WEIR_RATE_PARAM                                                         \
    {                                                                           \
        "rate", WEIR_OPT_INT, WEIR_OPT_ANY, "events/s", 0, 1000000000, "0", "", \
            "events per second of wall clock, 0 for as fast as it goes"         \
    }

/* weir_source_lines_param - weir_source_lines as the parameters of WEIR_LINES_PARAMS say; bad lines
 * of on_error=side become a table of their own (struct weir_bad_line). */
WEIR_API struct weir_stream *weir_source_lines_param(struct weir_env *env, const char *name,
    const struct weir_schema *schema, const struct weir_lines_conf *conf);

/* weir_env_bad_line - malformed line idx of those that were skipped and kept as samples, as a
 * message; NULL past the end. After the run. */
WEIR_API const char *weir_env_bad_line(const struct weir_env *env, uint32_t idx);

/* weir_sink_table - write the stream as a table to `output`: F, F/, "-" for stdout (see
 * operators/file_sink.h), or "discard", which only counts and sums up. A name that ends in .json or
 * .jsonl gets JSON lines, any other CSV. One subtask writes F and "-". */
WEIR_API struct weir_stream *
weir_sink_table(struct weir_stream *in, const char *name, const char *output);

/* weir_sink_dealt - where `output` is F/: rows into F/NAME=VALUE/.../part-*, by the texts that
 * these fields hold (operators/file_sink.h); they get there when the job ends, and are in F/.parts/
 * before. Any other output: as weir_sink_table.
 *
 * Shape:   fields: [field_cnt], at most WEIR_FILE_SINK_DEAL_CNT_MAX; borrowed for ever.
 */
WEIR_API struct weir_stream *weir_sink_dealt(struct weir_stream *in, const char *name,
    const char *output, const char *const *fields, uint32_t field_cnt);

/* weir_output_path - the name under which a job makes and renames its output; lives as long as env.
 *
 * Behind a link it is that of the file which the link points at, so that the link stays
 * (/dev/stdout is one). What points at no regular file is left as it is.
 */
WEIR_API const char *weir_output_path(struct weir_env *env, const char *output);

/* weir_env_discarded - rows and checksum of the sinks to "discard", after the run. */
WEIR_API void
weir_env_discarded(const struct weir_env *env, uint64_t *ret_rows, uint64_t *ret_checksum);

WEIR_C_END

#endif
