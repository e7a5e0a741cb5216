/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of each key for themselves: here rows find their windows.
 *
 *     sessions, gap 10 s:   (a 00:01) (a 00:09) (a 00:30) watermark 00:20   ->   (a 00:01 00:19 2)
 *
 * State: an entry a key and window (general_priv.h), timers of event and of host time (timer.h), a
 * list of rows where they are wanted (kindset.h). All of it lies in state pages.
 *
 * Rows are worked on in blocks: windows, keys, lookups; then the trigger is shown the rows up to
 * the first that makes it fire, which are added together, and the window fires; and so on. Of a
 * trigger that does not look at rows that is one loop a block.
 *
 * A row whose window finds no room when it fires is the first of the next call: what was done of it
 * is remembered (struct general_resume) and not done again. No barrier comes in between.
 *
 * Whether a row is late: the watermark of its channel says so, as in window.c. Whether a window
 * fires at once, because the watermark is behind it: what has fired here.
 *
 * Watermarks: first what they make due, then they are passed on.
 * Checkpoints: general_state.c.
 */
#include "dataplane/operators/general.h"

#include <stdlib.h>

#include "base/check.h"
#include "dataplane/operators/general_priv.h"

__extension__ typedef __int128 wide;

/* ---- plan ---- */

static int
check_span(const struct weir_general_conf *conf)
{
    const struct weir_general_span *span = &conf->span;
    bool is_global = span->kind == WEIR_GENERAL_GLOBAL;
    if (span->kind >= WEIR_GENERAL_KIND_CNT || (is_global && span->by_clock)) {
        return weir_err_push(WEIR_EGRAPH, "there are no such windows");
    }
    if (!is_global && (span->size_ms <= 0 || span->slide_ms <= 0)) {
        return weir_err_push(WEIR_EGRAPH,
            "windows of %lld ms and %lld ms: both must be greater than 0", (long long)span->size_ms,
            (long long)span->slide_ms);
    }
    bool is_many = span->kind == WEIR_GENERAL_ALIGNED || span->kind == WEIR_GENERAL_CUMULATING;
    if (span->kind == WEIR_GENERAL_CUMULATING && span->size_ms % span->slide_ms != 0) {
        return weir_err_push(WEIR_EGRAPH, "windows that grow by %lld ms never have %lld ms",
            (long long)span->slide_ms, (long long)span->size_ms);
    }
    if (is_many && (span->size_ms - 1) / span->slide_ms >= WEIR_GENERAL_WINDOW_CNT_MAX) {
        return weir_err_push(
            WEIR_EGRAPH, "a row would be in more than %d windows", WEIR_GENERAL_WINDOW_CNT_MAX);
    }
    if (conf->lateness_ms < 0 || (conf->lateness_ms > 0 && (is_global || span->by_clock))) {
        return weir_err_push(WEIR_EGRAPH,
            "an allowed lateness of %lld ms: it is not negative, and of event time",
            (long long)conf->lateness_ms);
    }
    return 0;
}

/* Whether there are timers of host time. */
static bool
has_clock(const struct weir_general_conf *conf)
{
    return conf->span.by_clock || conf->trigger.kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK ||
           conf->trigger.kind == WEIR_TRIGGER_OWN;
}

/* A field that holds a whole number. */
static int
whole_field(const struct weir_schema *schema, const char *name, const struct weir_field **ret_field)
{
    int idx = name != NULL ? weir_schema_field(schema, name) : -1;
    const struct weir_field *field = idx >= 0 ? &schema->fields[idx] : NULL;
    if (field == NULL || field->nullable || field->type == WEIR_TYPE_STR ||
        field->type == WEIR_TYPE_F64 || field->type == WEIR_TYPE_BOOL) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s is no whole number",
            name != NULL ? name : "(none)", schema->name);
    }
    *ret_field = field;
    return 0;
}

static int
plan_trigger(
    struct general_plan *plan, const struct weir_general_conf *conf, const struct weir_schema *in)
{
    static const uint32_t word_cnt[WEIR_TRIGGER_KIND_CNT] = {[WEIR_TRIGGER_COUNT] = 1,
        [WEIR_TRIGGER_CONTINUOUS] = 1,
        [WEIR_TRIGGER_CONTINUOUS_BY_CLOCK] = 1,
        [WEIR_TRIGGER_DELTA] = 2,
        [WEIR_TRIGGER_OWN] = GENERAL_WORD_CNT_MAX};
    const struct weir_trigger *trigger = &conf->trigger;
    bool by_clock = conf->span.by_clock;
    if (trigger->kind >= WEIR_TRIGGER_KIND_CNT ||
        (trigger->kind == WEIR_TRIGGER_OWN && (trigger->own == NULL || !trigger->own->on_row))) {
        return weir_err_push(WEIR_EGRAPH, "there is no such trigger");
    }
    if (trigger->every <= 0 && trigger->kind >= WEIR_TRIGGER_COUNT &&
        trigger->kind < WEIR_TRIGGER_DELTA) {
        return weir_err_push(WEIR_EGRAPH, "a trigger every %lld", (long long)trigger->every);
    }
    if (trigger->kind == WEIR_TRIGGER_CONTINUOUS && by_clock) {
        return weir_err_push(
            WEIR_EGRAPH, "windows by the clock fire by the clock, and not in event time");
    }
    bool merges = trigger->kind == WEIR_TRIGGER_OWN ? trigger->own->on_merge != NULL
                                                    : trigger->kind != WEIR_TRIGGER_DELTA;
    if (plan->is_session && !merges) {
        return weir_err_push(
            WEIR_EGRAPH, "sessions merge, and this trigger does not know what becomes of it then");
    }
    plan->word_cnt = word_cnt[trigger->kind];
    plan->fires_at_end =
        trigger->kind == WEIR_TRIGGER_AT_END || trigger->kind == WEIR_TRIGGER_CONTINUOUS;
    plan->has_clock = has_clock(conf);
    return trigger->kind == WEIR_TRIGGER_DELTA ? whole_field(in, trigger->field, &plan->delta) : 0;
}

static int
plan_result(struct general_plan *plan, const struct weir_general_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out)
{
    static const struct weir_field count = {.name = "count", .type = WEIR_TYPE_I64, .bytes = 8};
    const struct weir_window_function *function = conf->function;
    struct weir_aggregate *agg = &plan->agg;
    const struct weir_field *rest = NULL;
    int err = weir_window_fill_init(&plan->fill, &plan->keyed, conf->key_as, out);
    if (err == 0 && function == NULL) {
        if (agg->name == NULL) {
            return weir_err_push(WEIR_EGRAPH, "windows without an aggregate need a function");
        }
        err = weir_window_fill_rest(&plan->fill, agg, out, &rest);
        err = err < 0 ? err : weir_aggregate_check_out(agg, out);
        return err < 0 ? err : weir_aggregate_resolve(agg, in, rest);
    }
    if (err == 0 && agg->name != NULL && agg->kind != WEIR_AGGREGATE_OWN &&
        agg->kind != WEIR_AGGREGATE_COUNT) {
        return weir_err_push(WEIR_EGRAPH,
            "the function %s takes an aggregate of one's own, or a count, and not a %s",
            function->name, agg->name);
    }
    if (err == 0 && agg->name != NULL) {
        err = weir_aggregate_resolve(agg, in, &count);
    }
    if (err == 0 &&
        weir_schema_fingerprint(out) != weir_schema_fingerprint(function->out_schema())) {
        err = weir_err_push(WEIR_EGRAPH, "the output is %s, the function %s makes %s", out->name,
            function->name, function->out_schema()->name);
    }
    return err < 0 ? err : weir_kindset_check(function->kinds, function->kind_cnt);
}

static int
plan_init(struct general_plan *plan, const struct weir_general_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out, const struct weir_arena *arena)
{
    memset(plan, 0, sizeof *plan);
    plan->agg = conf->aggregate;
    plan->is_session = conf->span.kind == WEIR_GENERAL_SESSIONS;
    plan->keeps_rows = weir_general_keeps_rows(conf);
    int err = check_span(conf);
    if (err == 0 && conf->key.field_cnt == 0) {
        err = weir_err_push(WEIR_EGRAPH, "windows of each key for themselves need a key");
    }
    err = err < 0 ? err : weir_keyed_init(&plan->keyed, &conf->key, in, arena);
    err = err < 0 ? err : plan_trigger(plan, conf, in);
    err = err < 0 ? err : plan_result(plan, conf, in, out);
    if (err == 0 && (conf->evictor.kind >= WEIR_EVICTOR_KIND_CNT || conf->evictor.keep < 0)) {
        err = weir_err_push(WEIR_EGRAPH, "there is no such evictor");
    }
    if (err == 0 && conf->evictor.kind == WEIR_EVICTOR_DELTA) {
        err = whole_field(in, conf->evictor.field, &plan->evict);
    }
    if (err == 0 && conf->function != NULL &&
        conf->function->kind_cnt + plan->keeps_rows > WEIR_KIND_CNT_MAX) {
        err = weir_err_push(WEIR_EGRAPH, "the function %s declares %u states: at most %d",
            conf->function->name, conf->function->kind_cnt, WEIR_KIND_CNT_MAX - 1);
    }
    plan->acc_bytes = plan->agg.name != NULL ? (uint32_t)weir_align_up(plan->agg.acc_bytes, 8) : 0;
    if (err == 0 && plan->acc_bytes > WEIR_GENERAL_ACC_BYTES_MAX) {
        err = weir_err_push(WEIR_EGRAPH, "%s keeps %u bytes: at most %d", plan->agg.name,
            plan->agg.acc_bytes, WEIR_GENERAL_ACC_BYTES_MAX);
    }
    plan->val_bytes = plan->acc_bytes + (uint32_t)sizeof(struct general_slot) +
                      plan->word_cnt * (uint32_t)sizeof(int64_t);
    return err;
}
WEIR_STATIC_ASSERT(WEIR_GENERAL_ACC_BYTES_MAX + sizeof(struct general_slot) +
                           GENERAL_WORD_CNT_MAX * sizeof(int64_t) <=
                       WEIR_TABLE_VAL_BYTES_MAX,
    "a window fits into an entry");

int
weir_general_check(const struct weir_general_conf *conf, const struct weir_schema *in_schema,
    const struct weir_schema *out_schema)
{
    struct general_plan plan;
    return plan_init(&plan, conf, in_schema, out_schema, NULL);
}

int
weir_general_plan_of(const struct weir_operator *op, struct general_plan *ret_plan)
{
    return plan_init(ret_plan, op->conf, op->in_schema[0], op->out_schema[0], NULL);
}

/* ---- open ---- */

static int
open_timers(struct weir_operator *op, const char *name, struct weir_timers *timers)
{
    struct general_self *self = op->self;
    const struct weir_table_spec spec = weir_timers_spec(self->plan.keyed.kind);
    struct weir_table *table;
    int err = weir_state_take(op, name, &spec, 0, &table);
    return err < 0 ? err : weir_timers_adopt(timers, table);
}

static int
open_tables(struct weir_operator *op)
{
    struct general_self *self = op->self;
    const struct general_plan *plan = &self->plan;
    struct weir_table_spec spec = {0, plan->keyed.kind, plan->val_bytes, plan->is_session ? 0 : 1};
    int err = weir_state_take(op, GENERAL_WINDOWS, &spec, 0, &self->table);
    if (err == 0 && plan->is_session) {
        spec.tail_cnt = 1;
        err = weir_state_take(op, GENERAL_SESSIONS, &spec, 0, &self->more);
    }
    err = err < 0 ? err : open_timers(op, GENERAL_TIMERS, &self->timers);
    if (err == 0 && plan->has_clock) {
        err = open_timers(op, GENERAL_CLOCKS, &self->clocks);
    }
    uint32_t kind_cnt = 0;
    if (plan->keeps_rows) {
        self->kind[kind_cnt++] = weir_general_rows_kind;
    }
    for (uint32_t i = 0; self->conf->function != NULL && i < self->conf->function->kind_cnt; i++) {
        self->kind[kind_cnt++] = self->conf->function->kinds[i];
    }
    return err < 0 ? err : weir_kindset_open(&self->kinds, op, &plan->keyed, self->kind, kind_cnt);
}

static int
general_open(struct weir_operator *op)
{
    struct general_self *self = op->self;
    struct weir_arena *arena = op->env->arena;
    if (arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "windows were given no state pages");
    }
    self->conf = op->conf;
    self->in_schema = op->in_schema[0];
    self->frontier = WEIR_TIME_MIN;
    int err = plan_init(&self->plan, self->conf, op->in_schema[0], op->out_schema[0], arena);
    return err < 0 ? err : open_tables(op);
}

static int
general_close(struct weir_operator *op, bool clean)
{
    struct general_self *self = op->self;
    (void)clean;
    weir_keyed_rows_fini(&self->rows);
    weir_keyed_rows_fini(&self->one);
    weir_kindset_close(&self->kinds);
    free(self->row_room.mem);
    free(self->col_room.mem);
    memset(&self->row_room, 0, sizeof self->row_room);
    memset(&self->col_room, 0, sizeof self->col_room);
    return 0;
}

/* ---- windows ---- */

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
        return (int64_t)a / b - ((int64_t)a % b < 0 ? 1 : 0);
    }
    return a / b - (a % b < 0 ? 1 : 0);
}

static bool
is_over(const struct general_self *self, int64_t last_ms)
{
    const struct weir_general_span *span = &self->conf->span;
    return !span->by_clock && span->kind != WEIR_GENERAL_GLOBAL &&
           general_cleanup_ms(self, last_ms) <= self->watermark;
}

/* A pair of row i with a window, unless that is over. */
static void
pair_add(
    struct general_self *self, const struct general_block *block, uint32_t i, wide start, wide end)
{
    struct general_pairs *pairs = &self->pairs;
    int64_t until = clamp(end);
    if (is_over(self, self->conf->span.kind == WEIR_GENERAL_GLOBAL ? INT64_MAX : until - 1)) {
        return;
    }
    uint32_t at = pairs->cnt++;
    struct general_key key = general_key_of(&self->rows, i);
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t);
    uint64_t *word = &pairs->word[at * (words + 1)];
    pairs->at[at] = (uint8_t)i;
    pairs->sel[at] = (uint16_t)weir_view_row(block->view, block->from + i);
    pairs->start[at] = clamp(start);
    pairs->end[at] = until;
    /* Not clamped: windows that end beyond the end of time are still several. */
    pairs->id[at] = (int64_t)(uint64_t)end;
    pairs->hash[at] = key.hash;
    memcpy(word, key.key, words * sizeof *word);
    word[words] = (uint64_t)pairs->id[at];
}

static void
pairs_of_row(struct general_self *self, const struct general_block *block, uint32_t i, int64_t time)
{
    const struct weir_general_span *span = &self->conf->span;
    if (span->kind == WEIR_GENERAL_GLOBAL) {
        pair_add(self, block, i, INT64_MIN, INT64_MAX);
        return;
    }
    wide since = (wide)time - span->offset_ms;
    if (span->kind == WEIR_GENERAL_CUMULATING) {
        wide first = floor_div(since, span->size_ms) * span->size_ms;
        wide end = (floor_div(since, span->slide_ms) + 1) * span->slide_ms;
        for (; end <= first + span->size_ms; end += span->slide_ms) {
            pair_add(self, block, i, first + span->offset_ms, end + span->offset_ms);
        }
        return;
    }
    wide start = floor_div(since, span->slide_ms) * span->slide_ms;
    for (; start + span->size_ms > since; start -= span->slide_ms) {
        pair_add(self, block, i, start + span->offset_ms, start + span->size_ms + span->offset_ms);
    }
}

int
weir_general_begin(
    struct general_self *self, struct general_key key, void *val, struct general_bounds bounds)
{
    const struct general_plan *plan = &self->plan;
    struct general_slot *slot = general_slot_of(self, val);
    uint32_t kind = self->conf->trigger.kind;
    slot->start = bounds.start;
    slot->end = bounds.end;
    slot->id = bounds.id;
    slot->timer = INT64_MAX;
    if (kind == WEIR_TRIGGER_CONTINUOUS || kind == WEIR_TRIGGER_CONTINUOUS_BY_CLOCK) {
        slot->word[0] = GENERAL_NEVER;
    }
    if (plan->agg.name != NULL && plan->agg.init != NULL) {
        plan->agg.init(&plan->agg, &val, 1);
    }
    return weir_general_timer_lower(self, key, slot);
}

void
weir_general_purge(struct general_self *self, struct general_key key, void *val)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct general_slot *slot = general_slot_of(self, val);
    memset(val, 0, self->plan.acc_bytes);
    if (agg->name != NULL && agg->init != NULL) {
        agg->init(agg, &val, 1);
    }
    slot->row_cnt = 0;
    if (self->plan.keeps_rows) {
        weir_state_clear(general_rows_of(self, key, slot->id));
    }
}

void *
weir_general_find(struct general_self *self, struct general_key key, int64_t id, uint32_t *ret_idx)
{
    *ret_idx = 0;
    if (self->plan.is_session) {
        return weir_general_session_find(self, key, id, ret_idx);
    }
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    general_key_tailed(self, key, (uint64_t)id, word);
    return weir_table_find(self->table, key.hash, word, key.heap);
}

void
weir_general_drop(struct general_self *self, struct general_key key, void *val, uint32_t idx)
{
    struct general_slot *slot = general_slot_of(self, val);
    weir_general_trigger_clear(self, key, slot);
    if (self->plan.keeps_rows) {
        weir_state_clear(general_rows_of(self, key, slot->id));
    }
    if (self->plan.is_session) {
        weir_general_session_drop(self, key, idx);
        return;
    }
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    general_key_tailed(self, key, (uint64_t)slot->id, word);
    (void)weir_table_delete(self->table, key.hash, word, key.heap);
}

/* ---- rows in ---- */

/* Rows of pairs [at, end) into their windows. */
static int
add_rows(struct general_self *self, const struct general_block *block, uint32_t at, uint32_t end)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct general_pairs *pairs = &self->pairs;
    if (agg->name != NULL && self->conf->evictor.kind == WEIR_EVICTOR_NONE) {
        struct weir_view view = *block->view;
        view.sel = pairs->sel;
        view.cnt = pairs->cnt;
        struct weir_aggregate_rows rows = {&view, at, end - at};
        agg->update(agg, pairs->val + at, &rows);
    }
    for (uint32_t p = at; p < end && self->plan.keeps_rows; p++) {
        struct general_key key = general_key_of(&self->rows, pairs->at[p]);
        const struct general_slot *slot = general_slot_of(self, pairs->val[p]);
        int64_t time = weir_general_time(self, block->view, block->from + pairs->at[p]);
        int err = weir_general_row_keep(
            self, block->view, pairs->sel[p], time, general_rows_of(self, key, slot->id));
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* What the trigger has decided about the window of pair p. */
static int
carry_out(struct general_self *self, struct general_block *block, uint32_t p, int decision)
{
    struct general_pairs *pairs = &self->pairs;
    struct general_key key = general_key_of(&self->rows, pairs->at[p]);
    if ((decision & WEIR_TRIGGER_FIRE) != 0) {
        int step = weir_general_fire(self, key, pairs->val[p], block->out);
        if (step != WEIR_DONE) {
            return step;
        }
    }
    if ((decision & WEIR_TRIGGER_PURGE) != 0) {
        weir_general_purge(self, key, pairs->val[p]);
    }
    return WEIR_DONE;
}

int
weir_general_run(struct general_self *self, struct general_block *block, uint32_t at)
{
    struct general_pairs *pairs = &self->pairs;
    struct general_resume *resume = &self->resume;
    if (at == pairs->cnt) {
        return GENERAL_BLOCK;
    }
    bool resumes = resume->pair_cnt > 0;
    int decision = resume->decision;
    uint32_t hit = at + resume->pair_cnt - 1;
    WEIR_DCHECK(!resumes || (at == 0 && resume->pair_cnt <= pairs->cnt), "another row comes again");
    while (at < pairs->cnt) {
        if (!resumes) {
            int shown = weir_general_shown(self, block, at, &decision);
            if (shown < 0) {
                return shown;
            }
            hit = (uint32_t)shown;
            int err = add_rows(self, block, at, weir_min_u32(hit + 1, pairs->cnt));
            if (err < 0) {
                return err;
            }
        }
        resumes = false;
        int step = hit < pairs->cnt ? carry_out(self, block, hit, decision) : (int)WEIR_DONE;
        if (step < 0 && step != WEIR_AGAIN) {
            return step;
        }
        resume->pair_cnt = 0;
        if (step == WEIR_AGAIN) {
            for (uint32_t p = hit; pairs->at[p] == pairs->at[hit]; p--) {
                resume->pair_cnt++;
                if (p == 0) {
                    break;
                }
            }
            resume->decision = decision;
            resume->now_ms = self->now_ms;
            return pairs->at[hit];
        }
        at = hit + 1;
    }
    return GENERAL_BLOCK;
}

/* The entries of pairs from `at` on; new ones begin. Returns how many. */
static int
resolve(struct general_self *self, uint32_t at)
{
    struct general_pairs *pairs = &self->pairs;
    uint32_t words = self->plan.keyed.stride / (uint32_t)sizeof(uint64_t) + 1;
    struct weir_table_rows rows = {.hash = pairs->hash,
        .key = (const char *)pairs->word,
        .heap = self->rows.rows.heap,
        .key_stride = words * (uint32_t)sizeof(uint64_t),
        .cnt = pairs->cnt,
        .ret_val = pairs->val,
        .ret_made = pairs->made};
    int got = weir_table_resolve(self->table, &rows, at);
    for (uint32_t m = 0; m < rows.made_cnt && got > 0; m++) {
        uint32_t p = pairs->made[m];
        const struct general_bounds bounds = {pairs->start[p], pairs->end[p], pairs->id[p]};
        int err = weir_general_begin(
            self, general_key_of(&self->rows, pairs->at[p]), pairs->val[p], bounds);
        got = err < 0 ? err : got;
    }
    return got;
}

/* As many rows of a block as have room for their windows among the pairs. */
static int
add_aligned(struct general_self *self, struct general_block *block)
{
    struct general_pairs *pairs = &self->pairs;
    const struct weir_general_span *span = &self->conf->span;
    pairs->cnt = 0;
    for (uint32_t i = 0; i < block->cnt; i++) {
        uint32_t before = pairs->cnt;
        int64_t time = weir_general_time(self, block->view, block->from + i);
        pairs_of_row(self, block, i, time);
        if (pairs->cnt == before && !span->by_clock &&
            general_cleanup_ms(self, time) <= self->watermark) {
            weir_general_late(block, i);
        }
    }
    uint32_t all = pairs->cnt;
    for (uint32_t at = 0; at < all;) {
        int got = resolve(self, at);
        if (got < 0) {
            return got;
        }
        pairs->cnt = at + (uint32_t)got;
        int done = weir_general_run(self, block, at);
        if (done != GENERAL_BLOCK) {
            return done;
        }
        at = pairs->cnt;
        pairs->cnt = all;
    }
    return GENERAL_BLOCK;
}

/* Up to a block of rows from `from` on. Returns how many are done, fewer than *ret_cnt where there
 * is no room. */
static int
add_block(struct general_self *self, struct general_block *block)
{
    const struct weir_general_span *span = &self->conf->span;
    bool is_many = span->kind == WEIR_GENERAL_ALIGNED || span->kind == WEIR_GENERAL_CUMULATING;
    int64_t per_row = is_many ? (span->size_ms - 1) / span->slide_ms + 1 : 1;
    uint32_t cnt = weir_min_u32(
        block->view->cnt - block->from, (uint32_t)(GENERAL_BLOCK / weir_max_i64(per_row, 1)));
    int loaded = weir_keyed_load(&self->plan.keyed, block->view, block->from, cnt, &self->rows);
    if (loaded < 0) {
        return loaded;
    }
    block->cnt = (uint32_t)loaded;
    block->late_first = block->late_cnt;
    int done =
        self->plan.is_session ? weir_general_sessions(self, block) : add_aligned(self, block);
    if (done < 0) {
        return done;
    }
    done = done == GENERAL_BLOCK ? loaded : done;
    while (block->late_cnt > block->late_first &&
           block->late_at[block->late_cnt - 1 - block->late_first] >= (uint32_t)done) {
        block->late_cnt--;
    }
    return done;
}

static int64_t
general_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct general_self *self = op->self;
    struct general_block block = {.view = in, .out = &out[0], .late_sel = out[1].sel_buf};
    const struct weir_general_span *span = &self->conf->span;
    (void)input;
    if (in->time == NULL && !span->by_clock && span->kind != WEIR_GENERAL_GLOBAL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to put them into windows");
    }
    self->watermark = weir_max_i64(in->watermark, self->frontier);
    self->now_ms =
        self->resume.pair_cnt > 0 ? self->resume.now_ms : weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms;
    int step = weir_general_timer_finish(self, &out[0]);
    if (step != WEIR_DONE) {
        return step < 0 ? step : 0;
    }
    uint32_t at = cursor;
    while (at < in->cnt) {
        block.from = at;
        int done = add_block(self, &block);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        if ((uint32_t)done < block.cnt) {
            break;
        }
    }
    if (block.late_cnt > 0) {
        op->rows_late += block.late_cnt;
        weir_out_pass(&out[1], in, block.late_cnt);
    }
    return at - cursor;
}

/* ---- time ---- */

/* What a call that fires timers returns, once they are counted. */
static int
fired(struct weir_operator *op, int step)
{
    const struct general_self *self = op->self;
    op->timers_fired = self->timers.fired_cnt + self->clocks.fired_cnt;
    return step;
}

static int
general_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct general_self *self = op->self;
    if (watermark <= self->frontier) {
        return WEIR_DONE; /* told again behind a restart: timers set for times before wait, too */
    }
    self->now_ms = weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms;
    self->watermark = watermark;
    int step = weir_general_timer_finish(self, &out[0]);
    step = step == WEIR_DONE ? weir_general_timers(self, false, watermark, &out[0]) : step;
    if (step == WEIR_DONE) {
        self->frontier = watermark;
    }
    return fired(op, step);
}

static bool
general_keeps_time(const struct weir_operator *op)
{
    return has_clock(op->conf);
}

/* Of a window by the clock the last millisecond is over before it fires: a row that still comes in
 * it would open the window once more. */
static int64_t
clock_lag_ms(const struct general_self *self)
{
    return self->conf->span.by_clock ? 1 : 0;
}

static int64_t
general_due_ns(const struct weir_operator *op)
{
    const struct general_self *self = op->self;
    int64_t next = self->plan.has_clock ? weir_timers_next_time(&self->clocks) : INT64_MAX;
    return next == INT64_MAX ? INT64_MAX
                             : weir_operator_due_ns(op, weir_add_sat(next, clock_lag_ms(self)));
}

static int
general_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct general_self *self = op->self;
    self->now_ms = weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms;
    self->watermark = self->frontier;
    int64_t up_to = weir_sub_sat(self->now_ms, clock_lag_ms(self));
    return fired(op, weir_general_timers(self, true, up_to, &out[0]));
}

/* A barrier may come between two slices of timer(), and finds nothing half done. */
static int
general_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    (void)id;
    (void)now_ns;
    return weir_general_timer_finish(op->self, &out[0]);
}

/* Windows by the clock that are open fire: what has come is not lost with the end of the input. */
static int
general_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct general_self *self = op->self;
    if (!self->conf->span.by_clock) {
        return WEIR_DONE;
    }
    self->now_ms = weir_operator_utc_ms(op, now_ns);
    self->kinds.now_ms = self->now_ms;
    self->is_over = true;
    return fired(op, weir_general_timers(self, true, INT64_MAX, &out[0]));
}

const struct weir_operator_type weir_general_type = {
    .name = "general",
    .self_bytes = sizeof(struct general_self),
    .input_cnt = 1,
    .output_cnt = 2,
    .open = general_open,
    .process = general_process,
    .watermark = general_watermark,
    .finish = general_finish,
    .close = general_close,
    .barrier = general_barrier,
    .snapshot = weir_general_snapshot,
    .restore = weir_general_restore,
    .states = weir_general_states,
    .state_cnt = GENERAL_STATE_CNT,
    .conf_state = weir_general_conf_state,
    .parts = weir_general_parts,
    .part_cnt = GENERAL_PART_CNT,
    .due_ns = general_due_ns,
    .timer = general_timer,
    .keeps_time = general_keeps_time,
};
