/* SPDX-License-Identifier: Apache-2.0 */
/* T-247: a producer fills and takes back buffers of a channel while its consumer releases them on
 * another core, and is closed in the middle: no row is seen to change, and no buffer is lost. */
#include "base/rng.h"
#include "tests/stress/stress.h"
#include "tests/unit/wire.h"

#define ROUND_CNT STRESS_CNT(400)
#define ROW_CNT 2000

static struct wire wire;
static struct weir_gate gate;
static WEIR_ATOMIC(uint32_t) is_over;

static void *
consume(void *arg)
{
    int64_t expected = 0;
    uint32_t idle_cnt = 0;
    (void)arg;
    for (;;) {
        struct weir_gate_item item;
        /* [A50] pairs with [R50]: what was sent before the end is in the ring. */
        uint32_t over = weir_load_acq(&is_over);
        weir_gate_next(&gate, &item);
        if (item.kind == 0 && over != 0) {
            return NULL;
        }
        if (item.kind == 0) {
            stress_pause(&idle_cnt);
            continue;
        }
        for (uint32_t i = 0; i < item.view.cnt; i++) {
            assert_true(wire_number(&item.view, i) == expected);
            expected++;
        }
        weir_gate_release(&gate);
    }
}

static void
produce(struct weir_rng *rng)
{
    struct number row = {.n = 0};
    struct weir_view view;
    const uint16_t first = 0;
    uint32_t idle_cnt = 0;
    memset(&view, 0, sizeof view);
    view.schema = number_schema();
    view.rows = (char *)&row;
    view.stride = sizeof row;
    view.cnt = 1;
    view.row_cnt = 1;
    uint64_t end = weir_rng_below(rng, ROW_CNT);
    while ((uint64_t)row.n < end) {
        if (weir_channel_append(&wire.out[0], &view, &first, 1) == 1) {
            row.n++;
        } else {
            stress_pause(&idle_cnt);
        }
        if (weir_rng_below(rng, 3) == 0) {
            (void)weir_channel_flush(&wire.out[0]);
        }
        weir_channel_reclaim(&wire.out[0]);
    }
}

static void
t_T247_a_channel_that_is_closed_loses_no_buffer(void **state)
{
    struct weir_rng rng;
    (void)state;
    weir_rng_init(&rng, 1);
    for (uint32_t round = 0; round < ROUND_CNT; round++) {
        wire_open(&wire, 1);
        wire_join(&wire, 0, 0, 16);
        wire_gate(&wire, &gate, 0, 1);
        /* relaxed: the other thread is not there yet. */
        weir_store_rlx(&is_over, 0);
        pthread_t consumer = stress_start(consume, NULL);
        produce(&rng);
        /* [R50] pairs with [A50]. */
        weir_store_rel(&is_over, 1);
        stress_join(consumer);
        wire_close(&wire); /* asserts that every buffer is back */
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T247_a_channel_that_is_closed_loses_no_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
