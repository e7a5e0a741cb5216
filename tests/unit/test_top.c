/* SPDX-License-Identifier: Apache-2.0 */
/* The top of each window, against sorting all of its rows. */
#include "dataplane/operators/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define SCORE(F) F(ts, window_end) F(i64, points) F(f64, weight) F(i32, small) F(str, name)
WEIR_SCHEMA(score, SCORE)

static struct harness_conf
harness_of(const struct weir_top_conf *conf)
{
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_top_type;
    h.conf = conf;
    h.in_schema[0] = score_schema();
    h.out_schema[0] = score_schema();
    return h;
}

static struct weir_top_conf
conf_of(const char *by, uint32_t cnt, bool ties)
{
    struct weir_top_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.by_field = by;
    conf.cnt = cnt;
    conf.ties = ties;
    return conf;
}

/* A name of some length that says which row it is. */
static uint32_t
name_of(uint32_t seq, char *name)
{
    uint32_t bytes = (uint32_t)snprintf(name, 64, "row %u", seq);
    for (uint32_t i = 0; i < seq % 40; i++) {
        name[bytes++] = (char)('a' + i % 26);
    }
    return bytes;
}

static struct score
row_of(uint32_t seq, int64_t end, int64_t points, char *heap, size_t *used)
{
    struct score row;
    char name[64];
    uint32_t bytes = name_of(seq, name);
    memset(&row, 0, sizeof row);
    row.window_end = end;
    row.points = points;
    row.weight = (double)points / 4;
    row.small = (int32_t)points;
    if (bytes <= WEIR_STR_INLINE_BYTES) {
        row.name = weir_str_inline(name, bytes);
        return row;
    }
    row.name.bytes = bytes;
    memcpy(row.name.head, name, 4);
    memcpy(heap + *used, name, bytes);
    row.name.u.off = *used;
    *used += bytes;
    return row;
}

struct entry {
    int64_t end;
    int64_t points;
    uint32_t seq;
};

static bool ascending;

static int
entry_order(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->end != y->end) {
        return x->end < y->end ? -1 : 1;
    }
    if (x->points != y->points) {
        return (x->points > y->points) == ascending ? 1 : -1;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void
expect_row(struct harness *h, uint32_t at, const struct entry *entry)
{
    const struct score *row = harness_row(h, 0, at);
    char name[64];
    uint32_t bytes = name_of(entry->seq, name);
    struct weir_slice text = harness_text(h, 0, &row->name);
    assert_int_equal(row->window_end, entry->end);
    assert_int_equal(row->points, entry->points);
    assert_int_equal(text.bytes, bytes);
    assert_memory_equal(text.ptr, name, bytes);
}

/* All rows of the entries whose windows are due, in order. */
static uint32_t
expect_top(struct harness *h, const struct weir_top_conf *conf, struct entry *entry, uint32_t cnt)
{
    uint32_t at = 0;
    ascending = conf->lowest;
    qsort(entry, cnt, sizeof *entry, entry_order);
    for (uint32_t from = 0; from < cnt;) {
        uint32_t end = from;
        uint32_t taken = 0;
        for (; end < cnt && entry[end].end == entry[from].end; end++) {
            bool is_tie = conf->ties && taken >= conf->cnt &&
                          entry[end].points == entry[from + conf->cnt - 1].points;
            if (taken < conf->cnt || is_tie) {
                expect_row(h, at++, &entry[end]);
                taken++;
            }
        }
        from = end;
    }
    return at;
}

static void
run(const struct weir_top_conf *conf, uint64_t seed, uint32_t points_max, bool is_slow)
{
    enum { CNT = 3000, BATCH = 100 };
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct harness_conf hc = harness_of(conf);
    hc.batch_rows = (uint32_t)weir_rng_between(&rng, 1, 200);
    hc.columns = weir_rng_chance(&rng, 1, 2);
    hc.is_slow = is_slow;
    hc.seed = seed;
    struct harness *h = harness_new(&hc);
    struct entry *entry = calloc(CNT, sizeof *entry);
    struct score rows[BATCH];
    char heap[BATCH * 64];
    uint32_t entry_cnt = 0;
    uint32_t late_cnt = 0;
    assert_non_null(entry);
    for (uint32_t from = 0; from < CNT; from += BATCH) {
        size_t used = 0;
        for (uint32_t i = 0; i < BATCH; i++) {
            struct entry e = {((int64_t)from / 300 + weir_rng_between(&rng, -1, 3)) * 10,
                weir_rng_between(&rng, -(int64_t)points_max, points_max), from + i};
            rows[i] = row_of(e.seq, e.end, e.points, heap, &used);
            if (e.end - 1 <= h->watermark[0]) {
                late_cnt++;
            } else {
                entry[entry_cnt++] = e;
            }
        }
        struct weir_view view = harness_view_of(score_schema(), rows, BATCH);
        view.heap = heap;
        harness_push_view(h, 0, &view);
        harness_watermark(h, 0, (int64_t)from / 300 * 10 - 1);
    }
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
    assert_int_equal(expect_top(h, conf, entry, entry_cnt), h->out[0].row_cnt);
    assert_int_equal(harness_operator(h)->rows_late, late_cnt);
    assert_int_equal(h->out[1].row_cnt, late_cnt);
    assert_int_equal(weir_arena_used_bytes(&h->arena), WEIR_PAGE_BYTES); /* a table's name */
    harness_free(h);
    free(entry);
}

static void
t_the_best_rows_come_out_best_first(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint32_t cnt = 1; cnt <= 100; cnt = cnt * 3 + 1) {
        for (uint32_t points = 1; points <= 10000; points *= 10) {
            for (uint32_t ties = 0; ties < 2; ties++) {
                struct weir_top_conf conf = conf_of("points", cnt, ties != 0);
                run(&conf, seed++, points, points == 10);
            }
        }
    }
}

static void
t_any_number_ranks_either_way(void **state)
{
    (void)state;
    static const char *const fields[] = {"points", "weight", "small"};
    for (uint32_t i = 0; i < 3; i++) {
        struct weir_top_conf conf = conf_of(fields[i], 3, true);
        run(&conf, 100 + i, 20, false);
        conf.lowest = true;
        run(&conf, 200 + i, 20, false);
    }
}

static void
t_a_window_waits_for_all_channels(void **state)
{
    (void)state;
    struct weir_top_conf conf = conf_of("points", 1, true);
    struct harness_conf hc = harness_of(&conf);
    hc.channel_cnt = 2;
    struct harness *h = harness_new(&hc);
    char heap[64];
    size_t used = 0;
    struct score row = row_of(0, 10, 5, heap, &used);
    harness_push(h, 0, &row, 1);
    harness_watermark(h, 0, 100);
    assert_int_equal(h->out[0].row_cnt, 0);
    row = row_of(1, 10, 7, heap, &used);
    harness_push(h, 1, &row, 1);
    harness_watermark(h, 1, 8);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_watermark(h, 1, 9);
    assert_int_equal(h->out[0].row_cnt, 1);
    assert_int_equal(((const struct score *)harness_row(h, 0, 0))->points, 7);
    harness_free(h);
}

static void
t_a_better_row_frees_its_equals_in_slices(void **state)
{
    (void)state;
    enum { CNT = 4000 };
    struct weir_top_conf conf = conf_of("points", 1, true);
    struct harness_conf hc = harness_of(&conf);
    struct harness *h = harness_new(&hc);
    char heap[64];
    size_t used = 0;
    for (int64_t points = 0; points < 3; points++) {
        for (uint32_t i = 0; i < CNT; i++) {
            struct score row = row_of(0, 10, points, heap, &used);
            harness_push(h, 0, &row, 1);
        }
    }
    uint64_t most = weir_arena_used_bytes(&h->arena);
    assert_true(most < (uint64_t)CNT * 2 * 128 + 64 * 4096);
    harness_watermark(h, 0, 9);
    assert_int_equal(h->out[0].row_cnt, CNT);
    assert_int_equal(weir_arena_used_bytes(&h->arena), WEIR_PAGE_BYTES); /* a table's name */
    harness_free(h);
}

static void
t_a_conf_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct weir_top_conf conf = conf_of("points", 1, false);
    assert_int_equal(weir_top_check(&conf, score_schema()), 0);
    conf.by_field = "name";
    assert_int_equal(weir_top_check(&conf, score_schema()), WEIR_EGRAPH);
    conf.by_field = "none";
    assert_int_equal(weir_top_check(&conf, score_schema()), WEIR_EGRAPH);
    conf = conf_of("points", 0, false);
    assert_int_equal(weir_top_check(&conf, score_schema()), WEIR_EGRAPH);
    conf = conf_of("points", 1, false);
    conf.end_field = "weight";
    assert_int_equal(weir_top_check(&conf, score_schema()), WEIR_EGRAPH);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_the_best_rows_come_out_best_first),
        cmocka_unit_test(t_any_number_ranks_either_way),
        cmocka_unit_test(t_a_window_waits_for_all_channels),
        cmocka_unit_test(t_a_better_row_frees_its_equals_in_slices),
        cmocka_unit_test(t_a_conf_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
