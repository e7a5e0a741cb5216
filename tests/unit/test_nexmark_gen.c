/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "apps/nexmark/gen.h"
#include "base/err.h"
#include "tests/unit/test.h"

static void
make(struct nexmark_gen *gen, const char *text)
{
    struct nexmark_gen_opts opts;
    assert_int_equal(nexmark_gen_parse(text, &opts), 0);
    assert_int_equal(nexmark_gen_init(gen, &opts), 0);
}

static void
t_an_event_depends_on_its_number_alone(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    static struct nexmark_event whole[5000];
    struct nexmark_event part[37];
    const char *specs[] = {"gen:5000,seed=7", "gen:5000,seed=7,group=997,event_rate=333",
        "gen:5000,seed=7,event_rate=3000", "gen:5000,event_rate=1"};
    for (size_t s = 0; s < WEIR_ARRAY_CNT(specs); s++) {
        make(&gen, specs[s]);
        nexmark_gen_fill(&gen, 0, 5000, whole);
        for (uint64_t at = 0; at + 37 <= 5000; at += 37) {
            nexmark_gen_fill(&gen, at, 37, part);
            assert_memory_equal(part, whole + at, sizeof part);
        }
        for (uint64_t at = 0; at < 5000; at++) {
            uint64_t n = nexmark_gen_number(&gen, at);
            assert_int_equal(whole[at].time_ms,
                gen.opts.base_time_ms + (int64_t)(n * 1000 / gen.opts.event_rate));
        }
    }
}

static void
t_groups_are_permutations_and_reach_every_number(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    static bool seen[10100];
    make(&gen, "gen:10100,group=1000");
    uint64_t moved = 0;
    for (uint64_t at = 0; at < 10100; at++) {
        uint64_t n = nexmark_gen_number(&gen, at);
        assert_true(n < 10100 && !seen[n]);
        assert_true(n / 1000 == at / 1000);
        seen[n] = true;
        moved += n != at;
    }
    assert_true(moved > 9000);
}

static void
t_proportions_and_keys_are_the_suites(void **state)
{
    (void)state;
    enum { CNT = 200000 };
    static struct nexmark_gen gen;
    struct nexmark_event *e = malloc(CNT * sizeof *e);
    uint64_t kinds[3] = {0};
    uint64_t hot = 0;
    uint64_t hot_bidder = 0;
    uint64_t price_low = 0;
    assert_non_null(e);
    make(&gen, "gen:200000,seed=3");
    nexmark_gen_fill(&gen, 0, CNT, e);
    for (uint64_t i = 0; i < CNT; i++) {
        kinds[e[i].kind]++;
        if (e[i].kind == NEXMARK_PERSON) {
            assert_int_equal(e[i].id_or_auction, 1000 + i / 50);
        } else if (e[i].kind == NEXMARK_AUCTION) {
            assert_int_equal(e[i].id_or_auction, 1000 + i / 50 * 3 + i % 50 - 1);
            assert_true(e[i].category >= 10 && e[i].category <= 14);
            assert_true(e[i].expires_ms > e[i].time_ms);
        } else {
            hot += e[i].id_or_auction % 100 == 0;
            hot_bidder += e[i].seller_or_bidder % 100 == 1;
            assert_true(e[i].initial_bid_or_price >= 100 && e[i].initial_bid_or_price <= 100000000);
            price_low += e[i].initial_bid_or_price < 10000;
            assert_true(e[i].id_or_auction <= 1000 + (int64_t)i / 50 * 3 + 2 + 10);
        }
    }
    assert_int_equal(kinds[0], CNT / 50);
    assert_int_equal(kinds[1], CNT / 50 * 3);
    /* A half of the bids is hot, and a hundredth of the others by chance; likewise the rest. */
    assert_true(hot > kinds[2] * 49 / 100 && hot < kinds[2] * 52 / 100);
    assert_true(hot_bidder > kinds[2] * 74 / 100 && hot_bidder < kinds[2] * 77 / 100);
    assert_true(price_low > kinds[2] * 32 / 100 && price_low < kinds[2] * 35 / 100);
    free(e);
}

static void
t_payloads_hold_their_texts(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    struct nexmark_event e[1000];
    uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX + 8];
    make(&gen, "gen:1000,seed=11");
    nexmark_gen_fill(&gen, 0, 1000, e);
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        memset(payload, 0xa5, sizeof payload);
        e[i].payload_bytes = nexmark_gen_payload(&gen, i, &e[i], payload);
        assert_true(e[i].payload_bytes % 8 == 0);
        assert_true(e[i].payload_bytes <= NEXMARK_GEN_PAYLOAD_BYTES_MAX);
        assert_int_equal(payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX], 0xa5);
        bytes += e[i].payload_bytes;
        uint64_t sum = nexmark_head_bytes(e[i].kind);
        for (uint32_t t = 0; t < nexmark_text_cnt(e[i].kind); t++) {
            struct nexmark_text text = {NULL, 0};
            assert_true(nexmark_event_text(&e[i], payload, t, &text));
            assert_true(text.bytes > 0);
            for (uint32_t c = 0; c < text.bytes; c++) {
                assert_true(text.ptr[c] >= ' ' && text.ptr[c] <= 'z' && text.ptr[c] != ',' &&
                            text.ptr[c] != '"');
            }
            sum += text.bytes;
        }
        assert_true(sum <= e[i].payload_bytes && sum + 8 > e[i].payload_bytes);
        if (e[i].kind == NEXMARK_AUCTION) {
            assert_true(nexmark_event_reserve(&e[i], payload) > e[i].initial_bid_or_price);
        }
    }
    assert_true(bytes > 1000 * 70 && bytes < 1000 * 140);
}

static void
t_payload_lengths_that_lie_are_seen(void **state)
{
    (void)state;
    struct nexmark_event e = {.kind = NEXMARK_BID, .payload_bytes = 28};
    uint32_t payload[7] = {NEXMARK_BID, 4, 4, 4};
    uint32_t *len = payload + 1;
    struct nexmark_text text;
    assert_true(nexmark_event_text(&e, (uint8_t *)payload, NEXMARK_BID_URL, &text));
    len[0] = UINT32_MAX;
    assert_false(nexmark_event_text(&e, (uint8_t *)payload, NEXMARK_EXTRA, &text));
    assert_false(nexmark_event_text(&e, (uint8_t *)payload, NEXMARK_BID_URL, &text));
    len[0] = 4;
    len[2] = 5;
    assert_false(nexmark_event_text(&e, (uint8_t *)payload, NEXMARK_BID_URL, &text));
    e.payload_bytes = 8;
    assert_false(nexmark_event_text(&e, (uint8_t *)payload, NEXMARK_EXTRA, &text));
}

static void
t_a_wrong_specification_is_refused_by_name(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    struct nexmark_gen_opts opts;
    const char *bad[] = {"gen:", "gen:x", "gen:-5", "gen:10,", "gen:10,seed",
        "gen:10,seed=", "gen:10,seeds=1", "gen:10,quirk=2", "gen:10,event_rate=1e6", "file",
        "gen:1 ", "gen:99999999999999999999", "gen:10,seed=-1", "gen:10,seed=1,seed=2"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        assert_int_equal(nexmark_gen_parse(bad[i], &opts), WEIR_ECONFIG);
        assert_true(weir_err_cnt() > 0);
        weir_err_clear();
    }
    const char *range[] = {"gen:10,event_rate=0", "gen:10,group=0", "gen:10,group=953",
        "gen:10,group=1906", "gen:10,event_rate=2000000000", "gen:10,base=9000000000000000000"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(range); i++) {
        int err = nexmark_gen_parse(range[i], &opts);
        err = err == 0 ? nexmark_gen_init(&gen, &opts) : err;
        assert_int_equal(err, WEIR_ECONFIG);
        weir_err_clear();
    }
    assert_int_equal(nexmark_gen_parse("gen:10,seed=4,event_rate=50,base=-7,quirk=1", &opts), 0);
    assert_int_equal(opts.event_cnt, 10);
    assert_int_equal(opts.seed, 4);
    assert_int_equal(opts.event_rate, 50);
    assert_int_equal(opts.base_time_ms, -7);
    assert_true(opts.quirk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_an_event_depends_on_its_number_alone),
        cmocka_unit_test(t_groups_are_permutations_and_reach_every_number),
        cmocka_unit_test(t_proportions_and_keys_are_the_suites),
        cmocka_unit_test(t_payloads_hold_their_texts),
        cmocka_unit_test(t_payload_lengths_that_lie_are_seen),
        cmocka_unit_test(t_a_wrong_specification_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
