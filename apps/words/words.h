/* SPDX-License-Identifier: Apache-2.0 */
/* words.h: lines of words from a seed, uniform or by Zipf's law, for word counts.
 *
 *     bqmxat kel wopdhgyz ... \n          WORDS_PER_LINE words, one blank between two
 *
 * A word is its number in letters, led by letters drawn from that number, so that words of one
 * vocabulary differ: 3 to 16 of them (5 to 16 with a million words). Word r is drawn with
 * probability proportional to 1 / (r + 1), or uniformly. Line n depends on (options, n) alone.
 */
#ifndef WEIR_APPS_WORDS_WORDS_H
#define WEIR_APPS_WORDS_WORDS_H

#include "base/base.h"

#define WORDS_PER_LINE 10
#define WORDS_WORD_BYTES_MAX 16
#define WORDS_LINE_BYTES_MAX (WORDS_PER_LINE * (WORDS_WORD_BYTES_MAX + 1))
#define WORDS_VOCABULARY_MAX 10000000

struct words_gen_opts {
    uint64_t line_cnt;
    uint64_t seed;
    uint64_t vocabulary; /* in [1, WORDS_VOCABULARY_MAX] */
    bool is_zipf;
};

/* One column of an alias table: this word below the threshold, the other above it. */
struct words_alias {
    uint32_t threshold;
    uint32_t other;
};

struct words_gen {
    struct words_gen_opts opts;
    uint64_t key;
    uint32_t digits; /* letters that tell words apart */
    struct words_alias *table;
};

/* words_gen_opts_default - 100,000 lines over 10,000 words by Zipf's law. */
void words_gen_opts_default(struct words_gen_opts *ret_opts);

/* words_gen_parse - `gen:LINES[,seed=][,words=][,zipf=0|1]`. */
WEIR_MUST_USE int words_gen_parse(const char *text, struct words_gen_opts *ret_opts);

/* words_gen_footprint - bytes of memory that words_gen_init() wants, for its table and its
 * building. */
size_t words_gen_footprint(const struct words_gen_opts *opts);

/* words_gen_init - build the table in memory, which it keeps; WEIR_ECONFIG for options out of
 * range.
 *
 * Shape:   memory is aligned to 8.
 */
WEIR_MUST_USE int
words_gen_init(struct words_gen *gen, const struct words_gen_opts *opts, void *memory);

/* words_gen_word - word of that number, below the vocabulary; its length; to has room for 16
 * bytes. */
uint32_t words_gen_word(const struct words_gen *gen, uint32_t number, char *to);

/* words_gen_line - line n with its line feed; to has room for WORDS_LINE_BYTES_MAX; its length. */
size_t words_gen_line(const struct words_gen *gen, uint64_t n, char *to);

#endif
