/* SPDX-License-Identifier: Apache-2.0 */
/* Every interleaving of cores that publish and ring with one that parks: no wake-up is lost. */
#include "base/doorbell.h"
#include "base/ring.h"
#include "tests/race/race_test.h"

#define PROD_CNT_MAX 2

static _Alignas(WEIR_LINE_PAIR_BYTES) uint8_t ring_mem[PROD_CNT_MAX][512];
static _Alignas(WEIR_LINE_PAIR_BYTES) uint8_t bell_mem[512];
static struct weir_ring_prod prods[PROD_CNT_MAX];
static struct weir_ring_cons conses[PROD_CNT_MAX];
static struct weir_doorbell *db;
static uint32_t prod_cnt;
static uint32_t item_cnt; /* of each producer */
/* The eventfd: counts signals; a sleeper goes on once there is one that it has not seen. */
static uint64_t eventfd_cnt;

void
weir_doorbell_signal(struct weir_doorbell *rung)
{
    (void)rung;
    /* relaxed: the kernel's own ordering is not counted on. */
    (void)weir_fetch_add_rlx(&eventfd_cnt, 1);
}

static void
reset(void)
{
    const struct weir_ring_shape shape = {4, 8};
    eventfd_cnt = 0;
    memset(bell_mem, 0, sizeof bell_mem);
    db = (struct weir_doorbell *)(void *)bell_mem;
    db->word_cnt = prod_cnt;
    db->seen_seqs = (uint64_t *)(void *)&db->words[prod_cnt];
    for (uint32_t i = 0; i < prod_cnt; i++) {
        if (weir_ring_new(ring_mem[i], &shape) != 0 ||
            weir_ring_prod_join(&prods[i], ring_mem[i], 8) != 0 ||
            weir_ring_cons_join(&conses[i], ring_mem[i], 8) != 0) {
            abort();
        }
    }
}

static void
reset_one(void)
{
    prod_cnt = 1;
    item_cnt = 2;
    reset();
}

static void
reset_two(void)
{
    prod_cnt = 2;
    item_cnt = 1;
    reset();
}

static void
produce(uint32_t idx, void (*ring_fn)(struct weir_doorbell *, uint32_t), uint32_t word_idx)
{
    for (uint32_t i = 0; i < item_cnt; i++) {
        uint64_t *slot = weir_ring_prod_slot(&prods[idx], 0, 8);
        race_data_write(slot);
        *slot = i;
        weir_ring_publish(&prods[idx], 1);
        ring_fn(db, word_idx);
    }
}

static void
produce_first(void)
{
    produce(0, weir_doorbell_ring, 0);
}

static void
produce_second(void)
{
    produce(1, weir_doorbell_ring, 1);
}

static void
produce_first_shared(void)
{
    produce(0, weir_doorbell_ring_shared, 0);
}

static void
produce_second_shared(void)
{
    produce(1, weir_doorbell_ring_shared, 0);
}

static uint32_t
poll_all(void)
{
    uint32_t got_cnt = 0;
    for (uint32_t i = 0; i < prod_cnt; i++) {
        uint32_t cnt = weir_ring_peek(&conses[i]);
        for (uint32_t k = 0; k < cnt; k++) {
            race_data_read(weir_ring_cons_slot(&conses[i], k, 8));
        }
        weir_ring_advance(&conses[i], cnt);
        got_cnt += cnt;
    }
    return got_cnt;
}

static void
consume(void)
{
    uint32_t got_cnt = 0;
    while (got_cnt < prod_cnt * item_cnt) {
        weir_doorbell_listen(db);
        uint32_t cnt = poll_all();
        got_cnt += cnt;
        if (cnt == 0 && weir_doorbell_park_begin(db)) {
            race_wait(&eventfd_cnt, 8);
            (void)weir_load_rlx(&eventfd_cnt);
            weir_doorbell_park_end(db);
        }
    }
}

static const struct race_case one = {"doorbell", reset_one, {produce_first, consume}, NULL};
static const struct race_case two = {
    "doorbell of two producers", reset_two, {produce_first, produce_second, consume}, NULL};
static const struct race_case shared = {"doorbell, shared word", reset_two,
    {produce_first_shared, produce_second_shared, consume}, NULL};

static void
t_all_interleavings_wake_up(void **state)
{
    (void)state;
    race_expect_clean(&one);
    race_expect_clean(&two);
    race_expect_clean(&shared);
}

static void
t_each_of_the_four_accesses_must_be_sequentially_consistent(void **state)
{
    (void)state;
    const struct race_weaken ready_store = {"weir_doorbell_ring", RACE_STORE, RACE_REL};
    const struct race_weaken parked_load = {"weir_doorbell_wake", RACE_LOAD, RACE_ACQ};
    const struct race_weaken parked_store = {"weir_doorbell_park_begin", RACE_STORE, RACE_REL};
    const struct race_weaken ready_load = {"weir_doorbell_park_begin", RACE_LOAD, RACE_ACQ};
    const struct race_weaken ready_add = {"weir_doorbell_ring_shared", RACE_ADD, RACE_ACQ_REL};
    race_expect_caught(&one, &ready_store);
    race_expect_caught(&one, &parked_load);
    race_expect_caught(&one, &parked_store);
    race_expect_caught(&one, &ready_load);
    race_expect_caught(&shared, &ready_add);
}

static void
t_listening_must_acquire(void **state)
{
    (void)state;
    const struct race_weaken listen = {"weir_doorbell_listen", RACE_LOAD, RACE_RLX};
    race_expect_caught(&one, &listen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_all_interleavings_wake_up),
        cmocka_unit_test(t_each_of_the_four_accesses_must_be_sequentially_consistent),
        cmocka_unit_test(t_listening_must_acquire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
