/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: written and read back, every bit under the checksum, hostile bytes refused; and the
 * files of format version 1 under tests/data/store, which every later version reads.
 *
 * WEIR_WRITE_GOLDEN=DIR makes such a directory anew in DIR.
 */
#include <inttypes.h>

#include "base/crc.h"
#include "dataplane/manifest.h"
#include "sched/store_look.h"
#include "tests/unit/store_rig.h"

static const struct weir_snapshot_ack files[2] = {
    {.id = {.job = 9, .checkpoint = 7, .epoch = 2, .attempt = 3, .task = 0, .subtask = 1},
        .name = "7-2-0-1-3.snap",
        .file_bytes = 8192,
        .payload_bytes = 100,
        .footer_bytes = 4096,
        .footer_crc = 0x12345678},
    {.id = {.job = 9, .checkpoint = 6, .epoch = 1, .attempt = 1, .task = 1, .subtask = 0},
        .name = "6-1-1-0-1.snap",
        .file_bytes = 4096,
        .footer_bytes = 4096,
        .footer_crc = 1},
};
static const uint32_t states[] = {3, 1, 4};
static const struct weir_manifest_operator operators[] = {
    {"a", "first", states, 3, 128, 2}, {"b", "", NULL, 0, 1, 1}, {"c", "third", states, 1, 64, 4}};
static const struct weir_manifest_part sources[] = {{"src", "0123", 4, 0}, {"src", "", 0, 1}};
static const struct weir_manifest_part transactions[] = {{"sink", "\0txn", 4, 7}};
static const struct weir_manifest_counter counters[] = {{"rows", UINT64_MAX}};

static const struct weir_manifest sample = {
    .kind = WEIR_MANIFEST_KIND_CHECKPOINT,
    .job = 9,
    .checkpoint = 7,
    .epoch = 2,
    .parent_checkpoint = 6,
    .parent_epoch = 1,
    .config_hash = UINT64_C(0xfedcba9876543210),
    .started_ns = -5,
    .duration_ns = 6,
    .stall_ns = 8,
    .job_name = "words",
    .files = files,
    .operators = operators,
    .sources = sources,
    .transactions = transactions,
    .counters = counters,
    .file_cnt = 2,
    .operator_cnt = 3,
    .source_cnt = 2,
    .transaction_cnt = 1,
    .counter_cnt = 1,
};

static int
decode(const void *buf, uint64_t bytes, struct weir_manifest *ret)
{
    const char *wrong = NULL;
    uint64_t off = 0;
    int err = weir_manifest_decode(buf, bytes, ret, &wrong, &off);
    assert_true(err == 0 || wrong != NULL);
    assert_true(off <= bytes);
    return err;
}

static void
t_what_was_written_is_read(void **state)
{
    (void)state;
    char buf[2048];
    char again[2048];
    struct weir_manifest back;
    uint64_t bytes = weir_manifest_encode(&sample, buf, sizeof buf);
    assert_in_range(bytes, 200, sizeof buf);
    assert_int_equal(weir_manifest_encode(&sample, NULL, 0), bytes);
    assert_int_equal(decode(buf, bytes, &back), 0);
    assert_string_equal(back.job_name, "words");
    assert_int_equal(back.started_ns, -5);
    assert_string_equal(back.files[1].name, "6-1-1-0-1.snap");
    assert_int_equal(back.files[1].id.epoch, 1);
    assert_int_equal(back.files[0].footer_crc, 0x12345678);
    assert_int_equal(back.operators[0].state_ids[2], 4);
    assert_int_equal(back.operators[2].state_id_cnt, 1);
    assert_int_equal(back.operators[2].state_ids[0], 3);
    assert_memory_equal(back.transactions[0].bytes_at, "\0txn", 4);
    assert_int_equal(back.sources[1].bytes, 0);
    assert_true(back.counters[0].value == UINT64_MAX);
    /* Written again it is the same, byte for byte. */
    assert_int_equal(weir_manifest_encode(&back, again, sizeof again), bytes);
    assert_memory_equal(buf, again, bytes);
    weir_manifest_fini(&back);
}

static void
t_damage_is_refused(void **state)
{
    (void)state;
    char buf[2048];
    struct weir_manifest back;
    uint64_t bytes = weir_manifest_encode(&sample, buf, sizeof buf);
    for (uint64_t bit = 0; bit < bytes * 8; bit++) {
        buf[bit / 8] = (char)(buf[bit / 8] ^ (1 << (bit % 8)));
        assert_int_equal(decode(buf, bytes, &back), WEIR_EDATA);
        buf[bit / 8] = (char)(buf[bit / 8] ^ (1 << (bit % 8)));
    }
    for (uint64_t shorter = 0; shorter < bytes; shorter++) {
        assert_int_equal(decode(buf, shorter, &back), WEIR_EDATA);
    }
}

static void
mend(char *buf, uint64_t bytes)
{
    uint32_t crc = weir_crc32c(0, buf, bytes - sizeof crc);
    memcpy(buf + bytes - sizeof crc, &crc, sizeof crc);
}

static void
t_hostile_bytes_with_a_right_checksum_are_bounded(void **state)
{
    (void)state;
    char buf[2048];
    char work[2048];
    char again[4096];
    struct weir_rng rng;
    uint64_t bytes = weir_manifest_encode(&sample, buf, sizeof buf);
    uint32_t good_cnt = 0;
    weir_rng_init(&rng, seed());
    for (int i = 0; i < 200000; i++) {
        memcpy(work, buf, bytes);
        uint64_t changes = 1 + weir_rng_below(&rng, 3);
        for (uint64_t c = 0; c < changes; c++) {
            /* Mostly counts and lengths: small numbers, or enormous ones. */
            uint64_t at = weir_rng_below(&rng, bytes - 4);
            uint64_t drawn = weir_rng_u64(&rng);
            work[at] = (char)drawn;
            if (drawn % 3 == 0) {
                memset(work + at, (int)(drawn >> 8), 4);
            }
        }
        mend(work, bytes);
        struct weir_manifest back;
        if (decode(work, bytes, &back) == 0) {
            assert_true(weir_manifest_encode(&back, again, sizeof again) > 0);
            weir_manifest_fini(&back);
            good_cnt++;
        }
    }
    assert_in_range(good_cnt, 1000, 199000); /* both ends were reached */
}

static void
t_versions_and_limits(void **state)
{
    (void)state;
    char buf[2048];
    struct weir_manifest back;
    uint64_t bytes = weir_manifest_encode(&sample, buf, sizeof buf);
    buf[8] = 2;
    mend(buf, bytes);
    assert_int_equal(decode(buf, bytes, &back), WEIR_EFORMAT);
    static char text[WEIR_MANIFEST_TEXT_BYTES_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    struct weir_manifest large = sample;
    large.job_name = text;
    assert_int_equal(weir_manifest_encode(&large, buf, sizeof buf), 0);
}

static void
write_golden(const char *dir)
{
    struct weir_io *io;
    struct rig rig;
    struct weir_io_config io_config = {.kind = WEIR_IO_POSIX};
    struct weir_store_config config = {.root = dir, .job = "job", .retained_cnt = 9};
    assert_int_equal(weir_io_open(&io_config, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    for (uint64_t id = 1; id <= 2; id++) {
        rig_open(&rig, io, NULL, &config);
        assert_int_equal(rig_start(&rig), 0);
        assert_int_equal(rig_checkpoint(&rig, id), 0);
        rig_close(&rig);
    }
    weir_io_close(io);
}

static void
t_files_of_version_1_are_read(void **state)
{
    (void)state;
    struct weir_look *look;
    if (getenv("WEIR_WRITE_GOLDEN") != NULL) {
        write_golden(getenv("WEIR_WRITE_GOLDEN"));
    }
    assert_int_equal(weir_look_open(NULL, WEIR_TEST_DATA "/store", &look), 0);
    assert_int_equal(weir_look_cnt(look), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_look_checkpoint *entry = weir_look_at(look, i);
        assert_string_equal(entry->job, "job");
        assert_int_equal(entry->checkpoint, i + 1);
        assert_int_equal(entry->epoch, i + 1);
        assert_int_equal(entry->is_current, i == 1);
        assert_int_equal(entry->err, 0);
        assert_int_equal(entry->manifest.parent_checkpoint, i);
        assert_int_equal(entry->manifest.config_hash, 42);
        assert_int_equal(entry->manifest.started_ns, (1700000001 + (int64_t)i) * WEIR_SEC_NS);
        assert_string_equal(entry->manifest.operators[0].name, "count by word");
        assert_int_equal(entry->manifest.operators[0].state_ids[1], 7);
        assert_memory_equal(entry->manifest.transactions[0].bytes_at, "part-1", 6);
        assert_int_equal(weir_look_verify(look, i), 0);
    }
    weir_look_close(look);
    /* And what they hold, byte for byte. */
    struct weir_io *io;
    struct rig rig;
    struct weir_io_config io_config = {.kind = WEIR_IO_POSIX};
    struct weir_store_config config = {.root = "/tmp", .job = "job"};
    assert_int_equal(weir_io_open(&io_config, &io), 0);
    assert_int_equal(weir_io_start(io), 0);
    rig_open(&rig, io, NULL, &config);
    struct weir_io_op op;
    weir_io_op_open(
        &op, WEIR_IO_CWD, WEIR_TEST_DATA "/store/job/data", WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    int32_t dir = (int32_t)weir_io_perform(io, &op);
    assert_true(dir >= 0);
    assert_int_equal(weir_look_open(NULL, WEIR_TEST_DATA "/store/job", &look), 0);
    for (uint32_t i = 0; i < RIG_TASK_CNT; i++) {
        struct rig_sink sink = {.seed = 2000 + i};
        struct weir_snapshot_ask ask = {.dir = dir,
            .file = &weir_look_at(look, 1)->manifest.files[i],
            .sink = rig_sink,
            .arg = &sink};
        assert_int_equal(rig_read(&rig, &ask), 0);
        assert_false(sink.differs);
        assert_int_equal(sink.bytes, rig_bytes(2, i));
    }
    weir_look_close(look);
    weir_io_op_close(&op, dir);
    assert_int_equal(weir_io_perform(io, &op), 0);
    rig_close(&rig);
    weir_io_close(io);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_what_was_written_is_read),
        cmocka_unit_test(t_damage_is_refused),
        cmocka_unit_test(t_hostile_bytes_with_a_right_checksum_are_bounded),
        cmocka_unit_test(t_versions_and_limits),
        cmocka_unit_test(t_files_of_version_1_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
