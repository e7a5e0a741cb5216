/* SPDX-License-Identifier: Apache-2.0 */
/* Declared states in savepoints: values by their fields or as bytes, lists and maps as rows of key
 * and value. An index of map keys is made again as the rows come. */
#include <stdlib.h>

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
    if (err == 0 && kind->type == WEIR_KIND_TYPE_MAP) {
        err = weir_kind_bytes_check(&s, *ret_key, kind->key_bytes, "a saved key");
    } else if (err == 0 && kind->type == WEIR_KIND_TYPE_NUMBERS) {
        err = weir_kind_numbers_check(kind, *ret_key, *ret_val);
    }
    return err;
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

/* ---- numbers ---- */

static int
numbers_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    struct weir_state_field *items = &fields->field[fields->field_cnt++];
    (void)op;
    items->field = (struct weir_field){.name = FIELD_ITEMS, .type = WEIR_STATE_LIST};
    items->items = kind_row_schema();
    fields->val_bytes = kind_of(desc)->key_bytes * (uint32_t)sizeof(struct weir_numbers);
    return 0;
}

/* All of a key: the row that is told, their number, entries of map, number and words. */
struct gathered {
    struct kind_row row;
    uint64_t cnt;
    uint64_t word[];
};

struct gathering {
    const struct weir_numbers_kind *kind;
    struct weir_state_room *room;
    uint64_t map;
    uint64_t cnt;
};

static uint64_t
gathered_bytes(const struct gathering *to, uint64_t cnt)
{
    return sizeof(struct gathered) + cnt * (2 + to->kind->word_cnt) * sizeof(uint64_t);
}

static int
gather(void *arg, uint64_t number, const uint64_t *words)
{
    struct gathering *to = arg;
    char *mem = weir_state_room_for(to->room, gathered_bytes(to, to->cnt + 1));
    if (mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the numbers of a key");
    }
    const uint64_t head[2] = {to->map, number};
    mem += gathered_bytes(to, to->cnt);
    memcpy(mem, head, sizeof head);
    memcpy(mem + sizeof head, words, to->kind->word_cnt * sizeof *words);
    to->cnt++;
    return 0;
}

static int
compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    uint32_t w = x[0] == y[0];
    return (x[w] > y[w]) - (x[w] < y[w]);
}

int
weir_kind_numbers_gather(const struct weir_kind *kind, struct weir_arena *arena, const void *val,
    struct weir_state_room *room)
{
    struct weir_numbers_kind numbers;
    struct gathering to = {&numbers, room, 0, 0};
    const struct weir_numbers *maps = val;
    weir_numbers_kind_init(&numbers, arena, kind->val_bytes / (uint32_t)sizeof(uint64_t));
    char *mem = weir_state_room_for(room, gathered_bytes(&to, 0));
    int err = mem == NULL ? weir_err_push(WEIR_ENOMEM, "the numbers of a key") : 0;
    for (; to.map < kind->key_bytes && err == 0; to.map++) {
        err = weir_numbers_each(&numbers, &maps[to.map], gather, &to);
    }
    if (err == 0) {
        struct gathered *all = (struct gathered *)(void *)room->mem;
        all->cnt = to.cnt;
        qsort(all->word, to.cnt, (2 + numbers.word_cnt) * sizeof *all->word, compare);
    }
    return err;
}

bool
weir_kind_numbers_at(const struct weir_kind *kind, const struct weir_state_room *room, uint64_t i,
    struct weir_slice *ret_key, struct weir_slice *ret_val)
{
    const struct gathered *all = (const struct gathered *)(const void *)room->mem;
    if (i == all->cnt) {
        return false;
    }
    const uint64_t *at = all->word + i * (2 + kind->val_bytes / sizeof *at);
    *ret_key = weir_bytes(at, 2 * sizeof *at);
    *ret_val = weir_bytes(at + 2, kind->val_bytes);
    return true;
}

int
weir_kind_numbers_check(const struct weir_kind *kind, struct weir_slice key, struct weir_slice val)
{
    static const char zero[WEIR_NUMBERS_WORD_CNT_MAX * sizeof(uint64_t)];
    uint64_t word[2] = {UINT64_MAX, 0};
    if (key.bytes == sizeof word) {
        memcpy(word, key.ptr, sizeof word);
    }
    if (word[0] >= kind->key_bytes || val.bytes != kind->val_bytes ||
        memcmp(val.ptr, zero, val.bytes) == 0) {
        return weir_err_push(WEIR_EDATA, "state %s: a saved number is none of its %u maps",
            kind->desc[0].name, kind->key_bytes);
    }
    return 0;
}

int
weir_kind_numbers_put(const struct weir_numbers_kind *numbers, struct weir_numbers *maps,
    struct weir_slice key, struct weir_slice val)
{
    uint64_t word[2];
    uint64_t *words;
    memcpy(word, key.ptr, sizeof word);
    int err = weir_numbers_open(numbers, &maps[word[0]], word[1], &words);
    if (err == 0) {
        weir_numbers_touch(numbers, words);
        memcpy(words, val.ptr, val.bytes);
    }
    return err;
}

static int
numbers_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    const struct weir_kind *kind = kind_of(walk->desc);
    struct weir_slice key;
    struct weir_slice val;
    (void)op;
    int err = walk->at == 0
                  ? weir_kind_numbers_gather(kind, walk->table->arena, walk->val, walk->room)
                  : 0;
    if (err < 0 || !weir_kind_numbers_at(kind, walk->room, walk->at, &key, &val)) {
        return err;
    }
    walk->at++;
    return weir_kind_row_make(walk->room, key, val, ret_row);
}

static int
numbers_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *saved)
{
    const struct weir_kind *kind = kind_of(add->desc);
    struct weir_numbers_kind numbers;
    struct weir_slice key;
    struct weir_slice val;
    (void)op;
    weir_numbers_kind_init(
        &numbers, add->table->arena, kind->val_bytes / (uint32_t)sizeof(uint64_t));
    int err = weir_kind_row_take(add->desc, saved, &key, &val);
    return err < 0 ? err : weir_kind_numbers_put(&numbers, add->val, key, val);
}

const struct weir_state_values weir_kind_numbers_values = {
    .describe = numbers_describe, .next = numbers_next, .add = numbers_add};

int
weir_kind_move_numbers(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    struct weir_numbers *maps = val;
    int err = 0;
    (void)op;
    for (uint32_t m = 0; m < table->spec.val_bytes / sizeof *maps && err == 0; m++) {
        err = weir_numbers_move(table->arena, mover, &maps[m]);
    }
    return err;
}

/* ---- the index of a map ---- */

const struct weir_state_values weir_kind_index_values = {.is_index = true};
