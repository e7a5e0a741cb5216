/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_list.h"

#include <string.h>

struct head {
    uint32_t next; /* of the last item of a list: the first */
    uint32_t bytes; /* of what follows: row and texts, wherever they lie */
    uint32_t text_bytes;
    uint32_t blob; /* where they lie, 0: behind this head */
    int64_t time;
    uint64_t tag;
};
WEIR_STATIC_ASSERT(sizeof(struct head) % WEIR_ARENA_REF_BYTES == 0, "items are referred to");

/* In front of the items of a chunk; they begin at multiples of WEIR_ARENA_REF_BYTES. */
struct chunk {
    uint32_t next; /* the one before it, 0: none */
    uint32_t bytes; /* of the chunk */
    uint32_t used; /* of them, this header too */
    uint32_t zero;
};

/* A key group begins with little, so that panes of a few rows do not take a page for each. */
#define CHUNK_BYTES_FIRST 448
#define CHUNK_BYTES_NEXT 1344
#define CHUNK_BYTES_MAX 4032
/* Longer rows go into blobs: a quarter of a chunk at most is lost at its end. */
#define ITEM_BYTES_MAX (CHUNK_BYTES_MAX / 4)

/* ---- store ---- */

static uint32_t
open_lg2(const struct weir_arena *arena)
{
    return (uint32_t)__builtin_ctzll(weir_pow2_up(arena->spec.groups.cnt));
}

int
weir_row_store_init(struct weir_row_store *store, struct weir_arena *arena)
{
    memset(store, 0, sizeof *store);
    store->arena = arena;
    return weir_arena_index_take(arena, open_lg2(arena), &store->open);
}

static struct chunk *
chunk_at(const struct weir_arena *arena, uint32_t ref)
{
    return (struct chunk *)weir_arena_ptr(arena, ref);
}

static uint32_t
item_space(uint32_t bytes)
{
    return (uint32_t)weir_align_up(sizeof(struct head) + bytes, WEIR_ARENA_REF_BYTES);
}

static void
blobs_give(struct weir_row_store *store, const struct chunk *chunk)
{
    uint32_t at = sizeof *chunk;
    while (at < chunk->used) {
        struct head head;
        memcpy(&head, (const char *)chunk + at, sizeof head);
        if (head.blob != 0) {
            weir_blob_give(store->arena, head.blob);
            store->blob_cnt--;
        }
        at += item_space(head.blob != 0 ? 0 : head.bytes);
    }
}

int
weir_row_store_give(struct weir_row_store *store, uint32_t chunk_cnt)
{
    struct weir_arena *arena = store->arena;
    for (; store->give_group < arena->spec.groups.cnt; store->give_group++) {
        uint32_t *open = &arena->index[store->open + store->give_group];
        for (; *open != 0; chunk_cnt--) {
            if (chunk_cnt == 0) {
                return WEIR_AGAIN;
            }
            uint32_t ref = *open;
            const struct chunk *chunk = chunk_at(arena, ref);
            if (store->blob_cnt > 0) {
                blobs_give(store, chunk);
            }
            *open = chunk->next;
            weir_arena_block_give(arena, ref);
        }
    }
    weir_arena_index_give(arena, store->open, open_lg2(arena));
    return WEIR_DONE;
}

/* Space for an item in the newest chunk of a key group, or in a new one; touched. */
static int
item_take(struct weir_row_store *store, uint32_t group, uint32_t bytes, uint32_t *ret_ref)
{
    struct weir_arena *arena = store->arena;
    uint32_t *open = &arena->index[store->open + group];
    struct chunk *chunk = chunk_at(arena, *open);
    if (*open == 0 || bytes > chunk->bytes - chunk->used) {
        uint32_t next = *open == 0                          ? CHUNK_BYTES_FIRST
                        : chunk->bytes == CHUNK_BYTES_FIRST ? CHUNK_BYTES_NEXT
                                                            : CHUNK_BYTES_MAX;
        next = next - sizeof *chunk < bytes ? CHUNK_BYTES_MAX : next;
        uint32_t ref;
        int err = weir_arena_block_take(arena, group, weir_arena_class_of(next), &ref);
        if (err < 0) {
            return err;
        }
        chunk = chunk_at(arena, ref);
        chunk->next = *open;
        chunk->bytes = next;
        chunk->used = sizeof *chunk;
        *open = ref;
    }
    char *item = (char *)chunk + chunk->used;
    weir_arena_touch_line(arena, chunk);
    weir_arena_touch(arena, item, bytes);
    *ret_ref = *open + chunk->used / WEIR_ARENA_REF_BYTES;
    chunk->used += bytes;
    return 0;
}

/* The newest chunk of a key's group. */
static const struct chunk *
newest_of(const struct weir_row_store *store, uint64_t hash)
{
    const struct weir_arena *arena = store->arena;
    uint32_t group = weir_hash_key_group(hash, arena->spec.max_parallelism);
    return chunk_at(arena, arena->index[store->open + group - arena->spec.groups.first]);
}

void
weir_row_store_fetch(const struct weir_row_store *store, const uint64_t *hash, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        __builtin_prefetch(newest_of(store, hash[i]), 1);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        const struct chunk *chunk = newest_of(store, hash[i]);
        const char *end = (const char *)chunk + chunk->used;
        __builtin_prefetch(end, 1);
        __builtin_prefetch(end + WEIR_LINE_BYTES, 1);
    }
}

/* ---- rows ---- */

/* A field of 16, 8, 4 or 1 bytes, each a move or two. */
static inline void
field_copy(char *to, const char *from, uint32_t bytes)
{
    switch (bytes) {
    case 16:
        memcpy(to, from, 16);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, bytes);
        break;
    }
}

static void
row_copy(const struct weir_view *view, uint32_t row, char *to)
{
    const struct weir_schema *schema = view->schema;
    if (view->stride != 0) {
        memcpy(to, view->rows + (size_t)view->stride * row, schema->row_bytes);
        return;
    }
    memset(to, 0, schema->row_bytes);
    if (schema->has_nulls) {
        memcpy(to, view->rows + sizeof(uint64_t) * row, sizeof(uint64_t));
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        field_copy(to + field->off, weir_view_at(view, field, row), field->bytes);
    }
}

/* What the long strings of a row take. */
static uint64_t
text_bytes(const struct weir_view *view, uint32_t row)
{
    const struct weir_schema *schema = view->schema;
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if (schema->fields[f].type == WEIR_TYPE_STR) {
            uint32_t text;
            memcpy(&text, weir_view_at(view, &schema->fields[f], row), sizeof text);
            bytes += text > WEIR_STR_INLINE_BYTES ? text : 0;
        }
    }
    return bytes;
}

/* Copy the texts of long strings behind the copy of a row, and let its strings refer to them there.
 * They are read where the row came from: what was just stored would be waited for. */
static void
texts_copy(const struct weir_view *view, uint32_t row, char *copy)
{
    char *texts = copy + view->schema->row_bytes;
    char *to = texts;
    for (uint32_t f = 0; f < view->schema->field_cnt; f++) {
        const struct weir_field *field = &view->schema->fields[f];
        struct weir_str str;
        if (field->type != WEIR_TYPE_STR) {
            continue;
        }
        memcpy(&str, weir_view_at(view, field, row), sizeof str);
        if (str.bytes > WEIR_STR_INLINE_BYTES) {
            memcpy(to, view->heap + str.u.off, str.bytes);
            str.u.off = (uint64_t)(to - texts);
            memcpy(copy + field->off, &str, sizeof str);
            to += str.bytes;
        }
    }
}

/* The row and its texts into a blob: built in scratch. */
static int
blob_put(const struct weir_row_place *place, const struct weir_view *view, uint32_t row,
    uint64_t bytes, uint32_t *ret_ref)
{
    row_copy(view, row, place->scratch);
    texts_copy(view, row, place->scratch);
    struct weir_slice all = {place->scratch, (uint32_t)bytes};
    int err = weir_blob_put(place->store->arena, place->group, all, ret_ref);
    place->store->blob_cnt += err == 0;
    return err;
}

int
weir_row_list_add(struct weir_row_list *list, const struct weir_row_place *place,
    const struct weir_view *view, uint32_t row)
{
    struct weir_arena *arena = place->store->arena;
    uint64_t texts = text_bytes(view, row);
    uint64_t bytes = view->schema->row_bytes + texts;
    if (bytes > WEIR_ROW_ITEM_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "a row of %s with its texts is longer than %d bytes",
            view->schema->name, WEIR_ROW_ITEM_BYTES_MAX);
    }
    bool is_long = bytes > ITEM_BYTES_MAX;
    uint32_t space = item_space(is_long ? 0 : (uint32_t)bytes);
    uint32_t blob = 0;
    uint32_t ref;
    int err = is_long ? blob_put(place, view, row, bytes, &blob) : 0;
    err = err < 0 ? err : item_take(place->store, place->group, space, &ref);
    if (err < 0) {
        return err; /* the task fails: its arena goes as a whole */
    }
    /* Field by field into its place: a head made elsewhere and copied as a vector would wait until
     * all stores before it, into cold lines, are done. */
    struct head *head = weir_arena_ptr(arena, ref);
    head->next = ref;
    head->bytes = (uint32_t)bytes;
    head->text_bytes = (uint32_t)texts;
    head->blob = blob;
    head->time = view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN;
    head->tag = place->tag;
    if (!is_long) {
        row_copy(view, row, (char *)(head + 1));
        texts_copy(view, row, (char *)(head + 1));
    }
    if (list->last != 0) {
        struct head *last = weir_arena_ptr(arena, list->last);
        weir_arena_touch_line(arena, &last->next);
        head->next = last->next;
        last->next = ref;
    }
    list->last = ref;
    return 0;
}

uint32_t
weir_row_list_first(const struct weir_arena *arena, const struct weir_row_list *list)
{
    return list->last == 0 ? 0 : ((const struct head *)weir_arena_ptr(arena, list->last))->next;
}

void
weir_row_item_at(const struct weir_arena *arena, const struct weir_schema *schema, uint32_t ref,
    char *scratch, struct weir_row_item *ret_item)
{
    const struct head *head = weir_arena_ptr(arena, ref);
    const char *data = (const char *)(head + 1);
    ret_item->is_copy = head->blob != 0;
    if (ret_item->is_copy) {
        weir_blob_read(arena, head->blob, scratch);
        data = scratch;
    }
    ret_item->row = data;
    ret_item->heap = data + schema->row_bytes;
    ret_item->heap_bytes = head->text_bytes;
    ret_item->time = head->time;
    ret_item->tag = head->tag;
    ret_item->next = head->next;
}
