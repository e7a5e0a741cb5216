/* SPDX-License-Identifier: Apache-2.0 */
/* Restoring a savepoint: what its states become in the states that operators have now. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "dataplane/row_list.h"
#include "dataplane/savepoint_priv.h"

/* What a part takes in its buffer beside its bytes and names (parts.h). */
#define PART_BYTES_MORE 64

/* A saved state and what it becomes. */
struct load_state {
    struct weir_operator *op; /* NULL: nobody's here */
    const struct weir_state_desc *desc;
    struct weir_state_fields now;
    struct savepoint_map map;
    struct savepoint_map *lists; /* [saved list] */
    struct weir_table **tables; /* [saved table] */
    struct weir_spill_load *disk; /* where its rows go instead; NULL: into the tables */
};

/* The store of an operator that keeps its state on disk. */
struct load_disk {
    const struct weir_operator *op;
    struct weir_spill_load *disk;
};

struct weir_savepoint_load {
    const struct weir_savepoint *savepoint;
    struct weir_arena *arena;
    struct savepoint_keep keep;
    struct load_state *states;
    struct load_disk *disks; /* [disk_cnt] */
    uint32_t disk_cnt;
    struct weir_row_store store;
    bool has_store;
    struct weir_state_room room; /* of add */
    struct weir_state_room row_room;
    /* the table at hand */
    uint32_t state;
    int64_t ns;
    uint32_t key_group;
    struct weir_table *table;
    /* the entry at hand */
    struct weir_state_add add;
    struct savepoint_key key;
    struct weir_state_room text_room; /* what a long text of the key lies in */
    struct weir_state_room val_room; /* a value that is for the disk */
};

static struct weir_operator *
op_of(const struct weir_savepoint_ops *ops, const char *uid, uint32_t *ret_idx)
{
    for (uint32_t i = 0; i < ops->op_cnt; i++) {
        if (strcmp(ops->ops[i]->uid, uid) == 0) {
            *ret_idx = i;
            return ops->ops[i];
        }
    }
    return NULL;
}

static const struct weir_state_desc *
desc_of(const struct weir_operator *op, const char *name)
{
    const struct weir_state_owner owner = {op->uid, op->type, op->conf};
    const struct weir_state_desc *desc = weir_state_desc_of(&owner, weir_state_id(op->uid, name));
    return desc != NULL && strcmp(desc->name, name) == 0 ? desc : NULL;
}

/* ---- fields ---- */

/* What a state of opaque values has, as it was saved. */
static uint32_t
saved_bytes(const struct weir_savepoint_state *state)
{
    return state->field_cnt == 1 ? state->fields[0].bytes : 0;
}

static int
lists_match(struct savepoint_keep *keep, const struct weir_savepoint_state *state,
    const struct weir_savepoint_field *now, struct load_state *to)
{
    uint32_t list = 0;
    to->lists = weir_savepoint_keep(keep, state->field_cnt * sizeof *to->lists);
    if (to->lists == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the fields of a state");
    }
    for (uint32_t i = 0; i < state->field_cnt; i++) {
        const struct weir_savepoint_field *was = &state->fields[i];
        uint32_t at = to->map.to[i];
        if (was->type != WEIR_STATE_LIST) {
            continue;
        }
        if (at != SAVEPOINT_DROPPED) {
            const struct savepoint_match match = {to->op->uid, state->name, was->name, was->items,
                was->item_cnt, now[at].items, now[at].item_cnt};
            int err = weir_savepoint_map_fields(&match, &to->lists[list]);
            if (err < 0) {
                return err;
            }
        }
        list++;
    }
    return 0;
}

/* Fit a saved state to the operator that has it now. */
static int
state_match(
    struct savepoint_keep *keep, const struct weir_savepoint_state *state, struct load_state *to)
{
    const struct weir_savepoint_field *now = NULL;
    int err = weir_state_describe(to->op, to->desc, saved_bytes(state), &to->now);
    err = err < 0 ? err : weir_savepoint_fields_of(keep, &to->now, &now);
    if (err == 0 &&
        (to->now.has_no_key != state->has_no_key || to->now.is_timers != state->is_timers)) {
        err = weir_err_push(WEIR_ESTATE, "state %s of operator %s was saved with key %s%s",
            state->name, to->op->uid, weir_savepoint_key_text(state),
            state->has_no_key ? ", now it has one" : ", now it has none, or is of another kind");
    }
    const struct savepoint_match match = {
        to->op->uid, state->name, NULL, state->fields, state->field_cnt, now, to->now.field_cnt};
    err = err < 0 ? err : weir_savepoint_map_fields(&match, &to->map);
    return err < 0 ? err : lists_match(keep, state, now, to);
}

/* ---- check ---- */

static int
not_taken_up(const struct weir_savepoint_ops *ops, uint32_t *dropped, const char *what,
    const struct weir_savepoint_operator *op)
{
    if (ops->may_drop) {
        ++*dropped;
        return 0;
    }
    return weir_err_push(WEIR_ESTATE,
        "the savepoint has %s%sof operator %s (%s), which the job does not take up: give the "
        "operator that has it now this uid, or leave it behind with --allow-non-restored-state",
        what != NULL ? what : "state", " ", op->uid, op->type);
}

static int
states_check(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *was,
    struct weir_operator *op, const struct weir_savepoint_ops *ops, uint32_t *dropped)
{
    struct savepoint_keep keep = {NULL};
    int err = 0;
    for (uint32_t i = was->first_state; i < was->first_state + was->state_cnt && err == 0; i++) {
        struct load_state *to = weir_savepoint_keep(&keep, sizeof *to);
        char what[160];
        (void)snprintf(what, sizeof what, "state %.140s", savepoint->states[i].name);
        if (to == NULL) {
            err = weir_err_push(WEIR_ENOMEM, "the states of a savepoint");
            break;
        }
        to->op = op;
        to->desc = desc_of(op, savepoint->states[i].name);
        err = to->desc == NULL ? not_taken_up(ops, dropped, what, was)
                               : state_match(&keep, &savepoint->states[i], to);
    }
    weir_savepoint_keep_fini(&keep);
    return err;
}

/* Whether the operator itself has left parts: what the chain keeps for it is no state of its. */
static bool
has_parts(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *was)
{
    bool has = false;
    for (uint32_t i = was->first_part; i < was->first_part + was->part_cnt; i++) {
        has |= strcmp(savepoint->parts[i].name, WEIR_STATE_PART_CHAIN) != 0;
    }
    return has;
}

int
weir_savepoint_check(const struct weir_savepoint *savepoint, const struct weir_savepoint_ops *ops,
    uint32_t *ret_dropped)
{
    uint32_t dropped = 0;
    int err = 0;
    for (uint32_t i = 0; i < savepoint->operator_cnt && err == 0; i++) {
        const struct weir_savepoint_operator *was = &savepoint->operators[i];
        uint32_t idx = 0;
        struct weir_operator *op = op_of(ops, was->uid, &idx);
        bool left_parts = has_parts(savepoint, was);
        if (op == NULL && was->state_cnt == 0 && !left_parts) {
            continue;
        }
        if (op == NULL) {
            err = not_taken_up(ops, &dropped, NULL, was);
            continue;
        }
        if (was->state_cnt > 0 && ops->parallelism_max[idx] != was->parallelism_max) {
            return weir_err_push(WEIR_ESTATE,
                "operator %s was saved with max_parallelism %" PRIu32 ", now it has %" PRIu32
                ": its key groups are not the same",
                was->uid, was->parallelism_max, ops->parallelism_max[idx]);
        }
        if (left_parts && op->type->restore == NULL) {
            err = not_taken_up(ops, &dropped, "parts", was);
        }
        err = err < 0 ? err : states_check(savepoint, was, op, ops, &dropped);
    }
    if (err == 0) {
        *ret_dropped = dropped;
    }
    return err;
}

/* ---- tables ---- */

/* The old subtask that buffer idx stands for; of parts that were put together there is one. */
static uint32_t
subtasks_of(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *op,
    uint32_t idx, uint32_t *ret_subtask)
{
    uint32_t cnt = 0;
    uint64_t least = 0;
    for (;;) { /* by rising numbers: few */
        uint64_t next = UINT64_MAX;
        for (uint32_t i = op->first_part; i < op->first_part + op->part_cnt; i++) {
            uint64_t subtask = savepoint->parts[i].subtask;
            next = subtask >= least && subtask < next ? subtask : next;
        }
        if (next == UINT64_MAX) {
            return cnt;
        }
        *ret_subtask = cnt == idx ? (uint32_t)next : *ret_subtask;
        least = next + 1;
        cnt++;
    }
}

static uint32_t
val_bytes_of(const struct weir_state_fields *now)
{
    uint32_t bytes = now->val_bytes;
    for (uint32_t i = 0; i < now->field_cnt && now->val_bytes == 0; i++) {
        const struct weir_field *field = &now->field[i].field;
        bytes = (uint32_t)weir_max_u64(bytes, field->off + field->bytes);
    }
    return bytes;
}

static int
table_make(struct weir_savepoint_load *load, uint32_t idx, uint32_t table)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[idx];
    struct load_state *to = &load->states[idx];
    const struct weir_table_spec spec = {weir_state_id(to->op->uid, state->name), state->key_kind,
        val_bytes_of(&to->now), state->tail_cnt};
    int err = weir_table_take(load->arena, &spec, state->tables[table].ns, &to->tables[table]);
    if (err == 0) {
        weir_table_owner_set(
            to->tables[table], to->now.owner != 0 ? to->now.owner : state->tables[table].owner);
    }
    return err;
}

/* Each subtask will be given its own parts, which speak of its own tables: those that have rows. */
static bool
has_own_tables(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *was,
    const struct weir_operator *op)
{
    uint32_t subtask;
    uint32_t subtask_cnt = op->env != NULL && op->env->subtask_cnt > 0 ? op->env->subtask_cnt : 1;
    return was->part_cnt > 0 && savepoint->parts[was->first_part].kind == WEIR_STATE_PART_SUBTASK &&
           subtasks_of(savepoint, was, UINT32_MAX, &subtask) == subtask_cnt;
}

static int
tables_make(struct weir_savepoint_load *load, uint32_t idx)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[idx];
    const struct weir_savepoint_operator *was = &load->savepoint->operators[state->op_idx];
    struct load_state *to = &load->states[idx];
    to->tables = weir_savepoint_keep(&load->keep, (uint64_t)state->table_cnt * sizeof *to->tables);
    int err = to->tables != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "the tables of a state");
    bool waits = has_own_tables(load->savepoint, was, to->op);
    for (uint32_t i = 0; i < state->table_cnt && err == 0 && !waits; i++) {
        err = table_make(load, idx, i);
    }
    return err;
}

/* State that its operator keeps on disk goes there at once: it need not fit into the pages. Tables
 * are made all the same, for open() to look at. */
static int
disk_find(struct weir_savepoint_load *load, uint32_t idx)
{
    struct load_state *to = &load->states[idx];
    const struct weir_operator *op = to->op;
    uint32_t i = 0;
    if (op->env == NULL || op->env->spill == NULL || to->now.is_timers || !weir_spill_can(op)) {
        return 0;
    }
    while (i < load->disk_cnt && load->disks[i].op != op) {
        i++;
    }
    int err = 0;
    if (i == load->disk_cnt) {
        load->disks[i].op = op;
        err = weir_spill_load_open(op, load->savepoint->states[idx].key_kind, &load->disks[i].disk);
        load->disk_cnt += err == 0;
    }
    to->disk = err == 0 ? load->disks[i].disk : NULL;
    return err;
}

int
weir_savepoint_load_open(const struct weir_savepoint *savepoint, struct weir_arena *arena,
    const struct weir_savepoint_ops *ops, struct weir_savepoint_load **ret_load)
{
    struct weir_savepoint_load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        return weir_err_push(WEIR_ENOMEM, "restoring a savepoint");
    }
    load->savepoint = savepoint;
    load->arena = arena;
    load->state = UINT32_MAX;
    load->states = weir_savepoint_keep(&load->keep, savepoint->state_cnt * sizeof *load->states);
    load->disks = weir_savepoint_keep(&load->keep, savepoint->state_cnt * sizeof *load->disks);
    int err = load->states != NULL && load->disks != NULL
                  ? weir_row_store_init(&load->store, arena)
                  : weir_err_push(WEIR_ENOMEM, "restoring a savepoint");
    load->has_store = err == 0;
    for (uint32_t i = 0; i < savepoint->state_cnt && err == 0; i++) {
        const struct weir_savepoint_state *state = &savepoint->states[i];
        const struct weir_savepoint_operator *was = &savepoint->operators[state->op_idx];
        struct load_state *to = &load->states[i];
        uint32_t idx;
        struct weir_operator *op = op_of(ops, was->uid, &idx);
        to->desc = op != NULL ? desc_of(op, state->name) : NULL;
        if (to->desc == NULL) {
            continue;
        }
        to->op = op;
        err =
            was->parallelism_max == arena->spec.max_parallelism
                ? state_match(&load->keep, state, to)
                : weir_err_push(WEIR_ESTATE, "operator %s was saved with max_parallelism %" PRIu32,
                      was->uid, was->parallelism_max);
        err = err < 0 ? err : tables_make(load, i);
        err = err < 0 ? err : disk_find(load, i);
    }
    if (err < 0) {
        weir_savepoint_load_close(load);
        return err;
    }
    *ret_load = load;
    return 0;
}

int
weir_savepoint_load_end(struct weir_savepoint_load *load)
{
    int err = 0;
    for (uint32_t i = 0; i < load->disk_cnt && err == 0; i++) {
        err = weir_spill_load_end(load->disks[i].disk);
    }
    return err;
}

void
weir_savepoint_load_close(struct weir_savepoint_load *load)
{
    if (load == NULL) {
        return;
    }
    for (uint32_t i = 0; i < load->disk_cnt; i++) {
        weir_spill_load_close(load->disks[i].disk);
    }
    if (load->has_store) {
        weir_row_store_forget(&load->store);
        (void)weir_row_store_give(&load->store, 1); /* it has no rows: done at once */
        weir_arena_masks_fill(load->arena);
    }
    weir_savepoint_keep_fini(&load->keep);
    free(load->room.mem);
    free(load->text_room.mem);
    free(load->val_room.mem);
    free(load->row_room.mem);
    free(load);
}

/* ---- rows ---- */

static int
malformed(const struct weir_savepoint_load *load, const char *what)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[load->state];
    return weir_err_push(WEIR_EDATA, "state %s of operator %s, key group %" PRIu32 ": %s",
        state->name, load->savepoint->operators[state->op_idx].uid, load->key_group, what);
}

/* The table that a row is for; NULL: not one of this stage, or of another's key group. */
static int
table_enter(struct weir_savepoint_load *load, const struct weir_savepoint_row *row)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[row->state];
    const struct load_state *to = &load->states[row->state];
    load->state = row->state;
    load->ns = row->ns;
    load->key_group = row->key_group;
    load->table = NULL;
    load->add.val = NULL;
    /* Chunks of rows are one table's: they go with it. */
    weir_row_store_forget(&load->store);
    if (to->op == NULL || !weir_arena_owns(load->arena, row->key_group)) {
        return 0;
    }
    uint32_t low = 0;
    uint32_t high = state->table_cnt;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->tables[middle].ns < row->ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    WEIR_DCHECK(low < state->table_cnt && state->tables[low].ns == row->ns, "no such table");
    int err = to->tables[low] == NULL ? table_make(load, row->state, low) : 0;
    load->table = err == 0 ? to->tables[low] : NULL;
    return err;
}

/* The text of a long key, where it stays until the next entry: rows of lists may follow. */
static int
text_keep(struct weir_savepoint_load *load)
{
    struct savepoint_key *key = &load->key;
    uint32_t bytes = (uint32_t)key->word[0];
    if (bytes > WEIR_KEY_TEXT_INLINE_BYTES) {
        char *text = weir_state_room_for(&load->text_room, bytes);
        if (text == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a key of %" PRIu32 " bytes", bytes);
        }
        memcpy(text, key->heap + key->word[WEIR_KEY_TEXT_WORD_CNT - 1], bytes);
        key->word[WEIR_KEY_TEXT_WORD_CNT - 1] = 0;
        key->heap = text;
    }
    return 0;
}

/* A value for the disk: nothing was added to it yet. */
static int
disk_entry_make(struct weir_savepoint_load *load, uint64_t hash, void **ret_val)
{
    const struct load_state *to = &load->states[load->state];
    const struct weir_spill_key key = {hash, load->key.word, load->key.heap, load->key_group};
    uint32_t bytes = load->table->spec.val_bytes;
    char *val = weir_state_room_for(&load->val_room, bytes);
    if (val == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a value of %" PRIu32 " bytes", bytes);
    }
    memset(val, 0, bytes);
    *ret_val = val;
    return weir_spill_load_key(to->disk, to->desc, &key);
}

static int
entry_make(struct weir_savepoint_load *load, struct savepoint_in *in)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[load->state];
    struct weir_table *table = load->table;
    uint32_t max = load->arena->spec.max_parallelism;
    struct savepoint_key *key = &load->key;
    weir_savepoint_get_key(in, state, key);
    if (in->is_bad) {
        return malformed(load, "a key is malformed");
    }
    uint64_t hash = state->has_no_key ? weir_savepoint_hash_no_key(load->key_group, max)
                                      : weir_table_stored_key_hash(table, key->word);
    if (weir_hash_key_group(hash, max) != load->key_group) {
        return malformed(load, "a key is of another key group");
    }
    int err = state->key_kind == WEIR_KEY_STR ? text_keep(load) : 0;
    const struct weir_table_rows rows = {.hash = &hash,
        .key = (const char *)key->word,
        .heap = key->heap,
        .key_stride = sizeof key->word,
        .cnt = 1};
    bool made = true;
    void *val;
    if (load->states[load->state].disk != NULL) {
        err = err < 0 ? err : disk_entry_make(load, hash, &val);
    } else {
        err = err < 0 ? err : weir_table_find_or_make(table, &rows, &val, &made);
    }
    if (err < 0 || !made) {
        return err < 0 ? err : malformed(load, "a key stands there twice");
    }
    load->add = (struct weir_state_add){.desc = load->states[load->state].desc,
        .table = table,
        .val = val,
        .key = key->word,
        .heap = key->heap,
        .hash = hash,
        .group = weir_table_group_of(table, hash),
        .store = &load->store,
        .room = &load->room};
    return 0;
}

static int
entry_load(struct weir_savepoint_load *load, struct savepoint_in *in)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[load->state];
    const struct load_state *to = &load->states[load->state];
    bool has_list = false;
    int err = entry_make(load, in);
    if (err == 0 && to->desc->values != NULL && to->desc->values->fresh != NULL) {
        err = to->desc->values->fresh(to->op, to->desc, load->add.val);
    }
    for (uint32_t i = 0; i < state->field_cnt && err == 0; i++) {
        const struct weir_savepoint_field *was = &state->fields[i];
        struct savepoint_value value;
        if (was->type == WEIR_STATE_LIST) {
            continue;
        }
        weir_savepoint_get_value(in, was, &value);
        if (in->is_bad) {
            return malformed(load, "a value is malformed");
        }
        if (to->map.to[i] != SAVEPOINT_DROPPED) {
            err = weir_savepoint_set_value(
                &value, was->type, &to->now.field[to->map.to[i]].field, load->add.val, NULL);
        }
    }
    for (uint32_t i = 0; i < to->now.field_cnt; i++) {
        has_list |= to->now.field[i].field.type == WEIR_STATE_LIST;
    }
    return err < 0 || to->disk == NULL || has_list
               ? err
               : weir_spill_load_value(to->disk, load->add.val, load->table->spec.val_bytes);
}

/* What a row has that was not saved: zero, and null where it may be. */
static void
row_fresh(const struct weir_schema *schema, char *row)
{
    uint64_t nulls = 0;
    memset(row, 0, schema->row_bytes);
    for (uint32_t i = 0; i < schema->field_cnt && schema->has_nulls; i++) {
        nulls |= schema->fields[i].nullable ? UINT64_C(1) << i : 0;
    }
    if (schema->has_nulls) {
        memcpy(row, &nulls, sizeof nulls);
    }
}

static int
field_load(const struct savepoint_value *value, uint32_t was_type, const struct weir_schema *schema,
    uint32_t idx, struct savepoint_in *in, char *row)
{
    const struct weir_field *field = &schema->fields[idx];
    uint64_t nulls;
    if (value->is_null) {
        return 0; /* as it is at first */
    }
    if (field->nullable && schema->has_nulls) {
        memcpy(&nulls, row, sizeof nulls);
        nulls &= ~(UINT64_C(1) << idx);
        memcpy(row, &nulls, sizeof nulls);
    }
    return weir_savepoint_set_value(value, was_type, field, row, in->at);
}

static int
list_load(struct weir_savepoint_load *load, const struct weir_savepoint_row *saved)
{
    const struct weir_savepoint_state *state = &load->savepoint->states[load->state];
    const struct load_state *to = &load->states[load->state];
    struct savepoint_in in = {saved->body, saved->body + saved->bytes, false};
    struct savepoint_in heap = in;
    uint32_t idx = 0;
    for (uint32_t list = 0; idx < state->field_cnt; idx++) {
        list += state->fields[idx].type == WEIR_STATE_LIST;
        if (list == saved->list) {
            break;
        }
    }
    if (idx == state->field_cnt) {
        return malformed(load, "a row is of no list");
    }
    if (to->map.to[idx] == SAVEPOINT_DROPPED) {
        return 0;
    }
    const struct weir_savepoint_field *was = &state->fields[idx];
    const struct weir_state_field *now = &to->now.field[to->map.to[idx]];
    const struct savepoint_map *map = &to->lists[saved->list - 1];
    uint32_t word_cnt = weir_savepoint_word_cnt(now);
    struct weir_state_row row = {0};
    char *mem = weir_state_room_for(&load->row_room, now->items->row_bytes);
    if (mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a row of a list");
    }
    row_fresh(now->items, mem);
    row.row = mem;
    row.heap = heap.at;
    int err = 0;
    for (uint32_t i = 0; i < was->item_cnt && err == 0; i++) {
        struct savepoint_value value;
        weir_savepoint_get_value(&in, &was->items[i], &value);
        if (in.is_bad) {
            return malformed(load, "a row is malformed");
        }
        if (map->to[i] < word_cnt) {
            row.word[map->to[i]] = (int64_t)value.word;
        } else if (map->to[i] != SAVEPOINT_DROPPED) {
            err = field_load(&value, was->items[i].type, now->items,
                (uint32_t)map->to[i] - word_cnt, &heap, mem);
        }
    }
    load->add.field = to->map.to[idx];
    if (err < 0) {
        return err;
    }
    return to->disk != NULL ? weir_spill_load_row(to->disk, to->desc, &row)
                            : to->desc->values->add(to->op, &load->add, &row);
}

int
weir_savepoint_load_row(struct weir_savepoint_load *load, const struct weir_savepoint_row *row)
{
    if (load->state != row->state || load->ns != row->ns || load->key_group != row->key_group) {
        int err = table_enter(load, row);
        if (err < 0) {
            return err;
        }
    }
    if (load->table == NULL) {
        return 0;
    }
    if (row->list == SAVEPOINT_TAG_ENTRY) {
        struct savepoint_in in = {row->body, row->body + row->bytes, false};
        return entry_load(load, &in);
    }
    return load->add.val != NULL ? list_load(load, row)
                                 : malformed(load, "a row of a list comes before its key");
}

/* ---- parts ---- */

static int
parts_put(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *op,
    uint32_t subtask, struct weir_parts_writer *writer, size_t *ret_bytes)
{
    weir_parts_writer_of(writer, op->uid);
    for (uint32_t i = op->first_part; i < op->first_part + op->part_cnt; i++) {
        const struct weir_savepoint_part *part = &savepoint->parts[i];
        if (part->subtask == subtask) {
            weir_parts_begin(writer, part->name, part->version);
            weir_parts_put(writer, part->data, part->bytes);
            weir_parts_end(writer);
        }
    }
    return weir_parts_finish(writer, ret_bytes);
}

static uint64_t
room_of(const struct weir_savepoint *savepoint, const struct weir_savepoint_operator *op,
    uint32_t subtask)
{
    uint64_t room = WEIR_PARTS_HEAD_BYTES + PART_BYTES_MORE;
    for (uint32_t i = op->first_part; i < op->first_part + op->part_cnt; i++) {
        const struct weir_savepoint_part *part = &savepoint->parts[i];
        if (part->subtask == subtask) {
            room += part->bytes + strlen(part->name) + strlen(op->uid) + PART_BYTES_MORE;
        }
    }
    return weir_align_up(room, sizeof(uint64_t));
}

/* The buffers of operators by this uid (NULL: of all) into mem, their readers at `readers`; NULL:
 * only how many there are, and the bytes that they take. */
static int
parts_build(const struct weir_savepoint *savepoint, const char *uid, char *mem,
    struct weir_parts_reader *readers, struct weir_savepoint_totals *ret_size)
{
    memset(ret_size, 0, sizeof *ret_size);
    for (uint32_t o = 0; o < savepoint->operator_cnt; o++) {
        const struct weir_savepoint_operator *op = &savepoint->operators[o];
        uint32_t subtask = 0;
        bool is_asked = uid == NULL || strcmp(op->uid, uid) == 0;
        uint32_t cnt = is_asked ? subtasks_of(savepoint, op, UINT32_MAX, &subtask) : 0;
        for (uint32_t i = 0; i < cnt; i++) {
            struct weir_parts_writer writer;
            size_t bytes;
            (void)subtasks_of(savepoint, op, i, &subtask);
            uint64_t room = room_of(savepoint, op, subtask);
            if (readers != NULL) {
                struct weir_parts_reader *reader = &readers[ret_size->rows];
                weir_parts_writer_init(&writer, mem + ret_size->bytes, room);
                int err = parts_put(savepoint, op, subtask, &writer, &bytes);
                err = err < 0 ? err : weir_parts_reader_init(reader, mem + ret_size->bytes, bytes);
                if (err < 0) {
                    return err;
                }
                char *name = mem + ret_size->bytes + room; /* as long as the reader is used */
                memcpy(name, op->uid, strlen(op->uid) + 1);
                weir_parts_reader_of(reader, name);
            }
            ret_size->rows++;
            ret_size->bytes += room + weir_align_up(strlen(op->uid) + 1, sizeof(uint64_t));
        }
    }
    return 0;
}

int
weir_savepoint_parts(const struct weir_savepoint *savepoint, const char *uid,
    struct weir_parts_reader **ret_readers, uint32_t *ret_cnt)
{
    struct weir_savepoint_totals size;
    struct weir_parts_reader *readers = NULL;
    int err = parts_build(savepoint, uid, NULL, NULL, &size);
    uint32_t cnt = (uint32_t)size.rows;
    if (err == 0 && cnt > 0) {
        readers = calloc(1, cnt * sizeof *readers + size.bytes);
        err = readers != NULL ? parts_build(savepoint, uid, (char *)(readers + cnt), readers, &size)
                              : weir_err_push(WEIR_ENOMEM, "the parts of a savepoint");
    }
    if (err < 0) {
        free(readers);
        return err;
    }
    *ret_readers = readers;
    *ret_cnt = cnt;
    return 0;
}
