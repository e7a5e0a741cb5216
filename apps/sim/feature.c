/* SPDX-License-Identifier: Apache-2.0 */
/* feature.c: names of what may be in a trial. */
#include "apps/sim/trial.h"

const char *
sim_fault_name(enum sim_fault_kind kind)
{
    static const char *const names[] = {"kill", "power_cut", "kill_in_io", "power_in_io", "eio",
        "enospc", "failed_sync", "late_io", "lost_write", "stray_write", "flipped_bit"};
    WEIR_STATIC_ASSERT(WEIR_ARRAY_CNT(names) == SIM_FAULT_KIND_CNT, "a name for each");
    return names[kind];
}

const char *
sim_feature_name(uint32_t feature)
{
    static const char *const parallelisms[] = {
        "parallelism_1", "parallelism_2", "parallelism_3", "parallelism_4", "parallelism_5"};
    static const char *const others[] = {"cut_all", "cut_none", "rescaled", "late_rows",
        "many_keys", "list", "skew", "early_end", "file", "parts", "side_output", "short_io",
        "failed_sync_power", "savepoint_stop", "savepoint", "savepoint_start", "unaligned",
        "alignment_timeout", "regained", "pieces", "slices", "markers", "bursts", "aligned",
        "begins", "loop", "loop_wait", "log", "upsert", "moved", "canceled", "canceled_step"};
    WEIR_STATIC_ASSERT(
        WEIR_ARRAY_CNT(others) == SIM_FEATURE_STEP - SIM_FEATURE_CUT, "a name for each");
    if (feature < SIM_FEATURE_PARTITIONER) {
        return sim_op_name((enum sim_op)feature);
    }
    if (feature < SIM_FEATURE_FAULT) {
        return weir_partitioner_name((enum weir_partitioner)(feature - SIM_FEATURE_PARTITIONER));
    }
    if (feature < SIM_FEATURE_PARALLELISM) {
        return sim_fault_name((enum sim_fault_kind)(feature - SIM_FEATURE_FAULT));
    }
    if (feature < SIM_FEATURE_CUT) {
        return parallelisms[feature - SIM_FEATURE_PARALLELISM];
    }
    if (feature >= SIM_FEATURE_STEP) {
        return weir_job_step_name((enum weir_job_step)(feature - SIM_FEATURE_STEP));
    }
    return others[feature - SIM_FEATURE_CUT];
}

static bool
is_drawn(uint32_t feature)
{
    if (feature == SIM_FEATURE_STEP + WEIR_JOB_STEP_THREADS) {
        return false; /* the seeded poller starts none */
    }
    return feature < SIM_FEATURE_PARTITIONER || feature >= SIM_FEATURE_FAULT ||
           (feature != SIM_FEATURE_PARTITIONER + WEIR_PARTITION_BROADCAST &&
               feature <= SIM_FEATURE_PARTITIONER + WEIR_PARTITION_GLOBAL);
}

bool
sim_features_meet(uint32_t a, uint32_t b)
{
    /* A source that waits for others shares its stage with what says how far it is. */
    bool is_apart = a == SIM_FEATURE_CUT && b == SIM_FEATURE_ALIGNED;
    /* While a source begins the checkpoints, savepoints of a job that goes on are refused. */
    is_apart |=
        (a == SIM_FEATURE_SAVED_GOING || a == SIM_FEATURE_SAVED_START) && b == SIM_FEATURE_BEGINS;
    /* Key groups of a job with a loop stay, and those of one whose sources begin checkpoints, until
     * these have ended. */
    is_apart |= b == SIM_FEATURE_MOVED &&
                (a == SIM_FEATURE_LOOP || a == SIM_FEATURE_LOOP_WAIT || a == SIM_FEATURE_BEGINS);
    return is_drawn(a) && is_drawn(b) && !is_apart;
}
