/* SPDX-License-Identifier: Apache-2.0 */
/* Steps W0, R1 and R3b: the directories, the lock, the epoch; and, once it is chosen, the base. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "sched/store_priv.h"

#define DIR_FLAGS (WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY)
#define BENEATH_FLAGS (DIR_FLAGS | WEIR_IO_O_BENEATH | WEIR_IO_O_NOFOLLOW)

/* The directories below the root, in the order in which they are made; each in one before it. */
static int32_t *
level_handle(struct weir_store *store, uint32_t level)
{
    int32_t *handles[] = {
        &store->root_dir, &store->job_dir, &store->data_dir, &store->manifest_dir};
    return handles[level];
}

#define LEVEL_CNT 4

static int32_t
level_parent(struct weir_store *store)
{
    return store->level == 1 ? store->root_dir : store->job_dir;
}

static const char *
level_name(const struct weir_store *store)
{
    return store->level == 1 ? store->job_name : store->level == 2 ? "data" : "manifest";
}

static void
fail_op(struct weir_store *store, const char *what, const char *name)
{
    int err = weir_store_blame_op(store, what, name);
    weir_relay_end(&store->relay, err == WEIR_ENOINPUT ? WEIR_EIO : err);
}

static void
fail_part(struct weir_store *store)
{
    weir_relay_end(&store->relay, store->err == WEIR_ENOINPUT ? WEIR_EIO : store->err);
}

/* Direct I/O, by trying: the last of a start, and no reason to fail. */
static void
probe_is_gone(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->is_started = true;
    weir_relay_end(relay, 0);
}

static void
probe_is_closed(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->file = -1;
    weir_io_op_unlink(&relay->op, store->data_dir, store->name, 0);
    weir_relay_go(relay, probe_is_gone);
}

static void
probe_is_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    uint32_t align = store->stat.direct_align;
    store->is_direct = relay->op.result >= 0 && align != 0 && WEIR_SNAPSHOT_ALIGN % align == 0;
    weir_io_op_close(&relay->op, store->file);
    weir_relay_go(relay, probe_is_closed);
}

/* What may not be written here now will not be later: better said at once than by checkpoints. */
static void
probe_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    int errnum = relay->op.result < 0 ? relay->op.errnum : 0;
    if (errnum == EACCES || errnum == EPERM || errnum == EROFS) {
        fail_op(store, "make a file in", "data");
        return;
    }
    if (errnum != 0) { /* such an open may have made it all the same */
        weir_io_op_unlink(&relay->op, store->data_dir, store->name, 0);
        weir_relay_go(relay, probe_is_gone);
        return;
    }
    store->file = (int32_t)relay->op.result;
    weir_io_op_stat(&relay->op, store->file, NULL, &store->stat);
    weir_relay_go(relay, probe_is_known);
}

static void
looked_after_base(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    if (weir_store_is_fenced(store)) {
        weir_store_end_fenced(store);
        return;
    }
    WEIR_KILLPOINT(R3B_LOOKED);
    store->is_direct = false;
    (void)snprintf(store->name, sizeof store->name, "probe-%" PRIu64, store->epoch);
    weir_io_op_open(&relay->op, store->data_dir, store->name,
        WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_EXCL | WEIR_IO_O_DIRECT |
            WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH | WEIR_IO_O_PRIVATE);
    weir_relay_go(relay, probe_is_open);
}

static void
base_is_put(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0 && !WEIR_MUTANT(EPOCH_SHARED)) {
        fail_part(store);
        return;
    }
    weir_store_rescan(store, looked_after_base);
}

static uint64_t
put_record(struct weir_store *store, uint32_t kind)
{
    struct store_record record = {.kind = kind,
        .job = store->job,
        .epoch = store->epoch,
        .base_checkpoint = store->has_restored ? store->restored.checkpoint : 0,
        .base_epoch = store->has_restored ? store->restored.epoch : 0,
        .taken_ns = weir_io_wall_ns(store->config.io)};
    weir_store_record_seal(&record);
    memcpy(store->buf, &record, sizeof record);
    return sizeof record;
}

void
weir_store_chosen_step(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    WEIR_KILLPOINT(R3_CHOSEN);
    if (WEIR_MUTANT(BASE_LEFT_OUT)) {
        base_is_put(relay);
        return;
    }
    (void)snprintf(store->name, sizeof store->name, "T-%" PRIu64 "-B", store->epoch);
    (void)snprintf(store->name_to, sizeof store->name_to, "B-%" PRIu64, store->epoch);
    store->dir_sync = true;
    weir_store_put(store, put_record(store, STORE_RECORD_B), base_is_put);
}

static void take_epoch(struct weir_relay *relay);

static void
epoch_is_put(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (WEIR_MUTANT(EPOCH_SHARED) && store->errnum == EEXIST) {
        store->err = 0;
    }
    if (store->err != 0 && store->put == PUT_OPEN && store->errnum == EEXIST &&
        ++store->epoch_try_cnt < WEIR_STORE_EPOCH_TRY_CNT_MAX) {
        store->epoch++;
        weir_relay_jump(relay, take_epoch);
        return;
    }
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    weir_relay_jump(relay, weir_store_choose_step);
}

/* Its name is what counts, and is claimed by making it. */
static void
take_epoch(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    (void)snprintf(store->name, sizeof store->name, "E-%" PRIu64, store->epoch);
    store->name_to[0] = '\0';
    store->dir_sync = true;
    weir_store_put(store, put_record(store, STORE_RECORD_E), epoch_is_put);
}

/* This scan says only which number to try. */
static void
numbers_are_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    uint64_t highest = store->epoch;
    const char *name = "";
    for (uint32_t i = 0; i < store->name_cnt; i++) {
        if (store->names[i].kind != 'T' && store->names[i].epoch > highest) {
            highest = store->names[i].epoch;
            name = store->names[i].text;
        }
    }
    if (highest >= STORE_EPOCH_MAX) {
        weir_relay_end(relay, weir_store_blame(store, WEIR_ECHECKPOINT,
                                  "%s/%s/manifest/%s: its epoch none may follow", store->root,
                                  store->job_name, name));
        return;
    }
    store->epoch = highest + (WEIR_MUTANT(EPOCH_SHARED) && highest > 0 ? 0 : 1);
    take_epoch(relay);
}

static void try_lock(struct weir_relay *relay);

static void
lock_is_tried(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    struct weir_io *io = store->config.io;
    if (relay->op.result >= 0) {
        store->lock_file = (int32_t)relay->op.result;
        WEIR_KILLPOINT(R1_LOCKED);
        weir_store_rescan(store, numbers_are_known);
        return;
    }
    if (relay->op.errnum != EWOULDBLOCK) {
        fail_op(store, "lock", "manifest/LOCK");
        return;
    }
    if (weir_io_clock_ns(io) >= store->lock_until_ns) {
        weir_relay_end(relay, weir_store_blame(store, WEIR_ERUNNING,
                                  "%s/%s is in use by another process: its lock was not given up",
                                  store->root, store->job_name));
        return;
    }
    weir_io_op_timer(&relay->op, weir_io_clock_ns(io) + STORE_LOCK_TRY_NS);
    weir_relay_go(relay, try_lock);
}

static void
try_lock(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    weir_io_op_open(&relay->op, store->manifest_dir, "LOCK",
        WEIR_IO_O_WRITE | WEIR_IO_O_CREATE | WEIR_IO_O_NOFOLLOW | WEIR_IO_O_BENEATH |
            WEIR_IO_O_PRIVATE | WEIR_IO_O_LOCK);
    weir_relay_go(relay, lock_is_tried);
}

/* From the innermost level out, so that each name is durable before what leads to it. */
static void
level_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_op(store, "sync", "");
        return;
    }
    if (store->level == 0) {
        WEIR_KILLPOINT(W0_DIRECTORIES);
        store->lock_until_ns = weir_io_clock_ns(store->config.io) + store->config.lock_wait_ns;
        if (store->lock_file >= 0) { /* started again: it is ours still */
            weir_store_rescan(store, numbers_are_known);
            return;
        }
        try_lock(relay);
        return;
    }
    store->level--;
    weir_io_op_sync(&relay->op, *level_handle(store, store->level), 0);
    weir_relay_go(relay, level_is_synced);
}

static void make_level(struct weir_relay *relay);

static void
level_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_op(store, "open", level_name(store));
        return;
    }
    *level_handle(store, store->level) = (int32_t)relay->op.result;
    store->level++;
    make_level(relay);
}

static void
level_is_made(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0 && relay->op.errnum != EEXIST) {
        fail_op(store, "make directory", level_name(store));
        return;
    }
    weir_io_op_open(&relay->op, level_parent(store), level_name(store), BENEATH_FLAGS);
    weir_relay_go(relay, level_is_open);
}

static void
make_level(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    while (store->level < LEVEL_CNT && *level_handle(store, store->level) >= 0) {
        store->level++;
    }
    if (store->level == LEVEL_CNT) {
        store->level = LEVEL_CNT - 1;
        weir_io_op_sync(&relay->op, *level_handle(store, store->level), 0);
        weir_relay_go(relay, level_is_synced);
        return;
    }
    weir_io_op_mkdir(&relay->op, level_parent(store), level_name(store));
    weir_relay_go(relay, level_is_made);
}

static void
root_is_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_op(store, "look at", "");
        return;
    }
    bool is_less = store->stat.is_volatile && !store->config.in_memory;
    if (is_less && store->config.strict) {
        weir_relay_end(relay,
            weir_store_blame(store, WEIR_ESTRICT,
                "%s lies in memory: checkpoints there end with the host's power", store->root));
        return;
    }
    if (is_less) {
        (void)snprintf(store->warning, sizeof store->warning,
            "%.400s lies in memory: checkpoints there end with the host's power", store->root);
    }
    store->level = 1;
    make_level(relay);
}

static void
root_is_named(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->file = -1;
    weir_io_op_stat(&relay->op, store->root_dir, NULL, &store->stat);
    weir_relay_go(relay, root_is_known);
}

static void
parent_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        fail_op(store, "sync the directory above", "");
        return;
    }
    weir_io_op_close(&relay->op, store->file);
    weir_relay_go(relay, root_is_named);
}

static void
parent_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0) {
        root_is_named(relay); /* it may be read by others only; what we make below is synced */
        return;
    }
    store->file = (int32_t)relay->op.result;
    weir_io_op_sync(&relay->op, store->file, 0);
    weir_relay_go(relay, parent_is_synced);
}

static void root_is_made(struct weir_relay *relay);

static void
root_is_open(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0 && relay->op.errnum == ENOENT && store->level == 0) {
        store->level = 1; /* once */
        weir_io_op_mkdir(&relay->op, WEIR_IO_CWD, store->root);
        weir_relay_go(relay, root_is_made);
        return;
    }
    if (relay->op.result < 0) {
        fail_op(store, "open", "");
        return;
    }
    store->root_dir = (int32_t)relay->op.result;
    weir_io_op_open(&relay->op, store->root_dir, "..", DIR_FLAGS);
    weir_relay_go(relay, parent_is_open);
}

static void
root_is_made(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (relay->op.result < 0 && relay->op.errnum != EEXIST) {
        fail_op(store, "make directory", "");
        return;
    }
    weir_io_op_open(&relay->op, WEIR_IO_CWD, store->root, DIR_FLAGS);
    weir_relay_go(relay, root_is_open);
}

void
weir_store_start_step(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->level = 0;
    if (store->root_dir >= 0) { /* started again */
        root_is_named(relay);
        return;
    }
    weir_io_op_open(&relay->op, WEIR_IO_CWD, store->root, DIR_FLAGS);
    weir_relay_go(relay, root_is_open);
}
