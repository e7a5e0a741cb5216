/* SPDX-License-Identifier: Apache-2.0 */
/* Watermarks from event times: which rows are late must not depend on how they fall into
 * batches. */
#include "dataplane/operators/watermark.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define STAMP(F) F(time, at) F(i64, seq)
WEIR_SCHEMA(stamp, STAMP)

static struct harness *
harness_of(const struct weir_watermark_conf *conf, bool is_slow, uint64_t seed)
{
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_watermark_type;
    h.conf = conf;
    h.in_schema[0] = stamp_schema();
    h.out_schema[0] = stamp_schema();
    h.is_slow = is_slow;
    h.seed = seed;
    return harness_new(&h);
}

static void
feed(struct harness *h, const struct stamp *rows, uint32_t cnt, uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    for (uint32_t at = 0; at < cnt;) {
        uint32_t most = seed % 2 == 0 ? 5 : 500;
        uint32_t take = weir_min_u32(cnt - at, (uint32_t)weir_rng_between(&rng, 1, most));
        harness_push(h, 0, rows + at, take);
        at += take;
    }
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
}

/* All rows come, in order, each late exactly where the greatest time before it says so; and no
 * watermark is above what the rows before it allow. */
static void
check(struct harness *h, const struct stamp *rows, uint32_t cnt, int64_t lag)
{
    int64_t max = WEIR_TIME_MIN;
    int64_t told = WEIR_TIME_MIN;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < h->out[0].event_cnt; i++) {
        const struct harness_event *event = &h->out[0].event[i];
        int64_t exact = max == WEIR_TIME_MIN ? WEIR_TIME_MIN : max - lag;
        if (event->kind == HARNESS_WATERMARK) {
            assert_true(event->time > told);
            assert_true(event->time <= exact || event->time == WEIR_WATERMARK_MAX);
            told = event->time;
            continue;
        }
        const struct stamp *row = harness_row(h, 0, event->row);
        assert_int_equal(event->kind, HARNESS_ROW);
        assert_int_equal(row->seq, seen);
        assert_int_equal(event->watermark, told);
        assert_int_equal(row->at <= told, row->at <= exact);
        assert_int_equal(row->at, rows[seen].at);
        max = weir_max_i64(max, row->at);
        seen++;
    }
    assert_int_equal(seen, cnt);
    assert_int_equal(told, WEIR_WATERMARK_MAX);
}

static void
t_lateness_does_not_depend_on_batch_sizes(void **state)
{
    (void)state;
    enum { CNT = 5000 };
    struct stamp *rows = calloc(CNT, sizeof *rows);
    assert_non_null(rows);
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct weir_rng rng;
        weir_rng_init(&rng, seed);
        print_message("seed %llu\n", (unsigned long long)seed);
        int64_t spread = weir_rng_between(&rng, 1, 60);
        struct weir_watermark_conf conf = {
            weir_rng_between(&rng, 0, 50), weir_rng_between(&rng, 0, 1) * 100};
        for (uint32_t i = 0; i < CNT; i++) {
            rows[i].at = (int64_t)i - 1000 - weir_rng_between(&rng, 0, spread);
            rows[i].seq = i;
        }
        struct harness *h = harness_of(&conf, seed % 5 == 0, seed);
        feed(h, rows, CNT, seed);
        check(h, rows, CNT, conf.lag_ms);
        harness_free(h);
    }
    free(rows);
}

static void
t_watermarks_keep_their_distance(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {0, 100};
    struct harness *h = harness_of(&conf, false, 0);
    for (int64_t i = 0; i < 1000; i++) {
        struct stamp row = {i, i};
        harness_push(h, 0, &row, 1);
    }
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < h->out[0].event_cnt; i++) {
        cnt += h->out[0].event[i].kind == HARNESS_WATERMARK;
    }
    assert_int_equal(cnt, 10);
    harness_free(h);
}

static void
t_watermarks_from_above_end_here(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {5, 0};
    struct harness *h = harness_of(&conf, false, 0);
    harness_watermark(h, 0, 1000);
    assert_int_equal(h->out[0].event_cnt, 0);
    struct stamp row = {INT64_MIN + 2, 0};
    harness_push(h, 0, &row, 1);
    row.at = 100;
    harness_push(h, 0, &row, 1);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    harness_end(h, 0);
    /* The lag below the least time saturates: that is no watermark at all. */
    assert_int_equal(h->out[0].event_cnt, 5);
    assert_int_equal(h->out[0].event[0].kind, HARNESS_ROW);
    assert_int_equal(h->out[0].event[1].kind, HARNESS_ROW);
    assert_int_equal(h->out[0].event[2].time, 95);
    assert_int_equal(h->out[0].event[3].time, WEIR_WATERMARK_MAX);
    assert_int_equal(h->out[0].event[4].kind, HARNESS_END);
    harness_free(h);
}

/* Nobody can tell whether a row is late: none is held back, and the last one's time will do. */
static void
t_unused_times_are_looked_at_once_in_a_batch(void **state)
{
    (void)state;
    static const struct weir_watermark_conf conf = {5, 0};
    static const struct weir_operator_env env = {.time_unused = true};
    struct weir_watermarker marker;
    weir_watermarker_init(&marker, &env);
    struct stamp rows[] = {{900, 0}, {10, 1}, {100, 2}, {7, 3}};
    const int64_t told[] = {5, 95, 95};
    const uint32_t cnt[] = {2, 1, 1};
    struct stamp *at = rows;
    for (uint32_t i = 0; i < 3; at += cnt[i++]) {
        struct weir_view view = harness_view_of(stamp_schema(), at, cnt[i]);
        struct weir_out out;
        memset(&out, 0, sizeof out);
        assert_int_equal(weir_watermarker_take(&marker, &conf, &view, 0, &out), cnt[i]);
        assert_int_equal(marker.told_ms, told[i]);
        assert_int_equal(out.watermark_set, i < 2);
    }
}

static void
t_greatest_time_there_is_does_not_end_the_input(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {0, 0};
    struct harness *h = harness_of(&conf, false, 0);
    struct stamp rows[] = {{WEIR_WATERMARK_MAX, 0}, {WEIR_WATERMARK_MAX, 1}, {5, 2}};
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        harness_push(h, 0, &rows[i], 1);
    }
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    assert_int_equal(h->out[0].event_cnt, 5);
    assert_int_equal(h->out[0].event[1].kind, HARNESS_WATERMARK);
    assert_int_equal(h->out[0].event[1].time, WEIR_WATERMARK_MAX - 1);
    assert_int_equal(h->out[0].event[4].time, WEIR_WATERMARK_MAX);
    harness_free(h);
}

/* What the operator has found out spares those behind it a look: the very bounds of a batch that
 * passes whole, and of one that is split only what still holds. */
static void
t_bounds_of_a_whole_batch_are_handed_on(void **state)
{
    (void)state;
    static const struct weir_watermark_conf conf = {5, 0};
    static const struct weir_operator_env env = {.subtask_cnt = 1};
    struct weir_watermarker self;
    uint16_t sel[4];
    struct weir_operator op = {
        .type = &weir_watermark_type, .conf = &conf, .self = &self, .env = &env};
    weir_watermarker_init(&self, &env);
    struct stamp rows[] = {{30, 0}, {28, 1}, {33, 2}, {29, 3}, {90, 4}, {40, 5}};
    struct weir_view view = harness_view_of(stamp_schema(), rows, 4);
    struct weir_out out = {.sel_buf = sel};
    assert_int_equal(weir_watermark_type.process(&op, 0, &view, 0, &out, 0), 4);
    assert_int_not_equal(out.view.flags & (uint32_t)WEIR_BATCH_TIME_EXACT, 0);
    assert_int_equal(out.view.time_min, 28);
    assert_int_equal(out.view.time_max, 33);
    view = harness_view_of(stamp_schema(), &rows[4], 2);
    assert_int_equal(weir_watermark_type.process(&op, 0, &view, 0, &out, 0), 1);
    assert_int_equal(out.view.flags & (uint32_t)WEIR_BATCH_TIME_EXACT, 0);
    assert_int_equal(weir_watermark_type.process(&op, 0, &view, 1, &out, 0), 1);
    assert_int_equal(out.view.flags & (uint32_t)WEIR_BATCH_TIME_EXACT, 0);
}

/* Columns of times go through another loop than rows and selections: all three must agree. */
static void
t_spans_agree_in_all_layouts(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 7);
    int64_t column[40];
    struct stamp rows[40];
    uint16_t sel[40];
    for (uint32_t i = 0; i < 40; i++) {
        column[i] = weir_rng_between(&rng, 0, 3) == 0 ? INT64_MIN + (int64_t)i
                                                      : weir_rng_between(&rng, -9000, 9000);
        rows[i].at = column[i];
        sel[i] = (uint16_t)i;
    }
    for (uint32_t from = 0; from < 9; from++) {
        for (uint32_t cnt = 0; from + cnt <= 40; cnt++) {
            int64_t least = INT64_MAX;
            int64_t most = INT64_MIN;
            for (uint32_t i = from; i < from + cnt; i++) {
                least = weir_min_i64(least, column[i]);
                most = weir_max_i64(most, column[i]);
            }
            const struct weir_view views[] = {{.time = (const char *)column, .time_stride = 8},
                {.time = (const char *)&rows[0].at, .time_stride = sizeof rows[0]},
                {.time = (const char *)column, .time_stride = 8, .sel = sel}};
            for (uint32_t v = 0; v < WEIR_ARRAY_CNT(views); v++) {
                int64_t min;
                int64_t max;
                weir_view_span(&views[v], from, cnt, &min, &max);
                assert_true(min == least && max == most);
            }
        }
    }
}

static void
t_rows_without_a_time_are_refused(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {5, 0};
    struct harness *h = harness_of(&conf, false, 0);
    struct stamp row = {1, 0};
    struct weir_view view = harness_view_of(stamp_schema(), &row, 1);
    view.time = NULL;
    weir_chain_offer(h->chain, 0, 0, &view);
    assert_int_equal(harness_run(h), WEIR_EGRAPH);
    weir_err_clear();
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_lateness_does_not_depend_on_batch_sizes),
        cmocka_unit_test(t_watermarks_keep_their_distance),
        cmocka_unit_test(t_watermarks_from_above_end_here),
        cmocka_unit_test(t_unused_times_are_looked_at_once_in_a_batch),
        cmocka_unit_test(t_greatest_time_there_is_does_not_end_the_input),
        cmocka_unit_test(t_bounds_of_a_whole_batch_are_handed_on),
        cmocka_unit_test(t_spans_agree_in_all_layouts),
        cmocka_unit_test(t_rows_without_a_time_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
