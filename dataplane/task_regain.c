/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that were under way when the checkpoint was taken come before those of the channels: each to
 * the operator and the input that it was on the way to, in the subtask that has its key group now.
 * Where the tasks are those that there were, what the channels had said between those rows is said
 * again; else each row keeps the watermark that was before it. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "dataplane/flight.h"
#include "dataplane/task_priv.h"

/* What one old subtask has left, or all of them, of one side. */
static bool
is_ours(const struct weir_task *task, const struct weir_task_edge *edge,
    const struct weir_flight_entry *entry)
{
    const struct weir_task_restore *from = task->cut.conf.restore;
    const struct weir_operator_env *env = weir_chain_operator(task->chain, edge->node)->env;
    uint32_t cnt = env->subtask_cnt != 0 ? env->subtask_cnt : 1;
    if (from->is_same) {
        return entry->subtask == env->subtask_idx;
    }
    switch (edge->partitioner) {
    case WEIR_PARTITION_KEYED:
        return entry->kind == WEIR_SLOT_BATCH; /* row by row: filter_keys */
    case WEIR_PARTITION_GLOBAL:
        return entry->kind == WEIR_SLOT_BATCH && env->subtask_idx == 0;
    default:
        return entry->kind == WEIR_SLOT_BATCH && entry->subtask % cnt == env->subtask_idx;
    }
}

static const struct weir_task_edge *
find_edge(const struct weir_task *task, const struct weir_flight_entry *entry)
{
    for (uint32_t e = 0; e < task->edge_cnt; e++) {
        const struct weir_task_edge *edge = &task->edges[e];
        if (edge->channel == entry->edge &&
            weir_flight_is_of(entry, weir_chain_operator(task->chain, edge->node)->uid)) {
            return edge;
        }
    }
    return NULL;
}

/* The entries of one side that are this task's, behind those that there are. */
static int
list_side(struct weir_task *task, enum weir_flight_side side)
{
    const struct weir_task_restore *from = task->cut.conf.restore;
    struct weir_task_regain *regain = &task->regain;
    for (uint32_t i = 0; i < from->flight_cnt; i++) {
        const struct weir_task_flight_bytes *flight = &from->flights[i];
        const struct weir_flight_entry *entry;
        size_t offset = 0;
        while (flight->bytes > 0 &&
               (entry = weir_flight_next(flight->buf, flight->bytes, &offset)) != NULL) {
            const struct weir_task_edge *edge =
                entry->side == (uint32_t)side ? find_edge(task, entry) : NULL;
            if (edge == NULL || !is_ours(task, edge, entry)) {
                continue;
            }
            if (regain->cnt == regain->room) {
                uint32_t room = regain->room != 0 ? 2 * regain->room : 64;
                void *more = realloc(regain->items, room * sizeof *regain->items);
                if (more == NULL) {
                    return weir_err_push(WEIR_ENOMEM, "rows under way");
                }
                regain->items = more;
                regain->room = room;
            }
            struct weir_flight_entry *copy = malloc(entry->bytes);
            if (copy == NULL) {
                return weir_err_push(WEIR_ENOMEM, "rows under way");
            }
            memcpy(copy, entry, entry->bytes);
            regain->items[regain->cnt++] = (struct weir_task_regained){edge, copy};
        }
    }
    return 0;
}

int
weir_task_regain_list(struct weir_task *task)
{
    struct weir_task_regain *regain = &task->regain;
    int rc = list_side(task, WEIR_FLIGHT_TAKEN);
    rc = rc != 0 ? rc : list_side(task, WEIR_FLIGHT_KEPT);
    if (rc == 0 && regain->cnt > 0) {
        regain->rows = malloc(WEIR_BATCH_ROW_CNT_MAX * sizeof *regain->rows);
        regain->hash = malloc(WEIR_BATCH_ROW_CNT_MAX * sizeof *regain->hash);
        if (regain->rows == NULL || regain->hash == NULL) {
            rc = weir_err_push(WEIR_ENOMEM, "rows under way");
        }
    }
    return rc;
}

void
weir_task_regain_free(struct weir_task *task)
{
    for (uint32_t i = 0; i < task->regain.cnt; i++) {
        free(task->regain.items[i].entry);
    }
    free(task->regain.items);
    free(task->regain.rows);
    free(task->regain.hash);
}

static struct weir_task_gate *
gate_of(struct weir_task *task, const struct weir_task_edge *edge)
{
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        if (task->gates[g].node == edge->node && task->gates[g].channel == edge->channel) {
            return &task->gates[g];
        }
    }
    return NULL;
}

/* Narrow the view to the rows whose key groups are the subtask's. */
static void
filter_keys(struct weir_task *task, const struct weir_task_edge *edge, struct weir_view *view)
{
    struct weir_task_regain *regain = &task->regain;
    const struct weir_operator_env *env = weir_chain_operator(task->chain, edge->node)->env;
    uint32_t cnt = 0;
    weir_key_hash(&edge->key, view, 0, view->cnt, regain->hash);
    for (uint32_t i = 0; i < view->cnt; i++) {
        uint32_t group = weir_hash_key_group(regain->hash[i], env->max_parallelism);
        if (edge->keygroup_owner[group] == env->subtask_idx) {
            regain->rows[cnt++] = (uint16_t)i;
        }
    }
    view->sel = regain->rows;
    view->cnt = cnt;
}

static void
offer_event(struct weir_task *task, const struct weir_task_edge *edge, struct weir_task_gate *tg,
    const struct weir_flight_entry *entry)
{
    const struct weir_valve_result result =
        weir_gate_regain(&tg->gate, entry->channel, entry->kind, entry->watermark);
    if (result.watermark_set) {
        weir_chain_offer_watermark(task->chain, edge->node, edge->channel, result.watermark);
    }
    if (result.status != WEIR_VALVE_SAME) {
        weir_chain_offer_status(
            task->chain, edge->node, edge->channel, result.status == WEIR_VALVE_IDLE);
    }
}

static int
offer_rows(struct weir_task *task, const struct weir_task_edge *edge,
    const struct weir_task_gate *tg, const struct weir_flight_entry *entry)
{
    const struct weir_task_restore *from = task->cut.conf.restore;
    struct weir_view *view = &task->regain.view;
    int rc = weir_flight_view(entry, edge->schema, view);
    if (rc != 0) {
        return rc;
    }
    if (!from->is_same && edge->partitioner == WEIR_PARTITION_KEYED) {
        filter_keys(task, edge, view);
    }
    if (tg != NULL) { /* a channel without news of its own since the restore has said it before */
        uint32_t c = from->is_same ? entry->channel : 0;
        view->watermark = weir_max_i64(view->watermark, tg->gate.channels[c].watermark);
    }
    weir_chain_offer(task->chain, edge->node, edge->channel, view);
    return 0;
}

int
weir_task_regain_next(struct weir_task *task)
{
    struct weir_task_regain *regain = &task->regain;
    if (regain->at > 0) { /* the chain is done with it */
        free(regain->items[regain->at - 1].entry);
        regain->items[regain->at - 1].entry = NULL;
    }
    const struct weir_task_regained *item = &regain->items[regain->at++];
    struct weir_task_gate *tg = gate_of(task, item->edge);
    bool is_there = tg == NULL || item->entry->channel < tg->gate.channel_cnt;
    int rc = 0;
    if (task->cut.conf.restore->is_same && !is_there) {
        rc = weir_err_push(WEIR_EDATA, "rows under way on channel %u of %u", item->entry->channel,
            tg->gate.channel_cnt);
    } else if (item->entry->kind == WEIR_SLOT_BATCH) {
        rc = offer_rows(task, item->edge, tg, item->entry);
    } else if (tg != NULL) {
        offer_event(task, item->edge, tg, item->entry);
    }
    return rc;
}
