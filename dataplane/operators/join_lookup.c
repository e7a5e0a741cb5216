/* SPDX-License-Identifier: Apache-2.0 */
/* Joins rows with a table that is read when the operator is opened.
 *
 *     table (1 "ann") (2 "bob")   row (2 7) (3 8)   ->   ("bob" 7)        and (NULL 8) if outer
 *
 * State: none in checkpoints. The table lies in an arena of the operator's own, in one key group:
 * from the key to a list of rows. Where the output is full in the middle of a list, the same row
 * is offered again and goes on at the item it had come to.
 *
 * Watermarks and barriers: passed on.
 */
#include "dataplane/operators/join_lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/region.h"
#include "dataplane/operators/join_priv.h"
#include "dataplane/out.h"
#include "io/io.h"

#define READ_ROWS 256
#define READ_BYTES (64 * WEIR_KIB)
/* Pairs wait in blocks of JOIN_PAIR_CNT, each of a row that lies in a slot of its own. */
#define SLOT_CNT (JOIN_PAIR_CNT + 1)

struct self {
    struct join_base base; /* its arena is the one below */
    struct weir_join_conf join;
    struct weir_arena arena;
    void *mem;
    uint64_t mem_bytes;
    struct weir_table *table;
    char *slots; /* rows of a column layout as their structs */
    uint32_t slot_bytes;
    uint32_t slot;
    /* A row that has not met all of its list yet, and the item it goes on at. */
    bool is_half;
    uint32_t next;
};

/* The source that the table is read from, for as long as that takes. */
struct reading {
    struct weir_operator source;
    struct weir_operator_env env;
    struct weir_out_shape shape;
    struct weir_out out;
    void *mem;
    struct weir_row_store rows;
};

int
weir_lookup_check(const struct weir_lookup_conf *conf)
{
    const struct weir_join_conf join = {
        .join = conf->join, .left_key = conf->left_key, .right_key = conf->right_key};
    if (conf->source->input_cnt != 0 || conf->source->poll == NULL) {
        return weir_err_push(WEIR_EGRAPH, "%s is no source of a table", conf->source->name);
    }
    return weir_join_check(&join, false);
}

/* ---- the table ---- */

/* Rows that the source has made join their lists. */
static int
rows_take(struct self *self, struct reading *reading)
{
    struct join_base *base = &self->base;
    const struct weir_view *view = &reading->out.view;
    weir_row_reader_init(&base->reader, view);
    for (uint32_t at = 0; at < view->cnt;) {
        uint32_t cnt = weir_min_u32(view->cnt - at, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&base->keyed[JOIN_RIGHT], view, at, cnt, &base->rows);
        if (loaded < 0) {
            return loaded;
        }
        for (uint32_t done = 0; done < (uint32_t)loaded;) {
            int got = weir_keyed_resolve(&base->keyed[JOIN_RIGHT], self->table, &base->rows, done);
            const struct weir_row_adds adds = {.store = &reading->rows,
                .hash = base->rows.hash + done,
                .val = base->rows.val + done,
                .first = at + done,
                .cnt = (uint32_t)got,
                .scratch = base->scratch[JOIN_RIGHT]};
            int err = got < 0 ? got : weir_row_lists_add(&base->reader, &adds);
            if (err < 0) {
                return err;
            }
            done += (uint32_t)got;
        }
        at += (uint32_t)loaded;
    }
    return 0;
}

/* Something of the source's is under way: let it come. */
static void
source_wait(struct weir_io *io)
{
    struct weir_io_stat st;
    struct weir_io_op look;
    if (io != NULL) {
        weir_io_op_stat(&look, WEIR_IO_CWD, ".", &st);
        (void)weir_io_perform(io, &look); /* only the time that passes matters */
        weir_io_wait(io, WEIR_MS, -1);
    }
}

static int
source_read(struct self *self, struct reading *reading)
{
    struct weir_operator *source = &reading->source;
    struct weir_io *io = source->env->io;
    for (;;) {
        weir_out_init(&reading->out, &reading->shape);
        reading->out.heap_end = reading->out.buf_bytes;
        reading->out.wanted_bytes = 0;
        int64_t now_ns = io != NULL ? weir_io_clock_ns(io) : 0;
        int step = source->type->poll(source, &reading->out, now_ns);
        int err = step < 0 ? step : rows_take(self, reading);
        if (err < 0 || step == WEIR_DONE) {
            return err;
        }
        if (reading->out.view.row_cnt == 0 && reading->out.wanted_bytes > 0) {
            err = weir_out_grow(&reading->out, &reading->shape, &reading->mem);
            if (err < 0) {
                return err;
            }
        }
        if (step == WEIR_WAIT) {
            source_wait(io);
        }
    }
}

static int
table_read(struct weir_operator *op, struct self *self)
{
    const struct weir_lookup_conf *conf = op->conf;
    struct reading reading;
    memset(&reading, 0, sizeof reading);
    reading.env = *op->env;
    reading.env.subtask_idx = 0; /* all of it, whatever the others read */
    reading.env.subtask_cnt = 1;
    reading.env.arena = NULL;
    reading.source = (struct weir_operator){.type = conf->source,
        .conf = conf->source_conf,
        .env = &reading.env,
        .uid = op->uid,
        .out_schema = {self->base.schema[JOIN_RIGHT]}};
    reading.shape = (struct weir_out_shape){.schema = self->base.schema[JOIN_RIGHT],
        .columns = conf->source->columns,
        .buf_bytes = READ_BYTES,
        .batch_rows = READ_ROWS};
    reading.out.buf_bytes = weir_out_footprint(&reading.shape);
    size_t bytes = reading.out.buf_bytes;
    reading.mem = aligned_alloc(WEIR_LINE_BYTES, bytes);
    reading.source.self = calloc(1, weir_align_up(conf->source->self_bytes + 1, WEIR_LINE_BYTES));
    uint16_t *sel = malloc(WEIR_BATCH_ROW_CNT_MAX * sizeof *sel);
    int err = weir_row_store_init(&reading.rows, &self->arena);
    if (reading.mem == NULL || reading.source.self == NULL || sel == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "a buffer of %zu bytes to read a table", bytes);
    }
    if (err == 0) {
        reading.out.base = reading.mem;
        reading.out.sel_buf = sel;
        err = conf->source->open != NULL ? conf->source->open(&reading.source) : 0;
        err = err < 0 ? err : source_read(self, &reading);
        if (conf->source->close != NULL) {
            int closed = conf->source->close(&reading.source, err == 0);
            err = err < 0 ? err : closed;
        }
    }
    free(sel);
    free(reading.source.self);
    free(reading.mem);
    return err;
}

static int
table_make(struct weir_operator *op, struct self *self)
{
    const struct weir_lookup_conf *conf = op->conf;
    const struct weir_arena_spec spec = {
        .name = op->uid, .max_parallelism = 1, .groups = {0, 1}, .table_cnt_max = 1};
    self->mem_bytes =
        conf->table_bytes_max != 0 ? conf->table_bytes_max : WEIR_LOOKUP_TABLE_BYTES_DEFAULT;
    self->mem = weir_lazy_map(self->mem_bytes);
    if (self->mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%llu bytes for the table of %s",
            (unsigned long long)self->mem_bytes, op->uid);
    }
    int err = weir_arena_init(&self->arena, &spec, self->mem, self->mem_bytes);
    if (err == 0) {
        const struct weir_table_spec table = {
            0, self->base.keyed[JOIN_RIGHT].kind, sizeof(struct weir_row_list), 0};
        err = weir_table_take(&self->arena, &table, 0, &self->table);
    }
    return err < 0 ? err : table_read(op, self);
}

static int
lookup_open(struct weir_operator *op)
{
    struct self *self = op->self;
    struct join_base *base = &self->base;
    const struct weir_lookup_conf *conf = op->conf;
    int err = weir_lookup_check(conf);
    if (err < 0) {
        return err;
    }
    self->join = (struct weir_join_conf){
        .join = conf->join, .left_key = conf->left_key, .right_key = conf->right_key};
    base->conf = &self->join;
    base->arena = &self->arena;
    base->schema[JOIN_LEFT] = op->in_schema[0];
    base->schema[JOIN_RIGHT] = conf->join->right_schema();
    err = weir_join_check_schemas(op, base);
    if (err == 0) {
        err = weir_keyed_init(
            &base->keyed[JOIN_LEFT], &conf->left_key, base->schema[JOIN_LEFT], NULL);
    }
    if (err == 0) {
        err = weir_keyed_init(
            &base->keyed[JOIN_RIGHT], &conf->right_key, base->schema[JOIN_RIGHT], NULL);
    }
    if (err < 0) {
        return err;
    }
    self->slot_bytes = base->schema[JOIN_LEFT]->row_bytes;
    self->slots = calloc(SLOT_CNT, self->slot_bytes);
    if (self->slots == NULL) {
        return weir_err_push(WEIR_ENOMEM, "rows of %s", base->schema[JOIN_LEFT]->name);
    }
    return table_make(op, self);
}

/* ---- rows ---- */

/* Row i of the selection as its struct, with what its texts take. */
static void
left_item(struct self *self, const struct weir_view *in, uint32_t i, struct weir_row_item *item)
{
    const struct weir_schema *schema = self->base.schema[JOIN_LEFT];
    uint32_t row = weir_view_row(in, i);
    memset(item, 0, sizeof *item);
    item->heap = in->heap;
    item->time = in->time != NULL ? weir_view_time(in, row) : WEIR_TIME_MIN;
    if (in->stride != 0) {
        item->row = in->rows + (size_t)in->stride * row;
    } else {
        char *to = self->slots + (size_t)self->slot_bytes * self->slot;
        self->slot = (self->slot + 1) % SLOT_CNT;
        if (schema->has_nulls) {
            memcpy(to, in->rows + sizeof(uint64_t) * row, sizeof(uint64_t));
        }
        for (uint32_t f = 0; f < schema->field_cnt; f++) {
            const struct weir_field *field = &schema->fields[f];
            memcpy(to + field->off, weir_view_at(in, field, row), field->bytes);
        }
        item->row = to;
    }
    for (uint32_t f = 0; f < schema->field_cnt; f++) {
        struct weir_str text;
        if (schema->fields[f].type == WEIR_TYPE_STR) {
            memcpy(&text, (const char *)item->row + schema->fields[f].off, sizeof text);
            item->heap_bytes += text.bytes > WEIR_STR_INLINE_BYTES ? text.bytes : 0;
        }
    }
}

/* Row i meets its list, from self->next on. WEIR_DONE; WEIR_AGAIN: the output is full; an error. */
static int
row_meet(struct self *self, const struct weir_view *in, uint32_t i,
    const struct weir_row_list *list, struct weir_out *out)
{
    struct join_base *base = &self->base;
    struct weir_row_item left;
    struct weir_row_item right;
    struct weir_join_pair like;
    memset(&like, 0, sizeof like);
    left_item(self, in, i, &left);
    like.time = left.time;
    if (list == NULL) {
        int taken = weir_join_add(base, &left, NULL, &like, out);
        return taken < 0 ? taken : taken == 0 ? (int)WEIR_AGAIN : (int)WEIR_DONE;
    }
    self->next = self->is_half ? self->next : weir_row_list_first(base->arena, list);
    self->is_half = true;
    while (self->next != 0) {
        weir_row_item_at(
            base->arena, base->schema[JOIN_RIGHT], self->next, base->scratch[JOIN_RIGHT], &right);
        int taken = weir_join_add(base, &left, &right, &like, out);
        if (taken <= 0) {
            return taken < 0 ? taken : WEIR_AGAIN;
        }
        self->next = weir_row_list_after(list, self->next, &right);
    }
    self->is_half = false;
    return WEIR_DONE;
}

/* The row's kind is that of all pairs with it. */
static void
set_kind(struct join_base *base, uint32_t kind, struct weir_out *out)
{
    if (kind != out->row_kind) {
        weir_join_flush(base, out);
        out->row_kind = kind;
    }
}

static int64_t
lookup_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    struct join_base *base = &self->base;
    bool is_outer = ((const struct weir_lookup_conf *)op->conf)->outer;
    (void)input;
    (void)now_ns;
    uint32_t at = cursor;
    int step = WEIR_DONE;
    while (at < in->cnt && step == WEIR_DONE) {
        uint32_t cnt = weir_min_u32(in->cnt - at, WEIR_KEYED_ROW_CNT_MAX);
        int loaded = weir_keyed_load(&base->keyed[JOIN_LEFT], in, at, cnt, &base->rows);
        if (loaded < 0) {
            return loaded;
        }
        base->rows.rows.cnt = (uint32_t)loaded;
        weir_table_find_rows(self->table, &base->rows.rows);
        uint32_t end = at + (uint32_t)loaded;
        for (uint32_t first = at; at < end && step == WEIR_DONE; at += step == WEIR_DONE) {
            const struct weir_row_list *list = base->rows.val[at - first];
            if (in->kind != NULL) {
                set_kind(base, weir_view_kind(in, weir_view_row(in, at)), out);
            }
            if (list != NULL || is_outer) {
                step = row_meet(self, in, at, list, out);
            }
        }
    }
    weir_join_flush(base, out);
    return step < 0 ? step : (int64_t)(at - cursor);
}

static int
lookup_close(struct weir_operator *op, bool clean)
{
    struct self *self = op->self;
    (void)clean;
    weir_keyed_rows_fini(&self->base.rows);
    free(self->slots);
    weir_lazy_unmap(self->mem, self->mem_bytes);
    return 0;
}

const struct weir_operator_type weir_lookup_type = {
    .name = "lookup",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = lookup_open,
    .process = lookup_process,
    .close = lookup_close,
    .changes = WEIR_CHANGES_PASSED,
};
