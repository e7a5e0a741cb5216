/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h: one task's part of a checkpoint as a file of blocks: written, synced, read, verified.
 *
 * [format: Checkpoints / Snapshot file (WEIR_SNAPSHOT_VERSION)]
 *
 *   offset 0        stride          2 stride                          file_bytes
 *   +--------------+--------------+---------------------+------------+
 *   | data block 0 | data block 1 | last data block     | footer     |   each block: 4 KiB aligned,
 *   +--------------+--------------+---------------------+------------+   the rest of it zeros
 *                                  (as long as it must be)
 *   block:   | head, 128 bytes | payload | zeros to its length |
 *   head:    0 magic "WEIRSNP1"   8 version u32    12 kind u32 (1 data, 2 footer)
 *           16 job u64           24 checkpoint    32 epoch   40 attempt (all u64)
 *           48 task u32          52 subtask u32   56 file offset u64   64 block number u64
 *           72 block bytes u32   76 payload bytes u32   80 stride u32
 *           84 CRC32C of all bytes of the block behind the head   88 zeros   124 CRC32C of 0..123
 *   footer's payload:
 *            0 magic "WEIRFOOT"   8 file bytes u64   16 data blocks u64   24 payload bytes u64
 *           32 CRC32C over the (head CRC, payload CRC) pairs of all data blocks, in order
 *           36 key groups u32    40 counters u32    44 zero
 *           48 key-group entries: offset u64, bytes u64 (in the payload stream), key group u32, 0
 *              counters: u64 each
 *
 * Little-endian. Every bit of the file is under a CRC; a block says whose it is and where it
 * belongs, so that a swapped, misplaced or old block is found.
 *
 * [end of format]
 *
 * Writing is the worker's half of the commit protocol (steps W1 to W9), a state machine that is
 * polled and never blocks:
 *
 *   start -> open O_EXCL -> allocate -> blocks, many in flight -> footer -> cut to length -> sync
 *         -> sync of the directory -> footer read back -> DONE (ack)
 *      any error, abort -> no more is submitted -> all in flight have ended -> close, remove -> its
 *      error
 *
 * A file that failed is never written again and never synced again. Payloads are pulled from a
 * source by `fill` into the writer's own aligned staging buffers, which io knows as registered.
 *
 * Thread:  all calls of a writer or reader by the io's owner.
 * It is not: a place for what a payload means; that is the source's and the sink's.
 */
#ifndef WEIR_DATAPLANE_SNAPSHOT_H
#define WEIR_DATAPLANE_SNAPSHOT_H

#include "io/io.h"
#include "io/relay.h"

WEIR_C_BEGIN

WEIR_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

#define WEIR_SNAPSHOT_VERSION 1
#define WEIR_SNAPSHOT_HEAD_BYTES 128
#define WEIR_SNAPSHOT_ALIGN 4096
#define WEIR_SNAPSHOT_BLOCK_BYTES_MIN 4096
#define WEIR_SNAPSHOT_BLOCK_BYTES_DEFAULT (1024 * 1024) /* holds the index of all key groups */
#define WEIR_SNAPSHOT_BLOCK_BYTES_MAX (16 * 1024 * 1024)
#define WEIR_SNAPSHOT_DEPTH_DEFAULT 8
#define WEIR_SNAPSHOT_DEPTH_MAX 64
#define WEIR_SNAPSHOT_GROUP_CNT_MAX 32768
#define WEIR_SNAPSHOT_COUNTER_CNT_MAX 1024
#define WEIR_SNAPSHOT_NAME_BYTES 128
#define WEIR_SNAPSHOT_FAULT_BYTES 320
/* A write that came back short is made up so often before the file is given up. */
#define WEIR_SNAPSHOT_SHORT_CNT_MAX 3

/* What fill returns instead of bytes; no error code has these values. */
#define WEIR_SNAPSHOT_BUSY (-1) /* nothing now, come again */
#define WEIR_SNAPSHOT_FULL (-2) /* what comes next is not to be split: a new block, please */

/* Whose file it is. All of it stands in each block and (but job) in the file's name. */
struct weir_snapshot_id {
    uint64_t job; /* weir_hash_bytes of its name */
    uint64_t checkpoint;
    uint64_t epoch;
    uint64_t attempt;
    uint32_t task;
    uint32_t subtask;
};

/* Where a key group lies in the stream of payloads. */
struct weir_snapshot_group {
    uint64_t off;
    uint64_t bytes;
    uint32_t key_group;
    uint32_t zero;
};

/* Where payloads come from.
 *
 * fill: up to `bytes` into buf, more than 0 written; 0 at the end; BUSY, FULL, or an error, which
 * declines the snapshot. What one call returned is never split. groups and counters are read once
 * fill has said 0, and copied. All pointers are kept until the writer is done.
 */
struct weir_snapshot_source {
    int64_t (*fill)(void *arg, void *buf, uint64_t bytes);
    void *arg;
    const struct weir_snapshot_group *groups;
    const uint64_t *counters;
    uint32_t group_cnt;
    uint32_t counter_cnt;
    uint64_t bytes_expected; /* 0: not known; asked of the file system before any data is written */
};

struct weir_snapshot_config {
    struct weir_io *io;
    uint32_t depth; /* blocks in flight, [1, WEIR_SNAPSHOT_DEPTH_MAX]; 0: the default */
    /* Blocks made while `depth` fly, so that what lands is replaced at once: a device that answers
     * several writes together has nothing to do until then. depth + ahead <= DEPTH_MAX. */
    uint32_t ahead;
    uint32_t block_bytes; /* a power of two; 0: the default */
    uint64_t poll_bytes_max; /* filled by one poll; 0: no limit. At least one block. */
    uint64_t rate_bytes_max; /* written per second; 0: no limit */
    uint64_t bytes_max; /* of one file, footer and all: more is WEIR_EBUDGET; 0: no limit */
    bool direct; /* past the page cache: weir_store says whether it can */
    bool read_back; /* read the footer again once it is durable, and compare */
    bool unregistered; /* its buffers are too large, or too short-lived, to be pinned */
};

/* What one file is, for the manifest. Copied into it by name. */
struct weir_snapshot_ack {
    struct weir_snapshot_id id;
    char name[WEIR_SNAPSHOT_NAME_BYTES];
    uint64_t file_bytes;
    uint64_t payload_bytes;
    uint32_t footer_bytes;
    uint32_t footer_crc; /* of the footer's head, which covers all else by way of CRCs */
};

/* Why a snapshot was declined, or what is damaged. errnum 0: no system call was at fault. */
struct weir_snapshot_fault {
    int err; /* negative enum weir_err */
    int errnum;
    uint64_t off; /* in the file */
    uint64_t block;
    bool too_large; /* for config.bytes_max: another one would be, too */
    bool suspect; /* a sync failed: the volume may lose what it said it has */
    char text[WEIR_SNAPSHOT_FAULT_BYTES];
};

struct weir_snapshot;

/* weir_snapshot_open - a writer with its staging buffers, (depth + ahead) * block_bytes, registered
 * with io.
 *
 * Thread:  the owner of io, after its start. Errors: WEIR_EINVAL, WEIR_ENOMEM.
 */
WEIR_API int weir_snapshot_open(
    const struct weir_snapshot_config *config, struct weir_snapshot **ret_snapshot) WEIR_MUST_USE;
/* weir_snapshot_close - takes NULL. What runs is given up, its file left to recovery: blocks. */
WEIR_API void weir_snapshot_close(struct weir_snapshot *snapshot);

/* weir_snapshot_name - "<checkpoint>-<epoch>-<task>-<subtask>-<attempt>.snap"; parse is its
 * inverse:
 * false where it is no such name. */
WEIR_API void
weir_snapshot_name(const struct weir_snapshot_id *id, char ret_name[WEIR_SNAPSHOT_NAME_BYTES]);
WEIR_API bool weir_snapshot_name_parse(const char *name, struct weir_snapshot_id *ret_id);

/* weir_snapshot_start - begin the file of id in the directory with handle dir (kept until done).
 *
 * Shape:   the writer must be at rest.
 * Owner:   source is kept until poll says that it is over.
 */
WEIR_API void weir_snapshot_start(struct weir_snapshot *snapshot, const struct weir_snapshot_id *id,
    int32_t dir, const struct weir_snapshot_source *source);
/* weir_snapshot_poll - go on; call it after weir_io_poll of the same now_ns.
 *
 * Hot:     bounded by poll_bytes_max of copies and checksums; no system call but io's.
 * Returns: WEIR_RELAY_BUSY; 0: durable, see ack; or the error of a declined one, see fault: then
 *          nothing flies any more, the file is closed and (if it can be) removed.
 */
WEIR_API int weir_snapshot_poll(struct weir_snapshot *snapshot, int64_t now_ns);
/* weir_snapshot_abort - give it up: poll goes on until it says WEIR_ECANCELED, or 0 if that came
 * first. */
WEIR_API void weir_snapshot_abort(struct weir_snapshot *snapshot);
/* weir_snapshot_due_ns - when a writer held back by its rate wants to be polled; INT64_MAX: it
 * waits for io or for its source. */
WEIR_API int64_t weir_snapshot_due_ns(const struct weir_snapshot *snapshot);
WEIR_API const struct weir_snapshot_ack *weir_snapshot_ack(const struct weir_snapshot *snapshot);
WEIR_API const struct weir_snapshot_fault *
weir_snapshot_fault(const struct weir_snapshot *snapshot);

/* What is to be read, as the manifest says. */
struct weir_snapshot_ask {
    int32_t dir;
    const struct weir_snapshot_ack *file; /* kept until done */
    bool footer_only;
    bool front_only; /* the sink ends it early: a block at a time */
    bool is_held; /* blocks are read ahead, but none is told before weir_snapshot_read_go() */
    bool sync; /* sync before reading: do not decide on what is only in a cache */
    /* Told each payload in order; an error ends it. May be NULL. off: in the payload stream. */
    int (*sink)(void *arg, const void *payload, uint64_t bytes, uint64_t off);
    void *arg;
};

/* What the footer says; groups and counters lie in the reader until it is started again. */
struct weir_snapshot_footer {
    uint64_t block_cnt;
    uint64_t payload_bytes;
    const struct weir_snapshot_group *groups;
    const uint64_t *counters;
    uint32_t group_cnt;
    uint32_t counter_cnt;
};

struct weir_snapshot_reader;

/* weir_snapshot_reader_open - depth blocks of up to block_bytes in flight (0: the defaults).
 *
 * A file of larger blocks, or with a larger footer, is WEIR_EFORMAT.
 */
WEIR_API int weir_snapshot_reader_open(const struct weir_snapshot_config *config,
    struct weir_snapshot_reader **ret_reader) WEIR_MUST_USE;
WEIR_API void weir_snapshot_reader_close(struct weir_snapshot_reader *reader);
/* weir_snapshot_read - begin to read and verify a file: its length, its footer, then every block's
 * checksum and identity, and that they are the footer's blocks. */
WEIR_API void
weir_snapshot_read(struct weir_snapshot_reader *reader, const struct weir_snapshot_ask *ask);
/* weir_snapshot_read_go - one that was held may go on. Takes one that was not, or has ended. */
WEIR_API void weir_snapshot_read_go(struct weir_snapshot_reader *reader);
/* weir_snapshot_read_poll - WEIR_RELAY_BUSY; 0: all of it is good; WEIR_EDATA, WEIR_EFORMAT for
 * damage, else an error of io or of the sink: see fault, which names file, block and offset. */
WEIR_API int weir_snapshot_read_poll(struct weir_snapshot_reader *reader);
/* weir_snapshot_read_is_ready - the next block is there: poll io, so that what was asked for sets
 * out, and then the reader again, without a wait. While it is false, something is under way, or it
 * is held. */
WEIR_API bool weir_snapshot_read_is_ready(const struct weir_snapshot_reader *reader);
WEIR_API const struct weir_snapshot_footer *
weir_snapshot_read_footer(const struct weir_snapshot_reader *reader);
WEIR_API const struct weir_snapshot_fault *
weir_snapshot_read_fault(const struct weir_snapshot_reader *reader);

WEIR_C_END

#endif
