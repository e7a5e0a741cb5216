/* SPDX-License-Identifier: Apache-2.0 */
/* Sets the watermark to the greatest event time so far less a fixed lag, and passes every record.
 *
 *     lag 4 s:   12:00:00  12:00:07  12:00:05   ->   ... watermark 12:00:03
 *
 * State: the greatest time so far. Watermarks from above end here, but for the MAX one.
 *
 * Whether a record is late must not depend on how records fall into batches. A watermark after
 * every record would settle that and cost everything. It is enough to tell the exact watermark
 * before each record that lies at or behind it: any other record is on time under this watermark
 * and under every older one. So a batch is split only in front of such a record, and that is rare.
 *
 * Source: Flink's BoundedOutOfOrdernessWatermarks, whose answer depends on a 200 ms wall clock.
 */
#include "dataplane/operators/watermark.h"

#include "dataplane/state.h"

void
weir_watermarker_init(struct weir_watermarker *self, const struct weir_operator_env *env)
{
    self->max_ms = WEIR_TIME_MIN;
    self->told_ms = WEIR_TIME_MIN;
    self->time_unused = env->time_unused;
}

static int
watermark_open(struct weir_operator *op)
{
    weir_watermarker_init(op->self, op->env);
    return 0;
}

/* The watermark once the greatest time is this: never the MAX one, which says that no record
 * follows. */
static int64_t
exact_ms(int64_t max_ms, const struct weir_watermark_conf *conf)
{
    return weir_min_i64(weir_sub_sat(max_ms, conf->lag_ms), WEIR_WATERMARK_MAX - 1);
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

/* The rows from `from` on that come before the first one at or behind the exact watermark. */
static uint32_t
on_time_rows(struct weir_watermarker *self, const struct weir_watermark_conf *conf,
    const struct weir_view *in, uint32_t from)
{
    for (uint32_t i = from; i < in->cnt; i++) {
        int64_t t = weir_view_time(in, weir_view_row(in, i));
        int64_t exact = exact_ms(self->max_ms, conf);
        if (t <= exact && exact > self->told_ms) {
            return i - from;
        }
        self->max_ms = weir_max_i64(self->max_ms, t);
    }
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
        (is_split || is_first || exact >= weir_add_sat(self->told_ms, conf->interval_ms))) {
        self->told_ms = exact;
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
    int64_t min;
    int64_t max;
    span(self, in, from, &min, &max);
    self->batch_min_ms = min;
    self->batch_max_ms = max;
    int64_t max_after = weir_max_i64(self->max_ms, max);
    uint32_t rows = in->cnt - from;
    if (min > exact_ms(max_after, conf)) {
        self->max_ms = max_after;
    } else {
        rows = on_time_rows(self, conf, in, from);
    }
    tell(self, conf, from + rows < in->cnt, out);
    return rows;
}

static int64_t
watermark_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct weir_watermarker *self = op->self;
    int64_t told_ms = self->told_ms;
    (void)input;
    (void)now_ns;
    if (in->time == NULL) {
        return weir_err_push(WEIR_EGRAPH, "records have no event time to take watermarks from");
    }
    uint32_t rows = weir_watermarker_take(self, op->conf, in, cursor, out);
    if (rows > 0) {
        weir_out_pass_range(out, in, cursor, rows);
        out->view.watermark = told_ms;
        if (rows == in->cnt && !self->time_unused) {
            weir_view_set_bounds(&out->view, self->batch_min_ms, self->batch_max_ms);
        }
    }
    return rows;
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

static int
watermark_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_watermarker_snapshot(op->self, parts);
    return 0;
}

static int
watermark_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    return weir_watermarker_restore(op->self, op, parts, parts_cnt);
}

static const struct weir_state_part state_parts[] = {WEIR_WATERMARKER_PARTS};

const struct weir_operator_type weir_watermark_type = {
    .name = "watermark",
    .self_bytes = sizeof(struct weir_watermarker),
    .input_cnt = 1,
    .output_cnt = 1,
    .sets_watermarks = true,
    .open = watermark_open,
    .process = watermark_process,
    .snapshot = watermark_snapshot,
    .restore = watermark_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .changes = WEIR_CHANGES_PASSED,
};
