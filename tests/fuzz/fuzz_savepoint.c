/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of a savepoint from any bytes: as they are, and with the checksums of all records that
 * can be told mended, so that what is behind them is reached. What is accepted is loaded into the
 * states of two operators that have other fields. */
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "dataplane/row_list.h"
#include "dataplane/savepoint.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES (4 * WEIR_MIB)
#define GROUP_CNT 16

struct entry {
    struct weir_row_list rows;
    int64_t small;
    double real;
};
#define ROW(F) F(i64, id) F(str, text) F(i64, small)
WEIR_SCHEMA(row, ROW)

static int
value_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    (void)op;
    weir_state_put_field(fields, "small", WEIR_TYPE_I64, offsetof(struct entry, small));
    weir_state_put_field(fields, "real", WEIR_TYPE_F64, offsetof(struct entry, real));
    fields->val_bytes = sizeof(struct entry);
    return 0;
}

static int
lists_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    struct weir_state_field *list = &fields->field[fields->field_cnt++];
    list->field = (struct weir_field){.name = "rows", .type = WEIR_STATE_LIST};
    list->items = row_schema();
    list->word[0] = "@time";
    (void)op;
    fields->val_bytes = sizeof(struct entry);
    return 0;
}

static int
lists_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    (void)op;
    return weir_row_list_next(walk, row_schema(), walk->val, ret_row);
}

static int
lists_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *row)
{
    (void)op;
    return weir_row_list_put(add, row_schema(), 0, row);
}

static int
timers_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    (void)op;
    fields->is_timers = true;
    return 0;
}

static const struct weir_state_values values = {.describe = value_describe};
static const struct weir_state_values lists = {
    .describe = lists_describe, .next = lists_next, .add = lists_add};
static const struct weir_state_values timers = {.describe = timers_describe};
static const struct weir_state_desc states[] = {{"value", NULL, &values}, {"wide", NULL, NULL},
    {"text", NULL, NULL}, {"lists", NULL, &lists}, {"timers", NULL, &timers}};

struct taker {
    struct weir_arena arena;
    struct weir_operator op[2];
    struct weir_operator *ops[2];
    struct weir_savepoint_load *load;
    uint64_t row_cnt;
};

static int
begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct taker *taker = arg;
    const uint32_t max[2] = {GROUP_CNT, GROUP_CNT};
    const struct weir_savepoint_ops ops = {taker->ops, max, 2, true};
    uint32_t dropped;
    for (uint32_t i = 0; i < savepoint->operator_cnt; i++) {
        struct weir_parts_reader *readers;
        uint32_t cnt;
        int err = weir_savepoint_parts(savepoint, savepoint->operators[i].uid, &readers, &cnt);
        if (err < 0) {
            return err;
        }
        free(readers);
    }
    int err = weir_savepoint_check(savepoint, &ops, &dropped);
    return err < 0 ? err : weir_savepoint_load_open(savepoint, &taker->arena, &ops, &taker->load);
}

static int
row_take(void *arg, const struct weir_savepoint_row *row)
{
    struct taker *taker = arg;
    taker->row_cnt++;
    return weir_savepoint_load_row(taker->load, row);
}

/* What was loaded is written again: all of it can be read. */
static void
write_again(struct taker *taker)
{
    struct weir_savepoint_source *source;
    struct weir_savepoint_task task = {.arena = &taker->arena, .ops = taker->ops, .op_cnt = 2};
    const struct weir_savepoint_spec spec = {.job = "fuzz", .tasks = &task, .task_cnt = 1};
    if (weir_savepoint_source_open(&spec, &source) < 0) {
        weir_err_clear();
        return;
    }
    static char buf[65536];
    int64_t got;
    do {
        got = weir_savepoint_fill(source, buf, sizeof buf);
    } while (got > 0 || got == WEIR_SNAPSHOT_BUSY);
    if (got < 0) {
        abort();
    }
    weir_savepoint_source_close(source);
}

static void
read_all(const char *data, size_t bytes)
{
    static char *mem;
    struct taker taker = {.row_cnt = 0};
    const struct weir_operator_type type = {
        .name = "fuzz", .states = states, .state_cnt = WEIR_ARRAY_CNT(states)};
    const struct weir_arena_spec arena = {
        .name = "fuzz", .max_parallelism = GROUP_CNT, .groups = {2, 9}, .table_cnt_max = 64};
    const struct weir_savepoint_events events = {begin, row_take, &taker};
    struct weir_savepoint_reader *reader;
    mem = mem != NULL ? mem : aligned_alloc(4096, ARENA_BYTES);
    if (mem == NULL) {
        abort();
    }
    memset(mem, 0, ARENA_BYTES);
    if (weir_arena_init(&taker.arena, &arena, mem, ARENA_BYTES) != 0 ||
        weir_savepoint_reader_open(&events, &reader) != 0) {
        abort();
    }
    for (uint32_t i = 0; i < 2; i++) {
        taker.op[i] = (struct weir_operator){.type = &type, .uid = i == 0 ? "first-1" : "second-2"};
        taker.ops[i] = &taker.op[i];
    }
    size_t half = bytes / 2;
    int err = weir_savepoint_take(reader, data, half, 0);
    err = err < 0 ? err : weir_savepoint_take(reader, data + half, bytes - half, half);
    err = err < 0 ? err : weir_savepoint_reader_end(reader);
    weir_savepoint_load_close(taker.load);
    weir_err_clear();
    if (err == 0) {
        write_again(&taker);
    }
    weir_savepoint_reader_close(reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *sealed = malloc(bytes + 1);
    if (sealed == NULL) {
        return 0;
    }
    memcpy(sealed, data, bytes);
    read_all(sealed, bytes);
    for (size_t at = 0; bytes - at >= WEIR_SAVEPOINT_HEAD_BYTES;) {
        uint32_t body;
        uint32_t crc = 0;
        memcpy(&body, sealed + at, sizeof body);
        if (body > bytes - at - WEIR_SAVEPOINT_HEAD_BYTES) {
            break;
        }
        memcpy(sealed + at + 8, &crc, sizeof crc);
        crc = weir_crc32c(0, sealed + at, WEIR_SAVEPOINT_HEAD_BYTES + body);
        memcpy(sealed + at + 8, &crc, sizeof crc);
        at += WEIR_SAVEPOINT_HEAD_BYTES + body;
    }
    read_all(sealed, bytes);
    free(sealed);
    return 0;
}
