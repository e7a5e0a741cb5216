/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints that are damaged, lie, or are of another version; and state that cannot be written.
 * Records are taken apart, changed, given checksums that fit, and put together again. */
#include <stdio.h>

#include "base/crc.h"
#include "base/hash.h"
#include "tests/unit/savepoint_fake_check.h"

#define ENTRY_CNT 120
#define RECORD_CNT_MAX 4096

struct record {
    size_t off;
    uint32_t bytes; /* with its head */
    uint8_t kind;
};

struct records {
    struct record at[RECORD_CNT_MAX];
    uint32_t cnt;
};

static struct records
records_of(const struct stream *stream)
{
    static struct records records;
    records.cnt = 0;
    for (size_t off = 0; off < stream->bytes;) {
        struct record *record = &records.at[records.cnt++];
        assert_true(records.cnt < RECORD_CNT_MAX);
        memcpy(&record->bytes, stream->data + off, sizeof record->bytes);
        record->bytes += WEIR_SAVEPOINT_HEAD_BYTES;
        record->kind = (uint8_t)stream->data[off + 4];
        record->off = off;
        off += record->bytes;
    }
    return records;
}

static const struct record *
first_of(const struct records *records, uint32_t kind)
{
    for (uint32_t i = 0; i < records->cnt; i++) {
        if (records->at[i].kind == kind) {
            return &records->at[i];
        }
    }
    fail_msg("no record of kind %u", kind);
    return NULL;
}

/* A job with all kinds of records. */
static void
whole(struct stream *stream)
{
    struct fake_job job;
    struct weir_parts_writer writer;
    size_t bytes;
    fake_open(&job, 1, false);
    fake_fill(&job, 3, ENTRY_CNT);
    job.stage[0].parts = calloc(1, FAKE_PARTS_BYTES);
    weir_parts_writer_init(&writer, job.stage[0].parts, FAKE_PARTS_BYTES);
    weir_parts_writer_of(&writer, "first-1");
    weir_state_put_word(&writer, "least", 3);
    weir_state_put_word(&writer, "hint", 3);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&job.stage[0].reader, job.stage[0].parts, bytes), 0);
    job.task[0].parts = &job.stage[0].reader;
    assert_int_equal(fake_write(&job, 1, stream), 0);
    fake_close(&job);
}

static void
seal(char *record)
{
    uint32_t bytes;
    uint32_t crc = 0;
    memcpy(&bytes, record, sizeof bytes);
    memcpy(record + 8, &crc, sizeof crc);
    crc = weir_crc32c(0, record, WEIR_SAVEPOINT_HEAD_BYTES + bytes);
    memcpy(record + 8, &crc, sizeof crc);
}

/* Read it, with a job that would load it: the error. */
static int
read_all(const struct stream *stream)
{
    struct fake_job job;
    fake_open(&job, 1, false);
    int err = fake_load(&job, stream, false);
    fake_close(&job);
    return err;
}

/* ---- single bytes ---- */

static void
t_every_byte_is_covered(void **unused)
{
    (void)unused;
    struct stream stream;
    whole(&stream);
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    assert_int_equal(read_all(&stream), 0);
    for (size_t at = 0; at < stream.bytes; at += at < 3000 ? 1 : 37) {
        struct weir_savepoint_reader *reader;
        stream.data[at] ^= 4;
        int err = stream_read(&stream, &none, at, &reader);
        assert_true(err == WEIR_EDATA || err == WEIR_EFORMAT);
        weir_err_clear();
        weir_savepoint_reader_close(reader);
        stream.data[at] ^= 4;
    }
    stream_free(&stream);
}

static void
t_cut_off_is_seen(void **unused)
{
    (void)unused;
    struct stream stream;
    whole(&stream);
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    size_t bytes = stream.bytes;
    for (stream.bytes = 0; stream.bytes < bytes; stream.bytes += 1 + stream.bytes / 20) {
        struct weir_savepoint_reader *reader;
        assert_error(stream_read(&stream, &none, 1, &reader), WEIR_EDATA, "it is cut off");
        weir_savepoint_reader_close(reader);
    }
    stream_free(&stream);
}

/* ---- records ---- */

/* One change: at `off` of the body of the first record of a kind stands another number. */
struct change {
    uint32_t kind;
    uint32_t off;
    uint32_t bytes;
    uint64_t number;
    int err;
    const char *text;
};

static void
t_lies_are_seen(void **unused)
{
    (void)unused;
    static const struct change changes[] = {
        {WEIR_SAVEPOINT_HEAD, 0, 1, 'X', WEIR_EDATA, "it does not begin as a savepoint does"},
        {WEIR_SAVEPOINT_HEAD, 8, 4, 1, WEIR_EFORMAT, "its keys are hashed by version 1, not 2"},
        {WEIR_SAVEPOINT_HEAD, 12, 4, 99999, WEIR_EDATA, "it has more than there can be"},
        {WEIR_SAVEPOINT_HEAD, 16, 4, 1, WEIR_EDATA, "an operator too many"},
        {WEIR_SAVEPOINT_HEAD, 16, 4, 3, WEIR_EDATA, "its catalogue is not whole"},
        {WEIR_SAVEPOINT_HEAD, 20, 4, 4, WEIR_EDATA, "a state too many"},
        {WEIR_SAVEPOINT_HEAD, 24, 4, 1, WEIR_EDATA, "a part too many"},
        {WEIR_SAVEPOINT_HEAD, 28, 2, 200, WEIR_EDATA, "it does not begin as a savepoint does"},
        {WEIR_SAVEPOINT_OPERATOR, 0, 2, 999, WEIR_EDATA, "an operator is malformed"},
        {WEIR_SAVEPOINT_OPERATOR, 2, 1, 'z', WEIR_EDATA, "operators are not in order"},
        {WEIR_SAVEPOINT_OPERATOR, 16, 4, 17, WEIR_EDATA, "an operator is malformed"},
        {WEIR_SAVEPOINT_STATE, 0, 4, 2, WEIR_EDATA, "a state is malformed"},
        {WEIR_SAVEPOINT_STATE, 0, 4, 1, WEIR_EDATA, "states are not in order"},
        {WEIR_SAVEPOINT_STATE, 6, 1, 'z', WEIR_EDATA, "states are not in order"},
        {WEIR_SAVEPOINT_STATE, 10, 1, 3, WEIR_EDATA, "a state is malformed"},
        {WEIR_SAVEPOINT_STATE, 11, 1, 4, WEIR_EDATA, "a state is malformed"},
        {WEIR_SAVEPOINT_STATE, 12, 1, 3, WEIR_EDATA, "a state is malformed"},
        {WEIR_SAVEPOINT_STATE, 13, 2, 999, WEIR_EDATA, "a state is malformed"},
        {WEIR_SAVEPOINT_STATE, 19, 2, 60, WEIR_EDATA, "the fields of a state are malformed"},
        {WEIR_SAVEPOINT_STATE, 24, 1, 63, WEIR_EDATA, "the fields of a state are malformed"},
        {WEIR_SAVEPOINT_STATE, 25, 1, 2, WEIR_EDATA, "the fields of a state are malformed"},
        {WEIR_SAVEPOINT_TABLES, 0, 4, 5, WEIR_EDATA, "the tables of a state are malformed"},
        {WEIR_SAVEPOINT_TABLES, 4, 4, 0, WEIR_EDATA, "the tables of a state are malformed"},
        {WEIR_SAVEPOINT_TABLES, 0, 4, 4, WEIR_EDATA, "the tables of states are not in order"},
        {WEIR_SAVEPOINT_TABLES, 8, 8, 9, WEIR_EDATA, "the tables of a state are not in order"},
        {WEIR_SAVEPOINT_PART, 0, 4, 2, WEIR_EDATA, "a part is malformed"},
        {WEIR_SAVEPOINT_PART, 4, 2, 0, WEIR_EDATA, "a part is malformed"},
        {WEIR_SAVEPOINT_PART, 6, 1, 'z', WEIR_EDATA, "parts are not in order"},
        {WEIR_SAVEPOINT_PART, 14, 1, 8, WEIR_EDATA, "a part is malformed"},
        {WEIR_SAVEPOINT_PART, 14, 1, 0, WEIR_EDATA, "parts are not in order"},
        {WEIR_SAVEPOINT_PART, 15, 4, 1, WEIR_EDATA, "a part is malformed"},
        {WEIR_SAVEPOINT_PART, 19, 4, 7, WEIR_EDATA, "a record is longer than what it says"},
        {WEIR_SAVEPOINT_PART, 0, 4, 1, WEIR_EDATA, "parts are not in order"},
        {WEIR_SAVEPOINT_GROUP, 0, 4, 16, WEIR_EDATA, "a key group is not in order"},
        {WEIR_SAVEPOINT_GROUP, 0, 4, 5, WEIR_EDATA, "a key is of another key group"},
        {WEIR_SAVEPOINT_TABLE, 0, 4, 5, WEIR_EDATA, "a table is malformed"},
        {WEIR_SAVEPOINT_TABLE, 0, 4, 4, WEIR_EDATA, "a table is not in the catalogue"},
        {WEIR_SAVEPOINT_TABLE, 4, 8, 17, WEIR_EDATA, "a table is not in the catalogue"},
        {WEIR_SAVEPOINT_ROWS, 0, 1, 1, WEIR_EDATA, "a row is of no list"},
        {WEIR_SAVEPOINT_ROWS, 0, 1, 9, WEIR_EDATA, "a row is of no list"},
        {WEIR_SAVEPOINT_GROUP_END, 0, 4, 9, WEIR_EDATA, "a key group does not end as it began"},
        {WEIR_SAVEPOINT_GROUP_END, 4, 8, 1, WEIR_EDATA, "not as many rows as it says"},
        {WEIR_SAVEPOINT_GROUP_END, 12, 8, 999, WEIR_EDATA, "not as many rows as it says"},
        {WEIR_SAVEPOINT_END, 0, 4, 15, WEIR_EDATA, "it does not end as it began"},
    };
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(changes); i++) {
        struct stream stream;
        whole(&stream);
        struct records records = records_of(&stream);
        char *record = stream.data + first_of(&records, changes[i].kind)->off;
        memcpy(record + WEIR_SAVEPOINT_HEAD_BYTES + changes[i].off, &changes[i].number,
            changes[i].bytes);
        seal(record);
        print_message("change %u: %s\n", i, changes[i].text);
        assert_error(read_all(&stream), changes[i].err, changes[i].text);
        stream_free(&stream);
    }
}

/* Records that are put elsewhere: number `from` comes again in front of number `to`. */
static void
t_records_have_their_place(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t from;
        uint32_t to; /* kinds, of each the first record; 0: behind the last */
        const char *text;
    } moves[] = {
        {WEIR_SAVEPOINT_HEAD, WEIR_SAVEPOINT_OPERATOR, "a record that has no place here"},
        {WEIR_SAVEPOINT_OPERATOR, WEIR_SAVEPOINT_HEAD, "a record that has no place here"},
        {WEIR_SAVEPOINT_OPERATOR, WEIR_SAVEPOINT_TABLES, "a record that has no place here"},
        {WEIR_SAVEPOINT_PART, WEIR_SAVEPOINT_ROWS, "a record that has no place here"},
        {WEIR_SAVEPOINT_END, 0, "a record that has no place here"},
        {WEIR_SAVEPOINT_TABLE, WEIR_SAVEPOINT_GROUP, "a table is malformed"},
        {WEIR_SAVEPOINT_ROWS, WEIR_SAVEPOINT_TABLE, "rows of no table"},
        {WEIR_SAVEPOINT_GROUP, WEIR_SAVEPOINT_TABLE, "a key group is not in order"},
        {WEIR_SAVEPOINT_TABLE, WEIR_SAVEPOINT_ROWS, "tables of a key group are not in order"},
        {WEIR_SAVEPOINT_ROWS, WEIR_SAVEPOINT_ROWS, "a key stands there twice"},
        {WEIR_SAVEPOINT_END, WEIR_SAVEPOINT_TABLE, "it does not end as it began"},
        {WEIR_SAVEPOINT_GROUP_END, WEIR_SAVEPOINT_END, "a key group does not end as it began"},
        {WEIR_SAVEPOINT_END, WEIR_SAVEPOINT_GROUP, "a record that has no place here"},
    };
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(moves); i++) {
        struct stream from;
        struct stream to = {0};
        whole(&from);
        struct records records = records_of(&from);
        const struct record *moved = first_of(&records, moves[i].from);
        size_t at = moves[i].to != 0 ? first_of(&records, moves[i].to)->off : from.bytes;
        stream_add(&to, from.data, at);
        stream_add(&to, from.data + moved->off, moved->bytes);
        stream_add(&to, from.data + at, from.bytes - at);
        print_message("move %u: %s\n", i, moves[i].text);
        assert_error(read_all(&to), WEIR_EDATA, moves[i].text);
        stream_free(&from);
        stream_free(&to);
    }
}

static void
t_heads_are_checked(void **unused)
{
    (void)unused;
    struct stream stream;
    whole(&stream);
    stream.data[5] = 2;
    seal(stream.data);
    assert_error(read_all(&stream), WEIR_EFORMAT, "a savepoint of version 2, this program reads 1");
    stream.data[5] = 1;
    stream.data[4] = WEIR_SAVEPOINT_KIND_CNT;
    seal(stream.data);
    assert_error(read_all(&stream), WEIR_EDATA, "a record that has no place here");
    stream.data[4] = WEIR_SAVEPOINT_HEAD;
    seal(stream.data);
    assert_int_equal(read_all(&stream), 0);
    memset(stream.data, 0xff, 4);
    assert_error(read_all(&stream), WEIR_EDATA,
        "byte 0 of the savepoint's rows: a record is longer "
        "than any may be");
    stream_free(&stream);
}

/* Rows that end in their middle, and one more byte behind them. */
static void
t_rows_are_whole(void **unused)
{
    (void)unused;
    for (uint32_t more = 0; more < 2; more++) {
        struct stream from;
        struct stream to = {0};
        whole(&from);
        struct records records = records_of(&from);
        const struct record *rows = first_of(&records, WEIR_SAVEPOINT_ROWS);
        uint32_t body = rows->bytes - WEIR_SAVEPOINT_HEAD_BYTES + (more ? 1 : -1U);
        stream_add(&to, from.data, rows->off + rows->bytes - (more ? 0 : 1));
        if (more) {
            stream_add(&to, "", 1);
        }
        memcpy(to.data + rows->off, &body, sizeof body);
        seal(to.data + rows->off);
        stream_add(&to, from.data + rows->off + rows->bytes, from.bytes - rows->off - rows->bytes);
        assert_error(read_all(&to), WEIR_EDATA, "a row is malformed");
        stream_free(&from);
        stream_free(&to);
    }
}

/* An error of who reads ends it, and stays. */
static int
refuse_row(void *arg, const struct weir_savepoint_row *row)
{
    (void)row;
    ++*(uint32_t *)arg;
    return WEIR_ECANCELED;
}

static int
refuse_all(void *arg, const struct weir_savepoint *savepoint)
{
    (void)arg;
    (void)savepoint;
    return WEIR_ETIMEOUT;
}

static void
t_errors_of_the_taker_stay(void **unused)
{
    (void)unused;
    uint32_t cnt = 0;
    struct stream stream;
    struct weir_savepoint_reader *reader;
    const struct weir_savepoint_events row = {NULL, refuse_row, &cnt};
    const struct weir_savepoint_events all = {refuse_all, refuse_row, &cnt};
    whole(&stream);
    assert_int_equal(stream_read(&stream, &row, 1, &reader), WEIR_ECANCELED);
    assert_int_equal(weir_savepoint_take(reader, stream.data, 1, 0), WEIR_ECANCELED);
    assert_int_equal(weir_savepoint_reader_end(reader), WEIR_ECANCELED);
    assert_int_equal(cnt, 1);
    weir_savepoint_reader_close(reader);
    assert_int_equal(stream_read(&stream, &all, 1, &reader), WEIR_ETIMEOUT);
    assert_int_equal(cnt, 1);
    weir_savepoint_reader_close(reader);
    stream_free(&stream);
}

/* ---- state that cannot be written ---- */

static int
no_move(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    (void)op;
    (void)table;
    (void)mover;
    (void)val;
    return 0;
}

static void
t_state_must_be_told_apart(void **unused)
{
    (void)unused;
    static const struct weir_state_desc hidden[] = {
        {"value", no_move, NULL}, {"wide", NULL, NULL}, {"text", NULL, &fake_text_values}};
    static const struct weir_operator_type mute = {
        .name = "mute", .states = hidden, .state_cnt = WEIR_ARRAY_CNT(hidden)};
    struct weir_savepoint_task twice[2];
    struct weir_savepoint_spec spec = {.job = "twice", .tasks = twice, .task_cnt = 2};
    struct stream stream;
    struct fake_job job;
    fake_open(&job, 2, false);
    fake_fill(&job, 1, 50);
    twice[0] = job.task[0];
    twice[1] = job.task[0];
    assert_error(stream_write(&spec, 1, 1, &stream), WEIR_ESTATE, "cannot be told apart");
    spec.writer_idx = 3;
    struct weir_savepoint_source *source;
    assert_error(weir_savepoint_source_open(&spec, &source), WEIR_EINVAL, "writer 3 of 0");
    twice[1].op_cnt = 0;
    spec.writer_idx = 0;
    assert_error(stream_write(&spec, 1, 1, &stream), WEIR_ESTATE, "which is no operator's");
    job.stage[0].op[0].type = &mute;
    assert_error(fake_write(&job, 1, &stream), WEIR_ESTATE,
        "state value of operator first-1 refers to other pages and does not say what its values "
        "are");
    fake_close(&job);
}

static void
t_subtasks_must_agree(void **unused)
{
    (void)unused;
    struct fake_job job;
    struct stream stream;
    struct weir_table *table;
    fake_open(&job, 2, false);
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_table_spec spec = {0, WEIR_KEY_8, i == 0 ? 16 : 24, 0};
        assert_int_equal(weir_state_take(&job.stage[i].op[0], "wide", &spec, 0, &table), 0);
    }
    assert_error(fake_write(&job, 1, &stream), WEIR_ESTATE,
        "state wide of operator first-1: its subtasks do not agree");
    fake_close(&job);
}

static void
t_long_texts_in_values_are_refused(void **unused)
{
    (void)unused;
    struct fake_job job;
    struct stream stream;
    struct fake_entry entry;
    struct fake_stage *stage;
    struct weir_table *table;
    fake_open(&job, 1, false);
    fake_put(&job, FAKE_VALUES, 1);
    fake_entry_make(&job, FAKE_VALUES, 1, &entry);
    assert_int_equal(weir_state_find(fake_owner(&job, &entry, &stage), entry.name, &entry.spec,
                         entry.ns, &table),
        0);
    struct fake_value *value = weir_table_find(table, entry.hash, entry.key, NULL);
    value->word.bytes = WEIR_STR_INLINE_BYTES + 1;
    assert_error(fake_write(&job, 1, &stream), WEIR_ESTATE,
        "field word: a string of 13 bytes in a value of a state: at most 12 can be kept");
    stream_free(&stream);
    fake_close(&job);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_every_byte_is_covered),
        cmocka_unit_test(t_cut_off_is_seen),
        cmocka_unit_test(t_lies_are_seen),
        cmocka_unit_test(t_records_have_their_place),
        cmocka_unit_test(t_heads_are_checked),
        cmocka_unit_test(t_rows_are_whole),
        cmocka_unit_test(t_errors_of_the_taker_stay),
        cmocka_unit_test(t_state_must_be_told_apart),
        cmocka_unit_test(t_subtasks_must_agree),
        cmocka_unit_test(t_long_texts_in_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
