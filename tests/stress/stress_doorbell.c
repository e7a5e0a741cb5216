/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer that parks at every chance, with two producers: it always wakes up. */
#include "base/doorbell.h"
#include "base/ring.h"
#include "tests/stress/stress.h"

#define PROD_CNT 2
#define ITEM_CNT STRESS_CNT(UINT64_C(64000))
/* Far longer than any wake-up takes: who sleeps this long has lost one. */
#define LOST_NS (20 * WEIR_SEC_NS)

struct lane {
    uint32_t idx;
    struct weir_ring_prod prod;
    struct weir_ring_cons cons;
    uint64_t got_cnt;
    void *mem;
};

static struct weir_doorbell *db;

static void *
produce(void *arg)
{
    struct lane *lane = arg;
    uint32_t idle_cnt = 0;
    for (uint64_t i = 0; i < ITEM_CNT;) {
        if (weir_ring_room(&lane->prod, 1) == 0) {
            stress_pause(&idle_cnt);
            continue;
        }
        *(uint64_t *)weir_ring_prod_slot(&lane->prod, 0, 8) = i++;
        weir_ring_publish(&lane->prod, 1);
        if (lane->idx == 0) {
            weir_doorbell_ring(db, 0);
        } else {
            weir_doorbell_ring_shared(db, 1);
        }
        if (i % 16 == 0) {
            /* Leave the consumer without work, so that it parks. */
            for (int k = 0; k < 300; k++) {
                weir_spin_hint();
            }
        }
    }
    return NULL;
}

static uint32_t
poll_lane(struct lane *lane)
{
    uint32_t n = weir_ring_peek(&lane->cons);
    for (uint32_t k = 0; k < n; k++) {
        assert_true(*(uint64_t *)weir_ring_cons_slot(&lane->cons, k, 8) == lane->got_cnt);
        lane->got_cnt++;
    }
    weir_ring_advance(&lane->cons, n);
    weir_ring_release(&lane->cons, n);
    return n;
}

static void
t_a_parked_consumer_always_wakes_up(void **state)
{
    (void)state;
    struct weir_ring_shape shape = {32, 8};
    static struct lane lanes[PROD_CNT];
    pthread_t threads[PROD_CNT];
    db = stress_alloc(weir_doorbell_footprint(PROD_CNT));
    assert_int_equal(weir_doorbell_open(db, PROD_CNT), 0);
    for (uint32_t i = 0; i < PROD_CNT; i++) {
        lanes[i] = (struct lane){.idx = i, .mem = stress_alloc(weir_ring_footprint(&shape))};
        assert_int_equal(weir_ring_new(lanes[i].mem, &shape), 0);
        assert_int_equal(weir_ring_prod_join(&lanes[i].prod, lanes[i].mem, 8), 0);
        assert_int_equal(weir_ring_cons_join(&lanes[i].cons, lanes[i].mem, 8), 0);
    }
    for (uint32_t i = 0; i < PROD_CNT; i++) {
        threads[i] = stress_start(produce, &lanes[i]);
    }
    uint64_t sleep_cnt = 0;
    for (uint64_t left_cnt = PROD_CNT * ITEM_CNT; left_cnt > 0;) {
        weir_doorbell_listen(db);
        uint32_t n = poll_lane(&lanes[0]) + poll_lane(&lanes[1]);
        left_cnt -= n;
        if (n == 0 && weir_doorbell_park_begin(db)) {
            assert_int_equal(weir_doorbell_wait(db, LOST_NS), 1);
            weir_doorbell_park_end(db);
            sleep_cnt++;
        }
    }
    for (uint32_t i = 0; i < PROD_CNT; i++) {
        stress_join(threads[i]);
        weir_ring_delete(lanes[i].mem);
        free(lanes[i].mem);
    }
    print_message("slept %llu times\n", (unsigned long long)sleep_cnt);
    weir_doorbell_close(db);
    free(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_parked_consumer_always_wakes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
