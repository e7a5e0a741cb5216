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

/* The places of set bits, each plus `base`, behind to. A block of text has about 14. */
static inline uint32_t
place_bits(uint64_t bits, uint32_t base, uint32_t *to)
{
    uint32_t cnt = (uint32_t)__builtin_popcountll(bits);
    for (uint32_t done = 0; done < cnt; done += 16) {
        for (uint32_t i = 0; i < 16; i++) {
            to[done + i] = base + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
            bits &= bits - 1;
        }
    }
    return cnt;
}

/* A word of a heap as the two words of a struct weir_str. */
static inline void
put_word(const char *text, uint32_t bytes, uint64_t off, uint64_t *to)
{
    static const uint8_t ones[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    uint32_t first;
    uint64_t rest;
    uint32_t first_mask;
    uint64_t rest_mask;
    char copy[16];
    uint32_t head_bytes = weir_min_u32(bytes, 16);
    if (WEIR_UNLIKELY(!may_overread(text, sizeof copy))) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, text, head_bytes);
        text = copy;
    }
    memcpy(&first, text, 4);
    memcpy(&rest, text + 4, 8);
    memcpy(&first_mask, ones + 16 - head_bytes, 4);
    memcpy(&rest_mask, ones + 16 - head_bytes + 4, 8);
    to[0] = bytes | (uint64_t)(first & first_mask) << 32;
    to[1] = bytes <= WEIR_STR_INLINE_BYTES ? rest & rest_mask : off;
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
};

static void
put_pairs(struct split *split, const uint32_t *bound, uint32_t cnt)
{
    uint64_t *word = split->word + 2 * (size_t)split->row_cnt;
    int64_t *time = split->time + split->row_cnt;
    const char *text = split->text;
    uint64_t off = split->off;
    int64_t at = split->at;
    for (uint32_t i = 0; i < cnt; i++, word += 2) {
        uint32_t begin = bound[2 * i];
        put_word(text + begin, bound[2 * i + 1] - begin, off + begin, word);
        time[i] = at;
    }
    split->row_cnt += cnt;
}

/* The words from byte `from` on of a line of `bytes`. Returns where it stopped. */
static uint32_t
split_line(struct split *split, uint32_t from, uint32_t bytes)
{
    /* A pending begin, a block's changes, the line's end; place_bits writes in steps of 16. */
    uint32_t bound[1 + BLOCK + 16];
    uint32_t cnt = 0;
    uint32_t at = from;
    for (; at < bytes; at += BLOCK) {
        if (split->row_cap - split->row_cnt < BLOCK_WORD_CNT) {
            return cnt > 0 ? bound[0] : at;
        }
        uint64_t in_word = word_bits_of(split->text + at, bytes - at);
        cnt += place_bits(in_word ^ (in_word << 1 | cnt), at, bound + cnt);
        if (bytes - at <= BLOCK && cnt % 2 != 0) { /* only where it ends with its block */
            bound[cnt++] = bytes;
        }
        put_pairs(split, bound, cnt / 2);
        bound[0] = bound[cnt - (cnt % 2)];
        cnt %= 2;
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
        uint32_t stop = split_line(&split, self->byte, line->bytes);
        self->byte = stop < line->bytes ? stop : 0;
        if (stop < line->bytes) {
            break;
        }
    }
    weir_out_share_heap(out, in);
    out->view.row_cnt = split.row_cnt;
    out->view.cnt = split.row_cnt;
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
