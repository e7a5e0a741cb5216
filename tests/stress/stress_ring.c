/* SPDX-License-Identifier: Apache-2.0 */
/* A producer and a consumer thread: every word of every slot arrives, once and in order, and what a
 * slot names is the producer's again once it is released. */
#include <string.h>

#include "base/ring.h"
#include "tests/stress/stress.h"

#define SLOT_CNT 64
#define SLOT_BYTES 64
#define ITEM_CNT STRESS_CNT(UINT64_C(2000000))

static struct weir_ring_prod prod;
static struct weir_ring_cons cons;
/* One buffer per position of a lap, named by the slot: plain memory handed over by the ring. */
static uint64_t bufs[SLOT_CNT];

static void *
produce(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    uint32_t idle_cnt = 0;
    uint64_t said_cnt = 0;
    for (uint64_t i = 0; i < ITEM_CNT;) {
        uint32_t want = 1 + (uint32_t)rand_r(&seed) % 8;
        uint32_t n = weir_min_u32(want, weir_ring_room_data(&prod, want));
        n = weir_min_u32(n, (uint32_t)weir_min_u64(ITEM_CNT - i, 8));
        for (uint32_t k = 0; k < n; k++, i++) {
            uint64_t *slot = weir_ring_prod_slot(&prod, k, SLOT_BYTES);
            bufs[i % SLOT_CNT] = ~i;
            for (uint64_t w = 0; w < 8; w++) {
                slot[w] = i * 8 + w;
            }
            if (i % 1000 == 0) {
                weir_ring_urgent_set(&prod, k);
            }
        }
        /* Words now and then, where there is room for them: how many were said before. */
        const uint64_t words[3] = {said_cnt, ~said_cnt, i};
        if (n > 0 && rand_r(&seed) % 64 == 0) {
            said_cnt += (uint64_t)weir_ring_urge(&prod, words);
        }
        if (n > 0) {
            weir_ring_publish(&prod, n);
        } else {
            stress_pause(&idle_cnt);
        }
    }
    return NULL;
}

static void
check_slot(const uint64_t *slot, uint64_t i)
{
    for (uint64_t w = 0; w < 8; w++) {
        assert_true(slot[w] == i * 8 + w);
    }
    assert_true(bufs[i % SLOT_CNT] == ~i);
}

static void
t_slots_and_buffers_arrive_whole_and_in_order(void **state)
{
    (void)state;
    unsigned seed = 1;
    struct weir_ring_shape shape = {SLOT_CNT, SLOT_BYTES};
    void *mem = stress_alloc(weir_ring_footprint(&shape));
    assert_int_equal(weir_ring_new(mem, &shape), 0);
    assert_int_equal(weir_ring_prod_join(&prod, mem, SLOT_BYTES), 0);
    assert_int_equal(weir_ring_cons_join(&cons, mem, SLOT_BYTES), 0);
    pthread_t producer = stress_start(produce, &seed);
    uint32_t idle_cnt = 0;
    uint64_t barrier_cnt = 0;
    uint64_t said_cnt = 0;
    for (uint64_t i = 0; i < ITEM_CNT;) {
        uint32_t n = weir_ring_peek(&cons);
        struct weir_ring_urgent urgent;
        while (weir_ring_urged(&cons, &urgent) == 1) {
            assert_true(urgent.words[0] == said_cnt && urgent.words[1] == ~said_cnt);
            assert_true(urgent.seq >= i && urgent.seq < urgent.words[2]);
            said_cnt++;
        }
        uint64_t urgent_seq = weir_ring_urgent_seq(&cons);
        if (urgent_seq != WEIR_RING_SEQ_NONE) {
            assert_int_equal(urgent_seq % 1000, 0);
            check_slot(weir_ring_slot_at(&cons, urgent_seq, SLOT_BYTES), urgent_seq);
            barrier_cnt++;
        }
        for (uint32_t k = 0; k < n; k++, i++) {
            check_slot(weir_ring_cons_slot(&cons, k, SLOT_BYTES), i);
        }
        weir_ring_advance(&cons, n);
        /* Hold some back, and look at one of those again before it goes. */
        uint32_t held_cnt = weir_ring_unreleased_cnt(&cons);
        uint32_t free_cnt = i == ITEM_CNT ? held_cnt : held_cnt - weir_min_u32(held_cnt, 5);
        if (free_cnt > 0) {
            uint64_t oldest_seq = weir_ring_look_seq(&cons) - held_cnt;
            check_slot(weir_ring_slot_at(&cons, oldest_seq, SLOT_BYTES), oldest_seq);
            weir_ring_release(&cons, free_cnt);
        }
        if (n == 0) {
            stress_pause(&idle_cnt);
        }
    }
    stress_join(producer);
    assert_int_equal(weir_ring_head_seq(&prod), ITEM_CNT);
    assert_true(said_cnt > 0);
    print_message("seed %u, barriers seen ahead: %llu, words beside the slots: %llu\n", seed,
        (unsigned long long)barrier_cnt, (unsigned long long)said_cnt);
    weir_ring_delete(mem);
    free(mem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_slots_and_buffers_arrive_whole_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
