/* SPDX-License-Identifier: Apache-2.0 */
/* Word count: words split on white space, counted per window of lines (line n is at n ms, from 1),
 * or in all. Rows: window_start, window_end, word, count; without a window word, count. */
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include <stdlib.h>

#include "bench/nexmark/kernels.h"

#define GROUP 32 /* words whose slots are fetched ahead */
#define SLOTS_LG2_MIN 16

/* The first 16 bytes of a word, zero-padded; longer words are told apart by their text. */
struct entry {
    uint64_t lo;
    uint64_t hi;
    const char *text;
    uint32_t bytes;
    uint32_t count; /* 0: free */
};

struct pending {
    struct entry key;
    uint64_t hash;
};

struct counter {
    const char *at;
    const char *end;
    struct kernel_result result;
    int64_t window_ms;
    int64_t window_start;
    int64_t line; /* the line under way, from 1 */
    struct entry *slots;
    uint32_t *used; /* slots taken, so that emptying costs what filling did */
    uint64_t mask;
    uint64_t used_cnt;
    uint32_t pending_cnt;
    struct pending pending[GROUP];
};

static inline bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next byte that is, or is not, white space. */
static inline const char *
word_end(const char *p, const char *end)
{
#if defined(__AVX2__)
    while (end - p >= 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i low = _mm256_sub_epi8(bytes, _mm256_set1_epi8('\t'));
        __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(low, _mm256_set1_epi8(4)), low);
        __m256i blank = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' '));
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(control, blank));
        if (hits != 0) {
            return p + __builtin_ctz(hits);
        }
        p += 32;
    }
#endif
    while (p < end && !is_space(*p)) {
        p++;
    }
    return p;
}

static inline struct pending
make_key(const char *text, uint32_t bytes, const char *end)
{
    struct pending p = {{0, 0, text, bytes, 1}, 0};
    if (WEIR_LIKELY(bytes <= 16 && end - text >= 16)) {
        uint64_t words[2];
        memcpy(words, text, 16);
        uint32_t low = bytes < 8 ? bytes : 8;
        uint32_t high = bytes < 8 ? 0 : bytes - 8;
        p.key.lo = words[0] & (UINT64_MAX >> (64 - 8 * low));
        p.key.hi = high == 0 ? 0 : words[1] & (UINT64_MAX >> (64 - 8 * high));
    } else {
        memcpy(&p.key.lo, text, bytes < 8 ? bytes : 8);
        if (bytes > 8) {
            memcpy(&p.key.hi, text + 8, bytes < 16 ? bytes - 8 : 8);
        }
    }
    p.hash = weir_row_fold(
        p.key.lo ^ UINT64_C(0xa0761d6478bd642f), p.key.hi ^ UINT64_C(0xe7037ed1a0b428db) ^ bytes);
    return p;
}

static inline bool
is_same(const struct entry *a, const struct entry *b)
{
    return a->lo == b->lo && a->hi == b->hi && a->bytes == b->bytes &&
           (WEIR_LIKELY(a->bytes <= 16) || memcmp(a->text + 16, b->text + 16, a->bytes - 16) == 0);
}

static int
grow(struct counter *c)
{
    uint64_t slot_cnt = c->slots == NULL ? UINT64_C(1) << SLOTS_LG2_MIN : 2 * (c->mask + 1);
    struct entry *slots = calloc(slot_cnt, sizeof *slots);
    uint32_t *used = malloc(slot_cnt * sizeof *used);
    if (slots == NULL || used == NULL || slot_cnt > UINT32_MAX) {
        free(slots);
        free(used);
        return -1;
    }
    for (uint64_t i = 0; i < c->used_cnt; i++) {
        const struct entry *entry = &c->slots[c->used[i]];
        uint64_t slot = make_key(entry->text, entry->bytes, c->end).hash & (slot_cnt - 1);
        while (slots[slot].count != 0) {
            slot = (slot + 1) & (slot_cnt - 1);
        }
        slots[slot] = *entry;
        used[i] = (uint32_t)slot;
    }
    free(c->slots);
    free(c->used);
    c->slots = slots;
    c->used = used;
    c->mask = slot_cnt - 1;
    return 0;
}

/* Count the pending words, whose slots are on their way. */
static int
flush(struct counter *c)
{
    if (c->used_cnt + GROUP > (c->mask + 1) / 2 && grow(c) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < c->pending_cnt; i++) {
        const struct pending *p = &c->pending[i];
        uint64_t slot = p->hash & c->mask;
        while (c->slots[slot].count != 0 && !is_same(&c->slots[slot], &p->key)) {
            slot = (slot + 1) & c->mask;
        }
        if (c->slots[slot].count == 0) {
            c->slots[slot] = p->key;
            c->used[c->used_cnt++] = (uint32_t)slot;
        } else {
            c->slots[slot].count++;
        }
    }
    c->pending_cnt = 0;
    return 0;
}

static int
fire(struct counter *c)
{
    if (flush(c) != 0) {
        return -1;
    }
    for (uint64_t i = 0; i < c->used_cnt; i++) {
        struct entry *entry = &c->slots[c->used[i]];
        uint64_t sum = 0;
        uint32_t idx = 0;
        if (c->window_ms > 0) {
            sum = weir_row_add(sum, idx++, (uint64_t)c->window_start);
            sum = weir_row_add(sum, idx++, (uint64_t)(c->window_start + c->window_ms));
        }
        sum = weir_row_add(sum, idx++, weir_row_text(entry->text, entry->bytes));
        kernel_emit(&c->result, weir_row_add(sum, idx, entry->count));
        entry->count = 0;
    }
    c->used_cnt = 0;
    return 0;
}

/* One word and the white space behind it; a line feed there may end the window. */
static inline int
step(struct counter *c)
{
    const char *stop = word_end(c->at, c->end);
    if (stop > c->at) {
        struct pending p = make_key(c->at, (uint32_t)(stop - c->at), c->end);
        __builtin_prefetch(&c->slots[p.hash & c->mask]);
        c->pending[c->pending_cnt++] = p;
        c->result.events++;
        if (c->pending_cnt == GROUP && flush(c) != 0) {
            return -1;
        }
    }
    bool is_line = stop < c->end && *stop == '\n';
    c->at = stop + 1;
    if (!is_line) {
        return 0;
    }
    c->line++;
    if (c->window_ms > 0 && c->line >= c->window_start + c->window_ms) {
        int err = fire(c);
        c->window_start += c->window_ms;
        return err;
    }
    return 0;
}

int
kernel_words(const struct kernel_input *input, struct kernel_result *ret_result)
{
    static struct counter c;
    memset(&c, 0, sizeof c);
    c.at = (const char *)input->bytes;
    c.end = c.at + input->byte_cnt;
    c.window_ms = input->window_ms;
    c.line = 1;
    int err = grow(&c);
    while (c.at < c.end && err == 0) {
        err = step(&c);
    }
    err = err == 0 ? fire(&c) : err;
    free(c.slots);
    free(c.used);
    *ret_result = c.result;
    return err;
}
