/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "apps/ysb/ysb.h"
#include "base/err.h"
#include "tests/unit/test.h"

#define CNT 3000

static void
make(struct ysb_gen *gen, const char *text)
{
    struct ysb_gen_opts opts;
    assert_int_equal(ysb_gen_parse(text, &opts), 0);
    assert_int_equal(ysb_gen_init(gen, &opts), 0);
}

static void
t_records_of_each_format_hold_the_same_events(void **state)
{
    (void)state;
    static const struct {
        uint32_t bytes, time, ad, type;
    } formats[] = {{32, 0, 8, 24}, {64, 0, 40, 60}, {78, 66, 32, 57}, {128, 0, 40, 64}};
    static uint8_t records[CNT * YSB_RECORD_BYTES_MAX];
    static uint8_t part[YSB_RECORD_BYTES_MAX];
    uint32_t views[4] = {0};
    for (size_t f = 0; f < WEIR_ARRAY_CNT(formats); f++) {
        struct ysb_gen gen;
        char spec[80];
        uint32_t bytes = formats[f].bytes;
        snprintf(spec, sizeof spec, "gen:%d,seed=5,record=%u,event_rate=300", CNT, bytes);
        make(&gen, spec);
        ysb_gen_fill(&gen, 0, CNT, records);
        for (uint32_t i = 0; i < CNT; i++) {
            const uint8_t *r = records + (size_t)i * bytes;
            int64_t time;
            uint64_t ad;
            memcpy(&time, r + formats[f].time, 8);
            memcpy(&ad, r + formats[f].ad, 8);
            assert_int_equal(time - gen.opts.base_time_ms, i * 1000 / 300);
            bool known = false;
            for (uint64_t k = 0; k < 1000 && !known; k++) {
                struct ysb_ad row;
                ysb_gen_ad(&gen, k, &row);
                known = row.lo == ad && (bytes == 32 || memcmp(&row, r + formats[f].ad, 16) == 0);
            }
            assert_true(known);
            views[f] +=
                bytes == 78 ? memcmp(r + 57, "view", 5) == 0 : r[formats[f].type] == YSB_VIEW;
            ysb_gen_fill(&gen, i, 1, part);
            assert_memory_equal(part, r, bytes);
        }
        assert_int_equal(views[f], views[0]);
    }
    assert_true(views[0] > CNT * 30 / 100 && views[0] < CNT * 37 / 100);
}

static void
t_types_in_turn_are_in_turn(void **state)
{
    (void)state;
    static uint8_t records[CNT * 32];
    struct ysb_gen gen;
    make(&gen, "gen:3000,record=32,random=0");
    ysb_gen_fill(&gen, 0, CNT, records);
    for (uint32_t i = 0; i < CNT; i++) {
        assert_int_equal(records[i * 32 + 24], i % 3);
    }
}

static void
t_wrong_options_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"gen:1,record=33", "gen:1,record=256", "gen:1,ads=0",
        "gen:1,ads=5,campaigns=6", "gen:1,random=2", "gen:1,event_rate=0", "gen", "gen:1,ad=5"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        struct ysb_gen gen;
        struct ysb_gen_opts opts;
        int err = ysb_gen_parse(bad[i], &opts);
        err = err == 0 ? ysb_gen_init(&gen, &opts) : err;
        assert_int_equal(err, WEIR_ECONFIG);
        weir_err_clear();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_records_of_each_format_hold_the_same_events),
        cmocka_unit_test(t_types_in_turn_are_in_turn),
        cmocka_unit_test(t_wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
