/* SPDX-License-Identifier: Apache-2.0 */
/* What bodies of process functions call. */
#include <string.h>

#include "base/check.h"
#include "dataplane/operators/process_priv.h"

/* ---- timers and state ---- */

static struct weir_timer_key
timer_key(const struct process_self *self, uint64_t ns)
{
    struct weir_timer_key key = {
        self->rows.rows.hash[self->process.row], process_key(self), self->rows.rows.heap, ns};
    return key;
}

static int
set_timer(struct process_self *self, struct weir_timers *timers, int64_t time, uint64_t ns)
{
    bool is_clock = timers == &self->clocks;
    if (self->in_broadcast) {
        return weir_err_push(WEIR_EILLEGAL,
            "the function %s sets a timer for a broadcast row, which has no key",
            self->function->name);
    }
    if (!(is_clock ? self->has_clocks : self->has_timers)) {
        return weir_err_push(WEIR_ESTATE, "the function %s was defined without timers%s",
            self->function->name, is_clock ? " in processing time" : "");
    }
    struct weir_timer_key key = timer_key(self, ns);
    bool made;
    return weir_timers_set(timers, &key, time, &made);
}

int
weir_process_timer_set(struct weir_process *p, int64_t time, uint64_t ns)
{
    return set_timer(process_self_of(p), &process_self_of(p)->timers, time, ns);
}

int
weir_process_clock_set(struct weir_process *p, int64_t time_ms, uint64_t ns)
{
    return set_timer(process_self_of(p), &process_self_of(p)->clocks, time_ms, ns);
}

bool
weir_process_clock_delete(struct weir_process *p, int64_t time_ms, uint64_t ns)
{
    struct process_self *self = process_self_of(p);
    if (!self->has_clocks || self->in_broadcast) {
        return false;
    }
    struct weir_timer_key key = timer_key(self, ns);
    return weir_timers_delete(&self->clocks, &key, time_ms);
}

int64_t
weir_process_now_ms(const struct weir_process *p)
{
    return ((const struct process_self *)(const void *)p)->now_ms;
}

bool
weir_process_timer_delete(struct weir_process *p, int64_t time, uint64_t ns)
{
    struct process_self *self = process_self_of(p);
    if (!self->has_timers || self->in_broadcast) {
        return false;
    }
    struct weir_timer_key key = timer_key(self, ns);
    return weir_timers_delete(&self->timers, &key, time);
}

void
weir_process_clear(struct weir_process *p, void *state)
{
    struct process_self *self = process_self_of(p);
    if (!self->is_list) { /* else it is the list's */
        memset(state, 0, self->table->spec.val_bytes);
    }
    if (self->cleared_cnt == 0 || self->cleared[self->cleared_cnt - 1] != p->row) {
        self->cleared[self->cleared_cnt++] = p->row;
    }
}

void *
weir_process_room(struct weir_process *p)
{
    return process_self_of(p) + 1;
}

struct weir_keyed_state *
weir_process_state(struct weir_process *p, uint32_t idx)
{
    struct process_self *self = process_self_of(p);
    WEIR_CHECK(!self->in_broadcast, "state of a key, in the body of a row that has none");
    WEIR_CHECK(idx < self->kinds.cnt, "the function %s declares %u states, not one at %u",
        self->function->name, self->kinds.cnt, idx);
    weir_kindset_key(&self->kinds, &self->rows.rows, p->row);
    struct weir_keyed_state *state = &self->kinds.state[idx];
    if (state == self->ahead) {
        state->entry = self->ahead_rows.ret_val[p->row];
    }
    return state;
}

int
weir_process_list_ahead(struct weir_process *p, uint32_t idx, uint32_t cnt)
{
    struct process_self *self = process_self_of(p);
    self->ahead = &self->kinds.state[idx];
    self->ahead_rows = self->rows.rows;
    self->ahead_rows.cnt = p->row + cnt;
    self->ahead_rows.ret_val = self->ahead_entry;
    self->ahead_rows.ret_made = NULL;
    return weir_kindset_ahead(self->ahead, &self->ahead_rows, p->row);
}

int
weir_process_maps(struct weir_process *p, uint32_t idx, uint32_t cnt, void **ret_maps)
{
    struct process_self *self = process_self_of(p);
    WEIR_CHECK(!self->in_broadcast, "maps of a key, in the body of a row that has none");
    WEIR_CHECK(idx < self->kinds.cnt && self->kinds.state[idx].kind->type == WEIR_KIND_TYPE_NUMBERS,
        "the function %s declares no maps of numbers at %u", self->function->name, idx);
    struct weir_table_rows rows = self->rows.rows;
    rows.hash += p->row;
    rows.key = process_key(self);
    rows.cnt = cnt;
    return weir_kindset_maps(&self->kinds, idx, rows, ret_maps);
}

const struct weir_numbers_kind *
weir_process_numbers(const struct weir_process *p, uint32_t idx)
{
    return &((const struct process_self *)(const void *)p)->kinds.state[idx].numbers;
}

int64_t
weir_process_key(const struct weir_process *p, uint32_t part)
{
    const struct process_self *self = (const struct process_self *)(const void *)p;
    int64_t word = 0;
    if (!self->in_broadcast && self->keyed[0].kind != WEIR_KEY_STR &&
        part < self->keyed[0].key.field_cnt) {
        memcpy(&word, (const char *)process_key(self) + part * sizeof word, sizeof word);
    }
    return word;
}

struct weir_slice
weir_process_key_text(const struct weir_process *p)
{
    const struct process_self *self = (const struct process_self *)(const void *)p;
    struct weir_slice none = {NULL, 0};
    if (self->in_broadcast || self->keyed[0].kind != WEIR_KEY_STR || self->keyed[0].is_packed) {
        return none;
    }
    return weir_key_text_slice(process_key(self), self->rows.rows.heap);
}

/* ---- the broadcast map ---- */

static const struct weir_broadcast *
map_of(const struct weir_process *p)
{
    return &((const struct process_self *)(const void *)p)->broadcast;
}

const void *
weir_process_broadcast_find(
    const struct weir_process *p, const void *key, uint32_t key_bytes, uint32_t *ret_bytes)
{
    return weir_broadcast_find(map_of(p), (struct weir_slice){key, key_bytes}, ret_bytes);
}

bool
weir_process_broadcast_at(const struct weir_process *p, uint32_t idx, struct weir_slice *ret_key,
    struct weir_slice *ret_val)
{
    return weir_broadcast_at(map_of(p), idx, ret_key, ret_val);
}

static int
refuse_write(const struct process_self *self)
{
    return weir_err_push(WEIR_EILLEGAL,
        "the function %s changes broadcast state for a row that not all subtasks see",
        self->function->name);
}

int
weir_process_broadcast_put(struct weir_process *p, const void *key, uint32_t key_bytes,
    const void *val, uint32_t val_bytes)
{
    struct process_self *self = process_self_of(p);
    if (!self->in_broadcast) {
        return refuse_write(self);
    }
    return weir_broadcast_put(
        &self->broadcast, (struct weir_slice){key, key_bytes}, (struct weir_slice){val, val_bytes});
}

int
weir_process_broadcast_delete(
    struct weir_process *p, const void *key, uint32_t key_bytes, bool *ret_found)
{
    struct process_self *self = process_self_of(p);
    if (!self->in_broadcast) {
        return refuse_write(self);
    }
    *ret_found = weir_broadcast_delete(&self->broadcast, (struct weir_slice){key, key_bytes});
    return 0;
}
