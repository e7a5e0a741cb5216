/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/channel.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mutant.h"
#include "dataplane/barrier.h"

#define FLYING_MASK (WEIR_CHANNEL_BUF_CNT_MAX - 1)

/* ---- buffers ---- */

static void
free_large(struct weir_channel_out *out)
{
    weir_region_table_remove(out->regions, out->large_region, out->large_bytes);
    free(out->large);
    out->large = NULL;
}

void
weir_channel_reclaim(struct weir_channel_out *out)
{
    if (out->flying_head == out->flying_tail && out->large == NULL) {
        return;
    }
    uint64_t head = weir_ring_head_seq(&out->ring);
    while (
        out->flying_head != out->flying_tail &&
        out->flying[out->flying_head & FLYING_MASK].seq <= head + WEIR_MUTANT(BUFFER_GIVEN_EARLY)) {
        weir_buf_give(out->pool->arena, out->flying[out->flying_head & FLYING_MASK].buf_idx);
        out->flying_head++;
    }
    if (out->large != NULL && out->buf != out->large && out->large_seq <= head) {
        free_large(out);
    }
}

static void
begin_buf(struct weir_channel_out *out, uint32_t bytes)
{
    out->rows_off = 0;
    out->row_cnt = 0;
    out->heap_end = bytes;
    out->buf_cap = bytes;
    out->bufs++;
}

/* Use no more than `limit` bytes of it. False: busy. */
static bool
open_buf(struct weir_channel_out *out, uint32_t limit)
{
    struct weir_buf_arena *arena = out->pool->arena;
    weir_channel_reclaim(out);
    if (out->flying_tail - out->flying_head == WEIR_CHANNEL_BUF_CNT_MAX) {
        return false;
    }
    out->buf_idx = weir_buf_take(out->pool, out->channel);
    if (out->buf_idx == WEIR_BUF_NONE) {
        return false;
    }
    out->buf = weir_buf_ptr(arena, out->buf_idx);
    weir_buf_locate(arena, out->buf_idx, &out->region, &out->region_off);
    uint32_t bytes = weir_buf_bytes(arena);
    begin_buf(out, limit != 0 ? weir_min_u32(bytes, limit) : bytes);
    return true;
}

/* A buffer for one row that is larger than the others. 1; 0: the one before is still on its way. */
static int
open_large(struct weir_channel_out *out, uint64_t bytes)
{
    if (bytes > WEIR_ROW_BYTES_MAX) {
        return weir_err_push(WEIR_EBUDGET,
            "a row of %s takes %llu bytes, more than the %llu of one", out->format->schema->name,
            (unsigned long long)bytes, (unsigned long long)WEIR_ROW_BYTES_MAX);
    }
    weir_channel_reclaim(out);
    if (out->large != NULL) {
        return 0;
    }
    char *mem = malloc(bytes);
    if (mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%llu bytes for a row of %s", (unsigned long long)bytes,
            out->format->schema->name);
    }
    int err = weir_region_table_add(out->regions, mem, bytes, &out->large_region);
    if (err != 0) {
        free(mem);
        return err;
    }
    out->large = mem;
    out->large_bytes = bytes;
    out->buf = mem;
    out->buf_idx = WEIR_BUF_NONE;
    out->region = out->large_region;
    out->region_off = 0;
    begin_buf(out, (uint32_t)bytes);
    return 1;
}

/* The open buffer is full: it is free again when all published so far is released. */
static void
shut_buf(struct weir_channel_out *out)
{
    WEIR_DCHECK(out->row_cnt == 0, "an unpublished slice");
    out->buf_bytes += out->rows_off + out->buf_cap - out->heap_end;
    if (out->buf == out->large) {
        out->large_seq = weir_ring_tail_seq(&out->ring);
    } else if (out->rows_off == 0) {
        weir_buf_give(out->pool->arena, out->buf_idx); /* nothing was ever published from it */
    } else {
        out->flying[out->flying_tail & FLYING_MASK].seq = weir_ring_tail_seq(&out->ring);
        out->flying[out->flying_tail & FLYING_MASK].buf_idx = out->buf_idx;
        out->flying_tail++;
    }
    out->buf = NULL;
}

int
weir_channel_set_limit(struct weir_channel_out *out, int64_t bytes)
{
    if (bytes <= 0) {
        return weir_err_push(WEIR_EINVAL, "buffers of %lld bytes", (long long)bytes);
    }
    out->limit = (uint32_t)weir_min_i64(bytes, weir_buf_bytes(out->pool->arena));
    return 0;
}

uint32_t
weir_channel_in_use(struct weir_channel_out *out)
{
    weir_channel_reclaim(out);
    return out->flying_tail - out->flying_head + (out->buf != NULL);
}

void
weir_channel_close(struct weir_channel_out *out)
{
    out->row_cnt = 0;
    if (out->buf != NULL) {
        shut_buf(out);
    }
    for (; out->flying_head != out->flying_tail; out->flying_head++) {
        weir_buf_give(out->pool->arena, out->flying[out->flying_head & FLYING_MASK].buf_idx);
    }
    if (out->large != NULL) {
        free_large(out);
    }
}

/* ---- publishing ---- */

/* Descriptors are made beside the ring and stored whole: half of them written in eights while the
 * consumer waits for the line cost twice as much (bench/ring). */
static struct weir_batch
descriptor(const struct weir_channel_out *out, uint32_t kind)
{
    const struct weir_batch batch = {
        .kind = (uint16_t)kind,
        .sel_off = WEIR_OFF_NONE,
        .time_off = WEIR_OFF_NONE,
        .hash_off = WEIR_OFF_NONE,
        .kind_off = WEIR_OFF_NONE,
        .watermark = out->watermark,
    };
    return batch;
}

static void
publish(struct weir_channel_out *out, const struct weir_batch *batch)
{
    *(struct weir_batch *)weir_ring_prod_slot(&out->ring, 0, sizeof *batch) = *batch;
    weir_ring_publish(&out->ring, 1);
    out->dirty = true;
}

int
weir_channel_flush(struct weir_channel_out *out)
{
    const struct weir_channel_format *format = out->format;
    if (out->buf == NULL || out->row_cnt == 0) {
        return 1;
    }
    if (weir_ring_room_data(&out->ring, 1) == 0) {
        return 0;
    }
    struct weir_batch batch = descriptor(out, WEIR_SLOT_BATCH);
    uint32_t rows_off = out->region_off + out->rows_off;
    uint32_t hidden = format->schema->row_bytes;
    batch.flags = WEIR_BATCH_EXCLUSIVE;
    batch.region = out->region;
    batch.rows_off = rows_off;
    batch.row_cnt = out->row_cnt;
    batch.stride = (uint16_t)format->row_bytes;
    batch.heap_region = out->region;
    batch.heap_off = out->region_off;
    if (format->schema->time_idx >= 0) {
        batch.time_off = rows_off + format->schema->fields[format->schema->time_idx].off;
    } else if (format->has_time) {
        batch.time_off = rows_off + hidden;
        hidden += 8;
    }
    if (format->has_kind) {
        batch.kind_off = rows_off + hidden;
    }
    batch.intended_ns = out->intended_ns;
    publish(out, &batch);
    out->rows_off += out->row_cnt * format->row_bytes;
    out->row_cnt = 0;
    return 1;
}

int
weir_channel_event(struct weir_channel_out *out, uint32_t kind, int64_t value)
{
    bool overtakes = WEIR_MUTANT(WATERMARK_OVERTAKES) && kind == WEIR_SLOT_WATERMARK;
    if ((!overtakes && weir_channel_flush(out) == 0) || weir_ring_room(&out->ring, 1) == 0) {
        return 0;
    }
    struct weir_batch batch = descriptor(out, kind);
    batch.watermark = value;
    if (kind == WEIR_SLOT_WATERMARK) {
        out->watermark = value;
    }
    publish(out, &batch);
    return 1;
}

int
weir_channel_mark(struct weir_channel_out *out, uint32_t slot_kind, const struct weir_mark *mark)
{
    /* What only measures takes no slot that is kept for events. */
    if (weir_channel_flush(out) == 0 || weir_ring_room(&out->ring, 1) == 0 ||
        (slot_kind == WEIR_SLOT_LATENCY && weir_ring_room_data(&out->ring, 1) == 0)) {
        return 0;
    }
    struct weir_batch batch = descriptor(out, slot_kind);
    batch.watermark = (int64_t)mark->id;
    batch.flags = (uint16_t)mark->kind;
    batch.intended_ns = mark->trigger_ns;
    if (slot_kind == WEIR_SLOT_BARRIER) {
        weir_ring_urgent_set(&out->ring, 0);
    }
    publish(out, &batch);
    return 1;
}

int
weir_channel_urge(struct weir_channel_out *out, const struct weir_mark *mark)
{
    const uint64_t words[3] = {mark->id, (uint64_t)mark->trigger_ns, mark->kind};
    if (weir_ring_urge(&out->ring, words) == 0) {
        return 0;
    }
    out->dirty = true;
    return 1;
}

/* ---- the open slice ---- */

bool
weir_channel_open_rows(const struct weir_channel_out *out, struct weir_view *ret_view)
{
    if (out->buf == NULL || out->row_cnt == 0) {
        return false;
    }
    weir_row_view(out->format, out->buf + out->rows_off, out->row_cnt, out->buf, ret_view);
    ret_view->watermark = out->watermark;
    ret_view->intended_ns = out->intended_ns;
    return true;
}

void
weir_channel_drop_open(struct weir_channel_out *out)
{
    out->rows -= out->row_cnt;
    out->row_cnt = 0;
    shut_buf(out);
}

/* ---- copying ---- */

/* How many of the rows fit behind the open slice. */
static uint32_t
rows_fit(const struct weir_channel_out *out, const struct weir_view *view, const uint16_t *rows,
    uint32_t cnt, bool copies_texts)
{
    const struct weir_channel_format *format = out->format;
    uint32_t at = out->rows_off + out->row_cnt * format->row_bytes;
    uint32_t room = out->heap_end > at ? (out->heap_end - at) / format->row_bytes : 0;
    uint32_t n = weir_min_u32(weir_min_u32(cnt, room), format->batch_rows - out->row_cnt);
    if (!copies_texts) {
        return n;
    }
    uint64_t heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        heap += weir_row_text_bytes(format->schema, view, rows[i]);
        if (at + (i + 1) * format->row_bytes + heap > out->heap_end) {
            return i;
        }
    }
    return n;
}

/* The next row does not fit behind the slice: go on in another buffer. 1 done, 0 busy, or an
 * error. */
static int
more_room(struct weir_channel_out *out, const struct weir_view *view, uint32_t row)
{
    if (weir_channel_flush(out) == 0) {
        return 0;
    }
    const uint16_t next = (uint16_t)row;
    if (rows_fit(out, view, &next, 1, true) == 1) {
        return 1; /* the slice had its batch_rows, the buffer has room for another */
    }
    shut_buf(out);
    uint64_t bytes = out->format->row_bytes + weir_row_text_bytes(out->format->schema, view, row);
    if (bytes > weir_buf_bytes(out->pool->arena)) {
        return open_large(out, bytes);
    }
    return out->limit == 0 || bytes <= out->limit ? 1 : open_buf(out, 0);
}

int64_t
weir_channel_append(
    struct weir_channel_out *out, const struct weir_view *view, const uint16_t *rows, uint32_t cnt)
{
    bool has_str = weir_schema_has_str(out->format->schema);
    uint32_t taken = 0;
    while (taken < cnt) {
        if (out->buf == NULL && !open_buf(out, out->limit)) {
            break;
        }
        uint32_t n = rows_fit(out, view, rows + taken, cnt - taken, has_str);
        if (n == 0) {
            int rc = more_room(out, view, rows[taken]);
            if (rc < 0) {
                return rc;
            }
            if (rc == 0) {
                break;
            }
            continue;
        }
        if (out->row_cnt == 0) {
            out->intended_ns = view->intended_ns;
        }
        char *to = out->buf + out->rows_off + (size_t)out->row_cnt * out->format->row_bytes;
        weir_row_copy(out->format, view, rows + taken, n, to);
        if (has_str) {
            struct weir_row_heap heap = {out->buf, out->heap_end};
            weir_row_copy_texts(out->format, view, to, n, &heap);
            out->heap_end = heap.end;
        }
        out->row_cnt += n;
        taken += n;
    }
    out->rows += taken;
    return taken;
}

/* Room in the open buffer for a selection of up to cnt rows: how many of them. 0: busy. */
static uint32_t
room_for_selection(struct weir_channel_out *out, uint32_t cnt)
{
    uint32_t whole = weir_buf_bytes(out->pool->arena) / (uint32_t)sizeof(uint16_t);
    cnt = weir_min_u32(cnt, whole);
    if (out->buf != NULL && out->rows_off + cnt * sizeof(uint16_t) > out->heap_end) {
        shut_buf(out);
    }
    return out->buf != NULL || open_buf(out, 0) ? cnt : 0;
}

/* One descriptor of foreign rows; its selection, where it has one, lies in the open buffer. */
static void
publish_foreign(struct weir_channel_out *out, const struct weir_region_table *regions,
    const struct weir_view *view, const uint16_t *sel, uint32_t cnt)
{
    const char *base = weir_region_table_ptr(regions, view->region, 0);
    struct weir_batch batch = descriptor(out, WEIR_SLOT_BATCH);
    batch.flags = (uint16_t)(view->flags & ~WEIR_BATCH_VIEW_FLAGS);
    batch.region = view->region;
    batch.rows_off = (uint32_t)(view->rows - base);
    batch.row_cnt = view->row_cnt;
    batch.stride = (uint16_t)view->stride;
    batch.time_off = view->time != NULL ? (uint32_t)(view->time - base) : WEIR_OFF_NONE;
    batch.heap_region = view->heap_region;
    batch.heap_off =
        view->heap != NULL
            ? (uint32_t)(view->heap - (char *)weir_region_table_ptr(regions, view->heap_region, 0))
            : 0;
    batch.intended_ns = view->intended_ns;
    if (sel != NULL) {
        memcpy(out->buf + out->rows_off, sel, cnt * sizeof *sel);
        batch.aux_region = out->region;
        batch.sel_off = out->region_off + out->rows_off;
        batch.sel_cnt = cnt;
        out->rows_off += (uint32_t)weir_align_up(cnt * sizeof *sel, 8);
    }
    publish(out, &batch);
    out->rows += cnt;
}

int64_t
weir_channel_pass(struct weir_channel_out *out, const struct weir_region_table *regions,
    const struct weir_view *view, const uint16_t *rows, uint32_t cnt)
{
    bool selects = view->sel != NULL || cnt != view->row_cnt;
    uint32_t sent = 0;
    while (sent < cnt && weir_channel_flush(out) == 1 && weir_ring_room_data(&out->ring, 1) > 0) {
        uint32_t n = selects ? room_for_selection(out, cnt - sent) : cnt;
        if (n == 0) {
            break;
        }
        publish_foreign(out, regions, view, selects ? rows + sent : NULL, n);
        sent += n;
    }
    return sent;
}
