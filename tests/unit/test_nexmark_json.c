/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "apps/nexmark/gen.h"
#include "apps/nexmark/json.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define BID                                                                                    \
    "{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{\"auction\":1000,\"bidder\":" \
    "2005,"                                                                                    \
    "\"price\":634,\"channel\":\"Baidu\",\"url\":\"https://x/y\","                             \
    "\"dateTime\":\"2024-01-01 00:00:00.040\",\"extra\":\"Z\\\\qv\"}}"

static uint8_t payload[8192];

static int
parse(const char *text, size_t bytes, struct nexmark_event *ret_event,
    struct nexmark_json_fault *ret_fault)
{
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    memcpy(copy + 1, text, bytes);
    struct nexmark_line line = {copy + 1, bytes, 0};
    int err = nexmark_json_read(&line, ret_event, payload, ret_fault);
    free(copy);
    return err;
}

static void
check_text(const struct nexmark_event *event, uint32_t idx, const char *want)
{
    struct nexmark_text text = {NULL, 0};
    assert_true(nexmark_event_text(event, payload, idx, &text));
    assert_int_equal(text.bytes, strlen(want));
    assert_memory_equal(text.ptr, want, text.bytes);
}

static void
check_bid(const char *line)
{
    struct nexmark_event e;
    struct nexmark_json_fault fault = {NULL, NULL, 0};
    if (parse(line, strlen(line), &e, &fault) != 0) {
        fail_msg("%s: %s %s at %u", line, fault.what, fault.field, fault.column);
    }
    assert_int_equal(e.kind, NEXMARK_BID);
    assert_int_equal(e.id_or_auction, 1000);
    assert_int_equal(e.seller_or_bidder, 2005);
    assert_int_equal(e.initial_bid_or_price, 634);
    assert_true(e.time_ms == INT64_C(1704067200040));
    assert_int_equal(e.payload_bytes % 8, 0);
    check_text(&e, NEXMARK_EXTRA, "Z\\qv");
    check_text(&e, NEXMARK_BID_CHANNEL, "Baidu");
    check_text(&e, NEXMARK_BID_URL, "https://x/y");
}

static void
t_lines_are_read_in_any_order_and_form(void **state)
{
    (void)state;
    check_bid(BID);
    check_bid(" { \"event_type\" : 2 , \"bid\" : { \"extra\" : \"Z\\u005cqv\" , "
              "\"url\":\"https:\\/\\/x/y\", "
              "\"dateTime\":\"2024-01-01T00:00:00.04Z\",\"channel\":\"Baidu\",\"price\":634,"
              "\"bidder\":2005,\"auction\":1000 } } \r");
    /* The type comes last; unknown members; the later of two counts. */
    check_bid(
        "{\"later\":[1,{\"a\":null}],\"bid\":{\"auction\":7,\"auction\":1000,\"bidder\":2005,"
        "\"price\":1,\"x\":{},\"price\":634,\"channel\":\"Baidu\",\"url\":\"https://x/y\","
        "\"dateTime\":\"2024-01-01 00:00:00.040\",\"extra\":\"Z\\\\qv\"},\"person\":{\"id\":1},"
        "\"event_type\":2}");
    check_bid("{\"event_type\":2,\"bid\":null,\"bid\":{\"\\u0061uction\":1000,\"bidder\":2005,"
              "\"price\":634,\"channel\":\"Baidu\",\"url\":\"https://x/y\","
              "\"dateTime\":\"2024\\u002d01-01 00:00:00.040\",\"extra\":\"Z\\\\qv\"}}");
    check_bid(
        "{\"event_type\":1,\"auction\":{\"id\":1,\"itemName\":\"\",\"description\":\"\","
        "\"initialBid\":1,\"reserve\":1,\"dateTime\":\"2024-01-01 00:00:00\","
        "\"expires\":\"2024-01-01 00:00:00\",\"seller\":1,\"category\":1,\"extra\":\"\"},"
        "\"event_type\":2,\"bid\":{\"auction\":1000,\"bidder\":2005,\"price\":634,"
        "\"channel\":\"Baidu\",\"url\":\"https://x/y\",\"dateTime\":\"2024-01-01 00:00:00.040\","
        "\"extra\":\"Z\\\\qv\"}}");
}

static void
t_a_refused_line_names_field_and_column(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *field;
    } bad[] = {{"", NULL}, {"{}", "event_type"}, {"[]", NULL}, {"{\"event_type\":3}", "event_type"},
        {"{\"event_type\":-1}", "event_type"}, {"{\"event_type\":\"2\"}", "event_type"},
        {"{\"event_type\":2}", "bid"}, {"{\"event_type\":0,\"person\":null}", "person"},
        {"{\"event_type\":2,\"bid\":[]}", "bid"}, {"{\"event_type\":2,\"bid\":{}}", "auction"},
        {"{\"event_type\":2,\"bid\":{\"auction\":1,\"bidder\":2,\"channel\":\"\"}}", "price"},
        {"{\"event_type\":2,\"bid\":{\"auction\":9223372036854775808}}", "auction"},
        {"{\"event_type\":2,\"bid\":{\"auction\":1.5}}", "auction"},
        {"{\"event_type\":2,\"bid\":{\"extra\":null}}", "extra"},
        {"{\"event_type\":2,\"bid\":{\"dateTime\":\"2024-01-01 25:00:00.000\"}}", "dateTime"},
        {BID "x", NULL}, {BID "}", NULL}, {"{\"event_type\":2,\"person\":{\"a\":tru}}", NULL}};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        struct nexmark_event e;
        struct nexmark_json_fault fault = {NULL, NULL, 0};
        assert_int_equal(parse(bad[i].text, strlen(bad[i].text), &e, &fault), WEIR_EDATA);
        assert_non_null(fault.what);
        assert_true(fault.column >= 1 && fault.column <= strlen(bad[i].text) + 1);
        if (bad[i].field == NULL ? fault.field != NULL
                                 : fault.field == NULL || strcmp(fault.field, bad[i].field) != 0) {
            fail_msg("%s: %s", bad[i].text, fault.field == NULL ? "no field" : fault.field);
        }
    }
}

static void
t_each_cut_of_a_line_is_refused(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < sizeof BID - 1; bytes++) {
        struct nexmark_event e;
        struct nexmark_json_fault fault;
        assert_int_equal(parse(BID, bytes, &e, &fault), WEIR_EDATA);
    }
}

static void
t_generated_events_survive_the_way_through_json(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    static uint8_t source[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    static char line[512 + 6 * NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    struct nexmark_gen_opts opts;
    nexmark_gen_opts_default(&opts);
    assert_int_equal(nexmark_gen_init(&gen, &opts), 0);
    for (uint64_t i = 0; i < 2000; i++) {
        struct nexmark_event e;
        struct nexmark_event back;
        struct nexmark_json_fault fault;
        nexmark_gen_fill(&gen, i, 1, &e);
        e.payload_bytes = nexmark_gen_payload(&gen, i, &e, source);
        size_t bytes = nexmark_json_write(&e, source, line);
        assert_true(bytes > 0 && line[bytes - 1] == '\n');
        assert_int_equal(parse(line, bytes - 1, &back, &fault), 0);
        assert_memory_equal(&back, &e, sizeof e);
        assert_memory_equal(payload, source, e.payload_bytes);
    }
}

static void
t_every_value_of_64_bits_survives(void **state)
{
    (void)state;
    static char line[4096];
    struct nexmark_json_fault fault;
    struct nexmark_event back;
    struct weir_rng rng;
    const char *texts[3] = {"a\"\\\x01\xc3\xa9", "", "\xf0\x9f\x98\x80"};
    uint8_t source[64] = {0};
    uint32_t kind = NEXMARK_AUCTION;
    uint32_t at = NEXMARK_AUCTION_HEAD_BYTES;
    print_message("seed 21\n");
    weir_rng_init(&rng, 21);
    memcpy(source, &kind, 4);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t bytes = (uint32_t)strlen(texts[i]);
        memcpy(source + NEXMARK_LENGTHS_OFF + 4 * (size_t)i, &bytes, 4);
        memcpy(source + at, texts[i], bytes);
        at += bytes;
    }
    for (int i = 0; i < 10000; i++) {
        int64_t reserve = (int64_t)weir_rng_u64(&rng);
        struct nexmark_event e = {.kind = NEXMARK_AUCTION,
            .payload_bytes = (uint32_t)weir_align_up(at, 8),
            .time_ms = weir_rng_between(&rng, INT64_C(-62167219200000), INT64_C(253402300799999)),
            .expires_ms =
                weir_rng_between(&rng, INT64_C(-62167219200000), INT64_C(253402300799999)),
            .id_or_auction = i == 0 ? INT64_MIN : (int64_t)weir_rng_u64(&rng),
            .seller_or_bidder = i == 0 ? INT64_MAX : (int64_t)weir_rng_u64(&rng),
            .initial_bid_or_price = (int64_t)weir_rng_u64(&rng),
            .category = (int64_t)weir_rng_u64(&rng) >> weir_rng_below(&rng, 64)};
        memcpy(source + NEXMARK_RESERVE_OFF, &reserve, 8);
        size_t bytes = nexmark_json_write(&e, source, line);
        assert_true(bytes > 0);
        assert_int_equal(parse(line, bytes - 1, &back, &fault), 0);
        assert_memory_equal(&back, &e, sizeof e);
        assert_memory_equal(payload, source, e.payload_bytes);
    }
    struct nexmark_event far = {.kind = NEXMARK_AUCTION, .payload_bytes = 40, .time_ms = INT64_MAX};
    assert_int_equal(nexmark_json_write(&far, source, line), 0);
}

/* Lines with a few bytes changed: read or refused, never beyond the line (ASan watches). */
static void
t_damaged_lines_are_survived(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 17);
    print_message("seed 17\n");
    for (int i = 0; i < 100000; i++) {
        char line[sizeof BID];
        struct nexmark_event e;
        struct nexmark_json_fault fault;
        memcpy(line, BID, sizeof line);
        for (uint64_t k = weir_rng_below(&rng, 4); k > 0; k--) {
            line[weir_rng_below(&rng, sizeof line - 1)] = (char)weir_rng_below(&rng, 256);
        }
        int err = parse(line, sizeof line - 1, &e, &fault);
        assert_true(err == 0 || (err == WEIR_EDATA && fault.column <= sizeof line));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_lines_are_read_in_any_order_and_form),
        cmocka_unit_test(t_a_refused_line_names_field_and_column),
        cmocka_unit_test(t_each_cut_of_a_line_is_refused),
        cmocka_unit_test(t_generated_events_survive_the_way_through_json),
        cmocka_unit_test(t_every_value_of_64_bits_survives),
        cmocka_unit_test(t_damaged_lines_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
