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
 * each call. A function that has nothing beside a list has the list's table alone, whose entries
 * are found for a block of rows like those of a state.
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
    const struct process_self *self = op->self;
    const struct weir_table_spec spec = weir_timers_spec(self->keyed[0].kind);
    struct weir_table *table;
    int err = weir_state_take(op, name, &spec, 0, &table);
    return err < 0 ? err : weir_timers_adopt(timers, table);
}

static bool
is_list(const struct weir_process_function *function)
{
    const struct weir_kind *kinds = function->kinds;
    return function->state_bytes == 0 && function->kind_cnt > 0 &&
           kinds[0].type == WEIR_KIND_TYPE_LIST && kinds[0].ttl.ms == 0 && !kinds[0].has_ns;
}

static int
process_open(struct weir_operator *op)
{
    struct process_self *self = op->self;
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
    self->is_list = is_list(conf->function);
    if (err == 0 && !self->is_list) {
        err = weir_state_take(op, "state", &spec, 0, &self->table);
    }
    struct weir_table *plain = self->table;
    if (err == 0) {
        err = weir_kindset_open(
            &self->kinds, op, &self->keyed[0], conf->function->kinds, conf->function->kind_cnt);
    }
    if (err == 0 && self->is_list) {
        self->table = self->kinds.state[0].table;
    }
    if (err == 0 && op->env->spill != NULL) {
        self->spills = true;
        err = weir_spill_open(&self->spill, &self->kinds, op, plain, "state");
    }
    if (err == 0 && self->has_timers) {
        err = open_timers(op, "timers", &self->timers);
    }
    return err == 0 && self->has_clocks ? open_timers(op, "clocks", &self->clocks) : err;
}

static void
set_now(struct weir_operator *op, int64_t now_ns)
{
    struct process_self *self = op->self;
    self->now_ms = weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms; /* for times to live */
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
drop_cleared(struct process_self *self)
{
    for (uint32_t i = 0; i < self->cleared_cnt; i++) {
        self->process.row = self->cleared[i];
        uint64_t hash = self->rows.rows.hash[self->process.row];
        const void *key = process_key(self);
        const char *val = weir_table_find(self->table, hash, key, self->rows.rows.heap);
        if (val != NULL && is_zero(val, self->table->spec.val_bytes)) {
            (void)weir_table_delete(self->table, hash, key, self->rows.rows.heap);
            weir_kindset_key(&self->kinds, &self->rows.rows, self->process.row);
            weir_kindset_tidy(&self->kinds);
        }
    }
    self->cleared_cnt = 0;
}

/* The entries of rows [from, from + cnt) are those of a list. */
static void
list_begin(struct process_self *self, uint32_t from, uint32_t cnt)
{
    self->ahead = &self->kinds.state[0];
    self->ahead_rows = self->rows.rows;
    weir_kindset_ask(self->ahead, self->rows.val + from, cnt);
}

/* Rows [from, from + ran) are done with what was looked up for them. */
static void
ahead_end(struct process_self *self, uint32_t from, int ran)
{
    struct weir_keyed_state *state = self->ahead;
    self->ahead = NULL;
    if (state != NULL) {
        state->entry = NULL;
    }
    if (state != NULL && ran > 0) {
        weir_kindset_behind(state, &self->ahead_rows, from, from + (uint32_t)ran);
    }
}

/* A loaded block; row 0 of it is number `at` of the selection. Returns rows done, or an error. */
static int
block_process(struct process_self *self, uint32_t input, const struct weir_view *in, uint32_t at)
{
    weir_process_rows_fn *rows = input == 0 ? self->function->rows : self->second->rows;
    uint32_t done = 0;
    while (done < self->rows.rows.cnt) {
        int got = weir_keyed_resolve(&self->keyed[0], self->table, &self->rows, done);
        if (got < 0) {
            return got;
        }
        self->process.row = done;
        if (self->is_list) {
            list_begin(self, done, (uint32_t)got);
        }
        int ran = rows(&self->process, in, at + done, (uint32_t)got, self->rows.val + done);
        ahead_end(self, done, ran);
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
rows_fetch(struct process_self *self, uint32_t input, const struct weir_view *in, uint32_t at)
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
timer_fetch(struct process_self *self)
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
    struct process_self *self = op->self;
    (void)out;
    (void)now_ns;
    return self->spills ? weir_spill_barrier(&self->spill, id) : WEIR_DONE;
}

static int
process_precommit(struct weir_operator *op, uint64_t id)
{
    struct process_self *self = op->self;
    return self->spills ? weir_spill_precommit(&self->spill, id) : WEIR_DONE;
}

static int
process_aborted(struct weir_operator *op, uint64_t id)
{
    struct process_self *self = op->self;
    if (self->spills) {
        weir_spill_aborted(&self->spill, id);
    }
    return 0;
}

/* ---- rows and timers ---- */

/* Rows without a key, for the map. */
static int64_t
broadcast_process(struct process_self *self, const struct weir_view *in, uint32_t cursor)
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
    struct process_self *self = op->self;
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
    bool is_full = false;
    while (at < end && !is_full) {
        uint32_t cnt = weir_keyed_block(&self->rows, end - at);
        int loaded = weir_keyed_load(&self->keyed[input], in, at, cnt, &self->rows);
        if (loaded < 0) {
            return loaded;
        }
        int done = block_process(self, input, in, at);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        is_full = done < loaded;
    }
    weir_keyed_took(&self->rows, at - cursor, is_full);
    int err = self->kinds.cnt > 0 ? weir_kindset_clean(&self->kinds) : 0;
    return err < 0 ? err : (int64_t)(at - cursor);
}

/* ---- timers ---- */

int
weir_process_timer_next(struct weir_process *p, void **ret_state)
{
    struct process_self *self = process_self_of(p);
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
    struct process_self *self = process_self_of(p);
    drop_cleared(self);
    weir_timers_pop(self->firing, &self->timer);
}

/* Fire a slice of those that are due. */
static int
fire(struct weir_operator *op, struct weir_timers *timers, int64_t up_to, struct weir_out *out)
{
    struct process_self *self = op->self;
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
    struct process_self *self = op->self;
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
    const struct process_self *self = op->self;
    return weir_operator_due_ns(op, weir_timers_next_time(&self->clocks));
}

static int
process_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct process_self *self = op->self;
    set_now(op, now_ns);
    self->process.watermark = op->watermark;
    return fire(op, &self->clocks, self->now_ms, out);
}

static int
process_close(struct weir_operator *op, bool clean)
{
    struct process_self *self = op->self;
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
    struct process_self *self = op->self;
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
    struct process_self *self = op->self;
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
    .self_bytes = sizeof(struct process_self), .output_cnt = 2, .open = process_open,       \
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
