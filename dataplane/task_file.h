/* SPDX-License-Identifier: Apache-2.0 */
/* task_file.h: what the file of one task's snapshot holds (snapshot.h is about its blocks).
 *
 * [format: Checkpoints / What the file of a task holds (WEIR_TASK_FILE_VERSION)]
 *
 *     payloads, one after another:
 *
 *     | head, 64 bytes | parts | records of state pages ... | rows under way |
 *
 *      0 magic "WEIRTASK"          8 version u32          12 version of the records u32, 0: none
 *     16 bytes of the parts u64    24 base checkpoint u64 (0: its records stand for themselves)
 *     32 pages of the arena u32    36 tables of the arena u32, at most
 *     40 key groups in all u32     44 first key group u32  48 key groups of the subtask u32
 *     52 flags u32 (1: the data of the task had ended; 2: rows under way follow)   56 zeros
 *
 *     parts      as parts.h has them, zeros behind them up to a multiple of 8
 *     records    as capture.h has them, in any order
 *     rows       as flight.h has them; no page has the number that their magic would be
 *
 * An increment is of use behind the file of its base and those that one rests on; a manifest names
 * all of them. Parts, flags and rows under way are those of the newest file alone.
 *
 * Little-endian; every bit is under the checksums of the blocks. Payloads of a block follow each
 * other without a gap, a record is never in two blocks.
 *
 * [end of format]
 *
 * Thread:  the storage core; a reader's own.
 */
#ifndef WEIR_DATAPLANE_TASK_FILE_H
#define WEIR_DATAPLANE_TASK_FILE_H

#include "dataplane/capture.h"

WEIR_C_BEGIN

#define WEIR_TASK_FILE_VERSION 2
#define WEIR_TASK_FILE_ENDED 1
#define WEIR_TASK_FILE_FLIGHT 2

struct weir_task_file_head {
    char magic[8];
    uint32_t version;
    uint32_t capture_version;
    uint64_t parts_bytes;
    uint64_t base_checkpoint;
    uint32_t page_cnt;
    uint32_t table_cnt;
    uint32_t max_parallelism;
    uint32_t group_first;
    uint32_t group_cnt;
    uint32_t flags;
    uint64_t zero;
};
WEIR_STATIC_ASSERT(sizeof(struct weir_task_file_head) == 64, "as pictured");

/* A file that is being written. */
struct weir_task_file {
    struct weir_task_file_head head;
    const char *parts; /* borrowed; readable up to a multiple of 8 */
    struct weir_capture *capture; /* its snapshot has begun; NULL: no pages */
    uint64_t at; /* of head and parts */
    bool has_pages; /* all of them were filled */
    /* Rows under way, which may become known while the rest is written. */
    const char *flight; /* borrowed; NULL: not yet, where the head says that there are some */
    uint64_t flight_bytes;
    uint64_t flight_at;
    /* What had to be written so far: parts, and lines of pages without what stands around them. */
    uint64_t dirty_bytes;
};

/* weir_task_file_init - a file of parts alone; parts_bytes of them, with room up to a multiple of
 * 8. */
WEIR_API void weir_task_file_init(struct weir_task_file *file, char *parts, uint64_t parts_bytes);
/* weir_task_file_pages - pages too, of a snapshot that has begun (weir_capture_begin). */
WEIR_API void weir_task_file_pages(
    struct weir_task_file *file, const struct weir_arena *arena, struct weir_capture *capture);
/* weir_task_file_awaits_flight - rows under way follow: fill is busy until they are set.
 * weir_task_file_flight - these, kept until the file is written. */
WEIR_API void weir_task_file_awaits_flight(struct weir_task_file *file);
WEIR_API void
weir_task_file_flight(struct weir_task_file *file, const char *flight, uint64_t bytes);
/* weir_task_file_fill - a struct weir_snapshot_source's fill; arg is a struct weir_task_file. */
WEIR_API WEIR_MUST_USE int64_t weir_task_file_fill(void *arg, void *buf, uint64_t bytes);

/* weir_task_file_bytes_max - the most that a file in blocks of block_bytes takes, of so many pages
 * in
 * full: exactly that where all of them are in use, and have lines to be restored. 0: no page fits a
 * block. */
WEIR_API uint64_t weir_task_file_bytes_max(
    uint64_t parts_bytes, uint64_t page_cnt, uint32_t block_bytes);

/* weir_task_file_check - NULL, or what is wrong with the first bytes of the payloads. */
WEIR_API WEIR_MUST_USE const char *weir_task_file_check(const void *head, uint64_t bytes);

WEIR_C_END

#endif
