/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "io/io.h"
#include "sched/checkpoint_conf.h"
#include "sched/lease.h"
#include "sched/table.h"

#define VERTEX_CNT_MAX WEIR_GRAPH_NODE_CNT_MAX
#define CUT_CNT_MAX WEIR_GRAPH_NODE_CNT_MAX
/* Of one task's file under checkpoints.storage=memory: Flink's limit. */
#define MEMORY_BYTES_MAX (5 * WEIR_MIB)

struct weir_launch {
    const struct weir_conf *conf;
    const char *topology_xml;
    struct weir_env *env;
    struct weir_topo *topo;
    struct weir_cgroup cgroup;
    struct weir_lease *lease;
    struct weir_plan *plan;
    struct weir_lease_held held[WEIR_LEASE_HELD_CNT_MAX];
    struct weir_plan_held held_cpus[WEIR_LEASE_HELD_CNT_MAX];
    struct weir_plan_vertex_options vertex[VERTEX_CNT_MAX];
    uint32_t vertex_cnt;
    /* Names of cut_after, one after another, and where each stands. */
    char *cut_text[VERTEX_CNT_MAX];
    const char *cut[CUT_CNT_MAX];
    uint32_t cut_cnt;
    struct weir_job_restore_options restore;
    enum weir_launch_use use;
    const char *memory_dir; /* of checkpoints.storage=memory */
    char note[256]; /* what the plan could not have, "": nothing */
};

/* ---- the graph ---- */

static int
give_params(struct weir_launch *launch)
{
    const struct weir_conf_value *value;
    for (size_t i = 0; (value = weir_conf_at(launch->conf, i)) != NULL; i++) {
        if (value->key != WEIR_CONF_CNT) {
            continue;
        }
        const char *name = value->path + strlen("params.");
        int err = weir_env_set_param(launch->env, name, value->text);
        if (err != 0) {
            return weir_err_push(err, "parameter %s, given by %s", name, value->origin);
        }
    }
    return 0;
}

static int
set_parallelism(struct weir_launch *launch)
{
    const struct weir_conf_value *value;
    for (size_t i = 0; (value = weir_conf_at(launch->conf, i)) != NULL; i++) {
        if (value->key == WEIR_CONF_VERTEX_PARALLELISM) {
            int err = weir_env_set_operator_parallelism(
                launch->env, value->vertex, (uint32_t)value->number);
            if (err != 0) {
                return weir_err_push(err, "%s, given by %s", value->path, value->origin);
            }
        }
    }
    return 0;
}

static int
build_graph(struct weir_launch *launch, const struct weir_launch_options *options)
{
    const char *name = weir_conf_text(options->conf, WEIR_CONF_JOB_NAME);
    int64_t parallelism = weir_conf_i64(options->conf, WEIR_CONF_PARALLELISM);
    int err = weir_env_new(options->name, &launch->env);
    if (err != 0) {
        return err;
    }
    weir_env_set_parallelism(launch->env, (uint32_t)parallelism);
    const struct weir_opt *params =
        options->pipeline != NULL ? options->pipeline->params : weir_jobfile_params(options->file);
    if (params != NULL) {
        weir_env_declare(launch->env, params);
    }
    err = give_params(launch);
    if (err == 0 && options->pipeline != NULL) {
        err = weir_pipeline_build(options->pipeline, launch->env);
    } else if (err == 0) {
        err = weir_jobfile_main(options->file)(launch->env);
    }
    if (err == 0) {
        err = set_parallelism(launch);
    }
    if (err == 0) {
        err = weir_env_check(launch->env);
    }
    if (err == 0 && name[0] != '\0') {
        weir_env_rename(launch->env, name);
    }
    return err;
}

int
weir_launch_open(const struct weir_launch_options *options, struct weir_launch **ret_launch)
{
    struct weir_launch *launch = calloc(1, sizeof *launch);
    if (launch == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the launch of %s", options->name);
    }
    launch->conf = options->conf;
    launch->topology_xml = options->topology_xml;
    int err = build_graph(launch, options);
    if (err != 0) {
        weir_launch_close(launch);
        return err;
    }
    *ret_launch = launch;
    return 0;
}

void
weir_launch_close(struct weir_launch *launch)
{
    if (launch == NULL) {
        return;
    }
    weir_plan_close(launch->plan);
    weir_lease_close(launch->lease);
    weir_topo_close(launch->topo);
    weir_env_delete(launch->env);
    for (uint32_t i = 0; i < launch->vertex_cnt; i++) {
        free(launch->cut_text[i]);
    }
    free(launch);
}

/* ---- the plan ---- */

/* In the order of the words of placement.idle. */
static enum weir_plan_idle
idle_of(int64_t word)
{
    static const enum weir_plan_idle idles[] = {
        WEIR_PLAN_IDLE_AUTO, WEIR_PLAN_IDLE_SPIN, WEIR_PLAN_IDLE_ADAPTIVE, WEIR_PLAN_IDLE_SLEEP};
    return idles[word];
}

/* An empty text where the user left it to the planner. */
static const char *
unless_auto(const char *text)
{
    return strcmp(text, "auto") == 0 ? "" : text;
}

static int
add_cuts(struct weir_launch *launch, uint32_t at, const char *names)
{
    struct weir_plan_vertex_options *vertex = &launch->vertex[at];
    char *text = strdup(names);
    if (text == NULL) {
        return weir_err_push(WEIR_ENOMEM, "cut_after of %s", vertex->name);
    }
    launch->cut_text[at] = text;
    vertex->cut_after = &launch->cut[launch->cut_cnt];
    char *next = NULL;
    for (char *name = strtok_r(text, ",", &next); name != NULL; name = strtok_r(NULL, ",", &next)) {
        if (launch->cut_cnt == CUT_CNT_MAX) {
            return weir_err_push(WEIR_EPLAN, "more than %d operators in cut_after", CUT_CNT_MAX);
        }
        launch->cut[launch->cut_cnt++] = name;
        vertex->cut_after_cnt++;
    }
    return 0;
}

static int
add_vertex(struct weir_launch *launch, const char *name, bool cuts)
{
    const struct weir_conf *conf = launch->conf;
    if (launch->vertex_cnt == VERTEX_CNT_MAX) {
        return weir_err_push(
            WEIR_EPLAN, "placement.vertices has more than %d names", VERTEX_CNT_MAX);
    }
    uint32_t at = launch->vertex_cnt++;
    struct weir_plan_vertex_options *vertex = &launch->vertex[at];
    const struct weir_conf_value *cores = weir_conf_vertex(conf, WEIR_CONF_VERTEX_CORES, name);
    const struct weir_conf_value *numa = weir_conf_vertex(conf, WEIR_CONF_VERTEX_NUMA, name);
    const struct weir_conf_value *idle = weir_conf_vertex(conf, WEIR_CONF_VERTEX_IDLE, name);
    const struct weir_conf_value *cut = weir_conf_vertex(conf, WEIR_CONF_VERTEX_CUT_AFTER, name);
    vertex->name = name;
    vertex->cores = cores != NULL ? cores->text : NULL;
    vertex->numa = numa != NULL ? numa->text : NULL;
    vertex->idle = idle != NULL ? idle_of(idle->number)
                                : idle_of(weir_conf_i64(conf, WEIR_CONF_PLACEMENT_IDLE));
    return cut != NULL && cuts ? add_cuts(launch, at, cut->text) : 0;
}

/* One entry per vertex that the configuration names, whichever of its keys. */
static int
add_vertices(struct weir_launch *launch, bool cuts)
{
    const struct weir_conf_value *value;
    int err = 0;
    for (size_t i = 0; err == 0 && (value = weir_conf_at(launch->conf, i)) != NULL; i++) {
        bool known = value->vertex == NULL;
        for (uint32_t v = 0; !known && v < launch->vertex_cnt; v++) {
            known = strcmp(launch->vertex[v].name, value->vertex) == 0;
        }
        if (!known) {
            err = add_vertex(launch, value->vertex, cuts);
        }
    }
    return err;
}

static uint32_t
held_by_others(struct weir_launch *launch)
{
    uint32_t cnt = launch->lease != NULL ? weir_lease_held(launch->lease, launch->held) : 0;
    for (uint32_t i = 0; i < cnt; i++) {
        launch->held_cpus[i].job = launch->held[i].job;
        launch->held_cpus[i].cpus = launch->held[i].cpus;
    }
    return cnt;
}

/* A number, or 0 for the word in its place. */
static int64_t
or_zero(int64_t value)
{
    return value == WEIR_CONF_WORD ? 0 : value;
}

/* Whether others hold every core that this process may use; then `auto` has none left to take. */
static bool
all_held(const struct weir_launch *launch, uint32_t held_cnt)
{
    struct weir_cpuset left = launch->cgroup.cpus;
    weir_cpuset_and(&left, &launch->topo->cpus);
    for (uint32_t i = 0; i < held_cnt; i++) {
        weir_cpuset_without(&left, &launch->held[i].cpus);
    }
    return held_cnt > 0 && weir_cpuset_cnt(&left) == 0;
}

/* The cores that the plan has to keep off. One thread in simulated time needs none of its own;
 * where others hold all, `auto` shares them, and says so. */
static int
look_at_held(struct weir_launch *launch, uint32_t *ret_cnt)
{
    const struct weir_conf *conf = launch->conf;
    uint32_t cnt = held_by_others(launch);
    bool cores_auto = strcmp(weir_conf_text(conf, WEIR_CONF_PLACEMENT_CORES), "auto") == 0;
    if (weir_conf_i64(conf, WEIR_CONF_POLLER) != WEIR_CONF_WORD) {
        cnt = 0;
    }
    if (cores_auto && all_held(launch, cnt)) {
        if (weir_conf_i64(conf, WEIR_CONF_STRICT) == 1) {
            return weir_err_push(WEIR_ESTRICT, "every core is held by a running job, %s among them",
                launch->held[0].job);
        }
        (void)snprintf(launch->note, sizeof launch->note,
            "every core is held by a running job, %.128s among them: they are shared with it",
            launch->held[0].job);
        cnt = 0;
    }
    *ret_cnt = cnt;
    return 0;
}

static int
make_plan(struct weir_launch *launch)
{
    const struct weir_conf *conf = launch->conf;
    bool recorded = launch->topology_xml != NULL;
    const struct weir_conf_value *budget = weir_conf_value(conf, WEIR_CONF_MEMORY_BUDGET);
    uint32_t held_cnt = 0;
    bool is_alone = recorded || launch->use == WEIR_LAUNCH_SAVE;
    int err = is_alone ? 0 : look_at_held(launch, &held_cnt);
    if (err != 0) {
        return err;
    }
    struct weir_plan_host host = {
        .topo = launch->topo,
        .effective = recorded ? launch->topo->cpus : launch->cgroup.cpus,
        .effective_limit = recorded ? NULL : launch->cgroup.cpus_limit,
        .held = launch->held_cpus,
        .held_cnt = held_cnt,
        .budget_bytes = (uint64_t)weir_conf_memory_budget(conf, launch->cgroup.memory_bytes),
        .budget_limit =
            budget->number == WEIR_CONF_WORD ? launch->cgroup.memory_limit : budget->origin,
    };
    int64_t cut = weir_conf_i64(conf, WEIR_CONF_PLACEMENT_CUT);
    int64_t floating = weir_conf_i64(conf, WEIR_CONF_BUFFERS_FLOATING);
    err = add_vertices(launch, cut == 0);
    const struct weir_plan_options options = {
        .cut = cut == 2 ? WEIR_PLAN_CUT_ALL : WEIR_PLAN_CUT_NONE,
        .smt = (enum weir_plan_smt)weir_conf_i64(conf, WEIR_CONF_PLACEMENT_SMT),
        .idle = idle_of(weir_conf_i64(conf, WEIR_CONF_PLACEMENT_IDLE)),
        .cores = weir_conf_text(conf, WEIR_CONF_PLACEMENT_CORES),
        .housekeeping = unless_auto(weir_conf_text(conf, WEIR_CONF_PLACEMENT_HOUSEKEEPING)),
        .vertices = launch->vertex,
        .vertex_cnt = launch->vertex_cnt,
        .buffer_bytes = (uint32_t)weir_conf_i64(conf, WEIR_CONF_BUFFERS_SIZE),
        .ring_slot_cnt = (uint32_t)weir_conf_i64(conf, WEIR_CONF_RING_SLOTS),
        .exclusive_cnt = (uint32_t)weir_conf_i64(conf, WEIR_CONF_BUFFERS_PER_CHANNEL),
        .floating_cnt = floating > 0 ? (uint32_t)floating : WEIR_PLAN_FLOATING_NONE,
        .buffer_bytes_max = (uint64_t)or_zero(weir_conf_i64(conf, WEIR_CONF_BUFFERS_MEMORY)),
        .is_unaligned = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_UNALIGNED) != 0,
    };
    if (err != 0) {
        return err;
    }
    return weir_plan_make(weir_job_plan_graph(launch->env), &host, &options, &launch->plan);
}

/* The CPUs that the planned stages run on. */
static struct weir_cpuset
planned_cpus(const struct weir_plan *plan)
{
    struct weir_cpuset cpus;
    memset(&cpus, 0, sizeof cpus);
    for (uint32_t i = 0; i < plan->core_cnt; i++) {
        weir_cpuset_add(&cpus, plan->cores[i].cpu);
    }
    return cpus;
}

/* A plan that is only shown looks at what others hold under a name of its own, where it may. */
static int
open_lease(struct weir_launch *launch)
{
    char name[32];
    if (launch->use == WEIR_LAUNCH_SAVE) {
        return 0;
    }
    if (launch->use == WEIR_LAUNCH_RUN) {
        return weir_lease_open(NULL, weir_launch_name(launch), &launch->lease);
    }
    (void)snprintf(name, sizeof name, "plan-%d", (int)getpid());
    if (launch->topology_xml == NULL && weir_lease_open(NULL, name, &launch->lease) != 0) {
        weir_err_clear();
        launch->lease = NULL;
    }
    return 0;
}

int
weir_launch_plan(struct weir_launch *launch, enum weir_launch_use use)
{
    bool hold = use == WEIR_LAUNCH_RUN;
    bool recorded = launch->topology_xml != NULL;
    launch->use = use;
    int err = recorded ? weir_topo_open_xml(launch->topology_xml, &launch->topo)
                       : weir_topo_open_live(&launch->topo);
    if (err == 0) {
        err = weir_cgroup_read("", &launch->cgroup);
    }
    /* One thread in simulated time needs no core of its own, and two such jobs may well run at
     * once. */
    bool threads = weir_conf_i64(launch->conf, WEIR_CONF_POLLER) == WEIR_CONF_WORD;
    if (err == 0) {
        err = open_lease(launch);
    }
    if (err == 0) {
        err = make_plan(launch);
    }
    if (!hold) {
        weir_lease_close(launch->lease);
        launch->lease = NULL;
    }
    if (err == 0 && hold) {
        struct weir_cpuset cpus = planned_cpus(launch->plan);
        if (!threads) {
            memset(&cpus, 0, sizeof cpus);
        }
        err = weir_lease_take(launch->lease, &cpus);
    }
    return err;
}

/* ---- the job ---- */

/* In the order of the words of the rows. */
static int
take_checkpoints(const struct weir_launch *launch, struct weir_job_checkpoint_options *ret_options)
{
    const struct weir_conf *conf = launch->conf;
    const char *dir = weir_conf_text(conf, WEIR_CONF_CHECKPOINTS_DIR);
    memset(ret_options, 0, sizeof *ret_options);
    ret_options->dir = dir[0] != '\0' ? dir : launch->memory_dir;
    ret_options->task_bytes_max = launch->memory_dir != NULL ? MEMORY_BYTES_MAX : 0;
    ret_options->is_sink_early = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_SINK) == 1;
    ret_options->retained = (uint32_t)weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_RETAINED);
    ret_options->throttle_max_ns = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_THROTTLE_MAX);
    weir_checkpoint_conf_coordinator(conf, &ret_options->coordinator);
    struct weir_checkpoint_barriers barriers;
    int rc = weir_checkpoint_conf_barriers(conf, &barriers);
    if (rc == 0) {
        ret_options->is_tracked = barriers.is_tracked;
        ret_options->is_unaligned = barriers.is_unaligned;
        ret_options->align_timeout_ns = barriers.timeout_ns;
        ret_options->flight_bytes_max =
            (uint64_t)weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_IN_FLIGHT_MAX);
        /* A savepoint waits for what would overtake it, and that for the savepoint. */
        ret_options->coordinator.is_savepoint_queued |= barriers.is_unaligned;
    }
    return rc;
}

/* NULL: all state is in memory. */
static const char *
state_dir(const struct weir_conf *conf)
{
    const char *dir = weir_conf_text(conf, WEIR_CONF_STATE_DIR);
    if (weir_conf_i64(conf, WEIR_CONF_STATE_BACKEND) == 0) {
        return NULL;
    }
    return dir[0] != '\0' ? dir : weir_conf_text(conf, WEIR_CONF_CHECKPOINTS_DIR);
}

int
weir_launch_job(struct weir_launch *launch, struct weir_job **ret_job)
{
    const struct weir_conf *conf = launch->conf;
    /* In the order of the words of io.engine. */
    static const enum weir_io_kind engines[] = {WEIR_IO_AUTO, WEIR_IO_URING, WEIR_IO_POSIX};
    int64_t seed = weir_conf_i64(conf, WEIR_CONF_POLLER);
    bool only_saves = launch->use == WEIR_LAUNCH_SAVE;
    struct weir_job_options options = {
        .restore = launch->restore,
        .poller = seed == WEIR_CONF_WORD ? WEIR_JOB_THREADS : WEIR_JOB_SEEDED,
        .seed = seed == WEIR_CONF_WORD ? 0 : (uint64_t)seed,
        .batch_rows = (uint32_t)weir_conf_i64(conf, WEIR_CONF_BATCH_ROWS),
        .watermark_interval_ns = weir_conf_i64(conf, WEIR_CONF_WATERMARK_INTERVAL),
        .marker_interval_ns = weir_conf_i64(conf, WEIR_CONF_METRICS_LATENCY_INTERVAL),
        .flush_after_ns = or_zero(weir_conf_i64(conf, WEIR_CONF_FLUSH_AFTER)),
        .debloat_target_ns = or_zero(weir_conf_i64(conf, WEIR_CONF_BUFFERS_DEBLOAT)),
        .max_parallelism = (uint32_t)or_zero(weir_conf_i64(conf, WEIR_CONF_MAX_PARALLELISM)),
        .moves = weir_conf_i64(conf, WEIR_CONF_STATE_MOVES) == 1,
        .io_kind = (uint32_t)engines[weir_conf_i64(conf, WEIR_CONF_IO_ENGINE)],
        .cancel_interval_ns = weir_conf_i64(conf, WEIR_CONF_TASK_CANCEL_INTERVAL),
        .cancel_timeout_ns = or_zero(weir_conf_i64(conf, WEIR_CONF_TASK_CANCEL_TIMEOUT)),
        .strict = weir_conf_i64(conf, WEIR_CONF_STRICT) == 1 && !only_saves,
        .small_pages =
            only_saves || strcmp(weir_conf_text(conf, WEIR_CONF_MEMORY_HUGE_PAGES), "off") == 0,
        .touch = weir_conf_i64(conf, WEIR_CONF_MEMORY_TOUCH) == 1 && !only_saves,
    };
    /* What is there on disk is of the job that runs. */
    options.state_dir = only_saves ? NULL : state_dir(conf);
    int rc = take_checkpoints(launch, &options.checkpoints);
    return rc != 0 ? rc : weir_job_new(launch->env, launch->plan, &options, ret_job);
}

void
weir_launch_memory(struct weir_launch *launch, const char *dir)
{
    launch->memory_dir = dir;
}

void
weir_launch_restore(struct weir_launch *launch, const struct weir_job_restore_options *options)
{
    launch->restore = *options;
}

const char *
weir_launch_name(const struct weir_launch *launch)
{
    return weir_env_job_name(launch->env);
}

const char *
weir_launch_savepoint_dir(const struct weir_launch *launch)
{
    return weir_conf_text(launch->conf, WEIR_CONF_CHECKPOINTS_SAVEPOINT_DIR);
}

const char *
weir_launch_bad_line(const struct weir_launch *launch, uint32_t idx)
{
    return weir_env_bad_line(launch->env, idx);
}

const char *
weir_launch_note(const struct weir_launch *launch)
{
    return launch->note[0] != '\0' ? launch->note : NULL;
}

const struct weir_plan *
weir_launch_plan_of(const struct weir_launch *launch)
{
    return launch->plan;
}

const struct weir_cgroup *
weir_launch_cgroup(const struct weir_launch *launch)
{
    return &launch->cgroup;
}
