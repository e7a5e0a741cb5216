/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h: which operator runs where, how it is joined to the next, and what memory that takes.
 *
 *     (job graph, topology, options, effective cpuset, budget)  ->  vertices, subtasks, stages,
 *                                                                   cores, edges, memory per node
 *
 * The planner is a pure function: it asks the machine nothing, and the same input gives the same
 * plan. The command that prints a plan, the one that runs it and the tests with recorded hosts call
 * the same function. Every decision carries its reason in words.
 *
 * A vertex is a connected piece of the graph whose subtasks run side by side: operators of equal
 * parallelism joined by edges on which subtask i talks to subtask i only (forward, or anything
 * between two operators of parallelism 1). A subtask of it is one or more stages; a stage runs on
 * one core. Cuts within a vertex are configuration; between vertices records are exchanged.
 *
 *     fused      inside a stage: a function call per batch
 *     ring       between stages of one subtask, or one to one: a descriptor per batch
 *     exchange   between subtasks: a partitioner, then a channel to each consumer
 *     transport  to another process or host; not planned on one host
 *
 * Thread:  any; the plan is read-only. Owner: weir_plan_make() copies what it keeps, but for the
 * graph's own strings, which must outlive the plan.
 */
#ifndef WEIR_SCHED_PLAN_H
#define WEIR_SCHED_PLAN_H

#include <stdio.h>

#include "base/topo.h"

#define WEIR_PLAN_OPERATOR_CNT_MAX 1024
#define WEIR_PLAN_PARALLELISM_MAX 1024
/* Stages and channels of one job on one host; all-to-all between 256 subtasks is 65,536. */
#define WEIR_PLAN_STAGE_CNT_MAX 65536
#define WEIR_PLAN_CHANNEL_CNT_MAX (UINT32_C(1) << 20)

/* --- what is planned ---------------------------------------------------------------------- */

enum weir_plan_kind { WEIR_PLAN_SOURCE, WEIR_PLAN_OPERATOR, WEIR_PLAN_SINK, WEIR_PLAN_KIND_CNT };

enum weir_plan_partitioner {
    WEIR_PLAN_FORWARD,
    WEIR_PLAN_REBALANCE,
    WEIR_PLAN_RESCALE,
    WEIR_PLAN_SHUFFLE,
    WEIR_PLAN_BROADCAST,
    WEIR_PLAN_GLOBAL,
    WEIR_PLAN_KEYED,
    WEIR_PLAN_CUSTOM,
    WEIR_PLAN_PARTITIONER_CNT,
};

struct weir_plan_operator {
    const char *name; /* distinct within the graph */
    const char *uid; /* NULL: the name */
    enum weir_plan_kind kind;
    uint32_t parallelism;
    uint32_t max_parallelism; /* 0: not keyed, no bound */
    uint32_t weight; /* declared cost of a record relative to others; 0: 1 */
    uint64_t state_bytes; /* least memory for keyed state, all subtasks together */
    uint64_t loop_bytes; /* of each subtask, for rows that go round again */
    bool stateful; /* wants a share of the memory that is left over */
    bool chain_input; /* may be fused with what feeds it */
    bool chain_output; /* may be fused with what it feeds */
    bool can_split; /* the chain may be cut after it */
    const char *slot_group; /* operators of different ones are kept apart; NULL: "default" */
    uint32_t beside; /* operator on whose cores its subtasks have to be, plus 1; 0: anywhere */
    bool is_inner; /* a source or a sink within the job: not where rows come in or go out */
    bool acts_on_time; /* watermarks or timers act on its state */
};

/* Output `output` of operator `from` feeds input `input` of operator `to`; indices into
 * operators. */
struct weir_plan_link {
    uint32_t from;
    uint32_t to;
    uint16_t output;
    uint16_t input;
    enum weir_plan_partitioner partitioner;
    bool is_fixed; /* rows on their way could not go to other subtasks */
};

struct weir_plan_graph {
    const char *name;
    uint32_t operator_cnt;
    uint32_t link_cnt;
    const struct weir_plan_operator *operators;
    const struct weir_plan_link *links;
};

/* weir_plan_is_way_in, weir_plan_is_way_out - whether rows of the job come in there, or go out. */
static inline bool
weir_plan_is_way_in(const struct weir_plan_operator *op)
{
    return op->kind == WEIR_PLAN_SOURCE && !op->is_inner;
}
static inline bool
weir_plan_is_way_out(const struct weir_plan_operator *op)
{
    return op->kind == WEIR_PLAN_SINK && !op->is_inner;
}

/* --- how it is to be planned -------------------------------------------------------------- */

enum weir_plan_cut { WEIR_PLAN_CUT_NONE, WEIR_PLAN_CUT_ALL };
enum weir_plan_smt { WEIR_PLAN_SMT_AVOID, WEIR_PLAN_SMT_USE, WEIR_PLAN_SMT_ONLY };
/* AUTO is spin on isolated cores and adaptive elsewhere; a plan holds one of the other three. */
enum weir_plan_idle {
    WEIR_PLAN_IDLE_AUTO,
    WEIR_PLAN_IDLE_SLEEP,
    WEIR_PLAN_IDLE_ADAPTIVE,
    WEIR_PLAN_IDLE_SPIN,
};

/* placement.vertices.<name>. The name is that of any operator of the vertex (or its uid). It counts
 * for the stage with that operator, and for the other stages of its vertex that no entry names. */
struct weir_plan_vertex_options {
    const char *name;
    const char *cores; /* NULL or "": as the job's */
    const char *numa; /* NULL, "" or "local": the core's node; or a node's number, for its memory */
    enum weir_plan_idle idle;
    const char *const *cut_after; /* names of operators of this vertex */
    uint32_t cut_after_cnt;
};

struct weir_plan_options {
    enum weir_plan_cut cut;
    enum weir_plan_smt smt;
    enum weir_plan_idle idle;
    const char *cores; /* NULL or "": auto */
    const char *housekeeping; /* list of CPUs; NULL or "": the plan's choice */
    const struct weir_plan_vertex_options *vertices;
    uint32_t vertex_cnt;
    uint32_t buffer_bytes; /* 0: WEIR_PLAN_BUFFER_BYTES */
    uint32_t ring_slot_cnt; /* 0: WEIR_PLAN_RING_SLOT_CNT; a power of two */
    uint32_t exclusive_cnt; /* buffers of each channel; 0: 2 */
    uint32_t floating_cnt; /* shared by the channels of one partition; 0: 8, or _NONE */
    uint32_t overdraft_cnt; /* per partition, to finish a slice; 0: 5 */
    uint64_t buffer_bytes_max; /* of all buffers; 0: what all partitions may ask for */
    uint64_t core_bytes; /* per core: mailbox, io; 0: WEIR_PLAN_CORE_BYTES */
    bool is_unaligned; /* say of edges that barriers overtake no rows there */
};

#define WEIR_PLAN_FLOATING_NONE UINT32_MAX
#define WEIR_PLAN_BUFFER_BYTES (UINT32_C(32) << 10)
#define WEIR_PLAN_RING_SLOT_CNT 64
#define WEIR_PLAN_CORE_BYTES (UINT64_C(1) << 20)
/* A task's own records: nodes, views, cursors, counters. */
#define WEIR_PLAN_TASK_BYTES (UINT64_C(64) << 10)
/* A tenth of the budget stays with the process: code, heap, configuration, the kernel's page
 * tables. */
#define WEIR_PLAN_RESERVE_PARTS 10
#define WEIR_PLAN_RESERVE_BYTES_MAX (UINT64_C(256) << 20)

/* Cores of another running job. */
struct weir_plan_held {
    const char *job;
    struct weir_cpuset cpus;
};

struct weir_plan_host {
    const struct weir_topo *topo;
    struct weir_cpuset effective; /* what the process may use; a subset of topo's */
    const char *effective_limit; /* who narrowed it, for messages; NULL where nobody did */
    const struct weir_plan_held *held;
    uint32_t held_cnt;
    uint64_t budget_bytes; /* of all memory of the job on this host */
    const char *budget_limit; /* where that number comes from, for messages; or NULL */
};

/* --- the plan ----------------------------------------------------------------------------- */

enum weir_plan_edge_kind {
    WEIR_PLAN_FUSED,
    WEIR_PLAN_RING,
    WEIR_PLAN_EXCHANGE,
    WEIR_PLAN_TRANSPORT,
    WEIR_PLAN_EDGE_KIND_CNT,
};

enum weir_plan_purpose {
    WEIR_PLAN_MEM_RING, /* descriptors of channels */
    WEIR_PLAN_MEM_BUFFER, /* buffers of partitions */
    WEIR_PLAN_MEM_SCRATCH, /* batches between fused operators */
    WEIR_PLAN_MEM_TASK,
    WEIR_PLAN_MEM_CORE,
    WEIR_PLAN_MEM_STATE,
    WEIR_PLAN_MEM_LOOP, /* rows on their way back */
    WEIR_PLAN_MEM_RESERVE,
    WEIR_PLAN_MEM_CNT,
};

struct weir_plan_vertex {
    const char *name; /* its operators, head first: "read -> parse -> window" */
    uint32_t parallelism;
    uint32_t piece_cnt; /* stages of each subtask */
    uint32_t operator_cnt;
    const uint32_t *operators; /* topological order */
};

/* Stages of a subtask stand next to each other, head first; a subtask opens the last one first. */
struct weir_plan_stage {
    const char *name; /* "window[2]": its operators and the subtask */
    uint32_t vertex;
    uint32_t subtask;
    uint32_t piece; /* which stage of its subtask */
    uint32_t operator_cnt;
    const uint32_t *operators; /* topological order */
    uint32_t weight;
    uint32_t core; /* index into cores */
    uint16_t node; /* where its memory is */
    uint32_t channel_in_cnt;
    uint32_t channel_out_cnt;
    uint64_t bytes[WEIR_PLAN_MEM_CNT]; /* its partitions' buffers and its gate's rings among them */
    const char *reason; /* of the place */
};

/* One per link of the graph, in the same order. */
struct weir_plan_edge {
    enum weir_plan_edge_kind kind;
    uint32_t channel_cnt;
    /* Of all its partitions: exclusive, floating and overdraft; or its share of those that there
     * are. */
    uint32_t buffer_cnt;
    uint64_t bytes; /* rings and buffers */
    const char *aligned; /* why barriers overtake no rows there; NULL: they may */
    const char *reason;
};

/* In the order of edge, producer, consumer. prod_idx counts the channels of the producer's
 * partition, cons_idx those of the consumer's gate input. */
struct weir_plan_channel {
    uint32_t edge;
    uint32_t from_stage;
    uint32_t to_stage;
    uint32_t prod_idx;
    uint32_t cons_idx;
};

struct weir_plan_core {
    uint16_t cpu;
    uint16_t node;
    enum weir_plan_idle idle;
    bool isolated;
    uint32_t stage_cnt;
    const uint32_t *stages; /* in plan order */
    uint64_t weight;
    uint64_t inflight_bytes; /* half of its L2: what its channels may hold in flight */
    const char *reason;
};

struct weir_plan_node {
    uint16_t node;
    uint64_t limit_bytes; /* of the node's memory; 0: unknown */
    uint64_t bytes[WEIR_PLAN_MEM_CNT];
};

struct weir_plan {
    const struct weir_plan_graph *graph; /* the caller's */
    const struct weir_topo *topo; /* the caller's */
    uint32_t vertex_cnt;
    uint32_t stage_cnt;
    uint32_t channel_cnt;
    uint32_t core_cnt;
    uint32_t node_cnt;
    uint32_t decision_cnt;
    const struct weir_plan_vertex *vertices;
    const struct weir_plan_stage *stages;
    const struct weir_plan_edge *edges;
    const struct weir_plan_channel *channels;
    const struct weir_plan_core *cores; /* those with a stage, in the order of the machine */
    const struct weir_plan_node *nodes; /* those with memory of the job */
    const char *const *decisions; /* about the job as a whole, in words */
    struct weir_cpuset housekeeping;
    struct weir_cpuset effective;
    struct weir_cpuset held;
    uint64_t budget_bytes;
    const char *budget_limit;
    uint64_t bytes; /* of all nodes and purposes */
    uint32_t buffer_bytes;
    uint32_t ring_slot_cnt;
    uint32_t exclusive_cnt;
    uint32_t floating_cnt;
    uint32_t overdraft_cnt;
};

/* weir_plan_make - plan a graph on a host.
 *
 * Errors:  WEIR_EGRAPH: no operator, a cycle, an operator without a place in it, a forward link
 *          between different parallelisms; both ends are named.
 *          WEIR_EPLAN: cores that are not there, not ours, or held; names that no vertex has; a cut
 *          where none is possible; parallelism above its bounds.
 *          WEIR_EBUDGET: more memory than the budget or than a node has, with the split.
 *          WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int
weir_plan_make(const struct weir_plan_graph *graph, const struct weir_plan_host *host,
    const struct weir_plan_options *options, struct weir_plan **ret_plan);
WEIR_API void weir_plan_close(struct weir_plan *plan);

/* weir_plan_core_list - the CPUs that a placement expression names on a host.
 *
 * Shape:   terms joined by commas: "auto" | "2" | "2-9" | "0-15:2/4" | "numa:1" | "l3:0" |
 *          "socket:0" | "die:2" | "near:nic:ens3f0", each with an "h" behind it to add SMT
 *          siblings. *ret_named holds those given by number, of which the user is sure.
 * Errors:  WEIR_EPLAN, with the term and what there is instead.
 */
WEIR_API WEIR_MUST_USE int weir_plan_core_list(const char *text, const struct weir_plan_host *host,
    struct weir_cpuset *ret_cpus, struct weir_cpuset *ret_named);

WEIR_API const char *weir_plan_edge_kind_name(enum weir_plan_edge_kind kind);
WEIR_API const char *weir_plan_partitioner_name(enum weir_plan_partitioner partitioner);
WEIR_API const char *weir_plan_idle_name(enum weir_plan_idle idle);
WEIR_API const char *weir_plan_purpose_name(enum weir_plan_purpose purpose);

/* weir_plan_budget - one line: the budget, who set it, and what each purpose got of it; returns
 * text. */
WEIR_API const char *weir_plan_budget(const struct weir_plan *plan, char *text, size_t text_bytes);
/* weir_plan_print - the plan as text for a person; _json - as one JSON document (docs/report.md);
 * _svg - as a picture: cores, caches and nodes, with the stages on them and the edges between.
 *
 * Errors:  WEIR_EIO, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_plan_print(const struct weir_plan *plan, FILE *to);
WEIR_API WEIR_MUST_USE int weir_plan_json(const struct weir_plan *plan, FILE *to);
WEIR_API WEIR_MUST_USE int weir_plan_svg(const struct weir_plan *plan, FILE *to);

#endif
