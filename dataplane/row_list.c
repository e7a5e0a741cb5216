/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_list.h"

#include <string.h>

/* Rows in blobs of a restored store: more than can be taken away one by one. */
#define BLOB_CNT_UNKNOWN (UINT64_C(1) << 63)

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
    uint32_t
        number; /* rises from chunk to chunk of a key group: tells the newest after a restore */
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

/* Mark the lines of an item and of its chunk's header, which are of one page. */
static inline void
item_touch(struct weir_arena *arena, const struct chunk *chunk, const char *item, uint32_t bytes)
{
    size_t head = (size_t)((const char *)chunk - arena->base);
    size_t off = (size_t)(item - arena->base);
    size_t line_cnt = (off + bytes - 1) / WEIR_LINE_BYTES - off / WEIR_LINE_BYTES + 1;
    uint64_t lines = ((UINT64_C(1) << line_cnt) - 1) << (off / WEIR_LINE_BYTES & 63);
    lines |= UINT64_C(1) << (head / WEIR_LINE_BYTES & 63);
    if (WEIR_UNLIKELY((~arena->saved[off / WEIR_PAGE_BYTES] & lines) != 0)) {
        weir_arena_save(arena, off / WEIR_PAGE_BYTES, lines);
    }
}

/* Space for an item in the newest chunk of a key group, or in a new one; touched. */
static inline int
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
        chunk->number = *open != 0 ? chunk_at(arena, *open)->number + 1 : 1;
        chunk->next = *open;
        chunk->bytes = next;
        chunk->used = sizeof *chunk;
        *open = ref;
    }
    char *item = (char *)chunk + chunk->used;
    item_touch(arena, chunk, item, bytes);
    *ret_ref = *open + chunk->used / WEIR_ARENA_REF_BYTES;
    chunk->used += bytes;
    return 0;
}

static uint32_t
group_of(const struct weir_arena *arena, uint64_t hash)
{
    return weir_hash_key_group(hash, arena->spec.max_parallelism) - arena->spec.groups.first;
}

static const struct chunk *
newest_of(const struct weir_row_store *store, uint64_t hash)
{
    const struct weir_arena *arena = store->arena;
    return chunk_at(arena, arena->index[store->open + group_of(arena, hash)]);
}

/* Ask for the lines that the next rows will be written to: each key group has a chunk of its own,
 * and rows of many groups come in turn. Always inline: gcc drops calls of a function that does
 * nothing but prefetch. */
static inline __attribute__((always_inline)) void
fetch(const struct weir_row_store *store, const uint64_t *hash, uint32_t cnt)
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

/* ---- checkpoints ---- */

/* The chunk that an item lies in: a block of its page's slab. */
static uint32_t
chunk_of(const struct weir_arena *arena, uint32_t ref)
{
    uint32_t page = ref - ref % WEIR_ARENA_PAGE_REFS;
    const struct weir_slab *slab = weir_arena_ptr(arena, page);
    uint32_t off = (ref - page) * WEIR_ARENA_REF_BYTES - WEIR_LINE_BYTES;
    off -= off % weir_arena_class_bytes(slab->class_idx);
    return page + (WEIR_LINE_BYTES + off) / WEIR_ARENA_REF_BYTES;
}

void
weir_row_store_adopt(struct weir_row_store *store, const struct weir_row_list *list)
{
    struct weir_arena *arena = store->arena;
    if (list->last == 0) {
        return;
    }
    uint32_t ref = chunk_of(arena, list->last);
    uint32_t page = ref - ref % WEIR_ARENA_PAGE_REFS;
    const struct weir_slab *slab = weir_arena_ptr(arena, page);
    uint32_t *open = &arena->index[store->open + slab->key_group - arena->spec.groups.first];
    if (*open == 0 || chunk_at(arena, ref)->number > chunk_at(arena, *open)->number) {
        *open = ref;
    }
    store->blob_cnt = BLOB_CNT_UNKNOWN;
}

void
weir_row_list_move(
    struct weir_arena *arena, const struct weir_state_mover *mover, struct weir_row_list *list)
{
    list->last = mover->ref(mover->arg, list->last);
    for (uint32_t ref = list->last; ref != 0;) {
        struct head *head = weir_arena_ptr(arena, ref);
        uint32_t chunk_ref = chunk_of(arena, ref);
        if (ref == chunk_ref + sizeof(struct chunk) / WEIR_ARENA_REF_BYTES) {
            struct chunk *chunk = chunk_at(arena, chunk_ref);
            chunk->next = mover->ref(mover->arg, chunk->next);
        }
        head->blob = mover->blob(mover->arg, head->blob);
        head->next = mover->ref(mover->arg, head->next);
        ref = head->next != list->last ? head->next : 0;
    }
}

/* ---- rows ---- */

static void
lanes_add(struct weir_row_reader *reader, bool is_str, uint32_t bytes)
{
    const struct weir_schema *schema = reader->view->schema;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        bool is_wanted = bytes == 0 ? field->bytes < 8 : field->bytes == bytes;
        if (is_wanted && (field->type == WEIR_TYPE_STR) == is_str) {
            const char *ptr = weir_view_lane(reader->view, field->off, field->bytes).ptr;
            reader->field[reader->field_cnt++] =
                (struct weir_row_lane){ptr, field->off, field->bytes};
        }
    }
}

void
weir_row_reader_init(struct weir_row_reader *reader, const struct weir_view *view)
{
    uint32_t bytes = 0;
    reader->view = view;
    reader->field_cnt = 0;
    lanes_add(reader, true, sizeof(struct weir_str));
    reader->str_cnt = reader->field_cnt;
    lanes_add(reader, false, sizeof(uint64_t));
    reader->word_end = reader->field_cnt;
    lanes_add(reader, false, 0);
    for (uint32_t f = 0; f < reader->field_cnt; f++) {
        bytes += reader->field[f].bytes;
    }
    reader->has_gaps = bytes < view->schema->row_bytes;
}

static inline void
row_copy(const struct weir_row_reader *reader, uint32_t row, char *to)
{
    const struct weir_view *view = reader->view;
    const struct weir_row_lane *lane = reader->field;
    size_t at = row;
    uint32_t f = 0;
    if (view->stride != 0) {
        memcpy(to, view->rows + (size_t)view->stride * row, view->schema->row_bytes);
        return;
    }
    if (reader->has_gaps) {
        memset(to, 0, view->schema->row_bytes);
        if (view->schema->has_nulls) {
            memcpy(to, view->rows + sizeof(uint64_t) * at, sizeof(uint64_t));
        }
    }
    for (; f < reader->str_cnt; f++, lane++) {
        memcpy(to + lane->off, lane->ptr + sizeof(struct weir_str) * at, sizeof(struct weir_str));
    }
    for (; f < reader->word_end; f++, lane++) {
        memcpy(to + lane->off, lane->ptr + sizeof(uint64_t) * at, sizeof(uint64_t));
    }
    for (; f < reader->field_cnt; f++, lane++) {
        memcpy(to + lane->off, lane->ptr + lane->bytes * at, lane->bytes);
    }
}

static inline const char *
str_at(const struct weir_row_reader *reader, uint32_t idx, uint32_t row)
{
    uint32_t stride = reader->view->stride;
    return reader->field[idx].ptr + (stride != 0 ? (size_t)stride : sizeof(struct weir_str)) * row;
}

/* What the long strings of a row take. */
static inline uint64_t
text_bytes(const struct weir_row_reader *reader, uint32_t row)
{
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < reader->str_cnt; f++) {
        uint32_t text;
        memcpy(&text, str_at(reader, f, row), sizeof text);
        bytes += text > WEIR_STR_INLINE_BYTES ? text : 0;
    }
    return bytes;
}

/* Copy the texts of long strings behind the copy of a row, and let its strings refer to them there.
 * They are read where the row came from: what was just stored would be waited for. */
static __attribute__((noinline)) void
texts_copy(const struct weir_row_reader *reader, uint32_t row, char *copy)
{
    char *texts = copy + reader->view->schema->row_bytes;
    char *to = texts;
    for (uint32_t f = 0; f < reader->str_cnt; f++) {
        struct weir_str str;
        memcpy(&str, str_at(reader, f, row), sizeof str);
        if (str.bytes > WEIR_STR_INLINE_BYTES) {
            memcpy(to, reader->view->heap + str.u.off, str.bytes);
            str.u.off = (uint64_t)(to - texts);
            memcpy(copy + reader->field[f].off, &str, sizeof str);
            to += str.bytes;
        }
    }
}

/* The row and its texts into a blob: built in scratch. */
static __attribute__((noinline)) int
blob_put(const struct weir_row_reader *reader, const struct weir_row_adds *adds, uint32_t i,
    uint64_t bytes, uint32_t *ret_ref)
{
    struct weir_row_store *store = adds->store;
    uint32_t row = weir_view_row(reader->view, adds->first + i);
    row_copy(reader, row, adds->scratch);
    texts_copy(reader, row, adds->scratch);
    struct weir_slice all = {adds->scratch, (uint32_t)bytes};
    int err = weir_blob_put(store->arena, group_of(store->arena, adds->hash[i]), all, ret_ref);
    store->blob_cnt += err == 0;
    return err;
}

static inline int
row_add(const struct weir_row_reader *reader, const struct weir_row_adds *adds, uint32_t i)
{
    struct weir_arena *arena = adds->store->arena;
    const struct weir_view *view = reader->view;
    uint32_t row = weir_view_row(view, adds->first + i);
    uint64_t texts = text_bytes(reader, row);
    uint64_t bytes = view->schema->row_bytes + texts;
    uint32_t blob = 0;
    uint32_t space = (uint32_t)bytes;
    uint32_t ref;
    int err = 0;
    if (WEIR_UNLIKELY(bytes > ITEM_BYTES_MAX)) {
        if (bytes > WEIR_ROW_ITEM_BYTES_MAX) {
            return weir_err_push(WEIR_EDATA, "a row of %s with its texts is longer than %d bytes",
                view->schema->name, WEIR_ROW_ITEM_BYTES_MAX);
        }
        err = blob_put(reader, adds, i, bytes, &blob);
        space = 0;
    }
    err = err < 0 ? err
                  : item_take(adds->store, group_of(arena, adds->hash[i]), item_space(space), &ref);
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
    head->tag = adds->tag;
    if (WEIR_LIKELY(blob == 0)) {
        row_copy(reader, row, (char *)(head + 1));
        if (texts > 0) {
            texts_copy(reader, row, (char *)(head + 1));
        }
    }
    struct weir_row_list *list = (void *)((char *)adds->val[i] + adds->list_off);
    if (list->last != 0) {
        struct head *last = weir_arena_ptr(arena, list->last);
        weir_arena_touch_line(arena, &last->next);
        head->next = last->next;
        last->next = ref;
    }
    list->last = ref;
    return 0;
}

void
weir_row_lists_ahead(const struct weir_row_store *store, const uint64_t *hash, uint32_t cnt)
{
    fetch(store, hash, cnt);
}

int
weir_row_lists_add(const struct weir_row_reader *reader, const struct weir_row_adds *adds)
{
    int err = 0;
    if (adds->cnt > 1) {
        fetch(adds->store, adds->hash, adds->cnt);
    }
    for (uint32_t i = 0; i < adds->cnt && err == 0; i++) {
        err = row_add(reader, adds, i);
    }
    return err;
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

/* ---- savepoints ---- */

int
weir_row_list_next(struct weir_state_walk *walk, const struct weir_schema *schema,
    const struct weir_row_list *list, struct weir_state_row *ret_row)
{
    const struct weir_arena *arena = walk->table->arena;
    uint32_t ref = (uint32_t)walk->at;
    if (ref == list->last) { /* the one before was the last, or there is none */
        return 0;
    }
    ref = ref == 0 ? weir_row_list_first(arena, list)
                   : ((const struct head *)weir_arena_ptr(arena, ref))->next;
    char *copy = weir_state_room_for(walk->room, WEIR_ROW_ITEM_BYTES_MAX);
    if (copy == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a row of a list");
    }
    struct weir_row_item item;
    weir_row_item_at(arena, schema, ref, copy, &item);
    walk->at = ref;
    *ret_row = (struct weir_state_row){item.row, item.heap, {item.time, (int64_t)item.tag}};
    return 1;
}

int
weir_row_list_put(const struct weir_state_add *add, const struct weir_schema *schema,
    uint32_t list_off, const struct weir_state_row *row)
{
    const struct weir_view view = {.schema = schema,
        .rows = (char *)(uintptr_t)row->row, /* only read */
        .stride = schema->row_bytes,
        .cnt = 1,
        .row_cnt = 1,
        .time = row->word[0] != WEIR_TIME_MIN ? (const char *)&row->word[0] : NULL,
        .heap = (char *)(uintptr_t)row->heap};
    struct weir_row_reader reader;
    void *const val[1] = {add->val};
    const struct weir_row_adds adds = {.store = add->store,
        .hash = &add->hash,
        .val = val,
        .list_off = list_off,
        .cnt = 1,
        .scratch = weir_state_room_for(add->room, WEIR_ROW_ITEM_BYTES_MAX),
        .tag = (uint64_t)row->word[1]};
    if (adds.scratch == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a row of a list");
    }
    weir_row_reader_init(&reader, &view);
    return weir_row_lists_add(&reader, &adds);
}

void
weir_row_store_forget(struct weir_row_store *store)
{
    memset(store->arena->index + store->open, 0,
        (size_t)store->arena->spec.groups.cnt * sizeof store->arena->index[0]);
    store->blob_cnt = 0;
    store->give_group = 0;
}
