/* SPDX-License-Identifier: Apache-2.0 */
/* Declared states in savepoints: values by their fields or as bytes, lists and maps as rows of key
 * and value. An index of map keys is made again as the rows come. */
#include "dataplane/kindset.h"
#include "dataplane/kindset_priv.h"

/* Field names of the format. */
#define FIELD_TIME "@time"
#define FIELD_VALUE "value"
#define FIELD_ITEMS "items"

#define KIND_ROW(F) F(str, key) F(str, value)
WEIR_SCHEMA(kind_row, KIND_ROW)

static const struct weir_kind *
kind_of(const struct weir_state_desc *desc)
{
    return (const struct weir_kind *)(const void *)((const char *)desc -
                                                    offsetof(struct weir_kind, desc));
}

/* ---- values in their entries ---- */

static int
inline_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    const struct weir_kind *kind = kind_of(desc);
    const struct weir_schema *schema = kind->schema != NULL ? kind->schema() : NULL;
    uint32_t off = kind->ttl.ms > 0 ? sizeof(int64_t) : 0;
    (void)op;
    if (off > 0) {
        weir_state_put_field(fields, FIELD_TIME, WEIR_TYPE_I64, 0);
    }
    if (schema == NULL) {
        weir_state_put_field(fields, FIELD_VALUE, WEIR_STATE_BYTES, off);
        fields->field[fields->field_cnt - 1].field.bytes = kind->val_bytes;
    }
    for (uint32_t i = 0; schema != NULL && i < schema->field_cnt; i++) {
        struct weir_field *field = &fields->field[fields->field_cnt++].field;
        *field = schema->fields[i];
        field->off += off;
    }
    fields->tail[0] = "namespace";
    fields->val_bytes = off + kind->val_bytes;
    /* Bytes are what they were, or open() says that they are not. */
    fields->owner = schema != NULL ? weir_kind_shape(kind) : 0;
    return 0;
}

/* A time to live that is new: what was there lives until it is written (or read) again. */
static int
inline_fresh(const struct weir_operator *op, const struct weir_state_desc *desc, void *val)
{
    const int64_t never = INT64_MAX;
    (void)op;
    if (kind_of(desc)->ttl.ms > 0) {
        memcpy(val, &never, sizeof never);
    }
    return 0;
}

const struct weir_state_values weir_kind_inline_values = {
    .describe = inline_describe, .fresh = inline_fresh};

/* ---- items ---- */

static int
item_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    struct weir_state_field *items = &fields->field[fields->field_cnt++];
    (void)op;
    (void)desc;
    items->field = (struct weir_field){.name = FIELD_ITEMS, .type = WEIR_STATE_LIST};
    items->items = kind_row_schema();
    items->word[0] = FIELD_TIME;
    fields->tail[0] = "namespace";
    fields->val_bytes = sizeof(struct kind_head);
    return 0;
}

int
weir_kind_row_make(struct weir_state_room *room, struct weir_slice key, struct weir_slice val,
    struct weir_state_row *ret_row)
{
    const struct kind_row row = {
        weir_str_ref(key.ptr, key.ptr, key.bytes), weir_str_ref(key.ptr, val.ptr, val.bytes)};
    char *mem = weir_state_room_for(room, sizeof row);
    if (mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "an item of a state");
    }
    memcpy(mem, &row, sizeof row);
    ret_row->row = mem;
    ret_row->heap = key.ptr;
    return 1;
}

int
weir_kind_row_take(const struct weir_state_desc *desc, const struct weir_state_row *saved,
    struct weir_slice *ret_key, struct weir_slice *ret_val)
{
    const struct weir_kind *kind = kind_of(desc);
    const struct weir_keyed_state s = {.kind = kind};
    const struct kind_row *row = saved->row; /* in which short ones lie */
    *ret_key = weir_str_slice(&row->key, saved->heap);
    *ret_val = weir_str_slice(&row->value, saved->heap);
    int err = weir_kind_bytes_check(&s, *ret_val, kind->val_bytes, "a saved value");
    return err < 0 || kind->type != WEIR_KIND_TYPE_MAP
               ? err
               : weir_kind_bytes_check(&s, *ret_key, kind->key_bytes, "a saved key");
}

static int
item_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    const struct weir_arena *arena = walk->table->arena;
    const struct kind_head *head = walk->val;
    uint32_t ref = (uint32_t)walk->at;
    (void)op;
    if (ref == head->last) {
        return 0;
    }
    ref = ref == 0 ? head->first : ((const struct kind_item *)weir_arena_ptr(arena, ref))->next;
    struct kind_item *item = weir_arena_ptr(arena, ref);
    walk->at = ref;
    ret_row->word[0] = item->time;
    return weir_kind_row_make(walk->room, weir_bytes(item->bytes, item->key_bytes),
        weir_bytes(kind_item_val(item), item->val_bytes), ret_row);
}

/* The index of a map: one table for all of its keys. */
static int
index_take(const struct weir_operator *op, const struct weir_kind *kind,
    const struct weir_table *table, struct weir_table **ret_index)
{
    uint32_t idx = 0;
    const struct weir_table_spec spec = {weir_state_id(op->uid, kind->desc[1].name),
        table->spec.key_kind, sizeof(uint64_t), table->spec.tail_cnt + 1};
    *ret_index = weir_state_next(table->arena, spec.state_id, &idx);
    return *ret_index != NULL ? 0 : weir_table_take(table->arena, &spec, 0, ret_index);
}

static int
item_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *saved)
{
    const struct weir_kind *kind = kind_of(add->desc);
    const struct weir_table *table = add->table;
    struct weir_kindset set; /* of which only the current key is of use */
    struct weir_keyed_state s = {.set = &set, .kind = kind, .table = add->table};
    struct weir_slice key;
    struct weir_slice val;
    uint32_t ref;
    set.arena = table->arena;
    set.now_ms = saved->word[0];
    set.hash = add->hash;
    set.heap = add->heap;
    set.word_cnt = table->word_cnt - table->spec.tail_cnt;
    memcpy(set.key, add->key, table->word_cnt * sizeof set.key[0]);
    s.ns = kind->has_ns ? add->key[set.word_cnt] : 0;
    bool is_map = kind->type == WEIR_KIND_TYPE_MAP;
    int err = weir_kind_row_take(add->desc, saved, &key, &val);
    err = err < 0 || !is_map ? err : index_take(op, kind, table, &s.index);
    err = err < 0 ? err : weir_kind_item_add(&s, add->val, key, val, &ref);
    return err < 0 || !is_map ? err : weir_kind_map_index(&s, ref);
}

const struct weir_state_values weir_kind_item_values = {
    .describe = item_describe, .next = item_next, .add = item_add};

/* ---- the index of a map ---- */

const struct weir_state_values weir_kind_index_values = {.is_index = true};
