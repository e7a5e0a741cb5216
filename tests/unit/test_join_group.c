/* SPDX-License-Identifier: Apache-2.0 */
/* Co-groups and outer joins over windows in a real chain, against lists that are gone through key
 * by key and window by window. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/operators/join_group.h"
#include "tests/unit/restart_rows.h"

#define MET(F) F(i64, kind) F(i64, left) F(i64, right) F(i64, start) F(str, name) F(time, at)
WEIR_SCHEMA(met, MET)

#define NONE INT64_C(-1000)
enum { PAIR, SUMMARY, KEYS = 25, ROW_CNT_MAX = 1024 };

static void
name_set(struct weir_out *out, struct met *row, const struct fact *of, const char *heap)
{
    struct weir_slice name = {"", 0};
    name = of != NULL ? weir_str_slice(&of->name, heap) : name;
    weir_str_set_bytes(out, &row->name, name.ptr, name.bytes);
}

WEIR_JOIN(meet, fact, fact, met)
{
    row->kind = PAIR;
    row->left = left != NULL ? left->value : NONE;
    row->right = right != NULL ? right->value : NONE;
    row->start = at->window_start;
    row->at = at->time;
    name_set(out, row, left, at->left_heap);
    return true;
}

/* ---- a function of its own: every pair, and then how many rows there were ---- */

struct at {
    int64_t left_cnt;
    int64_t right_cnt;
};

WEIR_COGROUP(pairs, fact, fact, met, struct at)
{
    struct weir_cogroup_row left;
    struct weir_cogroup_row right;
    for (; weir_cogroup_peek(group, 0, &left); weir_cogroup_step(group, 0)) {
        for (; weir_cogroup_peek(group, 1, &right); weir_cogroup_step(group, 1)) {
            const struct fact *is = left.row;
            uint32_t bytes = is->name.bytes > WEIR_STR_INLINE_BYTES ? is->name.bytes : 0;
            if (!weir_out_room(out, 1, bytes)) {
                return WEIR_AGAIN;
            }
            struct met *row = met_emit(out);
            row->kind = PAIR;
            row->left = is->value;
            row->right = ((const struct fact *)right.row)->value;
            row->start = group->window_start;
            row->at = group->time;
            name_set(out, row, is, left.heap);
            assert_int_equal(left.time, is->at);
        }
        weir_cogroup_rewind(group, 1);
        pos->left_cnt++;
    }
    weir_cogroup_rewind(group, 1);
    for (pos->right_cnt = 0; weir_cogroup_peek(group, 1, &right); weir_cogroup_step(group, 1)) {
        pos->right_cnt++;
    }
    if (!weir_out_room(out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct met *row = met_emit(out);
    row->kind = SUMMARY;
    row->left = pos->left_cnt;
    row->right = pos->right_cnt;
    row->start = group->window_start;
    row->at = group->window_end - 1;
    name_set(out, row, NULL, NULL);
    return WEIR_DONE;
}

WEIR_COGROUP(fails, fact, fact, met, struct at)
{
    (void)group;
    (void)out;
    return weir_err_push(WEIR_EDATA, "no group is good enough");
}

/* ---- set up ---- */

static const struct weir_window_span spans[] = {
    {100, 100, 0}, {100, 40, 0}, {60, 20, 7}, {50, 80, 0}};

static struct harness_conf
harness_conf_of(const struct weir_operator_type *type, const void *conf)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = type;
    hc.conf = conf;
    for (uint32_t i = 0; i < 2; i++) {
        hc.in_schema[i] = fact_schema();
        hc.out_schema[1 + i] = fact_schema();
    }
    hc.out_schema[0] = met_schema();
    hc.channel_cnt = 2;
    hc.channel_input[1] = 1;
    hc.arena_bytes = 16 * WEIR_MIB;
    hc.table_cnt_max = 512;
    return hc;
}

static struct weir_join_conf
outer_conf_of(const struct weir_window_span *span, enum weir_join_outer outer)
{
    struct weir_join_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &meet_join;
    conf.left_key = WEIR_KEY(fact, key);
    conf.right_key = WEIR_KEY(fact, key);
    conf.span = *span;
    conf.outer = outer;
    return conf;
}

static struct weir_cogroup_conf
group_conf_of(const struct weir_window_span *span, const struct weir_cogroup_function *function)
{
    struct weir_cogroup_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.function = function;
    conf.left_key = WEIR_KEY(fact, key);
    conf.right_key = WEIR_KEY(fact, key);
    conf.span = *span;
    return conf;
}

static const struct facts_opts opts = {.step_cnt = 60,
    .channel_cnt = 2,
    .rows_max = 30,
    .keys = KEYS,
    .spread_ms = 120,
    .lag_ms = 50,
    .watermark_every = 3,
    .name_bytes = 30};

/* ---- the model ---- */

struct seen {
    uint64_t cnt;
    uint64_t sum;
};

static void
see(struct seen *seen, const int64_t *words, uint32_t cnt, struct weir_slice name)
{
    uint64_t x = name.bytes;
    for (uint32_t i = 0; i < cnt; i++) {
        x = (x ^ (uint64_t)words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        x ^= x >> 31;
    }
    for (uint32_t i = 0; i < name.bytes; i++) {
        x = (x ^ (uint8_t)name.ptr[i]) * UINT64_C(0x100000001b3);
    }
    seen->cnt++;
    seen->sum += x;
}

struct cell {
    const struct fact *row[2][ROW_CNT_MAX];
    const char *heap[2][ROW_CNT_MAX];
    uint32_t cnt[2];
};

static void
see_pair(struct seen *seen, const struct cell *cell, int64_t l, int64_t r,
    const struct weir_window_span *span, int64_t start)
{
    struct weir_slice name = {"", 0};
    if (l >= 0) {
        name = weir_str_slice(&cell->row[0][l]->name, cell->heap[0][l]);
    }
    const int64_t words[] = {PAIR, l >= 0 ? cell->row[0][l]->value : NONE,
        r >= 0 ? cell->row[1][r]->value : NONE, start, start + span->size_ms - 1};
    see(seen, words, WEIR_ARRAY_CNT(words), name);
}

/* A key and window; outer < 0: by the function. */
static void
see_cell(struct seen *seen, const struct cell *cell, const struct weir_window_span *span,
    int64_t start, int outer)
{
    bool has[2] = {cell->cnt[0] > 0, cell->cnt[1] > 0};
    for (uint32_t l = 0; l < cell->cnt[0]; l++) {
        for (uint32_t r = 0; r < cell->cnt[1]; r++) {
            see_pair(seen, cell, l, r, span, start);
        }
        if (outer >= 0 && !has[1] && (outer & WEIR_JOIN_OUTER_LEFT) != 0) {
            see_pair(seen, cell, l, -1, span, start);
        }
    }
    for (uint32_t r = 0; outer >= 0 && !has[0] && r < cell->cnt[1]; r++) {
        if ((outer & WEIR_JOIN_OUTER_RIGHT) != 0) {
            see_pair(seen, cell, -1, r, span, start);
        }
    }
    if (outer < 0 && (has[0] || has[1])) {
        const int64_t words[] = {
            SUMMARY, cell->cnt[0], cell->cnt[1], start, start + span->size_ms - 1};
        see(seen, words, WEIR_ARRAY_CNT(words), (struct weir_slice){"", 0});
    }
}

/* All rows of one key that were in the window when they came. */
static void
cell_of(const struct facts *facts, const struct weir_window_span *span, int64_t start, int64_t key,
    struct cell *cell)
{
    int64_t watermark[2] = {INT64_MIN, INT64_MIN};
    cell->cnt[0] = 0;
    cell->cnt[1] = 0;
    for (uint32_t s = 0; s < facts->cnt; s++) {
        const struct restart_step *step = &facts->steps[s];
        uint32_t side = step->channel;
        const struct fact *rows = step->rows;
        if (step->cnt == 0) {
            watermark[side] = weir_max_i64(watermark[side], step->watermark);
        }
        for (uint32_t r = 0; r < step->cnt; r++) {
            bool is_in = rows[r].at >= start && rows[r].at < start + span->size_ms;
            if (rows[r].key == key && is_in && watermark[side] < start + span->size_ms - 1) {
                assert_true(cell->cnt[side] < ROW_CNT_MAX);
                cell->row[side][cell->cnt[side]] = &rows[r];
                cell->heap[side][cell->cnt[side]++] = step->rows;
            }
        }
    }
}

static struct seen
model_of(const struct facts *facts, const struct weir_window_span *span, int outer)
{
    static struct cell cell;
    struct seen seen = {0, 0};
    int64_t first = INT64_MAX;
    int64_t last = INT64_MIN;
    for (uint32_t s = 0; s < facts->cnt; s++) {
        const struct fact *rows = facts->steps[s].rows;
        for (uint32_t r = 0; r < facts->steps[s].cnt; r++) {
            first = weir_min_i64(first, rows[r].at);
            last = weir_max_i64(last, rows[r].at);
        }
    }
    int64_t window = (first - span->size_ms - span->offset_ms) / span->slide_ms - 2;
    for (;; window++) {
        int64_t start = span->offset_ms + window * span->slide_ms;
        if (start > last) {
            return seen;
        }
        for (int64_t key = 0; key < KEYS; key++) {
            cell_of(facts, span, start, key, &cell);
            see_cell(&seen, &cell, span, start, outer);
        }
    }
}

static struct seen
seen_of(const struct harness *h)
{
    struct seen seen = {0, 0};
    for (uint32_t i = 0; i < h->out[0].row_cnt; i++) {
        const struct met *row = harness_row(h, 0, i);
        const int64_t words[] = {row->kind, row->left, row->right, row->start, row->at};
        see(&seen, words, WEIR_ARRAY_CNT(words), harness_text(h, 0, &row->name));
    }
    return seen;
}

static void
check_model(
    const struct harness_conf *like, const struct weir_window_span *span, int outer, uint64_t seed)
{
    struct facts facts = facts_make(seed, &opts);
    struct harness_conf hc = *like;
    hc.batch_rows = 1 + (uint32_t)(seed % 90);
    hc.columns = seed % 2 == 1;
    hc.is_slow = seed % 3 == 0;
    hc.seed = seed;
    struct harness *h = harness_new(&hc);
    for (uint32_t s = 0; s < facts.cnt; s++) {
        const struct restart_step *step = &facts.steps[s];
        if (step->cnt == 0) {
            harness_watermark(h, step->channel, step->watermark);
            continue;
        }
        struct weir_view view = harness_view_of(fact_schema(), step->rows, step->cnt);
        view.heap = (char *)(uintptr_t)step->rows;
        harness_push_view(h, step->channel, &view);
    }
    struct seen want = model_of(&facts, span, outer);
    struct seen is = seen_of(h);
    assert_int_equal(is.cnt, want.cnt);
    assert_true(is.sum == want.sum);
    assert_int_equal(h->arena.table_cnt, 0);
    harness_free(h);
    facts_free(&facts);
}

static void
t_outer_joins_have_rows_without_a_partner(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 3 * WEIR_ARRAY_CNT(spans); t++) {
        const struct weir_window_span *span = &spans[t % WEIR_ARRAY_CNT(spans)];
        enum weir_join_outer outer = 1 + t % 3;
        const struct weir_join_conf conf = outer_conf_of(span, outer);
        struct harness_conf hc = harness_conf_of(&weir_outer_join_type, &conf);
        check_model(&hc, span, (int)outer, seed + t);
    }
}

static void
t_groups_have_all_rows_of_both_sides(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 3 * WEIR_ARRAY_CNT(spans); t++) {
        const struct weir_window_span *span = &spans[t % WEIR_ARRAY_CNT(spans)];
        const struct weir_cogroup_conf conf = group_conf_of(span, &pairs_group);
        struct harness_conf hc = harness_conf_of(&weir_cogroup_type, &conf);
        check_model(&hc, span, -1, seed + t);
    }
}

/* ---- restarts ---- */

static void
restarts(const struct weir_operator_type *type, const void *conf, uint64_t seed, bool rescales)
{
    struct facts facts = facts_make(seed, &opts);
    struct restart_play play;
    memset(&play, 0, sizeof play);
    play.conf = harness_conf_of(type, conf);
    play.key[0] = WEIR_KEY(fact, key);
    play.key[1] = WEIR_KEY(fact, key);
    play.steps = facts.steps;
    play.step_cnt = facts.cnt;
    play.is_sorted = true;
    play.ends_empty = true;
    check_restarts(&play, seed, 6, rescales);
    facts_free(&facts);
}

static void
t_groups_and_outer_joins_go_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t t = 0; t < 2 * WEIR_ARRAY_CNT(spans); t++) {
        const struct weir_window_span *span = &spans[t / 2];
        const struct weir_cogroup_conf group = group_conf_of(span, &pairs_group);
        const struct weir_join_conf outer = outer_conf_of(span, WEIR_JOIN_OUTER_FULL);
        restarts(&weir_cogroup_type, &group, seed + t, t % 2 == 1);
        restarts(&weir_outer_join_type, &outer, seed + t, t % 2 == 1);
    }
}

/* ---- the rest ---- */

static void
push(struct harness *h, uint32_t side, int64_t key, int64_t at)
{
    struct fact row;
    memset(&row, 0, sizeof row);
    row.at = at;
    row.key = key;
    row.value = at;
    harness_push(h, side, &row, 1);
}

/* A group whose pairs do not fit goes on where it was; and only then comes the next window. */
static void
t_a_group_of_many_pairs_stops_where_the_output_is_full(void **unused)
{
    (void)unused;
    enum { CNT = 60 };
    const struct weir_cogroup_conf conf = group_conf_of(&spans[0], &pairs_group);
    struct harness_conf hc = harness_conf_of(&weir_cogroup_type, &conf);
    hc.batch_rows = 7;
    struct harness *h = harness_new(&hc);
    for (int64_t i = 0; i < CNT; i++) {
        push(h, 0, 1, i);
        push(h, 1, 1, i + 5);
    }
    push(h, 0, 1, 150);
    harness_watermark(h, 0, 1000);
    harness_watermark(h, 1, 1000);
    assert_int_equal(h->out[0].row_cnt, CNT * CNT + 2);
    for (uint32_t i = 0; i < CNT * CNT; i++) {
        const struct met *row = harness_row(h, 0, i);
        assert_int_equal(row->left, i / CNT);
        assert_int_equal(row->right, i % CNT + 5);
    }
    const struct met *last = harness_row(h, 0, CNT * CNT + 1);
    assert_int_equal(last->kind, SUMMARY);
    assert_int_equal(last->left, 1);
    assert_int_equal(last->right, 0);
    harness_free(h);
}

static void
t_the_error_of_a_function_fails_the_task(void **unused)
{
    (void)unused;
    const struct weir_cogroup_conf conf = group_conf_of(&spans[0], &fails_group);
    struct harness_conf hc = harness_conf_of(&weir_cogroup_type, &conf);
    struct harness *h = harness_new(&hc);
    push(h, 0, 1, 10);
    harness_watermark(h, 0, 1000);
    assert_int_equal(harness_try_watermark(h, 1, 1000), WEIR_EDATA);
    weir_err_clear();
    harness_free(h);
}

static void
expect_refused(const struct weir_operator_type *type, const void *conf)
{
    struct harness_conf hc = harness_conf_of(type, conf);
    struct harness *h = NULL;
    assert_int_equal(harness_try(&hc, &h), WEIR_EGRAPH);
    weir_err_clear();
    harness_free(h);
}

static void
t_what_does_not_go_together_is_refused(void **unused)
{
    (void)unused;
    struct weir_join_conf join = outer_conf_of(&spans[0], WEIR_JOIN_OUTER_LEFT);
    join.semi = true;
    expect_refused(&weir_outer_join_type, &join);
    struct weir_cogroup_conf group = group_conf_of(&spans[0], &pairs_group);
    group.right_key = WEIR_KEY(fact, name);
    expect_refused(&weir_cogroup_type, &group);
    group = group_conf_of(&spans[0], &pairs_group);
    group.span.slide_ms = 0;
    expect_refused(&weir_cogroup_type, &group);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_outer_joins_have_rows_without_a_partner),
        cmocka_unit_test(t_groups_have_all_rows_of_both_sides),
        cmocka_unit_test(t_groups_and_outer_joins_go_on),
        cmocka_unit_test(t_a_group_of_many_pairs_stops_where_the_output_is_full),
        cmocka_unit_test(t_the_error_of_a_function_fails_the_task),
        cmocka_unit_test(t_what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
