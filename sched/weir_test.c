/* SPDX-License-Identifier: Apache-2.0 */
/* Building a test: graph -> chain nodes, wires from the feeds, gates, a task for each subtask. */
#include "sched/weir_test_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/keygroup.h"
#include "sched/graph_chain.h"

#define BATCH_ROWS_DEFAULT 256
#define STATE_BYTES_DEFAULT (16 * WEIR_MIB)
#define MAX_PARALLELISM_DEFAULT 128
#define BUF_BYTES WEIR_BUF_BYTES_MIN
/* Of a channel: two of its own; of a wire: some to share, and to finish a slice. */
#define CHANNEL_BUF_CNT 2
#define FLOATING_CNT 8
#define OVERDRAFT_CNT 5
#define SLOT_CNT 64
#define NODE_NONE UINT16_MAX
#define NAME_BYTES 32

/* ---- the graph ---- */

/* An input is a source for the graph; its feeds stand for its subtasks, and nobody polls it. */
static int
input_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)out;
    (void)now_ns;
    return WEIR_WAIT;
}

static const struct weir_operator_type input_type = {
    .name = "test_input", .output_cnt = 1, .poll = input_poll};
static const struct weir_operator_type changes_type = {
    .name = "test_changes", .output_cnt = 1, .poll = input_poll, .changes = WEIR_CHANGES_MADE};

struct weir_env *
weir_test_env(struct weir_test *test)
{
    return test->env;
}

static struct weir_stream *
add_input(struct weir_test *test, const struct weir_schema *schema,
    const struct weir_operator_type *type, uint32_t feed_cnt)
{
    struct weir_env *env = test->env;
    char name[NAME_BYTES];
    if (feed_cnt == 0 || test->feed_cnt + feed_cnt > WEIR_TEST_FEED_CNT_MAX) {
        weir_env_fail(env, WEIR_EGRAPH, "a test has 1 to %d feeds, not %u", WEIR_TEST_FEED_CNT_MAX,
            test->feed_cnt + feed_cnt);
        return &env->dead;
    }
    (void)snprintf(name, sizeof name, TEST_UID "input.%u", test->input_cnt);
    struct test_input *input = &test->inputs[test->input_cnt++];
    input->schema = schema;
    input->first_feed = test->feed_cnt;
    input->feed_cnt = feed_cnt;
    input->node = env->node_cnt;
    test->feed_cnt += feed_cnt;
    return weir_source(env, name, schema, type, NULL, 0);
}

struct weir_stream *
weir_test_input(struct weir_test *test, const struct weir_schema *schema, uint32_t feed_cnt)
{
    return add_input(test, schema, &input_type, feed_cnt);
}

struct weir_stream *
weir_test_changes(struct weir_test *test, const struct weir_schema *schema, uint32_t feed_cnt)
{
    return add_input(test, schema, &changes_type, feed_cnt);
}

void
weir_test_output(struct weir_test *test, struct weir_stream *stream)
{
    struct weir_env *env = test->env;
    char name[NAME_BYTES];
    if (test->out_cnt == WEIR_TEST_OUTPUT_CNT_MAX) {
        weir_env_fail(env, WEIR_EGRAPH, "a test has at most %d outputs", WEIR_TEST_OUTPUT_CNT_MAX);
        return;
    }
    (void)snprintf(name, sizeof name, TEST_UID "output.%u", test->out_cnt);
    struct test_out *out = &test->outs[test->out_cnt];
    out->schema = weir_stream_schema(stream);
    out->slow = test->conf.slow;
    weir_rng_init(&out->rng, weir_rng_at(test->conf.seed, test->out_cnt));
    test->out_cnt++;
    const struct weir_operator_conf conf = {.name = name,
        .type = &weir_test_out_type,
        .conf = &out,
        .conf_bytes = sizeof out,
        .uses_time = true};
    (void)weir_operator(&stream, 1, &conf);
}

static bool
is_input(const struct weir_test *test, uint32_t node)
{
    const struct weir_operator_type *type = test->env->node[node].type;
    return type == &input_type || type == &changes_type;
}

/* Which nodes the chain has: those that make columns of inputs, then those of the graph. */
static int
number_nodes(struct weir_test *test)
{
    const struct weir_env *env = test->env;
    for (uint32_t l = 0; l < env->link_cnt && test->conf.columns; l++) {
        test->node_cnt += is_input(test, env->link[l].from);
    }
    for (uint32_t n = 0; n < env->node_cnt; n++) {
        test->node_of[n] = NODE_NONE;
        if (is_input(test, n)) {
            continue;
        }
        if (env->node[n].parallelism != test->conf.parallelism) {
            return weir_err_push(WEIR_EGRAPH,
                "operator %s has %u subtasks, the test %u: all have as many in it",
                env->node[n].name, env->node[n].parallelism, test->conf.parallelism);
        }
        test->has_state |= env->node[n].keeps_state;
        test->node_of[n] = (uint16_t)test->node_cnt++;
    }
    if (test->node_cnt > WEIR_CHAIN_NODE_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "a test has at most %d operators, not %u",
            WEIR_CHAIN_NODE_CNT_MAX, test->node_cnt);
    }
    for (uint32_t l = 0; l < env->link_cnt; l++) {
        const struct weir_graph_link *link = &env->link[l];
        if (!is_input(test, link->from) && test->conf.parallelism > 1 &&
            link->partitioner != WEIR_PARTITION_FORWARD) {
            return weir_err_push(WEIR_EGRAPH,
                "rows go from %s to %s by %s: between operators of a test with %u subtasks they "
                "can only go forward",
                env->node[link->from].name, env->node[link->to].name,
                weir_partitioner_name(link->partitioner), test->conf.parallelism);
        }
    }
    return test->input_cnt == 0 && test->out_cnt == 0
               ? weir_err_push(WEIR_EGRAPH, "the test has neither inputs nor outputs")
               : 0;
}

static int
build_graph(struct weir_test *test)
{
    int err = weir_env_new("test", &test->env);
    if (err != 0) {
        return err;
    }
    weir_env_set_parallelism(test->env, test->conf.parallelism);
    test->conf.build(test, test->conf.arg);
    err = weir_env_check(test->env);
    return err != 0 ? err : number_nodes(test);
}

/* ---- memory ---- */

static uint32_t
feeds_of(const struct weir_test *test, uint32_t node, uint32_t *ret_first)
{
    for (uint32_t i = 0; i < test->input_cnt; i++) {
        if (test->inputs[i].node == node) {
            *ret_first = test->inputs[i].first_feed;
            return test->inputs[i].feed_cnt;
        }
    }
    return 0;
}

static int
open_memory(struct weir_test *test)
{
    const struct weir_env *env = test->env;
    const struct weir_ring_shape shape = {SLOT_CNT, sizeof(struct weir_batch)};
    uint32_t first;
    for (uint32_t l = 0; l < env->link_cnt; l++) {
        test->wire_cnt += feeds_of(test, env->link[l].from, &first);
    }
    uint64_t channel_cnt = (uint64_t)test->wire_cnt * test->conf.parallelism;
    uint64_t buf_cnt = channel_cnt * CHANNEL_BUF_CNT +
                       (uint64_t)test->wire_cnt * (FLOATING_CNT + OVERDRAFT_CNT) + 1;
    const struct weir_region_options options = {.name = "test",
        .bytes = channel_cnt * weir_align_up(weir_ring_footprint(&shape), WEIR_PAGE_BYTES) +
                 buf_cnt * BUF_BYTES + WEIR_MIB,
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_SMALL};
    struct weir_region_report report;
    uint16_t region_id = 0;
    memset(&report, 0, sizeof report);
    int err = weir_region_open(&options, &report, &test->region);
    err = err != 0 ? err : weir_region_table_init(&test->regions);
    if (err != 0) {
        return err;
    }
    test->has_regions = true;
    err = weir_region_table_add(&test->regions, weir_region_base(test->region),
        weir_region_bytes(test->region), &region_id);
    const struct weir_buf_arena_config buffers = {.region = test->region,
        .owner = {.job = 1, .purpose = "buffers"},
        .region_id = region_id,
        .buf_bytes = BUF_BYTES,
        .buf_cnt = (uint32_t)buf_cnt};
    err = err != 0 ? err : weir_buf_arena_init(&test->buffers, &buffers);
    test->has_buffers = err == 0;
    test->wires = (struct test_wire *)weir_env_alloc(
        test->env, (test->wire_cnt + UINT64_C(1)) * sizeof *test->wires);
    test->formats = (struct weir_channel_format *)weir_env_alloc(
        test->env, (env->link_cnt + UINT64_C(1)) * sizeof *test->formats);
    test->keygroup_owner = (uint16_t *)weir_env_alloc(
        test->env, test->conf.max_parallelism * sizeof *test->keygroup_owner);
    weir_keygroup_owners(test->conf.parallelism, test->conf.max_parallelism, test->keygroup_owner);
    return err;
}

/* ---- wires ---- */

static void
nobody_sleeps(void *arg, uint32_t channel)
{
    (void)arg;
    (void)channel;
}

static int
open_wire_chain(struct weir_test *test, struct test_wire *wire, uint32_t idx)
{
    const struct weir_schema *schema = test->formats[wire->link].schema;
    struct weir_chain_node_conf node;
    memset(&node, 0, sizeof node);
    node.name = "feed";
    node.type = &weir_partition_type;
    node.conf = &wire->conf;
    node.in_schema[0] = schema;
    node.channel_cnt = 1;
    node.env.job_name = "test";
    node.env.vertex_name = "feed";
    node.env.subtask_cnt = 1;
    node.env.max_parallelism = test->conf.max_parallelism;
    node.env.regions = &test->regions;
    node.env.seed = weir_rng_at(test->conf.seed, UINT64_C(1000) + idx);
    const struct weir_chain_conf conf = {
        .nodes = &node, .node_cnt = 1, .batch_rows = test->conf.batch_rows, .buf_bytes = BUF_BYTES};
    int err = weir_chain_new(&conf, &wire->chain);
    return err != 0 ? err : weir_chain_open(wire->chain);
}

static int
open_wire(struct weir_test *test, struct test_wire *wire, uint32_t idx)
{
    const struct weir_graph_link *link = &test->env->link[wire->link];
    uint32_t cnt = test->conf.parallelism;
    const struct weir_ring_shape shape = {SLOT_CNT, sizeof(struct weir_batch)};
    const struct weir_region_owner owner = {.job = 1, .purpose = "rings"};
    const struct weir_buf_pool_config pool = {.required_cnt = cnt * CHANNEL_BUF_CNT,
        .max_cnt = cnt * CHANNEL_BUF_CNT + FLOATING_CNT,
        .channel_cnt = cnt,
        .exclusive_cnt = CHANNEL_BUF_CNT,
        .overdraft_cnt_max = OVERDRAFT_CNT};
    int err = weir_buf_pool_init(&wire->pool, &test->buffers, &pool);
    wire->has_pool = err == 0;
    /* A feed is not one of as many subtasks as read it: where it would go forward, or to its group,
     * its rows go round. */
    bool goes_round =
        link->partitioner == WEIR_PARTITION_FORWARD || link->partitioner == WEIR_PARTITION_RESCALE;
    wire->conf.partitioner = goes_round ? WEIR_PARTITION_REBALANCE : link->partitioner;
    wire->conf.key = link->key;
    wire->conf.custom_fn = link->custom_fn;
    wire->conf.keygroup_owner = test->keygroup_owner;
    wire->conf.max_parallelism = test->conf.max_parallelism;
    wire->conf.channel_cnt = cnt;
    wire->conf.ring_fn = nobody_sleeps;
    wire->channels =
        (struct weir_channel_out *)weir_env_alloc(test->env, cnt * sizeof *wire->channels);
    wire->conf.channels = wire->channels;
    for (uint32_t c = 0; c < cnt && err == 0; c++) {
        struct weir_channel_out *out = &wire->channels[c];
        void *ring = NULL;
        out->format = &test->formats[wire->link];
        out->pool = &wire->pool;
        out->regions = &test->regions;
        out->channel = (uint16_t)c;
        out->id = idx * cnt + c;
        out->watermark = WEIR_TIME_MIN;
        err = weir_region_carve(
            test->region, weir_ring_footprint(&shape), WEIR_PAGE_BYTES, owner, &ring);
        err = err != 0 ? err : weir_ring_new(ring, &shape);
        err = err != 0 ? err : weir_ring_prod_join(&out->ring, ring, sizeof(struct weir_batch));
    }
    return err != 0 ? err : open_wire_chain(test, wire, idx);
}

static int
open_wires(struct weir_test *test)
{
    const struct weir_env *env = test->env;
    uint32_t idx = 0;
    int err = 0;
    for (uint32_t l = 0; l < env->link_cnt && err == 0; l++) {
        const struct weir_graph_node *from = &env->node[env->link[l].from];
        uint32_t first = 0;
        uint32_t cnt = feeds_of(test, env->link[l].from, &first);
        if (cnt > 0) {
            weir_channel_format_init(
                &test->formats[l], from->out_schema[0], from->has_time[0], from->has_kind[0]);
            test->formats[l].batch_rows = test->conf.batch_rows;
        }
        for (uint32_t i = 0; i < cnt && err == 0; i++, idx++) {
            test->wires[idx].feed = first + i;
            test->wires[idx].link = l;
            err = open_wire(test, &test->wires[idx], idx);
        }
    }
    return err;
}

/* ---- one subtask ---- */

struct build {
    struct weir_test *test;
    struct test_subtask *subtask;
    uint32_t idx;
    struct weir_chain_node_conf *nodes; /* [test->node_cnt] */
    uint32_t columns_cnt; /* nodes that make columns, so far */
};

static void
fill_env(const struct build *b, struct weir_operator_env *env)
{
    const struct weir_test *test = b->test;
    env->job_name = "test";
    env->subtask_idx = b->idx;
    env->subtask_cnt = test->conf.parallelism;
    env->max_parallelism = test->conf.max_parallelism;
    env->arena = test->has_state ? &b->subtask->arena : NULL;
    env->regions = (struct weir_region_table *)(uintptr_t)&test->regions;
    env->seed = weir_rng_at(test->conf.seed, b->idx);
}

/* The node that an input's rows come to first, and the port: the reader, or what makes columns. */
static int
add_columns(struct build *b, const struct weir_graph_link *link, struct weir_graph_chain_end *end)
{
    if (!b->test->conf.columns) {
        return 0;
    }
    const struct weir_graph_node *from = &b->test->env->node[link->from];
    uint32_t idx = b->columns_cnt++;
    struct weir_chain_node_conf *node = &b->nodes[idx];
    char *name = (char *)weir_env_alloc(b->test->env, NAME_BYTES);
    (void)snprintf(name, NAME_BYTES, TEST_UID "columns.%u", idx);
    node->name = name;
    node->type = &weir_test_columns_type;
    node->in_schema[0] = from->out_schema[0];
    node->outputs[0].schema = from->out_schema[0];
    node->outputs[0].has_time = from->has_time[0];
    node->outputs[0].has_kind = from->has_kind[0];
    node->env.vertex_name = name;
    fill_env(b, &node->env);
    const struct weir_graph_chain_end out = {idx, 0};
    int err = weir_graph_chain_join(b->nodes, out, *end);
    *end = out;
    return err;
}

static int
add_gate(struct build *b, uint32_t l)
{
    struct weir_test *test = b->test;
    const struct weir_graph_link *link = &test->env->link[l];
    struct weir_graph_chain_end end = {test->node_of[link->to], link->input};
    uint32_t first = 0;
    uint32_t cnt = feeds_of(test, link->from, &first);
    struct weir_task_gate *gate = &b->subtask->gates[b->subtask->gate_cnt++];
    struct weir_channel_in *channels =
        (struct weir_channel_in *)weir_env_alloc(test->env, cnt * sizeof *channels);
    int err = add_columns(b, link, &end);
    for (uint32_t w = 0, c = 0; w < test->wire_cnt && err == 0; w++) {
        if (test->wires[w].link == l) {
            const struct weir_channel_out *out = &test->wires[w].channels[b->idx];
            channels[c].id = out->id;
            err =
                weir_ring_cons_join(&channels[c++].ring, out->ring.ring, sizeof(struct weir_batch));
        }
    }
    weir_gate_init(
        &gate->gate, channels, cnt, weir_env_alloc(test->env, weir_valve_footprint(cnt)));
    gate->gate.format = &test->formats[l];
    gate->gate.regions = &test->regions;
    gate->node = end.node;
    int channel = err != 0 ? err : weir_graph_chain_in(&b->nodes[end.node], end.port);
    gate->channel = channel > 0 ? (uint32_t)channel : 0;
    return channel < 0 ? channel : 0;
}

static int
add_edges(struct build *b)
{
    const struct weir_test *test = b->test;
    int err = 0;
    for (uint32_t l = 0; l < test->env->link_cnt && err == 0; l++) {
        const struct weir_graph_link *link = &test->env->link[l];
        if (is_input(test, link->from)) {
            err = add_gate(b, l);
            continue;
        }
        err = weir_graph_chain_join(b->nodes,
            (struct weir_graph_chain_end){test->node_of[link->from], link->output},
            (struct weir_graph_chain_end){test->node_of[link->to], link->input});
    }
    return err;
}

static int
open_arena(struct weir_test *test, struct test_subtask *subtask, uint32_t idx)
{
    const struct weir_arena_spec spec = {.name = "test",
        .max_parallelism = test->conf.max_parallelism,
        .groups = weir_keygroup_range_of(idx, test->conf.parallelism, test->conf.max_parallelism)};
    subtask->arena_mem = weir_lazy_map(test->conf.state_bytes);
    if (subtask->arena_mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the state pages of a test");
    }
    return weir_arena_init(&subtask->arena, &spec, subtask->arena_mem, test->conf.state_bytes);
}

static int
open_subtask(struct weir_test *test, uint32_t idx)
{
    struct test_subtask *subtask = &test->subtasks[idx];
    struct build b = {.test = test, .subtask = subtask, .idx = idx};
    b.nodes =
        (struct weir_chain_node_conf *)weir_env_alloc(test->env, test->node_cnt * sizeof *b.nodes);
    subtask->test = test;
    subtask->gates = (struct weir_task_gate *)weir_env_alloc(
        test->env, (test->env->link_cnt + UINT64_C(1)) * sizeof *subtask->gates);
    subtask->parts = (char *)weir_env_alloc(test->env, TEST_PARTS_BYTES);
    weir_test_checkpoints_init(subtask);
    for (uint32_t n = 0; n < test->env->node_cnt; n++) {
        if (test->node_of[n] != NODE_NONE) {
            struct weir_chain_node_conf *node = &b.nodes[test->node_of[n]];
            weir_graph_chain_node(&test->env->node[n], node);
            fill_env(&b, &node->env);
        }
    }
    int err = test->has_state ? open_arena(test, subtask, idx) : 0;
    err = err != 0 ? err : add_edges(&b);
    const struct weir_task_conf conf = {.name = "test",
        .chain = {.nodes = b.nodes,
            .node_cnt = test->node_cnt,
            .batch_rows = test->conf.batch_rows,
            .buf_bytes = BUF_BYTES},
        .gates = subtask->gates,
        .gate_cnt = subtask->gate_cnt,
        .checkpoints = &subtask->checkpoints};
    err = err != 0 ? err : weir_task_new(&conf, &subtask->task);
    test->subtask_cnt += err == 0;
    return err;
}

/* ---- the whole ---- */

static int
set_defaults(struct weir_test *test)
{
    struct weir_test_conf *conf = &test->conf;
    uint32_t saved = conf->from != NULL ? conf->from->max_parallelism : MAX_PARALLELISM_DEFAULT;
    conf->parallelism = conf->parallelism != 0 ? conf->parallelism : 1;
    conf->max_parallelism = conf->max_parallelism != 0 ? conf->max_parallelism : saved;
    conf->batch_rows = conf->batch_rows != 0 ? conf->batch_rows : BATCH_ROWS_DEFAULT;
    conf->state_bytes = conf->state_bytes != 0 ? conf->state_bytes : STATE_BYTES_DEFAULT;
    conf->state_bytes = weir_align_up(conf->state_bytes, WEIR_PAGE_BYTES);
    test->now_ns = conf->utc_ms * WEIR_MS;
    weir_rng_init(&test->rng, conf->seed);
    if (conf->parallelism > WEIR_TEST_PARALLELISM_MAX || conf->build == NULL ||
        conf->batch_rows > WEIR_BATCH_ROW_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL,
            "a test has something to build, 1 to %d subtasks, and batches of 1 to %d rows",
            WEIR_TEST_PARALLELISM_MAX, WEIR_BATCH_ROW_CNT_MAX);
    }
    return weir_keygroup_check(conf->parallelism, conf->max_parallelism);
}

int
weir_test_open(const struct weir_test_conf *conf, struct weir_test **ret_test)
{
    struct weir_test *test = (struct weir_test *)calloc(1, sizeof *test);
    if (test == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a test");
    }
    test->conf = *conf;
    int err = set_defaults(test);
    err = err != 0 ? err : build_graph(test);
    err = err != 0 ? err : open_memory(test);
    err = err != 0 ? err : open_wires(test);
    if (err == 0) {
        test->subtasks = (struct test_subtask *)weir_env_alloc(
            test->env, test->conf.parallelism * sizeof *test->subtasks);
    }
    for (uint32_t i = 0; i < test->conf.parallelism && err == 0; i++) {
        err = open_subtask(test, i);
    }
    err = err != 0 || conf->from == NULL ? err : weir_test_load(test);
    err = err != 0 ? err : weir_test_settle(test);
    if (err != 0) {
        weir_test_close(test);
        return err;
    }
    *ret_test = test;
    return 0;
}

static void
close_wires(struct weir_test *test)
{
    for (uint32_t w = 0; w < test->wire_cnt && test->wires != NULL; w++) {
        struct test_wire *wire = &test->wires[w];
        if (wire->chain != NULL && weir_chain_close(wire->chain) != 0) {
            weir_err_clear(); /* a partition has nothing to lose */
        }
        for (uint32_t c = 0; wire->channels != NULL && c < test->conf.parallelism; c++) {
            if (wire->channels[c].format != NULL) {
                weir_channel_close(&wire->channels[c]);
            }
        }
        if (wire->has_pool) {
            weir_buf_pool_close(&wire->pool);
            weir_buf_pool_fini(&wire->pool);
        }
    }
}

void
weir_test_close(struct weir_test *test)
{
    if (test == NULL) {
        return;
    }
    for (uint32_t i = 0; test->subtasks != NULL && i < test->conf.parallelism; i++) {
        struct test_subtask *subtask = &test->subtasks[i];
        weir_task_delete(subtask->task);
        for (uint32_t g = 0; g < subtask->gate_cnt && subtask->task != NULL; g++) {
            weir_gate_release(&subtask->gates[g].gate);
        }
        weir_test_cut_fini(subtask);
        weir_lazy_unmap(subtask->arena_mem, test->conf.state_bytes);
    }
    close_wires(test);
    if (test->has_buffers) {
        weir_buf_arena_close(&test->buffers);
        weir_buf_arena_fini(&test->buffers);
    }
    if (test->has_regions) {
        weir_region_table_fini(&test->regions);
    }
    weir_region_close(test->region);
    for (uint32_t i = 0; i < test->out_cnt; i++) {
        weir_test_out_fini(&test->outs[i]);
    }
    free(test->readers);
    if (test->env != NULL) {
        weir_env_delete(test->env);
    }
    free(test);
}
