/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/keep.h"

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/barrier.h"

/* Rows are put into the channel in runs of so many: their indices lie on the stack. */
#define RUN_ROW_CNT 256

/* In the memory, in front of an entry of rows. */
struct item {
    uint64_t next; /* its place in the memory; 0: the last of its channel */
    uint32_t kind; /* enum weir_slot_kind */
    uint32_t done; /* rows of it that are in the channel */
    int64_t value; /* of an event */
};

void
weir_keep_init(struct weir_keep *keep, void *mem, size_t bytes)
{
    weir_flight_begin(&keep->mem, mem, bytes);
    keep->item_cnt = 0;
}

static struct item *
item_at(const struct weir_keep *keep, uint64_t at)
{
    return (struct item *)(void *)(keep->mem.buf + at);
}

static const struct weir_flight_entry *
entry_of(const struct item *item)
{
    return (const struct weir_flight_entry *)(const void *)(item + 1);
}

/* A new item, not linked; 0: no memory. */
static uint64_t
add(struct weir_keep *keep, uint32_t kind, int64_t value)
{
    struct weir_flight_writer *mem = &keep->mem;
    if (mem->cap - mem->bytes < sizeof(struct item)) {
        return 0;
    }
    uint64_t at = mem->bytes;
    *item_at(keep, at) = (struct item){.kind = kind, .value = value};
    mem->bytes += sizeof(struct item);
    return at;
}

static void
link_item(struct weir_channel_out *out, uint64_t at, bool at_front)
{
    struct weir_keep *keep = out->keep;
    if (out->kept_first == 0) {
        out->kept_watermark = out->watermark;
        out->kept_first = at;
        out->kept_last = at;
    } else if (at_front) {
        item_at(keep, at)->next = out->kept_first;
        out->kept_first = at;
    } else {
        item_at(keep, out->kept_last)->next = at;
        out->kept_last = at;
    }
    keep->item_cnt++;
}

static void
drop_first(struct weir_channel_out *out)
{
    struct weir_keep *keep = out->keep;
    out->kept_first = item_at(keep, out->kept_first)->next;
    if (--keep->item_cnt == 0) {
        keep->mem.bytes = WEIR_FLIGHT_HEAD_BYTES;
    }
}

/* The selected rows of a view, all of them. */
static int
keep_view(struct weir_channel_out *out, const struct weir_view *view, bool at_front)
{
    struct weir_keep *keep = out->keep;
    size_t before = keep->mem.bytes;
    uint64_t at = add(keep, WEIR_SLOT_BATCH, 0);
    if (at != 0) {
        const struct weir_flight_run run = {out->format, view, 0, view->cnt};
        weir_flight_rows(&keep->mem, &out->place, &run);
    }
    if (at == 0 || keep->mem.is_short) {
        keep->mem.is_short = false;
        keep->mem.bytes = before;
        return 0;
    }
    link_item(out, at, at_front);
    return 1;
}

int
weir_keep_rows(
    struct weir_channel_out *out, const struct weir_view *view, const uint16_t *rows, uint32_t cnt)
{
    struct weir_view some = *view;
    some.sel = rows;
    some.cnt = cnt;
    some.watermark = weir_keep_has(out) ? out->kept_watermark : out->watermark;
    return keep_view(out, &some, false);
}

int
weir_keep_event(struct weir_channel_out *out, uint32_t kind, int64_t value)
{
    uint64_t at = add(out->keep, kind, value);
    if (at == 0) {
        return 0;
    }
    link_item(out, at, false);
    if (kind == WEIR_SLOT_WATERMARK) {
        out->kept_watermark = value;
    }
    return 1;
}

int
weir_keep_open_rows(struct weir_channel_out *out)
{
    struct weir_view view;
    if (!weir_channel_open_rows(out, &view)) {
        return 1;
    }
    if (keep_view(out, &view, true) == 0) {
        return 0;
    }
    if (!WEIR_MUTANT(KEEP_OPEN_TWICE)) {
        weir_channel_drop_open(out);
    }
    return 1;
}

/* ---- into the channel ---- */

static int
send_rows(struct weir_channel_out *out, struct item *item)
{
    const struct weir_flight_entry *entry = entry_of(item);
    struct weir_view view;
    int rc = weir_flight_view(entry, out->format->schema, &view);
    while (rc == 0 && item->done < entry->row_cnt) {
        uint16_t rows[RUN_ROW_CNT];
        uint32_t n = weir_min_u32(entry->row_cnt - item->done, RUN_ROW_CNT);
        for (uint32_t i = 0; i < n; i++) {
            rows[i] = (uint16_t)(item->done + i);
        }
        int64_t taken = weir_channel_append(out, &view, rows, n);
        if (taken < 0) {
            return (int)taken;
        }
        item->done += (uint32_t)taken;
        if (taken < n) {
            return 0;
        }
    }
    return rc != 0 ? rc : 1;
}

int
weir_keep_send(struct weir_channel_out *out)
{
    while (weir_keep_has(out)) {
        struct item *item = item_at(out->keep, out->kept_first);
        int rc;
        if (item->kind == WEIR_SLOT_BATCH) {
            rc = send_rows(out, item);
        } else if (item->kind == WEIR_SLOT_CANCEL) {
            const struct weir_mark mark = {.id = (uint64_t)item->value};
            rc = weir_channel_mark(out, item->kind, &mark);
        } else {
            rc = weir_channel_event(out, item->kind, item->value);
        }
        if (rc != 1) {
            return rc;
        }
        drop_first(out);
    }
    return 1;
}

/* ---- into a checkpoint ---- */

void
weir_keep_write(const struct weir_channel_out *out, struct weir_flight_writer *writer)
{
    for (uint64_t at = out->kept_first; at != 0;) {
        const struct item *item = item_at(out->keep, at);
        const struct weir_flight_entry *entry = entry_of(item);
        struct weir_view view;
        if (item->kind != WEIR_SLOT_BATCH) {
            weir_flight_event(writer, &out->place, item->kind, item->value);
        } else {
            int rc = weir_flight_view(entry, out->format->schema, &view);
            WEIR_CHECK(rc == 0, "rows that are kept are damaged");
            const struct weir_flight_run run = {
                out->format, &view, item->done, entry->row_cnt - item->done};
            weir_flight_rows(writer, &out->place, &run);
        }
        at = item->next;
    }
}
