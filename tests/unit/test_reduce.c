/* SPDX-License-Identifier: Apache-2.0 */
/* The rolling reduce against one running value a key. */
#include "dataplane/operators/reduce.h"

#include <string.h>

#include "base/rng.h"
#include "sched/keyed.h"
#include "sched/weir_test.h"
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

/* What is tried. */
struct tried {
    struct weir_reduce_conf conf;
    const struct weir_schema *out;
};

static void
build(struct weir_test *test, void *arg)
{
    const struct tried *tried = arg;
    struct weir_stream *s = weir_test_input(test, coin_schema(), 1);
    s = tried->conf.key.field_cnt > 0 ? weir_key_by(s, tried->conf.key) : s;
    weir_test_output(test, weir_reduce(s, "reduce", &tried->conf, tried->out));
}

struct feed {
    struct coin rows[400];
    uint32_t place[400];
};

static uint32_t
fill(struct feed *feed, struct weir_rng *rng, int64_t at)
{
    uint32_t cnt = (uint32_t)weir_rng_between(rng, 1, 400);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t place = (uint32_t)weir_rng_below(rng, PLACES);
        struct coin *row = &feed->rows[i];
        memset(row, 0, sizeof *row);
        row->at = at + i;
        row->who = weir_rng_between(rng, 0, WHO - 1);
        row->value = weir_rng_between(rng, -100, 100);
        row->real = (double)row->value;
        row->place = weir_test_str(feed->rows, places[place]);
        feed->place[i] = place;
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
    struct tried tried = {conf_of(agg), purse_schema()};
    struct weir_test *test = NULL;
    const struct weir_test_conf conf = {.build = build,
        .arg = &tried,
        .batch_rows = (uint32_t)weir_rng_between(&rng, 1, 300),
        .columns = weir_rng_chance(&rng, 1, 2),
        .slow = weir_rng_chance(&rng, 1, 3),
        .seed = seed};
    assert_int_equal(weir_test_open(&conf, &test), 0);
    static struct feed feed;
    int64_t acc[WHO][PLACES] = {{0}};
    int64_t cnts[WHO][PLACES] = {{0}};
    for (uint32_t n = 0; n < 20; n++) {
        uint32_t cnt = fill(&feed, &rng, n * 1000);
        weir_test_clear(test);
        assert_int_equal(weir_test_push(test, 0, feed.rows, cnt), 0);
        assert_int_equal(weir_test_event_cnt(test, 0), cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            struct weir_test_event event;
            assert_true(weir_test_event(test, 0, i, &event));
            assert_int_equal(event.kind, WEIR_TEST_ROW);
            const struct purse *row = event.row;
            int64_t who = feed.rows[i].who;
            uint32_t place = feed.place[i];
            struct weir_slice text = weir_test_slice(test, 0, &row->place);
            assert_int_equal(row->who, who);
            assert_int_equal(text.bytes, strlen(places[place]));
            assert_memory_equal(text.ptr, places[place], text.bytes);
            assert_int_equal(row->result,
                model_add(agg.kind, feed.rows[i].value, &acc[who][place], &cnts[who][place]));
            assert_int_equal(event.time, feed.rows[i].at);
        }
    }
    weir_test_close(test);
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
    struct tried tried = {conf_of(weir_aggregate_avg("real")), purse_real_schema()};
    const struct weir_test_conf conf = {.build = build, .arg = &tried};
    struct weir_test *test = NULL;
    tried.conf.key.field_cnt = 0;
    /* `who` is filled by nobody then. */
    assert_int_equal(weir_test_open(&conf, &test), WEIR_EGRAPH);
    weir_err_clear();
    tried.conf.key = WEIR_KEY(coin, who);
    assert_int_equal(weir_test_open(&conf, &test), 0);
    struct coin rows[3];
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 3; i++) {
        rows[i].at = i;
        rows[i].real = i * 2;
    }
    assert_int_equal(weir_test_push(test, 0, rows, 3), 0);
    assert_string_equal(weir_test_text(test, 0), "0,0,0\n1,0,1\n2,0,2\n");
    weir_test_close(test);
}

/* Cut in the midst of it, and gone on with by another number of subtasks. */
static void
t_values_go_on_behind_a_restart(void **state)
{
    (void)state;
    struct tried tried = {conf_of(weir_aggregate_sum("value")), purse_schema()};
    struct weir_test_conf conf = {.build = build, .arg = &tried};
    struct weir_test_snapshot *saved = NULL;
    struct weir_test *test = NULL;
    struct coin rows[3];
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 3; i++) {
        rows[i].who = i;
        rows[i].place = weir_test_str(rows, places[2]);
        rows[i].value = 10 * i + 1;
    }
    assert_int_equal(weir_test_open(&conf, &test), 0);
    assert_int_equal(weir_test_push(test, 0, rows, 3), 0);
    assert_int_equal(weir_test_save(test, &saved), 0);
    weir_test_close(test);
    conf.parallelism = 3;
    conf.from = saved;
    assert_int_equal(weir_test_open(&conf, &test), 0);
    weir_test_snapshot_free(saved);
    assert_int_equal(weir_test_push(test, 0, rows, 3), 0);
    assert_string_equal(weir_test_rows(test, 0),
        "0,a place with a long name,2\n1,a place with a long name,22\n"
        "2,a place with a long name,42\n");
    weir_test_close(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_each_row_tells_the_value_it_leads_to),
        cmocka_unit_test(t_all_rows_are_one_key_where_none_is_named),
        cmocka_unit_test(t_values_go_on_behind_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
