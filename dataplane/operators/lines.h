/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h: a source of rows from lines of text: files, directories, standard input, a TCP
 * socket. */
#ifndef WEIR_DATAPLANE_OPERATORS_LINES_H
#define WEIR_DATAPLANE_OPERATORS_LINES_H

#include "dataplane/decode.h"
#include "dataplane/operator.h"

WEIR_C_BEGIN

#define WEIR_LINES_BYTES_MAX_DEFAULT (16 * WEIR_MIB)
#define WEIR_LINES_SAMPLE_CNT 4
#define WEIR_LINES_SAMPLE_BYTES 320
#define WEIR_LINES_RECONNECT_ALWAYS UINT32_MAX

/* What becomes of a line that the decoder refuses. */
enum weir_on_error {
    WEIR_ON_ERROR_FAIL, /* the job fails with file, line, column and the text */
    WEIR_ON_ERROR_SKIP, /* counted (rows_bad), the first ones kept as samples */
    WEIR_ON_ERROR_SIDE, /* a row of side output 1 */
};

/* Side output 1. A text of more than half an output buffer is cut; text_bytes is its whole
 * length. */
#define WEIR_BAD_LINE(F) \
    F(str, file) F(i64, line) F(i64, column) F(str, reason) F(str, text) F(i64, text_bytes)
WEIR_SCHEMA(weir_bad_line, WEIR_BAD_LINE)

/* The first refused lines of a subtask, as messages. writer: the source's core. */
struct weir_lines_samples {
    uint32_t cnt;
    char text[WEIR_LINES_SAMPLE_CNT][WEIR_LINES_SAMPLE_BYTES];
};

struct weir_lines_conf {
    /* A file, a directory (its files and those of its directories, sorted by path; names that begin
     * with a dot are left out), "-" for standard input, or "tcp://host:port". Files that begin as
     * zstd frames are unpacked. File i goes to subtask i modulo their number, the rest to the
     * first. */
    const char *path;
    bool refuse_directory; /* a directory is WEIR_ENOINPUT */
    const struct weir_decoder_type *decoder;
    const void *decoder_conf; /* borrowed */
    enum weir_on_error on_error;
    uint64_t line_bytes_max; /* longer lines are refused; 0 means the default */
    uint32_t reconnect_cnt; /* tcp: tries in a row after a connection was refused or lost */
    int64_t reconnect_delay_ns; /* between them */
    uint64_t rate; /* lines per second of wall clock, per subtask; 0: as fast as it goes */
    uint32_t block_bytes; /* of one read; 0 means 256 KiB */
    struct weir_lines_samples *samples; /* of the first sample_cnt subtasks */
    uint32_t sample_cnt;
};

extern WEIR_API const struct weir_operator_type weir_lines_type;
/* The same with side output 1, for WEIR_ON_ERROR_SIDE. */
extern WEIR_API const struct weir_operator_type weir_lines_side_type;

WEIR_C_END

#endif
