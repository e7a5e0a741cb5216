/* SPDX-License-Identifier: Apache-2.0 */
/* Rows under way, as bytes: what is written is read back, row for row, from any layout; whatever is
 * damaged is refused; and the bytes of version 1 stay what they are. */
#include "dataplane/flight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define WAYFARER(F) F(i64, n) F(str, text)
WEIR_SCHEMA(wayfarer, WAYFARER)
#define OTHER(F) F(i64, m) F(str, text)
WEIR_SCHEMA(other, OTHER)

#define BUF_BYTES 16384
#define ROW_CNT 3

static const char *const texts[ROW_CNT] = {"short", "one that is longer than twelve", ""};
static const struct weir_flight_place taken = {
    .uid = "window", .edge = 1, .subtask = 2, .channel = 3, .channel_id = 44};
static const struct weir_flight_place kept = {.uid = "window",
    .edge = 1,
    .subtask = 2,
    .channel = 3,
    .channel_id = 44,
    .side = WEIR_FLIGHT_KEPT};

struct rig {
    struct wayfarer rows[ROW_CNT];
    char heap[256];
    int64_t times[ROW_CNT];
    uint64_t kinds[ROW_CNT];
    struct weir_view view;
    struct weir_channel_format format;
    _Alignas(8) char buf[BUF_BYTES];
    size_t bytes;
};

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    memset(rig->buf, 0xa5, sizeof rig->buf);
    uint64_t off = 8;
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        uint32_t bytes = (uint32_t)strlen(texts[i]);
        memcpy(rig->heap + off, texts[i], bytes);
        rig->rows[i].n = 100 + i;
        rig->rows[i].text = weir_str_ref(rig->heap, rig->heap + off, bytes);
        off += bytes;
        rig->times[i] = 1000 + i;
        rig->kinds[i] = i % 2 == 0 ? WEIR_ROW_INSERT : WEIR_ROW_DELETE;
    }
    weir_channel_format_init(&rig->format, wayfarer_schema(), true, true);
    rig->view = (struct weir_view){.schema = wayfarer_schema(),
        .rows = (char *)rig->rows,
        .stride = sizeof rig->rows[0],
        .cnt = ROW_CNT,
        .row_cnt = ROW_CNT,
        .time = (const char *)rig->times,
        .time_stride = sizeof rig->times[0],
        .kind = (const char *)rig->kinds,
        .kind_stride = sizeof rig->kinds[0],
        .heap = rig->heap,
        .watermark = 77,
        .intended_ns = 5};
}

static void
put_rows(struct weir_flight_writer *writer, const struct weir_flight_place *place,
    const struct weir_channel_format *format, const struct weir_view *view, uint32_t cnt)
{
    const struct weir_flight_run run = {format, view, view->cnt - cnt, cnt};
    weir_flight_rows(writer, place, &run);
}

static void
write_some(struct rig *rig)
{
    struct weir_flight_writer writer;
    weir_flight_begin(&writer, rig->buf, sizeof rig->buf);
    put_rows(&writer, &taken, &rig->format, &rig->view, ROW_CNT);
    weir_flight_event(&writer, &taken, WEIR_SLOT_WATERMARK, 78);
    weir_flight_event(&writer, &taken, WEIR_SLOT_CANCEL, 9); /* of no use */
    weir_flight_event(&writer, &kept, WEIR_SLOT_IDLE, 0);
    put_rows(&writer, &kept, &rig->format, &rig->view, 2);
    assert_int_equal(weir_flight_finish(&writer, &rig->bytes), 0);
    assert_int_equal(rig->bytes % 8, 0);
}

static void
assert_row(const struct weir_view *view, uint32_t at, uint32_t i)
{
    const struct wayfarer *row =
        (const struct wayfarer *)(const void *)(view->rows + (size_t)view->stride * at);
    const struct weir_slice text = weir_str_slice(&row->text, view->heap);
    assert_int_equal(row->n, 100 + i);
    assert_int_equal(text.bytes, strlen(texts[i]));
    assert_memory_equal(text.ptr, texts[i], text.bytes);
    assert_int_equal(weir_view_time(view, at), 1000 + i);
    assert_int_equal(weir_view_kind(view, at), i % 2 == 0 ? WEIR_ROW_INSERT : WEIR_ROW_DELETE);
}

static void
t_what_is_written_is_read(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_view view;
    size_t offset = 0;
    rig_open(&rig);
    write_some(&rig);
    assert_int_equal(weir_flight_check(rig.buf, rig.bytes), 0);
    const struct weir_flight_entry *entry = weir_flight_next(rig.buf, rig.bytes, &offset);
    assert_int_equal(entry->kind, WEIR_SLOT_BATCH);
    assert_true(weir_flight_is_of(entry, "window") && !weir_flight_is_of(entry, "windows"));
    assert_int_equal(entry->edge, 1);
    assert_int_equal(entry->subtask, 2);
    assert_int_equal(entry->channel, 3);
    assert_int_equal(entry->channel_id, 44);
    assert_int_equal(weir_flight_view(entry, wayfarer_schema(), &view), 0);
    assert_int_equal(view.cnt, ROW_CNT);
    assert_int_equal(view.watermark, 77);
    assert_int_equal(view.intended_ns, 5);
    for (uint32_t i = 0; i < ROW_CNT; i++) {
        assert_row(&view, i, i);
    }
    entry = weir_flight_next(rig.buf, rig.bytes, &offset);
    assert_int_equal(entry->kind, WEIR_SLOT_WATERMARK);
    assert_int_equal(entry->watermark, 78);
    entry = weir_flight_next(rig.buf, rig.bytes, &offset);
    assert_int_equal(entry->kind, WEIR_SLOT_IDLE);
    assert_int_equal(entry->side, WEIR_FLIGHT_KEPT);
    entry = weir_flight_next(rig.buf, rig.bytes, &offset);
    assert_int_equal(weir_flight_view(entry, wayfarer_schema(), &view), 0);
    assert_int_equal(view.cnt, 2);
    assert_row(&view, 0, 1);
    assert_row(&view, 1, 2);
    assert_null(weir_flight_next(rig.buf, rig.bytes, &offset));
    assert_int_equal(weir_flight_view(entry, other_schema(), &view), WEIR_EDATA);
    weir_err_clear();
}

/* Rows that a selection names, from columns, more than one run of them. */
static void
t_rows_of_columns_and_selections(void **state)
{
    (void)state;
    enum { CNT = 1300 };
    static struct rig rig;
    static int64_t columns[2 * CNT * 3];
    static uint16_t sel[CNT];
    rig_open(&rig);
    struct weir_channel_format format;
    weir_channel_format_init(&format, wayfarer_schema(), false, false);
    const struct weir_field *fields = wayfarer_schema()->fields;
    struct weir_view view = {.schema = wayfarer_schema(),
        .rows = (char *)columns,
        .cap = 2 * CNT,
        .cnt = CNT,
        .row_cnt = 2 * CNT,
        .sel = sel,
        .heap = rig.heap};
    for (uint32_t i = 0; i < 2 * CNT; i++) {
        int64_t n = i;
        const struct weir_str text = weir_str_inline("abc", 3);
        memcpy(weir_view_at(&view, &fields[0], i), &n, sizeof n);
        memcpy(weir_view_at(&view, &fields[1], i), &text, sizeof text);
    }
    for (uint32_t i = 0; i < CNT; i++) {
        sel[i] = (uint16_t)(2 * i + 1);
    }
    size_t cap = 65536;
    char *buf = aligned_alloc(64, cap);
    struct weir_flight_writer writer;
    size_t bytes;
    assert_non_null(buf);
    weir_flight_begin(&writer, buf, cap);
    put_rows(&writer, &taken, &format, &view, CNT - 10);
    assert_int_equal(weir_flight_finish(&writer, &bytes), 0);
    assert_int_equal(weir_flight_check(buf, bytes), 0);
    size_t offset = 0;
    struct weir_view got;
    assert_int_equal(
        weir_flight_view(weir_flight_next(buf, bytes, &offset), wayfarer_schema(), &got), 0);
    assert_int_equal(got.cnt, CNT - 10);
    for (uint32_t i = 0; i < got.cnt; i++) {
        int64_t n;
        memcpy(&n, weir_view_at(&got, &fields[0], i), sizeof n);
        assert_int_equal(n, 2 * (i + 10) + 1);
    }
    free(buf);
}

/* The first that does not fit makes the section worthless, whatever is smaller behind it. */
static void
t_T067_what_does_not_fit_is_told_at_the_end(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_flight_writer writer;
    size_t bytes = 1;
    rig_open(&rig);
    weir_flight_begin(&writer, rig.buf, 160);
    put_rows(&writer, &taken, &rig.format, &rig.view, ROW_CNT);
    weir_flight_event(&writer, &taken, WEIR_SLOT_WATERMARK, 1);
    assert_int_equal(weir_flight_finish(&writer, &bytes), WEIR_EBUDGET);
    assert_int_equal(bytes, 1);
    for (size_t i = 160; i < sizeof rig.buf; i++) {
        assert_int_equal((uint8_t)rig.buf[i], 0xa5);
    }
    weir_err_clear();
}

static void
t_damage_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    write_some(&rig);
    static const struct {
        size_t at;
        uint32_t value;
        int err;
    } damages[] = {
        {0, 0, WEIR_EFORMAT}, {8, 2, WEIR_EFORMAT}, {12, 1, WEIR_EDATA},
        {16, 8, WEIR_EDATA}, /* bytes in all */
        {24, 8, WEIR_EDATA}, /* of the entry: too few */
        {24, UINT32_MAX - 7, WEIR_EDATA}, {28, 99, WEIR_EDATA}, /* kind */
        {44, 2, WEIR_EDATA}, /* side */
        {52, 0, WEIR_EDATA}, /* uid */
        {52, UINT32_MAX, WEIR_EDATA}, {56, 0, WEIR_EDATA}, /* rows */
        {56, WEIR_BATCH_ROW_CNT_MAX + 1, WEIR_EDATA}, {60, 4, WEIR_EDATA}, /* bytes of a row */
        {64, UINT32_MAX, WEIR_EDATA}, /* of the texts */
    };
    for (size_t i = 0; i < WEIR_ARRAY_CNT(damages); i++) {
        uint32_t old;
        memcpy(&old, rig.buf + damages[i].at, sizeof old);
        memcpy(rig.buf + damages[i].at, &damages[i].value, sizeof old);
        if (weir_flight_check(rig.buf, rig.bytes) != damages[i].err) {
            fail_msg("byte %zu", damages[i].at);
        }
        weir_err_clear();
        memcpy(rig.buf + damages[i].at, &old, sizeof old);
    }
    assert_int_equal(weir_flight_check(rig.buf, rig.bytes), 0);
    assert_int_equal(weir_flight_check(rig.buf, rig.bytes - 8), WEIR_EDATA);
    assert_int_equal(weir_flight_check(rig.buf, 8), WEIR_EFORMAT);
    weir_err_clear();
}

/* A text that is not there is found when the rows are looked at: their schema is not known
 * before. */
static void
t_a_text_behind_the_entry_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_view view;
    size_t offset = 0;
    rig_open(&rig);
    write_some(&rig);
    const struct weir_flight_entry *entry = weir_flight_next(rig.buf, rig.bytes, &offset);
    char *text = rig.buf + WEIR_FLIGHT_HEAD_BYTES + sizeof *entry + 8 + rig.format.row_bytes +
                 wayfarer_schema()->fields[1].off;
    uint64_t off = 1;
    memcpy(text + 8, &off, sizeof off);
    assert_int_equal(weir_flight_view(entry, wayfarer_schema(), &view), WEIR_EDATA);
    weir_err_clear();
}

/* What version 1 looks like; it may not change without the version. WEIR_WRITE_GOLDEN writes the
 * file, which is the fuzz target's corpus too. */
static void
t_the_golden_file_of_version_1(void **state)
{
    (void)state;
    static const char path[] = WEIR_TEST_DATA "/../fuzz/corpus/flight/v1.bin";
    static char golden[BUF_BYTES];
    struct rig rig;
    rig_open(&rig);
    write_some(&rig);
    if (getenv("WEIR_WRITE_GOLDEN") != NULL) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(rig.buf, 1, rig.bytes, out), rig.bytes);
        assert_int_equal(fclose(out), 0);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(golden, 1, sizeof golden, file);
    (void)fclose(file);
    assert_int_equal(bytes, rig.bytes);
    assert_memory_equal(golden, rig.buf, bytes);
    assert_int_equal(weir_flight_check(golden, bytes), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_is_written_is_read),
        cmocka_unit_test(t_rows_of_columns_and_selections),
        cmocka_unit_test(t_T067_what_does_not_fit_is_told_at_the_end),
        cmocka_unit_test(t_damage_is_refused),
        cmocka_unit_test(t_a_text_behind_the_entry_is_refused),
        cmocka_unit_test(t_the_golden_file_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
