/* SPDX-License-Identifier: Apache-2.0 */
/* join_priv.h: what join.c (incremental, and the parts that both have) and join_window.c share. */
#ifndef WEIR_DATAPLANE_OPERATORS_JOIN_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_JOIN_PRIV_H

#include "dataplane/keyed.h"
#include "dataplane/operators/join.h"
#include "dataplane/row_list.h"
#include "dataplane/state.h"

/* Pairs handed to the job's function together. */
#define JOIN_PAIR_CNT 64
#define JOIN_LEFT 0
#define JOIN_RIGHT 1

/* The value of an entry. */
struct join_entry {
    struct weir_row_list side[2];
};

/* Pairs on their way out. Room in the output is counted before a pair is taken. */
struct join_pairs {
    struct weir_join_pair pair[JOIN_PAIR_CNT];
    uint32_t cnt;
    uint32_t heap_bytes;
};

struct join_base {
    const struct weir_join_conf *conf;
    struct weir_arena *arena;
    const struct weir_schema *schema[2];
    struct weir_keyed keyed[2];
    struct weir_keyed_rows rows;
    struct weir_row_reader reader; /* of the batch that rows are kept of */
    struct join_pairs pairs;
    char scratch[2][WEIR_ROW_ITEM_BYTES_MAX] WEIR_ALIGNED(8);
};

extern const struct weir_state_desc weir_join_states[];
#define JOIN_STATE_CNT 1
#define JOIN_STATE "rows"

int weir_join_base_open(struct weir_operator *op, struct join_base *base, bool is_window);
/* weir_join_check_schemas - those of the operator are what the function is for; base has its conf
 * and schemas. */
int weir_join_check_schemas(const struct weir_operator *op, const struct join_base *base);
/* 0, or the error of a row that is no insert. */
int weir_join_inserts_only(const struct weir_view *in, uint32_t from);
void weir_join_flush(struct join_base *base, struct weir_out *out);
/* weir_join_add - take a pair of kept rows; right is NULL for semi. The window and the time are in
 * `like`. 1; 0: the output has no room for it now. */
int weir_join_add(struct join_base *base, const struct weir_row_item *left,
    const struct weir_row_item *right, const struct weir_join_pair *like, struct weir_out *out);

#endif
