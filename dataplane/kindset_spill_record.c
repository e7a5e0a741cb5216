/* SPDX-License-Identifier: Apache-2.0 */
/* Records: all that a key has, as bytes. They are read as if anybody had written them. */
#include <stdlib.h>

#include "dataplane/kindset_priv.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/kindset_spill_priv.h"

#define BUF_BYTES_LEAST 1024

/* ---- making ---- */

static int
put(struct weir_spill *spill, const void *data, uint64_t bytes)
{
    if (spill->buf_cap - spill->buf_bytes < bytes) {
        uint64_t cap = spill->buf_cap * 2 + bytes + BUF_BYTES_LEAST;
        char *buf = realloc(spill->buf, cap);
        if (buf == NULL) {
            return weir_err_push(
                WEIR_ENOMEM, "%llu bytes of the states of a key", (unsigned long long)cap);
        }
        spill->buf = buf;
        spill->buf_cap = cap;
    }
    if (bytes > 0) {
        memcpy(spill->buf + spill->buf_bytes, data, bytes);
    }
    spill->buf_bytes += bytes;
    return 0;
}

static int
put_state(struct weir_spill *spill, uint32_t id, const void *data, uint64_t bytes)
{
    const struct weir_spill_state_head head = {id, (uint32_t)bytes};
    int err = put(spill, &head, sizeof head);
    return err < 0 ? err : put(spill, data, bytes);
}

static int
put_item(struct weir_spill *spill, int64_t time, struct weir_slice key, struct weir_slice val)
{
    const struct weir_spill_item_head head = {time, key.bytes, val.bytes};
    int err = put(spill, &head, sizeof head);
    err = err < 0 ? err : put(spill, key.ptr, key.bytes);
    return err < 0 ? err : put(spill, val.ptr, val.bytes);
}

static int
put_chain(struct weir_spill *spill, struct weir_keyed_state *s, const struct kind_head *head)
{
    int err = 0;
    for (uint32_t ref = head->first; ref != 0 && err == 0; ref = kind_item_at(s, ref)->next) {
        struct kind_item *item = kind_item_at(s, ref);
        err = put_item(spill, item->time, weir_bytes(item->bytes, item->key_bytes),
            weir_bytes(kind_item_val(item), item->val_bytes));
    }
    return err;
}

static int
put_numbers(struct weir_spill *spill, const struct weir_keyed_state *s, const void *entry)
{
    struct weir_state_room room = {NULL, 0};
    struct weir_slice key;
    struct weir_slice val;
    int err = weir_kind_numbers_gather(s->kind, s->set->arena, entry, &room);
    for (uint64_t i = 0; err == 0 && weir_kind_numbers_at(s->kind, &room, i, &key, &val); i++) {
        err = put_item(spill, 0, key, val);
    }
    free(room.mem);
    return err;
}

static int
put_items(struct weir_spill *spill, struct weir_keyed_state *s, const void *entry)
{
    uint64_t at = spill->buf_bytes;
    struct weir_spill_state_head state = {s->table->spec.state_id, 0};
    int err = put(spill, &state, sizeof state);
    if (err == 0) {
        err = s->kind->type == WEIR_KIND_TYPE_NUMBERS ? put_numbers(spill, s, entry)
                                                      : put_chain(spill, s, entry);
    }
    if (err == 0 && spill->buf_bytes - at > UINT32_MAX) {
        err = weir_err_push(WEIR_EDATA, "state %s: the list or map of one key has %llu bytes",
            s->kind->desc[0].name, (unsigned long long)(spill->buf_bytes - at));
    }
    if (err == 0) {
        state.bytes = (uint32_t)(spill->buf_bytes - at - sizeof state);
        memcpy(spill->buf + at, &state, sizeof state);
    }
    return err;
}

static void *
plain_of(const struct weir_spill *spill)
{
    const struct weir_kindset *set = spill->set;
    return spill->plain != NULL ? weir_table_find(spill->plain, set->hash, set->key, set->heap)
                                : NULL;
}

int
weir_spill_record_make(struct weir_spill *spill)
{
    const uint32_t version = WEIR_SPILL_VERSION;
    spill->buf_bytes = 0;
    int err = put(spill, &version, sizeof version);
    const void *plain = plain_of(spill);
    if (err == 0 && plain != NULL) {
        err = put_state(spill, spill->plain_id, plain, spill->plain->spec.val_bytes);
    }
    for (uint32_t i = 0; i < spill->set->cnt && err == 0; i++) {
        struct weir_keyed_state *s = &spill->set->state[i];
        const void *entry = kind_entry(s);
        if (entry != NULL && s->is_inline) {
            err = put_state(spill, s->table->spec.state_id, entry, s->table->spec.val_bytes);
        } else if (entry != NULL) {
            err = put_items(spill, s, entry);
        }
    }
    if (spill->buf_bytes == sizeof version) {
        spill->buf_bytes = 0;
    }
    return err;
}

void
weir_spill_record_drop(struct weir_spill *spill)
{
    struct weir_kindset *set = spill->set;
    for (uint32_t i = 0; i < set->cnt; i++) {
        weir_state_clear(&set->state[i]);
    }
    if (spill->plain != NULL) {
        (void)weir_table_delete(spill->plain, set->hash, set->key, set->heap);
    }
}

/* ---- taking ---- */

static int
broken(const char *uid, const char *what)
{
    return weir_err_push(WEIR_EFORMAT, "operator %s: the states of a key on disk %s", uid, what);
}

/* The next bytes of what is left, or NULL. */
static const char *
cut(struct weir_kv_bytes *rest, uint64_t bytes)
{
    const char *here = rest->ptr;
    if (rest->bytes < bytes) {
        return NULL;
    }
    rest->ptr = here + bytes;
    rest->bytes -= bytes;
    return here;
}

static int
cut_version(const char *uid, struct weir_kv_bytes *rest)
{
    uint32_t version;
    const char *data = cut(rest, sizeof version);
    if (data == NULL) {
        return broken(uid, "are cut off");
    }
    memcpy(&version, data, sizeof version);
    return version == WEIR_SPILL_VERSION ? 0 : broken(uid, "are of another version");
}

/* The next state of a record. */
static int
cut_state(const char *uid, struct weir_kv_bytes *rest, struct weir_spill_state_head *ret_head,
    const char **ret_data)
{
    const char *data = cut(rest, sizeof *ret_head);
    if (data != NULL) {
        memcpy(ret_head, data, sizeof *ret_head);
        data = cut(rest, ret_head->bytes);
    }
    *ret_data = data;
    return data != NULL ? 0 : broken(uid, "are cut off");
}

int
weir_spill_record_find(
    const char *uid, struct weir_kv_bytes record, uint32_t id, struct weir_kv_bytes *ret_state)
{
    struct weir_kv_bytes found = {NULL, 0};
    int err = cut_version(uid, &record);
    while (err == 0 && record.bytes > 0) {
        struct weir_spill_state_head head;
        const char *data;
        err = cut_state(uid, &record, &head, &data);
        if (err == 0 && head.id == id) {
            found = (struct weir_kv_bytes){data, head.bytes};
        }
    }
    if (err == 0) {
        *ret_state = found;
    }
    return err;
}

int
weir_spill_item_next(const char *uid, struct weir_kv_bytes *rest, struct weir_spill_item *ret_item)
{
    struct weir_spill_item_head head;
    if (rest->bytes == 0) {
        return 0;
    }
    const char *data = cut(rest, sizeof head);
    if (data != NULL) {
        memcpy(&head, data, sizeof head);
        data = cut(rest, (uint64_t)head.key_bytes + head.val_bytes);
    }
    if (data == NULL) {
        return broken(uid, "are cut off");
    }
    *ret_item = (struct weir_spill_item){head.time, weir_bytes(data, head.key_bytes),
        weir_bytes(data + head.key_bytes, head.val_bytes)};
    return 1;
}

static int
take_value(struct weir_spill *spill, struct weir_table *table, const char *data, uint32_t bytes)
{
    const struct weir_kindset *set = spill->set;
    const struct weir_table_rows row = {
        .hash = &set->hash, .key = (const char *)set->key, .heap = set->heap, .cnt = 1};
    void *val;
    bool made;
    if (bytes != table->spec.val_bytes) {
        return broken(spill->op->uid, "have a value of another length");
    }
    int err = weir_table_find_or_make(table, &row, &val, &made);
    if (err == 0) {
        memcpy(val, data, bytes);
    }
    return err;
}

static int
take_item(struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val, int64_t time)
{
    void *head;
    bool made;
    uint32_t ref;
    int err = kind_entry_make(s, s->table, &head, &made);
    if (err == 0 && s->kind->type == WEIR_KIND_TYPE_NUMBERS) {
        err = weir_kind_numbers_check(s->kind, key, val);
        return err < 0 ? err : weir_kind_numbers_put(&s->numbers, head, key, val);
    }
    err = err < 0 ? err : weir_kind_item_add(s, head, key, val, &ref);
    if (err == 0) {
        kind_item_at(s, ref)->time = time;
        err = s->index != NULL ? weir_kind_map_index(s, ref) : 0;
    }
    return err;
}

static int
take_items(struct weir_spill *spill, struct weir_keyed_state *s, struct weir_kv_bytes rest)
{
    struct weir_spill_item item = {0};
    int got;
    while ((got = weir_spill_item_next(spill->op->uid, &rest, &item)) > 0) {
        int err = take_item(s, item.key, item.val, item.time);
        if (err < 0) {
            return err;
        }
    }
    return got;
}

static int
take_state(struct weir_spill *spill, const struct weir_spill_state_head *head, const char *data)
{
    if (spill->plain != NULL && head->id == spill->plain_id) {
        return take_value(spill, spill->plain, data, head->bytes);
    }
    for (uint32_t i = 0; i < spill->set->cnt; i++) {
        struct weir_keyed_state *s = &spill->set->state[i];
        if (s->table->spec.state_id == head->id) {
            return s->is_inline ? take_value(spill, s->table, data, head->bytes)
                                : take_items(spill, s, (struct weir_kv_bytes){data, head->bytes});
        }
    }
    return weir_err_push(WEIR_ESTATE,
        "operator %s has state of number %u on disk, and declares none of this number",
        spill->op->uid, head->id);
}

int
weir_spill_record_take(struct weir_spill *spill, struct weir_kv_bytes record)
{
    int err = cut_version(spill->op->uid, &record);
    while (err == 0 && record.bytes > 0) {
        struct weir_spill_state_head head;
        const char *data;
        err = cut_state(spill->op->uid, &record, &head, &data);
        err = err < 0 ? err : take_state(spill, &head, data);
    }
    return err;
}
