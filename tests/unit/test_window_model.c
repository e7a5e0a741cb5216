/* SPDX-License-Identifier: Apache-2.0 */
/* The window operator against a model that puts every row into each of its windows; and its
 * bounds. */
#include "window_rows.h"

/* ---- the model ---- */

struct fact {
    int64_t window;
    int64_t key;
    int64_t value;
    uint32_t seq;
};

struct model {
    struct weir_window_span span;
    struct fact *fact;
    uint32_t fact_cnt;
    uint32_t fact_cap;
    uint64_t late_cnt;
    bool is_calm; /* times go forward steadily, keys are many: blocks of one pane */
};

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void
model_add(struct model *m, const struct event *row, int64_t watermark)
{
    const struct weir_window_span *span = &m->span;
    bool is_any = false;
    bool is_in = false;
    int64_t last = floor_div(row->at - span->offset_ms, span->slide_ms);
    for (int64_t k = last; span->offset_ms + k * span->slide_ms + span->size_ms > row->at; k--) {
        int64_t end = span->offset_ms + k * span->slide_ms + span->size_ms;
        is_in = true;
        if (end - 1 <= watermark) {
            continue;
        }
        is_any = true;
        if (m->fact_cnt == m->fact_cap) {
            m->fact_cap = m->fact_cap * 2 + 1024;
            m->fact = realloc(m->fact, m->fact_cap * sizeof *m->fact);
            assert_non_null(m->fact);
        }
        struct fact fact = {k, row->key, row->value, m->fact_cnt};
        m->fact[m->fact_cnt++] = fact;
    }
    m->late_cnt += is_in && !is_any;
}

static int
fact_order(const void *a, const void *b)
{
    const struct fact *x = a;
    const struct fact *y = b;
    if (x->window != y->window) {
        return x->window < y->window ? -1 : 1;
    }
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static double
model_result(uint32_t kind, const struct fact *fact, uint32_t cnt)
{
    double sum = 0;
    double least = (double)fact[0].value;
    double most = least;
    double squares = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        double value = (double)fact[i].value;
        sum += value;
        squares += value * value;
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    switch (kind) {
    case WEIR_AGGREGATE_COUNT:
        return cnt;
    case WEIR_AGGREGATE_SUM:
        return sum;
    case WEIR_AGGREGATE_MIN:
        return least;
    case WEIR_AGGREGATE_MAX:
        return most;
    case WEIR_AGGREGATE_AVG:
        return sum / (double)cnt;
    default:
        return squares;
    }
}

/* A case of the random test. */
struct trial {
    struct weir_aggregate aggregate;
    const struct weir_schema *out;
    double scale; /* of values as the aggregate's field holds them */
    bool truncates;
};

static double
result_at(const struct trial *trial, const struct fired *row)
{
    double real;
    if (trial->out == fired_real_schema()) {
        memcpy(&real, &row->result, sizeof real);
        return real;
    }
    return (double)row->result;
}

static void
compare(struct harness *h, struct model *m, const struct trial *trial)
{
    struct harness_out *out = &h->out[0];
    uint32_t row_at = 0;
    qsort(m->fact, m->fact_cnt, sizeof *m->fact, fact_order);
    /* Windows come in order; within one the order of keys is the table's. */
    for (uint32_t i = 1; i < out->row_cnt; i++) {
        const struct fired *rows = (const struct fired *)(const void *)out->rows;
        assert_true(rows[i - 1].window_end <= rows[i].window_end);
    }
    qsort(out->rows, out->row_cnt, sizeof(struct fired), fired_order);
    for (uint32_t i = 0; i < m->fact_cnt;) {
        uint32_t end = i;
        while (end < m->fact_cnt && m->fact[end].window == m->fact[i].window &&
               m->fact[end].key == m->fact[i].key) {
            end++;
        }
        double want = model_result(trial->aggregate.kind, &m->fact[i], end - i) * trial->scale;
        if (trial->truncates) {
            want = (double)(int64_t)want;
        }
        const struct fired *row = harness_row(h, 0, row_at++);
        int64_t start = m->span.offset_ms + m->fact[i].window * m->span.slide_ms;
        assert_int_equal(row->window_start, start);
        assert_int_equal(row->window_end, start + m->span.size_ms);
        assert_int_equal(row->key, m->fact[i].key);
        assert_true(result_at(trial, row) == want);
        i = end;
    }
    assert_int_equal(row_at, out->row_cnt);
    assert_int_equal(late_cnt(h), m->late_cnt);
    assert_int_equal(h->out[1].row_cnt, m->late_cnt);
    assert_int_equal(h->arena.table_cnt, 0);
}

/* Push rows as they are, or as a selection of a batch with a bad row before each. */
static void
push_selected(
    struct harness *h, uint32_t channel, const struct event *rows, uint32_t cnt, bool is_selected)
{
    static struct event all[2048];
    static uint16_t sel[1024];
    if (!is_selected) {
        harness_push(h, channel, rows, cnt);
        return;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        all[2 * i] = row_of(INT64_MIN, -99, 99999);
        all[2 * i + 1] = rows[i];
        sel[i] = (uint16_t)(2 * i + 1);
    }
    struct weir_view view = harness_view_of(event_schema(), all, 2 * cnt);
    view.sel = sel;
    view.cnt = cnt;
    harness_push_view(h, channel, &view);
}

static struct event
random_row(const struct model *m, struct weir_rng *rng, int64_t *now)
{
    int64_t spread = m->span.size_ms + m->span.slide_ms;
    uint64_t rare = m->is_calm ? 300 : 1;
    *now += weir_rng_between(rng, 0, weir_rng_chance(rng, 1, 200 * rare) ? spread : 3);
    int64_t at = *now;
    at -= weir_rng_chance(rng, 1, 8 * rare) ? weir_rng_between(rng, 0, spread) : 0;
    at += weir_rng_chance(rng, 1, 16 * rare) ? weir_rng_between(rng, 0, spread) : 0;
    int64_t key_max = m->is_calm && weir_rng_chance(rng, 1, 2) ? 20000 : 30;
    return row_of(at, weir_rng_between(rng, -3, key_max), weir_rng_between(rng, -1000, 1000));
}

/* Rows whose times wander forward with some far behind, watermarks between them. */
static void
feed_random(struct harness *h, struct model *m, struct weir_rng *rng, uint32_t row_cnt)
{
    enum { BATCH = 700 };
    struct event *rows = calloc(BATCH, sizeof *rows);
    assert_non_null(rows);
    int64_t now[2] = {-5000, -5000};
    uint32_t channel_cnt = h->conf.channel_cnt;
    int64_t spread = m->span.size_ms + m->span.slide_ms;
    for (uint32_t done = 0; done < row_cnt;) {
        uint32_t channel = (uint32_t)weir_rng_below(rng, channel_cnt);
        uint32_t cnt = (uint32_t)weir_rng_below(rng, weir_rng_chance(rng, 1, 2) ? 5 : BATCH) + 1;
        cnt = weir_min_u32(cnt, row_cnt - done);
        for (uint32_t i = 0; i < cnt; i++) {
            rows[i] = random_row(m, rng, &now[channel]);
            model_add(m, &rows[i], h->watermark[channel]);
        }
        push_selected(h, channel, rows, cnt, weir_rng_chance(rng, 1, 2));
        done += cnt;
        if (weir_rng_chance(rng, 1, 3)) {
            harness_watermark(h, channel, now[channel] - weir_rng_between(rng, 0, spread));
        }
    }
    for (uint32_t c = 0; c < channel_cnt; c++) {
        harness_watermark(h, c, WEIR_WATERMARK_MAX);
    }
    free(rows);
}

static void
run_random(const struct trial *trial, struct weir_window_span span, uint64_t seed, uint32_t row_cnt)
{
    bool is_calm = row_cnt > 1000;
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    struct weir_window_conf conf = conf_of(span, trial->aggregate);
    struct harness_conf hc = harness_of(&conf, trial->out);
    hc.columns = weir_rng_chance(&rng, 1, 2);
    hc.channel_cnt = weir_rng_chance(&rng, 1, 2) ? 2 : 1;
    hc.is_slow = row_cnt <= 1000 && weir_rng_chance(&rng, 1, 3);
    hc.seed = seed;
    hc.batch_rows = (uint32_t)weir_rng_between(&rng, 1, 300);
    hc.max_parallelism = (uint32_t)weir_rng_between(&rng, 1, 200);
    struct model model;
    memset(&model, 0, sizeof model);
    model.span = span;
    model.is_calm = is_calm;
    struct harness *h = harness_new(&hc);
    feed_random(h, &model, &rng, row_cnt);
    compare(h, &model, trial);
    harness_free(h);
    free(model.fact);
}

static uint32_t
trials(struct trial *trial)
{
    const struct weir_schema *whole = fired_schema();
    const struct weir_schema *real = fired_real_schema();
    const struct weir_schema *dec = fired_dec_schema();
    const struct trial all[] = {
        {weir_aggregate_count(), whole, 1, false},
        {weir_aggregate_sum("value"), whole, 1, false},
        {weir_aggregate_min("value"), whole, 1, false},
        {weir_aggregate_max("value"), whole, 1, false},
        {weir_aggregate_avg("value"), whole, 1, true},
        {weir_aggregate_avg("value"), real, 1, false},
        {weir_aggregate_sum("real"), real, 0.5, false},
        {weir_aggregate_min("real"), real, 0.5, false},
        {weir_aggregate_max("real"), real, 0.5, false},
        {weir_aggregate_avg("real"), real, 0.5, false},
        {weir_aggregate_sum("small"), whole, 1, false},
        {weir_aggregate_max("small"), whole, 1, false},
        {weir_aggregate_sum("price"), dec, 10, false},
        {weir_aggregate_min("price"), dec, 10, false},
        {weir_aggregate_sum("price"), real, 0.01, false},
        {square_agg, whole, 1, false},
        {heavy_agg, whole, 1, false},
    };
    memcpy(trial, all, sizeof all);
    return WEIR_ARRAY_CNT(all);
}
#define TRIAL_CNT_MAX 32

static void
t_random_rows_agree_with_the_model(void **state)
{
    (void)state;
    const struct weir_window_span spans[] = {{100, 100, 0}, {100, 100, 37}, {100, 20, 0},
        {100, 30, 5}, {7, 3, 1}, {100, 99, 0}, {100, 150, 20}, {1, 1, 0}, {64, 1, 0}};
    struct trial trial[TRIAL_CNT_MAX];
    uint32_t trial_cnt = trials(trial);
    for (uint32_t t = 0; t < trial_cnt; t++) {
        for (uint32_t s = 0; s < WEIR_ARRAY_CNT(spans); s++) {
            /* A decimal as a double is not exact where sums are taken apart; it is where they
             * fit. */
            if (trial[t].scale == 0.01) {
                trial[t].scale = 0;
                break;
            }
            uint64_t seed = t * 100 + s;
            print_message("seed %llu\n", (unsigned long long)seed);
            run_random(&trial[t], spans[s], seed, 900);
        }
    }
}

static void
t_blocks_of_one_pane_with_many_keys_agree(void **state)
{
    (void)state;
    const struct weir_window_span spans[] = {{5000, 5000, 0}, {20000, 4000, 11}, {9000, 4000, 0}};
    struct trial trial[TRIAL_CNT_MAX];
    uint32_t trial_cnt = trials(trial);
    for (uint32_t t = 0; t < trial_cnt; t++) {
        if (trial[t].scale == 0.01) {
            continue;
        }
        uint64_t seed = 9000 + t;
        print_message("seed %llu\n", (unsigned long long)seed);
        run_random(&trial[t], spans[t % WEIR_ARRAY_CNT(spans)], seed, 20000);
    }
}

static void
t_sliding_by_every_ratio_agrees(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 3, 10, 100, 333, 1000};
    struct trial trial[TRIAL_CNT_MAX];
    uint32_t trial_cnt = trials(trial);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(sizes); i++) {
        for (uint32_t t = 0; t < trial_cnt; t += 2) {
            if (trial[t].scale == 0.01) {
                continue;
            }
            struct weir_window_span span = {sizes[i] * 5, 5, 2};
            uint64_t seed = 5000 + i * 10 + t;
            print_message(
                "size/slide %lld seed %llu\n", (long long)sizes[i], (unsigned long long)seed);
            run_random(&trial[t], span, seed, 400);
        }
    }
}

/* ---- splits ---- */

static void
feed_splits(struct harness *h, const struct event *rows, uint32_t cnt, uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    for (uint32_t at = 0; at < cnt;) {
        /* Watermarks stand at fixed places: after every 100 rows. */
        uint32_t take = 100 - at % 100;
        take = seed == 0 ? take : weir_min_u32(take, (uint32_t)weir_rng_between(&rng, 1, 60));
        harness_push(h, 0, rows + at, take);
        at += take;
        if (at % 100 == 0) {
            harness_watermark(h, 0, (int64_t)at * 2 - 300);
        }
    }
    harness_watermark(h, 0, WEIR_WATERMARK_MAX);
}

static void
t_batch_sizes_do_not_change_the_answer(void **state)
{
    (void)state;
    enum { CNT = 2000 };
    struct event *rows = calloc(CNT, sizeof *rows);
    assert_non_null(rows);
    struct weir_rng rng;
    weir_rng_init(&rng, 11);
    for (uint32_t i = 0; i < CNT; i++) {
        rows[i] = row_of((int64_t)i * 2 - weir_rng_between(&rng, 0, 700),
            weir_rng_between(&rng, 0, 40), weir_rng_between(&rng, 0, 99));
    }
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(250, 40), weir_aggregate_max("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    struct harness *whole = harness_new(&hc);
    feed_splits(whole, rows, CNT, 0);
    assert_true(late_cnt(whole) > 0);
    qsort(whole->out[0].rows, whole->out[0].row_cnt, sizeof(struct fired), fired_order);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct harness *h = harness_new(&hc);
        feed_splits(h, rows, CNT, seed);
        assert_int_equal(h->out[0].row_cnt, whole->out[0].row_cnt);
        qsort(h->out[0].rows, h->out[0].row_cnt, sizeof(struct fired), fired_order);
        assert_memory_equal(
            h->out[0].rows, whole->out[0].rows, h->out[0].row_cnt * sizeof(struct fired));
        assert_int_equal(h->out[1].row_cnt, whole->out[1].row_cnt);
        assert_memory_equal(
            h->out[1].rows, whole->out[1].rows, h->out[1].row_cnt * sizeof(struct event));
        harness_free(h);
    }
    harness_free(whole);
    free(rows);
}

/* ---- bounds ---- */

static struct {
    uint64_t seen;
    uint64_t most;
} slices;

static void
note_slice(struct harness *h)
{
    const struct window_self *self = harness_operator(h)->self;
    uint64_t now = self->entries_seen - slices.seen;
    slices.most = now > slices.most ? now : slices.most;
    slices.seen = self->entries_seen;
}

static void
fire_many(struct weir_aggregate aggregate, struct weir_window_span span)
{
    enum { KEYS = 1000000, BATCH = 1000 };
    struct weir_window_conf conf = conf_of(span, aggregate);
    struct harness_conf hc = harness_of(&conf, fired_schema());
    hc.no_keep = true;
    hc.arena_bytes = 512 * WEIR_MIB;
    struct harness *h = harness_new(&hc);
    h->steps_max = 1;
    struct event *rows = calloc(BATCH, sizeof *rows);
    assert_non_null(rows);
    for (uint32_t from = 0; from < KEYS; from += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            rows[i] = row_of(5, from + i, from);
        }
        harness_push(h, 0, rows, BATCH);
    }
    slices.seen = 0;
    slices.most = 0;
    h->after_step = note_slice;
    uint64_t allocs = harness_alloc_cnt();
    harness_watermark(h, 0, 1000);
    assert_int_equal(harness_alloc_cnt(), allocs);
    uint32_t windows = (uint32_t)(span.size_ms / span.slide_ms);
    assert_int_equal(h->out[0].seen_cnt, (uint64_t)KEYS * windows);
    assert_true(slices.most <= WINDOW_SLICE_ENTRIES + WINDOW_BLOCK);
    assert_int_equal(h->arena.table_cnt, 0);
    free(rows);
    harness_free(h);
}

static void
t_a_firing_of_a_million_keys_is_bounded_per_call(void **state)
{
    (void)state;
    fire_many(weir_aggregate_count(), WEIR_TUMBLE(10));
    fire_many(weir_aggregate_sum("value"), WEIR_SLIDE(20, 10));
    fire_many(weir_aggregate_max("value"), WEIR_SLIDE(20, 10));
}

static uint64_t
entries_per_slide(struct weir_aggregate aggregate, int64_t ratio)
{
    enum { SLIDES = 3000, KEYS = 50 };
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(10 * ratio, 10), aggregate);
    struct harness_conf hc = harness_of(&conf, fired_schema());
    hc.no_keep = true;
    hc.arena_bytes = 512 * WEIR_MIB;
    struct harness *h = harness_new(&hc);
    struct event rows[KEYS];
    for (int64_t slide = 0; slide < SLIDES; slide++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            rows[i] = row_of(slide * 10 + 1, i, slide);
        }
        harness_push(h, 0, rows, KEYS);
        harness_watermark(h, 0, slide * 10);
    }
    uint64_t seen = ((const struct window_self *)harness_operator(h)->self)->entries_seen;
    harness_free(h);
    return seen / SLIDES;
}

static void
t_entries_per_slide_do_not_grow_with_the_ratio(void **state)
{
    (void)state;
    const struct weir_aggregate aggs[] = {
        weir_aggregate_count(), weir_aggregate_max("value"), square_agg, heavy_agg};
    for (size_t a = 0; a < WEIR_ARRAY_CNT(aggs); a++) {
        uint64_t at_ten = entries_per_slide(aggs[a], 10);
        uint64_t at_thousand = entries_per_slide(aggs[a], 1000);
        assert_true(at_thousand <= at_ten + at_ten / 4);
        /* Enter, emit, leave, and once to turn: of 50 keys. */
        assert_true(at_ten <= 5 * 50);
    }
}

static void
t_nothing_is_allocated_after_warm_up(void **state)
{
    (void)state;
    struct weir_window_conf conf = conf_of(WEIR_SLIDE(50, 10), weir_aggregate_max("value"));
    struct harness_conf hc = harness_of(&conf, fired_schema());
    hc.no_keep = true;
    struct harness *h = harness_new(&hc);
    struct event rows[100];
    uint64_t allocs = 0;
    for (int64_t n = 0; n < 10000; n++) {
        for (uint32_t i = 0; i < 100; i++) {
            rows[i] = row_of(n + i % 30, n % 7 * 100 + i, i);
        }
        harness_push(h, 0, rows, 100);
        harness_watermark(h, 0, n);
        if (n == 100) {
            allocs = harness_alloc_cnt();
        }
    }
    assert_int_equal(harness_alloc_cnt(), allocs);
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_random_rows_agree_with_the_model),
        cmocka_unit_test(t_blocks_of_one_pane_with_many_keys_agree),
        cmocka_unit_test(t_sliding_by_every_ratio_agrees),
        cmocka_unit_test(t_batch_sizes_do_not_change_the_answer),
        cmocka_unit_test(t_a_firing_of_a_million_keys_is_bounded_per_call),
        cmocka_unit_test(t_entries_per_slide_do_not_grow_with_the_ratio),
        cmocka_unit_test(t_nothing_is_allocated_after_warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
