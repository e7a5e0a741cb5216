/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/checkpoint_conf.h"

#include "base/err.h"
#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"

/* A number, or what its word (none, unlimited) stands for. */
static int64_t
number_or(const struct weir_conf *conf, enum weir_conf_key key, int64_t of_word)
{
    int64_t number = weir_conf_i64(conf, key);
    return number != WEIR_CONF_WORD ? number : of_word;
}

static uint64_t
limit_of(const struct weir_conf *conf, enum weir_conf_key key)
{
    int64_t number = weir_conf_i64(conf, key);
    return number != WEIR_CONF_WORD ? (uint64_t)number : UINT64_MAX;
}

void
weir_checkpoint_conf_coordinator(
    const struct weir_conf *conf, struct weir_coordinator_conf *ret_conf)
{
    WEIR_STATIC_ASSERT(WEIR_CHECKPOINT_TOLERABLE_UNLIMITED == UINT64_MAX, "see limit_of");
    ret_conf->interval_ns =
        weir_conf_has_checkpoints(conf) ? number_or(conf, WEIR_CONF_CHECKPOINTS_INTERVAL, 0) : 0;
    ret_conf->pause_ns = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_MIN_PAUSE);
    ret_conf->timeout_ns = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_TIMEOUT);
    ret_conf->tolerable = limit_of(conf, WEIR_CONF_CHECKPOINTS_TOLERABLE_FAILURES);
    ret_conf->concurrent_max = (uint32_t)weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_MAX_CONCURRENT);
    ret_conf->queue_max = WEIR_CHECKPOINT_QUEUE_CNT_MAX;
    ret_conf->is_after_finish = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_AFTER_FINISH) != 0;
}

int
weir_checkpoint_conf_barriers(
    const struct weir_conf *conf, struct weir_checkpoint_barriers *ret_barriers)
{
    bool is_unaligned = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_UNALIGNED) != 0;
    bool is_tracked = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_MODE) == 1;
    const struct weir_conf_value *asked = weir_conf_value(conf, WEIR_CONF_CHECKPOINTS_UNALIGNED);
    const struct weir_conf_value *timeout =
        weir_conf_value(conf, WEIR_CONF_CHECKPOINTS_ALIGNMENT_TIMEOUT);
    if (is_unaligned && is_tracked) {
        return weir_err_push(WEIR_ECONFIG,
            "%s is %s (%s), and checkpoints.mode at-least-once: those barriers hold nothing back "
            "that could be overtaken",
            asked->path, asked->text, asked->origin);
    }
    if (is_unaligned && weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_MAX_CONCURRENT) > 1) {
        return weir_err_push(WEIR_ECONFIG,
            "%s is %s (%s), with checkpoints.max_concurrent above 1: a barrier that overtakes "
            "would give the older checkpoint up",
            asked->path, asked->text, asked->origin);
    }
    int64_t timeout_ns = weir_conf_i64(conf, WEIR_CONF_CHECKPOINTS_ALIGNMENT_TIMEOUT);
    if (!is_unaligned && timeout_ns != 0) {
        return weir_err_push(WEIR_ECONFIG, "%s is %s (%s), and checkpoints.unaligned is not set",
            timeout->path, timeout->text, timeout->origin);
    }
    *ret_barriers = (struct weir_checkpoint_barriers){is_tracked, is_unaligned, timeout_ns};
    return 0;
}

int
weir_checkpoint_conf_restart(const struct weir_conf *conf, struct weir_restart_conf *ret_conf)
{
    WEIR_STATIC_ASSERT(WEIR_RESTART_UNLIMITED == UINT64_MAX, "see limit_of");
    /* Of the words of restart.strategy `auto` is the first; the others are the enum's, in order. */
    int64_t word = weir_conf_i64(conf, WEIR_CONF_RESTART_STRATEGY);
    struct weir_restart_conf taken = {
        .strategy = word > 0                          ? (enum weir_restart_strategy)(word - 1)
                    : weir_conf_has_checkpoints(conf) ? WEIR_RESTART_EXPONENTIAL_DELAY
                                                      : WEIR_RESTART_NONE,
        .fixed = {.attempts = limit_of(conf, WEIR_CONF_RESTART_FIXED_ATTEMPTS),
            .delay_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_FIXED_DELAY)},
        .rate = {.failures = (uint32_t)weir_conf_i64(conf, WEIR_CONF_RESTART_RATE_FAILURES),
            .interval_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_RATE_INTERVAL),
            .delay_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_RATE_DELAY)},
        .exponential = {.initial_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_EXPONENTIAL_INITIAL),
            .max_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_EXPONENTIAL_MAX),
            .multiplier = weir_conf_real(conf, WEIR_CONF_RESTART_EXPONENTIAL_MULTIPLIER),
            .jitter = weir_conf_real(conf, WEIR_CONF_RESTART_EXPONENTIAL_JITTER),
            .reset_after_ns = weir_conf_i64(conf, WEIR_CONF_RESTART_EXPONENTIAL_RESET_AFTER),
            .attempts = limit_of(conf, WEIR_CONF_RESTART_EXPONENTIAL_ATTEMPTS)},
    };
    if (taken.exponential.initial_ns > taken.exponential.max_ns) {
        const struct weir_conf_value *initial =
            weir_conf_value(conf, WEIR_CONF_RESTART_EXPONENTIAL_INITIAL);
        const struct weir_conf_value *most =
            weir_conf_value(conf, WEIR_CONF_RESTART_EXPONENTIAL_MAX);
        return weir_err_push(WEIR_ECONFIG, "%s is %s (%s), more than %s, which is %s (%s)",
            initial->path, initial->text, initial->origin, most->path, most->text, most->origin);
    }
    *ret_conf = taken;
    return 0;
}
