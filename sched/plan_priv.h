/* SPDX-License-Identifier: Apache-2.0 */
/* plan_priv.h: the planner's working memory, shared by its own files only.
 *
 *     plan.c         checks the graph, keeps the memory, calls the steps in order
 *     plan_chain.c   operators -> vertices and stages; links -> kinds of edges
 *     plan_wire.c    stages of all subtasks, channels between them
 *     plan_list.c    placement expressions -> CPUs
 *     plan_place.c   stages -> cores
 *     plan_memory.c  bytes per stage, node and purpose; the budget
 */
#ifndef WEIR_SCHED_PLAN_PRIV_H
#define WEIR_SCHED_PLAN_PRIV_H

#include "base/err.h"
#include "sched/plan.h"

#define PLAN_NONE UINT32_MAX
#define PLAN_DECISION_CNT_MAX 16

/* Why two operators that could be one stage are not. */
enum plan_cut_why {
    PLAN_CUT_NOT,
    PLAN_CUT_ALL,
    PLAN_CUT_AFTER,
    PLAN_CUT_FLAG_FROM,
    PLAN_CUT_FLAG_TO,
    PLAN_CUT_GROUP,
    PLAN_CUT_CYCLE,
    PLAN_CUT_EXCHANGE,
};

struct plan_block {
    struct plan_block *next;
    size_t used;
    size_t bytes;
};

struct plan_build {
    struct weir_plan *plan;
    const struct weir_plan_graph *graph;
    const struct weir_plan_host *host;
    const struct weir_plan_options *options;
    uint32_t *order; /* operators, topological */
    uint32_t *link_order; /* links, by their producer's place in order */
    uint32_t *vertex_of; /* per operator */
    uint32_t *piece_of; /* per operator: piece within its vertex */
    uint32_t *entry_op; /* per vertex option: the operator that it names */
    enum plan_cut_why *why; /* per link */
    struct weir_plan_vertex *vertices;
    struct weir_plan_stage *stages;
    struct weir_plan_edge *edges;
    struct weir_plan_channel *channels;
    struct weir_plan_core *cores;
    uint32_t *vertex_stage; /* per vertex: its first stage */
    const uint32_t **pieces; /* per vertex and piece, see weir_plan_priv_piece */
    struct weir_cpuset housekeeping;
    struct weir_cpuset held;
    const char **decisions;
};

/* weir_plan_priv_alloc - zeroed memory that lives as long as the plan; NULL with WEIR_ENOMEM
 * pushed. */
void *weir_plan_priv_alloc(struct weir_plan *plan, size_t cnt, size_t bytes);
/* weir_plan_priv_text - formatted text that lives as long as the plan; a fixed one without
 * memory. */
const char *weir_plan_priv_text(struct weir_plan *plan, const char *fmt, ...) WEIR_PRINTF(2, 3);
/* weir_plan_priv_decide - add a decision about the whole job. */
void weir_plan_priv_decide(struct plan_build *build, const char *fmt, ...) WEIR_PRINTF(2, 3);

int weir_plan_priv_chain(struct plan_build *build);
int weir_plan_priv_wire(struct plan_build *build);
int weir_plan_priv_place(struct plan_build *build);
int weir_plan_priv_memory(struct plan_build *build);

/* weir_plan_priv_pointwise - subtask i of one end talks to subtask i of the other only. */
bool weir_plan_priv_pointwise(const struct plan_build *build, const struct weir_plan_link *link);
/* weir_plan_priv_stage - of an operator and a subtask. */
static inline uint32_t
weir_plan_priv_stage(const struct plan_build *build, uint32_t operator, uint32_t subtask)
{
    uint32_t v = build->vertex_of[operator];
    return build->vertex_stage[v] + subtask * build->vertices[v].piece_cnt +
           build->piece_of[operator];
}
/* weir_plan_priv_group - the slot-sharing group of an operator. */
static inline const char *
weir_plan_priv_group(const struct plan_build *build, uint32_t operator)
{
    const char *group = build->graph->operators[operator].slot_group;
    return group != NULL ? group : "default";
}
/* weir_plan_priv_bytes - "1.5 MiB" into buf, which is returned. */
#define PLAN_BYTES_TEXT 24
const char *weir_plan_priv_bytes(uint64_t bytes, char *buf);

#endif
