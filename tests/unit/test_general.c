/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of each key for themselves in a real chain: the scenarios of Flink's WindowOperatorTest,
 * triggers, evictors, functions, misuse. */
#include "tests/unit/general_rows.h"

/* ---- scenarios ---- */

static void
sliding(int32_t cut, bool moves)
{
    struct weir_general_conf conf =
        general_conf(WEIR_SLIDES(3000, 1000), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    const int64_t rows[][2] = {
        {3999, 2}, {3000, 2}, {20, 1}, {0, 1}, {999, 1}, {1998, 2}, {1999, 2}, {1000, 2}};
    static const char *const fired[] = {"k1-3 -2000-1000@999",
        "k1-3 -1000-2000@1999 k2-3 -1000-2000@1999", "k1-3 0-3000@2999 k2-3 0-3000@2999",
        "k2-5 1000-4000@3999", "k2-2 2000-5000@4999", "k2-2 3000-6000@5999", "", ""};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        push_one(h, rows[i][0], rows[i][1], 1);
    }
    for (int32_t i = 0; i < (int32_t)WEIR_ARRAY_CNT(fired); i++) {
        harness_watermark(h, 0, 1000 * i + 999);
        expect_seen(h, fired[i]);
        if (i == cut) {
            go_on(&h, &hc, moves);
        }
    }
    harness_free(h);
}

static void
t_T321_sliding_goes_on_behind_any_watermark(void **state)
{
    (void)state;
    for (int32_t cut = -1; cut < 8; cut++) {
        sliding(cut, false);
        sliding(cut, true);
    }
}

static void
sessions(bool moves)
{
    struct weir_general_conf conf = general_conf(WEIR_SESSIONS(3000), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    push_one(h, 0, 2, 1);
    push_one(h, 1000, 2, 2);
    push_one(h, 2500, 2, 3);
    push_one(h, 10, 1, 1);
    push_one(h, 1000, 1, 2);
    go_on(&h, &hc, moves);
    push_one(h, 2500, 1, 3);
    push_one(h, 5501, 2, 4);
    push_one(h, 6000, 2, 5);
    push_one(h, 6000, 2, 5);
    push_one(h, 6050, 2, 6);
    harness_watermark(h, 0, 12000);
    expect_seen(h, "k1-6 10-5500@5499 k2-6 0-5500@5499 k2-20 5501-9050@9049");
    push_one(h, 15000, 2, 10);
    push_one(h, 15000, 2, 20);
    harness_watermark(h, 0, 17999);
    expect_seen(h, "k2-30 15000-18000@17999");
    assert_int_equal(late_cnt(h), 0);
    harness_free(h);
}

static void
t_T322_sessions_merge_across_a_restore(void **state)
{
    (void)state;
    sessions(false);
    sessions(true);
}

static void
t_T323_late_rows_fire_again_within_the_lateness(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_TUMBLES(2000), weir_aggregate_sum("value"));
    conf.trigger.purges = true;
    conf.lateness_ms = 500;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    push_one(h, 500, 2, 1);
    harness_watermark(h, 0, 1500);
    push_one(h, 1300, 2, 1);
    harness_watermark(h, 0, 2300);
    expect_seen(h, "k2-2 0-2000@1999");
    push_one(h, 1997, 2, 1);
    expect_seen(h, "k2-1 0-2000@1999");
    harness_watermark(h, 0, 6000);
    push_one(h, 1998, 2, 1);
    harness_watermark(h, 0, 7000);
    expect_seen(h, "");
    assert_int_equal(late_cnt(h), 1);
    assert_int_equal(((const struct event *)harness_row(h, 1, 0))->at, 1998);
    harness_free(h);
}

/* Without purging the late row is added to what has fired. */
static void
t_T323_a_window_that_is_not_purged_fires_with_all_it_has(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_TUMBLES(2000), weir_aggregate_sum("value"));
    conf.lateness_ms = 500;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    push_one(h, 500, 2, 1);
    harness_watermark(h, 0, 2300);
    expect_seen(h, "k2-1 0-2000@1999");
    go_on(&h, &hc, true);
    harness_watermark(h, 0, 2300);
    push_one(h, 1997, 2, 5);
    expect_seen(h, "k2-6 0-2000@1999");
    harness_watermark(h, 0, 2498);
    push_one(h, 1997, 2, 1);
    expect_seen(h, "k2-7 0-2000@1999");
    harness_watermark(h, 0, 2499);
    push_one(h, 1999, 2, 1);
    expect_seen(h, "");
    assert_int_equal(late_cnt(h), 1);
    harness_free(h);
}

static void
t_T324_tumbling_late_rows_leave_by_the_side(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_TUMBLES(2000), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    push_one(h, 1000, 2, 1);
    harness_watermark(h, 0, 1985);
    push_one(h, 1980, 2, 1);
    harness_watermark(h, 0, 1999);
    expect_seen(h, "k2-2 0-2000@1999");
    push_one(h, 1998, 2, 1);
    push_one(h, 2001, 2, 1);
    harness_watermark(h, 0, 2999);
    harness_watermark(h, 0, 3999);
    expect_seen(h, "k2-1 2000-4000@3999");
    assert_int_equal(late_cnt(h), 1);
    assert_int_equal(((const struct event *)harness_row(h, 1, 0))->at, 1998);
    harness_free(h);
}

static void
t_T325_sliding_rows_late_for_some_windows_count_in_the_others(void **state)
{
    (void)state;
    struct weir_general_conf conf =
        general_conf(WEIR_SLIDES(3000, 1000), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    harness_watermark(h, 0, 3000);
    const int64_t rows[][2] = {
        {2400, 2}, {2400, 2}, {3001, 2}, {3001, 2}, {3900, 2}, {2400, 1}, {3001, 1}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        push_one(h, rows[i][0], rows[i][1], 1);
    }
    harness_watermark(h, 0, 6000);
    expect_seen(h,
        "k1-2 1000-4000@3999 k2-5 1000-4000@3999 k1-2 2000-5000@4999 k2-5 2000-5000@4999 "
        "k1-1 3000-6000@5999 k2-3 3000-6000@5999");
    push_one(h, 3001, 1, 1);
    harness_watermark(h, 0, 25000);
    expect_seen(h, "");
    assert_int_equal(late_cnt(h), 1);
    assert_int_equal(h->out[1].row_cnt, 1);
    harness_free(h);
}

/* The data of Flink's tests of late rows and sessions, up to the session [11600 14600). */
static struct harness *
late_sessions(const struct harness_conf *hc)
{
    struct harness *h = harness_new(hc);
    push_one(h, 1000, 2, 1);
    harness_watermark(h, 0, 1999);
    push_one(h, 2000, 2, 1);
    harness_watermark(h, 0, 4998);
    push_one(h, 4500, 2, 1);
    push_one(h, 8500, 2, 1);
    harness_watermark(h, 0, 7400);
    expect_seen(h, "");
    push_one(h, 7000, 2, 1); /* makes one session of two */
    harness_watermark(h, 0, 11501);
    expect_seen(h, "k2-5 1000-11500@11499");
    push_one(h, 11600, 2, 1);
    harness_watermark(h, 0, 14600);
    expect_seen(h, "k2-1 11600-14600@14599");
    return h;
}

static void
t_T327_late_rows_of_sessions_without_lateness(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_SESSIONS(3000), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = late_sessions(&hc);
    push_one(h, 10000, 2, 1);
    assert_int_equal(late_cnt(h), 1);
    push_one(h, 14500, 2, 1);
    harness_watermark(h, 0, 20000);
    expect_seen(h, "k2-1 14500-17500@17499");
    harness_watermark(h, 0, 100000);
    expect_seen(h, "");
    harness_free(h);
}

static void
t_T327_late_rows_join_a_session_that_is_still_held(void **state)
{
    (void)state;
    for (int purges = 0; purges < 2; purges++) {
        struct weir_general_conf conf =
            general_conf(WEIR_SESSIONS(3000), weir_aggregate_sum("value"));
        conf.lateness_ms = 10;
        conf.trigger.purges = purges != 0;
        struct harness_conf hc = general_harness(&conf);
        struct harness *h = late_sessions(&hc);
        go_on(&h, &hc, true);
        harness_watermark(h, 0, 14600);
        push_one(h, 10000, 2, 1);
        expect_seen(h, purges ? "k2-1 10000-14600@14599" : "k2-2 10000-14600@14599");
        push_one(h, 14500, 2, 1);
        harness_watermark(h, 0, 20000);
        expect_seen(h, purges ? "k2-1 10000-17500@17499" : "k2-3 10000-17500@17499");
        harness_watermark(h, 0, 100000);
        expect_seen(h, "");
        assert_int_equal(late_cnt(h), 0);
        assert_int_equal(((struct general_self *)harness_operator(h)->self)->table->entry_cnt, 0);
        harness_free(h);
    }
}

/* A lateness that holds everything: late rows put all sessions together. */
static void
t_T327_a_huge_lateness_holds_all_sessions(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_SESSIONS(3000), weir_aggregate_sum("value"));
    conf.lateness_ms = 10000;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = late_sessions(&hc);
    push_one(h, 10000, 2, 1);
    expect_seen(h, "k2-7 1000-14600@14599");
    push_one(h, 14500, 2, 1);
    harness_watermark(h, 0, 20000);
    expect_seen(h, "k2-8 1000-17500@17499");
    harness_watermark(h, 0, 100000);
    expect_seen(h, "");
    harness_free(h);
}

static void
t_T328_every_n_rows_across_a_restore(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_GLOBAL, weir_aggregate_sum("value"));
    conf.trigger = (struct weir_trigger)WEIR_EVERY_ROWS(4);
    conf.trigger.purges = true;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
#define EVER "-9223372036854775808-9223372036854775807@9223372036854775807"
    push_one(h, 1999, 2, 1);
    push_one(h, 1000, 2, 1);
    push_one(h, 3999, 2, 1);
    push_one(h, 3000, 2, 1);
    push_one(h, 20, 1, 1);
    push_one(h, 0, 1, 1);
    push_one(h, 999, 1, 1);
    expect_seen(h, "k2-4 " EVER);
    go_on(&h, &hc, true);
    push_one(h, 1998, 1, 1);
    expect_seen(h, "k1-4 " EVER);
    struct event rows[8];
    for (int i = 0; i < 8; i++) {
        rows[i] = row_of(7000 + i, 1 + i / 4, 1);
    }
    harness_push(h, 0, rows, 8);
    expect_seen(h, "k1-4 " EVER " k2-4 " EVER);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    expect_seen(h, "");
    harness_free(h);
}

static void
t_T329_everything_at_the_end(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_GLOBAL, weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    const int64_t rows[][2] = {
        {3999, 2}, {3000, 2}, {20, 1}, {0, 1}, {999, 1}, {1998, 2}, {1999, 2}, {1000, 2}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        push_one(h, rows[i][0], rows[i][1], 1);
        harness_watermark(h, 0, rows[i][0] / 1000);
    }
    go_on(&h, &hc, false);
    expect_seen(h, "");
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    const struct harness_event *last = &h->out[0].event[h->out[0].event_cnt - 1];
    assert_int_equal(last->kind, HARNESS_WATERMARK);
    assert_true(last->time == WEIR_WATERMARK_MAX);
    expect_seen(h, "k1-3 " EVER " k2-5 " EVER);
    harness_free(h);
}

/* ---- the clock ---- */

static void
clock_to(struct harness *h, int64_t ms)
{
    int rc;
    h->now_ns = ms * WEIR_MS;
    while ((rc = weir_chain_fire(h->chain, h->now_ns)) == WEIR_AGAIN) {
        assert_int_equal(harness_run(h), 0);
    }
    assert_int_equal(rc, WEIR_DONE);
}

static void
t_T330_windows_of_processing_time(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct weir_general_conf conf =
            general_conf(WEIR_TUMBLES_BY_CLOCK(3000), weir_aggregate_sum("value"));
        struct harness_conf hc = general_harness(&conf);
        struct harness *h = harness_new(&hc);
        clock_to(h, 3);
        for (int i = 0; i < 3; i++) {
            push_one(h, 7000, 2, 1);
        }
        push_one(h, 7000, 1, 1);
        push_one(h, 7000, 1, 1);
        expect_seen(h, "");
        if (cut) {
            go_on(&h, &hc, true);
        }
        clock_to(h, 5000);
        expect_seen(h, "k1-2 0-3000@2999 k2-3 0-3000@2999");
        for (int i = 0; i < 3; i++) {
            push_one(h, 7000, 1, 1);
        }
        clock_to(h, 5998);
        expect_seen(h, "");
        clock_to(h, 7000);
        expect_seen(h, "k1-3 3000-6000@5999");
        harness_free(h);
    }
}

static void
t_T331_times_near_the_end_of_all_times(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_TUMBLES(1000), weir_aggregate_sum("value"));
    conf.lateness_ms = INT64_MAX - 10;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    int64_t at = INT64_MAX - 1750;
    int64_t end = at / 1000 * 1000 + 1000;
    char want[128];
    (void)snprintf(want, sizeof want, "k2-1 %lld-%lld@%lld", (long long)end - 1000, (long long)end,
        (long long)end - 1);
    push_one(h, at, 2, 1);
    harness_watermark(h, 0, INT64_MAX - 1500);
    expect_seen(h, "");
    harness_watermark(h, 0, end - 1);
    expect_seen(h, want);
    struct general_self *self = harness_operator(h)->self;
    assert_int_equal(self->table->entry_cnt, 1);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    expect_seen(h, "");
    assert_int_equal(self->table->entry_cnt, 0);
    assert_int_equal(weir_timers_cnt(&self->timers), 0);
    harness_free(h);
}

/* Windows that end beyond the end of time are still several. */
static void
t_T331_windows_that_end_beyond_the_end_of_time(void **state)
{
    (void)state;
    struct weir_general_conf conf =
        general_conf(WEIR_SLIDES(1000, 400), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    push_one(h, INT64_MAX - 100, 2, 1);
    push_one(h, INT64_MAX - 500, 2, 5);
    go_on(&h, &hc, true);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    const struct harness_out *out = &h->out[0];
    int64_t sum = 0;
    assert_int_equal(out->row_cnt, 4);
    for (uint32_t i = 0; i < out->row_cnt; i++) {
        const struct fired *row = harness_row(h, 0, i);
        sum += row->result;
        for (uint32_t j = 0; j < i; j++) {
            assert_true(
                ((const struct fired *)harness_row(h, 0, j))->window_start != row->window_start);
        }
    }
    assert_int_equal(sum, 3 * 1 + 3 * 5);
    harness_free(h);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(t_T321_sliding_goes_on_behind_any_watermark),
    cmocka_unit_test(t_T322_sessions_merge_across_a_restore),
    cmocka_unit_test(t_T323_late_rows_fire_again_within_the_lateness),
    cmocka_unit_test(t_T323_a_window_that_is_not_purged_fires_with_all_it_has),
    cmocka_unit_test(t_T324_tumbling_late_rows_leave_by_the_side),
    cmocka_unit_test(t_T325_sliding_rows_late_for_some_windows_count_in_the_others),
    cmocka_unit_test(t_T327_late_rows_of_sessions_without_lateness),
    cmocka_unit_test(t_T327_late_rows_join_a_session_that_is_still_held),
    cmocka_unit_test(t_T327_a_huge_lateness_holds_all_sessions),
    cmocka_unit_test(t_T328_every_n_rows_across_a_restore),
    cmocka_unit_test(t_T329_everything_at_the_end),
    cmocka_unit_test(t_T330_windows_of_processing_time),
    cmocka_unit_test(t_T331_times_near_the_end_of_all_times),
    cmocka_unit_test(t_T331_windows_that_end_beyond_the_end_of_time),
};

int
main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
