/* SPDX-License-Identifier: Apache-2.0 */
/* Every interleaving of one producer and one consumer on a small ring. */
#include "base/ring.h"
#include "tests/race/race_test.h"

#define ITEM_CNT 4

static _Alignas(WEIR_LINE_PAIR_BYTES) uint8_t mem[1024];
static struct weir_ring_prod prod;
static struct weir_ring_cons cons;

static void
reset(uint32_t slot_cnt)
{
    const struct weir_ring_shape shape = {slot_cnt, 8};
    if (weir_ring_footprint(&shape) > sizeof mem || weir_ring_new(mem, &shape) != 0 ||
        weir_ring_prod_join(&prod, mem, 8) != 0 || weir_ring_cons_join(&cons, mem, 8) != 0) {
        abort();
    }
}

static void
reset_two(void)
{
    reset(2);
}

static void
reset_four(void)
{
    reset(4);
}

static void
put(uint32_t idx, uint64_t value)
{
    uint64_t *slot = weir_ring_prod_slot(&prod, idx, 8);
    race_data_write(slot);
    *slot = value;
}

static uint64_t
get(const uint64_t *slot)
{
    race_data_read(slot);
    return *slot;
}

static void
wait_room(uint32_t want)
{
    while (weir_ring_room(&prod, want) < want) {
        race_wait(&prod.ring->head_seq, 8);
    }
}

static uint32_t
wait_ready(void)
{
    uint32_t cnt;
    while ((cnt = weir_ring_peek(&cons)) == 0) {
        race_wait(&cons.ring->tail_seq, 8);
    }
    return cnt;
}

static void
expect(uint64_t got, uint64_t wanted)
{
    if (got != wanted) {
        race_fail("got item %llu in the place of %llu", (unsigned long long)got,
            (unsigned long long)wanted);
    }
}

static void
produce_singly(void)
{
    for (uint64_t i = 0; i < ITEM_CNT; i++) {
        wait_room(1);
        put(0, i);
        weir_ring_publish(&prod, 1);
    }
}

static void
consume_singly(void)
{
    for (uint64_t i = 0; i < ITEM_CNT; i++) {
        (void)wait_ready();
        expect(get(weir_ring_cons_slot(&cons, 0, 8)), i);
        weir_ring_advance(&cons, 1);
        weir_ring_release(&cons, 1);
    }
}

static void
produce_pairs(void)
{
    for (uint64_t i = 0; i < 2 * ITEM_CNT; i += 2) {
        wait_room(2);
        put(0, i);
        put(1, i + 1);
        weir_ring_publish(&prod, 2);
    }
}

/* Sees each item as soon as it is there, reads the older one again, and releases two at a time. */
static void
consume_ahead(void)
{
    for (uint64_t i = 0; i < 2 * ITEM_CNT; i++) {
        (void)wait_ready();
        expect(get(weir_ring_cons_slot(&cons, 0, 8)), i);
        weir_ring_advance(&cons, 1);
        if (weir_ring_unreleased_cnt(&cons) == 2) {
            expect(get(weir_ring_slot_at(&cons, i - 1, 8)), i - 1);
            weir_ring_release(&cons, 2);
        }
    }
}

/* Two data slots, then a barrier whose position is said before it is published. */
static void
produce_barrier(void)
{
    for (uint64_t i = 0; i < 2; i++) {
        put(0, i);
        weir_ring_publish(&prod, 1);
    }
    put(0, 2);
    weir_ring_urgent_set(&prod, 0);
    weir_ring_publish(&prod, 1);
}

static void
consume_barrier(void)
{
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t urgent_seq = weir_ring_urgent_seq(&cons);
        if (urgent_seq != WEIR_RING_SEQ_NONE) {
            expect(urgent_seq, 2);
            for (uint64_t k = i; k <= urgent_seq; k++) {
                expect(get(weir_ring_slot_at(&cons, k, 8)), k);
            }
        }
        (void)wait_ready();
        expect(get(weir_ring_cons_slot(&cons, 0, 8)), i);
        weir_ring_advance(&cons, 1);
        weir_ring_release(&cons, 1);
    }
}

/* Slots with words beside them: before the second, and twice before the third. Each word is the
 * position that it is said of, and how many were said before it. */
#define SAID_CNT 3

static void
say(uint64_t at, uint64_t said)
{
    const uint64_t words[3] = {at, said, 0};
    while (weir_ring_urge(&prod, words) == 0) {
        race_wait(&prod.ring->urgent_taken_cnt, 8);
    }
}

static void
produce_urgent(void)
{
    put(0, 0);
    weir_ring_publish(&prod, 1);
    say(1, 0);
    put(0, 1);
    weir_ring_publish(&prod, 1);
    say(2, 1);
    say(2, 2);
    put(0, 2);
    weir_ring_publish(&prod, 1);
}

/* No slot is taken before the words of its position are. */
static void
consume_urgent(void)
{
    static const uint64_t said_before[] = {0, 1, 3};
    uint64_t said = 0;
    for (uint64_t i = 0; i < 3; i++) {
        struct weir_ring_urgent urgent;
        (void)wait_ready();
        while (weir_ring_urged(&cons, &urgent) == 1) {
            expect(urgent.words[1], said);
            expect(urgent.seq, said == 0 ? 1 : 2);
            expect(urgent.words[0], urgent.seq);
            said++;
        }
        if (said < said_before[i]) {
            race_fail("slot %llu is there before the words of its position", (unsigned long long)i);
        }
        expect(get(weir_ring_cons_slot(&cons, 0, 8)), i);
        weir_ring_advance(&cons, 1);
        weir_ring_release(&cons, 1);
    }
    expect(said, SAID_CNT);
}

static const struct race_case singly = {
    "ring singly", reset_two, {produce_singly, consume_singly}, NULL};
static const struct race_case ahead = {
    "ring look-ahead", reset_four, {produce_pairs, consume_ahead}, NULL};
static const struct race_case barrier = {
    "ring barrier", reset_four, {produce_barrier, consume_barrier}, NULL};
static const struct race_case urgent = {
    "ring urgent words", reset_four, {produce_urgent, consume_urgent}, NULL};

static void
t_all_interleavings_are_clean(void **state)
{
    (void)state;
    race_expect_clean(&singly);
    race_expect_clean(&ahead);
    race_expect_clean(&barrier);
    race_expect_clean(&urgent);
}

static void
t_each_weaker_order_is_caught(void **state)
{
    (void)state;
    const struct race_weaken publish = {"weir_ring_publish", RACE_STORE, RACE_RLX};
    const struct race_weaken peek = {"weir_ring_peek", RACE_LOAD, RACE_RLX};
    const struct race_weaken release = {"weir_ring_release", RACE_STORE, RACE_RLX};
    const struct race_weaken head = {"weir_ring_head_seq", RACE_LOAD, RACE_RLX};
    const struct race_weaken ahead_of = {"weir_ring_urgent_seq", RACE_LOAD, RACE_RLX};
    const struct race_weaken urge = {"weir_ring_urge", RACE_STORE, RACE_RLX};
    const struct race_weaken overwrite = {"weir_ring_urge", RACE_LOAD, RACE_RLX};
    const struct race_weaken urged = {"weir_ring_urged", RACE_LOAD, RACE_RLX};
    const struct race_weaken taken = {"weir_ring_urged", RACE_STORE, RACE_RLX};
    race_expect_caught(&singly, &publish);
    race_expect_caught(&singly, &peek);
    race_expect_caught(&singly, &release);
    race_expect_caught(&singly, &head);
    race_expect_caught(&ahead, &release);
    race_expect_caught(&barrier, &ahead_of);
    race_expect_caught(&urgent, &urge);
    race_expect_caught(&urgent, &overwrite);
    race_expect_caught(&urgent, &urged);
    race_expect_caught(&urgent, &taken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_all_interleavings_are_clean),
        cmocka_unit_test(t_each_weaker_order_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
