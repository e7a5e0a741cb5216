/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a savepoint: bytes become records, records the catalogue, then rows. It believes nothing:
 * no count and no length that what is there cannot hold, and no order but that of the header. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/hash.h"
#include "dataplane/savepoint_priv.h"

struct weir_savepoint_reader {
    struct weir_savepoint_events events;
    struct savepoint_keep keep;
    struct weir_state_room room; /* the record that is being gathered */
    uint64_t have; /* bytes of it */
    uint64_t off; /* of its first byte in the stream */
    struct weir_savepoint savepoint;
    struct weir_state_room operators; /* grow as they come, whatever HEAD says */
    struct weir_state_room states;
    struct weir_state_room tables;
    struct weir_state_room parts;
    uint32_t table_cnt;
    uint32_t table_state; /* of the last record of tables */
    uint32_t wanted_operators; /* as HEAD says */
    uint32_t wanted_states;
    uint32_t wanted_parts;
    uint32_t last_kind;
    bool is_begun; /* the catalogue is whole */
    bool is_over;
    int err; /* the first one stays */
    /* the place among rows */
    bool is_in_group;
    bool has_table;
    bool has_entry;
    uint32_t next_group;
    uint32_t group;
    uint32_t state;
    uint32_t table; /* of the state's tables */
    uint64_t entries; /* of the group */
    uint64_t rows;
    struct weir_savepoint_totals totals;
};

int
weir_savepoint_reader_open(
    const struct weir_savepoint_events *events, struct weir_savepoint_reader **ret_reader)
{
    struct weir_savepoint_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a savepoint");
    }
    reader->events = *events;
    *ret_reader = reader;
    return 0;
}

void
weir_savepoint_reader_close(struct weir_savepoint_reader *reader)
{
    if (reader != NULL) {
        weir_savepoint_keep_fini(&reader->keep);
        free(reader->room.mem);
        free(reader->operators.mem);
        free(reader->states.mem);
        free(reader->tables.mem);
        free(reader->parts.mem);
        free(reader);
    }
}

static int
damaged(const struct weir_savepoint_reader *reader, const char *what)
{
    return weir_err_push(
        WEIR_EDATA, "byte %" PRIu64 " of the savepoint's rows: %s", reader->off, what);
}

static int
no_memory(void)
{
    return weir_err_push(WEIR_ENOMEM, "a savepoint");
}

/* ---- the catalogue ---- */

static struct weir_savepoint_operator *
operators_of(struct weir_savepoint_reader *reader)
{
    return (struct weir_savepoint_operator *)(void *)reader->operators.mem;
}

static struct weir_savepoint_state *
states_of(struct weir_savepoint_reader *reader)
{
    return (struct weir_savepoint_state *)(void *)reader->states.mem;
}

/* Room for one more of cnt of `bytes` each, zeroed; NULL: there is no memory. */
static void *
one_more(struct weir_state_room *room, uint32_t cnt, size_t bytes)
{
    char *mem = weir_state_room_for(room, ((uint64_t)cnt + 1) * bytes);
    return mem == NULL ? NULL : memset(mem + (uint64_t)cnt * bytes, 0, bytes);
}

static int
head_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    struct weir_savepoint *savepoint = &reader->savepoint;
    const char *magic = weir_savepoint_get(in, sizeof WEIR_SAVEPOINT_MAGIC - 1);
    uint32_t hash_version = weir_savepoint_get_u32(in);
    savepoint->group_cnt = weir_savepoint_get_u32(in);
    reader->wanted_operators = weir_savepoint_get_u32(in);
    reader->wanted_states = weir_savepoint_get_u32(in);
    reader->wanted_parts = weir_savepoint_get_u32(in);
    savepoint->job = weir_savepoint_get_text(in, &reader->keep);
    if (in->is_bad || memcmp(magic, WEIR_SAVEPOINT_MAGIC, sizeof WEIR_SAVEPOINT_MAGIC - 1) != 0) {
        return damaged(reader, "it does not begin as a savepoint does");
    }
    if (hash_version != WEIR_HASH_VERSION) {
        return weir_err_push(WEIR_EFORMAT, "its keys are hashed by version %" PRIu32 ", not %d",
            hash_version, WEIR_HASH_VERSION);
    }
    if (savepoint->group_cnt > WEIR_KEYGROUP_CNT_MAX ||
        reader->wanted_operators > WEIR_SAVEPOINT_OPERATOR_CNT_MAX ||
        reader->wanted_states > WEIR_SAVEPOINT_STATE_CNT_MAX ||
        reader->wanted_parts > WEIR_SAVEPOINT_PART_CNT_MAX) {
        return damaged(reader, "it has more than there can be");
    }
    return savepoint->job == NULL ? no_memory() : 0;
}

static int
operator_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t cnt = reader->savepoint.operator_cnt;
    if (cnt == reader->wanted_operators) {
        return damaged(reader, "an operator too many");
    }
    struct weir_savepoint_operator *op = one_more(&reader->operators, cnt, sizeof *op);
    if (op == NULL) {
        return no_memory();
    }
    op->uid = weir_savepoint_get_text(in, &reader->keep);
    op->type = weir_savepoint_get_text(in, &reader->keep);
    op->parallelism_max = weir_savepoint_get_u32(in);
    if (in->is_bad || op->parallelism_max > reader->savepoint.group_cnt) {
        return damaged(reader, "an operator is malformed");
    }
    if (op->uid == NULL || op->type == NULL) {
        return no_memory();
    }
    if (cnt > 0 && strcmp(op[-1].uid, op->uid) >= 0) {
        return damaged(reader, "operators are not in order");
    }
    reader->savepoint.operator_cnt++;
    return 0;
}

static int
state_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t cnt = reader->savepoint.state_cnt;
    if (cnt == reader->wanted_states) {
        return damaged(reader, "a state too many");
    }
    struct weir_savepoint_state *state = one_more(&reader->states, cnt, sizeof *state);
    if (state == NULL) {
        return no_memory();
    }
    state->op_idx = weir_savepoint_get_u32(in);
    state->name = weir_savepoint_get_text(in, &reader->keep);
    state->key_kind = weir_savepoint_get_u8(in);
    uint8_t flags = weir_savepoint_get_u8(in);
    state->has_no_key = (flags & SAVEPOINT_FLAG_NO_KEY) != 0;
    state->is_timers = (flags & SAVEPOINT_FLAG_TIMERS) != 0;
    state->tail_cnt = weir_savepoint_get_u8(in);
    if (in->is_bad || state->op_idx >= reader->savepoint.operator_cnt ||
        state->key_kind >= WEIR_KEY_KIND_CNT || state->tail_cnt > WEIR_STATE_WORD_CNT_MAX ||
        flags > (SAVEPOINT_FLAG_NO_KEY | SAVEPOINT_FLAG_TIMERS)) {
        return damaged(reader, "a state is malformed");
    }
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        state->tail[i] = weir_savepoint_get_text(in, &reader->keep);
        if (state->tail[i] == NULL) {
            return in->is_bad ? damaged(reader, "a state is malformed") : no_memory();
        }
    }
    int err = weir_savepoint_get_fields(in, &reader->keep, &state->fields, &state->field_cnt);
    if (err < 0 || state->name == NULL) {
        return err == WEIR_EDATA ? damaged(reader, "the fields of a state are malformed")
                                 : no_memory();
    }
    struct weir_savepoint_operator *op = &operators_of(reader)[state->op_idx];
    if (cnt > 0 &&
        (state[-1].op_idx > state->op_idx ||
            (state[-1].op_idx == state->op_idx && strcmp(state[-1].name, state->name) >= 0))) {
        return damaged(reader, "states are not in order");
    }
    op->first_state = op->state_cnt == 0 ? cnt : op->first_state;
    op->state_cnt++;
    reader->savepoint.state_cnt++;
    return 0;
}

static int
tables_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t idx = weir_savepoint_get_u32(in);
    uint32_t cnt = weir_savepoint_get_u32(in);
    if (in->is_bad || idx >= reader->savepoint.state_cnt || cnt == 0 ||
        (uint64_t)cnt * 2 * sizeof(uint64_t) != (uint64_t)(in->end - in->at)) {
        return damaged(reader, "the tables of a state are malformed");
    }
    struct weir_savepoint_state *state = &states_of(reader)[idx];
    if (idx < reader->table_state || cnt > UINT32_MAX - reader->table_cnt) {
        return damaged(reader, "the tables of states are not in order");
    }
    reader->table_state = idx;
    for (uint32_t i = 0; i < cnt; i++) {
        struct weir_savepoint_table *table =
            one_more(&reader->tables, reader->table_cnt, sizeof *table);
        if (table == NULL) {
            return no_memory();
        }
        table->ns = (int64_t)weir_savepoint_get_u64(in);
        table->owner = weir_savepoint_get_u64(in);
        if (state->table_cnt > 0 && table->ns <= table[-1].ns) {
            return damaged(reader, "the tables of a state are not in order");
        }
        state->table_cnt++;
        reader->table_cnt++;
    }
    return 0;
}

static int
part_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t cnt = reader->savepoint.part_cnt;
    if (cnt == reader->wanted_parts) {
        return damaged(reader, "a part too many");
    }
    struct weir_savepoint_part *part = one_more(&reader->parts, cnt, sizeof *part);
    if (part == NULL) {
        return no_memory();
    }
    part->op_idx = weir_savepoint_get_u32(in);
    part->name = weir_savepoint_get_text(in, &reader->keep);
    part->version = weir_savepoint_get_u32(in);
    part->kind = weir_savepoint_get_u8(in);
    part->subtask = weir_savepoint_get_u32(in);
    part->bytes = weir_savepoint_get_u32(in);
    const char *data = weir_savepoint_get(in, part->bytes);
    if (in->is_bad || part->op_idx >= reader->savepoint.operator_cnt ||
        part->kind >= WEIR_STATE_PART_KIND_CNT || part->subtask >= WEIR_KEYGROUP_CNT_MAX ||
        (part->kind != WEIR_STATE_PART_SUBTASK && part->subtask != 0)) {
        return damaged(reader, "a part is malformed");
    }
    if (part->name == NULL) {
        return no_memory();
    }
    if (part->name[0] == '\0' || strlen(part->name) > WEIR_PARTS_TEXT_BYTES_MAX) {
        return damaged(reader, "a part is malformed");
    }
    struct weir_savepoint_operator *op = &operators_of(reader)[part->op_idx];
    const struct weir_savepoint_part *before = part - 1;
    if (op->part_cnt > 0) {
        int order = before->op_idx == part->op_idx ? strcmp(before->name, part->name) : 1;
        bool is_one = before->kind == WEIR_STATE_PART_SUBTASK;
        if (is_one != (part->kind == WEIR_STATE_PART_SUBTASK) || order > 0 ||
            (order == 0 && (!is_one || before->subtask >= part->subtask))) {
            return damaged(reader, "parts are not in order");
        }
    } else if (cnt > 0 && before->op_idx > part->op_idx) {
        return damaged(reader, "parts are not in order");
    }
    part->data = weir_savepoint_keep_text(&reader->keep, data, part->bytes);
    if (part->data == NULL) {
        return no_memory();
    }
    op->first_part = op->part_cnt == 0 ? cnt : op->first_part;
    op->part_cnt++;
    reader->savepoint.part_cnt++;
    return 0;
}

/* ---- rows ---- */

static int
begin(struct weir_savepoint_reader *reader)
{
    struct weir_savepoint *savepoint = &reader->savepoint;
    if (savepoint->operator_cnt != reader->wanted_operators ||
        savepoint->state_cnt != reader->wanted_states ||
        savepoint->part_cnt != reader->wanted_parts) {
        return damaged(reader, "its catalogue is not whole");
    }
    savepoint->operators = operators_of(reader);
    savepoint->states = states_of(reader);
    savepoint->parts = (const struct weir_savepoint_part *)(void *)reader->parts.mem;
    const struct weir_savepoint_table *table =
        (const struct weir_savepoint_table *)(void *)reader->tables.mem;
    for (uint32_t i = 0; i < savepoint->state_cnt; i++) {
        states_of(reader)[i].tables = table;
        table += savepoint->states[i].table_cnt;
    }
    reader->is_begun = true;
    return reader->events.begin != NULL ? reader->events.begin(reader->events.arg, savepoint) : 0;
}

static int
group_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t group = weir_savepoint_get_u32(in);
    if (in->is_bad || reader->is_in_group || group < reader->next_group ||
        group >= reader->savepoint.group_cnt) {
        return damaged(reader, "a key group is not in order");
    }
    reader->is_in_group = true;
    reader->has_table = false;
    reader->group = group;
    reader->next_group = group + 1;
    reader->entries = 0;
    reader->rows = 0;
    return 0;
}

static int
table_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t idx = weir_savepoint_get_u32(in);
    int64_t ns = (int64_t)weir_savepoint_get_u64(in);
    if (in->is_bad || !reader->is_in_group || idx >= reader->savepoint.state_cnt) {
        return damaged(reader, "a table is malformed");
    }
    const struct weir_savepoint_state *state = &states_of(reader)[idx];
    uint32_t low = 0;
    uint32_t high = state->table_cnt;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->tables[middle].ns < ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == state->table_cnt || state->tables[low].ns != ns ||
        reader->group >= reader->savepoint.operators[state->op_idx].parallelism_max) {
        return damaged(reader, "a table is not in the catalogue");
    }
    if (reader->has_table &&
        (idx < reader->state || (idx == reader->state && low <= reader->table))) {
        return damaged(reader, "tables of a key group are not in order");
    }
    reader->has_table = true;
    reader->has_entry = false;
    reader->state = idx;
    reader->table = low;
    return 0;
}

static void
fields_skip(struct savepoint_in *in, const struct weir_savepoint_field *fields, uint32_t cnt)
{
    struct savepoint_value value;
    for (uint32_t i = 0; i < cnt; i++) {
        if (fields[i].type != WEIR_STATE_LIST) {
            weir_savepoint_get_value(in, &fields[i], &value);
        }
    }
}

/* The fields of list number `tag` (from 1) of a state, or NULL. */
static const struct weir_savepoint_field *
list_of(const struct weir_savepoint_state *state, uint32_t tag)
{
    for (uint32_t i = 0; i < state->field_cnt; i++) {
        if (state->fields[i].type == WEIR_STATE_LIST && --tag == 0) {
            return &state->fields[i];
        }
    }
    return NULL;
}

static int
row_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    const struct weir_savepoint_state *state = &states_of(reader)[reader->state];
    struct weir_savepoint_row row = {.savepoint = &reader->savepoint,
        .state = reader->state,
        .ns = state->tables[reader->table].ns,
        .key_group = reader->group};
    row.list = weir_savepoint_get_u8(in);
    row.body = in->at;
    if (row.list == SAVEPOINT_TAG_ENTRY) {
        struct savepoint_key key;
        weir_savepoint_get_key(in, state, &key);
        fields_skip(in, state->fields, state->field_cnt);
        reader->entries++;
        reader->has_entry = true;
    } else {
        const struct weir_savepoint_field *list = list_of(state, row.list);
        if (list == NULL || !reader->has_entry) {
            return damaged(reader, "a row is of no list");
        }
        fields_skip(in, list->items, list->item_cnt);
        reader->rows++;
    }
    if (in->is_bad) {
        return damaged(reader, "a row is malformed");
    }
    row.bytes = (uint64_t)(in->at - row.body);
    return reader->events.row != NULL ? reader->events.row(reader->events.arg, &row) : 0;
}

static int
rows_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    int err = reader->is_in_group && reader->has_table ? 0 : damaged(reader, "rows of no table");
    while (err == 0 && in->at < in->end) {
        err = row_take(reader, in);
    }
    return err;
}

static int
group_end_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t group = weir_savepoint_get_u32(in);
    uint64_t entries = weir_savepoint_get_u64(in);
    uint64_t rows = weir_savepoint_get_u64(in);
    if (in->is_bad || !reader->is_in_group || group != reader->group) {
        return damaged(reader, "a key group does not end as it began");
    }
    if (entries != reader->entries || rows != reader->rows) {
        return damaged(reader, "a key group has not as many rows as it says");
    }
    reader->is_in_group = false;
    reader->totals.entries += entries;
    reader->totals.rows += rows;
    reader->totals.key_groups++;
    return 0;
}

static int
end_take(struct weir_savepoint_reader *reader, struct savepoint_in *in)
{
    uint32_t groups = weir_savepoint_get_u32(in);
    if (in->is_bad || reader->is_in_group || groups != reader->savepoint.group_cnt) {
        return damaged(reader, "it does not end as it began");
    }
    reader->is_over = true;
    return 0;
}

/* ---- records ---- */

static int
body_take(struct weir_savepoint_reader *reader, uint32_t kind, struct savepoint_in *in)
{
    switch (kind) {
    case WEIR_SAVEPOINT_HEAD:
        return head_take(reader, in);
    case WEIR_SAVEPOINT_OPERATOR:
        return operator_take(reader, in);
    case WEIR_SAVEPOINT_STATE:
        return state_take(reader, in);
    case WEIR_SAVEPOINT_TABLES:
        return tables_take(reader, in);
    case WEIR_SAVEPOINT_PART:
        return part_take(reader, in);
    case WEIR_SAVEPOINT_GROUP:
        return group_take(reader, in);
    case WEIR_SAVEPOINT_TABLE:
        return table_take(reader, in);
    case WEIR_SAVEPOINT_ROWS:
        return rows_take(reader, in);
    case WEIR_SAVEPOINT_GROUP_END:
        return group_end_take(reader, in);
    default:
        return end_take(reader, in);
    }
}

/* Whether a record of this kind may stand here. */
static bool
is_expected(const struct weir_savepoint_reader *reader, uint32_t kind)
{
    if (reader->is_over || kind < WEIR_SAVEPOINT_HEAD || kind >= WEIR_SAVEPOINT_KIND_CNT) {
        return false;
    }
    if (kind == WEIR_SAVEPOINT_HEAD || reader->last_kind == 0) {
        return kind == WEIR_SAVEPOINT_HEAD && reader->last_kind == 0;
    }
    return kind >= WEIR_SAVEPOINT_GROUP || kind >= reader->last_kind;
}

/* A whole record. */
static int
record_take(struct weir_savepoint_reader *reader, const struct savepoint_record_head *head)
{
    char *record = reader->room.mem;
    const uint32_t none = 0;
    struct savepoint_in in = {record + WEIR_SAVEPOINT_HEAD_BYTES, record + reader->have, false};
    uint32_t crc = weir_crc32c(0, record, offsetof(struct savepoint_record_head, crc));
    crc = weir_crc32c(crc, &none, sizeof none);
    crc = weir_crc32c(crc, in.at, (uint64_t)(in.end - in.at));
    if (crc != head->crc || head->zero != 0) {
        return damaged(reader, "a record does not have its checksum");
    }
    if (head->version != WEIR_SAVEPOINT_VERSION) {
        return weir_err_push(WEIR_EFORMAT, "a savepoint of version %u, this program reads %d",
            head->version, WEIR_SAVEPOINT_VERSION);
    }
    if (!is_expected(reader, head->kind)) {
        return damaged(reader, "a record that has no place here");
    }
    int err = head->kind >= WEIR_SAVEPOINT_GROUP && !reader->is_begun ? begin(reader) : 0;
    err = err < 0 ? err : body_take(reader, head->kind, &in);
    if (err == 0 && in.at != in.end) {
        err = damaged(reader, "a record is longer than what it says");
    }
    reader->last_kind = head->kind;
    return err;
}

/* The bytes that the record at hand has in all, as far as they are known. WEIR_EDATA. */
static int
record_bytes(const struct weir_savepoint_reader *reader, struct savepoint_record_head *head,
    uint64_t *ret_bytes)
{
    *ret_bytes = sizeof *head;
    if (reader->have < sizeof *head) {
        return 0;
    }
    memcpy(head, reader->room.mem, sizeof *head);
    *ret_bytes += head->bytes;
    return *ret_bytes <= WEIR_SAVEPOINT_RECORD_BYTES_MAX + sizeof *head
               ? 0
               : damaged(reader, "a record is longer than any may be");
}

static int
take_some(struct weir_savepoint_reader *reader, const char **at, const char *end)
{
    struct savepoint_record_head head;
    uint64_t bytes;
    int err = record_bytes(reader, &head, &bytes);
    if (err < 0) {
        return err;
    }
    uint64_t cnt = weir_min_u64(bytes - reader->have, (uint64_t)(end - *at));
    char *mem = weir_state_room_for(&reader->room, reader->have + cnt);
    if (mem == NULL) {
        return no_memory();
    }
    memcpy(mem + reader->have, *at, cnt);
    reader->have += cnt;
    *at += cnt;
    err = record_bytes(reader, &head, &bytes);
    if (err < 0 || reader->have < bytes) {
        return err;
    }
    err = record_take(reader, &head);
    reader->off += bytes;
    reader->have = 0;
    return err;
}

int
weir_savepoint_take(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct weir_savepoint_reader *reader = arg;
    const char *at = payload;
    const char *end = at + bytes;
    (void)off; /* of one file; the stream goes on over all of them */
    reader->totals.bytes += bytes;
    while (reader->err == 0 && at < end) {
        reader->err = take_some(reader, &at, end);
    }
    return reader->err;
}

int
weir_savepoint_reader_end(struct weir_savepoint_reader *reader)
{
    if (reader->err == 0 && (!reader->is_over || reader->have > 0)) {
        reader->err = damaged(reader, "it is cut off");
    }
    return reader->err;
}

const struct weir_savepoint *
weir_savepoint_reader_catalogue(const struct weir_savepoint_reader *reader)
{
    return reader->is_begun ? &reader->savepoint : NULL;
}

const struct weir_savepoint_totals *
weir_savepoint_reader_totals(const struct weir_savepoint_reader *reader)
{
    return &reader->totals;
}
