/* SPDX-License-Identifier: Apache-2.0 */
/* graph_group.c: what a job says about which operators share a task, and which share cores. */
#include <string.h>

#include "sched/graph_node.h"

/* The operator that made the stream; a union's first. NULL behind an error. */
static struct weir_graph_node *
maker(struct weir_stream *stream)
{
    struct weir_env *env = stream->env;
    return env->error == 0 ? &env->node[stream->origin[0].from] : NULL;
}

struct weir_stream *
weir_start_new_chain(struct weir_stream *stream)
{
    struct weir_graph_node *node = maker(stream);
    if (node != NULL) {
        node->begins_chain = true;
    }
    return stream;
}

struct weir_stream *
weir_disable_chaining(struct weir_stream *stream)
{
    struct weir_graph_node *node = maker(stream);
    if (node != NULL) {
        node->begins_chain = true;
        node->ends_chain = true;
    }
    return stream;
}

struct weir_stream *
weir_slot_sharing_group(struct weir_stream *stream, const char *name)
{
    struct weir_graph_node *node = maker(stream);
    if (node == NULL) {
        return stream;
    }
    if (name == NULL || name[0] == '\0') {
        weir_env_fail(stream->env, WEIR_EGRAPH, "operator %s: a slot-sharing group without a name",
            node->name);
        return stream;
    }
    size_t bytes = strlen(name) + 1;
    char *copy = weir_env_alloc(stream->env, bytes);
    memcpy(copy, name, bytes);
    node->slot_group = copy;
    return stream;
}

/* Inputs stand before their users, so that one pass settles all. What comes back in a loop has the
 * group of its head, and not the head that of it. */
void
weir_graph_inherit_groups(struct weir_env *env)
{
    for (uint32_t i = 0; i < env->node_cnt; i++) {
        struct weir_graph_node *node = &env->node[i];
        const char *group = NULL;
        for (uint32_t l = 0; l < env->link_cnt && node->slot_group == NULL; l++) {
            if (env->link[l].to != i || env->node[env->link[l].from].stays_fused) {
                continue;
            }
            const char *from = env->node[env->link[l].from].slot_group;
            bool is_same = group == NULL || strcmp(group, from) == 0;
            group = is_same ? from : WEIR_SLOT_GROUP_DEFAULT;
            if (!is_same) {
                break;
            }
        }
        if (node->slot_group == NULL) {
            node->slot_group = group != NULL ? group : WEIR_SLOT_GROUP_DEFAULT;
        }
    }
}
