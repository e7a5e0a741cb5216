/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.16 on gates and rings as a job links them. Both ends of a channel lie in one memory,
 * so there is nothing to request and to retry: what those cases pin is said at each. */
#include <stdio.h>

#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/wire.h"

#define SLOT_CNT 16

static struct weir_gate_item
next(struct weir_gate *gate)
{
    struct weir_gate_item item;
    weir_gate_release(gate);
    weir_gate_next(gate, &item);
    return item;
}

/* T-241: there, a consumer asks again and again for a partition that is not there yet. Here rings
 * are made before any task: memory that holds none is refused at once, and changes nothing. */
static void
t_T241_what_is_no_ring_cannot_be_joined(void **state)
{
    (void)state;
    struct wire w;
    wire_open(&w, 1);
    static _Alignas(4096) char nothing[65536];
    struct weir_ring_cons before = w.in[0].ring;
    assert_int_equal(
        weir_ring_cons_join(&w.in[0].ring, nothing, sizeof(struct weir_batch)), WEIR_EINVAL);
    assert_memory_equal(&before, &w.in[0].ring, sizeof before);
    weir_err_clear();
    const struct weir_ring_shape shape = {SLOT_CNT, sizeof(struct weir_batch)};
    assert_int_equal(weir_ring_new(nothing, &shape), 0);
    assert_int_equal(weir_ring_cons_join(&w.in[0].ring, nothing, sizeof(struct weir_batch)), 0);
    weir_ring_delete(nothing);
    wire_close(&w);
}

/* T-258: there, a channel becomes known later, and gets what was sent before. Here a consumer may
 * join its ring later than the producer, behind rows and events, and gets all of them. */
static void
t_T258_a_consumer_that_joins_late_misses_nothing(void **state)
{
    (void)state;
    struct wire w;
    struct weir_gate gate;
    wire_open(&w, 1);
    void *ring = buffers_ring(&w.mem, SLOT_CNT);
    w.out[0].format = &w.format;
    w.out[0].pool = &w.mem.pool;
    w.out[0].regions = &w.mem.table;
    w.out[0].watermark = WEIR_TIME_MIN;
    assert_int_equal(weir_ring_prod_join(&w.out[0].ring, ring, sizeof(struct weir_batch)), 0);
    wire_put(&w, 0, 5);
    wire_event(&w, 0, WEIR_SLOT_WATERMARK, 50);
    wire_put(&w, 0, 6);
    assert_int_equal(weir_ring_cons_join(&w.in[0].ring, ring, sizeof(struct weir_batch)), 0);
    wire_gate(&w, &gate, 0, 1);
    struct weir_gate_item item = next(&gate);
    assert_int_equal(wire_number(&item.view, 0), 5);
    item = next(&gate);
    assert_int_equal(item.result.watermark, 50);
    item = next(&gate);
    assert_int_equal(wire_number(&item.view, 0), 6);
    assert_int_equal(next(&gate).kind, 0);
    wire_close(&w);
}

/* T-257: a gate ends with the last of its channels, and rows of the others come before that. */
static void
t_T257_a_gate_ends_with_its_last_channel(void **state)
{
    (void)state;
    struct wire w;
    struct weir_gate gate;
    wire_open(&w, 2);
    wire_join(&w, 0, 0, SLOT_CNT);
    wire_join(&w, 1, 1, SLOT_CNT);
    wire_gate(&w, &gate, 0, 2);
    wire_put(&w, 0, 1);
    wire_event(&w, 0, WEIR_SLOT_END, 0);
    wire_put(&w, 1, 2);
    wire_put(&w, 1, 3);
    int64_t sum = 0;
    uint32_t ends = 0;
    for (struct weir_gate_item item = next(&gate); item.kind != 0; item = next(&gate)) {
        sum += item.kind == WEIR_SLOT_BATCH ? wire_number(&item.view, 0) : 0;
        ends += item.kind == WEIR_SLOT_END;
    }
    assert_int_equal(sum, 6);
    assert_int_equal(ends, 1);
    assert_int_equal(gate.open_cnt, 1);
    wire_event(&w, 1, WEIR_SLOT_END, 0);
    assert_int_equal(next(&gate).kind, WEIR_SLOT_END);
    assert_int_equal(gate.open_cnt, 0);
    assert_int_equal(next(&gate).kind, 0);
    wire_close(&w);
}

/* T-257, the drain flag: here a channel that is drained sends the greatest watermark before its
 * end, and one that is stopped does not. The gate puts it out only where all were drained. */
static void
t_T257_a_gate_is_drained_when_all_channels_are(void **state)
{
    (void)state;
    for (uint32_t drained = 0; drained < 4; drained++) {
        struct wire w;
        struct weir_gate gate;
        int64_t watermark = WEIR_TIME_MIN;
        wire_open(&w, 2);
        wire_join(&w, 0, 0, SLOT_CNT);
        wire_join(&w, 1, 1, SLOT_CNT);
        wire_gate(&w, &gate, 0, 2);
        for (uint32_t c = 0; c < 2; c++) {
            wire_event(&w, c, WEIR_SLOT_WATERMARK, 10 + c);
            if ((drained >> c & 1) != 0) {
                wire_event(&w, c, WEIR_SLOT_WATERMARK, WEIR_WATERMARK_MAX);
            }
            wire_event(&w, c, WEIR_SLOT_END, 0);
        }
        for (struct weir_gate_item item = next(&gate); item.kind != 0; item = next(&gate)) {
            watermark = item.result.watermark_set ? item.result.watermark : watermark;
        }
        const int64_t wanted[] = {10, 11, 10, WEIR_WATERMARK_MAX};
        assert_int_equal(gate.open_cnt, 0);
        assert_true(watermark == wanted[drained]);
        wire_close(&w);
    }
}

#define FAIR_CHANNEL_CNT 64
#define FAIR_TURN_CNT 1000000

/* T-265: channel 0 always has something; whoever else has waits for one turn of each other at
 * most. */
static void
t_T265_no_channel_waits_for_more_than_the_others_turns(void **state)
{
    (void)state;
    static struct wire w;
    struct weir_gate gate;
    struct weir_rng rng;
    uint32_t ready_at[FAIR_CHANNEL_CNT] = {0};
    bool is_ready[FAIR_CHANNEL_CNT] = {false};
    uint32_t longest = 0;
    weir_rng_init(&rng, seed_of_run());
    wire_open(&w, FAIR_CHANNEL_CNT);
    for (uint32_t c = 0; c < FAIR_CHANNEL_CNT; c++) {
        wire_join(&w, c, c, SLOT_CNT);
    }
    wire_gate(&w, &gate, 0, FAIR_CHANNEL_CNT);
    for (uint32_t turn = 0; turn < FAIR_TURN_CNT; turn++) {
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t c = i == 0 ? 0 : (uint32_t)(weir_rng_u64(&rng) % FAIR_CHANNEL_CNT);
            if (!is_ready[c]) {
                wire_put(&w, c, c);
                is_ready[c] = true;
                ready_at[c] = turn;
            }
        }
        struct weir_gate_item item = next(&gate);
        assert_int_equal(item.kind, WEIR_SLOT_BATCH);
        uint32_t c = (uint32_t)wire_number(&item.view, 0);
        uint32_t waited = turn - ready_at[c] + 1;
        longest = waited > longest ? waited : longest;
        is_ready[c] = false;
    }
    assert_true(longest <= FAIR_CHANNEL_CNT);
    assert_true(longest > FAIR_CHANNEL_CNT / 2); /* they did wait for each other */
    weir_gate_release(&gate);
    wire_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T241_what_is_no_ring_cannot_be_joined),
        cmocka_unit_test(t_T258_a_consumer_that_joins_late_misses_nothing),
        cmocka_unit_test(t_T257_a_gate_ends_with_its_last_channel),
        cmocka_unit_test(t_T257_a_gate_is_drained_when_all_channels_are),
        cmocka_unit_test(t_T265_no_channel_waits_for_more_than_the_others_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
