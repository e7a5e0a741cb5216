/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a savepoint: one step makes a record or a few, fill hands their bytes out. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/hash.h"
#include "dataplane/savepoint_priv.h"

/* A record of TABLES is as long as one of ROWS. */
#define TABLES_CNT (WEIR_SAVEPOINT_ROWS_BYTES / (2 * sizeof(uint64_t)))

int
weir_savepoint_source_open(
    const struct weir_savepoint_spec *spec, struct weir_savepoint_source **ret_source)
{
    struct weir_savepoint_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a savepoint");
    }
    source->spec = *spec;
    source->spec.writer_cnt = spec->writer_cnt != 0 ? spec->writer_cnt : 1;
    uint64_t cnt = source->spec.writer_cnt;
    uint64_t idx = spec->writer_idx;
    int err = idx < cnt ? 0
                        : weir_err_push(WEIR_EINVAL, "a savepoint's writer %u of %u",
                              spec->writer_idx, spec->writer_cnt);
    err = err < 0 ? err : weir_savepoint_gather(source);
    if (err == 0) {
        uint64_t groups = source->savepoint.group_cnt;
        source->group = (uint32_t)(groups * idx / cnt);
        source->group_end = (uint32_t)(groups * (idx + 1) / cnt);
        source->group_first = source->group;
        source->phase = idx == 0 ? SAVEPOINT_HEAD : SAVEPOINT_GROUPS;
        source->groups = calloc(source->group_end - source->group + 1, sizeof *source->groups);
        err = source->groups != NULL ? 0 : weir_err_push(WEIR_ENOMEM, "a savepoint");
    }
    if (err < 0) {
        weir_savepoint_source_close(source);
        return err;
    }
    *ret_source = source;
    return 0;
}

void
weir_savepoint_source_close(struct weir_savepoint_source *source)
{
    if (source == NULL) {
        return;
    }
    for (uint32_t i = 0; i < source->disk_cnt; i++) {
        weir_spill_disk_close(source->disks[i].disk);
    }
    weir_savepoint_keep_fini(&source->keep);
    free(source->groups);
    free(source->walk_room.mem);
    free(source->key_room.mem);
    free(source->out.room.mem);
    free(source);
}

/* ---- records ---- */

static uint64_t
record_begin(struct savepoint_out *out, enum weir_savepoint_kind kind)
{
    const struct savepoint_record_head head = {0, (uint8_t)kind, WEIR_SAVEPOINT_VERSION, 0, 0};
    uint64_t at = out->bytes;
    weir_savepoint_put(out, &head, sizeof head);
    return at;
}

static void
record_end(struct savepoint_out *out, uint64_t at)
{
    if (out->err != 0) {
        return;
    }
    char *record = out->room.mem + at;
    uint64_t bytes = out->bytes - at;
    const uint32_t body = (uint32_t)(bytes - WEIR_SAVEPOINT_HEAD_BYTES);
    memcpy(record + offsetof(struct savepoint_record_head, bytes), &body, sizeof body);
    const uint32_t crc = weir_crc32c(0, record, bytes);
    memcpy(record + offsetof(struct savepoint_record_head, crc), &crc, sizeof crc);
}

static uint64_t
body_bytes(const struct savepoint_out *out, uint64_t at)
{
    return out->bytes - at - WEIR_SAVEPOINT_HEAD_BYTES;
}

/* ---- the catalogue ---- */

static void
head_put(struct weir_savepoint_source *source)
{
    struct savepoint_out *out = &source->out;
    const struct weir_savepoint *savepoint = &source->savepoint;
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_HEAD);
    weir_savepoint_put(out, WEIR_SAVEPOINT_MAGIC, sizeof WEIR_SAVEPOINT_MAGIC - 1);
    weir_savepoint_put_u32(out, WEIR_HASH_VERSION);
    weir_savepoint_put_u32(out, savepoint->group_cnt);
    weir_savepoint_put_u32(out, savepoint->operator_cnt);
    weir_savepoint_put_u32(out, savepoint->state_cnt);
    weir_savepoint_put_u32(out, savepoint->part_cnt);
    weir_savepoint_put_text(out, savepoint->job);
    record_end(out, at);
}

static void
operator_put(struct savepoint_out *out, const struct weir_savepoint_operator *op)
{
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_OPERATOR);
    weir_savepoint_put_text(out, op->uid);
    weir_savepoint_put_text(out, op->type);
    weir_savepoint_put_u32(out, op->parallelism_max);
    record_end(out, at);
}

static void
state_put(struct savepoint_out *out, const struct weir_savepoint_state *state)
{
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_STATE);
    uint8_t flags = (uint8_t)((state->has_no_key ? SAVEPOINT_FLAG_NO_KEY : 0) |
                              (state->is_timers ? SAVEPOINT_FLAG_TIMERS : 0));
    weir_savepoint_put_u32(out, state->op_idx);
    weir_savepoint_put_text(out, state->name);
    weir_savepoint_put_u8(out, (uint8_t)state->key_kind);
    weir_savepoint_put_u8(out, flags);
    weir_savepoint_put_u8(out, (uint8_t)state->tail_cnt);
    for (uint32_t i = 0; i < state->tail_cnt; i++) {
        weir_savepoint_put_text(out, state->tail[i]);
    }
    weir_savepoint_put_fields(out, state->fields, state->field_cnt);
    record_end(out, at);
}

/* Some of the tables of state source->at. */
static void
tables_put(struct weir_savepoint_source *source)
{
    struct savepoint_out *out = &source->out;
    const struct weir_savepoint_state *state = &source->savepoint.states[source->at];
    uint32_t cnt = weir_min_u32(state->table_cnt - source->table_at, TABLES_CNT);
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_TABLES);
    weir_savepoint_put_u32(out, source->at);
    weir_savepoint_put_u32(out, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        const struct weir_savepoint_table *table = &state->tables[source->table_at + i];
        weir_savepoint_put_u64(out, (uint64_t)table->ns);
        weir_savepoint_put_u64(out, table->owner);
    }
    record_end(out, at);
    source->table_at += cnt;
    if (source->table_at == state->table_cnt) {
        source->at++;
        source->table_at = 0;
    }
}

static void
part_put(struct savepoint_out *out, const struct weir_savepoint_part *part)
{
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_PART);
    weir_savepoint_put_u32(out, part->op_idx);
    weir_savepoint_put_text(out, part->name);
    weir_savepoint_put_u32(out, part->version);
    weir_savepoint_put_u8(out, (uint8_t)part->kind);
    weir_savepoint_put_u32(out, part->subtask);
    weir_savepoint_put_u32(out, part->bytes);
    weir_savepoint_put(out, part->data, part->bytes);
    record_end(out, at);
}

/* ---- rows ---- */

static int
key_put(struct weir_savepoint_source *source, const struct weir_table *table, const uint64_t *key)
{
    struct savepoint_out *out = &source->out;
    uint32_t cnt = table->word_cnt - table->spec.tail_cnt;
    if (table->spec.key_kind != WEIR_KEY_STR) {
        weir_savepoint_put(out, key, cnt * sizeof *key);
    } else {
        uint32_t bytes = weir_table_key_bytes(key);
        char *text = weir_state_room_for(&source->key_room, (uint64_t)bytes + 1);
        if (text == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a key of %u bytes", bytes);
        }
        weir_table_key_text(table, key, text);
        weir_savepoint_put_u32(out, bytes);
        if (bytes > WEIR_KEY_TEXT_INLINE_BYTES) {
            weir_savepoint_put_u64(out, weir_table_stored_key_hash(table, key));
        }
        weir_savepoint_put(out, text, bytes);
    }
    weir_savepoint_put(out, key + cnt, table->spec.tail_cnt * sizeof *key);
    return 0;
}

/* The same of an entry on disk, and its value; a list or map has none. */
static int
disk_key_put(
    struct weir_savepoint_source *source, const struct savepoint_table *at, const char **ret_val)
{
    struct savepoint_out *out = &source->out;
    const struct weir_spill_entry *entry = &source->place.disk;
    const struct weir_state_fields *now = &source->now[at->state];
    bool has_list = now->field_cnt > 0 && now->field[0].field.type == WEIR_STATE_LIST;
    bool is_text = at->table->spec.key_kind == WEIR_KEY_STR;
    if ((!has_list && entry->state.bytes != at->table->spec.val_bytes) ||
        (!is_text && entry->key.bytes != at->table->word_cnt * sizeof(uint64_t)) ||
        at->table->spec.tail_cnt != 0) {
        return weir_err_push(WEIR_EFORMAT,
            "state %s of operator %s: a key or value on disk has another length", at->desc->name,
            at->op->uid);
    }
    if (is_text) {
        weir_savepoint_put_u32(out, (uint32_t)entry->key.bytes);
        if (entry->key.bytes > WEIR_KEY_TEXT_INLINE_BYTES) {
            weir_savepoint_put_u64(out, entry->hash);
        }
    }
    weir_savepoint_put(out, entry->key.ptr, entry->key.bytes);
    *ret_val = entry->state.ptr;
    return 0;
}

/* The entry itself: key and scalars. */
static int
entry_put(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    struct savepoint_out *out = &source->out;
    const struct weir_state_fields *now = &source->now[at->state];
    const char *val = place->val[place->entry_at];
    weir_savepoint_put_u8(out, SAVEPOINT_TAG_ENTRY);
    int err = place->is_from_disk
                  ? disk_key_put(source, at, &val)
                  : key_put(source, at->table, &place->key[place->entry_at * at->table->word_cnt]);
    for (uint32_t i = 0; i < now->field_cnt && err == 0; i++) {
        const struct weir_field *field = &now->field[i].field;
        if (field->type != WEIR_STATE_LIST) {
            weir_savepoint_put_value(out, field, val + field->off, NULL);
        }
    }
    place->entries++;
    place->is_in_entry = true;
    place->list = 0;
    for (place->field = 0; place->field < now->field_cnt; place->field++) {
        if (now->field[place->field].field.type == WEIR_STATE_LIST) {
            break;
        }
    }
    memset(&place->walk, 0, sizeof place->walk);
    return err;
}

static void
row_put(struct savepoint_out *out, const struct weir_state_field *list, uint32_t tag,
    const struct weir_state_row *row)
{
    const struct weir_schema *schema = list->items;
    uint64_t nulls = 0;
    weir_savepoint_put_u8(out, (uint8_t)tag);
    for (uint32_t i = 0; i < weir_savepoint_word_cnt(list); i++) {
        weir_savepoint_put_u64(out, (uint64_t)row->word[i]);
    }
    if (schema->has_nulls) {
        memcpy(&nulls, row->row, sizeof nulls);
    }
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        const struct weir_field *field = &schema->fields[i];
        bool is_null = field->nullable && (nulls >> i & 1) != 0;
        if (field->nullable) {
            weir_savepoint_put_u8(out, is_null);
        }
        if (!is_null) {
            weir_savepoint_put_value(out, field, (const char *)row->row + field->off, row->heap);
        }
    }
}

/* The next row of the entry's lists. Returns 1; 0 behind the last; or an error. */
static int
list_put(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    const struct weir_state_fields *now = &source->now[at->state];
    while (place->field < now->field_cnt) {
        const struct weir_state_field *field = &now->field[place->field];
        if (field->field.type == WEIR_STATE_LIST) {
            struct weir_state_row row = {0};
            place->walk.desc = at->desc;
            place->walk.table = at->table;
            place->walk.val = place->val[place->entry_at];
            place->walk.field = place->field;
            place->walk.room = &source->walk_room;
            int got = place->is_from_disk ? weir_spill_disk_row(at->disk, &place->disk.state,
                                                &source->walk_room, &row)
                                          : at->desc->values->next(at->op, &place->walk, &row);
            if (got > 0) {
                place->rows++;
                row_put(&source->out, field, 1 + place->list, &row);
            }
            if (got != 0) {
                return got;
            }
            memset(&place->walk, 0, sizeof place->walk);
            place->list++;
        }
        place->field++;
    }
    return 0;
}

/* Whether there are rows of the key group in the table at hand: its next bucket. */
static bool
bucket_have(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    const struct weir_arena *arena = at->table->arena;
    if (place->entry_at < place->entry_cnt) {
        return true;
    }
    source->look_cnt++;
    if (!weir_arena_owns(arena, source->group)) {
        return false;
    }
    place->cursor.group = source->group - arena->spec.groups.first;
    place->entry_at = 0;
    place->entry_cnt = weir_table_scan_ordered(at->table, &place->cursor, place->key, place->val);
    return place->entry_cnt > 0;
}

/* The next entry of the table on disk. */
static int
disk_step(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    const struct weir_arena_spec *spec = &at->table->arena->spec;
    const struct weir_spill_ask ask = {
        at->here, at->table->spec.state_id, source->group, spec->max_parallelism};
    source->look_cnt++;
    int got = place->is_disk_open ? weir_spill_disk_next(at->disk, &place->disk)
                                  : weir_spill_disk_seek(at->disk, &ask, &place->disk);
    place->is_disk_open = true;
    place->has_disk = got > 0;
    return got;
}

/* Whether there is an entry of the key group in the table at hand: 1, 0 or an error. The next one
 * in the order of hashes is that of the pages or that on disk. */
static int
entry_have(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    if (place->is_in_entry) {
        return 1;
    }
    bool has_page = bucket_have(source, at);
    place->is_from_disk = false;
    if (at->disk == NULL || !weir_arena_owns(at->table->arena, source->group)) {
        return has_page;
    }
    int err = place->is_disk_open ? 0 : disk_step(source, at);
    if (err < 0) {
        return err;
    }
    place->is_from_disk =
        place->has_disk &&
        (!has_page || place->disk.hash < weir_table_stored_hash(at->table,
                                             &place->key[place->entry_at * at->table->word_cnt]));
    return has_page || place->has_disk;
}

/* The entry at hand is written. */
static int
entry_end(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    place->is_in_entry = false;
    if (place->is_from_disk) {
        int got = disk_step(source, at);
        return got < 0 ? got : 0;
    }
    place->entry_at++;
    return 0;
}

static void
group_begin(struct weir_savepoint_source *source)
{
    struct savepoint_out *out = &source->out;
    source->groups[source->group_cnt] = (struct weir_snapshot_group){
        .off = source->totals.bytes + out->bytes, .key_group = source->group};
    uint64_t at = record_begin(out, WEIR_SAVEPOINT_GROUP);
    weir_savepoint_put_u32(out, source->group);
    record_end(out, at);
    source->place.is_group_open = true;
}

static void
group_end(struct weir_savepoint_source *source)
{
    struct savepoint_out *out = &source->out;
    struct savepoint_place *place = &source->place;
    if (place->is_group_open) {
        uint64_t at = record_begin(out, WEIR_SAVEPOINT_GROUP_END);
        weir_savepoint_put_u32(out, source->group);
        weir_savepoint_put_u64(out, place->entries);
        weir_savepoint_put_u64(out, place->rows);
        record_end(out, at);
        struct weir_snapshot_group *group = &source->groups[source->group_cnt++];
        group->bytes = source->totals.bytes + out->bytes - group->off;
        source->totals.entries += place->entries;
        source->totals.rows += place->rows;
        source->totals.key_groups++;
    }
    memset(place, 0, offsetof(struct savepoint_place, key));
    source->group++;
}

static void
table_begin(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_out *out = &source->out;
    if (!source->place.is_group_open) {
        group_begin(source);
    }
    uint64_t record = record_begin(out, WEIR_SAVEPOINT_TABLE);
    weir_savepoint_put_u32(out, at->state);
    weir_savepoint_put_u64(out, (uint64_t)at->table->ns);
    record_end(out, record);
    source->place.is_table_open = true;
}

/* A record of rows of the table at hand, of which there is at least one. */
static int
rows_put(struct weir_savepoint_source *source, const struct savepoint_table *at)
{
    struct savepoint_place *place = &source->place;
    struct savepoint_out *out = &source->out;
    if (!place->is_table_open) {
        table_begin(source, at);
    }
    uint64_t record = record_begin(out, WEIR_SAVEPOINT_ROWS);
    int err = 0;
    while (err == 0 && out->err == 0 && (err = entry_have(source, at)) > 0) {
        err = place->is_in_entry ? list_put(source, at) : entry_put(source, at);
        err = err > 0 ? 0 : err;
        if (err == 0 && place->field == source->now[at->state].field_cnt) {
            err = entry_end(source, at);
        }
        if (body_bytes(out, record) >= WEIR_SAVEPOINT_ROWS_BYTES) {
            break;
        }
    }
    if (body_bytes(out, record) > 0) {
        record_end(out, record);
    } else {
        out->bytes = record; /* the last row had filled the record before */
    }
    return err;
}

/* The next rows, or the next table, or the end of the key group. */
static int
group_step(struct weir_savepoint_source *source)
{
    struct savepoint_place *place = &source->place;
    if (source->group == source->group_end) {
        bool is_last = source->spec.writer_idx + 1 == source->spec.writer_cnt;
        source->phase = is_last ? SAVEPOINT_END : SAVEPOINT_DONE;
        return 0;
    }
    if (place->table == source->table_cnt) {
        group_end(source);
        return 0;
    }
    const struct savepoint_table *at = &source->tables[place->table];
    int have = entry_have(source, at);
    if (have != 0) {
        return have < 0 ? have : rows_put(source, at);
    }
    const struct savepoint_table *next = at + 1;
    place->table++;
    memset(&place->cursor, 0, sizeof place->cursor);
    place->is_disk_open = false;
    place->has_disk = false;
    /* Tables of the same name in other tasks have other key groups. */
    place->is_table_open = place->is_table_open && place->table < source->table_cnt &&
                           next->state == at->state && next->table->ns == at->table->ns;
    return 0;
}

/* ---- steps ---- */

/* The next record of a list of cnt, or the next phase. */
static bool
is_over(struct weir_savepoint_source *source, uint32_t cnt)
{
    if (source->at < cnt) {
        return false;
    }
    source->phase++;
    source->at = 0;
    return true;
}

static int
step(struct weir_savepoint_source *source)
{
    const struct weir_savepoint *savepoint = &source->savepoint;
    struct savepoint_out *out = &source->out;
    switch (source->phase) {
    case SAVEPOINT_HEAD:
        head_put(source);
        source->phase = SAVEPOINT_OPERATORS;
        break;
    case SAVEPOINT_OPERATORS:
        if (!is_over(source, savepoint->operator_cnt)) {
            operator_put(out, &savepoint->operators[source->at++]);
        }
        break;
    case SAVEPOINT_STATES:
        if (!is_over(source, savepoint->state_cnt)) {
            state_put(out, &savepoint->states[source->at++]);
        }
        break;
    case SAVEPOINT_TABLES:
        if (!is_over(source, savepoint->state_cnt)) {
            tables_put(source);
        }
        break;
    case SAVEPOINT_PARTS:
        if (!is_over(source, savepoint->part_cnt)) {
            part_put(out, &savepoint->parts[source->at++]);
        }
        break;
    case SAVEPOINT_GROUPS:
        return group_step(source);
    case SAVEPOINT_END: {
        uint64_t at = record_begin(out, WEIR_SAVEPOINT_END);
        weir_savepoint_put_u32(out, savepoint->group_cnt);
        record_end(out, at);
        source->phase = SAVEPOINT_DONE;
        break;
    }
    case SAVEPOINT_DONE:
        break;
    }
    return 0;
}

int64_t
weir_savepoint_fill(void *arg, void *buf, uint64_t bytes)
{
    struct weir_savepoint_source *source = arg;
    struct savepoint_out *out = &source->out;
    uint64_t done = 0;
    source->look_cnt = 0;
    while (done < bytes) {
        if (source->out_at < out->bytes) {
            uint64_t cnt = weir_min_u64(out->bytes - source->out_at, bytes - done);
            memcpy((char *)buf + done, out->room.mem + source->out_at, cnt);
            source->out_at += cnt;
            source->totals.bytes += cnt;
            done += cnt;
            continue;
        }
        out->bytes = 0;
        source->out_at = 0;
        if (source->phase == SAVEPOINT_DONE || source->look_cnt >= WEIR_SAVEPOINT_LOOK_CNT) {
            break;
        }
        int err = step(source);
        err = err == 0 ? out->err : err;
        if (err < 0) {
            return err;
        }
    }
    return done > 0 ? (int64_t)done : source->phase == SAVEPOINT_DONE ? 0 : WEIR_SNAPSHOT_BUSY;
}

struct weir_savepoint_progress
weir_savepoint_source_progress(const struct weir_savepoint_source *source)
{
    return (struct weir_savepoint_progress){source->group - source->group_first,
        source->group_end - source->group_first, source->totals.bytes};
}

const struct weir_savepoint *
weir_savepoint_source_catalogue(const struct weir_savepoint_source *source)
{
    return &source->savepoint;
}

const struct weir_savepoint_totals *
weir_savepoint_source_totals(const struct weir_savepoint_source *source)
{
    return &source->totals;
}

const struct weir_snapshot_group *
weir_savepoint_source_groups(const struct weir_savepoint_source *source, uint32_t *ret_cnt)
{
    *ret_cnt = source->group_cnt;
    return source->groups;
}
