/* SPDX-License-Identifier: Apache-2.0 */
/* Latency markers through a stage. They are let in between two batches only, when nothing lies on a
 * fused edge: so one can go down the operators at once, and overtakes no row. What waits inside an
 * operator, as a window does, is not in what they measure; the way through full rings is.
 *
 * Source: Flink's LatencyMarker and LatencyStats; there a marker is broadcast to chained outputs
 * and goes to one channel of a partition, here to one consumer everywhere. */
#include <stdlib.h>

#include "base/check.h"
#include "base/hist.h"
#include "dataplane/chain_priv.h"

static struct weir_hist **
hist_at(const struct weir_chain *chain, uint32_t node, uint64_t source)
{
    return &chain->markers->hist[(size_t)node * chain->markers->source_cnt + source];
}

/* Operators count, sources and edges do not. */
static bool
counts(const struct weir_chain_node *node)
{
    return node->op.type->input_cnt > 0 && node->op.type->send == NULL;
}

int
weir_chain_markers_new(struct weir_chain *chain, const struct weir_chain_conf *conf)
{
    if (conf->marker_source_cnt == 0) {
        return 0;
    }
    struct weir_chain_markers *markers = calloc(1, sizeof *markers);
    size_t cnt = (size_t)chain->node_cnt * conf->marker_source_cnt;
    if (markers == NULL) {
        return weir_err_push(WEIR_ENOMEM, "latency markers");
    }
    chain->markers = markers;
    markers->source_cnt = conf->marker_source_cnt;
    weir_rng_init(&markers->rng, conf->seed);
    markers->hist = calloc(cnt, sizeof(struct weir_hist *));
    for (size_t i = 0; markers->hist != NULL && i < cnt; i++) {
        if (counts(&chain->nodes[i / markers->source_cnt])) {
            markers->hist[i] = malloc(sizeof(struct weir_hist));
            if (markers->hist[i] == NULL) {
                return weir_err_push(WEIR_ENOMEM, "histograms of latency markers");
            }
            weir_hist_init(markers->hist[i]);
        }
    }
    return markers->hist != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "latency markers");
}

void
weir_chain_markers_delete(struct weir_chain *chain)
{
    struct weir_chain_markers *markers = chain->markers;
    if (markers == NULL) {
        return;
    }
    size_t cnt = (size_t)chain->node_cnt * markers->source_cnt;
    for (size_t i = 0; markers->hist != NULL && i < cnt; i++) {
        free(markers->hist[i]);
    }
    free(markers->hist);
    free(markers);
    chain->markers = NULL;
}

/* The edge of a node that is drawn, or NULL: it has none. */
static const struct weir_chain_edge *
draw_edge(struct weir_chain_markers *markers, const struct weir_chain_node *node)
{
    uint32_t edge_cnt = 0;
    for (uint32_t o = 0; o < node->out_cnt; o++) {
        edge_cnt += node->outputs[o].edge_cnt;
    }
    if (edge_cnt == 0) {
        return NULL;
    }
    uint32_t drawn = (uint32_t)weir_rng_below(&markers->rng, edge_cnt);
    uint32_t o = 0;
    while (drawn >= node->outputs[o].edge_cnt) {
        drawn -= node->outputs[o].edge_cnt;
        o++;
    }
    return &node->outputs[o].edges[drawn];
}

int
weir_chain_marker_go(struct weir_chain *chain, int64_t now_ns)
{
    struct weir_chain_markers *markers = chain->markers;
    while (markers != NULL && markers->is_on) {
        struct weir_chain_node *node = &chain->nodes[markers->at];
        struct weir_hist *hist = *hist_at(chain, markers->at, markers->mark.id);
        if (node->op.type->send != NULL) {
            int rc = node->op.type->send(&node->op, WEIR_SLOT_LATENCY, &markers->mark);
            markers->is_on = rc == WEIR_WAIT;
            return rc < 0 ? weir_err_push(rc, "operator %s failed to pass on a marker", node->name)
                          : rc;
        }
        if (hist != NULL) {
            weir_hist_record(hist, (uint64_t)weir_max_i64(now_ns - markers->mark.trigger_ns, 0));
        }
        const struct weir_chain_edge *edge = draw_edge(markers, node);
        markers->is_on = edge != NULL && !node->finished;
        markers->at = edge != NULL ? edge->node : 0;
    }
    return WEIR_DONE;
}

int
weir_chain_marker(
    struct weir_chain *chain, uint32_t node, const struct weir_mark *mark, int64_t now_ns)
{
    struct weir_chain_markers *markers = chain->markers;
    if (markers == NULL || mark->id >= markers->source_cnt) {
        return WEIR_DONE; /* of a run with other settings: it was under way at a checkpoint */
    }
    WEIR_DCHECK(chain->work == 0 && !markers->is_on, "a marker beside unfinished input");
    markers->is_on = true;
    markers->at = node;
    markers->mark = *mark;
    return weir_chain_marker_go(chain, now_ns);
}

int
weir_chain_marker_begin(struct weir_chain *chain, uint32_t node, int64_t now_ns)
{
    const struct weir_mark mark = {.id = chain->nodes[node].marker_source, .trigger_ns = now_ns};
    return weir_chain_marker(chain, node, &mark, now_ns);
}

const struct weir_hist *
weir_chain_marker_latency(const struct weir_chain *chain, uint32_t node, uint32_t source)
{
    bool has = chain->markers != NULL && source < chain->markers->source_cnt;
    return has ? *hist_at(chain, node, source) : NULL;
}
