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
 * it has finished. Rows of a changelog are refused: they are to be folded first.
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

struct weir_file_sink_conf {
    const char *path;
    enum weir_format format;
    uint64_t run_id; /* the same for all subtasks of a run, another for the next run: names parts */
    uint64_t roll_bytes; /* F/: a part of so many bytes is closed; 0 means the default */
    int64_t roll_ns; /* F/: a part so old is closed with its next row; 0 means the default */
    uint64_t write_bytes; /* of one write; 0 means 256 KiB */
    uint64_t
        row_bytes_max; /* room for the text of one row; 0 means 112 MiB, touched only if used */
};

extern WEIR_API const struct weir_operator_type weir_file_sink_type;

WEIR_C_END

#endif
