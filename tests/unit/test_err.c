/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/test.h"

static void
t_every_row_has_words_and_a_code_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; weir_err_row_at(i) != NULL; i++) {
        const struct weir_err_row *row = weir_err_row_at(i);
        assert_ptr_equal(weir_err_row(-row->code), row);
        assert_ptr_equal(weir_err_row(row->code), row);
        assert_true(strlen(row->text) > 0 && strlen(row->cause) > 0 && strlen(row->fix) > 0);
        assert_int_not_equal(row->exit_code, 0);
    }
    assert_null(weir_err_row(9999));
}

static void
t_context_keeps_the_first_causes(void **state)
{
    (void)state;
    weir_err_clear();
    assert_int_equal(weir_err_push(WEIR_EIO, "first %d", 1), WEIR_EIO);
    for (int i = 0; i < 40; i++) {
        (void)weir_err_push(WEIR_EIO, "later %d", i);
    }
    assert_int_equal(weir_err_cnt(), 16);
    assert_string_equal(weir_err_at(0), "first 1");
    assert_null(weir_err_at(16));
    weir_err_clear();
    assert_int_equal(weir_err_cnt(), 0);
}

static void
t_errno_maps_to_our_codes_and_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(weir_err_errno(ENOENT, "open %s", "x"), WEIR_ENOINPUT);
    assert_string_equal(weir_err_at(0), "open x: No such file or directory");
    assert_int_equal(weir_err_errno(ENOSPC, "write"), WEIR_EIO);
    assert_int_equal(weir_err_exit_code(WEIR_EIO), 74);
    assert_int_equal(weir_err_exit_code(WEIR_ENOINPUT), 66);
    assert_int_equal(weir_err_exit_code(0), 0);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_row_has_words_and_a_code_of_its_own),
        cmocka_unit_test(t_context_keeps_the_first_causes),
        cmocka_unit_test(t_errno_maps_to_our_codes_and_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
