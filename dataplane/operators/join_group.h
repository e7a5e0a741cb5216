/* SPDX-License-Identifier: Apache-2.0 */
/* join_group.h: the rows that two inputs have of one key and window, given to one function.
 *
 *     struct at { int64_t cnt; };                 a position, all zero at first, kept over AGAIN
 *
 *     WEIR_COGROUP(balance, order, payment, open_item, struct at)    defines balance_group
 *     {
 *         struct weir_cogroup_row row;
 *         for (; weir_cogroup_peek(group, 1, &row); weir_cogroup_step(group, 1)) {
 *             pos->cnt += ((const struct payment *)row.row)->amount;
 *         }
 *         for (; weir_cogroup_peek(group, 0, &row); weir_cogroup_step(group, 0)) {
 *             if (!weir_out_room(out, 1, 0)) { return WEIR_AGAIN; }
 *             struct open_item *item = open_item_emit(out); ...
 *         }
 *         return WEIR_DONE;
 *     }
 *
 * It is called when the watermark passes the window's last millisecond, once for each key that has
 * a row of either side in the window. WEIR_AGAIN, where the output is full: it is called again, and
 * finds its position and the places it has come to on both sides as it left them. Rows of a side
 * come in the order in which they were kept, pane by pane; weir_cogroup_rewind begins again. The
 * event time of what it emits is the window's last millisecond.
 *
 * Outputs: 0 of the function; 1 and 2: late rows of the left and right input, as of the window join
 *          (join.h). State and limits: as its, too.
 * Source:  Flink's CoGroupedStreams.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_JOIN_GROUP_H
#define WEIR_DATAPLANE_OPERATORS_JOIN_GROUP_H

#include "dataplane/operators/join.h"

WEIR_C_BEGIN

/* A key and window; sides are 0 (left) and 1. */
struct weir_cogroup {
    int64_t window_start;
    int64_t window_end;
    int64_t time; /* of what is emitted */
    void *self;
};

/* Good until the next peek of its side. */
struct weir_cogroup_row {
    const void *row; /* as its struct */
    const char *heap; /* of its strings */
    int64_t time;
};

/* WEIR_DONE; WEIR_AGAIN: the output is full; or an error. */
typedef int(weir_cogroup_fn)(struct weir_cogroup *group, void *pos, struct weir_out *out);

/* What WEIR_COGROUP defines. */
struct weir_cogroup_function {
    const char *name;
    const struct weir_schema *(*left_schema)(void);
    const struct weir_schema *(*right_schema)(void);
    const struct weir_schema *(*out_schema)(void);
    uint32_t pos_bytes;
    weir_cogroup_fn *fire;
};

struct weir_cogroup_conf {
    const struct weir_cogroup_function *function;
    struct weir_key left_key;
    struct weir_key right_key;
    struct weir_window_span span;
};

/* weir_cogroup_check - what open would refuse. WEIR_EGRAPH with the reason. */
WEIR_API WEIR_MUST_USE int weir_cogroup_check(const struct weir_cogroup_conf *conf);

extern WEIR_API const struct weir_operator_type weir_cogroup_type;

/* weir_cogroup_peek - the row at a side's place; false: it has come to the end. */
WEIR_API bool
weir_cogroup_peek(struct weir_cogroup *group, uint32_t side, struct weir_cogroup_row *ret_row);
/* weir_cogroup_step - go on to the next row, behind a peek that was true. */
WEIR_API void weir_cogroup_step(struct weir_cogroup *group, uint32_t side);
/* weir_cogroup_rewind - back to the first row of a side. */
WEIR_API void weir_cogroup_rewind(struct weir_cogroup *group, uint32_t side);

WEIR_C_END

/* WEIR_COGROUP - see the top of this file. The body sees group, pos and out. */
#define WEIR_COGROUP(name, left_type, right_type, out_type, pos_type)                    \
    static inline int name##_fire_group(                                                 \
        struct weir_cogroup *group, pos_type *pos, struct weir_out *out);                \
    static int name##_fire(struct weir_cogroup *group, void *pos, struct weir_out *out)  \
    {                                                                                    \
        return name##_fire_group(group, (pos_type *)pos, out);                           \
    }                                                                                    \
    static const struct weir_cogroup_function name##_group = {#name, left_type##_schema, \
        right_type##_schema, out_type##_schema, sizeof(pos_type), name##_fire};          \
    static inline int name##_fire_group(                                                 \
        struct weir_cogroup *group, pos_type *pos WEIR_UNUSED, struct weir_out *out)

#endif
