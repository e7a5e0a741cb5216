/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_store.h: a savepoint (savepoint.h) as files: <root>/<job>/, laid out as checkpoints are
 * (store.h), with a manifest of kind savepoint.
 *
 * It names nothing outside its directory: root may be moved, copied, or put away. Several
 * savepoints of a job may lie below one root; the newest is the current one, the others stay. Of
 * starts that have counted anew two may have the same id: then their epochs differ.
 *
 * Manifest: the files in the order of their streams, operators with the numbers of their states,
 * and the counters "entries", "rows" and "key_groups".
 *
 * Thread:  the owner of io, which has started it; all calls block.
 */
#ifndef WEIR_SCHED_SAVEPOINT_STORE_H
#define WEIR_SCHED_SAVEPOINT_STORE_H

#include "dataplane/savepoint.h"
#include "io/io.h"
#include "sched/store_look.h"

WEIR_C_BEGIN

struct weir_savepoint_made {
    uint64_t savepoint; /* its id below root */
    uint64_t epoch;
    uint64_t file_bytes;
    struct weir_savepoint_totals totals;
};

struct weir_savepoint_conf {
    struct weir_io *io;
    const char *root; /* made where it is not there */
    /* The checkpoint that it says the same as, whose id it gets, and above whose epoch its own is;
     * 0: none. */
    uint64_t parent_checkpoint;
    uint64_t parent_epoch;
    bool strict;
    void (*progress_fn)(void *arg, const struct weir_savepoint_progress *progress); /* or NULL */
    void *arg;
};

/* weir_savepoint_store - write what the tasks of spec hold; spec->job names the directory.
 *
 * Errors:  WEIR_ECONFIG: root is where the job keeps its checkpoints; those of
 *          weir_savepoint_source_open and fill; WEIR_EIO and those of the store, with its sentence.
 *          Nothing is there then that counts.
 */
WEIR_API WEIR_MUST_USE int weir_savepoint_store(const struct weir_savepoint_conf *conf,
    const struct weir_savepoint_spec *spec, struct weir_savepoint_made *ret_made);

/* weir_savepoint_look - read savepoint idx of look, all of it, through events.
 *
 * Owner:   the reader has the catalogue until it is closed; also after an error.
 * Errors:  WEIR_ECHECKPOINT: damaged, or no savepoint, with file, block and byte pushed; those of
 *          events.
 */
WEIR_API WEIR_MUST_USE int weir_savepoint_look(struct weir_look *look, uint32_t idx,
    const struct weir_savepoint_events *events, struct weir_savepoint_reader **ret_reader);

WEIR_C_END

#endif
