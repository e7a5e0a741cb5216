/* SPDX-License-Identifier: Apache-2.0 */
/* From panes to windows. For each window that the watermark has passed, in order:
 *
 *     enter   panes whose first window this is are merged into the running result
 *     emit    the running result, a row a key (window_emit.c)
 *     leave   panes whose last window this was are taken out of it
 *
 * so an entry of a pane is looked at a fixed number of times, however many windows it belongs to.
 * Windows without rows are never visited: with nothing entered, the next one is that of the
 * earliest pane.
 *
 * SUBTRACT: one running table. Behind each accumulator stands the number of panes with that key; at
 * zero the key goes.
 *
 * STACKS, where nothing can be subtracted: the entered panes are a queue cut in two. The back has
 * one table into which new panes are merged. The front has one table too, the result over all its
 * panes; each of their own entries holds what is left for its key once that pane is gone (`rest`,
 * and in the 8 bytes behind it whether there is any: enum window_mark). So to leave is to copy.
 * When the front is used up, the back is turned into one, newest pane first. A pane that came late
 * and must leave before one that is in the queue already stands aside (a stray) and is merged at
 * each firing.
 *
 * All steps are cut into slices: watermark() answers WEIR_AGAIN after WINDOW_SLICE_ENTRIES entries.
 *
 * Source: two stacks as in Tangwongsan, Hirzel, Schneider, "Low-latency sliding-window aggregation
 * in worst-case constant time" (2017), here per key: the front stack's aggregates lie in the panes.
 */
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/window_priv.h"

/* Buckets freed, and entries that they are taken for, in a slice. */
#define GIVE_BUCKETS 8
#define GIVE_COST 256
/* A pane with at least this part of the keys is merged into nearly all lines. */
#define TOUCH_SHARE 2
/* What a step costs at least, so that steps over nothing are bounded too. */
#define STEP_COST 16

/* ---- one slice of a pane against another table ---- */

struct slice {
    struct weir_table *from;
    struct weir_table *to;
    uint32_t cnt;
    uint64_t key[WEIR_KEYED_WORD_CNT_MAX * WINDOW_BLOCK];
    void *val[WINDOW_BLOCK];
};

static uint64_t *
tail_of(const struct window_self *self, void *val)
{
    return (uint64_t *)(void *)((char *)val + self->plan.acc_bytes);
}

static const uint64_t *
slice_key(const struct window_self *self, const struct slice *slice, uint32_t i)
{
    return &slice->key[i * (self->plan.keyed.stride / sizeof(uint64_t))];
}

/* The first window behind a barrier writes the running result as a whole, and would be late by what
 * its lines cost one by one. */
static void
touch_ahead(struct slice *slice, const struct weir_keyed_rows *rows, uint32_t cnt)
{
    bool is_live = slice->to->arena->undo != NULL;
    if (WEIR_UNLIKELY(is_live) && slice->from->entry_cnt >= slice->to->entry_cnt / TOUCH_SHARE) {
        weir_table_touch_buckets(slice->to, rows->hash, cnt);
    }
}

/* Merge entries [at, at + got), their keys loaded, into `to`. */
static int
slice_merge(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct weir_keyed_rows *rows = &self->rows;
    uint32_t done = 0;
    touch_ahead(slice, rows, got);
    while (done < got) {
        uint32_t made_at = rows->rows.made_cnt;
        int cnt = weir_keyed_resolve(&self->plan.keyed, slice->to, rows, done);
        if (cnt < 0) {
            return cnt;
        }
        weir_aggregate_init_made(agg, rows, made_at);
        agg->merge(agg, rows->val + done, slice->val + at + done, (uint32_t)cnt);
        if (self->plan.mode == WINDOW_SUBTRACT) {
            for (uint32_t i = 0; i < (uint32_t)cnt; i++) {
                ++*tail_of(self, rows->val[done + i]);
            }
        }
        done += (uint32_t)cnt;
    }
    return 0;
}

static void
slice_delete(struct window_self *self, struct slice *slice, const uint16_t *gone, uint32_t cnt)
{
    const struct weir_keyed_rows *rows = &self->rows;
    for (uint32_t i = 0; i < cnt; i++) {
        const char *key = rows->rows.key + (size_t)rows->rows.key_stride * gone[i];
        bool was = weir_table_delete(slice->to, rows->hash[gone[i]], key, rows->rows.heap);
        WEIR_CHECK(was, "a key that leaves a window is not in it");
    }
}

/* STACKS: entries that go to the back of the queue. */
static int
slice_enter(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    int err = slice_merge(self, slice, at, got);
    for (uint32_t i = at; i < at + got && err == 0; i++) {
        weir_table_touch(slice->from, slice->val[i]);
        *tail_of(self, slice->val[i]) = WINDOW_BACK;
    }
    return err;
}

static int
slice_subtract(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct weir_keyed_rows *rows = &self->rows;
    uint16_t gone[WINDOW_BLOCK];
    uint32_t gone_cnt = 0;
    weir_table_find_rows(slice->to, &rows->rows);
    for (uint32_t i = 0; i < got; i++) {
        WEIR_CHECK(rows->val[i] != NULL, "a key that leaves a window is not in it");
        weir_table_touch(slice->to, rows->val[i]);
        gone[gone_cnt] = (uint16_t)i;
        gone_cnt += --*tail_of(self, rows->val[i]) == 0;
    }
    agg->subtract(agg, rows->val, slice->val + at, got);
    slice_delete(self, slice, gone, gone_cnt);
    return 0;
}

/* STACKS: the key's result becomes what the pane's entry holds as rest. */
static int
slice_leave(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    struct weir_keyed_rows *rows = &self->rows;
    uint16_t gone[WINDOW_BLOCK];
    uint32_t gone_cnt = 0;
    weir_table_find_rows(slice->to, &rows->rows);
    for (uint32_t i = 0; i < got; i++) {
        WEIR_CHECK(rows->val[i] != NULL, "a key that leaves a window is not in it");
        if (*tail_of(self, slice->val[at + i]) == WINDOW_LAST) {
            gone[gone_cnt++] = (uint16_t)i;
        } else {
            if (!WEIR_MUTANT(REST_UNTOUCHED)) {
                weir_table_touch(slice->to, rows->val[i]);
            }
            memcpy(rows->val[i], slice->val[at + i], self->plan.acc_bytes);
        }
    }
    slice_delete(self, slice, gone, gone_cnt);
    return 0;
}

/* STACKS: put the pane in front of those that are turned already: what the front table holds for a
 * key is the rest once this pane is gone. */
static void
turn_entry(struct window_self *self, struct slice *slice, void *entry, void *front, bool is_made)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    uint64_t whole[WEIR_TABLE_VAL_BYTES_MAX / sizeof(uint64_t)];
    void *acc = whole;
    weir_table_touch(slice->from, entry);
    memcpy(whole, entry, self->plan.acc_bytes);
    *tail_of(self, entry) = is_made ? WINDOW_LAST : WINDOW_REST;
    if (!is_made) {
        agg->merge(agg, &acc, &front, 1);
        memcpy(entry, front, self->plan.acc_bytes);
    }
    memcpy(front, whole, self->plan.acc_bytes);
}

static int
slice_turn(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    struct weir_keyed_rows *rows = &self->rows;
    uint32_t done = 0;
    while (done < got) {
        uint32_t made = rows->rows.made_cnt;
        int cnt = weir_keyed_resolve(&self->plan.keyed, slice->to, rows, done);
        if (cnt < 0) {
            return cnt;
        }
        for (uint32_t i = done; i < done + (uint32_t)cnt; i++) {
            bool is_made = made < rows->rows.made_cnt && rows->made[made] == i;
            made += is_made;
            turn_entry(self, slice, slice->val[at + i], rows->val[i], is_made);
        }
        done += (uint32_t)cnt;
    }
    return 0;
}

/* STACKS: put what a newer part of the queue has for the keys behind what these entries leave. */
static int
slice_extend(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    weir_table_find_rows(slice->to, &self->rows.rows);
    for (uint32_t i = 0; i < got; i++) {
        void *newer = self->rows.val[i];
        void *entry = slice->val[at + i];
        if (newer == NULL) {
            continue;
        }
        weir_table_touch(slice->from, entry);
        if (*tail_of(self, entry) == WINDOW_REST) {
            agg->merge(agg, &entry, &newer, 1);
        } else {
            memcpy(entry, newer, self->plan.acc_bytes);
            *tail_of(self, entry) = WINDOW_REST;
        }
    }
    return 0;
}

typedef int(slice_fn)(struct window_self *self, struct slice *slice, uint32_t at, uint32_t got);

/* Which entries of a table a step is for: a bit for each mark. */
#define MARK(mark) (1U << WINDOW_##mark)
#define MARK_ANY UINT32_MAX
#define MARK_QUEUED (MARK(REST) | MARK(LAST) | MARK(BACK))

static void
slice_keep(const struct window_self *self, struct slice *slice, uint32_t marks)
{
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < slice->cnt; i++) {
        if ((marks >> *tail_of(self, slice->val[i]) & 1) != 0) {
            memmove(&slice->key[cnt * words], &slice->key[i * words], words * sizeof(uint64_t));
            slice->val[cnt++] = slice->val[i];
        }
    }
    slice->cnt = cnt;
}

/* The next entries of `from` against `to`. Returns how many, 0 when all are done. */
static int
slice_step(struct window_self *self, slice_fn *fn, struct weir_table *from, struct weir_table *to,
    uint32_t marks)
{
    struct slice slice;
    slice.from = from;
    slice.to = to;
    slice.cnt = weir_table_scan(from, &self->fire.cursor, WINDOW_BLOCK, slice.key, slice.val);
    self->entries_seen += slice.cnt;
    uint32_t seen_cnt = slice.cnt;
    if (WEIR_UNLIKELY(marks != MARK_ANY)) {
        slice_keep(self, &slice, marks);
    }
    uint32_t at = 0;
    while (at < slice.cnt) {
        int got = weir_keyed_load_stored(
            &self->plan.keyed, from, slice_key(self, &slice, at), slice.cnt - at, &self->rows);
        int err = got < 0 ? got : fn(self, &slice, at, (uint32_t)got);
        if (err < 0) {
            return err;
        }
        at += (uint32_t)got;
    }
    return (int)seen_cnt;
}

/* The same of a pane, for its entries in the queue or for the others. */
static int
pane_step(struct window_self *self, slice_fn *fn, uint32_t idx, struct weir_table *to)
{
    const struct window_pane *pane = &self->panes.pane[idx];
    uint32_t marks = (pane->roles & WINDOW_SHARED) == 0 ? MARK_ANY
                     : fn == slice_merge                ? MARK(ASIDE)
                                                        : MARK_QUEUED;
    return slice_step(self, fn, pane->table, to, marks);
}

/* ---- phases: each returns what it cost, or an error ---- */

static void
go_to(struct window_self *self, enum window_phase phase)
{
    struct window_fire *fire = &self->fire;
    fire->phase = phase;
    fire->pane = WINDOW_PANE_NONE;
    memset(&fire->cursor, 0, sizeof fire->cursor);
}

static void
give_later(struct window_self *self, struct weir_table **table)
{
    if (*table != NULL) {
        self->fire.give[self->fire.give_cnt++] = *table;
        *table = NULL;
    }
}

/* Take a pane that is done with out of the operator; its table is freed in slices. */
static void
pane_done(struct window_self *self, uint32_t pane)
{
    struct weir_table *table = self->panes.pane[pane].table;
    give_later(self, &table);
    weir_window_pane_drop(&self->panes, pane);
    self->fire.pane = WINDOW_PANE_NONE;
    memset(&self->fire.cursor, 0, sizeof self->fire.cursor);
}

static bool
queue_is_empty(const struct window_panes *panes)
{
    return panes->queue_from == panes->queue_to;
}

static struct window_pane *
queue_at(struct window_panes *panes, uint32_t at, uint32_t *ret_pane)
{
    *ret_pane = panes->queue[at & panes->mask];
    return &panes->pane[*ret_pane];
}

/* The next window with rows that the watermark has passed. */
static bool
next_window(struct window_self *self, int64_t watermark)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    int64_t k;
    if (panes->entered.cnt > 0 || !queue_is_empty(panes)) {
        k = fire->k + 1;
    } else if (panes->pending.cnt > 0) {
        k = panes->pending.entry[0].key;
    } else {
        return false;
    }
    if (!weir_window_grid_due(&self->plan.grid, k, watermark)) {
        return false;
    }
    fire->k = k;
    fire->step = 0;
    self->cache.table = NULL; /* tables come and go now */
    return true;
}

/* All panes of the window are in: find out what the best are, where they are wanted, and emit. */
static void
emit_window(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    struct weir_table *source[WINDOW_SOURCE_CNT] = {self->running, self->back, self->strays};
    fire->source_cnt = 0;
    for (uint32_t i = 0; i < WINDOW_SOURCE_CNT; i++) {
        if (source[i] != NULL) {
            fire->source[fire->source_cnt++] = source[i];
        }
    }
    go_to(self, self->plan.top_cnt > 0 ? WINDOW_LOOK : WINDOW_EMIT);
    weir_window_chunk_rewind(self);
    if (self->plan.mode == WINDOW_PEAKS) {
        weir_window_peak_begin(self);
    }
    fire->best_cnt = 0;
    fire->candidate_cnt = 0;
    fire->candidate_at = 0;
    fire->is_full = false;
}

static void
all_entered(struct window_self *self)
{
    if (self->plan.mode == WINDOW_STACKS && self->panes.entered.cnt > 0) {
        self->fire.step = 0;
        go_to(self, WINDOW_STRAYS);
    } else {
        emit_window(self);
    }
}

/* Take the next pane that enters with this window. Returns false when there is none left. */
static bool
pane_enters(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    if (panes->pending.cnt == 0 || panes->pending.entry[0].key > self->fire.k) {
        return false;
    }
    self->fire.pane = weir_minheap_pop(&panes->pending).idx;
    self->pane_entry_cnt = panes->pane[self->fire.pane].table->entry_cnt;
    return true;
}

/* STACKS: whether the pane leaves before one of the queue. */
static bool
is_stray(struct window_panes *panes, uint32_t pane)
{
    uint32_t last;
    return !queue_is_empty(panes) &&
           queue_at(panes, panes->queue_to - 1, &last)->leave > panes->pane[pane].leave;
}

/* PEAKS: a pane enters when all of it was looked at. */
static int
enter_peaks(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    int cost = weir_window_peak_enter(self, fire->pane);
    if (cost == 0) {
        weir_window_heap_push(&self->panes, &self->panes.entered, fire->pane);
        fire->step = 0;
        go_to(self, WINDOW_ENTER);
    }
    return cost;
}

/* The table that panes are merged into; made with the first of them. */
static int
need_table(struct window_self *self, int64_t ns, struct weir_table **table)
{
    return *table != NULL ? 0 : weir_window_sum_take(self, ns, table);
}

static int
enter(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    bool is_subtract = self->plan.mode == WINDOW_SUBTRACT;
    if (fire->pane == WINDOW_PANE_NONE && !pane_enters(self)) {
        all_entered(self);
        return 0;
    }
    struct weir_table *from = panes->pane[fire->pane].table;
    if (self->plan.mode == WINDOW_SINGLE) {
        self->running = from;
        weir_window_pane_drop(panes, fire->pane);
        emit_window(self);
        return 0;
    }
    if (self->plan.mode == WINDOW_PEAKS) {
        return enter_peaks(self);
    }
    if (!is_subtract && is_stray(panes, fire->pane)) {
        weir_window_heap_push(panes, &panes->entered, fire->pane);
        go_to(self, WINDOW_ENTER);
        return 0;
    }
    struct weir_table **to = is_subtract ? &self->running : &self->back;
    int err = need_table(self, is_subtract ? WINDOW_NS_RUNNING : WINDOW_NS_BACK, to);
    if (err < 0) {
        return err;
    }
    int cost = pane_step(self, is_subtract ? slice_merge : slice_enter, fire->pane, *to);
    if (cost == 0) {
        if (is_subtract) {
            weir_window_heap_push(panes, &panes->entered, fire->pane);
        } else {
            panes->queue[panes->queue_to++ & panes->mask] = fire->pane;
        }
        go_to(self, WINDOW_ENTER);
    }
    return cost;
}

static int
strays(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    if (fire->step == panes->entered.cnt) {
        emit_window(self);
        return 0;
    }
    int err = need_table(self, WINDOW_NS_STRAYS, &self->strays);
    if (err < 0) {
        return err;
    }
    int cost = pane_step(self, slice_merge, panes->entered.entry[fire->step].idx, self->strays);
    if (cost == 0) {
        fire->step++;
        memset(&fire->cursor, 0, sizeof fire->cursor);
    }
    return cost;
}

static int
look(struct window_self *self)
{
    int cost = weir_window_chunk_next(self);
    if (cost <= 0) {
        if (cost == 0) {
            self->fire.phase = WINDOW_EMIT;
            weir_window_chunk_rewind(self);
        }
        return cost;
    }
    weir_window_top_look(self);
    return cost;
}

/* Returns the cost; *ret_full: the output is. */
static int
emit(struct window_self *self, struct weir_out *out, bool *ret_full)
{
    struct window_fire *fire = &self->fire;
    int rc = weir_window_chunk_emit(self, out);
    if (rc != WEIR_DONE) {
        *ret_full = rc == WEIR_AGAIN;
        return rc < 0 ? rc : 0;
    }
    int cost;
    if (self->plan.top_cnt > 0 && !fire->is_full) {
        weir_window_top_next(self);
        cost = (int)fire->chunk_cnt;
    } else {
        cost = weir_window_chunk_next(self);
        if (cost > 0 && self->plan.top_cnt > 0) {
            weir_window_top_choose(self);
        }
    }
    if (cost == 0) {
        go_to(self, WINDOW_LEAVE);
    }
    return cost;
}

static int
leave_subtract(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    if (fire->pane == WINDOW_PANE_NONE) {
        if (panes->entered.cnt == 0 || panes->entered.entry[0].key > fire->k) {
            if (panes->entered.cnt == 0) {
                give_later(self, &self->running);
            }
            go_to(self, WINDOW_GIVE);
            return 0;
        }
        fire->pane = weir_minheap_pop(&panes->entered).idx;
        if (panes->entered.cnt == 0) {
            /* The last one: the table goes with it. */
            pane_done(self, fire->pane);
            return 0;
        }
    }
    int cost = pane_step(self, slice_subtract, fire->pane, self->running);
    if (cost == 0) {
        pane_done(self, fire->pane);
    }
    return cost;
}

/* Free what only this window needed, and strays that have had their last. */
static void
leave_aside(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    give_later(self, &self->strays);
    while (panes->entered.cnt > 0 && panes->entered.entry[0].key <= self->fire.k) {
        uint32_t pane = weir_minheap_pop(&panes->entered).idx;
        if ((panes->pane[pane].roles & WINDOW_SHARED) == 0) { /* else the queue has it yet */
            pane_done(self, pane);
        }
    }
}

static int
leave_stacks(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    if (fire->pane == WINDOW_PANE_NONE) {
        leave_aside(self);
        if (queue_is_empty(panes) ||
            queue_at(panes, panes->queue_from, &fire->pane)->leave > fire->k) {
            if (queue_is_empty(panes)) {
                give_later(self, &self->running);
                give_later(self, &self->back);
            }
            go_to(self, WINDOW_GIVE);
            return 0;
        }
    }
    if (panes->queue_from == panes->queue_turn) {
        give_later(self, &self->running);
        fire->step = panes->queue_to;
        go_to(self, WINDOW_TURN);
        return weir_window_sum_take(self, WINDOW_NS_RUNNING, &self->running);
    }
    int cost = pane_step(self, slice_leave, fire->pane, self->running);
    if (cost == 0) {
        panes->queue_from++;
        pane_done(self, fire->pane);
    }
    return cost;
}

static int
leave(struct window_self *self)
{
    switch (self->plan.mode) {
    case WINDOW_SINGLE:
        give_later(self, &self->running);
        go_to(self, WINDOW_GIVE);
        return 0;
    case WINDOW_SUBTRACT:
        return leave_subtract(self);
    case WINDOW_PEAKS:
        leave_aside(self);
        go_to(self, WINDOW_GIVE);
        return 0;
    default:
        return leave_stacks(self);
    }
}

static int
turn(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct window_fire *fire = &self->fire;
    if (fire->step == panes->queue_turn) {
        panes->queue_turn = panes->queue_to;
        give_later(self, &self->back);
        go_to(self, WINDOW_LEAVE);
        return 0;
    }
    uint32_t pane = panes->queue[(fire->step - 1) & panes->mask];
    int cost = pane_step(self, slice_turn, pane, self->running);
    if (cost == 0) {
        fire->step--;
        memset(&fire->cursor, 0, sizeof fire->cursor);
    }
    return cost;
}

static int
give(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    if (fire->give_cnt == 0) {
        go_to(self, WINDOW_NEXT);
        return 0;
    }
    int rc = weir_table_give(fire->give[fire->give_cnt - 1], GIVE_BUCKETS);
    if (rc == WEIR_DONE) {
        fire->give_cnt--;
    }
    return rc < 0 ? rc : GIVE_COST;
}

static int
step(struct window_self *self, struct weir_out *out, bool *ret_full)
{
    switch (self->fire.phase) {
    case WINDOW_ENTER:
        return enter(self);
    case WINDOW_STRAYS:
        return strays(self);
    case WINDOW_LOOK:
        return look(self);
    case WINDOW_EMIT:
        return emit(self, out, ret_full);
    case WINDOW_LEAVE:
        return leave(self);
    case WINDOW_TURN:
        return turn(self);
    default:
        return give(self);
    }
}

/* ---- for a restore ---- */

/* All of a table at once. */
static int
slice_all(struct window_self *self, slice_fn *fn, struct weir_table *from, struct weir_table *to,
    uint32_t marks)
{
    int got;
    memset(&self->fire.cursor, 0, sizeof self->fire.cursor);
    do {
        got = slice_step(self, fn, from, to, marks);
    } while (got > 0);
    return got;
}

static void
give_now(struct weir_table **table)
{
    while (weir_table_give(*table, UINT32_MAX) == WEIR_AGAIN) {
    }
    *table = NULL;
}

int
weir_window_turn_all(struct window_self *self)
{
    struct window_panes *panes = &self->panes;
    struct weir_table *newer = NULL;
    if (self->back == NULL) {
        return 0;
    }
    int err = weir_window_sum_take(self, WINDOW_NS_STRAYS, &newer);
    err = err < 0 ? err : need_table(self, WINDOW_NS_RUNNING, &self->running);
    for (uint32_t at = panes->queue_to; at != panes->queue_from && err == 0; at--) {
        struct weir_table *pane = panes->pane[panes->queue[(at - 1) & panes->mask]].table;
        err = slice_all(self, slice_extend, pane, newer, MARK(REST) | MARK(LAST));
        err = err < 0 ? err : slice_all(self, slice_turn, pane, newer, MARK(BACK));
    }
    err = err < 0 ? err : slice_all(self, slice_merge, self->back, self->running, MARK_ANY);
    if (err == 0) {
        give_now(&self->back);
        give_now(&newer);
        panes->queue_turn = panes->queue_to;
    }
    return err;
}

int
weir_window_fire(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct window_self *self = op->self;
    int left = WINDOW_SLICE_ENTRIES;
    bool is_full = false;
    (void)now_ns;
    while (left > 0 && !is_full) {
        if (self->fire.phase == WINDOW_NEXT) {
            if (!next_window(self, watermark)) {
                self->frontier = weir_max_i64(self->frontier, watermark);
                return WEIR_DONE;
            }
            go_to(self, WINDOW_ENTER);
        }
        int cost = step(self, &out[0], &is_full);
        if (cost < 0) {
            return cost;
        }
        left -= cost > STEP_COST ? cost : STEP_COST;
    }
    return WEIR_AGAIN;
}
