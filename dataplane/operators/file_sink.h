/* SPDX-License-Identifier: Apache-2.0 */
/* file_sink.h: rows as CSV or JSON lines into a file, a directory of parts, or standard output.
 *
 *     F     a regular file that appears, whole, by an atomic rename at the clean end; until then
 *           each subtask's rows are in F.parts/. A run that fails leaves F as it was, and its
 *           parts.
 *     F/    a directory that keeps part-* files, each whole and renamed when it was closed: by
 *           size, by time, and at the end
 *     -     standard output, as rows come; so too where F is there and is a device or a pipe
 *
 * A part holds whole rows only, also when the disk is full. All is durable when the job says that
 * it has finished. Rows of a changelog are refused: they are to be folded first. A second run that
 * writes F while a first one does is refused (WEIR_ERUNNING), by a lock on F.parts.
 *
 * [format: Output / Names of the file sink's parts]
 *
 * A sink into F/.parts/ may be told to deal its parts out (struct weir_file_sink_deal): when it is
 * closed cleanly, the rows of each part go into one file for each directory that they name,
 *
 *     F/NAME=VALUE/NAME=VALUE/...    under the part's own name, each with the header; of a value
 *                                    other bytes than letters, digits, '-', '_' and '.' are %XX
 *
 * With checkpoints the sink commits in two phases. D is F.parts, or F/ itself:
 *
 *     D/.pending-JOB-E.A-by-E.A/    hidden: parts written by epoch E, attempt A; moved to
 *                                   ...-by-K.B by a newer start K.B, before it looks at anything
 *                                   else
 *     D/part-JOB-C-E.A-S-N          committed to F/: the N-th part of subtask S of start E.A, begun
 *                                   behind the barrier of checkpoint C
 *     D/part-JOB-C-E.A-S-N-B-X      committed to F.parts: of B bytes, whose CRC32C is X, in hex
 *     D/.pending-.../done-S-R-N-X   subtask S of that start is done: R rows; its parts are 0 to
 *                                   N-1, X the sum over them that stands in checkpoints, in hex
 *
 * JOB is the job's name; where it has other characters than letters, digits, '-', '_' and '.', or
 * more than 32, it is changed, and `~` and its CRC32C follow. A part is text, CSV or JSON lines,
 * with nothing else in it.
 *
 * [end of format]
 *
 *     barrier n    the open part is sealed; rows go to a new one. The snapshot lists each part
 *                  that is not known to be committed: name, bytes, CRC32C, rows
 *     precommit    all sealed parts, and their names, are durable
 *     committed    the parts that checkpoint n or one before it has listed are renamed into D;
 *                  what fails is tried again for ever, and declines checkpoints meanwhile
 *     aborted      nothing: the parts are in the list of the next checkpoint
 *     restore      parts of the checkpoint are committed, if they were not yet, their length and
 *                  CRC compared; parts begun behind it are removed
 *     end          with the final checkpoint committed: F/ is done; for F the subtask that comes
 *                  last puts all committed parts together, in the order of checkpoints, subtasks
 *                  and parts, and renames them to F; F.parts, renamed to
 *                  F.parts.old, is then removed
 *
 * What is promised, on a file system with atomic rename and one name space for all (a local one; on
 * network file systems: as far as they keep this):
 *  - A part is visible in D, once, if and only if a complete checkpoint lists it; F appears with
 *    the rows of all of them. Done twice, or after a crash anywhere in between: the same.
 *  - From the moment a newer start has moved the hidden directories, nothing that an older one
 *    still does becomes visible: its renames name directories that are gone, also F's, whose last
 *    stage lies in there. It fails as soon as it tries. A start that sees a newer one refuses.
 *  - An older start's commit just before that move stays. It is of a checkpoint that is complete;
 *    if the newer start restores one before it, it sees the part and refuses (WEIR_ECONFIG):
 *    the output may not go back. With allows_rollback F goes on without those parts, and F/ with
 *    them, so that rows are there twice.
 *  - Epochs come from the checkpoint store: this sink cannot tell a start older than one that has
 *    already ended and cleaned up; such a one gets no commit from a coordinator that keeps C3-C5.
 *  - Who removes hidden files by hand loses rows; so does a device that lies about fsync.
 *    Readers may take committed parts out of F/ at any time.
 *  - F.parts is compared with what was committed there, and F does not appear while a part is
 *    missing, cut, changed or too many (WEIR_EPARTS): at a restore by names, numbers and lengths,
 *    before F appears by every byte. What cannot be seen: all of F.parts removed, with its hidden
 *    directories, behind the last checkpoint of a job, where an older F stands: that looks as if F
 *    had been published.
 *  - A failed fsync poisons its part: the checkpoint is declined, then the task fails, and the rows
 *    come again from the checkpoint before. A full disk holds rows back until there is room;
 *    checkpoints are declined meanwhile, or, where rows wait before their barrier, expire.
 *  - Streams cannot be rolled back: refused (WEIR_ECONFIG), but with at_least_once: then a
 *    checkpoint only waits until the rows before it are written.
 * Source: RELIABILITY 5 C6 and R5, 6 S1-S3 and C4; Flink's FileSink, which has no fence.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_FILE_SINK_H
#define WEIR_DATAPLANE_OPERATORS_FILE_SINK_H

#include "dataplane/format.h"
#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_FILE_SINK_ROLL_BYTES_DEFAULT (128 * WEIR_MIB)
#define WEIR_FILE_SINK_ROLL_NS_DEFAULT (60 * WEIR_SEC_NS)
/* The longest path that a sink takes, so that names of parts fit behind it. */
#define WEIR_FILE_SINK_PATH_BYTES_MAX 3840

/* Parts that wait for their commit at a time; with more the task fails, for no checkpoint has been
 * complete for as long. From half of it on parts of F/ are rolled by barriers alone. */
#define WEIR_FILE_SINK_PENDING_CNT_MAX 256

/* What a start of the job tells the sink when checkpoints are on. */
struct weir_file_sink_checkpoints {
    bool is_on;
    bool at_least_once; /* streams are allowed */
    /* Nothing is there yet, and a savepoint is restored: what it lists is in the output of the job
     * that was saved, and not looked for here. */
    bool is_new;
    bool allows_rollback; /* restored_id may be older than what was committed */
    uint32_t attempt; /* within the epoch; later ones are higher; below 65536 */
    uint64_t epoch; /* of this start: higher than that of any before it; below 2^48 */
    uint64_t restored_id; /* the checkpoint that is restored; 0: none, the job starts anew */
    /* In it, all subtasks had: what they wrote is published. No part is begun, no final checkpoint
     * is waited for; the first subtask removes at its end what is left all the same. */
    bool had_ended;
};

/* Fields that name directories: texts, in the order of the path. */
#define WEIR_FILE_SINK_DEAL_CNT_MAX 4
struct weir_file_sink_deal {
    const char *dir; /* without a slash at its end; the sink's path is dir/.parts/ */
    const char *field[WEIR_FILE_SINK_DEAL_CNT_MAX];
    uint32_t field_cnt;
};

struct weir_file_sink_conf {
    const char *path;
    enum weir_format format;
    uint64_t run_id; /* the same for all subtasks of a run, another for the next run: names parts */
    uint64_t roll_bytes; /* F/: a part of so many bytes is closed; 0 means the default */
    int64_t roll_ns; /* F/: a part so old is closed with its next row; 0 means the default */
    uint64_t write_bytes; /* of one write; 0 means 256 KiB */
    uint64_t
        row_bytes_max; /* room for the text of one row; 0 means 112 MiB, touched only if used */
    struct weir_file_sink_checkpoints checkpoints;
    const struct weir_file_sink_deal *deal; /* NULL: parts stay where they are; borrowed */
};

extern WEIR_API const struct weir_operator_type weir_file_sink_type;

WEIR_C_END

#endif
