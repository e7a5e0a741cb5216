/* SPDX-License-Identifier: Apache-2.0 */
/* Joins two streams of changes as tables. It is a process function of two inputs (process.h) over
 * rows of any schema.
 *
 *     state:         struct kept
 *     left, right:   packed row -> struct counted          maps
 *
 * State is written when all of a row has been told. Where the output is full before, the same row
 * is offered again, in the same batch, and goes on where it was: no other row has come between,
 * nothing of its key has moved, and no barrier cuts a batch. What may have gone are rows whose time
 * to live is over: those were written first, and the walk has passed them.
 */
#include "dataplane/joining.h"

#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/row_pack.h"

/* Pairs handed to the job's function together. */
#define PAIR_CNT 64

#define LEFT 0
#define RIGHT 1

struct kept {
    int64_t cnt[2]; /* rows of either side; with a time to live none are counted */
};

struct counted {
    int64_t cnt; /* below 0: taken back before it came */
    uint64_t shape;
};

/* A row of the other side that is met. */
struct met {
    const char *packed; /* NULL: the next one is to be looked up */
    uint32_t bytes;
    int64_t cnt;
    uint64_t told; /* rows of the output */
};

/* How far the row that has come was told, and pairs on their way out. */
struct room {
    bool is_half;
    bool is_lone_told;
    struct weir_kind_cursor cursor;
    struct met met;
    uint32_t kind; /* of the pairs */
    uint32_t pair_cnt;
    uint32_t heap_bytes;
    struct weir_join_pair pair[PAIR_CNT];
    char packed[WEIR_ROW_PACK_BYTES_MAX] WEIR_ALIGNED(8); /* the row that has come */
};

/* A row that has come, and what it changes. */
struct change {
    const struct weir_joining *joining;
    struct weir_process *p;
    struct room *room;
    struct kept *kept;
    uint32_t side;
    uint32_t kind;
    uint32_t bytes; /* of room->packed */
    int64_t time;
    bool goes;
    bool flips; /* rows of the other side begin or cease to be alone */
    bool comes; /* and come by it */
};

/* ---- rows out ---- */

static void
flush(struct change *change)
{
    struct room *room = change->room;
    if (room->pair_cnt > 0) {
        change->p->out->row_kind = room->kind;
        change->joining->join->pairs(room->pair, room->pair_cnt, change->p->out);
    }
    room->pair_cnt = 0;
    room->heap_bytes = 0;
}

static int64_t
time_of(const struct weir_joining_side *side, const char *packed)
{
    int64_t time = WEIR_TIME_MIN;
    if (packed != NULL && side->time_off != UINT32_MAX) {
        memcpy(&time, packed + side->time_off, sizeof time);
    }
    return time;
}

/* The row that has come (own), one that it meets (other), or both, as they go or come. WEIR_DONE,
 * or
 * WEIR_AGAIN: the output is full. */
static int
tell(struct change *change, bool own, bool other, bool goes)
{
    struct room *room = change->room;
    const struct weir_joining_side *side = change->joining->side;
    const struct met mine = {room->packed, change->bytes, 0, 0};
    const struct met none = {NULL, 0, 0, 0};
    const struct met *row[2] = {&none, &none};
    uint32_t heap_bytes = 0;
    bool is_inner = side[LEFT].lone == WEIR_JOINING_NEVER && side[RIGHT].lone == WEIR_JOINING_NEVER;
    uint32_t kind = is_inner && goes == change->goes ? change->kind
                    : goes                           ? (uint32_t)WEIR_ROW_DELETE
                                                     : (uint32_t)WEIR_ROW_INSERT;
    row[change->side] = own ? &mine : &none;
    row[1 - change->side] = other ? &room->met : &none;
    for (uint32_t i = 0; i < 2; i++) {
        heap_bytes += row[i]->packed != NULL ? row[i]->bytes - side[i].row_bytes : 0;
    }
    if (kind != room->kind || room->pair_cnt == PAIR_CNT) {
        flush(change);
    }
    if (!weir_out_room(change->p->out, room->pair_cnt + 1, room->heap_bytes + heap_bytes)) {
        flush(change); /* pairs that are refused may leave room after all */
        if (!weir_out_room(change->p->out, 1, heap_bytes)) {
            return WEIR_AGAIN;
        }
    }
    room->kind = kind;
    room->heap_bytes += heap_bytes;
    int64_t time = weir_max_i64(
        time_of(&side[LEFT], row[LEFT]->packed), time_of(&side[RIGHT], row[RIGHT]->packed));
    room->pair[room->pair_cnt++] = (struct weir_join_pair){.left = row[LEFT]->packed,
        .right = row[RIGHT]->packed,
        .left_heap = row[LEFT]->packed,
        .right_heap = row[RIGHT]->packed,
        .time = time != WEIR_TIME_MIN ? time : change->time};
    return WEIR_DONE;
}

/* All that one row of the other side makes: a row of the output for each time that it is there.
 * What it was told alone goes before its first pair comes, and comes when the last has gone. */
static int
meet(struct change *change)
{
    struct met *met = &change->room->met;
    bool is_owed = met->cnt < 0;
    uint64_t each = is_owed ? -(uint64_t)met->cnt : (uint64_t)met->cnt;
    bool has_pairs = change->joining->has_pairs;
    uint64_t all = each * ((has_pairs ? 1 : 0) + (change->flips ? 1 : 0));
    for (; met->told < all; met->told++) {
        bool is_first = met->told < each;
        bool is_lone = change->flips && (!has_pairs || is_first != change->comes);
        bool goes = is_lone ? change->comes == is_owed : change->goes != is_owed;
        if (WEIR_MUTANT(JOIN_LONE_KEPT) && is_lone && goes) {
            continue;
        }
        if (tell(change, !is_lone, true, goes) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
    }
    return WEIR_DONE;
}

/* ---- rows kept ---- */

static int
refuse_shape(const struct weir_joining *joining)
{
    return weir_err_push(WEIR_ESTATE,
        "the state of the join %s has rows of another schema, or of another kind of join",
        joining->join->name);
}

/* The next row of the other side into room->met. 1; 0: there is none; or an error. */
static int
met_next(struct change *change)
{
    struct room *room = change->room;
    struct weir_slice key;
    struct counted counted;
    const void *value = weir_kind_next(&room->cursor, &key, NULL);
    if (value == NULL) {
        return 0;
    }
    memcpy(&counted, value, sizeof counted);
    room->met = (struct met){key.ptr, key.bytes, counted.cnt, 0};
    return counted.shape == change->joining->shape ? 1 : refuse_shape(change->joining);
}

/* The row joins its side, or leaves it. */
static int
keep(struct change *change)
{
    const struct weir_joining *joining = change->joining;
    struct weir_keyed_state *rows = weir_process_state(change->p, change->side);
    struct weir_slice key = weir_bytes(change->room->packed, change->bytes);
    struct counted counted = {0, joining->shape};
    const void *value = weir_map_get(rows, key, NULL);
    if (value != NULL) {
        memcpy(&counted, value, sizeof counted);
    }
    if (counted.shape != joining->shape) {
        return refuse_shape(joining);
    }
    counted.cnt += !change->goes ? 1 : WEIR_MUTANT(JOIN_ROW_KEPT) ? 0 : -1;
    if (counted.cnt == 0 || (counted.cnt < 0 && joining->has_ttl)) {
        (void)weir_map_remove(rows, key);
        return 0;
    }
    return weir_map_put(rows, key, WEIR_BYTES(&counted));
}

/* All of the row is told. A key of which nothing is left is forgotten. */
static int
settle(struct change *change)
{
    struct kept *kept = change->kept;
    flush(change);
    int err = change->joining->side[change->side].is_kept ? keep(change) : 0;
    if (err < 0) {
        return err;
    }
    kept->cnt[change->side] += change->joining->has_ttl ? 0 : change->goes ? -1 : 1;
    if (kept->cnt[LEFT] == 0 && kept->cnt[RIGHT] == 0 &&
        (change->joining->has_ttl ||
            (weir_map_is_empty(weir_process_state(change->p, LEFT)) &&
                weir_map_is_empty(weir_process_state(change->p, RIGHT))))) {
        weir_process_clear(change->p, kept);
    }
    return WEIR_DONE;
}

/* ---- rows in ---- */

/* What is told of the row alone, then with each row of the other side. WEIR_DONE; WEIR_AGAIN: it
 * goes on there; or an error. */
static int
tell_all(struct change *change)
{
    struct room *room = change->room;
    const struct weir_joining *joining = change->joining;
    enum weir_joining_lone lone = joining->side[change->side].lone;
    bool is_met = change->kept->cnt[1 - change->side] > 0;
    int got = 1;
    if (!room->is_lone_told && lone != WEIR_JOINING_NEVER && (lone == WEIR_JOINING_MET) == is_met &&
        tell(change, true, false, change->goes) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    room->is_lone_told = true;
    while (joining->has_pairs || change->flips) {
        got = room->met.packed == NULL ? met_next(change) : 1;
        if (got != 1) {
            break;
        }
        if (meet(change) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
        room->met.packed = NULL;
    }
    return got < 0 ? got : (int)WEIR_DONE;
}

/* A row of either side. */
static int
row_join(struct change *change, const struct weir_view *view, uint32_t row)
{
    struct room *room = change->room;
    const struct weir_joining *joining = change->joining;
    uint32_t other = 1 - change->side;
    int64_t cnt = change->kept->cnt[change->side];
    change->kind = weir_view_kind(view, row);
    change->goes = weir_row_kind_retracts(change->kind);
    change->time = view->time != NULL ? weir_view_time(view, row) : WEIR_TIME_MIN;
    bool is_met = cnt + (change->goes ? -1 : 1) > 0;
    change->flips = joining->side[other].lone != WEIR_JOINING_NEVER && (cnt > 0) != is_met;
    change->comes = change->flips && (joining->side[other].lone == WEIR_JOINING_MET) == is_met;
    int step = weir_row_pack(view, row, room->packed, &change->bytes);
    if (step < 0) {
        return step;
    }
    /* For the cursor, too, where it goes on: the state is at the key of the row. */
    struct weir_keyed_state *rows = weir_process_state(change->p, other);
    if (!room->is_half || WEIR_MUTANT(JOIN_HALF_AGAIN)) {
        room->is_half = true;
        room->is_lone_told = false;
        room->met.packed = NULL;
        weir_kind_begin(rows, &room->cursor);
    }
    step = tell_all(change);
    if (step == WEIR_DONE) {
        step = settle(change);
        room->is_half = false;
    }
    flush(change);
    return step;
}

static int
side_rows(struct weir_process *p, uint32_t side, const struct weir_view *view, uint32_t from,
    uint32_t cnt, void *const *state)
{
    struct change change = {
        .joining = (const struct weir_joining *)(const void *)p->function,
        .p = p,
        .room = weir_process_room(p),
        .side = side,
    };
    for (uint32_t i = 0; i < cnt; i++) {
        change.kept = state[i];
        int step = row_join(&change, view, weir_view_row(view, from + i));
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
}

static int
left_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    return side_rows(p, LEFT, view, from, cnt, state);
}

static int
right_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    return side_rows(p, RIGHT, view, from, cnt, state);
}

/* ---- what it is made of ---- */

static struct weir_joining_side
side_of(const struct weir_schema *schema)
{
    struct weir_joining_side side = {.row_bytes = schema->row_bytes,
        .time_off = schema->time_idx >= 0 ? schema->fields[schema->time_idx].off : UINT32_MAX,
        .is_kept = true};
    return side;
}

static int
check(const struct weir_join_conf *conf)
{
    uint32_t one_of =
        (uint32_t)conf->semi + (uint32_t)conf->anti + (uint32_t)(conf->outer != WEIR_JOIN_INNER);
    if (one_of > 1) {
        return weir_err_push(WEIR_EGRAPH, "a join is semi, anti or outer, not two of them");
    }
    if (conf->same != NULL) {
        return weir_err_push(WEIR_EGRAPH, "rows of tables do not count as one: weir_window_join");
    }
    if (conf->ttl_ms < 0 || (conf->ttl_ms > 0 && one_of > 0)) {
        return weir_err_push(WEIR_EGRAPH,
            "rows that live for %lld ms: only pairs may, no semi, anti or outer join",
            (long long)conf->ttl_ms);
    }
    return 0;
}

int
weir_joining_init(struct weir_joining *joining, const struct weir_join_conf *conf)
{
    const struct weir_join *join = conf->join;
    const struct weir_schema *schema[2] = {join->left_schema(), join->right_schema()};
    memset(joining, 0, sizeof *joining);
    joining->join = join;
    joining->has_pairs = !conf->semi && !conf->anti;
    joining->has_ttl = conf->ttl_ms > 0;
    for (uint32_t i = 0; i < 2; i++) {
        joining->side[i] = side_of(schema[i]);
        joining->side[i].lone =
            ((uint32_t)conf->outer >> i & 1) != 0 ? WEIR_JOINING_UNMET : WEIR_JOINING_NEVER;
    }
    if (!joining->has_pairs) {
        joining->side[LEFT].lone = conf->semi ? WEIR_JOINING_MET : WEIR_JOINING_UNMET;
        joining->side[RIGHT].is_kept = false;
    }
    const uint64_t shape[] = {weir_schema_fingerprint(schema[LEFT]),
        weir_schema_fingerprint(schema[RIGHT]), joining->side[LEFT].lone, joining->side[RIGHT].lone,
        joining->has_pairs};
    joining->shape = weir_hash_bytes(shape, sizeof shape);
    joining->kinds[LEFT] =
        (struct weir_kind)WEIR_KIND_MAP("left", 0, sizeof(struct counted), WEIR_NO_TTL);
    joining->kinds[RIGHT] =
        (struct weir_kind)WEIR_KIND_MAP("right", 0, sizeof(struct counted), WEIR_NO_TTL);
    if (joining->has_ttl) {
        const struct weir_ttl ttl = WEIR_TTL(conf->ttl_ms);
        joining->kinds[LEFT].ttl = ttl;
        joining->kinds[RIGHT].ttl = ttl;
    }
    joining->function = (struct weir_process_function){.name = join->name,
        .in_schema = join->left_schema,
        .out_schema = join->out_schema,
        .state_bytes = sizeof(struct kept),
        .rows = left_rows,
        .kinds = joining->kinds,
        .kind_cnt = 2};
    joining->second =
        (struct weir_process_second){.in_schema = join->right_schema, .rows = right_rows};
    return check(conf);
}

struct weir_operator_type
weir_joining_type(void)
{
    struct weir_operator_type type = weir_connect_type;
    type.name = "table join";
    type.self_bytes += (uint32_t)sizeof(struct room);
    type.output_cnt = 1;
    type.changes = WEIR_CHANGES_TAKEN_AND_MADE;
    type.watermark = NULL; /* it has no timers: watermarks in front of it need not be exact */
    return type;
}
