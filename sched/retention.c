/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"

enum entry_state {
    ENTRY_FREE,
    ENTRY_PREPARED,
    ENTRY_CONFIRMED,
    ENTRY_GOING, /* to be named by poll */
    ENTRY_UNLINKING, /* named; the answer is due */
};

struct entry {
    uint64_t id;
    uint64_t epoch;
    enum weir_retention_owner owner;
    enum entry_state state;
    bool is_committed;
};

enum row_state {
    ROW_FREE,
    ROW_LIVE,
    ROW_GOING, /* to be named by poll; not in its chain any more */
};

#define ROW_NONE UINT32_MAX

struct row {
    char key[WEIR_RETENTION_NAME_BYTES];
    char name[WEIR_RETENTION_NAME_BYTES];
    uint64_t first_id;
    uint64_t last_id;
    uint64_t prepared_id; /* who uses it too once it is confirmed; 0: nobody */
    enum row_state state;
    bool is_theirs; /* of an unclaimed savepoint: never named */
    uint32_t next; /* of its bucket, or of the free ones */
};

struct weir_retention {
    struct weir_retention_conf conf;
    struct entry *entry; /* not in order */
    uint32_t entry_max;
    struct row *row;
    uint32_t *bucket;
    uint32_t bucket_mask;
    uint32_t free_row;
    uint32_t free_cnt;
    uint64_t pin_id; /* those from it on stay; 0: none */
    uint32_t newer_min; /* a checkpoint goes when so many newer ones are there */
    bool is_frozen;
};

int
weir_retention_new(const struct weir_retention_conf *conf, struct weir_retention **ret_retention)
{
    if (conf->retained == 0 || conf->retained > WEIR_RETENTION_RETAINED_MAX ||
        conf->file_max == 0 || conf->file_max > UINT32_MAX / 4) {
        return weir_err_push(
            WEIR_EINVAL, "retention of %u checkpoints, %u files", conf->retained, conf->file_max);
    }
    uint32_t bucket_cnt = 1;
    while (bucket_cnt < conf->file_max) {
        bucket_cnt *= 2;
    }
    struct weir_retention *retention = calloc(1, sizeof *retention);
    if (retention != NULL) {
        retention->conf = *conf;
        retention->newer_min = conf->retained;
        retention->entry_max = conf->retained + WEIR_RETENTION_SLACK_CNT;
        retention->entry = calloc(retention->entry_max, sizeof retention->entry[0]);
        retention->row = calloc(conf->file_max, sizeof retention->row[0]);
        retention->bucket = calloc(bucket_cnt, sizeof retention->bucket[0]);
        retention->bucket_mask = bucket_cnt - 1;
    }
    if (retention == NULL || retention->entry == NULL || retention->row == NULL ||
        retention->bucket == NULL) {
        weir_retention_close(retention);
        return weir_err_push(WEIR_ENOMEM, "the list of %u checkpoint files", conf->file_max);
    }
    memset(retention->bucket, 0xff, bucket_cnt * sizeof retention->bucket[0]);
    for (uint32_t i = 0; i < conf->file_max; i++) {
        retention->row[i].next = i + 1 < conf->file_max ? i + 1 : ROW_NONE;
    }
    retention->free_cnt = conf->file_max;
    *ret_retention = retention;
    return 0;
}

void
weir_retention_close(struct weir_retention *retention)
{
    if (retention != NULL) {
        free(retention->entry);
        free(retention->row);
        free(retention->bucket);
        free(retention);
    }
}

static uint32_t *
bucket_of(const struct weir_retention *retention, const char *key)
{
    return &retention->bucket[weir_hash_bytes(key, strlen(key)) & retention->bucket_mask];
}

static struct row *
row_find(const struct weir_retention *retention, const char *key)
{
    for (uint32_t i = *bucket_of(retention, key); i != ROW_NONE; i = retention->row[i].next) {
        if (strcmp(retention->row[i].key, key) == 0) {
            return &retention->row[i];
        }
    }
    return NULL;
}

/* A row of its own, not in any chain; room was checked. */
static struct row *
row_take(struct weir_retention *retention, const char *key, const char *name, uint64_t id)
{
    struct row *row = &retention->row[retention->free_row];
    WEIR_CHECK(retention->free_cnt > 0 && row->state == ROW_FREE, "no room for a file");
    retention->free_row = row->next;
    retention->free_cnt--;
    *row = (struct row){.first_id = id, .last_id = id};
    (void)snprintf(row->key, sizeof row->key, "%s", key);
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static void
row_give(struct weir_retention *retention, struct row *row)
{
    row->state = ROW_FREE;
    row->next = retention->free_row;
    retention->free_row = (uint32_t)(row - retention->row);
    retention->free_cnt++;
}

static void
row_unchain(struct weir_retention *retention, const struct row *row)
{
    uint32_t *at = bucket_of(retention, row->key);
    while (*at != (uint32_t)(row - retention->row)) {
        WEIR_CHECK(*at != ROW_NONE, "file %s is in no chain", row->key);
        at = &retention->row[*at].next;
    }
    *at = row->next;
}

static const char *
key_of(const struct weir_retention_file *file)
{
    return file->key != NULL && file->key[0] != '\0' ? file->key : file->name;
}

/* Before anything is changed. */
static int
files_check(
    const struct weir_retention *retention, const struct weir_retention_checkpoint *checkpoint)
{
    uint32_t named_cnt = 0;
    for (uint32_t i = 0; i < checkpoint->file_cnt; i++) {
        const struct weir_retention_file *file = &checkpoint->file[i];
        const char *key = key_of(file);
        if (key == NULL || strlen(key) >= WEIR_RETENTION_NAME_BYTES ||
            (file->name != NULL && strlen(file->name) >= WEIR_RETENTION_NAME_BYTES)) {
            return weir_err_push(WEIR_EINVAL,
                "file %u of checkpoint %" PRIu64 " has no name, or "
                "one of more than %d bytes",
                i, checkpoint->id, WEIR_RETENTION_NAME_BYTES - 1);
        }
        if (file->name == NULL && row_find(retention, key) == NULL) {
            return weir_err_push(WEIR_EFORMAT,
                "checkpoint %" PRIu64 " uses file %s again, which no checkpoint has",
                checkpoint->id, key);
        }
        named_cnt += file->name != NULL ? 1 : 0;
    }
    if (named_cnt > retention->free_cnt) {
        return weir_err_push(WEIR_EBUDGET,
            "checkpoint %" PRIu64 " has %u new files, and there is "
            "room for %u of %u",
            checkpoint->id, named_cnt, retention->free_cnt, retention->conf.file_max);
    }
    return 0;
}

static void
file_enter(struct weir_retention *retention, const struct weir_retention_checkpoint *checkpoint,
    struct weir_retention_file *file)
{
    const char *key = key_of(file);
    struct row *row = row_find(retention, key);
    if (row == NULL) {
        row = row_take(retention, key, file->name, checkpoint->id);
        row->state = ROW_LIVE;
        row->is_theirs = checkpoint->owner == WEIR_RETENTION_UNCLAIMED;
        uint32_t *bucket = bucket_of(retention, key);
        row->next = *bucket;
        *bucket = (uint32_t)(row - retention->row);
    } else if (file->name != NULL && strcmp(file->name, row->name) != 0) {
        /* The older name may stand in a manifest; the copy stands in none, and never will. */
        row_take(retention, file->name, file->name, checkpoint->id)->state = ROW_GOING;
    }
    row->prepared_id = checkpoint->id;
    (void)snprintf(file->resolved, sizeof file->resolved, "%s", row->name);
}

static struct entry *
entry_find(const struct weir_retention *retention, uint64_t id)
{
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        if (retention->entry[i].state != ENTRY_FREE && retention->entry[i].id == id) {
            return &retention->entry[i];
        }
    }
    return NULL;
}

int
weir_retention_prepare(
    struct weir_retention *retention, struct weir_retention_checkpoint *checkpoint)
{
    struct entry *entry = NULL;
    int err = files_check(retention, checkpoint);
    if (err != 0) {
        return err;
    }
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        struct entry *other = &retention->entry[i];
        WEIR_CHECK(other->state != ENTRY_PREPARED, "checkpoint %" PRIu64 " beside %" PRIu64,
            checkpoint->id, other->id);
        WEIR_CHECK(other->state == ENTRY_FREE || other->id < checkpoint->id,
            "checkpoint %" PRIu64 " after %" PRIu64, checkpoint->id, other->id);
        entry = other->state == ENTRY_FREE ? other : entry;
    }
    if (entry == NULL) {
        return weir_err_push(
            WEIR_EBUDGET, "%u checkpoints are there already", retention->entry_max);
    }
    *entry =
        (struct entry){checkpoint->id, checkpoint->epoch, checkpoint->owner, ENTRY_PREPARED, 0};
    for (uint32_t i = 0; i < checkpoint->file_cnt; i++) {
        file_enter(retention, checkpoint, &checkpoint->file[i]);
    }
    return 0;
}

/* A checkpoint that is there lies between the first and the last that used the file. */
static bool
is_used(const struct weir_retention *retention, const struct row *row, uint64_t above_id)
{
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        const struct entry *entry = &retention->entry[i];
        if (entry->state != ENTRY_FREE && entry->id > above_id && entry->id >= row->first_id &&
            (entry->id <= row->last_id || row->prepared_id == entry->id)) {
            return true;
        }
    }
    return false;
}

static void
files_check_use(struct weir_retention *retention)
{
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        struct row *row = &retention->row[i];
        if (row->state != ROW_LIVE || is_used(retention, row, 0)) {
            continue;
        }
        row_unchain(retention, row);
        if (row->is_theirs) {
            row_give(retention, row);
        } else {
            row->state = ROW_GOING;
        }
    }
}

/* One of its files is used by a later checkpoint that is there. */
static bool
is_needed_later(const struct weir_retention *retention, const struct entry *entry)
{
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        const struct row *row = &retention->row[i];
        if (row->state == ROW_LIVE && row->first_id == entry->id &&
            is_used(retention, row, entry->id)) {
            return true;
        }
    }
    return false;
}

static uint32_t
newer_cnt(const struct weir_retention *retention, uint64_t id)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        const struct entry *entry = &retention->entry[i];
        cnt += entry->state == ENTRY_CONFIRMED && entry->id > id ? 1 : 0;
    }
    return cnt;
}

/* C7: mark what N newer ones have made superfluous. */
static void
retire(struct weir_retention *retention)
{
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        struct entry *entry = &retention->entry[i];
        if (entry->state != ENTRY_CONFIRMED || !entry->is_committed ||
            newer_cnt(retention, entry->id) < retention->newer_min ||
            (retention->pin_id != 0 && entry->id >= retention->pin_id)) {
            continue;
        }
        if (entry->owner == WEIR_RETENTION_UNCLAIMED) {
            entry->state = ENTRY_FREE;
        } else if (entry->owner != WEIR_RETENTION_CLAIMED || !is_needed_later(retention, entry)) {
            entry->state = ENTRY_GOING;
        }
    }
    files_check_use(retention);
}

void
weir_retention_confirm(struct weir_retention *retention, uint64_t id)
{
    struct entry *entry = entry_find(retention, id);
    WEIR_CHECK(entry != NULL && entry->state == ENTRY_PREPARED,
        "checkpoint %" PRIu64 " was not prepared", id);
    entry->state = ENTRY_CONFIRMED;
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        struct row *row = &retention->row[i];
        if (row->state == ROW_LIVE && row->prepared_id == id) {
            row->last_id = id;
            row->prepared_id = 0;
        }
    }
    retire(retention);
}

void
weir_retention_discard(struct weir_retention *retention, uint64_t id)
{
    struct entry *entry = entry_find(retention, id);
    WEIR_CHECK(entry != NULL && entry->state == ENTRY_PREPARED,
        "checkpoint %" PRIu64 " was not prepared", id);
    entry->state = ENTRY_FREE;
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        if (retention->row[i].prepared_id == id) {
            retention->row[i].prepared_id = 0;
        }
    }
    files_check_use(retention);
}

void
weir_retention_keep(struct weir_retention *retention, uint64_t id)
{
    const struct entry *entry = entry_find(retention, id);
    WEIR_CHECK(entry != NULL && entry->state == ENTRY_PREPARED,
        "checkpoint %" PRIu64 " was not prepared", id);
    retention->is_frozen = true;
}

int
weir_retention_restore(
    struct weir_retention *retention, struct weir_retention_checkpoint *checkpoint)
{
    if (checkpoint->corrupt != NULL) {
        return weir_err_push(
            WEIR_EFORMAT, "checkpoint %" PRIu64 ": %s", checkpoint->id, checkpoint->corrupt);
    }
    int err = weir_retention_prepare(retention, checkpoint);
    if (err == 0) {
        weir_retention_confirm(retention, checkpoint->id);
        weir_retention_committed(retention, checkpoint->id);
    }
    return err;
}

void
weir_retention_committed(struct weir_retention *retention, uint64_t id)
{
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        struct entry *entry = &retention->entry[i];
        if (entry->state == ENTRY_CONFIRMED && entry->id <= id) {
            entry->is_committed = true;
        }
    }
    retire(retention);
}

void
weir_retention_pin(struct weir_retention *retention, uint64_t id)
{
    retention->pin_id = id;
    retire(retention);
}

bool
weir_retention_poll(struct weir_retention *retention, struct weir_retention_out *ret_out)
{
    if (retention->is_frozen) {
        return false;
    }
    struct entry *oldest = NULL;
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        struct entry *entry = &retention->entry[i];
        if (entry->state == ENTRY_GOING && (oldest == NULL || entry->id < oldest->id)) {
            oldest = entry;
        }
    }
    if (oldest != NULL) {
        oldest->state = ENTRY_UNLINKING;
        *ret_out = (struct weir_retention_out){
            .kind = WEIR_RETENTION_MANIFEST, .id = oldest->id, .epoch = oldest->epoch};
        return true;
    }
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        struct row *row = &retention->row[i];
        if (row->state == ROW_GOING) {
            *ret_out =
                (struct weir_retention_out){.kind = WEIR_RETENTION_FILE, .id = row->first_id};
            memcpy(ret_out->name, row->name, sizeof ret_out->name);
            row_give(retention, row);
            return true;
        }
    }
    return false;
}

void
weir_retention_unlinked(struct weir_retention *retention, uint64_t id, bool is_gone)
{
    struct entry *entry = entry_find(retention, id);
    WEIR_CHECK(entry != NULL && entry->state == ENTRY_UNLINKING,
        "the manifest of checkpoint %" PRIu64 " was not to be deleted", id);
    entry->state = is_gone ? ENTRY_FREE : ENTRY_CONFIRMED;
    if (is_gone) {
        /* A claimed savepoint may have waited for it. */
        retire(retention);
    }
}

void
weir_retention_end(struct weir_retention *retention, bool is_terminal)
{
    if (is_terminal) {
        retention->newer_min = 0;
        retire(retention);
    }
}

uint32_t
weir_retention_cnt(const struct weir_retention *retention)
{
    return newer_cnt(retention, 0);
}

uint32_t
weir_retention_file_cnt(const struct weir_retention *retention)
{
    return retention->conf.file_max - retention->free_cnt;
}

uint64_t
weir_retention_id(const struct weir_retention *retention, uint32_t idx)
{
    for (uint32_t i = 0; i < retention->entry_max; i++) {
        const struct entry *entry = &retention->entry[i];
        if (entry->state == ENTRY_CONFIRMED &&
            newer_cnt(retention, entry->id) + idx + 1 == newer_cnt(retention, 0)) {
            return entry->id;
        }
    }
    return 0;
}

bool
weir_retention_has_name(const struct weir_retention *retention, const char *name)
{
    for (uint32_t i = 0; i < retention->conf.file_max; i++) {
        if (retention->row[i].state == ROW_LIVE && strcmp(retention->row[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool
weir_retention_is_garbage(
    const struct weir_retention_found *found, uint64_t epoch, int64_t age_min_ns)
{
    if (found->is_referenced) {
        return false;
    }
    /* What has no owner may be of a run that we do not know yet: only age speaks for it. */
    return found->has_owner ? found->epoch < epoch : found->age_ns >= age_min_ns;
}
