/* SPDX-License-Identifier: Apache-2.0 */
/* What a window keeps across a restart.
 *
 *     pages   "panes": a table a pane, "sums": running results, by enum of their namespaces
 *     parts   "frontier", up to which windows have fired; list "panes", in the order in which they
 *             stand in heaps and queue; "pane_entries", what to expect of the next one
 *
 * Which window fired last follows from the frontier: as long as any pane has entered, every window
 * fires. What PEAKS knows of a pane is looked up again. A firing is never under way at a barrier: a
 * watermark that is not done with is an unfinished input.
 *
 * With another number of subtasks the panes of all are taken together, their tables having been put
 * together key group by key group; panes have entered everywhere or nowhere, since all have seen
 * the same watermarks before the barrier. Only where nothing can be subtracted (STACKS) may
 * subtasks differ in how their queues are cut, and in whether a pane came too late for them: each
 * entry has a mark of where it stands, and all of the queue is made its front.
 */
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/window_priv.h"

#define VERSION 2
/* Of the list of panes: from here on entries in queues have marks. */
#define VERSION_MARKS 2

/* ---- savepoints ---- */

static int
describe(const struct weir_operator *op, enum window_mode tail_mode, const char *tail_name,
    struct weir_state_fields *fields)
{
    struct window_plan plan;
    int err = weir_window_plan_of(op, &plan);
    if (err < 0) {
        return err;
    }
    weir_state_put_aggregate(fields, &plan.agg);
    fields->val_bytes = plan.acc_bytes;
    fields->has_no_key = plan.keyed.key.field_cnt == 0;
    if (plan.mode == tail_mode) { /* the 8 bytes of the operator */
        weir_state_put_field(fields, tail_name, WEIR_TYPE_I64, plan.acc_bytes);
        fields->val_bytes += (uint32_t)sizeof(int64_t);
    }
    return 0;
}

static int
pane_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    return describe(op, WINDOW_STACKS, "@has_rest", fields);
}

static int
sum_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    return describe(op, WINDOW_SUBTRACT, "@panes", fields);
}

static int
acc_fresh(const struct weir_operator *op, const struct weir_state_desc *desc, void *val)
{
    (void)desc;
    struct window_plan plan;
    int err = weir_window_plan_of(op, &plan);
    if (err == 0 && plan.agg.init != NULL) {
        plan.agg.init(&plan.agg, &val, 1);
    }
    return err;
}

static const struct weir_state_values pane_values = {.describe = pane_describe, .fresh = acc_fresh};
static const struct weir_state_values sum_values = {.describe = sum_describe, .fresh = acc_fresh};

const struct weir_state_desc weir_window_states[WINDOW_STATE_CNT] = {
    {WINDOW_STATE_PANES, NULL, &pane_values}, {WINDOW_STATE_SUMS, NULL, &sum_values}};

const struct weir_state_part weir_window_parts[WINDOW_PART_CNT] = {
    {"frontier", WEIR_STATE_PART_LEAST, 0}, {"pane_entries", WEIR_STATE_PART_HINT, 0},
    {"panes", WEIR_STATE_PART_UNION, 2 * sizeof(int64_t)}};

/* Where a pane stands; part of the format. */
enum role { PENDING, ENTERED, FRONT, BACK, ROLE_CNT };

struct item {
    int64_t enter;
    int64_t leave;
    uint64_t role; /* enum role */
};

static void
put_pane(
    const struct window_panes *panes, uint32_t idx, enum role role, struct weir_parts_writer *parts)
{
    const struct window_pane *pane = &panes->pane[idx];
    const struct item item = {pane->enter, pane->leave, role};
    weir_state_item(parts, sizeof item);
    weir_parts_put(parts, &item, sizeof item);
}

int
weir_window_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct window_self *self = op->self;
    const struct window_panes *panes = &self->panes;
    (void)id;
    WEIR_CHECK(self->fire.phase == WINDOW_NEXT && self->fire.give_cnt == 0,
        "a barrier while a window fires");
    weir_state_put_word(parts, "frontier", self->frontier);
    weir_state_put_word(parts, "pane_entries", (int64_t)self->pane_entry_cnt);
    weir_state_list_begin(parts, "panes", VERSION,
        (uint64_t)panes->pending.cnt + panes->entered.cnt + panes->queue_to - panes->queue_from);
    for (uint32_t i = 0; i < panes->pending.cnt; i++) {
        put_pane(panes, panes->pending.entry[i].idx, PENDING, parts);
    }
    for (uint32_t i = 0; i < panes->entered.cnt; i++) {
        put_pane(panes, panes->entered.entry[i].idx, ENTERED, parts);
    }
    for (uint32_t at = panes->queue_from; at != panes->queue_to; at++) {
        bool is_front = at - panes->queue_from < panes->queue_turn - panes->queue_from;
        put_pane(panes, panes->queue[at & panes->mask], is_front ? FRONT : BACK, parts);
    }
    weir_state_list_end(parts);
    return 0;
}

/* ---- restore ---- */

/* A pane of a subtask of before. is_dealt: with another number of subtasks, it may have had all its
 * keys elsewhere. */
static int
pane_gather(struct window_self *self, const struct weir_operator *op, const struct item *item,
    bool is_dealt)
{
    struct window_panes *panes = &self->panes;
    const struct weir_table_spec spec = weir_window_pane_spec(self);
    int64_t ns = weir_window_pane_ns(&self->plan.grid, item->enter, item->leave);
    struct weir_table *table;
    uint32_t pane = weir_window_pane_find(panes, item->enter, item->leave);
    int err = 0;
    if (item->role >= ROLE_CNT || item->enter > item->leave) {
        return weir_err_push(WEIR_EDATA, "a pane of windows [%lld, %lld] in place %llu",
            (long long)item->enter, (long long)item->leave, (unsigned long long)item->role);
    }
    if (pane == WINDOW_PANE_NONE) {
        err = is_dealt ? weir_state_take(op, WINDOW_STATE_PANES, &spec, ns, &table)
                       : weir_state_find(op, WINDOW_STATE_PANES, &spec, ns, &table);
        if (err == 0 && table == NULL) {
            err = weir_err_push(WEIR_EDATA, "the state pages lack the pane of windows [%lld, %lld]",
                (long long)item->enter, (long long)item->leave);
        }
        err = err < 0 ? err : weir_window_pane_add(self, item->enter, item->leave, table, &pane);
    }
    if (err == 0) {
        panes->pane[pane].roles |= 1U << item->role;
    }
    return err;
}

/* Whether pane a goes before pane b in a queue: as they have entered. */
static bool
is_before(const struct window_pane *a, const struct window_pane *b)
{
    return a->leave != b->leave ? a->leave < b->leave : a->enter < b->enter;
}

static void
queue_add(struct window_panes *panes, uint32_t pane)
{
    uint32_t at = panes->queue_to++;
    for (; at != panes->queue_from; at--) {
        uint32_t before = panes->queue[(at - 1) & panes->mask];
        if (!is_before(&panes->pane[pane], &panes->pane[before])) {
            break;
        }
        panes->queue[at & panes->mask] = before;
    }
    panes->queue[at & panes->mask] = pane;
}

/* Put all panes where they stood. */
static int
panes_place(struct window_panes *panes)
{
    const uint32_t queued = 1U << FRONT | 1U << BACK;
    for (uint32_t i = 0; i < panes->fresh; i++) {
        struct window_pane *pane = &panes->pane[i];
        uint32_t roles = pane->roles;
        if ((roles & 1U << PENDING) != 0 && roles != 1U << PENDING) {
            return weir_err_push(WEIR_EDATA,
                "windows [%lld, %lld] have begun in one subtask of before, and not in another",
                (long long)pane->enter, (long long)pane->leave);
        }
        if (roles == 1U << PENDING) {
            weir_window_heap_push(panes, &panes->pending, i);
        }
        if ((roles & 1U << ENTERED) != 0) {
            weir_window_heap_push(panes, &panes->entered, i);
        }
        if ((roles & queued) != 0) {
            queue_add(panes, i);
            panes->queue_turn += (roles & 1U << FRONT) != 0;
        }
        pane->roles = (roles & 1U << ENTERED) != 0 && (roles & queued) != 0 ? WINDOW_SHARED : 0;
    }
    return 0;
}

/* *ret_is_dealt: they are of another number of subtasks. */
static int
panes_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt,
    bool *ret_is_dealt)
{
    struct window_self *self = op->self;
    struct weir_state_list list;
    struct weir_part part;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = "panes";
    list.version_max = VERSION;
    list.is_union = parts_cnt != list.subtask_cnt;
    while ((got = weir_state_list_next(&list, &part)) > 0) {
        struct item item;
        int err = weir_part_get(&part, &item, sizeof item);
        err = err < 0 ? err : weir_part_end(&part);
        if (err == 0 && item.role >= FRONT && list.part.version < VERSION_MARKS) {
            err = weir_err_push(WEIR_EFORMAT,
                "windows that slide over %s were saved by an earlier version, which did not say "
                "of each key where it stands",
                self->plan.agg.name);
        }
        err = err < 0 ? err : pane_gather(self, op, &item, list.is_union);
        if (err < 0) {
            return err;
        }
    }
    *ret_is_dealt = list.is_union;
    return got < 0 ? got : panes_place(&self->panes);
}

/* What lies at the top of the panes that have entered. */
static void
peaks_restore(struct window_self *self)
{
    struct window_fire *fire = &self->fire;
    for (uint32_t i = 0; i < self->panes.entered.cnt; i++) {
        fire->step = 0;
        memset(&fire->cursor, 0, sizeof fire->cursor);
        while (weir_window_peak_enter(self, self->panes.entered.entry[i].idx) > 0) {
        }
    }
    fire->step = 0;
    memset(&fire->cursor, 0, sizeof fire->cursor);
}

int
weir_window_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct window_self *self = op->self;
    struct weir_table **const sums[] = {&self->running, &self->back, &self->strays};
    int64_t pane_entries = 0;
    bool is_dealt = false;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &self->frontier);
    err =
        err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "pane_entries", &pane_entries);
    err = err < 0 ? err : panes_restore(op, parts, parts_cnt, &is_dealt);
    for (int64_t ns = WINDOW_NS_RUNNING; ns <= WINDOW_NS_STRAYS && err == 0; ns++) {
        const struct weir_table_spec spec = weir_window_sum_spec(self, ns);
        err = weir_state_find(op, WINDOW_STATE_SUMS, &spec, ns, sums[ns]);
    }
    if (err == 0 && is_dealt && self->plan.mode == WINDOW_STACKS) {
        err = weir_window_turn_all(self);
    }
    if (err < 0) {
        return err;
    }
    int64_t open = weir_window_grid_open(&self->plan.grid, self->frontier);
    self->fire.k = open == INT64_MIN ? open : open - 1 + WEIR_MUTANT(WINDOW_PASSED_OVER);
    self->pane_entry_cnt = (uint64_t)pane_entries;
    if (self->plan.mode == WINDOW_PEAKS) {
        peaks_restore(self);
    }
    return 0;
}
