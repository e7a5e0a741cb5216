/* SPDX-License-Identifier: Apache-2.0 */
/* Joins rows of two inputs that have the same key and lie in the same window of event time.
 *
 *     tumbling 10 s:   left (1 00:01)   right (1 00:09) (1 00:11)   watermark 00:10   ->   (1
 *                      00:01, 00:09)
 *
 * State: a table per pane, the stretch of time that the windows' bounds cut out (for tumbling
 * windows the window itself); from the key to two lists of rows. A row is kept once, however many
 * windows overlap. A window fires pane by pane: each key with left rows looks for right rows in all
 * panes of the window.
 *
 * Watermarks: first what they make due, then they are passed on. Firing and freeing a pane stop
 * after a slice, or when the output is full, and go on where they stopped.
 *
 * Checkpoints: tables and rows lie in state pages, a table's namespace is its pane's number. Parts
 * are what has fired. No firing is under way at a barrier: it is an unfinished input.
 */
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/join.h"
#include "dataplane/operators/join_priv.h"

/* Entries looked at together in a firing, and items or entries that one call of watermark() looks
 * at:
 * about 50 us of work. */
#define FIRE_BLOCK 64
#define SLICE_STEPS 4096
/* What giving back a piece of a pane counts. */
#define GIVE_STEPS 256

/* Times for which the same is true, looked up once for many rows. */
struct place {
    int64_t first_ms;
    int64_t last_ms; /* inclusive; below first_ms: not known */
    int64_t idx;
    uint64_t enter; /* windows of the pane that had passed when the row came: it is in the others */
    bool is_late;
    bool is_gap; /* in no window at all */
};

enum fire_stage {
    FIRE_IDLE,
    FIRE_BLOCK_NEXT, /* scan the next entries of pane `left` */
    FIRE_PANE, /* look them up in pane `right` */
    FIRE_PAIRS, /* put pairs out */
    FIRE_GIVE, /* free a pane that no window needs any more */
};

struct fire {
    enum fire_stage stage;
    int64_t window; /* its number: it begins at offset + window * slide */
    uint32_t left; /* positions in panes.at[] */
    uint32_t right;
    uint32_t end; /* panes [first, end) are of the window */
    uint32_t first;
    struct weir_table_cursor cursor;
    uint32_t cnt; /* entries of the block */
    uint32_t at; /* the entry that pairs are made of */
    uint32_t left_ref;
    uint32_t right_ref;
    uint64_t left_passed; /* passed_of() panes.at[left] and panes.at[right] */
    uint64_t right_passed;
    struct weir_join_pair like; /* window and time of the pairs */
    uint64_t has_right; /* entries of the block with right rows; semi: in any pane so far */
    uint64_t stored[WEIR_KEYED_WORD_CNT_MAX * FIRE_BLOCK];
    void *entry[FIRE_BLOCK]; /* of pane `left` */
    void *match[FIRE_BLOCK]; /* of pane `right`, or NULL */
};

struct self {
    struct join_base base;
    struct weir_keyed_rows again; /* keys of a block that are looked up in another pane */
    int64_t pane_ms;
    int64_t size;
    int64_t slide;
    int64_t offset;
    struct join_panes panes; /* pane idx begins at offset + idx * pane_ms */
    int64_t fired; /* windows up to this one have fired */
    int64_t frontier; /* the greatest watermark that has fired */
    int64_t open_watermark; /* what place was worked out for */
    struct place place;
    struct fire fire;
};

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
window_start(const struct self *self, int64_t window)
{
    return clamp((join_wide)self->offset + (join_wide)window * self->slide);
}

static int64_t
window_end(const struct self *self, int64_t window)
{
    return clamp((join_wide)self->offset + (join_wide)window * self->slide + self->size);
}

static int64_t
pane_start(const struct self *self, int64_t idx)
{
    return clamp((join_wide)self->offset + (join_wide)idx * self->pane_ms);
}

/* The last window that a time may lie in: the last that has begun. */
static int64_t
last_window(const struct self *self, int64_t time)
{
    return weir_join_floor_div(time, self->offset, self->slide);
}

/* The first window that ends after a time. */
static int64_t
first_window(const struct self *self, int64_t time)
{
    return weir_join_floor_div((join_wide)time - self->size, self->offset, self->slide) + 1;
}

/* The first window whose last millisecond a watermark has not passed. */
static int64_t
first_open(const struct self *self, int64_t watermark)
{
    return watermark == WEIR_TIME_MIN ? INT64_MIN : first_window(self, weir_add_sat(watermark, 1));
}

/* The first window that a pane is part of. */
static int64_t
pane_first(const struct self *self, int64_t idx)
{
    return first_window(self, pane_start(self, idx));
}

static int
join_window_open(struct weir_operator *op)
{
    struct self *self = op->self;
    int err = weir_join_base_open(op, &self->base, true);
    if (err < 0) {
        return err;
    }
    const struct weir_window_span *span = &self->base.conf->span;
    self->size = span->size_ms;
    self->slide = span->slide_ms;
    self->offset = span->offset_ms;
    self->pane_ms = gcd(span->size_ms, span->slide_ms);
    self->fired = INT64_MIN;
    self->frontier = WEIR_TIME_MIN;
    self->open_watermark = WEIR_TIME_MIN;
    self->place.first_ms = 1;
    return weir_join_panes_open(op, &self->panes, self->base.keyed[0].kind);
}

static int
join_window_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_join_panes_close(&self->panes);
    weir_keyed_rows_fini(&self->base.rows);
    weir_keyed_rows_fini(&self->again);
    return 0;
}

/* ---- rows in ---- */

static void
place_of(struct self *self, int64_t time)
{
    struct place *place = &self->place;
    int64_t last = last_window(self, time);
    place->idx = weir_join_floor_div(time, self->offset, self->pane_ms);
    place->first_ms = pane_start(self, place->idx);
    place->last_ms = weir_add_sat(place->first_ms, self->pane_ms - 1);
    place->is_gap = time >= window_end(self, last);
    place->is_late = !place->is_gap && window_end(self, last) - 1 <= self->open_watermark;
    int64_t first = pane_first(self, place->idx);
    int64_t open = first_open(self, self->open_watermark);
    place->enter = open > first ? (uint64_t)(open - first) : 0;
}

/* Right rows of a semi join are not kept. */
static bool
is_kept(const struct self *self, uint32_t side)
{
    return side == JOIN_LEFT || !self->base.conf->semi;
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
rows_add(struct self *self, const struct block *block, struct join_pane *pane, uint32_t from,
    uint32_t to)
{
    struct join_base *base = &self->base;
    const struct weir_row_adds adds = {.store = &pane->rows,
        .hash = base->rows.hash + from,
        .val = base->rows.val + from,
        .list_off = block->side * (uint32_t)sizeof(struct weir_row_list),
        .first = block->at + from,
        .cnt = to - from,
        .scratch = base->scratch[block->side],
        .tag = self->place.enter};
    return weir_row_lists_add(&base->reader, &adds);
}

/* Rows [from, to) of a block, all of one pane. */
static int
rows_keep(struct self *self, const struct block *block, uint32_t from, uint32_t to)
{
    struct join_base *base = &self->base;
    bool keeps = is_kept(self, block->side);
    struct join_pane *pane;
    int err = weir_join_pane_of(&self->panes, self->place.idx, &pane);
    if (err < 0) {
        return err;
    }
    uint32_t enter = (uint32_t)weir_min_u64(self->place.enter, UINT32_MAX - 1);
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
            err = rows_add(self, block, pane, i, end);
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
run_end(const struct self *self, const struct block *block, uint32_t from)
{
    const struct weir_view *in = block->in;
    const struct place *place = &self->place;
    uint32_t cnt = self->base.rows.rows.cnt;
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
block_keep(struct self *self, const struct block *block, uint16_t *sel, uint32_t *late_cnt)
{
    const struct weir_view *in = block->in;
    uint32_t at = block->at;
    uint32_t cnt = self->base.rows.rows.cnt;
    for (uint32_t from = 0; from < cnt;) {
        int64_t time = weir_view_time(in, weir_view_row(in, at + from));
        if (time < self->place.first_ms || time > self->place.last_ms) {
            place_of(self, time);
        }
        uint32_t to = run_end(self, block, from);
        if (self->place.is_late) {
            for (uint32_t i = from; i < to; i++) {
                sel[(*late_cnt)++] = (uint16_t)weir_view_row(in, at + i);
            }
        } else if (!self->place.is_gap) {
            int err = rows_keep(self, block, from, to);
            if (err < 0) {
                return err;
            }
        }
        from = to;
    }
    return 0;
}

static int64_t
join_window_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)now_ns;
    if (in->time == NULL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to put them into windows");
    }
    int err = weir_join_inserts_only(in, cursor);
    if (err < 0) {
        return err;
    }
    int64_t watermark = weir_max_i64(in->watermark, self->frontier);
    if (watermark != self->open_watermark) {
        self->open_watermark = watermark;
        self->place.first_ms = 1;
        self->place.last_ms = 0;
    }
    if (is_kept(self, input)) {
        weir_row_reader_init(&self->base.reader, in);
    }
    struct weir_out *late = &out[1 + input];
    uint32_t late_cnt = 0;
    for (uint32_t at = cursor; at < in->cnt;) {
        uint32_t cnt = weir_min_u32(in->cnt - at, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&self->base.keyed[input], in, at, cnt, &self->base.rows);
        if (loaded < 0) {
            return loaded;
        }
        const struct block block = {in, input, at};
        err = block_keep(self, &block, late->sel_buf, &late_cnt);
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

/* ---- firing ---- */

/* The next window with rows that a watermark makes due. */
static bool
fire_next(struct self *self, int64_t watermark)
{
    struct fire *fire = &self->fire;
    if (self->panes.cnt == 0) {
        return false;
    }
    int64_t window = pane_first(self, self->panes.at[0].idx);
    window = weir_max_i64(window, self->fired == INT64_MIN ? INT64_MIN : self->fired + 1);
    window = weir_max_i64(window, first_open(self, self->frontier));
    if (window_end(self, window) - 1 > watermark) {
        return false;
    }
    fire->window = window;
    int64_t pane = window * (self->slide / self->pane_ms);
    fire->first = weir_join_pane_at(&self->panes, pane);
    fire->end = weir_join_pane_at(&self->panes, pane + self->size / self->pane_ms);
    fire->left = fire->first;
    int64_t end = window_end(self, window);
    fire->like.window_start = window_start(self, window);
    fire->like.window_end = end;
    fire->like.time = end == INT64_MAX ? end : end - 1;
    memset(&fire->cursor, 0, sizeof fire->cursor);
    fire->stage = FIRE_BLOCK_NEXT;
    return true;
}

/* The windows that had passed by before this one, from the first one of a pane on: rows that came
 * when more had passed are not in it. */
static uint64_t
passed_of(const struct self *self, uint32_t pane)
{
    return (uint64_t)(self->fire.window - pane_first(self, self->panes.at[pane].idx));
}

/* The pairs of the left row in item[] with the rows of `right` from right_ref on (none: semi). 1
 * done, 0 to be gone on with, or an error. */
static int
fire_row(struct self *self, struct weir_row_item *item, const struct join_entry *right,
    struct weir_out *out, uint32_t *steps)
{
    struct join_base *base = &self->base;
    struct fire *fire = &self->fire;
    if (base->conf->semi) {
        return weir_join_add(base, &item[JOIN_LEFT], NULL, &fire->like, out);
    }
    while (fire->right_ref != 0) {
        if (*steps >= SLICE_STEPS) {
            return 0;
        }
        *steps += 1;
        weir_row_item_at(base->arena, base->schema[JOIN_RIGHT], fire->right_ref,
            base->scratch[JOIN_RIGHT], &item[JOIN_RIGHT]);
        int taken =
            item[JOIN_RIGHT].tag > fire->right_passed
                ? 1
                : weir_join_add(base, &item[JOIN_LEFT], &item[JOIN_RIGHT], &fire->like, out);
        if (taken <= 0) {
            return taken;
        }
        fire->right_ref =
            weir_row_list_after(&right->side[JOIN_RIGHT], fire->right_ref, &item[JOIN_RIGHT]);
    }
    return 1;
}

/* Put the pairs of one entry out: each left row with each right one of the match. As fire_row. */
static int
fire_entry(struct self *self, const struct join_entry *left, const struct join_entry *right,
    struct weir_out *out, uint32_t *steps)
{
    struct join_base *base = &self->base;
    struct fire *fire = &self->fire;
    uint32_t right_head =
        base->conf->semi ? 0 : weir_row_list_first(base->arena, &right->side[JOIN_RIGHT]);
    if (fire->left_ref == 0) {
        fire->left_ref = weir_row_list_first(base->arena, &left->side[JOIN_LEFT]);
        fire->right_ref = right_head;
    }
    while (fire->left_ref != 0) {
        struct weir_row_item item[2];
        if (*steps >= SLICE_STEPS) {
            return 0;
        }
        *steps += 1;
        weir_row_item_at(base->arena, base->schema[JOIN_LEFT], fire->left_ref,
            base->scratch[JOIN_LEFT], &item[JOIN_LEFT]);
        int done =
            item[JOIN_LEFT].tag > fire->left_passed ? 1 : fire_row(self, item, right, out, steps);
        if (done <= 0) {
            return done;
        }
        fire->left_ref =
            weir_row_list_after(&left->side[JOIN_LEFT], fire->left_ref, &item[JOIN_LEFT]);
        fire->right_ref = right_head;
    }
    return 1;
}

/* The entries of the block against pane `right`. */
static int
fire_pairs(struct self *self, struct weir_out *out, uint32_t *steps)
{
    struct fire *fire = &self->fire;
    for (; fire->at < fire->cnt; fire->at++) {
        const struct join_entry *left = fire->entry[fire->at];
        *steps += 1;
        if (left->side[JOIN_LEFT].last == 0 || (fire->has_right >> fire->at & 1) == 0) {
            continue;
        }
        int done = fire_entry(self, left, fire->match[fire->at], out, steps);
        if (done <= 0) {
            return done;
        }
    }
    return 1;
}

/* Look the block's keys up in pane `right`. */
static int
fire_match(struct self *self)
{
    struct fire *fire = &self->fire;
    if (fire->right == fire->left) {
        memcpy(fire->match, fire->entry, fire->cnt * sizeof fire->entry[0]);
    } else {
        struct weir_table *table = self->panes.at[fire->right].table;
        int loaded = weir_keyed_load_stored(&self->base.keyed[JOIN_LEFT],
            self->panes.at[fire->left].table, fire->stored, fire->cnt, &self->again);
        if (loaded < 0) {
            return loaded;
        }
        /* Long keys may need several turns: those beyond are found one by one. */
        self->again.rows.cnt = (uint32_t)loaded;
        weir_table_find_rows(table, &self->again.rows);
        memcpy(fire->match, self->again.val, (size_t)loaded * sizeof fire->match[0]);
        uint32_t words = table->word_cnt;
        for (uint32_t i = (uint32_t)loaded; i < fire->cnt; i++) {
            int one = weir_keyed_load_stored(&self->base.keyed[JOIN_LEFT],
                self->panes.at[fire->left].table, fire->stored + (size_t)i * words, 1,
                &self->again);
            if (one < 0) {
                return one;
            }
            self->again.rows.cnt = 1;
            weir_table_find_rows(table, &self->again.rows);
            fire->match[i] = self->again.val[0];
        }
    }
    bool semi = self->base.conf->semi;
    fire->right_passed = passed_of(self, fire->right);
    fire->has_right &= semi ? UINT64_MAX : 0; /* semi: in any pane */
    for (uint32_t i = 0; i < fire->cnt; i++) {
        const struct join_entry *right = fire->match[i];
        uint32_t last = right != NULL ? right->side[JOIN_RIGHT].last : 0;
        bool has_right = last != 0 && (!semi || last - 1 <= fire->right_passed);
        fire->has_right |= (uint64_t)has_right << i;
        if (has_right) { /* a row that nobody has looked at since it came */
            const struct join_entry *left = fire->entry[i];
            const char *row = weir_arena_ptr(self->base.arena, left->side[JOIN_LEFT].last);
            __builtin_prefetch(row);
            __builtin_prefetch(row + WEIR_LINE_BYTES);
        }
    }
    return 0;
}

/* After a window: the first pane goes if no later window needs it. */
static void
fire_after(struct self *self)
{
    struct fire *fire = &self->fire;
    self->fired = fire->window;
    fire->left_ref = 0;
    fire->right_ref = 0;
    bool is_over = self->panes.cnt > 0 &&
                   last_window(self, pane_start(self, self->panes.at[0].idx)) <= fire->window;
    memset(&fire->cursor, 0, sizeof fire->cursor);
    fire->stage = is_over ? FIRE_GIVE : FIRE_IDLE;
}

/* One step of the firing. 1 go on, 0 the output is full, or an error. */
static int
fire_step(struct self *self, struct weir_out *out, uint32_t *steps)
{
    struct fire *fire = &self->fire;
    int done;
    switch (fire->stage) {
    case FIRE_BLOCK_NEXT:
        if (fire->left == fire->end) {
            fire_after(self);
            return 1;
        }
        /* Keys are for looking the entries up in other panes. */
        fire->cnt = weir_table_scan(self->panes.at[fire->left].table, &fire->cursor, FIRE_BLOCK,
            fire->end - fire->first > 1 ? fire->stored : NULL, fire->entry);
        if (fire->cnt == 0) {
            fire->left++;
            memset(&fire->cursor, 0, sizeof fire->cursor);
            return 1;
        }
        fire->left_passed = passed_of(self, fire->left);
        fire->right = fire->first;
        fire->has_right = 0;
        fire->stage = FIRE_PANE;
        return 1;
    case FIRE_PANE:
        done = fire_match(self);
        *steps += fire->cnt;
        fire->at = 0;
        fire->left_ref = 0;
        fire->stage = FIRE_PAIRS;
        if (self->base.conf->semi && fire->right + 1 < fire->end) { /* look everywhere first */
            fire->right++;
            fire->stage = FIRE_PANE;
        }
        return done < 0 ? done : 1;
    case FIRE_PAIRS:
        done = fire_pairs(self, out, steps);
        if (done > 0) {
            fire->right++;
            fire->stage = fire->right < fire->end ? FIRE_PANE : FIRE_BLOCK_NEXT;
        }
        return done;
    case FIRE_GIVE:
        *steps += GIVE_STEPS;
        if (weir_join_panes_give(&self->panes) == WEIR_DONE) {
            fire_after(self);
        }
        return 1;
    default:
        return 1;
    }
}

static int
join_window_watermark(
    struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)now_ns;
    uint32_t steps = 0;
    while (steps < SLICE_STEPS) {
        if (self->fire.stage == FIRE_IDLE && !fire_next(self, watermark)) {
            self->frontier = weir_max_i64(self->frontier, watermark);
            weir_join_flush(&self->base, out);
            return WEIR_DONE;
        }
        int done = fire_step(self, out, &steps);
        if (done <= 0) {
            weir_join_flush(&self->base, out);
            return done < 0 ? done : WEIR_AGAIN;
        }
    }
    weir_join_flush(&self->base, out);
    return WEIR_AGAIN;
}

/* ---- checkpoints ---- */

static int
join_window_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    WEIR_CHECK(self->fire.stage == FIRE_IDLE, "a barrier while a window fires");
    weir_state_put_word(parts, "frontier", self->frontier);
    weir_state_put_word(parts, "fired", self->fired);
    weir_state_put_word(parts, "pane_entries", (int64_t)self->panes.entry_cnt);
    return 0;
}

static int
join_window_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    int64_t pane_entries = 0;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &self->frontier);
    err = err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "fired", &self->fired);
    err =
        err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "pane_entries", &pane_entries);
    self->panes.entry_cnt = (uint64_t)pane_entries;
    return err < 0 ? err : weir_join_panes_restore(op, &self->panes, is_kept(self, JOIN_RIGHT));
}

static const struct weir_state_part state_parts[] = {{"frontier", WEIR_STATE_PART_LEAST, 0},
    {"fired", WEIR_STATE_PART_LEAST, 0}, {"pane_entries", WEIR_STATE_PART_HINT, 0}};

const struct weir_operator_type weir_window_join_type = {
    .name = "window join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 3,
    .open = join_window_open,
    .process = join_window_process,
    .watermark = join_window_watermark,
    .close = join_window_close,
    .snapshot = join_window_snapshot,
    .restore = join_window_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
};
