/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a join in windows: which pane a row is kept in, which window is due next, and which pane
 * no window needs any more. */
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/join_priv.h"

/* Arithmetic on times saturates: a window that would begin or end beyond the ends of time begins or
 * ends there. */
static int64_t
clamp(join_wide x)
{
    return x > INT64_MAX ? INT64_MAX : x < INT64_MIN ? INT64_MIN : (int64_t)x;
}

static int64_t
gcd(int64_t a, int64_t b)
{
    while (b != 0) { /* at most 92 steps */
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t
window_start(const struct join_windows *windows, int64_t window)
{
    return clamp((join_wide)windows->offset + (join_wide)window * windows->slide);
}

static int64_t
window_end(const struct join_windows *windows, int64_t window)
{
    return clamp((join_wide)windows->offset + (join_wide)window * windows->slide + windows->size);
}

static int64_t
pane_start(const struct join_windows *windows, int64_t idx)
{
    return clamp((join_wide)windows->offset + (join_wide)idx * windows->pane_ms);
}

/* The last window that a time may lie in: the last that has begun. */
static int64_t
last_window(const struct join_windows *windows, int64_t time)
{
    return weir_join_floor_div(time, windows->offset, windows->slide);
}

/* The first window that ends after a time. */
static int64_t
first_window(const struct join_windows *windows, int64_t time)
{
    return weir_join_floor_div((join_wide)time - windows->size, windows->offset, windows->slide) +
           1;
}

/* The first window whose last millisecond a watermark has not passed. */
static int64_t
first_open(const struct join_windows *windows, int64_t watermark)
{
    return watermark == WEIR_TIME_MIN ? INT64_MIN
                                      : first_window(windows, weir_add_sat(watermark, 1));
}

/* The first window that a pane is part of. */
static int64_t
pane_first(const struct join_windows *windows, int64_t idx)
{
    return first_window(windows, pane_start(windows, idx));
}

int
weir_join_windows_open(struct weir_operator *op, struct join_windows *windows)
{
    int err = weir_join_base_open(op, &windows->base, true);
    if (err < 0) {
        return err;
    }
    const struct weir_window_span *span = &windows->base.conf->span;
    windows->size = span->size_ms;
    windows->slide = span->slide_ms;
    windows->offset = span->offset_ms;
    windows->pane_ms = gcd(span->size_ms, span->slide_ms);
    windows->fired = INT64_MIN;
    windows->frontier = WEIR_TIME_MIN;
    windows->open_watermark = WEIR_TIME_MIN;
    windows->place.first_ms = 1;
    return weir_join_panes_open(op, &windows->panes, windows->base.keyed[0].kind);
}

void
weir_join_windows_close(struct join_windows *windows)
{
    weir_join_panes_close(&windows->panes);
    weir_keyed_rows_fini(&windows->base.rows);
}

/* ---- rows in ---- */

static void
place_of(struct join_windows *windows, int64_t time)
{
    struct join_place *place = &windows->place;
    int64_t last = last_window(windows, time);
    place->idx = weir_join_floor_div(time, windows->offset, windows->pane_ms);
    place->first_ms = pane_start(windows, place->idx);
    place->last_ms = weir_add_sat(place->first_ms, windows->pane_ms - 1);
    place->is_gap = time >= window_end(windows, last);
    place->is_late = !place->is_gap && window_end(windows, last) - 1 <= windows->open_watermark;
    int64_t first = pane_first(windows, place->idx);
    int64_t open = first_open(windows, windows->open_watermark);
    place->enter = open > first ? (uint64_t)(open - first) : 0;
}

/* Right rows of a semi join are not kept. */
static bool
is_kept(const struct join_windows *windows, uint32_t side)
{
    return side == JOIN_LEFT || !windows->base.conf->semi;
}

/* In the place of the list of right rows stands one more than the least number of windows that had
 * passed one of them by; 0, which is above all others less one: there is none. */
static inline void
semi_add(struct weir_row_list *list, uint32_t enter)
{
    list->last = weir_min_u32(list->last - 1, enter) + 1;
}

/* Loaded rows, and where they come from. */
struct block {
    const struct weir_view *in;
    uint32_t side;
    uint32_t at; /* the first one's number in the selection */
};

/* Rows [from, to) of a block join the lists of their entries, which are known. */
static int
rows_add(struct join_windows *windows, const struct block *block, struct join_pane *pane,
    uint32_t from, uint32_t to)
{
    struct join_base *base = &windows->base;
    const struct weir_row_adds adds = {.store = &pane->rows,
        .hash = base->rows.hash + from,
        .val = base->rows.val + from,
        .list_off = block->side * (uint32_t)sizeof(struct weir_row_list),
        .first = block->at + from,
        .cnt = to - from,
        .scratch = base->scratch[block->side],
        .tag = windows->place.enter};
    return weir_row_lists_add(&base->reader, &adds);
}

/* Rows [from, to) of a block, all of one pane. */
static int
rows_keep(struct join_windows *windows, const struct block *block, uint32_t from, uint32_t to)
{
    struct join_base *base = &windows->base;
    bool keeps = is_kept(windows, block->side);
    struct join_pane *pane;
    int err = weir_join_pane_of(&windows->panes, windows->place.idx, &pane);
    if (err < 0) {
        return err;
    }
    uint32_t enter = (uint32_t)weir_min_u64(windows->place.enter, UINT32_MAX - 1);
    uint32_t all = base->rows.rows.cnt;
    base->rows.rows.cnt = to;
    for (uint32_t i = from; i < to && err == 0;) {
        int got = weir_keyed_resolve(&base->keyed[block->side], pane->table, &base->rows, i);
        if (got < 0) {
            err = got;
            break;
        }
        uint32_t end = i + (uint32_t)got;
        if (keeps) {
            err = rows_add(windows, block, pane, i, end);
        }
        for (; i < end && !keeps; i++) {
            struct join_entry *entry = base->rows.val[i];
            semi_add(&entry->side[JOIN_RIGHT], enter);
        }
        i = end;
    }
    base->rows.rows.cnt = all;
    return err;
}

/* Where the run of rows of one pane ends that begins at row `from` of a block. */
static uint32_t
run_end(const struct join_windows *windows, const struct block *block, uint32_t from)
{
    const struct weir_view *in = block->in;
    const struct join_place *place = &windows->place;
    uint32_t cnt = windows->base.rows.rows.cnt;
    if (weir_view_is_within(in, place->first_ms, place->last_ms)) {
        return cnt;
    }
    for (uint32_t i = from + 1; i < cnt; i++) {
        int64_t time = weir_view_time(in, weir_view_row(in, block->at + i));
        if (time < place->first_ms || time > place->last_ms) {
            return i;
        }
    }
    return cnt;
}

/* A loaded block, by runs of rows of one pane. Late ones go into sel. */
static int
block_keep(
    struct join_windows *windows, const struct block *block, uint16_t *sel, uint32_t *late_cnt)
{
    const struct weir_view *in = block->in;
    uint32_t at = block->at;
    uint32_t cnt = windows->base.rows.rows.cnt;
    for (uint32_t from = 0; from < cnt;) {
        int64_t time = weir_view_time(in, weir_view_row(in, at + from));
        if (time < windows->place.first_ms || time > windows->place.last_ms) {
            place_of(windows, time);
        }
        uint32_t to = run_end(windows, block, from);
        if (windows->place.is_late) {
            for (uint32_t i = from; i < to; i++) {
                sel[(*late_cnt)++] = (uint16_t)weir_view_row(in, at + i);
            }
        } else if (!windows->place.is_gap) {
            int err = rows_keep(windows, block, from, to);
            if (err < 0) {
                return err;
            }
        }
        from = to;
    }
    return 0;
}

int64_t
weir_join_windows_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct join_windows *windows = op->self; /* what its own begins with */
    (void)now_ns;
    if (in->time == NULL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to put them into windows");
    }
    int err = weir_join_inserts_only(in, cursor);
    if (err < 0) {
        return err;
    }
    int64_t watermark = weir_max_i64(in->watermark, windows->frontier);
    if (watermark != windows->open_watermark) {
        windows->open_watermark = watermark;
        windows->place.first_ms = 1;
        windows->place.last_ms = 0;
    }
    if (is_kept(windows, input)) {
        weir_row_reader_init(&windows->base.reader, in);
    }
    struct weir_out *late = &out[1 + input];
    uint32_t late_cnt = 0;
    for (uint32_t at = cursor; at < in->cnt;) {
        uint32_t cnt = weir_min_u32(in->cnt - at, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&windows->base.keyed[input], in, at, cnt, &windows->base.rows);
        if (loaded < 0) {
            return loaded;
        }
        const struct block block = {in, input, at};
        err = block_keep(windows, &block, late->sel_buf, &late_cnt);
        if (err < 0) {
            return err;
        }
        at += (uint32_t)loaded;
    }
    if (late_cnt > 0) {
        weir_out_pass(late, in, late_cnt);
        op->rows_late += late_cnt;
    }
    return in->cnt - cursor;
}

/* ---- windows that are due ---- */

bool
weir_join_windows_next(struct join_windows *windows, int64_t watermark)
{
    struct join_due *due = &windows->due;
    if (windows->panes.cnt == 0) {
        return false;
    }
    int64_t window = pane_first(windows, windows->panes.at[0].idx);
    window = weir_max_i64(window, windows->fired == INT64_MIN ? INT64_MIN : windows->fired + 1);
    window = weir_max_i64(window, first_open(windows, windows->frontier));
    if (window_end(windows, window) - 1 > watermark) {
        return false;
    }
    int64_t pane = window * (windows->slide / windows->pane_ms);
    int64_t end = window_end(windows, window);
    due->window = window;
    due->first = weir_join_pane_at(&windows->panes, pane);
    due->end = weir_join_pane_at(&windows->panes, pane + windows->size / windows->pane_ms);
    due->like.window_start = window_start(windows, window);
    due->like.window_end = end;
    due->like.time = end == INT64_MAX ? end : end - 1;
    return true;
}

uint64_t
weir_join_windows_passed(const struct join_windows *windows, uint32_t pane)
{
    return (uint64_t)(windows->due.window - pane_first(windows, windows->panes.at[pane].idx));
}

bool
weir_join_windows_done(struct join_windows *windows)
{
    windows->fired = windows->due.window;
    return windows->panes.cnt > 0 &&
           last_window(windows, pane_start(windows, windows->panes.at[0].idx)) <=
               windows->due.window;
}

/* ---- checkpoints ---- */

void
weir_join_windows_snapshot(const struct join_windows *windows, struct weir_parts_writer *parts)
{
    weir_state_put_word(parts, "frontier", windows->frontier);
    weir_state_put_word(parts, "fired", windows->fired);
    weir_state_put_word(parts, "pane_entries", (int64_t)windows->panes.entry_cnt);
}

int
weir_join_windows_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct join_windows *windows = op->self;
    int64_t entries = 0;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &windows->frontier);
    err = err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "fired", &windows->fired);
    err = err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "pane_entries", &entries);
    windows->panes.entry_cnt = (uint64_t)entries;
    return err < 0 ? err
                   : weir_join_panes_restore(op, &windows->panes, is_kept(windows, JOIN_RIGHT));
}

const struct weir_state_part weir_join_windows_parts[JOIN_WINDOWS_PART_CNT] = {
    {"frontier", WEIR_STATE_PART_LEAST, 0}, {"fired", WEIR_STATE_PART_LEAST, 0},
    {"pane_entries", WEIR_STATE_PART_HINT, 0}};
