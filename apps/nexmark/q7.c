/* SPDX-License-Identifier: Apache-2.0 */
/* Nexmark q7: for each window [s, e) of 10 s the bids at its highest price, and bids at time e
 * exactly that have this price too.
 *
 *     window [0, 10): 3@1 s, 7@4 s, 7@9 s; bid 7@10 s   ->   7@4 s, 7@9 s, 7@10 s
 *
 * Two operators of one kind: every subtask picks the best of its own bids, and one picks among
 * those. The highest price is that of the bids inside; a bid at the very end never raises it, it
 * only joins.
 *
 * State: per window, in a table by its end: the highest price so far, the rows that have it, and
 *        the
 * rows at its end. Late rows (their window has fired) are dropped and counted.
 *
 * Source: the Nexmark suite's SQL, which joins bids back to the maximum with BETWEEN.
 */
#include "apps/nexmark/query_row.h"

#include <stdlib.h>

#include "base/check.h"
#include "dataplane/blob.h"
#include "dataplane/state.h"

#define WINDOW_MS (10 * WEIR_S)
/* One bid, stored: these numbers, then the text. */
struct stored {
    int64_t auction;
    int64_t bidder;
    int64_t price;
    int64_t time_ms;
    uint32_t edge; /* it lies at the window's end */
    uint32_t extra_bytes;
};
/* Of equal bids in one window, some 40,000. Each that comes copies those before it: more of them
 * would take minutes. */
#define STORED_BYTES_MAX (4 * WEIR_MIB)

/* A window's entry in the table. */
struct pick {
    int64_t max_price;
    uint32_t has_max;
    uint32_t inside_ref; /* blob of struct stored with texts, all at max_price; 0: none */
    uint32_t edge_ref;
};

/* What goes from the pickers to the last one. */
#define CANDIDATE(F) \
    F(i64, auction)  \
    F(i64, bidder)   \
    F(i64, price) F(ts, dateTime) F(i64, window_end) F(i64, edge) F(time, at) F(str, extra)
WEIR_SCHEMA(candidate, CANDIDATE)
#define WINNER(F) F(i64, auction) F(i64, price) F(i64, bidder) F(ts, dateTime) F(str, extra)
WEIR_SCHEMA(winner, WINNER)

struct self {
    struct weir_table *table;
    uint64_t home; /* a number whose hash lies in the subtask's first key group */
    uint64_t home_hash;
    int64_t first_end; /* least end in the table, INT64_MAX: none */
    int64_t fired_ms; /* watermark up to which windows have fired */
    /* the window that is being emitted */
    bool emitting;
    int64_t emit_end;
    int64_t emit_price;
    bool emit_has; /* some bid lies inside the window */
    uint32_t emit_at;
    uint32_t emit_bytes;
    /* the window that the rows at hand fall into: rows strictly between its ends need one
     * comparison; none are while near_start is above near_end */
    int64_t near_start;
    int64_t near_end;
    int64_t near_price;
    struct weir_state_room rows; /* the one that is emitted, or added to */
};

/* Key and tail of a window's entry. The picks of a subtask are its own, whatever key group their
 * window would hash to: all go to the first group that the subtask owns. */
struct place {
    uint64_t home;
    int64_t end;
};

static struct place
place_of(const struct self *self, int64_t end)
{
    const struct place place = {self->home, end};
    return place;
}

static void
leave_near(struct self *self)
{
    self->near_start = INT64_MAX;
    self->near_end = INT64_MIN;
}

static int
q7_open(struct weir_operator *op)
{
    struct self *self = op->self;
    const struct weir_arena_spec *arena = &op->env->arena->spec;
    const struct weir_table_spec spec = {
        .key_kind = WEIR_KEY_8, .val_bytes = sizeof(struct pick), .tail_cnt = 1};
    self->first_end = INT64_MAX;
    self->fired_ms = WEIR_TIME_MIN;
    leave_near(self);
    /* One number in max_parallelism does: soon found. */
    self->home_hash = weir_hash_u64(0);
    while (weir_hash_key_group(self->home_hash, arena->max_parallelism) != arena->groups.first) {
        self->home++;
        self->home_hash = weir_hash_u64(self->home);
    }
    return weir_state_take(op, "picks", &spec, 0, &self->table);
}

static int
q7_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    free(self->rows.mem);
    return 0;
}

static int
find_or_make(struct self *self, int64_t end, struct pick **ret_pick)
{
    const struct place place = place_of(self, end);
    void *val;
    bool made;
    struct weir_table_rows row = {.hash = &self->home_hash,
        .key = (const char *)&place,
        .key_stride = sizeof place,
        .cnt = 1};
    int rc = weir_table_find_or_make(self->table, &row, &val, &made);
    if (rc == 0) {
        *ret_pick = val;
        self->first_end = weir_min_i64(self->first_end, end);
    }
    return rc;
}

static int
rows_room(struct self *self, uint64_t bytes)
{
    return weir_state_room_for(&self->rows, bytes) != NULL
               ? 0
               : weir_err_push(WEIR_ENOMEM, "q7: rows of a window");
}

/* Put a row behind those of a blob; `fresh` drops what is there. */
static int
append(struct self *self, struct weir_arena *arena, uint32_t group, bool fresh,
    const struct stored *row, const char *extra, uint32_t *ref)
{
    uint64_t had = fresh || *ref == 0 ? 0 : weir_blob_bytes(arena, *ref);
    uint64_t all = had + sizeof *row + row->extra_bytes;
    if (all > STORED_BYTES_MAX) {
        return weir_err_push(WEIR_EBUDGET, "q7: more than %llu bytes of equal bids in one window",
            (unsigned long long)STORED_BYTES_MAX);
    }
    int rc = rows_room(self, all);
    if (rc != 0) {
        return rc;
    }
    char *rows = self->rows.mem;
    if (had > 0) {
        weir_blob_read(arena, *ref, rows);
    }
    memcpy(rows + had, row, sizeof *row);
    memcpy(rows + had + sizeof *row, extra, row->extra_bytes);
    uint32_t old = *ref;
    const struct weir_slice text = {rows, (uint32_t)all};
    rc = weir_blob_put(arena, group, text, ref);
    if (rc == 0 && old != 0) {
        weir_blob_give(arena, old);
    }
    return rc;
}

static int
add(struct weir_operator *op, int64_t end, const struct stored *row, const char *extra)
{
    struct self *self = op->self;
    struct weir_arena *arena = op->env->arena;
    struct pick *pick;
    int rc = find_or_make(self, end, &pick);
    if (rc != 0) {
        return rc;
    }
    uint32_t group = weir_table_group_of(self->table, self->home_hash);
    if (row->edge != 0) {
        return append(self, arena, group, false, row, extra, &pick->edge_ref);
    }
    if (pick->has_max != 0 && row->price < pick->max_price) {
        return 0;
    }
    bool fresh = pick->has_max == 0 || row->price > pick->max_price;
    rc = append(self, arena, group, fresh, row, extra, &pick->inside_ref);
    if (rc == 0) {
        pick->max_price = row->price;
        pick->has_max = 1;
        self->near_start = weir_sub_sat(end, WINDOW_MS);
        self->near_end = end;
        self->near_price = row->price;
    }
    return rc;
}

static int64_t
end_of(int64_t time_ms)
{
    int64_t rest = time_ms % WINDOW_MS;
    return weir_add_sat(time_ms - (rest < 0 ? rest + WINDOW_MS : rest), WINDOW_MS);
}

/* ---- the pickers: bids in ---- */

static int
pick_row(struct weir_operator *op, const struct weir_view *in, const struct nexmark_row *row,
    int64_t done_ms)
{
    struct stored stored = {row->id, row->other, row->price, row->at, 0, 0};
    uint32_t bytes = 0;
    const char *extra = "";
    if (row->payload.bytes >= NEXMARK_BID_HEAD_BYTES) {
        const char *payload = in->heap + row->payload.u.off;
        memcpy(&bytes, payload + NEXMARK_LENGTHS_OFF, sizeof bytes);
        bytes = weir_min_u32(bytes, row->payload.bytes - NEXMARK_BID_HEAD_BYTES);
        extra = payload + NEXMARK_BID_HEAD_BYTES;
    }
    stored.extra_bytes = bytes;
    int64_t end = end_of(row->at);
    int rc = 0;
    if (end - 1 <= done_ms) {
        op->rows_late++;
    } else {
        rc = add(op, end, &stored, extra);
    }
    if (rc == 0 && end - WINDOW_MS == row->at && row->at - 1 > done_ms) {
        stored.edge = 1;
        rc = add(op, row->at, &stored, extra);
    }
    return rc;
}

static inline const struct nexmark_row *
row_at(const struct weir_view *in, uint32_t i)
{
    return (const struct nexmark_row *)(const void *)(in->rows +
                                                      (size_t)in->stride * weir_view_row(in, i));
}

/* The first row from i on that may change anything. A row inside the window of the last winner,
 * below its price and not on an edge, does not; nearly all are such. */
static uint32_t
skip_near(const struct self *self, const struct weir_view *in, uint32_t i, int64_t done_ms)
{
    int64_t price = self->near_price;
    if (self->near_end <= self->near_start || self->near_end - 1 <= done_ms) {
        return i;
    }
    if (weir_view_is_within(in, self->near_start + 1, self->near_end - 1)) {
        while (i < in->cnt && row_at(in, i)->price < price) {
            i++;
        }
        return i;
    }
    for (; i < in->cnt; i++) {
        const struct nexmark_row *row = row_at(in, i);
        if (row->at <= self->near_start || row->at >= self->near_end || row->price >= price) {
            break;
        }
    }
    return i;
}

static int64_t
pick_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    int64_t done_ms = weir_max_i64(self->fired_ms, in->watermark);
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = skip_near(self, in, cursor, done_ms); i < in->cnt;
         i = skip_near(self, in, i + 1, done_ms)) {
        int rc = pick_row(op, in, row_at(in, i), done_ms);
        if (rc != 0) {
            return rc;
        }
    }
    return in->cnt - cursor;
}

/* ---- firing ---- */

static int
begin_window(struct weir_operator *op, int64_t end)
{
    struct self *self = op->self;
    struct weir_arena *arena = op->env->arena;
    const struct place place = place_of(self, end);
    struct pick *pick = weir_table_find(self->table, self->home_hash, &place, NULL);
    WEIR_CHECK(pick != NULL, "a window's entry is gone");
    uint64_t inside = pick->inside_ref != 0 ? weir_blob_bytes(arena, pick->inside_ref) : 0;
    uint64_t edge = pick->edge_ref != 0 ? weir_blob_bytes(arena, pick->edge_ref) : 0;
    int rc = rows_room(self, inside + edge);
    if (rc != 0) {
        return rc;
    }
    if (inside > 0) {
        weir_blob_read(arena, pick->inside_ref, self->rows.mem);
    }
    if (edge > 0) {
        weir_blob_read(arena, pick->edge_ref, self->rows.mem + inside);
    }
    self->emit_has = pick->has_max != 0;
    self->emit_price = self->emit_has ? pick->max_price : INT64_MIN;
    self->emit_bytes = (uint32_t)(inside + edge);
    self->emit_at = 0;
    self->emit_end = end;
    self->emitting = true;
    weir_blob_give(arena, pick->inside_ref);
    weir_blob_give(arena, pick->edge_ref);
    (void)weir_table_delete(self->table, self->home_hash, &place, NULL);
    if (self->near_end == end) {
        leave_near(self);
    }
    return 0;
}

static int64_t
least_end(const struct self *self)
{
    struct weir_table_cursor cursor = {0};
    struct place places[32];
    void *vals[32];
    int64_t least = INT64_MAX;
    for (;;) {
        uint32_t cnt = weir_table_scan(self->table, &cursor, 32, places, vals);
        if (cnt == 0) {
            return least;
        }
        for (uint32_t i = 0; i < cnt; i++) {
            least = weir_min_i64(least, places[i].end);
        }
    }
}

/* Emit rows of the open window while there is room. Returns whether it is done. */
static bool
emit_window(struct self *self, struct weir_out *out, bool last)
{
    while (self->emit_at < self->emit_bytes) {
        struct stored row;
        memcpy(&row, self->rows.mem + self->emit_at, sizeof row);
        const char *extra = self->rows.mem + self->emit_at + sizeof row;
        bool wanted = last ? row.price == self->emit_price && self->emit_has
                           : row.edge == 0 || row.price >= self->emit_price;
        if (wanted && !weir_out_room(out, 1, row.extra_bytes)) {
            return false;
        }
        if (wanted && last) {
            struct winner *to = winner_emit(out);
            to->auction = row.auction;
            to->price = row.price;
            to->bidder = row.bidder;
            to->dateTime = row.time_ms;
            weir_str_set_bytes(out, &to->extra, extra, row.extra_bytes);
        } else if (wanted) {
            struct candidate *to = candidate_emit(out);
            to->auction = row.auction;
            to->bidder = row.bidder;
            to->price = row.price;
            to->dateTime = row.time_ms;
            to->window_end = self->emit_end;
            to->edge = row.edge;
            to->at = self->emit_end - 1;
            weir_str_set_bytes(out, &to->extra, extra, row.extra_bytes);
        }
        self->emit_at += (uint32_t)sizeof row + row.extra_bytes;
    }
    self->emitting = false;
    return true;
}

static int
fire(struct weir_operator *op, int64_t watermark, struct weir_out *out, bool last)
{
    struct self *self = op->self;
    for (;;) {
        if (self->emitting && !emit_window(self, out, last)) {
            return WEIR_AGAIN;
        }
        if (self->first_end == INT64_MAX || self->first_end - 1 > watermark) {
            break;
        }
        int rc = begin_window(op, self->first_end);
        if (rc != 0) {
            return rc;
        }
        self->first_end = least_end(self);
    }
    self->fired_ms = watermark;
    return WEIR_DONE;
}

static int
pick_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)now_ns;
    return fire(op, watermark, out, false);
}

/* ---- checkpoints: a table, the watermark that has fired, and what both say ---- */

static int
q7_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    weir_state_put_word(parts, "fired", self->fired_ms);
    return 0;
}

/* Rows of a blob as if they had come now. */
static int
add_stored(struct weir_operator *op, int64_t end, uint32_t ref)
{
    struct weir_arena *arena = op->env->arena;
    uint64_t bytes = weir_blob_bytes(arena, ref);
    char *rows = ref != 0 ? malloc(bytes) : NULL;
    int rc = ref != 0 && rows == NULL ? weir_err_push(WEIR_ENOMEM, "q7: rows of a window") : 0;
    if (rc == 0 && ref != 0) {
        weir_blob_read(arena, ref, rows);
    }
    for (uint64_t at = 0; rc == 0 && at < bytes;) {
        struct stored row;
        memcpy(&row, rows + at, sizeof row);
        rc = add(op, end, &row, rows + at + sizeof row);
        at += sizeof row + row.extra_bytes;
    }
    free(rows);
    return rc;
}

/* The windows of another subtask, whose first key group is this one's now, join its own. Returns
 * WEIR_AGAIN as long as there was one. */
static int
take_over(struct weir_operator *op)
{
    struct self *self = op->self;
    struct weir_table_cursor cursor = {0};
    struct place place;
    void *val;
    while (weir_table_scan(self->table, &cursor, 1, &place, &val) > 0) {
        if (place.home == self->home) {
            continue;
        }
        const struct pick pick = *(const struct pick *)val;
        int rc = add_stored(op, place.end, pick.inside_ref);
        rc = rc != 0 ? rc : add_stored(op, place.end, pick.edge_ref);
        if (rc != 0) {
            return rc;
        }
        weir_blob_give(op->env->arena, pick.inside_ref);
        weir_blob_give(op->env->arena, pick.edge_ref);
        (void)weir_table_delete(self->table, weir_hash_u64(place.home), &place, NULL);
        return WEIR_AGAIN;
    }
    return WEIR_DONE;
}

static int
q7_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    int rc = weir_state_word_least(op, parts, parts_cnt, "fired", &self->fired_ms);
    if (rc < 0) {
        return rc;
    }
    do {
        rc = take_over(op);
    } while (rc == WEIR_AGAIN);
    leave_near(self);
    self->first_end = least_end(self);
    return rc;
}

static int
pick_move(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    struct pick *pick = val;
    (void)op;
    (void)table;
    pick->inside_ref = mover->blob(mover->arg, pick->inside_ref);
    pick->edge_ref = mover->blob(mover->arg, pick->edge_ref);
    return 0;
}

/* ---- savepoints ---- */

#define KEPT(F) F(i64, auction) F(i64, bidder) F(i64, price) F(ts, dateTime) F(str, extra)
WEIR_SCHEMA(kept, KEPT)
enum { FIELD_MAX_PRICE, FIELD_HAS_MAX, FIELD_INSIDE, FIELD_EDGE };

static int
pick_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    static const char *const lists[] = {"inside", "edge"};
    (void)op;
    weir_state_put_field(fields, "max_price", WEIR_TYPE_I64, offsetof(struct pick, max_price));
    weir_state_put_field(fields, "has_max", WEIR_TYPE_I32, offsetof(struct pick, has_max));
    fields->field[FIELD_HAS_MAX].field.bytes = sizeof(uint32_t);
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_state_field *list = &fields->field[fields->field_cnt++];
        list->field = (struct weir_field){.name = lists[i], .type = WEIR_STATE_LIST};
        list->items = kept_schema();
    }
    fields->tail[0] = "window_end";
    fields->val_bytes = sizeof(struct pick);
    return 0;
}

/* In the room: a row, then the whole blob; walk->at is one more than where the next one begins. */
static int
pick_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    (void)op;
    const struct weir_arena *arena = walk->table->arena;
    const struct pick *pick = walk->val;
    uint32_t ref = walk->field == FIELD_INSIDE ? pick->inside_ref : pick->edge_ref;
    uint64_t bytes = ref != 0 ? weir_blob_bytes(arena, ref) : 0;
    if (walk->at == bytes + 1 || bytes == 0) {
        return 0;
    }
    char *room = weir_state_room_for(walk->room, sizeof(struct kept) + bytes);
    if (room == NULL) {
        return weir_err_push(WEIR_ENOMEM, "q7: rows of a window");
    }
    char *rows = room + sizeof(struct kept);
    if (walk->at == 0) {
        weir_blob_read(arena, ref, rows);
        walk->at = 1;
    }
    struct stored stored;
    const char *extra = rows + walk->at - 1 + sizeof stored;
    memcpy(&stored, rows + walk->at - 1, sizeof stored);
    const struct kept kept = {stored.auction, stored.bidder, stored.price, stored.time_ms,
        weir_str_ref(rows, extra, stored.extra_bytes)};
    memcpy(room, &kept, sizeof kept);
    walk->at += sizeof stored + stored.extra_bytes;
    *ret_row = (struct weir_state_row){room, rows, {0, 0}};
    return 1;
}

static int
pick_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *row)
{
    struct weir_arena *arena = add->table->arena;
    struct pick *pick = add->val;
    uint32_t *ref = add->field == FIELD_INSIDE ? &pick->inside_ref : &pick->edge_ref;
    struct kept kept;
    memcpy(&kept, row->row, sizeof kept);
    struct weir_slice extra = weir_str_slice(&kept.extra, row->heap);
    const struct stored stored = {kept.auction, kept.bidder, kept.price, kept.dateTime,
        add->field == FIELD_EDGE, extra.bytes};
    uint32_t old = *ref;
    uint64_t had = old != 0 ? weir_blob_bytes(arena, old) : 0;
    uint64_t all = had + sizeof stored + extra.bytes;
    char *rows = weir_state_room_for(add->room, all);
    (void)op;
    if (rows == NULL) {
        return weir_err_push(WEIR_ENOMEM, "q7: rows of a window");
    }
    if (old != 0) {
        weir_blob_read(arena, old, rows);
        weir_blob_give(arena, old);
    }
    memcpy(rows + had, &stored, sizeof stored);
    memcpy(rows + had + sizeof stored, extra.ptr, extra.bytes);
    return weir_blob_put(arena, add->group, (struct weir_slice){rows, (uint32_t)all}, ref);
}

static const struct weir_state_values pick_values = {
    .describe = pick_describe, .next = pick_next, .add = pick_add};
static const struct weir_state_desc states[] = {{"picks", pick_move, &pick_values}};
static const struct weir_state_part state_parts[] = {{"fired", WEIR_STATE_PART_LEAST, 0}};

static const struct weir_operator_type pick_type = {
    .name = "q7_pick",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = q7_open,
    .process = pick_process,
    .watermark = pick_watermark,
    .close = q7_close,
    .snapshot = q7_snapshot,
    .restore = q7_restore,
    .states = states,
    .state_cnt = WEIR_ARRAY_CNT(states),
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
};

/* ---- the last one: candidates in ---- */

static int64_t
choose_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    (void)input;
    (void)out;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        struct candidate copy;
        uint32_t idx = weir_view_row(in, i);
        if (in->stride != 0) {
            memcpy(&copy, in->rows + (size_t)in->stride * idx, sizeof copy);
        } else {
            candidate_load(in->rows, in->cap, idx, &copy);
        }
        struct weir_slice extra = weir_str_slice(&copy.extra, in->heap);
        const struct stored stored = {
            copy.auction, copy.bidder, copy.price, copy.dateTime, (uint32_t)copy.edge, extra.bytes};
        int rc = add(op, copy.window_end, &stored, extra.ptr);
        if (rc != 0) {
            return rc;
        }
    }
    return in->cnt - cursor;
}

static int
choose_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)now_ns;
    return fire(op, watermark, out, true);
}

static const struct weir_operator_type choose_type = {
    .name = "q7_choose",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = q7_open,
    .process = choose_process,
    .watermark = choose_watermark,
    .close = q7_close,
    .snapshot = q7_snapshot,
    .restore = q7_restore,
    .states = states,
    .state_cnt = WEIR_ARRAY_CNT(states),
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
};

struct weir_stream *
nexmark_q7(struct weir_stream *bids)
{
    const struct weir_operator_conf pick = {.name = "pick",
        .type = &pick_type,
        .out_schema = {candidate_schema()},
        .uses_time = true,
        .keeps_state = true};
    const struct weir_operator_conf choose = {.name = "choose",
        .type = &choose_type,
        .out_schema = {winner_schema()},
        .uses_time = true,
        .keeps_state = true,
        .parallelism = 1};
    struct weir_stream *picked = weir_operator(&bids, 1, &pick);
    picked = weir_partition(picked, WEIR_PARTITION_GLOBAL);
    return weir_operator(&picked, 1, &choose);
}
