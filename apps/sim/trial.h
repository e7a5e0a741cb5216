/* SPDX-License-Identifier: Apache-2.0 */
/* trial.h: one seed's world from its beginning to its end.
 *
 *     draw a job  ->  start it  ->  it is killed, loses its power, fails of what was done to it, or
 *                        ^           is stopped with a savepoint
 *                        |                       |
 *                        '--- start it again ----'     ... until it has ended by itself
 *                    from its directory of checkpoints, or from a savepoint into a new one
 *                     ->  compare what its sinks have committed with the reference, row by row
 *
 * One thread; time, the order of polls, the order in which files are written, and all that goes
 * wrong are drawn from the seed. Sources hold their last rows back until the trial has seen what it
 * wants to see; from then on nothing goes wrong any more, so that every trial must come to its end.
 */
#ifndef WEIR_APPS_SIM_TRIAL_H
#define WEIR_APPS_SIM_TRIAL_H

#include "apps/sim/draw.h"
#include "sched/job.h"

#define SIM_FAILURE_BYTES 2048

/* What every trial has at the least. */
#define SIM_ROW_CNT_MIN 20000
#define SIM_CHECKPOINT_CNT_MIN 10
#define SIM_FAULT_CNT_MIN 5
#define SIM_RESTORE_CNT_MIN 1

enum sim_fault_kind {
    SIM_FAULT_KILL,
    SIM_FAULT_POWER,
    SIM_FAULT_KILL_IN_IO, /* with an operation of storage */
    SIM_FAULT_POWER_IN_IO,
    SIM_FAULT_EIO,
    SIM_FAULT_ENOSPC,
    SIM_FAULT_SYNC, /* a failed sync that loses what was pending */
    SIM_FAULT_LATE,
    SIM_FAULT_LOST, /* a write of a checkpoint or savepoint, so are the next two */
    SIM_FAULT_ASTRAY,
    SIM_FAULT_FLIP,
    SIM_FAULT_KIND_CNT
};
const char *sim_fault_name(enum sim_fault_kind kind);

/* What was in a trial, as bits, for the table of pairs. */
enum sim_feature {
    SIM_FEATURE_OP, /* and the operations behind it */
    SIM_FEATURE_PARTITIONER = SIM_FEATURE_OP + SIM_OP_CNT,
    SIM_FEATURE_FAULT = SIM_FEATURE_PARTITIONER + WEIR_PARTITION_BROADCAST + 2,
    SIM_FEATURE_PARALLELISM = SIM_FEATURE_FAULT + SIM_FAULT_KIND_CNT, /* 1 to 5 */
    SIM_FEATURE_CUT = SIM_FEATURE_PARALLELISM + SIM_PARALLELISM_MAX, /* all, none */
    SIM_FEATURE_RESCALED = SIM_FEATURE_CUT + 2,
    SIM_FEATURE_LATE_ROWS,
    SIM_FEATURE_MANY_KEYS,
    SIM_FEATURE_DEALT, /* a list state */
    SIM_FEATURE_SKEW,
    SIM_FEATURE_EARLY_END,
    SIM_FEATURE_FILE, /* a sink to F */
    SIM_FEATURE_PARTS, /* a sink to F/ */
    SIM_FEATURE_SIDE,
    SIM_FEATURE_SHORT_IO,
    SIM_FEATURE_SYNC_POWER, /* a failed sync, and then the power */
    SIM_FEATURE_SAVED_STOP, /* stopped with a savepoint, and started from it */
    SIM_FEATURE_SAVED_GOING, /* a savepoint of a job that goes on */
    SIM_FEATURE_SAVED_START, /* one of those, started from */
    SIM_FEATURE_UNALIGNED, /* barriers overtake rows */
    SIM_FEATURE_ALIGN_TIMEOUT, /* they do when an alignment has taken too long */
    SIM_FEATURE_REGAINED, /* rows that were overtaken came back */
    SIM_FEATURE_PIECES, /* batches are worked on in pieces, unaligned */
    SIM_FEATURE_SLICES, /* rows that are overtaken are copied few at a time */
    SIM_FEATURE_MARKERS, /* latency markers */
    SIM_FEATURE_BURSTS, /* rows come many at once */
    SIM_FEATURE_ALIGNED, /* sources wait for each other */
    SIM_FEATURE_BEGINS, /* a source begins checkpoints */
    SIM_FEATURE_LOOP, /* that ends with its last row */
    SIM_FEATURE_LOOP_WAIT, /* by time */
    SIM_FEATURE_LOG, /* a sink of changes */
    SIM_FEATURE_UPSERT, /* one without those that take back */
    SIM_FEATURE_MOVED, /* key groups, while it runs */
    SIM_FEATURE_CANCELED, /* while it runs */
    SIM_FEATURE_CANCELED_STEP, /* between two steps of a start */
    SIM_FEATURE_STEP, /* each step of a start has failed once */
    SIM_FEATURE_STEP_END = SIM_FEATURE_STEP + WEIR_JOB_STEP_CNT - 1,
    SIM_FEATURE_CNT
};
const char *sim_feature_name(uint32_t feature);
/* sim_features_meet - false: they are never in one trial, or a number stands for nothing that is
 * drawn. a is not above b. */
bool sim_features_meet(uint32_t a, uint32_t b);

struct weir_sim_pool;

struct sim_trial_conf {
    uint64_t seed;
    struct weir_sim_pool *pool; /* of the world; or NULL */
    uint64_t row_cnt;
    bool is_loud; /* tell each start and each fault on stderr */
};

struct sim_result {
    uint64_t trace; /* of all polls and all answers */
    uint64_t poll_cnt;
    uint64_t row_cnt; /* that sources have */
    uint64_t out_cnt; /* rows that were compared */
    uint32_t start_cnt;
    uint32_t restore_cnt; /* starts from a completed checkpoint */
    uint32_t checkpoint_cnt; /* completed */
    uint32_t savepoint_cnt; /* made */
    uint32_t fault_cnt; /* that happened */
    uint32_t fault_cnt_of[SIM_FAULT_KIND_CNT];
    bool has[SIM_FEATURE_CNT];
    char failure[SIM_FAILURE_BYTES]; /* "": none */
};

/* sim_trial - run a seed. Returns whether it went well; ret_result is whole either way. */
bool sim_trial(const struct sim_trial_conf *conf, struct sim_result *ret_result);

#endif
