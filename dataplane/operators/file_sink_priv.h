/* SPDX-License-Identifier: Apache-2.0 */
/* file_sink_priv.h: one subtask's part, and what makes the parts one file.
 *
 *   READY <-> WRITING                             rows into the open part
 *   READY -> SYNCING -> CLOSING -> RENAMING       the part is durable and has its last name
 *      F/:  -> OPENING (the next part) or SYNC_DIR
 *      F:   -> COUNT_* : are all parts there? who is last goes on, the others have finished
 *           -> MERGE_* : all parts into one, in the order of subtasks (one part: nothing to do)
 *           -> PUBLISHING -> SYNC_DIR_* -> CLEANING -> FINISHED
 *
 * The subtasks do not know each other: each renames its part, then looks how many there are, so the
 * last one sees all; of two that see all, the one that creates the file `merging` goes on.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_FILE_SINK_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_FILE_SINK_PRIV_H

#include "dataplane/operators/file_sink.h"
#include "io/io.h"

#define SINK_PATH_BYTES 4096

enum sink_target { SINK_FILE, SINK_DIR, SINK_STREAM };

enum sink_step {
    SINK_READY,
    SINK_WRITING,
    SINK_SYNCING,
    SINK_CLOSING,
    SINK_RENAMING,
    SINK_OPENING,
    SINK_COUNT_OPENING,
    SINK_COUNT_LISTING,
    SINK_COUNT_CLOSING,
    SINK_MERGE_CLAIMING,
    SINK_MERGE_CLAIMED,
    SINK_MERGE_OPENING,
    SINK_MERGE_OPENING_PART,
    SINK_MERGE_READING,
    SINK_MERGE_WRITING,
    SINK_MERGE_CLOSING_PART,
    SINK_MERGE_SYNCING,
    SINK_MERGE_CLOSING,
    SINK_PUBLISHING,
    SINK_SYNC_DIR_OPENING,
    SINK_SYNC_DIR,
    SINK_SYNC_DIR_CLOSING,
    SINK_CLEANING,
    SINK_FINISHED,
};

struct sink {
    const struct weir_file_sink_conf *conf;
    const struct weir_operator_env *env;
    enum sink_target target;
    struct weir_io_op op;
    enum sink_step step;
    bool is_busy; /* op is due to be submitted */
    bool is_finishing;
    bool is_rolling; /* F/: the part is to be closed; the next rows are for the next one */
    /* the part */
    int32_t file;
    uint32_t part_idx; /* F/: parts closed so far */
    uint64_t off; /* bytes of whole rows in the part */
    uint64_t start; /* "-": bytes that the file behind standard output had before */
    int64_t opened_ns;
    bool has_header_due;
    char dir[SINK_PATH_BYTES]; /* where parts are */
    char path[SINK_PATH_BYTES]; /* of what op works on */
    char path2[SINK_PATH_BYTES];
    /* rows on their way: one buffer is filled while the other is written */
    char *bufs[2];
    size_t used[2];
    size_t cap;
    size_t write_bytes;
    uint32_t fill; /* the buffer that is filled */
    /* publishing */
    int32_t dir_handle;
    int32_t part_file;
    uint32_t done_cnt;
    uint32_t merge_idx;
    uint64_t part_off;
    uint64_t merged_off;
};

/* weir_file_sink_launch - submit op, now or with the next step; step is what is then under way. */
int weir_file_sink_launch(struct sink *sink, enum sink_step step);
/* weir_file_sink_part_path - the name of subtask idx's part while it is open, or once it is
 * done. */
void weir_file_sink_part_path(const struct sink *sink, uint32_t idx, bool is_done, char *to);
/* weir_file_sink_publish - after RENAMING: op has ended, start what follows. WEIR_WAIT, WEIR_DONE,
 * or error. */
int weir_file_sink_publish(struct sink *sink);

#endif
