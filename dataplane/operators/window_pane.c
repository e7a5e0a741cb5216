/* SPDX-License-Identifier: Apache-2.0 */
/* Windows and panes as numbers: which windows a time belongs to, and the panes there are.
 *
 *     size 10, slide 4:   window 0 is [0 10), window 1 is [4 14), window 2 is [8 18)
 *
 *     times     0    2    4    6    8   10   12
 *     last      0    0    1    1    2    2    3      the last window with the time in it
 *     first    -2   -1   -1    0    0    1    1      the first one
 *     panes     [  ][   ][   ][   ][   ][   ]        where either changes
 *
 * A slide is cut at most once, where a window ends in it, so there are at most two panes a slide,
 * however size and slide divide. A row that comes late for some of its windows goes to the pane
 * (first window that is still open, last window): nothing else in the operator has to know of it.
 *
 * Arithmetic is in 128 bits and saturates: a window that would begin or end beyond the ends of time
 * begins or ends there.
 */
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/operators/window_priv.h"

__extension__ typedef __int128 wide;

static int64_t
clamp(wide x)
{
    return x > INT64_MAX ? INT64_MAX : x < INT64_MIN ? INT64_MIN : (int64_t)x;
}

static wide
floor_div(wide a, int64_t b)
{
    /* Most fit into 64 bits, where division is several times cheaper. */
    if (a == (int64_t)a) {
        int64_t quotient = (int64_t)a / b;
        return quotient - ((int64_t)a % b < 0 ? 1 : 0);
    }
    wide quotient = a / b;
    return quotient - (a % b < 0 ? 1 : 0);
}

int
weir_window_grid_init(struct window_grid *grid, const struct weir_window_span *span)
{
    if (span->size_ms <= 0 || span->slide_ms <= 0) {
        return weir_err_push(WEIR_EGRAPH,
            "a window of %lld ms every %lld ms: both must be greater than 0",
            (long long)span->size_ms, (long long)span->slide_ms);
    }
    grid->size = span->size_ms;
    grid->slide = span->slide_ms;
    grid->offset = span->offset_ms % span->slide_ms;
    grid->offset += grid->offset < 0 ? span->slide_ms : 0;
    grid->whole = span->size_ms / span->slide_ms;
    grid->part = span->size_ms % span->slide_ms;
    return 0;
}

static wide
start_of(const struct window_grid *grid, wide k)
{
    return grid->offset + k * grid->slide;
}

int64_t
weir_window_grid_start(const struct window_grid *grid, int64_t k)
{
    return clamp(start_of(grid, k));
}

int64_t
weir_window_grid_end(const struct window_grid *grid, int64_t k)
{
    return clamp(start_of(grid, k) + grid->size);
}

bool
weir_window_grid_due(const struct window_grid *grid, int64_t k, int64_t watermark)
{
    return watermark == WEIR_WATERMARK_MAX || start_of(grid, k) + grid->size - 1 <= watermark;
}

int64_t
weir_window_grid_open(const struct window_grid *grid, int64_t watermark)
{
    if (watermark == WEIR_TIME_MIN) {
        return INT64_MIN; /* there was none yet */
    }
    /* The least k with offset + k slide + size - 1 > watermark. */
    wide below = (wide)watermark + 1 + WEIR_MUTANT(WINDOW_CLOSED_EARLY) - grid->size - grid->offset;
    return clamp(floor_div(below, grid->slide) + 1);
}

void
weir_window_place_of(
    const struct window_grid *grid, int64_t time_ms, int64_t open, struct window_place *ret_place)
{
    wide since = (wide)time_ms - grid->offset;
    wide leave = floor_div(since, grid->slide);
    wide enter = leave - grid->whole + 1;
    wide first = start_of(grid, leave);
    wide end = first + grid->slide;
    if (since - leave * grid->slide < grid->part) {
        enter--;
        end = first + grid->part;
    } else {
        first += grid->part;
    }
    ret_place->first_ms = clamp(first);
    ret_place->last_ms = clamp(end - 1);
    ret_place->enter = weir_max_i64(clamp(enter), open);
    ret_place->leave = clamp(leave);
    ret_place->is_gap = enter > leave;
    ret_place->is_late = !ret_place->is_gap && ret_place->leave < open;
    ret_place->pane = WINDOW_PANE_NONE;
}

/* ---- panes ---- */

size_t
weir_window_panes_footprint(uint32_t cap)
{
    size_t head_cnt = (size_t)weir_pow2_up(cap);
    return cap * (sizeof(struct window_pane) + 2 * sizeof(struct weir_minheap_entry)) +
           2 * head_cnt * sizeof(uint32_t);
}

void
weir_window_panes_init(struct window_panes *panes, void *mem, uint32_t cap)
{
    uint32_t head_cnt = (uint32_t)weir_pow2_up(cap);
    memset(panes, 0, sizeof *panes);
    panes->pane = mem;
    panes->pending.entry = (struct weir_minheap_entry *)(panes->pane + cap);
    panes->entered.entry = panes->pending.entry + cap;
    panes->head = (uint32_t *)(panes->entered.entry + cap);
    panes->queue = panes->head + head_cnt;
    panes->mask = head_cnt - 1;
    panes->cap = cap;
    panes->free = WINDOW_PANE_NONE;
    memset(panes->head, 0xff, head_cnt * sizeof(uint32_t));
}

void
weir_window_heap_push(struct window_panes *panes, struct weir_minheap *heap, uint32_t idx)
{
    const struct window_pane *pane = &panes->pane[idx];
    bool by_leave = heap == &panes->entered;
    struct weir_minheap_entry entry;
    entry.key = by_leave ? pane->leave : pane->enter;
    entry.tie = by_leave ? pane->enter : pane->leave;
    entry.idx = idx;
    weir_minheap_push(heap, &entry);
}

static uint32_t *
chain_of(struct window_panes *panes, int64_t enter, int64_t leave)
{
    uint64_t hash = weir_hash_u64((uint64_t)leave * 2 + (uint64_t)enter);
    return &panes->head[hash & panes->mask];
}

static int
pane_budget(const struct window_panes *panes)
{
    if (panes->free == WINDOW_PANE_NONE && panes->fresh == panes->cap) {
        return weir_err_push(WEIR_EBUDGET,
            "%u panes of windows are open at a time: the slide is too fine for how far event times "
            "lie apart",
            panes->cap);
    }
    return 0;
}

int
weir_window_pane_add(struct window_self *self, int64_t enter, int64_t leave,
    struct weir_table *table, uint32_t *ret_pane)
{
    struct window_panes *panes = &self->panes;
    int err = pane_budget(panes);
    if (err < 0) {
        return err;
    }
    uint32_t idx = panes->free != WINDOW_PANE_NONE ? panes->free : panes->fresh++;
    struct window_pane *pane = &panes->pane[idx];
    if (idx == panes->free) {
        panes->free = pane->next;
    }
    uint32_t *head = chain_of(panes, enter, leave);
    pane->enter = enter;
    pane->leave = leave;
    pane->table = table;
    pane->roles = 0;
    pane->next = *head;
    *head = idx;
    *ret_pane = idx;
    return 0;
}

static int
pane_make(struct window_self *self, const struct window_place *place, uint32_t *ret_pane)
{
    struct weir_table_spec spec = weir_window_pane_spec(self);
    int64_t ns = weir_window_pane_ns(&self->plan.grid, place->enter, place->leave);
    struct weir_table *table;
    int err = pane_budget(&self->panes);
    err = err < 0 ? err : weir_table_take(self->arena, &spec, ns, &table);
    if (err < 0) {
        return err;
    }
    table->entry_cnt_hint = self->pane_entry_cnt;
    err = weir_window_pane_add(self, place->enter, place->leave, table, ret_pane);
    if (err == 0) {
        weir_window_heap_push(&self->panes, &self->panes.pending, *ret_pane);
    }
    return err;
}

uint32_t
weir_window_pane_find(struct window_panes *panes, int64_t enter, int64_t leave)
{
    uint32_t idx = *chain_of(panes, enter, leave);
    while (idx != WINDOW_PANE_NONE &&
           (panes->pane[idx].enter != enter || panes->pane[idx].leave != leave)) {
        idx = panes->pane[idx].next;
    }
    return idx;
}

int
weir_window_pane_of(struct window_self *self, struct window_place *place)
{
    uint32_t idx = weir_window_pane_find(&self->panes, place->enter, place->leave);
    if (idx == WINDOW_PANE_NONE) {
        int err = pane_make(self, place, &idx);
        if (err < 0) {
            return err;
        }
    }
    place->pane = idx;
    return 0;
}

void
weir_window_pane_drop(struct window_panes *panes, uint32_t idx)
{
    struct window_pane *pane = &panes->pane[idx];
    uint32_t *link = chain_of(panes, pane->enter, pane->leave);
    while (*link != idx) {
        WEIR_CHECK(*link != WINDOW_PANE_NONE, "pane %u is in no chain", idx);
        link = &panes->pane[*link].next;
    }
    *link = pane->next;
    pane->next = panes->free;
    pane->table = NULL;
    panes->free = idx;
}

/* ---- tables ---- */

int64_t
weir_window_pane_ns(const struct window_grid *grid, int64_t enter, int64_t leave)
{
    /* Late panes enter with any of their windows. Where this wraps, other panes are ages away. */
    return (int64_t)((uint64_t)leave * (uint64_t)(grid->whole + 2) +
                     ((uint64_t)leave - (uint64_t)enter));
}

struct weir_table_spec
weir_window_pane_spec(const struct window_self *self)
{
    struct weir_table_spec spec = {self->pane_state, self->plan.keyed.kind, 0, 0};
    spec.val_bytes = self->plan.acc_bytes + (self->plan.mode == WINDOW_STACKS ? 8 : 0);
    return spec;
}

struct weir_table_spec
weir_window_sum_spec(const struct window_self *self, int64_t ns)
{
    struct weir_table_spec spec = {self->sum_state, self->plan.keyed.kind, 0, 0};
    bool counts = self->plan.mode == WINDOW_SUBTRACT && ns == WINDOW_NS_RUNNING;
    spec.val_bytes = self->plan.acc_bytes + (counts ? 8 : 0);
    return spec;
}

int
weir_window_sum_take(struct window_self *self, int64_t ns, struct weir_table **ret_table)
{
    struct weir_table_spec spec = weir_window_sum_spec(self, ns);
    return weir_table_take(self->arena, &spec, ns, ret_table);
}
