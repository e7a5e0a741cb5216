/* SPDX-License-Identifier: Apache-2.0 */
/* Each row with an aggregate of the rows before it. It is a process function (process.h) over rows
 * of any schema.
 *
 *     state:   struct kept        rows: a bag
 *
 * A row that comes or goes changes what is told of it, and of as many rows behind it as an
 * aggregate is of rows before one. These, and those before it, are looked for among all rows of the
 * key.
 */
#include "dataplane/rolling.h"

#include <string.h>

#define NEAR_CNT_MAX WEIR_ROLLING_ROW_CNT_MAX

static const struct weir_kind kinds[] = {WEIR_KIND_ROW_BAG("rows")};

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

struct change {
    struct weir_process *p;
    const struct weir_rolling *rolling;
    const struct weir_view *view;
    uint32_t row;
    bool goes;
    struct kept *kept;
    const struct weir_row_entry *entry;
    struct near before;
    struct near behind;
};

static void
put_near(const struct change *change, struct near *near, const struct weir_row_entry *entry,
    int64_t copies)
{
    uint32_t max = change->rolling->preceding;
    bool is_before = near == &change->before;
    uint32_t at = near->cnt;
    while (at > 0) {
        int way = weir_row_entry_compare(&change->rolling->order, entry, &near->row[at - 1]);
        if (is_before ? way <= 0 : way >= 0) {
            break;
        }
        at--;
    }
    uint32_t cnt = (uint32_t)weir_min_u64((uint64_t)copies, max - at);
    uint32_t stay = weir_min_u32(near->cnt - at, max - at - cnt);
    memmove(&near->row[at + cnt], &near->row[at], stay * sizeof near->row[0]);
    for (uint32_t i = 0; i < cnt; i++) {
        near->row[at + i] = *entry;
    }
    near->cnt = at + cnt + stay;
}

static void
find_near(struct change *change)
{
    const struct weir_row_order *order = &change->rolling->order;
    struct weir_kind_cursor cursor;
    struct weir_row_entry other = {.cnt = 0};
    change->before.cnt = 0;
    change->behind.cnt = 0;
    weir_kind_begin(weir_process_state(change->p, 0), &cursor);
    while (weir_row_bag_next(&cursor, order, &other)) {
        int way = weir_row_entry_compare(order, &other, change->entry);
        bool same = way == 0 && weir_row_entry_same(&other, change->entry);
        int64_t copies = same && change->goes ? other.cnt - 1 : other.cnt;
        if (copies > 0) {
            put_near(change, way <= 0 ? &change->before : &change->behind, &other, copies);
        }
    }
}

/* ---- aggregates ---- */

/* Row `back` before the one at place `at` behind the change (0: the first one behind), with the row
 * that changes or without it; NULL: there are not so many. */
static const struct weir_row_entry *
row_back(const struct change *change, uint32_t at, uint32_t back, bool with)
{
    if (back <= at) {
        return &change->behind.row[at - back];
    }
    back -= at + 1;
    if (with && back == 0) {
        return change->entry;
    }
    back -= with;
    return back < change->before.cnt ? &change->before.row[back] : NULL;
}

struct sum {
    int64_t value;
    int64_t cnt;
};

static void
add(const struct weir_rolling *rolling, struct sum *sum, const struct weir_row_entry *entry)
{
    int64_t value = 0;
    if (rolling->kind != WEIR_GROUP_COUNT) {
        value = (int64_t)weir_key_number(entry->packed + rolling->of.off, rolling->of.bytes);
    }
    bool is_first = sum->cnt++ == 0;
    switch (rolling->kind) {
    case WEIR_GROUP_MIN:
        sum->value = is_first ? value : weir_min_i64(sum->value, value);
        break;
    case WEIR_GROUP_MAX:
        sum->value = is_first ? value : weir_max_i64(sum->value, value);
        break;
    default:
        sum->value = (int64_t)((uint64_t)sum->value + (uint64_t)value);
        break;
    }
}

static int64_t
result(const struct weir_rolling *rolling, const struct sum *sum)
{
    switch (rolling->kind) {
    case WEIR_GROUP_COUNT:
        return sum->cnt;
    case WEIR_GROUP_AVG:
        return sum->value / sum->cnt;
    default:
        return sum->value;
    }
}

/* Of the row that changes. */
static int64_t
own_result(const struct change *change)
{
    struct sum sum = {0, 0};
    add(change->rolling, &sum, change->entry);
    for (uint32_t i = 0; i < change->before.cnt && i < change->rolling->preceding; i++) {
        add(change->rolling, &sum, &change->before.row[i]);
    }
    return result(change->rolling, &sum);
}

static int64_t
result_behind(const struct change *change, uint32_t at, bool with)
{
    struct sum sum = {0, 0};
    for (uint32_t back = 0; back <= change->rolling->preceding; back++) {
        const struct weir_row_entry *entry = row_back(change, at, back, with);
        if (entry == NULL) {
            break;
        }
        add(change->rolling, &sum, entry);
    }
    return result(change->rolling, &sum);
}

/* ---- rows out ---- */

static void
emit(const struct change *change, const struct weir_row_entry *entry, uint32_t kind, int64_t value)
{
    char *row = weir_row_map_emit(&change->rolling->map, entry->packed, kind, change->p->out);
    memcpy(row + change->rolling->as_off, &value, sizeof value);
}

static bool
has_room(const struct change *change, const struct weir_row_entry *entry, uint32_t cnt)
{
    uint32_t bytes = weir_row_map_text_bytes(&change->rolling->map, entry->packed);
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
            own_result(change));
        kept->told = 1;
    }
    for (uint32_t at = (uint32_t)kept->told - 1; at < change->behind.cnt; at++) {
        const struct weir_row_entry *entry = &change->behind.row[at];
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
rolling_row(struct change *change)
{
    const struct weir_rolling *rolling = change->rolling;
    struct kept *kept = change->kept;
    struct weir_row_entry entry = {.seq = kept->seq};
    char packed[WEIR_ROW_PACK_BYTES_MAX] WEIR_ALIGNED(8);
    if (kept->shape != 0 && kept->shape != rolling->shape) {
        return weir_err_push(
            WEIR_ESTATE, "the state of a rolling aggregate has rows of another schema or order");
    }
    int err = weir_row_pack(change->view, change->row, packed, &entry.bytes);
    if (err < 0) {
        return err;
    }
    entry.packed = packed;
    weir_row_order_words(&rolling->order, change->view, change->row, entry.word);
    weir_row_bag_find(weir_process_state(change->p, 0), &rolling->order, &entry);
    change->entry = &entry;
    /* A row that was taken back before it came is never seen. */
    if (change->goes ? entry.cnt > 0 : entry.cnt >= 0) {
        find_near(change);
        if (tell(change) != WEIR_DONE) {
            return WEIR_AGAIN;
        }
    }
    kept->seq++;
    kept->shape = rolling->shape;
    struct weir_keyed_state *rows = weir_process_state(change->p, 0);
    err = weir_row_bag_add(rows, &rolling->order, &entry, change->goes ? -1 : 1);
    if (err == 0 && weir_map_is_empty(rows)) {
        weir_process_clear(change->p, kept);
    }
    return err;
}

static int
rolling_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    struct change change;
    change.p = p;
    change.rolling = (const struct weir_rolling *)(const void *)p->function;
    change.view = view;
    for (uint32_t i = 0; i < cnt; i++) {
        change.row = weir_view_row(view, from + i);
        change.goes = weir_row_kind_retracts(weir_view_kind(view, change.row));
        change.kept = state[i];
        p->out->row_time = view->time != NULL ? weir_view_time(view, change.row) : WEIR_TIME_MIN;
        int step = rolling_row(&change);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
        p->row++;
    }
    return (int)cnt;
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
    rolling->shape = weir_row_order_shape(&rolling->order, in);
    return err;
}
