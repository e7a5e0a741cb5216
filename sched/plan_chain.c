/* SPDX-License-Identifier: Apache-2.0 */
/* Operators into vertices and stages, links into kinds of edges.
 *
 * Both groupings are the same step: start with every operator alone and join the two ends of a link
 * where that is allowed and closes no cycle between groups. A cycle of stages could not make
 * progress once its rings are full, and has no order in which to open.
 */
#include <string.h>

#include "base/opt.h"
#include "sched/plan_priv.h"

bool
weir_plan_priv_pointwise(const struct plan_build *build, const struct weir_plan_link *link)
{
    uint32_t from = build->graph->operators[link->from].parallelism;
    uint32_t to = build->graph->operators[link->to].parallelism;
    return from == to && (from == 1 || link->partitioner == WEIR_PLAN_FORWARD);
}

/* Kahn's order of groups (of operators, each its own group, to begin with); the lowest first that
 * is free, so that the order is the same every time. Returns how many could be ordered. */
static uint32_t
order_groups(
    const struct plan_build *build, const uint32_t *group, uint32_t *waiting, uint32_t *ret_order)
{
    const struct weir_plan_graph *graph = build->graph;
    uint32_t cnt = graph->operator_cnt;
    memset(waiting, 0, cnt * sizeof *waiting);
    for (uint32_t i = 0; i < graph->link_cnt; i++) {
        if (group[graph->links[i].from] != group[graph->links[i].to]) {
            waiting[group[graph->links[i].to]]++;
        }
    }
    for (uint32_t i = 0; i < cnt; i++) {
        if (group[i] != i) {
            waiting[i] = PLAN_NONE; /* not the head of a group */
        }
    }
    uint32_t ordered = 0;
    for (uint32_t next = 0; next < cnt; next++) {
        if (waiting[next] != 0) {
            continue;
        }
        ret_order[ordered] = next;
        ordered++;
        waiting[next] = PLAN_NONE;
        uint32_t first = next;
        for (uint32_t i = 0; i < graph->link_cnt; i++) {
            uint32_t to = group[graph->links[i].to];
            if (group[graph->links[i].from] == next && to != next) {
                waiting[to]--;
                first = waiting[to] == 0 && to < first ? to : first;
            }
        }
        next = first == next ? next : first - 1;
    }
    return ordered;
}

static int
order_operators(struct plan_build *build, uint32_t *group, uint32_t *waiting)
{
    const struct weir_plan_graph *graph = build->graph;
    for (uint32_t i = 0; i < graph->operator_cnt; i++) {
        group[i] = i;
    }
    uint32_t ordered = order_groups(build, group, waiting, build->order);
    for (uint32_t i = 0; i < graph->operator_cnt && ordered < graph->operator_cnt; i++) {
        if (waiting[i] != PLAN_NONE) {
            return weir_err_push(WEIR_EGRAPH,
                "operator %s feeds itself, directly or through others", graph->operators[i].name);
        }
    }
    uint32_t used = 0;
    for (uint32_t at = 0; at < graph->operator_cnt; at++) {
        for (uint32_t i = 0; i < graph->link_cnt; i++) {
            if (graph->links[i].from == build->order[at]) {
                build->link_order[used] = i;
                used++;
            }
        }
    }
    return 0;
}

/* Whether a third group lies on a way from group a to group b. Links are looked at in the order of
 * their producers, so that one pass is mostly enough. */
static bool
reaches_around(
    const struct plan_build *build, const uint32_t *group, uint32_t a, uint32_t b, uint32_t *seen)
{
    const struct weir_plan_graph *graph = build->graph;
    memset(seen, 0, graph->operator_cnt * sizeof *seen);
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < graph->link_cnt; i++) {
            const struct weir_plan_link *link = &graph->links[build->link_order[i]];
            uint32_t from = group[link->from];
            uint32_t to = group[link->to];
            if (to == a || from == to || (from != a && seen[from] == 0) || (from == a && to == b)) {
                continue;
            }
            if (to == b) {
                return true;
            }
            more = more || seen[to] == 0;
            seen[to] = 1;
        }
    }
    return false;
}

/* Join the groups at both ends of every link that why[] leaves open. Where a join would close a
 * cycle, or would fuse a link that why[] forbids, the link is marked instead. */
static void
join_groups(struct plan_build *build, uint32_t *group, enum plan_cut_why *why, uint32_t *seen)
{
    const struct weir_plan_graph *graph = build->graph;
    for (uint32_t at = 0; at < graph->link_cnt; at++) {
        uint32_t idx = build->link_order[at];
        uint32_t a = group[graph->links[idx].from];
        uint32_t b = group[graph->links[idx].to];
        if (why[idx] != PLAN_CUT_NOT || a == b) {
            continue;
        }
        bool barred = reaches_around(build, group, a, b, seen);
        for (uint32_t i = 0; i < graph->link_cnt && !barred; i++) {
            barred = why[i] != PLAN_CUT_NOT && group[graph->links[i].from] == a &&
                     group[graph->links[i].to] == b;
        }
        if (barred) {
            why[idx] = PLAN_CUT_CYCLE;
            continue;
        }
        uint32_t head = a < b ? a : b;
        for (uint32_t i = 0; i < graph->operator_cnt; i++) {
            group[i] = group[i] == a || group[i] == b ? head : group[i];
        }
    }
}

static bool
is_called(const struct weir_plan_operator *op, const char *name)
{
    return strcmp(op->name, name) == 0 || (op->uid != NULL && strcmp(op->uid, name) == 0);
}

static uint32_t
find_operator(const struct weir_plan_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->operator_cnt; i++) {
        if (is_called(&graph->operators[i], name)) {
            return i;
        }
    }
    return PLAN_NONE;
}

static int
say_unknown(const struct weir_plan_graph *graph, const char *key, const char *name)
{
    char listed[400] = "";
    const char *names[WEIR_PLAN_OPERATOR_CNT_MAX];
    size_t used = 0;
    for (uint32_t i = 0; i < graph->operator_cnt; i++) {
        names[i] = graph->operators[i].name;
        int n = used + 1 < sizeof listed ? snprintf(listed + used, sizeof listed - used, "%s%s",
                                               used > 0 ? ", " : "", names[i])
                                         : 0;
        used += n > 0 ? (size_t)n : 0;
    }
    const char *near = weir_opt_nearest(name, names, graph->operator_cnt);
    if (near != NULL) {
        return weir_err_push(WEIR_ECONFIG,
            "placement.vertices.%s: no operator is called %s; did you mean %s?", key, name, near);
    }
    return weir_err_push(WEIR_ECONFIG,
        "placement.vertices.%s: no operator is called %s; there are %s", key, name, listed);
}

/* The cuts that the options ask for, over the marks that the graph itself makes. */
static int
mark_cuts(struct plan_build *build, enum plan_cut_why *why)
{
    const struct weir_plan_graph *graph = build->graph;
    const struct weir_plan_options *options = build->options;
    for (uint32_t i = 0; i < graph->link_cnt; i++) {
        if (why[i] == PLAN_CUT_NOT && options->cut == WEIR_PLAN_CUT_ALL &&
            graph->operators[graph->links[i].from].can_split) {
            why[i] = PLAN_CUT_ALL;
        }
    }
    for (uint32_t v = 0; v < options->vertex_cnt; v++) {
        const struct weir_plan_vertex_options *entry = &options->vertices[v];
        for (uint32_t c = 0; c < entry->cut_after_cnt; c++) {
            uint32_t after = find_operator(graph, entry->cut_after[c]);
            if (after == PLAN_NONE) {
                return say_unknown(graph, entry->name, entry->cut_after[c]);
            }
            if (build->vertex_of[after] != build->vertex_of[build->entry_op[v]]) {
                return weir_err_push(WEIR_EPLAN,
                    "placement.vertices.%s.cut_after: %s is not in the same vertex as %s",
                    entry->name, entry->cut_after[c], entry->name);
            }
            bool last = true;
            for (uint32_t i = 0; i < graph->link_cnt; i++) {
                bool inside = graph->links[i].from == after &&
                              build->vertex_of[graph->links[i].to] == build->vertex_of[after];
                last = last && !inside;
                if (inside && why[i] <= PLAN_CUT_ALL) {
                    why[i] = PLAN_CUT_AFTER;
                }
            }
            if (last || !graph->operators[after].can_split) {
                return weir_err_push(WEIR_EPLAN, "placement.vertices.%s.cut_after: %s %s",
                    entry->name, entry->cut_after[c],
                    last ? "is the last of its vertex" : "cannot be cut off from what follows");
            }
        }
    }
    return 0;
}

static void
mark_graph(struct plan_build *build, enum plan_cut_why *why)
{
    const struct weir_plan_graph *graph = build->graph;
    for (uint32_t i = 0; i < graph->link_cnt; i++) {
        const struct weir_plan_link *link = &graph->links[i];
        if (!weir_plan_priv_pointwise(build, link)) {
            why[i] = PLAN_CUT_EXCHANGE;
        } else if (!graph->operators[link->from].chain_output) {
            why[i] = PLAN_CUT_FLAG_FROM;
        } else if (!graph->operators[link->to].chain_input) {
            why[i] = PLAN_CUT_FLAG_TO;
        } else if (strcmp(weir_plan_priv_group(build, link->from),
                       weir_plan_priv_group(build, link->to)) != 0) {
            why[i] = PLAN_CUT_GROUP;
        } else {
            why[i] = PLAN_CUT_NOT;
        }
    }
}

static const char *
name_operators(struct plan_build *build, const uint32_t *operators, uint32_t cnt)
{
    char text[512] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < cnt && used + 1 < sizeof text; i++) {
        int n = snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " -> " : "",
            build->graph->operators[operators[i]].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return weir_plan_priv_text(build->plan, "%s", text);
}

/* Number the groups in their own topological order, within[] telling what they are counted in: all
 * of them for vertices, their vertex for stages. ret_cnt[within] counts them. */
static int
number_groups(struct plan_build *build, const uint32_t *group, const uint32_t *within,
    uint32_t *ret_number, uint32_t *ret_cnt)
{
    uint32_t cnt = build->graph->operator_cnt;
    uint32_t *order = (uint32_t *)weir_plan_priv_alloc(build->plan, cnt, sizeof *order);
    uint32_t *waiting = (uint32_t *)weir_plan_priv_alloc(build->plan, cnt, sizeof *waiting);
    if (order == NULL || waiting == NULL) {
        return WEIR_ENOMEM;
    }
    uint32_t ordered = order_groups(build, group, waiting, order);
    for (uint32_t at = 0; at < ordered; at++) {
        uint32_t in = within == NULL ? 0 : within[order[at]];
        for (uint32_t i = 0; i < cnt; i++) {
            if (group[i] == order[at]) {
                ret_number[i] = ret_cnt[in];
            }
        }
        ret_cnt[in]++;
    }
    return 0;
}

/* Members of vertex v (and of its piece, unless PLAN_NONE) in topological order. */
static uint32_t
list_members(struct plan_build *build, uint32_t v, uint32_t piece, uint32_t *ret_operators)
{
    uint32_t cnt = 0;
    for (uint32_t at = 0; at < build->graph->operator_cnt; at++) {
        uint32_t idx = build->order[at];
        if (build->vertex_of[idx] == v && (piece == PLAN_NONE || build->piece_of[idx] == piece)) {
            ret_operators[cnt] = idx;
            cnt++;
        }
    }
    return cnt;
}

static int
fill_vertices(struct plan_build *build, uint32_t vertex_cnt, const uint32_t *piece_cnt)
{
    struct weir_plan *plan = build->plan;
    uint32_t cnt = build->graph->operator_cnt;
    build->vertices =
        (struct weir_plan_vertex *)weir_plan_priv_alloc(plan, vertex_cnt, sizeof *build->vertices);
    uint32_t *lists = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *lists);
    if (build->vertices == NULL || lists == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t v = 0; v < vertex_cnt; v++) {
        struct weir_plan_vertex *vertex = &build->vertices[v];
        vertex->operators = lists;
        vertex->operator_cnt = list_members(build, v, PLAN_NONE, lists);
        vertex->parallelism = build->graph->operators[lists[0]].parallelism;
        vertex->piece_cnt = piece_cnt[v];
        vertex->name = name_operators(build, lists, vertex->operator_cnt);
        lists += vertex->operator_cnt;
    }
    plan->vertices = build->vertices;
    plan->vertex_cnt = vertex_cnt;
    return 0;
}

static const char *
edge_reason(struct plan_build *build, uint32_t idx, enum weir_plan_edge_kind kind)
{
    const struct weir_plan_graph *graph = build->graph;
    const struct weir_plan_link *link = &graph->links[idx];
    const char *from = graph->operators[link->from].name;
    const char *to = graph->operators[link->to].name;
    const char *partitioner = weir_plan_partitioner_name(link->partitioner);
    if (kind == WEIR_PLAN_FUSED && link->partitioner == WEIR_PLAN_FORWARD) {
        return "same stage";
    }
    if (kind == WEIR_PLAN_FUSED) {
        return weir_plan_priv_text(
            build->plan, "same stage; %s, but one subtask on each side", partitioner);
    }
    switch (build->why[idx]) {
    case PLAN_CUT_ALL:
        return "cut by placement.cut: all";
    case PLAN_CUT_AFTER:
        return weir_plan_priv_text(build->plan, "cut_after: [%s]", from);
    case PLAN_CUT_FLAG_FROM:
        return weir_plan_priv_text(build->plan, "%s is never fused with what follows", from);
    case PLAN_CUT_FLAG_TO:
        return weir_plan_priv_text(build->plan, "%s is never fused with what precedes", to);
    case PLAN_CUT_GROUP:
        return weir_plan_priv_text(build->plan, "slot-sharing groups %s and %s",
            weir_plan_priv_group(build, link->from), weir_plan_priv_group(build, link->to));
    case PLAN_CUT_EXCHANGE:
        return weir_plan_priv_text(build->plan, "%s, %u to %u subtasks", partitioner,
            graph->operators[link->from].parallelism, graph->operators[link->to].parallelism);
    default:
        return "the stages have another way between them; fusing would close a cycle";
    }
}

/* Whether a stage that the edge leads to keeps state that watermarks act on. Its subtasks have to
 * have seen the same ones in a checkpoint, for that state may be dealt out anew. */
static bool
leads_to_times(const struct plan_build *build, const struct weir_plan_link *link)
{
    for (uint32_t i = 0; i < build->graph->operator_cnt; i++) {
        if (build->graph->operators[i].acts_on_time &&
            build->vertex_of[i] == build->vertex_of[link->to] &&
            build->piece_of[i] == build->piece_of[link->to]) {
            return true;
        }
    }
    return false;
}

static const char *
aligned_reason(const struct plan_build *build, const struct weir_plan_link *link)
{
    if (link->is_fixed) {
        return "its rows could not go to other subtasks";
    }
    return leads_to_times(build, link) ? "watermarks act on the state behind it" : NULL;
}

static int
fill_edges(struct plan_build *build)
{
    const struct weir_plan_graph *graph = build->graph;
    build->edges = (struct weir_plan_edge *)weir_plan_priv_alloc(
        build->plan, graph->link_cnt, sizeof *build->edges);
    if (build->edges == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < graph->link_cnt; i++) {
        const struct weir_plan_link *link = &graph->links[i];
        bool same = build->vertex_of[link->from] == build->vertex_of[link->to] &&
                    build->piece_of[link->from] == build->piece_of[link->to];
        enum weir_plan_edge_kind kind = same ? WEIR_PLAN_FUSED
                                        : weir_plan_priv_pointwise(build, link)
                                            ? WEIR_PLAN_RING
                                            : WEIR_PLAN_EXCHANGE;
        struct weir_plan_edge *edge = &build->edges[i];
        edge->kind = kind;
        edge->reason = edge_reason(build, i, kind);
        edge->aligned = same ? NULL : aligned_reason(build, link);
        if (build->options->is_unaligned && edge->aligned != NULL) {
            edge->reason = weir_plan_priv_text(
                build->plan, "%s; barriers stay aligned: %s", edge->reason, edge->aligned);
        }
    }
    build->plan->edges = build->edges;
    return 0;
}

static int
find_entries(struct plan_build *build)
{
    for (uint32_t v = 0; v < build->options->vertex_cnt; v++) {
        const char *name = build->options->vertices[v].name;
        build->entry_op[v] = find_operator(build->graph, name);
        if (build->entry_op[v] == PLAN_NONE) {
            return say_unknown(build->graph, name, name);
        }
    }
    return 0;
}

int
weir_plan_priv_chain(struct plan_build *build)
{
    struct weir_plan *plan = build->plan;
    uint32_t cnt = build->graph->operator_cnt;
    uint32_t *group = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *group);
    uint32_t *seen = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *seen);
    uint32_t *piece_cnt = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *piece_cnt);
    build->order = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *build->order);
    build->link_order =
        (uint32_t *)weir_plan_priv_alloc(plan, build->graph->link_cnt, sizeof *build->link_order);
    build->vertex_of = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *build->vertex_of);
    build->piece_of = (uint32_t *)weir_plan_priv_alloc(plan, cnt, sizeof *build->piece_of);
    build->entry_op =
        (uint32_t *)weir_plan_priv_alloc(plan, build->options->vertex_cnt, sizeof *build->entry_op);
    build->why =
        (enum plan_cut_why *)weir_plan_priv_alloc(plan, build->graph->link_cnt, sizeof *build->why);
    if (group == NULL || seen == NULL || piece_cnt == NULL || build->order == NULL ||
        build->link_order == NULL || build->vertex_of == NULL || build->piece_of == NULL ||
        build->entry_op == NULL || build->why == NULL) {
        return WEIR_ENOMEM;
    }
    int err = order_operators(build, group, seen);
    if (err == 0) {
        err = find_entries(build);
    }
    if (err != 0) {
        return err;
    }
    uint32_t vertex_cnt = 0;
    mark_graph(build, build->why);
    join_groups(build, group, build->why, seen);
    err = number_groups(build, group, NULL, build->vertex_of, &vertex_cnt);
    /* Again for the stages, with the cuts; a link that is not within one vertex stays apart. */
    if (err == 0) {
        err = mark_cuts(build, build->why);
    }
    if (err != 0) {
        return err;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        group[i] = i;
    }
    join_groups(build, group, build->why, seen);
    err = number_groups(build, group, build->vertex_of, build->piece_of, piece_cnt);
    if (err == 0) {
        err = fill_vertices(build, vertex_cnt, piece_cnt);
    }
    return err != 0 ? err : fill_edges(build);
}
