/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as one JSON document: keys are those of plan.h, sizes in bytes, CPUs as the kernel's. */
#include <jansson.h>
#include <stdlib.h>

#include "sched/plan_priv.h"

#define CPU_TEXT WEIR_CPUSET_TEXT_BYTES

/* A failed allocation makes a NULL value, which jansson refuses to add; the flag remembers it. */
static void
put(json_t *object, const char *key, json_t *value, bool *ok)
{
    *ok = json_object_set_new(object, key, value) == 0 && *ok;
}

static void
append(json_t *array, json_t *value, bool *ok)
{
    *ok = json_array_append_new(array, value) == 0 && *ok;
}

static json_t *
bytes_of(const uint64_t *bytes, bool *ok)
{
    json_t *object = json_object();
    for (int i = 0; i < WEIR_PLAN_MEM_CNT; i++) {
        put(object, weir_plan_purpose_name((enum weir_plan_purpose)i),
            json_integer((json_int_t)bytes[i]), ok);
    }
    return object;
}

static json_t *
names_of(const struct weir_plan *plan, const uint32_t *operators, uint32_t cnt, bool *ok)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < cnt; i++) {
        append(array, json_string(plan->graph->operators[operators[i]].name), ok);
    }
    return array;
}

static json_t *
stages_of(const struct weir_plan *plan, bool *ok)
{
    json_t *array = json_array();
    for (uint32_t s = 0; s < plan->stage_cnt; s++) {
        const struct weir_plan_stage *stage = &plan->stages[s];
        json_t *object = json_object();
        put(object, "name", json_string(stage->name), ok);
        put(object, "vertex", json_string(plan->vertices[stage->vertex].name), ok);
        put(object, "subtask", json_integer(stage->subtask), ok);
        put(object, "piece", json_integer(stage->piece), ok);
        put(object, "operators", names_of(plan, stage->operators, stage->operator_cnt, ok), ok);
        put(object, "cpu", json_integer(plan->cores[stage->core].cpu), ok);
        put(object, "node", json_integer(stage->node), ok);
        put(object, "weight", json_integer(stage->weight), ok);
        put(object, "channels_in", json_integer(stage->channel_in_cnt), ok);
        put(object, "channels_out", json_integer(stage->channel_out_cnt), ok);
        put(object, "bytes", bytes_of(stage->bytes, ok), ok);
        put(object, "reason", json_string(stage->reason), ok);
        append(array, object, ok);
    }
    return array;
}

static json_t *
cores_of(const struct weir_plan *plan, bool *ok)
{
    json_t *array = json_array();
    for (uint32_t c = 0; c < plan->core_cnt; c++) {
        const struct weir_plan_core *core = &plan->cores[c];
        json_t *object = json_object();
        json_t *stages = json_array();
        for (uint32_t i = 0; i < core->stage_cnt; i++) {
            append(stages, json_string(plan->stages[core->stages[i]].name), ok);
        }
        put(object, "cpu", json_integer(core->cpu), ok);
        put(object, "node", json_integer(core->node), ok);
        put(object, "l3", json_integer(weir_topo_cpu(plan->topo, core->cpu)->l3), ok);
        put(object, "isolated", json_boolean(core->isolated), ok);
        put(object, "idle", json_string(weir_plan_idle_name(core->idle)), ok);
        put(object, "weight", json_integer((json_int_t)core->weight), ok);
        put(object, "inflight_bytes", json_integer((json_int_t)core->inflight_bytes), ok);
        put(object, "stages", stages, ok);
        append(array, object, ok);
    }
    return array;
}

static json_t *
edges_of(const struct weir_plan *plan, bool *ok)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < plan->graph->link_cnt; i++) {
        const struct weir_plan_link *link = &plan->graph->links[i];
        const struct weir_plan_edge *edge = &plan->edges[i];
        json_t *object = json_object();
        put(object, "from", json_string(plan->graph->operators[link->from].name), ok);
        put(object, "to", json_string(plan->graph->operators[link->to].name), ok);
        put(object, "kind", json_string(weir_plan_edge_kind_name(edge->kind)), ok);
        put(object, "partitioner", json_string(weir_plan_partitioner_name(link->partitioner)), ok);
        put(object, "channels", json_integer(edge->channel_cnt), ok);
        put(object, "buffers", json_integer(edge->buffer_cnt), ok);
        put(object, "bytes", json_integer((json_int_t)edge->bytes), ok);
        put(object, "reason", json_string(edge->reason), ok);
        append(array, object, ok);
    }
    return array;
}

static json_t *
memory_of(const struct weir_plan *plan, bool *ok)
{
    json_t *object = json_object();
    json_t *nodes = json_array();
    for (uint32_t n = 0; n < plan->node_cnt; n++) {
        json_t *node = json_object();
        put(node, "node", json_integer(plan->nodes[n].node), ok);
        put(node, "limit_bytes", json_integer((json_int_t)plan->nodes[n].limit_bytes), ok);
        put(node, "bytes", bytes_of(plan->nodes[n].bytes, ok), ok);
        append(nodes, node, ok);
    }
    put(object, "bytes", json_integer((json_int_t)plan->bytes), ok);
    put(object, "budget_bytes", json_integer((json_int_t)plan->budget_bytes), ok);
    put(object, "budget_limit", json_string(plan->budget_limit), ok);
    put(object, "nodes", nodes, ok);
    return object;
}

static json_t *
cpus_of(const struct weir_cpuset *cpus)
{
    char text[CPU_TEXT];
    return json_string(weir_cpuset_print(cpus, text, sizeof text));
}

int
weir_plan_json(const struct weir_plan *plan, FILE *to)
{
    bool ok = true;
    json_t *root = json_object();
    json_t *decisions = json_array();
    for (uint32_t i = 0; i < plan->decision_cnt; i++) {
        append(decisions, json_string(plan->decisions[i]), &ok);
    }
    put(root, "job", json_string(plan->graph->name), &ok);
    put(root, "cpus", cpus_of(&plan->effective), &ok);
    put(root, "housekeeping", cpus_of(&plan->housekeeping), &ok);
    put(root, "held", cpus_of(&plan->held), &ok);
    put(root, "decisions", decisions, &ok);
    put(root, "stages", stages_of(plan, &ok), &ok);
    put(root, "cores", cores_of(plan, &ok), &ok);
    put(root, "edges", edges_of(plan, &ok), &ok);
    put(root, "memory", memory_of(plan, &ok), &ok);
    int err = 0;
    if (!ok) {
        err = weir_err_push(WEIR_ENOMEM, "the plan as JSON");
    } else if (json_dumpf(root, to, JSON_INDENT(2)) != 0 || fputc('\n', to) == EOF) {
        err = weir_err_push(WEIR_EIO, "writing the plan");
    }
    json_decref(root);
    return err;
}
