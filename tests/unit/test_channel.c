/* SPDX-License-Identifier: Apache-2.0 */
/* SCENARIOS T.15 on the objects that a job links: an open slice is Flink's unfinished buffer, a
 * published descriptor its finished one, and a doorbell (here: the dirty mark) its notification. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/gate.h"
#include "dataplane/partition.h"
#include "tests/unit/buffers.h"

#define ITEM(F) F(i64, key) F(str, text) F(time, at)
WEIR_SCHEMA(item, ITEM)

#define SLOT_CNT 16
#define BUF_BYTES 4096

/* One channel with both ends, and what it stands on. */
struct rig {
    struct buffers mem;
    struct weir_channel_format format;
    struct weir_channel_out out;
    struct weir_channel_in in;
    struct weir_gate gate;
    char valve[256];
    /* rows to send */
    struct item rows[512];
    uint16_t idx[512];
    struct weir_view view;
};

static struct rig *
rig_open(uint32_t buf_cnt)
{
    struct rig *rig = calloc(1, sizeof *rig);
    buffers_open(&rig->mem, BUF_BYTES, buf_cnt, 1);
    void *ring = buffers_ring(&rig->mem, SLOT_CNT);
    weir_channel_format_init(&rig->format, item_schema(), true, false);
    rig->format.batch_rows = 256;
    rig->out.format = &rig->format;
    rig->out.pool = &rig->mem.pool;
    rig->out.regions = &rig->mem.table;
    rig->out.watermark = WEIR_TIME_MIN;
    assert_int_equal(weir_ring_prod_join(&rig->out.ring, ring, sizeof(struct weir_batch)), 0);
    assert_int_equal(weir_ring_cons_join(&rig->in.ring, ring, sizeof(struct weir_batch)), 0);
    weir_gate_init(&rig->gate, &rig->in, 1, rig->valve);
    rig->gate.format = &rig->format;
    rig->gate.regions = &rig->mem.table;
    rig->view.schema = item_schema();
    rig->view.rows = (char *)rig->rows;
    rig->view.stride = sizeof(struct item);
    rig->view.time = (char *)&rig->rows[0].at;
    rig->view.time_stride = sizeof(struct item);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(rig->rows); i++) {
        rig->rows[i].key = i;
        rig->rows[i].at = i;
        rig->rows[i].text = weir_str_inline("short", 5);
        rig->idx[i] = (uint16_t)i;
    }
    return rig;
}

static void
rig_close(struct rig *rig)
{
    weir_gate_release(&rig->gate);
    weir_channel_close(&rig->out);
    buffers_close(&rig->mem);
    free(rig);
}

static int64_t
append(struct rig *rig, uint32_t from, uint32_t cnt)
{
    return weir_channel_append(&rig->out, &rig->view, rig->idx + from, cnt);
}

static struct weir_gate_item
next(struct rig *rig)
{
    struct weir_gate_item item;
    weir_gate_release(&rig->gate);
    weir_gate_next(&rig->gate, &item);
    return item;
}

static int64_t
key_at(const struct weir_gate_item *item, uint32_t row)
{
    return ((const struct item *)(const void *)(item->view.rows + (size_t)item->view.stride * row))
        ->key;
}

/* T-220: a second unfinished buffer is illegal there; here an open slice is the one there is, and
 * rows that come later lie behind its own. */
static void
t_T220_rows_join_the_open_slice(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    assert_int_equal(append(rig, 0, 3), 3);
    assert_int_equal(append(rig, 3, 2), 2);
    assert_int_equal(next(rig).kind, 0);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    struct weir_gate_item item = next(rig);
    assert_int_equal(item.kind, WEIR_SLOT_BATCH);
    assert_int_equal(item.view.cnt, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(key_at(&item, i), i);
        assert_int_equal(weir_view_time(&item.view, i), i);
    }
    rig_close(rig);
}

/* T-221, T-225: nothing is published, and nobody told, for slices without rows. */
static void
t_T221_T225_empty_slices_are_never_seen(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append(rig, 0, 0), 0);
        assert_int_equal(weir_channel_flush(&rig->out), 1);
        assert_false(rig->out.dirty);
    }
    assert_int_equal(next(rig).kind, 0);
    assert_int_equal(append(rig, 7, 1), 1);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_true(rig->out.dirty);
    struct weir_gate_item item = next(rig);
    assert_int_equal(item.view.cnt, 1);
    assert_int_equal(key_at(&item, 0), 7);
    assert_int_equal(next(rig).kind, 0);
    rig_close(rig);
}

/* T-222, T-223: what is finished can be had; what stands behind it only after a flush, in order. */
static void
t_T222_T223_an_open_slice_waits_behind_a_finished_one(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    assert_int_equal(append(rig, 0, 10), 10);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_int_equal(append(rig, 10, 4), 4);
    struct weir_gate_item item = next(rig);
    assert_int_equal(item.view.cnt, 10);
    assert_int_equal(next(rig).kind, 0);
    rig->out.dirty = false;
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_true(rig->out.dirty);
    rig->out.dirty = false;
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_false(rig->out.dirty); /* a second flush adds nothing */
    item = next(rig);
    assert_int_equal(item.view.cnt, 4);
    assert_int_equal(key_at(&item, 0), 10);
    rig_close(rig);
}

/* T-226, T-229: counts of rows and buffers, and of what can be consumed, in order with events. */
static void
t_T226_T229_counts_and_backlog_agree_with_what_is_consumed(void **state)
{
    (void)state;
    struct rig *rig = rig_open(8);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(append(rig, i * 10, 10), 10);
        assert_int_equal(weir_channel_flush(&rig->out), 1);
    }
    assert_int_equal(append(rig, 40, 5), 5);
    assert_int_equal(weir_ring_peek(&rig->in.ring), 4); /* the open one is not among them */
    assert_int_equal(weir_channel_event(&rig->out, WEIR_SLOT_WATERMARK, 99), 1);
    uint32_t batches = 0;
    uint32_t rows = 0;
    for (;;) {
        struct weir_gate_item item = next(rig);
        if (item.kind == WEIR_SLOT_WATERMARK) {
            assert_true(item.result.watermark_set);
            assert_int_equal(item.result.watermark, 99);
            break;
        }
        assert_int_equal(item.kind, WEIR_SLOT_BATCH);
        assert_int_equal(key_at(&item, 0), rows);
        assert_int_equal(item.view.watermark, WEIR_TIME_MIN);
        batches++;
        rows += item.view.cnt;
    }
    assert_int_equal(batches, 5); /* the event is not one of them */
    assert_int_equal(rows, 45);
    assert_int_equal(rig->out.rows, 45);
    assert_int_equal(rig->in.rows, 45);
    assert_int_equal(rig->in.bufs, 5);
    rig_close(rig);
}

/* T-231: the consumer of a failed producer is told to cancel, which is no failure of its own. */
static void
t_T231_a_failed_producer_is_an_item_of_its_own(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    assert_int_equal(append(rig, 0, 2), 2);
    assert_int_equal(weir_channel_event(&rig->out, WEIR_SLOT_FAILED, 0), 1);
    assert_int_equal(next(rig).kind, WEIR_SLOT_BATCH);
    assert_int_equal(next(rig).kind, WEIR_SLOT_FAILED);
    rig_close(rig);
}

/* T-232: closing gives all buffers back, those in flight and the open one (rig_close checks). */
static void
t_T232_closing_gives_every_buffer_back(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    assert_int_equal(append(rig, 0, 200), 200);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_int_equal(append(rig, 200, 3), 3);
    rig_close(rig);
}

/* T-238: a consumer that looks before there is a producer's first batch sees it once, later. */
static void
t_T238_the_consumer_may_look_first(void **state)
{
    (void)state;
    struct rig *rig = rig_open(4);
    assert_int_equal(next(rig).kind, 0);
    assert_int_equal(next(rig).kind, 0);
    assert_int_equal(append(rig, 0, 1), 1);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    assert_int_equal(next(rig).kind, WEIR_SLOT_BATCH);
    assert_int_equal(next(rig).kind, 0);
    rig_close(rig);
}

static void
t_a_full_channel_is_busy_and_goes_on_when_released(void **state)
{
    (void)state;
    struct rig *rig = rig_open(2);
    uint64_t sent = 0;
    uint64_t got = 0;
    uint32_t busy_cnt = 0;
    while (got < 5000) {
        uint32_t from = (uint32_t)(sent % 512);
        int64_t taken = sent < 5000 ? append(rig, from, weir_min_u32(512 - from, 100)) : 0;
        assert_true(taken >= 0);
        sent += (uint64_t)taken;
        busy_cnt += taken == 0;
        if (taken < 100) {
            (void)weir_channel_flush(&rig->out);
            for (int i = 0; i < 2; i++) {
                struct weir_gate_item item = next(rig);
                for (uint32_t r = 0; item.kind == WEIR_SLOT_BATCH && r < item.view.cnt; r++) {
                    assert_int_equal(key_at(&item, r), (int64_t)(got % 512));
                    got++;
                }
            }
        }
    }
    assert_true(busy_cnt > 0);
    assert_true(got >= 5000 && got == sent);
    rig_close(rig);
}

static void
t_events_find_room_when_data_has_none(void **state)
{
    (void)state;
    struct rig *rig = rig_open(8);
    uint32_t batches = 0;
    while (append(rig, 0, 1) == 1 && weir_channel_flush(&rig->out) == 1) {
        batches++;
    }
    assert_int_equal(batches, SLOT_CNT - WEIR_RING_EVENT_CNT);
    rig->out.row_cnt = 0; /* the row that found no slot */
    for (int i = 0; i < WEIR_RING_EVENT_CNT; i++) {
        assert_int_equal(weir_channel_event(&rig->out, WEIR_SLOT_WATERMARK, i), 1);
    }
    assert_int_equal(weir_channel_event(&rig->out, WEIR_SLOT_WATERMARK, 9), 0);
    rig_close(rig);
}

static void
t_long_texts_travel_with_their_rows(void **state)
{
    (void)state;
    struct rig *rig = rig_open(8);
    static char heap[8192];
    for (uint32_t i = 0; i < sizeof heap; i++) {
        heap[i] = (char)('a' + i % 26);
    }
    rig->view.heap = heap;
    for (uint32_t i = 0; i < 64; i++) {
        rig->rows[i].text.bytes = 13 + i;
        memcpy(rig->rows[i].text.head, heap + i, 4);
        rig->rows[i].text.u.off = i;
    }
    assert_int_equal(append(rig, 0, 64), 64);
    assert_int_equal(weir_channel_flush(&rig->out), 1);
    uint32_t seen = 0;
    for (struct weir_gate_item item = next(rig); item.kind == WEIR_SLOT_BATCH; item = next(rig)) {
        for (uint32_t r = 0; r < item.view.cnt; r++, seen++) {
            const struct item *row =
                (const struct item *)(const void *)(item.view.rows + item.view.stride * r);
            struct weir_slice text = weir_str_slice(&row->text, item.view.heap);
            assert_int_equal(text.bytes, 13 + seen);
            assert_memory_equal(text.ptr, heap + seen, text.bytes);
        }
    }
    assert_int_equal(seen, 64);
    rig_close(rig);
}

/* T-235, T-237: there, a record is split over buffers and put together again. Here rows 1 and 2,
 * larger than all buffers together, travel whole, each when the one before is released. */
static void
t_T235_T237_a_row_larger_than_a_buffer_travels_alone(void **state)
{
    (void)state;
    struct rig *rig = rig_open(2);
    static char heap[20 * BUF_BYTES];
    memset(heap, 'x', sizeof heap);
    rig->view.heap = heap;
    rig->rows[1].text.bytes = 19 * BUF_BYTES;
    rig->rows[1].text.u.off = 7;
    rig->rows[2].text.bytes = 9 * BUF_BYTES;
    rig->rows[2].text.u.off = 0;
    uint32_t from = 0;
    uint32_t rows = 0;
    for (uint32_t turn = 0; rows < 4; turn++) {
        assert_true(turn < 4);
        int64_t taken = append(rig, from, 4 - from);
        assert_true(taken >= 0);
        assert_true(turn > 0 || taken == 2);
        from += (uint32_t)taken;
        assert_int_equal(weir_channel_flush(&rig->out), 1);
        for (struct weir_gate_item item = next(rig); item.kind == WEIR_SLOT_BATCH;
             item = next(rig)) {
            for (uint32_t r = 0; r < item.view.cnt; r++, rows++) {
                const struct item *row =
                    (const struct item *)(const void *)(item.view.rows + item.view.stride * r);
                struct weir_slice text = weir_str_slice(&row->text, item.view.heap);
                assert_int_equal(key_at(&item, r), rows);
                assert_int_equal(text.bytes, rig->rows[rows].text.bytes);
                assert_true(text.bytes < BUF_BYTES || memcmp(text.ptr, heap, text.bytes) == 0);
            }
        }
    }
    assert_non_null(rig->out.large); /* as long as nobody looks */
    weir_gate_release(&rig->gate);
    weir_channel_reclaim(&rig->out);
    assert_null(rig->out.large);
    rig_close(rig);
}

static void
t_a_row_larger_than_the_limit_is_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_open(2);
    rig->rows[1].text.bytes = WEIR_ROW_BYTES_MAX;
    assert_int_equal(append(rig, 1, 1), WEIR_EBUDGET);
    assert_non_null(strstr(weir_err_at(0), "more than the 67108864 of one"));
    weir_err_clear();
    assert_int_equal(append(rig, 2, 1), 1); /* the channel goes on */
    rig_close(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T220_rows_join_the_open_slice),
        cmocka_unit_test(t_T221_T225_empty_slices_are_never_seen),
        cmocka_unit_test(t_T222_T223_an_open_slice_waits_behind_a_finished_one),
        cmocka_unit_test(t_T226_T229_counts_and_backlog_agree_with_what_is_consumed),
        cmocka_unit_test(t_T231_a_failed_producer_is_an_item_of_its_own),
        cmocka_unit_test(t_T232_closing_gives_every_buffer_back),
        cmocka_unit_test(t_T238_the_consumer_may_look_first),
        cmocka_unit_test(t_a_full_channel_is_busy_and_goes_on_when_released),
        cmocka_unit_test(t_events_find_room_when_data_has_none),
        cmocka_unit_test(t_long_texts_travel_with_their_rows),
        cmocka_unit_test(t_T235_T237_a_row_larger_than_a_buffer_travels_alone),
        cmocka_unit_test(t_a_row_larger_than_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
