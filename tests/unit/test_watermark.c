/* SPDX-License-Identifier: Apache-2.0 */
/* Watermarks from event times: which rows are late must not depend on how they fall into
 * batches. */
#include "dataplane/operators/watermark.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/alignment.h"
#include "tests/unit/restart.h"
#include "tests/unit/savepoint_stream.h"
#include "tests/unit/test.h"

#define STAMP(F) F(time, at) F(i64, seq)
WEIR_SCHEMA(stamp, STAMP)
#define OTHER(F) F(time, at)
WEIR_SCHEMA(other, OTHER)

/* Of the next harness; time goes on by one with every push of feed(). */
static int64_t interval_ns;
static bool only_lateness;

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
    h.watermark_interval_ns = interval_ns;
    h.only_lateness = only_lateness;
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
        h->now_ns++;
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
        if (!only_lateness) { /* one right behind a watermark may touch what that closes */
            assert_int_equal(row->at - 1 <= told, row->at - 1 <= exact);
        }
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
        struct weir_watermark_conf conf = {.lag_ms = weir_rng_between(&rng, 0, 50)};
        interval_ns = weir_rng_between(&rng, 0, 1) * 100;
        only_lateness = weir_rng_between(&rng, 0, 1) == 1;
        for (uint32_t i = 0; i < CNT; i++) {
            rows[i].at = (int64_t)i - 1000 - weir_rng_between(&rng, 0, spread);
            rows[i].seq = i;
        }
        struct harness *h = harness_of(&conf, seed % 5 == 0, seed);
        feed(h, rows, CNT, seed);
        check(h, rows, CNT, conf.lag_ms);
        harness_free(h);
    }
    interval_ns = 0;
    only_lateness = false;
    free(rows);
}

static uint32_t
count(const struct harness *h, enum harness_event_kind kind)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < h->out[0].event_cnt; i++) {
        cnt += h->out[0].event[i].kind == kind;
    }
    return cnt;
}

static void
push_at(struct harness *h, int64_t at)
{
    const struct stamp row = {.at = at};
    harness_push(h, 0, &row, 1);
}

/* An interval is of processing time. What was held back is told when it is over, also where nothing
 * comes any more. */
static void
t_watermarks_keep_their_distance(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 0};
    interval_ns = 100;
    struct harness *h = harness_of(&conf, false, 0);
    interval_ns = 0;
    assert_true(weir_chain_keeps_time(h->chain));
    for (int64_t i = 0; i < 1000; i++) {
        harness_time(h, i);
        push_at(h, 2 * i);
    }
    assert_int_equal(count(h, HARNESS_WATERMARK), 10);
    assert_int_equal(weir_chain_due_ns(h->chain), 1000);
    harness_time(h, 1000);
    assert_int_equal(count(h, HARNESS_WATERMARK), 11);
    assert_int_equal(h->out[0].event[h->out[0].event_cnt - 1].time, 2 * 999);
    assert_int_equal(weir_chain_due_ns(h->chain), INT64_MAX);
    harness_free(h);
}

/* Rising times: equal ones are on time. */
static void
t_rising_times_may_be_equal(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = WEIR_WATERMARK_RISING_LAG_MS};
    struct harness *h = harness_of(&conf, false, 0);
    const struct stamp rows[] = {{10, 0}, {10, 1}, {11, 2}, {11, 3}, {11, 4}, {12, 5}};
    harness_push(h, 0, rows, WEIR_ARRAY_CNT(rows));
    uint32_t rows_cnt = 0;
    for (uint32_t i = 0; i < h->out[0].event_cnt; i++) {
        const struct harness_event *event = &h->out[0].event[i];
        if (event->kind == HARNESS_ROW) {
            assert_true(event->watermark < rows[rows_cnt++].at);
        }
    }
    assert_int_equal(rows_cnt, WEIR_ARRAY_CNT(rows));
    assert_int_equal(h->out[0].event[h->out[0].event_cnt - 1].time, 11);
    harness_free(h);
}

/* ---- idleness ---- */

/* Flink's source context has the time-out; here it stands in the operator that sets watermarks. */
static void
t_T029_a_source_that_says_nothing_for_a_while_is_idle(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 5, .idle_ms = 100};
    struct harness *h = harness_of(&conf, false, 0);
    harness_time(h, 1000 * WEIR_MS); /* it runs */
    push_at(h, 10);
    harness_time(h, 1099 * WEIR_MS);
    assert_int_equal(count(h, HARNESS_IDLE), 0);
    assert_int_equal(weir_chain_due_ns(h->chain), 1100 * WEIR_MS);
    harness_time(h, 1100 * WEIR_MS);
    harness_time(h, 5000 * WEIR_MS);
    assert_int_equal(count(h, HARNESS_IDLE), 1);
    assert_int_equal(weir_chain_due_ns(h->chain), INT64_MAX);
    harness_clear(h);
    const struct stamp rows[] = {{20, 0}, {21, 1}};
    harness_push(h, 0, rows, 2);
    static const enum harness_event_kind kinds[] = {
        HARNESS_ACTIVE, HARNESS_ROW, HARNESS_ROW, HARNESS_WATERMARK};
    assert_int_equal(h->out[0].event_cnt, WEIR_ARRAY_CNT(kinds));
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(kinds); i++) {
        assert_int_equal(h->out[0].event[i].kind, kinds[i]);
    }
    assert_int_equal(weir_chain_due_ns(h->chain), 5100 * WEIR_MS);
    harness_free(h);
}

/* One that has never had a row goes idle too; the end wakes it, or its windows would never fire. */
static void
t_T029_the_end_of_an_idle_source_is_told(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 5, .idle_ms = 100};
    struct harness *h = harness_of(&conf, false, 0);
    harness_time(h, WEIR_MS);
    assert_int_equal(count(h, HARNESS_IDLE), 0);
    harness_time(h, 101 * WEIR_MS);
    assert_int_equal(count(h, HARNESS_IDLE), 1);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    harness_end(h, 0);
    static const enum harness_event_kind kinds[] = {
        HARNESS_IDLE, HARNESS_ACTIVE, HARNESS_WATERMARK, HARNESS_END};
    assert_int_equal(h->out[0].event_cnt, WEIR_ARRAY_CNT(kinds));
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(kinds); i++) {
        assert_int_equal(h->out[0].event[i].kind, kinds[i]);
    }
    harness_free(h);
}

/* What an interval held back is told before: behind IDLE nobody listens. */
static void
t_T029_what_was_held_back_comes_before_idle(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 5, .idle_ms = 1};
    interval_ns = 1000 * WEIR_MS;
    struct harness *h = harness_of(&conf, false, 0);
    interval_ns = 0;
    harness_time(h, 0);
    push_at(h, 10);
    push_at(h, 50);
    assert_int_equal(count(h, HARNESS_WATERMARK), 1);
    harness_time(h, WEIR_MS);
    assert_int_equal(h->out[0].event[h->out[0].event_cnt - 2].time, 45);
    assert_int_equal(h->out[0].event[h->out[0].event_cnt - 1].kind, HARNESS_IDLE);
    harness_free(h);
}

/* Behind an input that is idle rows pass and watermarks do not, whoever makes them; nor is a row
 * late by one that nobody heard. */
static void
t_T023_no_watermark_inside_a_chain_that_is_idle(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 5};
    struct harness *h = harness_of(&conf, false, 0);
    push_at(h, 30);
    harness_status(h, 0, true);
    harness_clear(h);
    push_at(h, 40);
    push_at(h, 50);
    push_at(h, 60);
    harness_watermark(h, 0, 65);
    push_at(h, 33); /* behind 55, and ahead of the 25 that was told */
    assert_int_equal(h->out[0].event_cnt, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(h->out[0].event[i].kind, HARNESS_ROW);
        assert_int_equal(h->out[0].event[i].watermark, 25);
    }
    harness_clear(h);
    harness_status(h, 0, false);
    push_at(h, 70);
    push_at(h, 80);
    push_at(h, 90);
    assert_int_equal(h->out[0].event_cnt, 7);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(h->out[0].event[2 + 2 * i].kind, HARNESS_WATERMARK);
        assert_int_equal(h->out[0].event[2 + 2 * i].time, 65 + 10 * i);
    }
    harness_free(h);
}

/* ---- sources that wait for each other ---- */

static void
t_T317_who_is_too_far_ahead_is_held(void **state)
{
    (void)state;
    static const struct weir_watermark_conf conf = {
        .lag_ms = 0, .idle_ms = 100, .group = "g", .drift_ms = 10};
    struct weir_alignment_member members[3];
    struct weir_alignment board;
    struct harness *h[2];
    weir_alignment_init(&board, members, 3); /* the third has no rows yet: it does not count */
    for (uint32_t i = 0; i < 2; i++) {
        struct harness_conf hc;
        memset(&hc, 0, sizeof hc);
        hc.type = &weir_watermark_type;
        hc.conf = &conf;
        hc.in_schema[0] = stamp_schema();
        hc.out_schema[0] = stamp_schema();
        hc.alignment = &board;
        hc.alignment_member = i;
        h[i] = harness_new(&hc);
        assert_false(weir_watermark_type.holds(harness_operator(h[i])));
    }
    push_at(h[0], 1000);
    assert_false(weir_watermark_type.holds(harness_operator(h[0]))); /* nobody else counts */
    push_at(h[1], 990);
    assert_false(weir_watermark_type.holds(harness_operator(h[0])));
    push_at(h[0], 1001);
    assert_true(weir_watermark_type.holds(harness_operator(h[0])));
    assert_false(weir_watermark_type.holds(harness_operator(h[1]))); /* the least goes on */
    push_at(h[1], 500); /* a row that is late takes nothing back */
    assert_int_equal(weir_alignment_least(&board), 990);
    push_at(h[1], 991);
    assert_false(weir_watermark_type.holds(harness_operator(h[0])));
    push_at(h[0], 2000);
    assert_true(weir_watermark_type.holds(harness_operator(h[0])));
    assert_int_equal(weir_alignment_drift(&board, 0), 2000 - 991);
    assert_int_equal(weir_alignment_drift(&board, 1), 0);
    assert_int_equal(weir_alignment_drift(&board, 2), 0); /* it does not count */
    /* The other goes idle, and comes back. */
    harness_time(h[1], 0);
    harness_time(h[1], 100 * WEIR_MS);
    assert_int_equal(count(h[1], HARNESS_IDLE), 1);
    assert_false(weir_watermark_type.holds(harness_operator(h[0])));
    push_at(h[1], 992);
    assert_true(weir_watermark_type.holds(harness_operator(h[0])));
    /* Its input is idle, which is somebody else's word; and is active again. */
    harness_status(h[1], 0, true);
    assert_false(weir_watermark_type.holds(harness_operator(h[0])));
    harness_status(h[1], 0, false);
    assert_true(weir_watermark_type.holds(harness_operator(h[0])));
    /* It ends. */
    harness_watermark(h[1], 0, WEIR_WATERMARK_MAX);
    harness_end(h[1], 0);
    assert_false(weir_watermark_type.holds(harness_operator(h[0])));
    harness_free(h[0]);
    harness_free(h[1]);
}

/* Whoever is restored is as far as it was, before its first row. */
static void
t_T317_a_restored_one_counts_at_once(void **state)
{
    (void)state;
    static const struct weir_watermark_conf conf = {.group = "g", .drift_ms = 10};
    struct weir_alignment_member members[1];
    struct weir_alignment board;
    struct restart_left left;
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = &weir_watermark_type;
    hc.conf = &conf;
    hc.in_schema[0] = stamp_schema();
    hc.out_schema[0] = stamp_schema();
    hc.alignment = &board;
    weir_alignment_init(&board, members, 1);
    struct harness *h = harness_new(&hc);
    push_at(h, 70);
    restart_leave(h, &left);
    harness_free(h);
    weir_alignment_init(&board, members, 1);
    assert_int_equal(weir_alignment_least(&board), INT64_MAX);
    assert_int_equal(restart_come(&hc, &left, 1, false, &h), 0);
    assert_int_equal(weir_alignment_least(&board), 70);
    harness_free(h);
    restart_left_free(&left);
}

/* ---- a function of one's own ---- */

/* Rows that say how far all is, and after every seventh row a guess. */
struct marks {
    int64_t row_cnt;
    int64_t greatest;
};

WEIR_WATERMARK(marks, stamp, struct marks)
{
    state->greatest = state->row_cnt == 0 ? time : weir_max_i64(state->greatest, time);
    state->row_cnt++;
    if (in->seq < 0) {
        return -in->seq;
    }
    return state->row_cnt % 7 == 0 ? state->greatest - 30 : WEIR_TIME_MIN;
}

static const struct weir_watermark_conf marks_conf = {.function = &marks_watermark};

/* A row is late where the greatest watermark of all rows before it says so, however they fall into
 * batches, in rows and in columns. */
static void
t_a_functions_watermarks_do_not_depend_on_batch_sizes(void **state)
{
    (void)state;
    enum { CNT = 3000 };
    struct stamp *rows = calloc(CNT, sizeof *rows);
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct weir_rng rng;
        weir_rng_init(&rng, seed);
        for (uint32_t i = 0; i < CNT; i++) {
            rows[i].at = 1000 + (int64_t)i - weir_rng_between(&rng, 0, 60);
            rows[i].seq =
                weir_rng_between(&rng, 0, 40) == 0 ? -(1000 + (int64_t)i - 50) : (int64_t)i;
        }
        struct harness_conf hc;
        memset(&hc, 0, sizeof hc);
        hc.type = &weir_watermark_type;
        hc.conf = &marks_conf;
        hc.in_schema[0] = stamp_schema();
        hc.out_schema[0] = stamp_schema();
        hc.columns = seed % 3 == 0;
        hc.watermark_interval_ns = seed % 2 * 50;
        struct harness *h = harness_new(&hc);
        feed(h, rows, CNT, seed);
        struct marks by_hand = {0};
        int64_t exact = WEIR_TIME_MIN;
        uint32_t seen = 0;
        uint32_t late = 0;
        for (uint32_t i = 0; i < h->out[0].event_cnt; i++) {
            const struct harness_event *event = &h->out[0].event[i];
            if (event->kind == HARNESS_WATERMARK) {
                assert_true(event->time <= exact || event->time == WEIR_WATERMARK_MAX);
                continue;
            }
            assert_int_equal(event->watermark >= rows[seen].at, exact >= rows[seen].at);
            late += exact >= rows[seen].at;
            exact = weir_max_i64(exact, marks_row(&rows[seen], NULL, rows[seen].at, &by_hand));
            seen++;
        }
        assert_int_equal(seen, CNT);
        assert_in_range(late, 10, CNT / 2);
        harness_free(h);
    }
    free(rows);
}

/* Stopped and started again, by checkpoint and by savepoint, it says what it would have said. */
static void
t_a_functions_state_goes_on(void **state)
{
    (void)state;
    for (uint32_t by_savepoint = 0; by_savepoint < 2; by_savepoint++) {
        struct harness_conf hc;
        memset(&hc, 0, sizeof hc);
        hc.type = &weir_watermark_type;
        hc.conf = &marks_conf;
        hc.in_schema[0] = stamp_schema();
        hc.out_schema[0] = stamp_schema();
        struct harness *h = harness_new(&hc);
        for (int64_t i = 0; i < 5; i++) {
            push_at(h, 1000 - i);
        }
        assert_int_equal(count(h, HARNESS_WATERMARK), 0);
        if (by_savepoint) {
            struct stream stream;
            restart_savepoint(&h, 1, &stream);
            harness_free(h);
            assert_int_equal(restart_come_back(&hc, &stream, &h), 0);
            stream_free(&stream);
        } else {
            struct restart_left left;
            restart_leave(h, &left);
            harness_free(h);
            assert_int_equal(restart_come(&hc, &left, 1, false, &h), 0);
            restart_left_free(&left);
        }
        push_at(h, 7);
        push_at(h, 8); /* the seventh, behind 1000 */
        assert_int_equal(count(h, HARNESS_WATERMARK), 1);
        assert_int_equal(h->out[0].event[2].time, 970);
        harness_free(h);
    }
}

static void
t_what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    const struct weir_watermark_conf lag = {.lag_ms = -1};
    const struct weir_watermark_conf idle = {.idle_ms = -1};
    weir_err_clear();
    assert_int_equal(weir_watermark_check(&lag, stamp_schema()), WEIR_EGRAPH);
    assert_int_equal(weir_watermark_check(&idle, stamp_schema()), WEIR_EGRAPH);
    assert_int_equal(weir_watermark_check(&marks_conf, other_schema()), WEIR_EGRAPH);
    assert_int_equal(weir_watermark_check(&marks_conf, stamp_schema()), 0);
    weir_err_clear();
}

static void
t_watermarks_from_above_end_here(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 5};
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
    static const struct weir_watermark_conf conf = {.lag_ms = 5};
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

/* Where times rise by one with every row, each is right behind the watermark of the one before. */
static void
t_rows_right_behind_the_watermark_split_only_for_those_who_ask(void **state)
{
    (void)state;
    static const struct weir_watermark_conf conf = {.lag_ms = 0};
    struct stamp rows[] = {{1, 0}, {2, 1}, {3, 2}, {3, 3}, {4, 4}, {5, 5}};
    const uint32_t takes[2][6] = {{1, 1, 1, 2, 1, 0}, {3, 3, 0}};
    for (uint32_t only = 0; only < 2; only++) {
        const struct weir_operator_env env = {.only_lateness = only == 1};
        struct weir_view view = harness_view_of(stamp_schema(), rows, WEIR_ARRAY_CNT(rows));
        struct weir_watermarker marker;
        weir_watermarker_init(&marker, &env);
        uint32_t from = 0;
        for (const uint32_t *take = takes[only]; *take > 0; from += *take++) {
            struct weir_out out;
            memset(&out, 0, sizeof out);
            assert_int_equal(weir_watermarker_take(&marker, &conf, &view, from, &out), *take);
            assert_int_equal(marker.told_ms, rows[from + *take - 1].at);
        }
        assert_int_equal(from, WEIR_ARRAY_CNT(rows));
    }
}

static void
t_greatest_time_there_is_does_not_end_the_input(void **state)
{
    (void)state;
    struct weir_watermark_conf conf = {.lag_ms = 0};
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
    static const struct weir_watermark_conf conf = {.lag_ms = 5};
    static const struct weir_operator_env env = {.subtask_cnt = 1};
    _Alignas(8) char self[1024] = {0};
    uint16_t sel[4];
    struct weir_operator op = {
        .type = &weir_watermark_type, .conf = &conf, .self = self, .env = &env};
    assert_true(sizeof self >= weir_watermark_type.self_bytes);
    assert_int_equal(weir_watermark_type.open(&op), 0);
    struct stamp rows[] = {{30, 0}, {28, 1}, {33, 2}, {30, 3}, {90, 4}, {40, 5}};
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
    struct weir_watermark_conf conf = {.lag_ms = 5};
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
        cmocka_unit_test(t_rising_times_may_be_equal),
        cmocka_unit_test(t_T029_a_source_that_says_nothing_for_a_while_is_idle),
        cmocka_unit_test(t_T029_the_end_of_an_idle_source_is_told),
        cmocka_unit_test(t_T029_what_was_held_back_comes_before_idle),
        cmocka_unit_test(t_T023_no_watermark_inside_a_chain_that_is_idle),
        cmocka_unit_test(t_T317_who_is_too_far_ahead_is_held),
        cmocka_unit_test(t_T317_a_restored_one_counts_at_once),
        cmocka_unit_test(t_a_functions_watermarks_do_not_depend_on_batch_sizes),
        cmocka_unit_test(t_a_functions_state_goes_on),
        cmocka_unit_test(t_what_does_not_go_together_is_refused),
        cmocka_unit_test(t_watermarks_from_above_end_here),
        cmocka_unit_test(t_unused_times_are_looked_at_once_in_a_batch),
        cmocka_unit_test(t_rows_right_behind_the_watermark_split_only_for_those_who_ask),
        cmocka_unit_test(t_greatest_time_there_is_does_not_end_the_input),
        cmocka_unit_test(t_bounds_of_a_whole_batch_are_handed_on),
        cmocka_unit_test(t_spans_agree_in_all_layouts),
        cmocka_unit_test(t_rows_without_a_time_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
