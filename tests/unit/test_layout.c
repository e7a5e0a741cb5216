/* SPDX-License-Identifier: Apache-2.0 */
#include "base/layout.h"
#include "tests/unit/test.h"

static void
t_pieces_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    struct weir_layout lay;
    weir_layout_init(&lay);
    assert_int_equal(weir_layout_add(&lay, 3, 1), 0);
    assert_int_equal(weir_layout_add(&lay, 8, 8), 8);
    assert_int_equal(weir_layout_add_array(&lay, 3, 64, 64), 64);
    assert_int_equal(weir_layout_add(&lay, 1, 1), 256);
    assert_int_equal(weir_layout_footprint(&lay), 320);
}

static void
t_an_empty_layout_has_no_footprint(void **state)
{
    (void)state;
    struct weir_layout lay;
    weir_layout_init(&lay);
    assert_int_equal(weir_layout_footprint(&lay), 0);
    assert_int_equal(weir_layout_add_array(&lay, 0, 64, 64), 0);
    assert_int_equal(weir_layout_footprint(&lay), 0);
}

static void
t_an_overflow_of_a_product_sticks(void **state)
{
    (void)state;
    struct weir_layout lay;
    weir_layout_init(&lay);
    (void)weir_layout_add(&lay, 64, 64);
    (void)weir_layout_add_array(&lay, UINT64_C(1) << 60, 1 << 10, 8);
    (void)weir_layout_add(&lay, 64, 64);
    assert_int_equal(weir_layout_footprint(&lay), 0);
}

static void
t_an_overflow_of_a_sum_or_of_the_limit_sticks(void **state)
{
    (void)state;
    struct weir_layout lay;
    weir_layout_init(&lay);
    (void)weir_layout_add(&lay, 64, 1);
    (void)weir_layout_add(&lay, UINT64_MAX - 32, 1);
    assert_int_equal(weir_layout_footprint(&lay), 0);
    weir_layout_init(&lay);
    (void)weir_layout_add(&lay, WEIR_LAYOUT_BYTES_MAX, 1);
    assert_int_equal(weir_layout_footprint(&lay), WEIR_LAYOUT_BYTES_MAX);
    (void)weir_layout_add(&lay, 1, 1);
    assert_int_equal(weir_layout_footprint(&lay), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(t_an_empty_layout_has_no_footprint),
        cmocka_unit_test(t_an_overflow_of_a_product_sticks),
        cmocka_unit_test(t_an_overflow_of_a_sum_or_of_the_limit_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
