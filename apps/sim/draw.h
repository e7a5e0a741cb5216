/* SPDX-License-Identifier: Apache-2.0 */
/* draw.h: what a seed draws before anything runs: a job, its sizes, and the rows that it reads.
 *
 * A job is a list of nodes, each after those that it reads; streams have numbers. Rows have one
 * shape everywhere (row.h), so that any stream may feed any node. What would make the answer depend
 * on the order in which tasks are polled is not drawn:
 *
 *     ordered   rows of a key come in one order whatever happens: from one split, by ways on which
 *               nothing overtakes. Only there does a node look at the order.
 *     late      holds rows that are late on purpose, by far more than any window is long. No
 *               exchange lies before it, so that the watermark that they are late for comes with
 *               them.
 *     folded    comes when the input has ended, with any times: nothing looks at those. It counts
 *               as late.
 *     all else  is on time: a source's watermark is never ahead of what it has yet to read.
 */
#ifndef WEIR_APPS_SIM_DRAW_H
#define WEIR_APPS_SIM_DRAW_H

#include "apps/sim/row.h"
#include "base/rng.h"
#include "dataplane/partitioner.h"

#define SIM_NODE_CNT_MAX 48
#define SIM_STREAM_CNT_MAX 64
/* Event time that every source goes through. */
#define SIM_SPAN_MS 65536
#define SIM_KEY_CNT_FEW 40
#define SIM_GROUP_NAME "sources"
/* Of timers and the buckets they end. */
#define SIM_BUCKET_MS 512
#define SIM_THIN_LEVEL_CNT 6
#define SIM_BEST_KEY_CNT 7
#define SIM_RULE_CNT 7
/* How long rows may come behind the time of a timer in processing time, and how much of the time
 * between two of them counts. */
#define SIM_CLOCK_LATE_MS 20
#define SIM_CLOCK_STEP_MS 2
/* Keys that the table of a lookup has: key k comes k % 9 times. */
#define SIM_LOOKUP_KEY_CNT 50
#define SIM_LOOKUP_COPY_CNT 9

/* What a loop does with a row until its value is between SIM_LOOP_DONE and its negative. */
#define SIM_LOOP_DIVISOR 5
#define SIM_LOOP_DONE 7

enum sim_op {
    SIM_SOURCE,
    SIM_MAP,
    SIM_REKEY,
    SIM_FILTER, /* three of four rows */
    SIM_THIN, /* one of eight, others of those at each level */
    SIM_ASK, /* of the outside, answers in order */
    SIM_ASK_ANY, /* as they come */
    SIM_LOOKUP, /* in a table that does not change, outer */
    SIM_FLATMAP,
    SIM_UNION,
    SIM_WINDOW_SUM, /* built in */
    SIM_WINDOW_COUNT,
    SIM_WINDOW_XOR, /* of its own, with an inverse */
    SIM_WINDOW_MOST, /* of its own, without */
    SIM_TOP, /* behind a counting window */
    SIM_REDUCE,
    SIM_PROCESS, /* every third row of a key; output 1: some rows as they came */
    SIM_TIMED, /* once per key and bucket */
    SIM_BUCKET, /* sums by key and bucket, in a map */
    SIM_GROUP, /* aggregates by key, folded */
    SIM_CLOCK, /* sums of a key told by timers in processing time, and put together, folded */
    SIM_BEST, /* the first rows of keys, as changes into sums by other keys, folded */
    SIM_JOIN, /* of rows; or of tables that change, folded */
    SIM_TTL_JOIN, /* for longer than any trial takes */
    SIM_INTERVAL_JOIN,
    SIM_WINDOW_JOIN,
    SIM_SEMI_JOIN,
    SIM_OUTER_JOIN, /* of windows: left, right or full */
    SIM_COGROUP,
    SIM_CONNECT, /* sums by key and bucket: left rows add, right ones take away */
    SIM_RULES, /* sums of left rows by key, and what right rows have told everybody, folded */
    SIM_SINK,
    SIM_OP_CNT
};

/* How a loop ends. */
enum sim_loop {
    SIM_LOOP_NONE,
    SIM_LOOP_LAST, /* with its last row */
    SIM_LOOP_WAIT, /* when nothing has come back for long */
};

struct sim_node {
    enum sim_op op;
    uint32_t in[2]; /* streams */
    uint32_t out[2]; /* main, and of what has one the side output; SIM_NO_STREAM */
    enum weir_partitioner partitioner; /* before a map, filter or flat map */
    enum sim_loop loop; /* before an operation of single rows: they go round, */
    bool loop_deals; /* and are dealt out by their keys each time */
    int64_t size_ms; /* of windows; how far right rows of an interval may be behind left ones */
    int64_t slide_ms; /* and how far before them */
    /* Of windows: each key's own (general.h), which hold what has fired for a while; or sessions of
     * rows at even times, size_ms apart and odd: none lies right at the end of another's. */
    bool is_general;
    bool is_session;
    int64_t lateness_ms;
    int64_t evict_ms; /* of those: rows so far behind the latest do not count; 0: all do */
    uint32_t top_cnt;
    uint32_t outer; /* SIM_OUTER_LEFT and _RIGHT: of which sides rows come alone */
    /* A join of tables: counts and sums of left rows by key, and of right rows, or those as they
     * are, joined by keys that are alike (SIM_TABLE_KEY). */
    bool is_table;
    bool is_mixed;
    uint32_t thin_level;
    uint32_t source; /* which */
    bool is_file; /* a sink: F, not F/ */
    /* A sink: the changes of a table of counts and sums by key, not the rows; or those that who
     * knows the key needs. */
    bool is_log;
    bool is_upsert;
};
#define SIM_NO_STREAM UINT32_MAX
#define SIM_OUTER_LEFT 1
#define SIM_OUTER_RIGHT 2
/* Of tables only. */
#define SIM_OUTER_SEMI 4
#define SIM_OUTER_ANTI 5
#define SIM_OUTER_CNT 6
/* A few rows of a table meet a few. */
#define SIM_TABLE_KEY(key) ((key) / 4)

struct sim_stream {
    bool is_ordered;
    bool is_late;
    bool is_stale; /* late rows have crossed an exchange: whether they are late is open there */
    bool is_used;
    uint32_t key_cnt;
    uint32_t thin_level; /* how often it was thinned */
    double row_cnt; /* about */
    double heat; /* the chance that two rows have the same key */
};

/* What a start of the job draws anew, for it may stop with other parallelisms than it began. */
struct sim_sizes {
    uint32_t parallelism; /* of the job */
    uint32_t node_parallelism[SIM_NODE_CNT_MAX]; /* 0: the job's */
    bool cuts_all;
    uint32_t batch_rows;
    uint32_t ring_slot_cnt;
    uint32_t buffer_bytes;
    uint32_t exclusive_cnt;
    uint32_t floating_cnt;
};

struct sim_draw {
    uint64_t seed;
    uint32_t source_cnt;
    struct sim_source source[SIM_SOURCE_CNT_MAX];
    uint32_t node_cnt;
    struct sim_node node[SIM_NODE_CNT_MAX];
    uint32_t stream_cnt;
    struct sim_stream stream[SIM_STREAM_CNT_MAX];
    uint32_t sink_cnt;
    uint64_t row_cnt; /* of all sources */
    uint32_t max_parallelism;
    int64_t run_ns; /* how long the sources take, if nothing holds them up */
    bool rescales;
    bool is_aligned; /* sources wait for each other */
};

/* sim_draw - the job of a seed. row_cnt: rows that its sources have at least, all together. */
void sim_draw(uint64_t seed, uint64_t row_cnt, struct sim_draw *ret_draw);
/* sim_draw_sizes - of a start. */
void sim_draw_sizes(const struct sim_draw *draw, struct weir_rng *rng, struct sim_sizes *ret_sizes);
const char *sim_op_name(enum sim_op op);

#endif
