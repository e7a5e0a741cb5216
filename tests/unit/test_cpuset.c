/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cpuset.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

static void
expect(const char *text, const char *printed)
{
    struct weir_cpuset set;
    char buf[WEIR_CPUSET_TEXT_BYTES];
    assert_int_equal(weir_cpuset_parse(text, &set), 0);
    assert_string_equal(weir_cpuset_print(&set, buf, sizeof buf), printed);
}

static void
t_lists_are_read_as_the_kernel_writes_them(void **state)
{
    (void)state;
    expect("", "-");
    expect("\n", "-");
    expect("0", "0");
    expect("3,1,2", "1-3");
    expect("0-3,8,10-11\n", "0-3,8,10-11");
    expect("0-15:2/4", "0-1,4-5,8-9,12-13");
    expect("1023", "1023");
}

static void
t_what_is_not_a_list_is_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "a", "1-", "-1", "3-1", "1024", "99999", "1,", ",1", "1 2", "0-3:2", "0-3:2/0", "0-3:5/4"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(wrong); i++) {
        struct weir_cpuset set = {{7}};
        weir_err_clear();
        assert_int_equal(weir_cpuset_parse(wrong[i], &set), WEIR_EINVAL);
        assert_non_null(strstr(weir_err_at(0), wrong[i]));
        assert_int_equal(set.word[0], 7);
    }
    weir_err_clear();
}

static void
t_print_and_parse_agree_on_random_sets(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 20261121);
    for (int round = 0; round < 500; round++) {
        struct weir_cpuset set = {{0}};
        struct weir_cpuset back;
        uint32_t cnt = 0;
        uint32_t one_in = 1 + (uint32_t)(weir_rng_u64(&rng) % 9);
        for (uint32_t cpu = 0; cpu < WEIR_CPUSET_CPU_CNT_MAX; cpu++) {
            if (weir_rng_u64(&rng) % one_in == 0) {
                weir_cpuset_add(&set, cpu);
                cnt++;
            }
        }
        char buf[WEIR_CPUSET_TEXT_BYTES];
        (void)weir_cpuset_print(&set, buf, sizeof buf);
        assert_int_equal(weir_cpuset_cnt(&set), cnt);
        if (cnt > 0 && strstr(buf, "...") == NULL) {
            assert_int_equal(weir_cpuset_parse(buf, &back), 0);
            assert_true(weir_cpuset_equal(&set, &back));
        }
    }
    struct weir_cpuset every_second = {{0}};
    char small[12];
    for (uint32_t cpu = 0; cpu < 100; cpu += 2) {
        weir_cpuset_add(&every_second, cpu);
    }
    assert_string_equal(weir_cpuset_print(&every_second, small, sizeof small), "0,2,4,6...");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_lists_are_read_as_the_kernel_writes_them),
        cmocka_unit_test(t_what_is_not_a_list_is_refused),
        cmocka_unit_test(t_print_and_parse_agree_on_random_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
