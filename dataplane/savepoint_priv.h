/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_priv.h: what writing, reading and restoring a savepoint share: bytes, fields, values.
 *
 * Thread: any; what is not pure belongs to its caller.
 */
#ifndef WEIR_DATAPLANE_SAVEPOINT_PRIV_H
#define WEIR_DATAPLANE_SAVEPOINT_PRIV_H

#include "dataplane/kindset_spill_rows.h"
#include "dataplane/savepoint.h"

WEIR_C_BEGIN

#define SAVEPOINT_TAG_ENTRY 0
#define SAVEPOINT_FLAG_NULLABLE 1
#define SAVEPOINT_FLAG_NO_KEY 1
#define SAVEPOINT_FLAG_TIMERS 2
#define SAVEPOINT_FIELD_CNT_MAX (WEIR_STATE_FIELD_CNT_MAX + WEIR_STATE_WORD_CNT_MAX)

struct savepoint_record_head {
    uint32_t bytes;
    uint8_t kind;
    uint8_t version;
    uint16_t zero;
    uint32_t crc;
};
WEIR_STATIC_ASSERT(
    sizeof(struct savepoint_record_head) == WEIR_SAVEPOINT_HEAD_BYTES, "part of the format");

/* ---- memory that goes as a whole ---- */

struct savepoint_keep {
    struct savepoint_block *last;
};
/* Zeroed; NULL: there is no memory. */
void *weir_savepoint_keep(struct savepoint_keep *keep, uint64_t bytes);
/* A text of so many bytes, with a zero behind it. */
const char *weir_savepoint_keep_text(struct savepoint_keep *keep, const char *text, uint64_t bytes);
void weir_savepoint_keep_fini(struct savepoint_keep *keep);

/* ---- bytes out: the first error stays ---- */

struct savepoint_out {
    struct weir_state_room room;
    uint64_t bytes;
    int err;
};
void weir_savepoint_put(struct savepoint_out *out, const void *data, uint64_t bytes);
void weir_savepoint_put_text(struct savepoint_out *out, const char *text);
static inline void
weir_savepoint_put_u8(struct savepoint_out *out, uint8_t value)
{
    weir_savepoint_put(out, &value, sizeof value);
}
static inline void
weir_savepoint_put_u16(struct savepoint_out *out, uint16_t value)
{
    weir_savepoint_put(out, &value, sizeof value);
}
static inline void
weir_savepoint_put_u32(struct savepoint_out *out, uint32_t value)
{
    weir_savepoint_put(out, &value, sizeof value);
}
static inline void
weir_savepoint_put_u64(struct savepoint_out *out, uint64_t value)
{
    weir_savepoint_put(out, &value, sizeof value);
}
void weir_savepoint_put_fields(
    struct savepoint_out *out, const struct weir_savepoint_field *fields, uint32_t cnt);
/* A value as it lies in a row or a table's entry; heap NULL: texts are inline. */
void weir_savepoint_put_value(
    struct savepoint_out *out, const struct weir_field *field, const void *at, const char *heap);

/* ---- bytes in: reading beyond the end makes it bad, and gives zeros ---- */

struct savepoint_in {
    const char *at;
    const char *end;
    bool is_bad;
};
const char *weir_savepoint_get(struct savepoint_in *in, uint64_t bytes);
uint8_t weir_savepoint_get_u8(struct savepoint_in *in);
uint16_t weir_savepoint_get_u16(struct savepoint_in *in);
uint32_t weir_savepoint_get_u32(struct savepoint_in *in);
uint64_t weir_savepoint_get_u64(struct savepoint_in *in);
/* Kept; NULL where it is bad. */
const char *weir_savepoint_get_text(struct savepoint_in *in, struct savepoint_keep *keep);
/* 0, or WEIR_EDATA without a context: it is bad; WEIR_ENOMEM. */
int weir_savepoint_get_fields(struct savepoint_in *in, struct savepoint_keep *keep,
    const struct weir_savepoint_field **ret_fields, uint32_t *ret_cnt);

struct savepoint_value {
    bool is_null;
    uint64_t word; /* a number, sign-extended */
    struct weir_slice text; /* of strings and bytes; borrows */
};
void weir_savepoint_get_value(struct savepoint_in *in, const struct weir_savepoint_field *field,
    struct savepoint_value *ret_value);

/* A key with its tail as tables take keys: long texts refer to `heap`. */
struct savepoint_key {
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    const char *heap;
};
void weir_savepoint_get_key(struct savepoint_in *in, const struct weir_savepoint_state *state,
    struct savepoint_key *ret_key);

/* ---- what a state is now ---- */

/* Its fields in the form of a catalogue. Memory: keep. */
int weir_savepoint_fields_of(struct savepoint_keep *keep, const struct weir_state_fields *now,
    const struct weir_savepoint_field **ret_fields);
uint32_t weir_savepoint_word_cnt(const struct weir_state_field *list);
/* The hash of the key of no fields, in a key group (keyed.c). */
uint64_t weir_savepoint_hash_no_key(uint32_t key_group, uint32_t group_cnt);

/* ---- evolution ---- */

#define SAVEPOINT_DROPPED UINT16_MAX

/* Where the saved fields go. */
struct savepoint_map {
    uint16_t to[SAVEPOINT_FIELD_CNT_MAX]; /* by saved field: its place now, or DROPPED */
};
/* Fields to match, and whose they are. */
struct savepoint_match {
    const char *uid;
    const char *state;
    const char *list; /* NULL: the value itself */
    const struct weir_savepoint_field *was;
    uint32_t was_cnt;
    const struct weir_savepoint_field *now;
    uint32_t now_cnt;
};
/* WEIR_ESTATE names the field and both types. */
int weir_savepoint_map_fields(const struct savepoint_match *match, struct savepoint_map *ret_map);
/* A value of a saved type into a field of a row (now), whose strings refer to heap; NULL: they must
 * be inline. WEIR_EDATA. */
int weir_savepoint_set_value(const struct savepoint_value *value, uint32_t was_type,
    const struct weir_field *field, void *row, const char *heap);

/* ---- writing ---- */

/* A table of one task, and whose it is. */
struct savepoint_table {
    const struct weir_table *table;
    const struct weir_operator *op;
    const struct weir_state_desc *desc;
    uint32_t state;
    struct weir_spill_disk *disk; /* what its operator has on disk of this state; NULL: nothing */
    const struct weir_table *here; /* keys that count as they are in the pages */
};
/* The keys that an operator has in the pages of one task. */
struct savepoint_here {
    const struct weir_operator *op;
    const struct weir_table *table;
};
/* What an operator has beside all pages. */
struct savepoint_disk {
    const char *uid;
    struct weir_spill_disk *disk;
};
struct savepoint_part {
    const char *uid;
    const char *name;
    const struct weir_operator *op;
    const struct weir_state_part *kind;
    struct weir_part part;
    uint32_t subtask;
};

/* Where the rows of a key group stand. */
struct savepoint_place {
    uint32_t table; /* of source->tables */
    struct weir_table_cursor cursor; /* of it; the group is relative */
    bool is_group_open;
    bool is_table_open; /* its head was written in this key group */
    uint32_t entry_cnt; /* of the bucket at hand */
    uint32_t entry_at;
    bool is_in_entry; /* its own row is written; lists from `field` on are not */
    uint32_t field;
    uint32_t list; /* lists before that field */
    struct weir_state_walk walk;
    bool is_disk_open; /* the first of the table's entries on disk was asked for */
    bool has_disk; /* `disk` is the next one there */
    bool is_from_disk; /* the entry at hand is */
    struct weir_spill_entry disk;
    uint64_t entries; /* of the key group */
    uint64_t rows;
    uint64_t key[WEIR_TABLE_WORD_CNT_MAX * WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
    void *val[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
};

enum savepoint_phase {
    SAVEPOINT_HEAD,
    SAVEPOINT_OPERATORS,
    SAVEPOINT_STATES,
    SAVEPOINT_TABLES,
    SAVEPOINT_PARTS,
    SAVEPOINT_GROUPS,
    SAVEPOINT_END,
    SAVEPOINT_DONE,
};

struct weir_savepoint_source {
    struct weir_savepoint_spec spec;
    struct savepoint_keep keep;
    /* What the tasks have: by operator, state, namespace, key groups; and by operator, name,
     * subtask. */
    struct savepoint_table *tables;
    uint32_t table_cnt;
    struct savepoint_part *parts;
    uint32_t part_cnt;
    struct savepoint_here *heres;
    uint32_t here_cnt;
    struct savepoint_disk *disks;
    uint32_t disk_cnt;
    /* The catalogue, and what its states are. */
    struct weir_savepoint savepoint;
    struct weir_savepoint_operator *operator_rows;
    struct weir_savepoint_state *state_rows;
    struct weir_savepoint_table *table_rows;
    uint32_t table_row_cnt;
    struct weir_savepoint_part *part_rows;
    struct weir_state_fields *now; /* [state] */
    /* What comes next. */
    enum savepoint_phase phase;
    uint32_t at; /* of the phase's records */
    uint32_t table_at; /* TABLES: of the state's */
    uint32_t group;
    uint32_t group_end;
    uint32_t group_first;
    uint32_t look_cnt;
    struct savepoint_place place;
    struct weir_state_room walk_room;
    struct weir_state_room key_room;
    struct savepoint_out out;
    uint64_t out_at;
    struct weir_snapshot_group *groups;
    uint32_t group_cnt;
    struct weir_savepoint_totals totals;
};

/* Fill tables, parts and the catalogue. */
int weir_savepoint_gather(struct weir_savepoint_source *source);

WEIR_C_END

#endif
