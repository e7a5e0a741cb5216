/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/chain_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/tally.h"

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

/* Who looks at a node, NULL: nobody. */
static struct weir_tap *
tap_of(struct weir_chain_node *node)
{
    /* [A52] pairs with [R52] in weir_chain_tap: the tap is whole. */
    return weir_load_acq(&node->tap);
}

/* Note what a call has emitted. */
static bool
collect_outs(struct weir_chain_node *node)
{
    struct weir_tap *tap = tap_of(node);
    bool any = false;
    if (WEIR_UNLIKELY(tap != NULL) && node->out_cnt > 0 && node->out[0].view.cnt > 0) {
        weir_tap_take(tap, &node->out[0].view, 0, node->out[0].view.cnt);
    }
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
    if (node->out_cnt > 0 && node->out[0].status != 0) {
        node->emit |= EMIT_STATUS;
        node->emit_idle = node->out[0].status == WEIR_SLOT_IDLE;
        node->op.is_idle = node->emit_idle;
        node->out[0].status = 0;
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

static void
say_active(struct weir_chain_node *node)
{
    node->op.is_idle = false;
    node->emit |= EMIT_STATUS;
    node->emit_idle = false;
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
    if (node->out_cnt == 0 && rows > 0 && WEIR_UNLIKELY(tap_of(node) != NULL)) {
        weir_tap_take(tap_of(node), node->in, node->cursor, (uint32_t)rows);
    }
    node->cursor += (uint32_t)rows;
    node->intended_ns = node->in->intended_ns;
    if (node->is_exit && rows > 0 && node->intended_ns != 0 && chain->latency != NULL) {
        weir_arrivals_add(&chain->arrivals, node->intended_ns, (uint64_t)rows);
    }
    WEIR_DCHECK(node->cursor <= node->in->cnt, "%s consumed more than it was given", node->name);
    if (node->cursor == node->in->cnt) {
        node->pend &= ~(uint32_t)PEND_BATCH;
    }
    bool emitted = collect_outs(node);
    return emitted ? WEIR_AGAIN : grow_outs(node, rows > 0 ? WEIR_AGAIN : WEIR_WAIT);
}

/* An operator that sets watermarks of its own replaces those it is given, but for the last. */
static bool
passes_on(const struct weir_operator_type *type, int64_t watermark)
{
    return watermark == WEIR_WATERMARK_MAX ? !type->keeps_last || WEIR_MUTANT(LOOP_END_OVERTAKES)
                                           : !(type->sets_watermarks || type->keeps_watermarks);
}

static int
step_watermark(struct weir_chain_node *node, int64_t now_ns)
{
    if (node->pend_watermark == WEIR_WATERMARK_MAX && node->op.is_idle) {
        /* Its input is not, or nothing had come: it said so itself, and the last windows would
         * never fire. What is on its way out goes before what is pending. */
        say_active(node);
        return WEIR_AGAIN;
    }
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
    if (!node->op.is_idle && passes_on(node->op.type, node->pend_watermark)) {
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
    if (node->op.type->keeps_watermarks) {
        return WEIR_AGAIN; /* it hands that on itself, behind rows that it keeps, too */
    }
    node->op.is_idle = node->pend_idle;
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
    weir_store_rlx(&chain->at, idx); /* relaxed, as below: a hint for people */
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
        if (node->op.is_idle) {
            say_active(node);
        }
        node->pend |= WEIR_MUTANT(LAST_WATERMARK_SKIPPED) ? 0u : PEND_WATERMARK;
        node->pend_watermark = WEIR_WATERMARK_MAX;
    }
    node->pend |= PEND_FINISH;
    has_work(chain, idx);
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
weir_chain_poll_source(struct weir_chain *chain, uint32_t idx, int64_t now_ns)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    if (node->source_done) {
        return WEIR_DONE;
    }
    prepare_outs(node, NULL);
    weir_store_rlx(&chain->at, idx);
    /* Rows that a source counts for its consumer are nowhere to be seen. */
    struct weir_tally *tally = node->out[0].tally;
    node->out[0].tally = WEIR_LIKELY(tap_of(node) == NULL) ? tally : NULL;
    int rc = node->op.type->poll(&node->op, node->out, now_ns);
    node->out[0].tally = tally;
    if (rc < 0) {
        return weir_err_push(rc, "source %s failed", node->name);
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

/* ---- times ---- */

static int64_t
node_due_ns(const struct weir_chain_node *node)
{
    return node->finished ? INT64_MAX : node->op.type->due_ns(&node->op);
}

bool
weir_chain_holds(const struct weir_chain *chain, uint32_t source)
{
    bool holds = false;
    for (uint64_t left = chain->holders & chain->nodes[source].reach; left != 0; left &= left - 1) {
        const struct weir_operator *op = &chain->nodes[__builtin_ctzll(left)].op;
        holds |= op->type->holds(op);
    }
    return holds;
}

bool
weir_chain_keeps_time(const struct weir_chain *chain)
{
    return chain->timed != 0;
}

int64_t
weir_chain_due_ns(const struct weir_chain *chain)
{
    int64_t due_ns = INT64_MAX;
    for (uint64_t left = chain->timed; left != 0; left &= left - 1) {
        due_ns = weir_min_i64(due_ns, node_due_ns(&chain->nodes[__builtin_ctzll(left)]));
    }
    return due_ns;
}

/* WEIR_AGAIN: something was done; WEIR_WAIT: nothing could be; or an error. */
static int
fire_node(struct weir_chain *chain, uint32_t idx, int64_t due_ns, int64_t now_ns)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    prepare_outs(node, NULL);
    for (uint32_t i = 0; i < node->out_cnt; i++) {
        node->out[i].view.intended_ns = due_ns; /* rows are due to the time, not to a batch */
    }
    int rc = node->op.type->timer(&node->op, node->out, now_ns);
    if (rc < 0) {
        return weir_err_push(rc, "operator %s failed in a timer", node->name);
    }
    bool emitted = collect_outs(node);
    if (emitted) {
        has_work(chain, idx);
    }
    WEIR_DCHECK(rc != WEIR_DONE || node_due_ns(node) > now_ns, "%s left a timer", node->name);
    return emitted || rc == WEIR_DONE ? (int)WEIR_AGAIN : grow_outs(node, rc);
}

int
weir_chain_fire(struct weir_chain *chain, int64_t now_ns)
{
    int rc = WEIR_DONE;
    WEIR_DCHECK(chain->work == 0, "a timer beside unfinished input");
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        uint32_t idx = chain->fire_next;
        chain->fire_next = idx + 1 == chain->node_cnt ? 0 : idx + 1;
        if ((chain->timed >> idx & 1) == 0) {
            continue;
        }
        int64_t due_ns = node_due_ns(&chain->nodes[idx]);
        if (due_ns <= now_ns) {
            rc = fire_node(chain, idx, due_ns, now_ns);
            if (rc != WEIR_WAIT) {
                return rc;
            }
        }
    }
    return rc;
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

const char *
weir_chain_at(const struct weir_chain *chain)
{
    return chain->nodes[weir_load_rlx(&chain->at)].name; /* relaxed: a hint for people */
}

struct weir_operator *
weir_chain_operator(struct weir_chain *chain, uint32_t node)
{
    return &chain->nodes[node].op;
}

void
weir_chain_set_saved(struct weir_chain *chain, bool is_saved)
{
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        chain->nodes[i].op.is_saved = is_saved;
    }
}

void
weir_chain_set_mailbox(struct weir_chain *chain, uint32_t node, struct weir_mailbox *mailbox)
{
    chain->nodes[node].env.mailbox = mailbox;
    chain->nodes[node].env.position = node;
}

uint32_t
weir_chain_node_cnt(const struct weir_chain *chain)
{
    return chain->node_cnt;
}

int64_t
weir_chain_output_watermark(const struct weir_chain *chain, uint32_t node)
{
    return chain->nodes[node].emit_watermark;
}

uint32_t
weir_chain_input(const struct weir_chain *chain, uint32_t node, uint32_t channel)
{
    return chain->nodes[node].channel_input[channel];
}

struct weir_tap *
weir_chain_tap(struct weir_chain *chain, uint32_t idx, bool is_on)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    if (is_on && node->tap_mem == NULL) {
        node->tap_mem = calloc(1, sizeof *node->tap_mem);
    }
    struct weir_tap *tap = is_on ? node->tap_mem : NULL;
    /* [R52] pairs with [A52] in tap_of. */
    weir_store_rel(&node->tap, tap);
    return tap;
}
