/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.14. Where Flink's test waits for a buffer, ours asserts that it is told *busy* (or a
 * shortage) at once and that a later try succeeds: nothing blocks on a core. */
#include "io/buf.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define BUF_BYTES 4096

struct bench {
    struct weir_region *region;
    struct weir_buf_arena arena;
};

static struct bench *
open_bench(uint32_t buf_cnt)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct weir_region_options options = {.name = "test",
        .bytes = (uint64_t)buf_cnt * BUF_BYTES,
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_SMALL};
    assert_int_equal(weir_region_open(&options, NULL, &bench->region), 0);
    struct weir_buf_arena_config config = {.region = bench->region,
        .owner = {.purpose = "buffer"},
        .region_id = 3,
        .buf_bytes = BUF_BYTES,
        .buf_cnt = buf_cnt};
    assert_int_equal(weir_buf_arena_init(&bench->arena, &config), 0);
    return bench;
}

static uint32_t
free_cnt(struct bench *bench)
{
    struct weir_buf_usage usage;
    weir_buf_arena_usage(&bench->arena, &usage);
    return usage.free_cnt;
}

static void
close_bench(struct bench *bench)
{
    assert_int_equal(free_cnt(bench), bench->arena.buf_cnt);
    weir_buf_arena_close(&bench->arena);
    weir_buf_arena_fini(&bench->arena);
    weir_region_close(bench->region);
    free(bench);
}

static void
make_pool(struct bench *bench, struct weir_buf_pool *pool, uint32_t required, uint32_t max)
{
    struct weir_buf_pool_config config = {.required_cnt = required, .max_cnt = max};
    assert_int_equal(weir_buf_pool_init(pool, &bench->arena, &config), 0);
}

static void
t_buffers_are_apart_and_named_by_region_and_offset(void **state)
{
    (void)state;
    struct bench *bench = open_bench(130);
    struct weir_buf_pool pool;
    make_pool(bench, &pool, 1, 130);
    uint32_t idxs[130];
    for (uint32_t i = 0; i < 130; i++) {
        idxs[i] = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
        assert_true(idxs[i] < 130);
        memset(weir_buf_ptr(&bench->arena, idxs[i]), (int)i, BUF_BYTES);
        uint16_t region;
        uint32_t off;
        weir_buf_locate(&bench->arena, idxs[i], &region, &off);
        assert_int_equal(region, 3);
        assert_ptr_equal(
            (uint8_t *)weir_region_base(bench->region) + off, weir_buf_ptr(&bench->arena, idxs[i]));
    }
    assert_int_equal(weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE), WEIR_BUF_NONE);
    for (uint32_t i = 0; i < 130; i++) {
        const uint8_t *ptr = weir_buf_ptr(&bench->arena, idxs[i]);
        assert_int_equal(ptr[0], (uint8_t)i);
        assert_int_equal(ptr[BUF_BYTES - 1], (uint8_t)i);
        weir_buf_give(&bench->arena, idxs[i]);
    }
    assert_int_equal(free_cnt(bench), 0); /* the pool keeps them for its next takes */
    weir_buf_pool_fini(&pool);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

static void
t_references_are_counted_and_the_last_give_frees(void **state)
{
    (void)state;
    struct bench *bench = open_bench(2);
    struct weir_buf_pool pool;
    make_pool(bench, &pool, 1, 1);
    uint32_t idx = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
    weir_buf_share(&bench->arena, idx, 2);
    weir_buf_give(&bench->arena, idx);
    weir_buf_give(&bench->arena, idx);
    assert_int_equal(weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE), WEIR_BUF_NONE);
    weir_buf_give(&bench->arena, idx);
    assert_int_equal(weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE), idx);
    weir_buf_give(&bench->arena, idx);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

static void
t_a_shortage_names_what_is_needed_and_the_setting(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pool;
    struct weir_buf_pool other;
    make_pool(bench, &pool, 7, 20);
    struct weir_buf_pool_config config = {.required_cnt = 4, .max_cnt = 4};
    assert_int_equal(weir_buf_pool_init(&other, &bench->arena, &config), WEIR_EBUDGET);
    assert_string_equal(weir_err_at(0),
        "insufficient number of buffers: required 4, available 3 of 10 in total, of 4096 bytes "
        "each; raise buffers.memory");
    weir_err_clear();
    config.required_cnt = 5;
    assert_int_equal(weir_buf_pool_init(&other, &bench->arena, &config), WEIR_EINVAL);
    weir_err_clear();
    weir_buf_pool_fini(&other); /* never made: nothing to do */
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

static void
t_arenas_refuse_sizes_that_cannot_be(void **state)
{
    (void)state;
    struct weir_region_options options = {
        .name = "test", .bytes = 1 << 20, .node = WEIR_REGION_NODE_ANY, .first = WEIR_REGION_SMALL};
    struct weir_region *region;
    assert_int_equal(weir_region_open(&options, NULL, &region), 0);
    struct weir_buf_arena *arena = calloc(1, sizeof *arena);
    struct weir_buf_arena_config config = {.region = region, .owner = {.purpose = "buffer"}};
    static const struct {
        uint32_t bytes;
        uint32_t cnt;
        int err;
    } rows[] = {{2048, 1, WEIR_EINVAL}, {5000, 1, WEIR_EINVAL}, {4096, 0, WEIR_EINVAL},
        {4096, WEIR_BUF_CNT_MAX + 1, WEIR_EINVAL}, {4096, 257, WEIR_EBUDGET}, {0, 32, 0}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        config.buf_bytes = rows[i].bytes;
        config.buf_cnt = rows[i].cnt;
        assert_int_equal(weir_buf_arena_init(arena, &config), rows[i].err);
    }
    assert_int_equal(weir_buf_bytes(arena), WEIR_BUF_BYTES_DEFAULT);
    weir_err_clear();
    weir_buf_arena_fini(arena);
    weir_region_close(region);
    free(arena);
}

static void
t_spare_buffers_are_shared_by_what_each_could_use(void **state)
{
    (void)state;
    struct bench *bench = open_bench(20);
    struct weir_buf_pool a;
    struct weir_buf_pool b;
    struct weir_buf_pool c;
    make_pool(bench, &a, 2, 12);
    assert_int_equal(weir_load_rlx(&a.size), 12);
    make_pool(bench, &b, 3, 23); /* 15 spare, wanted 10 and 20 */
    assert_int_equal(weir_load_rlx(&a.size), 7);
    assert_int_equal(weir_load_rlx(&b.size), 13);
    make_pool(bench, &c, 5, 5);
    assert_int_equal(weir_load_rlx(&a.size) + weir_load_rlx(&b.size), 15);
    assert_int_equal(weir_load_rlx(&c.size), 5);
    weir_buf_pool_close(&b);
    assert_int_equal(weir_load_rlx(&a.size), 12);
    weir_buf_pool_fini(&b);
    make_pool(bench, &b, 13, 13);
    assert_int_equal(weir_load_rlx(&a.size), 2);
    weir_buf_pool_fini(&a);
    weir_buf_pool_fini(&b);
    weir_buf_pool_fini(&c);
    close_bench(bench);
}

static void
t_T201_no_pool_is_made_of_a_closed_arena(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pool;
    struct weir_buf_pool_config config = {.required_cnt = 1, .max_cnt = 2};
    weir_buf_arena_close(&bench->arena);
    assert_int_equal(weir_buf_pool_init(&pool, &bench->arena, &config), WEIR_EILLEGAL);
    weir_err_clear();
    close_bench(bench);
}

static void
t_T202_usage_is_told_and_asking_for_too_much_warned_of_once(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pools[4];
    static const uint32_t max[] = {4, 2, 6, 4};
    static const uint32_t percent[] = {40, 60, 120, 160};
    static const bool warns[] = {false, false, true, false};
    char text[256];
    struct weir_buf_usage usage;
    for (int i = 0; i < 4; i++) {
        make_pool(bench, &pools[i], 1, max[i]);
        weir_buf_arena_usage(&bench->arena, &usage);
        assert_int_equal(usage.asked_percent, percent[i]);
        assert_int_equal(weir_buf_arena_warning(&bench->arena, text, sizeof text), warns[i]);
        assert_false(weir_buf_arena_warning(&bench->arena, text, sizeof text));
    }
    assert_non_null(strstr(text, "12 buffers"));
    assert_non_null(strstr(text, "buffers.memory"));
    weir_buf_pool_fini(&pools[0]);
    weir_buf_pool_fini(&pools[3]);
    weir_buf_arena_usage(&bench->arena, &usage);
    assert_int_equal(usage.asked_percent, 80);
    assert_false(weir_buf_arena_warning(&bench->arena, text, sizeof text));
    make_pool(bench, &pools[0], 1, 4);
    assert_true(weir_buf_arena_warning(&bench->arena, text, sizeof text)); /* passed anew */
    assert_int_equal(usage.total_bytes, 10 * BUF_BYTES);
    weir_buf_pool_fini(&pools[0]);
    weir_buf_pool_fini(&pools[1]);
    weir_buf_pool_fini(&pools[2]);
    close_bench(bench);
}

/* Flink's request times out; ours is refused at once with the same words. */
static void
t_T203_a_request_that_cannot_be_met_takes_nothing(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    const struct weir_buf_pool_config config = {.required_cnt = 5, .max_cnt = 5};
    struct weir_buf_pool pool;
    struct weir_buf_pool other;
    struct weir_buf_usage usage;
    make_pool(bench, &pool, 8, 8);
    assert_int_equal(weir_buf_pool_reserve(&pool, 8), 0);
    assert_int_equal(weir_buf_pool_init(&other, &bench->arena, &config), WEIR_EBUDGET);
    assert_non_null(strstr(weir_err_at(0), "required 5, available 2 of 10"));
    assert_non_null(strstr(weir_err_at(0), "buffers.memory"));
    weir_err_clear();
    assert_int_equal(free_cnt(bench), 2);
    weir_buf_arena_usage(&bench->arena, &usage);
    assert_int_equal(usage.required_cnt, 8);
    assert_int_equal(usage.asked_cnt, 8);
    weir_buf_pool_fini(&pool);
    assert_int_equal(weir_buf_pool_init(&other, &bench->arena, &config), 0);
    assert_int_equal(weir_buf_pool_reserve(&other, 5), 0);
    weir_buf_pool_fini(&other);
    assert_int_equal(free_cnt(bench), 10);
    close_bench(bench);
}

/* Flink waits for the buffers of a reserve; ours answers a shortage until they are there. */
static void
t_T204_reserve_takes_what_was_promised(void **state)
{
    (void)state;
    struct bench *bench = open_bench(4);
    struct weir_buf_pool pool;
    struct weir_buf_pool other;
    make_pool(bench, &other, 1, 4);
    uint32_t taken[4];
    for (int i = 0; i < 4; i++) {
        taken[i] = weir_buf_take(&other, WEIR_BUF_CHANNEL_NONE);
        assert_int_not_equal(taken[i], WEIR_BUF_NONE);
    }
    make_pool(bench, &pool, 2, 3);
    assert_int_equal(weir_buf_pool_reserve(&pool, 3), WEIR_EINVAL);
    assert_int_equal(weir_buf_pool_reserve(&pool, 2), WEIR_EBUDGET);
    for (int i = 0; i < 4; i++) {
        weir_buf_give(&bench->arena, taken[i]);
    }
    weir_buf_pool_close(&other);
    assert_int_equal(weir_buf_pool_reserve(&pool, 2), 0);
    assert_int_equal(pool.free_cnt, 2);
    assert_int_equal(weir_buf_pool_reserve(&pool, 2), 0); /* has them */
    assert_int_equal(free_cnt(bench), 2);
    weir_buf_pool_close(&pool);
    assert_int_equal(weir_buf_pool_reserve(&pool, 2), WEIR_ECANCELED);
    weir_err_clear();
    weir_buf_pool_fini(&pool);
    weir_buf_pool_fini(&other);
    close_bench(bench);
}

/* Flink: a blocked reserve and a cancel must not deadlock; ours holds nothing while it is short. */
static void
t_T205_a_pool_may_be_closed_between_two_tries_to_reserve(void **state)
{
    (void)state;
    struct bench *bench = open_bench(3);
    struct weir_buf_pool pool;
    uint32_t taken = weir_buf_arena_take(&bench->arena, 2);
    assert_int_not_equal(taken, WEIR_BUF_NONE);
    make_pool(bench, &pool, 3, 3);
    assert_int_equal(weir_buf_pool_reserve(&pool, 3), WEIR_EBUDGET);
    assert_int_equal(pool.held_cnt, 1);
    weir_buf_pool_close(&pool);
    assert_int_equal(free_cnt(bench), 1); /* what it had got goes back with the close */
    assert_int_equal(weir_buf_pool_reserve(&pool, 3), WEIR_ECANCELED);
    weir_err_clear();
    weir_buf_arena_give(&bench->arena, taken, 2);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

static void
t_T211_overdraft_is_paid_back_before_the_pool_is_available(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pool;
    struct weir_buf_pool_config config = {
        .required_cnt = 3, .max_cnt = 3, .channel_cnt = 1, .overdraft_cnt_max = 2};
    assert_int_equal(weir_buf_pool_init(&pool, &bench->arena, &config), 0);
    uint32_t idxs[5];
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(weir_buf_pool_is_available(&pool), i < 3);
        idxs[i] = weir_buf_take(&pool, 0);
        assert_int_not_equal(idxs[i], WEIR_BUF_NONE);
        assert_int_equal(weir_buf_pool_overdraft_cnt(&pool), i < 3 ? 0 : i - 2);
    }
    assert_int_equal(weir_buf_take(&pool, 0), WEIR_BUF_NONE);
    weir_buf_give(&bench->arena, idxs[0]);
    assert_false(weir_buf_pool_is_available(&pool));
    assert_int_equal(weir_buf_pool_overdraft_cnt(&pool), 1);
    weir_buf_give(&bench->arena, idxs[1]);
    assert_false(weir_buf_pool_is_available(&pool)); /* none over, but none free either */
    assert_int_equal(weir_buf_pool_overdraft_cnt(&pool), 0);
    weir_buf_give(&bench->arena, idxs[2]);
    assert_true(weir_buf_pool_is_available(&pool));
    weir_buf_give(&bench->arena, idxs[3]);
    weir_buf_give(&bench->arena, idxs[4]);
    assert_int_equal(free_cnt(bench), 7);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

static void
t_T213_what_comes_back_after_the_close_goes_to_the_arena(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pool;
    make_pool(bench, &pool, 2, 6);
    uint32_t a = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
    uint32_t b = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
    uint32_t c = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
    weir_buf_give(&bench->arena, c);
    assert_int_equal(free_cnt(bench), 7);
    weir_buf_pool_close(&pool);
    assert_int_equal(free_cnt(bench), 8);
    assert_false(weir_buf_pool_is_available(&pool));
    assert_int_equal(weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE), WEIR_BUF_NONE);
    weir_buf_give(&bench->arena, a);
    assert_int_equal(free_cnt(bench), 9);
    weir_buf_pool_resize(&pool, 6);
    assert_false(weir_buf_pool_is_available(&pool));
    assert_int_equal(free_cnt(bench), 9);
    weir_buf_give(&bench->arena, b);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

struct fighter {
    struct bench *bench;
    struct weir_buf_pool pool;
    pthread_t thread;
    uint64_t seed;
    uint32_t round_cnt;
};

/* Takes what it can get, its promised two at least, marks each, looks whether a mark was changed,
 * gives all back. */
static void *
fight(void *arg)
{
    struct fighter *fighter = arg;
    struct weir_buf_arena *arena = &fighter->bench->arena;
    uint32_t idxs[6];
    uint32_t cnt = 0;
    while (fighter->round_cnt > 0) {
        uint32_t idx = weir_buf_take(&fighter->pool, WEIR_BUF_CHANNEL_NONE);
        if (idx != WEIR_BUF_NONE) {
            memcpy(weir_buf_ptr(arena, idx), &fighter->seed, sizeof fighter->seed);
            idxs[cnt++] = idx;
        }
        if (idx != WEIR_BUF_NONE && cnt < 4) {
            continue;
        }
        if (cnt < 2) {
            (void)sched_yield(); /* busy: what is promised to us is out as another's extra */
            continue;
        }
        for (uint32_t i = 0; i < cnt; i++) {
            uint64_t seen;
            memcpy(&seen, weir_buf_ptr(arena, idxs[i]), sizeof seen);
            WEIR_CHECK(seen == fighter->seed, "two hold buffer %u", idxs[i]);
            weir_buf_give(arena, idxs[i]);
        }
        cnt = 0;
        weir_buf_pool_resize(&fighter->pool, 2);
        (void)weir_buf_pool_is_available(&fighter->pool); /* gives up what is over its size */
        weir_buf_pool_resize(&fighter->pool, 4);
        fighter->round_cnt--;
    }
    return NULL;
}

/* Flink's pools block and wake each other; ours are told busy and try again: all finish. */
static void
t_T214_pools_that_fight_for_one_arena_all_finish(void **state)
{
    (void)state;
    enum { CNT = 3 };
    struct bench *bench = open_bench(9); /* two each, and not enough for all to grow to four */
    struct fighter fighters[CNT];
    for (int i = 0; i < CNT; i++) {
        fighters[i] = (struct fighter){.bench = bench, .seed = 100 + i, .round_cnt = 2000};
        make_pool(bench, &fighters[i].pool, 2, 4);
        weir_buf_pool_resize(&fighters[i].pool, 4);
    }
    for (int i = 0; i < CNT; i++) {
        assert_int_equal(pthread_create(&fighters[i].thread, NULL, fight, &fighters[i]), 0);
    }
    for (int i = 0; i < CNT; i++) {
        assert_int_equal(pthread_join(fighters[i].thread, NULL), 0);
        assert_int_equal(fighters[i].round_cnt, 0);
    }
    for (int i = 0; i < CNT; i++) {
        weir_buf_pool_fini(&fighters[i].pool);
    }
    close_bench(bench);
}

/* Random takes and gives of runs against an array of flags. */
static void
t_the_arena_agrees_with_a_model(void **state)
{
    (void)state;
    enum { CNT = 150, HELD_MAX = 40 };
    struct bench *bench = open_bench(CNT);
    bool taken[CNT] = {false};
    struct {
        uint32_t idx;
        uint32_t cnt;
    } held[HELD_MAX];
    uint32_t held_cnt = 0;
    struct weir_rng rng;
    weir_rng_init(&rng, 42);
    print_message("seed 42\n");
    for (int step = 0; step < 20000; step++) {
        if (held_cnt < HELD_MAX && weir_rng_chance(&rng, 1, 2)) {
            uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, weir_rng_chance(&rng, 1, 4) ? 90 : 4);
            uint32_t idx = weir_buf_arena_take(&bench->arena, cnt);
            uint32_t stretch = 0;
            uint32_t longest = 0;
            for (uint32_t i = 0; i < CNT; i++) {
                stretch = taken[i] ? 0 : stretch + 1;
                longest = stretch > longest ? stretch : longest;
            }
            assert_int_equal(idx != WEIR_BUF_NONE, longest >= cnt);
            for (uint32_t i = 0; idx != WEIR_BUF_NONE && i < cnt; i++) {
                assert_false(taken[idx + i]);
                taken[idx + i] = true;
            }
            if (idx != WEIR_BUF_NONE) {
                held[held_cnt].idx = idx;
                held[held_cnt++].cnt = cnt;
            }
        } else if (held_cnt > 0) {
            uint32_t at = (uint32_t)weir_rng_below(&rng, held_cnt);
            weir_buf_arena_give(&bench->arena, held[at].idx, held[at].cnt);
            memset(taken + held[at].idx, 0, held[at].cnt);
            held[at] = held[--held_cnt];
        }
    }
    while (held_cnt > 0) {
        held_cnt--;
        weir_buf_arena_give(&bench->arena, held[held_cnt].idx, held[held_cnt].cnt);
    }
    close_bench(bench);
}

struct other_core {
    struct bench *bench;
    struct weir_ring_cons filled; /* from the owner */
    struct weir_ring_prod lane; /* back to it */
    uint32_t left_cnt;
};

/* Reads what the owner wrote, scribbles over it, and sends the buffer home. */
static void *
consume(void *arg)
{
    struct other_core *core = arg;
    while (core->left_cnt > 0) {
        uint64_t handle;
        if (weir_ring_peek(&core->filled) == 0) {
            (void)sched_yield();
            continue;
        }
        memcpy(&handle, weir_ring_cons_slot(&core->filled, 0, sizeof handle), sizeof handle);
        weir_ring_advance(&core->filled, 1);
        weir_ring_release(&core->filled, 1);
        uint32_t idx = (uint32_t)handle;
        uint64_t text;
        memcpy(&text, weir_buf_ptr(&core->bench->arena, idx), sizeof text);
        WEIR_CHECK(text == ~(uint64_t)idx, "buffer %u holds something else", idx);
        memset(weir_buf_ptr(&core->bench->arena, idx), 0xff, BUF_BYTES);
        WEIR_CHECK(weir_buf_lane_give(&core->lane, idx), "a lane has room for all buffers");
        core->left_cnt--;
    }
    return NULL;
}

static void
t_buffers_freed_by_another_core_come_home_through_a_lane(void **state)
{
    (void)state;
    enum { BUF_CNT = 4, ROUND_CNT = 20000 };
    struct bench *bench = open_bench(BUF_CNT);
    struct weir_buf_pool pool;
    make_pool(bench, &pool, BUF_CNT, BUF_CNT);
    struct weir_ring_shape shape = weir_buf_lane_shape(BUF_CNT);
    void *there = aligned_alloc(weir_ring_align(), weir_ring_footprint(&shape));
    void *back = aligned_alloc(weir_ring_align(), weir_ring_footprint(&shape));
    struct other_core core = {.bench = bench, .left_cnt = ROUND_CNT};
    struct weir_ring_prod filled;
    struct weir_ring_cons lane;
    assert_int_equal(weir_ring_new(there, &shape), 0);
    assert_int_equal(weir_ring_new(back, &shape), 0);
    assert_int_equal(weir_ring_prod_join(&filled, there, 8), 0);
    assert_int_equal(weir_ring_cons_join(&core.filled, there, 8), 0);
    assert_int_equal(weir_ring_prod_join(&core.lane, back, 8), 0);
    assert_int_equal(weir_ring_cons_join(&lane, back, 8), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, consume, &core), 0);
    uint32_t sent_cnt = 0;
    uint32_t back_cnt = 0;
    while (back_cnt < ROUND_CNT) {
        uint32_t drained = weir_buf_lane_drain(&lane, &bench->arena, 3);
        assert_true(drained <= 3);
        back_cnt += drained;
        uint32_t idx =
            sent_cnt < ROUND_CNT ? weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE) : WEIR_BUF_NONE;
        if (idx == WEIR_BUF_NONE) {
            (void)sched_yield();
            continue;
        }
        uint64_t text = ~(uint64_t)idx;
        memcpy(weir_buf_ptr(&bench->arena, idx), &text, sizeof text);
        uint64_t handle = idx;
        assert_true(weir_ring_room(&filled, 1) > 0);
        memcpy(weir_ring_prod_slot(&filled, 0, sizeof handle), &handle, sizeof handle);
        weir_ring_publish(&filled, 1);
        sent_cnt++;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pool.free_cnt, BUF_CNT);
    free(there);
    free(back);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

/* What a pool has while `taken` buffers are out of it: the overdraft, its ordinary ones, and those
 * that are ready to be taken. */
struct has {
    uint32_t overdraft;
    uint32_t ordinary;
    uint32_t ready;
    bool is_available;
};

static void
check_resize(uint32_t from, uint32_t to, uint32_t taken, uint32_t overdraft_max, struct has want)
{
    struct bench *bench = open_bench(32);
    struct weir_buf_pool pool;
    const struct weir_buf_pool_config config = {
        .required_cnt = 4, .max_cnt = 10, .overdraft_cnt_max = overdraft_max};
    uint32_t idx[16];
    assert_int_equal(weir_buf_pool_init(&pool, &bench->arena, &config), 0);
    weir_buf_pool_resize(&pool, from);
    for (uint32_t i = 0; i < taken; i++) {
        idx[i] = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
        assert_int_not_equal(idx[i], WEIR_BUF_NONE);
    }
    weir_buf_pool_resize(&pool, to);
    assert_int_equal(weir_buf_pool_is_available(&pool), want.is_available);
    assert_int_equal(weir_buf_pool_overdraft_cnt(&pool), want.overdraft);
    assert_int_equal(pool.held_cnt - weir_buf_pool_overdraft_cnt(&pool), want.ordinary);
    assert_int_equal(pool.free_cnt, want.ready);
    for (uint32_t i = 0; i < taken; i++) {
        weir_buf_give(&bench->arena, idx[i]);
    }
    assert_int_equal(weir_buf_pool_overdraft_cnt(&pool), 0);
    assert_true(weir_buf_pool_is_available(&pool));
    weir_buf_pool_fini(&pool);
    assert_int_equal(free_cnt(bench), 32);
    close_bench(bench);
}

static void
t_T207_a_smaller_pool_has_its_excess_as_overdraft(void **state)
{
    (void)state;
    check_resize(7, 5, 5, 2, (struct has){0, 5, 0, false});
    check_resize(6, 4, 2, 2, (struct has){0, 3, 1, true});
    check_resize(7, 5, 7, 2, (struct has){2, 5, 0, false});
    check_resize(9, 5, 9, 3, (struct has){4, 5, 0, false}); /* more than it could have taken */
    check_resize(7, 5, 7, 4, (struct has){2, 5, 0, false});
    check_resize(7, 5, 9, 6, (struct has){4, 5, 0, false});
}

static void
t_T208_a_larger_pool_has_its_overdraft_as_its_own(void **state)
{
    (void)state;
    check_resize(5, 6, 7, 2, (struct has){1, 6, 0, false});
    check_resize(5, 7, 7, 2, (struct has){0, 7, 0, false});
    check_resize(5, 8, 7, 2, (struct has){0, 8, 1, true});
    check_resize(8, 10, 10, 2, (struct has){0, 10, 0, false}); /* its greatest size is out */
}

/* Who resizes is another thread: buffers that are free go back when their owner looks next. */
static void
t_T209_excess_goes_back_as_it_is_given_or_is_free(void **state)
{
    (void)state;
    struct bench *bench = open_bench(10);
    struct weir_buf_pool pool;
    uint32_t idx[10];
    make_pool(bench, &pool, 1, 10);
    for (uint32_t i = 0; i < 10; i++) {
        idx[i] = weir_buf_take(&pool, WEIR_BUF_CHANNEL_NONE);
    }
    weir_buf_pool_resize(&pool, 5);
    assert_int_equal(free_cnt(bench), 0);
    for (uint32_t i = 0; i < 10; i++) {
        weir_buf_give(&bench->arena, idx[i]);
        assert_int_equal(free_cnt(bench), weir_min_u32(i + 1, 5)); /* one by one */
    }
    assert_int_equal(pool.free_cnt, 5);
    weir_buf_pool_resize(&pool, 2);
    assert_true(weir_buf_pool_is_available(&pool));
    assert_int_equal(pool.free_cnt, 2);
    assert_int_equal(free_cnt(bench), 8);
    weir_buf_pool_fini(&pool);
    close_bench(bench);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_buffers_are_apart_and_named_by_region_and_offset),
        cmocka_unit_test(t_references_are_counted_and_the_last_give_frees),
        cmocka_unit_test(t_a_shortage_names_what_is_needed_and_the_setting),
        cmocka_unit_test(t_arenas_refuse_sizes_that_cannot_be),
        cmocka_unit_test(t_spare_buffers_are_shared_by_what_each_could_use),
        cmocka_unit_test(t_T201_no_pool_is_made_of_a_closed_arena),
        cmocka_unit_test(t_T202_usage_is_told_and_asking_for_too_much_warned_of_once),
        cmocka_unit_test(t_T203_a_request_that_cannot_be_met_takes_nothing),
        cmocka_unit_test(t_T204_reserve_takes_what_was_promised),
        cmocka_unit_test(t_T205_a_pool_may_be_closed_between_two_tries_to_reserve),
        cmocka_unit_test(t_T207_a_smaller_pool_has_its_excess_as_overdraft),
        cmocka_unit_test(t_T208_a_larger_pool_has_its_overdraft_as_its_own),
        cmocka_unit_test(t_T209_excess_goes_back_as_it_is_given_or_is_free),
        cmocka_unit_test(t_T211_overdraft_is_paid_back_before_the_pool_is_available),
        cmocka_unit_test(t_T213_what_comes_back_after_the_close_goes_to_the_arena),
        cmocka_unit_test(t_T214_pools_that_fight_for_one_arena_all_finish),
        cmocka_unit_test(t_the_arena_agrees_with_a_model),
        cmocka_unit_test(t_buffers_freed_by_another_core_come_home_through_a_lane),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
