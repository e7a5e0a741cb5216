/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and filters of the column layout write what they are to write, whatever the compiler makes
 * of their loops. */
#include <string.h>

#include "dataplane/function.h"
#include "tests/unit/test.h"

#define CELL(F) F(i64, key) F(i64, value) F(i64, tag) F(time, at) F(str, text)
WEIR_SCHEMA(cell, CELL)

#define CAP 512
#define ROW_CNT 300

/* A copy of the row, and one field anew: what gcc 12 took for a function without effects. */
WEIR_MAP(rekeyed, cell, cell)
{
    *out = *in;
    out->key = (int64_t)((uint64_t)(in->key * 31 + in->value) % 61);
}

WEIR_MAP(by_field, cell, cell)
{
    out->key = in->key;
    out->value = in->value * 3;
    out->tag = in->tag;
    out->at = in->at;
    out->text = in->text;
}

WEIR_FILTER(odd, cell)
{
    return in->value % 2 != 0;
}

static char from[CAP * sizeof(struct cell)];
static char to[CAP * sizeof(struct cell)];

static struct weir_view
columns(void)
{
    for (size_t i = 0; i < ROW_CNT; i++) {
        const struct cell row = {.key = (int64_t)i + 1,
            .value = (int64_t)i * 3 + 7,
            .at = (int64_t)i,
            .text = weir_str_inline("abc", 3)};
        cell_store(from, CAP, i, &row);
    }
    return (struct weir_view){.schema = cell_schema(),
        .rows = from,
        .cap = CAP,
        .cnt = ROW_CNT,
        .row_cnt = ROW_CNT,
        .heap = from};
}

static struct weir_out
run(const struct weir_function *function, uint16_t *sel)
{
    struct weir_view view = columns();
    struct weir_operator op = {.type = &function->type};
    struct weir_out out = {
        .view = {.schema = cell_schema(), .rows = to, .cap = CAP}, .row_cap = CAP, .sel_buf = sel};
    memset(to, 0, sizeof to);
    assert_int_equal(function->type.process(&op, 0, &view, 0, &out, 0), ROW_CNT);
    return out;
}

static void
t_map_writes_its_columns(void **state)
{
    (void)state;
    struct weir_out out = run(&rekeyed_op, NULL);
    assert_int_equal(out.view.cnt, ROW_CNT);
    for (size_t i = 0; i < ROW_CNT; i++) {
        struct cell row;
        cell_load(to, CAP, i, &row);
        assert_int_equal(row.key, (int64_t)(((i + 1) * 31 + i * 3 + 7) % 61));
        assert_int_equal(row.value, (int64_t)i * 3 + 7);
        assert_int_equal(row.text.bytes, 3);
    }
    out = run(&by_field_op, NULL);
    for (size_t i = 0; i < out.view.cnt; i++) {
        struct cell row;
        cell_load(to, CAP, i, &row);
        assert_int_equal(row.value, ((int64_t)i * 3 + 7) * 3);
        assert_int_equal(row.at, (int64_t)i);
    }
}

static void
t_filter_reads_its_columns(void **state)
{
    (void)state;
    uint16_t sel[CAP];
    struct weir_out out = run(&odd_op, sel);
    assert_int_equal(out.view.cnt, ROW_CNT / 2);
    for (uint32_t i = 0; i < out.view.cnt; i++) {
        assert_int_equal(sel[i], 2 * i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_map_writes_its_columns),
        cmocka_unit_test(t_filter_reads_its_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
