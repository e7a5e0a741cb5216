/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h: records of one schema in one place: the unit of all work on the hot path.
 *
 * Three forms of one thing:
 *
 *   struct weir_batch   the descriptor: one cache line of region ids and offsets, in ring slots;
 *                       the same line is right in every process that maps the regions
 *   struct weir_view    the same, resolved to pointers once when it arrives at a core
 *   struct weir_out     a view that is being filled by an operator
 *
 * Rows lie in the row layout (structs at a fixed stride) or the column layout (schema.h). A
 * selection vector narrows a batch to some of its rows without moving them. Rows may be foreign (a
 * mapped log):
 * they are referenced, never written, never copied without need.
 *
 * A view is borrowed: it is valid until the call that got it returns. Only the core that holds it
 * may touch it.
 */
#ifndef WEIR_DATAPLANE_BATCH_H
#define WEIR_DATAPLANE_BATCH_H

#include "dataplane/schema.h"

/* Row indices are 16 bits wide in selection vectors. */
#define WEIR_BATCH_ROW_CNT_MAX 4096
/* One row with its texts: a few of the longest lines there may be. */
#define WEIR_ROW_BYTES_MAX (64 * WEIR_MIB)
/* Slots that begin a column are whole cache lines of the smallest field. */
#define WEIR_BATCH_CAP_ALIGN 64

/* What a ring slot holds: rows, or an event that lies between rows in order. */
enum weir_slot_kind {
    WEIR_SLOT_BATCH = 1,
    WEIR_SLOT_WATERMARK,
    WEIR_SLOT_IDLE,
    WEIR_SLOT_ACTIVE,
    WEIR_SLOT_LATENCY,
    WEIR_SLOT_BARRIER,
    WEIR_SLOT_END_OF_DATA,
    WEIR_SLOT_END,
    WEIR_SLOT_FAILED, /* the producer failed: the consumer is canceled, not failed */
    WEIR_SLOT_CANCEL, /* of a checkpoint: its barrier will not come */
    WEIR_SLOT_KIND_CNT
};

/* The kinds of a changelog row; a batch without a kind column holds inserts only. */
enum weir_row_kind {
    WEIR_ROW_INSERT,
    WEIR_ROW_UPDATE_BEFORE,
    WEIR_ROW_UPDATE_AFTER,
    WEIR_ROW_DELETE,
};

/* weir_row_kind_retracts - whether such a row takes one away that came before. */
static inline bool
weir_row_kind_retracts(uint32_t kind)
{
    return kind == WEIR_ROW_UPDATE_BEFORE || kind == WEIR_ROW_DELETE;
}

enum weir_batch_flag {
    WEIR_BATCH_EXCLUSIVE = 1, /* nobody else sees the rows: they may be written in place */
    WEIR_BATCH_FOREIGN_ROWS = 2, /* rows lie in memory that outlives the batch and is read-only */
    WEIR_BATCH_FOREIGN_HEAP = 4, /* so does the heap of their strings */
    WEIR_BATCH_COLUMNS = 8, /* column layout: `stride` is the capacity */
    /* Of views only, they never cross an edge between stages: the event times of the selected rows
     * lie within time_min..time_max; and some of these rows have these very times. */
    WEIR_BATCH_TIME_BOUNDED = 16,
    WEIR_BATCH_TIME_EXACT = 32,
};
#define WEIR_BATCH_VIEW_FLAGS \
    ((uint32_t)WEIR_BATCH_EXCLUSIVE | WEIR_BATCH_TIME_BOUNDED | WEIR_BATCH_TIME_EXACT)

/* Absent part: no selection, no time, no kinds, no hashes. */
#define WEIR_OFF_NONE UINT32_MAX

/* The descriptor. All offsets are bytes from the base of the named region.
 *
 *    0 kind  2 flags  4 region  6 heap_region
 *    8 rows_off      12 row_cnt    16 sel_off   20 sel_cnt
 *   24 time_off      28 hash_off   32 kind_off  36 heap_off
 *   40 stride        42 aux_region 44 schema    48 watermark   56 intended_ns
 *
 * sel, and hash where it is not in the rows, lie in aux_region; time and kind lie in `region` and
 * are `time_stride` apart, which follows from the layout (weir_view_of).
 * The event slots use kind and watermark (as the event's value) only; a barrier's value is the id
 * of its checkpoint, flags its kind, and intended_ns the time at which it was triggered
 * (barrier.h).
 */
struct weir_batch {
    uint16_t kind;
    uint16_t flags;
    uint16_t region;
    uint16_t heap_region;
    uint32_t rows_off;
    uint32_t row_cnt;
    uint32_t sel_off;
    uint32_t sel_cnt;
    uint32_t time_off;
    uint32_t hash_off;
    uint32_t kind_off;
    uint32_t heap_off;
    uint16_t stride;
    uint16_t aux_region;
    uint32_t schema; /* low half of the fingerprint: checked, never trusted */
    int64_t watermark;
    int64_t intended_ns; /* when the oldest record should have been emitted by the source */
};
WEIR_STATIC_ASSERT(sizeof(struct weir_batch) == WEIR_LINE_BYTES, "a descriptor is one cache line");

struct weir_view {
    const struct weir_schema *schema;
    char *rows;
    uint32_t stride; /* row layout: bytes between rows; 0 in the column layout */
    uint32_t cap; /* column layout: rows that the columns have room for */
    uint32_t cnt; /* rows selected: what an operator has to look at */
    uint32_t row_cnt;
    const uint16_t *sel; /* the selected rows in order, or NULL: all of [0, row_cnt) */
    const char *time; /* event times, time_stride bytes apart, or NULL */
    const char *kind; /* row kinds, kind_stride bytes apart, or NULL: inserts */
    uint32_t time_stride;
    uint32_t kind_stride;
    const uint64_t *hash; /* key hashes by row, or NULL */
    char *heap;
    uint32_t flags;
    uint16_t region; /* where rows lie, for the descriptor */
    uint16_t heap_region;
    int64_t watermark; /* the watermark of its channel before these rows: what makes a row late */
    int64_t intended_ns; /* 0: not known */
    int64_t time_min; /* where WEIR_BATCH_TIME_BOUNDED says so */
    int64_t time_max;
};

/* weir_view_row - the physical row of selected row i. */
static inline uint32_t
weir_view_row(const struct weir_view *view, uint32_t i)
{
    return view->sel != NULL ? view->sel[i] : i;
}

/* weir_view_time - the event time of physical row `row`; the view has times. */
static inline int64_t
weir_view_time(const struct weir_view *view, uint32_t row)
{
    int64_t time;
    memcpy(&time, view->time + (size_t)view->time_stride * row, sizeof time);
    return time;
}

/* weir_times_span - the least and the greatest of cnt times, stride bytes apart. Inline, so that
 * gcc makes vectors of a column. */
static inline __attribute__((always_inline)) void
weir_times_span(const char *time, size_t stride, uint32_t cnt, int64_t *ret_min, int64_t *ret_max)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (uint32_t i = 0; i < cnt; i++) {
        int64_t t;
        memcpy(&t, time + stride * i, sizeof t);
        min = t < min ? t : min;
        max = t > max ? t : max;
    }
    *ret_min = min;
    *ret_max = max;
}

/* weir_view_span - the least and the greatest event time of selected rows [from, from + cnt).
 *
 * Shape:   the view has times; without rows INT64_MAX and INT64_MIN.
 */
static inline void
weir_view_span(
    const struct weir_view *view, uint32_t from, uint32_t cnt, int64_t *ret_min, int64_t *ret_max)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    const char *time = view->time;
    size_t stride = view->time_stride;
    if (view->sel == NULL && stride == sizeof(int64_t)) {
        weir_times_span(time + stride * from, sizeof(int64_t), cnt, &min, &max);
    } else if (view->sel == NULL) {
        weir_times_span(time + stride * from, stride, cnt, &min, &max);
    } else {
        const uint16_t *sel = view->sel + from;
        for (uint32_t i = 0; i < cnt; i++) {
            int64_t t;
            memcpy(&t, time + stride * sel[i], sizeof t);
            min = t < min ? t : min;
            max = t > max ? t : max;
        }
    }
    *ret_min = min;
    *ret_max = max;
}

/* weir_view_is_within - whether the known bounds say that all rows lie in [first, last]. */
static inline bool
weir_view_is_within(const struct weir_view *view, int64_t first, int64_t last)
{
    return (view->flags & WEIR_BATCH_TIME_BOUNDED) != 0 && view->time_min >= first &&
           view->time_max <= last;
}

/* weir_view_set_bounds - note what weir_view_span() said about all selected rows. */
static inline void
weir_view_set_bounds(struct weir_view *view, int64_t min, int64_t max)
{
    view->time_min = min;
    view->time_max = max;
    view->flags |= (uint32_t)WEIR_BATCH_TIME_BOUNDED | WEIR_BATCH_TIME_EXACT;
}

static inline uint32_t
weir_view_kind(const struct weir_view *view, uint32_t row)
{
    return view->kind != NULL ? (uint8_t)view->kind[(size_t)view->kind_stride * row]
                              : (uint32_t)WEIR_ROW_INSERT;
}

/* A field of a view as address and distance, right in both layouts. */
struct weir_lane {
    char *ptr;
    uint32_t stride;
};

static inline struct weir_lane
weir_view_lane(const struct weir_view *view, uint32_t field_off, uint32_t field_bytes)
{
    struct weir_lane lane;
    if (view->stride != 0) {
        lane.ptr = view->rows + field_off;
        lane.stride = view->stride;
    } else {
        lane.ptr = view->rows + (size_t)view->cap * field_off;
        lane.stride = field_bytes;
    }
    return lane;
}

static inline char *
weir_view_at(const struct weir_view *view, const struct weir_field *field, uint32_t row)
{
    struct weir_lane lane = weir_view_lane(view, field->off, field->bytes);
    return lane.ptr + (size_t)lane.stride * row;
}

/* WEIR_COLUMN - the column of a field as a typed pointer; column layout only. */
#define WEIR_COLUMN(view, type, field) \
    ((__typeof__(((type *)0)->field) *)((view)->rows + (size_t)(view)->cap * offsetof(type, field)))

/* ---- outputs ---- */

struct weir_tally;

/* A batch being filled. The driver prepares it before each call of an operator:
 *   materialise:  emit rows with <schema>_emit(), while weir_out_room() says that there is room
 *   pass through: weir_out_pass() hands rows of the input on, narrowed by out->sel_buf
 * A call does one of the two, never both. */
struct weir_out {
    struct weir_view view;
    uint32_t row_cap;
    uint32_t heap_floor; /* column layout: where the columns end */
    uint32_t heap_end; /* long strings grow down from here */
    char *base; /* the buffer */
    uint32_t buf_bytes;
    uint64_t wanted_bytes; /* what an empty output had no room for; 0: nothing */
    int64_t row_time; /* event time of the rows emitted next */
    uint32_t row_kind; /* their kind */
    bool has_time; /* rows carry a hidden time behind the struct (no time field in the schema) */
    bool has_kind;
    bool passed;
    bool watermark_set; /* a watermark follows these rows */
    int64_t watermark;
    uint16_t *sel_buf; /* WEIR_BATCH_ROW_CNT_MAX entries, for weir_out_pass() */
    uint32_t status; /* 0, or WEIR_SLOT_IDLE / WEIR_SLOT_ACTIVE: follows the watermark */
    struct weir_tally *tally; /* of the one consumer, if it has one (tally.h) */
    /* Bytes of view.heap that stay as they are while the rows are on their way: strings may refer
     * to texts that lie there. 0: the heap is the output's own. */
    uint64_t kept_bytes;
};

/* weir_out_room - whether `rows` more rows with `heap_bytes` of long strings in all fit. What an
 * empty output has no room for is noted, and there is room in the next call. */
static inline bool
weir_out_room(struct weir_out *out, uint32_t rows, uint32_t heap_bytes)
{
    if (out->view.row_cnt + rows > out->row_cap) {
        return false;
    }
    uint64_t rows_end = out->view.stride != 0
                            ? (uint64_t)(out->view.row_cnt + rows) * out->view.stride
                            : (uint64_t)out->heap_floor;
    bool fits = rows_end + heap_bytes <= out->heap_end;
    if (!fits && out->view.row_cnt == 0) {
        out->wanted_bytes = rows_end + heap_bytes;
    }
    return fits;
}

/* weir_out_row - append a row and return it, zeroed or not: the caller sets every field.
 *
 * Shape:   row layout only; weir_out_room(out, 1, ..) was true.
 * Owner:   the row belongs to the batch; the pointer is good until the operator returns.
 */
static inline void *
weir_out_row(struct weir_out *out)
{
    struct weir_view *view = &out->view;
    char *row = view->rows + (size_t)view->stride * view->row_cnt;
    if (out->has_time) {
        memcpy(row + view->schema->row_bytes, &out->row_time, sizeof out->row_time);
    }
    if (out->has_kind) {
        uint64_t kind = out->row_kind;
        memcpy(row + view->stride - sizeof kind, &kind, sizeof kind);
    }
    view->row_cnt++;
    view->cnt = view->row_cnt;
    return row;
}

/* weir_out_rows - append cnt rows; returns the first. Shape and owner as weir_out_row(). */
static inline char *
weir_out_rows(struct weir_out *out, uint32_t cnt)
{
    struct weir_view *view = &out->view;
    char *rows = view->rows + (size_t)view->stride * view->row_cnt;
    if (out->has_time || out->has_kind) {
        for (uint32_t i = 0; i < cnt; i++) {
            (void)weir_out_row(out);
        }
    } else {
        view->row_cnt += cnt;
        view->cnt = view->row_cnt;
    }
    return rows;
}

/* weir_str_set - copy text into a string of a row of out.
 *
 * Shape: bytes of long strings were counted in weir_out_room(). Owner: the text is copied.
 */
static inline void
weir_str_set_bytes(struct weir_out *out, struct weir_str *dst, const char *text, uint32_t bytes)
{
    if (bytes <= WEIR_STR_INLINE_BYTES) {
        *dst = weir_str_inline(text, bytes);
        return;
    }
    out->heap_end -= bytes;
    char *to = out->base + out->heap_end;
    memcpy(to, text, bytes);
    *dst = weir_str_ref(out->view.heap, to, bytes);
}

/* weir_str_set_kept - the same; a text of the heap that the output was given is not copied. */
static inline void
weir_str_set_kept(struct weir_out *out, struct weir_str *dst, const char *text, uint32_t bytes)
{
    if ((uintptr_t)text - (uintptr_t)out->view.heap < out->kept_bytes) {
        *dst = weir_str_ref(out->view.heap, text, bytes);
    } else {
        weir_str_set_bytes(out, dst, text, bytes);
    }
}

/* weir_out_pass - hand on the rows of `in` whose `cnt` indices stand in out->sel_buf. */
static inline void
weir_out_pass(struct weir_out *out, const struct weir_view *in, uint32_t cnt)
{
    out->view = *in;
    out->view.sel = out->sel_buf;
    out->view.cnt = cnt;
    out->view.flags &= ~(uint32_t)WEIR_BATCH_TIME_EXACT;
    out->passed = true;
}

/* weir_out_pass_range - hand on selected rows [from, from + cnt) of `in`. */
static inline void
weir_out_pass_range(struct weir_out *out, const struct weir_view *in, uint32_t from, uint32_t cnt)
{
    out->view = *in;
    out->view.cnt = cnt;
    out->passed = true;
    if (cnt < in->cnt) {
        out->view.flags &= ~(uint32_t)WEIR_BATCH_TIME_EXACT;
    }
    if (in->sel != NULL) {
        out->view.sel = in->sel + from;
    } else if (from > 0 || cnt < in->row_cnt) {
        for (uint32_t i = 0; i < cnt; i++) {
            out->sel_buf[i] = (uint16_t)(from + i);
        }
        out->view.sel = out->sel_buf;
    }
}

/* weir_out_watermark - a watermark that follows the rows emitted in this call. */
static inline void
weir_out_watermark(struct weir_out *out, int64_t watermark)
{
    out->watermark = watermark;
    out->watermark_set = true;
}

#endif
