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

/* Times for which the same is true, looked up once for many rows. */
struct join_place {
    int64_t first_ms;
    int64_t last_ms; /* inclusive; below first_ms: not known */
    int64_t idx;
    uint64_t enter; /* windows of the pane that had passed when the row came: it is in the others */
    bool is_late;
    bool is_gap; /* in no window at all */
};

/* The window that fires. */
struct join_due {
    int64_t window; /* its number: it begins at offset + window * slide */
    uint32_t first; /* panes.at[first .. end) are of the window */
    uint32_t end;
    struct weir_join_pair like; /* window and time of what comes of it */
};

/* Rows in windows: pane idx begins at offset + idx * pane_ms. */
struct join_windows {
    struct join_base base;
    struct join_panes panes;
    int64_t pane_ms;
    int64_t size;
    int64_t slide;
    int64_t offset;
    int64_t fired; /* windows up to this one have fired */
    int64_t frontier; /* the greatest watermark that has fired */
    int64_t open_watermark; /* what place was worked out for */
    struct join_place place;
    struct join_due due;
};

int weir_join_windows_open(struct weir_operator *op, struct join_windows *windows);
void weir_join_windows_close(struct join_windows *windows);
/* weir_join_windows_process, weir_join_windows_restore - as the hooks of operator.h, for operators
 * whose own begins with struct join_windows. */
int64_t weir_join_windows_process(struct weir_operator *op, uint32_t input,
    const struct weir_view *in, uint32_t cursor, struct weir_out *out, int64_t now_ns);
int weir_join_windows_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);
void
weir_join_windows_snapshot(const struct join_windows *windows, struct weir_parts_writer *parts);
/* weir_join_windows_next - the next window with rows that a watermark makes due, as windows->due;
 * false: there is none. */
bool weir_join_windows_next(struct join_windows *windows, int64_t watermark);
/* weir_join_windows_passed - the windows that had passed by before the one that is due, from the
 * first one of a pane on: rows that came when more had passed (their tag) are not in it. */
uint64_t weir_join_windows_passed(const struct join_windows *windows, uint32_t pane);
/* weir_join_windows_done - the window has fired. True: no later one needs the first pane, which is
 * to be given back; then ask again. */
bool weir_join_windows_done(struct join_windows *windows);
#define JOIN_WINDOWS_PART_CNT 3
extern const struct weir_state_part weir_join_windows_parts[JOIN_WINDOWS_PART_CNT];

/* base->conf is the operator's own where it is NULL. */
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
