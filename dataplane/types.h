/* SPDX-License-Identifier: Apache-2.0 */
/* types.h: event time, strings, and what a step of an operator may answer. */
#ifndef WEIR_DATAPLANE_TYPES_H
#define WEIR_DATAPLANE_TYPES_H

#include <string.h>

#include "base/base.h"

/* Event time and watermarks are milliseconds since 1970 UTC, as Flink's. */
#define WEIR_TIME_MIN INT64_MIN
#define WEIR_WATERMARK_MAX INT64_MAX
/* Watermarks below are no times: there is none yet, or they are rounds of a loop
 * (operators/loop.h). */
#define WEIR_TIME_FIRST (INT64_MIN / 4)

/* Durations of event time, in its unit. */
#define WEIR_MSEC INT64_C(1)
#define WEIR_S INT64_C(1000)
#define WEIR_MIN INT64_C(60000)
#define WEIR_HOUR INT64_C(3600000)

/* What a resumable step answers; a negative value is an error. */
enum weir_step {
    WEIR_DONE = 0, /* nothing left to do */
    WEIR_AGAIN = 1, /* call again: the output was full, or there is more */
    WEIR_WAIT = 2, /* nothing can be done now; something outside must happen first */
};

/* A string in a row: up to 12 bytes inline, else its first 4 bytes and where the whole lies in the
 * batch's heap.
 *
 *   bytes 0..3  length
 *   bytes 4..15 the text, zero-padded           (length <= 12)
 *   bytes 4..7  its first 4 bytes, 8..15 offset from the batch's heap   (longer)
 */
#define WEIR_STR_INLINE_BYTES 12
struct weir_str {
    uint32_t bytes;
    char head[4];
    union {
        char tail[8];
        uint64_t off;
    } u;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_str) == 16, "a string is 16 bytes in a row");

/* A string as pointer and length; borrowed from the batch it came from. */
struct weir_slice {
    const char *ptr;
    uint32_t bytes;
};

/* weir_str_slice - the text of s; heap is the heap of the batch that s lies in. */
static inline struct weir_slice
weir_str_slice(const struct weir_str *s, const char *heap)
{
    struct weir_slice slice;
    slice.ptr = s->bytes <= WEIR_STR_INLINE_BYTES ? s->head : heap + s->u.off;
    slice.bytes = s->bytes;
    return slice;
}

/* weir_str_words - up to 12 bytes of text as the second, third and fourth word of a string.
 *
 * Overlapping loads and shifts, in registers: a string that is put together in memory from small
 * stores and copied at once waits for every one of them.
 */
static inline void
weir_str_words(const char *text, uint32_t bytes, uint32_t *ret_head, uint64_t *ret_tail)
{
    uint32_t first = 0;
    uint32_t last = 0;
    uint64_t tail = 0;
    if (bytes >= 4) {
        memcpy(&first, text, sizeof first);
        memcpy(&last, text + bytes - 4, sizeof last);
        if (bytes > 8) {
            uint32_t middle;
            memcpy(&middle, text + 4, sizeof middle);
            tail = (uint64_t)last << (8 * (bytes - 8)) | middle;
        } else {
            tail = (uint64_t)last >> (8 * (8 - bytes));
        }
    } else if (bytes > 0) {
        first = (uint32_t)(uint8_t)text[0] |
                (uint32_t)(uint8_t)text[bytes / 2] << (8 * (bytes / 2)) |
                (uint32_t)(uint8_t)text[bytes - 1] << (8 * (bytes - 1));
    }
    *ret_head = first;
    *ret_tail = tail;
}

/* weir_str_ref - a text as a string: inline, or referring to where it lies in `heap`. */
static inline struct weir_str
weir_str_ref(const char *heap, const char *text, uint32_t bytes)
{
    uint32_t head;
    uint64_t tail = (uint64_t)(text - heap);
    if (WEIR_LIKELY(bytes > WEIR_STR_INLINE_BYTES)) {
        memcpy(&head, text, sizeof head);
    } else {
        weir_str_words(text, bytes, &head, &tail);
    }
    const uint64_t words[2] = {bytes | (uint64_t)head << 32, tail};
    struct weir_str s;
    memcpy(&s, words, sizeof s);
    return s;
}

/* weir_str_part - the text [from, from + bytes) of a long string, as a string of the same heap.
 *
 * Shape: from + bytes is within the length of `whole`, which is longer than it could be inline.
 */
static inline struct weir_str
weir_str_part(const struct weir_str *whole, const char *heap, uint32_t from, uint32_t bytes)
{
    return weir_str_ref(heap, heap + whole->u.off + from, bytes);
}

/* weir_str_inline - a string of at most WEIR_STR_INLINE_BYTES bytes, which needs no heap. */
static inline struct weir_str
weir_str_inline(const char *text, uint32_t bytes)
{
    return weir_str_ref(text, text, bytes);
}

#endif
