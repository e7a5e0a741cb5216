/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "apps/sim/compare.h"
#include "apps/sim/trial_priv.h"
#include "base/topo.h"
#include "io/io.h"
#include "io/sim.h"
#include "sched/job.h"

/* A trial that needs more does not converge. */
#define START_CNT_MAX 200
/* The host of every trial: what it runs on must not matter. */
#define HOST "core:16 pu:1"
#define UTC_NS (INT64_C(1700000000) * WEIR_SEC_NS)
/* Where in the stream of a seed it is drawn, by itself, whether it is of names; one of so many. */
#define NAMES_DRAW 7000
#define NAMES_ONE_IN 8

void
trial_fail(struct trial *trial, const char *fmt, ...)
{
    va_list args;
    if (trial->result->failure[0] == '\0') {
        va_start(args, fmt);
        (void)vsnprintf(trial->result->failure, SIM_FAILURE_BYTES, fmt, args);
        va_end(args);
    }
}

void
trial_note(const struct trial *trial, const char *fmt, ...)
{
    va_list args;
    if (trial->conf->is_loud) {
        va_start(args, fmt);
        (void)vfprintf(stderr, fmt, args);
        (void)fputc('\n', stderr);
        va_end(args);
    }
}

void
trial_set(struct trial *trial, uint32_t feature)
{
    trial->result->has[feature] = true;
}

/* ---- what goes wrong ---- */

/* Seeds have themes: where little goes wrong but one thing, that comes often enough for what takes
 * several steps to show. */
static const uint8_t weights[SIM_THEME_CNT][SIM_FAULT_KIND_CNT] = {
    [SIM_THEME_ALL] =
        {
            [SIM_FAULT_KILL] = 10,
            [SIM_FAULT_POWER] = 10,
            [SIM_FAULT_KILL_IN_IO] = 8,
            [SIM_FAULT_POWER_IN_IO] = 1,
            [SIM_FAULT_EIO] = 8,
            [SIM_FAULT_ENOSPC] = 6,
            [SIM_FAULT_SYNC] = 4,
            [SIM_FAULT_LATE] = 6,
            [SIM_FAULT_LOST] = 4,
            [SIM_FAULT_ASTRAY] = 4,
            [SIM_FAULT_FLIP] = 6,
        },
    [SIM_THEME_SINKS] = {[SIM_FAULT_KILL] = 1, [SIM_FAULT_EIO] = 1, [SIM_FAULT_SYNC] = 6},
    [SIM_THEME_MANIFESTS] = {[SIM_FAULT_KILL] = 1,
        [SIM_FAULT_POWER_IN_IO] = 2,
        [SIM_FAULT_EIO] = 2,
        [SIM_FAULT_SYNC] = 3},
    [SIM_THEME_FLIPS] = {[SIM_FAULT_KILL] = 2, [SIM_FAULT_FLIP] = 3},
    [SIM_THEME_NAMES] =
        {[SIM_FAULT_KILL] = 1, [SIM_FAULT_EIO] = 1, [SIM_FAULT_SYNC] = 6, [SIM_FAULT_LATE] = 2},
};

/* Most seeds are of all. */
static enum sim_theme
draw_theme(struct trial *trial)
{
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_at(trial->conf->seed, NAMES_DRAW));
    uint32_t theme = (uint32_t)weir_rng_below(&trial->rng, 5 * (SIM_THEME_NAMES - 1));
    return weir_rng_chance(&rng, 1, NAMES_ONE_IN) ? SIM_THEME_NAMES
           : theme < SIM_THEME_NAMES              ? (enum sim_theme)theme
                                                  : SIM_THEME_ALL;
}

static enum sim_fault_kind
draw_kind(struct trial *trial)
{
    const uint8_t *weight = weights[trial->theme];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < SIM_FAULT_KIND_CNT; i++) {
        sum += weight[i];
    }
    uint32_t at = (uint32_t)weir_rng_below(&trial->rng, sum);
    uint32_t kind = 0;
    while (at >= weight[kind]) {
        at -= weight[kind];
        kind++;
    }
    return (enum sim_fault_kind)kind;
}

static uint32_t
draw_verb(struct trial *trial)
{
    static const uint8_t verbs[] = {WEIR_IO_OPEN, WEIR_IO_WRITE, WEIR_IO_WRITE, WEIR_IO_SYNC,
        WEIR_IO_SYNC, WEIR_IO_RENAME, WEIR_IO_ALLOCATE, WEIR_IO_UNLINK, WEIR_IO_LIST, WEIR_IO_READ,
        WEIR_IO_STAT, WEIR_IO_MKDIR};
    return verbs[weir_rng_below(&trial->rng, WEIR_ARRAY_CNT(verbs))];
}

/* One of the sinks. */
static const char *
draw_sink(struct trial *trial)
{
    uint32_t left = (uint32_t)weir_rng_below(&trial->rng, trial->draw.sink_cnt);
    uint32_t node = 0;
    while (trial->draw.node[node].op != SIM_SINK || left > 0) {
        left -= trial->draw.node[node++].op == SIM_SINK;
    }
    sim_sink_path(&trial->draw, node, trial->sink);
    size_t bytes = strlen(trial->sink);
    trial->sink[bytes - (trial->sink[bytes - 1] == '/')] = '\0'; /* the directory itself, too */
    return trial->sink;
}

/* Whether directories are struck: those alone, and their syncs, but for a manifest that cannot be
 * written, for which its name speaks, too. */
static bool
is_of_names(const struct trial *trial)
{
    return trial->theme == SIM_THEME_NAMES && !trial->is_saving;
}

static const char *
draw_dir(struct trial *trial, enum sim_fault_kind kind)
{
    bool is_sink = kind != SIM_FAULT_EIO && weir_rng_chance(&trial->rng, 2, 3);
    return is_sink ? draw_sink(trial) : trial->manifest_dir;
}

/* Where it strikes. What strikes the checkpoints' bytes strikes nothing else: of a sink's file
 * nobody would know. */
static const char *
draw_under(struct trial *trial, enum sim_fault_kind kind)
{
    if (is_of_names(trial)) {
        return draw_dir(trial, kind);
    }
    bool is_sink = weir_rng_chance(&trial->rng, 1, 3) || trial->theme == SIM_THEME_SINKS;
    if (kind < SIM_FAULT_LOST && is_sink && trial->theme != SIM_THEME_MANIFESTS) {
        return trial->theme == SIM_THEME_SINKS ? draw_sink(trial) : SIM_OUT_DIR;
    }
    return trial->is_saving                      ? SIM_SAVE_DIR
           : trial->theme == SIM_THEME_MANIFESTS ? trial->manifest_dir
           : trial->theme == SIM_THEME_FLIPS     ? trial->data_dir
                                                 : SIM_CHECKPOINT_DIR;
}

/* About when the next of the kind of what was not synced gets its name. */
static struct weir_sim_trouble
draw_power(struct trial *trial, const char *under)
{
    return (struct weir_sim_trouble){.kind = WEIR_SIM_POWER,
        .verb = WEIR_IO_RENAME,
        .skip_cnt = (uint32_t)weir_rng_below(&trial->rng, 4),
        .under = under};
}

/* At the next sync of such a directory; or as soon as the next checkpoint is complete, which relies
 * on all that was before it: its manifest gets its name, and then this is synced. */
static struct weir_sim_trouble
draw_power_of_names(struct trial *trial, const char *under)
{
    struct weir_sim_trouble power = {
        .kind = WEIR_SIM_POWER, .verb = WEIR_IO_SYNC, .under = under, .only_dirs = true};
    if (weir_rng_chance(&trial->rng, 1, 3)) {
        return power;
    }
    power.under = trial->manifest_dir;
    power.is_behind = true;
    trial->behind = power;
    return (struct weir_sim_trouble){.kind = WEIR_SIM_LATE,
        .verb = WEIR_IO_RENAME,
        .late_ns = 1,
        .under = trial->manifest_dir,
        .then = &trial->behind};
}

/* What a sync that failed has left open shows once the power fails, before another one has made up
 * for it. */
static const struct weir_sim_trouble *
draw_then(struct trial *trial, enum sim_fault_kind kind, const char *under)
{
    bool is_sync = kind == SIM_FAULT_SYNC && trial->theme != SIM_THEME_ALL && !trial->is_saving;
    if (!is_sync && !is_of_names(trial)) {
        return NULL;
    }
    trial->then = is_of_names(trial) ? draw_power_of_names(trial, under) : draw_power(trial, under);
    if (is_sync) {
        trial_set(trial, SIM_FEATURE_SYNC_POWER);
    }
    return &trial->then;
}

/* Ask the world for it. */
void
trial_ask(struct trial *trial, enum sim_fault_kind kind)
{
    static const uint8_t of_sim[SIM_FAULT_KIND_CNT] = {
        [SIM_FAULT_KILL_IN_IO] = WEIR_SIM_KILL,
        [SIM_FAULT_POWER_IN_IO] = WEIR_SIM_POWER,
        [SIM_FAULT_EIO] = WEIR_SIM_ERROR,
        [SIM_FAULT_ENOSPC] = WEIR_SIM_ERROR,
        [SIM_FAULT_SYNC] = WEIR_SIM_SYNC_LOST,
        [SIM_FAULT_LATE] = WEIR_SIM_LATE,
        [SIM_FAULT_LOST] = WEIR_SIM_LOST,
        [SIM_FAULT_ASTRAY] = WEIR_SIM_ASTRAY,
        [SIM_FAULT_FLIP] = WEIR_SIM_FLIP,
    };
    const char *under = draw_under(trial, kind);
    const struct weir_sim_trouble *then = draw_then(trial, kind, under);
    bool is_names = is_of_names(trial);
    uint32_t skip_cnt_max = is_names ? 4 : trial->theme == SIM_THEME_FLIPS ? 60 : 12;
    struct weir_sim_trouble trouble = {
        .kind = (enum weir_sim_trouble_kind)of_sim[kind],
        .verb = kind == SIM_FAULT_ENOSPC && weir_rng_chance(&trial->rng, 1, 2)
                    ? (uint32_t)WEIR_IO_WRITE
                    : draw_verb(trial),
        .skip_cnt = (uint32_t)weir_rng_below(&trial->rng, skip_cnt_max),
        .errnum = kind == SIM_FAULT_ENOSPC ? ENOSPC : EIO,
        .late_ns = weir_rng_between(&trial->rng, 1, 80) * WEIR_MS,
        .under = under,
        .then = then,
    };
    if (is_names) {
        trouble.only_dirs = kind != SIM_FAULT_EIO;
        trouble.verb = trouble.only_dirs ? WEIR_IO_SYNC : WEIR_IO_WRITE;
    }
    if (weir_sim_trouble(trial->sim, &trouble)) {
        trial->result->fault_cnt_of[kind]++;
        trial_set(trial, SIM_FEATURE_FAULT + kind);
        trial_note(trial, "  at %.3f ms: %s under %s, verb %" PRIu32 ", after %" PRIu32,
            (double)trial->now_ns / 1e6, sim_fault_name(kind), trouble.under, trouble.verb,
            trouble.skip_cnt);
    }
}

/* Rarer with each, so that a trial gets on between them in the end. */
void
trial_plan_fault(struct trial *trial)
{
    int64_t most_ns = trial->draw.run_ns / 6 * (1 + trial->result->fault_cnt / 3);
    trial->next_fault_ns = trial->now_ns + weir_rng_between(&trial->rng, 0, most_ns);
}

void
trial_die(struct trial *trial, enum sim_fault_kind kind)
{
    trial->is_power = kind == SIM_FAULT_POWER;
    trial->result->fault_cnt++;
    trial->result->fault_cnt_of[kind]++;
    trial_set(trial, SIM_FEATURE_FAULT + kind);
}

bool
trial_fault(struct trial *trial)
{
    enum sim_fault_kind kind = draw_kind(trial);
    trial_plan_fault(trial);
    if (kind != SIM_FAULT_KILL && kind != SIM_FAULT_POWER) {
        trial_ask(trial, kind);
        return true;
    }
    trial_die(trial, kind);
    return false;
}

/* ---- a trial ---- */

static void
note_draw(struct trial *trial)
{
    const struct sim_draw *draw = &trial->draw;
    for (uint32_t i = 0; i < draw->node_cnt; i++) {
        const struct sim_node *node = &draw->node[i];
        trial_set(trial, SIM_FEATURE_OP + node->op);
        if (node->op >= SIM_MAP && node->op <= SIM_FLATMAP) {
            trial_set(trial, SIM_FEATURE_PARTITIONER + node->partitioner);
        }
        if (node->op == SIM_SINK) {
            trial_set(trial, node->is_file ? SIM_FEATURE_FILE : SIM_FEATURE_PARTS);
            if (node->is_log) {
                trial_set(trial, node->is_upsert ? SIM_FEATURE_UPSERT : SIM_FEATURE_LOG);
            }
        }
        if (node->loop != SIM_LOOP_NONE) {
            trial_set(
                trial, node->loop == SIM_LOOP_LAST ? SIM_FEATURE_LOOP : SIM_FEATURE_LOOP_WAIT);
        }
        if (node->out[1] != SIM_NO_STREAM) {
            trial_set(trial, SIM_FEATURE_SIDE);
        }
        trial_note(trial, "n%" PRIu32 " %s (%d, %d) -> (%d, %d)", i, sim_op_name(node->op),
            (int)node->in[0], (int)node->in[1], (int)node->out[0], (int)node->out[1]);
    }
    for (uint32_t i = 0; i < draw->source_cnt; i++) {
        const struct sim_source *source = &draw->source[i];
        if (source->late_ms > 0) {
            trial_set(trial, SIM_FEATURE_LATE_ROWS);
        }
        if (source->key_cnt > SIM_KEY_CNT_FEW) {
            trial_set(trial, SIM_FEATURE_MANY_KEYS);
        }
        if (source->is_dealt) {
            trial_set(trial, SIM_FEATURE_DEALT);
        }
        if (source->begin_ns > 0) {
            trial_set(trial, SIM_FEATURE_BEGINS);
        }
        if (source->is_skewed) {
            trial_set(trial, SIM_FEATURE_SKEW);
        }
        if (source->burst_cnt > 1) {
            trial_set(trial, SIM_FEATURE_BURSTS);
        }
        if (source->ends_early) {
            trial_set(trial, SIM_FEATURE_EARLY_END);
        }
    }
    if (draw->is_aligned) {
        trial_set(trial, SIM_FEATURE_ALIGNED);
    }
    if (draw->rescales) {
        trial_set(trial, SIM_FEATURE_RESCALED);
    }
}

static int
open_world(struct trial *trial)
{
    bool is_short = weir_rng_chance(&trial->rng, 1, 3);
    const struct weir_sim_config config = {
        .seed = weir_rng_u64(&trial->rng),
        .utc_ns = UTC_NS,
        .latency_ns_max = weir_rng_between(&trial->rng, 10, 200) * WEIR_US,
        .short_ppm = is_short ? 20000 : 0,
        .cuts_power = true,
        .moves_alone = trial->theme == SIM_THEME_NAMES,
        .pool = trial->conf->pool,
    };
    if (is_short) {
        trial_set(trial, SIM_FEATURE_SHORT_IO);
    }
    int err = weir_sim_open(&config, &trial->sim);
    /* Directories that the user has made. */
    err = err != 0 ? err : weir_sim_put(trial->sim, SIM_OUT_MADE, "", 0);
    return err != 0 ? err : weir_topo_open_synthetic(HOST, &trial->topo);
}

static void
run_starts(struct trial *trial)
{
    int step = 1;
    while (step == 1) {
        if (trial->result->start_cnt == START_CNT_MAX) {
            trial_fail(trial, "invariant L1: it does not converge: %d starts", START_CNT_MAX);
            return;
        }
        trial_touch(trial);
        step = trial_start(trial);
        step = trial_untouch(trial, step);
        step = trial_save_end(trial, step);
        trial->now_ns += weir_rng_between(&trial->rng, 0, WEIR_MS);
    }
}

static void
check_quotas(struct trial *trial)
{
    const struct sim_result *result = trial->result;
    if (result->row_cnt < trial->conf->row_cnt || result->checkpoint_cnt < SIM_CHECKPOINT_CNT_MIN ||
        result->fault_cnt < SIM_FAULT_CNT_MIN || result->restore_cnt < SIM_RESTORE_CNT_MIN) {
        trial_fail(trial,
            "too little was seen: %" PRIu64 " rows, %" PRIu32 " checkpoints, %" PRIu32
            " faults, %" PRIu32 " restores",
            result->row_cnt, result->checkpoint_cnt, result->fault_cnt, result->restore_cnt);
    }
}

bool
sim_trial(const struct sim_trial_conf *conf, struct sim_result *ret_result)
{
    struct trial trial = {.conf = conf, .result = ret_result};
    struct sim_answer answer = {.hash = 0};
    memset(ret_result, 0, sizeof *ret_result);
    weir_rng_init(&trial.rng, weir_rng_mix(conf->seed));
    sim_draw(conf->seed, conf->row_cnt, &trial.draw);
    note_draw(&trial);
    ret_result->row_cnt = trial.draw.row_cnt;
    trial.theme = draw_theme(&trial);
    trial_save_draw(&trial);
    trial.fault_cnt_wanted = SIM_FAULT_CNT_MIN + (uint32_t)weir_rng_below(&trial.rng, 4);
    if (open_world(&trial) != 0) {
        char text[SIM_FAILURE_BYTES];
        weir_err_save(text, sizeof text);
        weir_err_clear();
        trial_fail(&trial, "no world: %s", text);
    } else {
        run_starts(&trial);
    }
    if (ret_result->failure[0] == '\0') {
        check_quotas(&trial);
    }
    if (ret_result->failure[0] == '\0') {
        if (!sim_compare(&trial.draw, trial.sim, &answer)) {
            trial_fail(&trial, "%s", answer.text);
        }
    }
    ret_result->out_cnt = answer.cnt;
    ret_result->trace = weir_rng_mix(ret_result->trace ^ answer.hash);
    weir_topo_close(trial.topo);
    weir_sim_close(trial.sim);
    return ret_result->failure[0] == '\0';
}
