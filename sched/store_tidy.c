/* SPDX-License-Identifier: Apache-2.0 */
/* Steps C7 and R6. A manifest goes first, and durably; then the files that only it named: so no
 * manifest ever names a file that is missing, and what a crash leaves between is an orphan that the
 * next run removes. The first tidy of a run reads all manifests that are there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "sched/store_priv.h"

void
weir_store_live_clear(struct weir_store *store)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        free(store->live[i].files);
    }
    store->live_cnt = 0;
    store->unread_cnt = 0;
    store->is_unsure = false;
}

int
weir_store_live_add(struct weir_store *store, const struct weir_manifest *manifest)
{
    void *live = store->live;
    struct weir_snapshot_id *files = calloc(manifest->file_cnt + UINT64_C(1), sizeof *files);
    if (files == NULL ||
        !weir_store_grow(&live, store->live_cnt, &store->live_room, sizeof *store->live)) {
        free(files);
        return weir_store_blame(store, WEIR_ENOMEM, "the list of manifests");
    }
    store->live = live;
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        files[i] = manifest->files[i].id;
    }
    store->live[store->live_cnt++] = (struct store_live){.checkpoint = manifest->checkpoint,
        .epoch = manifest->epoch,
        .files = files,
        .file_cnt = manifest->file_cnt,
        .on_timeline = true};
    return 0;
}

static struct store_live *
find_live(struct weir_store *store, uint64_t checkpoint, uint64_t epoch)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        if (store->live[i].checkpoint == checkpoint && store->live[i].epoch == epoch) {
            return &store->live[i];
        }
    }
    return NULL;
}

static bool
is_named(const struct weir_store *store, const struct weir_snapshot_id *id)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        const struct store_live *live = &store->live[i];
        for (uint32_t f = 0; f < live->file_cnt && !live->is_dropped; f++) {
            const struct weir_snapshot_id *file = &live->files[f];
            if ((WEIR_MUTANT(CHAIN_FILE_REMOVED) && file->checkpoint != live->checkpoint) ||
                (WEIR_MUTANT(KEPT_FILE_REMOVED) && live->is_aside)) {
                continue;
            }
            if (file->checkpoint == id->checkpoint && file->epoch == id->epoch &&
                file->attempt == id->attempt && file->task == id->task &&
                file->subtask == id->subtask) {
                return true;
            }
        }
    }
    return false;
}

static void
end_part(struct weir_store *store)
{
    weir_relay_end(&store->relay, store->err == WEIR_ENOINPUT ? WEIR_EIO : store->err);
}

/* R6, last: names of older epochs that mean nothing any more. */
static bool
is_old_name(const struct weir_store *store, const struct store_name *name)
{
    if (name->epoch >= store->epoch || name->kind == 'M') {
        return false;
    }
    for (uint32_t i = 0; i < store->live_cnt && name->kind == 'B'; i++) {
        const struct store_live *live = &store->live[i];
        if (!live->is_dropped && live->epoch == name->epoch) {
            return false; /* the walk down the timeline may need it */
        }
    }
    return true;
}

static void
remove_old_names(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        end_part(store);
        return;
    }
    WEIR_KILLPOINT_IF(store->tidy_idx > 0, R6_NAME);
    while (store->tidy_idx < store->name_cnt) {
        const struct store_name *name = &store->names[store->tidy_idx++];
        if (is_old_name(store, name)) {
            (void)snprintf(store->name, sizeof store->name, "%.90s", name->text);
            weir_store_unlink(store, store->manifest_dir, remove_old_names);
            return;
        }
    }
    store->is_surveyed = true;
    weir_relay_end(relay, 0);
}

static void
remove_orphans(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        end_part(store);
        return;
    }
    WEIR_KILLPOINT_IF(store->tidy_idx > 0, R6_ORPHAN);
    if (store->tidy_idx < store->orphan_cnt) {
        char name[WEIR_SNAPSHOT_NAME_BYTES];
        weir_snapshot_name(&store->orphans[store->tidy_idx++], name);
        (void)snprintf(store->name, sizeof store->name, "%.95s", name);
        weir_store_unlink(store, store->data_dir, remove_orphans);
        return;
    }
    store->tidy_idx = 0;
    weir_relay_jump(relay, remove_old_names);
}

static void
note_orphan(struct weir_store *store, const char *name)
{
    struct weir_snapshot_id id;
    uint64_t epoch = store->epoch + WEIR_MUTANT(ORPHAN_TOO_YOUNG);
    if (!weir_snapshot_name_parse(name, &id) || id.epoch >= epoch || is_named(store, &id)) {
        return; /* whose it is is not known, or it is wanted: it stays */
    }
    void *orphans = store->orphans;
    if (weir_store_grow(&orphans, store->orphan_cnt, &store->orphan_room, sizeof id)) {
        store->orphans = orphans;
        store->orphans[store->orphan_cnt++] = id;
    }
}

/* Whether every manifest that there is, or may be after a power cut, is in the list. */
static bool
knows_all(const struct weir_store *store)
{
    return store->unread_cnt == 0 && !store->is_unsure;
}

static void
look_for_orphans(struct weir_store *store)
{
    if (store->is_surveyed || !knows_all(store)) {
        weir_relay_end(&store->relay, 0);
        return;
    }
    store->orphan_cnt = 0;
    store->tidy_idx = 0;
    store->entry = note_orphan;
    weir_store_scan(store, store->data_dir, remove_orphans);
}

/* What is dropped is gone from the list, too. */
static void
forget_dropped(struct weir_store *store)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        if (store->live[i].is_dropped) {
            free(store->live[i].files);
        } else {
            store->live[kept++] = store->live[i];
        }
    }
    store->live_cnt = kept;
}

static void
remove_files(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        forget_dropped(store); /* the files are orphans: the next run's */
        end_part(store);
        return;
    }
    WEIR_KILLPOINT_IF(store->tidy_file_idx > 0, C7_FILE);
    while (store->tidy_idx < store->live_cnt && knows_all(store)) {
        const struct store_live *live = &store->live[store->tidy_idx];
        if (!live->is_dropped || store->tidy_file_idx == live->file_cnt) {
            store->tidy_idx++;
            store->tidy_file_idx = 0;
            continue;
        }
        const struct weir_snapshot_id *id = &live->files[store->tidy_file_idx++];
        if (!is_named(store, id)) {
            char name[WEIR_SNAPSHOT_NAME_BYTES];
            weir_snapshot_name(id, name);
            (void)snprintf(store->name, sizeof store->name, "%.95s", name);
            weir_store_unlink(store, store->data_dir, remove_files);
            return;
        }
    }
    forget_dropped(store);
    look_for_orphans(store);
}

static void
drops_are_durable(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    store->err = WEIR_MUTANT(DROP_UNHEEDED) ? 0 : store->err;
    if (store->err != 0) {
        forget_dropped(store); /* perhaps they are there still: then their files must stay */
        store->is_unsure = true;
        end_part(store);
        return;
    }
    WEIR_KILLPOINT(C7_DURABLE);
    store->tidy_idx = 0;
    store->tidy_file_idx = 0;
    weir_relay_jump(relay, remove_files);
}

static bool
is_unwanted(const struct weir_store *store, const struct store_live *live)
{
    if (live->is_aside) {
        return live->is_released;
    }
    if (!live->on_timeline) {
        return live->epoch < store->epoch;
    }
    uint32_t newer_cnt = 0;
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        const struct store_live *other = &store->live[i];
        bool is_newer = other->on_timeline && other->checkpoint > live->checkpoint;
        newer_cnt += is_newer && !other->is_dropped ? 1 : 0;
    }
    return newer_cnt + WEIR_MUTANT(RETAINED_TOO_FEW) >= store->config.retained_cnt;
}

static void
drop_next(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        store->live[store->tidy_idx - 1].is_dropped = false;
        end_part(store);
        return;
    }
    WEIR_KILLPOINT_IF(store->tidy_unlinked, C7_MANIFEST);
    while (store->tidy_idx < store->live_cnt) {
        struct store_live *live = &store->live[store->tidy_idx++];
        if (!live->is_dropped && is_unwanted(store, live)) {
            live->is_dropped = true;
            store->tidy_unlinked = true;
            (void)snprintf(store->name, sizeof store->name, "%c-%" PRIu64 "-%" PRIu64,
                live->is_aside ? 'S' : 'M', live->checkpoint, live->epoch);
            weir_store_unlink(store, store->manifest_dir, drop_next);
            return;
        }
    }
    if (!store->tidy_unlinked) {
        look_for_orphans(store);
        return;
    }
    if (WEIR_MUTANT(DROP_UNSYNCED)) {
        weir_relay_jump(relay, drops_are_durable);
        return;
    }
    weir_store_sync(store, store->manifest_dir, drops_are_durable);
}

static void
begin_drops(struct weir_store *store)
{
    store->err = 0;
    store->tidy_idx = 0;
    store->tidy_unlinked = false;
    weir_relay_jump(&store->relay, drop_next);
}

/* The timeline, down from the base of this epoch: manifests of walk_epoch below walk_bound are on
 * it. */
static void
mark_epoch(struct weir_store *store)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        struct store_live *live = &store->live[i];
        if (live->epoch == store->walk_epoch && live->checkpoint <= store->walk_bound &&
            !live->is_aside) {
            live->on_timeline = true;
        }
    }
}

static void
older_base_is_read(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    struct store_record record;
    const char *wrong = store->err != 0 ? store->fault
                                        : weir_store_record_check(store->buf, store->got_bytes,
                                              STORE_RECORD_B, store->job, store->walk_epoch);
    store->err = 0;
    store->fault[0] = '\0';
    memcpy(&record, store->buf, sizeof record);
    if (wrong != NULL || record.base_checkpoint == 0 || record.base_epoch >= store->walk_epoch) {
        begin_drops(store); /* nothing older can be reached */
        return;
    }
    store->walk_bound = record.base_checkpoint;
    store->walk_epoch = record.base_epoch;
    mark_epoch(store);
    (void)snprintf(store->name, sizeof store->name, "B-%" PRIu64, store->walk_epoch);
    weir_store_get(store, store->manifest_dir, older_base_is_read);
}

static void
mark_timeline(struct weir_store *store)
{
    for (uint32_t i = 0; i < store->live_cnt; i++) {
        store->live[i].on_timeline =
            store->live[i].epoch == store->epoch && !store->live[i].is_aside;
    }
    if (!store->has_restored) {
        begin_drops(store);
        return;
    }
    store->walk_bound = store->restored.checkpoint;
    store->walk_epoch = store->restored.epoch;
    mark_epoch(store);
    (void)snprintf(store->name, sizeof store->name, "B-%" PRIu64, store->walk_epoch);
    weir_store_get(store, store->manifest_dir, older_base_is_read);
}

static void survey_next(struct weir_relay *relay);

static void
manifest_is_read(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    struct weir_manifest manifest = {0};
    const char *wrong;
    uint64_t off;
    int err = store->err != 0
                  ? store->err
                  : weir_manifest_decode(store->buf, store->got_bytes, &manifest, &wrong, &off);
    if (err != 0 || weir_store_live_add(store, &manifest) != 0) {
        store->unread_cnt += WEIR_MUTANT(UNREAD_PASSED_OVER) ? 0 : 1;
    }
    weir_manifest_fini(&manifest);
    store->err = 0;
    store->fault[0] = '\0';
    survey_next(relay);
}

static void
survey_next(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    while (store->tidy_idx < store->name_cnt) {
        const struct store_name *name = &store->names[store->tidy_idx++];
        if (name->kind == 'M' && find_live(store, name->checkpoint, name->epoch) == NULL) {
            (void)snprintf(store->name, sizeof store->name, "%.90s", name->text);
            weir_store_get(store, store->manifest_dir, manifest_is_read);
            return;
        }
    }
    mark_timeline(store);
}

static void
names_are_known(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->err != 0) {
        end_part(store);
        return;
    }
    if (weir_store_is_fenced(store)) {
        weir_relay_end(relay, 0); /* the newer run's to tidy; the next commit says so */
        return;
    }
    store->tidy_idx = 0;
    store->unread_cnt = 0; /* those that could not be read are asked for again */
    survey_next(relay);
}

void
weir_store_tidy_step(struct weir_relay *relay)
{
    struct weir_store *store = store_of(relay);
    if (store->is_surveyed) {
        begin_drops(store);
        return;
    }
    weir_store_rescan(store, names_are_known);
}
