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
 * With checkpoints (sink->txn), all up to COUNT_* is in file_sink_txn.c, and dir is the hidden
 * directory of this start:
 *
 *   OPEN -> SEALED -> WRITTEN -> SYNCED -> MOVED         a part: rows, a barrier, op, bg, bg
 *
 * op opens and writes the parts in their order; bg, which goes on from within weir_io_poll, syncs,
 * closes and renames them beside it. After the final commit:
 *   DONE_MARK_* -> COUNT_* ... as above, but the parts are the committed ones of F.parts, and are
 *   compared with what is known of them: file_sink_parts.c
 *
 * The subtasks do not know each other: each renames its part, then looks how many there are, so the
 * last one sees all; of two that see all, the one that creates the file `merging` goes on.
 */
#ifndef WEIR_DATAPLANE_OPERATORS_FILE_SINK_PRIV_H
#define WEIR_DATAPLANE_OPERATORS_FILE_SINK_PRIV_H

#include "dataplane/operators/file_sink.h"
#include "dataplane/parts.h"
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
    SINK_MERGE_HEADER,
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
    /* with checkpoints */
    SINK_TXN_OPENING,
    SINK_TXN_WRITING,
    SINK_DONE_MARK_OPENING,
    SINK_DONE_MARK_CLOSING,
    SINK_DONE_MARK_SYNCING,
    SINK_GONE,
};

/* The name of a part, which orders it among all of a job; where the parts become F it says what the
 * part holds. */
struct sink_part_name {
    uint64_t base; /* the last checkpoint whose barrier came before its rows */
    uint64_t gen; /* the start that wrote it: sink_gen() */
    uint32_t subtask;
    uint32_t seq;
    bool has_sum; /* F: of a part that is sealed, and not of a checkpoint of version 1 */
    uint32_t crc;
    uint64_t bytes;
};

/* What a subtask of a start has committed: parts 0 to cnt - 1. */
struct sink_share {
    uint64_t gen;
    uint32_t subtask;
    uint32_t cnt;
    uint32_t sum; /* weir_file_sink_sum() of their names */
};

enum sink_part_state { PART_OPEN, PART_SEALED, PART_WRITTEN, PART_SYNCED, PART_MOVED };

struct sink_part {
    struct sink_part_name name;
    enum sink_part_state state;
    int32_t file; /* -1: not open yet, or closed */
    uint32_t crc;
    uint64_t bytes; /* of rows put so far, also of those in buffers */
    uint64_t written;
    uint64_t rows;
    uint64_t checkpoint_id; /* the first that lists it; 0: none yet */
    int64_t opened_ns;
};

enum sink_bg {
    BG_IDLE,
    BG_SYNCING,
    BG_CLOSING,
    BG_SYNCING_PENDING, /* the hidden directory */
    BG_MOVING,
    BG_LOOKING, /* whether what was not there to move has been taken away by a newer start */
    BG_SYNCING_OUT, /* D */
    BG_RESTING, /* until a failed commit is tried again */
};

/* What a sink has with checkpoints. Parts are numbered; [first, next) are in the ring. */
struct sink_txn {
    struct weir_io_op bg_op;
    enum sink_bg bg;
    bool bg_is_busy; /* bg_op is due to be submitted */
    bool is_closing;
    bool is_moved_unsynced;
    bool is_told; /* a checkpoint was declined for `dead` */
    bool is_complete; /* the final checkpoint is committed */
    bool is_standing; /* F was there, and no part of an older start, when this one began */
    bool is_published; /* when this one began: nothing may come (file_sink_parts.c) */
    uint64_t gen;
    uint64_t base;
    uint64_t first;
    uint64_t next;
    uint64_t bg_part;
    uint64_t opened_end; /* parts below it have a name */
    uint64_t named_end; /* parts below it have a durable name */
    uint64_t naming_end;
    uint64_t commit_id;
    uint64_t restored_end; /* SINK_END_, the least of all old subtasks' */
    uint64_t rows; /* in all, also before this start; more where parts came to several subtasks */
    uint64_t done_rows; /* of all subtasks that are done */
    uint64_t asked_id; /* a checkpoint whose precommit is to be answered; 0: none */
    uint64_t final_id; /* 0: rows may still come */
    uint32_t seq;
    uint32_t rest_cnt; /* commits that failed and were tried again */
    int dead; /* an error that does not pass, or 0 */
    int stalled; /* why the last write or open failed; it is tried again */
    int64_t retry_ns; /* then, by the io's clock */
    char why[512]; /* of dead or stalled */
    char unmoved[512]; /* why a commit failed last */
    uint32_t unmoved_cnt; /* tries in turn that have failed */
    uint64_t buf_part[2]; /* which part the rows of a buffer are for */
    size_t buf_off[2]; /* how much of a buffer is written */
    struct sink_part parts[WEIR_FILE_SINK_PENDING_CNT_MAX];
    char out[SINK_PATH_BYTES]; /* D */
    char bg_path[SINK_PATH_BYTES];
    char bg_path2[SINK_PATH_BYTES];
    struct weir_io_stat bg_stat;
    int32_t out_handle; /* of D; subtask 0 holds the lock by it */
    int32_t pending_handle;
    /* the committed parts that make F, in order */
    struct sink_part_name *merge;
    uint32_t merge_cnt;
    uint32_t merge_cap;
    /* What these have to be: of older starts [0, older_cnt), then of those subtasks of this one
     * that are done. Parts of starts before `since` were committed by a program without shares. */
    struct sink_share *shares;
    uint32_t share_cnt;
    uint32_t share_cap;
    uint32_t older_cnt;
    uint32_t sum; /* of this subtask's own share: parts 0 to seq - 1, but for an open one */
    uint64_t since;
    uint64_t older_gen; /* the start that took the restored checkpoint, and its subtasks; 0: none */
    uint32_t older_subtask_cnt;
    char job[64]; /* as it stands in names */
};

struct sink {
    struct sink_txn *txn; /* NULL: no checkpoints, or a stream */
    uint64_t stream_target; /* bytes that a stream's checkpoint waits for */
    const struct weir_schema *schema;
    int32_t lock_handle; /* without checkpoints: of F.parts */
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
    uint32_t part_crc;
    uint64_t merged_off;
};

typedef int(sink_entry_fn)(struct sink *sink, int32_t dir, const char *name, void *arg);

/* weir_file_sink_launch - submit op, now or with the next step; step is what is then under way. */
int weir_file_sink_launch(struct sink *sink, enum sink_step step);
/* weir_file_sink_part_path - the name of subtask idx's part while it is open, or once it is
 * done. */
void weir_file_sink_part_path(const struct sink *sink, uint32_t idx, bool is_done, char *to);
/* weir_file_sink_publish - after RENAMING: op has ended, start what follows. WEIR_WAIT, WEIR_DONE,
 * or error. */
int weir_file_sink_publish(struct sink *sink);

/* weir_file_sink_put_header, weir_file_sink_put_rows - text of rows into the buffer that is filled:
 * file_sink.c. */
int weir_file_sink_put_header(struct sink *sink, const struct weir_schema *schema);
int64_t weir_file_sink_put_rows(struct sink *sink, const struct weir_view *in, uint32_t cursor);

/* Whether an entry of F.parts is a part of some run. */
bool weir_file_sink_is_part(const char *name);

/* ---- with checkpoints: file_sink_restore.c, all of it blocking, for open, restore and close
 * ---- */

/* weir_file_sink_lock - open a directory and hold its lock. Retries a while: a dead process's io
 * may still hold it. */
int weir_file_sink_lock(struct sink *sink, const char *path, int32_t *ret_handle);
/* weir_file_sink_txn_open - directories, the fence, what an earlier start has left. */
int weir_file_sink_txn_open(struct sink *sink);
/* weir_file_sink_each_entry - call fn for each entry of a directory; one that is not there has
 * none.
 * buf: which buffer of the sink holds names meanwhile. */
int weir_file_sink_each_entry(
    struct sink *sink, const char *path, int buf, sink_entry_fn *fn, void *arg);
/* weir_file_sink_make_dir - it may be there; weir_file_sink_sync_dir, weir_file_sink_sync_parent -
 * what it holds, or its own name, is durable. Also without checkpoints. */
int weir_file_sink_make_dir(struct sink *sink, const char *path);
int weir_file_sink_sync_dir(struct sink *sink, const char *path);
int weir_file_sink_sync_parent(struct sink *sink, const char *path);
/* weir_file_sink_txn_sweep - remove what no one needs any more; what cannot be removed stays. */
void weir_file_sink_txn_sweep(struct sink *sink);
int weir_file_sink_restore(
    struct weir_operator *op, const struct weir_parts_reader *readers, uint32_t reader_cnt);

/* ---- file_sink_deal.c, blocking, for open and close ---- */

/* weir_file_sink_deal_open - the fields are there, and the directory. weir_file_sink_deal_out - the
 * parts of this subtask, all done, to the directories that their rows name.
 * Errors:  WEIR_EPARTS: a part is not as it was written; those of the disk. What is not dealt out
 *          is left in F/.parts/. */
int weir_file_sink_deal_open(struct sink *sink);
int weir_file_sink_deal_out(struct sink *sink);

/* ---- with checkpoints: file_sink_name.c ---- */

#define SINK_ATTEMPT_BITS 16

static inline unsigned long long
weir_file_sink_epoch(uint64_t gen)
{
    return (unsigned long long)(gen >> SINK_ATTEMPT_BITS);
}

static inline unsigned
weir_file_sink_attempt(uint64_t gen)
{
    return (unsigned)(gen & ((1U << SINK_ATTEMPT_BITS) - 1));
}

/* weir_file_sink_job_text - the job's name as part of file names: no two jobs have the same. */
void weir_file_sink_job_text(const char *job, char *to);
void weir_file_sink_dir_name(const struct sink *sink, uint64_t gen, uint64_t by, char *to);
/* weir_file_sink_txn_name - the path of a part: hidden, or committed. */
void weir_file_sink_txn_name(
    const struct sink *sink, const struct sink_part_name *name, bool is_committed, char *to);
/* weir_file_sink_txn_pending_dir - the hidden directory of `gen`, as this start has it. */
void weir_file_sink_txn_pending_dir(const struct sink *sink, uint64_t gen, char *to);
/* weir_file_sink_parse_part, weir_file_sink_parse_dir - whether it is the name of a part, or of a
 * hidden directory, of this job. */
bool
weir_file_sink_parse_part(const struct sink *sink, const char *name, struct sink_part_name *ret);
bool weir_file_sink_parse_dir(
    const struct sink *sink, const char *name, uint64_t *ret_gen, uint64_t *ret_by);
/* weir_file_sink_is_of_job - whether it begins as names of this job's parts do. */
bool weir_file_sink_is_of_job(const struct sink *sink, const char *name);
/* weir_file_sink_parse_mark - whether a name in a hidden directory says that a subtask of its start
 * is done; all but the start. */
bool weir_file_sink_parse_mark(const char *name, struct sink_share *ret, uint64_t *ret_rows);

/* ---- with checkpoints: file_sink_parts.c, what is committed, and whether it is there ---- */

/* weir_file_sink_sum - go on with the next part of a share; start with 0. */
uint32_t weir_file_sink_sum(uint32_t sum, const struct sink_part_name *name);
/* weir_file_sink_share_add - one more to know of. WEIR_ENOMEM. */
int weir_file_sink_share_add(struct sink_txn *txn, const struct sink_share *share);
/* weir_file_sink_shares_put - to the end of the part of a snapshot. weir_file_sink_shares_get -
 * from such a part, of one old subtask: all but the entries. */
void weir_file_sink_shares_put(const struct sink *sink, struct weir_parts_writer *parts);
int weir_file_sink_shares_get(struct sink *sink, struct weir_part *from);
/* weir_file_sink_shares_end - after all old subtasks: whether F is published; if it is not, those
 * that had ended are known by their marks.
 * Errors:  WEIR_EPARTS: such a mark is not there. Blocks. */
int weir_file_sink_shares_end(struct sink *sink);
/* weir_file_sink_check_restored - whether all that is committed is there, once what the checkpoint
 * lists is. The first subtask looks for all.
 * Errors:  WEIR_EPARTS, with the file. Blocks: lists F.parts, and looks at each part's length. */
int weir_file_sink_check_restored(struct sink *sink);
/* weir_file_sink_txn_merge_list - fill txn->merge with the parts that make F, which all of its
 * subtasks have committed. For the one that merges.
 * Errors:  WEIR_EPARTS: one is missing, or was never committed. Blocks. */
int weir_file_sink_txn_merge_list(struct sink *sink);
/* weir_file_sink_merged - the part at merge_idx was read to its end.
 * Errors:  WEIR_EPARTS: it is not what was committed. */
int weir_file_sink_merged(struct sink *sink);

/* ---- with checkpoints: file_sink_txn.c; as the hooks of operator.h ---- */

int64_t weir_file_sink_txn_process(
    struct weir_operator *op, const struct weir_view *in, uint32_t cursor, int64_t now_ns);
int weir_file_sink_txn_flush(struct sink *sink);
int weir_file_sink_txn_finish(struct sink *sink);
/* weir_file_sink_txn_end - what is left of the final commit, if it was not done by flush:
 * blocks. */
int weir_file_sink_txn_end(struct sink *sink);
void weir_file_sink_txn_close(struct sink *sink);
int weir_file_sink_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts);
int weir_file_sink_precommit(struct weir_operator *op, uint64_t id);
int weir_file_sink_committed(struct weir_operator *op, uint64_t id);
uint64_t weir_file_sink_committed_id(struct weir_operator *op);
int weir_file_sink_aborted(struct weir_operator *op, uint64_t id);

/* What the sink leaves in a snapshot.
 *
 * [format: State / Part file_sink.N (SINK_PART_VERSION)]
 *
 *      0 checkpoint u64   8 at the end of the data u64: 1, else 0; from version 2 on 2 where the
 *        output was published before this start   16 rows in all u64
 *     24 entries u64, each a part of the output that is not known to be committed:
 *         0 base u64: the checkpoint behind whose barrier it begins
 *         8 epoch << 16 | attempt of the start that wrote it u64
 *        16 subtask << 32 | its number u64
 *        24 bytes u64   32 rows u64   40 CRC32C of its bytes u64
 *     then, from version 2 on, what F has of committed parts, these included:
 *         0 epoch << 16 | attempt of the start that took the checkpoint u64
 *         8 subtasks of the sink in it u64
 *        16 epoch << 16 | attempt of the first start that counted its parts u64: 0, or the one that
 *           took over from version 1
 *        24 starts and subtasks u64; F/ has none. Of each, that of subtask N last:
 *            0 epoch << 16 | attempt u64   8 subtask << 32 | parts u64: 0 to parts - 1
 *           16 CRC32C over base u64, bytes u64, CRC32C u64 of each part in turn, u64
 *
 * N is the subtask: those of several may stand side by side after a change of the parallelism.
 *
 * [end of format]
 */
#define SINK_PART_PREFIX "file_sink."
#define SINK_PART_VERSION 2
#define SINK_END_NONE UINT64_C(0)
#define SINK_END_DATA UINT64_C(1)
#define SINK_END_PUBLISHED UINT64_C(2)
/* Words before the entries, the last of them is how many there are, and of each. */
#define SINK_PART_HEAD_CNT 4
#define SINK_PART_ENTRY_CNT 6

#endif
