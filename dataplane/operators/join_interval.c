/* SPDX-License-Identifier: Apache-2.0 */
/* Joins rows of two inputs that have the same key and are near each other in time: in event time
 * (interval), or in the time at which they came (time to live).
 *
 *     -2 s to 1 s:   left (1 00:10)   right (1 00:08) (1 00:11) (1 00:12)   ->   00:08, 00:11
 *
 * State: panes, each a table from the key to two lists of rows. A row joins the list of its side in
 * the pane of its time, and then meets the other lists of its key in all panes within reach, so
 * that each pair is made once. Where the output is full in the middle of a list, the same row is
 * offered again and goes on at the item it had come to. Panes are a quarter of what is kept, so a
 * row looks into a handful of them, and what nobody can meet any more goes a pane at a time.
 *
 * Watermarks: free panes, in slices, and are then passed on: results have the later time of two
 * rows that were not late. With a time to live panes are freed when their time has come.
 *
 * Checkpoints: tables and rows lie in state pages, a table's namespace is its pane's number. The
 * part is the watermark. A pane that is being freed is gone before a barrier.
 */
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/join.h"
#include "dataplane/operators/join_priv.h"

/* Panes that what is kept is divided into, and the least that one is: rows of a short interval are
 * told apart by their times, but there are not as many panes as milliseconds. */
#define PANE_CNT 4
#define PANE_MS_MIN 1000
/* Steps of freeing in one call: some 50 us. */
#define SLICE_STEPS 16

struct self {
    struct join_base base;
    struct join_panes panes;
    bool is_ttl;
    int64_t pane_ms;
    int64_t keep_ms; /* so long behind a pane's last millisecond its rows may be met */
    /* A row of time t of a side meets those of the other with times in [t + low, t + high]. */
    int64_t low[2];
    int64_t high[2];
    int64_t frontier; /* interval: the greatest watermark that was seen to */
    int64_t now_ms; /* time to live: UTC */
    /* A row that has joined its list and not yet met all there are. */
    bool is_half;
    uint32_t own; /* its item */
    int64_t own_ms;
    int64_t pane; /* the number of the pane it goes on in */
    uint32_t next; /* and the item; 0: the first */
};

int
weir_interval_join_check(const struct weir_join_conf *conf)
{
    if (conf->lower_ms > conf->upper_ms) {
        return weir_err_push(WEIR_EGRAPH, "an interval from %lld ms to %lld ms is empty",
            (long long)conf->lower_ms, (long long)conf->upper_ms);
    }
    return weir_join_check(conf, false);
}

int
weir_ttl_join_check(const struct weir_join_conf *conf)
{
    if (conf->ttl_ms <= 0) {
        return weir_err_push(WEIR_EGRAPH, "rows that live for %lld ms", (long long)conf->ttl_ms);
    }
    return weir_join_check(conf, false);
}

static int
near_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct weir_join_conf *conf = op->conf;
    self->is_ttl = op->type == &weir_ttl_join_type;
    int err = self->is_ttl ? weir_ttl_join_check(conf) : weir_interval_join_check(conf);
    err = err < 0 ? err : weir_join_base_open(op, &self->base, false);
    if (err < 0) {
        return err;
    }
    self->frontier = WEIR_TIME_MIN;
    if (self->is_ttl) {
        self->keep_ms = conf->ttl_ms;
        for (uint32_t side = 0; side < 2; side++) {
            self->low[side] = 1 - conf->ttl_ms; /* those ahead came before the clock was set back */
            self->high[side] = INT64_MAX;
        }
    } else {
        self->low[JOIN_LEFT] = conf->lower_ms;
        self->high[JOIN_LEFT] = conf->upper_ms;
        self->low[JOIN_RIGHT] = -weir_max_i64(conf->upper_ms, -INT64_MAX);
        self->high[JOIN_RIGHT] = -weir_max_i64(conf->lower_ms, -INT64_MAX);
        self->keep_ms = weir_max_i64(self->high[JOIN_LEFT], self->high[JOIN_RIGHT]);
    }
    self->pane_ms = weir_max_i64(self->keep_ms / PANE_CNT, PANE_MS_MIN);
    self->panes.owner = (uint64_t)self->pane_ms;
    return weir_join_panes_open(op, &self->panes, self->base.keyed[0].kind);
}

static int
near_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_join_panes_close(&self->panes);
    weir_keyed_rows_fini(&self->base.rows);
    return 0;
}

static int64_t
pane_number(const struct self *self, int64_t time)
{
    return weir_join_floor_div(time, 0, self->pane_ms);
}

/* ---- rows ---- */

/* Row i of the loaded block, number `at` of the selection, joins its list. */
static int
row_keep(struct self *self, uint32_t side, uint32_t i, uint32_t at, int64_t time)
{
    struct join_base *base = &self->base;
    const struct weir_table_rows *rows = &base->rows.rows;
    struct join_pane *pane;
    void *val;
    bool made;
    int err = weir_join_pane_of(&self->panes, pane_number(self, time), &pane);
    if (err < 0) {
        return err;
    }
    struct weir_table_rows one = *rows;
    one.hash = rows->hash + i;
    one.key = rows->key + (size_t)i * rows->key_stride;
    one.cnt = 1;
    err = weir_table_find_or_make(pane->table, &one, &val, &made);
    if (err < 0) {
        return err;
    }
    const struct weir_row_adds adds = {.store = &pane->rows,
        .hash = rows->hash + i,
        .val = &val,
        .list_off = side * (uint32_t)sizeof(struct weir_row_list),
        .first = at,
        .cnt = 1,
        .scratch = base->scratch[side],
        .tag = (uint64_t)time};
    err = weir_row_lists_add(&base->reader, &adds);
    if (err < 0) {
        return err;
    }
    self->is_half = true;
    self->own = ((const struct join_entry *)val)->side[side].last;
    self->own_ms = time;
    self->pane = pane_number(self, weir_add_sat(time, self->low[side]));
    self->next = 0;
    return 0;
}

/* The row meets a list, from self->next on. WEIR_DONE; WEIR_AGAIN: the output is full; an error. */
static int
list_meet(struct self *self, uint32_t side, const struct weir_row_list *list,
    struct weir_row_item *item, struct weir_out *out)
{
    struct join_base *base = &self->base;
    uint32_t other = 1 - side;
    int64_t first_ms = weir_add_sat(self->own_ms, self->low[side]);
    int64_t last_ms = weir_add_sat(self->own_ms, self->high[side]);
    if (self->next == 0) {
        self->next = weir_row_list_first(base->arena, list);
    }
    while (self->next != 0) {
        weir_row_item_at(
            base->arena, base->schema[other], self->next, base->scratch[other], &item[other]);
        int64_t time = (int64_t)item[other].tag;
        if (time >= first_ms && time <= last_ms - WEIR_MUTANT(INTERVAL_BOUND_SHORT)) {
            struct weir_join_pair like;
            memset(&like, 0, sizeof like);
            like.time = weir_max_i64(item[0].time, item[1].time);
            int taken = weir_join_add(base, &item[JOIN_LEFT], &item[JOIN_RIGHT], &like, out);
            if (taken <= 0) {
                return taken < 0 ? taken : WEIR_AGAIN;
            }
        }
        self->next = weir_row_list_after(list, self->next, &item[other]);
    }
    return WEIR_DONE;
}

/* Row i of the block, which is kept, meets all rows of the other side within reach. As above. */
static int
row_meet(struct self *self, uint32_t side, uint32_t i, struct weir_out *out)
{
    struct join_base *base = &self->base;
    const struct weir_table_rows *rows = &base->rows.rows;
    const char *key = rows->key + (size_t)i * rows->key_stride;
    int64_t last = pane_number(self, weir_add_sat(self->own_ms, self->high[side]));
    struct weir_row_item item[2];
    weir_row_item_at(base->arena, base->schema[side], self->own, base->scratch[side], &item[side]);
    uint32_t at = weir_join_pane_at(&self->panes, self->pane);
    for (; at < self->panes.cnt && self->panes.at[at].idx <= last; at++) {
        const struct join_pane *pane = &self->panes.at[at];
        const struct join_entry *entry =
            weir_table_find(pane->table, rows->hash[i], key, rows->heap);
        if (entry == NULL) {
            continue;
        }
        self->pane = pane->idx;
        int step = list_meet(self, side, &entry->side[1 - side], item, out);
        if (step != WEIR_DONE) {
            return step;
        }
    }
    self->is_half = false;
    return WEIR_DONE;
}

/* A loaded block, whose first row is number `at` of the selection. Late rows go into sel. Returns
 * rows done, or an error. */
static int
block_join(struct self *self, uint32_t side, uint32_t at, struct weir_out *out, uint32_t *late_cnt)
{
    const struct weir_view *in = self->base.reader.view;
    int64_t open_ms = weir_max_i64(in->watermark, self->frontier);
    for (uint32_t i = 0; i < self->base.rows.rows.cnt; i++) {
        uint32_t row = weir_view_row(in, at + i);
        int64_t time = self->is_ttl ? self->now_ms : weir_view_time(in, row);
        if (!self->is_ttl && time < open_ms && !self->is_half) {
            out[1 + side].sel_buf[(*late_cnt)++] = (uint16_t)row;
            continue;
        }
        int step = self->is_half ? 0 : row_keep(self, side, i, at + i, time);
        step = step < 0 ? step : row_meet(self, side, i, out);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
    }
    return (int)self->base.rows.rows.cnt;
}

static void
set_now(struct weir_operator *op, int64_t now_ns)
{
    struct self *self = op->self;
    self->now_ms = weir_operator_utc_ms(op, now_ns);
}

static int64_t
near_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    set_now(op, now_ns);
    if (in->time == NULL && !self->is_ttl) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to join them by");
    }
    int err = weir_join_inserts_only(in, cursor);
    if (err < 0) {
        return err;
    }
    weir_row_reader_init(&self->base.reader, in);
    uint32_t late_cnt = 0;
    uint32_t at = cursor;
    bool is_full = false;
    while (at < in->cnt && !is_full) {
        uint32_t cnt = weir_keyed_block(&self->base.rows, in->cnt - at);
        int loaded = weir_keyed_load(&self->base.keyed[input], in, at, cnt, &self->base.rows);
        if (loaded < 0) {
            return loaded;
        }
        self->base.rows.rows.cnt = (uint32_t)loaded;
        int done = block_join(self, input, at, out, &late_cnt);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        is_full = done < loaded;
    }
    weir_join_flush(&self->base, out);
    weir_keyed_took(&self->base.rows, at - cursor, is_full);
    if (late_cnt > 0) {
        weir_out_pass(&out[1 + input], in, late_cnt);
        op->rows_late += late_cnt;
    }
    return at - cursor;
}

/* ---- what nobody can meet any more ---- */

/* The first millisecond, of event time or of UTC, at which the oldest pane is of no use. */
static int64_t
first_free_ms(const struct self *self)
{
    int64_t end_ms;
    if (__builtin_mul_overflow(self->panes.at[0].idx + 1, self->pane_ms, &end_ms)) {
        return INT64_MAX;
    }
    return weir_add_sat(
        end_ms, WEIR_MUTANT(INTERVAL_PANE_EARLY) ? self->high[JOIN_RIGHT] : self->keep_ms);
}

/* Frees panes, the rest of one that is half gone first. WEIR_AGAIN: there are more. */
static int
free_panes(struct self *self, int64_t now_ms, uint32_t step_cnt)
{
    bool is_half_gone = self->panes.is_giving;
    while (self->panes.cnt > 0 && (is_half_gone || first_free_ms(self) <= now_ms)) {
        if (step_cnt-- == 0) {
            return WEIR_AGAIN;
        }
        is_half_gone = weir_join_panes_give(&self->panes) != WEIR_DONE;
    }
    return WEIR_DONE;
}

static int
interval_watermark(
    struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)out;
    (void)now_ns;
    self->frontier = weir_max_i64(self->frontier, watermark);
    return free_panes(self, self->frontier, SLICE_STEPS);
}

static int64_t
ttl_due_ns(const struct weir_operator *op)
{
    const struct self *self = op->self;
    if (self->panes.is_giving) {
        return INT64_MIN;
    }
    return self->panes.cnt == 0 ? INT64_MAX : weir_operator_due_ns(op, first_free_ms(self));
}

static int
ttl_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)out;
    set_now(op, now_ns);
    return free_panes(self, self->now_ms, SLICE_STEPS);
}

static int
ttl_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)id;
    (void)out;
    (void)now_ns;
    return self->panes.is_giving ? free_panes(self, INT64_MIN, SLICE_STEPS) : (int)WEIR_DONE;
}

/* ---- checkpoints ---- */

static int
near_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    WEIR_CHECK(!self->is_half && !self->panes.is_giving, "a barrier within a row or a pane");
    weir_state_put_word(parts, "frontier", self->frontier);
    weir_state_put_word(parts, "pane_entries", (int64_t)self->panes.entry_cnt);
    return 0;
}

static int
near_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    int64_t entries = 0;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &self->frontier);
    err = err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "pane_entries", &entries);
    self->panes.entry_cnt = (uint64_t)entries;
    return err < 0 ? err : weir_join_panes_restore(op, &self->panes, true);
}

static const struct weir_state_part state_parts[] = {
    {"frontier", WEIR_STATE_PART_LEAST, 0}, {"pane_entries", WEIR_STATE_PART_HINT, 0}};

const struct weir_operator_type weir_interval_join_type = {
    .name = "interval join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 3,
    .open = near_open,
    .process = near_process,
    .watermark = interval_watermark,
    .close = near_close,
    .snapshot = near_snapshot,
    .restore = near_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
};

const struct weir_operator_type weir_ttl_join_type = {
    .name = "join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 1,
    .open = near_open,
    .process = near_process,
    .close = near_close,
    .barrier = ttl_barrier,
    .snapshot = near_snapshot,
    .restore = near_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .due_ns = ttl_due_ns,
    .timer = ttl_timer,
};
