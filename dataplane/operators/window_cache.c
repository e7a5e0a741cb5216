/* SPDX-License-Identifier: Apache-2.0 */
/* Rows whose keys came lately: by way of the cache in front of the pane that most rows go to.
 *
 * Keys that the cache does not have gather their rows in spare accumulators, so that each is looked
 * up once, a block of them at a time. Where rows are counted, probe and update are one loop, and
 * who reads the rows may run it in our place (tally.h).
 *
 * A tally takes the rows of one pane. None of them is late by another of them: no window with the
 * pane in it has ended at the watermark of a row of the pane.
 */
#include <string.h>

#include "dataplane/operators/window_priv.h"

void
weir_window_open_for(struct window_self *self, int64_t watermark)
{
    watermark = weir_max_i64(watermark, self->frontier);
    self->open_watermark = watermark;
    if (watermark >= self->open_from && watermark < self->open_until) {
        return;
    }
    const struct window_grid *grid = &self->plan.grid;
    self->open = weir_window_grid_open(grid, watermark);
    self->open_from = weir_sub_sat(weir_window_grid_end(grid, weir_sub_sat(self->open, 1)), 1);
    self->open_until = weir_sub_sat(weir_window_grid_end(grid, self->open), 1);
    self->place.first_ms = 1;
    self->place.last_ms = 0;
}

bool
weir_window_cache_serves(struct window_self *self)
{
    const struct window_place *place = &self->place;
    return !place->is_late && !place->is_gap && place->pane != WINDOW_PANE_NONE &&
           weir_keyed_cache_serves(
               &self->plan.keyed, &self->cache, self->panes.pane[place->pane].table);
}

/* Merge what the spare places of the cache have gathered into the entries of their keys. */
static int
add_spares(struct window_self *self, const struct weir_keyed_spare *spare, void *const *spare_acc)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct weir_keyed_rows *keys = &self->rows;
    struct weir_table *table = self->panes.pane[self->place.pane].table;
    if (spare->cnt == 0) {
        return 0;
    }
    weir_keyed_cache_load(&self->plan.keyed, &self->cache, spare, keys);
    for (uint32_t at = 0; at < keys->rows.cnt;) {
        uint32_t made_at = keys->rows.made_cnt;
        int got = weir_keyed_resolve(&self->plan.keyed, table, keys, at);
        if (got < 0) {
            return got; /* the task fails: nobody asks the cache again */
        }
        weir_aggregate_init_made(agg, keys, made_at);
        agg->merge(agg, keys->val + at, spare_acc + at, (uint32_t)got);
        at += (uint32_t)got;
    }
    weir_keyed_cache_settle(&self->cache, keys);
    return 0;
}

static void
aim_at_spares(const struct weir_keyed_spare *spare, void **ret_acc)
{
    for (uint32_t i = 0; i < spare->cnt; i++) {
        ret_acc[i] = spare->mem + (size_t)i * spare->bytes;
    }
}

static struct weir_keyed_spare
spare_places(struct window_self *self)
{
    struct weir_keyed_spare spare = {self->fire.merged, self->plan.acc_bytes, 0};
    return spare;
}

int
weir_window_add_cached(
    struct window_self *self, const struct weir_view *in, uint32_t from, uint32_t cnt)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct weir_keyed_spare spare = spare_places(self);
    struct weir_aggregate_rows rows = {in, from, cnt};
    void *spare_acc[WINDOW_BLOCK];
    struct weir_keyed_lane lane = weir_keyed_plain(&self->plan.keyed, in, from);
    if (agg->kind == WEIR_AGGREGATE_COUNT) {
        cnt = weir_keyed_cache_count(&self->cache, lane, cnt, &spare);
        aim_at_spares(&spare, spare_acc);
    } else {
        cnt = weir_min_u32(cnt, WINDOW_BLOCK);
        rows.cnt = cnt;
        weir_keyed_cache_probe(&self->cache, lane, cnt, &spare, self->rows.val);
        aim_at_spares(&spare, spare_acc);
        memset(spare.mem, 0, (size_t)spare.cnt * spare.bytes);
        if (agg->init != NULL) {
            agg->init(agg, spare_acc, spare.cnt);
        }
        agg->update(agg, self->rows.val, &rows);
    }
    int err = add_spares(self, &spare, spare_acc);
    return err < 0 ? err : (int)cnt;
}

/* ---- for the operator before this one ---- */

static bool
tally_begin(struct weir_operator *op, int64_t watermark)
{
    struct window_self *self = op->self;
    weir_window_open_for(self, watermark);
    if (self->place.first_ms > self->place.last_ms || !weir_window_cache_serves(self)) {
        return false;
    }
    self->tally.first_ms = self->place.first_ms;
    self->tally.last_ms = self->place.last_ms;
    return true;
}

static int
tally_settle(struct weir_operator *op)
{
    struct window_self *self = op->self;
    struct weir_keyed_spare *spare = &self->tally.spare;
    void *spare_acc[WINDOW_BLOCK];
    aim_at_spares(spare, spare_acc);
    int err = add_spares(self, spare, spare_acc);
    spare->cnt = 0;
    weir_keyed_cache_follow(&self->cache);
    return err;
}

struct weir_tally *
weir_window_tally(struct weir_operator *op)
{
    struct window_self *self = op->self;
    struct weir_tally *tally = &self->tally;
    if (self->plan.agg.kind != WEIR_AGGREGATE_COUNT || !weir_keyed_cache_fits(&self->plan.keyed)) {
        return NULL;
    }
    tally->op = op;
    tally->key_off = self->plan.keyed.key.part[0].off;
    tally->begin = tally_begin;
    tally->settle = tally_settle;
    tally->cache = &self->cache;
    tally->spare = spare_places(self);
    return tally;
}
