/* SPDX-License-Identifier: Apache-2.0 */
/* The most frequent key of each window, where windows have few panes: no running table.
 *
 * Counts only add up, so the best key of a window has, in one of its n panes at least, a count of a
 * n-th of the greatest count that any key has in any pane. A pane is looked through once, when it
 * enters: what it has at the top is kept beside it. When a window fires, the few keys that could
 * win are looked up in the other panes. Where a list does not reach down far enough (all keys are
 * about as frequent, or panes have changed much) that pane is looked through again.
 *
 * So a window costs at most n times what is in it; hence only for few panes. What comes out is
 * taken by the top as if it came from a running table.
 */
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/window_priv.h"

static int64_t
count_of(const void *acc)
{
    int64_t count;
    memcpy(&count, acc, sizeof count);
    return count;
}

bool
weir_window_peak_fits(const struct window_plan *plan)
{
    const struct window_grid *grid = &plan->grid;
    return plan->top_cnt == 1 && plan->agg.kind == WEIR_AGGREGATE_COUNT && plan->by == NULL &&
           grid->whole < WINDOW_PEAK_PANE_CNT_MAX &&
           grid->whole * (grid->part != 0 ? 2 : 1) + (grid->part != 0) <= WINDOW_PEAK_PANE_CNT_MAX;
}

/* ---- when a pane enters ---- */

/* Drop what is below a count: the list is whole from there on. */
static void
list_thin(struct window_peaks *peaks, int64_t least)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < peaks->cnt; i++) {
        if (peaks->peak[i].count >= least) {
            peaks->peak[cnt++] = peaks->peak[i];
        }
    }
    peaks->cnt = cnt;
    peaks->least = least;
}

/* Make room: below what could win for sure, else below the average of what is there. */
static void
list_make_room(struct window_peaks *peaks, int64_t useful)
{
    if (useful > peaks->least) {
        list_thin(peaks, useful);
    }
    if (peaks->cnt == WINDOW_PEAK_CNT) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < peaks->cnt; i++) {
            sum += peaks->peak[i].count; /* rows: far from the end of 64 bits */
        }
        list_thin(peaks, weir_max_i64(sum / WINDOW_PEAK_CNT, peaks->least) + 1);
    }
}

int
weir_window_peak_enter(struct window_self *self, uint32_t pane)
{
    struct window_fire *fire = &self->fire;
    struct window_peaks *peaks = &self->peaks[pane];
    const struct weir_table *table = self->panes.pane[pane].table;
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    if (fire->step == 0) {
        fire->step = 1;
        peaks->cnt = 0;
        peaks->least = 1;
        peaks->most = 0;
    }
    uint32_t cnt = weir_table_scan(table, &fire->cursor, WINDOW_BLOCK, fire->key, fire->acc);
    self->entries_seen += cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        int64_t count = count_of(fire->acc[i]);
        peaks->most = weir_max_i64(peaks->most, count);
        if (count < peaks->least) {
            continue;
        }
        if (peaks->cnt == WINDOW_PEAK_CNT) {
            list_make_room(peaks, peaks->most / WINDOW_PEAK_PANE_CNT_MAX);
        }
        if (count >= peaks->least) {
            struct window_peak *peak = &peaks->peak[peaks->cnt++];
            memcpy(peak->key, &fire->key[i * words], words * sizeof(uint64_t));
            peak->count = count;
        }
    }
    return (int)cnt;
}

/* ---- when a window fires ---- */

void
weir_window_peak_begin(struct window_self *self)
{
    const struct weir_minheap *entered = &self->panes.entered;
    int64_t most = 0;
    for (uint32_t i = 0; i < entered->cnt; i++) {
        most = weir_max_i64(most, self->peaks[entered->entry[i].idx].most);
    }
    int64_t cnt = entered->cnt > 0 ? entered->cnt : 1;
    self->fire.peak_least = (most + cnt - 1) / cnt;
}

/* The next keys of a pane that may win, with their counts in `rank`. Returns how many were looked
 * at, 0 at the pane's end. */
static uint32_t
candidates_of(struct window_self *self, uint32_t pane)
{
    struct window_fire *fire = &self->fire;
    const struct window_peaks *peaks = &self->peaks[pane];
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    uint32_t seen = 0;
    fire->chunk_cnt = 0;
    if (peaks->least <= fire->peak_least) {
        seen = weir_min_u32(peaks->cnt - fire->step, WINDOW_BLOCK);
        for (uint32_t i = 0; i < seen; i++) {
            const struct window_peak *peak = &peaks->peak[fire->step + i];
            memcpy(&fire->key[fire->chunk_cnt * words], peak->key, words * sizeof(uint64_t));
            fire->rank[fire->chunk_cnt] = peak->count;
            fire->chunk_cnt += peak->count >= fire->peak_least;
        }
        fire->step += seen;
        return seen;
    }
    seen = weir_table_scan(
        self->panes.pane[pane].table, &fire->cursor, WINDOW_BLOCK, fire->key, fire->acc);
    self->entries_seen += seen;
    for (uint32_t i = 0; i < seen; i++) {
        int64_t count = count_of(fire->acc[i]);
        if (count >= fire->peak_least) {
            memmove(&fire->key[fire->chunk_cnt * words], &fire->key[i * words],
                words * sizeof(uint64_t));
            fire->rank[fire->chunk_cnt++] = count;
        }
    }
    return seen;
}

/* Add up what entries [at, at + got) have in the other panes; a key that was a candidate of an
 * earlier pane is marked with 0. */
static void
add_up(struct window_self *self, uint32_t own, uint32_t at, uint32_t got)
{
    struct window_fire *fire = &self->fire;
    const struct weir_minheap *entered = &self->panes.entered;
    for (uint32_t other = 0; other < entered->cnt; other++) {
        if (other == own) {
            continue;
        }
        weir_table_find_rows(self->panes.pane[entered->entry[other].idx].table, &self->rows.rows);
        for (uint32_t i = 0; i < got; i++) {
            if (self->rows.val[i] == NULL || fire->rank[at + i] == 0) {
                continue;
            }
            int64_t count = count_of(self->rows.val[i]);
            bool is_seen = other < own && count >= fire->peak_least;
            fire->rank[at + i] = is_seen ? 0 : fire->rank[at + i] + count;
        }
    }
}

/* Of the chunk what is not marked, with the sums as accumulators. */
static void
chunk_settle(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < fire->chunk_cnt; i++) {
        if (fire->rank[i] == 0) {
            continue;
        }
        memmove(&fire->key[cnt * words], &fire->key[i * words], words * sizeof(uint64_t));
        fire->acc[cnt] = fire->merged + (size_t)cnt * self->plan.acc_bytes;
        memcpy(fire->acc[cnt], &fire->rank[i], sizeof fire->rank[i]);
        cnt++;
    }
    fire->chunk_cnt = cnt;
}

int
weir_window_peak_next(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    const struct weir_minheap *entered = &self->panes.entered;
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    fire->chunk_at = 0;
    fire->chunk_cnt = 0;
    while (fire->source_at < entered->cnt) {
        uint32_t pane = entered->entry[fire->source_at].idx;
        uint32_t seen = candidates_of(self, pane);
        if (seen == 0) {
            fire->source_at++;
            fire->step = 0;
            memset(&fire->cursor, 0, sizeof fire->cursor);
            continue;
        }
        fire->chunk_table = self->panes.pane[pane].table;
        uint32_t cost = seen + fire->chunk_cnt * entered->cnt;
        for (uint32_t at = 0; at < fire->chunk_cnt;) {
            int got = weir_keyed_load_stored(&self->plan.keyed, fire->chunk_table,
                &fire->key[at * words], fire->chunk_cnt - at, &self->rows);
            if (got < 0) {
                return got;
            }
            add_up(self, fire->source_at, at, (uint32_t)got);
            at += (uint32_t)got;
        }
        chunk_settle(self);
        return (int)cost;
    }
    return 0;
}
