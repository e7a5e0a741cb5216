/* SPDX-License-Identifier: Apache-2.0 */
/* Counts rows and sums their hashes: the end of a benchmark that may not be optimised away.
 *
 *     (1, "a"), (2, "b")   ->   rows 2, checksum independent of their order
 *
 * A row that a change takes back counts against them: of a stream of changes the sums are those of
 * the table that is left.
 *
 * State: the two sums. Watermarks: swallowed. The work goes field by field over the batch, so that
 * each loop is over one type; fixed-size blocks keep the row sums in the first-level cache.
 */
#include "dataplane/operators/discard.h"

#include "dataplane/row_hash.h"
#include "dataplane/state.h"

#define BLOCK_ROWS 256

struct self {
    struct weir_discard_result sum;
    bool in_turns; /* texts inside and outside of rows, in the last block */
};

/* Rows that are added up together. */
struct block {
    const struct weir_view *in;
    uint64_t *sum; /* [cnt] */
    const uint32_t *rows; /* [cnt] */
    uint32_t cnt;
    bool in_turns; /* as in struct self */
};

static void
add_8(uint64_t *sum, uint64_t mul, struct weir_lane lane, const uint32_t *rows, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t value;
        memcpy(&value, lane.ptr + (size_t)lane.stride * rows[i], sizeof value);
        sum[i] += value * mul;
    }
}

static void
add_column(uint64_t *sum, uint64_t mul, const uint64_t *column, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        sum[i] += column[i] * mul;
    }
}

static void
add_4(uint64_t *sum, uint64_t mul, struct weir_lane lane, const uint32_t *rows, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        int32_t value;
        memcpy(&value, lane.ptr + (size_t)lane.stride * rows[i], sizeof value);
        sum[i] += (uint64_t)(int64_t)value * mul;
    }
}

/* Returns how many lie outside of their rows. in_turns: such and others come in no order that a
 * jump could learn; where they do, a jump lets the texts be asked for before the rows are here. */
static inline __attribute__((always_inline)) uint32_t
add_texts(const struct block *block, uint64_t mul, struct weir_lane lane, bool in_turns)
{
    const char *heap = block->in->heap;
    uint32_t far_cnt = 0;
    for (uint32_t i = 0; i < block->cnt; i++) {
        const char *at = lane.ptr + (size_t)lane.stride * block->rows[i];
        const struct weir_str *str = (const struct weir_str *)(const void *)at;
        bool is_far = str->bytes > WEIR_STR_INLINE_BYTES;
        uintptr_t far = (uintptr_t)heap + str->u.off;
        const char *text = in_turns ? (const char *)weir_select(is_far, far, (uintptr_t)str->head)
                                    : weir_str_slice(str, heap).ptr;
        uint64_t hash = WEIR_LIKELY(str->bytes - 4 <= 12) ? weir_row_text_4_16(text, str->bytes)
                                                          : weir_row_text(text, str->bytes);
        block->sum[i] += hash * mul;
        far_cnt += is_far;
    }
    return far_cnt;
}

static void
add_str(struct block *block, uint64_t mul, struct weir_lane lane)
{
    uint32_t far_cnt =
        block->in_turns ? add_texts(block, mul, lane, true) : add_texts(block, mul, lane, false);
    block->in_turns = far_cnt > block->cnt / 8 && far_cnt < block->cnt / 8 * 7;
}

static void
add_bool(uint64_t *sum, uint64_t mul, struct weir_lane lane, const uint32_t *rows, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        sum[i] += (uint64_t)(uint8_t)lane.ptr[(size_t)lane.stride * rows[i]] * mul;
    }
}

static void
add_field(struct block *block, uint32_t idx)
{
    const struct weir_view *in = block->in;
    const uint32_t *rows = block->rows;
    const struct weir_field *field = &in->schema->fields[idx];
    struct weir_lane lane = weir_view_lane(in, field->off, field->bytes);
    uint64_t mul = weir_row_mul(idx);
    if (field->type == WEIR_TYPE_STR) {
        add_str(block, mul, lane);
    } else if (field->type == WEIR_TYPE_BOOL) {
        add_bool(block->sum, mul, lane, rows, block->cnt);
    } else if (field->bytes == 4) {
        add_4(block->sum, mul, lane, rows, block->cnt);
    } else if (lane.stride == 8 && in->sel == NULL) {
        const uint64_t *column = (const uint64_t *)(const void *)lane.ptr;
        add_column(block->sum, mul, column + rows[0], block->cnt);
    } else {
        add_8(block->sum, mul, lane, rows, block->cnt);
    }
}

/* A null counts as a value of its own: take back what its bytes added. */
static void
mend_nulls(const struct block *block)
{
    struct weir_lane mask_lane = weir_view_lane(block->in, 0, 8);
    for (uint32_t i = 0; i < block->cnt; i++) {
        uint64_t mask;
        memcpy(&mask, mask_lane.ptr + (size_t)mask_lane.stride * block->rows[i], sizeof mask);
        for (; mask != 0; mask &= mask - 1) {
            uint32_t idx = (uint32_t)__builtin_ctzll(mask);
            uint64_t was = 0;
            struct block one = {block->in, &was, &block->rows[i], 1, false};
            add_field(&one, idx);
            block->sum[i] += WEIR_ROW_NULL * weir_row_mul(idx) - was;
        }
    }
}

/* What a change takes away was added when it came: the sums are those of the table that is left. */
static void
take_back(struct self *self, const struct block *block)
{
    for (uint32_t i = 0; i < block->cnt; i++) {
        uint32_t kind = weir_view_kind(block->in, block->rows[i]);
        if (weir_row_kind_retracts(kind)) {
            self->sum.rows -= 2; /* it is counted as a row, too */
            self->sum.checksum -= 2 * weir_row_finish(block->sum[i]);
        }
    }
}

static int64_t
discard_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct self *self = op->self;
    (void)input;
    (void)out;
    (void)now_ns;
    uint64_t checksum = 0;
    for (uint32_t from = cursor; from < in->cnt; from += BLOCK_ROWS) {
        uint64_t sum[BLOCK_ROWS];
        uint32_t rows[BLOCK_ROWS];
        struct block block = {
            in, sum, rows, weir_min_u32(BLOCK_ROWS, in->cnt - from), self->in_turns};
        for (uint32_t i = 0; i < block.cnt; i++) {
            sum[i] = 0;
            rows[i] = weir_view_row(in, from + i);
        }
        for (uint32_t f = 0; f < in->schema->field_cnt; f++) {
            add_field(&block, f);
        }
        if (in->schema->has_nulls) {
            mend_nulls(&block);
        }
        for (uint32_t i = 0; i < block.cnt; i++) {
            checksum += weir_row_finish(sum[i]);
        }
        if (in->kind != NULL) {
            take_back(self, &block);
        }
        self->in_turns = block.in_turns;
    }
    self->sum.rows += in->cnt - cursor;
    self->sum.checksum += checksum;
    return in->cnt - cursor;
}

static int
discard_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    const struct self *self = op->self;
    const struct weir_discard_conf *conf = op->conf;
    (void)out;
    (void)now_ns;
    if (conf != NULL && conf->results != NULL) {
        conf->results[op->env->subtask_idx] = self->sum;
    }
    return WEIR_DONE;
}

/* ---- checkpoints: the sums are an item of a list, and are added up by who gets it ---- */

#define VERSION 1

static int
discard_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct self *self = op->self;
    (void)id;
    weir_state_list_begin(parts, "sums", VERSION, 1);
    weir_state_item(parts, 2 * sizeof(uint64_t));
    weir_parts_put_u64(parts, self->sum.rows);
    weir_parts_put_u64(parts, self->sum.checksum);
    weir_state_list_end(parts);
    return 0;
}

static int
discard_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct self *self = op->self;
    struct weir_state_list list;
    struct weir_part item;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = "sums";
    list.version_max = VERSION;
    while ((got = weir_state_list_next(&list, &item)) > 0) {
        uint64_t rows = 0;
        uint64_t checksum = 0;
        int err = weir_part_get_u64(&item, &rows);
        err = err < 0 ? err : weir_part_get_u64(&item, &checksum);
        err = err < 0 ? err : weir_part_end(&item);
        if (err < 0) {
            return err;
        }
        self->sum.rows += rows;
        self->sum.checksum += checksum;
    }
    return got;
}

static const struct weir_state_part state_parts[] = {{"sums", WEIR_STATE_PART_BAG, 0}};

const struct weir_operator_type weir_discard_type = {
    .name = "discard",
    .self_bytes = sizeof(struct self),
    .input_cnt = 1,
    .process = discard_process,
    .finish = discard_finish,
    .snapshot = discard_snapshot,
    .restore = discard_restore,
    .parts = state_parts,
    .part_cnt = WEIR_ARRAY_CNT(state_parts),
    .changes = WEIR_CHANGES_TAKEN,
};
