/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "tests/unit/test.h"

#include <string.h>

/* The first numbers of splitmix64 from 1234567 as its authors publish them; the stream is a
 * format. */
static void
t_splitmix_gives_the_published_numbers(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {6457827717110365317u, 3203168211198807973u,
        9817491932198370423u, 4593380528125082431u, 16408922859458223821u};
    for (uint64_t i = 0; i < WEIR_ARRAY_CNT(wanted); i++) {
        assert_true(weir_rng_at(1234567, i) == wanted[i]);
    }
}

/* xoshiro256** from the state 1, 2, 3, 4: the numbers of the rand_xoshiro crate's test. */
static void
t_xoshiro_gives_the_published_numbers(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {11520u, 0u, 1509978240u, 1215971899390074240u,
        1216172134540287360u, 607988272756665600u, 16172922978634559625u, 8476171486693032832u,
        10595114339597558777u, 2904607092377533576u};
    struct weir_rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wanted); i++) {
        assert_true(weir_rng_u64(&rng) == wanted[i]);
    }
}

static void
t_same_seed_same_stream_other_seed_other_stream(void **state)
{
    (void)state;
    struct weir_rng a;
    struct weir_rng b;
    struct weir_rng c;
    weir_rng_init(&a, 7);
    weir_rng_init(&b, 7);
    weir_rng_init(&c, 8);
    int same_cnt = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t drawn = weir_rng_u64(&a);
        assert_true(drawn == weir_rng_u64(&b));
        same_cnt += drawn == weir_rng_u64(&c);
    }
    assert_int_equal(same_cnt, 0);
}

static void
t_bounded_draws_stay_in_bounds_and_reach_both_ends(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 1);
    uint32_t hit[10] = {0};
    bool reached[7] = {false};
    for (int i = 0; i < 10000; i++) {
        uint64_t below = weir_rng_below(&rng, 10);
        assert_true(below < 10);
        hit[below]++;
        int64_t between = weir_rng_between(&rng, -3, 3);
        assert_true(between >= -3 && between <= 3);
        reached[between + 3] = true;
        double unit = weir_rng_unit(&rng);
        assert_true(unit >= 0.0 && unit < 1.0);
    }
    /* 1,000 each are due; seven standard deviations are 210. */
    for (size_t i = 0; i < WEIR_ARRAY_CNT(hit); i++) {
        assert_in_range(hit[i], 790, 1210);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(reached); i++) {
        assert_true(reached[i]);
    }
    assert_int_equal(weir_rng_between(&rng, INT64_MIN, INT64_MIN), INT64_MIN);
    assert_true(weir_rng_scale(UINT64_MAX, 10) == 9 && weir_rng_scale(0, 10) == 0);
    assert_true(weir_rng_chance(&rng, 1, 1) && !weir_rng_chance(&rng, 0, 1));
}

static void
t_forks_differ_by_id_and_leave_the_parent_alone(void **state)
{
    (void)state;
    struct weir_rng parent;
    struct weir_rng a;
    struct weir_rng b;
    struct weir_rng again;
    weir_rng_init(&parent, 3);
    struct weir_rng before = parent;
    weir_rng_fork(&parent, 1, &a);
    weir_rng_fork(&parent, 2, &b);
    weir_rng_fork(&parent, 1, &again);
    assert_memory_equal(&parent, &before, sizeof parent);
    assert_memory_equal(&a, &again, sizeof a);
    assert_true(memcmp(&a, &b, sizeof a) != 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_splitmix_gives_the_published_numbers),
        cmocka_unit_test(t_xoshiro_gives_the_published_numbers),
        cmocka_unit_test(t_same_seed_same_stream_other_seed_other_stream),
        cmocka_unit_test(t_bounded_draws_stay_in_bounds_and_reach_both_ends),
        cmocka_unit_test(t_forks_differ_by_id_and_leave_the_parent_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
