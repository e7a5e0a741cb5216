/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h: a job in YAML alone: a source of CSV or JSON lines with a schema that the user
 * declares, steps, a sink.
 *
 *     pipeline:
 *       source:
 *         path: bids.csv              # file, directory, -, tcp://host:port
 *         format: csv                 # csv | json
 *         header: true                # csv: the first line names the columns
 *         separator: ","              # csv
 *         on_error: side              # fail | skip | side
 *         bad_lines: bad.csv          # side: the table of malformed lines
 *         reconnect: always           # tcp: tries in a row, reconnect_delay apart
 *         time: at                    # the field that holds the event time
 *         lag: 4s                     # how far watermarks stay behind it
 *         schema:
 *           auction: i64              # bool i32 i64 f64 decimal(SCALE) timestamp string
 *           price: decimal(3)
 *           at: timestamp
 *           note: string?             # ?: may be null
 *       ops:
 *         - where: price >= 100.5 and note is not null
 *         - select: [auction, price, at]
 *         - window: {key: [auction], size: 10s, slide: 2s, count: num}
 *         - group: {key: [auction], count: num, max: {best: price}}
 *         - rank: {key: [auction], by: {price: desc}, first: 3, as: place}
 *       sink: {path: dear.csv}        # .json, .jsonl: JSON lines; else CSV
 *
 * A window takes one of count: NAME, sum|min|max|avg: {NAME: FIELD}; its rows are window_start,
 * window_end, the key's fields, NAME. A group or a rank makes a table that changes: the sink writes
 * what is left of it, or with changes: log|upsert the changes. The parameters input and output
 * stand for the two paths, those of WEIR_LINES_PARAMS for the keys of their names.
 *
 * Owner: what is parsed lives in the pipeline, which outlives every graph built from it.
 */
#ifndef WEIR_SCHED_PIPELINE_H
#define WEIR_SCHED_PIPELINE_H

#include "base/opt.h"
#include "dataplane/group.h"
#include "dataplane/key.h"
#include "dataplane/operators/lines.h"
#include "dataplane/operators/select.h"
#include "dataplane/operators/general.h"
#include "dataplane/operators/where.h"
#include "dataplane/operators/window.h"
#include "dataplane/ranking.h"
#include "sched/yaml.h"

struct weir_env;

#define WEIR_PIPELINE_OP_CNT_MAX 32
#define WEIR_PIPELINE_PARAM_CNT 7

enum weir_pipeline_kind {
    WEIR_PIPELINE_WHERE,
    WEIR_PIPELINE_SELECT,
    WEIR_PIPELINE_WINDOW,
    WEIR_PIPELINE_GENERAL, /* windows of each key for themselves */
    WEIR_PIPELINE_GROUP,
    WEIR_PIPELINE_RANK,
};

struct weir_pipeline_op {
    enum weir_pipeline_kind kind;
    char name[24]; /* "where_1": the operator's name in the plan */
    const struct weir_schema *out_schema;
    union {
        struct weir_where_conf where;
        struct weir_select_conf select;
        struct weir_window_conf window;
        struct weir_general_conf general;
        struct {
            struct weir_key key;
            struct weir_group_conf conf;
        } group;
        struct {
            struct weir_key key;
            struct weir_ranking_conf conf;
        } rank;
    } conf;
};

/* What a table that changes is written as, in the order of the words. */
enum weir_pipeline_changes {
    WEIR_PIPELINE_FOLD, /* what is left at the end */
    WEIR_PIPELINE_LOG,
    WEIR_PIPELINE_UPSERT,
};

struct weir_pipeline {
    const char *input;
    const char *output;
    bool json;
    struct weir_decode_csv_conf csv;
    const struct weir_schema *schema;
    bool timed; /* the schema has a field of event time */
    int64_t lag_ms;
    bool has_changes; /* rows are a table that changes, from its last group or rank on */
    enum weir_pipeline_changes changes;
    struct weir_key table_key; /* of that table */
    uint32_t op_cnt;
    struct weir_pipeline_op op[WEIR_PIPELINE_OP_CNT_MAX];
    /* input, output, those of WEIR_LINES_PARAMS, and the end */
    struct weir_opt params[WEIR_PIPELINE_PARAM_CNT];
    void *blocks; /* memory of schemas and texts */
};

/* weir_pipeline_open - parse and check a `pipeline:` section of a file, which outlives it.
 *
 * Errors: WEIR_ECONFIG, with the place in the file.
 */
WEIR_API WEIR_MUST_USE int weir_pipeline_open(const struct weir_yaml *file,
    const struct weir_yaml_node *section, struct weir_pipeline **ret_pipeline);
WEIR_API void weir_pipeline_close(struct weir_pipeline *pipeline);

/* weir_pipeline_build - its graph, as a job's weir_job_main would; parameters were declared. */
WEIR_API WEIR_MUST_USE int
weir_pipeline_build(const struct weir_pipeline *pipeline, struct weir_env *env);

#endif
