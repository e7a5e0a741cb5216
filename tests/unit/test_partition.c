/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.11 and what else a partition promises: every partitioner on the operator that jobs
 * run, through a chain, channels and gates. */
#include "tests/unit/exchange.h"
#include "tests/unit/seed.h"

static struct exchange_rows rows;

/* The consumers of n rows that were pushed in batches of `step`, by sequence number. */
static void
spread(struct exchange *x, uint32_t n, uint32_t step, int64_t key_cnt, uint16_t *ret_channel)
{
    for (uint32_t seq = 0; seq < n; seq += step) {
        exchange_fill(&rows, seq, weir_min_u32(step, n - seq), key_cnt);
        assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
        exchange_flush_all(x);
    }
    memset(ret_channel, 0xff, n * sizeof *ret_channel);
    for (uint32_t c = 0; c < x->conf.channel_cnt; c++) {
        int64_t last = -1;
        for (uint32_t i = 0; i < x->got_cnt[c]; i++) {
            int64_t seq = x->got[c][i].seq;
            assert_true(seq > last && seq < n); /* in order within a channel */
            assert_int_equal(ret_channel[seq], UINT16_MAX); /* once */
            ret_channel[seq] = (uint16_t)c;
            last = seq;
        }
    }
    for (uint32_t seq = 0; seq < n; seq++) {
        assert_int_not_equal(ret_channel[seq], UINT16_MAX);
    }
}

/* ---- round robin ---- */

static void
goes_round(enum weir_partitioner partitioner)
{
    for (uint32_t n = 1; n <= EXCHANGE_CHANNEL_CNT_MAX; n++) {
        uint32_t starts = 0;
        for (uint64_t seed = 0; seed < 64; seed++) {
            const struct exchange_conf conf = {
                .partitioner = partitioner, .channel_cnt = n, .seed = seed};
            struct exchange *x = exchange_open(&conf);
            uint16_t channel[100];
            spread(x, 100, 7, 1000, channel);
            for (uint32_t i = 0; i < 100; i++) {
                assert_int_equal(channel[i], (channel[0] + i) % n);
            }
            starts |= 1u << channel[0];
            exchange_close(x);
        }
        assert_int_equal(starts, (1u << n) - 1); /* every start is drawn by some seed */
    }
}

static void
t_T144_rebalance_starts_anywhere_and_goes_round(void **state)
{
    (void)state;
    goes_round(WEIR_PARTITION_REBALANCE);
}

/* The planner connects a subtask to its own group only: within it, rescale is a round robin. */
static void
t_rescale_goes_round_within_the_group_it_was_given(void **state)
{
    (void)state;
    goes_round(WEIR_PARTITION_RESCALE);
}

/* ---- random ---- */

static void
t_shuffle_repeats_with_its_seed_and_reaches_all_alike(void **state)
{
    (void)state;
    static uint16_t first[8000];
    static uint16_t again[8000];
    uint32_t same = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct exchange_conf conf = {
            .partitioner = WEIR_PARTITION_SHUFFLE, .channel_cnt = 8, .seed = seed};
        struct exchange *x = exchange_open(&conf);
        struct exchange *y = exchange_open(&conf);
        spread(x, 8000, 250, 1000, first);
        spread(y, 8000, 250, 1000, seed == 1 ? first : again);
        for (uint32_t i = 0; seed > 1 && i < 8000; i++) {
            assert_int_equal(first[i], again[i]);
            same += first[i] == i % 8;
        }
        for (uint32_t c = 0; c < 8; c++) {
            /* 1,000 are due; 5 standard deviations are 148. */
            assert_in_range(x->got_cnt[c], 850, 1150);
        }
        exchange_close(x);
        exchange_close(y);
    }
    assert_in_range(same, 1600, 2400); /* it is no round robin */
}

/* ---- one, all ---- */

static void
t_global_sends_all_to_the_first_and_events_to_every_one(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_GLOBAL, .channel_cnt = 4};
    struct exchange *x = exchange_open(&conf);
    uint16_t channel[1000];
    spread(x, 1000, 100, 50, channel);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(channel[i], 0);
    }
    assert_int_equal(exchange_watermark(x, 77), WEIR_DONE);
    exchange_flush_all(x);
    for (uint32_t c = 1; c < 4; c++) {
        assert_int_equal(x->got_cnt[c], 1);
        assert_int_equal(x->got[c][0].watermark, 77);
    }
    exchange_close(x);
}

static void
t_forward_keeps_the_order_of_its_one_channel(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_FORWARD, .channel_cnt = 1};
    struct exchange *x = exchange_open(&conf);
    uint16_t channel[1000];
    spread(x, 1000, 33, 50, channel);
    exchange_close(x);
}

/* T-145: the same bytes to all (exchange_note compares texts). Asking its selector for one channel
 * is unsupported there; here there is no selector to ask. */
static void
t_T145_broadcast_gives_the_same_to_all(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_BROADCAST, .channel_cnt = 5};
    struct exchange *x = exchange_open(&conf);
    for (uint32_t seq = 0; seq < 1000; seq += 100) {
        exchange_fill(&rows, seq, 100, 10);
        assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
        exchange_flush_all(x);
    }
    for (uint32_t c = 0; c < 5; c++) {
        assert_int_equal(x->got_cnt[c], 1000);
        assert_int_equal(x->out[c].rows, 1000);
        for (uint32_t i = 0; i < 1000; i++) {
            assert_int_equal(x->got[c][i].seq, i);
            assert_int_equal(x->got[c][i].key, x->got[0][i].key);
        }
    }
    exchange_close(x);
}

static void
t_T148_events_follow_the_rows_before_them_on_every_channel(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_REBALANCE, .channel_cnt = 4};
    struct exchange *x = exchange_open(&conf);
    /* No rows yet. */
    assert_int_equal(exchange_watermark(x, 1), WEIR_DONE);
    for (uint32_t c = 0; c < 4; c++) {
        (void)exchange_take(x, c, UINT32_MAX);
        assert_int_equal(x->got_cnt[c], 1);
        assert_int_equal(x->got[c][0].watermark, 1);
    }
    /* Two channels have open slices, two have none: nothing is flushed by hand. */
    exchange_fill(&rows, 0, 2, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
    assert_int_equal(exchange_watermark(x, 2), WEIR_DONE);
    uint32_t with_row = 0;
    for (uint32_t c = 0; c < 4; c++) {
        (void)exchange_take(x, c, UINT32_MAX);
        uint32_t n = x->got_cnt[c];
        assert_in_range(n, 2, 3);
        assert_int_equal(x->got[c][n - 1].kind, WEIR_SLOT_WATERMARK);
        assert_int_equal(x->got[c][n - 1].watermark, 2);
        if (n == 3) {
            assert_int_equal(x->got[c][1].kind, WEIR_SLOT_BATCH);
            assert_int_equal(x->got[c][1].watermark, 1); /* what makes it late or not */
            with_row++;
        }
    }
    assert_int_equal(with_row, 2);
    weir_chain_offer_end(x->chain, 0, 0);
    assert_int_equal(exchange_run(x), WEIR_DONE);
    for (uint32_t c = 0; c < 4; c++) {
        assert_int_equal(exchange_take(x, c, UINT32_MAX), 1);
        assert_int_equal(x->got[c][x->got_cnt[c] - 1].kind, WEIR_SLOT_END);
    }
    exchange_close(x); /* and no buffer is counted any more */
}

/* T-149: there one writer mixes broadcasts and single emits; here rows go to one channel and events
 * to all, in any mixture. Each channel sees its part of the sequence in emit order. */
static void
t_T149_rows_and_broadcast_events_keep_their_order(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    const struct exchange_conf conf = {
        .partitioner = WEIR_PARTITION_SHUFFLE, .channel_cnt = 3, .seed = seed};
    struct exchange *x = exchange_open(&conf);
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    int64_t seq = 0;
    int64_t watermark = 0;
    for (int i = 0; i < 2000; i++) {
        if (weir_rng_chance(&rng, 1, 3)) {
            watermark = seq;
            assert_int_equal(exchange_watermark(x, watermark), WEIR_DONE);
        } else {
            uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, 9);
            exchange_fill(&rows, seq, cnt, 100);
            assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
            seq += cnt;
        }
        (void)exchange_take(x, (uint32_t)weir_rng_below(&rng, 3), 2);
        if (i % 20 == 19) {
            exchange_flush_all(x);
        }
    }
    exchange_flush_all(x);
    for (uint32_t c = 0; c < 3; c++) {
        int64_t last_seq = -1;
        int64_t last_watermark = WEIR_TIME_MIN;
        for (uint32_t i = 0; i < x->got_cnt[c]; i++) {
            const struct exchange_got *got = &x->got[c][i];
            if (got->kind == WEIR_SLOT_WATERMARK) {
                assert_true(got->watermark > last_watermark && got->watermark > last_seq);
                last_watermark = got->watermark;
            } else {
                /* A row was emitted after the watermarks before it and before those behind it. */
                assert_true(got->seq > last_seq && got->seq >= last_watermark);
                assert_int_equal(got->watermark, last_watermark);
                last_seq = got->seq;
            }
        }
        assert_int_equal(last_watermark, watermark);
    }
    exchange_close(x);
}

/* ---- by key ---- */

static void
spread_keyed(const struct exchange_conf *conf, int64_t key_cnt)
{
    struct exchange *x = exchange_open(conf);
    static uint16_t channel[4000];
    static uint64_t hash[4000];
    spread(x, 4000, 333, key_cnt, channel);
    exchange_fill(&rows, 0, 4000, key_cnt);
    weir_key_hash(&x->partition.key, &rows.view, 0, 4000, hash);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t group = weir_hash_key_group(hash[i], x->conf.max_parallelism);
        uint32_t owner = weir_keygroup_owner(group, x->conf.channel_cnt, x->conf.max_parallelism);
        struct weir_keygroup_range range =
            weir_keygroup_range_of(channel[i], x->conf.channel_cnt, x->conf.max_parallelism);
        assert_int_equal(channel[i], owner);
        assert_true(group >= range.first && group < range.first + range.cnt);
    }
    exchange_close(x);
}

static void
t_keyed_rows_go_to_the_owner_of_their_key_group(void **state)
{
    (void)state;
    static const uint32_t groups[] = {8, 13, 128, 32768};
    for (uint32_t g = 0; g < WEIR_ARRAY_CNT(groups); g++) {
        for (uint32_t n = 1; n <= 8; n += n < 3 ? 1 : 5) {
            struct exchange_conf conf = {.partitioner = WEIR_PARTITION_KEYED,
                .channel_cnt = n,
                .max_parallelism = groups[g],
                .key = WEIR_KEY(item, key)};
            spread_keyed(&conf, 100);
            conf.key = WEIR_KEY(item, text);
            spread_keyed(&conf, 100);
            conf.key = WEIR_KEY2(item, key, text);
            spread_keyed(&conf, 100);
        }
    }
}

/* Rows of columns go where the same rows of structs go. */
static void
t_keyed_is_blind_to_the_layout(void **state)
{
    (void)state;
    enum { CAP = 512 };
    static char columns[CAP * sizeof(struct item)];
    const struct exchange_conf conf = {
        .partitioner = WEIR_PARTITION_KEYED, .channel_cnt = 4, .key = WEIR_KEY2(item, key, text)};
    struct exchange *x = exchange_open(&conf);
    struct exchange *y = exchange_open(&conf);
    exchange_fill(&rows, 0, 500, 40);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
    exchange_flush_all(x);
    for (uint32_t i = 0; i < 500; i++) {
        item_store(columns, CAP, i, &rows.row[i]);
    }
    struct weir_view view = rows.view;
    view.rows = columns;
    view.stride = 0;
    view.cap = CAP;
    view.flags = WEIR_BATCH_COLUMNS;
    view.time = columns + CAP * offsetof(struct item, at);
    view.time_stride = 8;
    assert_int_equal(exchange_push(y, &view), WEIR_DONE);
    exchange_flush_all(y);
    for (uint32_t c = 0; c < 4; c++) {
        assert_int_equal(x->got_cnt[c], y->got_cnt[c]);
        for (uint32_t i = 0; i < x->got_cnt[c]; i++) {
            assert_int_equal(x->got[c][i].seq, y->got[c][i].seq);
        }
    }
    exchange_close(x);
    exchange_close(y);
}

/* ---- by a function of the job ---- */

static void
by_last_digit(const struct weir_view *view, uint32_t from, uint32_t cnt, uint32_t channel_cnt,
    uint16_t *ret_channel)
{
    for (uint32_t i = 0; i < cnt; i++) {
        const struct item *row =
            (const struct item *)(const void *)(view->rows + (size_t)view->stride *
                                                                 weir_view_row(view, from + i));
        ret_channel[i] = (uint16_t)(row->seq % 10 % channel_cnt);
    }
}

static void
past_the_end(const struct weir_view *view, uint32_t from, uint32_t cnt, uint32_t channel_cnt,
    uint16_t *ret_channel)
{
    (void)view;
    (void)from;
    for (uint32_t i = 0; i < cnt; i++) {
        ret_channel[i] = (uint16_t)(i + 1 == cnt ? channel_cnt : 0);
    }
}

static void
t_custom_rows_go_where_the_function_says(void **state)
{
    (void)state;
    const struct exchange_conf conf = {
        .partitioner = WEIR_PARTITION_CUSTOM, .channel_cnt = 3, .custom_fn = by_last_digit};
    struct exchange *x = exchange_open(&conf);
    uint16_t channel[1000];
    spread(x, 1000, 77, 10, channel);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(channel[i], i % 10 % 3);
    }
    exchange_close(x);
}

static void
t_custom_channel_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 3; n++) {
        const struct exchange_conf conf = {
            .partitioner = WEIR_PARTITION_CUSTOM, .channel_cnt = n, .custom_fn = past_the_end};
        struct exchange *x = exchange_open(&conf);
        exchange_fill(&rows, 0, 5, 10);
        assert_int_equal(exchange_push(x, &rows.view), WEIR_EFAILED);
        char want[32];
        (void)snprintf(want, sizeof want, "channel %u of %u", n, n);
        assert_non_null(strstr(weir_err_at(0), want));
        weir_err_clear();
        exchange_close(x);
    }
}

/* ---- busy ---- */

/* What each consumer is due, computed from the sequence number alone where that is possible. */
static bool
is_due(const struct exchange *x, uint32_t c, const struct item *row, uint32_t start, uint64_t nth)
{
    uint64_t hash;
    switch (x->conf.partitioner) {
    case WEIR_PARTITION_BROADCAST:
        return true;
    case WEIR_PARTITION_GLOBAL:
    case WEIR_PARTITION_FORWARD:
        return c == 0;
    case WEIR_PARTITION_KEYED:
        hash = weir_hash_u64((uint64_t)row->key);
        return c == weir_keygroup_owner(weir_hash_key_group(hash, x->conf.max_parallelism),
                        x->conf.channel_cnt, x->conf.max_parallelism);
    case WEIR_PARTITION_CUSTOM:
        return c == (uint64_t)row->seq % 10 % x->conf.channel_cnt;
    default:
        return c == (start + nth) % x->conf.channel_cnt;
    }
}

static void
check_channel(const struct exchange *x, uint32_t c, int64_t seq_end, uint32_t start)
{
    static struct exchange_rows all;
    uint32_t at = 0;
    uint64_t nth = 0;
    for (int64_t seq = 0; seq < seq_end; seq += 1000) {
        exchange_fill(&all, seq, 1000, 97);
        for (uint32_t i = 0; i < 1000 && seq + i < seq_end; i++) {
            if (all.row[i].seq % 3 == 1) {
                continue; /* the selection leaves these out */
            }
            if (is_due(x, c, &all.row[i], start, nth)) {
                while (at < x->got_cnt[c] && x->got[c][at].kind != WEIR_SLOT_BATCH) {
                    assert_true(x->got[c][at].watermark <= all.row[i].seq);
                    at++;
                }
                assert_true(at < x->got_cnt[c]);
                assert_int_equal(x->got[c][at].seq, all.row[i].seq);
                at++;
            }
            nth++;
        }
    }
    assert_int_equal(x->got[c][x->got_cnt[c] - 1].kind, WEIR_SLOT_END);
}

/* Selected rows and watermarks at random, consumers that take a little now and then, the smallest
 * rings and few buffers: it is busy often, and nothing is lost, doubled or out of order. */
static uint32_t
run_slowly(const struct exchange_conf *conf)
{
    struct exchange *x = exchange_open(conf);
    struct weir_rng rng;
    uint32_t busy_cnt = 0;
    int64_t seq = 0;
    weir_rng_init(&rng, conf->seed + 99);
    for (int i = 0; i < 300; i++) {
        int rc;
        if (weir_rng_chance(&rng, 1, 4)) {
            rc = exchange_watermark(x, seq);
        } else {
            uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, 60);
            exchange_fill(&rows, seq, cnt, 97);
            uint32_t n = 0;
            for (uint32_t r = 0; r < cnt; r++) {
                rows.sel[n] = (uint16_t)r;
                n += rows.row[r].seq % 3 != 1;
            }
            rows.view.sel = rows.sel;
            rows.view.cnt = n;
            seq += cnt;
            rc = exchange_push(x, &rows.view);
        }
        while (rc == WEIR_WAIT) {
            uint32_t c = (uint32_t)weir_rng_below(&rng, conf->channel_cnt);
            busy_cnt++;
            (void)exchange_take(x, c, 1 + (uint32_t)weir_rng_below(&rng, 3));
            rc = exchange_run(x);
        }
        assert_int_equal(rc, WEIR_DONE);
    }
    weir_chain_offer_end(x->chain, 0, 0);
    exchange_flush_all(x);
    uint32_t start = 0;
    for (uint32_t c = 0; c < conf->channel_cnt; c++) {
        for (uint32_t i = 0; i < x->got_cnt[c]; i++) {
            start = x->got[c][i].kind == WEIR_SLOT_BATCH && x->got[c][i].seq == 0 ? c : start;
        }
    }
    for (uint32_t c = 0; c < conf->channel_cnt && conf->partitioner != WEIR_PARTITION_SHUFFLE;
         c++) {
        check_channel(x, c, seq, start);
    }
    exchange_close(x);
    return busy_cnt;
}

static void
t_slow_consumers_lose_nothing_under_any_partitioner(void **state)
{
    (void)state;
    uint64_t of_run = seed_of_run();
    for (uint32_t p = 0; p < WEIR_PARTITION_CNT; p++) {
        uint32_t busy_cnt = 0;
        for (uint64_t seed = 0; seed < 20; seed++) {
            const struct exchange_conf conf = {.partitioner = (enum weir_partitioner)p,
                .key = WEIR_KEY(item, key),
                .custom_fn = by_last_digit,
                .channel_cnt = p == WEIR_PARTITION_FORWARD ? 1 : 2 + (uint32_t)(seed % 6),
                .slot_cnt = 8,
                .buf_cnt = 8 + (uint32_t)(seed % 3),
                .batch_rows = seed % 2 == 0 ? 1 : 16,
                .seed = of_run + seed};
            busy_cnt += run_slowly(&conf);
        }
        assert_true(busy_cnt > 0);
    }
}

/* One consumer never takes: the others get what they can, then the partition is busy and stays so
 * until the slow one moves. */
static void
t_broadcast_waits_for_its_slowest_channel(void **state)
{
    (void)state;
    const struct exchange_conf conf = {
        .partitioner = WEIR_PARTITION_BROADCAST, .channel_cnt = 3, .slot_cnt = 8, .buf_cnt = 9};
    struct exchange *x = exchange_open(&conf);
    uint32_t pushed = 0;
    int rc = WEIR_DONE;
    while (rc == WEIR_DONE) {
        exchange_fill(&rows, pushed, 50, 10);
        rc = exchange_push(x, &rows.view);
        pushed += 50;
        assert_true(pushed < 10000);
        (void)exchange_take(x, 0, UINT32_MAX);
        (void)exchange_take(x, 1, UINT32_MAX);
    }
    assert_int_equal(rc, WEIR_WAIT);
    assert_int_equal(exchange_run(x), WEIR_WAIT);
    assert_int_equal(weir_chain_blocked(x->chain), 0);
    assert_int_equal(x->got_cnt[2], 0);
    exchange_flush_all(x);
    for (uint32_t c = 0; c < 3; c++) {
        assert_int_equal(x->got_cnt[c], pushed);
        for (uint32_t i = 0; i < pushed; i++) {
            assert_int_equal(x->got[c][i].seq, i);
        }
    }
    exchange_close(x);
}

/* Rows that fill a buffer, and one more. */
#define BUF_ROW_CNT_MIN 60

static uint32_t
half_of(const struct weir_view *in)
{
    return in->cnt / 2;
}

/* The first half of a batch to the first channel, the rest to the second one. */
static void
in_halves(const struct weir_view *in, uint32_t from, uint32_t cnt, uint32_t channel_cnt,
    uint16_t *ret_channel)
{
    (void)channel_cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        ret_channel[i] = from + i >= half_of(in);
    }
}

/* There a pool with a channel at its maximum is not available. Here the partition is busy with the
 * rows for that channel, and no other's buffers are touched. */
static void
t_T210_a_channel_at_its_maximum_leaves_the_others_theirs(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_CUSTOM,
        .custom_fn = in_halves,
        .channel_cnt = 2,
        .pool = {.required_cnt = 4, .max_cnt = 4, .channel_cnt = 2, .exclusive_cnt = 2}};
    struct exchange *x = exchange_open(&conf);
    const uint32_t *cnts = x->mem.pool.channel_cnts;
    int64_t seq = 0;
    int rc = WEIR_DONE;
    for (; rc == WEIR_DONE; seq += BUF_ROW_CNT_MIN) {
        exchange_fill(&rows, seq, BUF_ROW_CNT_MIN, 10);
        rc = exchange_push(x, &rows.view);
        (void)!weir_chain_flush(x->chain);
        (void)exchange_take(x, 0, UINT32_MAX); /* the second one takes none */
        assert_true(seq < 100 * BUF_ROW_CNT_MIN);
    }
    assert_int_equal(rc, WEIR_WAIT);
    assert_int_equal(cnts[1], 2);
    assert_in_range(cnts[0], 1, 2);
    assert_int_equal(x->out[0].rows, seq / 2); /* those of the batch that waits have gone */
    assert_true(x->out[1].rows < (uint64_t)seq / 2);
    assert_int_equal(exchange_run(x), WEIR_WAIT);
    (void)exchange_take(x, 1, UINT32_MAX);
    assert_int_equal(exchange_run(x), WEIR_DONE);
    assert_int_equal(x->out[1].rows, seq / 2);
    exchange_flush_all(x);
    exchange_close(x);
}

/* A batch may be finished with what is over the pool's size; the next one waits until that is
 * back. */
static void
t_T211_overdraft_comes_back_before_the_next_batch(void **state)
{
    (void)state;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_FORWARD,
        .channel_cnt = 1,
        .pool = {.required_cnt = 2,
            .max_cnt = 2,
            .channel_cnt = 1,
            .exclusive_cnt = 2,
            .overdraft_cnt_max = 2}};
    struct exchange *x = exchange_open(&conf);
    exchange_fill(&rows, 0, 4 * BUF_ROW_CNT_MIN, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
    assert_int_equal(weir_chain_flush(x->chain), WEIR_DONE);
    assert_int_equal(weir_buf_pool_overdraft_cnt(&x->mem.pool), 2);
    exchange_fill(&rows, 4 * BUF_ROW_CNT_MIN, 1, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_WAIT);
    (void)exchange_take(x, 0, 1);
    assert_int_equal(exchange_run(x), WEIR_WAIT);
    assert_int_equal(weir_buf_pool_overdraft_cnt(&x->mem.pool), 1);
    assert_int_equal(x->out[0].rows, 4 * BUF_ROW_CNT_MIN);
    (void)exchange_take(x, 0, 1);
    assert_int_equal(exchange_run(x), WEIR_DONE);
    assert_int_equal(x->out[0].rows, 4 * BUF_ROW_CNT_MIN + 1);
    exchange_flush_all(x);
    /* One that has begun goes on with each buffer that comes back. */
    exchange_fill(&rows, 4 * BUF_ROW_CNT_MIN + 1, 10 * BUF_ROW_CNT_MIN, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_WAIT);
    uint64_t before = x->out[0].rows;
    (void)exchange_take(x, 0, 1);
    assert_int_equal(exchange_run(x), WEIR_WAIT);
    assert_int_equal(weir_buf_pool_overdraft_cnt(&x->mem.pool), 2);
    assert_true(x->out[0].rows >= before + BUF_ROW_CNT_MIN);
    exchange_flush_all(x);
    exchange_close(x);
}

/* Batches of one row are slices of one buffer: they do not pin one each. */
static void
t_small_batches_share_a_buffer(void **state)
{
    (void)state;
    const struct exchange_conf conf = {
        .partitioner = WEIR_PARTITION_FORWARD, .channel_cnt = 1, .batch_rows = 1};
    struct exchange *x = exchange_open(&conf);
    exchange_fill(&rows, 0, 40, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE);
    assert_int_equal(weir_chain_flush(x->chain), WEIR_DONE);
    assert_int_equal(x->out[0].bufs, 1);
    assert_int_equal(exchange_take(x, 0, UINT32_MAX), 40);
    exchange_close(x);
}

/* ---- foreign rows ---- */

/* Rows as a mapped log holds them, all but number 17, in order from seq. */
static void
fill_foreign(struct exchange *x, struct exchange_rows *log, int64_t seq)
{
    uint16_t row_id;
    uint16_t heap_id;
    assert_int_equal(weir_region_table_add(&x->mem.table, log->row, sizeof log->row, &row_id), 0);
    assert_int_equal(
        weir_region_table_add(&x->mem.table, log->heap, sizeof log->heap, &heap_id), 0);
    exchange_fill(log, seq, WEIR_BATCH_ROW_CNT_MAX, 10);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < WEIR_BATCH_ROW_CNT_MAX; i++) {
        log->sel[cnt] = (uint16_t)i;
        cnt += i != 17;
    }
    log->view.sel = log->sel;
    log->view.cnt = cnt;
    log->view.flags = WEIR_BATCH_FOREIGN_ROWS | WEIR_BATCH_FOREIGN_HEAP;
    log->view.region = row_id;
    log->view.heap_region = heap_id;
}

/* A batch of a mapped log is named, not copied: few descriptors carry all of it. */
static void
t_foreign_rows_are_named_and_not_copied(void **state)
{
    (void)state;
    static struct exchange_rows log;
    for (uint32_t n = 1; n <= 3; n += 2) {
        const struct exchange_conf conf = {
            .partitioner = WEIR_PARTITION_REBALANCE, .channel_cnt = n, .buf_cnt = 16};
        struct exchange *x = exchange_open(&conf);
        fill_foreign(x, &log, 0);
        assert_int_equal(exchange_push(x, &log.view), WEIR_DONE);
        uint32_t descriptors = 0;
        uint32_t got = 0;
        for (uint32_t c = 0; c < n; c++) {
            descriptors += exchange_take(x, c, UINT32_MAX);
            got += x->got_cnt[c];
            int64_t last = -1;
            for (uint32_t i = 0; i < x->got_cnt[c]; i++) {
                assert_true(x->got[c][i].seq > last && x->got[c][i].seq != 17);
                last = x->got[c][i].seq;
            }
        }
        assert_int_equal(got, log.view.cnt);
        assert_true(descriptors <= 2 * n);
        exchange_close(x);
    }
}

static void
by_size(const struct weir_view *view, uint32_t from, uint32_t cnt, uint32_t channel_cnt,
    uint16_t *ret_channel)
{
    (void)channel_cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        ret_channel[i] = view->cnt == 1 && view->sel == NULL ? 1 : 0;
        (void)from;
    }
}

/* Their selection travels in a buffer. A batch may select more rows than the smallest buffer has
 * room for: the buffer behind it, with rows of another channel, stays as it is. */
static void
t_selection_larger_than_a_buffer_stays_within_it(void **state)
{
    (void)state;
    static struct exchange_rows log;
    const struct exchange_conf conf = {.partitioner = WEIR_PARTITION_CUSTOM,
        .channel_cnt = 2,
        .custom_fn = by_size,
        .buf_cnt = 16};
    struct exchange *x = exchange_open(&conf);
    fill_foreign(x, &log, 0);
    log.view.cnt = 3;
    assert_int_equal(exchange_push(x, &log.view), WEIR_DONE); /* channel 0 opens the first buffer */
    exchange_fill(&rows, 5000, 1, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE); /* channel 1 the second */
    exchange_flush_all(x);
    exchange_fill(&rows, 5001, 1, 10);
    assert_int_equal(exchange_push(x, &rows.view), WEIR_DONE); /* not sent yet */
    log.view.cnt = WEIR_BATCH_ROW_CNT_MAX - 1;
    assert_int_equal(exchange_push(x, &log.view), WEIR_DONE);
    exchange_flush_all(x);
    assert_int_equal(x->got_cnt[0], 3 + log.view.cnt);
    for (uint32_t i = 0; i < log.view.cnt; i++) {
        assert_int_equal(x->got[0][3 + i].seq, i + (i >= 17));
    }
    assert_int_equal(x->got_cnt[1], 2);
    assert_int_equal(x->got[1][1].seq, 5001);
    exchange_close(x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T144_rebalance_starts_anywhere_and_goes_round),
        cmocka_unit_test(t_rescale_goes_round_within_the_group_it_was_given),
        cmocka_unit_test(t_shuffle_repeats_with_its_seed_and_reaches_all_alike),
        cmocka_unit_test(t_global_sends_all_to_the_first_and_events_to_every_one),
        cmocka_unit_test(t_forward_keeps_the_order_of_its_one_channel),
        cmocka_unit_test(t_T145_broadcast_gives_the_same_to_all),
        cmocka_unit_test(t_T148_events_follow_the_rows_before_them_on_every_channel),
        cmocka_unit_test(t_T149_rows_and_broadcast_events_keep_their_order),
        cmocka_unit_test(t_keyed_rows_go_to_the_owner_of_their_key_group),
        cmocka_unit_test(t_keyed_is_blind_to_the_layout),
        cmocka_unit_test(t_custom_rows_go_where_the_function_says),
        cmocka_unit_test(t_custom_channel_that_is_not_there_is_an_error),
        cmocka_unit_test(t_slow_consumers_lose_nothing_under_any_partitioner),
        cmocka_unit_test(t_broadcast_waits_for_its_slowest_channel),
        cmocka_unit_test(t_T210_a_channel_at_its_maximum_leaves_the_others_theirs),
        cmocka_unit_test(t_T211_overdraft_comes_back_before_the_next_batch),
        cmocka_unit_test(t_small_batches_share_a_buffer),
        cmocka_unit_test(t_foreign_rows_are_named_and_not_copied),
        cmocka_unit_test(t_selection_larger_than_a_buffer_stays_within_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
