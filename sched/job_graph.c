/* SPDX-License-Identifier: Apache-2.0 */
/* job_graph.c: a job's graph, as the planner sees it. */
#include "dataplane/feedback.h"
#include "dataplane/partition.h"
#include "sched/graph_node.h"
#include "sched/job.h"

WEIR_STATIC_ASSERT((int)WEIR_PLAN_PARTITIONER_CNT == (int)WEIR_PARTITION_CNT, "the same kinds");

const struct weir_plan_graph *
weir_job_plan_graph(struct weir_env *env)
{
    struct weir_plan_graph *graph = weir_env_alloc(env, sizeof *graph);
    struct weir_plan_operator *operators = weir_env_alloc(env, env->node_cnt * sizeof *operators);
    struct weir_plan_link *links = weir_env_alloc(env, (env->link_cnt + 1) * sizeof *links);
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        const struct weir_graph_node *node = &env->node[i];
        operators[i].name = node->name;
        operators[i].kind = node->type->input_cnt == 0    ? WEIR_PLAN_SOURCE
                            : node->type->output_cnt == 0 ? WEIR_PLAN_SINK
                                                          : WEIR_PLAN_OPERATOR;
        operators[i].parallelism = node->parallelism;
        operators[i].stateful = node->keeps_state;
        operators[i].chain_input = !node->begins_chain && node->type->selects == NULL;
        operators[i].chain_output = !node->ends_chain;
        operators[i].slot_group = node->slot_group;
        operators[i].can_split = node->type->output_cnt > 0 && !node->stays_fused;
        operators[i].beside = node->beside;
        operators[i].is_inner = node->type->is_inner;
        operators[i].acts_on_time = node->type->watermark != NULL || node->type->due_ns != NULL;
    }
    for (uint32_t l = 0; l < env->link_cnt; l++) {
        const struct weir_graph_link *link = &env->link[l];
        links[l].from = link->from;
        links[l].to = link->to;
        links[l].output = link->output;
        links[l].input = link->input;
        links[l].partitioner = (enum weir_plan_partitioner)link->partitioner;
        links[l].is_fixed = !weir_partition_reroutes(link->partitioner);
    }
    for (uint32_t l = 0; l < env->loop_cnt; l++) {
        operators[env->loop[l].tail].loop_bytes = env->loop[l].feedback->budget_bytes;
    }
    graph->name = env->job_name;
    graph->operator_cnt = env->node_cnt;
    graph->link_cnt = env->link_cnt;
    graph->operators = operators;
    graph->links = links;
    return graph;
}
