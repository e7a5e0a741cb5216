/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint.c: `weir savepoint show`: what a savepoint holds, state by state. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/weir/verbs.h"
#include "base/err.h"
#include "sched/savepoint_store.h"

/* Rows of each state. */
struct counts {
    uint64_t *entries;
    uint64_t *rows;
};

static int
count_begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct counts *counts = arg;
    counts->entries = calloc(savepoint->state_cnt + UINT64_C(1), sizeof *counts->entries);
    counts->rows = calloc(savepoint->state_cnt + UINT64_C(1), sizeof *counts->rows);
    return counts->entries != NULL && counts->rows != NULL
               ? 0
               : weir_err_push(WEIR_ENOMEM, "the states of a savepoint");
}

static int
count_row(void *arg, const struct weir_savepoint_row *row)
{
    struct counts *counts = arg;
    ++*(row->list == 0 ? &counts->entries[row->state] : &counts->rows[row->state]);
    return 0;
}

/* ---- JSON ---- */

static json_t *
fields_json(const struct weir_savepoint_field *fields, uint32_t cnt)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++) {
        char type[WEIR_SAVEPOINT_TYPE_BYTES];
        weir_savepoint_type_text(&fields[i], type);
        json_t *field = json_pack("{s:s, s:s}", "name", fields[i].name, "type", type);
        if (fields[i].type == WEIR_STATE_LIST) {
            json_object_set_new(field, "fields", fields_json(fields[i].items, fields[i].item_cnt));
        }
        json_array_append_new(list, field);
    }
    return list;
}

static json_t *
state_json(const struct weir_savepoint *savepoint, uint32_t idx, const struct counts *counts)
{
    const struct weir_savepoint_state *state = &savepoint->states[idx];
    json_t *tail = json_array();
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        json_array_append_new(tail, json_string(state->tail[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "name", state->name, "kind",
        state->is_timers ? "timers" : "state", "key", weir_savepoint_key_text(state), "behind_key",
        tail, "namespaces", (json_int_t)state->table_cnt, "entries",
        (json_int_t)counts->entries[idx], "rows", (json_int_t)counts->rows[idx], "fields",
        fields_json(state->fields, state->field_cnt));
}

static json_t *
operator_json(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *op,
    const struct counts *counts)
{
    json_t *states = json_array();
    json_t *parts = json_array();
    for (uint32_t i = op->first_state; i < op->first_state + op->state_cnt; i++) {
        json_array_append_new(states, state_json(savepoint, i, counts));
    }
    for (uint32_t i = op->first_part; i < op->first_part + op->part_cnt; i++) {
        const struct weir_savepoint_part *part = &savepoint->parts[i];
        json_t *doc = json_pack("{s:s, s:I}", "name", part->name, "bytes", (json_int_t)part->bytes);
        if (part->kind == WEIR_STATE_PART_SUBTASK) {
            json_object_set_new(doc, "subtask", json_integer((json_int_t)part->subtask));
        }
        json_array_append_new(parts, doc);
    }
    return json_pack("{s:s, s:s, s:I, s:o, s:o}", "uid", op->uid, "name", op->type,
        "max_parallelism", (json_int_t)op->parallelism_max, "states", states, "parts", parts);
}

static json_t *
show_json(const struct weir_look_checkpoint *entry, const struct weir_savepoint *savepoint,
    const struct weir_savepoint_totals *totals, const struct counts *counts)
{
    json_t *operators = json_array();
    for (uint32_t i = 0; i < savepoint->operator_cnt; i++) {
        json_array_append_new(
            operators, operator_json(savepoint, &savepoint->operators[i], counts));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "job", savepoint->job,
        "savepoint", (json_int_t)entry->checkpoint, "epoch", (json_int_t)entry->epoch,
        "of_checkpoint", (json_int_t)entry->manifest.parent_checkpoint, "bytes",
        (json_int_t)totals->bytes, "key_groups", (json_int_t)totals->key_groups, "entries",
        (json_int_t)totals->entries, "rows", (json_int_t)totals->rows, "operators", operators);
}

/* ---- text ---- */

static void
fields_print(const struct weir_savepoint_field *fields, uint32_t cnt, int indent)
{
    for (uint32_t i = 0; i < cnt; i++) {
        char type[WEIR_SAVEPOINT_TYPE_BYTES];
        weir_savepoint_type_text(&fields[i], type);
        (void)printf("%*s%-*s %s\n", indent, "", 24 - indent, fields[i].name, type);
        if (fields[i].type == WEIR_STATE_LIST) {
            fields_print(fields[i].items, fields[i].item_cnt, indent + 2); /* lists of no lists */
        }
    }
}

static void
state_print(const struct weir_savepoint *savepoint, uint32_t idx, const struct counts *counts)
{
    const struct weir_savepoint_state *state = &savepoint->states[idx];
    (void)printf("  %s %s  key %s", state->is_timers ? "timers" : "state", state->name,
        weir_savepoint_key_text(state));
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        (void)printf(", %s", state->tail[i]);
    }
    (void)printf(
        "; %" PRIu32 " namespaces, %" PRIu64 " entries", state->table_cnt, counts->entries[idx]);
    if (counts->rows[idx] > 0) {
        (void)printf(", %" PRIu64 " rows in lists", counts->rows[idx]);
    }
    (void)printf("\n");
    fields_print(state->fields, state->field_cnt, 4);
}

static void
operator_print(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *op,
    const struct counts *counts)
{
    (void)printf(
        "operator %s (%s), max_parallelism %" PRIu32 "\n", op->uid, op->type, op->parallelism_max);
    for (uint32_t i = op->first_state; i < op->first_state + op->state_cnt; i++) {
        state_print(savepoint, i, counts);
    }
    for (uint32_t i = op->first_part; i < op->first_part + op->part_cnt; i++) {
        const struct weir_savepoint_part *part = &savepoint->parts[i];
        (void)printf("  part %s  %" PRIu32 " bytes", part->name, part->bytes);
        if (part->kind == WEIR_STATE_PART_SUBTASK) {
            (void)printf(" of subtask %" PRIu32, part->subtask);
        }
        (void)printf("\n");
    }
}

static void
show_print(const struct weir_look_checkpoint *entry, const struct weir_savepoint *savepoint,
    const struct weir_savepoint_totals *totals, const struct counts *counts)
{
    (void)printf("savepoint %" PRIu64 " of job %s: %" PRIu64 " entries and %" PRIu64
                 " rows in %" PRIu64 " key groups, %" PRIu64 " bytes\n",
        entry->checkpoint, savepoint->job, totals->entries, totals->rows, totals->key_groups,
        totals->bytes);
    for (uint32_t i = 0; i < savepoint->operator_cnt; i++) {
        operator_print(savepoint, &savepoint->operators[i], counts);
    }
}

/* ---- the verb ---- */

/* The savepoint that the second argument names, or the newest: 0 and its place. */
static int
find(const struct weir_args *args, const struct weir_look *look, uint32_t *ret_idx)
{
    int err = weir_look_find(look, args->arg_cnt > 1 ? args->arg[1] : NULL, ret_idx);
    return err != WEIR_ENOINPUT
               ? err
               : weir_err_push(err, "%s holds no savepoint %s", args->arg[0],
                     args->arg_cnt > 1 ? args->arg[1] : "that a job could start from");
}

static int
show_run(const struct weir_args *args)
{
    struct weir_look *look;
    struct weir_savepoint_reader *reader = NULL;
    struct counts counts = {NULL, NULL};
    const struct weir_savepoint_events events = {count_begin, count_row, &counts};
    uint32_t idx = 0;
    int err = weir_look_open(NULL, args->arg[0], &look);
    if (err != 0) {
        return err;
    }
    err = find(args, look, &idx);
    err = err != 0 ? err : weir_savepoint_look(look, idx, &events, &reader);
    if (err == 0) {
        const struct weir_savepoint *savepoint = weir_savepoint_reader_catalogue(reader);
        const struct weir_savepoint_totals *totals = weir_savepoint_reader_totals(reader);
        if (weir_cli_has(args, "json")) {
            weir_cli_print_json(show_json(weir_look_at(look, idx), savepoint, totals, &counts));
        } else {
            show_print(weir_look_at(look, idx), savepoint, totals, &counts);
        }
    }
    weir_savepoint_reader_close(reader);
    weir_look_close(look);
    free(counts.entries);
    free(counts.rows);
    return err;
}

static const struct weir_flag show_flags[] = {
    {"json", 0, NULL, "print JSON"},
};

const struct weir_verb weir_verb_savepoint_show = {
    .name = "savepoint show",
    .args = "DIR [ID]",
    .text = "say what a savepoint holds: operators, states with their fields, rows, parts",
    .examples = "weir savepoint show saved        # the newest in it\n"
                "weir savepoint show saved 2 --json\n",
    .notes =
        "All of it is read. Exit code 65 where it is damaged: the file, the block and the byte\n"
        "are named. weir checkpoint list and verify take savepoints, too. Where two have the same\n"
        "number, ID is that of the newer one, or NUMBER-EPOCH, as weir checkpoint list has them.\n",
    .flags = show_flags,
    .flag_cnt = WEIR_ARRAY_CNT(show_flags),
    .arg_cnt_min = 1,
    .arg_cnt_max = 2,
    .run = show_run,
};
