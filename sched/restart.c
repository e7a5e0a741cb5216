/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/restart.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/err.h"

void
weir_restart_defaults(struct weir_restart_conf *ret_conf)
{
    *ret_conf = (struct weir_restart_conf){
        .strategy = WEIR_RESTART_NONE,
        .fixed = {.attempts = 1, .delay_ns = WEIR_SEC_NS},
        .rate = {.failures = 1, .interval_ns = 60 * WEIR_SEC_NS, .delay_ns = WEIR_SEC_NS},
        .exponential = {.initial_ns = WEIR_SEC_NS,
            .max_ns = 60 * WEIR_SEC_NS,
            .multiplier = 1.5,
            .jitter = 0.1,
            .reset_after_ns = 3600 * WEIR_SEC_NS,
            .attempts = WEIR_RESTART_UNLIMITED},
    };
}

int
weir_restart_init(struct weir_restart *restart, const struct weir_restart_conf *conf, uint64_t seed)
{
    bool is_rate = conf->rate.failures >= 1 && conf->rate.failures <= WEIR_RESTART_RATE_CNT_MAX &&
                   conf->rate.interval_ns > 0 && conf->rate.delay_ns >= 0;
    /* Written so that a NaN is out of range. */
    bool is_exponential = conf->exponential.initial_ns > 0 &&
                          conf->exponential.max_ns >= conf->exponential.initial_ns &&
                          conf->exponential.multiplier >= 1.0 && conf->exponential.jitter >= 0.0 &&
                          conf->exponential.jitter <= 1.0 && conf->exponential.reset_after_ns > 0;
    if (conf->fixed.delay_ns < 0 || !is_rate || !is_exponential) {
        return weir_err_push(WEIR_EINVAL, "a value of the restart strategies is out of range");
    }
    *restart = (struct weir_restart){.conf = *conf};
    weir_rng_init(&restart->rng, seed);
    return 0;
}

static bool
fixed_failure(struct weir_restart *restart, int64_t now_ns, int64_t *ret_at_ns)
{
    if (restart->attempt >= restart->conf.fixed.attempts) {
        (void)snprintf(restart->why, sizeof restart->why,
            "it was started again %" PRIu64 " times, as often as restart.fixed_delay.attempts says",
            restart->attempt);
        return false;
    }
    restart->attempt++;
    *ret_at_ns = now_ns + restart->conf.fixed.delay_ns;
    return true;
}

static bool
rate_failure(struct weir_restart *restart, int64_t now_ns, int64_t *ret_at_ns)
{
    uint64_t most = restart->conf.rate.failures;
    uint64_t slot_cnt = most + 1;
    restart->failed_ns[restart->failed_seq++ % slot_cnt] = now_ns;
    if (restart->failed_seq >= slot_cnt) {
        int64_t oldest_ns = restart->failed_ns[restart->failed_seq % slot_cnt];
        if (now_ns - oldest_ns <= restart->conf.rate.interval_ns) {
            (void)snprintf(restart->why, sizeof restart->why,
                "%" PRIu64 " failures in %lld ms, and restart.failure_rate.failures is %" PRIu64,
                slot_cnt, (long long)((now_ns - oldest_ns) / WEIR_MS), most);
            return false;
        }
    }
    *ret_at_ns = now_ns + restart->conf.rate.delay_ns;
    return true;
}

/* The delay of this attempt, spread, and never outside [initial, max]. */
static int64_t
backoff_draw(struct weir_restart *restart)
{
    double spread = (2.0 * weir_rng_unit(&restart->rng) - 1.0) * restart->conf.exponential.jitter;
    double delay = restart->backoff_ns * (1.0 + spread);
    int64_t delay_ns = (int64_t)delay;
    if (delay_ns < restart->conf.exponential.initial_ns) {
        delay_ns = restart->conf.exponential.initial_ns;
    }
    return delay_ns < restart->conf.exponential.max_ns ? delay_ns
                                                       : restart->conf.exponential.max_ns;
}

static bool
exponential_failure(struct weir_restart *restart, int64_t now_ns, int64_t *ret_at_ns)
{
    if (restart->has_next && now_ns <= restart->next_ns) {
        /* Several tasks fail of one cause: that is one failure. */
        *ret_at_ns = restart->next_ns;
        return true;
    }
    bool is_fresh =
        !restart->has_next || now_ns - restart->next_ns >= restart->conf.exponential.reset_after_ns;
    if (is_fresh) {
        restart->attempt = 0;
        restart->backoff_ns = (double)restart->conf.exponential.initial_ns;
    } else {
        double next = restart->backoff_ns * restart->conf.exponential.multiplier;
        double most = (double)restart->conf.exponential.max_ns;
        restart->backoff_ns = next < most ? next : most;
    }
    if (restart->attempt >= restart->conf.exponential.attempts) {
        (void)snprintf(restart->why, sizeof restart->why,
            "it was started again %" PRIu64
            " times, as often as restart.exponential_delay.attempts says",
            restart->attempt);
        return false;
    }
    restart->attempt++;
    restart->next_ns = now_ns + backoff_draw(restart);
    restart->has_next = true;
    *ret_at_ns = restart->next_ns;
    return true;
}

bool
weir_restart_failure(
    struct weir_restart *restart, enum weir_restart_cause cause, int64_t now_ns, int64_t *ret_at_ns)
{
    restart->violation_cnt = cause == WEIR_RESTART_VIOLATION ? restart->violation_cnt + 1 : 0;
    if (cause == WEIR_RESTART_PERMANENT) {
        (void)snprintf(restart->why, sizeof restart->why, "a restart cannot mend it");
        return false;
    }
    if (restart->violation_cnt >= WEIR_RESTART_VIOLATION_CNT_MAX) {
        (void)snprintf(restart->why, sizeof restart->why,
            "%u times in a row an invariant was broken", restart->violation_cnt);
        return false;
    }
    switch (restart->conf.strategy) {
    case WEIR_RESTART_NONE:
        (void)snprintf(restart->why, sizeof restart->why, "restart.strategy is none");
        return false;
    case WEIR_RESTART_FIXED_DELAY:
        return fixed_failure(restart, now_ns, ret_at_ns);
    case WEIR_RESTART_FAILURE_RATE:
        return rate_failure(restart, now_ns, ret_at_ns);
    case WEIR_RESTART_EXPONENTIAL_DELAY:
        return exponential_failure(restart, now_ns, ret_at_ns);
    }
    WEIR_CHECK(false, "strategy %d", (int)restart->conf.strategy);
    return false;
}

void
weir_restart_progress(struct weir_restart *restart)
{
    restart->violation_cnt = 0;
}
