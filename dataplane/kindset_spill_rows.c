/* SPDX-License-Identifier: Apache-2.0 */
/* Keys on disk, read for a savepoint. */
#include "dataplane/kindset_spill_rows.h"

#include <stdlib.h>

#include "dataplane/kindset_priv.h"
#include "dataplane/kindset_spill_priv.h"

struct weir_spill_disk {
    const char *uid;
    struct weir_kv_view **view; /* [cnt]: those of different subtasks */
    uint32_t cnt;
    struct weir_kv_view *at; /* the one that has the key group; NULL: none */
    struct weir_spill_ask ask;
};

bool
weir_spill_can(const struct weir_operator *op)
{
    const struct weir_state_owner owner = {op->uid, op->type, op->conf};
    return weir_state_desc_of(&owner, weir_state_id(op->uid, WEIR_SPILL_STATE)) != NULL;
}

int
weir_spill_disk_open(const char *uid, struct weir_spill_disk **ret_disk)
{
    struct weir_spill_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        return weir_err_push(WEIR_ENOMEM, "state on disk");
    }
    disk->uid = uid;
    *ret_disk = disk;
    return 0;
}

int
weir_spill_disk_add(struct weir_spill_disk *disk, const char *path)
{
    struct weir_kv_view **view = realloc(disk->view, (disk->cnt + (size_t)1) * sizeof(void *));
    if (view == NULL) {
        return weir_err_push(WEIR_ENOMEM, "state on disk");
    }
    disk->view = view;
    int err = weir_kv_view_open(path, &view[disk->cnt]);
    disk->cnt += err == 0;
    return err < 0 ? weir_err_push(err, "the state store of operator %s", disk->uid) : 0;
}

void
weir_spill_disk_close(struct weir_spill_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (uint32_t i = 0; i < disk->cnt; i++) {
        weir_kv_view_close(disk->view[i]);
    }
    free(disk->view);
    free(disk);
}

/* The key at which a view stands: whether it is of the key group. */
static bool
key_of(const struct weir_spill_disk *disk, const struct weir_kv_view *view,
    struct weir_spill_entry *ret_entry)
{
    struct weir_kv_bytes key = weir_kv_view_key(view);
    uint64_t hash = 0;
    if (key.bytes < sizeof hash) {
        return false;
    }
    memcpy(&hash, key.ptr, sizeof hash);
    ret_entry->hash = __builtin_bswap64(hash);
    ret_entry->key =
        (struct weir_kv_bytes){(const char *)key.ptr + sizeof hash, key.bytes - sizeof hash};
    return weir_hash_key_group(ret_entry->hash, disk->ask.max_parallelism) == disk->ask.key_group;
}

/* Whether the table has the key, as it is in the store. */
static bool
is_here(const struct weir_table *here, const struct weir_spill_entry *entry)
{
    uint64_t word[WEIR_KEY_TEXT_WORD_CNT] = {0};
    if (here == NULL) {
        return false;
    }
    if (here->spec.key_kind == WEIR_KEY_STR) {
        const struct weir_slice text = {entry->key.ptr, (uint32_t)entry->key.bytes};
        const struct weir_key_text key = weir_key_text_of(text.ptr, text, entry->hash);
        memcpy(word, &key, sizeof key);
    } else {
        memcpy(word, entry->key.ptr, weir_min_u64(entry->key.bytes, sizeof word));
    }
    return weir_table_find(here, entry->hash, word, entry->key.ptr) != NULL;
}

/* From the key at which the view stands (got: what moving there answered) to one that is looked
 * for. */
static int
find(struct weir_spill_disk *disk, int got, struct weir_spill_entry *ret_entry)
{
    while (got > 0 && key_of(disk, disk->at, ret_entry)) {
        if (!is_here(disk->ask.here, ret_entry)) {
            int err = weir_spill_record_find(
                disk->uid, weir_kv_view_val(disk->at), disk->ask.state_id, &ret_entry->state);
            if (err < 0 || ret_entry->state.ptr != NULL) {
                return err < 0 ? err : 1;
            }
        }
        got = weir_kv_view_next(disk->at);
    }
    return got < 0 ? got : 0;
}

int
weir_spill_disk_seek(struct weir_spill_disk *disk, const struct weir_spill_ask *ask,
    struct weir_spill_entry *ret_entry)
{
    /* The upper halves of its hashes begin at key_group * 2^32 / max_parallelism. */
    uint64_t first = ((uint64_t)ask->key_group << 32) + ask->max_parallelism - 1;
    disk->ask = *ask;
    disk->at = NULL;
    for (uint32_t i = 0; i < disk->cnt; i++) {
        int got = weir_kv_view_seek(disk->view[i], first / ask->max_parallelism << 32);
        if (got < 0) {
            return got;
        }
        if (got == 0 || !key_of(disk, disk->view[i], ret_entry)) {
            continue;
        }
        if (disk->at != NULL) {
            return weir_err_push(WEIR_ECHECKPOINT,
                "operator %s: two state stores have key group %u", disk->uid, ask->key_group);
        }
        disk->at = disk->view[i];
    }
    return disk->at != NULL ? find(disk, 1, ret_entry) : 0;
}

int
weir_spill_disk_next(struct weir_spill_disk *disk, struct weir_spill_entry *ret_entry)
{
    return find(disk, weir_kv_view_next(disk->at), ret_entry);
}

int
weir_spill_disk_row(const struct weir_spill_disk *disk, struct weir_kv_bytes *rest,
    struct weir_state_room *room, struct weir_state_row *ret_row)
{
    struct weir_spill_item item = {0};
    int got = weir_spill_item_next(disk->uid, rest, &item);
    if (got > 0) {
        ret_row->word[0] = item.time;
        got = weir_kind_row_make(room, item.key, item.val, ret_row);
    }
    return got;
}
