/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of checkpoints over the operators of a stage. A barrier is handled when no node holds
 * an unfinished input, so nothing lies on a fused edge: all operators stand at the same cut, and a
 * node of several fused inputs needs no alignment. A watermark that an operator is in the middle of
 * is no such input where the rest of it stands in state: it is said again behind a restore. */
#include <string.h>

#include "base/check.h"
#include "dataplane/barrier.h"
#include "dataplane/chain_priv.h"
#include "dataplane/parts.h"

#define NODE_PART "chain"
#define NODE_PART_VERSION 1
/* Flags of a node in its part: valve.h. */
#define NODE_IDLE 1
#define NODE_IN_WATERMARK 2

bool
weir_chain_rests(const struct weir_chain *chain)
{
    for (uint64_t left = chain->work; left != 0; left &= left - 1) {
        const struct weir_chain_node *node = &chain->nodes[__builtin_ctzll(left)];
        if (node->emit != 0 || node->pend != PEND_WATERMARK || !node->op.type->rests) {
            return false;
        }
    }
    return true;
}

int
weir_chain_run_to_rest(struct weir_chain *chain, uint32_t step_cnt, int64_t now_ns)
{
    int rc = WEIR_AGAIN;
    for (uint32_t i = 0; i < step_cnt && rc == WEIR_AGAIN && !weir_chain_rests(chain); i++) {
        rc = weir_chain_run(chain, 1, now_ns);
    }
    return rc >= 0 && weir_chain_rests(chain) ? (int)WEIR_DONE : rc;
}

int
weir_chain_barrier(struct weir_chain *chain, uint64_t id, int64_t now_ns)
{
    while (chain->mark_at < chain->node_cnt) {
        WEIR_DCHECK(weir_chain_rests(chain), "a hook beside unfinished input");
        if (chain->nodes[chain->mark_at].op.type->barrier != NULL) {
            int rc = weir_chain_barrier_at(chain, chain->mark_at, id, now_ns);
            if (rc != WEIR_DONE) {
                return rc;
            }
        }
        chain->mark_at++;
        if (!weir_chain_rests(chain)) {
            return WEIR_AGAIN;
        }
    }
    chain->mark_at = 0;
    return WEIR_DONE;
}

int
weir_chain_send(struct weir_chain *chain, uint32_t slot_kind, const struct weir_mark *mark)
{
    WEIR_DCHECK(weir_chain_rests(chain), "a barrier beside unfinished input");
    for (; chain->mark_at < chain->node_cnt; chain->mark_at++) {
        struct weir_chain_node *node = &chain->nodes[chain->mark_at];
        int rc = WEIR_DONE;
        if (node->op.type->send != NULL) {
            rc = node->op.type->send(&node->op, slot_kind, mark);
        }
        if (rc < 0) {
            return weir_err_push(rc, "operator %s failed to pass on a barrier", node->name);
        }
        if (rc != WEIR_DONE) {
            return rc;
        }
    }
    chain->mark_at = 0;
    return WEIR_DONE;
}

void
weir_chain_keep(struct weir_chain *chain, bool keeps)
{
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        chain->nodes[i].op.keeps = keeps;
    }
}

bool
weir_chain_kept(struct weir_chain *chain, struct weir_flight_writer *writer)
{
    bool any = false;
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_operator *op = &chain->nodes[i].op;
        any |= op->type->kept != NULL && op->type->kept(op, writer);
    }
    return any;
}

/* A partition stands for an edge. It is there or not as the stages are cut. */
static bool
is_edge(const struct weir_chain_node *node)
{
    return node->op.type->send != NULL;
}

int
weir_chain_snapshot(
    struct weir_chain *chain, uint32_t idx, uint64_t id, struct weir_parts_writer *parts)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    WEIR_DCHECK(weir_chain_rests(chain), "a snapshot beside unfinished input");
    if (node->had_ended) {
        return 0;
    }
    weir_parts_writer_of(parts, node->op.uid);
    if (!is_edge(node)) {
        weir_parts_begin(parts, NODE_PART, NODE_PART_VERSION);
        bool is_inside = (node->pend & PEND_WATERMARK) != 0;
        int64_t watermark = is_inside ? node->pend_watermark : node->op.watermark;
        weir_parts_put_u64(parts, (uint64_t)watermark);
        weir_parts_put_u64(
            parts, (node->op.is_idle ? NODE_IDLE : 0u) | (is_inside ? NODE_IN_WATERMARK : 0u));
        weir_valve_snapshot(&node->valve, parts);
        weir_parts_end(parts);
    }
    int rc = node->op.type->snapshot != NULL ? node->op.type->snapshot(&node->op, id, parts) : 0;
    return rc != 0 ? weir_err_push(rc, "operator %s failed in snapshot", node->name) : 0;
}

/* What the chain keeps for the node, of one old subtask. */
static int
restore_node(struct weir_chain_node *node, const struct weir_parts_reader *parts, bool is_same,
    bool is_first)
{
    struct weir_part part;
    uint64_t words[2] = {0}; /* watermark, flags */
    uint32_t channel_cnt;
    int rc = weir_parts_find(parts, NODE_PART, NODE_PART_VERSION, &part);
    rc = rc != 0 ? rc : weir_part_get(&part, words, sizeof words);
    if (rc == 0 && is_same) {
        rc = weir_valve_restore(&node->valve, &part, &channel_cnt);
    } else if (rc == 0) {
        rc = weir_valve_restore_least(&node->valve, &part, is_first, &channel_cnt);
    }
    rc = rc != 0 ? rc : weir_part_end(&part);
    if (rc == 0) {
        int64_t watermark = (int64_t)words[0];
        node->op.watermark = is_first ? watermark : weir_min_i64(node->op.watermark, watermark);
        node->op.is_idle = is_same && (words[1] & NODE_IDLE) != 0;
        if (node->op.type->keeps_watermarks && node->valve.idle != node->op.is_idle) {
            node->pend |= PEND_STATUS;
            node->pend_idle = node->valve.idle;
        }
        node->pend |= (words[1] & NODE_IN_WATERMARK) != 0 ? PEND_WATERMARK : 0u;
        node->pend_watermark = node->op.watermark;
    }
    return rc;
}

bool
weir_chain_had_ended(const struct weir_chain *chain, uint32_t idx)
{
    return chain->nodes[idx].had_ended;
}

static int64_t
refuse_rows(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)input;
    (void)in;
    (void)cursor;
    (void)out;
    (void)now_ns;
    return weir_err_push(WEIR_EILLEGAL,
        "%s had ended, by the restored checkpoint; now there are more rows", op->uid);
}

/* Without calls it is none the less a node: watermarks and the end pass it. */
void
weir_chain_restore_ended(struct weir_chain *chain, uint32_t idx)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    const struct weir_operator_type *was = node->op.type;
    node->had_ended = true;
    if (!was->reopens) {
        node->over = (struct weir_operator_type){.name = was->name,
            .self_bytes = was->self_bytes,
            .input_cnt = was->input_cnt,
            .output_cnt = was->output_cnt,
            .columns = was->columns,
            .sets_watermarks = was->sets_watermarks,
            .process = refuse_rows};
        node->op.type = &node->over;
        chain->timed &= ~(UINT64_C(1) << idx);
    }
}

/* Another subtask's producers may feed this one now: only where all tasks are the same is a
 * watermark that was its own still so. */
const struct weir_parts_reader *
weir_chain_own_parts(const struct weir_chain *chain, uint32_t idx,
    const struct weir_parts_reader *parts, uint32_t *parts_cnt, bool is_same)
{
    const struct weir_operator_env *env = &chain->nodes[idx].env;
    if (!is_same || *parts_cnt != (env->subtask_cnt != 0 ? env->subtask_cnt : 1)) {
        return parts;
    }
    *parts_cnt = 1;
    return &parts[env->subtask_idx];
}

int
weir_chain_restore(struct weir_chain *chain, uint32_t idx, const struct weir_parts_reader *parts,
    uint32_t parts_cnt, bool is_same)
{
    struct weir_chain_node *node = &chain->nodes[idx];
    uint32_t own_cnt = parts_cnt;
    const struct weir_parts_reader *own =
        weir_chain_own_parts(chain, idx, parts, &own_cnt, is_same);
    int rc = 0;
    if (is_edge(node)) {
        return 0;
    }
    for (uint32_t i = 0; i < own_cnt && rc == 0; i++) {
        rc = restore_node(node, &own[i], is_same && own_cnt == 1, i == 0);
    }
    chain->work |= node->pend != 0 ? UINT64_C(1) << idx : 0;
    if (rc == 0 && node->op.type->restore != NULL) {
        rc = node->op.type->restore(&node->op, parts, parts_cnt);
    }
    return rc != 0 ? weir_err_push(rc, "operator %s failed in restore", node->name) : 0;
}

int64_t
weir_chain_edge_watermark(const struct weir_chain *chain, uint32_t idx, uint32_t channel)
{
    return chain->nodes[idx].valve.channels[channel].watermark;
}

int
weir_chain_check_uids(const struct weir_chain *chain)
{
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(chain->nodes[i].op.uid, chain->nodes[j].op.uid) == 0) {
                return weir_err_push(WEIR_EPLAN, "operators %s and %s have the same uid %s",
                    chain->nodes[j].name, chain->nodes[i].name, chain->nodes[i].op.uid);
            }
        }
    }
    return 0;
}

bool
weir_chain_commits(const struct weir_chain *chain)
{
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        if (chain->nodes[i].op.type->committed != NULL) {
            return true;
        }
    }
    return false;
}

int
weir_chain_precommit(struct weir_chain *chain, uint64_t id)
{
    int waits = WEIR_DONE;
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_chain_node *node = &chain->nodes[i];
        if (node->op.type->precommit == NULL || (node->precommitted && node->precommit_id == id)) {
            continue;
        }
        int rc = node->op.type->precommit(&node->op, id);
        if (rc < 0) {
            return weir_err_push(rc, "operator %s failed to pre-commit", node->name);
        }
        if (rc != WEIR_DONE) {
            waits = WEIR_WAIT;
            continue;
        }
        node->precommitted = true;
        node->precommit_id = id;
    }
    return waits;
}

int
weir_chain_committed(struct weir_chain *chain, uint64_t id)
{
    for (uint32_t i = chain->node_cnt; i-- > 0;) {
        struct weir_chain_node *node = &chain->nodes[i];
        int rc = node->op.type->committed != NULL ? node->op.type->committed(&node->op, id) : 0;
        if (rc != 0) {
            return weir_err_push(rc, "operator %s failed to commit checkpoint %llu", node->name,
                (unsigned long long)id);
        }
    }
    return 0;
}

int
weir_chain_aborted(struct weir_chain *chain, uint64_t id)
{
    for (uint32_t i = chain->node_cnt; i-- > 0;) {
        struct weir_chain_node *node = &chain->nodes[i];
        int rc = node->op.type->aborted != NULL ? node->op.type->aborted(&node->op, id) : 0;
        if (rc != 0) {
            return weir_err_push(rc, "operator %s failed to abort checkpoint %llu", node->name,
                (unsigned long long)id);
        }
    }
    return 0;
}

uint64_t
weir_chain_committed_id(struct weir_chain *chain)
{
    uint64_t id = UINT64_MAX;
    for (uint32_t i = 0; i < chain->node_cnt; i++) {
        struct weir_operator *op = &chain->nodes[i].op;
        if (op->type->committed_id != NULL) {
            id = weir_min_u64(id, op->type->committed_id(op));
        }
    }
    return id;
}
