/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/debloat.h"

#include "base/err.h"
#include "tests/unit/test.h"

#define NOT_TOLD UINT32_MAX

static struct weir_debloat
debloat_of(int64_t target_ms, uint32_t min, uint32_t max, uint32_t samples)
{
    struct weir_debloat debloat;
    const struct weir_debloat_conf conf = {.target_ns = target_ms * WEIR_MS,
        .size_min = min,
        .size_max = max,
        .sample_cnt = samples,
        .threshold_percent = 25};
    assert_int_equal(weir_debloat_init(&debloat, &conf), 0);
    return debloat;
}

/* One sample with a fresh one: what is told. */
static uint32_t
told(int64_t target_ms, uint32_t max, uint64_t bytes_per_s, uint32_t buf_cnt)
{
    struct weir_debloat debloat = debloat_of(target_ms, 50, max, 1);
    uint32_t size = 0;
    return weir_debloat_sample(&debloat, bytes_per_s, buf_cnt, &size) == 1 ? size : NOT_TOLD;
}

static void
t_T262_the_size_follows_throughput_target_and_buffers_in_use(void **state)
{
    (void)state;
    assert_int_equal(told(1200, 1100, 3333, 16), 250);
    assert_int_equal(told(1200, 1100, 0, 16), 50);
    assert_int_equal(told(7, 1100, 3333, 16), 50);
    assert_int_equal(told(1200, 248, 3333, 16), NOT_TOLD); /* it is the greatest already */
    assert_int_equal(told(1200, 1100, 333, 0), 400); /* as one */
    assert_int_equal(told(1200, 1100, 333, 1), 400);
    assert_int_equal(told(1200, 1100, UINT64_MAX, 1), NOT_TOLD);
}

static void
t_T263_small_changes_are_not_told_but_the_bounds_are_once(void **state)
{
    (void)state;
    uint32_t size = 0;
    struct weir_debloat debloat = debloat_of(1000, 50, 1100, 1);
    assert_int_equal(weir_debloat_sample(&debloat, 900, 1, &size), 0); /* 18 % less */
    assert_int_equal(weir_debloat_sample(&debloat, 800, 1, &size), 1); /* of what was told */
    assert_int_equal(size, 800);
    assert_int_equal(weir_debloat_sample(&debloat, 999, 1, &size), 0);
    assert_int_equal(weir_debloat_sample(&debloat, 1000, 1, &size), 1);
    assert_int_equal(size, 1000);
    assert_int_equal(weir_debloat_sample(&debloat, 5000, 1, &size), 1); /* 10 % more: the bound */
    assert_int_equal(size, 1100);
    assert_int_equal(weir_debloat_sample(&debloat, 5000, 1, &size), 0);
    assert_int_equal(weir_debloat_sample(&debloat, 60, 1, &size), 1);
    assert_int_equal(weir_debloat_sample(&debloat, 50, 1, &size), 1); /* 17 % less: the bound */
    assert_int_equal(size, 50);
    assert_int_equal(weir_debloat_sample(&debloat, 1, 1, &size), 0);
}

static void
t_T264_the_average_grows_as_it_shrinks_and_stays_within_bounds(void **state)
{
    static const struct {
        int64_t bytes;
        uint32_t buf_cnt;
        uint32_t size;
    } samples[] = {{111, 13, 104}, {107, 7, 60}, {107, 7, 38}, {107, 7, 26}, {107, 7, 21},
        {107, 7, 18}, {107, 13, 13}, {107, 13, 11}, {107, 13, 10}, {333, 1, 15}, {333, 1, 23},
        {333, 1, 34}, {333, 1, 51}, {333, 1, 76}, {333, 1, 114}};
    (void)state;
    uint32_t size = 0;
    struct weir_debloat debloat = debloat_of(0, 10, 200, 3);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(samples); i++) {
        assert_int_equal(
            weir_debloat_average(&debloat, samples[i].bytes, samples[i].buf_cnt, &size), 0);
        assert_int_equal(size, samples[i].size);
    }
    assert_int_equal(weir_debloat_average(&debloat, -1, 1, &size), WEIR_EINVAL);
    assert_int_equal(weir_debloat_average(&debloat, 1, 0, &size), WEIR_EINVAL);
    weir_err_clear();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(weir_debloat_average(&debloat, INT64_MAX, 1, &size), 0);
    }
    assert_int_equal(size, 200);
}

static void
t_impossible_confs_are_refused(void **state)
{
    static const struct weir_debloat_conf bad[] = {
        {.size_min = 0, .size_max = 10, .sample_cnt = 1},
        {.size_min = 11, .size_max = 10, .sample_cnt = 1},
        {.size_min = 1, .size_max = 10, .sample_cnt = 0},
        {.size_min = 1, .size_max = 10, .sample_cnt = 1, .target_ns = -1},
    };
    (void)state;
    struct weir_debloat debloat;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        assert_int_equal(weir_debloat_init(&debloat, &bad[i]), WEIR_EINVAL);
        weir_err_clear();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T262_the_size_follows_throughput_target_and_buffers_in_use),
        cmocka_unit_test(t_T263_small_changes_are_not_told_but_the_bounds_are_once),
        cmocka_unit_test(t_T264_the_average_grows_as_it_shrinks_and_stays_within_bounds),
        cmocka_unit_test(t_impossible_confs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
