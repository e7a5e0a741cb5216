/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/chain_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hist.h"
#include "dataplane/state.h"
#include "dataplane/tally.h"

#define CLOSE_WHY_BYTES 512

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
    node->env = conf->env;
    node->op.type = conf->type;
    node->op.conf = conf->conf;
    node->op.env = &node->env;
    node->op.uid = conf->uid != NULL ? conf->uid : conf->name;
    node->op.watermark = WEIR_TIME_MIN;
    node->op.self = carve(&mem, conf->type->self_bytes);
    node->out_cnt = conf->type->output_cnt;
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
        if (conf->nodes[i].type->output_cnt == 0) {
            rc = add_latency(chain);
        }
    }
    find_reach(chain);
    rc = rc != 0 ? rc : check_states(chain);
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

/* Write down what a source has counted in the place of its consumer. Returns whether it has. */
static bool
take_tally(struct weir_chain *chain, struct weir_chain_node *node)
{
    struct weir_tally *tally = node->out[0].tally;
    if (tally == NULL || tally->row_cnt == 0) {
        return false;
    }
    struct weir_chain_node *consumer = &chain->nodes[node->outputs[0].edges[0].node];
    node->op.rows_out += tally->row_cnt;
    consumer->op.rows_in += tally->row_cnt;
    consumer->intended_ns = tally->intended_ns;
    tally->row_cnt = 0;
    return true;
}

int
weir_chain_open(struct weir_chain *chain)
{
    for (uint32_t i = chain->node_cnt; i-- > 0;) {
        struct weir_chain_node *node = &chain->nodes[i];
        node->opened = true;
        int rc = node->op.type->open != NULL ? node->op.type->open(&node->op) : 0;
        if (rc != 0) {
            return weir_err_push(rc, "operator %s failed in open", node->name);
        }
        if (node->op.type->input_cnt == 0) {
            find_tally(chain, node);
        }
    }
    return 0;
}

/* Close the open operators, or all but those that lend memory; the context left behind is the first
 * error's alone. */
static int
close_operators(struct weir_chain *chain, bool all)
{
    char why[CLOSE_WHY_BYTES];
    int first = 0;
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_chain_node *node = &chain->nodes[i];
        if (!node->opened || node->op.type->close == NULL ||
            (node->op.type->lends_memory && !all)) {
            continue;
        }
        node->opened = false;
        int rc = node->op.type->close(&node->op, node->finished);
        if (rc < 0 && first == 0) {
            first = weir_err_push(rc, "operator %s failed in close", node->name);
            weir_err_save(why, sizeof why);
        }
    }
    if (first != 0) {
        weir_err_clear();
        return weir_err_push(first, "%s", why);
    }
    return 0;
}

int
weir_chain_end(struct weir_chain *chain)
{
    return close_operators(chain, false);
}

int
weir_chain_close(struct weir_chain *chain)
{
    if (chain == NULL) {
        return 0;
    }
    int rc = chain->nodes != NULL ? close_operators(chain, true) : 0;
    for (uint32_t i = 0; i < WEIR_CHAIN_NODE_CNT_MAX; i++) {
        free(chain->mem[i]);
    }
    for (uint32_t i = 0; chain->nodes != NULL && i < chain->node_cnt; i++) {
        for (uint32_t o = 0; o < WEIR_OPERATOR_OUTPUT_CNT_MAX; o++) {
            free(chain->nodes[i].grown[o]);
        }
    }
    free(chain->latency);
    free(chain->nodes);
    free(chain);
    return rc;
}

/* ---- hand over to consumers ---- */

static void
has_work(struct weir_chain *chain, uint32_t idx)
{
    chain->work |= UINT64_C(1) << idx;
}

static void
take_result(struct weir_chain *chain, uint32_t idx, struct weir_valve_result result)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    if (result.watermark_set) {
        node->pend |= PEND_WATERMARK;
        node->pend_watermark = result.watermark;
    }
    if (result.status != WEIR_VALVE_SAME) {
        node->pend |= PEND_STATUS;
        node->pend_idle = result.status == WEIR_VALVE_IDLE;
    }
    if (node->pend != 0) {
        has_work(chain, idx);
    }
}

void
weir_chain_offer(
    struct weir_chain *chain, uint32_t idx, uint32_t channel, const struct weir_view *view)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    WEIR_DCHECK(node->pend == 0, "node %s has unfinished input", node->name);
    if (view->cnt == 0) {
        return;
    }
    node->in = view;
    node->in_input = node->channel_input[channel];
    node->cursor = 0;
    node->pend = PEND_BATCH;
    node->op.rows_in += view->cnt;
    has_work(chain, idx);
}

void
weir_chain_offer_watermark(
    struct weir_chain *chain, uint32_t idx, uint32_t channel, int64_t watermark)
{
    take_result(chain, idx, weir_valve_watermark(&chain->nodes[idx].valve, channel, watermark));
}

void
weir_chain_offer_status(struct weir_chain *chain, uint32_t idx, uint32_t channel, bool idle)
{
    take_result(chain, idx, weir_valve_status(&chain->nodes[idx].valve, channel, idle));
}

void
weir_chain_offer_end(struct weir_chain *chain, uint32_t idx, uint32_t channel)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    uint32_t input = node->channel_input[channel];
    WEIR_CHECK(node->input_open[input] > 0, "node %s: an in-edge ended twice", node->name);
    node->input_open[input]--;
    node->open_channel_cnt--;
    if (node->input_open[input] == 0 && node->op.type->end_input != NULL) {
        node->end_inputs |= 1u << input;
        node->pend |= PEND_END_INPUT;
    }
    if (node->open_channel_cnt == 0) {
        node->pend |= PEND_FINISH;
    }
    if (node->pend != 0) {
        has_work(chain, idx);
    }
}

/* Hand the front item to the next consumer that is free. Returns false when one is not. */
static bool
emit_to(struct weir_chain *chain, struct weir_chain_node *node, uint32_t item,
    const struct weir_chain_output *to)
{
    struct weir_view *view = &node->out[node->emit_output].view;
    while (node->emit_edge < to->edge_cnt) {
        const struct weir_chain_edge *edge = &to->edges[node->emit_edge];
        if (chain->nodes[edge->node].pend != 0) {
            return false;
        }
        switch (item) {
        case EMIT_ROWS:
            if (to->edge_cnt > 1) {
                view->flags &= ~(uint32_t)WEIR_BATCH_EXCLUSIVE;
            }
            weir_chain_offer(chain, edge->node, edge->channel, view);
            break;
        case EMIT_WATERMARK:
            weir_chain_offer_watermark(chain, edge->node, edge->channel, node->emit_watermark);
            break;
        case EMIT_STATUS:
            weir_chain_offer_status(chain, edge->node, edge->channel, node->emit_idle);
            break;
        default:
            weir_chain_offer_end(chain, edge->node, edge->channel);
            break;
        }
        node->emit_edge++;
    }
    return true;
}

/* Hand on what the node has emitted. Returns true when all of it is handed on. */
static bool
emit_all(struct weir_chain *chain, struct weir_chain_node *node)
{
    while (node->emit != 0) {
        uint32_t item = node->emit & -node->emit;
        while (node->emit_output < node->out_cnt) {
            const struct weir_chain_output *to = &node->outputs[node->emit_output];
            bool empty = item == EMIT_ROWS && node->out[node->emit_output].view.cnt == 0;
            if (!empty && !emit_to(chain, node, item, to)) {
                return false;
            }
            node->emit_output++;
            node->emit_edge = 0;
        }
        node->emit &= ~item;
        node->emit_output = 0;
        node->emit_edge = 0;
    }
    return true;
}

/* ---- one step of one node ---- */

static void
prepare_outs(struct weir_chain_node *node, const struct weir_view *in)
{
    for (uint32_t i = 0; i < node->out_cnt; i++) {
        struct weir_out *out = &node->out[i];
        out->view = node->empty[i];
        out->view.watermark = in != NULL ? in->watermark : WEIR_TIME_MIN;
        out->view.intended_ns = in != NULL ? in->intended_ns : node->intended_ns;
        out->heap_end = out->buf_bytes;
        out->row_kind = WEIR_ROW_INSERT;
        out->passed = false;
        out->watermark_set = false;
        out->wanted_bytes = 0;
    }
}

/* Note what a call has emitted. */
static bool
collect_outs(struct weir_chain_node *node)
{
    bool any = false;
    for (uint32_t i = 0; i < node->out_cnt; i++) {
        node->op.rows_out += node->out[i].view.cnt;
        any |= node->out[i].view.cnt != 0;
    }
    if (any) {
        node->emit |= EMIT_ROWS;
    }
    if (node->out_cnt > 0 && node->out[0].watermark_set) {
        node->emit |= EMIT_WATERMARK;
        node->emit_watermark = node->out[0].watermark;
        any = true;
    }
    return any;
}

void
weir_chain_settle(struct weir_chain *chain, int64_t now_ns)
{
    weir_arrivals_settle(&chain->arrivals, chain->latency, now_ns);
}

/* After a call that emitted nothing: outputs that had no room even though they were empty get it.
 * WEIR_AGAIN: one did, call again. */
static int
grow_outs(struct weir_chain_node *node, int rc)
{
    for (uint32_t i = 0; i < node->out_cnt; i++) {
        if (node->out[i].wanted_bytes != 0) {
            int grown = weir_out_grow(&node->out[i], &node->shape[i], &node->grown[i]);
            if (grown < 0) {
                return grown;
            }
            node->empty[i] = node->out[i].view;
            rc = grown == WEIR_AGAIN ? grown : rc;
        }
    }
    return rc;
}

/* All three return WEIR_AGAIN for progress, WEIR_WAIT for none, or an error. */
static int
step_batch(struct weir_chain *chain, struct weir_chain_node *node, int64_t now_ns)
{
    prepare_outs(node, node->in);
    int64_t rows = node->op.type->process(
        &node->op, node->in_input, node->in, node->cursor, node->out, now_ns);
    if (rows < 0) {
        return (int)rows;
    }
    node->cursor += (uint32_t)rows;
    node->intended_ns = node->in->intended_ns;
    if (node->out_cnt == 0 && rows > 0 && node->intended_ns != 0 && chain->latency != NULL) {
        weir_arrivals_add(&chain->arrivals, node->intended_ns, (uint64_t)rows);
    }
    WEIR_DCHECK(node->cursor <= node->in->cnt, "%s consumed more than it was given", node->name);
    if (node->cursor == node->in->cnt) {
        node->pend &= ~(uint32_t)PEND_BATCH;
    }
    bool emitted = collect_outs(node);
    return emitted ? WEIR_AGAIN : grow_outs(node, rows > 0 ? WEIR_AGAIN : WEIR_WAIT);
}

static int
step_watermark(struct weir_chain_node *node, int64_t now_ns)
{
    node->op.watermark = node->pend_watermark;
    if (node->op.type->watermark != NULL) {
        prepare_outs(node, NULL);
        int rc = node->op.type->watermark(&node->op, node->pend_watermark, node->out, now_ns);
        if (rc < 0) {
            return rc;
        }
        bool emitted = collect_outs(node);
        if (rc != WEIR_DONE) {
            return emitted ? WEIR_AGAIN : grow_outs(node, rc);
        }
    }
    node->pend &= ~(uint32_t)PEND_WATERMARK;
    /* An operator that sets watermarks of its own replaces those it is given, but for the last. */
    if (!node->idle &&
        (!node->op.type->sets_watermarks || node->pend_watermark == WEIR_WATERMARK_MAX)) {
        node->emit |= EMIT_WATERMARK;
        node->emit_watermark = node->pend_watermark;
    }
    return WEIR_AGAIN;
}

static int
step_status(struct weir_chain_node *node)
{
    if (node->op.type->status != NULL) {
        int rc = node->op.type->status(&node->op, node->pend_idle);
        if (rc != WEIR_DONE) {
            return rc;
        }
    }
    node->pend &= ~(uint32_t)PEND_STATUS;
    node->idle = node->pend_idle;
    node->emit |= EMIT_STATUS;
    node->emit_idle = node->pend_idle;
    return WEIR_AGAIN;
}

/* The end of an input, then that of the node. */
static int
step_end(struct weir_chain_node *node, int64_t now_ns)
{
    bool ends_input = (node->pend & PEND_END_INPUT) != 0;
    bool emitted = false;
    int rc = WEIR_DONE;
    if (ends_input || node->op.type->finish != NULL) {
        prepare_outs(node, NULL);
        rc = ends_input ? node->op.type->end_input(
                              &node->op, (uint32_t)__builtin_ctz(node->end_inputs), node->out)
                        : node->op.type->finish(&node->op, node->out, now_ns);
        if (rc < 0) {
            return rc;
        }
        emitted = collect_outs(node);
    }
    if (rc != WEIR_DONE) {
        return emitted ? WEIR_AGAIN : grow_outs(node, rc);
    }
    if (ends_input) {
        node->end_inputs &= node->end_inputs - 1;
        node->pend &= node->end_inputs != 0 ? ~0u : ~(uint32_t)PEND_END_INPUT;
    } else {
        node->pend = 0;
        node->finished = true;
        node->emit |= EMIT_END;
    }
    return WEIR_AGAIN;
}

static int
step(struct weir_chain *chain, uint32_t idx, int64_t now_ns)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    bool was_finished = node->finished;
    int rc;
    if ((node->pend & PEND_BATCH) != 0) {
        rc = step_batch(chain, node, now_ns);
    } else if ((node->pend & PEND_WATERMARK) != 0) {
        rc = step_watermark(node, now_ns);
    } else if ((node->pend & PEND_STATUS) != 0) {
        rc = step_status(node);
    } else {
        rc = step_end(node, now_ns);
    }
    if (rc < 0) {
        return weir_err_push(rc, "operator %s failed", node->name);
    }
    chain->ended_cnt += node->finished && !was_finished;
    return rc;
}

/* Whether a node still holds rows, which may lie in the buffer of any node before it. */
static bool
holds_rows(const struct weir_chain_node *node)
{
    return (node->pend & PEND_BATCH) != 0 || (node->emit & EMIT_ROWS) != 0;
}

int
weir_chain_run(struct weir_chain *chain, uint32_t step_cnt, int64_t now_ns)
{
    /* Nodes that cannot go on in this call until a deeper one makes progress, and those of them
     * that hold rows: what is before them must not make new ones over those. */
    uint64_t stuck = 0;
    uint64_t held = 0;
    chain->blocked = UINT32_MAX;
    while ((chain->work & ~stuck) != 0) {
        uint32_t idx = 63 - (uint32_t)__builtin_clzll(chain->work & ~stuck);
        uint64_t bit = UINT64_C(1) << idx;
        struct weir_chain_node *node = &chain->nodes[idx];
        int rc = WEIR_AGAIN;
        if (node->emit != 0) {
            rc = emit_all(chain, node) ? WEIR_AGAIN : WEIR_WAIT;
        } else if ((node->reach & held) != 0) {
            rc = WEIR_WAIT;
        } else {
            if (step_cnt == 0) {
                return WEIR_AGAIN;
            }
            step_cnt--;
            rc = step(chain, idx, now_ns);
            chain->blocked = rc == WEIR_WAIT ? idx : chain->blocked;
        }
        if (rc < 0) {
            return rc;
        }
        if (rc == WEIR_WAIT) {
            stuck |= bit;
            held |= holds_rows(node) ? bit : 0;
            continue;
        }
        stuck = 0;
        held = 0;
        if (node->pend == 0 && node->emit == 0) {
            chain->work &= ~bit;
        }
    }
    return chain->work == 0 ? WEIR_DONE : WEIR_WAIT;
}

int
weir_chain_flush(struct weir_chain *chain)
{
    int waits = WEIR_DONE;
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_chain_node *node = &chain->nodes[i];
        /* Who commits may have that to do after its end. */
        if (node->op.type->flush == NULL || (node->finished && node->op.type->committed == NULL)) {
            continue;
        }
        int rc = node->op.type->flush(&node->op);
        if (rc < 0) {
            return weir_err_push(rc, "operator %s failed", node->name);
        }
        waits = rc == WEIR_WAIT ? WEIR_WAIT : waits;
    }
    return waits;
}

/* ---- sources ---- */

void
weir_chain_end_source(struct weir_chain *chain, uint32_t idx, bool clean)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    if (node->source_done) {
        return;
    }
    node->source_done = true;
    if (clean) {
        /* The watermark of an idle input counts for nothing: say first that it is active again, or
         * the last windows would never fire. What is on its way out goes before what is pending. */
        if (node->idle) {
            node->idle = false;
            node->emit |= EMIT_STATUS;
            node->emit_idle = false;
        }
        node->pend |= PEND_WATERMARK;
        node->pend_watermark = WEIR_WATERMARK_MAX;
    }
    node->pend |= PEND_FINISH;
    has_work(chain, idx);
}

int
weir_chain_poll_source(struct weir_chain *chain, uint32_t idx, int64_t now_ns)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    if (node->source_done) {
        return WEIR_DONE;
    }
    prepare_outs(node, NULL);
    int rc = node->op.type->poll(&node->op, node->out, now_ns);
    if (rc < 0) {
        return weir_err_push(rc, "source %s failed", node->name);
    }
    if (node->out[0].status != 0) {
        node->emit |= EMIT_STATUS;
        node->emit_idle = node->out[0].status == WEIR_SLOT_IDLE;
        node->idle = node->emit_idle;
        node->out[0].status = 0;
    }
    uint64_t rows_before = node->op.rows_out;
    bool emitted = collect_outs(node);
    emitted |= take_tally(chain, node);
    node->op.rows_in += node->op.rows_out - rows_before;
    if (node->emit != 0) {
        has_work(chain, idx);
    }
    if (rc == WEIR_DONE) {
        weir_chain_end_source(chain, idx, true);
        return rc;
    }
    return emitted ? WEIR_AGAIN : grow_outs(node, rc);
}

int
weir_chain_barrier_at(struct weir_chain *chain, uint32_t idx, uint64_t id, int64_t now_ns)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    prepare_outs(node, NULL);
    int rc = node->op.type->barrier(&node->op, id, node->out, now_ns);
    if (rc < 0) {
        return weir_err_push(rc, "operator %s failed in barrier", node->name);
    }
    bool emitted = collect_outs(node);
    WEIR_CHECK(!emitted || !node->finished, "operator %s emits behind its end", node->name);
    if (emitted) {
        has_work(chain, idx);
    }
    return rc == WEIR_DONE || emitted ? rc : grow_outs(node, rc);
}

/* ---- looking ---- */

bool
weir_chain_ended(const struct weir_chain *chain)
{
    return chain->ended_cnt == chain->node_cnt && chain->work == 0;
}

const struct weir_hist *
weir_chain_latency(const struct weir_chain *chain)
{
    return chain->latency;
}

uint32_t
weir_chain_blocked(const struct weir_chain *chain)
{
    return chain->blocked;
}

struct weir_operator *
weir_chain_operator(struct weir_chain *chain, uint32_t node)
{
    return &chain->nodes[node].op;
}

uint32_t
weir_chain_node_cnt(const struct weir_chain *chain)
{
    return chain->node_cnt;
}
