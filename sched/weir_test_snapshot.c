/* SPDX-License-Identifier: Apache-2.0 */
/* What checkpoints of a test take, as savepoints; restoring them, and reading them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dataplane/savepoint_text.h"
#include "dataplane/table.h"
#include "sched/weir_test_priv.h"

#define PIECE_BYTES (64 * WEIR_KIB)

/* ---- taking ---- */

/* A copy of an arena, pages in their places: the task goes on with the other one. */
static int
copy_arena(struct test_subtask *subtask)
{
    const struct weir_arena *from = &subtask->arena;
    struct test_cut *cut = &subtask->cut;
    struct weir_arena *to = &cut->arena;
    uint64_t bytes = subtask->test->conf.state_bytes;
    cut->arena_mem = weir_lazy_map(bytes);
    if (cut->arena_mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a copy of the state pages");
    }
    int err = weir_arena_init(to, &from->spec, cut->arena_mem, bytes);
    if (err != 0) {
        return err;
    }
    memcpy(to->base, from->base, (size_t)from->page_fresh * WEIR_PAGE_BYTES);
    to->page_fresh = from->page_fresh;
    memcpy(to->table_mem, from->table_mem, (size_t)from->table_fresh * WEIR_ARENA_TABLE_BYTES);
    to->table_fresh = from->table_fresh;
    to->table_free = from->table_free;
    to->table_cnt = from->table_cnt;
    for (uint32_t i = 0; i < to->table_fresh; i++) {
        struct weir_table *table = weir_table_at(to, i);
        if (table != NULL) {
            table->arena = to;
        }
    }
    err = weir_table_rebuild(to);
    cut->has_arena = err == 0;
    return err;
}

static void
forget(struct test_subtask *subtask)
{
    struct test_cut *cut = &subtask->cut;
    weir_lazy_unmap(cut->arena_mem, subtask->test->conf.state_bytes);
    cut->arena_mem = NULL;
    cut->has_arena = false;
    cut->has_parts = false;
    cut->is_precommitted = false;
}

void
weir_test_cut_fini(struct test_subtask *subtask)
{
    if (subtask->test != NULL) {
        forget(subtask);
    }
}

/* Checkpoint `id` has begun somewhere: what was taken before is forgotten. */
static void
enter(struct weir_test *test, uint64_t id)
{
    if (id > test->cut_id) {
        test->cut_id = id;
        test->declined = 0;
        for (uint32_t i = 0; i < test->conf.parallelism; i++) {
            if (test->subtasks[i].test != NULL) {
                forget(&test->subtasks[i]);
            }
        }
    }
}

static int
on_begin(void *arg, struct weir_task *task, const struct weir_mark *mark, void **ret_buf,
    size_t *ret_bytes)
{
    struct test_subtask *subtask = (struct test_subtask *)arg;
    (void)task;
    enter(subtask->test, mark->id);
    *ret_buf = subtask->parts;
    *ret_bytes = TEST_PARTS_BYTES;
    return subtask->test->has_state ? copy_arena(subtask) : 0;
}

static void
on_report(void *arg, struct weir_task *task, const struct weir_task_report *report)
{
    struct test_subtask *subtask = (struct test_subtask *)arg;
    struct weir_test *test = subtask->test;
    struct test_cut *cut = &subtask->cut;
    if (report->kind == WEIR_TASK_SNAPSHOT) {
        memcpy(cut->parts, subtask->parts, report->parts_bytes);
        cut->parts_bytes = report->parts_bytes;
        cut->has_parts = true;
    } else if (report->kind == WEIR_TASK_PRECOMMITTED && report->mark.id == test->cut_id) {
        cut->is_precommitted = true;
    } else if (report->kind == WEIR_TASK_DECLINED) {
        enter(test, report->mark.id);
        test->declined = report->error != 0 ? report->error : WEIR_ECHECKPOINT;
        int n = snprintf(test->declined_text, sizeof test->declined_text,
            "checkpoint %" PRIu64 " was declined: %s", report->mark.id,
            weir_decline_name(report->decline));
        if (report->error != 0) {
            (void)snprintf(test->declined_text + n, sizeof test->declined_text - (size_t)n, ": ");
            weir_err_save(test->declined_text + n + 2, sizeof test->declined_text - (size_t)n - 2);
            weir_err_clear();
        }
    } else if (report->kind == WEIR_TASK_BEGINS) { /* here the test alone begins checkpoints */
        const struct weir_mark none = {0};
        (void)!weir_task_post(task, WEIR_TASK_GO_ON, &none); /* its only letter in this poll */
    }
}

void
weir_test_checkpoints_init(struct test_subtask *subtask)
{
    struct weir_test *test = subtask->test;
    subtask->cut.parts = (char *)weir_env_alloc(test->env, TEST_PARTS_BYTES);
    subtask->checkpoints = (struct weir_task_checkpoints){.arg = subtask,
        .mode = WEIR_BARRIER_ALIGNED,
        .after_end = true,
        .begin_fn = on_begin,
        .report_fn = on_report,
        .restore = &test->restore};
}

/* ---- writing ---- */

static int
add(struct weir_test_snapshot *snapshot, const void *data, size_t bytes)
{
    if (snapshot->bytes + bytes > snapshot->cap) {
        size_t cap = snapshot->cap * 2 + bytes;
        char *grown = (char *)realloc(snapshot->data, cap);
        if (grown == NULL) {
            return weir_err_push(WEIR_ENOMEM, "a snapshot of %zu bytes", cap);
        }
        snapshot->data = grown;
        snapshot->cap = cap;
    }
    memcpy(snapshot->data + snapshot->bytes, data, bytes);
    snapshot->bytes += bytes;
    return 0;
}

static int
write_stream(const struct weir_savepoint_spec *spec, struct weir_test_snapshot *snapshot)
{
    struct weir_savepoint_source *source = NULL;
    char *piece = (char *)malloc(PIECE_BYTES);
    int err = piece == NULL ? weir_err_push(WEIR_ENOMEM, "a piece of a snapshot")
                            : weir_savepoint_source_open(spec, &source);
    int64_t got = WEIR_SNAPSHOT_BUSY;
    while (err == 0 && got != 0) {
        got = weir_savepoint_fill(source, piece, PIECE_BYTES);
        if (got > 0) {
            err = add(snapshot, piece, (size_t)got);
        } else if (got < 0 && got != WEIR_SNAPSHOT_BUSY) {
            err = (int)got;
        }
    }
    weir_savepoint_source_close(source);
    free(piece);
    return err;
}

static int
check_cut(struct weir_test *test)
{
    if (test->declined != 0) {
        return weir_err_push(test->declined, "%s", test->declined_text);
    }
    for (uint32_t i = 0; i < test->subtask_cnt; i++) {
        const struct test_cut *cut = &test->subtasks[i].cut;
        if (!cut->has_parts || !cut->is_precommitted) {
            return weir_err_push(WEIR_ECHECKPOINT, "subtask %u has not %s checkpoint %" PRIu64, i,
                cut->has_parts ? "pre-committed" : "begun", test->cut_id);
        }
    }
    return 0;
}

static int
write_cut(struct weir_test *test, struct weir_test_snapshot *snapshot)
{
    uint32_t cnt = test->subtask_cnt;
    struct weir_savepoint_task *tasks = (struct weir_savepoint_task *)calloc(cnt, sizeof *tasks);
    struct weir_parts_reader *parts = (struct weir_parts_reader *)calloc(cnt, sizeof *parts);
    struct weir_operator **ops =
        (struct weir_operator **)calloc((size_t)cnt * test->node_cnt, sizeof *ops);
    int err = tasks == NULL || parts == NULL || ops == NULL
                  ? weir_err_push(WEIR_ENOMEM, "a snapshot")
                  : 0;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        struct test_subtask *subtask = &test->subtasks[i];
        struct weir_operator **own = ops + (size_t)i * test->node_cnt;
        for (uint32_t n = 0; n < test->node_cnt; n++) {
            own[n] = weir_task_operator(subtask->task, n);
        }
        err = weir_parts_reader_init(&parts[i], subtask->cut.parts, subtask->cut.parts_bytes);
        tasks[i] = (struct weir_savepoint_task){
            .arena = subtask->cut.has_arena ? &subtask->cut.arena : NULL,
            .parts = &parts[i],
            .ops = own,
            .op_cnt = test->node_cnt,
            .subtask = i};
    }
    const struct weir_savepoint_spec spec = {.job = "test", .tasks = tasks, .task_cnt = cnt};
    err = err != 0 ? err : write_stream(&spec, snapshot);
    free(tasks);
    free(parts);
    free(ops);
    return err;
}

int
weir_test_snapshot(struct weir_test *test, struct weir_test_snapshot **ret_snapshot)
{
    int err = weir_test_stale(test);
    err = err != 0 ? err : check_cut(test);
    if (err != 0) {
        return err;
    }
    struct weir_test_snapshot *snapshot = (struct weir_test_snapshot *)calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        return weir_err_push(WEIR_ENOMEM, "a snapshot");
    }
    snapshot->id = test->cut_id;
    snapshot->max_parallelism = test->conf.max_parallelism;
    err = write_cut(test, snapshot);
    if (err != 0) {
        weir_test_snapshot_free(snapshot);
        return err;
    }
    *ret_snapshot = snapshot;
    return 0;
}

void
weir_test_snapshot_free(struct weir_test_snapshot *snapshot)
{
    if (snapshot != NULL) {
        free(snapshot->data);
        free(snapshot->text);
        free(snapshot);
    }
}

uint64_t
weir_test_snapshot_id(const struct weir_test_snapshot *snapshot)
{
    return snapshot->id;
}

const void *
weir_test_snapshot_bytes(const struct weir_test_snapshot *snapshot, size_t *ret_bytes)
{
    *ret_bytes = snapshot->bytes;
    return snapshot->data;
}

/* ---- reading ---- */

/* All of a stream; the reader is the caller's to close, also after an error. */
static int
read_stream(const struct weir_test_snapshot *snapshot, const struct weir_savepoint_events *events,
    struct weir_savepoint_reader **ret_reader)
{
    int err = weir_savepoint_reader_open(events, ret_reader);
    err = err != 0 ? err : weir_savepoint_take(*ret_reader, snapshot->data, snapshot->bytes, 0);
    return err != 0 ? err : weir_savepoint_reader_end(*ret_reader);
}

int
weir_test_snapshot_of(const void *data, size_t bytes, struct weir_test_snapshot **ret_snapshot)
{
    const struct weir_savepoint_events nothing = {NULL, NULL, NULL};
    struct weir_savepoint_reader *reader = NULL;
    struct weir_test_snapshot *snapshot = (struct weir_test_snapshot *)calloc(1, sizeof *snapshot);
    int err = snapshot == NULL ? weir_err_push(WEIR_ENOMEM, "a snapshot") : 0;
    err = err != 0 ? err : add(snapshot, data, bytes);
    err = err != 0 ? err : read_stream(snapshot, &nothing, &reader);
    if (err == 0) {
        snapshot->max_parallelism = weir_savepoint_reader_catalogue(reader)->group_cnt;
        *ret_snapshot = snapshot;
    }
    weir_savepoint_reader_close(reader);
    if (err != 0) {
        weir_test_snapshot_free(snapshot);
    }
    return err;
}

/* ---- restoring ---- */

struct loading {
    struct weir_test *test;
    struct weir_savepoint_load **loads; /* [subtask] */
    struct weir_operator **ops; /* [node], of one subtask */
    uint32_t *max; /* [node] */
};

/* Nodes of the test's own may come and go; those of the user's graph may not. */
static int
check_operators(const struct loading *loading, const struct weir_savepoint *savepoint)
{
    for (uint32_t o = 0; o < savepoint->operator_cnt; o++) {
        const char *uid = savepoint->operators[o].uid;
        bool is_known = strncmp(uid, TEST_UID, strlen(TEST_UID)) == 0;
        for (uint32_t n = 0; n < loading->test->node_cnt; n++) {
            is_known = is_known || strcmp(uid, loading->ops[n]->uid) == 0;
        }
        if (!is_known) {
            return weir_err_push(
                WEIR_ESTATE, "the snapshot has state of an operator %s, the test has none", uid);
        }
    }
    return 0;
}

static int
load_begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct loading *loading = (struct loading *)arg;
    struct weir_test *test = loading->test;
    const struct weir_savepoint_ops ops = {loading->ops, loading->max, test->node_cnt, true};
    uint32_t dropped = 0;
    int err = 0;
    for (uint32_t i = 0; i < test->subtask_cnt && err == 0; i++) {
        for (uint32_t n = 0; n < test->node_cnt; n++) {
            loading->ops[n] = weir_task_operator(test->subtasks[i].task, n);
        }
        if (i == 0) {
            err = check_operators(loading, savepoint);
            err = err != 0 ? err : weir_savepoint_check(savepoint, &ops, &dropped);
        }
        if (err == 0 && test->has_state) {
            err = weir_savepoint_load_open(
                savepoint, &test->subtasks[i].arena, &ops, &loading->loads[i]);
        }
    }
    return err;
}

static int
load_row(void *arg, const struct weir_savepoint_row *row)
{
    struct loading *loading = (struct loading *)arg;
    int err = 0;
    for (uint32_t i = 0; i < loading->test->subtask_cnt && err == 0; i++) {
        err = loading->loads[i] != NULL ? weir_savepoint_load_row(loading->loads[i], row) : 0;
    }
    return err;
}

static int
load(struct loading *loading)
{
    struct weir_test *test = loading->test;
    const struct weir_savepoint_events events = {load_begin, load_row, loading};
    struct weir_savepoint_reader *reader = NULL;
    int err = read_stream(test->conf.from, &events, &reader);
    for (uint32_t i = 0; i < test->subtask_cnt; i++) {
        err = err != 0 || loading->loads[i] == NULL ? err
                                                    : weir_savepoint_load_end(loading->loads[i]);
        weir_savepoint_load_close(loading->loads[i]);
    }
    if (err == 0) {
        err = weir_savepoint_parts(weir_savepoint_reader_catalogue(reader), NULL, &test->readers,
            &test->restore.parts_cnt);
        test->restore.parts = test->readers;
        test->restore.is_on = err == 0;
        test->last_id = test->conf.from->id;
    }
    weir_savepoint_reader_close(reader);
    return err;
}

int
weir_test_load(struct weir_test *test)
{
    struct loading loading = {.test = test};
    loading.loads = (struct weir_savepoint_load **)calloc(test->subtask_cnt, sizeof *loading.loads);
    loading.ops = (struct weir_operator **)calloc(test->node_cnt, sizeof *loading.ops);
    loading.max = (uint32_t *)calloc(test->node_cnt, sizeof *loading.max);
    int err = loading.loads == NULL || loading.ops == NULL || loading.max == NULL
                  ? weir_err_push(WEIR_ENOMEM, "a snapshot")
                  : 0;
    for (uint32_t n = 0; n < test->node_cnt && err == 0; n++) {
        loading.max[n] = test->conf.max_parallelism;
    }
    err = err != 0 ? err : load(&loading);
    free(loading.loads);
    free(loading.ops);
    free(loading.max);
    return err != 0 ? weir_err_push(err, "the snapshot cannot be restored") : 0;
}

/* ---- as text ---- */

struct telling {
    FILE *to;
    const char *operator_name;
    const char *state; /* NULL: names of all */
    bool is_found;
};

static bool
is_wanted(const struct telling *telling, const struct weir_savepoint *savepoint, uint32_t op_idx,
    const char *name)
{
    return strcmp(savepoint->operators[op_idx].uid, telling->operator_name) == 0 &&
           (telling->state == NULL || strcmp(name, telling->state) == 0);
}

static int
tell_begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct telling *telling = (struct telling *)arg;
    for (uint32_t i = 0; i < savepoint->state_cnt; i++) {
        const struct weir_savepoint_state *state = &savepoint->states[i];
        if (is_wanted(telling, savepoint, state->op_idx, state->name)) {
            telling->is_found = true;
            if (telling->state == NULL) {
                (void)fprintf(telling->to, "%s\n", state->name);
            }
        }
    }
    for (uint32_t i = 0; i < savepoint->part_cnt; i++) {
        const struct weir_savepoint_part *part = &savepoint->parts[i];
        if (is_wanted(telling, savepoint, part->op_idx, part->name)) {
            telling->is_found = true;
            if (telling->state == NULL) {
                (void)fprintf(telling->to, "%s\n", part->name);
            } else {
                weir_savepoint_part_print(telling->to, part);
            }
        }
    }
    return 0;
}

static int
tell_row(void *arg, const struct weir_savepoint_row *row)
{
    const struct telling *telling = (const struct telling *)arg;
    const struct weir_savepoint_state *state = &row->savepoint->states[row->state];
    return telling->state != NULL && is_wanted(telling, row->savepoint, state->op_idx, state->name)
               ? weir_savepoint_row_print(telling->to, row)
               : 0;
}

const char *
weir_test_state(struct weir_test_snapshot *snapshot, const char *operator_name, const char *state)
{
    struct telling telling = {.operator_name = operator_name, .state = state};
    const struct weir_savepoint_events events = {tell_begin, tell_row, &telling};
    struct weir_savepoint_reader *reader = NULL;
    size_t bytes = 0;
    free(snapshot->text);
    snapshot->text = NULL;
    telling.to = open_memstream(&snapshot->text, &bytes);
    if (telling.to == NULL) {
        return NULL;
    }
    int err = read_stream(snapshot, &events, &reader);
    weir_savepoint_reader_close(reader);
    bool is_good = fclose(telling.to) == 0 && err == 0 && telling.is_found;
    return is_good ? snapshot->text : NULL;
}
