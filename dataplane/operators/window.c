/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates per key and window of event time: here rows come in.
 *
 *     count, tumbling 10 s:   (a 00:01) (b 00:02) (a 00:09) watermark 00:10   ->   (a 2) (b 1)
 *
 * State: one table per pane (window_pane.c), from the key to its accumulator. A row is added once,
 * to one pane, however many windows overlap. How panes become windows is window_fire.c.
 *
 * Watermarks: first what they make due, then they are passed on.
 *
 * Checkpoints: window_state.c.
 *
 * Rows are worked on in blocks that stay in L1: times, keys and hashes, lookups, updates, each a
 * loop of its own. Where all times of a block lie in the pane of the last one, which is nearly
 * always, no row's pane is looked at.
 */
#include "dataplane/operators/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/window_priv.h"
#include "dataplane/rank.h"

/* ---- plan ---- */

static int
plan_top(
    struct window_plan *plan, const struct weir_window_conf *conf, const struct weir_schema *out)
{
    plan->top_cnt = conf->top_cnt;
    if (conf->top_cnt > WEIR_WINDOW_TOP_CNT_MAX) {
        return weir_err_push(WEIR_EGRAPH, "the best %u of a window: at most %d can be had",
            conf->top_cnt, WEIR_WINDOW_TOP_CNT_MAX);
    }
    if (conf->top_cnt == 0) {
        return 0;
    }
    if (plan->by == NULL && conf->top_by == NULL && plan->agg.kind != WEIR_AGGREGATE_OWN) {
        plan->by = plan->agg.rank == NULL ? &plan->agg.out : NULL;
        return 0;
    }
    const struct weir_field *by = plan->by;
    if (by == NULL || !weir_rank_takes(by)) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s cannot rank: it must be a number",
            conf->top_by == NULL ? "(none)" : conf->top_by, out->name);
    }
    return 0;
}

static int
plan_init(struct window_plan *plan, const struct weir_window_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out, const struct weir_arena *arena)
{
    memset(plan, 0, sizeof *plan);
    plan->agg = conf->aggregate;
    int err = weir_window_grid_init(&plan->grid, &conf->span);
    if (err < 0) {
        return err;
    }
    err = weir_keyed_init(&plan->keyed, &conf->key, in, arena);
    if (err < 0) {
        return err;
    }
    const struct weir_field *rest = NULL;
    err = weir_window_fill_init(&plan->fill, &plan->keyed, conf->key_as, out);
    if (err == 0) {
        err = weir_window_fill_rest(&plan->fill, &plan->agg, out, &rest);
    }
    if (err < 0) {
        return err;
    }
    int by = conf->top_by != NULL ? weir_schema_field(out, conf->top_by) : -1;
    plan->by = by >= 0 ? &out->fields[by] : NULL;
    err = weir_aggregate_check_out(&plan->agg, out);
    if (err < 0) {
        return err;
    }
    err = weir_aggregate_resolve(&plan->agg, in, rest);
    if (err < 0) {
        return err;
    }
    plan->acc_bytes = (uint32_t)weir_align_up(plan->agg.acc_bytes, 8);
    bool is_single = plan->grid.whole == 0 || (plan->grid.whole == 1 && plan->grid.part == 0);
    plan->mode = is_single                    ? WINDOW_SINGLE
                 : plan->agg.subtract != NULL ? WINDOW_SUBTRACT
                                              : WINDOW_STACKS;
    err = plan_top(plan, conf, out);
    if (err == 0 && !is_single && weir_window_peak_fits(plan)) {
        plan->mode = WINDOW_PEAKS;
    }
    return err;
}

int
weir_window_check(const struct weir_window_conf *conf, const struct weir_schema *in_schema,
    const struct weir_schema *out_schema)
{
    struct window_plan plan;
    return plan_init(&plan, conf, in_schema, out_schema, NULL);
}

int
weir_window_plan_of(const struct weir_operator *op, struct window_plan *ret_plan)
{
    return plan_init(ret_plan, op->conf, op->in_schema[0], op->out_schema[0], NULL);
}

/* ---- open ---- */

static char *
carve(char **at, size_t bytes)
{
    char *mem = *at;
    *at += weir_align_up(bytes, WEIR_LINE_BYTES);
    return mem;
}

static int
window_open(struct weir_operator *op)
{
    struct window_self *self = op->self;
    struct window_plan *plan = &self->plan;
    const struct weir_window_conf *conf = op->conf;
    self->arena = op->env->arena;
    if (self->arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "a window was given no state pages");
    }
    int err = plan_init(plan, conf, op->in_schema[0], op->out_schema[0], self->arena);
    if (err < 0) {
        return err;
    }
    uint32_t table_cnt = self->arena->spec.table_cnt_max;
    uint32_t cap = table_cnt != 0 ? table_cnt : WEIR_ARENA_TABLE_CNT_DEFAULT;
    uint32_t row_bytes = op->out_schema[0]->row_bytes;
    const size_t part[] = {weir_window_panes_footprint(cap),
        (size_t)(cap + WINDOW_SOURCE_CNT) * sizeof(struct weir_table *),
        (size_t)WINDOW_BLOCK * plan->acc_bytes, WINDOW_CANDIDATE_CNT * sizeof(int64_t),
        (size_t)WINDOW_CANDIDATE_CNT * plan->keyed.stride,
        (size_t)WINDOW_CANDIDATE_CNT * plan->acc_bytes, (size_t)WINDOW_BLOCK * row_bytes,
        plan->mode == WINDOW_PEAKS ? cap * sizeof(struct window_peaks) : 0};
    size_t bytes = WEIR_LINE_BYTES;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(part); i++) {
        bytes += weir_align_up(part[i], WEIR_LINE_BYTES);
    }
    self->mem = calloc(1, bytes);
    if (self->mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%zu bytes for a window", bytes);
    }
    char *at = (char *)weir_align_up((uintptr_t)self->mem, WEIR_LINE_BYTES);
    struct window_fire *fire = &self->fire;
    weir_window_panes_init(&self->panes, carve(&at, part[0]), cap);
    fire->give = (struct weir_table **)(void *)carve(&at, part[1]);
    fire->merged = carve(&at, part[2]);
    fire->candidate_rank = (int64_t *)(void *)carve(&at, part[3]);
    fire->candidate_key = (uint64_t *)(void *)carve(&at, part[4]);
    fire->candidate_acc = carve(&at, part[5]);
    fire->scratch_rows = carve(&at, part[6]);
    self->peaks = (struct window_peaks *)(void *)carve(&at, part[7]);
    self->row_bytes = row_bytes;
    self->pane_state = weir_state_id(op->uid, WINDOW_STATE_PANES);
    self->sum_state = weir_state_id(op->uid, WINDOW_STATE_SUMS);
    self->frontier = WEIR_TIME_MIN;
    self->open_watermark = WEIR_TIME_MIN;
    self->open = weir_window_grid_open(&plan->grid, WEIR_TIME_MIN);
    self->place.first_ms = 1;
    return 0;
}

static int
window_close(struct weir_operator *op, bool clean)
{
    struct window_self *self = op->self;
    (void)clean;
    free(self->mem);
    self->mem = NULL;
    weir_keyed_rows_fini(&self->rows);
    weir_keyed_rows_fini(&self->group);
    return 0;
}

/* ---- rows in ---- */

/* Rows that all belong to one pane, their keys loaded. */
static int
add_to_pane(struct window_self *self, struct window_place *place, struct weir_keyed_rows *keys,
    const struct weir_view *view, uint32_t from)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    if (place->pane == WINDOW_PANE_NONE) {
        int err = weir_window_pane_of(self, place);
        if (err < 0) {
            return err;
        }
    }
    struct weir_table *table = self->panes.pane[place->pane].table;
    uint32_t at = 0;
    while (at < keys->rows.cnt) {
        uint32_t made_at = keys->rows.made_cnt;
        int got = weir_keyed_resolve(&self->plan.keyed, table, keys, at);
        if (got < 0) {
            return got;
        }
        weir_aggregate_init_made(agg, keys, made_at);
        struct weir_aggregate_rows rows = {view, from + at, (uint32_t)got};
        agg->update(agg, keys->val + at, &rows);
        at += (uint32_t)got;
    }
    return 0;
}

struct window_late {
    uint16_t *sel;
    uint32_t cnt;
};

/* Rows that all belong to one place. */
static int
add_to_place(struct window_self *self, struct window_place *place, struct weir_keyed_rows *keys,
    const struct weir_view *view, uint32_t from)
{
    if (WEIR_LIKELY(!place->is_late && !place->is_gap)) {
        return add_to_pane(self, place, keys, view, from);
    }
    return 0;
}

/* Rows of a block by place: chained in order, as many places as fit. */
#define GROUP_CNT 16
struct groups {
    struct window_place place[GROUP_CNT];
    uint8_t head[GROUP_CNT]; /* positions in the block */
    uint8_t tail[GROUP_CNT];
    uint8_t next[WINDOW_BLOCK];
    uint32_t row_cnt[GROUP_CNT];
    uint32_t cnt;
};
WEIR_STATIC_ASSERT(WINDOW_BLOCK <= 256, "positions in a block are bytes");

static int
group_add(struct window_self *self, struct groups *groups, uint32_t g, const struct weir_view *in,
    uint32_t from)
{
    struct weir_keyed_rows *to = &self->group;
    const struct weir_keyed_rows *keys = &self->rows;
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    uint16_t sel[WINDOW_BLOCK];
    uint32_t i = groups->head[g];
    uint32_t cnt = groups->row_cnt[g];
    bool is_keyed = self->plan.keyed.key.field_cnt > 0;
    for (uint32_t n = 0; n < cnt; n++) {
        sel[n] = (uint16_t)weir_view_row(in, from + i);
        uint32_t key = is_keyed ? i : 0;
        to->hash[n] = keys->hash[key];
        memcpy(&to->word[n * words], &keys->word[key * words], words * sizeof(uint64_t));
        i = groups->next[i];
    }
    struct weir_view view = *in;
    view.sel = sel;
    view.cnt = cnt;
    to->rows = keys->rows;
    to->rows.hash = to->hash;
    to->rows.key = (const char *)to->word;
    to->rows.ret_val = to->val;
    to->rows.ret_made = to->made;
    to->rows.cnt = cnt;
    to->rows.made_cnt = 0;
    return add_to_place(self, &groups->place[g], to, &view, 0);
}

static int
groups_add(
    struct window_self *self, struct groups *groups, const struct weir_view *in, uint32_t from)
{
    for (uint32_t g = 0; g < groups->cnt; g++) {
        int err = group_add(self, groups, g, in, from);
        if (err < 0) {
            return err;
        }
    }
    if (groups->cnt > 0) {
        self->place = groups->place[groups->cnt - 1];
    }
    groups->cnt = 0;
    return 0;
}

/* The group of a time, GROUP_CNT where there is no room for it. */
static uint32_t
group_of(const struct window_self *self, struct groups *groups, int64_t time, uint32_t last)
{
    if (last < groups->cnt && time >= groups->place[last].first_ms &&
        time <= groups->place[last].last_ms) {
        return last;
    }
    for (uint32_t g = 0; g < groups->cnt; g++) {
        if (time >= groups->place[g].first_ms && time <= groups->place[g].last_ms) {
            return g;
        }
    }
    if (groups->cnt == GROUP_CNT) {
        return GROUP_CNT;
    }
    uint32_t g = groups->cnt++;
    groups->row_cnt[g] = 0;
    if (time >= self->place.first_ms && time <= self->place.last_ms) {
        groups->place[g] = self->place;
    } else {
        weir_window_place_of(&self->plan.grid, time, self->open, &groups->place[g]);
    }
    return g;
}

/* A block whose rows belong to several places. */
static int
add_mixed(struct window_self *self, const struct weir_view *in, uint32_t from, uint32_t cnt,
    struct window_late *late)
{
    struct groups groups;
    groups.cnt = 0;
    uint32_t g = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t row = weir_view_row(in, from + i);
        int64_t time = weir_view_time(in, row);
        g = group_of(self, &groups, time, g);
        if (g == GROUP_CNT) {
            int err = groups_add(self, &groups, in, from);
            if (err < 0) {
                return err;
            }
            g = group_of(self, &groups, time, 0);
        }
        if (groups.place[g].is_late) {
            late->sel[late->cnt++] = (uint16_t)row;
        }
        if (groups.row_cnt[g]++ == 0) {
            groups.head[g] = (uint8_t)i;
        } else {
            groups.next[groups.tail[g]] = (uint8_t)i;
        }
        groups.tail[g] = (uint8_t)i;
    }
    return groups_add(self, &groups, in, from);
}

/* Up to a block of rows from `from` on. Returns how many. */
static int
add_block(
    struct window_self *self, const struct weir_view *in, uint32_t from, struct window_late *late)
{
    uint32_t cnt = weir_min_u32(in->cnt - from, WINDOW_BLOCK);
    struct window_place *place = &self->place;
    bool is_one = weir_view_is_within(in, place->first_ms, place->last_ms) && !place->is_late;
    uint32_t one_cnt = is_one ? in->cnt - from : cnt; /* rows of one place, where they are */
    if (!is_one) {
        int64_t min;
        int64_t max;
        weir_view_span(in, from, cnt, &min, &max);
        if (min < place->first_ms || min > place->last_ms) {
            weir_window_place_of(&self->plan.grid, min, self->open, place);
        }
        is_one = max <= place->last_ms && !place->is_late;
    }
    if (is_one && weir_window_cache_serves(self)) {
        return weir_window_add_cached(self, in, from, one_cnt);
    }
    int loaded = weir_keyed_load(&self->plan.keyed, in, from, cnt, &self->rows);
    if (loaded < 0) {
        return loaded;
    }
    int err;
    if (is_one) {
        err = add_to_place(self, place, &self->rows, in, from);
    } else {
        err = add_mixed(self, in, from, (uint32_t)loaded, late);
    }
    return err < 0 ? err : loaded;
}

/* After the end of time every row is late, also where a window would end beyond it. */
static int64_t
all_late(
    struct weir_operator *op, const struct weir_view *in, uint32_t cursor, struct weir_out *out)
{
    uint32_t cnt = in->cnt - cursor;
    weir_out_pass_range(&out[1], in, cursor, cnt);
    op->rows_late += cnt;
    return cnt;
}

static int64_t
window_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct window_self *self = op->self;
    struct window_late late = {out[1].sel_buf, 0};
    (void)input;
    (void)now_ns;
    if (in->time == NULL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to put them into windows");
    }
    weir_window_open_for(self, in->watermark);
    if (self->open_watermark == WEIR_WATERMARK_MAX) {
        return all_late(op, in, cursor, out);
    }
    uint32_t at = cursor;
    while (at < in->cnt) {
        int got = add_block(self, in, at, &late);
        if (got < 0) {
            return got;
        }
        at += (uint32_t)got;
    }
    if (late.cnt > 0) {
        op->rows_late += late.cnt;
        weir_out_pass(&out[1], in, late.cnt);
    }
    return at - cursor;
}

const struct weir_operator_type weir_window_type = {
    .name = "window",
    .self_bytes = sizeof(struct window_self),
    .input_cnt = 1,
    .output_cnt = 2,
    .open = window_open,
    .process = window_process,
    .tally = weir_window_tally,
    .watermark = weir_window_fire,
    .close = window_close,
    .snapshot = weir_window_snapshot,
    .restore = weir_window_restore,
    .states = weir_window_states,
    .state_cnt = WINDOW_STATE_CNT,
    .parts = weir_window_parts,
    .part_cnt = WINDOW_PART_CNT,
};
