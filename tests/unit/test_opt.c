/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define HOUR_NS (3600 * WEIR_SEC_NS)

static const struct weir_opt opts[] = {
    {"strict", WEIR_OPT_BOOL, WEIR_OPT_ANY, "", 0, 1, "false", "", "end instead of going on"},
    {"parallelism", WEIR_OPT_INT, WEIR_OPT_ANY, "subtasks", 1, 32768, "1", "auto", "subtasks each"},
    {"budget", WEIR_OPT_SIZE, WEIR_OPT_ANY, "", 16 << 20, INT64_C(1) << 50, "auto", "auto",
        "all memory"},
    {"buffer", WEIR_OPT_SIZE, WEIR_OPT_POW2, "", 4096, 16 << 20, "32KiB", "", "size of a buffer"},
    {"rows", WEIR_OPT_INT, WEIR_OPT_X64, "rows", 64, 4096, "1024", "", "most rows of one batch"},
    {"flush", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, HOUR_NS, "none", "none off", "longest wait"},
    {"idle", WEIR_OPT_CHOICE, WEIR_OPT_ANY, "", 0, 0, "spin", "spin adaptive sleep",
        "without work"},
    {"skew", WEIR_OPT_REAL, WEIR_OPT_ANY, "", 0, 2, "0.99", "", "exponent of the distribution"},
    {"title", WEIR_OPT_STRING, WEIR_OPT_ANY, "", 1, 8, "", "", "what it is called"},
    {"shift", WEIR_OPT_INT, WEIR_OPT_ANY, "", -10, INT64_MAX, "0", "", "may be negative"},
};

static const struct weir_opt *
row(const char *name)
{
    const struct weir_opt *opt = weir_opt_find(opts, WEIR_ARRAY_CNT(opts), name);
    assert_non_null(opt);
    return opt;
}

static int64_t
number_of(const char *name, const char *text)
{
    struct weir_opt_value value;
    char why[WEIR_OPT_WHY_BYTES] = "";
    int err = weir_opt_parse(row(name), text, &value, why);
    if (err != 0) {
        fail_msg("%s %s", name, why);
    }
    return value.number;
}

static void
refused(const char *name, const char *text, const char *wanted_why)
{
    struct weir_opt_value value = {.number = 4711};
    char why[WEIR_OPT_WHY_BYTES] = "";
    assert_int_equal(weir_opt_parse(row(name), text, &value, why), WEIR_ECONFIG);
    assert_string_equal(why, wanted_why);
    assert_int_equal(value.number, 4711);
}

static void
t_good_values_are_taken(void **state)
{
    (void)state;
    assert_int_equal(number_of("strict", "true"), 1);
    assert_int_equal(number_of("strict", "false"), 0);
    assert_int_equal(number_of("parallelism", "1"), 1);
    assert_int_equal(number_of("parallelism", "32768"), 32768);
    assert_true(number_of("parallelism", "auto") == WEIR_OPT_WORD);
    assert_int_equal(number_of("budget", "1.5GiB"), 1536 << 20);
    assert_int_equal(number_of("budget", "16384KiB"), 16 << 20);
    assert_true(number_of("budget", "0.500000000TiB") == INT64_C(512) << 30);
    assert_true(number_of("budget", "1023.5TiB") == (INT64_C(1) << 50) - (INT64_C(1) << 39));
    assert_int_equal(number_of("buffer", "4096B"), 4096);
    assert_int_equal(number_of("flush", "250us"), 250000);
    assert_int_equal(number_of("flush", "0ns"), 0);
    assert_int_equal(number_of("flush", "1.000000001s"), 1000000001);
    assert_int_equal(number_of("flush", "60m"), HOUR_NS);
    assert_int_equal(number_of("idle", "sleep"), 2);
    assert_int_equal(number_of("rows", "128"), 128);
    assert_int_equal(number_of("shift", "-10"), -10);
    assert_true(number_of("shift", "9223372036854775807") == INT64_MAX);
    struct weir_opt_value value;
    assert_int_equal(weir_opt_take(row("skew"), "1.25e0", &value), 0);
    assert_true(value.real == 1.25);
    assert_int_equal(weir_opt_take(row("title"), "12345678", &value), 0);
    assert_string_equal(value.text, "12345678");
    assert_int_equal(weir_opt_take(row("flush"), "off", &value), 0);
    assert_int_equal(value.word_idx, 1);
}

static void
t_a_bare_number_needs_its_unit(void **state)
{
    (void)state;
    refused("budget", "4096", "is 4096, and a size needs its unit: 4096KiB, for example");
    refused("flush", "10", "is 10, and a time needs its unit: 10ms, for example");
    refused("flush", "0", "is 0, and a time needs its unit: 0ms, for example");
}

static void
t_out_of_range_names_the_range_and_is_not_clamped(void **state)
{
    (void)state;
    refused("parallelism", "0", "is 0, and must be from 1 to 32768 subtasks");
    refused("parallelism", "32769", "is 32769, and must be from 1 to 32768 subtasks");
    refused("parallelism", "-1", "is -1, and must be from 1 to 32768 subtasks");
    refused("budget", "15MiB", "is 15MiB, and must be from 16MiB to 1024TiB");
    refused("flush", "61m", "is 61m, and must be from 0ns to 1h");
    refused("flush", "106752d", "is 106752d, and must be from 0ns to 1h");
    refused("skew", "2.01", "is 2.01, and must be from 0 to 2");
    refused("skew", "1e999", "is 1e999, and must be from 0 to 2");
    refused("title", "123456789", "is '123456789', and must have 1 to 8 bytes");
    refused("title", "", "is '', and must have 1 to 8 bytes");
    refused("shift", "9223372036854775808",
        "is 9223372036854775808, and must be from -10 to 9223372036854775807");
    refused("budget", "99999999999999999999999999999TiB",
        "is 99999999999999999999999999999TiB, and must be from 16MiB to 1024TiB");
}

static void
t_rules_are_kept(void **state)
{
    (void)state;
    refused("buffer", "5000B", "is 5000B, and must be a power of two");
    refused("rows", "100", "is 100, and must be a multiple of 64");
    refused("buffer", "4.0001KiB", "is 4.0001KiB, and must be a whole number of bytes");
    refused("rows", "64.5", "is 64.5, and must be a whole number of rows");
    refused("flush", "1.5ns", "is 1.5ns, and must be a whole number of nanoseconds");
}

static void
t_what_is_no_value_is_refused_with_what_is_wanted(void **state)
{
    (void)state;
    refused("strict", "yes", "is 'yes', and must be true or false");
    refused("parallelism", "", "is '', and must be a whole number, or one of: auto");
    refused("parallelism", "two", "is 'two', and must be a whole number, or one of: auto");
    refused("parallelism", "2 ", "is '2 ', and must be a whole number, or one of: auto");
    refused("rows", "0x40", "is '0x40', and must be a whole number");
    refused("rows", "64rows", "is '64rows', and must be a whole number");
    refused("flush", "10 ms", "is '10 ms', whose unit is not known (did you mean 10ms?)");
    refused("flush", "10fortnights",
        "is '10fortnights', and must be a time like 250us or 10ms, or one of: none off");
    refused("flush", ".5s", "is '.5s', and must be a time like 250us or 10ms, or one of: none off");
    refused("buffer", "4KB", "is '4KB', whose unit is not known (did you mean 4KiB?)");
    refused("flush", "5min", "is '5min', whose unit is not known (did you mean 5m?)");
    refused("flush", "5sec", "is '5sec', whose unit is not known (did you mean 5s?)");
    refused("flush", "5msec", "is '5msec', whose unit is not known (did you mean 5ms?)");
    refused("buffer", "4kib", "is '4kib', whose unit is not known (did you mean 4KiB?)");
    refused("idle", "sping",
        "is 'sping', and must be one of: spin adaptive sleep (did you mean spin?)");
    refused("idle", "7", "is '7', and must be one of: spin adaptive sleep");
    refused("flush", "nome",
        "is 'nome', and must be a time like 250us or 10ms, or one of: none off (did you mean "
        "none?)");
    refused("skew", "nan", "is 'nan', and must be a number");
    refused("skew", " 1", "is ' 1', and must be a number");
    refused("skew", "0x1p1", "is '0x1p1', and must be a number");
    refused("skew", "1e", "is '1e', and must be a number");
}

static void
t_a_reason_fits_whatever_is_given(void **state)
{
    (void)state;
    char text[5000];
    char why[WEIR_OPT_WHY_BYTES];
    struct weir_opt_value value;
    memset(text, '9', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < WEIR_ARRAY_CNT(opts); i++) {
        assert_int_equal(weir_opt_parse(&opts[i], text, &value, why), WEIR_ECONFIG);
        assert_true(strlen(why) < sizeof why);
    }
}

static void
t_printed_numbers_are_read_back(void **state)
{
    (void)state;
    static const struct weir_opt wide[] = {
        {"size", WEIR_OPT_SIZE, WEIR_OPT_ANY, "", 0, INT64_MAX, "", "", "a size"},
        {"time", WEIR_OPT_DURATION, WEIR_OPT_ANY, "", 0, INT64_MAX, "", "", "a time"},
        {"int", WEIR_OPT_INT, WEIR_OPT_ANY, "", -INT64_MAX, INT64_MAX, "", "", "a number"},
    };
    struct weir_rng rng;
    weir_rng_init(&rng, 17);
    char text[WEIR_OPT_TEXT_BYTES];
    for (int i = 0; i < 3000; i++) {
        const struct weir_opt *opt = &wide[i % 3];
        int64_t number = (int64_t)(weir_rng_u64(&rng) >> (1 + weir_rng_below(&rng, 63)));
        number = i % 4 == 0 ? number / 1000 * 1000 : number;
        number = opt->type == WEIR_OPT_INT && i % 2 == 0 ? -number : number;
        struct weir_opt_value value;
        (void)weir_opt_number_text(opt, number, text);
        assert_int_equal(weir_opt_take(opt, text, &value), 0);
        assert_true(value.number == number);
    }
    assert_string_equal(weir_opt_number_text(&wide[0], 1536 << 20, text), "1536MiB");
    assert_string_equal(weir_opt_number_text(&wide[1], 0, text), "0ns");
    assert_string_equal(weir_opt_number_text(&wide[1], 90 * WEIR_SEC_NS, text), "90s");
    assert_string_equal(weir_opt_number_text(row("idle"), 1, text), "adaptive");
    assert_string_equal(weir_opt_number_text(row("strict"), 1, text), "true");
}

static void
t_take_pushes_the_name(void **state)
{
    (void)state;
    struct weir_opt_value value;
    weir_err_clear();
    assert_int_equal(weir_opt_take(row("rows"), "65", &value), WEIR_ECONFIG);
    assert_string_equal(weir_err_at(0), "rows is 65, and must be a multiple of 64");
    weir_err_clear();
}

static void
t_unsound_tables_are_refused(void **state)
{
    (void)state;
    assert_int_equal(weir_opt_check(opts, WEIR_ARRAY_CNT(opts)), 0);
    const struct weir_opt good = opts[1];
    struct weir_opt table[2] = {good, good};
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    assert_int_equal(weir_opt_check(table, 1), 0);
    table[1] = opts[6];
    table[1].def = "spun";
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    table[1].def = "spin";
    assert_int_equal(weir_opt_check(table, 2), 0);
    table[1].words = "";
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    table[1] = good;
    table[1].name = "other";
    table[1].text = "";
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    table[1].text = NULL;
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    table[1] = opts[2];
    table[1].least = table[1].most + 1;
    assert_int_equal(weir_opt_check(table, 2), WEIR_ECONFIG);
    weir_err_clear();
}

static void
t_nearest_finds_slips_and_leaves_strangers_alone(void **state)
{
    (void)state;
    static const char *const names[] = {
        "run", "plan", "validate", "version", "checkpoint", "config show", "parallelism", "p"};
    static const struct {
        const char *word;
        const char *near;
    } rows[] = {
        {"rnu", "run"},
        {"rum", "run"},
        {"paln", "plan"},
        {"plann", "plan"},
        {"vaildate", "validate"},
        {"valid", "validate"},
        {"Version", "version"},
        {"VERSION", NULL},
        {"paralelism", "parallelism"},
        {"checkpoints", "checkpoint"},
        {"kafka", NULL},
        {"x", NULL},
        {"", NULL},
        {"config", "config show"},
        {"wxyz", NULL},
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(rows); i++) {
        const char *near = weir_opt_nearest(rows[i].word, names, WEIR_ARRAY_CNT(names));
        if (rows[i].near == NULL) {
            assert_null(near);
        } else {
            assert_non_null(near);
            assert_string_equal(near, rows[i].near);
        }
    }
    char word[200];
    memset(word, 'p', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(weir_opt_nearest(word, names, WEIR_ARRAY_CNT(names)));
    const char *const long_name = word;
    assert_null(weir_opt_nearest("plan", &long_name, 1));
}

static void
t_help_shows_form_range_default_and_sentence(void **state)
{
    (void)state;
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *to = open_memstream(&text, &text_bytes);
    assert_non_null(to);
    weir_opt_help(to, opts, 4);
    weir_opt_help(to, &opts[6], 1);
    weir_opt_help(to, &opts[8], 1);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, "  strict=true|false\n"
                              "      end instead of going on\n"
                              "      default false\n"
                              "  parallelism=N|auto\n"
                              "      subtasks each\n"
                              "      1 to 32768 subtasks; default 1\n"
                              "  budget=SIZE|auto\n"
                              "      all memory\n"
                              "      16MiB to 1024TiB; default auto\n"
                              "  buffer=SIZE\n"
                              "      size of a buffer\n"
                              "      4KiB to 16MiB, a power of two; default 32KiB\n"
                              "  idle=spin|adaptive|sleep\n"
                              "      without work\n"
                              "      default spin\n"
                              "  title=TEXT\n"
                              "      what it is called\n"
                              "      not set by default\n");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_good_values_are_taken),
        cmocka_unit_test(t_a_bare_number_needs_its_unit),
        cmocka_unit_test(t_out_of_range_names_the_range_and_is_not_clamped),
        cmocka_unit_test(t_rules_are_kept),
        cmocka_unit_test(t_what_is_no_value_is_refused_with_what_is_wanted),
        cmocka_unit_test(t_a_reason_fits_whatever_is_given),
        cmocka_unit_test(t_printed_numbers_are_read_back),
        cmocka_unit_test(t_take_pushes_the_name),
        cmocka_unit_test(t_unsound_tables_are_refused),
        cmocka_unit_test(t_nearest_finds_slips_and_leaves_strangers_alone),
        cmocka_unit_test(t_help_shows_form_range_default_and_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
