/* SPDX-License-Identifier: Apache-2.0 */
/* graph_chain.h: operators of a graph as the nodes of a chain, and the fused edges between them:
 * what all who build tasks do alike.
 */
#ifndef WEIR_SCHED_GRAPH_CHAIN_H
#define WEIR_SCHED_GRAPH_CHAIN_H

#include "dataplane/chain.h"
#include "sched/graph_node.h"

/* weir_graph_chain_node - what the graph knows of an operator; its env and edges are the caller's
 * to fill. node is zeroed. */
void weir_graph_chain_node(const struct weir_graph_node *from, struct weir_chain_node_conf *node);

/* weir_graph_chain_in - a new in-edge of a node. Returns its number there, or WEIR_EPLAN: it has as
 * many as there may be. */
WEIR_MUST_USE int weir_graph_chain_in(struct weir_chain_node_conf *node, uint32_t input);

/* One end of an edge: an output or an input of a node. */
struct weir_graph_chain_end {
    uint32_t node;
    uint32_t port;
};
/* weir_graph_chain_join - a fused edge. WEIR_EPLAN as above, for either end. */
WEIR_MUST_USE int weir_graph_chain_join(struct weir_chain_node_conf *nodes,
    struct weir_graph_chain_end from, struct weir_graph_chain_end to);

#endif
