/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes per stage, node and purpose; the budget.
 *
 * Rings lie with their consumer, which polls them; buffers with their producer, whose pool they
 * come from. State gets what it must have at least, and then shares what the budget leaves.
 */
#include <string.h>

#include "base/ring.h"
#include "sched/plan_priv.h"

#define SPLIT_TEXT 512
/* A key group's table has one page at least. */
#define KEY_GROUP_BYTES_MIN WEIR_PAGE_BYTES
#define KEY_GROUP_CNT_DEFAULT 128
/* Of a node's memory, what the kernel and others keep is not ours to plan. */
#define NODE_PARTS 10

static uint64_t
sum_of(const uint64_t *bytes)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR_PLAN_MEM_CNT; i++) {
        sum += bytes[i];
    }
    return sum;
}

static const char *
split_text(const uint64_t *bytes, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < WEIR_PLAN_MEM_CNT; i++) {
        char size[PLAN_BYTES_TEXT];
        if (bytes[i] > 0) {
            int n = snprintf(text + used, SPLIT_TEXT - used, "%s%s %s", used > 0 ? ", " : "",
                weir_plan_purpose_name((enum weir_plan_purpose)i),
                weir_plan_priv_bytes(bytes[i], size));
            used += n > 0 ? (size_t)n : 0;
        }
    }
    return text;
}

/* Each run of channels with one edge and one producer is a partition. */
static bool
begins_partition(const struct plan_build *build, uint32_t c)
{
    return c == 0 || build->channels[c - 1].edge != build->channels[c].edge ||
           build->channels[c - 1].from_stage != build->channels[c].from_stage;
}

/* What partitions may have beside their channels' own buffers. */
struct spare {
    uint64_t partition_cnt;
    uint64_t buffer_cnt; /* of all */
};

/* All that they may ask for, or what is left of the memory for buffers. */
static int
find_spare(struct plan_build *build, struct spare *ret_spare)
{
    struct weir_plan *plan = build->plan;
    uint64_t limit_bytes = build->options->buffer_bytes_max;
    uint64_t own_cnt = (uint64_t)plan->channel_cnt * plan->exclusive_cnt;
    uint64_t partition_cnt = 0;
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        partition_cnt += begins_partition(build, c);
    }
    uint64_t wanted = partition_cnt * (plan->floating_cnt + plan->overdraft_cnt);
    uint64_t there = limit_bytes != 0 ? limit_bytes / plan->buffer_bytes : own_cnt + wanted;
    if (there < own_cnt) {
        char text[PLAN_BYTES_TEXT];
        return weir_err_push(WEIR_EBUDGET,
            "insufficient number of buffers: %u channels need %llu at least (%u each, "
            "buffers.per_channel), buffers.memory holds %llu of %s: raise it",
            plan->channel_cnt, (unsigned long long)own_cnt, plan->exclusive_cnt,
            (unsigned long long)there, weir_plan_priv_bytes(plan->buffer_bytes, text));
    }
    *ret_spare = (struct spare){partition_cnt, weir_min_u64(wanted, there - own_cnt)};
    if (ret_spare->buffer_cnt < wanted) {
        weir_plan_priv_decide(build, "buffers: %llu of the %llu that all channels may ask for",
            (unsigned long long)(own_cnt + ret_spare->buffer_cnt),
            (unsigned long long)(own_cnt + wanted));
    }
    return 0;
}

static int
count_channels(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    const struct weir_ring_shape shape = {
        .slot_cnt = plan->ring_slot_cnt, .slot_bytes = WEIR_LINE_BYTES};
    uint64_t ring_bytes = weir_align_up(weir_ring_footprint(&shape), weir_ring_align());
    struct spare spare = {0};
    uint64_t seen = 0;
    uint64_t given = 0;
    int err = find_spare(build, &spare);
    if (err != 0) {
        return err;
    }
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        const struct weir_plan_channel *channel = &build->channels[c];
        struct weir_plan_edge *edge = &build->edges[channel->edge];
        seen += begins_partition(build, c);
        uint64_t upto = spare.buffer_cnt * seen / spare.partition_cnt;
        uint32_t buffer_cnt = plan->exclusive_cnt + (uint32_t)(upto - given);
        given = upto;
        uint64_t buffer_bytes = (uint64_t)buffer_cnt * plan->buffer_bytes;
        edge->buffer_cnt += buffer_cnt;
        edge->bytes += ring_bytes + buffer_bytes;
        build->stages[channel->to_stage].bytes[WEIR_PLAN_MEM_RING] += ring_bytes;
        build->stages[channel->from_stage].bytes[WEIR_PLAN_MEM_BUFFER] += buffer_bytes;
    }
    return 0;
}

static void
count_stages(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        struct weir_plan_stage *stage = &build->stages[s];
        uint32_t parallelism = build->vertices[stage->vertex].parallelism;
        stage->bytes[WEIR_PLAN_MEM_SCRATCH] = (uint64_t)stage->operator_cnt * plan->buffer_bytes;
        stage->bytes[WEIR_PLAN_MEM_TASK] = WEIR_PLAN_TASK_BYTES;
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            const struct weir_plan_operator *op = &build->graph->operators[stage->operators[i]];
            uint64_t least = (op->state_bytes + parallelism - 1) / parallelism;
            if (op->stateful) {
                uint32_t groups =
                    op->max_parallelism != 0 ? op->max_parallelism : KEY_GROUP_CNT_DEFAULT;
                uint64_t pages =
                    (groups + parallelism - 1) / parallelism * (uint64_t)KEY_GROUP_BYTES_MIN;
                least = weir_max_u64(least, pages);
            }
            stage->bytes[WEIR_PLAN_MEM_STATE] += weir_align_up(least, WEIR_PAGE_BYTES);
            stage->bytes[WEIR_PLAN_MEM_LOOP] += weir_align_up(op->loop_bytes, WEIR_PAGE_BYTES);
        }
    }
}

static struct weir_plan_node *
node_entry(struct weir_plan_node *nodes, struct plan_build *build, uint16_t number)
{
    struct weir_plan *plan = build->plan;
    for (uint32_t i = 0; i < plan->node_cnt; i++) {
        if (nodes[i].node == number) {
            return &nodes[i];
        }
    }
    struct weir_plan_node *node = &nodes[plan->node_cnt];
    const struct weir_topo_node *known = weir_topo_node(build->host->topo, number);
    node->node = number;
    node->limit_bytes = known != NULL ? known->bytes - known->bytes / NODE_PARTS : 0;
    plan->node_cnt++;
    return node;
}

/* Nodes in the order of the host, so that the table reads well whatever stage came first. */
static int
fill_nodes(struct plan_build *build, struct weir_plan_node **ret_nodes)
{
    struct weir_plan *plan = build->plan;
    struct weir_plan_node *nodes = (struct weir_plan_node *)weir_plan_priv_alloc(
        plan, WEIR_TOPO_NODE_CNT_MAX + 1, sizeof *nodes);
    if (nodes == NULL) {
        return WEIR_ENOMEM;
    }
    uint64_t core_bytes =
        build->options->core_bytes != 0 ? build->options->core_bytes : WEIR_PLAN_CORE_BYTES;
    for (uint32_t n = 0; n < build->host->topo->node_cnt; n++) {
        uint16_t number = build->host->topo->node[n].node;
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            for (int p = 0; p < WEIR_PLAN_MEM_CNT && plan->stages[s].node == number; p++) {
                node_entry(nodes, build, number)->bytes[p] += plan->stages[s].bytes[p];
            }
        }
        for (uint32_t c = 0; c < plan->core_cnt; c++) {
            if (plan->cores[c].node == number) {
                node_entry(nodes, build, number)->bytes[WEIR_PLAN_MEM_CORE] += core_bytes;
            }
        }
    }
    uint32_t keeper = weir_cpuset_next(&build->housekeeping, 0);
    const struct weir_topo_cpu *cpu = weir_topo_cpu(build->host->topo, keeper);
    node_entry(nodes, build, cpu != NULL ? cpu->node : nodes[0].node)
        ->bytes[WEIR_PLAN_MEM_RESERVE] = plan->budget_bytes / WEIR_PLAN_RESERVE_PARTS;
    plan->nodes = nodes;
    *ret_nodes = nodes;
    return 0;
}

static int
check_budget(struct plan_build *build, const struct weir_plan_node *nodes)
{
    struct weir_plan *plan = build->plan;
    uint64_t bytes[WEIR_PLAN_MEM_CNT] = {0};
    char split[SPLIT_TEXT];
    char needed[PLAN_BYTES_TEXT];
    char limit[PLAN_BYTES_TEXT];
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        uint64_t sum = sum_of(nodes[n].bytes);
        if (nodes[n].limit_bytes != 0 && sum > nodes[n].limit_bytes) {
            return weir_err_push(WEIR_EBUDGET,
                "NUMA node %u: %s needed, %s there beside the system's tenth (%s)", nodes[n].node,
                weir_plan_priv_bytes(sum, needed),
                weir_plan_priv_bytes(nodes[n].limit_bytes, limit),
                split_text(nodes[n].bytes, split));
        }
        for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
            bytes[p] += nodes[n].bytes[p];
        }
    }
    plan->bytes = sum_of(bytes);
    if (plan->bytes <= plan->budget_bytes) {
        return 0;
    }
    return weir_err_push(WEIR_EBUDGET,
        "the plan needs %s at least, memory.budget is %s%s%s: %s; %u channels on %u stages",
        weir_plan_priv_bytes(plan->bytes, needed), weir_plan_priv_bytes(plan->budget_bytes, limit),
        plan->budget_limit[0] != '\0' ? ", from " : "", plan->budget_limit,
        split_text(bytes, split), plan->channel_cnt, plan->stage_cnt);
}

const char *
weir_plan_budget(const struct weir_plan *plan, char *text, size_t text_bytes)
{
    uint64_t bytes[WEIR_PLAN_MEM_CNT] = {0};
    char split[SPLIT_TEXT];
    char budget[PLAN_BYTES_TEXT];
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
            bytes[p] += plan->nodes[n].bytes[p];
        }
    }
    (void)snprintf(text, text_bytes, "memory.budget is %s%s%s: %s",
        weir_plan_priv_bytes(plan->budget_bytes, budget),
        plan->budget_limit[0] != '\0' ? ", from " : "", plan->budget_limit,
        split_text(bytes, split));
    return text;
}

static uint32_t
stateful_cnt(const struct plan_build *build, const struct weir_plan_stage *stage)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        cnt += build->graph->operators[stage->operators[i]].stateful;
    }
    return cnt;
}

/* Equal shares of what is left for all stateful operators, in whole pages; a node that is short of
 * memory gives its stages smaller ones. */
static void
share_rest(struct plan_build *build, struct weir_plan_node *nodes)
{
    struct weir_plan *plan = build->plan;
    uint64_t share_cnt = 0;
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        share_cnt += stateful_cnt(build, &plan->stages[s]);
    }
    if (share_cnt == 0) {
        return;
    }
    uint64_t share = (plan->budget_bytes - plan->bytes) / share_cnt;
    char text[PLAN_BYTES_TEXT];
    uint64_t given = 0;
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        uint64_t on_node = 0;
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            on_node +=
                plan->stages[s].node == nodes[n].node ? stateful_cnt(build, &plan->stages[s]) : 0;
        }
        if (on_node == 0) {
            continue;
        }
        uint64_t here = share;
        if (nodes[n].limit_bytes != 0) {
            here = weir_min_u64(here, (nodes[n].limit_bytes - sum_of(nodes[n].bytes)) / on_node);
        }
        here -= here % WEIR_PAGE_BYTES;
        for (uint32_t s = 0; s < plan->stage_cnt; s++) {
            if (plan->stages[s].node == nodes[n].node) {
                build->stages[s].bytes[WEIR_PLAN_MEM_STATE] +=
                    here * stateful_cnt(build, &plan->stages[s]);
            }
        }
        nodes[n].bytes[WEIR_PLAN_MEM_STATE] += here * on_node;
        given += here * on_node;
    }
    plan->bytes += given;
    weir_plan_priv_decide(build, "state: %s that the rest leaves, in %llu equal shares",
        weir_plan_priv_bytes(given, text), (unsigned long long)share_cnt);
}

int
weir_plan_priv_memory(struct plan_build *build)
{
    struct weir_plan_node *nodes = NULL;
    int err = count_channels(build);
    if (err == 0) {
        count_stages(build);
        err = fill_nodes(build, &nodes);
    }
    if (err == 0) {
        err = check_budget(build, nodes);
    }
    if (err != 0) {
        return err;
    }
    share_rest(build, nodes);
    return 0;
}
