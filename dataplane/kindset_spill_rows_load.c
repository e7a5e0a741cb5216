/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a savepoint into records on disk. A savepoint has a key group state by state, a record
 * has all states of a key: those of the first state are written as they come, those of others are
 * put behind what is there, which is read for it, many keys at once. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/kindset_priv.h"
#include "dataplane/kindset_spill_priv.h"
#include "dataplane/kindset_spill_rows.h"

/* Keys that are gathered for one exchange, and their bytes. */
#define PENDING_CNT 1024
#define PENDING_BYTES WEIR_MIB
/* Beyond them, keys of the hash of the last one: whether one comes twice is seen beside it. */
#define PENDING_MORE_CNT 16

/* Of a key: its states in the room of all. */
struct pending {
    uint64_t key_off;
    uint64_t state_off;
    uint32_t key_bytes;
    uint32_t state_bytes;
};

struct weir_spill_load {
    const char *uid;
    uint32_t key_kind;
    struct weir_kv *kv;
    char store[WEIR_SPILL_PATH_BYTES];
    char loaded[WEIR_SPILL_PATH_BYTES];
    bool is_whole;
    /* the keys that are gathered: all of one state and key group */
    struct weir_state_room room;
    uint64_t bytes;
    struct pending pending[PENDING_CNT + PENDING_MORE_CNT];
    uint32_t cnt;
    const struct weir_state_desc *desc; /* of them; NULL: there was none yet */
    uint32_t key_group;
    uint32_t group_end; /* key groups from here on have nothing yet */
    bool is_first; /* this state is the first of its key group */
    uint64_t hash; /* of the last key */
    struct weir_state_room record;
};

/* ---- open and close ---- */

static int
settle(struct weir_spill_load *load)
{
    int err;
    do {
        err = weir_kv_poll(load->kv);
    } while (err == WEIR_KV_BUSY); /* inline: a few polls */
    return err;
}

static int
exchange(struct weir_spill_load *load)
{
    weir_kv_go(load->kv);
    return settle(load);
}

/* The table of the keys that are here says that there is more, in a store of its own. */
static int
mark(const struct weir_operator *op, uint32_t key_kind)
{
    const struct weir_table_spec spec = {0, key_kind, sizeof(uint64_t), 0};
    struct weir_table *here;
    int err = weir_state_take(op, WEIR_SPILL_STATE, &spec, 0, &here);
    if (err == 0) {
        weir_table_owner_set(here, WEIR_SPILL_OWNER_LOADED);
    }
    return err;
}

int
weir_spill_load_open(
    const struct weir_operator *op, uint32_t key_kind, struct weir_spill_load **ret_load)
{
    struct weir_spill_load *load = calloc(1, sizeof *load);
    char *root = NULL;
    if (load == NULL) {
        return weir_err_push(WEIR_ENOMEM, "restoring state to disk");
    }
    load->uid = op->uid;
    load->key_kind = key_kind;
    int err = weir_spill_root(op, &root);
    if (err == 0) {
        (void)snprintf(load->store, sizeof load->store, "%s" WEIR_SPILL_LOAD, root);
        (void)snprintf(load->loaded, sizeof load->loaded, "%s" WEIR_SPILL_LOADED, root);
        const struct weir_kv_conf conf = {
            .dir = load->store, .last = UINT64_MAX, .is_inline = true, .seed = 1};
        err = weir_kv_remove(load->loaded);
        err = err < 0 ? err : weir_kv_open(&conf, &load->kv);
    }
    err = err < 0 ? err : settle(load);
    err = err < 0 ? err : mark(op, key_kind);
    free(root);
    if (err < 0) {
        weir_spill_load_close(load);
        return err;
    }
    *ret_load = load;
    return 0;
}

void
weir_spill_load_close(struct weir_spill_load *load)
{
    if (load == NULL) {
        return;
    }
    weir_kv_close(load->kv);
    if (!load->is_whole && load->kv != NULL && weir_kv_remove(load->loaded) < 0) {
        weir_err_clear(); /* the next start removes it */
    }
    free(load->room.mem);
    free(load->record.mem);
    free(load);
}

/* ---- what is gathered ---- */

static int
put(struct weir_spill_load *load, const void *data, uint64_t bytes)
{
    char *mem = weir_state_room_for(&load->room, load->bytes + bytes);
    if (mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the states of a key");
    }
    if (bytes > 0) {
        memcpy(mem + load->bytes, data, bytes);
    }
    load->bytes += bytes;
    return 0;
}

static struct weir_kv_bytes
key_at(const struct weir_spill_load *load, const struct pending *pending)
{
    return (struct weir_kv_bytes){load->room.mem + pending->key_off, pending->key_bytes};
}

/* Records of the keys, their bytes one behind the other in the room of records: that of key i, of
 * which `before` is there already, has bytes[i]. */
static int
make_records(struct weir_spill_load *load, uint64_t *bytes)
{
    const uint32_t version = WEIR_SPILL_VERSION;
    uint64_t at = 0;
    for (uint32_t i = 0; i < load->cnt; i++) {
        const struct pending *pending = &load->pending[i];
        struct weir_kv_bytes before = {NULL, 0};
        if (!load->is_first) {
            before = weir_kv_result(load->kv, i);
        }
        if (before.ptr == NULL) {
            before = (struct weir_kv_bytes){&version, sizeof version};
        }
        bytes[i] = before.bytes + pending->state_bytes;
        char *mem = weir_state_room_for(&load->record, at + bytes[i]);
        if (mem == NULL) {
            return weir_err_push(WEIR_ENOMEM, "the states of a key");
        }
        memcpy(mem + at, before.ptr, before.bytes);
        memcpy(mem + at + before.bytes, load->room.mem + pending->state_off, pending->state_bytes);
        at += bytes[i];
    }
    return 0;
}

static int
flush(struct weir_spill_load *load)
{
    uint64_t bytes[PENDING_CNT + PENDING_MORE_CNT];
    int err = 0;
    if (load->cnt == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < load->cnt && !load->is_first; i++) {
        weir_kv_get(load->kv, key_at(load, &load->pending[i]));
    }
    err = load->is_first ? 0 : exchange(load);
    err = err < 0 ? err : make_records(load, bytes);
    for (uint64_t i = 0, at = 0; i < load->cnt && err == 0; i++) {
        const struct weir_kv_bytes record = {load->record.mem + at, bytes[i]};
        weir_kv_put(load->kv, key_at(load, &load->pending[i]), record);
        at += bytes[i];
    }
    load->cnt = 0;
    load->bytes = 0;
    return err < 0 ? err : exchange(load);
}

/* ---- rows ---- */

static int
key_put(struct weir_spill_load *load, const struct weir_spill_key *key, struct pending *pending)
{
    uint64_t hash = __builtin_bswap64(key->hash);
    struct weir_slice text = {(const char *)key->word, load->key_kind == WEIR_KEY_8 ? 8 : 16};
    if (load->key_kind == WEIR_KEY_STR) {
        text =
            weir_key_text_slice((const struct weir_key_text *)(const void *)key->word, key->heap);
    }
    pending->key_off = load->bytes;
    pending->key_bytes = (uint32_t)sizeof hash + text.bytes;
    int err = put(load, &hash, sizeof hash);
    return err < 0 ? err : put(load, text.ptr, text.bytes);
}

/* Whether the newest key is the one before it. */
static bool
is_twice(const struct weir_spill_load *load)
{
    const struct pending *now = &load->pending[load->cnt];
    const struct pending *last = now - 1;
    return load->cnt > 0 && now->key_bytes == last->key_bytes &&
           memcmp(load->room.mem + now->key_off, load->room.mem + last->key_off, now->key_bytes) ==
               0;
}

/* A state of a key group begins. */
static int
begin(struct weir_spill_load *load, const struct weir_state_desc *desc, uint32_t key_group)
{
    int err = flush(load);
    load->is_first = key_group >= load->group_end;
    load->group_end = load->is_first ? key_group + 1 : load->group_end;
    load->desc = desc;
    load->key_group = key_group;
    load->hash = 0;
    return err;
}

int
weir_spill_load_key(struct weir_spill_load *load, const struct weir_state_desc *desc,
    const struct weir_spill_key *key)
{
    int err = 0;
    if (load->desc != desc || load->key_group != key->key_group) {
        err = begin(load, desc, key->key_group);
    } else if ((load->cnt >= PENDING_CNT || load->bytes >= PENDING_BYTES) &&
               (key->hash != load->hash || load->cnt == PENDING_CNT + PENDING_MORE_CNT)) {
        err = flush(load);
    }
    struct pending *pending = &load->pending[load->cnt];
    err = err < 0 ? err : key_put(load, key, pending);
    if (err == 0 && (key->hash < load->hash || is_twice(load))) {
        err = weir_err_push(WEIR_EDATA, "state %s of operator %s, key group %u: %s", desc->name,
            load->uid, key->key_group,
            key->hash < load->hash ? "keys are not in their order" : "a key stands there twice");
    }
    const struct weir_spill_state_head head = {weir_state_id(load->uid, desc->name), 0};
    pending->state_off = load->bytes;
    pending->state_bytes = sizeof head;
    err = err < 0 ? err : put(load, &head, sizeof head);
    load->hash = key->hash;
    load->cnt += err == 0;
    return err;
}

/* More of the state of the newest key. */
static int
state_put(struct weir_spill_load *load, const void *data, uint64_t bytes)
{
    struct pending *pending = &load->pending[load->cnt - 1];
    struct weir_spill_state_head head;
    int err = (uint64_t)pending->state_bytes + bytes <= UINT32_MAX
                  ? put(load, data, bytes)
                  : weir_err_push(WEIR_EDATA, "the list or map of one key has over 4 GiB");
    if (err == 0) {
        char *at = load->room.mem + pending->state_off;
        pending->state_bytes += (uint32_t)bytes;
        memcpy(&head, at, sizeof head);
        head.bytes += (uint32_t)bytes;
        memcpy(at, &head, sizeof head);
    }
    return err;
}

int
weir_spill_load_value(struct weir_spill_load *load, const void *val, uint32_t bytes)
{
    return state_put(load, val, bytes);
}

int
weir_spill_load_row(struct weir_spill_load *load, const struct weir_state_desc *desc,
    const struct weir_state_row *row)
{
    struct weir_slice key;
    struct weir_slice val;
    int err = weir_kind_row_take(desc, row, &key, &val);
    const struct weir_spill_item_head head = {row->word[0], key.bytes, val.bytes};
    err = err < 0 ? err : state_put(load, &head, sizeof head);
    err = err < 0 ? err : state_put(load, key.ptr, key.bytes);
    return err < 0 ? err : state_put(load, val.ptr, val.bytes);
}

int
weir_spill_load_end(struct weir_spill_load *load)
{
    int err = flush(load);
    if (err == 0) {
        weir_kv_checkpoint(load->kv, load->loaded);
        err = exchange(load);
    }
    err = err < 0 ? err : weir_kv_checkpoint_error(load->kv);
    load->is_whole = err == 0;
    return err;
}
