/* SPDX-License-Identifier: Apache-2.0 */
/* store_rig.h: a job that is only its checkpoints: two tasks whose state follows from the id. */
#ifndef WEIR_TESTS_UNIT_STORE_RIG_H
#define WEIR_TESTS_UNIT_STORE_RIG_H

#include "base/hash.h"
#include "base/rng.h"
#include "sched/store.h"
#include "tests/unit/io_place.h"

#define RIG_TASK_CNT 2
#define RIG_BLOCK_BYTES 4096
#define RIG_POLL_CNT_MAX 200000

/* The state of one task at one checkpoint: bytes by position. */
struct rig_source {
    struct weir_snapshot_source source;
    uint64_t bytes;
    uint64_t at;
    uint64_t seed;
    uint32_t busy_cnt; /* how often fill says BUSY before it gives more */
    uint32_t calls;
    struct weir_snapshot_group groups[2];
    uint64_t counters[3];
};

struct rig {
    struct weir_io *io;
    struct weir_sim *world; /* NULL on the host */
    int64_t now_ns;
    struct weir_store *store;
    struct weir_snapshot *writer;
    struct weir_snapshot_reader *reader;
    uint64_t poll_cnt; /* so far, of all */
    uint64_t poll_cnt_max; /* stop there: RIG_CUT */
    bool keeps; /* checkpoints beside the timeline */
};

#define RIG_CUT 77 /* not an error of anybody: the rig's polls are used up */

static WEIR_UNUSED char
rig_byte(uint64_t seed, uint64_t at)
{
    return (char)(weir_rng_at(seed, at / 8) >> (at % 8 * 8));
}

static WEIR_UNUSED int64_t
rig_fill(void *arg, void *buf, uint64_t bytes)
{
    struct rig_source *source = arg;
    if (source->busy_cnt > 0 && ++source->calls % (source->busy_cnt + 1) != 0) {
        return WEIR_SNAPSHOT_BUSY;
    }
    uint64_t give = weir_min_u64(bytes, source->bytes - source->at);
    give = weir_min_u64(give, 1 + weir_rng_at(source->seed, source->at) % 3000);
    for (uint64_t i = 0; i < give; i++) {
        ((char *)buf)[i] = rig_byte(source->seed, source->at + i);
    }
    source->at += give;
    return (int64_t)give;
}

static WEIR_UNUSED void
rig_source_init(struct rig_source *source, uint64_t checkpoint, uint32_t task, uint64_t bytes)
{
    *source = (struct rig_source){.bytes = bytes, .seed = checkpoint * 1000 + task};
    source->groups[0] = (struct weir_snapshot_group){0, bytes / 2, 3, 0};
    source->groups[1] = (struct weir_snapshot_group){bytes / 2, bytes - bytes / 2, 9, 0};
    source->counters[0] = bytes;
    source->counters[1] = checkpoint;
    source->counters[2] = task;
    source->source = (struct weir_snapshot_source){.fill = rig_fill,
        .arg = source,
        .groups = source->groups,
        .counters = source->counters,
        .group_cnt = 2,
        .counter_cnt = 3,
        .bytes_expected = task == 0 ? bytes + 3 * RIG_BLOCK_BYTES : 0};
}

/* What a restore sees, compared with what the id says it must be. */
struct rig_sink {
    uint64_t seed;
    uint64_t bytes;
    bool differs;
};

static WEIR_UNUSED int
rig_sink(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct rig_sink *sink = arg;
    sink->differs = sink->differs || off != sink->bytes;
    for (uint64_t i = 0; i < bytes; i++) {
        sink->differs =
            sink->differs || ((const char *)payload)[i] != rig_byte(sink->seed, off + i);
    }
    sink->bytes += bytes;
    return 0;
}

/* One turn of the owner's loop. Returns false where the polls are used up. */
static WEIR_UNUSED bool
rig_turn(struct rig *rig)
{
    if (rig->poll_cnt++ >= rig->poll_cnt_max) {
        return false;
    }
    if (rig->world != NULL) {
        int64_t due_ns = weir_io_due_ns(rig->io);
        rig->now_ns = weir_max_i64(rig->now_ns + 1, due_ns < INT64_MAX ? due_ns : 0);
        (void)weir_io_poll(rig->io, rig->now_ns);
        return true;
    }
    if (weir_io_poll(rig->io, weir_io_clock_ns(rig->io)) == 0) {
        weir_io_wait(rig->io, WEIR_MS, -1);
    }
    return true;
}

static WEIR_UNUSED int
rig_store(struct rig *rig)
{
    int status;
    while ((status = weir_store_poll(rig->store)) == WEIR_RELAY_BUSY) {
        if (!rig_turn(rig)) {
            return RIG_CUT;
        }
    }
    return status;
}

static WEIR_UNUSED int
rig_write(struct rig *rig)
{
    int status;
    while (
        (status = weir_snapshot_poll(rig->writer, weir_io_clock_ns(rig->io))) == WEIR_RELAY_BUSY) {
        if (!rig_turn(rig)) {
            return RIG_CUT;
        }
    }
    return status;
}

static WEIR_UNUSED int
rig_read(struct rig *rig, const struct weir_snapshot_ask *ask)
{
    int status;
    weir_snapshot_read(rig->reader, ask);
    while ((status = weir_snapshot_read_poll(rig->reader)) == WEIR_RELAY_BUSY) {
        if (!rig_turn(rig)) {
            return RIG_CUT;
        }
    }
    return status;
}

static WEIR_UNUSED uint64_t
rig_bytes(uint64_t checkpoint, uint32_t task)
{
    return weir_rng_at(checkpoint, task) % (5 * RIG_BLOCK_BYTES);
}

/* One task's file of a checkpoint. */
static WEIR_UNUSED int
rig_file(struct rig *rig, uint64_t checkpoint, uint32_t task, struct weir_snapshot_ack *ret_ack)
{
    struct rig_source source;
    rig_source_init(&source, checkpoint, task, rig_bytes(checkpoint, task));
    struct weir_snapshot_id id = {.job = weir_store_job(rig->store),
        .checkpoint = checkpoint,
        .epoch = weir_store_epoch(rig->store),
        .attempt = weir_store_epoch(rig->store),
        .task = task};
    weir_snapshot_start(rig->writer, &id, weir_store_data_dir(rig->store), &source.source);
    int err = rig_write(rig);
    if (err == 0) {
        *ret_ack = *weir_snapshot_ack(rig->writer);
    }
    return err;
}

/* The manifest, when all its files are there. */
static WEIR_UNUSED int
rig_commit(
    struct rig *rig, uint64_t checkpoint, const struct weir_snapshot_ack *files, uint32_t file_cnt)
{
    const uint32_t state_ids[2] = {4, 7};
    const struct weir_manifest_operator operators[] = {
        {"count", "count by word", state_ids, 2, 128, 2}, {"sink", "file", NULL, 0, 128, 1}};
    const struct weir_manifest_part sources[] = {{"lines", &checkpoint, sizeof checkpoint, 0}};
    const struct weir_manifest_part transactions[] = {{"sink", "part-1", 6, 1}};
    const struct weir_manifest_counter counters[] = {{"records", checkpoint * 10}};
    const struct weir_manifest *restored = weir_store_restored(rig->store);
    struct weir_manifest manifest = {.kind = WEIR_MANIFEST_KIND_CHECKPOINT,
        .checkpoint = checkpoint,
        .parent_checkpoint = restored != NULL ? restored->checkpoint : 0,
        .parent_epoch = restored != NULL ? restored->epoch : 0,
        .config_hash = 42,
        .started_ns = (int64_t)(1700000000 + checkpoint) * WEIR_SEC_NS,
        .duration_ns = 12345678,
        .stall_ns = 4321,
        .files = files,
        .operators = operators,
        .sources = sources,
        .counters = counters,
        .file_cnt = file_cnt,
        .operator_cnt = 2,
        .source_cnt = 1,
        .transactions = transactions,
        .transaction_cnt = 1,
        .counter_cnt = 1};
    if (rig->keeps) {
        weir_store_keep(rig->store, &manifest);
    } else {
        weir_store_commit(rig->store, &manifest);
    }
    return rig_store(rig);
}

/* One whole checkpoint: all tasks' files, then the manifest. */
static WEIR_UNUSED int
rig_checkpoint(struct rig *rig, uint64_t checkpoint)
{
    struct weir_snapshot_ack files[RIG_TASK_CNT];
    for (uint32_t task = 0; task < RIG_TASK_CNT; task++) {
        int err = rig_file(rig, checkpoint, task, &files[task]);
        if (err != 0) {
            return err;
        }
    }
    return rig_commit(rig, checkpoint, files, RIG_TASK_CNT);
}

/* Load what start chose, and compare. Returns 0, an error, or RIG_CUT. */
static WEIR_UNUSED int
rig_restore(struct rig *rig)
{
    const struct weir_manifest *manifest = weir_store_restored(rig->store);
    for (uint32_t i = 0; manifest != NULL && i < manifest->file_cnt; i++) {
        struct rig_sink sink = {.seed = manifest->checkpoint * 1000 + i};
        struct weir_snapshot_ask ask = {.dir = weir_store_data_dir(rig->store),
            .file = &manifest->files[i],
            .sink = rig_sink,
            .arg = &sink};
        int err = rig_read(rig, &ask);
        if (err != 0) {
            return err;
        }
        assert_false(sink.differs);
        assert_int_equal(sink.bytes, rig_bytes(manifest->checkpoint, i));
        assert_int_equal(weir_snapshot_read_footer(rig->reader)->counters[1], manifest->checkpoint);
    }
    return 0;
}

static WEIR_UNUSED void
rig_open(struct rig *rig, struct weir_io *io, struct weir_sim *world,
    const struct weir_store_config *config)
{
    *rig = (struct rig){.io = io, .world = world, .poll_cnt_max = RIG_POLL_CNT_MAX};
    rig->now_ns = weir_io_clock_ns(io);
    struct weir_snapshot_config blocks = {
        .io = io, .depth = 3, .block_bytes = RIG_BLOCK_BYTES, .read_back = true};
    assert_int_equal(weir_snapshot_open(&blocks, &rig->writer), 0);
    assert_int_equal(weir_snapshot_reader_open(&blocks, &rig->reader), 0);
    struct weir_store_config own = *config;
    own.io = io;
    assert_int_equal(weir_store_open(&own, &rig->store), 0);
}

static WEIR_UNUSED void
rig_close(struct rig *rig)
{
    weir_store_close(rig->store);
    weir_snapshot_close(rig->writer);
    weir_snapshot_reader_close(rig->reader);
}

static WEIR_UNUSED int
rig_start(struct rig *rig)
{
    weir_store_start(rig->store);
    return rig_store(rig);
}

static WEIR_UNUSED int
rig_tidy(struct rig *rig)
{
    weir_store_tidy(rig->store);
    return rig_store(rig);
}

#endif
