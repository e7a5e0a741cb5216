/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a window that fires: its evictor, its function or its row. And the rows that are
 * kept for them: time, the row as its struct, and its longer texts, to which it refers by their
 * distance from the beginning. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/general_priv.h"

/* ---- rows kept ---- */

#define TIME_BYTES ((uint32_t)sizeof(int64_t))

const void *
weir_general_row_at(struct general_self *self, const struct weir_view *view, uint32_t row)
{
    const struct weir_schema *schema = view->schema;
    if (view->stride != 0) {
        return view->rows + (size_t)view->stride * row;
    }
    char *to = weir_state_room_for(&self->col_room, schema->row_bytes);
    if (to == NULL) {
        (void)weir_err_push(WEIR_ENOMEM, "a row of %s", schema->name);
        return NULL;
    }
    memset(to, 0, schema->row_bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        memcpy(to + field->off, weir_view_at(view, field, row), field->bytes);
    }
    if (schema->has_nulls) {
        memcpy(to, view->rows + sizeof(uint64_t) * row, sizeof(uint64_t));
    }
    return to;
}

static uint64_t
long_bytes(const struct weir_schema *schema, const char *row)
{
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        struct weir_str str;
        if (schema->fields[f].type == WEIR_TYPE_STR) {
            memcpy(&str, row + schema->fields[f].off, sizeof str);
            bytes += str.bytes > WEIR_STR_INLINE_BYTES ? str.bytes : 0;
        }
    }
    return bytes;
}

int
weir_general_row_keep(struct general_self *self, const struct weir_view *view, uint32_t row,
    int64_t time, struct weir_keyed_state *rows)
{
    const struct weir_schema *schema = view->schema;
    const char *from = weir_general_row_at(self, view, row);
    if (from == NULL) {
        return WEIR_ENOMEM;
    }
    uint64_t bytes = TIME_BYTES + schema->row_bytes + long_bytes(schema, from);
    if (bytes > WEIR_KIND_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA,
            "a row of %s of %llu bytes: windows keep rows of at most %d", schema->name,
            (unsigned long long)bytes, WEIR_KIND_BYTES_MAX);
    }
    char *to = weir_state_room_for(&self->row_room, bytes);
    if (to == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a row of %s", schema->name);
    }
    memcpy(to, &time, sizeof time);
    memcpy(to + TIME_BYTES, from, schema->row_bytes);
    char *text = to + TIME_BYTES + schema->row_bytes;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        struct weir_str str;
        char *field = to + TIME_BYTES + schema->fields[f].off;
        if (schema->fields[f].type != WEIR_TYPE_STR) {
            continue;
        }
        memcpy(&str, field, sizeof str);
        if (str.bytes > WEIR_STR_INLINE_BYTES) {
            struct weir_slice slice = weir_str_slice(&str, view->heap);
            memcpy(text, slice.ptr, slice.bytes);
            str = weir_str_ref(to, text, slice.bytes);
            memcpy(field, &str, sizeof str);
            text += slice.bytes;
        }
    }
    return weir_list_add(rows, weir_bytes(to, (uint32_t)bytes));
}

void
weir_window_call_rows(struct weir_window_call *call, struct weir_window_walk *walk)
{
    struct general_window_call *whole = (struct general_window_call *)(void *)call;
    weir_kind_begin(general_rows_of(whole->self, whole->key, whole->id), &walk->cursor);
    walk->heap = NULL;
    walk->time = WEIR_TIME_MIN;
}

const void *
weir_window_call_row(struct weir_window_walk *walk)
{
    uint32_t bytes;
    const char *item = weir_kind_next(&walk->cursor, NULL, &bytes);
    if (item == NULL) {
        return NULL;
    }
    memcpy(&walk->time, item, sizeof walk->time);
    walk->heap = item;
    return item + TIME_BYTES;
}

/* ---- evictors ---- */

static int64_t
field_of(const struct weir_field *field, const char *row)
{
    int64_t value;
    int32_t narrow;
    if (field->bytes == sizeof narrow) {
        memcpy(&narrow, row + field->off, sizeof narrow);
        return narrow;
    }
    memcpy(&value, row + field->off, sizeof value);
    return value;
}

/* What rows are measured by: the latest time, or the last row's field. */
static int64_t
measure(struct general_self *self, struct general_key key, int64_t id)
{
    struct weir_window_walk walk;
    const char *row;
    int64_t latest = INT64_MIN;
    int64_t last = 0;
    weir_kind_begin(general_rows_of(self, key, id), &walk.cursor);
    while ((row = weir_window_call_row(&walk)) != NULL) {
        latest = weir_max_i64(latest, walk.time);
        last = self->plan.evict != NULL ? field_of(self->plan.evict, row) : 0;
    }
    return self->conf->evictor.kind == WEIR_EVICTOR_TIME ? latest : last;
}

static void
evict(struct general_self *self, struct general_key key, struct general_slot *slot)
{
    const struct weir_evictor *evictor = &self->conf->evictor;
    bool counts = evictor->kind == WEIR_EVICTOR_COUNT;
    int64_t from = counts ? 0 : measure(self, key, slot->id);
    uint64_t over = slot->row_cnt - weir_min_u64(slot->row_cnt, (uint64_t)evictor->keep);
    struct weir_window_walk walk;
    const char *row;
    weir_kind_begin(general_rows_of(self, key, slot->id), &walk.cursor);
    while ((!counts || over > 0) && (row = weir_window_call_row(&walk)) != NULL) {
        bool goes = counts;
        if (evictor->kind == WEIR_EVICTOR_TIME) {
            goes = walk.time <= weir_sub_sat(from, evictor->keep);
        } else if (evictor->kind == WEIR_EVICTOR_DELTA) {
            int64_t away = weir_sub_sat(field_of(self->plan.evict, row), from);
            goes = away >= evictor->keep || away <= weir_sub_sat(0, evictor->keep);
        }
        if (goes) {
            weir_list_remove(&walk.cursor);
            slot->row_cnt--;
            over -= counts;
        }
    }
}

/* The aggregate of the rows that are left, which nobody could keep as they came. */
static void *
aggregate_rows(struct general_self *self, struct general_key key, const struct general_slot *slot)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    const struct weir_schema *schema = self->in_schema;
    struct weir_window_walk walk;
    void *acc = self->scratch;
    memset(acc, 0, self->plan.acc_bytes);
    if (agg->init != NULL) {
        agg->init(agg, &acc, 1);
    }
    weir_kind_begin(general_rows_of(self, key, slot->id), &walk.cursor);
    for (const void *row; (row = weir_window_call_row(&walk)) != NULL;) {
        struct weir_view view;
        memset(&view, 0, sizeof view);
        view.schema = schema;
        view.rows = (char *)(uintptr_t)row;
        view.stride = schema->row_bytes;
        view.cnt = 1;
        view.row_cnt = 1;
        view.cap = 1;
        view.heap = (char *)(uintptr_t)walk.heap;
        const struct weir_aggregate_rows rows = {&view, 0, 1};
        agg->update(agg, &acc, &rows);
    }
    return acc;
}

/* ---- firing ---- */

static int
put_row(struct general_self *self, struct general_key key, const struct general_slot *slot,
    void *acc, struct weir_out *out)
{
    const struct general_plan *plan = &self->plan;
    const struct weir_window_rows fired = {slot->start, slot->end, general_last_ms(self, slot),
        NULL, key.heap, (const uint64_t *)(const void *)key.key,
        weir_keyed_room(&plan->keyed, (const uint64_t *)(const void *)key.key, 1, out)};
    if (fired.cnt == 0) {
        return WEIR_AGAIN;
    }
    struct weir_lane rows = weir_window_fill_rows(&plan->fill, &plan->keyed, &fired, out);
    plan->agg.result(&plan->agg, &acc, 1, rows);
    return WEIR_DONE;
}

static int
call_function(struct general_self *self, struct general_key key, const struct general_slot *slot,
    const void *acc, struct weir_out *out)
{
    struct general_window_call whole;
    memset(&whole, 0, sizeof whole);
    whole.call.out = out;
    whole.call.start = slot->start;
    whole.call.end = slot->end;
    whole.call.watermark = self->watermark;
    whole.call.now_ms = self->now_ms;
    whole.call.row_cnt = slot->row_cnt;
    whole.call.acc = self->plan.agg.name != NULL ? acc : NULL;
    whole.call.at = self->call_at;
    whole.self = self;
    whole.key = key;
    whole.id = slot->id;
    out->row_time = general_last_ms(self, slot);
    int step = self->conf->function->call(&whole.call);
    self->call_at = step == WEIR_AGAIN ? whole.call.at : 0;
    return step;
}

int
weir_general_fire(
    struct general_self *self, struct general_key key, void *val, struct weir_out *out)
{
    const struct weir_evictor *evictor = &self->conf->evictor;
    struct general_slot *slot = general_slot_of(self, val);
    bool evicts = evictor->kind != WEIR_EVICTOR_NONE;
    if (slot->row_cnt > 0 && evicts && !evictor->after && !WEIR_MUTANT(EVICTED_AFTER)) {
        evict(self, key, slot);
    }
    if (slot->row_cnt == 0) {
        return WEIR_DONE;
    }
    void *acc = evicts && self->plan.agg.name != NULL ? aggregate_rows(self, key, slot) : val;
    int step = self->conf->function != NULL ? call_function(self, key, slot, acc, out)
                                            : put_row(self, key, slot, acc, out);
    if (step == WEIR_DONE && evicts && evictor->after) {
        evict(self, key, slot);
    }
    return step;
}

/* ---- what functions ask ---- */

int64_t
weir_window_call_key(const struct weir_window_call *call, uint32_t part)
{
    const struct general_window_call *whole =
        (const struct general_window_call *)(const void *)call;
    const struct weir_keyed *keyed = &whole->self->plan.keyed;
    int64_t word = 0;
    if (keyed->kind != WEIR_KEY_STR && part < keyed->key.field_cnt) {
        memcpy(&word, whole->key.key + part * sizeof word, sizeof word);
    }
    return word;
}

struct weir_slice
weir_window_call_key_text(const struct weir_window_call *call)
{
    const struct general_window_call *whole =
        (const struct general_window_call *)(const void *)call;
    const struct weir_keyed *keyed = &whole->self->plan.keyed;
    struct weir_slice none = {NULL, 0};
    if (keyed->kind != WEIR_KEY_STR || keyed->is_packed) {
        return none;
    }
    return weir_key_text_slice(
        (const struct weir_key_text *)(const void *)whole->key.key, whole->key.heap);
}

struct weir_keyed_state *
weir_window_call_state(struct weir_window_call *call, uint32_t idx)
{
    struct general_window_call *whole = (struct general_window_call *)(void *)call;
    struct general_self *self = whole->self;
    uint32_t at = idx + self->plan.keeps_rows;
    WEIR_CHECK(at < self->kinds.cnt, "the function %s declares no state %u",
        self->conf->function->name, idx);
    self->kinds.hash = whole->key.hash;
    self->kinds.heap = whole->key.heap;
    memcpy(self->kinds.key, whole->key.key, self->plan.keyed.stride);
    return &self->kinds.state[at];
}
