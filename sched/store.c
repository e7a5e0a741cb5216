/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "sched/store_priv.h"

#define MANIFEST_BYTES_DEFAULT WEIR_MIB
/* Only footers are read here: with all key groups and counters that there may be they have less. */
#define VERIFY_BLOCK_BYTES WEIR_MIB
WEIR_STATIC_ASSERT(WEIR_SNAPSHOT_GROUP_CNT_MAX * sizeof(struct weir_snapshot_group) +
                           WEIR_SNAPSHOT_COUNTER_CNT_MAX * sizeof(uint64_t) +
                           2 * WEIR_SNAPSHOT_ALIGN <
                       VERIFY_BLOCK_BYTES,
    "a footer fits");

bool
weir_store_is_job_name(const char *name)
{
    size_t bytes =
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return name[0] != '\0' && name[0] != '.' && name[bytes] == '\0' && bytes < WEIR_STORE_JOB_BYTES;
}

static int
check_config(const struct weir_store_config *config)
{
    if (!weir_store_is_job_name(config->job)) {
        return weir_err_push(WEIR_EINVAL,
            "job '%s': a name for a directory of checkpoints has letters, digits, '.', '_', '-'",
            config->job);
    }
    if (strlen(config->root) >= WEIR_STORE_ROOT_BYTES) {
        return weir_err_push(WEIR_ECONFIG,
            "the directory of checkpoints has a name of %zu bytes, and may have %d",
            strlen(config->root), WEIR_STORE_ROOT_BYTES - 1);
    }
    if (config->manifest_bytes_max > WEIR_MANIFEST_BYTES_MAX) {
        return weir_err_push(WEIR_EINVAL, "manifests of %" PRIu64 " bytes, over %d",
            config->manifest_bytes_max, WEIR_MANIFEST_BYTES_MAX);
    }
    return 0;
}

static void
put_defaults(struct weir_store_config *config)
{
    config->retained_cnt = config->retained_cnt != 0 ? config->retained_cnt : 1;
    config->lock_wait_ns =
        config->lock_wait_ns != 0 ? config->lock_wait_ns : WEIR_STORE_LOCK_WAIT_NS_DEFAULT;
    config->manifest_bytes_max =
        config->manifest_bytes_max != 0 ? config->manifest_bytes_max : MANIFEST_BYTES_DEFAULT;
}

int
weir_store_open(const struct weir_store_config *config, struct weir_store **ret_store)
{
    int err = check_config(config);
    if (err != 0) {
        return err;
    }
    struct weir_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return weir_err_push(WEIR_ENOMEM, "checkpoint store");
    }
    store->config = *config;
    put_defaults(&store->config);
    (void)snprintf(store->job_name, sizeof store->job_name, "%s", config->job);
    (void)snprintf(store->root, sizeof store->root, "%s", config->root);
    store->job = weir_hash_bytes(store->job_name, strlen(store->job_name));
    store->root_dir = -1;
    store->job_dir = -1;
    store->epoch = config->epoch_floor;
    store->checkpoint_max = config->checkpoint_floor;
    store->data_dir = -1;
    store->manifest_dir = -1;
    store->lock_file = -1;
    store->file = -1;
    store->buf_bytes = store->config.manifest_bytes_max;
    store->buf = malloc(store->buf_bytes);
    store->restored_buf = malloc(store->buf_bytes);
    store->commit_buf = malloc(store->buf_bytes);
    store->list_buf = malloc(STORE_LIST_BYTES);
    if (store->buf == NULL || store->restored_buf == NULL || store->commit_buf == NULL ||
        store->list_buf == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "%" PRIu64 " bytes for manifests", store->buf_bytes);
        goto out;
    }
    struct weir_snapshot_config reader = {
        .io = config->io, .depth = 1, .block_bytes = VERIFY_BLOCK_BYTES, .unregistered = true};
    err = weir_snapshot_reader_open(&reader, &store->reader);
out:
    if (err != 0) {
        weir_store_close(store);
        return err;
    }
    *ret_store = store;
    return 0;
}

static void
close_handle(struct weir_store *store, int32_t *handle)
{
    struct weir_io_op op;
    if (*handle >= 0) {
        weir_io_op_close(&op, *handle);
        (void)weir_io_perform(store->config.io, &op); /* all that matters was synced */
        *handle = -1;
    }
}

void
weir_store_close(struct weir_store *store)
{
    if (store == NULL) {
        return;
    }
    int32_t made = weir_relay_drop(&store->relay);
    close_handle(store, &made);
    close_handle(store, &store->file);
    close_handle(store, &store->lock_file);
    close_handle(store, &store->manifest_dir);
    close_handle(store, &store->data_dir);
    close_handle(store, &store->job_dir);
    close_handle(store, &store->root_dir);
    weir_manifest_fini(&store->restored);
    weir_store_live_clear(store);
    weir_snapshot_reader_close(store->reader);
    free(store->live);
    free(store->commit_files);
    free(store->orphans);
    free(store->names);
    free(store->list_buf);
    free(store->buf);
    free(store->restored_buf);
    free(store->commit_buf);
    free(store);
}

static void
refuse(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    weir_relay_end(relay, weir_store_blame(store, WEIR_EILLEGAL,
                              store->is_ended ? "the store of %s has ended: only exit is left"
                                              : "the store of %s was not started",
                              store->job_name));
}

void
weir_store_start(struct weir_store *store)
{
    weir_manifest_fini(&store->restored);
    store->restored = (struct weir_manifest){0};
    store->has_restored = false;
    store->fault[0] = '\0';
    store->warning[0] = '\0';
    store->is_started = false;
    store->is_surveyed = false;
    store->epoch_try_cnt = 0;
    store->bad_cnt = 0;
    store->bad_err = 0;
    weir_store_live_clear(store);
    weir_relay_start(
        &store->relay, store->config.io, store->is_ended ? refuse : weir_store_start_step);
}

static void
too_large(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->commit_bytes = 0;
    weir_relay_end(
        relay, weir_store_blame(store, WEIR_EBUDGET,
                   "the manifest of checkpoint %" PRIu64 " does not fit into %" PRIu64 " bytes",
                   store->commit_checkpoint, store->buf_bytes));
}

/* The files it names, for tidy: those that are ours to remove some day. */
static bool
copy_files(struct weir_store *store, const struct weir_manifest *manifest)
{
    free(store->commit_files);
    store->commit_files = calloc(manifest->file_cnt + UINT64_C(1), sizeof *store->commit_files);
    store->commit_file_cnt = manifest->file_cnt;
    for (uint32_t i = 0; store->commit_files != NULL && i < manifest->file_cnt; i++) {
        store->commit_files[i] = manifest->files[i].id;
    }
    return store->commit_files != NULL;
}

static void
commit(struct weir_store *store, const struct weir_manifest *manifest, bool is_aside)
{
    weir_relay_fn *first = weir_store_commit_step;
    store->fault[0] = '\0';
    store->commit_checkpoint = manifest->checkpoint;
    store->commit_is_aside = is_aside;
    if (store->is_ended || !store->is_started) {
        weir_relay_start(&store->relay, store->config.io, refuse);
        return;
    }
    struct weir_manifest own = *manifest;
    own.job = store->job;
    own.job_name = store->job_name;
    own.epoch = store->epoch;
    store->checkpoint_max = weir_max_u64(store->checkpoint_max, manifest->checkpoint);
    store->commit_bytes = weir_manifest_encode(&own, store->commit_buf, store->buf_bytes);
    if (store->commit_bytes == 0 || store->commit_bytes > store->buf_bytes ||
        !copy_files(store, manifest)) {
        first = too_large;
    }
    weir_relay_start(&store->relay, store->config.io, first);
}

void
weir_store_commit(struct weir_store *store, const struct weir_manifest *manifest)
{
    commit(store, manifest, false);
}

void
weir_store_keep(struct weir_store *store, const struct weir_manifest *manifest)
{
    commit(store, manifest, true);
}

void
weir_store_release(struct weir_store *store, uint64_t checkpoint)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        struct store_live *live = &store->live[i];
        live->is_released |= live->is_aside && live->checkpoint == checkpoint;
    }
}

void
weir_store_tidy(struct weir_store *store)
{
    bool is_usable = !store->is_ended && store->is_started;
    store->fault[0] = '\0';
    weir_relay_start(&store->relay, store->config.io, is_usable ? weir_store_tidy_step : refuse);
}

/* Whoever waits for io between two polls finds some under way: a file is asked for at once. */
int
weir_store_poll(struct weir_store *store)
{
    for (;;) {
        if (!store->reads) {
            int status = weir_relay_poll(&store->relay);
            if (!store->reads) {
                return status;
            }
        }
        int err = weir_snapshot_read_poll(store->reader);
        if (err == WEIR_RELAY_BUSY) {
            return err;
        }
        store->reads = false;
        store->err = err;
        weir_relay_start(&store->relay, store->config.io, weir_store_checked_step);
    }
}

uint64_t
weir_store_epoch(const struct weir_store *store)
{
    return store->epoch;
}

const struct weir_manifest *
weir_store_restored(const struct weir_store *store)
{
    return store->has_restored ? &store->restored : NULL;
}

uint64_t
weir_store_checkpoint_next(const struct weir_store *store)
{
    return store->checkpoint_max + 1;
}

uint64_t
weir_store_job(const struct weir_store *store)
{
    return store->job;
}

int32_t
weir_store_data_dir(const struct weir_store *store)
{
    return store->data_dir;
}

bool
weir_store_is_direct(const struct weir_store *store)
{
    return store->is_direct;
}

bool
weir_store_is_ended(const struct weir_store *store)
{
    return store->is_ended;
}

const char *
weir_store_fault(const struct weir_store *store)
{
    return store->fault;
}

const char *
weir_store_warning(const struct weir_store *store)
{
    return store->warning;
}
