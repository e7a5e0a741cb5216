/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/err.h"
#include "base/mbox.h"
#include "tests/unit/test.h"

static struct weir_mbox *
box_new(uint32_t slot_cnt)
{
    struct weir_mbox *mbox = aligned_alloc(WEIR_LINE_PAIR_BYTES, weir_mbox_footprint(slot_cnt));
    assert_non_null(mbox);
    assert_int_equal(weir_mbox_init(mbox, slot_cnt), 0);
    return mbox;
}

static int
put(struct weir_mbox *mbox, uint32_t kind)
{
    struct weir_letter letter = {.kind = kind, .from = 7, .args = {kind, 0, 0, 0, 0, ~kind}};
    return weir_mbox_put(mbox, &letter);
}

static void
take_expect(struct weir_mbox *mbox, uint32_t kind)
{
    struct weir_letter letter;
    assert_int_equal(weir_mbox_take(mbox, &letter), 1);
    assert_int_equal(letter.kind, kind);
    assert_int_equal(letter.from, 7);
    assert_true(letter.args[5] == (uint64_t)~kind);
}

static void
t_letters_come_out_in_order_over_many_laps(void **state)
{
    (void)state;
    struct weir_mbox *mbox = box_new(4);
    struct weir_letter letter;
    for (uint32_t i = 0; i < 300; i += 3) {
        for (uint32_t k = 0; k < 3; k++) {
            assert_int_equal(put(mbox, i + k), 1);
        }
        for (uint32_t k = 0; k < 3; k++) {
            take_expect(mbox, i + k);
        }
        assert_int_equal(weir_mbox_take(mbox, &letter), 0);
    }
    free(mbox);
}

static void
t_full_is_busy_not_failure(void **state)
{
    (void)state;
    struct weir_mbox *mbox = box_new(4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(put(mbox, i), 1);
    }
    assert_int_equal(put(mbox, 4), 0);
    assert_int_equal(weir_mbox_pending_cnt(mbox), 4);
    take_expect(mbox, 0);
    assert_int_equal(put(mbox, 4), 1);
    free(mbox);
}

static void
t_A144_quiesced_takes_only(void **state)
{
    (void)state;
    struct weir_mbox *mbox = box_new(4);
    assert_int_equal(put(mbox, 1), 1);
    assert_int_equal(put(mbox, 2), 1);
    weir_mbox_quiesce(mbox);
    weir_mbox_quiesce(mbox);
    assert_int_equal(weir_mbox_state(mbox), WEIR_MBOX_QUIESCED);
    assert_int_equal(put(mbox, 3), WEIR_ECLOSED);
    take_expect(mbox, 1);
    take_expect(mbox, 2);
    assert_int_equal(weir_mbox_pending_cnt(mbox), 0);
    free(mbox);
}

static void
t_A144_closed_gives_the_leftovers_back(void **state)
{
    (void)state;
    struct weir_mbox *mbox = box_new(4);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(put(mbox, i), 1);
    }
    take_expect(mbox, 0);
    weir_mbox_close(mbox);
    weir_mbox_close(mbox);
    weir_mbox_quiesce(mbox);
    assert_int_equal(weir_mbox_state(mbox), WEIR_MBOX_CLOSED);
    struct weir_letter letter;
    assert_int_equal(weir_mbox_take(mbox, &letter), 0);
    assert_int_equal(put(mbox, 9), WEIR_ECLOSED);
    assert_int_equal(weir_mbox_pending_cnt(mbox), 2);
    assert_int_equal(weir_mbox_give_back(mbox, &letter), 1);
    assert_int_equal(letter.kind, 1);
    assert_int_equal(weir_mbox_give_back(mbox, &letter), 1);
    assert_int_equal(letter.kind, 2);
    assert_int_equal(weir_mbox_give_back(mbox, &letter), 0);
    assert_int_equal(weir_mbox_pending_cnt(mbox), 0);
    free(mbox);
}

static void
t_impossible_shapes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(weir_mbox_footprint(0), 0);
    assert_int_equal(weir_mbox_footprint(1), 0);
    assert_int_equal(weir_mbox_footprint(6), 0);
    assert_int_equal(weir_mbox_footprint(WEIR_MBOX_SLOT_CNT_MAX * 2), 0);
    _Alignas(128) static uint8_t mem[1024];
    assert_int_equal(weir_mbox_init((struct weir_mbox *)(void *)mem, 3), WEIR_EINVAL);
    assert_int_equal(weir_mbox_init((struct weir_mbox *)(void *)(mem + 64), 4), WEIR_EINVAL);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_letters_come_out_in_order_over_many_laps),
        cmocka_unit_test(t_full_is_busy_not_failure),
        cmocka_unit_test(t_A144_quiesced_takes_only),
        cmocka_unit_test(t_A144_closed_gives_the_leftovers_back),
        cmocka_unit_test(t_impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
