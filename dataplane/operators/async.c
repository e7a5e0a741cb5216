/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for each row outside, and puts out what is answered (async.h).
 *
 *     in order:   a b | c   answered b c a   ->   a' b' | c'        (| a watermark)
 *     unordered:  a b | c   answered b c a   ->   b' a' | c'
 *
 * State: the rows whose answers have not gone on yet, as a list of them (part "requests"): of each
 * its times, its kind and its bytes. A watermark that follows one of them is not kept: a restored
 * operator hands on the last one that it was given behind all of them.
 *
 * Rows wait in a list in the order in which they came. A watermark hangs on the row before it, and
 * moves to the one before that when its row goes; with no row left before it, it is due. The rows
 * up to one with a watermark are a segment: unordered, answers go on only from the first.
 */
#include "dataplane/operators/async.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/operators/async_priv.h"
#include "dataplane/state.h"

#define PART "requests"
#define PART_VERSION 1

enum entry_state {
    ENTRY_QUEUED, /* restored, and not asked for yet */
    ENTRY_ASKED,
    ENTRY_PAUSED, /* between two attempts */
    ENTRY_READY, /* its answer is there */
};

/* A row on its way. */
struct entry {
    uint32_t call;
    enum entry_state state;
    uint32_t prev;
    uint32_t next; /* in the list, or among the free ones */
    uint32_t next_ready;
    uint32_t segment;
    uint32_t emitted_cnt; /* rows of the answer that are out */
    uint32_t kind;
    bool has_after; /* the watermark `after` follows it */
    int64_t after;
    int64_t time;
    int64_t watermark; /* of its channel before it: what makes a row late */
    int64_t intended_ns;
    int64_t deadline_ns;
    int64_t again_ns; /* of the next attempt */
};

struct async {
    struct weir_async_conf conf; /* with its defaults */
    void *client;
    bool is_open;
    bool is_ordered;
    struct weir_async *calls;
    uint32_t call_cnt;
    uint32_t free_call;
    uint32_t given_up_cnt;
    struct entry *entries;
    uint32_t free_entry;
    uint32_t head;
    uint32_t tail;
    uint32_t entry_cnt;
    uint32_t queued_cnt;
    uint32_t segment; /* of the rows that come now */
    uint32_t ready_head; /* unordered: what may go on, in the order of the answers */
    uint32_t ready_tail;
    uint32_t partial; /* some rows of its answer are out */
    bool has_due; /* the watermark `due` is to go on before anything else */
    bool wants_call; /* a time-out waits for a call to make up an answer in */
    uint32_t status; /* WEIR_SLOT_IDLE, to go on behind all rows; _ACTIVE, before any; 0 */
    int64_t due;
    int64_t tick_ns; /* no deadline and no attempt comes before */
    char *mem;
};

/* ---- memory ---- */

static int done(void *arg, const uint64_t *words, bool is_run, int64_t now_ns);

/* Room for entry_cnt rows on their way, and as many calls more that are given up. */
static int
make_room(struct weir_operator *op, uint32_t entry_cnt)
{
    struct async *self = op->self;
    uint32_t call_cnt = entry_cnt + self->conf.capacity;
    uint32_t row_bytes = weir_async_row_cap(&self->conf, op->in_schema[0]);
    uint32_t result_bytes = (uint32_t)weir_align_up(self->conf.result_bytes, sizeof(uint64_t));
    self->entries = calloc(entry_cnt, sizeof *self->entries);
    self->calls = calloc(call_cnt, sizeof *self->calls);
    self->mem = calloc(call_cnt, (size_t)row_bytes + result_bytes);
    if (self->entries == NULL || self->calls == NULL || self->mem == NULL) {
        return weir_err_push(
            WEIR_ENOMEM, "%u calls of %u bytes", call_cnt, row_bytes + result_bytes);
    }
    self->call_cnt = call_cnt;
    char *at = self->mem;
    for (uint32_t i = 0; i < call_cnt; i++, at += (size_t)row_bytes + result_bytes) {
        self->calls[i] = (struct weir_async){.op = op,
            .done_fn = done,
            .idx = i,
            .next_free = i + 1 < call_cnt ? i + 1 : ASYNC_NONE,
            .row = at,
            .row_cap = row_bytes,
            .result = at + row_bytes,
            .result_cap = self->conf.result_bytes,
            .result_row_bytes = op->out_schema[0]->row_bytes};
    }
    for (uint32_t i = 0; i < entry_cnt; i++) {
        self->entries[i].next = i + 1 < entry_cnt ? i + 1 : ASYNC_NONE;
    }
    self->free_call = 0;
    self->free_entry = 0;
    return 0;
}

static void
free_room(struct async *self)
{
    free(self->entries);
    free(self->calls);
    free(self->mem);
    self->entries = NULL;
    self->calls = NULL;
    self->mem = NULL;
}

static int
async_open(struct weir_operator *op)
{
    struct async *self = op->self;
    self->conf = weir_async_defaults(op->conf);
    self->is_ordered = op->type == &weir_async_type;
    self->head = self->tail = self->ready_head = self->ready_tail = self->partial = ASYNC_NONE;
    self->tick_ns = INT64_MAX;
    int rc = make_room(op, self->conf.capacity);
    if (rc == 0 && self->conf.function->open != NULL) {
        rc = self->conf.function->open(op, self->conf.function_conf, &self->client);
    }
    self->is_open = rc == 0;
    return rc;
}

static int
async_close(struct weir_operator *op, bool clean)
{
    struct async *self = op->self;
    (void)clean;
    if (self->is_open && self->conf.function->close != NULL) {
        self->conf.function->close(self->client);
    }
    self->is_open = false;
    free_room(self);
    return 0;
}

/* ---- the list ---- */

static struct weir_async *
take_call(struct async *self)
{
    struct weir_async *call = &self->calls[self->free_call];
    self->free_call = call->next_free;
    call->attempt = 0;
    call->is_given_up = false;
    return call;
}

static void
give_call(struct async *self, struct weir_async *call)
{
    call->next_free = self->free_call;
    self->free_call = call->idx;
    if (self->wants_call) {
        self->wants_call = false;
        self->tick_ns = INT64_MIN; /* what was over its time is looked for again */
    }
}

static bool
is_full(const struct async *self)
{
    return self->entry_cnt >= self->conf.capacity || self->free_call == ASYNC_NONE;
}

/* A new one at the end, for a row that is in `call`. */
static struct entry *
append(struct async *self, struct weir_async *call)
{
    uint32_t idx = self->free_entry;
    struct entry *entry = &self->entries[idx];
    self->free_entry = entry->next;
    *entry = (struct entry){.call = call->idx,
        .prev = self->tail,
        .next = ASYNC_NONE,
        .next_ready = ASYNC_NONE,
        .state = ENTRY_ASKED,
        .segment = self->segment,
        .deadline_ns = INT64_MAX};
    call->entry = idx;
    if (self->tail != ASYNC_NONE) {
        self->entries[self->tail].next = idx;
    } else {
        self->head = idx;
    }
    self->tail = idx;
    self->entry_cnt++;
    return entry;
}

/* Unordered: what is ready and may go on. */
static void
add_ready(struct async *self, uint32_t idx)
{
    self->entries[idx].next_ready = ASYNC_NONE;
    if (self->ready_tail != ASYNC_NONE) {
        self->entries[self->ready_tail].next_ready = idx;
    } else {
        self->ready_head = idx;
    }
    self->ready_tail = idx;
}

static void
make_ready(struct async *self, struct entry *entry)
{
    entry->state = ENTRY_READY;
    if (!self->is_ordered && entry->segment == self->entries[self->head].segment) {
        add_ready(self, (uint32_t)(entry - self->entries));
    }
}

static void
hang_watermark(struct async *self, uint32_t idx, int64_t watermark)
{
    if (idx == ASYNC_NONE) {
        self->has_due = true;
        self->due = watermark;
        return;
    }
    struct entry *entry = &self->entries[idx];
    entry->after = entry->has_after ? weir_max_i64(entry->after, watermark) : watermark;
    entry->has_after = true;
}

/* Its answer is out. Unordered, a new first segment may have answers already. */
static void
remove_entry(struct async *self, uint32_t idx)
{
    struct entry *entry = &self->entries[idx];
    uint32_t next = entry->next;
    bool was_head = self->head == idx;
    if (entry->has_after) {
        hang_watermark(self, entry->prev, entry->after);
    }
    *(was_head ? &self->head : &self->entries[entry->prev].next) = next;
    *(self->tail == idx ? &self->tail : &self->entries[next].prev) = entry->prev;
    uint32_t segment = entry->segment;
    give_call(self, &self->calls[entry->call]);
    entry->next = self->free_entry;
    self->free_entry = idx;
    self->entry_cnt--;
    if (self->is_ordered || !was_head || next == ASYNC_NONE ||
        self->entries[next].segment == segment) {
        return;
    }
    segment = self->entries[next].segment;
    for (; next != ASYNC_NONE && self->entries[next].segment == segment;
         next = self->entries[next].next) {
        if (self->entries[next].state == ENTRY_READY) {
            add_ready(self, next);
        }
    }
}

/* ---- asking ---- */

static int64_t
backoff_ns(const struct weir_async_conf *conf, uint32_t attempt)
{
    int64_t ns = conf->backoff_ns;
    for (uint32_t i = 1; i < attempt && ns < conf->backoff_ns_max; i++) {
        ns = ns > INT64_MAX / conf->backoff_factor ? INT64_MAX : ns * conf->backoff_factor;
    }
    return weir_min_i64(ns, conf->backoff_ns_max);
}

/* An answer has come, or an error. */
static int
settle(struct async *self, struct entry *entry, int64_t now_ns)
{
    const struct weir_async_function *function = self->conf.function;
    struct weir_async *call = &self->calls[entry->call];
    bool is_bad = call->error != 0 || (function->retry_if != NULL && function->retry_if(call));
    if (is_bad && call->attempt + 1 < self->conf.attempt_cnt) {
        call->attempt++;
        entry->state = ENTRY_PAUSED;
        entry->again_ns = weir_add_sat(now_ns, backoff_ns(&self->conf, call->attempt));
        self->tick_ns = weir_min_i64(self->tick_ns, entry->again_ns);
        return 0;
    }
    if (call->error != 0) {
        return weir_err_push(call->error, "attempt %u of %u: %s", call->attempt + 1,
            self->conf.attempt_cnt, call->why);
    }
    make_ready(self, entry);
    return 0;
}

static int
ask(struct async *self, struct entry *entry, int64_t now_ns)
{
    struct weir_async *call = &self->calls[entry->call];
    if (WEIR_MUTANT(ASYNC_FAILED_COUNTED)) {
        call->error = 0;
    } else {
        weir_async_reset(call);
    }
    self->queued_cnt -= entry->state == ENTRY_QUEUED;
    entry->state = ENTRY_ASKED;
    if (call->attempt == 0 && self->conf.timeout_ns > 0) {
        entry->deadline_ns = weir_add_sat(now_ns, self->conf.timeout_ns);
        self->tick_ns = weir_min_i64(self->tick_ns, entry->deadline_ns);
    }
    int rc = self->conf.function->start(self->client, call);
    if (rc >= 0) {
        return 0;
    }
    call->error = rc;
    weir_err_save(call->why, sizeof call->why);
    weir_err_clear();
    return settle(self, entry, now_ns);
}

/* A letter: a call is the operator's again. */
static int
done(void *arg, const uint64_t *words, bool is_run, int64_t now_ns)
{
    if (!is_run) {
        return 0; /* all calls are gone */
    }
    struct weir_operator *op = arg;
    struct async *self = op->self;
    struct weir_async *call = &self->calls[words[0]];
    if (call->is_given_up) {
        self->given_up_cnt--;
        give_call(self, call);
        return 0;
    }
    int rc = settle(self, &self->entries[call->entry], now_ns);
    return rc < 0 ? weir_err_push(rc, "operator %s: an answer", op->type->name) : 0;
}

/* ---- times ---- */

/* The function still has the call: what is made up needs another. False: there is none, now. */
static bool
give_up(struct async *self, struct entry *entry)
{
    struct weir_async *call = &self->calls[entry->call];
    if (self->given_up_cnt >= self->conf.capacity || self->free_call == ASYNC_NONE) {
        self->wants_call = true;
        return false;
    }
    struct weir_async *made = take_call(self);
    memcpy(made->row, call->row, call->row_bytes);
    made->row_bytes = call->row_bytes;
    made->attempt = call->attempt;
    made->entry = call->entry;
    entry->call = made->idx;
    call->is_given_up = true;
    self->given_up_cnt++;
    if (self->conf.function->cancel != NULL) {
        self->conf.function->cancel(self->client, call);
    }
    return true;
}

static int
time_out(struct async *self, struct entry *entry)
{
    const struct weir_async_function *function = self->conf.function;
    if (function->on_timeout == NULL) {
        return weir_err_push(WEIR_ETIMEOUT, "no answer within %lld ms, in %u attempts",
            (long long)(self->conf.timeout_ns / WEIR_MS), self->calls[entry->call].attempt + 1);
    }
    if (entry->state == ENTRY_ASKED && !give_up(self, entry)) {
        return 0;
    }
    struct weir_async *call = &self->calls[entry->call];
    weir_async_reset(call);
    entry->deadline_ns = INT64_MAX;
    int rc = WEIR_MUTANT(ASYNC_TIMED_OUT_LOST) ? 0 : function->on_timeout(self->client, call);
    if (rc < 0) {
        return weir_err_push(rc, "making up an answer that did not come in time");
    }
    make_ready(self, entry);
    return 0;
}

/* What is over its time, and what is to be asked again. */
static int
tick(struct async *self, int64_t now_ns)
{
    int rc = 0;
    if (now_ns < self->tick_ns) {
        return 0;
    }
    self->tick_ns = INT64_MAX;
    for (uint32_t i = self->head; i != ASYNC_NONE && rc == 0; i = self->entries[i].next) {
        struct entry *entry = &self->entries[i];
        bool is_open = entry->state == ENTRY_ASKED || entry->state == ENTRY_PAUSED;
        if (is_open && entry->deadline_ns <= now_ns) {
            rc = time_out(self, entry);
        } else if (entry->state == ENTRY_PAUSED && entry->again_ns <= now_ns) {
            rc = ask(self, entry, now_ns);
        }
        if (entry->state == ENTRY_PAUSED) {
            self->tick_ns = weir_min_i64(self->tick_ns, entry->again_ns);
        }
        if ((entry->state == ENTRY_ASKED || entry->state == ENTRY_PAUSED) &&
            entry->deadline_ns > now_ns) {
            self->tick_ns = weir_min_i64(self->tick_ns, entry->deadline_ns);
        }
    }
    return rc;
}

/* Restored rows are asked for in order, no more at a time than others. */
static bool
may_ask(const struct async *self)
{
    return self->queued_cnt > 0 && self->entry_cnt - self->queued_cnt < self->conf.capacity;
}

static int
ask_queued(struct async *self, int64_t now_ns)
{
    int rc = 0;
    for (uint32_t i = self->head; may_ask(self) && rc == 0; i = self->entries[i].next) {
        if (self->entries[i].state == ENTRY_QUEUED) {
            rc = ask(self, &self->entries[i], now_ns);
        }
    }
    return rc;
}

/* ---- putting out ---- */

/* The row whose answer goes on next, or ASYNC_NONE. */
static uint32_t
next_out(const struct async *self)
{
    if (!self->is_ordered) {
        return self->ready_head;
    }
    bool is_ready = self->head != ASYNC_NONE && self->entries[self->head].state == ENTRY_READY;
    return is_ready ? self->head : ASYNC_NONE;
}

static bool
can_emit(const struct async *self)
{
    return self->has_due || next_out(self) != ASYNC_NONE || self->status == WEIR_SLOT_ACTIVE ||
           (self->status == WEIR_SLOT_IDLE && self->head == ASYNC_NONE);
}

/* Rows of one answer. False: there is no room for the rest. */
static bool
emit_answer(struct async *self, uint32_t idx, struct weir_out *out)
{
    struct entry *entry = &self->entries[idx];
    const struct weir_async *call = &self->calls[entry->call];
    out->row_time = entry->time;
    out->row_kind = entry->kind;
    while (entry->emitted_cnt < call->row_cnt) {
        if (!weir_async_put(call, entry->emitted_cnt, out)) {
            self->partial = entry->emitted_cnt > 0 ? idx : ASYNC_NONE;
            return false;
        }
        entry->emitted_cnt++;
    }
    self->partial = ASYNC_NONE;
    if (!self->is_ordered) {
        self->ready_head = entry->next_ready;
        self->ready_tail = self->ready_head == ASYNC_NONE ? ASYNC_NONE : self->ready_tail;
    }
    remove_entry(self, idx);
    return true;
}

/* A batch's rows have one watermark before them, and one behind them at most. An idle stream counts
 * for nothing: what it says goes on once no answer is to come any more, and not before. */
static void
emit(struct async *self, struct weir_out *out)
{
    if (self->status == WEIR_SLOT_ACTIVE) {
        out->status = self->status;
        self->status = 0;
        return;
    }
    for (;;) {
        if (self->has_due) {
            self->has_due = false;
            weir_out_watermark(out, self->due);
            return;
        }
        uint32_t idx = next_out(self);
        if (idx == ASYNC_NONE) {
            out->status = self->head == ASYNC_NONE ? self->status : 0;
            self->status = self->head == ASYNC_NONE ? 0 : self->status;
            return;
        }
        const struct entry *entry = &self->entries[idx];
        if (out->view.row_cnt == 0) {
            out->view.watermark = entry->watermark;
            out->view.intended_ns = entry->intended_ns;
        } else if (out->view.watermark != entry->watermark) {
            return;
        }
        if (!emit_answer(self, idx, out)) {
            return;
        }
    }
}

/* What is due by now, and what can go on. */
static int
work(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct async *self = op->self;
    int rc = 1;
    for (uint32_t i = 0; i < self->call_cnt && rc > 0; i++) {
        rc = weir_mailbox_yield(op->env->mailbox, op->env->position, now_ns);
    }
    rc = rc < 0 ? rc : tick(self, now_ns);
    rc = rc != 0 ? rc : ask_queued(self, now_ns);
    if (rc == 0) {
        emit(self, out);
    }
    return rc;
}

/* ---- rows and events ---- */

static int
take_row(struct weir_operator *op, const struct weir_view *in, uint32_t i, int64_t now_ns)
{
    struct async *self = op->self;
    uint32_t row = weir_view_row(in, i);
    struct weir_async *call = take_call(self);
    int rc = weir_async_take_row(call, in, row, call->row_cap - op->in_schema[0]->row_bytes);
    if (rc != 0) {
        return rc;
    }
    struct entry *entry = append(self, call);
    entry->time = in->time != NULL ? weir_view_time(in, row) : WEIR_TIME_MIN;
    entry->kind = weir_view_kind(in, row);
    entry->watermark = in->watermark;
    entry->intended_ns = in->intended_ns;
    return ask(self, entry, now_ns);
}

static int64_t
async_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct async *self = op->self;
    uint32_t i = cursor;
    (void)input;
    int rc = work(op, out, now_ns);
    for (; rc == 0 && i < in->cnt && !is_full(self); i++) {
        rc = take_row(op, in, i, now_ns);
    }
    return rc != 0 ? rc : (int64_t)(i - cursor);
}

/* The last one says that nothing follows: it waits for all answers. */
static int
async_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct async *self = op->self;
    if (watermark == WEIR_WATERMARK_MAX) {
        self->status = 0;
    }
    int rc = work(op, out, now_ns);
    if (rc != 0) {
        return rc;
    }
    if (out->status != 0) {
        return WEIR_AGAIN; /* it goes on behind the watermark of the same call */
    }
    if (watermark == WEIR_WATERMARK_MAX) {
        return self->entry_cnt == 0 && !self->has_due && !out->watermark_set ? (int)WEIR_DONE
                                                                             : (int)WEIR_WAIT;
    }
    if (self->tail == ASYNC_NONE || WEIR_MUTANT(ASYNC_WATERMARK_OVERTAKES)) {
        weir_out_watermark(out, watermark);
    } else {
        hang_watermark(self, self->tail, watermark);
        self->segment++;
    }
    return WEIR_DONE;
}

static int
async_status(struct weir_operator *op, bool idle)
{
    struct async *self = op->self;
    self->status = idle == op->is_idle ? 0 : idle ? WEIR_SLOT_IDLE : WEIR_SLOT_ACTIVE;
    return 0;
}

static int64_t
async_due_ns(const struct weir_operator *op)
{
    const struct async *self = op->self;
    return can_emit(self) || may_ask(self) ? INT64_MIN : self->tick_ns;
}

static int
async_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    int rc = work(op, out, now_ns);
    return rc != 0 ? rc : async_due_ns(op) <= now_ns ? (int)WEIR_AGAIN : (int)WEIR_DONE;
}

/* Behind a savepoint that stops the job the rows are in it, and are asked for by who starts from
 * it. */
static int
async_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct async *self = op->self;
    if (op->is_saved) {
        return WEIR_DONE;
    }
    int rc = work(op, out, now_ns);
    bool is_over = self->entry_cnt == 0 && !self->has_due;
    return rc != 0 ? rc : is_over ? (int)WEIR_DONE : (int)WEIR_WAIT;
}

/* ---- checkpoints ---- */

/* An answer goes on as a whole, before the barrier or behind it, and so does a watermark. */
static int
async_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    struct async *self = op->self;
    (void)id;
    (void)now_ns;
    if (self->partial != ASYNC_NONE) {
        const struct entry *entry = &self->entries[self->partial];
        out->view.watermark = entry->watermark;
        out->view.intended_ns = entry->intended_ns;
        if (!emit_answer(self, self->partial, out)) {
            return WEIR_AGAIN;
        }
    }
    if (self->has_due) {
        self->has_due = false;
        weir_out_watermark(out, self->due);
    }
    return WEIR_DONE;
}

static int
async_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct async *self = op->self;
    uint64_t schema = weir_schema_fingerprint(op->in_schema[0]);
    (void)id;
    uint32_t lost_cnt = WEIR_MUTANT(ASYNC_FLYING_LOST) && self->entry_cnt > 0;
    weir_state_list_begin(parts, PART, PART_VERSION, self->entry_cnt - lost_cnt);
    for (uint32_t i = self->head; i != ASYNC_NONE; i = self->entries[i].next) {
        if (lost_cnt > 0 && i == self->tail) {
            break;
        }
        const struct entry *entry = &self->entries[i];
        const struct weir_async *call = &self->calls[entry->call];
        const struct async_saved saved = {schema, entry->time, entry->watermark, entry->kind};
        weir_state_item(parts, sizeof saved + call->row_bytes);
        weir_parts_put(parts, &saved, sizeof saved);
        weir_parts_put(parts, call->row, call->row_bytes);
    }
    weir_state_list_end(parts);
    return 0;
}

/* Whether the texts of a row lie behind it, as weir_async_take_row() lays them. */
static bool
is_whole(const struct weir_async *call, const struct weir_schema *schema)
{
    uint64_t at = schema->row_bytes;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_str *str = (const void *)(call->row + schema->fields[f].off);
        if (schema->fields[f].type == WEIR_TYPE_STR && str->bytes > WEIR_STR_INLINE_BYTES) {
            if (str->u.off != at) {
                return false;
            }
            at += str->bytes;
        }
    }
    return at == call->row_bytes;
}

static int
restore_row(struct weir_operator *op, struct weir_part *item)
{
    struct async *self = op->self;
    const struct weir_schema *schema = op->in_schema[0];
    struct weir_async *call = take_call(self);
    struct async_saved saved;
    int rc = weir_part_get(item, &saved, sizeof saved);
    if (rc != 0) {
        return rc;
    }
    if (saved.schema != weir_schema_fingerprint(schema)) {
        return weir_err_push(WEIR_ESTATE,
            "rows were on their way with other fields than schema %s has now; let the job finish "
            "them first (weir stop --drain)",
            schema->name);
    }
    call->row_bytes = item->bytes - item->at;
    if (call->row_bytes < schema->row_bytes || call->row_bytes > call->row_cap) {
        return weir_err_push(WEIR_ESTATE, "a row on its way has %u bytes; text_bytes allows %u",
            call->row_bytes, call->row_cap);
    }
    rc = weir_part_get(item, call->row, call->row_bytes);
    if (rc == 0 && !is_whole(call, schema)) {
        rc = weir_err_push(WEIR_EDATA, "a row on its way is damaged");
    }
    if (rc == 0) {
        struct entry *entry = append(self, call);
        entry->time = saved.time;
        entry->kind = (uint32_t)saved.kind;
        entry->watermark = saved.watermark;
        entry->state = ENTRY_QUEUED;
        self->queued_cnt++;
    }
    return rc;
}

static int
async_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct async *self = op->self;
    struct weir_state_list list;
    struct weir_part item;
    uint32_t cnt = 0;
    int rc;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = PART;
    list.version_max = PART_VERSION;
    struct weir_state_list counted = list;
    while ((rc = weir_state_list_next(&counted, &item)) > 0) {
        cnt++;
    }
    if (rc == 0 && cnt > self->conf.capacity) {
        free_room(self);
        rc = make_room(op, cnt);
    }
    for (uint32_t i = 0; i < cnt && rc == 0; i++) {
        rc = weir_state_list_next(&list, &item);
        rc = rc < 0 ? rc : restore_row(op, &item);
    }
    if (rc == 0 && cnt > 0 && op->watermark != WEIR_TIME_MIN) {
        hang_watermark(self, self->tail, op->watermark);
        self->segment++;
    }
    return rc;
}

static const struct weir_state_part async_parts[] = {{PART, WEIR_STATE_PART_LIST, 0}};

#define ASYNC_CALLS                                                                                \
    .self_bytes = sizeof(struct async), .input_cnt = 1, .output_cnt = 1, .keeps_watermarks = true, \
    .open = async_open, .process = async_process, .watermark = async_watermark,                    \
    .status = async_status, .finish = async_finish, .close = async_close,                          \
    .barrier = async_barrier, .snapshot = async_snapshot, .restore = async_restore,                \
    .parts = async_parts, .part_cnt = 1, .has_threads = weir_async_has_threads,                    \
    .due_ns = async_due_ns, .timer = async_timer, .letters = weir_async_letters

const struct weir_operator_type weir_async_type = {
    .name = "async", .changes = WEIR_CHANGES_PASSED, ASYNC_CALLS};
const struct weir_operator_type weir_async_unordered_type = {
    .name = "async unordered", .changes = WEIR_CHANGES_REFUSED, ASYNC_CALLS};
