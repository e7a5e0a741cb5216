/* SPDX-License-Identifier: Apache-2.0 */
/* Joins two inputs by key as rows come in.
 *
 *     left (1 "ann")   right (1 7) (1 8)   ->   ("ann" 7) ("ann" 8)
 *
 * State: a table from the key to two lists of rows; a row joins its own list first and then meets
 * the other one, so that each pair is made once. Where the output is full in the middle of a list,
 * the same row is offered again and goes on at the item it had come to.
 *
 * Results refer to the texts of kept rows where they lie, in state pages: rows are never given
 * back. Texts of long rows, which lie in blobs, are copied; so there must be room for those of the
 * pairs at hand.
 *
 * Watermarks: passed on.
 *
 * Checkpoints: all of it lies in state pages. Rows are never given back, so which chunks are the
 * newest is not looked for after a restore: new ones are begun. A row that has not met all of the
 * other list is of an unfinished batch, which no barrier cuts.
 */
#include "dataplane/operators/join.h"

#include <string.h>

#include "dataplane/operators/join_priv.h"

/* ---- what both joins have ---- */

static int
check_schema(
    const char *side, const struct weir_schema *is, const struct weir_schema *(*wanted)(void))
{
    if (weir_schema_fingerprint(is) != weir_schema_fingerprint(wanted())) {
        return weir_err_push(WEIR_EGRAPH, "the %s of the join is %s, its function is for %s", side,
            is->name, wanted()->name);
    }
    return 0;
}

static int
check_keys(const struct weir_join_conf *conf, const struct weir_schema *left,
    const struct weir_schema *right)
{
    struct weir_key key[2] = {conf->left_key, conf->right_key};
    int err = weir_key_resolve(&key[0], left);
    if (err == 0) {
        err = weir_key_resolve(&key[1], right);
    }
    if (err < 0) {
        return err;
    }
    bool is_alike = key[0].field_cnt == key[1].field_cnt && key[0].field_cnt > 0;
    for (uint32_t i = 0; is_alike && i < key[0].field_cnt; i++) {
        bool is_str[2] = {
            key[0].part[i].type == WEIR_TYPE_STR, key[1].part[i].type == WEIR_TYPE_STR};
        is_alike = is_str[0] == is_str[1];
    }
    if (!is_alike) {
        return weir_err_push(WEIR_EGRAPH,
            "the keys of %s and %s do not go together: as many fields, texts with texts, numbers "
            "with numbers",
            left->name, right->name);
    }
    return 0;
}

int
weir_join_check(const struct weir_join_conf *conf, bool is_window)
{
    if (is_window && (conf->span.size_ms <= 0 || conf->span.slide_ms <= 0)) {
        return weir_err_push(WEIR_EGRAPH, "a window of %lld ms every %lld ms",
            (long long)conf->span.size_ms, (long long)conf->span.slide_ms);
    }
    if (conf->semi && conf->outer != WEIR_JOIN_INNER) {
        return weir_err_push(WEIR_EGRAPH, "a join is semi or outer, not both");
    }
    if (conf->same != NULL &&
        (!is_window || !conf->semi || conf->span.size_ms != conf->span.slide_ms)) {
        return weir_err_push(
            WEIR_EGRAPH, "left rows count as one in the semi join of tumbling windows only");
    }
    if (conf->anti) {
        return weir_err_push(WEIR_EGRAPH, "an anti join is one of tables: weir_table_join");
    }
    return check_keys(conf, conf->join->left_schema(), conf->join->right_schema());
}

int
weir_join_check_schemas(const struct weir_operator *op, const struct join_base *base)
{
    const struct weir_join *join = base->conf->join;
    int err = check_schema("left input", base->schema[JOIN_LEFT], join->left_schema);
    if (err == 0) {
        err = check_schema("right input", base->schema[JOIN_RIGHT], join->right_schema);
    }
    if (err == 0) {
        err = check_schema("output", op->out_schema[0], join->out_schema);
    }
    return err;
}

int
weir_join_base_open(struct weir_operator *op, struct join_base *base, bool is_window)
{
    base->conf = base->conf != NULL ? base->conf : op->conf;
    const struct weir_join_conf *conf = base->conf;
    base->arena = op->env->arena;
    base->schema[JOIN_LEFT] = op->in_schema[JOIN_LEFT];
    base->schema[JOIN_RIGHT] = op->in_schema[JOIN_RIGHT];
    if (base->arena == NULL) {
        return weir_err_push(WEIR_ESTATE, "a join was given no state pages");
    }
    int err = weir_join_check(conf, is_window);
    if (err == 0) {
        err = weir_join_check_schemas(op, base);
    }
    if (err == 0) {
        err = weir_keyed_init(
            &base->keyed[JOIN_LEFT], &conf->left_key, base->schema[JOIN_LEFT], base->arena);
    }
    if (err == 0) {
        err = weir_keyed_init(
            &base->keyed[JOIN_RIGHT], &conf->right_key, base->schema[JOIN_RIGHT], base->arena);
    }
    return err;
}

/* Semi: the place of the right list is a number. */
static bool
has_number(const struct weir_operator *op)
{
    const struct weir_join_conf *conf = op->conf;
    return op->type == &weir_window_join_type && conf->semi;
}

static int
entry_move(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    struct join_entry *entry = val;
    bool is_number = has_number(op);
    weir_row_list_move(table->arena, mover, &entry->side[JOIN_LEFT]);
    if (!is_number) { /* semi: what stands in the place of right rows */
        weir_row_list_move(table->arena, mover, &entry->side[JOIN_RIGHT]);
    }
    return 0;
}

/* ---- savepoints ---- */

static int
entry_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    static const char *const names[2] = {"left", "right"};
    for (uint32_t side = 0; side < 2; side++) {
        struct weir_state_field *field = &fields->field[fields->field_cnt++];
        bool is_list = side == JOIN_LEFT || !has_number(op);
        field->field = (struct weir_field){.name = names[side],
            .type = is_list ? WEIR_STATE_LIST : WEIR_STATE_BYTES,
            .off = side * (uint32_t)sizeof(struct weir_row_list),
            .bytes = sizeof(struct weir_row_list)};
        if (is_list) {
            field->items = op->in_schema[side];
            field->word[0] = "@time";
            field->word[1] = "@passed";
        }
    }
    fields->val_bytes = sizeof(struct join_entry);
    return 0;
}

static int
entry_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    const struct join_entry *entry = walk->val;
    return weir_row_list_next(walk, op->in_schema[walk->field], &entry->side[walk->field], ret_row);
}

static int
entry_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *row)
{
    return weir_row_list_put(
        add, op->in_schema[add->field], add->field * (uint32_t)sizeof(struct weir_row_list), row);
}

static const struct weir_state_values entry_values = {
    .describe = entry_describe, .next = entry_next, .add = entry_add};
const struct weir_state_desc weir_join_states[] = {{JOIN_STATE, entry_move, &entry_values}};

int
weir_join_inserts_only(const struct weir_view *in, uint32_t from)
{
    for (uint32_t i = from; in->kind != NULL && i < in->cnt; i++) {
        if (weir_view_kind(in, weir_view_row(in, i)) != WEIR_ROW_INSERT) {
            return weir_err_push(WEIR_EDATA, "a row of %s updates or deletes: a join takes inserts",
                in->schema->name);
        }
    }
    return 0;
}

void
weir_join_flush(struct join_base *base, struct weir_out *out)
{
    if (base->pairs.cnt > 0) {
        base->conf->join->pairs(base->pairs.pair, base->pairs.cnt, out);
    }
    base->pairs.cnt = 0;
    base->pairs.heap_bytes = 0;
}

int
weir_join_add(struct join_base *base, const struct weir_row_item *left,
    const struct weir_row_item *right, const struct weir_join_pair *like, struct weir_out *out)
{
    struct join_pairs *pairs = &base->pairs;
    uint32_t heap_bytes =
        (left != NULL ? left->heap_bytes : 0) + (right != NULL ? right->heap_bytes : 0);
    if (pairs->cnt == JOIN_PAIR_CNT) {
        weir_join_flush(base, out);
    }
    if (!weir_out_room(out, pairs->cnt + 1, pairs->heap_bytes + heap_bytes)) {
        /* Refused pairs may have left room after all. */
        weir_join_flush(base, out);
        if (!weir_out_room(out, 1, heap_bytes)) {
            return 0;
        }
    }
    struct weir_join_pair *pair = &pairs->pair[pairs->cnt++];
    *pair = *like;
    pair->left = left != NULL ? left->row : NULL;
    pair->left_heap = left != NULL ? left->heap : NULL;
    pair->right = right != NULL ? right->row : NULL;
    pair->right_heap = right != NULL ? right->heap : NULL;
    pairs->heap_bytes += heap_bytes;
    if ((left != NULL && left->is_copy) || (right != NULL && right->is_copy)) {
        weir_join_flush(base, out); /* scratch holds one row of each side */
    }
    return 1;
}

/* ---- the incremental join ---- */

/* Rows whose places are asked for together: their lines stay in L1. */
#define AHEAD_CNT 32

struct self {
    struct join_base base;
    struct weir_table *table;
    struct weir_row_store kept;
    /* A row that has joined its list and not yet met all of the other one. */
    bool is_half;
    uint32_t next; /* the item it goes on at, 0: it is done */
};

static int
join_open(struct weir_operator *op)
{
    struct self *self = op->self;
    int err = weir_join_base_open(op, &self->base, false);
    if (err < 0) {
        return err;
    }
    struct weir_table_spec spec = {0, self->base.keyed[0].kind, sizeof(struct join_entry), 0};
    err = weir_state_take(op, JOIN_STATE, &spec, 0, &self->table);
    return err < 0 ? err : weir_row_store_init(&self->kept, self->base.arena);
}

/* The last row of its list meets the other list from self->next on. WEIR_DONE; WEIR_AGAIN: the
 * output is full; or an error. */
static int
row_meet(struct self *self, uint32_t side, const struct join_entry *entry, struct weir_out *out)
{
    struct join_base *base = &self->base;
    uint32_t other = 1 - side;
    struct weir_row_item item[2];
    if (self->next != 0) {
        weir_row_item_at(base->arena, base->schema[side], entry->side[side].last,
            base->scratch[side], &item[side]);
    }
    while (self->next != 0) {
        weir_row_item_at(
            base->arena, base->schema[other], self->next, base->scratch[other], &item[other]);
        struct weir_join_pair like;
        memset(&like, 0, sizeof like);
        like.time = weir_max_i64(item[0].time, item[1].time);
        int taken = weir_join_add(base, &item[JOIN_LEFT], &item[JOIN_RIGHT], &like, out);
        if (taken <= 0) {
            return taken < 0 ? taken : WEIR_AGAIN;
        }
        self->next = weir_row_list_after(&entry->side[other], self->next, &item[other]);
    }
    self->is_half = false;
    return WEIR_DONE;
}

/* Rows [from, from + cnt) of the loaded block, whose entries are known; `at` is the first one's
 * place in the selection. Returns rows done, or an error. */
static int
rows_join(struct self *self, uint32_t side, uint32_t from, uint32_t cnt, uint32_t at,
    struct weir_out *out)
{
    struct join_base *base = &self->base;
    for (uint32_t i = 0; i < cnt; i++) {
        struct join_entry *entry = base->rows.val[from + i];
        if (i % AHEAD_CNT == 0) {
            weir_row_lists_ahead(
                &self->kept, base->rows.hash + from + i, weir_min_u32(AHEAD_CNT, cnt - i));
        }
        if (!self->is_half) {
            const struct weir_row_adds add = {.store = &self->kept,
                .hash = base->rows.hash + from + i,
                .val = base->rows.val + from + i,
                .list_off = side * (uint32_t)sizeof(struct weir_row_list),
                .first = at + i,
                .cnt = 1,
                .scratch = base->scratch[side]};
            int err = weir_row_lists_add(&base->reader, &add);
            if (err < 0) {
                return err;
            }
            self->is_half = true;
            self->next = weir_row_list_first(base->arena, &entry->side[1 - side]);
        }
        int step = row_meet(self, side, entry, out);
        if (step != WEIR_DONE) {
            return step < 0 ? step : (int)i;
        }
    }
    return (int)cnt;
}

/* A loaded block. Returns rows done, or an error. */
static int
block_join(struct self *self, uint32_t side, uint32_t at, struct weir_out *out)
{
    struct join_base *base = &self->base;
    uint32_t done = 0;
    while (done < base->rows.rows.cnt) {
        int got = weir_keyed_resolve(&base->keyed[side], self->table, &base->rows, done);
        if (got < 0) {
            return got;
        }
        int joined = rows_join(self, side, done, (uint32_t)got, at + done, out);
        if (joined < 0) {
            return joined;
        }
        done += (uint32_t)joined;
        if (joined < got) {
            break;
        }
    }
    return (int)done;
}

static int64_t
join_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)now_ns;
    int err = weir_join_inserts_only(in, cursor);
    if (err < 0) {
        return err;
    }
    weir_row_reader_init(&self->base.reader, in);
    out->view.heap = self->base.arena->base;
    out->kept_bytes = (uint64_t)self->base.arena->page_cnt * WEIR_PAGE_BYTES;
    uint32_t at = cursor;
    bool is_full = false;
    while (at < in->cnt && !is_full) {
        uint32_t cnt = weir_keyed_block(&self->base.rows, in->cnt - at);
        int loaded = weir_keyed_load(&self->base.keyed[input], in, at, cnt, &self->base.rows);
        if (loaded < 0) {
            return loaded;
        }
        int done = block_join(self, input, at, out);
        if (done < 0) {
            return done;
        }
        at += (uint32_t)done;
        is_full = done < loaded;
    }
    weir_join_flush(&self->base, out);
    weir_keyed_took(&self->base.rows, at - cursor, is_full);
    return at - cursor;
}

static int
join_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_keyed_rows_fini(&self->base.rows);
    return 0;
}

const struct weir_operator_type weir_join_type = {
    .name = "join",
    .self_bytes = sizeof(struct self),
    .input_cnt = 2,
    .output_cnt = 1,
    .open = join_open,
    .process = join_process,
    .close = join_close,
    .states = weir_join_states,
    .state_cnt = JOIN_STATE_CNT,
};
