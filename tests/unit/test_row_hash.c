/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_hash.h"
#include "tests/unit/test.h"

static uint64_t
text(uint64_t sum, uint32_t idx, const char *value)
{
    return weir_row_add(sum, idx, weir_row_text(value, strlen(value)));
}

static void
t_values_are_those_of_the_reference(void **state)
{
    (void)state;
    /* The same fixed points as in tests/reference/test_reference.py. */
    uint64_t a = weir_row_add(weir_row_add(0, 0, 1), 1, UINT64_MAX);
    a = text(text(text(a, 2, ""), 3, "a"), 4, "abcd");
    uint64_t b = weir_row_add(weir_row_add(0, 0, 0), 1, UINT64_C(1) << 62);
    b = text(text(text(b, 2, "abcdefgh"), 3, "0123456789abcdef"), 4, "0123456789abcdefg");
    uint64_t c = weir_row_add(0, 0, WEIR_ROW_NULL);
    uint64_t sum = weir_row_finish(a) + weir_row_finish(b) + weir_row_finish(c);
    assert_true(sum == UINT64_C(0x401faed7b881ee87));
}

static void
t_texts_of_4_to_16_bytes_are_the_same_without_a_jump(void **state)
{
    (void)state;
    char bytes[40];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 37 + 1);
    }
    for (size_t len = 4; len <= 16; len++) {
        for (size_t from = 4; from < 16; from++) { /* 4 bytes lie before it */
            assert_true(weir_row_text_4_16(bytes + from, len) == weir_row_text(bytes + from, len));
        }
    }
}

static void
t_texts_of_every_length_differ_in_every_byte(void **state)
{
    (void)state;
    char bytes[80];
    for (size_t len = 0; len <= sizeof bytes; len++) {
        memset(bytes, 'x', sizeof bytes);
        uint64_t plain = weir_row_text(bytes, len);
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= 1;
            assert_true(weir_row_text(bytes, len) != plain);
            bytes[i] ^= 1;
        }
        assert_true(len == 0 || weir_row_text(bytes, len - 1) != plain);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_values_are_those_of_the_reference),
        cmocka_unit_test(t_texts_of_4_to_16_bytes_are_the_same_without_a_jump),
        cmocka_unit_test(t_texts_of_every_length_differ_in_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
