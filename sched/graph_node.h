/* SPDX-License-Identifier: Apache-2.0 */
/* graph_node.h: the graph as planning and wiring read it. */
#ifndef WEIR_SCHED_GRAPH_NODE_H
#define WEIR_SCHED_GRAPH_NODE_H

#include "sched/graph.h"

struct weir_graph_node {
    const char *name;
    const struct weir_operator_type *type;
    const void *conf;
    const struct weir_schema *in_schema[WEIR_OPERATOR_INPUT_CNT_MAX];
    const struct weir_schema *out_schema[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    uint32_t parallelism;
    bool uses_time;
    bool time_unused; /* neither by it nor further down */
    bool only_lateness; /* by it; and further down, once times are carried */
    bool keeps_state;
    bool timed[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* rows of the output have an event time */
    bool has_time[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* carried hidden, because it is used later */
    bool takes_changes; /* a stream that it reads is one of changes */
    bool has_kind[WEIR_OPERATOR_OUTPUT_CNT_MAX]; /* rows carry their kinds: a stream of changes */
    bool read[WEIR_OPERATOR_OUTPUT_CNT_MAX];
    bool begins_chain; /* not to be fused with what feeds it */
    bool ends_chain; /* nor with what it feeds */
    const char *slot_group; /* slot-sharing group; NULL: that of its inputs */
    bool stays_fused; /* with what it feeds, wherever stages are cut */
    uint32_t beside; /* an operator on whose cores its subtasks have to be, plus 1; 0: anywhere */
};

struct weir_graph_link {
    uint32_t from;
    uint32_t to;
    uint16_t output;
    uint16_t input;
    enum weir_partitioner partitioner;
    struct weir_key key;
    weir_partition_fn *custom_fn;
};

struct weir_graph_param {
    const char *name;
    const char *text;
};

struct weir_stream {
    struct weir_env *env;
    uint32_t origin_cnt;
    struct weir_graph_link origin[WEIR_STREAM_ORIGIN_CNT_MAX]; /* `to` and `input` not yet known */
};

/* The nodes of a loop. */
struct weir_graph_loop {
    uint32_t source;
    uint32_t head;
    uint32_t tail; /* 0: it is open still */
    struct weir_feedback *feedback;
};
#define WEIR_GRAPH_LOOP_CNT_MAX 16

#define WEIR_GRAPH_LINK_CNT_MAX 1024
#define WEIR_GRAPH_PARAM_CNT_MAX 64

struct weir_feedback;
struct weir_graph_block;
struct weir_discard_result;
struct weir_lines_samples;

#define WEIR_GRAPH_DISCARD_CNT_MAX 16
#define WEIR_GRAPH_BAD_LINES_CNT_MAX 16

struct weir_env {
    const char *job_name;
    uint32_t parallelism;
    int error;
    char error_text[1024];
    uint32_t node_cnt;
    uint32_t link_cnt;
    struct weir_graph_node node[WEIR_GRAPH_NODE_CNT_MAX]; /* topological: inputs before users */
    struct weir_graph_link link[WEIR_GRAPH_LINK_CNT_MAX];
    const struct weir_opt *params;
    struct weir_graph_param given[WEIR_GRAPH_PARAM_CNT_MAX];
    uint32_t given_cnt;
    struct weir_graph_block *blocks;
    struct weir_discard_result *discard[WEIR_GRAPH_DISCARD_CNT_MAX]; /* by sink, then subtask */
    uint32_t discard_cnt;
    struct weir_lines_samples *bad_lines[WEIR_GRAPH_BAD_LINES_CNT_MAX]; /* by source of lines */
    uint32_t bad_lines_cnt;
    struct weir_graph_loop loop[WEIR_GRAPH_LOOP_CNT_MAX];
    uint32_t loop_cnt;
    struct weir_stream dead; /* what calls return after the first error */
};

/* weir_graph_inherit_groups - give each operator that names no slot-sharing group that of its
 * inputs. */
void weir_graph_inherit_groups(struct weir_env *env);
/* weir_graph_settle_loops - check their bodies, and make heads and tails alike: before all else
 * that looks at the whole graph. weir_graph_group_loops - behind the inheriting of groups. */
void weir_graph_settle_loops(struct weir_env *env);
void weir_graph_group_loops(struct weir_env *env);

#endif
