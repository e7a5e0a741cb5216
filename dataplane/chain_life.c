/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a stage, and how its operators are opened and closed. */
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"
#include "dataplane/chain_priv.h"
#include "dataplane/state.h"

/* ---- memory ---- */

static struct weir_out_shape
shape_of(const struct weir_chain_output *output, bool columns, const struct weir_chain_conf *conf)
{
    const struct weir_out_shape shape = {.schema = output->schema,
        .has_time = output->has_time,
        .has_kind = output->has_kind,
        .columns = columns,
        .buf_bytes = conf->buf_bytes,
        .batch_rows = conf->batch_rows};
    return shape;
}

static size_t
node_bytes(const struct weir_chain_node_conf *conf, const struct weir_chain_conf *chain_conf)
{
    size_t bytes = weir_align_up(conf->type->self_bytes, WEIR_LINE_BYTES);
    bytes += weir_align_up(weir_valve_footprint(conf->channel_cnt), WEIR_LINE_BYTES);
    for (uint32_t o = 0; o < conf->type->output_cnt; o++) {
        const struct weir_out_shape shape =
            shape_of(&conf->outputs[o], conf->type->columns, chain_conf);
        bytes += weir_out_footprint(&shape) +
                 weir_align_up(WEIR_BATCH_ROW_CNT_MAX * sizeof(uint16_t), WEIR_LINE_BYTES);
    }
    return bytes;
}

static char *
carve(char **at, size_t bytes)
{
    char *mem = *at;
    *at += weir_align_up(bytes, WEIR_LINE_BYTES);
    return mem;
}

static void
node_init(struct weir_chain_node *node, const struct weir_chain_node_conf *conf,
    const struct weir_chain_conf *chain_conf, char *mem)
{
    node->name = conf->name;
    node->marker_source = conf->marker_source;
    node->env = conf->env;
    node->op.type = conf->type;
    node->op.conf = conf->conf;
    node->op.env = &node->env;
    node->op.uid = conf->uid != NULL ? conf->uid : conf->name;
    node->op.watermark = WEIR_TIME_MIN;
    node->emit_watermark = WEIR_TIME_MIN;
    node->op.self = carve(&mem, conf->type->self_bytes);
    node->out_cnt = conf->type->output_cnt;
    node->is_exit = node->out_cnt == 0 && !conf->type->is_inner;
    weir_valve_init(
        &node->valve, carve(&mem, weir_valve_footprint(conf->channel_cnt)), conf->channel_cnt);
    memcpy(node->channel_input, conf->channel_input, sizeof node->channel_input);
    node->open_channel_cnt = conf->channel_cnt;
    for (uint32_t i = 0; i < conf->channel_cnt; i++) {
        node->input_open[conf->channel_input[i]]++;
    }
    for (uint32_t i = 0; i < WEIR_OPERATOR_INPUT_CNT_MAX; i++) {
        node->op.in_schema[i] = conf->in_schema[i];
    }
    for (uint32_t i = 0; i < node->out_cnt; i++) {
        struct weir_out *out = &node->out[i];
        node->outputs[i] = conf->outputs[i];
        node->op.out_schema[i] = conf->outputs[i].schema;
        node->shape[i] = shape_of(&conf->outputs[i], conf->type->columns, chain_conf);
        out->buf_bytes = weir_out_footprint(&node->shape[i]);
        out->base = carve(&mem, out->buf_bytes);
        out->sel_buf = (uint16_t *)(void *)carve(&mem, WEIR_BATCH_ROW_CNT_MAX * sizeof(uint16_t));
        weir_out_init(out, &node->shape[i]);
        node->empty[i] = out->view;
    }
}

/* Nodes are in topological order, so those behind a node are known before it. */
static void
find_reach(struct weir_chain *chain)
{
    for (uint32_t i = chain->node_cnt; i-- > 0;) {
        struct weir_chain_node *node = &chain->nodes[i];
        for (uint32_t o = 0; o < node->out_cnt; o++) {
            for (uint32_t e = 0; e < node->outputs[o].edge_cnt; e++) {
                uint32_t to = node->outputs[o].edges[e].node;
                node->reach |= UINT64_C(1) << to | chain->nodes[to].reach;
            }
        }
    }
}

/* No two keyed states of the stage, whose tables lie in one arena, may be taken for each other. */
static int
check_states(const struct weir_chain *chain)
{
    struct weir_state_owner owners[WEIR_CHAIN_NODE_CNT_MAX];
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        owners[i].uid = chain->nodes[i].op.uid;
        owners[i].type = chain->nodes[i].op.type;
        owners[i].conf = chain->nodes[i].op.conf;
    }
    return weir_state_check_ids(owners, chain->node_cnt);
}

static int
add_latency(struct weir_chain *chain)
{
    if (chain->latency == NULL) {
        chain->latency = malloc(sizeof *chain->latency);
        if (chain->latency == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a histogram of latencies");
        }
        weir_hist_init(chain->latency);
    }
    return 0;
}

static bool
keeps_time(const struct weir_operator *op)
{
    return op->type->due_ns != NULL && (op->type->keeps_time == NULL || op->type->keeps_time(op));
}

int
weir_chain_new(const struct weir_chain_conf *conf, struct weir_chain **ret_chain)
{
    if (conf->node_cnt == 0 || conf->node_cnt > WEIR_CHAIN_NODE_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "a stage has 1 to %d operators, not %u",
            WEIR_CHAIN_NODE_CNT_MAX, conf->node_cnt);
    }
    struct weir_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a stage");
    }
    int rc = 0;
    chain->node_cnt = conf->node_cnt;
    chain->blocked = UINT32_MAX;
    chain->nodes = calloc(conf->node_cnt, sizeof *chain->nodes);
    if (chain->nodes == NULL) {
        rc = weir_err_push(WEIR_ENOMEM, "the operators of a stage");
        goto out;
    }
    for (uint32_t i = 0; i < conf->node_cnt && rc == 0; i++) {
        size_t bytes = node_bytes(&conf->nodes[i], conf);
        if (posix_memalign(
                &chain->mem[i], WEIR_PAGE_BYTES, weir_align_up(bytes + 1, WEIR_PAGE_BYTES)) != 0) {
            chain->mem[i] = NULL;
            rc =
                weir_err_push(WEIR_ENOMEM, "%zu bytes for operator %s", bytes, conf->nodes[i].name);
            break;
        }
        memset(chain->mem[i], 0, bytes);
        node_init(&chain->nodes[i], &conf->nodes[i], conf, chain->mem[i]);
        chain->holders |= conf->nodes[i].type->holds != NULL ? UINT64_C(1) << i : 0;
        chain->timed |= keeps_time(&chain->nodes[i].op) ? UINT64_C(1) << i : 0;
        if (chain->nodes[i].is_exit) {
            rc = add_latency(chain);
        }
    }
    find_reach(chain);
    rc = rc != 0 ? rc : check_states(chain);
    rc = rc != 0 ? rc : weir_chain_markers_new(chain, conf);
out:
    if (rc != 0) {
        (void)weir_chain_close(chain); /* nothing was opened */
        return rc;
    }
    *ret_chain = chain;
    return 0;
}

/* A source whose rows go to one operator alone, and to its only input, may count for it. */
static void
find_tally(struct weir_chain *chain, struct weir_chain_node *node)
{
    const struct weir_chain_output *to = &node->outputs[0];
    if (node->out_cnt == 0 || to->edge_cnt != 1) {
        return;
    }
    struct weir_chain_node *consumer = &chain->nodes[to->edges[0].node];
    if (consumer->op.type->tally != NULL && consumer->open_channel_cnt == 1) {
        node->out[0].tally = consumer->op.type->tally(&consumer->op);
    }
}

int
weir_chain_open_node(struct weir_chain *chain, uint32_t idx)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    node->opened = true;
    weir_store_rlx(&chain->at, idx); /* relaxed, as below: a hint for people */
    int rc = node->op.type->open != NULL ? node->op.type->open(&node->op) : 0;
    if (rc != 0) {
        return weir_err_push(rc, "operator %s failed in open", node->name);
    }
    if (node->op.type->input_cnt == 0) {
        find_tally(chain, node);
    }
    return 0;
}

int
weir_chain_open(struct weir_chain *chain)
{
    int rc = 0;
    for (uint32_t i = chain->node_cnt; i-- > 0 && rc == 0;) {
        rc = weir_chain_open_node(chain, i);
    }
    return rc;
}

/* Close the open operators, or all but those that lend memory. */
static void
close_operators(struct weir_chain *chain, bool all, struct weir_cause *cause)
{
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_chain_node *node = &chain->nodes[i];
        if (!node->opened || node->op.type->close == NULL ||
            (node->op.type->lends_memory && !all)) {
            continue;
        }
        node->opened = false;
        weir_store_rlx(&chain->at, i);
        int rc = node->op.type->close(&node->op, node->finished);
        if (rc < 0) {
            weir_cause_take(cause, weir_err_push(rc, "operator %s failed in close", node->name));
        }
    }
}

void
weir_chain_end(struct weir_chain *chain, struct weir_cause *cause)
{
    close_operators(chain, false, cause);
}

int
weir_chain_close(struct weir_chain *chain)
{
    if (chain == NULL) {
        return 0;
    }
    struct weir_cause cause = {0};
    if (chain->nodes != NULL) {
        close_operators(chain, true, &cause);
    }
    for (uint32_t i = 0; i < WEIR_CHAIN_NODE_CNT_MAX; i++) {
        free(chain->mem[i]);
    }
    for (uint32_t i = 0; chain->nodes != NULL && i < chain->node_cnt; i++) {
        for (uint32_t o = 0; o < WEIR_OPERATOR_OUTPUT_CNT_MAX; o++) {
            free(chain->nodes[i].grown[o]);
        }
        free(chain->nodes[i].tap_mem);
    }
    weir_chain_markers_delete(chain);
    free(chain->latency);
    free(chain->nodes);
    free(chain);
    return cause.error != 0 ? weir_err_push(cause.error, "%s", cause.text) : 0;
}
