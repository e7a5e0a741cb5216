/* SPDX-License-Identifier: Apache-2.0 */
/* Stages of all subtasks, and the channels between them. */
#include <string.h>

#include "sched/plan_priv.h"

static const char *
stage_name(struct plan_build *build, const struct weir_plan_stage *stage)
{
    const struct weir_plan_vertex *vertex = &build->vertices[stage->vertex];
    const struct weir_plan_operator *all = build->graph->operators;
    const char *first = all[stage->operators[0]].name;
    const char *last = all[stage->operators[stage->operator_cnt - 1]].name;
    char subtask[16] = "";
    if (vertex->parallelism > 1) {
        (void)snprintf(subtask, sizeof subtask, "[%u]", stage->subtask);
    }
    return stage->operator_cnt == 1
               ? weir_plan_priv_text(build->plan, "%s%s", first, subtask)
               : weir_plan_priv_text(build->plan, "%s..%s%s", first, last, subtask);
}

static int
fill_stages(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    uint64_t cnt = 0;
    for (uint32_t v = 0; v < plan->vertex_cnt; v++) {
        cnt += (uint64_t)build->vertices[v].parallelism * build->vertices[v].piece_cnt;
    }
    if (cnt > WEIR_PLAN_STAGE_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "%llu stages; the limit is %d", (unsigned long long)cnt,
            WEIR_PLAN_STAGE_CNT_MAX);
    }
    build->stages =
        (struct weir_plan_stage *)weir_plan_priv_alloc(plan, cnt, sizeof *build->stages);
    build->vertex_stage =
        (uint32_t *)weir_plan_priv_alloc(plan, plan->vertex_cnt, sizeof *build->vertex_stage);
    uint32_t *lists =
        (uint32_t *)weir_plan_priv_alloc(plan, build->graph->operator_cnt, sizeof *lists);
    if (build->stages == NULL || build->vertex_stage == NULL || lists == NULL) {
        return WEIR_ENOMEM;
    }
    uint32_t stage_cnt = 0;
    for (uint32_t v = 0; v < plan->vertex_cnt; v++) {
        const struct weir_plan_vertex *vertex = &build->vertices[v];
        build->vertex_stage[v] = stage_cnt;
        for (uint32_t piece = 0; piece < vertex->piece_cnt; piece++) {
            struct weir_plan_stage model = {.vertex = v, .piece = piece, .operators = lists};
            for (uint32_t i = 0; i < vertex->operator_cnt; i++) {
                uint32_t idx = vertex->operators[i];
                if (build->piece_of[idx] == piece) {
                    uint32_t weight = build->graph->operators[idx].weight;
                    lists[model.operator_cnt] = idx;
                    model.operator_cnt++;
                    model.weight += weight != 0 ? weight : 1;
                }
            }
            lists += model.operator_cnt;
            for (uint32_t subtask = 0; subtask < vertex->parallelism; subtask++) {
                model.subtask = subtask;
                model.name = stage_name(build, &model);
                build->stages[stage_cnt + subtask * vertex->piece_cnt + piece] = model;
            }
        }
        stage_cnt += vertex->parallelism * vertex->piece_cnt;
    }
    plan->stages = build->stages;
    plan->stage_cnt = stage_cnt;
    return 0;
}

/* The producers [*ret_from, return value) that consumer `to` of `to_cnt` listens to.
 * Source: rescale as Flink's pointwise distribution; all others reach every consumer, because
 *         events
 * do even where records do not (global). */
static uint32_t
producers_of(enum weir_plan_partitioner partitioner, uint32_t from_cnt, uint32_t to,
    uint32_t to_cnt, uint32_t *ret_from)
{
    if (partitioner != WEIR_PLAN_RESCALE) {
        *ret_from = 0;
        return from_cnt;
    }
    *ret_from = (uint32_t)((uint64_t)to * from_cnt / to_cnt);
    if (from_cnt < to_cnt) {
        return *ret_from + 1;
    }
    return (uint32_t)(((uint64_t)to + 1) * from_cnt / to_cnt);
}

static uint64_t
channel_cnt_of(const struct plan_build *build, uint32_t idx)
{
    const struct weir_plan_link *link = &build->graph->links[idx];
    uint32_t from_cnt = build->graph->operators[link->from].parallelism;
    uint32_t to_cnt = build->graph->operators[link->to].parallelism;
    if (build->edges[idx].kind == WEIR_PLAN_FUSED) {
        return 0;
    }
    if (build->edges[idx].kind == WEIR_PLAN_RING) {
        return from_cnt;
    }
    if (link->partitioner == WEIR_PLAN_RESCALE) {
        return from_cnt > to_cnt ? from_cnt : to_cnt;
    }
    return (uint64_t)from_cnt * to_cnt;
}

static void
wire_pair(struct plan_build *build, uint32_t idx, uint32_t from, uint32_t to, uint32_t *out_cnt)
{
    const struct weir_plan_link *link = &build->graph->links[idx];
    struct weir_plan_channel *channel = &build->channels[build->plan->channel_cnt];
    channel->edge = idx;
    channel->from_stage = weir_plan_priv_stage(build, link->from, from);
    channel->to_stage = weir_plan_priv_stage(build, link->to, to);
    channel->prod_idx = out_cnt[from];
    out_cnt[from]++;
    build->stages[channel->from_stage].channel_out_cnt++;
    build->stages[channel->to_stage].channel_in_cnt++;
    build->plan->channel_cnt++;
}

/* All channels of one edge, producers in the outer loop. */
static void
wire_edge(struct plan_build *build, uint32_t idx, uint32_t *out_cnt, uint32_t *in_cnt)
{
    const struct weir_plan_link *link = &build->graph->links[idx];
    struct weir_plan_edge *edge = &build->edges[idx];
    uint32_t from_cnt = build->graph->operators[link->from].parallelism;
    uint32_t to_cnt = build->graph->operators[link->to].parallelism;
    uint32_t first = build->plan->channel_cnt;
    memset(out_cnt, 0, WEIR_PLAN_PARALLELISM_MAX * sizeof *out_cnt);
    memset(in_cnt, 0, WEIR_PLAN_PARALLELISM_MAX * sizeof *in_cnt);
    for (uint32_t from = 0; from < from_cnt; from++) {
        for (uint32_t to = 0; to < to_cnt; to++) {
            uint32_t lo = from;
            uint32_t hi = from + 1;
            if (edge->kind == WEIR_PLAN_RING && from != to) {
                continue;
            }
            if (edge->kind == WEIR_PLAN_EXCHANGE) {
                hi = producers_of(link->partitioner, from_cnt, to, to_cnt, &lo);
            }
            if (from >= lo && from < hi) {
                wire_pair(build, idx, from, to, out_cnt);
                build->channels[build->plan->channel_cnt - 1].cons_idx = in_cnt[to];
                in_cnt[to]++;
            }
        }
    }
    edge->channel_cnt = build->plan->channel_cnt - first;
}

int
weir_plan_priv_wire(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    int err = fill_stages(build);
    if (err != 0) {
        return err;
    }
    uint64_t cnt = 0;
    for (uint32_t i = 0; i < build->graph->link_cnt; i++) {
        cnt += channel_cnt_of(build, i);
    }
    if (cnt > WEIR_PLAN_CHANNEL_CNT_MAX) {
        return weir_err_push(WEIR_EPLAN, "%llu channels; the limit is %u", (unsigned long long)cnt,
            WEIR_PLAN_CHANNEL_CNT_MAX);
    }
    build->channels =
        (struct weir_plan_channel *)weir_plan_priv_alloc(plan, cnt, sizeof *build->channels);
    uint32_t *counts =
        (uint32_t *)weir_plan_priv_alloc(plan, 2 * WEIR_PLAN_PARALLELISM_MAX, sizeof *counts);
    if (build->channels == NULL || counts == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < build->graph->link_cnt; i++) {
        if (build->edges[i].kind != WEIR_PLAN_FUSED) {
            wire_edge(build, i, counts, counts + WEIR_PLAN_PARALLELISM_MAX);
        }
    }
    plan->channels = build->channels;
    return 0;
}
