/* SPDX-License-Identifier: Apache-2.0 */
/* What two inputs have of one key in one window, together: for a function of the user's, or for
 * pairs in which one side may be missing.
 *
 *     tumbling 10 s:   left (1 00:01)   right (1 00:09) (2 00:03)   watermark 00:10
 *                      ->   key 1: {00:01} {00:09}   key 2: {} {00:03}
 *
 * State, watermarks and checkpoints: as the window join (join_window.c). A window fires key by key:
 * where it has several panes, an entry of one is looked for in all others, and passed over where an
 * earlier one has its key.
 */
#include "dataplane/operators/join_group.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/join_priv.h"

/* Entries scanned together, and entries or rows that one call of watermark() looks at: some 50 us
 * with a short function. */
#define SCAN_CNT 64
#define SLICE_STEPS 1024
/* What giving back a piece of a pane counts. */
#define GIVE_STEPS 256

enum group_stage { GROUP_IDLE, GROUP_SCAN, GROUP_FIRE, GROUP_GIVE };

/* How far a side has come in the group. */
struct place {
    uint32_t pane; /* counted from the window's first */
    uint32_t ref; /* of the item; 0: the first of the pane is not looked up yet */
    struct weir_row_item item;
};

struct self {
    struct join_windows windows; /* first: rows come in by its hooks */
    struct weir_keyed_rows again;
    struct weir_join_conf join;
    const struct weir_cogroup_function *function; /* NULL: pairs */
    struct weir_cogroup group;
    void *pos;
    enum group_stage stage;
    uint32_t pane; /* that is scanned */
    struct weir_table_cursor cursor;
    uint32_t cnt; /* entries of the block */
    uint32_t at; /* the one that fires */
    bool is_in; /* it has begun */
    bool has[2]; /* rows in the window, by side */
    struct place place[2];
    const struct join_entry **found; /* [windows.panes.cap]: the key's entries, by pane, or NULL */
    uint32_t steps; /* of this slice */
    uint64_t stored[WEIR_KEYED_WORD_CNT_MAX * SCAN_CNT];
    void *entry[SCAN_CNT];
};

/* The window join of the same schemas: what keeps the rows, checks them and names the state. */
static struct weir_join_conf
join_of(const struct weir_cogroup_conf *conf, struct weir_join *join)
{
    *join = (struct weir_join){.name = conf->function->name,
        .left_schema = conf->function->left_schema,
        .right_schema = conf->function->right_schema,
        .out_schema = conf->function->out_schema};
    return (struct weir_join_conf){
        .join = join, .left_key = conf->left_key, .right_key = conf->right_key, .span = conf->span};
}

int
weir_cogroup_check(const struct weir_cogroup_conf *conf)
{
    struct weir_join join;
    const struct weir_join_conf made = join_of(conf, &join);
    return weir_join_check(&made, true);
}

static int
open_found(struct weir_operator *op, struct self *self, uint32_t pos_bytes)
{
    int err = weir_join_windows_open(op, &self->windows);
    if (err < 0) {
        return err;
    }
    self->group.self = self;
    self->found = calloc(self->windows.panes.cap, sizeof self->found[0]);
    self->pos = calloc(1, weir_align_up(pos_bytes + 1, sizeof(uint64_t)));
    return self->found != NULL && self->pos != NULL
               ? 0
               : weir_err_push(WEIR_ENOMEM, "%u panes of a group", self->windows.panes.cap);
}

struct group_self {
    struct self self;
    struct weir_join join;
};

static int
group_open(struct weir_operator *op)
{
    struct group_self *group = op->self;
    const struct weir_cogroup_conf *conf = op->conf;
    group->self.function = conf->function;
    group->self.join = join_of(conf, &group->join);
    group->self.windows.base.conf = &group->self.join;
    return open_found(op, &group->self, conf->function->pos_bytes);
}

static int
outer_open(struct weir_operator *op)
{
    struct self *self = op->self;
    self->windows.base.conf = op->conf;
    return open_found(op, self, 0);
}

static int
group_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_join_windows_close(&self->windows);
    weir_keyed_rows_fini(&self->again);
    free(self->found);
    free(self->pos);
    return 0;
}

/* ---- the rows of a group ---- */

static const struct weir_row_list *
list_of(const struct self *self, uint32_t side)
{
    return &self->found[self->place[side].pane]->side[side];
}

static void
place_step(struct self *self, uint32_t side)
{
    struct place *place = &self->place[side];
    place->ref = weir_row_list_after(list_of(self, side), place->ref, &place->item);
    place->pane += place->ref == 0;
}

/* The item at a side's place, if there is one: rows that are not in this window are passed over. */
static bool
place_peek(struct self *self, uint32_t side)
{
    const struct join_windows *windows = &self->windows;
    struct place *place = &self->place[side];
    uint32_t cnt = windows->due.end - windows->due.first;
    for (; place->pane < cnt; place->pane += place->ref == 0) {
        if (place->ref == 0 && self->found[place->pane] != NULL) {
            place->ref = weir_row_list_first(windows->base.arena, list_of(self, side));
        }
        uint64_t passed = weir_join_windows_passed(windows, windows->due.first + place->pane);
        while (place->ref != 0) {
            self->steps++;
            weir_row_item_at(windows->base.arena, windows->base.schema[side], place->ref,
                self->windows.base.scratch[side], &place->item);
            if (place->item.tag <= passed) {
                return true;
            }
            place->ref = weir_row_list_after(list_of(self, side), place->ref, &place->item);
        }
    }
    return false;
}

static void
place_rewind(struct self *self, uint32_t side)
{
    self->place[side].pane = 0;
    self->place[side].ref = 0;
}

bool
weir_cogroup_peek(struct weir_cogroup *group, uint32_t side, struct weir_cogroup_row *ret_row)
{
    struct self *self = group->self;
    if (!place_peek(self, side)) {
        return false;
    }
    const struct weir_row_item *item = &self->place[side].item;
    *ret_row = (struct weir_cogroup_row){item->row, item->heap, item->time};
    return true;
}

void
weir_cogroup_step(struct weir_cogroup *group, uint32_t side)
{
    place_step(group->self, side);
}

void
weir_cogroup_rewind(struct weir_cogroup *group, uint32_t side)
{
    place_rewind(group->self, side);
}

/* ---- pairs, in which one side may be missing ---- */

/* The rows of one side, alone or with the row of the other one at its place; WEIR_DONE, WEIR_AGAIN
 * or an error. */
static int
pairs_along(
    struct self *self, uint32_t side, const struct weir_row_item *with, struct weir_out *out)
{
    struct join_windows *windows = &self->windows;
    for (; place_peek(self, side); place_step(self, side)) {
        const struct weir_row_item *item[2];
        item[side] = &self->place[side].item;
        item[1 - side] = with;
        int taken = weir_join_add(
            &windows->base, item[JOIN_LEFT], item[JOIN_RIGHT], &windows->due.like, out);
        if (taken <= 0) {
            return taken < 0 ? taken : WEIR_AGAIN;
        }
    }
    return WEIR_DONE;
}

static int
pairs_fire(struct self *self, struct weir_out *out)
{
    uint32_t outer = self->windows.base.conf->outer;
    for (uint32_t side = 0; side < 2; side++) {
        if (!self->has[1 - side]) {
            bool is_wanted =
                (outer & (side == JOIN_LEFT ? WEIR_JOIN_OUTER_LEFT : WEIR_JOIN_OUTER_RIGHT)) != 0;
            return is_wanted ? pairs_along(self, side, NULL, out) : (int)WEIR_DONE;
        }
    }
    for (; place_peek(self, JOIN_LEFT); place_step(self, JOIN_LEFT)) {
        int step = pairs_along(self, JOIN_RIGHT, &self->place[JOIN_LEFT].item, out);
        if (step != WEIR_DONE) {
            return step;
        }
        place_rewind(self, JOIN_RIGHT);
    }
    return WEIR_DONE;
}

/* ---- firing ---- */

/* The key of the entry at hand in every pane of the window. 1; 0: an earlier pane has it, so its
 * group has fired; or an error. */
static int
find_all(struct self *self)
{
    struct join_windows *windows = &self->windows;
    const struct weir_table *table = windows->panes.at[self->pane].table;
    uint32_t first = windows->due.first;
    const uint64_t *stored = self->stored + (size_t)self->at * table->word_cnt;
    self->found[self->pane - first] = self->entry[self->at];
    if (windows->due.end - first == 1) {
        return 1;
    }
    int loaded =
        weir_keyed_load_stored(&windows->base.keyed[JOIN_LEFT], table, stored, 1, &self->again);
    if (loaded < 0) {
        return loaded;
    }
    const struct weir_table_rows *key = &self->again.rows;
    for (uint32_t i = first; i < windows->due.end; i++) {
        self->steps++;
        if (i != self->pane) {
            self->found[i - first] =
                weir_table_find(windows->panes.at[i].table, key->hash[0], key->key, key->heap);
        }
        if (i < self->pane && self->found[i - first] != NULL) {
            return 0;
        }
    }
    return 1;
}

/* The group of the entry at hand. WEIR_DONE; WEIR_AGAIN: the output is full; or an error. */
static int
group_fire(struct self *self, struct weir_out *out)
{
    if (!self->is_in) {
        int found = find_all(self);
        if (found <= 0) {
            return found < 0 ? found : (int)WEIR_DONE;
        }
        for (uint32_t side = 0; side < 2; side++) {
            place_rewind(self, side);
            self->has[side] = place_peek(self, side);
        }
        if (!self->has[JOIN_LEFT] && !self->has[JOIN_RIGHT]) {
            return WEIR_DONE;
        }
        if (self->function != NULL) {
            memset(self->pos, 0, self->function->pos_bytes);
        }
        self->is_in = true;
    }
    int step = self->function != NULL ? self->function->fire(&self->group, self->pos, out)
                                      : pairs_fire(self, out);
    self->is_in = step == WEIR_AGAIN;
    return step;
}

static void
scan_from(struct self *self, uint32_t pane)
{
    self->pane = pane;
    memset(&self->cursor, 0, sizeof self->cursor);
    self->stage = GROUP_SCAN;
}

static void
scan(struct self *self)
{
    struct join_windows *windows = &self->windows;
    if (self->pane == windows->due.end) {
        self->stage = weir_join_windows_done(windows) ? GROUP_GIVE : GROUP_IDLE;
        return;
    }
    self->at = 0;
    self->cnt = weir_table_scan(
        windows->panes.at[self->pane].table, &self->cursor, SCAN_CNT, self->stored, self->entry);
    if (self->cnt == 0) {
        scan_from(self, self->pane + 1);
    } else {
        self->stage = GROUP_FIRE;
    }
}

/* One step. WEIR_DONE: go on; WEIR_AGAIN: the output is full; or an error. */
static int
fire_step(struct self *self, struct weir_out *out)
{
    self->steps++;
    if (self->stage == GROUP_SCAN) {
        scan(self);
    } else if (self->stage == GROUP_GIVE) {
        self->steps += GIVE_STEPS;
        if (weir_join_panes_give(&self->windows.panes) == WEIR_DONE) {
            self->stage = weir_join_windows_done(&self->windows) ? GROUP_GIVE : GROUP_IDLE;
        }
    } else {
        int step = group_fire(self, out);
        if (step != WEIR_DONE) {
            return step;
        }
        self->at++;
        self->stage = self->at < self->cnt ? GROUP_FIRE : GROUP_SCAN;
    }
    return WEIR_DONE;
}

static int
group_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    struct join_windows *windows = &self->windows;
    int step = WEIR_DONE;
    (void)now_ns;
    self->steps = 0;
    while (step == WEIR_DONE && self->steps < SLICE_STEPS) {
        if (self->stage == GROUP_IDLE) {
            if (!weir_join_windows_next(windows, watermark)) {
                windows->frontier = weir_max_i64(windows->frontier, watermark);
                weir_join_flush(&windows->base, out);
                return WEIR_DONE;
            }
            self->group.window_start = windows->due.like.window_start;
            self->group.window_end = windows->due.like.window_end;
            self->group.time = windows->due.like.time;
            scan_from(self, windows->due.first);
        }
        out->row_time = windows->due.like.time;
        step = fire_step(self, out);
    }
    weir_join_flush(&windows->base, out);
    return step < 0 ? step : WEIR_AGAIN;
}

/* ---- checkpoints ---- */

static int
group_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    WEIR_CHECK(self->stage == GROUP_IDLE, "a barrier while a window fires");
    weir_join_windows_snapshot(&self->windows, parts);
    return 0;
}

const struct weir_operator_type weir_cogroup_type = {
    .name = "co-group",
    .self_bytes = sizeof(struct group_self),
    .input_cnt = 2,
    .output_cnt = 3,
    .open = group_open,
    .process = weir_join_windows_process,
    .watermark = group_watermark,
    .close = group_close,
    .snapshot = group_snapshot,
    .restore = weir_join_windows_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = weir_join_windows_parts,
    .part_cnt = JOIN_WINDOWS_PART_CNT,
};

const struct weir_operator_type weir_outer_join_type = {
    .name = "outer join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 3,
    .open = outer_open,
    .process = weir_join_windows_process,
    .watermark = group_watermark,
    .close = group_close,
    .snapshot = group_snapshot,
    .restore = weir_join_windows_restore,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
    .parts = weir_join_windows_parts,
    .part_cnt = JOIN_WINDOWS_PART_CNT,
};
