/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint.h: the state of a job as rows with names: by key group, in an order that the state
 * alone decides.
 *
 * A checkpoint holds pages, as they lie in memory. A savepoint holds what they mean: keys, fields
 * by name and type, rows of lists, timers, and the small parts of all operators. It can be read by
 * a job whose states have other fields (those of one name are converted), with any number of
 * subtasks and under any cut. The same state makes the same bytes, however many subtasks held it,
 * and however many writers write it: writer i of n has key groups [i max / n, (i + 1) max / n), and
 * what the writers put out, one behind the other, is one stream. It is the payload of snapshot
 * files (snapshot.h); a manifest of kind savepoint names them, in that order.
 *
 * [format: Checkpoints / Savepoint (WEIR_SAVEPOINT_VERSION)]
 *
 *     stream   HEAD  OPERATOR ..  STATE ..  TABLES ..  PART ..        the catalogue
 *              { GROUP  { TABLE  ROWS .. } ..  GROUP_END } ..          key groups, upward
 *              END
 *
 *     record   | body bytes u32 | kind u8 | version u8 | 0 u16 | crc u32 | body |
 *              crc: CRC32C of the head, its last field as 0, and the body
 *
 *     1 HEAD       "WEIRSAVE", hash version u32, key groups u32, operators u32, states u32, parts
 *                  u32, job text
 *     2 OPERATOR   uid text, type text, key groups u32                     by uid
 *     3 STATE      operator u32, name text, key kind u8, flags u8 (1 no key, 2 timers),
 *                  tail u8 x text, fields                                  by operator, then name
 *     4 TABLES     state u32, count u32 x (namespace i64, owner u64)       by state, then namespace
 *     5 PART       operator u32, name text, version u32, kind u8, subtask u32, bytes u32, the bytes
 *                                                            by operator, then name, then subtask
 *     6 GROUP      key group u32
 *     7 TABLE      state u32, namespace i64                                as in TABLES
 *     8 ROWS       of that table: entries in the order of their hashes, then keys
 *          entry   0 u8, key, tail, the fields that are no lists
 *          row     1 + number of the list among the lists u8, words, fields: of the last entry
 *     9 GROUP_END  key group u32, entries u64, rows u64
 *    10 END        key groups u32
 *
 *     text    bytes u16, the bytes
 *     fields  count u16 x (name text, type u8, flags u8 (1 may be null), scale u16, bytes u32),
 *             each of type list followed by the fields of its rows, the words among them
 *     key     i64; i64 i64; or: bytes u32, its hash u64 if they are more than 20, the bytes
 *     value   bool u8, i32, i64, f64, ts, time, decimal i64, string: bytes u32 and the bytes;
 *             bytes; where it may be null u8 before it: 1, and no more, for null
 *
 * [end of format]
 *
 * Little-endian; nothing is padded. A record of ROWS is closed by the first row that makes its body
 * as long as WEIR_SAVEPOINT_ROWS_BYTES; a key group without entries is left out.
 *
 * Source: Flink's canonical savepoint format and its POJO serializer's rules of evolution; there in
 * the order of a backend.
 */
#ifndef WEIR_DATAPLANE_SAVEPOINT_H
#define WEIR_DATAPLANE_SAVEPOINT_H

#include "dataplane/parts.h"
#include "dataplane/snapshot.h"
#include "dataplane/state.h"

WEIR_C_BEGIN

#define WEIR_SAVEPOINT_VERSION 1
#define WEIR_SAVEPOINT_MAGIC "WEIRSAVE"
#define WEIR_SAVEPOINT_HEAD_BYTES 12
#define WEIR_SAVEPOINT_ROWS_BYTES 32768
/* A row of the longest strings, and the parts of an operator. */
#define WEIR_SAVEPOINT_RECORD_BYTES_MAX (256 * WEIR_MIB)
#define WEIR_SAVEPOINT_OPERATOR_CNT_MAX 4096
#define WEIR_SAVEPOINT_STATE_CNT_MAX 16384
#define WEIR_SAVEPOINT_PART_CNT_MAX 1048576
/* Looked at by one fill; the rest comes with the next. */
#define WEIR_SAVEPOINT_LOOK_CNT 16384

enum weir_savepoint_kind {
    WEIR_SAVEPOINT_HEAD = 1,
    WEIR_SAVEPOINT_OPERATOR,
    WEIR_SAVEPOINT_STATE,
    WEIR_SAVEPOINT_TABLES,
    WEIR_SAVEPOINT_PART,
    WEIR_SAVEPOINT_GROUP,
    WEIR_SAVEPOINT_TABLE,
    WEIR_SAVEPOINT_ROWS,
    WEIR_SAVEPOINT_GROUP_END,
    WEIR_SAVEPOINT_END,
    WEIR_SAVEPOINT_KIND_CNT
};

/* ---- the catalogue ---- */

struct weir_savepoint_field {
    const char *name;
    uint16_t type; /* enum weir_type, WEIR_STATE_BYTES, WEIR_STATE_LIST */
    uint16_t scale;
    uint32_t bytes; /* WEIR_STATE_BYTES only */
    bool nullable;
    uint32_t item_cnt; /* WEIR_STATE_LIST only */
    const struct weir_savepoint_field *items;
};

struct weir_savepoint_table {
    int64_t ns;
    uint64_t owner; /* weir_table_owner_set */
};

struct weir_savepoint_state {
    const char *name;
    uint32_t op_idx;
    uint32_t key_kind; /* enum weir_key_kind */
    bool has_no_key;
    bool is_timers;
    uint32_t tail_cnt;
    const char *tail[WEIR_STATE_WORD_CNT_MAX];
    uint32_t field_cnt;
    const struct weir_savepoint_field *fields;
    uint32_t table_cnt;
    const struct weir_savepoint_table *tables;
};

struct weir_savepoint_operator {
    const char *uid;
    const char *type;
    uint32_t parallelism_max;
    uint32_t state_cnt; /* its states and parts lie side by side */
    uint32_t first_state;
    uint32_t part_cnt;
    uint32_t first_part;
};

struct weir_savepoint_part {
    const char *name;
    uint32_t op_idx;
    uint32_t version;
    uint32_t kind; /* enum weir_state_part_kind */
    uint32_t subtask;
    uint32_t bytes;
    const char *data;
};

struct weir_savepoint {
    const char *job;
    uint32_t group_cnt; /* the most of any operator */
    uint32_t operator_cnt;
    uint32_t state_cnt;
    uint32_t part_cnt;
    const struct weir_savepoint_operator *operators;
    const struct weir_savepoint_state *states;
    const struct weir_savepoint_part *parts;
};

/* weir_savepoint_type_text - a field's type as messages and `weir savepoint show` have it. */
#define WEIR_SAVEPOINT_TYPE_BYTES 64
WEIR_API void weir_savepoint_type_text(
    const struct weir_savepoint_field *field, char ret[WEIR_SAVEPOINT_TYPE_BYTES]);
WEIR_API const char *weir_savepoint_key_text(const struct weir_savepoint_state *state);

/* ---- writing ---- */

/* What one stage of one subtask has. Nothing of it changes while it is written: it is the arena of
 * a stopped task, or one that was restored from what a capture gave. */
struct weir_savepoint_task {
    const struct weir_arena *arena; /* NULL: no state by key */
    const struct weir_parts_reader *parts; /* NULL: none */
    struct weir_operator *const *ops; /* with conf and schemas; need not be open */
    uint32_t op_cnt;
    uint32_t subtask;
};

struct weir_savepoint_spec {
    const char *job;
    const struct weir_savepoint_task *tasks; /* all of the job */
    uint32_t task_cnt;
    uint32_t writer_idx;
    uint32_t writer_cnt; /* 0: 1 */
};

struct weir_savepoint_totals {
    uint64_t entries;
    uint64_t rows; /* of lists */
    uint64_t bytes;
    uint64_t key_groups;
};

/* How far the writing is. */
struct weir_savepoint_progress {
    uint32_t group_cnt; /* key groups that are written, of */
    uint32_t group_all;
    uint64_t bytes;
};

struct weir_savepoint_source;

/* weir_savepoint_source_open - make the catalogue, and stand before its first byte.
 *
 * Owner:   borrows all of spec until close. Errors: WEIR_ESTATE: a state that cannot be written, or
 *          that two tasks hold; WEIR_EDATA: a malformed part; WEIR_EINVAL, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_USE int weir_savepoint_source_open(
    const struct weir_savepoint_spec *spec, struct weir_savepoint_source **ret_source);
/* weir_savepoint_source_close - takes NULL. */
WEIR_API void weir_savepoint_source_close(struct weir_savepoint_source *source);
/* weir_savepoint_fill - the next bytes of the stream: the fill of struct weir_snapshot_source.
 *
 * Returns: bytes; 0 at the end; WEIR_SNAPSHOT_BUSY where nothing came of WEIR_SAVEPOINT_LOOK_CNT
 *          looks; or an error: WEIR_ENOMEM; WEIR_EDATA: a row longer than a record may be.
 * Cost:    bounded by bytes, the looks, and one row.
 */
WEIR_API WEIR_MUST_USE int64_t weir_savepoint_fill(void *source, void *buf, uint64_t bytes);
WEIR_API const struct weir_savepoint *
weir_savepoint_source_catalogue(const struct weir_savepoint_source *source);
WEIR_API const struct weir_savepoint_totals *
weir_savepoint_source_totals(const struct weir_savepoint_source *source);
WEIR_API struct weir_savepoint_progress
weir_savepoint_source_progress(const struct weir_savepoint_source *source);
/* weir_savepoint_source_groups - where key groups lie, for the file's footer; whole at the end. */
WEIR_API const struct weir_snapshot_group *
weir_savepoint_source_groups(const struct weir_savepoint_source *source, uint32_t *ret_cnt);

/* ---- reading ---- */

/* An entry of a table, or a row of one of its lists, as it stands in the stream. */
struct weir_savepoint_row {
    const struct weir_savepoint *savepoint;
    uint32_t state;
    uint32_t list; /* 0: an entry; else 1 + the number of the list among its state's lists */
    int64_t ns;
    uint32_t key_group;
    const char *body; /* behind the tag */
    uint64_t bytes;
};

struct weir_savepoint_events {
    /* The catalogue is whole; NULL: no care. An error ends the reading, as one of row does. */
    int (*begin)(void *arg, const struct weir_savepoint *savepoint);
    int (*row)(void *arg, const struct weir_savepoint_row *row); /* NULL: no care */
    void *arg;
};

struct weir_savepoint_reader;

/* weir_savepoint_reader_open - Errors: WEIR_ENOMEM. Memory: the catalogue, and one record. */
WEIR_API WEIR_MUST_USE int weir_savepoint_reader_open(
    const struct weir_savepoint_events *events, struct weir_savepoint_reader **ret_reader);
WEIR_API void weir_savepoint_reader_close(struct weir_savepoint_reader *reader);
/* weir_savepoint_take - the next bytes of the stream, cut anywhere: the sink of struct
 * weir_snapshot_ask, for one file after the other.
 *
 * Errors:  WEIR_EDATA with the byte of the stream; WEIR_EFORMAT: another version, or another hash;
 *          WEIR_ENOMEM; those of events. Then the reader is of no more use.
 */
WEIR_API WEIR_MUST_USE int
weir_savepoint_take(void *reader, const void *payload, uint64_t bytes, uint64_t off);
/* weir_savepoint_reader_end - the stream is whole. WEIR_EDATA where it is not. */
WEIR_API WEIR_MUST_USE int weir_savepoint_reader_end(struct weir_savepoint_reader *reader);
/* weir_savepoint_reader_catalogue - NULL until it is whole; good until close. */
WEIR_API const struct weir_savepoint *
weir_savepoint_reader_catalogue(const struct weir_savepoint_reader *reader);
WEIR_API const struct weir_savepoint_totals *
weir_savepoint_reader_totals(const struct weir_savepoint_reader *reader);

/* ---- restoring ----
 *
 * Fields of a value, and of rows of lists, are matched by their names. Of one name they must have
 * one type, or one of these: i32 becomes i64 or f64; ts becomes time and the other way; what could
 * not be null may be. A field that is new has what a fresh value has (zero, or null); one that is
 * gone is dropped. Keys do not change.
 */

/* weir_savepoint_check - whether the operators of a job take this state up.
 *
 * Shape:   ops: one of each uid of the job, of any subtask. may_drop: state that no operator takes
 *          up is left behind (--allow-non-restored-state); *ret_dropped counts it.
 * Errors:  WEIR_ESTATE: names the uid (and state) that is missing; or operator, state, field and
 *          both types; or both numbers of key groups.
 */
struct weir_savepoint_ops {
    struct weir_operator *const *ops;
    const uint32_t *parallelism_max; /* of each */
    uint32_t op_cnt;
    bool may_drop;
};
WEIR_API WEIR_MUST_USE int weir_savepoint_check(const struct weir_savepoint *savepoint,
    const struct weir_savepoint_ops *ops, uint32_t *ret_dropped);

struct weir_savepoint_load;
/* weir_savepoint_load_open - the states of a stage's operators into its arena, before they open.
 *
 * Shape:   the arena is fresh; weir_savepoint_check has passed. All tables are made, those without
 *          entries too. What an operator keeps on disk goes there (kindset_spill_rows.h).
 * Owner:   keeps all until close. Errors: WEIR_ESTATE, WEIR_EBUDGET, WEIR_ENOMEM; those of a store.
 */
WEIR_API WEIR_MUST_USE int
weir_savepoint_load_open(const struct weir_savepoint *savepoint, struct weir_arena *arena,
    const struct weir_savepoint_ops *ops, struct weir_savepoint_load **ret_load);
/* weir_savepoint_load_row - one row, as events.row has it; those of key groups of others, and of
 * states of others, are passed over.
 *
 * Errors:  WEIR_EDATA: malformed, a key twice, or one of another key group; WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int
weir_savepoint_load_row(struct weir_savepoint_load *load, const struct weir_savepoint_row *row);
/* weir_savepoint_load_end - all rows have come. Errors: those of a store. */
WEIR_API WEIR_MUST_USE int weir_savepoint_load_end(struct weir_savepoint_load *load);
/* weir_savepoint_load_close - behind the end (or it failed): every line counts as written.
 * Takes NULL. */
WEIR_API void weir_savepoint_load_close(struct weir_savepoint_load *load);

/* weir_savepoint_parts - the parts of an operator, for its restore() (operator.h): *ret_cnt buffers
 * of parts.h, as if so many subtasks had left them. uid NULL: of all operators, as tasks take them
 * up (task.h) that are not the same as before.
 *
 * Owner:   the readers and their buffers are in one allocation: free(*ret_readers). 0: NULL.
 */
WEIR_API WEIR_MUST_USE int weir_savepoint_parts(const struct weir_savepoint *savepoint,
    const char *uid, struct weir_parts_reader **ret_readers, uint32_t *ret_cnt);

WEIR_C_END

#endif
