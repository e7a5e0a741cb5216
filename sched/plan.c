/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/plan.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sched/plan_priv.h"

#define BLOCK_BYTES 65536
#define TEXT_BYTES 1024

/* What the caller gets is the first member; the rest is how it is freed. */
struct plan_owner {
    struct weir_plan plan;
    struct plan_block *blocks;
};

void *
weir_plan_priv_alloc(struct weir_plan *plan, size_t cnt, size_t bytes)
{
    struct plan_owner *owner = (struct plan_owner *)plan;
    size_t wanted = weir_align_up(cnt * bytes + (cnt == 0), 16);
    struct plan_block *block = owner->blocks;
    if (block == NULL || block->bytes - block->used < wanted) {
        size_t block_bytes = wanted > BLOCK_BYTES ? wanted : BLOCK_BYTES;
        block = (struct plan_block *)calloc(1, sizeof *block + block_bytes);
        if (block == NULL) {
            (void)weir_err_push(WEIR_ENOMEM, "the plan, %zu bytes", block_bytes);
            return NULL;
        }
        block->bytes = block_bytes;
        block->next = owner->blocks;
        owner->blocks = block;
    }
    void *piece = (uint8_t *)(block + 1) + block->used;
    block->used += wanted;
    return piece;
}

static const char *
vtext(struct weir_plan *plan, const char *fmt, va_list args)
{
    char text[TEXT_BYTES];
    (void)vsnprintf(text, sizeof text, fmt, args);
    char *kept = (char *)weir_plan_priv_alloc(plan, 1, strlen(text) + 1);
    if (kept == NULL) {
        return "(no memory for words)";
    }
    return strcpy(kept, text);
}

const char *
weir_plan_priv_text(struct weir_plan *plan, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = vtext(plan, fmt, args);
    va_end(args);
    return text;
}

void
weir_plan_priv_decide(struct plan_build *build, const char *fmt, ...)
{
    if (build->plan->decision_cnt == PLAN_DECISION_CNT_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    build->decisions[build->plan->decision_cnt] = vtext(build->plan, fmt, args);
    va_end(args);
    build->plan->decision_cnt++;
}

const char *
weir_plan_priv_bytes(uint64_t bytes, char *buf)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.5 && unit + 1 < WEIR_ARRAY_CNT(units)) {
        value /= 1024;
        unit++;
    }
    const char *fmt =
        unit == 0 || value >= 100 || value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s";
    (void)snprintf(buf, PLAN_BYTES_TEXT, fmt, value, units[unit]);
    return buf;
}

const char *
weir_plan_edge_kind_name(enum weir_plan_edge_kind kind)
{
    static const char *const names[WEIR_PLAN_EDGE_KIND_CNT] = {
        "fused", "ring", "exchange", "transport"};
    return kind < WEIR_PLAN_EDGE_KIND_CNT ? names[kind] : "?";
}

const char *
weir_plan_partitioner_name(enum weir_plan_partitioner partitioner)
{
    static const char *const names[WEIR_PLAN_PARTITIONER_CNT] = {
        "forward", "rebalance", "rescale", "shuffle", "broadcast", "global", "keyed", "custom"};
    return partitioner < WEIR_PLAN_PARTITIONER_CNT ? names[partitioner] : "?";
}

const char *
weir_plan_idle_name(enum weir_plan_idle idle)
{
    static const char *const names[] = {"auto", "sleep", "adaptive", "spin"};
    return idle <= WEIR_PLAN_IDLE_SPIN ? names[idle] : "?";
}

const char *
weir_plan_purpose_name(enum weir_plan_purpose purpose)
{
    static const char *const names[WEIR_PLAN_MEM_CNT] = {
        "rings", "buffers", "scratch", "tasks", "cores", "state", "loops", "reserve"};
    return purpose < WEIR_PLAN_MEM_CNT ? names[purpose] : "?";
}

static int
check_operator(const struct weir_plan_graph *graph, uint32_t idx)
{
    const struct weir_plan_operator *op = &graph->operators[idx];
    for (uint32_t i = 0; i < idx; i++) {
        if (strcmp(graph->operators[i].name, op->name) == 0) {
            return weir_err_push(WEIR_EGRAPH, "two operators are called %s", op->name);
        }
    }
    if (op->parallelism == 0 || op->parallelism > WEIR_PLAN_PARALLELISM_MAX) {
        return weir_err_push(WEIR_EPLAN, "operator %s: parallelism %u is not within 1 to %d",
            op->name, op->parallelism, WEIR_PLAN_PARALLELISM_MAX);
    }
    if (op->max_parallelism != 0 && op->parallelism > op->max_parallelism) {
        return weir_err_push(WEIR_EPLAN,
            "operator %s: parallelism %u is above its max_parallelism %u", op->name,
            op->parallelism, op->max_parallelism);
    }
    bool fed = false;
    bool feeds = false;
    for (uint32_t i = 0; i < graph->link_cnt; i++) {
        fed = fed || graph->links[i].to == idx;
        feeds = feeds || graph->links[i].from == idx;
    }
    if (fed == (op->kind == WEIR_PLAN_SOURCE)) {
        return weir_err_push(WEIR_EGRAPH,
            fed ? "source %s is fed by another operator" : "nothing feeds operator %s", op->name);
    }
    if (feeds == (op->kind == WEIR_PLAN_SINK)) {
        return weir_err_push(WEIR_EGRAPH,
            feeds ? "sink %s feeds another operator" : "operator %s feeds nothing", op->name);
    }
    return 0;
}

static int
check_link(const struct weir_plan_graph *graph, const struct weir_plan_link *link)
{
    if (link->from >= graph->operator_cnt || link->to >= graph->operator_cnt ||
        link->partitioner >= WEIR_PLAN_PARTITIONER_CNT) {
        return weir_err_push(WEIR_EINVAL, "a link from operator %u to %u of %u", link->from,
            link->to, graph->operator_cnt);
    }
    const struct weir_plan_operator *from = &graph->operators[link->from];
    const struct weir_plan_operator *to = &graph->operators[link->to];
    if (link->partitioner == WEIR_PLAN_FORWARD && from->parallelism != to->parallelism) {
        return weir_err_push(WEIR_EGRAPH,
            "forward from %s (parallelism %u) to %s (parallelism %u): give both the same "
            "parallelism, "
            "or use rebalance or rescale",
            from->name, from->parallelism, to->name, to->parallelism);
    }
    return 0;
}

static int
check_host(const struct weir_plan_host *host, const struct weir_plan *plan)
{
    struct weir_cpuset outside = host->effective;
    weir_cpuset_without(&outside, &host->topo->cpus);
    if (weir_cpuset_cnt(&host->effective) == 0 || weir_cpuset_cnt(&outside) > 0) {
        char text[128];
        return weir_err_push(WEIR_EPLAN, "the effective cpuset %s is %s; limited by %s",
            weir_cpuset_print(&host->effective, text, sizeof text),
            weir_cpuset_cnt(&host->effective) == 0 ? "empty" : "not within the topology",
            host->effective_limit != NULL ? host->effective_limit : "nobody named");
    }
    if (!weir_is_pow2(plan->ring_slot_cnt) || plan->ring_slot_cnt < 2 || plan->buffer_bytes < 64 ||
        plan->exclusive_cnt == 0) {
        return weir_err_push(WEIR_EPLAN, "rings of %u slots, buffers of %u bytes, %u to a channel",
            plan->ring_slot_cnt, plan->buffer_bytes, plan->exclusive_cnt);
    }
    return 0;
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static int
build_plan(struct plan_build *build)
{
    const struct weir_plan_graph *graph = build->graph;
    int err = check_host(build->host, build->plan);
    if (err == 0 &&
        (graph->operator_cnt == 0 || graph->operator_cnt > WEIR_PLAN_OPERATOR_CNT_MAX)) {
        err = weir_err_push(WEIR_EGRAPH, "job %s has %u operators, allowed are 1 to %d",
            graph->name, graph->operator_cnt, WEIR_PLAN_OPERATOR_CNT_MAX);
    }
    for (uint32_t i = 0; err == 0 && i < graph->link_cnt; i++) {
        err = check_link(graph, &graph->links[i]);
    }
    for (uint32_t i = 0; err == 0 && i < graph->operator_cnt; i++) {
        err = check_operator(graph, i);
    }
    if (err == 0) {
        err = weir_plan_priv_chain(build);
    }
    if (err == 0) {
        err = weir_plan_priv_wire(build);
    }
    if (err == 0) {
        err = weir_plan_priv_place(build);
    }
    return err != 0 ? err : weir_plan_priv_memory(build);
}

int
weir_plan_make(const struct weir_plan_graph *graph, const struct weir_plan_host *host,
    const struct weir_plan_options *options, struct weir_plan **ret_plan)
{
    struct plan_owner *owner = (struct plan_owner *)calloc(1, sizeof *owner);
    if (owner == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the plan");
    }
    struct weir_plan *plan = &owner->plan;
    plan->graph = graph;
    plan->topo = host->topo;
    plan->effective = host->effective;
    plan->budget_bytes = host->budget_bytes;
    plan->buffer_bytes = or_default(options->buffer_bytes, WEIR_PLAN_BUFFER_BYTES);
    plan->ring_slot_cnt = or_default(options->ring_slot_cnt, WEIR_PLAN_RING_SLOT_CNT);
    plan->exclusive_cnt = or_default(options->exclusive_cnt, 2);
    plan->floating_cnt =
        options->floating_cnt == WEIR_PLAN_FLOATING_NONE ? 0 : or_default(options->floating_cnt, 8);
    plan->overdraft_cnt = or_default(options->overdraft_cnt, 5);
    plan->budget_limit =
        weir_plan_priv_text(plan, "%s", host->budget_limit != NULL ? host->budget_limit : "");
    struct plan_build build = {.plan = plan, .graph = graph, .host = host, .options = options};
    build.decisions =
        (const char **)weir_plan_priv_alloc(plan, PLAN_DECISION_CNT_MAX, sizeof *build.decisions);
    int err = build.decisions == NULL ? WEIR_ENOMEM : build_plan(&build);
    if (err != 0) {
        weir_plan_close(plan);
        return err;
    }
    plan->decisions = build.decisions;
    plan->housekeeping = build.housekeeping;
    plan->held = build.held;
    *ret_plan = plan;
    return 0;
}

void
weir_plan_close(struct weir_plan *plan)
{
    struct plan_owner *owner = (struct plan_owner *)plan;
    if (owner == NULL) {
        return;
    }
    for (struct plan_block *block = owner->blocks; block != NULL;) {
        struct plan_block *next = block->next;
        free(block);
        block = next;
    }
    free(owner);
}
