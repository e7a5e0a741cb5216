/* SPDX-License-Identifier: Apache-2.0 */
/* What of an edge depends on time: how long a row may wait in an open buffer, and how large buffers
 * are while consumers are slow. */
#include "tests/unit/exchange.h"

static struct exchange_rows rows;

static void
push_at(struct exchange *x, int64_t seq, uint32_t cnt, int64_t now_ns)
{
    exchange_fill(&rows, seq, cnt, 1);
    weir_chain_offer(x->chain, 0, 0, &rows.view);
    int rc = weir_chain_run(x->chain, 64, now_ns);
    assert_true(rc == WEIR_DONE || rc == WEIR_WAIT);
}

/* The conf is the partition's: it is looked at when the chain is made. */
static struct exchange *
open_edge(uint32_t channel_cnt, uint32_t buf_cnt, int64_t flush_after_ns, int64_t target_ns)
{
    const struct exchange_conf conf = {
        .partitioner = channel_cnt > 1 ? WEIR_PARTITION_BROADCAST : WEIR_PARTITION_FORWARD,
        .channel_cnt = channel_cnt,
        .buf_cnt = buf_cnt};
    struct exchange *x = exchange_new(&conf);
    x->partition.flush_after_ns = flush_after_ns;
    x->partition.debloat_target_ns = target_ns;
    const struct weir_chain_node_conf node = exchange_node(x);
    const struct weir_chain_conf chain = {
        .nodes = &node, .node_cnt = 1, .batch_rows = 256, .buf_bytes = WEIR_BUF_BYTES_MIN};
    assert_int_equal(weir_chain_new(&chain, &x->chain), 0);
    assert_int_equal(weir_chain_open(x->chain), 0);
    return x;
}

/* ---- flush_after ---- */

static void
t_A204_a_row_waits_no_longer_than_flush_after(void **state)
{
    (void)state;
    struct exchange *x = open_edge(2, 0, 100, 0);
    assert_true(weir_chain_due_ns(x->chain) == INT64_MAX);
    push_at(x, 0, 1, 50);
    assert_true(weir_chain_due_ns(x->chain) == 150);
    push_at(x, 1, 1, 149); /* the first one's time counts */
    assert_true(weir_chain_due_ns(x->chain) == 150);
    assert_int_equal(weir_chain_fire(x->chain, 149), WEIR_DONE);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 0);
    assert_int_equal(weir_chain_fire(x->chain, 150), WEIR_AGAIN);
    assert_int_equal(x->ring_cnt[0], 1);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 1);
    assert_int_equal(exchange_take(x, 1, UINT32_MAX), 1);
    assert_int_equal(x->got_cnt[1], 2);
    assert_true(weir_chain_due_ns(x->chain) == INT64_MAX);
    exchange_close(x);
}

static void
t_A204_what_was_flushed_before_is_not_due(void **state)
{
    (void)state;
    struct exchange *x = open_edge(1, 0, 100, 0);
    push_at(x, 0, 1, 50);
    assert_int_equal(weir_chain_flush(x->chain), WEIR_DONE); /* out of input */
    assert_true(weir_chain_due_ns(x->chain) == INT64_MAX);
    push_at(x, 1, 1, 300);
    assert_true(weir_chain_due_ns(x->chain) == 400);
    assert_int_equal(weir_chain_fire(x->chain, 400), WEIR_AGAIN);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 2);
    exchange_close(x);
}

/* A ring without a free slot: it stays due, and is tried again. */
static void
t_A204_a_full_ring_makes_it_wait(void **state)
{
    (void)state;
    struct exchange *x = open_edge(1, 0, 1, 0);
    int64_t now_ns = 0;
    uint32_t waits = 0;
    for (int64_t i = 0; i < 100 && waits == 0; i++) {
        push_at(x, i, 1, now_ns);
        waits = weir_chain_fire(x->chain, ++now_ns) == WEIR_WAIT;
    }
    assert_int_equal(waits, 1);
    assert_true(weir_chain_due_ns(x->chain) <= now_ns);
    assert_true(exchange_take(x, 0, UINT32_MAX) > 0);
    assert_int_equal(weir_chain_fire(x->chain, now_ns), WEIR_AGAIN);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 1);
    exchange_close(x);
}

static void
t_without_flush_after_an_edge_keeps_no_time(void **state)
{
    (void)state;
    struct exchange *x = open_edge(1, 0, 0, 0);
    push_at(x, 0, 1, 50);
    assert_true(weir_chain_due_ns(x->chain) == INT64_MAX);
    assert_int_equal(weir_chain_fire(x->chain, INT64_MAX - 1), WEIR_DONE);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 0);
    assert_int_equal(weir_chain_flush(x->chain), WEIR_DONE);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 1);
    exchange_close(x);
}

/* ---- sizes ---- */

static uint64_t
bufs_for(struct exchange *x, int64_t seq, uint32_t cnt)
{
    uint64_t before = x->out[0].bufs;
    exchange_fill(&rows, seq, cnt, 1);
    weir_chain_offer(x->chain, 0, 0, &rows.view);
    exchange_flush_all(x);
    return x->out[0].bufs - before;
}

/* Buffers stay as large as they are; how much of the next one is used changes. A row that needs
 * more gets all of one. */
static void
t_T233_a_new_size_holds_from_the_next_buffer_on(void **state)
{
    (void)state;
    struct exchange *x = open_edge(1, 0, 0, 0);
    uint32_t row_bytes = x->format.row_bytes + 32; /* with its text, no longer than that */
    (void)bufs_for(x, 0, 1); /* opens one of the old size */
    assert_int_equal(weir_channel_set_limit(&x->out[0], 4 * row_bytes), 0);
    assert_int_equal(bufs_for(x, 1, 1), 0);
    (void)bufs_for(x, 2, 400);
    uint64_t limited = bufs_for(x, 402, 100);
    assert_true(limited >= 20 && limited <= 34); /* four or five rows a buffer, not fifty */
    assert_int_equal(weir_channel_set_limit(&x->out[0], 42), 0); /* less than a row */
    (void)bufs_for(x, 502, 4);
    assert_int_equal(x->got_cnt[0], 506);
    assert_int_equal(weir_channel_set_limit(&x->out[0], -1), WEIR_EINVAL);
    assert_int_equal(weir_channel_set_limit(&x->out[0], 0), WEIR_EINVAL);
    weir_err_clear();
    assert_int_equal(weir_channel_set_limit(&x->out[0], INT64_MAX), 0); /* all of it again */
    (void)bufs_for(x, 506, 100);
    assert_true(bufs_for(x, 606, 100) <= 3);
    for (uint32_t i = 0; i < x->got_cnt[0]; i++) {
        assert_int_equal(x->got[0][i].seq, i);
    }
    exchange_close(x);
}

/* A producer that never waits but for room, and a consumer of so many rows a millisecond. */
struct slow {
    struct exchange *x;
    int64_t now_ns;
    int64_t seq;
    uint64_t taken_cnt;
    int64_t credit;
};

#define TURN_CNT 12000

/* How long the consumer needs for what is in flight, after twelve seconds. */
static int64_t
flight_ns(struct slow *slow, uint32_t rows_per_ms)
{
    struct exchange *x = slow->x;
    for (uint32_t turn = 0; turn < TURN_CNT; turn++) {
        slow->now_ns += WEIR_MS;
        while (weir_chain_run(x->chain, 64, slow->now_ns) == WEIR_DONE) {
            exchange_fill(&rows, slow->seq, 16, 1);
            slow->seq += 16;
            weir_chain_offer(x->chain, 0, 0, &rows.view);
        }
        slow->credit += rows_per_ms;
        uint32_t before = x->got_cnt[0];
        while (slow->credit > (int64_t)(x->got_cnt[0] - before) && exchange_take(x, 0, 1) > 0) {
        }
        slow->credit -= x->got_cnt[0] - before;
        slow->taken_cnt += x->got_cnt[0] - before;
        x->got_cnt[0] = 0;
    }
    return (int64_t)(x->out[0].rows - slow->taken_cnt) * WEIR_MS / rows_per_ms;
}

static void
t_T262_what_is_in_flight_takes_about_the_target_time(void **state)
{
    (void)state;
    struct slow plain = {.x = open_edge(1, 8, 0, 0)};
    assert_true(flight_ns(&plain, 1) > 300 * WEIR_MS); /* else there is nothing to shrink */
    exchange_close(plain.x);
    struct slow slow = {.x = open_edge(1, 8, 0, 100 * WEIR_MS)};
    assert_in_range(flight_ns(&slow, 1), 60 * WEIR_MS, 150 * WEIR_MS);
    uint32_t limit = slow.x->out[0].limit;
    (void)flight_ns(&slow, 3); /* three times as fast: larger buffers */
    assert_in_range(slow.x->out[0].limit, 2 * limit, 4 * limit);
    exchange_close(slow.x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A204_a_row_waits_no_longer_than_flush_after),
        cmocka_unit_test(t_A204_what_was_flushed_before_is_not_due),
        cmocka_unit_test(t_A204_a_full_ring_makes_it_wait),
        cmocka_unit_test(t_without_flush_after_an_edge_keeps_no_time),
        cmocka_unit_test(t_T233_a_new_size_holds_from_the_next_buffer_on),
        cmocka_unit_test(t_T262_what_is_in_flight_takes_about_the_target_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
