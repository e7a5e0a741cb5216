/* SPDX-License-Identifier: Apache-2.0 */
/* A look at rows that pass: as many as are granted, whole, in order, and nothing else changes. */
#include "dataplane/tap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/function.h"
#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define NOTE(F) F(time, at) F(i64, n) F(str, text)
WEIR_SCHEMA(note, NOTE)
WEIR_FILTER(odd, note)
{
    return in->n % 2 == 1;
}

static struct note
note_of(int64_t n)
{
    return (struct note){.at = 100 + n, .n = n, .text = weir_str_inline("x", 1)};
}

static struct harness *
open_odd(uint32_t batch_rows)
{
    struct harness_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.type = &odd_op.type;
    conf.in_schema[0] = note_schema();
    conf.out_schema[0] = note_schema();
    conf.batch_rows = batch_rows;
    return harness_new(&conf);
}

static void
push_to(struct harness *h, int64_t from, int64_t to)
{
    for (int64_t n = from; n < to; n++) {
        const struct note row = note_of(n);
        harness_push(h, 0, &row, 1);
    }
}

static void
t_rows_are_taken_as_granted_and_read_in_order(void **state)
{
    (void)state;
    struct harness *h = open_odd(0);
    push_to(h, 0, 10); /* nobody looks */
    struct weir_tap *tap = weir_chain_tap(h->chain, 0, true);
    assert_non_null(tap);
    push_to(h, 10, 20); /* nothing is granted */
    assert_null(weir_tap_read(tap));
    weir_tap_grant(tap, 2);
    push_to(h, 20, 30); /* 21, 23; not 25 */
    const struct weir_tap_slot *slot = weir_tap_read(tap);
    assert_non_null(slot);
    assert_int_equal(slot->text[slot->bytes], '\n');
    assert_int_equal(slot->bytes, strlen("{\"at\":121,\"n\":21,\"text\":\"x\"}"));
    assert_memory_equal(slot->text, "{\"at\":121,\"n\":21,\"text\":\"x\"}", slot->bytes);
    assert_int_equal(slot->time, 121);
    assert_int_equal(slot->kind, WEIR_ROW_INSERT);
    slot = weir_tap_read(tap);
    assert_memory_equal(slot->text, "{\"at\":123,", 10);
    assert_null(weir_tap_read(tap));
    /* No more than there are slots, however much is granted. */
    weir_tap_grant(tap, 1000);
    weir_tap_grant(tap, 1000);
    push_to(h, 30, 30 + 4 * WEIR_TAP_SLOT_CNT);
    uint32_t cnt = 0;
    while ((slot = weir_tap_read(tap)) != NULL) {
        char want[16];
        (void)snprintf(want, sizeof want, "{\"at\":%u,", 131 + 2 * cnt++);
        assert_memory_equal(slot->text, want, strlen(want));
    }
    assert_int_equal(cnt, WEIR_TAP_SLOT_CNT);
    assert_null(weir_chain_tap(h->chain, 0, false));
    weir_tap_grant(tap, 10);
    push_to(h, 0, 10);
    assert_null(weir_tap_read(tap));
    assert_ptr_equal(weir_chain_tap(h->chain, 0, true), tap);
    push_to(h, 0, 2);
    assert_non_null(weir_tap_read(tap));
    harness_free(h);
}

static void
t_any_row_of_a_batch_is_shown_and_long_ones_are_counted(void **state)
{
    (void)state;
    struct harness *h = open_odd(0);
    struct note rows[200];
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 200; i++) {
        rows[i] = note_of(2 * i + 1);
    }
    struct weir_tap *tap = weir_chain_tap(h->chain, 0, true);
    weir_tap_grant(tap, 64);
    for (uint32_t i = 0; i < 64; i++) {
        harness_push(h, 0, rows, 200);
        const struct weir_tap_slot *slot = weir_tap_read(tap);
        assert_non_null(slot);
        long long at = 0;
        assert_int_equal(sscanf(slot->text, "{\"at\":%lld,", &at), 1);
        assert_true(at >= 101 && at <= 499 && at % 2 == 1);
        seen |= 1u << (at - 101) / 50;
    }
    assert_int_equal(seen, 0xff); /* of every eighth of the batch */
    char *text = calloc(1, WEIR_TAP_TEXT_BYTES + sizeof rows[0]);
    assert_non_null(text);
    struct note *row = (struct note *)(void *)text;
    *row = note_of(1);
    memset(text + sizeof *row, 'y', WEIR_TAP_TEXT_BYTES);
    row->text = weir_str_ref(text, text + sizeof *row, WEIR_TAP_TEXT_BYTES);
    weir_tap_grant(tap, 1);
    harness_push(h, 0, row, 1);
    const struct weir_tap_slot *slot = weir_tap_read(tap);
    assert_non_null(slot);
    assert_int_equal(slot->bytes, 0);
    free(text);
    harness_free(h);
}

/* ---- beside the core ---- */

enum { BESIDE = 20000 };

static void *
take_all(void *arg)
{
    struct weir_tap *tap = arg;
    struct note row = {0};
    struct weir_view view = harness_view_of(note_schema(), &row, 1);
    for (int64_t n = 0; n < BESIDE;) {
        /* relaxed: this thread's own. */
        uint64_t before = weir_load_rlx(&tap->taken);
        row = note_of(n);
        weir_tap_take(tap, &view, 0, 1);
        n += weir_load_rlx(&tap->taken) != before;
    }
    return NULL;
}

static void
t_who_looks_beside_the_core_sees_whole_rows(void **state)
{
    (void)state;
    struct weir_tap *tap = calloc(1, sizeof *tap);
    pthread_t thread;
    assert_non_null(tap);
    assert_int_equal(pthread_create(&thread, NULL, take_all, tap), 0);
    for (int64_t n = 0; n < BESIDE;) {
        weir_tap_grant(tap, 7);
        const struct weir_tap_slot *slot = weir_tap_read(tap);
        if (slot != NULL) {
            char want[64];
            (void)snprintf(want, sizeof want, "{\"at\":%lld,\"n\":%lld,\"text\":\"x\"}",
                (long long)(100 + n), (long long)n);
            assert_int_equal(slot->bytes, strlen(want));
            assert_memory_equal(slot->text, want, slot->bytes);
            n++;
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(tap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_rows_are_taken_as_granted_and_read_in_order),
        cmocka_unit_test(t_any_row_of_a_batch_is_shown_and_long_ones_are_counted),
        cmocka_unit_test(t_who_looks_beside_the_core_sees_whole_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
