/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dataplane/keygroup.h"
#include "tests/unit/test.h"

static void
t_T141_string_keys_land_in_their_golden_groups(void **state)
{
    (void)state;
    /* Our own hash: these are vectors of hash version 2 and must never change. */
    static const struct {
        const char *key;
        uint32_t group;
    } golden[] = {{"a", 110}, {"hello", 127}, {"key1", 100}, {"flink", 80},
        {"a key of more than sixteen bytes", 19}};
    assert_int_equal(WEIR_HASH_VERSION, 2);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(golden); i++) {
        uint64_t hash = weir_hash_bytes(golden[i].key, strlen(golden[i].key));
        assert_int_equal(weir_hash_key_group(hash, 128), golden[i].group);
    }
    static const struct {
        uint64_t key;
        uint32_t of_128;
        uint32_t of_1000;
    } integer[] = {
        {0, 99, 779}, {1, 23, 186}, {42, 106, 834}, {1000, 69, 543}, {UINT64_MAX, 40, 316}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(integer); i++) {
        uint64_t hash = weir_hash_u64(integer[i].key);
        assert_int_equal(weir_hash_key_group(hash, 128), integer[i].of_128);
        assert_int_equal(weir_hash_key_group(hash, 1000), integer[i].of_1000);
    }
}

static void
t_T142_ranges_and_owners_are_flinks(void **state)
{
    (void)state;
    static const uint32_t last_of_3[] = {42, 85, 127};
    static const uint32_t last_of_10[] = {12, 25, 38, 51, 63, 76, 89, 102, 115, 127};
    for (uint32_t i = 0; i < 3; i++) {
        struct weir_keygroup_range range = weir_keygroup_range_of(i, 3, 128);
        assert_int_equal(range.first, i == 0 ? 0 : last_of_3[i - 1] + 1);
        assert_int_equal(range.first + range.cnt - 1, last_of_3[i]);
    }
    for (uint32_t i = 0; i < 10; i++) {
        struct weir_keygroup_range range = weir_keygroup_range_of(i, 10, 128);
        assert_int_equal(range.first, i == 0 ? 0 : last_of_10[i - 1] + 1);
        assert_int_equal(range.first + range.cnt - 1, last_of_10[i]);
    }
}

static void
t_T142_every_group_belongs_to_the_one_range_that_holds_it(void **state)
{
    (void)state;
    static const uint32_t maxes[] = {1, 2, 7, 128, 1000, 32768};
    static uint16_t owners[WEIR_KEYGROUP_CNT_MAX];
    for (size_t m = 0; m < WEIR_ARRAY_CNT(maxes); m++) {
        uint32_t max = maxes[m];
        for (uint32_t p = 1; p <= max; p = p < 20 ? p + 1 : p * 3) {
            weir_keygroup_owners(p, max, owners);
            uint32_t next = 0;
            for (uint32_t i = 0; i < p; i++) {
                struct weir_keygroup_range range = weir_keygroup_range_of(i, p, max);
                assert_int_equal(range.first, next);
                for (uint32_t g = range.first; g < range.first + range.cnt; g++) {
                    assert_int_equal(weir_keygroup_owner(g, p, max), i);
                    assert_int_equal(owners[g], i);
                }
                next = range.first + range.cnt;
            }
            assert_int_equal(next, max);
        }
    }
}

static void
t_T143_default_max_parallelism_and_its_errors(void **state)
{
    (void)state;
    static const uint32_t want[][2] = {
        {1, 128}, {85, 128}, {86, 256}, {100, 256}, {1000, 2048}, {30000, 32768}, {32768, 32768}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(want); i++) {
        uint32_t max = 0;
        assert_int_equal(weir_keygroup_default(want[i][0], &max), 0);
        assert_int_equal(max, want[i][1]);
    }
    uint32_t untouched = 77;
    assert_int_equal(weir_keygroup_default(32769, &untouched), WEIR_EPLAN);
    assert_int_equal(weir_keygroup_default(0, &untouched), WEIR_EPLAN);
    assert_int_equal(untouched, 77);
    assert_int_equal(weir_keygroup_check(1, 1), 0);
    assert_int_equal(weir_keygroup_check(32768, 32768), 0);
    assert_int_equal(weir_keygroup_check(1, 0), WEIR_EPLAN);
    assert_int_equal(weir_keygroup_check(1, 32769), WEIR_EPLAN);
    assert_int_equal(weir_keygroup_check(129, 128), WEIR_EPLAN);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T141_string_keys_land_in_their_golden_groups),
        cmocka_unit_test(t_T142_ranges_and_owners_are_flinks),
        cmocka_unit_test(t_T142_every_group_belongs_to_the_one_range_that_holds_it),
        cmocka_unit_test(t_T143_default_max_parallelism_and_its_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
