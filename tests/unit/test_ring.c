/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ring.h"
#include "tests/unit/test.h"

struct pair {
    void *mem;
    struct weir_ring_prod prod;
    struct weir_ring_cons cons;
};

static struct pair
pair_open(uint32_t slot_cnt, uint32_t slot_bytes)
{
    struct weir_ring_shape shape = {slot_cnt, slot_bytes};
    struct pair pair;
    pair.mem = aligned_alloc(weir_ring_align(), weir_ring_footprint(&shape));
    assert_non_null(pair.mem);
    assert_int_equal(weir_ring_new(pair.mem, &shape), 0);
    assert_int_equal(weir_ring_prod_join(&pair.prod, pair.mem, slot_bytes), 0);
    assert_int_equal(weir_ring_cons_join(&pair.cons, pair.mem, slot_bytes), 0);
    return pair;
}

static void
pair_close(struct pair *pair)
{
    weir_ring_delete(pair->mem);
    free(pair->mem);
}

static void
put(struct weir_ring_prod *prod, uint64_t value)
{
    memcpy(weir_ring_prod_slot(prod, 0, 8), &value, 8);
    weir_ring_publish(prod, 1);
}

static uint64_t
get(struct weir_ring_cons *cons)
{
    uint64_t value;
    assert_true(weir_ring_peek(cons) > 0);
    memcpy(&value, weir_ring_cons_slot(cons, 0, 8), 8);
    weir_ring_advance(cons, 1);
    return value;
}

static void
t_items_come_out_in_order_over_many_laps(void **state)
{
    (void)state;
    struct pair pair = pair_open(8, 8);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(weir_ring_room(&pair.prod, 1) > 0, 1);
        put(&pair.prod, i);
        assert_int_equal(get(&pair.cons), i);
        weir_ring_release(&pair.cons, 1);
    }
    assert_int_equal(weir_ring_peek(&pair.cons), 0);
    pair_close(&pair);
}

static void
t_eight_byte_slots_share_a_line(void **state)
{
    (void)state;
    struct pair pair = pair_open(64, 8);
    uint8_t *first = weir_ring_prod_slot(&pair.prod, 0, 8);
    assert_int_equal((uintptr_t)first % WEIR_LINE_BYTES, 0);
    assert_ptr_equal(weir_ring_prod_slot(&pair.prod, 7, 8), first + 56);
    pair_close(&pair);
}

static void
t_seen_slots_stay_taken_until_released(void **state)
{
    (void)state;
    struct pair pair = pair_open(8, 8);
    for (uint64_t i = 0; i < 8; i++) {
        put(&pair.prod, i);
    }
    assert_int_equal(weir_ring_room(&pair.prod, 1), 0);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(get(&pair.cons), i);
    }
    assert_int_equal(weir_ring_room(&pair.prod, 1), 0);
    assert_int_equal(weir_ring_unreleased_cnt(&pair.cons), 8);
    weir_ring_release(&pair.cons, 3);
    assert_int_equal(weir_ring_head_seq_last(&pair.prod), 0);
    assert_int_equal(weir_ring_head_seq(&pair.prod), 3);
    assert_int_equal(weir_ring_room(&pair.prod, 1), 3);
    /* A slot that is seen and held can be read again. */
    uint64_t value;
    memcpy(&value, weir_ring_slot_at(&pair.cons, 5, 8), 8);
    assert_int_equal(value, 5);
    pair_close(&pair);
}

static void
t_data_leaves_room_for_events(void **state)
{
    (void)state;
    struct pair pair = pair_open(16, 8);
    uint32_t data_cnt = 0;
    while (weir_ring_room_data(&pair.prod, 1) > 0) {
        put(&pair.prod, data_cnt++);
    }
    assert_int_equal(data_cnt, 16 - WEIR_RING_EVENT_CNT);
    uint32_t event_cnt = 0;
    while (weir_ring_room(&pair.prod, 1) > 0) {
        put(&pair.prod, event_cnt++);
    }
    assert_int_equal(event_cnt, WEIR_RING_EVENT_CNT);
    (void)get(&pair.cons);
    weir_ring_release(&pair.cons, 1);
    assert_int_equal(weir_ring_room_data(&pair.prod, 1), 0);
    assert_int_equal(weir_ring_room(&pair.prod, 1), 1);
    pair_close(&pair);
}

static void
t_cached_head_is_read_again_only_when_needed(void **state)
{
    (void)state;
    struct pair pair = pair_open(16, 8);
    put(&pair.prod, 0);
    (void)get(&pair.cons);
    weir_ring_release(&pair.cons, 1);
    assert_int_equal(weir_ring_room(&pair.prod, 15), 15);
    assert_int_equal(weir_ring_head_seq_last(&pair.prod), 0);
    assert_int_equal(weir_ring_room(&pair.prod, 16), 16);
    assert_int_equal(weir_ring_head_seq_last(&pair.prod), 1);
    pair_close(&pair);
}

static void
t_urgent_is_found_ahead_and_only_while_ahead(void **state)
{
    (void)state;
    struct pair pair = pair_open(16, 8);
    assert_int_equal(weir_ring_urgent_seq(&pair.cons), WEIR_RING_SEQ_NONE);
    put(&pair.prod, 10);
    assert_int_equal(weir_ring_peek(&pair.cons), 1);
    put(&pair.prod, 11);
    weir_ring_urgent_set(&pair.prod, 0);
    /* Set, not yet published: not to be seen. */
    assert_int_equal(weir_ring_urgent_seq(&pair.cons), WEIR_RING_SEQ_NONE);
    put(&pair.prod, 12);
    assert_int_equal(weir_ring_urgent_seq(&pair.cons), 2);
    uint64_t value;
    memcpy(&value, weir_ring_slot_at(&pair.cons, 2, 8), 8);
    assert_int_equal(value, 12);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(get(&pair.cons), 10 + i);
    }
    assert_int_equal(weir_ring_urgent_seq(&pair.cons), WEIR_RING_SEQ_NONE);
    pair_close(&pair);
}

static void
t_what_stands_before_words_is_seen_with_them(void **state)
{
    (void)state;
    const uint64_t words[3] = {7, 8, 9};
    struct weir_ring_urgent urgent;
    struct pair pair = pair_open(16, 8);
    put(&pair.prod, 10);
    assert_int_equal(weir_ring_peek(&pair.cons), 1); /* that is what the consumer knows of */
    put(&pair.prod, 11);
    put(&pair.prod, 12);
    assert_int_equal(weir_ring_urge(&pair.prod, words), 1);
    put(&pair.prod, 13);
    assert_int_equal(weir_ring_urged(&pair.cons, &urgent), 1);
    assert_int_equal(urgent.seq, 3);
    assert_memory_equal(urgent.words, words, sizeof words);
    assert_int_equal(weir_ring_peek(&pair.cons), 3);
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(get(&pair.cons), 10 + i);
    }
    assert_int_equal(weir_ring_urged(&pair.cons, &urgent), 0);
    pair_close(&pair);
}

static void
t_impossible_shapes_are_refused(void **state)
{
    (void)state;
    const struct weir_ring_shape bad[] = {
        {0, 8}, {1, 8}, {3, 8}, {WEIR_RING_SLOT_CNT_MAX * 2, 8}, {8, 0}, {8, 4}, {8, 4104}};
    _Alignas(128) uint8_t mem[1024];
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        assert_int_equal(weir_ring_footprint(&bad[i]), 0);
        assert_int_equal(weir_ring_new(mem, &bad[i]), WEIR_EINVAL);
    }
    const struct weir_ring_shape shape = {8, 8};
    assert_int_equal(weir_ring_new(mem + 64, &shape), WEIR_EINVAL);
    weir_err_clear();
}

static void
t_join_refuses_what_is_no_such_ring(void **state)
{
    (void)state;
    struct pair pair = pair_open(8, 64);
    struct weir_ring_prod prod;
    struct weir_ring_cons cons;
    assert_int_equal(weir_ring_prod_join(&prod, pair.mem, 8), WEIR_EINVAL);
    weir_ring_delete(pair.mem);
    assert_int_equal(weir_ring_prod_join(&prod, pair.mem, 64), WEIR_EINVAL);
    assert_int_equal(weir_ring_cons_join(&cons, pair.mem, 64), WEIR_EINVAL);
    free(pair.mem);
    weir_err_clear();
}

static void
t_join_again_goes_on_at_the_shared_positions(void **state)
{
    (void)state;
    struct pair pair = pair_open(8, 8);
    put(&pair.prod, 1);
    put(&pair.prod, 2);
    (void)get(&pair.cons);
    weir_ring_release(&pair.cons, 1);
    (void)get(&pair.cons);
    struct weir_ring_cons cons;
    assert_int_equal(weir_ring_cons_join(&cons, pair.mem, 8), 0);
    /* Seen but not released by the last holder: seen again. */
    assert_int_equal(get(&cons), 2);
    struct weir_ring_prod prod;
    assert_int_equal(weir_ring_prod_join(&prod, pair.mem, 8), 0);
    assert_int_equal(weir_ring_tail_seq(&prod), 2);
    assert_int_equal(weir_ring_room(&prod, 1), 7);
    pair_close(&pair);
}

/* Every lap position moves by random batches; a plain queue is the model. */
static void
t_random_batches_agree_with_a_model(void **state)
{
    (void)state;
    unsigned seed = 20250101;
    const char *env = getenv("WEIR_SEED");
    if (env != NULL) {
        seed = (unsigned)strtoul(env, NULL, 10);
    }
    print_message("seed %u\n", seed);
    struct pair pair = pair_open(32, 16);
    uint64_t put_cnt = 0;
    uint64_t seen_cnt = 0;
    uint64_t freed_cnt = 0;
    for (int step = 0; step < 100000; step++) {
        uint32_t n = (uint32_t)rand_r(&seed) % 9;
        switch (rand_r(&seed) % 3) {
        case 0:
            n = weir_min_u32(n, weir_ring_room_data(&pair.prod, n));
            for (uint32_t i = 0; i < n; i++) {
                uint64_t v[2] = {put_cnt, ~put_cnt};
                memcpy(weir_ring_prod_slot(&pair.prod, i, 16), v, 16);
                put_cnt++;
            }
            weir_ring_publish(&pair.prod, n);
            break;
        case 1:
            n = weir_min_u32(n, weir_ring_peek(&pair.cons));
            for (uint32_t i = 0; i < n; i++) {
                uint64_t v[2];
                memcpy(v, weir_ring_cons_slot(&pair.cons, i, 16), 16);
                assert_true(v[0] == seen_cnt && v[1] == ~seen_cnt);
                seen_cnt++;
            }
            weir_ring_advance(&pair.cons, n);
            break;
        default:
            n = weir_min_u32(n, weir_ring_unreleased_cnt(&pair.cons));
            weir_ring_release(&pair.cons, n);
            freed_cnt += n;
            break;
        }
        assert_true(put_cnt - freed_cnt <= 32 - WEIR_RING_EVENT_CNT);
    }
    assert_true(seen_cnt > 10000);
    assert_int_equal(weir_ring_head_seq(&pair.prod), freed_cnt);
    pair_close(&pair);
}

/* Two processes map one memfd at different addresses. */
static void
t_two_processes_share_a_ring_in_a_memfd(void **state)
{
    (void)state;
    struct weir_ring_shape shape = {64, 64};
    size_t bytes = weir_ring_footprint(&shape);
    int fd = memfd_create("ring", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(mem, MAP_FAILED);
    assert_int_equal(weir_ring_new(mem, &shape), 0);
    enum { ITEM_CNT = 20000 };
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *other = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        struct weir_ring_prod prod;
        if (other == MAP_FAILED || other == mem || weir_ring_prod_join(&prod, other, 64) != 0) {
            _exit(1);
        }
        for (uint64_t i = 0; i < ITEM_CNT; i++) {
            while (weir_ring_room_data(&prod, 1) == 0) {
                (void)sched_yield();
            }
            uint64_t *slot = weir_ring_prod_slot(&prod, 0, 64);
            for (uint64_t w = 0; w < 8; w++) {
                slot[w] = i + w;
            }
            weir_ring_publish(&prod, 1);
        }
        _exit(0);
    }
    struct weir_ring_cons cons;
    assert_int_equal(weir_ring_cons_join(&cons, mem, 64), 0);
    for (uint64_t i = 0; i < ITEM_CNT;) {
        uint32_t n = weir_ring_peek(&cons);
        for (uint32_t k = 0; k < n; k++, i++) {
            const uint64_t *slot = weir_ring_cons_slot(&cons, k, 64);
            for (uint64_t w = 0; w < 8; w++) {
                assert_int_equal(slot[w], i + w);
            }
        }
        weir_ring_advance(&cons, n);
        weir_ring_release(&cons, n);
        if (n == 0) {
            (void)sched_yield();
        }
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)munmap(mem, bytes);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_items_come_out_in_order_over_many_laps),
        cmocka_unit_test(t_eight_byte_slots_share_a_line),
        cmocka_unit_test(t_seen_slots_stay_taken_until_released),
        cmocka_unit_test(t_data_leaves_room_for_events),
        cmocka_unit_test(t_cached_head_is_read_again_only_when_needed),
        cmocka_unit_test(t_urgent_is_found_ahead_and_only_while_ahead),
        cmocka_unit_test(t_what_stands_before_words_is_seen_with_them),
        cmocka_unit_test(t_impossible_shapes_are_refused),
        cmocka_unit_test(t_join_refuses_what_is_no_such_ring),
        cmocka_unit_test(t_join_again_goes_on_at_the_shared_positions),
        cmocka_unit_test(t_random_batches_agree_with_a_model),
        cmocka_unit_test(t_two_processes_share_a_ring_in_a_memfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
