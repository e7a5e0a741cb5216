/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/job.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rng.h"
#include "dataplane/arena.h"
#include "dataplane/keep.h"
#include "dataplane/keygroup.h"
#include "io/io.h"
#include "sched/graph_chain.h"
#include "sched/graph_node.h"
#include "sched/job_move.h"
#include "sched/job_checkpoint.h"
#include "sched/job_part.h"
#include "sched/job_restore.h"

/* What a partition can keep for its channels: the rest of a batch and what that becomes, far more
 * than all but a window of very many keys. Address space: what is used is touched. */
#define KEEP_BYTES (64 * WEIR_MIB)
/* "edge." and a number. */
#define EDGE_UID_BYTES 16

/* ---- memory ---- */

/* Everything the job allocates besides its region: freed at delete, in one list. */
static void *
job_alloc(struct weir_job *job, size_t bytes)
{
    return weir_env_alloc(job->env, bytes);
}

static uint32_t
ring_slot_cnt(const struct weir_job *job)
{
    return job->plan->ring_slot_cnt;
}

/* What the rings and buffers of all channels take, and the arenas. */
static uint64_t
region_bytes(const struct weir_job *job)
{
    const struct weir_plan *plan = job->plan;
    const struct weir_ring_shape shape = {ring_slot_cnt(job), sizeof(struct weir_batch)};
    uint64_t ring = weir_align_up(weir_ring_footprint(&shape), WEIR_PAGE_BYTES);
    uint64_t bytes = plan->channel_cnt * ring;
    for (uint32_t e = 0; e < job->env->link_cnt; e++) {
        uint64_t edge = (uint64_t)plan->edges[e].buffer_cnt * plan->buffer_bytes;
        bytes +=
            plan->edges[e].kind == WEIR_PLAN_FUSED ? 0 : edge + plan->stage_cnt * WEIR_PAGE_BYTES;
    }
    return bytes + WEIR_MIB;
}

static int
carve(struct weir_job *job, struct weir_region *region, uint64_t bytes, const char *purpose,
    uint32_t stage, void **ret_piece)
{
    const struct weir_region_owner owner = {.job = 1, .task = stage, .purpose = purpose};
    (void)job;
    return weir_region_carve(region, bytes, WEIR_PAGE_BYTES, owner, ret_piece);
}

/* One line of text for each kind of fall-back, once all regions are open. */
static void
tell_fallbacks(struct weir_job *job)
{
    for (uint32_t i = 0; i < job->report.fallback_cnt && job->fallback_cnt < JOB_FALLBACK_CNT_MAX;
         i++) {
        const struct weir_region_fallback *fallback = &job->report.fallback[i];
        char *text = job_alloc(job, JOB_FALLBACK_BYTES);
        (void)snprintf(text, JOB_FALLBACK_BYTES, "memory: wanted %s, got %s: %s (limited by %s)",
            fallback->wanted, fallback->got, fallback->why, fallback->limited_by);
        job->fallback[job->fallback_cnt++] = text;
    }
}

static int
open_region(struct weir_job *job, uint64_t bytes, int node, struct weir_region **ret_region)
{
    const struct weir_region_options options = {
        .name = "job",
        .bytes = bytes,
        .node = node,
        .strict = job->options.strict,
        .touch = job->options.touch,
        .first = job->options.small_pages ? WEIR_REGION_SMALL : WEIR_REGION_HUGETLB,
    };
    return weir_region_open(&options, &job->report, ret_region);
}

/* ---- one stage ---- */

struct build {
    struct weir_job *job;
    struct job_stage *stage;
    const struct weir_plan_stage *planned;
    uint32_t idx;
    struct weir_chain_node_conf *nodes;
    uint32_t node_cnt;
    const struct weir_spill_conf *spill;
    const struct weir_task_edge *edges;
    uint32_t edge_cnt;
};

static uint32_t
local_node(const struct build *b, uint32_t operator)
{
    for (uint32_t i = 0; i < b->planned->operator_cnt; i++) {
        if (b->planned->operators[i] == operator) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* What is added to a core's time to make it UTC; the seeded poller's begins at 0. */
static int64_t
utc_off_ns(const struct weir_job *job)
{
    struct weir_clock os;
    weir_clock_init_os(&os);
    return job->options.poller == WEIR_JOB_SEEDED ? 0 : weir_clock_utc_ns(&os) - weir_clock_ns(&os);
}

static void
fill_env(
    const struct build *b, struct weir_operator_env *env, const char *vertex, uint32_t parallelism)
{
    struct weir_job *job = b->job;
    env->job_name = job->env->job_name;
    env->vertex_name = vertex;
    env->subtask_idx = b->planned->subtask;
    env->subtask_cnt = parallelism;
    env->max_parallelism = job->max_parallelism;
    env->io = job->core[b->planned->core].io;
    env->arena = b->stage->has_arena ? &b->stage->arena : NULL;
    env->spill = b->spill;
    env->regions = &job->regions;
    env->housekeeping = &job->plan->housekeeping;
    env->threads = &job->threads;
    env->utc_off_ns = utc_off_ns(job);
    env->watermark_interval_ns = job->options.watermark_interval_ns;
    env->seed = weir_rng_at(job->options.seed, b->idx);
}

/* The seeded poller's time goes on where nobody has anything to do: it would not wait for them. */
static int
check_threads(const struct weir_job *job, const struct weir_graph_node *node)
{
    bool has_threads = node->type->has_threads != NULL && node->type->has_threads(node->conf);
    return has_threads && job->options.poller == WEIR_JOB_SEEDED
               ? weir_err_push(WEIR_ECONFIG,
                     "operator %s waits for threads of its own, which no seed can order: run the "
                     "job with poller=threads",
                     node->name)
               : 0;
}

static int
add_operators(struct build *b)
{
    const struct weir_env *env = b->job->env;
    for (uint32_t i = 0; i < b->planned->operator_cnt; i++) {
        const struct weir_graph_node *from = &env->node[b->planned->operators[i]];
        struct weir_chain_node_conf *node = &b->nodes[i];
        weir_graph_chain_node(from, node);
        node->marker_source = weir_job_marker_source(b->job, b->planned->operators[i]);
        node->conf = b->job->checkpoint != NULL ? weir_job_checkpoint_conf(b->job->checkpoint, from)
                                                : from->conf;
        fill_env(b, &node->env, from->name, from->parallelism);
        int rc = check_threads(b->job, from);
        if (rc == 0) {
            rc = weir_job_align_env(b->job, b->planned, b->planned->operators[i], &node->env);
        }
        if (rc != 0) {
            return rc;
        }
    }
    b->node_cnt = b->planned->operator_cnt;
    return 0;
}

/* Tell a consumer's core that a channel has something. */
static void
ring_consumer(void *arg, uint32_t channel)
{
    const struct job_partition *partition = arg;
    weir_job_wake(partition->job, partition->core, partition->to_core[channel]);
}

static uint32_t
channels_from(const struct weir_plan *plan, uint32_t edge, uint32_t stage)
{
    uint32_t cnt = 0;
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        cnt += plan->channels[c].edge == edge && plan->channels[c].from_stage == stage;
    }
    return cnt;
}

static uint32_t
channels_to(const struct weir_plan *plan, uint32_t edge, uint32_t stage)
{
    uint32_t cnt = 0;
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        cnt += plan->channels[c].edge == edge && plan->channels[c].to_stage == stage;
    }
    return cnt;
}

static const struct weir_channel_format *
edge_format(struct weir_job *job, uint32_t edge)
{
    const struct weir_graph_link *link = &job->env->link[edge];
    const struct weir_graph_node *from = &job->env->node[link->from];
    struct weir_channel_format *format = &job->format[edge];
    weir_channel_format_init(format, from->out_schema[link->output], from->has_time[link->output],
        from->has_kind[link->output]);
    format->batch_rows = job->options.batch_rows;
    return format;
}

bool
weir_job_is_overtaken(const struct weir_job *job, uint32_t edge)
{
    return job->options.checkpoints.dir != NULL && job->options.checkpoints.is_unaligned &&
           job->plan->edges[edge].aligned == NULL;
}

static int
open_keep(struct job_partition *partition)
{
    partition->kept = weir_lazy_map(KEEP_BYTES);
    if (partition->kept == NULL) {
        return weir_err_push(
            WEIR_ENOMEM, "%llu bytes for rows of an edge", (unsigned long long)KEEP_BYTES);
    }
    weir_keep_init(&partition->keep, partition->kept, KEEP_BYTES);
    return 0;
}

/* Where rows of a channel are under way to. The in-edges of an operator are numbered in the order
 * of links, whichever are fused. */
static struct weir_flight_place
place_of(const struct weir_job *job, uint32_t channel)
{
    const struct weir_plan_channel *planned = &job->plan->channels[channel];
    const struct weir_env *env = job->env;
    uint32_t to = env->link[planned->edge].to;
    uint32_t edge = 0;
    for (uint32_t e = 0; e < planned->edge; e++) {
        edge += env->link[e].to == to;
    }
    return (struct weir_flight_place){.uid = env->node[to].name,
        .edge = edge,
        .subtask = job->plan->stages[planned->to_stage].subtask,
        .channel = planned->cons_idx,
        .channel_id = channel,
        .side = WEIR_FLIGHT_KEPT};
}

/* The producer's side of an edge that leaves the stage: one more node at its end. */
static int
add_partition(struct build *b, uint32_t edge)
{
    struct weir_job *job = b->job;
    const struct weir_graph_link *link = &job->env->link[edge];
    uint32_t cnt = channels_from(job->plan, edge, b->idx);
    struct job_partition *partition = job_alloc(job, sizeof *partition);
    struct weir_channel_out *channels = job_alloc(job, (cnt + 1) * sizeof *channels);
    struct weir_chain_node_conf *node = &b->nodes[b->node_cnt];
    int rc = weir_job_buffers_pool(job, partition, cnt);
    if (rc != 0) {
        return rc;
    }
    partition->job = job;
    partition->stage = b->idx;
    partition->core = b->planned->core;
    partition->to_core = job_alloc(job, (cnt + 1) * sizeof(uint32_t));
    partition->conf.partitioner = link->partitioner;
    partition->conf.key = link->key;
    partition->conf.custom_fn = link->custom_fn;
    weir_job_moves_partition(job, edge, &partition->conf);
    partition->conf.max_parallelism = job->max_parallelism;
    partition->conf.channels = channels;
    partition->conf.channel_cnt = cnt;
    partition->conf.flush_after_ns = job->options.flush_after_ns;
    partition->conf.debloat_target_ns = job->options.debloat_target_ns;
    partition->conf.ring_fn = ring_consumer;
    partition->conf.ring_arg = partition;
    if (weir_job_is_overtaken(job, edge)) {
        rc = open_keep(partition);
    }
    for (uint32_t c = 0; c < job->plan->channel_cnt && rc == 0; c++) {
        const struct weir_plan_channel *planned = &job->plan->channels[c];
        if (planned->edge == edge && planned->from_stage == b->idx) {
            struct weir_channel_out *out = &channels[planned->prod_idx];
            out->format = &job->format[edge];
            out->pool = &partition->pool;
            out->regions = &job->regions;
            out->channel = (uint16_t)planned->prod_idx;
            out->id = c;
            out->watermark = WEIR_TIME_MIN;
            out->keep = partition->kept != NULL ? &partition->keep : NULL;
            out->place = place_of(job, c);
            partition->to_core[planned->prod_idx] = job->plan->stages[planned->to_stage].core;
            rc = weir_ring_prod_join(&out->ring, job->ring[c], sizeof(struct weir_batch));
        }
    }
    char *uid = job_alloc(job, EDGE_UID_BYTES);
    (void)snprintf(uid, EDGE_UID_BYTES, "edge.%u", edge);
    node->name = "partition";
    node->uid = uid;
    node->type = &weir_partition_type;
    node->conf = &partition->conf;
    node->in_schema[0] = job->format[edge].schema;
    fill_env(
        b, &node->env, job->env->node[link->from].name, job->env->node[link->from].parallelism);
    b->node_cnt++;
    const struct weir_graph_chain_end out = {local_node(b, link->from), link->output};
    const struct weir_graph_chain_end in = {b->node_cnt - 1, 0};
    return rc != 0 ? rc : weir_graph_chain_join(b->nodes, out, in);
}

/* The consumer's side: a gate that feeds one input of an operator, whose in-edge it has got. */
static int
open_gate(struct build *b, uint32_t edge, struct weir_task_gate *gate)
{
    struct weir_job *job = b->job;
    uint32_t cnt = channels_to(job->plan, edge, b->idx);
    struct weir_channel_in *channels = job_alloc(job, cnt * sizeof *channels);
    int rc = 0;
    for (uint32_t c = 0; c < job->plan->channel_cnt && rc == 0; c++) {
        const struct weir_plan_channel *planned = &job->plan->channels[c];
        if (planned->edge == edge && planned->to_stage == b->idx) {
            channels[planned->cons_idx].id = c;
            rc = weir_ring_cons_join(
                &channels[planned->cons_idx].ring, job->ring[c], sizeof(struct weir_batch));
        }
    }
    weir_gate_init(&gate->gate, channels, cnt, job_alloc(job, weir_valve_footprint(cnt)));
    gate->gate.format = &job->format[edge];
    gate->gate.regions = &job->regions;
    return rc;
}

/* In-edges are numbered in the order of edges, whatever is set up first: snapshots name them. */
static int
add_gate(struct build *b, uint32_t edge)
{
    const struct weir_graph_link *link = &b->job->env->link[edge];
    struct weir_task_gate *gate = &b->stage->gates[b->stage->gate_cnt++];
    gate->node = local_node(b, link->to);
    int channel = weir_graph_chain_in(&b->nodes[gate->node], link->input);
    gate->channel = channel >= 0 ? (uint32_t)channel : 0;
    gate->is_forced = !weir_job_is_overtaken(b->job, edge);
    return channel < 0 ? channel : 0;
}

/* The in-edges of the stage, for rows that were under way when a checkpoint was taken. */
static void
add_regained(struct build *b)
{
    struct weir_job *job = b->job;
    const struct weir_env *env = job->env;
    struct weir_task_edge *edges = weir_env_alloc(job->env, (env->link_cnt + 1) * sizeof *edges);
    uint32_t of_node[WEIR_CHAIN_NODE_CNT_MAX] = {0};
    for (uint32_t e = 0; e < env->link_cnt; e++) {
        const struct weir_graph_link *link = &env->link[e];
        uint32_t node = local_node(b, link->to);
        if (node == UINT32_MAX) {
            continue;
        }
        edges[b->edge_cnt++] = (struct weir_task_edge){.node = node,
            .channel = of_node[node]++,
            .partitioner = link->partitioner,
            .schema = env->node[link->from].out_schema[link->output],
            .key = link->key,
            .keygroup_owner = weir_job_moves_owner(job, link->to)};
    }
    b->edges = edges;
}

static int
open_gates(struct build *b)
{
    const struct weir_env *env = b->job->env;
    uint32_t gate = 0;
    int rc = 0;
    for (uint32_t e = 0; e < env->link_cnt && rc == 0; e++) {
        if (b->job->plan->edges[e].kind != WEIR_PLAN_FUSED &&
            local_node(b, env->link[e].to) != UINT32_MAX) {
            rc = open_gate(b, e, &b->stage->gates[gate++]);
        }
    }
    return rc;
}

static int
add_edges(struct build *b)
{
    const struct weir_env *env = b->job->env;
    int rc = 0;
    for (uint32_t e = 0; e < env->link_cnt && rc == 0; e++) {
        uint32_t from = local_node(b, env->link[e].from);
        uint32_t to = local_node(b, env->link[e].to);
        if (b->job->plan->edges[e].kind == WEIR_PLAN_FUSED) {
            if (from != UINT32_MAX && to != UINT32_MAX) {
                rc = weir_graph_chain_join(b->nodes,
                    (struct weir_graph_chain_end){from, env->link[e].output},
                    (struct weir_graph_chain_end){to, env->link[e].input});
            }
            continue;
        }
        if (from != UINT32_MAX) {
            rc = add_partition(b, e);
        }
        if (to != UINT32_MAX && rc == 0) {
            rc = add_gate(b, e);
        }
    }
    return rc;
}

static int
add_arena(struct build *b)
{
    struct weir_job *job = b->job;
    bool keeps = false;
    uint32_t parallelism = 1;
    for (uint32_t i = 0; i < b->planned->operator_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[b->planned->operators[i]];
        keeps |= node->keeps_state;
        parallelism = node->parallelism;
    }
    if (!keeps) {
        return 0;
    }
    uint64_t bytes = job->options.state_bytes != 0 ? job->options.state_bytes
                                                   : b->planned->bytes[WEIR_PLAN_MEM_STATE];
    bytes = bytes / WEIR_PAGE_BYTES * WEIR_PAGE_BYTES;
    void *mem;
    int rc = open_region(job, bytes + WEIR_PAGE_BYTES, (int)b->planned->node, &b->stage->state);
    if (rc == 0) {
        rc = carve(job, b->stage->state, bytes, "state", b->idx, &mem);
    }
    if (rc != 0) {
        return rc;
    }
    uint64_t arena_bytes = job->checkpoint != NULL ? weir_job_checkpoint_arena_bytes(bytes) : bytes;
    struct weir_arena_spec spec = {
        .name = b->planned->name,
        .max_parallelism = job->max_parallelism,
        .groups = weir_keygroup_range_of(b->planned->subtask, parallelism, job->max_parallelism),
    };
    weir_job_moves_room(job, b->idx, &spec.groups);
    b->stage->has_arena = true;
    rc = weir_arena_init(&b->stage->arena, &spec, mem, arena_bytes);
    if (rc == 0) {
        weir_job_moves_join(job, b->idx);
    }
    if (rc == 0 && job->checkpoint != NULL) {
        rc = weir_job_checkpoint_arena(
            job->checkpoint, b->idx, (char *)mem + arena_bytes, bytes - arena_bytes);
    }
    return rc;
}

static int
build_stage(struct weir_job *job, uint32_t idx)
{
    struct job_stage *stage = &job->stage[idx];
    struct build b = {.job = job, .stage = stage, .planned = &job->plan->stages[idx], .idx = idx};
    uint32_t edge_cnt = job->env->link_cnt;
    stage->job = job;
    stage->idx = idx;
    b.nodes = job_alloc(job, (b.planned->operator_cnt + edge_cnt) * sizeof *b.nodes);
    stage->gates = job_alloc(job, (edge_cnt + 1) * sizeof *stage->gates);
    b.spill = weir_job_spill(job, idx);
    int rc = add_arena(&b);
    rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_STATE, idx);
    if (rc != 0) {
        return weir_err_push(rc, "state of stage %s", b.planned->name);
    }
    rc = add_operators(&b);
    rc = rc != 0 ? rc : add_edges(&b);
    add_regained(&b);
    rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_PARTITIONS, idx);
    rc = rc != 0 ? rc : open_gates(&b);
    rc = rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_GATES, idx);
    if (rc != 0) {
        return weir_err_push(rc, "stage %s", b.planned->name);
    }
    const struct weir_task_conf conf = {
        .name = b.planned->name,
        .chain = {.nodes = b.nodes,
            .node_cnt = b.node_cnt,
            .batch_rows = job->options.batch_rows,
            .buf_bytes = job->plan->buffer_bytes,
            .marker_source_cnt = job->options.marker_interval_ns > 0
                                     ? weir_job_marker_source(job, job->env->node_cnt)
                                     : 0,
            .seed = weir_rng_at(job->options.seed, idx)},
        .gates = stage->gates,
        .gate_cnt = stage->gate_cnt,
        .edges = b.edges,
        .edge_cnt = b.edge_cnt,
        .marker_interval_ns = job->options.marker_interval_ns,
        .checkpoints =
            job->checkpoint != NULL ? weir_job_checkpoint_task(job->checkpoint, idx) : NULL,
        .state_fn = weir_job_told,
        .state_arg = stage,
    };
    stage->operators = b.planned->operators;
    stage->operator_cnt = b.planned->operator_cnt;
    rc = weir_task_new(&conf, &stage->task);
    return rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_OPERATORS, idx);
}

/* ---- the whole ---- */

static int
open_rings(struct weir_job *job)
{
    const struct weir_ring_shape shape = {ring_slot_cnt(job), sizeof(struct weir_batch)};
    int rc = 0;
    job->ring = job_alloc(job, (job->plan->channel_cnt + 1) * sizeof *job->ring);
    for (uint32_t c = 0; c < job->plan->channel_cnt && rc == 0; c++) {
        rc = carve(job, job->region, weir_ring_footprint(&shape), "rings",
            job->plan->channels[c].to_stage, &job->ring[c]);
        if (rc == 0) {
            rc = weir_ring_new(job->ring[c], &shape);
        }
    }
    return rc;
}

/* Where nobody has set it: as state was saved with, if these subtasks can have so many. */
static uint32_t
saved_max_parallelism(const struct weir_job *job, uint32_t parallelism)
{
    const struct weir_job_restore_conf conf = {.dir = job->options.checkpoints.dir,
        .job = job->env->job_name,
        .how = job->options.restore};
    const struct weir_io_config disk = weir_job_io(job);
    struct weir_io *io = NULL; /* no core's: those are started by their threads */
    uint32_t saved = 0;
    if (conf.dir != NULL && weir_io_open(&disk, &io) == 0 && weir_io_start(io) == 0) {
        saved = weir_job_restore_max_parallelism(io, &conf);
    }
    weir_err_clear(); /* whoever starts the job says what is wrong with its io */
    weir_io_close(io);
    return saved >= parallelism ? saved : 0;
}

static int
open_keygroups(struct weir_job *job)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        most = job->env->node[i].parallelism > most ? job->env->node[i].parallelism : most;
    }
    job->max_parallelism = job->options.max_parallelism;
    if (job->max_parallelism == 0) {
        job->max_parallelism = saved_max_parallelism(job, most);
    }
    int rc = job->max_parallelism == 0 ? weir_keygroup_default(most, &job->max_parallelism)
                                       : weir_keygroup_check(most, job->max_parallelism);
    if (rc != 0) {
        return rc;
    }
    job->keygroup_owner = job_alloc(job, (most + 1) * sizeof *job->keygroup_owner);
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        uint32_t p = job->env->node[i].parallelism;
        if (job->keygroup_owner[p] == NULL) {
            uint16_t *owner = job_alloc(job, job->max_parallelism * sizeof *owner);
            weir_keygroup_owners(p, job->max_parallelism, owner);
            job->keygroup_owner[p] = owner;
        }
    }
    weir_job_moves_make(job);
    return 0;
}

struct weir_io_config
weir_job_io(const struct weir_job *job)
{
    const struct weir_job_world *world = job->options.world;
    return (struct weir_io_config){
        .kind = world != NULL ? WEIR_IO_SIM : (enum weir_io_kind)job->options.io_kind,
        .world = world != NULL ? world->sim : NULL,
        .maps = job->maps,
        .worker_cpus = &job->plan->housekeeping,
    };
}

static int
open_cores(struct weir_job *job)
{
    const struct weir_io_config config = weir_job_io(job);
    uint32_t cnt = job->options.poller == WEIR_JOB_SEEDED ? 1 : job->plan->core_cnt;
    job->core = job_alloc(job, job->plan->core_cnt * sizeof *job->core);
    for (uint32_t c = 0; c < cnt; c++) {
        int rc = weir_io_open(&config, &job->core[c].io);
        if (rc != 0) {
            return rc;
        }
        job->io_cnt++;
        const char *degraded = weir_io_degraded(job->core[c].io);
        if (degraded != NULL && c == 0) {
            if (job->options.strict) {
                return weir_err_push(WEIR_ESTRICT, "%s", degraded);
            }
            job->fallback[job->fallback_cnt++] = degraded;
        }
    }
    for (uint32_t c = cnt; c < job->plan->core_cnt; c++) {
        job->core[c].io = job->core[0].io;
    }
    return 0;
}

static int
open_memory(struct weir_job *job)
{
    int rc = open_region(job, region_bytes(job), WEIR_REGION_NODE_ANY, &job->region);
    return rc != 0 ? rc
                   : weir_region_table_add(&job->regions, weir_region_base(job->region),
                         weir_region_bytes(job->region), &job->region_id);
}

static int
open_storage(struct weir_job *job)
{
    return job->options.checkpoints.dir != NULL ? weir_job_checkpoint_new(job, &job->checkpoint)
                                                : 0;
}

/* All steps up to CORES; what was done of them is left to weir_job_delete. */
static int
build(struct weir_job *job)
{
    static const struct {
        enum weir_job_step step;
        int (*do_fn)(struct weir_job *job);
    } steps[] = {
        {WEIR_JOB_STEP_KEY_GROUPS, open_keygroups},
        {WEIR_JOB_STEP_MEMORY, open_memory},
        {WEIR_JOB_STEP_RINGS, open_rings},
        {WEIR_JOB_STEP_BUFFERS, weir_job_buffers_open},
        {WEIR_JOB_STEP_IO, open_cores},
        {WEIR_JOB_STEP_STORAGE, open_storage},
    };
    int rc = 0;
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(steps) && rc == 0; i++) {
        rc = steps[i].do_fn(job);
        rc = rc != 0 ? rc : weir_job_step(job, steps[i].step, 0);
    }
    for (uint32_t e = 0; e < job->env->link_cnt && rc == 0; e++) {
        (void)edge_format(job, e);
    }
    weir_job_align(job);
    for (uint32_t s = 0; s < job->plan->stage_cnt && rc == 0; s++) {
        rc = build_stage(job, s);
    }
    rc = rc != 0 ? rc : weir_job_open_run(job);
    return rc != 0 ? rc : weir_job_step(job, WEIR_JOB_STEP_CORES, 0);
}

int
weir_job_new(struct weir_env *env, const struct weir_plan *plan,
    const struct weir_job_options *options, struct weir_job **ret_job)
{
    struct weir_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return weir_err_push(WEIR_ENOMEM, "job %s", env->job_name);
    }
    job->env = env;
    job->plan = plan;
    job->options = *options;
    weir_thread_list_init(&job->threads);
    job->stage = job_alloc(job, plan->stage_cnt * sizeof *job->stage);
    job->format = job_alloc(job, (env->link_cnt + 1) * sizeof *job->format);
    job->sum = job_alloc(job, env->node_cnt * sizeof *job->sum);
    weir_clock_init_os(&job->start_clock);
    job->start_ns = weir_clock_ns_cold(&job->start_clock);
    int rc = weir_region_table_init(&job->regions);
    rc = rc != 0 ? rc : weir_io_maps_new(&job->maps);
    rc = rc != 0 ? rc : build(job);
    if (rc != 0) {
        weir_job_delete(job);
        return rc;
    }
    weir_region_seal(job->region);
    tell_fallbacks(job);
    weir_job_buffers_tell(job);
    *ret_job = job;
    return 0;
}

static void
close_partitions(struct weir_job *job)
{
    for (uint32_t p = job->partition_cnt; p-- > 0;) {
        struct job_partition *partition = job->partition[p];
        for (uint32_t c = 0; c < partition->conf.channel_cnt; c++) {
            weir_channel_close(&partition->conf.channels[c]);
        }
        weir_buf_pool_close(&partition->pool);
        weir_buf_pool_fini(&partition->pool);
        weir_lazy_unmap(partition->kept, KEEP_BYTES);
    }
}

/* In reverse; only, the memory of state stays until the storage core is gone, which has it
 * registered with its io. */
void
weir_job_delete(struct weir_job *job)
{
    if (job == NULL) {
        return;
    }
    weir_job_close_run(job);
    for (uint32_t s = job->plan->stage_cnt; s-- > 0;) {
        weir_task_delete(job->stage[s].task);
    }
    close_partitions(job);
    weir_job_checkpoint_delete(job->checkpoint);
    weir_job_spill_tidy(job, false);
    for (uint32_t s = job->plan->stage_cnt; s-- > 0;) {
        weir_region_close(job->stage[s].state);
    }
    for (uint32_t c = job->io_cnt; c-- > 0;) {
        weir_io_close(job->core[c].io);
    }
    weir_io_maps_delete(job->maps);
    if (job->has_buffers) {
        weir_buf_arena_close(&job->buffers);
        weir_buf_arena_fini(&job->buffers);
    }
    weir_region_close(job->region);
    weir_region_table_fini(&job->regions);
    weir_thread_list_fini(&job->threads);
    free(job);
}
