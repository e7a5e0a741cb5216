/* SPDX-License-Identifier: Apache-2.0 */
/* An aggregate per key over all that came, told after each row.
 *
 *     sum of n by word:   (a 2) (b 1) (a 3)   ->   (a 2) (b 1) (a 5)
 *
 * State: one table from the key to its accumulator, for ever: all of it lies in state pages.
 * Watermarks are passed on. Nothing is held between two batches.
 *
 * Output rows lie in order behind their input rows and share the heap of their batch, so strings of
 * the key are copied by value. Keys are looked up a block at a time; the aggregate's own loop then
 * adds and tells row by row, because the same key may stand in the block twice.
 */
#include "dataplane/operators/reduce.h"

#include <string.h>

#include "dataplane/function.h"
#include "dataplane/keyed.h"
#include "dataplane/state.h"

struct plan {
    struct weir_keyed keyed;
    struct weir_aggregate agg;
    const struct weir_field *key_to[WEIR_KEY_FIELD_CNT_MAX];
    const struct weir_field *time_to; /* a time field of the output that is no key */
};

struct self {
    struct plan plan;
    struct weir_table *table;
    struct weir_keyed_rows rows;
};

static bool
is_key(const struct plan *plan, const struct weir_field *field)
{
    bool is = false;
    for (uint32_t p = 0; p < WEIR_KEY_FIELD_CNT_MAX; p++) {
        is |= plan->key_to[p] == field;
    }
    return is;
}

/* The one field that is left to a built-in aggregate. */
static int
rest_of(struct plan *plan, const struct weir_schema *out, const struct weir_field **ret_rest)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < out->field_cnt; i++) {
        const struct weir_field *field = &out->fields[i];
        if (is_key(plan, field)) {
            continue;
        }
        if (field->type == WEIR_TYPE_TIME) {
            plan->time_to = field;
            continue;
        }
        *ret_rest = field;
        cnt++;
    }
    if (plan->agg.kind != WEIR_AGGREGATE_OWN && cnt != 1) {
        return weir_err_push(WEIR_EGRAPH,
            "%s has %u fields beside the key: the result of %s takes one", out->name, cnt,
            plan->agg.name);
    }
    return 0;
}

static int
plan_init(struct plan *plan, const struct weir_reduce_conf *conf, const struct weir_schema *in,
    const struct weir_schema *out, const struct weir_arena *arena)
{
    const struct weir_field *rest = NULL;
    memset(plan, 0, sizeof *plan);
    plan->agg = conf->aggregate;
    int err = weir_keyed_init(&plan->keyed, &conf->key, in, arena);
    if (err == 0) {
        err = weir_keyed_match(&plan->keyed, conf->key_as, out, plan->key_to);
    }
    if (err == 0) {
        err = rest_of(plan, out, &rest);
    }
    if (err == 0) {
        err = weir_aggregate_check_out(&plan->agg, out);
    }
    return err < 0 ? err : weir_aggregate_resolve(&plan->agg, in, rest);
}

int
weir_reduce_check(const struct weir_reduce_conf *conf, const struct weir_schema *in_schema,
    const struct weir_schema *out_schema)
{
    struct plan plan;
    return plan_init(&plan, conf, in_schema, out_schema, NULL);
}

static int
reduce_open(struct weir_operator *op)
{
    struct self *self = op->self;
    struct weir_arena *arena = op->env->arena;
    if (arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "a reduce was given no state pages");
    }
    int err = plan_init(&self->plan, op->conf, op->in_schema[0], op->out_schema[0], arena);
    if (err < 0) {
        return err;
    }
    struct weir_table_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.key_kind = self->plan.keyed.kind;
    spec.val_bytes = (uint32_t)weir_align_up(self->plan.agg.acc_bytes, 8);
    return weir_state_take(op, "result", &spec, 0, &self->table);
}

/* One field of rows [from, from + cnt) of the selection into rows of the output. */
static void
copy_field(const struct weir_view *in, const struct weir_field *field,
    const struct weir_aggregate_rows *rows, struct weir_lane to)
{
    struct weir_lane lane = weir_view_lane(in, field->off, field->bytes);
    for (uint32_t i = 0; i < rows->cnt; i++) {
        uint32_t row = weir_view_row(in, rows->from + i);
        memcpy(to.ptr + (size_t)to.stride * i, lane.ptr + (size_t)lane.stride * row, field->bytes);
    }
}

/* The fields of the output that the input has: the key and the time. */
static void
copy_fields(const struct plan *plan, const struct weir_aggregate_rows *rows, struct weir_lane to)
{
    const struct weir_view *in = rows->view;
    for (uint32_t p = 0; p < plan->keyed.key.field_cnt; p++) {
        if (plan->key_to[p] != NULL) {
            struct weir_lane lane = {to.ptr + plan->key_to[p]->off, to.stride};
            copy_field(in, &plan->keyed.key.part[p], rows, lane);
        }
    }
    for (uint32_t i = 0; i < rows->cnt && plan->time_to != NULL && in->time != NULL; i++) {
        int64_t time = weir_view_time(in, weir_view_row(in, rows->from + i));
        memcpy(to.ptr + (size_t)to.stride * i + plan->time_to->off, &time, sizeof time);
    }
}

/* Rows whose entries are found: update, and write what comes of it. */
static void
emit(struct self *self, const struct weir_aggregate_rows *rows, void *const *acc,
    struct weir_out *out)
{
    const struct weir_aggregate *agg = &self->plan.agg;
    struct weir_lane to = {
        out->view.rows + (size_t)out->view.stride * out->view.row_cnt, out->view.stride};
    weir_out_copy_times(out, rows->view, rows->from, rows->cnt);
    for (uint32_t i = 0; i < rows->cnt; i++) {
        memset(to.ptr + (size_t)to.stride * i, 0, out->view.schema->row_bytes);
    }
    copy_fields(&self->plan, rows, to);
    agg->roll(agg, acc, rows, to);
    out->view.row_cnt += rows->cnt;
    out->view.cnt = out->view.row_cnt;
}

static int64_t
reduce_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    uint32_t at = cursor;
    (void)input;
    (void)now_ns;
    weir_out_share_heap(out, in);
    while (at < in->cnt && out->view.row_cnt < out->row_cap) {
        uint32_t cnt = weir_min_u32(in->cnt - at, out->row_cap - out->view.row_cnt);
        cnt = weir_min_u32(cnt, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&self->plan.keyed, in, at, cnt, &self->rows);
        if (loaded < 0) {
            return loaded;
        }
        for (uint32_t done = 0; done < (uint32_t)loaded;) {
            uint32_t made_at = self->rows.rows.made_cnt;
            int got = weir_keyed_resolve(&self->plan.keyed, self->table, &self->rows, done);
            if (got < 0) {
                return got;
            }
            weir_aggregate_init_made(&self->plan.agg, &self->rows, made_at);
            struct weir_aggregate_rows rows = {in, at + done, (uint32_t)got};
            emit(self, &rows, self->rows.val + done, out);
            done += (uint32_t)got;
        }
        at += (uint32_t)loaded;
    }
    return at - cursor;
}

static int
reduce_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_keyed_rows_fini(&self->rows);
    return 0;
}

/* ---- savepoints ---- */

static int
result_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    struct plan plan;
    int err = plan_init(&plan, op->conf, op->in_schema[0], op->out_schema[0], NULL);
    if (err == 0) {
        weir_state_put_aggregate(fields, &plan.agg);
        fields->val_bytes = (uint32_t)weir_align_up(plan.agg.acc_bytes, 8);
        fields->has_no_key = plan.keyed.key.field_cnt == 0;
    }
    return err;
}

static int
result_fresh(const struct weir_operator *op, const struct weir_state_desc *desc, void *val)
{
    (void)desc;
    struct plan plan;
    int err = plan_init(&plan, op->conf, op->in_schema[0], op->out_schema[0], NULL);
    if (err == 0 && plan.agg.init != NULL) {
        plan.agg.init(&plan.agg, &val, 1);
    }
    return err;
}

static const struct weir_state_values result_values = {
    .describe = result_describe, .fresh = result_fresh};
static const struct weir_state_desc states[] = {{"result", NULL, &result_values}};

const struct weir_operator_type weir_reduce_type = {
    .name = "reduce",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = reduce_open,
    .process = reduce_process,
    .close = reduce_close,
    .states = states,
    .state_cnt = WEIR_ARRAY_CNT(states),
    .moves = true,
};
