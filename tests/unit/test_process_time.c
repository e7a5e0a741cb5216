/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of process functions in processing time, and what holds for both kinds: SCENARIOS T-130 to
 * T-138, SEMANTICS A-254. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/operators/process.h"
#include "dataplane/state.h"
#include "tests/unit/kv_place.h"
#include "tests/unit/restart.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define ORDER(F) F(i64, key) F(i64, ns) F(i64, again) F(time, at)
WEIR_SCHEMA(order, ORDER)
#define TOLD(F) F(i64, key) F(i64, ns) F(i64, cnt) F(i64, fired) F(time, at)
WEIR_SCHEMA(told, TOLD)

struct count {
    int64_t cnt;
    int64_t at_ms;
    int64_t again; /* how often a callback sets its timer again, 10 later */
};

static int
tell(struct weir_process *p, const struct count *state, int64_t fired, uint64_t ns)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct told *out = told_emit(p->out);
    out->key = weir_process_key(p, 0);
    out->ns = (int64_t)ns;
    out->cnt = state->cnt;
    out->fired = fired;
    out->at = p->time;
    return WEIR_DONE;
}

/* ---- a timer of each kind for every row, as the row says ---- */

WEIR_PROCESS_TIMED_CLOCKED(both, order, struct count, told)
{
    state->cnt++;
    state->again = in->again;
    int err = weir_process_timer_set(p, in->at, (uint64_t)in->ns);
    return err < 0 ? err : weir_process_clock_set(p, in->at, (uint64_t)in->ns);
}
WEIR_ON_TIMER(both, struct count)
{
    return tell(p, state, time, ns);
}
WEIR_ON_CLOCK(both, struct count)
{
    int rc = tell(p, state, time, ns + 100);
    if (rc == WEIR_DONE && state->again > 0) {
        state->again--;
        rc = weir_process_clock_set(p, time + 10, ns);
    }
    return rc;
}

/* ---- an alarm when nothing has come for a while ---- */

#define QUIET_MS 100

WEIR_PROCESS_CLOCKED(alarm, order, struct count, told)
{
    if (state->cnt > 0) {
        (void)weir_process_clock_delete(p, state->at_ms, 0);
    }
    state->cnt++;
    state->at_ms = weir_process_now_ms(p) + QUIET_MS;
    return weir_process_clock_set(p, state->at_ms, 0);
}
WEIR_ON_CLOCK(alarm, struct count)
{
    int rc = tell(p, state, time, ns);
    if (rc == WEIR_DONE) {
        weir_process_clear(p, state);
    }
    return rc;
}

/* ---- neither kind was defined ---- */

WEIR_PROCESS(bare, order, struct count, told)
{
    state->cnt++;
    assert_false(weir_process_clock_delete(p, 1, 0));
    return weir_process_clock_set(p, 1, 0);
}

/* Made in main. */
static struct weir_process_conf both_conf = {.function = &both_process};
static struct weir_process_conf alarm_conf = {.function = &alarm_process};

static struct harness_conf
conf_of(const struct weir_process_conf *conf)
{
    struct harness_conf hc;
    memset(&hc, 0, sizeof hc);
    hc.type = &weir_process_type;
    hc.conf = conf;
    hc.in_schema[0] = order_schema();
    hc.out_schema[0] = told_schema();
    hc.out_schema[1] = told_schema();
    return hc;
}

static struct harness *
open_process(const struct weir_process_conf *conf)
{
    const struct harness_conf hc = conf_of(conf);
    struct harness *h = harness_new(&hc);
    h->now_ns = WEIR_MS;
    return h;
}

static void
order_at(struct harness *h, int64_t key, int64_t ns, int64_t at_ms)
{
    const struct order order = {.key = key, .ns = ns, .at = at_ms};
    harness_push(h, 0, &order, 1);
}

static void
expect(const struct harness *h, uint32_t idx, int64_t key, int64_t ns, int64_t fired)
{
    const struct told *row = harness_row(h, 0, idx);
    assert_int_equal(row->key, key);
    assert_int_equal(row->ns, ns);
    assert_int_equal(row->fired, fired);
}

/* When the operator wants to be called, in ms. */
static int64_t
due_ms(const struct harness *h)
{
    int64_t due_ns = weir_chain_due_ns(h->chain);
    return due_ns == INT64_MAX ? INT64_MAX : due_ns / WEIR_MS;
}

static const struct weir_table *
table_of(struct harness *h, const char *name)
{
    uint32_t idx = 0;
    return weir_state_next(&h->arena, weir_state_id(harness_operator(h)->uid, name), &idx);
}

/* Flink counts the timers that it has with the service: one. Here there is the one time that the
 * operator says. */
static void
t_T130_T131_the_earliest_of_all_keys_is_what_is_due(void **state)
{
    (void)state;
    struct harness *h = open_process(&both_conf);
    assert_int_equal(due_ms(h), INT64_MAX);
    order_at(h, 1, 0, 20);
    assert_int_equal(due_ms(h), 20);
    order_at(h, 2, 0, 30);
    assert_int_equal(due_ms(h), 20);
    order_at(h, 3, 0, 10);
    assert_int_equal(due_ms(h), 10);
    harness_time(h, 10 * WEIR_MS - 1);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_time(h, 10 * WEIR_MS);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect(h, 0, 3, 100, 10);
    assert_int_equal(due_ms(h), 20);
    harness_time(h, 25 * WEIR_MS);
    assert_int_equal(due_ms(h), 30);
    harness_time(h, 1000 * WEIR_MS);
    assert_int_equal(due_ms(h), INT64_MAX);
    assert_int_equal(h->out[0].row_cnt, 3);
    expect(h, 1, 1, 100, 20);
    expect(h, 2, 2, 100, 30);
    /* In processing time nobody has said what event time the rows have; event time stood still. */
    assert_int_equal(((const struct told *)harness_row(h, 0, 0))->at, WEIR_TIME_MIN);
    assert_int_equal(table_of(h, "timers")->entry_cnt, 3);
    harness_free(h);
}

static void
t_T132_a_callback_that_sets_its_timer_again_leaves_nothing_behind(void **state)
{
    (void)state;
    struct harness *h = open_process(&both_conf);
    const struct order order = {.key = 1, .at = 10, .again = INT64_MAX};
    harness_push(h, 0, &order, 1);
    uint64_t used_bytes = weir_arena_used_bytes(&h->arena);
    for (int64_t i = 1; i <= 2000; i++) {
        harness_time(h, 10 * i * WEIR_MS);
        assert_int_equal(due_ms(h), 10 * (i + 1));
        assert_int_equal(h->out[0].row_cnt, i);
    }
    assert_int_equal(table_of(h, "clocks")->entry_cnt, 1);
    assert_int_equal(weir_arena_used_bytes(&h->arena), used_bytes);
    harness_free(h);
}

/* A clock that is late makes up for all that was missed, those set meanwhile among them. */
static void
t_a_late_clock_fires_what_was_missed_in_order(void **state)
{
    (void)state;
    struct harness *h = open_process(&both_conf);
    const struct order order = {.key = 1, .at = 10, .again = 4};
    harness_push(h, 0, &order, 1);
    order_at(h, 2, 0, 25);
    harness_time(h, 1000 * WEIR_MS);
    static const int64_t fired[] = {10, 20, 25, 30, 40, 50};
    assert_int_equal(h->out[0].row_cnt, WEIR_ARRAY_CNT(fired));
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(fired); i++) {
        expect(h, i, fired[i] == 25 ? 2 : 1, 100, fired[i]);
    }
    harness_free(h);
}

static void
t_T133_T136_each_fires_once_with_its_own_key(void **state)
{
    (void)state;
    for (uint32_t by_clock = 0; by_clock < 2; by_clock++) {
        struct harness *h = open_process(&both_conf);
        for (int64_t key = 1; key <= 2; key++) {
            for (int64_t ns = 0; ns < 2; ns++) {
                order_at(h, key, ns, 10);
                order_at(h, key, ns, 10); /* the same one twice */
            }
        }
        if (by_clock) {
            harness_time(h, 10 * WEIR_MS);
        } else {
            harness_watermark(h, 0, 10);
        }
        assert_int_equal(h->out[0].row_cnt, 4);
        uint32_t seen = 0;
        for (uint32_t i = 0; i < 4; i++) {
            const struct told *row = harness_row(h, 0, i);
            assert_int_equal(row->fired, 10);
            assert_int_equal(row->cnt, 4); /* the state of its key */
            seen |= 1u << (2 * (row->key - 1) + row->ns - 100 * by_clock);
        }
        assert_int_equal(seen, 0xf);
        harness_free(h);
    }
}

static void
t_what_was_not_defined_is_refused(void **state)
{
    (void)state;
    const struct weir_process_conf conf = {WEIR_KEY(order, key), &bare_process};
    struct harness *h = open_process(&conf);
    assert_false(weir_chain_keeps_time(h->chain));
    assert_int_equal(due_ms(h), INT64_MAX);
    const struct order order = {.key = 1};
    weir_err_clear();
    assert_int_equal(harness_try_push(h, 0, &order, 1), WEIR_ESTATE);
    weir_err_clear();
    harness_free(h);
}

/* ---- restarts ---- */

/* What was due while nobody ran fires at once, without a row or a watermark. */
static void
t_T138_a_time_that_has_passed_fires_after_a_restore(void **state)
{
    (void)state;
    const struct harness_conf hc = conf_of(&both_conf);
    struct harness *h = open_process(&both_conf);
    struct restart_left left;
    order_at(h, 7, 3, 50);
    order_at(h, 8, 4, 5000);
    restart_leave(h, &left);
    harness_free(h);
    assert_int_equal(restart_come(&hc, &left, 1, false, &h), 0);
    h->now_ns = 900 * WEIR_MS;
    assert_true(weir_chain_due_ns(h->chain) <= h->now_ns);
    assert_int_equal(h->out[0].row_cnt, 0);
    harness_time(h, h->now_ns);
    assert_int_equal(h->out[0].row_cnt, 1);
    expect(h, 0, 7, 103, 50);
    assert_int_equal(due_ms(h), 5000);
    harness_free(h);
    restart_left_free(&left);
}

#define STEP_CNT 120
#define ROWS_MAX 40
#define KEY_CNT 300

struct drama {
    struct restart_step step[STEP_CNT];
    struct order rows[STEP_CNT][ROWS_MAX];
};

/* Rows of random keys, and time that goes on between them. */
static void
drama_make(struct drama *drama, uint64_t seed)
{
    struct weir_rng rng;
    int64_t now_ns = 0;
    memset(drama, 0, sizeof *drama);
    weir_rng_init(&rng, seed);
    for (uint32_t i = 0; i < STEP_CNT; i++) {
        struct restart_step *step = &drama->step[i];
        if (i % 2 == 0 || i == STEP_CNT - 1) {
            now_ns += (int64_t)weir_rng_below(&rng, (uint64_t)(40 * WEIR_MS)) + 1;
            step->now_ns = i == STEP_CNT - 1 ? now_ns + 2 * QUIET_MS * WEIR_MS : now_ns;
            continue;
        }
        step->cnt = 1 + (uint32_t)weir_rng_below(&rng, ROWS_MAX);
        step->rows = drama->rows[i];
        for (uint32_t r = 0; r < step->cnt; r++) {
            drama->rows[i][r].key = (int64_t)weir_rng_below(&rng, KEY_CNT);
        }
    }
}

static int
line_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

#define LINE_BYTES 96

/* What the alarms are, by hand: the text that restart.h makes of sorted rows. */
static char *
drama_text(const struct drama *drama)
{
    int64_t cnt[KEY_CNT] = {0};
    int64_t at_ms[KEY_CNT] = {0};
    int64_t now_ms = 0;
    char(*lines)[LINE_BYTES] = calloc(STEP_CNT * ROWS_MAX, LINE_BYTES);
    char *text = calloc(STEP_CNT * ROWS_MAX, LINE_BYTES);
    size_t line_cnt = 0;
    for (uint32_t i = 0; i < STEP_CNT; i++) {
        const struct restart_step *step = &drama->step[i];
        now_ms = step->cnt == 0 ? step->now_ns / WEIR_MS : now_ms;
        for (int64_t k = 0; k < KEY_CNT && step->cnt == 0; k++) {
            if (cnt[k] > 0 && at_ms[k] <= now_ms) {
                (void)snprintf(lines[line_cnt++], LINE_BYTES, "0:%lld,0,%lld,%lld,%lld,\n",
                    (long long)k, (long long)cnt[k], (long long)at_ms[k], (long long)WEIR_TIME_MIN);
                cnt[k] = 0;
            }
        }
        for (uint32_t r = 0; r < step->cnt; r++) {
            int64_t key = drama->rows[i][r].key;
            cnt[key]++;
            at_ms[key] = now_ms + QUIET_MS;
        }
    }
    qsort(lines, line_cnt, LINE_BYTES, line_order);
    for (size_t i = 0; i < line_cnt; i++) {
        strcat(text, lines[i]);
    }
    free(lines);
    return text;
}

/* Without a cut, and stopped at random places, from 1 to 3 subtasks and back, by checkpoints and by
 * savepoints: each timer fires in the one subtask that has its key group, once. */
static void
t_T137_timers_go_on_where_their_key_groups_are(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    struct drama *drama = calloc(1, sizeof *drama);
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    for (uint32_t trial = 0; trial < 12; trial++) {
        drama_make(drama, seed + trial);
        struct restart_play play = {.conf = conf_of(&alarm_conf),
            .key = {WEIR_KEY(order, key)},
            .steps = drama->step,
            .step_cnt = STEP_CNT,
            .is_sorted = true,
            .always_moves = trial % 4 == 1,
            .by_savepoint = trial % 2 == 0};
        play.conf.max_parallelism = 16;
        uint32_t cut[3];
        uint32_t cnt[4];
        for (uint32_t i = 0; i < 4; i++) {
            cnt[i] = 1 + (uint32_t)weir_rng_below(&rng, 3);
            if (i < 3) {
                cut[i] = (i > 0 ? cut[i - 1] : 0) + (uint32_t)weir_rng_below(&rng, STEP_CNT / 3);
            }
        }
        char *want = drama_text(drama);
        char *whole = restart_text(&play, 1);
        char *got = restart_run(&play, cut, cnt, 3);
        assert_true(strlen(want) > LINE_BYTES);
        assert_string_equal(whole, want);
        assert_string_equal(got, want);
        free(want);
        free(whole);
        free(got);
    }
    free(drama);
}

/* Stopped in the middle of what a watermark makes due: what has not fired is in state. */
static void
t_T139_what_a_watermark_has_not_fired_yet_is_in_state(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    const struct harness_conf hc = conf_of(&both_conf);
    struct harness *h = open_process(&both_conf);
    struct restart_left left;
    bool *seen = calloc(KEYS, sizeof *seen);
    for (int64_t key = 0; key < KEYS; key++) {
        order_at(h, key, 0, 10);
    }
    weir_chain_offer_watermark(h->chain, 0, 0, 10);
    assert_int_equal(weir_chain_run(h->chain, 8, h->now_ns), WEIR_AGAIN);
    while (!weir_chain_rests(h->chain)) {
        assert_int_equal(weir_chain_run(h->chain, 1, h->now_ns), WEIR_AGAIN);
    }
    uint32_t fired_cnt = h->out[0].row_cnt;
    assert_in_range(fired_cnt, 1, KEYS - 1);
    for (uint32_t i = 0; i < fired_cnt; i++) {
        seen[((const struct told *)harness_row(h, 0, i))->key] = true;
    }
    restart_leave(h, &left);
    harness_free(h);
    assert_int_equal(restart_come(&hc, &left, 1, true, &h), 0);
    harness_watermark(h, 0, 10);
    assert_int_equal(h->out[0].row_cnt, KEYS - fired_cnt);
    for (uint32_t i = 0; i < KEYS - fired_cnt; i++) {
        bool *was = &seen[((const struct told *)harness_row(h, 0, i))->key];
        assert_false(*was);
        *was = true;
    }
    harness_free(h);
    restart_left_free(&left);
    free(seen);
}

/* States of the timers' keys that lie on disk come back for them. */
static void
t_T137_keys_on_disk_come_back_for_their_timers(void **state)
{
    (void)state;
    const struct weir_spill_conf spill = {.dir = kv_place, .key_max = 32, .is_inline = true};
    uint64_t seed = seed_of_run();
    struct drama *drama = calloc(1, sizeof *drama);
    drama_make(drama, seed);
    struct restart_play play = {.conf = conf_of(&alarm_conf),
        .key = {WEIR_KEY(order, key)},
        .steps = drama->step,
        .step_cnt = STEP_CNT,
        .is_sorted = true};
    play.conf.spill = &spill;
    char *want = drama_text(drama);
    char *got = restart_text(&play, 1);
    assert_string_equal(got, want);
    free(want);
    free(got);
    free(drama);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T130_T131_the_earliest_of_all_keys_is_what_is_due),
        cmocka_unit_test(t_T132_a_callback_that_sets_its_timer_again_leaves_nothing_behind),
        cmocka_unit_test(t_a_late_clock_fires_what_was_missed_in_order),
        cmocka_unit_test(t_T133_T136_each_fires_once_with_its_own_key),
        cmocka_unit_test(t_what_was_not_defined_is_refused),
        cmocka_unit_test(t_T138_a_time_that_has_passed_fires_after_a_restore),
        cmocka_unit_test(t_T137_timers_go_on_where_their_key_groups_are),
        cmocka_unit_test(t_T139_what_a_watermark_has_not_fired_yet_is_in_state),
        cmocka_unit_test(t_T137_keys_on_disk_come_back_for_their_timers),
    };
    both_conf.key = WEIR_KEY(order, key);
    alarm_conf.key = both_conf.key;
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
