/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "dataplane/time_text.h"
#include "tests/unit/test.h"

static void
t_times_are_those_of_the_library(void **state)
{
    (void)state;
    struct weir_rng rng;
    weir_rng_init(&rng, 3);
    print_message("seed 3\n");
    for (int i = 0; i < 50000; i++) {
        /* From 0000-01-01 to 9999-12-31. */
        int64_t ms = weir_rng_between(&rng, INT64_C(-62167219200000), INT64_C(253402300799999));
        time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
        struct tm tm;
        char want[80];
        char text[WEIR_TIME_TEXT_BYTES];
        int64_t back;
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(want, sizeof want, "%04d-%02d-%02d %02d:%02d:%02d.%03d", tm.tm_year + 1900,
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
            (int)(ms - seconds * 1000));
        assert_int_equal(weir_time_print(ms, text), WEIR_TIME_TEXT_BYTES);
        assert_memory_equal(text, want, WEIR_TIME_TEXT_BYTES);
        assert_int_equal(weir_date_print(ms, text), WEIR_DATE_TEXT_BYTES);
        assert_memory_equal(text, want, WEIR_TIME_TEXT_BYTES);
        assert_true(weir_time_parse(text, sizeof text, &back));
        assert_true(back == ms);
    }
}

static void
t_other_forms_of_a_time_are_read(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t want;
    } good[] = {{"2024-01-01 00:00:00", INT64_C(1704067200000)},
        {"2024-01-01T00:00:00Z", INT64_C(1704067200000)},
        {"2024-02-29 23:59:59.9", INT64_C(1709251199900)},
        {"2024-01-01 00:00:00.123456789Z", INT64_C(1704067200123)}, {"1970-01-01 00:00:00.000", 0},
        {"2000-02-29 00:00:00.000", INT64_C(951782400000)}};
    const char *bad[] = {"", "2024-01-01", "2024-13-01 00:00:00", "2023-02-29 00:00:00",
        "1900-02-29 00:00:00", "2024-01-00 00:00:00", "2024-01-01 24:00:00", "2024-01-01 00:60:00",
        "2024-01-01 00:00:60", "2024-01-01 00:00:00.", "2024-01-01 00:00:00.1234567890",
        "2024-01-01 00:00:00,123", "2024/01/01 00:00:00", "2024-01-01 00:00:00.12x",
        "x024-01-01 00:00:00", "2x24-01-01 00:00:00", "2024-1x-01 00:00:00",
        "2024-01-01 00:00:00 Z", "-024-01-01 00:00:00", "2024-01-01  0:00:00",
        "2024-01-01 00:00:00.1ZZ"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(good); i++) {
        int64_t ms;
        assert_true(weir_time_parse(good[i].text, strlen(good[i].text), &ms));
        assert_true(ms == good[i].want);
    }
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        int64_t ms;
        assert_false(weir_time_parse(bad[i], strlen(bad[i]), &ms));
    }
}

static void
t_years_of_five_digits_are_not_written(void **state)
{
    (void)state;
    char text[WEIR_TIME_TEXT_BYTES];
    assert_int_equal(weir_time_print(INT64_C(253402300800000), text), 0);
    assert_int_equal(weir_time_print(INT64_C(-62167219200001), text), 0);
    assert_int_equal(weir_time_print(INT64_MAX, text), 0);
    assert_int_equal(weir_time_print(INT64_MIN, text), 0);
    assert_int_equal(weir_date_print(INT64_C(253402300800000), text), 0);
    assert_int_equal(weir_date_print(INT64_C(-62167219200001), text), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_times_are_those_of_the_library),
        cmocka_unit_test(t_other_forms_of_a_time_are_read),
        cmocka_unit_test(t_years_of_five_digits_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
