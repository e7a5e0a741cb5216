/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints, put together by hand, back into jobs of other shapes: SCENARIOS T-300, T-312, T-313,
 * what --restore may name, and what is said of files and directories that cannot be used. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "dataplane/blob.h"
#include "dataplane/capture.h"
#include "dataplane/operators/discard.h"
#include "dataplane/parts.h"
#include "dataplane/state.h"
#include "dataplane/table.h"
#include "dataplane/task_file.h"
#include "sched/graph.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"
#include "sched/job_restore.h"
#include "tests/unit/capture_mem.h"
#include "tests/unit/io_place.h"

/* clang-format off */
#define NUMBER(F) F(i64, n)
/* clang-format on */
WEIR_SCHEMA(number, NUMBER)

#define KEY_CNT 3000
#define UNDO_CNT 4096
#define PARTS_BYTES 16384

/* ---- a job: numbers -> (by n) -> keep -> also -> out ---- */

static int
no_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)out;
    (void)now_ns;
    return WEIR_DONE;
}

static int64_t
pass(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)now_ns;
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

/* A value is a number and a text in a blob. */
struct kept {
    uint64_t n;
    uint64_t text;
};

static int
move_kept(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    struct kept *kept = val;
    (void)op;
    (void)table;
    kept->text = mover->blob(mover->arg, (uint32_t)kept->text);
    return kept->text != 0 ? 0 : weir_err_push(WEIR_EFORMAT, "a text is not there");
}

static const struct weir_state_desc kept_states[] = {{"kept", move_kept, NULL}};
static const struct weir_operator_type source_type = {
    .name = "numbers", .output_cnt = 1, .poll = no_poll};
static const struct weir_operator_type keep_type = {.name = "keep",
    .input_cnt = 1,
    .output_cnt = 1,
    .process = pass,
    .states = kept_states,
    .state_cnt = 1};

struct shape {
    uint32_t parallelism;
    enum weir_plan_cut cut;
    uint32_t max_parallelism; /* 0: derived */
    const char *keep; /* what the first keeper is called; NULL: "keep" */
    bool lacks_also; /* the second keeper */
};

struct live {
    struct weir_env *env;
    struct weir_topo *topo;
    struct weir_plan *plan;
    struct weir_job *job;
    struct weir_discard_result results[4];
};

static struct weir_topo *host_topo;

static struct weir_stream *
add_keeper(struct weir_stream *in, const char *name)
{
    const struct weir_operator_conf conf = {.name = name, .type = &keep_type, .keeps_state = true};
    return weir_operator(&in, 1, &conf);
}

static void
open_live(const struct shape *shape, struct live *live)
{
    const struct weir_discard_conf discard = {.results = live->results};
    struct weir_cgroup cgroup;
    memset(live, 0, sizeof *live);
    assert_int_equal(weir_env_new("job", &live->env), 0);
    weir_env_set_parallelism(live->env, shape->parallelism);
    struct weir_stream *s =
        weir_source(live->env, "numbers", number_schema(), &source_type, NULL, 0);
    s = weir_key_by(weir_parallelism(s, 1), WEIR_KEY(number, n));
    s = add_keeper(s, shape->keep != NULL ? shape->keep : "keep");
    if (!shape->lacks_also) {
        s = add_keeper(s, "also");
    }
    (void)weir_sink(s, "out", &weir_discard_type, &discard, sizeof discard);
    assert_int_equal(weir_env_check(live->env), 0);
    if (host_topo == NULL) { /* once: it takes its time */
        assert_int_equal(weir_topo_open_live(&host_topo), 0);
    }
    live->topo = host_topo;
    assert_int_equal(weir_cgroup_read("", &cgroup), 0);
    const struct weir_plan_host host = {
        .topo = live->topo, .effective = cgroup.cpus, .budget_bytes = 128 * WEIR_MIB};
    const struct weir_plan_options options = {.cut = shape->cut};
    assert_int_equal(
        weir_plan_make(weir_job_plan_graph(live->env), &host, &options, &live->plan), 0);
    const struct weir_job_options job = {.poller = WEIR_JOB_SEEDED,
        .seed = 1,
        .batch_rows = 64,
        .max_parallelism = shape->max_parallelism,
        .small_pages = true,
        .state_bytes = 8 * WEIR_MIB};
    assert_int_equal(weir_job_new(live->env, live->plan, &job, &live->job), 0);
}

static void
close_live(struct live *live)
{
    weir_job_delete(live->job);
    weir_plan_close(live->plan);
    weir_env_delete(live->env);
}

static const char *
operator_name(const struct job_stage *stage, uint32_t i)
{
    return weir_task_operator(stage->task, i)->uid;
}

/* ---- state ---- */

static struct weir_table_rows
row_of(const uint64_t *key, uint64_t *hash)
{
    struct weir_table_rows rows = {
        .key = (const char *)key, .key_stride = sizeof *key, .cnt = 1, .hash = hash};
    weir_table_hash(WEIR_KEY_8, &rows, hash);
    return rows;
}

static struct weir_slice
text_of(uint64_t key, char *buf, size_t room)
{
    int n = snprintf(buf, room, "text of %llu", (unsigned long long)key);
    return (struct weir_slice){buf, (uint32_t)n};
}

/* The keys of one keeper that a stage owns; factor tells the keepers apart. */
static void
fill_state(struct job_stage *stage, const char *uid, uint64_t factor)
{
    struct weir_arena *arena = &stage->arena;
    const struct weir_table_spec spec = {
        weir_state_id(uid, "kept"), WEIR_KEY_8, sizeof(struct kept), 0};
    struct weir_table *table;
    char buf[64];
    assert_int_equal(weir_table_take(arena, &spec, 0, &table), 0);
    for (uint64_t key = 0; key < KEY_CNT; key++) {
        uint64_t hash;
        struct weir_table_rows row = row_of(&key, &hash);
        uint32_t group = weir_hash_key_group(hash, arena->spec.max_parallelism);
        if (group - arena->spec.groups.first >= arena->spec.groups.cnt) {
            continue;
        }
        void *val;
        bool made;
        uint32_t ref;
        assert_int_equal(weir_table_find_or_make(table, &row, &val, &made), 0);
        struct kept *kept = val;
        kept->n = key * factor;
        assert_int_equal(weir_blob_put(arena, group - arena->spec.groups.first,
                             text_of(key * factor, buf, sizeof buf), &ref),
            0);
        kept->text = ref;
    }
}

/* Each key is where its group's owner is, and nowhere else. Returns how many are here. */
static uint32_t
check_state(const struct job_stage *stage, const char *uid, uint64_t factor)
{
    const struct weir_arena *arena = &stage->arena;
    uint32_t idx = 0;
    uint32_t cnt = 0;
    struct weir_table *table = weir_state_next(arena, weir_state_id(uid, "kept"), &idx);
    for (uint64_t key = 0; key < KEY_CNT; key++) {
        uint64_t hash;
        char buf[64];
        (void)row_of(&key, &hash);
        uint32_t group = weir_hash_key_group(hash, arena->spec.max_parallelism);
        bool is_ours = group - arena->spec.groups.first < arena->spec.groups.cnt;
        if (table != NULL && is_ours) {
            const struct kept *kept = weir_table_find(table, hash, &key, NULL);
            assert_non_null(kept);
            assert_int_equal(kept->n, key * factor);
            assert_true(weir_blob_equal(
                arena, (uint32_t)kept->text, text_of(key * factor, buf, sizeof buf)));
            cnt++;
        }
    }
    assert_true(table == NULL || table->entry_cnt == cnt);
    return cnt;
}

/* Texts are in blobs: as many as there are keys, of whichever keepers the stage has. */
static void
check_blobs(const struct job_stage *stage)
{
    const struct weir_arena *arena = &stage->arena;
    uint64_t blob_cnt = 0;
    uint64_t entry_cnt = 0;
    uint32_t idx = 0;
    for (uint32_t page = 1; page < arena->page_fresh; page++) {
        const struct weir_slab *slab =
            (const struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
        blob_cnt += slab->kind == WEIR_PAGE_BLOB ? slab->used_cnt : 0;
    }
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        const struct weir_table *table =
            weir_state_next(arena, weir_state_id(operator_name(stage, i), "kept"), &idx);
        entry_cnt += table != NULL ? table->entry_cnt : 0;
        idx = 0;
    }
    assert_int_equal(blob_cnt, entry_cnt);
}

/* All keys of a keeper, over all stages that have it. */
static void
expect_keys(const struct live *live, const char *uid, uint64_t factor, uint32_t want)
{
    uint32_t cnt = 0;
    for (uint32_t s = 0; s < live->plan->stage_cnt; s++) {
        const struct job_stage *stage = &live->job->stage[s];
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            if (strcmp(operator_name(stage, i), uid) == 0) {
                check_blobs(stage);
                cnt += check_state(stage, uid, factor);
            }
        }
    }
    assert_int_equal(cnt, want);
}

/* ---- a checkpoint ---- */

struct disk {
    struct place place;
    char dir[128];
};

static void
open_disk(struct disk *disk)
{
    open_place(&disk->place, WEIR_IO_POSIX, 0);
    (void)snprintf(disk->dir, sizeof disk->dir, "%s/checkpoints", disk->place.dir);
}

static void
close_disk(struct disk *disk)
{
    char command[160];
    weir_io_close(disk->place.io);
    (void)snprintf(command, sizeof command, "rm -rf %s", disk->place.dir);
    assert_int_equal(system(command), 0);
}

/* What every operator leaves, and a part of its own; a source's is named "position". */
static size_t
write_parts(const struct job_stage *stage, char *buf)
{
    struct weir_parts_writer writer;
    size_t bytes;
    weir_parts_writer_init(&writer, buf, PARTS_BYTES);
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        const char *uid = operator_name(stage, i);
        weir_parts_writer_of(&writer, uid);
        weir_parts_begin(&writer, "chain", 1);
        weir_parts_end(&writer);
        if (strcmp(uid, "numbers") == 0) {
            weir_parts_begin(&writer, "position", 1);
            weir_parts_end(&writer);
        }
    }
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    return bytes;
}

static void
turn(struct disk *disk)
{
    struct weir_io *io = disk->place.io;
    if (weir_io_poll(io, weir_io_clock_ns(io)) == 0) {
        weir_io_wait(io, WEIR_MS, -1);
    }
}

static void
write_stage(struct disk *disk, const struct live *live, uint32_t s, struct weir_snapshot *writer,
    struct weir_snapshot_id *id, int32_t data_dir)
{
    static _Alignas(8) char parts[PARTS_BYTES + 8];
    struct job_stage *stage = &live->job->stage[s];
    struct weir_task_file file;
    struct weir_capture capture;
    void *mem = NULL;
    weir_task_file_init(&file, parts, write_parts(stage, parts));
    if (stage->has_arena) {
        mem = capture_mem(&stage->arena, UNDO_CNT);
        assert_int_equal(weir_capture_init(&capture, &stage->arena, UNDO_CNT, mem), 0);
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            const char *uid = operator_name(stage, i);
            if (weir_task_operator(stage->task, i)->type == &keep_type) {
                fill_state(stage, uid, strcmp(uid, "also") == 0 ? 7 : 3);
            }
        }
        assert_int_equal(weir_arena_snapshot_begin(&stage->arena), WEIR_DONE);
        assert_int_equal(weir_capture_begin(&capture, id->checkpoint, true), WEIR_DONE);
        weir_task_file_pages(&file, &stage->arena, &capture);
    }
    const struct weir_snapshot_source source = {.fill = weir_task_file_fill, .arg = &file};
    int err;
    id->task = s;
    id->subtask = live->plan->stages[s].subtask;
    weir_snapshot_start(writer, id, data_dir, &source);
    while (
        (err = weir_snapshot_poll(writer, weir_io_clock_ns(disk->place.io))) == WEIR_RELAY_BUSY) {
        turn(disk);
    }
    assert_int_equal(err, 0);
    free(mem);
}

/* The manifest's lines about the job's operators. */
static void
list_operators(const struct live *live, struct weir_manifest_operator *ret, uint32_t *ids)
{
    for (uint32_t i = 0; i < live->env->node_cnt; i++) {
        const struct weir_graph_node *node = &live->env->node[i];
        ids[i] = weir_state_id(node->name, "kept");
        ret[i] = (struct weir_manifest_operator){.uid = node->name,
            .name = node->name,
            .state_ids = &ids[i],
            .state_id_cnt = node->type->state_cnt,
            .parallelism_max = live->job->max_parallelism,
            .parallelism = node->parallelism};
    }
}

/* A checkpoint of a job of this shape, whose keepers hold all keys. without: an operator that had
 * ended. */
static void
save(struct disk *disk, const struct shape *shape, uint64_t checkpoint)
{
    struct live live;
    struct weir_snapshot *writer;
    struct weir_store *store;
    struct weir_snapshot_ack files[32];
    struct weir_manifest_operator operators[8];
    uint32_t ids[8];
    int err;
    const struct weir_snapshot_config blocks = {
        .io = disk->place.io, .depth = 2, .block_bytes = 16384};
    const struct weir_store_config config = {.io = disk->place.io,
        .root = disk->dir,
        .job = "job",
        .retained_cnt = 10,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN};
    open_live(shape, &live);
    assert_int_equal(weir_store_open(&config, &store), 0);
    weir_store_start(store);
    while ((err = weir_store_poll(store)) == WEIR_RELAY_BUSY) {
        turn(disk);
    }
    assert_int_equal(err, 0);
    assert_int_equal(weir_snapshot_open(&blocks, &writer), 0);
    struct weir_snapshot_id id = {
        .job = weir_store_job(store), .checkpoint = checkpoint, .epoch = weir_store_epoch(store)};
    for (uint32_t s = 0; s < live.plan->stage_cnt; s++) {
        write_stage(disk, &live, s, writer, &id, weir_store_data_dir(store));
        files[s] = *weir_snapshot_ack(writer);
    }
    list_operators(&live, operators, ids);
    const struct weir_manifest manifest = {.kind = WEIR_MANIFEST_KIND_CHECKPOINT,
        .checkpoint = checkpoint,
        .files = files,
        .file_cnt = live.plan->stage_cnt,
        .operators = operators,
        .operator_cnt = live.env->node_cnt};
    weir_store_commit(store, &manifest);
    while ((err = weir_store_poll(store)) == WEIR_RELAY_BUSY) {
        turn(disk);
    }
    assert_int_equal(err, 0);
    weir_snapshot_close(writer);
    weir_store_close(store);
    close_live(&live);
}

/* ---- restoring ---- */

struct told {
    uint32_t cnt;
    struct weir_job_restore_progress last;
};

static void
on_progress(void *arg, const struct weir_job_restore_progress *progress)
{
    struct told *told = arg;
    assert_true(progress->bytes_done >= told->last.bytes_done);
    told->last = *progress;
    told->cnt++;
}

struct back {
    struct live live;
    struct weir_job_restore *restore;
    struct weir_job_restore_conf conf;
    struct told told;
    char text[1024]; /* of the error */
};

/* 0 with a job that has its state, or the error; close_back() in both cases. */
static int
come_back(struct disk *disk, const struct shape *shape, struct weir_job_restore_options how,
    struct back *back)
{
    memset(back, 0, sizeof *back);
    open_live(shape, &back->live);
    back->conf = (struct weir_job_restore_conf){
        .dir = disk->dir, .job = "job", .how = how, .retained_cnt = 10};
    back->conf.how.progress_fn = on_progress;
    back->conf.how.progress_arg = &back->told;
    int err = weir_job_restore_start(disk->place.io, &back->conf, &back->restore);
    err = err != 0 ? err : weir_job_restore_load(back->restore, back->live.job);
    weir_err_save(back->text, sizeof back->text);
    weir_err_clear();
    return err;
}

static void
close_back(struct back *back)
{
    weir_job_restore_close(back->restore);
    close_live(&back->live);
}

static const struct weir_job_restore_options latest = {.from = WEIR_JOB_RESTORE_LATEST};

/* Whether snapshots of the stages' pages can rest on the files that were restored. */
static void
expect_chains(const struct back *back, bool are_there)
{
    for (uint32_t s = 0; s < back->live.plan->stage_cnt; s++) {
        const struct weir_snapshot_ack *const *files;
        uint32_t cnt = weir_job_restore_chain(back->restore, s, &files);
        assert_int_equal(cnt, are_there && back->live.job->stage[s].has_arena ? 1 : 0);
        assert_true(cnt == 0 || files[0]->id.task == s);
        assert_true(cnt == 0 || files[0]->id.checkpoint == back->live.job->restored.checkpoint);
    }
}

static void
expect_back(struct disk *disk, const struct shape *shape, bool is_same)
{
    struct back back;
    int err = come_back(disk, shape, latest, &back);
    if (err != 0) {
        fail_msg("%d: %s", err, back.text);
    }
    expect_keys(&back.live, "keep", 3, KEY_CNT);
    expect_keys(&back.live, "also", 7, shape->lacks_also ? 0 : KEY_CNT);
    assert_true(back.live.job->restore.is_on);
    assert_true(back.live.job->restore.is_same == is_same);
    assert_int_equal(back.live.job->restored.checkpoint, 5);
    expect_chains(&back, is_same);
    assert_true(back.told.last.is_done);
    assert_true(back.told.last.bytes_done > 0);
    close_back(&back);
}

/* Whatever the old and the new shape: every key is readable on exactly the owner of its group. */
static void
t_T300_every_key_is_on_its_owner(void **state)
{
    static const struct shape shapes[] = {{.parallelism = 1},
        {.parallelism = 1, .cut = WEIR_PLAN_CUT_ALL}, {.parallelism = 2},
        {.parallelism = 2, .cut = WEIR_PLAN_CUT_ALL}, {.parallelism = 3}};
    (void)state;
    for (size_t from = 0; from < WEIR_ARRAY_CNT(shapes); from++) {
        struct disk disk;
        open_disk(&disk);
        save(&disk, &shapes[from], 5);
        for (size_t to = 0; to < WEIR_ARRAY_CNT(shapes); to++) {
            expect_back(&disk, &shapes[to], from == to);
        }
        close_disk(&disk);
    }
}

/* However much there would be to read. */
static void
t_T199_canceled_while_state_is_read(void **state)
{
    const struct shape shape = {.parallelism = 1};
    struct disk disk;
    struct back back;
    (void)state;
    open_disk(&disk);
    save(&disk, &shape, 5);
    memset(&back, 0, sizeof back);
    open_live(&shape, &back.live);
    back.conf = (struct weir_job_restore_conf){
        .dir = disk.dir, .job = "job", .how = latest, .retained_cnt = 10};
    assert_int_equal(weir_job_restore_start(disk.place.io, &back.conf, &back.restore), 0);
    weir_job_request(back.live.job, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_job_restore_load(back.restore, back.live.job), WEIR_ECANCELED);
    weir_err_save(back.text, sizeof back.text);
    assert_non_null(strstr(back.text, "it was canceled while its state was read"));
    weir_err_clear();
    assert_false(back.live.job->restore.is_on);
    close_back(&back);
    expect_back(&disk, &shape, true); /* what it would have read is as it was */
    close_disk(&disk);
}

static void
t_T313_state_of_an_operator_that_is_gone(void **state)
{
    const struct shape shape = {.parallelism = 2};
    const struct shape renamed = {.parallelism = 2, .keep = "kept"};
    const struct shape without = {.parallelism = 2, .lacks_also = true};
    struct disk disk;
    struct back back;
    (void)state;
    open_disk(&disk);
    save(&disk, &shape, 5);
    assert_int_equal(come_back(&disk, &renamed, latest, &back), WEIR_ECONFIG);
    assert_non_null(strstr(back.text, "holds state of operator keep"));
    close_back(&back);
    assert_int_equal(come_back(&disk, &without, latest, &back), WEIR_ECONFIG);
    assert_non_null(strstr(back.text, "holds state of operator also"));
    close_back(&back);
    const struct weir_job_restore_options drops = {
        .from = WEIR_JOB_RESTORE_LATEST, .drops_unknown = true};
    assert_int_equal(come_back(&disk, &without, drops, &back), 0);
    expect_keys(&back.live, "keep", 3, KEY_CNT);
    /* Nothing of it is left in the tables. */
    for (uint32_t s = 0; s < back.live.plan->stage_cnt; s++) {
        const struct job_stage *stage = &back.live.job->stage[s];
        uint32_t idx = 0;
        assert_true(!stage->has_arena ||
                    weir_state_next(&stage->arena, weir_state_id("also", "kept"), &idx) == NULL);
    }
    close_back(&back);
    close_disk(&disk);
}

static void
t_T312_another_max_parallelism_is_refused(void **state)
{
    const struct shape shape = {.parallelism = 1, .max_parallelism = 64};
    const struct shape other = {.parallelism = 1, .max_parallelism = 32};
    struct disk disk;
    struct back back;
    (void)state;
    open_disk(&disk);
    save(&disk, &shape, 5);
    assert_int_equal(come_back(&disk, &other, latest, &back), WEIR_ECONFIG);
    assert_non_null(strstr(back.text, "max_parallelism 64, and now it is 32"));
    close_back(&back);
    close_disk(&disk);
}

/* ---- what --restore names ---- */

static void
t_R1_what_may_be_named(void **state)
{
    const struct shape shape = {.parallelism = 1};
    struct disk disk;
    struct disk other;
    struct back back;
    char path[256];
    (void)state;
    open_disk(&disk);
    open_disk(&other);
    /* latest of an empty directory: from nothing; none, then, too. */
    assert_int_equal(come_back(&disk, &shape, latest, &back), 0);
    assert_null(weir_job_restore_manifest(back.restore));
    assert_int_equal(weir_store_epoch(weir_job_restore_store(back.restore)), 1);
    assert_false(back.live.job->restore.is_on);
    expect_chains(&back, false);
    close_back(&back);
    struct weir_job_restore_options how = {.from = WEIR_JOB_RESTORE_NONE};
    assert_int_equal(come_back(&disk, &shape, how, &back), 0);
    close_back(&back);
    save(&disk, &shape, 5);
    save(&disk, &shape, 8);
    assert_int_equal(come_back(&disk, &shape, how, &back), WEIR_ECONFIG);
    assert_non_null(strstr(back.text, "--restore=latest"));
    close_back(&back);
    assert_int_equal(come_back(&disk, &shape, latest, &back), 0);
    assert_int_equal(back.live.job->restored.checkpoint, 8);
    assert_int_equal(weir_store_checkpoint_next(weir_job_restore_store(back.restore)), 9);
    close_back(&back);
    /* An older one of the same directory: what was stored since counts for nothing. */
    (void)snprintf(path, sizeof path, "%s/job/manifest/M-5-3", disk.dir);
    how = (struct weir_job_restore_options){.from = WEIR_JOB_RESTORE_PATH, .path = path};
    assert_int_equal(come_back(&disk, &shape, how, &back), 0);
    assert_int_equal(back.live.job->restored.checkpoint, 5);
    assert_int_equal(weir_store_checkpoint_next(weir_job_restore_store(back.restore)), 9);
    close_back(&back);
    assert_int_equal(come_back(&disk, &shape, latest, &back), 0);
    assert_int_equal(back.live.job->restored.checkpoint, 5);
    close_back(&back);
    /* Of another directory: ids and epochs go on above it. The second start has nothing else
     * yet. */
    for (int i = 0; i < 2; i++) {
        how.prefers_latest = i == 1;
        how.path = i == 0 ? path : disk.dir;
        assert_int_equal(come_back(&other, &shape, how, &back), 0);
        assert_int_equal(back.live.job->restored.checkpoint, 5);
        expect_keys(&back.live, "keep", 3, KEY_CNT);
        expect_chains(&back, false); /* its files lie elsewhere */
        struct weir_store *store = weir_job_restore_store(back.restore);
        assert_int_equal(weir_store_checkpoint_next(store), 6);
        assert_true(weir_store_epoch(store) > 3);
        close_back(&back);
    }
    save(&other, &shape, 77);
    assert_int_equal(come_back(&other, &shape, how, &back), 0); /* it prefers what is there */
    assert_int_equal(back.live.job->restored.checkpoint, 77);
    close_back(&back);
    how.prefers_latest = false;
    assert_int_equal(come_back(&other, &shape, how, &back), WEIR_ECONFIG);
    assert_non_null(strstr(back.text, "give a directory without any"));
    close_back(&back);
    how.path = "/nowhere/at/all";
    assert_int_equal(come_back(&other, &shape, how, &back), WEIR_ENOINPUT);
    close_back(&back);
    (void)snprintf(path, sizeof path, "%s/job/manifest/M-6-3", disk.dir);
    how.path = path;
    assert_int_equal(come_back(&other, &shape, how, &back), WEIR_ENOINPUT);
    assert_non_null(strstr(back.text, "there is no checkpoint"));
    close_back(&back);
    close_disk(&other);
    close_disk(&disk);
}

/* The own directory is known by whatever way leads there: what was stored since is no stranger. */
static void
t_R1_the_own_directory_by_another_way(void **state)
{
    const struct shape shape = {.parallelism = 1};
    struct disk disk;
    struct back back;
    char way[512];
    (void)state;
    open_disk(&disk);
    save(&disk, &shape, 5);
    save(&disk, &shape, 8);
    (void)snprintf(way, sizeof way, "/proc/self/root%s/job", disk.dir);
    const struct weir_job_restore_options how = {.from = WEIR_JOB_RESTORE_PATH, .path = way};
    assert_int_equal(come_back(&disk, &shape, how, &back), 0);
    assert_int_equal(back.live.job->restored.checkpoint, 8);
    close_back(&back);
    close_disk(&disk);
}

/* ---- damage ---- */

/* Flip a bit of a byte of a file below the job's directory. */
static void
flip(const struct disk *disk, const char *name, long off)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/job/%s", disk->dir, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, off, off < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_true(fputc(byte ^ 1, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Blocks are looked at when they are read: file, block and byte are named. The footer and the
 * manifest before that, by the store. */
static void
t_R2_damage_is_named(void **state)
{
    static const struct {
        const char *name;
        long off;
        const char *said;
    } damages[] = {
        {"data/5-1-0-0-0.snap", 200, "5-1-0-0-0.snap, block 0, byte 0"},
        {"data/5-1-0-0-0.snap", 3 * 16384 + 500, "5-1-0-0-0.snap, block 3, byte 49152"},
        {"data/5-1-0-0-0.snap", -4090, "5-1-0-0-0.snap"},
        {"manifest/M-5-1", 40, "M-5-1"},
    };
    const struct shape shape = {.parallelism = 1};
    (void)state;
    for (size_t i = 0; i < WEIR_ARRAY_CNT(damages); i++) {
        struct disk disk;
        struct back back;
        open_disk(&disk);
        save(&disk, &shape, 5);
        flip(&disk, damages[i].name, damages[i].off);
        int err = come_back(&disk, &shape, latest, &back);
        if (err != WEIR_ECHECKPOINT || strstr(back.text, damages[i].said) == NULL) {
            fail_msg("damage %zu: %d, %s", i, err, back.text);
        }
        close_back(&back);
        close_disk(&disk);
    }
}

static void
t_R1_two_engines_on_one_directory(void **state)
{
    const struct shape shape = {.parallelism = 1};
    struct disk disk;
    struct back first;
    struct back second;
    (void)state;
    open_disk(&disk);
    assert_int_equal(come_back(&disk, &shape, latest, &first), 0);
    assert_int_equal(come_back(&disk, &shape, latest, &second), WEIR_ERUNNING);
    assert_non_null(strstr(second.text, "in use by another process"));
    close_back(&second);
    close_back(&first);
    close_disk(&disk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T300_every_key_is_on_its_owner),
        cmocka_unit_test(t_T199_canceled_while_state_is_read),
        cmocka_unit_test(t_T313_state_of_an_operator_that_is_gone),
        cmocka_unit_test(t_T312_another_max_parallelism_is_refused),
        cmocka_unit_test(t_R1_what_may_be_named),
        cmocka_unit_test(t_R1_the_own_directory_by_another_way),
        cmocka_unit_test(t_R2_damage_is_named),
        cmocka_unit_test(t_R1_two_engines_on_one_directory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    weir_topo_close(host_topo);
    return failed;
}
