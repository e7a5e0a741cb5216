/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints read by another version of a job: fields come, go and widen by name; what else has
 * changed is named; what nobody takes up is refused, or left behind where that was asked for. And
 * how the parts of all subtasks become those of one. */
#include <math.h>

#include "tests/unit/savepoint_fake_check.h"

#define ENTRY_CNT 300
#define SEED 7

/* What a job with this conf has left. */
static void
left_by(const struct fake_conf *conf, uint32_t subtasks, struct stream *stream)
{
    struct fake_job job;
    fake_open_conf(&job, subtasks, false, conf);
    fake_fill(&job, SEED, ENTRY_CNT);
    assert_int_equal(fake_write(&job, 1, stream), 0);
    fake_close(&job);
}

/* ---- fields ---- */

/* FAKE_VALUE of the next version: flag and word are gone, others stand elsewhere, small is wider,
 * and two are new. */
#define NEXT_VALUE(F) \
    F(f64, real)      \
    F(i64, small) F(i64, added) F(time, when) F(dec3, price) F(i64, big) F(str, new_word)
WEIR_SCHEMA(next_value, NEXT_VALUE)
#define REAL_VALUE(F) F(f64, small)
WEIR_SCHEMA(real_value, REAL_VALUE)

struct next_row {
    uint64_t nulls;
    struct weir_str more;
    int64_t small;
    int64_t id;
};
static const struct weir_field next_row_fields[] = {
    {"more", WEIR_TYPE_STR, 0, offsetof(struct next_row, more), 16, true},
    {"small", WEIR_TYPE_I64, 0, offsetof(struct next_row, small), 8, true},
    {"id", WEIR_TYPE_I64, 0, offsetof(struct next_row, id), 8, true}};
static const struct weir_schema next_row_schema = {
    "next_row", next_row_fields, 3, sizeof(struct next_row), -1, true};

static const void *
value_of(struct fake_job *job, const struct fake_entry *entry, struct weir_table **ret_table)
{
    struct fake_stage *stage;
    struct weir_operator *op = fake_owner(job, entry, &stage);
    assert_int_equal(weir_state_find(op, entry->name, &entry->spec, entry->ns, ret_table), 0);
    return *ret_table != NULL ? weir_table_find(*ret_table, entry->hash, entry->key, entry->text)
                              : NULL;
}

static void
check_row(const struct fake_entry *entry, uint32_t i, const struct weir_state_row *row)
{
    char heap[FAKE_LONG_BYTES];
    struct fake_row was;
    struct next_row is;
    fake_row_make(entry, i, heap, &was);
    memcpy(&is, row->row, sizeof is);
    bool is_null = (was.nulls & 4) != 0;
    assert_int_equal(is.nulls, 1 | (is_null ? 2 : 0)); /* the new one is null, id never */
    assert_int_equal(is.small, is_null ? 0 : (int64_t)(int32_t)was.small);
    assert_int_equal(is.id, was.id);
    assert_int_equal(row->word[1], was.id);
}

static void
t_fields_come_go_and_widen(void **unused)
{
    (void)unused;
    const struct fake_conf next = {.value = next_value_schema(),
        .row = &next_row_schema,
        .list_name = "rows",
        .wide_bytes = 40};
    struct stream stream;
    struct fake_job job;
    uint32_t value_cnt = 0;
    uint32_t row_cnt = 0;
    left_by(&fake_conf, 2, &stream);
    fake_open_conf(&job, 3, true, &next);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    for (uint64_t number = 0; number < ENTRY_CNT; number++) {
        struct fake_entry entry;
        struct fake_value was;
        struct weir_table *table;
        fake_entry_make(&job, FAKE_VALUES, number, &entry);
        fake_value_make(&entry, &was, sizeof was);
        const struct next_value *is = value_of(&job, &entry, &table);
        if (is != NULL) {
            value_cnt++;
            assert_true(is->real == was.real);
            assert_int_equal(is->small, was.small);
            assert_int_equal(is->added, 0);
            assert_int_equal(is->when, was.when);
            assert_int_equal(is->price, was.price);
            assert_int_equal(is->big, was.big);
            assert_int_equal(is->new_word.bytes, 0);
        }
        fake_entry_make(&job, FAKE_LISTS, number, &entry);
        const struct fake_lists *lists = value_of(&job, &entry, &table);
        struct weir_state_room room = {NULL, 0};
        struct weir_state_walk walk = {.table = table, .val = lists, .room = &room};
        struct weir_state_row row;
        for (uint32_t i = 0;
             lists != NULL && weir_row_list_next(&walk, &next_row_schema, &lists->rows, &row) > 0;
             i++) {
            check_row(&entry, i, &row);
            row_cnt++;
        }
        free(room.mem);
    }
    assert_true(value_cnt > 30 && row_cnt > 50);
    fake_close(&job);
    stream_free(&stream);
}

/* A field that is new has what a fresh value has. */
static void
t_new_fields_are_fresh(void **unused)
{
    (void)unused;
    struct fake_conf next = fake_conf;
    struct stream stream;
    struct fake_job job;
    uint32_t cnt = 0;
    next.value = next_value_schema();
    next.is_fresh = true;
    left_by(&fake_conf, 1, &stream);
    fake_open_conf(&job, 1, false, &next);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    for (uint64_t number = 0; number < ENTRY_CNT; number++) {
        struct fake_entry entry;
        struct weir_table *table;
        fake_entry_make(&job, FAKE_VALUES, number, &entry);
        const struct next_value *is = value_of(&job, &entry, &table);
        if (is != NULL) {
            assert_int_equal(is->added, INT64_C(0x0101010101010101));
            cnt++;
        }
    }
    assert_true(cnt > 30);
    fake_close(&job);
    stream_free(&stream);
}

static void
t_an_i32_becomes_a_real(void **unused)
{
    (void)unused;
    struct fake_conf next = fake_conf;
    struct stream stream;
    struct fake_job job;
    uint32_t cnt = 0;
    next.value = real_value_schema();
    left_by(&fake_conf, 1, &stream);
    fake_open_conf(&job, 1, false, &next);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    for (uint64_t number = 0; number < ENTRY_CNT; number++) {
        struct fake_entry entry;
        struct fake_value was;
        struct weir_table *table;
        fake_entry_make(&job, FAKE_VALUES, number, &entry);
        fake_value_make(&entry, &was, sizeof was);
        const struct real_value *is = value_of(&job, &entry, &table);
        if (is != NULL) {
            assert_true(is->small == (double)was.small);
            cnt++;
        }
    }
    assert_true(cnt > 30);
    fake_close(&job);
    stream_free(&stream);
}

#define ONE(name, type, field) WEIR_SCHEMA(name, ONE_##name)
#define ONE_small_str(F) F(str, small)
#define ONE_big_i32(F) F(i32, big)
#define ONE_big_f64(F) F(f64, big)
#define ONE_real_i64(F) F(i64, real)
#define ONE_word_i64(F) F(i64, word)
#define ONE_price_i64(F) F(i64, price)
#define ONE_flag_i32(F) F(i32, flag)
#define ONE_when_i64(F) F(i64, when)
ONE(small_str, str, small)
ONE(big_i32, i32, big)
ONE(big_f64, f64, big)
ONE(real_i64, i64, real)
ONE(word_i64, i64, word)
ONE(price_i64, i64, price)
ONE(flag_i32, i32, flag)
ONE(when_i64, i64, when)

static const struct weir_field scale_fields[] = {{"price", WEIR_TYPE_DEC, 5, 0, 8, false}};
static const struct weir_schema scale_schema = {"scale", scale_fields, 1, 8, -1, false};
static const struct weir_field strict_fields[] = {
    {"small", WEIR_TYPE_I32, 0, offsetof(struct fake_row, small), 4, false}};
static const struct weir_schema strict_schema = {
    "strict", strict_fields, 1, sizeof(struct fake_row), -1, true};

/* To a job with this conf: the error, and what it says. */
static void
refused(const struct stream *stream, const struct fake_conf *conf, const char *text)
{
    struct fake_job job;
    fake_open_conf(&job, 1, false, conf);
    assert_error(fake_load(&job, stream, false), WEIR_ESTATE, text);
    assert_error(
        fake_load(&job, stream, true), WEIR_ESTATE, text); /* no matter of leaving behind */
    fake_close(&job);
}

static void
t_other_changes_are_named(void **unused)
{
    (void)unused;
    const struct {
        const struct weir_schema *schema;
        const char *text;
    } value[] = {
        {small_str_schema(), "state value of operator first-1: field small was saved as i32, now "
                             "it is string"},
        {big_i32_schema(), "field big was saved as i64, now it is i32"},
        {big_f64_schema(), "field big was saved as i64, now it is f64"},
        {real_i64_schema(), "field real was saved as f64, now it is i64"},
        {word_i64_schema(), "field word was saved as string, now it is i64"},
        {price_i64_schema(), "field price was saved as decimal(3), now it is i64"},
        {flag_i32_schema(), "field flag was saved as bool, now it is i32"},
        {when_i64_schema(), "field when was saved as timestamp, now it is i64"},
        {&scale_schema, "field price was saved as decimal(3), now it is decimal(5)"},
    };
    struct stream stream;
    left_by(&fake_conf, 1, &stream);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(value); i++) {
        struct fake_conf conf = fake_conf;
        conf.value = value[i].schema;
        refused(&stream, &conf, value[i].text);
    }
    struct fake_conf rows = fake_conf;
    rows.row = &strict_schema;
    refused(&stream, &rows,
        "state lists of operator second-2: field rows.small was saved as nullable i32, now it is "
        "i32");
    struct fake_conf keyless = fake_conf;
    keyless.has_no_key = true;
    refused(&stream, &keyless, "state value of operator first-1 was saved with key i64");
    stream_free(&stream);
}

/* A list that nobody has now is dropped, its rows too. */
static void
t_a_list_may_go(void **unused)
{
    (void)unused;
    struct fake_conf next = fake_conf;
    struct stream stream;
    struct fake_job job;
    uint32_t cnt = 0;
    next.list_name = "others";
    left_by(&fake_conf, 1, &stream);
    fake_open_conf(&job, 1, false, &next);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    for (uint64_t number = 0; number < ENTRY_CNT; number++) {
        struct fake_entry entry;
        struct weir_table *table;
        fake_entry_make(&job, FAKE_LISTS, number, &entry);
        const struct fake_lists *lists = value_of(&job, &entry, &table);
        if (lists != NULL) {
            assert_int_equal(lists->rows.last, 0);
            assert_int_equal(lists->cnt, number);
            cnt++;
        }
    }
    assert_true(cnt > 30);
    fake_close(&job);
    stream_free(&stream);
}

/* Opaque values come back as they were; whether they fit is the operator's to see at its open. */
static void
t_opaque_values_are_compared_by_length(void **unused)
{
    (void)unused;
    struct stream stream;
    struct fake_job job;
    struct fake_entry entry;
    struct fake_stage *stage;
    struct weir_table *table;
    left_by(&fake_conf, 1, &stream);
    struct fake_conf next = fake_conf;
    next.wide_bytes = 64;
    fake_open_conf(&job, 1, false, &next);
    assert_int_equal(fake_load(&job, &stream, false), 0);
    fake_entry_make(&job, FAKE_WIDE, 1, &entry);
    struct weir_operator *op = fake_owner(&job, &entry, &stage);
    assert_error(weir_state_find(op, "wide", &entry.spec, 0, &table), WEIR_ESTATE,
        "values of 40 bytes; now they are of kind 1 and 64 bytes");
    fake_close(&job);
    stream_free(&stream);
}

/* ---- what nobody takes up ---- */

static int
check(const struct stream *stream, struct weir_operator *const *ops, uint32_t cnt, bool may_drop,
    uint32_t *ret_dropped)
{
    const uint32_t max[2] = {FAKE_GROUP_CNT, FAKE_GROUP_CNT};
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    const struct weir_savepoint_ops with = {ops, max, cnt, may_drop};
    struct weir_savepoint_reader *reader;
    assert_int_equal(stream_read(stream, &none, 1, &reader), 0);
    int err = weir_savepoint_check(weir_savepoint_reader_catalogue(reader), &with, ret_dropped);
    weir_savepoint_reader_close(reader);
    return err;
}

static void
t_state_is_not_lost_silently(void **unused)
{
    (void)unused;
    static const struct weir_operator_type less = {
        .name = "less", .states = fake_first_states, .state_cnt = 2, .restore = fake_restore};
    struct stream stream;
    struct fake_job job;
    uint32_t dropped = 77;
    left_by(&fake_conf, 2, &stream);
    fake_open(&job, 1, false);
    struct weir_operator *first = &job.stage[0].op[0];
    struct weir_operator *ops[2] = {first, &job.stage[0].op[1]};
    assert_int_equal(check(&stream, ops, 2, false, &dropped), 0);
    assert_int_equal(dropped, 0);
    assert_error(check(&stream, ops, 1, false, &dropped), WEIR_ESTATE,
        "the savepoint has state of operator second-2 (second), which the job does not take up");
    assert_int_equal(check(&stream, ops, 1, true, &dropped), 0);
    assert_int_equal(dropped, 1);
    first->type = &less;
    assert_error(check(&stream, ops, 2, false, &dropped), WEIR_ESTATE,
        "the savepoint has state text of operator first-1");
    assert_int_equal(check(&stream, ops, 2, true, &dropped), 0);
    assert_int_equal(dropped, 1);
    assert_int_equal(fake_load(&job, &stream, true), 0); /* loading passes it over, too */
    fake_close(&job);
    stream_free(&stream);
}

static void
t_other_key_groups_are_refused(void **unused)
{
    (void)unused;
    struct stream stream;
    struct fake_job job;
    left_by(&fake_conf, 1, &stream);
    fake_open(&job, 1, false);
    job.group_cnt = 2 * FAKE_GROUP_CNT;
    assert_error(fake_load(&job, &stream, true), WEIR_ESTATE,
        "operator first-1 was saved with max_parallelism 16, now it has 32");
    /* The stage itself looks, too. */
    struct weir_savepoint_reader *reader;
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    struct weir_savepoint_load *load;
    const uint32_t max[2] = {FAKE_GROUP_CNT, FAKE_GROUP_CNT};
    const struct weir_savepoint_ops ops = {job.stage[0].ops, max, 2, false};
    job.stage[0].arena.spec.max_parallelism = 32;
    assert_int_equal(stream_read(&stream, &none, 1, &reader), 0);
    assert_error(weir_savepoint_load_open(
                     weir_savepoint_reader_catalogue(reader), &job.stage[0].arena, &ops, &load),
        WEIR_ESTATE, "operator first-1 was saved with max_parallelism 16");
    weir_savepoint_reader_close(reader);
    fake_close(&job);
    stream_free(&stream);
}

/* ---- parts ---- */

static void
put_list(
    struct weir_parts_writer *writer, const char *name, const uint64_t (*items)[2], uint32_t cnt)
{
    weir_state_list_begin(writer, name, 1, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        weir_state_item(writer, sizeof items[i]);
        weir_parts_put(writer, items[i], sizeof items[i]);
    }
    weir_state_list_end(writer);
}

struct left_parts {
    int64_t least;
    uint32_t cnt;
    uint64_t items[3][2];
};

static void
parts_begin(struct fake_stage *stage, struct weir_parts_writer *writer)
{
    free(stage->parts);
    stage->parts = calloc(1, FAKE_PARTS_BYTES);
    assert_non_null(stage->parts);
    weir_parts_writer_init(writer, stage->parts, FAKE_PARTS_BYTES);
    weir_parts_writer_of(writer, "first-1");
}

static void
parts_end(struct fake_job *job, uint32_t idx, struct weir_parts_writer *writer)
{
    struct fake_stage *stage = &job->stage[idx];
    size_t bytes;
    assert_int_equal(weir_parts_finish(writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&stage->reader, stage->parts, bytes), 0);
    job->task[idx].parts = &stage->reader;
}

static void
parts_leave(struct fake_job *job, uint32_t idx, const struct left_parts *left)
{
    struct weir_parts_writer writer;
    parts_begin(&job->stage[idx], &writer);
    weir_state_put_word(&writer, "least", left->least);
    weir_state_put_word(&writer, "hint", left->least);
    put_list(&writer, "list", left->items, left->cnt);
    put_list(&writer, "bag", left->items, left->cnt);
    put_list(&writer, "union", left->items, left->cnt);
    parts_end(job, idx, &writer);
}

/* The items of a list part of subtask idx, as text. */
static void
items_text(const struct weir_parts_reader *reader, const char *name, char *ret_text)
{
    struct weir_part part;
    uint64_t cnt;
    *ret_text = '\0';
    assert_int_equal(weir_parts_find(reader, name, 1, &part), 0);
    assert_int_equal(weir_part_get_u64(&part, &cnt), 0);
    for (uint64_t i = 0; i < cnt; i++) {
        uint64_t bytes;
        int64_t item[2];
        assert_int_equal(weir_part_get_u64(&part, &bytes), 0);
        assert_int_equal(bytes, sizeof item);
        assert_int_equal(weir_part_get(&part, item, sizeof item), 0);
        ret_text += snprintf(ret_text, 64, "(%lld %lld)", (long long)item[0], (long long)item[1]);
    }
    assert_int_equal(weir_part_end(&part), 0);
}

/* The readers of an operator's parts, from the stream of the job. */
static uint32_t
parts_of(const struct fake_job *job, struct weir_parts_reader **ret_readers)
{
    struct stream stream;
    struct weir_savepoint_reader *reader;
    const struct weir_savepoint_events none = {NULL, NULL, NULL};
    uint32_t cnt;
    assert_int_equal(fake_write(job, 2, &stream), 0);
    assert_int_equal(stream_read(&stream, &none, 3, &reader), 0);
    const struct weir_savepoint *savepoint = weir_savepoint_reader_catalogue(reader);
    assert_int_equal(weir_savepoint_parts(savepoint, "nobody", ret_readers, &cnt), 0);
    assert_null(*ret_readers);
    assert_int_equal(cnt, 0);
    assert_int_equal(weir_savepoint_parts(savepoint, "first-1", ret_readers, &cnt), 0);
    weir_savepoint_reader_close(reader);
    stream_free(&stream);
    return cnt;
}

static const struct left_parts left[2] = {
    {-2, 3, {{9, 1}, {(uint64_t)-3, 5}, {4, 4}}}, {40, 2, {{4, 4}, {1, 0}}}};

static void
t_parts_become_those_of_one(void **unused)
{
    (void)unused;
    static const char *const want[][2] = {{"list", "(9 1)(-3 5)(4 4)(4 4)(1 0)"},
        {"bag", "(-3 5)(1 0)(4 4)(4 4)(9 1)"}, {"union", "(-3 5)(1 0)(4 4)(9 1)"}};
    struct fake_job job;
    struct weir_parts_reader *readers;
    struct weir_part part;
    uint64_t word;
    char text[512];
    fake_open(&job, 2, false);
    parts_leave(&job, 0, &left[0]);
    parts_leave(&job, 1, &left[1]);
    assert_int_equal(parts_of(&job, &readers), 1);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(want); i++) {
        items_text(readers, want[i][0], text);
        assert_string_equal(text, want[i][1]);
    }
    assert_int_equal(weir_parts_find(readers, "least", 1, &part), 0);
    assert_int_equal(weir_part_get_u64(&part, &word), 0);
    assert_int_equal((int64_t)word, -2);
    assert_int_equal(weir_parts_find(readers, "hint", 1, &part), 0);
    assert_int_equal(weir_part_get_u64(&part, &word), 0);
    assert_int_equal(word, 0);
    free(readers);
    fake_close(&job);
}

/* A part that the operator does not name, or two items that clash: each subtask has its own
 * back. */
static void
t_parts_of_subtasks_stay(void **unused)
{
    (void)unused;
    for (uint32_t how = 0; how < 2; how++) {
        const struct left_parts clash = {1, 1, {{4, 5}}};
        struct fake_job job;
        struct weir_parts_reader *readers;
        struct weir_parts_writer writer;
        char text[512];
        fake_open(&job, 3, false);
        parts_leave(&job, 0, &left[0]);
        if (how == 0) {
            parts_leave(&job, 2, &clash);
        } else {
            parts_begin(&job.stage[2], &writer);
            weir_state_put_word(&writer, "unnamed", 3);
            put_list(&writer, "union", clash.items, 1);
            parts_end(&job, 2, &writer);
        }
        assert_int_equal(parts_of(&job, &readers), 2);
        items_text(&readers[0], "list", text);
        assert_string_equal(text, "(9 1)(-3 5)(4 4)");
        items_text(&readers[1], "union", text);
        assert_string_equal(text, "(4 5)");
        assert_int_equal(weir_parts_has(&readers[1], "unnamed"), how == 1);
        free(readers);
        fake_close(&job);
    }
}

static void
t_bad_parts_are_refused(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {"part least of operator first-1, subtask 0, is malformed",
        "part bag of operator first-1, subtask 0, is malformed",
        "part bag of operator first-1, subtask 0, is malformed",
        "part bag of operator first-1, subtask 0, is malformed",
        "part least of operator first-1 is of several versions",
        "part least is of operator elsewhere, which the stage has not"};
    for (uint32_t how = 0; how < WEIR_ARRAY_CNT(wrong); how++) {
        struct weir_parts_writer writer;
        struct fake_job job;
        struct stream stream;
        fake_open(&job, 2, false);
        parts_begin(&job.stage[0], &writer);
        if (how == 5) {
            weir_parts_writer_of(&writer, "elsewhere");
        }
        weir_parts_begin(&writer, how == 0 || how >= 4 ? "least" : "bag", 1);
        weir_parts_put(&writer, "four", 4);
        if (how > 0) { /* 8 bytes: one item; how == 1: less than the count */
            weir_parts_put(&writer, how == 1 ? "x" : "\0\0\0\0", how == 1 ? 1 : 4);
        }
        if (how == 3) {
            weir_parts_put_u64(&writer, 1); /* behind its end: it says none */
        }
        weir_parts_end(&writer);
        if (how == 2 || how == 3) { /* begin anew: one item of 9 bytes, of which none is there */
            parts_begin(&job.stage[0], &writer);
            weir_parts_begin(&writer, "bag", 1);
            weir_parts_put_u64(&writer, how == 2 ? 1 : 0);
            weir_parts_put_u64(&writer, 9);
            weir_parts_end(&writer);
        }
        parts_end(&job, 0, &writer);
        if (how == 4) {
            parts_begin(&job.stage[1], &writer);
            weir_parts_begin(&writer, "least", 2);
            weir_parts_put_u64(&writer, 1);
            weir_parts_end(&writer);
            parts_end(&job, 1, &writer);
        }
        assert_error(fake_write(&job, 1, &stream), how == 5 ? WEIR_ESTATE : WEIR_EDATA, wrong[how]);
        stream_free(&stream);
        fake_close(&job);
    }
}

static void
chain_leave(struct fake_job *job, uint32_t idx, const int64_t *words, uint32_t cnt)
{
    struct weir_parts_writer writer;
    parts_begin(&job->stage[idx], &writer);
    weir_parts_begin(&writer, "chain", 1);
    for (uint32_t i = 0; i < cnt; i++) {
        weir_parts_put_u64(&writer, (uint64_t)words[i]);
    }
    weir_parts_end(&writer);
    weir_state_put_word(&writer, "gate.3", 3);
    weir_parts_writer_of(&writer, "");
    weir_state_put_word(&writer, "ledger.in", 3);
    parts_end(job, idx, &writer);
}

/* What the engine keeps for an operator: the least watermarks; what is of a run is left behind. */
static void
t_watermarks_are_the_least(void **unused)
{
    (void)unused;
    const int64_t words[2][9] = {
        {50, 1, 2, 40, 0, 60, 2, 40, 1}, {45, 0, 2, 45, 1, 45, 2, WEIR_TIME_MIN, 0}};
    const int64_t want[9] = {45, 0, 2, 40, 0, 45, 0, WEIR_TIME_MIN, 0};
    struct fake_job job;
    struct stream stream;
    struct weir_parts_reader *readers;
    struct weir_part part;
    fake_open(&job, 2, false);
    chain_leave(&job, 0, words[0], 9);
    chain_leave(&job, 1, words[1], 9);
    assert_int_equal(parts_of(&job, &readers), 1);
    assert_int_equal(readers[0].part_cnt, 1);
    assert_int_equal(weir_parts_find(readers, "chain", 1, &part), 0);
    assert_int_equal(part.bytes, sizeof want);
    assert_memory_equal(part.data, want, sizeof want);
    free(readers);
    chain_leave(&job, 1, words[1], 7);
    assert_error(fake_write(&job, 1, &stream), WEIR_EDATA,
        "part chain of operator first-1, subtask 1, is malformed");
    stream_free(&stream);
    chain_leave(&job, 0, words[1], 4);
    assert_error(fake_write(&job, 1, &stream), WEIR_EDATA, "subtask 0, is malformed");
    stream_free(&stream);
    fake_close(&job);
}

/* An operator that has no restore() would lose its parts. */
static void
t_parts_need_a_taker(void **unused)
{
    (void)unused;
    static struct weir_operator_type deaf;
    struct stream stream;
    struct fake_job job;
    uint32_t dropped;
    fake_open(&job, 1, false);
    parts_leave(&job, 0, &left[0]);
    assert_int_equal(fake_write(&job, 1, &stream), 0);
    deaf = fake_first_type;
    deaf.restore = NULL;
    job.stage[0].op[0].type = &deaf;
    struct weir_operator *ops[1] = {&job.stage[0].op[0]};
    assert_error(check(&stream, ops, 1, false, &dropped), WEIR_ESTATE,
        "the savepoint has parts of operator first-1");
    assert_int_equal(check(&stream, ops, 1, true, &dropped), 0);
    assert_int_equal(dropped, 1);
    stream_free(&stream);
    fake_close(&job);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_fields_come_go_and_widen),
        cmocka_unit_test(t_new_fields_are_fresh),
        cmocka_unit_test(t_an_i32_becomes_a_real),
        cmocka_unit_test(t_other_changes_are_named),
        cmocka_unit_test(t_a_list_may_go),
        cmocka_unit_test(t_opaque_values_are_compared_by_length),
        cmocka_unit_test(t_state_is_not_lost_silently),
        cmocka_unit_test(t_other_key_groups_are_refused),
        cmocka_unit_test(t_parts_become_those_of_one),
        cmocka_unit_test(t_parts_of_subtasks_stay),
        cmocka_unit_test(t_bad_parts_are_refused),
        cmocka_unit_test(t_watermarks_are_the_least),
        cmocka_unit_test(t_parts_need_a_taker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
