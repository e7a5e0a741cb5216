/* SPDX-License-Identifier: Apache-2.0 */
/* key.h: which fields of a record are its key, and the hash of that key.
 *
 *     weir_key_by(stream, WEIR_KEY(bid, auction))
 *
 * A key is one to four fields. Its hash chooses the key group (keygroup.h) and the slot in keyed
 * state; equal keys have equal hashes in every layout, process and version (base/hash.h).
 */
#ifndef WEIR_DATAPLANE_KEY_H
#define WEIR_DATAPLANE_KEY_H

#include "dataplane/batch.h"

WEIR_C_BEGIN

#define WEIR_KEY_FIELD_CNT_MAX 4

/* The fields of a key by name; resolved against the schema when the graph is built. */
struct weir_key {
    const char *field[WEIR_KEY_FIELD_CNT_MAX];
    uint32_t field_cnt;
    /* resolved by weir_key_resolve() */
    struct weir_field part[WEIR_KEY_FIELD_CNT_MAX];
    uint32_t bytes; /* of the key as state holds it: sum of the fields, a multiple of 8 */
    bool has_str;
};

/* WEIR_KEY, WEIR_KEY2 - a key of fields of a schema's struct; a name that is no field does not
 * compile. */
#define WEIR_KEY_FIELD(type, f) (sizeof(((struct type *)0)->f) > 0 ? #f : #f)
#ifdef __cplusplus
#define WEIR_KEY(type, f) (weir_key_of(1, WEIR_KEY_FIELD(type, f), NULL))
#define WEIR_KEY2(type, f, g) (weir_key_of(2, WEIR_KEY_FIELD(type, f), WEIR_KEY_FIELD(type, g)))
#else
#define WEIR_KEY(type, f) weir_key_of(1, WEIR_KEY_FIELD(type, f), NULL)
#define WEIR_KEY2(type, f, g) weir_key_of(2, WEIR_KEY_FIELD(type, f), WEIR_KEY_FIELD(type, g))
#endif

static inline struct weir_key
weir_key_of(uint32_t cnt, const char *first, const char *second)
{
    struct weir_key key;
    memset(&key, 0, sizeof key);
    key.field[0] = first;
    key.field[1] = second;
    key.field_cnt = cnt;
    return key;
}

/* weir_key_number - a field that is no string as 64 bits: a key hashes alike whatever its width. */
static inline uint64_t
weir_key_number(const char *at, uint32_t bytes)
{
    int64_t value;
    int32_t narrow;
    switch (bytes) {
    case 8:
        memcpy(&value, at, sizeof value);
        return (uint64_t)value;
    case 4:
        memcpy(&narrow, at, sizeof narrow);
        return (uint64_t)(int64_t)narrow;
    default:
        return (uint8_t)*at;
    }
}

/* weir_key_resolve - find the fields. WEIR_EGRAPH: no such field, or one that cannot be a key. */
WEIR_API int weir_key_resolve(struct weir_key *key, const struct weir_schema *schema);

/* weir_key_hash - hashes of the keys of rows [from, from + cnt) of the selection, in its order. */
WEIR_API void weir_key_hash(const struct weir_key *key, const struct weir_view *view, uint32_t from,
    uint32_t cnt, uint64_t *ret_hash);

/* weir_key_load - the key of physical row `row` as state holds it: its fields one after another,
 * each in 8 or 16 bytes; strings refer to the view's heap. */
WEIR_API void weir_key_load(
    const struct weir_key *key, const struct weir_view *view, uint32_t row, void *ret_key);

WEIR_C_END

#endif
