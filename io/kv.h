/* SPDX-License-Identifier: Apache-2.0 */
/* kv.h: keys and values on disk, for state that is larger than memory. One store, one owner.
 *
 *     weir_kv_put, _delete, _get, _checkpoint   what is wanted, in memory
 *     weir_kv_go                                to the helper thread, all of it: an exchange
 *     weir_kv_poll == WEIR_KV_BUSY, polls go by
 *     weir_kv_result                            what was got, until the next put or get
 *
 * One exchange is under way at a time. In it what is to be removed comes first, then writes, then
 * reads, which see them, then the checkpoint. A store is scratch: it begins empty or with
 * checkpoints of others, and is removed when it is closed; what is to outlive it is a checkpoint, a
 * directory of its own that shares files with the store and with other checkpoints by hard links,
 * so that each costs only what is new in it. A checkpoint is durable when its exchange has ended
 * without an error.
 *
 * Keys begin with 8 bytes, big-endian, by which they are dealt out to stores.
 *
 * [format: State / Files of a checkpoint of keys on disk (WEIR_KV_LIST_VERSION)]
 *
 *     text, in the file weir-files beside those that it names:
 *         weir-files 1
 *         CRC32C, 8 hex digits | bytes | name        a line each, of all but logs and locks
 *         end CRC32C of all lines before
 *
 * [end of format]
 *
 * A table never changes, so its checksum is made once, by the first checkpoint that has it.
 *
 * Inline: no helper; an exchange is done by weir_kv_go, and is said to be busy for some polls drawn
 * from a seed. So a run under a seeded poller repeats.
 *
 * Thread: the owner's core. Errors: the first one stays; every later exchange ends with it. Not so
 *         that of a checkpoint, which is that checkpoint's alone.
 */
#ifndef WEIR_IO_KV_H
#define WEIR_IO_KV_H

#include "base/base.h"

WEIR_C_BEGIN

#define WEIR_KV_LIST_VERSION 1
#define WEIR_KV_PREFIX_BYTES 8
#define WEIR_KV_BUSY 1 /* no error code has this value */

struct weir_kv;

struct weir_kv_bytes {
    const void *ptr; /* NULL of a result: there is none */
    size_t bytes;
};

struct weir_kv_conf {
    const char *dir; /* of the store; what lies there is removed. Borrowed until open returns */
    /* Checkpoints to begin with: their keys whose first 8 bytes are in [first, last]. */
    const char *const *from;
    uint32_t from_cnt;
    uint64_t first;
    uint64_t last;
    uint64_t cache_bytes; /* of blocks read; 0: 8 MiB */
    uint64_t write_bytes; /* gathered in memory before a file is written; 0: 16 MiB */
    bool is_inline;
    uint64_t seed; /* of an inline one */
    void (*wake)(void *arg); /* an exchange has ended; on the helper thread. NULL: nobody sleeps */
    void *wake_arg;
};

/* weir_kv_open - start the helper, which opens the store; that is the first exchange, under way.
 *
 * Errors:  WEIR_ENOMEM, WEIR_ESYS; by weir_kv_poll: WEIR_EUNAVAILABLE: the library is not there, or
 *          was not when this program was built; WEIR_EIO: it cannot be opened.
 */
WEIR_API WEIR_MUST_USE int weir_kv_open(const struct weir_kv_conf *conf, struct weir_kv **ret_kv);
/* weir_kv_close - wait for what is under way; the store's directory is removed. Takes NULL. */
WEIR_API void weir_kv_close(struct weir_kv *kv);

/* Wants of the next exchange; keys and values are copied. None may be under way. Where memory is
 * short the exchange ends with WEIR_ENOMEM. */
WEIR_API void weir_kv_put(struct weir_kv *kv, struct weir_kv_bytes key, struct weir_kv_bytes val);
WEIR_API void weir_kv_delete(struct weir_kv *kv, struct weir_kv_bytes key);
WEIR_API void weir_kv_get(struct weir_kv *kv, struct weir_kv_bytes key);
/* weir_kv_checkpoint - of what the store holds behind the writes; dir must not exist, the directory
 * above it is made. At most one in an exchange. */
WEIR_API void weir_kv_checkpoint(struct weir_kv *kv, const char *dir);
/* weir_kv_drop - weir_kv_remove() by the helper; errors are passed over. */
WEIR_API void weir_kv_drop(struct weir_kv *kv, const char *dir);
/* weir_kv_wants - something is wanted. */
WEIR_API bool weir_kv_wants(const struct weir_kv *kv);

/* weir_kv_go - begin the exchange. */
WEIR_API void weir_kv_go(struct weir_kv *kv);
/* weir_kv_poll - 0 where none is under way any more, WEIR_KV_BUSY, or an error. */
WEIR_API WEIR_MUST_USE int weir_kv_poll(struct weir_kv *kv);
/* weir_kv_checkpoint_error - how the checkpoint of the exchange that ended last has ended: 0, or an
 * error, pushed. */
WEIR_API WEIR_MUST_USE int weir_kv_checkpoint_error(const struct weir_kv *kv);
/* weir_kv_get_cnt, weir_kv_key, weir_kv_result - the reads of the exchange that ended last, in the
 * order in which they were asked for. Good until the next want. */
WEIR_API uint32_t weir_kv_get_cnt(const struct weir_kv *kv);
WEIR_API struct weir_kv_bytes weir_kv_key(const struct weir_kv *kv, uint32_t idx);
WEIR_API struct weir_kv_bytes weir_kv_result(const struct weir_kv *kv, uint32_t idx);

/* weir_kv_remove - a checkpoint that nobody needs any more, or half of one; files that others share
 * stay. Blocks. 0 also where there is none. */
WEIR_API WEIR_MUST_USE int weir_kv_remove(const char *dir);

/* weir_kv_remove_all - weir_kv_remove() of what lies in dir under names that end in `suffix`. */
WEIR_API WEIR_MUST_USE int weir_kv_remove_all(const char *dir, const char *suffix);

/* ---- a checkpoint as it lies there, for who does not own it ----
 *
 * Both block, change nothing of it, and may be called by any one thread. Errors: WEIR_ECHECKPOINT:
 * a file of it is damaged or not there, with its name; WEIR_EIO; WEIR_ENOMEM.
 */

/* weir_kv_verify - read all files and hold them against their checksums. */
struct weir_kv_files {
    uint32_t cnt;
    uint64_t bytes;
};
WEIR_API WEIR_MUST_USE int weir_kv_verify(const char *dir, struct weir_kv_files *ret_files);

/* Its keys, upward. weir_kv_view_open also: WEIR_EUNAVAILABLE, as weir_kv_open. close takes
 * NULL. */
struct weir_kv_view;
WEIR_API WEIR_MUST_USE int weir_kv_view_open(const char *dir, struct weir_kv_view **ret_view);
WEIR_API void weir_kv_view_close(struct weir_kv_view *view);
/* weir_kv_view_seek - to the first key whose first 8 bytes are no less than `first`.
 * weir_kv_view_next - to the next one. Returns: 1: it stands there; 0: there is none; an error. */
WEIR_API WEIR_MUST_USE int weir_kv_view_seek(struct weir_kv_view *view, uint64_t first);
WEIR_API WEIR_MUST_USE int weir_kv_view_next(struct weir_kv_view *view);
/* weir_kv_view_key, weir_kv_view_val - where it stands; good until it moves. */
WEIR_API struct weir_kv_bytes weir_kv_view_key(const struct weir_kv_view *view);
WEIR_API struct weir_kv_bytes weir_kv_view_val(const struct weir_kv_view *view);

WEIR_C_END

#endif
