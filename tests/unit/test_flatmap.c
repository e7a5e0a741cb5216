/* SPDX-License-Identifier: Apache-2.0 */
/* Flat maps: a row that becomes very many stops and goes on; one that becomes a very large row gets
 * the room. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/function.h"
#include "test.h"
#include "tests/unit/harness.h"

#define ASKED(F) F(time, at) F(i64, cnt)
WEIR_SCHEMA(asked, ASKED)
#define MADE(F) F(time, at) F(i64, number) F(str, text)
WEIR_SCHEMA(made, MADE)

struct done {
    int64_t cnt;
};

/* cnt rows. */
WEIR_FLATMAP(expand, asked, made, struct done)
{
    for (; pos->cnt < in->cnt; pos->cnt++) {
        if (!weir_out_room(out, 1, 0)) {
            return WEIR_AGAIN;
        }
        struct made *row = made_emit(out);
        row->at = in->at;
        row->number = pos->cnt;
        row->text = weir_str_inline("", 0);
    }
    return WEIR_DONE;
}

static char letters[WEIR_ROW_BYTES_MAX];

/* Three rows with texts of cnt bytes. */
WEIR_FLATMAP(inflate, asked, made, struct done)
{
    for (; pos->cnt < 3; pos->cnt++) {
        if (!weir_out_room(out, 1, (uint32_t)in->cnt)) {
            return WEIR_AGAIN;
        }
        struct made *row = made_emit(out);
        row->at = in->at;
        row->number = in->cnt;
        weir_str_set_bytes(out, &row->text, letters, (uint32_t)in->cnt);
    }
    return WEIR_DONE;
}

static struct harness *
open_harness(const struct weir_function *function)
{
    struct harness_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.type = &function->type;
    conf.in_schema[0] = asked_schema();
    conf.out_schema[0] = made_schema();
    return harness_new(&conf);
}

/* ---- many ---- */

#define BATCH_ROWS 256

static struct {
    uint64_t seen;
    uint64_t most; /* rows of one step */
} steps;

static void
note_step(struct harness *h)
{
    uint64_t now = h->out[0].seen_cnt - steps.seen;
    steps.most = now > steps.most ? now : steps.most;
    steps.seen = h->out[0].seen_cnt;
}

static void
t_a_poll_stays_bounded_when_one_row_becomes_100000(void **state)
{
    (void)state;
    enum { CNT = 100000 };
    struct harness *h = open_harness(&expand_op);
    const struct asked rows[] = {{1, 3}, {2, CNT}, {3, 0}, {4, 2}};
    h->steps_max = 1;
    h->after_step = note_step;
    memset(&steps, 0, sizeof steps);
    harness_push(h, 0, rows, WEIR_ARRAY_CNT(rows));
    assert_int_equal(h->out[0].row_cnt, 3 + CNT + 2);
    for (uint32_t i = 0; i < CNT; i++) {
        const struct made *row = harness_row(h, 0, 3 + i);
        assert_int_equal(row->number, i);
    }
    assert_true(steps.most <= BATCH_ROWS);
    assert_true(h->step_cnt >= CNT / BATCH_ROWS);
    harness_free(h);
}

/* ---- large ---- */

static void
check_text(struct harness *h, uint32_t row, int64_t bytes)
{
    const struct made *made = harness_row(h, 0, row);
    struct weir_slice text = harness_text(h, 0, &made->text);
    assert_int_equal(made->number, bytes);
    assert_int_equal(text.bytes, bytes);
    assert_memory_equal(text.ptr, letters, text.bytes);
}

static void
t_a_row_larger_than_the_buffer_gets_the_room(void **state)
{
    (void)state;
    struct harness *h = open_harness(&inflate_op);
    const struct asked rows[] = {
        {1, 5}, {2, 4096}, {3, 33000}, {4, 13}, {5, 1 << 20}, {6, 100000}, {7, 0}, {8, 16 << 20}};
    for (size_t i = 0; i < sizeof letters; i++) {
        letters[i] = (char)('a' + i % 23);
    }
    harness_push(h, 0, rows, WEIR_ARRAY_CNT(rows));
    assert_int_equal(h->out[0].row_cnt, 3 * WEIR_ARRAY_CNT(rows));
    for (uint32_t i = 0; i < 3 * WEIR_ARRAY_CNT(rows); i++) {
        check_text(h, i, rows[i / 3].cnt);
    }
    /* It has grown once: the same again takes no memory. */
    harness_clear(h);
    const struct asked again = {9, 100000};
    harness_push(h, 0, &again, 1);
    harness_clear(h);
    uint64_t allocs = harness_alloc_cnt();
    harness_push(h, 0, &again, 1);
    assert_int_equal(harness_alloc_cnt(), allocs);
    assert_int_equal(h->out[0].row_cnt, 3);
    check_text(h, 2, again.cnt);
    harness_free(h);
}

static void
t_a_row_over_the_limit_fails_with_its_size(void **state)
{
    (void)state;
    struct harness *h = open_harness(&inflate_op);
    const struct asked row = {1, WEIR_ROW_BYTES_MAX};
    assert_int_equal(harness_try_push(h, 0, &row, 1), WEIR_EBUDGET);
    assert_non_null(strstr(weir_err_at(0), "a row of made takes"));
    weir_err_clear();
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_poll_stays_bounded_when_one_row_becomes_100000),
        cmocka_unit_test(t_a_row_larger_than_the_buffer_gets_the_room),
        cmocka_unit_test(t_a_row_over_the_limit_fails_with_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
