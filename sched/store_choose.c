/* SPDX-License-Identifier: Apache-2.0 */
/* Steps R2 and R3: which checkpoint is the truth. Called once the own epoch is durable.
 *
 * The walk goes down the timeline: the manifests of the highest epoch that has a base record, from
 * the highest down; then the base of that epoch; then what that base's own epoch wrote before it;
 * and so on. The first one is the truth. It goes further only past what is damaged, and only where
 * nobody can have been told of what is damaged, or the user takes the duplicates.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "sched/store_priv.h"

static void
fail_part(struct weir_store *store)
{
    weir_relay_end(&store->relay, store->err == WEIR_ENOINPUT ? WEIR_EIO : store->err);
}

static void
refuse(struct weir_store *store, const char *what)
{
    char cause[WEIR_STORE_TEXT_BYTES];
    memcpy(cause, store->fault, sizeof cause);
    weir_relay_end(&store->relay,
        weir_store_blame(store, store->bad_err != 0 ? store->bad_err : WEIR_ECHECKPOINT,
            "%s/%s: %s%s%.300s", store->root, store->job_name, what, cause[0] != '\0' ? ": " : "",
            cause));
}

static void next_candidate(struct weir_relay *relay);

/* Damage is told apart from a device that does not answer: the code of the first stays. */
static int
bad_code(int err)
{
    bool is_damage = err == WEIR_EDATA || err == WEIR_EFORMAT || err == WEIR_ENOINPUT;
    return is_damage ? WEIR_ECHECKPOINT : err;
}

/* The candidate is not good, the fault says why. */
static void
pass_over(struct weir_store *store, int err)
{
    store->bad_cnt++;
    store->bad_err = store->bad_err != 0 ? store->bad_err : bad_code(err);
    weir_manifest_fini(&store->restored);
    store->has_restored = false;
    if (WEIR_MUTANT(DAMAGE_PASSED_OVER) || WEIR_MUTANT(DAMAGE_FORGOTTEN)) {
        weir_relay_jump(
            &store->relay, WEIR_MUTANT(DAMAGE_FORGOTTEN) ? weir_store_chosen_step : next_candidate);
        return;
    }
    if (store->config.wanted_checkpoint != 0) {
        refuse(store, "the checkpoint that was asked for cannot be used");
        return;
    }
    if (!store->config.accept_duplicates &&
        store->config.sinks_committed_max == WEIR_STORE_COMMITTED_UNKNOWN) {
        refuse(store, "the newest checkpoint cannot be used, and sinks may have been told of it");
        return;
    }
    if (store->warning[0] == '\0') {
        (void)snprintf(store->warning, sizeof store->warning,
            "checkpoint %" PRIu64 " cannot be used, an older one is restored: %.400s",
            store->candidate_checkpoint, store->fault);
    }
    next_candidate(&store->relay);
}

static void
accept(struct weir_store *store)
{
    bool takes_any = store->config.accept_duplicates || WEIR_MUTANT(DAMAGE_PASSED_OVER);
    if (store->bad_cnt > 0 && !takes_any &&
        store->restored.checkpoint < store->config.sinks_committed_max) {
        refuse(store, "a sink has committed more than the newest good checkpoint holds");
        return;
    }
    store->has_restored = true;
    store->fault[0] = '\0';
    if (weir_store_live_add(store, &store->restored) != 0) {
        weir_relay_end(&store->relay, WEIR_ENOMEM);
        return;
    }
    weir_relay_jump(&store->relay, weir_store_chosen_step);
}

static void check_file(struct weir_relay *relay);

void
weir_store_checked_step(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        (void)weir_store_blame(
            store, store->err, "data/%s", weir_snapshot_read_fault(store->reader)->text);
        pass_over(store, store->err);
        return;
    }
    store->file_idx++;
    check_file(relay);
}

static void
check_file(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->file_idx == store->restored.file_cnt) {
        accept(store);
        return;
    }
    struct weir_snapshot_ask ask = {.dir = store->data_dir,
        .file = &store->restored.files[store->file_idx],
        .footer_only = true,
        .sync = true};
    weir_snapshot_read(store->reader, &ask);
    store->reads = true;
    weir_relay_end(relay, 0); /* the reader has its own relay: poll goes on when that has ended */
}

static void
manifest_is_read(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    const char *wrong = NULL;
    uint64_t off = 0;
    if (store->err != 0) {
        pass_over(store, store->err);
        return;
    }
    memcpy(store->restored_buf, store->buf, store->got_bytes);
    int err =
        weir_manifest_decode(store->restored_buf, store->got_bytes, &store->restored, &wrong, &off);
    if (err == 0 && (store->restored.job != store->job ||
                        store->restored.checkpoint != store->candidate_checkpoint ||
                        store->restored.epoch != store->candidate_epoch)) {
        weir_manifest_fini(&store->restored);
        err = WEIR_EDATA;
        wrong = "it belongs to another job, checkpoint or epoch";
    }
    if (err != 0) {
        pass_over(store, weir_store_blame(store, err, "manifest/%s, byte %" PRIu64 ": %s",
                             store->name, off, wrong));
        return;
    }
    store->file_idx = 0;
    check_file(relay);
}

static void
try_candidate(struct weir_store *store, uint64_t checkpoint, uint64_t epoch)
{
    store->candidate_checkpoint = checkpoint;
    store->candidate_epoch = epoch;
    (void)snprintf(store->name, sizeof store->name, "M-%" PRIu64 "-%" PRIu64, checkpoint, epoch);
    weir_store_get(store, store->manifest_dir, manifest_is_read);
}

/* Nothing further down. */
static void
end_of_timeline(struct weir_store *store)
{
    if (store->bad_cnt > 0) {
        refuse(store, "no checkpoint can be used");
        return;
    }
    weir_relay_jump(&store->relay, weir_store_chosen_step);
}

static void
base_is_read(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        store->bad_err = bad_code(store->err);
        refuse(store, "the base of an epoch cannot be read");
        return;
    }
    const char *wrong = weir_store_record_check(
        store->buf, store->got_bytes, STORE_RECORD_B, store->job, store->walk_epoch);
    if (wrong != NULL) {
        store->bad_err = WEIR_ECHECKPOINT;
        (void)weir_store_blame(store, WEIR_ECHECKPOINT, "manifest/%s: %s", store->name, wrong);
        refuse(store, "the base of an epoch cannot be used");
        return;
    }
    struct store_record record;
    memcpy(&record, store->buf, sizeof record);
    store->base_checkpoint = record.base_checkpoint;
    store->base_epoch = record.base_epoch;
    store->candidate_is_base = false;
    store->checkpoint_max = weir_max_u64(store->checkpoint_max, record.base_checkpoint);
    next_candidate(relay);
}

static void
read_base(struct weir_store *store)
{
    (void)snprintf(store->name, sizeof store->name, "B-%" PRIu64, store->walk_epoch);
    weir_store_get(store, store->manifest_dir, base_is_read);
}

static void
next_candidate(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->candidate_is_base) {
        /* The base was not good: what its own epoch wrote before it, and that one's base. */
        store->walk_bound = store->base_checkpoint;
        store->walk_epoch = store->base_epoch;
        read_base(store);
        return;
    }
    const struct store_name *best = NULL;
    for (uint32_t i = 0; i < store->name_cnt; i++) {
        const struct store_name *name = &store->names[i];
        if (name->kind == 'M' && name->epoch == store->walk_epoch &&
            name->checkpoint < store->walk_bound &&
            (best == NULL ||
                (name->checkpoint > best->checkpoint) != WEIR_MUTANT(OLDER_RESTORED))) {
            best = name;
        }
    }
    if (best != NULL) {
        store->walk_bound = best->checkpoint;
        try_candidate(store, best->checkpoint, best->epoch);
        return;
    }
    if (store->base_checkpoint == 0) {
        end_of_timeline(store);
        return;
    }
    if (store->base_epoch >= store->walk_epoch) {
        store->bad_err = WEIR_ECHECKPOINT;
        refuse(store, "an epoch names a base that is not older than itself");
        return;
    }
    store->candidate_is_base = true;
    try_candidate(store, store->base_checkpoint, store->base_epoch);
}

/* The scan that counts: it began after the own E was durable. */
static void
names_are_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->err = WEIR_MUTANT(UNLISTED_STARTS_EMPTY) ? 0 : store->err;
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    if (weir_store_is_fenced(store)) {
        store->is_ended = true;
        weir_relay_end(relay, weir_store_blame(store, WEIR_EFENCED,
                                  "%s/%s: another start took an epoch above %" PRIu64, store->root,
                                  store->job_name, store->epoch));
        return;
    }
    uint32_t manifest_cnt = 0;
    store->walk_epoch = 0;
    for (uint32_t i = 0; i < store->name_cnt; i++) {
        const struct store_name *name = &store->names[i];
        if (name->kind == 'B' && name->epoch < store->epoch) {
            store->walk_epoch = weir_max_u64(store->walk_epoch, name->epoch);
        }
        manifest_cnt += name->kind == 'M' ? 1 : 0;
    }
    store->walk_bound = UINT64_MAX;
    store->fault[0] = '\0';
    if (store->checkpoint_max >= STORE_CHECKPOINT_MAX) {
        weir_relay_end(
            relay, weir_store_blame(store, WEIR_ECHECKPOINT,
                       "%s/%s: a name in it says checkpoint %" PRIu64 ", which none may follow",
                       store->root, store->job_name, store->checkpoint_max));
        return;
    }
    if (store->config.start_empty || (store->walk_epoch == 0 && manifest_cnt == 0)) {
        weir_relay_jump(relay, weir_store_chosen_step);
        return;
    }
    if (store->config.wanted_checkpoint != 0) {
        try_candidate(store, store->config.wanted_checkpoint, store->config.wanted_epoch);
        return;
    }
    if (store->walk_epoch == 0) {
        refuse(store, "there are manifests, but no record of what any epoch started from");
        return;
    }
    read_base(store);
}

static void
note_data(struct weir_store *store, const char *name)
{
    struct weir_snapshot_id id;
    if (weir_snapshot_name_parse(name, &id)) {
        store->checkpoint_max = weir_max_u64(store->checkpoint_max, id.checkpoint);
    }
}

static void
ids_are_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    weir_store_rescan(store, names_are_known);
}

static void
manifests_are_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    WEIR_KILLPOINT(R2_SYNCED);
    store->entry = note_data;
    weir_store_scan(store, store->data_dir, ids_are_known);
}

static void
data_is_synced(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        fail_part(store);
        return;
    }
    weir_store_sync(store, store->manifest_dir, manifests_are_synced);
}

void
weir_store_choose_step(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    (void)snprintf(store->name, sizeof store->name, "data");
    weir_store_sync(store, store->data_dir, data_is_synced);
}
