/* SPDX-License-Identifier: Apache-2.0 */
/* The best rows of each window.
 *
 *     best 1 with ties:   (10:00 a 3) (10:00 b 5) (10:00 c 5) watermark 10:00   ->   b, c
 *
 * State: per window a list of rows, best first, in blocks of the state arena; each block is a row
 * with its rank. Long strings of a row lie beside it as blobs. A row that cannot be among the best
 * is never copied: one comparison.
 *
 * Watermarks: windows that they end are emitted first, earliest first.
 *
 * Lists that a better row has made worthless are freed a few blocks at a time.
 *
 * Checkpoints: rows lie in state pages. The heads of the lists are in a table, too, which is
 * brought up to date before a barrier; all of them in the first key group of the subtask, whatever
 * their windows would hash to, for they are its own. Where a subtask comes to own the first key
 * groups of several, it puts their lists together.
 */
#include "dataplane/operators/top.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "base/hash.h"
#include "dataplane/blob.h"
#include "dataplane/minheap.h"
#include "dataplane/rank.h"
#include "dataplane/state.h"

#define WINDOW_NONE UINT32_MAX
#define HEAD_CNT 4096
/* Blocks freed beside each row that is kept. */
#define FREE_CNT 4

/* A kept row; long strings in it hold a blob's reference for their offset. */
struct kept {
    uint32_t next; /* 0: the last */
    uint32_t unused;
    int64_t rank;
    int64_t time;
    char row[];
};

struct top_window {
    int64_t end;
    uint32_t first;
    uint32_t last;
    uint32_t cnt;
    uint32_t next; /* of its hash chain, or of the free records */
    int64_t least; /* once cnt rows are kept: what a row must have to count */
    bool is_stale; /* the table does not know it as it is */
};

/* Its entry in the table, under (home, end). */
struct saved {
    uint32_t first;
    uint32_t last;
    uint64_t cnt;
    int64_t least;
};
struct place {
    uint64_t home;
    int64_t end;
};

struct self {
    struct weir_arena *arena;
    const struct weir_field *end;
    const struct weir_field *by;
    uint32_t class_idx; /* of the blocks */
    int64_t frontier;
    struct top_window *window; /* [WEIR_TOP_WINDOW_CNT_MAX] */
    uint32_t window_fresh;
    uint32_t window_free;
    uint32_t head[HEAD_CNT];
    struct weir_minheap heap; /* windows by their end */
    uint32_t at; /* the window of the last row */
    uint32_t garbage; /* kept rows to free */
    struct weir_table *table; /* what a barrier finds of the windows */
    uint64_t home; /* a number whose hash lies in the subtask's first key group */
    uint64_t home_hash;
};

/* ---- open ---- */

static int
plan(struct self *self, const struct weir_top_conf *conf, const struct weir_schema *schema)
{
    const char *end_name = conf->end_field != NULL ? conf->end_field : "window_end";
    int end = weir_schema_field(schema, end_name);
    int by = conf->by_field == NULL ? -1 : weir_schema_field(schema, conf->by_field);
    if (end < 0 || schema->fields[end].bytes != 8 || !weir_rank_takes(&schema->fields[end]) ||
        schema->fields[end].type == WEIR_TYPE_F64) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s holds no end of a window: i64 or ts",
            end_name, schema->name);
    }
    if (by < 0 || !weir_rank_takes(&schema->fields[by])) {
        return weir_err_push(WEIR_EGRAPH, "the field %s of %s cannot rank: it must be a number",
            conf->by_field == NULL ? "(none)" : conf->by_field, schema->name);
    }
    if (conf->cnt == 0) {
        return weir_err_push(WEIR_EGRAPH, "the best 0 rows of a window");
    }
    if (schema->row_bytes > WEIR_TOP_ROW_BYTES_MAX) {
        return weir_err_push(WEIR_EGRAPH, "a row of %s has %u bytes: at most %d can be kept",
            schema->name, schema->row_bytes, WEIR_TOP_ROW_BYTES_MAX);
    }
    self->end = &schema->fields[end];
    self->by = &schema->fields[by];
    return 0;
}

int
weir_top_check(const struct weir_top_conf *conf, const struct weir_schema *schema)
{
    struct self self;
    return plan(&self, conf, schema);
}

static int
top_open(struct weir_operator *op)
{
    struct self *self = op->self;
    self->arena = op->env->arena;
    if (self->arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "a top was given no state pages");
    }
    int err = plan(self, op->conf, op->in_schema[0]);
    if (err < 0) {
        return err;
    }
    self->class_idx =
        weir_arena_class_of((uint32_t)offsetof(struct kept, row) + op->in_schema[0]->row_bytes);
    self->frontier = WEIR_TIME_MIN;
    self->window_free = WINDOW_NONE;
    self->at = WINDOW_NONE;
    memset(self->head, 0xff, sizeof self->head);
    const struct weir_table_spec spec = {0, WEIR_KEY_8, sizeof(struct saved), 1};
    const struct weir_arena_spec *arena = &self->arena->spec;
    self->home_hash = weir_hash_u64(0);
    while (weir_hash_key_group(self->home_hash, arena->max_parallelism) != arena->groups.first) {
        self->home_hash = weir_hash_u64(++self->home); /* one number in max_parallelism does */
    }
    err = weir_state_take(op, "windows", &spec, 0, &self->table);
    if (err < 0) {
        return err;
    }
    self->window = calloc(WEIR_TOP_WINDOW_CNT_MAX, sizeof *self->window);
    self->heap.entry = calloc(WEIR_TOP_WINDOW_CNT_MAX, sizeof *self->heap.entry);
    if (self->window == NULL || self->heap.entry == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the windows of a top");
    }
    return 0;
}

static int
top_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    free(self->window);
    free(self->heap.entry);
    self->window = NULL;
    self->heap.entry = NULL;
    return 0;
}

/* ---- windows ---- */

static uint32_t *
chain_of(struct self *self, int64_t end)
{
    return &self->head[weir_hash_u64((uint64_t)end) % HEAD_CNT];
}

static int
window_of(struct self *self, int64_t end, struct top_window **ret_window)
{
    if (self->at != WINDOW_NONE && self->window[self->at].end == end) {
        *ret_window = &self->window[self->at];
        return 0;
    }
    uint32_t *head = chain_of(self, end);
    uint32_t idx = *head;
    while (idx != WINDOW_NONE && self->window[idx].end != end) {
        idx = self->window[idx].next;
    }
    if (idx == WINDOW_NONE) {
        if (self->window_free == WINDOW_NONE && self->window_fresh == WEIR_TOP_WINDOW_CNT_MAX) {
            return weir_err_push(
                WEIR_EBUDGET, "%d windows wait for their end at a time", WEIR_TOP_WINDOW_CNT_MAX);
        }
        idx = self->window_free != WINDOW_NONE ? self->window_free : self->window_fresh++;
        if (idx == self->window_free) {
            self->window_free = self->window[idx].next;
        }
        struct weir_minheap_entry entry = {end, 0, idx};
        memset(&self->window[idx], 0, sizeof self->window[idx]);
        self->window[idx].end = end;
        self->window[idx].next = *head;
        *head = idx;
        weir_minheap_push(&self->heap, &entry);
    }
    self->at = idx;
    *ret_window = &self->window[idx];
    return 0;
}

static void
window_drop(struct self *self, uint32_t idx)
{
    const struct place place = {self->home, self->window[idx].end};
    (void)weir_table_delete(self->table, self->home_hash, &place, NULL);
    uint32_t *link = chain_of(self, self->window[idx].end);
    while (*link != idx) {
        WEIR_CHECK(*link != WINDOW_NONE, "window %u is in no chain", idx);
        link = &self->window[*link].next;
    }
    *link = self->window[idx].next;
    self->window[idx].next = self->window_free;
    self->window_free = idx;
    self->at = WINDOW_NONE;
}

/* ---- kept rows ---- */

static struct kept *
kept_at(const struct self *self, uint32_t ref)
{
    return weir_arena_ptr(self->arena, ref);
}

static uint32_t
blob_of(const struct weir_field *field, const char *row)
{
    struct weir_str str;
    if (field->type != WEIR_TYPE_STR) {
        return 0;
    }
    memcpy(&str, row + field->off, sizeof str);
    return str.bytes > WEIR_STR_INLINE_BYTES ? (uint32_t)str.u.off : 0;
}

static void
kept_free(struct self *self, const struct weir_schema *schema, uint32_t ref)
{
    const struct kept *kept = kept_at(self, ref);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        weir_blob_give(self->arena, blob_of(&schema->fields[f], kept->row));
    }
    weir_arena_block_give(self->arena, ref);
}

static void
garbage_free(struct self *self, const struct weir_schema *schema, uint32_t cnt)
{
    while (self->garbage != 0 && cnt-- > 0) {
        uint32_t ref = self->garbage;
        self->garbage = kept_at(self, ref)->next;
        kept_free(self, schema, ref);
    }
}

/* Put a chain of kept rows, whose last one is `last`, where it is freed by and by. */
static void
garbage_add(struct self *self, uint32_t first, uint32_t last)
{
    struct kept *end = kept_at(self, last);
    weir_arena_touch(self->arena, &end->next, sizeof end->next);
    end->next = self->garbage;
    self->garbage = first;
}

static int
copy_text(struct self *self, const struct weir_view *in, struct weir_str *str)
{
    if (str->bytes <= WEIR_STR_INLINE_BYTES) {
        return 0;
    }
    uint32_t ref;
    int err = weir_blob_put(self->arena, 0, weir_str_slice(str, in->heap), &ref);
    str->u.off = err < 0 ? 0 : ref;
    return err;
}

/* Copy a row into a block. */
static int
kept_make(struct self *self, const struct weir_view *in, uint32_t row, uint32_t *ret_ref)
{
    const struct weir_schema *schema = in->schema;
    int err = weir_arena_block_take(self->arena, 0, self->class_idx, ret_ref);
    if (err < 0) {
        return err;
    }
    struct kept *kept = kept_at(self, *ret_ref);
    weir_arena_touch(self->arena, kept, (uint32_t)offsetof(struct kept, row) + schema->row_bytes);
    kept->time = in->time != NULL ? weir_view_time(in, row) : 0;
    if (schema->has_nulls) {
        struct weir_lane lane = weir_view_lane(in, 0, sizeof(uint64_t));
        memcpy(kept->row, lane.ptr + (size_t)lane.stride * row, sizeof(uint64_t));
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        struct weir_str str;
        memcpy(kept->row + field->off, weir_view_at(in, field, row), field->bytes);
        if (field->type != WEIR_TYPE_STR) {
            continue;
        }
        memcpy(&str, kept->row + field->off, sizeof str);
        err = copy_text(self, in, &str);
        memcpy(kept->row + field->off, &str, sizeof str);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* Link a row behind all that are as good, so that equal ones stay in order. */
static void
list_insert(struct self *self, struct top_window *window, uint32_t ref, int64_t rank)
{
    struct kept *kept = kept_at(self, ref);
    kept->rank = rank;
    kept->next = 0;
    window->cnt++;
    if (window->first == 0) {
        window->first = ref;
        window->last = ref;
        return;
    }
    struct kept *last = kept_at(self, window->last);
    if (last->rank >= rank) {
        weir_arena_touch(self->arena, &last->next, sizeof last->next);
        last->next = ref;
        window->last = ref;
        return;
    }
    uint32_t before = 0;
    uint32_t at = window->first;
    while (kept_at(self, at)->rank >= rank) {
        before = at;
        at = kept_at(self, at)->next;
    }
    kept->next = at;
    if (before == 0) {
        window->first = ref;
    } else {
        struct kept *link = kept_at(self, before);
        weir_arena_touch(self->arena, &link->next, sizeof link->next);
        link->next = ref;
    }
}

/* Throw away what is no longer among the best: all behind the cnt-th, but for its equals where they
 * count. What was kept behind it before were its predecessor's equals, so one look decides. */
static void
list_cut(struct self *self, const struct weir_top_conf *conf, struct top_window *window)
{
    if (window->cnt < conf->cnt) {
        return;
    }
    uint32_t nth = window->first;
    for (uint32_t i = 1; i < conf->cnt; i++) {
        nth = kept_at(self, nth)->next;
    }
    struct kept *kept = kept_at(self, nth);
    window->least = kept->rank;
    if (kept->next == 0 || (conf->ties && kept_at(self, kept->next)->rank == kept->rank)) {
        return;
    }
    garbage_add(self, kept->next, window->last);
    weir_arena_touch(self->arena, &kept->next, sizeof kept->next);
    kept->next = 0;
    window->last = nth;
    window->cnt = conf->cnt;
}

/* A row of this rank is not among the best. */
static inline bool
is_beaten(const struct weir_top_conf *conf, const struct top_window *window, int64_t rank)
{
    return window->cnt >= conf->cnt &&
           (rank < window->least ||
               (rank == window->least && (!conf->ties || WEIR_MUTANT(TOP_TIES_CUT))));
}

/* ---- rows in ---- */

static int
keep(struct weir_operator *op, struct top_window *window, const struct weir_view *in, uint32_t row,
    int64_t rank)
{
    struct self *self = op->self;
    uint32_t ref;
    garbage_free(self, op->in_schema[0], FREE_CNT);
    int err = kept_make(self, in, row, &ref);
    if (err < 0) {
        return err;
    }
    list_insert(self, window, ref, rank);
    list_cut(self, op->conf, window);
    window->is_stale = true;
    return 0;
}

static int64_t
top_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    const struct weir_top_conf *conf = op->conf;
    struct weir_lane ends = weir_view_lane(in, self->end->off, self->end->bytes);
    struct weir_lane by = weir_view_lane(in, self->by->off, self->by->bytes);
    int64_t watermark = weir_max_i64(self->frontier, in->watermark);
    uint32_t late_cnt = 0;
    (void)input;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        uint32_t row = weir_view_row(in, i);
        struct top_window *window = NULL;
        int64_t end;
        memcpy(&end, ends.ptr + (size_t)ends.stride * row, sizeof end);
        if (weir_sub_sat(end, 1) <= watermark && watermark != WEIR_TIME_MIN) {
            out[1].sel_buf[late_cnt++] = (uint16_t)row;
            continue;
        }
        int err = window_of(self, end, &window);
        if (err < 0) {
            return err;
        }
        int64_t rank = weir_rank_field(self->by, by.ptr + (size_t)by.stride * row);
        rank = conf->lowest ? ~rank : rank;
        if (is_beaten(conf, window, rank)) {
            continue;
        }
        err = keep(op, window, in, row, rank);
        if (err < 0) {
            return err;
        }
    }
    if (late_cnt > 0) {
        op->rows_late += late_cnt;
        weir_out_pass(&out[1], in, late_cnt);
    }
    return in->cnt - cursor;
}

/* ---- rows out ---- */

static uint32_t
heap_bytes(const struct weir_schema *schema, const char *row)
{
    uint32_t bytes = 0;
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        if (blob_of(&schema->fields[f], row) != 0) {
            struct weir_str str;
            memcpy(&str, row + schema->fields[f].off, sizeof str);
            bytes += str.bytes;
        }
    }
    return bytes;
}

static void
put_row(const struct self *self, const struct kept *kept, struct weir_out *out)
{
    const struct weir_schema *schema = out->view.schema;
    out->row_time = kept->time;
    char *row = weir_out_row(out);
    memcpy(row, kept->row, schema->row_bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        const struct weir_field *field = &schema->fields[f];
        uint32_t blob = blob_of(field, kept->row);
        if (blob != 0) {
            struct weir_str str;
            memcpy(&str, row + field->off, sizeof str);
            out->heap_end -= str.bytes;
            weir_blob_read(self->arena, blob, out->base + out->heap_end);
            str.u.off = (uint64_t)(out->base + out->heap_end - out->view.heap);
            memcpy(row + field->off, &str, sizeof str);
        }
    }
}

/* Emit what is left of a window. WEIR_AGAIN: the output is full. */
static int
window_emit(struct self *self, struct top_window *window, struct weir_out *out)
{
    const struct weir_schema *schema = out->view.schema;
    while (window->first != 0) {
        uint32_t ref = window->first;
        const struct kept *kept = kept_at(self, ref);
        if (!weir_out_room(out, 1, heap_bytes(schema, kept->row))) {
            return WEIR_AGAIN;
        }
        put_row(self, kept, out);
        window->first = kept->next;
        kept_free(self, schema, ref);
    }
    return WEIR_DONE;
}

static int
top_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)now_ns;
    while (self->heap.cnt > 0 && (weir_sub_sat(self->heap.entry[0].key, 1) <= watermark ||
                                     watermark == WEIR_WATERMARK_MAX)) {
        int rc = window_emit(self, &self->window[self->heap.entry[0].idx], &out[0]);
        if (rc != WEIR_DONE) {
            return rc;
        }
        window_drop(self, weir_minheap_pop(&self->heap).idx);
    }
    garbage_free(self, op->in_schema[0], WEIR_BATCH_ROW_CNT_MAX);
    if (self->garbage != 0) {
        return WEIR_AGAIN;
    }
    self->frontier = weir_max_i64(self->frontier, watermark);
    return WEIR_DONE;
}

/* ---- checkpoints ---- */

static int
saved_make(struct self *self, const struct top_window *window)
{
    const struct place place = {self->home, window->end};
    const struct weir_table_rows row = {
        .hash = &self->home_hash, .key = (const char *)&place, .cnt = 1};
    const struct saved saved = {window->first, window->last, window->cnt, window->least};
    void *val;
    bool made;
    int err = weir_table_find_or_make(self->table, &row, &val, &made);
    if (err == 0) {
        memcpy(val, &saved, sizeof saved);
    }
    return err;
}

/* What is only of use while rows come does not go into state pages; the rest must be in them. */
static int
top_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)id;
    (void)out;
    (void)now_ns;
    garbage_free(self, op->in_schema[0], WEIR_BATCH_ROW_CNT_MAX);
    for (uint32_t i = 0; i < self->heap.cnt; i++) {
        struct top_window *window = &self->window[self->heap.entry[i].idx];
        int err = window->is_stale ? saved_make(self, window) : 0;
        if (err < 0) {
            return err;
        }
        window->is_stale = false;
    }
    return self->garbage != 0 ? WEIR_AGAIN : WEIR_DONE;
}

static int
top_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    WEIR_CHECK(self->garbage == 0, "rows to free beside a snapshot");
    weir_state_put_word(parts, "frontier", self->frontier);
    return 0;
}

/* A window's list as it was; or, where another subtask had the window, too, its rows one by one:
 * they stay where they lie. */
static int
window_restore(struct weir_operator *op, const struct place *place, const struct saved *saved)
{
    struct self *self = op->self;
    struct top_window *window;
    int err = window_of(self, place->end, &window);
    if (err < 0) {
        return err;
    }
    window->is_stale = place->home != self->home;
    if (window->first == 0) {
        window->first = saved->first;
        window->last = saved->last;
        window->cnt = (uint32_t)saved->cnt;
        window->least = saved->least;
        return 0;
    }
    window->is_stale = true;
    for (uint32_t ref = saved->first; ref != 0;) {
        uint32_t next = kept_at(self, ref)->next;
        int64_t rank = kept_at(self, ref)->rank;
        weir_arena_touch(self->arena, kept_at(self, ref), sizeof(struct kept));
        if (is_beaten(op->conf, window, rank)) {
            garbage_add(self, ref, ref);
        } else {
            list_insert(self, window, ref, rank);
            list_cut(self, op->conf, window);
        }
        ref = next;
    }
    return 0;
}

static int
top_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    struct weir_table_cursor cursor = {0, 0, 0};
    struct place place;
    void *val;
    int err = weir_state_word_least(op, parts, parts_cnt, "frontier", &self->frontier);
    while (err == 0 && weir_table_scan(self->table, &cursor, 1, &place, &val) > 0) {
        err = window_restore(op, &place, val);
    }
    /* Entries of another subtask's home: their windows have joined this one's. */
    for (bool found = true; err == 0 && found;) {
        memset(&cursor, 0, sizeof cursor);
        do {
            found = weir_table_scan(self->table, &cursor, 1, &place, &val) > 0;
        } while (found && place.home == self->home);
        if (found) {
            (void)weir_table_delete(self->table, weir_hash_u64(place.home), &place, NULL);
        }
    }
    return err;
}

/* The rows of a list, and the texts of each. */
static int
window_move(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    const struct weir_schema *schema = op->in_schema[0];
    struct saved *saved = val;
    saved->last = mover->ref(mover->arg, saved->last);
    for (uint32_t *link = &saved->first; *link != 0;) {
        *link = mover->ref(mover->arg, *link);
        struct kept *kept = weir_arena_ptr(table->arena, *link);
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            uint32_t blob = blob_of(&schema->fields[f], kept->row);
            if (blob != 0) {
                struct weir_str str;
                memcpy(&str, kept->row + schema->fields[f].off, sizeof str);
                str.u.off = mover->blob(mover->arg, blob);
                memcpy(kept->row + schema->fields[f].off, &str, sizeof str);
            }
        }
        link = &kept->next;
    }
    return 0;
}

/* ---- savepoints ---- */

static int
windows_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    weir_state_put_field(fields, "least", WEIR_TYPE_I64, offsetof(struct saved, least));
    struct weir_state_field *rows = &fields->field[fields->field_cnt++];
    rows->field = (struct weir_field){.name = "rows", .type = WEIR_STATE_LIST};
    rows->items = op->in_schema[0];
    rows->word[0] = "@rank";
    rows->word[1] = "@time";
    fields->val_bytes = sizeof(struct saved);
    fields->tail[0] = "window_end";
    return 0;
}

/* A kept row into the room, its texts behind it. */
static int
windows_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    const struct weir_arena *arena = walk->table->arena;
    const struct weir_schema *schema = op->in_schema[0];
    const struct saved *saved = walk->val;
    uint32_t ref = (uint32_t)walk->at;
    if (ref == saved->last) {
        return 0;
    }
    ref = ref == 0 ? saved->first : ((const struct kept *)weir_arena_ptr(arena, ref))->next;
    const struct kept *kept = weir_arena_ptr(arena, ref);
    uint64_t bytes = schema->row_bytes;
    char *row = weir_state_room_for(walk->room, bytes + heap_bytes(schema, kept->row));
    if (row == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a row of a top");
    }
    memcpy(row, kept->row, schema->row_bytes);
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        uint32_t blob = blob_of(&schema->fields[f], kept->row);
        if (blob != 0) {
            struct weir_str str;
            memcpy(&str, row + schema->fields[f].off, sizeof str);
            weir_blob_read(arena, blob, row + bytes);
            str.u.off = bytes - schema->row_bytes;
            memcpy(row + schema->fields[f].off, &str, sizeof str);
            bytes += str.bytes;
        }
    }
    walk->at = ref;
    *ret_row = (struct weir_state_row){row, row + schema->row_bytes, {kept->rank, kept->time}};
    return 1;
}

static int
windows_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *row)
{
    struct weir_arena *arena = add->table->arena;
    const struct weir_schema *schema = op->in_schema[0];
    struct saved *saved = add->val;
    uint32_t bytes = (uint32_t)offsetof(struct kept, row) + schema->row_bytes;
    uint32_t ref;
    int err = weir_arena_block_take(arena, add->group, weir_arena_class_of(bytes), &ref);
    if (err < 0) {
        return err;
    }
    struct kept *kept = weir_arena_ptr(arena, ref);
    kept->rank = row->word[0];
    kept->time = row->word[1];
    memcpy(kept->row, row->row, schema->row_bytes);
    for (uint32_t f = 0; f < schema->field_cnt && err == 0; f++) {
        const struct weir_field *field = &schema->fields[f];
        struct weir_str str;
        memcpy(&str, kept->row + field->off, weir_min_u32(field->bytes, sizeof str));
        if (field->type == WEIR_TYPE_STR && str.bytes > WEIR_STR_INLINE_BYTES) {
            uint32_t blob = 0;
            err = weir_blob_put(arena, add->group, weir_str_slice(&str, row->heap), &blob);
            str.u.off = blob;
            memcpy(kept->row + field->off, &str, sizeof str);
        }
    }
    if (saved->last != 0) {
        ((struct kept *)weir_arena_ptr(arena, saved->last))->next = ref;
    } else {
        saved->first = ref;
    }
    saved->last = ref;
    saved->cnt++;
    return err;
}

static const struct weir_state_values windows_values = {
    .describe = windows_describe, .next = windows_next, .add = windows_add};
static const struct weir_state_desc states[] = {{"windows", window_move, &windows_values}};
static const struct weir_state_part state_parts[] = {{"frontier", WEIR_STATE_PART_LEAST, 0}};

const struct weir_operator_type weir_top_type = {
    .name = "top",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 2,
    .open = top_open,
    .process = top_process,
    .watermark = top_watermark,
    .close = top_close,
    .barrier = top_barrier,
    .snapshot = top_snapshot,
    .restore = top_restore,
    .states = states,
    .state_cnt = WEIR_ARRAY_CNT(states),
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
};
