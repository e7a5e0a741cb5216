/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/graph_chain.h"

#include "base/err.h"

void
weir_graph_chain_node(const struct weir_graph_node *from, struct weir_chain_node_conf *node)
{
    node->name = from->name;
    node->type = from->type;
    node->conf = from->conf;
    for (uint32_t k = 0; k < WEIR_OPERATOR_INPUT_CNT_MAX; k++) {
        node->in_schema[k] = from->in_schema[k];
    }
    for (uint32_t o = 0; o < from->type->output_cnt; o++) {
        node->outputs[o].schema = from->out_schema[o];
        node->outputs[o].has_time = from->has_time[o];
        node->outputs[o].has_kind = from->has_kind[o];
    }
    node->env.vertex_name = from->name;
    node->env.subtask_cnt = from->parallelism;
    node->env.time_unused = from->time_unused;
    node->env.only_lateness = from->only_lateness;
    node->env.takes_changes = from->takes_changes;
}

int
weir_graph_chain_in(struct weir_chain_node_conf *node, uint32_t input)
{
    if (node->channel_cnt == WEIR_CHAIN_EDGE_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "operator %s: more than %d streams come in", node->name,
            WEIR_CHAIN_EDGE_CNT_MAX);
    }
    node->channel_input[node->channel_cnt] = (uint16_t)input;
    return (int)node->channel_cnt++;
}

int
weir_graph_chain_join(struct weir_chain_node_conf *nodes, struct weir_graph_chain_end from,
    struct weir_graph_chain_end to)
{
    int channel = weir_graph_chain_in(&nodes[to.node], to.port);
    if (channel < 0) {
        return channel;
    }
    struct weir_chain_output *out = &nodes[from.node].outputs[from.port];
    if (out->edge_cnt == WEIR_CHAIN_EDGE_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "operator %s: more than %d streams go out",
            nodes[from.node].name, WEIR_CHAIN_EDGE_CNT_MAX);
    }
    struct weir_chain_edge *edge = &out->edges[out->edge_cnt++];
    edge->node = (uint16_t)to.node;
    edge->input = (uint16_t)to.port;
    edge->channel = (uint16_t)channel;
    return 0;
}
