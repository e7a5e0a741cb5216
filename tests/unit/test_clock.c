/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/test.h"

static int64_t
kernel_ns(clockid_t id)
{
    struct timespec ts;
    assert_int_equal(clock_gettime(id, &ts), 0);
    return (int64_t)ts.tv_sec * WEIR_SEC_NS + ts.tv_nsec;
}

static void
t_real_clock_does_not_go_back_and_stays_near_the_kernels(void **state)
{
    (void)state;
    struct weir_clock clock;
    weir_clock_init_real(&clock);
    print_message("source %s, %u kHz%s%s\n", weir_clock_source_name(&clock), clock.tsc_khz,
        clock.reason != NULL ? ": " : "", clock.reason != NULL ? clock.reason : "");
    assert_true((clock.reason == NULL) == (clock.source == WEIR_CLOCK_TSC));
    int64_t last = weir_clock_ns(&clock);
    for (int i = 0; i < 100000; i++) {
        int64_t now = weir_clock_ns(&clock);
        assert_true(now >= last);
        last = now;
    }
    /* Not a time, but an order: our reading lies between two of the kernel's, but for the error of
     * the calibration, which a millisecond holds a thousand times over. */
    int64_t before = kernel_ns(CLOCK_MONOTONIC);
    int64_t now = weir_clock_ns(&clock);
    int64_t after = kernel_ns(CLOCK_MONOTONIC);
    assert_true(now >= before - WEIR_MS && now <= after + WEIR_MS);
}

static void
t_os_clock_is_the_kernels(void **state)
{
    (void)state;
    struct weir_clock clock;
    weir_clock_init_os(&clock);
    int64_t before = kernel_ns(CLOCK_MONOTONIC);
    int64_t now = weir_clock_ns(&clock);
    assert_true(before <= now && now <= kernel_ns(CLOCK_MONOTONIC));
    before = kernel_ns(CLOCK_REALTIME);
    now = weir_clock_utc_ns(&clock);
    assert_true(before - WEIR_SEC_NS <= now && now <= kernel_ns(CLOCK_REALTIME) + WEIR_SEC_NS);
}

static void
t_simulated_clock_moves_only_when_moved(void **state)
{
    (void)state;
    struct weir_clock clock;
    weir_clock_init_sim(&clock, 100, 1000000);
    assert_int_equal(weir_clock_ns(&clock), 100);
    assert_int_equal(weir_clock_ns(&clock), 100);
    assert_int_equal(weir_clock_utc_ns(&clock), 1000000);
    weir_clock_advance(&clock, 50);
    assert_int_equal(weir_clock_ns(&clock), 150);
    assert_int_equal(weir_clock_utc_ns(&clock), 1000050);
    weir_clock_set(&clock, 150);
    weir_clock_set(&clock, 4000);
    assert_int_equal(weir_clock_ns(&clock), 4000);
    weir_clock_advance(&clock, INT64_MAX);
    assert_true(weir_clock_ns(&clock) == INT64_MAX);
}

static void
t_a_step_back_ends_the_program(void **state)
{
    (void)state;
    struct weir_clock clock;
    weir_clock_init_sim(&clock, 100, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* The message is the check's own; the parent looks at how it ended. */
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        weir_clock_set(&clock, 99);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
t_utc_text_has_microseconds_rounded_down(void **state)
{
    (void)state;
    char buf[WEIR_CLOCK_TEXT_BYTES];
    assert_string_equal(weir_clock_utc_text(0, buf), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(
        weir_clock_utc_text(1763718780123456999, buf), "2025-11-21T09:53:00.123456Z");
    assert_string_equal(weir_clock_utc_text(-1, buf), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(weir_clock_utc_text(INT64_MAX, buf), "2262-04-11T23:47:16.854775Z");
    assert_string_equal(weir_clock_utc_text(INT64_MIN, buf), "1677-09-21T00:12:43.145224Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_real_clock_does_not_go_back_and_stays_near_the_kernels),
        cmocka_unit_test(t_os_clock_is_the_kernels),
        cmocka_unit_test(t_simulated_clock_moves_only_when_moved),
        cmocka_unit_test(t_a_step_back_ends_the_program),
        cmocka_unit_test(t_utc_text_has_microseconds_rounded_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
