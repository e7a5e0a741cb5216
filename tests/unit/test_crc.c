/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#include <string.h>

/* The definition, a bit at a time: the reflected Castagnoli polynomial. */
static uint32_t
reference(uint32_t crc, const unsigned char *p, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

static void
t_published_vectors_hold(void **state)
{
    (void)state;
    unsigned char block[32];
    assert_int_equal(weir_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(weir_crc32c(0, "", 0), 0);
    /* RFC 3720, B.4. */
    memset(block, 0, sizeof block);
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x8a9136aa);
    memset(block, 0xff, sizeof block);
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof block; i++) {
        block[i] = (unsigned char)i;
    }
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x46dd794e);
}

static void
t_any_length_and_cut_equals_the_definition(void **state)
{
    (void)state;
    unsigned char bytes[5000];
    struct weir_rng rng;
    weir_rng_init(&rng, 11);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)weir_rng_u64(&rng);
    }
    for (int i = 0; i < 300; i++) {
        size_t off = weir_rng_below(&rng, 64);
        size_t len = weir_rng_below(&rng, sizeof bytes - off);
        size_t cut = weir_rng_below(&rng, len + 1);
        uint32_t whole = weir_crc32c(0, bytes + off, len);
        assert_int_equal(whole, reference(0, bytes + off, len));
        uint32_t head = weir_crc32c(0, bytes + off, cut);
        assert_int_equal(weir_crc32c(head, bytes + off + cut, len - cut), whole);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_published_vectors_hold),
        cmocka_unit_test(t_any_length_and_cut_equals_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
