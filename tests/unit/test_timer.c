/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/timer.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

struct world {
    struct weir_arena arena;
    struct weir_timers timers;
    void *mem;
};

static void
world_open(struct world *w, uint64_t bytes, uint32_t key_kind)
{
    w->mem = aligned_alloc(WEIR_PAGE_BYTES, bytes);
    assert_non_null(w->mem);
    memset(w->mem, 0, bytes);
    struct weir_arena_spec spec = {"test", 12, {0, 12}, 2};
    assert_int_equal(weir_arena_init(&w->arena, &spec, w->mem, bytes), 0);
    assert_int_equal(weir_timers_init(&w->timers, &w->arena, 3, key_kind), 0);
}

static void
world_close(struct world *w)
{
    while (weir_timers_fini(&w->timers) == WEIR_AGAIN) {
    }
    assert_int_equal(weir_arena_used_bytes(&w->arena), 0);
    free(w->mem);
}

static struct weir_timer_key
key_of(const uint64_t *key, uint64_t ns)
{
    struct weir_timer_key k = {weir_hash_u64(*key), key, NULL, ns};
    return k;
}

static bool
set(struct world *w, uint64_t key, uint64_t ns, int64_t time)
{
    bool made = false;
    struct weir_timer_key k = key_of(&key, ns);
    assert_int_equal(weir_timers_set(&w->timers, &k, time, &made), 0);
    return made;
}

static bool
unset(struct world *w, uint64_t key, uint64_t ns, int64_t time)
{
    struct weir_timer_key k = key_of(&key, ns);
    return weir_timers_delete(&w->timers, &k, time);
}

static bool
peek(struct world *w, int64_t up_to, struct weir_timer *timer)
{
    int got;
    do {
        got = weir_timers_peek(&w->timers, up_to, timer);
    } while (got == WEIR_TIMERS_BUSY);
    return got == 1;
}

static void
t_a_timer_exists_once_and_fires_in_time_order(void **state)
{
    (void)state;
    struct world w;
    struct weir_timer timer;
    world_open(&w, UINT64_C(1) << 20, WEIR_KEY_8);
    assert_int_equal(weir_timers_next_time(&w.timers), INT64_MAX);
    assert_true(set(&w, 1, 0, 30));
    assert_false(set(&w, 1, 0, 30));
    assert_true(set(&w, 1, 1, 30));
    assert_true(set(&w, 2, 0, 10));
    assert_true(set(&w, 0, 0, -5));
    assert_int_equal(weir_timers_next_time(&w.timers), -5);
    assert_int_equal(weir_timers_cnt(&w.timers), 4);
    assert_false(peek(&w, -6, &timer));
    assert_true(peek(&w, 10, &timer));
    assert_true(timer.time == -5 && timer.stored[0] == 0 && timer.ns == 0);
    assert_int_equal(timer.hash, weir_hash_u64(0));
    weir_timers_pop(&w.timers, &timer);
    assert_true(peek(&w, 10, &timer));
    assert_true(timer.time == 10 && timer.stored[0] == 2);
    weir_timers_pop(&w.timers, &timer);
    assert_false(peek(&w, 29, &timer));
    assert_true(unset(&w, 1, 0, 30));
    assert_false(unset(&w, 1, 0, 30));
    assert_true(peek(&w, 30, &timer));
    assert_true(timer.ns == 1 && timer.stored[0] == 1);
    weir_timers_pop(&w.timers, &timer);
    assert_false(peek(&w, INT64_MAX, &timer));
    world_close(&w);
}

/* What is due soon is seen without being taken; what was deleted is not. */
static void
t_keys_ahead_are_those_that_are_due(void **state)
{
    (void)state;
    struct world w;
    uint64_t key[50];
    world_open(&w, UINT64_C(1) << 20, WEIR_KEY_8);
    assert_int_equal(weir_timers_ahead(&w.timers, INT64_MAX, 50, key), 0);
    for (uint64_t i = 0; i < 40; i++) {
        assert_true(set(&w, i, 7, 100 + (int64_t)i));
    }
    assert_true(unset(&w, 3, 7, 103));
    assert_int_equal(weir_timers_ahead(&w.timers, 119, 50, key), 19);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < 19; i++) {
        assert_in_range(key[i], 0, 19);
        seen |= UINT64_C(1) << key[i];
    }
    assert_int_equal(seen, 0xffff7);
    assert_int_equal(weir_timers_ahead(&w.timers, 119, 1, key), 1);
    assert_int_equal(key[0], 0);
    assert_int_equal(weir_timers_cnt(&w.timers), 39);
    world_close(&w);
}

static void
t_a_timer_stays_until_it_is_popped_and_may_set_others(void **state)
{
    (void)state;
    struct world w;
    struct weir_timer timer;
    struct weir_timer again;
    world_open(&w, UINT64_C(1) << 20, WEIR_KEY_8);
    (void)set(&w, 7, 0, 100);
    assert_true(peek(&w, 100, &timer));
    assert_true(peek(&w, 100, &again));
    assert_memory_equal(&timer.stored, &again.stored, 3 * sizeof(uint64_t));
    (void)set(&w, 7, 0, 50); /* by the callback, in the past: due at once */
    weir_timers_pop(&w.timers, &timer);
    assert_int_equal(weir_timers_cnt(&w.timers), 1);
    assert_true(peek(&w, 100, &timer));
    assert_int_equal(timer.time, 50);
    assert_true(unset(&w, 7, 0, 50)); /* the callback deletes its own timer */
    weir_timers_pop(&w.timers, &timer);
    assert_false(peek(&w, 100, &timer));
    world_close(&w);
}

/* A million due at one watermark: each call does one, so the caller slices as it likes; order and
 * number are right, and the pages come back. */
static void
t_a_million_due_timers_come_out_one_by_one_in_order(void **state)
{
    (void)state;
    enum { CNT = 1000000 };
    struct world w;
    world_open(&w, UINT64_C(160) << 20, WEIR_KEY_8);
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    for (uint64_t i = 0; i < CNT; i++) {
        assert_true(set(&w, i, 0, (int64_t)weir_rng_below(&rng, 5000)));
    }
    struct weir_timer timer;
    int64_t last = INT64_MIN;
    uint64_t sum = 0;
    uint64_t cnt = 0;
    while (peek(&w, 10000, &timer)) {
        assert_true(timer.time >= last);
        last = timer.time;
        sum += timer.stored[0];
        cnt++;
        weir_timers_pop(&w.timers, &timer);
    }
    assert_int_equal(cnt, CNT);
    assert_int_equal(sum, (uint64_t)CNT * (CNT - 1) / 2);
    world_close(&w);
}

/* The model: a flag per (key, ns, time) in a small cube. */
enum { KEYS = 40, SPACES = 2, TIMES = 60 };
struct model {
    bool is_set[TIMES][KEYS][SPACES];
    uint64_t cnt;
};

static void
fire_up_to(struct world *w, struct model *model, int64_t up_to)
{
    struct weir_timer timer;
    int64_t last = INT64_MIN;
    while (peek(w, up_to, &timer)) {
        assert_true(timer.time >= last && timer.time <= up_to);
        last = timer.time;
        bool *is_set = &model->is_set[timer.time][timer.stored[0]][timer.ns];
        assert_true(*is_set);
        *is_set = false;
        model->cnt--;
        weir_timers_pop(&w->timers, &timer);
    }
    for (int64_t time = 0; time <= up_to; time++) {
        for (uint32_t key = 0; key < KEYS; key++) {
            assert_false(model->is_set[time][key][0] || model->is_set[time][key][1]);
        }
    }
}

static void
t_random_timers_agree_with_a_model(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(8) << 20, WEIR_KEY_8);
    struct model *model = calloc(1, sizeof *model);
    struct weir_rng rng;
    weir_rng_init(&rng, seed_of_run());
    for (uint32_t step = 0; step < 60000; step++) {
        uint64_t key = weir_rng_below(&rng, KEYS);
        uint64_t ns = weir_rng_below(&rng, SPACES);
        int64_t time = (int64_t)weir_rng_below(&rng, TIMES);
        bool *is_set = &model->is_set[time][key][ns];
        uint64_t what = weir_rng_below(&rng, 1000);
        if (what < 600) {
            assert_int_equal(set(&w, key, ns, time), !*is_set);
            model->cnt += !*is_set;
            *is_set = true;
        } else if (what < 995) {
            assert_int_equal(unset(&w, key, ns, time), *is_set);
            model->cnt -= *is_set;
            *is_set = false;
        } else if (what < 998) {
            fire_up_to(&w, model, time / 4);
        } else {
            assert_int_equal(weir_table_rebuild(&w.arena), 0);
            assert_int_equal(weir_timers_rebuild(&w.timers), 0);
        }
        assert_int_equal(weir_timers_cnt(&w.timers), model->cnt);
    }
    fire_up_to(&w, model, TIMES - 1);
    assert_int_equal(model->cnt, 0);
    free(model);
    world_close(&w);
}

/* A session pushes its timer on with each event: what it leaves behind must not pile up. */
static void
t_deleted_timers_are_swept_out_of_the_index(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(2) << 20, WEIR_KEY_8);
    int64_t time = 1000;
    for (uint64_t key = 0; key < 100; key++) {
        (void)set(&w, key, 0, time + (int64_t)key);
    }
    for (uint32_t round = 0; round < 3000; round++) {
        for (uint64_t key = 0; key < 100; key++) {
            int64_t old = time + (int64_t)key + round;
            assert_true(unset(&w, key, 0, old));
            assert_true(set(&w, key, 0, old + 1));
        }
    }
    assert_int_equal(weir_timers_cnt(&w.timers), 100);
    assert_true(w.timers.heap[0].cnt + w.timers.heap[1].cnt < 20000);
    struct weir_timer timer;
    for (uint64_t key = 0; key < 100; key++) {
        assert_true(peek(&w, INT64_MAX, &timer));
        assert_int_equal(timer.stored[0], key);
        assert_int_equal(timer.time, time + (int64_t)key + 3000);
        weir_timers_pop(&w.timers, &timer);
    }
    assert_false(peek(&w, INT64_MAX, &timer));
    world_close(&w);
}

static void
t_string_keys_long_and_short_carry_timers(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(4) << 20, WEIR_KEY_STR);
    char heap[200];
    memset(heap, 'k', sizeof heap);
    bool made;
    for (uint32_t bytes = 1; bytes < 200; bytes++) {
        struct weir_slice lying = {heap, bytes};
        uint64_t hash = weir_hash_bytes(heap, bytes);
        struct weir_key_text text_key = weir_key_text_of(heap, lying, hash);
        struct weir_timer_key key = {hash, &text_key, heap, 9};
        assert_int_equal(weir_timers_set(&w.timers, &key, bytes % 10, &made), 0);
        assert_true(made);
        assert_int_equal(weir_timers_set(&w.timers, &key, bytes % 10, &made), 0);
        assert_false(made);
        if (bytes % 3 == 0) {
            assert_true(weir_timers_delete(&w.timers, &key, bytes % 10));
        }
    }
    struct weir_timer timer;
    uint32_t cnt = 0;
    while (peek(&w, 9, &timer)) {
        char text[200];
        uint32_t bytes = weir_table_key_bytes(timer.stored);
        weir_table_key_text(w.timers.table, timer.stored, text);
        assert_memory_equal(text, heap, bytes);
        assert_int_equal(timer.time, bytes % 10);
        assert_int_equal(timer.ns, 9);
        assert_int_equal(timer.hash, weir_hash_bytes(heap, bytes));
        weir_timers_pop(&w.timers, &timer);
        cnt++;
    }
    assert_int_equal(cnt, 199 - 66);
    world_close(&w);
}

static void
t_a_full_arena_refuses_a_timer_and_keeps_the_others(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(512) << 10, WEIR_KEY_8);
    uint64_t cnt = 0;
    int err = 0;
    for (; cnt < 100000; cnt++) {
        bool made;
        struct weir_timer_key k = key_of(&cnt, 0);
        err = weir_timers_set(&w.timers, &k, (int64_t)cnt, &made);
        if (err < 0) {
            break;
        }
    }
    assert_int_equal(err, WEIR_EBUDGET);
    weir_err_clear();
    assert_true(cnt > 1000);
    struct weir_timer timer;
    for (uint64_t i = 0; i < cnt; i++) {
        assert_true(peek(&w, INT64_MAX, &timer));
        assert_int_equal(timer.time, i);
        weir_timers_pop(&w.timers, &timer);
    }
    assert_false(peek(&w, INT64_MAX, &timer));
    world_close(&w);
}

/* ---- each ---- */

struct visit {
    struct world *w;
    uint32_t seen_cnt;
    uint32_t deleted_cnt;
    uint64_t seen[64]; /* by key: namespaces and times seen, as bits */
    bool deletes;
};

/* Every second timer removes itself, and one of the same key that may or may not have had its
 * turn. */
static int
visit_timer(void *arg, const struct weir_timer *timer)
{
    struct visit *visit = arg;
    uint64_t key = timer->stored[0];
    uint64_t bit = UINT64_C(1) << (timer->ns * 8 + (uint64_t)timer->time);
    assert_in_range(key, 0, 63);
    assert_int_equal(timer->hash, weir_hash_u64(key));
    assert_int_equal(visit->seen[key] & bit, 0);
    visit->seen[key] |= bit;
    visit->seen_cnt++;
    if (visit->deletes && visit->seen_cnt % 2 == 0) {
        weir_timers_pop(&visit->w->timers, timer);
        visit->deleted_cnt++;
        visit->deleted_cnt += unset(visit->w, key, (timer->ns + 1) % 4, timer->time);
    }
    return 0;
}

static int
visit_few(void *arg, const struct weir_timer *timer)
{
    struct visit *visit = arg;
    (void)timer;
    return ++visit->seen_cnt == 5 ? 7 : 0;
}

static void
t_T135_each_timer_is_met_once_and_may_be_deleted_there(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, UINT64_C(4) << 20, WEIR_KEY_8);
    for (uint64_t key = 0; key < 64; key++) {
        for (uint64_t i = 0; i < 32; i++) {
            assert_true(set(&w, key, i / 8, (int64_t)(i % 8)));
        }
    }
    assert_true(unset(&w, 3, 0, 0)); /* one that was set again has two places in the index */
    assert_true(set(&w, 3, 0, 0));
    struct visit all = {.w = &w};
    assert_int_equal(weir_timers_each(&w.timers, visit_timer, &all), 0);
    assert_int_equal(all.seen_cnt, 64 * 32);
    struct visit some = {.w = &w, .deletes = true};
    assert_int_equal(weir_timers_each(&w.timers, visit_timer, &some), 0);
    assert_true(some.deleted_cnt > 64 * 8);
    assert_true(some.seen_cnt < 64 * 32); /* who was deleted before had no turn */
    assert_int_equal(weir_timers_cnt(&w.timers), 64 * 32 - some.deleted_cnt);
    struct visit rest = {.w = &w};
    assert_int_equal(weir_timers_each(&w.timers, visit_timer, &rest), 0);
    assert_int_equal(rest.seen_cnt, 64 * 32 - some.deleted_cnt);
    struct visit few = {.w = &w};
    assert_int_equal(weir_timers_each(&w.timers, visit_few, &few), 7);
    assert_int_equal(few.seen_cnt, 5);
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T135_each_timer_is_met_once_and_may_be_deleted_there),
        cmocka_unit_test(t_a_timer_exists_once_and_fires_in_time_order),
        cmocka_unit_test(t_keys_ahead_are_those_that_are_due),
        cmocka_unit_test(t_a_timer_stays_until_it_is_popped_and_may_set_others),
        cmocka_unit_test(t_string_keys_long_and_short_carry_timers),
        cmocka_unit_test(t_a_full_arena_refuses_a_timer_and_keeps_the_others),
        cmocka_unit_test(t_deleted_timers_are_swept_out_of_the_index),
        cmocka_unit_test(t_a_million_due_timers_come_out_one_by_one_in_order),
        cmocka_unit_test(t_random_timers_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
