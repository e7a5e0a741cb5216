/* SPDX-License-Identifier: Apache-2.0 */
/* graph_loop.c: loops. A loop is no cycle of the graph: what comes back is a source, and the tail a
 * sink; between them there is a queue that only their operators know.
 *
 *     in --------> head --> body ... --> tail
 *     source --->---'
 */
#include <stdio.h>

#include "dataplane/feedback.h"
#include "dataplane/operators/loop.h"
#include "sched/graph_node.h"

#define NAME_BYTES 256

static const char *
name_of(const char *loop, const char *end, char *buf)
{
    (void)snprintf(buf, NAME_BYTES, "%s.%s", loop, end);
    return buf;
}

static struct weir_feedback *
new_feedback(struct weir_env *env, const struct weir_iterate_conf *conf)
{
    struct weir_feedback *feedback = weir_env_alloc(env, sizeof *feedback);
    feedback->wait_ns = conf->wait_ns;
    feedback->budget_bytes =
        conf->budget_bytes != 0 ? conf->budget_bytes : WEIR_ITERATE_BUDGET_BYTES;
    return feedback;
}

struct weir_stream *
weir_iterate(struct weir_stream *in, const char *name, const struct weir_iterate_conf *conf)
{
    static const struct weir_iterate_conf zeros = {0};
    struct weir_env *env = in->env;
    const struct weir_iterate_conf *given = conf != NULL ? conf : &zeros;
    char buf[NAME_BYTES];
    if (env->error == 0 && env->loop_cnt == WEIR_GRAPH_LOOP_CNT_MAX) {
        weir_env_fail(
            env, WEIR_EGRAPH, "loop %s: a job has at most %d", name, WEIR_GRAPH_LOOP_CNT_MAX);
    }
    if (env->error == 0 && given->wait_ns < 0) {
        weir_env_fail(env, WEIR_EGRAPH, "loop %s: a time to wait below zero", name);
    }
    const struct weir_schema *schema = env->error == 0 ? weir_stream_schema(in) : NULL;
    if (env->error == 0 && schema == NULL) {
        weir_env_fail(env, WEIR_EGRAPH, "loop %s: its input has no rows", name);
    }
    if (env->error != 0) {
        return &env->dead;
    }
    const struct weir_loop_conf loop = {.feedback = new_feedback(env, given)};
    struct weir_stream *both[] = {in, weir_source(env, name_of(name, "feedback", buf), schema,
                                          &weir_loop_feedback_type, &loop, sizeof loop)};
    const struct weir_operator_conf head = {.name = name,
        .type = given->wait_ns > 0 ? &weir_loop_wait_type : &weir_loop_frontier_type,
        .conf = &loop,
        .conf_bytes = sizeof loop,
        .uses_time = true};
    struct weir_stream *stream = weir_operator(both, 2, &head);
    if (env->error == 0) {
        struct weir_feedback *feedback = (struct weir_feedback *)(uintptr_t)loop.feedback;
        feedback->name = env->node[env->node_cnt - 1].name;
        feedback->schema = schema;
        env->loop[env->loop_cnt++] = (struct weir_graph_loop){
            .source = env->node_cnt - 2, .head = env->node_cnt - 1, .feedback = feedback};
    }
    return stream;
}

void
weir_iterate_close(struct weir_stream *loop, struct weir_stream *back)
{
    struct weir_env *env = loop->env;
    char buf[NAME_BYTES];
    struct weir_graph_loop *own = NULL;
    for (uint32_t i = 0; i < env->loop_cnt && env->error == 0; i++) {
        own = env->loop[i].head == loop->origin[0].from ? &env->loop[i] : own;
    }
    if (env->error != 0) {
        return;
    }
    if (own == NULL || own->tail != 0) {
        weir_env_fail(env, WEIR_EGRAPH, "behind operator %s: %s",
            env->node[loop->origin[0].from].name,
            own == NULL ? "a loop is closed that does not begin there"
                        : "its loop is closed a second time");
        return;
    }
    const struct weir_loop_conf conf = {.feedback = own->feedback};
    const struct weir_operator_conf tail = {.name = name_of(own->feedback->name, "tail", buf),
        .type = &weir_loop_tail_type,
        .conf = &conf,
        .conf_bytes = sizeof conf,
        .uses_time = true};
    (void)weir_operator(&back, 1, &tail);
    own->tail = env->node_cnt - 1;
}

/* ---- the whole ---- */

/* Whether there is a way from one node to each other. */
static void
mark_reached(const struct weir_env *env, uint32_t from, bool *ret_is_reached)
{
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        ret_is_reached[i] = i == from;
    }
    /* Inputs stand before their users. */
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        for (uint32_t l = 0; l < env->link_cnt; l++) {
            if (env->link[l].to == i) {
                ret_is_reached[i] |= ret_is_reached[env->link[l].from];
            }
        }
    }
}

static bool
is_head(const struct weir_graph_node *node)
{
    return node->type == &weir_loop_wait_type || node->type == &weir_loop_frontier_type;
}

/* An operator of the body, and what feeds it. */
static void
check_member(
    struct weir_env *env, const struct weir_graph_loop *loop, const bool *is_reached, uint32_t idx)
{
    const struct weir_graph_node *node = &env->node[idx];
    const char *name = loop->feedback->name;
    if (is_head(node)) {
        weir_env_fail(env, WEIR_EGRAPH, "loop %s has a loop in its body: %s", name, node->name);
    }
    if (node->type->sets_watermarks && loop->feedback->wait_ns == 0) {
        weir_env_fail(env, WEIR_EGRAPH,
            "loop %s: operator %s of its body sets watermarks; put it before the loop, or let the "
            "loop end by a time to wait",
            name, node->name);
    }
    for (uint32_t l = 0; l < env->link_cnt; l++) {
        const struct weir_graph_link *link = &env->link[l];
        if (link->to == idx && !is_reached[link->from]) {
            weir_env_fail(env, WEIR_EGRAPH,
                "loop %s: operator %s of its body also reads %s, which is outside; bring that in "
                "before the loop",
                name, node->name, env->node[link->from].name);
        }
    }
}

static void
check_loop(struct weir_env *env, const struct weir_graph_loop *loop)
{
    bool is_reached[WEIR_GRAPH_NODE_CNT_MAX];
    bool is_body[WEIR_GRAPH_NODE_CNT_MAX] = {false};
    const struct weir_graph_node *head = &env->node[loop->head];
    if (loop->tail == 0) {
        weir_env_fail(env, WEIR_EGRAPH, "loop %s is never closed", head->name);
        return;
    }
    if (weir_schema_fingerprint(env->node[loop->tail].in_schema[0]) !=
        weir_schema_fingerprint(loop->feedback->schema)) {
        weir_env_fail(env, WEIR_EGRAPH, "loop %s is of records of %s, and gets back %s", head->name,
            loop->feedback->schema->name, env->node[loop->tail].in_schema[0]->name);
        return;
    }
    mark_reached(env, loop->head, is_reached);
    if (!is_reached[loop->tail]) {
        weir_env_fail(
            env, WEIR_EGRAPH, "loop %s gets back rows that do not come of it", head->name);
        return;
    }
    is_body[loop->tail] = true;
    for (uint32_t i = loop->tail; i > loop->head; i--) {
        for (uint32_t l = 0; l < env->link_cnt && is_body[i]; l++) {
            if (env->link[l].to == i) {
                is_body[env->link[l].from] = is_reached[env->link[l].from];
            }
        }
        if (is_body[i]) {
            check_member(env, loop, is_reached, i);
        }
    }
}

/* Subtask i of the source, the head and the tail have one queue: they are as many, and on one
 * core. The source never stands in another stage than the head: what either has taken has to be
 * before a barrier, or behind it, for both. */
static void
settle_loop(struct weir_env *env, const struct weir_graph_loop *loop)
{
    uint32_t parallelism = env->node[loop->head].parallelism;
    loop->feedback->slot_cnt = parallelism;
    loop->feedback->slots = weir_env_alloc(env, parallelism * sizeof *loop->feedback->slots);
    env->node[loop->source].parallelism = parallelism;
    env->node[loop->source].stays_fused = true;
    env->node[loop->head].begins_chain = false;
    env->node[loop->tail].parallelism = parallelism;
    env->node[loop->tail].beside = loop->head + 1;
}

void
weir_graph_settle_loops(struct weir_env *env)
{
    for (uint32_t i = 0; i < env->loop_cnt && env->error == 0; i++) {
        check_loop(env, &env->loop[i]);
        if (env->error == 0) {
            settle_loop(env, &env->loop[i]);
        }
    }
}

void
weir_graph_group_loops(struct weir_env *env)
{
    for (uint32_t i = 0; i < env->loop_cnt && env->error == 0; i++) {
        const char *group = env->node[env->loop[i].head].slot_group;
        env->node[env->loop[i].source].slot_group = group;
        env->node[env->loop[i].tail].slot_group = group;
    }
}
