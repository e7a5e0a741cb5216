/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flight.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

/* Rows are copied in runs of so many: their indices lie on the stack. */
#define RUN_ROW_CNT 512

static size_t
uid_room(uint32_t uid_bytes)
{
    return weir_align_up(uid_bytes, sizeof(uint64_t));
}

/* ---- writing ---- */

void
weir_flight_begin(struct weir_flight_writer *writer, void *buf, size_t cap)
{
    WEIR_CHECK(cap >= WEIR_FLIGHT_HEAD_BYTES, "a section of %zu bytes", cap);
    *writer = (struct weir_flight_writer){.buf = buf, .cap = cap, .bytes = WEIR_FLIGHT_HEAD_BYTES};
}

uint64_t
weir_flight_entry_bytes(const struct weir_flight_place *place,
    const struct weir_channel_format *format, uint32_t row_cnt, uint64_t text_bytes)
{
    return weir_align_up(sizeof(struct weir_flight_entry) + uid_room((uint32_t)strlen(place->uid)) +
                             (uint64_t)row_cnt * format->row_bytes + text_bytes,
        sizeof(uint64_t));
}

/* Room for an entry, its head and uid filled, the rest zeroed but for what is before its last word;
 * NULL: the buffer is too small. */
static struct weir_flight_entry *
add(struct weir_flight_writer *writer, const struct weir_flight_place *place, uint64_t bytes)
{
    if (writer->is_short || bytes > writer->cap - writer->bytes || bytes > UINT32_MAX) {
        writer->is_short = true;
        return NULL;
    }
    uint32_t uid_bytes = (uint32_t)strlen(place->uid);
    struct weir_flight_entry *entry =
        (struct weir_flight_entry *)(void *)(writer->buf + writer->bytes);
    memset((char *)entry + bytes - sizeof(uint64_t), 0, sizeof(uint64_t));
    memset(entry, 0, sizeof *entry + uid_room(uid_bytes));
    memcpy(entry + 1, place->uid, uid_bytes);
    entry->bytes = (uint32_t)bytes;
    entry->edge = place->edge;
    entry->subtask = place->subtask;
    entry->channel = place->channel;
    entry->side = place->side;
    entry->channel_id = place->channel_id;
    entry->uid_bytes = uid_bytes;
    writer->bytes += bytes;
    return entry;
}

static uint64_t
text_bytes(const struct weir_channel_format *format, const struct weir_view *view, uint32_t from,
    uint32_t cnt)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; weir_schema_has_str(format->schema) && i < cnt; i++) {
        bytes += weir_row_text_bytes(format->schema, view, weir_view_row(view, from + i));
    }
    return bytes;
}

void
weir_flight_rows(struct weir_flight_writer *writer, const struct weir_flight_place *place,
    const struct weir_flight_run *run)
{
    const struct weir_channel_format *format = run->format;
    const struct weir_view *view = run->view;
    uint32_t from = run->from;
    uint32_t cnt = run->cnt;
    uint64_t heap_bytes = text_bytes(format, view, from, cnt);
    struct weir_flight_entry *entry =
        add(writer, place, weir_flight_entry_bytes(place, format, cnt, heap_bytes));
    if (entry == NULL) {
        return;
    }
    entry->kind = WEIR_SLOT_BATCH;
    entry->row_cnt = cnt;
    entry->row_bytes = format->row_bytes;
    entry->heap_bytes = (uint32_t)heap_bytes;
    entry->flags = (format->has_time ? WEIR_FLIGHT_HAS_TIME : 0u) |
                   (format->has_kind ? WEIR_FLIGHT_HAS_KIND : 0u);
    entry->fingerprint = weir_schema_fingerprint(format->schema);
    entry->watermark = view->watermark;
    entry->intended_ns = view->intended_ns;
    char *rows = (char *)(entry + 1) + uid_room(entry->uid_bytes);
    char *heap = rows + (size_t)cnt * format->row_bytes;
    struct weir_row_heap texts = {heap, entry->heap_bytes};
    for (uint32_t done = 0; done < cnt;) {
        uint16_t idx[RUN_ROW_CNT];
        uint32_t n = weir_min_u32(cnt - done, RUN_ROW_CNT);
        char *to = rows + (size_t)done * format->row_bytes;
        for (uint32_t i = 0; i < n; i++) {
            idx[i] = (uint16_t)weir_view_row(view, from + done + i);
        }
        weir_row_copy(format, view, idx, n, to);
        if (heap_bytes > 0) {
            weir_row_copy_texts(format, view, to, n, &texts);
        }
        done += n;
    }
    WEIR_DCHECK(texts.end == 0, "texts of another length than was counted");
}

void
weir_flight_event(struct weir_flight_writer *writer, const struct weir_flight_place *place,
    uint32_t slot_kind, int64_t value)
{
    if (slot_kind != WEIR_SLOT_WATERMARK && slot_kind != WEIR_SLOT_IDLE &&
        slot_kind != WEIR_SLOT_ACTIVE) {
        return;
    }
    struct weir_flight_entry *entry = add(writer, place,
        weir_align_up(sizeof *entry + uid_room((uint32_t)strlen(place->uid)), sizeof(uint64_t)));
    if (entry != NULL) {
        entry->kind = slot_kind;
        entry->watermark = value;
    }
}

int
weir_flight_finish(struct weir_flight_writer *writer, size_t *ret_bytes)
{
    if (writer->is_short) {
        return weir_err_push(
            WEIR_EBUDGET, "rows under way take more than the %zu bytes for them", writer->cap);
    }
    const uint32_t version[2] = {WEIR_FLIGHT_VERSION, 0};
    const uint64_t bytes = writer->bytes;
    memcpy(writer->buf, WEIR_FLIGHT_MAGIC, 8);
    memcpy(writer->buf + 8, version, sizeof version);
    memcpy(writer->buf + WEIR_FLIGHT_BYTES_OFF, &bytes, sizeof bytes);
    *ret_bytes = writer->bytes;
    return 0;
}

/* ---- reading ---- */

static int
damaged(size_t offset, const char *what)
{
    return weir_err_push(WEIR_EDATA, "rows under way, at byte %zu: %s", offset, what);
}

static const char *
what_is_wrong(const struct weir_flight_entry *entry, uint64_t left)
{
    uint64_t body = uid_room(entry->uid_bytes) + (uint64_t)entry->row_cnt * entry->row_bytes +
                    entry->heap_bytes;
    bool is_rows = entry->kind == WEIR_SLOT_BATCH;
    bool is_event = entry->kind == WEIR_SLOT_WATERMARK || entry->kind == WEIR_SLOT_IDLE ||
                    entry->kind == WEIR_SLOT_ACTIVE;
    if (entry->bytes > left || entry->bytes % sizeof(uint64_t) != 0 ||
        (uint64_t)entry->bytes < sizeof *entry) {
        return "an entry of another length";
    }
    if (body > entry->bytes - sizeof *entry ||
        weir_align_up(body, 8) + sizeof *entry != entry->bytes) {
        return "an entry whose parts are not its length";
    }
    if ((!is_rows && !is_event) || entry->side >= WEIR_FLIGHT_SIDE_CNT || entry->uid_bytes == 0) {
        return "an entry of no known kind";
    }
    if (is_rows ? entry->row_cnt == 0 || entry->row_cnt > WEIR_BATCH_ROW_CNT_MAX ||
                      entry->row_bytes % sizeof(uint64_t) != 0 || entry->row_bytes == 0
                : entry->row_cnt != 0 || entry->heap_bytes != 0) {
        return "an entry of so many rows";
    }
    return NULL;
}

int
weir_flight_check(const void *buf, size_t bytes)
{
    uint32_t version[2];
    uint64_t said;
    if (bytes < WEIR_FLIGHT_HEAD_BYTES || memcmp(buf, WEIR_FLIGHT_MAGIC, 8) != 0) {
        return weir_err_push(WEIR_EFORMAT, "no rows under way");
    }
    memcpy(version, (const char *)buf + 8, sizeof version);
    memcpy(&said, (const char *)buf + WEIR_FLIGHT_BYTES_OFF, sizeof said);
    if (version[0] != WEIR_FLIGHT_VERSION) {
        return weir_err_push(WEIR_EFORMAT, "rows under way of version %u", version[0]);
    }
    if (said != bytes || version[1] != 0) {
        return damaged(WEIR_FLIGHT_BYTES_OFF, "a section of another length");
    }
    for (size_t at = WEIR_FLIGHT_HEAD_BYTES; at < bytes;) {
        struct weir_flight_entry entry;
        if (bytes - at < sizeof entry) {
            return damaged(at, "half an entry");
        }
        memcpy(&entry, (const char *)buf + at, sizeof entry);
        const char *wrong = what_is_wrong(&entry, bytes - at);
        if (wrong != NULL) {
            return damaged(at, wrong);
        }
        at += entry.bytes;
    }
    return 0;
}

const struct weir_flight_entry *
weir_flight_next(const void *buf, size_t bytes, size_t *offset)
{
    size_t at = *offset == 0 ? WEIR_FLIGHT_HEAD_BYTES : *offset;
    if (at >= bytes) {
        return NULL;
    }
    const struct weir_flight_entry *entry =
        (const struct weir_flight_entry *)(const void *)((const char *)buf + at);
    *offset = at + entry->bytes;
    return entry;
}

bool
weir_flight_is_of(const struct weir_flight_entry *entry, const char *uid)
{
    return entry->uid_bytes == strlen(uid) && memcmp(entry + 1, uid, entry->uid_bytes) == 0;
}

/* Every long text of the rows lies within the entry's. */
static bool
has_its_texts(const struct weir_view *view, uint32_t heap_bytes)
{
    const struct weir_schema *schema = view->schema;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        for (uint32_t i = 0; schema->fields[f].type == WEIR_TYPE_STR && i < view->cnt; i++) {
            struct weir_str str;
            memcpy(&str, weir_view_at(view, &schema->fields[f], i), sizeof str);
            if (str.bytes > WEIR_STR_INLINE_BYTES &&
                (str.bytes > heap_bytes || str.u.off > heap_bytes - str.bytes)) {
                return false;
            }
        }
    }
    return true;
}

int
weir_flight_view(const struct weir_flight_entry *entry, const struct weir_schema *schema,
    struct weir_view *ret_view)
{
    struct weir_channel_format format;
    weir_channel_format_init(&format, schema, (entry->flags & WEIR_FLIGHT_HAS_TIME) != 0,
        (entry->flags & WEIR_FLIGHT_HAS_KIND) != 0);
    char *rows = (char *)(uintptr_t)(entry + 1) + uid_room(entry->uid_bytes);
    if (entry->fingerprint != weir_schema_fingerprint(schema) ||
        entry->row_bytes != format.row_bytes) {
        return weir_err_push(WEIR_EDATA,
            "rows under way to operator %.*s are not of its schema %s any more: start from a "
            "savepoint",
            (int)entry->uid_bytes, (const char *)(entry + 1), schema->name);
    }
    struct weir_view view;
    weir_row_view(
        &format, rows, entry->row_cnt, rows + (size_t)entry->row_cnt * entry->row_bytes, &view);
    if (!has_its_texts(&view, entry->heap_bytes)) {
        return weir_err_push(WEIR_EDATA,
            "rows under way to operator %.*s name texts that are not "
            "there",
            (int)entry->uid_bytes, (const char *)(entry + 1));
    }
    view.watermark = entry->watermark;
    view.intended_ns = entry->intended_ns;
    *ret_view = view;
    return 0;
}
