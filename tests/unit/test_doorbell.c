/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdlib.h>

#include "base/doorbell.h"
#include "base/err.h"
#include "tests/unit/test.h"

static struct weir_doorbell *
bell_open(uint32_t word_cnt)
{
    struct weir_doorbell *db =
        aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_doorbell_footprint(word_cnt));
    assert_non_null(db);
    assert_int_equal(weir_doorbell_open(db, word_cnt), 0);
    return db;
}

static void
bell_close(struct weir_doorbell *db)
{
    weir_doorbell_close(db);
    free(db);
}

static bool
is_readable(const struct weir_doorbell *db)
{
    struct pollfd pfd = {.fd = weir_doorbell_fd(db), .events = POLLIN};
    return poll(&pfd, 1, 0) == 1;
}

static void
t_no_system_call_while_awake(void **state)
{
    (void)state;
    struct weir_doorbell *db = bell_open(2);
    weir_doorbell_ring(db, 0);
    weir_doorbell_ring_shared(db, 1);
    assert_false(is_readable(db));
    bell_close(db);
}

static void
t_publishing_before_parking_keeps_it_awake(void **state)
{
    (void)state;
    struct weir_doorbell *db = bell_open(3);
    weir_doorbell_listen(db);
    weir_doorbell_ring(db, 2);
    assert_false(weir_doorbell_park_begin(db));
    /* The flag is down again: the next ring makes no system call. */
    weir_doorbell_ring(db, 2);
    assert_false(is_readable(db));
    weir_doorbell_listen(db);
    assert_true(weir_doorbell_park_begin(db));
    weir_doorbell_park_end(db);
    bell_close(db);
}

static void
t_publishing_after_parking_wakes_it_once(void **state)
{
    (void)state;
    struct weir_doorbell *db = bell_open(2);
    weir_doorbell_listen(db);
    assert_true(weir_doorbell_park_begin(db));
    assert_int_equal(weir_doorbell_wait(db, 0), 0);
    weir_doorbell_ring(db, 0);
    assert_true(is_readable(db));
    weir_doorbell_ring_shared(db, 1);
    assert_int_equal(weir_doorbell_wait(db, -1), 1);
    weir_doorbell_park_end(db);
    assert_false(is_readable(db));
    /* Both words were missed by the last listen, so the next park is refused until listened to. */
    assert_false(weir_doorbell_park_begin(db));
    bell_close(db);
}

static void
t_impossible_shapes_are_refused_and_close_forgives(void **state)
{
    (void)state;
    assert_int_equal(weir_doorbell_footprint(0), 0);
    assert_int_equal(weir_doorbell_footprint(WEIR_DOORBELL_WORD_CNT_MAX + 1), 0);
    _Alignas(128) static uint8_t mem[512];
    struct weir_doorbell *db = (struct weir_doorbell *)(void *)mem;
    assert_int_equal(weir_doorbell_open(db, 0), WEIR_EINVAL);
    weir_doorbell_close(db);
    weir_doorbell_close(NULL);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_no_system_call_while_awake),
        cmocka_unit_test(t_publishing_before_parking_keeps_it_awake),
        cmocka_unit_test(t_publishing_after_parking_wakes_it_once),
        cmocka_unit_test(t_impossible_shapes_are_refused_and_close_forgives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
