/* SPDX-License-Identifier: Apache-2.0 */
/* Records: all that a key has, as bytes. They are read as if anybody had written them. */
#include <stdlib.h>

#include "dataplane/kindset_priv.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/kindset_spill_priv.h"

#define BUF_BYTES_LEAST 1024

/* An item's head in a record. */
struct item_head {
    int64_t time;
    uint32_t key_bytes;
    uint32_t val_bytes;
};
/* A state's. */
struct state_head {
    uint32_t id;
    uint32_t bytes;
};

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
    const struct state_head head = {id, (uint32_t)bytes};
    int err = put(spill, &head, sizeof head);
    return err < 0 ? err : put(spill, data, bytes);
}

static int
put_items(struct weir_spill *spill, struct weir_keyed_state *s, const struct kind_head *head)
{
    uint64_t at = spill->buf_bytes;
    struct state_head state = {s->table->spec.state_id, 0};
    int err = put(spill, &state, sizeof state);
    for (uint32_t ref = head->first; ref != 0 && err == 0; ref = kind_item_at(s, ref)->next) {
        struct kind_item *item = kind_item_at(s, ref);
        const struct item_head item_head = {item->time, item->key_bytes, item->val_bytes};
        err = put(spill, &item_head, sizeof item_head);
        err = err < 0 ? err : put(spill, item->bytes, item->key_bytes);
        err = err < 0 ? err : put(spill, kind_item_val(item), item->val_bytes);
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
broken(const struct weir_spill *spill, const char *what)
{
    return weir_err_push(
        WEIR_EFORMAT, "operator %s: the states of a key on disk %s", spill->op->uid, what);
}

/* The next bytes of [*at, end), or NULL. */
static const char *
cut(const char **at, const char *end, uint64_t bytes)
{
    const char *here = *at;
    if ((uint64_t)(end - here) < bytes) {
        return NULL;
    }
    *at += bytes;
    return here;
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
        return broken(spill, "have a value of another length");
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
    err = err < 0 ? err : weir_kind_item_add(s, head, key, val, &ref);
    if (err == 0) {
        kind_item_at(s, ref)->time = time;
        err = s->index != NULL ? weir_kind_map_index(s, ref) : 0;
    }
    return err;
}

static int
take_items(struct weir_spill *spill, struct weir_keyed_state *s, const char *at, const char *end)
{
    int err = 0;
    while (at < end && err == 0) {
        struct item_head head;
        const char *data = cut(&at, end, sizeof head);
        if (data != NULL) {
            memcpy(&head, data, sizeof head);
            data = cut(&at, end, (uint64_t)head.key_bytes + head.val_bytes);
        }
        if (data == NULL) {
            return broken(spill, "are cut off");
        }
        err = take_item(s, weir_bytes(data, head.key_bytes),
            weir_bytes(data + head.key_bytes, head.val_bytes), head.time);
    }
    return err;
}

static int
take_state(struct weir_spill *spill, const struct state_head *head, const char *data)
{
    if (spill->plain != NULL && head->id == spill->plain_id) {
        return take_value(spill, spill->plain, data, head->bytes);
    }
    for (uint32_t i = 0; i < spill->set->cnt; i++) {
        struct weir_keyed_state *s = &spill->set->state[i];
        if (s->table->spec.state_id == head->id) {
            return s->is_inline ? take_value(spill, s->table, data, head->bytes)
                                : take_items(spill, s, data, data + head->bytes);
        }
    }
    return weir_err_push(WEIR_ESTATE,
        "operator %s has state of number %u on disk, and declares none of this number",
        spill->op->uid, head->id);
}

int
weir_spill_record_take(struct weir_spill *spill, struct weir_kv_bytes record)
{
    const char *at = record.ptr;
    const char *end = at + record.bytes;
    uint32_t version;
    const char *data = cut(&at, end, sizeof version);
    if (data == NULL) {
        return broken(spill, "are cut off");
    }
    memcpy(&version, data, sizeof version);
    if (version != WEIR_SPILL_VERSION) {
        return broken(spill, "are of another version");
    }
    int err = 0;
    while (at < end && err == 0) {
        struct state_head head;
        data = cut(&at, end, sizeof head);
        if (data != NULL) {
            memcpy(&head, data, sizeof head);
            data = cut(&at, end, head.bytes);
        }
        err = data != NULL ? take_state(spill, &head, data) : broken(spill, "are cut off");
    }
    return err;
}
