/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of a numbered input, dealt out to subtasks whose number changes. */
#include "apps/gen/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/parts.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

enum { SUBTASKS = 5, PARTS_BYTES = 1 << 18 };

struct cast {
    struct weir_operator_env env[SUBTASKS];
    struct weir_operator op[SUBTASKS];
    struct gen_feed feed[SUBTASKS];
    uint64_t last[SUBTASKS]; /* position behind the last */
    uint32_t cnt;
    char *parts[SUBTASKS];
    struct weir_parts_reader reader[SUBTASKS];
    uint64_t event_cnt;
    uint8_t *seen;
    uint64_t done_cnt;
};

static void
cast_init(struct cast *cast, uint64_t event_cnt)
{
    memset(cast, 0, sizeof *cast);
    cast->event_cnt = event_cnt;
    cast->seen = calloc(1, event_cnt + 1);
    for (uint32_t i = 0; i < SUBTASKS; i++) {
        cast->parts[i] = calloc(1, PARTS_BYTES);
    }
}

static void
cast_fini(struct cast *cast)
{
    for (uint32_t i = 0; i < SUBTASKS; i++) {
        gen_feed_fini(&cast->feed[i]);
        free(cast->parts[i]);
    }
    free(cast->seen);
}

static void
come(struct cast *cast, uint32_t cnt, int64_t rate)
{
    uint32_t old_cnt = cast->cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        cast->env[i] = (struct weir_operator_env){.subtask_idx = i, .subtask_cnt = cnt};
        cast->op[i] = (struct weir_operator){.env = &cast->env[i], .uid = "feed"};
        gen_feed_fini(&cast->feed[i]);
        gen_feed_init(&cast->feed[i], &cast->op[i], cast->event_cnt, rate);
        cast->last[i] = 0;
        if (old_cnt > 0) {
            assert_int_equal(
                gen_feed_restore(&cast->feed[i], &cast->op[i], cast->reader, old_cnt), 0);
        }
    }
    cast->cnt = cnt;
}

static void
leave(struct cast *cast)
{
    for (uint32_t i = 0; i < cast->cnt; i++) {
        struct weir_parts_writer writer;
        size_t bytes;
        weir_parts_writer_init(&writer, cast->parts[i], PARTS_BYTES);
        weir_parts_writer_of(&writer, "feed");
        gen_feed_snapshot(&cast->feed[i], &writer);
        assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
        assert_int_equal(weir_parts_reader_init(&cast->reader[i], cast->parts[i], bytes), 0);
        weir_parts_reader_of(&cast->reader[i], "feed");
    }
}

/* A poll: the positions are new ones, and come in order within the subtask. */
static int
poll(struct cast *cast, uint32_t i, uint32_t most, int64_t now_ns)
{
    struct gen_feed *feed = &cast->feed[i];
    uint64_t first;
    uint32_t cnt = gen_feed_next(feed, most, now_ns, &first);
    for (uint64_t n = first; n < first + cnt; n++) {
        assert_true(n < cast->event_cnt && n >= cast->last[i]);
        assert_int_equal(cast->seen[n]++, 0);
        cast->last[i] = n + 1;
    }
    cast->done_cnt += cnt;
    if (cnt > 0) {
        gen_feed_advance(feed, cnt);
    }
    return gen_feed_status(feed, cnt);
}

static void
run_dry(struct cast *cast)
{
    for (uint32_t i = 0; i < cast->cnt; i++) {
        while (poll(cast, i, GEN_FEED_BLOCK, 0) != WEIR_DONE) {
        }
    }
    assert_int_equal(cast->done_cnt, cast->event_cnt);
}

static void
t_every_position_comes_once(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < 150; s++) {
        struct weir_rng rng;
        struct cast *cast = calloc(1, sizeof *cast);
        weir_rng_init(&rng, seed + s);
        cast_init(cast, weir_rng_below(&rng, (s % 10 == 0 ? 3 : 60) * GEN_FEED_BLOCK));
        for (uint32_t stage = 0; stage < 6; stage++) {
            come(cast, (uint32_t)weir_rng_between(&rng, 1, SUBTASKS), 0);
            uint32_t fast = (uint32_t)weir_rng_below(&rng, cast->cnt);
            for (uint64_t n = weir_rng_below(&rng, 20); n > 0; n--) {
                uint32_t any = (uint32_t)weir_rng_below(&rng, cast->cnt);
                uint32_t most = (uint32_t)weir_rng_between(&rng, 1, GEN_FEED_BLOCK);
                (void)poll(cast, weir_rng_chance(&rng, 2, 3) ? fast : any, most, 0);
            }
            leave(cast);
        }
        come(cast, 1 + s % SUBTASKS, 0);
        run_dry(cast);
        cast_fini(cast);
        free(cast);
    }
}

/* However often the number changes, splits stay few where subtasks keep together. */
static void
t_splits_stay_few(void **unused)
{
    (void)unused;
    struct cast *cast = calloc(1, sizeof *cast);
    cast_init(cast, 300 * GEN_FEED_BLOCK);
    for (uint32_t stage = 0; stage < 80; stage++) {
        come(cast, 1 + stage % 3, 0);
        for (uint32_t n = 0; n < 12; n++) {
            (void)poll(cast, n % cast->cnt, GEN_FEED_BLOCK / 4, 0);
        }
        for (uint32_t i = 0; i < cast->cnt; i++) {
            assert_true(cast->feed[i].more_cnt <= 8);
        }
        leave(cast);
    }
    come(cast, 1, 0);
    run_dry(cast);
    cast_fini(cast);
    free(cast);
}

/* All share the part of the input that nobody has come to. */
static void
t_the_rest_is_shared_evenly(void **unused)
{
    (void)unused;
    struct cast *cast = calloc(1, sizeof *cast);
    uint64_t done[SUBTASKS] = {0};
    cast_init(cast, 400 * GEN_FEED_BLOCK);
    come(cast, 1, 0);
    (void)poll(cast, 0, 100, 0);
    leave(cast);
    come(cast, 4, 0);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t before = cast->done_cnt;
        while (poll(cast, i, GEN_FEED_BLOCK, 0) != WEIR_DONE) {
        }
        done[i] = cast->done_cnt - before;
        assert_in_range(done[i], 99 * GEN_FEED_BLOCK, 101 * GEN_FEED_BLOCK);
    }
    cast_fini(cast);
    free(cast);
}

/* After a standstill the schedule goes on with what is left, at once and no faster. */
static void
t_a_rate_goes_on(void **unused)
{
    (void)unused;
    struct cast *cast = calloc(1, sizeof *cast);
    int64_t s = WEIR_SEC_NS;
    cast_init(cast, 2 * GEN_FEED_BLOCK);
    come(cast, 1, 1000);
    (void)poll(cast, 0, 5000, 100 * s);
    (void)poll(cast, 0, 5000, 103 * s);
    assert_int_equal(cast->done_cnt, 3001);
    leave(cast);
    come(cast, 1, 1000);
    (void)poll(cast, 0, 5000, 9 * s);
    assert_int_equal(cast->done_cnt, 3002);
    assert_int_equal(gen_feed_intended_ns(&cast->feed[0], 3001), 9 * s);
    (void)poll(cast, 0, 5000, 10 * s);
    assert_int_equal(cast->done_cnt, 4002);
    assert_int_equal(gen_feed_intended_ns(&cast->feed[0], 4001), 10 * s);
    cast_fini(cast);
    free(cast);
}

/* Parts that do not fit the input are refused. */
static void
t_bad_splits_are_refused(void **unused)
{
    (void)unused;
    static const struct gen_split bad[] = {
        {3, 0, 1, 3}, {0, GEN_FEED_BLOCK, 1, 3}, {0, 0, 0, 3}, {0, 0, 1, 4}, {2, 100, 1, 3}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        struct cast *cast = calloc(1, sizeof *cast);
        cast_init(cast, 2 * GEN_FEED_BLOCK + 100);
        come(cast, 1, 0);
        cast->feed[0].now = bad[i];
        cast->feed[0].now.end = weir_max_u64(bad[i].end, bad[i].block + 1);
        leave(cast);
        assert_int_equal(
            gen_feed_restore(&cast->feed[0], &cast->op[0], cast->reader, 1), WEIR_EDATA);
        weir_err_clear();
        cast_fini(cast);
        free(cast);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_position_comes_once),
        cmocka_unit_test(t_splits_stay_few),
        cmocka_unit_test(t_the_rest_is_shared_evenly),
        cmocka_unit_test(t_a_rate_goes_on),
        cmocka_unit_test(t_bad_splits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
