/* SPDX-License-Identifier: Apache-2.0 */
/* Every interleaving of cores that take buffers from one arena, single ones and runs, and give them
 * back: no two hold one at a time, what a holder wrote is over before the next begins, none is
 *       lost. */
#include "io/buf.h"
#include "tests/race/race_test.h"

#define BUF_CNT 67
#define WORD_CNT 2

static struct weir_buf_arena arena;
static uint64_t words[WORD_CNT];
static uint32_t free_cnt;
static uint64_t marks[BUF_CNT]; /* stands for the bytes of a buffer */

static void
reset_with(uint32_t from, uint32_t cnt)
{
    memset(&arena, 0, sizeof arena);
    memset(words, 0, sizeof words);
    arena.base = (uint8_t *)marks;
    arena.buf_cnt = BUF_CNT;
    arena.buf_lg2 = 3;
    arena.word_cnt = WORD_CNT;
    arena.free_bits = words;
    for (uint32_t i = from; i < from + cnt; i++) {
        words[i / 64] |= UINT64_C(1) << (i % 64);
    }
    arena.free_cnt = cnt;
    free_cnt = cnt;
}

static void
reset_one(void)
{
    reset_with(5, 1);
}

/* Three buffers across the end of a word. */
static void
reset_run(void)
{
    reset_with(63, 3);
}

static void
hold(uint32_t cnt)
{
    uint32_t idx = weir_buf_arena_take(&arena, cnt);
    if (idx == WEIR_BUF_NONE) {
        return; /* busy */
    }
    for (uint32_t i = 0; i < cnt; i++) {
        race_data_write(&marks[idx + i]);
    }
    weir_buf_arena_give(&arena, idx, cnt);
}

static void
hold_one(void)
{
    hold(1);
}

static void
hold_two(void)
{
    hold(2);
}

static void
finish(void)
{
    uint32_t cnt = 0;
    for (uint32_t w = 0; w < WORD_CNT; w++) {
        cnt += (uint32_t)__builtin_popcountll(words[w]);
    }
    if (cnt != free_cnt || arena.free_cnt != free_cnt) {
        race_fail("%u buffers are free, counted as %u, of %u", cnt, arena.free_cnt, free_cnt);
    }
}

static const struct race_case single = {
    "one buffer, two cores", reset_one, {hold_one, hold_one}, finish};
static const struct race_case run = {
    "runs across two words", reset_run, {hold_two, hold_one}, finish};

static void
t_all_interleavings_keep_buffers_apart(void **state)
{
    (void)state;
    race_expect_clean(&single);
    race_expect_clean(&run);
}

static void
t_each_weaker_order_is_caught(void **state)
{
    (void)state;
    const struct race_weaken take = {"claim", RACE_CAS, RACE_RLX};
    const struct race_weaken give = {"put_back", RACE_CAS, RACE_RLX};
    race_expect_caught(&single, &take);
    race_expect_caught(&single, &give);
    race_expect_caught(&run, &take);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_all_interleavings_keep_buffers_apart),
        cmocka_unit_test(t_each_weaker_order_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
