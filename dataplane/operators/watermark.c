/* SPDX-License-Identifier: Apache-2.0 */
/* Sets the watermark to the greatest event time so far less a fixed lag, or to what a function of
 * the user's says, and passes every record.
 *
 *     lag 4 s:   12:00:00  12:00:07  12:00:05   ->   ... watermark 12:00:03
 *
 * State: the greatest time so far (of a function: the greatest watermark, and its own). Watermarks
 * from above end here, but for the MAX one. Behind an input that is idle none is put out.
 *
 * Whether a record is late must not depend on how records fall into batches. A watermark after
 * every record would settle that and cost everything. It is enough to tell the exact watermark
 * before each record that lies at or right behind it: any other record is on time under this
 * watermark and under every older one, and can touch no session that it closes. So a batch is split
 * only in front of such a record, and that is rare. Where nobody further down has sessions or
 * timers, records right behind it do not count: with a lag of 0 that may be every record.
 *
 * An interval in processing time (watermark.interval) holds other watermarks back, and changes no
 * answer for that reason.
 *
 * Source: Flink's BoundedOutOfOrdernessWatermarks, whose answer depends on a 200 ms wall clock, and
 * WatermarksWithIdleness.
 */
#include "dataplane/operators/watermark.h"

#include "dataplane/alignment.h"
#include "dataplane/state.h"

struct self {
    struct weir_watermarker marker; /* of a function, max_ms is the greatest watermark */
    int64_t state[WEIR_WATERMARK_STATE_BYTES_MAX / sizeof(int64_t)]; /* of the function */
    int64_t row_ns; /* when a row came last; or the operator was first asked */
};

void
weir_watermarker_init(struct weir_watermarker *self, const struct weir_operator_env *env)
{
    self->max_ms = WEIR_TIME_MIN;
    self->told_ms = WEIR_TIME_MIN;
    self->time_unused = env->time_unused;
    self->touch_ms = env->only_lateness ? 0 : WEIR_WATERMARK_TOUCH_MS;
    self->interval_ns = env->watermark_interval_ns;
    self->now_ns = 0;
    self->told_ns = 0;
}

int
weir_watermark_check(const struct weir_watermark_conf *conf, const struct weir_schema *in_schema)
{
    if (conf->lag_ms < 0 || conf->idle_ms < 0 || conf->drift_ms < 0) {
        return weir_err_push(
            WEIR_EGRAPH, "a lag, a drift and a time to be idle after are not below zero");
    }
    if (conf->function != NULL && weir_schema_fingerprint(in_schema) !=
                                      weir_schema_fingerprint(conf->function->in_schema())) {
        return weir_err_push(WEIR_EGRAPH, "the input is %s, the function %s takes %s",
            in_schema->name, conf->function->name, conf->function->in_schema()->name);
    }
    return 0;
}

static int
watermark_open(struct weir_operator *op)
{
    struct self *self = op->self;
    weir_watermarker_init(&self->marker, op->env);
    self->row_ns = INT64_MIN;
    return weir_watermark_check(op->conf, op->in_schema[0]);
}

/* The watermark once the greatest time is this: never the MAX one, which says that no record
 * follows. */
static int64_t
exact_ms(int64_t max_ms, const struct weir_watermark_conf *conf)
{
    int64_t lag_ms = conf->function != NULL ? 0 : conf->lag_ms;
    return weir_min_i64(weir_sub_sat(max_ms, lag_ms), WEIR_WATERMARK_MAX - 1);
}

/* Event times of the rows from `from` on. A source that read them anyway has told. Where no time is
 * used, those of the last row will do: all rows are on time then, and the watermark is no greater
 * than it might be. */
static void
span(const struct weir_watermarker *self, const struct weir_view *in, uint32_t from,
    int64_t *ret_min, int64_t *ret_max)
{
    if (self->time_unused) {
        *ret_max = weir_view_time(in, weir_view_row(in, in->cnt - 1));
        *ret_min = INT64_MAX;
    } else if (from == 0 && (in->flags & WEIR_BATCH_TIME_EXACT) != 0) {
        *ret_min = in->time_min;
        *ret_max = in->time_max;
    } else {
        weir_view_span(in, from, in->cnt - from, ret_min, ret_max);
    }
}

/* The rows from `from` on that come before the first one that an exact watermark not told yet may
 * make late. */
static uint32_t
on_time_rows(struct weir_watermarker *self, const struct weir_watermark_conf *conf,
    const struct weir_view *in, uint32_t from)
{
    for (uint32_t i = from; i < in->cnt; i++) {
        int64_t t = weir_view_time(in, weir_view_row(in, i));
        if (weir_watermark_splits(t, exact_ms(self->max_ms, conf), self->told_ms, self->touch_ms)) {
            return i - from;
        }
        self->max_ms = weir_max_i64(self->max_ms, t);
    }
    return in->cnt - from;
}

/* The same, and the bounds of the rows. They alone tell as a rule that all are on time. */
static uint32_t
on_time_rows_of_all(struct weir_watermarker *self, const struct weir_watermark_conf *conf,
    const struct weir_view *in, uint32_t from)
{
    span(self, in, from, &self->batch_min_ms, &self->batch_max_ms);
    int64_t max_after = weir_max_i64(self->max_ms, self->batch_max_ms);
    if (self->batch_min_ms <= weir_add_sat(exact_ms(max_after, conf), self->touch_ms)) {
        return on_time_rows(self, conf, in, from);
    }
    self->max_ms = max_after;
    return in->cnt - from;
}

/* Put out the watermark of the greatest time so far, if it is due. */
static void
tell(struct weir_watermarker *self, const struct weir_watermark_conf *conf, bool is_split,
    struct weir_out *out)
{
    int64_t exact = exact_ms(self->max_ms, conf);
    bool is_first = self->told_ms == WEIR_TIME_MIN;
    if (exact > self->told_ms &&
        (is_split || is_first || self->now_ns - self->told_ns >= self->interval_ns)) {
        self->told_ms = exact;
        self->told_ns = self->now_ns;
        weir_out_watermark(out, exact);
    }
}

void
weir_watermarker_tell(struct weir_watermarker *self, const struct weir_watermark_conf *conf,
    int64_t max_ms, struct weir_out *out)
{
    self->max_ms = weir_max_i64(self->max_ms, max_ms);
    tell(self, conf, false, out);
}

uint32_t
weir_watermarker_take(struct weir_watermarker *self, const struct weir_watermark_conf *conf,
    const struct weir_view *in, uint32_t from, struct weir_out *out)
{
    /* The rest of a batch that was split goes row by row, or each split would look at all of it. */
    uint32_t rows = from == 0 || self->time_unused ? on_time_rows_of_all(self, conf, in, from)
                                                   : on_time_rows(self, conf, in, from);
    tell(self, conf, from + rows < in->cnt, out);
    return rows;
}

/* Rows whose watermark a function says. */
static uint32_t
take_by_function(struct self *self, const struct weir_watermark_conf *conf,
    const struct weir_view *in, uint32_t from, struct weir_out *out)
{
    struct weir_watermarker *marker = &self->marker;
    uint32_t rows = conf->function->rows(self->state, in, from, marker->told_ms, &marker->max_ms);
    tell(marker, conf, from + rows < in->cnt, out);
    return rows;
}

/* Behind an idle input: nobody is told, and so no row can be late that was not before. */
static uint32_t
take_idle(struct self *self, const struct weir_watermark_conf *conf, const struct weir_view *in,
    uint32_t from)
{
    struct weir_watermarker *marker = &self->marker;
    if (conf->function != NULL) {
        return conf->function->rows(self->state, in, from, INT64_MAX, &marker->max_ms);
    }
    span(marker, in, from, &marker->batch_min_ms, &marker->batch_max_ms);
    marker->max_ms = weir_max_i64(marker->max_ms, marker->batch_max_ms);
    return in->cnt - from;
}

/* ---- the others of the group ---- */

/* How far this one is: by all rows so far, told or not. Who is idle does not count. */
static void
report(struct weir_operator *op)
{
    const struct self *self = op->self;
    if (op->env->alignment != NULL) {
        int64_t exact = exact_ms(self->marker.max_ms, op->conf);
        weir_alignment_report(
            op->env->alignment, op->env->alignment_member, op->is_idle ? INT64_MAX : exact);
    }
}

static bool
watermark_holds(const struct weir_operator *op)
{
    const struct self *self = op->self;
    const struct weir_watermark_conf *conf = op->conf;
    if (op->env->alignment == NULL || op->is_idle) {
        return false;
    }
    int64_t least = weir_alignment_least(op->env->alignment);
    return exact_ms(self->marker.max_ms, conf) > weir_add_sat(least, conf->drift_ms);
}

/* The input has ended. */
static int
watermark_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    if (op->env->alignment != NULL) {
        weir_alignment_report(op->env->alignment, op->env->alignment_member, INT64_MAX);
    }
    return WEIR_DONE;
}

static int
watermark_status(struct weir_operator *op, bool idle)
{
    bool was_idle = op->is_idle;
    op->is_idle = idle;
    report(op);
    op->is_idle = was_idle; /* the chain's to set */
    return WEIR_DONE;
}

static int64_t
watermark_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    struct weir_watermarker *marker = &self->marker;
    const struct weir_watermark_conf *conf = op->conf;
    int64_t told_ms = marker->told_ms;
    (void)input;
    if (in->time == NULL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to take watermarks from");
    }
    marker->now_ns = now_ns;
    self->row_ns = now_ns;
    if (op->is_idle && conf->idle_ms > 0) {
        out->status = WEIR_SLOT_ACTIVE; /* in front of the rows */
        return 0;
    }
    uint32_t rows = op->is_idle              ? take_idle(self, conf, in, cursor)
                    : conf->function != NULL ? take_by_function(self, conf, in, cursor, out)
                                             : weir_watermarker_take(marker, conf, in, cursor, out);
    report(op);
    if (rows > 0) {
        weir_out_pass_range(out, in, cursor, rows);
        out->view.watermark = told_ms;
        if (rows == in->cnt && !marker->time_unused && conf->function == NULL) {
            weir_view_set_bounds(&out->view, marker->batch_min_ms, marker->batch_max_ms);
        }
    }
    return rows;
}

/* ---- time ---- */

static bool
watermark_keeps_time(const struct weir_operator *op)
{
    const struct weir_watermark_conf *conf = op->conf;
    return conf->idle_ms > 0 || op->env->watermark_interval_ns > 0;
}

/* When a watermark that was held back is to be told. */
static int64_t
held_back_ns(const struct weir_operator *op)
{
    const struct weir_watermarker *marker = &((const struct self *)op->self)->marker;
    bool is_held = !op->is_idle && exact_ms(marker->max_ms, op->conf) > marker->told_ms;
    return is_held ? weir_add_sat(marker->told_ns, marker->interval_ns) : INT64_MAX;
}

/* When the operator is to go idle: it was asked first when the task began to run. */
static int64_t
idle_ns(const struct weir_operator *op)
{
    const struct self *self = op->self;
    const struct weir_watermark_conf *conf = op->conf;
    int64_t idle_after_ns;
    if (conf->idle_ms == 0 || op->is_idle ||
        __builtin_mul_overflow(conf->idle_ms, WEIR_MS, &idle_after_ns)) {
        return INT64_MAX;
    }
    return weir_add_sat(self->row_ns, idle_after_ns);
}

static int64_t
watermark_due_ns(const struct weir_operator *op)
{
    return weir_min_i64(held_back_ns(op), idle_ns(op));
}

/* What was held back is told before the operator goes idle: nobody listens then. */
static int
watermark_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    self->row_ns = self->row_ns == INT64_MIN ? now_ns : self->row_ns;
    self->marker.now_ns = now_ns;
    bool goes_idle = idle_ns(op) <= now_ns;
    if (goes_idle || held_back_ns(op) <= now_ns) {
        tell(&self->marker, op->conf, true, out);
    }
    if (goes_idle) {
        out->status = WEIR_SLOT_IDLE;
        if (op->env->alignment != NULL) {
            weir_alignment_report(op->env->alignment, op->env->alignment_member, INT64_MAX);
        }
    }
    return WEIR_AGAIN; /* due_ns says so once the status is handed on */
}

/* ---- checkpoints ---- */

void
weir_watermarker_snapshot(const struct weir_watermarker *self, struct weir_parts_writer *parts)
{
    weir_state_put_word(parts, "time_max", self->max_ms);
    weir_state_put_word(parts, "watermark", self->told_ms);
}

int
weir_watermarker_restore(struct weir_watermarker *self, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    int err = weir_state_word_least(op, parts, parts_cnt, "time_max", &self->max_ms);
    return err < 0 ? err : weir_state_word_least(op, parts, parts_cnt, "watermark", &self->told_ms);
}

/* Words of the function's state: each by itself, and the least of all subtasks', as the greatest
 * time so far. */
#define WORD_CNT (WEIR_WATERMARK_STATE_BYTES_MAX / sizeof(int64_t))
static const char *const word_names[WORD_CNT] = {"function.0", "function.1", "function.2",
    "function.3", "function.4", "function.5", "function.6", "function.7"};

static uint32_t
word_cnt(const struct weir_operator *op)
{
    const struct weir_watermark_conf *conf = op->conf;
    return conf->function != NULL ? conf->function->state_bytes / (uint32_t)sizeof(int64_t) : 0;
}

static int
watermark_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    weir_watermarker_snapshot(&self->marker, parts);
    for (uint32_t i = 0; i < word_cnt(op); i++) {
        weir_state_put_word(parts, word_names[i], self->state[i]);
    }
    return 0;
}

static int
watermark_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    int err = weir_watermarker_restore(&self->marker, op, parts, parts_cnt);
    for (uint32_t i = 0; i < word_cnt(op) && err == 0; i++) {
        err = weir_state_word_least(op, parts, parts_cnt, word_names[i], &self->state[i]);
    }
    report(op);
    return err;
}

#define WORD(i)                                  \
    {                                            \
        "function." #i, WEIR_STATE_PART_LEAST, 0 \
    }
static const struct weir_state_part state_parts[] = {
    WEIR_WATERMARKER_PARTS, WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7)};

const struct weir_operator_type weir_watermark_type = {
    .name = "watermark",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .sets_watermarks = true,
    .open = watermark_open,
    .process = watermark_process,
    .snapshot = watermark_snapshot,
    .restore = watermark_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .due_ns = watermark_due_ns,
    .timer = watermark_timer,
    .keeps_time = watermark_keeps_time,
    .status = watermark_status,
    .finish = watermark_finish,
    .holds = watermark_holds,
    .changes = WEIR_CHANGES_PASSED,
};
