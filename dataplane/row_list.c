/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/row_list.h"

#include <string.h>

struct head {
    uint32_t next;
    uint32_t text_bytes;
    int64_t time;
    uint64_t tag;
};

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
        memcpy(to + field->off, weir_view_at(view, field, row), field->bytes);
    }
}

/* What the long strings of a copied row take. */
static uint64_t
text_bytes(const struct weir_schema *schema, const char *row)
{
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if (schema->fields[f].type == WEIR_TYPE_STR) {
            uint32_t text;
            memcpy(&text, row + schema->fields[f].off, sizeof text);
            bytes += text > WEIR_STR_INLINE_BYTES ? text : 0;
        }
    }
    return bytes;
}

/* Copy the texts of long strings behind the row, and let the strings refer to them there. */
static void
texts_copy(const struct weir_view *view, char *row)
{
    char *texts = row + view->schema->row_bytes;
    char *to = texts;
    for (uint32_t f = 0; f < view->schema->field_cnt; f++) {
        const struct weir_field *field = &view->schema->fields[f];
        struct weir_str str;
        if (field->type != WEIR_TYPE_STR) {
            continue;
        }
        memcpy(&str, row + field->off, sizeof str);
        if (str.bytes > WEIR_STR_INLINE_BYTES) {
            memcpy(to, view->heap + str.u.off, str.bytes);
            str.u.off = (uint64_t)(to - texts);
            memcpy(row + field->off, &str, sizeof str);
            to += str.bytes;
        }
    }
}

/* One piece: built where it stays. */
static int
item_put(const struct weir_row_place *place, const struct weir_view *view, const struct head *head,
    uint32_t *ret_ref)
{
    uint32_t bytes = (uint32_t)sizeof *head + view->schema->row_bytes + head->text_bytes;
    uint32_t class_idx = weir_arena_class_of(bytes + (uint32_t)sizeof(struct weir_blob));
    int err = weir_arena_block_take(place->arena, place->group, class_idx, ret_ref);
    if (err < 0) {
        return err;
    }
    struct weir_blob *blob = (struct weir_blob *)weir_arena_ptr(place->arena, *ret_ref);
    blob->bytes = bytes;
    memcpy(blob->data, head, sizeof *head);
    memcpy(blob->data + sizeof *head, place->scratch, view->schema->row_bytes);
    texts_copy(view, blob->data + sizeof *head);
    return 0;
}

/* Several: built in scratch, behind the row that is there. */
static int
item_put_long(const struct weir_row_place *place, const struct weir_view *view,
    const struct head *head, uint32_t *ret_ref)
{
    uint32_t row_bytes = view->schema->row_bytes;
    memmove(place->scratch + sizeof *head, place->scratch, row_bytes);
    memcpy(place->scratch, head, sizeof *head);
    texts_copy(view, place->scratch + sizeof *head);
    struct weir_slice item = {
        place->scratch, (uint32_t)sizeof *head + row_bytes + head->text_bytes};
    return weir_blob_put(place->arena, place->group, item, ret_ref);
}

int
weir_row_list_add(struct weir_row_list *list, const struct weir_row_place *place,
    const struct weir_view *view, uint32_t row)
{
    row_copy(view, row, place->scratch);
    uint64_t texts = text_bytes(view->schema, place->scratch);
    uint64_t bytes = sizeof(struct head) + view->schema->row_bytes + texts;
    if (bytes > WEIR_ROW_ITEM_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "a row of %s with its texts is longer than %d bytes",
            view->schema->name, WEIR_ROW_ITEM_BYTES_MAX);
    }
    struct head head = {0, (uint32_t)texts,
        view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN, place->tag};
    uint32_t ref;
    int err = bytes <= WEIR_BLOB_PIECE_BYTES_MAX ? item_put(place, view, &head, &ref)
                                                 : item_put_long(place, view, &head, &ref);
    if (err < 0) {
        return err;
    }
    if (list->tail == 0) {
        list->head = ref;
    } else {
        struct weir_blob *last = (struct weir_blob *)weir_arena_ptr(place->arena, list->tail);
        struct head *link = (struct head *)(void *)last->data;
        weir_arena_touch_line(place->arena, &link->next);
        link->next = ref;
    }
    list->tail = ref;
    return 0;
}

void
weir_row_item_at(const struct weir_arena *arena, const struct weir_schema *schema, uint32_t ref,
    char *scratch, struct weir_row_item *ret_item)
{
    const struct weir_blob *blob = (const struct weir_blob *)weir_arena_ptr(arena, ref);
    const char *data = blob->data;
    ret_item->is_copy = blob->next != 0;
    if (ret_item->is_copy) {
        weir_blob_read(arena, ref, scratch);
        data = scratch;
    }
    struct head head;
    memcpy(&head, data, sizeof head);
    ret_item->row = data + sizeof head;
    ret_item->heap = data + sizeof head + schema->row_bytes;
    ret_item->heap_bytes = head.text_bytes;
    ret_item->time = head.time;
    ret_item->tag = head.tag;
    ret_item->next = head.next;
}

uint32_t
weir_row_item_give(struct weir_arena *arena, uint32_t ref)
{
    const struct weir_blob *blob = (const struct weir_blob *)weir_arena_ptr(arena, ref);
    struct head head;
    memcpy(&head, blob->data, sizeof head);
    weir_blob_give(arena, ref);
    return head.next;
}
