/* SPDX-License-Identifier: Apache-2.0 */
/* Steps C3 to C5. Nothing is told to anybody in here: the caller does, after 0. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "sched/store_priv.h"

static void
end_unknown(struct weir_store *store)
{
    char cause[WEIR_STORE_TEXT_BYTES];
    memcpy(cause, store->fault, sizeof cause);
    store->is_ended = true;
    weir_relay_end(
        &store->relay, weir_store_blame(store, WEIR_EOUTCOME, "checkpoint %" PRIu64 ": %.400s",
                           store->commit_checkpoint, cause));
}

static void
looked_again(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0 && store->commit_is_aside) {
        weir_relay_end(relay, store->err); /* what lies there is the next start's to remove */
        return;
    }
    if (store->err != 0) {
        end_unknown(store); /* it is durable, but whether it counts cannot be seen */
        return;
    }
    if (weir_store_is_fenced(store)) {
        weir_store_end_fenced(store);
        return;
    }
    WEIR_KILLPOINT(C5_COMPLETE);
    struct weir_manifest own = {.checkpoint = store->commit_checkpoint, .epoch = store->epoch};
    int err = weir_store_live_add(store, &own);
    if (err == 0) {
        struct store_live *live = &store->live[store->live_cnt - 1];
        free(live->files);
        live->is_aside = store->commit_is_aside;
        live->on_timeline = !store->commit_is_aside;
        live->files = store->commit_files;
        live->file_cnt = store->commit_file_cnt;
        store->commit_files = NULL;
    } else {
        store->is_unsure = true; /* it is there all the same: nothing unknown may be removed */
    }
    weir_relay_end(relay, 0); /* the commit point */
}

/* Rename said it failed. Where it may have happened all the same the outcome is unknown: the
 * transactions of a declined checkpoint are aborted, and a manifest that lists them must not turn
 * up later. */
static bool
may_have_happened(int errnum)
{
    return errnum == EIO || errnum == ECANCELED || errnum == EINTR || errnum == EAGAIN ||
           errnum == ETIMEDOUT || errnum == ESTALE;
}

static void
manifest_is_put(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err == 0) {
        weir_store_rescan(store, looked_again);
        return;
    }
    bool is_unknown = store->put == PUT_DIR_SYNC ||
                      (store->put == PUT_RENAME && may_have_happened(store->errnum));
    if (is_unknown && !store->commit_is_aside && !WEIR_MUTANT(OUTCOME_DECLINED)) {
        end_unknown(store);
        return;
    }
    if (store->put == PUT_RENAME && store->errnum == EEXIST) {
        store->is_ended = true;
        weir_relay_end(
            relay, weir_store_blame(store, WEIR_EBUG, "%s/%s/manifest/%s is there already",
                       store->root, store->job_name, store->name_to));
        return;
    }
    weir_relay_end(relay, store->err);
}

static void
looked_first(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        weir_relay_end(relay, store->err == WEIR_ENOINPUT ? WEIR_EIO : store->err);
        return;
    }
    if (weir_store_is_fenced(store)) {
        weir_store_end_fenced(store);
        return;
    }
    WEIR_KILLPOINT(C3_LOOKED);
    store->commit_try_cnt++;
    (void)snprintf(store->name, sizeof store->name, "T-%" PRIu64 "-M-%" PRIu64 "-%" PRIu32,
        store->epoch, store->commit_checkpoint, store->commit_try_cnt);
    (void)snprintf(store->name_to, sizeof store->name_to, "%c-%" PRIu64 "-%" PRIu64,
        store->commit_is_aside ? 'S' : 'M', store->commit_checkpoint, store->epoch);
    store->dir_sync = !WEIR_MUTANT(MANIFEST_DIR_UNSYNCED);
    memcpy(store->buf, store->commit_buf, store->commit_bytes);
    weir_store_put(store, store->commit_bytes, manifest_is_put);
}

void
weir_store_commit_step(struct weir_relay *relay)
{
    weir_store_rescan(store_of(relay), looked_first);
}
