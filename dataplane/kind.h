/* SPDX-License-Identifier: Apache-2.0 */
/* kind.h: the kinds of keyed state that a function may declare: value, list, map, reducing,
 * aggregating; each with or without a time to live. And maps of numbers, for ever (numbers.h).
 *
 *     static const struct weir_kind shopper_kinds[] = {
 *         WEIR_KIND_VALUE("last", struct visit, WEIR_TTL(10 * WEIR_MIN)),
 *         WEIR_KIND_LIST("pages", 0, WEIR_NO_TTL),                       elements of any length
 *         WEIR_KIND_MAP("cart", sizeof(int64_t), sizeof(struct line), WEIR_TTL(WEIR_HOUR)),
 *         WEIR_KIND_REDUCING("spent", struct spent, WEIR_NO_TTL),
 *     };
 *     WEIR_REDUCING(spent, struct spent) { to->cents += val->cents; }    defines spent_add()
 *
 *     struct weir_keyed_state *cart = weir_process_state(p, 2);          of the current key
 *     int err = weir_map_put(cart, WEIR_BYTES(&item), WEIR_BYTES(&line));
 *
 * A name is part of what is stored: a state is found again by its operator's uid and its name, with
 * the same kind and sizes, or restoring ends with an error that names it.
 *
 * Time to live: each value, each element of a list and each entry of a map lives for a time after
 * it was written (with reads: or read), in the milliseconds of the host's UTC clock. What has
 * expired is not returned; where the declaration shows it, it is, as long as it is there. It goes
 * when it is met, and a few at a time by and by (clean_cnt of each call of the operator). What had
 * expired at the time of a checkpoint is not there after a restore of it, unless keeps says so.
 *
 * Pointers that calls return are good until the next call on a state of the same operator; those of
 * a state without a time to live until the next one that writes to that state.
 *
 * Errors: WEIR_EBUDGET: the state pages are used up; WEIR_EINVAL: bytes of another length than
 *         declared, or none given; WEIR_EDATA: longer than WEIR_KIND_BYTES_MAX. Misuse of a kind
 *         (a list's call on a map) is a bug and ends the program.
 * Limits: WEIR_KIND_CNT_MAX states of one operator; key and value of an entry together at most
 *         WEIR_KIND_BYTES_MAX bytes. Freeing a whole list or map takes time with its length.
 * Thread: the stage's core only.
 * Source: Flink's State interfaces and StateTtlConfig; what is due when is that of its
 *         TtlValueState and the like. There each state sees null for an absent value, here NULL.
 */
#ifndef WEIR_DATAPLANE_KIND_H
#define WEIR_DATAPLANE_KIND_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_KIND_CNT_MAX 32
#define WEIR_KIND_BYTES_MAX 3968

enum weir_kind_type {
    WEIR_KIND_TYPE_VALUE,
    WEIR_KIND_TYPE_LIST,
    WEIR_KIND_TYPE_MAP,
    WEIR_KIND_TYPE_REDUCING,
    WEIR_KIND_TYPE_AGGREGATING,
    WEIR_KIND_TYPE_NUMBERS,
    WEIR_KIND_TYPE_CNT
};

struct weir_ttl {
    int64_t ms; /* 0: for ever */
    bool on_read; /* reading counts as writing does */
    bool shows_expired; /* what has expired is returned until it is cleaned up */
    bool keeps; /* what had expired at a checkpoint is still there after a restore of it */
    uint32_t clean_cnt; /* entries looked at in each call of the operator; 0: none */
};
/* Entries a call, of up to 4096 rows: a pass over 10^6 keys takes some 10^4 calls. */
#define WEIR_TTL_CLEAN_CNT 64
#define WEIR_TTL(of_ms)                                \
    {                                                  \
        of_ms, false, false, false, WEIR_TTL_CLEAN_CNT \
    }
#define WEIR_TTL_READ(of_ms)                          \
    {                                                 \
        of_ms, true, false, false, WEIR_TTL_CLEAN_CNT \
    }
#define WEIR_NO_TTL               \
    {                             \
        0, false, false, false, 0 \
    }

/* One declared state. Made by the macros below. */
struct weir_kind {
    uint32_t type; /* enum weir_kind_type */
    uint32_t key_bytes; /* of a map's keys; 0: any length. Of numbers: how many maps */
    uint32_t val_bytes; /* of the value, element, map's value, or sum; 0: any length */
    bool has_ns; /* states of one key are told apart by a namespace, weir_state_ns() */
    struct weir_ttl ttl;
    struct weir_state_desc desc[2]; /* its table, and the index of a map */
    /* Of a value or sum of at most WEIR_KIND_INLINE_BYTES_MAX bytes: its fields, by which
     * savepoints know them. NULL: they hold its bytes. */
    const struct weir_schema *(*schema)(void);
    /* A number for what its elements are, of those who make them of something of their own: state
     * that was kept under another one is refused. 0: nobody does. */
    uint64_t content;
};

/* References in state pages of lists and maps, for weir_state_desc. */
WEIR_API int weir_kind_move_items(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val);
WEIR_API int weir_kind_move_index(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val);
WEIR_API int weir_kind_move_numbers(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val);

/* What values are made of, likewise. */
extern WEIR_API const struct weir_state_values weir_kind_inline_values;
extern WEIR_API const struct weir_state_values weir_kind_item_values;
extern WEIR_API const struct weir_state_values weir_kind_index_values;
extern WEIR_API const struct weir_state_values weir_kind_numbers_values;

/* Values of more than WEIR_KIND_INLINE_BYTES_MAX bytes lie as a list of one. */
#define WEIR_KIND_INLINE_BYTES_MAX 248
#define WEIR_KIND_IS_INLINE(bytes) ((bytes) > 0 && (bytes) <= WEIR_KIND_INLINE_BYTES_MAX)
#define WEIR_KIND_NO_DESC \
    {                     \
        NULL, NULL, NULL  \
    }
#define WEIR_KIND_OF(type, name, bytes, fields, ...)                                              \
    {                                                                                             \
        type, 0, bytes, false, __VA_ARGS__,                                                       \
            {{name, WEIR_KIND_IS_INLINE(bytes) ? NULL : weir_kind_move_items,                     \
                 WEIR_KIND_IS_INLINE(bytes) ? &weir_kind_inline_values : &weir_kind_item_values}, \
                WEIR_KIND_NO_DESC},                                                               \
            fields, 0                                                                             \
    }
#define WEIR_KIND_VALUE(name, val_type, ...) \
    WEIR_KIND_OF(WEIR_KIND_TYPE_VALUE, name, sizeof(val_type), NULL, __VA_ARGS__)
/* A value of any length. */
#define WEIR_KIND_BYTES(name, ...) WEIR_KIND_OF(WEIR_KIND_TYPE_VALUE, name, 0, NULL, __VA_ARGS__)
#define WEIR_KIND_REDUCING(name, val_type, ...) \
    WEIR_KIND_OF(WEIR_KIND_TYPE_REDUCING, name, sizeof(val_type), NULL, __VA_ARGS__)
#define WEIR_KIND_AGGREGATING(name, sum_type, ...) \
    WEIR_KIND_OF(WEIR_KIND_TYPE_AGGREGATING, name, sizeof(sum_type), NULL, __VA_ARGS__)
/* WEIR_KIND_NAMED - a value or sum (type as above) that WEIR_SCHEMA has declared, by its name: a
 * savepoint knows its fields by their names, and the next version of a job may have others. */
#define WEIR_KIND_NAMED(type, name, val_name, ...) \
    WEIR_KIND_OF(type, name, sizeof(struct val_name), val_name##_schema, __VA_ARGS__)
#define WEIR_KIND_LIST(name, bytes, ...)                                                       \
    {                                                                                          \
        WEIR_KIND_TYPE_LIST, 0, bytes, false, __VA_ARGS__,                                     \
            {{name, weir_kind_move_items, &weir_kind_item_values}, WEIR_KIND_NO_DESC}, NULL, 0 \
    }
/* So many maps (numbers.h), each from 64-bit numbers to values of whole words, of which none is all
 * zero. For ever: without a time to live. */
#define WEIR_KIND_NUMBERS(name, map_cnt, val_len)                                                 \
    {                                                                                             \
        WEIR_KIND_TYPE_NUMBERS, map_cnt, val_len, false, WEIR_NO_TTL,                             \
            {{name, weir_kind_move_numbers, &weir_kind_numbers_values}, WEIR_KIND_NO_DESC}, NULL, \
            0                                                                                     \
    }
#define WEIR_KIND_MAP(name, key_len, val_len, ...)                               \
    {                                                                            \
        WEIR_KIND_TYPE_MAP, key_len, val_len, false, __VA_ARGS__,                \
            {{name, weir_kind_move_items, &weir_kind_item_values},               \
                {name ".index", weir_kind_move_index, &weir_kind_index_values}}, \
            NULL, 0                                                              \
    }

/* ---- a state at the current key ---- */

struct weir_keyed_state;

/* Bytes of a variable, as calls take them. */
static inline struct weir_slice
weir_bytes(const void *ptr, uint32_t bytes)
{
    struct weir_slice slice;
    slice.ptr = (const char *)ptr;
    slice.bytes = bytes;
    return slice;
}
#define WEIR_BYTES(ptr) weir_bytes(ptr, sizeof *(ptr))

/* weir_state_ns - the namespace that the calls on this state are for, until the next one of this;
 * 0 at first. Only of a state that has them. */
WEIR_API void weir_state_ns(struct weir_keyed_state *state, uint64_t ns);
/* weir_state_clear - the key has nothing in this state (and namespace). */
WEIR_API void weir_state_clear(struct weir_keyed_state *state);
/* weir_state_merge - put the namespaces from[0, cnt) together into the current one; they are gone
 * then. Lists are put behind each other; sums are joined by `merge`, which adds val to `to`.
 *
 * Shape:   of a list, merge is NULL. Values and maps cannot be merged: a bug.
 */
typedef void(weir_kind_merge_fn)(void *to, const void *val);
WEIR_API WEIR_MUST_USE int weir_state_merge(
    struct weir_keyed_state *state, const uint64_t *from, uint32_t cnt, weir_kind_merge_fn *merge);

/* ---- values, and sums ---- */

/* weir_value_get - the value, or of a reducing or aggregating state what was added up; NULL: there
 * is none. *ret_bytes (may be NULL) is its length. */
WEIR_API const void *weir_value_get(struct weir_keyed_state *state, uint32_t *ret_bytes);
WEIR_API WEIR_MUST_USE int weir_value_set(struct weir_keyed_state *state, struct weir_slice val);
/* weir_value_open - the value to be written in place: as it is, or *ret_made and all zero where
 * there is none (or it has expired). Not of a value of any length. */
WEIR_API WEIR_MUST_USE int
weir_value_open(struct weir_keyed_state *state, void **ret_val, bool *ret_made);

/* WEIR_REDUCING - `name_add(state, &val)`: the first value as it is, each further one into `to`. */
#define WEIR_REDUCING(name, val_type)                                                 \
    static inline void name##_join(val_type *to, const val_type *val);                \
    static inline void name##_merge(void *to, const void *val)                        \
    {                                                                                 \
        name##_join((val_type *)to, (const val_type *)val);                           \
    }                                                                                 \
    static inline int name##_add(struct weir_keyed_state *state, const val_type *val) \
    {                                                                                 \
        void *to = NULL;                                                              \
        bool made = false;                                                            \
        int err = val == NULL ? WEIR_EINVAL : weir_value_open(state, &to, &made);     \
        if (err == 0 && made) {                                                       \
            memcpy(to, val, sizeof *val);                                             \
        } else if (err == 0) {                                                        \
            name##_merge(to, val);                                                    \
        }                                                                             \
        return err;                                                                   \
    }                                                                                 \
    static inline void name##_join(val_type *to, const val_type *val)

/* WEIR_AGGREGATING - `name_add(state, &in)`: into a sum that begins all zero. */
#define WEIR_AGGREGATING(name, in_type, sum_type)                                   \
    static inline void name##_join(sum_type *to, const in_type *in);                \
    static inline int name##_add(struct weir_keyed_state *state, const in_type *in) \
    {                                                                               \
        void *to = NULL;                                                            \
        bool made = false;                                                          \
        int err = in == NULL ? WEIR_EINVAL : weir_value_open(state, &to, &made);    \
        if (err == 0) {                                                             \
            name##_join((sum_type *)to, in);                                        \
        }                                                                           \
        return err;                                                                 \
    }                                                                               \
    static inline void name##_join(sum_type *to, const in_type *in)

/* ---- lists and maps ---- */

/* Where a walk over a list or map stands. */
struct weir_kind_cursor {
    struct weir_keyed_state *state;
    uint32_t next;
    uint32_t left;
    uint32_t live_cnt;
    bool is_over;
    uint32_t at; /* what was returned last, 0: nothing */
    uint32_t prev; /* of a walk back */
};
/* weir_kind_begin, weir_kind_next - the elements of a list in order, or a map's entries by their
 * last writing; NULL at the end. Only weir_map_remove() or weir_list_remove() of what was returned
 * may be called on the way. ret_key is NULL of lists. */
WEIR_API void weir_kind_begin(struct weir_keyed_state *state, struct weir_kind_cursor *ret_cursor);
WEIR_API const void *
weir_kind_next(struct weir_kind_cursor *cursor, struct weir_slice *ret_key, uint32_t *ret_bytes);

/* weir_list_add - at the end. */
WEIR_API WEIR_MUST_USE int weir_list_add(struct weir_keyed_state *state, struct weir_slice val);
/* weir_list_cnt - how many there are: what has expired counts until it is cleaned up. */
WEIR_API uint32_t weir_list_cnt(struct weir_keyed_state *state);
/* weir_list_update - these in the place of what is there; cnt 0: nothing. */
WEIR_API WEIR_MUST_USE int
weir_list_update(struct weir_keyed_state *state, const struct weir_slice *vals, uint32_t cnt);
/* weir_list_remove - take the element that a walk has just returned out of its list. */
WEIR_API void weir_list_remove(struct weir_kind_cursor *cursor);
/* weir_list_begin_back, weir_list_back - the elements from the last one on; NULL behind the first.
 * weir_kind_next() then goes on with those behind the one that was returned. */
WEIR_API void
weir_list_begin_back(struct weir_keyed_state *state, struct weir_kind_cursor *ret_cursor);
WEIR_API const void *weir_list_back(struct weir_kind_cursor *cursor, uint32_t *ret_bytes);
/* weir_list_insert - an element in front of the one that a walk has just returned, which goes on.
 * weir_list_replace - the element that a walk has just returned is this one now. These four only of
 * lists without a time to live: the elements of others are in the order of their times. */
WEIR_API WEIR_MUST_USE int weir_list_insert(struct weir_kind_cursor *cursor, struct weir_slice val);
WEIR_API WEIR_MUST_USE int
weir_list_replace(struct weir_kind_cursor *cursor, struct weir_slice val);

/* weir_map_get - the value of a map's key; NULL: absent. ret_bytes may be NULL. */
WEIR_API const void *
weir_map_get(struct weir_keyed_state *state, struct weir_slice key, uint32_t *ret_bytes);
WEIR_API WEIR_MUST_USE int
weir_map_put(struct weir_keyed_state *state, struct weir_slice key, struct weir_slice val);
/* weir_map_add - the same of a key of which weir_map_get() has just said that it is not there. */
WEIR_API WEIR_MUST_USE int
weir_map_add(struct weir_keyed_state *state, struct weir_slice key, struct weir_slice val);
/* weir_map_remove - false: it was absent, or would not have been shown. */
WEIR_API bool weir_map_remove(struct weir_keyed_state *state, struct weir_slice key);
static inline bool
weir_map_contains(struct weir_keyed_state *state, struct weir_slice key)
{
    return weir_map_get(state, key, NULL) != NULL;
}
/* weir_map_is_empty - nothing is stored: what has expired counts until it is cleaned up. */
WEIR_API bool weir_map_is_empty(struct weir_keyed_state *state);

WEIR_C_END

#endif
