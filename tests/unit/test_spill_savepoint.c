/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints of state on disk: the same random operations in memory and with a store make the same
 * bytes, each is restored into the other, and what is broken on disk is told. */
#include <fcntl.h>

#include "dataplane/kindset_spill_rows.h"
#include "tests/unit/kinds_rig.h"

#define KEY_CNT 300
#define KEY_CNT_HERE 6
#define STEP_CNT 1500
#define SAVE_CNT 6

enum { VALUE, WIDE, LIST, MAP, KIND_CNT };
static const struct weir_kind kinds[] = {
    WEIR_KIND_VALUE("value", int64_t, WEIR_NO_TTL),
    WEIR_KIND_BYTES("wide", WEIR_NO_TTL),
    WEIR_KIND_LIST("list", 0, WEIR_NO_TTL),
    WEIR_KIND_MAP("map", 8, 0, WEIR_NO_TTL),
};

/* A key as one of the rigs has it. */
static struct weir_keyed_state *
state_of(struct rig *rig, const struct rig_key *key, uint32_t idx)
{
    return &rig_set_key(rig, key)->set->state[idx];
}

struct act {
    uint32_t number; /* of the key */
    uint32_t kind;
    bool clears;
    uint64_t word;
    char text[200];
    uint32_t bytes;
};

static struct act
draw(struct weir_rng *rng)
{
    struct act act = {.number = (uint32_t)weir_rng_below(rng, KEY_CNT),
        .kind = (uint32_t)weir_rng_below(rng, KIND_CNT),
        .clears = weir_rng_chance(rng, 1, 8),
        .word = weir_rng_below(rng, 12)};
    act.bytes = (uint32_t)weir_rng_below(rng, sizeof act.text);
    memset(act.text, 'a' + (int)act.word, sizeof act.text);
    return act;
}

static void
perform(struct rig *rig, const struct act *act)
{
    struct rig_key key = rig_key(rig, act->number);
    struct weir_keyed_state *s = state_of(rig, &key, act->kind);
    struct weir_slice text = weir_bytes(act->text, act->bytes);
    if (act->clears) {
        weir_state_clear(s);
    } else if (act->kind == VALUE) {
        assert_int_equal(weir_value_set(s, WEIR_BYTES(&act->word)), 0);
    } else if (act->kind == WIDE) {
        assert_int_equal(weir_value_set(s, text), 0);
    } else if (act->kind == LIST) {
        assert_int_equal(weir_list_add(s, text), 0);
    } else if (act->word % 3 == 0) {
        (void)weir_map_remove(s, WEIR_BYTES(&act->word));
    } else {
        assert_int_equal(weir_map_put(s, WEIR_BYTES(&act->word), text), 0);
    }
}

static void
assert_same(struct rig *left, struct rig *right)
{
    struct stream a;
    struct stream b;
    rig_savepoint_write(left, &a);
    rig_savepoint_write(right, &b);
    assert_int_equal(a.bytes, b.bytes);
    assert_memory_equal(a.data, b.data, a.bytes);
    assert_true(a.totals.entries > 0);
    stream_free(&a);
    stream_free(&b);
}

static void
t_both_backends_make_the_same_savepoint(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t kind = 0; kind < WEIR_KEY_KIND_CNT; kind++) {
        const struct weir_spill_conf store = {
            .dir = kv_place, .kept_cnt = 1, .key_max = KEY_CNT_HERE, .is_inline = true};
        struct rig rig[2] = {{.kinds = kinds, .kind_cnt = KIND_CNT, .key_kind = kind, .now = 1000},
            {.store = &store, .kinds = kinds, .kind_cnt = KIND_CNT, .key_kind = kind, .now = 1000}};
        struct weir_rng rng;
        weir_rng_init(&rng, seed + kind);
        for (uint32_t i = 0; i < 2; i++) {
            rig_open(&rig[i], 1 + (uint32_t)weir_rng_below(&rng, RIG_SUBTASK_CNT_MAX));
        }
        for (uint32_t save = 0; save < SAVE_CNT; save++) {
            for (uint32_t i = 0; i < STEP_CNT / SAVE_CNT; i++) {
                struct act act = draw(&rng);
                perform(&rig[0], &act);
                perform(&rig[1], &act);
            }
            assert_same(&rig[0], &rig[1]);
            /* Only one at a time has a store: they lie in one place. */
            bool swaps = weir_rng_chance(&rng, 1, 2);
            uint32_t disk = rig[0].store != NULL ? 0 : 1;
            uint32_t cnt = 1 + (uint32_t)weir_rng_below(&rng, RIG_SUBTASK_CNT_MAX);
            rig_savepoint(&rig[disk], cnt, swaps ? NULL : &store);
            rig_savepoint(&rig[1 - disk], cnt, swaps ? &store : NULL);
        }
        assert_same(&rig[0], &rig[1]);
        rig_close(&rig[0]);
        rig_close(&rig[1]);
    }
}

#define SMALL(F) F(i32, count) F(i64, gone)
WEIR_SCHEMA(small, SMALL)
#define LARGE(F) F(i64, more) F(i64, count)
WEIR_SCHEMA(large, LARGE)
#define SMALLER(F) F(str, count)
WEIR_SCHEMA(smaller, SMALLER)

/* Fields are matched by their names on the way to the disk, too: one is wider, one is new, one is
 * gone; and one that cannot be is named. */
static void
t_fields_evolve_on_their_way_to_disk(void **unused)
{
    (void)unused;
    static const struct weir_kind was[] = {
        WEIR_KIND_NAMED(WEIR_KIND_TYPE_VALUE, "value", small, WEIR_NO_TTL)};
    static const struct weir_kind now[] = {
        WEIR_KIND_NAMED(WEIR_KIND_TYPE_VALUE, "value", large, WEIR_NO_TTL)};
    static const struct weir_kind other[] = {
        WEIR_KIND_NAMED(WEIR_KIND_TYPE_VALUE, "value", smaller, WEIR_NO_TTL)};
    const struct weir_spill_conf store = {
        .dir = kv_place, .kept_cnt = 1, .key_max = KEY_CNT_HERE, .is_inline = true};
    struct rig rig = {.store = &store, .kinds = was, .kind_cnt = 1, .now = 1000};
    struct stream stream;
    rig_open(&rig, 2);
    for (uint32_t i = 0; i < KEY_CNT; i++) {
        struct rig_key key = rig_key(&rig, i);
        const struct small val = {(int32_t)i - 7, 9};
        assert_int_equal(weir_value_set(state_of(&rig, &key, 0), WEIR_BYTES(&val)), 0);
    }
    rig_savepoint_write(&rig, &stream);
    rig_close(&rig);
    rig.kinds = other;
    const uint32_t max = RIG_GROUP_CNT;
    struct rig_task *t = rig_task_new(&rig, 0, 1);
    struct weir_operator *op = &t->op;
    struct stream_load to = {
        .arena = &t->arena, .ops = {.ops = &op, .parallelism_max = &max, .op_cnt = 1}};
    struct weir_savepoint_reader *reader;
    assert_error(stream_load(&stream, &to, 1, &reader), WEIR_ESTATE, "count");
    weir_savepoint_reader_close(reader);
    rig_task_free(t);
    rig.kinds = now;
    rig_load(&rig, 3, &stream);
    for (uint32_t i = 0; i < KEY_CNT; i++) {
        struct rig_key key = rig_key(&rig, i);
        struct large val;
        const void *is = weir_value_get(state_of(&rig, &key, 0), NULL);
        assert_non_null(is);
        memcpy(&val, is, sizeof val);
        assert_int_equal(val.count, (int64_t)i - 7);
        assert_int_equal(val.more, 0);
    }
    rig_close(&rig);
    stream_free(&stream);
}

/* A path of a table of the newest checkpoint of the only task. */
static void
table_of(const struct rig *rig, char path[KV_PATH_BYTES])
{
    char dir[KV_PATH_BYTES];
    const struct dirent *entry;
    snprintf(dir, sizeof dir, "%.200s.%llu-0", rig->task[0]->spill.root,
        (unsigned long long)rig->snapshot_id);
    DIR *open_dir = opendir(dir);
    assert_non_null(open_dir);
    path[0] = '\0';
    while ((entry = readdir(open_dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".sst") == 0) {
            snprintf(path, KV_PATH_BYTES, "%.200s/%.50s", dir, entry->d_name);
        }
    }
    closedir(open_dir);
    assert_true(path[0] != '\0');
}

static void
spoil(const char *path)
{
    struct stat st;
    char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pread(fd, &byte, 1, st.st_size / 8), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 8), 1);
    close(fd);
}

/* A task whose savepoint is to be read again, out of a checkpoint that is broken. */
static void
t_what_is_broken_on_disk_is_told(void **unused)
{
    (void)unused;
    const struct weir_spill_conf store = {
        .dir = kv_place, .kept_cnt = 1, .key_max = KEY_CNT_HERE, .is_inline = true};
    for (uint32_t how = 0; how < 2; how++) {
        struct rig rig = {.store = &store, .kinds = kinds, .kind_cnt = KIND_CNT, .now = 1000};
        struct weir_rng rng;
        struct stream stream;
        struct weir_parts_reader reader;
        char path[KV_PATH_BYTES];
        weir_rng_init(&rng, 5);
        rig_open(&rig, 1);
        for (uint32_t i = 0; i < STEP_CNT; i++) {
            struct act act = draw(&rng);
            act.clears = false;
            perform(&rig, &act);
        }
        rig_savepoint_write(&rig, &stream);
        stream_free(&stream);
        table_of(&rig, path);
        if (how == 0) {
            spoil(path);
        } else {
            assert_int_equal(unlink(path), 0);
        }
        struct rig_task *t = rig.task[0];
        struct weir_operator *op = &t->op;
        assert_int_equal(weir_parts_reader_init(&reader, t->parts, t->parts_bytes), 0);
        const struct weir_savepoint_task task = {
            .arena = &t->arena, .parts = &reader, .ops = &op, .op_cnt = 1};
        const struct weir_savepoint_spec spec = {.job = "rig", .tasks = &task, .task_cnt = 1};
        assert_error(stream_write(&spec, 1, 1, &stream), WEIR_ECHECKPOINT, strrchr(path, '/') + 1);
        stream_free(&stream);
        rig_close(&rig);
    }
}

/* Of an operator two subtasks cannot have left the same keys. */
static void
t_a_key_group_is_in_one_store(void **unused)
{
    (void)unused;
    const struct weir_spill_conf store = {
        .dir = kv_place, .kept_cnt = 1, .key_max = KEY_CNT_HERE, .is_inline = true};
    struct rig rig = {.store = &store, .kinds = kinds, .kind_cnt = KIND_CNT, .now = 1000};
    struct weir_rng rng;
    struct stream stream;
    struct weir_parts_reader reader;
    weir_rng_init(&rng, 5);
    rig_open(&rig, 1);
    for (uint32_t i = 0; i < STEP_CNT; i++) {
        struct act act = draw(&rng);
        perform(&rig, &act);
    }
    rig_savepoint_write(&rig, &stream);
    stream_free(&stream);
    struct rig_task *t = rig.task[0];
    struct weir_operator *op = &t->op;
    assert_int_equal(weir_parts_reader_init(&reader, t->parts, t->parts_bytes), 0);
    const struct weir_savepoint_task tasks[] = {
        {.arena = &t->arena, .parts = &reader, .ops = &op, .op_cnt = 1},
        {.parts = &reader, .ops = &op, .op_cnt = 1, .subtask = 1}};
    const struct weir_savepoint_spec spec = {.job = "rig", .tasks = tasks, .task_cnt = 2};
    assert_error(stream_write(&spec, 1, 1, &stream), WEIR_ECHECKPOINT, "two state stores");
    stream_free(&stream);
    rig_close(&rig);
}

/* Rows that no savepoint has are refused, and what was loaded until then goes. */
static void
t_keys_out_of_order_are_refused(void **unused)
{
    (void)unused;
    const struct weir_spill_conf store = {.dir = kv_place, .is_inline = true};
    struct rig rig = {.store = &store, .kinds = kinds, .kind_cnt = KIND_CNT};
    struct rig_task *t = rig_task_new(&rig, 0, 1);
    const uint64_t word[] = {1, 2};
    const int64_t val = 7;
    struct weir_spill_key key = {900, &word[0], NULL, 0};
    for (uint32_t how = 0; how < 3; how++) {
        const struct weir_state_desc *desc = &kinds[VALUE].desc[0];
        struct weir_spill_load *load;
        assert_int_equal(weir_spill_load_open(&t->op, WEIR_KEY_8, &load), 0);
        key = (struct weir_spill_key){900, &word[0], NULL, 0};
        assert_int_equal(weir_spill_load_key(load, desc, &key), 0);
        assert_int_equal(weir_spill_load_value(load, &val, sizeof val), 0);
        key.word = how == 1 ? &word[0] : &word[1];
        key.hash = how == 2 ? 899 : 900;
        int err = weir_spill_load_key(load, desc, &key);
        if (how == 0) {
            assert_int_equal(err, 0);
        } else {
            assert_error(err, WEIR_EDATA, how == 1 ? "stands there twice" : "not in their order");
        }
        weir_spill_load_close(load);
    }
    weir_spill_load_close(NULL);
    rig_task_free(t);
    DIR *dir = opendir(kv_place);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        assert_null(strstr(entry->d_name, ".load"));
    }
    closedir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_both_backends_make_the_same_savepoint),
        cmocka_unit_test(t_fields_evolve_on_their_way_to_disk),
        cmocka_unit_test(t_what_is_broken_on_disk_is_told),
        cmocka_unit_test(t_a_key_group_is_in_one_store),
        cmocka_unit_test(t_keys_out_of_order_are_refused),
    };
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
