/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.16 on credit. There, a consumer announces how many buffers it has for a channel, and
 * asks for floating ones by the producer's backlog. Here both ends share memory: what a producer
 * may still fill is what it may take from its pool, its channel's own buffers and floating ones. */
#include "tests/unit/test.h"

#include "base/err.h"
#include "io/buf.h"

#define BUF_CNT_MAX 64

struct rig {
    struct weir_region *region;
    struct weir_buf_arena arena;
    struct weir_buf_pool pool;
    uint32_t held[BUF_CNT_MAX]; /* taken, in their order */
    uint16_t of[BUF_CNT_MAX]; /* the channel of each */
    uint32_t held_cnt;
};

/* An arena of buf_cnt buffers, and a pool of channels with two each. */
static void
open_rig_of(struct rig *rig, uint32_t buf_cnt, uint32_t channel_cnt, uint32_t floating_cnt,
    uint32_t overdraft_cnt)
{
    memset(rig, 0, sizeof *rig);
    const struct weir_region_options options = {.name = "test",
        .bytes = WEIR_MIB,
        .node = WEIR_REGION_NODE_ANY,
        .first = WEIR_REGION_SMALL};
    assert_int_equal(weir_region_open(&options, NULL, &rig->region), 0);
    const struct weir_buf_arena_config arena = {.region = rig->region,
        .owner = {.purpose = "buffer"},
        .buf_bytes = WEIR_BUF_BYTES_MIN,
        .buf_cnt = buf_cnt};
    assert_int_equal(weir_buf_arena_init(&rig->arena, &arena), 0);
    const struct weir_buf_pool_config pool = {.required_cnt = 2 * channel_cnt,
        .max_cnt = 2 * channel_cnt + floating_cnt,
        .channel_cnt = channel_cnt,
        .exclusive_cnt = 2,
        .overdraft_cnt_max = overdraft_cnt};
    assert_int_equal(weir_buf_pool_init(&rig->pool, &rig->arena, &pool), 0);
    assert_int_equal(weir_buf_pool_reserve(&rig->pool, pool.required_cnt), 0);
}

static void
open_rig(struct rig *rig, uint32_t channel_cnt, uint32_t floating_cnt, uint32_t overdraft_cnt)
{
    open_rig_of(rig, BUF_CNT_MAX, channel_cnt, floating_cnt, overdraft_cnt);
}

/* How many more the channel got, of cnt that it wanted. */
static uint32_t
take(struct rig *rig, uint16_t channel, uint32_t cnt)
{
    uint32_t got = 0;
    for (; got < cnt; got++) {
        uint32_t idx = weir_buf_take(&rig->pool, channel);
        if (idx == WEIR_BUF_NONE) {
            break;
        }
        rig->of[rig->held_cnt] = channel;
        rig->held[rig->held_cnt++] = idx;
    }
    return got;
}

/* The oldest buffer of the channel is released. */
static void
give(struct rig *rig, uint16_t channel)
{
    for (uint32_t i = 0; i < rig->held_cnt; i++) {
        if (rig->of[i] == channel) {
            weir_buf_give(&rig->arena, rig->held[i]);
            rig->held_cnt--;
            memmove(&rig->held[i], &rig->held[i + 1], (rig->held_cnt - i) * sizeof(uint32_t));
            memmove(&rig->of[i], &rig->of[i + 1], (rig->held_cnt - i) * sizeof(uint16_t));
            return;
        }
    }
    fail_msg("channel %u holds none", channel);
}

/* Every buffer is back. */
static void
close_rig(struct rig *rig)
{
    struct weir_buf_usage usage;
    while (rig->held_cnt > 0) {
        give(rig, rig->of[0]);
    }
    assert_int_equal(rig->pool.floating_cnt, 0);
    weir_buf_pool_close(&rig->pool);
    weir_buf_arena_usage(&rig->arena, &usage);
    assert_int_equal(usage.free_cnt, usage.total_cnt);
    weir_buf_pool_fini(&rig->pool);
    weir_buf_arena_close(&rig->arena);
    weir_buf_arena_fini(&rig->arena);
    weir_region_close(rig->region);
}

/* T-243: a channel gets its own and all that float; what comes back while it has more than its own
 * floats again, whichever it was. */
static void
t_T243_a_channel_gets_its_own_and_those_that_float(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 2, 12, 0);
    assert_int_equal(take(&rig, 0, 99), 14);
    assert_int_equal(rig.pool.floating_cnt, 12);
    give(&rig, 0);
    give(&rig, 0);
    assert_int_equal(rig.pool.floating_cnt, 10);
    assert_int_equal(take(&rig, 1, 99), 2 + 2); /* its own, and the two that came back */
    assert_int_equal(take(&rig, 0, 1), 0);
    close_rig(&rig);
}

/* T-244: it keeps what it has when the pool becomes smaller; what comes back goes to the arena
 * until the pool has its new size. */
static void
t_T244_a_channel_keeps_what_it_has_when_less_is_granted(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_buf_usage usage;
    open_rig(&rig, 1, 12, 0);
    assert_int_equal(take(&rig, 0, 99), 14);
    weir_buf_pool_resize(&rig.pool, 12);
    assert_int_equal(rig.held_cnt, 14);
    assert_int_equal(take(&rig, 0, 1), 0);
    for (uint32_t back = 1; back <= 2; back++) {
        give(&rig, 0);
        weir_buf_arena_usage(&rig.arena, &usage);
        assert_int_equal(usage.free_cnt, BUF_CNT_MAX - 14 + back);
        assert_int_equal(take(&rig, 0, 1), 0);
    }
    give(&rig, 0);
    assert_int_equal(take(&rig, 0, 9), 1);
    close_rig(&rig);
}

/* T-245: channels that all want more get those that float in turn, and one that took all of them
 * has left the others their own. */
static void
t_T245_floating_buffers_go_round(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 3, 3, 0);
    uint32_t got[3] = {0};
    for (uint32_t turn = 0; turn < 8; turn++) {
        for (uint16_t c = 0; c < 3; c++) {
            got[c] += take(&rig, c, 1);
        }
    }
    for (uint16_t c = 0; c < 3; c++) {
        assert_int_equal(got[c], 3);
    }
    close_rig(&rig);
    open_rig(&rig, 3, 3, 0);
    assert_int_equal(take(&rig, 2, 99), 5);
    assert_int_equal(take(&rig, 0, 99), 2);
    assert_int_equal(take(&rig, 1, 99), 2);
    close_rig(&rig);
}

/* The same with overdraft: it floats, too, and is granted over the size. */
static void
t_overdraft_floats(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 2, 1, 2);
    assert_int_equal(take(&rig, 0, 99), 2 + 1 + 2);
    assert_false(weir_buf_pool_is_available(&rig.pool) && take(&rig, 0, 1) > 0);
    assert_int_equal(take(&rig, 1, 99), 2);
    close_rig(&rig);
}

/* Of an arena that holds just what channels need there is nothing to float: a slow consumer's
 * channel stops at its own, whatever its pool might take over its size. */
static void
t_what_floats_leaves_the_others_their_own(void **state)
{
    (void)state;
    struct rig rig;
    open_rig_of(&rig, 4, 2, 0, 2);
    assert_int_equal(take(&rig, 0, 99), 2);
    assert_int_equal(weir_buf_take(&rig.pool, WEIR_BUF_CHANNEL_NONE), WEIR_BUF_NONE);
    assert_int_equal(take(&rig, 1, 99), 2);
    give(&rig, 1);
    assert_int_equal(take(&rig, 0, 99), 0);
    assert_int_equal(take(&rig, 1, 99), 1);
    close_rig(&rig);
    /* One buffer more, and one channel gets it, be another's own out or free. */
    open_rig_of(&rig, 5, 2, 0, 2);
    assert_int_equal(take(&rig, 1, 1), 1);
    assert_int_equal(take(&rig, 0, 99), 3);
    assert_int_equal(take(&rig, 1, 99), 1);
    close_rig(&rig);
}

/* A pool over its size gives back what floats; what is a channel's own stays there for it, though
 * others of the arena wait for any. */
static void
t_over_its_size_a_pool_keeps_what_is_its_channels_own(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_buf_usage usage;
    open_rig_of(&rig, 5, 2, 0, 2);
    assert_int_equal(take(&rig, 0, 99), 3);
    assert_int_equal(take(&rig, 1, 99), 2);
    give(&rig, 1);
    assert_false(weir_buf_pool_is_available(&rig.pool));
    assert_int_equal(weir_buf_arena_take(&rig.arena, 1), WEIR_BUF_NONE);
    assert_int_equal(take(&rig, 1, 99), 1);
    give(&rig, 1);
    give(&rig, 0);
    weir_buf_arena_usage(&rig.arena, &usage);
    assert_int_equal(usage.free_cnt, 1);
    assert_true(weir_buf_pool_is_available(&rig.pool));
    close_rig(&rig);
}

/* T-246: a channel that can take no more, for it has failed and is released, leaves what it had to
 * the next one. */
static void
t_T246_what_a_failed_channel_had_goes_to_the_others(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 2, 4, 0);
    assert_int_equal(take(&rig, 0, 99), 6);
    assert_int_equal(take(&rig, 1, 99), 2);
    for (uint32_t i = 0; i < 6; i++) {
        give(&rig, 0);
    }
    assert_int_equal(take(&rig, 1, 99), 4);
    assert_int_equal(take(&rig, 0, 99), 2); /* its own wait for it */
    close_rig(&rig);
}

static void
t_more_own_buffers_than_are_required_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 1, 0, 0);
    struct weir_buf_pool other;
    const struct weir_buf_pool_config config = {
        .required_cnt = 5, .max_cnt = 8, .channel_cnt = 2, .exclusive_cnt = 3};
    assert_int_equal(weir_buf_pool_init(&other, &rig.arena, &config), WEIR_EINVAL);
    weir_err_clear();
    close_rig(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T243_a_channel_gets_its_own_and_those_that_float),
        cmocka_unit_test(t_T244_a_channel_keeps_what_it_has_when_less_is_granted),
        cmocka_unit_test(t_T245_floating_buffers_go_round),
        cmocka_unit_test(t_overdraft_floats),
        cmocka_unit_test(t_what_floats_leaves_the_others_their_own),
        cmocka_unit_test(t_over_its_size_a_pool_keeps_what_is_its_channels_own),
        cmocka_unit_test(t_T246_what_a_failed_channel_had_goes_to_the_others),
        cmocka_unit_test(t_more_own_buffers_than_are_required_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
