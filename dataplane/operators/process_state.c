/* SPDX-License-Identifier: Apache-2.0 */
/* What process functions keep across a restart, by name: for checkpoints and savepoints. */
#include "dataplane/broadcast.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/operators/process_priv.h"

/* The tables of declared states, by number. */
const struct weir_state_desc *
weir_process_conf_state(const void *conf, uint32_t idx)
{
    const struct weir_process_function *function =
        ((const struct weir_process_conf *)conf)->function;
    for (uint32_t i = 0; i < function->kind_cnt; i++) {
        for (uint32_t d = 0; d < 2 && function->kinds[i].desc[d].name != NULL; d++, idx--) {
            if (idx == 0) {
                return &function->kinds[i].desc[d];
            }
        }
    }
    return NULL;
}

/* ---- savepoints: what a state holds is its owner's, no references into the arena ---- */

static int
state_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    const struct weir_process_conf *conf = op->conf;
    const struct weir_process_function *function = conf->function;
    fields->val_bytes = function->state_bytes;
    if (function->state_schema == NULL) {
        weir_state_put_field(fields, "state", WEIR_STATE_BYTES, 0);
        fields->field[0].field.bytes = function->state_bytes;
        return 0;
    }
    const struct weir_schema *schema = function->state_schema();
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        fields->field[fields->field_cnt++].field = schema->fields[i];
    }
    return 0;
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

static const struct weir_state_values state_values = {.describe = state_describe};
static const struct weir_state_values timer_values = {.describe = timers_describe};
const struct weir_state_desc weir_process_states[WEIR_PROCESS_STATE_CNT] = {
    {"state", NULL, &state_values}, {"timers", NULL, &timer_values},
    {"clocks", NULL, &timer_values}, {WEIR_SPILL_STATE, NULL, &weir_spill_values}};
const struct weir_state_part weir_process_parts[WEIR_PROCESS_PART_CNT] = {
    {"ttl", WEIR_STATE_PART_LEAST, 0}, {WEIR_BROADCAST_PART, WEIR_STATE_PART_BROADCAST, 0}};
