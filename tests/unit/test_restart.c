/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/err.h"
#include "sched/restart.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

static struct weir_restart restart;
static struct weir_restart_conf conf;

static void
begin(enum weir_restart_strategy strategy)
{
    weir_restart_defaults(&conf);
    conf.strategy = strategy;
}

static void
init(uint64_t seed)
{
    assert_int_equal(weir_restart_init(&restart, &conf, seed), 0);
}

/* The delay that is granted, or -1. */
static int64_t
fail_at(int64_t now_ns)
{
    int64_t at_ns = -2;
    bool is_granted = weir_restart_failure(&restart, WEIR_RESTART_FAULT, now_ns, &at_ns);
    return is_granted ? at_ns - now_ns : -1;
}

static void
t_none_never_restarts(void **state)
{
    (void)state;
    begin(WEIR_RESTART_NONE);
    init(1);
    assert_int_equal(fail_at(0), -1);
    assert_string_equal(restart.why, "restart.strategy is none");
}

static void
t_fixed_delay_restarts_so_often(void **state)
{
    (void)state;
    begin(WEIR_RESTART_FIXED_DELAY);
    init(1);
    assert_int_equal(fail_at(5), WEIR_SEC_NS);
    assert_int_equal(fail_at(6), -1);
    conf.fixed.attempts = 3;
    conf.fixed.delay_ns = 0;
    init(1);
    for (int64_t now_ns = 0; now_ns < 3; now_ns++) {
        assert_int_equal(fail_at(now_ns), 0);
    }
    assert_int_equal(fail_at(INT64_C(1) << 60), -1);
    assert_string_equal(
        restart.why, "it was started again 3 times, as often as restart.fixed_delay.attempts says");
}

/* FailureRateRestartBackoffTimeStrategyTest.testManyFailuresWithinRate,
 * testFailuresExceedingRate. */
static void
t_failure_rate_looks_at_an_interval(void **state)
{
    (void)state;
    begin(WEIR_RESTART_FAILURE_RATE);
    conf.rate.failures = 3;
    conf.rate.interval_ns = 100;
    conf.rate.delay_ns = 7;
    init(1);
    assert_int_equal(fail_at(0), 7);
    assert_int_equal(fail_at(10), 7);
    assert_int_equal(fail_at(20), 7);
    assert_int_equal(fail_at(101), 7); /* 0 is out of the interval */
    assert_int_equal(fail_at(111), 7);
    assert_int_equal(fail_at(120), -1); /* 20, 101, 111, 120: four in 100 */
    assert_string_equal(restart.why, "4 failures in 0 ms, and restart.failure_rate.failures is 3");
    conf.rate.failures = WEIR_RESTART_RATE_CNT_MAX;
    init(1);
    for (int64_t i = 0; i < WEIR_RESTART_RATE_CNT_MAX; i++) {
        assert_int_equal(fail_at(i), 7);
    }
    assert_int_equal(fail_at(100), -1);
}

static void
t_exponential_delay_grows_to_its_end_and_starts_again(void **state)
{
    (void)state;
    begin(WEIR_RESTART_EXPONENTIAL_DELAY);
    conf.exponential.initial_ns = 1000;
    conf.exponential.max_ns = 5000;
    conf.exponential.multiplier = 2.0;
    conf.exponential.jitter = 0.0;
    conf.exponential.reset_after_ns = 100000;
    init(1);
    static const int64_t delays[] = {1000, 2000, 4000, 5000, 5000};
    int64_t now_ns = 0;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(delays); i++) {
        assert_int_equal(fail_at(now_ns), delays[i]);
        now_ns += delays[i] + 1;
    }
    now_ns += 100000 - 2; /* it ran for one less than the threshold */
    assert_int_equal(fail_at(now_ns), 5000);
    now_ns += 5000 + 100000;
    assert_int_equal(fail_at(now_ns), 1000);
    /* A second task that fails of the same cause. */
    assert_int_equal(fail_at(now_ns + 400), 600);
    assert_int_equal(fail_at(now_ns + 1000), 0);
    assert_int_equal(fail_at(now_ns + 1001), 2000);
}

static void
t_exponential_delay_may_end(void **state)
{
    (void)state;
    begin(WEIR_RESTART_EXPONENTIAL_DELAY);
    conf.exponential.attempts = 2;
    init(1);
    int64_t now_ns = 0;
    for (int i = 0; i < 2; i++) {
        int64_t delay_ns = fail_at(now_ns);
        assert_true(delay_ns > 0);
        now_ns += delay_ns + 1;
    }
    assert_int_equal(fail_at(now_ns), -1);
    /* After a long run the attempts start again too. */
    assert_true(fail_at(now_ns + conf.exponential.reset_after_ns) > 0);
}

static void
t_jitter_spreads_within_its_bounds(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    begin(WEIR_RESTART_EXPONENTIAL_DELAY);
    conf.exponential.max_ns = 1000 * WEIR_SEC_NS;
    conf.exponential.multiplier = 2.0;
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        init(seed + i);
        int64_t first_ns = fail_at(0);
        assert_in_range(first_ns, WEIR_SEC_NS, WEIR_SEC_NS / 10 * 11);
        int64_t second_ns = fail_at(first_ns + 1);
        assert_in_range(second_ns, WEIR_SEC_NS / 10 * 18, WEIR_SEC_NS / 10 * 22);
        least = second_ns < least ? second_ns : least;
        most = second_ns > most ? second_ns : most;
    }
    assert_true(least < WEIR_SEC_NS / 100 * 185 && most > WEIR_SEC_NS / 100 * 215);
    /* The same seed, the same delays. */
    init(seed);
    int64_t again_ns = fail_at(0);
    init(seed);
    assert_int_equal(fail_at(0), again_ns);
}

static void
t_what_a_restart_cannot_mend_ends_the_job(void **state)
{
    (void)state;
    int64_t at_ns;
    begin(WEIR_RESTART_FIXED_DELAY);
    conf.fixed.attempts = WEIR_RESTART_UNLIMITED;
    init(1);
    assert_false(weir_restart_failure(&restart, WEIR_RESTART_PERMANENT, 0, &at_ns));
    for (int round = 0; round < 2; round++) {
        assert_true(weir_restart_failure(&restart, WEIR_RESTART_VIOLATION, 0, &at_ns));
        assert_true(weir_restart_failure(&restart, WEIR_RESTART_VIOLATION, 0, &at_ns));
        if (round == 0) {
            weir_restart_progress(&restart);
        }
    }
    assert_false(weir_restart_failure(&restart, WEIR_RESTART_VIOLATION, 0, &at_ns));
    assert_string_equal(restart.why, "3 times in a row an invariant was broken");
    assert_true(weir_restart_failure(&restart, WEIR_RESTART_FAULT, 0, &at_ns));
    assert_true(weir_restart_failure(&restart, WEIR_RESTART_VIOLATION, 0, &at_ns));
}

static void
refused(void)
{
    assert_int_equal(weir_restart_init(&restart, &conf, 1), WEIR_EINVAL);
    weir_err_clear();
    begin(WEIR_RESTART_NONE);
}

static void
t_wrong_values_are_refused(void **state)
{
    (void)state;
    begin(WEIR_RESTART_NONE);
    conf.fixed.delay_ns = -1;
    refused();
    conf.rate.failures = 0;
    refused();
    conf.rate.failures = WEIR_RESTART_RATE_CNT_MAX + 1;
    refused();
    conf.exponential.multiplier = 0.9;
    refused();
    conf.exponential.jitter = 1.1;
    refused();
    conf.exponential.max_ns = conf.exponential.initial_ns - 1;
    refused();
    init(1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_none_never_restarts),
        cmocka_unit_test(t_fixed_delay_restarts_so_often),
        cmocka_unit_test(t_failure_rate_looks_at_an_interval),
        cmocka_unit_test(t_exponential_delay_grows_to_its_end_and_starts_again),
        cmocka_unit_test(t_exponential_delay_may_end),
        cmocka_unit_test(t_jitter_spreads_within_its_bounds),
        cmocka_unit_test(t_what_a_restart_cannot_mend_ends_the_job),
        cmocka_unit_test(t_wrong_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
