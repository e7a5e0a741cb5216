/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a window that fires: entries of up to three tables, merged by key, in chunks; and
 * which of them are the best. */
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/window_priv.h"
#include "dataplane/rank.h"

static uint32_t
key_words(const struct window_self *self)
{
    return self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
}

/* ---- chunks ---- */

void
weir_window_chunk_rewind(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    fire->source_at = 0;
    fire->step = 0;
    fire->chunk_cnt = 0;
    fire->chunk_at = 0;
    memset(&fire->cursor, 0, sizeof fire->cursor);
}

/* Keep the entries of the chunk that are marked. */
static void
chunk_keep(struct window_self *self, const bool *keep)
{
    struct window_fire *fire = &self->fire;
    uint32_t words = key_words(self);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < fire->chunk_cnt; i++) {
        if (keep[i]) {
            memmove(&fire->key[cnt * words], &fire->key[i * words], words * sizeof(uint64_t));
            fire->acc[cnt] = fire->acc[i];
            cnt++;
        }
    }
    fire->chunk_cnt = cnt;
}

/* Merge what another source has for the keys of the chunk, or drop keys that came with it. */
static int
chunk_meet(struct window_self *self, struct weir_table *other, bool was_before, bool *keep)
{
    struct window_fire *fire = &self->fire;
    const struct weir_aggregate *agg = &self->plan.agg;
    uint32_t at = 0;
    while (at < fire->chunk_cnt) {
        int got = weir_keyed_load_stored(&self->plan.keyed, fire->chunk_table,
            &fire->key[at * key_words(self)], fire->chunk_cnt - at, &self->rows);
        if (got < 0) {
            return got;
        }
        weir_table_find_rows(other, &self->rows.rows);
        for (uint32_t i = 0; i < (uint32_t)got; i++) {
            void *found = self->rows.val[i];
            if (found == NULL) {
                continue;
            }
            if (was_before) {
                keep[at + i] = false;
                continue;
            }
            void *merged = fire->merged + (size_t)(at + i) * self->plan.acc_bytes;
            if (fire->acc[at + i] != merged) {
                memcpy(merged, fire->acc[at + i], self->plan.acc_bytes);
                fire->acc[at + i] = merged;
            }
            agg->merge(agg, &merged, &found, 1);
        }
        at += (uint32_t)got;
    }
    return 0;
}

/* A key of several sources is emitted with the first of them. */
static int
chunk_merge(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    bool keep[WINDOW_BLOCK];
    memset(keep, true, sizeof keep);
    for (uint32_t i = 0; i < fire->source_cnt; i++) {
        if (i != fire->source_at) {
            int err = chunk_meet(self, fire->source[i], i < fire->source_at, keep);
            if (err < 0) {
                return err;
            }
        }
    }
    if (fire->source_at > 0) {
        chunk_keep(self, keep);
    }
    return 0;
}

int
weir_window_chunk_next(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    if (self->plan.mode == WINDOW_PEAKS) {
        return weir_window_peak_next(self);
    }
    fire->chunk_at = 0;
    fire->chunk_cnt = 0;
    for (; fire->source_at < fire->source_cnt; fire->source_at++) {
        fire->chunk_table = fire->source[fire->source_at];
        uint32_t cnt =
            weir_table_scan(fire->chunk_table, &fire->cursor, WINDOW_BLOCK, fire->key, fire->acc);
        self->entries_seen += cnt;
        if (cnt > 0) {
            fire->chunk_cnt = cnt;
            int err = fire->source_cnt > 1 ? chunk_merge(self) : 0;
            return err < 0 ? err : (int)cnt;
        }
        memset(&fire->cursor, 0, sizeof fire->cursor);
    }
    return 0;
}

/* ---- rows ---- */

int
weir_window_chunk_emit(struct window_self *self, struct weir_out *out)
{
    struct window_fire *fire = &self->fire;
    const struct window_plan *plan = &self->plan;
    const uint64_t *stored = &fire->key[fire->chunk_at * key_words(self)];
    int64_t end = weir_window_grid_end(&plan->grid, fire->k);
    const struct weir_window_rows fired = {weir_window_grid_start(&plan->grid, fire->k), end,
        end - 1, fire->chunk_table, NULL, stored,
        weir_keyed_room(&plan->keyed, stored, fire->chunk_cnt - fire->chunk_at, out)};
    struct weir_lane rows = weir_window_fill_rows(&plan->fill, &plan->keyed, &fired, out);
    uint32_t cnt = fired.cnt;
    plan->agg.result(&plan->agg, fire->acc + fire->chunk_at, cnt, rows);
    fire->chunk_at += cnt;
    return fire->chunk_at == fire->chunk_cnt ? WEIR_DONE : WEIR_AGAIN;
}

/* ---- top ---- */

static void
chunk_rank(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    const struct window_plan *plan = &self->plan;
    const struct weir_field *by = plan->by;
    if (by == NULL) {
        plan->agg.rank(&plan->agg, fire->acc, fire->chunk_cnt, fire->rank);
        return;
    }
    struct weir_lane lane = {fire->scratch_rows, self->row_bytes};
    plan->agg.result(&plan->agg, fire->acc, fire->chunk_cnt, lane);
    for (uint32_t i = 0; i < fire->chunk_cnt; i++) {
        fire->rank[i] = weir_rank_field(by, lane.ptr + (size_t)lane.stride * i + by->off);
    }
}

/* The least rank that is among the best so far. */
static int64_t
least_best(const struct window_self *self)
{
    const struct window_fire *fire = &self->fire;
    return fire->best_cnt < self->plan.top_cnt ? INT64_MIN : fire->best[fire->best_cnt - 1];
}

static void
best_insert(struct window_self *self, int64_t rank)
{
    struct window_fire *fire = &self->fire;
    fire->best_cnt += fire->best_cnt < self->plan.top_cnt;
    uint32_t at = fire->best_cnt - 1;
    for (; at > 0 && fire->best[at - 1] < rank; at--) {
        fire->best[at] = fire->best[at - 1];
    }
    fire->best[at] = rank;
}

static void
candidates_thin(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    int64_t least = least_best(self);
    uint32_t acc_bytes = self->plan.acc_bytes;
    uint32_t words = key_words(self);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < fire->candidate_cnt; i++) {
        if (fire->candidate_rank[i] >= least && i != cnt) {
            fire->candidate_rank[cnt] = fire->candidate_rank[i];
            memcpy(&fire->candidate_key[cnt * words], &fire->candidate_key[i * words],
                self->plan.keyed.stride);
            memcpy(fire->candidate_acc + (size_t)cnt * acc_bytes,
                fire->candidate_acc + (size_t)i * acc_bytes, acc_bytes);
        }
        cnt += fire->candidate_rank[i] >= least;
    }
    fire->candidate_cnt = cnt;
}

static void
candidate_add(struct window_self *self, uint32_t i)
{
    struct window_fire *fire = &self->fire;
    if (fire->candidate_cnt == WINDOW_CANDIDATE_CNT && !fire->is_full) {
        candidates_thin(self);
        /* So many equal ones: the window is looked through again, with the rank known. */
        fire->is_full = fire->candidate_cnt == WINDOW_CANDIDATE_CNT;
    }
    if (fire->is_full) {
        return;
    }
    uint32_t at = fire->candidate_cnt++;
    fire->candidate_rank[at] = fire->rank[i];
    uint32_t words = key_words(self);
    memcpy(&fire->candidate_key[at * words], &fire->key[i * words], self->plan.keyed.stride);
    memcpy(fire->candidate_acc + (size_t)at * self->plan.acc_bytes, fire->acc[i],
        self->plan.acc_bytes);
}

void
weir_window_top_look(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    chunk_rank(self);
    int64_t least = least_best(self);
    for (uint32_t i = 0; i < fire->chunk_cnt; i++) {
        if (fire->rank[i] < least) {
            continue;
        }
        if (fire->rank[i] > least || fire->best_cnt < self->plan.top_cnt) {
            best_insert(self, fire->rank[i]);
            least = least_best(self);
        }
        candidate_add(self, i);
    }
}

void
weir_window_top_choose(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    bool keep[WINDOW_BLOCK];
    int64_t least = least_best(self);
    chunk_rank(self);
    for (uint32_t i = 0; i < fire->chunk_cnt; i++) {
        keep[i] = fire->rank[i] >= least;
    }
    chunk_keep(self, keep);
}

void
weir_window_top_next(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    if (fire->candidate_at == 0) {
        candidates_thin(self);
    }
    uint32_t cnt = weir_min_u32(fire->candidate_cnt - fire->candidate_at, WINDOW_BLOCK);
    uint32_t words = key_words(self);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t at = fire->candidate_at + i;
        memcpy(&fire->key[i * words], &fire->candidate_key[at * words], words * sizeof(uint64_t));
        fire->acc[i] = fire->candidate_acc + (size_t)at * self->plan.acc_bytes;
    }
    fire->candidate_at += cnt;
    fire->chunk_cnt = cnt;
    fire->chunk_at = 0;
}
