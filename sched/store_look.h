/* SPDX-License-Identifier: Apache-2.0 */
/* store_look.h: a directory of checkpoints as it lies there: read, verified, never changed.
 *
 * It takes no lock and no epoch, so it may look while a job runs; what the job removes meanwhile is
 * not there, or gone when its files are read. Blocks; thread: any one. The layout stands in
 * store.h.
 */
#ifndef WEIR_SCHED_STORE_LOOK_H
#define WEIR_SCHED_STORE_LOOK_H

#include "dataplane/manifest.h"
#include "io/io.h"

WEIR_C_BEGIN

#define WEIR_LOOK_JOB_BYTES 128
#define WEIR_LOOK_TEXT_BYTES 512
#define WEIR_LOOK_CHECKPOINT_CNT_MAX 65536

/* One manifest. */
struct weir_look_checkpoint {
    char job[WEIR_LOOK_JOB_BYTES];
    uint64_t checkpoint; /* as its name says */
    uint64_t epoch;
    uint64_t manifest_bytes;
    bool is_current; /* the one that a start would take, if it is good */
    bool is_gone; /* after a read that failed: a job has removed it meanwhile */
    int err; /* 0, or why the manifest cannot be read: then it is empty */
    char wrong[WEIR_LOOK_TEXT_BYTES]; /* of err, or of a verify: "file, block, byte: what" */
    struct weir_manifest manifest;
    void *buf; /* what manifest borrows */
};

struct weir_look;

/* weir_look_open - read all manifests below dir: a job's directory, or one that holds jobs'.
 *
 * Owner:   io is borrowed until the look is closed, and started by the thread that looks; NULL: one
 *          of the look's own, on the host's disk.
 * Shape:   by job, then by checkpoint and epoch, upward.
 * Errors:  WEIR_ENOINPUT where dir is none or holds no checkpoints; WEIR_EPERM and the like. A
 *          manifest that is damaged is no error of the call: see its err.
 */
WEIR_API int
weir_look_open(struct weir_io *io, const char *dir, struct weir_look **ret_look) WEIR_MUST_USE;
/* weir_look_open_kept - the one that lies beside the timeline of a job's directory (an S of
 * store.h), and no other. Errors: WEIR_ENOINPUT where there is none; see weir_look_open. */
WEIR_API int weir_look_open_kept(struct weir_io *io, const char *dir, uint64_t checkpoint,
    uint64_t epoch, struct weir_look **ret_look) WEIR_MUST_USE;
WEIR_API void weir_look_close(struct weir_look *look);
/* weir_look_is_job - dir was a job's own directory. */
WEIR_API bool weir_look_is_job(const struct weir_look *look);
WEIR_API uint32_t weir_look_cnt(const struct weir_look *look);
WEIR_API const struct weir_look_checkpoint *
weir_look_at(const struct weir_look *look, uint32_t idx);
/* weir_look_find - the checkpoint with number id, NULL: the current one.
 *
 * Shape:   id is "12", of several epochs the current or the newest one, or "12-3" with the epoch.
 * Errors:  WEIR_EUSAGE where several jobs have one; WEIR_ENOINPUT, of which nothing is told, where
 *          there is none.
 */
WEIR_API int
weir_look_find(const struct weir_look *look, const char *id, uint32_t *ret_idx) WEIR_MUST_USE;
/* weir_look_verify - read every block of every file of checkpoint idx, and all that state on disk
 * has of it (io/kv.h), wherever that lies.
 *
 * Returns: 0; WEIR_ECHECKPOINT for damage, with `wrong` of the checkpoint set; WEIR_ENOINPUT and
 *          is_gone where a job has removed it meanwhile; or an error of io.
 */
WEIR_API int weir_look_verify(struct weir_look *look, uint32_t idx) WEIR_MUST_USE;
/* weir_look_read - the same, and what the files hold is told to sink, file by file in the order of
 * the manifest (as struct weir_snapshot_ask has it). An error of sink ends it, and is returned as
 * it is where it is none of damage. */
WEIR_API int weir_look_read(struct weir_look *look, uint32_t idx,
    int (*sink)(void *arg, const void *payload, uint64_t bytes, uint64_t off),
    void *arg) WEIR_MUST_USE;

WEIR_C_END

#endif
