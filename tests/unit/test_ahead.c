/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ahead.h"
#include "tests/unit/test.h"

#include <pthread.h>

static void
t_lines_are_taken_once_and_up_to_the_end(void **state)
{
    (void)state;
    static const char memory[10 * WEIR_LINE_BYTES + 1];
    weir_ahead_set(memory, sizeof memory);
    assert_int_equal(weir_ahead_lines(), 10);
    assert_ptr_equal(weir_ahead_take(3), memory);
    assert_ptr_equal(weir_ahead_ask(memory, 3), memory + 3 * WEIR_LINE_BYTES);
    assert_int_equal(weir_ahead_lines(), 7);
    assert_ptr_equal(weir_ahead_take(8), memory + 3 * WEIR_LINE_BYTES); /* more than are left */
    assert_int_equal(weir_ahead_lines(), 0);
    assert_null(weir_ahead_take(1));
    weir_ahead_set(memory, WEIR_LINE_BYTES);
    assert_int_equal(weir_ahead_lines(), 1);
}

static void *
look_in_another(void *arg)
{
    uint32_t *ret_lines = arg;
    *ret_lines = (uint32_t)weir_ahead_lines();
    return NULL;
}

static void
t_threads_have_their_own(void **state)
{
    (void)state;
    static const char memory[4 * WEIR_LINE_BYTES];
    uint32_t lines = UINT32_MAX;
    pthread_t thread;
    weir_ahead_set(memory, sizeof memory);
    assert_int_equal(pthread_create(&thread, NULL, look_in_another, &lines), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(lines, 0);
    assert_int_equal(weir_ahead_lines(), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_lines_are_taken_once_and_up_to_the_end),
        cmocka_unit_test(t_threads_have_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
