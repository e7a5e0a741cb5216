/* SPDX-License-Identifier: Apache-2.0 */
/* The async operator: order, capacity, failures, times, limits. */
#include "tests/unit/async_rig.h"

/* ---- order ---- */

static void
t_T318_ordered_answers_go_on_as_rows_came(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    push(&rig, 1, 3);
    assert_int_equal(rig.world->asked_cnt, 3);
    mark(&rig, 30);
    push(&rig, 4, 2);
    answer(&rig, 4, 1);
    answer(&rig, 1, 1);
    assert_string_equal(seen(&rig), "");
    answer(&rig, 0, 2);
    assert_string_equal(seen(&rig), "1 1.1 2");
    answer(&rig, 2, 0); /* an answer without a row */
    assert_string_equal(seen(&rig), "1 1.1 2 |30");
    answer(&rig, 3, 1);
    assert_string_equal(seen(&rig), "1 1.1 2 |30 4 5");
    const struct answer *row = harness_row(rig.h, 0, 0);
    struct weir_slice text = harness_text(rig.h, 0, &row->text);
    assert_int_equal(text.bytes, sizeof LONG_TEXT - 1);
    assert_memory_equal(text.ptr, LONG_TEXT, text.bytes);
    rig_close(&rig);
}

static void
t_T318_unordered_answers_go_on_as_they_come_between_watermarks(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .is_unordered = true});
    push(&rig, 1, 3);
    mark(&rig, 30);
    push(&rig, 4, 3);
    mark(&rig, 60);
    push(&rig, 7, 1);
    answer(&rig, 4, 1);
    answer(&rig, 2, 1);
    assert_string_equal(seen(&rig), "3");
    answer(&rig, 6, 1);
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "3 1");
    answer(&rig, 1, 1);
    assert_string_equal(seen(&rig), "3 1 2 |30 5");
    answer(&rig, 3, 1);
    answer(&rig, 5, 1);
    assert_string_equal(seen(&rig), "3 1 2 |30 5 4 6 |60 7");
    rig_close(&rig);
}

/* A row is late by its own channel's watermark before it, however late its answer comes; so rows of
 * one batch have the same. */
static void
t_T318_a_row_stays_on_time_while_it_waits(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    push(&rig, 1, 2);
    rig.h->watermark[0] = 15; /* its own channel's: the joined one stays behind */
    push(&rig, 3, 1);
    mark(&rig, 100);
    answer(&rig, 2, 1);
    answer(&rig, 1, 1);
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "1 2 3 |100");
    assert_int_equal(rig.h->out[0].event[0].watermark, WEIR_TIME_MIN);
    assert_int_equal(rig.h->out[0].event[1].watermark, WEIR_TIME_MIN);
    assert_int_equal(rig.h->out[0].event[2].watermark, 15);
    assert_int_equal(rig.h->out[0].event[2].time, 30);
    rig_close(&rig);
}

static void
t_watermarks_without_rows_before_them_go_on_at_once_and_the_last_waits(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    mark(&rig, 5);
    assert_string_equal(seen(&rig), "|5");
    push(&rig, 1, 1);
    mark(&rig, 7);
    mark(&rig, 8);
    mark(&rig, WEIR_WATERMARK_MAX);
    assert_string_equal(seen(&rig), "|5");
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "|5 1 |8 |max");
    weir_chain_offer_end(rig.h->chain, 0, 0);
    run(&rig);
    assert_string_equal(seen(&rig), "|5 1 |8 |max end");
    rig_close(&rig);
}

static void
say_idle(struct rig *rig, bool idle)
{
    weir_chain_offer_status(rig->h->chain, 0, 0, idle);
    run(rig);
}

/* An idle stream holds nobody back: told before the rows that wait, it would make them late. */
static void
t_an_idle_input_is_told_behind_the_last_answer(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    push(&rig, 1, 2);
    mark(&rig, 30);
    say_idle(&rig, true);
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "1");
    answer(&rig, 1, 1);
    assert_string_equal(seen(&rig), "1 2 |30 idle");
    say_idle(&rig, false);
    mark(&rig, 40);
    assert_string_equal(seen(&rig), "1 2 |30 idle active |40");
    push(&rig, 5, 1);
    say_idle(&rig, true);
    say_idle(&rig, false);
    answer(&rig, 2, 1);
    assert_string_equal(seen(&rig), "1 2 |30 idle active |40 5"); /* it was never seen idle */
    say_idle(&rig, true);
    mark(&rig, WEIR_WATERMARK_MAX);
    assert_string_equal(seen(&rig), "1 2 |30 idle active |40 5 idle");
    rig_close(&rig);
}

static void
t_an_end_without_a_last_watermark_waits_for_answers_too(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .is_unordered = true});
    push(&rig, 1, 2);
    mark(&rig, 9);
    weir_chain_offer_end(rig.h->chain, 0, 0);
    answer(&rig, 1, 1);
    assert_string_equal(seen(&rig), "2");
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "2 1 |9 end");
    rig_close(&rig);
}

static void
t_behind_a_savepoint_that_stops_the_job_nothing_goes_on(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    push(&rig, 1, 2);
    weir_chain_set_saved(rig.h->chain, true);
    weir_chain_offer_end(rig.h->chain, 0, 0);
    run(&rig);
    assert_string_equal(seen(&rig), "end");
    rig_close(&rig);
}

/* ---- capacity ---- */

static void
t_T318_a_full_queue_holds_input_back(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .capacity = 2});
    push(&rig, 1, 5);
    assert_int_equal(rig.world->asked_cnt, 2);
    assert_int_equal(weir_chain_blocked(rig.h->chain), 0);
    answer(&rig, 1, 1); /* it is there, and waits for the first: still two on their way */
    assert_int_equal(rig.world->asked_cnt, 2);
    answer(&rig, 0, 1);
    assert_int_equal(rig.world->asked_cnt, 4);
    assert_string_equal(seen(&rig), "1 2");
    answer(&rig, 2, 1);
    answer(&rig, 3, 1);
    answer(&rig, 4, 1);
    assert_string_equal(seen(&rig), "1 2 3 4 5");
    rig_close(&rig);
}

static void
t_answers_may_come_before_start_returns(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .capacity = 4});
    rig.world->answers_at_once = true;
    push(&rig, 1, 10);
    assert_string_equal(seen(&rig), "1 2 3 4 5 6 7 8 9 10");
    rig_close(&rig);
}

static void
t_nothing_is_allocated_behind_open(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .capacity = 8});
    rig.h->conf.no_keep = true;
    rig.world->answers_at_once = true;
    push(&rig, 1, 40);
    uint64_t before = harness_alloc_cnt();
    push(&rig, 1, 40);
    assert_int_equal(harness_alloc_cnt(), before);
    rig_close(&rig);
}

/* ---- failures, attempts, times ---- */

static void
t_T318_a_refused_row_fails_the_job_once(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    push(&rig, 1, 2);
    refuse(&rig, 1);
    assert_int_equal(rig.error, WEIR_EUNAVAILABLE);
    assert_non_null(strstr(why(&rig), "attempt 1 of 1: 503"));
    rig_close(&rig);
}

static void
t_T318_a_refused_row_is_asked_again_later_each_time(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain,
                       .attempt_cnt = 5,
                       .backoff_ns = 10,
                       .backoff_factor = 3,
                       .backoff_ns_max = 50});
    push(&rig, 1, 1);
    const int64_t waits[] = {10, 30, 50, 50};
    for (uint32_t i = 0; i < 4; i++) {
        refuse(&rig, i);
        wait_until(&rig, rig.h->now_ns + waits[i] - 1);
        assert_int_equal(rig.world->asked_cnt, i + 1);
        wait_until(&rig, rig.h->now_ns + 1);
        assert_int_equal(rig.world->asked_cnt, i + 2);
        assert_int_equal(rig.world->attempt[i + 1], i + 1);
    }
    refuse(&rig, 4);
    assert_int_equal(rig.error, WEIR_EUNAVAILABLE);
    assert_non_null(strstr(why(&rig), "attempt 5 of 5"));
    rig_close(&rig);
}

static void
t_T318_answers_that_are_not_liked_are_asked_again_and_the_last_goes_on(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &choosy, .attempt_cnt = 2});
    push(&rig, 1, 2);
    answer(&rig, 0, 0); /* no wait between: asked again at once */
    assert_int_equal(rig.world->asked_cnt, 3);
    answer(&rig, 2, 2);
    answer(&rig, 1, 0);
    answer(&rig, 3, 0);
    assert_int_equal(rig.error, 0);
    assert_string_equal(seen(&rig), "1 1.1");
    rig_close(&rig);
}

static void
t_a_start_that_fails_counts_as_an_answer_that_does(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .attempt_cnt = 2});
    rig.world->start_error = WEIR_EIO;
    push(&rig, 1, 1);
    assert_int_equal(rig.world->asked_cnt, 1);
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "1");
    rig.conf.attempt_cnt = 1;
    rig_close(&rig);
    rig_open(&rig, &(struct weir_async_conf){.function = &plain});
    rig.world->start_error = WEIR_EIO;
    push(&rig, 1, 1);
    assert_int_equal(rig.error, WEIR_EIO);
    assert_non_null(strstr(why(&rig), "cannot ask"));
    rig_close(&rig);
}

static void
t_T318_without_an_answer_in_time_the_job_fails(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .timeout_ns = 2 * WEIR_MS});
    push(&rig, 1, 1);
    wait_until(&rig, WEIR_MS);
    push(&rig, 2, 1);
    answer(&rig, 0, 1);
    wait_until(&rig, 3 * WEIR_MS - 1);
    assert_int_equal(rig.error, 0);
    wait_until(&rig, 3 * WEIR_MS);
    assert_int_equal(rig.error, WEIR_ETIMEOUT);
    assert_non_null(strstr(why(&rig), "within 2 ms"));
    rig_close(&rig);
}

/* What is made up goes on in the row's place; what comes later is dropped, and its room comes
 * back. */
static void
t_T318_without_an_answer_in_time_one_is_made_up(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &whole, .timeout_ns = 100, .capacity = 2});
    push(&rig, 1, 2);
    wait_until(&rig, 99);
    answer(&rig, 1, 1);
    wait_until(&rig, 100);
    assert_int_equal(rig.world->timeout_cnt, 1);
    assert_int_equal(rig.world->cancel_cnt, 1);
    assert_string_equal(seen(&rig), "1.1000 2");
    for (int64_t turn = 0; turn < 20; turn++) {
        answer(&rig, rig.world->asked_cnt - 1 - (turn == 0), 1); /* too late */
        push(&rig, 3 + turn, 1);
        wait_until(&rig, rig.h->now_ns + 100);
    }
    assert_int_equal(rig.world->timeout_cnt, 21);
    assert_int_equal(rig.error, 0);
    rig_close(&rig);
}

/* Calls that never come back take up room: past `capacity` of them, time-outs wait for one. */
static void
t_time_outs_wait_while_too_many_calls_do_not_come_back(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &whole, .timeout_ns = 100, .capacity = 2});
    push(&rig, 1, 2);
    wait_until(&rig, 100);
    push(&rig, 3, 2);
    wait_until(&rig, 300);
    assert_string_equal(seen(&rig), "1.1000 2.1000");
    assert_int_equal(weir_chain_due_ns(rig.h->chain), INT64_MAX);
    answer(&rig, 0, 1);
    assert_string_equal(seen(&rig), "1.1000 2.1000 3.1000");
    answer(&rig, 3, 1); /* its answer comes, late but before it was given up */
    assert_string_equal(seen(&rig), "1.1000 2.1000 3.1000 4");
    rig_close(&rig);
}

static void
t_a_canceled_call_may_answer_at_once_and_a_made_up_answer_may_fail(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &whole, .timeout_ns = 100, .capacity = 1});
    rig.world->answers_canceled = true;
    for (int64_t i = 0; i < 10; i++) {
        push(&rig, i, 1);
        wait_until(&rig, rig.h->now_ns + 100);
    }
    assert_int_equal(rig.h->out[0].row_cnt, 10);
    push(&rig, 666, 1);
    wait_until(&rig, rig.h->now_ns + 100);
    assert_int_equal(rig.error, WEIR_EDATA);
    assert_non_null(strstr(why(&rig), "nor one made up"));
    rig_close(&rig);
}

/* The time-out is over all attempts, also between two of them. */
static void
t_T318_the_time_out_is_over_all_attempts(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){
                       .function = &whole, .timeout_ns = 100, .attempt_cnt = 9, .backoff_ns = 60});
    push(&rig, 1, 1);
    wait_until(&rig, 20);
    refuse(&rig, 0);
    wait_until(&rig, 80);
    refuse(&rig, 1);
    wait_until(&rig, 99);
    assert_string_equal(seen(&rig), "");
    wait_until(&rig, 100);
    assert_string_equal(seen(&rig), "1.1000");
    assert_int_equal(rig.world->cancel_cnt, 0); /* nobody had the call */
    assert_int_equal(weir_chain_due_ns(rig.h->chain), INT64_MAX);
    rig_close(&rig);
}

/* ---- limits ---- */

static void
t_rows_and_answers_that_are_too_long_are_refused(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, &(struct weir_async_conf){.function = &plain, .text_bytes = 40});
    push(&rig, 1, 1);
    assert_int_equal(rig.error, WEIR_EDATA);
    assert_non_null(strstr(why(&rig), "field text"));
    rig_close(&rig);
    rig_open(&rig, &(struct weir_async_conf){
                       .function = &plain, .result_bytes = 2 * sizeof(struct answer) + 20});
    push(&rig, 1, 1);
    struct weir_async *call = rig.world->asked[0];
    struct answer *made = weir_async_emit(call);
    assert_non_null(made);
    assert_int_equal(weir_async_text(call, &made->text, LONG_TEXT, 20), 0);
    assert_int_equal(weir_async_text(call, &made->text, LONG_TEXT, 21), 0); /* in a second row */
    assert_null(weir_async_emit(call));
    assert_int_equal(weir_async_text(call, &made->text, LONG_TEXT, 30), WEIR_EBUDGET);
    assert_int_equal(weir_async_row_cnt(call), 1);
    assert_ptr_equal(weir_async_at(call, 0), made);
    rig_close(&rig);
}

static void
t_a_conf_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct weir_async_conf bad[] = {
        {.function = &plain, .capacity = WEIR_ASYNC_CAPACITY_MAX + 1},
        {.function = &plain, .capacity = 4096, .text_bytes = 4096},
        {.function = &plain, .result_bytes = sizeof(struct answer) - 1},
        {.function = &plain, .timeout_ns = -1},
        {.function = &plain, .backoff_ns = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_async_check(&bad[i], asked_schema()), WEIR_EGRAPH);
        weir_err_clear();
    }
    assert_int_equal(weir_async_check(&bad[4], answer_schema()), WEIR_EGRAPH);
    weir_err_clear();
    const struct weir_async_conf good = {.function = &plain, .capacity = WEIR_ASYNC_CAPACITY_MAX};
    assert_int_equal(weir_async_check(&good, asked_schema()), 0);
}

static void
t_a_client_that_does_not_open_fails_open(void **state)
{
    struct rig rig;
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.world = calloc(1, sizeof *rig.world);
    rig.world->open_error = WEIR_EUNAVAILABLE;
    rig.conf = (struct weir_async_conf){.function = &plain, .function_conf = rig.world};
    assert_int_equal(weir_mailbox_new(200, &rig.mailbox), 0);
    const struct harness_conf conf = {.type = &weir_async_type,
        .conf = &rig.conf,
        .in_schema = {asked_schema()},
        .out_schema = {answer_schema()},
        .before_open = give_mailbox,
        .before_open_arg = &rig};
    assert_int_equal(harness_try(&conf, &rig.h), WEIR_EUNAVAILABLE);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T318_ordered_answers_go_on_as_rows_came),
        cmocka_unit_test(t_T318_unordered_answers_go_on_as_they_come_between_watermarks),
        cmocka_unit_test(t_T318_a_row_stays_on_time_while_it_waits),
        cmocka_unit_test(t_watermarks_without_rows_before_them_go_on_at_once_and_the_last_waits),
        cmocka_unit_test(t_an_idle_input_is_told_behind_the_last_answer),
        cmocka_unit_test(t_an_end_without_a_last_watermark_waits_for_answers_too),
        cmocka_unit_test(t_behind_a_savepoint_that_stops_the_job_nothing_goes_on),
        cmocka_unit_test(t_T318_a_full_queue_holds_input_back),
        cmocka_unit_test(t_answers_may_come_before_start_returns),
        cmocka_unit_test(t_nothing_is_allocated_behind_open),
        cmocka_unit_test(t_T318_a_refused_row_fails_the_job_once),
        cmocka_unit_test(t_T318_a_refused_row_is_asked_again_later_each_time),
        cmocka_unit_test(t_T318_answers_that_are_not_liked_are_asked_again_and_the_last_goes_on),
        cmocka_unit_test(t_a_start_that_fails_counts_as_an_answer_that_does),
        cmocka_unit_test(t_T318_without_an_answer_in_time_the_job_fails),
        cmocka_unit_test(t_T318_without_an_answer_in_time_one_is_made_up),
        cmocka_unit_test(t_time_outs_wait_while_too_many_calls_do_not_come_back),
        cmocka_unit_test(t_a_canceled_call_may_answer_at_once_and_a_made_up_answer_may_fail),
        cmocka_unit_test(t_T318_the_time_out_is_over_all_attempts),
        cmocka_unit_test(t_rows_and_answers_that_are_too_long_are_refused),
        cmocka_unit_test(t_a_conf_that_cannot_be_is_refused),
        cmocka_unit_test(t_a_client_that_does_not_open_fails_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
