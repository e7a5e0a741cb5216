/* SPDX-License-Identifier: Apache-2.0 */
/* window_priv.h: what window.c (rows in), window_pane.c (panes and time) and window_fire.c (rows
 * out) share, and window_state.c.
 *
 * [format: State / Parts of windows]
 *
 *     "panes"          a list (state.h), of each pane: the windows from enter i64 to leave i64, and
 *                      role u64: 0 pending, 1 entered, 2 in front of the queue, 3 at its back
 *                      (version 2: entries of panes in a queue have marks)
 *     "frontier"       a word: up to which windows have fired
 *     "pane_entries"   a word: keys to expect of the next pane
 *
 * [end of format]
 */
#ifndef WEIR_DATAPLANE_OPERATORS_WINDOW_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_WINDOW_PRIV_H

#include "dataplane/keyed.h"
#include "dataplane/minheap.h"
#include "dataplane/operators/window.h"
#include "dataplane/window_fill.h"
#include "dataplane/state.h"
#include "dataplane/tally.h"

#define WINDOW_BLOCK WEIR_KEYED_ROW_CNT_MAX
#define WINDOW_PANE_NONE UINT32_MAX
/* Entries looked at in one call of watermark(): about 50 us of work. */
#define WINDOW_SLICE_ENTRIES 4096
/* Candidates of a top before a window is looked through a second time. */
#define WINDOW_CANDIDATE_CNT 512
#define WINDOW_SOURCE_CNT 3
/* PEAKS: panes of a window at most, and keys kept of each. */
#define WINDOW_PEAK_PANE_CNT_MAX 8
#define WINDOW_PEAK_CNT 256

/* Windows are numbered: window k is [offset + k slide, offset + k slide + size). */
struct window_grid {
    int64_t size;
    int64_t slide;
    int64_t offset; /* in [0, slide) */
    int64_t whole; /* size / slide */
    int64_t part; /* size % slide */
};

/* A pane: the rows that belong to exactly the windows [enter, leave]. */
struct window_pane {
    int64_t enter;
    int64_t leave;
    struct weir_table *table;
    uint32_t next; /* of its hash chain, or of the free list */
    uint32_t roles; /* restore: a bit for each that subtasks had it in; else only WINDOW_SHARED */
};
/* STACKS: in the queue with some of its keys, and aside with others: subtasks of before had it at
 * one place and the other. */
#define WINDOW_SHARED (1U << 31)

/* STACKS: where an entry of a pane stands, in the 8 bytes behind its accumulator; part of the
 * format. It is told by the entry, since the keys of a pane may have come from several subtasks,
 * which do not cut their queues at the same places. */
enum window_mark {
    WINDOW_ASIDE, /* in no queue: what the rows of the pane made */
    WINDOW_REST, /* in front: what is left once the pane is gone */
    WINDOW_LAST, /* in front: nothing is left then */
    WINDOW_BACK, /* at the back: what the rows made */
};

/* PEAKS: what a pane has at the top. */
struct window_peak {
    uint64_t key[2];
    int64_t count;
};

struct window_peaks {
    int64_t most; /* the greatest count in the pane */
    int64_t least; /* all keys with this count or a greater one are in the list */
    uint32_t cnt;
    struct window_peak peak[WINDOW_PEAK_CNT];
};

/* Where a time belongs, and the times around it of which the same is true. */
struct window_place {
    int64_t first_ms;
    int64_t last_ms; /* inclusive; below first_ms: not known */
    int64_t enter;
    int64_t leave;
    bool is_late;
    bool is_gap; /* in no window at all */
    uint32_t pane; /* its index, WINDOW_PANE_NONE: not looked up yet */
};

struct window_panes {
    struct window_pane *pane; /* [cap] */
    uint32_t *head; /* [mask + 1] hash chains */
    uint32_t mask;
    uint32_t cap;
    uint32_t fresh; /* records from here on were never used */
    uint32_t free;
    struct weir_minheap pending; /* rows still come; by the first window */
    struct weir_minheap
        entered; /* in the running result, under STACKS those out of order; by the last */
    /* STACKS: the entered panes in order, a ring of mask + 1: [from, turn) is the front,
     * [turn, to) the back. */
    uint32_t *queue;
    uint32_t queue_from;
    uint32_t queue_turn;
    uint32_t queue_to;
};

/* How a window's result comes about. */
enum window_mode {
    WINDOW_SINGLE, /* a window is one pane */
    WINDOW_SUBTRACT, /* the running table: add the new pane, subtract the old one */
    WINDOW_STACKS, /* no inverse: a front table that shrinks and a back table that grows */
    WINDOW_PEAKS, /* the most frequent key over a few panes: window_peak.c */
};

enum window_phase {
    WINDOW_NEXT,
    WINDOW_ENTER,
    WINDOW_STRAYS, /* STACKS: put what came out of order into a table of its own */
    WINDOW_LOOK, /* top: find out what the best are */
    WINDOW_EMIT,
    WINDOW_LEAVE,
    WINDOW_TURN, /* STACKS: make the back the front */
    WINDOW_GIVE, /* free the tables that are done with */
};

/* Where a firing stands. */
struct window_fire {
    enum window_phase phase;
    int64_t k; /* the window, or the last one fired */
    uint32_t pane; /* that enters, leaves or turns */
    uint32_t step; /* TURN and STRAYS: which pane; PEAKS: how far in its list */
    int64_t peak_least; /* PEAKS: a winner has this count in one pane at least */
    struct weir_table_cursor cursor;
    struct weir_table *source[WINDOW_SOURCE_CNT]; /* a key's result is merged over them */
    uint32_t source_cnt;
    uint32_t source_at;
    /* entries whose rows come next */
    uint32_t chunk_cnt;
    uint32_t chunk_at;
    struct weir_table *chunk_table;
    uint64_t key[WEIR_KEYED_WORD_CNT_MAX * WINDOW_BLOCK];
    void *acc[WINDOW_BLOCK];
    char *merged; /* [WINDOW_BLOCK] accumulators where several sources meet */
    /* top */
    int64_t rank[WINDOW_BLOCK];
    int64_t best[WEIR_WINDOW_TOP_CNT_MAX]; /* best ranks so far, best first */
    uint32_t best_cnt;
    bool is_full; /* more candidates than there is room for */
    uint32_t candidate_cnt;
    uint32_t candidate_at;
    int64_t *candidate_rank;
    uint64_t *candidate_key; /* as stored */
    char *candidate_acc;
    char *scratch_rows; /* top_by: [WINDOW_BLOCK] output rows */
    /* tables to free */
    struct weir_table **give;
    uint32_t give_cnt;
};

/* What follows from the conf and the schemas alone. */
struct window_plan {
    struct weir_keyed keyed;
    struct weir_aggregate agg;
    struct weir_window_fill fill;
    const struct weir_field *by; /* top_by */
    struct window_grid grid;
    enum window_mode mode;
    uint32_t acc_bytes; /* rounded up to 8: behind it lie the 8 bytes of the operator */
    uint32_t top_cnt;
};

struct window_self {
    struct window_plan plan;
    struct weir_arena *arena;
    uint32_t pane_state; /* numbers of the states, by which tables are found again */
    uint32_t sum_state;
    int64_t frontier; /* the watermark up to which windows have fired */
    int64_t open_watermark; /* of the last rows */
    int64_t open; /* the first window that a row may still count in */
    int64_t open_from; /* for watermarks in [from, until); empty: not known */
    int64_t open_until;
    struct window_place place; /* of the last row */
    struct window_panes panes;
    struct window_peaks *peaks; /* PEAKS: of each pane, by its index */
    struct weir_keyed_cache cache; /* of the pane that most rows go to */
    struct weir_tally tally; /* for who counts the rows in our place */
    struct weir_table *running; /* SUBTRACT: of all entered panes; STACKS: the front */
    struct weir_table *back; /* STACKS */
    struct weir_table *strays; /* STACKS */
    struct window_fire fire;
    void *mem;
    uint32_t row_bytes; /* of an output row */
    uint64_t pane_entry_cnt; /* of the last pane that entered: what to expect of the next */
    uint64_t entries_seen; /* of tables, while firing; for tests of its bound */
    /* scratch */
    struct weir_keyed_rows rows;
    struct weir_keyed_rows group;
};

/* ---- window.c ---- */

/* The plan of an operator that need not be open. */
int weir_window_plan_of(const struct weir_operator *op, struct window_plan *ret_plan);

/* ---- window_pane.c ---- */

int weir_window_grid_init(struct window_grid *grid, const struct weir_window_span *span);
/* The first window whose last millisecond lies behind a watermark. */
int64_t weir_window_grid_open(const struct window_grid *grid, int64_t watermark);
int64_t weir_window_grid_start(const struct window_grid *grid, int64_t k);
int64_t weir_window_grid_end(const struct window_grid *grid, int64_t k);
/* Whether a watermark has passed window k, saturated ends included. */
bool weir_window_grid_due(const struct window_grid *grid, int64_t k, int64_t watermark);
/* Where a time belongs while `open` is the first window that is. */
void weir_window_place_of(
    const struct window_grid *grid, int64_t time_ms, int64_t open, struct window_place *ret_place);

size_t weir_window_panes_footprint(uint32_t cap);
void weir_window_panes_init(struct window_panes *panes, void *mem, uint32_t cap);
/* The pane of these windows, or WINDOW_PANE_NONE. */
uint32_t weir_window_pane_find(struct window_panes *panes, int64_t enter, int64_t leave);
/* Find or make the pane of a place. WEIR_EBUDGET. */
int weir_window_pane_of(struct window_self *self, struct window_place *place);
/* Take a record out of its chain; its table is the caller's. */
void weir_window_pane_drop(struct window_panes *panes, uint32_t pane);
/* Put a pane into one of the two heaps. */
void weir_window_heap_push(struct window_panes *panes, struct weir_minheap *heap, uint32_t pane);

/* A running result: its namespace, and whether the operator's 8 bytes stand behind accumulators. */
#define WINDOW_NS_RUNNING 0
#define WINDOW_NS_BACK 1
#define WINDOW_NS_STRAYS 2
int weir_window_sum_take(struct window_self *self, int64_t ns, struct weir_table **ret_table);
struct weir_table_spec weir_window_pane_spec(const struct window_self *self);
struct weir_table_spec weir_window_sum_spec(const struct window_self *self, int64_t ns);
/* The namespace of a pane's table. Panes that are open at a time have different ones. */
int64_t weir_window_pane_ns(const struct window_grid *grid, int64_t enter, int64_t leave);
/* A record for a pane and its table, in no heap. WEIR_EBUDGET. */
int weir_window_pane_add(struct window_self *self, int64_t enter, int64_t leave,
    struct weir_table *table, uint32_t *ret_pane);

/* ---- window_cache.c ---- */

/* Which windows are open to rows behind a watermark, and behind what has fired. */
void weir_window_open_for(struct window_self *self, int64_t watermark);
/* Whether rows of the last row's place go by way of the cache. */
bool weir_window_cache_serves(struct window_self *self);
/* Rows that all belong to that place, where they do. Up to a block of rows; any number where they
 * are counted. Returns how many. */
int weir_window_add_cached(
    struct window_self *self, const struct weir_view *in, uint32_t from, uint32_t cnt);
struct weir_tally *weir_window_tally(struct weir_operator *op);

/* ---- window_state.c ---- */

extern const struct weir_state_desc weir_window_states[];
#define WINDOW_STATE_CNT 2
extern const struct weir_state_part weir_window_parts[];
#define WINDOW_PART_CNT 3
#define WINDOW_STATE_PANES "panes"
#define WINDOW_STATE_SUMS "sums"
int weir_window_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts);
int weir_window_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt);

/* ---- window_fire.c ---- */

/* STACKS: all of the queue becomes its front, wherever each of its entries stood. WEIR_EBUDGET. */
int weir_window_turn_all(struct window_self *self);

int
weir_window_fire(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns);
/* ---- window_emit.c ---- */

/* The next entries of the window's result into the chunk; 0 entries at its end. */
int weir_window_chunk_next(struct window_self *self);
/* Emit the rows of the chunk. WEIR_AGAIN: the output is full. */
int weir_window_chunk_emit(struct window_self *self, struct weir_out *out);
/* Start to look at the sources from their beginning. */
void weir_window_chunk_rewind(struct window_self *self);
/* Keep what may be among the best of the chunk. */
void weir_window_top_look(struct window_self *self);
/* Drop from the chunk what is not among the best. */
void weir_window_top_choose(struct window_self *self);
/* The next candidates into the chunk. */
void weir_window_top_next(struct window_self *self);

/* ---- window_peak.c ---- */

bool weir_window_peak_fits(const struct window_plan *plan);
/* Look through the next entries of a pane that enters; fire.step is 0 at its start. */
int weir_window_peak_enter(struct window_self *self, uint32_t pane);
void weir_window_peak_begin(struct window_self *self);
/* As weir_window_chunk_next(). */
int weir_window_peak_next(struct window_self *self);

#endif
