/* SPDX-License-Identifier: Apache-2.0 */
/* Splits lines into words, 64 bytes at a time.
 *
 *     text      to be  or
 *     in word   110110011
 *     changes   1.11.11.1|1     begins and ends, in turn: each pair is a word
 *
 * Where words begin and end comes out of compares of whole vectors and of bit operations, so no
 * jump depends on a word's length: those are what a byte by byte loop spends its time on.
 *
 * State: where in the row under way it stopped. It stops between blocks where the output might not
 * hold what is in the next one; a word that is cut by a block's end is then begun anew.
 */
#include "apps/words/split.h"

#include "base/check.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define BLOCK 64
/* Words that a block may end: every second byte, and one that was begun before. */
#define BLOCK_WORD_CNT (BLOCK / 2 + 1) /* columns have room for WEIR_BATCH_CAP_ALIGN rows */

struct self {
    uint32_t byte; /* of the row under way: where to go on */
};

#if defined(__AVX2__)
/* Bit i: byte i is no white space. */
static inline uint32_t
word_bits_32(const char *p)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i low = _mm256_sub_epi8(bytes, _mm256_set1_epi8('\t'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(low, _mm256_set1_epi8(4)), low);
    __m256i blank = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' '));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(control, blank));
}
#endif

static inline uint64_t
word_bits(const char *p)
{
#if defined(__AVX2__)
    return word_bits_32(p) | (uint64_t)word_bits_32(p + 32) << 32;
#else
    uint64_t bits = 0;
    for (uint32_t i = 0; i < BLOCK; i++) {
        bool is_space = p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r');
        bits |= (uint64_t)!is_space << i;
    }
    return bits;
#endif
}

/* Whether `bytes` from p on may be read though only the first of them are known to be there: memory
 * comes in whole pages. */
static inline bool
may_overread(const char *p, uint32_t bytes)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)p;
    (void)bytes;
    return false;
#else
    return ((uintptr_t)p & (WEIR_PAGE_BYTES - 1)) <= WEIR_PAGE_BYTES - bytes;
#endif
}

/* The same of the first `cnt` of a block; the others count as white space. */
static inline uint64_t
word_bits_of(const char *p, uint32_t cnt)
{
    if (cnt >= BLOCK) {
        return word_bits(p);
    }
    if (may_overread(p, BLOCK)) {
        return word_bits(p) & ((UINT64_C(1) << cnt) - 1);
    }
    char copy[BLOCK];
    memset(copy, ' ', sizeof copy);
    memcpy(copy, p, cnt);
    return word_bits(copy);
}

/* What of a word of so many bytes goes into a struct weir_str: its first four bytes; those behind
 * them, or where it lies. */
struct word_mask {
    uint64_t first; /* in the upper half */
    uint64_t rest;
    uint64_t off;
    uint64_t zero; /* to 32 bytes */
};
#define FIRST_MASK(n) (n >= 4 ? ~(uint64_t)UINT32_MAX : (UINT64_C(1) << (32 + 8 * (n & 3))) - 1)
#define REST_MASK(n) (n <= 4 ? 0 : n > 12 ? 0 : UINT64_MAX >> (8 * (12 - n) & 63))
#define WORD_MASK(n)                                            \
    {                                                           \
        FIRST_MASK(n), REST_MASK(n), n > 12 ? UINT64_MAX : 0, 0 \
    }
#define LONG_BYTES (WEIR_STR_INLINE_BYTES + 1) /* and more, are all the same */
static const struct word_mask word_masks[LONG_BYTES + 1] = {WORD_MASK(0), WORD_MASK(1),
    WORD_MASK(2), WORD_MASK(3), WORD_MASK(4), WORD_MASK(5), WORD_MASK(6), WORD_MASK(7),
    WORD_MASK(8), WORD_MASK(9), WORD_MASK(10), WORD_MASK(11), WORD_MASK(12), WORD_MASK(13)};
WEIR_STATIC_ASSERT(WEIR_STR_INLINE_BYTES == 12, "the masks above");
#define WORD_READ_BYTES 12 /* of a word, however short it is */

/* A word of a heap as the two words of a struct weir_str. */
static inline void
put_word(const char *text, uint32_t bytes, uint64_t off, uint64_t *to)
{
    uint64_t first;
    uint64_t rest;
    const struct word_mask *mask = &word_masks[bytes < LONG_BYTES ? bytes : LONG_BYTES];
    memcpy(&first, text, sizeof first);
    memcpy(&rest, text + 4, sizeof rest);
    to[0] = (first << 32 & mask->first) | bytes;
    to[1] = (rest & mask->rest) | (off & mask->off);
}

static __attribute__((noinline)) void
put_word_at_end(const char *text, uint32_t bytes, uint64_t off, uint64_t *to)
{
    char copy[WORD_READ_BYTES] = {0};
    memcpy(copy, text, weir_min_u32(bytes, sizeof copy));
    put_word(copy, bytes, off, to);
}

/* Where words go, and the line that they come from. */
struct split {
    const char *text;
    uint64_t off; /* of the text in its heap */
    uint64_t *word; /* two a row */
    int64_t *time;
    int64_t at;
    uint32_t row_cnt;
    uint32_t row_cap;
    /* the word under way */
    uint32_t begin;
    bool is_open;
};

/* The words that end in the block at `at`. may_read: so much of the last one as if it were long. */
static inline __attribute__((always_inline)) void
put_words(struct split *split, uint32_t at, uint64_t in_word, bool may_read)
{
    const uint64_t last = UINT64_C(1) << (BLOCK - 1); /* so that there is a place to find */
    uint64_t before = in_word << 1 | split->is_open;
    uint64_t begins = in_word & ~before;
    uint64_t ends = ~in_word & before;
    uint32_t first = at + (uint32_t)__builtin_ctzll(begins | last);
    uint32_t begin = (uint32_t)weir_select(split->is_open, split->begin, first);
    begins = weir_select(split->is_open, begins, begins & (begins - 1));
    uint64_t *word = split->word + 2 * (size_t)split->row_cnt;
    int64_t *time = split->time + split->row_cnt;
    const char *text = split->text;
    uint64_t off = split->off;
    int64_t now = split->at;
    split->row_cnt += (uint32_t)__builtin_popcountll(ends);
    for (; ends != 0; ends &= ends - 1, begins &= begins - 1, word += 2) {
        uint32_t bytes = at + (uint32_t)__builtin_ctzll(ends) - begin;
        if (may_read) {
            put_word(text + begin, bytes, off + begin, word);
        } else {
            put_word_at_end(text + begin, bytes, off + begin, word);
        }
        *time++ = now;
        begin = at + (uint32_t)__builtin_ctzll(begins | last);
    }
    split->begin = begin;
    split->is_open = (in_word & last) != 0;
}

/* The words from byte `from` on of a line of `bytes`. Returns where it stopped. */
static uint32_t
split_line(struct split *split, uint32_t from, uint32_t bytes)
{
    split->is_open = false;
    for (uint32_t at = from; at < bytes; at += BLOCK) {
        if (split->row_cap - split->row_cnt < BLOCK_WORD_CNT) {
            return split->is_open ? split->begin : at;
        }
        const char *block = split->text + at;
        uint64_t in_word = word_bits_of(block, bytes - at);
        if (WEIR_LIKELY(bytes - at >= BLOCK + WORD_READ_BYTES ||
                        may_overread(block, BLOCK + WORD_READ_BYTES))) {
            put_words(split, at, in_word, true);
        } else {
            put_words(split, at, in_word, false);
        }
    }
    if (split->is_open) { /* it ends with its block */
        put_word_at_end(split->text + split->begin, bytes - split->begin, split->off + split->begin,
            split->word + 2 * (size_t)split->row_cnt);
        split->time[split->row_cnt++] = split->at;
    }
    return bytes;
}

static int64_t
split_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    struct weir_lane texts = weir_view_lane(in, offsetof(struct stamped, text), 16);
    struct weir_lane times = weir_view_lane(in, offsetof(struct stamped, at), 8);
    struct split split = {.word = (uint64_t *)(void *)WEIR_COLUMN(&out->view, struct word, word),
        .time = WEIR_COLUMN(&out->view, struct word, at),
        .row_cap = out->row_cap};
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    uint32_t i = cursor;
    WEIR_DCHECK(out->row_cap >= BLOCK_WORD_CNT, "%u columns", out->row_cap);
    (void)input;
    (void)now_ns;
    for (; i < in->cnt; i++) {
        uint32_t row = weir_view_row(in, i);
        const struct weir_str *line =
            (const struct weir_str *)(const void *)(texts.ptr + (size_t)texts.stride * row);
        split.text = weir_str_slice(line, in->heap).ptr;
        split.off = line->u.off; /* of no meaning in a short line: its words are short too */
        memcpy(&split.at, times.ptr + (size_t)times.stride * row, sizeof split.at);
        uint32_t row_cnt = split.row_cnt;
        uint32_t stop = split_line(&split, self->byte, line->bytes);
        min = split.row_cnt > row_cnt ? weir_min_i64(min, split.at) : min;
        max = split.row_cnt > row_cnt ? weir_max_i64(max, split.at) : max;
        self->byte = stop < line->bytes ? stop : 0;
        if (stop < line->bytes) {
            break;
        }
    }
    weir_out_share_heap(out, in);
    out->view.row_cnt = split.row_cnt;
    out->view.cnt = split.row_cnt;
    if (split.row_cnt > 0) {
        weir_view_set_bounds(&out->view, min, max);
    }
    return i - cursor;
}

const struct weir_operator_type words_split_type = {
    .name = "split",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .columns = true,
    .process = split_process,
};
