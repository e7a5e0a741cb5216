/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_fake.h: operators without a chain whose states are filled by hand, and the stages that
 * they lie in: values of all types, opaque ones, lists with texts and nulls, keys of all kinds,
 * timers. What stands under a key follows from the key, so that a test can look for it again.
 *
 *     struct fake_job job;  fake_open(&job, 2, true)   2 subtasks, cut: a stage for each operator
 *     fake_fill(&job, seed, 500)                       the same entries, however it is cut
 *     fake_write(&job, writers, &stream)
 *     fake_check(&job, seed, 500)                      all of them are there, and nothing else
 */
#ifndef WEIR_TESTS_UNIT_SAVEPOINT_FAKE_H
#define WEIR_TESTS_UNIT_SAVEPOINT_FAKE_H

#include "base/hash.h"
#include "dataplane/row_list.h"
#include "dataplane/timer.h"
#include "tests/unit/savepoint_stream.h"

#define FAKE_GROUP_CNT 16
#define FAKE_ARENA_BYTES (16 * WEIR_MIB)
#define FAKE_SUBTASK_CNT_MAX 3
#define FAKE_NS_CNT 3
#define FAKE_PARTS_BYTES 4096
#define FAKE_LONG_BYTES 3000

/* A value; each field of another type. */
#define FAKE_VALUE(F) \
    F(bool, flag) F(i32, small) F(i64, big) F(f64, real) F(ts, when) F(dec3, price) F(str, word)
WEIR_SCHEMA(fake_value, FAKE_VALUE)

/* A row of a list: null mask first. */
struct fake_row {
    uint64_t nulls;
    int64_t id;
    struct weir_str text;
    int64_t small;
};
static const struct weir_field fake_row_fields[] = {
    {"id", WEIR_TYPE_I64, 0, offsetof(struct fake_row, id), 8, false},
    {"text", WEIR_TYPE_STR, 0, offsetof(struct fake_row, text), 16, true},
    {"small", WEIR_TYPE_I32, 0, offsetof(struct fake_row, small), 4, true}};
static const struct weir_schema fake_row_schema = {
    "fake_row", fake_row_fields, 3, sizeof(struct fake_row), -1, true};

struct fake_lists {
    struct weir_row_list rows;
    int32_t cnt;
};

/* What the operators are, so that tests can change it. */
struct fake_conf {
    const struct weir_schema *value;
    const struct weir_schema *row;
    const char *list_name;
    uint32_t wide_bytes;
    bool has_no_key;
    bool is_fresh; /* fresh sets all bytes of a value to 1 */
};
static const struct fake_conf *
fake_conf_of(const struct weir_operator *op)
{
    return op->conf;
}

/* ---- operators ---- */

static int
fake_value_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    const struct weir_schema *schema = fake_conf_of(op)->value;
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        fields->field[fields->field_cnt++].field = schema->fields[i];
    }
    fields->val_bytes = schema->row_bytes;
    fields->has_no_key = fake_conf_of(op)->has_no_key;
    return 0;
}

static int
fake_value_fresh(const struct weir_operator *op, const struct weir_state_desc *desc, void *val)
{
    (void)desc;
    if (fake_conf_of(op)->is_fresh) {
        memset(val, 1, fake_conf_of(op)->value->row_bytes);
    }
    return 0;
}

static int
fake_text_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    (void)op;
    weir_state_put_field(fields, "n", WEIR_TYPE_I64, 0);
    fields->tail[0] = "pane";
    return 0;
}

static int
fake_lists_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    struct weir_state_field *list = &fields->field[fields->field_cnt++];
    list->field = (struct weir_field){.name = fake_conf_of(op)->list_name, .type = WEIR_STATE_LIST};
    list->items = fake_conf_of(op)->row;
    list->word[0] = "@time";
    list->word[1] = "@tag";
    fields->field[fields->field_cnt++].field = (struct weir_field){
        "cnt", WEIR_TYPE_I32, 0, offsetof(struct fake_lists, cnt), sizeof(int32_t), false};
    fields->val_bytes = sizeof(struct fake_lists);
    return 0;
}

static int
fake_lists_next(
    const struct weir_operator *op, struct weir_state_walk *walk, struct weir_state_row *ret_row)
{
    return weir_row_list_next(walk, fake_conf_of(op)->row, walk->val, ret_row);
}

static int
fake_lists_add(const struct weir_operator *op, const struct weir_state_add *add,
    const struct weir_state_row *row)
{
    return weir_row_list_put(add, fake_conf_of(op)->row, 0, row);
}

static int
fake_timers_describe(const struct weir_operator *op, const struct weir_state_desc *desc,
    struct weir_state_fields *fields)
{
    (void)desc;
    (void)op;
    fields->is_timers = true;
    fields->tail[0] = "namespace";
    fields->tail[1] = "time";
    return 0;
}

static int
fake_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t cnt)
{
    (void)op;
    (void)parts;
    (void)cnt;
    return 0;
}

static const struct weir_state_values fake_value_values = {
    .describe = fake_value_describe, .fresh = fake_value_fresh};
static const struct weir_state_values fake_text_values = {.describe = fake_text_describe};
static const struct weir_state_values fake_lists_values = {
    .describe = fake_lists_describe, .next = fake_lists_next, .add = fake_lists_add};
static const struct weir_state_values fake_timers_values = {.describe = fake_timers_describe};
static const struct weir_state_desc fake_first_states[] = {
    {"value", NULL, &fake_value_values}, {"wide", NULL, NULL}, {"text", NULL, &fake_text_values}};
static const struct weir_state_desc fake_second_states[] = {
    {"lists", NULL, &fake_lists_values}, {"timers", NULL, &fake_timers_values}};
static const struct weir_state_part fake_parts[] = {{"least", WEIR_STATE_PART_LEAST, 0},
    {"bag", WEIR_STATE_PART_BAG, 0}, {"union", WEIR_STATE_PART_UNION, sizeof(uint64_t)},
    {"hint", WEIR_STATE_PART_HINT, 0}, {"list", WEIR_STATE_PART_LIST, 0}};

static WEIR_UNUSED const struct weir_operator_type fake_first_type = {.name = "first",
    .states = fake_first_states,
    .state_cnt = WEIR_ARRAY_CNT(fake_first_states),
    .parts = fake_parts,
    .part_cnt = WEIR_ARRAY_CNT(fake_parts),
    .restore = fake_restore};
static WEIR_UNUSED const struct weir_operator_type fake_second_type = {.name = "second",
    .states = fake_second_states,
    .state_cnt = WEIR_ARRAY_CNT(fake_second_states)};

static WEIR_UNUSED const struct fake_conf fake_conf = {
    .row = &fake_row_schema, .list_name = "rows", .wide_bytes = 40};

/* ---- stages ---- */

struct fake_stage {
    struct weir_arena arena;
    struct weir_operator_env env;
    struct weir_operator op[2];
    struct weir_operator *ops[2];
    uint32_t op_cnt;
    char *mem;
    char *parts;
    struct weir_parts_reader reader;
    struct weir_row_store store;
};

struct fake_job {
    struct fake_conf conf;
    uint32_t subtask_cnt;
    bool is_cut; /* the operators lie in stages of their own */
    uint32_t group_cnt;
    struct fake_stage *stage; /* [subtask], or [2 subtask + operator] */
    uint32_t stage_cnt;
    struct weir_savepoint_task task[2 * FAKE_SUBTASK_CNT_MAX];
};

static void
fake_stage_open(struct fake_job *job, uint32_t idx)
{
    struct fake_stage *stage = &job->stage[idx];
    uint32_t subtask = job->is_cut ? idx / 2 : idx;
    const struct weir_arena_spec spec = {.name = "fake",
        .max_parallelism = job->group_cnt,
        .groups = weir_keygroup_range_of(subtask, job->subtask_cnt, job->group_cnt)};
    stage->mem = aligned_alloc(4096, FAKE_ARENA_BYTES);
    assert_non_null(stage->mem);
    memset(stage->mem, 0, FAKE_ARENA_BYTES);
    assert_int_equal(weir_arena_init(&stage->arena, &spec, stage->mem, FAKE_ARENA_BYTES), 0);
    stage->env = (struct weir_operator_env){.arena = &stage->arena,
        .subtask_idx = subtask,
        .subtask_cnt = job->subtask_cnt,
        .max_parallelism = job->group_cnt};
    for (uint32_t i = 0; i < 2; i++) {
        if (job->is_cut && i != idx % 2) {
            continue;
        }
        stage->op[i] = (struct weir_operator){.type = i == 0 ? &fake_first_type : &fake_second_type,
            .uid = i == 0 ? "first-1" : "second-2",
            .conf = &job->conf,
            .env = &stage->env};
        stage->ops[stage->op_cnt++] = &stage->op[i];
    }
    job->task[idx] = (struct weir_savepoint_task){
        .arena = &stage->arena, .ops = stage->ops, .op_cnt = stage->op_cnt, .subtask = subtask};
}

static WEIR_UNUSED void
fake_open_conf(
    struct fake_job *job, uint32_t subtask_cnt, bool is_cut, const struct fake_conf *conf)
{
    memset(job, 0, sizeof *job);
    job->conf = *conf;
    job->conf.value = conf->value != NULL ? conf->value : fake_value_schema();
    job->subtask_cnt = subtask_cnt;
    job->group_cnt = FAKE_GROUP_CNT;
    job->is_cut = is_cut;
    job->stage_cnt = is_cut ? 2 * subtask_cnt : subtask_cnt;
    job->stage = calloc(job->stage_cnt, sizeof *job->stage);
    assert_non_null(job->stage);
    for (uint32_t i = 0; i < job->stage_cnt; i++) {
        fake_stage_open(job, i);
    }
}

static WEIR_UNUSED void
fake_open(struct fake_job *job, uint32_t subtask_cnt, bool is_cut)
{
    fake_open_conf(job, subtask_cnt, is_cut, &fake_conf);
}

static WEIR_UNUSED void
fake_close(struct fake_job *job)
{
    for (uint32_t i = 0; i < job->stage_cnt; i++) {
        free(job->stage[i].mem);
        free(job->stage[i].parts);
    }
    free(job->stage);
    job->stage = NULL;
}

/* ---- entries ---- */

enum fake_state { FAKE_VALUES, FAKE_WIDE, FAKE_TEXTS, FAKE_LISTS, FAKE_TIMERS, FAKE_STATE_CNT };

struct fake_entry {
    enum fake_state state;
    int64_t ns;
    uint64_t number; /* the key follows from it */
    struct weir_table_spec spec;
    const char *name;
    uint64_t hash; /* of the key without its tail */
    uint64_t key[WEIR_TABLE_WORD_CNT_MAX];
    char text[FAKE_LONG_BYTES];
};

static void
fake_entry_make(
    const struct fake_job *job, enum fake_state state, uint64_t number, struct fake_entry *entry)
{
    static const char *const names[] = {"value", "wide", "text", "lists", "timers"};
    uint64_t mixed = weir_hash_u64(number * FAKE_STATE_CNT + state);
    memset(entry, 0, sizeof *entry);
    entry->state = state;
    entry->number = number;
    entry->name = names[state];
    entry->ns = state == FAKE_TIMERS ? 0 : (int64_t)(mixed % FAKE_NS_CNT) - 1;
    entry->key[0] = number;
    entry->hash = weir_hash_u64(number);
    entry->spec.key_kind = WEIR_KEY_8;
    switch (state) {
    case FAKE_VALUES:
        entry->spec.val_bytes = job->conf.value->row_bytes;
        break;
    case FAKE_WIDE:
        entry->spec.key_kind = WEIR_KEY_16;
        entry->spec.val_bytes = job->conf.wide_bytes;
        entry->key[1] = mixed;
        entry->hash = weir_hash_join(weir_hash_u64(number), weir_hash_u64(mixed));
        break;
    case FAKE_TEXTS: {
        struct weir_slice text = {entry->text, (uint32_t)(mixed % 60)};
        text.bytes = mixed % 97 == 0 ? FAKE_LONG_BYTES : text.bytes;
        for (uint32_t i = 0; i < text.bytes; i++) {
            entry->text[i] = (char)('a' + (number >> (i % 8 * 8)) % 26);
        }
        entry->hash = weir_hash_bytes(text.ptr, text.bytes);
        struct weir_key_text key = weir_key_text_of(entry->text, text, entry->hash);
        memcpy(entry->key, key.word, sizeof key.word);
        entry->key[WEIR_KEY_TEXT_WORD_CNT] = mixed % 5;
        entry->spec = (struct weir_table_spec){0, WEIR_KEY_STR, sizeof(int64_t), 1};
        break;
    }
    case FAKE_LISTS:
        entry->spec.val_bytes = sizeof(struct fake_lists);
        break;
    default:
        entry->spec = weir_timers_spec(WEIR_KEY_8);
        entry->key[1] = mixed % 7;
        entry->key[2] = mixed;
        break;
    }
}

static struct weir_operator *
fake_owner(struct fake_job *job, const struct fake_entry *entry, struct fake_stage **ret_stage)
{
    uint32_t group = weir_hash_key_group(entry->hash, job->group_cnt);
    uint32_t subtask = weir_keygroup_owner(group, job->subtask_cnt, job->group_cnt);
    uint32_t op = entry->state >= FAKE_LISTS;
    *ret_stage = &job->stage[job->is_cut ? 2 * subtask + op : subtask];
    return &(*ret_stage)->op[op];
}

static void
fake_value_make(const struct fake_entry *entry, void *to, uint32_t bytes)
{
    char fresh[256] = {0};
    struct fake_value *value = (struct fake_value *)(void *)fresh;
    /* Texts of several numbers may be one. */
    uint64_t mixed =
        weir_hash_u64(entry->state == FAKE_TEXTS ? entry->hash ^ entry->key[WEIR_KEY_TEXT_WORD_CNT]
                                                 : entry->number ^ 99);
    if (entry->state == FAKE_VALUES && bytes == sizeof *value) {
        value->flag = mixed & 1;
        value->small = (int32_t)mixed;
        value->big = (int64_t)mixed;
        value->real = (double)(int32_t)mixed / 3;
        value->when = (int64_t)(mixed >> 20);
        value->price = -(int64_t)(mixed >> 30);
        value->word = weir_str_inline("twelve bytes", (uint32_t)(mixed % 13));
    } else {
        for (uint32_t i = 0; i < bytes; i++) {
            fresh[i] = (char)(mixed >> (i % 8 * 8));
        }
    }
    memcpy(to, fresh, bytes);
}

static uint32_t
fake_row_cnt(const struct fake_entry *entry)
{
    return (uint32_t)(weir_hash_u64(entry->number ^ 5) % 6);
}

/* Row i of an entry's list, its texts in `heap` of FAKE_LONG_BYTES. */
static void
fake_row_make(const struct fake_entry *entry, uint32_t i, char *heap, struct fake_row *ret_row)
{
    uint64_t mixed = weir_hash_u64(entry->number * 8 + i);
    uint32_t bytes = mixed % 19 == 0 ? FAKE_LONG_BYTES : (uint32_t)(mixed % 30);
    memset(ret_row, 0, sizeof *ret_row);
    memset(heap, 'a' + (int)(mixed % 26), FAKE_LONG_BYTES);
    ret_row->id = (int64_t)mixed;
    ret_row->nulls = mixed >> 8 & 6; /* never of the first field */
    if ((ret_row->nulls & 2) == 0) {
        ret_row->text = weir_str_ref(heap, heap, bytes);
    }
    ret_row->small = (ret_row->nulls & 4) == 0 ? (int64_t)(uint32_t)mixed : 0;
}

static void
fake_lists_fill(struct fake_stage *stage, const struct fake_entry *entry, struct weir_table *table,
    struct fake_lists *lists)
{
    struct weir_state_room room = {NULL, 0};
    const struct weir_state_add add = {.table = table,
        .val = lists,
        .hash = entry->hash,
        .group = weir_table_group_of(table, entry->hash),
        .store = &stage->store,
        .room = &room};
    char heap[FAKE_LONG_BYTES];
    lists->cnt = (int32_t)entry->number;
    if (stage->store.arena == NULL) {
        assert_int_equal(weir_row_store_init(&stage->store, &stage->arena), 0);
    }
    for (uint32_t i = 0; i < fake_row_cnt(entry); i++) {
        struct fake_row row;
        fake_row_make(entry, i, heap, &row);
        const struct weir_state_row item = {&row, heap, {(int64_t)i - 1, row.id}};
        assert_int_equal(weir_row_list_put(&add, &fake_row_schema, 0, &item), 0);
    }
    free(room.mem);
}

/* An entry, where it is not there yet. */
static WEIR_UNUSED void
fake_put(struct fake_job *job, enum fake_state state, uint64_t number)
{
    struct fake_entry entry;
    struct fake_stage *stage;
    struct weir_table *table;
    bool made;
    void *val;
    fake_entry_make(job, state, number, &entry);
    struct weir_operator *op = fake_owner(job, &entry, &stage);
    assert_int_equal(weir_state_take(op, entry.name, &entry.spec, entry.ns, &table), 0);
    const struct weir_table_rows row = {.hash = &entry.hash,
        .key = (const char *)entry.key,
        .heap = entry.text,
        .key_stride = sizeof entry.key,
        .cnt = 1};
    assert_int_equal(weir_table_find_or_make(table, &row, &val, &made), 0);
    if (made && state == FAKE_LISTS) {
        fake_lists_fill(stage, &entry, table, val);
    } else if (made && state != FAKE_TIMERS) {
        fake_value_make(&entry, val, entry.spec.val_bytes);
    }
}

static WEIR_UNUSED void
fake_fill(struct fake_job *job, uint64_t seed, uint32_t cnt)
{
    struct weir_rng rng;
    weir_rng_init(&rng, seed);
    for (uint32_t i = 0; i < cnt; i++) {
        enum fake_state state = (enum fake_state)weir_rng_below(&rng, FAKE_STATE_CNT);
        fake_put(job, state, weir_rng_below(&rng, cnt));
    }
}

#endif
