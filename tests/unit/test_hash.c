/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void
t_every_length_equals_the_library(void **state)
{
    (void)state;
    unsigned char bytes[400];
    struct weir_rng rng;
    for (uint64_t seed = 0; seed < 20; seed++) {
        weir_rng_init(&rng, seed);
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (unsigned char)weir_rng_u64(&rng);
        }
        for (size_t len = 0; len + 3 < sizeof bytes; len++) {
            size_t off = len % 4;
            assert_true(weir_hash_bytes(bytes + off, len) == XXH3_64bits(bytes + off, len));
            if (len >= 4 && len <= 16) {
                const char *key = (const char *)bytes + 4 + off; /* 4 bytes lie before it */
                assert_true(weir_hash_bytes_4_16(key, len) == XXH3_64bits(key, len));
            }
        }
    }
}

static void
t_an_integer_is_hashed_as_its_bytes(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 5);
    for (int i = 0; i < 1000; i++) {
        uint64_t pair[2] = {weir_rng_u64(&rng) >> (i % 64), weir_rng_u64(&rng)};
        assert_true(weir_hash_u64(pair[0]) == XXH3_64bits(pair, 8));
        assert_true(weir_hash_u128(pair[0], pair[1], 16) == XXH3_64bits(pair, 16));
    }
}

/* The hash is part of the formats: these numbers do not change under one WEIR_HASH_VERSION. */
static void
t_T141_version_1_gives_these_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t hash;
        uint32_t key_group;
    } rows[] = {
        {"a", UINT64_C(0xe6c632b61e964e1f), 115},
        {"hello", UINT64_C(0x9555e8555c62dcfd), 74},
        {"key1", UINT64_C(0x384d070cd5d829e2), 28},
        {"flink", UINT64_C(0x8bc26033b770b523), 69},
    };
    assert_int_equal(WEIR_HASH_VERSION, 1);
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        uint64_t hash = weir_hash_bytes(rows[i].key, strlen(rows[i].key));
        assert_true(hash == rows[i].hash);
        assert_int_equal(weir_hash_key_group(hash, 128), rows[i].key_group);
    }
}

static void
t_key_groups_cover_their_range_evenly(void **state)
{
    (void)state;
    enum { GROUPS = 128, KEYS = 128 * 1000 };
    uint32_t cnt[GROUPS] = {0};
    for (uint64_t key = 0; key < KEYS; key++) {
        uint32_t group = weir_hash_key_group(weir_hash_u64(key), GROUPS);
        assert_true(group < GROUPS);
        cnt[group]++;
    }
    /* Seven standard deviations of a binomial with mean 1,000. */
    for (int i = 0; i < GROUPS; i++) {
        assert_in_range(cnt[i], 780, 1220);
    }
    assert_int_equal(weir_hash_key_group(UINT64_MAX, 32768), 32767);
    assert_int_equal(weir_hash_key_group(UINT64_MAX, 1), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_length_equals_the_library),
        cmocka_unit_test(t_an_integer_is_hashed_as_its_bytes),
        cmocka_unit_test(t_T141_version_1_gives_these_numbers),
        cmocka_unit_test(t_key_groups_cover_their_range_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
