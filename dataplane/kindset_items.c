/* SPDX-License-Identifier: Apache-2.0 */
/* Items: lists, maps, and walks over both. */
#include "dataplane/kindset.h"
#include "dataplane/kindset_priv.h"

/* Lines of a list's first element that are asked for. */
#define AHEAD_LINES 4

/* ---- chains ---- */

static void
chain_put(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref)
{
    struct kind_item *item = kind_item_touch(s, ref);
    item->next = 0;
    item->prev = head->last;
    if (head->last != 0) {
        kind_item_touch(s, head->last)->next = ref;
    } else {
        head->first = ref;
    }
    head->last = ref;
}

static void
chain_take(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref)
{
    const struct kind_item *item = kind_item_at(s, ref);
    if (item->prev != 0) {
        kind_item_touch(s, item->prev)->next = item->next;
    } else {
        head->first = item->next;
    }
    if (item->next != 0) {
        kind_item_touch(s, item->next)->prev = item->prev;
    } else {
        head->last = item->prev;
    }
}

/* An item of no chain yet. */
static int
item_make(
    struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val, uint32_t *ret_ref)
{
    uint64_t bytes = sizeof(struct kind_item) + weir_align_up(key.bytes, 8) + val.bytes;
    uint32_t group = weir_table_group_of(s->table, s->set->hash);
    uint32_t ref;
    if ((uint64_t)key.bytes + val.bytes > WEIR_KIND_BYTES_MAX) {
        return weir_err_push(WEIR_EDATA, "state %s: key and value of %u bytes: at most %d",
            s->kind->desc[0].name, key.bytes + val.bytes, WEIR_KIND_BYTES_MAX);
    }
    int err =
        weir_arena_block_take(s->set->arena, group, weir_arena_class_of((uint32_t)bytes), &ref);
    if (err < 0) {
        return err;
    }
    struct kind_item *item = kind_item_at(s, ref);
    item->key_bytes = key.bytes;
    item->val_bytes = val.bytes;
    item->time = s->set->now_ms;
    if (key.bytes > 0) {
        memcpy(item->bytes, key.ptr, key.bytes);
    }
    if (val.bytes > 0) {
        memcpy(kind_item_val(item), val.ptr, val.bytes);
    }
    *ret_ref = ref;
    return 0;
}

int
weir_kind_item_add(struct weir_keyed_state *s, struct kind_head *head, struct weir_slice key,
    struct weir_slice val, uint32_t *ret_ref)
{
    int err = item_make(s, key, val, ret_ref);
    if (err == 0) {
        weir_table_touch(s->table, head);
        chain_put(s, head, *ret_ref);
        head->cnt++;
    }
    return err;
}

void
weir_kind_item_drop(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref)
{
    weir_table_touch(s->table, head);
    chain_take(s, head, ref);
    head->cnt--;
    if (s->index != NULL) {
        weir_kind_map_unindex(s, ref);
    }
    weir_arena_block_give(s->set->arena, ref);
}

void
weir_kind_items_drop(struct weir_keyed_state *s, struct kind_head *head)
{
    while (head->first != 0) {
        weir_kind_item_drop(s, head, head->first);
    }
}

void
weir_kind_item_read(struct weir_keyed_state *s, struct kind_head *head, uint32_t ref)
{
    struct kind_item *item = kind_item_at(s, ref);
    if (!s->kind->ttl.on_read || s->kind->ttl.ms == 0 || item->time == s->set->now_ms) {
        return;
    }
    kind_item_touch(s, ref)->time = s->set->now_ms;
    if (s->index != NULL && head->last != ref) {
        weir_table_touch(s->table, head);
        chain_take(s, head, ref);
        chain_put(s, head, ref);
    }
}

/* ---- lists ---- */

static void
check_is(const struct weir_keyed_state *s, uint32_t type)
{
    WEIR_CHECK(s->kind->type == type, "state %s is of kind %u, not %u", s->kind->desc[0].name,
        s->kind->type, type);
}

void
weir_kindset_ask(const struct weir_keyed_state *s, void *const *entry, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        const struct kind_head *head = entry[i];
        const char *item = (const char *)kind_item_at(s, head->first);
        for (uint32_t line = 0; line < AHEAD_LINES; line++) {
            __builtin_prefetch(item + (size_t)line * WEIR_LINE_BYTES, 1);
        }
    }
}

int
weir_kindset_ahead(struct weir_keyed_state *s, struct weir_table_rows *rows, uint32_t from)
{
    /* Rows have keys without a namespace, and an empty entry is none where time cleans up. */
    WEIR_CHECK(s->kind->type == WEIR_KIND_TYPE_LIST && s->kind->ttl.ms == 0 && !s->kind->has_ns,
        "state %s is no list without namespaces and a time to live", s->kind->desc[0].name);
    int got = weir_table_resolve(s->table, rows, from);
    if (got > 0) {
        weir_kindset_ask(s, rows->ret_val + from, (uint32_t)got);
    }
    return got;
}

void
weir_kindset_behind(
    struct weir_keyed_state *s, const struct weir_table_rows *rows, uint32_t from, uint32_t end)
{
    uint32_t empty[WEIR_KEYED_ROW_CNT_MAX]; /* deleting one moves others */
    uint32_t cnt = 0;
    for (uint32_t i = from; i < end; i++) {
        empty[cnt] = i;
        cnt += ((const struct kind_head *)rows->ret_val[i])->first == 0;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        const char *key = rows->key + (size_t)empty[i] * rows->key_stride;
        (void)weir_table_delete(s->table, rows->hash[empty[i]], key, rows->heap);
    }
}

int
weir_list_add(struct weir_keyed_state *s, struct weir_slice val)
{
    check_is(s, WEIR_KIND_TYPE_LIST);
    void *head;
    bool made;
    uint32_t ref;
    int err = weir_kind_bytes_check(s, val, s->kind->val_bytes, "an element");
    err = err < 0 ? err : kind_entry_make(s, s->table, &head, &made);
    if (err < 0) {
        return err;
    }
    err = weir_kind_item_add(s, head, (struct weir_slice){NULL, 0}, val, &ref);
    if (err < 0 && made) {
        kind_entry_delete(s);
    }
    return err;
}

uint32_t
weir_list_cnt(struct weir_keyed_state *s)
{
    check_is(s, WEIR_KIND_TYPE_LIST);
    const struct kind_head *head = kind_entry(s);
    return head != NULL ? head->cnt : 0;
}

int
weir_list_update(struct weir_keyed_state *s, const struct weir_slice *vals, uint32_t cnt)
{
    check_is(s, WEIR_KIND_TYPE_LIST);
    for (uint32_t i = 0; i < cnt; i++) { /* nothing is lost where one is refused */
        int err = weir_kind_bytes_check(s, vals[i], s->kind->val_bytes, "an element");
        if (err < 0) {
            return err;
        }
    }
    weir_state_clear(s);
    int err = 0;
    for (uint32_t i = 0; i < cnt && err == 0; i++) {
        err = weir_list_add(s, vals[i]);
    }
    return err;
}

/* ---- maps ---- */

static uint64_t
map_hash(struct weir_slice key)
{
    return weir_hash_bytes(key.ptr, key.bytes);
}

static struct weir_slice
item_key(struct kind_item *item)
{
    return weir_bytes(item->bytes, item->key_bytes);
}

/* The key of the index: behind the current one and the namespace. */
static uint64_t *
index_key(const struct weir_keyed_state *s, uint64_t hash)
{
    uint64_t *key = kind_key(s);
    key[s->set->word_cnt + s->kind->has_ns] = hash;
    return key;
}

static bool
is_key(struct kind_item *item, struct weir_slice key)
{
    return item->key_bytes == key.bytes && memcmp(item->bytes, key.ptr, key.bytes) == 0;
}

uint32_t
weir_kind_map_find(struct weir_keyed_state *s, struct weir_slice key)
{
    const uint64_t *first =
        weir_table_find(s->index, s->set->hash, index_key(s, map_hash(key)), s->set->heap);
    uint32_t ref = first != NULL ? (uint32_t)*first : 0;
    while (ref != 0 && !is_key(kind_item_at(s, ref), key)) {
        ref = kind_item_at(s, ref)->same;
    }
    return ref;
}

int
weir_kind_map_index(struct weir_keyed_state *s, uint32_t ref)
{
    (void)index_key(s, map_hash(item_key(kind_item_at(s, ref))));
    void *first;
    bool made;
    int err = kind_entry_make(s, s->index, &first, &made);
    if (err == 0) {
        kind_item_touch(s, ref)->same = (uint32_t) * (uint64_t *)first;
        *(uint64_t *)first = ref;
    }
    return err;
}

void
weir_kind_map_unindex(struct weir_keyed_state *s, uint32_t ref)
{
    const struct kind_item *item = kind_item_at(s, ref);
    const uint64_t *key = index_key(s, map_hash(item_key(kind_item_at(s, ref))));
    uint64_t *first = weir_table_find(s->index, s->set->hash, key, s->set->heap);
    if (first == NULL) {
        return; /* it never came to be in it */
    }
    uint32_t at = (uint32_t)*first;
    if (at == ref && item->same == 0) {
        (void)weir_table_delete(s->index, s->set->hash, key, s->set->heap);
        return;
    }
    if (at == ref) {
        weir_table_touch(s->index, first);
        *first = item->same;
        return;
    }
    while (at != 0 && kind_item_at(s, at)->same != ref) {
        at = kind_item_at(s, at)->same;
    }
    if (at != 0) {
        kind_item_touch(s, at)->same = item->same;
    }
}

/* Take an item out of its map, and the map with its last one. */
static void
map_drop(struct weir_keyed_state *s, uint32_t ref)
{
    struct kind_head *head = kind_entry(s);
    weir_kind_item_drop(s, head, ref);
    if (head->first == 0) {
        kind_entry_delete(s);
    }
}

const void *
weir_map_get(struct weir_keyed_state *s, struct weir_slice key, uint32_t *ret_bytes)
{
    check_is(s, WEIR_KIND_TYPE_MAP);
    uint32_t ref = key.ptr != NULL ? weir_kind_map_find(s, key) : 0;
    if (ref == 0) {
        return NULL;
    }
    struct kind_item *item = kind_item_at(s, ref);
    enum kind_life life = kind_life_of(s, item->time);
    const void *val = kind_item_val(item);
    if (ret_bytes != NULL) {
        *ret_bytes = item->val_bytes;
    }
    if (life != KIND_LIVE) {
        val = life == KIND_EXPIRED ? weir_kind_copy(s, val, item->val_bytes) : NULL;
        map_drop(s, ref);
    } else if (s->kind->ttl.on_read) {
        weir_kind_item_read(s, kind_entry(s), ref);
    }
    return val;
}

/* A value in the place of the old one of the same length: the entry is the youngest then. */
static void
map_set(struct weir_keyed_state *s, uint32_t ref, struct weir_slice val)
{
    struct kind_item *item = kind_item_at(s, ref);
    struct kind_head *head = kind_entry(s);
    if (val.bytes > 0) {
        weir_arena_touch(s->set->arena, kind_item_val(item), val.bytes);
        memmove(kind_item_val(item), val.ptr, val.bytes);
    }
    kind_item_touch(s, ref)->time = s->set->now_ms;
    if (head->last != ref) {
        weir_table_touch(s->table, head);
        chain_take(s, head, ref);
        chain_put(s, head, ref);
    }
}

static int
entry_check(const struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val)
{
    check_is(s, WEIR_KIND_TYPE_MAP);
    int err = weir_kind_bytes_check(s, key, s->kind->key_bytes, "a map's key");
    return err < 0 ? err : weir_kind_bytes_check(s, val, s->kind->val_bytes, "a map's value");
}

/* An entry in the place of an old one; 0: there is none. */
static int
map_make(struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val, uint32_t old)
{
    void *head;
    bool made;
    uint32_t ref = 0;
    int err = kind_entry_make(s, s->table, &head, &made);
    if (err < 0) {
        return err;
    }
    err = weir_kind_item_add(s, head, key, val, &ref);
    if (err == 0 && (err = weir_kind_map_index(s, ref)) < 0) {
        weir_kind_item_drop(s, head, ref);
    }
    if (err < 0 && made) {
        kind_entry_delete(s);
    }
    if (err == 0 && old != 0) {
        weir_kind_item_drop(s, head, old);
    }
    return err;
}

int
weir_map_put(struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val)
{
    int err = entry_check(s, key, val);
    if (err < 0) {
        return err;
    }
    uint32_t old = weir_kind_map_find(s, key);
    if (old != 0 && kind_item_at(s, old)->val_bytes == val.bytes) {
        map_set(s, old, val);
        return 0;
    }
    return map_make(s, key, val, old);
}

int
weir_map_add(struct weir_keyed_state *s, struct weir_slice key, struct weir_slice val)
{
    int err = entry_check(s, key, val);
    return err < 0 ? err : map_make(s, key, val, 0);
}

bool
weir_map_remove(struct weir_keyed_state *s, struct weir_slice key)
{
    check_is(s, WEIR_KIND_TYPE_MAP);
    uint32_t ref = key.ptr != NULL ? weir_kind_map_find(s, key) : 0;
    bool was = ref != 0 && kind_life_of(s, kind_item_at(s, ref)->time) != KIND_GONE;
    if (ref != 0) {
        map_drop(s, ref);
    }
    return was;
}

bool
weir_map_is_empty(struct weir_keyed_state *s)
{
    check_is(s, WEIR_KIND_TYPE_MAP);
    return kind_entry(s) == NULL;
}

/* ---- walks ---- */

void
weir_kind_begin(struct weir_keyed_state *s, struct weir_kind_cursor *cursor)
{
    const struct kind_head *head = s->is_inline ? NULL : kind_entry(s);
    memset(cursor, 0, sizeof *cursor);
    cursor->state = s;
    cursor->next = head != NULL ? head->first : 0;
    cursor->left = head != NULL ? head->cnt : 0;
}

/* The end of a walk. Where nothing lives nothing stays; a list whose elements live on by being read
 * loses those that have expired. */
static void
walk_end(struct weir_kind_cursor *cursor)
{
    struct weir_keyed_state *s = cursor->state;
    const struct weir_ttl *ttl = &s->kind->ttl;
    struct kind_head *head = ttl->ms > 0 ? kind_entry(s) : NULL;
    if (cursor->is_over || head == NULL) {
        return;
    }
    cursor->is_over = true;
    bool drops = cursor->live_cnt == 0 || (s->index == NULL && ttl->on_read);
    for (uint32_t ref = head->first, next; drops && ref != 0; ref = next) {
        next = kind_item_at(s, ref)->next;
        if (kind_life_of(s, kind_item_at(s, ref)->time) != KIND_LIVE) {
            weir_kind_item_drop(s, head, ref);
        }
    }
    if (head->first == 0) {
        kind_entry_delete(s);
    }
}

static struct kind_item *
item_copy(struct weir_keyed_state *s, struct kind_item *item)
{
    uint32_t bytes =
        (uint32_t)sizeof *item + (uint32_t)weir_align_up(item->key_bytes, 8) + item->val_bytes;
    return memcpy(s->set->scratch, item, bytes);
}

const void *
weir_kind_next(struct weir_kind_cursor *cursor, struct weir_slice *ret_key, uint32_t *ret_bytes)
{
    struct weir_keyed_state *s = cursor->state;
    while (cursor->left > 0 && cursor->next != 0) {
        uint32_t ref = cursor->next;
        struct kind_item *item = kind_item_at(s, ref);
        enum kind_life life = kind_life_of(s, item->time);
        /* Without a time to live nothing is done to the chain. */
        struct kind_head *head = s->kind->ttl.ms > 0 ? kind_entry(s) : NULL;
        cursor->next = item->next;
        cursor->left--;
        if (life == KIND_GONE) {
            weir_kind_item_drop(s, head, ref);
            continue;
        }
        if (life == KIND_LIVE) {
            cursor->live_cnt++;
            weir_kind_item_read(s, head, ref);
        } else if (s->index != NULL) { /* of a map it is shown, and goes */
            item = item_copy(s, item);
            weir_kind_item_drop(s, head, ref);
        }
        cursor->at = life == KIND_LIVE || s->index == NULL ? ref : 0;
        if (ret_key != NULL) {
            *ret_key = item_key(item);
        }
        if (ret_bytes != NULL) {
            *ret_bytes = item->val_bytes;
        }
        return kind_item_val(item);
    }
    walk_end(cursor);
    return NULL;
}

void
weir_list_remove(struct weir_kind_cursor *cursor)
{
    struct weir_keyed_state *s = cursor->state;
    check_is(s, WEIR_KIND_TYPE_LIST);
    WEIR_CHECK(cursor->at != 0, "state %s: there is no element to remove", s->kind->desc[0].name);
    struct kind_head *head = kind_entry(s);
    weir_kind_item_drop(s, head, cursor->at);
    cursor->at = 0;
    if (head->first == 0) {
        kind_entry_delete(s);
    }
}

/* Elements have places of their own only where they do not go by their times. */
static void
check_is_placed(const struct weir_keyed_state *s)
{
    check_is(s, WEIR_KIND_TYPE_LIST);
    WEIR_CHECK(s->kind->ttl.ms == 0, "state %s: its elements are in the order of their times",
        s->kind->desc[0].name);
}

void
weir_list_begin_back(struct weir_keyed_state *s, struct weir_kind_cursor *cursor)
{
    check_is_placed(s);
    const struct kind_head *head = kind_entry(s);
    memset(cursor, 0, sizeof *cursor);
    cursor->state = s;
    cursor->left = UINT32_MAX;
    cursor->prev = head != NULL ? head->last : 0;
}

const void *
weir_list_back(struct weir_kind_cursor *cursor, uint32_t *ret_bytes)
{
    if (cursor->prev == 0) {
        return NULL;
    }
    struct kind_item *item = kind_item_at(cursor->state, cursor->prev);
    cursor->at = cursor->prev;
    cursor->prev = item->prev;
    cursor->next = item->next;
    *ret_bytes = item->val_bytes;
    return kind_item_val(item);
}

/* Checks of a call that puts an element where a walk stands. */
static int
place_check(const struct weir_kind_cursor *cursor, struct weir_slice val)
{
    const struct weir_keyed_state *s = cursor->state;
    check_is_placed(s);
    WEIR_CHECK(cursor->at != 0, "state %s: there is no element", s->kind->desc[0].name);
    return weir_kind_bytes_check(s, val, s->kind->val_bytes, "an element");
}

int
weir_list_insert(struct weir_kind_cursor *cursor, struct weir_slice val)
{
    struct weir_keyed_state *s = cursor->state;
    uint32_t ref;
    int err = place_check(cursor, val);
    err = err < 0 ? err : item_make(s, weir_bytes(NULL, 0), val, &ref);
    if (err < 0) {
        return err;
    }
    struct kind_head *head = kind_entry(s);
    struct kind_item *item = kind_item_at(s, ref);
    struct kind_item *behind = kind_item_touch(s, cursor->at);
    item->next = cursor->at;
    item->prev = behind->prev;
    weir_table_touch(s->table, head);
    if (behind->prev != 0) {
        kind_item_touch(s, behind->prev)->next = ref;
    } else {
        head->first = ref;
    }
    behind->prev = ref;
    head->cnt++;
    return 0;
}

int
weir_list_replace(struct weir_kind_cursor *cursor, struct weir_slice val)
{
    struct weir_keyed_state *s = cursor->state;
    int err = place_check(cursor, val);
    if (err < 0) {
        return err;
    }
    struct kind_item *item = kind_item_at(s, cursor->at);
    uint32_t head_bytes = (uint32_t)sizeof *item;
    uint32_t room = weir_arena_block_bytes(s->set->arena, cursor->at);
    if (head_bytes + val.bytes <= room && head_bytes + val.bytes >= room / 4) {
        weir_arena_touch(s->set->arena, item, head_bytes + val.bytes);
        item->val_bytes = val.bytes;
        item->time = s->set->now_ms;
        memcpy(kind_item_val(item), val.ptr, val.bytes);
        return 0;
    }
    err = weir_list_insert(cursor, val);
    if (err == 0) {
        uint32_t made = kind_item_at(s, cursor->at)->prev;
        weir_kind_item_drop(s, kind_entry(s), cursor->at);
        cursor->at = made;
    }
    return err;
}

/* ---- references ---- */

int
weir_kind_move_items(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    struct kind_head *head = val;
    (void)op;
    head->first = mover->ref(mover->arg, head->first);
    head->last = mover->ref(mover->arg, head->last);
    for (uint32_t at = head->first; at != 0;) {
        struct kind_item *item = (struct kind_item *)weir_arena_ptr(table->arena, at);
        item->next = mover->ref(mover->arg, item->next);
        item->prev = mover->ref(mover->arg, item->prev);
        item->same = mover->ref(mover->arg, item->same);
        at = item->next;
    }
    return 0;
}

int
weir_kind_move_index(const struct weir_operator *op, const struct weir_table *table,
    const struct weir_state_mover *mover, void *val)
{
    uint64_t *first = val;
    (void)op;
    (void)table;
    *first = mover->ref(mover->arg, (uint32_t)*first);
    return 0;
}
