/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer itself: small programs whose possible outcomes under C11 are known. */
#include "tests/race/race_atomic.h"
#include "tests/race/race_test.h"

static uint64_t x;
static uint64_t y;
static uint64_t datum;
static uint64_t r0;
static uint64_t r1;
static uint32_t seen_mask; /* bit r0 * 4 + r1 of each outcome, over all runs */

static void
reset(void)
{
    x = 0;
    y = 0;
    datum = 0;
    r0 = 0;
    r1 = 0;
}

static void
finish(void)
{
    seen_mask |= 1u << (r0 * 4 + r1);
}

#define OUTCOME(a, b) (1u << ((a)*4 + (b)))

static uint32_t
outcomes(const char *name, void (*first)(void), void (*second)(void), void (*third)(void))
{
    const struct race_case cs = {name, reset, {first, second, third}, finish};
    seen_mask = 0;
    race_expect_clean(&cs);
    return seen_mask;
}

static void
sb_first_sc(void)
{
    weir_store_sc(&x, 1);
    r0 = weir_load_sc(&y);
}

static void
sb_second_sc(void)
{
    weir_store_sc(&y, 1);
    r1 = weir_load_sc(&x);
}

static void
sb_second(void)
{
    weir_store_rel(&y, 1);
    r1 = weir_load_acq(&x);
}

static void
t_store_buffering_needs_all_four(void **state)
{
    (void)state;
    uint32_t strong = OUTCOME(0, 1) | OUTCOME(1, 0) | OUTCOME(1, 1);
    assert_int_equal(outcomes("sb sc", sb_first_sc, sb_second_sc, NULL), strong);
    uint32_t weak = strong | OUTCOME(0, 0);
    assert_int_equal(outcomes("sb half sc", sb_first_sc, sb_second, NULL), weak);
}

static void
mp_first(void)
{
    weir_store_rlx(&x, 1);
    weir_store_rel(&y, 1);
}

static void
mp_first_rlx(void)
{
    weir_store_rlx(&x, 1);
    weir_store_rlx(&y, 1);
}

static void
mp_second(void)
{
    r0 = weir_load_acq(&y);
    r1 = weir_load_rlx(&x);
}

static void
t_message_passing_needs_release_and_acquire(void **state)
{
    (void)state;
    uint32_t strong = OUTCOME(0, 0) | OUTCOME(0, 1) | OUTCOME(1, 1);
    assert_int_equal(outcomes("mp", mp_first, mp_second, NULL), strong);
    assert_int_equal(outcomes("mp relaxed", mp_first_rlx, mp_second, NULL), strong | OUTCOME(1, 0));
}

static void
mp_first_fence(void)
{
    weir_store_rlx(&x, 1);
    weir_fence_rel();
    weir_store_rlx(&y, 1);
}

static void
mp_second_fence(void)
{
    r0 = weir_load_rlx(&y);
    weir_fence_acq();
    r1 = weir_load_rlx(&x);
}

static void
mp_second_rlx(void)
{
    r0 = weir_load_rlx(&y);
    r1 = weir_load_rlx(&x);
}

static void
t_message_passing_by_fences_needs_both(void **state)
{
    (void)state;
    uint32_t strong = OUTCOME(0, 0) | OUTCOME(0, 1) | OUTCOME(1, 1);
    uint32_t weak = strong | OUTCOME(1, 0);
    assert_int_equal(outcomes("mp fences", mp_first_fence, mp_second_fence, NULL), strong);
    assert_int_equal(outcomes("mp fence, acquire", mp_first_fence, mp_second, NULL), strong);
    assert_int_equal(outcomes("mp release, fence", mp_first, mp_second_fence, NULL), strong);
    assert_int_equal(outcomes("mp no acquire", mp_first_fence, mp_second_rlx, NULL), weak);
    assert_int_equal(outcomes("mp no release", mp_first_rlx, mp_second_fence, NULL), weak);
}

static void
co_first(void)
{
    weir_store_rlx(&x, 1);
    weir_store_rlx(&x, 2);
}

static void
co_second(void)
{
    r0 = weir_load_rlx(&x);
    r1 = weir_load_rlx(&x);
}

static void
t_one_place_never_goes_back(void **state)
{
    (void)state;
    assert_int_equal(outcomes("coherence", co_first, co_second, NULL),
        OUTCOME(0, 0) | OUTCOME(0, 1) | OUTCOME(0, 2) | OUTCOME(1, 1) | OUTCOME(1, 2) |
            OUTCOME(2, 2));
}

static void
add_first(void)
{
    r0 = weir_fetch_add_rlx(&x, 1);
}

static void
add_second(void)
{
    r1 = weir_fetch_add_rlx(&x, 1);
}

static void
t_additions_do_not_get_lost(void **state)
{
    (void)state;
    assert_int_equal(outcomes("add", add_first, add_second, NULL), OUTCOME(0, 1) | OUTCOME(1, 0));
}

/* A relaxed addition between a release and an acquire keeps the release visible. */
static void
seq_first(void)
{
    race_data_write(&datum);
    weir_store_rel(&x, 1);
}

static void
seq_second(void)
{
    (void)weir_fetch_add_rlx(&x, 1);
}

static void
seq_third(void)
{
    r0 = weir_load_acq(&x);
    if (r0 == 2) {
        race_data_read(&datum);
    }
}

static void
t_release_goes_through_an_addition(void **state)
{
    (void)state;
    assert_int_equal(outcomes("release sequence", seq_first, seq_second, seq_third),
        OUTCOME(0, 0) | OUTCOME(1, 0) | OUTCOME(2, 0));
}

static void
race_first(void)
{
    race_data_write(&datum);
    weir_store_rel(&x, 1);
}

static void
race_second(void)
{
    (void)weir_load_acq(&x);
    race_data_read(&datum);
}

static void
wait_first(void)
{
    race_wait(&x, 8);
}

static void
wait_second(void)
{
    (void)weir_load_rlx(&y);
}

static void
t_races_and_lost_stores_are_found(void **state)
{
    (void)state;
    struct race_result result;
    const struct race_case racing = {"race", reset, {race_first, race_second}, NULL};
    race_explore(&racing, NULL, &result);
    assert_true(result.is_broken);
    const struct race_case stuck = {"stuck", reset, {wait_first, wait_second}, NULL};
    race_explore(&stuck, NULL, &result);
    assert_true(result.is_broken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_store_buffering_needs_all_four),
        cmocka_unit_test(t_message_passing_needs_release_and_acquire),
        cmocka_unit_test(t_message_passing_by_fences_needs_both),
        cmocka_unit_test(t_one_place_never_goes_back),
        cmocka_unit_test(t_additions_do_not_get_lost),
        cmocka_unit_test(t_release_goes_through_an_addition),
        cmocka_unit_test(t_races_and_lost_stores_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
