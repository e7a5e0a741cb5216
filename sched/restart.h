/* SPDX-License-Identifier: Apache-2.0 */
/* restart.h: whether and when a job that failed is started again.
 *
 *     none               never
 *     fixed-delay        `attempts` times, `delay` after each failure
 *     failure-rate       unless more than `failures` fall into `interval`
 *     exponential-delay  after a delay that grows by `multiplier` from `initial` to `max`, is
 *                        spread by `jitter`, and starts again once the job ran for `reset_after`
 *
 * What a restart cannot mend ends the job at once, and so do three broken invariants in a row
 * (RELIABILITY 6): the same rows would break them again.
 *
 * Thread:  one; pure: time comes in, random numbers from a seed.
 * Source:  Flink's RestartBackoffTimeStrategy classes, their defaults of version 1.20.
 */
#ifndef WEIR_SCHED_RESTART_H
#define WEIR_SCHED_RESTART_H

#include "base/base.h"
#include "base/rng.h"

#define WEIR_RESTART_UNLIMITED UINT64_MAX
/* Failures that a rate may allow in its interval: each has its time remembered. */
#define WEIR_RESTART_RATE_CNT_MAX 100
#define WEIR_RESTART_VIOLATION_CNT_MAX 3
#define WEIR_RESTART_WHY_BYTES 160

/* In the order of the words of restart.strategy, without its `auto`. */
enum weir_restart_strategy {
    WEIR_RESTART_NONE,
    WEIR_RESTART_FIXED_DELAY,
    WEIR_RESTART_FAILURE_RATE,
    WEIR_RESTART_EXPONENTIAL_DELAY,
};

struct weir_restart_conf {
    enum weir_restart_strategy strategy;
    struct {
        uint64_t attempts;
        int64_t delay_ns;
    } fixed;
    struct {
        uint32_t failures; /* 1 to WEIR_RESTART_RATE_CNT_MAX */
        int64_t interval_ns;
        int64_t delay_ns;
    } rate;
    struct {
        int64_t initial_ns;
        int64_t max_ns;
        double multiplier; /* >= 1 */
        double jitter; /* 0 to 1: a part of the delay, to both sides */
        int64_t reset_after_ns;
        uint64_t attempts; /* before the delay is reset; WEIR_RESTART_UNLIMITED */
    } exponential;
};

enum weir_restart_cause {
    WEIR_RESTART_FAULT, /* of the world: a process, a disk, an operator's error */
    WEIR_RESTART_VIOLATION, /* an invariant was broken: the ledger does not add up, and such */
    WEIR_RESTART_PERMANENT, /* no restart can mend it: a graph or a state that does not fit */
};

struct weir_restart {
    struct weir_restart_conf conf;
    struct weir_rng rng;
    uint64_t attempt;
    uint32_t violation_cnt;
    int64_t next_ns; /* of the last restart that was granted */
    bool has_next;
    double backoff_ns;
    int64_t failed_ns[WEIR_RESTART_RATE_CNT_MAX + 1]; /* a ring */
    uint64_t failed_seq;
    char why[WEIR_RESTART_WHY_BYTES];
};

/* weir_restart_defaults - Flink's, with strategy NONE. */
void weir_restart_defaults(struct weir_restart_conf *ret_conf);

/* weir_restart_init - Errors: WEIR_EINVAL for values out of range. */
WEIR_API WEIR_MUST_USE int weir_restart_init(
    struct weir_restart *restart, const struct weir_restart_conf *conf, uint64_t seed);

/* weir_restart_failure - the job has failed at now_ns.
 *
 * Returns: true: start it again at *ret_at_ns (>= now_ns); a failure before that time belongs to
 *          the one before, with exponential-delay. false: give up; restart->why says why.
 */
WEIR_API WEIR_MUST_USE bool weir_restart_failure(struct weir_restart *restart,
    enum weir_restart_cause cause, int64_t now_ns, int64_t *ret_at_ns);

/* weir_restart_progress - a checkpoint of the restarted job is complete: broken invariants before
 * it were not "in a row" with the next. */
void weir_restart_progress(struct weir_restart *restart);

#endif
