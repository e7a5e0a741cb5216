/* SPDX-License-Identifier: Apache-2.0 */
/* files.h: what the storage core does with a snapshot, by the engine's own parts: a file of a task
 * (dataplane/task_file.h), written by dataplane/snapshot.h through an io of its own, then made the
 * truth by sched/store.h, which removes the one before while the next is written.
 *
 * Thread: the storage core, all of it; or a child that has an io of its own.
 */
#ifndef WEIR_BENCH_SNAPSHOT_FILES_H
#define WEIR_BENCH_SNAPSHOT_FILES_H

#include "bench/snapshot/cow.h"
#include "dataplane/capture.h"
#include "dataplane/snapshot.h"
#include "dataplane/task_file.h"
#include "sched/store.h"

/* As the engine's job_checkpoint.h. */
#define FILES_CHAIN_CNT_MAX 8

struct files {
    struct weir_io *io;
    struct weir_store *store;
    struct weir_snapshot *writer;
    struct weir_task_file file;
    struct weir_snapshot_source source; /* what is written, counted */
    struct weir_snapshot_source inner;
    struct weir_snapshot_ack chain[FILES_CHAIN_CNT_MAX + 1];
    uint32_t chain_cnt;
    uint64_t fill_cnt;
    const struct weir_arena *arena;
    uint64_t page_bytes; /* in use */
    bool is_tidying;
    char parts[64];
    struct weir_capture *capture; /* of the snapshot that is written, or NULL */
    uint32_t undo_max; /* lines in the ring, the most seen */
};

/* What became of one snapshot. */
struct files_result {
    uint64_t file_bytes;
    uint64_t dirty_bytes; /* the lines in it; 0: not told */
    int64_t write_ns; /* until its file was durable */
    int64_t durable_ns; /* until its manifest was, too */
    bool is_full;
    bool is_declined;
};

/* files_open - in a directory that is there; ends the process where that cannot be. */
void
files_open(struct files *files, const char *dir, const struct weir_arena *arena, const char *job);
void files_close(struct files *files);
/* files_settle - until what is old has been removed, where that has begun. */
void files_settle(struct files *files);

/* files_capture - the snapshot of this number, whose barrier has come: its file and its manifest.
 * is_chained: an increment where the engine would make one. */
void files_capture(struct files *files, struct weir_capture *capture, uint64_t number,
    bool is_chained, struct files_result *ret_result);
/* files_pages - the same of pages. */
void files_pages(struct files *files, struct page_source *source, uint64_t number,
    struct files_result *ret_result);

struct files_fio {
    const char *dir;
    const char *how; /* "read" or "write" */
    uint64_t mib;
    int core;
};

/* files_fio - bytes per second of the same blocks, written or read by fio in the directory; 0: it
 * said none. Its buffers lie in huge pages, as ours do, where the host has some set aside. */
uint64_t files_fio(const struct files_fio *fio, bool *ret_is_huge);
void files_fio_tidy(const char *dir);

#endif
