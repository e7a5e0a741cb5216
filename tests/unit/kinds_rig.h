/* SPDX-License-Identifier: Apache-2.0 */
/* kinds_rig.h: subtasks of an operator with declared states, each with an arena of its key groups;
 * their snapshots, and what comes of them with as many subtasks or others. With a store, a few keys
 * are in memory, and all others on disk. */
#ifndef WEIR_TESTS_UNIT_KINDS_RIG_H
#define WEIR_TESTS_UNIT_KINDS_RIG_H

#include <stdio.h>

#include "base/rng.h"
#include "dataplane/capture.h"
#include "dataplane/kindset.h"
#include "dataplane/restore.h"
#include "dataplane/kindset_spill.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/kinds_ref.h"
#include "tests/unit/kv_place.h"
#include "tests/unit/savepoint_stream.h"
#include "tests/unit/seed.h"

#define RIG_GROUP_CNT 16
#define RIG_SUBTASK_CNT_MAX 5
#define RIG_ARENA_BYTES (UINT64_C(6) << 20)
#define RIG_FILE_BYTES (UINT64_C(24) << 20)
#define RIG_PARTS_BYTES 4096
#define RIG_UNDO_CNT (1 << 14)

#define ONE(F) F(i64, a)
WEIR_SCHEMA(one, ONE)
#define TWO(F) F(i64, a) F(i64, b)
WEIR_SCHEMA(two, TWO)
#define WORD(F) F(str, a)
WEIR_SCHEMA(word, WORD)

/* One subtask. */
struct rig_task {
    struct weir_arena arena;
    struct weir_capture capture;
    struct weir_operator_env env;
    struct weir_operator op;
    struct weir_keyed keyed;
    struct weir_kindset *set;
    struct weir_spill spill; /* of a rig with a store */
    void *mem;
    void *capture_mem;
    char *file; /* records of its snapshots */
    uint64_t file_bytes;
    char parts[RIG_PARTS_BYTES] __attribute__((aligned(8)));
    size_t parts_bytes;
    uint64_t snapshot_cnt; /* of the capture */
    bool is_precommitted;
};

struct rig {
    const struct weir_spill_conf *store; /* NULL: all is in memory */
    uint64_t snapshot_id;
    uint64_t wait_cnt; /* times that a key was waited for */
    const struct weir_kind *kinds;
    uint32_t kind_cnt;
    uint32_t key_kind;
    struct rig_task *task[RIG_SUBTASK_CNT_MAX];
    uint32_t cnt;
    int64_t now;
};

/* A key by its number. */
struct rig_key {
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT];
    uint64_t hash;
    char text[64];
};

/* For weir_state_desc_of(): the declared states are those of the rig. */
struct rig_conf {
    const struct weir_kind *kinds;
    uint32_t cnt;
};

static WEIR_UNUSED const struct weir_state_desc *
rig_state(const void *conf, uint32_t idx)
{
    const struct rig_conf *c = conf;
    for (uint32_t i = 0; i < c->cnt; i++) {
        for (uint32_t d = 0; d < 2 && c->kinds[i].desc[d].name != NULL; d++, idx--) {
            if (idx == 0) {
                return &c->kinds[i].desc[d];
            }
        }
    }
    static const struct weir_state_desc here = {WEIR_SPILL_STATE, NULL, &weir_spill_values};
    return idx == 0 ? &here : NULL;
}

static const struct weir_state_part rig_parts[] = {{"ttl", WEIR_STATE_PART_LEAST, 0}};

static int
rig_operator_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t cnt)
{
    (void)op;
    (void)parts;
    (void)cnt;
    return 0; /* the rig does it */
}

static const struct weir_operator_type rig_type = {.name = "rig",
    .conf_state = rig_state,
    .restore = rig_operator_restore,
    .parts = rig_parts,
    .part_cnt = WEIR_ARRAY_CNT(rig_parts)};

static WEIR_UNUSED struct rig_key
rig_key(const struct rig *rig, uint32_t number)
{
    struct rig_key key;
    memset(&key, 0, sizeof key);
    key.word[0] = number * UINT64_C(0x9e3779b97f4a7c15);
    key.word[1] = rig->key_kind == WEIR_KEY_16 ? number : 0;
    if (rig->key_kind == WEIR_KEY_STR) {
        int bytes = snprintf(key.text, sizeof key.text, "%u%s", number,
            number % 3 == 0 ? "" : "-a-key-that-does-not-lie-inline-at-all");
        struct weir_slice text = {key.text, (uint32_t)bytes};
        struct weir_key_text words =
            weir_key_text_of(key.text, text, weir_hash_bytes(text.ptr, text.bytes));
        memcpy(key.word, &words, sizeof words);
    }
    struct weir_table_rows rows = {
        .key = (const char *)key.word, .heap = key.text, .key_stride = sizeof key.word, .cnt = 1};
    weir_table_hash(rig->key_kind, &rows, &key.hash);
    return key;
}

static WEIR_UNUSED struct rig_task *
rig_owner(const struct rig *rig, const struct rig_key *key)
{
    uint32_t group = weir_hash_key_group(key->hash, RIG_GROUP_CNT);
    return rig->task[weir_keygroup_owner(group, rig->cnt, RIG_GROUP_CNT)];
}

/* What a batch of this one row does. */
static WEIR_UNUSED void
rig_fetch(struct rig *rig, struct rig_task *task, const struct weir_table_rows *rows)
{
    int step = weir_spill_poll(&task->spill);
    weir_spill_turn(&task->spill);
    while (step == WEIR_WAIT && !weir_spill_has(&task->spill, rows)) {
        step = weir_spill_poll(&task->spill);
    }
    if (step == WEIR_WAIT) {
        return; /* a checkpoint is under way, and the key is here */
    }
    assert_int_equal(step, WEIR_DONE);
    assert_int_equal(weir_spill_want(&task->spill, rows), 0);
    assert_int_equal(weir_spill_go(&task->spill), 0);
    while ((step = weir_spill_poll(&task->spill)) == WEIR_WAIT) {
        rig->wait_cnt++;
    }
    assert_int_equal(step, WEIR_DONE);
    assert_true(weir_spill_has(&task->spill, rows));
}

/* The task has this key as the current one; the key's text is borrowed. */
static WEIR_UNUSED struct rig_task *
rig_set_key(struct rig *rig, const struct rig_key *key)
{
    struct rig_task *task = rig_owner(rig, key);
    const struct weir_table_rows rows = {.hash = &key->hash,
        .key = (const char *)key->word,
        .heap = key->text,
        .key_stride = task->keyed.stride,
        .cnt = 1};
    task->set->now_ms = rig->now;
    if (rig->store != NULL) {
        rig_fetch(rig, task, &rows);
    }
    weir_kindset_key(task->set, &rows, 0);
    return task;
}

/* ---- subtasks ---- */

static WEIR_UNUSED struct rig_task *
rig_task_new(const struct rig *rig, uint32_t idx, uint32_t cnt)
{
    struct rig_task *t = calloc(1, sizeof *t);
    struct weir_arena_spec spec = {
        "rig", RIG_GROUP_CNT, weir_keygroup_range_of(idx, cnt, RIG_GROUP_CNT), 64};
    t->mem = aligned_alloc(WEIR_PAGE_BYTES, RIG_ARENA_BYTES);
    memset(t->mem, 0, RIG_ARENA_BYTES);
    assert_int_equal(weir_arena_init(&t->arena, &spec, t->mem, RIG_ARENA_BYTES), 0);
    t->capture_mem = capture_mem(&t->arena, RIG_UNDO_CNT);
    assert_int_equal(weir_capture_init(&t->capture, &t->arena, RIG_UNDO_CNT, t->capture_mem), 0);
    t->file = malloc(RIG_FILE_BYTES);
    struct rig_conf *conf = calloc(1, sizeof *conf);
    *conf = (struct rig_conf){rig->kinds, rig->kind_cnt};
    t->env.arena = &t->arena;
    t->env.spill = rig->store;
    t->env.seed = rig->snapshot_id * 7 + idx;
    t->env.subtask_idx = idx;
    t->env.subtask_cnt = cnt;
    t->env.max_parallelism = RIG_GROUP_CNT;
    t->op.type = &rig_type;
    t->op.conf = conf;
    t->op.env = &t->env;
    t->op.uid = "rig";
    const struct weir_schema *schema[] = {one_schema(), two_schema(), word_schema()};
    struct weir_key key = rig->key_kind == WEIR_KEY_8    ? WEIR_KEY(one, a)
                          : rig->key_kind == WEIR_KEY_16 ? WEIR_KEY2(two, a, b)
                                                         : WEIR_KEY(word, a);
    assert_int_equal(weir_keyed_init(&t->keyed, &key, schema[rig->key_kind], &t->arena), 0);
    assert_int_equal(t->keyed.kind, rig->key_kind);
    t->set = calloc(1, sizeof *t->set);
    return t;
}

static WEIR_UNUSED int
rig_task_open(const struct rig *rig, struct rig_task *t)
{
    int err = weir_kindset_open(t->set, &t->op, &t->keyed, rig->kinds, rig->kind_cnt);
    return err == 0 && rig->store != NULL ? weir_spill_open(&t->spill, t->set, &t->op, NULL, "none")
                                          : err;
}

static WEIR_UNUSED void
rig_task_free(struct rig_task *t)
{
    weir_kindset_close(t->set);
    weir_spill_close(&t->spill);
    free(t->set);
    free((void *)(uintptr_t)t->op.conf);
    free(t->mem);
    free(t->capture_mem);
    free(t->file);
    free(t);
}

static WEIR_UNUSED void
rig_open(struct rig *rig, uint32_t cnt)
{
    rig->cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        rig->task[i] = rig_task_new(rig, i, cnt);
        assert_int_equal(rig_task_open(rig, rig->task[i]), 0);
    }
}

static WEIR_UNUSED void
rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->cnt; i++) {
        rig_task_free(rig->task[i]);
    }
    rig->cnt = 0;
}

/* ---- snapshots ---- */

/* The barrier: what all tasks hold now. */
static WEIR_UNUSED void
rig_snapshot_begin(struct rig *rig)
{
    rig->snapshot_id++;
    for (uint32_t i = 0; i < rig->cnt; i++) {
        struct rig_task *t = rig->task[i];
        struct weir_parts_writer writer;
        int step = WEIR_WAIT;
        while (rig->store != NULL && step == WEIR_WAIT) {
            step = weir_spill_barrier(&t->spill, rig->snapshot_id);
        }
        assert_true(rig->store == NULL || step == WEIR_DONE);
        t->set->now_ms = rig->now;
        weir_parts_writer_init(&writer, t->parts, sizeof t->parts);
        weir_parts_writer_of(&writer, t->op.uid);
        weir_kindset_snapshot(t->set, &writer);
        if (rig->store != NULL) {
            weir_spill_snapshot(&t->spill, rig->snapshot_id, &writer);
        }
        assert_int_equal(weir_parts_finish(&writer, &t->parts_bytes), 0);
        assert_int_equal(weir_arena_snapshot_begin(&t->arena), WEIR_DONE);
        t->snapshot_cnt++;
        t->is_precommitted = false;
        assert_int_equal(
            weir_capture_begin(&t->capture, t->snapshot_cnt, t->snapshot_cnt == 1), WEIR_DONE);
    }
}

/* A bit of what the storage core does for one task; true: its snapshot is whole, that of its store
 * included. */
static WEIR_UNUSED bool
rig_snapshot_step(struct rig *rig, struct rig_task *t)
{
    int step = rig->store != NULL && !t->is_precommitted
                   ? weir_spill_precommit(&t->spill, rig->snapshot_id)
                   : WEIR_DONE;
    if (step == WEIR_WAIT) {
        return false;
    }
    assert_int_equal(step, WEIR_DONE);
    t->is_precommitted = true;
    uint64_t room = weir_min_u64(RIG_FILE_BYTES - t->file_bytes, 30000);
    int64_t got = weir_capture_fill(&t->capture, t->file + t->file_bytes, room);
    assert_true(got >= 0);
    t->file_bytes += got > WEIR_AGAIN ? (uint64_t)got : 0;
    if (got == WEIR_DONE) {
        assert_true(weir_capture_commit(&t->capture, t->snapshot_cnt));
    }
    return got == WEIR_DONE;
}

/* ---- restore ---- */

static WEIR_UNUSED uint32_t
rig_ref(void *arg, uint32_t ref)
{
    return weir_restore_ref(arg, ref);
}

static WEIR_UNUSED uint32_t
rig_blob(void *arg, uint32_t ref)
{
    return weir_restore_blob(arg, ref);
}

static WEIR_UNUSED int
rig_move(void *arg, struct weir_restore *restore, const struct weir_table *table, void *val)
{
    const struct rig_task *t = arg;
    const struct weir_state_owner owner = {t->op.uid, t->op.type, t->op.conf};
    const struct weir_state_mover mover = {rig_ref, rig_blob, restore};
    const struct weir_state_desc *desc = weir_state_desc_of(&owner, table->spec.state_id);
    assert_non_null(desc);
    return desc->move != NULL ? desc->move(&t->op, table, &mover, val) : 0;
}

static WEIR_UNUSED void
rig_feed(struct weir_restore *restore, const struct rig_task *from)
{
    assert_int_equal(weir_restore_source(restore), 0);
    for (uint64_t at = 0; at < from->file_bytes;) {
        int64_t got = weir_restore_apply(restore, from->file + at, from->file_bytes - at);
        assert_true(got > 0);
        at += (uint64_t)got;
    }
    assert_int_equal(weir_restore_source_end(restore), 0);
}

/* A task out of what old ones wrote; 0, or the error of open or restore. */
static WEIR_UNUSED int
rig_task_restore(
    const struct rig *rig, struct rig_task *t, struct rig_task *const *from, uint32_t from_cnt)
{
    bool in_place = from_cnt == 1;
    struct weir_restore_spec spec = {.page_cnt_max = from[0]->arena.page_cnt,
        .table_cnt_max = 64,
        .is_in_place = in_place,
        .value_fn = in_place ? NULL : rig_move,
        .arg = t};
    void *mem = calloc(1, weir_restore_footprint(&spec));
    struct weir_restore r;
    assert_int_equal(weir_restore_init(&r, &t->arena, &spec, mem), 0);
    for (uint32_t i = 0; i < from_cnt; i++) {
        rig_feed(&r, from[i]);
    }
    assert_int_equal(weir_restore_finish(&r), 0);
    free(mem);
    return rig_task_open(rig, t);
}

/* All tasks are lost; others, cnt of them, come from the last snapshot. */
static WEIR_UNUSED void
rig_restore(struct rig *rig, uint32_t cnt, bool moves)
{
    struct rig_task *now[RIG_SUBTASK_CNT_MAX];
    struct weir_parts_reader readers[RIG_SUBTASK_CNT_MAX];
    for (uint32_t i = 0; i < rig->cnt; i++) {
        struct rig_task *t = rig->task[i];
        assert_int_equal(weir_parts_reader_init(&readers[i], t->parts, t->parts_bytes), 0);
        weir_parts_reader_of(&readers[i], t->op.uid);
        weir_spill_close(&t->spill); /* another one of its place comes */
    }
    for (uint32_t i = 0; i < cnt; i++) {
        bool one = cnt == rig->cnt && !moves;
        now[i] = rig_task_new(rig, i, cnt);
        assert_int_equal(
            rig_task_restore(rig, now[i], one ? &rig->task[i] : rig->task, one ? 1 : rig->cnt), 0);
        assert_int_equal(weir_kindset_restore(now[i]->set, &now[i]->op, readers, rig->cnt), 0);
        assert_int_equal(rig->store != NULL ? weir_spill_restore(&now[i]->spill, readers, rig->cnt)
                                            : weir_spill_refuse(&now[i]->op, readers, rig->cnt),
            0);
    }
    for (uint32_t i = 0; i < rig->cnt; i++) {
        rig_task_free(rig->task[i]);
    }
    memcpy(rig->task, now, cnt * sizeof now[0]);
    rig->cnt = cnt;
}

/* ---- savepoints ---- */

/* What a store has of it, and the part that says where. */
static WEIR_UNUSED void
rig_store_part(const struct rig *rig, struct rig_task *t, struct weir_parts_writer *writer)
{
    int step;
    while ((step = weir_spill_barrier(&t->spill, rig->snapshot_id)) == WEIR_WAIT) {
    }
    assert_int_equal(step, WEIR_DONE);
    while ((step = weir_spill_precommit(&t->spill, rig->snapshot_id)) == WEIR_WAIT) {
    }
    assert_int_equal(step, WEIR_DONE);
    weir_spill_snapshot(&t->spill, rig->snapshot_id, writer);
}

/* What all tasks hold now as a savepoint. */
static WEIR_UNUSED void
rig_savepoint_write(struct rig *rig, struct stream *stream)
{
    struct weir_savepoint_task tasks[RIG_SUBTASK_CNT_MAX];
    struct weir_operator *ops[RIG_SUBTASK_CNT_MAX];
    struct weir_parts_reader readers[RIG_SUBTASK_CNT_MAX];
    const struct weir_savepoint_spec spec = {.job = "rig", .tasks = tasks, .task_cnt = rig->cnt};
    rig->snapshot_id++;
    for (uint32_t i = 0; i < rig->cnt; i++) {
        struct rig_task *t = rig->task[i];
        struct weir_parts_writer writer;
        t->set->now_ms = rig->now;
        weir_parts_writer_init(&writer, t->parts, sizeof t->parts);
        weir_parts_writer_of(&writer, t->op.uid);
        weir_kindset_snapshot(t->set, &writer);
        if (rig->store != NULL) {
            rig_store_part(rig, t, &writer);
        }
        assert_int_equal(weir_parts_finish(&writer, &t->parts_bytes), 0);
        assert_int_equal(weir_parts_reader_init(&readers[i], t->parts, t->parts_bytes), 0);
        ops[i] = &t->op;
        tasks[i] = (struct weir_savepoint_task){
            .arena = &t->arena, .parts = &readers[i], .ops = &ops[i], .op_cnt = 1, .subtask = i};
    }
    assert_int_equal(stream_write(&spec, rig->cnt, 2, stream), 0);
}

/* Tasks of a closed rig, cnt of them, come from a savepoint. */
static WEIR_UNUSED void
rig_load(struct rig *rig, uint32_t cnt, const struct stream *stream)
{
    const uint32_t max = RIG_GROUP_CNT;
    rig->cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        struct rig_task *t = rig_task_new(rig, i, cnt);
        struct weir_operator *op = &t->op;
        struct weir_savepoint_reader *reader;
        struct weir_parts_reader *readers;
        uint32_t reader_cnt;
        struct stream_load to = {
            .arena = &t->arena, .ops = {.ops = &op, .parallelism_max = &max, .op_cnt = 1}};
        rig->task[i] = t;
        int err = stream_load(stream, &to, i, &reader);
        if (err < 0) {
            weir_err_print(stderr, err);
        }
        assert_int_equal(err, 0);
        assert_int_equal(rig_task_open(rig, t), 0);
        assert_int_equal(weir_savepoint_parts(weir_savepoint_reader_catalogue(reader), op->uid,
                             &readers, &reader_cnt),
            0);
        assert_int_equal(weir_kindset_restore(t->set, op, readers, reader_cnt), 0);
        assert_int_equal(rig->store != NULL ? weir_spill_restore(&t->spill, readers, reader_cnt)
                                            : weir_spill_refuse(op, readers, reader_cnt),
            0);
        free(readers);
        weir_savepoint_reader_close(reader);
    }
}

/* All tasks go, and cnt others come from a savepoint of them, with a store or without: they would
 * write the same. */
static WEIR_UNUSED void
rig_savepoint(struct rig *rig, uint32_t cnt, const struct weir_spill_conf *store)
{
    struct stream stream;
    struct stream again;
    rig_savepoint_write(rig, &stream);
    rig_close(rig);
    rig->store = store;
    rig_load(rig, cnt, &stream);
    rig_savepoint_write(rig, &again);
    assert_int_equal(again.bytes, stream.bytes);
    assert_memory_equal(again.data, stream.data, stream.bytes);
    stream_free(&stream);
    stream_free(&again);
}

#endif
