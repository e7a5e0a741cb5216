/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "apps/nexmark/gen.h"
#include "apps/nexmark/log.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/test.h"

/* A file in memory, of which the parts beyond its room are counted and dropped. */
struct file {
    uint8_t *bytes;
    uint64_t room;
    uint64_t end;
    uint64_t fail_at; /* the write that reaches this offset fails */
};

static int
file_write(void *to, uint64_t off, const void *bytes, size_t byte_cnt)
{
    struct file *file = to;
    if (off + byte_cnt > file->fail_at) {
        return WEIR_EIO;
    }
    if (off + byte_cnt <= file->room) {
        memcpy(file->bytes + off, bytes, byte_cnt);
    }
    file->end = weir_max_u64(file->end, off + byte_cnt);
    return 0;
}

static uint8_t *
file_open(struct file *file, uint64_t room)
{
    file->room = room;
    file->end = 0;
    file->fail_at = UINT64_MAX;
    file->bytes = aligned_alloc(4096, room);
    assert_non_null(file->bytes);
    memset(file->bytes, 0, room);
    return file->bytes;
}

static uint8_t buffer[NEXMARK_LOG_BUFFER_BYTES_MIN + 100];

static void
begin(struct nexmark_log_writer *writer, struct file *file, uint64_t record_cnt_max)
{
    struct nexmark_log_writer_opts opts = {file_write, file, record_cnt_max, buffer, sizeof buffer};
    assert_int_equal(nexmark_log_writer_init(writer, &opts), 0);
}

/* A generated log of cnt events with room for room of them. */
static void
generate(struct file *file, uint64_t cnt, uint64_t room)
{
    static struct nexmark_gen gen;
    static struct nexmark_log_writer writer;
    struct nexmark_gen_opts opts;
    uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
    nexmark_gen_opts_default(&opts);
    opts.event_cnt = cnt;
    assert_int_equal(nexmark_gen_init(&gen, &opts), 0);
    file_open(file, weir_align_up(8192 + room * 64 + cnt * NEXMARK_GEN_PAYLOAD_BYTES_MAX, 4096));
    begin(&writer, file, room);
    for (uint64_t i = 0; i < cnt; i++) {
        struct nexmark_event e;
        nexmark_gen_fill(&gen, i, 1, &e);
        e.payload_bytes = nexmark_gen_payload(&gen, i, &e, payload);
        assert_int_equal(nexmark_log_append(&writer, &e, payload), 0);
    }
    assert_int_equal(nexmark_log_finish(&writer), 0);
}

static void
t_what_was_written_is_read(void **state)
{
    (void)state;
    static struct nexmark_gen gen;
    struct nexmark_gen_opts opts;
    struct file file;
    struct nexmark_log log;
    const uint64_t cnt = 3000;
    generate(&file, cnt, cnt + 77);
    assert_true(nexmark_log_is(file.bytes, file.end));
    assert_int_equal(nexmark_log_open(file.bytes, file.end, &log), 0);
    assert_int_equal(nexmark_log_verify(&log), 0);
    assert_int_equal(log.record_cnt, cnt);
    assert_int_equal((uintptr_t)log.payloads % 4096, 0);
    nexmark_gen_opts_default(&opts);
    assert_int_equal(nexmark_gen_init(&gen, &opts), 0);
    assert_int_equal(log.time_min_ms, opts.base_time_ms);
    assert_int_equal(log.time_max_ms, opts.base_time_ms + 29);
    for (uint64_t i = 0; i < cnt; i++) {
        struct nexmark_event e;
        uint8_t payload[NEXMARK_GEN_PAYLOAD_BYTES_MAX];
        nexmark_gen_fill(&gen, i, 1, &e);
        uint32_t bytes = nexmark_gen_payload(&gen, i, &e, payload);
        assert_int_equal(log.records[i].payload_bytes, bytes);
        assert_memory_equal(nexmark_log_payload(&log, &log.records[i]), payload, bytes);
        assert_memory_equal(&log.records[i].time_ms, &e.time_ms, 48);
    }
    free(file.bytes);
}

static void
t_empty_logs_and_logs_without_payloads_are_legal(void **state)
{
    (void)state;
    struct file file;
    struct nexmark_log log;
    static struct nexmark_log_writer writer;
    file_open(&file, 1 << 20);
    begin(&writer, &file, 0);
    assert_int_equal(nexmark_log_finish(&writer), 0);
    assert_int_equal(file.end, 4096);
    assert_int_equal(nexmark_log_open(file.bytes, file.end, &log), 0);
    assert_int_equal(nexmark_log_verify(&log), 0);
    assert_int_equal(log.record_cnt, 0);
    begin(&writer, &file, 1000);
    struct nexmark_event e = {.kind = NEXMARK_BID,
        .time_ms = INT64_MIN,
        .id_or_auction = INT64_MIN,
        .seller_or_bidder = INT64_MAX,
        .initial_bid_or_price = -1};
    assert_int_equal(nexmark_log_append(&writer, &e, NULL), 0);
    e.time_ms = INT64_MAX;
    assert_int_equal(nexmark_log_append(&writer, &e, NULL), 0);
    assert_int_equal(nexmark_log_finish(&writer), 0);
    assert_int_equal(nexmark_log_open(file.bytes, file.end, &log), 0);
    assert_int_equal(nexmark_log_verify(&log), 0);
    assert_true(log.time_min_ms == INT64_MIN && log.time_max_ms == INT64_MAX);
    assert_memory_equal(&log.records[1], &e, sizeof e);
    free(file.bytes);
}

static void
t_a_log_beyond_four_gib_keeps_its_offsets(void **state)
{
    (void)state;
    static struct nexmark_log_writer writer;
    static uint8_t payload[1 << 20];
    struct file file;
    file_open(&file, 1 << 20);
    begin(&writer, &file, 5000);
    struct nexmark_event e = {.kind = NEXMARK_BID, .payload_bytes = sizeof payload};
    for (int i = 0; i < 4200; i++) {
        assert_int_equal(nexmark_log_append(&writer, &e, payload), 0);
    }
    assert_int_equal(nexmark_log_finish(&writer), 0);
    assert_true(file.end > UINT64_C(4200) << 20);
    const struct nexmark_event *last = (const void *)(file.bytes + 4096 + 4199 * 64);
    assert_true(last->payload_off == UINT64_C(4199) << 20);
    struct nexmark_log log;
    /* The mapping is not that long here; the header alone is looked at. */
    assert_int_equal(nexmark_log_open(file.bytes, file.end, &log), 0);
    assert_true(log.payload_bytes == UINT64_C(4200) << 20);
    assert_int_equal(nexmark_log_open(file.bytes, file.end - 1, &log), WEIR_EFORMAT);
    weir_err_clear();
    free(file.bytes);
}

static void
t_a_writer_is_refused_past_its_room_and_passes_errors_on(void **state)
{
    (void)state;
    static struct nexmark_log_writer writer;
    static uint8_t payload[200000];
    struct file file;
    file_open(&file, 1 << 20);
    begin(&writer, &file, 1);
    struct nexmark_event e = {.kind = NEXMARK_BID, .payload_bytes = 12};
    assert_int_equal(nexmark_log_append(&writer, &e, payload), WEIR_EINVAL);
    e.payload_bytes = 0;
    assert_int_equal(nexmark_log_append(&writer, &e, payload), 0);
    assert_int_equal(nexmark_log_append(&writer, &e, payload), WEIR_EINVAL);
    struct nexmark_log_writer_opts opts = {file_write, &file, 1, buffer, 100};
    assert_int_equal(nexmark_log_writer_init(&writer, &opts), WEIR_EINVAL);
    weir_err_clear();
    begin(&writer, &file, 10);
    file.fail_at = 100000;
    e.payload_bytes = sizeof payload;
    assert_int_equal(nexmark_log_append(&writer, &e, payload), WEIR_EIO);
    file.fail_at = 0;
    begin(&writer, &file, 10);
    assert_int_equal(nexmark_log_finish(&writer), WEIR_EIO);
    free(file.bytes);
}

static void
t_every_cut_and_every_flipped_header_byte_is_refused(void **state)
{
    (void)state;
    struct file file;
    struct nexmark_log log;
    generate(&file, 100, 100);
    for (uint64_t cut = 0; cut < file.end; cut += cut < 4096 ? 1 : 997) {
        assert_int_equal(nexmark_log_open(file.bytes, cut, &log), WEIR_EFORMAT);
        weir_err_clear();
    }
    for (uint32_t at = 0; at < 4096; at++) {
        file.bytes[at] ^= 0x10;
        assert_int_equal(nexmark_log_open(file.bytes, file.end, &log), WEIR_EFORMAT);
        weir_err_clear();
        file.bytes[at] ^= 0x10;
    }
    for (uint64_t at = 4096; at < file.end; at += 61) {
        file.bytes[at] ^= 1;
        int err = nexmark_log_open(file.bytes, file.end, &log);
        err = err == 0 ? nexmark_log_verify(&log) : err;
        /* The room between the sections holds nothing, so a flip there changes nothing. */
        bool in_room = at >= 4096 + 6400 && at < 4096 + 8192;
        assert_int_equal(err, in_room ? 0 : WEIR_EFORMAT);
        weir_err_clear();
        file.bytes[at] ^= 1;
    }
    free(file.bytes);
}

/* Headers whose checksum is right and whose fields lie: no field may lead beyond the file. */
static void
t_headers_that_lie_under_a_right_checksum_stay_inside_the_file(void **state)
{
    (void)state;
    struct file file;
    struct weir_rng rng;
    uint64_t seed = 20240101;
    uint64_t refused = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    weir_rng_init(&rng, seed);
    generate(&file, 50, 50);
    struct nexmark_log_header *header = (void *)file.bytes;
    struct nexmark_log_header right = *header;
    for (int i = 0; i < 20000; i++) {
        struct nexmark_log log;
        *header = right;
        uint64_t *fields[] = {&header->file_bytes, &header->record_cnt, &header->record_off,
            &header->record_room, &header->payload_off, &header->payload_bytes};
        for (uint32_t f = 0; f < 2; f++) {
            uint64_t *field = fields[weir_rng_below(&rng, WEIR_ARRAY_CNT(fields))];
            *field = weir_rng_chance(&rng, 1, 2) ? *field + weir_rng_below(&rng, 9) - 4
                                                 : weir_rng_u64(&rng) >> weir_rng_below(&rng, 64);
        }
        header->header_crc = 0;
        header->header_crc = weir_crc32c(0, header, sizeof *header);
        if (nexmark_log_open(file.bytes, file.end, &log) != 0) {
            refused++;
            weir_err_clear();
            continue;
        }
        uint64_t record_end =
            (uint64_t)((const uint8_t *)(log.records + log.record_cnt) - file.bytes);
        uint64_t payload_off = (uint64_t)(log.payloads - file.bytes);
        assert_true(log.record_cnt <= file.end / 64 && record_end <= payload_off);
        assert_true(payload_off <= file.end && log.payload_bytes <= file.end - payload_off);
        /* Reads all that the header claims, under ASan in its build. */
        int err = nexmark_log_verify(&log);
        assert_true(err == 0 || err == WEIR_EFORMAT);
        weir_err_clear();
    }
    assert_true(refused > 10000);
    free(file.bytes);
}

/* The file of version 1, and with it the generator's stream of seed 1: both are formats. */
static void
t_the_golden_file_of_version_1_is_written_again(void **state)
{
    (void)state;
    static uint8_t golden[65536];
    struct file file;
    FILE *from = fopen(WEIR_TEST_DATA "/nexmark/log-v1.log", "rb");
    assert_non_null(from);
    size_t bytes = fread(golden, 1, sizeof golden, from);
    (void)fclose(from);
    generate(&file, 100, 100);
    assert_int_equal(bytes, file.end);
    assert_memory_equal(golden, file.bytes, bytes);
    free(file.bytes);
}

static void
t_records_that_lie_have_no_payload(void **state)
{
    (void)state;
    uint8_t payloads[64] = {0};
    struct nexmark_log log = {.payloads = payloads, .payload_bytes = 64};
    struct nexmark_event e = {.kind = NEXMARK_BID, .payload_bytes = 64};
    assert_non_null(nexmark_log_payload(&log, &e));
    e.payload_off = 8;
    assert_null(nexmark_log_payload(&log, &e));
    e.payload_off = UINT64_MAX - 3;
    assert_null(nexmark_log_payload(&log, &e));
    e.payload_off = 0;
    e.kind = 3;
    assert_null(nexmark_log_payload(&log, &e));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_was_written_is_read),
        cmocka_unit_test(t_empty_logs_and_logs_without_payloads_are_legal),
        cmocka_unit_test(t_a_log_beyond_four_gib_keeps_its_offsets),
        cmocka_unit_test(t_a_writer_is_refused_past_its_room_and_passes_errors_on),
        cmocka_unit_test(t_every_cut_and_every_flipped_header_byte_is_refused),
        cmocka_unit_test(t_headers_that_lie_under_a_right_checksum_stay_inside_the_file),
        cmocka_unit_test(t_the_golden_file_of_version_1_is_written_again),
        cmocka_unit_test(t_records_that_lie_have_no_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
