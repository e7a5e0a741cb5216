/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: which checkpoint is the truth: manifests, epochs and recovery in one directory of a job.
 *
 * [format: Checkpoints / Directory of a job, epoch records (STORE_VERSION)]
 *
 *   <root>/<job>/data/<checkpoint>-<epoch>-<task>-<subtask>-<attempt>.snap   dataplane/snapshot.h
 *   <root>/<job>/manifest/M-<checkpoint>-<epoch>    one complete checkpoint  dataplane/manifest.h
 *                         E-<k>                     epoch k was taken (fence)
 *                         B-<k>                     what epoch k started from (base)
 *                         S-<checkpoint>-<epoch>    beside the timeline: a savepoint is made of it
 *                         T-...                     being written; means nothing
 *                         LOCK                      held while a job runs; a courtesy only
 *
 *   E and B:   0 magic "WEIREPO1"   8 version u32   12 kind u32 (1 E, 2 B)   16 job u64
 *             24 epoch u64         32 base checkpoint u64 (0: nothing)       40 base epoch u64
 *             48 taken, ns since 1970, i64    56 zero u32    60 CRC32C of 0..59
 *
 * The timeline rule: let k be the highest epoch that has a B record. The truth is the highest
 * manifest written by epoch k; if there is none, it is the base that B-k names. Manifests of older
 * epochs beyond that base count for nothing, so a process that does not know that it was replaced
 * may write what it likes.
 *
 * S has the format of M, is never the truth, and goes with the process that wrote it, or with the
 * next start.
 *
 * [end of format]
 *
 *   start:  directories -> lock -> E-k durable -> scan -> candidate, every file of it looked at
 *           -> B-k durable -> look for a higher E -> ready            (steps W0, R1 to R3b)
 *   commit: look for a higher E -> manifest under a T name, synced -> renamed, never replacing
 *           -> directory synced -> look again -> COMMITTED            (steps C3 to C5)
 *   tidy:   manifests beyond the retained ones -> directory synced -> files that no manifest names
 *                                                                     (steps C7, R6)
 *
 * One of them runs at a time; each is polled and never blocks. What commit says: 0 is the commit
 * point, only then may anybody be told and any sink commit. WEIR_EFENCED: a newer run has taken
 * over.
 * WEIR_EOUTCOME: nobody can say; WEIR_EBUG: a name was there already. After these three the store
 * refuses all further work (weir_store_is_ended): tell nobody, delete nothing, exit; recovery
 * decides from the disk. Any other error: this checkpoint is declined, the job goes on.
 *
 * Thread:  the io's owner. The directory must be on one host or one that creates and looks up names
 *          linearizably; network file systems are not supported.
 * Source:  the protocol was model-checked, tests/model/commit.pml.
 */
#ifndef WEIR_SCHED_STORE_H
#define WEIR_SCHED_STORE_H

#include "dataplane/manifest.h"
#include "io/io.h"

WEIR_C_BEGIN

#define WEIR_STORE_TEXT_BYTES 512
#define WEIR_STORE_JOB_BYTES 128
#define WEIR_STORE_ROOT_BYTES 1024
/* Names in the manifest directory: retained ones, two for each start since the last tidy. */
#define WEIR_STORE_NAME_CNT_MAX 65536
/* io may hold the files of a dead process for a while: shorter is not tried. */
#define WEIR_STORE_LOCK_WAIT_NS_DEFAULT (2 * WEIR_SEC_NS)
/* Epochs tried when others take them at the same time. */
#define WEIR_STORE_EPOCH_TRY_CNT_MAX 1000
/* Sinks cannot say what they have committed. */
#define WEIR_STORE_COMMITTED_UNKNOWN UINT64_MAX

struct weir_store_config {
    struct weir_io *io;
    const char *root; /* borrowed until open returns, as job */
    const char *job; /* letters, digits, '.', '_', '-'; not starting with a dot */
    uint32_t retained_cnt; /* manifests kept, >= 1; 0: 1 */
    uint64_t manifest_bytes_max; /* 0: 1 MiB */
    int64_t lock_wait_ns; /* 0: the default */
    uint64_t sinks_committed_max; /* the highest id any sink has committed, or ..._UNKNOWN */
    bool in_memory; /* a volatile directory is what was asked for */
    bool strict; /* a volatile directory is an error else */
    bool start_empty; /* restore nothing, whatever is there */
    /* Restore this one, whatever else is there; checkpoint 0: what the timeline says. */
    uint64_t wanted_checkpoint;
    uint64_t wanted_epoch;
    /* Ids and epochs of before this directory: those given out here are above them. */
    uint64_t checkpoint_floor;
    uint64_t epoch_floor;
    bool accept_duplicates; /* a damaged newest checkpoint: take an older one all the same */
};

struct weir_store;

WEIR_API int weir_store_open(
    const struct weir_store_config *config, struct weir_store **ret_store) WEIR_MUST_USE;
/* weir_store_close - closes what is open; ends what flies first, which may block. Takes NULL. */
WEIR_API void weir_store_close(struct weir_store *store);

/* weir_store_start - become the job's next epoch and find what to restore. Again after an error: a
 * new epoch. */
WEIR_API void weir_store_start(struct weir_store *store);
/* weir_store_commit - make this checkpoint the truth. manifest is copied; its job, job_name and
 * epoch are the store's own, whatever it says. */
WEIR_API void weir_store_commit(struct weir_store *store, const struct weir_manifest *manifest);
/* weir_store_keep - a checkpoint beside the timeline: nothing goes back to it, and it and the files
 * that it names stay until it is released, or until the next start. As commit, but no outcome of it
 * is unknown: nobody counts on it. */
WEIR_API void weir_store_keep(struct weir_store *store, const struct weir_manifest *manifest);
/* weir_store_release - the next tidy removes what was kept. Not while the store is at work. */
WEIR_API void weir_store_release(struct weir_store *store, uint64_t checkpoint);
/* weir_store_tidy - remove what is no longer wanted. An error is no harm: later. */
WEIR_API void weir_store_tidy(struct weir_store *store);
/* weir_store_poll - WEIR_RELAY_BUSY, or how the last of these ended. */
WEIR_API int weir_store_poll(struct weir_store *store);

/* What start found; all good until the next start. */
WEIR_API uint64_t weir_store_epoch(const struct weir_store *store);
/* weir_store_restored - the checkpoint to restore from, NULL for none. */
WEIR_API const struct weir_manifest *weir_store_restored(const struct weir_store *store);
/* weir_store_checkpoint_next - above every id that was ever seen, of all epochs. */
WEIR_API uint64_t weir_store_checkpoint_next(const struct weir_store *store);
/* weir_store_job - the number that identifies the job in every file. */
WEIR_API uint64_t weir_store_job(const struct weir_store *store);
/* weir_store_data_dir - handle of the directory that snapshots are written to; */
WEIR_API int32_t weir_store_data_dir(const struct weir_store *store);
/* weir_store_is_direct - the probe found that files here can be written past the page cache. */
WEIR_API bool weir_store_is_direct(const struct weir_store *store);
/* weir_store_is_ended - fenced, or the outcome is unknown: see above. */
WEIR_API bool weir_store_is_ended(const struct weir_store *store);
/* weir_store_fault - one sentence on the last error. weir_store_warning - what to tell the user of
 * a start that went well; "" for nothing. */
WEIR_API const char *weir_store_fault(const struct weir_store *store);
WEIR_API const char *weir_store_warning(const struct weir_store *store);

WEIR_C_END

#endif
