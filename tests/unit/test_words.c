/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "apps/words/words.h"
#include "base/err.h"
#include "tests/unit/test.h"

static void *
make(struct words_gen *gen, const char *text)
{
    struct words_gen_opts opts;
    assert_int_equal(words_gen_parse(text, &opts), 0);
    void *memory = malloc(words_gen_footprint(&opts));
    assert_non_null(memory);
    assert_int_equal(words_gen_init(gen, &opts, memory), 0);
    return memory;
}

/* The number of a word of the vocabulary, from its last letters. */
static uint32_t
number_of(const struct words_gen *gen, const char *word, uint32_t bytes)
{
    uint32_t number = 0;
    for (uint32_t i = bytes - gen->digits; i < bytes; i++) {
        number = number * 26 + (uint32_t)(word[i] - 'a');
    }
    return number;
}

static void
t_words_are_distinct_and_3_to_16_letters(void **state)
{
    (void)state;
    struct words_gen gen;
    const char *specs[] = {
        "gen:1,words=1", "gen:1,words=26", "gen:1,words=27", "gen:1,words=100000"};
    for (size_t s = 0; s < WEIR_ARRAY_CNT(specs); s++) {
        void *memory = make(&gen, specs[s]);
        for (uint32_t i = 0; i < gen.opts.vocabulary; i++) {
            char word[WORDS_WORD_BYTES_MAX];
            uint32_t bytes = words_gen_word(&gen, i, word);
            assert_true(bytes >= 3 && bytes <= WORDS_WORD_BYTES_MAX && bytes >= gen.digits);
            assert_int_equal(number_of(&gen, word, bytes), i);
        }
        free(memory);
    }
}

static void
t_frequencies_follow_the_law(void **state)
{
    (void)state;
    enum { LINES = 50000, WORDS = 100 };
    struct words_gen gen;
    void *memory = make(&gen, "gen:50000,words=100,seed=3");
    char line[WORDS_LINE_BYTES_MAX];
    uint32_t counts[WORDS] = {0};
    for (uint64_t n = 0; n < LINES; n++) {
        size_t bytes = words_gen_line(&gen, n, line);
        assert_true(bytes <= sizeof line && line[bytes - 1] == '\n');
        uint32_t words = 0;
        for (size_t from = 0; from < bytes; words++) {
            size_t to = from;
            while (line[to] >= 'a' && line[to] <= 'z') {
                to++;
            }
            counts[number_of(&gen, line + from, (uint32_t)(to - from))]++;
            from = to + 1;
        }
        assert_int_equal(words, WORDS_PER_LINE);
    }
    /* 500,000 draws; the harmonic number of 100 is 5.187; five sigma are below 2 % of the first
     * ten. */
    for (uint32_t r = 0; r < 10; r++) {
        double want = LINES * WORDS_PER_LINE / 5.187378 / (r + 1);
        assert_true(counts[r] > want * 0.97 && counts[r] < want * 1.03);
    }
    free(memory);
}

static void
t_wrong_options_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {
        "gen:1,words=0", "gen:1,words=100000000", "gen:1,zipf=2", "gen:1,vocabulary=5"};
    for (size_t i = 0; i < WEIR_ARRAY_CNT(bad); i++) {
        struct words_gen_opts opts;
        assert_int_equal(words_gen_parse(bad[i], &opts), WEIR_ECONFIG);
        weir_err_clear();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_words_are_distinct_and_3_to_16_letters),
        cmocka_unit_test(t_frequencies_follow_the_law),
        cmocka_unit_test(t_wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
