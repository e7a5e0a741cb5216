/* SPDX-License-Identifier: Apache-2.0 */
/* The rolling reduce against one running value a key. */
#include "dataplane/operators/reduce.h"

#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/test.h"

#define COIN(F) F(time, at) F(i64, who) F(str, place) F(i64, value) F(f64, real)
WEIR_SCHEMA(coin, COIN)
#define PURSE(F) F(i64, who) F(str, place) F(i64, result)
WEIR_SCHEMA(purse, PURSE)
#define PURSE_REAL(F) F(time, at) F(i64, who) F(f64, result)
WEIR_SCHEMA(purse_real, PURSE_REAL)

static const char *const places[] = {
    "here", "there", "a place with a long name", "another such place"};
enum { PLACES = 4, WHO = 50 };

struct last {
    int64_t value;
};
static inline void
last_init(struct last *acc)
{
    acc->value = -1;
}
static inline void
last_add(struct last *acc, const struct coin *in, const char *heap)
{
    (void)heap;
    acc->value = in->value;
}
static inline void
last_merge(struct last *acc, const struct last *from)
{
    acc->value = from->value;
}
static inline void
last_result(const struct last *acc, struct purse *out)
{
    out->result = acc->value;
}
WEIR_AGGREGATE(last, coin, struct last, purse)

static struct weir_reduce_conf
conf_of(struct weir_aggregate agg)
{
    struct weir_reduce_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY2(coin, who, place);
    conf.aggregate = agg;
    return conf;
}

static struct harness_conf
harness_of(const struct weir_reduce_conf *conf, const struct weir_schema *out)
{
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_reduce_type;
    h.conf = conf;
    h.in_schema[0] = coin_schema();
    h.out_schema[0] = out;
    return h;
}

struct feed {
    struct coin rows[400];
    uint32_t place[400];
    char heap[8192];
};

static uint32_t
fill(struct feed *feed, struct weir_rng *rng, int64_t at)
{
    uint32_t cnt = (uint32_t)weir_rng_between(rng, 1, 400);
    size_t used = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t place = (uint32_t)weir_rng_below(rng, PLACES);
        uint32_t bytes = (uint32_t)strlen(places[place]);
        struct coin *row = &feed->rows[i];
        memset(row, 0, sizeof *row);
        row->at = at + i;
        row->who = weir_rng_between(rng, 0, WHO - 1);
        row->value = weir_rng_between(rng, -100, 100);
        row->real = (double)row->value;
        row->place = weir_str_inline("", 0);
        feed->place[i] = place;
        if (bytes <= WEIR_STR_INLINE_BYTES) {
            row->place = weir_str_inline(places[place], bytes);
            continue;
        }
        row->place.bytes = bytes;
        memcpy(row->place.head, places[place], 4);
        if (used + bytes > sizeof feed->heap) {
            used = 0; /* the same few texts again: what is overwritten reads alike */
        }
        row->place.u.off = used;
        memcpy(feed->heap + used, places[place], bytes);
        used += 32;
    }
    return cnt;
}

static int64_t
model_add(uint32_t kind, int64_t value, int64_t *acc, int64_t *cnt)
{
    bool is_first = (*cnt)++ == 0;
    switch (kind) {
    case WEIR_AGGREGATE_COUNT:
        return *cnt;
    case WEIR_AGGREGATE_SUM:
        return *acc += value;
    case WEIR_AGGREGATE_MIN:
        return *acc = is_first || value < *acc ? value : *acc;
    case WEIR_AGGREGATE_MAX:
        return *acc = is_first || value > *acc ? value : *acc;
    case WEIR_AGGREGATE_AVG:
        *acc += value;
        return *acc / *cnt;
    default:
        return value;
    }
}

static void
run(struct weir_aggregate agg, uint64_t seed)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct weir_reduce_conf conf = conf_of(agg);
    struct harness_conf hc = harness_of(&conf, purse_schema());
    hc.batch_rows = (uint32_t)weir_rng_between(&rng, 1, 300);
    hc.columns = weir_rng_chance(&rng, 1, 2);
    hc.is_slow = weir_rng_chance(&rng, 1, 3);
    hc.seed = seed;
    struct harness *h = harness_new(&hc);
    static struct feed feed;
    int64_t acc[WHO][PLACES] = {{0}};
    int64_t cnts[WHO][PLACES] = {{0}};
    for (uint32_t n = 0; n < 20; n++) {
        uint32_t cnt = fill(&feed, &rng, n * 1000);
        struct weir_view view = harness_view_of(coin_schema(), feed.rows, cnt);
        view.heap = feed.heap;
        harness_clear(h);
        harness_push_view(h, 0, &view);
        assert_int_equal(h->out[0].row_cnt, cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            const struct purse *row = harness_row(h, 0, i);
            int64_t who = feed.rows[i].who;
            uint32_t place = feed.place[i];
            struct weir_slice text = harness_text(h, 0, &row->place);
            assert_int_equal(row->who, who);
            assert_int_equal(text.bytes, strlen(places[place]));
            assert_memory_equal(text.ptr, places[place], text.bytes);
            assert_int_equal(row->result,
                model_add(agg.kind, feed.rows[i].value, &acc[who][place], &cnts[who][place]));
            assert_int_equal(h->out[0].event[i].time, feed.rows[i].at);
        }
    }
    harness_free(h);
}

static void
t_each_row_tells_the_value_it_leads_to(void **state)
{
    (void)state;
    const struct weir_aggregate aggs[] = {weir_aggregate_count(), weir_aggregate_sum("value"),
        weir_aggregate_min("value"), weir_aggregate_max("value"), weir_aggregate_avg("value"),
        last_agg};
    for (uint64_t i = 0; i < 30; i++) {
        run(aggs[i % WEIR_ARRAY_CNT(aggs)], i);
    }
}

static void
t_all_rows_are_one_key_where_none_is_named(void **state)
{
    (void)state;
    struct weir_reduce_conf conf = conf_of(weir_aggregate_avg("real"));
    conf.key.field_cnt = 0;
    const struct weir_schema *out = purse_real_schema();
    struct harness_conf hc = harness_of(&conf, out);
    struct harness *h = NULL;
    /* `who` is filled by nobody then. */
    assert_int_equal(harness_try(&hc, &h), WEIR_EGRAPH);
    weir_err_clear();
    conf.key = WEIR_KEY(coin, who);
    h = harness_new(&hc);
    struct coin rows[3];
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 3; i++) {
        rows[i].at = i;
        rows[i].real = i * 2;
    }
    harness_push(h, 0, rows, 3);
    const struct purse_real *last = harness_row(h, 0, 2);
    assert_true(last->result == 2.0);
    assert_int_equal(last->at, 2);
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_each_row_tells_the_value_it_leads_to),
        cmocka_unit_test(t_all_rows_are_one_key_where_none_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
