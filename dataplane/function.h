/* SPDX-License-Identifier: Apache-2.0 */
/* function.h: per-record functions that become loops over batches.
 *
 *     WEIR_FILTER(dear, bid)                       { return in->price > 1000; }
 *     WEIR_MAP(in_euro, bid, euro)                 { out->auction = in->auction; ... }
 *     WEIR_FLATMAP(split, line, word, struct at)   { ... emit any number of rows ... }
 *
 * Each defines `<name>_op`, which the graph calls take. The body sees `in` (the row), `heap` (for
 * weir_str_slice() of its strings), and `out`; it is inlined into one loop per layout, so nothing
 * is called per record. A body keeps no state of its own: see process.h and window.h for that.
 *
 * WEIR_MAP may copy strings of `in` by value, or set short ones: the output shares the input's
 * heap. WEIR_FLATMAP copies text with weir_str_set_bytes(), within what weir_out_room() granted;
 * its position struct is zeroed for each row, and kept while the row is unfinished (WEIR_AGAIN).
 */
#ifndef WEIR_DATAPLANE_FUNCTION_H
#define WEIR_DATAPLANE_FUNCTION_H

#include "dataplane/operator.h"

enum weir_function_kind { WEIR_FUNCTION_FILTER, WEIR_FUNCTION_MAP, WEIR_FUNCTION_FLATMAP };

/* What the macros define. */
struct weir_function {
    enum weir_function_kind kind;
    const struct weir_schema *(*in_schema)(void);
    const struct weir_schema *(*out_schema)(void);
    struct weir_operator_type type;
};

/* A position of WEIR_FLATMAP functions that need none. */
struct weir_no_position {
    uint8_t unused;
};

/* The most that one row of a flat map may add to the heap between two looks at weir_out_room(). */
#define WEIR_STR_BYTES_MAX 4096

/* weir_out_share_heap - let rows of out refer to the heap of `in`: their strings may be copied by
 * value. The output holds rows of one input batch only, which the driver sees to. */
static inline void
weir_out_share_heap(struct weir_out *out, const struct weir_view *in)
{
    out->view.heap = in->heap;
    out->view.heap_region = in->heap_region;
    out->view.flags |= in->flags & (uint32_t)WEIR_BATCH_FOREIGN_HEAP;
}

/* weir_out_copy_times - hidden event times and kinds for the rows just made from
 * in[cursor..+cnt). */
static inline void
weir_out_copy_times(struct weir_out *out, const struct weir_view *in, uint32_t cursor, uint32_t cnt)
{
    struct weir_view *view = &out->view;
    if (out->has_time && in->time != NULL) {
        char *to = (char *)(uintptr_t)view->time + (size_t)view->time_stride * view->row_cnt;
        for (uint32_t i = 0; i < cnt; i++) {
            int64_t time = weir_view_time(in, weir_view_row(in, cursor + i));
            memcpy(to + (size_t)view->time_stride * i, &time, sizeof time);
        }
    }
    if (out->has_kind) {
        char *to = (char *)(uintptr_t)view->kind + (size_t)view->kind_stride * view->row_cnt;
        for (uint32_t i = 0; i < cnt; i++) {
            to[(size_t)view->kind_stride * i] =
                (char)weir_view_kind(in, weir_view_row(in, cursor + i));
        }
    }
}

/* weir_mask_to_sel - append to sel the indices of the set bytes of mask[0, cnt), offset by base. */
static inline uint32_t
weir_mask_to_sel(const uint8_t *mask, uint32_t cnt, uint32_t base, uint16_t *sel)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        sel[n] = (uint16_t)(base + i);
        n += mask[i];
    }
    return n;
}

#define WEIR_FUNCTION_BLOCK 256
/* How many rows ahead texts are fetched, into the second-level cache. */
#define WEIR_FETCH_ROWS 64
#define WEIR_READS_NO_TEXT SIZE_MAX

/* All calls of an operator behind process: in the order of the struct, and all behind them.
 * Written out, as C++ has it. */
#define WEIR_FUNCTION_NO_CALLS                                                                  \
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,   \
        NULL, false, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, WEIR_CHANGES_PASSED, NULL, NULL, \
        NULL, NULL, false, NULL, false, false, false, NULL, NULL, NULL, false, false, false

/* gcc 12 takes a loop over columns of rows with texts for a pure function, though it stores through
 * `to`, and drops the calls of it: the rows stay what they were. This says that it writes there. */
#define WEIR_FUNCTION_WRITES(to) __asm__("" : : "r"(to) : "memory");

#define WEIR_FILTER(name, in_type)                                                                 \
    static inline bool name##_row(const struct in_type *in, const char *heap);                     \
    /* The hot loop of the column layout: one byte a row, so that it vectorises. */                \
    static __attribute__((noinline)) void name##_columns(const char *WEIR_RESTRICT base,           \
        size_t cap, size_t from, const char *heap, uint8_t *WEIR_RESTRICT mask)                    \
    {                                                                                              \
        for (size_t i = 0; i < WEIR_FUNCTION_BLOCK; i++) {                                         \
            struct in_type row;                                                                    \
            in_type##_load(base, cap, from + i, &row);                                             \
            mask[i] = name##_row(&row, heap);                                                      \
        }                                                                                          \
        WEIR_FUNCTION_WRITES(mask)                                                                 \
    }                                                                                              \
    static int64_t name##_process(struct weir_operator *op, uint32_t input,                        \
        const struct weir_view *view, uint32_t cursor, struct weir_out *out, int64_t now_ns)       \
    {                                                                                              \
        uint16_t *sel = out->sel_buf;                                                              \
        const char *heap = view->heap;                                                             \
        uint32_t n = 0;                                                                            \
        (void)op;                                                                                  \
        (void)input;                                                                               \
        (void)now_ns;                                                                              \
        if (view->stride != 0 && view->sel == NULL) {                                              \
            const char *at = view->rows + (size_t)view->stride * cursor;                           \
            size_t stride = view->stride;                                                          \
            for (uint32_t i = cursor, end = view->cnt; i < end; i++, at += stride) {               \
                sel[n] = (uint16_t)i;                                                              \
                n += name##_row((const struct in_type *)(const void *)at, heap);                   \
            }                                                                                      \
        } else if (view->stride != 0) {                                                            \
            for (uint32_t i = cursor; i < view->cnt; i++) {                                        \
                uint32_t row = view->sel[i];                                                       \
                sel[n] = (uint16_t)row;                                                            \
                n +=                                                                               \
                    name##_row((const struct in_type *)(const void *)(view->rows +                 \
                                                                      (size_t)view->stride * row), \
                        heap);                                                                     \
            }                                                                                      \
        } else {                                                                                   \
            uint32_t i = cursor;                                                                   \
            while (view->sel == NULL && i + WEIR_FUNCTION_BLOCK <= view->cnt) {                    \
                uint8_t mask[WEIR_FUNCTION_BLOCK];                                                 \
                name##_columns(view->rows, view->cap, i, heap, mask);                              \
                n += weir_mask_to_sel(mask, WEIR_FUNCTION_BLOCK, i, sel + n);                      \
                i += WEIR_FUNCTION_BLOCK;                                                          \
            }                                                                                      \
            for (; i < view->cnt; i++) {                                                           \
                struct in_type row;                                                                \
                uint32_t idx = weir_view_row(view, i);                                             \
                in_type##_load(view->rows, view->cap, idx, &row);                                  \
                sel[n] = (uint16_t)idx;                                                            \
                n += name##_row(&row, heap);                                                       \
            }                                                                                      \
        }                                                                                          \
        if (n > 0) {                                                                               \
            weir_out_pass(out, view, n);                                                           \
        }                                                                                          \
        return view->cnt - cursor;                                                                 \
    }                                                                                              \
    static const struct weir_function name##_op = {WEIR_FUNCTION_FILTER, in_type##_schema,         \
        in_type##_schema,                                                                          \
        {#name, 0, 1, 1, false, false, NULL, name##_process, WEIR_FUNCTION_NO_CALLS}};             \
    static inline bool name##_row(const struct in_type *in, const char *heap WEIR_UNUSED)

/* weir_view_fetch_text - start to fetch the text of row i's string at `off` of a row layout.
 *
 * Shape:   rows behind the last one, and texts that lie inline, are passed over. Always inline: gcc
 *          drops calls of a function that does nothing but prefetch.
 */
static inline __attribute__((always_inline)) void
weir_view_fetch_text(const struct weir_view *view, size_t off, uint32_t i)
{
    if (off != WEIR_READS_NO_TEXT && i < view->cnt) {
        struct weir_str str;
        memcpy(&str, view->rows + (size_t)view->stride * weir_view_row(view, i) + off, sizeof str);
        if (str.bytes > WEIR_STR_INLINE_BYTES) {
            const char *text = view->heap + str.u.off;
            __builtin_prefetch(text, 0, WEIR_FETCH_L2);
            __builtin_prefetch(text + WEIR_LINE_BYTES, 0, WEIR_FETCH_L2);
        }
    }
}

/* WEIR_MAP_OF_TEXT(name, in, out, field) is a WEIR_MAP that reads the text of the string `field`.
 * It is fetched some rows ahead: a text that nobody has read yet, as that of a mapped file, is a
 * miss of its own in every row. */
#define WEIR_MAP(name, in_type, out_type) \
    WEIR_MAP_FETCH(name, in_type, out_type, WEIR_READS_NO_TEXT)
#define WEIR_MAP_OF_TEXT(name, in_type, out_type, field) \
    WEIR_MAP_FETCH(name, in_type, out_type, offsetof(struct in_type, field))

#define WEIR_MAP_FETCH(name, in_type, out_type, text_off)                                          \
    static inline void name##_row(                                                                 \
        const struct in_type *in, const char *heap, struct out_type *out);                         \
    static __attribute__((noinline)) void name##_columns(const char *WEIR_RESTRICT from,           \
        size_t from_cap, const char *heap, char *WEIR_RESTRICT to, size_t to_cap, size_t cnt)      \
    {                                                                                              \
        for (size_t i = 0; i < cnt; i++) {                                                         \
            struct in_type row;                                                                    \
            struct out_type made;                                                                  \
            in_type##_load(from, from_cap, i, &row);                                               \
            name##_row(&row, heap, &made);                                                         \
            out_type##_store(to, to_cap, i, &made);                                                \
        }                                                                                          \
        WEIR_FUNCTION_WRITES(to)                                                                   \
    }                                                                                              \
    static int64_t name##_process(struct weir_operator *op, uint32_t input,                        \
        const struct weir_view *view, uint32_t cursor, struct weir_out *out, int64_t now_ns)       \
    {                                                                                              \
        uint32_t cnt = weir_min_u32(view->cnt - cursor, out->row_cap);                             \
        char *to = out->view.rows;                                                                 \
        size_t to_cap = out->view.cap;                                                             \
        const char *heap = view->heap;                                                             \
        (void)op;                                                                                  \
        (void)input;                                                                               \
        (void)now_ns;                                                                              \
        weir_out_copy_times(out, view, cursor, cnt);                                               \
        if (view->stride != 0) {                                                                   \
            const struct weir_view rows = *view; /* nothing stored may change it */                \
            for (uint32_t i = 0; text_off != WEIR_READS_NO_TEXT && i < WEIR_FETCH_ROWS; i++) {     \
                weir_view_fetch_text(&rows, text_off, cursor + i);                                 \
            }                                                                                      \
            for (uint32_t i = 0; i < cnt; i++) {                                                   \
                struct out_type made;                                                              \
                uint32_t row = weir_view_row(&rows, cursor + i);                                   \
                weir_view_fetch_text(&rows, text_off, cursor + i + WEIR_FETCH_ROWS);               \
                name##_row(                                                                        \
                    (const struct in_type *)(const void *)(rows.rows + (size_t)rows.stride * row), \
                    heap, &made);                                                                  \
                out_type##_store(to, to_cap, i, &made);                                            \
            }                                                                                      \
        } else if (view->sel == NULL && cursor == 0) {                                             \
            name##_columns(view->rows, view->cap, heap, to, to_cap, cnt);                          \
        } else {                                                                                   \
            for (uint32_t i = 0; i < cnt; i++) {                                                   \
                struct in_type row;                                                                \
                struct out_type made;                                                              \
                in_type##_load(view->rows, view->cap, weir_view_row(view, cursor + i), &row);      \
                name##_row(&row, heap, &made);                                                     \
                out_type##_store(to, to_cap, i, &made);                                            \
            }                                                                                      \
        }                                                                                          \
        out->view.row_cnt = cnt;                                                                   \
        out->view.cnt = cnt;                                                                       \
        weir_out_share_heap(out, view);                                                            \
        return cnt;                                                                                \
    }                                                                                              \
    static const struct weir_function name##_op = {WEIR_FUNCTION_MAP, in_type##_schema,            \
        out_type##_schema,                                                                         \
        {#name, 0, 1, 1, true, false, NULL, name##_process, WEIR_FUNCTION_NO_CALLS}};              \
    static inline void name##_row(                                                                 \
        const struct in_type *in, const char *heap WEIR_UNUSED, struct out_type *out)

/* State of a flat map: the position within the row that is unfinished. */
#define WEIR_FLATMAP(name, in_type, out_type, pos_type)                                      \
    struct name##_self {                                                                     \
        bool inside;                                                                         \
        pos_type pos;                                                                        \
    };                                                                                       \
    static inline int name##_row(                                                            \
        const struct in_type *in, const char *heap, pos_type *pos, struct weir_out *out);    \
    static int64_t name##_process(struct weir_operator *op, uint32_t input,                  \
        const struct weir_view *view, uint32_t cursor, struct weir_out *out, int64_t now_ns) \
    {                                                                                        \
        struct name##_self *self = (struct name##_self *)op->self;                           \
        uint32_t i = cursor;                                                                 \
        (void)input;                                                                         \
        (void)now_ns;                                                                        \
        for (; i < view->cnt; i++) {                                                         \
            uint32_t idx = weir_view_row(view, i);                                           \
            struct in_type row;                                                              \
            const struct in_type *in = &row;                                                 \
            if (view->stride != 0) {                                                         \
                in = (const struct in_type *)(const void *)(view->rows +                     \
                                                            (size_t)view->stride * idx);     \
            } else {                                                                         \
                in_type##_load(view->rows, view->cap, idx, &row);                            \
            }                                                                                \
            if (!self->inside) {                                                             \
                memset(&self->pos, 0, sizeof self->pos);                                     \
                self->inside = true;                                                         \
            }                                                                                \
            if (out->has_time && view->time != NULL) {                                       \
                out->row_time = weir_view_time(view, idx);                                   \
            }                                                                                \
            if (out->has_kind) {                                                             \
                out->row_kind = weir_view_kind(view, idx);                                   \
            }                                                                                \
            if (name##_row(in, view->heap, &self->pos, out) != WEIR_DONE) {                  \
                break;                                                                       \
            }                                                                                \
            self->inside = false;                                                            \
        }                                                                                    \
        return i - cursor;                                                                   \
    }                                                                                        \
    static const struct weir_function name##_op = {WEIR_FUNCTION_FLATMAP, in_type##_schema,  \
        out_type##_schema,                                                                   \
        {#name, sizeof(struct name##_self), 1, 1, false, false, NULL, name##_process,        \
            WEIR_FUNCTION_NO_CALLS}};                                                        \
    static inline int name##_row(const struct in_type *in, const char *heap WEIR_UNUSED,     \
        pos_type *pos WEIR_UNUSED, struct weir_out *out)

/* weir_str_token - the next word of a text, split on ASCII white space.
 *
 * Shape:   *byte is where to look from, 0 at first; on true it is moved behind the word.
 * Returns: false when there is none left. Owner: *ret_word borrows from the text.
 */
static inline bool
weir_str_token(
    const char *heap, const struct weir_str *text, uint32_t *byte, struct weir_slice *ret_word)
{
    struct weir_slice all = weir_str_slice(text, heap);
    uint32_t at = *byte;
    while (at < all.bytes && (all.ptr[at] == ' ' || (all.ptr[at] >= '\t' && all.ptr[at] <= '\r'))) {
        at++;
    }
    uint32_t begin = at;
    while (
        at < all.bytes && !(all.ptr[at] == ' ' || (all.ptr[at] >= '\t' && all.ptr[at] <= '\r'))) {
        at++;
    }
    *byte = at;
    ret_word->ptr = all.ptr + begin;
    ret_word->bytes = at - begin;
    return at > begin;
}

#endif
