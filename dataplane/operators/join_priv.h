/* SPDX-License-Identifier: Apache-2.0 */
/* join_priv.h: what the joins share: pairs on their way out (join.c), and panes of kept rows
 * (join_pane.c). */
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

/* A stretch of time: rows of both sides by key. */
struct join_pane {
    int64_t idx;
    struct weir_table *table; /* of struct join_entry; its namespace is idx */
    struct weir_row_store rows;
};

struct join_panes {
    struct weir_arena *arena;
    struct join_pane *at; /* [cnt], by idx */
    uint32_t cnt;
    uint32_t cap;
    struct weir_table_spec spec;
    uint64_t entry_cnt; /* of the last pane that ended: what to expect of the next */
    uint64_t owner; /* of all their tables: a restore finds the same, or refuses */
    bool is_giving; /* the first pane is half gone */
    bool is_giving_table; /* its rows are gone */
};

/* weir_join_panes_open, weir_join_panes_close - room for panes, as many as there may be tables. */
int weir_join_panes_open(struct weir_operator *op, struct join_panes *panes, uint32_t key_kind);
void weir_join_panes_close(struct join_panes *panes);
/* weir_join_pane_at - the position of the first pane of a number of at least idx. */
uint32_t weir_join_pane_at(const struct join_panes *panes, int64_t idx);
/* weir_join_pane_of - the pane of that number, made where there is none. Moves the others. */
int weir_join_pane_of(struct join_panes *panes, int64_t idx, struct join_pane **ret_pane);
/* weir_join_panes_give - free a piece of the first pane. WEIR_AGAIN; WEIR_DONE: it is gone. */
int weir_join_panes_give(struct join_panes *panes);
/* weir_join_panes_restore - those whose tables were put back. WEIR_ESTATE: of another owner. */
int weir_join_panes_restore(struct weir_operator *op, struct join_panes *panes, bool has_right);

__extension__ typedef __int128 join_wide;
/* weir_join_floor_div - how often `by` fits between off and time, rounded down. */
static inline int64_t
weir_join_floor_div(join_wide time, int64_t off, int64_t by)
{
    join_wide a = time - off;
    return (int64_t)(a / by - (a % by < 0 ? 1 : 0));
}

int weir_join_base_open(struct weir_operator *op, struct join_base *base, bool is_window);
/* weir_join_check_schemas - those of the operator are what the function is for; base has its conf
 * and schemas. */
int weir_join_check_schemas(const struct weir_operator *op, const struct join_base *base);
/* 0, or the error of a row that is no insert. */
int weir_join_inserts_only(const struct weir_view *in, uint32_t from);
void weir_join_flush(struct join_base *base, struct weir_out *out);
/* weir_join_add - take a pair of kept rows; right is NULL for semi, either one for outer. The
 * window and the time are in `like`. 1; 0: the output has no room for it now. */
int weir_join_add(struct join_base *base, const struct weir_row_item *left,
    const struct weir_row_item *right, const struct weir_join_pair *like, struct weir_out *out);

#endif
