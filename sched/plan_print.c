/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as text. Each table is written twice by the same function: once to measure its columns,
 * once to print them. */
#include <string.h>

#include "sched/plan_priv.h"

#define COLUMN_CNT_MAX 9
#define CELL_BYTES 640
#define CPU_TEXT 256

struct table {
    FILE *to;
    bool measuring;
    uint32_t column_cnt;
    size_t width[COLUMN_CNT_MAX];
    uint32_t right; /* a bit per column that holds numbers */
};

typedef void(table_fn)(const struct weir_plan *plan, struct table *table);

static void
row(struct table *table, const char *const *cells)
{
    for (uint32_t i = 0; i < table->column_cnt; i++) {
        size_t len = strlen(cells[i]);
        if (table->measuring) {
            table->width[i] = len > table->width[i] ? len : table->width[i];
            continue;
        }
        bool last = i + 1 == table->column_cnt;
        int width = last ? 0 : (int)table->width[i];
        (void)fprintf(
            table->to, (table->right >> i & 1) != 0 ? "  %*s" : "  %-*s", width, cells[i]);
    }
    if (!table->measuring) {
        (void)fputc('\n', table->to);
    }
}

static void
print_table(
    const struct weir_plan *plan, FILE *to, const char *title, struct table table, table_fn *fill)
{
    table.to = to;
    table.measuring = true;
    fill(plan, &table);
    table.measuring = false;
    (void)fprintf(to, "\n%s\n", title);
    fill(plan, &table);
}

static const char *
list_operators(const struct weir_plan *plan, const struct weir_plan_stage *stage, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < stage->operator_cnt && used + 1 < CELL_BYTES; i++) {
        int n = snprintf(text + used, CELL_BYTES - used, "%s%s", i > 0 ? ", " : "",
            plan->graph->operators[stage->operators[i]].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}

static uint64_t
stage_bytes(const struct weir_plan_stage *stage)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR_PLAN_MEM_CNT; i++) {
        sum += stage->bytes[i];
    }
    return sum;
}

static void
fill_stages(const struct weir_plan *plan, struct table *table)
{
    const char *const head[] = {
        "stage", "operators", "cpu", "node", "in", "out", "memory", "place"};
    table->column_cnt = WEIR_ARRAY_CNT(head);
    row(table, head);
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &plan->stages[s];
        char operators[CELL_BYTES];
        char number[4][16];
        char bytes[PLAN_BYTES_TEXT];
        (void)snprintf(number[0], sizeof number[0], "%u", plan->cores[stage->core].cpu);
        (void)snprintf(number[1], sizeof number[1], "%u", stage->node);
        (void)snprintf(number[2], sizeof number[2], "%u", stage->channel_in_cnt);
        (void)snprintf(number[3], sizeof number[3], "%u", stage->channel_out_cnt);
        const char *const cells[] = {stage->name, list_operators(plan, stage, operators), number[0],
            number[1], number[2], number[3], weir_plan_priv_bytes(stage_bytes(stage), bytes),
            stage->reason};
        row(table, cells);
    }
}

static void
fill_cores(const struct weir_plan *plan, struct table *table)
{
    const char *const head[] = {"cpu", "node", "L3", "stages", "load", "idle", "in flight", "kind"};
    table->column_cnt = WEIR_ARRAY_CNT(head);
    row(table, head);
    for (uint32_t c = 0; c < plan->core_cnt; c++) {
        const struct weir_plan_core *core = &plan->cores[c];
        char number[5][24];
        char bytes[PLAN_BYTES_TEXT];
        (void)snprintf(number[0], sizeof number[0], "%u", core->cpu);
        (void)snprintf(number[1], sizeof number[1], "%u", core->node);
        (void)snprintf(number[2], sizeof number[2], "%u", weir_topo_cpu(plan->topo, core->cpu)->l3);
        (void)snprintf(number[3], sizeof number[3], "%u", core->stage_cnt);
        (void)snprintf(number[4], sizeof number[4], "%llu", (unsigned long long)core->weight);
        const char *const cells[] = {number[0], number[1], number[2], number[3], number[4],
            weir_plan_idle_name(core->idle), weir_plan_priv_bytes(core->inflight_bytes, bytes),
            core->reason};
        row(table, cells);
    }
}

static void
fill_edges(const struct weir_plan *plan, struct table *table)
{
    const char *const head[] = {
        "from", "to", "edge", "partitioner", "channels", "buffers", "memory", "why"};
    table->column_cnt = WEIR_ARRAY_CNT(head);
    row(table, head);
    for (uint32_t i = 0; i < plan->graph->link_cnt; i++) {
        const struct weir_plan_link *link = &plan->graph->links[i];
        const struct weir_plan_edge *edge = &plan->edges[i];
        char channels[16] = "-";
        char buffers[16] = "-";
        char bytes[PLAN_BYTES_TEXT] = "-";
        if (edge->kind != WEIR_PLAN_FUSED) {
            (void)snprintf(channels, sizeof channels, "%u", edge->channel_cnt);
            (void)snprintf(buffers, sizeof buffers, "%u", edge->buffer_cnt);
            (void)weir_plan_priv_bytes(edge->bytes, bytes);
        }
        const char *const cells[] = {plan->graph->operators[link->from].name,
            plan->graph->operators[link->to].name, weir_plan_edge_kind_name(edge->kind),
            weir_plan_partitioner_name(link->partitioner), channels, buffers, bytes, edge->reason};
        row(table, cells);
    }
}

static void
memory_row(const struct weir_plan *plan, struct table *table, const char *name, int purpose)
{
    char total[PLAN_BYTES_TEXT];
    uint64_t sum = 0;
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
            sum += p == purpose || purpose == WEIR_PLAN_MEM_CNT ? plan->nodes[n].bytes[p] : 0;
        }
    }
    char where[CELL_BYTES] = "";
    size_t used = 0;
    for (uint32_t n = 0; n < plan->node_cnt && used + 1 < sizeof where; n++) {
        uint64_t here = 0;
        char bytes[PLAN_BYTES_TEXT];
        for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
            here += p == purpose || purpose == WEIR_PLAN_MEM_CNT ? plan->nodes[n].bytes[p] : 0;
        }
        if (here > 0) {
            int len = snprintf(where + used, sizeof where - used, "%snode %u: %s",
                used > 0 ? ", " : "", plan->nodes[n].node, weir_plan_priv_bytes(here, bytes));
            used += len > 0 ? (size_t)len : 0;
        }
    }
    const char *const cells[] = {name, weir_plan_priv_bytes(sum, total), where};
    row(table, cells);
}

static void
fill_memory(const struct weir_plan *plan, struct table *table)
{
    table->column_cnt = 3;
    for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
        memory_row(plan, table, weir_plan_purpose_name((enum weir_plan_purpose)p), p);
    }
    memory_row(plan, table, "together", WEIR_PLAN_MEM_CNT);
}

static uint32_t
subtask_cnt(const struct weir_plan *plan)
{
    uint32_t cnt = 0;
    for (uint32_t v = 0; v < plan->vertex_cnt; v++) {
        cnt += plan->vertices[v].parallelism;
    }
    return cnt;
}

int
weir_plan_print(const struct weir_plan *plan, FILE *to)
{
    char bytes[PLAN_BYTES_TEXT];
    char budget[PLAN_BYTES_TEXT];
    char cpus[CPU_TEXT];
    (void)fprintf(to, "job %s: vertices %u, subtasks %u, stages %u; on %u of the CPUs %s\n",
        plan->graph->name, plan->vertex_cnt, subtask_cnt(plan), plan->stage_cnt, plan->core_cnt,
        weir_cpuset_print(&plan->effective, cpus, sizeof cpus));
    (void)fprintf(to, "memory: %s of %s%s%s\n", weir_plan_priv_bytes(plan->bytes, bytes),
        weir_plan_priv_bytes(plan->budget_bytes, budget),
        plan->budget_limit[0] != '\0' ? ", from " : "", plan->budget_limit);
    for (uint32_t i = 0; i < plan->decision_cnt; i++) {
        (void)fprintf(to, "- %s\n", plan->decisions[i]);
    }
    print_table(plan, to, "stages", (struct table){.right = 0x7c}, fill_stages);
    print_table(plan, to, "cores", (struct table){.right = 0x5f}, fill_cores);
    if (plan->graph->link_cnt > 0) {
        print_table(plan, to, "edges", (struct table){.right = 0x70}, fill_edges);
    }
    print_table(plan, to, "memory", (struct table){.right = 0x2}, fill_memory);
    (void)fprintf(to,
        "\na channel: ring of %u descriptors, %u buffers of %s; a partition: %u more to share, %u "
        "to "
        "finish a slice\n",
        plan->ring_slot_cnt, plan->exclusive_cnt, weir_plan_priv_bytes(plan->buffer_bytes, bytes),
        plan->floating_cnt, plan->overdraft_cnt);
    return ferror(to) != 0 ? weir_err_push(WEIR_EIO, "writing the plan") : 0;
}
