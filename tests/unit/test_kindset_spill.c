/* SPDX-License-Identifier: Apache-2.0 */
/* State on disk, one expectation at a time; with all kinds and restores: test_kinds_model.c. */
#include "dataplane/kindset_spill_priv.h"
#include "tests/unit/kinds_maps.h"
#include "tests/unit/kinds_rig.h"

static const struct weir_kind one_kind[] = {WEIR_KIND_VALUE("value", int64_t, WEIR_NO_TTL)};

struct stand {
    struct rig rig;
    struct rig_key key;
    struct rig_task *task;
};

static void
stand_key(struct stand *s, uint32_t number)
{
    s->key = rig_key(&s->rig, number);
    s->task = rig_set_key(&s->rig, &s->key);
}

static struct weir_keyed_state *
at(struct stand *s, uint32_t idx)
{
    return &s->task->set->state[idx];
}

static int64_t
word_of(const void *val)
{
    int64_t word;
    assert_non_null(val);
    memcpy(&word, val, sizeof word);
    return word;
}

/* A checkpoint of state in memory goes on on disk, but not the other way round. */
static void
t_state_on_disk_is_not_left_behind(void **unused)
{
    (void)unused;
    const struct weir_spill_conf store = {
        .dir = kv_place, .kept_cnt = 1, .key_max = 5, .is_inline = true};
    struct stand s;
    struct weir_parts_reader reader;
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.kinds = one_kind, .kind_cnt = 1, .now = 1000};
    rig_open(&s.rig, 1);
    for (int64_t i = 0; i < 100; i++) {
        stand_key(&s, (uint32_t)i);
        assert_int_equal(weir_value_set(at(&s, 0), WEIR_BYTES(&i)), 0);
    }
    rig_snapshot_begin(&s.rig);
    while (!rig_snapshot_step(&s.rig, s.task)) {
    }
    s.rig.store = &store;
    rig_restore(&s.rig, 1, false);
    for (int64_t i = 0; i < 100; i++) {
        stand_key(&s, (uint32_t)i);
        assert_int_equal(word_of(weir_value_get(at(&s, 0), NULL)), i);
        stand_key(&s, 1000 + (uint32_t)i);
    }
    assert_in_range(s.task->spill.here->entry_cnt, 1, 10);
    rig_snapshot_begin(&s.rig);
    while (!rig_snapshot_step(&s.rig, s.task)) {
    }
    assert_int_equal(weir_parts_reader_init(&reader, s.task->parts, s.task->parts_bytes), 0);
    weir_parts_reader_of(&reader, "rig");
    assert_int_equal(weir_spill_refuse(&s.task->op, &reader, 1), WEIR_ESTATE);
    weir_err_clear();
    rig_close(&s.rig);
}

/* A state with namespaces is in memory only. */
static void
t_namespaces_do_not_go_to_disk(void **unused)
{
    (void)unused;
    const struct weir_spill_conf store = {.dir = kv_place, .is_inline = true};
    static const struct weir_kind spaced[] = {{.type = WEIR_KIND_TYPE_LIST,
        .has_ns = true,
        .desc = {{"list", weir_kind_move_items, &weir_kind_item_values}}}};
    struct rig rig = {.store = &store, .kinds = spaced, .kind_cnt = 1};
    struct rig_task *t = rig_task_new(&rig, 0, 1);
    assert_int_equal(rig_task_open(&rig, t), WEIR_EGRAPH);
    weir_err_clear();
    rig_task_free(t);
}

/* Records that nobody can have written are refused, wherever they are cut off or changed. */
static void
t_broken_records_are_refused(void **unused)
{
    (void)unused;
    static const struct weir_kind some[] = {WEIR_KIND_VALUE("value", int64_t, WEIR_NO_TTL),
        WEIR_KIND_LIST("list", 0, WEIR_NO_TTL), WEIR_KIND_MAP("map", 8, 0, WEIR_NO_TTL),
        WEIR_KIND_NUMBERS("numbers", 2, 8)};
    const struct weir_spill_conf store = {.dir = kv_place, .is_inline = true};
    struct stand s;
    int64_t word = 3;
    uint64_t *words;
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.store = &store, .kinds = some, .kind_cnt = 4, .now = 1000};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    assert_int_equal(weir_value_set(at(&s, 0), WEIR_BYTES(&word)), 0);
    assert_int_equal(weir_list_add(at(&s, 1), weir_bytes("some text", 9)), 0);
    assert_int_equal(weir_map_put(at(&s, 2), WEIR_BYTES(&word), weir_bytes("more", 4)), 0);
    struct weir_numbers *maps = rig_maps(s.task, 3);
    assert_int_equal(weir_numbers_open(&at(&s, 3)->numbers, &maps[1], 77, &words), 0);
    *words = 1;
    struct weir_spill *spill = &s.task->spill;
    assert_int_equal(weir_spill_record_make(spill), 0);
    uint32_t all = (uint32_t)spill->buf_bytes;
    uint32_t good_cnt = 0;
    for (uint32_t i = 0; i < 2 * all; i++) {
        uint32_t bytes = i < all ? i : all;
        char *copy = malloc(bytes + 1); /* of its own, so that a read beyond it is seen */
        memcpy(copy, spill->buf, bytes);
        copy[i - (i < all ? 0 : all)] ^= (char)(i < all ? 0 : 0x40);
        weir_spill_record_drop(spill);
        int err = weir_spill_record_take(spill, (struct weir_kv_bytes){copy, bytes});
        good_cnt += err == 0;
        weir_err_clear();
        free(copy);
    }
    assert_in_range(good_cnt, 1, all - 1); /* values, and cuts between two states */
    weir_spill_record_drop(spill);
    rig_close(&s.rig);
}

/* What somebody else may have written, and what is said of it. */
static void
t_a_broken_record_says_what_is_wrong(void **unused)
{
    (void)unused;
    static const struct weir_kind some[] = {
        WEIR_KIND_VALUE("value", int64_t, WEIR_NO_TTL), WEIR_KIND_LIST("list", 0, WEIR_NO_TTL)};
    const struct weir_spill_conf store = {.dir = kv_place, .is_inline = true};
    struct stand s;
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.store = &store, .kinds = some, .kind_cnt = 2, .now = 1000};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    struct weir_spill *spill = &s.task->spill;
    const uint32_t value = at(&s, 0)->table->spec.state_id;
    const uint32_t list = at(&s, 1)->table->spec.state_id;
    const uint32_t whole = at(&s, 0)->table->spec.val_bytes;
    const struct {
        uint32_t version;
        struct weir_spill_state_head head;
        uint32_t bytes; /* that follow the head */
        int err;
        const char *says;
    } records[] = {
        {WEIR_SPILL_VERSION, {value, whole}, whole, 0, NULL},
        {WEIR_SPILL_VERSION + 1, {value, whole}, whole, WEIR_EFORMAT, "are of another version"},
        {WEIR_SPILL_VERSION, {value, whole}, whole - 1, WEIR_EFORMAT, "are cut off"},
        {WEIR_SPILL_VERSION, {value, whole - 1}, whole - 1, WEIR_EFORMAT,
            "have a value of another length"},
        {WEIR_SPILL_VERSION, {value, whole + 1}, whole + 1, WEIR_EFORMAT,
            "have a value of another length"},
        {WEIR_SPILL_VERSION, {list, 8}, 8, WEIR_EFORMAT, "are cut off"}, /* in an item */
        {WEIR_SPILL_VERSION, {~value, 8}, 8, WEIR_ESTATE, "declares none of this number"},
    };
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(records); i++) {
        const uint64_t head_bytes = sizeof records[i].version + sizeof records[i].head;
        char buf[64] = {0};
        memcpy(buf, &records[i].version, sizeof records[i].version);
        memcpy(buf + sizeof records[i].version, &records[i].head, sizeof records[i].head);
        const struct weir_kv_bytes record = {buf, head_bytes + records[i].bytes};
        weir_spill_record_drop(spill);
        int err = weir_spill_record_take(spill, record);
        if (records[i].err == 0) {
            assert_int_equal(err, 0);
            assert_int_equal(word_of(weir_value_get(at(&s, 0), NULL)), 0);
        } else {
            assert_error(err, records[i].err, records[i].says);
        }
    }
    rig_close(&s.rig);
}

/* The part of a snapshot that says where the store's checkpoint is. */
static void
t_a_part_that_names_no_store_is_refused(void **unused)
{
    (void)unused;
    enum { ID = sizeof(uint64_t), PATH_MAX_BYTES = WEIR_SPILL_PATH_BYTES };
    static const struct {
        uint32_t version;
        uint32_t bytes;
        int err;
        const char *says;
    } parts[] = {
        {2, ID + 3, WEIR_EFORMAT, "part spill is of version 2"},
        {1, ID, WEIR_EDATA, "part spill has a path of 0 bytes"},
        {1, ID + PATH_MAX_BYTES + 1, WEIR_EDATA, "part spill has a path of 513 bytes"},
        {1, ID + 3, WEIR_EDATA, "part spill has a path without an end"},
    };
    char data[ID + PATH_MAX_BYTES + 1];
    char path[WEIR_SPILL_PATH_BYTES];
    bool is = false;
    struct weir_part part = {.name = "spill", .name_bytes = 5, .data = data};
    memset(data, 'x', sizeof data);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(parts); i++) {
        part.version = parts[i].version;
        part.bytes = parts[i].bytes;
        assert_error(weir_spill_checkpoint(&part, path, &is), parts[i].err, parts[i].says);
        assert_false(is);
    }
    data[ID + 2] = '\0';
    assert_int_equal(weir_spill_checkpoint(&part, path, &is), 0);
    assert_true(is);
    assert_string_equal(path, "xx");
    part.name_bytes = 4;
    assert_int_equal(weir_spill_checkpoint(&part, path, &is), 0);
    assert_false(is);
}

/* Directories in the test's place whose name has `part` in it. */
static uint32_t
dirs_of(const char *part)
{
    DIR *dir = opendir(kv_place);
    const struct dirent *entry;
    uint32_t cnt = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        cnt += strstr(entry->d_name, part) != NULL;
    }
    closedir(dir);
    return cnt;
}

static void
snapshot_all(struct stand *s)
{
    rig_snapshot_begin(&s->rig);
    while (!rig_snapshot_step(&s->rig, s->task)) {
    }
}

/* A checkpoint that is given up while the store makes its share goes; the state can be used, and
 * the next checkpoint is right. */
static void
t_T303_an_aborted_checkpoint_is_no_harm(void **unused)
{
    (void)unused;
    for (uint32_t is_inline = 0; is_inline < 2; is_inline++) {
        const struct weir_spill_conf store = {
            .dir = kv_place, .kept_cnt = 1, .key_max = 3, .is_inline = is_inline, .tag = 0xabc};
        struct stand s;
        memset(&s, 0, sizeof s);
        s.rig = (struct rig){.store = &store, .kinds = one_kind, .kind_cnt = 1, .now = 1000};
        rig_open(&s.rig, 1);
        for (int64_t i = 0; i < 50; i++) {
            stand_key(&s, (uint32_t)i);
            assert_int_equal(weir_value_set(at(&s, 0), WEIR_BYTES(&i)), 0);
        }
        int step;
        while ((step = weir_spill_barrier(&s.task->spill, 77)) == WEIR_WAIT) {
        }
        assert_int_equal(step, WEIR_DONE);
        weir_spill_aborted(&s.task->spill, 77);
        for (int64_t i = 0; i < 50; i++) {
            stand_key(&s, (uint32_t)i);
            assert_int_equal(word_of(weir_value_get(at(&s, 0), NULL)), i);
            int64_t word = i + 1000;
            assert_int_equal(weir_value_set(at(&s, 0), WEIR_BYTES(&word)), 0);
        }
        s.rig.snapshot_id = 100;
        snapshot_all(&s);
        assert_int_equal(dirs_of(".77-abc"), 0);
        assert_int_equal(dirs_of(".101-abc"), 1);
        rig_restore(&s.rig, 1, true);
        for (int64_t i = 0; i < 50; i++) {
            stand_key(&s, (uint32_t)i);
            assert_int_equal(word_of(weir_value_get(at(&s, 0), NULL)), i + 1000);
        }
        rig_close(&s.rig);
    }
}

/* Of many checkpoints the retained ones stay, and a few that might yet be aborted; also the one
 * that a start began with goes in its turn. */
static void
t_old_checkpoints_go(void **unused)
{
    (void)unused;
    struct weir_spill_conf store = {.dir = kv_place, .kept_cnt = 2, .is_inline = true, .tag = 1};
    struct stand s;
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.store = &store, .kinds = one_kind, .kind_cnt = 1, .snapshot_id = 1000};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    for (uint32_t i = 0; i < 12; i++) {
        snapshot_all(&s);
        assert_in_range(dirs_of("-1"), 1, 5);
    }
    store.tag = 2;
    rig_restore(&s.rig, 1, false);
    stand_key(&s, 1);
    assert_int_equal(dirs_of(".1012-1"), 1);
    for (uint32_t i = 0; i < 8; i++) {
        snapshot_all(&s);
    }
    assert_int_equal(dirs_of(".1012-1"), 0);
    rig_close(&s.rig);
}

static uint64_t
held_of(void *arg)
{
    return *(const uint64_t *)arg;
}

/* A checkpoint beside the timeline stays until nobody reads it, and no other goes for it. */
static void
t_a_held_checkpoint_stays(void **unused)
{
    (void)unused;
    uint64_t held = 0;
    const struct weir_spill_conf store = {.dir = kv_place,
        .kept_cnt = 1,
        .is_inline = true,
        .tag = 0xe,
        .held = held_of,
        .held_arg = &held};
    struct stand s;
    memset(&s, 0, sizeof s);
    s.rig = (struct rig){.store = &store, .kinds = one_kind, .kind_cnt = 1, .snapshot_id = 2000};
    rig_open(&s.rig, 1);
    stand_key(&s, 1);
    held = 2003;
    for (uint32_t i = 0; i < 10; i++) {
        snapshot_all(&s);
        stand_key(&s, i); /* what goes, goes with the next exchange */
        assert_int_equal(dirs_of(".2003-e.run"), i >= 2);
        assert_true(i < 3 || dirs_of("-e") == 4 || dirs_of("-e") == 5);
    }
    held = 0;
    snapshot_all(&s);
    stand_key(&s, 100);
    assert_int_equal(dirs_of(".2003-e"), 0);
    held = 2012; /* one that is given up */
    while (weir_spill_barrier(&s.task->spill, held) == WEIR_WAIT) {
    }
    while (weir_spill_precommit(&s.task->spill, held) == WEIR_WAIT) {
    }
    assert_int_equal(dirs_of(".2012-e.run"), 1);
    weir_spill_aborted(&s.task->spill, held);
    stand_key(&s, 101);
    assert_int_equal(dirs_of(".2012-e"), 0);
    rig_close(&s.rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_state_on_disk_is_not_left_behind),
        cmocka_unit_test(t_namespaces_do_not_go_to_disk),
        cmocka_unit_test(t_broken_records_are_refused),
        cmocka_unit_test(t_a_broken_record_says_what_is_wrong),
        cmocka_unit_test(t_a_part_that_names_no_store_is_refused),
        cmocka_unit_test(t_T303_an_aborted_checkpoint_is_no_harm),
        cmocka_unit_test(t_old_checkpoints_go),
        cmocka_unit_test(t_a_held_checkpoint_stays),
    };
    kv_place_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_place_remove();
    return failed;
}
