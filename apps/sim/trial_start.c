/* SPDX-License-Identifier: Apache-2.0 */
/* trial_start.c: one process of a trial: its job on the world's disk, until it ends or is ended. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apps/sim/trial_priv.h"
#include "base/topo.h"
#include "io/sim.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/job.h"
#include "sched/weir.h"

#define BUDGET_BYTES (2048 * WEIR_MIB)
#define STATE_BYTES (64 * WEIR_MIB)
/* Looking at the job costs more than a poll of it. */
#define LOOK_POLL_CNT 32
/* A start takes some 10^5. */
#define POLL_CNT_MAX (UINT64_C(4) << 20)
#define TEXT_BYTES 1024
/* Where in the stream of a seed the barriers of its starts are drawn. */
#define BARRIER_DRAW 1000
#define MARKER_DRAW 2000

static void
say_endless(struct trial *trial)
{
    char text[TEXT_BYTES] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < weir_job_task_cnt(trial->job) && used < sizeof text; i++) {
        const struct weir_task *task = weir_job_task(trial->job, i);
        int got = snprintf(text + used, sizeof text - used, ", %s %s", weir_task_name(task),
            weir_task_state_name(weir_task_state(task)));
        used += got > 0 ? (size_t)got : 0;
    }
    trial_fail(trial, "invariant L1: start %" PRIu32 " does not come to its end, at %.3f ms%s",
        trial->result->start_cnt, (double)trial->now_ns / 1e6, text);
}

static bool
seen(void *arg, const struct weir_poller_seen *poll)
{
    struct trial *trial = (struct trial *)arg;
    struct sim_result *result = trial->result;
    uint64_t what = (uint64_t)poll->now_ns << 16 ^ (uint64_t)poll->at << 4 ^ (uint64_t)poll->did;
    result->trace = weir_rng_mix(result->trace ^ what);
    result->poll_cnt++;
    trial->now_ns = poll->now_ns;
    if (!trial->has_polled) {
        trial->has_polled = true;
        trial_plan_fault(trial);
    }
    if (weir_sim_life(trial->sim) != trial->life) {
        trial->is_dead = true;
        return false;
    }
    if (result->poll_cnt % LOOK_POLL_CNT == 0 && !trial_look(trial)) {
        return false;
    }
    trial->poll_cnt++;
    if (trial->poll_cnt > POLL_CNT_MAX) {
        say_endless(trial);
        return false;
    }
    trial_step_look(trial);
    bool is_killed = !trial->is_calm && poll->now_ns >= trial->saves.die_ns;
    if (is_killed) {
        trial_die(trial, weir_rng_chance(&trial->rng, 1, 2) ? SIM_FAULT_KILL : SIM_FAULT_POWER);
    } else if (!trial->is_calm && poll->now_ns >= trial->next_fault_ns) {
        is_killed = !trial_fault(trial);
    }
    trial->is_dead = is_killed;
    return !is_killed;
}

/* Drawn by themselves, so that a world with other barriers is the same world otherwise. One
 * checkpoint at a time, as the configuration wants it, and savepoints in turn with them. */
static void
draw_barriers(struct trial *trial, struct weir_job_checkpoint_options *options)
{
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_at(trial->conf->seed, BARRIER_DRAW + trial->result->start_cnt));
    options->is_unaligned = weir_rng_chance(&rng, 1, 2);
    if (!options->is_unaligned) {
        return;
    }
    if (weir_rng_chance(&rng, 1, 2)) {
        options->align_timeout_ns = options->coordinator.interval_ns / 8;
        trial_set(trial, SIM_FEATURE_ALIGN_TIMEOUT);
    }
    options->coordinator.concurrent_max = 1;
    options->coordinator.is_savepoint_queued = true;
    trial_set(trial, SIM_FEATURE_UNALIGNED);
    if (weir_rng_chance(&rng, 1, 4)) {
        options->piece_rows_max = weir_rng_chance(&rng, 1, 2) ? 2 : 12;
        trial_set(trial, SIM_FEATURE_PIECES);
    }
    if (weir_rng_chance(&rng, 1, 4)) {
        options->flight_slice_bytes = weir_rng_chance(&rng, 1, 2) ? 1 : 4096;
        trial_set(trial, SIM_FEATURE_SLICES);
    }
}

/* Of latency markers, 0: there are none. Drawn by itself, as barriers are, and seldom: their
 * histograms take some 10 MiB of a start. */
static int64_t
draw_markers(struct trial *trial)
{
    struct weir_rng rng;
    weir_rng_init(&rng, weir_rng_at(trial->conf->seed, MARKER_DRAW + trial->result->start_cnt));
    trial->marker_ns = 0;
    if (weir_rng_chance(&rng, 1, 16)) {
        trial->marker_ns = weir_rng_between(&rng, 1, 8) * WEIR_MS / 4;
        trial_set(trial, SIM_FEATURE_MARKERS);
    }
    return trial->marker_ns;
}

/* Times of checkpoints go with how long the sources take. */
static struct weir_job_checkpoint_options
draw_checkpoints(struct trial *trial)
{
    static const uint32_t blocks[] = {16 * WEIR_KIB, 32 * WEIR_KIB, 64 * WEIR_KIB};
    static const uint32_t undos[] = {512, 1024, 4096};
    struct weir_job_checkpoint_options options = {
        .dir = trial->dir,
        .retained = 1 + (uint32_t)weir_rng_below(&trial->rng, 3),
        .throttle_max_ns = 100 * WEIR_MS,
        .block_bytes = blocks[weir_rng_below(&trial->rng, WEIR_ARRAY_CNT(blocks))],
        .undo_cnt = undos[weir_rng_below(&trial->rng, WEIR_ARRAY_CNT(undos))],
    };
    options.coordinator = (struct weir_coordinator_conf){
        .interval_ns = trial->draw.run_ns / weir_rng_between(&trial->rng, 12, 40),
        .pause_ns = weir_rng_between(&trial->rng, 0, 1) * WEIR_MS,
        .timeout_ns = weir_rng_between(&trial->rng, 10, 60) * WEIR_MS,
        .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
        .concurrent_max = 1 + (uint32_t)weir_rng_below(&trial->rng, 2),
        .queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX,
        .is_after_finish = true,
    };
    draw_barriers(trial, &options);
    return options;
}

static void
note_sizes(struct trial *trial, const struct sim_sizes *sizes)
{
    trial_set(trial, SIM_FEATURE_PARALLELISM + sizes->parallelism - 1);
    trial_set(trial, SIM_FEATURE_CUT + (sizes->cuts_all ? 0 : 1));
    trial_note(trial,
        "start %" PRIu32 " at %.3f ms: parallelism %" PRIu32 ", %s, batches of %" PRIu32
        ", rings of %" PRIu32 ", buffers of %" PRIu32,
        trial->result->start_cnt, (double)trial->now_ns / 1e6, sizes->parallelism,
        sizes->cuts_all ? "cut" : "fused", sizes->batch_rows, sizes->ring_slot_cnt,
        sizes->buffer_bytes);
}

static int
make_plan(struct trial *trial, const struct sim_sizes *sizes, struct weir_env *env,
    struct weir_plan **ret_plan)
{
    const struct weir_plan_host host = {
        .topo = trial->topo, .effective = trial->topo->cpus, .budget_bytes = BUDGET_BYTES};
    const struct weir_plan_options options = {
        .cut = sizes->cuts_all ? WEIR_PLAN_CUT_ALL : WEIR_PLAN_CUT_NONE,
        .buffer_bytes = sizes->buffer_bytes,
        .ring_slot_cnt = sizes->ring_slot_cnt,
        .exclusive_cnt = sizes->exclusive_cnt,
        .floating_cnt = sizes->floating_cnt,
    };
    return weir_plan_make(weir_job_plan_graph(env), &host, &options, ret_plan);
}

static void
note_operators(const struct trial *trial)
{
    for (uint32_t i = 0; trial->conf->is_loud && i < weir_job_operator_cnt(trial->job); i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(trial->job, i, &sum);
        trial_note(trial,
            "  %s: %" PRIu64 " rows in, %" PRIu64 " out, %" PRIu64 " late, watermark %" PRId64,
            sum.name, sum.rows_in, sum.rows_out, sum.rows_late, sum.watermark);
    }
}

int
trial_process_open(struct trial *trial, const struct weir_job_restore_options *restore,
    struct trial_process *process)
{
    struct weir_rng rng;
    memset(process, 0, sizeof *process);
    weir_rng_init(&rng, trial->draw.seed + (trial->draw.rescales ? trial->result->start_cnt : 1));
    sim_draw_sizes(&trial->draw, &rng, &process->sizes);
    process->world = (struct weir_job_world){
        .sim = trial->sim, .start_ns = trial->now_ns, .seen_fn = seen, .seen_arg = trial};
    const struct weir_job_options options = {
        .world = &process->world,
        .checkpoints = draw_checkpoints(trial),
        .restore = *restore,
        .poller = WEIR_JOB_SEEDED,
        .seed = weir_rng_mix(trial->draw.seed + trial->result->start_cnt),
        .batch_rows = process->sizes.batch_rows,
        .marker_interval_ns = draw_markers(trial),
        .max_parallelism = trial->draw.max_parallelism,
        .moves = trial_move_plan(trial),
        .state_bytes = STATE_BYTES,
        .step_fn = trial_step,
        .step_arg = trial,
        .small_pages = true,
    };
    int err = weir_env_new("sim", &process->env);
    err = err != 0 ? err : sim_build(&trial->draw, &process->sizes, &trial->gate, process->env);
    err = err != 0 ? err : make_plan(trial, &process->sizes, process->env, &process->plan);
    if (err == 0 && !trial->is_saving) {
        trial_step_plan(trial, process->plan->stage_cnt);
    }
    return err != 0 ? err : weir_job_new(process->env, process->plan, &options, &process->job);
}

void
trial_process_close(struct trial_process *process)
{
    weir_job_delete(process->job);
    weir_plan_close(process->plan);
    weir_env_delete(process->env);
}

void
trial_process_begin(struct trial *trial)
{
    trial->poll_cnt = 0;
    trial->is_dead = false;
    trial->is_power = false;
    trial->has_polled = false;
    trial->has_restored = false;
    trial->completed_cnt = 0;
    trial->look_cnt = 0;
    trial->steps = (struct trial_steps){
        .fails_at = WEIR_JOB_STEP_CNT, .cancels_at = WEIR_JOB_STEP_CNT, .cancel_ns = INT64_MAX};
    trial->start_ns = trial->now_ns;
    memset(&trial->gate.restored, 0, sizeof trial->gate.restored);
    memset(trial->gate.owned, 0, sizeof trial->gate.owned);
    trial->gate.polled_ns = 0;
    for (uint32_t i = 0; i < SIM_POSITIONS_CNT; i++) {
        trial->gate.saved[i].number = 0; /* of another start */
    }
    memset(trial->gate.far, 0, sizeof trial->gate.far);
    for (uint32_t i = 0; i < SIM_OPERATOR_CNT_MAX; i++) {
        trial->watermark[i] = WEIR_TIME_MIN;
    }
    trial->life = weir_sim_life(trial->sim);
    trial->trouble_cnt_before = weir_sim_trouble_cnt(trial->sim);
}

void
trial_process_gone(struct trial *trial)
{
    trial->is_dead = trial->is_dead || weir_sim_life(trial->sim) != trial->life;
    trial->now_ns = weir_max_i64(trial->now_ns, weir_sim_now_ns(trial->sim));
    if (trial->is_power) {
        weir_sim_cut_power(trial->sim, weir_rng_u64(&trial->rng));
    } else {
        weir_sim_kill(trial->sim);
    }
}

/* Behind the end of a job, with what it returned. */
static void
leave_job(struct trial *trial, int err)
{
    bool is_dead = trial->is_dead || weir_sim_life(trial->sim) != trial->life;
    if (!is_dead && trial->result->failure[0] == '\0') {
        (void)(trial_look(trial) && trial_look_at_markers(trial, err == 0));
    }
    note_operators(trial);
    trial_process_gone(trial);
}

/* Whether a start may end with this error: only after what was done to it. */
static bool
may_fail(struct trial *trial, int err)
{
    bool had_trouble = weir_sim_trouble_cnt(trial->sim) > trial->trouble_cnt_before;
    if (err == WEIR_EPARTS && trial->touch.path != NULL) {
        return true; /* and said so */
    }
    uint32_t mended_cnt = err == WEIR_ECHECKPOINT ? weir_sim_mend(trial->sim) : 0;
    if (mended_cnt > 0) {
        trial_note(trial, "refused, as it should be; %" PRIu32 " writes are mended", mended_cnt);
        return true;
    }
    return had_trouble && (err == WEIR_EIO || err == WEIR_EOUTCOME || err == WEIR_ECHECKPOINT ||
                              err == WEIR_EDATA || err == WEIR_EFORMAT || err == WEIR_ENOINPUT);
}

/* What is broken where a start fails though nothing was done to it; others name it themselves. */
static const char *
broken(const struct trial *trial, int err, const char *text)
{
    bool is_damage = err == WEIR_ECHECKPOINT || err == WEIR_EDATA || err == WEIR_EFORMAT;
    bool is_stuck = err == WEIR_EILLEGAL && strstr(text, "no task can go on") != NULL;
    /* A process may die with the very operation that completes its first. */
    bool had_any = trial->id_max > 0 || trial_look_id_max(trial) > 0;
    return is_stuck              ? "invariant L1: "
           : !had_any            ? ""
           : is_damage           ? "invariant C4: a complete checkpoint is not restored: "
           : err == WEIR_EPARTS  ? "invariant S3: what a sink has committed is not there: "
           : err == WEIR_ECONFIG ? "invariant S2: a sink has committed what is not listed: "
                                 : "";
}

int
trial_judge(struct trial *trial, int err, const char *text)
{
    if (trial->result->failure[0] != '\0') {
        return -1;
    }
    if (err == 0) {
        return 0;
    }
    /* Of an operator some of whose subtasks had ended (job_restore_load.c): the next start draws
     * other numbers. */
    bool wants_others =
        err == WEIR_ECONFIG &&
        (strstr(text, "its state can be restored with another parallelism") != NULL ||
            (trial->is_saving && strstr(text, "a savepoint cannot say so") != NULL));
    bool is_unstopped =
        trial->saves.is_stopping && strstr(text, "which was to stop the job, was aborted") != NULL;
    bool is_stopped = (trial->steps.has_failed && err == WEIR_EUNAVAILABLE) ||
                      (trial->steps.is_canceled && err == WEIR_ECANCELED);
    if (trial->is_dead || wants_others || is_unstopped || is_stopped || may_fail(trial, err)) {
        trial_note(trial, "ended at %.3f ms%s: %s", (double)trial->now_ns / 1e6,
            trial->is_dead ? " dead" : "", text);
        return 1;
    }
    trial_fail(trial, "%sstart %" PRIu32 " failed: %s", broken(trial, err, text),
        trial->result->start_cnt, text);
    return -1;
}

int
trial_start(struct trial *trial)
{
    struct trial_process process;
    char text[SIM_FAILURE_BYTES];
    const struct weir_job_restore_options restore = trial_save_restore(trial);
    trial->result->start_cnt++;
    trial_process_begin(trial);
    trial_save_plan(trial);
    int err = trial_process_open(trial, &restore, &process);
    note_sizes(trial, &process.sizes);
    bool is_open = err == 0;
    trial->job = process.job;
    err = is_open ? weir_job_run(trial->job) : err;
    weir_err_save(text, sizeof text); /* before looks at the job and the disk clear it */
    weir_err_clear();
    if (is_open) {
        leave_job(trial, err);
    }
    trial->job = NULL;
    trial_process_close(&process);
    if (is_open) {
        /* Behind a stop hidden parts of older starts may be left: whoever goes on removes them. */
        bool has_ended = err == 0 && !trial->is_dead && !trial->saves.is_stopping;
        (void)trial_look_at_disk(trial, has_ended);
    }
    return trial_step_check(trial, err, trial_judge(trial, err, text));
}
