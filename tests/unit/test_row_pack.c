/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as one piece of bytes: equal rows have equal bytes in either layout, whatever lies in gaps,
 * under nulls and behind short texts; and they become rows of other schemas again. */
#include "dataplane/row_pack.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/out.h"
#include "tests/unit/test.h"

#define CAP 64
#define TEXT "a text that lies outside"

/* Bit f of mask says that field f is null. */
struct sparse {
    uint64_t mask;
    uint8_t flag;
    int32_t small;
    int64_t number;
    struct weir_str text;
    struct weir_str name;
};
static const struct weir_field sparse_fields[] = {
    {"flag", WEIR_TYPE_BOOL, 0, offsetof(struct sparse, flag), 1, false},
    {"small", WEIR_TYPE_I32, 0, offsetof(struct sparse, small), 4, true},
    {"number", WEIR_TYPE_I64, 0, offsetof(struct sparse, number), 8, true},
    {"text", WEIR_TYPE_STR, 0, offsetof(struct sparse, text), 16, true},
    {"name", WEIR_TYPE_STR, 0, offsetof(struct sparse, name), 16, false},
};
static const struct weir_schema sparse_schema = {
    "sparse", sparse_fields, 5, sizeof(struct sparse), -1, true};

/* Others of the fields, in another order. */
struct other {
    uint64_t mask;
    struct weir_str name;
    int64_t more;
    struct weir_str text;
    int64_t number;
};
static const struct weir_field other_fields[] = {
    {"name", WEIR_TYPE_STR, 0, offsetof(struct other, name), 16, true},
    {"more", WEIR_TYPE_I64, 0, offsetof(struct other, more), 8, false},
    {"text", WEIR_TYPE_STR, 0, offsetof(struct other, text), 16, true},
    {"number", WEIR_TYPE_I64, 0, offsetof(struct other, number), 8, true},
};
static const struct weir_schema other_schema = {
    "other", other_fields, 4, sizeof(struct other), -1, true};

static struct weir_view
view_of(const struct weir_schema *schema, void *rows, char *heap)
{
    return (struct weir_view){.schema = schema,
        .rows = rows,
        .stride = schema->row_bytes,
        .cnt = 1,
        .row_cnt = 1,
        .heap = heap};
}

/* A row whose gaps, and what lies under its nulls, are `fill`; its text stands `at` in the heap. */
static struct sparse
make(uint64_t mask, int fill, char *heap, size_t at)
{
    struct sparse row;
    memset(&row, fill, sizeof row);
    row.mask = mask;
    row.flag = 1;
    row.name = weir_str_inline("ab", 2);
    memcpy(heap + at, TEXT, sizeof TEXT);
    if ((mask & 2) == 0) {
        row.small = -5;
    }
    if ((mask & 4) == 0) {
        row.number = 77;
    }
    if ((mask & 8) == 0) {
        row.text = weir_str_ref(heap, heap + at, sizeof TEXT - 1);
    }
    return row;
}

static uint32_t
pack(const struct weir_view *view, uint32_t row, char *to)
{
    uint32_t bytes = 0;
    assert_int_equal(weir_row_pack(view, row, to, &bytes), 0);
    return bytes;
}

static void
t_equal_rows_have_equal_bytes(void **state)
{
    (void)state;
    static char a[WEIR_ROW_PACK_BYTES_MAX];
    static char b[WEIR_ROW_PACK_BYTES_MAX];
    static char columns[CAP * sizeof(struct sparse)];
    char heap[200];
    for (uint64_t mask = 0; mask < 16; mask += 2) {
        struct sparse one = make(mask, 0, heap, 0);
        struct sparse two = make(mask, 0xa5, heap, 100);
        struct weir_view view = view_of(&sparse_schema, &one, heap);
        uint32_t bytes = pack(&view, 0, a);
        view = view_of(&sparse_schema, &two, heap);
        assert_int_equal(pack(&view, 0, b), bytes);
        assert_memory_equal(a, b, bytes);
        assert_int_equal(bytes, sizeof one + ((mask & 8) == 0 ? sizeof TEXT - 1 : 0));
        memset(columns, 0x5a, sizeof columns);
        memcpy(columns + 8 * 3, &two.mask, 8);
        for (uint32_t f = 0; f < sparse_schema.field_cnt; f++) {
            const struct weir_field *field = &sparse_fields[f];
            memcpy(columns + (size_t)CAP * field->off + (size_t)field->bytes * 3,
                (char *)&two + field->off, field->bytes);
        }
        view.rows = columns;
        view.stride = 0;
        view.cap = CAP;
        assert_int_equal(pack(&view, 3, b), bytes);
        assert_memory_equal(a, b, bytes);
    }
}

static void
t_rows_that_differ_have_other_bytes(void **state)
{
    (void)state;
    static char a[WEIR_ROW_PACK_BYTES_MAX];
    static char b[WEIR_ROW_PACK_BYTES_MAX];
    char heap[200];
    struct sparse one = make(0, 0, heap, 0);
    struct weir_view view = view_of(&sparse_schema, &one, heap);
    uint32_t bytes = pack(&view, 0, a);
    for (uint64_t mask = 2; mask < 16; mask += 2) {
        struct sparse two = make(mask, 0, heap, 0);
        view = view_of(&sparse_schema, &two, heap);
        uint32_t other = pack(&view, 0, b);
        assert_true(other != bytes || memcmp(a, b, bytes) != 0);
    }
    heap[sizeof TEXT - 2] = 'X';
    view = view_of(&sparse_schema, &one, heap);
    assert_int_equal(pack(&view, 0, b), bytes);
    assert_memory_not_equal(a, b, bytes);
}

static void
t_row_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char to[WEIR_ROW_PACK_BYTES_MAX];
    static char heap[WEIR_ROW_PACK_BYTES_MAX];
    uint32_t room = WEIR_ROW_PACK_BYTES_MAX - sizeof(struct sparse);
    uint32_t bytes = 0;
    struct sparse row = {.name = weir_str_ref(heap, heap, room)};
    struct weir_view view = view_of(&sparse_schema, &row, heap);
    assert_int_equal(weir_row_pack(&view, 0, to, &bytes), 0);
    assert_int_equal(bytes, WEIR_ROW_PACK_BYTES_MAX);
    row.name = weir_str_ref(heap, heap, room + 1);
    assert_int_equal(weir_row_pack(&view, 0, to, &bytes), WEIR_EDATA);
    weir_err_clear();
}

static void
t_packed_rows_become_rows_of_other_schemas(void **state)
{
    (void)state;
    static char packed[WEIR_ROW_PACK_BYTES_MAX];
    static char buf[8192];
    char heap[200];
    struct weir_row_map map;
    assert_int_equal(weir_row_map_init(&map, &sparse_schema, &other_schema), 0);
    assert_int_equal(weir_row_map_rest(&map), 2); /* more */
    const struct weir_out_shape shape = {
        .schema = &other_schema, .has_kind = true, .buf_bytes = sizeof buf, .batch_rows = 8};
    for (uint64_t mask = 0; mask < 16; mask += 2) {
        struct sparse row = make(mask, 0, heap, 0);
        struct weir_view view = view_of(&sparse_schema, &row, heap);
        struct weir_out out = {.base = buf, .buf_bytes = sizeof buf, .heap_end = sizeof buf};
        weir_out_init(&out, &shape);
        struct weir_row_packed from = {packed, pack(&view, 0, packed), 0};
        bool has_text = (mask & 8) == 0;
        assert_int_equal(weir_row_packed_text_bytes(&map, &from), has_text ? sizeof TEXT - 1 : 0);
        struct other *made =
            (struct other *)(void *)weir_row_map_emit(&map, &from, WEIR_ROW_DELETE, &out);
        assert_int_equal(made->mask, (has_text ? 0 : 4) | ((mask & 4) != 0 ? 8 : 0));
        assert_int_equal(made->number, (mask & 4) == 0 ? 77 : 0);
        assert_int_equal(made->more, 0);
        struct weir_slice text = weir_str_slice(&made->text, out.view.heap);
        assert_int_equal(text.bytes, has_text ? sizeof TEXT - 1 : 0);
        assert_memory_equal(text.ptr, TEXT, text.bytes);
        text = weir_str_slice(&made->name, out.view.heap);
        assert_int_equal(text.bytes, 2);
        assert_memory_equal(text.ptr, "ab", 2);
        assert_int_equal(weir_view_kind(&out.view, 0), WEIR_ROW_DELETE);
    }
}

/* No mask, no gaps: such a row is copied as it lies. */
#define DENSE(F) F(i64, number) F(str, text) F(str, name) F(str, more)
WEIR_SCHEMA(dense, DENSE)

static void
t_rows_made_of_one_row_share_its_texts(void **state)
{
    (void)state;
    static char packed[WEIR_ROW_PACK_BYTES_MAX];
    static char of_columns[WEIR_ROW_PACK_BYTES_MAX];
    static char columns[CAP * sizeof(struct dense)];
    static char buf[8192];
    char heap[] = TEXT TEXT;
    const uint32_t bytes = sizeof TEXT - 1;
    struct dense row = {.number = 7,
        .text = weir_str_ref(heap, heap + bytes, bytes),
        .name = weir_str_inline("ab", 2),
        .more = weir_str_ref(heap, heap + 1, bytes)};
    memset(row.name.head + 2, 'x', 2); /* not of the text */
    struct weir_view view = view_of(dense_schema(), &row, heap);
    struct weir_row_packed from = {packed, pack(&view, 0, packed), 0};
    assert_int_equal(from.bytes, sizeof row + 2 * bytes);
    dense_store(columns, CAP, 3, &row);
    view.rows = columns;
    view.stride = 0;
    view.cap = CAP;
    assert_int_equal(pack(&view, 3, of_columns), from.bytes);
    assert_memory_equal(packed, of_columns, from.bytes);

    struct weir_row_map map;
    assert_int_equal(weir_row_map_init(&map, dense_schema(), dense_schema()), 0);
    const struct weir_out_shape shape = {
        .schema = dense_schema(), .buf_bytes = sizeof buf, .batch_rows = 8};
    struct weir_out out = {.base = buf, .buf_bytes = sizeof buf, .heap_end = sizeof buf};
    weir_out_init(&out, &shape);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weir_row_packed_text_bytes(&map, &from), i == 0 ? 2 * bytes : 0);
        const struct dense *made =
            (const void *)weir_row_map_emit(&map, &from, WEIR_ROW_INSERT, &out);
        assert_int_equal(out.heap_end, sizeof buf - 2 * bytes);
        assert_int_equal(made->number, 7);
        assert_memory_equal(weir_str_slice(&made->text, out.view.heap).ptr, TEXT, bytes);
        assert_memory_equal(weir_str_slice(&made->more, out.view.heap).ptr, heap + 1, bytes);
        assert_memory_equal(weir_str_slice(&made->name, out.view.heap).ptr, "ab", 2);
    }
}

static void
t_fields_of_another_type_are_refused(void **state)
{
    (void)state;
    struct weir_field fields[4];
    struct weir_schema schema = other_schema;
    struct weir_row_map map;
    schema.fields = fields;
    memcpy(fields, other_fields, sizeof fields);
    fields[3].type = WEIR_TYPE_F64;
    assert_int_equal(weir_row_map_init(&map, &sparse_schema, &schema), WEIR_EGRAPH);
    memcpy(fields, other_fields, sizeof fields);
    fields[2].nullable = false; /* what may be null has no place there */
    assert_int_equal(weir_row_map_init(&map, &sparse_schema, &schema), WEIR_EGRAPH);
    weir_err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_equal_rows_have_equal_bytes),
        cmocka_unit_test(t_rows_that_differ_have_other_bytes),
        cmocka_unit_test(t_row_that_is_too_long_is_refused),
        cmocka_unit_test(t_packed_rows_become_rows_of_other_schemas),
        cmocka_unit_test(t_rows_made_of_one_row_share_its_texts),
        cmocka_unit_test(t_fields_of_another_type_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
