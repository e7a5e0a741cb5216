/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of a snapshot: what is written is read back, whatever is damaged is refused. */
#include "dataplane/parts.h"

#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/test.h"

#define BUF_BYTES 4096

struct rig {
    _Alignas(8) char buf[BUF_BYTES];
    size_t bytes;
    struct weir_parts_writer writer;
    struct weir_parts_reader reader;
};

static void
teardown_errors(void)
{
    weir_err_clear();
}

/* Three parts of two operators. */
static void
write_some(struct rig *rig, size_t cap)
{
    memset(rig->buf, 0xa5, sizeof rig->buf);
    weir_parts_writer_init(&rig->writer, rig->buf, cap);
    weir_parts_writer_of(&rig->writer, "window");
    weir_parts_begin(&rig->writer, "watermark", 1);
    weir_parts_put_u64(&rig->writer, 77);
    weir_parts_end(&rig->writer);
    weir_parts_begin(&rig->writer, "list", 3);
    weir_parts_put(&rig->writer, "abc", 3);
    weir_parts_end(&rig->writer);
    weir_parts_writer_of(&rig->writer, "source");
    weir_parts_begin(&rig->writer, "list", 1);
    weir_parts_end(&rig->writer);
}

static void
t_what_is_written_is_read(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_part part;
    uint64_t value;
    char text[4] = {0};
    write_some(&rig, BUF_BYTES);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
    assert_int_equal(rig.bytes % 8, 0);
    assert_int_equal(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes), 0);
    weir_parts_reader_of(&rig.reader, "window");
    assert_int_equal(weir_parts_find(&rig.reader, "watermark", 1, &part), 0);
    assert_int_equal(weir_part_get_u64(&part, &value), 0);
    assert_int_equal(value, 77);
    assert_int_equal(weir_part_end(&part), 0);
    assert_int_equal(weir_part_get_u64(&part, &value), WEIR_EDATA);
    assert_int_equal(weir_parts_find(&rig.reader, "list", 3, &part), 0);
    assert_int_equal(part.bytes, 3);
    assert_int_equal(weir_part_end(&part), WEIR_EDATA);
    assert_int_equal(weir_part_get(&part, text, 3), 0);
    assert_string_equal(text, "abc");
    assert_int_equal(weir_parts_find(&rig.reader, "list", 2, &part), WEIR_EFORMAT);
    /* Missing is an error; that another operator has one of that name is no help. */
    assert_int_equal(weir_parts_find(&rig.reader, "lis", 3, &part), WEIR_EDATA);
    assert_true(weir_parts_has(&rig.reader, "list"));
    assert_false(weir_parts_has(&rig.reader, "listing"));
    weir_parts_reader_of(&rig.reader, "source");
    assert_int_equal(weir_parts_find(&rig.reader, "watermark", 1, &part), WEIR_EDATA);
    assert_int_equal(weir_parts_find(&rig.reader, "list", 1, &part), 0);
    assert_int_equal(part.bytes, 0);
    size_t offset = 0;
    uint32_t cnt = 0;
    while (weir_parts_next(&rig.reader, &offset, &part) == 1) {
        cnt++;
    }
    assert_int_equal(cnt, 3);
    teardown_errors();
}

/* The bytes themselves: version 1 is read by all later programs. */
static void
t_the_format_is_what_the_header_says(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t u32;
    write_some(&rig, BUF_BYTES);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
    /* head, then 16 + 16 + 8, 16 + 16 + 8, 16 + 16 + 0 */
    assert_int_equal(rig.bytes, 32 + 40 + 40 + 32);
    assert_memory_equal(rig.buf, "WEIRPART\1\0\0\0\3\0\0\0\220\0\0\0\0\0\0\0", 24);
    assert_memory_equal(rig.buf + 32, "\10\0\0\0\1\0\0\0\6\0\11\0\0\0\0\0windowwatermark\0", 32);
    assert_memory_equal(rig.buf + 64, "\115\0\0\0\0\0\0\0", 8);
    memcpy(&u32, rig.buf + 24, sizeof u32);
    memset(rig.buf + 24, 0, sizeof u32);
    assert_int_equal(weir_crc32c(0, rig.buf, rig.bytes), u32);
}

/* A file of version 1, made by another program. */
static void
t_a_file_of_version_1_is_read(void **state)
{
    (void)state;
    struct rig rig;
    struct rig made;
    FILE *file = fopen(WEIR_TEST_DATA "/../fuzz/corpus/parts/version_1", "rb");
    assert_non_null(file);
    rig.bytes = fread(rig.buf, 1, sizeof rig.buf, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes), 0);
    write_some(&made, BUF_BYTES);
    assert_int_equal(weir_parts_finish(&made.writer, &made.bytes), 0);
    assert_int_equal(made.bytes, rig.bytes);
    assert_memory_equal(made.buf, rig.buf, rig.bytes);
}

/* In a buffer of any size less than needed, and never a byte behind it. */
static void
t_a_buffer_that_is_too_small_is_an_error(void **state)
{
    (void)state;
    struct rig rig;
    write_some(&rig, BUF_BYTES);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
    size_t needed = rig.bytes;
    for (size_t cap = 0; cap < needed; cap++) {
        write_some(&rig, cap);
        assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), WEIR_EBUDGET);
        for (size_t i = cap; i < sizeof rig.buf; i++) {
            assert_int_equal((unsigned char)rig.buf[i], 0xa5);
        }
        assert_int_equal(weir_err_cnt(), 1); /* the first error, once */
        teardown_errors();
    }
    write_some(&rig, needed);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
}

static void
t_a_name_is_taken_once(void **state)
{
    (void)state;
    struct rig rig;
    write_some(&rig, BUF_BYTES);
    weir_parts_begin(&rig.writer, "list", 1);
    weir_parts_end(&rig.writer);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), WEIR_EINVAL);
    weir_err_clear();
    write_some(&rig, BUF_BYTES);
    weir_parts_begin(&rig.writer, "", 1);
    weir_parts_end(&rig.writer);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), WEIR_EINVAL);
    weir_err_clear();
    /* An operator that comes twice is found by the reader. */
    write_some(&rig, BUF_BYTES);
    weir_parts_writer_of(&rig.writer, "window");
    weir_parts_begin(&rig.writer, "list", 1);
    weir_parts_end(&rig.writer);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
    assert_int_equal(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes), WEIR_EDATA);
    teardown_errors();
}

/* Every bit, every length. */
static void
t_damage_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    write_some(&rig, BUF_BYTES);
    assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
    for (size_t bit = 0; bit < 8 * rig.bytes; bit++) {
        rig.buf[bit / 8] = (char)(rig.buf[bit / 8] ^ (1 << bit % 8));
        assert_true(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes) < 0);
        weir_err_clear();
        rig.buf[bit / 8] = (char)(rig.buf[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t bytes = 0; bytes < rig.bytes; bytes++) {
        assert_true(weir_parts_reader_init(&rig.reader, rig.buf, bytes) < 0);
        weir_err_clear();
    }
    assert_true(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes + 8) < 0);
    weir_err_clear();
    assert_int_equal(weir_parts_reader_init(&rig.reader, rig.buf, rig.bytes), 0);
}

/* With a right checksum over wrong bytes: nothing outside the buffer is read (sanitizers look). */
static void
t_well_sealed_nonsense_is_refused_or_harmless(void **state)
{
    (void)state;
    struct weir_rng rng;
    struct rig rig;
    uint32_t refused_cnt = 0;
    weir_rng_init(&rng, seed_of_run());
    for (int i = 0; i < 20000; i++) {
        write_some(&rig, BUF_BYTES);
        assert_int_equal(weir_parts_finish(&rig.writer, &rig.bytes), 0);
        char *buf = malloc(rig.bytes);
        assert_non_null(buf);
        memcpy(buf, rig.buf, rig.bytes);
        for (uint64_t k = weir_rng_below(&rng, 4) + 1; k > 0; k--) {
            buf[32 + weir_rng_below(&rng, rig.bytes - 32)] = (char)weir_rng_u64(&rng);
        }
        memset(buf + 24, 0, 4);
        uint32_t crc = weir_crc32c(0, buf, rig.bytes);
        memcpy(buf + 24, &crc, sizeof crc);
        struct weir_part part;
        size_t offset = 0;
        if (weir_parts_reader_init(&rig.reader, buf, rig.bytes) != 0) {
            refused_cnt++;
        } else {
            while (weir_parts_next(&rig.reader, &offset, &part) == 1) {
                char copy[BUF_BYTES];
                assert_int_equal(weir_part_get(&part, copy, part.bytes), 0);
            }
        }
        weir_err_clear();
        free(buf);
    }
    assert_true(refused_cnt > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_is_written_is_read),
        cmocka_unit_test(t_the_format_is_what_the_header_says),
        cmocka_unit_test(t_a_file_of_version_1_is_read),
        cmocka_unit_test(t_a_buffer_that_is_too_small_is_an_error),
        cmocka_unit_test(t_a_name_is_taken_once),
        cmocka_unit_test(t_damage_is_refused),
        cmocka_unit_test(t_well_sealed_nonsense_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
