/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_CNT 20000

static struct weir_hist hist_a;
static struct weir_hist hist_b;
static uint64_t sorted[SAMPLE_CNT];

static int
order_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void
t_every_value_lies_in_a_cell_of_its_own_size(void **state)
{
    (void)state;
    uint32_t last_idx = 0;
    assert_int_equal(weir_hist_cell_idx(0), 0);
    assert_int_equal(weir_hist_cell_idx((UINT64_C(1) << 40) - 1), WEIR_HIST_CELL_CNT - 1);
    for (uint32_t lg2 = 0; lg2 < 40; lg2++) {
        uint64_t width = lg2 < 11 ? 1 : UINT64_C(1) << (lg2 - 10);
        for (uint64_t i = 0; i < 1024; i += 31) {
            uint64_t ns = (UINT64_C(1) << lg2) + i * width;
            if (ns >> lg2 != 1) {
                break;
            }
            uint32_t idx = weir_hist_cell_idx(ns);
            assert_true(idx >= last_idx && idx < WEIR_HIST_CELL_CNT);
            assert_int_equal(weir_hist_cell_idx(ns + width - 1), idx);
            assert_int_equal(weir_hist_cell_idx(ns - 1), idx - 1);
            last_idx = idx;
        }
    }
}

/* The reference is the sorted list of values; the histogram may be above it by one part in
 * 1,024. */
static void
t_shares_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    static const double shares[] = {0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct weir_rng rng;
        weir_rng_init(&rng, seed);
        weir_hist_init(&hist_a);
        double sum = 0;
        size_t cnt = 1 + weir_rng_below(&rng, SAMPLE_CNT);
        for (size_t i = 0; i < cnt; i++) {
            sorted[i] = (weir_rng_u64(&rng) >> 24) >> weir_rng_below(&rng, 40);
            sum += (double)sorted[i];
            weir_hist_record(&hist_a, sorted[i]);
        }
        qsort(sorted, cnt, sizeof sorted[0], order_u64);
        for (size_t i = 0; i < WEIR_ARRAY_CNT(shares); i++) {
            double rank = ceil(shares[i] * (double)cnt - 1e-9);
            uint64_t exact = sorted[rank < 1.0 ? 0 : (size_t)rank - 1];
            uint64_t got = weir_hist_ns_at(&hist_a, shares[i]);
            assert_true(got >= exact && got - exact <= exact / 1024);
        }
        assert_int_equal(hist_a.cnt, cnt);
        assert_true(hist_a.ns_min == sorted[0] && hist_a.ns_max == sorted[cnt - 1]);
        assert_true(weir_hist_ns_at(&hist_a, 1.0) == sorted[cnt - 1]);
        assert_true(fabs(weir_hist_ns_mean(&hist_a) - sum / (double)cnt) <= 1e-9 * sum);
    }
}

/* i / 100.0 * 100 is a little more than i for some i: a rank must not slip to the next record. */
static void
t_a_share_that_names_a_record_gets_that_record(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    for (uint64_t i = 1; i <= 100; i++) {
        weir_hist_record(&hist_a, i);
    }
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(weir_hist_ns_at(&hist_a, (double)i / 100.0), i);
    }
}

static void
t_merged_is_as_if_recorded_in_one(void **state)
{
    (void)state;
    static struct weir_hist both;
    struct weir_rng rng;
    weir_rng_init(&rng, 99);
    weir_hist_init(&hist_a);
    weir_hist_init(&hist_b);
    weir_hist_init(&both);
    for (int i = 0; i < SAMPLE_CNT; i++) {
        uint64_t ns = weir_rng_below(&rng, 1 << 20);
        weir_hist_record_n(i % 3 == 0 ? &hist_a : &hist_b, ns, 2);
        weir_hist_record(&both, ns);
        weir_hist_record(&both, ns);
    }
    weir_hist_merge(&hist_a, &hist_b);
    assert_memory_equal(hist_a.cell, both.cell, sizeof both.cell);
    assert_true(hist_a.cnt == both.cnt && hist_a.over_cnt == both.over_cnt);
    assert_true(hist_a.ns_min == both.ns_min && hist_a.ns_max == both.ns_max);
    assert_true(hist_a.ns_sum == both.ns_sum);
    /* Squares are past 2^53 here: they are rounded in another order. */
    assert_true(fabs(hist_a.ns_square_sum / both.ns_square_sum - 1.0) < 1e-12);
}

static void
t_an_empty_histogram_says_zero(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    weir_hist_record_n(&hist_a, 5, 0);
    assert_int_equal(hist_a.cnt, 0);
    assert_int_equal(weir_hist_ns_at(&hist_a, 0.5), 0);
    assert_int_equal(weir_hist_ns_at(&hist_a, 1.0), 0);
    assert_true(weir_hist_ns_mean(&hist_a) == 0.0 && weir_hist_ns_deviation(&hist_a) == 0.0);
    assert_int_equal(weir_hist_cnt_above(&hist_a, 0), 0);
}

static void
t_values_over_the_range_are_counted_and_the_maximum_is_exact(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    weir_hist_record(&hist_a, 7);
    weir_hist_record(&hist_a, UINT64_C(1) << 40);
    weir_hist_record(&hist_a, UINT64_MAX / 4);
    assert_int_equal(hist_a.over_cnt, 2);
    assert_int_equal(hist_a.cnt, 3);
    assert_true(weir_hist_ns_at(&hist_a, 1.0) == UINT64_MAX / 4);
    assert_int_equal(weir_hist_cnt_above(&hist_a, 7), 2);
    assert_int_equal(weir_hist_cnt_above(&hist_a, UINT64_MAX), 0);
}

/* A stall of 100 intervals delays what was due meanwhile: all of it is counted, not one record. */
static void
t_a_stall_counts_for_every_record_that_was_due_in_it(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    int64_t now = 0;
    for (int64_t i = 0; i < 1000; i++) {
        int64_t intended = i * 1000;
        now = weir_max_i64(now, intended) + (i == 500 ? 100000 : 10);
        weir_hist_record_since(&hist_a, intended, now, 1);
    }
    assert_in_range(weir_hist_cnt_above(&hist_a, 1000), 99, 102);
    assert_int_equal(hist_a.ns_max, 100000);
    weir_hist_record_since(&hist_a, 50, 40, 1);
    assert_int_equal(hist_a.ns_min, 0);
}

/* tests/data/hist_java_2.1.11.hgrm is what HdrHistogram 2.1.11 (Java, Debian's package) prints for
 * the same values: Histogram(1, 2^40 - 1, 3), outputPercentileDistribution(out, 5, 1.0). */
static void
t_the_text_is_that_of_hdrhistogram(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    for (uint64_t i = 0; i < 2000; i++) {
        weir_hist_record_n(&hist_a, (i * i) % 2047, 1 + (i % 7 == 0 ? 3 : 0));
    }
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_non_null(to);
    assert_int_equal(weir_hist_print(&hist_a, to, 5, 1.0), 0);
    assert_int_equal(fclose(to), 0);
    FILE *f = fopen(WEIR_TEST_DATA "/hist_java_2.1.11.hgrm", "r");
    assert_non_null(f);
    static char wanted[16384];
    size_t wanted_bytes = fread(wanted, 1, sizeof wanted - 1, f);
    assert_int_equal(fclose(f), 0);
    wanted[wanted_bytes] = '\0';
    assert_string_equal(text, wanted);
    free(text);
}

static void
t_a_full_disk_is_reported(void **state)
{
    (void)state;
    weir_hist_init(&hist_a);
    weir_hist_record(&hist_a, 1);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(weir_hist_print(&hist_a, full, 5, 1.0), WEIR_EIO);
    (void)fclose(full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_value_lies_in_a_cell_of_its_own_size),
        cmocka_unit_test(t_shares_are_those_of_the_sorted_values),
        cmocka_unit_test(t_a_share_that_names_a_record_gets_that_record),
        cmocka_unit_test(t_merged_is_as_if_recorded_in_one),
        cmocka_unit_test(t_an_empty_histogram_says_zero),
        cmocka_unit_test(t_values_over_the_range_are_counted_and_the_maximum_is_exact),
        cmocka_unit_test(t_a_stall_counts_for_every_record_that_was_due_in_it),
        cmocka_unit_test(t_the_text_is_that_of_hdrhistogram),
        cmocka_unit_test(t_a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
