/* SPDX-License-Identifier: Apache-2.0 */
/* state.h: what operators keep across a restart: names of states, tables found again, and items of
 * operator state dealt out to the subtasks there are now.
 *
 * State of an operator lies in two places:
 *
 *     keyed     tables (table.h) and what their values refer to, in the pages of the stage's arena.
 *               A restore puts the pages back and makes the tables' indexes again before open():
 *               weir_state_take() in open() finds the table that is there, or takes a new one.
 *     the rest  parts (parts.h), which snapshot() writes and restore() reads. restore() is given
 *               the parts of every subtask that the operator had, in the order of their numbers;
 *               one that had ended before has none.
 *
 * With as many subtasks as before, each is given back its own. With more or fewer,
 *
 *     list      items are dealt out in turn: item i of all goes to subtask i mod subtask_cnt
 *     union     every subtask is given all items and takes what is its own
 *     broadcast every subtask has written the same; each is given one copy, of its own number where
 *               there is one, and of another where that one has left none
 *     keyed     key groups go to their owners, with their pages (capture)
 *     the least of all for watermarks: no row becomes late by it
 *
 * [format: State / Parts of operators (WEIR_STATE_WORD_VERSION)]
 *
 * A part has the uid of its operator and a name. Most are a list or a word:
 *
 *     list     items u64, then of each: bytes u64, the bytes
 *     word     one i64
 *
 * [end of format]
 *
 * A state has a number made of the operator's uid and its own name, so that it is found again
 * whatever else the stage holds. Whether two have the same number is checked when chains are made.
 *
 * Nothing of this is on the path of a row.
 */
#ifndef WEIR_DATAPLANE_STATE_H
#define WEIR_DATAPLANE_STATE_H

#include "dataplane/operator.h"
#include "dataplane/parts.h"
#include "dataplane/table.h"

WEIR_C_BEGIN

struct weir_row_store;

/* ---- states with names ---- */

/* Where pages come to lie elsewhere than they did: who moves them tells where something is now. */
struct weir_state_mover {
    uint32_t (*ref)(void *arg, uint32_t ref); /* of anything in the arena; 0 of 0 */
    uint32_t (*blob)(void *arg, uint32_t ref); /* of a blob, its links written anew; once each */
    void *arg;
};

/* ---- what values are made of: a savepoint writes fields by their names (savepoint.h) ---- */

/* Types of fields beside enum weir_type; part of the format. */
#define WEIR_STATE_BYTES 64 /* so many bytes that only their owner understands */
#define WEIR_STATE_LIST 65 /* rows, in order */

#define WEIR_STATE_WORD_CNT_MAX 2
#define WEIR_STATE_FIELD_CNT_MAX 64

/* A field of a value. */
struct weir_state_field {
    struct weir_field field; /* off: in the value; a string's text lies inline. LIST: its name */
    const struct weir_schema *items; /* LIST: the rows */
    /* LIST: names of numbers beside each row, NULL: none. They begin with '@', as no field of a
     * schema does. */
    const char *word[WEIR_STATE_WORD_CNT_MAX];
};

struct weir_state_fields {
    struct weir_state_field field[WEIR_STATE_FIELD_CNT_MAX];
    uint32_t field_cnt;
    const char *tail[WEIR_STATE_WORD_CNT_MAX]; /* names of the words behind the key */
    uint32_t val_bytes; /* of a value; 0: it ends with its last field */
    uint64_t owner; /* weir_table_owner_set of its tables; 0: as it was saved */
    bool has_no_key; /* the key has no field: all rows are one key, whose hash is not its own */
    bool is_timers;
};

/* One row of a list; borrowed until the next call. */
struct weir_state_row {
    const void *row; /* as the field's schema has it */
    const char *heap; /* of its strings */
    int64_t word[WEIR_STATE_WORD_CNT_MAX];
};

/* Memory that grows; whoever zeroed it frees it. */
struct weir_state_room {
    char *mem;
    uint64_t bytes;
};
/* weir_state_room_for - at least so many bytes, what was in them is kept. NULL: there is no
 * memory. */
WEIR_API char *weir_state_room_for(struct weir_state_room *room, uint64_t bytes);

/* Reading one list of a value. */
struct weir_state_walk {
    const struct weir_state_desc *desc;
    const struct weir_table *table;
    const void *val;
    uint32_t field; /* its number among the fields */
    uint64_t at; /* the state's own; 0 at first */
    struct weir_state_room *room; /* the state's own from the first row to the last */
};

/* Adding a row to the end of a list of a value. */
struct weir_state_add {
    const struct weir_state_desc *desc;
    struct weir_table *table;
    void *val;
    const uint64_t *key; /* with its tail, as tables take keys (table.h) */
    const char *heap; /* of a long text in it */
    uint64_t hash; /* of the key without its tail */
    uint32_t group; /* of the entry, relative */
    uint32_t field;
    struct weir_row_store *store; /* where rows of row_list.h go */
    struct weir_state_room *room; /* of no meaning between calls */
};

/* What a state says of its values; desc is the state's own. op has its conf and schemas, and need
 * not be open. */
struct weir_state_values {
    /* Its fields, into zeroed memory. WEIR_EGRAPH and the like. */
    int (*describe)(const struct weir_operator *op, const struct weir_state_desc *desc,
        struct weir_state_fields *ret_fields);
    /* What fields have that were not there when the state was saved: a value that nothing was
     * added to. NULL: all bytes zero. */
    int (*fresh)(const struct weir_operator *op, const struct weir_state_desc *desc, void *val);
    /* The next row of a list: 1; 0 at the end; or an error. NULL: it has none, as add. */
    int (*next)(const struct weir_operator *op, struct weir_state_walk *walk,
        struct weir_state_row *ret_row);
    int (*add)(const struct weir_operator *op, const struct weir_state_add *add,
        const struct weir_state_row *row);
    /* Made again from another state of the operator, by its add: in no savepoint. */
    bool is_index;
};

/* weir_state_put_field, weir_state_put_aggregate - for describe: one more field that is no list, in
 * 8 bytes; those of an accumulator (resolved) at the start of a value. */
WEIR_API void weir_state_put_field(
    struct weir_state_fields *fields, const char *name, uint32_t type, uint32_t off);
struct weir_aggregate;
WEIR_API void
weir_state_put_aggregate(struct weir_state_fields *fields, const struct weir_aggregate *aggregate);

/* weir_state_describe - the fields of a state: what it says, or the bytes of its values. Errors:
 * WEIR_ESTATE: it holds references and does not say; those of describe. */
WEIR_API WEIR_MUST_USE int weir_state_describe(const struct weir_operator *op,
    const struct weir_state_desc *desc, uint32_t val_bytes, struct weir_state_fields *ret_fields);

/* How the parts of all subtasks become those of one, which a savepoint holds: so it does not depend
 * on how many there were. Where an operator leaves a part that it does not name here, all of its
 * parts stay as they are, one a subtask. */
enum weir_state_part_kind {
    WEIR_STATE_PART_SUBTASK, /* each subtask's own; not to be named */
    WEIR_STATE_PART_LEAST, /* a word: the least */
    WEIR_STATE_PART_LIST, /* all items, by subtask */
    WEIR_STATE_PART_BAG, /* all items, by what they are */
    WEIR_STATE_PART_UNION, /* the same, equal ones once */
    WEIR_STATE_PART_HINT, /* a word that only saves time: 0 */
    /* items of which all have the same: those of the first that has any */
    WEIR_STATE_PART_BROADCAST,
    /* what the chain keeps for an operator: the least; not to be named */
    WEIR_STATE_PART_WATERMARKS,
    WEIR_STATE_PART_KIND_CNT
};
/* The parts of the engine's own (valve.h, channel.h): "chain" of every operator, "gate.N" of inputs
 * from other stages, which is made again from it; those of uid "" and of edges belong to a run. */
#define WEIR_STATE_PART_CHAIN "chain"
#define WEIR_STATE_PART_GATE "gate."
struct weir_state_part {
    const char *name;
    uint32_t kind; /* enum weir_state_part_kind; part of the format */
    /* UNION: where items that begin with the same bytes differ, the parts stay as they are. 0: they
     * do not. */
    uint32_t id_bytes;
};

/* ---- numbers ---- */

/* weir_state_id - the number of a state; never 0. */
WEIR_API uint32_t weir_state_id(const char *uid, const char *name);
/* weir_state_check_ids - no two states of these operators have one number. WEIR_EPLAN names
 * both. */
struct weir_state_owner {
    const char *uid;
    const struct weir_operator_type *type;
    const void *conf; /* as conf_state takes it; NULL: those of the type only */
};
WEIR_API WEIR_MUST_USE int
weir_state_check_ids(const struct weir_state_owner *owners, uint32_t owner_cnt);
/* weir_state_desc_at - state idx of an operator: those of its type, then those of its conf; NULL
 * past the end. */
WEIR_API const struct weir_state_desc *
weir_state_desc_at(const struct weir_state_owner *owner, uint32_t idx);
/* weir_state_desc_of - the state of that number among those of an operator, or NULL. */
WEIR_API const struct weir_state_desc *
weir_state_desc_of(const struct weir_state_owner *owner, uint32_t state_id);

/* ---- tables ---- */

/* weir_state_take - the table of a state and namespace: the one that was restored, or a new one.
 *
 * Shape:   name is one of op->type->states; spec without its state_id.
 * Errors:  WEIR_ESTATE: one was restored, with keys or values of another kind (named);
 *          WEIR_EBUDGET.
 */
WEIR_API WEIR_MUST_USE int weir_state_take(const struct weir_operator *op, const char *name,
    const struct weir_table_spec *spec, int64_t ns, struct weir_table **ret_table);
/* weir_state_find - only if there is one: *ret_table is NULL where not. Errors: WEIR_ESTATE. */
WEIR_API WEIR_MUST_USE int weir_state_find(const struct weir_operator *op, const char *name,
    const struct weir_table_spec *spec, int64_t ns, struct weir_table **ret_table);
/* weir_state_next - the next table of a state, of any namespace, from record *idx on (0 at first),
 * which is then behind it; NULL at the end. */
WEIR_API struct weir_table *
weir_state_next(const struct weir_arena *arena, uint32_t state_id, uint32_t *idx);

/* ---- items of operator state ---- */

/* weir_state_list_begin, weir_state_item, weir_state_list_end - write a list; item_cnt items of
 * `bytes` bytes each follow, as weir_parts_put(). */
static inline void
weir_state_list_begin(
    struct weir_parts_writer *parts, const char *name, uint32_t version, uint64_t item_cnt)
{
    weir_parts_begin(parts, name, version);
    weir_parts_put_u64(parts, item_cnt);
}
static inline void
weir_state_item(struct weir_parts_writer *parts, uint64_t bytes)
{
    weir_parts_put_u64(parts, bytes);
}
static inline void
weir_state_list_end(struct weir_parts_writer *parts)
{
    weir_parts_end(parts);
}

/* Reading one list, out of the parts of all old subtasks. Borrows them. */
struct weir_state_list {
    const struct weir_parts_reader *parts;
    const char *name;
    uint32_t parts_cnt;
    uint32_t version_max;
    uint32_t subtask_idx;
    uint32_t subtask_cnt;
    bool is_union;
    bool is_broadcast;
    bool is_chosen; /* the subtask whose copy of a broadcast list is read */
    uint32_t chosen;
    uint32_t at; /* the old subtask that is being read */
    bool is_open; /* its part is */
    struct weir_part part;
    uint64_t left; /* items of it */
    uint64_t number; /* items so far */
};

/* weir_state_list_init - for the subtask of op; parts: [parts_cnt], at the operator's uid. */
WEIR_API void weir_state_list_init(struct weir_state_list *list, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt);
/* weir_state_list_next - the next item that is this subtask's (is_union: of all), as a part.
 *
 * Shape:   name and version_max, and is_union or is_broadcast, are set by the caller behind init.
 * Returns: 1; 0 at the end.
 * Errors:  WEIR_EDATA: a part is missing or malformed; WEIR_EFORMAT: of a later version.
 */
WEIR_API WEIR_MUST_USE int
weir_state_list_next(struct weir_state_list *list, struct weir_part *ret_item);

/* weir_state_word_least - the least of a number that every old subtask wrote as a part of one u64,
 * or this subtask's own where there are as many as before. Errors as above. */
WEIR_API WEIR_MUST_USE int weir_state_word_least(const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt, const char *name, int64_t *ret_word);
#define WEIR_STATE_WORD_VERSION 1
/* weir_state_put_word - such a part. */
static inline void
weir_state_put_word(struct weir_parts_writer *parts, const char *name, int64_t word)
{
    weir_parts_begin(parts, name, WEIR_STATE_WORD_VERSION);
    weir_parts_put_u64(parts, (uint64_t)word);
    weir_parts_end(parts);
}

WEIR_C_END

#endif
