/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of changes, as the table that it leaves. It is a process function (process.h) over rows
 * of any schema, with a timer at the end of time for each key.
 *
 *     state:   struct kept
 *     rows:    packed row -> how often i64          a map
 *     row:     packed row                           a value, with is_upsert
 *
 * While a table is put out, each row leaves state as it leaves the operator: a checkpoint in the
 * middle of it has the rest.
 */
#include "dataplane/fold.h"

#include <string.h>

struct kept {
    uint64_t shape;
};

static const struct weir_kind bag_kinds[] = {
    WEIR_KIND_MAP("rows", 0, sizeof(int64_t), WEIR_NO_TTL)};
static const struct weir_kind upsert_kinds[] = {WEIR_KIND_BYTES("row", WEIR_NO_TTL)};

static const struct weir_fold *
fold_of(const struct weir_process *p)
{
    return (const struct weir_fold *)(const void *)p->function;
}

/* ---- rows in ---- */

static int
bag_row(struct weir_keyed_state *rows, struct weir_slice packed, uint32_t kind)
{
    int64_t cnt = 0;
    const void *value = weir_map_get(rows, packed, NULL);
    if (value != NULL) {
        memcpy(&cnt, value, sizeof cnt);
    }
    cnt += weir_row_kind_retracts(kind) ? -1 : 1;
    if (cnt == 0) {
        (void)weir_map_remove(rows, packed);
        return 0;
    }
    return weir_map_put(rows, packed, WEIR_BYTES(&cnt));
}

static int
upsert_row(struct weir_keyed_state *row, struct weir_slice packed, uint32_t kind)
{
    if (kind == WEIR_ROW_DELETE) {
        weir_state_clear(row);
        return 0;
    }
    return kind == WEIR_ROW_UPDATE_BEFORE ? 0 : weir_value_set(row, packed);
}

static int
fold_row(struct weir_process *p, const struct weir_view *view, uint32_t row, struct kept *kept)
{
    const struct weir_fold *fold = fold_of(p);
    char packed[WEIR_ROW_PACK_BYTES_MAX] WEIR_ALIGNED(8);
    uint32_t bytes = 0;
    if (kept->shape != 0 && kept->shape != fold->shape) {
        return weir_err_push(WEIR_ESTATE, "the state of a fold has rows of another schema");
    }
    int err = weir_row_pack(view, row, packed, &bytes);
    if (err == 0 && kept->shape == 0) {
        err = weir_process_timer_set(p, WEIR_WATERMARK_MAX, 0);
    }
    if (err < 0) {
        return err;
    }
    kept->shape = fold->shape;
    struct weir_keyed_state *state = weir_process_state(p, 0);
    uint32_t kind = weir_view_kind(view, row);
    return fold->is_upsert ? upsert_row(state, weir_bytes(packed, bytes), kind)
                           : bag_row(state, weir_bytes(packed, bytes), kind);
}

static int
fold_rows(struct weir_process *p, const struct weir_view *view, uint32_t from, uint32_t cnt,
    void *const *state)
{
    for (uint32_t i = 0; i < cnt; i++) {
        int err = fold_row(p, view, weir_view_row(view, from + i), state[i]);
        if (err < 0) {
            return err;
        }
        p->row++;
    }
    return (int)cnt;
}

/* ---- the table out ---- */

static int
emit(struct weir_process *p, struct weir_row_packed *row)
{
    const struct weir_row_map *map = &fold_of(p)->map;
    if (!weir_out_room(p->out, 1, weir_row_packed_text_bytes(map, row))) {
        return WEIR_AGAIN;
    }
    (void)weir_row_map_emit(map, row, WEIR_ROW_INSERT, p->out);
    return WEIR_DONE;
}

static int
bag_end(struct weir_process *p, struct weir_keyed_state *rows)
{
    struct weir_kind_cursor cursor;
    struct weir_slice key;
    const void *value;
    weir_kind_begin(rows, &cursor);
    while ((value = weir_kind_next(&cursor, &key, NULL)) != NULL) {
        int64_t cnt;
        memcpy(&cnt, value, sizeof cnt);
        if (cnt < 0) {
            return weir_err_push(WEIR_EDATA,
                "a row of %s was taken back more often than it came, by %lld",
                fold_of(p)->map.from->name, (long long)-cnt);
        }
        int64_t left = cnt;
        struct weir_row_packed row = {key.ptr, key.bytes, 0};
        while (left > 0 && emit(p, &row) == WEIR_DONE) {
            left--;
        }
        if (left > 0) {
            /* The rest comes when there is room; the key lies in the entry that stays. */
            int err = left < cnt ? weir_map_put(rows, key, WEIR_BYTES(&left)) : 0;
            return err < 0 ? err : (int)WEIR_AGAIN;
        }
        (void)weir_map_remove(rows, key);
    }
    return WEIR_DONE;
}

static int
upsert_end(struct weir_process *p, struct weir_keyed_state *row)
{
    struct weir_row_packed packed = {NULL, 0, 0};
    packed.packed = weir_value_get(row, &packed.bytes);
    if (packed.packed != NULL && emit(p, &packed) != WEIR_DONE) {
        return WEIR_AGAIN;
    }
    weir_state_clear(row);
    return WEIR_DONE;
}

static int
fold_timers(struct weir_process *p)
{
    for (;;) {
        void *kept;
        int got = weir_process_timer_next(p, &kept);
        if (got != 1) {
            return got == WEIR_PROCESS_SLICE ? (int)WEIR_AGAIN : got;
        }
        struct weir_keyed_state *state = weir_process_state(p, 0);
        int step = fold_of(p)->is_upsert ? upsert_end(p, state) : bag_end(p, state);
        if (step != WEIR_DONE) {
            return step;
        }
        weir_process_clear(p, kept);
        weir_process_timer_done(p);
    }
}

int
weir_fold_init(struct weir_fold *fold, const struct weir_schema *schema, bool is_upsert)
{
    memset(fold, 0, sizeof *fold);
    fold->is_upsert = is_upsert;
    fold->shape = weir_schema_fingerprint(schema) | 1;
    fold->function = (struct weir_process_function){.name = "fold",
        .state_bytes = sizeof(struct kept),
        .rows = fold_rows,
        .timers = fold_timers,
        .kinds = is_upsert ? upsert_kinds : bag_kinds,
        .kind_cnt = 1};
    return weir_row_map_init(&fold->map, schema, schema);
}
