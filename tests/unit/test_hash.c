/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The hash of a text by its definition. */
static uint64_t
hash_of(const unsigned char *text, size_t bytes)
{
    if (bytes > WEIR_HASH_INLINE_BYTES_MAX) {
        return XXH3_64bits(text, bytes);
    }
    uint64_t word[3] = {bytes};
    memcpy((char *)word + 4, text, bytes);
    return weir_hash_words(word[0], word[1], word[2]);
}

static void
t_a_text_is_hashed_as_its_key_words_or_by_the_library(void **state)
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
            assert_true(weir_hash_bytes(bytes + off, len) == hash_of(bytes + off, len));
        }
    }
    assert_true(weir_hash_bytes(NULL, 0) == hash_of(bytes, 0));
}

static void
t_an_integer_is_hashed_as_its_bytes(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 5);
    for (int i = 0; i < 1000; i++) {
        uint64_t key = weir_rng_u64(&rng) >> (i % 64);
        assert_true(weir_hash_u64(key) == XXH3_64bits(&key, sizeof key));
    }
}

/* Texts of letters: the n-th of its length, which is how words that are made up look. */
static void
letters(uint64_t n, size_t bytes, char *ret_text)
{
    for (size_t i = 0; i < bytes; i++, n /= 26) {
        ret_text[bytes - 1 - i] = (char)('a' + n % 26);
    }
}

/* A bit of a text flips each bit of its hash half of the time. */
static void
t_each_bit_of_a_text_reaches_each_bit_of_the_hash(void **state)
{
    (void)state;
    enum { TEXTS = 1024 };
    for (size_t bytes = 1; bytes <= WEIR_HASH_INLINE_BYTES_MAX; bytes++) {
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            uint32_t flips[64] = {0};
            struct weir_rng rng;
            weir_rng_init(&rng, bytes);
            for (int i = 0; i < TEXTS; i++) {
                char text[WEIR_HASH_INLINE_BYTES_MAX];
                letters(weir_rng_u64(&rng), bytes, text);
                uint64_t hash = weir_hash_bytes(text, bytes);
                text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
                hash ^= weir_hash_bytes(text, bytes);
                for (int h = 0; h < 64; h++) {
                    flips[h] += (uint32_t)(hash >> h & 1);
                }
            }
            for (int h = 0; h < 64 && bytes > 2; h++) { /* there are few shorter ones */
                assert_in_range(flips[h], TEXTS / 4, TEXTS * 3 / 4);
            }
        }
    }
}

/* Key groups, and within them the two halves that a table finds its buckets and slots by. */
static void
t_texts_of_all_lengths_spread_evenly(void **state)
{
    (void)state;
    enum { PARTS = 128, TEXTS = PARTS * 1000 };
    for (size_t bytes = 4; bytes <= WEIR_HASH_INLINE_BYTES_MAX + 4; bytes++) {
        uint32_t group[PARTS] = {0};
        uint32_t fraction[PARTS] = {0};
        uint32_t low[PARTS] = {0};
        for (uint64_t n = 0; n < TEXTS; n++) {
            char text[WEIR_HASH_INLINE_BYTES_MAX + 4];
            letters(n, bytes, text);
            uint64_t hash = weir_hash_bytes(text, bytes);
            group[weir_hash_key_group(hash, PARTS)]++;
            fraction[(uint32_t)((hash >> 32) * PARTS) >> 25]++;
            low[(uint32_t)hash >> 25]++;
        }
        for (int i = 0; i < PARTS; i++) { /* seven standard deviations */
            assert_in_range(group[i], 780, 1220);
            assert_in_range(fraction[i], 780, 1220);
            assert_in_range(low[i], 780, 1220);
        }
    }
}

/* The hash is part of the formats: these numbers do not change under one WEIR_HASH_VERSION. */
static void
t_T141_version_2_gives_these_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t hash;
        uint32_t key_group;
    } rows[] = {
        {"a", UINT64_C(0xddace96c631705d0), 110},
        {"hello", UINT64_C(0xff250139ffadd3c6), 127},
        {"key1", UINT64_C(0xc8a32a03166b7294), 100},
        {"flink", UINT64_C(0xa0232ffd43f26256), 80},
        {"of more than 16 byte", UINT64_C(0x03a72277daccb766), 1},
    };
    assert_int_equal(WEIR_HASH_VERSION, 2);
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
        cmocka_unit_test(t_a_text_is_hashed_as_its_key_words_or_by_the_library),
        cmocka_unit_test(t_an_integer_is_hashed_as_its_bytes),
        cmocka_unit_test(t_each_bit_of_a_text_reaches_each_bit_of_the_hash),
        cmocka_unit_test(t_texts_of_all_lengths_spread_evenly),
        cmocka_unit_test(t_T141_version_2_gives_these_numbers),
        cmocka_unit_test(t_key_groups_cover_their_range_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
