/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/checkpoint_conf.h"

#include <string.h>

#include "base/err.h"
#include "sched/checkpoint_failure.h"
#include "tests/unit/test.h"

static struct weir_conf *conf;
static struct weir_coordinator_conf coordinator;
static struct weir_restart_conf restart;

static void
set(const char *text)
{
    assert_int_equal(weir_conf_set(conf, "--set", text), 0);
}

static void
begin(void)
{
    assert_int_equal(weir_conf_new(&conf), 0);
}

static void
take(void)
{
    weir_checkpoint_conf_coordinator(conf, &coordinator);
    assert_int_equal(weir_checkpoint_conf_restart(conf, &restart), 0);
    weir_conf_close(conf);
}

static void
t_built_in_values_are_flinks(void **state)
{
    (void)state;
    begin();
    take();
    assert_int_equal(coordinator.interval_ns, 0);
    assert_int_equal(coordinator.pause_ns, 0);
    assert_int_equal(coordinator.timeout_ns, 600 * WEIR_SEC_NS);
    assert_int_equal(coordinator.concurrent_max, 1);
    assert_true(coordinator.is_after_finish);
    /* Not Flink's 0: a fault of the storage does not stop a job. */
    assert_true(coordinator.tolerable == WEIR_CHECKPOINT_TOLERABLE_UNLIMITED);
    struct weir_restart_conf wanted;
    weir_restart_defaults(&wanted);
    assert_int_equal(restart.strategy, WEIR_RESTART_NONE);
    assert_int_equal(restart.fixed.attempts, wanted.fixed.attempts);
    assert_int_equal(restart.fixed.delay_ns, wanted.fixed.delay_ns);
    assert_int_equal(restart.rate.failures, wanted.rate.failures);
    assert_int_equal(restart.rate.interval_ns, wanted.rate.interval_ns);
    assert_int_equal(restart.rate.delay_ns, wanted.rate.delay_ns);
    assert_int_equal(restart.exponential.initial_ns, wanted.exponential.initial_ns);
    assert_int_equal(restart.exponential.max_ns, wanted.exponential.max_ns);
    assert_true(restart.exponential.multiplier == wanted.exponential.multiplier);
    assert_true(restart.exponential.jitter == wanted.exponential.jitter);
    assert_int_equal(restart.exponential.reset_after_ns, wanted.exponential.reset_after_ns);
    assert_true(restart.exponential.attempts == wanted.exponential.attempts);
}

static void
t_every_key_arrives(void **state)
{
    (void)state;
    begin();
    set("checkpoints.dir=/d");
    set("checkpoints.interval=100ms");
    set("checkpoints.min_pause=2ms");
    set("checkpoints.timeout=3s");
    set("checkpoints.max_concurrent=4");
    set("checkpoints.tolerable_failures=5");
    set("checkpoints.retained=6");
    set("checkpoints.after_finish=false");
    set("restart.fixed_delay.attempts=unlimited");
    set("restart.fixed_delay.delay=7ns");
    set("restart.failure_rate.failures=8");
    set("restart.failure_rate.interval=9s");
    set("restart.failure_rate.delay=10ns");
    set("restart.exponential_delay.initial=11s");
    set("restart.exponential_delay.max=12s");
    set("restart.exponential_delay.multiplier=1.25");
    set("restart.exponential_delay.jitter=0.5");
    set("restart.exponential_delay.reset_after=13s");
    set("restart.exponential_delay.attempts=14");
    take();
    assert_int_equal(coordinator.interval_ns, 100 * WEIR_MS);
    assert_int_equal(coordinator.pause_ns, 2 * WEIR_MS);
    assert_int_equal(coordinator.timeout_ns, 3 * WEIR_SEC_NS);
    assert_int_equal(coordinator.concurrent_max, 4);
    assert_int_equal(coordinator.tolerable, 5);
    assert_false(coordinator.is_after_finish);
    assert_int_equal(restart.strategy, WEIR_RESTART_EXPONENTIAL_DELAY);
    assert_true(restart.fixed.attempts == WEIR_RESTART_UNLIMITED);
    assert_int_equal(restart.fixed.delay_ns, 7);
    assert_int_equal(restart.rate.failures, 8);
    assert_int_equal(restart.rate.interval_ns, 9 * WEIR_SEC_NS);
    assert_int_equal(restart.rate.delay_ns, 10);
    assert_int_equal(restart.exponential.initial_ns, 11 * WEIR_SEC_NS);
    assert_int_equal(restart.exponential.max_ns, 12 * WEIR_SEC_NS);
    assert_true(restart.exponential.multiplier == 1.25);
    assert_true(restart.exponential.jitter == 0.5);
    assert_int_equal(restart.exponential.reset_after_ns, 13 * WEIR_SEC_NS);
    assert_int_equal(restart.exponential.attempts, 14);
}

static void
t_strategies_are_named_as_flink_names_them(void **state)
{
    (void)state;
    static const struct {
        const char *set;
        enum weir_restart_strategy strategy;
    } cases[] = {
        {"restart.strategy=none", WEIR_RESTART_NONE},
        {"restart.strategy=fixed-delay", WEIR_RESTART_FIXED_DELAY},
        {"restart.strategy=failure-rate", WEIR_RESTART_FAILURE_RATE},
        {"restart-strategy.type=exponential-delay", WEIR_RESTART_EXPONENTIAL_DELAY},
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(cases); i++) {
        begin();
        set("checkpoints.dir=/d");
        set(cases[i].set);
        take();
        assert_int_equal(restart.strategy, cases[i].strategy);
    }
}

static void
t_an_interval_without_a_directory_starts_nothing(void **state)
{
    (void)state;
    begin();
    set("checkpoints.interval=1s");
    take();
    assert_int_equal(coordinator.interval_ns, 0);
}

static void
t_a_first_delay_beyond_the_longest_is_refused(void **state)
{
    (void)state;
    begin();
    set("restart.exponential_delay.initial=2m");
    weir_err_clear();
    assert_int_equal(weir_checkpoint_conf_restart(conf, &restart), WEIR_ECONFIG);
    assert_string_equal(weir_err_at(0),
        "restart.exponential_delay.initial is 2m (--set), more than restart.exponential_delay.max, "
        "which is 1m (built-in)");
    weir_err_clear();
    weir_conf_close(conf);
}

static void
t_barriers_overtake_only_where_it_is_safe(void **state)
{
    (void)state;
    struct weir_checkpoint_barriers barriers;
    begin();
    assert_int_equal(weir_checkpoint_conf_barriers(conf, &barriers), 0);
    assert_false(barriers.is_unaligned || barriers.is_tracked);
    set("checkpoints.alignment_timeout=5ms");
    assert_int_equal(weir_checkpoint_conf_barriers(conf, &barriers), WEIR_ECONFIG);
    set("checkpoints.unaligned=true");
    assert_int_equal(weir_checkpoint_conf_barriers(conf, &barriers), 0);
    assert_true(barriers.is_unaligned && !barriers.is_tracked);
    assert_int_equal(barriers.timeout_ns, 5 * WEIR_MS);
    set("checkpoints.max_concurrent=2");
    assert_int_equal(weir_checkpoint_conf_barriers(conf, &barriers), WEIR_ECONFIG);
    set("checkpoints.max_concurrent=1");
    set("checkpoints.mode=at-least-once");
    assert_int_equal(weir_checkpoint_conf_barriers(conf, &barriers), WEIR_ECONFIG);
    weir_err_clear();
    weir_conf_close(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_barriers_overtake_only_where_it_is_safe),
        cmocka_unit_test(t_built_in_values_are_flinks),
        cmocka_unit_test(t_every_key_arrives),
        cmocka_unit_test(t_strategies_are_named_as_flink_names_them),
        cmocka_unit_test(t_an_interval_without_a_directory_starts_nothing),
        cmocka_unit_test(t_a_first_delay_beyond_the_longest_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
