/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of each key with triggers and functions of one's own, by the clock, with keys of any
 * fields; and what is refused. */
#include "tests/unit/general_rows.h"

/* ---- triggers of one's own ---- */

/* A row of value 99 fires, one of 100 fires and purges; 5 ms behind the first row, and 7 ms of host
 * time behind it, the window fires too. word[0]: the timer, word[1]: that of the clock. */
static int
alarm_on_row(struct weir_trigger_call *call)
{
    const struct event *row = call->row;
    assert_true(row->at == call->time);
    if (call->word[0] == 0) {
        call->word[0] = row->at + 5;
        call->word[1] = call->now_ms + 7;
        int err = weir_trigger_timer_set(call, call->word[0]);
        err = err < 0 ? err : weir_trigger_clock_set(call, call->word[1]);
        if (err < 0) {
            return err;
        }
    }
    return row->value == 99    ? WEIR_TRIGGER_FIRE
           : row->value == 100 ? WEIR_TRIGGER_FIRE | WEIR_TRIGGER_PURGE
           : row->value == -1  ? WEIR_EDATA
                               : 0;
}

static int
alarm_on_time(struct weir_trigger_call *call)
{
    return call->time == call->word[0] ? WEIR_TRIGGER_FIRE : 0;
}

static int
alarm_on_clock(struct weir_trigger_call *call)
{
    return call->time == call->word[1] ? WEIR_TRIGGER_FIRE : 0;
}

/* The one that is left has the earlier times. */
static int
alarm_on_merge(struct weir_trigger_call *call, const int64_t *word)
{
    weir_trigger_timer_delete(call, call->word[0]);
    weir_trigger_clock_delete(call, call->word[1]);
    call->word[0] = weir_min_i64(call->word[0], word[0]);
    call->word[1] = weir_min_i64(call->word[1], word[1]);
    int err = weir_trigger_timer_set(call, call->word[0]);
    return err < 0 ? err : weir_trigger_clock_set(call, call->word[1]);
}

static void
alarm_clear(struct weir_trigger_call *call)
{
    weir_trigger_timer_delete(call, call->word[0]);
    weir_trigger_clock_delete(call, call->word[1]);
}

static const struct weir_trigger_function alarm_trigger = {
    "alarm", alarm_on_row, alarm_on_time, alarm_on_clock, alarm_on_merge, alarm_clear};

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

static struct harness *
own_harness(struct weir_general_conf *conf, struct weir_general_span span, struct harness_conf *hc)
{
    *conf = general_conf(span, weir_aggregate_sum("value"));
    conf->trigger.kind = WEIR_TRIGGER_OWN;
    conf->trigger.own = &alarm_trigger;
    *hc = general_harness(conf);
    return harness_new(hc);
}

static uint64_t
timers_left(struct harness *h)
{
    const struct general_self *self = harness_operator(h)->self;
    return weir_timers_cnt(&self->timers) + weir_timers_cnt(&self->clocks);
}

static void
t_a_trigger_of_ones_own_fires_by_rows_times_and_the_clock(void **state)
{
    (void)state;
    struct weir_general_conf conf;
    struct harness_conf hc;
    struct harness *h = own_harness(&conf, WEIR_TUMBLES(100), &hc);
    push_one(h, 10, 1, 1);
    push_one(h, 20, 1, 99);
    expect_seen(h, "k1-100 0-100@99");
    push_one(h, 21, 1, 100);
    expect_seen(h, "k1-200 0-100@99");
    push_one(h, 22, 1, 3);
    harness_watermark(h, 0, 14);
    expect_seen(h, "");
    go_on(&h, &hc, true);
    harness_watermark(h, 0, 15);
    expect_seen(h, "k1-3 0-100@99");
    clock_to(h, 6);
    expect_seen(h, "");
    clock_to(h, 7);
    expect_seen(h, "k1-3 0-100@99");
    harness_watermark(h, 0, 99); /* forgotten, and not fired */
    expect_seen(h, "");
    assert_int_equal(timers_left(h), 0);
    struct event bad = row_of(200, 1, -1);
    assert_int_equal(harness_try_push(h, 0, &bad, 1), WEIR_EDATA);
    weir_err_clear();
    harness_free(h);
}

static void
t_triggers_of_ones_own_merge_with_their_sessions(void **state)
{
    (void)state;
    struct weir_general_conf conf;
    struct harness_conf hc;
    struct harness *h = own_harness(&conf, WEIR_SESSIONS(10), &hc);
    push_one(h, 30, 1, 1);
    push_one(h, 12, 1, 2);
    assert_int_equal(timers_left(h), 6);
    push_one(h, 21, 1, 4); /* [12 22) and [30 40) become [12 40) */
    assert_int_equal(timers_left(h), 3);
    harness_watermark(h, 0, 17);
    expect_seen(h, "k1-7 12-40@39");
    clock_to(h, 7);
    expect_seen(h, "k1-7 12-40@39");
    harness_watermark(h, 0, 39);
    expect_seen(h, "");
    assert_int_equal(timers_left(h), 0);
    harness_free(h);
}

/* ---- the clock ---- */

/* The window is still open while its last millisecond lasts: a row of it never comes behind the
 * firing. */
static void
t_rows_of_the_last_millisecond_count_in_its_window(void **state)
{
    (void)state;
    struct weir_general_conf conf =
        general_conf(WEIR_TUMBLES_BY_CLOCK(100), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    clock_to(h, 50);
    push_one(h, 0, 1, 1);
    clock_to(h, 99);
    expect_seen(h, "");
    push_one(h, 0, 1, 2);
    clock_to(h, 100);
    expect_seen(h, "k1-3 0-100@99");
    push_one(h, 0, 1, 4);
    clock_to(h, 200);
    expect_seen(h, "k1-4 100-200@199");
    harness_free(h);
}

static void
t_sessions_by_the_clock(void **state)
{
    (void)state;
    struct weir_general_conf conf =
        general_conf(WEIR_SESSIONS_BY_CLOCK(100), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    clock_to(h, 1000);
    push_one(h, 7, 1, 1);
    clock_to(h, 1098);
    push_one(h, 3, 1, 2);
    clock_to(h, 1197);
    expect_seen(h, "");
    clock_to(h, 1198);
    expect_seen(h, "k1-3 1000-1198@1197");
    clock_to(h, 1300);
    push_one(h, 3, 1, 4);
    harness_end(h, 0); /* what is open is not lost */
    expect_seen(h, "k1-4 1300-1400@1399");
    assert_int_equal(harness_operator(h)->timers_fired, 3); /* one found its session longer */
    assert_int_equal(timers_left(h), 0);
    harness_free(h);
}

static void
t_event_windows_that_fire_by_the_clock(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_TUMBLES(100), weir_aggregate_sum("value"));
    conf.trigger.kind = WEIR_TRIGGER_CONTINUOUS_BY_CLOCK;
    conf.trigger.every = 30;
    struct harness_conf hc = general_harness(&conf);
    struct harness *h = harness_new(&hc);
    clock_to(h, 25);
    push_one(h, 7, 1, 1);
    clock_to(h, 30);
    expect_seen(h, "k1-1 0-100@99");
    push_one(h, 8, 1, 2);
    go_on(&h, &hc, true);
    clock_to(h, 95);
    expect_seen(h, "k1-3 0-100@99 k1-3 0-100@99");
    harness_watermark(h, 0, 99);
    expect_seen(h, "");
    assert_int_equal(timers_left(h), 0);
    harness_free(h);
}

static void
ten_ms_later(struct harness *h)
{
    h->now_ns += 10 * WEIR_MS;
}

/* A batch belongs to the time at which it came, however long its windows wait for room. */
static void
t_rows_that_wait_for_room_keep_their_time(void **state)
{
    (void)state;
    struct weir_general_conf conf =
        general_conf(WEIR_TUMBLES_BY_CLOCK(10), weir_aggregate_sum("value"));
    conf.trigger = (struct weir_trigger)WEIR_EVERY_ROWS(1);
    struct harness_conf hc = general_harness(&conf);
    hc.batch_rows = 1;
    struct harness *h = harness_new(&hc);
    h->steps_max = 1;
    h->after_step = ten_ms_later;
    struct event rows[3] = {row_of(0, 1, 1), row_of(0, 2, 1), row_of(0, 3, 1)};
    harness_push(h, 0, rows, 3);
    expect_seen(h, "k1-1 0-10@9 k2-1 0-10@9 k3-1 0-10@9");
    harness_free(h);
}

/* ---- functions ---- */

#define ECHO(F) F(i64, key) F(i64, value) F(str, name)
WEIR_SCHEMA(echo, ECHO)
#define NAMED(F) F(time, at) F(i64, key) F(str, name)
WEIR_SCHEMA(named, NAMED)

/* Every row again, as many as have room. */
static int
echo_rows(struct weir_window_call *call)
{
    struct weir_window_walk walk;
    uint64_t at = 0;
    weir_window_call_rows(call, &walk);
    for (const struct named *row; (row = weir_window_call_row(&walk)) != NULL; at++) {
        if (at < call->at) {
            continue;
        }
        struct weir_slice name = weir_str_slice(&row->name, walk.heap);
        if (!weir_out_room(call->out, 1, name.bytes)) {
            return WEIR_AGAIN;
        }
        struct echo *out = echo_emit(call->out);
        struct weir_slice key = weir_window_call_key_text(call);
        assert_int_equal(key.bytes, name.bytes);
        assert_memory_equal(key.ptr, name.ptr, name.bytes);
        out->key = row->key;
        out->value = (int64_t)call->row_cnt;
        weir_str_set_bytes(call->out, &out->name, name.ptr, name.bytes);
        call->at = at + 1;
    }
    return WEIR_DONE;
}

static const struct weir_window_function echo_function = {
    .name = "echo", .out_schema = echo_schema, .call = echo_rows, .wants_rows = true};

static void
t_a_function_goes_on_where_its_output_was_full(void **state)
{
    (void)state;
    static const char text[] = "a key of more than twenty bytes, which lies apart";
    for (int counted = 0; counted < 2; counted++) {
        struct weir_general_conf conf;
        memset(&conf, 0, sizeof conf);
        conf.key = WEIR_KEY(named, name);
        conf.span = WEIR_SESSIONS(10);
        conf.function = &echo_function;
        conf.trigger =
            counted ? (struct weir_trigger)WEIR_EVERY_ROWS(50) : (struct weir_trigger)WEIR_AT_END;
        struct harness_conf hc = general_harness(&conf);
        hc.in_schema[0] = named_schema();
        hc.out_schema[0] = echo_schema();
        hc.batch_rows = 7;
        hc.is_slow = true;
        struct harness *h = harness_new(&hc);
        struct named rows[100];
        for (int i = 0; i < 100; i++) {
            rows[i].at = i;
            rows[i].key = i;
            rows[i].name = weir_str_ref(text, text, (uint32_t)sizeof text - 1);
        }
        struct weir_view view = harness_view_of(named_schema(), rows, 100);
        view.heap = (char *)(uintptr_t)text;
        harness_push_view(h, 0, &view);
        harness_watermark(h, 0, WEIR_WATERMARK_MAX);
        uint32_t want = counted ? 150 : 100; /* 50 rows, and then all of them */
        assert_int_equal(h->out[0].row_cnt, want);
        for (uint32_t i = 0; i < want; i++) {
            const struct echo *row = harness_row(h, 0, i);
            assert_int_equal(row->key, counted && i >= 50 ? i - 50 : i);
            assert_int_equal(row->value, counted && i < 50 ? 50 : 100);
        }
        harness_free(h);
    }
}

/* A firing by the clock that found no room is over before a row is taken, and before a barrier. */
static void
t_a_firing_by_the_clock_is_over_before_rows_and_barriers(void **state)
{
    (void)state;
    static const char text[] = "one";
    for (int cut = 0; cut < 2; cut++) {
        struct weir_general_conf conf;
        memset(&conf, 0, sizeof conf);
        conf.key = WEIR_KEY(named, name);
        conf.span = WEIR_TUMBLES_BY_CLOCK(10);
        conf.function = &echo_function;
        struct harness_conf hc = general_harness(&conf);
        hc.in_schema[0] = named_schema();
        hc.out_schema[0] = echo_schema();
        hc.batch_rows = 7;
        struct harness *h = harness_new(&hc);
        struct named rows[40];
        for (int i = 0; i < 40; i++) {
            rows[i].at = 0;
            rows[i].key = i;
            rows[i].name = weir_str_inline(text, 3);
        }
        harness_push(h, 0, rows, 40);
        h->now_ns = 20 * WEIR_MS;
        assert_int_equal(weir_chain_fire(h->chain, h->now_ns), WEIR_AGAIN);
        assert_int_equal(harness_run(h), 0);
        assert_int_equal(h->out[0].row_cnt, 7);
        struct general_self *self = harness_operator(h)->self;
        assert_true(self->is_decided);
        if (cut) {
            int rc;
            while ((rc = weir_chain_barrier(h->chain, 1, h->now_ns)) == WEIR_AGAIN) {
                assert_int_equal(harness_run(h), 0);
            }
            assert_int_equal(rc, WEIR_DONE);
        } else {
            harness_push(h, 0, rows, 1);
        }
        assert_false(self->is_decided);
        assert_int_equal(h->out[0].row_cnt, 40);
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(((const struct echo *)harness_row(h, 0, i))->key, i);
        }
        harness_free(h);
    }
}

/* ---- keys ---- */

#define PLACE(F) F(time, at) F(str, name) F(i64, number)
WEIR_SCHEMA(place, PLACE)
#define PLACES(F) F(str, name) F(i64, number) F(i64, cnt)
WEIR_SCHEMA(places, PLACES)

static void
t_keys_of_any_fields_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const char heap[] = "a name that is longer than any that lies inline; short";
    const struct weir_key keys[] = {WEIR_KEY(place, name), WEIR_KEY2(place, name, number)};
    for (size_t k = 0; k < WEIR_ARRAY_CNT(keys); k++) {
        struct weir_general_conf conf;
        memset(&conf, 0, sizeof conf);
        conf.key = keys[k];
        conf.span = WEIR_SLIDES(20, 10);
        conf.aggregate = weir_aggregate_count();
        struct harness_conf hc = general_harness(&conf);
        hc.in_schema[0] = place_schema();
        hc.out_schema[0] = places_schema();
        struct harness *h = NULL;
        if (k == 0) { /* the output asks for a number that is no part of the key */
            assert_int_equal(harness_try(&hc, &h), WEIR_EGRAPH);
            weir_err_clear();
            continue;
        }
        h = harness_new(&hc);
        struct place rows[4];
        for (int i = 0; i < 4; i++) {
            uint32_t bytes = i % 2 == 0 ? 48 : 6;
            const char *text = i % 2 == 0 ? heap : heap + 48;
            rows[i].at = 5;
            rows[i].name = weir_str_ref(heap, text, bytes);
            rows[i].number = i / 2;
        }
        struct weir_view view = harness_view_of(place_schema(), rows, 4);
        view.heap = (char *)(uintptr_t)heap;
        harness_push_view(h, 0, &view);
        harness_push_view(h, 0, &view);
        go_on(&h, &hc, false);
        harness_watermark(h, 0, WEIR_WATERMARK_MAX);
        assert_int_equal(h->out[0].row_cnt, 8);
        for (uint32_t i = 0; i < 8; i++) {
            const struct places *row = harness_row(h, 0, i);
            struct weir_slice name = harness_text(h, 0, &row->name);
            assert_int_equal(row->cnt, 2);
            assert_true(name.bytes == 48 || name.bytes == 6);
            assert_memory_equal(name.ptr, name.bytes == 48 ? heap : heap + 48, name.bytes);
        }
        harness_free(h);
    }
}

/* ---- misuse ---- */

static int
check(const struct weir_general_conf *conf)
{
    int err = weir_general_check(conf, event_schema(), fired_schema());
    weir_err_clear();
    return err;
}

static void
t_a_conf_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    const struct weir_general_conf good =
        general_conf(WEIR_TUMBLES(10), weir_aggregate_sum("value"));
    static const struct weir_trigger_function lonely = {.name = "lonely", .on_row = alarm_on_row};
    assert_int_equal(check(&good), 0);
#define REFUSED(change)                              \
    do {                                             \
        struct weir_general_conf conf = good;        \
        change;                                      \
        assert_int_equal(check(&conf), WEIR_EGRAPH); \
    } while (0)
    REFUSED(conf.key.field_cnt = 0);
    REFUSED(conf.span.kind = WEIR_GENERAL_KIND_CNT);
    REFUSED(conf.span = WEIR_GLOBAL; conf.span.by_clock = true);
    REFUSED(conf.span = WEIR_TUMBLES(0));
    REFUSED(conf.span = WEIR_SLIDES(10, -1));
    REFUSED(conf.span = WEIR_SLIDES(1000, 3));
    REFUSED(conf.span = WEIR_CUMULATES(10, 3));
    REFUSED(conf.lateness_ms = -1);
    REFUSED(conf.span = WEIR_GLOBAL; conf.lateness_ms = 1);
    REFUSED(conf.span = WEIR_TUMBLES_BY_CLOCK(10); conf.lateness_ms = 1);
    REFUSED(conf.trigger.kind = WEIR_TRIGGER_KIND_CNT);
    REFUSED(conf.trigger.kind = WEIR_TRIGGER_COUNT);
    REFUSED(conf.trigger.kind = WEIR_TRIGGER_OWN);
    REFUSED(conf.trigger.kind = WEIR_TRIGGER_DELTA; conf.trigger.field = "real");
    REFUSED(conf.trigger.kind = WEIR_TRIGGER_DELTA);
    REFUSED(conf.span = WEIR_TUMBLES_BY_CLOCK(10); conf.trigger.kind = WEIR_TRIGGER_CONTINUOUS;
            conf.trigger.every = 1);
    REFUSED(conf.span = WEIR_SESSIONS(10); conf.trigger.kind = WEIR_TRIGGER_DELTA;
            conf.trigger.field = "value");
    REFUSED(conf.span = WEIR_SESSIONS(10); conf.trigger.kind = WEIR_TRIGGER_OWN;
            conf.trigger.own = &lonely);
    REFUSED(conf.evictor.kind = WEIR_EVICTOR_KIND_CNT);
    REFUSED(conf.evictor.kind = WEIR_EVICTOR_DELTA; conf.evictor.field = "real");
    REFUSED(conf.aggregate.name = NULL);
    REFUSED(conf.function = &echo_function);
    REFUSED(conf.aggregate = weir_aggregate_count(); conf.function = &echo_function);
#undef REFUSED
}

/* State pages that are used up end the job, and nothing is written behind them. */
static void
t_windows_that_have_no_room_are_an_error(void **state)
{
    (void)state;
    struct weir_general_conf conf = general_conf(WEIR_SESSIONS(10), weir_aggregate_sum("value"));
    struct harness_conf hc = general_harness(&conf);
    hc.arena_bytes = WEIR_MIB;
    struct harness *h = harness_new(&hc);
    int err = 0;
    for (int64_t i = 0; i < 100000 && err == 0; i++) {
        struct event row = row_of(i % 2 * 100, i / 2, 1);
        err = harness_try_push(h, 0, &row, 1);
    }
    assert_int_equal(err, WEIR_EBUDGET);
    weir_err_clear();
    harness_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_trigger_of_ones_own_fires_by_rows_times_and_the_clock),
        cmocka_unit_test(t_triggers_of_ones_own_merge_with_their_sessions),
        cmocka_unit_test(t_rows_of_the_last_millisecond_count_in_its_window),
        cmocka_unit_test(t_sessions_by_the_clock),
        cmocka_unit_test(t_event_windows_that_fire_by_the_clock),
        cmocka_unit_test(t_rows_that_wait_for_room_keep_their_time),
        cmocka_unit_test(t_a_function_goes_on_where_its_output_was_full),
        cmocka_unit_test(t_a_firing_by_the_clock_is_over_before_rows_and_barriers),
        cmocka_unit_test(t_keys_of_any_fields_come_out_as_they_went_in),
        cmocka_unit_test(t_a_conf_that_does_not_fit_is_refused),
        cmocka_unit_test(t_windows_that_have_no_room_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
