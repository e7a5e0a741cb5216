/* SPDX-License-Identifier: Apache-2.0 */
/* retention.h: which completed checkpoints are kept, which files they share, and what may be
 * deleted.
 *
 *     prepare -> (manifest is stored) -> confirm -> committed -> ... N newer ones ... -> manifest
 *        |                                                       goes -> its own files go
 *        '-> discard (it was aborted), or keep (nobody knows)
 *
 * It deletes nothing: weir_retention_poll() names the next thing that may go, the manifest of a
 * checkpoint always before its files, and those only after weir_retention_unlinked() has said that
 * the manifest is gone for good. A checkpoint goes when N newer ones are confirmed and its own
 * sinks have committed (RELIABILITY 5, C7; 6, C2). A file goes when no checkpoint that is still
 * there lies between the first and the last that used it: an incremental chain uses a file without
 * gaps.
 *
 * Savepoints of a user are never given to it. One that the job was restored from is either claimed
 * (its files are ours from now on; its manifest stays as long as one of its files is used) or not
 * (nothing of it is ever named).
 *
 * Files have a key, which stays, and a name, where the bytes are. A checkpoint that uses a file
 * again gives the key alone. One that wrote the file twice is given the old name back, and the new
 * copy goes.
 *
 * Thread:  one, the checkpoint thread. No memory is taken after weir_retention_new().
 * Source:  Flink's DefaultCompletedCheckpointStore and SharedStateRegistryImpl.
 */
#ifndef WEIR_SCHED_RETENTION_H
#define WEIR_SCHED_RETENTION_H

#include "base/base.h"

/* A data file's name is "<ckpt>-<epoch>-<task>-<subtask>-<attempt>.snap": five numbers. */
#define WEIR_RETENTION_NAME_BYTES 128
#define WEIR_RETENTION_RETAINED_MAX 1000
/* Checkpoints beyond the retained ones that are there for a while: notified ones whose sinks have
 * not committed (sched/coordinator.h has at most 44 alive), and manifests that are being
 * deleted. */
#define WEIR_RETENTION_SLACK_CNT 64

struct weir_retention;

struct weir_retention_conf {
    uint32_t retained; /* N, at least 1 */
    uint32_t file_max; /* files of all checkpoints that are there, copies included */
};

enum weir_retention_owner {
    WEIR_RETENTION_OURS,
    WEIR_RETENTION_CLAIMED, /* a savepoint that the job was restored from and may delete */
    WEIR_RETENTION_UNCLAIMED, /* one that it may not */
};

struct weir_retention_file {
    const char *key; /* "" or NULL: the name is the key */
    const char *name; /* NULL: as it was; must be known under the key */
    char resolved[WEIR_RETENTION_NAME_BYTES]; /* out: the name for the manifest */
};

struct weir_retention_checkpoint {
    uint64_t id;
    uint64_t epoch;
    enum weir_retention_owner owner;
    struct weir_retention_file *file; /* borrowed; `resolved` is written */
    uint32_t file_cnt;
    const char *corrupt; /* restore: what is wrong with its manifest; NULL: nothing */
};

enum weir_retention_out_kind {
    WEIR_RETENTION_MANIFEST, /* unlink the manifest of id and epoch, make that durable, then call
                              * weir_retention_unlinked() */
    WEIR_RETENTION_FILE, /* unlink the file `name` */
};

struct weir_retention_out {
    enum weir_retention_out_kind kind;
    uint64_t id;
    uint64_t epoch;
    char name[WEIR_RETENTION_NAME_BYTES];
};

/* weir_retention_new - Errors: WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_API WEIR_MUST_USE int
weir_retention_new(const struct weir_retention_conf *conf, struct weir_retention **ret_retention);
WEIR_API void weir_retention_close(struct weir_retention *retention);

/* weir_retention_restore - a checkpoint that recovery found, in the order of ids; its sinks count
 * as committed (recovery issues their commits again before sources start).
 *
 * Errors:  WEIR_EFORMAT for a corrupt one: it is never left out in silence, since one that was
 *          notified would be forgotten. Else as weir_retention_prepare().
 */
WEIR_API WEIR_MUST_USE int weir_retention_restore(
    struct weir_retention *retention, struct weir_retention_checkpoint *checkpoint);

/* weir_retention_prepare - all acks of a checkpoint are there: its files are registered, and
 * `resolved` says which names its manifest has to list. One at a time.
 *
 * Errors:  nothing is changed: WEIR_EFORMAT when a key without a name is not known (the state would
 *          have a hole), WEIR_EINVAL for a name that is too long, WEIR_EBUDGET without room.
 */
WEIR_API WEIR_MUST_USE int weir_retention_prepare(
    struct weir_retention *retention, struct weir_retention_checkpoint *checkpoint);
/* weir_retention_confirm - the manifest of the prepared one is durable. */
WEIR_API void weir_retention_confirm(struct weir_retention *retention, uint64_t id);
/* weir_retention_discard - it is certain that there is no manifest: files that came with it go.
 * (One that ends before it was prepared is not known here: its files are its store's to delete.) */
WEIR_API void weir_retention_discard(struct weir_retention *retention, uint64_t id);
/* weir_retention_keep - nobody knows whether there is one: nothing goes any more, of any. */
WEIR_API void weir_retention_keep(struct weir_retention *retention, uint64_t id);
/* weir_retention_committed - all sinks have committed up to id. */
WEIR_API void weir_retention_committed(struct weir_retention *retention, uint64_t id);

/* weir_retention_pin - a pending checkpoint builds on id: it and all after it stay until the pin is
 * moved; 0: nothing is pinned. With several pending the pin is the lowest of what they build on. */
WEIR_API void weir_retention_pin(struct weir_retention *retention, uint64_t id);

/* weir_retention_poll - the next thing to delete; false: nothing. */
WEIR_API bool
weir_retention_poll(struct weir_retention *retention, struct weir_retention_out *ret_out);
/* weir_retention_unlinked - the answer to MANIFEST. is_gone false: it may still be there, so its
 * files stay, and it is named again when others have come or gone. */
WEIR_API void weir_retention_unlinked(struct weir_retention *retention, uint64_t id, bool is_gone);

/* weir_retention_end - the job has ended for ever, and its checkpoints go (is_terminal), or it may
 * be restored, and they stay. Those whose sinks have not committed stay in any case. */
WEIR_API void weir_retention_end(struct weir_retention *retention, bool is_terminal);

/* Looks. */
WEIR_API uint32_t weir_retention_cnt(const struct weir_retention *retention);
WEIR_API uint32_t weir_retention_file_cnt(const struct weir_retention *retention);
/* weir_retention_id - the idx-th confirmed one, oldest first; 0 past the end. */
WEIR_API uint64_t weir_retention_id(const struct weir_retention *retention, uint32_t idx);
/* weir_retention_has_name - a checkpoint that is there may need the file. */
WEIR_API bool weir_retention_has_name(const struct weir_retention *retention, const char *name);

/* What a scan of the data directory found. */
struct weir_retention_found {
    bool is_referenced; /* by any manifest that is there */
    bool has_owner; /* its name says whose it is, and that is this job */
    uint64_t epoch; /* of its name; where it has an owner */
    int64_t age_ns;
};

/* weir_retention_is_garbage - R6 and the end of C7: nobody can ever need it. */
WEIR_API bool weir_retention_is_garbage(
    const struct weir_retention_found *found, uint64_t epoch, int64_t age_min_ns);

#endif
