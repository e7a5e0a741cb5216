/* SPDX-License-Identifier: Apache-2.0 */
/* The window operator in a real chain: scenarios, the ends of time, keys, tops, misuse. */
#include "tests/unit/restart.h"
#include "window_rows.h"

/* ---- scenarios ---- */

/* Rows are told in the order of watermarks; cut, the operator is stopped behind the cut-th of them
 * and goes on from what it has left. */
static void
sliding_sums(int32_t cut, bool moves)
{
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(3000, 1000), weir_aggregate_sum("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    /* The data of Flink's test: elements out of order, two keys. */
    const int64_t rows[][2] = {
        {3999, 2}, {3000, 2}, {20, 1}, {0, 1}, {999, 1}, {1998, 2}, {1999, 2}, {1000, 2}};
    static const char *const fired[] = {"k1=3@999", "k1=3@1999 k2=3@1999", "k1=3@2999 k2=3@2999",
        "k2=5@3999", "k2=2@4999", "k2=2@5999", "", ""};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        push_one(h, rows[i][0], rows[i][1], 1);
    }
    for (int32_t i = 0; i < (int32_t)WEIR_ARRAY_CNT(fired); i++) {
        harness_watermark(h, 0, 1000 * i + 999);
        expect(h, fired[i]);
        if (i == cut) {
            struct restart_left left;
            restart_leave(h, &left);
            harness_free(h);
            assert_int_equal(restart_come(&hc, &left, 1, moves, &h), 0);
            restart_left_free(&left);
            expect(h, "");
        }
    }
    assert_int_equal(late_cnt(h), 0);
    assert_int_equal(h->arena.table_cnt, 0);
    harness_free(h);
}

static void
t_T321_sliding_sums_of_late_keys_leave_one_by_one(void **state)
{
    (void)state;
    sliding_sums(-1, false);
}

static void
t_T321_sliding_sums_go_on_behind_any_watermark(void **state)
{
    (void)state;
    for (int32_t cut = 0; cut < 8; cut++) {
        sliding_sums(cut, false);
        sliding_sums(cut, true);
    }
}

static void
t_T324_tumbling_late_rows_leave_by_the_side(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_TUMBLE(2000), weir_aggregate_sum("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    push_one(h, 1000, 2, 1);
    harness_watermark(h, 0, 1985);
    push_one(h, 1980, 2, 1);
    harness_watermark(h, 0, 1999);
    expect(h, "k2=2@1999");
    push_one(h, 1998, 2, 1);
    push_one(h, 2001, 2, 1);
    harness_watermark(h, 0, 2999);
    expect(h, "");
    harness_watermark(h, 0, 3999);
    expect(h, "k2=1@3999");
    assert_int_equal(late_cnt(h), 1);
    assert_int_equal(h->out[1].row_cnt, 1);
    assert_int_equal(((const struct event *)harness_row(h, 1, 0))->at, 1998);
    harness_free(h);
}

static void
late_sliding(struct weir_aggregate aggregate)
{
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(3000, 1000), aggregate);
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    push_one(h, 1000, 2, 1);
    harness_watermark(h, 0, 1990);
    expect(h, "");
    push_one(h, 1998, 2, 1);
    harness_watermark(h, 0, 3000);
    expect(h, "k2=2@1999 k2=2@2999");
    /* Late for [0 3000), in time for [1000 4000) and [2000 5000). */
    push_one(h, 2400, 2, 1);
    push_one(h, 2400, 2, 1);
    push_one(h, 3001, 2, 1);
    push_one(h, 3001, 2, 1);
    push_one(h, 3900, 2, 1);
    push_one(h, 2400, 1, 1);
    push_one(h, 3001, 1, 1);
    harness_watermark(h, 0, 6000);
    expect(h, "k1=2@3999 k2=7@3999 k1=2@4999 k2=5@4999 k1=1@5999 k2=3@5999");
    push_one(h, 3001, 1, 1);
    harness_watermark(h, 0, 25000);
    expect(h, "");
    assert_int_equal(late_cnt(h), 1);
    assert_int_equal(h->out[1].row_cnt, 1);
    harness_free(h);
}

static void
t_T325_sliding_rows_late_for_some_windows_count_in_the_others(void **state)
{
    (void)state;
    /* By each of the ways to keep a running result. */
    late_sliding(weir_aggregate_count());
    late_sliding(weir_aggregate_sum("value"));
    late_sliding(square_agg);
    late_sliding(heavy_agg);
}

/* The very rows of Flink's test, whose first two lie far enough back. */
static void
t_T325_sliding_side_output_as_flink(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(3000, 1000), weir_aggregate_sum("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    push_one(h, 1000, 2, 1);
    harness_watermark(h, 0, 1990);
    push_one(h, 1998, 2, 1);
    harness_watermark(h, 0, 1999);
    expect(h, "k2=2@1999");
    harness_watermark(h, 0, 2000);
    push_one(h, 1999, 2, 1);
    harness_watermark(h, 0, 3000);
    expect(h, "k2=3@2999");
    push_one(h, 2400, 2, 1);
    push_one(h, 2400, 2, 1);
    push_one(h, 3001, 2, 1);
    push_one(h, 3900, 1, 1);
    harness_watermark(h, 0, 6000);
    expect(h, "k1=1@3999 k2=6@3999 k1=1@4999 k2=3@4999 k1=1@5999 k2=1@5999");
    push_one(h, 3001, 1, 1);
    harness_watermark(h, 0, 25000);
    expect(h, "");
    assert_int_equal(h->out[1].row_cnt, 1);
    assert_int_equal(((const struct event *)harness_row(h, 1, 0))->at, 3001);
    harness_free(h);
}

/* ---- the ends of time ---- */

static void
t_times_at_the_ends_saturate(void **state)
{
    (void)state;
    const struct weir_window_span spans[] = {{1000, 1000, 0}, {1000, 300, 7}, {1, 1, 0},
        {INT64_MAX, INT64_MAX, 0}, {INT64_MAX, 1000, 3}};
    for (size_t s = 0; s < WEIR_ARRAY_CNT(spans); s++) {
        struct weir_window_conf conf = conf_of(spans[s], weir_aggregate_count());
        if (spans[s].size_ms / spans[s].slide_ms > 1000) {
            /* Only what needs no firing of 10^15 windows. */
            continue;
        }
        struct harness_conf hc = harness_of(&conf, fired_schema());
        struct harness *h = harness_new(&hc);
        push_one(h, INT64_MAX, 1, 1);
        push_one(h, INT64_MAX - 1, 1, 1);
        push_one(h, INT64_MIN, 2, 1);
        push_one(h, INT64_MIN + 1, 2, 1);
        push_one(h, -1, 3, 1);
        push_one(h, 0, 4, 1);
        assert_int_equal(late_cnt(h), 0);
        harness_watermark(h, 0, WEIR_WATERMARK_MAX);
        int64_t rows[5] = {0};
        for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
            const struct fired *row = harness_row(h, 0, i);
            rows[row->key] += row->result;
            assert_true(row->window_start <= row->window_end);
        }
        for (int key = 1; key <= 4; key++) {
            assert_true(rows[key] >= (key <= 2 ? 2 : 1));
        }
        assert_int_equal(h->arena.table_cnt, 0);
        /* After the end of time all rows are late. */
        push_one(h, INT64_MAX, 1, 1);
        assert_int_equal(late_cnt(h), 1);
        harness_free(h);
    }
}

static void
t_negative_times_align_downwards(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_TUMBLE(10), weir_aggregate_count());
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    push_one(h, -1, 1, 1);
    push_one(h, -10, 1, 1);
    push_one(h, -11, 1, 1);
    push_one(h, 0, 1, 1);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    expect(h, "k1=1@-11 k1=2@-1 k1=1@9");
    harness_free(h);
}

static void
t_an_empty_stretch_of_time_costs_nothing(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(1000, 1), weir_aggregate_max("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *h = harness_new(&hc);
    push_one(h, 0, 1, 1);
    push_one(h, INT64_C(1000000000000), 1, 1);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    assert_int_equal(h->out[0].row_cnt, 2000);
    assert_true(h->step_cnt < 100);
    harness_free(h);
}

/* ---- keys ---- */

#define KEYED(F) F(time, at) F(i64, a) F(i32, b) F(str, name) F(bool, flag)
WEIR_SCHEMA(keyed, KEYED)
#define KEYED_OUT(F) F(ts, window_end) F(i64, a) F(i32, b) F(str, name) F(i64, result)
WEIR_SCHEMA(keyed_out, KEYED_OUT)

static const char *const names[] = {"", "a", "twelve bytes", "thirteen byte",
    "a name that is longer than a row has room for",
    "a name that is longer than a row has room fos"};
#define NAME_CNT 6

static void
feed_keyed(struct harness *h, struct weir_rng *rng, uint32_t cnt, uint32_t *counts)
{
    char heap[4096];
    struct keyed rows[64];
    for (uint32_t done = 0; done < cnt; done += 64) {
        size_t used = 0;
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t a = (uint32_t)weir_rng_below(rng, 3);
            uint32_t b = (uint32_t)weir_rng_below(rng, 3);
            uint32_t n = (uint32_t)weir_rng_below(rng, NAME_CNT);
            uint32_t bytes = (uint32_t)strlen(names[n]);
            memset(&rows[i], 0, sizeof rows[i]);
            rows[i].at = done / 8;
            rows[i].a = (int64_t)a - 1;
            rows[i].b = (int32_t)b - 1;
            rows[i].name.bytes = bytes;
            if (bytes <= WEIR_STR_INLINE_BYTES) {
                rows[i].name = weir_str_inline(names[n], bytes);
            } else {
                memcpy(heap + used, names[n], bytes);
                memcpy(rows[i].name.head, names[n], 4);
                rows[i].name.u.off = used;
                used += bytes;
            }
            counts[(a * 3 + b) * NAME_CNT + n]++;
        }
        struct weir_view view = harness_view_of(keyed_schema(), rows, 64);
        view.heap = heap;
        harness_push_view(h, 0, &view);
    }
}

/* Group by the fields that `mask` names, over a window that is cut into ten panes. */
static void
run_keyed(uint32_t mask, struct weir_aggregate aggregate)
{
    static const char *const fields[] = {"a", "b", "name"};
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(100000, 10000), aggregate);
    conf.key.field_cnt = 0;
    for (uint32_t f = 0; f < 3; f++) {
        if ((mask >> f & 1) != 0) {
            conf.key.field[conf.key.field_cnt++] = fields[f];
        }
    }
    struct harness_conf hc = harness_of(&conf, keyed_out_schema());
    hc.in_schema[0] = keyed_schema();
    hc.batch_rows = 7;
    struct harness *h = harness_new(&hc);
    struct weir_rng rng;
    weir_rng_init(&rng, mask);
    uint32_t counts[9 * NAME_CNT] = {0};
    feed_keyed(h, &rng, 640 * 10, counts);
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    int64_t sums[9 * NAME_CNT] = {0};
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct keyed_out *row = harness_row(h, 0, i);
        if (row->window_end != 10000) {
            continue;
        }
        struct weir_slice text = harness_text(h, 0, &row->name);
        uint32_t n = 0;
        while ((mask & 4) != 0 &&
               (strlen(names[n]) != text.bytes || memcmp(names[n], text.ptr, text.bytes) != 0)) {
            n++;
            assert_true(n < NAME_CNT);
        }
        uint32_t a = (mask & 1) != 0 ? (uint32_t)(row->a + 1) : 0;
        uint32_t b = (mask & 2) != 0 ? (uint32_t)(row->b + 1) : 0;
        sums[(a * 3 + b) * NAME_CNT + n] += row->result;
    }
    for (uint32_t i = 0; i < 9 * NAME_CNT; i++) {
        uint32_t a = (mask & 1) != 0 ? i / NAME_CNT / 3 : 0;
        uint32_t b = (mask & 2) != 0 ? i / NAME_CNT % 3 : 0;
        uint32_t n = (mask & 4) != 0 ? i % NAME_CNT : 0;
        sums[(a * 3 + b) * NAME_CNT + n] -= counts[i];
    }
    for (uint32_t i = 0; i < 9 * NAME_CNT; i++) {
        assert_int_equal(sums[i], 0);
    }
    assert_int_equal(h->arena.table_cnt, 0);
    assert_int_equal(weir_arena_used_bytes(&h->arena), 0);
    harness_free(h);
}

/* A count that has no inverse. */
struct tally {
    int64_t cnt;
};
static inline void
tally_init(struct tally *acc)
{
    acc->cnt = 0;
}
static inline void
tally_add(struct tally *acc, const struct keyed *in, const char *heap)
{
    (void)in;
    (void)heap;
    acc->cnt++;
}
static inline void
tally_merge(struct tally *acc, const struct tally *from)
{
    acc->cnt += from->cnt;
}
static inline void
tally_result(const struct tally *acc, struct keyed_out *out)
{
    out->result = acc->cnt;
}
WEIR_AGGREGATE(tally, keyed, struct tally, keyed_out)

/* And one that has it. */
#define counted_init tally_init
#define counted_add tally_add
#define counted_merge tally_merge
#define counted_result tally_result
static inline void
counted_subtract(struct tally *acc, const struct tally *from)
{
    acc->cnt -= from->cnt;
}
WEIR_AGGREGATE_INVERTIBLE(counted, keyed, struct tally, keyed_out)

static void
t_keys_of_any_fields_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (uint32_t mask = 0; mask < 8; mask++) {
        run_keyed(mask, counted_agg);
        run_keyed(mask, tally_agg);
    }
}

/* ---- top ---- */

/* What a top of the model's rows would be: every row whose result is among the n highest. */
static void
run_top(struct weir_aggregate aggregate, uint32_t top_cnt, uint32_t key_cnt, uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(100, 20), aggregate);
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *all = harness_new(&hc);
    struct weir_window_conf top_conf = conf;
    top_conf.top_cnt = top_cnt;
    top_conf.top_by = aggregate.kind == WEIR_AGGREGATE_OWN ? "result" : NULL;
    hc.conf = &top_conf;
    hc.batch_rows = 50;
    struct harness *top = harness_new(&hc);
    for (uint32_t i = 0; i < 3000; i++) {
        struct event row = row_of((int64_t)i / 10, (int64_t)weir_rng_below(&rng, key_cnt),
            (int64_t)weir_rng_below(&rng, 4));
        /* Half of all to few keys; some late for some of their windows. */
        row.key = weir_rng_chance(&rng, 1, 2) ? row.key % 7 : row.key;
        row.at -= weir_rng_chance(&rng, 1, 20) ? weir_rng_between(&rng, 0, 60) : 0;
        harness_push(all, 0, &row, 1);
        harness_push(top, 0, &row, 1);
        if (weir_rng_chance(&rng, 1, 50)) {
            harness_watermark(all, 0, (int64_t)i / 10 - 15);
            harness_watermark(top, 0, (int64_t)i / 10 - 15);
        }
    }
    harness_watermark(all, 0, WEIR_WATERMARK_MAX);
    harness_watermark(top, 0, WEIR_WATERMARK_MAX);
    qsort(all->out[0].rows, all->out[0].row_cnt, sizeof(struct fired), fired_order);
    qsort(top->out[0].rows, top->out[0].row_cnt, sizeof(struct fired), fired_order);
    const struct fired *rows = (const struct fired *)(const void *)all->out[0].rows;
    uint32_t at = 0;
    for (uint32_t from = 0; from < all->out[0].row_cnt;) {
        uint32_t end = from;
        while (end < all->out[0].row_cnt && rows[end].window_end == rows[from].window_end) {
            end++;
        }
        for (uint32_t i = from; i < end; i++) {
            uint32_t higher = 0;
            for (uint32_t j = from; j < end; j++) {
                higher += rows[j].result > rows[i].result;
            }
            if (higher < top_cnt) {
                assert_memory_equal(harness_row(top, 0, at), &rows[i], sizeof rows[i]);
                at++;
            }
        }
        from = end;
    }
    assert_int_equal(at, top->out[0].row_cnt);
    harness_free(all);
    harness_free(top);
}

static void
t_top_emits_the_best_and_their_equals(void **state)
{
    (void)state;
    run_top(weir_aggregate_count(), 1, 20, 1);
    run_top(weir_aggregate_count(), 1, 2000, 11);
    run_top(weir_aggregate_count(), 1, 1000000, 12);
    run_top(weir_aggregate_count(), 1, 1, 13);
    run_top(weir_aggregate_count(), 3, 20, 2);
    /* More equal ones than there is room for candidates. */
    run_top(weir_aggregate_max("value"), 1, 100000, 3);
    run_top(weir_aggregate_min("value"), 2, 100000, 4);
    run_top(weir_aggregate_avg("value"), 5, 50, 5);
    run_top(square_agg, 2, 30, 6);
    run_top(heavy_agg, 2, 30, 7);
}

/* ---- misuse ---- */

static void
t_too_many_panes_are_refused(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_TUMBLE(1), weir_aggregate_count());
    struct harness_conf hc = harness_of(&conf, fired_schema());
    hc.table_cnt_max = 10;
    struct harness *h = harness_new(&hc);
    struct event rows[20];
    for (uint32_t i = 0; i < 20; i++) {
        rows[i] = row_of(i, 1, 1);
    }
    assert_int_equal(harness_try_push(h, 0, rows, 20), WEIR_EBUDGET);
    weir_err_clear();
    harness_free(h);
}

static void
t_a_conf_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_TUMBLE(10), weir_aggregate_sum("value"));
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), 0);
    conf.aggregate = weir_aggregate_sum("nothing");
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    conf.aggregate = weir_aggregate_sum("real");
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    conf.aggregate = weir_aggregate_sum("at");
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    conf.aggregate = weir_aggregate_count();
    assert_int_equal(weir_window_check(&conf, event_schema(), keyed_out_schema()), WEIR_EGRAPH);
    conf.aggregate = tally_agg;
    assert_int_equal(weir_window_check(&conf, event_schema(), keyed_out_schema()), WEIR_EGRAPH);
    conf = conf_of(WEIR_TUMBLE(0), weir_aggregate_count());
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    conf = conf_of(WEIR_SLIDE(10, -1), weir_aggregate_count());
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    conf = conf_of(WEIR_TUMBLE(10), square_agg);
    conf.top_cnt = 1;
    assert_int_equal(weir_window_check(&conf, event_schema(), fired_schema()), WEIR_EGRAPH);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T321_sliding_sums_of_late_keys_leave_one_by_one),
        cmocka_unit_test(t_T321_sliding_sums_go_on_behind_any_watermark),
        cmocka_unit_test(t_T324_tumbling_late_rows_leave_by_the_side),
        cmocka_unit_test(t_T325_sliding_rows_late_for_some_windows_count_in_the_others),
        cmocka_unit_test(t_T325_sliding_side_output_as_flink),
        cmocka_unit_test(t_times_at_the_ends_saturate),
        cmocka_unit_test(t_negative_times_align_downwards),
        cmocka_unit_test(t_an_empty_stretch_of_time_costs_nothing),
        cmocka_unit_test(t_keys_of_any_fields_come_out_as_they_went_in),
        cmocka_unit_test(t_top_emits_the_best_and_their_equals),
        cmocka_unit_test(t_too_many_panes_are_refused),
        cmocka_unit_test(t_a_conf_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
