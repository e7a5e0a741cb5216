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

enum fire_stage {
    FIRE_IDLE,
    FIRE_BLOCK_NEXT, /* scan the next entries of pane `left` */
    FIRE_PANE, /* look them up in pane `right` */
    FIRE_PAIRS, /* put pairs out */
    FIRE_GIVE, /* free a pane that no window needs any more */
};

struct fire {
    enum fire_stage stage;
    uint32_t left; /* positions in panes.at[] */
    uint32_t right;
    struct weir_table_cursor cursor;
    uint32_t cnt; /* entries of the block */
    uint32_t at; /* the entry that pairs are made of */
    uint32_t left_ref;
    uint32_t right_ref;
    uint32_t same_ref; /* a left row that left_ref is compared with; 0: none was */
    uint64_t left_passed; /* weir_join_windows_passed() of panes.at[left] and panes.at[right] */
    uint64_t right_passed;
    uint64_t has_right; /* entries of the block with right rows; semi: in any pane so far */
    uint64_t stored[WEIR_KEYED_WORD_CNT_MAX * FIRE_BLOCK];
    void *entry[FIRE_BLOCK]; /* of pane `left` */
    void *match[FIRE_BLOCK]; /* of pane `right`, or NULL */
};

struct self {
    struct join_windows windows; /* first: rows come in by its hooks */
    struct weir_keyed_rows again; /* keys of a block that are looked up in another pane */
    struct fire fire;
};

static int
join_window_open(struct weir_operator *op)
{
    struct self *self = op->self;
    return weir_join_windows_open(op, &self->windows);
}

static int
join_window_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_join_windows_close(&self->windows);
    weir_keyed_rows_fini(&self->again);
    return 0;
}

/* ---- firing ---- */

static bool
fire_next(struct self *self, int64_t watermark)
{
    struct fire *fire = &self->fire;
    if (!weir_join_windows_next(&self->windows, watermark)) {
        return false;
    }
    fire->left = self->windows.due.first;
    memset(&fire->cursor, 0, sizeof fire->cursor);
    fire->stage = FIRE_BLOCK_NEXT;
    return true;
}

/* The pairs of the left row in item[] with the rows of `right` from right_ref on (none: semi). 1
 * done, 0 to be gone on with, or an error. */
static int
fire_row(struct self *self, struct weir_row_item *item, const struct join_entry *right,
    struct weir_out *out, uint32_t *steps)
{
    struct join_base *base = &self->windows.base;
    struct fire *fire = &self->fire;
    if (base->conf->semi) {
        return weir_join_add(base, &item[JOIN_LEFT], NULL, &self->windows.due.like, out);
    }
    while (fire->right_ref != 0) {
        if (*steps >= SLICE_STEPS) {
            return 0;
        }
        *steps += 1;
        weir_row_item_at(base->arena, base->schema[JOIN_RIGHT], fire->right_ref,
            base->scratch[JOIN_RIGHT], &item[JOIN_RIGHT]);
        int taken = item[JOIN_RIGHT].tag > fire->right_passed
                        ? 1
                        : weir_join_add(base, &item[JOIN_LEFT], &item[JOIN_RIGHT],
                              &self->windows.due.like, out);
        if (taken <= 0) {
            return taken;
        }
        fire->right_ref =
            weir_row_list_after(&right->side[JOIN_RIGHT], fire->right_ref, &item[JOIN_RIGHT]);
    }
    return 1;
}

/* Whether a left row of the window before the one at hand is the same. Most keys have few of them:
 * they are looked through for each, for `same` knows no order and no hash. 1: that is known; 0: to
 * be gone on with. */
static int
fire_compare(struct self *self, const struct join_entry *left, const struct weir_row_item *item,
    bool *ret_is_repeat, uint32_t *steps)
{
    struct join_base *base = &self->windows.base;
    struct fire *fire = &self->fire;
    const struct weir_join_pair at_hand = {.left = item->row, .left_heap = item->heap};
    if (base->conf->same == NULL) {
        return 1;
    }
    if (fire->same_ref == 0) {
        fire->same_ref = weir_row_list_first(base->arena, &left->side[JOIN_LEFT]);
    }
    while (fire->same_ref != fire->left_ref) {
        struct weir_row_item other; /* semi: the right scratch holds nothing */
        if (*steps >= SLICE_STEPS) {
            return 0;
        }
        *steps += 1;
        weir_row_item_at(base->arena, base->schema[JOIN_LEFT], fire->same_ref,
            base->scratch[JOIN_RIGHT], &other);
        const struct weir_join_pair before = {.left = other.row, .left_heap = other.heap};
        if (other.tag <= fire->left_passed && base->conf->same(&before, &at_hand)) {
            *ret_is_repeat = true;
            return 1;
        }
        fire->same_ref = other.next;
    }
    return 1;
}

/* Put the pairs of one entry out: each left row with each right one of the match. As fire_row. */
static int
fire_entry(struct self *self, const struct join_entry *left, const struct join_entry *right,
    struct weir_out *out, uint32_t *steps)
{
    struct join_base *base = &self->windows.base;
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
        bool is_out = item[JOIN_LEFT].tag > fire->left_passed;
        int done = is_out ? 1 : fire_compare(self, left, &item[JOIN_LEFT], &is_out, steps);
        done = done > 0 && !is_out ? fire_row(self, item, right, out, steps) : done;
        if (done <= 0) {
            return done;
        }
        fire->same_ref = 0;
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
        struct weir_table *table = self->windows.panes.at[fire->right].table;
        int loaded = weir_keyed_load_stored(&self->windows.base.keyed[JOIN_LEFT],
            self->windows.panes.at[fire->left].table, fire->stored, fire->cnt, &self->again);
        if (loaded < 0) {
            return loaded;
        }
        /* Long keys may need several turns: those beyond are found one by one. */
        self->again.rows.cnt = (uint32_t)loaded;
        weir_table_find_rows(table, &self->again.rows);
        memcpy(fire->match, self->again.val, (size_t)loaded * sizeof fire->match[0]);
        uint32_t words = table->word_cnt;
        for (uint32_t i = (uint32_t)loaded; i < fire->cnt; i++) {
            int one = weir_keyed_load_stored(&self->windows.base.keyed[JOIN_LEFT],
                self->windows.panes.at[fire->left].table, fire->stored + (size_t)i * words, 1,
                &self->again);
            if (one < 0) {
                return one;
            }
            self->again.rows.cnt = 1;
            weir_table_find_rows(table, &self->again.rows);
            fire->match[i] = self->again.val[0];
        }
    }
    bool semi = self->windows.base.conf->semi;
    fire->right_passed = weir_join_windows_passed(&self->windows, fire->right);
    fire->has_right &= semi ? UINT64_MAX : 0; /* semi: in any pane */
    for (uint32_t i = 0; i < fire->cnt; i++) {
        const struct join_entry *right = fire->match[i];
        uint32_t last = right != NULL ? right->side[JOIN_RIGHT].last : 0;
        bool has_right = last != 0 && (!semi || last - 1 <= fire->right_passed);
        fire->has_right |= (uint64_t)has_right << i;
        if (has_right) { /* a row that nobody has looked at since it came */
            const struct join_entry *left = fire->entry[i];
            const char *row = weir_arena_ptr(self->windows.base.arena, left->side[JOIN_LEFT].last);
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
    fire->left_ref = 0;
    fire->right_ref = 0;
    fire->same_ref = 0;
    memset(&fire->cursor, 0, sizeof fire->cursor);
    fire->stage = weir_join_windows_done(&self->windows) ? FIRE_GIVE : FIRE_IDLE;
}

/* One step of the firing. 1 go on, 0 the output is full, or an error. */
static int
fire_step(struct self *self, struct weir_out *out, uint32_t *steps)
{
    struct fire *fire = &self->fire;
    int done;
    switch (fire->stage) {
    case FIRE_BLOCK_NEXT:
        if (fire->left == self->windows.due.end) {
            fire_after(self);
            return 1;
        }
        /* Keys are for looking the entries up in other panes. */
        fire->cnt = weir_table_scan(self->windows.panes.at[fire->left].table, &fire->cursor,
            FIRE_BLOCK, self->windows.due.end - self->windows.due.first > 1 ? fire->stored : NULL,
            fire->entry);
        if (fire->cnt == 0) {
            fire->left++;
            memset(&fire->cursor, 0, sizeof fire->cursor);
            return 1;
        }
        fire->left_passed = weir_join_windows_passed(&self->windows, fire->left);
        fire->right = self->windows.due.first;
        fire->has_right = 0;
        fire->stage = FIRE_PANE;
        return 1;
    case FIRE_PANE:
        done = fire_match(self);
        *steps += fire->cnt;
        fire->at = 0;
        fire->left_ref = 0;
        fire->stage = FIRE_PAIRS;
        if (self->windows.base.conf->semi &&
            fire->right + 1 < self->windows.due.end) { /* look everywhere first */
            fire->right++;
            fire->stage = FIRE_PANE;
        }
        return done < 0 ? done : 1;
    case FIRE_PAIRS:
        done = fire_pairs(self, out, steps);
        if (done > 0) {
            fire->right++;
            fire->stage = fire->right < self->windows.due.end ? FIRE_PANE : FIRE_BLOCK_NEXT;
        }
        return done;
    case FIRE_GIVE:
        *steps += GIVE_STEPS;
        if (weir_join_panes_give(&self->windows.panes) == WEIR_DONE) {
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
            self->windows.frontier = weir_max_i64(self->windows.frontier, watermark);
            weir_join_flush(&self->windows.base, out);
            return WEIR_DONE;
        }
        int done = fire_step(self, out, &steps);
        if (done <= 0) {
            weir_join_flush(&self->windows.base, out);
            return done < 0 ? done : WEIR_AGAIN;
        }
    }
    weir_join_flush(&self->windows.base, out);
    return WEIR_AGAIN;
}

static int
join_window_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    WEIR_CHECK(self->fire.stage == FIRE_IDLE, "a barrier while a window fires");
    weir_join_windows_snapshot(&self->windows, parts);
    return 0;
}

const struct weir_operator_type weir_window_join_type = {
    .name = "window join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 3,
    .open = join_window_open,
    .process = weir_join_windows_process,
    .watermark = join_window_watermark,
    .close = join_window_close,
    .snapshot = join_window_snapshot,
    .restore = weir_join_windows_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = weir_join_windows_parts,
    .part_cnt = JOIN_WINDOWS_PART_CNT,
};
