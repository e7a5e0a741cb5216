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

/* Move the texts of long strings behind the row. Returns where they end, 0: there is no room. */
static uint32_t
texts_copy(const struct weir_view *view, char *row, uint32_t room)
{
    uint32_t used = view->schema->row_bytes;
    char *texts = row + used;
    for (uint32_t f = 0; f < view->schema->field_cnt; f++) {
        const struct weir_field *field = &view->schema->fields[f];
        struct weir_str str;
        if (field->type != WEIR_TYPE_STR) {
            continue;
        }
        memcpy(&str, row + field->off, sizeof str);
        if (str.bytes <= WEIR_STR_INLINE_BYTES) {
            continue;
        }
        if (str.bytes > room - used) {
            return 0;
        }
        memcpy(row + used, view->heap + str.u.off, str.bytes);
        str.u.off = (uint64_t)(row + used - texts);
        memcpy(row + field->off, &str, sizeof str);
        used += str.bytes;
    }
    return used;
}

int
weir_row_list_add(struct weir_row_list *list, const struct weir_row_place *place,
    const struct weir_view *view, uint32_t row)
{
    char *to = place->scratch + sizeof(struct head);
    uint32_t room = WEIR_ROW_ITEM_BYTES_MAX - sizeof(struct head);
    row_copy(view, row, to);
    uint32_t used = texts_copy(view, to, room);
    if (used == 0) {
        return weir_err_push(WEIR_EDATA, "a row of %s with its texts is longer than %d bytes",
            view->schema->name, WEIR_ROW_ITEM_BYTES_MAX);
    }
    struct head head = {0, used - view->schema->row_bytes,
        view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN, place->tag};
    memcpy(place->scratch, &head, sizeof head);
    struct weir_slice item = {place->scratch, used + (uint32_t)sizeof head};
    uint32_t ref;
    int err = weir_blob_put(place->arena, place->group, item, &ref);
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
