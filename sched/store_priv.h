/* SPDX-License-Identifier: Apache-2.0 */
/* store_priv.h: the store's state, and the parts its protocols are made of. */
#ifndef WEIR_SCHED_STORE_PRIV_H
#define WEIR_SCHED_STORE_PRIV_H

#include "io/relay.h"
#include "sched/store.h"

#define STORE_VERSION 1
#define STORE_NAME_BYTES 96
#define STORE_LIST_BYTES (32 * 1024)
#define STORE_LOCK_TRY_NS (50 * WEIR_MS)
/* Who names files by epochs has so many bits for them (file_sink.h); JSON has for ids. Nobody
 * counts as far, but anybody may put a file there. */
#define STORE_EPOCH_MAX ((UINT64_C(1) << 48) - 1)
#define STORE_CHECKPOINT_MAX (UINT64_C(1) << 62)
#define STORE_RECORD_E 1
#define STORE_RECORD_B 2

/* E-<k> and B-<k>. */
struct store_record {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint64_t job;
    uint64_t epoch;
    uint64_t base_checkpoint;
    uint64_t base_epoch;
    int64_t taken_ns;
    uint32_t zero;
    uint32_t crc;
};
WEIR_STATIC_ASSERT(sizeof(struct store_record) == 64, "as pictured in store.h");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct store_record, epoch) == 24, "as pictured");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct store_record, taken_ns) == 48, "as pictured");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct store_record, crc) == 60, "as pictured");

/* A name of the manifest directory that means something. */
struct store_name {
    char kind; /* 'M', 'S', 'E', 'B', 'T' */
    bool is_dropped;
    uint64_t checkpoint; /* of M and S */
    uint64_t epoch; /* of T: UINT64_MAX where the name says none */
    char text[STORE_NAME_BYTES];
};

/* A manifest that is there, with the files it names. */
struct store_live {
    uint64_t checkpoint;
    uint64_t epoch;
    struct weir_snapshot_id *files;
    uint32_t file_cnt;
    bool on_timeline;
    bool is_dropped;
    bool is_aside; /* an S */
    bool is_released; /* an S that nobody reads any more */
};

/* How far a put came. */
enum store_put { PUT_OPEN, PUT_WRITE, PUT_SYNC, PUT_RENAME, PUT_DIR_SYNC, PUT_DONE };

struct weir_store {
    struct weir_relay relay; /* first: a step gets a pointer to it */
    struct weir_store_config config;
    char root[WEIR_STORE_ROOT_BYTES];
    char job_name[WEIR_STORE_JOB_BYTES];
    uint64_t job;
    int32_t root_dir; /* handles: -1 while not open */
    int32_t job_dir;
    int32_t data_dir;
    int32_t manifest_dir;
    int32_t lock_file;
    int32_t file; /* what a part has open now */
    struct weir_io_stat stat;
    bool is_direct;
    bool is_ended;
    bool is_started;
    int64_t lock_until_ns;
    uint32_t level; /* of the directories, while they are opened and synced */
    uint64_t epoch;
    uint32_t epoch_try_cnt;
    uint64_t checkpoint_max; /* seen */
    char fault[WEIR_STORE_TEXT_BYTES];
    char warning[WEIR_STORE_TEXT_BYTES];

    /* Parts: what they are given, and how they come back. */
    weir_relay_fn *back;
    int err; /* of the part that came back; 0 */
    int errnum;
    enum store_put put;
    char name[STORE_NAME_BYTES];
    char name_to[STORE_NAME_BYTES]; /* "": not renamed */
    bool dir_sync;
    void (*entry)(struct weir_store *store, const char *name);
    char *list_buf;
    char *buf; /* a record or manifest on its way */
    uint64_t buf_bytes;
    uint64_t got_bytes;

    struct store_name *names; /* of the last scan of the manifest directory */
    uint32_t name_cnt;
    uint32_t name_room;

    /* Recovery: the walk down the timeline. */
    uint64_t walk_epoch;
    uint64_t walk_bound; /* manifests of walk_epoch at or above it were looked at */
    uint64_t base_checkpoint; /* of walk_epoch */
    uint64_t base_epoch;
    uint64_t candidate_checkpoint;
    uint64_t candidate_epoch;
    bool candidate_is_base;
    uint32_t bad_cnt;
    int bad_err; /* of the newest that is not good */
    char *restored_buf;
    struct weir_manifest restored;
    bool has_restored;
    struct weir_snapshot_reader *reader;
    uint32_t file_idx;
    bool reads; /* the reader is at work, our own relay rests */

    bool commit_is_aside;
    uint64_t commit_checkpoint;
    uint64_t commit_bytes;
    char *commit_buf;
    struct weir_snapshot_id *commit_files;
    uint32_t commit_file_cnt;
    uint32_t commit_try_cnt;

    struct store_live *live;
    uint32_t live_cnt;
    uint32_t live_room;
    bool is_surveyed; /* live holds all manifests of older epochs, too */
    uint32_t unread_cnt; /* manifests whose files are not known: nothing unknown is removed */
    bool is_unsure; /* nor in this run: one may be there, or come back, that is not in live */
    uint32_t tidy_idx;
    uint32_t tidy_file_idx;
    struct weir_snapshot_id *orphans;
    uint32_t orphan_cnt;
    uint32_t orphan_room;
    bool tidy_unlinked;
};

static inline struct weir_store *
store_of(struct weir_relay *relay)
{
    return (struct weir_store *)relay;
}

/* store_puts - what weir_store_put() is about: the letter of its name, E, B or M. */
static inline char
store_puts(const struct weir_store *store)
{
    return store->name_to[0] != '\0' ? store->name_to[0] : store->name[0];
}

/* The sentence of an error; blame returns err. blame_op names the relay's operation. */
int weir_store_blame(struct weir_store *store, int err, const char *fmt, ...) WEIR_PRINTF(3, 4);
int weir_store_blame_op(struct weir_store *store, const char *what, const char *name);
/* Another start has taken over: the end of the job and of the store. */
void weir_store_end_fenced(struct weir_store *store);

/* Parts: each ends by a jump to `back`, with store->err. On an error the fault has its sentence.
 * scan: every entry of dir to store->entry. put: bytes of store->buf as a new file of the manifest
 * directory, synced, renamed to name_to where that is set, the directory synced where dir_sync.
 * get: a file into store->buf, synced before it is read. unlink: name in dir; none there is
 *      fine. */
void weir_store_scan(struct weir_store *store, int32_t dir, weir_relay_fn *back);
void weir_store_put(struct weir_store *store, uint64_t bytes, weir_relay_fn *back);
void weir_store_get(struct weir_store *store, int32_t dir, weir_relay_fn *back);
void weir_store_unlink(struct weir_store *store, int32_t dir, weir_relay_fn *back);
void weir_store_sync(struct weir_store *store, int32_t dir, weir_relay_fn *back);

/* weir_store_is_job_name - whether a job's directory may be called so. */
bool weir_store_is_job_name(const char *name);
/* weir_store_name_parse - of a name in the manifest directory; false for one that is none of
 * ours. */
bool weir_store_name_parse(const char *text, struct store_name *ret);
/* weir_store_note_name - an `entry`: keep it in store->names. */
void weir_store_note_name(struct weir_store *store, const char *name);
/* weir_store_rescan - names anew; then weir_store_is_fenced says whether there is a higher E. */
void weir_store_rescan(struct weir_store *store, weir_relay_fn *back);
bool weir_store_is_fenced(const struct weir_store *store);

void weir_store_record_seal(struct store_record *record);
/* weir_store_record_check - NULL, or what is wrong with the record in buf. */
const char *weir_store_record_check(
    const void *buf, uint64_t bytes, uint32_t kind, uint64_t job, uint64_t epoch);

/* weir_store_live_add - one more manifest that is there: its files are copied. */
int weir_store_live_add(struct weir_store *store, const struct weir_manifest *manifest);
void weir_store_live_clear(struct weir_store *store);

/* weir_store_grow - room for one more of item_bytes each: false without memory. */
bool weir_store_grow(void **array, uint32_t cnt, uint32_t *room, size_t item_bytes);

/* First steps. */
void weir_store_start_step(struct weir_relay *relay);
void weir_store_choose_step(struct weir_relay *relay); /* R2, R3: store_choose.c */
void weir_store_checked_step(struct weir_relay *relay); /* the reader has ended with store->err */
void weir_store_chosen_step(struct weir_relay *relay); /* R3b, back in store_start.c */
void weir_store_commit_step(struct weir_relay *relay);
void weir_store_tidy_step(struct weir_relay *relay);

#endif
