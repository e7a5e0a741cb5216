/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/savepoint_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/killpoint.h"
#include "dataplane/state.h"
#include "sched/store.h"

#define WAIT_NS (100 * WEIR_MS)
#define COUNTER_CNT 3

/* One that is being written. */
struct write {
    const struct weir_savepoint_conf *conf;
    struct weir_savepoint_source *source;
    struct weir_snapshot_source file;
    struct weir_snapshot *writer;
    struct weir_store *store;
    uint64_t id;
    struct weir_manifest_operator *operators;
    uint32_t *state_ids;
    int err; /* of the source */
};

static void
wait(struct write *write)
{
    struct weir_io *io = write->conf->io;
    if (weir_io_poll(io, weir_io_clock_ns(io)) == 0) {
        weir_io_wait(io, WAIT_NS, -1);
    }
}

static int
run_store(struct write *write)
{
    int err;
    while ((err = weir_store_poll(write->store)) == WEIR_RELAY_BUSY) {
        wait(write);
    }
    return err == 0 ? 0 : weir_err_push(err, "%s", weir_store_fault(write->store));
}

static int64_t
fill(void *arg, void *buf, uint64_t bytes)
{
    struct write *write = arg;
    int64_t got = weir_savepoint_fill(write->source, buf, bytes);
    if (got == 0) { /* now the index is whole */
        write->file.groups = weir_savepoint_source_groups(write->source, &write->file.group_cnt);
    }
    write->err = got < 0 && got != WEIR_SNAPSHOT_BUSY ? (int)got : 0;
    if (write->conf->progress_fn != NULL) {
        const struct weir_savepoint_progress progress =
            weir_savepoint_source_progress(write->source);
        write->conf->progress_fn(write->conf->arg, &progress);
    }
    return got;
}

static int
write_file(struct write *write)
{
    struct weir_io *io = write->conf->io;
    const struct weir_snapshot_config config = {.io = io, .unregistered = true, .read_back = true};
    const struct weir_snapshot_id id = {.job = weir_store_job(write->store),
        .checkpoint = write->id,
        .epoch = weir_store_epoch(write->store),
        .attempt = weir_store_epoch(write->store)};
    int err = weir_snapshot_open(&config, &write->writer);
    if (err < 0) {
        return err;
    }
    write->file.fill = fill;
    write->file.arg = write;
    weir_snapshot_start(write->writer, &id, weir_store_data_dir(write->store), &write->file);
    while ((err = weir_snapshot_poll(write->writer, weir_io_clock_ns(io))) == WEIR_RELAY_BUSY) {
        wait(write);
    }
    if (err < 0 && write->err == 0) {
        return weir_err_push(err, "%s", weir_snapshot_fault(write->writer)->text);
    }
    return err;
}

static int
list_operators(struct write *write)
{
    const struct weir_savepoint *savepoint = weir_savepoint_source_catalogue(write->source);
    write->operators = calloc(savepoint->operator_cnt + UINT64_C(1), sizeof *write->operators);
    write->state_ids = calloc(savepoint->state_cnt + UINT64_C(1), sizeof *write->state_ids);
    if (write->operators == NULL || write->state_ids == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the manifest of a savepoint");
    }
    for (uint32_t i = 0; i < savepoint->operator_cnt; i++) {
        const struct weir_savepoint_operator *op = &savepoint->operators[i];
        write->operators[i] = (struct weir_manifest_operator){.uid = op->uid,
            .name = op->type,
            .state_ids = &write->state_ids[op->first_state],
            .state_id_cnt = op->state_cnt,
            .parallelism_max = op->parallelism_max,
            .parallelism = 1}; /* whatever it was: its state is that of one */
        for (uint32_t s = op->first_state; s < op->first_state + op->state_cnt; s++) {
            write->state_ids[s] = weir_state_id(op->uid, savepoint->states[s].name);
        }
    }
    return 0;
}

static int
commit(struct write *write, int64_t started_ns, uint64_t duration_ns)
{
    const struct weir_savepoint_totals *totals = weir_savepoint_source_totals(write->source);
    const struct weir_manifest_counter counters[COUNTER_CNT] = {
        {"entries", totals->entries}, {"rows", totals->rows}, {"key_groups", totals->key_groups}};
    int err = list_operators(write);
    const struct weir_manifest manifest = {.kind = WEIR_MANIFEST_KIND_SAVEPOINT,
        .checkpoint = write->id,
        .parent_checkpoint = write->conf->parent_checkpoint,
        .parent_epoch = write->conf->parent_epoch,
        .started_ns = started_ns,
        .duration_ns = duration_ns,
        .files = weir_snapshot_ack(write->writer),
        .file_cnt = 1,
        .operators = write->operators,
        .operator_cnt = weir_savepoint_source_catalogue(write->source)->operator_cnt,
        .counters = counters,
        .counter_cnt = COUNTER_CNT};
    if (err == 0) {
        weir_store_commit(write->store, &manifest);
        err = run_store(write);
    }
    return err;
}

static int
open_store(struct write *write, const char *job)
{
    uint64_t parent = write->conf->parent_checkpoint;
    const struct weir_store_config config = {.io = write->conf->io,
        .root = write->conf->root,
        .job = job,
        .retained_cnt = 1, /* nothing is tidied */
        .manifest_bytes_max = WEIR_MANIFEST_BYTES_MAX,
        .sinks_committed_max = WEIR_STORE_COMMITTED_UNKNOWN,
        .strict = write->conf->strict,
        .checkpoint_floor = parent > 0 ? parent - 1 : 0,
        .epoch_floor = write->conf->parent_epoch};
    int err = weir_store_open(&config, &write->store);
    if (err == 0) {
        weir_store_start(write->store);
        err = run_store(write);
    }
    if (err != 0) {
        return err;
    }
    /* Sinks know the checkpoint by its id: who starts from the savepoint must speak of the same. A
     * job that began anew in another directory has counted anew, so an id may be here already: the
     * epoch, which the store has claimed for this process alone, tells the two apart. */
    const struct weir_manifest *newest = weir_store_restored(write->store);
    write->id = parent > 0 ? parent : weir_store_checkpoint_next(write->store);
    if (newest != NULL && newest->kind != WEIR_MANIFEST_KIND_SAVEPOINT) {
        return weir_err_push(WEIR_ECONFIG,
            "%s holds checkpoints of job %s, which remove what is older than they are: give a "
            "savepoint another directory",
            write->conf->root, job);
    }
    return 0;
}

int
weir_savepoint_store(const struct weir_savepoint_conf *conf, const struct weir_savepoint_spec *spec,
    struct weir_savepoint_made *ret_made)
{
    struct write write = {.conf = conf};
    int64_t started_ns = weir_io_wall_ns(conf->io);
    int64_t begin_ns = weir_io_clock_ns(conf->io);
    int err = weir_savepoint_source_open(spec, &write.source);
    err = err < 0 ? err : open_store(&write, spec->job);
    err = err < 0 ? err : write_file(&write);
    WEIR_KILLPOINT_IF(err == 0, SAVEPOINT_WRITTEN);
    err = err < 0 ? err
                  : commit(&write, started_ns, (uint64_t)(weir_io_clock_ns(conf->io) - begin_ns));
    if (err == 0) {
        WEIR_KILLPOINT(SAVEPOINT_STORED);
        const struct weir_snapshot_ack *ack = weir_snapshot_ack(write.writer);
        *ret_made = (struct weir_savepoint_made){ack->id.checkpoint, ack->id.epoch, ack->file_bytes,
            *weir_savepoint_source_totals(write.source)};
    }
    weir_snapshot_close(write.writer);
    weir_store_close(write.store);
    weir_savepoint_source_close(write.source);
    free(write.operators);
    free(write.state_ids);
    return err;
}

/* ---- reading ---- */

int
weir_savepoint_look(struct weir_look *look, uint32_t idx,
    const struct weir_savepoint_events *events, struct weir_savepoint_reader **ret_reader)
{
    const struct weir_look_checkpoint *entry = weir_look_at(look, idx);
    *ret_reader = NULL;
    if (entry->err != 0) {
        return weir_err_push(entry->err, "%s/%s", entry->job, entry->wrong);
    }
    if (entry->manifest.kind != WEIR_MANIFEST_KIND_SAVEPOINT) {
        return weir_err_push(WEIR_ENOINPUT,
            "%s %" PRIu64 " is a checkpoint, no savepoint: see weir checkpoint show", entry->job,
            entry->checkpoint);
    }
    int err = weir_savepoint_reader_open(events, ret_reader);
    err = err < 0 ? err : weir_look_read(look, idx, weir_savepoint_take, *ret_reader);
    if (err < 0) {
        return entry->wrong[0] != '\0' ? weir_err_push(err, "%s/%s", entry->job, entry->wrong)
                                       : err;
    }
    err = weir_savepoint_reader_end(*ret_reader);
    return err == WEIR_EDATA ? weir_err_push(WEIR_ECHECKPOINT, "%s: savepoint %" PRIu64, entry->job,
                                   entry->checkpoint)
                             : err;
}
