/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a function of the user's over rows with keyed state and timers.
 *
 *     row -> its key's state -> body        watermark -> due timers -> their keys' states -> body
 *                                           time comes -> due clocks ->
 *
 * Clocks are timers in processing time, ms of UTC, so that they mean the same after a restore.
 *
 * State: a table from the key to a value; a value of zeros is the same as none, so a key is
 * forgotten by zeroing it: the entry goes when no other one of the block is held. Timers are rows
 * of state of their own; one is removed when its body is done, so a body that ran out of room meets
 * it again.
 *
 * State on disk (kindset_spill.h): the keys of a batch, or of a timer and some that are due with
 * it, are asked for first; the batch waits for them as a whole. Timers are always in memory.
 *
 * A second input is keyed alike, and its rows go the same way with a body of their own; or it is
 * broadcast: then its rows have no key, and change a map (broadcast.h).
 *
 * Declared states (kind.h) have tables of their own. What has expired of them goes bit by bit, in
 * each call.
 *
 * Watermarks: first the timers that they make due, in slices, then they are passed on.
 *
 * Checkpoints: all of it lies in state pages, and the timers' index is made again from their rows;
 * the map is a part.
 * Nothing is held between two batches: cleared entries go before a block ends.
 */
#include "dataplane/operators/process.h"

#include <string.h>

#include "base/check.h"
#include "dataplane/broadcast.h"
#include "dataplane/keyed.h"
#include "dataplane/kindset.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/operators/process_priv.h"
#include "dataplane/state.h"
#include "dataplane/timer.h"

/* Timers that one call of watermark() fires: some 50 us with a short body. */
#define SLICE_TIMER_CNT 128
/* Places of the timers' index that are looked at for keys on disk: one read has those of a
 * slice. */
#define AHEAD_CNT SLICE_TIMER_CNT

WEIR_STATIC_ASSERT(WEIR_PROCESS_STATE_BYTES_MAX == WEIR_TABLE_VAL_BYTES_MAX, "one limit");

struct self {
    struct weir_process process; /* first: bodies get a pointer to it */
    const struct weir_process_function *function;
    const struct weir_process_second *second; /* NULL: one input */
    struct weir_keyed keyed[2]; /* by input */
    bool in_broadcast; /* a row without a key */
    struct weir_broadcast broadcast;
    struct weir_table *table;
    struct weir_timers timers;
    struct weir_timers clocks;
    bool has_timers;
    bool has_clocks;
    struct weir_keyed_rows rows;
    uint32_t cleared[WEIR_KEYED_ROW_CNT_MAX]; /* rows of the block whose state was cleared */
    uint32_t cleared_cnt;
    struct weir_kindset kinds;
    struct weir_spill spill;
    bool spills; /* state that does not fit goes to disk */
    bool waits; /* a timer's key is not here yet */
    int64_t now_ms;
    /* while timers fire */
    struct weir_timers *firing; /* these or those */
    int64_t up_to;
    struct weir_timer timer;
    uint32_t fired_cnt; /* in this slice */
};

static struct self *
self_of(struct weir_process *p)
{
    return (struct self *)(void *)p;
}

static int
check_schema(const struct weir_process_conf *conf, const struct weir_schema *is,
    const struct weir_schema *wanted)
{
    if (weir_schema_fingerprint(is) != weir_schema_fingerprint(wanted)) {
        return weir_err_push(WEIR_EGRAPH, "the input is %s, the function %s takes %s", is->name,
            conf->function->name, wanted->name);
    }
    return 0;
}

int
weir_process_check(const struct weir_process_conf *conf, const struct weir_schema *in_schema)
{
    struct weir_key key = conf->key;
    int err = conf->function->in_schema != NULL
                  ? check_schema(conf, in_schema, conf->function->in_schema())
                  : 0;
    if (err < 0) {
        return err;
    }
    if (key.field_cnt == 0) {
        return weir_err_push(WEIR_EGRAPH, "the function %s keeps state by key: its input has none",
            conf->function->name);
    }
    err = weir_kindset_check(conf->function->kinds, conf->function->kind_cnt);
    return err < 0 ? err : weir_key_resolve(&key, in_schema);
}

int
weir_connect_check(const struct weir_connect_process_conf *conf,
    const struct weir_schema *in_schema, const struct weir_schema *second_schema)
{
    struct weir_key key = conf->process.key;
    struct weir_key second = conf->second_key;
    int err = weir_process_check(&conf->process, in_schema);
    err = err < 0 ? err : check_schema(&conf->process, second_schema, conf->second->in_schema());
    if (err < 0 || conf->second->is_broadcast) {
        return err;
    }
    err = weir_key_resolve(&key, in_schema);
    err = err < 0 ? err : weir_key_resolve(&second, second_schema);
    if (err < 0) {
        return err;
    }
    bool is_alike = second.field_cnt == key.field_cnt;
    for (uint32_t i = 0; is_alike && i < key.field_cnt; i++) {
        is_alike = (key.part[i].type == WEIR_TYPE_STR) == (second.part[i].type == WEIR_TYPE_STR);
    }
    if (!is_alike) {
        return weir_err_push(WEIR_EGRAPH,
            "the keys of the inputs of %s do not go together: as many fields, texts with texts, "
            "numbers with numbers",
            conf->process.function->name);
    }
    return 0;
}

static int
open_timers(struct weir_operator *op, const char *name, struct weir_timers *timers)
{
    const struct self *self = op->self;
    const struct weir_table_spec spec = weir_timers_spec(self->keyed[0].kind);
    struct weir_table *table;
    int err = weir_state_take(op, name, &spec, 0, &table);
    return err < 0 ? err : weir_timers_adopt(timers, table);
}

static int
process_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct weir_process_conf *conf = op->conf; /* a pair begins with it */
    struct weir_arena *arena = op->env->arena;
    if (arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "a process function was given no state pages");
    }
    const struct weir_connect_process_conf *pair = op->type->input_cnt == 2 ? op->conf : NULL;
    int err = pair != NULL ? weir_connect_check(pair, op->in_schema[0], op->in_schema[1])
                           : weir_process_check(conf, op->in_schema[0]);
    if (err == 0 && conf->function->out_schema != NULL &&
        weir_schema_fingerprint(op->out_schema[0]) !=
            weir_schema_fingerprint(conf->function->out_schema())) {
        err = weir_err_push(WEIR_EGRAPH, "the output is %s, the function %s makes %s",
            op->out_schema[0]->name, conf->function->name, conf->function->out_schema()->name);
    }
    if (err == 0) {
        err = weir_keyed_init(&self->keyed[0], &conf->key, op->in_schema[0], arena);
    }
    if (err == 0 && pair != NULL && !pair->second->is_broadcast) {
        err = weir_keyed_init(&self->keyed[1], &pair->second_key, op->in_schema[1], arena);
    }
    self->second = pair != NULL ? pair->second : NULL;
    self->function = conf->function;
    self->process.function = conf->function;
    self->has_timers = conf->function->timers != NULL;
    self->has_clocks = conf->function->clocks != NULL;
    struct weir_table_spec spec = {0, self->keyed[0].kind, conf->function->state_bytes, 0};
    if (err == 0) {
        err = weir_state_take(op, "state", &spec, 0, &self->table);
    }
    if (err == 0) {
        err = weir_kindset_open(
            &self->kinds, op, &self->keyed[0], conf->function->kinds, conf->function->kind_cnt);
    }
    if (err == 0 && op->env->spill != NULL) {
        self->spills = true;
        err = weir_spill_open(&self->spill, &self->kinds, op, self->table, "state");
    }
    if (err == 0 && self->has_timers) {
        err = open_timers(op, "timers", &self->timers);
    }
    return err == 0 && self->has_clocks ? open_timers(op, "clocks", &self->clocks) : err;
}

static void
set_now(struct weir_operator *op, int64_t now_ns)
{
    struct self *self = op->self;
    self->now_ms = weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms; /* for times to live */
}

/* ---- what bodies call ---- */

static const void *
current_key(const struct self *self)
{
    return self->rows.rows.key + (size_t)self->process.row * self->rows.rows.key_stride;
}

static struct weir_timer_key
timer_key(const struct self *self, uint64_t ns)
{
    struct weir_timer_key key = {
        self->rows.rows.hash[self->process.row], current_key(self), self->rows.rows.heap, ns};
    return key;
}

static int
set_timer(struct self *self, struct weir_timers *timers, int64_t time, uint64_t ns)
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
    return set_timer(self_of(p), &self_of(p)->timers, time, ns);
}

int
weir_process_clock_set(struct weir_process *p, int64_t time_ms, uint64_t ns)
{
    return set_timer(self_of(p), &self_of(p)->clocks, time_ms, ns);
}

bool
weir_process_clock_delete(struct weir_process *p, int64_t time_ms, uint64_t ns)
{
    struct self *self = self_of(p);
    if (!self->has_clocks || self->in_broadcast) {
        return false;
    }
    struct weir_timer_key key = timer_key(self, ns);
    return weir_timers_delete(&self->clocks, &key, time_ms);
}

int64_t
weir_process_now_ms(const struct weir_process *p)
{
    return ((const struct self *)(const void *)p)->now_ms;
}

bool
weir_process_timer_delete(struct weir_process *p, int64_t time, uint64_t ns)
{
    struct self *self = self_of(p);
    if (!self->has_timers || self->in_broadcast) {
        return false;
    }
    struct weir_timer_key key = timer_key(self, ns);
    return weir_timers_delete(&self->timers, &key, time);
}

void
weir_process_clear(struct weir_process *p, void *state)
{
    struct self *self = self_of(p);
    memset(state, 0, self->table->spec.val_bytes);
    if (self->cleared_cnt == 0 || self->cleared[self->cleared_cnt - 1] != p->row) {
        self->cleared[self->cleared_cnt++] = p->row;
    }
}

void *
weir_process_room(struct weir_process *p)
{
    return self_of(p) + 1;
}

struct weir_keyed_state *
weir_process_state(struct weir_process *p, uint32_t idx)
{
    struct self *self = self_of(p);
    WEIR_CHECK(!self->in_broadcast, "state of a key, in the body of a row that has none");
    WEIR_CHECK(idx < self->kinds.cnt, "the function %s declares %u states, not one at %u",
        self->function->name, self->kinds.cnt, idx);
    weir_kindset_key(&self->kinds, &self->rows.rows, p->row);
    return &self->kinds.state[idx];
}

int
weir_process_maps(struct weir_process *p, uint32_t idx, uint32_t cnt, void **ret_maps)
{
    struct self *self = self_of(p);
    struct weir_table_rows rows = self->rows.rows;
    rows.hash += p->row;
    rows.key = current_key(self);
    rows.cnt = cnt;
    return weir_kindset_maps(&self->kinds, idx, rows, ret_maps);
}

const struct weir_numbers_kind *
weir_process_numbers(const struct weir_process *p, uint32_t idx)
{
    return &((const struct self *)(const void *)p)->kinds.state[idx].numbers;
}

int64_t
weir_process_key(const struct weir_process *p, uint32_t part)
{
    const struct self *self = (const struct self *)(const void *)p;
    int64_t word = 0;
    if (!self->in_broadcast && self->keyed[0].kind != WEIR_KEY_STR &&
        part < self->keyed[0].key.field_cnt) {
        memcpy(&word, (const char *)current_key(self) + part * sizeof word, sizeof word);
    }
    return word;
}

struct weir_slice
weir_process_key_text(const struct weir_process *p)
{
    const struct self *self = (const struct self *)(const void *)p;
    struct weir_slice none = {NULL, 0};
    if (self->in_broadcast || self->keyed[0].kind != WEIR_KEY_STR || self->keyed[0].is_packed) {
        return none;
    }
    return weir_key_text_slice(current_key(self), self->rows.rows.heap);
}

/* ---- the broadcast map ---- */

static const struct weir_broadcast *
map_of(const struct weir_process *p)
{
    return &((const struct self *)(const void *)p)->broadcast;
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
refuse_write(const struct self *self)
{
    return weir_err_push(WEIR_EILLEGAL,
        "the function %s changes broadcast state for a row that not all subtasks see",
        self->function->name);
}

int
weir_process_broadcast_put(struct weir_process *p, const void *key, uint32_t key_bytes,
    const void *val, uint32_t val_bytes)
{
    struct self *self = self_of(p);
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
    struct self *self = self_of(p);
    if (!self->in_broadcast) {
        return refuse_write(self);
    }
    *ret_found = weir_broadcast_delete(&self->broadcast, (struct weir_slice){key, key_bytes});
    return 0;
}

/* ---- rows ---- */

static bool
is_zero(const char *val, uint32_t bytes)
{
    bool zero = true;
    for (uint32_t i = 0; i < bytes; i++) {
        zero &= val[i] == 0;
    }
    return zero;
}

/* Entries cleared and not written again since: nothing of the block is held any more. */
static void
drop_cleared(struct self *self)
{
    for (uint32_t i = 0; i < self->cleared_cnt; i++) {
        self->process.row = self->cleared[i];
        uint64_t hash = self->rows.rows.hash[self->process.row];
        const void *key = current_key(self);
        const char *val = weir_table_find(self->table, hash, key, self->rows.rows.heap);
        if (val != NULL && is_zero(val, self->table->spec.val_bytes)) {
            (void)weir_table_delete(self->table, hash, key, self->rows.rows.heap);
            weir_kindset_key(&self->kinds, &self->rows.rows, self->process.row);
            weir_kindset_tidy(&self->kinds);
        }
    }
    self->cleared_cnt = 0;
}

/* A loaded block; row 0 of it is number `at` of the selection. Returns rows done, or an error. */
static int
block_process(struct self *self, uint32_t input, const struct weir_view *in, uint32_t at)
{
    weir_process_rows_fn *rows = input == 0 ? self->function->rows : self->second->rows;
    uint32_t done = 0;
    while (done < self->rows.rows.cnt) {
        int got = weir_keyed_resolve(&self->keyed[0], self->table, &self->rows, done);
        if (got < 0) {
            return got;
        }
        self->process.row = done;
        int ran = rows(&self->process, in, at + done, (uint32_t)got, self->rows.val + done);
        drop_cleared(self);
        if (ran < 0) {
            return ran;
        }
        done += (uint32_t)ran;
        if (ran < got) {
            break;
        }
    }
    return (int)done;
}

/* ---- state on disk ---- */

/* The keys of rows [at, in->cnt) are asked for, all of them at once. Returns up to which row they
 * are
 * here: `at` itself where they have to be waited for. */
static int64_t
rows_fetch(struct self *self, uint32_t input, const struct weir_view *in, uint32_t at)
{
    struct weir_spill *spill = &self->spill;
    int step = weir_spill_poll(spill);
    if (step < 0 || (step == WEIR_WAIT && !spill->has_checkpoint)) {
        return step < 0 ? step : (int64_t)at;
    }
    uint32_t end = at;
    weir_spill_turn(spill);
    while (end < in->cnt) {
        uint32_t cnt = weir_min_u32(in->cnt - end, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&self->keyed[input], in, end, cnt, &self->rows);
        if (loaded > 0 && step == WEIR_WAIT && !weir_spill_has(spill, &self->rows.rows)) {
            return end; /* a checkpoint is being made: those before go on */
        }
        int err = loaded < 0          ? loaded
                  : step == WEIR_DONE ? weir_spill_want(spill, &self->rows.rows)
                                      : 0;
        if (err < 0) {
            return err;
        }
        end += (uint32_t)loaded;
    }
    if (step == WEIR_DONE) {
        int err = weir_spill_go(spill);
        err = err < 0 ? err : weir_spill_poll(spill);
        return err < 0 ? err : err == WEIR_WAIT ? (int64_t)at : (int64_t)end;
    }
    return end;
}

/* The same for the key of a timer, whose stored row is given: WEIR_DONE, and it is loaded;
 * WEIR_WAIT or an error. Where it is not here, those of timers behind it are asked for with it. */
static int
timer_fetch(struct self *self)
{
    struct weir_spill *spill = &self->spill;
    const struct weir_table *table = self->firing->table;
    const uint64_t *stored = self->timer.stored;
    uint64_t ahead[AHEAD_CNT * WEIR_KEY_TEXT_WORD_CNT];
    int step = weir_spill_poll(spill);
    int loaded = weir_keyed_load_stored(&self->keyed[0], table, stored, 1, &self->rows);
    if (step < 0 || loaded < 0) {
        return step < 0 ? step : loaded;
    }
    if (weir_spill_has(spill, &self->rows.rows)) {
        return WEIR_DONE;
    }
    if (step != WEIR_DONE) {
        return step;
    }
    weir_spill_turn(spill);
    int err = weir_spill_want(spill, &self->rows.rows);
    uint32_t cnt = weir_timers_ahead(self->firing, self->up_to, AHEAD_CNT, ahead);
    if (err == 0 && cnt > 0) {
        loaded = weir_keyed_load_stored(&self->keyed[0], table, ahead, cnt, &self->rows);
        err = loaded < 0 ? loaded : weir_spill_want(spill, &self->rows.rows);
    }
    err = err < 0 ? err : weir_spill_go(spill);
    err = err < 0 ? err : weir_spill_poll(spill);
    if (err == WEIR_DONE) {
        loaded = weir_keyed_load_stored(&self->keyed[0], table, stored, 1, &self->rows);
        err = loaded < 0 ? loaded : WEIR_DONE;
    }
    return err;
}

static int
process_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)out;
    (void)now_ns;
    return self->spills ? weir_spill_barrier(&self->spill, id) : WEIR_DONE;
}

static int
process_precommit(struct weir_operator *op, uint64_t id)
{
    struct self *self = op->self;
    return self->spills ? weir_spill_precommit(&self->spill, id) : WEIR_DONE;
}

static int
process_aborted(struct weir_operator *op, uint64_t id)
{
    struct self *self = op->self;
    if (self->spills) {
        weir_spill_aborted(&self->spill, id);
    }
    return 0;
}

/* ---- rows and timers ---- */

/* Rows without a key, for the map. */
static int64_t
broadcast_process(struct self *self, const struct weir_view *in, uint32_t cursor)
{
    self->in_broadcast = true;
    int ran = self->second->rows(&self->process, in, cursor, in->cnt - cursor, NULL);
    self->in_broadcast = false;
    return ran;
}

static int64_t
process_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    set_now(op, now_ns);
    self->process.out = &out[0];
    self->process.side = &out[1];
    self->process.watermark = in->watermark;
    if (input == 1 && self->second->is_broadcast) {
        return broadcast_process(self, in, cursor);
    }
    uint32_t at = cursor;
    uint32_t end = in->cnt;
    if (self->spills) {
        int64_t fetched = rows_fetch(self, input, in, at);
        if (fetched < 0) {
            return fetched;
        }
        end = (uint32_t)fetched;
    }
    while (at < end) {
        uint32_t cnt = weir_min_u32(end - at, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&self->keyed[input], in, at, cnt, &self->rows);
        if (loaded < 0) {
            return loaded;
        }
        int done = block_process(self, input, in, at);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        if (done < loaded) {
            break;
        }
    }
    int err = self->kinds.cnt > 0 ? weir_kindset_clean(&self->kinds) : 0;
    return err < 0 ? err : (int64_t)(at - cursor);
}

/* ---- timers ---- */

int
weir_process_timer_next(struct weir_process *p, void **ret_state)
{
    struct self *self = self_of(p);
    if (self->fired_cnt == SLICE_TIMER_CNT) {
        return WEIR_PROCESS_SLICE;
    }
    self->fired_cnt++;
    int got = weir_timers_peek(self->firing, self->up_to, &self->timer);
    if (got != 1) {
        return got == WEIR_TIMERS_BUSY ? WEIR_PROCESS_SLICE : got;
    }
    /* The stored row begins with the key, as the table of states has it too. */
    int here = self->spills ? timer_fetch(self)
                            : weir_keyed_load_stored(&self->keyed[0], self->firing->table,
                                  self->timer.stored, 1, &self->rows);
    here = here > 0 && !self->spills ? (int)WEIR_DONE : here;
    if (here != WEIR_DONE) {
        self->waits = here == WEIR_WAIT;
        return here < 0 ? here : WEIR_PROCESS_SLICE;
    }
    int found = weir_keyed_resolve(&self->keyed[0], self->table, &self->rows, 0);
    if (found < 0) {
        return found;
    }
    p->row = 0;
    p->time = self->firing == &self->timers ? self->timer.time : WEIR_TIME_MIN;
    p->timer_time = self->timer.time;
    p->timer_ns = self->timer.ns;
    p->out->row_time = p->time;
    p->out->row_kind = WEIR_ROW_INSERT;
    p->view = NULL;
    p->side->row_time = p->time;
    *ret_state = self->rows.val[0];
    /* Where there was none, and the body leaves none, the entry goes again. */
    self->cleared[0] = 0;
    self->cleared_cnt = 1;
    return 1;
}

void
weir_process_timer_done(struct weir_process *p)
{
    struct self *self = self_of(p);
    drop_cleared(self);
    weir_timers_pop(self->firing, &self->timer);
}

/* Fire a slice of those that are due. */
static int
fire(struct weir_operator *op, struct weir_timers *timers, int64_t up_to, struct weir_out *out)
{
    struct self *self = op->self;
    self->process.out = &out[0];
    self->process.side = &out[1];
    self->firing = timers;
    self->up_to = up_to;
    self->fired_cnt = 0;
    self->waits = false;
    bool is_event_time = timers == &self->timers;
    int step = (is_event_time ? self->function->timers : self->function->clocks)(&self->process);
    drop_cleared(self);
    op->timers_fired = self->timers.fired_cnt + self->clocks.fired_cnt;
    return step == WEIR_AGAIN && self->waits ? (int)WEIR_WAIT : step;
}

static int
process_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    set_now(op, now_ns);
    self->process.watermark = watermark;
    return self->has_timers ? fire(op, &self->timers, watermark, out) : (int)WEIR_DONE;
}

static bool
process_keeps_time(const struct weir_operator *op)
{
    return ((const struct weir_process_conf *)op->conf)->function->clocks != NULL;
}

static int64_t
process_due_ns(const struct weir_operator *op)
{
    const struct self *self = op->self;
    return weir_operator_due_ns(op, weir_timers_next_time(&self->clocks));
}

static int
process_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    set_now(op, now_ns);
    self->process.watermark = op->watermark;
    return fire(op, &self->clocks, self->now_ms, out);
}

static int
process_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_keyed_rows_fini(&self->rows);
    weir_kindset_close(&self->kinds);
    weir_broadcast_fini(&self->broadcast);
    weir_spill_close(&self->spill);
    return 0;
}

/* Where no state is declared there is nothing beside the pages. */
static int
process_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct self *self = op->self;
    if (self->kinds.cnt > 0) {
        weir_kindset_snapshot(&self->kinds, parts);
    }
    if (self->spills) {
        weir_spill_snapshot(&self->spill, id, parts);
    }
    if (self->second != NULL && self->second->is_broadcast) {
        weir_broadcast_snapshot(&self->broadcast, parts);
    }
    return 0;
}

static int
process_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    int err = self->spills ? weir_spill_restore(&self->spill, parts, parts_cnt)
                           : weir_spill_refuse(op, parts, parts_cnt);
    if (err == 0 && self->kinds.cnt > 0) {
        err = weir_kindset_restore(&self->kinds, op, parts, parts_cnt);
    }
    return err == 0 && self->second != NULL && self->second->is_broadcast
               ? weir_broadcast_restore(&self->broadcast, op, parts, parts_cnt)
               : err;
}

#define PROCESS_HOOKS                                                                       \
    .self_bytes = sizeof(struct self), .output_cnt = 2, .open = process_open,               \
    .process = process_process, .watermark = process_watermark, .close = process_close,     \
    .barrier = process_barrier, .precommit = process_precommit, .aborted = process_aborted, \
    .snapshot = process_snapshot, .restore = process_restore,                               \
    .conf_state = weir_process_conf_state, .states = weir_process_states,                   \
    .state_cnt = WEIR_PROCESS_STATE_CNT, .parts = weir_process_parts,                       \
    .part_cnt = WEIR_PROCESS_PART_CNT, .due_ns = process_due_ns, .timer = process_timer,    \
    .keeps_time = process_keeps_time, .rests = true

const struct weir_operator_type weir_process_type = {
    .name = "process", .input_cnt = 1, PROCESS_HOOKS};
const struct weir_operator_type weir_connect_type = {
    .name = "connect", .input_cnt = 2, PROCESS_HOOKS};
