/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: windows that rows make, and that merge where one row is near to both.
 *
 *     gap 3:   rows 1 2 . . . . . 8      sessions [1 5] [8 11]
 *              row 5                     session  [1 11]
 *
 * The first session of a key lies in the key's own entry, which is looked up for a block of rows at
 * a time; a row that it takes is one compare. Further sessions of the key (rows that came out of
 * order, or that wait for their watermark) are numbered entries beside it; a row of such a key
 * looks through them. When one goes, the last one takes its number, so there is no hole.
 *
 * A session has its id from where it began at first. Sessions of one key that are open never share
 * a time, and each goes on having that one, so no two have one id.
 */
#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/general_priv.h"

/* A row's time, and up to when a session lasts that it is the last row of. */
struct reach {
    int64_t from;
    int64_t to;
};

static struct reach
reach_of(const struct general_self *self, int64_t time)
{
    struct reach reach = {time, weir_add_sat(time, self->conf->span.size_ms)};
    return reach;
}

static struct general_bounds
bounds_of(struct reach reach)
{
    struct general_bounds bounds = {reach.from, reach.to, reach.from};
    return bounds;
}

/* Whether a row belongs to a session: one that comes right at its end does. */
static bool
is_near(const struct general_slot *slot, struct reach reach)
{
    return (slot->start <= reach.to) & (slot->end >= reach.from);
}

static bool
is_too_late(const struct general_self *self, int64_t end)
{
    return !self->conf->span.by_clock && general_cleanup_ms(self, end - 1) <= self->watermark;
}

/* ---- the sessions of a key ---- */

static void *
session_at(const struct general_self *self, struct general_key key, void *head, uint32_t idx)
{
    if (idx == 0) {
        return head;
    }
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    general_key_tailed(self, key, idx, word);
    void *val = weir_table_find(self->more, key.hash, word, key.heap);
    WEIR_CHECK(val != NULL, "session %u of a key is not there", idx);
    return val;
}

static void *
head_of(const struct general_self *self, struct general_key key)
{
    return weir_table_find(self->table, key.hash, key.key, key.heap);
}

void *
weir_general_session_find(
    struct general_self *self, struct general_key key, int64_t id, uint32_t *ret_idx)
{
    void *head = head_of(self, key);
    uint32_t rest = head != NULL ? (uint32_t)general_slot_of(self, head)->rest_cnt : 0;
    for (uint32_t i = 0; head != NULL && i <= rest; i++) {
        void *val = session_at(self, key, head, i);
        if (general_slot_of(self, val)->id == id) {
            *ret_idx = i;
            return val;
        }
    }
    return NULL;
}

void
weir_general_session_drop(struct general_self *self, struct general_key key, uint32_t idx)
{
    void *head = head_of(self, key);
    struct general_slot *first = general_slot_of(self, head);
    uint32_t last = (uint32_t)first->rest_cnt;
    if (last == 0) {
        (void)weir_table_delete(self->table, key.hash, key.key, key.heap);
        return;
    }
    weir_table_touch(self->table, head);
    if (idx != last &&
        !WEIR_MUTANT(SESSION_LAST_DROPPED)) { /* the one that goes was touched by who drops it */
        memcpy(session_at(self, key, head, idx), session_at(self, key, head, last),
            self->plan.val_bytes);
    }
    first->rest_cnt = last - 1;
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    general_key_tailed(self, key, last, word);
    (void)weir_table_delete(self->more, key.hash, word, key.heap);
}

/* The session of a key at or behind number *idx that a row is near to; *idx is its number. */
static void *
near_next(const struct general_self *self, struct general_key key, void *head, struct reach reach,
    uint32_t *idx)
{
    uint32_t rest = (uint32_t)general_slot_of(self, head)->rest_cnt;
    for (; *idx <= rest; (*idx)++) {
        void *val = session_at(self, key, head, *idx);
        if (is_near(general_slot_of(self, val), reach)) {
            return val;
        }
    }
    return NULL;
}

/* Session b of a key becomes part of session a. */
static int
merge(struct general_self *self, struct general_key key, void *a, void *b, uint32_t b_idx)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct general_slot *into = general_slot_of(self, a);
    struct general_slot *from = general_slot_of(self, b);
    into->start = weir_min_i64(into->start, from->start);
    into->end = weir_max_i64(into->end, from->end);
    into->row_cnt += from->row_cnt;
    if (agg->name != NULL && !WEIR_MUTANT(SESSION_MERGE_FORGETS)) {
        agg->merge(agg, &a, &b, 1);
    }
    struct weir_timers *timers = self->conf->span.by_clock ? &self->clocks : &self->timers;
    const struct weir_timer_key timer = general_timer_key(key, from->id);
    (void)weir_timers_delete(timers, &timer, from->timer);
    weir_general_trigger_clear(self, key, from);
    int err = weir_general_trigger_merge(self, key, into, from);
    if (err == 0 && self->plan.keeps_rows) {
        const uint64_t from_id = (uint64_t)from->id;
        err = weir_state_merge(general_rows_of(self, key, into->id), &from_id, 1, NULL);
    }
    if (err == 0) {
        weir_general_session_drop(self, key, b_idx);
    }
    return err;
}

static int
extend(struct general_self *self, struct general_key key, struct general_slot *slot,
    struct reach reach)
{
    slot->start = weir_min_i64(slot->start, reach.from);
    slot->end = weir_max_i64(slot->end, reach.to);
    return weir_general_timer_lower(self, key, slot);
}

/* The session of a row, of a key that has one already: found, merged or begun. */
static int
session_of(struct general_self *self, struct general_key key, void *head, struct reach reach,
    void **ret_val)
{
    for (;;) {
        uint32_t a_idx = 0;
        void *a = near_next(self, key, head, reach, &a_idx);
        uint32_t b_idx = a_idx + 1;
        void *b = a != NULL ? near_next(self, key, head, reach, &b_idx) : NULL;
        if (a != NULL) {
            weir_table_touch(a_idx == 0 ? self->table : self->more, a);
        }
        if (b != NULL) {
            weir_table_touch(self->more, b);
            int err = merge(self, key, a, b, b_idx);
            if (err < 0) {
                return err;
            }
            continue; /* what a number leads to has changed */
        }
        if (a != NULL) {
            *ret_val = a;
            return extend(self, key, general_slot_of(self, a), reach);
        }
        break;
    }
    struct general_slot *first = general_slot_of(self, head);
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    general_key_tailed(self, key, first->rest_cnt + 1, word);
    const struct weir_table_rows row = {
        .hash = &key.hash, .key = (const char *)word, .heap = key.heap, .cnt = 1};
    bool is_made;
    int err = weir_table_find_or_make(self->more, &row, ret_val, &is_made);
    if (err < 0) {
        return err;
    }
    first->rest_cnt++;
    return weir_general_begin(self, key, *ret_val, bounds_of(reach));
}

/* ---- rows ---- */

static void
pair_add(struct general_self *self, const struct general_block *block, uint32_t i, void *val)
{
    struct general_pairs *pairs = &self->pairs;
    uint32_t at = pairs->cnt++;
    pairs->at[at] = (uint8_t)i;
    pairs->sel[at] = (uint16_t)weir_view_row(block->view, block->from + i);
    pairs->val[at] = val;
}

/* Rows that have found their sessions go in: before any of these may move. */
static int
settle(struct general_self *self, struct general_block *block, uint32_t *settled)
{
    int done = weir_general_run(self, block, *settled);
    *settled = self->pairs.cnt;
    return done;
}

/* Whether the session may fire with this row: with its bounds as they are now, so the rows behind
 * wait. */
static bool
may_fire(const struct general_self *self, void *val)
{
    uint32_t kind = self->conf->trigger.kind;
    return kind == WEIR_TRIGGER_AT_END
               ? !self->conf->span.by_clock &&
                     general_last_ms(self, general_slot_of(self, val)) <= self->frontier
               : kind != WEIR_TRIGGER_NEVER;
}

/* Row i, whose own session would be over already: only one that is not takes it in. */
static int
add_late(struct general_self *self, struct general_block *block, uint32_t i, uint32_t *settled)
{
    struct general_key key = general_key_of(&self->rows, i);
    struct reach reach = reach_of(self, weir_general_time(self, block->view, block->from + i));
    void *head = head_of(self, key);
    int64_t end = reach.to;
    uint32_t idx = 0;
    for (void *val; head != NULL && (val = near_next(self, key, head, reach, &idx)) != NULL;
         idx++) {
        end = weir_max_i64(end, general_slot_of(self, val)->end);
    }
    if (is_too_late(self, end)) {
        weir_general_late(block, i);
        return GENERAL_BLOCK;
    }
    int done = settle(self, block, settled);
    if (done != GENERAL_BLOCK) {
        return done;
    }
    void *val;
    weir_table_touch(self->table, head);
    int err = session_of(self, key, head, reach, &val);
    if (err < 0) {
        return err;
    }
    pair_add(self, block, i, val);
    return settle(self, block, settled);
}

/* Row i of a key whose entry is head. */
static int
add_row(struct general_self *self, struct general_block *block, uint32_t i, uint32_t *settled)
{
    void *val = self->rows.val[i];
    struct general_slot *slot = general_slot_of(self, val);
    struct reach reach = reach_of(self, weir_general_time(self, block->view, block->from + i));
    int err = 0;
    if (WEIR_LIKELY(slot->rest_cnt == 0 && is_near(slot, reach) && general_is_live(slot))) {
        slot->start = weir_min_i64(slot->start, reach.from);
        if (reach.to > slot->end) {
            slot->end = reach.to;
            /* Its timer is early enough, unless it is that of its clean-up. */
            err = self->conf->lateness_ms > 0
                      ? weir_general_timer_lower(self, general_key_of(&self->rows, i), slot)
                      : 0;
        }
    } else if (!general_is_live(slot)) {
        err = weir_general_begin(self, general_key_of(&self->rows, i), val, bounds_of(reach));
    } else {
        int done = settle(self, block, settled);
        if (done != GENERAL_BLOCK) {
            return done;
        }
        err = session_of(self, general_key_of(&self->rows, i), val, reach, &val);
    }
    if (err < 0) {
        return err;
    }
    pair_add(self, block, i, val);
    return may_fire(self, val) ? settle(self, block, settled) : GENERAL_BLOCK;
}

/* Rows from `at` on that are not too late by themselves. */
static uint32_t
on_time_rows(const struct general_self *self, const struct general_block *block, uint32_t at)
{
    uint32_t i = at;
    while (i < block->cnt &&
           !is_too_late(
               self, reach_of(self, weir_general_time(self, block->view, block->from + i)).to)) {
        i++;
    }
    return i - at;
}

int
weir_general_sessions(struct general_self *self, struct general_block *block)
{
    struct weir_table_rows *rows = &self->rows.rows;
    uint32_t settled = 0;
    self->pairs.cnt = 0;
    for (uint32_t at = 0; at < block->cnt;) {
        uint32_t cnt = on_time_rows(self, block, at);
        if (cnt == 0) {
            int done = add_late(self, block, at++, &settled);
            if (done != GENERAL_BLOCK) {
                return done;
            }
            continue;
        }
        rows->cnt = at + cnt;
        int got = weir_keyed_resolve(&self->plan.keyed, self->table, &self->rows, at);
        if (got < 0) {
            return got;
        }
        for (uint32_t i = at; i < at + (uint32_t)got; i++) {
            int done = add_row(self, block, i, &settled);
            if (done != GENERAL_BLOCK) {
                return done;
            }
        }
        int done = settle(self, block, &settled);
        if (done != GENERAL_BLOCK) {
            return done;
        }
        at += (uint32_t)got;
    }
    return GENERAL_BLOCK;
}
