/* SPDX-License-Identifier: Apache-2.0 */
/* join.h: rows of two inputs with equal keys, brought together.
 *
 *     WEIR_JOIN(seller, person, auction, sale)        left, right, result: defines seller_join
 *     {
 *         weir_join_text(out, &row->name, &left->name, at->left_heap);
 *         row->id = right->id;
 *         return left->age > 17;                      a pair that is refused leaves no row
 *     }
 *
 * These operators take it (input 0 is left, input 1 right):
 *
 *     weir_join_type          incremental: whichever row comes second meets all earlier ones of the
 *                             other side with its key. Rows are kept for ever. The result's event
 *                             time is the later one of the two.
 *     weir_window_join_type   rows of the same key and the same window, when the watermark passes
 *                             the window's last millisecond. at->window_start and _end are set; the
 *                             result's event time is window_end - 1. With `semi`, each left row
 *                             comes once if there is any right row at all, and `right` is NULL; of
 *                             those that are the `same` only the first.
 *     weir_outer_join_type    the same, and rows without a partner, too: `outer` says of which
 *                             side. What is missing is NULL.
 *     weir_interval_join_type rows of the same key whose event times are near each other:
 *                                 left + lower_ms <= right <= left + upper_ms
 *                             as the second of them comes. A bound is within; for one that is not,
 *                             add or take a millisecond. The result's event time is the later one.
 *                             Rows go once the watermark says that nobody can meet them any more.
 *     weir_ttl_join_type      as weir_join_type, but rows are met only by what comes within ttl_ms
 *                             of them, by the host's clock, and go some time after that.
 *
 * Outputs: 0 results; of the window and the interval join also 1 and 2: rows of the left and the
 *          right input that are late, as they came: the watermark of their channel, or that up to
 *          which the operator has fired, has passed the last window that they belong to; or,
 *          interval, is behind them.
 * State:   per key two lists of rows (row_list.h); but for the incremental join in a table per
 *          pane. Rows of an interval join, or with a time to live, are not found again where the
 *          length of its panes, a quarter of what is kept, is another one than when they were saved
 *          (WEIR_ESTATE).
 * Limits:  inputs of inserts only (joining.h has the join of changes); a row as
 *          WEIR_ROW_ITEM_BYTES_MAX; both keys of equal types.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_JOIN_H
#define WEIR_DATAPLANE_OPERATORS_JOIN_H

#include "dataplane/key.h"
#include "dataplane/operator.h"
#include "dataplane/window_span.h"

WEIR_C_BEGIN

/* A pair: rows as their structs, and where their strings lie. */
struct weir_join_pair {
    const void *left; /* NULL: outer */
    const void *right; /* NULL: semi, or outer */
    const char *left_heap;
    const char *right_heap;
    int64_t window_start; /* both 0 where there are no windows */
    int64_t window_end;
    int64_t time; /* of the result */
};

/* Emits a row for each pair that is not refused; room for all of them was granted. */
typedef void(weir_join_fn)(const struct weir_join_pair *pairs, uint32_t cnt, struct weir_out *out);

/* What WEIR_JOIN defines. */
struct weir_join {
    const char *name;
    const struct weir_schema *(*left_schema)(void);
    const struct weir_schema *(*right_schema)(void);
    const struct weir_schema *(*out_schema)(void);
    weir_join_fn *pairs;
};

/* Of which side rows without any partner come. */
enum weir_join_outer {
    WEIR_JOIN_INNER = 0,
    WEIR_JOIN_OUTER_LEFT = 1,
    WEIR_JOIN_OUTER_RIGHT = 2,
    WEIR_JOIN_OUTER_FULL = 3,
};

struct weir_join_conf {
    const struct weir_join *join;
    struct weir_key left_key;
    struct weir_key right_key;
    struct weir_window_span span; /* of the window join */
    bool semi; /* of the window join and the join of tables */
    /* Of the semi join of tumbling windows: whether two left rows of a key count as one. NULL: none
     * do. Looks at `left` and `left_heap` alone. */
    bool (*same)(const struct weir_join_pair *a, const struct weir_join_pair *b);
    enum weir_join_outer outer; /* of the same: not with semi */
    int64_t lower_ms; /* of the interval join: either may be negative */
    int64_t upper_ms;
    int64_t ttl_ms; /* of the join with a time to live */
    bool anti; /* of the join of tables: left rows without a partner, and no pairs */
};

/* weir_join_check - what open would refuse. WEIR_EGRAPH with the reason.
 *
 * Shape:   is_window: for weir_window_join_type.
 */
WEIR_API WEIR_MUST_USE int weir_join_check(const struct weir_join_conf *conf, bool is_window);

/* weir_interval_join_check, weir_ttl_join_check - the same of these. */
WEIR_API WEIR_MUST_USE int weir_interval_join_check(const struct weir_join_conf *conf);
WEIR_API WEIR_MUST_USE int weir_ttl_join_check(const struct weir_join_conf *conf);

extern WEIR_API const struct weir_operator_type weir_join_type;
extern WEIR_API const struct weir_operator_type weir_outer_join_type;
extern WEIR_API const struct weir_operator_type weir_interval_join_type;
extern WEIR_API const struct weir_operator_type weir_ttl_join_type;
extern WEIR_API const struct weir_operator_type weir_window_join_type;

/* weir_join_text - put a string of a joined row into the result; each at most once. */
static inline void
weir_join_text(
    struct weir_out *out, struct weir_str *to, const struct weir_str *from, const char *heap)
{
    struct weir_slice text = weir_str_slice(from, heap);
    weir_str_set_kept(out, to, text.ptr, text.bytes);
}

WEIR_C_END

/* WEIR_JOIN - see the top of this file. The body sees left, right, at (the pair), row and out. */
#define WEIR_JOIN(name, left_type, right_type, out_type)                                         \
    static inline bool name##_pair(const struct left_type *left, const struct right_type *right, \
        const struct weir_join_pair *at, struct out_type *row, struct weir_out *out);            \
    static void name##_pairs(                                                                    \
        const struct weir_join_pair *pairs, uint32_t cnt, struct weir_out *out)                  \
    {                                                                                            \
        for (uint32_t i = 0; i < cnt; i++) {                                                     \
            out->row_time = pairs[i].time;                                                       \
            uint32_t heap_end = out->heap_end;                                                   \
            struct out_type *row = out_type##_emit(out);                                         \
            if (!name##_pair((const struct left_type *)pairs[i].left,                            \
                    (const struct right_type *)pairs[i].right, &pairs[i], row, out)) {           \
                out->heap_end = heap_end;                                                        \
                out->view.cnt = --out->view.row_cnt;                                             \
            }                                                                                    \
        }                                                                                        \
    }                                                                                            \
    static const struct weir_join name##_join = {                                                \
        #name, left_type##_schema, right_type##_schema, out_type##_schema, name##_pairs};        \
    static inline bool name##_pair(const struct left_type *left WEIR_UNUSED,                     \
        const struct right_type *right WEIR_UNUSED, const struct weir_join_pair *at WEIR_UNUSED, \
        struct out_type *row, struct weir_out *out WEIR_UNUSED)

#endif
