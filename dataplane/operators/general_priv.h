/* SPDX-License-Identifier: Apache-2.0 */
/* general_priv.h: what general.c (windows and rows in), general_session.c, general_trigger.c (when
 * they fire), general_fire.c (rows out) and general_state.c share.
 *
 * [format: State / Windows of keys (WEIR_STATE_WORD_VERSION)]
 *
 *     "windows"     key, end of the window (of sessions: key alone, its first session)
 *                   -> accumulator | struct general_slot | words of the trigger
 *     "sessions"    key, number of the session from 1 on -> the same
 *     "timers"      of event time, their namespace a window's id
 *     "clocks"      of host time, likewise
 *     "rows"        a list (kindset.h) of a key and a window's id: time i64 | the row as its struct
 *                   | texts
 *     "frontier"    a word: up to which watermark windows have fired
 *
 * [end of format]
 */
#ifndef WEIR_DATAPLANE_OPERATORS_GENERAL_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_GENERAL_PRIV_H

#include <string.h>

#include "dataplane/keyed.h"
#include "dataplane/kindset.h"
#include "dataplane/operators/general.h"
#include "dataplane/window_fill.h"
#include "dataplane/state.h"
#include "dataplane/timer.h"

#define GENERAL_BLOCK WEIR_KEYED_ROW_CNT_MAX
/* Timers that one call of watermark() fires: some 50 us. */
#define GENERAL_SLICE_TIMER_CNT 128
#define GENERAL_WORD_CNT_MAX 2
/* A time that is none, of a trigger's word. */
#define GENERAL_NEVER INT64_MIN

#define GENERAL_WINDOWS "windows"
#define GENERAL_SESSIONS "sessions"
#define GENERAL_TIMERS "timers"
#define GENERAL_CLOCKS "clocks"

/* Of a window of a key, behind its accumulator; all zero: there is none. */
struct general_slot {
    int64_t start;
    int64_t end; /* excluded */
    int64_t id; /* tells the windows of a key apart: the end; of a session, where it began first */
    int64_t timer; /* the one that is set, not later than anything is due; INT64_MAX: none, or it */
    uint64_t row_cnt; /* since it was emptied */
    uint64_t rest_cnt; /* of a key's first session: further ones */
    int64_t word[]; /* the trigger's: [word_cnt] */
};

/* What follows from the conf and the schemas alone. */
struct general_plan {
    struct weir_keyed keyed;
    struct weir_aggregate agg; /* name NULL: none */
    struct weir_window_fill fill;
    const struct weir_field *delta; /* the trigger's field */
    const struct weir_field *evict; /* the evictor's field */
    uint32_t acc_bytes; /* rounded up to 8 */
    uint32_t word_cnt;
    uint32_t val_bytes;
    bool keeps_rows;
    bool is_session;
    bool fires_at_end;
    bool has_clock; /* timers of host time */
};

/* A key as tables take it; borrowed from rows that were loaded. */
struct general_key {
    uint64_t hash;
    const char *key;
    const char *heap;
};

/* A window, as it begins. */
struct general_bounds {
    int64_t start;
    int64_t end;
    int64_t id;
};

/* Rows and their windows, one behind the other: what a block of rows is turned into. */
struct general_pairs {
    uint32_t cnt;
    uint8_t at[GENERAL_BLOCK]; /* the row's position in the block */
    uint16_t sel[GENERAL_BLOCK]; /* and in the batch */
    int64_t start[GENERAL_BLOCK];
    int64_t end[GENERAL_BLOCK];
    void *val[GENERAL_BLOCK];
    /* aligned windows: keys with their windows, to look up */
    int64_t id[GENERAL_BLOCK];
    uint64_t hash[GENERAL_BLOCK];
    uint64_t word[GENERAL_BLOCK * (WEIR_KEYED_WORD_CNT_MAX + 1)];
    uint32_t made[GENERAL_BLOCK];
};

/* A block of rows whose keys were loaded, on its way through the operator. */
struct general_block {
    const struct weir_view *view;
    uint32_t from; /* of the selection */
    uint32_t cnt;
    struct weir_out *out;
    uint16_t *late_sel; /* rows that are late: [late_cnt] of the batch */
    uint32_t late_cnt;
    uint32_t late_first; /* of this block, and where they stand in it */
    uint8_t late_at[GENERAL_BLOCK];
};

/* Row i of the block is late. */
static inline void
weir_general_late(struct general_block *block, uint32_t i)
{
    block->late_at[block->late_cnt - block->late_first] = (uint8_t)i;
    block->late_sel[block->late_cnt++] = (uint16_t)weir_view_row(block->view, block->from + i);
}

/* A firing that found no room: the pair stands first when its row comes again. */
struct general_resume {
    uint32_t pair_cnt; /* of the row, that are done, this one included; 0: there is none */
    int decision; /* of its trigger */
    int64_t now_ms; /* of the row, whose windows go by it */
};

/* One call of a trigger's or a window's function. */
struct general_trigger_call {
    struct weir_trigger_call call; /* first */
    struct general_self *self;
    struct general_key key;
    int64_t id;
};
struct general_window_call {
    struct weir_window_call call; /* first */
    struct general_self *self;
    struct general_key key;
    int64_t id;
};

struct general_self {
    struct general_plan plan;
    const struct weir_general_conf *conf;
    const struct weir_schema *in_schema;
    struct weir_table *table;
    struct weir_table *more; /* sessions but the first of each key */
    struct weir_timers timers;
    struct weir_timers clocks;
    struct weir_kindset kinds;
    struct weir_kind kind[WEIR_KIND_CNT_MAX];
    int64_t frontier; /* the watermark up to which windows have fired */
    int64_t watermark; /* of the rows at hand: their channel's, and not below the frontier */
    int64_t now_ms;
    struct general_resume resume;
    uint64_t call_at; /* of a window's function that waits for room */
    bool is_over; /* the input has ended: windows of host time fire */
    bool is_decided; /* the timer at hand: its trigger was asked, and there was no room */
    bool decided_by_clock;
    int decision;
    struct weir_keyed_rows rows; /* of a block */
    struct weir_keyed_rows one; /* of a timer */
    struct general_pairs pairs;
    struct weir_state_room row_room; /* a row on its way into state */
    struct weir_state_room col_room; /* a row of columns as its struct */
    char scratch[WEIR_GENERAL_ACC_BYTES_MAX] __attribute__((aligned(16)));
};

static inline struct general_slot *
general_slot_of(const struct general_self *self, void *val)
{
    return (struct general_slot *)(void *)((char *)val + self->plan.acc_bytes);
}

static inline bool
general_is_live(const struct general_slot *slot)
{
    return slot->end != slot->start;
}

static inline struct general_key
general_key_of(const struct weir_keyed_rows *rows, uint32_t i)
{
    struct general_key key = {
        rows->hash[i], rows->rows.key + (size_t)i * rows->rows.key_stride, rows->rows.heap};
    return key;
}

static inline struct weir_timer_key
general_timer_key(struct general_key key, int64_t id)
{
    struct weir_timer_key timer = {key.hash, key.key, key.heap, (uint64_t)id};
    return timer;
}

/* The key with a word behind it, as tables with a tail take it. */
static inline void
general_key_tailed(
    const struct general_self *self, struct general_key key, uint64_t tail, uint64_t *ret_word)
{
    memcpy(ret_word, key.key, self->plan.keyed.stride);
    ret_word[self->plan.keyed.stride / sizeof *ret_word] = tail;
}

/* The time of selected row i: where windows go by the clock, or there is none, that of now. */
static inline int64_t
weir_general_time(const struct general_self *self, const struct weir_view *view, uint32_t i)
{
    return self->conf->span.by_clock || view->time == NULL
               ? self->now_ms
               : weir_view_time(view, weir_view_row(view, i));
}

/* The last millisecond of a window; of the global one the end of time. */
static inline int64_t
general_last_ms(const struct general_self *self, const struct general_slot *slot)
{
    return self->conf->span.kind == WEIR_GENERAL_GLOBAL ? INT64_MAX : slot->end - 1;
}

/* When a window is forgotten, in its own time. */
static inline int64_t
general_cleanup_ms(const struct general_self *self, int64_t last_ms)
{
    return weir_add_sat(last_ms, self->conf->lateness_ms);
}

/* The list of a window's rows, of the current key. */
static inline struct weir_keyed_state *
general_rows_of(struct general_self *self, struct general_key key, int64_t id)
{
    self->kinds.hash = key.hash;
    self->kinds.heap = key.heap;
    memcpy(self->kinds.key, key.key, self->plan.keyed.stride);
    struct weir_keyed_state *rows = &self->kinds.state[0];
    weir_state_ns(rows, (uint64_t)id);
    return rows;
}

/* ---- general.c ---- */

/* The plan of an operator that need not be open. */
int weir_general_plan_of(const struct weir_operator *op, struct general_plan *ret_plan);
/* A fresh window in an entry that is all zero, and its first timer. */
int weir_general_begin(
    struct general_self *self, struct general_key key, void *val, struct general_bounds bounds);
/* Rows of pairs [at, pairs.cnt) of a block go into their windows, which may fire. Returns
 * GENERAL_BLOCK, or the position in the block of the row that found no room, or an error. */
int weir_general_run(struct general_self *self, struct general_block *block, uint32_t at);
/* The entry of a window, NULL: there is none. *ret_idx: of sessions, its number. */
void *
weir_general_find(struct general_self *self, struct general_key key, int64_t id, uint32_t *ret_idx);
/* Forget a window: its rows, its trigger's timers, its entry. idx as weir_general_find gave it. */
void weir_general_drop(struct general_self *self, struct general_key key, void *val, uint32_t idx);
/* Empty a window. */
void weir_general_purge(struct general_self *self, struct general_key key, void *val);

/* ---- general_session.c ---- */

/* As weir_general_run, of all rows of a block. */
int weir_general_sessions(struct general_self *self, struct general_block *block);
/* The session of an id, or NULL; *ret_idx is its number. */
void *weir_general_session_find(
    struct general_self *self, struct general_key key, int64_t id, uint32_t *ret_idx);
void weir_general_session_drop(struct general_self *self, struct general_key key, uint32_t idx);

/* ---- general_trigger.c ---- */

/* Rows of pairs [at, pairs.cnt) are shown to the trigger, and counted: the first pair that it
 * decides something about into *ret_decision, or pairs.cnt. Negative: an error. */
int weir_general_shown(
    struct general_self *self, const struct general_block *block, uint32_t at, int *ret_decision);
/* The earliest that is due of a window behind `after`; false: nothing ever. */
bool weir_general_due(const struct general_self *self, const struct general_slot *slot,
    int64_t after, int64_t *ret_time);
/* The window's timer is no later than what is due now. */
int weir_general_timer_lower(
    struct general_self *self, struct general_key key, struct general_slot *slot);
/* The words of a window's trigger become those of both. */
int weir_general_trigger_merge(struct general_self *self, struct general_key key,
    struct general_slot *into, const struct general_slot *from);
/* Timers that only the trigger knows of are deleted. */
void weir_general_trigger_clear(
    struct general_self *self, struct general_key key, struct general_slot *slot);
/* Timers up to a time fire: WEIR_DONE; WEIR_AGAIN; or an error. */
int
weir_general_timers(struct general_self *self, bool is_clock, int64_t up_to, struct weir_out *out);
/* A timer of host time that found no room is done with, before anything else: as above. */
int weir_general_timer_finish(struct general_self *self, struct weir_out *out);

/* ---- general_fire.c ---- */

/* A row of a batch into the list of its window. */
int weir_general_row_keep(struct general_self *self, const struct weir_view *view, uint32_t row,
    int64_t time, struct weir_keyed_state *rows);
/* A row of a batch as its struct; borrows from the view, or from scratch. */
const void *
weir_general_row_at(struct general_self *self, const struct weir_view *view, uint32_t row);
/* What a window has comes out: WEIR_DONE; WEIR_AGAIN: there is no room, call again; or an error. */
int weir_general_fire(
    struct general_self *self, struct general_key key, void *val, struct weir_out *out);

/* ---- general_state.c ---- */

#define GENERAL_STATE_CNT 4
extern const struct weir_state_desc weir_general_states[];
#define GENERAL_PART_CNT 2
extern const struct weir_state_part weir_general_parts[];
extern const struct weir_kind weir_general_rows_kind;
const struct weir_state_desc *weir_general_conf_state(const void *conf, uint32_t idx);
bool weir_general_keeps_rows(const struct weir_general_conf *conf);
int weir_general_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts);
int weir_general_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);

#endif
