/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/region.h"
#include "tests/unit/test.h"

static const struct weir_region_owner ring_owner = {.job = 1, .task = 2, .purpose = "ring"};

static struct weir_region *
open_small(uint64_t bytes)
{
    const struct weir_region_options options = {
        .name = "t", .bytes = bytes, .node = WEIR_REGION_NODE_ANY, .first = WEIR_REGION_SMALL};
    struct weir_region *region = NULL;
    assert_int_equal(weir_region_open(&options, NULL, &region), 0);
    return region;
}

/* One huge page more than the host has free: this is refused on every host. */
static uint64_t
too_many_huge_bytes(void)
{
    unsigned long long cnt = 0;
    FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    if (f != NULL) {
        assert_int_equal(fscanf(f, "%llu", &cnt), 1);
        (void)fclose(f);
    }
    unsigned long long more = 0;
    f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "re");
    if (f != NULL) {
        assert_int_equal(fscanf(f, "%llu", &more), 1);
        (void)fclose(f);
    }
    return (cnt + more + 1) * WEIR_REGION_HUGE_BYTES;
}

static void
t_pieces_are_aligned_zeroed_and_counted_per_owner(void **state)
{
    (void)state;
    struct weir_region *region = open_small(1 * WEIR_MIB);
    const struct weir_region_owner state_owner = {.job = 1, .task = 2, .purpose = "state"};
    void *a = NULL;
    void *b = NULL;
    void *c = NULL;
    assert_int_equal(weir_region_carve(region, 100, 64, ring_owner, &a), 0);
    assert_int_equal(weir_region_carve(region, 4096, 4096, state_owner, &b), 0);
    assert_int_equal(weir_region_carve(region, 64, 64, ring_owner, &c), 0);
    assert_ptr_equal(a, weir_region_base(region));
    assert_int_equal((uintptr_t)b % 4096, 0);
    assert_true((uint8_t *)b >= (uint8_t *)a + 100 && (uint8_t *)c >= (uint8_t *)b + 4096);
    for (int i = 0; i < 4096; i++) {
        assert_int_equal(((uint8_t *)b)[i], 0);
    }
    uint64_t sum = 0;
    for (size_t i = 0; weir_region_owned_at(region, i) != NULL; i++) {
        sum += weir_region_owned_at(region, i)->bytes;
    }
    assert_int_equal(weir_region_owned_at(region, 0)->bytes, 164);
    assert_string_equal(weir_region_owned_at(region, 1)->owner.purpose, "state");
    assert_null(weir_region_owned_at(region, 2));
    assert_int_equal(sum, weir_region_carved_bytes(region));
    weir_region_close(region);
    weir_region_close(NULL);
}

static void
t_the_last_byte_can_be_carved_and_no_more(void **state)
{
    (void)state;
    struct weir_region *region = open_small(8192);
    void *piece = NULL;
    assert_int_equal(weir_region_carve(region, 8193, 1, ring_owner, &piece), WEIR_EBUDGET);
    assert_int_equal(weir_region_carve(region, 8192, 64, ring_owner, &piece), 0);
    ((uint8_t *)piece)[8191] = 1;
    void *kept = piece;
    assert_int_equal(weir_region_carve(region, 1, 1, ring_owner, &piece), WEIR_EBUDGET);
    assert_ptr_equal(piece, kept);
    assert_int_equal(weir_region_carve(region, 1, 4096, ring_owner, &piece), WEIR_EBUDGET);
    assert_int_equal(weir_region_carved_bytes(region), 8192);
    weir_region_close(region);
    weir_err_clear();
}

static void
t_misuse_is_refused(void **state)
{
    (void)state;
    struct weir_region *region = open_small(8192);
    const struct weir_region_owner nobody = {0};
    void *piece = NULL;
    assert_int_equal(weir_region_carve(region, 0, 64, ring_owner, &piece), WEIR_EINVAL);
    assert_int_equal(weir_region_carve(region, 8, 48, ring_owner, &piece), WEIR_EINVAL);
    assert_int_equal(weir_region_carve(region, 8, 8, nobody, &piece), WEIR_EINVAL);
    weir_region_seal(region);
    assert_int_equal(weir_region_carve(region, 8, 8, ring_owner, &piece), WEIR_EILLEGAL);
    assert_null(piece);
    weir_region_close(region);
    const struct weir_region_options none = {.name = "t"};
    assert_int_equal(weir_region_open(&none, NULL, &region), WEIR_EINVAL);
    weir_err_clear();
}

static void
t_a_fall_back_is_said_once_and_is_fatal_when_strict(void **state)
{
    (void)state;
    struct weir_region_options options = {
        .name = "big", .bytes = too_many_huge_bytes(), .node = WEIR_REGION_NODE_ANY};
    struct weir_region_report report = {0};
    struct weir_region *first = NULL;
    struct weir_region *second = NULL;
    assert_int_equal(weir_region_open(&options, &report, &first), 0);
    assert_int_equal(weir_region_open(&options, &report, &second), 0);
    assert_true(weir_region_backing(first) >= WEIR_REGION_THP);
    assert_int_equal(report.fallback_cnt, 1);
    assert_int_equal(report.fallback[0].region_cnt, 2);
    assert_int_equal(report.fallback[0].bytes, 2 * weir_region_bytes(first));
    assert_string_equal(report.fallback[0].wanted, "2 MiB hugetlb");
    assert_string_equal(
        report.fallback[0].got, weir_region_backing_name(weir_region_backing(first)));
    assert_true(strlen(report.fallback[0].why) > 0);
    assert_non_null(strstr(report.fallback[0].limited_by, "vm.nr_hugepages"));
    weir_region_close(first);
    weir_region_close(second);

    options.strict = true;
    struct weir_region *refused = NULL;
    weir_err_clear();
    assert_int_equal(weir_region_open(&options, NULL, &refused), WEIR_ESTRICT);
    assert_null(refused);
    assert_non_null(strstr(weir_err_at(0), "wanted 2 MiB hugetlb"));
    weir_err_clear();
}

static void
t_a_node_that_is_not_there_is_reported(void **state)
{
    (void)state;
    const struct weir_region_options options = {
        .name = "far", .bytes = 65536, .node = 900, .first = WEIR_REGION_SMALL};
    struct weir_region_report report = {0};
    struct weir_region *region = NULL;
    assert_int_equal(weir_region_open(&options, &report, &region), 0);
    assert_int_equal(report.fallback_cnt, 1);
    assert_string_equal(report.fallback[0].wanted, "memory on NUMA node 900");
    weir_region_close(region);
}

static void
t_touched_pages_lie_on_their_node(void **state)
{
    (void)state;
    const struct weir_region_options options = {
        .name = "near", .bytes = 4 * WEIR_MIB, .node = 0, .first = WEIR_REGION_THP, .touch = true};
    struct weir_region_report report = {0};
    struct weir_region *region = NULL;
    assert_int_equal(weir_region_open(&options, &report, &region), 0);
    uint64_t huge_bytes = 0;
    assert_int_equal(weir_region_huge_bytes(region, &huge_bytes), 0);
    if (weir_region_backing(region) == WEIR_REGION_THP) {
        assert_true(huge_bytes >= 2 * WEIR_MIB);
    } else {
        assert_int_equal(huge_bytes, 0);
        assert_int_equal(report.fallback_cnt, 1);
    }
    uint32_t sampled = 0;
    int astray = weir_region_astray(region, &sampled);
    if (astray >= 0) {
        assert_int_equal(sampled, 256);
        assert_int_equal(astray, 0);
    }
    weir_err_clear();
    weir_region_close(region);
}

static void
t_a_shared_region_is_the_same_memory_when_joined(void **state)
{
    (void)state;
    const struct weir_region_options options = {.name = "shared",
        .bytes = 3 * WEIR_MIB,
        .node = WEIR_REGION_NODE_ANY,
        .shared = true,
        .touch = true};
    struct weir_region_report report = {0};
    struct weir_region *mine = NULL;
    struct weir_region *theirs = NULL;
    assert_int_equal(weir_region_open(&options, &report, &mine), 0);
    assert_int_equal(weir_region_join(weir_region_fd(mine), &theirs), 0);
    assert_int_equal(weir_region_bytes(theirs), 4 * WEIR_MIB);
    assert_ptr_not_equal(weir_region_base(mine), weir_region_base(theirs));
    ((uint8_t *)weir_region_base(mine))[4 * WEIR_MIB - 1] = 77;
    assert_int_equal(((uint8_t *)weir_region_base(theirs))[4 * WEIR_MIB - 1], 77);
    void *piece = NULL;
    assert_int_equal(weir_region_carve(theirs, 8, 8, ring_owner, &piece), WEIR_EILLEGAL);
    assert_int_not_equal(ftruncate(weir_region_fd(theirs), 0), 0);
    weir_region_close(mine);
    weir_region_close(theirs);

    int plain = memfd_create("plain", MFD_CLOEXEC);
    assert_int_equal(weir_region_join(plain, &theirs), WEIR_EFORMAT);
    (void)close(plain);
    assert_int_equal(weir_region_join(-1, &theirs), WEIR_EFORMAT);
    weir_err_clear();
}

static void
t_the_table_resolves_what_was_added(void **state)
{
    (void)state;
    static uint8_t own[4096];
    struct weir_region_table table;
    assert_int_equal(weir_region_table_init(&table), 0);
    uint16_t id = 0;
    assert_int_equal(weir_region_table_add(&table, own, sizeof own, &id), 0);
    assert_int_not_equal(id, WEIR_REGION_ID_NONE);
    assert_ptr_equal(weir_region_table_ptr(&table, id, 100), own + 100);
    assert_true(weir_region_table_holds(&table, id, 4000, 96));
    assert_true(weir_region_table_holds(&table, id, 4096, 0));
    assert_false(weir_region_table_holds(&table, id, 4000, 97));
    assert_false(weir_region_table_holds(&table, id, 4097, 0));
    assert_false(weir_region_table_holds(&table, WEIR_REGION_ID_NONE, 0, 1));
    assert_false(weir_region_table_holds(&table, 5000, 0, 1));
    assert_false(weir_region_table_holds(&table, id, 8, UINT64_MAX));
    weir_region_table_remove(&table, id, sizeof own);
    assert_false(weir_region_table_holds(&table, id, 0, 1));
    weir_region_table_fini(&table);
    weir_region_table_fini(NULL);
}

static void
t_large_foreign_memory_takes_overlapping_windows(void **state)
{
    (void)state;
    struct weir_region_table table;
    assert_int_equal(weir_region_table_init(&table), 0);
    /* Addresses only: nothing is read. */
    uint8_t *base = (uint8_t *)(uintptr_t)UINT64_C(0x100000000000);
    const uint64_t bytes = 10 * WEIR_GIB + 5;
    uint16_t id = 0;
    assert_int_equal(weir_region_table_add(&table, base, bytes, &id), 0);
    const uint64_t positions[] = {
        0, WEIR_REGION_STRIDE_BYTES - 1, WEIR_REGION_STRIDE_BYTES, 4 * WEIR_GIB, bytes - 1};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(positions); i++) {
        uint16_t at_id = 0;
        uint32_t off = 0;
        weir_region_table_locate(id, positions[i], &at_id, &off);
        assert_ptr_equal(weir_region_table_ptr(&table, at_id, off), base + positions[i]);
        uint64_t ahead = weir_min_u64(bytes - positions[i], WEIR_REGION_OVERLAP_BYTES);
        assert_true(weir_region_table_holds(&table, at_id, off, ahead));
    }
    uint16_t next = 0;
    assert_int_equal(weir_region_table_add(&table, base, 1, &next), 0);
    assert_int_equal(next, id + 3);
    weir_region_table_remove(&table, id, bytes);
    assert_int_equal(weir_region_table_add(&table, base, 1, &next), 0);
    assert_int_equal(next, id);
    weir_region_table_fini(&table);
}

static void
t_ids_are_all_given_and_then_refused(void **state)
{
    (void)state;
    static uint8_t own[1];
    struct weir_region_table table;
    assert_int_equal(weir_region_table_init(&table), 0);
    uint16_t id = 0;
    for (int i = 1; i < WEIR_REGION_ID_CNT_MAX; i++) {
        assert_int_equal(weir_region_table_add(&table, own, 1, &id), 0);
        assert_int_equal(id, i);
    }
    assert_int_equal(weir_region_table_add(&table, own, 1, &id), WEIR_EBUDGET);
    weir_region_table_remove(&table, 500, 1);
    assert_int_equal(weir_region_table_add(&table, own, 1, &id), 0);
    assert_int_equal(id, 500);
    assert_int_equal(weir_region_table_add(&table, NULL, 1, &id), WEIR_EINVAL);
    weir_region_table_fini(&table);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_pieces_are_aligned_zeroed_and_counted_per_owner),
        cmocka_unit_test(t_the_last_byte_can_be_carved_and_no_more),
        cmocka_unit_test(t_misuse_is_refused),
        cmocka_unit_test(t_a_fall_back_is_said_once_and_is_fatal_when_strict),
        cmocka_unit_test(t_a_node_that_is_not_there_is_reported),
        cmocka_unit_test(t_touched_pages_lie_on_their_node),
        cmocka_unit_test(t_a_shared_region_is_the_same_memory_when_joined),
        cmocka_unit_test(t_the_table_resolves_what_was_added),
        cmocka_unit_test(t_large_foreign_memory_takes_overlapping_windows),
        cmocka_unit_test(t_ids_are_all_given_and_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
