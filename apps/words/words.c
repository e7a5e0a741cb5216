/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/words/words.h"

#include <string.h>

#include "apps/gen/spec.h"
#include "base/err.h"
#include "base/rng.h"

#define LETTERS 26
#define WORD_BYTES_MIN 3

void
words_gen_opts_default(struct words_gen_opts *ret_opts)
{
    ret_opts->line_cnt = 100000;
    ret_opts->seed = 1;
    ret_opts->vocabulary = 10000;
    ret_opts->is_zipf = true;
}

int
words_gen_parse(const char *text, struct words_gen_opts *ret_opts)
{
    struct words_gen_opts opts;
    words_gen_opts_default(&opts);
    int64_t zipf = opts.is_zipf;
    const struct gen_spec_row rows[] = {
        {"lines", 0, INT64_MAX, (int64_t *)&opts.line_cnt},
        {"seed", 0, INT64_MAX, (int64_t *)&opts.seed},
        {"words", 1, WORDS_VOCABULARY_MAX, (int64_t *)&opts.vocabulary},
        {"zipf", 0, 1, &zipf},
    };
    int err = gen_spec_parse(text, rows, WEIR_ARRAY_CNT(rows));
    if (err == 0) {
        opts.is_zipf = zipf != 0;
        *ret_opts = opts;
    }
    return err;
}

size_t
words_gen_footprint(const struct words_gen_opts *opts)
{
    return opts->vocabulary * (sizeof(struct words_alias) + sizeof(double) + sizeof(uint32_t));
}

/* Walker's alias method, built by Vose's two stacks: here one array, filled from both ends. */
static void
build_table(struct words_alias *table, size_t cnt, double *weight, uint32_t *stack)
{
    size_t low = 0; /* columns with less than their share, from the front */
    size_t high = cnt; /* with more, from the back */
    double sum = 0;
    for (size_t i = 0; i < cnt; i++) {
        weight[i] = 1.0 / (double)(i + 1);
        sum += weight[i];
    }
    for (size_t i = 0; i < cnt; i++) {
        weight[i] *= (double)cnt / sum;
        if (weight[i] < 1.0) {
            stack[low++] = (uint32_t)i;
        } else {
            stack[--high] = (uint32_t)i;
        }
    }
    while (low > 0 && high < cnt) {
        uint32_t less = stack[--low];
        uint32_t more = stack[high];
        table[less].threshold = (uint32_t)(weight[less] * 4294967295.0);
        table[less].other = more;
        weight[more] -= 1.0 - weight[less];
        if (weight[more] < 1.0) {
            high++;
            stack[low++] = more;
        }
    }
    /* What is left has its whole share, up to rounding. */
    while (low > 0) {
        table[stack[--low]] = (struct words_alias){UINT32_MAX, stack[low]};
    }
    for (; high < cnt; high++) {
        table[stack[high]] = (struct words_alias){UINT32_MAX, stack[high]};
    }
}

int
words_gen_init(struct words_gen *gen, const struct words_gen_opts *opts, void *memory)
{
    size_t cnt = opts->vocabulary;
    if (cnt < 1 || cnt > WORDS_VOCABULARY_MAX) {
        return weir_err_push(
            WEIR_ECONFIG, "generator: words: %zu is not in [1, %d]", cnt, WORDS_VOCABULARY_MAX);
    }
    gen->opts = *opts;
    gen->key = weir_rng_mix(opts->seed);
    gen->digits = 1;
    for (uint64_t reach = LETTERS; reach < cnt; reach *= LETTERS) {
        gen->digits++;
    }
    double *weight = (double *)memory;
    gen->table = (struct words_alias *)(void *)(weight + cnt);
    uint32_t *stack = (uint32_t *)(void *)(gen->table + cnt);
    build_table(gen->table, cnt, weight, stack);
    return 0;
}

uint32_t
words_gen_word(const struct words_gen *gen, uint32_t number, char *to)
{
    uint64_t draw = weir_rng_mix(number + UINT64_C(0x5851f42d4c957f2d));
    uint32_t least = gen->digits > WORD_BYTES_MIN ? gen->digits : WORD_BYTES_MIN;
    uint32_t bytes =
        least + (uint32_t)(((draw & 0xffff) * (WORDS_WORD_BYTES_MAX - least + 1)) >> 16);
    draw >>= 16;
    for (uint32_t i = 0; i < bytes - gen->digits; i++) {
        to[i] = (char)('a' + (draw & 0xff) % LETTERS);
        draw = weir_rng_mix(draw);
    }
    for (uint32_t i = bytes; i > bytes - gen->digits; i--) {
        to[i - 1] = (char)('a' + number % LETTERS);
        number /= LETTERS;
    }
    return bytes;
}

size_t
words_gen_line(const struct words_gen *gen, uint64_t n, char *to)
{
    char *start = to;
    for (uint32_t i = 0; i < WORDS_PER_LINE; i++) {
        uint64_t draw = weir_rng_at(gen->key, n * WORDS_PER_LINE + i);
        uint32_t number = (uint32_t)(((draw >> 32) * gen->opts.vocabulary) >> 32);
        if (gen->opts.is_zipf && (uint32_t)draw > gen->table[number].threshold) {
            number = gen->table[number].other;
        }
        to += words_gen_word(gen, number, to);
        *to++ = ' ';
    }
    to[-1] = '\n';
    return (size_t)(to - start);
}
