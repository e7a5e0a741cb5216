/* SPDX-License-Identifier: Apache-2.0 */
/* When windows fire and when they are forgotten: triggers and timers.
 *
 * A window has one timer of its own, for the earliest of what is due: its end, the next time of its
 * trigger, its clean-up. A session's end moves with its rows, and the timer stays where it is: one
 * that comes too early is set again, once a gap and not once a row. Timers of host time that a
 * trigger of event time sets, and all that one's own trigger sets, stand beside it.
 */
#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/general_priv.h"

/* ---- what is due ---- */

static void
sooner(int64_t time, int64_t after, int64_t *least, bool *found)
{
    if (time > after && (!*found || time < *least)) {
        *least = time;
        *found = true;
    }
}

bool
weir_general_due(const struct general_self *self, const struct general_slot *slot, int64_t after,
    int64_t *ret_time)
{
    const struct weir_general_conf *conf = self->conf;
    int64_t last = general_last_ms(self, slot);
    bool found = false;
    uint32_t its_own =
        conf->span.by_clock ? WEIR_TRIGGER_CONTINUOUS_BY_CLOCK : WEIR_TRIGGER_CONTINUOUS;
    if (self->plan.fires_at_end) {
        sooner(last, after, ret_time, &found);
    }
    if (conf->trigger.kind == its_own && slot->word[0] != GENERAL_NEVER) {
        sooner(slot->word[0], GENERAL_NEVER, ret_time, &found); /* may lie behind: it fires next */
    }
    if (conf->span.kind != WEIR_GENERAL_GLOBAL) {
        sooner(general_cleanup_ms(self, last), after, ret_time, &found);
    }
    return found;
}

static struct weir_timers *
timers_of(struct general_self *self, bool is_clock)
{
    return is_clock ? &self->clocks : &self->timers;
}

static int
timer_set(
    struct general_self *self, bool is_clock, struct general_key key, int64_t id, int64_t time)
{
    const struct weir_timer_key timer = general_timer_key(key, id);
    bool is_made;
    return weir_timers_set(timers_of(self, is_clock), &timer, time, &is_made);
}

static void
timer_delete(
    struct general_self *self, bool is_clock, struct general_key key, int64_t id, int64_t time)
{
    const struct weir_timer_key timer = general_timer_key(key, id);
    (void)weir_timers_delete(timers_of(self, is_clock), &timer, time);
}

int
weir_general_timer_lower(
    struct general_self *self, struct general_key key, struct general_slot *slot)
{
    bool by_clock = self->conf->span.by_clock;
    int64_t after = by_clock ? weir_sub_sat(self->now_ms, 1) : self->frontier;
    int64_t due = 0;
    if (!weir_general_due(self, slot, after, &due) ||
        (due >= slot->timer && slot->timer != INT64_MAX)) {
        return 0;
    }
    if (slot->timer != INT64_MAX) {
        timer_delete(self, by_clock, key, slot->id, slot->timer);
    }
    slot->timer = due;
    return timer_set(self, by_clock, key, slot->id, due);
}

/* ---- triggers of one's own ---- */

static void
call_init(struct general_self *self, struct general_key key, struct general_slot *slot,
    struct general_trigger_call *ret_call)
{
    memset(ret_call, 0, sizeof *ret_call);
    ret_call->call.start = slot->start;
    ret_call->call.end = slot->end;
    ret_call->call.watermark = self->frontier;
    ret_call->call.now_ms = self->now_ms;
    ret_call->call.row_cnt = slot->row_cnt;
    ret_call->call.word = slot->word;
    ret_call->self = self;
    ret_call->key = key;
    ret_call->id = slot->id;
}

static struct general_trigger_call *
whole_call(struct weir_trigger_call *call)
{
    return (struct general_trigger_call *)(void *)call;
}

int
weir_trigger_timer_set(struct weir_trigger_call *call, int64_t time)
{
    struct general_trigger_call *whole = whole_call(call);
    return timer_set(whole->self, false, whole->key, whole->id, time);
}

int
weir_trigger_clock_set(struct weir_trigger_call *call, int64_t time)
{
    struct general_trigger_call *whole = whole_call(call);
    return timer_set(whole->self, true, whole->key, whole->id, time);
}

/* The window's own timer is not the trigger's to delete. */
static void
call_delete(struct weir_trigger_call *call, bool is_clock, int64_t time)
{
    struct general_trigger_call *whole = whole_call(call);
    const struct general_slot *slot =
        (const struct general_slot *)(const void *)((const char *)call->word -
                                                    offsetof(struct general_slot, word));
    if (is_clock != whole->self->conf->span.by_clock || slot->timer != time) {
        timer_delete(whole->self, is_clock, whole->key, whole->id, time);
    }
}

void
weir_trigger_timer_delete(struct weir_trigger_call *call, int64_t time)
{
    call_delete(call, false, time);
}

void
weir_trigger_clock_delete(struct weir_trigger_call *call, int64_t time)
{
    call_delete(call, true, time);
}

int
weir_general_trigger_merge(struct general_self *self, struct general_key key,
    struct general_slot *into, const struct general_slot *from)
{
    const struct weir_trigger *trigger = &self->conf->trigger;
    struct general_trigger_call call;
    switch ((enum weir_trigger_kind)trigger->kind) {
    case WEIR_TRIGGER_COUNT:
        into->word[0] += from->word[0];
        return 0;
    case WEIR_TRIGGER_CONTINUOUS:
    case WEIR_TRIGGER_CONTINUOUS_BY_CLOCK:
        if (into->word[0] == GENERAL_NEVER || from->word[0] == GENERAL_NEVER) {
            into->word[0] = weir_max_i64(into->word[0], from->word[0]);
        } else {
            into->word[0] = weir_min_i64(into->word[0], from->word[0]);
        }
        return trigger->kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK && into->word[0] != GENERAL_NEVER
                   ? timer_set(self, true, key, into->id, into->word[0])
                   : 0;
    case WEIR_TRIGGER_OWN:
        call_init(self, key, into, &call);
        return trigger->own->on_merge(&call.call, from->word);
    default:
        return 0;
    }
}

void
weir_general_trigger_clear(
    struct general_self *self, struct general_key key, struct general_slot *slot)
{
    const struct weir_trigger *trigger = &self->conf->trigger;
    if (trigger->kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK && slot->word[0] != GENERAL_NEVER) {
        timer_delete(self, true, key, slot->id, slot->word[0]);
    } else if (trigger->kind == WEIR_TRIGGER_OWN && trigger->own->clear != NULL) {
        struct general_trigger_call call;
        call_init(self, key, slot, &call);
        trigger->own->clear(&call.call);
    }
}

/* ---- rows ---- */

/* The first multiple of `every` behind a time, in the window. */
static int64_t
next_fire(const struct general_self *self, const struct general_slot *slot, int64_t time)
{
    int64_t every = self->conf->trigger.every;
    int64_t over = time % every;
    int64_t begin = weir_sub_sat(time, over < 0 ? over + every : over);
    return weir_min_i64(weir_add_sat(begin, every), general_last_ms(self, slot));
}

static int
shown_continuous(struct general_self *self, const struct general_block *block, uint32_t at)
{
    struct general_pairs *pairs = &self->pairs;
    bool is_clock = self->conf->trigger.kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK;
    for (uint32_t p = at; p < pairs->cnt; p++) {
        struct general_slot *slot = general_slot_of(self, pairs->val[p]);
        slot->row_cnt++;
        if (!is_clock && general_last_ms(self, slot) <= self->frontier) {
            return (int)p;
        }
        if (slot->word[0] != GENERAL_NEVER) {
            continue;
        }
        struct general_key key = general_key_of(&self->rows, pairs->at[p]);
        int64_t time = is_clock ? self->now_ms
                                : weir_general_time(self, block->view, block->from + pairs->at[p]);
        slot->word[0] = next_fire(self, slot, time);
        int err = is_clock ? timer_set(self, true, key, slot->id, slot->word[0]) : 0;
        err = err < 0 ? err : weir_general_timer_lower(self, key, slot);
        if (err < 0) {
            return err;
        }
    }
    return (int)pairs->cnt;
}

static int64_t
whole_number(const struct weir_view *view, const struct weir_field *field, uint32_t row)
{
    int64_t value;
    int32_t narrow;
    const char *at = weir_view_at(view, field, row);
    if (field->bytes == sizeof narrow) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    memcpy(&value, at, sizeof value);
    return value;
}

static int
shown_delta(struct general_self *self, const struct general_block *block, uint32_t at)
{
    struct general_pairs *pairs = &self->pairs;
    for (uint32_t p = at; p < pairs->cnt; p++) {
        struct general_slot *slot = general_slot_of(self, pairs->val[p]);
        int64_t value = whole_number(block->view, self->plan.delta, pairs->sel[p]);
        int64_t away = weir_sub_sat(value, slot->word[0]);
        bool is_first = slot->word[1] == 0;
        slot->row_cnt++;
        if (is_first || away > self->conf->trigger.every ||
            away < weir_sub_sat(0, self->conf->trigger.every)) {
            slot->word[0] = value;
            slot->word[1] = 1;
            if (!is_first) {
                return (int)p;
            }
        }
    }
    return (int)pairs->cnt;
}

static int
shown_own(
    struct general_self *self, const struct general_block *block, uint32_t at, int *ret_decision)
{
    struct general_pairs *pairs = &self->pairs;
    for (uint32_t p = at; p < pairs->cnt; p++) {
        struct general_slot *slot = general_slot_of(self, pairs->val[p]);
        struct general_trigger_call call;
        slot->row_cnt++;
        call_init(self, general_key_of(&self->rows, pairs->at[p]), slot, &call);
        call.call.time = weir_general_time(self, block->view, block->from + pairs->at[p]);
        call.call.row = weir_general_row_at(self, block->view, pairs->sel[p]);
        call.call.heap = block->view->heap;
        if (call.call.row == NULL) {
            return WEIR_ENOMEM;
        }
        int decision = self->conf->trigger.own->on_row(&call.call);
        if (decision != 0) {
            *ret_decision = decision;
            return decision < 0 ? decision : (int)p;
        }
    }
    return (int)pairs->cnt;
}

int
weir_general_shown(
    struct general_self *self, const struct general_block *block, uint32_t at, int *ret_decision)
{
    struct general_pairs *pairs = &self->pairs;
    const struct weir_trigger *trigger = &self->conf->trigger;
    *ret_decision = WEIR_TRIGGER_FIRE | (trigger->purges ? WEIR_TRIGGER_PURGE : 0);
    switch ((enum weir_trigger_kind)trigger->kind) {
    case WEIR_TRIGGER_AT_END:
    case WEIR_TRIGGER_NEVER:
        for (uint32_t p = at; p < pairs->cnt; p++) {
            struct general_slot *slot = general_slot_of(self, pairs->val[p]);
            slot->row_cnt++;
            if (trigger->kind == WEIR_TRIGGER_AT_END && !self->conf->span.by_clock &&
                general_last_ms(self, slot) <= self->frontier) {
                return (int)p;
            }
        }
        return (int)pairs->cnt;
    case WEIR_TRIGGER_COUNT:
        for (uint32_t p = at; p < pairs->cnt; p++) {
            struct general_slot *slot = general_slot_of(self, pairs->val[p]);
            slot->row_cnt++;
            if (++slot->word[0] >= trigger->every) {
                slot->word[0] = 0;
                return (int)p;
            }
        }
        return (int)pairs->cnt;
    case WEIR_TRIGGER_DELTA:
        return shown_delta(self, block, at);
    case WEIR_TRIGGER_OWN:
        return shown_own(self, block, at, ret_decision);
    default:
        return shown_continuous(self, block, at);
    }
}

/* ---- timers ---- */

static int
decide(struct general_self *self, struct general_key key, struct general_slot *slot, bool is_clock,
    int64_t time)
{
    const struct weir_trigger *trigger = &self->conf->trigger;
    int fire = WEIR_TRIGGER_FIRE | (trigger->purges ? WEIR_TRIGGER_PURGE : 0);
    bool is_own = is_clock == self->conf->span.by_clock;
    if (trigger->kind == WEIR_TRIGGER_OWN) {
        struct general_trigger_call call;
        int (*on)(struct weir_trigger_call *) =
            is_clock ? trigger->own->on_clock : trigger->own->on_time;
        call_init(self, key, slot, &call);
        call.call.time = time;
        call.call.watermark = self->watermark;
        bool is_asked = on != NULL && !(is_clock && self->is_over);
        return is_asked ? on(&call.call) : 0;
    }
    bool is_end = self->plan.fires_at_end && is_own &&
                  (time == general_last_ms(self, slot) || WEIR_MUTANT(WINDOW_FIRES_ANYTIME) ||
                      (WEIR_MUTANT(WINDOW_FIRES_AGAIN) && time > general_last_ms(self, slot)));
    bool is_next = (trigger->kind == WEIR_TRIGGER_CONTINUOUS && !is_clock) ||
                   (trigger->kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK && is_clock);
    return is_end || (is_next && time == slot->word[0]) ? fire : 0;
}

/* A trigger that goes on has fired: when it will next. */
static int
continue_from(
    struct general_self *self, struct general_key key, struct general_slot *slot, int64_t time)
{
    int64_t last = general_last_ms(self, slot);
    int64_t next = weir_min_i64(weir_add_sat(time, self->conf->trigger.every), last);
    /* The end of the input is the last time that is left: a global window has no other end. */
    bool is_end = last == INT64_MAX && self->watermark == WEIR_WATERMARK_MAX;
    next = is_end || self->is_over ? last : next;
    slot->word[0] = next > time ? next : GENERAL_NEVER;
    return self->conf->trigger.kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK && next > time
               ? timer_set(self, true, key, slot->id, next)
               : 0;
}

/* Behind what a timer has brought about. */
static int
timer_over(struct general_self *self, struct general_key key, void *val, uint32_t idx,
    bool is_clock, int64_t time)
{
    struct general_slot *slot = general_slot_of(self, val);
    const struct weir_general_conf *conf = self->conf;
    bool is_own = is_clock == conf->span.by_clock;
    uint32_t continuous = is_clock ? WEIR_TRIGGER_CONTINUOUS_BY_CLOCK : WEIR_TRIGGER_CONTINUOUS;
    if (is_own && conf->span.kind != WEIR_GENERAL_GLOBAL &&
        time >= general_cleanup_ms(self, general_last_ms(self, slot))) {
        weir_general_drop(self, key, val, idx);
        return 0;
    }
    int err = 0;
    if (conf->trigger.kind == continuous && slot->word[0] == time) {
        err = continue_from(self, key, slot, time);
    }
    if (err == 0 && is_own && slot->timer == time) {
        int64_t due = 0;
        slot->timer = INT64_MAX;
        if (weir_general_due(self, slot, time, &due)) {
            slot->timer = due;
            err = timer_set(self, is_clock, key, slot->id, due);
        }
    }
    return err;
}

static int
timer_fire(
    struct general_self *self, const struct weir_timer *timer, bool is_clock, struct weir_out *out)
{
    struct general_key key = general_key_of(&self->one, 0);
    uint32_t idx;
    void *val = weir_general_find(self, key, (int64_t)timer->ns, &idx);
    if (val == NULL) {
        return WEIR_DONE; /* of a window that is gone */
    }
    weir_table_touch(idx == 0 ? self->table : self->more, val);
    struct general_slot *slot = general_slot_of(self, val);
    if (!self->is_decided) {
        self->decision = decide(self, key, slot, is_clock, timer->time);
        if (self->decision < 0) {
            return self->decision;
        }
        self->is_decided = true;
        self->decided_by_clock = is_clock;
    }
    if ((self->decision & WEIR_TRIGGER_FIRE) != 0) {
        int step = weir_general_fire(self, key, val, out);
        if (step != WEIR_DONE) {
            return step;
        }
    }
    if ((self->decision & WEIR_TRIGGER_PURGE) != 0) {
        weir_general_purge(self, key, val);
    }
    return timer_over(self, key, val, idx, is_clock, timer->time);
}

/* The next timer: WEIR_DONE where there is none; WEIR_AGAIN where there may be more, or no room. */
static int
timer_next(struct general_self *self, bool is_clock, int64_t up_to, struct weir_out *out,
    bool *ret_is_full)
{
    struct weir_timers *timers = timers_of(self, is_clock);
    struct weir_timer timer;
    int got = weir_timers_peek(timers, up_to, &timer);
    *ret_is_full = false;
    if (got <= 0 || got == WEIR_TIMERS_BUSY) {
        return got == WEIR_TIMERS_BUSY ? (int)WEIR_AGAIN : got;
    }
    int loaded =
        weir_keyed_load_stored(&self->plan.keyed, timers->table, timer.stored, 1, &self->one);
    int step = loaded < 0 ? loaded : timer_fire(self, &timer, is_clock, out);
    if (step != WEIR_DONE) {
        *ret_is_full = true;
        return step;
    }
    self->is_decided = false;
    weir_timers_pop(timers, &timer);
    return WEIR_AGAIN;
}

int
weir_general_timers(struct general_self *self, bool is_clock, int64_t up_to, struct weir_out *out)
{
    int step = WEIR_AGAIN;
    bool is_full = false;
    for (uint32_t i = 0; i < GENERAL_SLICE_TIMER_CNT && step == WEIR_AGAIN && !is_full; i++) {
        step = timer_next(self, is_clock, up_to, out, &is_full);
    }
    return step;
}

int
weir_general_timer_finish(struct general_self *self, struct weir_out *out)
{
    int step = WEIR_DONE;
    bool is_full = false;
    while (self->is_decided && self->decided_by_clock && step >= 0 && !is_full) {
        step = timer_next(self, true, INT64_MAX, out, &is_full);
    }
    return step < 0 || is_full ? step : (int)WEIR_DONE;
}
