/* SPDX-License-Identifier: Apache-2.0 */
/* Each row with an aggregate of the rows before it. It is a process function (process.h) over rows
 * of any schema.
 *
 *     state:   struct kept        rows: sorted rows (row_sorted.h)
 *
 * A row that comes or goes changes what is told of it, and of as many rows behind it as an
 * aggregate is of rows before one. These, and those before it, stand beside it. Its place is looked
 * for from the end on: rows come in about their order, by a time.
 */
#include "dataplane/rolling.h"

#include <string.h>

#include "dataplane/row_sorted.h"

#define NEAR_CNT_MAX WEIR_ROLLING_ROW_CNT_MAX

static const struct weir_kind kinds[] = {WEIR_KIND_ROWS_SORTED("sorted")};

/* Part of the shape: how rows are kept. */
#define SHAPE_SORTED UINT64_C(8)

struct kept {
    uint64_t shape; /* of the rows */
    uint64_t seq; /* of the next row that comes */
    uint64_t told; /* of the row at hand: what has been told, where the output was full */
};

/* Rows on one side of the one that changes, the nearest first. */
struct near {
    struct weir_row_entry row[NEAR_CNT_MAX];
    uint32_t cnt;
};

/* The numbers that are aggregated, in the order of the rows. */
struct line {
    int64_t value[2 * NEAR_CNT_MAX + 1];
};

struct change {
    struct weir_process *p;
    const struct weir_rolling *rolling;
    const struct weir_view *view;
    uint32_t row;
    bool goes;
    struct kept *kept;
    struct weir_row_entry *entry;
    struct near before;
    struct near behind;
    struct line with; /* those before, the row that changes, those behind */
    struct line without;
    /* Its place: at it, or where it is not there at the first row behind it, if there is one. */
    bool is_there;
    bool is_last;
    struct weir_kind_cursor place;
};

/* ---- rows near by ---- */

static bool
take(const struct change *change, const char *element, uint32_t bytes, struct weir_row_entry *row)
{
    if (element != NULL) {
        weir_row_sorted_take(&change->rolling->order, element, bytes, row);
    }
    return element != NULL;
}

static bool
row_back(const struct change *change, struct weir_kind_cursor *cursor, struct weir_row_entry *row)
{
    uint32_t bytes = 0;
    const char *element = weir_list_back(cursor, &bytes);
    return take(change, element, bytes, row);
}

static bool
row_next(const struct change *change, struct weir_kind_cursor *cursor, struct weir_row_entry *row)
{
    uint32_t bytes = 0;
    const char *element = weir_kind_next(cursor, NULL, &bytes);
    return take(change, element, bytes, row);
}

static bool
has_all(const struct change *change, const struct near *near)
{
    return near->cnt >= change->rolling->preceding;
}

/* A row, as often as it is there. */
static void
put_near(const struct change *change, struct near *near, const struct weir_row_entry *row,
    int64_t copies)
{
    for (; copies > 0 && !has_all(change, near); copies--) {
        near->row[near->cnt++] = *row;
    }
}

/* The place of a row, and what is there of it: how often, and since when. Rows on either side are
 * begun; *ret_before is where those before it go on. */
static void
find_place(struct change *change, struct weir_row_entry *entry, struct weir_kind_cursor *ret_before)
{
    struct weir_kind_cursor cursor;
    struct weir_row_entry row;
    struct weir_row_entry first_behind = {.cnt = 0};
    change->is_there = false;
    change->is_last = true;
    weir_list_begin_back(weir_process_state(change->p, 0), &cursor);
    *ret_before = cursor;
    while (!change->is_there && row_back(change, &cursor, &row)) {
        uint64_t seq = row.seq;
        row.seq = entry->seq; /* by words alone: of equal ones it would be the last */
        int way = weir_row_entry_compare(&change->rolling->order, &row, entry);
        if (way < 0) {
            break;
        }
        change->is_there = way == 0 && weir_row_entry_same(&row, entry);
        if (change->is_there) {
            entry->seq = seq;
            entry->cnt = row.cnt;
            put_near(change, &change->before, &row, row.cnt - change->goes);
        } else if (way > 0) {
            change->is_last = false;
            first_behind = row;
        }
        if (change->is_there || way > 0) {
            change->place = cursor;
            *ret_before = cursor;
        }
    }
    if (!change->is_there) {
        put_near(change, &change->behind, &first_behind, first_behind.cnt);
    }
}

static void
find_near(struct change *change, struct weir_row_entry *entry)
{
    struct weir_kind_cursor before;
    struct weir_row_entry row;
    change->before.cnt = 0;
    change->behind.cnt = 0;
    find_place(change, entry, &before);
    while (!has_all(change, &change->before) && row_back(change, &before, &row)) {
        put_near(change, &change->before, &row, row.cnt);
    }
    struct weir_kind_cursor behind = change->place;
    bool is_any = change->is_there || !change->is_last;
    while (is_any && !has_all(change, &change->behind) && row_next(change, &behind, &row)) {
        put_near(change, &change->behind, &row, row.cnt);
    }
}

/* ---- aggregates ---- */

static int64_t
value_of(const struct weir_rolling *rolling, const struct weir_row_entry *row)
{
    return rolling->kind == WEIR_GROUP_COUNT
               ? 0
               : (int64_t)weir_key_number(row->row.packed + rolling->of.off, rolling->of.bytes);
}

static void
line_up(struct change *change)
{
    int64_t *with = change->with.value;
    int64_t *without = change->without.value;
    for (uint32_t i = change->before.cnt; i-- > 0;) {
        *with = value_of(change->rolling, &change->before.row[i]);
        *without++ = *with++;
    }
    *with++ = value_of(change->rolling, change->entry);
    for (uint32_t i = 0; i < change->behind.cnt; i++) {
        *with = value_of(change->rolling, &change->behind.row[i]);
        *without++ = *with++;
    }
}

/* Of the number at a place, and as many before it as there are and may be. */
static int64_t
result(const struct weir_rolling *rolling, const struct line *line, uint32_t at)
{
    uint32_t cnt = weir_min_u32(at, rolling->preceding) + 1;
    const int64_t *value = &line->value[at + 1 - cnt];
    int64_t least = value[0];
    int64_t most = value[0];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        least = weir_min_i64(least, value[i]);
        most = weir_max_i64(most, value[i]);
        sum += (uint64_t)value[i];
    }
    switch (rolling->kind) {
    case WEIR_GROUP_COUNT:
        return cnt;
    case WEIR_GROUP_MIN:
        return least;
    case WEIR_GROUP_MAX:
        return most;
    case WEIR_GROUP_AVG:
        return (int64_t)sum / cnt;
    default:
        return (int64_t)sum;
    }
}

/* Of a row behind the one that changes. */
static int64_t
result_behind(const struct change *change, uint32_t at, bool with)
{
    return result(
        change->rolling, with ? &change->with : &change->without, change->before.cnt + with + at);
}

/* ---- rows out ---- */

static void
emit(const struct change *change, struct weir_row_entry *entry, uint32_t kind, int64_t value)
{
    char *row = weir_row_map_emit(&change->rolling->map, &entry->row, kind, change->p->out);
    memcpy(row + change->rolling->as_off, &value, sizeof value);
}

static bool
has_room(const struct change *change, const struct weir_row_entry *entry, uint32_t cnt)
{
    uint32_t bytes = weir_row_packed_text_bytes(&change->rolling->map, &entry->row);
    return weir_out_room(change->p->out, cnt, cnt * bytes);
}

static int
tell(struct change *change)
{
    struct kept *kept = change->kept;
    if (kept->told == 0) {
        if (!has_room(change, change->entry, 1)) {
            return WEIR_AGAIN;
        }
        emit(change, change->entry, change->goes ? WEIR_ROW_DELETE : WEIR_ROW_INSERT,
            result(change->rolling, &change->with, change->before.cnt));
        kept->told = 1;
    }
    for (uint32_t at = (uint32_t)kept->told - 1; at < change->behind.cnt; at++) {
        struct weir_row_entry *entry = &change->behind.row[at];
        int64_t was = result_behind(change, at, change->goes);
        int64_t is = result_behind(change, at, !change->goes);
        if (was != is && !has_room(change, entry, 2)) {
            return WEIR_AGAIN;
        }
        if (was != is) {
            emit(change, entry, WEIR_ROW_UPDATE_BEFORE, was);
            emit(change, entry, WEIR_ROW_UPDATE_AFTER, is);
        }
        kept->told++;
    }
    kept->told = 0;
    return WEIR_DONE;
}

static int
keep_row(struct change *change, struct weir_row_entry *entry, char *room)
{
    struct weir_keyed_state *rows = weir_process_state(change->p, 0);
    entry->cnt += change->goes ? -1 : 1;
    if (entry->cnt == 0) { /* it was there */
        struct weir_kind_cursor left;
        uint32_t bytes;
        weir_list_remove(&change->place);
        weir_list_begin_back(rows, &left);
        if (weir_list_back(&left, &bytes) == NULL) {
            weir_process_clear(change->p, change->kept);
        }
        return 0;
    }
    struct weir_slice element = weir_row_sorted_element(&change->rolling->order, entry, room);
    if (change->is_there) {
        return weir_list_replace(&change->place, element);
    }
    return change->is_last ? weir_list_add(rows, element)
                           : weir_list_insert(&change->place, element);
}

static int
rolling_row(struct change *change)
{
    const struct weir_rolling *rolling = change->rolling;
    struct kept *kept = change->kept;
    struct weir_row_entry entry = {.seq = kept->seq};
    char room[WEIR_ROW_SORTED_BYTES_MAX] WEIR_ALIGNED(8);
    if (kept->shape != 0 && kept->shape != rolling->shape) {
        return weir_err_push(
            WEIR_ESTATE, "the state of a rolling aggregate has rows of another schema or order");
    }
    weir_row_order_words(&rolling->order, change->view, change->row, entry.word);
    int err = weir_row_sorted_load(&rolling->order, change->view, change->row, room, &entry);
    if (err < 0) {
        return err;
    }
    change->entry = &entry;
    find_near(change, &entry);
    /* A row that was taken back before it came is never seen. */
    if (change->goes ? entry.cnt > 0 : entry.cnt >= 0) {
        line_up(change);
        if (tell(change) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
    }
    kept->seq++;
    kept->shape = rolling->shape;
    return keep_row(change, &entry, room);
}

static int
rolling_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    struct change change;
    change.p = p;
    change.rolling = (const struct weir_rolling *)(const void *)p->function;
    change.view = view;
    int got = weir_process_list_ahead(p, 0, cnt);
    for (int i = 0; i < got; i++) {
        change.row = weir_view_row(view, from + (uint32_t)i);
        change.goes = weir_row_kind_retracts(weir_view_kind(view, change.row));
        change.kept = state[i];
        p->out->row_time = view->time != NULL ? weir_view_time(view, change.row) : WEIR_TIME_MIN;
        int step = rolling_row(&change);
        if (step != WEIR_DONE) {
            return step < 0 ? step : i;
        }
        p->row++;
    }
    return got;
}

static int
find_fields(struct weir_rolling *rolling, const struct weir_rolling_conf *conf)
{
    const struct weir_schema *in = rolling->map.from;
    const struct weir_schema *out = rolling->map.to;
    uint64_t rest = weir_row_map_rest(&rolling->map);
    int of = conf->of != NULL ? weir_schema_field(in, conf->of) : -1;
    int as = conf->as != NULL ? weir_schema_field(out, conf->as) : -1;
    if (conf->kind != WEIR_GROUP_COUNT &&
        (of < 0 || in->fields[of].nullable || in->fields[of].type == WEIR_TYPE_STR ||
            in->fields[of].type == WEIR_TYPE_F64)) {
        return weir_err_push(WEIR_EGRAPH,
            "the field %s of %s cannot be aggregated: it must be a number that is not null, but "
            "f64",
            conf->of != NULL ? conf->of : "(none)", in->name);
    }
    if (as < 0 || out->fields[as].type != WEIR_TYPE_I64 || rest != UINT64_C(1) << as) {
        return weir_err_push(WEIR_EGRAPH,
            "%s must have one field that %s has not, an i64 for the aggregate", out->name,
            in->name);
    }
    rolling->of = conf->kind != WEIR_GROUP_COUNT ? in->fields[of] : rolling->of;
    rolling->as_off = out->fields[as].off;
    return 0;
}

int
weir_rolling_init(struct weir_rolling *rolling, const struct weir_rolling_conf *conf,
    const struct weir_schema *in, const struct weir_schema *out)
{
    memset(rolling, 0, sizeof *rolling);
    rolling->function = (struct weir_process_function){.name = "rolling",
        .state_bytes = sizeof(struct kept),
        .rows = rolling_rows,
        .kinds = kinds,
        .kind_cnt = WEIR_ARRAY_CNT(kinds)};
    rolling->preceding = conf->preceding;
    rolling->kind = conf->kind;
    if (conf->preceding > WEIR_ROLLING_ROW_CNT_MAX || conf->kind == WEIR_GROUP_DISTINCT) {
        return weir_err_push(WEIR_EGRAPH,
            "a rolling aggregate is of up to %d rows before each, and no distinct count",
            WEIR_ROLLING_ROW_CNT_MAX);
    }
    int err = weir_row_order_init(&rolling->order, conf->by, in);
    err = err < 0 ? err : weir_row_map_init(&rolling->map, in, out);
    err = err < 0 ? err : find_fields(rolling, conf);
    rolling->shape = weir_row_order_shape(&rolling->order, in) ^ SHAPE_SORTED;
    return err;
}
