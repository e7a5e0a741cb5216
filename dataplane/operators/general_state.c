/* SPDX-License-Identifier: Apache-2.0 */
/* What windows of keys keep across a restart: tables and timers lie in state pages and come back
 * with them (general_priv.h). Beside them is the watermark up to which windows have fired: by the
 * least of all subtasks' no window fires twice and none is passed over, for what has fired has no
 * timer any more. */
#include "base/check.h"
#include "dataplane/operators/general_priv.h"

const struct weir_kind weir_general_rows_kind = {WEIR_KIND_TYPE_LIST, 0, 0, true, WEIR_NO_TTL,
    {{"rows", weir_kind_move_items, &weir_kind_item_values}, WEIR_KIND_NO_DESC}, NULL, 0};

bool
weir_general_keeps_rows(const struct weir_general_conf *conf)
{
    return conf->evictor.kind != WEIR_EVICTOR_NONE ||
           (conf->function != NULL && conf->function->wants_rows);
}

const struct weir_state_desc *
weir_general_conf_state(const void *conf, uint32_t idx)
{
    const struct weir_general_conf *general = conf;
    const struct weir_window_function *function = general->function;
    if (weir_general_keeps_rows(general) && idx-- == 0) {
        return &weir_general_rows_kind.desc[0];
    }
    for (uint32_t i = 0; function != NULL && i < function->kind_cnt; i++) {
        for (uint32_t d = 0; d < 2 && function->kinds[i].desc[d].name != NULL; d++, idx--) {
            if (idx == 0) {
                return &function->kinds[i].desc[d];
            }
        }
    }
    return NULL;
}

/* ---- savepoints ---- */

static int
describe(const struct weir_operator *op, const char *tail, struct weir_state_fields *fields)
{
    static const char *const names[] = {
        "@start", "@end", "@id", "@timer", "@rows", "@sessions", "@trigger_0", "@trigger_1"};
    const uint32_t slot_word_cnt = sizeof(struct general_slot) / sizeof(int64_t);
    struct general_plan plan;
    int err = weir_general_plan_of(op, &plan);
    if (err < 0) {
        return err;
    }
    if (plan.agg.name != NULL) {
        weir_state_put_aggregate(fields, &plan.agg);
    }
    for (uint32_t i = 0; i < slot_word_cnt + plan.word_cnt; i++) {
        weir_state_put_field(
            fields, names[i], WEIR_TYPE_I64, plan.acc_bytes + i * (uint32_t)sizeof(int64_t));
    }
    fields->tail[0] = tail;
    fields->val_bytes = plan.val_bytes;
    return 0;
}

static int
windows_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    return describe(op, "window", fields);
}

static int
sessions_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    return describe(op, "session", fields);
}

static int
timers_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    (void)op;
    fields->is_timers = true;
    fields->tail[0] = "namespace";
    fields->tail[1] = "time";
    return 0;
}

/* Fields of an accumulator that were not there when it was saved. */
static int
window_fresh(const struct weir_operator *op, const struct weir_state_desc *desc, void *val)
{
    (void)desc;
    struct general_plan plan;
    int err = weir_general_plan_of(op, &plan);
    if (err == 0 && plan.agg.name != NULL && plan.agg.init != NULL) {
        plan.agg.init(&plan.agg, &val, 1);
    }
    return err;
}

static const struct weir_state_values windows = {
    .describe = windows_describe, .fresh = window_fresh};
static const struct weir_state_values sessions = {
    .describe = sessions_describe, .fresh = window_fresh};
static const struct weir_state_values timers = {.describe = timers_describe};

const struct weir_state_desc weir_general_states[GENERAL_STATE_CNT] = {
    {GENERAL_WINDOWS, NULL, &windows}, {GENERAL_SESSIONS, NULL, &sessions},
    {GENERAL_TIMERS, NULL, &timers}, {GENERAL_CLOCKS, NULL, &timers}};

const struct weir_state_part weir_general_parts[GENERAL_PART_CNT] = {
    {"frontier", WEIR_STATE_PART_LEAST, 0}, {"ttl", WEIR_STATE_PART_LEAST, 0}};

int
weir_general_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct general_self *self = op->self;
    (void)id;
    WEIR_CHECK(self->resume.pair_cnt == 0 && !self->is_decided, "a barrier while a window fires");
    weir_state_put_word(parts, "frontier", self->frontier);
    if (self->kinds.cnt > 0) {
        weir_kindset_snapshot(&self->kinds, parts);
    }
    return 0;
}

int
weir_general_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct general_self *self = op->self;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &self->frontier);
    return err == 0 && self->kinds.cnt > 0
               ? weir_kindset_restore(&self->kinds, op, parts, parts_cnt)
               : err;
}
